#include "modules/postgresql_client.h"

static bool drop(struct psql *p, const char *name)
{
	struct mod_ctx *m = p->m;
	struct str out;
	const char *why, *sql = arena_printf(m->a, "DROP LANGUAGE %s%s", name,
	                                     mod_bool(m, "cascade") ? " CASCADE" : "");
	val_push(p->executed, val_strz(m->a, sql));
	mod_setb(m, "lang_dropped", true);
	if (m->check) {
		mod_changed(m);
		return true;
	}
	if (!psql_try(p, arena_printf(m->a, "%s;", sql), &out, &why))
		return false;
	if (!why)
		mod_changed(m);
	mod_setb(m, "lang_dropped", !why);
	return !why || !mod_bool(m, "fail_on_drop") ||
	       mod_fail(m, "unable to drop language, use cascade to delete dependencies or "
	                   "fail_on_drop=false to ignore");
}

static void set_trust(struct psql *p, const char *lang)
{
	psql_later(p, "UPDATE pg_language SET lanpltrusted = %s WHERE lanname = %s",
	           mod_bool(p->m, "trust") ? "true" : "false", psql_text(p->m->a, lang));
}

static bool run(struct mod_ctx *m)
{
	struct psql p;
	const struct val *row;
	const char *lang = mod_arg(m, "lang"), *name = psql_name(m->a, lang), *owner = mod_arg(m, "owner");
	bool trust = mod_bool(m, "trust");
	if (!psql_open(&p, m, mod_arg(m, "login_db")) ||
	    !psql_row(&p,
	              arena_printf(m->a,
	                           "SELECT lanpltrusted AS trusted, pg_get_userbyid(lanowner) AS owner FROM "
	                           "pg_language WHERE lanname = %s",
	                           psql_text(m->a, lang)),
	              &row))
		return false;
	mod_sets(m, "db", mod_arg(m, "login_db"));
	mod_sets(m, "lang", lang);
	mod_setb(m, "trust", trust);
	mod_set(m, "queries", p.executed);
	if (mod_is(m, "state", "absent"))
		return !row || drop(&p, name);
	if (!row) {
		psql_later(&p, "CREATE %sLANGUAGE %s", trust ? "TRUSTED " : "", name);
		if (mod_bool(m, "force_trust"))
			set_trust(&p, lang);
	} else if (val_map_bool(row, "trusted", false) != trust)
		set_trust(&p, lang);
	if (owner && !(row && strcmp(owner, val_map_strz(row, "owner", "")) == 0))
		psql_later(&p, "ALTER LANGUAGE %s OWNER TO %s", name, psql_name(m->a, owner));
	return psql_commit(&p);
}

static const struct mod_arg args[] = {
        {"lang", MT_STR, MA_REQUIRED, .aliases = "name", .doc = "The language."},
        {"login_db", MT_STR, MA_REQUIRED, .aliases = "db", .doc = "The database it is in."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"trust", MT_BOOL, .dflt = "false", .doc = "Everybody may use it."},
        {"force_trust", MT_BOOL, .dflt = "false", .doc = "Even when the server thinks otherwise."},
        {"cascade", MT_BOOL, .dflt = "false", .doc = "Remove what is written in it, too."},
        {"fail_on_drop", MT_BOOL, .dflt = "true", .doc = "One that cannot be removed is a failure."},
        {"owner", MT_STR, .doc = "The role that owns it."},
        {NULL},
};

const struct module module_row_postgresql_lang = {
        .name = "postgresql_lang",
        .from = "community.postgresql",
        .doc = "Keeps a procedural language of a PostgreSQL database.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
