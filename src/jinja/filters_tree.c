/* filters_tree - deep structures by path and lists by what their items are: get_path, to_paths and index_of
 * of ansible.utils, accumulate of community.general. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <string.h>

static bool is_name(struct str s)
{
	static const char ok[] = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	return s.n && strspn(s.p, ok) == s.n && !(s.p[0] >= '0' && s.p[0] <= '9');
}

/* V, which is called PATH, to OUT: by its path, or what lies in it. */
static void add_paths(struct arena *a, const char *path, struct val *v, struct val *out)
{
	if (!(val_is_map(v) || val_is_list(v)) || !val_len(v)) {
		val_set(out, path, v);
		return;
	}
	VAL_EACH (i, v) {
		struct str key = val_is_map(v) ? val_text(val_key_at(v, i), a) : STR("");

		if (val_is_list(v))
			add_paths(a, arena_printf(a, "%s[%zu]", path, i), val_at(v, i), out);
		else if (!*path || is_name(key))
			add_paths(a, arena_printf(a, "%s%s%.*s", path, *path ? "." : "", STR_FMT(key)),
			          val_value_at(v, i), out);
		else
			add_paths(a, arena_printf(a, "%s['%.*s']", path, STR_FMT(key)), val_value_at(v, i),
			          out);
	}
}

static struct val *wanted(struct jinja_call *c, const struct val *wantlist, struct val *v)
{
	struct val *list = val_list(c->a);

	if (!arg_bool(wantlist, false))
		return v;
	val_push(list, v);
	return list;
}

static bool f_to_paths(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *out = val_map(c->a);
	struct str prepend;

	if (!jinja_args(c, "to_paths", "var prepend= wantlist=", v, err) ||
	    !arg_str(c, v[1], STR(""), &prepend, err))
		return false;
	if (val_len(v[0]) || prepend.n)
		add_paths(c->a, arena_printf(c->a, "%.*s", STR_FMT(prepend)), v[0], out);
	*ret = wanted(c, v[2], out);
	return true;
}

/* The path is an expression in which the map's members are the variables. */
static bool f_get_path(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct jinja_ctx *ctx = jinja_ctx_new(jinja_ctx_env(c->ctx), c->a, &(struct jinja_hooks){0});
	struct jinja_tmpl *t;
	struct val *v[3];
	struct str path;

	if (!jinja_args(c, "get_path", "var path wantlist=", v, err) || !arg_text(c, v[1], &path, err))
		return false;
	if (!val_is_map(v[0]))
		return jinja_fail(err, "get_path needs a dictionary, not %s", val_type_name(v[0]));
	MAP_EACH (i, v[0])
		jinja_ctx_set(ctx, val_text(val_key_at(v[0], i), c->a), val_value_at(v[0], i));
	path = str_c(arena_printf(c->a, "{{ %.*s }}", STR_FMT(path)));
	if (!jinja_compile(jinja_ctx_env(c->ctx), c->a, path, (struct origin){0}, NULL, &t, err) ||
	    !jinja_render_ansible(t, ctx, c->a, ret, err))
		return false;
	*ret = wanted(c, v[2], *ret);
	return true;
}

/* Whether the test NAME, "!" or "not " before it for the opposite, holds for X and maybe VALUE. */
static bool holds(struct jinja_call *c, struct str name, struct val *x, struct val *value, bool *ret,
                  struct err *err)
{
	struct val *args = val_list(c->a), *list = val_list(c->a), *res;
	size_t skip = str_starts(name, "!") ? 1 : str_starts(name, "not ") ? 4 : 0;

	name = skip && str_eqc(name, "!=") ? STR("==") : str_n(name.p + skip, name.n - skip);
	val_push(args, x);
	val_push(list, value);
	if (!val_is_null(value))
		val_push(args, str_eqc(name, "in") && !val_is_list(value) ? list : value);
	if (!ctx_call_named(c->ctx, c->a, 't', name, args, val_map(c->a), &res, err))
		return false;
	*ret = val_truthy(res) != (skip > 0);
	return true;
}

static bool f_index_of(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[6], *list, *out = val_list(c->a);
	struct str name;

	if (!jinja_args(c, "index_of", "data test value= key= wantlist= fail_on_missing=", v, err) ||
	    !arg_text(c, v[1], &name, err) || !(list = arg_iter(c, v[0], err)))
		return false;
	VAL_EACH (i, list) {
		struct val *x = val_at(list, i);
		bool hit = false;

		if (v[3] && !val_is_null(v[3])) {
			if (!val_is_map(x))
				return jinja_fail(err, "index_of with a key needs a list of dictionaries");
			if (!(x = val_getk(x, v[3])) && arg_bool(v[5], false))
				return jinja_fail(err, "index_of: the key is missing in item %zu", i);
			if (!x)
				continue;
		}
		if (!holds(c, name, x, v[2] ? v[2] : val_null(), &hit, err))
			return false;
		if (hit)
			val_push(out, val_int(c->a, (int64_t)i));
	}
	*ret = val_len(out) == 1 && !arg_bool(v[4], false) ? val_at(out, 0) : out;
	return true;
}

static bool f_accumulate(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1], *sum = NULL, *list;

	if (!jinja_args(c, "accumulate", "sequence", v, err) || !(list = arg_iter(c, v[0], err)))
		return false;
	*ret = val_list(c->a);
	VAL_EACH (i, list) {
		if (!sum)
			sum = val_at(list, i);
		else if (!py_binary(c->a, T_ADD, sum, val_at(list, i), &sum, err))
			return false;
		val_push(*ret, sum);
	}
	return true;
}

const struct jinja_func jinja_filters_tree[] = {
        {"accumulate", f_accumulate, "The sums of the items up to each of them.", 0, NULL},
        {"get_path", f_get_path, "What a map has at a path.", 0, NULL},
        {"index_of", f_index_of, "Where the items stand that pass a test.", 0, NULL},
        {"to_paths", f_to_paths, "A map of all paths in a structure and what is there.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
