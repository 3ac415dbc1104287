#include "modules/postgresql_client.h"

struct table {
	struct mod_ctx *m;
	struct psql p;
	const struct val *row;
};

static bool look(struct table *t, const char *name)
{
	struct arena *a = t->m->a;
	const char *full = strchr(name, '.') ? psql_dotted(a, name)
	                                     : arena_printf(a, "\"public\".%s", psql_dotted(a, name));
	return psql_row(
	        &t->p,
	        arena_printf(a,
	                     "SELECT pg_get_userbyid(relowner) AS owner, coalesce((SELECT spcname FROM "
	                     "pg_tablespace s WHERE s.oid = reltablespace), '') AS tablespace, "
	                     "coalesce(reloptions, '{}') AS storage_params FROM pg_class WHERE oid = "
	                     "to_regclass(%s) AND relkind IN ('r', 'p')",
	                     psql_text(a, full)),
	        &t->row);
}

static void create(struct table *t, const char *name)
{
	struct mod_ctx *m = t->m;
	const char *like = mod_arg(m, "like"), *space = mod_arg(m, "tablespace");
	struct str including = mod_args(m, "including");
	const struct val *params = mod_list(m, "storage_params");
	struct buf b = {0};
	buf_printf(&b, "CREATE%s TABLE %s (", mod_bool(m, "unlogged") ? " UNLOGGED" : "", name);
	if (like)
		buf_printf(&b, "LIKE %s", psql_dotted(m->a, like));
	else
		buf_adds(&b, psql_joined(m->a, mod_list(m, "columns")));
	while (including.p) {
		struct str part = str_trim(str_split(&including, ','));
		buf_printf(&b, " INCLUDING %.*s", STR_FMT(part));
	}
	buf_addc(&b, ')');
	if (val_len(params))
		buf_printf(&b, " WITH (%s)", psql_joined(m->a, params));
	if (space)
		buf_printf(&b, " TABLESPACE %s", psql_name(m->a, space));
	psql_later(&t->p, "%s", b.p);
	buf_free(&b);
	if (mod_has(m, "owner"))
		psql_later(&t->p, "ALTER TABLE %s OWNER TO %s", name, psql_name(m->a, mod_arg(m, "owner")));
}

static void compare(struct table *t, const char *name)
{
	struct mod_ctx *m = t->m;
	const char *space = mod_arg(m, "tablespace"), *owner = mod_arg(m, "owner"),
	           *in = val_map_strz(t->row, "tablespace", "");
	const struct val *wanted = mod_list(m, "storage_params"), *now = val_get(t->row, "storage_params");
	bool missing = false;
	if (space && strcmp(space, in) != 0 && !(strcmp(space, "pg_default") == 0 && !*in))
		psql_later(&t->p, "ALTER TABLE %s SET TABLESPACE %s", name, psql_name(m->a, space));
	if (owner && strcmp(owner, val_map_strz(t->row, "owner", "")) != 0)
		psql_later(&t->p, "ALTER TABLE %s OWNER TO %s", name, psql_name(m->a, owner));
	VAL_EACH (i, wanted) {
		bool found = false;
		struct val *one = val_str(m->a, str_trim(val_get_str(val_at(wanted, i))));
		VAL_EACH (k, now)
			found = found || val_equal(val_at(now, k), one);
		missing = missing || !found;
	}
	if (missing)
		psql_later(&t->p, "ALTER TABLE %s SET (%s)", name, psql_joined(m->a, wanted));
}

static bool plan(struct table *t)
{
	struct mod_ctx *m = t->m;
	const char *table = mod_arg(m, "table"), *name = psql_dotted(m->a, table), *to = mod_arg(m, "rename");
	if (mod_is(m, "state", "absent")) {
		if (t->row)
			psql_later(&t->p, "DROP TABLE %s%s", name, mod_bool(m, "cascade") ? " CASCADE" : "");
	} else if (mod_bool(m, "truncate"))
		psql_later(&t->p, "TRUNCATE TABLE %s", name);
	else if (to) {
		const struct val *had = t->row;
		/* Done already, when only the new one is there. */
		if (!had && !look(t, to))
			return false;
		if (had || !t->row)
			psql_later(&t->p, "ALTER TABLE %s RENAME TO %s", name, psql_dotted(m->a, to));
	} else if (t->row)
		compare(t, name);
	else
		create(t, name);
	return true;
}

