/* command and shell: one runs words, the other a line of shell. */
#include <errno.h>
#include <glob.h>
#include <time.h>
#include <unistd.h>
#include "modules/module.h"
#include "modules/words.h"

/* A relative PATTERN is meant from where the command would run. */
static bool glob_exists(struct mod_ctx *m, const char *pattern)
{
	glob_t g;
	const char *dir = mod_arg(m, "chdir");
	bool found = glob(dir ? fs_join(m->a, dir, pattern) : pattern, 0, NULL, &g) == 0;
	globfree(&g);
	return found;
}

static const char *time_text(struct arena *a, const struct timespec *t)
{
	char day[32];
	struct tm tm;
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", localtime_r(&t->tv_sec, &tm));
	return arena_printf(a, "%s.%06ld", day, t->tv_nsec / 1000);
}

static const char *delta_text(struct arena *a, const struct timespec *from, const struct timespec *to)
{
	int64_t us = (int64_t)(to->tv_sec - from->tv_sec) * 1000000 + (to->tv_nsec - from->tv_nsec) / 1000;
	int64_t s = us / 1000000;
	const char *days =
	        s >= 86400 ? arena_printf(a, "%lld day%s, ", (long long)(s / 86400), s >= 172800 ? "s" : "")
	                   : "";
	return arena_printf(a, "%s%lld:%02lld:%02lld.%06lld", days, (long long)(s % 86400 / 3600),
	                    (long long)(s / 60 % 60), (long long)(s % 60), (long long)(us % 1000000));
}

static void set_times(struct mod_ctx *m, const struct timespec *from, const struct timespec *to)
{
	mod_set(m, "start", from ? val_strz(m->a, time_text(m->a, from)) : val_null());
	mod_set(m, "end", to ? val_strz(m->a, time_text(m->a, to)) : val_null());
	mod_set(m, "delta", from && to ? val_strz(m->a, delta_text(m->a, from, to)) : val_null());
}

/* "creates" and "removes": true when there is nothing to do. */
static bool is_done(struct mod_ctx *m)
{
	const char *creates = mod_arg(m, "creates"), *removes = mod_arg(m, "removes");
	const char *why = m->check ? "Would not run command since" : "Did not run command since";
	if (creates && *creates && glob_exists(m, creates)) {
		mod_setf(m, "msg", "%s '%s' exists", why, creates);
		mod_setf(m, "stdout", "skipped, since %s exists", creates);
	} else if (removes && *removes && !glob_exists(m, removes)) {
		mod_setf(m, "msg", "%s '%s' does not exist", why, removes);
		mod_setf(m, "stdout", "skipped, since %s does not exist", removes);
	} else {
		return false;
	}
	mod_seti(m, "rc", 0);
	return true;
}

static const char **shell_words(struct mod_ctx *m, const char *line)
{
	const char *exe = mod_arg(m, "executable");
	const char **words = arena_array(m->a, 4, sizeof(*words));
	words[0] = exe && *exe ? exe : "/bin/sh";
	words[1] = "-c";
	words[2] = line;
	return words;
}

/* The words to run and what "cmd" of the result shows. False when failed. */
static bool find_words(struct mod_ctx *m, bool shell, const char ***ret)
{
	struct str line = mod_args(m, mod_has(m, "_raw_params") ? "_raw_params" : "cmd");
	const struct val *argv = mod_list(m, "argv");
	struct val *cmd = val_list(m->a);
	const char *quoted = "";
	struct err e = {0};
	bool given = str_trim(line).n > 0;
	if (given == (val_len(argv) > 0)) {
		mod_seti(m, "rc", 256);
		mod_set(m, "cmd", val_null());
		return mod_fail(m,
		                given ? "only command or argv can be given, not both" : "no command given");
	}
	if (given && shell) {
		*ret = shell_words(m, arena_strndup(m->a, line.p, line.n));
		mod_setstr(m, "cmd", line);
		return true;
	}
	if (!given) {
		*ret = arena_array(m->a, val_len(argv) + 1, sizeof(**ret));
		VAL_EACH (i, argv) {
			struct str s = val_text(val_at(argv, i), m->a);
			(*ret)[i] = arena_strndup(m->a, s.p, s.n);
		}
	} else if (!(*ret = words_split(m->a, line, NULL, &e))) {
		return mod_fail_err(m, &e);
	}
	for (const char **w = *ret; *w; w++) {
		val_push(cmd, val_strz(m->a, *w));
		if (shell)
			quoted = arena_printf(m->a, "%s%s%s", quoted, *quoted ? " " : "",
			                      words_quote(m->a, *w));
	}
	if (shell)
		*ret = shell_words(m, quoted);
	mod_set(m, "cmd", cmd);
	return true;
}

