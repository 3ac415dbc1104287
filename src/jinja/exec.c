/* exec - statements, and the ways to start a template. */
#include "base/log.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

struct frame *rt_frame(struct rt *rt, struct frame *parent, size_t nslots)
{
	struct frame *f = arena_alloc(rt->a, sizeof(*f) + nslots * sizeof(f->slot[0]));

	f->parent = parent;
	return f;
}

void rt_capture(struct rt *rt, struct output *o, struct output **ret_saved)
{
	*o = (struct output){.b = {.max = JINJA_MAX_OUT}};
	*ret_saved = rt->out;
	rt->out = o;
}

struct val *rt_captured(struct rt *rt, struct output *o, struct output *saved)
{
	struct val *v;

	rt->out = saved;
	if (o->b.full) {
		buf_free(&o->b);
		jinja_fail(rt->err, "the text is larger than %zu bytes", JINJA_MAX_OUT);
		return NULL;
	}
	v = val_str(rt->a, buf_str(&o->b));
	if (o->secret) {
		v = val_mark_secret(rt->a, v);
		buf_burn(&o->b);
	}
	if (o->unsafe)
		v = val_mark_unsafe(rt->a, v);
	/* One piece keeps its nature; joined with others it is text like any. */
	if (o->text && o->pieces == 1)
		v = val_mark_text(rt->a, v);
	buf_free(&o->b);
	return v;
}

struct val *rt_in_markup(struct rt *rt, struct val *v)
{
	return v && rt->ctx->autoescape ? markup_of(rt->a, v) : v;
}

static void print_int(struct buf *out, uint64_t u)
{
	char tmp[24], *p = tmp + sizeof(tmp);

	do {
		*--p = (char)('0' + u % 10);
		u /= 10;
	} while (u);
	buf_add(out, p, (size_t)(tmp + sizeof(tmp) - p));
}

/* What an expression made of a secret (its hash, a part of it) is as secret, and the log has to know it. */
static void note_secrets(const struct val *v, unsigned depth)
{
	if (depth > 100 || !val_secret_deep(v))
		return;
	if (val_is_str(v)) {
		log_secret_derived(val_get_str(v));
	} else if (val_is_map(v)) {
		MAP_EACH (i, v)
			note_secrets(val_value_at(v, i), depth + 1);
	} else if (val_is_list(v)) {
		VAL_EACH (i, v)
			note_secrets(val_at(v, i), depth + 1);
	}
}

static void count_piece(struct output *o, bool text)
{
	o->pieces += o->pieces < 2;
	o->text = text;
}

bool rt_print(struct rt *rt, const struct val *v)
{
	bool strict = rt_strict(rt);

	count_piece(rt->out, val_is_str(v) && val_is_text(v));
	if (strict) {
		const struct val *u = val_deep_undef(v);

		if (u)
			return jinja_fail(rt->err, "%s", val_undef_msg(u));
		if (val_is_null(v))
			return true;
		/* Ansible unrolls ranges and the like before it prints them. */
		if (val_kind(v) == VAL_OBJ && val_obj_class(v)->plain)
			v = val_obj_class(v)->plain(val_obj_self(v), rt->a);
	}
	if (val_kind(v) == VAL_INT && val_get_int(v) >= 0) {
		print_int(&rt->out->b, (uint64_t)val_get_int(v));
		rt->out->secret |= val_secret(v);
		rt->out->unsafe |= val_unsafe(v);
	} else if (val_is_str(v)) {
		buf_addstr(&rt->out->b, val_get_str(v));
		rt->out->secret |= val_secret(v);
		rt->out->unsafe |= val_unsafe(v);
	} else {
		val_print(v, &rt->out->b);
		rt->out->secret |= val_secret_deep(v);
		rt->out->unsafe |= val_deep_unsafe(v);
	}
	note_secrets(v, 0);
	if (rt->out->b.full)
		return jinja_fail(rt->err, "the text is larger than %zu bytes", JINJA_MAX_OUT);
	return true;
}

