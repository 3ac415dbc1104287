/* format - Python's format mini-language, str.format() and the % operator. */
#include "base/val_big.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>

struct spec {
	uint32_t fill;
	char align; /* < > = ^, 0: not given */
	char sign;  /* + - space */
	bool alt, zero;
	char group;          /* , or _ */
	int64_t width, prec; /* -1: not given */
	char type;
};

static bool digits(struct str s, size_t *i, int64_t *ret)
{
	int64_t v = 0;
	size_t from = *i;

	for (; *i < s.n && s.p[*i] >= '0' && s.p[*i] <= '9'; (*i)++) {
		v = v * 10 + (s.p[*i] - '0');
		if (v > 1000000)
			v = 1000000;
	}
	if (*i > from)
		*ret = v;
	return *i > from;
}

static bool is_align(char c)
{
	return c == '<' || c == '>' || c == '=' || c == '^';
}

static bool parse_spec(struct str s, struct spec *sp, struct err *err)
{
	size_t i = 0, n;
	uint32_t cp = ' ';

	*sp = (struct spec){.fill = ' ', .sign = '-', .width = -1, .prec = -1};
	n = s.n ? str_utf8(s, &cp) : 0;
	if (n && n < s.n && is_align(s.p[n])) {
		sp->fill = cp;
		sp->align = s.p[n];
		i = n + 1;
	} else if (s.n && is_align(s.p[0])) {
		sp->align = s.p[0];
		i = 1;
	}
	if (i < s.n && (s.p[i] == '+' || s.p[i] == '-' || s.p[i] == ' '))
		sp->sign = s.p[i++];
	if (i < s.n && s.p[i] == '#') {
		sp->alt = true;
		i++;
	}
	if (i < s.n && s.p[i] == '0') {
		sp->zero = true;
		if (!sp->align) {
			sp->fill = '0';
			sp->align = '=';
		}
		i++;
	}
	digits(s, &i, &sp->width);
	if (i < s.n && (s.p[i] == ',' || s.p[i] == '_'))
		sp->group = s.p[i++];
	if (i < s.n && s.p[i] == '.') {
		i++;
		if (!digits(s, &i, &sp->prec))
			return jinja_fail(err, "Format specifier missing precision");
	}
	if (i < s.n)
		sp->type = s.p[i++];
	if (i < s.n)
		return jinja_fail(err, "Invalid format specifier");
	return true;
}

/* PREFIX (sign, 0x) and BODY padded to the width. */
static void pad(const struct spec *sp, struct str prefix, struct str body, char dflt_align, struct buf *out)
{
	size_t len = utf8_len(prefix) + utf8_len(body);
	size_t fill = sp->width > 0 && (size_t)sp->width > len ? (size_t)sp->width - len : 0, left = 0;
	char align = sp->align ? sp->align : dflt_align;

	if (align == '>')
		left = fill;
	else if (align == '^')
		left = fill / 2;
	for (size_t i = 0; i < left; i++)
		buf_utf8(out, sp->fill);
	buf_addstr(out, prefix);
	for (size_t i = 0; align == '=' && i < fill; i++)
		buf_utf8(out, sp->fill);
	buf_addstr(out, body);
	for (size_t i = left; align != '=' && i < fill; i++)
		buf_utf8(out, sp->fill);
}

/* Groups the digits before the point of D; with "=" padding by zeros the zeros are grouped as well. */
static void group(const struct spec *sp, struct str d, size_t prefix_len, struct buf *out)
{
	size_t whole = 0, every = sp->group == '_' && strchr("xXob", sp->type ? sp->type : 'd') ? 4 : 3,
	       zeros = 0;

	while (whole < d.n && ((d.p[whole] >= '0' && d.p[whole] <= '9') || (d.p[whole] | 32) >= 'a'))
		whole++;
	if (whole < d.n && (d.p[whole] | 32) == 'e')
		whole = d.n;
	if (sp->zero && sp->fill == '0' && sp->width > 0)
		for (;; zeros++) {
			size_t w = whole + zeros;
			size_t total = prefix_len + w + (w - 1) / every + (d.n - whole);

			if (total >= (size_t)sp->width)
				break;
		}
	for (size_t i = 0; i < whole + zeros; i++) {
		if (i && (whole + zeros - i) % every == 0)
			buf_addc(out, sp->group);
		buf_addc(out, i < zeros ? '0' : d.p[i - zeros]);
	}
	buf_add(out, d.p + whole, d.n - whole);
}

