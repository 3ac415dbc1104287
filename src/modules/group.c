#include "modules/module.h"
#include "modules/users.h"

static bool tool(struct mod_ctx *m, const char *const *argv)
{
	struct mod_out out;
	static const char *const env[] = {"LC_ALL=C.UTF-8", NULL};
	mod_changed(m);
	if (m->check)
		return true;
	if (!mod_spawn(m, &(struct mod_cmd){.argv = argv, .extra_env = env, .never_kill = true}, &out))
		return false;
	if (out.rc != 0) {
		mod_setstr(m, "stderr", out.err);
		mod_seti(m, "rc", out.rc);
		return mod_fail(m, "%.*s", STR_FMT(out.err));
	}
	if (out.err.n)
		mod_setstr(m, "stderr", out.err);
	return true;
}

static bool run(struct mod_ctx *m)
{
	const char *name = mod_arg(m, "name"), *gid = mod_arg(m, "gid");
	const struct ugroup *g = group_by_name(m->a, name);
	bool absent = mod_is(m, "state", "absent"), local = mod_bool(m, "local");
	if (local && g && !g->local)
		g = NULL;
	mod_sets(m, "name", name);
	mod_sets(m, "state", mod_arg(m, "state"));
	if (m->check && absent == (g != NULL))
		return mod_only_changed(m);
	if (absent) {
		const char *argv[] = {"groupdel", mod_bool(m, "force") ? "-f" : name,
		                      mod_bool(m, "force") ? name : NULL, NULL};
		return !g || tool(m, argv);
	}
	mod_setb(m, "system", mod_bool(m, "system"));
	static const char *const range[][2] = {{"gid_min", "GID_MIN"}, {"gid_max", "GID_MAX"}};
	const char *argv[16];
	size_t n = 0;
	bool differs = gid && g && mod_int(m, "gid", -1) != (int64_t)g->gid;
	argv[n++] = g ? "groupmod" : "groupadd";
	if (gid) {
		argv[n++] = "-g";
		argv[n++] = gid;
		if (mod_bool(m, "non_unique"))
			argv[n++] = "-o";
	}
	if (!g && mod_bool(m, "system"))
		argv[n++] = "-r";
	for (size_t i = 0; i < 2; i++) {
		const char *end = mod_arg(m, range[i][0]);
		if (end && local)
			return mod_fail(m, "'%s' can not be used with 'local'", range[i][0]);
		if (end && !g) {
			argv[n++] = "-K";
			argv[n++] = arena_printf(m->a, "%s=%s", range[i][1], end);
		}
	}
	argv[n++] = name;
	argv[n] = NULL;
	if ((!g || differs) && !tool(m, argv))
		return false;
	if (!g || differs)
		g = group_by_name(m->a, name);
	if (g)
		mod_seti(m, "gid", g->gid);
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The group."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it should exist."},
        {"gid", MT_INT, .doc = "Its number."},
        {"system", MT_BOOL, .dflt = "false", .doc = "A number of the system's range."},
        {"local", MT_BOOL, .dflt = "false", .doc = "Look at /etc/group only."},
        {"non_unique", MT_BOOL, .dflt = "false", .doc = "The number may be another group's too."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Remove it even when a user has it as primary group."},
        {"gid_min", MT_INT, .doc = "The lowest number to choose for a new one."},
        {"gid_max", MT_INT, .doc = "The highest."},
        {NULL},
};

const struct module module_row_group = {
        .name = "group",
        .from = "ansible.builtin",
        .doc = "Groups.",
        .args = args,
        .flags = MOD_CHECK,
        .required_if = "non_unique=True:gid",
        .run = run,
};
