/* jmes_parse - JMESPath's text to its tree, by the binding powers of its operators. */
#include "base/json.h"
#include "jinja/jinja.h"
#include "jinja/jmes.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <ctype.h>

enum word {
	W_END,
	W_NAME,
	W_QUOTED,
	W_LITERAL,
	W_NUMBER,
	W_COLON,
	W_COMMA,
	W_RBRACKET,
	W_RPAREN,
	W_RBRACE,
	W_CURRENT,
	W_EXPREF,
	W_PIPE,
	W_OR,
	W_AND,
	W_EQ,
	W_NE,
	W_LT,
	W_LE,
	W_GT,
	W_GE,
	W_FLATTEN,
	W_STAR,
	W_FILTER,
	W_DOT,
	W_NOT,
	W_LBRACE,
	W_LBRACKET,
	W_LPAREN,
};

/* How strongly each binds what stands before it. */
static const int power[] = {
        [W_PIPE] = 1, [W_OR] = 2,   [W_AND] = 3,     [W_EQ] = 5,        [W_NE] = 5,      [W_LT] = 5,
        [W_LE] = 5,   [W_GT] = 5,   [W_GE] = 5,      [W_FLATTEN] = 9,   [W_STAR] = 20,   [W_FILTER] = 21,
        [W_DOT] = 40, [W_NOT] = 45, [W_LBRACE] = 50, [W_LBRACKET] = 55, [W_LPAREN] = 60,
};

enum { PROJECTION_STOP = 10, DEPTH_MAX = 100, LENGTH_MAX = 8192 };

struct query {
	struct arena *a;
	struct str text;
	size_t at;     /* past the token */
	size_t tok_at; /* where it begins */
	enum word tok; /* the one looked at */
	struct str name;
	struct val *value;
	int64_t number;
	unsigned depth;
	struct err *err;
};

static bool fail(struct query *p, const char *what)
{
	if (!err_is(p->err))
		jinja_fail(p->err, "JMESPathError in json_query filter plugin: %s at column %zu of '%.*s'",
		           what, p->tok_at, STR_FMT(p->text));
	return false;
}

/* ---- words ---- */

static const struct {
	const char *text;
	enum word tok;
} signs[] = {
        {"[?", W_FILTER}, {"[]", W_FLATTEN}, {"||", W_OR},      {"&&", W_AND},     {"==", W_EQ},
        {"!=", W_NE},     {"<=", W_LE},      {">=", W_GE},      {"<", W_LT},       {">", W_GT},
        {"!", W_NOT},     {"|", W_PIPE},     {"&", W_EXPREF},   {".", W_DOT},      {"*", W_STAR},
        {",", W_COMMA},   {":", W_COLON},    {"@", W_CURRENT},  {"(", W_LPAREN},   {")", W_RPAREN},
        {"{", W_LBRACE},  {"}", W_RBRACE},   {"[", W_LBRACKET}, {"]", W_RBRACKET},
};

/* The text up to QUOTE with \QUOTE as QUOTE; past it. */
static bool delimited(struct query *p, char quote, bool keep, struct str *ret)
{
	struct buf b = {0};
	const struct str t = p->text;
	size_t i = p->at + 1;
	while (i < t.n && t.p[i] != quote) {
		if (t.p[i] == '\\' && i + 1 < t.n && (keep || t.p[i + 1] == quote)) {
			if (keep)
				buf_addc(&b, '\\');
			i++;
		}
		buf_addc(&b, t.p[i++]);
	}
	*ret = buf_take(&b, p->a);
	buf_free(&b);
	p->at = i + 1;
	return i < t.n || fail(p, "unclosed delimiter");
}

static bool literal(struct query *p)
{
	struct str s;
	struct err e = {0};
	if (!delimited(p, '`', false, &s))
		return false;
	s = str_trim(s);
	/* Once, quotes were not needed: what is no JSON is a string. */
	if (!json_parse(p->a, s, 0, &p->value, &e))
		p->value = val_str(p->a, s);
	err_clear(&e);
	p->tok = W_LITERAL;
	return true;
}

