#include "ssh/link.h"
#include "agent/proto.h"
#include "net/http.h"
#include "net/loop.h"
#include "ssh/deploy.h"
#include "ssh/local.h"
#include "ssh/seat.h"
#include "ssh/session.h"
#include "ssh/wire.h"

#include <libssh2.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GOODBYE_MS 300 /* for agents to end by themselves */
#define DEATHS_MAX 3
#define RECONNECT_MS 60000

/* A jump host's connection, shared by all that go through it. */
struct jump {
	struct ssh_session *session;
	const struct ssh_target *t;
	struct jump *next;
};

/* A host: the engine's link to it. */
struct host {
	struct link link; /* first: the engine knows only this */
	struct ssh_links *all;
	struct host *next;
	bool local;
	struct ssh_target t;
	const char *name;
	struct ssh_session *session;
	struct ssh_watch watch;
	int64_t started;      /* when this connection was begun */
	struct seat seats[2]; /* the login user's agent, root's */
	char arch[32];        /* of its machine, once it is known to be another than ours */
	int64_t waits_from;   /* when the first connection was first tried; 0 once there was one */
	int64_t lost_at;      /* when a working connection broke; 0: not lost */
	unsigned tries;
	struct loop_timer retry;
};

struct ssh_links {
	struct loop *loop;
	struct programs *programs;
	void (*event)(void *ctx, const char *host, bool trouble, const char *text);
	void *ctx;
	struct host *hosts;
	struct jump *jumps;
};

static void go(struct host *h);

static void say(struct host *h, bool trouble, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(struct host *h, bool trouble, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;

	if (!h->all->event)
		return;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	h->all->event(h->all->ctx, h->name, trouble, b.p ? b.p : "");
	buf_free(&b);
}

/* ---- connections ------------------------------------------------------------------------------------------
 */

static bool same_target(const struct ssh_target *a, const struct ssh_target *b)
{
	return strcmp(a->host, b->host) == 0 && a->port == b->port &&
	       strcmp(a->user ? a->user : "", b->user ? b->user : "") == 0;
}

static struct ssh_session *jump_session(struct ssh_links *ls, const struct ssh_target *t)
{
	struct ssh_session *before = t->jump ? jump_session(ls, t->jump) : NULL;
	struct jump *j;

	/* One that is down stays in the list: sessions that ran over it may not have noticed yet. */
	for (j = ls->jumps; j; j = j->next)
		if (same_target(j->t, t) && ssh_session_state(j->session) != SSH_DOWN)
			return j->session;
	j = xmalloc(sizeof(*j));
	*j = (struct jump){.t = t, .session = ssh_session_new(ls->loop, t, before), .next = ls->jumps};
	ls->jumps = j;
	return j->session;
}

static void hang_up(struct host *h)
{
	for (size_t i = 0; i < 2; i++)
		seat_stop(&h->seats[i]);
	loop_timer_stop(h->all->loop, &h->retry);
	if (h->session)
		ssh_session_unwatch(h->session, &h->watch);
	ssh_session_free(h->session);
	h->session = NULL;
}

static void give_up(struct host *h, const struct err *err)
{
	hang_up(h);
	h->lost_at = h->waits_from = 0;
	h->tries = 0;
	for (size_t i = 0; i < 2; i++) {
		h->seats[i].lost_session[0] = 0;
		seat_fail(&h->seats[i], err);
	}
}

/* Whether a host that has not answered yet is given more time. */
static bool is_awaited(struct host *h)
{
	return h->waits_from && loop_now() - h->waits_from < h->t.wait_ms;
}

/* The connection broke, or could not be made. */
static void lost(struct host *h, const struct err *err)
{
	bool refused = h->session && ssh_session_refused(h->session);
	int limit = h->t.reconnect_ms ? h->t.reconnect_ms : RECONNECT_MS, wait;
	bool worked = h->seats[0].state == SEAT_UP || h->seats[1].state == SEAT_UP;

	if (worked && !h->lost_at) {
		h->lost_at = loop_now();
		h->tries = 0;
	}
	if (refused || !(is_awaited(h) || (h->lost_at && loop_now() - h->lost_at < limit))) {
		give_up(h, err);
		return;
	}
	hang_up(h);
	if (!seat_has_jobs(&h->seats[0]) && !seat_has_jobs(&h->seats[1]))
		return; /* the next request connects again */
	wait = http_backoff_ms(++h->tries, 250, 5000);
	if (h->tries == 1)
		say(h, true, "%s (%s): trying for %d s", h->lost_at ? "connection lost" : "not there yet",
		    err_msg(err), (h->lost_at ? limit : h->t.wait_ms) / 1000);
	else
		say(h, false, "still %s (%s)", h->lost_at ? "lost" : "not there", err_msg(err));
	loop_timer_set(h->all->loop, &h->retry, wait);
}

static void session_changed(void *ctx)
{
	struct host *h = ctx;
	struct err err = {0};
	struct buf text = {0};

	if (ssh_session_state(h->session) == SSH_UP) {
		say(h, false, "connected in %lld ms", (long long)(loop_now() - h->started));
		go(h);
		return;
	}
	err_text(ssh_session_err(h->session), &text);
	err_set(&err, ERR_UNREACHABLE, ORIGIN_NONE, "%s", text.p ? text.p : "");
	if (ssh_session_err(h->session)->hint)
		err_hint(&err, "%s", ssh_session_err(h->session)->hint);
	lost(h, &err);
	err_clear(&err);
	buf_free(&text);
}

static void connect_host(struct host *h)
{
	struct ssh_session *jump = h->t.jump ? jump_session(h->all, h->t.jump) : NULL;

	h->started = loop_now();
	if (!h->waits_from && !h->lost_at)
		h->waits_from = h->started;
	h->session = ssh_session_new(h->all->loop, &h->t, jump);
	h->watch = (struct ssh_watch){.changed = session_changed, .ctx = h};
	ssh_session_watch(h->session, &h->watch);
}

static void retry_now(void *ctx)
{
	go(ctx);
}

/* ---- agents -----------------------------------------------------------------------------------------------
 */

static void start_remote(struct host *h, struct seat *s)
{
	struct become b = {h->t.become_exe, h->t.become_password != NULL};
	struct err err = {0};
	const struct program *p = programs_get(h->all->programs, *h->arch ? h->arch : NULL, &err);
	struct arena *a;

	if (!p) {
		seat_fail(s, &err);
		err_clear(&err);
		return;
	}
	a = arena_new(NULL);
	seat_start(s, ssh_session_exec(h->session, boot_command(a, p, s->privileged ? &b : NULL)), p);
	arena_free(a);
}

static void start_local(struct host *h, struct seat *s)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *sudo = h->t.become_exe ? h->t.become_exe : "sudo";
	/* The link works even when the file behind it was replaced; sudo needs the path. */
	const char *const plain[] = {"/proc/self/exe", "agent", NULL};
	const char *const silent[] = {sudo, "-H", "-n", "--", self, "agent", NULL};
	const char *const asking[] = {sudo, "-H", "-S", "-p", BECOME_PROMPT, "--", self, "agent", NULL};
	struct err err = {0};
	struct wire *w;

	self[n > 0 ? n : 0] = 0;
	w = local_exec(h->all->loop, !s->privileged ? plain : h->t.become_password ? asking : silent, &err);
	if (w)
		seat_start(s, w, NULL);
	else
		seat_fail(s, &err);
	err_clear(&err);
}

