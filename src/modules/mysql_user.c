#include <stdlib.h>
#include <strings.h>
#include "modules/mysql_client.h"
#include "modules/mysql_privs.h"

struct user {
	struct mod_ctx *m;
	struct mysql c;
	const char *name, *host;
	const struct val *priv; /* wanted: {where: [privileges]}, or NULL */
	const char *requires;   /* what REQUIRE shall say, or NULL */
	const char *msg;
	bool password_changed, unknown;
};

static const char *account(struct user *u)
{
	return arena_printf(u->m->a, "%s@%s", mysql_text(u->m->a, u->name), mysql_text(u->m->a, u->host));
}

static const char *text(struct user *u, const char *arg)
{
	return mysql_text(u->m->a, mod_arg(u->m, arg));
}

static bool given(const struct user *u, const char *arg)
{
	const char *z = mod_arg(u->m, arg);
	return z && *z;
}

static bool is_hash(const char *z)
{
	return strlen(z) == 41 && *z == '*' && strspn(z + 1, "0123456789abcdefABCDEF") == 40;
}

/* What mysql_native_password keeps of the password; NULL and failed. */
static const char *hash_of(struct user *u)
{
	const char *hash;
	if (mod_bool(u->m, "encrypted"))
		return mod_arg(u->m, "password");
	return mysql_value(&u->c,
	                   arena_printf(u->m->a, "SELECT CONCAT('*', UCASE(SHA1(UNHEX(SHA1(%s)))))",
	                                text(u, "password")),
	                   &hash)
	               ? hash
	               : NULL;
}

/* ---- where a password, a plugin and TLS are asked for */

static const char *plugin_clause(struct user *u)
{
	struct arena *a = u->m->a;
	const char *plugin = mod_arg(u->m, "plugin");
	if (given(u, "plugin_hash_string"))
		return arena_printf(a, " IDENTIFIED WITH %s AS %s", mysql_name(a, plugin),
		                    text(u, "plugin_hash_string"));
	if (given(u, "plugin_auth_string"))
		return arena_printf(a, " IDENTIFIED WITH %s %s %s", mysql_name(a, plugin),
		                    strcmp(plugin, "pam") == 0 || u->c.mariadb ? "USING" : "BY",
		                    text(u, "plugin_auth_string"));
	return arena_printf(a, " IDENTIFIED WITH %s", mysql_name(a, plugin));
}

/* How the account's name was kept with another host's: on_new_username takes it over. */
static bool reused(struct user *u, const char **clause)
{
	struct arena *a = u->m->a;
	struct val *rows;
	const char *sql =
	        u->c.mariadb
	                ? "SELECT plugin, auth FROM (SELECT plugin, password AS auth FROM mysql.user WHERE "
	                  "user=%s UNION SELECT plugin, authentication_string AS auth FROM mysql.user WHERE "
	                  "user=%s) x GROUP BY plugin, auth LIMIT 2"
	                : "SELECT plugin, authentication_string AS auth FROM mysql.user WHERE user IN (%s, "
	                  "%s) "
	                  "GROUP BY plugin, authentication_string LIMIT 2";
	const char *name = mysql_text(a, u->name);
	struct buf b = {0};
	for (; *sql; sql++)
		if (sql[0] == '%' && sql[1] == 's')
			buf_adds(&b, name), sql++;
		else
			buf_addc(&b, *sql);
	struct str query = buf_take(&b, a);
	buf_free(&b);
	if (!mysql_rows(&u->c, query.p, &rows))
		return false;
	if (val_len(rows) == 1)
		*clause = arena_printf(a, " IDENTIFIED WITH %s AS %s",
		                       mysql_name(a, val_map_strz(val_at(rows, 0), "plugin", "")),
		                       mysql_text(a, val_map_strz(val_at(rows, 0), "auth", "")));
	return true;
}

