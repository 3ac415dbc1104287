/* filters_str - Jinja2's filters over text and numbers. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include "base/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool ret_buf(struct jinja_call *c, struct buf *b, struct val **ret, struct err *err)
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
	return ret_buf(c, &b, ret, err);
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
	return ret_buf(c, &b, ret, err);
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

static void escape_into(struct str s, struct buf *b)
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
	escape_into(s, &b);
	return ret_buf(c, &b, ret, err);
}

static bool f_replace(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4], *args = val_list(c->a);
	struct str s;

	if (!jinja_args(c, "replace", "s old new count=", v, err))
		return false;
	for (int i = 0; i < 3; i++) {
		if (!arg_text(c, v[i], &s, err))
			return false;
		val_push(args, val_str(c->a, s));
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
	bool first, blank, newline;
	int64_t width;

	if (!jinja_args(c, "indent", "s width= first= blank=", v, err) || !arg_text(c, v[0], &s, err))
		return false;
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
	for (size_t i = 0, line = 0; i <= s.n; line++) {
		size_t e = i;

		while (e < s.n && s.p[e] != '\n' && s.p[e] != '\r')
			e++;
		newline = e < s.n;
		if (line ? blank || e > i : first)
			buf_addstr(&b, pad);
		buf_add(&b, s.p + i, e - i);
		if (!newline)
			break;
		buf_addc(&b, '\n');
		i = e + (s.p[e] == '\r' && e + 1 < s.n && s.p[e + 1] == '\n' ? 2 : 1);
	}
	buf_free(&sp);
	return ret_buf(c, &b, ret, err);
}

static bool f_truncate(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[5];
	struct str s, end, cut;
	struct buf b = {0};
	int64_t length, leeway;
	size_t n;

	if (!jinja_args(c, "truncate", "s length= killwords= end= leeway=", v, err) ||
	    !arg_text(c, v[0], &s, err) || !arg_int(v[1], 255, &length, err) ||
	    !arg_str(c, v[3], STR("..."), &end, err) || !arg_int(v[4], 5, &leeway, err))
		return false;
	n = utf8_len(end);
	if (length < (int64_t)n)
		return jinja_fail(err, "expected length >= %zu, got %lld", n, (long long)length);
	if ((int64_t)utf8_len(s) <= length + leeway) {
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
	return ret_buf(c, &b, ret, err);
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

/* One paragraph into lines of at most WIDTH characters. */
static void wrap_line(struct str s, size_t width, bool brk, bool hyphens, struct str sep, struct buf *b)
{
	size_t col = 0;
	bool any = false;

	for (size_t i = 0; i < s.n;) {
		size_t e = i, w, word;

		/* A chunk: the white space, then the word up to white space or past a hyphen within it. */
		while (e < s.n && (s.p[e] == ' ' || s.p[e] == '\t'))
			e++;
		word = e;
		while (e < s.n && s.p[e] != ' ' && s.p[e] != '\t') {
			e++;
			if (hyphens && s.p[e - 1] == '-' && e - 1 > word && e < s.n && s.p[e] != ' ' &&
			    cp_alpha((unsigned char)s.p[e - 2]) && cp_alpha((unsigned char)s.p[e]))
				break;
		}
		w = utf8_len(str_n(s.p + i, e - i));
		if (col + w <= width || (!col && !any && w <= width)) {
			buf_add(b, s.p + i, e - i);
			col += w;
		} else {
			struct str rest = str_n(s.p + word, e - word);

			w = utf8_len(rest);
			if (brk && w > width) {
				size_t gap = word - i, room = col + gap < width ? width - col - gap : 0;

				if (!col) {
					room = width;
				} else if (room) {
					buf_add(b, s.p + i, gap);
				} else {
					buf_addstr(b, sep);
					room = width;
				}
				while (w > room) {
					struct str part = utf8_sub(rest, 0, room);

					buf_addstr(b, part);
					buf_addstr(b, sep);
					rest = str_n(rest.p + part.n, rest.n - part.n);
					w -= room;
					room = width;
				}
			} else if (any) {
				buf_addstr(b, sep);
			}
			buf_addstr(b, rest);
			col = w;
		}
		any = true;
		i = e;
	}
}

