#include "base/json.h"
#include "modules/argv.h"

struct npm {
	struct mod_ctx *m;
	const char *what; /* name@version, name, or NULL */
};

static bool call(struct npm *n, const char *const *words, bool named, struct mod_out *out)
{
	struct mod_ctx *m = n->m;
	struct argv c = {.m = m, .cwd = mod_arg(m, "path")};
	bool installs = strcmp(words[0], "install") == 0 || strcmp(words[0], "update") == 0 ||
	                strcmp(words[0], "ci") == 0;
	if (mod_has(m, "executable")) {
		if (!argv_add_text(&c, mod_arg(m, "executable")))
			return false;
	} else {
		const char *program = argv_need(m, "npm");
		if (!program)
			return false;
		argv_add(&c, program);
	}
	argv_add_all(&c, words);
	if (mod_bool(m, "global"))
		argv_add(&c, "--global");
	if (mod_bool(m, "production") && installs)
		argv_add(&c, "--production");
	if (mod_bool(m, "ignore_scripts"))
		argv_add(&c, "--ignore-scripts");
	if (mod_bool(m, "unsafe_perm"))
		argv_add(&c, "--unsafe-perm");
	if (mod_bool(m, "force"))
		argv_add(&c, "--force");
	if (n->what && named)
		argv_add(&c, n->what);
	if (mod_has(m, "registry"))
		argv_add2(&c, "--registry", mod_arg(m, "registry"));
	if (mod_bool(m, "no_optional"))
		argv_add(&c, "--no-optional");
	if (mod_bool(m, "no_bin_links"))
		argv_add(&c, "--no-bin-links");
	return named ? argv_must(&c, out) : argv_run(&c, out);
}

static bool act(struct npm *n, const char *verb)
{
	struct mod_out out;
	mod_changed(n->m);
	return n->m->check || call(n, (const char *const[]){verb, NULL}, true, &out);
}

static bool flagged(const struct val *dep, const char *flag)
{
	const struct val *v = val_is_map(dep) ? val_get(dep, flag) : NULL;
	return v && val_truthy(v);
}

/* Whether what the task wants is there (*THERE), and whether something of the project is not (*MISSING). */
static bool list(struct npm *n, bool *there, bool *missing)
{
	struct mod_ctx *m = n->m;
	struct mod_out out;
	struct val *data = NULL;
	struct err err = {0};
	const char *name = mod_arg(m, "name");
	if (!call(n, (const char *const[]){"list", "--json", "--long", NULL}, false, &out))
		return false;
	struct str text = str_trim(out.out);
	if (!json_parse(m->a, text.n ? text : STR("{}"), 0, &data, &err)) {
		mod_fail(m, "Failed to parse NPM output with error %s", err_msg(&err));
		err_clear(&err);
		return false;
	}
	const struct val *deps = val_is_map(data) ? val_get(data, "dependencies") : NULL;
	bool exact = !n->what;
	*there = false;
	*missing = !deps;
	for (size_t i = 0; deps && i < val_len(deps); i++) {
		const char *key = val_get_strz(val_key_at(deps, i));
		const struct val *dep = val_value_at(deps, i);
		if (flagged(dep, "missing") || flagged(dep, "invalid")) {
			*missing = true;
			continue;
		}
		*there = *there || (name && strcmp(key, name) == 0);
		exact = exact || strcmp(key, n->what) == 0 ||
		        strcmp(arena_printf(m->a, "%s@%s", key,
		                            val_is_map(dep) ? val_map_strz(dep, "version", "") : ""),
		               n->what) == 0;
	}
	*missing = *missing || !exact;
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct npm n = {.m = m, .what = mod_arg(m, "name")};
	struct mod_out out;
	struct err err = {0};
	bool there, missing, absent = mod_is(m, "state", "absent");
	if (!mod_has(m, "path") && !mod_bool(m, "global"))
		return mod_fail(m, "path must be specified when not using global");
	if (absent && !n.what)
		return mod_fail(m, "uninstalling a package is only available for named packages");
	if (n.what && mod_has(m, "version") && !absent)
		n.what = arena_printf(m->a, "%s@%s", n.what, mod_arg(m, "version"));
	if (mod_has(m, "path") && !fs_mkdirs(mod_arg(m, "path"), 0777, &err))
		return mod_fail_err(m, &err);
	if (mod_bool(m, "ci"))
		return act(&n, "ci");
	if (!list(&n, &there, &missing))
		return false;
	if (absent)
		return !there || act(&n, "uninstall");
	if (mod_is(m, "state", "latest")) {
		if (!call(&n, (const char *const[]){"outdated", NULL}, false, &out))
			return false;
		return (!missing || act(&n, "install")) && (!str_trim(out.out).n || act(&n, "update"));
	}
	return !missing || act(&n, "install");
}

static const struct mod_arg args[] = {
        {"name", MT_STR, .doc = "The package; without, those of package.json."},
        {"path", MT_PATH, .doc = "The directory of the project."},
        {"version", MT_STR, .doc = "The version to install."},
        {"global", MT_BOOL, .dflt = "false", .doc = "Install for the whole system."},
        {"executable", MT_PATH, .doc = "The npm to use."},
        {"state", MT_STR, .dflt = "present", .choices = "present|absent|latest",
         .doc = "Whether it is there."},
        {"production", MT_BOOL, .dflt = "false", .doc = "Leave out what only development needs."},
        {"registry", MT_STR, .doc = "Where packages come from."},
        {"ignore_scripts", MT_BOOL, .dflt = "false", .doc = "Run no scripts of packages."},
        {"unsafe_perm", MT_BOOL, .dflt = "false", .doc = "Run scripts as root."},
        {"ci", MT_BOOL, .dflt = "false", .doc = "Install exactly what the lock file says."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Go on where npm would stop."},
        {"no_optional", MT_BOOL, .dflt = "false", .doc = "Leave out optional packages."},
        {"no_bin_links", MT_BOOL, .dflt = "false", .doc = "Make no links of programs."},
        {NULL},
};

const struct module module_row_npm = {
        .name = "npm",
        .from = "community.general",
        .doc = "Installs packages of Node.js.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
