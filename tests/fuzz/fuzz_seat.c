/* What a hostile host may say instead of an agent: the boot command's lines, then frames. */
#include "agent/proto.h"
#include "net/loop.h"
#include "ssh/deploy.h"
#include "ssh/seat.h"
#include "ssh/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct host {
	struct wire wire; /* first: what the seat sees of it */
	struct program program;
	bool closed;
};

static void on_flush(struct wire *w)
{
	buf_clear(&w->out);
}

static void on_close(struct wire *w)
{
	((struct host *)w)->closed = true;
	w->ready = NULL;
}

static const struct wire_ops ops = {on_flush, on_close};

static void on_up(void *ctx, struct seat *s)
{
	(void)ctx, (void)s;
}

static void on_ended(void *ctx, struct seat *s, enum seat_state stage, struct err *err)
{
	(void)ctx, (void)stage;
	seat_fail(s, err);
}

static void on_arch(void *ctx, struct seat *s, const char *arch)
{
	(void)ctx, (void)s, (void)arch;
}

static void on_event(void *ctx, const char *text)
{
	(void)ctx, (void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct loop *l = loop_new(NULL);
	struct host h = {.wire = {.ops = &ops, .exit_status = -1}, .program = {.text = STR("program")}};
	struct seat_owner owner = {on_up, on_ended, on_arch, on_event, &h};
	struct link_req req = {.a = a, .task = val_map(a)};
	struct seat s = {.host = "h"};
	/* The first byte says at which stage it begins to talk, and in which pieces. */
	size_t piece = n ? (data[0] >> 1) + 1u : 1;

	seat_init(&s, l, &owner);
	seat_add(&s, &req);
	seat_start(&s, &h.wire, n && (data[0] & 1) ? &h.program : NULL);
	for (size_t at = 1; at < n && !h.closed; at += piece) {
		buf_add(&h.wire.in, data + at, n - at < piece ? n - at : piece);
		h.wire.ready(h.wire.ctx);
	}
	if (!h.closed) {
		h.wire.eof = true;
		h.wire.ready(h.wire.ctx);
	}
	seat_free(&s);
	buf_free(&h.wire.in);
	buf_free(&h.wire.out);
	err_clear(&h.wire.err);
	err_clear(&req.err);
	loop_free(l);
	arena_free(a);
	return 0;
}