static bool f_wordwrap(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[5];
	struct str s, sep;
	struct buf b = {.max = JINJA_MAX_OUT};
	int64_t width;

	if (!jinja_args(c, "wordwrap", "s width= break_long_words= wrapstring= break_on_hyphens=", v, err) ||
	    !arg_text(c, v[0], &s, err) || !arg_int(v[1], 79, &width, err) ||
	    !arg_str(c, v[3] && val_is_null(v[3]) ? NULL : v[3], STR("\n"), &sep, err))
		return false;
	if (width < 1)
		return jinja_fail(err, "invalid width %lld (must be > 0)", (long long)width);
	for (size_t i = 0; i < s.n;) {
		size_t e = i;

		while (e < s.n && s.p[e] != '\n' && s.p[e] != '\r')
			e++;
		if (i)
			buf_addstr(&b, sep);
		wrap_line(str_n(s.p + i, e - i), (size_t)width, arg_bool(v[2], true), arg_bool(v[4], true),
		          sep, &b);
		i = e + (e + 1 < s.n && s.p[e] == '\r' && s.p[e + 1] == '\n' ? 2 : 1);
	}
	return ret_buf(c, &b, ret, err);
}

static bool f_striptags(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;
	struct buf b = {0};
	bool tag = false, gap = false;

	if (!jinja_args(c, "striptags", "value", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '<' && memchr(s.p + i, '>', s.n - i)) {
			tag = true;
		} else if (s.p[i] == '>' && tag) {
			tag = false;
		} else if (!tag && cp_space((unsigned char)s.p[i])) {
			gap = b.n > 0;
		} else if (!tag) {
			if (gap)
				buf_addc(&b, ' ');
			gap = false;
			buf_addc(&b, s.p[i]);
		}
	}
	return ret_buf(c, &b, ret, err);
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
		return ret_buf(c, &b, ret, err);
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
	return ret_buf(c, &b, ret, err);
}

static bool f_urlize(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[6];
	struct str s;
	struct buf b = {.max = JINJA_MAX_OUT};

	if (!jinja_args(c, "urlize", "value trim_url_limit= nofollow= target= rel= extra_schemes=", v, err) ||
	    !arg_text(c, v[0], &s, err))
		return false;
	for (size_t i = 0; i < s.n;) {
		size_t e = i;
		struct str w;

		while (e < s.n && cp_space((unsigned char)s.p[e]))
			buf_addc(&b, s.p[e++]);
		i = e;
		while (e < s.n && !cp_space((unsigned char)s.p[e]))
			e++;
		w = str_n(s.p + i, e - i);
		if (str_starts(w, "http://") || str_starts(w, "https://") || str_starts(w, "www.")) {
			buf_printf(&b, "<a href=\"%s", str_starts(w, "www.") ? "https://" : "");
			escape_into(w, &b);
			buf_adds(&b, "\" rel=\"noopener\">");
			escape_into(w, &b);
			buf_adds(&b, "</a>");
		} else {
			escape_into(w, &b);
		}
		i = e;
	}
	return ret_buf(c, &b, ret, err);
}

static bool f_xmlattr(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct buf b = {0};
	bool any = false;

	if (!jinja_args(c, "xmlattr", "d autospace=", v, err))
		return false;
	if (!val_is_map(v[0]))
		return jinja_fail(err, "xmlattr takes a mapping, not %s", val_type_name(v[0]));
	MAP_EACH (i, v[0]) {
		struct val *x = val_value_at(v[0], i);

		if (val_is_null(x) || val_is_undef(x))
			continue;
		if (any || arg_bool(v[1], true))
			buf_addc(&b, ' ');
		any = true;
		escape_into(val_text(val_key_at(v[0], i), c->a), &b);
		buf_adds(&b, "=\"");
		escape_into(val_text(x, c->a), &b);
		buf_addc(&b, '"');
	}
	return ret_buf(c, &b, ret, err);
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
	return ret_buf(c, &b, ret, err);
}

