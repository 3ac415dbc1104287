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

/* What an error text means. */
enum rule_do {
	RULE_FAIL,
	RULE_RETRY,  /* nothing was changed: the same call again, within the limit */
	RULE_NEW_ID, /* the id is taken: op->taken is set, the operation fails */
	RULE_FINE,   /* what was asked for is already so */
	RULE_LOST,   /* the outcome is unknown: look for the task before calling again */
};

struct rule {
	const char *text; /* substring of the error */
	enum rule_do what;
	int limit_s;      /* RULE_RETRY: for how long */
	const char *hint; /* or NULL */
};

/* The rule for an error text, or for a status code when no text matches; never NULL. */
const struct rule *rule_for(int status, const char *text);

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
	bool unsure;      /* an earlier try may have done it: its answer was lost */
	int status;       /* of the last answer */
	struct err err;

	/* own */
	struct pve *p;
	struct http_req req;
	struct loop_timer timer;
	void (*on_timer)(struct pve_op *op);
	const char *url, *body, *upid;
	int64_t retry_from;
	int64_t sent_epoch;
	unsigned tries, polls;
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
/* A wait of MS, scaled for tests. */
int pve_ms(const struct pve *p, int ms);
#endif
