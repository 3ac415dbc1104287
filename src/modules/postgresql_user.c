#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include "modules/digest.h"
#include "modules/postgresql_client.h"

static const struct {
	const char *word, *column;
} flags[] = {
        {"SUPERUSER", "rolsuper"},     {"CREATEROLE", "rolcreaterole"}, {"CREATEDB", "rolcreatedb"},
        {"INHERIT", "rolinherit"},     {"LOGIN", "rolcanlogin"},        {"REPLICATION", "rolreplication"},
        {"BYPASSRLS", "rolbypassrls"},
};

enum { FLAGS = sizeof(flags) / sizeof(*flags) };

struct role {
	struct mod_ctx *m;
	struct psql p;
	const char *name;
	const struct val *now;     /* its row, NULL: not there */
	signed char wanted[FLAGS]; /* 1: set, -1: not set, 0: as it is */
};

/* ---- passwords */

static bool is_md5(const char *z)
{
	return strncmp(z, "md5", 3) == 0 && strlen(z) == 35 && strspn(z + 3, "0123456789abcdefABCDEF") == 32;
}

static bool is_hash(const char *z)
{
	return is_md5(z) || strncmp(z, "SCRAM-SHA-256$", 14) == 0;
}

static void hmac_sha256(const unsigned char *key, struct str text, unsigned char out[32])
{
	unsigned int n = 32;
	HMAC(EVP_sha256(), key, 32, (const unsigned char *)text.p, text.n, out, &n);
}

/* Whether STORED, SCRAM-SHA-256$rounds:salt$StoredKey:ServerKey, is of PASSWORD (RFC 5802). */
static bool scram_matches(const char *stored, const char *password)
{
	unsigned char salted[32], server[32];
	struct str rest = str_c(stored + 14), rounds = str_split(&rest, ':'), salt64 = str_split(&rest, '$');
	struct buf salt = {0}, key = {0};
	int64_t n;
	(void)str_split(&rest, ':');
	bool ok = rest.p && str_int(rounds, &n) && n > 0 && n < INT32_MAX && buf_unbase64(&salt, salt64) &&
	          PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (const unsigned char *)salt.p,
	                            (int)salt.n, (int)n, EVP_sha256(), sizeof(salted), salted) == 1;
	if (ok) {
		hmac_sha256(salted, STR("Server Key"), server);
		ok = buf_unbase64(&key, rest) && key.n == sizeof(server) &&
		     memcmp(key.p, server, sizeof(server)) == 0;
	}
	buf_free(&salt);
	buf_free(&key);
	return ok;
}

static bool password_matches(struct role *r, const char *password)
{
	const char *stored = val_map_strz(r->now, "password", "");
	if (!*password || is_hash(password) || !is_hash(stored))
		return strcmp(password, stored) == 0;
	if (!is_md5(stored))
		return scram_matches(stored, password);
	const char *both = arena_printf(r->m->a, "%s%s", password, r->name);
	return strcmp(digest_str(r->m->a, "md5", str_c(both)), stored + 3) == 0;
}

/* ---- the role */

static bool take_flags(struct role *r)
{
	struct mod_ctx *m = r->m;
	struct str rest = mod_args(m, "role_attr_flags");
	while (rest.p) {
		struct str word = str_trim(str_split(&rest, ','));
		char *z = arena_strndup(m->a, word.p ? word.p : "", word.n);
		bool known = !*z;
		for (char *p = z; *p; p++)
			*p = (char)toupper((unsigned char)*p);
		for (size_t i = 0; i < FLAGS; i++) {
			bool no = strncmp(z, "NO", 2) == 0 && strcmp(z + 2, flags[i].word) == 0;
			if (no || strcmp(z, flags[i].word) == 0) {
				r->wanted[i] = no ? -1 : 1;
				known = true;
			}
		}
		if (!known)
			return mod_fail(m, "Invalid role_attr_flags specified: %s", z);
	}
	return true;
}

