#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/job.h"
#include "agent/task.h"
#include "base/json.h"
#include "modules/module.h"
#include "modules/users.h"

/* ---- environments */

static const char **env_copy(struct arena *a, const char *const *env, size_t extra)
{
	size_t n = 0;
	while (env && env[n])
		n++;
	const char **copy = arena_array(a, n + extra + 1, sizeof(*copy));
	if (n)
		memcpy(copy, env, n * sizeof(*copy));
	return copy;
}

/* NAME=VALUE in ENV, which has room for one more; VALUE NULL removes it. */
static void env_set(struct arena *a, const char **env, const char *name, const char *value)
{
	size_t n = strlen(name), i = 0;
	while (env[i] && !(strncmp(env[i], name, n) == 0 && env[i][n] == '='))
		i++;
	if (value) {
		env[i] = arena_printf(a, "%s=%s", name, value);
		return;
	}
	for (; env[i]; i++)
		env[i] = env[i + 1];
}

static const char *const *env_of_user(struct arena *a, const char *const *base, const struct user *u)
{
	const char **env = env_copy(a, base, 5);
	env_set(a, env, "HOME", u->home);
	env_set(a, env, "USER", u->name);
	env_set(a, env, "LOGNAME", u->name);
	env_set(a, env, "SHELL", *u->shell ? u->shell : "/bin/sh");
	env_set(a, env, "MAIL", NULL);
	env_set(a, env, "XDG_RUNTIME_DIR", NULL);
	return env;
}

static const char *const *env_of_task(struct arena *a, const char *const *base, const struct val *task)
{
	const struct val *more = val_get(task, "env");
	if (!more || !val_is_map(more) || !val_len(more))
		return base;
	const char **env = env_copy(a, base, val_len(more));
	MAP_EACH (i, more) {
		struct str name = val_text(val_key_at(more, i), a),
		           value = val_text(val_value_at(more, i), a);
		env_set(a, env, arena_strndup(a, name.p, name.n),
		        arena_strndup(a, value.p ? value.p : "", value.n));
	}
	return env;
}

/* ---- here, in this process */

struct here {
	struct wire *w;
	uint32_t id;
	const bool *cancelled; /* in a child: what the parent has heard */
};

static bool here_content(void *ctx, struct str sha256, struct buf *out, struct err *err)
{
	struct here *h = ctx;
	return wire_need(h->w, h->id, sha256, out, err);
}

static void here_progress(void *ctx, struct str line, bool is_stderr)
{
	struct here *h = ctx;
	struct arena *a = arena_new(NULL);
	struct val *v = val_map(a);
	val_set(v, "line", val_str(a, line));
	val_set(v, "stderr", val_bool(is_stderr));
	wire_send_val(h->w, PROTO_PROGRESS, h->id, v, true);
	arena_free(a);
}

static bool here_cancelled(void *ctx)
{
	struct here *h = ctx;
	if (h->cancelled)
		return *(const volatile bool *)h->cancelled;
	wire_fill(h->w, false);
	return h->w->cancelled || h->w->eof || h->w->told_to_stop;
}

static struct val *run_here(struct here *h, const struct val *task, const char *const *env, struct arena *a)
{
	const struct mod_io io = {here_content, here_progress, here_cancelled, h};
	struct str name = val_map_str(task, "module", "");
	const struct module *mod = module_find(name);
	if (mod)
		return module_run(mod, task, &io, env, a);
	struct val *r = val_map(a);
	val_set(r, "failed", val_bool(true));
	val_set(r, "msg", val_strf(a, "this agent has no module '%.*s'", STR_FMT(name)));
	return r;
}

struct val *task_failed(struct arena *a, const char *msg)
{
	struct val *r = val_map(a);
	val_set(r, "changed", val_bool(false));
	val_set(r, "failed", val_bool(true));
	val_set(r, "msg", val_strz(a, msg));
	return r;
}

/* ---- in a child, as another user or under a time limit */

struct child {
	struct wire *up;  /* to the controller */
	struct wire down; /* to the child */
	uint32_t id;
	pid_t pid;
	bool *cancelled; /* shared with the child */
};

bool task_become(struct arena *a, const struct user *u)
{
	gid_t *groups = NULL;
	size_t n = user_groups(a, u, &groups);
	if (setgroups(n, groups) != 0 || setgid(u->gid) != 0 || setuid(u->uid) != 0)
		return false;
	/* Programs complain about a directory their user may not enter. */
	if (access(".", R_OK | X_OK) != 0 && chdir(u->home) != 0 && chdir("/") != 0)
		return false;
	return true;
}

void task_child(int fd, uint32_t id, const struct val *task, const struct user *u, const char *const *env,
                bool *cancelled, struct arena *a)
{
	struct wire w;
	struct here h = {&w, id, cancelled};
	struct val *result;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	wire_open(&w, fd, fd, -1);
	if (u && !task_become(a, u))
		result = task_failed(a,
		                     arena_printf(a, "cannot become user %s: %s", u->name, strerror(errno)));
	else
		result = run_here(&h, task, env, a);
	struct buf b = {0};
	wire_result_json(result, &b);
	wire_send(&w, PROTO_RESULT, id, buf_str(&b), false);
	bool sent = wire_flush(&w);
	_exit(sent ? 0 : 1);
}

