/*
 * val_big - whole numbers beyond 64 bits, as Python has them (VAL_BIG). What fits 64 bits is always a
 * VAL_INT: every function here gives that where it can, and NULL where the result has more than VAL_BIG_BITS
 * bits. Arguments are VAL_BOOL, VAL_INT or VAL_BIG.
 */
#ifndef BASE_VAL_BIG_H
#define BASE_VAL_BIG_H
#include "base/val.h"

#define VAL_BIG_BITS 8192

/* Whether V is a whole number of any size; not bool. */
bool val_is_whole(const struct val *v);
/* DIGITS of BASE, underscores among them allowed; nothing else may be in it. */
struct val *val_big_parse(struct arena *a, struct str digits, unsigned base, bool neg);
/* What is before the point of D, which is finite. */
struct val *val_big_trunc(struct arena *a, double d);
struct val *val_big_add(struct arena *a, const struct val *x, const struct val *y);
struct val *val_big_sub(struct arena *a, const struct val *x, const struct val *y);
struct val *val_big_mul(struct arena *a, const struct val *x, const struct val *y);
/* Python's // or, with MOD, %; Y is not 0. */
struct val *val_big_div(struct arena *a, const struct val *x, const struct val *y, bool mod);
struct val *val_big_pow(struct arena *a, const struct val *x, uint64_t y);
int val_big_cmp(const struct val *x, const struct val *y);
/* In BASE (2 to 16), lower-case digits, "-" before a negative one. */
void val_big_print(const struct val *v, unsigned base, struct buf *out);
#endif
