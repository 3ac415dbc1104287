/* expr - the expression half of the parser. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <stdio.h>

void nodevec_push(struct arena *a, struct nodevec *nv, struct node *n)
{
	nv->v = arena_grow(a, nv->v, nv->n, &nv->cap, sizeof(struct node *));
	nv->v[nv->n++] = n;
}

struct node *node_new(struct parser *p, enum ntype t, uint32_t off)
{
	struct node *n = ARENA_NEW(p->a, struct node);

	n->type = (uint8_t)t;
	n->off = off;
	if (t == N_PRINT || t == N_CONCAT)
		n->flags = p->escape;
	return n;
}

void *parse_fail(struct parser *p, uint32_t off, const char *fmt, ...)
{
	struct origin at = p->t->at;
	va_list ap;
	char *msg;

	va_start(ap, fmt);
	msg = arena_vprintf(p->a, fmt, ap);
	va_end(ap);
	if (parse_is(p, T_BAD)) {
		msg = arena_strndup(p->a, parse_cur(p)->s.p, parse_cur(p)->s.n);
		off = parse_cur(p)->off;
	}
	if (at.src)
		at.off += off;
	err_set(p->err, ERR_USER, at, "%s", msg);
	return NULL;
}

size_t parse_line(struct parser *p, uint32_t off)
{
	if (off < p->line_off)
		p->line = p->line_off = 0;
	for (; p->line_off < off; p->line_off++)
		p->line += p->t->text.p[p->line_off] == '\n';
	return p->line + 1;
}

struct token *parse_cur(struct parser *p)
{
	return &p->toks.v[p->pos];
}

struct token *parse_look(struct parser *p, size_t n)
{
	return &p->toks.v[p->pos + n < p->toks.n ? p->pos + n : p->toks.n - 1];
}

static struct token *parse_next(struct parser *p)
{
	struct token *t = parse_cur(p);

	if (p->pos + 1 < p->toks.n)
		p->pos++;
	return t;
}

bool parse_is(struct parser *p, enum tok t)
{
	return parse_cur(p)->type == t;
}

bool parse_is_name(struct parser *p, const char *name)
{
	return parse_is(p, T_NAME) && str_eqc(parse_cur(p)->s, name);
}

bool parse_skip(struct parser *p, enum tok t)
{
	if (!parse_is(p, t))
		return false;
	parse_next(p);
	return true;
}

bool parse_skip_name(struct parser *p, const char *name)
{
	if (!parse_is_name(p, name))
		return false;
	parse_next(p);
	return true;
}

void *parse_unexpected(struct parser *p, const char *expected)
{
	struct token *t = parse_cur(p);

	if (t->type == T_EOF)
		return parse_fail(p, t->off, "unexpected end of template, expected '%s'.", expected);
	if (t->type == T_NAME)
		return parse_fail(p, t->off, "expected token '%s', got '%.*s'", expected, STR_FMT(t->s));
	return parse_fail(p, t->off, "expected token '%s', got '%s'", expected, tok_name(t->type));
}

struct token *parse_expect(struct parser *p, enum tok t)
{
	if (!parse_is(p, t))
		return parse_unexpected(p, tok_name(t));
	return parse_next(p);
}

bool parse_expect_name(struct parser *p, const char *name)
{
	if (!parse_skip_name(p, name)) {
		parse_unexpected(p, name);
		return false;
	}
	return true;
}

static struct node *parse_unary(struct parser *p, bool with_filter);
static struct node *parse_or(struct parser *p);

static struct node *node_bin(struct parser *p, enum ntype t, uint8_t op, uint32_t off, struct node *a,
                             struct node *b)
{
	struct node *n;

	if (!a || !b)
		return NULL;
	n = node_new(p, t, off);
	n->op = op;
	n->a = a;
	n->b = b;
	return n;
}

static bool deeper(struct parser *p)
{
	if (p->depth >= JINJA_MAX_NEST) {
		parse_fail(p, parse_cur(p)->off, "the expression is nested too deeply");
		return false;
	}
	p->depth++;
	return true;
}

/* What an inline if without else gives when it is false. */
static struct val *no_else(struct parser *p, uint32_t off)
{
	return val_undef(p->a, STR(INLINE_IF),
	                 arena_printf(p->a,
	                              "the inline if-expression on line %zu evaluated to false and no else "
	                              "section was defined.",
	                              parse_line(p, off)));
}

