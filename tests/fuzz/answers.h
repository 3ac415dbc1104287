/*
 * answers - takes the place of net/http.c, net/greeting.c, net/echo.c and net/loop.c: an input's lines are
 * what a server answers, one after the other, and the clock jumps from wait to wait. At the end of the input
 * the run is cancelled.
 *
 * A line: the status, a blank, and the body (200) or the reason phrase. A status below 8 is an enum
 * http_fail.
 */
#ifndef TESTS_ANSWERS_H
#define TESTS_ANSWERS_H
#include "json_mutate.h"
#include "net/echo.h"
#include "net/greeting.h"
#include "net/http.h"
#include "net/loop.h"

#include <stdio.h>
#include <stdlib.h>

#define WAITING_MAX 64

struct loop {
	struct str answers; /* the lines that are left */
	struct http_req *asked[WAITING_MAX];
	struct loop_timer *timers[WAITING_MAX];
	size_t n_asked, n_timers;
};

struct http_client {
	struct loop *loop;
};

static int64_t now;

/* ---- net/http.h ---- */

struct http_client *http_client_new(struct loop *l, const struct http_opts *o, struct err *err)
{
	struct http_client *c = xmalloc(sizeof(*c));

	(void)o, (void)err;
	c->loop = l;
	return c;
}

void http_client_free(struct http_client *c)
{
	free(c);
}

void http_send(struct http_client *c, struct http_req *req)
{
	struct loop *l = c->loop;

	req->xfer = (struct http_xfer *)l;
	if (l->n_asked < WAITING_MAX)
		l->asked[l->n_asked++] = req;
}

void http_cancel(struct http_req *req)
{
	struct loop *l = (struct loop *)req->xfer;

	for (size_t i = 0; l && i < l->n_asked; i++) {
		if (l->asked[i] == req) {
			l->n_asked--;
			memmove(l->asked + i, l->asked + i + 1, (l->n_asked - i) * sizeof(*l->asked));
			break;
		}
	}
	req->xfer = NULL;
}

void http_req_clear(struct http_req *req)
{
	buf_burn(&req->answer);
	err_clear(&req->err);
	req->status = 0;
	req->reason[0] = '\0';
	req->fail = HTTP_FAIL_NONE;
}

int http_backoff_ms(unsigned attempt, int base_ms, int max_ms)
{
	return attempt < 8 && base_ms << attempt < max_ms ? base_ms << attempt : max_ms;
}

bool http_perform(struct http_client *c, struct http_req *req, struct err *err)
{
	http_send(c, req);
	while (req->xfer) {
		if (!loop_step(c->loop, -1, err)) {
			http_cancel(req);
			return false;
		}
	}
	if (req->fail != HTTP_FAIL_NONE)
		err_set(err, req->err.cls, ORIGIN_NONE, "%s", err_msg(&req->err));
	return req->fail == HTTP_FAIL_NONE;
}

int http_retry_after_ms(const struct http_req *req)
{
	return req->status == 429 ? 1000 : -1;
}

/* ---- net/loop.h ---- */

bool loop_cancelled(const struct loop *l)
{
	return !l->answers.n;
}

int64_t loop_now(void)
{
	return now;
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
	for (size_t i = 0; t->slot && i < l->n_timers; i++) {
		if (l->timers[i] == t) {
			l->timers[i] = l->timers[--l->n_timers];
			break;
		}
	}
	t->slot = 0;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int ms)
{
	loop_timer_stop(l, t);
	t->due = now + ms;
	if (l->n_timers < WAITING_MAX) {
		t->slot = 1;
		l->timers[l->n_timers++] = t;
	}
}

static void answer(struct loop *l)
{
	struct http_req *req = l->asked[0];
	struct str line = str_split(&l->answers, '\n'), status = str_split(&line, ' ');
	int64_t code = 200;

	http_cancel(req);
	str_int(status, &code);
	if (code >= 0 && code < 8) {
		req->fail = code ? (enum http_fail)code : HTTP_FAIL_BUG;
		err_set(&req->err, ERR_UNREACHABLE, ORIGIN_NONE, "%.*s", STR_FMT(line));
	} else {
		req->status = (int)(code % 1000);
		if (code == 200)
			buf_addstr(&req->answer, line);
		else
			snprintf(req->reason, sizeof(req->reason), "%.*s", STR_FMT(line));
	}
	if (req->done)
		req->done(req->ctx, req);
}

bool loop_step(struct loop *l, int timeout_ms, struct err *err)
{
	struct loop_timer *first = NULL;

	(void)timeout_ms;
	if (!l->answers.n || (!l->n_asked && !l->n_timers))
		return err_set(err, ERR_CANCELLED, ORIGIN_NONE, "cancelled");
	if (l->n_asked) {
		answer(l);
		return true;
	}
	for (size_t i = 0; i < l->n_timers; i++) {
		if (!first || l->timers[i]->due < first->due)
			first = l->timers[i];
	}
	now = first->due > now ? first->due : now;
	loop_timer_stop(l, first);
	first->fn(first->ctx);
	return true;
}

/* ---- net/greeting.h, net/echo.h: somebody speaks SSH when the next answer would be an error ---- */

void greeting_ask(struct loop *l, struct greeting *g, const char *address, int port, const char *begins,
                  int ms)
{
	(void)address, (void)port, (void)begins, (void)ms;
	g->heard |= l->answers.n && l->answers.p[0] == '5';
}

void greeting_stop(struct greeting *g)
{
	g->asking = false;
}

void echo_ask(struct loop *l, struct echo *e, const char *address)
{
	(void)address;
	e->heard |= l->answers.n && l->answers.p[0] == '6';
}

void echo_stop(struct echo *e)
{
	e->asking = false;
}

/* Mostly the body of one answer is changed. */
static size_t answers_mutate(uint8_t *data, size_t n, size_t max, unsigned seed)
{
	struct str rest = str_n((const char *)data, n);
	size_t lines = 0, from;

	for (size_t i = 0; i < n; i++)
		lines += data[i] == '\n';
	for (size_t skip = lines ? seed % lines : 0; skip; skip--)
		str_split(&rest, '\n');
	from = n - rest.n;
	struct str line = str_split(&rest, '\n');

	if (seed % 8 == 0 || line.n < 5 || memcmp(line.p, "200 ", 4) != 0)
		return LLVMFuzzerMutate(data, n, max);
	uint8_t *body = xmalloc(max);
	size_t len = line.n - 4, after = n - from - line.n, room = max - from - 4 - after;

	memcpy(body, line.p + 4, len);
	len = json_mutate(body, len, room, seed / 8);
	memmove(data + from + 4 + len, data + from + line.n, after);
	memcpy(data + from + 4, body, len);
	free(body);
	return from + 4 + len + after;
}
#endif
