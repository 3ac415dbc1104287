/* methods - the methods of Python's list, tuple, dict and numbers; finding a method. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <math.h>

#define SELF(c) val_at((c)->args, 0)

static bool ret_none(struct val **ret)
{
	*ret = val_null();
	return true;
}

static bool l_append(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];

	if (!jinja_args(c, "append", "self object", v, err))
		return false;
	if (val_len(v[0]) >= JINJA_MAX_ITEMS)
		return jinja_fail(err, "the list is too long");
	val_push(v[0], v[1]);
	return ret_none(ret);
}

static bool l_extend(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *more;
	size_t n;

	if (!jinja_args(c, "extend", "self iterable", v, err))
		return false;
	more = arg_iter(c, v[1], err);
	if (!more)
		return false;
	n = val_len(more);
	if (val_len(v[0]) + n > JINJA_MAX_ITEMS)
		return jinja_fail(err, "the list is too long");
	for (size_t i = 0; i < n; i++)
		val_push(v[0], val_at(more, i));
	return ret_none(ret);
}

static bool l_insert(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	int64_t i, n;

	if (!jinja_args(c, "insert", "self index object", v, err) || !arg_int(v[1], 0, &i, err))
		return false;
	n = (int64_t)val_len(v[0]);
	i = i < 0 ? (i + n < 0 ? 0 : i + n) : i > n ? n : i;
	val_insert(v[0], (size_t)i, v[2]);
	return ret_none(ret);
}

static bool l_pop(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	int64_t i, n;

	if (!jinja_args(c, "pop", "self index=", v, err) || !arg_int(v[1], -1, &i, err))
		return false;
	n = (int64_t)val_len(v[0]);
	if (!n)
		return jinja_fail(err, "pop from empty list");
	i = i < 0 ? i + n : i;
	if (i < 0 || i >= n)
		return jinja_fail(err, "pop index out of range");
	*ret = val_at(v[0], (size_t)i);
	val_remove_at(v[0], (size_t)i);
	return true;
}

static bool index_of(const struct val *list, const struct val *v, size_t *ret)
{
	VAL_EACH (i, list) {
		if (val_equal(val_at(list, i), v)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static bool l_remove(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	size_t i;

	if (!jinja_args(c, "remove", "self value", v, err))
		return false;
	if (!index_of(v[0], v[1], &i))
		return jinja_fail(err, "list.remove(x): x not in list");
	val_remove_at(v[0], i);
	return ret_none(ret);
}

static bool l_index(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct buf b = {0};
	size_t i;

	if (!jinja_args(c, "index", "self value", v, err))
		return false;
	if (!index_of(v[0], v[1], &i)) {
		val_repr(v[1], &b);
		jinja_fail(err, "%s is not in list", b.p);
		buf_free(&b);
		return false;
	}
	*ret = val_int(c->a, (int64_t)i);
	return true;
}

static bool l_count(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	int64_t n = 0;

	if (!jinja_args(c, "count", "self value", v, err))
		return false;
	VAL_EACH (i, v[0])
		n += val_equal(val_at(v[0], i), v[1]);
	*ret = val_int(c->a, n);
	return true;
}

static bool l_reverse(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	size_t n;

	if (!jinja_args(c, "reverse", "self", v, err))
		return false;
	n = val_len(v[0]);
	for (size_t i = 0; i < n / 2; i++) {
		struct val *x = val_at(v[0], i);

		val_set_at(v[0], i, val_at(v[0], n - 1 - i));
		val_set_at(v[0], n - 1 - i, x);
	}
	return ret_none(ret);
}

static bool l_sort(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];

	if (!jinja_args(c, "sort", "self reverse=", v, err) ||
	    !val_sort(c->a, v[0], NULL, arg_bool(v[1], false), err))
		return false;
	return ret_none(ret);
}

static bool l_clear(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *self = SELF(c);

	(void)err;
	while (val_len(self)) {
		if (val_is_map(self))
			val_delk(self, val_key_at(self, val_len(self) - 1));
		else
			val_remove_at(self, val_len(self) - 1);
	}
	return ret_none(ret);
}

static bool m_copy(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	if (!jinja_args(c, "copy", "self", v, err))
		return false;
	*ret = val_shallow(c->a, v[0]);
	return true;
}

static bool m_setitem(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	int64_t i;

	if (!jinja_args(c, "__setitem__", "self key value", v, err))
		return false;
	if (val_is_map(v[0])) {
		if (!val_hashable(v[1]))
			return jinja_fail(err, "unhashable type: '%s'", val_type_name(v[1]));
		val_setk(v[0], v[1], v[2]);
		return ret_none(ret);
	}
	if (!arg_int(v[1], 0, &i, err))
		return false;
	i = i < 0 ? i + (int64_t)val_len(v[0]) : i;
	if (i < 0 || (size_t)i >= val_len(v[0]))
		return jinja_fail(err, "list assignment index out of range");
	val_set_at(v[0], (size_t)i, v[2]);
	return ret_none(ret);
}

/* ---- dict */