/* ~ and $NAME in each word, which Ansible's command does although it is no shell. */
static void expand_words(struct mod_ctx *m, const char **words)
{
	if (!mod_bool(m, "expand_argument_vars"))
		return;
	for (; *words; words++)
		*words = mod_expand(m, *words);
}

static void strip_end(struct str *s)
{
	while (s->n && (s->p[s->n - 1] == '\n' || s->p[s->n - 1] == '\r'))
		s->n--;
}

static bool run_any(struct mod_ctx *m, bool shell)
{
	const char **words = NULL, *dir = mod_arg(m, "chdir");
	mod_sets(m, "stdout", "");
	mod_sets(m, "stderr", "");
	mod_set(m, "rc", val_null());
	mod_sets(m, "msg", "");
	set_times(m, NULL, NULL);
	if (!find_words(m, shell, &words))
		return false;
	if (dir && access(fs_join(m->a, dir, "."), X_OK) != 0)
		return mod_fail(m, "Unable to change directory before execution: [Errno %d] %s: b'%s'", errno,
		                strerror(errno), dir);
	if (is_done(m))
		return true;
	mod_changed(m);
	if (m->check) {
		mod_seti(m, "rc", 0);
		mod_sets(m, "msg", "Command would have run if not in check mode");
		if (!mod_has(m, "creates") && !mod_has(m, "removes")) {
			mod_setb(m, "skipped", true);
			mod_setb(m, "changed", false);
		}
		return true;
	}
	if (!shell)
		expand_words(m, words);
	struct str input = mod_args(m, "stdin");
	if (mod_has(m, "stdin") && mod_bool(m, "stdin_add_newline") && !str_ends(input, "\n"))
		input = str_c(arena_printf(m->a, "%.*s\n", STR_FMT(input)));
	struct mod_cmd cmd = {.argv = words, .cwd = dir, .input = input, .progress = true};
	struct mod_out out;
	struct timespec from, to;
	clock_gettime(CLOCK_REALTIME, &from);
	struct val *shown = val_get(m->result, "cmd");
	if (!mod_spawn(m, &cmd, &out)) {
		if (out.timed_out)
			mod_set(m, "cmd", shown);
		mod_setb(m, "changed", false);
		return false;
	}
	clock_gettime(CLOCK_REALTIME, &to);
	set_times(m, &from, &to);
	if (mod_bool(m, "strip_empty_ends")) {
		strip_end(&out.out);
		strip_end(&out.err);
	}
	mod_seti(m, "rc", out.rc);
	mod_setstr(m, "stdout", out.out);
	mod_setstr(m, "stderr", out.err);
	bool ok = out.rc == 0 || mod_fail(m, "non-zero return code");
	mod_changed(m);
	return ok;
}

static bool run_command(struct mod_ctx *m)
{
	return run_any(m, mod_bool(m, "_uses_shell"));
}

static bool run_shell(struct mod_ctx *m)
{
	return run_any(m, true);
}

#define COMMON_ARGS                                                                                        \
	{"cmd", MT_STR, .doc = "The command to run."},                                                     \
	        {"argv", MT_LIST, .elem = MT_STR, .doc = "The command as a list of words."},               \
	        {"chdir", MT_PATH, .doc = "Where to run it."},                                             \
	        {"creates", MT_PATH, .doc = "A path or pattern: when it exists, nothing is run."},         \
	        {"removes", MT_PATH, .doc = "A path or pattern: when it does not exist, nothing is run."}, \
	        {"stdin", MT_STR, .doc = "Its standard input."},                                           \
	        {"stdin_add_newline", MT_BOOL, .dflt = "true", .doc = "End stdin with a new line."},       \
	        {"executable", MT_PATH, .doc = "The shell to use."},                                       \
	        {"strip_empty_ends", MT_BOOL, .dflt = "true",                                              \
	         .doc = "Strip empty lines from the ends of output."},                                     \
	{                                                                                                  \
		"warn", MT_BOOL, .doc = "Ignored."                                                         \
	}

static const struct mod_arg command_args[] = {
        COMMON_ARGS,
        {"expand_argument_vars", MT_BOOL, .dflt = "true", .doc = "Expand ~ and $NAME in the words."},
        {"_uses_shell", MT_BOOL, .dflt = "false", .doc = "Run a line of shell."},
        {NULL},
};

static const struct mod_arg shell_args[] = {COMMON_ARGS, {NULL}};

const struct module module_row_command = {
        .name = "command",
        .from = "ansible.builtin",
        .doc = "Runs a program, without a shell.",
        .args = command_args,
        .flags = MOD_CHECK | MOD_RAW_PARAMS,
        .run = run_command,
};

const struct module module_row_shell = {
        .name = "shell",
        .from = "ansible.builtin",
        .doc = "Runs a line of shell.",
        .args = shell_args,
        .flags = MOD_CHECK | MOD_RAW_PARAMS,
        .run = run_shell,
};
