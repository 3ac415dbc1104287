/*
 * core - the state of a run, shared by the files of this folder and by nobody else.
 */
#ifndef ANSIBLE_CORE_H
#define ANSIBLE_CORE_H
#include "agent/proto.h"
#include "ansible/action.h"
#include "ansible/engine.h"
#include "ansible/frame.h"
#include "ansible/inventory.h"
#include "ansible/playbook.h"
#include "ansible/ptrs.h"
#include "ansible/scope.h"
#include "base/source.h"

/* One entry of a play's programme, in order. */
struct unit {
	struct frame *frame; /* NULL: TASK alone */
	struct task *task;
};

struct handler {
	struct task *task;
	struct frame *frame;
	unsigned list;  /* handlers that were loaded together */
	bool *notified; /* by host index */
	size_t n_notified;
	struct str name; /* templated once */
	bool name_ready, name_failed;
};

/* A play under way. */
struct play_run {
	struct play *play;
	struct arena *a;
	struct host **named, **all,
	        **batch; /* by the pattern; in the play's order; the current serial batch */
	size_t n_named, n_all, n_batch;
	struct unit *units;
	size_t n_units;
	struct handler **handlers; /* in the order they run */
	size_t n_handlers;
	unsigned n_lists;
	struct role **roles; /* whose defaults and vars everybody sees */
	size_t n_roles;
	struct role **known; /* every mention, to find the same one again */
	size_t n_known;
	struct val *vars_files;  /* host name -> list of maps */
	struct host_run **hosts; /* one per batch host */
	size_t n_hosts;
	struct import *imports; /* of tasks that stand in the play itself */
	bool force_handlers, ended, any_matched;
	bool apart;          /* strategy free or host_pinned: no host answers for another */
	bool broken;         /* max_fail_percentage: no play follows */
	bool *failed_before; /* by host index: what host_failed was when the batch began */
	size_t n_before;
};

struct cursor {
	const struct block *block; /* NULL: the handlers */
	struct frame *frame;
	enum section sec;
	size_t i;
	bool failed;
	bool started_first; /* past the frame's implicit first task */
};

/* A host's way through a play. */
struct host_run {
	struct host *host;
	size_t unit;
	struct cursor *stack;
	size_t n, cap;
	bool started;               /* the unit's cursor was pushed */
	size_t later_unit, later_n; /* where to go on behind the facts; LATER_UNIT 0: nowhere else */
	bool failed;                /* left the play by failure */
	bool unreachable, ended;
	bool flushing;
	bool forced;                             /* failed, on its way to its handlers nevertheless */
	struct val *notes;                       /* names notified since the last flush; NULL: none */
	struct val *failed_task, *failed_result; /* in a rescue */
	/* the task the host is at; set by host_run_peek() */
	struct task *task;
	struct frame *frame;
};

struct engine {
	struct arena *a;
	const struct engine_opts *opts;
	struct sources *sources;
	struct inventory *inv;
	struct loader loader;
	struct errs *errs; /* where loading problems go just now */
	bool missing;      /* a role or file that a play names is not there */
	struct jinja_env *env;
	struct tmpl_cache *tmpls;
	struct play_run *pr; /* the play under way; NULL between plays */
	const char *playbook_dir;
	struct val *extra_vars;
	struct str omit;
	struct val *version; /* ansible_version */
	struct val *custom_stats, *changes, *failures, *timings;
	struct val *dynamic; /* what add_host and group_by said so far, for a refreshed inventory */
	struct val *warned;  /* said once */
	struct host **seen;  /* took part, in order */
	size_t n_seen;
	struct engine_stats *stats; /* by host index, grows */
	size_t n_stats;
	/* By host index: out of later plays. While a batch runs host_failed is about this batch. */
	bool *host_failed, *host_unreachable;
	unsigned *removed; /* by host index: times it left this batch, less those a rescue brought it back */
	unsigned next_seq;
	bool cancelled, batch_failed;
	bool started_at; /* past the task opts->start_at names */
	uint64_t seed;
};

