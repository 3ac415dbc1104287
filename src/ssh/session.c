#include "ssh/session.h"
#include "net/loop.h"
#include "ssh/hostkey.h"
#include "ssh/link.h"
#include "ssh/private.h"
#include "ssh/wire.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KEEPALIVE_S 10
#define SILENCE_MS 45000 /* keepalives unanswered for so long: lost */
#define RELAY_MAX ((size_t)256 << 10)

enum phase { PH_DIAL, PH_HANDSHAKE, PH_AUTH, PH_UP, PH_DOWN };

/* Bytes between a channel of the jump host's session and the descriptor our session runs over. */
struct relay {
	struct loop *loop;
	struct wire *wire;
	int fd;
	struct loop_io io;
	bool ended;
};

struct ssh_session {
	struct loop *loop;
	const struct ssh_target *t;
	struct arena *arena;
	const char *host, *user;
	int port;
	enum phase phase;
	struct dial *dial;
	struct relay relay;
	struct ssh_session *jump;
	struct ssh_watch jump_watch;
	int fd;
	LIBSSH2_SESSION *ssh;
	struct auth *auth;
	const struct val *keys, *revoked; /* it may have, or must not */
	struct channels channels;
	struct ssh_watch *watches;
	struct loop_io io;
	struct loop_timer timeout, keepalive, kick;
	int64_t heard; /* the last byte */
	bool busy, again, doomed, refused;
	struct err err;
};

static void run(struct ssh_session *s);

enum ssh_state ssh_session_state(const struct ssh_session *s)
{
	return s->phase == PH_UP ? SSH_UP : s->phase == PH_DOWN ? SSH_DOWN : SSH_CONNECTING;
}

const struct err *ssh_session_err(const struct ssh_session *s)
{
	return &s->err;
}

bool ssh_session_refused(const struct ssh_session *s)
{
	return s->refused;
}

void ssh_session_watch(struct ssh_session *s, struct ssh_watch *w)
{
	w->next = s->watches;
	s->watches = w;
}

void ssh_session_unwatch(struct ssh_session *s, struct ssh_watch *w)
{
	struct ssh_watch **p = &s->watches;

	while (*p && *p != w)
		p = &(*p)->next;
	if (*p)
		*p = w->next;
}

static void tell_watches(struct ssh_session *s)
{
	struct ssh_watch *next;

	for (struct ssh_watch *w = s->watches; w; w = next) {
		next = w->next;
		w->changed(w->ctx);
	}
}

/* ---- over a jump host -------------------------------------------------------------------------------------
 */

static void relay_pump(void *ctx)
{
	struct relay *r = ctx;
	struct wire *w = r->wire;
	ssize_t n;

	while (w->in.n) {
		n = write(r->fd, w->in.p, w->in.n);
		if (n <= 0)
			break;
		buf_consume(&w->in, (size_t)n);
	}
	while (w->out.n < RELAY_MAX) {
		char *room = buf_room(&w->out, 32768);

		n = read(r->fd, room, 32768);
		if (n <= 0) {
			r->ended |= n == 0;
			break;
		}
		w->out.n += (size_t)n;
		w->out.p[w->out.n] = 0;
	}
	if (w->eof && !w->in.n) {
		/* Our session reads the end and reports it. */
		loop_io_set(r->loop, &r->io, r->fd, 0);
		shutdown(r->fd, SHUT_RDWR);
		return;
	}
	wire_flush(w);
	if (r->ended)
		loop_io_set(r->loop, &r->io, r->fd, 0);
	else
		loop_io_set(r->loop, &r->io, r->fd,
		            (short)((w->out.n < RELAY_MAX ? POLLIN : 0) | (w->in.n ? POLLOUT : 0)));
}

static void relay_io(void *ctx, short revents)
{
	(void)revents;
	relay_pump(ctx);
}

static void relay_stop(struct relay *r)
{
	if (!r->wire)
		return;
	loop_io_set(r->loop, &r->io, r->fd, 0);
	close(r->fd);
	wire_close(r->wire);
	r->wire = NULL;
}

static bool relay_start(struct ssh_session *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_sys(&s->err, ERR_BUG, "socketpair");
	s->fd = pair[0];
	s->relay = (struct relay){.loop = s->loop, .fd = pair[1]};
	s->relay.wire = ssh_session_forward(s->jump, s->host, s->port);
	s->relay.wire->ready = relay_pump;
	s->relay.wire->ctx = &s->relay;
	s->relay.io = (struct loop_io){.fn = relay_io, .ctx = &s->relay};
	loop_io_set(s->loop, &s->relay.io, s->relay.fd, POLLIN);
	return true;
}

