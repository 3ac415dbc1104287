/*
 * ptrs - arrays of pointers in an arena that grow at their end.
 */
#ifndef ANSIBLE_PTRS_H
#define ANSIBLE_PTRS_H
#include "base/arena.h"
#include <string.h>

/* V with room for one more after N: doubled whenever N is a power of two. */
static inline void *ptrs_grow(struct arena *a, void *v, size_t n)
{
	if (n & (n - 1))
		return v;
	void *p = arena_array(a, n ? n * 2 : 1, sizeof(void *));
	if (n)
		memcpy(p, v, n * sizeof(void *));
	return p;
}

#define PTRS_PUSH(a, v, n, x) ((v) = ptrs_grow((a), (v), (n)), (v)[(n)++] = (x))
#endif
