/*
 * plan - what differs between the machines that should exist and the guests Proxmox VE has.
 *
 * There is no state file: a guest is ours by its name, and marked by tags and one line of its description. A
 * guest of our name without the mark (made by today's Terraform, or by hand) is adopted, not made again.
 */
#ifndef MODEL_PLAN_H
#define MODEL_PLAN_H
#include "model/machine.h"

/* A guest as Proxmox VE describes it. */
struct guest {
	int64_t vmid;
	const char *node, *name;
	enum machine_type type;
	const char *status; /* running, stopped, unknown */
	const char *lock;   /* clone, backup, ...; "" = none */
	bool is_template;
	const struct val *config; /* GET .../config; NULL for guests that are none of our business */
	const struct val
	        *pending; /* GET .../pending: settings, with those that wait for a restart; or NULL */
};

enum plan_action {
	PLAN_UNCHANGED,
	PLAN_CREATE,
	PLAN_COMPLETE, /* ours, but a killed run left it half made: finish it */
	PLAN_ADOPT,    /* of our name, made by someone else: mark it, then as PLAN_UPDATE */
	PLAN_UPDATE,   /* differs in what can be changed in place */
	PLAN_START,    /* as it should be, but not running */
	PLAN_LEAVE,    /* ours and no longer wanted */
	PLAN_RESTART,  /* no answer of plan_make(): what is done to one that has to be restarted */
};

struct plan_change {
	const char *what; /* "memory", "net0", ...: Proxmox VE's own setting names */
	const char *from, *to;
	bool at_restart; /* takes effect when the machine next starts */
};

struct plan_item {
	enum plan_action action;
	const struct machine *want; /* NULL for PLAN_LEAVE */
	const struct guest *have;   /* NULL for PLAN_CREATE */
	size_t n;
	struct plan_change *changes;
	/* Settings to send with PUT config, as a map of strings; empty when none. */
	struct val *config;
	bool restart;            /* a change of it, or of an earlier run, waits for a restart */
	const char *resize_disk; /* the disk to grow to want->disk_gb, or NULL */
	const char *note;        /* what differs and stays as it is ("disk stays 50 GB ..."), or NULL */
};

struct plan {
	size_t n;
	struct plan_item *items; /* the wanted ones in their order, then the leaving ones */
};

/* Settings every machine of a run shares. */
struct plan_opts {
	const char *ssh_user;    /* cloud-init's user */
	const char *public_keys; /* newline separated */
	bool may_restart;        /* a machine whose change needs it */
};

/*
 * Compares. Refused (ERRS, ERR_USER): two guests of one name; a guest of our name that is a template, locked
 * by somebody's backup or migration, or of another app's mark; another address than the guest has; an address
 * another guest's configuration holds. Disks are never shrunk. A finished machine's cloud-init user and keys
 * are left alone: changing them would make its next boot a first boot, with new host keys.
 */
bool plan_make(struct arena *a, const struct model *m, const struct guest *guests, size_t n,
               const struct plan_opts *o, struct plan *ret, struct errs *errs);
/* The next setting of ours in PENDING, from *AT on, that waits for a restart; false at the end. */
bool plan_waits(struct arena *a, const struct val *pending, size_t *at, struct plan_change *ret);
/* How many items write anything. */
size_t plan_writes(const struct plan *p);
const char *plan_action_name(enum plan_action a);

/* The settings a new machine gets at PUT config, as a map of strings; HAVE is the fresh clone's config. */
struct val *plan_config(struct arena *a, const struct model *m, const struct machine *want,
                        const struct plan_opts *o, const struct val *have);
/* Its description. MAKING: at clone time; the mark then says that the configuration is still to come. */
const char *plan_description(struct arena *a, const struct model *m, const struct machine *want, bool making);
/* The host key ("type base64") DESCRIPTION keeps of a first contact; "" when it keeps none. */
const char *plan_host_key(struct arena *a, const char *description);
/* DESCRIPTION keeping KEY, everything else as it is. */
const char *plan_with_host_key(struct arena *a, const char *description, const char *key);
/* The disk the machine boots from ("scsi0") and its size in whole GB (0 unknown), by its configuration. */
const char *plan_boot_disk(struct arena *a, const struct val *config, int64_t *ret_gb);

/* The address its cloud-init settings give a guest; "" when they give none. */
const char *plan_address(struct arena *a, const struct guest *g);

/* Property strings: the value of KEY in "virtio=AA:..,bridge=vmbr0,tag=10"; p NULL when absent. */
struct str prop_get(struct str props, const char *key);
/* PROPS with KEY=VALUE set in its place or appended; a NULL value takes it out. */
const char *prop_set(struct arena *a, struct str props, const char *key, const char *value);
#endif
