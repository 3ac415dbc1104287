/* lex - template text to tokens. */
#include "base/val_big.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <stdio.h>
#include <stdlib.h>

enum { LX_COMMENT, LX_BLOCK, LX_VAR, LX_LINE, LX_LINE_COMMENT, LX_NKINDS };

struct lexer {
	struct arena *a;
	struct str text; /* without the newline at the end that the template drops */
	const struct syntax *sx;
	struct tokens *out;
	size_t pos;
	bool line_start; /* the last tag swallowed its newline */
	char stack[JINJA_MAX_NEST];
	size_t depth;
};

static const char *const tok_names[] = {
        [T_EOF] = "end of template",
        [T_DATA] = "template data / text",
        [T_VAR_BEGIN] = "begin of print statement",
        [T_VAR_END] = "end of print statement",
        [T_BLOCK_BEGIN] = "begin of statement block",
        [T_BLOCK_END] = "end of statement block",
        [T_NAME] = "name",
        [T_STR] = "string",
        [T_INT] = "integer",
        [T_FLOAT] = "float",
        [T_ADD] = "+",
        [T_SUB] = "-",
        [T_DIV] = "/",
        [T_FLOORDIV] = "//",
        [T_MUL] = "*",
        [T_MOD] = "%",
        [T_POW] = "**",
        [T_TILDE] = "~",
        [T_LBRACKET] = "[",
        [T_RBRACKET] = "]",
        [T_LPAREN] = "(",
        [T_RPAREN] = ")",
        [T_LBRACE] = "{",
        [T_RBRACE] = "}",
        [T_EQ] = "==",
        [T_NE] = "!=",
        [T_GT] = ">",
        [T_GE] = ">=",
        [T_LT] = "<",
        [T_LE] = "<=",
        [T_ASSIGN] = "=",
        [T_DOT] = ".",
        [T_COLON] = ":",
        [T_PIPE] = "|",
        [T_COMMA] = ",",
        [T_SEMICOLON] = ";",
        [T_BAD] = "text that is no token",
};

const char *tok_name(enum tok t)
{
	return tok_names[t];
}

static struct token *lex_push(struct lexer *lx, enum tok type, size_t off, struct str s)
{
	struct tokens *ts = lx->out;

	ts->v = arena_grow(lx->a, ts->v, ts->n, &ts->cap, sizeof(*ts->v));
	ts->v[ts->n] = (struct token){.type = type, .off = (uint32_t)off, .s = s};
	return &ts->v[ts->n++];
}

