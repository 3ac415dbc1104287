#include <stdlib.h>
#include "modules/mysql_client.h"

/* VALUE as a number writes it, when it is one: 3.0 and 3 are two texts and one number. */
static bool as_number(const char *z, double *ret)
{
	char *end;
	*ret = strtod(z, &end);
	return *z && !*end;
}

static bool same(const char *a, const char *b)
{
	double x, y;
	return strcmp(a, b) == 0 || (as_number(a, &x) && as_number(b, &y) && x >= y && x <= y);
}

static bool is_name(const char *z)
{
	return *z &&
	       strspn(z, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == strlen(z);
}

/* The variable's name, each part between dots quoted. */
static const char *quoted(struct arena *a, const char *name)
{
	const char *dot = strchr(name, '.');
	return dot ? arena_printf(a, "%s.%s", mysql_name(a, arena_strndup(a, name, (size_t)(dot - name))),
	                          mysql_name(a, dot + 1))
	           : mysql_name(a, name);
}

static bool change(struct mysql *c, const char *name, const char *value, const char *prev)
{
	static const char *const words[][2] = {
	        {"global", "GLOBAL"}, {"persist", "PERSIST"}, {"persist_only", "PERSIST_ONLY"}};
	struct mod_ctx *m = c->m;
	double n;
	size_t i = 0;
	while (!mod_is(m, "mode", words[i][0]))
		i++;
	const char *head = arena_printf(m->a, "SET %s %s = ", words[i][1], quoted(m->a, name));
	if (!mysql_try(c, arena_printf(m->a, "%s%s", head,
	                               as_number(value, &n) ? value : mysql_text(m->a, value))))
		return m->failed ? false : mod_fail(m, "%s", c->why);
	val_push(c->executed, val_strf(m->a, "%s%s", head, value));
	mod_changed(m);
	mod_set(m, "queries", c->executed);
	mod_setf(m, "msg", "Variable change succeeded prev_value=%s", prev);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct mysql c;
	struct val *rows;
	const char *name = mod_arg(m, "variable"), *value = mod_arg(m, "value"), *stored = NULL, *now;
	bool global = mod_is(m, "mode", "global"), only = mod_is(m, "mode", "persist_only");
	if (!name)
		return mod_fail(m, "Cannot run without variable to operate with");
	if (!is_name(name))
		return mod_fail(m, "invalid variable name \"%s\"", name);
	if (!mysql_open(&c, m, "mysql", true) ||
	    !mysql_rows(&c,
	                arena_printf(m->a, "SHOW VARIABLES WHERE Variable_name = %s", mysql_text(m->a, name)),
	                &rows))
		return false;
	if (val_len(rows) != 1)
		return mod_fail(m, "Variable not available \"%s\"", name);
	now = val_map_strz(val_at(rows, 0), "Value", "");
	if (!value)
		return mod_done(m, false, "%s", now);
	if (!global &&
	    !mysql_value(&c,
	                 arena_printf(m->a,
	                              "SELECT VARIABLE_VALUE FROM performance_schema.persisted_variables "
	                              "WHERE VARIABLE_NAME = %s",
	                              mysql_text(m->a, name)),
	                 &stored))
		return c.errnr == 1146 ? mod_fail(m, "Server version must be 8.0 or greater.") : false;
	if (global && same(value, now))
		return mod_done(m, false, "Variable is already set to requested value.");
	if (!global && !only && stored && same(value, now) && same(value, stored))
		return mod_done(m, false,
		                "Variable is already set to requested value globally"
		                "and stored into mysqld-auto.cnf file.");
	if (only && stored && same(value, stored))
		return mod_done(m, false,
		                "Variable is already stored into mysqld-auto.cnf with requested value.");
	return change(&c, name, value, only ? stored ? stored : "False" : now);
}

static const struct mod_arg args[] = {
        {"variable", MT_STR, .doc = "The variable."},
        {"value", MT_STR, .doc = "What it shall be; without, it is only shown."},
        {"mode", MT_STR, .dflt = "global", .choices = "global|persist|persist_only", .doc = "For how long."},
        {NULL},
};

const struct module module_row_mysql_variables = {
        .name = "mysql_variables",
        .from = "community.mysql",
        .doc = "Sets a global variable of MariaDB or MySQL.",
        .args = args,
        .shared = mysql_args,
        .run = run,
};
