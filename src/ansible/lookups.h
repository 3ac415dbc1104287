/*
 * lookups - the lookup functions that live apart from the table: those that read files or run commands.
 */
#ifndef ANSIBLE_LOOKUPS_H
#define ANSIBLE_LOOKUPS_H
#include "base/err.h"

struct lookup_call;

bool lk_file(struct lookup_call *c, struct err *err);
bool lk_unvault(struct lookup_call *c, struct err *err);
bool lk_template(struct lookup_call *c, struct err *err);
bool lk_first_found(struct lookup_call *c, struct err *err);
bool lk_fileglob(struct lookup_call *c, struct err *err);
bool lk_filetree(struct lookup_call *c, struct err *err);
bool lk_lines(struct lookup_call *c, struct err *err);
bool lk_pipe(struct lookup_call *c, struct err *err);
bool lk_password(struct lookup_call *c, struct err *err);
bool lk_ini(struct lookup_call *c, struct err *err);
bool lk_csvfile(struct lookup_call *c, struct err *err);
bool lk_url(struct lookup_call *c, struct err *err);
bool lk_merge_variables(struct lookup_call *c, struct err *err);
bool lk_random_string(struct lookup_call *c, struct err *err);
#endif
