/*
 * val - a value of the Ansible language: what YAML says, what Jinja2 computes, what a module returns.
 *
 * Values live in arenas and are passed as pointers. A value carries where it was written (origin), whether it
 * is secret (taint) and whether it must not be templated again (unsafe: it came from a host or a lookup).
 * Lists and maps are mutable in place and shared by reference, as in Python; everything else is immutable.
 * Only base/val*.c knows the fields.
 */
#ifndef BASE_VAL_H
#define BASE_VAL_H
#include "base/arena.h"
#include "base/err.h"
#include "base/source.h"
#include "base/str.h"

enum val_kind {
	VAL_UNDEF, /* Jinja2's Undefined; carries its name or message */
	VAL_NULL,
	VAL_BOOL,
	VAL_INT, /* int64 */
	VAL_FLOAT,
	VAL_STR, /* bytes, normally UTF-8, any length, NUL allowed */
	VAL_LIST,
	VAL_TUPLE, /* a list that prints with parentheses and is not appended to */
	VAL_MAP,   /* keeps insertion order; keys are any hashable value, mostly strings */
	VAL_OBJ,   /* something with behaviour: loop, namespace, macro, hostvars */
	VAL_BIG,   /* a whole number that does not fit VAL_INT (val_big.h) */
};

struct val;

/*
 * Behaviour of a VAL_OBJ. Any member may be NULL: the operation is then an error of the template.
 * CTX is the jinja_ctx of the running template (opaque here).
 */
struct val_class {
	const char *name; /* as type_debug prints it */
	/* Attribute or item KEY. *ret = NULL when there is none. */
	bool (*get)(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
	            struct err *err);
	bool (*set)(void *self, const struct val *key, struct val *v, struct err *err);
	bool (*call)(void *self, void *ctx, struct val *args, struct val *kwargs, struct arena *a,
	             struct val **ret, struct err *err);
	/* All keys as a VAL_LIST: iteration, length, "in". */
	struct val *(*keys)(void *self, struct arena *a);
	void (*repr)(void *self, struct buf *out);
	/* What remains of it when it is stored beyond the template (registered, dumped). NULL: its repr. */
	struct val *(*plain)(void *self, struct arena *a);
};

/* Making. Strings are copied into A; val_str_ref() keeps the caller's bytes, which must live as long as A. */
struct val *val_null(void);
struct val *val_bool(bool b);
struct val *val_int(struct arena *a, int64_t i);
struct val *val_float(struct arena *a, double d);
struct val *val_str(struct arena *a, struct str s);
struct val *val_strz(struct arena *a, const char *z);
struct val *val_str_ref(struct arena *a, struct str s);
struct val *val_strf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct val *val_list(struct arena *a);
struct val *val_tuple(struct arena *a);
struct val *val_map(struct arena *a);
struct val *val_obj(struct arena *a, const struct val_class *cls, void *self);
/* NAME: what was looked for, e.g. "foo" or "dict object has no attribute 'x'"; MSG: the whole message or
 * NULL. */
struct val *val_undef(struct arena *a, struct str name, const char *msg);

/* Looking. Each accessor aborts on another kind: ask val_kind() first. */
enum val_kind val_kind(const struct val *v);
bool val_is_undef(const struct val *v);
bool val_is_null(const struct val *v);
bool val_is_str(const struct val *v);
bool val_is_list(const struct val *v); /* a list or a tuple */
bool val_is_map(const struct val *v);
bool val_is_num(const struct val *v); /* int, big or float; not bool */
bool val_get_bool(const struct val *v);
int64_t val_get_int(const struct val *v);    /* int and bool; of a big one the nearest that fits */
double val_get_float(const struct val *v);   /* int, bool, big and float */
struct str val_get_str(const struct val *v); /* NUL-terminated after its n bytes */
const char *val_get_strz(const struct val *v);
struct str val_undef_name(const struct val *v);
const char *val_undef_msg(const struct val *v); /* never NULL */
const struct val_class *val_obj_class(const struct val *v);
void *val_obj_self(const struct val *v);

/* Lists and tuples. The list grows in the arena it was made in. */
size_t val_len(const struct val *v);                  /* members of a list, tuple or map; bytes of a string */
struct val *val_at(const struct val *list, size_t i); /* NULL past the end */
void val_push(struct val *list, struct val *v);
void val_set_at(struct val *list, size_t i, struct val *v);
void val_insert(struct val *list, size_t i, struct val *v);
void val_remove_at(struct val *list, size_t i);

