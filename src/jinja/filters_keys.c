/* filters_keys - members of maps kept, removed or called otherwise by their keys: community.general's filters
 * over a list of maps, and those of ansible.utils, which go as deep as there is. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

struct picker {
	struct jinja_call *c;
	struct err *err;
	struct str how;
	struct val *target; /* keys, or maps of "before" and "after" */
	char what;          /* k: keep, r: remove, x: replace */
};

/* Whether KEY is what TARGET's member I means. */
static bool hits(const struct picker *p, struct str key, size_t i, bool *ret)
{
	const struct val *t = val_at(p->target, i);
	struct str x = val_text(val_is_map(t) ? val_get(t, "before") : t, p->c->a);
	struct val *found = val_list(p->c->a);

	if (str_eqc(p->how, "starts_with"))
		*ret = str_starts(key, x.p);
	else if (str_eqc(p->how, "ends_with"))
		*ret = str_ends(key, x.p);
	else if (str_eqc(p->how, "equal") || str_eqc(p->how, "equality"))
		*ret = str_eq(key, x);
	else if (!str_eqc(p->how, "regex"))
		return jinja_fail(p->err, "matching_parameter '%.*s' is not known", STR_FMT(p->how));
	else if (!regex_all(p->c, arena_printf(p->c->a, "\\A(?:%s)", x.p), key, found, p->err))
		return false;
	else
		*ret = val_len(found) > 0;
	return true;
}

/* The first of TARGET that means KEY; its length: none does. */
static bool first_hit(const struct picker *p, const struct val *key, size_t *ret)
{
	for (*ret = 0; *ret < val_len(p->target); (*ret)++) {
		bool hit = false;

		if (!hits(p, val_text(key, p->c->a), *ret, &hit))
			return false;
		if (hit)
			return true;
	}
	return true;
}

static bool flat(const struct picker *p, const struct val *m, struct val **ret)
{
	*ret = val_map(p->c->a);
	MAP_EACH (k, m) {
		struct val *key = val_key_at(m, k);
		size_t at;

		if (!first_hit(p, key, &at))
			return false;
		bool hit = at < val_len(p->target);
		if (p->what == 'x')
			val_setk(*ret, hit ? val_get(val_at(p->target, at), "after") : key,
			         val_value_at(m, k));
		else if (hit == (p->what == 'k'))
			val_setk(*ret, key, val_value_at(m, k));
	}
	return true;
}

/* One target after the other, a member with a new name goes to the end. */
static bool renamed(const struct picker *p, struct val *m)
{
	VAL_EACH (t, p->target) {
		const struct val *keys = val_shallow(p->c->a, m);

		MAP_EACH (k, keys) {
			struct val *key = val_key_at(keys, k), *v = val_getk(m, key);
			bool hit = false;

			if (!hits(p, val_text(key, p->c->a), t, &hit))
				return false;
			if (!v || !hit)
				continue;
			val_delk(m, key);
			val_setk(m, val_get(val_at(p->target, t), "after"), v);
		}
	}
	return true;
}

static bool deep(const struct picker *p, struct val *v, struct val **ret);

static bool is_plain_or_empty(const struct val *v)
{
	bool texts = val_is_list(v);

	for (size_t i = 0; texts && i < val_len(v); i++)
		texts = val_is_str(val_at(v, i));
	return texts || !val_len(v);
}

static bool deep_list(const struct picker *p, const struct val *v, struct val **ret)
{
	*ret = val_list(p->c->a);
	VAL_EACH (i, v) {
		struct val *x;

		if (!deep(p, val_at(v, i), &x))
			return false;
		if (p->what != 'r' || val_truthy(x))
			val_push(*ret, x);
	}
	return true;
}

static bool deep(const struct picker *p, struct val *v, struct val **ret)
{
	struct val *m, *x;
	bool keep = p->what == 'k';

	*ret = v;
	if (val_is_list(v))
		return deep_list(p, v, ret);
	if (!val_is_map(v))
		return true;
	m = val_shallow(p->c->a, v);
	*ret = val_map(p->c->a);
	if (p->what == 'x' && !renamed(p, m))
		return false;
	MAP_EACH (k, m) {
		struct val *key = val_key_at(m, k), *old = val_value_at(m, k), *kept = val_list(p->c->a);
		bool branch = val_is_list(old) || val_is_map(old);
		size_t at = 0;

		if (!deep(p, old, &x) || (p->what != 'x' && !first_hit(p, key, &at)))
			return false;
		for (size_t i = 0; keep && val_is_list(x) && i < val_len(x); i++)
			if (!(val_is_list(val_at(x, i)) || val_is_map(val_at(x, i))) || val_len(val_at(x, i)))
				val_push(kept, val_at(x, i));
		if (keep && val_is_list(x))
			x = kept;
		if (keep ? (branch ? !is_plain_or_empty(x) : at < val_len(p->target))
		         : p->what == 'x' || at == val_len(p->target))
			val_setk(*ret, key, x);
	}
	return true;
}

static bool f_keys(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *user = c->user; /* the filter's name, "+" before it when it goes deep */
	bool deeply = *user == '+';
	const char *name = user + deeply;
	struct picker p = {.c = c, .err = err, .what = strcmp(name, "replace_keys") == 0 ? 'x' : *name};
	struct val *v[3], *list, *one;

	if (!jinja_args(c, name, "data target= matching_parameter=", v, err) ||
	    !arg_str(c, v[2], STR("equal"), &p.how, err))
		return false;
	if (!v[1])
		return jinja_fail(err, "target is required");
	p.target = val_list(c->a);
	if (val_is_str(v[1]) || val_is_map(v[1]))
		val_push(p.target, v[1]);
	else if (!(p.target = arg_iter(c, v[1], err)))
		return false;
	for (size_t i = 0; p.what == 'x' && i < val_len(p.target); i++)
		if (!val_is_map(val_at(p.target, i)) || !val_get(val_at(p.target, i), "before") ||
		    !val_get(val_at(p.target, i), "after"))
			return jinja_fail(err, "a target of replace_keys has before and after");
	if (deeply && (val_is_list(v[0]) || val_is_map(v[0])))
		return deep(&p, v[0], ret);
	if (!(list = arg_iter(c, v[0], err)))
		return false;
	*ret = val_list(c->a);
	VAL_EACH (i, list) {
		if (!val_is_map(val_at(list, i)))
			return jinja_fail(err, "a list of dictionaries is expected, not of %s",
			                  val_type_name(val_at(list, i)));
		if (!flat(&p, val_at(list, i), &one))
			return false;
		val_push(*ret, one);
	}
	return true;
}

const struct jinja_func jinja_filters_keys[] = {
        {"keep_keys", f_keys, "Of each map the members named.", 0, "keep_keys"},
        {"remove_keys", f_keys, "Each map without the members named.", 0, "remove_keys"},
        {"replace_keys", f_keys, "Each map with members called otherwise.", 0, "replace_keys"},
        {"ansible.utils.keep_keys", f_keys, "The members named, however deep.", 0, "+keep_keys"},
        {"ansible.utils.remove_keys", f_keys, "All but the members named, however deep.", 0, "+remove_keys"},
        {"ansible.utils.replace_keys", f_keys, "Members called otherwise, however deep.", 0, "+replace_keys"},
        {NULL, NULL, NULL, 0, NULL},
};
