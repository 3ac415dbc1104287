/* A play from its keywords: hosts, variables, roles, the programme of tasks, batches. */
#include "ansible/core.h"
#include "base/fs.h"
#include <stdlib.h>

static void unit_add(struct play_run *pr, struct frame *f, struct task *t)
{
	struct unit *v = arena_array(pr->a, pr->n_units + 1, sizeof(*v));
	if (pr->n_units)
		memcpy(v, pr->units, pr->n_units * sizeof(*v));
	v[pr->n_units++] = (struct unit){f, t};
	pr->units = v;
}

static void unit_flush(struct engine *e)
{
	struct val *args = val_map(e->pr->a);
	val_set(args, "_raw_params", val_strz(e->pr->a, "flush_handlers"));
	unit_add(e->pr, NULL, task_new(e->pr->a, "ansible.builtin.meta", args));
}

static void unit_block(struct engine *e, struct block *b)
{
	if (b)
		unit_add(e->pr, frame_new(e, NULL, NULL, true, b, NULL), NULL);
}

static void unit_gather(struct engine *e)
{
	struct play_run *pr = e->pr;
	const struct node *n = &pr->play->n;
	struct val *args = val_map(pr->a);
	if (n->kw[KW_GATHER_SUBSET])
		val_set(args, "gather_subset", n->kw[KW_GATHER_SUBSET]);
	if (n->kw[KW_GATHER_TIMEOUT])
		val_set(args, "gather_timeout", n->kw[KW_GATHER_TIMEOUT]);
	if (n->kw[KW_FACT_PATH])
		val_set(args, "fact_path", n->kw[KW_FACT_PATH]);
	struct task *t = task_new(pr->a, "ansible.builtin.gather_facts", args);
	struct val *tags = val_list(pr->a);
	val_push(tags, val_strz(pr->a, "always"));
	t->n.kw[KW_TAGS] = tags;
	t->name = STR("Gathering Facts");
	unit_add(pr, NULL, t);
}

/* The frames of a role, into V: its dependencies first, each before what needs it. */
static size_t role_frames(struct engine *e, struct role *r, struct frame ***v, size_t n)
{
	for (size_t i = 0; i < r->n_deps; i++)
		n = role_frames(e, r->deps[i], v, n);
	PTRS_PUSH(e->pr->a, *v, n, role_frame(e, r, NULL, NULL, true, true));
	return n;
}

/* Roles that are imported are known before the play begins: their variables count from the start. */
static void expand_imports(struct engine *e, const struct nodes *ns, struct frame *f)
{
	for (size_t i = 0; i < ns->n; i++) {
		if (ns->v[i]->kind == NODE_BLOCK) {
			const struct block *b = (const struct block *)ns->v[i];
			for (int s = 0; s < SEC_END; s++)
				expand_imports(e, &b->sec[s], f);
			continue;
		}
		struct task *t = (struct task *)ns->v[i];
		enum action_kind k = t->action ? t->action->kind : ACT_PLAIN;
		if ((k != ACT_IMPORT_TASKS && k != ACT_IMPORT_ROLE) || val_needs_template(t->args))
			continue;
		struct frame *in = import_expand(e, t, f, NULL, e->errs);
		for (struct import *im = in ? in->imports : NULL; im; im = im->next)
			if (im->frame)
				expand_imports(e, &im->frame->root->sec[SEC_TASKS], im->frame);
		for (int s = 0; in && s < SEC_END; s++)
			expand_imports(e, &in->root->sec[s], in);
	}
}

static void load_roles(struct engine *e)
{
	struct play_run *pr = e->pr;
	const struct val *roles = pr->play->n.kw[KW_ROLES];
	if (!roles)
		return;
	if (!val_is_list(roles)) {
		err_set(errs_add(e->errs), ERR_USER, val_origin(roles),
		        "A malformed role declaration was encountered: a list is wanted");
		return;
	}
	VAL_EACH (i, roles) {
		struct role *r = role_entry_load(e, val_at(roles, i), pr->play->n.kw[KW_COLLECTIONS], NULL);
		if (!r)
			continue;
		r->exported = true;
		PTRS_PUSH(pr->a, pr->roles, pr->n_roles, r);
	}
}

static bool wants_facts(struct engine *e)
{
	struct val *v = e->pr->play->n.kw[KW_GATHER_FACTS];
	struct scope s;
	struct err err = {0};
	bool want = true;
	scope_init(&s, e, NULL, NULL, NULL, e->pr->a);
	if (!scope_bool(&s, v, !e->opts->no_facts, &want, &err))
		err_move(errs_add(e->errs), &err);
	return want;
}

