/*
 * scope - the variables one task sees on one host, as layers looked through at need, and templating with
 * them.
 */
#ifndef ANSIBLE_SCOPE_H
#define ANSIBLE_SCOPE_H
#include "base/err.h"
#include "base/val.h"

struct frame;
struct host;
struct jinja_ctx;
struct jinja_tmpl;
struct node;
struct engine;

struct scope {
	struct engine *e;
	struct host *host;       /* NULL: none yet (play level) */
	struct host *delegate;   /* NULL: not delegated */
	const struct node *node; /* NULL: only play and host variables */
	struct frame *frame;
	struct val *locals;        /* strongest: loop variables, the result under way; NULL: none */
	const struct scope *outer; /* a scope whose locals count too, weaker; or NULL */
	struct arena *a;           /* results live here */
	struct jinja_ctx *jinja;
	struct val *memo; /* variables already computed */
	unsigned depth;
	bool copying;         /* the running template mutates what it reads */
	bool host_only;       /* hostvars: no play, role or task variables */
	bool closed;          /* the locals and nothing else */
	const char *busy[64]; /* names being computed, for the message about recursion */
};

void scope_init(struct scope *s, struct engine *e, struct host *h, const struct node *n, struct frame *f,
                struct arena *a);
/* Forget computed values: a variable was set. */
void scope_touch(struct scope *s);
void scope_set(struct scope *s, const char *name, struct val *v);

/* The variable as written (templates in it); NULL when there is none. */
struct val *scope_raw(struct scope *s, struct str name);
/* The variable computed. *ret = NULL when there is none. */
bool scope_var(struct scope *s, struct str name, struct val **ret, struct err *err);
/* scope_var() as a hook of jinja, CTX the scope: what needs an undefined variable is undefined, too. */
bool scope_resolve(void *ctx, struct str name, struct arena *a, struct val **ret, struct err *err);
/* Whether NAME is a value as it is written, no template; a hook, too. */
bool scope_is_plain(void *ctx, struct str name);
/* All names, as a list without duplicates. */
struct val *scope_names(struct scope *s);

/* V with every template in it evaluated, as deep as it goes. V itself when there is none. */
bool scope_template(struct scope *s, struct val *v, struct val **ret, struct err *err);
/* As text. */
bool scope_text(struct scope *s, struct val *v, struct str *ret, struct err *err);
/* As a bool by Ansible's rules (yes, on, 1 ...). NULL V: DFLT. */
bool scope_bool(struct scope *s, struct val *v, bool dflt, bool *ret, struct err *err);
/* As a number. NULL V: DFLT. */
bool scope_number(struct scope *s, struct val *v, double dflt, double *ret, struct err *err);
/* As a list of texts: a list (nested ones flattened), or text split at commas. */
bool scope_words(struct scope *s, struct val *v, struct val **ret, struct err *err);
/* The conditions in COND (a bool, a string or a list of them): all must hold. The first false one in
 * *ret_false (may be NULL). */
bool scope_cond(struct scope *s, struct val *cond, bool *ret, struct val **ret_false, struct err *err);
/* Evaluates TEXT as an expression. */
bool scope_expr(struct scope *s, struct str text, struct origin at, struct val **ret, struct err *err);
/* A template file's text (with an optional #jinja2: header) rendered as the template module does. OPTS: the
 * module's options (block_start_string ..., trim_blocks, lstrip_blocks, newline_sequence), or NULL. */
bool scope_render_file(struct scope *s, struct str text, uint32_t src, const struct val *opts,
                       struct str *ret, bool *ret_secret, struct err *err);
/* Whether anything in V is to be templated. */
bool val_needs_template(const struct val *v);

/* Finds NAME for a task as Ansible does: SUBDIR ("templates", "files", "vars", "tasks" or "") of the role, of
 * the including roles, of the file's directory and of the playbook. NULL when nowhere. */
const char *scope_find(struct scope *s, const char *subdir, struct str name);
/* The places looked at, for the message. */
struct val *scope_search_path(struct scope *s, const char *subdir);
/* The same as text. */
const char *scope_searched(struct scope *s, const char *subdir);

/* Ansible's placeholder for "leave this parameter out". */
bool val_is_omit(const struct engine *e, const struct val *v);
/* V without members that are omitted, however deep. */
struct val *val_without_omit(const struct engine *e, struct arena *a, struct val *v);
/* V with a list for every tuple, however deep: as variables are once they were set. V itself when there is
 * none. */
struct val *val_no_tuples(struct arena *a, struct val *v);

/* ---- rows ---- */

/* A variable Ansible provides. */
struct magic_var {
	const char *name;
	bool (*get)(struct scope *s, struct val **ret, struct err *err); /* *ret NULL: does not exist here */
	const char *doc;
};
extern const struct magic_var magic_table[];

/* A lookup plugin: TERMS (a list) and options to a list. */
struct lookup_call {
	struct scope *s;
	struct val *terms, *opts;
	struct arena *a;
	struct val *ret; /* a fresh list */
};
struct lookup {
	const char *name;
	bool (*run)(struct lookup_call *c, struct err *err);
	const char *doc;
	bool list_terms; /* as with_X: terms are flattened one level and templated by the plugin */
};
extern const struct lookup lookup_table[];
const struct lookup *lookup_find(struct str name);
bool lookup_run(const struct lookup *l, struct scope *s, struct val *terms, struct val *opts,
                struct val **ret, struct err *err);
#endif
