#include "modules/postgresql_client.h"

struct ext {
	struct mod_ctx *m;
	struct psql p;
	const char *name, *quoted;
	const char *now, *newest; /* versions: installed, and the one that comes by default; NULL: none */
	const char *comment;
	bool offered; /* the version asked for can be had, from the one installed if there is one */
};

static bool look(struct ext *e)
{
	struct arena *a = e->m->a;
	const struct val *rows;
	const char *name = psql_text(a, e->name),
	           *version = psql_text(a, mod_has(e->m, "version") ? mod_arg(e->m, "version") : "");
	if (!psql_rows(&e->p,
	               arena_printf(
	                       a,
	                       "SELECT (SELECT extversion FROM pg_extension WHERE extname = %s) AS now, "
	                       "(SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname "
	                       "= %s) AS comment, "
	                       "(SELECT default_version FROM pg_available_extensions WHERE name = %s) AS "
	                       "newest, "
	                       "CASE WHEN EXISTS (SELECT 1 FROM pg_extension WHERE extname = %s) THEN EXISTS "
	                       "(SELECT 1 FROM pg_extension x, pg_extension_update_paths(%s) u WHERE extname "
	                       "= %s "
	                       "AND source = extversion AND target = %s AND path IS NOT NULL) ELSE EXISTS "
	                       "(SELECT 1 "
	                       "FROM pg_available_extension_versions WHERE name = %s AND version = %s) END "
	                       "AS offered",
	                       name, name, name, name, name, name, version, name, version),
	               &rows))
		return false;
	e->now = val_map_strz(val_at(rows, 0), "now", NULL);
	e->comment = val_map_strz(val_at(rows, 0), "comment", NULL);
	e->newest = val_map_strz(val_at(rows, 0), "newest", NULL);
	e->offered = val_map_bool(val_at(rows, 0), "offered", false);
	return true;
}

static bool create(struct ext *e, const char *version)
{
	struct mod_ctx *m = e->m;
	const char *schema = mod_arg(m, "schema");
	return psql_do(&e->p,
	               arena_printf(m->a, "CREATE EXTENSION %s%s%s%s%s%s", e->quoted,
	                            schema ? " WITH SCHEMA " : "", schema ? psql_name(m->a, schema) : "",
	                            version ? " VERSION " : "", version ? psql_text(m->a, version) : "",
	                            mod_bool(m, "cascade") ? " CASCADE" : ""));
}

static bool make_present(struct ext *e)
{
	struct mod_ctx *m = e->m;
	const char *version = mod_arg(m, "version");
	bool latest = version && strcmp(version, "latest") == 0;
	const char *wanted = latest ? e->newest : version;
	if (!e->now && !e->newest && !version)
		return mod_fail(m, "Extension %s is not available", e->name);
	if (wanted && e->now && strcmp(wanted, e->now) == 0)
		return true;
	if (version && !latest && !e->offered)
		return e->now ? mod_fail(m,
		                         "Passed version '%s' has no valid update path from the currently "
		                         "installed "
		                         "version '%s' or the passed version is not available",
		                         version, e->now)
		              : mod_fail(m, "Passed version '%s' is not available", version);
	if (!e->now)
		return create(e, latest ? NULL : version);
	if (!wanted)
		return true;
	return psql_do(&e->p, latest ? arena_printf(m->a, "ALTER EXTENSION %s UPDATE", e->quoted)
	                             : arena_printf(m->a, "ALTER EXTENSION %s UPDATE TO %s", e->quoted,
	                                            psql_text(m->a, version)));
}

static bool run(struct mod_ctx *m)
{
	struct ext e = {.m = m, .name = mod_arg(m, "name")};
	const char *version = mod_arg(m, "version");
	if (version && !*version)
		return mod_fail(m, "Parameter `version` is empty");
	e.quoted = psql_name(m->a, e.name);
	if (!psql_open(&e.p, m, mod_arg(m, "login_db")) || !look(&e))
		return false;
	e.p.refusal = "Management of PostgreSQL extension failed: ";
	const char *before = e.now;
	bool ok = mod_is(m, "state", "present")
	                  ? make_present(&e) && psql_comment(&e.p, "EXTENSION", e.quoted, e.comment)
	          : !e.now ? true
	                   : psql_do(&e.p, arena_printf(m->a, "DROP EXTENSION %s%s", e.quoted,
	                                                mod_bool(m, "cascade") ? " CASCADE" : ""));
	mod_sets(m, "db", mod_arg(m, "login_db"));
	mod_sets(m, "ext", e.name);
	mod_set(m, "queries", m->check ? val_list(m->a) : e.p.executed);
	if (!ok || (!m->check && mod_is_changed(m) && !look(&e)))
		return false;
	mod_sets(m, "prev_version", before ? before : "");
	mod_sets(m, "version", e.now ? e.now : "");
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "ext", .doc = "The extension."},
        {"login_db", MT_STR, MA_REQUIRED, .aliases = "db", .doc = "The database."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"schema", MT_STR, .doc = "Where its objects go."},
        {"version", MT_STR, .doc = "Its version, or latest."},
        {"comment", MT_STR, .doc = "A comment on it."},
        {"cascade", MT_BOOL, .dflt = "false", .doc = "With what it needs, or what needs it."},
        {NULL},
};

const struct module module_row_postgresql_ext = {
        .name = "postgresql_ext",
        .from = "community.postgresql",
        .doc = "Keeps an extension in a PostgreSQL database.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