static bool f_tojson(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct buf b = {.max = JINJA_MAX_OUT}, out = {.max = JINJA_MAX_OUT};
	struct json_style st = {.indent = -1, .sort_keys = true, .ascii = true};
	int64_t indent;

	if (!jinja_args(c, "tojson", "value indent=", v, err) || !arg_int(v[1], -1, &indent, err))
		return false;
	st.indent = (int)(indent > 100 ? 100 : indent);
	json_dump(v[0], st, &b);
	for (size_t i = 0; i < b.n; i++) {
		if (strchr("<>&'", b.p[i]) && b.p[i])
			buf_printf(&out, "\\u%04x", b.p[i]);
		else
			buf_addc(&out, b.p[i]);
	}
	buf_free(&b);
	return ret_buf(c, &out, ret, err);
}

static bool f_pprint(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct buf b = {.max = JINJA_MAX_OUT};

	if (!jinja_args(c, "pprint", "value", v, err))
		return false;
	val_repr(v[0], &b);
	return ret_buf(c, &b, ret, err);
}

static bool f_filesizeformat(struct jinja_call *c, struct val **ret, struct err *err)
{
	static const char pre[] = "kMGTPEZY";
	struct val *v[2];
	double n, base;
	bool binary;
	int64_t i;

	if (!jinja_args(c, "filesizeformat", "value binary=", v, err))
		return false;
	binary = arg_bool(v[1], false);
	if (val_is_str(v[0]) && !str_int(val_get_str(v[0]), &i))
		n = strtod(val_get_strz(v[0]), NULL);
	else if (val_is_num(v[0]))
		n = val_get_float(v[0]);
	else if (arg_int(v[0], 0, &i, err))
		n = (double)i;
	else
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
	if (val_kind(v[0]) != VAL_INT)
		return jinja_fail(err, "bad operand type for abs(): '%s'", val_type_name(v[0]));
	if (val_get_int(v[0]) >= 0) {
		*ret = v[0];
		return true;
	}
	return py_negate(c->a, v[0], ret, err);
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

static bool text_int(struct str s, int64_t base, int64_t *ret)
{
	bool neg = false;
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
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];
		int64_t d = ch >= '0' && ch <= '9'                 ? ch - '0'
		            : (ch | 32) >= 'a' && (ch | 32) <= 'z' ? (ch | 32) - 'a' + 10
		                                                   : 99;

		if (ch == '_' && i && i + 1 < s.n && s.p[i - 1] != '_')
			continue;
		if (d >= base || u > (uint64_t)(INT64_MAX - d) / (uint64_t)base)
			return false;
		u = u * (uint64_t)base + (uint64_t)d;
	}
	*ret = neg ? -(int64_t)u : (int64_t)u;
	return true;
}

