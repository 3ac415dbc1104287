/*
 * private - what the parts of a session share with each other and nobody else.
 */
#ifndef SSH_PRIVATE_H
#define SSH_PRIVATE_H
#include "base/arena.h"
#include "base/err.h"
#include <libssh2.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct loop;
struct ssh_target;
struct wire;

#define UNREACHED_HINT "is the machine up, and may this runner reach its network?"

/* What a step function says. */
enum step { STEP_AGAIN, STEP_DONE, STEP_FAILED };

/* ---- dial.c: a TCP connection, address after address
 * ------------------------------------------------------- */

struct dial;

/* Starts. A name that does not resolve fails in the first step. */
struct dial *dial_new(struct loop *l, const char *host, int port, int timeout_ms, void (*done)(void *ctx),
                      void *ctx);
/* STEP_DONE with the connected descriptor in *RET_FD, once; DONE is called when it is time to ask. */
enum step dial_result(struct dial *d, int *ret_fd, struct err *err);
void dial_free(struct dial *d);

/* ---- auth.c: who we are
 * ------------------------------------------------------------------------------------ */

struct auth;

struct auth *auth_new(LIBSSH2_SESSION *ssh, const struct ssh_target *t, const char *user);
enum step auth_step(struct auth *a, struct err *err);
void auth_free(struct auth *a);

/* ---- session.c, channel.c
 * ---------------------------------------------------------------------------------- */

struct channel;

/* The channels of a session. Every libssh2 call that moves bytes is made from channels_pump(). */
struct channels {
	LIBSSH2_SESSION *ssh;
	struct channel *list;
	/* A packet half sent belongs to this one: libssh2 wants the same call again before any other. */
	struct channel *owner;
	struct channel *opening; /* one at a time */
	/* Asks the session to pump and to tell the wires' users afterwards. */
	void (*kick)(void *ctx);
	void *ctx;
};

/* Moves what can be moved. False when the connection is broken (err set). */
bool channels_pump(struct channels *cs, struct err *err);
/* Tells the users of the wires with news. A wire may be closed, opened and flushed meanwhile. */
void channels_tell(struct channels *cs);
/* The connection is gone: every wire ends with ERR. */
void channels_break(struct channels *cs, const struct err *err);
/* COMMAND to run, or HOST and PORT to connect to. */
struct wire *channel_open(struct channels *cs, const char *command, const char *host, int port);
bool channels_any(const struct channels *cs);

/* Whether libssh2's last error says that the connection is gone. */
bool ssh_is_broken(LIBSSH2_SESSION *ssh);
/* libssh2's last error as text. */
const char *ssh_error(LIBSSH2_SESSION *ssh);
#endif
