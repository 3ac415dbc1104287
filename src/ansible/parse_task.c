#include "ansible/playbook.h"
#include "ansible/action.h"
#include "ansible/ptrs.h"
#include "base/source.h"
#include "jinja/jinja.h"
#include "modules/spec.h"

static void nodes_push(struct arena *a, struct nodes *ns, struct node *n)
{
	PTRS_PUSH(a, ns->v, ns->n, n);
}

static bool complain(struct loader *l, struct origin at, const char *fmt, const char *what)
{
	struct err *e = errs_add(l->errs);
	err_set(e, ERR_USER, at, fmt, what);
	return false;
}

void parse_keywords(struct loader *l, struct node *n, const struct val *ds, unsigned where, struct val *rest)
{
	MAP_EACH (i, ds) {
		const struct val *k = val_key_at(ds, i);
		struct val *v = val_value_at(ds, i);
		if (!val_is_str(k)) {
			complain(l, val_origin(k), "%s", "a keyword must be a string");
			continue;
		}
		enum kw kw = keyword_find(val_get_str(k));
		if (kw != KW_N && (keywords[kw].where & where)) {
			/* "when:" with nothing after it is as good as absent; so is "tags:". */
			n->kw[kw] = val_is_null(v) && kw != KW_LOOP ? NULL : v;
		} else if (rest) {
			val_setk(rest, val_key_at(ds, i), v);
		} else {
			struct err *e = errs_add(l->errs);
			static const char *const kinds[] = {"Play", "RoleInclude", "Block", "Task"};
			err_set(e, ERR_USER, val_origin(k), "'%s' is not a valid attribute for a %s",
			        val_get_strz(k), kinds[n->kind]);
			const char *s = keyword_suggest(val_get_str(k), where);
			if (s)
				err_hint(e, "did you mean '%s'?", s);
		}
	}
	node_rules(l, n);
	const struct val *vars = n->kw[KW_VARS];
	if (vars && val_is_list(vars)) {
		struct val *m = val_map(l->a);
		VAL_EACH (i, vars) {
			if (!val_is_map(val_at(vars, i))) {
				complain(l, val_origin(vars), "%s",
				         "vars must be a dictionary or a list of dictionaries");
				continue;
			}
			m = val_merge(l->a, m, val_at(vars, i), false);
		}
		n->kw[KW_VARS] = m;
	} else if (vars && !val_is_map(vars)) {
		complain(l, val_origin(vars), "%s", "vars must be a dictionary or a list of dictionaries");
		n->kw[KW_VARS] = NULL;
	}
}

struct str task_label(const struct task *t)
{
	return t->name.n ? t->name : str_c(t->module_name);
}

struct task *task_new(struct arena *a, const char *module, struct val *args)
{
	struct task *t = ARENA_NEW(a, struct task);
	t->n.kind = NODE_TASK;
	t->module_name = module;
	t->module = module_find(str_c(module));
	t->action = action_find(str_c(module));
	t->args = args ? args : val_map(a);
	t->implicit = true;
	t->file = ARENA_NEW(a, struct tfile);
	t->file->path = t->file->dir = "";
	return t;
}

/* A template and nothing beside it. */
static bool is_whole_template(struct str s)
{
	s = str_trim(s);
	return str_starts(s, "{{") && str_ends(s, "}}");
}

/* A role of a collection calls the collection's own modules by their short names. */
static bool of_collection(struct loader *l, struct str name, struct origin at)
{
	return at.src && str_find(name, STR("."), 0) < 0 &&
	       str_find(str_c(sources_name(l->sources, at.src)), STR("/ansible_collections/"), 0) >= 0;
}

