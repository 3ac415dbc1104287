/*
 * suggest - "did you mean": the known name nearest to a misspelt one.
 */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H
#include "base/str.h"

/* Start with {.name = what was written}; offer every known name; best is the nearest, NULL when none is near.
 */
struct suggest {
	struct str name;
	const char *best;
	size_t distance;
};

void suggest_offer(struct suggest *s, const char *known);
/* Edits (insert, delete, replace, swap neighbours) from A to B; texts beyond 64 bytes count as far apart. */
size_t str_distance(struct str a, struct str b);
#endif
