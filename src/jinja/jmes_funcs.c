/* jmes_funcs - JMESPath's functions: one row each. */
#include "base/json.h"
#include "jinja/jinja.h"
#include "jinja/jmes.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <math.h>
#include <stdlib.h>

struct row;

struct call {
	const struct row *row;
	const struct jmes_arg *args;
	size_t n;
	struct arena *a;
};

/* TYPES: per argument one of n number, s string, l list, m map, e expression, a anything, q string or list,
 * z string, list or map, N list of numbers, S list of strings, O list of numbers or of strings; "+" repeats
 * the last. */
struct row {
	const char *name, *types;
	bool (*run)(struct call *c, struct val **ret, struct err *err);
	int how; /* which of those that share RUN */
};

static bool all_are(const struct val *list, bool (*is)(const struct val *v))
{
	VAL_EACH (i, list)
		if (!is(val_at(list, i)))
			return false;
	return true;
}

static bool fits(char type, const struct jmes_arg *arg)
{
	const struct val *v = arg->v;
	if (type == 'e' || !v)
		return type == 'e' && arg->expr;
	switch (type) {
	case 'n': return val_is_num(v);
	case 's': return val_is_str(v);
	case 'l': return val_is_list(v);
	case 'm': return val_is_map(v);
	case 'q': return val_is_str(v) || val_is_list(v);
	case 'z': return val_is_str(v) || val_is_list(v) || val_is_map(v);
	case 'N': return val_is_list(v) && all_are(v, val_is_num);
	case 'S': return val_is_list(v) && all_are(v, val_is_str);
	case 'O': return val_is_list(v) && (all_are(v, val_is_num) || all_are(v, val_is_str));
	default: return true;
	}
}

static int order(const struct val *x, const struct val *y)
{
	int c = 0;
	struct err e = {0};
	if (!val_compare(x, y, &c, &e))
		err_clear(&e);
	return c;
}

/* ---- numbers */

static struct val *whole(struct arena *a, double d)
{
	return fabs(d) < 9e18 ? val_int(a, (int64_t)d) : val_float(a, d);
}

static bool fn_round(struct call *c, struct val **ret, struct err *err)
{
	struct val *v = c->args[0].v;
	(void)err;
	if (c->row->how == 'a')
		*ret = val_kind(v) == VAL_INT ? val_int(c->a, llabs(val_get_int(v)))
		                              : val_float(c->a, fabs(val_get_float(v)));
	else
		*ret = whole(c->a, c->row->how == 'c' ? ceil(val_get_float(v)) : floor(val_get_float(v)));
	return true;
}

static bool fn_sum(struct call *c, struct val **ret, struct err *err)
{
	struct val *list = c->args[0].v;
	double d = 0;
	bool ints = true;
	(void)err;
	VAL_EACH (i, list) {
		d += val_get_float(val_at(list, i));
		ints = ints && val_kind(val_at(list, i)) == VAL_INT;
	}
	if (c->row->how == 's')
		*ret = ints ? whole(c->a, d) : val_float(c->a, d);
	else
		*ret = val_len(list) ? val_float(c->a, d / (double)val_len(list)) : val_null();
	return true;
}

static bool fn_to_number(struct call *c, struct val **ret, struct err *err)
{
	struct val *v = c->args[0].v;
	struct err e = {0};
	(void)err;
	*ret = val_null();
	if (val_is_num(v))
		*ret = v;
	else if (val_is_str(v) && (!json_parse(c->a, val_get_str(v), 0, ret, &e) || !val_is_num(*ret)))
		*ret = val_null();
	err_clear(&e);
	return true;
}

/* ---- text */

static bool fn_affix(struct call *c, struct val **ret, struct err *err)
{
	struct str s = val_get_str(c->args[0].v);
	const char *part = val_get_strz(c->args[1].v);
	(void)err;
	*ret = val_bool(c->row->how == 's' ? str_starts(s, part) : str_ends(s, part));
	return true;
}

