#include <stdlib.h>
#include "modules/mysql_client.h"

struct info {
	struct mod_ctx *m;
	struct mysql c;
	struct val *out; /* by topic */
	const struct val *excluded;
};

/* A number where the text is one. */
static struct val *converted(struct arena *a, struct val *v)
{
	int64_t n;
	return val_is_str(v) && str_int(val_get_str(v), &n) ? val_int(a, n) : v;
}

static bool ask(struct info *t, const char *sql, struct val **rows)
{
	return mysql_query(&t->c, sql, rows) ||
	       (t->m->failed ? false : mod_fail(t->m, "Cannot execute SQL '%s': %s", sql, t->c.why));
}

/* The map at KEY of MAP, made when it is not there. */
static struct val *below(struct arena *a, struct val *map, struct val *key)
{
	struct val *v = val_getk(map, key);
	if (!v)
		val_setk(map, key, v = val_map(a));
	return v;
}

/* The rows, each below its values of KEYS (ended by NULL), the others as members. */
static bool tree(struct info *t, const char *topic, const char *sql, const char *const *keys, bool convert)
{
	struct arena *a = t->m->a;
	struct val *rows, *map = val_get(t->out, topic);
	if (!ask(t, sql, &rows))
		return false;
	VAL_EACH (i, rows) {
		const struct val *row = val_at(rows, i);
		struct val *at = map;
		for (const char *const *k = keys; *k; k++) {
			struct val *key = val_get(row, *k);
			at = below(a, at,
			           strcmp(*k, "Host") == 0 || strcmp(*k, "User") == 0 ? key
			                                                              : converted(a, key));
		}
		MAP_EACH (c, row) {
			bool is_key = false;
			for (const char *const *k = keys; *k; k++)
				is_key = is_key || strcmp(val_get_strz(val_key_at(row, c)), *k) == 0;
			if (!is_key)
				val_setk(at, val_key_at(row, c),
				         convert ? converted(a, val_value_at(row, c)) : val_value_at(row, c));
		}
	}
	return true;
}

static bool pairs(struct info *t, const char *topic, const char *sql)
{
	struct val *rows, *map = val_get(t->out, topic);
	if (!ask(t, sql, &rows))
		return false;
	VAL_EACH (i, rows) {
		struct val *value = val_get(val_at(rows, i), "Value");
		val_sets(map, val_map_str(val_at(rows, i), "Variable_name", ""), converted(t->m->a, value));
	}
	return true;
}

static bool get_settings(struct info *t)
{
	return pairs(t, "settings", "SHOW GLOBAL VARIABLES");
}

static bool get_version(struct info *t)
{
	static const char *const names[] = {"major", "minor", "release"};
	struct arena *a = t->m->a;
	struct val *v = val_get(t->out, "version");
	const char *full, *p;
	if (!mysql_value(&t->c, "SELECT @@GLOBAL.version", &full))
		return false;
	p = full ? full : "";
	for (size_t i = 0; i < 3; i++) {
		char *end;
		val_set(v, names[i], val_int(a, strtoll(p, &end, 10)));
		p = *end == '.' || *end == '-' ? end + 1 : end;
	}
	val_set(v, "suffix", val_strz(a, p));
	val_set(v, "full", val_strz(a, full ? full : ""));
	return true;
}

static bool get_databases(struct info *t)
{
	struct arena *a = t->m->a;
	struct val *rows, *map = val_get(t->out, "databases");
	bool sizes = true;
	for (size_t i = 0; t->excluded && i < val_len(t->excluded); i++)
		sizes = sizes && !str_eqc(str_trim(val_text(val_at(t->excluded, i), a)), "db_size");
	if (!ask(t,
	         "SELECT table_schema AS name, CAST(SUM(COALESCE(data_length + index_length, 0)) AS SIGNED) "
	         "AS size FROM "
	         "information_schema.TABLES GROUP BY table_schema",
	         &rows))
		return false;
	for (int empty = 0; empty < 2; empty++) {
		VAL_EACH (i, rows) {
			const struct val *row = val_at(rows, i);
			struct val *name = val_value_at(row, 0);
			if (val_getk(map, name))
				continue;
			struct val *v = below(a, map, name);
			if (sizes)
				val_set(v, "size", val_int(a, val_map_int(row, "size", 0)));
		}
		if (empty || !mod_bool(t->m, "return_empty_dbs"))
			return true;
		if (!ask(t, "SHOW DATABASES", &rows))
			return false;
	}
	return true;
}

