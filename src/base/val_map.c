#include "base/val.h"

#include "base/val_private.h"

#include <math.h>
#include <stdlib.h>

/* Below this many entries a scan beats an index. */
#define INDEX_FROM 9

static struct val_table *table(const struct val *v)
{
	if (v->kind != VAL_MAP)
		abort();
	return v->u.map;
}

static uint64_t hash_int(int64_t i)
{
	uint64_t h = (uint64_t)i * 0x9e3779b97f4a7c15u;

	return h ^ (h >> 32);
}

static uint64_t hash_float(double d)
{
	if (!isfinite(d))
		return 11;
	if (floor(d) == d && fabs(d) < 9e18)
		return hash_int((int64_t)d);
	return hash_int((int64_t)(fmod(d, 1e6) * 1e9));
}

/* Values that are equal hash alike, whatever their kind. */
static uint64_t hash_val(const struct val *v)
{
	switch (v->kind) {
	case VAL_STR: return str_hash(v->u.s);
	case VAL_BOOL: return hash_int(v->u.b);
	case VAL_INT: return hash_int(v->u.i);
	case VAL_BIG: return hash_float(val_big_float(v->u.big));
	case VAL_FLOAT: return hash_float(v->u.d);
	case VAL_TUPLE: {
		uint64_t h = 0x51ed27;

		VAL_EACH (i, v)
			h = h * 31 + hash_val(val_at(v, i));
		return h;
	}
	case VAL_OBJ: return hash_int((int64_t)(intptr_t)v->u.obj.self);
	default: return 7;
	}
}

bool val_hashable(const struct val *v)
{
	if (v->kind == VAL_LIST || v->kind == VAL_MAP || v->kind == VAL_UNDEF)
		return false;
	if (v->kind == VAL_TUPLE) {
		VAL_EACH (i, v)
			if (!val_hashable(val_at(v, i)))
				return false;
	}
	return true;
}

static void index_put(struct val_table *t, size_t entry)
{
	size_t slot = t->v[entry].hash & (t->slots - 1);

	while (t->index[slot])
		slot = (slot + 1) & (t->slots - 1);
	t->index[slot] = (uint32_t)(entry + 1);
}

static size_t slots_for(size_t n)
{
	size_t slots = 32;

	while (slots < n * 2 + 2)
		slots *= 2;
	return slots;
}

static void reindex(struct val_table *t)
{
	if (t->n < INDEX_FROM) {
		t->index = NULL;
		t->slots = 0;
		return;
	}
	size_t slots = slots_for(t->n);

	if (slots != t->slots) {
		t->index = arena_array(t->a, slots, sizeof(*t->index));
		t->slots = slots;
	} else {
		memset(t->index, 0, slots * sizeof(*t->index));
	}
	for (size_t i = 0; i < t->n; i++)
		index_put(t, i);
}

/* The entry of a string key, or -1. Strings are nearly all keys there are: no value has to be made to look.
 */
static ptrdiff_t find_str(const struct val_table *t, struct str key, uint64_t hash)
{
	if (!t->index) {
		for (size_t i = 0; i < t->n; i++) {
			const struct val *k = t->v[i].key;

			if (t->v[i].hash == hash && k->kind == VAL_STR && str_eq(k->u.s, key))
				return (ptrdiff_t)i;
		}
		return -1;
	}
	for (size_t slot = hash & (t->slots - 1); t->index[slot]; slot = (slot + 1) & (t->slots - 1)) {
		const struct val_entry *e = &t->v[t->index[slot] - 1];

		if (e->hash == hash && e->key->kind == VAL_STR && str_eq(e->key->u.s, key))
			return (ptrdiff_t)t->index[slot] - 1;
	}
	return -1;
}

static ptrdiff_t find_val(const struct val_table *t, const struct val *key, uint64_t hash)
{
	if (key->kind == VAL_STR)
		return find_str(t, key->u.s, hash);
	if (!t->index) {
		for (size_t i = 0; i < t->n; i++) {
			if (t->v[i].hash == hash && val_equal(t->v[i].key, key))
				return (ptrdiff_t)i;
		}
		return -1;
	}
	for (size_t slot = hash & (t->slots - 1); t->index[slot]; slot = (slot + 1) & (t->slots - 1)) {
		const struct val_entry *e = &t->v[t->index[slot] - 1];

		if (e->hash == hash && val_equal(e->key, key))
			return (ptrdiff_t)t->index[slot] - 1;
	}
	return -1;
}

