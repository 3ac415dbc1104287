#include "ansible/results.h"
#include "ansible/core.h"
#include "ansible/include.h"
#include "ansible/task.h"
#include "base/log.h"
#include "base/secret.h"

struct val *result_veil(struct arena *a, struct val *v)
{
	struct val *out = v;
	struct buf b = {0};
	if (!val_secret_deep(v))
		return v;
	if (val_is_list(v)) {
		out = val_list(a);
		VAL_EACH (i, v)
			val_push(out, result_veil(a, val_at(v, i)));
	} else if (val_is_map(v)) {
		out = val_map(a);
		MAP_EACH (i, v)
			val_setk(out, result_veil(a, val_key_at(v, i)), result_veil(a, val_value_at(v, i)));
	} else if (val_is_str(v) || val_is_num(v)) {
		struct str text = val_text(v, a);
		if (log_redact(text, &b))
			out = val_str(a, buf_str(&b));
		else if (text.n >= SECRET_MIN)
			out = val_strz(a, "***");
		buf_burn(&b);
	}
	return out;
}

bool result_failed(const struct val *result)
{
	const struct val *results = val_get(result, "results"), *said = val_get(result, "failed_when_result");
	bool asked = said != NULL, failed = asked && val_truthy(said);
	for (size_t i = 0; results && val_is_list(results) && i < val_len(results); i++) {
		const struct val *one = val_at(results, i);
		said = val_is_map(one) ? val_get(one, "failed_when_result") : NULL;
		asked = asked || said;
		failed = failed || (said && val_truthy(said));
	}
	return asked ? failed : val_map_bool(result, "failed", false);
}

static void strip(struct val *v)
{
	for (size_t i = val_len(v); i-- > 0;) {
		const struct val *k = val_key_at(v, i);
		if (val_is_str(k) &&
		    (str_starts(val_get_str(k), "_ansible_") || str_eqc(val_get_str(k), "invocation")))
			val_delk(v, k);
	}
}

/* What a task leaves behind: without what is only for the display, and never to be evaluated again. */
static struct val *registered(struct engine *e, struct host *h, const struct val *result)
{
	(void)e;
	struct val *v = val_copy_unsafe(h->a, result);
	struct val *results = val_get(v, "results");
	strip(v);
	for (size_t i = 0; results && val_is_list(results) && i < val_len(results); i++)
		if (val_is_map(val_at(results, i)))
			strip(val_at(results, i));
	return v;
}

static void store_facts(struct task_run *t, struct host_run *hr, const struct val *one, struct host *delegate)
{
	struct engine *e = t->e;
	const struct val *facts = val_get(one, "ansible_facts");
	const char *act = t->task->action ? t->task->action->name : "";
	if (!facts || !val_is_map(facts))
		return;
	struct val *df = kw_get(&t->task->n, t->frame, &e->pr->play->n, KW_DELEGATE_FACTS);
	struct err err = {0};
	bool to_delegate = false;
	if (!scope_bool(&t->s, df, false, &to_delegate, &err))
		err_clear(&err);
	struct host *h = to_delegate && delegate ? delegate : hr->host;
	if (strcmp(act, "include_vars") == 0) {
		struct val *copy = val_copy(h->a, facts);
		h->included = val_merge(h->a, h->included, copy, e->opts->merge_hashes);
		return;
	}
	bool set_fact = strcmp(act, "set_fact") == 0;
	if (!set_fact || val_map_bool(one, "_ansible_facts_cacheable", false))
		facts_store(e, h, facts);
	for (size_t i = 0; set_fact && i < val_len(facts); i++)
		val_setk(h->set_vars, val_copy(h->a, val_key_at(facts, i)),
		         val_copy(h->a, val_value_at(facts, i)));
}

/* After hosts or groups came: who is in what, and the files there are for them. */
static void settle(struct engine *e)
{
	struct err err = {0};
	inventory_settle(e->inv);
	if (!inventory_read_files(e->inv, &err))
		err_move(errs_add(e->errs), &err);
}

