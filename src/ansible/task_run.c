/* A task on one host: its items, in order, some under way at once, and their sum. */
#include "ansible/core.h"
#include "ansible/include.h"
#include "ansible/results.h"
#include "ansible/task.h"
#include "jinja/jinja.h"

/* Items whose requests travel together; the host still runs them in order. */
#define WINDOW 16

static struct val *keys_of(struct arena *a, const struct val *map)
{
	struct val *keys = val_list(a);
	MAP_EACH (i, map)
		val_push(keys, val_key_at(map, i));
	return keys;
}

static bool with_terms(struct task_run *t, struct val **ret, struct err *err)
{
	const struct lookup *l = lookup_find(str_c(t->task->lookup));
	struct val *terms;
	if (!l)
		return err_set(
		        err, ERR_USER, t->task->n.at,
		        "Unexpected failure in finding the lookup named '%s' in the available lookup plugins",
		        t->task->lookup);
	if (!scope_template(&t->s, t->task->loop, &terms, err))
		return false;
	terms = val_without_omit(t->e, t->a, terms);
	if (val_is_map(terms) && strcmp(l->name, "list") == 0)
		return err_set(err, ERR_REMOTE, val_origin(t->task->loop), "with_list expects a list");
	if (val_is_map(terms) && strcmp(l->name, "dict") != 0)
		terms = keys_of(t->a, terms); /* as Python goes through a dictionary */
	if (!val_is_list(terms) || strcmp(l->name, "dict") == 0) {
		struct val *list = val_list(t->a);
		val_push(list, terms);
		terms = list;
	}
	return lookup_run(l, &t->s, terms, val_map(t->a), ret, err);
}

/* As variables the items are templated: what are tuples becomes lists. */
static bool listed(struct task_run *t, struct err *err)
{
	bool own = false;
	for (size_t i = 0; val_is_list(t->items) && i < val_len(t->items); i++) {
		struct val *item = val_at(t->items, i);
		if (val_kind(item) != VAL_TUPLE)
			continue;
		if (!scope_template(&t->s, item, &item, err))
			return false;
		/* The list may be a variable's. */
		if (!own)
			t->items = val_shallow(t->a, t->items);
		own = true;
		val_set_at(t->items, i, item);
	}
	return true;
}

static bool loop_items(struct task_run *t, struct err *err)
{
	if (!t->task->loop)
		return true;
	if (t->task->lookup)
		return with_terms(t, &t->items, err) && listed(t, err);
	if (!scope_template(&t->s, t->task->loop, &t->items, err))
		return false;
	if (val_is_undef(t->items))
		return err_set(err, ERR_REMOTE, val_origin(t->task->loop), "%s", val_undef_msg(t->items));
	if (!val_is_list(t->items)) {
		struct buf b = {0};
		val_print(t->items, &b);
		err_set(err, ERR_REMOTE, val_origin(t->task->loop),
		        "Invalid data passed to 'loop', it requires a list, got this instead: %s. Hint: If "
		        "you passed a list/dict of just one element, try adding wantlist=True to your lookup "
		        "invocation or use q/query instead of lookup.",
		        b.p);
		buf_free(&b);
		return false;
	}
	return listed(t, err);
}

static bool loop_control(struct task_run *t, struct err *err)
{
	struct val *lc = t->task->n.kw[KW_LOOP_CONTROL], *v;
	t->loop_var = "item";
	if (!lc)
		return true;
	if (!val_is_map(lc))
		return err_set(err, ERR_USER, val_origin(lc), "loop_control must be a dictionary");
	struct str text;
	if ((v = val_get(lc, "loop_var"))) {
		if (!scope_text(&t->s, v, &text, err))
			return false;
		t->loop_var = text.p;
	}
	if ((v = val_get(lc, "index_var"))) {
		if (!scope_text(&t->s, v, &text, err))
			return false;
		t->index_var = text.p;
	}
	t->extended_allitems = true;
	return scope_bool(&t->s, val_get(lc, "extended"), false, &t->extended, err) &&
	       scope_bool(&t->s, val_get(lc, "extended_allitems"), true, &t->extended_allitems, err) &&
	       scope_number(&t->s, val_get(lc, "pause"), 0, &t->pause, err);
}

/* Whether TEXT occurs in a string of V. */
static bool mentions(const struct val *v, struct str text)
{
	if (!v)
		return false;
	if (val_is_str(v))
		return str_find(val_get_str(v), text, 0) >= 0;
	if (val_is_list(v) || val_is_map(v)) {
		VAL_EACH (i, v)
			if (mentions(val_is_map(v) ? val_value_at(v, i) : val_at(v, i), text))
				return true;
	}
	return false;
}

