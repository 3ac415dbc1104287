#include <stdlib.h>
#include <strings.h>
#include "modules/mysql_client.h"

struct query {
	struct mod_ctx *m;
	struct mysql c;
	struct val *executed, *results, *counts;
};

/* ---- arguments put into a statement */

/* A value as a literal. */
static const char *literal(struct arena *a, const struct val *v)
{
	if (val_is_null(v))
		return "NULL";
	struct str s = val_text(v, a);
	const char *z = arena_strndup(a, s.p ? s.p : "", s.n);
	if (val_kind(v) == VAL_BOOL)
		return val_get_bool(v) ? "true" : "false";
	return val_is_num(v) ? z : mysql_text(a, z);
}

/* Q with %s, %(name)s and %% replaced; NULL when an argument lacks. */
static const char *filled(struct query *q, const char *z)
{
	const struct val *list = mod_list(q->m, "positional_args"),
	                 *named = val_get(q->m->args, "named_args");
	struct arena *a = q->m->a;
	struct buf b = {0};
	size_t next = 0;
	if (!val_len(list) && !(named && val_len(named)))
		return z;
	for (; *z; z++) {
		const char *end = z[0] == '%' && z[1] == '(' ? strstr(z, ")s") : NULL;
		const struct val *v = NULL;
		if (z[0] == '%' && z[1] == '%') {
			buf_addc(&b, *z++);
			continue;
		}
		if (end)
			v = named ? val_gets(named, str_n(z + 2, (size_t)(end - z - 2))) : NULL;
		else if (z[0] == '%' && z[1] == 's')
			v = val_at(list, next++);
		else {
			buf_addc(&b, *z);
			continue;
		}
		if (!v) {
			buf_free(&b);
			return NULL;
		}
		buf_adds(&b, literal(a, v));
		z = end ? end + 1 : z + 1;
	}
	struct str s = buf_take(&b, a);
	buf_free(&b);
	return s.p ? s.p : "";
}

/* ---- results as the types their columns have */

enum type { TEXT, INTEGER, REAL, MOMENT };

static enum type type_of(struct str kind)
{
	static const struct {
		const char *name;
		enum type type;
	} types[] = {
	        {"TINY", INTEGER},    {"SHORT", INTEGER},   {"LONG", INTEGER},    {"LONGLONG", INTEGER},
	        {"INT24", INTEGER},   {"YEAR", INTEGER},    {"FLOAT", REAL},      {"DOUBLE", REAL},
	        {"DECIMAL", REAL},    {"NEWDECIMAL", REAL}, {"DATETIME", MOMENT}, {"TIMESTAMP", MOMENT},
	        {"OLDDECIMAL", REAL},
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_eqc(kind, types[i].name))
			return types[i].type;
	return TEXT;
}

static struct val *typed(struct arena *a, struct val *v, enum type type)
{
	int64_t n;
	if (val_is_null(v))
		return v;
	struct str s = val_get_str(v);
	if (type == INTEGER && str_int(s, &n))
		return val_int(a, n);
	if (type == REAL)
		return val_float(a, strtod(s.p, NULL));
	if (type == MOMENT && s.n > 10 && s.p[10] == ' ')
		return val_strf(a, "%.10sT%s", s.p, s.p + 11);
	return v;
}

/* Whether some value begins as a number or a moment does: only then is it worth asking for types. */
static bool has_digits(const struct val *rows)
{
	VAL_EACH (i, rows) {
		const struct val *row = val_at(rows, i);
		MAP_EACH (k, row) {
			const struct val *v = val_value_at(row, k);
			if (val_is_str(v) && val_get_str(v).n && strchr("+-.0123456789", val_get_strz(v)[0]))
				return true;
		}
	}
	return false;
}

static bool starts(const char *sql, const char *const *words)
{
	while (strchr(" \t\r\n(", *sql) && *sql)
		sql++;
	for (; *words; words++)
		if (strncasecmp(sql, *words, strlen(*words)) == 0)
			return true;
	return false;
}

/* The client does not say of what type a column is where it says where a value ends: a statement that only
 * reads is asked twice. */
static struct val *with_types(struct query *q, const char *sql, struct val *rows)
{
	static const char *const readers[] = {"SELECT", "SHOW", "WITH", "DESC", "EXPLAIN", "VALUES", NULL};
	struct arena *a = q->m->a;
	if (!has_digits(rows) || !starts(sql, readers))
		return rows;
	struct val *kinds = mysql_kinds(&q->c, sql), *out = val_list(a);
	VAL_EACH (i, rows) {
		const struct val *row = val_at(rows, i);
		struct val *r = val_map(a);
		MAP_EACH (k, row) {
			const struct val *kind = kinds ? val_at(kinds, k) : NULL;
			val_setk(r, val_key_at(row, k),
			         typed(a, val_value_at(row, k), kind ? type_of(val_get_str(kind)) : TEXT));
		}
		val_push(out, r);
	}
	return out;
}

/* ---- */

static bool contains(const char *sql, const char *word)
{
	enum { HEAD = 8 }; /* as far as the longest word goes */
	char head[HEAD + 1] = {0};
	while (*sql && strchr(" \t\r\n", *sql))
		sql++;
	for (size_t i = 0; i < HEAD && sql[i]; i++)
		head[i] = (char)(sql[i] >= 'a' && sql[i] <= 'z' ? sql[i] - 32 : sql[i]);
	return strstr(head, word) != NULL;
}

