/*
 * http - requests over HTTP/1.1 and TLS >= 1.2, many at once, on the loop. The certificate is always
 * verified.
 *
 * One request is one try: whether to repeat it is the caller's policy (http_backoff_ms helps). A URL must not
 * hold secrets: its host and path appear in error texts.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H
#include "base/err.h"

struct loop;

struct http_client;

struct http_opts {
	struct str ca_pem;      /* certificates trusted in addition to the system's bundle */
	const char *user_agent; /* NULL: "nante" */
	int max_per_host;       /* connections; 0: 32 */
};

/* NULL and err when CA_PEM holds no certificate or libcurl does not start. */
struct http_client *http_client_new(struct loop *l, const struct http_opts *o, struct err *err);
/* Cancels what is under way. */
void http_client_free(struct http_client *c);

enum http_fail {
	HTTP_FAIL_NONE,    /* a whole answer came, whatever its status */
	HTTP_FAIL_CONNECT, /* the request was never sent: name, connection, proxy */
	HTTP_FAIL_TLS,     /* never sent: certificate or handshake */
	HTTP_FAIL_TIMEOUT, /* sent or not: the outcome is unknown */
	HTTP_FAIL_BROKEN,  /* sent, but no whole answer: the outcome is unknown */
	HTTP_FAIL_TOO_BIG, /* the body passed max_body */
	HTTP_FAIL_BUG,     /* not a URL, ... */
};

/* Owned by the caller, zero-initialised; stays put from http_send() until done or cancelled. */
struct http_req {
	/* The question; everything here must live until done. */
	const char *method;              /* "GET" */
	const char *url;                 /* http:// or https:// */
	const char *const *send_headers; /* "Name: value", NULL-terminated; may be NULL */
	struct str body;                 /* sent when has_body, with a Content-Length, never chunked */
	bool has_body;
	bool follow;     /* redirects (at most 5); credentials do not follow to another host */
	int connect_ms;  /* 0: 10 s */
	int total_ms;    /* 0: 60 s */
	size_t max_body; /* 0: 16 MiB */
	void (*done)(void *ctx, struct http_req *req); /* may start further requests, and free this one */
	void *ctx;

	/* The answer. */
	int status;
	char reason[512];   /* the status line's text: Proxmox VE's error message */
	struct buf headers; /* of the last answer, lines as they came */
	struct buf answer;  /* the body */
	enum http_fail fail;
	struct err err; /* set when fail is: ERR_UNREACHABLE mostly */

	struct http_xfer *xfer; /* while under way */
};

/* Starts it. done is called from a later loop_step(), never from here. */
void http_send(struct http_client *c, struct http_req *req);
/* Forgets it; done is not called. Fine for one that is not under way. */
void http_cancel(struct http_req *req);
/* Sends it and runs the loop until it is done. False when the loop was cancelled, or req->fail (the cause in
 * err). */
bool http_perform(struct http_client *c, struct http_req *req, struct err *err);
/* Frees the answer, so that the struct can be used again. The body is overwritten: it may have held secrets.
 */
void http_req_clear(struct http_req *req);
/* The value of header NAME in the answer, trimmed; p is NULL when absent. */
struct str http_header(const struct http_req *req, const char *name);
/* What Retry-After asks for (seconds or a date), in ms; -1 when absent. */
int http_retry_after_ms(const struct http_req *req);
/* How long to wait before try number ATTEMPT + 1 (ATTEMPT from 1): BASE doubled each time up to MAX, of which
 * a random half is taken off, so that many clients do not come back together. */
int http_backoff_ms(unsigned attempt, int base_ms, int max_ms);
#endif