static void build(struct engine *e)
{
	struct play_run *pr = e->pr;
	struct play *p = pr->play;
	load_roles(e);
	struct frame **roles = NULL;
	size_t n_roles = 0;
	for (size_t i = 0, n = pr->n_roles; i < n; i++)
		n_roles = role_frames(e, pr->roles[i], &roles, n_roles);
	/* Ahead of those that imports bring, behind those of "roles:". */
	if (p->handlers)
		handlers_add(e, p->handlers, frame_new(e, NULL, NULL, true, p->handlers, NULL));
	if (wants_facts(e))
		unit_gather(e);
	unit_block(e, p->pre_tasks);
	unit_flush(e);
	for (size_t i = 0; i < n_roles; i++)
		unit_add(pr, roles[i], NULL);
	unit_block(e, p->tasks);
	unit_flush(e);
	unit_block(e, p->post_tasks);
	unit_flush(e);
	for (size_t i = 0; i < pr->n_units; i++)
		if (pr->units[i].frame)
			for (int s = 0; s < SEC_END; s++)
				expand_imports(e, &pr->units[i].frame->root->sec[s], pr->units[i].frame);
}

/* ---- vars_files ---------------------------------------------------------------------------------------- */

static bool vars_file_one(struct engine *e, struct scope *s, struct val *name, struct val *into,
                          bool *ret_found, struct err *err)
{
	struct str text;
	struct val *vars;
	*ret_found = false;
	if (!scope_text(s, name, &text, err))
		return false;
	const char *path = scope_find(s, "vars", text);
	if (!path)
		path = scope_find(s, "", text);
	if (!path)
		return true;
	*ret_found = true;
	if (!loader_yaml(&e->loader, path, &vars, err))
		return false;
	/* A dictionary, or several in a list. */
	for (size_t i = 0; i < (val_is_list(vars) ? val_len(vars) : 1); i++) {
		struct val *one = val_is_list(vars) ? val_at(vars, i) : vars;
		if (val_is_map(one))
			val_push(into, one);
		else if (!val_is_null(vars))
			return err_set(err, ERR_USER, val_origin(one),
			               "variable files must contain either a dictionary of variables, or a "
			               "list of dictionaries");
	}
	return true;
}

static bool vars_files_of(struct engine *e, struct host *h, struct err *err)
{
	const struct val *files = e->pr->play->n.kw[KW_VARS_FILES];
	struct val *into = val_list(e->pr->a);
	struct scope s;
	val_set(e->pr->vars_files, h->name, into);
	scope_init(&s, e, h, NULL, NULL, e->pr->a);
	size_t n = val_is_list(files) ? val_len(files) : 1;
	for (size_t i = 0; i < n; i++) {
		struct val *f = val_is_list(files) ? val_at(files, i) : e->pr->play->n.kw[KW_VARS_FILES];
		size_t alts = val_is_list(f) ? val_len(f) : 1;
		bool found = false;
		scope_touch(&s);
		for (size_t k = 0; k < alts && !found; k++) {
			struct val *one = val_is_list(f) ? val_at(f, k) : f;
			struct err why = {0};
			if (!vars_file_one(e, &s, one, into, &found, &why)) {
				/* A name with facts not gathered yet: another alternative may do. */
				bool later = val_needs_template(one) && !found;
				if (!later) {
					err_move(err, &why);
					return false;
				}
				err_clear(&why);
				found = alts == 1;
			}
		}
		if (!found)
			return err_set(err, ERR_USER, val_origin(f), "vars file %s was not found",
			               val_is_list(f) ? "(none of the list)" : val_text(f, e->pr->a).p);
	}
	return true;
}

bool play_vars_files(struct engine *e, struct host *h, struct err *err)
{
	if (!e->pr->play->n.kw[KW_VARS_FILES])
		return true;
	if (!e->pr->vars_files)
		e->pr->vars_files = val_map(e->pr->a);
	return vars_files_of(e, h, err);
}

static void vars_prompt(struct engine *e)
{
	const struct val *list = e->pr->play->n.kw[KW_VARS_PROMPT];
	for (size_t i = 0; list && val_is_list(list) && i < val_len(list); i++) {
		const struct val *p = val_at(list, i);
		const struct val *name = val_is_map(p) ? val_get(p, "name") : NULL;
		struct val *dflt = name ? val_get(p, "default") : NULL;
		if (!name || val_gets(e->extra_vars, val_text(name, e->a)))
			continue;
		struct val *vars = e->pr->play->n.kw[KW_VARS] ? val_shallow(e->a, e->pr->play->n.kw[KW_VARS])
		                                              : val_map(e->a);
		val_sets(vars, val_text(name, e->a), dflt ? dflt : val_strz(e->a, ""));
		e->pr->play->n.kw[KW_VARS] = vars;
	}
}

/* ---- hosts --------------------------------------------------------------------------------------------- */