static struct node *parse_cond(struct parser *p)
{
	uint32_t off = parse_cur(p)->off;
	struct node *n = parse_or(p);

	while (n && parse_is_name(p, "if")) {
		struct node *c = node_new(p, N_COND, parse_next(p)->off);

		c->a = parse_or(p);
		c->b = n;
		if (!c->a)
			return NULL;
		if (parse_skip_name(p, "else")) {
			if (!deeper(p))
				return NULL;
			c->c = parse_cond(p);
			p->depth--;
			if (!c->c)
				return NULL;
		} else {
			c->k = no_else(p, off);
		}
		n = c;
	}
	return n;
}

struct node *parse_expression(struct parser *p, bool with_cond)
{
	struct node *n;

	if (!deeper(p))
		return NULL;
	n = with_cond ? parse_cond(p) : parse_or(p);
	p->depth--;
	return n;
}

static struct node *parse_math1(struct parser *p);

static struct node *parse_compare(struct parser *p)
{
	static const struct {
		enum tok t;
		enum cmp_op op;
	} ops[] = {{T_EQ, CMP_EQ}, {T_NE, CMP_NE}, {T_LT, CMP_LT},
	           {T_LE, CMP_LE}, {T_GT, CMP_GT}, {T_GE, CMP_GE}};
	struct node *n = parse_math1(p), *cmp = NULL;
	struct nodevec v = {0};

	while (n) {
		struct node *o;
		uint32_t off = parse_cur(p)->off;
		int op = -1;

		for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
			if (parse_is(p, ops[i].t))
				op = (int)ops[i].op;
		if (parse_is_name(p, "in"))
			op = CMP_IN;
		if (parse_is_name(p, "not") && parse_look(p, 1)->type == T_NAME &&
		    str_eqc(parse_look(p, 1)->s, "in")) {
			op = CMP_NOTIN;
			parse_next(p);
		}
		if (op < 0)
			break;
		parse_next(p);
		o = node_new(p, N_OPERAND, off);
		o->op = (uint8_t)op;
		o->a = parse_math1(p);
		if (!o->a)
			return NULL;
		nodevec_push(p->a, &v, o);
	}
	if (!n || !v.n)
		return n;
	cmp = node_new(p, N_CMP, v.v[0]->off);
	cmp->a = n;
	cmp->v = v.v;
	cmp->n = v.n;
	return cmp;
}

static struct node *parse_not(struct parser *p)
{
	struct node *n;
	uint32_t off = parse_cur(p)->off;

	if (!parse_is_name(p, "not"))
		return parse_compare(p);
	parse_next(p);
	if (!deeper(p))
		return NULL;
	n = parse_not(p);
	p->depth--;
	if (!n)
		return NULL;
	struct node *r = node_new(p, N_NOT, off);

	r->a = n;
	return r;
}

static struct node *parse_and(struct parser *p)
{
	struct node *n = parse_not(p);

	while (n && parse_is_name(p, "and")) {
		uint32_t off = parse_next(p)->off;

		n = node_bin(p, N_AND, 0, off, n, parse_not(p));
	}
	return n;
}

static struct node *parse_or(struct parser *p)
{
	struct node *n = parse_and(p);

	while (n && parse_is_name(p, "or")) {
		uint32_t off = parse_next(p)->off;

		n = node_bin(p, N_OR, 0, off, n, parse_and(p));
	}
	return n;
}

