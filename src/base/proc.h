/*
 * proc - children: run one to its end, keep what it said.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H
#include "base/err.h"
#include <sys/types.h>

struct proc_opts {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH of env */
	const char *const *env;  /* NULL: inherited */
	const char *cwd;         /* NULL: inherited */
	struct str input;        /* its standard input; empty: /dev/null */
	int timeout_ms;          /* 0: none. At the end: TERM to its process group, KILL 2 s later */
	mode_t umask;            /* applied when set_umask */
	bool set_umask;
	bool new_session;
	size_t max_output; /* per stream; 0: 64 MiB. What is more is dropped, "truncated" says so */
	/* Called for each complete line of its output while it runs; may be NULL. */
	void (*on_line)(void *ctx, struct str line, bool is_stderr);
	void *ctx;
};

struct proc_result {
	int status; /* exit status, or 128 + signal */
	int signal; /* 0 unless killed by one */
	bool timed_out, truncated;
	struct buf out, err;
	double seconds;
	int error; /* the errno when it could not be started, else 0 */
};

/* Runs it and waits. False only when it could not be started (the error says why: ERR_REMOTE); a failing
 * child is true with its status. proc_result_free() in either case. */
bool proc_run(const struct proc_opts *o, struct proc_result *ret, struct err *err);
void proc_result_free(struct proc_result *r);
/* The full path of an executable in PATH (NULL: the usual system directories), in A; NULL when there is none.
 */
char *proc_which(struct arena *a, const char *name, const char *path);
#endif
