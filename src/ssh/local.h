/*
 * local - a wire to a child process on this machine.
 */
#ifndef SSH_LOCAL_H
#define SSH_LOCAL_H
#include "base/err.h"

struct loop;
struct wire;

/* Runs ARGV (NULL-terminated, argv[0] looked up in PATH) in a session of its own. NULL and err when it does
 * not start; that the program is missing shows as its end with status 127. */
struct wire *local_exec(struct loop *l, const char *const *argv, struct err *err);
#endif
