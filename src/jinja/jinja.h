/*
 * jinja - Jinja2 templates and expressions over values (base/val.h).
 *
 * The language is Jinja2 3.1's. What belongs to the embedding comes in as callbacks and tables: variables,
 * lookups, templates to include, further filters, tests and globals. Nothing here knows hosts or tasks.
 */
#ifndef JINJA_JINJA_H
#define JINJA_JINJA_H
#include "base/val.h"

struct jinja_env;
struct jinja_ctx;
struct jinja_tmpl; /* a compiled template or expression; immutable, reusable, lives in the arena it was
                      compiled in */

/* A filter, test or global function: one row. ARGS: positional, for a filter and test [0] is the value piped
 * in. */
struct jinja_call {
	struct jinja_ctx *ctx; /* for filters that call back (map, select, lookup) */
	struct arena *a;       /* results live here */
	struct val *args;      /* VAL_LIST */
	struct val *kwargs;    /* VAL_MAP */
	const void *user;      /* the row's user data */
};

typedef bool jinja_fn(struct jinja_call *c, struct val **ret, struct err *err);

struct jinja_func {
	const char *name;
	jinja_fn *fn;
	const char *doc; /* one sentence, for nante doc and README */
	unsigned flags;
	const void *user;
};

enum {
	JINJA_ALLOW_UNDEF =
	        1,         /* gets undefined arguments as they are (default, defined); others fail on them */
	JINJA_IMPURE = 2,  /* result depends on more than its arguments: never folded or cached */
	JINJA_TEXT = 4,    /* its text stays text even where it looks like data: to_json, to_yaml, string */
	JINJA_MARKUP = 8,  /* of HTML it makes HTML */
	JINJA_ESCAPES = 16 /* and escapes what it puts into it */
};

/* A test's *ret is a VAL_BOOL. */

/* The built-in tables; the last row has no rows. Each table ends with a row whose name is NULL. */
struct jinja_table {
	char kind;    /* f filters, t tests, g globals */
	bool ansible; /* ansible-core's, else Jinja2's own */
	const struct jinja_func *rows;
};

extern const struct jinja_table jinja_tables[];

struct jinja_hooks {
	void *ctx;
	/* The variable NAME; *ret = NULL when it does not exist. Never called twice for one name in one
	 * render unless the first call failed. May be NULL: no variables. */
	bool (*resolve)(void *ctx, struct str name, struct arena *a, struct val **ret, struct err *err);
	/* Whether the variable NAME, of which a number or null came, is that as it is written: what a
	 * template in it gave is text once it is printed. May be NULL: always. */
	bool (*is_plain)(void *ctx, struct str name);
	/* The text of the template NAME for include/import/extends (p NULL when there is none); its origin's
	 * src names it. */
	bool (*load)(void *ctx, struct str name, struct arena *a, struct str *ret_text,
	             struct origin *ret_origin, struct err *err);
};

struct jinja_opts {
	bool trim_blocks, lstrip_blocks, keep_trailing_newline;
	/* NULL: Jinja2's defaults. The "#jinja2:" header is read by the embedding, not here. */
	const char *block_start, *block_end, *variable_start, *variable_end, *comment_start, *comment_end;
	const char *line_statement_prefix, *line_comment_prefix, *newline_sequence;
	/* String literals between {{ and }} keep their backslashes, as Ansible has it everywhere but in the
	 * template module's files and in {% %}. */
	bool literal_backslashes;
	bool ansible; /* strict: printing an undefined value is an error ("'x' is undefined"); do and
	                 loopcontrols on; as many newlines at the end as the text has */
};

/* An environment: the tables and how undefined behaves. Lives in A. Tables added later win over earlier ones.
 */
struct jinja_env *jinja_env_new(struct arena *a, bool ansible);
void jinja_env_filters(struct jinja_env *e, const struct jinja_func *rows);
void jinja_env_tests(struct jinja_env *e, const struct jinja_func *rows);
void jinja_env_globals(struct jinja_env *e, const struct jinja_func *rows);
/* The row of a filter/test/global by its name ("ansible.builtin.x" finds "x"), or NULL. */
const struct jinja_func *jinja_env_find(const struct jinja_env *e, char table /* f t g */, struct str name);

/*
 * Compiles TEXT found at AT (offsets in errors and in literal values are AT.off + position when AT.src > 0).
 * Syntax errors, unknown filters and unknown tests are ERR_USER with the exact origin and a did-you-mean
 * hint. opts may be NULL.
 */
bool jinja_compile(struct jinja_env *e, struct arena *a, struct str text, struct origin at,
                   const struct jinja_opts *opts, struct jinja_tmpl **ret, struct err *err);
/* TEXT is one expression without delimiters (when:, until:, assert.that). */
bool jinja_compile_expr(struct jinja_env *e, struct arena *a, struct str text, struct origin at,
                        struct jinja_tmpl **ret, struct err *err);
/* Whether TEXT holds any {{, {% or {# at all: the cheap check before compiling. */
bool jinja_is_template(struct str text);
/* Names the template refers to and does not set itself, as a VAL_LIST of strings
 * (meta.find_undeclared_variables). */
struct val *jinja_undeclared(const struct jinja_tmpl *t, struct arena *a);

/* A context for rendering: the hooks plus local values set by the embedding (loop variables and such). */
struct jinja_ctx *jinja_ctx_new(struct jinja_env *e, struct arena *a, const struct jinja_hooks *hooks);
void jinja_ctx_set(struct jinja_ctx *c, struct str name, struct val *v);
/* The hooks' ctx, for filters, lookups and globals of the embedding. */
void *jinja_ctx_user(const struct jinja_ctx *c);
struct jinja_env *jinja_ctx_env(const struct jinja_ctx *c);
/* Calls a callable value (macro, function object, bound method). */
bool jinja_call_val(struct jinja_ctx *c, struct arena *a, struct val *fn, struct val *args,
                    struct val *kwargs, struct val **ret, struct err *err);

/* Calls a filter or test by name ('f' or 't'). */
bool ctx_call_named(struct jinja_ctx *ctx, struct arena *a, char table, struct str name, struct val *args,
                    struct val *kwargs, struct val **ret, struct err *err);

/* Renders to text (VAL_STR). The result is secret when anything that went in was. */
bool jinja_render(const struct jinja_tmpl *t, struct jinja_ctx *c, struct arena *a, struct val **ret,
                  struct err *err);
/*
 * Renders as ansible-core 2.18 does for variables and arguments (jinja2_native off): the result is text; text
 * that begins with { or [ , or is True/False, and reads as a Python literal becomes that value. A template
 * that is one expression whose value is a list, map or bool gives that value. Undefined anywhere in the
 * result is an error.
 */
bool jinja_render_ansible(const struct jinja_tmpl *t, struct jinja_ctx *c, struct arena *a, struct val **ret,
                          struct err *err);
/* Evaluates an expression (compile_expr): the value itself; may be VAL_UNDEF. */
bool jinja_eval(const struct jinja_tmpl *t, struct jinja_ctx *c, struct arena *a, struct val **ret,
                struct err *err);
/* Python's ast.literal_eval: false (no error) when TEXT is no literal. */
bool jinja_literal_eval(struct arena *a, struct str text, struct val **ret);
/* The same, and nothing but what ast.literal_eval itself takes. */
bool jinja_python_literal(struct arena *a, struct str text, struct val **ret);
/* The next row of CSV, which leaves *TEXT (.p NULL after the last): fields between DELIM, quoted where they
 * hold it, a quote or a line's end. */
struct val *csv_row(struct arena *a, struct str *text, char delim, bool skip_blank);
#endif
