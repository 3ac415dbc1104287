/*
 * fragments - one text of the files in a directory, as assemble makes it on the host or on the controller.
 */
#ifndef MODULES_FRAGMENTS_H
#define MODULES_FRAGMENTS_H
#include "base/arena.h"
#include "base/err.h"
#include "modules/regex.h"

struct fragments {
	const char *dir;
	struct str between;     /* goes between two files; its escapes are resolved */
	const struct regex *re; /* of names, or NULL */
	bool skip_hidden;
	/* The content of PATH, in A. */
	bool (*read)(void *ctx, const char *path, struct str *ret, struct err *err);
	void *ctx;
};

bool fragments_join(const struct fragments *f, struct arena *a, struct buf *out, struct err *err);
#endif
