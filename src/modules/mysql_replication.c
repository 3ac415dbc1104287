#include "modules/mysql_client.h"

struct replication {
	struct mod_ctx *m;
	struct mysql c;
	const char *term; /* what the server calls its replicas */
};

/* WORDS about the named connection or channel. */
static const char *about(struct replication *r, const char *verb, const char *rest)
{
	struct arena *a = r->m->a;
	const char *name = mod_arg(r->m, "connection_name"), *channel = mod_arg(r->m, "channel");
	const char *sql = arena_printf(a, "%s %s%s%s%s", verb, r->term, name && *name ? " " : "",
	                               name && *name ? mysql_text(a, name) : "", rest);
	return channel && *channel ? arena_printf(a, "%s FOR CHANNEL %s", sql, mysql_text(a, channel)) : sql;
}

static bool show(struct replication *r, const char *sql, const char *flag, const char *none)
{
	static const char *const numbers[] = {"Position",
	                                      "Connect_Retry",
	                                      "Exec_Master_Log_Pos",
	                                      "Last_Errno",
	                                      "Last_IO_Errno",
	                                      "Last_SQL_Errno",
	                                      "Master_Port",
	                                      "Master_Server_Id",
	                                      "Read_Master_Log_Pos",
	                                      "Relay_Log_Pos",
	                                      "Relay_Log_Space",
	                                      "Seconds_Behind_Master",
	                                      "Skip_Counter",
	                                      "Until_Log_Pos",
	                                      "SQL_Delay",
	                                      "Slave_DDL_Groups",
	                                      "Slave_Non_Transactional_Groups",
	                                      "Slave_Transactional_Groups",
	                                      NULL};
	struct val *rows;
	mod_set(r->m, "queries", r->c.executed);
	if (!mysql_rows(&r->c, sql, &rows))
		return false;
	mod_setb(r->m, flag, val_len(rows) > 0);
	if (!val_len(rows)) {
		mod_sets(r->m, "msg", none);
		return true;
	}
	const struct val *row = val_at(rows, 0);
	MAP_EACH (i, row) {
		const char *key = val_get_strz(val_key_at(row, i));
		struct val *v = val_value_at(row, i);
		int64_t n;
		for (const char *const *k = numbers; *k; k++)
			if (strcmp(*k, key) == 0 && val_is_str(v) && str_int(val_get_str(v), &n))
				v = val_int(r->m->a, n);
		mod_set(r->m, key, v);
	}
	return true;
}

/* A statement that may be refused because there is nothing to do: no failure unless the task says so. */
static bool attempt(struct replication *r, const char *sql, const char *verb, const char *done,
                    const char *not_done)
{
	val_push(r->c.executed, val_strz(r->m->a, sql));
	bool ok = mysql_try(&r->c, sql);
	if (r->m->failed)
		return false;
	mod_set(r->m, "queries", r->c.executed);
	if (!ok && mod_bool(r->m, "fail_on_error"))
		return mod_fail(r->m, "%s failed: %s", verb, r->c.why);
	return mod_done(r->m, ok, "%s", ok ? done : not_done);
}

static const char *clauses(struct replication *r)
{
	/* With how its value is written: as text, as it is, or as 1 and 0. */
	static const struct {
		const char *arg, *name;
		char kind;
	} parts[] = {
	        {"primary_host", "MASTER_HOST", 't'},
	        {"primary_user", "MASTER_USER", 't'},
	        {"primary_password", "MASTER_PASSWORD", 't'},
	        {"primary_port", "MASTER_PORT", 0},
	        {"primary_connect_retry", "MASTER_CONNECT_RETRY", 0},
	        {"primary_log_file", "MASTER_LOG_FILE", 't'},
	        {"primary_log_pos", "MASTER_LOG_POS", 0},
	        {"primary_delay", "MASTER_DELAY", 0},
	        {"relay_log_file", "RELAY_LOG_FILE", 't'},
	        {"relay_log_pos", "RELAY_LOG_POS", 0},
	        {"primary_ssl", "MASTER_SSL", 'b'},
	        {"primary_ssl_ca", "MASTER_SSL_CA", 't'},
	        {"primary_ssl_capath", "MASTER_SSL_CAPATH", 't'},
	        {"primary_ssl_cert", "MASTER_SSL_CERT", 't'},
	        {"primary_ssl_key", "MASTER_SSL_KEY", 't'},
	        {"primary_ssl_cipher", "MASTER_SSL_CIPHER", 't'},
	};
	struct mod_ctx *m = r->m;
	struct arena *a = m->a;
	const char *gtid = mod_arg(m, "primary_use_gtid");
	struct buf b = {0};
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const char *z = mod_arg(m, parts[i].arg);
		if (z)
			buf_printf(&b, "%s%s=%s", b.n ? "," : "", parts[i].name,
			           parts[i].kind == 't'   ? mysql_text(a, z)
			           : parts[i].kind == 'b' ? mod_bool(m, parts[i].arg) ? "1" : "0"
			                                  : z);
	}
	if (mod_bool(m, "primary_ssl_verify_server_cert"))
		buf_printf(&b, "%sMASTER_SSL_VERIFY_SERVER_CERT=1", b.n ? "," : "");
	if (mod_bool(m, "primary_auto_position"))
		buf_printf(&b, "%sMASTER_AUTO_POSITION=1", b.n ? "," : "");
	if (gtid)
		buf_printf(&b, "%sMASTER_USE_GTID=%s", b.n ? "," : "",
		           strcmp(gtid, "disabled") == 0      ? "no"
		           : strcmp(gtid, "replica_pos") == 0 ? "slave_pos"
		                                              : gtid);
	const char *ret = buf_take(&b, a).p;
	buf_free(&b);
	return ret ? ret : "";
}

