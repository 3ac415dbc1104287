#include "modules/postgresql_client.h"

struct space {
	struct mod_ctx *m;
	struct psql p;
	const char *name;
	const struct val *row;
	struct val *options; /* name to text */
};

static bool look(struct space *s)
{
	struct arena *a = s->m->a;
	if (!psql_row(&s->p,
	              arena_printf(
	                      a,
	                      "SELECT pg_get_userbyid(spcowner) AS owner, spcoptions AS options, "
	                      "pg_tablespace_location(oid) AS location FROM pg_tablespace WHERE spcname = %s",
	                      psql_text(a, s->name)),
	              &s->row))
		return false;
	const struct val *list = s->row ? val_get(s->row, "options") : NULL;
	s->options = val_map(a);
	for (size_t i = 0; list && val_is_list(list) && i < val_len(list); i++) {
		struct str value = val_get_str(val_at(list, i)), name = str_split(&value, '=');
		val_sets(s->options, name, val_str(a, value));
	}
	return true;
}

static void compare_options(struct space *s, const char *name)
{
	struct arena *a = s->m->a;
	const struct val *wanted = val_get(s->m->args, "set");
	for (size_t i = 0; wanted && i < val_len(wanted); i++) {
		const char *key = val_get_strz(val_key_at(wanted, i));
		struct str text = val_text(val_value_at(wanted, i), a),
		           now = val_map_str(s->options, key, NULL);
		const char *option = psql_option(a, key);
		if (str_eqc(text, "reset")) {
			if (val_get(s->options, key))
				psql_later(&s->p, "ALTER TABLESPACE %s RESET (%s)", name, option);
		} else if (!val_get(s->options, key) || !str_eq(text, now))
			psql_later(&s->p, "ALTER TABLESPACE %s SET (%s = %s)", name, option,
			           psql_text(a, arena_strndup(a, text.p, text.n)));
	}
}

/* Whether it is there is no matter of a transaction. */
static bool make(struct space *s, const char *name)
{
	struct mod_ctx *m = s->m;
	const char *location = mod_arg(m, "location");
	if (mod_has(m, "rename_to"))
		return mod_fail(m, "Tablespace %s does not exist, nothing to rename", s->name);
	if (!location)
		return mod_fail(
		        m, "'location' parameter must be passed with state=present if the tablespace doesn't "
		           "exist");
	return psql_do(&s->p, arena_printf(m->a, "CREATE TABLESPACE %s LOCATION %s", name,
	                                   psql_text(m->a, location)));
}

static bool bring(struct space *s)
{
	struct mod_ctx *m = s->m;
	const char *name = psql_name(m->a, s->name), *location = mod_arg(m, "location"),
	           *owner = mod_arg(m, "owner"), *to = mod_arg(m, "rename_to");
	struct val *before = s->p.executed;
	if (mod_is(m, "state", "absent"))
		return s->row ? psql_do(&s->p, arena_printf(m->a, "DROP TABLESPACE %s", name))
		              : mod_fail(m, "Tries to drop nonexistent tablespace '%s'", s->name);
	if (s->row && location && strcmp(location, val_map_strz(s->row, "location", "")) != 0)
		return mod_fail(m, "Tablespace '%s' exists with different location '%s'", s->name,
		                val_map_strz(s->row, "location", ""));
	if (!s->row && (!make(s, name) || (!m->check && !look(s))))
		return false;
	/* What follows is one transaction of its own. */
	s->p.executed = val_list(m->a);
	if (owner && strcmp(owner, s->row ? val_map_strz(s->row, "owner", "") : "") != 0)
		psql_later(&s->p, "ALTER TABLESPACE %s OWNER TO %s", name, psql_name(m->a, owner));
	compare_options(s, name);
	if (to && strcmp(to, s->name) != 0)
		psql_later(&s->p, "ALTER TABLESPACE %s RENAME TO %s", name, psql_name(m->a, to));
	bool ok = (m->check && !s->row) || psql_commit(&s->p);
	VAL_EACH (i, s->p.executed)
		val_push(before, val_at(s->p.executed, i));
	s->p.executed = before;
	return ok;
}

static bool run(struct mod_ctx *m)
{
	struct space s = {.m = m, .name = mod_arg(m, "tablespace")};
	bool absent = mod_is(m, "state", "absent");
	const char *to = mod_arg(m, "rename_to");
	if (absent && (mod_has(m, "location") || mod_has(m, "owner") || to || mod_has(m, "set")))
		return mod_fail(m, "state=absent is mutually exclusive location, owner, rename_to, and set");
	if (!psql_open(&s.p, m, mod_arg(m, "login_db")) || !look(&s))
		return false;
	const struct val *was = s.row;
	struct val *options = s.options;
	if (!bring(&s))
		return false;
	if (!absent && !m->check) {
		const char *name = s.name;
		s.name = to ? to : name;
		if (!look(&s))
			return false;
		s.name = name;
		was = s.row;
		options = s.options;
	}
	mod_sets(m, "state", mod_arg(m, "state"));
	mod_sets(m, "tablespace", s.name);
	mod_sets(m, "owner", was ? val_map_strz(was, "owner", "") : "");
	mod_sets(m, "location", was ? val_map_strz(was, "location", "") : "");
	mod_set(m, "options", options);
	mod_set(m, "queries", s.p.executed);
	if (!absent && to && strcmp(to, s.name) != 0)
		mod_sets(m, "newname", to);
	return true;
}

static const struct mod_arg args[] = {
        {"tablespace", MT_STR, MA_REQUIRED, .aliases = "name", .doc = "The tablespace."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"location", MT_PATH, .aliases = "path", .doc = "Its directory, which is there and the server's."},
        {"owner", MT_STR, .doc = "The role that owns it."},
        {"set", MT_DICT, .doc = "Options and their values; reset takes one away."},
        {"rename_to", MT_STR, .doc = "Another name for it."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database to connect to."},
        {NULL},
};

const struct module module_row_postgresql_tablespace = {
        .name = "postgresql_tablespace",
        .from = "community.postgresql",
        .doc = "Keeps a tablespace of PostgreSQL.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
