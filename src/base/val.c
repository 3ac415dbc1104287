#include "base/val.h"

#include "base/val_big.h"
#include "base/val_private.h"

#include <stdarg.h>
#include <stdlib.h>

static const struct val the_null = {.kind = VAL_NULL, .flags = VF_SHARED};
static const struct val the_true = {.kind = VAL_BOOL, .flags = VF_SHARED, .u.b = true};
static const struct val the_false = {.kind = VAL_BOOL, .flags = VF_SHARED, .u.b = false};

static struct val *make(struct arena *a, enum val_kind kind)
{
	struct val *v = ARENA_NEW(a, struct val);

	v->kind = (uint8_t)kind;
	return v;
}

/* Asking a value for what it is not is a mistake of the caller, never of the input. */
static void want(bool ok)
{
	if (!ok)
		abort();
}

/* The constants are handed out without const because every other value is mutable; nothing writes to them. */
struct val *val_null(void)
{
	return (struct val *)&the_null;
}

struct val *val_bool(bool b)
{
	return (struct val *)(b ? &the_true : &the_false);
}

struct val *val_int(struct arena *a, int64_t i)
{
	struct val *v = make(a, VAL_INT);

	v->u.i = i;
	return v;
}

struct val *val_float(struct arena *a, double d)
{
	struct val *v = make(a, VAL_FLOAT);

	v->u.d = d;
	return v;
}

struct val *val_str_ref(struct arena *a, struct str s)
{
	struct val *v = make(a, VAL_STR);

	v->u.s = s;
	return v;
}

struct val *val_str(struct arena *a, struct str s)
{
	return val_str_ref(a, str_dup(a, s));
}

struct val *val_strz(struct arena *a, const char *z)
{
	return val_str(a, str_c(z));
}

struct val *val_strf(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *z = arena_vprintf(a, fmt, ap);

	va_end(ap);
	return val_str_ref(a, str_c(z));
}

static struct val *make_vec(struct arena *a, enum val_kind kind)
{
	struct val *v = make(a, kind);

	v->u.vec = ARENA_NEW(a, struct val_vec);
	v->u.vec->a = a;
	return v;
}

struct val *val_list(struct arena *a)
{
	return make_vec(a, VAL_LIST);
}

struct val *val_tuple(struct arena *a)
{
	return make_vec(a, VAL_TUPLE);
}

struct val *val_map(struct arena *a)
{
	struct val *v = make(a, VAL_MAP);

	v->u.map = ARENA_NEW(a, struct val_table);
	v->u.map->a = a;
	return v;
}

struct val *val_obj(struct arena *a, const struct val_class *cls, void *self)
{
	struct val *v = make(a, VAL_OBJ);

	v->u.obj.cls = cls;
	v->u.obj.self = self;
	return v;
}

struct val *val_undef(struct arena *a, struct str name, const char *msg)
{
	struct val *v = make(a, VAL_UNDEF);
	struct val_undefined *u = ARENA_NEW(a, struct val_undefined);

	u->name = str_dup(a, name);
	u->msg = msg ? arena_strdup(a, msg) : arena_printf(a, "'%.*s' is undefined", STR_FMT(name));
	v->u.undef = u;
	return v;
}

enum val_kind val_kind(const struct val *v)
{
	return (enum val_kind)v->kind;
}

bool val_is_undef(const struct val *v)
{
	return v->kind == VAL_UNDEF;
}

bool val_is_null(const struct val *v)
{
	return v->kind == VAL_NULL;
}

bool val_is_str(const struct val *v)
{
	return v->kind == VAL_STR;
}

bool val_is_list(const struct val *v)
{
	return v->kind == VAL_LIST || v->kind == VAL_TUPLE;
}

bool val_is_map(const struct val *v)
{
	return v->kind == VAL_MAP;
}

bool val_is_num(const struct val *v)
{
	return v->kind == VAL_INT || v->kind == VAL_FLOAT || v->kind == VAL_BIG;
}

bool val_get_bool(const struct val *v)
{
	want(v->kind == VAL_BOOL);
	return v->u.b;
}

int64_t val_get_int(const struct val *v)
{
	if (v->kind == VAL_BIG)
		return v->u.big->neg ? INT64_MIN : INT64_MAX;
	want(v->kind == VAL_INT || v->kind == VAL_BOOL);
	return v->kind == VAL_INT ? v->u.i : v->u.b;
}

double val_get_float(const struct val *v)
{
	if (v->kind == VAL_FLOAT)
		return v->u.d;
	if (v->kind == VAL_BIG)
		return val_big_float(v->u.big);
	return (double)val_get_int(v);
}

struct str val_get_str(const struct val *v)
{
	want(v->kind == VAL_STR);
	return v->u.s;
}

const char *val_get_strz(const struct val *v)
{
	want(v->kind == VAL_STR);
	return v->u.s.p ? v->u.s.p : "";
}

struct str val_undef_name(const struct val *v)
{
	want(v->kind == VAL_UNDEF);
	return v->u.undef->name;
}

