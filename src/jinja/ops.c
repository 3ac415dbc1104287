/* ops - Python's operators over values. */
#include "base/val_big.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include "jinja/time.h"
#include <math.h>

static bool numeric(const struct val *v)
{
	return val_is_num(v) || val_kind(v) == VAL_BOOL;
}

static int64_t as_int(const struct val *v)
{
	return val_kind(v) == VAL_BOOL ? val_get_bool(v) : val_get_int(v);
}

const char *py_op_name(enum tok op)
{
	return op == T_POW ? "** or pow()" : tok_name(op);
}

const char *py_object_name(const struct val *v, struct arena *a)
{
	if (val_is_null(v))
		return "None";
	return arena_printf(a, "%s object", val_type_name(v));
}

static bool fail_types(enum tok op, const struct val *x, const struct val *y, struct err *err)
{
	if (op == T_ADD && (val_is_str(x) || val_is_list(x)))
		return jinja_fail(err, "can only concatenate %s (not \"%s\") to %s", val_type_name(x),
		                  val_type_name(y), val_type_name(x));
	if (op == T_MUL && (val_is_str(x) || val_is_list(x)))
		return jinja_fail(err, "can't multiply sequence by non-int of type '%s'", val_type_name(y));
	if (op == T_MUL && (val_is_str(y) || val_is_list(y)))
		return jinja_fail(err, "can't multiply sequence by non-int of type '%s'", val_type_name(x));
	return jinja_fail(err, "unsupported operand type(s) for %s: '%s' and '%s'", py_op_name(op),
	                  val_type_name(x), val_type_name(y));
}

/* X / Y, rounded once: a quotient of 70 bits and one for what follows them. */
static double true_div(struct arena *a, const struct val *x, const struct val *y)
{
	double dx = val_get_float(x), dy = val_get_float(y);
	struct val *two = val_int(a, 2), *q, *rest;
	int shift;

	/* What a float holds to the last bit needs no more care. */
	if (!val_truthy(x) || isinf(dy) || (fabs(dx) <= 0x1p53 && fabs(dy) <= 0x1p53))
		return dx / dy;
	shift = 70 + ilogb(dy) - ilogb(dx);
	shift = shift < 0 ? 0 : shift;
	q = val_big_pow(a, two, (uint64_t)shift);
	q = q ? val_big_mul(a, q, x) : NULL;
	if (!q)
		return dx / dy;
	rest = val_big_div(a, q, y, true);
	q = val_big_mul(a, val_big_div(a, q, y, false), two);
	q = q ? val_big_add(a, q, val_int(a, val_truthy(rest))) : NULL;
	return q ? ldexp(val_get_float(q), -shift - 1) : dx / dy;
}

/* What leaves 64 bits, or comes from beyond them. Y is not 0 where that matters, nor negative as an exponent.
 */
static bool big_binary(struct arena *a, enum tok op, const struct val *x, const struct val *y,
                       struct val **ret, struct err *err)
{
	switch (op) {
	case T_ADD: *ret = val_big_add(a, x, y); break;
	case T_SUB: *ret = val_big_sub(a, x, y); break;
	case T_MUL: *ret = val_big_mul(a, x, y); break;
	case T_FLOORDIV:
	case T_MOD: *ret = val_big_div(a, x, y, op == T_MOD); break;
	case T_POW: *ret = val_kind(y) == VAL_BIG ? NULL : val_big_pow(a, x, (uint64_t)as_int(y)); break;
	default: *ret = val_float(a, true_div(a, x, y)); break;
	}
	return *ret || jinja_fail(err, "the result of %s has more than %d bits", tok_name(op), VAL_BIG_BITS);
}

static double float_floor_mod(double x, double y)
{
	double m = fmod(x, y);

	if (m != 0 && (y < 0) != (m < 0))
		m += y;
	else if (m == 0)
		m = copysign(0.0, y);
	return m;
}

static bool int_power(struct arena *a, int64_t x, int64_t y, struct val **ret, struct err *err)
{
	struct val *base = val_int(a, x), *exp = val_int(a, y);
	int64_t r = 1;

	if (y < 0) {
		if (x == 0)
			return jinja_fail(err, "0.0 cannot be raised to a negative power");
		*ret = val_float(a, pow((double)x, (double)y));
		return true;
	}
	while (y > 0) {
		if ((y & 1) && __builtin_mul_overflow(r, x, &r))
			return big_binary(a, T_POW, base, exp, ret, err);
		y >>= 1;
		if (y && __builtin_mul_overflow(x, x, &x))
			return big_binary(a, T_POW, base, exp, ret, err);
	}
	*ret = val_int(a, r);
	return true;
}