static bool quoted(struct query *p)
{
	struct str s;
	struct val *v;
	struct err e = {0};
	if (!delimited(p, '"', true, &s))
		return false;
	if (!json_parse(p->a, str_c(arena_printf(p->a, "\"%.*s\"", STR_FMT(s))), 0, &v, &e)) {
		err_clear(&e);
		return fail(p, "invalid quoted identifier");
	}
	p->name = val_get_str(v);
	p->tok = W_QUOTED;
	return true;
}

static void number(struct query *p)
{
	size_t from = p->at++;
	while (p->at < p->text.n && isdigit((unsigned char)p->text.p[p->at]))
		p->at++;
	p->number = 0;
	str_int(str_n(p->text.p + from, p->at - from), &p->number);
	p->tok = W_NUMBER;
}

static bool next(struct query *p)
{
	const struct str t = p->text;
	while (p->at < t.n && strchr(" \t\r\n", t.p[p->at]))
		p->at++;
	p->tok_at = p->at;
	p->tok = W_END;
	if (p->at >= t.n)
		return true;
	char c = t.p[p->at];
	if (isalpha((unsigned char)c) || c == '_') {
		while (p->at < t.n && (isalnum((unsigned char)t.p[p->at]) || t.p[p->at] == '_'))
			p->at++;
		p->name = str_n(t.p + p->tok_at, p->at - p->tok_at);
		p->tok = W_NAME;
		return true;
	}
	if (isdigit((unsigned char)c) ||
	    (c == '-' && p->at + 1 < t.n && isdigit((unsigned char)t.p[p->at + 1])))
		return number(p), true;
	if (c == '`')
		return literal(p);
	if (c == '"')
		return quoted(p);
	if (c == '\'') {
		struct str s;
		p->tok = W_LITERAL;
		if (!delimited(p, '\'', false, &s))
			return false;
		p->value = val_str(p->a, s);
		return true;
	}
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
		if (str_starts(str_n(t.p + p->at, t.n - p->at), signs[i].text)) {
			p->at += strlen(signs[i].text);
			p->tok = signs[i].tok;
			return true;
		}
	return fail(p, c == '=' ? "'=' is no operator ('==' is)" : "unexpected character");
}

/* ---- the tree ---- */

static struct jmes *node(struct query *p, enum jmes_kind kind, struct jmes *left, struct jmes *right)
{
	struct jmes *x = ARENA_NEW(p->a, struct jmes);
	x->kind = kind;
	x->left = left;
	x->right = right;
	return x;
}

static bool expr(struct query *p, int bp, struct jmes **ret);

static bool expect(struct query *p, enum word t)
{
	return p->tok == t ? next(p)
	                   : fail(p, p->tok == W_END ? "the expression ends too soon" : "unexpected token");
}

static void add_arg(struct query *p, struct jmes *x, struct jmes *arg)
{
	struct jmes **v = arena_array(p->a, x->n + 1, sizeof(struct jmes *));
	if (x->n)
		memcpy(v, x->args, x->n * sizeof(struct jmes *));
	v[x->n++] = arg;
	x->args = v;
}

/* What stands after "[" or "(": expressions up to END. */
static bool list_of(struct query *p, enum word end, struct jmes *x)
{
	struct jmes *one;
	while (p->tok != end) {
		if (!expr(p, 0, &one))
			return false;
		add_arg(p, x, one);
		if (p->tok != W_COMMA)
			break;
		if (!next(p))
			return false;
		if (p->tok == end)
			return fail(p, "unexpected token");
	}
	return expect(p, end);
}

static bool hash_of(struct query *p, struct jmes **ret)
{
	struct jmes *x = *ret = node(p, JM_HASH, NULL, NULL), *one;
	x->names = val_list(p->a);
	do {
		if (x->n && !next(p))
			return false;
		if (p->tok != W_NAME && p->tok != W_QUOTED)
			return fail(p, "a name is expected");
		val_push(x->names, val_str(p->a, p->name));
		if (!next(p) || !expect(p, W_COLON) || !expr(p, 0, &one))
			return false;
		add_arg(p, x, one);
	} while (p->tok == W_COMMA);
	return expect(p, W_RBRACE);
}

