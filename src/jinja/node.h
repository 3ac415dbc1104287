/*
 * node - the insides src/jinja shares: tokens, the syntax tree, a compiled template.
 *
 * A template is lexed whole (lex.c), parsed to a tree (expr.c, parse.c), its names are bound to slots
 * (scope.c) and the tree is walked at each render (eval.c, exec.c).
 */
#ifndef JINJA_NODE_H
#define JINJA_NODE_H
#include "base/val.h"

#define JINJA_MAX_ELIF 1000
#define JINJA_MAX_NEST 150 /* of expressions and statements in a text, and of calls while rendering */

/* ---- tokens */

enum tok {
	T_EOF,
	T_DATA,
	T_VAR_BEGIN,
	T_VAR_END,
	T_BLOCK_BEGIN,
	T_BLOCK_END,
	T_NAME,
	T_STR,
	T_INT,
	T_FLOAT,
	T_ADD,
	T_SUB,
	T_DIV,
	T_FLOORDIV,
	T_MUL,
	T_MOD,
	T_POW,
	T_TILDE,
	T_LBRACKET,
	T_RBRACKET,
	T_LPAREN,
	T_RPAREN,
	T_LBRACE,
	T_RBRACE,
	T_EQ,
	T_NE,
	T_GT,
	T_GE,
	T_LT,
	T_LE,
	T_ASSIGN,
	T_DOT,
	T_COLON,
	T_PIPE,
	T_COMMA,
	T_SEMICOLON,
	T_BAD, /* what could not be read: s says why */
};

struct token {
	enum tok type;
	uint32_t off;
	struct str s; /* the name, the text of data, a string's value, an operator's characters */
	int64_t i;
	bool big; /* it does not fit I: tok_int() reads it again */
	double f;
};

struct tokens {
	struct token *v;
	size_t n, cap;
};

/* The delimiters and switches of one compilation, defaults filled in. */
struct syntax {
	struct str block_start, block_end, var_start, var_end, comment_start, comment_end;
	struct str line_statement, line_comment; /* empty: off */
	struct str newline;
	bool trim_blocks, lstrip_blocks, keep_trailing_newline, raw_backslash;
};

/* All tokens of TEXT, T_EOF last. EXPR: TEXT is the inside of an expression. Where TEXT cannot be read on
 * there is a T_BAD: what the parser refuses before it is the first error. */
void jinja_lex(struct arena *a, struct str text, const struct syntax *sx, bool expr, struct tokens *ret);
/* The number of a T_INT. */
struct val *tok_int(struct arena *a, const struct token *t, bool neg);
/* What an error message calls the token. */
const char *tok_name(enum tok t);

/* ---- the tree */

enum ntype {
	/* expressions */
	N_CONST,
	N_NAME,
	N_LIST,
	N_TUPLE,
	N_DICT,   /* v: key, value, key, value … */
	N_ATTR,   /* a.s */
	N_ITEM,   /* a[b] */
	N_SLICE,  /* a:b:c, each may be NULL */
	N_CALL,   /* a(args) */
	N_FILTER, /* a|s(args); a NULL: the text of a filter block */
	N_TEST,   /* a is s(args) */
	N_BIN,    /* a op b */
	N_CONCAT, /* v joined */
	N_NOT,
	N_NEG,
	N_POS,
	N_AND,
	N_OR,
	N_CMP,     /* a, then v of N_OPERAND */
	N_OPERAND, /* op a */
	N_COND,    /* b if a else c */
	N_NSREF,   /* namespace a, attribute s: an assignment target */
	/* statements */
	N_DATA,
	N_PRINT,       /* a */
	N_PRINTS,      /* v of N_PRINT: the tag */
	N_IF,          /* if a: v else: w */
	N_FOR,         /* for a in b if c: v else: w */
	N_SET,         /* a = b */
	N_SETBLOCK,    /* a = body v through filter b */
	N_MACRO,       /* s, names, defaults w, body v */
	N_CALLBLOCK,   /* call a with the macro b as caller */
	N_FILTERBLOCK, /* body v through filter a */
	N_WITH,        /* names v = values w, body x */
	N_BLOCK,       /* s, body v */
	N_INCLUDE,     /* a */
	N_IMPORT,      /* a as target b */
	N_FROM,        /* a, names and aliases */
	N_EXTENDS,     /* a */
	N_BREAK,
	N_CONTINUE,
	N_DO,    /* a */
	N_SCOPE, /* autoescape a: body v in a scope of its own */
};

enum {
	NF_NEGATED = 1,    /* is not */
	NF_RECURSIVE = 2,  /* for … recursive */
	NF_CONTEXT = 4,    /* with context */
	NF_IGNORE = 8,     /* ignore missing */
	NF_SCOPED = 16,    /* block … scoped */
	NF_REQUIRED = 32,  /* block … required */
	NF_USES_LOOP = 64, /* the body mentions "loop" */
	NF_CALLER = 128,   /* the macro mentions caller, varargs, kwargs */
	NF_VARARGS = 256,
	NF_KWARGS = 512,
	NF_METHOD = 1024,   /* N_ATTR: some type has a method of that name */
	NF_ESCAPE = 4096,   /* N_PRINT, N_CONCAT: within {% autoescape %} */
	NF_VOLATILE = 8192, /* and whether is known only when it runs */
	NF_TOP = 2048,      /* N_BLOCK: at the top level, perhaps below an "if" */
};

