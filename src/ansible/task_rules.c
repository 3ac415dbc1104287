/* What a task may not say, refused where it is read: before anything runs. */
#include "ansible/action.h"
#include "ansible/include.h"
#include "ansible/playbook.h"
#include "ansible/scope.h"
#include <ctype.h>

static bool is_dynamic(const struct task *t)
{
	return t->action && strcmp(t->action->name, "include") != 0 &&
	       (t->action->kind == ACT_INCLUDE_TASKS || t->action->kind == ACT_INCLUDE_ROLE);
}

static bool is_static(const struct task *t)
{
	return t->action && (t->action->kind == ACT_IMPORT_TASKS || t->action->kind == ACT_IMPORT_ROLE);
}

/* The keywords of an include itself; all others belong to what it includes (apply). */
static void include_keywords(struct loader *l, const struct task *t)
{
	static const enum kw own[] = {KW_ACTION,        KW_ARGS,     KW_COLLECTIONS,  KW_DEBUGGER,
	                              KW_IGNORE_ERRORS, KW_LOOP,     KW_LOOP_CONTROL, KW_NAME,
	                              KW_NO_LOG,        KW_REGISTER, KW_RUN_ONCE,     KW_TAGS,
	                              KW_TIMEOUT,       KW_VARS,     KW_WHEN,         KW_LISTEN};
	const char *what = t->action->kind == ACT_INCLUDE_ROLE ? "IncludeRole"
	                   : t->handler                        ? "HandlerTaskInclude"
	                                                       : "TaskInclude";
	for (int k = 0; k < KW_N; k++) {
		bool known = !t->n.kw[k];
		for (size_t i = 0; !known && i < sizeof(own) / sizeof(*own); i++)
			known = (enum kw)k == own[i];
		if (known)
			continue;
		struct err *e = errs_add(l->errs);
		err_set(e, ERR_USER, t->n.at, "'%s' is not a valid attribute for a %s", keywords[k].name,
		        what);
		err_hint(e, "what is included gets it by apply, or from a block around the %s",
		         t->action->name);
	}
}

static void include_options(struct loader *l, const struct task *t)
{
	const struct val *apply = val_get(t->args, "apply");
	if (t->args_tmpl || !include_check_args(l->a, t, l->errs) || !apply)
		return;
	if (val_is_map(apply)) {
		struct node n = {.kind = NODE_BLOCK};
		parse_keywords(l, &n, apply, ON_BLOCK | ON_TASK, NULL);
	} else if (!val_needs_template(apply)) {
		err_set(errs_add(l->errs), ERR_USER, val_origin(apply),
		        "Expected a dict for apply but got <class '%s'> instead", val_type_name(apply));
	}
}

