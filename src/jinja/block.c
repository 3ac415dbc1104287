/* block - what makes a template more than one text: blocks, inheritance, include, import; and macros. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

/* The local names N passes on, over what the template itself was given. */
static struct val *visible_names(struct rt *rt, struct node *n)
{
	struct val *m = val_map(rt->a);

	if (rt->overlay)
		MAP_EACH (i, rt->overlay)
			val_setk(m, val_key_at(rt->overlay, i), val_value_at(rt->overlay, i));
	if (rt->exports)
		MAP_EACH (i, rt->exports)
			val_setk(m, val_key_at(rt->exports, i), val_value_at(rt->exports, i));
	for (size_t i = 0; i < n->nvisible; i++) {
		struct frame *f = rt->frame;
		struct var_at *v = &n->visible[i];

		for (size_t d = v->ref.depth; d > 0; d--)
			f = f->parent;
		if (f->slot[v->ref.slot])
			val_sets(m, v->name, f->slot[v->ref.slot]);
	}
	return m;
}

/* A run of template T beside RT: same context and output, frames of its own. */
static struct rt *rt_beside(struct rt *rt, const struct jinja_tmpl *t)
{
	struct rt *sub = ARENA_NEW(rt->a, struct rt);

	*sub = *rt;
	sub->t = t;
	sub->frame = rt_frame(rt, NULL, t->nslots);
	sub->names = arena_array(rt->a, t->nnames + 1, sizeof(*sub->names));
	sub->exports = t->shares ? val_map(rt->a) : NULL;
	sub->overlay = NULL;
	sub->blocks = ARENA_NEW(rt->a, struct block_table);
	sub->block = NULL;
	sub->extends = NULL;
	return sub;
}

/* ---- loading */

static struct jinja_tmpl *load_one(struct rt *rt, struct str name, bool *ret_found)
{
	struct jinja_ctx *c = rt->ctx;
	struct loaded *l;
	struct str text = {0};
	struct origin at = ORIGIN_NONE;

	*ret_found = true;
	for (l = c->loaded; l; l = l->next)
		if (str_eq(l->name, name))
			return l->t;
	if (c->hooks.load && !c->hooks.load(c->hooks.ctx, name, rt->a, &text, &at, rt->err))
		return NULL;
	if (!text.p) {
		*ret_found = false;
		return NULL;
	}
	l = ARENA_NEW(rt->a, struct loaded);
	l->name = str_dup(rt->a, name);
	if (!jinja_compile(c->env, rt->a, text, at, &rt->t->opts, &l->t, rt->err))
		return NULL;
	l->next = c->loaded;
	c->loaded = l;
	return l->t;
}

/* The first template that exists of the name or list of names N evaluates to; *RET_FOUND false: none does. */
static struct jinja_tmpl *load(struct rt *rt, struct node *n, bool *ret_found)
{
	struct val *v = rt_eval(rt, n), *list;
	struct jinja_tmpl *t = NULL;
	struct buf tried = {0};

	*ret_found = true;
	if (!v)
		return NULL;
	list = v;
	if (!val_is_list(v)) {
		list = val_list(rt->a);
		val_push(list, v);
	}
	if (!val_len(list)) {
		jinja_fail(rt->err, "Tried to select from an empty list of templates.");
		rt_fail_at(rt, n);
		return NULL;
	}
	VAL_EACH (i, list) {
		struct val *name = val_at(list, i);

		if (!val_is_str(name)) {
			jinja_fail(rt->err,
			           val_is_undef(name) ? "%s" : "a template's name must be a string, not %s",
			           val_is_undef(name) ? val_undef_msg(name) : val_type_name(name));
			rt_fail_at(rt, n);
			break;
		}
		t = load_one(rt, val_get_str(name), ret_found);
		if (t || *ret_found)
			break;
		buf_printf(&tried, "%s%.*s", i ? ", " : "", STR_FMT(val_get_str(name)));
	}
	if (!t && !*ret_found) {
		struct origin at = rt->t->at;

		if (at.src)
			at.off += n->off;
		if (val_is_list(v))
			err_set(rt->err, ERR_USER, at, "none of the templates given were found: %s",
			        tried.p ? tried.p : "");
		else
			err_set(rt->err, ERR_USER, at, "template not found: %s", tried.p ? tried.p : "");
	}
	buf_free(&tried);
	return t;
}

