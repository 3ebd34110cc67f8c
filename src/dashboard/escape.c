#include "escape.h"

#include <string.h>

void
escape_add(struct text *html, const char *text)
{
	static const struct {
		char character;
		const char *entity;
	} entities[] = {
	    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
	for (; *text; text++) {
		const char *entity = NULL;
		for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
			if (entities[i].character == *text)
				entity = entities[i].entity;
		text_add(html, entity ? entity : text, entity ? strlen(entity) : 1);
	}
}