static void put_number(const struct spec *sp, bool neg, const char *base, struct str d, struct buf *out)
{
	char prefix[8];
	struct buf g = {0};

	snprintf(prefix, sizeof(prefix), "%s%s",
	         neg               ? "-"
	         : sp->sign == '-' ? ""
	         : sp->sign == '+' ? "+"
	                           : " ",
	         base);
	if (sp->group) {
		group(sp, d, strlen(prefix), &g);
		d = buf_str(&g);
	}
	pad(sp, str_c(prefix), d, '>', out);
	buf_free(&g);
}

static bool unknown_code(const struct spec *sp, const struct val *v, struct err *err)
{
	return jinja_fail(err, "Unknown format code '%c' for object of type '%s'", sp->type,
	                  val_type_name(v));
}

static void put_big(const struct spec *sp, const struct val *v, unsigned base, const char *prefix,
                    struct buf *out)
{
	struct buf b = {0};
	struct str s;

	val_big_print(v, base, &b);
	for (size_t i = 0; sp->type == 'X' && i < b.n; i++)
		b.p[i] = (char)toupper((unsigned char)b.p[i]);
	s = buf_str(&b);
	put_number(sp, s.p[0] == '-', prefix, str_from(s, s.p[0] == '-'), out);
	buf_free(&b);
}

static bool put_int(const struct spec *sp, int64_t i, const struct val *v, struct buf *out, struct err *err)
{
	uint64_t u = i < 0 ? (uint64_t)0 - (uint64_t)i : (uint64_t)i;
	char tmp[80], *p = tmp + sizeof(tmp) - 1;
	unsigned base = sp->type == 'x' || sp->type == 'X' ? 16
	                : sp->type == 'o'                  ? 8
	                : sp->type == 'b'                  ? 2
	                                                   : 10;
	const char *prefix = !sp->alt || base == 10 ? ""
	                     : base == 16           ? (sp->type == 'x' ? "0x" : "0X")
	                     : base == 8            ? "0o"
	                                            : "0b";
	const char *set = sp->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";

	if (sp->prec >= 0)
		return jinja_fail(err, "Precision not allowed in integer format specifier");
	if (sp->type == 'c') {
		struct buf b = {0};

		if (i < 0 || i > 0x10ffff)
			return jinja_fail(err, "%%c arg not in range(0x110000)");
		buf_utf8(&b, (uint32_t)i);
		pad(sp, STR(""), buf_str(&b), '<', out);
		buf_free(&b);
		return true;
	}
	if (sp->type && !strchr("dnxXob", sp->type))
		return unknown_code(sp, v, err);
	if (val_kind(v) == VAL_BIG) {
		put_big(sp, v, base, prefix, out);
		return true;
	}
	do {
		*--p = set[u % base];
		u /= base;
	} while (u);
	put_number(sp, i < 0, prefix, str_n(p, (size_t)(tmp + sizeof(tmp) - 1 - p)), out);
	return true;
}

/* Python's 'g' drops nothing more than C's; its default type adds ".0" and switches at 1e16. */
static bool put_float(const struct spec *sp, double d, const struct val *v, struct buf *out, struct err *err)
{
	char fmt[16], conv = sp->type == '%' ? 'f' : sp->type == 'n' ? 'g' : sp->type;
	int prec = sp->prec >= 0 ? (int)sp->prec : 6;
	struct buf b = {0};
	bool neg = signbit(d) && !isnan(d);

	if (sp->type && !strchr("eEfFgGn%", sp->type))
		return unknown_code(sp, v, err);
	if (sp->type == '%')
		d *= 100;
	d = fabs(d);
	if (isnan(d) || isinf(d)) {
		buf_adds(&b,
		         isnan(d) ? (sp->type == 'F' || sp->type == 'E' || sp->type == 'G' ? "NAN" : "nan")
		                  : (sp->type == 'F' || sp->type == 'E' || sp->type == 'G' ? "INF" : "inf"));
	} else if (!conv && sp->prec < 0) {
		val_float_repr(d, &b);
	} else {
		bool plain = !conv;

		if (plain) {
			conv = 'g';
			prec = prec ? prec : 1;
		}
		snprintf(fmt, sizeof(fmt), sp->alt ? "%%#.*%c" : "%%.*%c", conv);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		buf_printf(&b, fmt, prec, d);
#pragma GCC diagnostic pop
		if (plain && !memchr(b.p, '.', b.n) && !memchr(b.p, 'e', b.n))
			buf_adds(&b, ".0");
	}
	if (sp->type == '%')
		buf_addc(&b, '%');
	put_number(sp, neg, "", buf_str(&b), out);
	buf_free(&b);
	return true;
}

