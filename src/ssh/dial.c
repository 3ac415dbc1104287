#include "net/loop.h"
#include "ssh/private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct dial {
	struct loop *loop;
	struct addrinfo *all, *next;
	int left; /* addresses not tried */
	int fd, result;
	int64_t deadline;
	struct loop_io io;
	struct loop_timer timer;
	void (*done)(void *ctx);
	void *ctx;
	bool finished;
	struct err err;
	char *where;
};

static void try_next(struct dial *d);

static void finish(struct dial *d)
{
	loop_timer_stop(d->loop, &d->timer);
	d->finished = true;
	d->done(d->ctx);
}

static void give_up_address(struct dial *d, int error)
{
	char addr[INET6_ADDRSTRLEN] = "?";

	getnameinfo(d->next->ai_addr, d->next->ai_addrlen, addr, sizeof(addr), NULL, 0, NI_NUMERICHOST);
	if (d->fd >= 0) {
		loop_io_set(d->loop, &d->io, d->fd, 0);
		close(d->fd);
		d->fd = -1;
	}
	err_clear(&d->err);
	errno = error;
	err_sys(&d->err, ERR_UNREACHABLE, "cannot connect to %s%s%s", d->where,
	        strstr(d->where, addr) ? "" : " at ", strstr(d->where, addr) ? "" : addr);
	if (error == ECONNREFUSED)
		err_hint(&d->err, "is its SSH service running, and on that port?");
	else
		err_hint(&d->err, UNREACHED_HINT);
	d->next = d->next->ai_next;
	try_next(d);
}

static void connected(struct dial *d)
{
	int on = 1, unacked_ms = 60000;

	loop_io_set(d->loop, &d->io, d->fd, 0);
	setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(d->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
	d->result = d->fd;
	d->fd = -1;
	finish(d);
}

static void writable(void *ctx, short revents)
{
	struct dial *d = ctx;
	int error = 0;
	socklen_t n = sizeof(error);

	(void)revents;
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error)
		give_up_address(d, error);
	else
		connected(d);
}

static void timed_out(void *ctx)
{
	struct dial *d = ctx;

	if (d->next)
		give_up_address(d, ETIMEDOUT);
	else
		finish(d);
}

/* Each address gets its share of the time that is left. */
static void try_next(struct dial *d)
{
	int64_t left = d->deadline - loop_now();

	if (!d->next || left <= 0) {
		d->next = NULL;
		loop_timer_set(d->loop, &d->timer, 0);
		return;
	}
	d->fd = socket(d->next->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0 ||
	    (connect(d->fd, d->next->ai_addr, d->next->ai_addrlen) < 0 && errno != EINPROGRESS)) {
		d->left--;
		give_up_address(d, errno);
		return;
	}
	loop_io_set(d->loop, &d->io, d->fd, POLLOUT);
	loop_timer_set(d->loop, &d->timer, (int)(left / (d->left > 0 ? d->left : 1)));
	d->left--;
}

struct dial *dial_new(struct loop *l, const char *host, int port, int timeout_ms, void (*done)(void *ctx),
                      void *ctx)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
	struct dial *d = xmalloc(sizeof(*d));
	char service[16];
	int rc;

	*d = (struct dial){.loop = l, .fd = -1, .result = -1, .done = done, .ctx = ctx};
	d->io = (struct loop_io){.fn = writable, .ctx = d};
	d->timer = (struct loop_timer){.fn = timed_out, .ctx = d};
	d->deadline = loop_now() + timeout_ms;
	d->where = xmalloc(strlen(host) + 32);
	snprintf(d->where, strlen(host) + 32, "%s port %d", host, port);
	snprintf(service, sizeof(service), "%d", port);
	rc = getaddrinfo(host, service, &hints, &d->all);
	/* AI_ADDRCONFIG hides the loopback's addresses where there is no other interface. */
	if (rc == EAI_NONAME || rc == EAI_FAMILY || rc == EAI_ADDRFAMILY) {
		hints.ai_flags = AI_NUMERICSERV;
		rc = getaddrinfo(host, service, &hints, &d->all);
	}
	if (rc != 0) {
		d->all = NULL;
		err_set(&d->err, ERR_UNREACHABLE, ORIGIN_NONE, "cannot resolve %s: %s", host,
		        gai_strerror(rc));
	}
	for (struct addrinfo *ai = d->all; ai; ai = ai->ai_next)
		d->left++;
	d->next = d->all;
	try_next(d);
	return d;
}

enum step dial_result(struct dial *d, int *ret_fd, struct err *err)
{
	if (!d->finished)
		return STEP_AGAIN;
	if (d->result < 0) {
		err_set(&d->err, ERR_UNREACHABLE, ORIGIN_NONE, "cannot connect to %s", d->where);
		err_move(err, &d->err);
		return STEP_FAILED;
	}
	*ret_fd = d->result;
	d->result = -1;
	return STEP_DONE;
}

void dial_free(struct dial *d)
{
	if (!d)
		return;
	loop_timer_stop(d->loop, &d->timer);
	if (d->fd >= 0) {
		loop_io_set(d->loop, &d->io, d->fd, 0);
		close(d->fd);
	}
	if (d->result >= 0)
		close(d->result);
	if (d->all)
		freeaddrinfo(d->all);
	err_clear(&d->err);
	free(d->where);
	free(d);
}
