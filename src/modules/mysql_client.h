/*
 * mysql_client - SQL through the host's mariadb or mysql: what the mysql_* modules share. Statements go over
 * its standard input, and who connects stands in a file only the task's user reads, for as long as it runs.
 */
#ifndef MODULES_MYSQL_CLIENT_H
#define MODULES_MYSQL_CLIENT_H
#include "modules/module.h"

/* How a server is reached: the shared rows of every module with SQL. */
extern const struct mod_arg mysql_args[];

struct mysql {
	struct mod_ctx *m;
	const char *program;
	const char *db;      /* to start in, or NULL */
	const char *before;  /* statements each session starts with */
	bool implicit_admin; /* root without a password answered */
	bool mariadb;        /* and not MySQL */
	int64_t version;     /* 100611 is 10.6.11 */
	const char *why; /* what the server said against the last script, as its Python drivers write it */
	int64_t errnr;   /* and its number */
	struct val *executed; /* the statements that changed something */
};

/* Finds the client, connects, and learns what server it is. False and failed when there is none; NAMES_FILE:
 * the reason given is then the config_file, when that is not there. */
bool mysql_open(struct mysql *c, struct mod_ctx *m, const char *db, bool names_file);
/* Runs a script. False when the server refuses it: c->why says why, and it is no failure yet. */
bool mysql_try(struct mysql *c, const char *sql);
/* As mysql_try, with the rows of its result: maps of texts and nulls. */
bool mysql_query(struct mysql *c, const char *sql, struct val **rows);
/* As mysql_try, with all results of the script, those before a refusal, too. */
bool mysql_results(struct mysql *c, const char *sql, struct val **sets);
/* As mysql_query, and a refusal fails the task. */
bool mysql_rows(struct mysql *c, const char *sql, struct val **rows);
/* The first column of the first row, NULL when there is none; false and failed. */
bool mysql_value(struct mysql *c, const char *sql, const char **ret);
/* A statement that changes something: noted, and run unless in check mode; false and failed. */
bool mysql_do(struct mysql *c, const char *sql);
/* The kinds of columns of a statement's result, a list of texts such as LONG; NULL when it is not known. */
struct val *mysql_kinds(struct mysql *c, const char *sql);
/* 'text' and `name`, quoted. */
const char *mysql_text(struct arena *a, const char *text);
const char *mysql_name(struct arena *a, const char *name);
/* Calls PROGRAM ("mariadb-dump|mysqldump") with WORDS, which a shell reads, behind how to connect. */
bool mysql_shell(struct mysql *c, const char *programs, const char *before, const char *words,
                 const char *after, struct mod_out *out);
#endif
