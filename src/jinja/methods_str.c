/* methods_str - the methods of Python's str. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

#define SELF(c) val_get_str(val_at((c)->args, 0))

static bool ret_str(struct jinja_call *c, struct str s, struct val **ret)
{
	*ret = val_str(c->a, s);
	return true;
}

static bool need_str(const struct val *v, struct str *ret, struct err *err)
{
	if (!val_is_str(v))
		return jinja_fail(err, "must be str, not %s", val_type_name(v));
	*ret = val_get_str(v);
	return true;
}

static bool m_case(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct buf b = {0};
	struct val *v[1];

	if (!jinja_args(c, "str", "self", v, err))
		return false;
	text_case(SELF(c), *(const enum text_case *)c->user, &b);
	*ret = buf_val(&b, c->a);
	return true;
}

static bool m_strip(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *how = c->user;
	struct val *v[2];
	struct str chars;

	if (!jinja_args(c, "strip", "self chars=", v, err))
		return false;
	if (v[1] && !val_is_null(v[1])) {
		if (!need_str(v[1], &chars, err))
			return false;
		return ret_str(c, text_strip(SELF(c), &chars, how[0] == 'l' || how[0] == 'b', how[0] != 'l'),
		               ret);
	}
	return ret_str(c, text_strip(SELF(c), NULL, how[0] == 'l' || how[0] == 'b', how[0] != 'l'), ret);
}

static void push_str(struct jinja_call *c, struct val *list, const char *p, size_t n)
{
	val_push(list, val_str(c->a, str_n(p, n)));
}

/* The next word of S from *I on (white space around it skipped); false at the end. */
static bool next_word(struct str s, size_t *i, struct str *ret)
{
	struct str rest = text_strip(str_n(s.p + *i, s.n - *i), NULL, true, false);
	size_t n = 0;
	uint32_t cp;

	if (!rest.n)
		return false;
	while (n < rest.n) {
		size_t k = str_utf8(str_n(rest.p + n, rest.n - n), &cp);

		if (cp_space(cp))
			break;
		n += k;
	}
	*ret = str_n(rest.p, n);
	*i = (size_t)(rest.p - s.p) + n;
	return true;
}

static void split_space(struct jinja_call *c, struct str s, int64_t max, struct val *out)
{
	size_t i = 0;
	struct str w;

	while (max < 0 || (int64_t)val_len(out) < max) {
		if (!next_word(s, &i, &w))
			return;
		push_str(c, out, w.p, w.n);
	}
	s = text_strip(str_n(s.p + i, s.n - i), NULL, true, false);
	if (s.n)
		push_str(c, out, s.p, s.n);
}

static struct val *reversed(struct jinja_call *c, struct val *list)
{
	struct val *r = val_list(c->a);

	for (size_t i = val_len(list); i-- > 0;)
		val_push(r, val_at(list, i));
	return r;
}

static void rsplit_space(struct jinja_call *c, struct str s, int64_t max, struct val *out)
{
	for (;;) {
		size_t i;

		s = text_strip(s, NULL, false, true);
		if (!s.n)
			return;
		if ((int64_t)val_len(out) == max) {
			s = text_strip(s, NULL, true, true);
			push_str(c, out, s.p, s.n);
			return;
		}
		for (i = s.n; i > 0 && !cp_space((unsigned char)s.p[i - 1]); i--)
			;
		push_str(c, out, s.p + i, s.n - i);
		s.n = i;
	}
}

static ptrdiff_t rfind(struct str s, struct str sub)
{
	for (size_t i = s.n + 1; i-- > 0;)
		if (i + sub.n <= s.n && !memcmp(s.p + i, sub.p, sub.n))
			return (ptrdiff_t)i;
	return -1;
}