static bool look(struct role *r)
{
	struct arena *a = r->m->a;
	const char *expires = mod_arg(r->m, "expires");
	bool ask = mod_has(r->m, "password") && !mod_bool(r->m, "no_password_changes");
	const struct val *rows;
	if (!psql_rows(
	            &r->p,
	            arena_printf(
	                    a,
	                    "SELECT r.*, shobj_description(oid, 'pg_authid') AS comment, %s AS same_expiry, "
	                    "%s AS "
	                    "password FROM pg_roles r WHERE rolname = %s",
	                    expires ? arena_printf(a, "coalesce(rolvaliduntil, 'infinity') = %s::timestamptz",
	                                           psql_text(a, expires))
	                            : "true",
	                    ask ? "(SELECT rolpassword FROM pg_authid x WHERE x.oid = r.oid)" : "NULL",
	                    psql_text(a, r->name)),
	            &rows))
		return false;
	r->now = val_len(rows) ? val_at(rows, 0) : NULL;
	return true;
}

/* The parts of CREATE or ALTER that are not as wanted. */
static void differences(struct role *r, struct buf *b)
{
	struct mod_ctx *m = r->m;
	const char *password = mod_arg(m, "password"), *expires = mod_arg(m, "expires");
	bool keep = r->now && mod_bool(m, "no_password_changes");
	if (password && !keep && (!r->now || !password_matches(r, password))) {
		if (*password)
			buf_printf(b, " %sPASSWORD %s", mod_bool(m, "encrypted") ? "ENCRYPTED " : "",
			           psql_text(m->a, password));
		else if (r->now)
			buf_adds(b, " PASSWORD NULL");
	}
	for (size_t i = 0; i < FLAGS; i++)
		if (r->wanted[i] &&
		    (!r->now || val_map_bool(r->now, flags[i].column, false) != (r->wanted[i] > 0)))
			buf_printf(b, " %s%s", r->wanted[i] < 0 ? "NO" : "", flags[i].word);
	if (expires && (!r->now || !val_map_bool(r->now, "same_expiry", false)))
		buf_printf(b, " VALID UNTIL %s", psql_text(m->a, expires));
	if (mod_has(m, "conn_limit") &&
	    (!r->now || val_map_int(r->now, "rolconnlimit", -1) != mod_int(m, "conn_limit", -1)))
		buf_printf(b, " CONNECTION LIMIT %lld", (long long)mod_int(m, "conn_limit", -1));
}

/* ---- privileges: "CONNECT/table:SELECT,INSERT/..." */

static const char *known_privs(bool table)
{
	return table ? "SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER" : "CREATE,CONNECT,TEMPORARY";
}

static bool within(const char *list, struct str word)
{
	struct str rest = str_c(list);
	while (rest.p)
		if (str_eq(str_split(&rest, ','), word))
			return true;
	return false;
}

/* WORDS in SQL's spelling; NULL and failed when one is none. */
static const char *take_privs(struct role *r, struct str words, bool table)
{
	struct arena *a = r->m->a;
	const char *all = "";
	while (words.p) {
		struct str word = str_trim(str_split(&words, ','));
		char *z = arena_strndup(a, word.p ? word.p : "", word.n);
		for (char *p = z; *p; p++)
			*p = (char)toupper((unsigned char)*p);
		if (strcmp(z, "ALL") == 0)
			return known_privs(table);
		const char *full = !table && strcmp(z, "TEMP") == 0 ? "TEMPORARY" : z;
		if (!within(known_privs(table), str_c(full))) {
			mod_fail(r->m, "Invalid privs specified for %s: %s", table ? "table" : "database", z);
			return NULL;
		}
		all = arena_printf(a, "%s%s%s", all, *all ? "," : "", full);
	}
	return all;
}