static bool int_binary(struct arena *a, enum tok op, int64_t x, int64_t y, struct val **ret, struct err *err)
{
	int64_t r = 0;
	bool over = false;

	switch (op) {
	case T_ADD: over = __builtin_add_overflow(x, y, &r); break;
	case T_SUB: over = __builtin_sub_overflow(x, y, &r); break;
	case T_MUL: over = __builtin_mul_overflow(x, y, &r); break;
	case T_DIV:
		if (!y)
			return jinja_fail(err, "division by zero");
		*ret = val_float(a, true_div(a, val_int(a, x), val_int(a, y)));
		return true;
	case T_FLOORDIV:
	case T_MOD:
		if (!y)
			return jinja_fail(err, op == T_MOD ? "integer modulo by zero"
			                                   : "integer division or modulo by zero");
		if (y == -1) {
			over = op == T_FLOORDIV && __builtin_sub_overflow((int64_t)0, x, &r);
			break;
		}
		r = op == T_MOD ? x % y : x / y;
		if (x % y && (x % y < 0) != (y < 0))
			r += op == T_MOD ? y : -1;
		break;
	default: return int_power(a, x, y, ret, err);
	}
	if (over)
		return big_binary(a, op, val_int(a, x), val_int(a, y), ret, err);
	*ret = val_int(a, r);
	return true;
}

/* One of them is VAL_BIG. */
static bool whole_binary(struct arena *a, enum tok op, const struct val *x, const struct val *y,
                         struct val **ret, struct err *err)
{
	struct val *unused;

	if (op == T_POW && val_get_int(y) < 0) {
		*ret = val_float(a, pow(val_get_float(x), val_get_float(y)));
		return true;
	}
	/* Its words for a division by 0. */
	if (val_kind(y) != VAL_BIG && !as_int(y) && (op == T_DIV || op == T_FLOORDIV || op == T_MOD))
		return int_binary(a, op, 1, 0, &unused, err);
	if (op == T_DIV && isinf(val_get_float(x)))
		return jinja_fail(err, "integer division result too large for a float");
	return big_binary(a, op, x, y, ret, err);
}

static bool float_binary(struct arena *a, enum tok op, double x, double y, struct val **ret, struct err *err)
{
	double r;

	if (y == 0 && (op == T_DIV || op == T_FLOORDIV || op == T_MOD))
		return jinja_fail(err, op == T_DIV   ? "float division by zero"
		                       : op == T_MOD ? "float modulo"
		                                     : "float floor division by zero");
	switch (op) {
	case T_ADD: r = x + y; break;
	case T_SUB: r = x - y; break;
	case T_MUL: r = x * y; break;
	case T_DIV: r = x / y; break;
	case T_MOD: r = float_floor_mod(x, y); break;
	case T_FLOORDIV:
		r = floor((x - float_floor_mod(x, y)) / y + 0.5);
		r = r == 0 ? copysign(0.0, x / y) : r;
		break;
	default:
		if (x == 0 && y < 0)
			return jinja_fail(err, "0.0 cannot be raised to a negative power");
		if (x < 0 && isfinite(x) && isfinite(y) && floor(y) != y)
			return jinja_fail(err,
			                  "a negative number to the power of %g is complex, which is not "
			                  "supported",
			                  y);
		r = pow(x, y);
		if (isinf(r) && !isinf(x) && !isinf(y))
			return jinja_fail(err, "(34, 'Numerical result out of range')");
		break;
	}
	*ret = val_float(a, r);
	return true;
}

static bool repeat(struct arena *a, struct val *seq, int64_t times, struct val **ret, struct err *err)
{
	size_t len = val_len(seq), n = times > 0 ? (size_t)times : 0;
	struct buf b = {.max = JINJA_MAX_OUT};

	if (len && n > (val_is_str(seq) ? JINJA_MAX_OUT : JINJA_MAX_ITEMS) / len)
		return jinja_fail(err, "the repetition is too long (%zu times %zu)", n, len);
	if (val_is_str(seq)) {
		for (size_t i = 0; i < n && len; i++)
			buf_addstr(&b, val_get_str(seq));
		*ret = buf_val(&b, a);
		return true;
	}
	*ret = val_kind(seq) == VAL_TUPLE ? val_tuple(a) : val_list(a);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < len; j++)
			val_push(*ret, val_at(seq, j));
	return true;
}

