/*
 * actions - the functions behind the rows of action_table, by file.
 */
#ifndef ANSIBLE_ACTIONS_H
#define ANSIBLE_ACTIONS_H
#include "base/err.h"
#include "base/val.h"

struct item_run;

/* act_say.c */
bool act_debug(struct item_run *r, struct err *err);
bool act_assert(struct item_run *r, struct err *err);
bool act_fail(struct item_run *r, struct err *err);
bool act_pause(struct item_run *r, struct err *err);
bool act_pause_over(struct item_run *r, struct err *err);
/* act_vars.c */
bool act_set_fact(struct item_run *r, struct err *err);
bool act_set_stats(struct item_run *r, struct err *err);
bool act_include_vars(struct item_run *r, struct err *err);
bool act_add_host(struct item_run *r, struct err *err);
bool act_group_by(struct item_run *r, struct err *err);
bool act_validate(struct item_run *r, struct err *err);
/* act_files.c */
bool act_template(struct item_run *r, struct err *err);
bool act_copy(struct item_run *r, struct err *err);
bool act_copy_done(struct item_run *r, struct err *err);
bool act_script(struct item_run *r, struct err *err);
bool act_patch(struct item_run *r, struct err *err);
bool act_synchronize(struct item_run *r, struct err *err);
bool act_unarchive(struct item_run *r, struct err *err);
bool act_uri(struct item_run *r, struct err *err);
bool act_fetch(struct item_run *r, struct err *err);
bool act_fetch_done(struct item_run *r, struct err *err);
bool act_assemble(struct item_run *r, struct err *err);
/* act_host.c */
bool act_gather(struct item_run *r, struct err *err);
bool act_wait(struct item_run *r, struct err *err);
bool act_wait_done(struct item_run *r, struct err *err);
bool act_reboot(struct item_run *r, struct err *err);
bool act_reboot_done(struct item_run *r, struct err *err);
#endif
