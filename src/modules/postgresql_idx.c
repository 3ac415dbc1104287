#include <strings.h>
#include "modules/postgresql_client.h"

static bool look(struct psql *p, const struct val **row)
{
	struct mod_ctx *m = p->m;
	return psql_row(
	        p,
	        arena_printf(
	                m->a,
	                "SELECT schemaname AS schema, tablename AS tblname, coalesce(tablespace, '') AS "
	                "tblspace, indisvalid AS valid, coalesce(reloptions, '{}') AS storage_params FROM "
	                "pg_indexes i JOIN pg_class c ON i.indexname = c.relname JOIN pg_index x ON c.oid "
	                "= x.indexrelid WHERE i.indexname = %s AND (%s OR i.schemaname = %s) ORDER BY "
	                "i.schemaname <> 'public' LIMIT 1",
	                psql_text(m->a, mod_arg(m, "idxname")), mod_has(m, "schema") ? "false" : "true",
	                psql_text(m->a, mod_has(m, "schema") ? mod_arg(m, "schema") : "")),
	        row);
}

static void say(struct mod_ctx *m, const struct val *row, bool present)
{
	struct val *none = val_map(m->a);
	val_set(none, "schema", val_strz(m->a, ""));
	val_set(none, "tblname", val_strz(m->a, ""));
	val_set(none, "tblspace", val_strz(m->a, ""));
	val_set(none, "valid", val_bool(true));
	val_set(none, "storage_params", val_list(m->a));
	const struct val *from = row ? row : none;
	mod_sets(m, "name", mod_arg(m, "idxname"));
	mod_sets(m, "state", present ? "present" : "absent");
	MAP_EACH (i, from)
		val_setk(m->result, val_key_at(from, i), val_value_at(from, i));
}

static bool check(struct mod_ctx *m)
{
	static const char *const types[] = {"BTREE", "HASH", "GIST", "SPGIST", "GIN", "BRIN"};
	const char *type = mod_arg(m, "idxtype");
	bool absent = mod_is(m, "state", "absent"), known = !type;
	if (mod_bool(m, "concurrent") && mod_bool(m, "cascade"))
		return mod_fail(m, "Concurrent mode and cascade parameters are mutually exclusive");
	if (mod_bool(m, "unique") && type && strcmp(type, "btree") != 0)
		return mod_fail(m, "Only btree currently supports unique indexes");
	if (!absent && !mod_has(m, "table"))
		return mod_fail(m, "Table must be specified");
	if (!absent && !val_len(mod_list(m, "columns")))
		return mod_fail(m, "At least one column must be specified");
	if (absent && (mod_has(m, "table") || mod_has(m, "columns") || mod_has(m, "cond") || type ||
	               mod_has(m, "tablespace")))
		return mod_fail(m,
		                "Index %s is going to be removed, so it does not make sense to pass a table "
		                "name, columns, "
		                "conditions, index type, or tablespace",
		                mod_arg(m, "idxname"));
	if (!absent && mod_bool(m, "cascade"))
		return mod_fail(m, "cascade parameter used only with state=absent");
	for (size_t i = 0; !known && i < sizeof(types) / sizeof(*types); i++)
		known = strcasecmp(type, types[i]) == 0;
	return known ||
	       mod_fail(m, "Index type '%s' of %s is not in valid types", type, mod_arg(m, "idxname"));
}

static const char *creation(struct mod_ctx *m)
{
	const char *name = psql_name(m->a, mod_arg(m, "idxname")),
	           *schema = psql_name(m->a, mod_has(m, "schema") ? mod_arg(m, "schema") : "public"),
	           *space = mod_arg(m, "tablespace"), *cond = mod_arg(m, "cond");
	const struct val *params = mod_list(m, "storage_params");
	const char *sql = arena_printf(
	        m->a, "CREATE%s INDEX%s %s ON %s.%s USING %s (%s)", mod_bool(m, "unique") ? " UNIQUE" : "",
	        mod_bool(m, "concurrent") ? " CONCURRENTLY" : "", name, schema,
	        psql_name(m->a, mod_arg(m, "table")), mod_has(m, "idxtype") ? mod_arg(m, "idxtype") : "BTREE",
	        psql_joined(m->a, mod_list(m, "columns")));
	if (val_len(params))
		sql = arena_printf(m->a, "%s WITH (%s)", sql, psql_joined(m->a, params));
	if (space)
		sql = arena_printf(m->a, "%s TABLESPACE %s", sql, psql_name(m->a, space));
	return cond ? arena_printf(m->a, "%s WHERE %s", sql, cond) : sql;
}

static bool run(struct mod_ctx *m)
{
	struct psql p;
	const struct val *row;
	const char *sql = NULL;
	if (!check(m) || !psql_open(&p, m, mod_arg(m, "login_db")) || !look(&p, &row))
		return false;
	if (mod_is(m, "state", "absent") && row)
		sql = arena_printf(
		        m->a, "DROP INDEX%s %s.%s%s", mod_bool(m, "concurrent") ? " CONCURRENTLY" : "",
		        psql_name(m->a, val_map_strz(row, "schema", "")),
		        psql_name(m->a, mod_arg(m, "idxname")), mod_bool(m, "cascade") ? " CASCADE" : "");
	else if (mod_is(m, "state", "present") && !row)
		sql = creation(m);
	const struct val *before = row;
	/* CONCURRENTLY is no part of a transaction. */
	if (sql && (!psql_do(&p, sql) || (!m->check && !look(&p, &row))))
		return false;
	say(m, row ? row : before, row != NULL);
	mod_sets(m, "query", sql && !m->check ? sql : "");
	if (row && !val_map_bool(row, "valid", true))
		mod_warn(m, "Index %s is invalid!", mod_arg(m, "idxname"));
	return true;
}

static const struct mod_arg args[] = {
        {"idxname", MT_STR, MA_REQUIRED, .aliases = "name", .doc = "The index."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"table", MT_STR, .doc = "The table it is for."},
        {"columns", MT_LIST, .aliases = "column", .doc = "Its columns or expressions."},
        {"cond", MT_STR, .doc = "For rows that fulfil this only."},
        {"unique", MT_BOOL, .dflt = "false", .doc = "Each value once."},
        {"idxtype", MT_STR, .aliases = "type", .doc = "btree, hash, gist, spgist, gin, brin."},
        {"concurrent", MT_BOOL, .dflt = "true", .doc = "Made or removed while the table is in use."},
        {"tablespace", MT_STR, .doc = "The tablespace it is in."},
        {"storage_params", MT_LIST, .doc = "Storage parameters, name=value."},
        {"cascade", MT_BOOL, .dflt = "false", .doc = "Remove what depends on it, too."},
        {"schema", MT_STR, .doc = "The schema it is in."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database it is in."},
        {NULL},
};

const struct module module_row_postgresql_idx = {
        .name = "postgresql_idx",
        .from = "community.postgresql",
        .doc = "Keeps an index of a PostgreSQL database.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