static bool lex_fail(struct lexer *lx, size_t off, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Returns false. */
static bool lex_fail(struct lexer *lx, size_t off, const char *fmt, ...)
{
	char msg[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	lex_push(lx, T_BAD, off, str_dup(lx->a, str_c(msg)));
	return false;
}

static bool at_str(const struct lexer *lx, size_t pos, struct str s)
{
	return s.n && pos + s.n <= lx->text.n && !memcmp(lx->text.p + pos, s.p, s.n);
}

/* Whether Python counts what is at POS as white space, *RET_LEN bytes of it. */
static bool space_at(struct str t, size_t pos, size_t *ret_len)
{
	unsigned char c = pos < t.n ? (unsigned char)t.p[pos] : 'x';
	uint32_t cp = c;

	*ret_len = c < 0x80 ? 1 : str_utf8(str_n(t.p + pos, t.n - pos), &cp);
	return cp_space(cp);
}

/* The bytes of a name from POS on: letters and digits of any script, and what combines with them. *RET_OK:
 * whether Python takes it as an identifier. */
static size_t name_at(struct str t, size_t pos, bool *ret_ok)
{
	size_t from = pos;

	*ret_ok = true;
	while (pos < t.n) {
		unsigned char c = (unsigned char)t.p[pos];
		uint32_t cp = c;
		size_t n = c < 0x80 ? 1 : str_utf8(str_n(t.p + pos, t.n - pos), &cp);
		bool mark = cp == 0xb7 || cp == 0x387 || (cp >= 0x300 && cp <= 0x36f);

		if (c != '_' && !mark && !cp_alpha(cp) && !cp_digit(cp))
			break;
		if (cp >= 0x80 && ((pos == from && (mark || cp_digit(cp))) || (cp <= 0xb9 && cp_digit(cp))))
			*ret_ok = false;
		pos += n;
	}
	return pos - from;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t skip_space(const struct lexer *lx, size_t pos)
{
	size_t n;

	while (space_at(lx->text, pos, &n))
		pos += n;
	return pos;
}

/* The end of the text FROM..TO without the white space there. */
static size_t strip_end(const struct lexer *lx, size_t from, size_t to)
{
	return from + text_strip(str_n(lx->text.p + from, to - from), NULL, false, true).n;
}

/* Past one line end at POS. */
static size_t skip_newline(const struct lexer *lx, size_t pos)
{
	if (pos < lx->text.n && lx->text.p[pos] == '\r')
		pos++;
	else if (pos < lx->text.n && lx->text.p[pos] == '\n')
		return pos + 1;
	else
		return pos;
	return pos < lx->text.n && lx->text.p[pos] == '\n' ? pos + 1 : pos;
}

/* S with every line end written as the environment wants it. */
static struct str normalize(struct lexer *lx, struct str s)
{
	struct buf b = {0};
	struct str out;

	if (!memchr(s.p ? s.p : "", '\r', s.n) && str_eqc(lx->sx->newline, "\n"))
		return s;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\r' && s.p[i] != '\n') {
			buf_addc(&b, s.p[i]);
			continue;
		}
		if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
			i++;
		buf_addstr(&b, lx->sx->newline);
	}
	out = buf_take(&b, lx->a);
	buf_free(&b);
	return out;
}

/* Whether POS is the first non-blank of a line; *RET_BOL is where that line begins. */
static bool at_line_start(const struct lexer *lx, size_t pos, size_t *ret_bol)
{
	size_t i = pos;

	while (i > 0 && (lx->text.p[i - 1] == ' ' || lx->text.p[i - 1] == '\t' || lx->text.p[i - 1] == '\v'))
		i--;
	*ret_bol = i;
	return i == 0 || lx->text.p[i - 1] == '\n' || lx->text.p[i - 1] == '\r';
}

/* Which tag begins at POS (the longest delimiter wins), or -1. */
static int tag_at(const struct lexer *lx, size_t pos, size_t *ret_len)
{
	const struct syntax *sx = lx->sx;
	const struct str starts[] = {[LX_COMMENT] = sx->comment_start,
	                             [LX_BLOCK] = sx->block_start,
	                             [LX_VAR] = sx->var_start,
	                             [LX_LINE] = sx->line_statement,
	                             [LX_LINE_COMMENT] = sx->line_comment};
	int best = -1;
	size_t bol;

	*ret_len = 0;
	for (int i = 0; i < LX_NKINDS; i++) {
		if (starts[i].n > *ret_len && at_str(lx, pos, starts[i]) &&
		    (i != LX_LINE || at_line_start(lx, pos, &bol))) {
			best = i;
			*ret_len = starts[i].n;
		}
	}
	return best;
}

static size_t find_tag(const struct lexer *lx, size_t pos, int *ret_kind, size_t *ret_len)
{
	const struct syntax *sx = lx->sx;
	bool lines = sx->line_statement.n || sx->line_comment.n;
	char c1 = sx->block_start.p[0], c2 = sx->var_start.p[0], c3 = sx->comment_start.p[0];

	for (; pos < lx->text.n; pos++) {
		char c = lx->text.p[pos];

		if (!lines && c != c1 && c != c2 && c != c3)
			continue;
		*ret_kind = tag_at(lx, pos, ret_len);
		if (*ret_kind >= 0)
			return pos;
	}
	*ret_kind = -1;
	return pos;
}

/* The end of the data before a tag at POS, after what "-" or lstrip_blocks remove. */
static size_t data_end(const struct lexer *lx, size_t from, size_t pos, char sign, bool strips)
{
	size_t end = pos, i;

	if (sign == '-')
		return strip_end(lx, from, pos);
	if (!strips || sign == '+' || !lx->sx->lstrip_blocks)
		return end;
	for (i = pos; i > from && lx->text.p[i - 1] != '\n' && lx->text.p[i - 1] != '\r'; i--)
		;
	if (strip_end(lx, i, pos) > i)
		return end;
	if (i == from && !(lx->line_start || from == 0))
		return end;
	return i;
}

static void emit_data(struct lexer *lx, size_t from, size_t to)
{
	if (to > from)
		lex_push(lx, T_DATA, from, normalize(lx, str_n(lx->text.p + from, to - from)));
}

/*
 * Whether a tag end (END, perhaps with a sign before it) is at POS; *RET_NEXT is where the text goes on.
 * PLUS: a
 * "+" is allowed and keeps the newline that TRIM removes.
 */
static bool end_at(struct lexer *lx, size_t pos, struct str end, bool plus, bool trim, size_t *ret_next)
{
	size_t n = lx->text.n;

	if (pos < n && lx->text.p[pos] == '-' && at_str(lx, pos + 1, end)) {
		*ret_next = skip_space(lx, pos + 1 + end.n);
		lx->line_start = *ret_next > 0 && lx->text.p[*ret_next - 1] == '\n';
		return true;
	}
	if (plus && pos < n && lx->text.p[pos] == '+' && at_str(lx, pos + 1, end)) {
		*ret_next = pos + 1 + end.n;
		lx->line_start = false;
		return true;
	}
	if (!at_str(lx, pos, end))
		return false;
	*ret_next = trim ? skip_newline(lx, pos + end.n) : pos + end.n;
	lx->line_start = *ret_next > pos + end.n;
	return true;
}

static char sign_at(const struct lexer *lx, size_t pos)
{
	char c = pos < lx->text.n ? lx->text.p[pos] : 0;

	return c == '-' || c == '+' ? c : 0;
}

static bool word_at(const struct lexer *lx, size_t *pos, const char *word)
{
	size_t p = skip_space(lx, *pos);

	if (!at_str(lx, p, str_c(word)))
		return false;
	*pos = skip_space(lx, p + strlen(word));
	return true;
}

/* {% raw %} … {% endraw %} at POS. *RET tells whether it was one. */
static bool lex_raw(struct lexer *lx, size_t from, size_t pos, bool *ret)
{
	const struct syntax *sx = lx->sx;
	size_t p = pos + sx->block_start.n, start, next;
	char sign = sign_at(lx, p);

	*ret = false;
	if (sign)
		p++;
	if (!word_at(lx, &p, "raw") || !end_at(lx, p, sx->block_end, false, false, &next))
		return true;
	*ret = true;
	emit_data(lx, from, data_end(lx, from, pos, sign, true));
	lx->line_start = false;
	start = next;
	for (p = start; p < lx->text.n; p++) {
		size_t q = p + sx->block_start.n;

		if (!at_str(lx, p, sx->block_start))
			continue;
		sign = sign_at(lx, q);
		if (sign)
			q++;
		if (!word_at(lx, &q, "endraw"))
			continue;
		size_t end = data_end(lx, start, p, sign, true);

		if (!end_at(lx, q, sx->block_end, true, sx->trim_blocks, &next))
			continue;
		emit_data(lx, start, end);
		lx->pos = next;
		return true;
	}
	lx->pos = lx->text.n;
	return start >= lx->text.n || lex_fail(lx, pos, "Missing end of raw directive");
}

static bool lex_comment(struct lexer *lx, size_t from, size_t pos, size_t len)
{
	size_t p = pos + len, next;
	char sign = sign_at(lx, p);
	bool last = p + (sign ? 1 : 0) >= lx->text.n; /* Jinja2 sees no fault in a text that ends here */

	emit_data(lx, from, data_end(lx, from, pos, sign, true));
	for (; p < lx->text.n; p++) {
		if (end_at(lx, p, lx->sx->comment_end, true, lx->sx->trim_blocks, &next)) {
			lx->pos = next;
			return true;
		}
	}
	lx->pos = lx->text.n;
	return last || lex_fail(lx, pos, "Missing end of comment tag");
}

static unsigned digit_value(char c)
{
	return is_digit(c)                          ? (unsigned)(c - '0')
	       : (c | 32) >= 'a' && (c | 32) <= 'z' ? (unsigned)((c | 32) - 'a' + 10)
	                                            : 99;
}

/* The digits of an integer in BASE at P, underscores between them allowed. */
static size_t scan_digits(struct str t, size_t p, unsigned base, uint64_t *val, bool *over)
{
	for (size_t n = 0; p < t.n; p++, n++) {
		char c = t.p[p];
		unsigned d = digit_value(c);

		if (c == '_' && (n || base != 10) && p + 1 < t.n && digit_value(t.p[p + 1]) < base)
			continue;
		if (d >= base)
			break;
		if (*val > ((uint64_t)INT64_MAX - d) / base)
			*over = true;
		*val = *val * base + d;
	}
	return p;
}

static size_t scan_dec(struct str t, size_t p)
{
	uint64_t v = 0;
	bool over = false;

	return scan_digits(t, p, 10, &v, &over);
}

/* The end of a float at P, or P when there is none. */
static size_t scan_float(struct str t, size_t p)
{
	size_t e = scan_dec(t, p), q;

	if (e == p)
		return p;
	q = e;
	if (q + 1 < t.n && t.p[q] == '.' && is_digit(t.p[q + 1]))
		q = scan_dec(t, q + 1);
	if (q < t.n && (t.p[q] | 32) == 'e') {
		size_t x = q + 1;

		if (x < t.n && (t.p[x] == '+' || t.p[x] == '-'))
			x++;
		if (x < t.n && is_digit(t.p[x]))
			return scan_dec(t, x);
	}
	return q > e ? q : p;
}

/* A decimal number that begins with 0 is nothing else. */
static size_t scan_zeros(struct str t, size_t p)
{
	size_t e = p + 1;

	while (e < t.n && (t.p[e] == '0' || (t.p[e] == '_' && e + 1 < t.n && t.p[e + 1] == '0')))
		e += t.p[e] == '_' ? 2 : 1;
	return e;
}

struct val *tok_int(struct arena *a, const struct token *t, bool neg)
{
	struct str s = t->s;
	unsigned base = 10;

	if (!t->big)
		return val_int(a, neg ? -t->i : t->i);
	if (s.n > 2 && s.p[0] == '0' && strchr("bBoOxX", s.p[1])) {
		base = (s.p[1] | 32) == 'b' ? 2 : (s.p[1] | 32) == 'o' ? 8 : 16;
		s = str_from(s, 2);
	}
	return val_big_parse(a, s, base, neg);
}

static bool lex_number(struct lexer *lx)
{
	struct str t = lx->text;
	size_t p = lx->pos, e;
	bool after_dot = p > 0 && t.p[p - 1] == '.', over = false;
	uint64_t v = 0;
	struct token *k;

	e = after_dot ? p : scan_float(t, p);
	if (e > p) {
		char tmp[64];
		size_t n = 0;

		for (size_t i = p; i < e && n + 1 < sizeof(tmp); i++)
			if (t.p[i] != '_')
				tmp[n++] = t.p[i];
		tmp[n] = 0;
		k = lex_push(lx, T_FLOAT, p, str_n(t.p + p, e - p));
		k->f = strtod(tmp, NULL);
		lx->pos = e;
		return true;
	}
	e = p;
	if (t.p[p] == '0' && p + 2 < t.n && strchr("bBoOxX", t.p[p + 1])) {
		unsigned base = (t.p[p + 1] | 32) == 'b' ? 2 : (t.p[p + 1] | 32) == 'o' ? 8 : 16;

		e = scan_digits(t, p + 2, base, &v, &over);
		if (e == p + 2)
			e = p;
	}
	if (e == p && t.p[p] == '0')
		e = scan_zeros(t, p);
	else if (e == p)
		e = scan_digits(t, p, 10, &v, &over);
	if (over && (e - p) * 4 > VAL_BIG_BITS)
		return lex_fail(lx, p, "an integer of %zu digits is too large", e - p);
	k = lex_push(lx, T_INT, p, str_n(t.p + p, e - p));
	k->i = (int64_t)v;
	k->big = over;
	lx->pos = e;
	return true;
}

/* The hex digits of the escape sequence ROW at P as a code point; what Python says otherwise. */
static const char *hex_escape(struct str s, size_t p, char kind, size_t *ret_n, uint32_t *ret)
{
	static const struct {
		char kind;
		size_t digits;
		const char *fault;
	} rows[] = {{'x', 2, "truncated \\xXX escape"},
	            {'u', 4, "truncated \\uXXXX escape"},
	            {'U', 8, "truncated \\UXXXXXXXX escape"}};
	size_t row = kind == 'x' ? 0 : kind == 'u' ? 1 : 2;

	*ret = 0;
	*ret_n = rows[row].digits;
	for (size_t i = p; i < p + *ret_n; i++) {
		unsigned d = i < s.n ? digit_value(s.p[i]) : 99;

		if (d >= 16)
			return rows[row].fault;
		*ret = *ret << 4 | d;
	}
	return *ret > 0x10ffff ? "illegal Unicode character" : NULL;
}

/* A backslash before a character that is not ASCII: Jinja2 has written that as an escape sequence by then. */
static void foreign_escape(struct str s, size_t *i, struct buf *b)
{
	uint32_t cp;
	size_t n = str_utf8(str_n(s.p + *i + 1, s.n - *i - 1), &cp);

	buf_printf(b, cp > 0xffff ? "\\U%08x" : cp > 0xff ? "\\u%04x" : "\\x%02x", (unsigned)cp);
	*i += n;
}

/* One escape sequence; *I is at the backslash and ends on the last character used. What is wrong with it. */
static const char *unescape_one(struct str s, size_t *i, struct buf *b)
{
	static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
	char c = s.p[*i + 1];
	const char *hit = strchr(from, c), *fault;
	uint32_t cp = 0;
	size_t n;

	if (c == 'x' || c == 'u' || c == 'U') {
		fault = hex_escape(s, *i + 2, c, &n, &cp);
		if (fault)
			return fault;
		buf_utf8(b, cp);
		*i += 1 + n;
	} else if (c == 'N') {
		return *i + 2 < s.n && s.p[*i + 2] == '{' ? "unknown Unicode character name"
		                                          : "malformed \\N character escape";
	} else if ((unsigned char)c >= 0x80) {
		foreign_escape(s, i, b);
	} else if (hit && c) {
		buf_addc(b, to[hit - from]);
		*i += 1;
	} else if (c >= '0' && c <= '7') {
		for (n = 1; n <= 3 && *i + n < s.n && s.p[*i + n] >= '0' && s.p[*i + n] <= '7'; n++)
			cp = cp * 8 + (uint32_t)(s.p[*i + n] - '0');
		buf_utf8(b, cp);
		*i += n - 1;
	} else if (c == '\n') {
		*i += 1;
	} else {
		buf_addc(b, '\\');
	}
	return NULL;
}

/* No token begins here. Python counts characters, and a line end as one. */
static bool fail_char(struct lexer *lx)
{
	size_t p = lx->pos, at = utf8_len(str_n(lx->text.p, p));
	struct buf b = {0};
	uint32_t cp;
	struct str c = str_n(lx->text.p + p, str_utf8(str_n(lx->text.p + p, lx->text.n - p), &cp));

	for (size_t i = 0; i + 1 < p; i++)
		at -= lx->text.p[i] == '\r' && lx->text.p[i + 1] == '\n';
	val_repr(val_str(lx->a, c), &b);
	lex_fail(lx, p, "unexpected char %s at %zu", b.p, at);
	buf_free(&b);
	return false;
}

static bool lex_string(struct lexer *lx)
{
	struct str t = lx->text;
	size_t from = lx->pos, e = from + 1;
	char q = t.p[from];
	bool escaped = false;
	struct str s;
	struct buf b = {0};

	for (; e < t.n && t.p[e] != q; e++) {
		if (t.p[e] == '\\') {
			escaped = true;
			e++;
		}
	}
	if (e >= t.n)
		return fail_char(lx);
	s = normalize(lx, str_n(t.p + from + 1, e - from - 1));
	lx->pos = e + 1;
	if (!escaped || lx->sx->raw_backslash) {
		lex_push(lx, T_STR, from, s);
		return true;
	}
	for (size_t i = 0; i < s.n; i++) {
		const char *fault = NULL;

		if (s.p[i] != '\\')
			buf_addc(&b, s.p[i]);
		else
			fault = unescape_one(s, &i, &b);
		if (fault) {
			buf_free(&b);
			return lex_fail(lx, from, "%s", fault);
		}
	}
	lex_push(lx, T_STR, from, buf_take(&b, lx->a));
	buf_free(&b);
	return true;
}

static enum tok operator_at(struct str t, size_t p, size_t *len)
{
	static const struct {
		char s[3];
		enum tok t;
	} ops[] = {{"//", T_FLOORDIV}, {"**", T_POW},   {"==", T_EQ},      {"!=", T_NE},      {">=", T_GE},
	           {"<=", T_LE},       {"+", T_ADD},    {"-", T_SUB},      {"/", T_DIV},      {"*", T_MUL},
	           {"%", T_MOD},       {"~", T_TILDE},  {"[", T_LBRACKET}, {"]", T_RBRACKET}, {"(", T_LPAREN},
	           {")", T_RPAREN},    {"{", T_LBRACE}, {"}", T_RBRACE},   {">", T_GT},       {"<", T_LT},
	           {"=", T_ASSIGN},    {".", T_DOT},    {":", T_COLON},    {"|", T_PIPE},     {",", T_COMMA},
	           {";", T_SEMICOLON}};

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		*len = strlen(ops[i].s);
		if (p + *len <= t.n && !memcmp(t.p + p, ops[i].s, *len))
			return ops[i].t;
	}
	return T_EOF;
}

