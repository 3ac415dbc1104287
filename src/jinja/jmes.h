/*
 * jmes - JMESPath, the query language of json_query: parsed to a tree, evaluated over values.
 */
#ifndef JINJA_JMES_H
#define JINJA_JMES_H
#include "base/err.h"
#include "base/val.h"

enum jmes_kind {
	JM_CURRENT,
	JM_FIELD,   /* name */
	JM_LITERAL, /* value */
	JM_INDEX,   /* of what CURRENT is: index */
	JM_SLICE,   /* from, to, step */
	JM_CHAIN,   /* left, then right on it: a.b, a[0], a | b */
	JM_PROJECT, /* left's items, right on each, nulls left out */
	JM_VALUES,  /* the same over a map's values */
	JM_FILTER,  /* the same over the items that COND holds for */
	JM_FLATTEN, /* left, its lists dissolved */
	JM_LIST,    /* [a, b]: args */
	JM_HASH,    /* {name: a}: args, and their names */
	JM_OR,
	JM_AND,
	JM_NOT,
	JM_COMPARE, /* left and right by op */
	JM_CALL,    /* name(args) */
	JM_EXPREF,  /* &left */
};

enum jmes_op { JM_EQ, JM_NE, JM_LT, JM_LE, JM_GT, JM_GE };

struct jmes {
	enum jmes_kind kind;
	enum jmes_op op;
	struct jmes *left, *right, *cond;
	struct jmes **args;
	struct val *names; /* of JM_HASH */
	size_t n;
	struct str name;
	struct val *value;
	int64_t from, to, step;
	bool has_from, has_to;
};

/* A function's argument: a value, or an expression (&x). */
struct jmes_arg {
	struct val *v;
	const struct jmes *expr;
};

bool jmes_parse(struct arena *a, struct str text, struct jmes **ret, struct err *err);
bool jmes_eval(const struct jmes *x, struct arena *a, struct val *v, struct val **ret, struct err *err);
/* JMESPath's own truth: false, null, and what is empty are false; 0 is not. */
bool jmes_true(const struct val *v);
bool jmes_call(struct str name, const struct jmes_arg *args, size_t n, struct arena *a, struct val **ret,
               struct err *err);
#endif
