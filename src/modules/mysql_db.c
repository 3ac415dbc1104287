#include <unistd.h>
#include "modules/mysql_client.h"
#include "modules/words.h"

struct dbs {
	struct mod_ctx *m;
	struct mysql c;
	struct val *names;
	struct val *there, *missing;
};

static const char *joined(struct arena *a, const struct val *list, const char *sep)
{
	struct buf b = {0};
	VAL_EACH (i, list)
		buf_printf(&b, "%s%s", i ? sep : "", val_get_strz(val_at(list, i)));
	const char *z = buf_take(&b, a).p;
	buf_free(&b);
	return z ? z : "";
}

/* Lists which of the names are there. */
static bool look(struct dbs *d)
{
	struct arena *a = d->m->a;
	struct val *rows;
	d->there = val_list(a);
	d->missing = val_list(a);
	if (!mysql_rows(&d->c, "SELECT SCHEMA_NAME AS n FROM information_schema.SCHEMATA", &rows))
		return false;
	VAL_EACH (i, d->names) {
		bool found = false;
		VAL_EACH (k, rows)
			found = found || strcmp(val_map_strz(val_at(rows, k), "n", ""),
			                        val_get_strz(val_at(d->names, i))) == 0;
		val_push(found ? d->there : d->missing, val_at(d->names, i));
	}
	return true;
}

static bool report(struct dbs *d)
{
	mod_sets(d->m, "db", joined(d->m->a, d->names, " "));
	mod_set(d->m, "db_list", d->names);
	if (!d->m->check)
		mod_set(d->m, "executed_commands", d->c.executed);
	return true;
}

static bool create(struct dbs *d)
{
	struct mod_ctx *m = d->m;
	const char *encoding = mod_arg(m, "encoding"), *collation = mod_arg(m, "collation");
	VAL_EACH (i, d->missing) {
		const char *sql = arena_printf(m->a, "CREATE DATABASE %s",
		                               mysql_name(m->a, val_get_strz(val_at(d->missing, i))));
		if (*encoding)
			sql = arena_printf(m->a, "%s CHARACTER SET %s", sql, mysql_text(m->a, encoding));
		if (*collation)
			sql = arena_printf(m->a, "%s COLLATE %s", sql, mysql_text(m->a, collation));
		if (!mysql_do(&d->c, sql))
			return mod_fail(m, "error creating database: %s", d->c.why);
	}
	return true;
}

static bool drop(struct dbs *d)
{
	VAL_EACH (i, d->there)
		if (!mysql_do(&d->c, arena_printf(d->m->a, "DROP DATABASE %s",
		                                  mysql_name(d->m->a, val_get_strz(val_at(d->there, i))))))
			return mod_fail(d->m, "error deleting database: %s", d->c.why);
	return true;
}

/* How a target is packed, by the end of its name; NULL when it is not. */
static const char *packer(const char *target)
{
	static const char *const ends[][2] = {{".gz", "gzip"}, {".bz2", "bzip2"}, {".xz", "xz"}};
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (str_ends(str_c(target), ends[i][0]))
			return ends[i][1];
	return NULL;
}

static bool ended(struct dbs *d, const struct mod_out *out)
{
	if (out->rc != 0)
		return mod_fail(d->m, "%.*s", STR_FMT(out->err));
	mod_changed(d->m);
	mod_setstr(d->m, "msg", out->out);
	return report(d);
}

static void add_flags(struct dbs *d, struct buf *b)
{
	static const char *const flags[][2] = {
	        {"skip_lock_tables", " --skip-lock-tables"},
	        {"single_transaction", " --single-transaction=true"},
	        {"quick", " --quick"},
	        {"hex_blob", " --hex-blob"},
	};
	struct mod_ctx *m = d->m;
	const char *encoding = mod_arg(m, "encoding");
	const struct val *ignored = mod_list(m, "ignore_tables");
	if (*encoding)
		buf_printf(b, " --default-character-set=%s", words_quote(m->a, encoding));
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (mod_bool(m, flags[i][0]))
			buf_adds(b, flags[i][1]);
	VAL_EACH (i, ignored) {
		struct str table = val_text(val_at(ignored, i), m->a);
		buf_printf(b, " --ignore-table=%s", words_quote(m->a, arena_strndup(m->a, table.p, table.n)));
	}
	if (!mod_is(m, "master_data", "0"))
		buf_printf(b, " --master-data=%s", mod_arg(m, "master_data"));
	if (mod_has(m, "dump_extra_args"))
		buf_printf(b, " %s", mod_arg(m, "dump_extra_args"));
}

static bool dump(struct dbs *d, bool all)
{
	struct mod_ctx *m = d->m;
	const char *target = words_quote(m->a, mod_arg(m, "target")), *pack = packer(mod_arg(m, "target"));
	struct buf b = {0};
	struct mod_out out;
	if (val_len(d->missing) && !all)
		return mod_fail(m, "Cannot dump database(s) '%s' - not found",
		                joined(m->a, d->missing, ", "));
	if (m->check) {
		mod_changed(m);
		return report(d);
	}
	if (mod_bool(m, "force"))
		buf_adds(&b, "--force ");
	buf_adds(&b, all ? "--all-databases" : val_len(d->names) > 1 ? "--databases" : "");
	for (size_t i = 0; !all && i < val_len(d->names); i++)
		buf_printf(&b, " %s", words_quote(m->a, val_get_strz(val_at(d->names, i))));
	add_flags(d, &b);
	const char *words = arena_strndup(m->a, b.p, b.n);
	buf_free(&b);
	return mysql_shell(&d->c, "mariadb-dump|mysqldump",
	                   pack && mod_bool(m, "pipefail") ? "set -o pipefail && " : "", words,
	                   pack ? arena_printf(m->a, " | %s > %s", pack, target)
	                        : arena_printf(m->a, " > %s", target),
	                   &out) &&
	       ended(d, &out);
}

