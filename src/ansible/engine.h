/*
 * engine - roles and playbooks run over hosts: what the rest of the program sees of the Ansible language.
 */
#ifndef ANSIBLE_ENGINE_H
#define ANSIBLE_ENGINE_H
#include "base/err.h"
#include "base/val.h"

struct arena;
struct buf;
struct engine;
struct inventory;
struct link;
struct link_pump;
struct sources;
struct vault;

/* What happened to one host. */
struct engine_stats {
	unsigned ok, changed, unreachable, failed, skipped, rescued, ignored;
};

enum result_kind { RES_OK, RES_CHANGED, RES_FAILED, RES_SKIPPED, RES_UNREACHABLE };

/* A task's or an item's outcome, on its way to whoever shows it. Valid during the call only. */
struct engine_result {
	enum result_kind kind;
	const char *host, *delegated_to; /* delegated_to NULL: not */
	const char *action;              /* module name as written */
	const char *task;                /* its label, templated */
	bool is_item, is_loop;           /* one item; the sum over items */
	const struct val *label;         /* of the item */
	const struct val *result;        /* censored when no_log */
	bool ignored, no_log, diff;
	double seconds;
	struct origin at; /* of the task */
};

/* How a run is shown. Every member may be NULL. CTX is the owner's. */
struct engine_output {
	void (*play_start)(void *ctx, const char *name);
	void (*no_hosts)(void *ctx);
	/* KIND: "TASK", "RUNNING HANDLER"; ROLE NULL: none. */
	void (*task_start)(void *ctx, const char *kind, const char *role, const char *name, struct origin at);
	void (*result)(void *ctx, const struct engine_result *r);
	void (*retry)(void *ctx, const char *host, const char *task, int left, const struct val *result);
	void (*included)(void *ctx, const char *path, const char *hosts, const struct val *label);
	void (*warning)(void *ctx, const char *msg, struct origin at);
	/* A line a long-running child said. */
	void (*progress)(void *ctx, const char *host, struct str line);
	/* Text meant for people (pause, debug of the engine). */
	void (*note)(void *ctx, const char *text);
	/* Every host of the play failed. */
	void (*none_left)(void *ctx);
};

struct engine_opts {
	struct sources *sources;
	struct inventory *inventory;
	bool check, diff, become, force_handlers;
	bool merge_hashes;     /* hash_behaviour = merge: dictionaries of one name go into each other */
	bool missing_handlers; /* to notify one there is none of is no error */
	bool no_facts;         /* plays that do not say so gather none */
	bool no_fact_vars;     /* inject_facts_as_vars = false: facts are in ansible_facts alone */
	bool any_errors_fatal; /* for plays that do not say so */
	int verbosity;
	const struct val *tags, *skip_tags; /* lists of names; NULL: all, none */
	const char *limit;                  /* NULL: none */
	const char *start_at;               /* the first task to run, a pattern; NULL: the first there is */
	const char *connection, *user;      /* NULL: by variables */
	const char *become_user, *become_password, *private_key_file;
	const char *timeout, *ssh_common_args, *ssh_extra_args,
	        *password;             /* of a connection; NULL: by variables */
	struct val *extra_vars;        /* a map or NULL */
	const char *const *roles_path; /* NULL-terminated, searched in order; NULL: none */
	const char *const
	        *collections_path; /* likewise; each holds a folder ansible_collections, or is one */
	const struct val *env;     /* NAME -> value for lookup('env') before our own environment; or NULL */
	const char *managed;       /* what ansible_managed says in templates; NULL: the usual */
	struct vault *vault;       /* the passwords of sealed files; NULL: none */
	const struct engine_output *out;
	void *out_ctx;
	/* A connection by its parameters: {name, connection, host, port, user, password, private_key_file,
	 * ssh_args, become_password, timeout ...}, absent ones unset. NULL result: err says why. */
	struct link *(*open)(void *ctx, const struct val *params, struct err *err);
	void *open_ctx;
	const struct link_pump *pump;
};

