/*
 * action - the controller's half of a module: what needs files, variables or other tasks of the controller.
 * An action is one row; modules without a row run on the host as they are.
 */
#ifndef ANSIBLE_ACTION_H
#define ANSIBLE_ACTION_H
#include "base/val.h"
#include "jinja/jinja.h"

struct item_run;

/* How an include, import or meta differs from an ordinary action: handled by the strategy, not per item. */
enum action_kind {
	ACT_PLAIN,
	ACT_META,
	ACT_INCLUDE_TASKS,
	ACT_IMPORT_TASKS,
	ACT_INCLUDE_ROLE,
	ACT_IMPORT_ROLE,
};

enum {
	ACT_LOCAL = 1,       /* needs no host: no connection is opened */
	ACT_CHECK = 2,       /* runs in check mode */
	ACT_RAW = 4,         /* free-form text is _raw_params */
	ACT_ONCE = 8,        /* runs for the first host only and counts for all (add_host, pause) */
	ACT_KEEP_APPLY = 32, /* "apply" holds keywords for what is included, not to be templated yet */
	ACT_FREE = 128,      /* its text is the module's own, key=value words in it included */
	ACT_ASYNC = 256,     /* may carry async */
	ACT_ERRORS = 64,     /* done() is called for a host that cannot be reached, too: r->req.err */
};

struct action {
	const char *name;
	enum action_kind kind;
	unsigned flags;
	/* Begins: sets run->result, or asks the host (act_submit) and is called again at done(). False: err
	 * is the task's failure. */
	bool (*start)(struct item_run *r, struct err *err);
	/* The host answered: r->answer. NULL: the answer is the result. May submit again. */
	bool (*done)(struct item_run *r, struct err *err);
};

extern const struct action action_table[]; /* ended by name NULL */
/* By short name or ansible.builtin./ansible.legacy. name; NULL when there is none. */
const struct action *action_find(struct str name);
#endif
