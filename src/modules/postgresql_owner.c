#include "modules/postgresql_client.h"

/* A kind of object, and where its owner is found by its name. */
static const struct kind {
	const char *name, *words, *query;
	bool dotted;
} kinds[] = {
        {"database", "DATABASE", "pg_database WHERE datname = %s AND pg_get_userbyid(datdba) = %s", false},
        {"function", "FUNCTION",
         "pg_proc WHERE %s IN (proname, oid::regprocedure::text) AND "
         "pg_get_userbyid(proowner) = %s",
         false},
        {"matview", "MATERIALIZED VIEW",
         "pg_class WHERE oid = to_regclass(%s) AND pg_get_userbyid(relowner) = %s", true},
        {"sequence", "SEQUENCE", "pg_class WHERE oid = to_regclass(%s) AND pg_get_userbyid(relowner) = %s",
         true},
        {"schema", "SCHEMA", "pg_namespace WHERE nspname = %s AND pg_get_userbyid(nspowner) = %s", false},
        {"table", "TABLE", "pg_class WHERE oid = to_regclass(%s) AND pg_get_userbyid(relowner) = %s", true},
        {"tablespace", "TABLESPACE", "pg_tablespace WHERE spcname = %s AND pg_get_userbyid(spcowner) = %s",
         false},
        {"view", "VIEW", "pg_class WHERE oid = to_regclass(%s) AND pg_get_userbyid(relowner) = %s", true},
};

static bool role_exists(struct psql *p, const char *role, bool must, bool *ret)
{
	struct mod_ctx *m = p->m;
	const struct val *row;
	if (!psql_row(p,
	              arena_printf(m->a, "SELECT 1 FROM pg_roles WHERE rolname = %s", psql_text(m->a, role)),
	              &row))
		return false;
	*ret = row != NULL;
	if (!row && must)
		return mod_fail(m, "Role '%s' does not exist", role);
	if (!row)
		mod_warn(m, "Role '%s' does not exist, pass", role);
	return true;
}

static bool set_owner(struct psql *p, const char *object, const char *owner)
{
	struct mod_ctx *m = p->m;
	const struct kind *k = kinds;
	const struct val *row;
	if (!mod_has(m, "obj_type"))
		return mod_fail(m, "obj_type is required to know what %s is", object);
	while (!mod_is(m, "obj_type", k->name))
		k++;
	/* A function is named with its arguments, and by them only. */
	bool function = strcmp(k->name, "function") == 0;
	const char *name = k->dotted  ? psql_dotted(m->a, object)
	                   : function ? object
	                              : psql_name(m->a, object),
	           *where = strstr(k->query, "%s"), *rest = where + 2, *second = strstr(rest, "%s");
	if (!psql_row(p,
	              arena_printf(m->a, "SELECT 1 FROM %.*s%s%.*s%s", (int)(where - k->query), k->query,
	                           psql_text(m->a, k->dotted ? name : object), (int)(second - rest), rest,
	                           psql_text(m->a, owner)),
	              &row))
		return false;
	if (!row)
		psql_later(p, "ALTER %s %s OWNER TO %s", k->words, name, psql_name(m->a, owner));
	return true;
}

static bool reassign(struct psql *p, const struct val *from, const char *owner)
{
	struct mod_ctx *m = p->m;
	struct val *names = val_list(m->a);
	VAL_EACH (i, from) {
		const char *role = val_get_strz(val_at(from, i));
		bool there;
		if (!role_exists(p, role, !mod_has(m, "fail_on_role") || mod_bool(m, "fail_on_role"), &there))
			return false;
		if (there)
			val_push(names, val_strz(m->a, psql_name(m->a, role)));
	}
	if (val_len(names))
		psql_later(p, "REASSIGN OWNED BY %s TO %s", psql_joined(m->a, names), psql_name(m->a, owner));
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct psql p;
	bool there;
	const char *owner = mod_arg(m, "new_owner"), *object = mod_arg(m, "obj_name");
	if (!psql_open(&p, m, mod_arg(m, "login_db")) || !role_exists(&p, owner, true, &there))
		return false;
	if (object ? !set_owner(&p, object, owner) : !reassign(&p, mod_list(m, "reassign_owned_by"), owner))
		return false;
	mod_set(m, "queries", p.executed);
	return psql_commit(&p);
}

static const struct mod_arg args[] = {
        {"new_owner", MT_STR, MA_REQUIRED, .doc = "Who shall own it."},
        {"obj_name", MT_STR, .doc = "What; a function with the types of its arguments."},
        {"obj_type", MT_STR, .aliases = "type",
         .choices = "database|function|matview|sequence|schema|table|tablespace|view",
         .doc = "What kind it is."},
        {"reassign_owned_by", MT_LIST, .doc = "Everything these roles own, instead."},
        {"fail_on_role", MT_BOOL, .doc = "One of those that is not there is a failure (it is unless false)."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database it is in."},
        {NULL},
};

const struct module module_row_postgresql_owner = {
        .name = "postgresql_owner",
        .from = "community.postgresql",
        .doc = "Gives objects of PostgreSQL to another role.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "obj_name|reassign_owned_by;obj_type|reassign_owned_by;obj_name|fail_on_role;"
                              "obj_type|fail_on_role",
        .run = run,
};