/* ---- phases -----------------------------------------------------------------------------------------------
 */

static void down(struct ssh_session *s)
{
	struct err text = {0};
	struct buf b = {0};

	if (s->phase == PH_DOWN)
		return;
	if (s->relay.wire && err_is(&s->relay.wire->err)) {
		err_text(&s->relay.wire->err, &b);
		err_wrap(&s->err, ORIGIN_NONE, "%s", b.p);
	}
	buf_free(&b);
	err_set(&s->err, ERR_UNREACHABLE, ORIGIN_NONE, "the connection broke");
	s->phase = PH_DOWN;
	loop_timer_stop(s->loop, &s->timeout);
	loop_timer_stop(s->loop, &s->keepalive);
	if (s->fd >= 0)
		loop_io_set(s->loop, &s->io, s->fd, 0);
	err_text(&s->err, &b);
	err_set(&text, ERR_UNREACHABLE, ORIGIN_NONE, "%s", b.p ? b.p : "");
	channels_break(&s->channels, &text);
	err_clear(&text);
	buf_free(&b);
	tell_watches(s);
}

static ssize_t on_recv(libssh2_socket_t fd, void *p, size_t n, int flags, void **abstract)
{
	struct ssh_session *s = *abstract;
	ssize_t got = recv(fd, p, n, flags);

	if (got < 0)
		return -errno;
	if (got > 0 && s)
		s->heard = loop_now();
	return got;
}

static void dial_done(void *ctx)
{
	run(ctx);
}

static void jump_changed(void *ctx)
{
	run(ctx);
}

