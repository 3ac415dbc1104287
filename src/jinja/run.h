/*
 * run - a template while it renders, and what filters, tests and methods need of it.
 */
#ifndef JINJA_RUN_H
#define JINJA_RUN_H
#include "base/val.h"

#define JINJA_MAX_DEPTH 3000             /* nested evaluations: a template that recurses deeper is refused */
#define JINJA_MAX_STEPS 20000000u        /* loop passes of one render */
#define JINJA_MAX_ITEMS 4000000          /* members of one list an operation makes */
#define JINJA_MAX_OUT ((size_t)64 << 20) /* bytes of one text */

struct frame {
	struct frame *parent;
	struct val *slot[];
};

/* Text being made, and the history of what went in. */
struct output {
	struct buf b;
	bool secret, unsafe;
	bool text;       /* the last piece is text that is never read as data */
	unsigned pieces; /* printed; no more than 2 are told apart */
};

struct block_def {
	struct str name;
	struct node *node;
	struct rt *rt;            /* of the template that defines it */
	struct block_def *parent; /* what super() is */
};

struct block_table {
	struct block_def **v;
	size_t n;
};

/* One run of one template. */
struct rt {
	struct jinja_ctx *ctx;
	const struct jinja_tmpl *t;
	struct arena *a;
	struct err *err;
	struct output *out;
	struct frame *frame;
	struct val **names;  /* what outer names turned out to be */
	struct val *exports; /* top-level names so far, by name; NULL: the template shares nothing */
	struct val *overlay; /* names passed on by an including template or a scoped block */
	struct block_table *blocks;
	struct block_def *block;          /* the block being run */
	const struct jinja_tmpl *extends; /* set by {% extends %} */
	bool isolated;                    /* imported without context: globals only */
};

struct regex_cached;

struct jinja_ctx {
	struct jinja_env *env;
	struct arena *a;
	struct jinja_hooks hooks;
	struct val *locals;
	unsigned depth;   /* nested evaluations */
	unsigned renders; /* nested renders */
	unsigned steps;
	struct val *cache; /* name → value of the outermost render */
	struct arena *cache_arena;
	struct regex_cached *regexes;
	bool autoescape;       /* what {% autoescape %} around the running statement says */
	struct val *no_kwargs; /* an empty map, shared by the calls that have none */
	struct loaded {
		struct loaded *next;
		struct str name;
		struct jinja_tmpl *t;
	} * loaded;
};

#define INLINE_IF "inline if" /* the name of what "x if false" gives */

enum flow { FLOW_OK, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAIL };

/* eval.c: NULL on error. */
struct val *rt_eval(struct rt *rt, struct node *n);
bool rt_truthy(struct rt *rt, const struct val *v, bool *ret);
struct val *rt_getattr(struct rt *rt, struct val *obj, struct val *key, bool item_first);
/* Places an error that has no place yet at N; returns NULL. */
void *rt_fail_at(struct rt *rt, const struct node *n);
struct val *rt_resolve(struct rt *rt, struct str name);
bool rt_strict(const struct rt *rt);

/* exec.c */
enum flow rt_exec_body(struct rt *rt, struct node **v, size_t n);
void rt_capture(struct rt *rt, struct output *o, struct output **ret_saved);
/* The captured text as a value; O is freed, the output is SAVED again. NULL when it grew too large. */
struct val *rt_captured(struct rt *rt, struct output *o, struct output *saved);
/* V, text made within {% autoescape %}, as HTML; V may be NULL. */
struct val *rt_in_markup(struct rt *rt, struct val *v);
bool rt_print(struct rt *rt, const struct val *v);
struct frame *rt_frame(struct rt *rt, struct frame *parent, size_t nslots);
bool rt_assign(struct rt *rt, struct node *target, struct val *v);
bool rt_step(struct rt *rt);

/* block.c: blocks, include, import, extends, macros */
enum flow rt_exec_block(struct rt *rt, struct node *n);
enum flow rt_exec_include(struct rt *rt, struct node *n);
enum flow rt_exec_import(struct rt *rt, struct node *n);
enum flow rt_exec_extends(struct rt *rt, struct node *n);
bool rt_add_blocks(struct rt *rt);
struct val *rt_special(struct rt *rt, struct str name);
enum flow rt_run_root(struct rt *rt);
struct val *rt_macro(struct rt *rt, struct node *n);

/* loop.c */
enum flow rt_exec_for(struct rt *rt, struct node *n);

/* ops.c: Python's operators. False with an error that has no place. */
bool py_binary(struct arena *a, enum tok op, struct val *x, struct val *y, struct val **ret, struct err *err);
bool py_compare(enum cmp_op op, const struct val *x, const struct val *y, bool strict, bool *ret,
                struct err *err);
bool py_negate(struct arena *a, struct val *x, struct val **ret, struct err *err);
/* X[key] of a list, tuple or string; *ret NULL when there is none. Negative numbers count from the end. */
struct val *py_index(struct arena *a, const struct val *x, int64_t i);
/* X[lo:hi:step]; NULL or none bounds are open. */
bool py_slice(struct arena *a, struct val *x, const struct val *lo, const struct val *hi,
              const struct val *step, struct val **ret, struct err *err);
