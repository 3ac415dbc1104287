/*
 * systemctl - units of systemd, for systemd, service and whatever else starts something.
 */
#ifndef MODULES_SYSTEMCTL_H
#define MODULES_SYSTEMCTL_H
#include "modules/module.h"

/* Whether systemd runs this host. */
bool systemd_runs(void);
/* Brings unit NAME to what the arguments state, enabled, masked, force, scope and no_block say (those that
 * the module has), from one "systemctl show". */
bool systemd_manage(struct mod_ctx *m, const char *name);
/* systemctl VERB [NAME]; false and failed when it says no. */
bool systemd_verb(struct mod_ctx *m, const char *verb, const char *name);
/* Whether NAME is a script of /etc/init.d, and whether a runlevel starts it. */
bool sysv_exists(struct mod_ctx *m, const char *name);
bool sysv_enabled(struct mod_ctx *m, const char *name);
#endif
