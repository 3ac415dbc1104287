/*
 * session - one SSH connection, non-blocking, and the channels in it.
 */
#ifndef SSH_SESSION_H
#define SSH_SESSION_H
#include "base/err.h"

struct loop;
struct ssh_target;
struct wire;

struct ssh_session;

enum ssh_state {
	SSH_CONNECTING, /* up to and with authentication */
	SSH_UP,
	SSH_DOWN, /* for good: see ssh_session_err(); free it */
};

/* Told when the state changes. Embedded in the owner. */
struct ssh_watch {
	void (*changed)(void *ctx);
	void *ctx;
	struct ssh_watch *next;
};

/* Starts to connect to T: over JUMP, a session for T->jump that must outlive this one, when it is not NULL.
 */
struct ssh_session *ssh_session_new(struct loop *l, const struct ssh_target *t, struct ssh_session *jump);
/* Drops the connection; its wires must be closed before. May be called from a callback of the session. */
void ssh_session_free(struct ssh_session *s);
enum ssh_state ssh_session_state(const struct ssh_session *s);
const struct err *ssh_session_err(const struct ssh_session *s);
/* Down, and trying again would end the same: it is not the host we meant, or does not let us in. */
bool ssh_session_refused(const struct ssh_session *s);
void ssh_session_watch(struct ssh_session *s, struct ssh_watch *w);
void ssh_session_unwatch(struct ssh_session *s, struct ssh_watch *w);

/* Runs COMMAND (copied) through the user's shell. Only when up. Trouble shows as the wire's eof and err. */
struct wire *ssh_session_exec(struct ssh_session *s, const char *command);
/* A connection from there to HOST:PORT. */
struct wire *ssh_session_forward(struct ssh_session *s, const char *host, int port);
#endif
