#include "agent/job.h"
#include "agent/task.h"
#include "base/fs.h"
#include "base/json.h"
#include "modules/module.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The module ends its own children in time; this is for one that hangs by itself. */
enum { GRACE_MS = 5000 };

struct job {
	uint32_t id;
	const struct val *task;
	const char *const *env;
	struct arena *a;
	char jid[48];
	const char *file;
};

static const char *home_of(const char *const *env)
{
	for (size_t i = 0; env && env[i]; i++)
		if (strncmp(env[i], "HOME=/", 6) == 0)
			return env[i] + 5;
	return "/root";
}

static struct val *state(const struct job *j, bool finished, struct val *into)
{
	val_set(into, "ansible_job_id", val_strz(j->a, j->jid));
	val_set(into, "started", val_int(j->a, 1));
	val_set(into, "finished", val_int(j->a, finished));
	return into;
}

static bool write_file(const struct job *j, const struct val *v)
{
	struct buf b = {0};
	struct err e = {0};
	json_dump(v, JSON_STYLE_BYTES, &b);
	bool ok = fs_write(j->file, buf_str(&b), 0600, &e);
	err_clear(&e);
	buf_burn(&b);
	return ok;
}

/* Nothing of the agent's stays open: its link would not end, its session would look alive. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR);
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	syscall(SYS_close_range, 3U, ~0U, 0U);
}

/* The worker's result; progress and what else it says goes nowhere. NULL: it died or DEADLINE (0: none)
 * passed. */
static struct val *wait_result(const struct job *j, int fd, int64_t deadline)
{
	struct wire w;
	struct val *result = NULL;
	wire_open(&w, fd, fd, -1);
	while (!result && !(deadline && mod_now_ms() > deadline)) {
		struct wire_frame *f = wire_take(&w, 0, 0);
		if (!f && w.eof)
			break;
		if (!f) {
			struct pollfd p = {.fd = fd, .events = POLLIN};
			poll(&p, 1, 500);
			wire_fill(&w, false);
			continue;
		}
		struct err e = {0};
		unsigned char none[32] = {0};
		if (f->type == PROTO_RESULT && !json_parse_bytes(j->a, f->payload, &result, &e))
			result = task_failed(j->a, err_msg(&e));
		else if (f->type == PROTO_NEED)
			wire_send_blob(&w, j->id, none, (struct str){0});
		err_clear(&e);
		wire_frame_free(f);
	}
	wire_close(&w);
	return result;
}

__attribute__((noreturn)) static void tend(const struct job *j)
{
	bool cancelled = false;
	int pair[2];
	int64_t limit = val_map_int(j->task, "timeout", 0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		_exit(1);
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		setpgid(0, 0);
		task_child(pair[1], j->id, j->task, NULL, j->env, &cancelled, j->a);
	}
	close(pair[1]);
	struct val *result =
	        pid < 0 ? NULL
	                : wait_result(j, pair[0], limit > 0 ? mod_now_ms() + limit * 1000 + GRACE_MS : 0);
	if (!result && pid > 0)
		kill(-pid, SIGKILL);
	if (!result)
		result = task_failed(
		        j->a, limit > 0
		                      ? arena_printf(j->a, "Job reached maximum time limit of %lld seconds.",
		                                     (long long)limit)
		                      : "the job broke");
	_exit(write_file(j, state(j, true, result)) ? 0 : 1);
}

/* In the first child: to its user, its file begun, and the process that stays. */
__attribute__((noreturn)) static void begin(const struct job *j, const struct user *u)
{
	struct err e = {0};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (u && !task_become(j->a, u))
		_exit(2);
	detach();
	bool ok = fs_mkdirs(fs_dirname(j->a, j->file), 0700, &e) &&
	          write_file(j, state(j, false, val_map(j->a)));
	pid_t pid = ok ? fork() : -1;
	if (pid == 0)
		tend(j);
	_exit(pid < 0 ? 1 : 0);
}

struct val *job_start(uint32_t id, const struct val *task, const struct user *u, const char *const *env,
                      struct arena *a)
{
	struct job j = {.id = id, .task = task, .env = env, .a = a};
	uint64_t chance = 0;
	int status = 0;
	if (getrandom(&chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
		abort();
	snprintf(j.jid, sizeof(j.jid), "j%llu.%ld", (unsigned long long)(chance % 1000000000000U),
	         (long)getpid());
	j.file = arena_printf(a, "%s/.ansible_async/%s", home_of(env), j.jid);
	pid_t pid = fork();
	if (pid == 0)
		begin(&j, u);
	if (pid < 0)
		return task_failed(a, arena_printf(a, "cannot start a job: %s", strerror(errno)));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		return task_failed(a, arena_printf(a, "cannot start a job that writes to %s", j.file));
	struct val *r = state(&j, false, val_map(a));
	val_set(r, "changed", val_bool(true));
	val_set(r, "results_file", val_strz(a, j.file));
	return r;
}
