#include "modules/argv.h"
#include "modules/postgresql_client.h"
#include "modules/words.h"

struct db {
	struct mod_ctx *m;
	struct psql p;
	const char *name;
};

/* An argument that is there and not empty, or NULL. */
static const char *given(const struct mod_ctx *m, const char *name)
{
	const char *z = mod_arg(m, name);
	return z && *z ? z : NULL;
}

/* ---- present, absent, renamed */

static bool find(struct db *d, const char *name, const struct val **row)
{
	struct arena *a = d->m->a;
	const struct val *rows;
	const char *encoding = given(d->m, "encoding");
	if (!psql_rows(
	            &d->p,
	            arena_printf(
	                    a,
	                    "SELECT pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS "
	                    "encoding, "
	                    "encoding = pg_char_to_encoding(%s) AS same_encoding, datcollate AS lc_collate, "
	                    "datctype AS lc_ctype, datconnlimit::text AS conn_limit, spcname AS tablespace, "
	                    "shobj_description(d.oid, 'pg_database') AS comment, coalesce(to_jsonb(d)->>"
	                    "'daticulocale', to_jsonb(d)->>'datlocale') AS icu_locale, CASE to_jsonb(d)->>"
	                    "'datlocprovider' WHEN 'i' THEN 'icu' ELSE 'libc' END AS locale_provider "
	                    "FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace "
	                    "WHERE datname = %s",
	                    encoding ? psql_text(a, encoding) : "''", psql_text(a, name)),
	            &rows))
		return false;
	*row = val_len(rows) ? val_at(rows, 0) : NULL;
	return true;
}

static bool create(struct db *d)
{
	/* With how its value is written: a name, a text, or as it is. */
	static const struct {
		const char *arg, *words;
		char kind;
	} parts[] = {
	        {"owner", "OWNER", 'n'},
	        {"template", "TEMPLATE", 'n'},
	        {"encoding", "ENCODING", 't'},
	        {"lc_collate", "LC_COLLATE", 't'},
	        {"lc_ctype", "LC_CTYPE", 't'},
	        {"icu_locale", "ICU_LOCALE", 't'},
	        {"locale_provider", "LOCALE_PROVIDER", 't'},
	        {"tablespace", "TABLESPACE", 'n'},
	        {"conn_limit", "CONNECTION LIMIT", 0},
	};
	struct arena *a = d->m->a;
	const char *sql = arena_printf(a, "CREATE DATABASE %s", psql_name(a, d->name));
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const char *z = given(d->m, parts[i].arg);
		if (z)
			sql = arena_printf(a, "%s %s %s", sql, parts[i].words,
			                   parts[i].kind == 'n'   ? psql_name(a, z)
			                   : parts[i].kind == 't' ? psql_text(a, z)
			                                          : z);
	}
	return psql_do(&d->p, sql);
}

/* What cannot be changed of a database that is there, or NULL. */
static const char *stuck(struct db *d, const struct val *row)
{
	struct mod_ctx *m = d->m;
	static const char *const fixed[][2] = {{"lc_collate", "LC_COLLATE"},
	                                       {"lc_ctype", "LC_CTYPE"},
	                                       {"icu_locale", "ICU_LOCALE"},
	                                       {"locale_provider", "LOCALE_PROVIDER"}};
	if (given(m, "encoding") && !val_map_bool(row, "same_encoding", false))
		return arena_printf(m->a, "Changing database encoding is not supported. Current encoding: %s",
		                    val_map_strz(row, "encoding", ""));
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		const char *want = given(m, fixed[i][0]), *now = val_map_strz(row, fixed[i][0], "");
		if (want && strcmp(want, now) != 0)
			return arena_printf(m->a, "Changing %s is not supported. Current %s: %s", fixed[i][1],
			                    fixed[i][1], now);
	}
	return NULL;
}

static bool alter(struct db *d, const struct val *row)
{
	static const struct {
		const char *arg, *words;
		bool name;
	} parts[] = {{"owner", "OWNER TO", true},
	             {"conn_limit", "CONNECTION LIMIT", false},
	             {"tablespace", "SET TABLESPACE", true}};
	struct mod_ctx *m = d->m;
	const char *why = stuck(d, row);
	if (why)
		return mod_fail(m, "%s", why);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const char *want = given(m, parts[i].arg);
		if (want && strcmp(want, val_map_strz(row, parts[i].arg, "")) != 0 &&
		    !psql_do(&d->p,
		             arena_printf(m->a, "ALTER DATABASE %s %s %s", psql_name(m->a, d->name),
		                          parts[i].words, parts[i].name ? psql_name(m->a, want) : want)))
			return false;
	}
	return true;
}

