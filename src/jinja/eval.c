/* eval - expressions. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

static struct val *eval_node(struct rt *rt, struct node *n);

bool rt_strict(const struct rt *rt)
{
	return rt->t->ansible || rt->ctx->env->ansible;
}

static struct origin node_origin(const struct rt *rt, const struct node *n)
{
	struct origin at = rt->t->at;

	if (at.src)
		at.off += n->off;
	return at;
}

void *rt_fail_at(struct rt *rt, const struct node *n)
{
	if (rt->err && rt->err->n && !rt->err->frames[0].at.src)
		rt->err->frames[0].at = node_origin(rt, n);
	return NULL;
}

static void *fail_undef(struct rt *rt, const struct node *n, const struct val *v)
{
	err_set(rt->err, ERR_USER, node_origin(rt, n), "%s", val_undef_msg(v));
	return NULL;
}

bool rt_truthy(struct rt *rt, const struct val *v, bool *ret)
{
	if (val_undef_fails(v) && rt_strict(rt))
		return jinja_fail(rt->err, "%s", val_undef_msg(v));
	*ret = val_truthy(v);
	return true;
}

/* ---- names */

/* Lists and maps of V copied, what is in them shared: a template that changes them must not change the
 * caller's. */
static struct val *own_copy(struct arena *a, struct val *v, unsigned depth)
{
	struct val *r;

	if (depth > 100 || (!val_is_list(v) && !val_is_map(v)))
		return v;
	r = val_shallow(a, v);
	if (val_is_map(v)) {
		MAP_EACH (i, v)
			val_setk(r, val_key_at(v, i), own_copy(a, val_value_at(v, i), depth + 1));
		return r;
	}
	VAL_EACH (i, v)
		val_set_at(r, i, own_copy(a, val_at(v, i), depth + 1));
	return r;
}

static bool resolve_hook(struct rt *rt, struct str name, struct val **ret)
{
	struct jinja_ctx *c = rt->ctx;

	*ret = val_gets(c->locals, name);
	if (*ret || !c->hooks.resolve)
		return true;
	if (c->cache_arena == rt->a) {
		*ret = val_gets(c->cache, name);
		if (*ret)
			return true;
	}
	if (!c->hooks.resolve(c->hooks.ctx, name, rt->a, ret, rt->err))
		return false;
	if (*ret && c->cache_arena == rt->a)
		val_sets(c->cache, name, *ret);
	return true;
}

struct val *rt_resolve(struct rt *rt, struct str name)
{
	struct val *v = NULL;
	const struct jinja_func *fn;

	if (!rt->isolated && !resolve_hook(rt, name, &v))
		return NULL;
	if (v)
		return rt->t->mutates ? own_copy(rt->a, v, 0) : v;
	fn = jinja_env_find(rt->ctx->env, 'g', name);
	if (fn)
		return jinja_function(rt->a, fn, NULL);
	return val_undef(rt->a, name, NULL);
}

static struct val *outer(struct rt *rt, struct node *n)
{
	struct val *v = NULL;

	if (rt->exports)
		v = val_gets(rt->exports, n->s);
	if (!v && rt->overlay)
		v = val_gets(rt->overlay, n->s);
	if (v)
		return v;
	v = rt->names[n->name_id];
	if (v)
		return v;
	v = rt_special(rt, n->s);
	if (v)
		return v;
	v = rt_resolve(rt, n->s);
	if (!v)
		return rt_fail_at(rt, n);
	rt->names[n->name_id] = v;
	return v;
}

static struct val *eval_name(struct rt *rt, struct node *n)
{
	for (size_t i = 0; i < n->nrefs; i++) {
		struct frame *f = rt->frame;

		for (size_t d = n->refs[i].depth; d > 0; d--)
			f = f->parent;
		if (f->slot[n->refs[i].slot])
			return f->slot[n->refs[i].slot];
	}
	/* A name that was surely assigned and is gone again: a closure over a loop that has ended. */
	return n->outer ? outer(rt, n) : val_undef(rt->a, n->s, NULL);
}

