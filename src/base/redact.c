#include "base/redact.h"

#include "base/arena.h"
#include "base/secret.h"

#include <stdlib.h>

/*
 * Base64 of a secret within a longer text, wrapped or cut anywhere, is recognised by pieces of this length: 6
 * bytes of the secret. That chance or language makes one is not to be expected.
 */
#define GRAM 8

/* A pattern is in the list of its first byte, and in another when its first byte may be written as an escape.
 */
struct redact_pattern {
	struct str s;
	uint32_t next, next_odd; /* index + 1 */
};

/* ---- base64 pieces ---- */

static char base64_digit(char c)
{
	if (c == '-')
		return '+';
	if (c == '_')
		return '/';
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
	                       c == '/'
	               ? c
	               : '\0';
}

static size_t blanks(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] && strchr(" \r\n", s.p[n]))
		n++;
	return n;
}

/* What may stand between lines of base64: a line's end, as it is or escaped, or the end of a list's member.
 */
static size_t line_break(struct str s)
{
	if (str_starts(s, "\\n"))
		return 2;
	if (s.n > 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[1] == ',') {
		size_t n = 2 + blanks(str_n(s.p + 2, s.n - 2));

		return n < s.n && s.p[n] == s.p[0] ? n + 1 : 0;
	}
	return s.n && (s.p[0] == '\n' || s.p[0] == '\r') ? blanks(s) : 0;
}

/* The hash of the digits at S's beginning and the length they take, or 0 when they are too few. */
static uint64_t gram_at(struct str s, size_t *len)
{
	char digits[GRAM];
	size_t n = 0, i = 0;

	while (n < GRAM && i < s.n) {
		char c = base64_digit(s.p[i]);
		size_t skip = c ? 1 : n ? line_break(str_n(s.p + i, s.n - i)) : 0;

		if (!skip)
			break;
		if (c)
			digits[n++] = c;
		i += skip;
	}
	*len = i;
	return n == GRAM ? str_hash(str_n(digits, GRAM)) | 1 : 0;
}

static uint64_t *gram_slot(const struct redact *r, uint64_t h)
{
	size_t i = h & (r->slots - 1);

	while (r->grams[i] && r->grams[i] != h)
		i = (i + 1) & (r->slots - 1);
	return &r->grams[i];
}

static void gram_room(struct redact *r)
{
	struct redact bigger = {.slots = r->slots ? r->slots * 2 : 256};

	if (r->n_grams * 2 < r->slots)
		return;
	bigger.grams = xmalloc(bigger.slots * sizeof(*bigger.grams));
	memset(bigger.grams, 0, bigger.slots * sizeof(*bigger.grams));
	for (size_t i = 0; i < r->slots; i++) {
		if (r->grams[i])
			*gram_slot(&bigger, r->grams[i]) = r->grams[i];
	}
	free(r->grams);
	r->grams = bigger.grams;
	r->slots = bigger.slots;
}

static void add_grams(struct redact *r, struct str text)
{
	for (size_t i = 0; i + GRAM <= text.n; i++) {
		size_t len;

		gram_room(r);
		uint64_t h = gram_at(str_n(text.p + i, text.n - i), &len), *slot = gram_slot(r, h);

		r->n_grams += !*slot;
		*slot = h;
	}
}

/* ---- patterns ---- */

static bool known(const struct redact *r, struct str s)
{
	for (uint32_t i = r->first[(unsigned char)s.p[0]]; i; i = r->v[i - 1].next) {
		if (str_eq(r->v[i - 1].s, s))
			return true;
	}
	return false;
}

/* No pattern begins with a NUL: the place of those that may begin with an escape. */
#define ODD 0

static void add_pattern(struct redact *r, struct str s)
{
	unsigned char c = (unsigned char)s.p[0];

	if (!c || known(r, s))
		return;
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->v = xrealloc(r->v, r->cap * sizeof(*r->v));
	}
	char *copy = xmalloc(s.n);

	memcpy(copy, s.p, s.n);
	r->v[r->n] = (struct redact_pattern){str_n(copy, s.n), r->first[c], r->first[ODD]};
	r->n++;
	r->first[c] = (uint32_t)r->n;
	if (secret_may_begin(s, '\\'))
		r->first[ODD] = (uint32_t)r->n;
}

static void add_part(void *ctx, struct str part, enum secret_part kind)
{
	struct redact *r = ctx;
	struct buf b = {0};

	add_pattern(r, part);
	if (kind == SECRET_LINE)
		return;
	buf_base64(&b, part);
	add_pattern(r, buf_str(&b));
	for (size_t shift = 0; shift < 3; shift++) {
		buf_burn(&b);
		secret_base64(part, shift, &b);
		add_grams(r, buf_str(&b));
	}
	buf_burn(&b);
}

void redact_add(struct redact *r, struct str secret)
{
	secret_parts(secret, add_part, r);
}

void redact_clear(struct redact *r)
{
	for (size_t i = 0; i < r->n; i++) {
		explicit_bzero((char *)r->v[i].s.p, r->v[i].s.n);
		free((char *)r->v[i].s.p);
	}
	free(r->v);
	free(r->grams);
	*r = (struct redact){0};
}

/* ---- text ---- */

/* The length of the longest secret at the beginning of TEXT, 0: none. */
static size_t secret_at(const struct redact *r, struct str text)
{
	size_t len, best = 0;
	char c = text.p[0];
	bool odd = c && strchr("\\%&+", c);
	uint64_t gram = r->n_grams && base64_digit(c) ? gram_at(text, &len) : 0;

	if (gram && *gram_slot(r, gram))
		best = len;
	for (uint32_t i = c ? r->first[(unsigned char)c] : 0; i; i = r->v[i - 1].next) {
		ptrdiff_t n = secret_match(r->v[i - 1].s, text);

		best = n > (ptrdiff_t)best ? (size_t)n : best;
	}
	for (uint32_t i = odd ? r->first[ODD] : 0; i; i = r->v[i - 1].next_odd) {
		ptrdiff_t n = secret_match(r->v[i - 1].s, text);

		best = n > (ptrdiff_t)best ? (size_t)n : best;
	}
	return best;
}

bool redact_text(const struct redact *r, struct str in, struct buf *out)
{
	size_t hidden = 0; /* up to here nothing is to be shown any more */
	bool any = false;

	for (size_t k = 0; r->n && k < in.n; k++) {
		size_t n = secret_at(r, str_n(in.p + k, in.n - k));

		if (!n || k + n <= hidden)
			continue;
		if (k > hidden || !any) {
			buf_add(out, in.p + hidden, k - hidden);
			buf_adds(out, "***");
		}
		any = true;
		hidden = k + n;
	}
	buf_add(out, in.p + hidden, in.n - hidden);
	return any;
}