enum cmp_op { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE, CMP_IN, CMP_NOTIN };

/* Where a name may be found: DEPTH frames up, in SLOT. */
struct ref {
	uint16_t depth, slot;
};

struct var_at {
	struct str name;
	struct ref ref;
};

struct node {
	uint8_t type, op;
	uint16_t flags;
	uint32_t off;
	struct node *a, *b, *c;
	struct node **v, **w, **x;
	size_t n, wn, xn;
	struct str *names; /* keyword arguments (values w), macro arguments, imported names */
	struct str *alias;
	size_t nnames;
	struct str s;
	struct val *k; /* N_CONST; N_ATTR, N_NSREF: the attribute's name; N_COND: what it is without else */
	const struct jinja_func *fn; /* NULL: unknown, which is an error when it runs */
	/* bound by scope.c */
	struct ref *refs;
	uint16_t nrefs;
	uint16_t lo, hi;     /* slots this scope clears when it is entered */
	uint16_t unit_slots; /* slots of the frame this node opens (macro, block, recursive for) */
	uint16_t slot_loop, slot_caller, slot_varargs, slot_kwargs;
	uint32_t name_id;       /* of N_NAME in jinja_tmpl.names when it may come from outside */
	bool outer;             /* N_NAME: may come from outside the template */
	bool store_root;        /* N_NAME: assigned at the top level */
	struct var_at *visible; /* local names an include, import or scoped block can see */
	size_t nvisible;
};

struct jinja_tmpl {
	struct jinja_env *env;
	struct str text;
	struct origin at;
	struct node **body;
	size_t nbody;
	struct node *expr; /* of compile_expr */
	bool bare;         /* the text is a variable in its delimiters, blanks at most around it */
	bool ansible, mutates,
	        shares; /* shares: has blocks, includes or imports, so that top-level names are exported */
	bool assigns;   /* has names of its own but those of loops and macros' arguments */
	struct jinja_opts opts; /* for what it includes */
	unsigned trailing_newlines;
	uint16_t nslots;
	struct str *names; /* asked from outside */
	size_t nnames;
	struct var_at *root; /* top-level names, for import */
	size_t nroot;
	struct node **blocks;
	size_t nblocks;
	bool has_extends;
};

/* ---- parser, shared by expr.c and parse.c */

struct parser {
	struct arena *a;
	struct jinja_env *env;
	struct jinja_tmpl *t;
	struct tokens toks;
	size_t pos;
	struct err *err;
	unsigned depth;
	uint16_t escape;                             /* NF_ESCAPE, NF_VOLATILE of what is being read */
	const char *tags[JINJA_MAX_NEST + 2];        /* open statements */
	const char *const *ends[JINJA_MAX_NEST + 2]; /* what each waits for */
	size_t ntags;
	uint32_t line_off; /* where LINE was counted last */
	size_t line;
};

struct nodevec {
	struct node **v;
	size_t n, cap;
};

void nodevec_push(struct arena *a, struct nodevec *nv, struct node *n);
struct node *node_new(struct parser *p, enum ntype t, uint32_t off);
/* Sets the error at OFF and returns NULL. */
void *parse_fail(struct parser *p, uint32_t off, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct token *parse_cur(struct parser *p);
/* The line OFF is in, from 1. */
size_t parse_line(struct parser *p, uint32_t off);
struct token *parse_look(struct parser *p, size_t n);
bool parse_is(struct parser *p, enum tok t);
bool parse_is_name(struct parser *p, const char *name);
bool parse_skip(struct parser *p, enum tok t);
bool parse_skip_name(struct parser *p, const char *name);
struct token *parse_expect(struct parser *p, enum tok t);
bool parse_expect_name(struct parser *p, const char *name);
/* "expected token 'X', got 'Y'" */
void *parse_unexpected(struct parser *p, const char *expected);

struct node *parse_expression(struct parser *p, bool with_cond);
/* EXTRA_END: a name that ends the tuple ("in", "recursive"), or NULL. */
struct node *parse_tuple(struct parser *p, bool simplified, bool with_cond, const char *extra_end,
                         bool parens);
struct node *parse_primary(struct parser *p);
struct node *parse_postfix(struct parser *p, struct node *n);
struct node *parse_filters(struct parser *p, struct node *n, bool start_inline);
/* The statements of a whole template into p->t. */
bool parse_template(struct parser *p);

/* Binds names to slots. */
bool jinja_bind(struct arena *a, struct jinja_tmpl *t, struct err *err);

/* ---- environment */

struct jinja_env {
	struct arena *a;
	bool ansible;
	struct val *index[3]; /* filters, tests, globals: name → row number */
	const struct jinja_func **rows;
	size_t nrows, caprows;
	uintptr_t stack_end; /* rendering that reaches below this address nests too deeply */
};

/* Whether there is room on the stack to evaluate what is nested in what is being evaluated. */
static inline bool jinja_stack_left(const struct jinja_env *e)
{
	return (uintptr_t)__builtin_frame_address(0) > e->stack_end;
}

/* A name of TABLE near NAME, for "did you mean", or NULL. */
const char *jinja_env_near(const struct jinja_env *e, char table, struct str name);

/* An error of the running template, at no place yet: exec.c adds it. Returns false. */
bool jinja_fail(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#endif
