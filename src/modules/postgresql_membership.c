#include "modules/postgresql_client.h"

struct membership {
	struct mod_ctx *m;
	struct psql p;
	const struct val *known; /* rows of the roles that are there */
	struct val *groups, *members;
	struct val *granted, *revoked; /* {group: [role]} */
};

static const struct val *row_of(const struct membership *s, const char *role)
{
	VAL_EACH (i, s->known)
		if (strcmp(val_map_strz(val_at(s->known, i), "name", ""), role) == 0)
			return val_at(s->known, i);
	return NULL;
}

static bool holds(const struct val *list, const char *name)
{
	VAL_EACH (i, list)
		if (strcmp(val_get_strz(val_at(list, i)), name) == 0)
			return true;
	return false;
}

/* Those of the argument that are there; others are a failure, or a warning. */
static bool existing(struct membership *s, const char *arg, struct val *ret)
{
	const struct val *given = mod_list(s->m, arg);
	VAL_EACH (i, given) {
		struct str name = str_trim(val_get_str(val_at(given, i)));
		const char *role = arena_strndup(s->m->a, name.p, name.n);
		if (row_of(s, role))
			val_push(ret, val_strz(s->m->a, role));
		else if (mod_bool(s->m, "fail_on_role"))
			return mod_fail(s->m, "Role %s does not exist", role);
		else
			mod_warn(s->m, "Role %s does not exist, pass", role);
	}
	return true;
}

static void note(struct membership *s, struct val *map, const char *group, const char *role)
{
	struct val *list = val_get(map, group);
	if (!list) {
		list = val_list(s->m->a);
		val_set(map, group, list);
	}
	if (role)
		val_push(list, val_strz(s->m->a, role));
}

static void change(struct membership *s, bool grant, const char *group, const char *role)
{
	struct arena *a = s->m->a;
	psql_later(&s->p, "%s %s %s %s", grant ? "GRANT" : "REVOKE", psql_name(a, group),
	           grant ? "TO" : "FROM", psql_name(a, role));
	note(s, grant ? s->granted : s->revoked, group, role);
}

static void compare(struct membership *s, const char *group, const char *role)
{
	const struct val *now = val_get(row_of(s, role), "member_of");
	bool absent = mod_is(s->m, "state", "absent");
	if (holds(now, group) == absent)
		change(s, !absent, group, role);
	else if (!mod_is(s->m, "state", "exact"))
		note(s, absent ? s->revoked : s->granted, group, NULL);
}

/* No group but those it shall be in. */
static void match(struct membership *s, const char *role)
{
	const struct val *now = val_get(row_of(s, role), "member_of");
	VAL_EACH (i, now)
		if (!holds(s->groups, val_get_strz(val_at(now, i))))
			change(s, false, val_get_strz(val_at(now, i)), role);
	VAL_EACH (i, s->groups)
		compare(s, val_get_strz(val_at(s->groups, i)), role);
}

static bool run(struct mod_ctx *m)
{
	struct membership s = {.m = m,
	                       .groups = val_list(m->a),
	                       .members = val_list(m->a),
	                       .granted = val_map(m->a),
	                       .revoked = val_map(m->a)};
	if (!psql_open(&s.p, m, mod_arg(m, "login_db")) ||
	    !psql_rows(&s.p,
	               "SELECT rolname AS name, ARRAY(SELECT b.rolname FROM pg_auth_members x JOIN pg_roles "
	               "b ON "
	               "x.roleid = b.oid WHERE x.member = r.oid) AS member_of FROM pg_roles r",
	               &s.known) ||
	    !existing(&s, "groups", s.groups) || !existing(&s, "target_roles", s.members))
		return false;
	bool exact = mod_is(m, "state", "exact");
	for (size_t i = 0; exact && i < val_len(s.members); i++)
		match(&s, val_get_strz(val_at(s.members, i)));
	for (size_t i = 0; !exact && i < val_len(s.groups); i++)
		VAL_EACH (k, s.members)
			compare(&s, val_get_strz(val_at(s.groups, i)), val_get_strz(val_at(s.members, k)));
	mod_sets(m, "state", mod_arg(m, "state"));
	mod_set(m, "groups", s.groups);
	mod_set(m, "target_roles", s.members);
	mod_set(m, "queries", s.p.executed);
	if (!mod_is(m, "state", "absent"))
		mod_set(m, "granted", s.granted);
	if (!mod_is(m, "state", "present"))
		mod_set(m, "revoked", s.revoked);
	return psql_commit(&s.p);
}

static const struct mod_arg args[] = {
        {"groups", MT_LIST, MA_REQUIRED, .aliases = "group|source_role|source_roles", .doc = "The groups."},
        {"target_roles", MT_LIST, MA_REQUIRED, .aliases = "target_role|user|users", .doc = "Their members."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|exact|present",
         .doc = "In them, out of them, or in these and no others."},
        {"fail_on_role", MT_BOOL, .dflt = "true", .doc = "A role that is not there is a failure."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database to connect to."},
        {NULL},
};

const struct module module_row_postgresql_membership = {
        .name = "postgresql_membership",
        .from = "community.postgresql",
        .doc = "Keeps roles of PostgreSQL in groups.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
