#include "modules/postgresql_client.h"

static bool run(struct mod_ctx *m)
{
	struct psql p;
	const struct val *rows;
	struct arena *a = m->a;
	const char *schema = mod_arg(m, "schema"), *owner = mod_arg(m, "owner"), *sql = NULL;
	bool absent = mod_is(m, "state", "absent");
	if (!psql_open(&p, m, mod_arg(m, "database")) ||
	    !psql_rows(&p,
	               arena_printf(a,
	                            "SELECT pg_get_userbyid(nspowner) AS owner, obj_description(oid, "
	                            "'pg_namespace') AS comment FROM pg_namespace WHERE nspname = %s",
	                            psql_text(a, schema)),
	               &rows))
		return false;
	if (absent && val_len(rows))
		sql = arena_printf(a, "DROP SCHEMA %s%s", psql_name(a, schema),
		                   mod_bool(m, "cascade_drop") ? " CASCADE" : "");
	else if (!absent && !val_len(rows))
		sql = arena_printf(a, "CREATE SCHEMA %s%s%s", psql_name(a, schema),
		                   *owner ? " AUTHORIZATION " : "", *owner ? psql_name(a, owner) : "");
	else if (!absent && *owner && strcmp(owner, val_map_strz(val_at(rows, 0), "owner", "")) != 0)
		sql = arena_printf(a, "ALTER SCHEMA %s OWNER TO %s", psql_name(a, schema),
		                   psql_name(a, owner));
	p.refusal = "Database query failed: ";
	if ((sql && !psql_do(&p, sql)) ||
	    (!absent && !psql_comment(&p, "SCHEMA", psql_name(a, schema),
	                              val_len(rows) ? val_map_strz(val_at(rows, 0), "comment", NULL) : NULL)))
		return false;
	mod_sets(m, "schema", schema);
	if (!m->check)
		mod_set(m, "queries", p.executed);
	return true;
}

static const struct mod_arg args[] = {
        {"schema", MT_STR, MA_REQUIRED, .aliases = "name", .doc = "The schema."},
        {"database", MT_STR, .dflt = "postgres", .aliases = "db|login_db", .doc = "The database it is in."},
        {"owner", MT_STR, .dflt = "", .doc = "The role that owns it."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"comment", MT_STR, .doc = "A comment on it."},
        {"cascade_drop", MT_BOOL, .dflt = "false", .doc = "Remove what is in it, too."},
        {NULL},
};

const struct module module_row_postgresql_schema = {
        .name = "postgresql_schema",
        .from = "community.postgresql",
        .doc = "Keeps a schema of a database of PostgreSQL.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