static size_t window(const struct task_run *t)
{
	const struct task *k = t->task;
	const struct val *reg = k->n.kw[KW_REGISTER];
	if (t->pause > 0 || k->n.kw[KW_UNTIL] || k->n.kw[KW_RETRIES] || (k->action && !k->module) ||
	    (k->n.kw[KW_LOOP_CONTROL] && val_get(k->n.kw[KW_LOOP_CONTROL], "break_when")))
		return 1;
	/* A lookup may read what the item before wrote. */
	static const char *const impure[] = {"lookup(", "query(", "q("};
	for (size_t i = 0; i < 3; i++)
		if (mentions(k->args, str_c(impure[i])) || mentions(k->n.kw[KW_WHEN], str_c(impure[i])))
			return 1;
	if (reg && val_is_str(reg) &&
	    (mentions(k->args, val_get_str(reg)) || mentions(k->n.kw[KW_WHEN], val_get_str(reg)) ||
	     mentions(k->n.kw[KW_VARS], val_get_str(reg))))
		return 1;
	return WINDOW;
}

static struct val *loop_info(struct task_run *t, size_t i)
{
	struct val *m = val_map(t->a);
	size_t n = val_len(t->items);
	if (t->extended_allitems)
		val_set(m, "allitems", t->items);
	val_set(m, "index", val_int(t->a, (int64_t)i + 1));
	val_set(m, "index0", val_int(t->a, (int64_t)i));
	val_set(m, "first", val_bool(i == 0));
	val_set(m, "last", val_bool(i + 1 == n));
	val_set(m, "length", val_int(t->a, (int64_t)n));
	val_set(m, "revindex", val_int(t->a, (int64_t)(n - i)));
	val_set(m, "revindex0", val_int(t->a, (int64_t)(n - i - 1)));
	if (i + 1 < n)
		val_set(m, "nextitem", val_at(t->items, i + 1));
	if (i > 0)
		val_set(m, "previtem", val_at(t->items, i - 1));
	return m;
}

/* What stands for the item on the screen; NULL when it cannot be told. */
static bool item_label(struct item_run *r, struct err *err)
{
	const struct val *lc = r->t->task->n.kw[KW_LOOP_CONTROL];
	struct val *label = lc ? val_get(lc, "label") : NULL;
	r->label = r->item;
	if (!label) { /* "{{ item }}": what reads as a list or map is one */
		if (val_is_str(r->item) && !val_unsafe(r->item) && val_len(r->item) &&
		    strchr("[{", *val_get_strz(r->item)))
			jinja_literal_eval(r->a, val_get_str(r->item), &r->label);
		return true;
	}
	if (scope_template(&r->s, label, &r->label, err))
		return true;
	r->label = NULL;
	return false;
}

static struct item_run *item_new(struct task_run *t, size_t i)
{
	struct item_run *r = ARENA_NEW(t->a, struct item_run);
	r->t = t;
	r->i = i;
	r->a = t->a;
	scope_init(&r->s, t->e, t->hr->host, &t->task->n, t->frame, t->a);
	r->s.outer = &t->s;
	if (!t->items)
		return r;
	r->item = r->label = val_at(t->items, i);
	r->s.locals = val_map(t->a);
	val_set(r->s.locals, t->loop_var, val_mark_unsafe(t->a, r->item));
	val_set(r->s.locals, "ansible_loop_var", val_strz(t->a, t->loop_var));
	if (t->index_var) {
		val_set(r->s.locals, t->index_var, val_int(t->a, (int64_t)i));
		val_set(r->s.locals, "ansible_index_var", val_strz(t->a, t->index_var));
	}
	if (t->extended)
		val_set(r->s.locals, "ansible_loop", loop_info(t, i));
	struct err err = {0};
	item_label(r, &err);
	err_clear(&err); /* may need what the item registers */
	return r;
}

struct task_run *task_run_new(struct engine *e, struct host_run *hr, struct task *task, struct frame *f)
{
	struct arena *a = arena_new(e->pr->a);
	struct task_run *t = ARENA_NEW(a, struct task_run);
	t->e = e;
	t->hr = hr;
	t->task = task;
	t->frame = f;
	t->a = a;
	t->started = engine_now();
	t->next_inclusion = &t->inclusions;
	scope_init(&t->s, e, hr->host, &task->n, f, a);
	t->label = arena_strndup(a, task_label(task).p, task_label(task).n);
	t->loop_var = "item";
	if (!loop_control(t, &t->loop_err) || !loop_items(t, &t->loop_err))
		t->items = NULL;
	if (t->items)
		t->items = val_no_tuples(a, t->items);
	t->n = t->items ? val_len(t->items) : 1;
	t->v = arena_array(a, t->n + 1, sizeof(*t->v));
	t->window = window(t);
	return t;
}

