#include "outside/xml.h"

#include <string.h>

#include <expat.h>

#include "base/text.h"

#define BYTES_LIMIT    (4 * 1024 * 1024)
#define DEPTH_LIMIT    16
#define ELEMENTS_LIMIT 100000

struct walk {
	XML_Parser parser;
	struct text path;
	struct text texts[DEPTH_LIMIT]; /* of the elements that are open */
	size_t depth;                   /* how many are */
	size_t elements;
	xml_visit *visit;
	void *data;
	bool refused; /* why says it */
	struct failure *why;
};

static void
walk_done(struct walk *walk)
{
	XML_ParserFree(walk->parser);
	text_done(&walk->path);
	for (size_t i = 0; i < DEPTH_LIMIT; i++)
		text_done(&walk->texts[i]);
}

static void
stop(struct walk *walk)
{
	walk->refused = true;
	XML_StopParser(walk->parser, XML_FALSE);
}

static void
refuse(struct walk *walk, const char *what)
{
	fail(walk->why, FAILURE_BAD_ANSWER, "line %lu: %s", XML_GetCurrentLineNumber(walk->parser),
	     what);
	stop(walk);
}

static void XMLCALL
on_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct walk *walk = data;
	const char *colon = strrchr(name, ':');
	(void)attributes;
	if (walk->refused)
		return;
	if (walk->depth == DEPTH_LIMIT)
		return refuse(walk, "too many levels");
	if (++walk->elements > ELEMENTS_LIMIT)
		return refuse(walk, "too many elements");
	text_addf(&walk->path, "%s%s", walk->depth ? "/" : "",
	          colon && colon[1] ? colon + 1 : name);
	text_clear(&walk->texts[walk->depth++]);
}

static void XMLCALL
on_text(void *data, const XML_Char *bytes, int length)
{
	struct walk *walk = data;
	if (walk->depth > 0 && !walk->refused)
		text_add(&walk->texts[walk->depth - 1], bytes, (size_t)length);
}

static void XMLCALL
on_end(void *data, const XML_Char *name)
{
	struct walk *walk = data;
	(void)name;
	if (walk->refused)
		return;
	walk->depth--;
	if (!walk->visit(text_string(&walk->path), text_string(&walk->texts[walk->depth]),
	                 walk->data, walk->why))
		return stop(walk);
	const char *slash = memrchr(walk->path.bytes, '/', walk->path.length);
	walk->path.length = slash ? (size_t)(slash - walk->path.bytes) : 0;
	walk->path.bytes[walk->path.length] = '\0';
}

/* What declares entities, and so grows without bound. */
static void XMLCALL
on_doctype(void *data, const XML_Char *name, const XML_Char *system, const XML_Char *public,
           int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	refuse(data, "a document type is not allowed");
}

bool
xml_walk(const char *bytes, size_t length, xml_visit *visit, void *data, struct failure *why)
{
	size_t blank = 0;
	while (blank < length && strchr(" \t\r\n", bytes[blank]) && bytes[blank])
		blank++;
	if (length - blank > BYTES_LIMIT)
		return fail(why, FAILURE_BAD_ANSWER, "longer than a document may be");
	scoped(walk_done) struct walk walk = {
	    .parser = XML_ParserCreate(NULL), .visit = visit, .data = data, .why = why};
	if (!walk.parser)
		abort();
	XML_SetUserData(walk.parser, &walk);
	XML_SetElementHandler(walk.parser, on_start, on_end);
	XML_SetCharacterDataHandler(walk.parser, on_text);
	XML_SetStartDoctypeDeclHandler(walk.parser, on_doctype);
	if (XML_Parse(walk.parser, bytes + blank, (int)(length - blank), 1) == XML_STATUS_OK)
		return true;
	if (walk.refused)
		return false;
	return fail(why, FAILURE_BAD_ANSWER, "line %lu: %s", XML_GetCurrentLineNumber(walk.parser),
	            XML_ErrorString(XML_GetErrorCode(walk.parser)));
}
