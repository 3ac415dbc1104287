/*
 * agent - the far end: reads tasks from one descriptor, runs them in order, answers on another.
 *
 * Survives its controller: the child under way is always finished; what was not delivered goes to a spool
 * directory only its user can read, where the next agent finds it (PROTO_ADOPT).
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

struct agent_opts {
	int in, out;       /* descriptors */
	const char *build; /* what the hello says of this build */
	const char *spool; /* NULL: /run/nante for root, else $XDG_RUNTIME_DIR/nante or /tmp/.nante-UID */
	const char *const *env; /* of tasks, before what they bring themselves */
};

/* 0 after a normal end, 1 when the protocol was broken or the controller vanished. */
int agent_main(const struct agent_opts *o);
#endif
