/* The linear strategy: every host does the same task at the same time; who fails leaves. */
#include "ansible/core.h"
#include "ansible/include.h"
#include "ansible/meta.h"
#include "ansible/results.h"
#include "ansible/task.h"
#include <math.h>

/* Hosts at one task. */
struct wave {
	struct engine *e;
	struct arena *a;
	struct host_run **hosts;
	size_t n;
	struct task *task;
	struct frame *frame;
	struct task_run **runs;
	size_t n_runs;
	struct host_run **left; /* those of the batch that could be reached before this task */
	size_t n_left;
	bool run_once; /* one host does it for all */
	bool once;     /* one host does it, for itself or for all */
	bool over;     /* nothing follows in this batch */
};

static bool is_active(const struct host_run *hr)
{
	return !hr->failed && !hr->unreachable && !hr->ended;
}

/* The earliest task any host is at, and everybody who is at it. */
static bool wave_next(struct wave *w)
{
	struct play_run *pr = w->e->pr;
	const struct host_run *first = NULL;
	w->left = arena_array(w->a, pr->n_hosts + 1, sizeof(*w->left));
	for (size_t i = 0; i < pr->n_hosts; i++) {
		struct host_run *hr = pr->hosts[i];
		if (!hr->unreachable)
			w->left[w->n_left++] = hr;
		if (host_run_peek(w->e, hr) && (!first || host_run_cmp(hr, first) < 0))
			first = hr;
	}
	if (!first)
		return false;
	w->n = 0;
	w->hosts = arena_array(w->a, pr->n_hosts, sizeof(*w->hosts));
	for (size_t i = 0; i < pr->n_hosts; i++)
		if (pr->hosts[i]->task && host_run_cmp(pr->hosts[i], first) == 0)
			w->hosts[w->n++] = pr->hosts[i];
	w->task = first->task;
	w->frame = first->frame;
	return true;
}

static struct str banner_name(struct wave *w)
{
	struct str name = task_label(w->task);
	struct val *raw = w->task->n.kw[KW_NAME];
	if (!raw && w->task->action && w->task->action->kind == ACT_INCLUDE_ROLE) {
		const char *role =
		        val_map_strz(w->task->args, "name", val_map_strz(w->task->args, "role", ""));
		return str_c(arena_printf(w->a, "%s : %s", w->task->module_name, role));
	}
	if (!raw || !val_needs_template(raw))
		return name;
	struct scope s;
	struct err err = {0};
	struct str text;
	scope_init(&s, w->e, w->hosts[0]->host, &w->task->n, w->frame, w->a);
	if (scope_text(&s, raw, &text, &err))
		name = text;
	err_clear(&err);
	return name;
}

static void banner(struct wave *w, struct str name)
{
	const struct engine_opts *o = w->e->opts;
	bool with_role = !w->task->action || w->task->action->kind != ACT_INCLUDE_ROLE;
	if (!o->out || !o->out->task_start)
		return;
	o->out->task_start(o->out_ctx, w->task->handler ? "RUNNING HANDLER" : "TASK",
	                   with_role && w->frame && w->frame->role ? w->frame->role->name : NULL,
	                   arena_strndup(w->a, name.p, name.n), w->task->n.at);
}

/* Ends the run: what the field KW says is nothing it can mean. */
static void field_wrong(struct wave *w, enum kw kw, const struct val *v, struct err *err)
{
	err_set(errs_add(w->e->errs), ERR_USER, val_origin(v), "the field '%s' has an invalid value: %s",
	        keywords[kw].name, err_msg(err));
	err_clear(err);
}

static bool keyword_bool(struct wave *w, enum kw kw, bool dflt)
{
	struct val *v = kw_get(&w->task->n, w->frame, &w->e->pr->play->n, kw);
	struct scope s;
	struct err err = {0};
	bool ret = dflt;
	if (!v)
		return dflt;
	scope_init(&s, w->e, w->hosts[0]->host, &w->task->n, w->frame, w->a);
	if (!scope_bool(&s, v, dflt, &ret, &err))
		field_wrong(w, kw, v, &err);
	return ret;
}