static void add_host(struct engine *e, const struct val *info)
{
	val_push(e->dynamic, val_copy(e->a, info));
	bool came = !inventory_host(e->inv, val_map_str(info, "host_name", ""));
	struct host *h = inventory_add_host(e->inv, val_map_str(info, "host_name", ""));
	if (came) {
		/* As of the play, though it does not run on it. */
		PTRS_PUSH(e->pr->a, e->pr->named, e->pr->n_named, h);
		/* Before the hosts that "all" has from its groups. */
		group_add_host(e->inv, e->inv->groups[0], h);
	}
	const struct val *vars = val_get(info, "host_vars"), *groups = val_get(info, "groups");
	h->implicit = false;
	for (size_t i = 0; vars && i < val_len(vars); i++)
		val_setk(h->vars, val_copy(e->a, val_key_at(vars, i)), val_copy(e->a, val_value_at(vars, i)));
	for (size_t i = 0; groups && i < val_len(groups); i++)
		group_add_host(e->inv, inventory_add_group(e->inv, val_get_str(val_at(groups, i))), h);
	engine_stats_of(e, h);
	settle(e);
}

static void add_group(struct engine *e, struct host *h, const struct val *one)
{
	struct val *said = val_map(e->a);
	val_set(said, "of", val_strz(e->a, h->name));
	val_set(said, "add_group", val_copy(e->a, val_get(one, "add_group")));
	if (val_get(one, "parent_groups"))
		val_set(said, "parent_groups", val_copy(e->a, val_get(one, "parent_groups")));
	val_push(e->dynamic, said);
	struct group *g = inventory_add_group(e->inv, val_map_str(one, "add_group", ""));
	const struct val *parents = val_get(one, "parent_groups");
	for (size_t i = 0; parents && i < val_len(parents); i++)
		group_add_child(e->inv, inventory_add_group(e->inv, val_get_str(val_at(parents, i))), g);
	group_add_host(e->inv, g, h);
	settle(e);
}

bool result_refresh(struct engine *e, struct err *err)
{
	const struct val *said = e->dynamic;
	e->dynamic = val_list(e->a);
	if (!inventory_refresh(e->inv, err))
		return false;
	for (size_t i = 0; i < e->inv->n_hosts; i++)
		engine_stats_of(e, e->inv->hosts[i]);
	VAL_EACH (i, said) {
		const struct val *one = val_at(said, i);
		struct host *h = inventory_host(e->inv, val_map_str(one, "of", ""));
		if (val_get(one, "host_name"))
			add_host(e, one);
		else if (h)
			add_group(e, h, one);
	}
	for (size_t i = 0; i < e->pr->n_hosts; i++)
		if (e->pr->hosts[i]->host->gone)
			host_run_end(e, e->pr->hosts[i]);
	return true;
}

static struct val *stats_merge(struct engine *e, struct val *old, struct val *v)
{
	if (!old)
		return val_copy(e->a, v);
	if (val_is_map(old) && val_is_map(v))
		return val_merge(e->a, old, val_copy(e->a, v), true);
	if (val_is_list(old) && val_is_list(v)) {
		struct val *sum = val_shallow(e->a, old);
		VAL_EACH (i, v)
			val_push(sum, val_copy(e->a, val_at(v, i)));
		return sum;
	}
	if (val_kind(old) == VAL_INT && val_kind(v) == VAL_INT)
		return val_int(e->a, val_get_int(old) + val_get_int(v));
	if (val_is_str(old) && val_is_str(v))
		return val_strf(e->a, "%s%s", val_get_strz(old), val_get_strz(v));
	return val_copy(e->a, v);
}