static bool start_ssh(struct ssh_session *s)
{
	s->ssh = libssh2_session_init_ex(NULL, NULL, NULL, s);
	if (!s->ssh)
		return err_set(&s->err, ERR_BUG, ORIGIN_NONE, "libssh2 does not start");
	libssh2_session_set_blocking(s->ssh, 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	libssh2_session_callback_set(s->ssh, LIBSSH2_CALLBACK_RECV, (void *)on_recv);
#pragma GCC diagnostic pop
	libssh2_session_method_pref(s->ssh, LIBSSH2_METHOD_HOSTKEY, hostkey_prefs(s->arena, s->keys));
	s->channels.ssh = s->ssh;
	s->heard = loop_now();
	s->phase = PH_HANDSHAKE;
	return true;
}

static enum step step_dial(struct ssh_session *s)
{
	if (s->jump) {
		if (ssh_session_state(s->jump) == SSH_CONNECTING)
			return STEP_AGAIN;
		if (ssh_session_state(s->jump) == SSH_DOWN) {
			struct buf b = {0};

			err_text(ssh_session_err(s->jump), &b);
			err_set(&s->err, ERR_UNREACHABLE, ORIGIN_NONE, "jump host %s: %s", s->t->jump->host,
			        b.p);
			buf_free(&b);
			return STEP_FAILED;
		}
		if (!relay_start(s))
			return STEP_FAILED;
	} else {
		enum step st = dial_result(s->dial, &s->fd, &s->err);

		if (st != STEP_DONE)
			return st;
		dial_free(s->dial);
		s->dial = NULL;
	}
	return start_ssh(s) ? STEP_DONE : STEP_FAILED;
}

static bool mismatch(struct ssh_session *s, struct str blob)
{
	err_set(&s->err, ERR_UNREACHABLE, ORIGIN_NONE,
	        "the host key of %s is not the one known: it shows %.*s %s; somebody may be listening in",
	        s->host, STR_FMT(hostkey_type(blob)), hostkey_fingerprint(s->arena, blob));
	if (s->t->host_key_hint)
		return err_hint(&s->err, "%s", s->t->host_key_hint);
	return err_hint(&s->err, "if the machine was made anew, remove its old key from the known hosts");
}

static bool check_host_key(struct ssh_session *s)
{
	size_t n;
	int type;
	const char *p = libssh2_session_hostkey(s->ssh, &n, &type);
	struct str blob = str_n(p, p ? n : 0);

	VAL_EACH (i, s->revoked) {
		if (hostkey_same(val_text(val_at(s->revoked, i), s->arena).p, blob))
			return err_set(&s->err, ERR_UNREACHABLE, ORIGIN_NONE, "the host key of %s is revoked",
			               s->host);
	}
	if (s->t->no_host_key_check)
		return true;
	VAL_EACH (i, s->keys) {
		if (hostkey_same(val_text(val_at(s->keys, i), s->arena).p, blob))
			return true;
	}
	if (val_len(s->keys))
		return mismatch(s, blob);
	if (s->t->accept_new)
		return true;
	if (s->t->first_contact && s->t->first_contact(s->t->ctx, s->t, hostkey_line(s->arena, blob)))
		return true;
	err_set(&s->err, ERR_UNREACHABLE, ORIGIN_NONE, "the host key of %s is not known: it shows %.*s %s",
	        s->host, STR_FMT(hostkey_type(blob)), hostkey_fingerprint(s->arena, blob));
	return err_hint(
	        &s->err, "compare it with the host's own; as a line of the known hosts it is: %s%s%s %s",
	        s->port == 22 ? "" : "[", s->host,
	        s->port == 22 ? "" : arena_printf(s->arena, "]:%d", s->port), hostkey_line(s->arena, blob));
}

static enum step step_handshake(struct ssh_session *s)
{
	int rc = libssh2_session_handshake(s->ssh, s->fd);

	if (rc == LIBSSH2_ERROR_EAGAIN)
		return STEP_AGAIN;
	if (rc) {
		err_set(&s->err, ERR_UNREACHABLE, ORIGIN_NONE, "SSH with %s port %d: %s", s->host, s->port,
		        ssh_error(s->ssh));
		return STEP_FAILED;
	}
	if (!check_host_key(s)) {
		s->refused = true;
		return STEP_FAILED;
	}
	loop_timer_set(s->loop, &s->timeout, s->t->connect_ms > 0 ? s->t->connect_ms : 10000);
	s->auth = auth_new(s->ssh, s->t, s->user);
	s->phase = PH_AUTH;
	return STEP_DONE;
}

static enum step step_auth(struct ssh_session *s)
{
	enum step st = auth_step(s->auth, &s->err);

	s->refused = st == STEP_FAILED && !ssh_is_broken(s->ssh);
	if (st != STEP_DONE)
		return st;
	auth_free(s->auth);
	s->auth = NULL;
	loop_timer_stop(s->loop, &s->timeout);
	libssh2_keepalive_config(s->ssh, 1, KEEPALIVE_S);
	loop_timer_set(s->loop, &s->keepalive, KEEPALIVE_S * 1000);
	s->phase = PH_UP;
	tell_watches(s);
	return STEP_DONE;
}

static enum step step_up(struct ssh_session *s)
{
	if (!channels_pump(&s->channels, &s->err))
		return STEP_FAILED;
	channels_tell(&s->channels);
	return STEP_AGAIN;
}

static enum step step_now(struct ssh_session *s)
{
	switch (s->phase) {
	case PH_DIAL: return step_dial(s);
	case PH_HANDSHAKE: return step_handshake(s);
	case PH_AUTH: return step_auth(s);
	case PH_UP: return step_up(s);
	case PH_DOWN: return STEP_AGAIN;
	}
	return STEP_AGAIN;
}

static void session_release(struct ssh_session *s)
{
	if (s->jump)
		ssh_session_unwatch(s->jump, &s->jump_watch);
	loop_timer_stop(s->loop, &s->timeout);
	loop_timer_stop(s->loop, &s->keepalive);
	loop_timer_stop(s->loop, &s->kick);
	dial_free(s->dial);
	auth_free(s->auth);
	if (s->fd >= 0)
		loop_io_set(s->loop, &s->io, s->fd, 0);
	if (s->ssh) {
		if (s->phase == PH_UP)
			libssh2_session_disconnect(s->ssh, "done");
		/* What libssh2 still wants to send must fail at once: it would wait otherwise, and free
		 * nothing. */
		shutdown(s->fd, SHUT_RDWR);
		libssh2_session_free(s->ssh);
	}
	channels_break(&s->channels, &s->err);
	relay_stop(&s->relay);
	if (s->fd >= 0)
		close(s->fd);
	err_clear(&s->err);
	arena_free(s->arena);
	free(s);
}

/* Steps until it has to wait. Re-entered by callbacks, it only notes that there is more to do. */
static void run(struct ssh_session *s)
{
	if (s->busy) {
		s->again = true;
		return;
	}
	s->busy = true;
	do {
		enum step st;

		s->again = false;
		while ((st = step_now(s)) == STEP_DONE && !s->doomed)
			;
		if (st == STEP_FAILED)
			down(s);
	} while (s->again && !s->doomed);
	if (s->phase == PH_DOWN)
		channels_tell(&s->channels);
	s->busy = false;
	if (s->doomed) {
		session_release(s);
		return;
	}
	if (s->ssh && s->phase != PH_DOWN) {
		bool out = libssh2_session_block_directions(s->ssh) & LIBSSH2_SESSION_BLOCK_OUTBOUND;
		/* libssh2 reads only on behalf of a channel: without one nobody would take what arrives. */
		bool in = s->phase != PH_UP || channels_any(&s->channels);

		loop_io_set(s->loop, &s->io, s->fd, (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0)));
		if (!in)
			s->heard = INT64_MAX;
		else if (s->heard == INT64_MAX)
			s->heard = loop_now();
	}
}