/* ---- blocks */

static struct block_def *find_block(struct block_table *bt, struct str name)
{
	for (size_t i = 0; i < bt->n; i++)
		if (str_eq(bt->v[i]->name, name))
			return bt->v[i];
	return NULL;
}

/* RT's template defines its blocks below those of the templates that extend it. */
bool rt_add_blocks(struct rt *rt)
{
	for (size_t i = 0; i < rt->t->nblocks; i++) {
		struct node *n = rt->t->blocks[i];
		struct block_def *d = ARENA_NEW(rt->a, struct block_def), *top = find_block(rt->blocks, n->s);

		*d = (struct block_def){.name = n->s, .node = n, .rt = rt};
		if (top) {
			while (top->parent)
				top = top->parent;
			top->parent = d;
			continue;
		}
		struct block_def **v = arena_array(rt->a, rt->blocks->n + 1, sizeof(struct block_def *));

		if (rt->blocks->n)
			memcpy(v, rt->blocks->v, rt->blocks->n * sizeof(struct block_def *));
		v[rt->blocks->n++] = d;
		rt->blocks->v = v;
	}
	return true;
}

static enum flow run_block(struct rt *rt, struct block_def *d, struct val *overlay)
{
	struct rt *sub = ARENA_NEW(rt->a, struct rt);
	enum flow f;

	if (d->node->flags & NF_REQUIRED) {
		jinja_fail(rt->err, "Required block '%.*s' not found", STR_FMT(d->name));
		return FLOW_FAIL;
	}
	*sub = *d->rt;
	sub->err = rt->err;
	sub->out = rt->out;
	sub->block = d;
	/* What a scoped block is given holds the top-level names, too, and comes before them. */
	sub->overlay = overlay ? overlay : rt->overlay;
	sub->exports = overlay ? NULL : rt->exports;
	sub->extends = NULL; /* which silences what is outside blocks */
	sub->frame = rt_frame(rt, NULL, d->node->unit_slots);
	f = rt_exec_body(sub, d->node->v, d->node->n);
	return f == FLOW_FAIL ? f : FLOW_OK;
}

enum flow rt_exec_block(struct rt *rt, struct node *n)
{
	struct block_def *d = find_block(rt->blocks, n->s);
	enum flow f;

	if (rt->extends && (n->flags & NF_TOP))
		return FLOW_OK;
	f = run_block(rt, d, (n->flags & NF_SCOPED) ? visible_names(rt, n) : NULL);
	if (f == FLOW_FAIL)
		rt_fail_at(rt, n);
	return f;
}

struct block_ref {
	struct rt *rt;
	struct block_def *d;
};

static bool block_call(void *self, void *ctx, struct val *args, struct val *kwargs, struct arena *a,
                       struct val **ret, struct err *err)
{
	struct block_ref *r = self;
	struct output o, *saved;
	struct rt sub = *r->rt;

	(void)ctx;
	(void)args;
	(void)kwargs;
	(void)a;
	sub.err = err;
	rt_capture(&sub, &o, &saved);
	if (run_block(&sub, r->d, NULL) == FLOW_FAIL) {
		buf_free(&o.b);
		return false;
	}
	*ret = rt_in_markup(&sub, rt_captured(&sub, &o, saved));
	return *ret;
}

static bool block_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                      struct err *err);

static const struct val_class block_class = {.name = "BlockReference", .call = block_call, .get = block_get};

