/* parse - the statement half of the parser. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include <stdio.h>

static bool parse_body(struct parser *p, const char *tag, const char *const *ends, struct nodevec *out);

/* "'elif' or 'else' or 'endif'" */
static char *ends_text(struct parser *p, const char *const *ends)
{
	char *s = arena_strdup(p->a, "");

	for (size_t i = 0; ends[i]; i++)
		s = arena_printf(p->a, "%s%s'%s'", s, i ? " or " : "", ends[i]);
	return s;
}

static void *fail_tag(struct parser *p, uint32_t off, const struct str *name)
{
	char *msg = name ? arena_printf(p->a, "Encountered unknown tag '%.*s'.", STR_FMT(*name))
	                 : arena_strdup(p->a, "Unexpected end of template.");

	if (p->ntags) {
		const char *want = ends_text(p, p->ends[p->ntags - 1]);
		bool nesting = false;

		for (size_t i = 0; name && i < p->ntags; i++)
			for (size_t j = 0; p->ends[i][j]; j++)
				nesting |= str_eqc(*name, p->ends[i][j]);
		if (nesting)
			msg = arena_printf(
			        p->a,
			        "%s You probably made a nesting mistake. Jinja is expecting this tag, "
			        "but currently looking for %s.",
			        msg, want);
		else
			msg = arena_printf(p->a, "%s Jinja was looking for the following tags: %s.", msg,
			                   want);
		msg = arena_printf(p->a, "%s The innermost block that needs to be closed is '%s'.", msg,
		                   p->tags[p->ntags - 1]);
	}
	return parse_fail(p, off, "%s", msg);
}

static bool body_into(struct parser *p, const char *tag, const char *const *ends, struct node ***v, size_t *n)
{
	struct nodevec nv = {0};

	if (!parse_body(p, tag, ends, &nv))
		return false;
	*v = nv.v;
	*n = nv.n;
	return true;
}

/* Past "%}" and the body up to END; then past END itself. */
static bool body_until(struct parser *p, const char *tag, const char *const *ends, struct node ***v,
                       size_t *n)
{
	if (!body_into(p, tag, ends, v, n))
		return false;
	p->pos++;
	return true;
}

static struct node *can_assign(struct parser *p, struct node *n)
{
	static const char *const names[] = {[N_CONST] = "const", [N_LIST] = "list", [N_DICT] = "dict"};

	if (n->type == N_TUPLE) {
		for (size_t i = 0; i < n->n; i++)
			if (!can_assign(p, n->v[i]))
				return NULL;
		return n;
	}
	if (n->type == N_NAME || n->type == N_NSREF)
		return n;
	return parse_fail(p, n->off, "can't assign to '%s'",
	                  n->type < sizeof(names) / sizeof(*names) && names[n->type] ? names[n->type]
	                                                                             : "expression");
}

static struct node *parse_target(struct parser *p, bool with_tuple, const char *extra_end, bool with_ns)
{
	struct node *n;

	if (with_ns && parse_is(p, T_NAME) && parse_look(p, 1)->type == T_DOT) {
		struct token *t = parse_cur(p), *attr;
		struct node *name = node_new(p, N_NAME, t->off);

		name->s = t->s;
		p->pos += 2;
		attr = parse_expect(p, T_NAME);
		if (!attr)
			return NULL;
		n = node_new(p, N_NSREF, t->off);
		n->a = name;
		n->k = val_str(p->a, attr->s);
		return n;
	}
	n = with_tuple ? parse_tuple(p, true, true, extra_end, false) : parse_primary(p);
	return n ? can_assign(p, n) : NULL;
}

static struct node *parse_name_target(struct parser *p)
{
	struct token *t = parse_expect(p, T_NAME);
	struct node *n;

	p->t->assigns = true;
	if (!t)
		return NULL;
	if (str_eqc(t->s, "true") || str_eqc(t->s, "false") || str_eqc(t->s, "none") ||
	    str_eqc(t->s, "True") || str_eqc(t->s, "False") || str_eqc(t->s, "None"))
		return parse_fail(p, t->off, "can't assign to 'name'");
	n = node_new(p, N_NAME, t->off);
	n->s = t->s;
	return n;
}

static struct node *parse_if(struct parser *p, uint32_t off)
{
	static const char *const ends[] = {"elif", "else", "endif", NULL}, *const last[] = {"endif", NULL};
	struct node *top = node_new(p, N_IF, off), *n = top;