/* What of WANTED the role holds on the object now: all, some, none. */
static bool held(struct role *r, const char *table, const char *wanted, size_t *some, bool *all)
{
	struct arena *a = r->m->a;
	const struct val *rows;
	const char *whom = strcmp(r->name, "PUBLIC") == 0
	                           ? "0"
	                           : arena_printf(a, "(SELECT oid FROM pg_roles WHERE rolname = %s)",
	                                          psql_text(a, r->name));
	const char *from =
	        table ? arena_printf(
	                        a,
	                        "pg_class c, aclexplode(coalesce(relacl, acldefault('r', relowner))) x WHERE "
	                        "c.oid = to_regclass(%s)",
	                        psql_text(a, table))
	              : arena_printf(a, "pg_database, aclexplode(datacl) x WHERE datname = %s",
	                             psql_text(a, mod_arg(r->m, "login_db")));
	if (!psql_rows(&r->p,
	               arena_printf(a, "SELECT DISTINCT privilege_type AS p FROM %s AND x.grantee = %s", from,
	                            whom),
	               &rows))
		return false;
	*some = 0;
	*all = true;
	struct str rest = str_c(wanted);
	while (rest.p) {
		struct str word = str_split(&rest, ',');
		bool has = false;
		VAL_EACH (i, rows)
			has = has || str_eq(val_map_str(val_at(rows, i), "p", ""), word);
		*some += has;
		*all = *all && has;
	}
	return true;
}

/* Grants what is missing, or takes away what is there. */
static bool change_privs(struct role *r, bool grant)
{
	struct mod_ctx *m = r->m;
	struct str rest = mod_args(m, "priv");
	const char *whom = strcmp(r->name, "PUBLIC") == 0 ? "PUBLIC" : psql_name(m->a, r->name);
	while (rest.p) {
		struct str words = str_split(&rest, '/'), name = {0};
		ptrdiff_t colon = str_find(words, STR(":"), 0);
		if (colon >= 0)
			name = str_split(&words, ':');
		const char *table =
		        colon < 0 ? NULL
		        : str_find(name, STR("."), 0) >= 0
		                ? psql_dotted(m->a, arena_strndup(m->a, name.p, name.n))
		                : arena_printf(m->a, "\"public\".%s",
		                               psql_dotted(m->a, arena_strndup(m->a, name.p, name.n)));
		const char *wanted = take_privs(r, words, table != NULL);
		size_t some = 0;
		bool all = false;
		if (!wanted ||
		    ((r->now || strcmp(whom, "PUBLIC") == 0) && !held(r, table, wanted, &some, &all)))
			return false;
		if (grant ? all : !some)
			continue;
		const char *what =
		        table ? arena_printf(m->a, "TABLE %s", table)
		              : arena_printf(m->a, "DATABASE %s", psql_name(m->a, mod_arg(m, "login_db")));
		if (!psql_do(&r->p, arena_printf(m->a, "%s %s ON %s %s %s", grant ? "GRANT" : "REVOKE",
		                                 wanted, what, grant ? "TO" : "FROM", whom)))
			return false;
	}
	return true;
}

/* What the role's sessions begin with; what they have besides goes when that is asked for. */
static bool configure(struct role *r)
{
	struct mod_ctx *m = r->m;
	const struct val *want = val_get(m->args, "configuration"),
	                 *have = r->now ? val_get(r->now, "rolconfig") : NULL;
	const char *name = psql_name(m->a, r->name);
	struct val *now = val_map(m->a);
	if (!have || val_kind(have) != VAL_LIST)
		have = val_list(m->a);
	VAL_EACH (i, have) {
		struct str value = val_get_str(val_at(have, i)), key = str_split(&value, '=');
		const char *z = arena_strndup(m->a, key.p, key.n);
		val_set(now, z, val_str(m->a, value));
		if (mod_bool(m, "reset_unspecified_configuration") && !(want && val_get(want, z)) &&
		    !psql_do(&r->p, arena_printf(m->a, "ALTER ROLE %s RESET %s;", name, psql_name(m->a, z))))
			return false;
	}
	for (size_t i = 0; want && i < val_len(want); i++) {
		const char *key = val_get_strz(val_key_at(want, i)), *old = val_map_strz(now, key, NULL);
		struct str v = val_text(val_value_at(want, i), m->a);
		const char *z = arena_strndup(m->a, v.p ? v.p : "", v.n);
		if (old && strcmp(old, z) == 0)
			continue;
		if (mod_bool(m, "quote_configuration_values"))
			z = psql_text(m->a, z);
		if (!psql_do(&r->p, arena_printf(m->a, "ALTER ROLE %s SET %s TO %s;", name,
		                                 psql_name(m->a, key), z)))
			return false;
	}
	return true;
}

