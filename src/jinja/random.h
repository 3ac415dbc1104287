/*
 * random - choices as Python's random.Random makes them, so that a seed gives the same ones.
 */
#ifndef JINJA_RANDOM_H
#define JINJA_RANDOM_H
#include "base/val.h"

/* N characters of CHARS (ASCII). SEED NULL or null: the kernel's choice. */
bool random_chars(struct arena *a, const struct val *seed, struct str chars, size_t n, struct buf *out,
                  struct err *err);
/* A number below N. */
bool random_below(struct arena *a, const struct val *seed, uint64_t n, uint64_t *ret, struct err *err);
#endif