static void set_module(struct loader *l, struct task *t, struct str name, struct origin at)
{
	t->module_name = arena_strndup(l->a, name.p, name.n);
	t->module = module_find(name);
	t->action = action_find(name);
	t->elsewhere = !t->module && !t->action && (module_elsewhere(name) || of_collection(l, name, at));
	if (t->module || t->action || t->elsewhere || jinja_is_template(name))
		return;
	struct err *e = errs_add(l->errs);
	err_set(e, ERR_USER, at, "couldn't resolve module/action '%s'", t->module_name);
	const char *s = module_suggest(name);
	if (s)
		err_hint(e, "did you mean '%s'? 'nante doc module' lists the modules of this build", s);
	else
		err_hint(e, "check for typos; 'nante doc module' lists the modules of this build");
}

static bool is_module(struct str name)
{
	return module_find(name) || action_find(name) || module_elsewhere(name);
}

static bool takes_raw(const struct task *t)
{
	if (t->elsewhere)
		return true;
	return t->action ? (t->action->flags & ACT_RAW) != 0
	                 : t->module && (t->module->flags & MOD_RAW_PARAMS);
}

/* Whether words with '=' in them are text, too, but for the few options such modules have. */
static bool is_free_form(const struct task *t)
{
	return t->action ? (t->action->flags & ACT_FREE) != 0 : takes_raw(t);
}

/* The module's value: nothing, a dictionary, or text. */
static void set_args(struct loader *l, struct task *t, struct val *v)
{
	if (val_is_null(v))
		return;
	if (val_is_map(v)) {
		t->args = val_shallow(l->a, v);
		return;
	}
	if (val_is_list(v)) {
		complain(l, val_origin(v), "unexpected parameter type in action: %s", "list");
		return;
	}
	struct str s = val_text(v, l->a);
	struct err *e = errs_add(l->errs);
	if (!args_parse(l->a, s, val_origin(v), is_free_form(t), &t->args, e))
		return;
	errs_ok(l->errs);
	struct val *raw = val_get(t->args, "_raw_params");
	/* set_fact takes text, too, and makes nothing of it. */
	bool idle = t->action && strcmp(t->action->name, "set_fact") == 0 && !is_whole_template(s);
	if (raw && !takes_raw(t) && !idle) {
		val_del(t->args, STR("_raw_params"));
		if (is_whole_template(s))
			t->args_tmpl = v;
		else
			err_set(errs_add(l->errs), ERR_USER, val_origin(v),
			        "this task '%s' has extra params, which is only allowed for free-form "
			        "modules",
			        t->module_name);
	} else if (raw && val_is_str(v)) {
		val_set(t->args, "_raw_params", val_at_origin(l->a, raw, val_origin(v)));
	}
}

/* "module k=v". */
static void set_words(struct loader *l, struct task *t, struct val *v)
{
	struct str rest = str_trim(val_get_str(v));
	/* The name may be a template with blanks in it. */
	struct val *words;
	if (!args_split(l->a, rest, val_origin(v), &words, errs_add(l->errs)))
		return;
	errs_ok(l->errs);
	size_t n = val_len(words) ? val_len(val_at(words, 0)) : 0;
	set_module(l, t, str_n(rest.p, n), val_origin(v));
	struct str args = str_trim(str_n(rest.p + n, rest.n - n));
	struct origin at = val_origin(v);
	at.off += (uint32_t)(args.p ? args.p - val_get_str(v).p : 0);
	set_args(l, t, val_at_origin(l->a, val_str(l->a, args), at));
}

/* action: and local_action: "module k=v" or {module: NAME, k: v}. */
static void set_action(struct loader *l, struct task *t, struct val *v)
{
	if (val_is_map(v)) {
		struct val *args = val_shallow(l->a, v), *m = val_get(v, "module");
		val_del(args, STR("module"));
		if (!m || !val_is_str(m)) {
			complain(l, val_origin(v), "%s", "no module/action in this action");
			return;
		}
		set_words(l, t, m);
		t->args = val_merge(l->a, args, t->args, false);
		return;
	}
	if (!val_is_str(v)) {
		complain(l, val_origin(v), "%s", "unexpected parameter type in action");
		return;
	}
	set_words(l, t, v);
}

