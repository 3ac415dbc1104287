#include "ssh/local.h"
#include "base/arena.h"
#include "net/loop.h"
#include "ssh/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK ((size_t)64 << 10)
#define ERRS_CHUNK ((size_t)4 << 10)
#define ERRS_MAX ((size_t)64 << 10)

struct local {
	struct wire wire;
	struct loop *loop;
	pid_t pid;
	int fd, errs_fd; /* -1 once ended */
	struct loop_io io, errs_io;
	struct loop_timer kick, reap;
	int reap_tries;
	bool busy, closing;
};

static void run(struct local *c);

static void local_release(struct local *c)
{
	loop_io_set(c->loop, &c->io, c->fd, 0);
	loop_io_set(c->loop, &c->errs_io, c->errs_fd, 0);
	loop_timer_stop(c->loop, &c->kick);
	loop_timer_stop(c->loop, &c->reap);
	if (c->fd >= 0)
		close(c->fd);
	if (c->errs_fd >= 0)
		close(c->errs_fd);
	/* An agent with a child under way goes on without us: whoever is then its parent reaps it. */
	if (c->pid > 0)
		waitpid(c->pid, NULL, WNOHANG);
	buf_burn(&c->wire.in);
	buf_burn(&c->wire.out);
	buf_free(&c->wire.errs);
	err_clear(&c->wire.err);
	free(c);
}

static void local_close(struct wire *w)
{
	struct local *c = (struct local *)w;

	w->ready = NULL;
	c->closing = true;
	if (!c->busy)
		local_release(c);
}

static void local_flush(struct wire *w)
{
	struct local *c = (struct local *)w;

	loop_timer_set(c->loop, &c->kick, 0);
}

static const struct wire_ops local_ops = {local_flush, local_close};

/* True while the descriptor is open. */
static bool take(int fd, struct buf *to, size_t want, bool *news)
{
	for (;;) {
		char *room = buf_room(to, want), waste[4096];
		ssize_t n = read(fd, room ? room : waste, room ? want : sizeof(waste));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		*news = true;
		if (n <= 0)
			return false;
		if (room) {
			to->n += (size_t)n;
			to->p[to->n] = 0;
		}
	}
}

static void give(struct local *c, bool *news)
{
	while (c->wire.out.n && c->fd >= 0) {
		ssize_t n = send(c->fd, c->wire.out.p, c->wire.out.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			buf_clear(&c->wire.out); /* it has gone: reading tells */
		if (n <= 0)
			return;
		buf_consume(&c->wire.out, (size_t)n);
		*news |= c->wire.out.n < WIRE_OUT_LOW;
	}
}

/* Its status comes a moment after its end of file. */
static void reap(struct local *c)
{
	int status;
	pid_t got = waitpid(c->pid, &status, WNOHANG);

	if (got == 0 && c->reap_tries++ < 100) {
		loop_timer_set(c->loop, &c->reap, 5);
		return;
	}
	if (got == c->pid)
		c->wire.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (got != 0)
		c->pid = 0;
	c->wire.eof = true;
}

static void close_end(struct local *c, int *fd, struct loop_io *io)
{
	loop_io_set(c->loop, io, *fd, 0);
	close(*fd);
	*fd = -1;
}

static void run(struct local *c)
{
	bool news = false;

	if (c->fd >= 0)
		give(c, &news);
	if (c->errs_fd >= 0 && !take(c->errs_fd, &c->wire.errs, ERRS_CHUNK, &news))
		close_end(c, &c->errs_fd, &c->errs_io);
	if (c->fd >= 0 && !take(c->fd, &c->wire.in, CHUNK, &news))
		close_end(c, &c->fd, &c->io);
	if (c->fd < 0 && !c->wire.eof)
		reap(c);
	if (c->fd >= 0)
		loop_io_set(c->loop, &c->io, c->fd, (short)(POLLIN | (c->wire.out.n ? POLLOUT : 0)));
	c->busy = true;
	if ((news || c->wire.eof) && c->wire.ready)
		c->wire.ready(c->wire.ctx);
	c->busy = false;
	if (c->closing)
		local_release(c);
}

static void on_io(void *ctx, short revents)
{
	(void)revents;
	run(ctx);
}

static void on_timer(void *ctx)
{
	run(ctx);
}

/* Between fork and exec: only what is safe there. */
static _Noreturn void become(const char *const *argv, int io, int errs)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* Out of reach of the terminal's Ctrl-C: the agent is told in its own language. */
	setsid();
	dup2(io, 0);
	dup2(io, 1);
	dup2(errs, 2);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

struct wire *local_exec(struct loop *l, const char *const *argv, struct err *err)
{
	int io[2], errs[2];
	struct local *c;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, io) < 0) {
		err_sys(err, ERR_BUG, "socketpair");
		return NULL;
	}
	if (pipe2(errs, O_CLOEXEC) < 0) {
		err_sys(err, ERR_BUG, "pipe");
		close(io[0]);
		close(io[1]);
		return NULL;
	}
	pid = fork();
	if (pid == 0)
		become(argv, io[1], errs[1]);
	close(io[1]);
	close(errs[1]);
	if (pid < 0) {
		err_sys(err, ERR_BUG, "fork");
		close(io[0]);
		close(errs[0]);
		return NULL;
	}
	fcntl(io[0], F_SETFL, O_NONBLOCK);
	fcntl(errs[0], F_SETFL, O_NONBLOCK);
	c = xmalloc(sizeof(*c));
	*c = (struct local){.loop = l, .pid = pid, .fd = io[0], .errs_fd = errs[0]};
	c->wire = (struct wire){.exit_status = -1, .ops = &local_ops};
	buf_init(&c->wire.in, (size_t)80 << 20);
	buf_init(&c->wire.out, (size_t)80 << 20);
	buf_init(&c->wire.errs, ERRS_MAX);
	c->io = (struct loop_io){.fn = on_io, .ctx = c};
	c->errs_io = (struct loop_io){.fn = on_io, .ctx = c};
	c->kick = (struct loop_timer){.fn = on_timer, .ctx = c};
	c->reap = (struct loop_timer){.fn = on_timer, .ctx = c};
	loop_io_set(l, &c->io, c->fd, POLLIN);
	loop_io_set(l, &c->errs_io, c->errs_fd, POLLIN);
	return &c->wire;
}
