/*
 * users - who a name or number is. Reads /etc/passwd and /etc/group itself; what they do not hold is asked
 * from the host's getent, since a static binary has no NSS.
 */
#ifndef MODULES_USERS_H
#define MODULES_USERS_H
#include <sys/types.h>
#include "base/arena.h"

struct user {
	const char *name, *passwd, *gecos, *home, *shell;
	uid_t uid;
	gid_t gid;
	bool local; /* from /etc/passwd itself */
};

struct ugroup {
	const char *name, *members; /* "a,b" */
	gid_t gid;
	bool local;
};

/* In A; NULL when there is none. */
const struct user *user_by_name(struct arena *a, const char *name);
const struct user *user_by_id(struct arena *a, uid_t uid);
const struct ugroup *group_by_name(struct arena *a, const char *name);
const struct ugroup *group_by_id(struct arena *a, gid_t gid);
/* The supplementary groups of U as initgroups(3) would set them: *RET has N members, in A. */
size_t user_groups(struct arena *a, const struct user *u, gid_t **ret);
/* Lines of "getent DB KEY" (KEY may be NULL: all), each without its end, as a NULL-ended array; *RC is its
 * status. */
const char *const *users_getent(struct arena *a, const char *db, const char *key, const char *service,
                                int *rc);
/* A colon-separated line cut into N fields (missing ones ""), copied to A. */
void users_fields(struct arena *a, struct str line, char sep, const char **fields, size_t n);
#endif