static struct val *concat(struct arena *a, struct val *x, struct val *y)
{
	struct buf b = {.max = JINJA_MAX_OUT};
	struct val *r;

	if (val_is_str(x)) {
		buf_addstr(&b, val_get_str(x));
		buf_addstr(&b, val_get_str(y));
		return buf_val(&b, a);
	}
	r = val_kind(x) == VAL_TUPLE ? val_tuple(a) : val_list(a);
	VAL_EACH (i, x)
		val_push(r, val_at(x, i));
	VAL_EACH (i, y)
		val_push(r, val_at(y, i));
	return r;
}

bool py_binary(struct arena *a, enum tok op, struct val *x, struct val *y, struct val **ret, struct err *err)
{
	if (val_is_undef(x) || val_is_undef(y))
		return jinja_fail(err, "%s", val_undef_msg(val_is_undef(x) ? x : y));
	if (numeric(x) && numeric(y)) {
		if (val_kind(x) == VAL_FLOAT || val_kind(y) == VAL_FLOAT)
			return float_binary(a, op, val_get_float(x), val_get_float(y), ret, err);
		if (val_kind(x) == VAL_BIG || val_kind(y) == VAL_BIG)
			return whole_binary(a, op, x, y, ret, err);
		return int_binary(a, op, as_int(x), as_int(y), ret, err);
	}
	if (op == T_ADD && val_kind(x) == val_kind(y) && (val_is_str(x) || val_is_list(x))) {
		if (val_len(x) + val_len(y) > JINJA_MAX_OUT)
			return jinja_fail(err, "the text is larger than %zu bytes", JINJA_MAX_OUT);
		*ret = concat(a, x, y);
		return true;
	}
	if (op == T_MUL && (val_is_str(x) || val_is_list(x)) && numeric(y) && val_kind(y) != VAL_FLOAT)
		return repeat(a, x, as_int(y), ret, err);
	if (op == T_MUL && (val_is_str(y) || val_is_list(y)) && numeric(x) && val_kind(x) != VAL_FLOAT)
		return repeat(a, y, as_int(x), ret, err);
	if (op == T_MOD && val_is_str(x)) {
		struct buf b = {.max = JINJA_MAX_OUT};

		if (!py_percent(a, val_get_str(x), y, &b, err)) {
			buf_free(&b);
			return false;
		}
		*ret = buf_val(&b, a);
		return true;
	}
	if ((op == T_ADD || op == T_SUB) && py_time_binary(a, op == T_SUB, x, y, ret))
		return true;
	return fail_types(op, x, y, err);
}

bool py_negate(struct arena *a, struct val *x, struct val **ret, struct err *err)
{
	if (val_is_undef(x))
		return jinja_fail(err, "%s", val_undef_msg(x));
	if (val_kind(x) == VAL_FLOAT)
		*ret = val_float(a, -val_get_float(x));
	else if (!numeric(x))
		return jinja_fail(err, "bad operand type for unary -: '%s'", val_type_name(x));
	else if (val_kind(x) == VAL_BIG || as_int(x) == INT64_MIN)
		return big_binary(a, T_SUB, val_int(a, 0), x, ret, err);
	else
		*ret = val_int(a, -as_int(x));
	return true;
}

/* V among the members of a list; Ansible compares nothing with a value that is undefined. */
static bool listed(const struct val *set, const struct val *v, bool *ret, struct err *err)
{
	*ret = false;
	for (size_t i = 0; !*ret && i < val_len(set); i++) {
		const struct val *one = val_at(set, i);
		if (val_undef_fails(v) || val_undef_fails(one))
			return jinja_fail(err, "%s", val_undef_msg(val_undef_fails(v) ? v : one));
		*ret = val_equal(one, v);
	}
	return true;
}

static bool contains(const struct val *set, const struct val *v, bool strict, bool *ret, struct err *err)
{
	if (strict && (val_is_list(set) || val_kind(set) == VAL_TUPLE))
		return listed(set, v, ret, err);
	if (strict && val_is_map(set) && val_undef_fails(v))
		return jinja_fail(err, "%s", val_undef_msg(v));
	if (val_is_undef(set) || (val_is_undef(v) && val_is_map(set))) {
		*ret = false;
		return true;
	}
	return val_contains(set, v, ret, err);
}