static bool lex_operator(struct lexer *lx)
{
	size_t len, p = lx->pos;
	enum tok t = operator_at(lx->text, p, &len);
	char c = lx->text.p[p];

	if (t == T_EOF)
		return fail_char(lx);
	if (t == T_LPAREN || t == T_LBRACKET || t == T_LBRACE) {
		if (lx->depth == JINJA_MAX_NEST)
			return lex_fail(lx, p, "too many nested parentheses");
		lx->stack[lx->depth++] = t == T_LPAREN ? ')' : t == T_LBRACKET ? ']' : '}';
	} else if (t == T_RPAREN || t == T_RBRACKET || t == T_RBRACE) {
		if (!lx->depth)
			return lex_fail(lx, p, "unexpected '%c'", c);
		if (lx->stack[--lx->depth] != c)
			return lex_fail(lx, p, "unexpected '%c', expected '%c'", c, lx->stack[lx->depth]);
	}
	lex_push(lx, t, p, str_n(lx->text.p + p, len));
	lx->pos = p + len;
	return true;
}

/* Whether the line statement ends at POS; *RET_NEXT is the start of the next line that is not blank. */
static bool line_ends(struct lexer *lx, size_t pos, size_t *ret_next)
{
	size_t end;

	while (pos < lx->text.n && (lx->text.p[pos] == ' ' || lx->text.p[pos] == '\t'))
		pos++;
	if (pos < lx->text.n && at_str(lx, pos, lx->sx->line_comment))
		while (pos < lx->text.n && lx->text.p[pos] != '\n' && lx->text.p[pos] != '\r')
			pos++;
	if (pos < lx->text.n && lx->text.p[pos] != '\n' && lx->text.p[pos] != '\r')
		return false;
	end = skip_space(lx, pos);
	if (end < lx->text.n)
		while (lx->text.p[end - 1] != '\n' && lx->text.p[end - 1] != '\r')
			end--;
	*ret_next = end;
	lx->line_start = true;
	return true;
}

