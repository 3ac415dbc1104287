#include <ctype.h>
#include <strings.h>
#include "base/json.h"
#include "modules/postgresql_client.h"

struct query {
	struct mod_ctx *m;
	struct psql p;
	struct val *statements, *messages, *results;
	int64_t rowcount;
};

/* ---- arguments into the text */

static const char *literal(struct mod_ctx *m, const struct val *v)
{
	struct buf b = {0};
	const char *z;
	switch (val_kind(v)) {
	case VAL_NULL: return "NULL";
	case VAL_BOOL: return val_get_bool(v) ? "true" : "false";
	case VAL_INT:
	case VAL_FLOAT: return val_text(v, m->a).p;
	case VAL_LIST:
		buf_adds(&b, "ARRAY[");
		VAL_EACH (i, v)
			buf_printf(&b, "%s%s", i ? ", " : "", literal(m, val_at(v, i)));
		buf_addc(&b, ']');
		z = buf_take(&b, m->a).p;
		buf_free(&b);
		return z;
	default: return psql_text(m->a, arena_strndup(m->a, val_text(v, m->a).p, val_text(v, m->a).n));
	}
}

/* %s is the next of positional_args, %(name)s one of named_args, %% a percent sign. */
static bool fill(struct query *q, struct str sql, struct str *ret)
{
	struct mod_ctx *m = q->m;
	const struct val *list = mod_list(m, "positional_args"), *map = val_get(m->args, "named_args");
	struct buf b = {0};
	size_t next = 0;
	if (!val_len(list) && !map) {
		*ret = sql;
		return true;
	}
	for (size_t i = 0; i < sql.n; i++) {
		const struct val *v = NULL;
		const char *close = NULL;
		if (sql.p[i] != '%' || i + 1 == sql.n) {
			buf_addc(&b, sql.p[i]);
			continue;
		}
		i++;
		if (sql.p[i] == '%') {
			buf_addc(&b, '%');
			continue;
		}
		if (sql.p[i] == 's')
			v = val_at(list, next++);
		else if (sql.p[i] == '(' && map && (close = memchr(sql.p + i, ')', sql.n - i)) != NULL)
			v = val_gets(map, str_n(sql.p + i + 1, (size_t)(close - sql.p) - i - 1));
		if (!v) {
			buf_free(&b);
			return mod_fail(m,
			                "Cannot execute SQL '%.*s': no argument for its placeholder at %zu",
			                STR_FMT(sql), i);
		}
		if (close)
			i = (size_t)(close - sql.p) + (close + 1 < sql.p + sql.n && close[1] == 's');
		buf_adds(&b, literal(m, v));
	}
	*ret = buf_take(&b, m->a);
	buf_free(&b);
	return true;
}

/* ---- one statement */

static struct str first_word(struct str sql)
{
	size_t i = 0, n;
	while (i < sql.n && (isspace((unsigned char)sql.p[i]) || sql.p[i] == '('))
		i++;
	for (n = i; n < sql.n && isalpha((unsigned char)sql.p[n]); n++)
		;
	return str_n(sql.p + i, n - i);
}

static bool is_word(struct str w, const char *z)
{
	return w.n == strlen(z) && strncasecmp(w.p, z, w.n) == 0;
}

/* How many rows a command's tag ("UPDATE 3", "INSERT 0 1") tells of; -1 when it tells of none. */
static int64_t tag_rows(struct str tag)
{
	int64_t n = -1;
	size_t at = tag.n;
	while (at && tag.p[at - 1] != ' ')
		at--;
	str_int(str_n(tag.p + at, tag.n - at), &n);
	return n;
}

static bool has_word(struct str sql, const char *z)
{
	size_t n = strlen(z);
	for (size_t i = 0; i + n <= sql.n; i++)
		if (strncasecmp(sql.p + i, z, n) == 0 && (i == 0 || !isalnum((unsigned char)sql.p[i - 1])) &&
		    (i + n == sql.n || !isalnum((unsigned char)sql.p[i + n])))
			return true;
	return false;
}

/* A statement, and how its result is had of psql. */
struct statement {
	struct str sql;
	enum { ROWS, LINES, TAG } kind;
	const char *command; /* of ROWS: what RETURNs them */
};

static const char mark[] = "-- nante: the next statement";