/* FIRST: of the hosts a run_once stands for, the one it ran on; what is not per host counts once. */
static void custom_stats(struct engine *e, const struct host *h, const struct val *one, bool first)
{
	const struct val *st = val_get(one, "ansible_stats");
	const struct val *data = st && val_is_map(st) ? val_get(st, "data") : NULL;
	if (!data || !val_is_map(data))
		return;
	struct val *into = e->custom_stats;
	bool per_host = val_map_bool(st, "per_host", false);
	if (!first && !per_host)
		return;
	if (per_host) {
		struct val *per = val_get(into, "_per_host");
		if (!per)
			val_set(into, "_per_host", per = val_map(e->a));
		if (!val_get(per, h->name))
			val_set(per, h->name, val_map(e->a));
		into = val_get(per, h->name);
	}
	bool aggregate = val_map_bool(st, "aggregate", true);
	MAP_EACH (i, data) {
		struct str k = val_text(val_key_at(data, i), e->a);
		struct val *old = aggregate ? val_gets(into, k) : NULL;
		val_sets(into, k, stats_merge(e, old, val_value_at(data, i)));
	}
}

static void missing_handler(struct task_run *t, struct str name)
{
	static const char words[] =
	        "The requested handler '%.*s' was not found in either the main handlers list nor in "
	        "the listening handlers list";
	if (t->e->opts->missing_handlers)
		engine_warn(t->e, t->task->n.at, words, STR_FMT(name));
	else if (!t->e->errs->n)
		err_set(errs_add(t->e->errs), ERR_USER, t->task->n.at, words, STR_FMT(name));
}

static void notify(struct task_run *t, struct host_run *hr, const struct item_run *r)
{
	struct val *raw = kw_get(&t->task->n, t->frame, &t->e->pr->play->n, KW_NOTIFY), *names;
	struct err err = {0};
	struct scope *s = r ? (struct scope *)&r->s : &t->s;
	if (!raw)
		return;
	if (!scope_template(s, raw, &names, &err)) {
		err_move(errs_add(t->e->errs), &err);
		return;
	}
	struct val *flat = val_list(t->a), *outer = val_list(t->a);
	if (!val_is_list(names))
		val_push(outer, names);
	names = val_is_list(names) ? names : outer;
	VAL_EACH (i, names) {
		struct val *one = val_at(names, i);
		for (size_t k = 0; val_is_list(one) && k < val_len(one); k++)
			val_push(flat, val_at(one, k));
		if (!val_is_list(one))
			val_push(flat, one);
	}
	VAL_EACH (i, flat) {
		struct str name = val_text(val_at(flat, i), t->a);
		if (name.n && !handlers_notify(t->e, hr, name))
			missing_handler(t, name);
	}
}

/* One item's effects, or those of a task without a loop. */
static void apply_one(struct task_run *t, struct host_run *hr, const struct item_run *r,
                      const struct val *one)
{
	struct engine *e = t->e;
	if (result_failed(one) || val_map_bool(one, "skipped", false))
		return;
	store_facts(t, hr, one, r->s.delegate);
	custom_stats(e, hr->host, one, hr == t->hr);
	if (hr != t->hr)
		return;
	if (val_map_bool(t->result, "changed", false))
		notify(t, hr, r);
	const struct val *info = val_get(one, "add_host");
	if (info && val_is_map(info))
		add_host(e, info);
	if (val_get(one, "add_group") && t->task->action && strcmp(t->task->action->name, "group_by") == 0)
		add_group(e, hr->host, one);
}

