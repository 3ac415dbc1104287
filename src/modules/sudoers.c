#include <sys/stat.h>
#include <unistd.h>
#include "modules/argv.h"

static const char *rule(struct mod_ctx *m)
{
	struct buf b = {0};
	const struct val *commands = mod_list(m, "commands");
	const char *user = mod_arg(m, "user"), *runas = mod_arg(m, "runas");
	buf_printf(&b, "%s%s %s=", user ? "" : "%", user ? user : mod_arg(m, "group"), mod_arg(m, "host"));
	if (runas)
		buf_printf(&b, "(%s)", runas);
	buf_printf(&b, "%s%s%s ", mod_bool(m, "noexec") ? "NOEXEC:" : "",
	           mod_bool(m, "nopassword") ? "NOPASSWD:" : "", mod_bool(m, "setenv") ? "SETENV:" : "");
	VAL_EACH (i, commands) {
		buf_adds(&b, i ? ", " : "");
		buf_addstr(&b, val_text(val_at(commands, i), m->a));
	}
	buf_addc(&b, '\n');
	const char *text = buf_take(&b, m->a).p;
	buf_free(&b);
	return text;
}

static bool valid(struct mod_ctx *m, const char *text)
{
	struct argv c = {.m = m, .input = str_c(text)};
	struct mod_out out;
	bool must = mod_is(m, "validation", "required");
	if (mod_is(m, "validation", "absent") || (!must && !mod_which(m, "visudo")))
		return true;
	const char *program = argv_need(m, "visudo");
	if (!program)
		return false;
	argv_add2(&c, program, "-c");
	argv_add2(&c, "-f", "-");
	if (!argv_run(&c, &out))
		return false;
	return out.rc == 0 ||
	       mod_fail(m, "Failed to validate sudoers rule:\n%.*s", STR_FMT(out.out.n ? out.out : out.err));
}

static bool run(struct mod_ctx *m)
{
	const char *path = fs_join(m->a, mod_arg(m, "sudoers_path"), mod_arg(m, "name"));
	struct stat st;
	struct str now = {0};
	struct err e = {0};
	bool there = stat(path, &st) == 0;
	if (mod_is(m, "state", "absent")) {
		if (!there)
			return true;
		mod_changed(m);
		return m->check || unlink(path) == 0 || mod_fail_sys(m, "cannot remove %s", path);
	}
	if (!mod_has(m, "user") && !mod_has(m, "group"))
		return mod_fail(m, "one of the following is required: user, group");
	const char *text = rule(m);
	if (!valid(m, text) || (there && !mod_read(m, path, &now)))
		return false;
	if (there && str_eqc(now, text) && (st.st_mode & 0777) == 0440)
		return true;
	mod_changed(m);
	/* Never in sight of sudo half-written, nor with a mode that it refuses. */
	return m->check || fs_write(path, str_c(text), 0440, &e) || mod_fail_err(m, &e);
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The rule, and its file."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"user", MT_STR, .doc = "Who may."},
        {"group", MT_STR, .doc = "The group that may."},
        {"commands", MT_LIST, .elem = MT_STR, .doc = "What they may run; ALL for everything."},
        {"runas", MT_STR, .doc = "As whom."},
        {"host", MT_STR, .dflt = "ALL", .doc = "Where."},
        {"nopassword", MT_BOOL, .dflt = "true", .doc = "Ask for no password."},
        {"noexec", MT_BOOL, .dflt = "false", .doc = "The command may start no other."},
        {"setenv", MT_BOOL, .dflt = "false", .doc = "The environment may be kept."},
        {"sudoers_path", MT_STR, .dflt = "/etc/sudoers.d", .doc = "The directory."},
        {"validation", MT_STR, .dflt = "detect", .choices = "absent|detect|required",
         .doc = "Ask visudo: never, where there is one, always."},
        {NULL},
};

const struct module module_row_sudoers = {
        .name = "sudoers",
        .from = "community.general",
        .doc = "Keeps a rule for sudo in a file of its own.",
        .args = args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "user|group",
        .required_if = "state=present:commands",
        .run = run,
};
