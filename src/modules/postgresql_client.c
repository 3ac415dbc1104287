#include <ctype.h>
#include "base/json.h"
#include "modules/argv.h"
#include "modules/postgresql_client.h"

const struct mod_arg psql_args[] = {
        {"login_user", MT_STR, .dflt = "postgres", .aliases = "login", .doc = "Who connects."},
        {"login_password", MT_STR, MA_NO_LOG, .dflt = "", .doc = "Their password."},
        {"login_host", MT_STR, .dflt = "", .aliases = "host", .doc = "Where the server is."},
        {"login_unix_socket", MT_STR, .dflt = "", .aliases = "unix_socket",
         .doc = "The directory of its socket."},
        {"login_port", MT_INT, .dflt = "5432", .aliases = "port", .doc = "Its port."},
        {"ssl_mode", MT_STR, .dflt = "prefer",
         .choices = "allow|disable|prefer|require|verify-ca|verify-full",
         .doc = "Whether the connection is encrypted."},
        {"ca_cert", MT_STR, .aliases = "ssl_rootcert", .doc = "Who vouches for the server."},
        {"ssl_cert", MT_PATH, .doc = "The client's certificate."},
        {"ssl_key", MT_PATH, .doc = "The client's key."},
        {"connect_params", MT_DICT, .doc = "More of libpq's connection parameters."},
        {"session_role", MT_STR, .doc = "The role to act as once connected."},
        {"trust_input", MT_BOOL, .dflt = "true",
         .doc = "Accepted; values are always quoted, never part of a statement."},
        {NULL},
};

static const char *quoted(struct arena *a, const char *z, char quote, bool *backslash)
{
	struct buf b = {0};
	buf_addc(&b, quote);
	for (; *z; z++) {
		if (*z == quote || (*z == '\\' && backslash))
			buf_addc(&b, *z);
		if (*z == '\\' && backslash)
			*backslash = true;
		buf_addc(&b, *z);
	}
	buf_addc(&b, quote);
	struct str s = buf_take(&b, a);
	buf_free(&b);
	return s.p;
}

const char *psql_text(struct arena *a, const char *text)
{
	bool backslash = false;
	const char *z = quoted(a, text, '\'', &backslash);
	return backslash ? arena_printf(a, " E%s", z) : z;
}

const char *psql_name(struct arena *a, const char *name)
{
	return quoted(a, name, '"', NULL);
}

const char *psql_option(struct arena *a, const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz_");
	return *name && !name[n] ? name : psql_name(a, name);
}

/* A value of a connection string. */
static void add_param(struct buf *b, const char *name, struct str value)
{
	buf_printf(b, "%s%s='", b->n ? " " : "", name);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\'' || value.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, value.p[i]);
	}
	buf_addc(b, '\'');
}

/* As an option of the session; blanks part options. */
static const char *search_path(struct mod_ctx *m)
{
	const struct val *list = mod_list(m, "search_path");
	struct buf b = {0};
	buf_adds(&b, "PGOPTIONS=-c search_path=");
	VAL_EACH (i, list) {
		struct str name = str_trim(val_get_str(val_at(list, i)));
		if (i)
			buf_addc(&b, ',');
		for (size_t k = 0; k < name.n; k++) {
			if (name.p[k] == ' ' || name.p[k] == '\\')
				buf_addc(&b, '\\');
			buf_addc(&b, name.p[k]);
		}
	}
	const char *z = buf_take(&b, m->a).p;
	buf_free(&b);
	return z;
}