/* OPTS is kept by reference; everything lives in A. */
struct engine *engine_new(struct arena *a, const struct engine_opts *opts);

/*
 * Plays the playbook PATH. False: it could not be started or went on no further (ERRS tells; ERR_CANCELLED
 * among them when cancelled). Failed tasks are no error here: see engine_failed().
 */
bool engine_playbook(struct engine *e, const char *path, struct errs *errs);
/* Only reads it, with all the roles and files it names statically, as --syntax-check does. */
bool engine_read_playbook(struct engine *e, const char *path, struct errs *errs);
/* What is to be told of a playbook. */
struct engine_list {
	bool hosts, tasks, tags;
};
/* Tells into OUT what the playbook PATH would do, as --list-hosts and its like do. */
bool engine_list_playbook(struct engine *e, const char *path, const struct engine_list *what, struct buf *out,
                          struct errs *errs);
/* Whether a task that start_at names was found. */
bool engine_start_found(const struct engine *e);
/* Whether a playbook could not be played because a role or file it names is not there. */
bool engine_missing(const struct engine *e);
/*
 * Runs the entry point VERB ("main", "verify", ...) of ROLE over the hosts PATTERN names. VARS: extra role
 * parameters or NULL.
 */
bool engine_role(struct engine *e, const char *role, const char *verb, const char *pattern, bool gather_facts,
                 bool become, struct val *vars, struct errs *errs);
/* Several roles in one play, as a site playbook's "roles:" does. ROLES: list of names or maps. */
bool engine_roles(struct engine *e, const char *name, struct val *roles, const char *pattern,
                  bool gather_facts, bool become, struct val *vars, struct errs *errs);

/* Checks every file role ROLE (all its verbs) or playbook can reach, without any host. Everything wrong is in
 * ERRS. */
bool engine_check_role(struct engine *e, const char *role, struct errs *errs);
/* Every role below the directory DIR. */
bool engine_check_roles(struct engine *e, const char *dir, struct errs *errs);
bool engine_check_playbook(struct engine *e, const char *path, struct errs *errs);
/* Whether ROLE exists, and whether it has the verb. */
bool engine_has_role(struct engine *e, const char *role);
bool engine_has_verb(struct engine *e, const char *role, const char *verb);
/* The role's meta/argument_specs of entry point VERB ({options: ..., description ...}) or NULL. */
const struct val *engine_argument_spec(struct engine *e, const char *role, const char *verb, struct err *err);

/* Whether NAME has a value before ROLE runs: by its defaults or vars, the extra vars, or the inventory. */
bool engine_role_defines(struct engine *e, const char *role, struct str name);

/* HOST is about to be restarted: its connections are dropped, and made anew when it is needed again. */
void engine_disconnect(struct engine *e, const char *host);

/* After a run. */
const struct engine_stats *engine_host_stats(const struct engine *e, const char *host);
/* Whether any play got as far as its hosts. */
bool engine_started(const struct engine *e);
/* Whether a host failed and nothing brought it back, or is unreachable. */
bool engine_failed(const struct engine *e);
bool engine_unreachable(const struct engine *e);
/* What set_stats gathered (not per host), a map. */
struct val *engine_custom_stats(const struct engine *e);
/* What was gathered so far no longer holds, and would only be added to. */
void engine_clear_stats(struct engine *e);
/* Tasks that changed something: list of {host, task, role, action, seconds}. */
struct val *engine_changes(const struct engine *e);
/* All failures: list of {host, task, role, msg, file, line, unreachable, ignored: false}. */
struct val *engine_failures(const struct engine *e);
/* "role: task" (or "task") to the seconds its slowest host took. */
const struct val *engine_timings(const struct engine *e);
/* The recap line of HOST as ansible-playbook prints it, without colours. */
void engine_recap_line(const struct engine *e, const char *host, struct buf *out);
/* Hosts a task had a result on, in order of appearance. */
struct val *engine_hosts(const struct engine *e);
#endif
