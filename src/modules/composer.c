#include <ctype.h>
#include "base/json.h"
#include "modules/argv.h"

/* TEXT in one line. */
static const char *flat(struct mod_ctx *m, struct str text)
{
	struct buf b = {0};
	text = str_trim(text);
	for (size_t i = 0; i < text.n; i++)
		if (!isspace((unsigned char)text.p[i]))
			buf_addc(&b, text.p[i]);
		else if (b.p[b.n - 1] != ' ')
			buf_addc(&b, ' ');
	const char *z = b.p ? arena_strndup(m->a, b.p, b.n) : "";
	buf_free(&b);
	return z;
}

static bool start(struct mod_ctx *m, struct argv *c)
{
	const char *php = mod_arg(m, "executable"), *composer = mod_arg(m, "composer_executable");
	*c = (struct argv){.m = m};
	if (!php && !(php = argv_need(m, "php")))
		return false;
	if (!composer && !(composer = argv_need(m, "composer")))
		return false;
	argv_add2(c, php, composer);
	return true;
}

/* What the command can be told, by itself. */
static bool known_options(struct mod_ctx *m, const char *command, struct val **ret)
{
	struct argv c;
	struct mod_out o;
	struct val *v = NULL;
	struct err e = {0};
	if (!start(m, &c))
		return false;
	argv_add2(&c, "help", command);
	argv_add2(&c, "--no-interaction", "--format=json");
	if (!argv_run(&c, &o))
		return false;
	if (o.rc != 0)
		return mod_fail(m, "%s", flat(m, o.err));
	if (!json_parse(m->a, str_trim(o.out), 0, &v, &e))
		return mod_fail_err(m, &e);
	v = val_is_map(v) ? val_get(v, "definition") : NULL;
	v = v && val_is_map(v) ? val_get(v, "options") : NULL;
	*ret = v && val_is_map(v) ? v : val_map(m->a);
	return true;
}

static void add_options(struct argv *c, const struct val *known)
{
	static const char *const always[] = {"no-ansi", "no-interaction", "no-progress"};
	static const char *const asked[][2] = {
	        {"prefer_source", "prefer-source"},
	        {"prefer_dist", "prefer-dist"},
	        {"no_dev", "no-dev"},
	        {"no_scripts", "no-scripts"},
	        {"no_plugins", "no-plugins"},
	        {"apcu_autoloader", "apcu-autoloader"},
	        {"optimize_autoloader", "optimize-autoloader"},
	        {"classmap_authoritative", "classmap-authoritative"},
	        {"ignore_platform_reqs", "ignore-platform-reqs"},
	};
	for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
		if (val_get(known, always[i]))
			argv_addf(c, "--%s", always[i]);
	if (!mod_bool(c->m, "global_command"))
		argv_add2(c, "--working-dir", mod_arg(c->m, "working_dir"));
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
		if (mod_bool(c->m, asked[i][0]) && val_get(known, asked[i][1]))
			argv_addf(c, "--%s", asked[i][1]);
}

static bool run(struct mod_ctx *m)
{
	static const char *const nothing[] = {"Nothing to install or update",
	                                      "Nothing to install, update or remove"};
	const char *command = mod_arg(m, "command");
	struct val *known = NULL;
	struct argv c;
	struct mod_out o;
	if (strpbrk(command, " \t\n"))
		return mod_fail(m, "Use the 'arguments' param for passing arguments with the 'command'");
	if (!mod_bool(m, "global_command") && !mod_has(m, "working_dir"))
		return mod_fail(m,
		                "global_command is False but all of the following are missing: working_dir");
	if (!known_options(m, command, &known) || !start(m, &c))
		return false;
	if (mod_bool(m, "global_command"))
		argv_add(&c, "global");
	argv_add(&c, command);
	add_options(&c, known);
	if (m->check && !val_get(known, "dry-run")) {
		mod_setb(m, "skipped", true);
		return mod_done(m, false, "command '%s' does not support check mode, skipping", command);
	}
	if (m->check)
		argv_add(&c, "--dry-run");
	if (!argv_add_text(&c, mod_arg(m, "arguments")) || !argv_run(&c, &o))
		return false;
	struct str all = str_c(arena_printf(m->a, "%.*s%.*s", STR_FMT(o.out), STR_FMT(o.err)));
	mod_setstr(m, "stdout", o.rc ? o.err : all);
	if (o.rc != 0)
		return mod_fail(m, "%s", flat(m, o.err));
	const char *msg = flat(m, all);
	bool changed = true;
	for (size_t i = 0; i < 2; i++)
		changed = changed && !strstr(msg, nothing[i]);
	return mod_done(m, changed, "%s", msg);
}

static const struct mod_arg args[] = {
        {"command", MT_STR, .dflt = "install", .doc = "What composer does."},
        {"arguments", MT_STR, .dflt = "", .doc = "Its arguments."},
        {"executable", MT_PATH, .aliases = "php_path", .doc = "PHP."},
        {"composer_executable", MT_PATH, .doc = "Composer."},
        {"working_dir", MT_PATH, .doc = "The project."},
        {"global_command", MT_BOOL, .dflt = "false", .doc = "Not of a project."},
        {"prefer_source", MT_BOOL, .dflt = "false", .doc = "Packages from their sources."},
        {"prefer_dist", MT_BOOL, .dflt = "false", .doc = "Packages from archives."},
        {"no_dev", MT_BOOL, .dflt = "true", .doc = "Without what only development needs."},
        {"no_scripts", MT_BOOL, .dflt = "false", .doc = "Without the scripts of packages."},
        {"no_plugins", MT_BOOL, .dflt = "false", .doc = "Without plugins."},
        {"apcu_autoloader", MT_BOOL, .dflt = "false", .doc = "APCu for what was found and not."},
        {"optimize_autoloader", MT_BOOL, .dflt = "true", .doc = "A class map."},
        {"classmap_authoritative", MT_BOOL, .dflt = "false", .doc = "Classes from the map only."},
        {"ignore_platform_reqs", MT_BOOL, .dflt = "false", .doc = "Whatever PHP there is."},
        {NULL},
};

const struct module module_row_composer = {
        .name = "composer",
        .from = "community.general",
        .doc = "Runs Composer, the package manager of PHP.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
