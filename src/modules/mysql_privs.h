/*
 * mysql_privs - privileges as MariaDB and MySQL write them: {"`db`.*": ["SELECT", "INSERT (a, b)", "GRANT"]}.
 */
#ifndef MODULES_MYSQL_PRIVS_H
#define MODULES_MYSQL_PRIVS_H
#include "modules/module.h"

/* What a task writes: "db.table:PRIV,PRIV/…", or a map of the same. USAGE: add the one everybody has. NULL
 * and failed when it cannot be read. */
struct val *privs_unpack(struct mod_ctx *m, const struct val *priv, char quote, bool usage);
/* A line of SHOW GRANTS, added to MAP. False when it is none. */
bool privs_parse_grant(struct arena *a, const char *line, struct val *map);
/* Whether LIST has the privilege, whatever the case of its letters. */
bool privs_has(const struct val *list, const char *priv);
/* With commas between, without the right to grant. */
const char *privs_text(struct arena *a, const struct val *privs);
/* The statement that gives PRIVS at WHERE to ACCOUNT. */
const char *privs_grant(struct arena *a, const char *where, const struct val *privs, const char *account);
#endif