bool py_format_spec(const struct val *v, struct str spec, struct buf *out, struct err *err)
{
	struct spec sp;
	struct arena *a;
	struct str s;

	if (val_is_undef(v))
		return jinja_fail(err, "%s", val_undef_msg(v));
	if (!spec.n) {
		val_print(v, out);
		return true;
	}
	if (!parse_spec(spec, &sp, err))
		return false;
	switch (val_kind(v)) {
	case VAL_FLOAT: return put_float(&sp, val_get_float(v), v, out, err);
	case VAL_INT:
	case VAL_BIG:
	case VAL_BOOL:
		if (sp.type && strchr("eEfFgG%", sp.type))
			return put_float(&sp, val_get_float(v), v, out, err);
		return put_int(&sp, val_kind(v) == VAL_BOOL ? val_get_bool(v) : val_get_int(v), v, out, err);
	case VAL_STR:
		if (sp.type && sp.type != 's')
			return unknown_code(&sp, v, err);
		if (sp.align == '=' && !sp.zero)
			return jinja_fail(err, "'=' alignment not allowed in string format specifier");
		if (sp.align == '=')
			sp.align = '<';
		s = val_get_str(v);
		if (sp.prec >= 0)
			s = utf8_sub(s, 0, (size_t)sp.prec);
		pad(&sp, STR(""), s, '<', out);
		return true;
	default:
		a = arena_new(NULL);
		s = str_c(arena_strdup(a, val_is_null(v) ? "NoneType" : val_type_name(v)));
		jinja_fail(err, "unsupported format string passed to %.*s.__format__", STR_FMT(s));
		arena_free(a);
		return false;
	}
}

/* ---- str.format */

struct fmt_state {
	struct jinja_call *c;
	struct val *args, *kwargs;
	int64_t next;
	struct buf *out;
	struct err *err;
	unsigned depth;
	char numbering; /* of the fields: 'a' automatic, 'm' manual, 0 none so far */
};

/* Python's ascii(). */
static void ascii_repr(const struct val *v, struct buf *out)
{
	struct buf b = {0};
	uint32_t cp;

	val_repr(v, &b);
	for (struct str s = buf_str(&b); s.n;) {
		size_t n = str_utf8(s, &cp);

		if (cp < 0x80)
			buf_addc(out, s.p[0]);
		else
			buf_printf(out,
			           cp > 0xffff ? "\\U%08x"
			           : cp > 0xff ? "\\u%04x"
			                       : "\\x%02x",
			           (unsigned)cp);
		s = str_n(s.p + n, s.n - n);
	}
	buf_free(&b);
}

/* "0", "name", "" and what follows it: ".attr", "[key]". */
static struct val *format_field(struct fmt_state *st, struct str name)
{
	size_t i = 0;
	int64_t num;
	struct val *v;
	struct str head;

	while (i < name.n && name.p[i] != '.' && name.p[i] != '[')
		i++;
	head = str_n(name.p, i);
	if (!head.n || str_int(head, &num)) {
		char how = head.n ? 'm' : 'a';

		if (st->numbering && st->numbering != how) {
			jinja_fail(st->err,
			           how == 'm' ? "cannot switch from automatic field numbering to manual "
			                        "field specification"
			                      : "cannot switch from manual field specification to "
			                        "automatic field numbering");
			return NULL;
		}
		st->numbering = how;
	}
	if (!head.n)
		num = st->next++;
	if (!head.n || str_int(head, &num)) {
		v = num >= 0 ? val_at(st->args, (size_t)num) : NULL;
		if (!v) {
			jinja_fail(st->err, "Replacement index %lld out of range for positional args tuple",
			           (long long)num);
			return NULL;
		}
	} else {
		v = val_gets(st->kwargs, head);
		if (!v) {
			jinja_fail(st->err, "'%.*s'", STR_FMT(head));
			return NULL;
		}
	}
	while (i < name.n && v) {
		size_t from = i + 1, end;
		struct val *key;

		end = from;
		while (end < name.n &&
		       (name.p[i] == '[' ? name.p[end] != ']' : name.p[end] != '.' && name.p[end] != '['))
			end++;
		key = val_str(st->c->a, str_n(name.p + from, end - from));
		if (name.p[i] == '[' && str_int(val_get_str(key), &num))
			key = val_int(st->c->a, num);
		v = ctx_getattr(st->c->ctx, st->c->a, v, key, st->err);
		i = name.p[i] == '[' ? end + 1 : end;
	}
	return v;
}

