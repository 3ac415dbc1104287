#include "modules/postgresql_client.h"

struct publication {
	struct mod_ctx *m;
	struct psql p;
	const struct val *row;
	struct val *tables;        /* as wanted: "schema"."table" */
	const struct val *schemas; /* whole ones that are published; looked for only where some are wanted */
};

static bool look(struct publication *s)
{
	struct arena *a = s->m->a;
	const char *name = psql_text(a, mod_arg(s->m, "name"));
	const struct val *row;
	if (mod_has(s->m, "tables_in_schema")) {
		if (!psql_row(
		            &s->p,
		            arena_printf(a,
		                         "SELECT ARRAY(SELECT nspname FROM pg_publication_namespace JOIN "
		                         "pg_namespace n ON n.oid = pnnspid JOIN pg_publication p ON p.oid = "
		                         "pnpubid WHERE pubname = %s ORDER BY 1) AS schemas",
		                         name),
		            &row))
			return false;
		s->schemas = val_get(row, "schemas");
	}
	return psql_row(
	        &s->p,
	        arena_printf(
	                a,
	                "SELECT pg_get_userbyid(pubowner) AS owner, puballtables AS alltables, "
	                "json_build_object('insert', pubinsert, 'update', pubupdate, 'delete', pubdelete, "
	                "'truncate', pubtruncate) AS publish, ARRAY(SELECT '\"' || schemaname || '\".\"' "
	                "|| tablename || '\"' FROM pg_publication_tables t WHERE t.pubname = p.pubname AND "
	                "NOT puballtables ORDER BY 1) AS tables, obj_description(oid, 'pg_publication') "
	                "AS comment FROM pg_publication p WHERE pubname = %s",
	                name),
	        &s->row);
}

static bool holds(const struct val *list, const struct val *v)
{
	VAL_EACH (i, list)
		if (val_equal(val_at(list, i), v))
			return true;
	return false;
}

static void take_tables(struct publication *s)
{
	struct arena *a = s->m->a;
	const struct val *given = mod_list(s->m, "tables");
	s->tables = val_list(a);
	VAL_EACH (i, given) {
		struct str t = str_trim(val_get_str(val_at(given, i)));
		const char *z = arena_strndup(a, t.p, t.n), *full = psql_dotted(a, z);
		val_push(s->tables,
		         val_strz(a, strchr(z, '.') ? full : arena_printf(a, "\"public\".%s", full)));
	}
}

static void create(struct publication *s, const char *name)
{
	struct mod_ctx *m = s->m;
	const struct val *params = val_get(m->args, "parameters");
	struct buf b = {0};
	buf_printf(&b, "CREATE PUBLICATION %s FOR ", name);
	const struct val *schemas = mod_list(m, "tables_in_schema");
	if (!val_len(s->tables) && !val_len(schemas))
		buf_adds(&b, "ALL TABLES");
	VAL_EACH (i, schemas)
		buf_printf(&b, "%s%s", i ? ", " : "TABLES IN SCHEMA ",
		           psql_name(m->a, val_get_strz(val_at(schemas, i))));
	VAL_EACH (i, s->tables)
		buf_printf(&b, "%s%s", i ? ", " : "TABLE ", val_get_strz(val_at(s->tables, i)));
	for (size_t i = 0; params && i < val_len(params); i++) {
		struct str v = val_text(val_value_at(params, i), m->a);
		buf_printf(&b, "%s%s = %s", i ? ", " : " WITH (",
		           psql_option(m->a, val_get_strz(val_key_at(params, i))),
		           psql_text(m->a, arena_strndup(m->a, v.p, v.n)));
	}
	if (params && val_len(params))
		buf_addc(&b, ')');
	psql_later(&s->p, "%s", b.p);
	buf_free(&b);
	if (mod_has(m, "owner"))
		psql_later(&s->p, "ALTER PUBLICATION %s OWNER TO %s", name,
		           psql_name(m->a, mod_arg(m, "owner")));
}

/* Whether "insert, update" says what is published now. */
static bool same_publish(const struct val *now, struct str wanted)
{
	MAP_EACH (i, now) {
		struct str rest = wanted;
		bool on = false;
		while (rest.p)
			on = str_eq(str_trim(str_split(&rest, ',')), val_get_str(val_key_at(now, i))) || on;
		if (on != val_truthy(val_value_at(now, i)))
			return false;
	}
	return true;
}

/* The schemas of LIST that OTHER does not hold. */
static void change_schemas(struct publication *s, const char *name, const char *verb, const struct val *list,
                           const struct val *other)
{
	VAL_EACH (i, list)
		if (!holds(other, val_at(list, i)))
			psql_later(&s->p, "ALTER PUBLICATION %s %s TABLES IN SCHEMA %s", name, verb,
			           psql_name(s->m->a, val_get_strz(val_at(list, i))));
}

