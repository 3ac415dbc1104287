#include <ctype.h>
#include <strings.h>
#include "modules/postgresql_client.h"

/* A kind of object, and where PostgreSQL keeps what is allowed on it. */
static const struct type {
	const char *name, *words, *all; /* "GRANT ... ON words x", "... ON all IN SCHEMA x" */
	const char *catalog, *acl;
	bool in_schema;
} types[] = {
        {"table", "TABLE", "ALL TABLES", "pg_class", "relacl", true},
        {"sequence", "SEQUENCE", "ALL SEQUENCES", "pg_class", "relacl", true},
        {"function", "FUNCTION", "ALL FUNCTIONS", "pg_proc", "proacl", true},
        {"procedure", "PROCEDURE", "ALL PROCEDURES", "pg_proc", "proacl", true},
        {"type", "TYPE", NULL, "pg_type", "typacl", true},
        {"default_privs", NULL, NULL, "pg_default_acl", "defaclacl", true},
        {"schema", "SCHEMA", NULL, "pg_namespace", "nspacl", false},
        {"database", "DATABASE", NULL, "pg_database", "datacl", false},
        {"language", "LANGUAGE", NULL, "pg_language", "lanacl", false},
        {"tablespace", "TABLESPACE", NULL, "pg_tablespace", "spcacl", false},
        {"foreign_data_wrapper", "FOREIGN DATA WRAPPER", NULL, "pg_foreign_data_wrapper", "fdwacl", false},
        {"foreign_server", "FOREIGN SERVER", NULL, "pg_foreign_server", "srvacl", false},
        {"group", NULL, NULL, "pg_auth_members", NULL, false},
};

struct grant {
	struct mod_ctx *m;
	struct psql p;
	const struct type *type;
	const char *schema; /* NULL: none */
	const char *whom, *privs;
	struct val *objs;
	struct buf sql;
};

/* The parts of "a,b(c,d)" at commas outside of parentheses. */
static struct val *split(struct mod_ctx *m, const char *name)
{
	struct val *list = val_list(m->a);
	struct str s = mod_args(m, name);
	size_t start = 0;
	int depth = 0;
	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && (s.p[i] == '(' || s.p[i] == ')'))
			depth += s.p[i] == '(' ? 1 : -1;
		if (i < s.n && (s.p[i] != ',' || depth > 0))
			continue;
		struct str part = str_trim(str_n(s.p + start, i - start));
		if (part.n)
			val_push(list, val_str(m->a, part));
		start = i + 1;
	}
	return list;
}

/* Privileges are words of SQL: only those are let through. */
static bool take_privs(struct grant *g)
{
	static const char *const known[] = {"SELECT",   "INSERT",     "UPDATE",  "DELETE",
	                                    "TRUNCATE", "REFERENCES", "TRIGGER", "CREATE",
	                                    "CONNECT",  "TEMPORARY",  "TEMP",    "EXECUTE",
	                                    "USAGE",    "MAINTAIN",   "ALL",     "ALL PRIVILEGES"};
	struct mod_ctx *m = g->m;
	struct val *list = split(m, "privs");
	g->privs = "";
	VAL_EACH (i, list) {
		char *z = arena_strdup(m->a, val_get_strz(val_at(list, i)));
		bool ok = false;
		for (char *p = z; *p; p++)
			*p = (char)toupper((unsigned char)*p);
		for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++)
			ok = ok || strcmp(known[k], z) == 0;
		if (!ok)
			return mod_fail(m, "Invalid privileges specified: %s", z);
		g->privs = arena_printf(m->a, "%s%s%s", g->privs, i ? ", " : "", z);
	}
	return true;
}

/* Whom to: roles that are there. Those that are not are a failure, or a warning. */
static bool take_roles(struct grant *g)
{
	struct mod_ctx *m = g->m;
	struct val *list = split(m, "roles");
	const struct val *rows;
	g->whom = "";
	VAL_EACH (i, list) {
		const char *role = val_get_strz(val_at(list, i));
		bool public = strcmp(role, "PUBLIC") == 0;
		if (!public && !psql_rows(&g->p,
		                          arena_printf(m->a, "SELECT 1 FROM pg_roles WHERE rolname = %s",
		                                       psql_text(m->a, role)),
		                          &rows))
			return false;
		if (!public && !val_len(rows)) {
			if (mod_bool(m, "fail_on_role"))
				return mod_fail(m, "Role '%s' does not exist", role);
			mod_warn(m, "Role '%s' does not exist, pass it", role);
			continue;
		}
		g->whom = arena_printf(m->a, "%s%s%s", g->whom, *g->whom ? ", " : "",
		                       public ? "PUBLIC" : psql_name(m->a, role));
	}
	return true;
}