struct val *val_gets(const struct val *map, struct str key)
{
	const struct val_table *t = table(map);
	ptrdiff_t i = find_str(t, key, str_hash(key));

	return i < 0 ? NULL : t->v[i].value;
}

struct val *val_get(const struct val *map, const char *key)
{
	return val_gets(map, str_c(key));
}

struct val *val_getk(const struct val *map, const struct val *key)
{
	const struct val_table *t = table(map);
	ptrdiff_t i = find_val(t, key, hash_val(key));

	return i < 0 ? NULL : t->v[i].value;
}

static void add_entry(struct val_table *t, struct val_entry e)
{
	t->v = arena_grow(t->a, t->v, t->n, &t->cap, sizeof(*t->v));
	t->v[t->n++] = e;
	if (t->index ? t->n * 2 > t->slots : t->n >= INDEX_FROM)
		reindex(t);
	else if (t->index)
		index_put(t, t->n - 1);
}

struct val *val_map_sized(struct arena *a, size_t n)
{
	struct val *m = val_map(a);
	struct val_table *t = m->u.map;

	if (!n)
		return m;
	t->v = arena_array(a, n, sizeof(*t->v));
	t->cap = n;
	if (n >= INDEX_FROM) {
		t->slots = slots_for(n);
		t->index = arena_array(a, t->slots, sizeof(*t->index));
	}
	return m;
}

void val_map_append(struct val *map, struct val *key, struct val *v, uint64_t hash)
{
	add_entry(table(map), (struct val_entry){key, v, hash});
}

void val_setk(struct val *map, struct val *key, struct val *v)
{
	struct val_table *t = table(map);
	uint64_t hash = hash_val(key);
	ptrdiff_t i = find_val(t, key, hash);

	if (i >= 0)
		t->v[i].value = v;
	else
		add_entry(t, (struct val_entry){key, v, hash});
}

void val_sets(struct val *map, struct str key, struct val *v)
{
	struct val_table *t = table(map);
	uint64_t hash = str_hash(key);
	ptrdiff_t i = find_str(t, key, hash);

	if (i >= 0)
		t->v[i].value = v;
	else
		add_entry(t, (struct val_entry){val_str(t->a, key), v, hash});
}

void val_set(struct val *map, const char *key, struct val *v)
{
	val_sets(map, str_c(key), v);
}

static bool del_entry(struct val_table *t, ptrdiff_t i)
{
	if (i < 0)
		return false;
	memmove(t->v + i, t->v + i + 1, (t->n - (size_t)i - 1) * sizeof(*t->v));
	t->n--;
	reindex(t);
	return true;
}

bool val_del(struct val *map, struct str key)
{
	struct val_table *t = table(map);

	return del_entry(t, find_str(t, key, str_hash(key)));
}

bool val_delk(struct val *map, const struct val *key)
{
	struct val_table *t = table(map);

	return del_entry(t, find_val(t, key, hash_val(key)));
}

struct val *val_key_at(const struct val *map, size_t i)
{
	const struct val_table *t = table(map);

	return i < t->n ? t->v[i].key : NULL;
}

struct val *val_value_at(const struct val *map, size_t i)
{
	const struct val_table *t = table(map);

	return i < t->n ? t->v[i].value : NULL;
}

static const struct val *member(const struct val *map, const char *key)
{
	return map->kind == VAL_MAP ? val_get(map, key) : NULL;
}

struct str val_map_str(const struct val *map, const char *key, const char *dflt)
{
	const struct val *v = member(map, key);

	return v && v->kind == VAL_STR ? v->u.s : str_c(dflt);
}

const char *val_map_strz(const struct val *map, const char *key, const char *dflt)
{
	const struct val *v = member(map, key);

	return v && v->kind == VAL_STR ? val_get_strz(v) : dflt;
}

int64_t val_map_int(const struct val *map, const char *key, int64_t dflt)
{
	const struct val *v = member(map, key);
	int64_t i = dflt;

	if (v && v->kind == VAL_INT)
		return v->u.i;
	if (v && v->kind == VAL_STR)
		str_int(v->u.s, &i);
	return i;
}

bool val_map_bool(const struct val *map, const char *key, bool dflt)
{
	const struct val *v = member(map, key);

	return v && v->kind == VAL_BOOL ? v->u.b : dflt;
}