/* ---- attributes and items */

static struct val *missing(struct rt *rt, const struct val *obj, const struct val *key)
{
	struct buf b = {0};
	struct val *r;
	const char *type = py_object_name(obj, rt->a);

	if (val_is_str(key)) {
		buf_printf(&b, "'%s' has no attribute ", type);
		val_repr(key, &b);
	} else {
		buf_printf(&b, "%s has no element ", type);
		val_repr(key, &b);
	}
	r = val_undef(rt->a, val_is_str(key) ? val_get_str(key) : STR("element"), buf_take(&b, rt->a).p);
	buf_free(&b);
	return r;
}

static struct val *method_of(struct rt *rt, struct val *obj, const struct val *key)
{
	const struct jinja_func *m = val_is_str(key) ? py_method(obj, val_get_str(key)) : NULL;

	return m ? jinja_function(rt->a, m, obj) : NULL;
}

static struct val *item_of(struct rt *rt, struct val *obj, struct val *key)
{
	if (val_is_map(obj))
		return val_hashable(key) ? val_getk(obj, key) : NULL;
	if (val_kind(key) == VAL_INT && (val_is_list(obj) || val_is_str(obj)))
		return py_index(rt->a, obj, val_get_int(key));
	if (val_kind(key) == VAL_BOOL && (val_is_list(obj) || val_is_str(obj)))
		return py_index(rt->a, obj, val_get_bool(key));
	return NULL;
}

struct val *rt_getattr(struct rt *rt, struct val *obj, struct val *key, bool item_first)
{
	struct val *v = NULL;

	switch (val_kind(obj)) {
	case VAL_UNDEF:
		if (rt_strict(rt))
			return obj;
		jinja_fail(rt->err, "%s", val_undef_msg(obj));
		return NULL;
	case VAL_OBJ:
		if (val_obj_class(obj)->get &&
		    !val_obj_class(obj)->get(val_obj_self(obj), rt->ctx, key, rt->a, &v, rt->err))
			return NULL;
		if (v)
			return val_taint_from(rt->a, v, obj);
		v = method_of(rt, obj, key);
		break;
	default:
		v = item_first ? item_of(rt, obj, key) : method_of(rt, obj, key);
		if (!v)
			v = item_first ? method_of(rt, obj, key) : item_of(rt, obj, key);
		break;
	}
	if (!v)
		return missing(rt, obj, key);
	if (val_is_markup(obj))
		v = markup_of(rt->a, v);
	return val_is_str(obj) ? val_taint_from(rt->a, v, obj) : v;
}

static struct val *eval_item(struct rt *rt, struct node *n)
{
	struct val *obj = rt_eval(rt, n->a), *key, *r;

	if (!obj)
		return NULL;
	if (n->b->type == N_SLICE) {
		struct val *p[3] = {NULL, NULL, NULL};
		struct node *in[3] = {n->b->a, n->b->b, n->b->c};

		for (int i = 0; i < 3; i++) {
			if (in[i]) {
				p[i] = rt_eval(rt, in[i]);
				if (!p[i])
					return NULL;
			}
		}
		if (val_is_undef(obj) && rt_strict(rt))
			return obj;
		if (!py_slice(rt->a, obj, p[0], p[1], p[2], &r, rt->err))
			return rt_fail_at(rt, n);
		return val_taint_from(rt->a, val_is_markup(obj) ? markup_of(rt->a, r) : r, obj);
	}
	key = rt_eval(rt, n->b);
	if (!key)
		return NULL;
	if (val_is_undef(key) && rt_strict(rt) && !val_is_undef(obj))
		return fail_undef(rt, n->b, key);
	r = rt_getattr(rt, obj, key, true);
	return r ? r : rt_fail_at(rt, n);
}

