#include "ansible/core.h"
#include "ansible/templating.h"
#include "base/fs.h"
#include "jinja/jinja.h"
#include <stdlib.h>
#include <time.h>

double engine_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct engine_stats *engine_stats_of(struct engine *e, const struct host *h)
{
	if (h->index >= e->n_stats) {
		size_t n = e->inv->n_hosts + 16;
		struct engine_stats *st = arena_array(e->a, n, sizeof(*st));
		bool *failed = arena_array(e->a, n, sizeof(bool)), *lost = arena_array(e->a, n, sizeof(bool));
		unsigned *removed = arena_array(e->a, n, sizeof(*removed));
		if (e->n_stats) {
			memcpy(st, e->stats, e->n_stats * sizeof(*st));
			memcpy(failed, e->host_failed, e->n_stats);
			memcpy(lost, e->host_unreachable, e->n_stats);
			memcpy(removed, e->removed, e->n_stats * sizeof(*removed));
		}
		e->stats = st;
		e->host_failed = failed;
		e->host_unreachable = lost;
		e->removed = removed;
		e->n_stats = n;
	}
	return &e->stats[h->index];
}

void engine_warn(struct engine *e, struct origin at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *msg = arena_vprintf(e->a, fmt, ap);
	va_end(ap);
	if (val_get(e->warned, msg))
		return;
	val_set(e->warned, msg, val_bool(true));
	if (e->opts->out && e->opts->out->warning)
		e->opts->out->warning(e->opts->out_ctx, msg, at);
}

static void loader_warn(void *ctx, struct origin at, const char *msg)
{
	engine_warn(ctx, at, "%s", msg);
}

static bool loader_template(void *ctx, struct val *v, struct str *ret, struct err *err)
{
	struct engine *e = ctx;
	struct scope s;
	scope_init(&s, e, NULL, NULL, NULL, e->a);
	return scope_text(&s, v, ret, err);
}

static struct val *version(struct arena *a)
{
	struct val *v = val_map(a);
	val_set(v, "string", val_strz(a, "2.18.0"));
	val_set(v, "full", val_strz(a, "2.18.0"));
	val_set(v, "major", val_int(a, 2));
	val_set(v, "minor", val_int(a, 18));
	val_set(v, "revision", val_int(a, 0));
	return v;
}

struct engine *engine_new(struct arena *a, const struct engine_opts *opts)
{
	struct engine *e = ARENA_NEW(a, struct engine);
	e->a = a;
	e->opts = opts;
	e->sources = opts->sources;
	e->inv = opts->inventory;
	e->inv->merge_hashes = opts->merge_hashes;
	e->loader = (struct loader){.a = a,
	                            .sources = opts->sources,
	                            .cache = val_map(a),
	                            .vault = opts->vault,
	                            .warn = loader_warn,
	                            .text = loader_template,
	                            .ctx = e};
	e->env = jinja_env_new(a, true);
	templating_add(e->env);
	e->tmpls = tmpl_cache_new(a);
	e->extra_vars = opts->extra_vars ? opts->extra_vars : val_map(a);
	e->seed = (uint64_t)time(NULL) * 6364136223846793005U + (uint64_t)(uintptr_t)e;
	e->omit = str_c(arena_printf(a, "__omit_place_holder__%016llx", (unsigned long long)e->seed));
	e->version = version(a);
	e->custom_stats = val_map(a);
	e->changes = val_list(a);
	e->failures = val_list(a);
	e->timings = val_map(a);
	e->dynamic = val_list(a);
	e->warned = val_map(a);
	inventory_settle(e->inv);
	for (size_t i = 0; i < e->inv->n_hosts; i++)
		engine_stats_of(e, e->inv->hosts[i]);
	return e;
}