bool py_compare(enum cmp_op op, const struct val *x, const struct val *y, bool strict, bool *ret,
                struct err *err)
{
	static const char *const names[] = {[CMP_LT] = "<", [CMP_LE] = "<=", [CMP_GT] = ">", [CMP_GE] = ">="};
	int c = 0;

	if (strict && (val_undef_fails(x) || val_undef_fails(y)) &&
	    !((op == CMP_IN || op == CMP_NOTIN) && !val_is_undef(y)))
		return jinja_fail(err, "%s", val_undef_msg(val_is_undef(x) ? x : y));
	switch (op) {
	case CMP_EQ: *ret = val_equal(x, y); return true;
	case CMP_NE: *ret = !val_equal(x, y); return true;
	case CMP_IN: return contains(y, x, strict, ret, err);
	case CMP_NOTIN:
		if (!contains(y, x, strict, ret, err))
			return false;
		*ret = !*ret;
		return true;
	default: break;
	}
	if (py_time_compare(x, y, &c)) {
		*ret = op == CMP_LT ? c < 0 : op == CMP_LE ? c <= 0 : op == CMP_GT ? c > 0 : c >= 0;
		return true;
	}
	if (val_is_undef(x) || val_is_undef(y))
		return jinja_fail(err, "%s", val_undef_msg(val_is_undef(x) ? x : y));
	if (!(numeric(x) && numeric(y)) && !(val_kind(x) == val_kind(y) && (val_is_str(x) || val_is_list(x))))
		return jinja_fail(err, "'%s' not supported between instances of '%s' and '%s'", names[op],
		                  val_type_name(x), val_type_name(y));
	if (!val_compare(x, y, &c, err))
		return false;
	*ret = op == CMP_LT ? c < 0 : op == CMP_LE ? c <= 0 : op == CMP_GT ? c > 0 : c >= 0;
	if (numeric(x) && numeric(y) && (isnan(val_get_float(x)) || isnan(val_get_float(y))))
		*ret = false;
	return true;
}

struct val *py_index(struct arena *a, const struct val *x, int64_t i)
{
	size_t n = val_is_str(x) ? utf8_len(val_get_str(x)) : val_len(x);

	if (i < 0)
		i += (int64_t)n;
	if (i < 0 || (size_t)i >= n)
		return NULL;
	return val_is_str(x) ? val_str(a, utf8_sub(val_get_str(x), (size_t)i, (size_t)i + 1))
	                     : val_at(x, (size_t)i);
}

/* A bound of a slice over N members; *RET is clamped as Python does it. */
static bool slice_bound(const struct val *v, int64_t n, int64_t step, int64_t dflt, int64_t *ret,
                        struct err *err)
{
	int64_t i;

	if (!v || val_is_null(v)) {
		*ret = dflt;
		return true;
	}
	if (val_is_undef(v))
		return jinja_fail(err, "%s", val_undef_msg(v));
	if (!numeric(v) || val_kind(v) == VAL_FLOAT)
		return jinja_fail(err, "slice indices must be integers or None or have an __index__ method");
	i = as_int(v);
	if (i < 0)
		i = i < -n ? (step < 0 ? -1 : 0) : i + n;
	else if (i >= n)
		i = step < 0 ? n - 1 : n;
	*ret = i;
	return true;
}

static bool index_like(const struct val *v)
{
	return !v || val_is_null(v) || val_is_undef(v) || val_is_whole(v) || val_kind(v) == VAL_BOOL;
}