	for (unsigned branches = 0;; branches++) {
		n->a = parse_tuple(p, false, false, NULL, false);
		if (!n->a || !body_into(p, "if", ends, &n->v, &n->n))
			return NULL;
		off = parse_cur(p)->off;
		if (parse_skip_name(p, "elif")) {
			struct nodevec w = {0};
			struct node *e = node_new(p, N_IF, off);

			if (branches == JINJA_MAX_ELIF)
				return parse_fail(p, off, "more than %d elif branches", JINJA_MAX_ELIF);
			nodevec_push(p->a, &w, e);
			n->w = w.v;
			n->wn = w.n;
			n = e;
			continue;
		}
		if (parse_skip_name(p, "else")) {
			if (!body_until(p, "if", last, &n->w, &n->wn))
				return NULL;
		} else {
			p->pos++;
		}
		return top;
	}
}

static struct node *parse_for(struct parser *p, uint32_t off)
{
	static const char *const ends[] = {"endfor", "else", NULL}, *const last[] = {"endfor", NULL};
	struct node *n = node_new(p, N_FOR, off);

	n->a = parse_target(p, true, "in", false);
	if (!n->a || !parse_expect_name(p, "in"))
		return NULL;
	n->b = parse_tuple(p, false, false, "recursive", false);
	if (!n->b)
		return NULL;
	if (parse_skip_name(p, "if")) {
		n->c = parse_expression(p, true);
		if (!n->c)
			return NULL;
	}
	if (parse_skip_name(p, "recursive"))
		n->flags |= NF_RECURSIVE;
	if (!body_into(p, "for", ends, &n->v, &n->n))
		return NULL;
	if (parse_skip_name(p, "else"))
		return body_until(p, "for", last, &n->w, &n->wn) ? n : NULL;
	p->pos++;
	return n;
}

static struct node *parse_set(struct parser *p, uint32_t off)
{
	static const char *const ends[] = {"endset", NULL};
	struct node *n = node_new(p, N_SET, off);

	p->t->assigns = true;
	n->a = parse_target(p, true, NULL, true);
	if (!n->a)
		return NULL;
	if (parse_skip(p, T_ASSIGN)) {
		n->b = parse_tuple(p, false, true, NULL, false);
		return n->b ? n : NULL;
	}
	n->type = N_SETBLOCK;
	if (parse_is(p, T_PIPE)) {
		n->b = parse_filters(p, NULL, false);
		if (!n->b)
			return NULL;
	}
	return body_until(p, "set", ends, &n->v, &n->n) ? n : NULL;
}

static bool push_name(struct parser *p, struct node *n, struct str name, struct str alias)
{
	struct str *names = arena_array(p->a, n->nnames + 1, sizeof(*names));
	struct str *aliases = arena_array(p->a, n->nnames + 1, sizeof(*aliases));

	if (n->nnames) {
		memcpy(names, n->names, n->nnames * sizeof(*names));
		memcpy(aliases, n->alias, n->nnames * sizeof(*aliases));
	}
	names[n->nnames] = name;
	aliases[n->nnames++] = alias;
	n->names = names;
	n->alias = aliases;
	return true;
}

/* "(a, b=1)": names in v (as N_NAME, so that scope.c can bind them), defaults of the last ones in w. */
static bool parse_signature(struct parser *p, struct node *n)
{
	struct nodevec v = {0}, w = {0};

	if (!parse_expect(p, T_LPAREN))
		return false;
	while (!parse_is(p, T_RPAREN)) {
		struct node *arg;

		if (v.n && !parse_expect(p, T_COMMA))
			return false;
		if (v.n && parse_is(p, T_RPAREN))
			break;
		arg = parse_name_target(p);
		if (!arg)
			return false;
		nodevec_push(p->a, &v, arg);
		if (parse_skip(p, T_ASSIGN)) {
			struct node *d = parse_expression(p, true);

			if (!d)
				return false;
			nodevec_push(p->a, &w, d);
		} else if (w.n) {
			return parse_fail(p, arg->off, "non-default argument follows default argument");
		}
	}
	p->pos++;
	n->x = v.v;
	n->xn = v.n;
	n->w = w.v;
	n->wn = w.n;
	return true;
}

static struct node *parse_macro(struct parser *p, uint32_t off)
{
	static const char *const ends[] = {"endmacro", NULL};
	struct node *n = node_new(p, N_MACRO, off);

