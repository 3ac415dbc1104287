/*
 * wire - bytes both ways to one process somewhere, and what it says on standard error. The transport fills IN
 * and ERRS and empties OUT; the user does the opposite, then calls wire_flush().
 */
#ifndef SSH_WIRE_H
#define SSH_WIRE_H
#include "base/err.h"

#define WIRE_OUT_LOW ((size_t)1 << 20) /* below this much unsent, the user may add more */

struct wire {
	struct buf in, out, errs;
	bool eof;        /* nothing more will come */
	int exit_status; /* of the process, once known; -1 before */
	struct err err;  /* why it broke, with eof */
	/* Called when any of the above has news, also room in OUT. May close the wire. */
	void (*ready)(void *ctx);
	void *ctx;
	const struct wire_ops *ops;
};

struct wire_ops {
	void (*flush)(struct wire *w);
	/* Frees W: ready is not called any more. */
	void (*close)(struct wire *w);
};

static inline void wire_flush(struct wire *w)
{
	w->ops->flush(w);
}

static inline void wire_close(struct wire *w)
{
	if (w)
		w->ops->close(w);
}

#endif
