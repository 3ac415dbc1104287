#include "modules/postgresql_client.h"

static bool look(struct psql *p, const char *schema, const char *name, const struct val **row)
{
	struct arena *a = p->m->a;
	return psql_row(
	        p,
	        arena_printf(
	                a,
	                "SELECT s.sequence_schema AS schema, s.sequence_name AS sequence, "
	                "pg_get_userbyid(c.relowner) AS owner, s.data_type, s.start_value AS start, "
	                "s.minimum_value AS minvalue, s.maximum_value AS maxvalue, s.increment, "
	                "s.cycle_option AS cycle FROM information_schema.sequences s JOIN pg_class c ON "
	                "c.relname = s.sequence_name JOIN pg_namespace n ON n.oid = c.relnamespace AND "
	                "n.nspname = s.sequence_schema WHERE c.relkind = 'S' AND s.sequence_name = %s AND "
	                "s.sequence_schema = %s",
	                psql_text(a, name), psql_text(a, schema)),
	        row);
}

static bool create(struct psql *p, const char *full)
{
	static const char *const parts[][2] = {{"data_type", "AS"},      {"increment", "INCREMENT BY"},
	                                       {"minvalue", "MINVALUE"}, {"maxvalue", "MAXVALUE"},
	                                       {"start", "START WITH"},  {"cache", "CACHE"}};
	struct mod_ctx *m = p->m;
	const char *sql = arena_printf(m->a, "CREATE SEQUENCE %s", full);
	if (mod_has(m, "rename_to"))
		return mod_fail(m, "Sequence '%s' does not exist, nothing to rename", mod_arg(m, "sequence"));
	if (mod_has(m, "newschema"))
		return mod_fail(m, "Sequence '%s' does not exist, change of schema not possible",
		                mod_arg(m, "sequence"));
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (mod_has(m, parts[i][0]) && !mod_is(m, parts[i][0], "0"))
			sql = arena_printf(m->a, "%s %s %s", sql, parts[i][1], mod_arg(m, parts[i][0]));
	psql_later(p, "%s%s", sql, mod_bool(m, "cycle") ? " CYCLE" : "");
	return true;
}

static bool plan(struct psql *p, const struct val *row, const char *full)
{
	struct mod_ctx *m = p->m;
	const char *owner = mod_arg(m, "owner"), *to = mod_arg(m, "rename_to"),
	           *schema = mod_arg(m, "newschema");
	if (mod_is(m, "state", "absent")) {
		if (row)
			psql_later(p, "DROP SEQUENCE %s%s", full, mod_bool(m, "cascade") ? " CASCADE" : "");
		return true;
	}
	if (!row && !create(p, full))
		return false;
	const char *creator =
	        mod_has(m, "session_role") ? mod_arg(m, "session_role") : mod_arg(m, "login_user");
	if (owner && strcmp(owner, row ? val_map_strz(row, "owner", "") : creator) != 0)
		psql_later(p, "ALTER SEQUENCE %s OWNER TO %s", full, psql_name(m->a, owner));
	if (schema && !mod_is(m, "schema", schema))
		psql_later(p, "ALTER SEQUENCE %s SET SCHEMA %s", full, psql_name(m->a, schema));
	if (to && !mod_is(m, "sequence", to))
		psql_later(p, "ALTER SEQUENCE %s RENAME TO %s", full, psql_name(m->a, to));
	return true;
}

/* What was moved or renamed is found where it went. */
static bool refresh(struct psql *p, const struct val **row)
{
	struct mod_ctx *m = p->m;
	const char *to = mod_arg(m, "rename_to"), *schema = mod_arg(m, "newschema");
	return look(p, schema ? schema : mod_arg(m, "schema"), to ? to : mod_arg(m, "sequence"), row);
}

static bool run(struct mod_ctx *m)
{
	struct psql p;
	const struct val *row;
	const char *name = mod_arg(m, "sequence"), *schema = mod_arg(m, "schema"),
	           *full = arena_printf(m->a, "%s.%s", psql_name(m->a, schema), psql_name(m->a, name));
	bool absent = mod_is(m, "state", "absent"),
	     moves = mod_has(m, "rename_to") || mod_has(m, "newschema");
	if (!psql_open(&p, m, mod_arg(m, "login_db")) || !look(&p, schema, name, &row))
		return false;
	/* Moved or renamed already? */
	const struct val *there = NULL;
	if (!row && moves && !absent && !refresh(&p, &there))
		return false;
	if (!there && (!plan(&p, row, full) || !psql_commit(&p)))
		return false;
	if (there)
		row = there;
	else if (!absent && !m->check && !refresh(&p, &row))
		return false;
	mod_sets(m, "sequence", name);
	mod_sets(m, "schema", schema);
	for (size_t i = 2; row && i < val_len(row); i++)
		val_setk(m->result, val_key_at(row, i), val_value_at(row, i));
	mod_sets(m, "state", mod_arg(m, "state"));
	mod_set(m, "queries", p.executed);
	if (mod_has(m, "rename_to") && !absent)
		mod_sets(m, "newname", mod_arg(m, "rename_to"));
	if (mod_has(m, "newschema") && !absent)
		mod_sets(m, "newschema", mod_arg(m, "newschema"));
	return true;
}

static const struct mod_arg args[] = {
        {"sequence", MT_STR, MA_REQUIRED, .aliases = "name", .doc = "The sequence."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"data_type", MT_STR, .choices = "bigint|integer|smallint", .doc = "Its type, when it is made."},
        {"increment", MT_INT, .doc = "Its step, when it is made."},
        {"minvalue", MT_INT, .aliases = "min", .doc = "Its least value, when it is made."},
        {"maxvalue", MT_INT, .aliases = "max", .doc = "Its greatest, when it is made."},
        {"start", MT_INT, .doc = "Its first, when it is made."},
        {"cache", MT_INT, .doc = "How many are taken at a time, when it is made."},
        {"cycle", MT_BOOL, .dflt = "false", .doc = "It begins again, when it is made."},
        {"schema", MT_STR, .dflt = "public", .doc = "The schema it is in."},
        {"cascade", MT_BOOL, .dflt = "false", .doc = "Remove what depends on it, too."},
        {"rename_to", MT_STR, .doc = "Another name for it."},
        {"owner", MT_STR, .doc = "The role that owns it."},
        {"newschema", MT_STR, .doc = "Another schema for it."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db|database", .doc = "The database it is in."},
        {NULL},
};

const struct module module_row_postgresql_sequence = {
        .name = "postgresql_sequence",
        .from = "community.postgresql",
        .doc = "Keeps a sequence of a PostgreSQL database.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "rename_to|data_type;rename_to|increment;rename_to|minvalue;rename_to|maxvalue;"
                              "rename_to|start;rename_to|cache;rename_to|owner;rename_to|newschema",
        .run = run,
};