static bool m_split(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *how = c->user;
	struct val *v[3], *out = val_list(c->a);
	struct str s = SELF(c), sep;
	int64_t max;

	if (!jinja_args(c, "split", "self sep= maxsplit=", v, err) || !arg_int(v[2], -1, &max, err))
		return false;
	if (!v[1] || val_is_null(v[1])) {
		if (how[0] == 'r')
			rsplit_space(c, s, max, out);
		else
			split_space(c, s, max, out);
		*ret = how[0] == 'r' ? reversed(c, out) : out;
		return true;
	}
	if (!need_str(v[1], &sep, err))
		return false;
	if (!sep.n)
		return jinja_fail(err, "empty separator");
	while (max < 0 || (int64_t)val_len(out) < max) {
		ptrdiff_t at = how[0] == 'r' ? rfind(s, sep) : str_find(s, sep, 0);

		if (at < 0)
			break;
		if (how[0] == 'r') {
			push_str(c, out, s.p + at + sep.n, s.n - (size_t)at - sep.n);
			s.n = (size_t)at;
		} else {
			push_str(c, out, s.p, (size_t)at);
			s = str_n(s.p + at + sep.n, s.n - (size_t)at - sep.n);
		}
	}
	push_str(c, out, s.p, s.n);
	*ret = how[0] == 'r' ? reversed(c, out) : out;
	return true;
}

static bool m_splitlines(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *out = val_list(c->a);
	struct str s = SELF(c);

	if (!jinja_args(c, "splitlines", "self keepends=", v, err))
		return false;
	while (s.n) {
		size_t end, n = text_line(s, &end);

		push_str(c, out, s.p, arg_bool(v[1], false) ? n + end : n);
		s = str_n(s.p + n + end, s.n - n - end);
	}
	*ret = out;
	return true;
}

/* S[start:end] for the methods that take them. */
#define NOWHERE ((size_t)-1)

static bool sub_range(struct jinja_call *c, struct val **v, struct str *s, size_t *ret_from, struct err *err)
{
	struct val *whole = val_at(c->args, 0), *part;

	int64_t n = (int64_t)utf8_len(*s), from = 0, to = n;

	*ret_from = 0;
	if (!v[0] && !v[1])
		return true;
	if (!py_slice(c->a, whole, v[0], v[1], NULL, &part, err))
		return false;
	if ((v[0] && !val_is_null(v[0]) && !arg_int(v[0], 0, &from, err)) ||
	    (v[1] && !val_is_null(v[1]) && !arg_int(v[1], 0, &to, err)))
		return false;
	from = from < 0 ? (from + n < 0 ? 0 : from + n) : from;
	to = to < 0 ? (to + n < 0 ? 0 : to + n) : to > n ? n : to;
	*ret_from = from > to ? NOWHERE : (size_t)from;
	*s = val_get_str(part);
	return true;
}

static bool m_affix(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool start = ((const char *)c->user)[0] == 's', yes = false;
	struct val *v[4], *one;
	struct str s = SELF(c);
	size_t from;

	if (!jinja_args(c, start ? "startswith" : "endswith", "self prefix start= end=", v, err) ||
	    !sub_range(c, v + 2, &s, &from, err))
		return false;
	one = val_tuple(c->a);
	val_push(one, v[1]);
	if (val_kind(v[1]) == VAL_TUPLE)
		one = v[1];
	VAL_EACH (i, one) {
		struct str x;

		if (!val_is_str(val_at(one, i)))
			return jinja_fail(err, "%s first arg must be str or a tuple of str, not %s",
			                  start ? "startswith" : "endswith", val_type_name(val_at(one, i)));
		x = val_get_str(val_at(one, i));
		yes |= x.n <= s.n && !memcmp(start ? s.p : s.p + s.n - x.n, x.p, x.n);
	}
	*ret = val_bool(yes && from != NOWHERE);
	return true;
}

static bool m_replace(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4];
	struct str s = SELF(c), old, new;
	struct buf b = {.max = JINJA_MAX_OUT};
	int64_t count;

	if (!jinja_args(c, "replace", "self old new count=", v, err) || !need_str(v[1], &old, err) ||
	    !need_str(v[2], &new, err) || !arg_int(v[3], -1, &count, err))
		return false;
	for (size_t i = 0; i <= s.n;) {
		ptrdiff_t at = count ? str_find(s, old, i) : -1;
		uint32_t cp;

		if (at < 0) {
			buf_add(&b, s.p + i, s.n - i);
			break;
		}
		buf_add(&b, s.p + i, (size_t)at - i);
		buf_addstr(&b, new);
		count--;
		i = (size_t)at + old.n;
		if (!old.n) {
			if (i == s.n)
				break;
			size_t n = str_utf8(str_n(s.p + i, s.n - i), &cp);

			buf_add(&b, s.p + i, n);
			i += n;
		}
	}
	if (b.full) {
		buf_free(&b);
		return jinja_fail(err, "the text is larger than %zu bytes", JINJA_MAX_OUT);
	}
	*ret = buf_val(&b, c->a);
	return true;
}