bool rt_step(struct rt *rt)
{
	if (++rt->ctx->steps > JINJA_MAX_STEPS)
		return jinja_fail(rt->err, "the template runs too long (%u loop passes)", JINJA_MAX_STEPS);
	return true;
}

/* ---- assignment */

static bool unpack(struct rt *rt, struct node *target, struct val *v)
{
	struct val *list;

	if (!val_is_list(v) && !val_is_map(v) && !val_is_str(v) && val_kind(v) != VAL_OBJ && !val_is_undef(v))
		return jinja_fail(rt->err, "cannot unpack non-iterable %s object", val_type_name(v));
	list = py_iter(rt->a, v, true, rt->err);
	if (!list)
		return false;
	if (val_len(list) < target->n)
		return jinja_fail(rt->err, "not enough values to unpack (expected %zu, got %zu)", target->n,
		                  val_len(list));
	if (val_len(list) > target->n)
		return jinja_fail(rt->err, "too many values to unpack (expected %zu)", target->n);
	for (size_t i = 0; i < target->n; i++)
		if (!rt_assign(rt, target->v[i], val_at(list, i)))
			return false;
	return true;
}

bool rt_assign(struct rt *rt, struct node *target, struct val *v)
{
	struct val *ns;

	switch (target->type) {
	case N_NAME:
		rt->frame->slot[target->refs[0].slot] = v;
		if (target->store_root && rt->exports)
			val_sets(rt->exports, target->s, v);
		return true;
	case N_TUPLE:
		if (!unpack(rt, target, v)) {
			rt_fail_at(rt, target);
			return false;
		}
		return true;
	default:
		ns = rt_eval(rt, target->a);
		if (!ns)
			return false;
		if (val_kind(ns) != VAL_OBJ || !val_obj_class(ns)->set) {
			jinja_fail(rt->err, "cannot assign attribute on non-namespace object");
			rt_fail_at(rt, target);
			return false;
		}
		return val_obj_class(ns)->set(val_obj_self(ns), target->k, v, rt->err);
	}
}

/* ---- statements */

/* The text of a body as a value. */
static struct val *captured_body(struct rt *rt, struct node **v, size_t n)
{
	struct output o, *saved;
	enum flow f;

	rt_capture(rt, &o, &saved);
	f = rt_exec_body(rt, v, n);
	if (f != FLOW_OK) {
		buf_free(&o.b);
		rt->out = saved;
		if (f != FLOW_FAIL)
			jinja_fail(rt->err, "break or continue cannot leave a block of text");
		return NULL;
	}
	return rt_in_markup(rt, rt_captured(rt, &o, saved));
}

/* V through a filter chain whose innermost input is left open. */
static struct val *through(struct rt *rt, struct node *chain, struct val *v)
{
	struct node *in = chain, hole = {.type = N_CONST, .k = v};
	struct val *r;

	while (in->a)
		in = in->a;
	in->a = &hole;
	r = rt_eval(rt, chain);
	in->a = NULL;
	return r;
}

static enum flow exec_set(struct rt *rt, struct node *n)
{
	struct val *v;

	if (n->type == N_SET) {
		v = rt_eval(rt, n->b);
	} else {
		const struct jinja_tmpl *extends = rt->extends;

		rt->extends = NULL;
		v = captured_body(rt, n->v, n->n);
		rt->extends = extends;
		if (v && n->b)
			v = through(rt, n->b, v);
	}
	return v && rt_assign(rt, n->a, v) ? FLOW_OK : FLOW_FAIL;
}

static enum flow exec_if(struct rt *rt, struct node *n)
{
	for (;;) {
		struct val *v = rt_eval(rt, n->a);
		bool yes;

		if (!v)
			return FLOW_FAIL;
		if (!rt_truthy(rt, v, &yes)) {
			rt_fail_at(rt, n->a);
			return FLOW_FAIL;
		}
		if (yes)
			return rt_exec_body(rt, n->v, n->n);
		if (n->wn == 1 && n->w[0]->type == N_IF) {
			n = n->w[0];
			continue;
		}
		return rt_exec_body(rt, n->w, n->wn);
	}
}