static bool get_status(struct info *t)
{
	return pairs(t, "global_status", "SHOW GLOBAL STATUS");
}

static bool get_engines(struct info *t)
{
	return tree(t, "engines", "SHOW ENGINES", (const char *const[]){"Engine", NULL}, false);
}

static bool get_users(struct info *t)
{
	return tree(t, "users", "SELECT * FROM mysql.user", (const char *const[]){"Host", "User", NULL},
	            true);
}

static bool get_master(struct info *t)
{
	return tree(t, "master_status", "SHOW MASTER STATUS", (const char *const[]){NULL}, true);
}

static bool get_slave(struct info *t)
{
	return tree(t, "slave_status", "SHOW SLAVE STATUS",
	            (const char *const[]){"Master_Host", "Master_Port", "Master_User", NULL}, true);
}

static bool get_slaves(struct info *t)
{
	return tree(t, "slave_hosts", "SHOW SLAVE HOSTS", (const char *const[]){"Server_id", NULL}, true);
}

static const struct topic {
	const char *name;
	bool (*get)(struct info *t);
} topics[] = {
        {"version", get_version},      {"databases", get_databases}, {"settings", get_settings},
        {"global_status", get_status}, {"engines", get_engines},     {"users", get_users},
        {"master_status", get_master}, {"slave_hosts", get_slaves},  {"slave_status", get_slave},
};

enum { TOPICS = sizeof(topics) / sizeof(*topics) };

/* What filter leaves: only what it names, or all but what it names with an exclamation mark. */
static void pick(struct mod_ctx *m, bool want[TOPICS])
{
	const struct val *filter = mod_list(m, "filter");
	bool only = false, out[TOPICS] = {false};
	VAL_EACH (i, filter) {
		struct str s = str_trim(val_text(val_at(filter, i), m->a));
		bool leave = str_starts(s, "!"), known = false;
		for (size_t k = 0; k < TOPICS; k++)
			if (str_eqc(leave ? str_from(s, 1) : s, topics[k].name)) {
				known = true;
				*(leave ? &out[k] : &want[k]) = true;
				only = only || !leave;
			}
		if (!known)
			mod_warn(m, "filter element: %.*s is not allowable, ignored", STR_FMT(s));
	}
	for (size_t k = 0; k < TOPICS; k++)
		want[k] = only ? want[k] : !out[k];
}

static bool run(struct mod_ctx *m)
{
	struct info t = {.m = m, .out = val_map(m->a), .excluded = val_get(m->args, "exclude_fields")};
	bool want[TOPICS] = {false};
	pick(m, want);
	if (!mysql_open(&t.c, m, mod_arg(m, "login_db"), false))
		return false;
	for (size_t i = 0; i < TOPICS; i++) {
		struct val *v = val_map(m->a);
		val_set(t.out, topics[i].name, v);
		if (want[i] && !topics[i].get(&t))
			return false;
		if (want[i])
			mod_set(m, topics[i].name, v);
	}
	mod_sets(m, "connector_name", "pymysql");
	mod_sets(m, "connector_version", "1.0.2");
	return true;
}

static const struct mod_arg args[] = {
        {"login_db", MT_STR, .doc = "The database to start in."},
        {"filter", MT_LIST, .elem = MT_RAW, .doc = "What to tell; !NAME leaves it out."},
        {"exclude_fields", MT_LIST, .elem = MT_RAW, .doc = "db_size: how large databases are."},
        {"return_empty_dbs", MT_BOOL, .dflt = "false", .doc = "Tell of databases without tables, too."},
        {NULL},
};

const struct module module_row_mysql_info = {
        .name = "mysql_info",
        .from = "community.mysql",
        .doc = "Tells about a server of MariaDB or MySQL.",
        .args = args,
        .shared = mysql_args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        .run = run,
};
