/*
 * str - a slice of bytes somebody else owns, and buf - a growing byte buffer with a mandatory ceiling.
 */
#ifndef BASE_STR_H
#define BASE_STR_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

/* Not NUL-terminated unless the maker says so. p may be NULL when n is 0. */
struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})
/* For printf: "%.*s", STR_FMT(s) */
#define STR_FMT(s) (int)(s).n, (s).p

static inline struct str str_c(const char *z)
{
	return (struct str){z, z ? strlen(z) : 0};
}

static inline struct str str_n(const char *p, size_t n)
{
	return (struct str){p, n};
}

/* S without its first N bytes. */
static inline struct str str_from(struct str s, size_t n)
{
	return n ? (struct str){s.p + n, s.n - n} : s;
}

bool str_eq(struct str a, struct str b);
bool str_eqc(struct str a, const char *z);
/* As memcmp, shorter first when equal so far. */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, const char *prefix);
bool str_ends(struct str s, const char *suffix);
/* Without ASCII white space at both ends. */
struct str str_trim(struct str s);
/* The offset of NEEDLE in S at or after FROM, or -1. */
ptrdiff_t str_find(struct str s, struct str needle, size_t from);
/* Cuts the part of *S up to SEP off and returns it; *S becomes the rest, or empty with p == NULL at the end.
 */
struct str str_split(struct str *s, char sep);
/* A whole decimal number with optional sign and nothing else. False, *RET untouched, when it is not, or
 * overflows. */
bool str_int(struct str s, int64_t *ret);
uint64_t str_hash(struct str s);
/* The valid UTF-8 sequence at S's start: its length and code point; 1 and the byte itself where it is not
 * valid. */
size_t str_utf8(struct str s, uint32_t *ret_cp);
/* Whether all of S is valid UTF-8. */
bool str_is_utf8(struct str s);

#define BUF_DEFAULT_MAX ((size_t)256 << 20)

/*
 * Heap-owned; buf_free() when done. Zero-initialised is an empty buffer with the default ceiling. Growing
 * past MAX sets "full" and drops what did not fit: check it where input from outside decides the size.
 */
struct buf {
	char *p; /* NUL-terminated whenever not NULL */
	size_t n, cap, max;
	bool full;
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empty again, memory kept. */
void buf_clear(struct buf *b);
/* As buf_free, but overwrites the bytes first: for secrets. */
void buf_burn(struct buf *b);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *z);
void buf_addstr(struct buf *b, struct str s);
void buf_addc(struct buf *b, char c);
void buf_utf8(struct buf *b, uint32_t cp);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Room for N more bytes at the end, to be filled by the caller who then adds to b->n; NULL when over the
 * ceiling. */
char *buf_room(struct buf *b, size_t n);
/* Removes N bytes from the front. */
void buf_consume(struct buf *b, size_t n);
struct str buf_str(const struct buf *b);
/* A NUL-terminated copy in A. */
struct str buf_take(struct buf *b, struct arena *a);
struct str str_dup(struct arena *a, struct str s);

/* base64 (RFC 4648, with padding) and percent-encoding (RFC 3986 unreserved kept). */
void buf_base64(struct buf *b, struct str in);
/* False when IN is no base64; white space is skipped. */
bool buf_unbase64(struct buf *b, struct str in);
void buf_percent(struct buf *b, struct str in);
#endif