/* ---- results ------------------------------------------------------------------------------------------ */

static enum result_kind kind_of(const struct val *result)
{
	if (val_map_bool(result, "unreachable", false))
		return RES_UNREACHABLE;
	if (result_failed(result))
		return RES_FAILED;
	if (val_map_bool(result, "skipped", false))
		return RES_SKIPPED;
	return val_map_bool(result, "changed", false) ? RES_CHANGED : RES_OK;
}

static struct val *censored(struct task_run *t, const struct val *result, bool no_log)
{
	struct val *m = val_map(t->a);
	if (!no_log) {
		m = result_veil(t->a, val_shallow(t->a, result));
		/* The outcome's word says it already. */
		val_del(m, STR("failed"));
		val_del(m, STR("skipped"));
		return m;
	}
	val_set(m, "censored",
	        val_strz(t->a, "the output has been hidden due to the fact that 'no_log: true' was specified "
	                       "for this result"));
	static const char *const kept[] = {"changed", "unreachable", "attempts", "retries"};
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (val_get(result, kept[i]))
			val_set(m, kept[i], val_get(result, kept[i]));
	return m;
}

/* R: the item; NULL: the whole task. */
static void show(struct task_run *t, const struct item_run *r, const struct val *result, bool ignored)
{
	const struct engine_opts *o = t->e->opts;
	bool no_log = r ? r->no_log : t->no_log;
	const struct item_run *any = r ? r : t->n_done ? t->v[t->n_done - 1] : NULL;
	const char *resolved = any ? any->action_name : NULL;
	struct engine_result ev = {.kind = kind_of(result),
	                           .host = t->hr->host->name,
	                           .delegated_to = any ? any->delegated : NULL,
	                           .action = resolved ? resolved : t->task->module_name,
	                           .task = resolved && !t->task->name.n ? resolved : t->label,
	                           .is_item = r != NULL,
	                           .is_loop = !r && t->items && !t->aborted,
	                           .label = r && r->label ? result_veil(t->a, r->label) : NULL,
	                           .ignored = ignored,
	                           .no_log = no_log,
	                           .diff = any && any->diff,
	                           .seconds = engine_now() - (r ? r->started : t->started),
	                           .at = t->task->n.at};
	if (no_log && ev.label)
		ev.label = val_strz(t->a, "(censored due to no_log)");
	ev.result = censored(t, result, no_log);
	if (o->out && o->out->result)
		o->out->result(o->out_ctx, &ev);
}

static void add_item_keys(struct task_run *t, struct item_run *r)
{
	val_set(r->result, t->loop_var, r->item);
	val_set(r->result, "ansible_loop_var", val_strz(t->a, t->loop_var));
	if (t->index_var) {
		val_set(r->result, t->index_var, val_int(t->a, (int64_t)r->i));
		val_set(r->result, "ansible_index_var", val_strz(t->a, t->index_var));
	}
	if (t->extended)
		val_set(r->result, "ansible_loop", val_get(r->s.locals, "ansible_loop"));
}

static struct val *sum(struct task_run *t)
{
	struct val *res = val_map(t->a), *list = val_list(t->a);
	bool changed = false, skipped = true, failed = false, unreachable = false;
	for (size_t i = 0; i < t->n_done; i++) {
		const struct val *one = t->v[i]->result;
		val_push(list, t->v[i]->result);
		changed = changed || val_map_bool(one, "changed", false);
		skipped = skipped && val_map_bool(one, "skipped", false);
		failed = failed || val_map_bool(one, "failed", false);
		unreachable = unreachable || val_map_bool(one, "unreachable", false);
	}
	if (!t->n_done) {
		val_set(res, "changed", val_bool(false));
		val_set(res, "skipped", val_bool(true));
		val_set(res, "skipped_reason", val_strz(t->a, "No items in the list"));
		val_set(res, "results", list);
		return res;
	}
	val_set(res, "results", list);
	val_set(res, "skipped", val_bool(skipped));
	if (failed)
		val_set(res, "failed", val_bool(true));
	if (unreachable)
		val_set(res, "unreachable", val_bool(true));
	val_set(res, "msg",
	        val_strz(t->a, failed    ? "One or more items failed"
	                       : skipped ? "All items skipped"
	                                 : "All items completed"));
	val_set(res, "changed", val_bool(changed));
	return res;
}

