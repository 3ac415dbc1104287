/*
 * source - the texts a run has read (role files, templates, inputs), so that an origin can be shown as
 * file:line:column with the line and a caret.
 */
#ifndef BASE_SOURCE_H
#define BASE_SOURCE_H
#include "base/str.h"

/* Where a value or an error comes from: a source and a byte offset in it. src 0 = nowhere in particular. */
struct origin {
	uint32_t src;
	uint32_t off;
};

#define ORIGIN_NONE ((struct origin){0, 0})

struct sources;

struct source_pos {
	const char *file;
	unsigned line, col; /* from 1; col counts characters, not bytes */
	struct str text;    /* the line, without its end */
};

/* Lives in A. */
struct sources *sources_new(struct arena *a);
/* Remembers TEXT (copied) under NAME and returns its id, > 0. */
uint32_t sources_add(struct sources *ss, const char *name, struct str text);
/* The text and name of source ID. */
struct str sources_text(const struct sources *ss, uint32_t id);
const char *sources_name(const struct sources *ss, uint32_t id);
/* False when O is ORIGIN_NONE or unknown. */
bool sources_locate(const struct sources *ss, struct origin o, struct source_pos *ret);
#endif