static bool m_find(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *how = c->user; /* find rfind index */
	struct val *v[4];
	struct str s = SELF(c), sub;
	size_t from;
	ptrdiff_t at;

	if (!jinja_args(c, how, "self sub start= end=", v, err) || !need_str(v[1], &sub, err) ||
	    !sub_range(c, v + 2, &s, &from, err))
		return false;
	at = from == NOWHERE ? -1 : strstr(how, "r") == how ? rfind(s, sub) : str_find(s, sub, 0);
	if (at < 0 && strstr(how, "index"))
		return jinja_fail(err, "substring not found");
	*ret = val_int(c->a, at < 0 ? -1 : (int64_t)(utf8_len(str_n(s.p, (size_t)at)) + from));
	return true;
}

static bool m_count(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4];
	struct str s = SELF(c), sub;
	size_t from, n = 0;
	ptrdiff_t at;

	if (!jinja_args(c, "count", "self sub start= end=", v, err) || !need_str(v[1], &sub, err) ||
	    !sub_range(c, v + 2, &s, &from, err))
		return false;
	if (!sub.n)
		n = from == NOWHERE ? 0 : utf8_len(s) + 1;
	else
		for (size_t i = 0; (at = str_find(s, sub, i)) >= 0; i = (size_t)at + sub.n)
			n++;
	*ret = val_int(c->a, (int64_t)n);
	return true;
}

static bool m_join(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *list;
	struct buf b = {.max = JINJA_MAX_OUT};

	if (!jinja_args(c, "join", "self iterable", v, err))
		return false;
	list = arg_iter(c, v[1], err);
	if (!list)
		return false;
	VAL_EACH (i, list) {
		struct val *x = val_at(list, i);

		if (val_is_markup(val_at(c->args, 0)))
			x = markup_escape(c->a, x);
		if (!val_is_str(x)) {
			buf_free(&b);
			return jinja_fail(err, "sequence item %zu: expected str instance, %s found", i,
			                  val_type_name(x));
		}
		if (i)
			buf_addstr(&b, SELF(c));
		buf_addstr(&b, val_get_str(x));
	}
	*ret = buf_val(&b, c->a);
	return true;
}

static bool m_format(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *args = val_list(c->a), *kwargs = c->kwargs;
	struct buf b = {.max = JINJA_MAX_OUT};

	for (size_t i = 1; i < val_len(c->args); i++)
		val_push(args, val_at(c->args, i));
	if (((const char *)c->user)[0] == 'm') {
		kwargs = val_at(args, 0);
		if (!kwargs || !val_is_map(kwargs))
			return jinja_fail(err, "format_map() takes a mapping");
	}
	if (!py_str_format(c, SELF(c), args, kwargs, &b, err)) {
		buf_free(&b);
		return false;
	}
	*ret = buf_val(&b, c->a);
	return true;
}

/* ljust, rjust, center */
static bool m_just(struct jinja_call *c, struct val **ret, struct err *err)
{
	char how = ((const char *)c->user)[0];
	struct val *v[3];
	struct str s = SELF(c), fill = STR(" ");
	size_t len = utf8_len(s), total, left;
	struct buf b = {.max = JINJA_MAX_OUT};
	int64_t width;

	if (!jinja_args(c, "ljust", "self width fillchar=", v, err) || !arg_int(v[1], 0, &width, err) ||
	    !arg_str(c, v[2], fill, &fill, err))
		return false;
	if (utf8_len(fill) != 1)
		return jinja_fail(err, "The fill character must be exactly one character long");
	total = width > (int64_t)len ? (size_t)width - len : 0;
	if (total > JINJA_MAX_OUT / 4)
		return jinja_fail(err, "the width %lld is too large", (long long)width);
	/* CPython rounds the left half of a centred text this way. */
	left = how == 'r' ? total : how == 'l' ? 0 : total / 2 + (total & (size_t)width & 1);
	for (size_t i = 0; i < left; i++)
		buf_addstr(&b, fill);
	buf_addstr(&b, s);
	for (size_t i = left; i < total; i++)
		buf_addstr(&b, fill);
	*ret = buf_val(&b, c->a);
	return true;
}

