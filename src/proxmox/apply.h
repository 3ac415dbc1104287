/*
 * apply - one machine on its way to ready: the state that its steps share.
 */
#ifndef PROXMOX_APPLY_H
#define PROXMOX_APPLY_H
#include "net/greeting.h"
#include "proxmox/op.h"

struct apply;
struct job;

/* What a step's function answers: the operation was started, or there is nothing to do, or it failed
 * (job->err). */
enum step_start { STEP_WAIT, STEP_SKIP, STEP_FAILED };

struct step {
	const char *name;
	unsigned for_actions; /* bits 1 << PLAN_X: which plans go through it */
	enum step_start (*start)(struct job *j);
	/* The operation is done (op.err set when it failed): true to go on, false when the step started
	 * something else or failed. NULL: go on, or fail with op.err. */
	bool (*done)(struct job *j);
};

/* What a machine of TYPE goes through; the last row has no name. */
const struct step *machine_steps(enum machine_type type);

struct job {
	struct apply *run;
	struct pve_machine *m;
	const struct machine *want;
	const struct guest_kind *kind;
	const struct step *steps;
	size_t step;
	bool active, ended, cloning;
	const struct guest *template; /* what it is cloned from, or NULL */
	/* The clone may have been made by a request whose answer was lost: where it is looked for now. */
	enum { LOOK_NOT, LOOK_SOURCE_NODE, LOOK_OWN_NODE, LOOK_TASKS } look;
	/* Another guest of its name: nodes asked, the lowest id found there, and until when it may give way.
	 */
	size_t asked;
	int64_t rival, way_until;
	bool giving_way;
	bool unsure;        /* so it was with one of the requests for this id */
	int64_t look_until; /* when one being made that shows nowhere has had time enough to show */
	struct pve_op op;
	struct loop_timer timer;
	struct greeting ssh;   /* whether the machine is there though its agent is silent */
	int64_t silent_since;  /* SSH answers and the agent does not, since then; 0: no */
	struct val *config;    /* the guest's, as last read */
	const char *from_node; /* where the template is */
	int64_t began, ready_by, pid;
	unsigned polls, key;
	const char *last_problem; /* why it is not ready yet: shown when time is up */
};

struct apply {
	struct pve *p;
	struct arena *a;
	const struct pve_world *w;
	const struct model *model;
	const struct pve_apply_opts *o;
	size_t n, running;
	struct job *jobs;
	int64_t ids[512]; /* handed out in this run */
	size_t n_ids;
};

/* Starts an operation of J; its step's done is called at its end. PATH is below the guest: "/config". */
void job_call(struct job *j, const char *method, const char *path, struct val *params, const char *task_type);
/* As job_call with the whole path, the task's node and the id its task carries. */
void job_call_at(struct job *j, const char *method, const char *path, struct val *params,
                 const char *task_type, const char *node, int64_t task_vmid);
/* Calls the step's start again after a moment that grows; fails with the last problem when the time is up. */
void job_again(struct job *j, const char *problem);
void job_fail(struct job *j, enum err_class cls, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* How long it may take to be ready, from its start. */
int job_timeout_s(const struct job *j);
void job_progress(struct job *j, const char *detail);

/* The template's guest for NODE ("" = any): by vmid or name; NULL when there is none. */
const struct guest *find_template(const struct pve_world *w, const char *template, const char *node);
/* The node machine number I of the plan is made on. */
const char *place_on(struct arena *a, const struct pve_world *w, const struct pve_apply_opts *o,
                     const struct plan *plan, size_t i);
#endif