/* Does what is missing for the requests that wait. */
static void go(struct host *h)
{
	bool wanted = false;

	for (size_t i = 0; i < 2; i++)
		wanted |= h->seats[i].state == SEAT_OFF && seat_has_jobs(&h->seats[i]);
	if (!wanted)
		return;
	if (!h->local && !h->session) {
		if (!loop_timer_on(&h->retry))
			connect_host(h);
		return;
	}
	if (!h->local && ssh_session_state(h->session) != SSH_UP)
		return;
	for (size_t i = 0; i < 2; i++) {
		struct seat *s = &h->seats[i];

		if (s->state == SEAT_OFF && seat_has_jobs(s)) {
			if (h->local)
				start_local(h, s);
			else
				start_remote(h, s);
		}
	}
}

static void seat_is_up(void *ctx, struct seat *s)
{
	struct host *h = ctx;

	if (h->lost_at)
		say(h, true, "connected again after %lld ms", (long long)(loop_now() - h->lost_at));
	h->lost_at = h->waits_from = 0;
	h->tries = 0;
	(void)s;
}

static void seat_ended(void *ctx, struct seat *s, enum seat_state stage, struct err *err)
{
	struct host *h = ctx;

	if (stage == SEAT_UP && s->deaths < DEATHS_MAX && seat_has_jobs(s)) {
		/* The next agent finds out what became of the tasks. The connection may be about to break,
		 * too. */
		if (!h->lost_at)
			h->lost_at = loop_now();
		say(h, true, "%s; starting another", err_msg(err));
		go(h);
		return;
	}
	/* Trouble while an agent starts is not worth a second try, except on the way back from a loss. */
	if (stage != SEAT_UP && h->lost_at && err->cls == ERR_UNREACHABLE) {
		lost(h, err);
		return;
	}
	s->deaths = 0;
	seat_fail(s, err);
}

static void seat_wrong_arch(void *ctx, struct seat *s, const char *arch)
{
	struct host *h = ctx;

	snprintf(h->arch, sizeof(h->arch), "%s", arch);
	say(h, false, "is a %s machine", arch);
	(void)s;
	go(h);
}

