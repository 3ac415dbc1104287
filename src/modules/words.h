/*
 * words - text to words as a POSIX shell splits it (quotes and backslashes, no expansion), and back.
 */
#ifndef MODULES_WORDS_H
#define MODULES_WORDS_H
#include "base/arena.h"
#include "base/err.h"

/* A NULL-ended array in A, its count in *N (N may be NULL); NULL when a quote is not closed (err set). */
const char **words_split(struct arena *a, struct str s, size_t *n, struct err *err);
/* S so quoted that a shell takes it as one word. */
const char *words_quote(struct arena *a, const char *s);
/* The next word between white space, cut off *REST; empty at its end. No quotes. */
struct str words_next(struct str *rest);
#endif
