#include "schema.h"

#include "base/text.h"

/*
 * Step N takes a database from version N to N + 1 (PRAGMA user_version). Steps are never changed
 * once released, only added. Times are milliseconds since 1970, hashes lower-case hex. Ids are
 * never used twice (AUTOINCREMENT): they are parts of keys in the store and of URLs.
 */
static const char *const steps[] = {
    "CREATE TABLE commits ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  sha TEXT NOT NULL UNIQUE," /* 40 or 64 hex digits */
    "  time INTEGER NOT NULL,"    /* of the commit, as the hook told */
    "  comment TEXT NOT NULL,"    /* its whole message, as it came: escape it */
    "  added_at INTEGER NOT NULL" /* when the hook came */
    ") STRICT;"

    "CREATE TABLE models ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  path TEXT NOT NULL UNIQUE,"             /* the name people give it */
    "  ci_enabled INTEGER NOT NULL DEFAULT 0," /* 1: runs after each good build */
    "  key TEXT,"    /* of the archive in the store; NULL: none was uploaded yet */
    "  sha256 TEXT," /* of the archive */
    "  bytes INTEGER,"
    "  filename TEXT," /* as uploaded */
    "  uploaded_at INTEGER,"
    "  created_at INTEGER NOT NULL"
    ") STRICT;"

    /* A job is also its message on the queue. */
    "CREATE TABLE jobs ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  type TEXT NOT NULL CHECK (type IN ('build', 'run')),"
    "  commit_id INTEGER NOT NULL REFERENCES commits,"
    "  model_id INTEGER REFERENCES models," /* run */
    "  algorithm TEXT," /* run: GIA IGIA CGIA PGIA OGIA; NULL: moolloy's choice */
    "  test_type TEXT CHECK (test_type IN ('performance', 'correctness', 'ci'))," /* run */
    "  jar_key TEXT,"    /* run: which jar, as told when it was requested ... */
    "  jar_sha256 TEXT," /* ... or by a later build. Build: of the jar it made */
    "  model_key TEXT,"  /* run: the model's archive when it was requested */
    "  requested_at INTEGER NOT NULL,"
    /* The message. */
    "  queue TEXT NOT NULL CHECK (queue IN ('build', 'ci', 'performance', 'correctness')),"
    "  secret TEXT NOT NULL UNIQUE,"       /* UUID: message id, and secret_key of the finish */
    "  queued INTEGER NOT NULL DEFAULT 1," /* 0: the message is gone */
    "  visible_at INTEGER NOT NULL,"       /* may be given out from then; with a receipt: the end of
                                              its lease */
    "  attempt INTEGER NOT NULL DEFAULT 0,"   /* how often it was given out */
    "  handbacks INTEGER NOT NULL DEFAULT 0," /* how many of those came back untried */
    "  receipt TEXT UNIQUE,"                  /* of the latest attempt; NULL: it was given back */
    "  leased_by TEXT,"                       /* worker's name */
    /* What workers told. */
    "  started_at INTEGER,"
    "  started_attempt INTEGER,"
    "  worker TEXT," /* who started or finished it */
    "  finished_at INTEGER,"
    "  finished_attempt INTEGER,"
    "  report_sha256 TEXT," /* of the finish's body: the same again is no news */
    "  return_code INTEGER,"
    "  result_s3_key TEXT," /* build: the jar; run: the tarball */
    "  result_sha256 TEXT,"
    "  correct INTEGER,"
    "  real_time_seconds REAL,"
    "  cpu_time_seconds REAL,"
    "  max_rss_bytes INTEGER,"
    "  measured_by TEXT," /* cgroup, proc */
    "  failure TEXT,"     /* a code of failure.def */
    "  step TEXT,"        /* in which step it failed */
    "  error_message TEXT,"
    "  error_details TEXT,"
    "  timings TEXT," /* JSON: seconds a step */
    "  CHECK ((type = 'run') = (model_id IS NOT NULL))"
    ") STRICT;"
    "CREATE INDEX jobs_waiting ON jobs (queue, id) WHERE queued = 1;"
    "CREATE INDEX jobs_visible ON jobs (visible_at) WHERE queued = 1;"
    "CREATE INDEX jobs_of_commit ON jobs (commit_id, type, id);"
    "CREATE INDEX jobs_of_model ON jobs (model_id, id) WHERE model_id IS NOT NULL;"
    "CREATE INDEX jobs_of_type ON jobs (type, id);"
    "CREATE INDEX jobs_correct ON jobs (model_id, test_type, id)"
    " WHERE correct = 1 AND return_code = 0;"

    "CREATE TABLE workers ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  hostname TEXT NOT NULL," /* its name */
    "  kind TEXT,"              /* build, run; NULL: an existing worker, which does not say */
    "  version TEXT,"
    "  registered_at INTEGER NOT NULL,"
    "  last_heartbeat INTEGER NOT NULL,"
    "  last_state_change INTEGER NOT NULL," /* when it began or ended a job */
    "  job_id INTEGER REFERENCES jobs,"     /* what it works on, as of its last heartbeat */
    "  attempt INTEGER,"
    "  step TEXT,"
    "  progress_done INTEGER,"
    "  progress_total INTEGER," /* 0: not known */
    "  progress_unit TEXT"
    ") STRICT;"
    "CREATE UNIQUE INDEX workers_by_name ON workers (hostname, kind) WHERE kind IS NOT NULL;"

    /* What lists.h promises. */
    "CREATE VIEW job_list AS"
    " SELECT jobs.id, type, commit_id, sha, comment, model_id, path AS model_path, algorithm,"
    "  test_type, queue, jar_key, jar_sha256, model_key, requested_at, queued, attempt, handbacks,"
    "  leased_by, visible_at, started_at, worker, finished_at, finished_attempt, return_code,"
    "  result_s3_key, result_sha256, correct, real_time_seconds, cpu_time_seconds, max_rss_bytes,"
    "  measured_by, failure, step, error_message, timings,"
    "  CASE WHEN finished_at IS NOT NULL THEN 'finished'"
    "   WHEN queued = 0 THEN 'dropped'"
    "   WHEN receipt IS NULL"
    "    OR visible_at <= (julianday('now') - 2440587.5) * 86400000 THEN 'waiting'"
    "   WHEN started_attempt = attempt THEN 'running'"
    "   ELSE 'claimed' END AS state,"
    "  CASE WHEN finished_at IS NOT NULL"
    "   THEN return_code = 0 AND (type = 'build' OR ifnull(correct, 0) = 1) END AS good"
    " FROM jobs JOIN commits ON commits.id = commit_id LEFT JOIN models ON models.id = model_id;"

    /*
     * Single columns of job_list by sub-selects, never a join with it: SQLite would make the list
     * of all jobs there ever were, for each page.
     */
    "CREATE VIEW model_list AS"
    " SELECT models.id, models.path, models.ci_enabled, models.key, models.sha256, models.bytes,"
    "  models.filename, models.uploaded_at, models.created_at, latest.id AS run_id,"
    "  (SELECT state FROM job_list WHERE id = latest.id) AS run_state,"
    "  (SELECT good FROM job_list WHERE id = latest.id) AS run_good,"
    "  timed.id AS timed_id, timed.real_time_seconds, timed.cpu_time_seconds"
    " FROM models"
    " LEFT JOIN jobs latest ON latest.id ="
    "  (SELECT max(id) FROM jobs WHERE jobs.model_id = models.id)"
    " LEFT JOIN jobs timed ON timed.id = coalesce("
    "  (SELECT max(id) FROM jobs WHERE jobs.model_id = models.id AND correct = 1"
    "   AND return_code = 0 AND test_type = 'performance'),"
    "  (SELECT max(id) FROM jobs WHERE jobs.model_id = models.id AND correct = 1"
    "   AND return_code = 0));"

    "CREATE VIEW commit_list AS"
    " SELECT commits.id, commits.sha, commits.time, commits.comment, commits.added_at,"
    "  latest.id AS build_id,"
    "  (SELECT state FROM job_list WHERE id = latest.id) AS build_state,"
    "  (SELECT good FROM job_list WHERE id = latest.id) AS build_good,"
    "  jar.result_s3_key AS jar_key, jar.jar_sha256,"
    "  (SELECT count(*) FROM jobs WHERE commit_id = commits.id AND type = 'run') AS runs,"
    "  (SELECT count(*) FROM jobs WHERE commit_id = commits.id AND type = 'run'"
    "   AND return_code = 0 AND correct = 1) AS runs_good,"
    "  (SELECT count(*) FROM jobs WHERE commit_id = commits.id AND type = 'run'"
    "   AND finished_at IS NOT NULL) AS runs_finished"
    " FROM commits"
    " LEFT JOIN jobs latest ON latest.id ="
    "  (SELECT max(id) FROM jobs WHERE jobs.commit_id = commits.id AND jobs.type = 'build')"
    " LEFT JOIN jobs jar ON jar.id ="
    "  (SELECT id FROM jobs WHERE jobs.commit_id = commits.id AND jobs.type = 'build'"
    "   AND return_code = 0 AND result_s3_key IS NOT NULL"
    "   ORDER BY finished_at DESC, id DESC LIMIT 1);",
};
#define VERSION ((int64_t)(sizeof steps / sizeof *steps))

static bool
take_step(struct database *db, int64_t from, struct failure *why)
{
	scoped_free char *mark = format("PRAGMA user_version = %d", (int)from + 1);
	return database_script(db, steps[from], why) && database_script(db, mark, why);
}

bool
schema_update(struct database *db, struct failure *why)
{
	scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
	int64_t version;
	if (!transaction_begin(&change, db, why)
	    || !database_number(db, "PRAGMA user_version", WITH_NONE, 0, &version, why))
		return false;
	if (version > VERSION)
		return fail(why, FAILURE_CONFIGURATION,
		            "the database is of version %d, this program knows up to %d: start the "
		            "later moolloy-dashboard that made it",
		            (int)version, (int)VERSION);
	for (; version < VERSION; version++)
		if (!take_step(db, version, why))
			return false;
	return transaction_commit(&change, why);
}
