/*
 * playbook - plays, blocks, tasks and roles as files say them: parsed once, immutable, shared by every host
 * and every include. What differs per inclusion is a frame (frame.h).
 */
#ifndef ANSIBLE_PLAYBOOK_H
#define ANSIBLE_PLAYBOOK_H
#include "ansible/keyword.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/val.h"

struct module;
struct vault;
struct action;

enum node_kind { NODE_PLAY, NODE_ROLE, NODE_BLOCK, NODE_TASK };

/* Anything that carries keywords. */
struct node {
	enum node_kind kind;
	struct node *parent; /* the block around it in the same file; NULL at the top */
	struct origin at;
	struct val *kw[KW_N]; /* as written; NULL: absent */
};

struct nodes {
	struct node **v;
	size_t n;
};

enum section { SEC_TASKS, SEC_RESCUE, SEC_ALWAYS, SEC_END };

struct block {
	struct node n;
	struct nodes sec[SEC_END];
};

struct task {
	struct node n;
	struct str name;             /* as written; empty: none */
	const char *module_name;     /* as written */
	const struct module *module; /* NULL: unknown to this build */
	const struct action *action; /* its controller half; NULL: none, all of it runs on the host */
	struct val *args;            /* a map, templates in it */
	struct val *args_tmpl; /* "args" or the module's value is one template: merged below args; or NULL */
	const char *lookup;    /* with_X; NULL: none or loop */
	struct val *loop;      /* its terms */
	bool handler, local;   /* local_action */
	bool elsewhere;        /* its module is known, and not in this build: it fails when it is reached */
	bool implicit;         /* made by the engine: gather facts, flush handlers */
	struct tfile *file;
};

/* A file of tasks. */
struct tfile {
	const char *path, *dir;
	struct block *root;
	bool handlers;
};

/* What was read so far; the one place that reads files and makes sources. */
struct loader {
	struct arena *a;
	struct sources *sources;
	struct val *cache; /* path -> parsed YAML */
	struct tfile **files;
	size_t n_files;
	struct vault *vault; /* what opens sealed files; NULL: nothing does */
	struct errs *errs;   /* where problems of parsing go */
	void (*warn)(void *ctx, struct origin at, const char *msg);
	/* V templated with what is known before any play: extra and magic variables. */
	bool (*text)(void *ctx, struct val *v, struct str *ret, struct err *err);
	void *ctx; /* of both */
};

struct play {
	struct node n;
	struct str name;
	struct block *tasks, *pre_tasks, *post_tasks, *handlers; /* NULL when absent */
	const char *dir;                                         /* of the playbook */
	struct val *import_vars; /* vars of the import_playbook that brought it; NULL: none */
};

struct plays {
	struct play **v;
	size_t n;
};

/* The text of PATH as a source (cached by path). */
bool loader_text(struct loader *l, const char *path, struct str *ret, uint32_t *ret_src, struct err *err);
/* Whether PATH, read before, was a sealed file. */
bool loader_sealed(const struct loader *l, const char *path);
/* Its YAML (cached). */
bool loader_yaml(struct loader *l, const char *path, struct val **ret, struct err *err);
/* A file of variables: a map, empty when the file is. */
bool loader_vars(struct loader *l, const char *path, struct val **ret, struct err *err);
/* The tasks of PATH; every problem in it goes to l->errs, and the result is NULL when the file itself is
 * unusable. */
struct tfile *loader_tasks(struct loader *l, const char *path, bool handlers);
/* A list of tasks that stands in a play. */
struct block *parse_tasks(struct loader *l, const struct val *list, struct tfile *file, bool handlers);
struct task *parse_task(struct loader *l, const struct val *ds, struct node *parent, struct tfile *file,
                        bool handler);
/* What a task or any node may not say goes to l->errs. */
void task_rules(struct loader *l, const struct task *t);
void node_rules(struct loader *l, const struct node *n);
bool variable_name_ok(struct str s);
/* Whether module_defaults may name GROUP (without "group/"). */
bool module_group_known(struct str group);
/* A node's keywords from DS, those in WHERE; others go to l->errs unless REST collects them. */
void parse_keywords(struct loader *l, struct node *n, const struct val *ds, unsigned where, struct val *rest);
/* Whether V, as written or as a template made it, may be the hosts of a play: nothing would mean all. */
bool hosts_check(const struct val *v, struct err *err);
/* The playbook PATH and what it imports, in order. False when something in it is wrong (l->errs). */
bool loader_playbook(struct loader *l, const char *path, struct plays *ret);

/* A task the engine makes itself. ARGS may be NULL. */
struct task *task_new(struct arena *a, const char *module, struct val *args);
/* What a task is called in the output: its name or its module. */
struct str task_label(const struct task *t);

/* Splits "a=b c='d e' {{ x | y }}" at blanks outside quotes and template braces; NULL quotes unbalanced. */
bool args_split(struct arena *a, struct str text, struct origin at, struct val **ret, struct err *err);
/* Free-form parameters: k=v pairs as a map; the rest under _raw_params. RAW: the whole text stays raw except
 * the few options such modules take (creates, removes, chdir ...). */
bool args_parse(struct arena *a, struct str text, struct origin at, bool raw, struct val **ret,
                struct err *err);
#endif