static bool d_get(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];

	if (!jinja_args(c, "get", "self key default=", v, err))
		return false;
	if (!val_hashable(v[1]))
		return jinja_fail(err, "unhashable type: '%s'", val_type_name(v[1]));
	*ret = val_getk(v[0], v[1]);
	if (!*ret)
		*ret = v[2] ? v[2] : val_null();
	return true;
}

/* items, keys, values as lists: what Ansible makes of Python's views. */
static bool d_view(struct jinja_call *c, struct val **ret, struct err *err)
{
	char what = ((const char *)c->user)[0];
	struct val *v[1], *out = val_list(c->a);

	if (!jinja_args(c, "items", "self", v, err))
		return false;
	MAP_EACH (i, v[0]) {
		struct val *k = val_key_at(v[0], i), *x = val_value_at(v[0], i), *t;

		if (what == 'i') {
			t = val_tuple(c->a);
			val_push(t, k);
			val_push(t, x);
		} else {
			t = what == 'k' ? k : x;
		}
		val_push(out, t);
	}
	*ret = out;
	return true;
}

static bool d_update(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *self = SELF(c), *from = val_at(c->args, 1);

	if (val_len(c->args) > 2)
		return jinja_fail(err, "update expected at most 1 argument, got %zu", val_len(c->args) - 1);
	if (from && val_is_map(from)) {
		MAP_EACH (i, from)
			val_setk(self, val_key_at(from, i), val_value_at(from, i));
	} else if (from) {
		struct val *list = arg_iter(c, from, err);

		if (!list)
			return false;
		VAL_EACH (i, list) {
			struct val *pair = val_at(list, i);

			if (!val_is_list(pair) || val_len(pair) != 2 || !val_hashable(val_at(pair, 0)))
				return jinja_fail(err,
				                  "cannot convert dictionary update sequence element #%zu to "
				                  "a sequence",
				                  i);
			val_setk(self, val_at(pair, 0), val_at(pair, 1));
		}
	}
	MAP_EACH (i, c->kwargs)
		val_setk(self, val_key_at(c->kwargs, i), val_value_at(c->kwargs, i));
	return ret_none(ret);
}

static bool d_pop(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *x;
	struct buf b = {0};

	if (!jinja_args(c, "pop", "self key default=", v, err))
		return false;
	x = val_hashable(v[1]) ? val_getk(v[0], v[1]) : NULL;
	if (!x && !v[2]) {
		val_repr(v[1], &b);
		jinja_fail(err, "%s", b.p);
		buf_free(&b);
		return false;
	}
	*ret = x ? x : v[2];
	if (x)
		val_delk(v[0], v[1]);
	return true;
}

static bool d_popitem(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *self = SELF(c), *t = val_tuple(c->a);
	size_t n = val_len(self);

	if (!n)
		return jinja_fail(err, "'popitem(): dictionary is empty'");
	val_push(t, val_key_at(self, n - 1));
	val_push(t, val_value_at(self, n - 1));
	val_delk(self, val_at(t, 0));
	*ret = t;
	return true;
}

static bool d_setdefault(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];

	if (!jinja_args(c, "setdefault", "self key default=", v, err))
		return false;
	if (!val_hashable(v[1]))
		return jinja_fail(err, "unhashable type: '%s'", val_type_name(v[1]));
	*ret = val_getk(v[0], v[1]);
	if (!*ret) {
		*ret = v[2] ? v[2] : val_null();
		val_setk(v[0], v[1], *ret);
	}
	return true;
}

static bool d_fromkeys(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *list;

	if (!jinja_args(c, "fromkeys", "self iterable value=", v, err))
		return false;
	list = arg_iter(c, v[1], err);
	if (!list)
		return false;
	*ret = val_map(c->a);
	VAL_EACH (i, list)
		val_setk(*ret, val_at(list, i), v[2] ? v[2] : val_null());
	return true;
}

/* ---- objects that hold members by key (hostvars, vars): what a dict has to read them */

static bool o_member(struct jinja_call *c, struct val *key, struct val **ret, struct err *err)
{
	struct val *self = SELF(c);

	*ret = NULL;
	return val_obj_class(self)->get(val_obj_self(self), c->ctx, key, c->a, ret, err);
}

static bool o_get(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];

	if (!jinja_args(c, "get", "self key default=", v, err) || !o_member(c, v[1], ret, err))
		return false;
	if (!*ret)
		*ret = v[2] ? v[2] : val_null();
	return true;
}

