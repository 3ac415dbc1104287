#include "base/str.h"

#include "base/arena.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eqc(struct str a, const char *z)
{
	return str_eq(a, str_c(z));
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

bool str_ends(struct str s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s.n >= n && (n == 0 || memcmp(s.p + s.n - n, suffix, n) == 0);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
	while (s.n && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

ptrdiff_t str_find(struct str s, struct str needle, size_t from)
{
	if (from > s.n || needle.n > s.n - from)
		return -1;
	if (needle.n == 0)
		return (ptrdiff_t)from;
	const char *q = memmem(s.p + from, s.n - from, needle.p, needle.n);

	return q ? q - s.p : -1;
}

struct str str_split(struct str *s, char sep)
{
	const char *q = s->n ? memchr(s->p, sep, s->n) : NULL;
	struct str head = *s;

	if (!q) {
		*s = (struct str){NULL, 0};
		return head;
	}
	head.n = (size_t)(q - s->p);
	s->p = q + 1;
	s->n -= head.n + 1;
	return head;
}

bool str_int(struct str s, int64_t *ret)
{
	bool neg = s.n && s.p[0] == '-';
	uint64_t v = 0, limit = neg ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;

	if (i == s.n)
		return false;
	for (; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		uint64_t d = (uint64_t)(s.p[i] - '0');

		if (v > (limit - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*ret = neg ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

uint64_t str_hash(struct str s)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	return h ^ (h >> 29);
}

/* The length a lead byte announces, or 0; *MIN: the smallest code point that needs it. */
static size_t utf8_len(unsigned char c, uint32_t *ret_bits, uint32_t *ret_min)
{
	if (c >= 0xc2 && c <= 0xdf) {
		*ret_bits = c & 0x1fu;
		*ret_min = 0x80;
		return 2;
	}
	if ((c & 0xf0) == 0xe0) {
		*ret_bits = c & 0xfu;
		*ret_min = 0x800;
		return 3;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		*ret_bits = c & 0x7u;
		*ret_min = 0x10000;
		return 4;
	}
	return 0;
}

/* The length of the sequence, 0 when it is not valid. */
static size_t utf8_decode(struct str s, uint32_t *ret_cp)
{
	unsigned char c = (unsigned char)s.p[0];
	uint32_t cp = c, min = 0;

	*ret_cp = c;
	if (c < 0x80)
		return 1;
	size_t len = utf8_len(c, &cp, &min);

	if (len == 0 || len > s.n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		unsigned char d = (unsigned char)s.p[i];

		if ((d & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (d & 0x3fu);
	}
	if (cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret_cp = cp;
	return len;
}

size_t str_utf8(struct str s, uint32_t *ret_cp)
{
	size_t len;

	if (s.n == 0) {
		*ret_cp = 0;
		return 0;
	}
	len = utf8_decode(s, ret_cp);
	return len ? len : 1;
}

bool str_is_utf8(struct str s)
{
	while (s.n) {
		uint32_t cp;
		size_t len = utf8_decode(s, &cp);

		if (len == 0)
			return false;
		s = str_n(s.p + len, s.n - len);
	}
	return true;
}

struct str str_dup(struct arena *a, struct str s)
{
	return str_n(arena_strndup(a, s.p, s.n), s.n);
}

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.max = b->max};
}

void buf_burn(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_free(b);
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->full = false;
	if (b->p)
		b->p[0] = '\0';
}

char *buf_room(struct buf *b, size_t n)
{
	size_t max = b->max ? b->max : BUF_DEFAULT_MAX;

	if (n > max || b->n > max - n) {
		b->full = true;
		return NULL;
	}
	if (b->n + n + 1 > b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 64;

		while (cap < b->n + n + 1)
			cap *= 2;
		b->p = xrealloc(b->p, cap);
		b->cap = cap;
		b->p[b->n] = '\0';
	}
	return b->p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	char *q = buf_room(b, n);

	if (!q)
		return;
	if (n)
		memcpy(q, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void buf_adds(struct buf *b, const char *z)
{
	buf_add(b, z, strlen(z));
}

void buf_addstr(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_utf8(struct buf *b, uint32_t cp)
{
	char u[4];
	size_t n;

	if (cp < 0x80) {
		u[0] = (char)cp;
		n = 1;
	} else if (cp < 0x800) {
		u[0] = (char)(0xc0 | cp >> 6);
		u[1] = (char)(0x80 | (cp & 0x3f));
		n = 2;
	} else if (cp < 0x10000) {
		u[0] = (char)(0xe0 | cp >> 12);
		u[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		u[2] = (char)(0x80 | (cp & 0x3f));
		n = 3;
	} else {
		u[0] = (char)(0xf0 | (cp >> 18 & 0x7));
		u[1] = (char)(0x80 | (cp >> 12 & 0x3f));
		u[2] = (char)(0x80 | (cp >> 6 & 0x3f));
		u[3] = (char)(0x80 | (cp & 0x3f));
		n = 4;
	}
	buf_add(b, u, n);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);

	if (n < 0)
		abort();
	char *q = buf_room(b, (size_t)n);

	if (q) {
		vsnprintf(q, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->n) {
		buf_clear(b);
		return;
	}
	memmove(b->p, b->p + n, b->n - n + 1);
	b->n -= n;
}

struct str buf_str(const struct buf *b)
{
	return str_n(b->p, b->n);
}

struct str buf_take(struct buf *b, struct arena *a)
{
	return str_dup(a, buf_str(b));
}
