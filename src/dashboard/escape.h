/* Text as HTML: the five characters that mean something there, as entities. */
#ifndef DASHBOARD_ESCAPE_H
#define DASHBOARD_ESCAPE_H

#include "base/text.h"

void escape_add(struct text *html, const char *text);

#endif