static void add_result(struct query *q, struct val *rows, struct val *message, int64_t n)
{
	val_push(q->results, rows);
	val_push(q->messages, message);
	q->rowcount += n > 0 ? n : 0;
}

static void classify(struct statement *s)
{
	static const char *const asking[] = {"SELECT", "VALUES", "TABLE"};
	static const char *const changing[][2] = {
	        {"INSERT", "INSERT 0"}, {"UPDATE", "UPDATE"}, {"DELETE", "DELETE"}};
	struct str word = first_word(s->sql);
	bool with = is_word(word, "WITH");
	s->kind = is_word(word, "SHOW") || is_word(word, "EXPLAIN") ? LINES : TAG;
	for (size_t i = 0; i < 3; i++) {
		if (is_word(word, asking[i]))
			s->kind = ROWS;
		if (is_word(word, changing[i][0]) && has_word(s->sql, "RETURNING")) {
			s->kind = ROWS;
			s->command = changing[i][1];
		}
		with = with && !has_word(s->sql, changing[i][0]);
	}
	s->kind = with ? ROWS : s->kind;
}

/* Behind the quote, the dollar quote or the remark that starts at I; I itself when none does. */
static size_t skip_quoted(struct str s, size_t i)
{
	const char *p = s.p + i;
	struct str close = str_n(p, 1);
	size_t open = 1;
	if (*p == '$') {
		while (i + open < s.n && (isalnum((unsigned char)p[open]) || p[open] == '_'))
			open++;
		if (i + open == s.n || p[open] != '$')
			return i;
		close = str_n(p, ++open);
	} else if (*p == '-' && i + 1 < s.n && p[1] == '-') {
		close = STR("\n");
	} else if (*p == '/' && i + 1 < s.n && p[1] == '*') {
		close = STR("*/");
		open = 2;
	} else if (*p != '\'' && *p != '"') {
		return i;
	}
	ptrdiff_t end = str_find(s, close, i + open);
	return end < 0 ? s.n : (size_t)end + close.n;
}

/* Where the last of the statements begins; 0 when there is but one. END: where its semicolon is. */
static size_t last_statement(struct str text, size_t *end)
{
	size_t last = 0, next = 0;
	*end = text.n;
	for (size_t i = 0; i < text.n;) {
		size_t to = skip_quoted(text, i);
		bool remark = to != i && (text.p[i] == '-' || text.p[i] == '/');
		if (to == i && text.p[i] == ';') {
			*end = next == last ? i : *end;
			next = i + 1;
		} else if (!remark && !isspace((unsigned char)text.p[i])) {
			*end = next != last ? text.n : *end;
			last = next;
		}
		i = to == i ? i + 1 : to;
	}
	return last;
}

/* One statement without its semicolon. */
static struct str bare(struct str sql)
{
	size_t end;
	return str_trim(last_statement(sql, &end) ? sql : str_n(sql.p, end));
}

/* Rows come as JSON, other results as psql prints them. */
static void put_statement(const struct statement *s, struct buf *b)
{
	static const char *const frames[][2] = {
	        {"SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM (", "\n) q;\n"},
	        {"WITH q AS (", "\n) SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM q;\n"},
	        {"", ";\n"},
	        {"\\set QUIET off\n", "\n;\n\\set QUIET on\n"}};
	const char *const *frame = frames[s->kind == ROWS ? s->command != NULL : s->kind == LINES ? 2 : 3];
	buf_printf(b, "%s%.*s%s\\echo '%s'\n", frame[0], STR_FMT(s->sql), frame[1], mark);
}

static bool take_rows(struct query *q, const struct statement *s, struct str out)
{
	struct mod_ctx *m = q->m;
	struct val *rows = NULL;
	struct err e = {0};
	if (!json_parse(m->a, str_trim(out), 0, &rows, &e))
		return mod_fail_err(m, &e);
	if (s->command && val_len(rows))
		mod_changed(m);
	add_result(q, rows, val_strf(m->a, "%s %zu", s->command ? s->command : "SELECT", val_len(rows)),
	           (int64_t)val_len(rows));
	return true;
}