/* Whether N is computed when the template is compiled. */
static bool folds(const struct node *n)
{
	switch (n->type) {
	case N_CONST: return true;
	case N_NEG:
	case N_POS: return folds(n->a);
	case N_BIN: return folds(n->a) && folds(n->b);
	default: return false;
	}
}

static struct node *parse_pow(struct parser *p)
{
	struct node *n = parse_unary(p, true);

	while (n && parse_is(p, T_POW)) {
		uint32_t off = parse_next(p)->off;
		struct node *y = parse_unary(p, true), *neg = n;
		bool outside = y && n->type == N_NEG && n->a->type == N_CONST && !folds(y);

		/* Jinja2 writes a negative constant into Python source as it is, where ** comes first. */
		n = node_bin(p, N_BIN, T_POW, off, outside ? n->a : n, y);
		if (outside) {
			*neg = (struct node){.type = N_NEG, .off = neg->off, .a = n};
			n = neg;
		}
	}
	return n;
}

static struct node *parse_math2(struct parser *p)
{
	struct node *n = parse_pow(p);

	while (n &&
	       (parse_is(p, T_MUL) || parse_is(p, T_DIV) || parse_is(p, T_FLOORDIV) || parse_is(p, T_MOD))) {
		struct token *t = parse_next(p);

		n = node_bin(p, N_BIN, (uint8_t)t->type, t->off, n, parse_pow(p));
	}
	return n;
}

static struct node *parse_concat(struct parser *p)
{
	struct node *n = parse_math2(p), *c;
	struct nodevec v = {0};

	if (!n || !parse_is(p, T_TILDE))
		return n;
	c = node_new(p, N_CONCAT, n->off);
	nodevec_push(p->a, &v, n);
	while (parse_skip(p, T_TILDE)) {
		n = parse_math2(p);
		if (!n)
			return NULL;
		nodevec_push(p->a, &v, n);
	}
	c->v = v.v;
	c->n = v.n;
	return c;
}

static struct node *parse_math1(struct parser *p)
{
	struct node *n = parse_concat(p);

	while (n && (parse_is(p, T_ADD) || parse_is(p, T_SUB))) {
		struct token *t = parse_next(p);

		n = node_bin(p, N_BIN, (uint8_t)t->type, t->off, n, parse_concat(p));
	}
	return n;
}

static struct node *parse_unary(struct parser *p, bool with_filter)
{
	struct token *t = parse_cur(p);
	struct node *n;

	if (t->type == T_SUB || t->type == T_ADD) {
		parse_next(p);
		if (!deeper(p))
			return NULL;
		struct node *in = parse_unary(p, false);

		p->depth--;
		if (!in)
			return NULL;
		n = node_new(p, t->type == T_SUB ? N_NEG : N_POS, t->off);
		n->a = in;
	} else {
		n = parse_primary(p);
	}
	if (n)
		n = parse_postfix(p, n);
	if (n && with_filter)
		n = parse_filters(p, n, false);
	return n;
}

static struct node *node_const(struct parser *p, uint32_t off, struct val *k)
{
	struct node *n = node_new(p, N_CONST, off);
	struct origin at = p->t->at;

	if (at.src && !val_is_null(k) && val_kind(k) != VAL_BOOL) {
		at.off += off;
		val_at_origin(p->a, k, at);
	}
	n->k = k;
	return n;
}

static struct node *parse_name(struct parser *p)
{
	struct token *t = parse_next(p);
	struct node *n;

	if (str_eqc(t->s, "true") || str_eqc(t->s, "True"))
		return node_const(p, t->off, val_bool(true));
	if (str_eqc(t->s, "false") || str_eqc(t->s, "False"))
		return node_const(p, t->off, val_bool(false));
	if (str_eqc(t->s, "none") || str_eqc(t->s, "None"))
		return node_const(p, t->off, val_null());
	n = node_new(p, N_NAME, t->off);
	n->s = t->s;
	return n;
}

static struct node *parse_strings(struct parser *p)
{
	struct token *t = parse_next(p);
	struct buf b = {0};
	struct str s = t->s;

