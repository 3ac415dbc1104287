#include <stdlib.h>
#include <unistd.h>
#include "modules/argv.h"
#include "modules/mysql_client.h"
#include "modules/words.h"

const struct mod_arg mysql_args[] = {
        {"login_user", MT_STR, .doc = "Who connects."},
        {"login_password", MT_STR, MA_NO_LOG, .doc = "Their password."},
        {"login_host", MT_STR, .dflt = "localhost", .doc = "Where the server is."},
        {"login_port", MT_INT, .dflt = "3306", .doc = "Its port."},
        {"login_unix_socket", MT_STR, .doc = "Its socket."},
        {"config_file", MT_PATH, .dflt = "~/.my.cnf", .doc = "A file with a section client."},
        {"connect_timeout", MT_INT, .dflt = "30", .doc = "Seconds a connection may take."},
        {"client_cert", MT_PATH, .aliases = "ssl_cert", .doc = "The client's certificate."},
        {"client_key", MT_PATH, .aliases = "ssl_key", .doc = "The client's key."},
        {"ca_cert", MT_PATH, .aliases = "ssl_ca", .doc = "Who vouches for the server."},
        {"check_hostname", MT_BOOL, .doc = "Whether the server's certificate must name its host."},
        {NULL},
};

static const char *quoted(struct arena *a, const char *z, char quote, bool backslash)
{
	struct buf b = {0};
	buf_addc(&b, quote);
	for (; *z; z++) {
		if (*z == quote || (*z == '\\' && backslash))
			buf_addc(&b, *z);
		buf_addc(&b, *z);
	}
	buf_addc(&b, quote);
	const char *ret = buf_take(&b, a).p;
	buf_free(&b);
	return ret;
}

const char *mysql_text(struct arena *a, const char *text)
{
	return quoted(a, text, '\'', true);
}

const char *mysql_name(struct arena *a, const char *name)
{
	return quoted(a, name, '`', false);
}

/* ---- how to connect: an option file, read in place of words others could see */

static void option(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *value);
	}
	buf_adds(b, "\"\n");
}

/* The member NAME of section client in the task's config_file, or NULL. */
static const char *configured(struct mod_ctx *m, const char *name)
{
	struct str text, section = {0};
	if (!mod_read_maybe(m, mod_arg(m, "config_file"), &text))
		return NULL;
	while (text.n) {
		struct str value = str_trim(str_split(&text, '\n'));
		if (str_starts(value, "["))
			section = value;
		struct str key = str_trim(str_split(&value, '='));
		if (str_eqc(section, "[client]") && value.p && str_eqc(key, name)) {
			value = str_trim(value);
			return arena_strndup(m->a, value.p, value.n);
		}
	}
	return NULL;
}

static void add_place(struct buf *b, struct mod_ctx *m)
{
	const char *socket = mod_arg(m, "login_unix_socket"), *host = mod_arg(m, "login_host");
	const char *port = mod_arg(m, "login_port"), *from_file;
	if (socket && *socket) {
		option(b, "socket", socket);
		return;
	}
	if (mod_bool(m, "config_overrides_defaults")) {
		host = (from_file = configured(m, "host")) ? from_file : host;
		port = (from_file = configured(m, "port")) ? from_file : port;
	}
	option(b, "host", host);
	option(b, "port", port);
	/* The client takes the socket for localhost, whatever the port. */
	if (strcmp(host, "localhost") != 0 || strcmp(port, "3306") != 0)
		option(b, "protocol", "tcp");
}

static void add_who(struct buf *b, const struct mysql *c)
{
	const char *user = mod_arg(c->m, "login_user"), *password = mod_arg(c->m, "login_password");
	if (c->implicit_admin)
		user = "root", password = "";
	if (user)
		option(b, "user", user);
	if (password)
		option(b, "password", password);
}

/* The option file's name; NULL and failed when it cannot be written. Its reader removes it. */
static const char *option_file(struct mysql *c)
{
	static const char *const tls[][2] = {
	        {"ssl-cert", "client_cert"}, {"ssl-key", "client_key"}, {"ssl-ca", "ca_cert"}};
	struct mod_ctx *m = c->m;
	struct buf b = {0};
	struct err err = {0};
	const char *config = mod_arg(m, "config_file");
	const char *path = arena_printf(m->a, "%s/my%lld-%d.cnf", m->tmp, (long long)mod_now_ms(), getpid());
	if (fs_exists(config))
		buf_printf(&b, "!include %s\n", config);
	buf_adds(&b, "[client]\n");
	add_place(&b, m);
	add_who(&b, c);
	for (size_t i = 0; i < sizeof(tls) / sizeof(*tls); i++)
		if (mod_has(m, tls[i][1]))
			option(&b, tls[i][0], mod_arg(m, tls[i][1]));
	if (mod_bool(m, "check_hostname"))
		buf_adds(&b, "ssl-verify-server-cert\n");
	bool ok = fs_write(path, buf_str(&b), 0600, &err);
	buf_burn(&b);
	buf_free(&b);
	return ok || mod_fail_err(m, &err) ? path : NULL;
}

