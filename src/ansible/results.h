/*
 * results - what a finished task means for its host and the run: statistics, variables, handlers, failure.
 */
#ifndef ANSIBLE_RESULTS_H
#define ANSIBLE_RESULTS_H
#include "base/err.h"

struct engine;
struct frame;
struct host_run;
struct task;
struct task_run;
struct val;

enum outcome {
	OUTCOME_FINE,
	OUTCOME_FAILED, /* rescued or not, but not ignored */
	OUTCOME_LOST,   /* unreachable */
};

/* ALL: the hosts a run_once task counts for. */
enum outcome result_process(struct task_run *t, struct host_run **all, size_t n_all);
void result_include_failed(struct task_run *t, const struct err *why);
void result_meta_failed(struct engine *e, struct host_run *hr, struct task *t, struct frame *f,
                        const struct err *why);
/* The inventory read anew, what tasks added to it on top; hosts that are gone leave the play. */
bool result_refresh(struct engine *e, struct err *err);
/* Whether RESULT counts as failed: as its "failed_when" (of one item at least) says, else as it says itself.
 */
bool result_failed(const struct val *result);
/* What may be shown of V: where it was made of a secret, nothing but what the log hides the secret of. */
struct val *result_veil(struct arena *a, struct val *v);
#endif
