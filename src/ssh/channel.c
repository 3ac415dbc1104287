#include "ssh/private.h"
#include "ssh/wire.h"

#include <stdlib.h>

#define READ_CHUNK ((size_t)64 << 10)
#define IN_MAX ((size_t)80 << 20) /* one whole frame of the agent protocol and some */
#define ERRS_MAX ((size_t)64 << 10)

enum channel_state { CH_OPENING, CH_STARTING, CH_RUNNING, CH_ENDED };

struct channel {
	struct wire wire;
	struct channels *all;
	LIBSSH2_CHANNEL *ch;
	enum channel_state state;
	char *command, *host;
	int port;
	bool closing; /* by its user: only libssh2's part is still to be freed */
	bool news;
	bool sent_eof;
	struct channel *next;
};

bool channels_any(const struct channels *cs)
{
	return cs->list != NULL;
}

static void channel_free(struct channel *c)
{
	struct channel **p = &c->all->list;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	if (c->all->owner == c)
		c->all->owner = NULL;
	if (c->all->opening == c)
		c->all->opening = NULL;
	buf_burn(&c->wire.in);
	buf_burn(&c->wire.out);
	buf_free(&c->wire.errs);
	err_clear(&c->wire.err);
	free(c->command);
	free(c->host);
	free(c);
}

static void wire_of_channel_flush(struct wire *w)
{
	struct channel *c = (struct channel *)w;

	c->all->kick(c->all->ctx);
}

static void wire_of_channel_close(struct wire *w)
{
	struct channel *c = (struct channel *)w;

	c->closing = true;
	c->wire.ready = NULL;
	/* A connection that is gone leaves nothing to say goodbye to. */
	if (c->state == CH_ENDED && !c->ch)
		channel_free(c);
	else
		c->all->kick(c->all->ctx);
}

static const struct wire_ops channel_ops = {wire_of_channel_flush, wire_of_channel_close};

struct wire *channel_open(struct channels *cs, const char *command, const char *host, int port)
{
	struct channel *c = xmalloc(sizeof(*c)), **end = &cs->list;

	*c = (struct channel){.all = cs, .port = port, .wire = {.ops = &channel_ops, .exit_status = -1}};
	c->command = command ? xstrdup(command) : NULL;
	c->host = host ? xstrdup(host) : NULL;
	buf_init(&c->wire.in, IN_MAX);
	buf_init(&c->wire.out, IN_MAX);
	buf_init(&c->wire.errs, ERRS_MAX);
	while (*end)
		end = &(*end)->next;
	*end = c;
	cs->kick(cs->ctx);
	return &c->wire;
}

/* After a call that said EAGAIN: whether its packet is half out. */
static void note_owner(struct channel *c, ssize_t rc)
{
	bool half = rc == LIBSSH2_ERROR_EAGAIN &&
	            (libssh2_session_block_directions(c->all->ssh) & LIBSSH2_SESSION_BLOCK_OUTBOUND);

	c->all->owner = half ? c : NULL;
}

static void end(struct channel *c, const char *what)
{
	c->state = CH_ENDED;
	c->wire.eof = true;
	c->news = true;
	if (what)
		err_set(&c->wire.err, ERR_UNREACHABLE, ORIGIN_NONE, "%s: %s", what, ssh_error(c->all->ssh));
}

static bool step_open(struct channel *c)
{
	struct channels *cs = c->all;

	if (cs->opening && cs->opening != c)
		return false;
	cs->opening = c;
	c->ch = c->host ? libssh2_channel_direct_tcpip_ex(cs->ssh, c->host, c->port, "127.0.0.1", 0)
	                : libssh2_channel_open_session(cs->ssh);
	if (!c->ch && libssh2_session_last_errno(cs->ssh) == LIBSSH2_ERROR_EAGAIN) {
		note_owner(c, LIBSSH2_ERROR_EAGAIN);
		return false;
	}
	cs->opening = NULL;
	cs->owner = NULL;
	if (!c->ch)
		end(c, c->host ? "cannot connect from the jump host" : "cannot open a channel");
	else
		c->state = c->command ? CH_STARTING : CH_RUNNING;
	c->news = true;
	return true;
}

static bool step_start(struct channel *c)
{
	int rc = libssh2_channel_process_startup(c->ch, "exec", 4, c->command, (unsigned)strlen(c->command));

	note_owner(c, rc);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return false;
	if (rc)
		end(c, "cannot run a command");
	else
		c->state = CH_RUNNING;
	return true;
}

/* One direction of one stream; true when bytes moved. */
static bool take(struct channel *c, int stream, struct buf *to)
{
	char waste[4096];
	size_t want = stream == 0 ? READ_CHUNK : sizeof(waste);
	char *room = buf_room(to, want);
	ssize_t n;

	/* Standard error beyond its limit is read and dropped, standard output is left until there is room.
	 */
	if (!room && stream == 0)
		return false;
	n = libssh2_channel_read_ex(c->ch, stream, room ? room : waste, want);
	note_owner(c, n);
	if (n <= 0)
		return false;
	if (room) {
		to->n += (size_t)n;
		to->p[to->n] = 0;
	}
	c->news = true;
	return true;
}