static bool identified(struct user *u, const char **clause)
{
	struct arena *a = u->m->a;
	*clause = "";
	u->password_changed = true;
	if (mod_is(u->m, "update_password", "on_new_username")) {
		if (!reused(u, clause))
			return false;
		u->password_changed = !**clause;
		if (**clause)
			return true;
	}
	if (given(u, "password")) {
		const char *hash = hash_of(u);
		if (hash)
			*clause = u->c.mariadb
			                  ? arena_printf(a, " IDENTIFIED BY PASSWORD %s", mysql_text(a, hash))
			                  : arena_printf(a, " IDENTIFIED WITH mysql_native_password AS %s",
			                                 mysql_text(a, hash));
		return hash != NULL;
	}
	if (given(u, "plugin"))
		*clause = plugin_clause(u);
	return true;
}

static const char *requirement(struct user *u)
{
	return u->requires ? arena_printf(u->m->a, " REQUIRE %s", u->requires) : "";
}

/* The tls_requires as REQUIRE writes them, sorted as SHOW does; NULL when there are none. */
static const char *wanted_requires(struct mod_ctx *m)
{
	static const char *const order[] = {"ISSUER", "SUBJECT", "CIPHER"};
	const struct val *v = val_get(m->args, "tls_requires");
	const char *ret = NULL;
	bool x509 = false;
	if (!v || !val_len(v))
		return NULL;
	for (size_t i = 0; i < 3; i++)
		MAP_EACH (k, v)
			if (strcasecmp(val_get_strz(val_key_at(v, k)), order[i]) == 0) {
				struct str s = val_text(val_value_at(v, k), m->a);
				const char *one =
				        arena_printf(m->a, "%s %s", order[i],
				                     mysql_text(m->a, arena_strndup(m->a, s.p, s.n)));
				ret = ret ? arena_printf(m->a, "%s AND %s", ret, one) : one;
			}
	MAP_EACH (k, v)
		x509 = x509 || strcasecmp(val_get_strz(val_key_at(v, k)), "X509") == 0;
	return ret ? ret : x509 ? "X509" : "SSL";
}

/* What the server has: the words behind REQUIRE, NULL when there are none. */
static bool present_requires(struct user *u, const char **ret)
{
	const char *line;
	*ret = NULL;
	if (!mysql_value(&u->c, arena_printf(u->m->a, "SHOW CREATE USER %s", account(u)), &line))
		return false;
	const char *at = line ? strstr(line, " REQUIRE ") : NULL;
	if (!at)
		return true;
	at += strlen(" REQUIRE ");
	const char *end = at + strlen(at);
	for (const char *const *w = (const char *const[]){" PASSWORD ", " WITH ", " ACCOUNT ", NULL}; *w;
	     w++) {
		const char *stop = strstr(at, *w);
		end = stop && stop < end ? stop : end;
	}
	*ret = arena_strndup(u->m->a, at, (size_t)(end - at));
	if (strcmp(*ret, "NONE") == 0)
		*ret = NULL;
	return true;
}

/* The same demands, whatever their order and whether AND stands between. */
static bool same_requires(struct arena *a, const char *x, const char *y)
{
	const char *both[2] = {x, y};
	struct buf b[2] = {{0}, {0}};
	if (!x || !y)
		return x == y;
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 3; k++) {
			const char *word = ((const char *const[]){"ISSUER '", "SUBJECT '", "CIPHER '"})[k];
			const char *at = strstr(both[i], word),
			           *end = at ? strchr(at + strlen(word), '\'') : NULL;
			if (end)
				buf_printf(&b[i], "%.*s;", (int)(end - at), at);
		}
	struct str s = buf_take(&b[0], a), t = buf_take(&b[1], a);
	buf_free(&b[0]);
	buf_free(&b[1]);
	return s.n || t.n ? str_eq(s, t) : strcmp(x, y) == 0;
}

/* ---- there, and not there */

/* A statement that changes the account; MSG tells of it. False ends the work, in check mode too. */
static bool act(struct user *u, const char *msg, const char *sql)
{
	u->msg = msg;
	mod_changed(u->m);
	return !u->m->check && mysql_rows(&u->c, sql, NULL);
}

static bool grant(struct user *u, const char *where, const struct val *privs)
{
	const char *sql = privs_grant(u->m->a, where, privs, account(u));
	if (mysql_try(&u->c, sql))
		return true;
	return u->m->failed ? false
	                    : mod_fail(u->m,
	                               "Error granting privileges, invalid priv string: %s , params: ('%s', "
	                               "'%s'), query: "
	                               "%s , exception: %s.",
	                               privs_text(u->m->a, privs), u->name, u->host, sql, u->c.why);
}