static bool dot_right(struct query *p, int bp, struct jmes **ret)
{
	if (p->tok == W_NAME || p->tok == W_QUOTED || p->tok == W_STAR)
		return expr(p, bp, ret);
	if (p->tok == W_LBRACKET) {
		*ret = node(p, JM_LIST, NULL, NULL);
		return next(p) && list_of(p, W_RBRACKET, *ret);
	}
	if (p->tok == W_LBRACE)
		return next(p) && hash_of(p, ret);
	return fail(p, "unexpected token after '.'");
}

/* What is done with each item of a projection. */
static bool each_right(struct query *p, int bp, struct jmes **ret)
{
	if (power[p->tok] < PROJECTION_STOP) {
		*ret = node(p, JM_CURRENT, NULL, NULL);
		return true;
	}
	if (p->tok == W_LBRACKET || p->tok == W_FILTER)
		return expr(p, bp, ret);
	if (p->tok == W_DOT)
		return next(p) && dot_right(p, bp, ret);
	return fail(p, "unexpected token");
}

static bool project(struct query *p, enum jmes_kind kind, int bp, struct jmes *left, struct jmes **ret)
{
	struct jmes *right;
	if (!each_right(p, bp, &right))
		return false;
	*ret = node(p, kind, left, right);
	return true;
}

/* 3] or 1:2:3], past "[". */
static bool index_of(struct query *p, struct jmes *left, struct jmes **ret)
{
	struct jmes *x = node(p, JM_INDEX, NULL, NULL);
	int64_t part[3] = {0, 0, 1};
	bool has[3] = {false, false, false};
	size_t n = 0;
	while (p->tok == W_NUMBER || p->tok == W_COLON) {
		if (p->tok == W_COLON && ++n > 2)
			return fail(p, "too many colons in a slice");
		if (p->tok == W_NUMBER) {
			if (has[n])
				return fail(p, "unexpected token");
			has[n] = true;
			part[n] = p->number;
		}
		if (!next(p))
			return false;
	}
	if (!expect(p, W_RBRACKET))
		return false;
	x->from = part[0];
	x->to = part[1];
	x->step = part[2];
	x->has_from = has[0];
	x->has_to = has[1];
	*ret = node(p, JM_CHAIN, left, x);
	if (!n)
		return true;
	if (!x->step)
		return fail(p, "a slice's step cannot be 0");
	x->kind = JM_SLICE;
	return project(p, JM_PROJECT, power[W_STAR], *ret, ret);
}

/* Past "[", behind LEFT. */
static bool bracket(struct query *p, struct jmes *left, struct jmes **ret)
{
	if (p->tok == W_NUMBER || p->tok == W_COLON)
		return index_of(p, left, ret);
	return expect(p, W_STAR) && expect(p, W_RBRACKET) && project(p, JM_PROJECT, power[W_STAR], left, ret);
}

static bool filter(struct query *p, struct jmes *left, struct jmes **ret)
{
	struct jmes *cond;
	if (!expr(p, 0, &cond) || !expect(p, W_RBRACKET))
		return false;
	if (p->tok == W_FLATTEN)
		*ret = node(p, JM_FILTER, left, node(p, JM_CURRENT, NULL, NULL));
	else if (!project(p, JM_FILTER, power[W_FILTER], left, ret))
		return false;
	(*ret)->cond = cond;
	return true;
}

/* "[" that begins an expression. */
static bool first_bracket(struct query *p, struct jmes *self, struct jmes **ret)
{
	if (p->tok == W_NUMBER || p->tok == W_COLON)
		return index_of(p, self, ret);
	if (p->tok == W_STAR) {
		struct query ahead = *p;
		struct err quiet = {0};
		ahead.err = &quiet;
		bool whole = next(&ahead) && ahead.tok == W_RBRACKET;
		err_clear(&quiet);
		if (whole)
			return bracket(p, self, ret);
	}
	*ret = node(p, JM_LIST, NULL, NULL);
	return list_of(p, W_RBRACKET, *ret);
}