static size_t throttle(struct wave *w)
{
	struct val *v = kw_get(&w->task->n, w->frame, &w->e->pr->play->n, KW_THROTTLE);
	struct scope s;
	struct err err = {0};
	double n = 0;
	if (!v)
		return SIZE_MAX;
	scope_init(&s, w->e, w->hosts[0]->host, &w->task->n, w->frame, w->a);
	if (!scope_number(&s, v, 0, &n, &err))
		field_wrong(w, KW_THROTTLE, v, &err);
	return n >= 1 ? (size_t)n : SIZE_MAX;
}

/* Runs every host's task to its end, waiting for hosts together. */
static bool wave_pump(struct wave *w, size_t limit, struct err *err)
{
	const struct link_pump *pump = w->e->opts->pump;
	for (;;) {
		bool progress = false;
		size_t open = 0;
		double wake = INFINITY;
		for (size_t i = 0; i < w->n_runs; i++) {
			if (w->runs[i]->done)
				continue;
			if (open++ < limit)
				task_run_step(w->runs[i], &progress, &wake);
		}
		open = 0;
		for (size_t i = 0; i < w->n_runs; i++)
			open += !w->runs[i]->done;
		if (!open)
			return true;
		if (progress)
			continue;
		double left = wake - engine_now();
		int ms = isinf(wake) ? -1 : left <= 0 ? 0 : (int)(left * 1000) + 1;
		if (!pump || !pump->step)
			return err_set(err, ERR_BUG, w->task->n.at, "nothing to wait with");
		if (!pump->step(pump->ctx, ms, err)) {
			w->e->cancelled = true;
			return false;
		}
	}
}

/* Fails every host of the batch but those that FAILED (by host index) just now, which are on their way to a
 * rescue. */
static void fail_all(struct wave *w, const bool *failed)
{
	for (size_t i = 0; i < w->n_left; i++) {
		struct host_run *hr = w->left[i];
		if (failed[hr->host->index])
			continue;
		w->e->host_failed[hr->host->index] = true;
		host_run_fail(w->e, hr);
	}
}

static size_t count_failed(const struct engine *e)
{
	size_t n = 0;
	for (size_t i = 0; i < e->n_stats; i++)
		n += e->host_failed[i];
	return n;
}

static bool max_fail_percentage(struct wave *w, double *ret)
{
	struct val *v = w->e->pr->play->n.kw[KW_MAX_FAIL_PERCENTAGE], *t;
	struct scope s;
	struct err err = {0};
	if (!v)
		return false;
	scope_init(&s, w->e, NULL, NULL, NULL, w->a);
	bool ok = scope_template(&s, v, &t, &err);
	if (ok && val_is_str(t)) {
		struct str text = str_trim(val_get_str(t));
		t = val_str(w->a, str_ends(text, "%") ? str_n(text.p, text.n - 1) : text);
	}
	ok = ok && scope_number(&s, t, 100, ret, &err);
	if (!ok)
		field_wrong(w, KW_MAX_FAIL_PERCENTAGE, v, &err);
	return ok;
}

static void none_left(const struct engine *e)
{
	if (e->opts->out && e->opts->out->none_left)
		e->opts->out->none_left(e->opts->out_ctx);
}

static void check_fail_percentage(struct wave *w, const bool *failed)
{
	struct play_run *pr = w->e->pr;
	double pct;
	if (max_fail_percentage(w, &pct) && (double)count_failed(w->e) / (double)pr->n_hosts > pct / 100.0) {
		fail_all(w, failed);
		pr->broken = true;
		none_left(w->e);
	}
	if (pr->broken && count_failed(w->e) >= w->n_left) {
		w->over = true;
		none_left(w->e);
	}
}

/* ---- includes ----------------------------------------------------------------------------------------- */

/* Whether A, which others wish, is what HOST wishes with B; what it wishes twice it gets twice. */
static bool same_inclusion(const struct inclusion *a, const struct inclusion *b, const struct host *host)
{
	return a->hosts[a->n_hosts - 1] != host && val_equal(a->args, b->args) && (!a->vars) == (!b->vars) &&
	       (!a->vars || val_equal(a->vars, b->vars));
}

