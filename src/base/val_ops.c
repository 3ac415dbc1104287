#include "base/val.h"

#include "base/val_big.h"
#include "base/val_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool numeric(const struct val *v)
{
	return val_is_num(v) || v->kind == VAL_BOOL;
}

bool val_truthy(const struct val *v)
{
	switch (v->kind) {
	case VAL_UNDEF:
	case VAL_NULL: return false;
	case VAL_BOOL: return v->u.b;
	case VAL_INT: return v->u.i != 0;
	case VAL_BIG: return true;
	case VAL_FLOAT: return v->u.d != 0;
	case VAL_OBJ:
		if (v->u.obj.cls->keys) {
			struct arena *a = arena_new(NULL);
			bool some = val_len(v->u.obj.cls->keys(v->u.obj.self, a)) > 0;

			arena_free(a);
			return some;
		}
		return true;
	default: return val_len(v) != 0;
	}
}

static int compare_num(const struct val *a, const struct val *b)
{
	if (a->kind != VAL_FLOAT && b->kind != VAL_FLOAT) {
		if (a->kind == VAL_BIG || b->kind == VAL_BIG)
			return val_big_cmp(a, b);
		int64_t x = val_get_int(a), y = val_get_int(b);

		return (x > y) - (x < y);
	}
	double x = val_get_float(a), y = val_get_float(b);

	return (x > y) - (x < y);
}

static bool equal(const struct val *a, const struct val *b, int depth);

static bool equal_members(const struct val *a, const struct val *b, int depth)
{
	if (a->u.vec == b->u.vec)
		return true;
	if (val_len(a) != val_len(b))
		return false;
	if (a->kind != VAL_MAP) {
		VAL_EACH (i, a)
			if (!equal(val_at(a, i), val_at(b, i), depth + 1))
				return false;
		return true;
	}
	MAP_EACH (i, a) {
		const struct val *other = val_getk(b, val_key_at(a, i));

		if (!other || !equal(val_value_at(a, i), other, depth + 1))
			return false;
	}
	return true;
}

static bool equal(const struct val *a, const struct val *b, int depth)
{
	if (numeric(a) && numeric(b)) {
		if ((a->kind == VAL_FLOAT && isnan(a->u.d)) || (b->kind == VAL_FLOAT && isnan(b->u.d)))
			return false;
		return compare_num(a, b) == 0;
	}
	if (a->kind != b->kind || depth > VAL_DEPTH_MAX)
		return false;
	switch (a->kind) {
	case VAL_UNDEF:
	case VAL_NULL: return true;
	case VAL_STR: return str_eq(a->u.s, b->u.s);
	case VAL_OBJ: return a->u.obj.self == b->u.obj.self;
	default: return equal_members(a, b, depth);
	}
}

bool val_equal(const struct val *a, const struct val *b)
{
	return equal(a, b, 0);
}

static bool compare(const struct val *a, const struct val *b, int depth, int *ret, struct err *err)
{
	if (numeric(a) && numeric(b)) {
		*ret = compare_num(a, b);
		return true;
	}
	if (a->kind == VAL_STR && b->kind == VAL_STR) {
		*ret = str_cmp(a->u.s, b->u.s);
		return true;
	}
	if (depth > VAL_DEPTH_MAX)
		return err_set(err, ERR_USER, ORIGIN_NONE, "maximum recursion depth exceeded in comparison");
	if (val_is_list(a) && a->kind == b->kind) {
		size_t n = val_len(a) < val_len(b) ? val_len(a) : val_len(b);

		for (size_t i = 0; i < n; i++) {
			if (!val_equal(val_at(a, i), val_at(b, i)))
				return compare(val_at(a, i), val_at(b, i), depth + 1, ret, err);
		}
		*ret = (val_len(a) > val_len(b)) - (val_len(a) < val_len(b));
		return true;
	}
	if (a->kind == VAL_UNDEF || b->kind == VAL_UNDEF)
		return err_set(err, ERR_USER, ORIGIN_NONE, "%s", val_undef_msg(a->kind == VAL_UNDEF ? a : b));
	return err_set(err, ERR_USER, ORIGIN_NONE, "'<' not supported between instances of '%s' and '%s'",
	               val_type_name(a), val_type_name(b));
}

bool val_compare(const struct val *a, const struct val *b, int *ret, struct err *err)
{
	return compare(a, b, 0, ret, err);
}

static bool list_has(const struct val *list, const struct val *v)
{
	VAL_EACH (i, list)
		if (val_equal(val_at(list, i), v))
			return true;
	return false;
}

