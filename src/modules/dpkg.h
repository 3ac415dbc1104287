/*
 * dpkg - what is installed on a Debian host: the status database read directly, and dpkg's order of versions.
 */
#ifndef MODULES_DPKG_H
#define MODULES_DPKG_H
#include "modules/module.h"

struct dpkg_pkg {
	struct str name, version, arch, provides, section, source;
	bool installed;  /* whole and configured */
	bool has_config; /* removed, its configuration left */
	bool hold;
};

struct dpkg_db {
	struct dpkg_pkg *pkgs;
	size_t n;
	struct str text;
};

/* In m->a. False and failed when the database is there but cannot be read; an empty one when there is none.
 */
bool dpkg_load(struct mod_ctx *m, struct dpkg_db *ret);
/* By "name" or "name:arch". An installed one is preferred among several architectures. NULL when unknown. */
const struct dpkg_pkg *dpkg_find(const struct dpkg_db *db, struct str name);
/* An installed package that provides the virtual NAME; NULL when none. */
const struct dpkg_pkg *dpkg_provider(const struct dpkg_db *db, struct str name);
/* <0, 0, >0 by the rules of Debian policy 5.6.12. */
int dpkg_version_cmp(struct str a, struct str b);
#endif
