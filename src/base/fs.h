/*
 * fs - files, read whole and written atomically.
 */
#ifndef BASE_FS_H
#define BASE_FS_H
#include "base/err.h"
#include <sys/stat.h>
#include <sys/types.h>

#define FS_READ_MAX ((size_t)64 << 20)

/* The file's bytes appended to OUT; an error when it is larger than OUT's ceiling. */
bool fs_read(const char *path, struct buf *out, struct err *err);
/* PATH replaced by DATA: temporary file beside it, fsync, rename. MODE as given, whatever the umask. A
 * symbolic link at PATH is replaced, not followed. */
bool fs_write(const char *path, struct str data, mode_t mode, struct err *err);
/* PATH and its missing parents, as mkdir -p. */
bool fs_mkdirs(const char *path, mode_t mode, struct err *err);
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
/* PATH and everything below it; does not follow symbolic links. */
bool fs_remove_tree(const char *path, struct err *err);
/* "dir/name" in A; NAME alone when it is absolute or DIR is empty. */
char *fs_join(struct arena *a, const char *dir, const char *name);
/* The part before the last slash ("." when none; "/" for the root), in A, and the part after it, within PATH.
 */
char *fs_dirname(struct arena *a, const char *path);
const char *fs_basename(const char *path);
#endif