	n->a = parse_name_target(p);
	if (!n->a)
		return NULL;
	n->s = n->a->s;
	if (!parse_signature(p, n))
		return NULL;
	return body_until(p, "macro", ends, &n->v, &n->n) ? n : NULL;
}

static struct node *parse_call_block(struct parser *p, uint32_t off)
{
	static const char *const ends[] = {"endcall", NULL};
	struct node *n = node_new(p, N_CALLBLOCK, off), *m = node_new(p, N_MACRO, off);

	m->s = STR("caller");
	if (parse_is(p, T_LPAREN) && !parse_signature(p, m))
		return NULL;
	n->a = parse_expression(p, true);
	if (!n->a)
		return NULL;
	if (n->a->type != N_CALL)
		return parse_fail(p, n->a->off, "expected call");
	n->b = m;
	return body_until(p, "call", ends, &m->v, &m->n) ? n : NULL;
}

static struct node *parse_filter_block(struct parser *p, uint32_t off)
{
	static const char *const ends[] = {"endfilter", NULL};
	struct node *n = node_new(p, N_FILTERBLOCK, off);

	n->a = parse_filters(p, NULL, true);
	if (!n->a)
		return NULL;
	return body_until(p, "filter", ends, &n->v, &n->n) ? n : NULL;
}

static struct node *parse_with(struct parser *p, uint32_t off)
{
	static const char *const ends[] = {"endwith", NULL};
	struct node *n = node_new(p, N_WITH, off);
	struct nodevec v = {0}, w = {0};

	while (!parse_is(p, T_BLOCK_END)) {
		struct node *t, *e;

		if (v.n && !parse_expect(p, T_COMMA))
			return NULL;
		t = parse_target(p, false, NULL, false);
		if (!t || !parse_expect(p, T_ASSIGN))
			return NULL;
		e = parse_expression(p, true);
		if (!e)
			return NULL;
		nodevec_push(p->a, &v, t);
		nodevec_push(p->a, &w, e);
	}
	n->v = v.v;
	n->n = v.n;
	n->w = w.v;
	n->wn = w.n;
	return body_until(p, "with", ends, &n->x, &n->xn) ? n : NULL;
}

static bool at_top(const struct parser *p)
{
	for (size_t i = 0; i < p->ntags; i++)
		if (strcmp(p->tags[i], "if") != 0)
			return false;
	return true;
}

static struct node *parse_block(struct parser *p, uint32_t off)
{
	static const char *const ends[] = {"endblock", NULL};
	struct node *n = node_new(p, N_BLOCK, off);
	struct token *t = parse_expect(p, T_NAME);
	struct nodevec bl = {p->t->blocks, p->t->nblocks, p->t->nblocks};

	if (!t)
		return NULL;
	n->s = t->s;
	for (size_t i = 0; i < bl.n; i++)
		if (str_eq(bl.v[i]->s, n->s))
			return parse_fail(p, off, "block '%.*s' defined twice", STR_FMT(n->s));
	if (at_top(p))
		n->flags |= NF_TOP;
	if (parse_skip_name(p, "scoped"))
		n->flags |= NF_SCOPED;
	if (parse_skip_name(p, "required"))
		n->flags |= NF_REQUIRED;
	if (parse_is(p, T_SUB))
		return parse_fail(p, parse_cur(p)->off,
		                  "Block names in Jinja have to be valid Python identifiers and may not "
		                  "contain hyphens, "
		                  "use an underscore instead.");
	nodevec_push(p->a, &bl, n);
	p->t->blocks = bl.v;
	p->t->nblocks = bl.n;
	p->t->shares = true;
	/* A block is on its own: what is around it does not make it escape. */
	uint16_t outer = p->escape;
	p->escape = 0;
	if (!body_until(p, "block", ends, &n->v, &n->n))
		return NULL;
	p->escape = outer;
	if (n->flags & NF_REQUIRED)
		for (size_t i = 0; i < n->n; i++)
			if (n->v[i]->type != N_DATA || str_trim(n->v[i]->s).n)
				return parse_fail(p, off,
				                  "Required blocks can only contain comments or whitespace");
	parse_skip_name(p, arena_strndup(p->a, n->s.p, n->s.n));
	return n;
}