static bool import(struct dbs *d, bool all)
{
	struct mod_ctx *m = d->m;
	const char *target = mod_arg(m, "target"), *pack = packer(target), *from = words_quote(m->a, target);
	const char *encoding = mod_arg(m, "encoding"), *words = mod_bool(m, "force") ? "-f" : "";
	struct mod_out out;
	if (m->check) {
		mod_changed(m);
		return report(d);
	}
	if (!all && !create(d))
		return false;
	if (!fs_exists(target))
		return mod_fail(m, "target %s does not exist on the host", target);
	if (*encoding)
		words = arena_printf(m->a, "%s --default-character-set=%s", words,
		                     words_quote(m->a, encoding));
	if (!all)
		words = arena_printf(m->a, "%s --one-database %s", words,
		                     words_quote(m->a, val_get_strz(val_at(d->names, 0))));
	return mysql_shell(&d->c, "mariadb|mysql", pack ? arena_printf(m->a, "%s -dc %s | ", pack, from) : "",
	                   words, pack ? "" : arena_printf(m->a, " < %s", from), &out) &&
	       ended(d, &out);
}

static bool check(struct dbs *d, bool data, bool all)
{
	struct mod_ctx *m = d->m;
	int64_t port = mod_int(m, "login_port", 0);
	const struct val *ignored = mod_list(m, "ignore_tables");
	if (port < 0 || port > 65535)
		return mod_fail(m, "login_port must be a valid unix port number (0-65535)");
	VAL_EACH (i, ignored)
		if (!val_text(val_at(ignored, i), m->a).n)
			return mod_fail(m, "Name of ignored table cannot be empty");
	if (mod_has(m, "chdir") && chdir(mod_arg(m, "chdir")) != 0)
		return mod_fail_sys(m, "Cannot change the current directory to %s", mod_arg(m, "chdir"));
	if (val_len(d->names) > 1 && mod_is(m, "state", "import"))
		return mod_fail(m, "Multiple databases are not supported with state=import");
	if (data && !mod_has(m, "target"))
		return mod_fail(m, "with state=%s target is required", mod_arg(m, "state"));
	if (!data && all)
		return mod_fail(m, "name is not allowed to equal 'all' unless state equals import, or dump.");
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct dbs d = {.m = m, .names = val_list(m->a)};
	const struct val *list = mod_list(m, "name");
	bool dumps = mod_is(m, "state", "dump"), data = dumps || mod_is(m, "state", "import");
	VAL_EACH (i, list)
		val_push(d.names, val_str(m->a, str_trim(val_text(val_at(list, i), m->a))));
	bool all = val_len(d.names) == 1 && str_eqc(val_get_str(val_at(d.names, 0)), "all");
	if (!val_len(d.names)) {
		mod_set(m, "db", val_list(m->a));
		mod_set(m, "db_list", val_list(m->a));
		return true;
	}
	if (!check(&d, data, all) || !mysql_open(&d.c, m, NULL, true) || !look(&d))
		return false;
	if (data)
		return dumps ? dump(&d, all) : import(&d, all);
	return (mod_is(m, "state", "present") ? create(&d) : drop(&d)) && report(&d);
}

static const struct mod_arg args[] = {
        {"name", MT_LIST, MA_REQUIRED, .elem = MT_RAW, .aliases = "db", .doc = "The databases."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|dump|import|present",
         .doc = "Whether they are there; or what to do with their content."},
        {"encoding", MT_STR, .dflt = "", .doc = "Their character set."},
        {"collation", MT_STR, .dflt = "", .doc = "How they sort."},
        {"target", MT_PATH, .doc = "The file to dump to or import from."},
        {"single_transaction", MT_BOOL, .dflt = "false", .doc = "Dump in one transaction."},
        {"quick", MT_BOOL, .dflt = "true", .doc = "Dump row by row."},
        {"ignore_tables", MT_LIST, .elem = MT_RAW, .dflt = "", .doc = "Tables not to dump."},
        {"hex_blob", MT_BOOL, .dflt = "false", .doc = "Dump binary columns in hexadecimal."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Go on after an error."},
        {"master_data", MT_INT, .dflt = "0", .choices = "0|1|2", .doc = "Dump the place in the binary log."},
        {"skip_lock_tables", MT_BOOL, .dflt = "false", .doc = "Dump without locking tables."},
        {"dump_extra_args", MT_STR, .doc = "More words for the dump program."},
        {"use_shell", MT_BOOL, .dflt = "false", .doc = "Accepted: a shell is always used."},
        {"unsafe_login_password", MT_BOOL, .dflt = "false", .doc = "Accepted: nothing depends on it."},
        {"restrict_config_file", MT_BOOL, .dflt = "false", .doc = "Accepted: no other file is read."},
        {"check_implicit_admin", MT_BOOL, .dflt = "false", .doc = "Try root without a password first."},
        {"config_overrides_defaults", MT_BOOL, .dflt = "false",
         .doc = "Host and port of the file win over the defaults."},
        {"chdir", MT_PATH, .doc = "The directory to be in."},
        {"pipefail", MT_BOOL, .dflt = "false",
         .doc = "A dump that fails is a failure when it is packed, too."},
        {NULL},
};

const struct module module_row_mysql_db = {
        .name = "mysql_db",
        .from = "community.mysql",
        .doc = "Keeps databases of MariaDB or MySQL.",
        .args = args,
        .shared = mysql_args,
        .flags = MOD_CHECK,
        .run = run,
};
