/*
 * meta - tasks that steer the run itself: flush_handlers, end_host, ...
 */
#ifndef ANSIBLE_META_H
#define ANSIBLE_META_H
#include "base/err.h"

struct engine;
struct frame;
struct host_run;
struct task;

bool meta_run(struct engine *e, struct task *t, struct frame *f, struct host_run *hr, struct err *err);
/* Whether WORD is one. */
bool meta_known(struct str word);
#endif
