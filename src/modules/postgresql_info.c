#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include "base/json.h"
#include "modules/postgresql_client.h"

/* What is told of a server: each is one value, as JSON. */
static const struct subset {
	const char *name, *sql;
} subsets[] = {
        {"in_recovery", "SELECT to_json(pg_is_in_recovery())"},
        {"tablespaces",
         "SELECT json_object_agg(spcname, json_build_object('spcowner', pg_get_userbyid(spcowner), 'spcacl', "
         "coalesce(spcacl::text, ''), 'spcoptions', coalesce(spcoptions, '{}'))) FROM pg_tablespace"},
        {"replications",
         "SELECT coalesce(json_object_agg(pid, json_build_object('usename', pg_get_userbyid(usesysid), "
         "'app_name', "
         "coalesce(application_name, ''), 'client_addr', client_addr, 'client_hostname', "
         "coalesce(client_hostname, "
         "''), 'backend_start', backend_start::text, 'state', state)), '{}') FROM pg_stat_replication"},
        {"repl_slots", "SELECT coalesce(json_object_agg(slot_name, json_build_object('plugin', plugin, "
                       "'slot_type', slot_type, "
                       "'database', database, 'active', active)), '{}') FROM pg_replication_slots"},
        {"settings",
         "SELECT json_object_agg(name, json_build_object('setting', setting, 'unit', coalesce(unit, ''), "
         "'context', "
         "context, 'vartype', vartype, 'boot_val', coalesce(boot_val, ''), 'min_val', coalesce(min_val, ''), "
         "'max_val', coalesce(max_val, ''), 'sourcefile', coalesce(sourcefile, ''), 'pretty_val', "
         "current_setting(name, true), 'pending_restart', pending_restart)::jsonb || CASE unit WHEN 'kB' "
         "THEN "
         "jsonb_build_object('val_in_bytes', greatest(setting::numeric * 1024, 0)) WHEN '8kB' THEN "
         "jsonb_build_object('val_in_bytes', greatest(setting::numeric * 8192, 0)) WHEN 'MB' THEN "
         "jsonb_build_object('val_in_bytes', greatest(setting::numeric * 1048576, 0)) ELSE '{}' END) FROM "
         "pg_settings"},
        {"roles",
         "SELECT json_object_agg(rolname, json_build_object('superuser', rolsuper, 'canlogin', rolcanlogin, "
         "'valid_until', coalesce(rolvaliduntil::text, ''), 'member_of', ARRAY(SELECT b.rolname FROM "
         "pg_auth_members x "
         "JOIN pg_roles b ON x.roleid = b.oid WHERE x.member = r.oid))) FROM pg_roles r WHERE rolname !~ "
         "'^pg_'"},
};

static const char databases[] =
        "SELECT json_object_agg(datname, json_build_object('owner', pg_get_userbyid(datdba), 'encoding', "
        "pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype, 'access_priv', "
        "coalesce(array_to_string(datacl, E'\\n'), ''), 'size', CASE WHEN has_database_privilege(datname, "
        "'CONNECT') "
        "THEN pg_database_size(datname)::text ELSE 'No Access' END)) FROM pg_database WHERE datname <> "
        "'template0'";

/* What is told from within each database. */
static const char within[] =
        "SELECT json_build_object('namespaces', (SELECT json_object_agg(nspname, "
        "json_build_object('nspowner', "
        "pg_get_userbyid(nspowner), 'nspacl', coalesce(nspacl::text, ''))) FROM pg_namespace), 'languages', "
        "(SELECT "
        "json_object_agg(lanname, json_build_object('lanowner', pg_get_userbyid(lanowner), 'lanacl', "
        "coalesce(lanacl::text, ''))) FROM pg_language), 'extensions', (SELECT json_object_agg(extname, "
        "json_build_object('extversion', json_build_object('major', (substring(extversion FROM "
        "'^([0-9]+)[0-9.-]*$'))::int, 'minor', (substring(extversion FROM "
        "'^[0-9]+[.-]([0-9]+)[0-9.-]*$'))::int, 'raw', "
        "extversion), 'nspname', nspname, 'description', obj_description(e.oid, 'pg_extension'))) FROM "
        "pg_extension e "
        "JOIN pg_namespace n ON n.oid = extnamespace), 'publications', coalesce((SELECT "
        "json_object_agg(pubname, "
        "to_jsonb(p) - 'pubname' || jsonb_build_object('ownername', pg_get_userbyid(pubowner))) FROM "
        "pg_publication p), "
        "'{}'), 'subscriptions', %s)";

static const char subscriptions[] = "coalesce((SELECT json_object_agg(subname, to_jsonb(s) - 'subname' || "
                                    "jsonb_build_object('ownername', "
                                    "pg_get_userbyid(subowner))) FROM pg_subscription s JOIN pg_database d "
                                    "ON subdbid = d.oid WHERE datname = "
                                    "current_database()), '{}')";

