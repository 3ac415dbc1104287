/*
 * hash - digests for filters (hash, checksum, to_uuid, seeds of random).
 */
#ifndef JINJA_HASH_H
#define JINJA_HASH_H
#include "base/str.h"

#define HASH_MAX 64

/* The digest of DATA into OUT and its length; 0 when ALGORITHM (md5 sha1 sha224 sha256 sha384 sha512) is not
 * known. */
size_t hash_bytes(struct str algorithm, struct str data, unsigned char out[HASH_MAX]);
#endif