/* The inside of a tag up to its end; END_TYPE is T_EOF for a bare expression. */
static bool lex_inside(struct lexer *lx, struct str end, enum tok end_type, bool line)
{
	size_t start = lx->pos, next, n;

	lx->depth = 0;
	while (lx->pos < lx->text.n || line) {
		char c = lx->pos < lx->text.n ? lx->text.p[lx->pos] : 0;
		bool ok;

		if (!lx->depth && end_type != T_EOF &&
		    (line ? line_ends(lx, lx->pos, &next)
		          : end_at(lx, lx->pos, end, end_type == T_BLOCK_END,
		                   end_type == T_BLOCK_END && lx->sx->trim_blocks, &next))) {
			lex_push(lx, end_type, lx->pos, STR(""));
			lx->pos = next;
			return true;
		}
		if (lx->pos >= lx->text.n)
			break;
		if (space_at(lx->text, lx->pos, &n)) {
			lx->pos += n;
			continue;
		}
		n = is_digit(c) ? 0 : name_at(lx->text, lx->pos, &ok);
		if (n) {
			if (!ok)
				return lex_fail(lx, lx->pos, "Invalid character in identifier");
			lex_push(lx, T_NAME, lx->pos, str_n(lx->text.p + lx->pos, n));
			lx->pos += n;
			continue;
		}
		ok = is_digit(c) ? lex_number(lx) : c == '\'' || c == '"' ? lex_string(lx) : lex_operator(lx);
		if (!ok)
			return false;
	}
	if (end_type == T_EOF)
		return true;
	lex_push(lx, T_EOF, start, STR(""));
	return true;
}

