#include <ctype.h>
#include "modules/postgresql_client.h"

/* A kind of object: the catalogue it is in, and its columns of names and owners there. */
static const struct kind {
	const char *name, *catalog, *named, *owned;
	enum { PLAIN, DOTTED, RELATION, TYPE, ROUTINE } how;
} kinds[] = {
        {"database", "database", "datname", "datdba", PLAIN},
        {"schema", "namespace", "nspname", "nspowner", PLAIN},
        {"tablespace", "tablespace", "spcname", "spcowner", PLAIN},
        {"language", "language", "lanname", "lanowner", PLAIN},
        {"foreign_data_wrapper", "foreign_data_wrapper", "fdwname", "fdwowner", PLAIN},
        {"server", "foreign_server", "srvname", "srvowner", PLAIN},
        {"event_trigger", "event_trigger", "evtname", "evtowner", PLAIN},
        {"publication", "publication", "pubname", "pubowner", PLAIN},
        {"collation", "collation", "collname", "collowner", DOTTED},
        {"conversion", "conversion", "conname", "conowner", DOTTED},
        {"text_search_configuration", "ts_config", "cfgname", "cfgowner", DOTTED},
        {"text_search_dictionary", "ts_dict", "dictname", "dictowner", DOTTED},
        {"statistics", "statistic_ext", "stxname", "stxowner", DOTTED},
        {"large_object", "largeobject_metadata", "oid::text", "lomowner", ROUTINE},
        {"table", "class", NULL, "relowner", RELATION},
        {"view", "class", NULL, "relowner", RELATION},
        {"matview", "class", NULL, "relowner", RELATION},
        {"sequence", "class", NULL, "relowner", RELATION},
        {"foreign_table", "class", NULL, "relowner", RELATION},
        {"type", "type", NULL, "typowner", TYPE},
        {"domain", "type", NULL, "typowner", TYPE},
        {"function", "proc", "proname", "proowner", ROUTINE},
        {"procedure", "proc", "proname", "proowner", ROUTINE},
        {"routine", "proc", "proname", "proowner", ROUTINE},
        {"aggregate", "proc", "proname", "proowner", ROUTINE},
};

/* "text_search_dictionary" in SQL. */
static const char *words(struct arena *a, const char *name)
{
	char *z = arena_strdup(a, strcmp(name, "matview") == 0 ? "materialized_view" : name);
	for (char *p = z; *p; p++)
		*p = *p == '_' ? ' ' : (char)toupper((unsigned char)*p);
	return z;
}

/* What holds of the row of OBJECT, which is NAME in a statement. */
static const char *condition(struct arena *a, const struct kind *k, const char *object, const char *name)
{
	const char *dot = k->how == DOTTED ? strrchr(object, '.') : NULL;
	if (k->how == RELATION || k->how == TYPE)
		return arena_printf(a, "oid = to_reg%s(%s)", k->catalog, psql_text(a, name));
	if (strchr(object, '('))
		return arena_printf(a, "oid = to_regprocedure(%s)", psql_text(a, object));
	return arena_printf(a, "%s = %s", k->named, psql_text(a, dot ? dot + 1 : object));
}

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
	/* A routine is named with its arguments, and by them only. */
	const char *name = k->how == ROUTINE ? object
	                   : k->how == PLAIN ? psql_name(m->a, object)
	                                     : psql_dotted(m->a, object);
	if (!psql_row(p,
	              arena_printf(m->a, "SELECT 1 FROM pg_%s WHERE %s AND pg_get_userbyid(%s) = %s",
	                           k->catalog, condition(m->a, k, object, name), k->owned,
	                           psql_text(m->a, owner)),
	              &row))
		return false;
	if (!row)
		psql_later(p, "ALTER %s %s OWNER TO %s", words(m->a, k->name), name, psql_name(m->a, owner));
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
         .choices =
                 "database|function|matview|sequence|schema|table|tablespace|view|procedure|type|aggregate|"
                 "routine|language|domain|collation|conversion|text_search_configuration|"
                 "text_search_dictionary|foreign_data_wrapper|server|foreign_table|event_trigger|"
                 "large_object|publication|statistics",
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