	if (parse_is(p, T_STR)) {
		buf_addstr(&b, s);
		while (parse_is(p, T_STR))
			buf_addstr(&b, parse_next(p)->s);
		s = buf_take(&b, p->a);
		buf_free(&b);
	}
	return node_const(p, t->off, val_str(p->a, s));
}

static struct node *parse_list(struct parser *p)
{
	struct node *n = node_new(p, N_LIST, parse_next(p)->off);
	struct nodevec v = {0};

	while (!parse_is(p, T_RBRACKET)) {
		struct node *e;

		if (v.n && !parse_expect(p, T_COMMA))
			return NULL;
		if (parse_is(p, T_RBRACKET))
			break;
		e = parse_expression(p, true);
		if (!e)
			return NULL;
		nodevec_push(p->a, &v, e);
	}
	parse_next(p);
	n->v = v.v;
	n->n = v.n;
	return n;
}

static struct node *parse_dict(struct parser *p)
{
	struct node *n = node_new(p, N_DICT, parse_next(p)->off);
	struct nodevec v = {0};

	while (!parse_is(p, T_RBRACE)) {
		struct node *k, *e;

		if (v.n && !parse_expect(p, T_COMMA))
			return NULL;
		if (parse_is(p, T_RBRACE))
			break;
		k = parse_expression(p, true);
		if (!k || !parse_expect(p, T_COLON))
			return NULL;
		e = parse_expression(p, true);
		if (!e)
			return NULL;
		nodevec_push(p->a, &v, k);
		nodevec_push(p->a, &v, e);
	}
	parse_next(p);
	n->v = v.v;
	n->n = v.n;
	return n;
}

struct node *parse_primary(struct parser *p)
{
	struct token *t = parse_cur(p);
	struct node *n;

	switch (t->type) {
	case T_NAME: return parse_name(p);
	case T_STR: return parse_strings(p);
	case T_INT: parse_next(p); return node_const(p, t->off, tok_int(p->a, t, false));
	case T_FLOAT: parse_next(p); return node_const(p, t->off, val_float(p->a, t->f));
	case T_LPAREN:
		parse_next(p);
		if (!deeper(p))
			return NULL;
		n = parse_tuple(p, false, true, NULL, true);
		p->depth--;
		return n && parse_expect(p, T_RPAREN) ? n : NULL;
	case T_LBRACKET: return parse_list(p);
	case T_LBRACE: return parse_dict(p);
	case T_EOF: return parse_fail(p, t->off, "unexpected end of template");
	default: return parse_fail(p, t->off, "unexpected '%s'", tok_name(t->type));
	}
}

static bool tuple_end(struct parser *p, const char *extra)
{
	enum tok t = parse_cur(p)->type;

	return t == T_VAR_END || t == T_BLOCK_END || t == T_RPAREN || (extra && parse_is_name(p, extra));
}

struct node *parse_tuple(struct parser *p, bool simplified, bool with_cond, const char *extra_end,
                         bool parens)
{
	struct nodevec v = {0};
	struct node *n;
	uint32_t off = parse_cur(p)->off;
	bool is_tuple = false;

	for (;;) {
		if (v.n && !parse_expect(p, T_COMMA))
			return NULL;
		if (tuple_end(p, extra_end))
			break;
		n = simplified ? parse_primary(p) : parse_expression(p, with_cond);
		if (!n)
			return NULL;
		nodevec_push(p->a, &v, n);
		if (!parse_is(p, T_COMMA))
			break;
		is_tuple = true;
	}
	if (!is_tuple && v.n)
		return v.v[0];
	if (!is_tuple && !parens) {
		struct token *t = parse_cur(p);

		return parse_fail(p, t->off, "Expected an expression, got '%.*s'",
		                  STR_FMT(t->type == T_NAME ? t->s : str_c(tok_name(t->type))));
	}
	n = node_new(p, N_TUPLE, off);
	n->v = v.v;
	n->n = v.n;
	return n;
}

