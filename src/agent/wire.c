#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "agent/wire.h"
#include "base/json.h"
#include "modules/digest.h"

enum { FULL = 1 << 18 }; /* bytes waiting beyond which droppable frames are dropped */

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void wire_open(struct wire *w, int in, int out, int signals)
{
	*w = (struct wire){.in = in, .out = out, .signals = signals};
	w->last = &w->first;
	buf_init(&w->raw, (size_t)PROTO_FRAME_MAX + (1 << 20));
	buf_init(&w->pending, (size_t)4 * PROTO_FRAME_MAX);
	set_nonblocking(in);
	set_nonblocking(out);
}

void wire_close(struct wire *w)
{
	struct wire_frame *f;
	while ((f = wire_take(w, 0, 0)))
		wire_frame_free(f);
	buf_burn(&w->raw);
	buf_burn(&w->pending);
	err_clear(&w->err);
}

static void queue_frames(struct wire *w)
{
	struct proto_frame f;
	int rc;
	while ((rc = proto_decode(&w->raw, &f, &w->err)) > 0) {
		struct wire_frame *node = xmalloc(sizeof(*node) + f.payload.n + 1);
		char *copy = (char *)(node + 1);
		if (f.payload.n)
			memcpy(copy, f.payload.p, f.payload.n);
		copy[f.payload.n] = '\0';
		*node = (struct wire_frame){NULL, f.type, f.id, {copy, f.payload.n}};
		*w->last = node;
		w->last = &node->next;
		if (f.type == PROTO_CANCEL)
			w->cancelled = true;
		buf_consume(&w->raw, proto_frame_size(&f));
	}
	if (rc < 0)
		w->eof = true;
}