static bool any(const struct mod_ctx *m, const char *const *names)
{
	for (; *names; names++)
		if (mod_has(m, *names) && (mod_arg(m, *names)[0] && !mod_is(m, *names, "False")))
			return true;
	return false;
}

static bool check(struct mod_ctx *m)
{
	static const char *const absent[] = {"truncate",       "rename",   "columns", "tablespace", "like",
	                                     "storage_params", "unlogged", "owner",   "including",  NULL},
	                         *const others[] = {"columns",        "like",  "unlogged",   "including",
	                                            "storage_params", "owner", "tablespace", NULL};
	const char *table = mod_arg(m, "table");
	if (mod_is(m, "state", "absent") && any(m, absent))
		return mod_fail(
		        m,
		        "%s: state=absent is mutually exclusive with: truncate, rename, columns, tablespace, "
		        "including, like, storage_params, unlogged, owner",
		        table);
	if (mod_bool(m, "truncate") && (any(m, others) || mod_has(m, "rename")))
		return mod_fail(m,
		                "%s: truncate is mutually exclusive with: rename, columns, like, unlogged, "
		                "including, "
		                "storage_params, owner, tablespace",
		                table);
	if (mod_has(m, "rename") && any(m, others))
		return mod_fail(m,
		                "%s: rename is mutually exclusive with: columns, like, unlogged, including, "
		                "storage_params, owner, tablespace",
		                table);
	if (mod_has(m, "like") && mod_has(m, "columns"))
		return mod_fail(m, "%s: like and columns params are mutually exclusive", table);
	if (mod_has(m, "including") && !mod_has(m, "like"))
		return mod_fail(m, "%s: including param needs like param specified", table);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct table t = {.m = m};
	const char *table = mod_arg(m, "table"), *to = mod_arg(m, "rename");
	if (!check(m))
		return false;
	if (mod_is(m, "state", "present") && mod_bool(m, "cascade"))
		mod_warn(m, "cascade=true is ignored when state=present");
	if (!psql_open(&t.p, m, mod_arg(m, "login_db")) || !look(&t, table))
		return false;
	const struct val *row = t.row;
	if (!plan(&t) || !psql_commit(&t.p) || (!m->check && !look(&t, to ? to : table)))
		return false;
	if (t.row)
		row = t.row;
	mod_sets(m, "table", table);
	mod_sets(m, "state", t.row ? "present" : mod_is_changed(m) ? "absent" : "");
	for (size_t i = 0; row && i < val_len(row); i++)
		val_setk(m->result, val_key_at(row, i), val_value_at(row, i));
	mod_set(m, "queries", t.p.executed);
	return true;
}

static const struct mod_arg args[] = {
        {"table", MT_STR, MA_REQUIRED, .aliases = "name", .doc = "The table, with or without its schema."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"columns", MT_LIST, .doc = "Its columns, when it is made: name, type, constraints."},
        {"like", MT_STR, .doc = "It is made like this one."},
        {"including", MT_STR, .doc = "With what of that: INDEXES, DEFAULTS ..."},
        {"unlogged", MT_BOOL, .dflt = "false", .doc = "Made without a log, lost after a crash."},
        {"owner", MT_STR, .doc = "The role that owns it."},
        {"tablespace", MT_STR, .doc = "The tablespace it is in."},
        {"storage_params", MT_LIST, .doc = "Storage parameters, name=value."},
        {"rename", MT_STR, .doc = "Another name for it."},
        {"truncate", MT_BOOL, .dflt = "false", .doc = "Empty it."},
        {"cascade", MT_BOOL, .dflt = "false", .doc = "Remove what depends on it, too."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database it is in."},
        {NULL},
};

const struct module module_row_postgresql_table = {
        .name = "postgresql_table",
        .from = "community.postgresql",
        .doc = "Keeps a table of a PostgreSQL database.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
