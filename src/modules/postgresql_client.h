/*
 * postgresql_client - SQL through the host's psql: what the postgresql_* modules share. Statements go over
 * its standard input and passwords through its environment: neither is seen among the host's processes.
 */
#ifndef MODULES_POSTGRESQL_CLIENT_H
#define MODULES_POSTGRESQL_CLIENT_H
#include "modules/module.h"

/* How a server is reached: the shared rows of every module with SQL. */
extern const struct mod_arg psql_args[];

struct psql {
	struct mod_ctx *m;
	const char *program;
	const char *conninfo;
	const char **env;
	bool no_server; /* the last script found none that would have us */
	const char
	        *refusal; /* what psql_script() says before the server's reason; NULL: with which statement */
	const char *culprit;  /* the statement it ended with, when the server refused one */
	struct val *executed; /* the statements that changed something, or would */
};

/* Prepares for database DB, from the arguments of psql_args. */
bool psql_open(struct psql *p, struct mod_ctx *m, const char *db);
/* Runs a script; *OUT is its output, unaligned. False and failed when the server refuses it or is not there.
 */
bool psql_script(struct psql *p, const char *sql, struct str *out);
/* As psql_script(), but what the server or psql has to say against it goes to *WHY, and is no failure. */
bool psql_try(struct psql *p, const char *sql, struct str *out, const char **why);
/* The rows of a query, each a map. */
bool psql_rows(struct psql *p, const char *query, const struct val **rows);
/* A statement that changes something: says changed, and runs it unless in check mode. */
bool psql_do(struct psql *p, const char *statement);
/* The comment the argument of that name asks for on an object, KIND in SQL and its quoted NAME, when it is
 * another than NOW (NULL: none). */
bool psql_comment(struct psql *p, const char *kind, const char *name, const char *now);
/* The first row of a query, or NULL. */
bool psql_row(struct psql *p, const char *query, const struct val **row);
/* A statement for psql_commit(): says changed. */
void psql_later(struct psql *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* All that psql_later() was given, in one transaction; in check mode it is taken back. */
bool psql_commit(struct psql *p);
/* "x" or "schema"."x" of a name with or without dot; parts that are quoted already stay so. */
const char *psql_dotted(struct arena *a, const char *name);
/* Texts in one, parted by commas. */
const char *psql_joined(struct arena *a, const struct val *list);
/* 'text' and "name", quoted. */
const char *psql_text(struct arena *a, const char *text);
const char *psql_name(struct arena *a, const char *name);
/* NAME as it is when SQL takes it for itself: the name of an option. */
const char *psql_option(struct arena *a, const char *name);
#endif