static bool give(struct channel *c)
{
	size_t n = c->wire.out.n < READ_CHUNK / 2 ? c->wire.out.n : READ_CHUNK / 2;
	ssize_t done;

	if (!n)
		return false;
	done = libssh2_channel_write_ex(c->ch, 0, c->wire.out.p, n);
	note_owner(c, done);
	if (done <= 0) {
		if (done < 0 && done != LIBSSH2_ERROR_EAGAIN)
			end(c, "the connection broke");
		return false;
	}
	buf_consume(&c->wire.out, (size_t)done);
	if (c->wire.out.n < WIRE_OUT_LOW)
		c->news = true;
	return true;
}

/* Everything was read. A process's exit status comes after that, with the close. */
static bool step_eof(struct channel *c)
{
	if (c->command) {
		int rc = libssh2_channel_wait_closed(c->ch);

		note_owner(c, rc);
		if (rc == LIBSSH2_ERROR_EAGAIN)
			return false;
		/* More may have come on the way to the close. */
		while (take(c, 0, &c->wire.in) || take(c, SSH_EXTENDED_DATA_STDERR, &c->wire.errs))
			;
		c->wire.exit_status = libssh2_channel_get_exit_status(c->ch);
	}
	end(c, NULL);
	return true;
}

static bool step_run(struct channel *c)
{
	bool moved = false;

	if (!c->all->owner)
		moved |= take(c, 0, &c->wire.in);
	if (!c->all->owner)
		moved |= take(c, SSH_EXTENDED_DATA_STDERR, &c->wire.errs);
	if (!c->all->owner || c->wire.out.n)
		moved |= c->state == CH_RUNNING && give(c);
	if (!moved && c->state == CH_RUNNING && !c->all->owner && libssh2_channel_eof(c->ch))
		return step_eof(c);
	return moved;
}

/* Frees it when libssh2 has done so; true when it is gone. */
static bool step_close(struct channel *c)
{
	int rc;

	if (c->state == CH_OPENING && !c->ch && c->all->opening != c) {
		channel_free(c);
		return true;
	}
	if (!c->ch) {
		if (!step_open(c))
			return false;
		if (!c->ch)
			channel_free(c);
		return true;
	}
	/* libssh2_channel_free() sends the close, but blocks for no answer in this mode. */
	rc = libssh2_channel_free(c->ch);
	note_owner(c, rc);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return false;
	c->ch = NULL;
	channel_free(c);
	return true;
}

static bool step(struct channel *c)
{
	switch (c->state) {
	case CH_OPENING: return step_open(c);
	case CH_STARTING: return step_start(c);
	case CH_RUNNING: return step_run(c);
	case CH_ENDED: return false;
	}
	return false;
}

bool ssh_is_broken(LIBSSH2_SESSION *ssh)
{
	switch (libssh2_session_last_errno(ssh)) {
	case LIBSSH2_ERROR_SOCKET_SEND:
	case LIBSSH2_ERROR_SOCKET_RECV:
	case LIBSSH2_ERROR_SOCKET_DISCONNECT:
	case LIBSSH2_ERROR_SOCKET_NONE:
	case LIBSSH2_ERROR_PROTO:
	case LIBSSH2_ERROR_DECRYPT:
	case LIBSSH2_ERROR_INVALID_MAC:
	case LIBSSH2_ERROR_BAD_SOCKET: return true;
	default: return false;
	}
}

bool channels_pump(struct channels *cs, struct err *err)
{
	bool again = true;

	while (again) {
		struct channel *next;

		again = false;
		for (struct channel *c = cs->list; c; c = next) {
			next = c->next;
			if (cs->owner && cs->owner != c)
				continue;
			again |= c->closing ? step_close(c) : step(c);
			if (ssh_is_broken(cs->ssh))
				return err_set(err, ERR_UNREACHABLE, ORIGIN_NONE, "the connection broke: %s",
				               ssh_error(cs->ssh));
		}
	}
	return true;
}

void channels_tell(struct channels *cs)
{
	struct channel *c = cs->list;

	while (c) {
		if (c->closing || !c->news || !c->wire.ready) {
			c = c->next;
			continue;
		}
		c->news = false;
		c->wire.ready(c->wire.ctx);
		/* Whatever is in the list may have gone. */
		c = cs->list;
	}
}

void channels_break(struct channels *cs, const struct err *err)
{
	struct channel *next;

	for (struct channel *c = cs->list; c; c = next) {
		next = c->next;
		/* libssh2_session_free() frees what it has of them. */
		c->ch = NULL;
		c->state = CH_ENDED;
		c->wire.eof = true;
		c->news = true;
		err_set(&c->wire.err, ERR_UNREACHABLE, ORIGIN_NONE, "%s", err_msg(err));
		if (c->closing)
			channel_free(c);
	}
	cs->owner = cs->opening = NULL;
}
