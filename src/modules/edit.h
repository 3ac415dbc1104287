/*
 * edit - what lineinfile, blockinfile and replace share: a text file read as lines, changed, and put back
 * with its diff, its backup and its attributes.
 */
#ifndef MODULES_EDIT_H
#define MODULES_EDIT_H
#include "modules/module.h"

struct edit {
	struct mod_ctx *m;
	const char *path;
	bool existed;
	struct str before;
	struct str *lines; /* each with its line end, but perhaps the last */
	size_t n, cap;
	const char *msg;
};

/* Reads the file at argument "path". One that is missing is an error (rc 257, MISSING as its message with the
 * path in place of %s) unless CREATE. */
bool edit_open(struct edit *e, struct mod_ctx *m, bool create, const char *missing);
/* Reads PATH; one that is missing has no lines. */
bool edit_load(struct edit *e, struct mod_ctx *m, const char *path);
/* Writes the lines to the path when they differ from what was read, with a diff; says changed then. */
bool edit_save(struct edit *e);
/* Ends the last line, that another can follow. */
void edit_end_last(struct edit *e);
void edit_insert(struct edit *e, size_t at, struct str line);
void edit_remove(struct edit *e, size_t from, size_t n);
/* LINE without its end of line. */
struct str edit_bare(struct str line);
/* LINE and "\n", in the arena. */
struct str edit_ended(struct edit *e, struct str line);
/* Writes AFTER when it differs, then the attributes; sets msg, changed, diff. */
bool edit_close(struct edit *e, struct str after);
/* All lines in one. */
struct str edit_joined(struct edit *e);
#endif