/* Maps. Numbers that are equal are one key (1, 1.0, true), as in Python. */
struct val *val_get(const struct val *map, const char *key); /* NULL when absent */
struct val *val_gets(const struct val *map, struct str key);
struct val *val_getk(const struct val *map, const struct val *key);
void val_set(struct val *map, const char *key, struct val *v); /* replaces in place, keeps the position */
void val_sets(struct val *map, struct str key, struct val *v);
void val_setk(struct val *map, struct val *key, struct val *v);
bool val_del(struct val *map, struct str key);
bool val_delk(struct val *map, const struct val *key);
/* The I-th member in insertion order. */
struct val *val_key_at(const struct val *map, size_t i);
struct val *val_value_at(const struct val *map, size_t i);
/* Whether V may be a map key: no list, map or undefined in it. */
bool val_hashable(const struct val *v);

/* VAL_EACH(i, list): i counts; take val_at(list, i). MAP_EACH(i, map): val_key_at / val_value_at. */
#define VAL_EACH(i, v) for (size_t i = 0, i##_n = val_len(v); i < i##_n; i++)
#define MAP_EACH(i, v) VAL_EACH (i, v)

/* Convenience for maps of known shape (module args, API answers): DFLT when absent, null or of another kind,
 * and when MAP is no map. */
struct str val_map_str(const struct val *map, const char *key, const char *dflt);
const char *val_map_strz(const struct val *map, const char *key, const char *dflt);
int64_t val_map_int(const struct val *map, const char *key, int64_t dflt); /* also from a decimal string */
bool val_map_bool(const struct val *map, const char *key, bool dflt);

/* Python's rules. */
bool val_truthy(const struct val *v);
bool val_equal(const struct val *a, const struct val *b);
/* <0, 0, >0 in *ret; false (and err) for kinds Python does not order. */
bool val_compare(const struct val *a, const struct val *b, int *ret, struct err *err);
/* "in": list membership, map key, substring. */
bool val_contains(const struct val *container, const struct val *v, bool *ret, struct err *err);
/* "str", "int", "dict", ... as Python names the type ("AnsibleUnicode" is not imitated). */
const char *val_type_name(const struct val *v);
/* Python's str() and repr(): the text a template prints. Undefined prints as "". */
void val_print(const struct val *v, struct buf *out);
void val_repr(const struct val *v, struct buf *out);
/* Whether repr() shows the character CP as it is. */
bool val_printable(uint32_t cp);
struct str val_text(const struct val *v, struct arena *a);
/* Python's float repr: the shortest that reads back. */
void val_float_repr(double d, struct buf *out);
/* Ansible's "bool" conversion: yes/on/true/1 (any case), numbers equal to 1, everything else false. */
bool val_to_bool(const struct val *v);

/* History. val_at_origin() changes the value itself: only use it on a value just made, or on a copy. */
struct origin val_origin(const struct val *v);
struct val *val_at_origin(struct arena *a, struct val *v,
                          struct origin o); /* null and bool are copied into A */
bool val_secret(const struct val *v);       /* this value itself */
bool val_secret_deep(const struct val *v);  /* or any member */
bool val_unsafe(const struct val *v);
bool val_is_text(
        const struct val *v); /* text that is never read as data again: what to_json and its like give */
/* Text that is HTML already: escaping leaves it alone. It is the template's own notion: copies are not. */
bool val_is_markup(const struct val *v);
struct val *val_mark_markup(struct arena *a, struct val *v);
/* Whether MATCH says yes to V or to a member, however deep; the first such in *RET (may be NULL). Also true,
 * with *RET NULL, when there are too many to look at: ask for what has to be refused. */
bool val_find(const struct val *v, bool (*match)(const struct val *v), const struct val **ret);
/* A value that equals V and is marked; V itself when it already is, or (but for secrets) when it is a number
 * or the like, which can hold no template. Deep for lists and maps (which are copied). */
struct val *val_mark_secret(struct arena *a, struct val *v);
struct val *val_mark_unsafe(struct arena *a, struct val *v);
/* V itself marked, however deep: for a value nobody else has yet. */
void val_make_unsafe(struct val *v);
struct val *val_mark_text(struct arena *a, struct val *v);

/* A deep copy that lives in A, whatever V lives in: the one way a value outlives its arena. Objects become
 * plain. */
struct val *val_copy(struct arena *a, const struct val *v);
/* The same, marked as unsafe. */
struct val *val_copy_unsafe(struct arena *a, const struct val *v);
/* The list or map itself copied, members shared. */
struct val *val_shallow(struct arena *a, const struct val *v);
/* Members of OVER on top of BASE, in a new map; RECURSIVE merges maps within maps. */
struct val *val_merge(struct arena *a, const struct val *base, const struct val *over, bool recursive);
#endif