bool psql_open(struct psql *p, struct mod_ctx *m, const char *db)
{
	static const char *const vars[][2] = {
	        {"PGUSER", "login_user"},  {"PGPASSWORD", "login_password"}, {"PGHOST", "login_host"},
	        {"PGPORT", "login_port"},  {"PGSSLMODE", "ssl_mode"},        {"PGSSLROOTCERT", "ca_cert"},
	        {"PGSSLCERT", "ssl_cert"}, {"PGSSLKEY", "ssl_key"},
	};
	enum { VARS = sizeof(vars) / sizeof(*vars) };
	const struct val *more = val_get(m->args, "connect_params");
	const char *host = mod_arg(m, "login_host"), *socket = mod_arg(m, "login_unix_socket");
	size_t n = 0;
	struct buf b = {0};
	*p = (struct psql){.m = m, .executed = val_list(m->a), .program = argv_need(m, "psql")};
	if (!p->program)
		return false;
	p->env = arena_array(m->a, VARS + 5, sizeof(*p->env));
	for (size_t i = 0; i < VARS; i++)
		if (mod_has(m, vars[i][1]) && *mod_arg(m, vars[i][1]))
			p->env[n++] = arena_printf(m->a, "%s=%s", vars[i][0], mod_arg(m, vars[i][1]));
	if (!*host && *socket)
		p->env[n++] = arena_printf(m->a, "PGHOST=%s", socket);
	if (mod_has(m, "search_path"))
		p->env[n++] = search_path(m);
	p->env[n++] = "PGCLIENTENCODING=UTF8";
	p->env[n] = "PGCONNECT_TIMEOUT=30";
	add_param(&b, "dbname", str_c(db));
	for (size_t i = 0; more && i < val_len(more); i++)
		add_param(&b, val_get_strz(val_key_at(more, i)), val_text(val_value_at(more, i), m->a));
	p->conninfo = buf_take(&b, m->a).p;
	buf_free(&b);
	return true;
}

/* What psql complains of, as libpq's other users say it, and by which *LINE of the script. */
static const char *complaint(struct mod_ctx *m, struct str err, size_t *line)
{
	static const char program[] = "psql: error: ";
	struct str text = str_trim(err);
	*line = 0;
	if (str_starts(text, program))
		return arena_strndup(m->a, text.p + strlen(program), text.n - strlen(program));
	ptrdiff_t at = str_find(text, STR("ERROR:  "), 0);
	for (ptrdiff_t i = at - 3, ten = 1; i >= 0 && isdigit((unsigned char)text.p[i]); i--, ten *= 10)
		*line += (size_t)((text.p[i] - '0') * ten);
	if (at >= 0)
		text = str_from(text, (size_t)at + 8);
	/* The statement is shown with the semicolon that ends it for psql. */
	ptrdiff_t shown = str_find(text, STR("\nLINE "), 0),
	          end = shown < 0 ? -1 : str_find(text, STR(";\n"), (size_t)shown);
	const char *z = arena_strndup(m->a, text.p ? text.p : "", text.n);
	return end < 0 ? z : arena_printf(m->a, "%.*s%s", (int)end, z, z + end + 1);
}

/* The statement that ends on a line of a script. */
static const char *statement_at(struct arena *a, const char *script, size_t line)
{
	struct str rest = str_c(script);
	const char *from = script;
	for (size_t i = 1; rest.p; i++) {
		struct str s = str_split(&rest, '\n');
		if (i == line)
			return arena_strndup(a, from,
			                     (size_t)(s.p + s.n - from) - (str_ends(s, ";") ? 1 : 0));
		if (i == 1 || str_ends(s, ";") || str_starts(s, "\\"))
			from = s.p + s.n + 1;
	}
	return "";
}

bool psql_try(struct psql *p, const char *sql, struct str *out, const char **why)
{
	struct mod_ctx *m = p->m;
	const char *role = mod_has(m, "session_role") ? mod_arg(m, "session_role") : NULL;
	/* The role's statement has the first line to itself: see psql_script(). */
	const char *script = arena_printf(m->a, "%s%s%s\n%s\n", role ? "SET ROLE " : "",
	                                  role ? psql_name(m->a, role) : "", role ? ";" : "", sql);
	struct argv c = {.m = m, .input = str_c(script), .env = p->env};
	struct mod_out o;
	size_t line;
	*why = NULL;
	p->culprit = "";
	argv_add2(&c, p->program, "-X");
	argv_add2(&c, "-q", "-w");
	argv_add2(&c, "-A", "-t");
	argv_add2(&c, "-v", "ON_ERROR_STOP=1");
	argv_add2(&c, "-d", p->conninfo);
	argv_add2(&c, "-f", "-");
	if (!argv_run(&c, &o))
		return false;
	*out = o.out;
	p->no_server = o.rc == 2;
	if (o.rc == 0)
		return true;
	*why = complaint(m, o.err, &line);
	if (line == 1 && role)
		return mod_fail(m, "Could not switch role: %s", *why);
	p->culprit = statement_at(m->a, script, line);
	return true;
}

