/*
 * XML (expat) as a walk over elements, for the small documents that S3 answers with.
 *
 * Document types, and with them entities but for the five of XML itself, more than 16 levels, more
 * than 100,000 elements and more than 4 MiB are refused. White space before the document is
 * skipped: S3 sends some while it makes up its mind. Name spaces are not told apart.
 */
#ifndef OUTSIDE_XML_H
#define OUTSIDE_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/failure.h"

/* path: "Error/Code", from the root, without prefixes; text: the element's own, UTF-8. */
typedef bool xml_visit(const char *path, const char *text, void *data, struct failure *why);

/* Calls visit as each element ends, inner ones first; it returns false, with *why set, to end the
 * walk. FAILURE_BAD_ANSWER: "line 3: not well-formed (invalid token)". */
bool must_check xml_walk(const char *bytes, size_t length, xml_visit *visit, void *data,
                         struct failure *why);

#endif
