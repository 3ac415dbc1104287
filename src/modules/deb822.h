/*
 * deb822 - Debian's control text: paragraphs of "Field: value", as in dpkg's database and debconf's.
 */
#ifndef MODULES_DEB822_H
#define MODULES_DEB822_H
#include "base/str.h"

/* Cuts the next paragraph off *REST; false at the end. */
bool deb822_next(struct str *rest, struct str *ret);
/* The value of FIELD (any case) in a paragraph without white space around it, folded lines included as they
 * are; p is NULL when there is none. */
struct str deb822_get(struct str paragraph, const char *field);
#endif
