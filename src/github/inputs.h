/*
 * inputs - what the user asks for: one table of every input, read from INPUT_* (GitHub), --input name=value,
 * or an env file.
 */
#ifndef GITHUB_INPUTS_H
#define GITHUB_INPUTS_H
#include "base/arena.h"
#include "base/err.h"

enum input_type {
	INPUT_TEXT,
	INPUT_NAME,
	INPUT_BOOL, /* true or false, any case */
	INPUT_INT,  /* within lo..hi */
	INPUT_CHOICE,
	INPUT_SIZE,   /* 40, 40G, 1T */
	INPUT_IP,     /* an IPv4 address */
	INPUT_SUBNET, /* an IPv4 network, ADDRESS/BITS */
	INPUT_LIST,   /* names separated by commas or white space */
	INPUT_JSON,
};

enum input_flags {
	INPUT_SECRET = 1 << 0,  /* masked, never shown */
	INPUT_ADDED = 1 << 1,   /* not an input of the chain this replaces */
	INPUT_NO_FLOW = 1 << 2, /* of the action only: the reusable workflow does not offer it */
	INPUT_MODEL = 1 << 3,   /* describes the machines: the model checks it, together with the others */
};

struct input {
	const char *name;
	enum input_type type;
	unsigned flags;
	const char *dflt;
	const char *doc;
	const char *prefer; /* taken when the value is empty and Proxmox VE has it; NULL: nothing is */
	int64_t lo, hi;
};

/* The table. */
const struct input *input_rows(size_t *ret_n);
/* NULL when there is none. Hyphens and case do not matter. */
const struct input *input_find(struct str name);
/* The row whose name is nearest to what was written, or NULL when none is near. */
const struct input *input_nearest(struct str name);
const char *input_type_name(enum input_type type);

struct val;
struct inputs;

/* All at their defaults. Lives in A; given values become sources of SS ("input NAME"), so that errors show
 * them. */
struct inputs *inputs_new(struct arena *a, struct sources *ss);
/* Takes one value. White space around it is dropped; an empty one leaves the default. The last one given
 * wins. */
bool inputs_set(struct inputs *in, struct str name, struct str value, struct err *err);
/* "name=value", as --input has it. */
bool inputs_set_pair(struct inputs *in, const char *pair, struct err *err);
/* Every INPUT_* of ENV (a map of strings). One that is not in the table is an error in ES. */
void inputs_set_env(struct inputs *in, const struct val *env, struct errs *es);
/* Checks every value that the model does not: all that is wrong goes to ES. */
void inputs_check(const struct inputs *in, struct errs *es);

/* The value of input NAME, which must be in the table; after inputs_check() found nothing wrong. */
const char *inputs_get(const struct inputs *in, const char *name);
bool inputs_bool(const struct inputs *in, const char *name);
int64_t inputs_int(const struct inputs *in, const char *name); /* INPUT_INT */
/* INPUT_LIST: its members in A, NULL-terminated; *RET_N may be NULL. */
const char *const *inputs_list(const struct inputs *in, const char *name, struct arena *a, size_t *ret_n);
/* Whether somebody gave it, and what is preferred when nobody did ("" when nothing is). */
bool inputs_given(const struct inputs *in, const char *name);
const char *inputs_prefer(const struct inputs *in, const char *name);
/* Where the value begins: for errors within it. */
struct origin inputs_origin(const struct inputs *in, const char *name);
#endif