static struct val *block_ref(struct rt *rt, struct block_def *d)
{
	struct block_ref *r = ARENA_NEW(rt->a, struct block_ref);

	r->rt = rt;
	r->d = d;
	return val_obj(rt->a, &block_class, r);
}

/* super.super */
static bool block_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                      struct err *err)
{
	struct block_ref *r = self;

	(void)ctx;
	if (!val_is_str(key) || !str_eqc(val_get_str(key), "super"))
		return true;
	if (!r->d->parent)
		return jinja_fail(err, "there is no parent block called '%.*s'.", STR_FMT(r->d->name));
	struct block_ref *up = ARENA_NEW(a, struct block_ref);

	*up = (struct block_ref){r->rt, r->d->parent};
	*ret = val_obj(a, &block_class, up);
	return true;
}

static bool self_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                     struct err *err)
{
	struct rt *rt = self;
	struct block_def *d = val_is_str(key) ? find_block(rt->blocks, val_get_str(key)) : NULL;

	(void)ctx;
	(void)a;
	(void)err;
	if (d)
		*ret = block_ref(rt, d);
	return true;
}

static const struct val_class self_class = {.name = "TemplateReference", .get = self_get};

/* "super" and "self". NULL when NAME is neither. */
struct val *rt_special(struct rt *rt, struct str name)
{
	if (rt->block && str_eqc(name, "super")) {
		if (rt->block->parent)
			return block_ref(rt, rt->block->parent);
		return val_undef(rt->a, name,
		                 arena_printf(rt->a, "there is no parent block called '%.*s'.",
		                              STR_FMT(rt->block->name)));
	}
	if (rt->t->nblocks && str_eqc(name, "self"))
		return val_obj(rt->a, &self_class, rt);
	return NULL;
}

/* ---- inheritance */

enum flow rt_exec_extends(struct rt *rt, struct node *n)
{
	bool found;

	if (rt->extends) {
		jinja_fail(rt->err, "extended multiple times");
		rt_fail_at(rt, n);
		return FLOW_FAIL;
	}
	rt->extends = load(rt, n->a, &found);
	return rt->extends ? FLOW_OK : FLOW_FAIL;
}

enum flow rt_run_root(struct rt *rt)
{
	unsigned levels = 0;

	for (;;) {
		struct rt *sub;
		enum flow f;

		rt_add_blocks(rt);
		f = rt_exec_body(rt, rt->t->body, rt->t->nbody);
		if (f != FLOW_OK || !rt->extends)
			return f;
		if (++levels > JINJA_MAX_NEST) {
			jinja_fail(rt->err, "templates extend each other without end");
			return FLOW_FAIL;
		}
		sub = rt_beside(rt, rt->extends);
		sub->blocks = rt->blocks;
		sub->exports = rt->exports;
		sub->overlay = rt->overlay;
		rt = sub;
	}
}

/* ---- include and import */

enum flow rt_exec_include(struct rt *rt, struct node *n)
{
	bool found;
	struct jinja_tmpl *t = load(rt, n->a, &found);
	struct rt *sub;

	if (!t) {
		if (found || !(n->flags & NF_IGNORE))
			return FLOW_FAIL;
		err_clear(rt->err);
		return FLOW_OK;
	}
	sub = rt_beside(rt, t);
	if (n->flags & NF_CONTEXT)
		sub->overlay = visible_names(rt, n);
	else
		sub->isolated = true;
	/* What is included escapes by itself or not at all. */
	bool outer = rt->ctx->autoescape;
	rt->ctx->autoescape = false;
	enum flow f = rt_run_root(sub);
	rt->ctx->autoescape = outer;
	return f;
}

struct module {
	struct rt *rt;
	struct str text; /* what the template shows: the module as text */
};

static struct val *module_name(struct module *m, struct str name)
{
	const struct jinja_tmpl *t = m->rt->t;