static enum flow exec_filter_block(struct rt *rt, struct node *n)
{
	struct val *v = captured_body(rt, n->v, n->n);

	if (v)
		v = through(rt, n->a, v);
	if (!v)
		return FLOW_FAIL;
	if (!rt_print(rt, v)) {
		rt_fail_at(rt, n);
		return FLOW_FAIL;
	}
	return FLOW_OK;
}

static enum flow exec_with(struct rt *rt, struct node *n)
{
	struct val **v = arena_array(rt->a, n->n + 1, sizeof(struct val *));

	for (size_t i = 0; i < n->n; i++) {
		v[i] = rt_eval(rt, n->w[i]);
		if (!v[i])
			return FLOW_FAIL;
	}
	for (size_t i = 0; i < n->n; i++)
		if (!rt_assign(rt, n->v[i], v[i]))
			return FLOW_FAIL;
	return rt_exec_body(rt, n->x, n->xn);
}

static enum flow exec_call_block(struct rt *rt, struct node *n)
{
	struct node call = *n->a, caller = {.type = N_CONST};
	struct node **w = arena_array(rt->a, call.wn + 1, sizeof(*w));
	struct str *names = arena_array(rt->a, call.wn + 1, sizeof(*names));
	struct val *v;

	for (size_t i = 0; i < call.wn; i++) {
		w[i] = call.w[i];
		names[i] = call.names[i];
	}
	caller.k = rt_macro(rt, n->b);
	w[call.wn] = &caller;
	names[call.wn++] = STR("caller");
	call.w = w;
	call.names = names;
	v = rt_eval(rt, &call);
	if (!v)
		return FLOW_FAIL;
	if (!rt_print(rt, v)) {
		rt_fail_at(rt, n);
		return FLOW_FAIL;
	}
	return FLOW_OK;
}

static bool escapes(const struct rt *rt, const struct node *n)
{
	return (n->flags & NF_ESCAPE) && (!(n->flags & NF_VOLATILE) || rt->ctx->autoescape);
}

static enum flow exec_autoescape(struct rt *rt, struct node *n)
{
	struct val *v = rt_eval(rt, n->a);
	bool outer = rt->ctx->autoescape;
	enum flow f;

	if (!v)
		return FLOW_FAIL;
	rt->ctx->autoescape = val_truthy(v);
	f = rt_exec_body(rt, n->v, n->n);
	rt->ctx->autoescape = outer;
	return f;
}

static enum flow exec_print(struct rt *rt, struct node *n)
{
	struct val *v = rt_eval(rt, n->a);

	if (!v)
		return FLOW_FAIL;
	if (escapes(rt, n) && !val_is_undef(v) && !val_is_num(v))
		v = markup_escape(rt->a, v);
	if (!rt_print(rt, v)) {
		rt_fail_at(rt, n->a);
		return FLOW_FAIL;
	}
	return FLOW_OK;
}

static enum flow exec_node(struct rt *rt, struct node *n)
{
	switch (n->type) {
	/* Text outside the blocks of a template that extends another is not shown, nor computed. */
	case N_DATA:
		if (rt->extends)
			return FLOW_OK;
		count_piece(rt->out, false);
		buf_addstr(&rt->out->b, n->s);
		return FLOW_OK;
	case N_PRINT: return rt->extends ? FLOW_OK : exec_print(rt, n);
	case N_PRINTS: return rt_exec_body(rt, n->v, n->n);
	case N_IF: return exec_if(rt, n);
	case N_FOR: return rt_exec_for(rt, n);
	case N_SET:
	case N_SETBLOCK: return exec_set(rt, n);
	case N_MACRO: return rt_assign(rt, n->a, rt_macro(rt, n)) ? FLOW_OK : FLOW_FAIL;
	case N_CALLBLOCK: return exec_call_block(rt, n);
	case N_FILTERBLOCK: return exec_filter_block(rt, n);
	case N_WITH: return exec_with(rt, n);
	case N_SCOPE: return exec_autoescape(rt, n);
	case N_BLOCK: return rt_exec_block(rt, n);
	case N_INCLUDE: return rt_exec_include(rt, n);
	case N_IMPORT:
	case N_FROM: return rt_exec_import(rt, n);
	case N_EXTENDS: return rt_exec_extends(rt, n);
	case N_BREAK: return FLOW_BREAK;
	case N_CONTINUE: return FLOW_CONTINUE;
	case N_DO: return rt_eval(rt, n->a) ? FLOW_OK : FLOW_FAIL;
	default: err_set(rt->err, ERR_BUG, rt->t->at, "unknown statement %d", n->type); return FLOW_FAIL;
	}
}