static bool add(struct user *u)
{
	struct arena *a = u->m->a;
	const char *clause;
	if (mod_bool(u->m, "host_all"))
		return mod_fail(u->m, "host_all parameter cannot be used when adding a user");
	u->msg = "User added";
	mod_changed(u->m);
	u->unknown = u->m->check;
	if (u->m->check)
		return true;
	if (!identified(u, &clause) ||
	    !mysql_rows(&u->c, arena_printf(a, "CREATE USER %s%s%s", account(u), clause, requirement(u)),
	                NULL))
		return false;
	for (size_t i = 0; u->priv && !mod_bool(u->m, "subtract_privs") && i < val_len(u->priv); i++)
		if (!grant(u, val_get_strz(val_key_at(u->priv, i)), val_value_at(u->priv, i)))
			return false;
	return true;
}

static bool set_password(struct user *u)
{
	struct arena *a = u->m->a;
	const char *now, *hash;
	if (mod_bool(u->m, "encrypted") && !is_hash(mod_arg(u->m, "password")))
		return mod_fail(
		        u->m,
		        "encrypted was specified however it does not appear to be a valid hash expecting: "
		        "*SHA1(SHA1(your_password))");
	if (!(hash = hash_of(u)) ||
	    !mysql_value(
	            &u->c,
	            arena_printf(
	                    a,
	                    u->c.mariadb
	                            ? "SELECT COALESCE(NULLIF(Password, ''), authentication_string) FROM "
	                              "mysql.user WHERE user = %s AND host = %s"
	                            : "SELECT authentication_string FROM mysql.user WHERE user = %s AND "
	                              "host = %s",
	                    mysql_text(a, u->name), mysql_text(a, u->host)),
	            &now))
		return false;
	if (now && strcmp(now, hash) == 0)
		return true;
	u->password_changed = true;
	return act(u, u->m->check ? "Password updated" : "Password updated (new style)",
	           arena_printf(a, "ALTER USER %s IDENTIFIED WITH mysql_native_password AS %s", account(u),
	                        mysql_text(a, hash)));
}

static bool set_plugin(struct user *u)
{
	struct arena *a = u->m->a;
	struct val *rows;
	if (!mysql_rows(&u->c,
	                arena_printf(a,
	                             "SELECT plugin AS p, authentication_string AS s FROM mysql.user WHERE "
	                             "user = %s AND "
	                             "host = %s",
	                             mysql_text(a, u->name), mysql_text(a, u->host)),
	                &rows))
		return false;
	const struct val *row = val_len(rows) ? val_at(rows, 0) : val_map(a);
	const char *now = val_map_strz(row, "s", "");
	if (mod_is(u->m, "plugin", val_map_strz(row, "p", "")) &&
	    (!given(u, "plugin_hash_string") || mod_is(u->m, "plugin_hash_string", now)) &&
	    (!given(u, "plugin_auth_string") || mod_is(u->m, "plugin_auth_string", now)))
		return true;
	u->password_changed = true;
	mod_changed(u->m);
	return u->m->check ||
	       mysql_rows(&u->c, arena_printf(a, "ALTER USER %s%s", account(u), plugin_clause(u)), NULL);
}

static bool get_privs(struct user *u, struct val **ret)
{
	struct val *rows;
	*ret = val_map(u->m->a);
	if (!mysql_rows(&u->c, arena_printf(u->m->a, "SHOW GRANTS FOR %s", account(u)), &rows))
		return false;
	VAL_EACH (i, rows) {
		const char *line = val_get_strz(val_value_at(val_at(rows, i), 0));
		if (!privs_parse_grant(u->m->a, line, *ret))
			return mod_fail(u->m, "unable to parse the MySQL grant string: %s", line);
	}
	return true;
}

/* Takes PRIVS away at WHERE; OPTION: the right to grant goes first. */
static bool revoke(struct user *u, const char *where, const struct val *privs, bool option)
{
	struct arena *a = u->m->a;
	const char *words = privs_text(a, privs);
	if (option &&
	    !mysql_rows(&u->c, arena_printf(a, "REVOKE GRANT OPTION ON %s FROM %s", where, account(u)), NULL))
		return false;
	return !*words ||
	       mysql_rows(&u->c, arena_printf(a, "REVOKE %s ON %s FROM %s", words, where, account(u)), NULL);
}