/* ---- calls */

/* The arguments of N into ARGS (after what is there) and KWARGS. */
static bool eval_args(struct rt *rt, struct node *n, struct val *args, struct val **kwargs)
{
	struct val *v;

	*kwargs = NULL;
	for (size_t i = 0; i < n->n; i++) {
		v = rt_eval(rt, n->v[i]);
		if (!v)
			return false;
		val_push(args, v);
	}
	if (n->wn || n->c)
		*kwargs = val_map(rt->a);
	for (size_t i = 0; i < n->wn; i++) {
		v = rt_eval(rt, n->w[i]);
		if (!v)
			return false;
		val_sets(*kwargs, n->names[i], v);
	}
	if (n->type != N_CALL && n->type != N_FILTER && n->type != N_TEST)
		return true;
	if (n->b) {
		v = rt_eval(rt, n->b);
		v = v ? py_iter(rt->a, v, rt_strict(rt), rt->err) : NULL;
		if (!v)
			return rt_fail_at(rt, n->b) != NULL;
		VAL_EACH (i, v)
			val_push(args, val_at(v, i));
	}
	if (n->c) {
		v = rt_eval(rt, n->c);
		if (!v)
			return false;
		if (!val_is_map(v)) {
			jinja_fail(rt->err, "argument after ** must be a mapping, not %s", val_type_name(v));
			return rt_fail_at(rt, n->c) != NULL;
		}
		MAP_EACH (i, v)
			val_setk(*kwargs, val_key_at(v, i), val_value_at(v, i));
	}
	return true;
}

static struct val *call_row(struct rt *rt, struct node *n, const struct jinja_func *row, struct val *args,
                            struct val *kwargs)
{
	struct val *r;

	if (!jinja_call_row(rt->ctx, rt->a, row, args, kwargs, &r, rt->err))
		return rt_fail_at(rt, n);
	return r;
}

static struct val *eval_call(struct rt *rt, struct node *n)
{
	struct val *args = val_list(rt->a), *kwargs, *fn, *obj, *r;

	if (n->a->type == N_ATTR) {
		const struct jinja_func *m;

		obj = rt_eval(rt, n->a->a);
		if (!obj)
			return NULL;
		m = (n->a->flags & NF_METHOD) ? py_method(obj, n->a->s) : NULL;
		if (m) {
			val_push(args, obj);
			return eval_args(rt, n, args, &kwargs) ? call_row(rt, n->a, m, args, kwargs) : NULL;
		}
		fn = rt_getattr(rt, obj, n->a->k, false);
		if (!fn)
			return rt_fail_at(rt, n->a);
	} else {
		fn = rt_eval(rt, n->a);
		if (!fn)
			return NULL;
	}
	if (val_is_undef(fn))
		return fail_undef(rt, n->a, fn);
	if (!eval_args(rt, n, args, &kwargs))
		return NULL;
	if (!jinja_call_val(rt->ctx, rt->a, fn, args, kwargs, &r, rt->err))
		return rt_fail_at(rt, n->a);
	return r;
}

static struct val *eval_filter(struct rt *rt, struct node *n)
{
	struct val *args = val_list(rt->a), *kwargs, *v = rt_eval(rt, n->a);

	if (!v)
		return NULL;
	val_push(args, v);
	if (!eval_args(rt, n, args, &kwargs))
		return NULL;
	if (n->fn)
		return call_row(rt, n, n->fn, args, kwargs);
	jinja_fail(rt->err, "No %s named '%.*s' found.", n->type == N_TEST ? "test" : "filter",
	           STR_FMT(n->s));
	return rt_fail_at(rt, n);
}

static struct val *eval_test(struct rt *rt, struct node *n)
{
	struct val *r = eval_filter(rt, n);
	bool yes;

	if (!r)
		return NULL;
	yes = val_truthy(r);
	return val_bool((n->flags & NF_NEGATED) ? !yes : yes);
}