static void include_failed(struct wave *w, struct inclusion *in, struct err *err)
{
	for (size_t i = 0; i < in->n_hosts; i++)
		for (size_t k = 0; k < w->n_runs; k++)
			if (w->runs[k]->hr->host == in->hosts[i])
				result_include_failed(w->runs[k], err);
	err_clear(err);
}

static void announce(struct wave *w, struct inclusion *in)
{
	const struct engine_opts *o = w->e->opts;
	struct buf hosts = {0};
	for (size_t i = 0; i < in->n_hosts; i++)
		buf_printf(&hosts, "%s%s", i ? ", " : "", in->hosts[i]->name);
	if (o->out && o->out->included)
		o->out->included(o->out_ctx, include_label(in), hosts.p, in->label);
	buf_free(&hosts);
}

/* What the hosts want included, the same wish of several only once, in order of first mention; then
 * everybody's way goes through their own. */
static void includes(struct wave *w)
{
	struct inclusion *all = NULL, **end = &all;
	for (size_t i = 0; i < w->n_runs; i++) {
		for (struct inclusion *in = w->runs[i]->inclusions, *next; in; in = next) {
			next = in->next;
			struct inclusion *k = all;
			while (k && !same_inclusion(k, in, w->runs[i]->hr->host))
				k = k->next;
			if (!k) {
				in->next = NULL;
				*end = k = in;
				end = &in->next;
			}
			PTRS_PUSH(w->e->pr->a, k->hosts, k->n_hosts, w->runs[i]->hr->host);
		}
	}
	for (struct inclusion *in = all; in; in = in->next) {
		struct err err = {0};
		if (include_make(w->e, in, &err))
			announce(w, in);
		else
			include_failed(w, in, &err);
	}
	/* Pushed last to first: the first one is run first. */
	for (size_t i = 0; i < w->n_runs; i++) {
		struct inclusion **v = NULL;
		size_t n = 0;
		if (!is_active(w->runs[i]->hr))
			continue;
		for (struct inclusion *in = all; in; in = in->next)
			for (size_t k = 0; in->made && k < in->n_hosts; k++)
				if (in->hosts[k] == w->runs[i]->hr->host)
					PTRS_PUSH(w->a, v, n, in);
		while (n-- > 0)
			host_run_push(w->runs[i]->hr, v[n]->made);
	}
}

/* ---- one task ----------------------------------------------------------------------------------------- */

/* What the results mean, each for its host and together for all. */
static void settle(struct wave *w)
{
	struct play_run *pr = w->e->pr;
	bool *failed = arena_array(w->a, w->e->inv->n_hosts + 1, sizeof(bool)), any = false;
	for (size_t i = 0; i < w->n_runs; i++) {
		enum outcome one = result_process(w->runs[i], w->run_once ? pr->hosts : NULL,
		                                  w->run_once ? pr->n_hosts : 0);
		failed[w->runs[i]->hr->host->index] = one == OUTCOME_FAILED;
		any |= one != OUTCOME_FINE;
	}
	includes(w);
	if (w->e->pr->apart)
		return;
	if (any && (w->once || keyword_bool(w, KW_ANY_ERRORS_FATAL, w->e->opts->any_errors_fatal)))
		fail_all(w, failed);
	check_fail_percentage(w, failed);
}

static bool wave_run(struct wave *w, struct err *err)
{
	struct str name = banner_name(w);
	size_t n = w->once ? 1 : w->n;
	if (!w->task->implicit || w->task->name.n)
		banner(w, name);
	w->runs = arena_array(w->a, n, sizeof(*w->runs));
	for (size_t i = 0; i < n; i++) {
		struct task_run *t = task_run_new(w->e, w->hosts[i], w->task, w->frame);
		t->label = arena_strndup(t->a, name.p, name.n);
		w->runs[w->n_runs++] = t;
	}
	for (size_t i = 0; i < w->n; i++)
		host_run_advance(w->hosts[i]);
	size_t most = throttle(w);
	bool ok = !w->e->errs->n && wave_pump(w, most, err);
	if (ok)
		settle(w);
	for (size_t i = 0; i < w->n_runs; i++)
		task_run_free(w->runs[i]);
	return ok;
}