static int by_name(const void *x, const void *y)
{
	return strcmp((*(struct host *const *)x)->name, (*(struct host *const *)y)->name);
}

static bool order_hosts(struct scope *s, struct err *err)
{
	static const char *const words[] = {"inventory", "sorted", "reverse_sorted", "reverse_inventory",
	                                    "shuffle"};
	struct play_run *pr = s->e->pr;
	struct val *v = pr->play->n.kw[KW_ORDER];
	struct str o = STR("inventory");
	size_t n = pr->n_all, known = 0;
	if (v && !scope_text(s, v, &o, err))
		return false;
	while (known < sizeof(words) / sizeof(*words) && !str_eqc(o, words[known]))
		known++;
	if (known == sizeof(words) / sizeof(*words))
		return err_set(err, ERR_USER, val_origin(v),
		               "Invalid 'order' specified for inventory hosts: %.*s", STR_FMT(o));
	if (n < 2)
		return true;
	if (str_eqc(o, "sorted") || str_eqc(o, "reverse_sorted"))
		qsort(pr->all, n, sizeof(*pr->all), by_name);
	for (size_t i = 0; (str_eqc(o, "reverse_sorted") || str_eqc(o, "reverse_inventory")) && i < n / 2;
	     i++) {
		struct host *t = pr->all[i];
		pr->all[i] = pr->all[n - 1 - i];
		pr->all[n - 1 - i] = t;
	}
	for (size_t i = n - 1; str_eqc(o, "shuffle") && i > 0; i--) {
		size_t k = (size_t)random() % (i + 1);
		struct host *t = pr->all[i];
		pr->all[i] = pr->all[k];
		pr->all[k] = t;
	}
	return true;
}

static bool find_hosts(struct engine *e, struct err *err)
{
	struct play_run *pr = e->pr;
	struct scope s;
	struct val *pattern, *names, *missing = val_list(pr->a);
	scope_init(&s, e, NULL, NULL, NULL, pr->a);
	if (!scope_template(&s, pr->play->n.kw[KW_HOSTS], &pattern, err))
		return false;
	if (val_is_list(pattern) && !val_len(pattern)) /* made by a template: nobody, where "" is a mistake */
		return true;
	if (!hosts_check(pattern, err))
		return false;
	if (!inventory_match(e->inv, pattern, e->opts->limit, pr->a, &names, missing, err))
		return false;
	VAL_EACH (i, missing)
		engine_warn(e, ORIGIN_NONE, "Could not match supplied host pattern, ignoring: %s",
		            val_get_strz(val_at(missing, i)));
	pr->any_matched = val_len(names) > 0;
	VAL_EACH (i, names) {
		struct host *h = inventory_host(e->inv, val_get_str(val_at(names, i)));
		engine_stats_of(e, h);
		PTRS_PUSH(pr->a, pr->named, pr->n_named, h);
		PTRS_PUSH(pr->a, pr->all, pr->n_all, h);
	}
	return order_hosts(&s, err);
}

/* How many hosts the I-th batch takes; the last word of "serial" repeats. */
static bool batch_size(struct engine *e, size_t i, size_t *ret, struct err *err)
{
	struct val *v = e->pr->play->n.kw[KW_SERIAL], *t;
	struct scope s;
	*ret = e->pr->n_all;
	if (!v)
		return true;
	scope_init(&s, e, NULL, NULL, NULL, e->pr->a);
	if (!scope_template(&s, v, &t, err))
		return false;
	if (val_is_list(t)) {
		if (!val_len(t))
			return true;
		t = val_at(t, i < val_len(t) ? i : val_len(t) - 1);
	}
	struct str text = str_trim(val_text(t, e->pr->a));
	bool pct = str_ends(text, "%");
	double n;
	struct val *num = val_str(e->pr->a, pct ? str_n(text.p, text.n - 1) : text);
	if (!scope_number(&s, num, 0, &n, err))
		return false;
	if (pct)
		n = n * (double)e->pr->n_all / 100.0;
	if (n >= 1)
		*ret = (size_t)n;
	else if (n > 0 || pct)
		*ret = 1;
	return true;
}

/* The hosts FROM to TO of the play take part from now on. */
static void seen(struct engine *e, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		bool known = false;
		for (size_t k = 0; k < e->n_seen && !known; k++)
			known = e->seen[k] == e->pr->all[i];
		if (!known)
			PTRS_PUSH(e->a, e->seen, e->n_seen, e->pr->all[i]);
	}
}

/* Hosts out of the game by now; one that failed and is unreachable counts twice. */
static size_t count_lost(const struct engine *e)
{
	size_t n = 0;
	for (size_t i = 0; i < e->n_stats; i++)
		n += (size_t)e->host_failed[i] + e->host_unreachable[i];
	return n;
}

