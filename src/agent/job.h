/*
 * job - a task that goes on in the background (async with poll: 0): a process of its own that leaves its
 * result where async_status finds it.
 */
#ifndef AGENT_JOB_H
#define AGENT_JOB_H
#include "base/val.h"
#include <stdint.h>

struct user;

/* Starts TASK as U (NULL: ourselves). The result says under which ansible_job_id, or why not; it goes on
 * whatever becomes of the agent. */
struct val *job_start(uint32_t id, const struct val *task, const struct user *u, const char *const *env,
                      struct arena *a);
#endif
