#include "server_form.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "base/files.h"
#include "base/text.h"

#define READER_MEMORY 4096
#define FIELD_LIMIT   64

struct form_field {
	char *name;
	struct text value;
	struct form_field *next;
};

static bool
add_to_field(struct form_reader *form, const char *name, const char *bytes, size_t length,
             bool first)
{
	struct form_field *field = form->fields;
	if (first || !field || strcmp(field->name, name) != 0) {
		if (++form->count > FIELD_LIMIT)
			return false;
		field = allocate(sizeof *field);
		field->name = copy_string(name);
		field->next = form->fields;
		form->fields = field;
	}
	form->bytes += length;
	text_add(&field->value, bytes, length);
	return form->bytes <= form->limit;
}

static bool
begin_file(struct form_reader *form, const char *filename)
{
	struct request_file *file = form->file;
	file->fd = openat(form->temporary, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (file->fd < 0)
		return fail_errno(&form->trouble, "cannot make a temporary file");
	file->filename = copy_string(filename);
	form->digest = digest_new();
	return true;
}

static bool
add_to_file(struct form_reader *form, const char *bytes, size_t length)
{
	struct request_file *file = form->file;
	if (length && !write_all(file->fd, bytes, length, &form->trouble))
		return false;
	digest_update(form->digest, bytes, length);
	file->size += (int64_t)length;
	return true;
}

/* A piece of a field, as MHD finds it. Of parts with a filename only the first `file` is kept. */
static enum MHD_Result
on_field(void *data, enum MHD_ValueKind kind, const char *name, const char *filename,
         const char *type, const char *encoding, const char *bytes, uint64_t offset, size_t length)
{
	(void)kind;
	(void)type;
	(void)encoding;
	struct form_reader *form = data;
	if (!filename)
		return add_to_field(form, name, bytes, length, offset == 0) ? MHD_YES : MHD_NO;
	if (offset == 0) {
		form->in_file = form->file && form->file->fd < 0 && strcmp(name, "file") == 0;
		if (form->in_file && !begin_file(form, filename))
			return MHD_NO;
	}
	return !form->in_file || add_to_file(form, bytes, length) ? MHD_YES : MHD_NO;
}

void
form_reader_take(struct form_reader *form, struct MHD_Connection *connection, const char *bytes,
                 size_t length)
{
	if (!form->reader)
		form->reader = MHD_create_post_processor(connection, READER_MEMORY, on_field, form);
	if (form->reader && length)
		MHD_post_process(form->reader, bytes, length);
}

void
form_reader_end(struct form_reader *form)
{
	if (form->reader)
		MHD_destroy_post_processor(form->reader);
	form->reader = NULL;
	if (form->digest)
		digest_finish(&form->digest, form->file->sha256);
}

const char *
form_reader_value(const struct form_reader *form, const char *name)
{
	for (const struct form_field *field = form->fields; field; field = field->next)
		if (strcmp(field->name, name) == 0)
			return text_string(&field->value);
	return NULL;
}

void
form_reader_done(struct form_reader *form)
{
	form_reader_end(form);
	while (form->fields) {
		struct form_field *first = form->fields;
		form->fields = first->next;
		free(first->name);
		text_done(&first->value);
		free(first);
	}
	failure_done(&form->trouble);
}
