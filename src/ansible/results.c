#include "ansible/results.h"
#include "ansible/core.h"
#include "ansible/include.h"
#include "ansible/task.h"

/* What a task leaves behind: without what is only for the display. */
static struct val *registered(struct engine *e, struct host *h, const struct val *result)
{
	(void)e;
	struct val *v = val_copy(h->a, result);
	for (size_t i = val_len(v); i-- > 0;) {
		const struct val *k = val_key_at(v, i);
		if (val_is_str(k) &&
		    (str_starts(val_get_str(k), "_ansible_") || str_eqc(val_get_str(k), "invocation")))
			val_delk(v, k);
	}
	struct val *results = val_get(v, "results");
	for (size_t i = 0; results && val_is_list(results) && i < val_len(results); i++)
		if (val_is_map(val_at(results, i))) {
			val_del(val_at(results, i), STR("invocation"));
			val_del(val_at(results, i), STR("_ansible_origin"));
		}
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
		MAP_EACH (i, facts)
			val_setk(h->included, val_copy(h->a, val_key_at(facts, i)),
			         val_copy(h->a, val_value_at(facts, i)));
		return;
	}
	bool set_fact = strcmp(act, "set_fact") == 0;
	if (!set_fact || val_map_bool(one, "_ansible_facts_cacheable", false))
		facts_store(e, h, facts);
	for (size_t i = 0; set_fact && i < val_len(facts); i++)
		val_setk(h->set_vars, val_copy(h->a, val_key_at(facts, i)),
		         val_copy(h->a, val_value_at(facts, i)));
}

static void add_host(struct engine *e, const struct val *info)
{
	struct host *h = inventory_add_host(e->inv, val_map_str(info, "host_name", ""));
	const struct val *vars = val_get(info, "host_vars"), *groups = val_get(info, "groups");
	h->implicit = false;
	for (size_t i = 0; vars && i < val_len(vars); i++)
		val_setk(h->vars, val_copy(e->a, val_key_at(vars, i)), val_copy(e->a, val_value_at(vars, i)));
	for (size_t i = 0; groups && i < val_len(groups); i++)
		group_add_host(e->inv, inventory_add_group(e->inv, val_get_str(val_at(groups, i))), h);
	engine_stats_of(e, h);
	inventory_settle(e->inv);
}

static void add_group(struct engine *e, struct host *h, const struct val *one)
{
	struct group *g = inventory_add_group(e->inv, val_map_str(one, "add_group", ""));
	const struct val *parents = val_get(one, "parent_groups");
	for (size_t i = 0; parents && i < val_len(parents); i++)
		group_add_child(e->inv, inventory_add_group(e->inv, val_get_str(val_at(parents, i))), g);
	group_add_host(e->inv, g, h);
	inventory_settle(e->inv);
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
	err_set(errs_add(t->e->errs), ERR_USER, t->task->n.at,
	        "The requested handler '%.*s' was not found in either the main handlers list nor in the "
	        "listening handlers list",
	        STR_FMT(name));
}

static void notify(struct task_run *t, struct host_run *hr, const struct item_run *r)
{
	struct val *raw = kw_all(&t->task->n, t->frame, &t->e->pr->play->n, KW_NOTIFY, t->a), *names;
	struct err err = {0};
	struct scope *s = r ? (struct scope *)&r->s : &t->s;
	if (!val_len(raw))
		return;
	if (!scope_template(s, raw, &names, &err)) {
		err_move(errs_add(t->e->errs), &err);
		return;
	}
	struct val *flat = val_list(t->a);
	VAL_EACH (i, names) {
		struct val *one = val_at(names, i);
		for (size_t k = 0; val_is_list(one) && k < val_len(one); k++)
			val_push(flat, val_at(one, k));
		if (!val_is_list(one))
			val_push(flat, one);
	}
	VAL_EACH (i, flat) {
		struct str name = val_text(val_at(flat, i), t->a);
		if (name.n && !handlers_notify(t->e, hr, name, hr->flushing))
			missing_handler(t, name);
	}
}

