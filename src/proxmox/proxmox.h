/*
 * proxmox - how a machine comes to be, changes and leaves, through the API of Proxmox VE (8 and 9).
 *
 * Requests, waiting for tasks and what to do about each error are in op.c and rules.c; what a machine goes
 * through is the table of steps in apply.c. Nothing sleeps for a fixed time: every wait polls for what it
 * waits for.
 */
#ifndef PROXMOX_PROXMOX_H
#define PROXMOX_PROXMOX_H
#include "base/val.h"

struct loop;
struct model;
struct plan;
struct plan_item;
struct plan_opts;
struct pve;

struct pve_opts {
	const char *url;          /* https://host:8006, with or without /api2/json */
	const char *token_id;     /* user@realm!name */
	const char *token_secret; /* a UUID */
	struct str ca_pem;        /* trusted in addition */
	int speed_percent;        /* 100; tests shorten the waits between polls */
};

/* Lives in A, speaks over L. No request is made yet. */
struct pve *pve_new(struct arena *a, struct loop *l, const struct pve_opts *o, struct err *err);

/* What there is. */
struct pve_world {
	size_t n_guests;
	struct guest *guests; /* VMs, containers and templates the token can see, with ours' configurations */
	size_t n_nodes;
	const char **nodes; /* online, sorted */
	const char *version;
};

/*
 * Reads nodes, guests and the configurations of guests that are named "OWNER-..." or tagged as ours. Clones
 * under way that this token started are waited for first: a run that was killed leaves them going on.
 */
bool pve_observe(struct pve *p, struct arena *a, const char *owner, struct pve_world *ret, struct err *err);

struct pve_apply_opts {
	/* What is made, if anything: VMs from the template of that name or vmid, containers from the volume
	 * "STORAGE:vztmpl/ARCHIVE". */
	const char *template;
	const char *nodes;        /* comma separated, to spread over; "" = the template's node */
	const char *storage;      /* "" = the template's, of VMs */
	bool nesting, privileged; /* containers */
	const char *pool;         /* "" = none */
	const struct plan_opts *plan;
	bool with_leaving;   /* also reach the machines that leave: address and host key, nothing written */
	int ready_timeout_s; /* from start to SSH-ready; 0: 600 */
	/* Where SSH shows that a machine whose guest agent stays silent is there all the same; 0: machines
	 * cannot be reached from here, only their agents tell. */
	int ssh_port;
	/* Machine M entered step STEP (a word or two); DETAIL may be ""; for live progress. */
	void (*progress)(void *ctx, const struct plan_item *it, const char *step, const char *detail);
	/* A surprise that is no error (cloud-init's recoverable errors). */
	void (*warn)(void *ctx, const struct plan_item *it, const char *msg);
	void *ctx;
};

struct pve_machine {
	const struct plan_item *item;
	bool container;
	int64_t vmid;
	const char *node;
	struct val
	        *host_keys; /* list of "TYPE BASE64" read through the guest agent; empty when it gave none */
	/* Ready, but without a guest agent: its host keys are what its description keeps of the first
	 * contact, if anything, and nobody has asked cloud-init. */
	bool no_agent;
	bool gone;      /* it was to leave, and is not there any more */
	bool booted;    /* it was started in this run */
	bool changed;   /* something was written */
	double seconds; /* until ready */
	struct err err; /* why it is not */
};

/*
 * Checks that everything the plan creates can be created: template, nodes, storage, bridge, permissions.
 * Reads only; all that is missing is added to ERRS (ERR_USER).
 */
bool pve_preflight(struct pve *p, struct arena *a, const struct pve_world *w, const struct model *m,
                   const struct plan *plan, const struct pve_apply_opts *o, struct errs *errs);

/* The active storages of NODE, that the token can see, which hold CONTENT ("images", "rootdir"): a list of
 * names. */
bool pve_storages(struct pve *p, struct arena *a, const char *node, const char *content, struct val **ret,
                  struct err *err);
/* The archives on NODE that containers are made from: a list of "STORAGE:vztmpl/ARCHIVE". */
bool pve_archives(struct pve *p, struct arena *a, const char *node, struct val **ret, struct err *err);

/*
 * Brings every wanted machine of PLAN to "ready": created, configured, started, guest agent answering with
 * the wanted address, cloud-init done, host keys read. All machines at once, within limits per storage. RET
 * has one entry for each wanted item, in order. False when one failed (its err says why) or the run was
 * cancelled (ERR).
 */
bool pve_apply(struct pve *p, struct arena *a, const struct pve_world *w, const struct model *m,
               const struct plan *plan, const struct pve_apply_opts *o, struct pve_machine **ret,
               struct err *err);

/* Whether a change of M's settings waits for a restart. */
bool pve_waits_for_restart(struct pve *p, struct arena *a, const struct pve_machine *m, bool *ret,
                           struct err *err);

/* Keeps KEY ("type base64"), seen at the first contact, in M's description. */
bool pve_keep_host_key(struct pve *p, struct arena *a, const struct pve_machine *m, const char *key,
                       struct err *err);

/* Stops and deletes guests of ours, with their disks, several at once, and waits. One that cannot go does not
 * keep the others. In *RET_GONE how many went. */
bool pve_destroy(struct pve *p, struct arena *a, const struct guest *const *guests, size_t n,
                 size_t *ret_gone, struct errs *errs);
#endif
