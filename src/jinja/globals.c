/* globals - Jinja2's global functions: range, dict, namespace, cycler, joiner. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

/* ---- range */

struct range {
	int64_t from, step, n, to;
};

static bool range_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                      struct err *err)
{
	struct range *r = self;
	int64_t i;

	(void)ctx;
	(void)err;
	if (val_kind(key) != VAL_INT)
		return true;
	i = val_get_int(key);
	i = i < 0 ? i + r->n : i;
	if (i >= 0 && i < r->n)
		*ret = val_int(a, r->from + i * r->step);
	return true;
}

static struct val *range_keys(void *self, struct arena *a)
{
	struct range *r = self;
	struct val *list = val_list(a);

	for (int64_t i = 0; i < r->n; i++)
		val_push(list, val_int(a, r->from + i * r->step));
	return list;
}

static void range_repr(void *self, struct buf *out)
{
	struct range *r = self;

	buf_printf(out, "range(%lld, %lld", (long long)r->from, (long long)r->to);
	if (r->step != 1)
		buf_printf(out, ", %lld", (long long)r->step);
	buf_addc(out, ')');
}

static const struct val_class range_class = {
        .name = "range",
        .get = range_get,
        .keys = range_keys,
        .repr = range_repr,
        .plain = range_keys,
};

static bool g_range(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct range *r = ARENA_NEW(c->a, struct range);
	struct val *v[3];
	int64_t num[3] = {0, 0, 1}, span;

	if (!jinja_args(c, "range", "start stop= step=", v, err))
		return false;
	for (int i = 0; i < 3; i++) {
		if (v[i] && val_kind(v[i]) != VAL_INT && val_kind(v[i]) != VAL_BOOL)
			return jinja_fail(err, "'%s' object cannot be interpreted as an integer",
			                  val_type_name(v[i]));
		if (v[i] && !arg_int(v[i], 0, &num[i], err))
			return false;
	}
	if (!v[1]) {
		num[1] = num[0];
		num[0] = 0;
	}
	if (!num[2])
		return jinja_fail(err, "range() arg 3 must not be zero");
	*r = (struct range){.from = num[0], .to = num[1], .step = num[2]};
	if (__builtin_sub_overflow(num[1], num[0], &span) || num[2] == INT64_MIN)
		return jinja_fail(err, "range() is too large");
	if (num[2] > 0 ? span > 0 : span < 0)
		r->n = num[2] > 0 ? (span - 1) / num[2] + 1 : (span + 1) / num[2] + 1;
	if (r->n > JINJA_MAX_ITEMS)
		return jinja_fail(err, "range() is too large: %lld items, at most %d", (long long)r->n,
		                  JINJA_MAX_ITEMS);
	*ret = val_obj(c->a, &range_class, r);
	return true;
}

/* ---- dict */

static bool g_dict(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *m = val_map(c->a), *args = val_list(c->a), *none;

	val_push(args, m);
	VAL_EACH (i, c->args)
		val_push(args, val_at(c->args, i));
	if (!jinja_call_row(c->ctx, c->a, py_method(m, STR("update")), args, c->kwargs, &none, err))
		return false;
	*ret = m;
	return true;
}

/* ---- namespace */

static bool ns_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                   struct err *err)
{
	(void)ctx;
	(void)a;
	(void)err;
	*ret = val_getk(self, key);
	return true;
}

static bool ns_set(void *self, const struct val *key, struct val *v, struct err *err)
{
	(void)err;
	val_sets(self, val_get_str(key), v);
	return true;
}

static void ns_repr(void *self, struct buf *out)
{
	buf_adds(out, "<Namespace ");
	val_repr(self, out);
	buf_addc(out, '>');
}

static const struct val_class ns_class = {
        .name = "jinja2.utils.Namespace",
        .get = ns_get,
        .set = ns_set,
        .repr = ns_repr,
};

static bool g_namespace(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *m;

	if (!g_dict(c, &m, err))
		return false;
	*ret = val_obj(c->a, &ns_class, m);
	return true;
}

/* ---- cycler and joiner */

struct cycler {
	struct val *items, *self;
	size_t i;
};

static bool cycler_next(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct cycler *y = val_obj_self(val_at(c->args, 0));

	(void)err;
	*ret = val_at(y->items, y->i);
	y->i = (y->i + 1) % val_len(y->items);
	return true;
}

static bool cycler_reset(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct cycler *y = val_obj_self(val_at(c->args, 0));

	(void)err;
	y->i = 0;
	*ret = val_null();
	return true;
}

static const struct jinja_func cycler_methods[] = {
        {"next", cycler_next, "", 0, NULL},
        {"reset", cycler_reset, "", 0, NULL},
};

static bool cycler_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                       struct err *err)
{
	struct cycler *y = self;

	(void)ctx;
	(void)err;
	if (!val_is_str(key))
		return true;
	if (str_eqc(val_get_str(key), "current"))
		*ret = val_at(y->items, y->i);
	for (size_t i = 0; i < 2; i++)
		if (str_eqc(val_get_str(key), cycler_methods[i].name))
			*ret = jinja_function(a, &cycler_methods[i], y->self);
	return true;
}

static const struct val_class cycler_class = {.name = "jinja2.utils.Cycler", .get = cycler_get};

static bool g_cycler(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct cycler *y = ARENA_NEW(c->a, struct cycler);

	if (!val_len(c->args))
		return jinja_fail(err, "at least one item has to be provided");
	y->items = c->args;
	y->self = *ret = val_obj(c->a, &cycler_class, y);
	return true;
}

struct joiner {
	struct val *sep;
	bool used;
};

static bool joiner_call(void *self, void *ctx, struct val *args, struct val *kwargs, struct arena *a,
                        struct val **ret, struct err *err)
{
	struct joiner *j = self;

	(void)ctx;
	(void)err;
	(void)args;
	(void)kwargs;
	*ret = j->used ? j->sep : val_str(a, STR(""));
	j->used = true;
	return true;
}

static const struct val_class joiner_class = {.name = "jinja2.utils.Joiner", .call = joiner_call};

static bool g_joiner(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct joiner *j = ARENA_NEW(c->a, struct joiner);
	struct val *v[1];

	if (!jinja_args(c, "joiner", "sep=", v, err))
		return false;
	j->sep = v[0] ? v[0] : val_str(c->a, STR(", "));
	*ret = val_obj(c->a, &joiner_class, j);
	return true;
}

const struct jinja_func jinja_globals_core[] = {
        {"cycler", g_cycler, "Goes round its arguments: next(), current, reset().", 0, NULL},
        {"dict", g_dict, "A map of its keyword arguments, of pairs or of another map.", JINJA_ALLOW_UNDEF,
         NULL},
        {"joiner", g_joiner, "Nothing when first called, the separator after that.", 0, NULL},
        {"namespace", g_namespace, "An object whose attributes {% set %} can change from within loops.",
         JINJA_ALLOW_UNDEF, NULL},
        {"range", g_range, "Whole numbers from start up to, not including, stop.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
