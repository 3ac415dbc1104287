/*
 * vars_files - which files hold the variables of a name: NAME.yml, or a directory NAME of such files.
 */
#ifndef ANSIBLE_VARS_FILES_H
#define ANSIBLE_VARS_FILES_H
#include "base/arena.h"
#include "base/val.h"

/* The files for DIR/NAME, weakest first, as a list of paths; empty when there are none. BARE_FIRST: NAME
 * itself is looked for before NAME.yml, not after it. DIRS: a directory of that name will do. */
struct val *vars_files_named(struct arena *a, const char *dir, const char *name, bool bare_first, bool dirs);
/* The names in DIR by their bytes' order, without "." and "..". */
char **dir_names(struct arena *a, const char *dir, size_t *ret_n);
#endif
