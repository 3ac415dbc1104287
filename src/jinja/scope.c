/*
 * scope - binds every name of a template to the slots it may be found in.
 *
 * A frame is an array of slots. The top level, each macro, each block and each recursive loop have a frame of
 * their own; other scopes (loops, with, filter …) own a range of their frame's slots. A name that may still
 * be unset where it is read (assigned in one branch only, or further down) keeps looking outwards at run
 * time, so it gets several candidates; past the last one it is asked from outside. Not so a name that its
 * scope assigns, whatever happens, before it reads it, and that no scope around mentions: read in a scope
 * within, before that, it is undefined, as Jinja2 has it.
 */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

#define MAX_CANDIDATES 64
#define MAX_DEPTH 1500 /* of the tree: long chains of operators lean to the left */

struct decl {
	struct str name;
	uint16_t slot;
	bool assigned;      /* on every way to here */
	bool blank;         /* starts undefined, whatever is outside */
	struct node *owner; /* the loop or macro that wants to know it is used */
	uint16_t owner_flag;
};

struct unit {
	struct unit *parent;
	uint16_t nslots;
};

struct scope {
	struct scope *parent;
	struct unit *unit;
	struct decl *v;
	size_t n, cap;
	struct val *read; /* names read at this level that are none of V's; NULL: none so far */
	bool root;
	bool soft; /* within an "if": an unknown filter or test is an error only when it is reached */
};

struct binder {
	struct arena *a;
	struct jinja_tmpl *t;
	struct scope *s;
	struct val *ids; /* outer name → its number */
	struct err *err;
	bool ok;
	unsigned depth;
	unsigned loops; /* open around what is bound */
};

static void bind_nodes(struct binder *b, struct node **v, size_t n);
static void bind_children(struct binder *b, struct node *n);
static void bind(struct binder *b, struct node *n);

static struct decl *scope_find(struct scope *s, struct str name)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->v[i].name, name))
			return &s->v[i];
	return NULL;
}

