/* Ansible's order of precedence as layers that are looked through, strongest first. Nothing is merged or
 * copied. */
#include "ansible/core.h"
#include "jinja/jinja.h"

/*
 * A layer either answers for NAME (returns its value) or, with NAME empty, adds its names to ALL. One
 * function per layer serves both, so that they cannot disagree.
 */
struct query {
	struct str name;
	struct val *all;    /* set of names, or NULL */
	struct arena *a;    /* hash_behaviour merge: where dictionaries of one name become one; else NULL */
	struct val *merged; /* of those found so far */
};

/* V, found below q->merged, goes under it; NULL: what is weaker may still add to it. */
static struct val *fold(struct query *q, struct val *v)
{
	if (!val_is_map(v))
		return q->merged ? q->merged : v;
	q->merged = q->merged ? val_merge(q->a, v, q->merged, true) : v;
	return NULL;
}

/* MAP's member, or all its keys. */
static struct val *ask(struct query *q, const struct val *map)
{
	if (!map || !val_is_map(map))
		return NULL;
	if (!q->all) {
		struct val *v = val_gets(map, q->name);
		return v && q->a ? fold(q, v) : v;
	}
	MAP_EACH (i, map)
		val_setk(q->all, val_key_at(map, i), val_null());
	return NULL;
}

#define ASK(q, map)                                   \
	do {                                          \
		struct val *found_ = ask((q), (map)); \
		if (found_)                           \
			return found_;                \
	} while (0)

static struct val *layer_locals(struct scope *s, struct query *q)
{
	for (const struct scope *o = s; o; o = o->outer)
		ASK(q, o->locals);
	return NULL;
}

static struct val *layer_extra(struct scope *s, struct query *q)
{
	return ask(q, s->e->extra_vars);
}

/* vars of dynamic includes around the task: stronger than facts. */
static struct val *layer_include_params(struct scope *s, struct query *q)
{
	for (const struct frame *f = s->frame; f; f = f->up) {
		ASK(q, f->vars);
		if (f->inc && !f->is_static)
			ASK(q, f->inc->n.kw[KW_VARS]);
	}
	return NULL;
}

static struct role *scope_role(const struct scope *s)
{
	return s->frame ? s->frame->role : NULL;
}

static struct val *layer_role_params(struct scope *s, struct query *q)
{
	for (const struct role *r = scope_role(s); r; r = r->parent)
		ASK(q, r->params);
	return NULL;
}

static struct val *layer_set_facts(struct scope *s, struct query *q)
{
	return s->host ? ask(q, s->host->set_vars) : NULL;
}

static struct val *layer_include_vars(struct scope *s, struct query *q)
{
	return s->host ? ask(q, s->host->included) : NULL;
}

static struct val *layer_task_vars(struct scope *s, struct query *q)
{
	const struct node *n = s->node;
	const struct frame *f = s->frame;
	if (n && n->kind == NODE_PLAY)
		return NULL;
	for (;;) {
		for (; n; n = n->parent)
			ASK(q, n->kw[KW_VARS]);
		if (!f)
			return NULL;
		if (f->apply)
			ASK(q, f->apply->kw[KW_VARS]);
		ASK(q, f->vars);
		n = f->inc ? &f->inc->n : NULL;
		f = f->up;
	}
}

/* vars/ of a role and of what it depends on, as other roles see them. */
static struct val *exported_vars(const struct role *r, struct query *q)
{
	ASK(q, r->vars);
	for (size_t i = r->n_deps; i-- > 0;) {
		struct val *v = exported_vars(r->deps[i], q);
		if (v)
			return v;
	}
	return NULL;
}

static struct val *layer_role_vars(struct scope *s, struct query *q)
{
	const struct role *r = scope_role(s);
	if (!r)
		return NULL;
	if (r->entry)
		ASK(q, r->entry->kw[KW_VARS]);
	ASK(q, r->params);
	ASK(q, r->vars);
	for (size_t i = r->n_deps; i-- > 0;) {
		struct val *v = exported_vars(r->deps[i], q);
		if (v)
			return v;
	}
	for (r = r->parent; r; r = r->parent) {
		ASK(q, r->vars);
		if (r->entry)
			ASK(q, r->entry->kw[KW_VARS]);
	}
	return NULL;
}

static struct val *layer_play_role_vars(struct scope *s, struct query *q)
{
	struct play_run *pr = s->host_only ? NULL : s->e->pr;
	for (size_t i = pr ? pr->n_roles : 0; i-- > 0;) {
		if (!pr->roles[i]->exported)
			continue;
		struct val *v = exported_vars(pr->roles[i], q);
		if (v)
			return v;
	}
	return NULL;
}

static struct val *layer_vars_files(struct scope *s, struct query *q)
{
	struct play_run *pr = s->host_only ? NULL : s->e->pr;
	if (!pr || !pr->vars_files || !s->host)
		return NULL;
	const struct val *files = val_get(pr->vars_files, s->host->name);
	for (size_t i = files ? val_len(files) : 0; i-- > 0;)
		ASK(q, val_at(files, i));
	return NULL;
}

static struct val *layer_play_vars(struct scope *s, struct query *q)
{
	struct play_run *pr = s->host_only ? NULL : s->e->pr;
	if (!pr)
		return NULL;
	ASK(q, pr->play->import_vars);
	return ask(q, pr->play->n.kw[KW_VARS]);
}

static struct val *layer_facts(struct scope *s, struct query *q)
{
	return s->host ? ask(q, s->host->facts) : NULL;
}