/* What is granted where the task names nothing goes. */
static bool revoke_others(struct user *u, const struct val *now)
{
	MAP_EACH (i, now) {
		const struct val *privs = val_value_at(now, i);
		const char *where = val_get_strz(val_key_at(now, i));
		if (val_get(u->priv, where) || strcmp(u->name, "root") == 0 || privs_has(privs, "PROXY"))
			continue;
		u->msg = "Privileges updated";
		mod_changed(u->m);
		if (u->m->check)
			return false;
		if (!revoke(u, where, privs, privs_has(privs, "GRANT")))
			return false;
	}
	return true;
}

/* The members of X that Y lacks, or has. */
static struct val *pick(struct arena *a, const struct val *x, const struct val *y, bool has)
{
	struct val *list = val_list(a);
	VAL_EACH (i, x) {
		const char *z = val_get_strz(val_at(x, i));
		if (privs_has(y, z) == has && !privs_has(list, z))
			val_push(list, val_at(x, i));
	}
	return list;
}

static bool adjust(struct user *u, const char *where, const struct val *want, const struct val *now)
{
	struct arena *a = u->m->a;
	bool append = mod_bool(u->m, "append_privs"), subtract = mod_bool(u->m, "subtract_privs");
	struct val *more = subtract ? val_list(a) : pick(a, want, now, false);
	struct val *less = append     ? val_list(a)
	                   : subtract ? pick(a, want, now, true)
	                              : pick(a, now, want, false);
	if (privs_has(more, "ALL") || privs_has(more, "ALL PRIVILEGES")) {
		struct val *kept = val_list(a);
		VAL_EACH (i, less)
			if (strcmp(val_get_strz(val_at(less, i)), "GRANT") == 0)
				val_push(kept, val_at(less, i));
		less = kept;
	}
	bool option = privs_has(less, "GRANT") && !privs_has(more, "GRANT");
	if (val_len(more) == 1 && privs_has(more, "GRANT"))
		val_push(more, val_strz(a, "USAGE"));
	if (!val_len(more) && !val_len(less))
		return true;
	struct buf b = {0};
	buf_adds(&b, "Privileges updated: granted ");
	val_repr(more, &b);
	buf_adds(&b, ", revoked ");
	val_repr(less, &b);
	u->msg = buf_take(&b, a).p;
	buf_free(&b);
	if (u->m->check)
		mod_changed(u->m);
	return !u->m->check && (!val_len(less) || revoke(u, where, less, option)) &&
	       (!val_len(more) || grant(u, where, more));
}

static bool set_privs(struct user *u)
{
	struct val *now, *after;
	bool append = mod_bool(u->m, "append_privs"), subtract = mod_bool(u->m, "subtract_privs");
	if (!get_privs(u, &now) || (!append && !subtract && !revoke_others(u, now)))
		return false;
	for (int both = 0; both < 2; both++)
		MAP_EACH (i, u->priv) {
			const char *where = val_get_strz(val_key_at(u->priv, i));
			const struct val *have = val_get(now, where), *want = val_value_at(u->priv, i);
			if (!both == !!have || (!have && subtract))
				continue;
			if (have ? !adjust(u, where, want, have) : false)
				return false;
			if (have)
				continue;
			u->msg = "New privileges granted";
			mod_changed(u->m);
			if (u->m->check || !grant(u, where, want))
				return false;
		}
	if (!get_privs(u, &after))
		return false;
	if (!val_equal(now, after))
		mod_changed(u->m);
	return true;
}

static bool set_requires(struct user *u)
{
	const char *now;
	if (!present_requires(u, &now))
		return false;
	return same_requires(u->m->a, now, u->requires) ||
	       act(u, "TLS requires updated",
	           arena_printf(u->m->a, "ALTER USER %s REQUIRE %s", account(u),
	                        u->requires ? u->requires : "NONE"));
}