static bool fn_join(struct call *c, struct val **ret, struct err *err)
{
	struct buf b = {0};
	struct str glue = val_get_str(c->args[0].v);
	struct val *list = c->args[1].v;
	(void)err;
	VAL_EACH (i, list) {
		struct str s = val_get_str(val_at(list, i));
		if (i)
			buf_add(&b, glue.p, glue.n);
		buf_add(&b, s.p, s.n);
	}
	*ret = val_str(c->a, buf_str(&b));
	buf_free(&b);
	return true;
}

static bool fn_to_string(struct call *c, struct val **ret, struct err *err)
{
	struct buf b = {0};
	(void)err;
	*ret = c->args[0].v;
	if (val_is_str(*ret))
		return true;
	json_dump(*ret, JSON_STYLE_COMPACT, &b);
	*ret = val_str(c->a, buf_str(&b));
	buf_free(&b);
	return true;
}

static bool fn_type(struct call *c, struct val **ret, struct err *err)
{
	const struct val *v = c->args[0].v;
	(void)err;
	*ret = val_strz(c->a, val_is_null(v)            ? "null"
	                      : val_kind(v) == VAL_BOOL ? "boolean"
	                      : val_is_num(v)           ? "number"
	                      : val_is_list(v)          ? "array"
	                      : val_is_map(v)           ? "object"
	                                                : "string");
	return true;
}

/* ---- lists and maps */

static bool fn_contains(struct call *c, struct val **ret, struct err *err)
{
	bool in;
	if (val_is_str(c->args[0].v) && !val_is_str(c->args[1].v))
		in = false;
	else if (!val_contains(c->args[0].v, c->args[1].v, &in, err))
		return false;
	*ret = val_bool(in);
	return true;
}

static bool fn_length(struct call *c, struct val **ret, struct err *err)
{
	const struct val *v = c->args[0].v;
	(void)err;
	*ret = val_int(c->a, (int64_t)(val_is_str(v) ? utf8_len(val_get_str(v)) : val_len(v)));
	return true;
}

static bool fn_members(struct call *c, struct val **ret, struct err *err)
{
	const struct val *m = c->args[0].v;
	(void)err;
	*ret = val_list(c->a);
	MAP_EACH (i, m)
		val_push(*ret, c->row->how == 'k' ? val_key_at(m, i) : val_value_at(m, i));
	return true;
}

static bool fn_merge(struct call *c, struct val **ret, struct err *err)
{
	(void)err;
	*ret = val_map(c->a);
	for (size_t i = 0; i < c->n; i++)
		*ret = val_merge(c->a, *ret, c->args[i].v, false);
	return true;
}

static bool fn_not_null(struct call *c, struct val **ret, struct err *err)
{
	(void)err;
	*ret = val_null();
	for (size_t i = 0; i < c->n && val_is_null(*ret); i++)
		*ret = c->args[i].v;
	return true;
}

static bool fn_reverse(struct call *c, struct val **ret, struct err *err)
{
	struct val *v = c->args[0].v;
	(void)err;
	if (val_is_str(v)) {
		struct str s = val_get_str(v);
		char *z = arena_alloc(c->a, s.n + 1);
		for (size_t i = 0, k = 0; i < s.n; i += k) {
			uint32_t cp;
			k = str_utf8(str_n(s.p + i, s.n - i), &cp);
			memcpy(z + s.n - i - k, s.p + i, k);
		}
		*ret = val_str(c->a, str_n(z, s.n));
		return true;
	}
	*ret = val_list(c->a);
	for (size_t i = val_len(v); i-- > 0;)
		val_push(*ret, val_at(v, i));
	return true;
}

static bool fn_to_array(struct call *c, struct val **ret, struct err *err)
{
	(void)err;
	*ret = c->args[0].v;
	if (!val_is_list(*ret)) {
		struct val *one = *ret;
		*ret = val_list(c->a);
		val_push(*ret, one);
	}
	return true;
}

static bool fn_map(struct call *c, struct val **ret, struct err *err)
{
	struct val *list = c->args[1].v, *one;
	*ret = val_list(c->a);
	VAL_EACH (i, list) {
		if (!jmes_eval(c->args[0].expr, c->a, val_at(list, i), &one, err))
			return false;
		val_push(*ret, one);
	}
	return true;
}