static bool f_int(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	int64_t base, i;
	double d;

	if (!jinja_args(c, "int", "value default= base=", v, err) || !arg_int(v[2], 10, &base, err))
		return false;
	if (base != 0 && (base < 2 || base > 36))
		return jinja_fail(err, "int() base must be >= 2 and <= 36, or 0");
	switch (val_kind(v[0])) {
	case VAL_INT: *ret = v[0]; return true;
	case VAL_BOOL: *ret = val_int(c->a, val_get_bool(v[0])); return true;
	case VAL_STR:
		if (text_int(val_get_str(v[0]), base, &i)) {
			*ret = val_int(c->a, i);
			return true;
		}
		if (!text_float(val_get_str(v[0]), &d))
			break;
		if (fabs(d) < 9.2e18) {
			*ret = val_int(c->a, (int64_t)d);
			return true;
		}
		break;
	case VAL_FLOAT:
		d = val_get_float(v[0]);
		if (fabs(d) < 9.2e18) {
			*ret = val_int(c->a, (int64_t)d);
			return true;
		}
		break;
	default: break;
	}
	*ret = v[1] ? v[1] : val_int(c->a, 0);
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
	else
		*ret = v[1] ? v[1] : val_float(c->a, 0.0);
	return true;
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
		return jinja_fail(err, "type %s doesn't define __round__ method", val_type_name(v[0]));
	if (!str_eqc(how, "common") && !str_eqc(how, "ceil") && !str_eqc(how, "floor"))
		return jinja_fail(err, "method must be common, ceil or floor");
	d = val_get_float(v[0]);
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
	*ret = val_kind(v[0]) == VAL_INT && how.p[1] == 'o' ? val_int(c->a, (int64_t)d) : val_float(c->a, d);
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

static bool f_identity(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	if (!jinja_args(c, "safe", "value", v, err))
		return false;
	*ret = v[0];
	return true;
}

static const enum text_case up = CASE_UPPER, low = CASE_LOWER, cap = CASE_CAPITAL;

const struct jinja_func jinja_filters_str[] = {
        {"abs", f_abs, "The absolute value.", 0, NULL},
        {"capitalize", f_case, "First character upper case, the rest lower.", 0, &cap},
        {"center", f_center, "Centred in a field of a given width.", 0, NULL},
        {"d", f_default, "Another value where the first is undefined (or, with true, false).",
         JINJA_ALLOW_UNDEF, NULL},
        {"default", f_default, "Another value where the first is undefined (or, with true, false).",
         JINJA_ALLOW_UNDEF, NULL},
        {"e", f_escape, "& < > ' \" as HTML entities.", 0, NULL},
        {"escape", f_escape, "& < > ' \" as HTML entities.", 0, NULL},
        {"filesizeformat", f_filesizeformat, "A number of bytes as 13 kB, 4.1 MB …", 0, NULL},
        {"float", f_float, "A floating-point number; 0.0 or the given default when it is none.", 0, NULL},
        {"forceescape", f_escape, "& < > ' \" as HTML entities.", 0, NULL},
        {"format", f_format, "printf-style formatting of the arguments.", 0, NULL},
        {"indent", f_indent, "Each line but the first indented.", 0, NULL},
        {"int", f_int, "A whole number; 0 or the given default when it is none.", 0, NULL},
        {"lower", f_case, "Lower case.", 0, &low},
        {"pprint", f_pprint, "The value as Python writes it.", 0, NULL},
        {"replace", f_replace, "Every occurrence of one text replaced by another.", 0, NULL},
        {"round", f_round, "Rounded to a precision: common, ceil or floor.", 0, NULL},
        {"safe", f_identity, "The value itself (nothing is ever escaped by itself).", 0, NULL},
        {"string", f_string, "The value's text.", JINJA_TEXT, NULL},
        {"striptags", f_striptags, "Without SGML tags, white space collapsed.", 0, NULL},
        {"title", f_title, "Words begin with an upper-case letter.", 0, NULL},
        {"tojson", f_tojson, "JSON, safe within HTML.", 0, NULL},
        {"trim", f_trim, "Without white space (or the given characters) at both ends.", 0, NULL},
        {"truncate", f_truncate, "Cut to a length, with an ellipsis.", 0, NULL},
        {"upper", f_case, "Upper case.", 0, &up},
        {"urlencode", f_urlencode, "Percent-encoded; a map or pairs become a query string.", 0, NULL},
        {"urlize", f_urlize, "Web addresses as links.", 0, NULL},
        {"wordcount", f_wordcount, "The number of words.", 0, NULL},
        {"wordwrap", f_wordwrap, "Lines of at most a given width.", 0, NULL},
        {"xmlattr", f_xmlattr, "A map as SGML attributes.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
