/*
 * loop - the one place that waits: file descriptors, timers and things to do next, over poll().
 *
 * The structs are embedded in their owner and zero-initialised by it; the owner may be freed once its io is
 * removed and its timer stopped - also from within a callback of the loop. Nothing here is thread-safe except
 * loop_wake() and loop_cancel(), which signal handlers may call.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H
#include "base/err.h"
#include <poll.h>

struct loop;

/* Watches FD. REVENTS are poll()'s: POLLERR, POLLHUP and POLLNVAL may come unasked. */
struct loop_io {
	void (*fn)(void *ctx, short revents);
	void *ctx;
	size_t slot; /* the loop's own: index + 1, 0 when not watched */
};

/* Calls FN once. */
struct loop_timer {
	void (*fn)(void *ctx);
	void *ctx;
	int64_t due; /* the loop's own: when, in ms of loop_now() */
	size_t slot;
};

/* NULL and err when the system refuses a descriptor. Freed with every io removed or not. */
struct loop *loop_new(struct err *err);
void loop_free(struct loop *l);

/* Watches FD for EVENTS (POLLIN, POLLOUT) from now on; 0 removes the watch. IO moves to another FD by itself.
 */
void loop_io_set(struct loop *l, struct loop_io *io, int fd, short events);
/* (Re)starts T to fire in MS milliseconds. 0 fires in this step or the next one, after the callbacks under
 * way. */
void loop_timer_set(struct loop *l, struct loop_timer *t, int ms);
void loop_timer_stop(struct loop *l, struct loop_timer *t);
static inline bool loop_timer_on(const struct loop_timer *t)
{
	return t->slot > 0;
}

/* Waits until something is ready, at most TIMEOUT_MS (-1: as long as it takes), and calls what is due.
 * False with ERR_CANCELLED after loop_cancel(), before waiting; the loop stays usable: see
 * loop_cancel_clear(). */
bool loop_step(struct loop *l, int timeout_ms, struct err *err);
/* Milliseconds of a clock that only goes forward. */
int64_t loop_now(void);

/* Ends the current wait. */
void loop_wake(struct loop *l);
/* Every loop_step() fails from now on: SIGINT and SIGTERM come in here. */
void loop_cancel(struct loop *l);
bool loop_cancelled(const struct loop *l);
/* Lets loop_step() work again, for what has to be done after a cancel. */
void loop_cancel_clear(struct loop *l);
#endif