static void take_lines(struct query *q, const struct statement *s, struct str out)
{
	struct mod_ctx *m = q->m;
	struct val *rows = val_list(m->a);
	struct str name = s->sql, word = str_split(&name, ' ');
	bool explain = !is_word(word, "SHOW");
	while (out.p && out.n) {
		struct val *row = val_map(m->a);
		val_sets(row, explain ? STR("QUERY PLAN") : str_trim(name),
		         val_str(m->a, str_split(&out, '\n')));
		val_push(rows, row);
	}
	add_result(q, rows, val_strz(m->a, explain ? "EXPLAIN" : "SHOW"), (int64_t)val_len(rows));
}

static bool take(struct query *q, const struct statement *s, struct str out)
{
	struct str tag = {0};
	if (s->kind == ROWS)
		return take_rows(q, s, out);
	if (s->kind == LINES) {
		take_lines(q, s, out);
		return true;
	}
	while (out.p && out.n) {
		struct str line = str_trim(str_split(&out, '\n'));
		if (line.n)
			tag = line;
	}
	int64_t n = tag_rows(tag);
	if (n != 0)
		mod_changed(q->m);
	add_result(q, val_map(q->m->a), val_str(q->m->a, tag), n);
	return true;
}

/* What the next statement of the script printed. */
static bool next_output(struct str *rest, struct str *ret)
{
	ptrdiff_t at = str_find(*rest, str_c(mark), 0);
	if (at < 0)
		return false;
	*ret = str_n(rest->p, (size_t)at);
	*rest = str_from(*rest, (size_t)at + sizeof(mark));
	return true;
}

static bool refused(struct query *q, size_t n, const char *why, const struct val *list)
{
	struct mod_ctx *m = q->m;
	const struct val *args = val_get(m->args, "named_args");
	struct buf b = {0};
	if (q->p.no_server)
		return mod_fail(m, "unable to connect to database: %s", why);
	buf_printf(&b, "Cannot execute SQL '%s' ", val_get_strz(val_at(q->statements, n)));
	val_repr(args                                      ? args
	         : val_len(mod_list(m, "positional_args")) ? mod_list(m, "positional_args")
	                                                   : val_null(),
	         &b);
	buf_printf(&b, ": %s", why);
	if (list) {
		buf_adds(&b, ", query list: ");
		val_repr(list, &b);
	}
	mod_fail(m, "%s", b.p);
	buf_free(&b);
	return false;
}

/* All of q->statements in one session: in one transaction when WHOLE; in check mode it never ends, and the
 * server takes back what was done. LIST is for what is said when one is refused. */
static bool run_statements(struct query *q, bool whole, const struct val *list)
{
	struct mod_ctx *m = q->m;
	size_t n = val_len(q->statements), i = 0;
	struct statement *s = arena_array(m->a, n + 1, sizeof(*s));
	struct str out, one;
	const char *why;
	struct buf b = {0};
	buf_adds(&b, whole ? "BEGIN;\n" : "");
	for (size_t k = 0; k < n; k++) {
		if (!fill(q, val_get_str(val_at(q->statements, k)), &one)) {
			buf_free(&b);
			return false;
		}
		mod_setstr(m, "query", one);
		s[k].sql = bare(one);
		classify(&s[k]);
		put_statement(&s[k], &b);
	}
	buf_adds(&b, whole && !m->check ? "COMMIT;" : "");
	const char *script = buf_take(&b, m->a).p;
	buf_burn(&b);
	if (!psql_try(&q->p, script, &out, &why))
		return false;
	for (; next_output(&out, &one); i++)
		if (!take(q, &s[i], one))
			return false;
	return !why || refused(q, i < n ? i : n - 1, why, list);
}

static bool run(struct mod_ctx *m)
{
	struct query q = {
	        .m = m, .statements = val_list(m->a), .messages = val_list(m->a), .results = val_list(m->a)};
	struct val *given = val_get(m->args, "query");
	bool autocommit = mod_bool(m, "autocommit");
	if (m->check && autocommit)
		return mod_fail(m, "Using autocommit is mutually exclusive with check_mode");
	if (!val_is_list(given) && !val_is_str(given))
		return mod_fail(m, "query argument must be of type string or list");
	for (size_t i = 0; i < (val_is_list(given) ? val_len(given) : 1); i++)
		val_push(q.statements,
		         val_str(m->a, val_text(val_is_list(given) ? val_at(given, i) : given, m->a)));
	if (!psql_open(&q.p, m, mod_has(m, "login_db") ? mod_arg(m, "login_db") : mod_arg(m, "login_user")) ||
	    !run_statements(&q, !autocommit, q.statements))
		return false;
	size_t n = val_len(q.statements);
	mod_set(m, "query_list", q.statements);
	mod_set(m, "statusmessage", n ? val_at(q.messages, n - 1) : val_strz(m->a, ""));
	mod_set(m, "query_result", n ? val_at(q.results, n - 1) : val_list(m->a));
	mod_set(m, "query_all_results", q.results);
	mod_seti(m, "rowcount", q.rowcount);
	return true;
}