static void seat_event(void *ctx, const char *text)
{
	say(ctx, false, "%s", text);
}

/* ---- the engine's side ------------------------------------------------------------------------------------
 */

static void link_submit(struct link *l, struct link_req *req)
{
	struct host *h = (struct host *)l;
	bool is_root = h->local ? geteuid() == 0 : h->t.user && strcmp(h->t.user, "root") == 0;

	req->done = false;
	req->result = NULL;
	seat_add(&h->seats[req->become && !is_root], req);
	go(h);
}

static void link_reset(struct link *l)
{
	struct host *h = (struct host *)l;
	struct err err = {0};

	for (size_t i = 0; i < 2; i++)
		seat_goodbye(&h->seats[i]);
	err_set(&err, ERR_UNREACHABLE, ORIGIN_NONE, "%s: the connection was reset", h->name);
	give_up(h, &err);
	err_clear(&err);
}

static const struct link_ops ops = {link_submit, link_reset};

static struct link *host_new(struct ssh_links *ls, const struct ssh_target *t, bool local)
{
	struct host *h = xmalloc(sizeof(*h));
	struct seat_owner owner = {seat_is_up, seat_ended, seat_wrong_arch, seat_event, h};

	*h = (struct host){.link = {&ops}, .all = ls, .local = local, .next = ls->hosts};
	if (t)
		h->t = *t;
	h->name = h->t.name ? h->t.name : h->t.host ? h->t.host : "localhost";
	h->retry = (struct loop_timer){.fn = retry_now, .ctx = h};
	for (size_t i = 0; i < 2; i++) {
		seat_init(&h->seats[i], ls->loop, &owner);
		h->seats[i].host = h->name;
		h->seats[i].privileged = i == 1;
		h->seats[i].password = h->t.become_password;
	}
	ls->hosts = h;
	return &h->link;
}

struct link *ssh_link_new(struct ssh_links *ls, const struct ssh_target *t)
{
	return host_new(ls, t, false);
}

struct link *local_link_new(struct ssh_links *ls, const struct ssh_target *t)
{
	return host_new(ls, t, true);
}

/* ---- all of them ------------------------------------------------------------------------------------------
 */

struct ssh_links *ssh_links_new(const struct ssh_links_opts *o, struct err *err)
{
	struct ssh_links *ls;

	if (libssh2_init(0) != 0) {
		err_set(err, ERR_BUG, ORIGIN_NONE, "libssh2 does not start");
		return NULL;
	}
	ls = xmalloc(sizeof(*ls));
	*ls = (struct ssh_links){.loop = o->loop, .event = o->event, .ctx = o->ctx};
	ls->programs = programs_new(o->agent_path);
	return ls;
}

void ssh_links_cancel(struct ssh_links *ls)
{
	for (struct host *h = ls->hosts; h; h = h->next)
		for (size_t i = 0; i < 2; i++)
			seat_goodbye(&h->seats[i]);
}

static bool any_up(const struct ssh_links *ls)
{
	for (struct host *h = ls->hosts; h; h = h->next)
		if (h->seats[0].state == SEAT_UP || h->seats[1].state == SEAT_UP)
			return true;
	return false;
}

/* Nothing may start again while agents say goodbye. */
static void forget_jobs(struct ssh_links *ls)
{
	for (struct host *h = ls->hosts; h; h = h->next)
		for (size_t i = 0; i < 2; i++)
			seat_forget(&h->seats[i]);
}

void ssh_links_free(struct ssh_links *ls)
{
	int64_t until;
	bool cancelled;

	if (!ls)
		return;
	ls->event = NULL;
	cancelled = loop_cancelled(ls->loop);
	loop_cancel_clear(ls->loop);
	ssh_links_cancel(ls);
	forget_jobs(ls);
	until = loop_now() + GOODBYE_MS;
	while (any_up(ls) && loop_now() < until && !loop_cancelled(ls->loop))
		if (!loop_step(ls->loop, (int)(until - loop_now()), NULL))
			break;
	if (cancelled)
		loop_cancel(ls->loop);
	while (ls->hosts) {
		struct host *h = ls->hosts;

		ls->hosts = h->next;
		hang_up(h);
		for (size_t i = 0; i < 2; i++)
			seat_free(&h->seats[i]);
		free(h);
	}
	while (ls->jumps) {
		struct jump *j = ls->jumps;

		ls->jumps = j->next;
		ssh_session_free(j->session);
		free(j);
	}
	programs_free(ls->programs);
	libssh2_exit();
	free(ls);
}

static bool step(void *ctx, int timeout_ms, struct err *err)
{
	struct ssh_links *ls = ctx;

	return loop_step(ls->loop, timeout_ms, err);
}

struct link_pump links_pump(struct ssh_links *ls)
{
	return (struct link_pump){.step = step, .ctx = ls};
}
