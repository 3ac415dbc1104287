/* module_defaults: parameters of modules and of groups of modules, from all levels around a task. */
#include "ansible/core.h"
#include "ansible/task.h"
#include "modules/spec.h"

static struct str last_part(struct str name)
{
	const char *dot = name.n ? memrchr(name.p, '.', name.n) : NULL;
	return dot ? str_n(dot + 1, (size_t)(name.p + name.n - dot - 1)) : name;
}

/* Whether M is in GROUP, "namespace.collection.name": of the collection, and its own name begins so. */
static bool in_group(const struct module *m, struct str group)
{
	struct str name = last_part(group), own = str_c(m->name);
	if (name.n == group.n || name.n >= own.n || own.p[name.n] != '_' || !str_starts(own, name.p))
		return false;
	return str_eqc(str_n(group.p, group.n - name.n - 1), m->from);
}

bool module_group_known(struct str group)
{
	for (size_t i = 0; module_table[i]; i++)
		if (in_group(module_table[i], group))
			return true;
	return false;
}

/* The levels as one map: a mention further in replaces the one further out whole. */
static bool levels(struct item_run *r, struct val **ret, struct err *err)
{
	struct val *all =
	        kw_all(&r->t->task->n, r->t->frame, &r->t->e->pr->play->n, KW_MODULE_DEFAULTS, r->a);
	*ret = val_map(r->a);
	VAL_EACH (i, all) {
		struct val *level = val_at(all, i);
		size_t n = val_is_list(level) ? val_len(level) : 1;
		for (size_t k = 0; k < n; k++) {
			struct val *one = val_is_list(level) ? val_at(level, k) : level, *m;
			if (!scope_template(&r->s, one, &m, err))
				return false;
			for (size_t j = 0; val_is_map(m) && j < val_len(m); j++) {
				struct str key = val_text(val_key_at(m, j), r->a);
				val_sets(*ret, str_starts(key, "group/") ? key : last_part(key),
				         val_value_at(m, j));
			}
		}
	}
	return true;
}

static void put(struct val *into, const struct val *args)
{
	for (size_t i = 0; args && val_is_map(args) && i < val_len(args); i++)
		val_setk(into, val_key_at(args, i), val_value_at(args, i));
}

bool module_defaults(struct item_run *r, struct val *into, struct err *err)
{
	struct str name = last_part(str_c(r->t->task->module_name));
	const struct module *m = r->t->task->module;
	struct val *all;
	if (!levels(r, &all, err))
		return false;
	MAP_EACH (i, all) {
		struct str key = val_get_str(val_key_at(all, i));
		if (m && str_starts(key, "group/") && in_group(m, str_from(key, 6)))
			put(into, val_value_at(all, i));
	}
	if (str_eqc(name, "gather_facts")) /* which runs setup, with what is said for that too */
		put(into, val_get(all, "setup"));
	put(into, val_gets(all, name));
	return true;
}
