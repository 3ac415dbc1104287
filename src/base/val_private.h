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
	VF_SHARED = 4, /* one of the constants: never written */
};

/* Lists and maps may hold themselves (x.append(x)); walkers stop here. */
#define VAL_DEPTH_MAX 200

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

struct val_undefined {
	struct str name;
	const char *msg;
};

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
		const struct val_undefined *undef;
		struct {
			const struct val_class *cls;
			void *self;
		} obj;
	} u;
};
#endif
