#include "net/loop.h"
#include "base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct loop {
	struct pollfd *fds; /* [0] is the wake descriptor */
	struct loop_io **ios;
	size_t n, cap;
	struct loop_timer **heap; /* a binary heap, the earliest first */
	size_t ntimers, timers_cap;
	int wake;
	volatile sig_atomic_t cancelled;
};

int64_t loop_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct loop *loop_new(struct err *err)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct loop *l;

	if (fd < 0) {
		err_sys(err, ERR_BUG, "eventfd");
		return NULL;
	}
	l = xmalloc(sizeof(*l));
	*l = (struct loop){.wake = fd, .cap = 16, .n = 1};
	l->fds = xmalloc(l->cap * sizeof(*l->fds));
	l->ios = xmalloc(l->cap * sizeof(struct loop_io *));
	l->fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
	l->ios[0] = NULL;
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	for (size_t i = 1; i < l->n; i++)
		l->ios[i]->slot = 0;
	for (size_t i = 0; i < l->ntimers; i++)
		l->heap[i]->slot = 0;
	close(l->wake);
	free(l->fds);
	free(l->ios);
	free(l->heap);
	free(l);
}

static void io_remove(struct loop *l, struct loop_io *io)
{
	size_t i = io->slot - 1, last = l->n - 1;

	l->fds[i] = l->fds[last];
	l->ios[i] = l->ios[last];
	l->ios[i]->slot = i + 1;
	io->slot = 0;
	l->n--;
}

void loop_io_set(struct loop *l, struct loop_io *io, int fd, short events)
{
	if (!events) {
		if (io->slot)
			io_remove(l, io);
		return;
	}
	if (!io->slot) {
		if (l->n == l->cap) {
			l->cap *= 2;
			l->fds = xrealloc(l->fds, l->cap * sizeof(*l->fds));
			l->ios = xrealloc(l->ios, l->cap * sizeof(struct loop_io *));
		}
		l->ios[l->n] = io;
		l->fds[l->n].revents = 0;
		io->slot = ++l->n;
	}
	l->fds[io->slot - 1].fd = fd;
	l->fds[io->slot - 1].events = events;
}

static void heap_put(struct loop *l, size_t i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->slot = i + 1;
}

/* Moves the timer at I to where its due time belongs. */
static void heap_fix(struct loop *l, size_t i)
{
	struct loop_timer *t = l->heap[i];

	while (i > 0 && l->heap[(i - 1) / 2]->due > t->due) {
		heap_put(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		size_t c = 2 * i + 1;

		if (c + 1 < l->ntimers && l->heap[c + 1]->due < l->heap[c]->due)
			c++;
		if (c >= l->ntimers || l->heap[c]->due >= t->due)
			break;
		heap_put(l, i, l->heap[c]);
		i = c;
	}
	heap_put(l, i, t);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int ms)
{
	t->due = loop_now() + (ms > 0 ? ms : 0);
	if (!t->slot) {
		if (l->ntimers == l->timers_cap) {
			l->timers_cap = l->timers_cap ? l->timers_cap * 2 : 16;
			l->heap = xrealloc(l->heap, l->timers_cap * sizeof(struct loop_timer *));
		}
		heap_put(l, l->ntimers++, t);
	}
	heap_fix(l, t->slot - 1);
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
	size_t i = t->slot - 1;

	if (!t->slot)
		return;
	t->slot = 0;
	l->ntimers--;
	if (i == l->ntimers)
		return;
	heap_put(l, i, l->heap[l->ntimers]);
	heap_fix(l, i);
}

/* Only what was due when the step began: a timer set to 0 again and again must not starve the descriptors. */
static void timers_run(struct loop *l)
{
	int64_t now = loop_now();
	size_t most = l->ntimers;

	while (most-- > 0 && l->ntimers && l->heap[0]->due <= now) {
		struct loop_timer *t = l->heap[0];

		loop_timer_stop(l, t);
		t->fn(t->ctx);
	}
}

static int wait_ms(const struct loop *l, int timeout_ms)
{
	int64_t left;

	if (!l->ntimers)
		return timeout_ms;
	left = l->heap[0]->due - loop_now();
	if (left < 0)
		left = 0;
	if (timeout_ms >= 0 && left > timeout_ms)
		return timeout_ms;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

bool loop_step(struct loop *l, int timeout_ms, struct err *err)
{
	int n;

	if (l->cancelled)
		return err_set(err, ERR_CANCELLED, ORIGIN_NONE, "cancelled");
	n = poll(l->fds, (nfds_t)l->n, wait_ms(l, timeout_ms));
	if (n < 0 && errno != EINTR)
		return err_sys(err, ERR_BUG, "poll");
	if (n > 0 && l->fds[0].revents) {
		uint64_t count;

		while (read(l->wake, &count, sizeof(count)) < 0 && errno == EINTR)
			;
		l->fds[0].revents = 0;
	}
	/* Callbacks may remove any watch: the last one then takes the free slot and is found by going
	 * backwards or in the next step, since poll() tells it again. */
	for (size_t i = n > 0 ? l->n : 0; i-- > 1;) {
		short revents;

		if (i >= l->n)
			continue;
		revents = l->fds[i].revents;
		l->fds[i].revents = 0;
		if (revents)
			l->ios[i]->fn(l->ios[i]->ctx, revents);
	}
	timers_run(l);
	return true;
}

void loop_wake(struct loop *l)
{
	uint64_t one = 1;
	int keep = errno;

	/* A full counter already wakes. */
	if (write(l->wake, &one, sizeof(one)) < 0)
		errno = keep;
}

void loop_cancel(struct loop *l)
{
	l->cancelled = 1;
	loop_wake(l);
}

bool loop_cancelled(const struct loop *l)
{
	return l->cancelled != 0;
}

void loop_cancel_clear(struct loop *l)
{
	l->cancelled = 0;
}