bool val_contains(const struct val *c, const struct val *v, bool *ret, struct err *err)
{
	switch (c->kind) {
	case VAL_LIST:
	case VAL_TUPLE: *ret = list_has(c, v); return true;
	case VAL_MAP:
		if (!val_hashable(v))
			return err_set(err, ERR_USER, ORIGIN_NONE, "unhashable type: '%s'", val_type_name(v));
		*ret = val_getk(c, v) != NULL;
		return true;
	case VAL_STR:
		if (v->kind != VAL_STR)
			return err_set(err, ERR_USER, ORIGIN_NONE,
			               "'in <string>' requires string as left operand, not %s",
			               val_type_name(v));
		*ret = str_find(c->u.s, v->u.s, 0) >= 0;
		return true;
	case VAL_OBJ:
		if (c->u.obj.cls->keys) {
			struct arena *a = arena_new(NULL);

			*ret = list_has(c->u.obj.cls->keys(c->u.obj.self, a), v);
			arena_free(a);
			return true;
		}
		break;
	case VAL_UNDEF: return err_set(err, ERR_USER, ORIGIN_NONE, "%s", val_undef_msg(c));
	default: break;
	}
	return err_set(err, ERR_USER, ORIGIN_NONE, "argument of type '%s' is not iterable", val_type_name(c));
}

const char *val_type_name(const struct val *v)
{
	static const char *const names[] = {
	        [VAL_UNDEF] = "Undefined", [VAL_NULL] = "NoneType", [VAL_BOOL] = "bool",
	        [VAL_INT] = "int",         [VAL_FLOAT] = "float",   [VAL_STR] = "str",
	        [VAL_LIST] = "list",       [VAL_TUPLE] = "tuple",   [VAL_MAP] = "dict",
	        [VAL_BIG] = "int",
	};

	return v->kind == VAL_OBJ ? v->u.obj.cls->name : names[v->kind];
}

bool val_to_bool(const struct val *v)
{
	static const char *const yes[] = {"yes", "on", "1", "true"};

	if (numeric(v))
		return val_get_float(v) == 1;
	if (v->kind != VAL_STR)
		return false;
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
		if (v->u.s.n == strlen(yes[i]) && strncasecmp(v->u.s.p, yes[i], v->u.s.n) == 0)
			return true;
	}
	return false;
}

/* ---- Python's str() and repr() ---- */

/* The shortest of 1..17 significant digits that reads back as D, as "d.ddde+xx". Above a power of two floats
 * lie further apart than below it: there the next digit may do where the nearest one does not. */
static void shortest(double d, char *out, size_t n)
{
	for (int digits = 0; digits <= 16; digits++) {
		snprintf(out, n, "%.*e", digits, d);
		if (strtod(out, NULL) == d)
			return;
		char *last = strchr(out, 'e') - 1;

		if (*last < '0' || *last >= '9')
			continue;
		++*last;
		if (strtod(out, NULL) == d)
			return;
	}
}

