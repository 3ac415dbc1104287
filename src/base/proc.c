#include "base/proc.h"

#include "base/arena.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILL_AFTER_MS 2000
#define OUTPUT_MAX ((size_t)64 << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct child {
	const struct proc_opts *o;
	struct proc_result *r;
	pid_t pid;
	int in, out, err; /* our ends; -1 closed */
	size_t written;
	size_t shown[2]; /* how far lines were handed to on_line, per stream */
	long long deadline, kill_at;
};

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

char *proc_which(struct arena *a, const char *name, const char *path)
{
	struct str rest = str_c(path && *path ? path : DEFAULT_PATH);

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? arena_strdup(a, name) : NULL;
	while (rest.p) {
		struct str dir = str_split(&rest, ':');
		char *full = arena_printf(a, "%.*s/%s", STR_FMT(dir), name);

		if (dir.n && access(full, X_OK) == 0 && !fs_is_dir(full))
			return full;
	}
	return NULL;
}

static const char *env_path(const char *const *env)
{
	for (; env && *env; env++) {
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	}
	return NULL;
}

/* In the child, between fork and exec: only async-signal-safe calls. FAIL tells the parent why exec did not
 * happen. */
static void become_child(const struct proc_opts *o, const char *file, const int in[2], const int out[2],
                         const int err[2], int fail)
{
	extern char **environ;
	sigset_t none;
	int e;

	if (o->new_session)
		setsid();
	else
		setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	dup2(in[0], 0);
	dup2(out[1], 1);
	dup2(err[1], 2);
	if (o->set_umask)
		umask(o->umask);
	if (!o->cwd || chdir(o->cwd) == 0)
		execve(file, (char *const *)o->argv, o->env ? (char *const *)o->env : environ);
	e = errno;
	if (write(fail, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void give_lines(struct child *c, struct buf *b, int which, bool at_end)
{
	while (c->o->on_line && c->shown[which] < b->n) {
		const char *from = b->p + c->shown[which];
		const char *nl = memchr(from, '\n', b->n - c->shown[which]);

		if (!nl && !at_end)
			return;
		size_t n = nl ? (size_t)(nl - from) : b->n - c->shown[which];

		c->o->on_line(c->o->ctx, str_n(from, n), which == 1);
		c->shown[which] += n + (nl ? 1 : 0);
	}
}

static void take_output(struct child *c, int *fd, struct buf *b, int which)
{
	char chunk[16384];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close_fd(fd);
		give_lines(c, b, which, true);
		return;
	}
	size_t room = b->max - b->n;

	if ((size_t)n > room)
		c->r->truncated = true;
	buf_add(b, chunk, (size_t)n > room ? room : (size_t)n);
	give_lines(c, b, which, false);
}

static void feed_input(struct child *c)
{
	struct str left = str_n(c->o->input.p + c->written, c->o->input.n - c->written);
	ssize_t n = write(c->in, left.p, left.n);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n >= 0)
		c->written += (size_t)n;
	if (n < 0 || c->written == c->o->input.n)
		close_fd(&c->in);
}

static void enforce_deadline(struct child *c)
{
	long long now = now_ms();

	if (c->kill_at && now >= c->kill_at) {
		kill(-c->pid, SIGKILL);
		c->kill_at = now + KILL_AFTER_MS;
	} else if (c->deadline && now >= c->deadline && !c->r->timed_out) {
		c->r->timed_out = true;
		kill(-c->pid, SIGTERM);
		c->kill_at = now + KILL_AFTER_MS;
	}
}

static int poll_wait(const struct child *c, bool exited)
{
	long long at = c->kill_at ? c->kill_at : c->deadline, left = at ? at - now_ms() : -1;

	if (exited)
		return 50; /* a grandchild may hold the pipes: do not wait for it */
	if (at && left < 0)
		left = 0;
	return left < 0 || left > 200 ? 200 : (int)left;
}

static void pump(struct child *c)
{
	bool exited = false;
	int status = 0;

	while (c->out >= 0 || c->err >= 0 || !exited) {
		struct pollfd p[3] = {{c->out, POLLIN, 0}, {c->err, POLLIN, 0}, {c->in, POLLOUT, 0}};
		int n = poll(p, 3, c->out >= 0 || c->err >= 0 ? poll_wait(c, exited) : 5);

		if (p[0].revents)
			take_output(c, &c->out, &c->r->out, 0);
		if (p[1].revents)
			take_output(c, &c->err, &c->r->err, 1);
		if (p[2].revents)
			feed_input(c);
		if (exited && n == 0)
			break;
		if (!exited && waitpid(c->pid, &status, WNOHANG) == c->pid)
			exited = true;
		if (!exited)
			enforce_deadline(c);
	}
	close_fd(&c->in);
	close_fd(&c->out);
	close_fd(&c->err);
	give_lines(c, &c->r->out, 0, true);
	give_lines(c, &c->r->err, 1, true);
	c->r->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	c->r->status = c->r->signal ? 128 + c->r->signal : WEXITSTATUS(status);
}

/* The exec's errno when it failed, else 0: the pipe closes by itself at a successful exec. */
static int exec_errno(int fd)
{
	int e = 0;
	ssize_t n;

	do {
		n = read(fd, &e, sizeof(e));
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(e) ? e : 0;
}

struct pipes {
	int in[2], out[2], err[2], fail[2];
};

static void close_pipes(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		close_fd(&p->in[i]);
		close_fd(&p->out[i]);
		close_fd(&p->err[i]);
		close_fd(&p->fail[i]);
	}
}

static bool open_pipes(struct pipes *p, bool input)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
	if (input ? pipe2(p->in, O_CLOEXEC) != 0 : (p->in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
		return false;
	return pipe2(p->out, O_CLOEXEC) == 0 && pipe2(p->err, O_CLOEXEC) == 0 &&
	       pipe2(p->fail, O_CLOEXEC) == 0;
}

static bool start(struct child *c, const char *file, struct err *err)
{
	struct pipes p;

	if (!open_pipes(&p, c->o->input.n > 0)) {
		err_sys(err, ERR_REMOTE, "cannot start %s", c->o->argv[0]);
		close_pipes(&p);
		return false;
	}
	c->pid = fork();
	if (c->pid == 0)
		become_child(c->o, file, p.in, p.out, p.err, p.fail[1]);
	close_fd(&p.in[0]);
	close_fd(&p.out[1]);
	close_fd(&p.err[1]);
	close_fd(&p.fail[1]);
	int e = c->pid < 0 ? errno : exec_errno(p.fail[0]);

	close_fd(&p.fail[0]);
	if (e) {
		if (c->pid > 0)
			waitpid(c->pid, NULL, 0);
		close_pipes(&p);
		c->r->error = errno = e;
		return err_sys(err, ERR_REMOTE, "cannot run %s", c->o->argv[0]);
	}
	c->in = p.in[1];
	c->out = p.out[0];
	c->err = p.err[0];
	if (c->in >= 0)
		fcntl(c->in, F_SETFL, O_NONBLOCK);
	return true;
}

bool proc_run(const struct proc_opts *o, struct proc_result *ret, struct err *err)
{
	struct arena *a = arena_new(NULL);
	const char *path = o->env ? env_path(o->env) : getenv("PATH");
	char *file = proc_which(a, o->argv[0], path);
	struct child c = {.o = o, .r = ret, .in = -1, .out = -1, .err = -1};
	long long began = now_ms();
	bool ok = true;

	*ret = (struct proc_result){0};
	buf_init(&ret->out, o->max_output ? o->max_output : OUTPUT_MAX);
	buf_init(&ret->err, o->max_output ? o->max_output : OUTPUT_MAX);
	if (!file) {
		ret->error = errno = ENOENT;
		ok = err_sys(err, ERR_REMOTE, "cannot run %s", o->argv[0]);
	} else {
		c.deadline = o->timeout_ms > 0 ? began + o->timeout_ms : 0;
		ok = start(&c, file, err);
	}
	if (ok)
		pump(&c);
	ret->seconds = (double)(now_ms() - began) / 1000;
	arena_free(a);
	return ok;
}

void proc_result_free(struct proc_result *r)
{
	buf_free(&r->out);
	buf_free(&r->err);
}
