/*
 * passwords - where the passwords of Ansible Vault come from, outside the action's own secrets.
 */
#ifndef PASSWORDS_H
#define PASSWORDS_H
#include "base/err.h"

struct arena;
struct vault;

/* Adds the password SPEC names: "[LABEL@]FILE"; a FILE that may be executed is, and says it (with
 * --vault-id LABEL when its name ends in "-client"). */
bool passwords_add(struct vault *v, struct arena *a, const char *spec, struct err *err);
/* Those of LIST ("LABEL@FILE,...", as ANSIBLE_VAULT_IDENTITY_LIST) and of FILE; either may be NULL. */
bool passwords_take(struct vault *v, struct arena *a, const char *list, const char *file, struct err *err);
#endif
