/*
 * digest - checksums as lower-case hex.
 */
#ifndef MODULES_DIGEST_H
#define MODULES_DIGEST_H
#include "base/arena.h"
#include "base/err.h"

/* ALGORITHM: md5 sha1 sha224 sha256 sha384 sha512. NULL when unknown. */
const char *digest_str(struct arena *a, const char *algorithm, struct str data);
/* Of a file's content, whatever its size; NULL (err set) when it cannot be read. */
const char *digest_file(struct arena *a, const char *algorithm, const char *path, struct err *err);
#endif