bool py_slice(struct arena *a, struct val *x, const struct val *lo, const struct val *hi,
              const struct val *step, struct val **ret, struct err *err)
{
	bool is_str = val_is_str(x);
	int64_t n, s = 1, from, to;
	struct buf b = {0};

	if (val_kind(x) == VAL_OBJ && val_obj_class(x)->keys)
		x = val_obj_class(x)->keys(val_obj_self(x), a);
	if (val_is_undef(x))
		return jinja_fail(err, "%s", val_undef_msg(x));
	/* What Python refuses as a type is an undefined item to Jinja2. */
	if ((!is_str && !val_is_list(x)) || !index_like(lo) || !index_like(hi) || !index_like(step)) {
		*ret = val_undef(a, STR("slice"),
		                 arena_printf(a, "%s has no element slice", py_object_name(x, a)));
		return true;
	}
	n = (int64_t)(is_str ? utf8_len(val_get_str(x)) : val_len(x));
	if (step && !val_is_null(step)) {
		if (!numeric(step) || val_kind(step) == VAL_FLOAT)
			return jinja_fail(
			        err, "slice indices must be integers or None or have an __index__ method");
		s = as_int(step);
		if (!s)
			return jinja_fail(err, "slice step cannot be zero");
	}
	if (!slice_bound(lo, n, s, s < 0 ? n - 1 : 0, &from, err) ||
	    !slice_bound(hi, n, s, s < 0 ? -1 : n, &to, err))
		return false;
	if (is_str && s == 1) {
		*ret = val_str(a, to > from ? utf8_sub(val_get_str(x), (size_t)from, (size_t)to) : STR(""));
		return true;
	}
	if (!is_str)
		*ret = val_kind(x) == VAL_TUPLE ? val_tuple(a) : val_list(a);
	/* from and to lie within [-1, n]: a step past them cannot overflow once it is clamped. */
	s = s > n + 1 ? n + 1 : s < -n - 1 ? -n - 1 : s;
	for (int64_t i = from; s > 0 ? i < to : i > to; i += s) {
		if (is_str)
			buf_addstr(&b, utf8_sub(val_get_str(x), (size_t)i, (size_t)i + 1));
		else
			val_push(*ret, val_at(x, (size_t)i));
	}
	if (is_str)
		*ret = buf_val(&b, a);
	return true;
}

struct val *py_iter(struct arena *a, struct val *v, bool strict, struct err *err)
{
	struct val *r;
	struct str s;

	switch (val_kind(v)) {
	case VAL_LIST:
	case VAL_TUPLE: return v;
	case VAL_MAP:
		r = val_list(a);
		MAP_EACH (i, v)
			val_push(r, val_key_at(v, i));
		return val_secret(v) ? val_mark_secret(a, r) : r;
	case VAL_STR:
		r = val_list(a);
		s = val_get_str(v);
		while (s.n) {
			uint32_t cp;
			size_t n = str_utf8(s, &cp);

			val_push(r, val_taint_from(a, val_str(a, str_n(s.p, n)), v));
			s = str_n(s.p + n, s.n - n);
		}
		return r;
	case VAL_OBJ:
		if (val_obj_class(v)->keys)
			return val_obj_class(v)->keys(val_obj_self(v), a);
		break;
	case VAL_UNDEF:
		if (!strict || !val_undef_fails(v))
			return val_list(a);
		jinja_fail(err, "%s", val_undef_msg(v));
		return NULL;
	default: break;
	}
	jinja_fail(err, "'%s' object is not iterable", val_type_name(v));
	return NULL;
}

/* ---- history */

bool val_deep_unsafe(const struct val *v)
{
	return val_find(v, val_unsafe, NULL);
}

bool val_undef_fails(const struct val *v)
{
	return val_is_undef(v) && !str_eqc(val_undef_name(v), INLINE_IF);
}

const struct val *val_deep_undef(const struct val *v)
{
	const struct val *u;

	val_find(v, val_undef_fails, &u);
	return u;
}

struct val *val_taint_from(struct arena *a, struct val *res, const struct val *x)
{
	if (val_secret(x) && !val_secret(res))
		res = val_mark_secret(a, res);
	if (val_unsafe(x) && !val_unsafe(res))
		res = val_mark_unsafe(a, res);
	return res;
}

/*
 * What a function made of its arguments. From a scalar argument the mark goes to the whole result. From a
 * list or map it goes to text only: a list made of a list shares its members, which carry their own marks;
 * and a number or truth made of one (its length, whether it holds x) says too little to be kept secret.
 */
struct val *val_taint(struct arena *a, struct val *res, const struct val *args, const struct val *kwargs)
{
	size_t n = val_len(args), m = kwargs ? val_len(kwargs) : 0;

	if (val_kind(res) == VAL_BOOL || val_is_null(res) || val_is_undef(res))
		return res;
	for (size_t i = 0; i < n + m; i++) {
		const struct val *x = i < n ? val_at(args, i) : val_value_at(kwargs, i - n);

		if (!val_is_list(x) && !val_is_map(x)) {
			res = val_taint_from(a, res, x);
			continue;
		}
		if (!val_is_str(res))
			continue;
		if (!val_secret(res) && val_secret_deep(x))
			res = val_mark_secret(a, res);
		if (!val_unsafe(res) && val_deep_unsafe(x))
			res = val_mark_unsafe(a, res);
	}
	return res;
}