/* What items are ordered by: themselves, or what the expression makes of each; all numbers or all strings. */
static bool keys_of(struct call *c, struct val *list, struct val **ret, struct err *err)
{
	if (c->n < 2) {
		*ret = list;
		return true;
	}
	struct call map = {
	        .row = c->row, .args = (struct jmes_arg[]){{NULL, c->args[1].expr}, {list, NULL}}, .a = c->a};
	if (!fn_map(&map, ret, err))
		return false;
	return all_are(*ret, val_is_num) || all_are(*ret, val_is_str) ||
	       jinja_fail(err, "JMESPathError in json_query filter plugin: %s() orders numbers or strings",
	                  c->row->name);
}

static bool fn_best(struct call *c, struct val **ret, struct err *err)
{
	struct val *list = c->args[0].v, *keys;
	size_t best = 0;
	if (!keys_of(c, list, &keys, err))
		return false;
	for (size_t i = 1; i < val_len(list); i++) {
		int d = order(val_at(keys, i), val_at(keys, best));
		if (c->row->how == 'M' ? d > 0 : d < 0)
			best = i;
	}
	*ret = val_len(list) ? val_at(list, best) : val_null();
	return true;
}

static bool fn_sort(struct call *c, struct val **ret, struct err *err)
{
	struct val *list = c->args[0].v, *keys;
	if (!keys_of(c, list, &keys, err))
		return false;
	*ret = val_shallow(c->a, list);
	return val_sort(c->a, *ret, keys == list ? NULL : keys, false, err);
}

static const struct row rows[] = {
        {"abs", "n", fn_round, 'a'},         {"avg", "N", fn_sum, 'a'},
        {"ceil", "n", fn_round, 'c'},        {"contains", "qa", fn_contains, 0},
        {"ends_with", "ss", fn_affix, 'e'},  {"floor", "n", fn_round, 'f'},
        {"join", "sS", fn_join, 0},          {"keys", "m", fn_members, 'k'},
        {"length", "z", fn_length, 0},       {"map", "el", fn_map, 0},
        {"max", "O", fn_best, 'M'},          {"max_by", "le", fn_best, 'M'},
        {"merge", "m+", fn_merge, 0},        {"min", "O", fn_best, 'm'},
        {"min_by", "le", fn_best, 'm'},      {"not_null", "a+", fn_not_null, 0},
        {"reverse", "q", fn_reverse, 0},     {"sort", "O", fn_sort, 0},
        {"sort_by", "le", fn_sort, 0},       {"starts_with", "ss", fn_affix, 's'},
        {"sum", "N", fn_sum, 's'},           {"to_array", "a", fn_to_array, 0},
        {"to_number", "a", fn_to_number, 0}, {"to_string", "a", fn_to_string, 0},
        {"type", "a", fn_type, 0},           {"values", "m", fn_members, 'v'},
};

bool jmes_call(struct str name, const struct jmes_arg *args, size_t n, struct arena *a, struct val **ret,
               struct err *err)
{
	const struct row *r = NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (str_eqc(name, rows[i].name))
			r = &rows[i];
	if (!r)
		return jinja_fail(err, "JMESPathError in json_query filter plugin: Unknown function: %.*s()",
		                  STR_FMT(name));
	size_t want = strlen(r->types);
	bool more = r->types[want - 1] == '+';
	if (more ? n < --want : n != want)
		return jinja_fail(err,
		                  "JMESPathError in json_query filter plugin: Expected %s%zu argument%s for "
		                  "function %s(), received %zu",
		                  more ? "at least " : "", want, want == 1 ? "" : "s", r->name, n);
	for (size_t i = 0; i < n; i++)
		if (!fits(r->types[i < want ? i : want - 1], &args[i]))
			return jinja_fail(
			        err,
			        "JMESPathError in json_query filter plugin: In function %s(), invalid "
			        "type for argument %zu: %s",
			        r->name, i + 1, args[i].v ? val_type_name(args[i].v) : "expression");
	struct call c = {r, args, n, a};
	return r->run(&c, ret, err);
}
