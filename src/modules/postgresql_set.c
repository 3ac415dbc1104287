#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include "modules/postgresql_client.h"

struct setting {
	struct mod_ctx *m;
	struct psql p;
	const char *name;
	const struct val *row; /* setting, unit, context, boot_val, shown, pending */
};

static bool look(struct setting *s)
{
	struct arena *a = s->m->a;
	const char *name = psql_text(a, s->name);
	if (!psql_row(&s->p,
	              arena_printf(a,
	                           "SELECT s.name, setting, unit, context, boot_val, current_setting(s.name) "
	                           "AS shown, "
	                           "(SELECT f.setting FROM pg_file_settings f WHERE lower(f.name) = "
	                           "lower(s.name) AND "
	                           "f.sourcefile LIKE '%%postgresql.auto.conf' ORDER BY seqno DESC LIMIT 1) "
	                           "AS pending "
	                           "FROM pg_settings s WHERE lower(name) = lower(%s)",
	                           name),
	              &s->row))
		return false;
	if (!s->row)
		return mod_fail(s->m,
		                "Unable to get %s value due to : unrecognized configuration parameter \"%s\"",
		                s->name, s->name);
	return strcmp(s->name, val_map_strz(s->row, "name", "")) == 0 ||
	       mod_fail(s->m,
	                "No such parameter: %s. Please check its spelling or presence in your PostgreSQL "
	                "version (https://www.postgresql.org/docs/current/runtime-config.html)",
	                s->name);
}

/* ---- values */

/* A number with or without its unit, in bytes or milliseconds. */
static bool quantity(const char *text, double *ret)
{
	static const struct {
		const char *unit;
		double worth;
	} units[] = {
	        {"", 1},
	        {"B", 1},
	        {"kB", 1024.0},
	        {"MB", 1048576.0},
	        {"GB", 1073741824.0},
	        {"TB", 1099511627776.0},
	        {"us", 0.001},
	        {"ms", 1},
	        {"s", 1000},
	        {"min", 60000},
	        {"h", 3600000},
	        {"d", 86400000},
	};
	char *end;
	double n = strtod(text, &end);
	if (end == text)
		return false;
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (strcmp(end, units[i].unit) == 0) {
			*ret = n * units[i].worth;
			return true;
		}
	return false;
}

static int truth(const char *z)
{
	static const char *const yes[] = {"on", "true", "yes"}, *const no[] = {"off", "false", "no"};
	for (size_t i = 0; i < 3; i++)
		if (strcasecmp(z, yes[i]) == 0 || strcasecmp(z, no[i]) == 0)
			return strcasecmp(z, yes[i]) == 0;
	return -1;
}

static bool same(const char *a, const char *b)
{
	double x, y;
	if (strcmp(a, b) == 0 || (truth(a) >= 0 && truth(a) == truth(b)))
		return true;
	return quantity(a, &x) && quantity(b, &y) && x - y < 1e-9 && y - x < 1e-9;
}

/* Memory is told in bytes. */
static struct val *in_bytes(struct mod_ctx *m, const struct val *row, const char *column)
{
	const char *unit = val_map_strz(row, "unit", "");
	struct val *v = val_get(row, column);
	int64_t n;
	bool memory = strcmp(unit, "kB") == 0 || strcmp(unit, "MB") == 0;
	if (memory && v && val_is_str(v) && str_int(val_get_str(v), &n))
		return val_int(m->a, n > 0 ? n * (*unit == 'k' ? 1024 : 1048576) : n);
	return v ? v : val_null();
}

static void say_value(struct mod_ctx *m, const struct val *row)
{
	const char *unit = val_map_strz(row, "unit", "");
	struct val *v = val_map(m->a), *shown = val_get(row, "unit");
	bool memory = strcmp(unit, "kB") == 0 || strcmp(unit, "MB") == 0;
	val_set(v, "value", in_bytes(m, row, "setting"));
	val_set(v, "unit", memory ? val_strz(m->a, "b") : shown ? shown : val_null());
	mod_set(m, "value", v);
}

/* "64mb" is meant as 64MB. */
static const char *wanted(struct mod_ctx *m)
{
	char *z = mod_has(m, "value") ? arena_strdup(m->a, mod_arg(m, "value")) : NULL;
	size_t n = z ? strlen(z) : 0, digits = z ? strspn(z, "0123456789") : 0;
	if (!z || !digits)
		return z && (strcmp(z, "True") == 0 || strcmp(z, "False") == 0) ? (*z == 'T' ? "on" : "off")
		                                                                : z;
	bool unit = n == digits + 2 && (strcmp(z + digits, "mb") == 0 || strcmp(z + digits, "gb") == 0 ||
	                                strcmp(z + digits, "tb") == 0);
	if (unit || (n == digits + 1 && z[digits] == 'b'))
		for (char *p = z + digits; *p; p++)
			*p = (char)toupper((unsigned char)*p);
	return z;
}