static bool make_present(struct db *d)
{
	const struct val *row;
	const char *limit = given(d->m, "conn_limit");
	int64_t n;
	if (limit && !str_int(str_c(limit), &n))
		return mod_fail(d->m, "conn_limit: %s is not a number", limit);
	return find(d, d->name, &row) && (row ? alter(d, row) : create(d)) &&
	       psql_comment(&d->p, "DATABASE", psql_name(d->m->a, d->name),
	                    row ? val_map_strz(row, "comment", NULL) : NULL);
}

static bool make_absent(struct db *d)
{
	struct arena *a = d->m->a;
	const struct val *row;
	if (!find(d, d->name, &row))
		return false;
	return !row || psql_do(&d->p, arena_printf(a, "DROP DATABASE %s%s", psql_name(a, d->name),
	                                           mod_bool(d->m, "force") ? " WITH (FORCE)" : ""));
}

static bool rename_it(struct db *d)
{
	struct mod_ctx *m = d->m;
	const char *to = given(m, "target");
	const struct val *source, *target;
	if (!to)
		return mod_fail(m,
		                "The \"target\" option must be defined when the \"rename\" option is used.");
	if (strcmp(to, d->name) == 0)
		return mod_fail(m, "The \"name/db\" option and the \"target\" option cannot be the same.");
	if (mod_is(m, "maintenance_db", d->name))
		return mod_fail(
		        m, "The \"maintenance_db\" option and the \"name/db\" option cannot be the same.");
	if (!find(d, d->name, &source) || !find(d, to, &target))
		return false;
	if (source && target)
		return mod_fail(m, "Both the source and the target databases exist.");
	if (!source && !target)
		return mod_fail(m, "The source and the target databases do not exist.");
	return target || psql_do(&d->p, arena_printf(m->a, "ALTER DATABASE %s RENAME TO %s",
	                                             psql_name(m->a, d->name), psql_name(m->a, to)));
}

/* ---- dumped and restored: by the programs that come with the server's client */

/* How a target is written and read, by the end of its name. */
static const struct format {
	const char *suffix, *dump, *restore, *pack, *unpack;
} formats[] = {
        {".tar", "--format=t", "--format=Tar", NULL, NULL},
        {".tar.gz", "--format=t", "--format=Tar", "gzip", "gzip -dc"},
        {".pgc", "--format=c", "--format=Custom", NULL, NULL},
        {".dir", "--format=d", "--format=Directory", NULL, NULL},
        {".gz", NULL, NULL, "gzip", "gzip -dc"},
        {".bz2", NULL, NULL, "bzip2", "bzip2 -dc"},
        {".xz", NULL, NULL, "xz", "xz -dc"},
        {"", NULL, NULL, NULL, NULL},
};

static const struct format *format_of(const char *target)
{
	const struct format *f = formats, *best = NULL;
	for (;; f++) {
		if (str_ends(str_c(target), f->suffix) && (!best || strlen(f->suffix) > strlen(best->suffix)))
			best = f;
		if (!*f->suffix)
			return best;
	}
}

static const char *options(struct db *d, const char *more)
{
	const char *opts = given(d->m, "target_opts");
	return arena_printf(d->m->a, " -d %s%s%s%s%s", words_quote(d->m->a, d->p.conninfo), opts ? " " : "",
	                    opts ? opts : "", more ? " " : "", more ? more : "");
}

static const char *dump_command(struct db *d, const char *target, const struct format *f)
{
	struct arena *a = d->m->a;
	const char *to = words_quote(a, target);
	const char *dump = arena_printf(a, "pg_dump -w%s%s%s", options(d, given(d->m, "dump_extra_args")),
	                                f->dump ? " " : "", f->dump ? f->dump : "");
	if (f->dump && strcmp(f->dump, "--format=d") == 0)
		return arena_printf(a, "%s -f %s", dump, to);
	return f->pack ? arena_printf(a, "set -o pipefail; %s | %s > %s", dump, f->pack, to)
	               : arena_printf(a, "%s > %s", dump, to);
}