static bool take_objs(struct grant *g)
{
	struct mod_ctx *m = g->m;
	static const char *const defaults[] = {"TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS"};
	bool is_default = strcmp(g->type->name, "default_privs") == 0;
	g->objs = split(m, "objs");
	if (!val_len(g->objs) && mod_is(m, "type", "database"))
		val_push(g->objs, val_strz(m->a, mod_arg(m, "login_db")));
	if (!val_len(g->objs))
		return mod_fail(m, "Argument \"objs\" is required for type \"%s\".", g->type->name);
	if (!is_default)
		return true;
	struct val *given = g->objs;
	bool every = strcmp(val_get_strz(val_at(given, 0)), "ALL_DEFAULT") == 0;
	g->objs = val_list(m->a);
	for (size_t k = 0; k < sizeof(defaults) / sizeof(*defaults); k++) {
		bool wanted = every && (k < 4 || !g->schema);
		VAL_EACH (i, given)
			wanted = wanted || strcmp(val_get_strz(val_at(given, i)), defaults[k]) == 0;
		if (wanted)
			val_push(g->objs, val_strz(m->a, defaults[k]));
	}
	return every || val_len(g->objs) == val_len(given) ||
	       mod_fail(m, "Invalid Object set specified: TABLES, SEQUENCES, FUNCTIONS, TYPES, SCHEMAS and "
	                   "ALL_DEFAULT "
	                   "are known");
}

/* ---- statements */

/* One object with its schema; the arguments of a function stay as they are, parted by colons or commas. */
static const char *object(struct grant *g, const char *name)
{
	struct arena *a = g->m->a;
	size_t n = strcspn(name, "(");
	char *rest = arena_strdup(a, name + n);
	for (char *p = rest; *p; p++)
		*p = (char)(*p == ':' && p[1] != ':' && (p == rest || p[-1] != ':') ? ',' : *p);
	const char *bare = psql_name(a, arena_strndup(a, name, n));
	return g->type->in_schema ? arena_printf(a, "%s.%s%s", psql_name(a, g->schema), bare, rest) : bare;
}

static const char *target(struct grant *g)
{
	struct arena *a = g->m->a;
	const char *what = "";
	bool all = val_len(g->objs) == 1 && strcmp(val_get_strz(val_at(g->objs, 0)), "ALL_IN_SCHEMA") == 0;
	if (all)
		return arena_printf(a, "%s ON %s IN SCHEMA %s", g->privs, g->type->all,
		                    psql_name(a, g->schema));
	VAL_EACH (i, g->objs)
		what = arena_printf(a, "%s%s%s", what, i ? ", " : "",
		                    object(g, val_get_strz(val_at(g->objs, i))));
	return g->type->words ? arena_printf(a, "%s ON %s %s", g->privs, g->type->words, what) : what;
}

static void plain_statements(struct grant *g)
{
	struct mod_ctx *m = g->m;
	const char *what = target(g), *option = g->type->acl ? "GRANT" : "ADMIN";
	bool asked = mod_has(m, "grant_option"), with = mod_bool(m, "grant_option");
	if (mod_is(m, "state", "absent")) {
		buf_printf(&g->sql, "REVOKE %s FROM %s;\n", what, g->whom);
		return;
	}
	buf_printf(&g->sql, "GRANT %s TO %s", what, g->whom);
	if (asked && with)
		buf_printf(&g->sql, " WITH %s OPTION", option);
	buf_adds(&g->sql, ";\n");
	if (asked && !with)
		buf_printf(&g->sql, "REVOKE %s OPTION FOR %s FROM %s;\n", option, what, g->whom);
}

/* What objects that are yet to come will allow. */
static void default_statements(struct grant *g)
{
	struct mod_ctx *m = g->m;
	struct val *owners = split(m, "target_roles");
	const char *head = "ALTER DEFAULT PRIVILEGES";
	bool absent = mod_is(m, "state", "absent");
	VAL_EACH (i, owners)
		head = arena_printf(m->a, "%s%s%s", head, i ? ", " : " FOR ROLE ",
		                    psql_name(m->a, val_get_strz(val_at(owners, i))));
	if (g->schema)
		head = arena_printf(m->a, "%s IN SCHEMA %s", head, psql_name(m->a, g->schema));
	VAL_EACH (i, g->objs) {
		const char *obj = val_get_strz(val_at(g->objs, i));
		buf_printf(&g->sql, "%s REVOKE ALL ON %s FROM %s;\n", head, obj, g->whom);
		if (!absent)
			buf_printf(&g->sql, "%s GRANT %s ON %s TO %s%s;\n", head, g->privs, obj, g->whom,
			           mod_bool(m, "grant_option") ? " WITH GRANT OPTION" : "");
	}
	if (!absent && mod_bool(m, "usage_on_types"))
		buf_printf(&g->sql, "%s GRANT USAGE ON TYPES TO %s;\n", head, g->whom);
}

