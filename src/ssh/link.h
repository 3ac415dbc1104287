/*
 * link - how the engine's tasks reach a host: over SSH, or on this machine. Implements agent/proto.h's struct
 * link.
 *
 * A link connects with its first request, puts this program on the host when it is not there yet, starts
 * "nante agent" (through sudo, for requests with become, as a second agent over the same connection) and
 * keeps it. A connection that breaks is made again with growing pauses, and tasks under way are adopted, not
 * repeated.
 */
#ifndef SSH_LINK_H
#define SSH_LINK_H
#include "base/arena.h"
#include "base/err.h"
#include "base/val.h"

struct loop;
struct link;
struct link_pump;

/* Every link of a run; they share the loop, the jump hosts' connections and the program to send. */
struct ssh_links;

struct ssh_links_opts {
	struct loop *loop;
	/* The program to put on hosts, a static build. NULL: $NANTE_AGENT, else this very program when it is
	 * static, else static/nante beside it (the development build needs libraries that hosts lack).
	 * Programs for other architectures lie beside it, named nante-ARCH as uname -m says it. */
	const char *agent_path;
	/* Something worth a line of the log - a connection that is waited for, lost, back: TROUBLE - or of
	 * the verbose log: connected, agent sent. May be NULL. */
	void (*event)(void *ctx, const char *host, bool trouble, const char *text);
	void *ctx;
};

struct ssh_links *ssh_links_new(const struct ssh_links_opts *o, struct err *err);
/* Closes every link: agents end after the child they run. Requests not done are forgotten. */
void ssh_links_free(struct ssh_links *ls);
/* Tells every agent to start nothing new. */
void ssh_links_cancel(struct ssh_links *ls);
/* Steps the loop; false with ERR_CANCELLED after loop_cancel(). */
struct link_pump links_pump(struct ssh_links *ls);

/* Where and how. Strings must live as long as the link. Zero is a sensible default everywhere but in host. */
struct ssh_target {
	const char *name; /* for messages; NULL: host */
	const char *host; /* name or address */
	int port;         /* 0: 22 */
	const char *user; /* NULL: the current user's name */
	/* Ways in, tried in this order: keys, SSH_AUTH_SOCK's agent, password. */
	struct str key;         /* a private key's text (OpenSSH or PEM) */
	const char *key_file;   /* or its path */
	const char *passphrase; /* for either */
	bool no_agent;
	bool default_keys; /* also ~/.ssh/id_ed25519, id_ecdsa, id_rsa */
	const char *password;
	/* Which host it is: HOST_KEYS ("type base64", NULL-terminated) when there are any, else KNOWN_HOSTS
	 * (text in OpenSSH's format, several files joined), else FIRST_CONTACT: told the key line, says
	 * whether to go on. NULL: refused. NO_HOST_KEY_CHECK takes any key. */
	const char *const *host_keys;
	const char *host_key_hint; /* what to do when the host shows another key; NULL: the usual advice */
	struct str known_hosts;
	bool (*first_contact)(void *ctx, const struct ssh_target *t, const char *key_line);
	void *ctx;
	bool no_host_key_check;
	bool accept_new;               /* take the key of a host that is not known, without a word */
	const struct ssh_target *jump; /* through this host; NULL: directly */
	int connect_ms;                /* for TCP, and again for login; 0: 10 s */
	int wait_ms;      /* a host that does not answer yet is tried again for so long; 0: not at all */
	int reconnect_ms; /* how long to try to get a lost link back; 0: 60 s; < 0: not at all */
	const char *become_password; /* sudo's; NULL: sudo must not ask */
	const char *become_exe;      /* NULL: sudo */
};

/* A link to T, not connected yet. Freed with LS. */
struct link *ssh_link_new(struct ssh_links *ls, const struct ssh_target *t);
/* A link to this machine. Of T (may be NULL) only the name and become_* count. */
struct link *local_link_new(struct ssh_links *ls, const struct ssh_target *t);

/*
 * A target from a host's variables as Ansible names them: ansible_host, ansible_port, ansible_user,
 * ansible_ssh_private_key_file, ansible_password, ansible_become_password, ansible_host_key_checking, and of
 * ansible_ssh_common_args, ansible_ssh_extra_args and ansible_ssh_args: -J, -i, -p, -l, -o ProxyJump,
 * IdentityFile, Port, User, ConnectTimeout, StrictHostKeyChecking, UserKnownHostsFile, and ProxyCommand "ssh
 * -W %h:%p HOST". GET returns a variable's final value or NULL. NAME is the inventory's name of the host.
 * Reads the known_hosts files. Everything lives in A. An option that would be ignored and matters is an error
 * (ERR_USER).
 */
typedef struct val *ssh_var_fn(void *ctx, const char *var);
bool ssh_target_from_vars(struct arena *a, const char *name, ssh_var_fn *get, void *ctx,
                          struct ssh_target *ret, struct err *err);
#endif
