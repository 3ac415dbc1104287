/* jmes_eval - JMESPath over values, and the filter that asks. */
#include "jinja/jmes.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

bool jmes_true(const struct val *v)
{
	switch (val_kind(v)) {
	case VAL_UNDEF:
	case VAL_NULL: return false;
	case VAL_BOOL: return val_get_bool(v);
	case VAL_STR:
	case VAL_LIST:
	case VAL_TUPLE:
	case VAL_MAP: return val_len(v) > 0;
	default: return true;
	}
}

static struct val *slice(const struct jmes *x, struct arena *a, struct val *v)
{
	struct val *r = val_list(a);
	int64_t n = (int64_t)val_len(v), last = x->step > 0 ? n : n - 1, low = x->step > 0 ? 0 : -1;
	int64_t from = x->has_from ? x->from : x->step > 0 ? 0 : n - 1, to = x->to;
	from = from < 0 && x->has_from ? from + n : from;
	to = !x->has_to ? (x->step > 0 ? n : -1) : to < 0 ? to + n : to;
	from = from < low ? low : from > last ? last : from;
	to = to < low ? low : to > last ? last : to;
	for (int64_t i = from; x->step > 0 ? i < to : i > to; i += x->step)
		val_push(r, val_at(v, (size_t)i));
	return r;
}

static struct val *flat(struct arena *a, struct val *v)
{
	struct val *r = val_list(a);
	VAL_EACH (i, v) {
		struct val *one = val_at(v, i);
		if (!val_is_list(one)) {
			val_push(r, one);
			continue;
		}
		VAL_EACH (k, one)
			val_push(r, val_at(one, k));
	}
	return r;
}

static struct val *index_of(const struct jmes *x, struct val *v)
{
	int64_t n = val_is_list(v) ? (int64_t)val_len(v) : 0, i = x->from < 0 ? x->from + n : x->from;
	return i >= 0 && i < n ? val_at(v, (size_t)i) : val_null();
}

static bool same(const struct val *x, const struct val *y)
{
	return (val_kind(x) == VAL_BOOL) == (val_kind(y) == VAL_BOOL) && val_equal(x, y);
}

static struct val *compare(enum jmes_op op, const struct val *x, const struct val *y)
{
	int c;
	struct err e = {0};
	if (op <= JM_NE)
		return val_bool(same(x, y) == (op == JM_EQ));
	bool both = (val_is_num(x) && val_is_num(y)) || (val_is_str(x) && val_is_str(y));
	if (!both || !val_compare(x, y, &c, &e)) {
		err_clear(&e);
		return val_null();
	}
	return val_bool(op == JM_LT ? c < 0 : op == JM_LE ? c <= 0 : op == JM_GT ? c > 0 : c >= 0);
}

/* Projections: right on each of the items, nulls left out. */
static bool each(const struct jmes *x, struct arena *a, struct val *items, struct val **ret, struct err *err)
{
	struct val *r = val_list(a), *one, *holds;
	bool values = x->kind == JM_VALUES;
	if (values ? !val_is_map(items) : !val_is_list(items)) {
		*ret = val_null();
		return true;
	}
	VAL_EACH (i, items) {
		struct val *item = values ? val_value_at(items, i) : val_at(items, i);
		if (x->cond) {
			if (!jmes_eval(x->cond, a, item, &holds, err))
				return false;
			if (!jmes_true(holds))
				continue;
		}
		if (!jmes_eval(x->right, a, item, &one, err))
			return false;
		if (!val_is_null(one))
			val_push(r, one);
	}
	*ret = r;
	return true;
}

static bool members(const struct jmes *x, struct arena *a, struct val *v, struct val **ret, struct err *err)
{
	struct val *one;
	*ret = val_is_null(v) ? val_null() : x->kind == JM_HASH ? val_map(a) : val_list(a);
	for (size_t i = 0; !val_is_null(v) && i < x->n; i++) {
		if (!jmes_eval(x->args[i], a, v, &one, err))
			return false;
		if (x->kind == JM_HASH)
			val_setk(*ret, val_at(x->names, i), one);
		else
			val_push(*ret, one);
	}
	return true;
}

static bool call(const struct jmes *x, struct arena *a, struct val *v, struct val **ret, struct err *err)
{
	struct jmes_arg *args = arena_array(a, x->n + 1, sizeof(*args));
	for (size_t i = 0; i < x->n; i++) {
		if (x->args[i]->kind == JM_EXPREF)
			args[i].expr = x->args[i]->left;
		else if (!jmes_eval(x->args[i], a, v, &args[i].v, err))
			return false;
	}
	return jmes_call(x->name, args, x->n, a, ret, err);
}

bool jmes_eval(const struct jmes *x, struct arena *a, struct val *v, struct val **ret, struct err *err)
{
	struct val *left = NULL, *right;
	bool lefts = x->kind == JM_CHAIN || x->kind == JM_FLATTEN ||
	             (x->kind >= JM_PROJECT && x->kind <= JM_FILTER) ||
	             (x->kind >= JM_OR && x->kind <= JM_COMPARE);
	if (lefts && !jmes_eval(x->left, a, v, &left, err))
		return false;
	switch (x->kind) {
	case JM_CURRENT: *ret = v; return true;
	case JM_FIELD: {
		struct val *member = val_is_map(v) ? val_gets(v, x->name) : NULL;
		*ret = member ? member : val_null();
		return true;
	}
	case JM_LITERAL: *ret = x->value; return true;
	case JM_INDEX: *ret = index_of(x, v); return true;
	case JM_SLICE: *ret = val_is_list(v) ? slice(x, a, v) : val_null(); return true;
	case JM_CHAIN: return jmes_eval(x->right, a, left, ret, err);
	case JM_PROJECT:
	case JM_VALUES:
	case JM_FILTER: return each(x, a, left, ret, err);
	case JM_FLATTEN: *ret = val_is_list(left) ? flat(a, left) : val_null(); return true;
	case JM_LIST:
	case JM_HASH: return members(x, a, v, ret, err);
	case JM_OR:
	case JM_AND:
		*ret = left;
		return jmes_true(left) == (x->kind == JM_OR) || jmes_eval(x->right, a, v, ret, err);
	case JM_NOT: *ret = val_bool(!jmes_true(left)); return true;
	case JM_COMPARE:
		if (!jmes_eval(x->right, a, v, &right, err))
			return false;
		*ret = compare(x->op, left, right);
		return true;
	case JM_CALL: return call(x, a, v, ret, err);
	case JM_EXPREF: break;
	}
	return jinja_fail(err, "JMESPathError in json_query filter plugin: &expression stands only among the "
	                       "arguments of a function");
}

/* ---- the filter */

static bool f_json_query(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct jmes *x;

	if (!jinja_args(c, "json_query", "data expr", v, err))
		return false;
	if (!val_is_str(v[1]))
		return jinja_fail(err, "json_query: the query is text, not %s", val_type_name(v[1]));
	return jmes_parse(c->a, val_get_str(v[1]), &x, err) && jmes_eval(x, c->a, v[0], ret, err);
}

const struct jinja_func jinja_filters_query[] = {
        {"json_query", f_json_query, "What a JMESPath query finds in the value.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