/* ---- a file of statements */

/* One transaction, as the server takes several statements at once. The result is the last one's. */
static bool run_all(struct query *q, struct str text, size_t last, size_t end)
{
	struct mod_ctx *m = q->m;
	struct statement s = {.sql = str_trim(str_n(text.p + last, end - last))};
	struct str out, one;
	const char *why;
	struct buf b = {0};
	classify(&s);
	buf_printf(&b, "BEGIN;\n%.*s\n\\echo '%s'\n", (int)last, text.p, mark);
	put_statement(&s, &b);
	buf_adds(&b, "COMMIT;");
	const char *script = buf_take(&b, m->a).p;
	buf_burn(&b);
	if (!psql_try(&q->p, script, &out, &why))
		return false;
	if (why)
		return refused(q, 0, why, NULL);
	/* First what all but the last said. */
	if (!next_output(&out, &one))
		return false;
	return next_output(&out, &one) && take(q, &s, one);
}

static bool run_script(struct mod_ctx *m)
{
	struct query q = {
	        .m = m, .statements = val_list(m->a), .messages = val_list(m->a), .results = val_list(m->a)};
	struct str raw, text;
	const char *path = mod_arg(m, "path");
	if (!path || !fs_exists(path))
		return mod_fail(m, "Cannot read file '%s' : [Errno 2] No such file or directory: '%s'",
		                path ? path : "", path ? path : "");
	if (!psql_open(&q.p, m, mod_has(m, "login_db") ? mod_arg(m, "login_db") : mod_arg(m, "login_user")) ||
	    !mod_read(m, path, &raw) || !fill(&q, raw, &text))
		return false;
	val_push(q.statements, val_str(m->a, raw));
	size_t end, last = last_statement(text, &end);
	if (!(last ? run_all(&q, text, last, end) : run_statements(&q, false, NULL)))
		return false;
	mod_changed(m);
	mod_setstr(m, "query", text);
	mod_set(m, "statusmessage", val_at(q.messages, 0));
	mod_set(m, "query_result", val_at(q.results, 0));
	mod_seti(m, "rowcount", q.rowcount);
	return true;
}

static const struct mod_arg args[] = {
        {"query", MT_RAW, MA_REQUIRED, .doc = "The statement, or a list of them."},
        {"positional_args", MT_LIST, .elem = MT_RAW, .doc = "What stands for each %s in it."},
        {"named_args", MT_DICT, .doc = "What stands for each %(name)s in it."},
        {"login_db", MT_STR, .aliases = "db", .doc = "The database to connect to."},
        {"autocommit", MT_BOOL, .dflt = "false", .doc = "Outside of a transaction, as VACUUM needs it."},
        {"search_path", MT_LIST, .doc = "Schemas to look in."},
        {NULL},
};

const struct module module_row_postgresql_query = {
        .name = "postgresql_query",
        .from = "community.postgresql",
        .doc = "Runs SQL in a PostgreSQL database.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "positional_args|named_args",
        .run = run,
};

static const struct mod_arg script_args[] = {
        {"path", MT_PATH, .doc = "The file."},
        {"positional_args", MT_LIST, .elem = MT_RAW, .doc = "What stands for each %s in it."},
        {"named_args", MT_DICT, .doc = "What stands for each %(name)s in it."},
        {"login_db", MT_STR, .aliases = "db", .doc = "The database to connect to."},
        {"search_path", MT_LIST, .doc = "Schemas to look in."},
        {"encoding", MT_STR, .choices = "UTF8|UTF-8|utf8|utf-8", .doc = "The file's: UTF-8."},
        {NULL},
};

const struct module module_row_postgresql_script = {
        .name = "postgresql_script",
        .from = "community.postgresql",
        .doc = "Runs a file of SQL in a PostgreSQL database; rows are returned of a single statement.",
        .args = script_args,
        .shared = psql_args,
        .mutually_exclusive = "positional_args|named_args",
        .run = run_script,
};