static void lex_line_comment(struct lexer *lx, size_t from, size_t pos, size_t len)
{
	size_t p = pos + len, end = pos, bol;

	if (at_line_start(lx, pos, &bol))
		end = bol > from ? bol : from;
	else
		while (end > from && (lx->text.p[end - 1] == ' ' || lx->text.p[end - 1] == '\t'))
			end--;
	emit_data(lx, from, end);
	while (p < lx->text.n && lx->text.p[p] != '\n' && lx->text.p[p] != '\r')
		p++;
	lx->pos = p;
	lx->line_start = false;
}

static bool lex_tag(struct lexer *lx, size_t from, size_t pos, int kind, size_t len)
{
	const struct syntax *sx = lx->sx;
	bool raw = false;
	char sign;
	size_t bol;

	switch (kind) {
	case LX_COMMENT: return lex_comment(lx, from, pos, len);
	case LX_LINE_COMMENT: lex_line_comment(lx, from, pos, len); return true;
	case LX_LINE:
		at_line_start(lx, pos, &bol);
		emit_data(lx, from, bol > from ? bol : from);
		lex_push(lx, T_BLOCK_BEGIN, pos, STR(""));
		lx->pos = pos + len;
		lx->pos += sign_at(lx, lx->pos) ? 1 : 0;
		return lex_inside(lx, STR(""), T_BLOCK_END, true);
	case LX_BLOCK:
		if (!lex_raw(lx, from, pos, &raw))
			return false;
		if (raw)
			return true;
		break;
	default: break;
	}
	sign = sign_at(lx, pos + len);
	emit_data(lx, from, data_end(lx, from, pos, sign, kind == LX_BLOCK));
	lex_push(lx, kind == LX_BLOCK ? T_BLOCK_BEGIN : T_VAR_BEGIN, pos, STR(""));
	lx->pos = pos + len + (sign ? 1 : 0);
	return lex_inside(lx, kind == LX_BLOCK ? sx->block_end : sx->var_end,
	                  kind == LX_BLOCK ? T_BLOCK_END : T_VAR_END, false);
}

