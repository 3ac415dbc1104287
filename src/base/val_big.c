#include "base/val_big.h"

#include "base/val_private.h"

#include <math.h>

#define LIMBS_MAX (VAL_BIG_BITS / 32)

/* A number being computed: sign and 32 bits a limb, the lowest first. Room for a product of two. */
struct num {
	bool neg;
	size_t n;
	uint32_t d[2 * LIMBS_MAX + 2];
};

static void trim(struct num *x)
{
	while (x->n && !x->d[x->n - 1])
		x->n--;
}

static void load(const struct val *v, struct num *x)
{
	if (v->kind == VAL_BIG) {
		x->neg = v->u.big->neg;
		x->n = v->u.big->n;
		memcpy(x->d, v->u.big->d, x->n * sizeof(*x->d));
		return;
	}
	int64_t i = val_get_int(v);
	uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

	x->neg = i < 0;
	x->n = 2;
	x->d[0] = (uint32_t)u;
	x->d[1] = (uint32_t)(u >> 32);
	trim(x);
}

static struct val *store(struct arena *a, struct num *x)
{
	trim(x);
	if (x->n <= 2) {
		uint64_t u = (x->n > 1 ? (uint64_t)x->d[1] << 32 : 0) | (x->n ? x->d[0] : 0);

		if (u <= (uint64_t)INT64_MAX + x->neg)
			return val_int(a, (int64_t)(x->neg ? 0 - u : u));
	}
	if (x->n > LIMBS_MAX)
		return NULL;
	struct val_big *b = arena_alloc(a, sizeof(*b) + x->n * sizeof(*b->d));
	struct val *v = ARENA_NEW(a, struct val);

	b->neg = x->neg;
	b->n = x->n;
	memcpy(b->d, x->d, x->n * sizeof(*x->d));
	v->kind = VAL_BIG;
	v->u.big = b;
	return v;
}

/* ---- magnitudes */

static int mag_cmp(const struct num *x, const struct num *y)
{
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	for (size_t i = x->n; i-- > 0;)
		if (x->d[i] != y->d[i])
			return x->d[i] < y->d[i] ? -1 : 1;
	return 0;
}