/* What is left when the keywords are taken out: the module, and with_X. */
static void take_rest(struct loader *l, struct task *t, const struct val *rest, const struct val *ds)
{
	const struct val *mod = NULL;
	MAP_EACH (i, rest) {
		const struct val *k = val_key_at(rest, i);
		struct str name = val_get_str(k);
		if (str_starts(name, "with_")) {
			if (t->lookup || t->n.kw[KW_LOOP])
				complain(l, val_origin(k), "duplicate loop in task: %s", val_get_strz(k) + 5);
			t->lookup = arena_strndup(l->a, name.p + 5, name.n - 5);
			t->loop = val_value_at(rest, i);
			if (val_is_null(t->loop))
				complain(l, val_origin(k), "you must specify a value when using %s",
				         val_get_strz(k));
			continue;
		}
		bool known = is_module(name);
		if (mod && !known) {
			/* The one that is a module stays; the other is a mistyped keyword, said so below. */
			struct err *e = errs_add(l->errs);
			err_set(e, ERR_USER, val_origin(k), "'%s' is not a valid attribute for a Task",
			        val_get_strz(k));
			const char *s = keyword_suggest(name, ON_TASK);
			if (s)
				err_hint(e, "did you mean '%s'?", s);
			continue;
		}
		if (mod && is_module(val_get_str(mod))) {
			struct err *e = errs_add(l->errs);
			err_set(e, ERR_USER, val_origin(k), "conflicting action statements: %s, %s",
			        val_get_strz(mod), val_get_strz(k));
			continue;
		}
		if (mod)
			complain(l, val_origin(mod), "'%s' is not a valid attribute for a Task",
			         val_get_strz(mod));
		mod = k;
	}
	if (mod && (t->n.kw[KW_ACTION] || t->n.kw[KW_LOCAL_ACTION])) {
		complain(l, val_origin(mod), "conflicting action statements: action, %s", val_get_strz(mod));
	} else if (mod) {
		set_module(l, t, val_get_str(mod), val_origin(mod));
		set_args(l, t, val_getk(rest, mod));
	} else if (!t->n.kw[KW_ACTION] && !t->n.kw[KW_LOCAL_ACTION]) {
		complain(l, val_origin(ds), "%s", "no module/action detected in task");
	}
}

static void take_args(struct loader *l, struct task *t)
{
	struct val *v = t->n.kw[KW_ARGS];
	if (!v)
		return;
	if (val_is_str(v)) {
		t->args_tmpl = v;
	} else if (val_is_map(v)) {
		/* What the module's own value says wins over args. */
		t->args = val_merge(l->a, v, t->args, false);
	} else {
		complain(l, val_origin(v), "%s",
		         "complex args containing lists are not allowed: args must be a dictionary");
	}
}

/* The old include is an import where its file is known beforehand; its other parameters are variables. */
static void settle_include(struct loader *l, struct task *t)
{
	if (!t->action || strcmp(t->action->name, "include") != 0)
		return;
	struct val *args = val_map(l->a), *vars = t->n.kw[KW_VARS];
	MAP_EACH (i, t->args) {
		struct val *key = val_key_at(t->args, i);
		struct str name = val_text(key, l->a);
		if (str_eqc(name, "_raw_params") || str_eqc(name, "file") || str_eqc(name, "apply")) {
			val_setk(args, key, val_value_at(t->args, i));
			continue;
		}
		if (vars == t->n.kw[KW_VARS])
			vars = vars ? val_shallow(l->a, vars) : val_map(l->a);
		val_setk(vars, key, val_value_at(t->args, i));
	}
	t->args = args;
	t->n.kw[KW_VARS] = vars;
	const struct val *file = val_get(args, "_raw_params");
	if (!t->loop && !t->lookup && file && !jinja_is_template(val_text(file, l->a)) &&
	    !val_get(args, "apply"))
		t->action = action_find(STR("import_tasks"));
}

