/*
 * task - one task on one host: its loop, its attempts, its result.
 */
#ifndef ANSIBLE_TASK_H
#define ANSIBLE_TASK_H
#include "agent/proto.h"
#include "ansible/scope.h"
#include "base/err.h"
#include "base/val.h"

struct engine;
struct host_run;
struct inclusion;
struct task;

enum item_state {
	ITEM_NEW,
	ITEM_WAIT,  /* for the host */
	ITEM_SLEEP, /* until WAKE */
	ITEM_DONE,
};

/* One item of a task on one host; a task without a loop has one. */
struct item_run {
	struct task_run *t;
	size_t i;
	struct scope s;
	struct val *item, *label; /* NULL: no loop */
	double wake, delay, started;

	/* What an action works with. */
	struct arena *a;
	struct val *args;   /* templated, without omitted ones */
	struct val *answer; /* of the host */
	struct val *result; /* to be set by the action */
	void *data;         /* the action's own, as is stage */
	struct val *env;    /* task environment, a map */
	struct val *blobs;  /* sha256 -> content, for what the host asks */
	double timeout;
	struct str become_user;
	const char *delegated;   /* shown name */
	const char *action_name; /* of a module whose name is a template; else NULL */
	const char *jid;         /* of a task with async that is waited for */
	struct link_req req;

	enum item_state state;
	unsigned attempt, attempts;
	int stage;
	bool check, diff, become, no_log;
	bool async, background; /* it has a time limit of its own; poll: 0 */
	bool ignore_errors, ignore_unreachable, unreachable;
	bool begun; /* its condition and parameters could be evaluated */
};

struct task_run {
	struct engine *e;
	struct host_run *hr;
	struct task *task;
	struct frame *frame;
	struct arena *a;
	struct scope s;    /* what does not depend on the item */
	struct val *items; /* NULL: no loop */
	struct err loop_err;
	const char *loop_var, *index_var;
	bool extended, extended_allitems;
	double pause, resume; /* loop_control.pause */
	bool paused;
	struct item_run **v;
	size_t n, n_started, n_done;
	size_t window; /* items under way at once */
	bool done, no_log, ended_early, ignored, aborted;
	struct val *result;
	const char *label; /* the task's name, templated */
	double started;
	struct inclusion *inclusions, **next_inclusion;
};

struct task_run *task_run_new(struct engine *e, struct host_run *hr, struct task *t, struct frame *f);
/* Does what can be done without waiting. *PROGRESS is set when something happened; *WAKE lowered to when to
 * look again. */
void task_run_step(struct task_run *t, bool *progress, double *wake);
void item_run_step(struct item_run *r, bool *progress, double *wake);
void task_run_free(struct task_run *t);

/* defaults.c: puts what module_defaults say for the task's module into INTO. */
bool module_defaults(struct item_run *r, struct val *into, struct err *err);

/* ---- for actions ---- */
/* The argument NAME as a truth, also spelled "yes"; DFLT when it is absent. */
bool act_bool(const struct item_run *r, const char *name, bool dflt);
/* Sends module MODULE with ARGS to the host; the item waits. */
bool act_submit(struct item_run *r, const char *module, struct val *args, struct err *err);
/* Content the host may ask for; returns its sha256. */
struct str act_blob(struct item_run *r, struct str content);
/* A fresh result {changed: CHANGED}. */
struct val *act_result(struct item_run *r, bool changed);
/* The action waits until SECONDS from now, then done() is called with answer NULL. */
void act_sleep(struct item_run *r, double seconds);
struct str sha256_hex(struct arena *a, struct str content);
#endif