static bool run_plays(struct engine *e, const struct plays *ps, struct errs *errs)
{
	bool stop = false;
	for (size_t i = 0; i < ps->n && !stop; i++) {
		struct err err = {0};
		const char *dir = ps->v[i]->dir;
		if ((dir && *dir && !inventory_playbook_dir(e->inv, dir, &err)) ||
		    !play_run(e, ps->v[i], &stop, &err)) {
			if (err_is(&err))
				err_move(errs_add(errs), &err);
			err_clear(&err);
			return false;
		}
	}
	return true;
}

/* Reads PATH and all it names statically: a broken play is known before the first one runs. */
bool playbook_read(struct engine *e, const char *path, struct plays *ps, struct errs *errs)
{
	struct err err = {0};
	bool whole = true;
	e->errs = e->loader.errs = errs;
	char *real = realpath(path, NULL);
	if (real)
		path = arena_strdup(e->a, real);
	free(real);
	e->playbook_dir = fs_dirname(e->a, path);
	if (!inventory_playbook_dir(e->inv, e->playbook_dir, &err)) {
		err_move(errs_add(errs), &err);
		return false;
	}
	if (!loader_playbook(&e->loader, path, ps))
		return false;
	for (size_t i = 0; i < ps->n; i++)
		whole = play_is_whole(e, ps->v[i]) && whole;
	return whole;
}

bool engine_playbook(struct engine *e, const char *path, struct errs *errs)
{
	struct plays ps = {0};
	return playbook_read(e, path, &ps, errs) && run_plays(e, &ps, errs);
}

bool engine_read_playbook(struct engine *e, const char *path, struct errs *errs)
{
	struct plays ps = {0};
	return playbook_read(e, path, &ps, errs);
}

bool engine_start_found(const struct engine *e)
{
	return e->started_at;
}

bool engine_missing(const struct engine *e)
{
	return e->missing;
}

bool engine_roles(struct engine *e, const char *name, struct val *roles, const char *pattern,
                  bool gather_facts, bool become, struct val *vars, struct errs *errs)
{
	struct play *p = ARENA_NEW(e->a, struct play);
	struct plays ps = {&p, 1};
	e->errs = e->loader.errs = errs;
	p->n.kind = NODE_PLAY;
	p->n.kw[KW_NAME] = val_strz(e->a, name);
	p->n.kw[KW_HOSTS] = val_strz(e->a, pattern);
	p->n.kw[KW_GATHER_FACTS] = val_bool(gather_facts);
	p->n.kw[KW_BECOME] = val_bool(become);
	p->n.kw[KW_ROLES] = roles;
	p->n.kw[KW_VARS] = vars;
	return run_plays(e, &ps, errs);
}

bool engine_role(struct engine *e, const char *role, const char *verb, const char *pattern, bool gather_facts,
                 bool become, struct val *vars, struct errs *errs)
{
	struct play *p = ARENA_NEW(e->a, struct play);
	struct plays ps = {&p, 1};
	e->errs = e->loader.errs = errs;
	p->n.kind = NODE_PLAY;
	p->n.kw[KW_NAME] = val_strf(e->a, "%s:%s", role, verb);
	p->n.kw[KW_HOSTS] = val_strz(e->a, pattern);
	p->n.kw[KW_GATHER_FACTS] = val_bool(gather_facts);
	p->n.kw[KW_BECOME] = val_bool(become);
	struct val *ds = val_map(e->a), *args = val_map(e->a), *list = val_list(e->a);
	val_set(args, "name", val_strz(e->a, role));
	if (strcmp(verb, "main") != 0)
		val_set(args, "tasks_from", val_strz(e->a, verb));
	val_set(ds, "ansible.builtin.import_role", args);
	if (vars)
		val_set(ds, "vars", vars);
	val_push(list, ds);
	struct tfile *f = ARENA_NEW(e->a, struct tfile);
	f->path = f->dir = "";
	p->tasks = parse_tasks(&e->loader, list, f, false);
	return run_plays(e, &ps, errs);
}

bool engine_has_role(struct engine *e, const char *role)
{
	return role_find(e, str_c(role), NULL, NULL) != NULL;
}

