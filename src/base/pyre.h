/*
 * pyre - regular expressions as Python's re reads them, in PCRE2's spelling.
 */
#ifndef BASE_PYRE_H
#define BASE_PYRE_H
#include "base/err.h"
#include "base/str.h"

/* PATTERN appended to OUT as PCRE2 has to be given it. *RET_ASCII: \w and its like mean ASCII alone. False
 * (err set) for what Python does not know. */
bool pyre_translate(struct str pattern, struct buf *out, bool *ret_ascii, struct err *err);
#endif