static bool m_zfill(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s = SELF(c);
	struct buf b = {0};
	int64_t width, len = (int64_t)utf8_len(s);

	if (!jinja_args(c, "zfill", "self width", v, err) || !arg_int(v[1], 0, &width, err))
		return false;
	if (width > (int64_t)JINJA_MAX_OUT / 4)
		return jinja_fail(err, "the width %lld is too large", (long long)width);
	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
		buf_addc(&b, s.p[0]);
		s = str_n(s.p + 1, s.n - 1);
	}
	for (; len < width; len++)
		buf_addc(&b, '0');
	buf_addstr(&b, s);
	*ret = buf_val(&b, c->a);
	return true;
}

/* isdigit and its kin: every character must do, and there must be one. */
static bool m_is(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *what = c->user;
	struct str s = SELF(c);
	bool yes = s.n > 0, cased = false, prev_cased = false;
	struct val *v[1];

	if (!jinja_args(c, what, "self", v, err))
		return false;
	for (size_t i = 0, n; i < s.n && yes; i += n) {
		uint32_t cp;
		bool up, low;

		n = str_utf8(str_n(s.p + i, s.n - i), &cp);
		up = cp_upper_p(cp);
		low = cp_lower_p(cp);
		cased |= up || low;
		if (!strcmp(what, "isdigit") || !strcmp(what, "isdecimal") || !strcmp(what, "isnumeric"))
			yes = cp_digit(cp);
		else if (!strcmp(what, "isalpha"))
			yes = cp_alpha(cp);
		else if (!strcmp(what, "isalnum"))
			yes = cp_alpha(cp) || cp_digit(cp);
		else if (!strcmp(what, "isspace"))
			yes = cp_space(cp);
		else if (!strcmp(what, "isupper"))
			yes = !low;
		else if (!strcmp(what, "islower"))
			yes = !up;
		else if (!strcmp(what, "istitle"))
			yes = prev_cased ? !up : !low;
		else if (!strcmp(what, "isprintable"))
			yes = val_printable(cp);
		else if (!strcmp(what, "isidentifier"))
			yes = cp == '_' || cp_alpha(cp) || (i && cp_digit(cp));
		prev_cased = up || low;
	}
	if (!strcmp(what, "isupper") || !strcmp(what, "islower") || !strcmp(what, "istitle"))
		yes = yes && cased;
	if (!strcmp(what, "isprintable"))
		yes = yes || !s.n;
	if (!strcmp(what, "isascii")) {
		yes = true;
		for (size_t i = 0; i < s.n; i++)
			yes = yes && (unsigned char)s.p[i] < 0x80;
	}
	*ret = val_bool(yes);
	return true;
}

static bool m_remove(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool prefix = ((const char *)c->user)[0] == 'p';
	struct val *v[2];
	struct str s = SELF(c), x;

	if (!jinja_args(c, "removeprefix", "self affix", v, err) || !need_str(v[1], &x, err))
		return false;
	if (x.n && x.n <= s.n && !memcmp(prefix ? s.p : s.p + s.n - x.n, x.p, x.n))
		s = prefix ? str_n(s.p + x.n, s.n - x.n) : str_n(s.p, s.n - x.n);
	return ret_str(c, s, ret);
}

static bool m_partition(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool last = ((const char *)c->user)[0] == 'r';
	struct val *v[2];
	struct str s = SELF(c), sep, part[3];
	ptrdiff_t at;

	if (!jinja_args(c, "partition", "self sep", v, err) || !need_str(v[1], &sep, err))
		return false;
	if (!sep.n)
		return jinja_fail(err, "empty separator");
	at = last ? rfind(s, sep) : str_find(s, sep, 0);
	part[0] = at < 0 ? (last ? STR("") : s) : str_n(s.p, (size_t)at);
	part[1] = at < 0 ? STR("") : sep;
	part[2] = at < 0 ? (last ? s : STR("")) : str_n(s.p + at + sep.n, s.n - (size_t)at - sep.n);
	*ret = val_tuple(c->a);
	for (int i = 0; i < 3; i++)
		val_push(*ret, val_str(c->a, part[i]));
	return true;
}

static bool m_expandtabs(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s = SELF(c);
	struct buf b = {.max = JINJA_MAX_OUT};
	int64_t size, col = 0;

	if (!jinja_args(c, "expandtabs", "self tabsize=", v, err) || !arg_int(v[1], 8, &size, err))
		return false;
	if (size > 10000)
		return jinja_fail(err, "the tab size %lld is too large", (long long)size);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\t') {
			int64_t n = size > 0 ? size - col % size : 0;

			col += n;
			while (n-- > 0)
				buf_addc(&b, ' ');
			continue;
		}
		col = s.p[i] == '\n' || s.p[i] == '\r' ? 0 : col + (((unsigned char)s.p[i] & 0xc0) != 0x80);
		buf_addc(&b, s.p[i]);
	}
	*ret = buf_val(&b, c->a);
	return true;
}

