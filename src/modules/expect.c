/* expect - a program on a terminal of its own, its questions answered. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "modules/module.h"
#include "modules/regex.h"
#include "modules/words.h"

struct question {
	struct regex *re;
	const char *text;
	const struct val *answers; /* a text, or a list that is used up */
	size_t next;
};

struct talk {
	struct mod_ctx *m;
	struct question *q;
	size_t n;
	int fd;
	struct buf out;
	size_t seen; /* what was answered up to here */
};

static bool take_questions(struct talk *t)
{
	struct mod_ctx *m = t->m;
	const struct val *map = val_get(m->args, "responses");
	struct err e = {0};
	t->n = val_len(map);
	t->q = arena_array(m->a, t->n, sizeof(*t->q));
	for (size_t i = 0; i < t->n; i++) {
		struct str text = val_text(val_key_at(map, i), m->a);
		t->q[i].text = arena_strndup(m->a, text.p, text.n);
		t->q[i].answers = val_value_at(map, i);
		t->q[i].re = regex_new(m->a, text, REGEX_DOTALL, &e);
		if (!t->q[i].re)
			return mod_fail_err(m, &e);
	}
	return true;
}

/* The child's side: its own session, the terminal as its standard files. Only returns when it cannot run. */
static void become(const char *program, const char **argv, const char *const *env, const char *cwd)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	if (!cwd || chdir(cwd) == 0)
		execve(program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	_exit(127);
}

static pid_t start(struct talk *t, const char **argv)
{
	struct mod_ctx *m = t->m;
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	const char *program = strchr(argv[0], '/') ? argv[0] : mod_which(m, argv[0]);
	static const char *const empty[] = {NULL};
	if (!program || access(program, X_OK) != 0) {
		mod_fail(m, "The command was not found or was not executable: %s.", argv[0]);
		return -1;
	}
	pid_t pid = forkpty(&t->fd, NULL, NULL, &size);
	if (pid == 0)
		become(program, argv, m->env ? m->env : empty, mod_arg(m, "chdir"));
	struct termios tty;
	if (pid > 0 && !mod_bool(m, "echo") && tcgetattr(t->fd, &tty) == 0) {
		tty.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(t->fd, TCSANOW, &tty);
	}
	if (pid < 0)
		mod_fail_sys(m, "cannot open a terminal");
	else
		fcntl(t->fd, F_SETFD, FD_CLOEXEC);
	return pid;
}

