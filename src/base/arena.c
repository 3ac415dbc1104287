#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 16
#define BLOCK_MIN ((size_t)4 << 10)
#define BLOCK_MAX ((size_t)256 << 10)

struct block {
	struct block *next;
	size_t cap, used;
	_Alignas(ALIGN) char data[];
};

struct deferred {
	struct deferred *next;
	void (*fn)(void *);
	void *arg;
};

struct arena {
	struct arena *parent, *child, *prev, *next;
	struct block *block; /* the one being filled; older and oversized ones behind it */
	struct deferred *deferred;
	size_t next_cap, used;
};

/* No memory is no state anybody can go on from; a message would need memory. */
static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

void *xmalloc(size_t n)
{
	return need(malloc(n ? n : 1));
}

void *xrealloc(void *p, size_t n)
{
	return need(realloc(p, n ? n : 1));
}

char *xstrdup(const char *s)
{
	return need(strdup(s));
}

struct arena *arena_new(struct arena *parent)
{
	struct arena *a = need(calloc(1, sizeof(*a)));

	a->next_cap = BLOCK_MIN;
	a->parent = parent;
	if (parent) {
		a->next = parent->child;
		if (a->next)
			a->next->prev = a;
		parent->child = a;
	}
	return a;
}

static void run_deferred(struct arena *a)
{
	while (a->deferred) {
		struct deferred *d = a->deferred;

		a->deferred = d->next;
		d->fn(d->arg);
	}
}

static void free_children(struct arena *a)
{
	while (a->child)
		arena_free(a->child); /* NOLINT(clang-analyzer-unix.Malloc): it takes itself off the list */
}

static void free_blocks(struct block *b)
{
	while (b) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	free_children(a);
	run_deferred(a);
	free_blocks(a->block);
	if (a->prev)
		a->prev->next = a->next;
	else if (a->parent)
		a->parent->child = a->next;
	if (a->next)
		a->next->prev = a->prev;
	free(a);
}

void arena_reset(struct arena *a)
{
	free_children(a);
	run_deferred(a);
	if (a->block) {
		free_blocks(a->block->next);
		a->block->next = NULL;
		memset(a->block->data, 0, a->block->used);
		a->block->used = 0;
	}
	a->used = 0;
}

static struct block *new_block(size_t cap)
{
	struct block *b = need(calloc(1, sizeof(*b) + cap));

	b->cap = cap;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	if (n > SIZE_MAX / 2)
		abort();
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	a->used += n;
	if (a->block && a->block->cap - a->block->used >= n) {
		void *p = a->block->data + a->block->used;

		a->block->used += n;
		return p;
	}
	if (n > a->next_cap / 4 && a->block) { /* its own block, behind the one being filled */
		struct block *own = new_block(n);

		own->used = n;
		own->next = a->block->next;
		a->block->next = own;
		return own->data;
	}
	struct block *b = new_block(n > a->next_cap ? n : a->next_cap);

	if (a->next_cap < BLOCK_MAX)
		a->next_cap *= 2;
	b->next = a->block;
	a->block = b;
	b->used = n;
	return b->data;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / 2 / size)
		abort();
	return arena_alloc(a, n * size);
}

void *arena_dup(struct arena *a, const void *p, size_t n)
{
	void *q = arena_alloc(a, n);

	if (n)
		memcpy(q, p, n);
	return q;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *q = arena_alloc(a, n + 1);

	if (n)
		memcpy(q, s, n);
	return q;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);

	if (n < 0)
		abort();
	char *q = arena_alloc(a, (size_t)n + 1);

	vsnprintf(q, (size_t)n + 1, fmt, again);
	va_end(again);
	return q;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *q = arena_vprintf(a, fmt, ap);

	va_end(ap);
	return q;
}

void arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
	struct deferred *d = ARENA_NEW(a, struct deferred);

	d->fn = fn;
	d->arg = arg;
	d->next = a->deferred;
	a->deferred = d;
}

size_t arena_used(const struct arena *a)
{
	size_t n = a->used;

	for (const struct arena *c = a->child; c; c = c->next)
		n += arena_used(c);
	return n;
}
