/*
 * val_private - the fields of a value, for base/val*.c alone.
 */
#ifndef BASE_VAL_PRIVATE_H
#define BASE_VAL_PRIVATE_H
#include "base/val.h"

enum {
	VF_SECRET = 1,
	VF_UNSAFE = 2,
	VF_TEXT = 8,
	VF_MARKUP = 16,
	VF_SHARED = 4, /* one of the constants: never written */
};

/* Lists and maps may hold themselves (x.append(x)); walkers stop here. */
#define VAL_DEPTH_MAX 200
/* Lists may hold one list many times over: more than this is never looked through. */
#define VAL_WALK_MAX 5000000

struct val_vec {
	struct arena *a;
	struct val **v;
	size_t n, cap;
};

struct val_entry {
	struct val *key, *value;
	uint64_t hash;
};

struct val_table {
	struct arena *a;
	struct val_entry *v; /* in insertion order */
	size_t n, cap;
	uint32_t *index; /* entry number + 1 by hash, open addressing; NULL while the map is small */
	size_t slots;
};

/* A map with room for N members, and a member put behind the others: KEY is known not to be there, HASH is
 * its hash in another map. For copies. */
struct val *val_map_sized(struct arena *a, size_t n);
void val_map_append(struct val *map, struct val *key, struct val *v, uint64_t hash);

struct val_undefined {
	struct str name;
	const char *msg;
};

/* 32 bits a limb, the lowest first. */
struct val_big {
	bool neg;
	size_t n;
	uint32_t d[];
};

double val_big_float(const struct val_big *b);

struct val {
	uint8_t kind, flags;
	struct origin at;
	union {
		bool b;
		int64_t i;
		double d;
		struct str s;
		struct val_vec *vec;
		struct val_table *map;
		const struct val_big *big;
		const struct val_undefined *undef;
		struct {
			const struct val_class *cls;
			void *self;
		} obj;
	} u;
};
#endif
