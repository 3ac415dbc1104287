#include "base/err.h"

#include "base/arena.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static char *format(const char *fmt, va_list ap)
{
	char *s = NULL;

	return xneed(vasprintf(&s, fmt, ap) < 0 ? NULL : s);
}

static void push(struct err *err, struct origin at, char *msg)
{
	err->frames = xrealloc(err->frames, (err->n + 1) * sizeof(*err->frames));
	err->frames[err->n++] = (struct err_frame){msg, at};
}

bool err_set(struct err *err, enum err_class cls, struct origin at, const char *fmt, ...)
{
	va_list ap;

	if (!err || err_is(err))
		return false;
	va_start(ap, fmt);
	err->cls = cls;
	push(err, at, format(fmt, ap));
	va_end(ap);
	return false;
}

bool err_sys(struct err *err, enum err_class cls, const char *fmt, ...)
{
	const char *why = strerror(errno);
	va_list ap;

	if (!err || err_is(err))
		return false;
	va_start(ap, fmt);
	char *what = format(fmt, ap);

	va_end(ap);
	err_set(err, cls, ORIGIN_NONE, "%s: %s", what, why);
	free(what);
	return false;
}

bool err_wrap(struct err *err, struct origin at, const char *fmt, ...)
{
	va_list ap;

	if (!err || !err_is(err))
		return false;
	va_start(ap, fmt);
	push(err, at, format(fmt, ap));
	va_end(ap);
	return false;
}

bool err_hint(struct err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err || err->hint)
		return false;
	va_start(ap, fmt);
	err->hint = format(fmt, ap);
	va_end(ap);
	return false;
}

const char *err_msg(const struct err *err)
{
	return err->n ? err->frames[0].msg : "";
}

struct origin err_origin(const struct err *err)
{
	for (size_t i = 0; i < err->n; i++) {
		if (err->frames[i].at.src)
			return err->frames[i].at;
	}
	return ORIGIN_NONE;
}

void err_text(const struct err *err, struct buf *out)
{
	for (size_t i = err->n; i-- > 0;) {
		buf_adds(out, err->frames[i].msg);
		if (i)
			buf_adds(out, ": ");
	}
}

void err_clear(struct err *err)
{
	if (!err)
		return;
	for (size_t i = 0; i < err->n; i++)
		free(err->frames[i].msg);
	free(err->frames);
	free(err->hint);
	*err = (struct err){0};
}

void err_move(struct err *to, struct err *from)
{
	*to = *from;
	*from = (struct err){0};
}

struct err *errs_add(struct errs *es)
{
	es->v = xrealloc(es->v, (es->n + 1) * sizeof(*es->v));
	es->v[es->n] = (struct err){0};
	return &es->v[es->n++];
}

bool errs_ok(struct errs *es)
{
	if (es->n && !err_is(&es->v[es->n - 1])) {
		es->n--;
		err_clear(&es->v[es->n]);
	}
	return es->n == 0;
}

void errs_clear(struct errs *es)
{
	for (size_t i = 0; i < es->n; i++)
		err_clear(&es->v[i]);
	free(es->v);
	*es = (struct errs){0};
}