static struct val *layer_inventory(struct scope *s, struct query *q)
{
	return s->host ? ask(q, host_inventory_vars(s->e->inv, s->host)) : NULL;
}

static struct val *role_defaults(const struct role *r, struct query *q)
{
	ASK(q, r->defaults);
	for (size_t i = r->n_deps; i-- > 0;) {
		struct val *v = role_defaults(r->deps[i], q);
		if (v)
			return v;
	}
	return NULL;
}

static struct val *layer_role_defaults(struct scope *s, struct query *q)
{
	const struct role *r = scope_role(s);
	if (!r)
		return NULL;
	ASK(q, r->defaults);
	for (const struct role *p = r->parent; p; p = p->parent)
		ASK(q, p->defaults);
	for (size_t i = r->n_deps; i-- > 0;) {
		struct val *v = role_defaults(r->deps[i], q);
		if (v)
			return v;
	}
	return NULL;
}

static struct val *layer_play_role_defaults(struct scope *s, struct query *q)
{
	struct play_run *pr = s->host_only ? NULL : s->e->pr;
	for (size_t i = pr ? pr->n_roles : 0; i-- > 0;) {
		if (!pr->roles[i]->exported)
			continue;
		struct val *v = role_defaults(pr->roles[i], q);
		if (v)
			return v;
	}
	return NULL;
}

/* Strongest first. Magic variables come after the locals (scope_var). */
static struct val *(*const layers[])(struct scope *, struct query *) = {
        layer_extra,         layer_include_params,     layer_role_params, layer_set_facts,
        layer_include_vars,  layer_task_vars,          layer_role_vars,   layer_play_role_vars,
        layer_vars_files,    layer_play_vars,          layer_facts,       layer_inventory,
        layer_role_defaults, layer_play_role_defaults,
};

#define LAYERS (sizeof(layers) / sizeof(*layers))

/* Around a task the nearest one replaces those further out, even where dictionaries are merged. */
static struct val *nearest(struct scope *s, struct val *(*layer)(struct scope *, struct query *),
                           struct query *q)
{
	struct query one = {.name = q->name};
	struct val *v = layer(s, &one);
	return v ? fold(q, v) : NULL;
}

/* NAME in the layers below the locals; NULL: nowhere. */
static struct val *from_layers(struct scope *s, struct str name)
{
	struct query q = {.name = name, .a = s->e->opts->merge_hashes ? s->a : NULL};
	struct val *v = NULL;
	for (size_t i = 0; i < LAYERS && !v; i++)
		v = q.a && (layers[i] == layer_task_vars || layers[i] == layer_include_params)
		            ? nearest(s, layers[i], &q)
		            : layers[i](s, &q);
	return v ? v : q.merged;
}

struct val *scope_raw(struct scope *s, struct str name)
{
	struct query q = {.name = name};
	struct val *v = layer_locals(s, &q);
	return v ? v : from_layers(s, name);
}

struct val *scope_names(struct scope *s)
{
	struct query q = {.name = STR(""), .all = val_map(s->a)};
	for (size_t i = LAYERS; i-- > 0;)
		layers[i](s, &q);
	layer_locals(s, &q);
	struct val *list = val_list(s->a);
	/* What is not called by a text cannot be asked for. */
	MAP_EACH (i, q.all)
		if (val_is_str(val_key_at(q.all, i)))
			val_push(list, val_key_at(q.all, i));
	for (const struct magic_var *m = magic_table; m->name; m++) {
		struct val *v = NULL;
		struct err err = {0};
		/* Only those there are here. */
		if (!val_get(q.all, m->name) && (!m->get(s, &v, &err) || v))
			val_push(list, val_strz(s->a, m->name));
		err_clear(&err);
	}
	return list;
}

static const struct magic_var *magic_find(struct str name)
{
	for (const struct magic_var *m = magic_table; m->name; m++)
		if (str_eqc(name, m->name))
			return m;
	return NULL;
}

static bool recursion(struct scope *s, struct str name, struct err *err)
{
	for (unsigned i = 0; i < s->depth; i++)
		if (str_eqc(name, s->busy[i]))
			return err_set(err, ERR_REMOTE, ORIGIN_NONE,
			               "recursive loop detected in template string: '%.*s' refers to itself",
			               STR_FMT(name));
	if (s->depth == sizeof(s->busy) / sizeof(*s->busy))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "variables refer to each other more than %u deep, last '%.*s'", s->depth,
		               STR_FMT(name));
	return true;
}

static bool compute(struct scope *s, struct str name, struct val *raw, struct val **ret, struct err *err)
{
	if (!recursion(s, name, err))
		return false;
	s->busy[s->depth++] = arena_strndup(s->a, name.p, name.n);
	bool copying = s->copying;
	s->copying = false;
	bool ok = scope_template(s, raw, ret, err);
	s->copying = copying;
	s->depth--;
	return ok;
}

bool scope_var(struct scope *s, struct str name, struct val **ret, struct err *err)
{
	struct val *v = val_gets(s->memo, name);
	if (!v) {
		struct query q = {.name = name};
		struct val *raw = layer_locals(s, &q);
		const struct magic_var *m = raw || s->closed ? NULL : magic_find(name);
		if (m && !m->get(s, &v, err))
			return false;
		if (!raw && !v && !s->closed)
			raw = from_layers(s, name);
		if (raw && !v && !compute(s, name, raw, &v, err))
			return false;
		if (v)
			val_sets(s->memo, name, v);
	}
	if (v && s->copying && (val_is_list(v) || val_is_map(v)))
		v = val_copy(s->a, v);
	*ret = v;
	return true;
}