/* A digest of all that is allowed on objects of the kind, whatever order it is kept in. */
static const char *state_query(const struct grant *g)
{
	const char *row = "roleid, member, admin_option";
	if (strcmp(g->type->name, "default_privs") == 0)
		row = "defaclrole, defaclnamespace, defaclobjtype, ARRAY(SELECT unnest(defaclacl)::text "
		      "ORDER BY 1)";
	else if (g->type->acl)
		row = arena_printf(g->m->a, "t.oid, %s IS NULL, ARRAY(SELECT unnest(%s)::text ORDER BY 1)",
		                   g->type->acl, g->type->acl);
	return arena_printf(g->m->a,
	                    "SELECT coalesce(md5(string_agg(r, '|' ORDER BY r)), '') FROM (SELECT "
	                    "ROW(%s)::text AS r FROM "
	                    "%s t) q;\n",
	                    row, g->type->catalog);
}

/* Granted within a transaction between two looks at the state; what changed nothing, or only was to be
 * checked, is taken back. */
static bool grant(struct grant *g)
{
	struct mod_ctx *m = g->m;
	struct str out, statements;
	const char *look = state_query(g);
	if (strcmp(g->type->name, "default_privs") == 0)
		default_statements(g);
	else
		plain_statements(g);
	statements = buf_take(&g->sql, m->a);
	buf_free(&g->sql);
	val_push(g->p.executed, val_str(m->a, str_trim(statements)));
	if (!psql_script(&g->p,
	                 arena_printf(m->a, "BEGIN ISOLATION LEVEL REPEATABLE READ;\n%s%s%s%s;", look,
	                              statements.p, look, m->check ? "ROLLBACK" : "COMMIT"),
	                 &out))
		return false;
	struct str before = str_split(&out, '\n'), after = str_split(&out, '\n');
	mod_setb(m, "changed", !str_eq(before, after));
	return true;
}

static bool check(struct grant *g)
{
	struct mod_ctx *m = g->m;
	bool group = !g->type->acl,
	     revoked_default = strcmp(g->type->name, "default_privs") == 0 && mod_is(m, "state", "absent");
	if (group && mod_has(m, "privs"))
		return mod_fail(m, "Argument \"privs\" is not allowed for type \"group\".");
	if (!group && !revoked_default && !*g->privs)
		return mod_fail(m, "Argument \"privs\" is required for type \"%s\".", g->type->name);
	if (mod_is(m, "objs", "ALL_IN_SCHEMA") && !g->type->all)
		return mod_fail(
		        m,
		        "Argument \"objs\": ALL_IN_SCHEMA can be used only for type: table, sequence, "
		        "function or procedure, %s was passed.",
		        g->type->name);
	if (mod_has(m, "schema") && !g->type->in_schema)
		return mod_fail(m, "Argument \"schema\" is not allowed for type \"%s\".", g->type->name);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct grant g = {.m = m};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (mod_is(m, "type", types[i].name))
			g.type = &types[i];
	if (g.type->in_schema && !mod_is(m, "schema", "not-specified"))
		g.schema = mod_has(m, "schema") ? mod_arg(m, "schema")
		           : mod_has(m, "objs") && !strcasecmp(mod_arg(m, "objs"), "schemas") ? NULL
		                                                                              : "public";
	if (!take_privs(&g) || !check(&g) || !take_objs(&g) || !psql_open(&g.p, m, mod_arg(m, "login_db")))
		return false;
	g.p.refusal = "";
	if (!take_roles(&g))
		return false;
	mod_set(m, "queries", g.p.executed);
	return !*g.whom || grant(&g);
}

static const struct mod_arg args[] = {
        {"login_db", MT_STR, MA_REQUIRED, .aliases = "database|db", .doc = "The database to connect to."},
        {"roles", MT_STR, MA_REQUIRED, .aliases = "role",
         .doc = "To whom, parted by commas; PUBLIC is everybody."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Granted or revoked."},
        {"privs", MT_STR, .aliases = "priv", .doc = "What, parted by commas."},
        {"type", MT_STR, .dflt = "table",
         .choices =
                 "table|sequence|function|procedure|type|default_privs|schema|database|language|tablespace|"
                 "foreign_data_wrapper|foreign_server|group",
         .doc = "On what kind of object."},
        {"objs", MT_STR, .aliases = "obj", .doc = "On which, parted by commas; ALL_IN_SCHEMA, ALL_DEFAULT."},
        {"schema", MT_STR, .doc = "The schema they are in."},
        {"target_roles", MT_STR, .doc = "Whose objects to come, for default_privs."},
        {"grant_option", MT_BOOL, .aliases = "admin_option", .doc = "Whether they may grant it on."},
        {"fail_on_role", MT_BOOL, .dflt = "true", .doc = "A role that is not there is a failure."},
        {"usage_on_types", MT_BOOL, .dflt = "true", .doc = "With default_privs, also the use of types."},
        {NULL},
};

const struct module module_row_postgresql_privs = {
        .name = "postgresql_privs",
        .from = "community.postgresql",
        .doc = "Grants or revokes privileges in a PostgreSQL database.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