	if (name.n && name.p[0] == '_')
		return NULL;
	for (size_t i = 0; i < t->nroot; i++)
		if (str_eq(t->root[i].name, name))
			return m->rt->frame->slot[t->root[i].ref.slot];
	return NULL;
}

static bool module_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                       struct err *err)
{
	(void)ctx;
	(void)a;
	(void)err;
	if (val_is_str(key))
		*ret = module_name(self, val_get_str(key));
	return true;
}

static void module_repr(void *self, struct buf *out)
{
	struct module *m = self;

	buf_addstr(out, m->text);
}

static const struct val_class module_class = {
        .name = "TemplateModule", .get = module_get, .repr = module_repr};

/* What the I-th name of {% from %} is when the template has none of that name. */
static struct val *not_exported(struct rt *rt, struct node *n, size_t i)
{
	struct val *name = rt_eval(rt, n->a);
	struct buf b = {0};
	size_t line = 1;
	char *msg;

	for (size_t at = 0; at < n->off; at++)
		line += rt->t->text.p[at] == '\n';
	val_repr(name ? name : val_null(), &b);
	msg = arena_printf(rt->a,
	                   "the template %s (imported on line %zu) does not export the requested name '%.*s'",
	                   b.p, line, STR_FMT(n->names[i]));
	buf_free(&b);
	return val_undef(rt->a, n->names[i], msg);
}

enum flow rt_exec_import(struct rt *rt, struct node *n)
{
	bool found;
	struct jinja_tmpl *t = load(rt, n->a, &found);
	struct output none = {.b = {.max = JINJA_MAX_OUT}};
	struct module *m;
	struct rt *sub;
	enum flow f;

	if (!t)
		return FLOW_FAIL;
	sub = rt_beside(rt, t);
	if (n->flags & NF_CONTEXT)
		sub->overlay = visible_names(rt, n);
	else
		sub->isolated = true;
	sub->out = &none;
	f = rt_run_root(sub);
	m = ARENA_NEW(rt->a, struct module);
	m->rt = sub;
	m->text = buf_take(&none.b, rt->a);
	buf_free(&none.b);
	sub->out = rt->out;
	if (f != FLOW_OK)
		return FLOW_FAIL;
	if (n->type == N_IMPORT)
		return rt_assign(rt, n->b, val_obj(rt->a, &module_class, m)) ? FLOW_OK : FLOW_FAIL;
	for (size_t i = 0; i < n->nnames; i++) {
		struct val *v = module_name(m, n->names[i]);

		if (!v)
			v = not_exported(rt, n, i);
		if (!rt_assign(rt, n->x[i], v))
			return FLOW_FAIL;
	}
	return FLOW_OK;
}

/* ---- macros */

struct macro {
	struct rt *rt;
	struct node *n;
};

static bool macro_extra(struct macro *m, struct rt *sub, struct val *args, struct val *rest)
{
	struct node *n = m->n;
	size_t nargs = val_len(args);

	if (n->flags & NF_VARARGS) {
		struct val *t = val_tuple(sub->a);

		for (size_t i = n->xn; i < nargs; i++)
			val_push(t, val_at(args, i));
		sub->frame->slot[n->slot_varargs] = t;
	} else if (nargs > n->xn) {
		return jinja_fail(sub->err, "macro '%.*s' takes not more than %zu argument(s)", STR_FMT(n->s),
		                  n->xn);
	}
	if (n->flags & NF_KWARGS)
		sub->frame->slot[n->slot_kwargs] = rest;
	else if (val_get(rest, "caller"))
		return jinja_fail(sub->err,
		                  "macro '%.*s' was invoked with two values for the special caller argument. "
		                  "This is most likely a bug.",
		                  STR_FMT(n->s));
	else if (val_len(rest))
		return jinja_fail(sub->err, "macro '%.*s' takes no keyword argument '%.*s'", STR_FMT(n->s),
		                  STR_FMT(val_get_str(val_key_at(rest, 0))));
	return true;
}