enum flow rt_exec_body(struct rt *rt, struct node **v, size_t n)
{
	enum flow f = FLOW_OK;

	if (rt->ctx->depth >= JINJA_MAX_DEPTH || !jinja_stack_left(rt->ctx->env)) {
		jinja_fail(rt->err, "maximum recursion depth exceeded");
		if (n)
			rt_fail_at(rt, v[0]);
		return FLOW_FAIL;
	}
	rt->ctx->depth++;
	for (size_t i = 0; i < n && f == FLOW_OK; i++)
		f = exec_node(rt, v[i]);
	rt->ctx->depth--;
	return f;
}

/* ---- starting */

static struct rt *rt_new(const struct jinja_tmpl *t, struct jinja_ctx *c, struct arena *a, struct err *err)
{
	struct rt *rt = ARENA_NEW(a, struct rt);

	rt->ctx = c;
	rt->t = t;
	rt->a = a;
	rt->err = err;
	rt->frame = rt_frame(rt, NULL, t->nslots);
	rt->names = arena_array(a, t->nnames + 1, sizeof(*rt->names));
	rt->blocks = ARENA_NEW(a, struct block_table);
	if (t->shares)
		rt->exports = val_map(a);
	if (!c->renders++) {
		c->steps = 0;
		c->cache = val_map(a);
		c->cache_arena = a;
		c->loaded = NULL;
	}
	return rt;
}

static void rt_end(struct jinja_ctx *c)
{
	if (!--c->renders) {
		c->cache = NULL;
		c->cache_arena = NULL;
		c->loaded = NULL;
	}
}

static bool render_text(const struct jinja_tmpl *t, struct jinja_ctx *c, struct arena *a, struct val **ret,
                        struct err *err)
{
	struct output o, *saved;
	struct rt *rt = rt_new(t, c, a, err);
	struct val *v = NULL;

	rt_capture(rt, &o, &saved);
	if (t->expr) {
		struct val *x = rt_eval(rt, t->expr);

		if (x && rt_print(rt, x))
			v = rt_captured(rt, &o, saved);
		else if (x)
			rt_fail_at(rt, t->expr);
	} else if (rt_run_root(rt) == FLOW_OK) {
		v = rt_captured(rt, &o, saved);
	}
	if (!v)
		buf_free(&o.b);
	rt_end(c);
	if (v)
		*ret = v;
	return v;
}

/* The newlines at the end of the template's text that rendering dropped. */
static struct val *with_newlines(struct arena *a, const struct jinja_tmpl *t, struct val *v)
{
	struct str s = val_get_str(v);
	unsigned have = 0, want = t->trailing_newlines;
	const char *newline = t->opts.newline_sequence ? t->opts.newline_sequence : "\n";
	struct buf b = {0};
	struct val *r;

	while (have < s.n && s.p[s.n - 1 - have] == '\n')
		have++;
	if (have >= want)
		return v;
	buf_addstr(&b, s);
	for (; have < want; have++)
		buf_adds(&b, newline);
	r = buf_val(&b, a);
	return val_taint_from(a, r, v);
}