/* ---- the rest */

static struct val *eval_members(struct rt *rt, struct node *n, struct val *into)
{
	for (size_t i = 0; i < n->n; i++) {
		struct val *v = rt_eval(rt, n->v[i]);

		if (!v)
			return NULL;
		val_push(into, v);
	}
	return into;
}

static struct val *eval_dict(struct rt *rt, struct node *n)
{
	struct val *m = val_map(rt->a);

	for (size_t i = 0; i + 1 < n->n; i += 2) {
		struct val *k = rt_eval(rt, n->v[i]), *v = k ? rt_eval(rt, n->v[i + 1]) : NULL;

		if (!v)
			return NULL;
		if (val_is_undef(k) && rt_strict(rt))
			return fail_undef(rt, n->v[i], k);
		if (!val_hashable(k)) {
			jinja_fail(rt->err, "unhashable type: '%s'", val_type_name(k));
			return rt_fail_at(rt, n->v[i]);
		}
		val_setk(m, k, v);
	}
	return m;
}

static struct val *eval_binary(struct rt *rt, struct node *n)
{
	struct val *x = rt_eval(rt, n->a), *y = x ? rt_eval(rt, n->b) : NULL, *r;

	if (!y)
		return NULL;
	if (!(val_is_markup(x) || val_is_markup(y) ? markup_binary : py_binary)(rt->a, (enum tok)n->op, x, y,
	                                                                        &r, rt->err))
		return rt_fail_at(rt, n);
	if (val_is_str(r) || val_is_num(r))
		r = val_taint_from(rt->a, val_taint_from(rt->a, r, x), y);
	return r;
}

/* The operands of ~ within {% autoescape %}: one that is HTML makes all of it HTML. */
static struct val *concat_markup(struct rt *rt, struct node *n)
{
	struct val *all = val_list(rt->a), *r;
	struct buf b = {.max = JINJA_MAX_OUT};
	bool html = false;

	if (!eval_members(rt, n, all))
		return NULL;
	VAL_EACH (i, all)
		html = html || val_is_markup(val_at(all, i));
	VAL_EACH (i, all)
		val_print(html ? markup_escape(rt->a, val_at(all, i)) : val_at(all, i), &b);
	r = buf_val(&b, rt->a);
	VAL_EACH (i, all)
		r = val_taint_from(rt->a, r, val_at(all, i));
	return html ? markup_of(rt->a, r) : r;
}

static struct val *eval_concat(struct rt *rt, struct node *n)
{
	/* Jinja2 joins as text where it knows only at run time whether to escape. */
	if ((n->flags & NF_ESCAPE) && !(n->flags & NF_VOLATILE))
		return concat_markup(rt, n);
	struct output o = {.b = {.max = JINJA_MAX_OUT}}, *saved = rt->out;

	rt->out = &o;
	for (size_t i = 0; i < n->n; i++) {
		struct val *v = rt_eval(rt, n->v[i]);

		if (v && val_undef_fails(v) && rt_strict(rt))
			v = fail_undef(rt, n->v[i], v);
		if (!v) {
			buf_free(&o.b);
			rt->out = saved;
			return NULL;
		}
		val_print(v, &o.b);
		o.secret |= val_secret_deep(v);
		o.unsafe |= val_deep_unsafe(v);
	}
	return rt_captured(rt, &o, saved);
}

static struct val *eval_cmp(struct rt *rt, struct node *n)
{
	struct val *x = rt_eval(rt, n->a), *y;
	bool yes = true;

	for (size_t i = 0; x && i < n->n && yes; i++, x = y) {
		y = rt_eval(rt, n->v[i]->a);
		if (!y)
			return NULL;
		if (!py_compare((enum cmp_op)n->v[i]->op, x, y, rt_strict(rt), &yes, rt->err))
			return rt_fail_at(rt, n->v[i]);
	}
	return x ? val_bool(yes) : NULL;
}