/* ---- what comes back */

/* "ERROR 1045 (28000) at line 1: text" as "(1045, \"text\")". */
static const char *complaint(struct mysql *c, struct str err)
{
	struct arena *a = c->m->a;
	struct str all = str_trim(err), text = all;
	ptrdiff_t at = str_find(text, STR("ERROR "), 0),
	          colon = at < 0 ? -1 : str_find(text, STR(": "), (size_t)at);
	c->errnr = 0;
	if (colon < 0)
		return arena_strndup(a, all.p ? all.p : "", all.n);
	c->errnr = strtoll(text.p + at + strlen("ERROR "), NULL, 10);
	struct buf b = {0};
	buf_printf(&b, "(%lld, ", (long long)c->errnr);
	val_repr(val_str(a, str_from(text, (size_t)colon + 2)), &b);
	buf_addc(&b, ')');
	const char *ret = buf_take(&b, a).p;
	buf_free(&b);
	return ret;
}

static struct str unescape(struct arena *a, struct str s)
{
	static const struct {
		const char *entity;
		char c;
	} entities[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}};
	struct buf b = {0};
	for (size_t i = 0; i < s.n;) {
		size_t k = 0;
		while (k < 5 && !(s.p[i] == '&' && str_starts(str_from(s, i), entities[k].entity)))
			k++;
		buf_addc(&b, k < 5 ? entities[k].c : s.p[i]);
		i += k < 5 ? strlen(entities[k].entity) : 1;
	}
	struct str ret = buf_take(&b, a);
	buf_free(&b);
	return ret;
}

/* <field name="NAME" xsi:nil="true" /> or <field name="NAME">TEXT</field>: one from *XML into ROW. */
static bool take_field(struct arena *a, struct str *xml, struct val *row)
{
	static const char head[] = "<field name=\"", end[] = "</field>";
	*xml = str_trim(*xml);
	if (!str_starts(*xml, head))
		return false;
	struct str rest = str_from(*xml, strlen(head));
	ptrdiff_t quote = str_find(rest, STR("\""), 0);
	if (quote < 0)
		return false;
	struct str name = str_n(rest.p, (size_t)quote);
	rest = str_from(rest, (size_t)quote + 1);
	bool null = !str_starts(rest, ">");
	ptrdiff_t stop = null ? str_find(rest, STR("/>"), 0) : str_find(rest, str_c(end), 0);
	if (stop < 0)
		return false;
	val_sets(row, unescape(a, name),
	         null ? val_null() : val_str(a, unescape(a, str_n(rest.p + 1, (size_t)stop - 1))));
	*xml = str_from(rest, (size_t)stop + (null ? 2 : strlen(end)));
	return true;
}

/* The results in XML, each a list of rows. */
static struct val *results_of(struct arena *a, struct str xml)
{
	struct val *sets = val_list(a);
	for (;;) {
		ptrdiff_t set = str_find(xml, STR("<resultset "), 0), row = str_find(xml, STR("<row>"), 0);
		if (row < 0 && set < 0)
			return sets;
		if (row < 0 || (set >= 0 && set < row)) {
			val_push(sets, val_list(a));
			xml = str_from(xml, (size_t)set + 1);
			continue;
		}
		struct val *v = val_map(a);
		xml = str_from(xml, (size_t)row + strlen("<row>"));
		while (take_field(a, &xml, v))
			continue;
		if (val_len(sets))
			val_push(val_at(sets, val_len(sets) - 1), v);
	}
}

/* ---- running */

/* HOW: options, ended by NULL. */
static bool call(struct mysql *c, const char *const *how, const char *sql, struct mod_out *out)
{
	struct mod_ctx *m = c->m;
	const char *file = option_file(c);
	const char *script =
	        arena_printf(m->a, "%s%s%s\n;\n", c->before ? c->before : "", c->before ? ";\n" : "", sql);
	struct argv argv = {.m = m, .input = str_c(script)};
	if (!file)
		return false;
	argv_add(&argv, c->program);
	argv_addf(&argv, "--defaults-file=%s", file);
	argv_addf(&argv, "--connect-timeout=%s", mod_arg(m, "connect_timeout"));
	argv_add(&argv, "--default-character-set=utf8mb4");
	argv_add_all(&argv, how);
	if (c->db)
		argv_addf(&argv, "--database=%s", c->db);
	bool ok = argv_run(&argv, out);
	unlink(file);
	c->why = ok && out->rc ? complaint(c, out->err) : NULL;
	return ok && out->rc == 0;
}

