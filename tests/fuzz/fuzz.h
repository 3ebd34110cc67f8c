/*
 * What every fuzz target includes. A target is one function that libFuzzer calls with bytes of its
 * own making, again and again; whatever they are, it must return. `make fuzz` builds and runs all.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What must hold whatever the bytes are; else libFuzzer keeps them and ends. */
static inline void
must_hold(int condition)
{
	if (!condition)
		abort();
}

#endif
