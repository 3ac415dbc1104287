/*
 * frame - one inclusion of a task file or role: what the file says, placed under the task that brought it in.
 * A task and its frame together give everything it inherits; nothing is copied when something is included.
 */
#ifndef ANSIBLE_FRAME_H
#define ANSIBLE_FRAME_H
#include "ansible/playbook.h"

struct host;
struct scope;
struct engine;

/* A role as a play uses it: its files with the parameters of one mention. */
struct role {
	const char *name, *path;
	const char *short_name,
	        *collection;         /* of "namespace.collection.role" the parts; NULL: in no collection */
	struct val *defaults, *vars; /* what its files say */
	struct val *params;          /* inline variables of the entry: "- {role: x, a: 1}" */
	struct node *entry;          /* the entry's keywords; entry->kw[KW_VARS] are its vars; NULL: none */
	struct role *parent;         /* the role that depends on or includes it */
	struct role **deps;
	size_t n_deps;
	struct val *meta;                                                   /* meta/main.yml, a map */
	struct val *argspec;                                                /* of the entry point, or NULL */
	const char *tasks_from, *vars_from, *defaults_from, *handlers_from; /* NULL: main */
	const char
	        *spec_name; /* of its argument specification: the file as it was written, with its suffix */
	struct tfile *tasks, *handlers; /* NULL: none */
	bool allow_dup, from_include, exported;
	struct val *done; /* host name -> true */
};

struct frame {
	struct frame *up;   /* where INC stands; NULL at play level */
	struct task *inc;   /* the task that included it; NULL: the play did */
	bool is_static;     /* an import: keywords of INC count for what is inside */
	struct block *root; /* what to run */
	struct tfile *file; /* its file; NULL: none */
	struct role *role;  /* the role the tasks belong to; NULL: none */
	bool role_top;      /* ROLE begins here */
	struct val *vars;   /* the loop variable and such of the inclusion; NULL: none */
	struct node *apply; /* NULL: none */
	struct task *first; /* an implicit task before the others (argument validation); NULL: none */
	unsigned seq;       /* rising: the order of inclusion */
	struct import {
		const struct task *task;
		struct frame *frame;
		struct import *next;
	} * imports; /* already expanded */
};

/* A mention of a role. */
struct role_ref {
	struct str name;
	struct origin at;
	struct node *entry;            /* its keywords; NULL: none */
	struct val *params;            /* NULL: none */
	const struct val *from;        /* {tasks_from, vars_from, ...}; NULL: it stands in "roles:" */
	const struct val *collections; /* where to look for it; NULL: nowhere */
	struct role *parent;
};

/* Finds and reads a role. The same mention twice in one play is the same role. Problems go to run's errs:
 * NULL. */
struct role *role_load(struct engine *e, const struct role_ref *ref);
/* An entry of "roles:" or of meta dependencies. */
struct role *role_entry_load(struct engine *e, const struct val *ds, const struct val *collections,
                             struct role *parent);
/* The directory of role NAME as seen from PARENT's role and the playbook; NULL when there is none.
 * COLLECTIONS: names (or one) where to look for it, or NULL. */
const char *role_find(struct engine *e, struct str name, const struct role *parent,
                      const struct val *collections);
/* DIR/NAME with .yml, .yaml, .json or as it is; a directory counts when DIRS. NULL when there is none. */
const char *role_file(struct arena *a, const char *dir, const char *name, bool dirs);

struct frame *frame_new(struct engine *e, struct frame *up, struct task *inc, bool is_static,
                        struct block *root, struct role *role);

/* The chain of nodes a task inherits from, innermost first. */
struct walk {
	const struct node *n; /* the current one; NULL: at the end */
	const struct frame *f;
	const struct role *role; /* NODE_ROLE: whose entry N is */
	bool for_vars;           /* dynamic includes' vars are inherited too */
	const struct node *play;
	int stage;
};

void walk_start(struct walk *w, const struct node *n, const struct frame *f, const struct node *play);
void walk_next(struct walk *w);

/* The value of KW that counts for a task (KW_NEAREST or KW_OWN), or NULL. */
struct val *kw_get(const struct node *n, const struct frame *f, const struct node *play, enum kw kw);
/* All values of a KW_EXTEND keyword, outermost first, as a list of what was written. */
struct val *kw_all(const struct node *n, const struct frame *f, const struct node *play, enum kw kw,
                   struct arena *a);
#endif
