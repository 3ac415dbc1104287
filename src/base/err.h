/*
 * err - what went wrong, where, and what to do. Made at the bottom, wrapped on the way up, rendered once by
 * report.c. A function that can fail returns bool and takes "struct err *err" last; on true it left *err
 * alone.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H
#include "base/source.h"

enum err_class {
	ERR_NONE,
	ERR_USER,        /* refused: bad input or an unsafe request; nothing was changed */
	ERR_REMOTE,      /* a host, Proxmox VE, Doppler or a task failed */
	ERR_UNREACHABLE, /* no connection */
	ERR_CANCELLED,   /* asked to stop */
	ERR_BUG,         /* our own mistake */
};

struct err_frame {
	char *msg;
	struct origin at;
};

/* Zero-initialise: "struct err err = {0};". Owns heap memory: err_clear() when done. */
struct err {
	enum err_class cls;
	size_t n;
	struct err_frame *frames; /* [0] is the cause, later ones the context around it */
	char *hint;               /* what to do about it, or NULL */
};

/* Sets the cause and returns false, so that "return err_set(...)" reads well. An *err that is already set
 * keeps its cause; ERR may be NULL. */
bool err_set(struct err *err, enum err_class cls, struct origin at, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
/* The cause from errno: "MSG: strerror". */
bool err_sys(struct err *err, enum err_class cls, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds context ("task 'x'") and returns false. */
bool err_wrap(struct err *err, struct origin at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Sets what to do; the first hint stays. Returns false. */
bool err_hint(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline bool err_is(const struct err *err)
{
	return err->cls != ERR_NONE;
}
/* The cause's text ("" when none), and the first known origin from the cause up. */
const char *err_msg(const struct err *err);
struct origin err_origin(const struct err *err);
/* Everything in one line: "context: context: cause". */
void err_text(const struct err *err, struct buf *out);
void err_clear(struct err *err);
/* *TO must be empty; FROM is empty afterwards. */
void err_move(struct err *to, struct err *from);

/* Several errors at once: input checks name everything that is wrong. Zero-initialise; errs_clear() when
 * done. */
struct errs {
	size_t n;
	struct err *v;
};

/* A fresh, empty error at the end of ES, valid until the next call. */
struct err *errs_add(struct errs *es);
/* Drops the last error if it was left empty; true when no error remains. Call after each use of errs_add().
 */
bool errs_ok(struct errs *es);
void errs_clear(struct errs *es);
#endif