bool mysql_results(struct mysql *c, const char *sql, struct val **sets)
{
	struct mod_out out = {0};
	bool ok = call(c, (const char *const[]){"--xml", NULL}, sql, &out);
	*sets = results_of(c->m->a, out.out);
	return ok;
}

bool mysql_query(struct mysql *c, const char *sql, struct val **rows)
{
	struct val *sets;
	if (!mysql_results(c, sql, &sets))
		return false;
	if (rows)
		*rows = val_len(sets) ? val_at(sets, val_len(sets) - 1) : val_list(c->m->a);
	return true;
}

bool mysql_try(struct mysql *c, const char *sql)
{
	return mysql_query(c, sql, NULL);
}

bool mysql_rows(struct mysql *c, const char *sql, struct val **rows)
{
	return mysql_query(c, sql, rows) || (c->m->failed ? false : mod_fail(c->m, "%s", c->why));
}

bool mysql_value(struct mysql *c, const char *sql, const char **ret)
{
	struct val *rows;
	*ret = NULL;
	if (!mysql_rows(c, sql, &rows))
		return false;
	const struct val *v =
	        val_len(rows) && val_len(val_at(rows, 0)) ? val_value_at(val_at(rows, 0), 0) : NULL;
	*ret = v && val_is_str(v) ? val_get_strz(v) : NULL;
	return true;
}

bool mysql_do(struct mysql *c, const char *sql)
{
	val_push(c->executed, val_strz(c->m->a, sql));
	mod_changed(c->m);
	return c->m->check || mysql_rows(c, sql, NULL);
}

struct val *mysql_kinds(struct mysql *c, const char *sql)
{
	struct mod_out out;
	if (!call(c, (const char *const[]){"--table", "--column-type-info", NULL}, sql, &out))
		return NULL;
	struct val *kinds = val_list(c->m->a);
	while (out.out.n) {
		struct str value = str_split(&out.out, '\n'), key = str_split(&value, ':');
		if (str_eqc(key, "Type"))
			val_push(kinds, val_str(c->m->a, str_trim(value)));
	}
	return kinds;
}

bool mysql_shell(struct mysql *c, const char *programs, const char *before, const char *words,
                 const char *after, struct mod_out *out)
{
	struct mod_ctx *m = c->m;
	struct str names = str_c(programs);
	const char *program = NULL, *name = programs, *file;
	while (!program && names.p) {
		struct str one = str_split(&names, '|');
		name = arena_strndup(m->a, one.p, one.n);
		program = mod_which(m, name);
	}
	if (!program)
		return mod_fail(m, "Failed to find required executable \"%s\" in paths: %s", name,
		                mod_env(m, "PATH"));
	if (!(file = option_file(c)))
		return false;
	struct argv argv = {.m = m};
	argv_add2(&argv, "bash", "-c");
	argv_addf(&argv, "%s%s --defaults-file=%s %s%s", before, program, words_quote(m->a, file), words,
	          after);
	bool ok = argv_run(&argv, out);
	unlink(file);
	val_push(c->executed, val_strf(m->a, "%s%s %s%s", before, program, words, after));
	return ok;
}

/* ---- opening */

static bool connect_to(struct mysql *c)
{
	struct val *rows = NULL;
	int parts[3] = {0};
	if (!mysql_query(c, "SELECT VERSION() AS v", &rows))
		return false;
	const char *version = val_len(rows) ? val_map_strz(val_at(rows, 0), "v", "") : "", *p = version;
	for (size_t i = 0; i < 3; i++) {
		char *end;
		parts[i] = (int)strtol(p, &end, 10);
		p = *end == '.' ? end + 1 : end;
	}
	c->mariadb = str_find(str_c(version), STR("MariaDB"), 0) >= 0;
	c->version = parts[0] * 10000 + parts[1] * 100 + parts[2];
	return true;
}

bool mysql_open(struct mysql *c, struct mod_ctx *m, const char *db, bool names_file)
{
	const char *config = mod_arg(m, "config_file");
	*c = (struct mysql){.m = m, .db = db && *db ? db : NULL, .executed = val_list(m->a)};
	c->program = mod_which(m, "mariadb");
	if (!c->program && !(c->program = argv_need(m, "mysql")))
		return false;
	if (mod_bool(m, "check_implicit_admin")) {
		c->implicit_admin = true;
		if (connect_to(c))
			return true;
		c->implicit_admin = false;
	}
	if (connect_to(c))
		return true;
	if (m->failed)
		return false;
	if (names_file && !fs_exists(config))
		return mod_fail(m, "unable to find %s. Exception message: %s", config, c->why);
	return mod_fail(
	        m,
	        "unable to connect to database, check login_user and login_password are correct or %s has "
	        "the credentials. Exception message: %s",
	        config, c->why);
}