static void read_some(struct wire *w)
{
	while (!w->eof) {
		enum { CHUNK = 1 << 16 };
		char *p = buf_room(&w->raw, CHUNK);
		if (!p) {
			err_set(&w->err, ERR_REMOTE, ORIGIN_NONE, "more bytes than a frame can have");
			w->eof = true;
			return;
		}
		ssize_t n = read(w->in, p, CHUNK);
		if (n > 0) {
			w->raw.n += (size_t)n;
			queue_frames(w);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			w->eof = true;
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

static void write_some(struct wire *w)
{
	while (w->pending.n && !w->dead) {
		ssize_t n = write(w->out, w->pending.p, w->pending.n);
		if (n >= 0)
			buf_consume(&w->pending, (size_t)n);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			w->dead = true;
	}
}

enum { POLLS = 3 };

static void want(const struct wire *w, struct pollfd p[POLLS])
{
	p[0] = (struct pollfd){.fd = w->eof ? -1 : w->in, .events = POLLIN};
	p[1] = (struct pollfd){.fd = w->pending.n && !w->dead ? w->out : -1, .events = POLLOUT};
	p[2] = (struct pollfd){.fd = w->told_to_stop ? -1 : w->signals, .events = POLLIN};
}

static void act(struct wire *w, const struct pollfd p[POLLS])
{
	if (p[2].revents) {
		struct signalfd_siginfo info;
		w->told_to_stop = read(w->signals, &info, sizeof(info)) > 0 || w->told_to_stop;
	}
	if (p[1].revents)
		write_some(w);
	if (p[0].revents)
		read_some(w);
}

/* One poll over both directions and the signals. */
static void turn(struct wire *w, bool block)
{
	struct pollfd p[POLLS];
	want(w, p);
	if (poll(p, POLLS, block ? -1 : 0) > 0)
		act(w, p);
}

void wire_wait_any(struct wire *a, struct wire *b, int ms)
{
	struct pollfd p[2 * POLLS];
	want(a, p);
	want(b, p + POLLS);
	if (poll(p, 2 * POLLS, ms) > 0) {
		act(a, p);
		act(b, p + POLLS);
	}
}

void wire_fill(struct wire *w, bool block)
{
	if (!w->eof && !w->told_to_stop)
		turn(w, block);
}

struct wire_frame *wire_take(struct wire *w, enum proto_type type, uint32_t id)
{
	for (struct wire_frame **at = &w->first; *at; at = &(*at)->next) {
		struct wire_frame *f = *at;
		if ((type && f->type != type) || (id && f->id != id))
			continue;
		*at = f->next;
		if (w->last == &f->next)
			w->last = at;
		return f;
	}
	return NULL;
}

struct wire_frame *wire_wait(struct wire *w, enum proto_type type, uint32_t id)
{
	struct wire_frame *f;
	while (!(f = wire_take(w, type, id))) {
		if (w->eof || w->told_to_stop || w->dead)
			return NULL;
		wire_fill(w, true);
	}
	return f;
}

void wire_frame_free(struct wire_frame *f)
{
	free(f);
}

void wire_send(struct wire *w, enum proto_type type, uint32_t id, struct str payload, bool droppable)
{
	if (w->dead || (droppable && w->pending.n > FULL))
		return;
	proto_encode(&w->pending, type, id, payload);
	write_some(w);
}

void wire_result_json(const struct val *result, struct buf *out)
{
	size_t before = out->n;
	json_dump(result, JSON_STYLE_BYTES, out);
	if (!out->full && out->n - before <= PROTO_PAYLOAD_MAX)
		return;
	struct arena *a = arena_new(NULL);
	struct val *r = val_map(a);
	val_set(r, "changed", val_bool(val_map_bool(result, "changed", false)));
	val_set(r, "failed", val_bool(true));
	val_set(r, "msg",
	        val_strf(a, "the task's result is larger than %u MiB: send its output to a file",
	                 PROTO_FRAME_MAX >> 20));
	out->n = before;
	out->full = false;
	json_dump(r, JSON_STYLE_BYTES, out);
	arena_free(a);
}

void wire_send_val(struct wire *w, enum proto_type type, uint32_t id, const struct val *v, bool droppable)
{
	struct buf b = {0};
	json_dump(v, JSON_STYLE_BYTES, &b);
	wire_send(w, type, id, buf_str(&b), droppable);
	buf_burn(&b);
}

bool wire_flush(struct wire *w)
{
	write_some(w);
	while (w->pending.n && !w->dead && !w->told_to_stop) {
		struct pollfd p[2] = {{.fd = w->out, .events = POLLOUT},
		                      {.fd = w->signals, .events = POLLIN}};
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return false;
		turn(w, false);
	}
	return !w->pending.n;
}

void wire_send_blob(struct wire *w, uint32_t id, const unsigned char sha[32], struct str data)
{
	struct buf b = {0};
	for (;;) {
		size_t n = data.n < PROTO_BLOB_CHUNK ? data.n : PROTO_BLOB_CHUNK;
		buf_clear(&b);
		buf_add(&b, sha, 32);
		buf_add(&b, data.p, n);
		wire_send(w, PROTO_BLOB, id, buf_str(&b), false);
		if (!n || !wire_flush(w))
			break;
		data = str_from(data, n);
	}
	buf_burn(&b);
}

bool wire_need(struct wire *w, uint32_t id, struct str sha256, struct buf *out, struct err *err)
{
	struct arena *a = arena_new(NULL);
	struct val *ask = val_map(a);
	val_set(ask, "sha256", val_str(a, sha256));
	wire_send_val(w, PROTO_NEED, id, ask, false);
	bool whole = false;
	struct wire_frame *f;
	while (!whole && wire_flush(w) && (f = wire_wait(w, PROTO_BLOB, id))) {
		whole = f->payload.n <= 32;
		if (!whole)
			buf_add(out, f->payload.p + 32, f->payload.n - 32);
		wire_frame_free(f);
	}
	bool ok = whole && !out->full;
	if (!whole)
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "the link was lost before the file's content came");
	else if (out->full)
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "the file's content is too large");
	else if (!str_eqc(sha256, digest_str(a, "sha256", buf_str(out))))
		ok = err_set(err, ERR_REMOTE, ORIGIN_NONE, "the file's content came damaged or not at all");
	arena_free(a);
	return ok;
}