static void remember_failure(struct task_run *t, struct host_run *hr, bool unreachable)
{
	struct engine *e = t->e;
	struct val *m = val_at_origin(e->a, val_map(e->a), t->task->n.at);
	const struct val *res = result_veil(e->a, t->result);
	const char *msg = val_map_strz(res, "msg", "");
	const struct val *results = val_get(res, "results");
	for (size_t i = 0; results && val_is_list(results) && i < val_len(results); i++)
		if (val_map_bool(val_at(results, i), "failed", false)) {
			res = val_at(results, i);
			msg = val_map_strz(res, "msg", msg);
		}
	if (t->no_log)
		msg = "(hidden by no_log)";
	val_set(m, "host", val_strz(e->a, hr->host->name));
	val_set(m, "task", val_strz(e->a, t->label));
	val_set(m, "role", t->frame && t->frame->role ? val_strz(e->a, t->frame->role->name) : val_null());
	val_set(m, "msg", val_strz(e->a, msg));
	if (!t->no_log) {
		val_set(m, "stderr", val_str(e->a, val_map_str(res, "stderr", "")));
		val_set(m, "rc", val_int(e->a, val_map_int(res, "rc", 0)));
	}
	struct source_pos pos;
	if (sources_locate(e->sources, t->task->n.at, &pos)) {
		val_set(m, "file", val_strz(e->a, pos.file));
		val_set(m, "line", val_int(e->a, pos.line));
	}
	val_set(m, "unreachable", val_bool(unreachable));
	val_push(e->failures, m);
}

static void remember_change(struct task_run *t, struct host_run *hr)
{
	struct engine *e = t->e;
	struct val *m = val_map(e->a);
	val_set(m, "host", val_strz(e->a, hr->host->name));
	val_set(m, "task", val_strz(e->a, t->label));
	val_set(m, "role", t->frame && t->frame->role ? val_strz(e->a, t->frame->role->name) : val_null());
	val_set(m, "action", val_strz(e->a, t->task->module_name));
	val_set(m, "seconds", val_float(e->a, engine_now() - t->started));
	val_push(e->changes, m);
}

/* The task as a rescue sees it: its words, and the parameters it ran with. */
static struct val *told_task(struct task_run *t, struct arena *a)
{
	const struct val *args = t->items || !t->n_done ? NULL : t->v[0]->args;
	struct val *info = val_map(a);
	for (enum kw i = 0; i < KW_N; i++) {
		struct val *v = kw_get(&t->task->n, t->frame, &t->e->pr->play->n, i);
		if (keywords[i].where & ON_TASK)
			val_set(info, keywords[i].name, v ? val_copy(a, v) : val_null());
	}
	val_set(info, "name", val_strz(a, t->task->name.n ? t->label : ""));
	val_set(info, "action", val_strz(a, t->task->module_name));
	val_set(info, "args", val_copy(a, args ? args : t->task->args));
	return info;
}

/* EVERYBODY: a task that stands for all hosts failed. */
static void failed(struct task_run *t, bool everybody)
{
	struct engine *e = t->e;
	struct host_run *hr = t->hr;
	bool rescued = host_run_fail(e, hr);
	for (size_t i = 0; everybody && i < e->pr->n_hosts; i++)
		if (e->pr->hosts[i] != hr && !e->pr->hosts[i]->unreachable)
			host_run_fail(e, e->pr->hosts[i]);
	if (hr->failed)
		e->host_failed[hr->host->index] = true;
	if (!rescued) {
		engine_stats_of(e, hr->host)->failed++;
		remember_failure(t, hr, false);
		return;
	}
	hr->failed_task = val_mark_unsafe(hr->host->a, told_task(t, hr->host->a));
	hr->failed_result = registered(e, hr->host, t->result);
	e->removed[hr->host->index]--;
	engine_stats_of(e, hr->host)->rescued++;
}

static void unreachable(struct task_run *t, struct host_run *hr)
{
	struct engine *e = t->e;
	struct engine_stats *st = engine_stats_of(e, hr->host);
	if (t->ignored) {
		st->ok++;
		st->ignored++;
		return;
	}
	st->unreachable++;
	hr->unreachable = true;
	e->host_unreachable[hr->host->index] = true;
	e->removed[hr->host->index]++;
	remember_failure(t, hr, true);
}

static void register_result(struct task_run *t, struct host_run *hr)
{
	const struct val *reg = t->task->n.kw[KW_REGISTER];
	if (!reg || !val_is_str(reg))
		return;
	struct host *h = hr->host;
	val_sets(h->set_vars, val_get_str(reg), registered(t->e, h, t->result));
}