static struct val *eval_logic(struct rt *rt, struct node *n)
{
	struct val *x = rt_eval(rt, n->a);
	bool yes;

	if (!x)
		return NULL;
	if (!rt_truthy(rt, x, &yes))
		return rt_fail_at(rt, n->a);
	return yes == (n->type == N_AND) ? rt_eval(rt, n->b) : x;
}

static struct val *eval_cond(struct rt *rt, struct node *n)
{
	struct val *x = rt_eval(rt, n->a);
	bool yes;

	if (!x)
		return NULL;
	if (!rt_truthy(rt, x, &yes))
		return rt_fail_at(rt, n->a);
	if (yes)
		return rt_eval(rt, n->b);
	if (n->c)
		return rt_eval(rt, n->c);
	return n->k;
}

static struct val *eval_unary(struct rt *rt, struct node *n)
{
	struct val *x = rt_eval(rt, n->a), *r;
	bool yes;

	if (!x)
		return NULL;
	if (n->type == N_NOT) {
		if (!rt_truthy(rt, x, &yes))
			return rt_fail_at(rt, n->a);
		return val_bool(!yes);
	}
	if (n->type == N_POS && (val_is_num(x) || val_kind(x) == VAL_BOOL))
		return val_is_num(x) ? x : val_int(rt->a, val_get_bool(x));
	if (n->type == N_POS) {
		jinja_fail(rt->err, "bad operand type for unary +: '%s'", val_type_name(x));
		return rt_fail_at(rt, n);
	}
	if (!py_negate(rt->a, x, &r, rt->err))
		return rt_fail_at(rt, n);
	return val_taint_from(rt->a, r, x);
}

static struct val *eval_attr(struct rt *rt, struct node *n)
{
	struct val *obj = rt_eval(rt, n->a), *r;

	if (!obj)
		return NULL;
	if (val_is_map(obj) && !(n->flags & NF_METHOD)) {
		r = val_gets(obj, n->s);
		if (r)
			return r;
	}
	r = rt_getattr(rt, obj, n->k, false);
	return r ? r : rt_fail_at(rt, val_is_undef(obj) ? n->a : n);
}

static struct val *eval_node(struct rt *rt, struct node *n)
{
	switch (n->type) {
	case N_LIST: return eval_members(rt, n, val_list(rt->a));
	case N_TUPLE: return eval_members(rt, n, val_tuple(rt->a));
	case N_DICT: return eval_dict(rt, n);
	case N_ATTR: return eval_attr(rt, n);
	case N_ITEM: return eval_item(rt, n);
	case N_CALL: return eval_call(rt, n);
	case N_FILTER: return eval_filter(rt, n);
	case N_TEST: return eval_test(rt, n);
	case N_BIN: return eval_binary(rt, n);
	case N_CONCAT: return eval_concat(rt, n);
	case N_AND:
	case N_OR: return eval_logic(rt, n);
	case N_NOT:
	case N_NEG:
	case N_POS: return eval_unary(rt, n);
	case N_CMP: return eval_cmp(rt, n);
	case N_COND: return eval_cond(rt, n);
	default:
		err_set(rt->err, ERR_BUG, node_origin(rt, n), "a statement where an expression belongs");
		return NULL;
	}
}

struct val *rt_eval(struct rt *rt, struct node *n)
{
	struct val *v;

	/* Leaves need no look at the depth. */
	if (n->type == N_CONST)
		return n->k;
	if (n->type == N_NAME)
		return eval_name(rt, n);
	if (rt->ctx->depth >= JINJA_MAX_DEPTH || !jinja_stack_left(rt->ctx->env)) {
		err_set(rt->err, ERR_USER, node_origin(rt, n), "maximum recursion depth exceeded");
		return NULL;
	}
	rt->ctx->depth++;
	v = eval_node(rt, n);
	rt->ctx->depth--;
	return v;
}
