/*
 * deploy - how this program gets onto a host: named by its checksum, in a directory only the user can enter,
 * sent only when it is not there. One command looks, takes the program if need be, and becomes the agent.
 */
#ifndef SSH_DEPLOY_H
#define SSH_DEPLOY_H
#include "base/arena.h"
#include "base/err.h"

/* A program to send. */
struct program {
	char arch[32]; /* as uname -m says it */
	char sha256[65];
	struct str text; /* mapped */
};

/* The programs of a run, loaded when first needed. */
struct programs;

struct programs *programs_new(const char *agent_path);
void programs_free(struct programs *ps);
/* The one for ARCH; NULL: the default one. NULL and err when there is none. Valid until programs_free(). */
const struct program *programs_get(struct programs *ps, const char *arch, struct err *err);

/* How to become root there. */
struct become {
	const char *exe; /* sudo */
	bool password;   /* it may ask: with BECOME_PROMPT on standard error */
};

#define BECOME_PROMPT "[nante: sudo password] "

/*
 * The command line for the host's shell. It says one line on standard output, perhaps after noise of the
 * user's profile, that begins with BOOT_MARK:
 * - "run": what follows is the agent
 * - "need": send the program, exactly its bytes; then "run" or "fail"
 * - "arch NAME": the program is for another machine
 * - "full": no space for it
 * - "fail TEXT": no place for it, ...
 * B may be NULL.
 */
#define BOOT_MARK "nante-boot: "
const char *boot_command(struct arena *a, const struct program *p, const struct become *b);
#endif
