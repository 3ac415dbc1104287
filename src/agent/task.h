/*
 * task - one PROTO_TASK run to its result, as the agent's own user or, in a child process, as another.
 */
#ifndef AGENT_TASK_H
#define AGENT_TASK_H
#include "agent/wire.h"

/* The result map, in A; never NULL. PAYLOAD is the frame's JSON. */
struct val *task_run(struct wire *w, uint32_t id, struct str payload, const char *const *env,
                     struct arena *a);
#endif
