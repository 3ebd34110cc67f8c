#include "outside/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <systemd/sd-journal.h>

#include "base/log.h"
#include "base/text.h"

#define MOST_FIELDS 8

struct fields {
	struct iovec entries[MOST_FIELDS];
	int count;
};

static void
add_field(struct fields *fields, char *field)
{
	fields->entries[fields->count++] = (struct iovec){.iov_base = field,
	                                                  .iov_len = strlen(field)};
}

/* The text a person reads keeps its subject, as on standard error. */
static char *
message_field(const struct log_line *line)
{
	const struct subject *about = line->about;
	if (!about->job)
		return format("MESSAGE=%s", line->message);
	return format("MESSAGE=job %s.%d%s%s: %s", about->job, about->attempt,
	              about->step ? " " : "", about->step ? about->step : "", line->message);
}

static bool
send_line(const struct log_line *line)
{
	struct fields fields = {0};
	add_field(&fields, message_field(line));
	add_field(&fields, format("PRIORITY=%d", (int)line->level));
	if (line->about->job) {
		add_field(&fields, format("JOB_ID=%s", line->about->job));
		add_field(&fields, format("ATTEMPT=%d", line->about->attempt));
	}
	if (line->about->step)
		add_field(&fields, format("STEP=%s", line->about->step));
	if (line->why)
		add_field(&fields, format("FAILURE=%s", failure_name(line->why->code)));
	bool sent = sd_journal_sendv(fields.entries, fields.count) == 0;
	for (int i = 0; i < fields.count; i++)
		free(fields.entries[i].iov_base);
	return sent;
}

void
journal_use_if_there(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat about;
	if (stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2
	    && fstat(STDERR_FILENO, &about) == 0 && about.st_dev == device && about.st_ino == inode)
		log_set_sink(send_line);
}