/* One item's effects, or those of a task without a loop. */
static void apply_one(struct task_run *t, struct host_run *hr, const struct item_run *r,
                      const struct val *one)
{
	struct engine *e = t->e;
	if (val_map_bool(one, "failed", false) || val_map_bool(one, "skipped", false))
		return;
	store_facts(t, hr, one, r->s.delegate);
	custom_stats(e, hr->host, one, hr == t->hr);
	if (val_map_bool(one, "changed", false))
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
	struct val *m = val_map(e->a);
	const struct val *res = t->result;
	const char *msg = val_map_strz(res, "msg", "");
	const struct val *results = val_get(res, "results");
	for (size_t i = 0; results && val_is_list(results) && i < val_len(results); i++)
		if (val_map_bool(val_at(results, i), "failed", false))
			msg = val_map_strz(val_at(results, i), "msg", msg);
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

static void failed(struct task_run *t, struct host_run *hr)
{
	struct engine *e = t->e;
	struct val *info = val_map(hr->host->a);
	val_set(info, "name", val_strz(hr->host->a, t->task->name.n ? t->label : ""));
	val_set(info, "action", val_strz(hr->host->a, t->task->module_name));
	val_set(info, "args", val_copy(hr->host->a, t->task->args));
	hr->failed_task = val_mark_unsafe(hr->host->a, info);
	hr->failed_result = val_mark_unsafe(hr->host->a, registered(e, hr->host, t->result));
	if (host_run_fail(hr)) {
		engine_stats_of(e, hr->host)->rescued++;
		return;
	}
	engine_stats_of(e, hr->host)->failed++;
	remember_failure(t, hr, false);
	if (hr->failed) {
		e->host_failed[hr->host->index] = true;
		e->any_failed = true;
	} else {
		/* "always" runs first; what it leaves is a failed host. */
		e->any_failed = true;
	}
}

static bool unreachable(struct task_run *t, struct host_run *hr)
{
	struct engine *e = t->e;
	struct err err = {0};
	bool ignore = false;
	struct val *v = kw_get(&t->task->n, t->frame, &e->pr->play->n, KW_IGNORE_UNREACHABLE);
	if (!scope_bool(&t->s, v, false, &ignore, &err))
		err_clear(&err);
	struct engine_stats *st = engine_stats_of(e, hr->host);
	if (ignore) {
		st->ok++;
		st->ignored++;
		return false;
	}
	st->unreachable++;
	hr->unreachable = true;
	e->host_unreachable[hr->host->index] = true;
	e->any_unreachable = true;
	remember_failure(t, hr, true);
	return true;
}

static void register_result(struct task_run *t, struct host_run *hr)
{
	const struct val *reg = t->task->n.kw[KW_REGISTER];
	if (!reg || !val_is_str(reg))
		return;
	struct host *h = hr->host;
	struct val *v = registered(t->e, h, t->result);
	/* Facts are where facts are; set_fact's own values must not be evaluated again either. */
	val_sets(h->set_vars, val_get_str(reg), val_mark_unsafe(h->a, v));
}

static bool process_host(struct task_run *t, struct host_run *hr, bool main)
{
	struct engine *e = t->e;
	struct engine_stats *st = engine_stats_of(e, hr->host);
	const struct val *res = t->result;
	bool ret = false, is_failed = val_map_bool(res, "failed", false),
	     changed = val_map_bool(res, "changed", false);
	if (val_map_bool(res, "unreachable", false)) {
		ret = main && unreachable(t, hr);
	} else if (is_failed && !t->ignored) {
		failed(t, hr);
		ret = true;
	} else if (is_failed) {
		if (main) {
			st->ok++;
			st->ignored++;
			st->changed += changed;
		}
	} else if (val_map_bool(res, "skipped", false)) {
		if (main)
			st->skipped++;
	} else {
		if (main) {
			/* Of an include every file counts. */
			unsigned files = 0;
			for (const struct inclusion *in = t->inclusions; in; in = in->next)
				files++;
			st->ok += files ? files : 1;
			st->changed += changed;
			if (changed)
				remember_change(t, hr);
		}
	}
	bool plain_ok = !val_map_bool(res, "unreachable", false) && !(is_failed && !t->ignored);
	for (size_t i = 0; plain_ok && i < t->n_done; i++)
		apply_one(t, hr, t->v[i], t->v[i]->result);
	register_result(t, hr);
	return ret;
}

static void remember_time(struct task_run *t)
{
	struct engine *e = t->e;
	struct val *m = val_map(e->a);
	val_set(m, "role", t->frame && t->frame->role ? val_strz(e->a, t->frame->role->name) : val_null());
	val_set(m, "task", val_strz(e->a, t->label));
	val_set(m, "host", val_strz(e->a, t->hr->host->name));
	val_set(m, "seconds", val_float(e->a, engine_now() - t->started));
	val_push(e->timings, m);
}

bool result_process(struct task_run *t, struct host_run **all, size_t n_all)
{
	bool ret = false;
	remember_time(t);
	if (t->task->handler && t->task->index < t->e->pr->n_handlers) {
		struct handler *h = t->e->pr->handlers[t->task->index];
		for (size_t i = 0; i < (all ? n_all : 1); i++) {
			const struct host *host = all ? all[i]->host : t->hr->host;
			if (h->task == t->task && host->index < h->n_notified)
				h->notified[host->index] = false;
		}
	}
	ret = process_host(t, t->hr, true);
	for (size_t i = 0; i < n_all; i++)
		if (all[i] != t->hr)
			ret |= process_host(t, all[i], false);
	return ret;
}

void result_include_failed(struct task_run *t, const struct err *why)
{
	struct buf b = {0};
	err_text(why, &b);
	struct val *m = val_map(t->a);
	val_set(m, "changed", val_bool(false));
	val_set(m, "failed", val_bool(true));
	val_set(m, "reason", val_str(t->a, buf_str(&b)));
	val_set(m, "msg", val_str(t->a, buf_str(&b)));
	buf_free(&b);
	t->result = m;
	struct engine_result ev = {.kind = RES_FAILED,
	                           .host = t->hr->host->name,
	                           .action = t->task->module_name,
	                           .task = t->label,
	                           .result = m,
	                           .at = t->task->n.at};
	const struct engine_opts *o = t->e->opts;
	if (o->out && o->out->result)
		o->out->result(o->out_ctx, &ev);
	engine_stats_of(t->e, t->hr->host)->ok--;
	failed(t, t->hr);
}

void result_meta_failed(struct engine *e, struct host_run *hr, struct task *task, struct frame *f,
                        const struct err *why)
{
	struct task_run *t = task_run_new(e, hr, task, f);
	engine_stats_of(e, hr->host)->ok++;
	result_include_failed(t, why);
	task_run_free(t);
}