bool engine_has_verb(struct engine *e, const char *role, const char *verb)
{
	const char *path = role_find(e, str_c(role), NULL, NULL);
	return path && role_file(e->a, fs_join(e->a, path, "tasks"), verb, false);
}

const struct val *engine_argument_spec(struct engine *e, const char *role, const char *verb, struct err *err)
{
	const char *path = role_find(e, str_c(role), NULL, NULL);
	if (!path)
		return NULL;
	const char *dir = fs_join(e->a, path, "meta");
	static const char *const files[] = {"argument_specs", "main"};
	for (size_t i = 0; i < 2; i++) {
		const char *f = role_file(e->a, dir, files[i], false);
		struct val *doc;
		if (!f)
			continue;
		if (!loader_vars(&e->loader, f, &doc, err))
			return NULL;
		const struct val *specs = val_get(doc, "argument_specs");
		const struct val *one = specs && val_is_map(specs) ? val_get(specs, verb) : NULL;
		if (one && val_is_map(one))
			return one;
	}
	return NULL;
}

static bool file_defines(struct engine *e, const char *role_dir, const char *sub, struct str name)
{
	const char *f = role_file(e->a, fs_join(e->a, role_dir, sub), "main", false);
	struct err err = {0};
	struct val *doc;
	bool ok = f && loader_vars(&e->loader, f, &doc, &err);
	err_clear(&err); /* the static check has named it */
	return ok && val_is_map(doc) && val_gets(doc, name);
}

bool engine_role_defines(struct engine *e, const char *role, struct str name)
{
	const char *path = role_find(e, str_c(role), NULL, NULL);
	if (path && (file_defines(e, path, "defaults", name) || file_defines(e, path, "vars", name)))
		return true;
	if (e->opts->extra_vars && val_gets(e->opts->extra_vars, name))
		return true;
	for (size_t i = 0; i < e->inv->n_hosts; i++)
		if (val_gets(host_inventory_vars(e->inv, e->inv->hosts[i]), name))
			return true;
	return false;
}

const struct engine_stats *engine_host_stats(const struct engine *e, const char *host)
{
	/* Also of one that a refreshed inventory has no more. */
	for (size_t i = 0; i < e->inv->n_hosts && i < e->n_stats; i++)
		if (strcmp(e->inv->hosts[i]->name, host) == 0)
			return &e->stats[i];
	return NULL;
}

bool engine_started(const struct engine *e)
{
	return e->n_seen > 0;
}

bool engine_failed(const struct engine *e)
{
	return e->batch_failed || engine_unreachable(e);
}

bool engine_unreachable(const struct engine *e)
{
	for (size_t i = 0; i < e->n_stats; i++)
		if (e->host_unreachable[i])
			return true;
	return false;
}

void engine_clear_stats(struct engine *e)
{
	e->custom_stats = val_map(e->a);
}

struct val *engine_custom_stats(const struct engine *e)
{
	return e->custom_stats;
}

struct val *engine_changes(const struct engine *e)
{
	return e->changes;
}

struct val *engine_failures(const struct engine *e)
{
	return e->failures;
}

const struct val *engine_timings(const struct engine *e)
{
	return e->timings;
}

struct val *engine_hosts(const struct engine *e)
{
	struct val *list = val_list(e->a);
	for (size_t i = 0; i < e->n_seen; i++) {
		const struct engine_stats *s = &e->stats[e->seen[i]->index];
		if (s->ok || s->changed || s->unreachable || s->failed || s->skipped || s->rescued ||
		    s->ignored)
			val_push(list, val_strz(e->a, e->seen[i]->name));
	}
	return list;
}

void engine_recap_line(const struct engine *e, const char *host, struct buf *out)
{
	const struct engine_stats *s = engine_host_stats(e, host);
	if (s)
		buf_printf(out,
		           "%-26s : ok=%-4u changed=%-4u unreachable=%-4u failed=%-4u skipped=%-4u "
		           "rescued=%-4u ignored=%-4u",
		           host, s->ok, s->changed, s->unreachable, s->failed, s->skipped, s->rescued,
		           s->ignored);
}