static struct node *parse_slice_part(struct parser *p, struct node **into)
{
	if (parse_is(p, T_COLON) || parse_is(p, T_RBRACKET) || parse_is(p, T_COMMA))
		return (struct node *)p; /* absent: anything but NULL */
	*into = parse_expression(p, true);
	return *into;
}

static struct node *parse_subscript_arg(struct parser *p)
{
	uint32_t off = parse_cur(p)->off;
	struct node *n, *first = NULL;

	if (!parse_is(p, T_COLON)) {
		first = parse_expression(p, true);
		if (!first || !parse_is(p, T_COLON))
			return first;
	}
	parse_next(p);
	n = node_new(p, N_SLICE, off);
	n->a = first;
	if (!parse_slice_part(p, &n->b))
		return NULL;
	if (parse_skip(p, T_COLON) && !parse_slice_part(p, &n->c))
		return NULL;
	return n;
}

static struct node *parse_subscript(struct parser *p, struct node *base)
{
	uint32_t off = parse_next(p)->off;
	struct nodevec v = {0};
	struct node *n, *t;

	while (!parse_is(p, T_RBRACKET)) {
		if (v.n && !parse_expect(p, T_COMMA))
			return NULL;
		n = parse_subscript_arg(p);
		if (!n)
			return NULL;
		nodevec_push(p->a, &v, n);
	}
	parse_next(p);
	if (!v.n)
		return parse_fail(p, off, "expected a subscript between the brackets");
	n = node_new(p, N_ITEM, base->off);
	n->a = base;
	n->b = v.v[0];
	if (v.n > 1) {
		t = node_new(p, N_TUPLE, off);
		t->v = v.v;
		t->n = v.n;
		n->b = t;
	}
	return n;
}

static struct node *parse_dot(struct parser *p, struct node *base)
{
	struct token *t;
	struct node *n;

	parse_next(p);
	t = parse_cur(p);
	if (t->type == T_NAME) {
		parse_next(p);
		n = node_new(p, N_ATTR, base->off);
		n->a = base;
		n->s = t->s;
		n->k = val_str(p->a, t->s);
		return n;
	}
	if (t->type != T_INT)
		return parse_fail(p, t->off, "expected name or number");
	parse_next(p);
	n = node_new(p, N_ITEM, base->off);
	n->a = base;
	n->b = node_const(p, t->off, tok_int(p->a, t, false));
	return n;
}

/* One argument into positional V or N's keyword arguments. */
static bool parse_arg(struct parser *p, struct node *n, struct nodevec *v, struct nodevec *w)
{
	struct token *t = parse_cur(p);
	struct node *e;

	if (t->type == T_MUL || t->type == T_POW) {
		struct node **into = t->type == T_MUL ? &n->b : &n->c;

		parse_next(p);
		if (*into || n->c)
			return parse_fail(p, t->off, "invalid syntax for function call expression");
		*into = parse_expression(p, true);
		return *into;
	}
	if (t->type == T_NAME && parse_look(p, 1)->type == T_ASSIGN) {
		struct str *names = arena_array(p->a, n->nnames + 1, sizeof(*names));

		if (n->c)
			return parse_fail(p, t->off, "invalid syntax for function call expression");
		if (n->nnames)
			memcpy(names, n->names, n->nnames * sizeof(*names));
		names[n->nnames++] = t->s;
		n->names = names;
		parse_next(p);
		parse_next(p);
		e = parse_expression(p, true);
		if (e)
			nodevec_push(p->a, w, e);
		return e;
	}
	if (n->b || n->c || w->n)
		return parse_fail(p, t->off, "invalid syntax for function call expression");
	e = parse_expression(p, true);
	if (e)
		nodevec_push(p->a, v, e);
	return e;
}

