/* loop - {% for %} and its "loop" variable. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

struct loop {
	struct rt *rt;
	struct node *n;
	struct val *items;
	size_t i; /* of the current pass */
	unsigned depth;
	struct val *self, *last;
};

static enum flow run_loop(struct rt *rt, struct node *n, struct val *items, unsigned depth);

static bool loop_cycle(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct loop *l = val_obj_self(val_at(c->args, 0));
	size_t n = val_len(c->args) - 1;

	if (!n)
		return jinja_fail(err, "no items for cycling given");
	*ret = val_at(c->args, 1 + l->i % n);
	return true;
}

static bool loop_changed(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct loop *l = val_obj_self(val_at(c->args, 0));
	struct val *now = val_tuple(c->a);

	(void)err;
	for (size_t i = 1; i < val_len(c->args); i++)
		val_push(now, val_at(c->args, i));
	*ret = val_bool(!l->last || !val_equal(l->last, now));
	l->last = now;
	return true;
}

static const struct jinja_func loop_methods[] = {
        {"cycle", loop_cycle, "", JINJA_ALLOW_UNDEF, NULL},
        {"changed", loop_changed, "", JINJA_ALLOW_UNDEF, NULL},
};

static struct val *loop_neighbour(struct loop *l, struct arena *a, bool next)
{
	size_t n = val_len(l->items);

	if (next)
		return l->i + 1 < n ? val_at(l->items, l->i + 1)
		                    : val_undef(a, STR("nextitem"), "there is no next item");
	return l->i > 0 ? val_at(l->items, l->i - 1)
	                : val_undef(a, STR("previtem"), "there is no previous item");
}

/* What the attribute NAME of the loop counts. */
static bool loop_number(const struct loop *l, struct str name, int64_t *ret)
{
	static const struct {
		struct str name;
		int from_end, plus, depth;
	} rows[] = {{{"index", 5}, 0, 1, 0},      {{"index0", 6}, 0, 0, 0}, {{"revindex", 8}, 1, 0, 0},
	            {{"revindex0", 9}, 1, -1, 0}, {{"depth", 5}, 0, 1, 1},  {{"depth0", 6}, 0, 0, 1}};

	for (size_t j = 0; j < sizeof(rows) / sizeof(*rows); j++) {
		if (name.n != rows[j].name.n || memcmp(name.p, rows[j].name.p, name.n) != 0)
			continue;
		*ret = rows[j].depth      ? (int64_t)l->depth
		       : rows[j].from_end ? (int64_t)(val_len(l->items) - l->i)
		                          : (int64_t)l->i;
		*ret += rows[j].plus;
		return true;
	}
	return false;
}

static bool loop_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                     struct err *err)
{
	struct loop *l = self;
	int64_t n;
	struct str k;

	(void)ctx;
	(void)err;
	if (!val_is_str(key))
		return true;
	k = val_get_str(key);
	if (loop_number(l, k, &n))
		*ret = val_int(a, n);
	else if (str_eqc(k, "first") || str_eqc(k, "last"))
		*ret = val_bool(k.p[0] == 'f' ? l->i == 0 : l->i + 1 == val_len(l->items));
	else if (str_eqc(k, "length"))
		*ret = val_int(a, (int64_t)val_len(l->items));
	else if (str_eqc(k, "previtem") || str_eqc(k, "nextitem"))
		*ret = loop_neighbour(l, a, k.p[0] == 'n');
	for (size_t j = 0; !*ret && j < sizeof(loop_methods) / sizeof(*loop_methods); j++)
		if (str_eqc(k, loop_methods[j].name))
			*ret = jinja_function(a, &loop_methods[j], l->self);
	return true;
}

static bool loop_call(void *self, void *ctx, struct val *args, struct val *kwargs, struct arena *a,
                      struct val **ret, struct err *err)
{
	struct loop *l = self;
	struct rt *sub = ARENA_NEW(a, struct rt);
	struct output o, *saved;
	struct val *items;