/* What the task leaves behind on HR, its own host or another one it stands for. */
static void leave_behind(struct task_run *t, struct host_run *hr)
{
	const struct val *res = t->result;
	if (!val_map_bool(res, "unreachable", false) && !result_failed(res))
		for (size_t i = 0; i < t->n_done; i++)
			apply_one(t, hr, t->v[i], t->v[i]->result);
	register_result(t, hr);
}

static void count(struct task_run *t)
{
	struct engine_stats *st = engine_stats_of(t->e, t->hr->host);
	const struct val *res = t->result;
	bool changed = val_map_bool(res, "changed", false);
	if (val_map_bool(res, "skipped", false)) {
		st->skipped++;
		return;
	}
	/* Of an include every file counts. */
	unsigned files = 0;
	for (const struct inclusion *in = t->inclusions; in; in = in->next)
		files++;
	st->ok += files ? files : 1;
	st->changed += changed;
	if (changed)
		remember_change(t, t->hr);
}

/* Hosts work side by side: a task took as long as its slowest. */
static void remember_time(struct task_run *t)
{
	struct engine *e = t->e;
	const struct role *role = t->frame ? t->frame->role : NULL;
	const char *key = role ? arena_printf(t->a, "%s: %s", role->name, t->label) : t->label;
	const struct val *old = val_get(e->timings, key);
	double seconds = engine_now() - t->started;
	if (!old || val_get_float(old) < seconds)
		val_set(e->timings, key, val_float(e->a, seconds));
}

enum outcome result_process(struct task_run *t, struct host_run **all, size_t n_all)
{
	struct engine_stats *st = engine_stats_of(t->e, t->hr->host);
	const struct val *res = t->result;
	enum outcome ret = OUTCOME_FINE;
	remember_time(t);
	if (t->task->handler)
		handlers_ran(t->e, t->task, t->frame, all ? NULL : t->hr->host);
	if (val_map_bool(res, "unreachable", false)) {
		unreachable(t, t->hr);
		ret = OUTCOME_LOST;
	} else if (!result_failed(res)) {
		count(t);
	} else if (!t->ignored) {
		failed(t, all != NULL);
		ret = OUTCOME_FAILED;
	} else {
		st->ok++;
		st->ignored++;
		st->changed += val_map_bool(res, "changed", false);
	}
	leave_behind(t, t->hr);
	for (size_t i = 0; i < n_all; i++)
		if (all[i] != t->hr && !all[i]->unreachable)
			leave_behind(t, all[i]);
	return ret;
}

void result_include_failed(struct task_run *t, const struct err *why)
{
	struct buf b = {0};
	err_text(why, &b);
	struct val *m = val_map(t->a), *shown = val_map(t->a);
	val_set(m, "failed", val_bool(true));
	val_set(m, "msg", val_str(t->a, buf_str(&b)));
	val_set(shown, "reason", val_str(t->a, buf_str(&b)));
	buf_free(&b);
	t->result = m;
	struct engine_result ev = {.kind = RES_FAILED,
	                           .host = t->hr->host->name,
	                           .action = t->task->module_name,
	                           .task = t->label,
	                           .result = shown,
	                           .at = t->task->n.at};
	const struct engine_opts *o = t->e->opts;
	if (o->out && o->out->result)
		o->out->result(o->out_ctx, &ev);
	/* Counted as failed even where a rescue goes on, which is told nothing. */
	struct engine_stats *st = engine_stats_of(t->e, t->hr->host);
	st->ok--;
	st->failed++;
	t->e->host_failed[t->hr->host->index] = true;
	host_run_fail(t->e, t->hr);
	remember_failure(t, t->hr, false);
}

void result_meta_failed(struct engine *e, struct host_run *hr, struct task *task, struct frame *f,
                        const struct err *why)
{
	struct task_run *t = task_run_new(e, hr, task, f);
	engine_stats_of(e, hr->host)->ok++;
	result_include_failed(t, why);
	task_run_free(t);
}
