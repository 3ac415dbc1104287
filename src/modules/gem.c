#include <stdlib.h>
#include "modules/argv.h"

struct gem {
	struct mod_ctx *m;
	const char *version; /* wanted; NULL: any */
	int have;            /* of gem itself: 20502 is 2.5.2 */
};

static bool start(struct gem *g, struct argv *c)
{
	struct mod_ctx *m = g->m;
	*c = (struct argv){.m = m};
	if (mod_has(m, "install_dir")) {
		const char **env = arena_array(m->a, 2, sizeof(*env));
		env[0] = arena_printf(m->a, "GEM_HOME=%s", mod_arg(m, "install_dir"));
		env[1] = NULL;
		c->env = env;
	}
	if (mod_has(m, "executable"))
		return argv_add_text(c, mod_arg(m, "executable"));
	const char *program = argv_need(m, "gem");
	if (program)
		argv_add(c, program);
	return program != NULL;
}

static bool learn_version(struct gem *g)
{
	struct argv c;
	struct mod_out out;
	if (!start(g, &c))
		return false;
	argv_add(&c, "--version");
	if (!argv_must(&c, &out))
		return false;
	char *p = arena_strndup(g->m->a, out.out.p ? out.out.p : "", out.out.n);
	for (size_t i = 0; i < 3; i++) {
		g->have = g->have * 100 + (int)strtol(p, &p, 10);
		p += *p == '.';
	}
	return true;
}

static void add_common(struct gem *g, struct argv *c)
{
	if (mod_bool(g->m, "norc") && g->have >= 20502)
		argv_add(c, "--norc");
}

/* "name (1.2.3, default: 1.0.0 ruby)": the versions between the parentheses. */
static struct val *versions_of(struct gem *g, struct str text)
{
	struct val *list = val_list(g->m->a);
	while (text.n) {
		struct str line = str_trim(str_split(&text, '\n'));
		ptrdiff_t open = str_find(line, STR("("), 0);
		if (open < 1 || !str_ends(line, ")"))
			continue;
		struct str all = str_n(line.p + open + 1, line.n - (size_t)open - 2);
		while (all.p) {
			struct str one = str_trim(str_split(&all, ','));
			if (str_starts(one, "default: "))
				one = str_from(one, strlen("default: "));
			val_push(list, val_str(g->m->a, str_split(&one, ' ')));
		}
	}
	return list;
}

static bool query(struct gem *g, bool remote, struct val **versions)
{
	struct argv c;
	struct mod_out out;
	if (!start(g, &c))
		return false;
	argv_add(&c, "query");
	add_common(g, &c);
	if (remote) {
		argv_add(&c, "--remote");
		argv_add_arg(&c, "--source", "repository");
	}
	argv_add2(&c, "-n", arena_printf(g->m->a, "^%s$", mod_arg(g->m, "name")));
	if (!argv_must(&c, &out))
		return false;
	*versions = versions_of(g, out.out);
	return true;
}

static bool is_there(struct gem *g, bool *ret)
{
	struct val *list;
	if (mod_is(g->m, "state", "latest")) {
		if (!query(g, true, &list))
			return false;
		if (val_len(list))
			g->version = val_get_strz(val_at(list, 0));
	}
	if (!query(g, false, &list))
		return false;
	*ret = !g->version && val_len(list);
	VAL_EACH (i, list)
		*ret = *ret || (g->version && strcmp(val_get_strz(val_at(list, i)), g->version) == 0);
	return true;
}