/* The answer to Q, or NULL and failed when there is none left. */
static const char *answer(struct talk *t, struct question *q)
{
	struct mod_ctx *m = t->m;
	const struct val *v = val_is_list(q->answers) ? val_at(q->answers, q->next++) : q->answers;
	if (!v) {
		struct str said = str_n(t->out.p + t->seen, t->out.n - t->seen);
		mod_fail(m, "No remaining responses for '%s', output was '%.*s'", q->text, STR_FMT(said));
		return NULL;
	}
	struct str s = val_text(v, m->a);
	while (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	return arena_printf(m->a, "%.*s\n", STR_FMT(s));
}

/* Answers the question that comes first in what was not answered yet; *AGAIN when there may be another. */
static bool reply(struct talk *t, bool *again)
{
	struct regex_match hit, best = {0};
	struct question *q = NULL;
	struct str all = str_n(t->out.p + t->seen, t->out.n - t->seen);
	*again = false;
	for (size_t i = 0; all.n && i < t->n; i++)
		if (regex_search(t->q[i].re, all, 0, &hit) && (!q || hit.start[0] < best.start[0])) {
			best = hit;
			q = &t->q[i];
		}
	if (!q)
		return true;
	const char *z = answer(t, q);
	if (!z)
		return false;
	/* Programs that clear what was typed ahead do so just after asking. */
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	for (size_t left = strlen(z); left;) {
		ssize_t n = write(t->fd, z, left);
		if (n < 0 && errno != EINTR)
			break;
		z += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	t->seen += best.end[0];
	*again = best.end[0] > 0;
	return true;
}

enum end { ENDED, TOO_LATE, GAVE_UP };

static enum end converse(struct talk *t, int64_t limit)
{
	int64_t until = limit > 0 ? mod_now_ms() + limit * 1000 : 0;
	bool again;
	for (;;) {
		int64_t left = until ? until - mod_now_ms() : 60000;
		struct pollfd p = {.fd = t->fd, .events = POLLIN};
		if (left <= 0)
			return TOO_LATE;
		int r = poll(&p, 1, (int)left);
		if (r <= 0)
			continue;
		char *room = buf_room(&t->out, 4096);
		ssize_t n = room ? read(t->fd, room, 4096) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* EIO: nobody is on the terminal any more */
			return ENDED;
		t->out.n += (size_t)n;
		t->out.p[t->out.n] = '\0';
		do
			if (!reply(t, &again))
				return GAVE_UP;
		while (again);
		/* The limit is for each wait. */
		until = limit > 0 ? mod_now_ms() + limit * 1000 : 0;
	}
}

static int finish(pid_t pid, enum end end)
{
	int status = 0;
	if (end != ENDED) {
		kill(-pid, SIGHUP);
		kill(-pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : WIFSIGNALED(status) ? -WTERMSIG(status) : -1;
}

static const char *moment(struct mod_ctx *m, const struct timespec *t)
{
	char text[40];
	struct tm tm;
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", localtime_r(&t->tv_sec, &tm));
	return arena_printf(m->a, "%s.%06ld", text, t->tv_nsec / 1000);
}

static void say_times(struct mod_ctx *m, const struct timespec *from)
{
	struct timespec to;
	clock_gettime(CLOCK_REALTIME, &to);
	int64_t us = (to.tv_sec - from->tv_sec) * 1000000 + (to.tv_nsec - from->tv_nsec) / 1000;
	mod_sets(m, "start", moment(m, from));
	mod_sets(m, "end", moment(m, &to));
	mod_setf(m, "delta", "%d:%02d:%02d.%06d", (int)(us / 3600000000), (int)(us / 60000000 % 60),
	         (int)(us / 1000000 % 60), (int)(us % 1000000));
}

static bool skipped(struct mod_ctx *m)
{
	const char *creates = mod_arg(m, "creates"), *removes = mod_arg(m, "removes"), *why = NULL;
	if (creates && fs_exists(creates))
		why = arena_printf(m->a, "skipped, since %s exists", creates);
	else if (removes && !fs_exists(removes))
		why = arena_printf(m->a, "skipped, since %s does not exist", removes);
	if (!why)
		return false;
	mod_sets(m, "cmd", mod_arg(m, "command"));
	mod_sets(m, "stdout", why);
	mod_seti(m, "rc", 0);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct talk t = {.m = m};
	struct err e = {0};
	struct timespec from;
	const char *command = mod_arg(m, "command"), *dir = mod_arg(m, "chdir");
	const char **argv = words_split(m->a, str_c(command), NULL, &e);
	if (!argv)
		return mod_fail_err(m, &e);
	if (!argv[0]) {
		mod_seti(m, "rc", 256);
		return mod_fail(m, "no command given");
	}
	if (dir && !fs_is_dir(dir))
		return mod_fail(m, "chdir: %s is no directory", dir);
	if (skipped(m))
		return true;
	clock_gettime(CLOCK_REALTIME, &from);
	pid_t pid = take_questions(&t) ? start(&t, argv) : -1;
	if (pid < 0)
		return false;
	enum end end = converse(&t, mod_int(m, "timeout", 30));
	int rc = finish(pid, end);
	close(t.fd);
	struct str said = buf_take(&t.out, m->a);
	buf_burn(&t.out);
	while (said.n && (said.p[said.n - 1] == '\n' || said.p[said.n - 1] == '\r'))
		said.n--;
	if (end == GAVE_UP)
		return false;
	if (end == TOO_LATE)
		mod_fail(m, "command exceeded timeout");
	else if (rc != 0)
		mod_fail(m, "non-zero return code");
	mod_changed(m);
	mod_sets(m, "cmd", command);
	mod_setstr(m, "stdout", said);
	mod_set(m, "rc", end == TOO_LATE ? val_null() : val_int(m->a, rc));
	say_times(m, &from);
	return !m->failed;
}

static const struct mod_arg args[] = {
        {"command", MT_STR, MA_REQUIRED, .doc = "The program and its arguments; no shell."},
        {"responses", MT_DICT, MA_REQUIRED,
         .doc = "Regular expressions of questions, and the answer or answers to each."},
        {"chdir", MT_PATH, .doc = "The directory to run it in."},
        {"creates", MT_PATH, .doc = "Not when this file is there."},
        {"removes", MT_PATH, .doc = "Not when this file is not there."},
        {"timeout", MT_INT, .dflt = "30", .doc = "Seconds it may say nothing."},
        {"echo", MT_BOOL, .dflt = "false", .doc = "The terminal echoes what is typed."},
        {NULL},
};

const struct module module_row_expect = {
        .name = "expect",
        .from = "ansible.builtin",
        .doc = "Runs a program that asks questions, and answers them.",
        .args = args,
        .run = run,
};
