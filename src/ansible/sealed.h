/*
 * sealed - files and values that Ansible Vault has encrypted, opened where they are read.
 */
#ifndef ANSIBLE_SEALED_H
#define ANSIBLE_SEALED_H
#include "base/err.h"
#include "base/val.h"

struct vault;

/* The file's bytes in A, opened when it is sealed (*RET_SEALED; may be NULL). What was sealed is known to the
 * log as secret, line by line. */
bool sealed_read(const struct vault *v, struct arena *a, const char *path, struct str *ret, bool *ret_sealed,
                 struct err *err);
/* How yaml_load() opens "!vault" values: CTX is the vault. One that cannot be opened becomes a template that
 * says so when somebody uses it: a file may hold secrets this run does not need. */
struct val *sealed_value(void *ctx, struct arena *a, struct str sealed, struct origin at);
/* The variables of a sealed file: marked secret, and every text among them known to the log. */
struct val *sealed_vars(struct arena *a, struct val *vars);
#endif