static bool o_view(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *what = c->user;
	struct val *keys = val_obj_class(SELF(c))->keys(val_obj_self(SELF(c)), c->a), *pair, *v;

	*ret = val_list(c->a);
	VAL_EACH (i, keys) {
		if (*what != 'k' && !o_member(c, val_at(keys, i), &v, err))
			return false;
		if (*what == 'k' || !v) {
			val_push(*ret, *what == 'k' ? val_at(keys, i) : val_null());
			continue;
		}
		if (*what == 'i') {
			pair = val_tuple(c->a);
			val_push(pair, val_at(keys, i));
			val_push(pair, v);
			v = pair;
		}
		val_push(*ret, v);
	}
	return true;
}

/* ---- numbers */

static bool n_is_integer(struct jinja_call *c, struct val **ret, struct err *err)
{
	double d = val_get_float(SELF(c));

	(void)err;
	*ret = val_bool(floor(d) == d);
	return true;
}

static bool n_bit_length(struct jinja_call *c, struct val **ret, struct err *err)
{
	int64_t i, n = 0;

	if (!arg_int(SELF(c), 0, &i, err))
		return false;
	for (uint64_t u = i < 0 ? (uint64_t)0 - (uint64_t)i : (uint64_t)i; u; u >>= 1)
		n++;
	*ret = val_int(c->a, n);
	return true;
}

const struct jinja_func py_list_methods[] = {
        {"append", l_append, "", JINJA_ALLOW_UNDEF, NULL},
        {"extend", l_extend, "", 0, NULL},
        {"insert", l_insert, "", JINJA_ALLOW_UNDEF, NULL},
        {"pop", l_pop, "", 0, NULL},
        {"remove", l_remove, "", 0, NULL},
        {"index", l_index, "", 0, NULL},
        {"count", l_count, "", 0, NULL},
        {"sort", l_sort, "", 0, NULL},
        {"reverse", l_reverse, "", 0, NULL},
        {"copy", m_copy, "", 0, NULL},
        {"clear", l_clear, "", 0, NULL},
        {"__setitem__", m_setitem, "", JINJA_ALLOW_UNDEF, NULL},
        {NULL, NULL, NULL, 0, NULL},
};

const struct jinja_func py_tuple_methods[] = {
        {"index", l_index, "", 0, NULL},
        {"count", l_count, "", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};

const struct jinja_func py_dict_methods[] = {
        {"get", d_get, "", JINJA_ALLOW_UNDEF, NULL},
        {"items", d_view, "", 0, "i"},
        {"keys", d_view, "", 0, "k"},
        {"values", d_view, "", 0, "v"},
        {"update", d_update, "", JINJA_ALLOW_UNDEF, NULL},
        {"pop", d_pop, "", JINJA_ALLOW_UNDEF, NULL},
        {"popitem", d_popitem, "", 0, NULL},
        {"setdefault", d_setdefault, "", JINJA_ALLOW_UNDEF, NULL},
        {"copy", m_copy, "", 0, NULL},
        {"clear", l_clear, "", 0, NULL},
        {"fromkeys", d_fromkeys, "", 0, NULL},
        {"__setitem__", m_setitem, "", JINJA_ALLOW_UNDEF, NULL},
        {NULL, NULL, NULL, 0, NULL},
};

const struct jinja_func py_object_methods[] = {
        {"get", o_get, "", JINJA_ALLOW_UNDEF, NULL},
        {"items", o_view, "", 0, "i"},
        {"keys", o_view, "", 0, "k"},
        {"values", o_view, "", 0, "v"},
        {NULL, NULL, NULL, 0, NULL},
};

const struct jinja_func py_num_methods[] = {
        {"is_integer", n_is_integer, "", 0, NULL},
        {"bit_length", n_bit_length, "", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};

static const struct jinja_func *row_named(const struct jinja_func *rows, struct str name)
{
	for (; rows->name; rows++)
		if (rows->name[0] == name.p[0] && str_eqc(name, rows->name))
			return rows;
	return NULL;
}

bool py_any_method(struct str name)
{
	return name.n && (row_named(py_str_methods, name) || row_named(py_list_methods, name) ||
	                  row_named(py_tuple_methods, name) || row_named(py_dict_methods, name) ||
	                  row_named(py_num_methods, name));
}

const struct jinja_func *py_method(const struct val *v, struct str name)
{
	const struct jinja_func *m;

	switch (val_kind(v)) {
	case VAL_STR: m = py_str_methods; break;
	case VAL_LIST: m = py_list_methods; break;
	case VAL_TUPLE: m = py_tuple_methods; break;
	case VAL_MAP: m = py_dict_methods; break;
	case VAL_INT:
	case VAL_BIG:
	case VAL_FLOAT: m = py_num_methods; break;
	case VAL_OBJ:
		if (!val_obj_class(v)->get || !val_obj_class(v)->keys)
			return NULL;
		m = py_object_methods;
		break;
	default: return NULL;
	}
	return name.n ? row_named(m, name) : NULL;
}
