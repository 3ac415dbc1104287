/*
 * seat - one agent on one host, over a wire: started, greeted, given tasks. It knows nothing of how the wire
 * came to be; its owner opens another when the connection was lost.
 */
#ifndef SSH_SEAT_H
#define SSH_SEAT_H
#include "base/arena.h"
#include "base/err.h"

struct loop;
struct loop_timer;
struct seat;
struct link_req;
struct program;
struct wire;
struct job;
struct blob;

enum seat_state {
	SEAT_OFF,
	SEAT_BOOT,  /* the boot command runs: see deploy.h */
	SEAT_HELLO, /* the agent has been started */
	SEAT_UP,
};

/* What a seat tells its owner. Any of them may close the seat. */
struct seat_owner {
	/* The agent has said hello. */
	void (*up)(void *ctx, struct seat *s);
	/* Over: the wire ended or what came was wrong. It is closed already, state is SEAT_OFF; STAGE is the
	 * state it was in. ERR may be moved away. */
	void (*ended)(void *ctx, struct seat *s, enum seat_state stage, struct err *err);
	/* The host is an ARCH machine: another program is wanted. Closed already. */
	void (*wrong_arch)(void *ctx, struct seat *s, const char *arch);
	void (*event)(void *ctx, const char *text);
	void *ctx;
};

struct seat {
	struct seat_owner owner;
	struct loop *loop;
	const char *host;     /* for messages */
	bool privileged;      /* started through sudo */
	const char *password; /* for sudo, or NULL */
	enum seat_state state;
	struct wire *wire;
	struct job *jobs;
	struct blob *blobs;
	uint32_t last_id;
	int64_t uid;
	char session[65], lost_session[65];
	const struct program *program;
	size_t sent; /* of the program's text */
	bool sending, password_sent;
	int deaths; /* in a row, of agents that had said hello */
	struct loop_timer *limit;
};

void seat_init(struct seat *s, struct loop *l, const struct seat_owner *o);
/* Forgets the requests. */
void seat_free(struct seat *s);
void seat_add(struct seat *s, struct link_req *req);
/* Forgets the requests that are not done. */
void seat_forget(struct seat *s);
bool seat_has_jobs(const struct seat *s);
/* Takes W over. With PROGRAM the boot command has been run there, else the agent itself. */
void seat_start(struct seat *s, struct wire *w, const struct program *program);
/* Closes the wire; tasks under way are to be adopted by the next start. */
void seat_stop(struct seat *s);
/* Every request is done, with a copy of ERR. */
void seat_fail(struct seat *s, const struct err *err);
/* The agent is to start nothing new, and to end. */
void seat_goodbye(struct seat *s);
#endif
