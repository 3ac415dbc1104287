/* service: systemd where it runs, else the scripts in /etc/init.d. */
#include <unistd.h>
#include "modules/systemctl.h"

static bool script(struct mod_ctx *m, const char *name, const char *verb, struct mod_out *out)
{
	const char *more = mod_arg(m, "arguments");
	if (mod_which(m, "service"))
		return mod_exec(m, out, "service", name, verb, more && *more ? more : NULL, NULL);
	return mod_exec(m, out, arena_printf(m->a, "/etc/init.d/%s", name), verb, more && *more ? more : NULL,
	                NULL);
}

static bool script_enable(struct mod_ctx *m, const char *name, bool on)
{
	struct mod_out out;
	bool ok = mod_which(m, "update-rc.d")
	                  ? mod_exec(m, &out, "update-rc.d", name, on ? "defaults" : "disable", NULL)
	                  : mod_exec(m, &out, "chkconfig", name, on ? "on" : "off", NULL);
	return ok && (out.rc == 0 || mod_fail(m, "Unable to %s service %s: %.*s", on ? "enable" : "disable",
	                                      name, STR_FMT(str_trim(out.err))));
}

static bool script_running(struct mod_ctx *m, const char *name, bool *ret)
{
	struct mod_out out;
	const char *pattern = mod_arg(m, "pattern");
	if (pattern) {
		if (!mod_exec(m, &out, "pgrep", "-f", pattern, NULL))
			return false;
	} else if (!script(m, name, "status", &out)) {
		return false;
	}
	*ret = out.rc == 0;
	return true;
}

static bool script_state(struct mod_ctx *m, const char *name, const char *state)
{
	struct mod_out out;
	bool running;
	if (!script_running(m, name, &running))
		return false;
	bool stop = strcmp(state, "stopped") == 0, start = strcmp(state, "started") == 0;
	mod_sets(m, "state", stop ? "stopped" : "started");
	if ((stop && !running) || (start && running))
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	const char *verb = stop                              ? "stop"
	                   : !running || start               ? "start"
	                   : strcmp(state, "restarted") == 0 ? "restart"
	                                                     : "reload";
	if (strcmp(state, "restarted") == 0 && mod_int(m, "sleep", 0) > 0) {
		if (!script(m, name, "stop", &out))
			return false;
		sleep((unsigned)mod_int(m, "sleep", 0));
		verb = "start";
	}
	if (!script(m, name, verb, &out))
		return false;
	struct str why = str_trim(out.err.n ? out.err : out.out);
	return out.rc == 0 || mod_fail(m, "Unable to %s service %s: %.*s", verb, name, STR_FMT(why));
}

static bool run(struct mod_ctx *m)
{
	const char *name = mod_arg(m, "name");
	if (systemd_runs() && mod_which(m, "systemctl"))
		return systemd_manage(m, name);
	if (!mod_has(m, "state") && !mod_has(m, "enabled"))
		return mod_fail(m, "one of the following is required: state, enabled");
	mod_sets(m, "name", name);
	if (!sysv_exists(m, name))
		return mod_fail(m, "Could not find the requested service %s: host", name);
	if (mod_has(m, "enabled")) {
		bool want = mod_bool(m, "enabled");
		mod_setb(m, "enabled", want);
		if (sysv_enabled(m, name) != want) {
			mod_changed(m);
			if (!m->check && !script_enable(m, name, want))
				return false;
		}
	}
	return !mod_has(m, "state") || script_state(m, name, mod_arg(m, "state"));
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The service."},
        {"state", MT_STR, .choices = "reloaded|restarted|started|stopped", .doc = "Whether it should run."},
        {"enabled", MT_BOOL, .doc = "Whether it should start at boot."},
        {"sleep", MT_INT, .doc = "Seconds between stop and start of a restart by script."},
        {"pattern", MT_STR, .doc = "Finds the process when the script cannot say."},
        {"arguments", MT_STR, .dflt = "", .aliases = "args", .doc = "More words for the script."},
        {"runlevel", MT_STR, .dflt = "default", .doc = "Ignored."},
        {"use", MT_STR, .dflt = "auto", .doc = "Ignored: what runs the host is used."},
        {"daemon_reload", MT_BOOL, .aliases = "daemon-reload",
         .doc = "Of systemd: read the unit files again first."},
        {"daemon_reexec", MT_BOOL, .aliases = "daemon-reexec", .doc = "Of systemd: restart it first."},
        {"masked", MT_BOOL, .doc = "Of systemd: whether the unit cannot be started at all."},
        {"force", MT_BOOL, .doc = "Of systemd: replace links in the way."},
        {"scope", MT_STR, .choices = "global|system|user", .doc = "Whose systemd."},
        {"no_block", MT_BOOL, .doc = "Of systemd: do not wait until it is done."},
        {NULL},
};

static const struct mod_arg sysvinit_args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "service", .doc = "The service."},
        {"state", MT_STR, .choices = "reloaded|restarted|started|stopped", .doc = "Whether it should run."},
        {"enabled", MT_BOOL, .doc = "Whether it should start at boot."},
        {"sleep", MT_INT, .dflt = "1", .doc = "Seconds between stop and start of a restart by script."},
        {"pattern", MT_STR, .doc = "Finds the process when the script cannot say."},
        {"arguments", MT_STR, .aliases = "args", .doc = "More words for the script."},
        {"runlevels", MT_LIST, .elem = MT_STR, .doc = "Ignored: those of the script are used."},
        {"daemonize", MT_BOOL, .dflt = "false", .doc = "Ignored: scripts do so themselves."},
        {NULL},
};

const struct module module_row_service = {
        .name = "service",
        .from = "ansible.builtin",
        .doc = "Services, whatever starts them.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};

const struct module module_row_sysvinit = {
        .name = "sysvinit",
        .from = "ansible.builtin",
        .doc = "Services started by scripts.",
        .args = sysvinit_args,
        .flags = MOD_CHECK,
        .required_one_of = "state|enabled",
        .run = run,
};
