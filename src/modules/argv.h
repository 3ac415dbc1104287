/*
 * argv - a command line that grows word by word, and a run of it whose failure is the task's.
 */
#ifndef MODULES_ARGV_H
#define MODULES_ARGV_H
#include "modules/module.h"

/* Start with {.m = m}; V is always ended by NULL once a word was added. */
struct argv {
	struct mod_ctx *m;
	const char **v;
	size_t n, cap;
	const char *cwd;
	struct str input;
	const char *const *env; /* NAME=value, on top of the task's */
};

void argv_add(struct argv *c, const char *word);
void argv_add2(struct argv *c, const char *option, const char *value);
void argv_addf(struct argv *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* WORDS is ended by NULL. */
void argv_add_all(struct argv *c, const char *const *words);
void argv_add_list(struct argv *c, const struct val *list);
/* The words of TEXT, as a shell splits them; false and failed when it cannot be split. NULL adds nothing. */
bool argv_add_text(struct argv *c, const char *text);
/* OPTION and the argument NAME's value, when the task gave it. */
void argv_add_arg(struct argv *c, const char *option, const char *name);
/* All words in one text, parted by blanks: for results. */
const char *argv_text(const struct argv *c);
/* Runs it in the C locale; false and failed only when it cannot start. */
bool argv_run(struct argv *c, struct mod_out *ret);
/* As argv_run(), and a status other than 0 fails the task: rc, stdout, stderr, cmd, and stderr as its
 * message. */
bool argv_must(struct argv *c, struct mod_out *ret);
/* The failure argv_must() reports, for a run that ended with OUT. Returns false. */
bool argv_failed(struct argv *c, const struct mod_out *out);
/* Where PROGRAM is, or NULL and failed. */
const char *argv_need(struct mod_ctx *m, const char *program);
#endif