void val_float_repr(double d, struct buf *out)
{
	char e[40], digits[24] = "0";
	size_t n = 0;

	if (isnan(d) || isinf(d)) {
		buf_adds(out, isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
		return;
	}
	shortest(d, e, sizeof(e));
	char *exp = strchr(e, 'e');
	long x = strtol(exp + 1, NULL, 10);

	for (const char *q = e; q < exp; q++) {
		if (*q >= '0' && *q <= '9')
			digits[n++] = *q;
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	if (e[0] == '-')
		buf_addc(out, '-');
	if (x < -4 || x >= 16) { /* Python's limits for the exponent form */
		buf_addc(out, digits[0]);
		if (n > 1) {
			buf_addc(out, '.');
			buf_add(out, digits + 1, n - 1);
		}
		buf_printf(out, "e%c%02ld", x < 0 ? '-' : '+', x < 0 ? -x : x);
		return;
	}
	if (x < 0) {
		buf_adds(out, "0.");
		for (long i = -1; i > x; i--)
			buf_addc(out, '0');
		buf_add(out, digits, n);
		return;
	}
	for (long i = 0; i <= x || (size_t)i < n; i++) {
		if (i == x + 1)
			buf_addc(out, '.');
		buf_addc(out, (size_t)i < n ? digits[i] : '0');
	}
	if (n <= (size_t)x + 1)
		buf_adds(out, ".0");
}

struct range {
	uint32_t from, to;
};

/* What Python's repr() escapes beyond ASCII: separators, controls, formats, private use, noncharacters. */
static const struct range unprintable[] = {
        {0x7f, 0xa0},     {0xad, 0xad},        {0x600, 0x605},   {0x61c, 0x61c},   {0x6dd, 0x6dd},
        {0x70f, 0x70f},   {0x1680, 0x1680},    {0x180e, 0x180e}, {0x2000, 0x200f}, {0x2028, 0x202f},
        {0x205f, 0x206f}, {0x3000, 0x3000},    {0xd800, 0xf8ff}, {0xfeff, 0xfeff}, {0xfff0, 0xfffb},
        {0xfffe, 0xffff}, {0xe0000, 0x10ffff},
};

bool val_printable(uint32_t cp)
{
	if (cp < 0x20)
		return false;
	for (size_t i = 0; i < sizeof(unprintable) / sizeof(*unprintable); i++) {
		if (cp >= unprintable[i].from && cp <= unprintable[i].to)
			return false;
	}
	return true;
}

static void repr_char(uint32_t cp, char quote, struct buf *out)
{
	if (cp == '\n')
		buf_adds(out, "\\n");
	else if (cp == '\r')
		buf_adds(out, "\\r");
	else if (cp == '\t')
		buf_adds(out, "\\t");
	else if (cp == '\\' || cp == (uint32_t)quote)
		buf_printf(out, "\\%c", (char)cp);
	else if (val_printable(cp))
		buf_utf8(out, cp);
	else if (cp < 0x100)
		buf_printf(out, "\\x%02x", cp);
	else if (cp < 0x10000)
		buf_printf(out, "\\u%04x", cp);
	else
		buf_printf(out, "\\U%08x", cp);
}

static void repr_str(struct str s, struct buf *out)
{
	char quote = s.n && memchr(s.p, '\'', s.n) && !memchr(s.p, '"', s.n) ? '"' : '\'';

	buf_addc(out, quote);
	while (s.n) {
		uint32_t cp;
		size_t len = str_utf8(s, &cp);

		if (len == 1 && cp >= 0x80) /* not UTF-8: Python would hold a surrogate escape */
			buf_printf(out, "\\udc%02x", cp);
		else
			repr_char(cp, quote, out);
		s = str_n(s.p + len, s.n - len);
	}
	buf_addc(out, quote);
}

/* What is being printed, from the inside out: a list within itself prints as [...]. */
struct printing {
	const struct printing *outer;
	const struct val *v;
	int depth;
};

static void repr(const struct val *v, struct buf *out, const struct printing *outer);

static bool within(const struct val *v, const struct printing *p)
{
	while (p && p->v->u.vec != v->u.vec)
		p = p->outer;
	return p != NULL;
}

static void repr_members(const struct val *v, struct buf *out, const struct printing *outer)
{
	static const char *const brackets[] = {[VAL_LIST] = "[]", [VAL_TUPLE] = "()", [VAL_MAP] = "{}"};
	const struct printing here = {outer, v, outer ? outer->depth + 1 : 0};
	const char *b = brackets[v->kind];

	buf_addc(out, b[0]);
	if (here.depth > VAL_DEPTH_MAX || within(v, outer))
		buf_adds(out, "...");
	else
		for (size_t i = 0; i < val_len(v) && !out->full; i++) {
			if (i)
				buf_adds(out, ", ");
			if (v->kind == VAL_MAP) {
				repr(val_key_at(v, i), out, &here);
				buf_adds(out, ": ");
				repr(val_value_at(v, i), out, &here);
			} else {
				repr(val_at(v, i), out, &here);
			}
		}
	if (v->kind == VAL_TUPLE && val_len(v) == 1)
		buf_addc(out, ',');
	buf_addc(out, b[1]);
}

static void repr(const struct val *v, struct buf *out, const struct printing *outer)
{
	switch (v->kind) {
	case VAL_UNDEF: buf_adds(out, "Undefined"); break;
	case VAL_NULL: buf_adds(out, "None"); break;
	case VAL_BOOL: buf_adds(out, v->u.b ? "True" : "False"); break;
	case VAL_INT: buf_printf(out, "%lld", (long long)v->u.i); break;
	case VAL_BIG: val_big_print(v, 10, out); break;
	case VAL_FLOAT: val_float_repr(v->u.d, out); break;
	case VAL_STR:
		if (v->flags & VF_MARKUP)
			buf_adds(out, "Markup(");
		repr_str(v->u.s, out);
		if (v->flags & VF_MARKUP)
			buf_addc(out, ')');
		break;
	case VAL_OBJ:
		if (v->u.obj.cls->repr)
			v->u.obj.cls->repr(v->u.obj.self, out);
		else
			buf_printf(out, "<%s object>", v->u.obj.cls->name);
		break;
	default: repr_members(v, out, outer); break;
	}
}

void val_repr(const struct val *v, struct buf *out)
{
	repr(v, out, NULL);
}

void val_print(const struct val *v, struct buf *out)
{
	if (v->kind == VAL_STR)
		buf_addstr(out, v->u.s);
	else if (v->kind != VAL_UNDEF)
		val_repr(v, out);
}

struct str val_text(const struct val *v, struct arena *a)
{
	struct buf b = {0};

	if (v->kind == VAL_STR)
		return v->u.s;
	val_print(v, &b);
	struct str s = buf_take(&b, a);

	buf_free(&b);
	return s;
}
