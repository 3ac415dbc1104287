#include <strings.h>
#include "modules/postgresql_client.h"

/* A table, or a query in brackets. */
static const char *source(struct arena *a, const char *src)
{
	for (const char *z = src; *z; z++)
		if (strncasecmp(z, "SELECT ", 7) == 0)
			return arena_printf(a, "(%s)", src);
	return psql_dotted(a, src);
}

/* Those whose value is a text of SQL. */
static bool takes_text(const char *option)
{
	static const char *const names[] = {"DELIMITER", "NULL", "QUOTE", "ESCAPE", "ENCODING"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(option, names[i]) == 0)
			return true;
	return false;
}

static const char *options(struct mod_ctx *m)
{
	const struct val *map = val_get(m->args, "options");
	const char *z = "";
	for (size_t i = 0; map && i < val_len(map); i++) {
		const char *name = val_get_strz(val_key_at(map, i)),
		           *v = val_text(val_value_at(map, i), m->a).p;
		z = arena_printf(m->a, "%s%s%s %s", z, i ? ", " : " (", name,
		                 takes_text(name) ? psql_text(m->a, v) : v);
	}
	return *z ? arena_printf(m->a, "%s)", z) : z;
}

static bool copy(struct psql *p, const char *table, const char *file, const char *way)
{
	struct mod_ctx *m = p->m;
	struct str out;
	const struct val *columns = mod_list(m, "columns");
	const char *named = source(m->a, table),
	           *sql = arena_printf(m->a, "COPY %s%s%s%s %s%s %s%s", named, val_len(columns) ? " (" : "",
	                               psql_joined(m->a, columns), val_len(columns) ? ")" : "", way,
	                               mod_bool(m, "program") ? " PROGRAM" : "", psql_text(m->a, file),
	                               options(m));
	/* The table is looked at in check mode, too. */
	if (m->check && !psql_script(p, arena_printf(m->a, "SELECT 1 FROM %s q LIMIT 0;", named), &out))
		return false;
	return psql_do(p, sql);
}

static bool run(struct mod_ctx *m)
{
	struct psql p;
	bool from = mod_has(m, "copy_from"), to = mod_has(m, "copy_to");
	const char *src = mod_arg(m, from ? "copy_from" : "src"), *dst = mod_arg(m, to ? "copy_to" : "dst");
	if (from && !dst)
		return mod_fail(m, "dst param is necessary with copy_from");
	if (to && !src)
		return mod_fail(m, "src param is necessary with copy_to");
	if (!psql_open(&p, m, mod_has(m, "login_db") ? mod_arg(m, "login_db") : mod_arg(m, "login_user")) ||
	    (from && !copy(&p, dst, src, "FROM")) || (to && !copy(&p, src, dst, "TO")))
		return false;
	mod_set(m, "queries", p.executed);
	mod_sets(m, "src", from || to ? src : "");
	mod_sets(m, "dst", from || to ? dst : "");
	return true;
}

static const struct mod_arg args[] = {
        {"copy_to", MT_PATH, .aliases = "to", .doc = "The server's file to write."},
        {"copy_from", MT_PATH, .aliases = "from", .doc = "The server's file to read."},
        {"src", MT_STR, .aliases = "source", .doc = "The table or query that is written."},
        {"dst", MT_STR, .aliases = "destination", .doc = "The table it is read into."},
        {"columns", MT_LIST, .aliases = "column", .doc = "Which columns."},
        {"options", MT_DICT, .doc = "Options of COPY."},
        {"program", MT_BOOL, .dflt = "false", .doc = "The file is a command of the server's."},
        {"login_db", MT_STR, .aliases = "db", .doc = "The database to connect to."},
        {NULL},
};

const struct module module_row_postgresql_copy = {
        .name = "postgresql_copy",
        .from = "community.postgresql",
        .doc = "Copies between a table of PostgreSQL and a file of its server.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "copy_from|copy_to;copy_from|src;copy_to|dst",
        .run = run,
};