void jinja_lex(struct arena *a, struct str text, const struct syntax *sx, bool expr, struct tokens *ret)
{
	struct syntax local = *sx;
	struct lexer lx = {.a = a, .text = text, .sx = &local, .out = ret};

	*ret = (struct tokens){0};
	if (expr) {
		lex_inside(&lx, STR(""), T_EOF, false);
		lex_push(&lx, T_EOF, text.n, STR(""));
		return;
	}
	if (!sx->keep_trailing_newline && lx.text.n) {
		if (lx.text.p[lx.text.n - 1] == '\n')
			lx.text.n--;
		if (lx.text.n < text.n ? lx.text.n && lx.text.p[lx.text.n - 1] == '\r'
		                       : lx.text.p[lx.text.n - 1] == '\r')
			lx.text.n--;
	}
	while (lx.pos < lx.text.n) {
		int kind;
		size_t len, from = lx.pos, pos = find_tag(&lx, from, &kind, &len);

		/* Backslashes stay as they are only between {{ and }}, as Ansible does it. */
		local.raw_backslash = sx->raw_backslash && kind == LX_VAR;
		if (kind < 0) {
			emit_data(&lx, from, pos);
			break;
		}
		if (!lex_tag(&lx, from, pos, kind, len))
			break;
	}
	lex_push(&lx, T_EOF, lx.text.n, STR(""));
}
