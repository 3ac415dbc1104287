/*
 * module - what a module's run function sees: its checked arguments, the result it builds, and the helpers
 * that make check mode, diffs and secrets the same everywhere.
 *
 * A run function reads state, returns early when it is right, and asks m->check before each effect. It
 * returns false only through mod_fail(). Paths in the arguments are already expanded (~, $VAR).
 */
#ifndef MODULES_MODULE_H
#define MODULES_MODULE_H
#include "base/fs.h"
#include "modules/spec.h"

/* The way back to the controller. CTX is given to each. */
struct mod_io {
	/* The content with this sha256 (lower-case hex) into OUT. */
	bool (*content)(void *ctx, struct str sha256, struct buf *out, struct err *err);
	void (*progress)(void *ctx, struct str line, bool is_stderr);
	/* Whether the controller asked to start nothing new. */
	bool (*cancelled)(void *ctx);
	void *ctx;
};

struct mod_ctx {
	struct arena *a;
	const struct module *mod;
	const struct val *args; /* checked: defaults filled in, aliases resolved */
	struct val *result;     /* a map */
	bool check, diff, failed;
	int verbosity;
	const char *const *env; /* of children; HOME and USER are those of the task's user */
	const char *tmp;        /* a directory for temporary files */
	int64_t deadline_ms;    /* CLOCK_MONOTONIC; 0: none. mod_spawn() ends its child then */
	/* What the controller would send: "src" or "content" of copy, template, script, unarchive. */
	struct str content_sha256;     /* empty when there is none */
	struct str content_name;       /* base name of the source */
	const struct mod_out *refused; /* what the "validate" command said when it refused a file; or NULL */
	bool bare;                     /* the result's path or dest is not described by owner, mode, size */
	const struct mod_io *io;
};

/* ---- arguments: NULL, false or DFLT when absent */
bool mod_has(const struct mod_ctx *m, const char *name);
const char *mod_arg(const struct mod_ctx *m, const char *name);
struct str mod_args(const struct mod_ctx *m, const char *name);
bool mod_bool(const struct mod_ctx *m, const char *name);
int64_t mod_int(const struct mod_ctx *m, const char *name, int64_t dflt);
double mod_float(const struct mod_ctx *m, const char *name, double dflt);
/* An empty list when absent. */
const struct val *mod_list(const struct mod_ctx *m, const char *name);
bool mod_is(const struct mod_ctx *m, const char *name, const char *value);
/* ~, ~user, $NAME and ${NAME} at work in Z; what is unknown stays as it is. */
const char *mod_expand(struct mod_ctx *m, const char *z);
/* VALUE of the task's environment, or NULL. */
const char *mod_env(const struct mod_ctx *m, const char *name);

/* ---- the result */
/* Sets msg and failed; returns false. What failed half-way does not count as a change: a command that ran and
 * says so calls mod_changed() afterwards. */
bool mod_fail(struct mod_ctx *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As mod_fail, with the text of errno. */
bool mod_fail_sys(struct mod_ctx *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As mod_fail, with ERR's text; clears ERR. */
bool mod_fail_err(struct mod_ctx *m, struct err *err);
/* In check mode, of what is not there yet: the result is that there would be a change, and no more. True. */
bool mod_only_changed(struct mod_ctx *m);
void mod_changed(struct mod_ctx *m);
bool mod_is_changed(const struct mod_ctx *m);
void mod_warn(struct mod_ctx *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void mod_set(struct mod_ctx *m, const char *key, struct val *v);
void mod_sets(struct mod_ctx *m, const char *key, const char *z);
void mod_setf(struct mod_ctx *m, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void mod_seti(struct mod_ctx *m, const char *key, int64_t i);
void mod_setb(struct mod_ctx *m, const char *key, bool b);
void mod_setstr(struct mod_ctx *m, const char *key, struct str s);
/* Ends early, changed or not: the text goes to msg. Returns true. */
bool mod_done(struct mod_ctx *m, bool changed, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds facts: members of FACTS into ansible_facts. */
void mod_facts(struct mod_ctx *m, struct val *facts);

/* ---- diffs; nothing happens unless the task asked for them */
/* The whole-file kind: {before, after, before_header, after_header} appended to the list "diff". */
void mod_diff_text(struct mod_ctx *m, const char *header, struct str before, struct str after);
/* The attribute kind: "diff" = {before: {...}, after: {...}}, one member at a time. Recorded always, as
 * Ansible does. */
void mod_diff_attr(struct mod_ctx *m, const char *key, struct val *before, struct val *after);

/* ---- children */
struct mod_cmd {
	const char *const *argv;
	const char *cwd;
	struct str input;
	const char *const *extra_env; /* NAME=value, on top of the task's */
	bool progress;                /* its lines go to the controller while it runs */
	int timeout_ms;
	bool never_kill; /* not even the task's time limit ends it: package managers */
	int umask;       /* -1 or 0: inherited, else the mask + 1 */
};
struct mod_out {
	int rc;
	struct str out, err; /* in m->a */
	bool timed_out;
};
/* Runs it to its end. False (and the task failed) only when it could not be started. */
bool mod_spawn(struct mod_ctx *m, const struct mod_cmd *cmd, struct mod_out *ret);
/* The common case: a NULL-ended list of words, C locale; false and failed when it cannot start. */
bool mod_exec(struct mod_ctx *m, struct mod_out *ret, ...) __attribute__((sentinel));
/* CLOCK_MONOTONIC. */
int64_t mod_now_ms(void);
/* Where NAME is in the task's PATH and the usual sbin directories, or NULL. */
const char *mod_which(struct mod_ctx *m, const char *name);

/* ---- files */
/* The whole of PATH; false and failed unless it could be read. */
bool mod_read(struct mod_ctx *m, const char *path, struct str *ret);
/* As mod_read, but a file that does not exist reads as p == NULL. */
bool mod_read_maybe(struct mod_ctx *m, const char *path, struct str *ret);
/* Writes DATA to PATH atomically, keeping owner and mode of what is there (a new file gets 0666 less umask).
 * With the argument "backup" the old file is kept first and backup_file is set; with "validate" the command
 * is run on the temporary file first. Follows a symbolic link at PATH. Nothing is done in check mode. */
bool mod_write(struct mod_ctx *m, const char *path, struct str data);
/* As mod_write, but a symbolic link at PATH is replaced, not followed. */
bool mod_replace(struct mod_ctx *m, const char *path, struct str data);
/* Copies PATH to PATH.PID.DATE@TIME~ and returns that name, NULL and failed when impossible. */
const char *mod_backup(struct mod_ctx *m, const char *path);
/* Brings owner, group, mode and attributes of PATH to what the arguments say. In check mode only reports. */
bool mod_file_args(struct mod_ctx *m, const char *path);
/* As the controller's content for this task, once. */
bool mod_content(struct mod_ctx *m, struct str *ret);

/* ---- inside the dispatcher and the tests */
/* Runs MOD over TASK (a PROTO_TASK payload) and returns the whole result map, in A. */
struct val *module_run(const struct module *mod, const struct val *task, const struct mod_io *io,
                       const char *const *env, struct arena *a);
#endif
