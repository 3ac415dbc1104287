/* child - the programs a module runs. */
#include <time.h>
#include "base/proc.h"
#include "modules/module.h"
#include "modules/words.h"

static const char *const *merged_env(struct mod_ctx *m, const char *const *extra)
{
	size_t n = 0, more = 0;
	while (m->env && m->env[n])
		n++;
	while (extra && extra[more])
		more++;
	const char **env = arena_array(m->a, n + more + 1, sizeof(*env));
	size_t count = 0;
	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(m->env[i], "=") + 1;
		bool over = false;
		for (size_t j = 0; j < more; j++)
			over = over || strncmp(m->env[i], extra[j], len) == 0;
		if (!over)
			env[count++] = m->env[i];
	}
	for (size_t j = 0; j < more; j++)
		env[count++] = extra[j];
	return env;
}

static void on_line(void *ctx, struct str line, bool is_stderr)
{
	struct mod_ctx *m = ctx;
	m->io->progress(m->io->ctx, line, is_stderr);
}

int64_t mod_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What is left for a child: its own limit or the task's, whichever is nearer; 0: no limit. */
static int time_left(const struct mod_ctx *m, int own)
{
	if (!m->deadline_ms)
		return own;
	int64_t left = m->deadline_ms - mod_now_ms();
	if (left < 1)
		left = 1;
	return own && own < left ? own : (int)(left > 86400000 ? 86400000 : left);
}

/* The words of a command as one line of shell. */
static const char *shown(struct mod_ctx *m, const char *const *argv)
{
	const char *line = "";
	for (size_t i = 0; argv[i]; i++)
		line = arena_printf(m->a, "%s%s%s", line, i ? " " : "", words_quote(m->a, argv[i]));
	return line;
}

bool mod_spawn(struct mod_ctx *m, const struct mod_cmd *cmd, struct mod_out *ret)
{
	struct proc_opts o = {
	        .argv = cmd->argv,
	        .env = merged_env(m, cmd->extra_env),
	        .cwd = cmd->cwd,
	        .input = cmd->input,
	        .timeout_ms = cmd->never_kill ? 0 : time_left(m, cmd->timeout_ms),
	        .umask = cmd->umask > 0 ? (mode_t)(cmd->umask - 1) : 0,
	        .set_umask = cmd->umask > 0,
	        .on_line = cmd->progress && m->io && m->io->progress ? on_line : NULL,
	        .ctx = m,
	};
	struct proc_result r = {0};
	struct err e = {0};
	*ret = (struct mod_out){.rc = -1};
	bool ok = proc_run(&o, &r, &e);
	if (ok) {
		ret->rc = r.signal ? -r.signal : r.status;
		ret->out = str_dup(m->a, buf_str(&r.out));
		ret->err = str_dup(m->a, buf_str(&r.err));
		ret->timed_out = r.timed_out;
		if (r.timed_out && m->deadline_ms && mod_now_ms() >= m->deadline_ms) {
			mod_setb(m, "_timed_out", true);
			ok = mod_fail(m, "The task's time limit was reached: %s was terminated",
			              cmd->argv[0]);
		}
	} else {
		mod_sets(m, "cmd", shown(m, cmd->argv));
		mod_seti(m, "rc", r.error);
		mod_sets(m, "stdout", "");
		mod_sets(m, "stderr", "");
		if (r.error) /* the words roles look for */
			mod_fail(m, "[Errno %d] %s: b'%s'", r.error, strerror(r.error), cmd->argv[0]);
		else
			mod_fail_err(m, &e);
		err_clear(&e);
	}
	proc_result_free(&r);
	return ok;
}

bool mod_exec(struct mod_ctx *m, struct mod_out *ret, ...)
{
	enum { MAX_WORDS = 64 };
	static const char *const locale[] = {"LC_ALL=C.UTF-8", "LANG=C.UTF-8", "LANGUAGE=C", NULL};
	const char *argv[MAX_WORDS + 1] = {NULL};
	va_list ap;
	va_start(ap, ret);
	for (size_t i = 0; i < MAX_WORDS && (argv[i] = va_arg(ap, const char *)); i++)
		;
	va_end(ap);
	return mod_spawn(m, &(struct mod_cmd){.argv = argv, .extra_env = locale}, ret);
}

const char *mod_which(struct mod_ctx *m, const char *name)
{
	const char *path = mod_env(m, "PATH");
	return proc_which(m->a, name,
	                  arena_printf(m->a,
	                               "%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	                               path ? path : "/usr/bin"));
}
