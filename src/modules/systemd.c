#include "modules/systemctl.h"

static bool run(struct mod_ctx *m)
{
	const char *name = mod_arg(m, "name");
	if (!mod_which(m, "systemctl"))
		return mod_fail(m, "Failed to find required executable \"systemctl\"");
	mod_set(m, "status", val_map(m->a));
	mod_set(m, "name", name ? val_strz(m->a, name) : val_null());
	if (mod_bool(m, "daemon_reload") && !m->check && !systemd_verb(m, "daemon-reload", NULL))
		return false;
	if (mod_bool(m, "daemon_reexec") && !m->check && !systemd_verb(m, "daemon-reexec", NULL))
		return false;
	return !name || systemd_manage(m, name);
}

static const struct mod_arg args[] = {
        {"name", MT_STR, .aliases = "service|unit", .doc = "The unit."},
        {"state", MT_STR, .choices = "reloaded|restarted|started|stopped", .doc = "Whether it should run."},
        {"enabled", MT_BOOL, .doc = "Whether it should start at boot."},
        {"force", MT_BOOL, .doc = "Overwrite links that are in the way."},
        {"masked", MT_BOOL, .doc = "Whether it should be impossible to start."},
        {"daemon_reload", MT_BOOL, .dflt = "false", .aliases = "daemon-reload",
         .doc = "Read unit files again first."},
        {"daemon_reexec", MT_BOOL, .dflt = "false", .aliases = "daemon-reexec",
         .doc = "Restart systemd itself first."},
        {"scope", MT_STR, .dflt = "system", .choices = "global|system|user", .doc = "Whose systemd."},
        {"no_block", MT_BOOL, .dflt = "false", .doc = "Do not wait until it is done."},
        {NULL},
};

const struct module module_row_systemd = {
        .name = "systemd",
        .from = "ansible.builtin",
        .doc = "Units of systemd.",
        .args = args,
        .flags = MOD_CHECK,
        .required_if = "state=started:name;state=stopped:name;state=restarted:name;state=reloaded:name",
        .run = run,
};

const struct module module_row_systemd_service = {
        .name = "systemd_service",
        .from = "ansible.builtin",
        .doc = "Units of systemd.",
        .args = args,
        .flags = MOD_CHECK,
        .required_if = "state=started:name;state=stopped:name;state=restarted:name;state=reloaded:name",
        .run = run,
};
