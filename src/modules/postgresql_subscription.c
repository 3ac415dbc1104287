#include <ctype.h>
#include "modules/postgresql_client.h"

struct subscription {
	struct mod_ctx *m;
	struct psql p;
	const char *name; /* quoted */
	const struct val *row;
};

static bool look(struct subscription *s)
{
	struct arena *a = s->m->a;
	return psql_row(
	        &s->p,
	        arena_printf(
	                a,
	                "SELECT pg_get_userbyid(subowner) AS owner, subenabled AS enabled, subsynccommit AS "
	                "synccommit, subconninfo, subslotname AS slotname, subpublications AS publications, "
	                "obj_description(s.oid, 'pg_subscription') AS comment "
	                "FROM pg_subscription s JOIN pg_database d ON s.subdbid = d.oid WHERE subname = %s "
	                "AND datname = current_database()",
	                psql_text(a, mod_arg(s->m, "name"))),
	        &s->row);
}

/* "host=x port=5432" as {host: x, port: 5432}. */
static struct val *conninfo(struct mod_ctx *m, struct str text)
{
	struct val *map = val_map(m->a);
	while (text.p) {
		struct str value = str_split(&text, ' '), key = str_split(&value, '=');
		int64_t n;
		if (key.n)
			val_sets(map, key, str_int(value, &n) ? val_int(m->a, n) : val_str(m->a, value));
	}
	return map;
}

/* The same from the task: numbers are numbers, whatever they were given as. */
static struct val *wanted_conninfo(struct mod_ctx *m)
{
	const struct val *given = val_get(m->args, "connparams");
	struct val *map = val_map(m->a);
	for (size_t i = 0; given && i < val_len(given); i++) {
		struct str v = val_text(val_value_at(given, i), m->a);
		int64_t n;
		val_setk(map, val_key_at(given, i), str_int(v, &n) ? val_int(m->a, n) : val_str(m->a, v));
	}
	return map;
}

static struct val *described(struct mod_ctx *m, const struct val *row)
{
	static const char *const names[] = {"owner", "enabled", "synccommit", "slotname", "publications"};
	struct val *d = val_map(m->a);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		val_set(d, names[i], val_get(row, names[i]));
	const char *commit = val_map_strz(row, "synccommit", "");
	if (strcmp(commit, "on") == 0 || strcmp(commit, "off") == 0)
		val_set(d, "synccommit", val_bool(commit[1] == 'n'));
	val_set(d, "conninfo", conninfo(m, val_map_str(row, "subconninfo", "")));
	struct val *secret = val_get(val_get(d, "conninfo"), "password");
	if (secret)
		val_set(val_get(d, "conninfo"), "password", val_mark_secret(m->a, secret));
	return d;
}

static const char *connection(struct mod_ctx *m)
{
	struct val *map = wanted_conninfo(m);
	const char *z = "";
	MAP_EACH (i, map) {
		struct str v = val_text(val_value_at(map, i), m->a);
		z = arena_printf(m->a, "%s%s%s=%.*s", z, i ? " " : "", val_get_strz(val_key_at(map, i)),
		                 STR_FMT(v));
	}
	return psql_text(m->a, z);
}

static const char *names(struct mod_ctx *m, const struct val *list)
{
	const char *z = "";
	VAL_EACH (i, list)
		z = arena_printf(m->a, "%s%s%s", z, i ? ", " : "",
		                 psql_option(m->a, val_get_strz(val_at(list, i))));
	return z;
}

static const char *param(struct mod_ctx *m, const struct val *params, size_t i)
{
	const struct val *v = val_value_at(params, i);
	struct str text = val_text(v, m->a);
	const char *z = arena_strndup(m->a, text.p, text.n);
	bool word = text.n;
	for (size_t k = 0; k < text.n; k++)
		word = word && (isalnum((unsigned char)z[k]) || z[k] == '_');
	/* NONE is a word of SQL. */
	if (val_kind(v) == VAL_BOOL)
		z = val_get_bool(v) ? "true" : "false";
	else if (!word)
		z = psql_text(m->a, z);
	return arena_printf(m->a, "%s = %s", psql_option(m->a, val_get_strz(val_key_at(params, i))), z);
}

/* Making one may make a slot on the other server, which is no part of a transaction. */
static bool create(struct subscription *s)
{
	struct mod_ctx *m = s->m;
	const struct val *params = val_get(m->args, "subsparams");
	const char *with = "";
	if (!mod_has(m, "connparams") || !mod_has(m, "publications"))
		return mod_fail(m, "connparams and publications are required to make a subscription");
	for (size_t i = 0; params && i < val_len(params); i++)
		with = arena_printf(m->a, "%s%s%s", with, i ? ", " : " WITH (", param(m, params, i));
	return psql_do(&s->p, arena_printf(m->a, "CREATE SUBSCRIPTION %s CONNECTION %s PUBLICATION %s%s%s",
	                                   s->name, connection(m), names(m, mod_list(m, "publications")),
	                                   with, *with ? ")" : ""));
}

static bool same_names(const struct val *a, const struct val *b)
{
	bool same = val_len(a) == val_len(b);
	VAL_EACH (i, a) {
		bool found = false;
		VAL_EACH (k, b)
			found = found || val_equal(val_at(a, i), val_at(b, k));
		same = same && found;
	}
	return same;
}

static bool same_param(const struct val *row, const char *key, const struct val *v)
{
	const char *now = val_map_strz(row, strcmp(key, "slot_name") == 0 ? "slotname" : "synccommit", "");
	if (val_kind(v) == VAL_BOOL)
		return strcmp(now, val_get_bool(v) ? "on" : "off") == 0 ||
		       strcmp(now, val_get_bool(v) ? "true" : "false") == 0;
	return val_is_str(v) && strcmp(now, val_get_strz(v)) == 0;
}