static bool binder_fail(struct binder *b, uint32_t off, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* The first error stays. Returns false. */
static bool binder_fail(struct binder *b, uint32_t off, const char *fmt, ...)
{
	struct origin at = b->t->at;
	va_list ap;
	char *msg;

	if (!b->ok)
		return false;
	va_start(ap, fmt);
	msg = arena_vprintf(b->a, fmt, ap);
	va_end(ap);
	if (at.src)
		at.off += off;
	b->ok = err_set(b->err, ERR_USER, at, "%s", msg);
	return false;
}

static struct decl *declare(struct binder *b, struct str name)
{
	struct scope *s = b->s;
	struct decl *d = scope_find(s, name);

	if (d)
		return d;
	s->v = arena_grow(b->a, s->v, s->n, &s->cap, sizeof(*s->v));
	if (s->unit->nslots == UINT16_MAX) {
		binder_fail(b, 0, "the template has too many variables");
		s->unit->nslots = 0;
	}
	d = &s->v[s->n++];
	*d = (struct decl){.name = name, .slot = s->unit->nslots++};
	return d;
}

static void enter(struct binder *b, struct scope *s, struct unit *u)
{
	*s = (struct scope){.parent = b->s, .unit = u};
	b->s = s;
}

static void leave(struct binder *b)
{
	b->s = b->s->parent;
}

/* Whether S or a scope around it mentions NAME. */
static bool mentioned(struct scope *s, struct str name)
{
	for (; s; s = s->parent)
		if (scope_find(s, name) || (s->read && val_gets(s->read, name)))
			return true;
	return false;
}

/* Every name assigned in this scope (branches included, scopes within not). */
static void collect_target(struct binder *b, struct node *n, bool branch)
{
	if (n->type == N_NAME) {
		bool blank = !branch && !mentioned(b->s, n->s);
		struct decl *d = declare(b, n->s);

		d->blank |= blank;
	} else if (n->type == N_TUPLE) {
		for (size_t i = 0; i < n->n; i++)
			collect_target(b, n->v[i], branch);
	}
}

static void collect_reads(struct binder *b, struct node **v, size_t n);

/* The names that the expression N reads. */
static void collect_read(struct binder *b, struct node *n)
{
	if (!n || b->depth >= MAX_DEPTH)
		return;
	b->depth++;
	if (n->type == N_NAME && !mentioned(b->s, n->s)) {
		if (!b->s->read)
			b->s->read = val_map(b->a);
		val_sets(b->s->read, n->s, val_null());
	}
	collect_read(b, n->a);
	collect_read(b, n->b);
	collect_read(b, n->c);
	collect_reads(b, n->v, n->n);
	collect_reads(b, n->w, n->wn);
	b->depth--;
}

static void collect_reads(struct binder *b, struct node **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		collect_read(b, v[i]);
}

/* What the statement S reads in the scope it stands in, before it assigns anything there. */
static void collect_statement_reads(struct binder *b, struct node *s)
{
	switch (s->type) {
	case N_PRINT:
	case N_IF:
	case N_CALLBLOCK:
	case N_FILTERBLOCK:
	case N_INCLUDE:
	case N_IMPORT:
	case N_FROM:
	case N_EXTENDS:
	case N_DO: collect_read(b, s->a); break;
	case N_FOR:
	case N_SET: collect_read(b, s->b); break;
	case N_PRINTS: collect_reads(b, s->v, s->n); break;
	case N_WITH: collect_reads(b, s->w, s->wn); break;
	default: break;
	}
}

static void collect_from(struct binder *b, struct node **v, size_t n, bool branch)
{
	for (size_t i = 0; i < n && b->t->assigns; i++) {
		struct node *s = v[i];

		collect_statement_reads(b, s);
		switch (s->type) {
		case N_SET:
		case N_SETBLOCK:
		case N_MACRO:
			if (s->a->type == N_NSREF)
				collect_read(b, s->a);
			collect_target(b, s->a, branch);
			break;
		case N_IMPORT: collect_target(b, s->b, branch); break;
		case N_FROM:
			for (size_t j = 0; j < s->xn; j++)
				collect_target(b, s->x[j], branch);
			break;
		case N_IF:
			collect_from(b, s->v, s->n, true);
			collect_from(b, s->w, s->wn, true);
			break;
		default: break;
		}
	}
}

static void collect(struct binder *b, struct node **v, size_t n)
{
	collect_from(b, v, n, false);
}

static void store(struct binder *b, struct node *n)
{
	if (n->type == N_NAME) {
		struct decl *d = declare(b, n->s);

		if (b->loops && str_eqc(n->s, "loop"))
			binder_fail(b, n->off, "Can't assign to special loop variable in for-loop target");
		d->assigned = true;
		n->refs = ARENA_NEW(b->a, struct ref);
		n->refs[0].slot = d->slot;
		n->nrefs = 1;
		n->store_root = b->s->root && b->t->shares;
	} else if (n->type == N_TUPLE) {
		for (size_t i = 0; i < n->n; i++)
			store(b, n->v[i]);
	} else {
		bind(b, n);
	}
}

static void outer_name(struct binder *b, struct node *n)
{
	struct val *id = val_gets(b->ids, n->s);

	n->outer = true;
	if (!id) {
		id = val_int(b->a, (int64_t)val_len(b->ids));
		val_sets(b->ids, n->s, id);
	}
	n->name_id = (uint32_t)val_get_int(id);
}

static void load(struct binder *b, struct node *n)
{
	struct ref refs[MAX_CANDIDATES] = {0};
	uint16_t nrefs = 0, depth = 0;
	struct unit *u = b->s->unit;
	bool sure = false;

	for (struct scope *s = b->s; s && !sure && nrefs < MAX_CANDIDATES; s = s->parent) {
		struct decl *d;

		for (; u != s->unit; u = u->parent)
			depth++;
		d = scope_find(s, n->s);
		if (!d)
			continue;
		refs[nrefs++] = (struct ref){depth, d->slot};
		sure = d->assigned || d->blank;
		if (d->owner)
			d->owner->flags |= d->owner_flag;
	}
	n->refs = arena_dup(b->a, refs, nrefs * sizeof(*refs));
	n->nrefs = nrefs;
	if (!sure)
		outer_name(b, n);
}

/* The local names N can pass on. */
static void bind_visible(struct binder *b, struct node *n)
{
	struct val *seen = val_map(b->a);
	uint16_t depth = 0;
	struct unit *u = b->s->unit;
	size_t max = 0;

	for (struct scope *s = b->s; s; s = s->parent)
		max += s->n;
	n->visible = arena_array(b->a, max, sizeof(*n->visible));
	for (struct scope *s = b->s; s; s = s->parent) {
		for (; u != s->unit; u = u->parent)
			depth++;
		for (size_t i = 0; i < s->n; i++) {
			struct decl *d = &s->v[i];

			/* The outermost comes first, so that inner ones, when set, replace it. */
			n->nvisible++;
			n->visible[max - n->nvisible] = (struct var_at){d->name, {depth, d->slot}};
			if (n->type == N_BLOCK && d->owner_flag == NF_USES_LOOP && !val_gets(seen, d->name))
				d->owner->flags |= NF_USES_LOOP;
			val_sets(seen, d->name, val_null());
		}
	}
}

static bool *save_assigned(struct binder *b)
{
	bool *v = arena_array(b->a, b->s->n + 1, sizeof(*v));

	for (size_t i = 0; i < b->s->n; i++)
		v[i] = b->s->v[i].assigned;
	return v;
}

/* N's filter or test is unknown: an error before anything runs. Not within an "if", which may ask for it; but
 * Ansible has no such exception. */
static void unknown_func(struct binder *b, const struct node *n)
{
	char table = n->type == N_TEST ? 't' : 'f';
	const char *near = jinja_env_near(b->t->env, table, n->s);
	bool first = b->ok;

	if (b->s->soft && !b->t->ansible && !b->t->env->ansible)
		return;
	binder_fail(b, n->off, "No %s named '%.*s'.", table == 't' ? "test" : "filter", STR_FMT(n->s));
	if (near && first)
		err_hint(b->err, "did you mean '%s'?", near);
}

static void bind_if(struct binder *b, struct node *n)
{
	size_t count;
	bool *before, *then, soft = b->s->soft;

	b->s->soft = true;
	bind(b, n->a);
	count = b->s->n;
	before = save_assigned(b);
	bind_nodes(b, n->v, n->n);
	then = save_assigned(b);
	for (size_t i = 0; i < count; i++)
		b->s->v[i].assigned = before[i];
	bind_nodes(b, n->w, n->wn);
	for (size_t i = 0; i < count; i++)
		b->s->v[i].assigned = b->s->v[i].assigned && then[i];
	b->s->soft = soft;
}

static void bind_cond(struct binder *b, struct node *n)
{
	bool soft = b->s->soft;

	b->s->soft = true;
	bind_children(b, n);
	b->s->soft = soft;
}

static void bind_for(struct binder *b, struct node *n)
{
	struct scope s, e;
	struct unit u = {.parent = b->s->unit};
	bool rec = n->flags & NF_RECURSIVE;
	struct decl *d;

	bind(b, n->b);
	b->loops++;
	enter(b, &s, rec ? &u : b->s->unit);
	n->lo = s.unit->nslots;
	d = declare(b, STR("loop"));
	n->slot_loop = d->slot;
	d->assigned = true;
	d->owner = n;
	d->owner_flag = NF_USES_LOOP;
	collect_target(b, n->a, false);
	collect(b, n->v, n->n);
	store(b, n->a);
	if (n->c) {
		/* Which members there are is asked before there is a "loop": it is that of the loop around.
		 */
		scope_find(&s, STR("loop"))->name = STR("");
		bind(b, n->c);
		scope_find(&s, STR(""))->name = STR("loop");
	}
	bind_nodes(b, n->v, n->n);
	n->hi = s.unit->nslots;
	if (rec) {
		/* The else part runs in the frame of the innermost call. */
		enter(b, &e, &u);
		collect(b, n->w, n->wn);
		bind_nodes(b, n->w, n->wn);
		leave(b);
		n->unit_slots = u.nslots;
		leave(b);
		b->loops--;
		return;
	}
	leave(b);
	enter(b, &e, b->s->unit);
	collect(b, n->w, n->wn);
	bind_nodes(b, n->w, n->wn);
	leave(b);
	b->loops--;
}

static uint16_t declare_special(struct binder *b, struct node *n, const char *name, uint16_t flag)
{
	struct decl *d = scope_find(b->s, str_c(name));

	if (d && flag != NF_CALLER)
		return d->slot; /* an argument of that name */
	if (!d)
		d = declare(b, str_c(name));
	d->assigned = true;
	d->owner = n;
	d->owner_flag = flag;
	return d->slot;
}

static void bind_macro(struct binder *b, struct node *n)
{
	struct scope s;
	struct unit u = {.parent = b->s->unit};

	enter(b, &s, &u);
	for (size_t i = 0; i < n->xn; i++)
		store(b, n->x[i]);
	n->slot_caller = declare_special(b, n, "caller", NF_CALLER);
	n->slot_varargs = declare_special(b, n, "varargs", NF_VARARGS);
	n->slot_kwargs = declare_special(b, n, "kwargs", NF_KWARGS);
	bind_nodes(b, n->w, n->wn);
	collect(b, n->v, n->n);
	bind_nodes(b, n->v, n->n);
	for (size_t i = 0; i < n->xn; i++) {
		if (str_eqc(n->x[i]->s, "caller") && (n->flags & NF_CALLER) && i < n->xn - n->wn)
			binder_fail(
			        b, n->off,
			        "When defining macros or call blocks the special \"caller\" argument must "
			        "be omitted or be given a default.");
	}
	n->unit_slots = u.nslots;
	leave(b);
}

static void bind_block(struct binder *b, struct node *n)
{
	struct scope s, *outer = b->s;
	struct unit u = {0};

	if (n->flags & NF_SCOPED)
		bind_visible(b, n);
	b->s = NULL;
	enter(b, &s, &u);
	collect(b, n->v, n->n);
	bind_nodes(b, n->v, n->n);
	n->unit_slots = u.nslots;
	b->s = outer;
}

/* A body with a scope of its own within the frame. */
static void bind_inner(struct binder *b, struct node **v, size_t n)
{
	struct scope s;

	enter(b, &s, b->s->unit);
	collect(b, v, n);
	bind_nodes(b, v, n);
	leave(b);
}

static void bind_with(struct binder *b, struct node *n)
{
	struct scope s;

	bind_nodes(b, n->w, n->wn);
	enter(b, &s, b->s->unit);
	for (size_t i = 0; i < n->n; i++)
		store(b, n->v[i]);
	collect(b, n->x, n->xn);
	bind_nodes(b, n->x, n->xn);
	leave(b);
}

static bool is_mutator(struct str s)
{
	static const char *const names[] = {"append",  "extend",      "insert",      "pop",        "remove",
	                                    "sort",    "reverse",     "update",      "setdefault", "clear",
	                                    "popitem", "__setitem__", "__delitem__", "discard",    "add"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_eqc(s, names[i]))
			return true;
	return false;
}

static void bind_children(struct binder *b, struct node *n)
{
	if (n->a)
		bind(b, n->a);
	if (n->b)
		bind(b, n->b);
	if (n->c)
		bind(b, n->c);
	bind_nodes(b, n->v, n->n);
	bind_nodes(b, n->w, n->wn);
}

static void bind_node(struct binder *b, struct node *n)
{
	switch (n->type) {
	case N_NAME: load(b, n); return;
	case N_DATA:
	case N_CONST: return;
	case N_ATTR:
		if (py_any_method(n->s))
			n->flags |= NF_METHOD;
		bind(b, n->a);
		return;
	case N_CALL:
		if (n->a->type == N_ATTR && is_mutator(n->a->s))
			b->t->mutates = true;
		bind_children(b, n);
		return;
	case N_FILTER:
	case N_TEST:
		if (!n->fn)
			unknown_func(b, n);
		bind_children(b, n);
		return;
	case N_COND: bind_cond(b, n); return;
	case N_IF: bind_if(b, n); return;
	case N_FOR: bind_for(b, n); return;
	case N_SET:
		bind(b, n->b);
		store(b, n->a);
		return;
	case N_SETBLOCK:
		bind_inner(b, n->v, n->n);
		if (n->b)
			bind(b, n->b);
		store(b, n->a);
		return;
	case N_MACRO:
		if (n->a)
			store(b, n->a);
		bind_macro(b, n);
		return;
	case N_CALLBLOCK:
		bind(b, n->a);
		bind_macro(b, n->b);
		return;
	case N_FILTERBLOCK:
		bind(b, n->a);
		bind_inner(b, n->v, n->n);
		return;
	case N_SCOPE:
		bind(b, n->a);
		bind_inner(b, n->v, n->n);
		return;
	case N_WITH: bind_with(b, n); return;
	case N_BLOCK: bind_block(b, n); return;
	case N_INCLUDE:
	case N_IMPORT:
	case N_FROM:
		bind(b, n->a);
		if (n->flags & NF_CONTEXT)
			bind_visible(b, n);
		if (n->type == N_IMPORT)
			store(b, n->b);
		for (size_t i = 0; i < n->xn; i++)
			store(b, n->x[i]);
		return;
	default: bind_children(b, n); return;
	}
}

static void bind(struct binder *b, struct node *n)
{
	if (b->depth >= MAX_DEPTH) {
		binder_fail(b, n->off, "the expression is nested too deeply");
		return;
	}
	b->depth++;
	bind_node(b, n);
	b->depth--;
}

static void bind_nodes(struct binder *b, struct node **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bind(b, v[i]);
}

bool jinja_bind(struct arena *a, struct jinja_tmpl *t, struct err *err)
{
	struct unit u = {0};
	struct scope s;
	struct binder b = {.a = a, .t = t, .ids = val_map(a), .err = err, .ok = true};

	enter(&b, &s, &u);
	s.root = true;
	collect(&b, t->body, t->nbody);
	bind_nodes(&b, t->body, t->nbody);
	if (t->expr)
		bind(&b, t->expr);
	t->nslots = u.nslots;
	t->nnames = val_len(b.ids);
	t->names = arena_array(a, t->nnames, sizeof(*t->names));
	MAP_EACH (i, b.ids)
		t->names[i] = val_get_str(val_key_at(b.ids, i));
	t->nroot = s.n;
	t->root = arena_array(a, s.n, sizeof(*t->root));
	for (size_t i = 0; i < s.n; i++)
		t->root[i] = (struct var_at){s.v[i].name, {0, s.v[i].slot}};
	return b.ok;
}
