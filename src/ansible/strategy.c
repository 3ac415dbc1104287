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
	bool once;
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
	for (size_t i = 0; i < pr->n_hosts; i++) {
		struct host_run *hr = pr->hosts[i];
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
		err_clear(&err);
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
		err_clear(&err);
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

static void fail_all(struct wave *w, const struct host_run *but)
{
	struct play_run *pr = w->e->pr;
	for (size_t i = 0; i < pr->n_hosts; i++) {
		struct host_run *hr = pr->hosts[i];
		if (hr == but || !is_active(hr))
			continue;
		host_run_fail(hr);
		if (hr->failed)
			w->e->host_failed[hr->host->index] = true;
	}
}

static void check_fail_percentage(struct wave *w)
{
	struct play_run *pr = w->e->pr;
	struct val *v = pr->play->n.kw[KW_MAX_FAIL_PERCENTAGE];
	struct scope s;
	struct err err = {0};
	double pct;
	size_t failed = 0;
	if (!v)
		return;
	scope_init(&s, w->e, NULL, NULL, NULL, w->a);
	if (!scope_number(&s, v, 100, &pct, &err)) {
		err_clear(&err);
		return;
	}
	for (size_t i = 0; i < pr->n_hosts; i++)
		failed += pr->hosts[i]->failed || pr->hosts[i]->unreachable;
	if (failed && (double)failed * 100.0 / (double)pr->n_hosts > pct) {
		fail_all(w, NULL);
		pr->ended_by_error = true;
	}
}

/* ---- includes ----------------------------------------------------------------------------------------- */

static bool same_inclusion(const struct inclusion *a, const struct inclusion *b)
{
	return val_equal(a->args, b->args) && (!a->vars) == (!b->vars) &&
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

/* What the hosts want included, the same wish only once, in order of first mention; then everybody's way goes
 * through their own. */
static void includes(struct wave *w)
{
	struct inclusion *all = NULL, **end = &all;
	for (size_t i = 0; i < w->n_runs; i++) {
		for (struct inclusion *in = w->runs[i]->inclusions, *next; in; in = next) {
			next = in->next;
			struct inclusion *k = all;
			while (k && !same_inclusion(k, in))
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
	bool ok = wave_pump(w, throttle(w), err), any_failed = false;
	for (size_t i = 0; ok && i < w->n_runs; i++)
		any_failed |= result_process(w->runs[i], w->once ? w->hosts : NULL, w->once ? w->n : 0);
	if (ok)
		includes(w);
	if (ok && any_failed && keyword_bool(w, KW_ANY_ERRORS_FATAL, false)) {
		fail_all(w, NULL);
		w->e->pr->ended_by_error = true;
	}
	if (ok)
		check_fail_percentage(w);
	for (size_t i = 0; i < w->n_runs; i++)
		task_run_free(w->runs[i]);
	return ok;
}

/* Those about one host are announced for each. */
static bool run_meta(struct wave *w, struct err *err)
{
	struct str word = val_map_str(w->task->args, "_raw_params", "");
	bool each = str_eqc(word, "end_host") || str_eqc(word, "noop") || str_eqc(word, "reset_connection");
	for (size_t i = 0; i < w->n; i++) {
		if (!w->task->implicit && (each || i == 0))
			banner(w, banner_name(w));
		if (!meta_run(w->e, w->task, w->frame, w->hosts + i, 1, err))
			return false;
	}
	return true;
}

static bool run_batch(struct engine *e, struct err *err)
{
	for (;;) {
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
			w.once = w.n > 0 && (keyword_bool(&w, KW_RUN_ONCE, false) ||
			                     (w.task->action && (w.task->action->flags & ACT_ONCE)));
			ok = wave_run(&w, err);
		}
		arena_free(w.a);
		if (!ok)
			return false;
	}
}

/* Hosts that failed still run their handlers when asked to. */
static bool forced_handlers(struct engine *e, struct err *err)
{
	struct play_run *pr = e->pr;
	bool any = false;
	if (!pr->force_handlers)
		return true;
	for (size_t i = 0; i < pr->n_hosts; i++) {
		struct host_run *hr = pr->hosts[i];
		if (!hr->failed || !val_len(hr->notifications))
			continue;
		any = hr->forced = true;
		hr->failed = hr->flushing = false;
		hr->unit = pr->n_units;
		hr->started = false;
		hr->n = 0;
		host_run_flush(e, hr);
	}
	bool ok = !any || run_batch(e, err);
	for (size_t i = 0; i < pr->n_hosts; i++)
		pr->hosts[i]->failed |= pr->hosts[i]->forced;
	return ok;
}

bool strategy_batch(struct engine *e, struct host **hosts, size_t n, struct err *err)
{
	struct play_run *pr = e->pr;
	pr->batch = hosts;
	pr->n_batch = pr->n_hosts = n;
	pr->hosts = arena_array(pr->a, n + 1, sizeof(*pr->hosts));
	for (size_t i = 0; i < n; i++) {
		pr->hosts[i] = ARENA_NEW(pr->a, struct host_run);
		host_run_init(pr->hosts[i], pr, hosts[i]);
	}
	for (size_t i = 0; i < pr->n_handlers; i++)
		pr->handlers[i]->n_notified = 0;
	return run_batch(e, err) && forced_handlers(e, err);
}