static void child_wants(struct child *c, struct wire_frame *f)
{
	struct arena *a = arena_new(NULL);
	struct val *ask = NULL;
	struct buf data = {0};
	struct err e = {0};
	unsigned char sha[32] = {0}; /* the child checks the sum itself */
	if (json_parse_bytes(a, f->payload, &ask, &e) &&
	    wire_need(c->up, c->id, val_map_str(ask, "sha256", ""), &data, &e))
		wire_send_blob(&c->down, c->id, sha, buf_str(&data));
	else
		wire_send_blob(&c->down, c->id, sha, (struct str){0});
	err_clear(&e);
	buf_burn(&data);
	arena_free(a);
}

/* The module ends its own children in time; this is for one that hangs by itself. */
enum { GRACE_MS = 5000 };

static void child_kill(struct child *c)
{
	kill(-c->pid, SIGTERM);
	for (int i = 0; i < 20 && waitpid(c->pid, NULL, WNOHANG) == 0; i++)
		usleep(100000);
	kill(-c->pid, SIGKILL);
}

/* Passes frames both ways until the child's result is there. DEADLINE 0: none. */
static struct val *child_tend(struct child *c, int64_t deadline, struct arena *a)
{
	struct val *result = NULL;
	bool late = false;
	while (!result && !late) {
		struct wire_frame *f = wire_take(&c->down, 0, 0);
		if (!f && c->down.eof)
			break;
		if (!f) {
			wire_wait_any(c->up, &c->down, deadline ? 100 : 1000);
			*c->cancelled = c->up->cancelled || c->up->eof || c->up->told_to_stop;
			late = deadline && mod_now_ms() > deadline;
			continue;
		}
		struct err e = {0};
		if (f->type == PROTO_PROGRESS)
			wire_send(c->up, PROTO_PROGRESS, c->id, f->payload, true);
		else if (f->type == PROTO_NEED)
			child_wants(c, f);
		else if (f->type == PROTO_RESULT && !json_parse_bytes(a, f->payload, &result, &e))
			result = task_failed(a, err_msg(&e));
		err_clear(&e);
		wire_frame_free(f);
	}
	if (late) {
		child_kill(c);
		return NULL;
	}
	return result;
}

static struct val *run_in_child(struct wire *w, uint32_t id, const struct val *task, const struct user *u,
                                const char *const *env, struct arena *a)
{
	int pair[2];
	int64_t limit = val_map_int(task, "timeout", 0);
	if (limit > INT32_MAX)
		limit = INT32_MAX;
	bool *cancelled =
	        mmap(NULL, sizeof(*cancelled), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (cancelled == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return task_failed(a, arena_printf(a, "cannot start a child: %s", strerror(errno)));
	struct child c = {.up = w, .id = id, .cancelled = cancelled};
	c.pid = fork();
	if (c.pid == 0) {
		close(pair[0]);
		setpgid(0, 0);
		task_child(pair[1], id, task, u, env, cancelled, a);
	}
	int e = errno;
	close(pair[1]);
	if (c.pid < 0) {
		close(pair[0]);
		munmap(cancelled, sizeof(*cancelled));
		return task_failed(a, arena_printf(a, "cannot start a child: %s", strerror(e)));
	}
	wire_open(&c.down, pair[0], pair[0], -1);
	struct val *result = child_tend(&c, limit > 0 ? mod_now_ms() + limit * 1000 + GRACE_MS : 0, a);
	int status = 0;
	waitpid(c.pid, &status, 0);
	wire_close(&c.down);
	close(pair[0]);
	munmap(cancelled, sizeof(*cancelled));
	if (!result && limit > 0) {
		result = task_failed(
		        a, arena_printf(a, "The task did not finish within %lld seconds and was terminated",
		                        (long long)limit));
		val_set(result, "_timed_out", val_bool(true));
	}
	if (!result)
		result = task_failed(a, arena_printf(a, "the module broke (wait status %d)", status));
	return result;
}

/* ---- */

/* The user a task asks for; NULL when it is the agent's own, or unknown (*MISSING). */
static const struct user *other_user(const struct val *task, struct arena *a, bool *missing)
{
	const char *name = val_map_strz(task, "user", "");
	*missing = false;
	if (!*name)
		return NULL;
	const struct user *u = user_by_name(a, name);
	*missing = !u;
	return u && u->uid != geteuid() ? u : NULL;
}

struct val *task_run(struct wire *w, uint32_t id, struct str payload, const char *const *env, struct arena *a)
{
	struct val *task = NULL;
	struct err e = {0};
	if (!json_parse_bytes(a, payload, &task, &e) || !val_is_map(task)) {
		struct val *r = task_failed(a, arena_printf(a, "the task is no JSON map: %s", err_msg(&e)));
		err_clear(&e);
		return r;
	}
	bool missing;
	const struct user *u = other_user(task, a, &missing);
	if (missing)
		return task_failed(a, arena_printf(a, "cannot become user %s: there is no such user",
		                                   val_map_strz(task, "user", "")));
	env = env_of_task(a, u ? env_of_user(a, env, u) : env, task);
	if (val_map_bool(task, "background", false))
		return job_start(id, task, u, env, a);
	if (u || val_map_int(task, "timeout", 0) > 0)
		return run_in_child(w, id, task, u, env, a);
	struct here h = {w, id, NULL};
	return run_here(&h, task, env, a);
}