static bool macro_bind(struct macro *m, struct rt *sub, struct val *args, struct val *kwargs)
{
	struct node *n = m->n;
	struct val *rest = val_map(sub->a), *caller = NULL;
	size_t first_default = n->xn - n->wn;

	if (kwargs)
		MAP_EACH (i, kwargs)
			val_setk(rest, val_key_at(kwargs, i), val_value_at(kwargs, i));
	for (size_t i = 0; i < n->xn; i++) {
		struct node *arg = n->x[i];
		struct val *v = val_at(args, i), *named = val_gets(rest, arg->s);

		if (!v && named) {
			v = named;
			val_del(rest, arg->s);
		}
		if (!v && i >= first_default)
			v = rt_eval(sub, n->w[i - first_default]);
		else if (!v)
			v = val_undef(
			        sub->a, arg->s,
			        arena_printf(sub->a, "parameter '%.*s' was not provided", STR_FMT(arg->s)));
		if (!v)
			return false;
		sub->frame->slot[arg->refs[0].slot] = v;
	}
	caller = val_get(rest, "caller");
	if (n->flags & NF_CALLER) {
		if (caller)
			val_del(rest, STR("caller"));
		else
			caller = val_undef(sub->a, STR("caller"), "No caller defined");
		if (!sub->frame->slot[n->slot_caller])
			sub->frame->slot[n->slot_caller] = caller;
	}
	return macro_extra(m, sub, args, rest);
}

static bool macro_call(void *self, void *ctx, struct val *args, struct val *kwargs, struct arena *a,
                       struct val **ret, struct err *err)
{
	struct macro *m = self;
	struct rt *sub = ARENA_NEW(a, struct rt);
	struct output o, *saved;

	(void)ctx;
	*sub = *m->rt;
	sub->err = err;
	sub->extends = NULL;
	sub->frame = rt_frame(sub, m->rt->frame, m->n->unit_slots);
	if (!macro_bind(m, sub, args, kwargs))
		return false;
	rt_capture(sub, &o, &saved);
	if (rt_exec_body(sub, m->n->v, m->n->n) == FLOW_FAIL) {
		buf_free(&o.b);
		return false;
	}
	*ret = rt_in_markup(sub, rt_captured(sub, &o, saved));
	return *ret;
}

static bool macro_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                      struct err *err)
{
	struct macro *m = self;

	(void)ctx;
	(void)err;
	if (!val_is_str(key))
		return true;
	if (str_eqc(val_get_str(key), "name"))
		*ret = val_str(a, m->n->s);
	if (str_eqc(val_get_str(key), "arguments")) {
		*ret = val_tuple(a);
		for (size_t i = 0; i < m->n->xn; i++)
			val_push(*ret, val_str(a, m->n->x[i]->s));
	}
	if (str_eqc(val_get_str(key), "caller") || str_eqc(val_get_str(key), "catch_varargs") ||
	    str_eqc(val_get_str(key), "catch_kwargs"))
		*ret = val_bool(m->n->flags & (val_get_str(key).n == 6    ? NF_CALLER
		                               : val_get_str(key).n == 13 ? NF_VARARGS
		                                                          : NF_KWARGS));
	return true;
}

static void macro_repr(void *self, struct buf *out)
{
	struct macro *m = self;

	if (m->n->a)
		buf_printf(out, "<Macro '%.*s'>", STR_FMT(m->n->s));
	else
		buf_adds(out, "<Macro anonymous>");
}

static const struct val_class macro_class = {
        .name = "Macro",
        .get = macro_get,
        .call = macro_call,
        .repr = macro_repr,
};

struct val *rt_macro(struct rt *rt, struct node *n)
{
	struct macro *m = ARENA_NEW(rt->a, struct macro);
	struct rt *own = ARENA_NEW(rt->a, struct rt);

	*own = *rt;
	m->rt = own;
	m->n = n;
	return val_obj(rt->a, &macro_class, m);
}
