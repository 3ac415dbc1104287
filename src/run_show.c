/*
 * How the roles' run is shown: a group for each role, a line for each task once all hosts are through with
 * it, and more only for what changed, failed or takes long.
 */
#include "run.h"

#include "ansible/engine.h"
#include "base/json.h"
#include "base/log.h"
#include "net/loop.h"
#include "report.h"

enum { SHOWN_HOSTS = 12 };

struct progress {
	struct run *r;
	const char *phase; /* "Role", "Verify": what its groups are called */
	const char *role;
	char task[256];
	bool open; /* a task is under way */
	int64_t began;
	unsigned count[5];        /* hosts by enum result_kind */
	unsigned ignored;         /* of those that failed */
	struct buf changed, said; /* names; what went wrong, and what debug shows */
	unsigned named;
	struct loop_timer named_timer;
	int64_t line_at; /* when a child's line was last shown */
};

static void done(void *p)
{
	struct progress *g = p;

	buf_free(&g->changed);
	buf_free(&g->said);
}

struct progress *progress_new(struct run *r)
{
	struct progress *p = ARENA_NEW(r->a, struct progress);

	p->r = r;
	p->role = "";
	p->phase = "Role";
	arena_defer(r->a, done, p);
	return p;
}

/* A task that takes longer shows what it says, at most a line every few seconds: a sign of life, not a
 * transcript. */
#define QUIET_MS 4000
#define LINE_MS 5000

/* And it is named when it has gone on for a while, so that a quiet one is not taken for a dead one. */
#define NAMED_AFTER_MS 3000
#define NAMED_AGAIN_MS 30000

/* "  1.2s  changed  Install the packages   (node1, node2)" */
static void end_task(struct progress *p)
{
	unsigned bad = p->count[RES_FAILED] + p->count[RES_UNREACHABLE];
	const char *word = bad > p->ignored        ? "FAILED"
	                   : bad                   ? "ignored"
	                   : p->count[RES_CHANGED] ? "changed"
	                   : p->count[RES_OK]      ? "ok"
	                                           : "skipped";
	double seconds = (double)(loop_now() - p->began) / 1000;

	if (!p->open)
		return;
	p->open = false;
	loop_timer_stop(p->r->loop, &p->named_timer);
	if (strcmp(word, "skipped") != 0 || log_on(LOG_VERBOSE))
		log_line(LOG_INFO, "  %6.1fs  %-8s %s%s%s%s", seconds, word, p->task,
		         p->changed.n ? "  (" : "", p->changed.n ? p->changed.p : "",
		         p->changed.n ? ")" : "");
	if (p->said.n)
		gh_foreign(&p->r->gh, buf_str(&p->said));
	buf_clear(&p->changed);
	buf_clear(&p->said);
	memset(p->count, 0, sizeof(p->count));
	p->named = p->ignored = 0;
}

void progress_phase(struct progress *p, const char *phase)
{
	p->phase = phase;
}

void progress_end(struct progress *p)
{
	end_task(p);
	gh_end_group(&p->r->gh);
	p->role = "";
}

static void still_at_it(void *ctx)
{
	struct progress *p = ctx;

	log_line(LOG_INFO, "  %6.1fs  running  %s", (double)(loop_now() - p->began) / 1000, p->task);
	loop_timer_set(p->r->loop, &p->named_timer, NAMED_AGAIN_MS);
}

static void on_task(void *ctx, const char *kind, const char *role, const char *name, struct origin at)
{
	struct progress *p = ctx;
	struct buf line = {0};

	(void)kind;
	(void)at;
	end_task(p);
	if (role && strcmp(role, p->role) != 0) {
		p->role = arena_strdup(p->r->a, role);
		gh_group(&p->r->gh, arena_printf(p->r->a, "%s %s", p->phase, role));
	}
	log_redact(str_c(name), &line);
	snprintf(p->task, sizeof(p->task), "%s", line.p ? line.p : "");
	buf_free(&line);
	p->open = true;
	p->began = loop_now();
	p->named_timer.fn = still_at_it;
	p->named_timer.ctx = p;
	loop_timer_set(p->r->loop, &p->named_timer, NAMED_AFTER_MS);
}

/* A machine's short name: what is common to all of the app is left out. */
static const char *shorten(const struct progress *p, const char *host)
{
	size_t n = strlen(p->r->model.owner);

	return strncmp(host, p->r->model.owner, n) == 0 && host[n] == '-' ? host + n + 1 : host;
}