static bool change(struct replication *r)
{
	struct mod_ctx *m = r->m;
	const char *words = clauses(r), *name = mod_arg(m, "connection_name"),
	           *channel = mod_arg(m, "channel");
	const char *sql =
	        arena_printf(m->a, "CHANGE MASTER %s%sTO %s%s%s", name && *name ? mysql_text(m->a, name) : "",
	                     name && *name ? " " : "", words, channel && *channel ? " FOR CHANNEL " : "",
	                     channel && *channel ? mysql_text(m->a, channel) : "");
	val_push(r->c.executed, val_strz(m->a, sql));
	if (!mysql_try(&r->c, sql))
		return m->failed ? false : mod_fail(m, "%s. Query == CHANGE MASTER TO %s", r->c.why, words);
	mod_set(m, "queries", r->c.executed);
	mod_changed(m);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct replication r = {.m = m};
	const char *mode = mod_arg(m, "mode");
	if (!mysql_open(&r.c, m, NULL, true))
		return false;
	r.term = r.c.version >= (r.c.mariadb ? 100501 : 80022) ? "REPLICA" : "SLAVE";
	if (strcmp(mode, "getprimary") == 0)
		return show(&r,
		            r.c.mariadb || r.c.version < 80200 ? "SHOW MASTER STATUS"
		                                               : "SHOW BINARY LOG STATUS",
		            "Is_Primary", "Server is not configured as mysql primary");
	if (strcmp(mode, "getreplica") == 0)
		return show(&r, about(&r, "SHOW", " STATUS"), "Is_Replica",
		            "Server is not configured as mysql replica");
	if (strcmp(mode, "changeprimary") == 0)
		return change(&r);
	if (strcmp(mode, "startreplica") == 0)
		return attempt(&r, about(&r, "START", ""), "START REPLICA", "Replica started ",
		               "Replica already started (Or cannot be started)");
	if (strcmp(mode, "stopreplica") == 0)
		return attempt(&r, about(&r, "STOP", ""), "STOP REPLICA", "Replica stopped",
		               "Replica already stopped");
	if (strcmp(mode, "resetprimary") == 0)
		return attempt(&r, "RESET MASTER", "RESET MASTER", "Primary reset", "Primary already reset");
	bool all = strcmp(mode, "resetreplicaall") == 0;
	return attempt(&r, about(&r, "RESET", all ? " ALL" : ""), all ? "RESET REPLICA ALL" : "RESET REPLICA",
	               "Replica reset", "Replica already reset");
}

static const struct mod_arg args[] = {
        {"mode", MT_STR, .dflt = "getreplica",
         .choices = "getprimary|getreplica|changeprimary|stopreplica|startreplica|resetprimary|resetreplica|"
                    "resetreplicaall",
         .doc = "What to do."},
        {"primary_host", MT_STR, .aliases = "master_host", .doc = "The primary."},
        {"primary_user", MT_STR, .aliases = "master_user", .doc = "Who connects to it."},
        {"primary_password", MT_STR, MA_NO_LOG, .aliases = "master_password", .doc = "Their password."},
        {"primary_port", MT_INT, .aliases = "master_port", .doc = "Its port."},
        {"primary_connect_retry", MT_INT, .aliases = "master_connect_retry",
         .doc = "Seconds between attempts."},
        {"primary_log_file", MT_STR, .aliases = "master_log_file", .doc = "Its binary log to start at."},
        {"primary_log_pos", MT_INT, .aliases = "master_log_pos", .doc = "The place in it."},
        {"primary_delay", MT_INT, .aliases = "master_delay", .doc = "Seconds to lag behind."},
        {"primary_auto_position", MT_BOOL, .dflt = "false", .aliases = "master_auto_position",
         .doc = "Let MySQL find the place by GTID."},
        {"primary_use_gtid", MT_STR, .choices = "current_pos|replica_pos|disabled",
         .aliases = "master_use_gtid", .doc = "Let MariaDB find the place by GTID."},
        {"relay_log_file", MT_STR, .doc = "The relay log."},
        {"relay_log_pos", MT_INT, .doc = "The place in it."},
        {"primary_ssl", MT_BOOL, .aliases = "master_ssl", .doc = "Connect by TLS."},
        {"primary_ssl_ca", MT_STR, .aliases = "master_ssl_ca", .doc = "Who vouches for the primary."},
        {"primary_ssl_capath", MT_STR, .aliases = "master_ssl_capath", .doc = "A directory of those."},
        {"primary_ssl_cert", MT_STR, .aliases = "master_ssl_cert", .doc = "The certificate to show."},
        {"primary_ssl_key", MT_STR, .aliases = "master_ssl_key", .doc = "Its key."},
        {"primary_ssl_cipher", MT_STR, .aliases = "master_ssl_cipher", .doc = "The ciphers allowed."},
        {"primary_ssl_verify_server_cert", MT_BOOL, .dflt = "false", .doc = "Look whether the name fits."},
        {"connection_name", MT_STR, .doc = "MariaDB's name of the connection."},
        {"channel", MT_STR, .doc = "MySQL's name of it."},
        {"fail_on_error", MT_BOOL, .dflt = "false", .doc = "A refusal is a failure."},
        {NULL},
};

const struct module module_row_mysql_replication = {
        .name = "mysql_replication",
        .from = "community.mysql",
        .doc = "Keeps a replica of MariaDB or MySQL.",
        .args = args,
        .shared = mysql_args,
        .mutually_exclusive = "connection_name|channel",
        .run = run,
};