static const char *restore_command(struct db *d, const char *target, const struct format *f)
{
	struct arena *a = d->m->a;
	const char *from = words_quote(a, target);
	const char *restore = f->restore ? arena_printf(a, "pg_restore -w%s %s", options(d, NULL), f->restore)
	                                 : arena_printf(a, "psql -X -w%s", options(d, NULL));
	if (f->unpack)
		return arena_printf(a, "set -o pipefail; %s %s | %s", f->unpack, from, restore);
	return arena_printf(a, f->restore ? "%s %s" : "%s --file=%s", restore, from);
}

static bool move_data(struct db *d, bool dump)
{
	struct mod_ctx *m = d->m;
	const char *target = given(m, "target");
	struct argv c = {.m = m};
	struct mod_out out;
	if (!psql_open(&d->p, m, d->name))
		return false;
	if (!target)
		target = arena_printf(m->a, "%s/%s.sql", mod_env(m, "HOME") ? mod_env(m, "HOME") : "",
		                      d->name);
	mod_sets(m, "db", d->name);
	mod_set(m, "executed_commands", d->p.executed);
	if (m->check)
		return true;
	if (!dump && !fs_exists(target)) {
		mod_seti(m, "rc", 1);
		return mod_fail(m, "target not found or is not accessible: %s", target);
	}
	const struct format *f = format_of(target);
	c.env = d->p.env;
	argv_add2(&c, "bash", "-c");
	argv_add(&c, dump ? dump_command(d, target, f) : restore_command(d, target, f));
	mod_sets(m, "cmd", c.v[2]);
	val_push(d->p.executed, val_strz(m->a, c.v[2]));
	if (!argv_run(&c, &out))
		return false;
	mod_seti(m, "rc", out.rc);
	mod_setstr(m, "stderr", out.err);
	if (out.rc != 0) {
		mod_setstr(m, "stdout", out.out);
		return mod_fail(m, "%.*s", STR_FMT(out.err));
	}
	mod_changed(m);
	mod_setstr(m, "msg", out.out);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct db d = {.m = m, .name = mod_arg(m, "name")};
	bool dump = mod_is(m, "state", "dump"), ok;
	if (dump || mod_is(m, "state", "restore"))
		return move_data(&d, dump);
	if (!psql_open(&d.p, m, mod_arg(m, "maintenance_db")))
		return false;
	d.p.refusal = "Database query failed: ";
	ok = mod_is(m, "state", "present")  ? make_present(&d)
	     : mod_is(m, "state", "absent") ? make_absent(&d)
	                                    : rename_it(&d);
	mod_sets(m, "db", d.name);
	mod_set(m, "executed_commands", m->check ? val_list(m->a) : d.p.executed);
	return ok;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "db", .doc = "The database."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|dump|present|rename|restore",
         .doc = "Whether it is there; or what to do with its content."},
        {"owner", MT_STR, .dflt = "", .doc = "The role that owns it."},
        {"template", MT_STR, .dflt = "", .doc = "The database it is made from."},
        {"encoding", MT_STR, .dflt = "", .doc = "Its encoding."},
        {"lc_collate", MT_STR, .dflt = "", .doc = "How it sorts."},
        {"lc_ctype", MT_STR, .dflt = "", .doc = "How it classifies characters."},
        {"conn_limit", MT_STR, .dflt = "", .doc = "How many may connect."},
        {"icu_locale", MT_STR, .dflt = "", .doc = "Its ICU locale."},
        {"locale_provider", MT_STR, .dflt = "", .doc = "Whose locales it uses: libc or icu."},
        {"tablespace", MT_STR, .dflt = "", .doc = "Where it lies."},
        {"comment", MT_STR, .doc = "A comment on it."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Remove it although somebody is connected."},
        {"maintenance_db", MT_STR, .dflt = "postgres", .doc = "The database to connect to."},
        {"target", MT_PATH, .dflt = "", .doc = "The file to dump to or restore from; the new name."},
        {"target_opts", MT_STR, .dflt = "", .doc = "More words for pg_dump, pg_restore or psql."},
        {"dump_extra_args", MT_STR, .doc = "More words for pg_dump."},
        {NULL},
};

const struct module module_row_postgresql_db = {
        .name = "postgresql_db",
        .from = "community.postgresql",
        .doc = "Keeps a database of PostgreSQL.",
        .args = args,
        .shared = psql_args,
        .flags = MOD_CHECK,
        .run = run,
};
