/*
 * op - one operation of the API: a request, its task, and the retries that its errors call for.
 */
#ifndef PROXMOX_OP_H
#define PROXMOX_OP_H
#include "model/plan.h"
#include "net/http.h"
#include "net/loop.h"
#include "proxmox/proxmox.h"

struct pve {
	struct arena *a;
	struct loop *loop;
	struct http_client *http;
	const char *base; /* https://host:8006/api2/json */
	const char *auth; /* the Authorization header; secret */
	const char *user; /* user@realm!name: how tasks name their owner */
	int speed_percent;
};

/* How the API speaks of VMs and of containers. */
struct guest_kind {
	const char *api;      /* /nodes/NODE/API/VMID */
	const char *name_key; /* the setting that holds its name */
	/* The types of its tasks. */
	const char *make, *start, *shutdown, *stop, *destroy;
};

const struct guest_kind *guest_kind(enum machine_type type);

/* What an error text means. */
enum rule_do {
	RULE_FAIL,
	RULE_RETRY,  /* nothing was changed: the same call again, within the limit */
	RULE_NEW_ID, /* the id is taken: op->taken is set, the operation fails */
	RULE_FINE,   /* what was asked for is already so */
	RULE_LOST,   /* the outcome is unknown: look for the task before calling again */
	RULE_GONE,   /* there is no such guest: op->gone is set, the operation fails */
};

struct rule {
	const char *text; /* substring of the error */
	enum rule_do what;
	int limit_s;      /* RULE_RETRY: for how long */
	const char *hint; /* or NULL */
};

/* The rule for an error text, or for a status code when no text matches; never NULL. */
const struct rule *rule_for(int status, const char *text);

/* Since when it goes wrong, and how often it did. */
struct pve_patience {
	int64_t from;
	unsigned tries;
};

/* Zero-initialise, fill the first part, keep it in place until done. */
struct pve_op {
	struct arena *a;           /* for the answer */
	const char *method, *path; /* "/nodes/x/qemu" */
	struct val *params;        /* map of texts, or of lists of texts for repeated ones; may be NULL */
	const char *node; /* a task's node and type: how to find it when the answer was lost; or NULL */
	const char *task_type;
	int64_t vmid; /* the id its tasks carry */
	void (*done)(void *ctx, struct pve_op *op);
	void *ctx;

	struct val *data; /* the answer; NULL when err is set */
	bool taken;       /* failed because the id is in use */
	bool gone;        /* failed because there is no such guest (any more) */
	bool unsure;      /* an earlier try may have done it: its answer was lost */
	bool lost;        /* failed because of that: only the caller can find out (a guest's making) */
	int status;       /* of the last answer */
	struct err err;

	/* own */
	struct pve *p;
	struct http_req req;
	struct loop_timer timer;
	void (*on_timer)(struct pve_op *op);
	const char *url, *body, *upid;
	struct pve_patience call, poll; /* with refusals of the call and its task; with asking for its task */
	int64_t sent_epoch;
	unsigned polls;
};

/* Starts it; done comes from a later step of the loop. */
void pve_op_start(struct pve *p, struct pve_op *op);
/* Starts it and waits. The answer in *RET (may be NULL). */
bool pve_op_run(struct pve *p, struct pve_op *op, struct val **ret, struct err *err);
/* GET PATH with PARAMS (NULL: none), waited for. */
bool pve_get(struct pve *p, struct arena *a, const char *path, struct val *params, struct val **ret,
             struct err *err);
/* Forgets what is under way (the task itself goes on). */
void pve_op_cancel(struct pve_op *op);
/* The tasks of a node that go on, as the query of /nodes/NODE/tasks. */
#define TASKS_UNDER_WAY "source=active&limit=500"
/* Whether one of TASKS, an answer of /nodes/NODE/tasks, makes a guest, was begun by this token's user and
 * goes on. */
bool pve_own_making_runs(const struct pve *p, const struct val *tasks);
/* A wait of MS, scaled for tests. */
int pve_ms(const struct pve *p, int ms);
#endif