/* All about the account at u->host. False when that was all there is to do, or it failed. */
static bool modify(struct user *u)
{
	bool always = mod_is(u->m, "update_password", "always");
	return (!always || !given(u, "password") || set_password(u)) &&
	       (!always || !given(u, "plugin") || set_plugin(u)) && (!u->priv || set_privs(u)) &&
	       set_requires(u);
}

static bool limits(struct user *u)
{
	static const char *const names[][2] = {
	        {"MAX_QUERIES_PER_HOUR", "max_questions"},
	        {"MAX_UPDATES_PER_HOUR", "max_updates"},
	        {"MAX_CONNECTIONS_PER_HOUR", "max_connections"},
	        {"MAX_USER_CONNECTIONS", "max_user_connections"},
	        {"MAX_STATEMENT_TIME", "max_statement_time"},
	};
	struct mod_ctx *m = u->m;
	const struct val *want = val_get(m->args, "resource_limits");
	const char *words = "", *now;
	for (size_t i = 0; want && i < val_len(want); i++) {
		const char *key = val_get_strz(val_key_at(want, i));
		struct str value = val_text(val_value_at(want, i), m->a);
		size_t k = 0;
		int64_t n;
		while (k < 5 && strcmp(names[k][0], key) != 0)
			k++;
		if (k == 4 && !u->c.mariadb)
			return mod_fail(m, "MAX_STATEMENT_TIME resource limit is only supported by MariaDB.");
		if (k == 5)
			return mod_fail(m, "resource_limits: key '%s' is unsupported.", key);
		if (!str_int(value, &n))
			return mod_fail(m, "Can't convert value '%.*s' to integer.", STR_FMT(value));
		if (!mysql_value(
		            &u->c,
		            arena_printf(
		                    m->a,
		                    "SELECT CAST(%s AS SIGNED) FROM mysql.user WHERE User = %s AND Host = %s",
		                    names[k][1], mysql_text(m->a, u->name), mysql_text(m->a, u->host)),
		            &now))
			return false;
		if (!now || strtoll(now, NULL, 10) != n)
			words = arena_printf(m->a, "%s %s %lld", words, key, (long long)n);
	}
	if (!*words)
		return true;
	mod_changed(m);
	return m->check ||
	       mysql_rows(&u->c, arena_printf(m->a, "ALTER USER %s WITH%s", account(u), words), NULL);
}

/* ---- */

/* The hosts of the name: all, or only the task's when it is one of them. */
static bool find(struct user *u, struct val **hosts)
{
	struct arena *a = u->m->a;
	return mysql_rows(
	        &u->c,
	        mod_bool(u->m, "host_all")
	                ? arena_printf(a, "SELECT Host AS h FROM mysql.user WHERE user = %s",
	                               mysql_text(a, u->name))
	                : arena_printf(a, "SELECT Host AS h FROM mysql.user WHERE user = %s AND host = %s",
	                               mysql_text(a, u->name), mysql_text(a, u->host)),
	        hosts);
}

static bool make_absent(struct user *u, const struct val *hosts)
{
	u->msg = val_len(hosts) ? "User deleted" : "User doesn't exist";
	VAL_EACH (i, hosts) {
		u->host = val_map_strz(val_at(hosts, i), "h", "");
		mod_changed(u->m);
		if (!u->m->check &&
		    !mysql_rows(&u->c, arena_printf(u->m->a, "DROP USER IF EXISTS %s", account(u)), NULL))
			return false;
	}
	return true;
}

static bool make_present(struct user *u, const struct val *hosts)
{
	u->msg = "User unchanged";
	if (!val_len(hosts))
		return add(u) && limits(u);
	VAL_EACH (i, hosts) {
		if (mod_bool(u->m, "host_all"))
			u->host = val_map_strz(val_at(hosts, i), "h", "");
		if (!modify(u) && (u->m->failed || u->m->check))
			break;
	}
	return !u->m->failed && limits(u);
}

