/*
 * secret - the parts of a secret that have to be hidden as it is, and the ways it may be written.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H
#include "base/str.h"

/* What is shorter cannot be hidden: it would blank ordinary text. */
#define SECRET_MIN 4
/* Of what was made of a secret: less says too little, and is found everywhere. */
#define SECRET_DERIVED_MIN 8

enum secret_part {
	SECRET_WHOLE,  /* without white space around it */
	SECRET_LINE,   /* of several lines, one */
	SECRET_MEMBER, /* the password within a URL, a text within a JSON secret */
};

/* Calls EACH for every part of SECRET that is long enough to be hidden. */
void secret_parts(struct str secret, void (*each)(void *ctx, struct str part, enum secret_part kind),
                  void *ctx);

/*
 * The length of what stands at the beginning of TEXT for SECRET: itself, or as JSON, Python, YAML, a shell, a
 * URL or HTML write it. -1 when it is something else.
 */
ptrdiff_t secret_match(struct str secret, struct str text);
/* Whether secret_match() may succeed on a text that begins with C though SECRET begins otherwise. */
bool secret_may_begin(struct str secret, char c);

/*
 * The part of base64(SHIFT bytes + SECRET) that is the same whatever these bytes are, SHIFT being 0 to 2.
 * Without the end that depends on what follows.
 */
void secret_base64(struct str secret, size_t shift, struct buf *out);
#endif
