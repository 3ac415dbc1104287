/*
 * arena - memory with a tree of life-times: run > play > host > task.
 *
 * What is allocated from an arena lives until the arena is freed; there is no single free. An arena made with
 * a parent is freed with it. Running out of memory ends the process with a line on standard error and
 * ARENA_EXIT: no caller checks. What is half written then is a temporary file: see fs_write().
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define ARENA_EXIT 1 /* failed */

struct arena;

/* A new arena; PARENT may be NULL. */
struct arena *arena_new(struct arena *parent);
/* Frees A, its children and what arena_defer() registered (last first). NULL is fine. */
void arena_free(struct arena *a);
/* Forgets everything allocated so far but keeps one block for reuse; deferred functions run, children are
 * freed. */
void arena_reset(struct arena *a);

/* N zeroed bytes, aligned for any type. N may be 0. */
void *arena_alloc(struct arena *a, size_t n);
/* An array of N zeroed members of SIZE bytes; an overflow is no memory. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* V, an array of N members, with room for one more: V itself, or a larger copy. *CAP is how many it has room
 * for; what is beyond the Nth is zero. */
void *arena_grow(struct arena *a, void *v, size_t n, size_t *cap, size_t size);
void *arena_dup(struct arena *a, const void *p, size_t n);
/* Copies are always NUL-terminated. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Calls fn(arg) when A is freed or reset. */
void arena_defer(struct arena *a, void (*fn)(void *), void *arg);
/* Bytes handed out by A and its children: for the memory figures of the benchmarks. */
size_t arena_used(const struct arena *a);

/* Heap memory for the few things that outlive every arena. These end the process likewise. */
void *xmalloc(size_t n);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
/* P, which a library allocated: likewise when it is NULL. */
void *xneed(void *p);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#endif
