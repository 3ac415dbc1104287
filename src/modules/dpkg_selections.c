#include "modules/deb822.h"
#include "modules/module.h"

static bool run(struct mod_ctx *m)
{
	struct str text, para, now = {0}, name = mod_args(m, "name");
	struct mod_out out;
	const char *want = mod_arg(m, "selection");
	if (!mod_read_maybe(m, "/var/lib/dpkg/status", &text))
		return false;
	struct str arch = name, bare = str_split(&arch, ':');
	while (!now.p && deb822_next(&text, &para)) {
		if (!str_eq(deb822_get(para, "Package"), bare) ||
		    (arch.p && !str_eq(deb822_get(para, "Architecture"), arch)))
			continue;
		now = deb822_get(para, "Status");
		now = str_split(&now, ' ');
	}
	/* dpkg does not list what it neither has nor is to have. */
	if (!now.p || str_eqc(now, "unknown"))
		return mod_fail(m, "Failed to find package '%s' to perform selection '%s'.",
		                mod_arg(m, "name"), want);
	mod_setstr(m, "before", now);
	mod_sets(m, "after", want);
	if (str_eqc(now, want))
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	struct mod_cmd cmd = {
	        .argv = (const char *const[]){"dpkg", "--set-selections", NULL},
	        .input = str_c(arena_printf(m->a, "%.*s %s\n", STR_FMT(name), want)),
	};
	if (!mod_spawn(m, &cmd, &out))
		return false;
	return out.rc == 0 || mod_fail(m, "dpkg --set-selections: %.*s", STR_FMT(str_trim(out.err)));
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The package."},
        {"selection", MT_STR, MA_REQUIRED, .choices = "install|hold|deinstall|purge",
         .doc = "What dpkg is to do with it."},
        {NULL},
};

const struct module module_row_dpkg_selections = {
        .name = "dpkg_selections",
        .from = "ansible.builtin",
        .doc = "Holds packages, or lets them go.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