/* "with context" or "without context"; DFLT when neither. */
static void parse_context(struct parser *p, struct node *n, bool dflt)
{
	bool with = parse_is_name(p, "with"), without = parse_is_name(p, "without");

	if ((with || without) && parse_look(p, 1)->type == T_NAME &&
	    str_eqc(parse_look(p, 1)->s, "context")) {
		p->pos += 2;
		dflt = with;
	}
	if (dflt)
		n->flags |= NF_CONTEXT;
}

static struct node *parse_include(struct parser *p, uint32_t off)
{
	struct node *n = node_new(p, N_INCLUDE, off);

	p->t->shares = true;
	n->a = parse_expression(p, true);
	if (!n->a)
		return NULL;
	if (parse_is_name(p, "ignore") && str_eqc(parse_look(p, 1)->s, "missing")) {
		n->flags |= NF_IGNORE;
		p->pos += 2;
	}
	parse_context(p, n, true);
	return n;
}

static struct node *parse_import(struct parser *p, uint32_t off)
{
	struct node *n = node_new(p, N_IMPORT, off);

	p->t->shares = true;
	n->a = parse_expression(p, true);
	if (!n->a || !parse_expect_name(p, "as"))
		return NULL;
	n->b = parse_name_target(p);
	if (!n->b)
		return NULL;
	parse_context(p, n, false);
	return n;
}

static bool context_follows(struct parser *p)
{
	return (parse_is_name(p, "with") || parse_is_name(p, "without")) &&
	       parse_look(p, 1)->type == T_NAME && str_eqc(parse_look(p, 1)->s, "context");
}

static struct node *parse_from(struct parser *p, uint32_t off)
{
	struct node *n = node_new(p, N_FROM, off);
	struct nodevec v = {0};

	p->t->shares = true;
	n->a = parse_expression(p, true);
	if (!n->a || !parse_expect_name(p, "import"))
		return NULL;
	do {
		struct node *name, *as;

		if (v.n && !parse_expect(p, T_COMMA))
			return NULL;
		if (context_follows(p))
			break;
		name = as = parse_name_target(p);
		if (!name)
			return NULL;
		if (name->s.p[0] == '_')
			return parse_fail(p, name->off,
			                  "names starting with an underline can not be imported");
		if (parse_skip_name(p, "as")) {
			as = parse_name_target(p);
			if (!as)
				return NULL;
		}
		push_name(p, n, name->s, as->s);
		nodevec_push(p->a, &v, as);
	} while (!context_follows(p) && parse_is(p, T_COMMA));
	n->x = v.v;
	n->xn = v.n;
	parse_context(p, n, false);
	return n;
}

static struct node *parse_extends(struct parser *p, uint32_t off)
{
	struct node *n = node_new(p, N_EXTENDS, off);

	p->t->shares = true;
	p->t->has_extends = true;
	if (!at_top(p))
		return parse_fail(p, off, "cannot use extend from a non top-level scope");
	n->a = parse_expression(p, true);
	return n->a ? n : NULL;
}

/* "{% print a, b %}" */
static struct node *parse_print_tag(struct parser *p, uint32_t off)
{
	struct node *n = node_new(p, N_PRINTS, off), *out;
	struct nodevec v = {0};

	while (!parse_is(p, T_BLOCK_END)) {
		if (v.n && !parse_expect(p, T_COMMA))
			return NULL;
		out = node_new(p, N_PRINT, parse_cur(p)->off);
		out->a = parse_expression(p, true);
		if (!out->a)
			return NULL;
		nodevec_push(p->a, &v, out);
	}
	n->v = v.v;
	n->n = v.n;
	return n;
}

static struct node *parse_do(struct parser *p, uint32_t off)
{
	struct node *n = node_new(p, N_DO, off);

	n->a = parse_tuple(p, false, true, NULL, false);
	return n->a ? n : NULL;
}

static bool in_loop(const struct parser *p)
{
	for (size_t i = p->ntags; i-- > 0;) {
		if (!strcmp(p->tags[i], "for"))
			return true;
		if (!strcmp(p->tags[i], "macro") || !strcmp(p->tags[i], "call") ||
		    !strcmp(p->tags[i], "block"))
			return false;
	}
	return false;
}

static struct node *parse_break(struct parser *p, uint32_t off)
{
	if (!in_loop(p))
		return parse_fail(p, off, "'break' outside loop");
	return node_new(p, N_BREAK, off);
}

