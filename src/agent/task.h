/*
 * task - one PROTO_TASK run to its result, as the agent's own user or, in a child process, as another.
 */
#ifndef AGENT_TASK_H
#define AGENT_TASK_H
#include "agent/wire.h"

/* The result map, in A; never NULL. PAYLOAD is the frame's JSON. */
struct val *task_run(struct wire *w, uint32_t id, struct str payload, const char *const *env,
                     struct arena *a);

/* ---- for whoever forks to run one */
struct user;
/* In a child: runs TASK as U (NULL: as it is), sends its result on FD and ends. */
__attribute__((noreturn)) void task_child(int fd, uint32_t id, const struct val *task, const struct user *u,
                                          const char *const *env, bool *cancelled, struct arena *a);
/* Becomes U for good. */
bool task_become(struct arena *a, const struct user *u);
/* {changed: false, failed: true, msg: MSG} */
struct val *task_failed(struct arena *a, const char *msg);
#endif