static bool break_now(struct task_run *t, struct item_run *r)
{
	const struct val *lc = t->task->n.kw[KW_LOOP_CONTROL];
	struct val *cond = lc ? val_get(lc, "break_when") : NULL;
	struct err err = {0};
	bool stop = false;
	if (cond && !scope_cond(&r->s, cond, &stop, NULL, &err)) {
		val_set(r->result, "failed", val_bool(true));
		val_set(r->result, "msg", val_strz(t->a, err_msg(&err)));
		err_clear(&err);
	}
	return stop;
}

/* The label may tell of what the item registered. That of an item that was skipped need not be there. */
static void label_again(struct item_run *r, bool inclusion)
{
	struct err err = {0};
	if ((r->label && (inclusion || !r->t->task->n.kw[KW_REGISTER])) || item_label(r, &err))
		return;
	struct val *msg = val_strf(r->a, "Failed to template loop_control.label: %s", err_msg(&err));
	err_clear(&err);
	if (val_map_bool(r->result, "skipped", false)) {
		struct val *warnings = val_list(r->a);
		val_push(warnings, msg);
		val_set(r->result, "warnings", warnings);
		return;
	}
	val_set(r->result, "failed", val_bool(true));
	val_set(r->result, "msg", msg);
}

static void item_finished(struct task_run *t, struct item_run *r)
{
	t->n_done++;
	t->no_log = t->no_log || r->no_log;
	if (!t->items)
		return;
	/* What cannot be evaluated for one item fails the task, not the item. */
	if (!r->begun && val_map_bool(r->result, "failed", false)) {
		t->aborted = true;
		t->result = r->result;
		return;
	}
	add_item_keys(t, r);
	bool inclusion = t->inclusions != NULL && val_get(r->result, "include_args");
	label_again(r, inclusion);
	if (break_now(t, r))
		t->ended_early = true;
	if (!inclusion)
		show(t, r, r->result, false);
	/* A host that cannot be reached will not be reached for the next item. */
	if (r->unreachable)
		t->ended_early = true;
}

/* Whether every failure, or every time the host was out of reach, is to be passed over. */
static bool is_ignored(const struct task_run *t)
{
	bool lost = val_map_bool(t->result, "unreachable", false), ignored = false;
	for (size_t i = 0; i < t->n_done; i++) {
		const struct item_run *r = t->v[i];
		if (!val_map_bool(r->result, lost ? "unreachable" : "failed", false))
			continue;
		ignored = lost ? r->ignore_unreachable : r->ignore_errors;
		if (!ignored)
			break;
	}
	return ignored;
}

static void finish(struct task_run *t)
{
	t->done = true;
	if (!t->aborted)
		t->result = t->items ? sum(t) : t->v[0]->result;
	bool ignored = is_ignored(t);
	t->ignored = ignored;
	if (t->inclusions && !val_map_bool(t->result, "failed", false))
		return;
	show(t, NULL, t->result, ignored);
}

/* Between two items of a loop with a pause: true when it is over. */
static bool paused(struct task_run *t, double *wake)
{
	if (!t->paused) {
		t->paused = true;
		t->resume = engine_now() + t->pause;
	}
	if (engine_now() >= t->resume) {
		t->paused = false;
		return true;
	}
	if (t->resume < *wake)
		*wake = t->resume;
	return false;
}

void task_run_step(struct task_run *t, bool *progress, double *wake)
{
	if (t->done)
		return;
	while (!t->ended_early && t->n_started < t->n && t->n_started - t->n_done < t->window &&
	       !t->e->cancelled) {
		if (t->pause > 0 && t->n_started && !paused(t, wake))
			return;
		t->v[t->n_started] = item_new(t, t->n_started);
		t->n_started++;
		if (t->window == 1)
			break;
	}
	for (size_t i = t->n_done; i < t->n_started; i++) {
		item_run_step(t->v[i], progress, wake);
		if (t->items && t->v[i]->state == ITEM_DONE && !t->v[i]->begun &&
		    val_map_bool(t->v[i]->result, "failed", false))
			t->n = t->n_started = i + 1;
		if (i == t->n_done && t->v[i]->state == ITEM_DONE) {
			item_finished(t, t->v[i]);
			*progress = true;
		}
	}
	bool over = t->n_done == t->n_started && (t->n_done == t->n || t->ended_early || t->e->cancelled);
	if (over && (t->n_done || t->items)) {
		finish(t);
		*progress = true;
	}
}

void task_run_free(struct task_run *t)
{
	err_clear(&t->loop_err);
	for (size_t i = 0; i < t->n_started; i++)
		err_clear(&t->v[i]->req.err);
	arena_free(t->a);
}
