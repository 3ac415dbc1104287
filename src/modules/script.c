/* script and raw: what is run as it comes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/module.h"
#include "modules/words.h"

static bool shell(struct mod_ctx *m, const char *line)
{
	const char *exe = mod_arg(m, "executable");
	bool is_shell = exe && strcmp(m->mod->name, "raw") == 0;
	const char *argv[] = {is_shell ? exe : "/bin/sh", "-c", line, NULL};
	struct mod_out out;
	if (!mod_spawn(m, &(struct mod_cmd){.argv = argv, .cwd = mod_arg(m, "chdir"), .progress = true},
	               &out))
		return false;
	mod_seti(m, "rc", out.rc);
	mod_setstr(m, "stdout", out.out);
	mod_setstr(m, "stderr", out.err);
	bool ok = out.rc == 0 || mod_fail(m, "non-zero return code");
	mod_changed(m);
	return ok;
}

static bool is_skipped(struct mod_ctx *m)
{
	const char *creates = mod_arg(m, "creates"), *removes = mod_arg(m, "removes");
	if (creates && fs_exists(creates))
		mod_setf(m, "msg", "%s exists, matching creates option", creates);
	else if (removes && !fs_exists(removes))
		mod_setf(m, "msg", "%s does not exist, matching removes option", removes);
	else
		return false;
	mod_setb(m, "skipped", true);
	return true;
}

/* The part of the line behind its first word, which names the script on the controller. */
static const char *script_args(struct mod_ctx *m)
{
	struct str line = str_trim(mod_args(m, mod_has(m, "_raw_params") ? "_raw_params" : "cmd"));
	char quote = 0;
	size_t i = 0;
	for (; i < line.n; i++) {
		char c = line.p[i];
		if (quote ? c == quote : c == '\'' || c == '"')
			quote = quote ? 0 : c;
		else if (c == '\\' && !quote)
			i++;
		else if (!quote && (c == ' ' || c == '\t' || c == '\n'))
			break;
	}
	return i < line.n ? arena_strndup(m->a, line.p + i, line.n - i) : "";
}

static bool run_script(struct mod_ctx *m)
{
	struct str data;
	const char *chdir = mod_arg(m, "chdir");
	if (is_skipped(m))
		return true;
	if (chdir && *chdir != '/')
		return mod_fail(m, "chdir %s must be an absolute path for a Unix-aware remote node", chdir);
	/* What creates and removes say of a change was asked above. */
	if (m->check && (mod_has(m, "creates") || mod_has(m, "removes"))) {
		mod_changed(m);
		return true;
	}
	if (m->check) {
		mod_setb(m, "skipped", true);
		mod_sets(m, "msg", "Check mode is not supported for this task.");
		return true;
	}
	if (!mod_content(m, &data))
		return false;
	/* The script keeps its name: many say it in what they print. */
	char *dir = arena_printf(m->a, "%s/nante-script-XXXXXX", m->tmp);
	if (!mkdtemp(dir))
		return mod_fail_sys(m, "cannot create a temporary directory in %s", m->tmp);
	const char *path = fs_join(
	        m->a, dir,
	        m->content_name.n ? arena_strndup(m->a, m->content_name.p, m->content_name.n) : "script");
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	bool ok = fd >= 0 && fchmod(fd, 0700) == 0;
	for (size_t done = 0; ok && done < data.n;) {
		ssize_t w = write(fd, data.p + done, data.n - done);
		ok = w > 0 || (w < 0 && errno == EINTR);
		done += w > 0 ? (size_t)w : 0;
	}
	if (fd >= 0)
		close(fd);
	if (!ok) {
		mod_fail_sys(m, "cannot write %s", path);
	} else {
		const char *exe = mod_arg(m, "executable");
		ok = shell(m, arena_printf(m->a, "%s%s%s%s", exe ? exe : "", exe ? " " : "",
		                           words_quote(m->a, path), script_args(m)));
	}
	unlink(path);
	rmdir(dir);
	return ok;
}

static bool run_raw(struct mod_ctx *m)
{
	struct str line = mod_args(m, "_raw_params");
	if (!str_trim(line).n)
		return mod_fail(m, "no command given");
	if (m->check) {
		mod_setb(m, "skipped", true);
		return true;
	}
	return shell(m, arena_strndup(m->a, line.p, line.n));
}

static const struct mod_arg script_spec[] = {
        {"cmd", MT_STR, .doc = "The script on the controller, and its arguments."},
        {"chdir", MT_PATH, .doc = "Where to run it."},
        {"creates", MT_PATH, .doc = "Do nothing when this exists."},
        {"removes", MT_PATH, .doc = "Do nothing when this does not exist."},
        {"executable", MT_STR, .doc = "What to run it with."},
        {"decrypt", MT_BOOL, .dflt = "true", .doc = "Decrypt it on the controller."},
        {NULL},
};

static const struct mod_arg raw_spec[] = {
        {"executable", MT_STR, .doc = "The shell to use."},
        {NULL},
};

const struct module module_row_script = {
        .name = "script",
        .from = "ansible.builtin",
        .doc = "Runs a script of the controller on the host.",
        .args = script_spec,
        .flags = MOD_CHECK | MOD_RAW_PARAMS,
        .run = run_script,
};

const struct module module_row_raw = {
        .name = "raw",
        .from = "ansible.builtin",
        .doc = "Runs a line of shell with nothing around it.",
        .args = raw_spec,
        .flags = MOD_CHECK | MOD_RAW_PARAMS,
        .run = run_raw,
};
