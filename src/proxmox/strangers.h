/*
 * strangers - whether something that Proxmox VE does not tell of already has an address that a new machine is
 * to get.
 */
#ifndef PROXMOX_STRANGERS_H
#define PROXMOX_STRANGERS_H
#include "base/err.h"
#include "proxmox/proxmox.h"

struct strangers;

/* Asks at the addresses of all machines that PLAN creates: by ping, and by SSH at SSH_PORT. */
struct strangers *strangers_ask(struct pve *p, struct arena *a, const struct plan *plan, int ssh_port);
/* Waits for a moment longer; each answer goes to ERRS. False with ERR when cancelled. */
bool strangers_heard(struct strangers *s, struct errs *errs, struct err *err);
#endif
