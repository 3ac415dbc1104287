/*
 * stream - bytes both ways without blocking: an SSH channel, a socket pair, a pipe pair.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H
#include "base/err.h"
#include <sys/types.h>

struct stream;

struct stream_ops {
	/* > 0 bytes moved, 0 end of stream (read) , -1 would block, -2 failed (err set). */
	ssize_t (*read)(struct stream *s, void *p, size_t n, struct err *err);
	ssize_t (*write)(struct stream *s, const void *p, size_t n, struct err *err);
	void (*close)(struct stream *s);
};

/* Embed as first member. */
struct stream {
	const struct stream_ops *ops;
};
#endif