static struct node *parse_continue(struct parser *p, uint32_t off)
{
	if (!in_loop(p))
		return parse_fail(p, off, "'continue' outside loop");
	return node_new(p, N_CONTINUE, off);
}

static struct node *parse_autoescape(struct parser *p, uint32_t off)
{
	static const char *const ends[] = {"endautoescape", NULL};
	struct node *n = node_new(p, N_SCOPE, off);
	uint16_t outer = p->escape;
	bool ok;

	n->a = parse_expression(p, true);
	if (!n->a)
		return NULL;
	p->escape = n->a->type != N_CONST ? NF_ESCAPE | NF_VOLATILE : val_truthy(n->a->k) ? NF_ESCAPE : 0;
	ok = body_until(p, "autoescape", ends, &n->v, &n->n);
	p->escape = outer;
	return ok ? n : NULL;
}

static const struct {
	const char *name;
	struct node *(*fn)(struct parser *p, uint32_t off);
} statements[] = {
        {"if", parse_if},
        {"for", parse_for},
        {"set", parse_set},
        {"macro", parse_macro},
        {"call", parse_call_block},
        {"filter", parse_filter_block},
        {"with", parse_with},
        {"block", parse_block},
        {"include", parse_include},
        {"import", parse_import},
        {"from", parse_from},
        {"extends", parse_extends},
        {"print", parse_print_tag},
        {"do", parse_do},
        {"break", parse_break},
        {"continue", parse_continue},
        {"autoescape", parse_autoescape},
};

static struct node *parse_statement(struct parser *p)
{
	struct token *t = parse_cur(p);

	if (t->type != T_NAME)
		return parse_fail(p, t->off, "tag name expected");
	for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++) {
		struct node *n;

		if (!str_eqc(t->s, statements[i].name))
			continue;
		p->pos++;
		n = statements[i].fn(p, t->off);
		if (!n || !parse_expect(p, T_BLOCK_END))
			return NULL;
		return n;
	}
	return fail_tag(p, t->off, &t->s);
}

static bool parse_print(struct parser *p, struct nodevec *out)
{
	uint32_t off = parse_cur(p)->off;
	struct node *n;

	p->pos++;
	n = node_new(p, N_PRINT, off);
	n->a = parse_tuple(p, false, true, NULL, false);
	if (!n->a || !parse_expect(p, T_VAR_END))
		return false;
	nodevec_push(p->a, out, n);
	return true;
}

static bool ends_here(struct parser *p, const char *const *ends)
{
	for (size_t i = 0; ends && ends[i]; i++)
		if (parse_is_name(p, ends[i]))
			return true;
	return false;
}

/* Statements up to one of ENDS (NULL: the end of the text); stops at the name that ends it. */
static bool parse_nodes(struct parser *p, const char *const *ends, struct nodevec *out)
{
	for (;;) {
		struct token *t = parse_cur(p);
		struct node *n;

		switch (t->type) {
		case T_EOF:
			if (ends)
				return fail_tag(p, t->off, NULL);
			return true;
		case T_DATA:
			n = node_new(p, N_DATA, t->off);
			n->s = t->s;
			nodevec_push(p->a, out, n);
			p->pos++;
			break;
		case T_VAR_BEGIN:
			if (!parse_print(p, out))
				return false;
			break;
		case T_BLOCK_BEGIN:
			p->pos++;
			if (ends_here(p, ends))
				return true;
			n = parse_statement(p);
			if (!n)
				return false;
			nodevec_push(p->a, out, n);
			break;
		default: return parse_fail(p, t->off, "unexpected '%s'", tok_name(t->type));
		}
	}
}

static bool parse_body(struct parser *p, const char *tag, const char *const *ends, struct nodevec *out)
{
	bool ok;

	parse_skip(p, T_COLON);
	if (!parse_expect(p, T_BLOCK_END))
		return false;
	if (p->ntags >= JINJA_MAX_NEST)
		return parse_fail(p, parse_cur(p)->off, "statements are nested too deeply");
	p->tags[p->ntags] = tag;
	p->ends[p->ntags++] = ends;
	ok = parse_nodes(p, ends, out);
	p->ntags--;
	return ok;
}

bool parse_template(struct parser *p)
{
	struct nodevec v = {0};

	if (!parse_nodes(p, NULL, &v))
		return false;
	p->t->body = v.v;
	p->t->nbody = v.n;
	return true;
}