bool psql_script(struct psql *p, const char *sql, struct str *out)
{
	const char *why;
	if (!psql_try(p, sql, out, &why))
		return false;
	if (!why)
		return true;
	const char *before = p->no_server ? "unable to connect to database: "
	                     : p->refusal || !*p->culprit
	                             ? p->refusal
	                             : arena_printf(p->m->a, "Cannot execute SQL '%s': ", p->culprit);
	return mod_fail(p->m, "%s%s", before ? before : "", why);
}

bool psql_rows(struct psql *p, const char *query, const struct val **rows)
{
	struct mod_ctx *m = p->m;
	struct str out;
	struct val *v = NULL;
	struct err e = {0};
	if (!psql_script(
	            p,
	            arena_printf(m->a, "SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM (%s) q;", query),
	            &out))
		return false;
	if (!json_parse(m->a, str_trim(out), 0, &v, &e))
		return mod_fail_err(m, &e);
	*rows = v;
	return true;
}

bool psql_do(struct psql *p, const char *statement)
{
	struct str out;
	val_push(p->executed, val_strz(p->m->a, statement));
	mod_changed(p->m);
	return p->m->check || psql_script(p, arena_printf(p->m->a, "%s;", statement), &out);
}

bool psql_comment(struct psql *p, const char *kind, const char *name, const char *now)
{
	const char *want = mod_arg(p->m, "comment");
	return !want || strcmp(want, now ? now : "") == 0 ||
	       psql_do(p,
	               arena_printf(p->m->a, "COMMENT ON %s %s IS %s", kind, name, psql_text(p->m->a, want)));
}

bool psql_row(struct psql *p, const char *query, const struct val **row)
{
	const struct val *rows;
	if (!psql_rows(p, query, &rows))
		return false;
	*row = val_at(rows, 0);
	return true;
}

void psql_later(struct psql *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	val_push(p->executed, val_strz(p->m->a, arena_vprintf(p->m->a, fmt, ap)));
	va_end(ap);
	mod_changed(p->m);
}

bool psql_commit(struct psql *p)
{
	struct buf b = {0};
	struct str out;
	if (!val_len(p->executed))
		return true;
	buf_adds(&b, "BEGIN;\n");
	VAL_EACH (i, p->executed)
		buf_printf(&b, "%s;\n", val_get_strz(val_at(p->executed, i)));
	buf_adds(&b, p->m->check ? "ROLLBACK;" : "COMMIT;");
	const char *script = buf_take(&b, p->m->a).p;
	buf_burn(&b);
	return psql_script(p, script, &out);
}

const char *psql_dotted(struct arena *a, const char *name)
{
	const char *all = "";
	for (const char *z = name;;) {
		bool quoted_already = *z == '"';
		const char *end = z;
		for (bool within = false; *end && (within || *end != '.'); end++)
			within = within != (*end == '"');
		const char *part = arena_strndup(a, z, (size_t)(end - z));
		all = arena_printf(a, "%s%s%s", all, *all ? "." : "",
		                   quoted_already ? part : psql_name(a, part));
		if (!*end)
			return all;
		z = end + 1;
	}
}

const char *psql_joined(struct arena *a, const struct val *list)
{
	const char *z = "";
	VAL_EACH (i, list)
		z = arena_printf(a, "%s%s%s", z, i ? "," : "", val_get_strz(val_at(list, i)));
	return z;
}
