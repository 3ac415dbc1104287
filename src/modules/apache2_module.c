#include "modules/argv.h"

struct a2mod {
	struct mod_ctx *m;
	const char *name, *identifier;
};

/* What "apache2ctl -M" calls a module that a2enmod calls NAME. */
static const char *identifier_of(struct arena *a, const char *name)
{
	static const char *const others[][2] = {{"shib", "mod_shib"}, {"evasive", "evasive20_module"}};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strstr(name, others[i][0]))
			return others[i][1];
	if (strncmp(name, "php", 3) == 0 && name[3] >= '0' && name[3] <= '9' && name[4] == '.')
		return arena_printf(a, "%.4s_module", name);
	return arena_printf(a, "%s_module", name);
}

static bool control(struct mod_ctx *m, const char *option, struct mod_out *out, const char **program)
{
	*program = mod_which(m, "apache2ctl");
	if (!*program)
		*program = mod_which(m, "apachectl");
	if (!*program)
		return mod_fail(m, "Neither of apache2ctl nor apachctl found. At least one apache control "
		                   "binary is necessary.");
	return mod_exec(m, out, *program, option, NULL);
}

static bool is_enabled(struct a2mod *x, bool *ret)
{
	struct mod_ctx *m = x->m;
	struct mod_out out;
	const char *program;
	*ret = false;
	if (!control(m, "-M", &out, &program))
		return false;
	if (out.rc == 0) {
		*ret = str_find(out.out, str_c(arena_printf(m->a, " %s", x->identifier)), 0) >= 0;
		return true;
	}
	if (!mod_bool(m, "ignore_configcheck"))
		return mod_fail(m, "Error executing %s: %.*s", program, STR_FMT(out.err));
	if (str_find(out.err, STR("AH00534"), 0) < 0 || !strstr(x->name, "mpm_"))
		mod_warn(m, "Error executing %s: %.*s", program, STR_FMT(out.err));
	else if (mod_bool(m, "warn_mpm_absent"))
		mod_warn(m, "No MPM module loaded! apache2 reload AND other module actions will fail if no "
		            "MPM module is "
		            "loaded immediately.");
	return true;
}

static bool set(struct a2mod *x, bool want)
{
	struct mod_ctx *m = x->m;
	struct argv c = {.m = m};
	struct mod_out out;
	const char *name = want ? "a2enmod" : "a2dismod", *program = mod_which(m, name);
	bool now;
	if (!program)
		return mod_fail(m, "%s not found. Perhaps this system does not use %s to manage apache", name,
		                name);
	argv_add(&c, program);
	if (!want && mod_bool(m, "force"))
		argv_add(&c, "-f");
	argv_add(&c, x->name);
	if (!argv_run(&c, &out) || !is_enabled(x, &now))
		return false;
	mod_changed(m);
	if (now == want)
		return true;
	mod_seti(m, "rc", out.rc);
	mod_setstr(m, "stdout", out.out);
	mod_setstr(m, "stderr", out.err);
	return mod_fail(m,
	                "Failed to set module %s to %s:\n%.*s\nMaybe the module identifier (%s) was guessed "
	                "incorrectly.Consider setting the \"identifier\" option.",
	                x->name, want ? "enabled" : "disabled", STR_FMT(out.out), x->identifier);
}

static bool run(struct mod_ctx *m)
{
	struct a2mod x = {.m = m, .name = mod_arg(m, "name"), .identifier = mod_arg(m, "identifier")};
	bool want = mod_is(m, "state", "present"), now;
	struct mod_out out;
	const char *program;
	if (strcmp(x.name, "cgi") == 0) {
		if (!control(m, "-V", &out, &program))
			return false;
		ptrdiff_t at = str_find(out.out, STR("threaded:"), 0);
		if (at >= 0 &&
		    str_starts(str_trim(str_from(out.out, (size_t)at + strlen("threaded:"))), "yes"))
			return mod_fail(m, "Your MPM seems to be threaded. No automatic actions on module "
			                   "cgi possible.");
	}
	if (!x.identifier || !*x.identifier)
		x.identifier = identifier_of(m->a, x.name);
	if (!is_enabled(&x, &now))
		return false;
	if (now != want) {
		if (m->check)
			mod_changed(m);
		else if (!set(&x, want))
			return false;
	}
	mod_setf(m, "result", "Module %s %s", x.name, want ? "enabled" : "disabled");
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The module, as a2enmod calls it."},
        {"identifier", MT_STR, .doc = "The same as apache2ctl -M shows it."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is enabled."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Disable what Debian counts as essential, too."},
        {"ignore_configcheck", MT_BOOL, .dflt = "false", .doc = "Go on when the configuration is wrong."},
        {"warn_mpm_absent", MT_BOOL, .dflt = "true", .doc = "Warn when no MPM is enabled."},
        {NULL},
};

const struct module module_row_apache2_module = {
        .name = "apache2_module",
        .from = "community.general",
        .doc = "Enables or disables a module of Apache.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