bool jinja_render(const struct jinja_tmpl *t, struct jinja_ctx *c, struct arena *a, struct val **ret,
                  struct err *err)
{
	if (!render_text(t, c, a, ret, err))
		return false;
	if (t->ansible)
		*ret = with_newlines(a, t, *ret);
	return true;
}

bool jinja_eval(const struct jinja_tmpl *t, struct jinja_ctx *c, struct arena *a, struct val **ret,
                struct err *err)
{
	struct rt *rt;
	struct val *v;

	if (!t->expr)
		return jinja_render_ansible(t, c, a, ret, err);
	rt = rt_new(t, c, a, err);
	v = rt_eval(rt, t->expr);
	rt_end(c);
	if (v)
		*ret = v;
	return v;
}

/* The expression of a template that is nothing but one {{ expression }}, or NULL. */
static struct node *only_expression(const struct jinja_tmpl *t)
{
	if (t->expr)
		return t->expr;
	return t->nbody == 1 && t->body[0]->type == N_PRINT ? t->body[0]->a : NULL;
}

/* Text that reads as a list, dict or bool becomes one. */
static struct val *evaluated(struct arena *a, struct val *v)
{
	struct str s = val_get_str(v);
	struct val *lit;

	if (val_is_text(v) || !s.n ||
	    !(s.p[0] == '{' || s.p[0] == '[' || str_eqc(s, "True") || str_eqc(s, "False")))
		return v;
	if (!jinja_literal_eval(a, s, &lit))
		return v;
	if (val_secret(v))
		lit = val_mark_secret(a, lit);
	if (val_unsafe(v))
		lit = val_mark_unsafe(a, lit);
	return lit;
}

/* A variable alone in its delimiters keeps its number or null. */
static bool keeps_type(const struct jinja_tmpl *t, const struct jinja_ctx *c, const struct node *one,
                       const struct val *v)
{
	return t->bare && one->type == N_NAME && (val_is_num(v) || val_is_null(v)) &&
	       (!c->hooks.is_plain || c->hooks.is_plain(c->hooks.ctx, one->s));
}

static bool has_behaviour(const struct val *v)
{
	return val_kind(v) == VAL_OBJ || val_is_undef(v);
}

bool jinja_render_ansible(const struct jinja_tmpl *t, struct jinja_ctx *c, struct arena *a, struct val **ret,
                          struct err *err)
{
	struct node *one = only_expression(t);
	struct val *v;

	if (one) {
		struct rt *rt = rt_new(t, c, a, err);
		const struct val *u = NULL;

		v = rt_eval(rt, one);
		u = v ? val_deep_undef(v) : NULL;
		if (u) {
			jinja_fail(err, "%s", val_undef_msg(u));
			rt_fail_at(rt, one);
			v = NULL;
		}
		rt_end(c);
		if (!v)
			return false;
		if (val_kind(v) == VAL_OBJ && val_obj_class(v)->plain)
			v = val_obj_class(v)->plain(val_obj_self(v), a);
		note_secrets(v, 0);
		/* A bare variable keeps its number or null; else only lists, dicts and bools stay what they
		 * are. */
		if (val_kind(v) == VAL_BOOL || val_is_map(v) || val_kind(v) == VAL_LIST ||
		    val_kind(v) == VAL_TUPLE || keeps_type(t, c, one, v)) {
			if (!val_find(v, has_behaviour, NULL) && val_kind(v) != VAL_TUPLE) {
				*ret = v;
				return true;
			}
		}
		struct val *s = val_is_str(v)    ? v
		                : val_is_null(v) ? val_str(a, STR(""))
		                                 : val_str(a, val_text(v, a));

		if (s != v && val_secret_deep(v))
			s = val_mark_secret(a, s);
		if (s != v && val_deep_unsafe(v))
			s = val_mark_unsafe(a, s);
		v = s;
	} else if (!render_text(t, c, a, &v, err)) {
		return false;
	}
	v = evaluated(a, v);
	*ret = val_is_str(v) ? with_newlines(a, t, v) : v;
	return true;
}
