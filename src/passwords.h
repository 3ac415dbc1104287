/*
 * passwords - where the passwords of Ansible Vault come from, outside the action's own secrets.
 */
#ifndef PASSWORDS_H
#define PASSWORDS_H
#include "base/err.h"

struct arena;
struct vault;
struct str;

/* Asks for a password at the terminal, or, where there is none, of standard input; nothing is shown of it.
 * The answer, in A, is known as a secret from then on. */
bool passwords_ask(struct arena *a, const char *prompt, struct str *ret, struct err *err);

/* Adds the password SPEC names: "[LABEL@]FILE"; a FILE that may be executed is, and says it (with
 * --vault-id LABEL when its name ends in "-client"); the FILE "prompt" is a question at the terminal. */
bool passwords_add(struct vault *v, struct arena *a, const char *spec, struct err *err);
/* Those of LIST ("LABEL@FILE,...", as ANSIBLE_VAULT_IDENTITY_LIST) and of FILE; either may be NULL. */
bool passwords_take(struct vault *v, struct arena *a, const char *list, const char *file, struct err *err);
#endif