static bool take_strategy(struct engine *e, struct err *err)
{
	static const struct {
		const char *name;
		bool apart;
	} rows[] = {{"linear", false}, {"debug", false}, {"free", true}, {"host_pinned", true}};
	struct val *v = e->pr->play->n.kw[KW_STRATEGY];
	struct scope s;
	struct str name = STR("linear");
	scope_init(&s, e, NULL, NULL, NULL, e->pr->a);
	if (v && !scope_text(&s, v, &name, err))
		return false;
	if (str_starts(name, "ansible.builtin."))
		name = str_n(name.p + strlen("ansible.builtin."), name.n - strlen("ansible.builtin."));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!str_eqc(name, rows[i].name))
			continue;
		e->pr->apart = rows[i].apart;
		return true;
	}
	return err_set(err, ERR_USER, val_origin(v), "Invalid play strategy specified: %.*s", STR_FMT(name));
}

static bool run_batches(struct engine *e, bool *ret_stop, struct err *err)
{
	struct play_run *pr = e->pr;
	for (size_t at = 0, i = 0; at < pr->n_all && !pr->ended; i++) {
		size_t n, lost = count_lost(e);
		if (!batch_size(e, i, &n, err))
			return false;
		if (n > pr->n_all - at)
			n = pr->n_all - at;
		for (size_t k = 0; k < n; k++)
			if (!play_vars_files(e, pr->all[at + k], err))
				return false;
		seen(e, at, at + n);
		if (e->opts->out && e->opts->out->play_start)
			e->opts->out->play_start(e->opts->out_ctx, pr->play->name.p);
		if (!take_strategy(e, err) || !strategy_batch(e, pr->all + at, n, err))
			return false;
		*ret_stop = *ret_stop || pr->broken;
		if (!pr->ended && count_lost(e) - lost == n)
			return *ret_stop = true;
		at += n;
	}
	return true;
}

static struct str play_name(struct engine *e)
{
	struct play *p = e->pr->play;
	struct scope s;
	struct err err = {0};
	struct str name = p->name;
	scope_init(&s, e, NULL, NULL, NULL, e->pr->a);
	struct val *raw = p->n.kw[KW_NAME];
	if (!raw || val_is_null(raw) || (val_is_str(raw) && !val_len(raw)))
		raw = p->n.kw[KW_HOSTS];
	struct val *v;
	if (scope_template(&s, raw, &v, &err)) {
		struct buf b = {0};
		for (size_t i = 0; val_is_list(v) && i < val_len(v); i++) {
			if (i)
				buf_addc(&b, ',');
			val_print(val_at(v, i), &b);
		}
		if (!val_is_list(v))
			val_print(v, &b);
		name = buf_take(&b, e->pr->a);
		buf_free(&b);
	}
	err_clear(&err);
	return name;
}

static struct play_run *begin(struct engine *e, struct play *p)
{
	struct play_run *pr = ARENA_NEW(e->a, struct play_run);
	pr->play = p;
	pr->a = arena_new(e->a);
	if (p->dir)
		e->playbook_dir = *p->dir ? p->dir : ".";
	return e->pr = pr;
}

static void end(struct engine *e)
{
	struct play_run *pr = e->pr;
	e->pr = NULL;
	arena_free(pr->a);
}

bool play_open(struct engine *e, struct play *p, struct err *err)
{
	begin(e, p);
	if (!find_hosts(e, err))
		return false;
	p->name = play_name(e);
	build(e);
	return true;
}

void play_close(struct engine *e)
{
	end(e);
}

bool play_is_whole(struct engine *e, struct play *p)
{
	begin(e, p);
	build(e);
	end(e);
	return !e->errs->n;
}

bool play_run(struct engine *e, struct play *p, bool *ret_stop, struct err *err)
{
	struct play_run *pr = begin(e, p);
	const struct engine_output *o = e->opts->out;
	vars_prompt(e);
	bool ok = find_hosts(e, err);
	if (ok) {
		p->name = play_name(e);
	}
	if (ok && !pr->n_all && o && o->play_start)
		o->play_start(e->opts->out_ctx, p->name.p);
	if (ok && !pr->any_matched && o && o->no_hosts)
		o->no_hosts(e->opts->out_ctx);
	pr->batch = pr->all;
	pr->n_batch = pr->n_all;
	pr->force_handlers = e->opts->force_handlers ||
	                     (p->n.kw[KW_FORCE_HANDLERS] && val_to_bool(p->n.kw[KW_FORCE_HANDLERS]));
	if (ok && pr->n_all) {
		build(e);
		ok = !e->errs->n && run_batches(e, ret_stop, err);
	}
	end(e);
	return ok && !e->errs->n;
}