static bool format_text(struct fmt_state *st, struct str f, struct buf *out);

/* "name!r:spec" */
static bool format_one(struct fmt_state *st, struct str f, struct buf *out)
{
	size_t i = 0, in = 0;
	char conv = 0;
	struct str spec = STR("");
	struct buf sb = {0}, rb = {0};
	struct val *v;
	bool ok;

	while (i < f.n && (in || (f.p[i] != '!' && f.p[i] != ':'))) {
		in = f.p[i] == '[' ? 1 : f.p[i] == ']' ? 0 : in;
		i++;
	}
	v = format_field(st, str_n(f.p, i));
	if (!v)
		return false;
	if (i < f.n && f.p[i] == '!') {
		conv = i + 1 < f.n ? f.p[i + 1] : 0;
		i += 2;
		if (conv != 'r' && conv != 's' && conv != 'a')
			return jinja_fail(st->err, "Unknown conversion specifier");
	}
	if (i < f.n && f.p[i] == ':')
		spec = str_n(f.p + i + 1, f.n - i - 1);
	if (memchr(spec.p, '{', spec.n)) {
		if (++st->depth > 2)
			return jinja_fail(st->err, "Max string recursion exceeded");
		ok = format_text(st, spec, &sb);
		st->depth--;
		if (!ok) {
			buf_free(&sb);
			return false;
		}
		spec = buf_str(&sb);
	}
	if (conv) {
		if (conv == 's')
			val_print(v, &rb);
		else if (conv == 'a')
			ascii_repr(v, &rb);
		else
			val_repr(v, &rb);
		v = buf_val(&rb, st->c->a);
	}
	ok = py_format_spec(v, spec, out, st->err);
	buf_free(&sb);
	return ok;
}

static bool format_text(struct fmt_state *st, struct str f, struct buf *out)
{
	for (size_t i = 0; i < f.n; i++) {
		size_t end = i + 1, open = 1;

		if ((f.p[i] == '{' || f.p[i] == '}') && i + 1 < f.n && f.p[i + 1] == f.p[i]) {
			buf_addc(out, f.p[i++]);
			continue;
		}
		if (f.p[i] == '}')
			return jinja_fail(st->err, "Single '}' encountered in format string");
		if (f.p[i] != '{') {
			buf_addc(out, f.p[i]);
			continue;
		}
		for (; end < f.n && open; end++)
			open += f.p[end] == '{' ? 1u : f.p[end] == '}' ? (size_t)-1 : 0u;
		if (open)
			return jinja_fail(st->err, i + 1 == f.n ? "Single '{' encountered in format string"
			                                        : "expected '}' before end of string");
		if (!format_one(st, str_n(f.p + i + 1, end - i - 2), out))
			return false;
		i = end - 1;
	}
	return true;
}

bool py_str_format(struct jinja_call *c, struct str fmt, struct val *args, struct val *kwargs,
                   struct buf *out, struct err *err)
{
	struct fmt_state st = {.c = c, .args = args, .kwargs = kwargs, .err = err};

	return format_text(&st, fmt, out);
}

/* ---- "%s" % x */

struct percent {
	const struct val *args; /* a tuple, or the one value */
	bool tuple;
	size_t next;
	struct err *err;
};

static const struct val *percent_next(struct percent *p)
{
	const struct val *v = p->tuple ? val_at(p->args, p->next) : p->next ? NULL : p->args;

	p->next++;
	if (!v)
		jinja_fail(p->err, "not enough arguments for format string");
	return v;
}

static bool percent_star(struct percent *p, struct str f, size_t *i, int64_t *ret)
{
	const struct val *v;

	if (*i < f.n && f.p[*i] == '*') {
		v = percent_next(p);
		if (!v)
			return false;
		if (val_kind(v) != VAL_INT)
			return jinja_fail(p->err, "* wants int");
		*ret = val_get_int(v);
		(*i)++;
		return true;
	}
	digits(f, i, ret);
	return true;
}

