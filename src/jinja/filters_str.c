/* filters_str - Jinja2's filters over text and numbers. */
#include "base/val_big.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include "base/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool ret_text(struct jinja_call *c, struct buf *b, struct val **ret, struct err *err)
{
	if (b->full) {
		buf_free(b);
		return jinja_fail(err, "the text is larger than %zu bytes", JINJA_MAX_OUT);
	}
	*ret = buf_val(b, c->a);
	return true;
}

static bool f_case(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;
	struct buf b = {0};

	if (!jinja_args(c, "str", "s", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	text_case(s, *(const enum text_case *)c->user, &b);
	return ret_text(c, &b, ret, err);
}

/* Words begin after white space and - ( { [ <. */
static bool f_title(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;
	struct buf b = {0};

	if (!jinja_args(c, "title", "s", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	for (size_t i = 0; i < s.n;) {
		size_t e = i;

		while (e < s.n && !strchr(" \t\n\r\v\f-({[<", s.p[e] ? s.p[e] : 'x'))
			e++;
		if (e > i)
			text_case(str_n(s.p + i, e - i), CASE_CAPITAL, &b);
		if (e < s.n)
			buf_addc(&b, s.p[e]);
		i = e + 1;
	}
	return ret_text(c, &b, ret, err);
}

static bool f_string(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;

	if (!jinja_args(c, "string", "object", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	*ret = val_is_str(v[0]) ? v[0] : val_str(c->a, s);
	return true;
}

void html_escape(struct str s, struct buf *b)
{
	for (size_t i = 0; i < s.n; i++) {
		const char *e = s.p[i] == '&'    ? "&amp;"
		                : s.p[i] == '<'  ? "&lt;"
		                : s.p[i] == '>'  ? "&gt;"
		                : s.p[i] == '\'' ? "&#39;"
		                : s.p[i] == '"'  ? "&#34;"
		                                 : NULL;

		if (e)
			buf_adds(b, e);
		else
			buf_addc(b, s.p[i]);
	}
}

static bool f_escape(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;
	struct buf b = {0};

	if (!jinja_args(c, "escape", "s", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	if (val_is_markup(v[0]) && !c->user) {
		*ret = v[0];
		return true;
	}
	html_escape(s, &b);
	if (!ret_text(c, &b, ret, err))
		return false;
	*ret = val_mark_markup(c->a, *ret);
	return true;
}

static bool f_safe(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;

	if (!jinja_args(c, "safe", "value", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	*ret = val_mark_markup(c->a, val_is_str(v[0]) ? v[0] : val_str(c->a, s));
	return true;
}

static bool f_replace(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4], *args = val_list(c->a);
	struct str s;

	if (!jinja_args(c, "replace", "s old new count=", v, err))
		return false;
	if (c->ctx->autoescape && (val_is_markup(v[1]) || val_is_markup(v[2])))
		v[0] = markup_escape(c->a, v[0]);
	for (int i = 0; i < 3; i++) {
		if (!arg_text(c, v[i], &s, err))
			return false;
		val_push(args, c->ctx->autoescape && val_is_str(v[i]) ? v[i] : val_str(c->a, s));
	}
	if (v[3] && !val_is_null(v[3]))
		val_push(args, v[3]);
	return jinja_call_row(c->ctx, c->a, py_method(val_at(args, 0), STR("replace")), args, NULL, ret, err);
}

static bool f_trim(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s, chars;
	bool some;

	if (!jinja_args(c, "trim", "value chars=", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	some = v[1] && !val_is_null(v[1]);
	if (some && !arg_text(c, v[1], &chars, err))
		return false;
	*ret = val_str(c->a, text_strip(s, some ? &chars : NULL, true, true));
	return true;
}

static bool f_center(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *args = val_list(c->a);
	struct str s;

	if (!jinja_args(c, "center", "value width=", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	val_push(args, val_str(c->a, s));
	val_push(args, v[1] ? v[1] : val_int(c->a, 80));
	return jinja_call_row(c->ctx, c->a, py_method(val_at(args, 0), STR("center")), args, NULL, ret, err);
}

static bool f_indent(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4];
	struct str s, pad;
	struct buf b = {.max = JINJA_MAX_OUT}, sp = {0};
	bool first, blank;
	int64_t width;

	if (!jinja_args(c, "indent", "s width= first= blank=", v, err))
		return false;
	if (val_is_undef(v[0]))
		return jinja_fail(err, "%s", val_undef_msg(v[0]));
	if (!val_is_str(v[0]))
		return jinja_fail(err,
		                  val_kind(v[0]) == VAL_LIST ? "'%s' object has no attribute 'splitlines'"
		                  : val_kind(v[0]) == VAL_TUPLE
		                          ? "can only concatenate %s (not \"str\") to tuple"
		                          : "unsupported operand type(s) for +=: '%s' and 'str'",
		                  val_type_name(v[0]));
	s = val_get_str(v[0]);
	if (v[1] && val_is_str(v[1])) {
		pad = val_get_str(v[1]);
	} else {
		if (!arg_int(v[1], 4, &width, err))
			return false;
		for (; width > 0 && sp.n < 100000; width--)
			buf_addc(&sp, ' ');
		pad = buf_str(&sp);
	}
	first = arg_bool(v[2], false);
	blank = arg_bool(v[3], false);
	/* The lines of s + "\n", joined again: the last newline of S survives. */
	for (size_t line = 0, end = 1; end; line++) {
		size_t n = text_line(s, &end);

		if (line ? blank || n : first)
			buf_addstr(&b, pad);
		buf_add(&b, s.p, n);
		if (end)
			buf_addc(&b, '\n');
		s = str_n(s.p + n + end, s.n - n - end);
	}
	buf_free(&sp);
	return ret_text(c, &b, ret, err);
}

/* A list or map short enough is left as it is; nothing else but text can be made shorter. */
static bool truncate_other(struct val *v, int64_t most, struct val **ret, struct err *err)
{
	if (!val_is_list(v) && !val_is_map(v))
		return jinja_fail(err, "object of type '%s' has no len()", val_type_name(v));
	if ((int64_t)val_len(v) > most)
		return val_is_map(v)
		               ? jinja_fail(err, "unhashable type: 'slice'")
		               : jinja_fail(err, "'%s' object has no attribute 'rsplit'", val_type_name(v));
	*ret = v;
	return true;
}

static bool f_truncate(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[5];
	struct str s, end, cut;
	struct buf b = {0};
	int64_t length, leeway, limit;
	size_t n;

	if (!jinja_args(c, "truncate", "s length= killwords= end= leeway=", v, err) ||
	    !arg_int(v[1], 255, &length, err) || !arg_str(c, v[3], STR("..."), &end, err) ||
	    !arg_int(v[4] && val_is_null(v[4]) ? NULL : v[4], 5, &leeway, err))
		return false;
	n = utf8_len(end);
	if (length < (int64_t)n)
		return jinja_fail(err, "expected length >= %zu, got %lld", n, (long long)length);
	if (__builtin_add_overflow(length, leeway, &limit))
		limit = INT64_MAX; /* length is not below 0 */
	if (!val_is_str(v[0]) && !val_is_undef(v[0]))
		return truncate_other(v[0], limit, ret, err);
	if (!arg_text(c, v[0], &s, err))
		return false;
	if ((int64_t)utf8_len(s) <= limit) {
		*ret = val_str(c->a, s);
		return true;
	}
	cut = utf8_sub(s, 0, (size_t)length - n);
	if (!arg_bool(v[2], false))
		for (size_t i = cut.n; i > 0; i--)
			if (cut.p[i - 1] == ' ') {
				cut.n = i - 1;
				break;
			}
	buf_addstr(&b, cut);
	buf_addstr(&b, end);
	return ret_text(c, &b, ret, err);
}

static bool f_wordcount(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;
	int64_t n = 0;
	bool in = false;

	if (!jinja_args(c, "wordcount", "s", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	for (size_t i = 0, k; i < s.n; i += k) {
		uint32_t cp;
		bool word;

		k = str_utf8(str_n(s.p + i, s.n - i), &cp);
		word = cp == '_' || cp_alpha(cp) || cp_digit(cp);
		n += word && !in;
		in = word;
	}
	*ret = val_int(c->a, n);
	return true;
}

static void url_quote(struct str s, const char *safe, bool plus, struct buf *b)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if ((ch < 0x80 && (cp_alpha(ch) || (ch >= '0' && ch <= '9'))) || (ch && strchr("_.-~", ch)) ||
		    (ch && strchr(safe, ch)))
			buf_addc(b, s.p[i]);
		else if (plus && ch == ' ')
			buf_addc(b, '+');
		else
			buf_printf(b, "%%%02X", ch);
	}
}

static bool f_urlencode(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1], *list;
	struct str s;
	struct buf b = {0};

	if (!jinja_args(c, "urlencode", "value", v, err))
		return false;
	if (!val_is_map(v[0]) && !val_is_list(v[0])) {
		if (!arg_text(c, v[0], &s, err))
			return false;
		url_quote(s, "/", false, &b);
		return ret_text(c, &b, ret, err);
	}
	list = val_list(c->a);
	if (val_is_map(v[0]))
		MAP_EACH (i, v[0]) {
			struct val *t = val_tuple(c->a);

			val_push(t, val_key_at(v[0], i));
			val_push(t, val_value_at(v[0], i));
			val_push(list, t);
		}
	else
		list = v[0];
	VAL_EACH (i, list) {
		struct val *t = val_at(list, i);

		if (!val_is_list(t) || val_len(t) != 2) {
			buf_free(&b);
			return jinja_fail(err, "urlencode: pairs are expected");
		}
		if (i)
			buf_addc(&b, '&');
		url_quote(val_text(val_at(t, 0), c->a), "", true, &b);
		buf_addc(&b, '=');
		url_quote(val_text(val_at(t, 1), c->a), "", true, &b);
	}
	return ret_text(c, &b, ret, err);
}

static bool xmlattr_fail(struct buf *b, struct err *err, const char *fmt, const char *what)
{
	buf_free(b);
	return jinja_fail(err, fmt, what);
}

static const char *repr_of(struct jinja_call *c, const struct val *v)
{
	struct buf b = {0};
	const char *s;

	val_repr(v, &b);
	s = buf_take(&b, c->a).p;
	buf_free(&b);
	return s;
}

static bool f_xmlattr(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct buf b = {0};
	bool any = false;

	if (!jinja_args(c, "xmlattr", "d autospace=", v, err))
		return false;
	if (val_is_undef(v[0]))
		return jinja_fail(err, "%s", val_undef_msg(v[0]));
	if (!val_is_map(v[0]))
		return jinja_fail(err, "'%s' object has no attribute 'items'", val_type_name(v[0]));
	MAP_EACH (i, v[0]) {
		struct val *k = val_key_at(v[0], i), *x = val_value_at(v[0], i);

		if (val_is_null(x) || val_is_undef(x))
			continue;
		if (!val_is_str(k))
			return xmlattr_fail(&b, err, "expected string or bytes-like object, got '%s'",
			                    val_type_name(k));
		if (strcspn(val_get_strz(k), " \t\n\v\f\r/>=") < val_len(k))
			return xmlattr_fail(&b, err, "Invalid character in attribute name: %s",
			                    repr_of(c, k));
		if (any || arg_bool(v[1], true))
			buf_addc(&b, ' ');
		any = true;
		buf_addstr(&b, val_get_str(markup_escape(c->a, k)));
		buf_adds(&b, "=\"");
		buf_addstr(&b, val_get_str(markup_escape(c->a, x)));
		buf_addc(&b, '"');
	}
	if (!ret_text(c, &b, ret, err))
		return false;
	*ret = c->ctx->autoescape ? val_mark_markup(c->a, *ret) : *ret;
	return true;
}

/* A % of printf style over the arguments, or over the keyword arguments by name. */
static bool f_format(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *t = val_tuple(c->a);
	struct str s;
	struct buf b = {.max = JINJA_MAX_OUT};

	if (!val_at(c->args, 0) || !arg_text(c, val_at(c->args, 0), &s, err))
		return jinja_fail(err, "format() takes a format string");
	for (size_t i = 1; i < val_len(c->args); i++)
		val_push(t, val_at(c->args, i));
	if (val_len(t) && val_len(c->kwargs))
		return jinja_fail(err, "can't handle positional and keyword arguments at the same time");
	if (!py_percent(c->a, s, val_len(c->kwargs) ? c->kwargs : t, &b, err)) {
		buf_free(&b);
		return false;
	}
	return ret_text(c, &b, ret, err);
}

/* Whether the keys of every map in V can be sorted, as JSON with sorted keys needs it. */
static bool keys_have_order(struct jinja_call *c, const struct val *v, unsigned depth, struct err *err)
{
	bool strings = true;
	struct val *keys;

	if (depth > 100 || (!val_is_list(v) && !val_is_map(v)))
		return true;
	VAL_EACH (i, v) {
		if (!keys_have_order(c, val_is_map(v) ? val_value_at(v, i) : val_at(v, i), depth + 1, err))
			return false;
		strings = strings && (!val_is_map(v) || val_is_str(val_key_at(v, i)));
	}
	if (strings)
		return true;
	keys = val_list(c->a);
	MAP_EACH (i, v)
		val_push(keys, val_key_at(v, i));
	return val_sort(c->a, keys, NULL, false, err);
}

static bool f_tojson(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct buf b = {.max = JINJA_MAX_OUT}, out = {.max = JINJA_MAX_OUT};
	struct json_style st = {.indent = -1, .sort_keys = true, .ascii = true};
	const struct val *undef = NULL;
	int64_t indent;

	if (!jinja_args(c, "tojson", "value indent=", v, err) || !arg_int(v[1], -1, &indent, err))
		return false;
	st.indent = (int)(indent > 100 ? 100 : indent);
	if (val_find(v[0], val_is_undef, &undef) && undef)
		return jinja_fail(err, "Object of type Undefined is not JSON serializable");
	if (!keys_have_order(c, v[0], 0, err))
		return false;
	json_dump(v[0], st, &b);
	for (size_t i = 0; i < b.n; i++) {
		if (strchr("<>&'", b.p[i]) && b.p[i])
			buf_printf(&out, "\\u%04x", b.p[i]);
		else
			buf_addc(&out, b.p[i]);
	}
	buf_free(&b);
	if (!ret_text(c, &out, ret, err))
		return false;
	*ret = val_mark_markup(c->a, *ret);
	return true;
}

/* A whole string as a float, as Python's float() reads it. */
static bool text_float(struct str s, double *ret)
{
	char tmp[400], *end;
	size_t n = 0;

	s = text_strip(s, NULL, true, true);
	if (!s.n || s.n >= sizeof(tmp))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '_' && i && i + 1 < s.n && s.p[i + 1] != '_' && s.p[i - 1] != '_')
			continue;
		if (s.p[i] == 'x' || s.p[i] == 'X' || s.p[i] == '(' || s.p[i] == '\0')
			return false;
		tmp[n++] = s.p[i];
	}
	tmp[n] = 0;
	*ret = strtod(tmp, &end);
	return *end == 0;
}

/* V as Python's float() takes it. */
static bool to_float(const struct val *v, double *ret, struct err *err)
{
	struct buf b = {0};

	if (val_is_undef(v))
		return jinja_fail(err, "%s", val_undef_msg(v));
	if (val_is_num(v) || val_kind(v) == VAL_BOOL) {
		*ret = val_get_float(v);
		return true;
	}
	if (!val_is_str(v))
		return jinja_fail(err, "float() argument must be a string or a real number, not '%s'",
		                  val_type_name(v));
	if (text_float(val_get_str(v), ret))
		return true;
	val_repr(v, &b);
	jinja_fail(err, "could not convert string to float: %s", b.p);
	buf_free(&b);
	return false;
}

static bool f_filesizeformat(struct jinja_call *c, struct val **ret, struct err *err)
{
	static const char pre[] = "kMGTPEZY";
	struct val *v[2];
	double n = 0, base;
	bool binary;

	if (!jinja_args(c, "filesizeformat", "value binary=", v, err))
		return false;
	binary = arg_bool(v[1], false);
	if (!to_float(v[0], &n, err))
		return false;
	base = binary ? 1024 : 1000;
	if (n == 1)
		*ret = val_strz(c->a, "1 Byte");
	else if (n < base)
		*ret = val_strf(c->a, "%lld Bytes", (long long)n);
	else {
		double unit = base * base;
		size_t k = 0;

		for (; k + 1 < sizeof(pre) - 1 && n >= unit; k++)
			unit *= base;
		*ret = val_strf(c->a, "%.1f %c%s", base * n / unit, binary && pre[k] == 'k' ? 'K' : pre[k],
		                binary ? "iB" : "B");
	}
	return true;
}

static bool f_abs(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	if (!jinja_args(c, "abs", "x", v, err))
		return false;
	if (val_kind(v[0]) == VAL_FLOAT) {
		*ret = val_float(c->a, fabs(val_get_float(v[0])));
		return true;
	}
	if (val_kind(v[0]) == VAL_BOOL) {
		*ret = val_int(c->a, val_get_bool(v[0]));
		return true;
	}
	if (!val_is_whole(v[0]))
		return jinja_fail(err, "bad operand type for abs(): '%s'", val_type_name(v[0]));
	if (val_get_int(v[0]) >= 0) {
		*ret = v[0];
		return true;
	}
	return py_negate(c->a, v[0], ret, err);
}

/* NULL: no whole number of BASE. */
static struct val *text_int(struct arena *a, struct str s, int64_t base)
{
	bool neg = false, big = false;
	uint64_t u = 0;

	s = text_strip(s, NULL, true, true);
	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
		neg = s.p[0] == '-';
		s = str_n(s.p + 1, s.n - 1);
	}
	if (s.n > 2 && s.p[0] == '0') {
		char p = (char)(s.p[1] | 32);
		int64_t b = p == 'x' ? 16 : p == 'o' ? 8 : p == 'b' ? 2 : 0;

		if (b && (base == b || base == 0)) {
			base = b;
			s = str_n(s.p + 2, s.n - 2);
		}
	}
	base = base ? base : 10;
	if (!s.n)
		return NULL;
	uint64_t most = (uint64_t)INT64_MAX + neg;
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];
		int64_t d = ch >= '0' && ch <= '9'                 ? ch - '0'
		            : (ch | 32) >= 'a' && (ch | 32) <= 'z' ? (ch | 32) - 'a' + 10
		                                                   : 99;

		if (ch == '_' && i && i + 1 < s.n && s.p[i - 1] != '_')
			continue;
		if (d >= base)
			return NULL;
		big = big || u > (most - (uint64_t)d) / (uint64_t)base;
		u = big ? 0 : u * (uint64_t)base + (uint64_t)d;
	}
	return big ? val_big_parse(a, s, (unsigned)base, neg) : val_int(a, (int64_t)(neg ? 0 - u : u));
}

static bool f_int(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	int64_t base;
	double d = NAN;

	if (!jinja_args(c, "int", "value default= base=", v, err) || !arg_int(v[2], 10, &base, err))
		return false;
	if (base != 0 && (base < 2 || base > 36))
		return jinja_fail(err, "int() base must be >= 2 and <= 36, or 0");
	switch (val_kind(v[0])) {
	case VAL_INT:
	case VAL_BIG: *ret = v[0]; return true;
	case VAL_BOOL: *ret = val_int(c->a, val_get_bool(v[0])); return true;
	case VAL_STR:
		*ret = text_int(c->a, val_get_str(v[0]), base);
		if (*ret)
			return true;
		if (!text_float(val_get_str(v[0]), &d))
			d = NAN;
		break;
	case VAL_FLOAT: d = val_get_float(v[0]); break;
	case VAL_UNDEF: return jinja_fail(err, "%s", val_undef_msg(v[0]));
	default: break;
	}
	*ret = isfinite(d) ? val_big_trunc(c->a, d) : v[1] ? v[1] : val_int(c->a, 0);
	return true;
}

static bool f_float(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	double d;

	if (!jinja_args(c, "float", "value default=", v, err))
		return false;
	if (val_is_num(v[0]) || val_kind(v[0]) == VAL_BOOL)
		*ret = val_float(c->a, val_get_float(v[0]));
	else if (val_is_str(v[0]) && text_float(val_get_str(v[0]), &d))
		*ret = val_float(c->a, d);
	else if (val_is_undef(v[0]))
		return jinja_fail(err, "%s", val_undef_msg(v[0]));
	else
		*ret = v[1] ? v[1] : val_float(c->a, 0.0);
	return true;
}

/* A whole number stays one: to a multiple of 10^-PREC, half to even, exactly. */
static struct val *round_whole(struct arena *a, struct val *v, int64_t prec)
{
	struct val *zero = val_int(a, 0), *step, *rest, *twice, *low;
	int half;

	if (prec >= 0)
		return val_kind(v) == VAL_BOOL ? val_int(a, val_get_bool(v)) : v;
	step = val_big_pow(a, val_int(a, 10), (uint64_t)-prec);
	rest = step ? val_big_div(a, v, step, true) : NULL;
	twice = rest ? val_big_add(a, rest, rest) : NULL;
	low = rest ? val_big_sub(a, v, rest) : NULL;
	if (!twice || !low) /* more digits than any number here has */
		return zero;
	half = val_big_cmp(twice, step);
	if (half == 0)
		half = val_big_cmp(val_big_div(a, val_big_div(a, low, step, false), val_int(a, 2), true),
		                   zero);
	struct val *high = half > 0 ? val_big_add(a, low, step) : low;

	return high ? high : zero;
}

static bool f_round(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	struct str how;
	int64_t prec;
	double d, p;

	if (!jinja_args(c, "round", "value precision= method=", v, err) || !arg_int(v[1], 0, &prec, err) ||
	    !arg_str(c, v[2], STR("common"), &how, err))
		return false;
	if (!val_is_num(v[0]) && val_kind(v[0]) != VAL_BOOL)
		return jinja_fail(err,
		                  how.n && how.p[1] == 'o' ? "type %s doesn't define __round__ method"
		                  : val_is_str(v[0]) && !prec
		                          ? "can't multiply sequence by non-int of type 'float'"
		                          : "must be real number, not %s",
		                  val_type_name(v[0]));
	if (!str_eqc(how, "common") && !str_eqc(how, "ceil") && !str_eqc(how, "floor"))
		return jinja_fail(err, "method must be common, ceil or floor");
	if (val_kind(v[0]) != VAL_FLOAT && how.p[1] == 'o') {
		*ret = round_whole(c->a, v[0], prec < -VAL_BIG_BITS ? -VAL_BIG_BITS : prec);
		return true;
	}
	d = val_get_float(v[0]);
	if (val_kind(v[0]) != VAL_FLOAT && isinf(d))
		return jinja_fail(err, "int too large to convert to float");
	prec = prec > 300 ? 300 : prec < -300 ? -300 : prec;
	p = pow(10, (double)prec);
	if (how.p[1] != 'o') {
		d = (how.p[0] == 'f' ? floor(d * p) : ceil(d * p)) / p;
	} else if (prec >= 0) {
		char tmp[512];

		/* printf rounds the exact value half to even, as Python's round() does. */
		snprintf(tmp, sizeof(tmp), "%.*f", (int)prec, d);
		d = strtod(tmp, NULL);
	} else {
		d = nearbyint(d * p) / p;
	}
	*ret = val_float(c->a, d);
	return true;
}

static bool f_default(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];

	if (!jinja_args(c, "default", "value default_value= boolean=", v, err))
		return false;
	*ret = v[0];
	if (val_is_undef(v[0]) || (arg_bool(v[2], false) && !val_truthy(v[0])))
		*ret = v[1] ? v[1] : val_str(c->a, STR(""));
	return true;
}

static const enum text_case up = CASE_UPPER, low = CASE_LOWER, cap = CASE_CAPITAL;

const struct jinja_func jinja_filters_str[] = {
        {"abs", f_abs, "The absolute value.", 0, NULL},
        {"capitalize", f_case, "First character upper case, the rest lower.", JINJA_MARKUP, &cap},
        {"center", f_center, "Centred in a field of a given width.", JINJA_MARKUP, NULL},
        {"d", f_default, "Another value where the first is undefined (or, with true, false).",
         JINJA_ALLOW_UNDEF, NULL},
        {"default", f_default, "Another value where the first is undefined (or, with true, false).",
         JINJA_ALLOW_UNDEF, NULL},
        {"e", f_escape, "& < > ' \" as HTML entities, once.", 0, NULL},
        {"escape", f_escape, "& < > ' \" as HTML entities, once.", 0, NULL},
        {"filesizeformat", f_filesizeformat, "A number of bytes as 13 kB, 4.1 MB …", 0, NULL},
        {"float", f_float, "A floating-point number; 0.0 or the given default when it is none.", 0, NULL},
        {"forceescape", f_escape, "& < > ' \" as HTML entities, of HTML, too.", 0, "f"},
        {"format", f_format, "printf-style formatting of the arguments.", JINJA_MARKUP | JINJA_ESCAPES, NULL},
        {"indent", f_indent, "Each line but the first indented.", JINJA_MARKUP, NULL},
        {"int", f_int, "A whole number; 0 or the given default when it is none.", 0, NULL},
        {"lower", f_case, "Lower case.", JINJA_MARKUP, &low},
        {"replace", f_replace, "Every occurrence of one text replaced by another.", 0, NULL},
        {"round", f_round, "Rounded to a precision: common, ceil or floor.", 0, NULL},
        {"safe", f_safe, "The text taken as HTML, which escape leaves alone.", 0, NULL},
        {"string", f_string, "The value's text.", JINJA_TEXT, NULL},
        {"title", f_title, "Words begin with an upper-case letter.", 0, NULL},
        {"tojson", f_tojson, "JSON, safe within HTML.", 0, NULL},
        {"trim", f_trim, "Without white space (or the given characters) at both ends.", JINJA_MARKUP, NULL},
        {"truncate", f_truncate, "Cut to a length, with an ellipsis.", JINJA_MARKUP, NULL},
        {"upper", f_case, "Upper case.", JINJA_MARKUP, &up},
        {"urlencode", f_urlencode, "Percent-encoded; a map or pairs become a query string.", 0, NULL},
        {"wordcount", f_wordcount, "The number of words.", 0, NULL},
        {"xmlattr", f_xmlattr, "A map as SGML attributes.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