static bool install(struct gem *g)
{
	struct mod_ctx *m = g->m;
	struct argv c;
	struct mod_out out;
	if (!start(g, &c))
		return false;
	argv_add(&c, "install");
	add_common(g, &c);
	if (g->version)
		argv_add2(&c, "--version", g->version);
	argv_add_arg(&c, "--source", "repository");
	if (!mod_bool(m, "include_dependencies"))
		argv_add(&c, "--ignore-dependencies");
	argv_add(&c, mod_bool(m, "user_install") ? "--user-install" : "--no-user-install");
	argv_add_arg(&c, "--install-dir", "install_dir");
	argv_add_arg(&c, "--bindir", "bindir");
	if (mod_bool(m, "pre_release"))
		argv_add(&c, "--pre");
	if (!mod_bool(m, "include_doc"))
		argv_add(&c, "--no-document");
	if (mod_bool(m, "env_shebang"))
		argv_add(&c, "--env-shebang");
	argv_add(&c, mod_arg(m, mod_has(m, "gem_source") ? "gem_source" : "name"));
	argv_add_arg(&c, "--", "build_flags");
	if (mod_bool(m, "force"))
		argv_add(&c, "--force");
	c.env = NULL;
	return argv_must(&c, &out);
}

static bool uninstall(struct gem *g)
{
	struct mod_ctx *m = g->m;
	struct argv c;
	struct mod_out out;
	if (!start(g, &c))
		return false;
	argv_add(&c, "uninstall");
	add_common(g, &c);
	argv_add_arg(&c, "--install-dir", "install_dir");
	argv_add_arg(&c, "--bindir", "bindir");
	if (g->version)
		argv_add2(&c, "--version", g->version);
	else
		argv_add(&c, "--all");
	argv_add(&c, "--executable");
	if (mod_bool(m, "force"))
		argv_add(&c, "--force");
	argv_add(&c, mod_arg(m, "name"));
	return argv_must(&c, &out);
}

static bool run(struct mod_ctx *m)
{
	struct gem g = {.m = m, .version = mod_arg(m, "version")};
	bool latest = mod_is(m, "state", "latest"), absent = mod_is(m, "state", "absent"), there;
	if (g.version && latest)
		return mod_fail(m, "Cannot specify version when state=latest");
	if (mod_has(m, "gem_source") && latest)
		return mod_fail(m, "Cannot maintain state=latest when installing from local source");
	if (mod_bool(m, "user_install") && mod_has(m, "install_dir"))
		return mod_fail(m, "install_dir requires user_install=false");
	if (!learn_version(&g) || !is_there(&g, &there))
		return false;
	if (there == absent) {
		mod_changed(m);
		if (!m->check && !(absent ? uninstall(&g) : install(&g)))
			return false;
	}
	mod_sets(m, "name", mod_arg(m, "name"));
	mod_sets(m, "state", mod_arg(m, "state"));
	if (g.version)
		mod_sets(m, "version", g.version);
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The gem."},
        {"state", MT_STR, .dflt = "present", .choices = "present|absent|latest",
         .doc = "Whether it is there."},
        {"version", MT_STR, .doc = "Its version."},
        {"gem_source", MT_PATH, .doc = "A file to install it from."},
        {"repository", MT_STR, .aliases = "source", .doc = "Where gems come from."},
        {"executable", MT_PATH, .doc = "The gem program to use."},
        {"include_dependencies", MT_BOOL, .dflt = "true", .doc = "Install what it needs, too."},
        {"user_install", MT_BOOL, .dflt = "true", .doc = "Install for the user alone."},
        {"install_dir", MT_PATH, .doc = "The directory to install to."},
        {"bindir", MT_PATH, .doc = "The directory for its programs."},
        {"norc", MT_BOOL, .dflt = "true", .doc = "Read no .gemrc."},
        {"pre_release", MT_BOOL, .dflt = "false", .doc = "Versions before a release, too."},
        {"include_doc", MT_BOOL, .dflt = "false", .doc = "Install its documentation."},
        {"env_shebang", MT_BOOL, .dflt = "false", .doc = "Let its programs start by env."},
        {"build_flags", MT_STR, .doc = "Words for its compiler."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Go on where gem would stop."},
        {NULL},
};

const struct module module_row_gem = {
        .name = "gem",
        .from = "community.general",
        .doc = "Installs gems of Ruby.",
        .args = args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "gem_source|repository;gem_source|version",
        .run = run,
};
