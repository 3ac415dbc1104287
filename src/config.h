/*
 * config - ansible.cfg and ANSIBLE_*: the settings of Ansible's that a project's plays rely on.
 */
#ifndef CONFIG_H
#define CONFIG_H
#include "base/err.h"

struct arena;
struct val;

enum setting {
	SET_INVENTORY,
	SET_ROLES_PATH,
	SET_USER,
	SET_PRIVATE_KEY,
	SET_HOST_KEYS,
	SET_BECOME,
	SET_BECOME_USER,
	SET_FORCE_HANDLERS,
	SET_MISSING_HANDLERS,
	SET_CUSTOM_STATS,
	SET_MANAGED,
	SET_GATHERING,
	SET_ANY_FATAL,
	SET_FACT_VARS,
	SET_TIMEOUT,
	SET_SSH_COMMON,
	SET_SSH_EXTRA,
	SET_HASHES,
	SET_VAULT_IDS,
	SET_VAULT_FILE,
	SET_N
};

struct config {
	struct arena *a;
	const char *file; /* ANSIBLE_CONFIG, ./ansible.cfg, ~/.ansible.cfg or /etc/ansible/ansible.cfg; NULL:
	                     none */
	struct val *ini;  /* "section.key" to its text */
	const char *
	        passed_over; /* an ansible.cfg that does not count: anybody may write beside it; NULL: none */
};

/* Refuses what changes the meaning of plays and is not supported. */
bool config_read(struct config *c, struct arena *a, struct err *err);
/* The text of setting S: the environment's, else the file's (names of files as they are from here); NULL: not
 * set. */
const char *config_get(const struct config *c, enum setting s);
bool config_bool(const struct config *c, enum setting s, bool dflt);
#endif