static void compare(struct publication *s, const char *name)
{
	struct mod_ctx *m = s->m;
	const struct val *now = val_get(s->row, "tables"), *params = val_get(m->args, "parameters");
	bool all = val_map_bool(s->row, "alltables", false);
	if (val_len(s->tables) && all) {
		psql_later(&s->p, "ALTER PUBLICATION %s SET TABLE %s", name, psql_joined(m->a, s->tables));
	} else if (val_len(s->tables)) {
		VAL_EACH (i, s->tables)
			if (!holds(now, val_at(s->tables, i)))
				psql_later(&s->p, "ALTER PUBLICATION %s ADD TABLE %s", name,
				           val_get_strz(val_at(s->tables, i)));
		VAL_EACH (i, now)
			if (!holds(s->tables, val_at(now, i)))
				psql_later(&s->p, "ALTER PUBLICATION %s DROP TABLE %s", name,
				           val_get_strz(val_at(now, i)));
	}
	if (mod_has(m, "tables_in_schema")) {
		change_schemas(s, name, "ADD", mod_list(m, "tables_in_schema"), s->schemas);
		change_schemas(s, name, "DROP", s->schemas, mod_list(m, "tables_in_schema"));
	}
	for (size_t i = 0; params && i < val_len(params); i++) {
		const char *key = val_get_strz(val_key_at(params, i));
		struct str v = val_text(val_value_at(params, i), m->a);
		if (strcmp(key, "publish") == 0 && same_publish(val_get(s->row, "publish"), v))
			continue;
		psql_later(&s->p, "ALTER PUBLICATION %s SET (%s = %s)", name, psql_option(m->a, key),
		           psql_text(m->a, arena_strndup(m->a, v.p, v.n)));
	}
	if (mod_has(m, "owner") && !mod_is(m, "owner", val_map_strz(s->row, "owner", "")))
		psql_later(&s->p, "ALTER PUBLICATION %s OWNER TO %s", name,
		           psql_name(m->a, mod_arg(m, "owner")));
}

static void say(struct publication *s)
{
	struct mod_ctx *m = s->m;
	struct val *params = val_map(m->a);
	mod_setb(m, "exists", s->row != NULL);
	mod_set(m, "queries", s->p.executed);
	if (!s->row && !m->check)
		return;
	if (s->row)
		val_set(params, "publish", val_get(s->row, "publish"));
	mod_set(m, "parameters", params);
	mod_sets(m, "owner", s->row ? val_map_strz(s->row, "owner", "") : "");
	mod_setb(m, "alltables", s->row && val_map_bool(s->row, "alltables", false));
	mod_set(m, "tables", s->row ? val_get(s->row, "tables") : val_list(m->a));
	if (s->schemas)
		mod_set(m, "schemas", val_copy(m->a, s->schemas));
}

static bool run(struct mod_ctx *m)
{
	static const char *const unused[] = {"tables", "parameters", "owner"};
	struct publication s = {.m = m};
	const char *name = psql_name(m->a, mod_arg(m, "name")), *comment = mod_arg(m, "comment");
	bool absent = mod_is(m, "state", "absent");
	for (size_t i = 0; absent && i < 3; i++)
		if (mod_has(m, unused[i]))
			mod_warn(m, "parameter \"%s\" is ignored when \"state=absent\"", unused[i]);
	if (!absent && mod_bool(m, "cascade"))
		mod_warn(m, "parameter \"cascade\" is ignored when \"state=present\"");
	if (!psql_open(&s.p, m, mod_arg(m, "login_db")) || !look(&s))
		return false;
	take_tables(&s);
	if (absent && s.row)
		psql_later(&s.p, "DROP PUBLICATION %s%s", name, mod_bool(m, "cascade") ? " CASCADE" : "");
	else if (!absent && s.row)
		compare(&s, name);
	else if (!absent)
		create(&s, name);
	if (!absent && comment && strcmp(comment, s.row ? val_map_strz(s.row, "comment", "") : "") != 0)
		psql_later(&s.p, "COMMENT ON PUBLICATION %s IS %s", name, psql_text(m->a, comment));
	if (!psql_commit(&s.p) || (mod_is_changed(m) && !m->check && !look(&s)))
		return false;
	say(&s);
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The publication."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"tables", MT_LIST, .doc = "What it publishes; without, all tables when it is made."},
        {"tables_in_schema", MT_LIST, .doc = "The schemas all of whose tables it publishes."},
        {"comment", MT_STR, .doc = "A comment on it."},
        {"parameters", MT_DICT, .doc = "Its parameters: publish."},
        {"owner", MT_STR, .doc = "The role that owns it."},
        {"cascade", MT_BOOL, .dflt = "false", .doc = "Remove what depends on it, too."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database it is in."},
        {NULL},
};

const struct module module_row_postgresql_publication = {
        .name = "postgresql_publication",
        .from = "community.postgresql",
        .doc = "Keeps a publication of a PostgreSQL database.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "tables|tables_in_schema",
        .run = run,
};