static bool make_present(struct role *r)
{
	struct mod_ctx *m = r->m;
	const char *name = psql_name(m->a, r->name);
	struct buf b = {0};
	differences(r, &b);
	struct str parts = buf_take(&b, m->a);
	buf_burn(&b);
	bool ok = (r->now && !parts.n) ||
	          psql_do(&r->p, arena_printf(m->a, "%s USER %s%s%.*s", r->now ? "ALTER" : "CREATE", name,
	                                      parts.n ? " WITH" : "", STR_FMT(parts)));
	return ok &&
	       psql_comment(&r->p, "ROLE", name, r->now ? val_map_strz(r->now, "comment", NULL) : NULL) &&
	       configure(r) && change_privs(r, true);
}

/* Roles that own something cannot go: whether that is a failure is the caller's choice. */
static bool make_absent(struct role *r)
{
	struct mod_ctx *m = r->m;
	struct str out;
	const char *why, *sql = arena_printf(m->a, "DROP USER %s", psql_name(m->a, r->name));
	mod_setb(m, "user_removed", false);
	if (!r->now)
		return true;
	if (!m->check && !change_privs(r, false))
		return false;
	val_push(r->p.executed, val_strz(m->a, sql));
	if (!m->check && !psql_try(&r->p, arena_printf(m->a, "%s;", sql), &out, &why))
		return false;
	if (!m->check && why) {
		if (mod_bool(m, "fail_on_user"))
			return mod_fail(m, "Unable to remove user: %s", why);
		mod_sets(m, "msg", why);
		return true;
	}
	mod_changed(m);
	mod_setb(m, "user_removed", true);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct role r = {.m = m, .name = mod_arg(m, "name")};
	const char *const unfit[] = {"password", "role_attr_flags"};
	if (!take_flags(&r))
		return false;
	for (size_t i = 0; i < 2; i++)
		if (strcmp(r.name, "PUBLIC") == 0 && mod_has(m, unfit[i]) && (!i || *mod_arg(m, unfit[i])))
			return mod_fail(m, "cannot change the %s for PUBLIC user", unfit[i]);
	if (!psql_open(&r.p, m, mod_arg(m, "login_db")))
		return false;
	r.p.refusal = "";
	if (!look(&r))
		return false;
	mod_sets(m, "user", r.name);
	mod_set(m, "queries", r.p.executed);
	/* Everybody is no role: there are only privileges of theirs. */
	if (strcmp(r.name, "PUBLIC") == 0)
		return change_privs(&r, mod_is(m, "state", "present"));
	return mod_is(m, "state", "present") ? make_present(&r) : make_absent(&r);
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "user", .doc = "The role."},
        {"password", MT_STR, MA_NO_LOG, .doc = "Its password, or the hash of it; empty for none."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"role_attr_flags", MT_STR, .dflt = "", .doc = "What it may do: CREATEDB,NOSUPERUSER ..."},
        {"encrypted", MT_BOOL, .dflt = "true", .doc = "The password is stored as a hash."},
        {"expires", MT_STR, .doc = "Until when the password is good."},
        {"priv", MT_STR,
         .doc = "What it may do in the database and its tables: CONNECT/table:SELECT,INSERT/table2:ALL."},
        {"conn_limit", MT_INT, .doc = "How often it may be connected at a time."},
        {"comment", MT_STR, .doc = "A comment on it."},
        {"configuration", MT_DICT, .doc = "Settings its sessions begin with."},
        {"reset_unspecified_configuration", MT_BOOL, .dflt = "false", .doc = "No others."},
        {"quote_configuration_values", MT_BOOL, .dflt = "true", .doc = "The values are texts, not SQL."},
        {"no_password_changes", MT_BOOL, .dflt = "false",
         .doc = "The password of a role that is there stays."},
        {"fail_on_user", MT_BOOL, .dflt = "true", .aliases = "fail_on_role",
         .doc = "A role that cannot be removed is a failure."},
        {"login_db", MT_STR, .dflt = "postgres", .aliases = "db", .doc = "The database to connect to."},
        {NULL},
};

const struct module module_row_postgresql_user = {
        .name = "postgresql_user",
        .from = "community.postgresql",
        .doc = "Keeps a role of PostgreSQL that can log in.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
