/*
 * redact - a register of secrets, and text without them.
 */
#ifndef BASE_REDACT_H
#define BASE_REDACT_H
#include "base/str.h"

/* Zero-initialised is empty. */
struct redact {
	struct redact_pattern *v;
	size_t n, cap;
	uint32_t first[256]; /* of the patterns that may begin with this byte, one: index + 1; the others
	                        follow it */
	uint64_t *grams;     /* hashes of base64 pieces, open addressing */
	size_t n_grams, slots;
};

/* SECRET with its lines and members (base/secret.h), copied. */
void redact_add(struct redact *r, struct str secret);
/* IN with *** for every secret, however it is written, appended to OUT. Whether there was one. */
bool redact_text(const struct redact *r, struct str in, struct buf *out);
/* Overwrites and frees. */
void redact_clear(struct redact *r);
#endif
