/* markup - text that is HTML already, which escaping leaves alone. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

struct val *markup_escape(struct arena *a, struct val *v)
{
	struct buf b = {0};

	if (val_is_markup(v))
		return v;
	html_escape(val_text(v, a), &b);
	return val_taint_from(a, val_mark_markup(a, buf_val(&b, a)), v);
}

struct val *markup_of(struct arena *a, struct val *v)
{
	struct val *r;

	if (val_is_str(v))
		return val_mark_markup(a, v);
	if (!val_is_list(v))
		return v;
	r = val_kind(v) == VAL_TUPLE ? val_tuple(a) : val_list(a);
	VAL_EACH (i, v)
		val_push(r, markup_of(a, val_at(v, i)));
	return r;
}

/* Numbers stay what they are, so that %d and the like can be. */
static struct val *part(struct arena *a, struct val *v)
{
	return val_is_str(v) || val_is_list(v) || val_is_map(v) ? markup_escape(a, v) : v;
}

struct val *markup_parts(struct arena *a, struct val *v, size_t from)
{
	struct val *r;

	if (val_is_map(v)) {
		r = val_map(a);
		MAP_EACH (i, v)
			val_setk(r, val_key_at(v, i), part(a, val_value_at(v, i)));
		return r;
	}
	if (!val_is_list(v))
		return part(a, v);
	r = val_kind(v) == VAL_TUPLE ? val_tuple(a) : val_list(a);
	VAL_EACH (i, v)
		val_push(r, i < from ? val_at(v, i) : part(a, val_at(v, i)));
	return r;
}

bool markup_binary(struct arena *a, enum tok op, struct val *x, struct val *y, struct val **ret,
                   struct err *err)
{
	if (op == T_ADD && val_is_str(x) && val_is_str(y)) {
		x = markup_escape(a, x);
		y = markup_escape(a, y);
	} else if (op == T_MOD && val_is_markup(x)) {
		y = val_kind(y) == VAL_LIST ? part(a, y) : markup_parts(a, y, 0);
	} else if (op != T_MUL) {
		return py_binary(a, op, x, y, ret, err);
	}
	if (!py_binary(a, op, x, y, ret, err))
		return false;
	*ret = markup_of(a, *ret);
	return true;
}
