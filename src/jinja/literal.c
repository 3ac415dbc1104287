/* literal - Python literals as text to values, as ast.literal_eval reads them (and JSON's true, false, null).
 */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <stdlib.h>

struct reader {
	struct arena *a;
	struct tokens t;
	size_t i;
	unsigned depth;
	bool python; /* nothing that is not Python's */
};

static struct val *read_value(struct reader *r);

static bool skip(struct reader *r, enum tok t)
{
	if (r->t.v[r->i].type != t)
		return false;
	r->i++;
	return true;
}

/* The members after the first comma of what has no brackets. */
static bool read_more(struct reader *r, struct val *into)
{
	do {
		struct val *v = read_value(r);

		if (!v)
			return false;
		val_push(into, v);
	} while (skip(r, T_COMMA) && r->t.v[r->i].type != T_EOF);
	return true;
}

/* Members up to END; *RET_COMMA tells whether one was followed by a comma. */
static bool read_members(struct reader *r, enum tok end, struct val *into, bool *ret_comma)
{
	*ret_comma = false;
	while (!skip(r, end)) {
		struct val *v;

		if (val_len(into) && !*ret_comma)
			return false;
		v = read_value(r);
		if (!v)
			return false;
		val_push(into, v);
		*ret_comma = skip(r, T_COMMA);
	}
	return true;
}

static struct val *read_map(struct reader *r)
{
	struct val *m = val_map(r->a);
	bool comma = true;

	while (!skip(r, T_RBRACE)) {
		struct val *k, *v;

		if (!comma)
			return NULL;
		k = read_value(r);
		if (!k || !val_hashable(k) || !skip(r, T_COLON))
			return NULL;
		v = read_value(r);
		if (!v)
			return NULL;
		val_setk(m, k, v);
		comma = skip(r, T_COMMA);
	}
	return m;
}

static struct val *read_name(struct reader *r, struct str s)
{
	if (str_eqc(s, "True") || (str_eqc(s, "true") && !r->python))
		return val_bool(true);
	if (str_eqc(s, "False") || (str_eqc(s, "false") && !r->python))
		return val_bool(false);
	if (str_eqc(s, "None") || (str_eqc(s, "null") && !r->python))
		return val_null();
	if (s.n <= 2 && (s.p[0] | 32) == 'u' && s.n == 1 && r->t.v[r->i].type == T_STR)
		return val_str(r->a, r->t.v[r->i++].s);
	return NULL;
}

static struct val *read_number(struct reader *r, bool neg)
{
	struct token *t = &r->t.v[r->i++];

	if (t->type == T_INT)
		return tok_int(r->a, t, neg);
	if (t->type == T_FLOAT)
		return val_float(r->a, neg ? -t->f : t->f);
	return NULL;
}

static struct val *read_strings(struct reader *r, struct str s)
{
	struct buf b = {0};

	buf_addstr(&b, s);
	while (r->t.v[r->i].type == T_STR)
		buf_addstr(&b, r->t.v[r->i++].s);
	return buf_val(&b, r->a);
}

static struct val *read_bracketed(struct reader *r, enum tok open)
{
	struct val *v = NULL, *tuple;
	bool comma;

	if (r->depth >= JINJA_MAX_NEST)
		return NULL;
	r->depth++;
	if (open == T_LBRACE) {
		v = read_map(r);
	} else if (open == T_LBRACKET) {
		v = val_list(r->a);
		if (!read_members(r, T_RBRACKET, v, &comma))
			v = NULL;
	} else {
		tuple = val_tuple(r->a);
		if (read_members(r, T_RPAREN, tuple, &comma))
			v = val_len(tuple) == 1 && !comma ? val_at(tuple, 0) : tuple;
	}
	r->depth--;
	return v;
}

static struct val *read_value(struct reader *r)
{
	struct token *t = &r->t.v[r->i++];

	switch (t->type) {
	case T_STR: return read_strings(r, t->s);
	case T_NAME: return read_name(r, t->s);
	case T_SUB: return read_number(r, true);
	case T_ADD: return read_number(r, false);
	case T_INT:
	case T_FLOAT: r->i--; return read_number(r, false);
	case T_LBRACE:
	case T_LBRACKET:
	case T_LPAREN: return read_bracketed(r, t->type);
	default: r->i--; return NULL;
	}
}

/*
 * TEXT without its comments. False for what Python's lines forbid and the lexer does not know: a line that
 * ends within quotes, or goes on where no bracket is open.
 */
static bool one_line(struct arena *a, struct str *text)
{
	struct str s = *text;
	struct buf b = {0};
	char quote = 0;
	size_t i;
	int open = 0;

	if (!s.n || (!memchr(s.p, '#', s.n) && !memchr(s.p, '\n', s.n)))
		return true;
	for (i = 0; i < s.n; i++) {
		char ch = s.p[i];

		if (ch == '\\' && quote && i + 1 < s.n)
			buf_addc(&b, s.p[i++]);
		else if (ch == '\n' &&
		         (quote || (!open && text_strip(str_n(s.p + i, s.n - i), &STR("\n"), true, false).n)))
			break;
		else if (quote || ch == '\'' || ch == '"')
			quote = !quote ? ch : quote == ch ? 0 : quote;
		else if (ch == '#')
			while (i + 1 < s.n && s.p[i + 1] != '\n')
				i++;
		else
			open += (strchr("[{(", ch) != NULL) - (strchr("]})", ch) != NULL);
		if (ch != '#' || quote)
			buf_addc(&b, s.p[i]);
	}
	*text = buf_take(&b, a);
	buf_free(&b);
	return i == s.n;
}

static bool read_text(struct reader *r, struct str text, struct val **ret)
{
	struct syntax sx = {.newline = STR("\n")};
	struct val *v;

	if (!one_line(r->a, &text))
		return false;
	jinja_lex(r->a, str_trim(text), &sx, true, &r->t);
	v = read_value(r);
	/* "1, 2" is a tuple. */
	if (v && skip(r, T_COMMA)) {
		struct val *tuple = val_tuple(r->a);

		val_push(tuple, v);
		v = r->t.v[r->i].type == T_EOF || read_more(r, tuple) ? tuple : NULL;
	}
	if (!v || r->t.v[r->i].type != T_EOF)
		return false;
	*ret = v;
	return true;
}

bool jinja_literal_eval(struct arena *a, struct str text, struct val **ret)
{
	struct reader r = {.a = a};

	return read_text(&r, text, ret);
}

/* "1." and ".5", which Jinja2 does not know. */
static bool read_bare_float(struct arena *a, struct str s, struct val **ret)
{
	const char *z = arena_strndup(a, s.p, s.n);
	char *end;
	double d;

	if (s.n < 2 || strspn(z, "0123456789.") != s.n || strchr(z, '.') != strrchr(z, '.') ||
	    (z[0] != '.' && z[s.n - 1] != '.'))
		return false;
	d = strtod(z, &end);
	if (*end)
		return false;
	*ret = val_float(a, d);
	return true;
}

bool jinja_python_literal(struct arena *a, struct str text, struct val **ret)
{
	struct reader r = {.a = a, .python = true};

	return read_bare_float(a, str_trim(text), ret) || read_text(&r, text, ret);
}