	(void)ctx;
	if (!(l->n->flags & NF_RECURSIVE))
		return jinja_fail(err, "The loop must have the 'recursive' marker to be called recursively.");
	if (val_len(args) != 1 || (kwargs && val_len(kwargs)))
		return jinja_fail(err, "loop() takes one argument: what to loop over");
	*sub = *l->rt;
	sub->err = err;
	/* A frame beside the one this loop runs in: both hang below the frame around the loop. */
	sub->frame = l->rt->frame->parent;
	items = py_iter(a, val_at(args, 0), rt_strict(sub), err);
	if (!items)
		return false;
	rt_capture(sub, &o, &saved);
	if (run_loop(sub, l->n, items, l->depth + 1) == FLOW_FAIL) {
		buf_free(&o.b);
		return false;
	}
	*ret = rt_in_markup(sub, rt_captured(sub, &o, saved));
	return *ret;
}

static void loop_repr(void *self, struct buf *out)
{
	struct loop *l = self;

	buf_printf(out, "<LoopContext %zu/%zu>", l->i + 1, val_len(l->items));
}

static const struct val_class loop_class = {
        .name = "LoopContext",
        .get = loop_get,
        .call = loop_call,
        .repr = loop_repr,
};

static void clear_slots(struct rt *rt, struct node *n)
{
	if (n->flags & NF_RECURSIVE) {
		for (size_t i = 0; i < n->unit_slots; i++)
			rt->frame->slot[i] = NULL;
		return;
	}
	for (size_t i = n->lo; i < n->hi; i++)
		rt->frame->slot[i] = NULL;
}

/* The members the loop's own "if" lets through. */
static struct val *filtered(struct rt *rt, struct node *n, struct val *items)
{
	struct val *out = val_list(rt->a);

	for (size_t i = 0; i < val_len(items); i++) {
		struct val *v;
		bool yes;

		clear_slots(rt, n);
		if (!rt_step(rt) || !rt_assign(rt, n->a, val_at(items, i)))
			return NULL;
		v = rt_eval(rt, n->c);
		if (!v)
			return NULL;
		if (!rt_truthy(rt, v, &yes))
			return rt_fail_at(rt, n->c);
		if (yes)
			val_push(out, val_at(items, i));
	}
	return out;
}

static enum flow run_passes(struct rt *rt, struct node *n, struct val *items, struct loop *l)
{
	bool done = false; /* to Jinja2 a pass that "break" or "continue" cut short is none */

	/* The length is asked each time: a body may append to the list it walks. */
	for (size_t i = 0; i < val_len(items); i++) {
		enum flow f;

		clear_slots(rt, n);
		if (l) {
			l->i = i;
			rt->frame->slot[n->slot_loop] = l->self;
		}
		if (!rt_step(rt) || !rt_assign(rt, n->a, val_at(items, i))) {
			rt_fail_at(rt, n);
			return FLOW_FAIL;
		}
		f = rt_exec_body(rt, n->v, n->n);
		if (f == FLOW_FAIL)
			return f;
		if (f == FLOW_BREAK)
			break;
		done |= f == FLOW_OK;
	}
	if (!done && n->wn)
		return rt_exec_body(rt, n->w, n->wn);
	return FLOW_OK;
}

static enum flow run_loop(struct rt *rt, struct node *n, struct val *items, unsigned depth)
{
	struct frame *saved = rt->frame;
	struct loop *l = NULL;
	enum flow f = FLOW_FAIL;

	if (n->flags & NF_RECURSIVE)
		rt->frame = rt_frame(rt, saved, n->unit_slots);
	if (n->c)
		items = filtered(rt, n, items);
	if (items && (n->flags & (NF_USES_LOOP | NF_RECURSIVE))) {
		struct rt *own = ARENA_NEW(rt->a, struct rt);

		*own = *rt;
		l = ARENA_NEW(rt->a, struct loop);
		*l = (struct loop){.rt = own, .n = n, .items = items, .depth = depth};
		l->self = val_obj(rt->a, &loop_class, l);
	}
	if (items)
		f = run_passes(rt, n, items, l);
	rt->frame = saved;
	return f;
}

enum flow rt_exec_for(struct rt *rt, struct node *n)
{
	struct val *v = rt_eval(rt, n->b), *items;

	if (!v)
		return FLOW_FAIL;
	items = py_iter(rt->a, v, rt_strict(rt), rt->err);
	if (!items) {
		rt_fail_at(rt, n->b);
		return FLOW_FAIL;
	}
	return run_loop(rt, n, items, 0);
}
