/*
 * include - task files and roles brought in while a play runs.
 */
#ifndef ANSIBLE_INCLUDE_H
#define ANSIBLE_INCLUDE_H
#include "base/err.h"
#include "base/val.h"

struct engine;
struct frame;
struct host;
struct scope;
struct task;

/* One thing to include, asked for by some hosts: the same for all of them. */
struct inclusion {
	struct task *task;
	struct frame *frame; /* where TASK stands */
	struct val *args;    /* templated */
	struct val *vars;    /* loop variables; NULL: none */
	struct val *label;   /* the item; NULL: no loop */
	struct frame *made;
	struct host **hosts;
	size_t n_hosts;
	struct inclusion *next;
};

/* Reads what the inclusion names and makes its frame; problems: err (what a host reports as failure). */
bool include_make(struct engine *e, struct inclusion *in, struct err *err);
/* The path or role name as shown. */
const char *include_label(const struct inclusion *in);
/* Whether the parameters of an include or import are right. */
bool include_check_args(struct arena *a, const struct task *t, struct errs *errs);
/* Finds the file an include_tasks or import_tasks means; NULL when nowhere. */
const char *include_find(struct scope *s, const struct task *t, struct str name);
#endif