/* Those about one host are announced for each; the others happen once, as the first host's condition says. */
static bool run_meta(struct wave *w, struct err *err)
{
	static const char *const each[] = {"end_host", "end_role", "flush_handlers", "noop",
	                                   "reset_connection"};
	struct str word = str_trim(val_map_str(w->task->args, "_raw_params", ""));
	size_t n = 1;
	for (size_t i = 0; i < sizeof(each) / sizeof(*each); i++)
		if (str_eqc(word, each[i]))
			n = w->n;
	for (size_t i = 0; i < n; i++) {
		if (!w->task->implicit)
			banner(w, banner_name(w));
		if (!meta_run(w->e, w->task, w->frame, w->hosts[i], err))
			return false;
		if (w->task->handler)
			handlers_ran(w->e, w->task, w->frame, n == w->n ? w->hosts[i]->host : NULL);
	}
	return true;
}

static bool run_batch(struct engine *e, struct err *err)
{
	bool over = false;
	while (!over) {
		struct wave w = {.e = e, .a = arena_new(e->pr->a)};
		if (e->errs->n || !wave_next(&w)) {
			arena_free(w.a);
			return e->errs->n == 0;
		}
		bool ok = true;
		if (w.task->action && w.task->action->kind == ACT_META) {
			for (size_t i = 0; i < w.n; i++)
				host_run_advance(w.hosts[i]);
			ok = run_meta(&w, err);
		} else {
			w.run_once = !e->pr->apart && keyword_bool(&w, KW_RUN_ONCE, false);
			w.once = w.run_once || (w.task->action && (w.task->action->flags & ACT_ONCE));
			ok = !e->errs->n && wave_run(&w, err);
		}
		over = w.over;
		arena_free(w.a);
		if (!ok)
			return false;
	}
	return true;
}

/* Whom earlier batches lost takes no part; what fails is counted anew. */
static void batch_begin(struct engine *e)
{
	struct play_run *pr = e->pr;
	pr->n_before = e->n_stats;
	pr->failed_before = arena_array(pr->a, pr->n_before + 1, sizeof(bool));
	for (size_t i = 0; i < e->n_stats; i++) {
		pr->failed_before[i] = e->host_failed[i];
		e->removed[i] = e->host_failed[i] || e->host_unreachable[i];
		e->host_failed[i] = false;
	}
}

/* Who failed is out of the plays that follow, also where only an "always" was left to do. */
static void batch_end(struct engine *e)
{
	const struct play_run *pr = e->pr;
	e->batch_failed = pr->broken;
	for (size_t i = 0; i < pr->n_hosts; i++)
		if (pr->hosts[i]->failed)
			e->batch_failed = e->host_failed[pr->hosts[i]->host->index] = true;
	for (size_t i = 0; i < pr->n_before; i++)
		if (pr->failed_before[i])
			e->batch_failed = e->host_failed[i] = true;
}

bool strategy_batch(struct engine *e, struct host **hosts, size_t n, struct err *err)
{
	struct play_run *pr = e->pr;
	pr->batch = hosts;
	pr->n_batch = pr->n_hosts = n;
	pr->hosts = arena_array(pr->a, n + 1, sizeof(*pr->hosts));
	for (size_t i = 0; i < n; i++) {
		pr->hosts[i] = ARENA_NEW(pr->a, struct host_run);
		host_run_init(e, pr->hosts[i], hosts[i]);
	}
	for (size_t i = 0; i < pr->n_handlers; i++)
		pr->handlers[i]->n_notified = 0;
	batch_begin(e);
	if (e->opts->start_at && !e->started_at) {
		bool any = false;
		for (size_t i = 0; i < n; i++)
			any |= host_run_start_at(e, pr->hosts[i]);
		e->started_at = any;
	}
	bool ok = run_batch(e, err);
	batch_end(e);
	return ok;
}
