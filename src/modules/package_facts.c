#include "modules/argv.h"
#include "modules/dpkg.h"

static void add(struct mod_ctx *m, struct val *packages, struct val *p)
{
	struct str name = val_map_str(p, "name", "");
	struct val *list = val_gets(packages, name);
	if (!list) {
		list = val_list(m->a);
		val_sets(packages, name, list);
	}
	val_push(list, p);
}

/* What "apt-cache policy NAMES" prints; empty when it cannot. */
static struct str policy(struct mod_ctx *m, const struct dpkg_db *db)
{
	struct argv c = {.m = m};
	struct mod_out out;
	argv_add2(&c, "apt-cache", "policy");
	for (size_t i = 0; db && i < db->n; i++)
		if (db->pkgs[i].installed)
			argv_addf(&c, "%.*s:%.*s", STR_FMT(db->pkgs[i].name), STR_FMT(db->pkgs[i].arch));
	return mod_which(m, "apt-cache") && argv_run(&c, &out) && out.rc == 0 ? out.out : (struct str){0};
}

/* The word behind the number at the start of LINE, to its end: an archive's index file. */
static struct str index_of(struct str line)
{
	line = str_trim(line);
	str_split(&line, ' ');
	return str_trim(line);
}

/* {index file: the o= of its release}. */
static struct val *origins(struct mod_ctx *m)
{
	struct str text = policy(m, NULL), index = {0};
	struct val *map = val_map(m->a);
	while (text.n) {
		struct str line = str_trim(str_split(&text, '\n')), fields;
		if (!str_starts(line, "release ")) {
			index = index_of(line);
			continue;
		}
		for (fields = str_from(line, 8); fields.n;) {
			struct str field = str_split(&fields, ',');
			if (str_starts(field, "o="))
				val_sets(map, index, val_str(m->a, str_from(field, 2)));
		}
	}
	return map;
}

/* {package: where the installed version came from}: the first index below its line in the table of versions.
 */
static struct val *sources(struct mod_ctx *m, const struct dpkg_db *db)
{
	struct str text = policy(m, db), name = {0};
	struct val *map = val_map(m->a), *known = origins(m);
	bool here = false;
	while (text.n) {
		struct str line = str_split(&text, '\n');
		if (line.n && line.p[0] != ' ')
			name = str_n(line.p, line.n - 1);
		else if (here && name.n)
			val_sets(map, name, val_gets(known, index_of(line)));
		here = str_starts(line, " ***");
	}
	return map;
}

static bool from_apt(struct mod_ctx *m, struct val *packages, bool *found)
{
	struct dpkg_db db;
	if (!dpkg_load(m, &db))
		return false;
	*found = db.n > 0;
	const struct val *origin = *found ? sources(m, &db) : NULL;
	for (size_t i = 0; i < db.n; i++) {
		const struct dpkg_pkg *pkg = &db.pkgs[i];
		if (!pkg->installed)
			continue;
		struct val *p = val_map(m->a);
		val_set(p, "name", val_str(m->a, pkg->name));
		val_set(p, "version", val_str(m->a, pkg->version));
		val_set(p, "arch", val_str(m->a, pkg->arch));
		val_set(p, "category", val_str(m->a, pkg->section));
		val_set(p, "origin",
		        val_str(m->a,
		                val_map_str(origin, arena_strndup(m->a, pkg->name.p, pkg->name.n), "")));
		val_set(p, "source", val_strz(m->a, "apt"));
		add(m, packages, p);
	}
	return true;
}

static bool from_rpm(struct mod_ctx *m, struct val *packages, bool *found)
{
	const char *rpm = mod_which(m, "rpm");
	struct mod_out out;
	*found = rpm && fs_exists("/var/lib/rpm");
	if (!*found)
		return true;
	if (!mod_exec(m, &out, rpm, "-qa", "--queryformat",
	              "%{NAME}\t%{VERSION}\t%{RELEASE}\t%{EPOCH}\t%{ARCH}\n", NULL))
		return false;
	if (out.rc != 0)
		return mod_fail(m, "rpm -qa failed: %.*s", STR_FMT(str_trim(out.err)));
	while (out.out.n) {
		struct str line = str_split(&out.out, '\n');
		static const char *const keys[] = {"name", "version", "release", "epoch", "arch"};
		struct val *p = val_map(m->a);
		for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
			struct str field = str_split(&line, '\t');
			int64_t n;
			if (!str_eqc(str_c(keys[i]), "epoch"))
				val_set(p, keys[i], val_str(m->a, field));
			else
				val_set(p, keys[i], str_int(field, &n) ? val_int(m->a, n) : val_null());
		}
		val_set(p, "source", val_strz(m->a, "rpm"));
		add(m, packages, p);
	}
	return true;
}

static const struct {
	const char *name;
	bool (*get)(struct mod_ctx *m, struct val *packages, bool *found);
} managers[] = {{"apt", from_apt}, {"rpm", from_rpm}};

static bool is_wanted(const struct mod_ctx *m, const char *name)
{
	const struct val *list = mod_list(m, "manager");
	VAL_EACH (i, list) {
		struct str s = val_text(val_at(list, i), m->a);
		if (str_eqc(s, "auto") || str_eqc(s, name) ||
		    (strcmp(name, "rpm") == 0 && (str_eqc(s, "dnf") || str_eqc(s, "yum"))))
			return true;
	}
	return false;
}

static bool run(struct mod_ctx *m)
{
	struct val *facts = val_map(m->a), *packages = val_map(m->a);
	bool any = false;
	for (size_t i = 0; i < sizeof(managers) / sizeof(*managers); i++) {
		bool found = false;
		if (!is_wanted(m, managers[i].name) || (any && mod_is(m, "strategy", "first")))
			continue;
		if (!managers[i].get(m, packages, &found))
			return false;
		any = any || found;
	}
	if (!any)
		return mod_fail(m, "Could not detect a supported package manager from the following list: %s",
		                val_get_strz(val_str(m->a, val_text(mod_list(m, "manager"), m->a))));
	val_set(facts, "packages", packages);
	mod_facts(m, facts);
	return true;
}

static const struct mod_arg args[] = {
        {"manager", MT_LIST, .dflt = "auto", .doc = "Whose packages: apt, rpm, or auto for what is there."},
        {"strategy", MT_STR, .dflt = "first", .choices = "first|all",
         .doc = "Ask the first manager that is there, or all."},
        {NULL},
};

const struct module module_row_package_facts = {
        .name = "package_facts",
        .from = "ansible.builtin",
        .doc = "Gives the installed packages as facts.",
        .args = args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        .run = run,
};
