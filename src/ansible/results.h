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

/* ALL: the hosts a run_once task counts for. True: the host failed (rescued or not, but not ignored). */
bool result_process(struct task_run *t, struct host_run **all, size_t n_all);
void result_include_failed(struct task_run *t, const struct err *why);
void result_meta_failed(struct engine *e, struct host_run *hr, struct task *t, struct frame *f,
                        const struct err *why);
#endif