/* Text is bytes here already. */
static bool m_encode(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];

	if (!jinja_args(c, "encode", "self encoding= errors=", v, err))
		return false;
	*ret = v[0];
	return true;
}

static bool m_translate(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s = SELF(c);
	struct buf b = {.max = JINJA_MAX_OUT};

	if (!jinja_args(c, "translate", "self table", v, err))
		return false;
	if (!val_is_map(v[1]))
		return jinja_fail(err, "translate() takes a mapping");
	while (s.n) {
		uint32_t cp;
		size_t n = str_utf8(s, &cp);
		const struct val *to = val_getk(v[1], val_int(c->a, cp));

		if (!to)
			buf_add(&b, s.p, n);
		else if (val_is_str(to))
			buf_addstr(&b, val_get_str(to));
		else if (val_kind(to) == VAL_INT)
			buf_utf8(&b, (uint32_t)val_get_int(to));
		s = str_n(s.p + n, s.n - n);
	}
	*ret = buf_val(&b, c->a);
	return true;
}

static const enum text_case up = CASE_UPPER, low = CASE_LOWER, swap = CASE_SWAP, cap = CASE_CAPITAL,
                            title = CASE_TITLE;

enum { HTML = JINJA_MARKUP | JINJA_ESCAPES };

const struct jinja_func py_str_methods[] = {
        {"split", m_split, "", HTML, "l"},
        {"format", m_format, "", HTML, "f"},
        {"replace", m_replace, "", HTML, NULL},
        {"startswith", m_affix, "", 0, "s"},
        {"endswith", m_affix, "", 0, "e"},
        {"lower", m_case, "", HTML, &low},
        {"upper", m_case, "", HTML, &up},
        {"join", m_join, "", JINJA_MARKUP, NULL},
        {"strip", m_strip, "", HTML, "b"},
        {"find", m_find, "", 0, "find"},
        {"ljust", m_just, "", HTML, "l"},
        {"rjust", m_just, "", HTML, "r"},
        {"center", m_just, "", HTML, "c"},
        {"rstrip", m_strip, "", HTML, "r"},
        {"lstrip", m_strip, "", HTML, "l"},
        {"rsplit", m_split, "", HTML, "r"},
        {"splitlines", m_splitlines, "", HTML, NULL},
        {"rfind", m_find, "", 0, "rfind"},
        {"index", m_find, "", 0, "index"},
        {"rindex", m_find, "", 0, "rindex"},
        {"count", m_count, "", 0, NULL},
        {"title", m_case, "", HTML, &title},
        {"capitalize", m_case, "", HTML, &cap},
        {"swapcase", m_case, "", HTML, &swap},
        {"casefold", m_case, "", HTML, &low},
        {"zfill", m_zfill, "", HTML, NULL},
        {"isdigit", m_is, "", 0, "isdigit"},
        {"isdecimal", m_is, "", 0, "isdecimal"},
        {"isnumeric", m_is, "", 0, "isnumeric"},
        {"isalpha", m_is, "", 0, "isalpha"},
        {"isalnum", m_is, "", 0, "isalnum"},
        {"isspace", m_is, "", 0, "isspace"},
        {"isupper", m_is, "", 0, "isupper"},
        {"islower", m_is, "", 0, "islower"},
        {"istitle", m_is, "", 0, "istitle"},
        {"isidentifier", m_is, "", 0, "isidentifier"},
        {"isprintable", m_is, "", 0, "isprintable"},
        {"isascii", m_is, "", 0, "isascii"},
        {"removeprefix", m_remove, "", HTML, "p"},
        {"removesuffix", m_remove, "", HTML, "s"},
        {"partition", m_partition, "", HTML, "l"},
        {"rpartition", m_partition, "", HTML, "r"},
        {"expandtabs", m_expandtabs, "", HTML, NULL},
        {"format_map", m_format, "", HTML, "m"},
        {"encode", m_encode, "", 0, NULL},
        {"decode", m_encode, "", 0, NULL},
        {"translate", m_translate, "", HTML, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