const char *val_undef_msg(const struct val *v)
{
	want(v->kind == VAL_UNDEF);
	return v->u.undef->msg;
}

const struct val_class *val_obj_class(const struct val *v)
{
	want(v->kind == VAL_OBJ);
	return v->u.obj.cls;
}

void *val_obj_self(const struct val *v)
{
	want(v->kind == VAL_OBJ);
	return v->u.obj.self;
}

/* ---- lists ---- */

size_t val_len(const struct val *v)
{
	switch (v->kind) {
	case VAL_LIST:
	case VAL_TUPLE: return v->u.vec->n;
	case VAL_MAP: return v->u.map->n;
	case VAL_STR: return v->u.s.n;
	default: want(false); return 0;
	}
}

static struct val_vec *vec(const struct val *v)
{
	want(val_is_list(v));
	return v->u.vec;
}

struct val *val_at(const struct val *list, size_t i)
{
	const struct val_vec *l = vec(list);

	return i < l->n ? l->v[i] : NULL;
}

static void vec_room(struct val_vec *l)
{
	if (l->n == l->cap)
		l->v = arena_grow(l->a, l->v, l->n, &l->cap, sizeof(struct val *));
}

void val_push(struct val *list, struct val *v)
{
	struct val_vec *l = vec(list);

	vec_room(l);
	l->v[l->n++] = v;
}

void val_set_at(struct val *list, size_t i, struct val *v)
{
	struct val_vec *l = vec(list);

	want(i < l->n);
	l->v[i] = v;
}

void val_insert(struct val *list, size_t i, struct val *v)
{
	struct val_vec *l = vec(list);

	want(i <= l->n);
	vec_room(l);
	memmove(l->v + i + 1, l->v + i, (l->n - i) * sizeof(struct val *));
	l->v[i] = v;
	l->n++;
}

void val_remove_at(struct val *list, size_t i)
{
	struct val_vec *l = vec(list);

	want(i < l->n);
	memmove(l->v + i, l->v + i + 1, (l->n - i - 1) * sizeof(struct val *));
	l->n--;
}

/* ---- history ---- */

struct origin val_origin(const struct val *v)
{
	return v->at;
}

static struct val *dup_head(struct arena *a, const struct val *v)
{
	struct val *c = arena_dup(a, v, sizeof(*v));

	c->flags &= (uint8_t)~VF_SHARED;
	return c;
}

struct val *val_at_origin(struct arena *a, struct val *v, struct origin o)
{
	if (v->flags & VF_SHARED)
		v = dup_head(a, v);
	v->at = o;
	return v;
}

bool val_secret(const struct val *v)
{
	return v->flags & VF_SECRET;
}

bool val_unsafe(const struct val *v)
{
	return v->flags & VF_UNSAFE;
}

bool val_is_text(const struct val *v)
{
	return v->flags & VF_TEXT;
}

bool val_is_markup(const struct val *v)
{
	return v->flags & VF_MARKUP;
}

struct finding {
	bool (*match)(const struct val *v);
	const struct val *found;
	size_t left; /* values that may still be looked at */
};

static bool find(struct finding *f, const struct val *v, int depth)
{
	if (f->match(v)) {
		f->found = v;
		return true;
	}
	if (f->left == 0 || depth > VAL_DEPTH_MAX)
		return f->left == 0;
	f->left--;
	if (val_is_list(v)) {
		VAL_EACH (i, v)
			if (find(f, val_at(v, i), depth + 1))
				return true;
	} else if (v->kind == VAL_MAP) {
		MAP_EACH (i, v)
			if (find(f, val_value_at(v, i), depth + 1) || find(f, val_key_at(v, i), depth + 1))
				return true;
	}
	return false;
}

bool val_find(const struct val *v, bool (*match)(const struct val *v), const struct val **ret)
{
	struct finding f = {match, NULL, VAL_WALK_MAX};
	bool found = find(&f, v, 0);

	if (ret)
		*ret = f.found;
	return found;
}

bool val_secret_deep(const struct val *v)
{
	return val_find(v, val_secret, NULL);
}

static struct val *vec_sized(struct arena *a, const struct val *like)
{
	struct val *c = make_vec(a, val_kind(like));
	struct val_vec *l = c->u.vec;

	l->cap = like->u.vec->n;
	if (l->cap)
		l->v = arena_array(a, l->cap, sizeof(struct val *));
	return c;
}

/* Only text can be templated or read as data again: numbers and the like need no such mark. */
static bool takes_mark(const struct val *v, uint8_t flag)
{
	if (flag == VF_SECRET)
		return true;
	return v->kind != VAL_NULL && v->kind != VAL_BOOL && !val_is_num(v);
}

static struct val *mark(struct arena *a, struct val *v, uint8_t flag, int depth)
{
	struct val *c = v;