/* "(…)" into N: positional v, keywords names/w, *b, **c. */
static bool parse_args(struct parser *p, struct node *n)
{
	struct nodevec v = {0}, w = {0};
	bool first = true;

	if (!parse_expect(p, T_LPAREN))
		return false;
	while (!parse_is(p, T_RPAREN)) {
		if (!first) {
			if (!parse_expect(p, T_COMMA))
				return false;
			if (parse_is(p, T_RPAREN))
				break;
		}
		if (!parse_arg(p, n, &v, &w))
			return false;
		first = false;
	}
	parse_next(p);
	n->v = v.v;
	n->n = v.n;
	n->w = w.v;
	n->wn = w.n;
	return true;
}

static struct node *parse_call(struct parser *p, struct node *base)
{
	struct node *n = node_new(p, N_CALL, parse_cur(p)->off);

	n->a = base;
	return parse_args(p, n) ? n : NULL;
}

struct node *parse_postfix(struct parser *p, struct node *n)
{
	while (n) {
		if (parse_is(p, T_DOT))
			n = parse_dot(p, n);
		else if (parse_is(p, T_LBRACKET))
			n = parse_subscript(p, n);
		else if (parse_is(p, T_LPAREN))
			n = parse_call(p, n);
		else
			break;
	}
	return n;
}

/* The dotted name of a filter or test into *RET. */
static bool parse_dotted(struct parser *p, struct str *ret)
{
	struct token *t = parse_expect(p, T_NAME);
	struct str s;

	if (!t)
		return false;
	s = t->s;
	while (parse_skip(p, T_DOT)) {
		t = parse_expect(p, T_NAME);
		if (!t)
			return false;
		s = str_c(arena_printf(p->a, "%.*s.%.*s", STR_FMT(s), STR_FMT(t->s)));
	}
	*ret = s;
	return true;
}

static struct node *parse_filter(struct parser *p, struct node *base)
{
	struct node *n = node_new(p, N_FILTER, parse_cur(p)->off);

	n->a = base;
	if (!parse_dotted(p, &n->s))
		return NULL;
	if (parse_is(p, T_LPAREN) && !parse_args(p, n))
		return NULL;
	n->fn = jinja_env_find(p->env, 'f', n->s);
	return n;
}

static struct node *parse_test(struct parser *p, struct node *base)
{
	struct node *n;
	enum tok t;

	parse_next(p);
	n = node_new(p, N_TEST, parse_cur(p)->off);
	n->a = base;
	if (parse_skip_name(p, "not"))
		n->flags |= NF_NEGATED;
	n->off = parse_cur(p)->off;
	if (!parse_dotted(p, &n->s))
		return NULL;
	t = parse_cur(p)->type;
	if (t == T_LPAREN) {
		if (!parse_args(p, n))
			return NULL;
	} else if ((t == T_NAME || t == T_STR || t == T_INT || t == T_FLOAT || t == T_LBRACKET ||
	            t == T_LBRACE) &&
	           !parse_is_name(p, "else") && !parse_is_name(p, "or") && !parse_is_name(p, "and")) {
		struct nodevec v = {0};
		struct node *arg;

		if (parse_is_name(p, "is"))
			return parse_fail(p, parse_cur(p)->off, "You cannot chain multiple tests with is");
		arg = parse_primary(p);
		if (arg)
			arg = parse_postfix(p, arg);
		if (!arg)
			return NULL;
		nodevec_push(p->a, &v, arg);
		n->v = v.v;
		n->n = v.n;
	}
	n->fn = jinja_env_find(p->env, 't', n->s);
	return n;
}

struct node *parse_filters(struct parser *p, struct node *n, bool start_inline)
{
	bool first = start_inline;

	do {
		if (first || parse_skip(p, T_PIPE))
			n = parse_filter(p, n);
		else if (!start_inline && parse_is_name(p, "is"))
			n = parse_test(p, n);
		else if (!start_inline && parse_is(p, T_LPAREN))
			n = parse_call(p, n);
		else
			break;
		first = false;
	} while (n);
	return n;
}