struct engine_stats *engine_stats_of(struct engine *e, const struct host *h);
void engine_warn(struct engine *e, struct origin at, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
/* Monotonic seconds. */
double engine_now(void);

/* ---- iterate.c: where a host is in its play ---- */
/* Whether the tags asked for choose the task. H NULL: for no host in particular. RET_TAGS: its tags; or NULL.
 */
bool task_selected(struct engine *e, struct host *h, const struct task *t, struct frame *f, struct arena *a,
                   struct val **ret_tags);
/* To the task opts->start_at names, with the facts before it; false: it is not in this play. */
bool host_run_start_at(struct engine *e, struct host_run *hr);
void host_run_init(struct engine *e, struct host_run *hr, struct host *h);
/* The next task for the host without leaving it; sets hr->task and frame; false at the end. */
bool host_run_peek(struct engine *e, struct host_run *hr);
/* Past the task peeked at. */
void host_run_advance(struct host_run *hr);
/* <0: A's task comes before B's. */
int host_run_cmp(const struct host_run *a, const struct host_run *b);
/* The host failed at its task: to its rescue or always, or out. True: a rescue will deal with it. */
bool host_run_fail(struct engine *e, struct host_run *hr);
/* Into what was included, unless it is a role the host is done with. */
void host_run_push(struct host_run *hr, struct frame *f);
/* Starts running the notified handlers of the host; false when it is running them. */
bool host_run_flush(struct engine *e, struct host_run *hr);
/* Out of the current role. */
void host_run_end_role(struct host_run *hr);
/* Out of the play without having failed, except where only "always" was left to do. */
void host_run_end(struct engine *e, struct host_run *hr);
void host_run_clear_errors(struct host_run *hr);

/* ---- handlers.c ---- */
void handlers_add(struct engine *e, struct block *b, struct frame *f);
/* Handler T in F has run on HOST (NULL: on all): it waits for the next notification. */
void handlers_ran(struct engine *e, const struct task *t, const struct frame *f, const struct host *host);
/* Whether NAME means any of the handlers there are by now; with MARK they will run on that host. */
bool handlers_named(struct engine *e, struct str name, struct host *mark);
/* The host asks for handler NAME: at its next flush, at once when it is running handlers. False: there is
 * none. */
bool handlers_notify(struct engine *e, struct host_run *hr, struct str name);

/* ---- include.c ---- */
/* The frame of import TASK within FRAME, expanded once. NULL: problems are in e->errs. */
struct frame *role_frame(struct engine *e, struct role *r, struct frame *up, struct task *inc, bool is_static,
                         bool validate);
struct frame *import_expand(struct engine *e, struct task *t, struct frame *f, struct host *h,
                            struct errs *errs);

/* ---- strategy.c ---- */
/* Whether every role and file that P names statically is there and can be read; what is not is in e->errs. */
bool play_is_whole(struct engine *e, struct play *p);
/* Runs the play under way on HOSTS. False: cancelled or broken (err), or a problem in e->errs. */
bool strategy_batch(struct engine *e, struct host **hosts, size_t n, struct err *err);
/* ---- engine.c ---- */
bool playbook_read(struct engine *e, const char *path, struct plays *ps, struct errs *errs);
/* ---- play.c ---- */
/* The play as it would run, its hosts and its programme, until it is closed. */
bool play_open(struct engine *e, struct play *p, struct err *err);
void play_close(struct engine *e);
bool play_run(struct engine *e, struct play *p, bool *ret_stop, struct err *err);

/* ---- connection.c ---- */
/* The link for the scope's host (or whom it delegates to) by its connection variables. */
bool connection_open(struct scope *s, struct link **ret, struct err *err);
/* What the connection of a task is, as its variables: "ansible_connection", "ansible_host",
 * "ansible_ssh_host" ... NULL: nothing says so, or NAME is a variable itself. */
bool connection_var(struct scope *s, const char *name, struct val **ret, struct err *err);
/* Become as the variables and keywords say: whether, and as whom. */
bool connection_become(struct scope *s, bool *ret, struct str *ret_user, struct err *err);
void connection_reset(struct scope *s);
struct host *delegate_host(struct engine *e, struct str name);

/* ---- facts.c ---- */
void facts_store(struct engine *e, struct host *h, const struct val *facts);
bool fact_name_protected(struct str name);
#endif