/* TEXT with the machine's name before each line; a secret that goes over several is hidden before that. */
static void add_lines(struct progress *p, const char *host, const char *mark, struct str text)
{
	struct buf clean = {0};
	struct str rest;

	log_redact(text, &clean);
	rest = str_trim(buf_str(&clean));
	do {
		struct str line = str_split(&rest, '\n');

		buf_printf(&p->said, "           %s%s %.*s\n", shorten(p, host), mark, STR_FMT(line));
		mark = "|";
	} while (rest.p);
	buf_burn(&clean);
}

static void add_failure(struct progress *p, const struct engine_result *res)
{
	struct str msg = val_is_map(res->result) ? val_map_str(res->result, "msg", "") : STR("");
	struct str err = val_is_map(res->result) ? val_map_str(res->result, "stderr", "") : STR("");

	add_lines(p, res->host, ":", msg);
	if (str_trim(err).n && !str_eq(err, msg))
		add_lines(p, res->host, "|", err);
}

static bool is_debug(const struct engine_result *res)
{
	const char *dot = strrchr(res->action, '.');

	return strcmp(dot ? dot + 1 : res->action, "debug") == 0;
}

/* debug is there to be seen: its message, or the variable it names. */
static void add_debug(struct progress *p, const struct engine_result *res)
{
	for (size_t i = 0; val_is_map(res->result) && i < val_len(res->result); i++) {
		struct str key = val_text(val_key_at(res->result, i), p->r->a);
		const struct val *v = val_value_at(res->result, i);
		struct buf b = {0};

		if (str_starts(key, "_ansible") || str_eqc(key, "changed") || str_eqc(key, "failed"))
			continue;
		if (!str_eqc(key, "msg"))
			buf_printf(&b, "%.*s: ", STR_FMT(key));
		if (val_is_str(v))
			buf_addstr(&b, val_get_str(v));
		else
			json_dump(v, (struct json_style){4, true, false, false}, &b);
		add_lines(p, res->host, ":", buf_str(&b));
		buf_burn(&b);
		return;
	}
}

static void on_result(void *ctx, const struct engine_result *res)
{
	struct progress *p = ctx;

	if (!res->is_loop && !res->no_log && res->kind == RES_OK && is_debug(res))
		add_debug(p, res);
	if (res->is_item)
		return;
	p->ignored += res->ignored && (res->kind == RES_FAILED || res->kind == RES_UNREACHABLE);
	p->count[res->kind]++;
	if (res->kind == RES_CHANGED && p->named++ < SHOWN_HOSTS)
		buf_printf(&p->changed, "%s%s", p->changed.n ? ", " : "", shorten(p, res->host));
	if (res->kind == RES_FAILED || res->kind == RES_UNREACHABLE)
		add_failure(p, res);
}

static void on_retry(void *ctx, const char *host, const char *task, int left, const struct val *result)
{
	struct progress *p = ctx;

	(void)result;
	log_line(LOG_VERBOSE, "           %s: %s: not yet, %d tries left", shorten(p, host), task, left);
}

static void on_warning(void *ctx, const char *msg, struct origin at)
{
	struct progress *p = ctx;

	report_warn(&p->r->gh, p->r->ss, at, msg);
}

static void on_line(void *ctx, const char *host, struct str line)
{
	struct progress *p = ctx;
	int64_t now = loop_now();
	struct buf b = {0};

	if (str_trim(line).n == 0 ||
	    (!log_on(LOG_VERBOSE) && (now - p->began < QUIET_MS || now - p->line_at < LINE_MS)))
		return;
	p->line_at = now;
	buf_printf(&b, "           %s| %.*s\n", shorten(p, host), STR_FMT(line));
	gh_foreign(&p->r->gh, buf_str(&b));
	buf_free(&b);
}

static void on_note(void *ctx, const char *text)
{
	struct progress *p = ctx;
	struct buf b = {0};

	buf_printf(&b, "           %s\n", text);
	gh_foreign(&p->r->gh, buf_str(&b));
	buf_free(&b);
}

const struct engine_output progress_output = {
        .task_start = on_task,
        .result = on_result,
        .retry = on_retry,
        .warning = on_warning,
        .progress = on_line,
        .note = on_note,
};
