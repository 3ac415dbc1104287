/*
 * vault - Ansible Vault's envelope: text encrypted under a password, opened.
 */
#ifndef MODULES_VAULT_H
#define MODULES_VAULT_H
#include "base/arena.h"
#include "base/err.h"

/* Labelled passwords. Lives in its arena. */
struct vault;

struct vault *vault_new(struct arena *a);
/* LABEL may be NULL ("default"). PASSWORD is copied, without the newline a file ends with. */
void vault_add(struct vault *v, const char *label, struct str password);
/* Whether TEXT begins as an envelope does. */
bool vault_is_sealed(struct str text);
/* Opens SEALED into *RET (in A), trying the password of its label first. V may be NULL: nothing can be
 * opened. */
bool vault_open(const struct vault *v, struct arena *a, struct str sealed, struct str *ret, struct err *err);
/* TEXT in an envelope under PASSWORD (in A). LABEL may be NULL; SALT empty: one by chance. */
bool vault_seal(struct arena *a, struct str text, struct str password, const char *label, struct str salt,
                struct str *ret, struct err *err);
#endif