/* Statements of the session: no binary log, variables. */
static const char *session(struct mod_ctx *m)
{
	const struct val *vars = val_get(m->args, "session_vars");
	const char *sql = mod_bool(m, "sql_log_bin") ? NULL : "SET SQL_LOG_BIN=0";
	for (size_t i = 0; vars && i < val_len(vars); i++) {
		const struct val *v = val_value_at(vars, i);
		struct str s = val_text(v, m->a);
		const char *z = arena_strndup(m->a, s.p ? s.p : "", s.n);
		sql = arena_printf(m->a, "%s%sSET SESSION %s = %s", sql ? sql : "", sql ? ";\n" : "",
		                   mysql_name(m->a, val_get_strz(val_key_at(vars, i))),
		                   val_is_num(v) ? z : mysql_text(m->a, z));
	}
	return sql;
}

static bool read_privs(struct user *u)
{
	const struct val *priv = val_get(u->m->args, "priv");
	const char *mode;
	if (!priv || val_is_null(priv))
		return true;
	if (!val_is_str(priv) && !val_is_map(priv))
		return mod_fail(u->m, "priv parameter must be str or dict but %s was passed",
		                val_type_name(priv));
	if (!mysql_value(&u->c, "SELECT @@GLOBAL.sql_mode", &mode))
		return false;
	u->priv = privs_unpack(u->m, priv, mode && strstr(mode, "ANSI") ? '"' : '`',
	                       !mod_bool(u->m, "subtract_privs"));
	return u->priv != NULL;
}

static bool run(struct mod_ctx *m)
{
	struct user u = {.m = m, .name = mod_arg(m, "user"), .requires = wanted_requires(m)};
	struct val *hosts;
	char *host = arena_strdup(m->a, mod_arg(m, "host"));
	for (char *p = host; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	u.host = host;
	if (!mysql_open(&u.c, m, mod_bool(m, "force_context") ? "mysql" : NULL, false))
		return false;
	u.c.before = session(m);
	if (!read_privs(&u) || !find(&u, &hosts) ||
	    !(mod_is(m, "state", "present") ? make_present(&u, hosts) : make_absent(&u, hosts)))
		return false;
	mod_sets(m, "user", u.name);
	mod_sets(m, "msg", u.msg);
	if (u.unknown)
		mod_set(m, "password_changed", val_null());
	else
		mod_setb(m, "password_changed", u.password_changed);
	return true;
}

static const struct mod_arg args[] = {
        {"user", MT_STR, MA_REQUIRED, .aliases = "name", .doc = "The account's name."},
        {"host", MT_STR, .dflt = "localhost", .doc = "Where it may connect from."},
        {"host_all", MT_BOOL, .dflt = "false", .doc = "All accounts of that name."},
        {"password", MT_STR, MA_NO_LOG, .doc = "Its password."},
        {"encrypted", MT_BOOL, .dflt = "false", .doc = "The password is a hash of mysql_native_password."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"priv", MT_RAW, .doc = "Its privileges: db.table:priv1,priv2, parted by /, or a map."},
        {"tls_requires", MT_DICT, .doc = "What its connections must show."},
        {"append_privs", MT_BOOL, .dflt = "false", .doc = "Keep the privileges it has."},
        {"subtract_privs", MT_BOOL, .dflt = "false", .doc = "Take these privileges away."},
        {"check_implicit_admin", MT_BOOL, .dflt = "false", .doc = "Try root without a password first."},
        {"update_password", MT_STR, .dflt = "always", .choices = "always|on_create|on_new_username",
         .doc = "When the password is set."},
        {"sql_log_bin", MT_BOOL, .dflt = "true", .doc = "Write to the binary log."},
        {"plugin", MT_STR, .doc = "The authentication plugin."},
        {"plugin_hash_string", MT_STR, .doc = "What the plugin keeps."},
        {"plugin_auth_string", MT_STR, .doc = "What the plugin makes it from."},
        {"resource_limits", MT_DICT, .doc = "MAX_QUERIES_PER_HOUR and its like."},
        {"force_context", MT_BOOL, .dflt = "false", .doc = "Be in the database mysql."},
        {"session_vars", MT_DICT, .doc = "Variables of the session."},
        {"column_case_sensitive", MT_BOOL, .doc = "Names of columns in privileges keep their case."},
        {NULL},
};

const struct module module_row_mysql_user = {
        .name = "mysql_user",
        .from = "community.mysql",
        .doc = "Keeps an account of MariaDB or MySQL.",
        .args = args,
        .shared = mysql_args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "append_privs|subtract_privs",
        .run = run,
};