/* A value with commas is a list, but in commands and prefixes. */
static const char *sql_value(struct mod_ctx *m, const char *name, const char *value)
{
	struct str n = str_c(name), rest = str_c(value);
	const char *all = "";
	if (strcasecmp(value, "default") == 0)
		return "DEFAULT";
	if (!strchr(value, ',') || str_ends(n, "_command") || str_ends(n, "_prefix"))
		return psql_text(m->a, value);
	while (rest.p) {
		struct str part = str_trim(str_split(&rest, ','));
		all = arena_printf(m->a, "%s%s%s", all, *all ? "," : "",
		                   psql_text(m->a, arena_strndup(m->a, part.p ? part.p : "", part.n)));
	}
	return all;
}

/* ---- */

/* ALTER SYSTEM is no part of a transaction. A reload takes its time. */
static bool set(struct setting *s, const char *value)
{
	struct mod_ctx *m = s->m;
	struct str out;
	const struct val *before = s->row;
	bool restart = strcmp(val_map_strz(before, "context", ""), "postmaster") == 0;
	const char *sql =
	        arena_printf(m->a, "ALTER SYSTEM SET %s = %s;\n%s", psql_dotted(m->a, s->name),
	                     sql_value(m, s->name, value), restart ? "" : "SELECT pg_reload_conf();");
	if (!psql_script(&s->p, sql, &out))
		return false;
	for (int i = 0; i < 20; i++) {
		if (!look(s))
			return false;
		if (restart || !val_equal(val_get(before, "setting"), val_get(s->row, "setting")))
			break;
		usleep(50000);
	}
	mod_sets(m, "value_pretty", restart ? value : val_map_strz(s->row, "shown", ""));
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct setting s = {.m = m, .name = mod_arg(m, "name")};
	const char *value = wanted(m), *shown, *context, *pending;
	bool reset = mod_bool(m, "reset");
	if (value && reset)
		return mod_fail(m, "%s: value and reset params are mutually exclusive", s.name);
	if (!value && !reset)
		return mod_fail(m, "%s: at least one of value or reset param must be specified", s.name);
	if (!psql_open(&s.p, m, mod_arg(m, "login_db")))
		return false;
	s.p.refusal = arena_printf(m->a, "Unable to get %s value due to : ", s.name);
	if (!look(&s))
		return false;
	shown = val_map_strz(s.row, "shown", "");
	context = val_map_strz(s.row, "context", "");
	pending = val_map_strz(s.row, "pending", NULL);
	if (strcmp(context, "internal") == 0)
		return mod_fail(m,
		                "%s: cannot be changed (internal context). See "
		                "https://www.postgresql.org/docs/current/runtime-config-preset.html",
		                s.name);
	bool restart = strcmp(context, "postmaster") == 0;
	mod_sets(m, "name", s.name);
	mod_sets(m, "prev_val_pretty", shown);
	mod_sets(m, "value_pretty", shown);
	mod_sets(m, "context", context);
	mod_setb(m, "restart_required", restart);
	if (reset)
		value = val_map_strz(s.row, "boot_val", "");
	/* What is written already and waits for a restart, or for its time, is not written again. */
	bool right = reset ? same(value, val_map_strz(s.row, "setting", "")) : same(value, shown);
	if (!right && pending && (restart || strcmp(shown, "(disabled)") == 0))
		right = same(value, pending);
	if (!right) {
		mod_changed(m);
		mod_sets(m, "value_pretty", value);
		if (!m->check && !set(&s, value))
			return false;
		if (!m->check && restart)
			mod_warn(m, "Restart of PostgreSQL is required for setting %s", s.name);
	}
	say_value(m, s.row);
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The parameter."},
        {"value", MT_STR, .doc = "Its value; default is the server's own."},
        {"reset", MT_BOOL, .dflt = "false", .doc = "Its value is the one that is built in."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database to connect to."},
        {NULL},
};

const struct module module_row_postgresql_set = {
        .name = "postgresql_set",
        .from = "community.postgresql",
        .doc = "Keeps a parameter of a PostgreSQL server, by ALTER SYSTEM.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