	if (depth > VAL_DEPTH_MAX || !takes_mark(v, flag))
		return v;
	if (val_is_list(v)) {
		c = vec_sized(a, v);
		VAL_EACH (i, v)
			val_push(c, mark(a, val_at(v, i), flag, depth + 1));
	} else if (v->kind == VAL_MAP) {
		const struct val_table *t = v->u.map;

		c = val_map_sized(a, t->n);
		for (size_t i = 0; i < t->n; i++)
			val_map_append(c, t->v[i].key, mark(a, t->v[i].value, flag, depth + 1), t->v[i].hash);
	} else if (!(v->flags & flag)) {
		c = dup_head(a, v);
	}
	c->at = v->at;
	c->flags |= (uint8_t)((v->flags | flag) & ~VF_SHARED);
	return c;
}

static void mark_in_place(struct val *v, uint8_t flag, int depth)
{
	if (depth > VAL_DEPTH_MAX || (v->flags & VF_SHARED) || !takes_mark(v, flag))
		return;
	v->flags |= flag;
	if (val_is_list(v)) {
		VAL_EACH (i, v)
			mark_in_place(val_at(v, i), flag, depth + 1);
	} else if (v->kind == VAL_MAP) {
		MAP_EACH (i, v)
			mark_in_place(val_value_at(v, i), flag, depth + 1);
	}
}

void val_make_unsafe(struct val *v)
{
	mark_in_place(v, VF_UNSAFE, 0);
}

struct val *val_mark_secret(struct arena *a, struct val *v)
{
	return mark(a, v, VF_SECRET, 0);
}

struct val *val_mark_unsafe(struct arena *a, struct val *v)
{
	return mark(a, v, VF_UNSAFE, 0);
}

struct val *val_mark_text(struct arena *a, struct val *v)
{
	return mark(a, v, VF_TEXT, 0);
}

struct val *val_mark_markup(struct arena *a, struct val *v)
{
	return v->kind == VAL_STR ? mark(a, v, VF_MARKUP, 0) : v;
}

/* ---- copies ---- */

static struct val *copy(struct arena *a, const struct val *v, uint8_t flag, int depth)
{
	struct val *c;

	if (v->flags & VF_SHARED)
		return (struct val *)v;
	if (depth > VAL_DEPTH_MAX)
		return val_null();
	switch (v->kind) {
	case VAL_STR: c = val_str(a, v->u.s); break;
	case VAL_UNDEF: c = val_undef(a, v->u.undef->name, v->u.undef->msg); break;
	case VAL_BIG: c = val_big_add(a, v, val_int(a, 0)); break;
	case VAL_LIST:
	case VAL_TUPLE:
		c = vec_sized(a, v);
		VAL_EACH (i, v)
			val_push(c, copy(a, val_at(v, i), flag, depth + 1));
		break;
	case VAL_MAP: {
		const struct val_table *t = v->u.map;

		c = val_map_sized(a, t->n);
		for (size_t i = 0; i < t->n; i++)
			val_map_append(c, copy(a, t->v[i].key, 0, depth + 1),
			               copy(a, t->v[i].value, flag, depth + 1), t->v[i].hash);
		break;
	}
	case VAL_OBJ:
		if (v->u.obj.cls->plain)
			c = copy(a, v->u.obj.cls->plain(v->u.obj.self, a), flag, depth + 1);
		else
			c = val_str_ref(a, val_text(v, a));
		if (c->flags & VF_SHARED)
			return c;
		break;
	default: c = dup_head(a, v); break;
	}
	c->at = v->at;
	c->flags |= (uint8_t)((v->flags & ~VF_MARKUP) | flag);
	return c;
}

struct val *val_copy(struct arena *a, const struct val *v)
{
	return copy(a, v, 0, 0);
}

struct val *val_copy_unsafe(struct arena *a, const struct val *v)
{
	return copy(a, v, VF_UNSAFE, 0);
}

struct val *val_shallow(struct arena *a, const struct val *v)
{
	struct val *c;

	if (val_is_list(v)) {
		c = vec_sized(a, v);
		VAL_EACH (i, v)
			val_push(c, val_at(v, i));
	} else if (v->kind == VAL_MAP) {
		const struct val_table *t = v->u.map;

		c = val_map_sized(a, t->n);
		for (size_t i = 0; i < t->n; i++)
			val_map_append(c, t->v[i].key, t->v[i].value, t->v[i].hash);
	} else {
		return dup_head(a, v);
	}
	c->at = v->at;
	c->flags = v->flags;
	return c;
}

struct val *val_merge(struct arena *a, const struct val *base, const struct val *over, bool recursive)
{
	struct val *m = val_shallow(a, base);

	MAP_EACH (i, over) {
		struct val *k = val_key_at(over, i), *v = val_value_at(over, i);
		struct val *old = recursive ? val_getk(m, k) : NULL;

		if (old && val_is_map(old) && val_is_map(v))
			v = val_merge(a, old, v, true);
		val_setk(m, k, v);
	}
	m->flags |= over->flags & (VF_SECRET | VF_UNSAFE);
	return m;
}