/* An expression's beginning: the token T that was just passed. */
static bool prefix(struct query *p, enum word t, struct jmes **ret)
{
	struct jmes *self = node(p, JM_CURRENT, NULL, NULL), *inner;
	switch (t) {
	case W_CURRENT: *ret = self; return true;
	case W_STAR: return project(p, JM_VALUES, power[W_STAR], self, ret);
	case W_FILTER: return filter(p, self, ret);
	case W_FLATTEN: return project(p, JM_PROJECT, power[W_FLATTEN], node(p, JM_FLATTEN, self, NULL), ret);
	case W_LBRACE: return hash_of(p, ret);
	case W_LBRACKET: return first_bracket(p, self, ret);
	case W_LPAREN: return expr(p, 0, ret) && expect(p, W_RPAREN);
	case W_NOT:
	case W_EXPREF:
		if (!expr(p, t == W_NOT ? power[W_NOT] : 0, &inner))
			return false;
		*ret = node(p, t == W_NOT ? JM_NOT : JM_EXPREF, inner, NULL);
		return true;
	default: return fail(p, t == W_END ? "the expression ends too soon" : "unexpected token");
	}
}

/* What goes on behind LEFT: the token T that was just passed. */
static bool infix(struct query *p, enum word t, struct jmes *left, struct jmes **ret)
{
	struct jmes *right;
	switch (t) {
	case W_DOT:
		if (p->tok == W_STAR)
			return next(p) && project(p, JM_VALUES, power[W_STAR], left, ret);
		if (!dot_right(p, power[W_DOT], &right))
			return false;
		*ret = node(p, JM_CHAIN, left, right);
		return true;
	case W_FILTER: return filter(p, left, ret);
	case W_FLATTEN: return project(p, JM_PROJECT, power[W_FLATTEN], node(p, JM_FLATTEN, left, NULL), ret);
	case W_LBRACKET: return bracket(p, left, ret);
	case W_LPAREN:
		if (left->kind != JM_FIELD)
			return fail(p, "only a name can be called");
		*ret = node(p, JM_CALL, NULL, NULL);
		(*ret)->name = left->name;
		return list_of(p, W_RPAREN, *ret);
	default: break;
	}
	if (t < W_PIPE || t > W_GE)
		return fail(p, "unexpected token");
	if (!expr(p, power[t], &right))
		return false;
	*ret = node(p,
	            t == W_PIPE  ? JM_CHAIN
	            : t == W_OR  ? JM_OR
	            : t == W_AND ? JM_AND
	                         : JM_COMPARE,
	            left, right);
	(*ret)->op = t >= W_EQ ? (enum jmes_op)(t - W_EQ) : JM_EQ;
	return true;
}

static bool first(struct query *p, struct jmes **ret)
{
	enum word t = p->tok;
	if (t == W_NAME || t == W_QUOTED) {
		*ret = node(p, JM_FIELD, NULL, NULL);
		(*ret)->name = p->name;
		return next(p) &&
		       (t == W_NAME || p->tok != W_LPAREN || fail(p, "a function's name is not quoted"));
	}
	if (t == W_LITERAL) {
		*ret = node(p, JM_LITERAL, NULL, NULL);
		(*ret)->value = p->value;
		return next(p);
	}
	return next(p) && prefix(p, t, ret);
}

static bool expr(struct query *p, int bp, struct jmes **ret)
{
	if (++p->depth > DEPTH_MAX)
		return fail(p, "nested too deeply");
	bool ok = first(p, ret);
	while (ok && bp < power[p->tok]) {
		enum word t = p->tok;
		ok = next(p) && infix(p, t, *ret, ret);
	}
	p->depth--;
	return ok;
}

bool jmes_parse(struct arena *a, struct str text, struct jmes **ret, struct err *err)
{
	struct query p = {.a = a, .text = text, .err = err};
	if (text.n > LENGTH_MAX)
		return jinja_fail(
		        err, "JMESPathError in json_query filter plugin: the query is longer than %d bytes",
		        LENGTH_MAX);
	return next(&p) && expr(&p, 0, ret) && (p.tok == W_END || fail(&p, "unexpected token"));
}