bool variable_name_ok(struct str s)
{
	if (!s.n || isdigit((unsigned char)s.p[0]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '_')
			return false;
	return true;
}

static void loop_control(struct loader *l, const struct val *lc)
{
	static const char *const known[] = {"loop_var", "index_var",         "label",     "pause",
	                                    "extended", "extended_allitems", "break_when"};
	if (!val_is_map(lc)) {
		err_set(errs_add(l->errs), ERR_USER, val_origin(lc),
		        "the `loop_control` value must be specified as a dictionary and cannot be a variable "
		        "itself (though it can contain variables)");
		return;
	}
	MAP_EACH (i, lc) {
		const struct val *k = val_key_at(lc, i);
		bool ok = false;
		for (size_t n = 0; val_is_str(k) && n < sizeof(known) / sizeof(*known); n++)
			ok = ok || str_eqc(val_get_str(k), known[n]);
		if (!ok)
			err_set(errs_add(l->errs), ERR_USER, val_origin(k),
			        "'%.*s' is not a valid attribute for a LoopControl",
			        STR_FMT(val_text(k, l->a)));
	}
}

static void loop(struct loader *l, const struct task *t)
{
	if (t->n.kw[KW_LOOP_CONTROL])
		loop_control(l, t->n.kw[KW_LOOP_CONTROL]);
	if (t->loop && is_static(t))
		err_set(errs_add(l->errs), ERR_USER, t->n.at,
		        "You cannot use loops on '%s' statements. You should use '%s' instead.",
		        t->module_name,
		        t->action->kind == ACT_IMPORT_ROLE ? "include_role" : "include_tasks");
	if (t->lookup && !lookup_find(str_c(t->lookup)))
		err_set(errs_add(l->errs), ERR_USER, t->n.at, "'with_%s' is not a valid attribute for a Task",
		        t->lookup);
}

static void registered(struct loader *l, const struct val *name)
{
	if (!val_is_str(name) || !variable_name_ok(val_get_str(name)))
		err_set(errs_add(l->errs), ERR_USER, val_origin(name),
		        "Invalid variable name in 'register' specified: '%.*s'",
		        STR_FMT(val_text(name, l->a)));
}

void task_rules(struct loader *l, const struct task *t)
{
	loop(l, t);
	if (is_dynamic(t))
		include_keywords(l, t);
	if (is_dynamic(t) || is_static(t))
		include_options(l, t);
	if (t->n.kw[KW_REGISTER])
		registered(l, t->n.kw[KW_REGISTER]);
}

/* ---- what every node may carry ------------------------------------------------------------------------ */

static void module_defaults(struct loader *l, const struct val *v)
{
	static const char wrong[] =
	        "The field 'module_defaults' is supposed to be a dictionary or list of dictionaries, the "
	        "keys "
	        "of which must be static action, module, or group names. Only the values may contain "
	        "templates. For example: {'ping': \"{{ ping_defaults }}\"}";
	size_t n = val_is_list(v) ? val_len(v) : 1;
	for (size_t i = 0; i < n; i++) {
		const struct val *one = val_is_list(v) ? val_at(v, i) : v;
		if (!val_is_map(one)) {
			err_set(errs_add(l->errs), ERR_USER, val_origin(one), "%s", wrong);
			continue;
		}
		MAP_EACH (k, one) {
			struct str key = val_text(val_key_at(one, k), l->a);
			if (str_starts(key, "group/") && !module_group_known(str_from(key, 6)))
				err_set(errs_add(l->errs), ERR_USER, val_origin(val_key_at(one, k)),
				        "Error loading module_defaults: could not resolve the "
				        "module_defaults "
				        "group %.*s",
				        STR_FMT(str_from(key, 6)));
		}
	}
}

static void variables(struct loader *l, const struct val *vars, const char *kind)
{
	MAP_EACH (i, vars) {
		const struct val *k = val_key_at(vars, i);
		if (!val_is_str(k) || !variable_name_ok(val_get_str(k)))
			err_set(errs_add(l->errs), ERR_USER, val_origin(k),
			        "Invalid variable name in vars specified for %s: '%.*s' is not a valid "
			        "variable name",
			        kind, STR_FMT(val_text(k, l->a)));
	}
}

static void tags(struct loader *l, const struct val *v)
{
	if (!val_is_str(v) && !val_is_list(v) && val_kind(v) != VAL_INT)
		err_set(errs_add(l->errs), ERR_USER, val_origin(v), "tags must be specified as a list");
}

void node_rules(struct loader *l, const struct node *n)
{
	static const char *const kinds[] = {"Play", "RoleInclude", "Block", "Task"};
	if (n->kw[KW_VARS] && val_is_map(n->kw[KW_VARS]))
		variables(l, n->kw[KW_VARS], kinds[n->kind]);
	if (n->kw[KW_TAGS])
		tags(l, n->kw[KW_TAGS]);
	if (n->kw[KW_MODULE_DEFAULTS])
		module_defaults(l, n->kw[KW_MODULE_DEFAULTS]);
	if (n->kw[KW_NAME] && (val_is_list(n->kw[KW_NAME]) || val_is_map(n->kw[KW_NAME])))
		err_set(errs_add(l->errs), ERR_USER, val_origin(n->kw[KW_NAME]),
		        "The field 'name' is supposed to be a string type, however the incoming data "
		        "structure is a <class '%s'>",
		        val_type_name(n->kw[KW_NAME]));
}