static bool percent_value(struct percent *p, struct spec *sp, char conv, const struct val *v, struct buf *out)
{
	struct buf b = {0};
	struct str s;

	if (val_is_undef(v))
		return jinja_fail(p->err, "%s", val_undef_msg(v));
	if (strchr("sra", conv) || (conv == 'c' && val_is_str(v))) {
		if (conv == 's' || conv == 'c')
			val_print(v, &b);
		else
			conv == 'a' ? ascii_repr(v, &b) : val_repr(v, &b);
		s = buf_str(&b);
		if (sp->prec >= 0)
			s = utf8_sub(s, 0, (size_t)sp->prec);
		if (sp->align == '=')
			sp->align = '>';
		sp->fill = ' ';
		pad(sp, STR(""), s, '>', out);
		buf_free(&b);
		return true;
	}
	if (strchr("xXo", conv) && val_kind(v) == VAL_FLOAT)
		return jinja_fail(p->err, "%%%c format: an integer is required, not float", conv);
	if (!val_is_num(v) && val_kind(v) != VAL_BOOL && strchr("eEfFgG", conv))
		return jinja_fail(p->err, "must be real number, not %s", val_type_name(v));
	if (!val_is_num(v) && val_kind(v) != VAL_BOOL)
		return jinja_fail(p->err, "%%%c format: %s is required, not %s", conv,
		                  strchr("diu", conv) ? "a real number" : "an integer", val_type_name(v));
	if (strchr("eEfFgG", conv)) {
		sp->type = conv;
		return put_float(sp, val_get_float(v), v, out, p->err);
	}
	sp->type = strchr("diu", conv) ? 'd' : conv;
	if (sp->prec >= 0) {
		/* The precision of an integer is its least number of digits. */
		sp->width = sp->width > sp->prec ? sp->width : sp->prec;
		sp->fill = '0';
		sp->align = '=';
		sp->prec = -1;
	}
	return put_int(sp, val_is_whole(v) ? val_get_int(v) : (int64_t)val_get_float(v), v, out, p->err);
}

static bool percent_one(struct percent *p, struct str f, size_t *i, struct buf *out)
{
	struct spec sp = {.fill = ' ', .sign = '-', .width = -1, .prec = -1};
	const struct val *v = NULL;
	bool left = false;
	char conv;

	if (*i < f.n && f.p[*i] == '(') {
		size_t from = *i + 1;

		while (*i < f.n && f.p[*i] != ')')
			(*i)++;
		if (*i == f.n)
			return jinja_fail(p->err, "incomplete format key");
		if (!val_is_map(p->args))
			return jinja_fail(p->err, "format requires a mapping");
		v = val_gets(p->args, str_n(f.p + from, *i - from));
		if (!v)
			return jinja_fail(p->err, "'%.*s'", (int)(*i - from), f.p + from);
		(*i)++;
		p->next = 1;
	}
	for (; *i < f.n && f.p[*i] && strchr("-+ #0", f.p[*i]); (*i)++) {
		if (f.p[*i] == '-')
			left = true;
		else if (f.p[*i] == '#')
			sp.alt = true;
		else if (f.p[*i] == '0')
			sp.zero = true;
		else if (sp.sign != '+')
			sp.sign = f.p[*i];
	}
	if (!percent_star(p, f, i, &sp.width))
		return false;
	if (*i < f.n && f.p[*i] == '.') {
		(*i)++;
		sp.prec = 0;
		if (!percent_star(p, f, i, &sp.prec))
			return false;
	}
	while (*i < f.n && strchr("hlL", f.p[*i]))
		(*i)++;
	if (*i == f.n)
		return jinja_fail(p->err, "incomplete format");
	conv = f.p[*i];
	if (conv == '%') {
		buf_addc(out, '%');
		return true;
	}
	if (!conv || !strchr("diuoxXeEfFgGcrsa", conv))
		return jinja_fail(p->err, "unsupported format character '%c' (0x%x) at index %zu", conv,
		                  (unsigned char)conv, *i);
	if (!v) {
		v = percent_next(p);
		if (!v)
			return false;
	}
	if (left || sp.width < -1) {
		sp.align = '<';
		sp.width = sp.width < -1 ? -sp.width : sp.width;
		sp.zero = false;
	} else if (sp.zero) {
		sp.align = '=';
		sp.fill = '0';
	}
	return percent_value(p, &sp, conv, v, out);
}

bool py_percent(struct arena *a, struct str fmt, const struct val *args, struct buf *out, struct err *err)
{
	struct percent p = {.args = args, .tuple = val_kind(args) == VAL_TUPLE, .err = err};

	(void)a;
	for (size_t i = 0; i < fmt.n; i++) {
		if (fmt.p[i] != '%') {
			buf_addc(out, fmt.p[i]);
			continue;
		}
		i++;
		if (!percent_one(&p, fmt, &i, out))
			return false;
	}
	if (p.tuple ? p.next < val_len(args) : !p.next && !val_is_map(args) && val_kind(args) != VAL_LIST)
		return jinja_fail(err, "not all arguments converted during string formatting");
	return true;
}
