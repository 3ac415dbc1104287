#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALIGN 16
#define BLOCK_MIN ((size_t)4 << 10)
#define BLOCK_MAX ((size_t)256 << 10)

/*
 * A task's arena lives for milliseconds, and musl gives every block back to the system at once, which costs
 * more than the task. So the blocks of a tree's short-lived arenas wait at its root for the next one, up to
 * this many bytes; none under a sanitizer, which is to see what is used after it was freed.
 */
#if defined(__SANITIZE_ADDRESS__)
#define SPARE_MAX ((size_t)0)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SPARE_MAX ((size_t)0)
#endif
#endif
#ifndef SPARE_MAX
#define SPARE_MAX ((size_t)1 << 20)
#endif

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
	struct arena *root, *parent, *child, *prev, *next;
	struct block *block; /* the one being filled; older and oversized ones behind it */
	struct block *spare; /* the root's: used up to USED, to be cleared when taken */
	size_t spare_bytes;
	struct deferred *deferred;
	size_t next_cap, used;
};

/* No memory is no state anybody can go on from. Nothing here may ask for more. */
void *xneed(void *p)
{
	static const char msg[] = "nante: out of memory\n";

	if (!p) {
		if (write(STDERR_FILENO, msg, sizeof(msg) - 1) < 0)
			abort();
		_exit(ARENA_EXIT);
	}
	return p;
}

void *xmalloc(size_t n)
{
	return xneed(malloc(n ? n : 1));
}

void *xrealloc(void *p, size_t n)
{
	return xneed(realloc(p, n ? n : 1));
}

char *xstrdup(const char *s)
{
	return xneed(strdup(s));
}

struct arena *arena_new(struct arena *parent)
{
	struct arena *a = xneed(calloc(1, sizeof(*a)));

	a->next_cap = BLOCK_MIN;
	a->parent = parent;
	a->root = parent ? parent->root : a;
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

/* Oversized blocks fit nobody else. */
static bool reusable(const struct arena *root, const struct block *b)
{
	return b->cap >= BLOCK_MIN && b->cap <= BLOCK_MAX && (b->cap & (b->cap - 1)) == 0 &&
	       root->spare_bytes + b->cap <= SPARE_MAX;
}

static void free_blocks(struct arena *a, struct block *b)
{
	struct arena *root = a->root;

	while (b) {
		struct block *next = b->next;

		if (a != root && reusable(root, b)) {
			root->spare_bytes += b->cap;
			b->next = root->spare;
			root->spare = b;
		} else {
			free(b);
		}
		b = next;
	}
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	free_children(a);
	run_deferred(a);
	free_blocks(a, a->block);
	free_blocks(a, a->spare);
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
		free_blocks(a, a->block->next);
		a->block->next = NULL;
		memset(a->block->data, 0, a->block->used);
		a->block->used = 0;
	}
	a->used = 0;
}

static struct block *new_block(struct arena *a, size_t cap)
{
	struct arena *root = a->root;

	for (struct block **p = &root->spare; *p; p = &(*p)->next) {
		struct block *b = *p;

		if (b->cap != cap)
			continue;
		*p = b->next;
		root->spare_bytes -= cap;
		memset(b->data, 0, b->used);
		b->used = 0;
		return b;
	}
	struct block *b = xneed(calloc(1, sizeof(*b) + cap));

	b->cap = cap;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	if (n > SIZE_MAX / 2)
		xneed(NULL);
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	a->used += n;
	if (a->block && a->block->cap - a->block->used >= n) {
		void *p = a->block->data + a->block->used;

		a->block->used += n;
		return p;
	}
	if (n > a->next_cap / 4 && a->block) { /* its own block, behind the one being filled */
		struct block *own = new_block(a, n);

		own->used = n;
		own->next = a->block->next;
		a->block->next = own;
		return own->data;
	}
	struct block *b = new_block(a, n > a->next_cap ? n : a->next_cap);

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
		xneed(NULL);
	return arena_alloc(a, n * size);
}

void *arena_grow(struct arena *a, void *v, size_t n, size_t *cap, size_t size)
{
	size_t have = *cap;

	if (n < have)
		return v;
	while (*cap <= n)
		*cap = *cap ? *cap * 2 : 4;
	void *more = arena_array(a, *cap, size);

	if (have)
		memcpy(more, v, have * size);
	return more;
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
