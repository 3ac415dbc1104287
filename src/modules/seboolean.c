/* seboolean - through getsebool, setsebool and semanage. */
#include "modules/argv.h"

/* "name --> on" of getsebool; "name (on , off) ..." of semanage, whose second is the one that lasts. */
static bool said_on(struct str line, const char *before)
{
	ptrdiff_t at = str_find(line, str_c(before), 0);
	return at >= 0 && str_starts(str_trim(str_from(line, (size_t)at + strlen(before))), "on");
}

static bool now(struct mod_ctx *m, const char *name, bool *ret)
{
	struct mod_out o;
	const char *program = argv_need(m, "getsebool");
	if (!program || !mod_exec(m, &o, program, name, NULL))
		return false;
	*ret = said_on(o.out, "-->");
	return o.rc == 0 || mod_fail(m, "SELinux boolean %s does not exist.", name);
}

static bool lasting(struct mod_ctx *m, const char *name, bool *ret)
{
	struct mod_out o;
	const char *program = argv_need(m, "semanage");
	if (!program || !mod_exec(m, &o, program, "boolean", "-l", "-n", NULL))
		return false;
	if (o.rc != 0)
		return mod_fail(m, "Failed to manage policy for boolean %s: %.*s", name, STR_FMT(o.err));
	while (o.out.p && o.out.n) {
		struct str line = str_split(&o.out, '\n'), word = line;
		word = str_split(&word, ' ');
		if (!str_eqc(word, name))
			continue;
		*ret = said_on(line, ",");
		return true;
	}
	return mod_fail(m, "SELinux boolean %s is not defined in persistent policy", name);
}

static bool run(struct mod_ctx *m)
{
	const char *name = mod_arg(m, "name"), *program;
	bool want = mod_bool(m, "state"), persistent = mod_bool(m, "persistent"), is;
	struct argv c = {.m = m};
	struct mod_out o;
	if (!mod_bool(m, "ignore_selinux_state") && !fs_exists("/sys/fs/selinux/enforce"))
		return mod_fail(m, "SELinux is disabled on this host.");
	mod_sets(m, "name", name);
	mod_setb(m, "persistent", persistent);
	mod_setb(m, "state", want);
	if (!now(m, name, &is) || (persistent && !lasting(m, name, &is)))
		return false;
	if (is == want)
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	program = argv_need(m, "setsebool");
	if (!program)
		return false;
	argv_add(&c, program);
	if (persistent)
		argv_add(&c, "-P");
	argv_add2(&c, name, want ? "1" : "0");
	return argv_run(&c, &o) &&
	       (o.rc == 0 || mod_fail(m, "Failed to set boolean %s to %d: %.*s", name, want, STR_FMT(o.err)));
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The boolean."},
        {"state", MT_BOOL, MA_REQUIRED, .doc = "On or off."},
        {"persistent", MT_BOOL, .dflt = "false", .doc = "Also after the next start."},
        {"ignore_selinux_state", MT_BOOL, .dflt = "false", .doc = "Also where SELinux is off."},
        {NULL},
};

const struct module module_row_seboolean = {
        .name = "seboolean",
        .from = "ansible.posix",
        .doc = "Keeps a boolean of SELinux.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
