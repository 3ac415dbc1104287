#include "modules/postgresql_client.h"

static bool run(struct mod_ctx *m)
{
	struct psql p;
	const struct val *row;
	struct arena *a = m->a;
	const char *name = mod_arg(m, "name"), *type = mod_arg(m, "slot_type"), *quoted = psql_text(a, name);
	bool absent = mod_is(m, "state", "absent");
	if (absent && (mod_bool(m, "immediately_reserve") || !mod_is(m, "output_plugin", "test_decoding")))
		mod_warn(m, "immediately_reserve and output_plugin are ignored when state=absent");
	if (strcmp(type, "logical") == 0 && mod_bool(m, "immediately_reserve"))
		return mod_fail(
		        m,
		        "Module parameters immediately_reserve and slot_type=logical are mutually exclusive");
	if (!psql_open(&p, m, mod_arg(m, "login_db")) ||
	    !psql_row(&p,
	              arena_printf(a, "SELECT slot_type FROM pg_replication_slots WHERE slot_name = %s",
	                           quoted),
	              &row))
		return false;
	const char *is = row ? val_map_strz(row, "slot_type", "") : "", *sql = NULL;
	if (absent && row)
		sql = arena_printf(a, "SELECT pg_drop_replication_slot(%s)", quoted);
	else if (!absent && row && strcmp(is, type) != 0)
		mod_warn(m, "slot with name '%s' already exists but has another type '%s'", name, is);
	else if (!absent && !row && strcmp(type, "logical") == 0)
		sql = arena_printf(a, "SELECT pg_create_logical_replication_slot(%s, %s)", quoted,
		                   psql_text(a, mod_arg(m, "output_plugin")));
	else if (!absent && !row)
		sql = arena_printf(a, "SELECT pg_create_physical_replication_slot(%s, %s)", quoted,
		                   mod_bool(m, "immediately_reserve") ? "true" : "false");
	if (sql && !psql_do(&p, sql))
		return false;
	mod_sets(m, "name", name);
	mod_set(m, "queries", m->check ? val_list(a) : p.executed);
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "slot_name", .doc = "The slot."},
        {"slot_type", MT_STR, .dflt = "physical", .choices = "logical|physical", .doc = "Its kind."},
        {"immediately_reserve", MT_BOOL, .dflt = "false", .doc = "A physical one keeps the log from now on."},
        {"output_plugin", MT_STR, .dflt = "test_decoding", .doc = "What a logical one is decoded by."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database of a logical one."},
        {NULL},
};

const struct module module_row_postgresql_slot = {
        .name = "postgresql_slot",
        .from = "community.postgresql",
        .doc = "Keeps a replication slot of a PostgreSQL server.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