static void on_io(void *ctx, short revents)
{
	(void)revents;
	run(ctx);
}

static void on_kick(void *ctx)
{
	run(ctx);
}

/* A user of a wire has something for it: at once when nothing is under way. */
static void kick(void *ctx)
{
	struct ssh_session *s = ctx;

	if (s->busy)
		s->again = true;
	else
		loop_timer_set(s->loop, &s->kick, 0);
}

static void on_timeout(void *ctx)
{
	struct ssh_session *s = ctx;

	err_set(&s->err, ERR_UNREACHABLE, ORIGIN_NONE, "%s port %d: no %s in time", s->host, s->port,
	        s->phase == PH_AUTH ? "login" : "SSH answer");
	err_hint(&s->err, UNREACHED_HINT);
	s->busy = true;
	down(s);
	s->busy = false;
	run(s);
}

static void on_keepalive(void *ctx)
{
	struct ssh_session *s = ctx;
	int next = KEEPALIVE_S;

	if (s->heard < loop_now() - SILENCE_MS) {
		err_set(&s->err, ERR_UNREACHABLE, ORIGIN_NONE, "%s has not answered for %d s", s->host,
		        SILENCE_MS / 1000);
		err_hint(&s->err, UNREACHED_HINT);
		s->busy = true;
		down(s);
		s->busy = false;
		run(s);
		return;
	}
	if (!s->channels.owner)
		libssh2_keepalive_send(s->ssh, &next);
	loop_timer_set(s->loop, &s->keepalive, (next > 0 ? next : KEEPALIVE_S) * 1000);
	run(s);
}

static const char *current_user(struct arena *a)
{
	const char *user = getenv("USER");
	const struct passwd *pw = user && *user ? NULL : getpwuid(getuid());

	return arena_strdup(a, user && *user ? user : pw ? pw->pw_name : "root");
}

static void list_keys(struct ssh_session *s)
{
	struct val *revoked = val_list(s->arena), *keys = val_list(s->arena);

	if (s->t->host_keys && s->t->host_keys[0]) {
		for (size_t i = 0; s->t->host_keys[i]; i++)
			val_push(keys, val_strz(s->arena, s->t->host_keys[i]));
	} else {
		keys = known_hosts_find(s->arena, s->t->known_hosts, s->host, s->port, &revoked);
	}
	s->keys = keys;
	s->revoked = revoked;
}

struct ssh_session *ssh_session_new(struct loop *l, const struct ssh_target *t, struct ssh_session *jump)
{
	struct ssh_session *s = xmalloc(sizeof(*s));
	int ms = t->connect_ms > 0 ? t->connect_ms : 10000;

	*s = (struct ssh_session){.loop = l, .t = t, .jump = jump, .fd = -1, .arena = arena_new(NULL)};
	s->host = t->host;
	s->port = t->port > 0 ? t->port : 22;
	s->user = t->user && *t->user ? t->user : current_user(s->arena);
	s->io = (struct loop_io){.fn = on_io, .ctx = s};
	s->timeout = (struct loop_timer){.fn = on_timeout, .ctx = s};
	s->keepalive = (struct loop_timer){.fn = on_keepalive, .ctx = s};
	s->kick = (struct loop_timer){.fn = on_kick, .ctx = s};
	s->channels = (struct channels){.kick = kick, .ctx = s};
	list_keys(s);
	if (jump) {
		s->jump_watch = (struct ssh_watch){.changed = jump_changed, .ctx = s};
		ssh_session_watch(jump, &s->jump_watch);
		loop_timer_set(l, &s->kick, 0);
	} else {
		s->dial = dial_new(l, s->host, s->port, ms, dial_done, s);
	}
	/* A little later than the dial's own limit, whose error says more. Over a jump host the way there
	 * counts. */
	loop_timer_set(l, &s->timeout, jump ? 2 * ms : ms + 200);
	return s;
}

void ssh_session_free(struct ssh_session *s)
{
	if (!s)
		return;
	if (s->busy)
		s->doomed = true;
	else
		session_release(s);
}

struct wire *ssh_session_exec(struct ssh_session *s, const char *command)
{
	return channel_open(&s->channels, command, NULL, 0);
}

struct wire *ssh_session_forward(struct ssh_session *s, const char *host, int port)
{
	return channel_open(&s->channels, NULL, host, port);
}