static void mag_add(struct num *x, const struct num *y)
{
	uint64_t carry = 0;

	for (size_t i = 0; i < y->n || carry; i++) {
		if (i == x->n)
			x->d[x->n++] = 0;
		carry += (uint64_t)x->d[i] + (i < y->n ? y->d[i] : 0);
		x->d[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

/* X is not the smaller one. */
static void mag_sub(struct num *x, const struct num *y)
{
	int64_t borrow = 0;

	for (size_t i = 0; i < x->n; i++) {
		borrow += (int64_t)x->d[i] - (i < y->n ? (int64_t)y->d[i] : 0);
		x->d[i] = (uint32_t)borrow;
		borrow >>= 32;
	}
	trim(x);
}

static void mul_small(struct num *x, uint32_t by, uint32_t add)
{
	uint64_t carry = add;

	for (size_t i = 0; i < x->n; i++) {
		carry += (uint64_t)x->d[i] * by;
		x->d[i] = (uint32_t)carry;
		carry >>= 32;
	}
	if (carry)
		x->d[x->n++] = (uint32_t)carry;
}

static uint32_t div_small(struct num *x, uint32_t by)
{
	uint64_t rest = 0;

	for (size_t i = x->n; i-- > 0;) {
		rest = rest << 32 | x->d[i];
		x->d[i] = (uint32_t)(rest / by);
		rest %= by;
	}
	trim(x);
	return (uint32_t)rest;
}

/* X becomes the quotient, REST what is left: bit by bit, which is fast enough for what is so rare. */
static void mag_div(struct num *x, const struct num *y, struct num *rest)
{
	rest->n = 0;
	for (size_t bit = x->n * 32; bit-- > 0;) {
		uint32_t *limb = &x->d[bit / 32], one = (uint32_t)1 << bit % 32;

		mul_small(rest, 2, (*limb & one) != 0);
		*limb &= ~one;
		if (mag_cmp(rest, y) >= 0) {
			mag_sub(rest, y);
			*limb |= one;
		}
	}
	trim(x);
}

/* ---- numbers */

bool val_is_whole(const struct val *v)
{
	return v->kind == VAL_INT || v->kind == VAL_BIG;
}

struct val *val_big_parse(struct arena *a, struct str digits, unsigned base, bool neg)
{
	struct num x = {.neg = neg};

	for (size_t i = 0; i < digits.n; i++) {
		char c = digits.p[i];

		if (c == '_')
			continue;
		if (x.n > LIMBS_MAX)
			return NULL;
		mul_small(&x, base, (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10));
	}
	return store(a, &x);
}

struct val *val_big_trunc(struct arena *a, double d)
{
	struct num x = {.neg = d < 0};
	int exp;
	double m = frexp(fabs(d), &exp); /* d = m * 2^exp, m in [0.5, 1) */
	uint64_t u;

	if (exp <= 62)
		return val_int(a, (int64_t)d);
	u = (uint64_t)ldexp(m, 53);
	x.d[0] = (uint32_t)u;
	x.d[1] = (uint32_t)(u >> 32);
	x.n = 2;
	for (int i = 53; i < exp; i++)
		mul_small(&x, 2, 0);
	return store(a, &x);
}

static struct val *sum(struct arena *a, const struct val *x, const struct val *y, bool minus)
{
	struct num p, q;

	load(x, &p);
	load(y, &q);
	q.neg = q.neg != minus;
	if (p.neg == q.neg) {
		mag_add(&p, &q);
		return store(a, &p);
	}
	if (mag_cmp(&p, &q) >= 0) {
		mag_sub(&p, &q);
		return store(a, &p);
	}
	mag_sub(&q, &p);
	return store(a, &q);
}

struct val *val_big_add(struct arena *a, const struct val *x, const struct val *y)
{
	return sum(a, x, y, false);
}

struct val *val_big_sub(struct arena *a, const struct val *x, const struct val *y)
{
	return sum(a, x, y, true);
}

struct val *val_big_mul(struct arena *a, const struct val *x, const struct val *y)
{
	struct num p, q, r = {0};

	load(x, &p);
	load(y, &q);
	r.neg = p.neg != q.neg;
	r.n = p.n + q.n;
	for (size_t i = 0; i < p.n; i++) {
		uint64_t carry = 0;

		for (size_t j = 0; j < q.n || carry; j++) {
			carry += r.d[i + j] + (j < q.n ? (uint64_t)p.d[i] * q.d[j] : 0);
			r.d[i + j] = (uint32_t)carry;
			carry >>= 32;
		}
	}
	return store(a, &r);
}

struct val *val_big_div(struct arena *a, const struct val *x, const struct val *y, bool mod)
{
	struct num p, q, rest = {0};

	load(x, &p);
	load(y, &q);
	bool differ = p.neg != q.neg;

	mag_div(&p, &q, &rest);
	p.neg = differ;
	rest.neg = q.neg;
	/* Rounded down: a rest has the sign of what is divided by. */
	if (differ && rest.n) {
		struct num one = {.n = 1, .d = {1}}, up = q;

		mag_add(&p, &one);
		mag_sub(&up, &rest);
		up.neg = q.neg;
		rest = up;
	}
	return store(a, mod ? &rest : &p);
}

struct val *val_big_pow(struct arena *a, const struct val *x, uint64_t y)
{
	struct val *r = val_int(a, 1), *sq = val_big_add(a, x, val_int(a, 0));

	while (r && y) {
		if (y & 1)
			r = sq ? val_big_mul(a, r, sq) : NULL;
		y >>= 1;
		if (y && sq)
			sq = val_big_mul(a, sq, sq);
	}
	return r;
}

int val_big_cmp(const struct val *x, const struct val *y)
{
	struct num p, q;

	load(x, &p);
	load(y, &q);
	if (p.neg != q.neg)
		return p.neg ? -1 : 1;
	return p.neg ? mag_cmp(&q, &p) : mag_cmp(&p, &q);
}

void val_big_print(const struct val *v, unsigned base, struct buf *out)
{
	char digits[VAL_BIG_BITS + 1], *p = digits + sizeof(digits);
	struct num x;

	load(v, &x);
	do
		*--p = "0123456789abcdef"[div_small(&x, base)];
	while (x.n);
	if (x.neg)
		buf_addc(out, '-');
	buf_add(out, p, (size_t)(digits + sizeof(digits) - p));
}

double val_big_float(const struct val_big *b)
{
	/* The highest 64 bits, the last of them set when anything follows: rounded once, to the nearest. */
	int shift = __builtin_clz(b->d[b->n - 1]);
	uint64_t u = 0;
	bool more = false;

	for (size_t i = 0; i < 3 && i < b->n; i++) {
		uint64_t limb = b->d[b->n - 1 - i];

		u |= i == 0   ? limb << (32 + shift)
		     : i == 1 ? limb << shift
		     : shift  ? limb >> (32 - shift)
		              : 0;
		more = more || (i == 2 && (uint32_t)(limb << shift));
	}
	for (size_t i = 3; i < b->n; i++)
		more = more || b->d[b->n - 1 - i];
	double d = ldexp((double)(u | more), (int)b->n * 32 - 64 - shift);

	return b->neg ? -d : d;
}