/* What "for" walks over: a list or tuple. Undefined is empty unless STRICT. NULL and an error otherwise. */
struct val *py_iter(struct arena *a, struct val *v, bool strict, struct err *err);
/* Whether anything in V is secret, unsafe, undefined (the message of the first one found). */
bool val_deep_unsafe(const struct val *v);
/* Undefined in a way that a strict template refuses: not what an inline if without else gives. */
bool val_undef_fails(const struct val *v);
const struct val *val_deep_undef(const struct val *v);
/* RES marked as secret or unsafe when one of ARGS or KWARGS is. */
struct val *val_taint(struct arena *a, struct val *res, const struct val *args, const struct val *kwargs);
struct val *val_taint_from(struct arena *a, struct val *res, const struct val *x);
const char *py_op_name(enum tok op);
/* What Jinja2 calls the type in "'dict object' has no attribute 'x'". */
const char *py_object_name(const struct val *v, struct arena *a);

/* markup.c: V's text as HTML, V itself when it is that already. */
struct val *markup_escape(struct arena *a, struct val *v);
/* V, or each text in the list V, taken as HTML. */
struct val *markup_of(struct arena *a, struct val *v);
/* What is put into HTML: a text, or the members of V from FROM on, escaped. */
struct val *markup_parts(struct arena *a, struct val *v, size_t from);
/* py_binary where X or Y is HTML. */
bool markup_binary(struct arena *a, enum tok op, struct val *x, struct val *y, struct val **ret,
                   struct err *err);

/* methods: the row of a method of V's type, or NULL; args[0] of its call is V. */
const struct jinja_func *py_method(const struct val *v, struct str name);
/* Whether any type has a method of that name. */
bool py_any_method(struct str name);
extern const struct jinja_func py_str_methods[], py_list_methods[], py_tuple_methods[], py_dict_methods[],
        py_num_methods[];
/* A callable value of ROW; BOUND (may be NULL) becomes its first argument. */
struct val *jinja_function(struct arena *a, const struct jinja_func *row, struct val *bound);
/* Calls a row: undefined arguments checked, taint carried over. */
bool jinja_call_row(struct jinja_ctx *ctx, struct arena *a, const struct jinja_func *row, struct val *args,
                    struct val *kwargs, struct val **ret, struct err *err);

/* ---- for filters, tests and methods */

/*
 * Binds the arguments of a call to names: SIG lists them ("value width=80 first=", "=" marks an optional one;
 * only shown to the reader), OUT gets one value each, NULL when not given. A last name "*" takes the
 * positional rest as a list. Errors read like Python's, with NAME as the function's.
 */
bool jinja_args(struct jinja_call *c, const char *name, const char *sig, struct val **out, struct err *err);
/* Conversions of arguments; DFLT when V is NULL. Errors name what was expected. */
bool arg_str(struct jinja_call *c, const struct val *v, struct str dflt, struct str *ret, struct err *err);
bool arg_int(const struct val *v, int64_t dflt, int64_t *ret, struct err *err);
bool arg_bool(const struct val *v, bool dflt);
/* str(v): an error for undefined values where those are strict. */
bool arg_text(struct jinja_call *c, const struct val *v, struct str *ret, struct err *err);
/* B, which is freed, as the result. */
bool ret_text(struct jinja_call *c, struct buf *b, struct val **ret, struct err *err);
struct val *arg_iter(struct jinja_call *c, struct val *v, struct err *err);
bool ctx_strict(const struct jinja_ctx *ctx);
/* X.name or X[name] as templates do it. NULL on error. */
struct val *ctx_getattr(struct jinja_ctx *ctx, struct arena *a, struct val *obj, struct val *key,
                        struct err *err);

/*
 * Sorts LIST in place, stable, by KEYS (a list of the same length, or NULL: the members themselves). False
 * when two keys have no order.
 */
bool val_sort(struct arena *a, struct val *list, struct val *keys, bool reverse, struct err *err);

/* filters_str.c: S with & < > ' " as HTML has them. */
void html_escape(struct str s, struct buf *b);
/* regex.c: every match of PATTERN in TEXT into LIST, as text. */
bool regex_all(struct jinja_call *c, const char *pattern, struct str text, struct val *list, struct err *err);

/* text.c: strings as code points */
size_t utf8_len(struct str s);
/* The bytes of the code points [FROM, TO). */
struct str utf8_sub(struct str s, size_t from, size_t to);
uint32_t cp_upper(uint32_t cp);
uint32_t cp_lower(uint32_t cp);
bool cp_alpha(uint32_t cp);
bool cp_digit(uint32_t cp);
bool cp_space(uint32_t cp);
bool cp_upper_p(uint32_t cp);
bool cp_lower_p(uint32_t cp);
enum text_case { CASE_UPPER, CASE_LOWER, CASE_SWAP, CASE_CAPITAL, CASE_TITLE };
void text_case(struct str s, enum text_case how, struct buf *out);
struct str text_strip(struct str s, const struct str *chars, bool left, bool right);
/* A NUL-terminated value from B, which is freed. */
struct val *buf_val(struct buf *b, struct arena *a);
/* The bytes of S up to the first end of a line as Python's splitlines() sees it; *RET_END: those of that end,
 * 0 when there is none. */
size_t text_line(struct str s, size_t *ret_end);

/* format.c: Python's format mini-language, str.format and %. */
bool py_format_spec(const struct val *v, struct str spec, struct buf *out, struct err *err);
bool py_str_format(struct jinja_call *c, struct str fmt, struct val *args, struct val *kwargs,
                   struct buf *out, struct err *err);
bool py_percent(struct arena *a, struct str fmt, const struct val *args, struct buf *out, struct err *err);
#endif
