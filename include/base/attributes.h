/* What the compiler is told about our functions. */
#ifndef BASE_ATTRIBUTES_H
#define BASE_ATTRIBUTES_H

/* The result says whether it worked: dropping it is a bug. */
#define must_check __attribute__((warn_unused_result))

/* A printf format at argument F, its values from argument V on. */
#define printf_like(F, V) __attribute__((format(printf, F, V)))

#endif