static void note_change(struct query *q, const char *sql, int64_t count)
{
	static const char *const rows[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", NULL};
	static const char *const things[] = {"CREATE", "DROP", "ALTER", "RENAME", "TRUNCATE", NULL};
	for (const char *const *w = rows; *w; w++)
		if (contains(sql, *w) && count > 0)
			mod_changed(q->m);
	for (const char *const *w = things; *w; w++)
		if (contains(sql, *w))
			mod_changed(q->m);
}

/* SQL without what ends it. */
static const char *bare(struct arena *a, const char *sql)
{
	size_t n = strlen(sql);
	while (n && strchr("; \t\r\n", sql[n - 1]))
		n--;
	return arena_strndup(a, sql, n);
}

static bool refused(struct query *q, const char *sql)
{
	const struct val *list = mod_list(q->m, "positional_args"),
	                 *named = val_get(q->m->args, "named_args");
	struct buf b = {0};
	if (val_len(list))
		val_repr(list, &b);
	else if (named && val_len(named))
		val_repr(named, &b);
	else
		buf_adds(&b, "None");
	mod_fail(q->m, "Cannot execute SQL '%s' args [%.*s]: %s", sql, STR_FMT(buf_str(&b)),
	         q->c.why ? q->c.why : "not enough arguments for format string");
	buf_free(&b);
	return false;
}

#define MARK "nante_row_count"

/* Whether SET is what stands behind each statement; *N is its count of rows, -1 for what only reads. */
static bool is_mark(const struct val *set, int64_t *n)
{
	if (val_len(set) != 1 || !val_get(val_at(set, 0), MARK))
		return false;
	*n = val_map_int(val_at(set, 0), MARK, 0);
	return true;
}

/* The statements in one script of one session, each with its mark. */
static const char *script_of(struct query *q, const struct val *texts)
{
	bool whole = mod_bool(q->m, "single_transaction");
	struct buf b = {0};
	buf_adds(&b, whole ? "START TRANSACTION;\n" : "");
	VAL_EACH (i, texts)
		buf_printf(&b, "%s\n;\nSELECT ROW_COUNT() AS " MARK ";\n", val_get_strz(val_at(texts, i)));
	buf_adds(&b, whole ? "COMMIT" : "DO 0");
	const char *z = buf_take(&b, q->m->a).p;
	buf_free(&b);
	return z;
}

static void take_results(struct query *q, const struct val *list, const struct val *texts,
                         const struct val *sets)
{
	struct val *rows = val_list(q->m->a);
	VAL_EACH (i, sets) {
		struct val *set = val_at(sets, i);
		size_t at = val_len(q->counts);
		int64_t n;
		if (!is_mark(set, &n)) {
			rows = set;
			continue;
		}
		n = n < 0 ? (int64_t)val_len(rows) : n;
		val_push(q->results, with_types(q, val_get_strz(val_at(texts, at)), rows));
		val_push(q->executed, val_at(texts, at));
		val_push(q->counts, val_int(q->m->a, n));
		note_change(q, val_get_strz(val_at(list, at)), n);
		rows = val_list(q->m->a);
	}
}

static bool run_all(struct query *q, const struct val *list)
{
	struct val *texts = val_list(q->m->a), *sets;
	VAL_EACH (i, list) {
		const char *sql = val_get_strz(val_at(list, i)), *text = filled(q, sql);
		if (!text)
			return refused(q, sql);
		val_push(texts, val_strz(q->m->a, bare(q->m->a, text)));
	}
	bool ok = mysql_results(&q->c, script_of(q, texts), &sets);
	const char *why = q->c.why;
	if (q->m->failed)
		return false;
	take_results(q, list, texts, sets);
	q->c.why = why;
	if (!ok)
		return refused(q, val_get_strz(val_at(list, val_len(q->counts))));
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct query q = {
	        .m = m, .executed = val_list(m->a), .results = val_list(m->a), .counts = val_list(m->a)};
	struct val *given = val_get(m->args, "query"), *list = given;
	if (!val_is_list(given)) {
		list = val_list(m->a);
		val_push(list, given);
	}
	VAL_EACH (i, list)
		if (!val_is_str(val_at(list, i)))
			return mod_fail(m, "the query option value must be a string or list, passed %s",
			                val_type_name(val_at(list, i)));
	if (!mysql_open(&q.c, m, mod_arg(m, "login_db"), false) || !run_all(&q, list))
		return false;
	mod_set(m, "executed_queries", q.executed);
	mod_set(m, "query_result", q.results);
	mod_set(m, "rowcount", q.counts);
	return true;
}

static const struct mod_arg args[] = {
        {"query", MT_RAW, MA_REQUIRED, .doc = "A statement, or several."},
        {"login_db", MT_STR, .doc = "The database to start in."},
        {"positional_args", MT_LIST, .elem = MT_RAW, .doc = "What %s stands for."},
        {"named_args", MT_DICT, .doc = "What %(name)s stands for."},
        {"single_transaction", MT_BOOL, .dflt = "false", .doc = "All of them, or none."},
        {NULL},
};

const struct module module_row_mysql_query = {
        .name = "mysql_query",
        .from = "community.mysql",
        .doc = "Runs statements on MariaDB or MySQL.",
        .args = args,
        .shared = mysql_args,
        .mutually_exclusive = "positional_args|named_args",
        .run = run,
};
