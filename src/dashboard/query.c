#include "query.h"

#include "base/units.h"
#include "commits.h"

#define USUAL_LIMIT 100
#define MOST        1000

static int64_t
number(struct request *request, const char *name, int64_t most, int64_t otherwise)
{
	const char *text = request_query(request, name);
	int64_t value;
	return text && number_parse(text, &value, NULL) && value >= 1 && value <= most ? value
	                                                                               : otherwise;
}

struct page
query_page(struct request *request)
{
	return (struct page){.before = number(request, "before", INT64_MAX, INT64_MAX),
	                     .limit = number(request, "limit", MOST, USUAL_LIMIT)};
}

struct rows *
query_commit(struct request *request, struct database *db)
{
	if (commits_is_sha(request->parameter))
		return list_commit_of_sha(db, request->parameter);
	return list_commit(db, request_id(request));
}
