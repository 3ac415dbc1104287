/*
 * regex - Python's re on bytes, by way of PCRE2.
 */
#ifndef MODULES_REGEX_H
#define MODULES_REGEX_H
#include "base/arena.h"
#include "base/err.h"

struct regex;

enum { REGEX_MULTILINE = 1, REGEX_DOTALL = 2, REGEX_UTF8 = 4 };
enum { REGEX_GROUPS = 32 };

/* What matched: N groups, start[0] to end[0] the whole; start is SIZE_MAX for a group that took no part. */
struct regex_match {
	size_t n, start[REGEX_GROUPS], end[REGEX_GROUPS];
};

/* In A; NULL (err set) when PATTERN is broken. */
struct regex *regex_new(struct arena *a, struct str pattern, unsigned flags, struct err *err);
/* The first match in S at or after FROM. RET may be NULL. */
bool regex_search(const struct regex *re, struct str s, size_t from, struct regex_match *ret);
/* The number of the group NAME, or -1. */
int regex_group(const struct regex *re, const char *name);
/* The name of a group, or NULL. */
const char *regex_group_name(const struct regex *re, int group);
/* Python's match.expand(): \1, \g<1>, \g<name>, \n and friends in TEMPLATE. False when a group does not
 * exist. */
bool regex_expand(const struct regex *re, struct str s, const struct regex_match *mt, struct str tmpl,
                  struct buf *out, struct err *err);
/* Whether regex_expand() can be asked for TEMPLATE, whatever matches. */
bool regex_check(const struct regex *re, struct str tmpl, struct err *err);
#endif