static bool compare_params(struct subscription *s)
{
	struct mod_ctx *m = s->m;
	const struct val *params = val_get(m->args, "subsparams");
	bool ok = true;
	for (size_t i = 0; ok && params && i < val_len(params); i++) {
		const char *key = val_get_strz(val_key_at(params, i));
		const struct val *v = val_value_at(params, i);
		if (strcmp(key, "enabled") == 0) {
			if (val_to_bool(v) != val_map_bool(s->row, "enabled", false))
				ok = psql_do(&s->p, arena_printf(m->a, "ALTER SUBSCRIPTION %s %s", s->name,
				                                 val_to_bool(v) ? "ENABLE" : "DISABLE"));
		} else if (strcmp(key, "synchronous_commit") == 0 || strcmp(key, "slot_name") == 0) {
			if (!same_param(s->row, key, v))
				ok = psql_do(&s->p, arena_printf(m->a, "ALTER SUBSCRIPTION %s SET (%s)",
				                                 s->name, param(m, params, i)));
		} else
			mod_warn(m,
			         "Parameter '%s' is not in params supported for update '('enabled', "
			         "'synchronous_commit', 'slot_name')', ignored...",
			         key);
	}
	return ok;
}

static bool compare(struct subscription *s)
{
	struct mod_ctx *m = s->m;
	const struct val *wanted = mod_list(m, "publications");
	if (mod_has(m, "connparams") &&
	    !val_equal(wanted_conninfo(m), conninfo(m, val_map_str(s->row, "subconninfo", ""))) &&
	    !psql_do(&s->p,
	             arena_printf(m->a, "ALTER SUBSCRIPTION %s CONNECTION %s", s->name, connection(m))))
		return false;
	if (val_len(wanted) && !same_names(wanted, val_get(s->row, "publications")) &&
	    !psql_do(&s->p, arena_printf(m->a, "ALTER SUBSCRIPTION %s SET PUBLICATION %s", s->name,
	                                 names(m, wanted))))
		return false;
	return compare_params(s);
}

static bool bring(struct subscription *s)
{
	struct mod_ctx *m = s->m;
	const char *owner = mod_arg(m, "owner");
	if (mod_is(m, "state", "absent"))
		return !s->row || psql_do(&s->p, arena_printf(m->a, "DROP SUBSCRIPTION %s%s", s->name,
		                                              mod_bool(m, "cascade") ? " CASCADE" : ""));
	if (mod_is(m, "state", "refresh"))
		return s->row ? psql_do(&s->p, arena_printf(m->a, "ALTER SUBSCRIPTION %s REFRESH PUBLICATION",
		                                            s->name))
		              : mod_fail(m, "Refresh failed: subscription '%s' does not exist",
		                         mod_arg(m, "name"));
	if (!(s->row ? compare(s) : create(s)))
		return false;
	if (owner && !(s->row && strcmp(owner, val_map_strz(s->row, "owner", "")) == 0) &&
	    !psql_do(&s->p, arena_printf(m->a, "ALTER SUBSCRIPTION %s OWNER TO %s", s->name,
	                                 psql_name(m->a, owner))))
		return false;
	return psql_comment(&s->p, "SUBSCRIPTION", s->name,
	                    s->row ? val_map_strz(s->row, "comment", NULL) : NULL);
}

static bool run(struct mod_ctx *m)
{
	static const char *const unused[] = {"owner", "publications", "connparams", "subsparams"};
	struct subscription s = {.m = m, .name = psql_name(m->a, mod_arg(m, "name"))};
	bool present = mod_is(m, "state", "present");
	if (present && mod_bool(m, "cascade"))
		mod_warn(m, "parameter \"cascade\" is ignored when state is not absent");
	for (size_t i = 0; !present && i < 4; i++)
		if (mod_has(m, unused[i]))
			mod_warn(m, "parameter '%s' is ignored when state is not 'present'", unused[i]);
	if (!psql_open(&s.p, m, mod_arg(m, "login_db")) || !look(&s))
		return false;
	mod_set(m, "initial_state", s.row ? described(m, s.row) : val_map(m->a));
	if (!bring(&s) || (mod_is_changed(m) && !m->check && !look(&s)))
		return false;
	mod_sets(m, "name", mod_arg(m, "name"));
	mod_setb(m, "exists", s.row != NULL);
	mod_set(m, "final_state", s.row ? described(m, s.row) : val_map(m->a));
	mod_set(m, "queries", mod_has(m, "connparams") ? val_mark_secret(m->a, s.p.executed) : s.p.executed);
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The subscription."},
        {"login_db", MT_STR, MA_REQUIRED, .aliases = "db", .doc = "The database it is in."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present|refresh",
         .doc = "Whether it is there, or to look for new tables."},
        {"publications", MT_LIST, .doc = "What it subscribes to."},
        {"connparams", MT_DICT, .doc = "Where: host, port, dbname, user ..."},
        {"subsparams", MT_DICT,
         .doc = "Its parameters: enabled, slot_name, synchronous_commit; others when made."},
        {"owner", MT_STR, .doc = "The role that owns it."},
        {"comment", MT_STR, .doc = "A comment on it."},
        {"cascade", MT_BOOL, .dflt = "false", .doc = "Remove what depends on it, too."},
        {NULL},
};

const struct module module_row_postgresql_subscription = {
        .name = "postgresql_subscription",
        .from = "community.postgresql",
        .doc = "Keeps a subscription of a PostgreSQL database.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