static bool wanted(struct mod_ctx *m, const char *name)
{
	const struct val *filter = mod_list(m, "filter");
	bool any = false, hit = false, excluded = false;
	VAL_EACH (i, filter) {
		const char *word = val_get_strz(val_at(filter, i));
		if (*word == '!')
			excluded = excluded || fnmatch(word + 1, name, 0) == 0;
		else {
			any = true;
			hit = hit || fnmatch(word, name, 0) == 0;
		}
	}
	return any ? hit : !excluded;
}

static bool ask(struct psql *p, const char *sql, struct val **ret)
{
	struct str out;
	struct err e = {0};
	if (!psql_script(p, arena_printf(p->m->a, "%s;", sql), &out))
		return false;
	return json_parse(p->m->a, str_trim(out), 0, ret, &e) || mod_fail_err(p->m, &e);
}

/* "PostgreSQL 15.3 (Debian ...) on ..." */
static bool say_version(struct psql *p)
{
	struct mod_ctx *m = p->m;
	static const char *const parts[] = {"major", "minor", "patch"};
	struct val *raw, *v = val_map(m->a);
	if (!ask(p, "SELECT to_json(version())", &raw))
		return false;
	struct str rest = val_get_str(raw), full;
	(void)str_split(&rest, ' ');
	full = str_split(&rest, ' ');
	val_set(v, "raw", raw);
	val_set(v, "full", val_str(m->a, full));
	for (size_t i = 0; i < 3 && full.p; i++) {
		struct str part = str_split(&full, '.');
		int64_t n;
		if (str_int(part, &n))
			val_set(v, parts[i], val_int(m->a, n));
	}
	mod_set(m, "version", v);
	return true;
}

/* A database that is not open to us says so. Who may not see subscriptions' secrets sees none of them. */
static bool say_within(struct mod_ctx *m, const char *db, struct val *entry)
{
	struct psql p;
	struct str out;
	struct val *more = NULL;
	struct err e = {0};
	const char *why;
	if (!psql_open(&p, m, db) || !psql_try(&p, arena_printf(m->a, within, subscriptions), &out, &why) ||
	    (why && !p.no_server && !psql_try(&p, arena_printf(m->a, within, "'{}'::json"), &out, &why)))
		return false;
	if (why) {
		val_set(entry, "namespaces", val_map(m->a));
		val_set(entry, "extensions", val_map(m->a));
		val_set(entry, "languages", val_map(m->a));
		val_set(entry, "error", val_strz(m->a, "Could not connect to the database."));
		return true;
	}
	if (!json_parse(m->a, str_trim(out), 0, &more, &e))
		return mod_fail_err(m, &e);
	MAP_EACH (i, more)
		val_setk(entry, val_key_at(more, i), val_value_at(more, i));
	return true;
}

static bool say_databases(struct psql *p)
{
	struct mod_ctx *m = p->m;
	struct val *all;
	if (!ask(p, databases, &all))
		return false;
	MAP_EACH (i, all)
		if (!say_within(m, val_get_strz(val_key_at(all, i)), val_value_at(all, i)))
			return false;
	mod_set(m, "databases", all);
	return true;
}

static void say_pending(struct mod_ctx *m)
{
	const struct val *settings = val_get(m->result, "settings");
	struct val *list = val_list(m->a);
	MAP_EACH (i, settings)
		if (val_map_bool(val_value_at(settings, i), "pending_restart", false))
			val_push(list, val_key_at(settings, i));
	mod_set(m, "pending_restart_settings", list);
}

static bool run(struct mod_ctx *m)
{
	struct psql p;
	if (!psql_open(&p, m, mod_arg(m, "login_db")))
		return false;
	mod_set(m, "version", val_map(m->a));
	mod_set(m, "databases", val_map(m->a));
	for (size_t i = 0; i < sizeof(subsets) / sizeof(*subsets); i++) {
		struct val *v = i ? val_map(m->a) : val_null();
		if (wanted(m, subsets[i].name) && !ask(&p, subsets[i].sql, &v))
			return false;
		mod_set(m, subsets[i].name, v);
	}
	say_pending(m);
	return (!wanted(m, "version") || say_version(&p)) && (!wanted(m, "databases") || say_databases(&p));
}

static const struct mod_arg args[] = {
        {"filter", MT_LIST,
         .doc = "What to tell: version, databases, settings, rol* ..., or what not: !settings."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database to connect to."},
        {NULL},
};

const struct module module_row_postgresql_info = {
        .name = "postgresql_info",
        .from = "community.postgresql",
        .doc = "Tells about a PostgreSQL server.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        .run = run,
};
