#include <fcntl.h>
#include <unistd.h>
#include "modules/module.h"

struct linux_se {
	struct mod_ctx *m;
	const char *file, *state, *policy;
	struct str text;                /* of the file */
	const char *is;                 /* enforcing, permissive, disabled: now */
	const char *said, *said_policy; /* in the file; NULL: not there */
	const char *msg;
};

/* VALUE of a line NAME=VALUE, or NULL. */
static const char *config_value(struct mod_ctx *m, struct str text, const char *name)
{
	const char *value = NULL;
	while (text.p && text.n && !value) {
		struct str line = str_split(&text, '\n'), key = str_split(&line, '=');
		if (line.p && str_eqc(key, name))
			value = arena_strndup(m->a, str_trim(line).p, str_trim(line).n);
	}
	return value;
}

static void say(struct linux_se *s, const char *text)
{
	s->msg = arena_printf(s->m->a, "%s%s%s", s->msg, *s->msg ? ", " : "", text);
	mod_changed(s->m);
}

/* The file's lines NAME= with another value, or one more line. */
static void set_value(struct linux_se *s, const char *name, const char *value)
{
	struct str rest = s->text;
	struct buf b = {0};
	bool found = false;
	while (rest.p && rest.n) {
		struct str line = str_split(&rest, '\n'), after = line, key = str_split(&after, '=');
		if (after.p && str_eqc(key, name)) {
			buf_printf(&b, "%s=%s\n", name, value);
			found = true;
		} else
			buf_printf(&b, "%.*s\n", STR_FMT(line));
	}
	if (!found)
		buf_printf(&b, "%s=%s\n", name, value);
	s->text = buf_take(&b, s->m->a);
	buf_free(&b);
}

static bool look(struct linux_se *s)
{
	struct mod_ctx *m = s->m;
	struct str enforce;
	if (!fs_exists(s->file)) {
		mod_sets(m, "details",
		         "Please install SELinux-policy package, if this package is not installed "
		         "previously.");
		return mod_fail(m, "Unable to find file %s", s->file);
	}
	if (!mod_read(m, s->file, &s->text) || !mod_read_maybe(m, "/sys/fs/selinux/enforce", &enforce))
		return false;
	s->is = !enforce.p ? "disabled" : enforce.n && *enforce.p == '1' ? "enforcing" : "permissive";
	s->said = config_value(m, s->text, "SELINUX");
	s->said_policy = config_value(m, s->text, "SELINUXTYPE");
	return true;
}

static bool set_policy(struct linux_se *s)
{
	struct mod_ctx *m = s->m;
	if (s->said_policy && strcmp(s->policy, s->said_policy) == 0)
		return true;
	if (!fs_exists(arena_printf(m->a, "/etc/selinux/%s/policy", s->policy)))
		return mod_fail(m, "Policy %s does not exist in /etc/selinux/", s->policy);
	say(s, arena_printf(m->a, "SELinux policy configuration in '%s' changed from '%s' to '%s'", s->file,
	                    s->said_policy ? s->said_policy : "None", s->policy));
	set_value(s, "SELINUXTYPE", s->policy);
	return true;
}

/* The kernel's file is written, not replaced. */
static bool enforce(struct linux_se *s, bool on)
{
	static const char path[] = "/sys/fs/selinux/enforce";
	if (s->m->check)
		return true;
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, on ? "1" : "0", 1) == 1;
	if (!ok)
		mod_fail_sys(s->m, "cannot write %s", path);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* What runs now: *REBOOT when only a new start brings it about. */
static bool set_now(struct linux_se *s, bool *reboot)
{
	struct mod_ctx *m = s->m;
	bool off = strcmp(s->state, "disabled") == 0;
	if (strcmp(s->state, s->is) == 0)
		return true;
	*reboot = off || strcmp(s->is, "disabled") == 0;
	if (!*reboot) {
		say(s, arena_printf(m->a, "SELinux state changed from '%s' to '%s'", s->is, s->state));
		return enforce(s, strcmp(s->state, "enforcing") == 0);
	}
	if (!off)
		mod_warn(m, "Reboot is required to set SELinux state to '%s'", s->state);
	else if (strcmp(s->is, "permissive") == 0)
		mod_warn(m, "SELinux state change will take effect next reboot");
	else {
		mod_warn(m,
		         "SELinux state temporarily changed from '%s' to 'permissive'. State change will "
		         "take effect "
		         "next reboot.",
		         s->is);
		mod_changed(m);
		return enforce(s, false);
	}
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct linux_se s = {.m = m,
	                     .file = mod_arg(m, "configfile"),
	                     .state = mod_arg(m, "state"),
	                     .policy = mod_arg(m, "policy"),
	                     .msg = ""};
	bool reboot = false;
	if (!look(&s))
		return false;
	if (mod_bool(m, "update_kernel_param"))
		return mod_fail(m, "'grubby' command not found on host");
	if (!s.policy && strcmp(s.state, "disabled") != 0)
		return mod_fail(m, "Policy is required if state is not 'disabled'");
	if (!s.policy)
		s.policy = s.said_policy;
	struct str before = s.text;
	if ((s.policy && !set_policy(&s)) || !set_now(&s, &reboot))
		return false;
	if (!s.said || strcmp(s.said, s.state) != 0) {
		say(&s, arena_printf(m->a, "Config SELinux state changed from '%s' to '%s'",
		                     s.said ? s.said : "None", s.state));
		set_value(&s, "SELINUX", s.state);
	}
	if (!str_eq(before, s.text) && !m->check && !mod_write(m, s.file, s.text))
		return false;
	mod_sets(m, "msg", s.msg);
	mod_sets(m, "configfile", s.file);
	mod_set(m, "policy", s.policy ? val_strz(m->a, s.policy) : val_null());
	mod_sets(m, "state", s.state);
	mod_setb(m, "reboot_required", reboot);
	return true;
}

static const struct mod_arg args[] = {
        {"state", MT_STR, MA_REQUIRED, .choices = "enforcing|permissive|disabled", .doc = "Its mode."},
        {"policy", MT_STR, .doc = "Its policy, unless it is disabled."},
        {"configfile", MT_STR, .dflt = "/etc/selinux/config", .aliases = "conf|file", .doc = "The file."},
        {"update_kernel_param", MT_BOOL, .dflt = "false", .doc = "Of systems with grubby: refused."},
        {NULL},
};

const struct module module_row_selinux = {
        .name = "selinux",
        .from = "ansible.posix",
        .doc = "Keeps the mode and the policy of SELinux.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