struct task *parse_task(struct loader *l, const struct val *ds, struct node *parent, struct tfile *file,
                        bool handler)
{
	struct task *t = ARENA_NEW(l->a, struct task);
	t->n.kind = NODE_TASK;
	t->n.parent = parent;
	t->n.at = val_origin(ds);
	t->file = file;
	t->handler = handler;
	t->args = val_map(l->a);
	t->module_name = "";
	struct val *rest = val_map(l->a);
	parse_keywords(l, &t->n, ds, handler ? ON_HANDLER : ON_TASK, rest);
	if (t->n.kw[KW_NAME])
		t->name = val_text(t->n.kw[KW_NAME], l->a);
	t->loop = t->n.kw[KW_LOOP];
	take_rest(l, t, rest, ds);
	if (t->n.kw[KW_ACTION])
		set_action(l, t, t->n.kw[KW_ACTION]);
	if (t->n.kw[KW_LOCAL_ACTION]) {
		t->local = true;
		set_action(l, t, t->n.kw[KW_LOCAL_ACTION]);
	}
	take_args(l, t);
	settle_include(l, t);
	if (handler && t->action &&
	    (strcmp(t->action->name, "include_role") == 0 || strcmp(t->action->name, "import_role") == 0))
		complain(l, t->n.at, "Using '%s' as a handler is not supported.", t->action->name);
	task_rules(l, t);
	return t;
}

static struct block *parse_block(struct loader *l, const struct val *ds, struct node *parent,
                                 struct tfile *file, bool handlers);

static void parse_list(struct loader *l, struct nodes *out, const struct val *list, struct node *parent,
                       struct tfile *file, bool handlers)
{
	if (!list || val_is_null(list))
		return;
	if (!val_is_list(list)) {
		complain(l, val_origin(list),
		         "A malformed block was encountered while loading %s: a list of tasks is wanted",
		         file->path);
		return;
	}
	VAL_EACH (i, list) {
		const struct val *ds = val_at(list, i);
		if (val_is_null(ds))
			continue;
		if (!val_is_map(ds)) {
			complain(l, val_origin(ds), "a task must be a dictionary, this is a %s",
			         val_type_name(ds));
			continue;
		}
		bool is_block = val_get(ds, "block") || val_get(ds, "rescue") || val_get(ds, "always");
		nodes_push(l->a, out,
		           is_block ? &parse_block(l, ds, parent, file, handlers)->n
		                    : &parse_task(l, ds, parent, file, handlers)->n);
	}
}

static struct block *parse_block(struct loader *l, const struct val *ds, struct node *parent,
                                 struct tfile *file, bool handlers)
{
	struct block *b = ARENA_NEW(l->a, struct block);
	b->n.kind = NODE_BLOCK;
	b->n.parent = parent;
	b->n.at = val_origin(ds);
	parse_keywords(l, &b->n, ds, ON_BLOCK, NULL);
	static const enum kw kws[SEC_END] = {KW_BLOCK, KW_RESCUE, KW_ALWAYS};
	for (int s = 0; s < SEC_END; s++) {
		const struct val *list = b->n.kw[kws[s]];
		parse_list(l, &b->sec[s], list, &b->n, file, handlers);
		if (s != SEC_TASKS && list && val_len(list) &&
		    !(b->n.kw[KW_BLOCK] && val_len(b->n.kw[KW_BLOCK])))
			complain(l, b->n.at, "'%s' keyword cannot be used without 'block'",
			         keywords[kws[s]].name);
	}
	return b;
}

struct block *parse_tasks(struct loader *l, const struct val *list, struct tfile *file, bool handlers)
{
	struct block *b = ARENA_NEW(l->a, struct block);
	b->n.kind = NODE_BLOCK;
	b->n.at = list ? val_origin(list) : ORIGIN_NONE;
	parse_list(l, &b->sec[SEC_TASKS], list, NULL, file, handlers);
	return b;
}
