#include "modules/postgresql_client.h"

static bool run(struct mod_ctx *m)
{
	struct psql p;
	struct str out;
	const char *why;
	struct val *version = val_map(m->a);
	int64_t number = 0;
	mod_setb(m, "is_available", false);
	mod_set(m, "server_version", version);
	mod_sets(m, "conn_err_msg", "");
	if (!psql_open(&p, m, mod_has(m, "login_db") ? mod_arg(m, "login_db") : mod_arg(m, "login_user")) ||
	    !psql_try(&p, "SHOW server_version_num; SELECT version();", &out, &why))
		return false;
	if (why) {
		mod_warn(m, "PostgreSQL server is unavailable: %s", why);
		mod_sets(m, "conn_err_msg", why);
		return true;
	}
	str_int(str_trim(str_split(&out, '\n')), &number);
	struct str raw = str_trim(out), full = raw;
	/* "PostgreSQL 15.4 (Debian ...) on x86_64..." */
	(void)str_split(&full, ' ');
	full = str_split(&full, ' ');
	bool new = number >= 100000;
	mod_setb(m, "is_available", true);
	val_set(version, "full", val_str(m->a, full));
	val_set(version, "raw", val_str(m->a, raw));
	val_set(version, "major", val_int(m->a, number / 10000));
	val_set(version, "minor", val_int(m->a, new ? number % 10000 : number / 100 % 100));
	if (!new)
		val_set(version, "patch", val_int(m->a, number % 100));
	return true;
}

static const struct mod_arg args[] = {
        {"login_db", MT_STR, .aliases = "db", .doc = "The database to connect to."},
        {NULL},
};

const struct module module_row_postgresql_ping = {
        .name = "postgresql_ping",
        .from = "community.postgresql",
        .doc = "Asks whether a PostgreSQL server answers.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        .run = run,
};
