#include "net/http.h"
#include "base/arena.h"
#include "net/loop.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define HEADERS_MAX ((size_t)64 << 10)
#define BODY_MAX ((size_t)16 << 20)

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer timer;
	struct http_xfer *xfers;
	struct http_sock *socks;
	char *agent;
	/* The trusted certificates: a path, which lets libcurl parse the file once for all connections. */
	char ca_path[PATH_MAX];
	int ca_fd; /* the system's bundle and ours joined, -1 when the system's alone does */
};

/* A descriptor libcurl waits for. */
struct http_sock {
	struct http_client *c;
	struct loop_io io;
	curl_socket_t fd;
	struct http_sock *next, **prev;
};

struct http_xfer {
	struct http_client *c;
	struct http_req *req;
	CURL *easy;
	struct curl_slist *headers;
	bool sent; /* the request has left, wholly or in part */
	char error[CURL_ERROR_SIZE];
	struct http_xfer *next, **prev;
};

/* ---- trust ------------------------------------------------------------------------------------------------
 */

static const char *system_bundle(void)
{
	static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
	                                     "/etc/pki/tls/certs/ca-bundle.crt",
	                                     "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	                                     "/etc/ssl/ca-bundle.pem",
	                                     "/etc/ssl/cert.pem",
	                                     "/usr/share/ssl/certs/ca-bundle.crt"};
	const char *env = getenv("SSL_CERT_FILE");

	if (env && *env)
		return env;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}

static bool write_all(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = str_n(s.p + n, s.n - (size_t)n);
	}
	return true;
}

static bool copy_file(int to, const char *path)
{
	char chunk[16384];
	int from = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (from < 0)
		return false;
	while ((n = read(from, chunk, sizeof(chunk))) > 0)
		if (!write_all(to, str_n(chunk, (size_t)n)))
			break;
	close(from);
	return n == 0;
}

static bool trust(struct http_client *c, struct str pem, struct err *err)
{
	const char *bundle = system_bundle();

	c->ca_fd = -1;
	if (!pem.n) {
		snprintf(c->ca_path, sizeof(c->ca_path), "%s", bundle ? bundle : "");
		return true;
	}
	if (str_find(pem, STR("-----BEGIN CERTIFICATE-----"), 0) < 0) {
		err_set(err, ERR_USER, ORIGIN_NONE, "the CA certificate given is not PEM text");
		return err_hint(err, "it has to begin with -----BEGIN CERTIFICATE-----");
	}
	c->ca_fd = memfd_create("nante-ca", MFD_CLOEXEC);
	if (c->ca_fd < 0)
		return err_sys(err, ERR_BUG, "memfd_create");
	if (bundle && !copy_file(c->ca_fd, bundle))
		return err_sys(err, ERR_USER, "cannot read the CA bundle %s", bundle);
	if (!write_all(c->ca_fd, STR("\n")) || !write_all(c->ca_fd, pem))
		return err_sys(err, ERR_BUG, "cannot keep the CA certificate");
	snprintf(c->ca_path, sizeof(c->ca_path), "/proc/self/fd/%d", c->ca_fd);
	return true;
}

/* ---- libcurl on the loop ----------------------------------------------------------------------------------
 */

static void fail(struct http_xfer *x, CURLcode code);

static void xfer_free(struct http_xfer *x)
{
	x->req->xfer = NULL;
	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	if (x->c->multi)
		curl_multi_remove_handle(x->c->multi, x->easy);
	curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	free(x);
}

static void finished(struct http_client *c)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(c->multi, &left))) {
		struct http_xfer *x;
		struct http_req *req;
		long status = 0;
		CURLcode code;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&x);
		code = msg->data.result;
		req = x->req;
		curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
		req->status = (int)status;
		if (code != CURLE_OK)
			fail(x, code);
		xfer_free(x);
		if (req->done)
			req->done(req->ctx, req);
	}
}

static void sock_ready(void *ctx, short revents)
{
	struct http_sock *s = ctx;
	struct http_client *c = s->c;
	int running, what = 0;

	if (revents & (POLLIN | POLLHUP))
		what |= CURL_CSELECT_IN;
	if (revents & POLLOUT)
		what |= CURL_CSELECT_OUT;
	if (revents & (POLLERR | POLLNVAL))
		what |= CURL_CSELECT_ERR;
	curl_multi_socket_action(c->multi, s->fd, what, &running);
	finished(c);
}

static void timer_fired(void *ctx)
{
	struct http_client *c = ctx;
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finished(c);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sockp)
{
	struct http_client *c = ctx;
	struct http_sock *s = sockp;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (!s)
			return 0;
		loop_io_set(c->loop, &s->io, fd, 0);
		*s->prev = s->next;
		if (s->next)
			s->next->prev = s->prev;
		free(s);
		return 0;
	}
	if (!s) {
		s = xmalloc(sizeof(*s));
		*s = (struct http_sock){.c = c, .fd = fd, .next = c->socks, .prev = &c->socks};
		s->io = (struct loop_io){.fn = sock_ready, .ctx = s};
		if (c->socks)
			c->socks->prev = &s->next;
		c->socks = s;
		curl_multi_assign(c->multi, fd, s);
	}
	loop_io_set(c->loop, &s->io, fd,
	            (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0)));
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx)
{
	struct http_client *c = ctx;

	(void)multi;
	if (ms < 0)
		loop_timer_stop(c->loop, &c->timer);
	else
		loop_timer_set(c->loop, &c->timer, ms > INT_MAX ? INT_MAX : (int)ms);
	return 0;
}

struct http_client *http_client_new(struct loop *l, const struct http_opts *o, struct err *err)
{
	struct http_client *c;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, ERR_BUG, ORIGIN_NONE, "libcurl does not start");
		return NULL;
	}
	c = xmalloc(sizeof(*c));
	*c = (struct http_client){.loop = l, .ca_fd = -1, .multi = curl_multi_init()};
	c->agent = xstrdup(o && o->user_agent ? o->user_agent : "nante");
	c->timer = (struct loop_timer){.fn = timer_fired, .ctx = c};
	if (!c->multi)
		err_set(err, ERR_BUG, ORIGIN_NONE, "libcurl does not start");
	if (!c->multi || !trust(c, o ? o->ca_pem : str_n(NULL, 0), err)) {
		http_client_free(c);
		return NULL;
	}
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                  (long)(o && o->max_per_host ? o->max_per_host : 32));
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	while (c->xfers)
		xfer_free(c->xfers);
	if (c->multi)
		curl_multi_cleanup(c->multi);
	while (c->socks) {
		struct http_sock *s = c->socks;

		c->socks = s->next;
		loop_io_set(c->loop, &s->io, s->fd, 0);
		free(s);
	}
	loop_timer_stop(c->loop, &c->timer);
	if (c->ca_fd >= 0)
		close(c->ca_fd);
	free(c->agent);
	free(c);
	curl_global_cleanup();
}

/* ---- one request ------------------------------------------------------------------------------------------
 */

/* "HTTP/1.1 500 VM 100 already running": what follows the code. */
static void take_reason(struct http_req *req, struct str line)
{
	struct str version = str_split(&line, ' '), code = str_split(&line, ' '), text = str_trim(line);

	(void)version;
	(void)code;
	snprintf(req->reason, sizeof(req->reason), "%.*s", STR_FMT(text));
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct http_req *req = ctx;
	struct str line = str_n(p, size * n);

	if (str_starts(line, "HTTP/")) { /* a new answer begins: after a redirect, a 100, a proxy's */
		buf_clear(&req->headers);
		buf_clear(&req->answer);
		take_reason(req, line);
	}
	buf_addstr(&req->headers, line);
	return req->headers.full ? 0 : line.n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct http_req *req = ctx;

	buf_add(&req->answer, p, size * n);
	return req->answer.full ? 0 : size * n;
}

/* libcurl tells the moment the connection is up and the request goes out only through this trace. */
static int on_trace(CURL *easy, curl_infotype type, char *data, size_t n, void *ctx)
{
	struct http_xfer *x = ctx;

	(void)easy, (void)data, (void)n;
	if (type == CURLINFO_HEADER_OUT)
		x->sent = true;
	return 0;
}

static void set_options(struct http_xfer *x)
{
	struct http_req *req = x->req;
	CURL *e = x->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, x);
	curl_easy_setopt(e, CURLOPT_URL, req->url);
	curl_easy_setopt(e, CURLOPT_USERAGENT, x->c->agent);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, req->follow ? 1L : 0L);
	curl_easy_setopt(e, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	if (*x->c->ca_path)
		curl_easy_setopt(e, CURLOPT_CAINFO, x->c->ca_path);
	curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(req->connect_ms ? req->connect_ms : 10000));
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(req->total_ms ? req->total_ms : 60000));
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->error);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, req);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, req);
	curl_easy_setopt(e, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(e, CURLOPT_DEBUGFUNCTION, on_trace);
	curl_easy_setopt(e, CURLOPT_DEBUGDATA, x);
	/* On a connection that was in use before, libcurl sends a request again by itself when the answer
	 * does not come. What changes something is one try: on a connection of its own. */
	if (strcmp(req->method, "GET") != 0 && strcmp(req->method, "HEAD") != 0)
		curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	if (strcmp(req->method, "HEAD") == 0)
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	if (req->has_body) {
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, req->body.p ? req->body.p : "");
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
	}
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method);
	x->headers = xneed(curl_slist_append(NULL, "Expect:"));
	for (size_t i = 0; req->send_headers && req->send_headers[i]; i++)
		x->headers = xneed(curl_slist_append(x->headers, req->send_headers[i]));
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->headers);
}

void http_send(struct http_client *c, struct http_req *req)
{
	struct http_xfer *x = xmalloc(sizeof(*x));

	*x = (struct http_xfer){
	        .c = c, .req = req, .easy = xneed(curl_easy_init()), .prev = &c->xfers, .next = c->xfers};
	if (c->xfers)
		c->xfers->prev = &x->next;
	c->xfers = x;
	req->xfer = x;
	req->status = 0;
	req->reason[0] = 0;
	req->fail = HTTP_FAIL_NONE;
	buf_init(&req->headers, HEADERS_MAX);
	buf_init(&req->answer, req->max_body ? req->max_body : BODY_MAX);
	set_options(x);
	curl_multi_add_handle(c->multi, x->easy);
}

void http_cancel(struct http_req *req)
{
	if (req->xfer)
		xfer_free(req->xfer);
}

bool http_perform(struct http_client *c, struct http_req *req, struct err *err)
{
	http_send(c, req);
	while (req->xfer)
		if (!loop_step(c->loop, -1, err)) {
			http_cancel(req);
			return false;
		}
	if (req->fail == HTTP_FAIL_NONE)
		return true;
	err_move(err, &req->err);
	return false;
}

void http_req_clear(struct http_req *req)
{
	buf_free(&req->headers);
	buf_burn(&req->answer);
	err_clear(&req->err);
	req->status = 0;
	req->fail = HTTP_FAIL_NONE;
}

/* ---- what went wrong --------------------------------------------------------------------------------------
 */

/* The URL up to its query. */
static struct str public_url(const char *url)
{
	return str_n(url, strcspn(url, "?#"));
}

struct failure {
	CURLcode code;
	enum http_fail fail;
	const char *hint;
};

static const struct failure failures[] = {
        {CURLE_COULDNT_RESOLVE_HOST, HTTP_FAIL_CONNECT, "check the host name, and DNS on this machine"},
        {CURLE_COULDNT_RESOLVE_PROXY, HTTP_FAIL_CONNECT, "check https_proxy"},
        {CURLE_COULDNT_CONNECT, HTTP_FAIL_CONNECT,
         "check the address and port, and that a firewall lets this machine through"},
        {CURLE_PEER_FAILED_VERIFICATION, HTTP_FAIL_TLS,
         "the certificate is not one this run trusts: give the CA that signed it"},
        {CURLE_SSL_CONNECT_ERROR, HTTP_FAIL_TLS, "is this an https port?"},
        {CURLE_SSL_CACERT_BADFILE, HTTP_FAIL_TLS, "check SSL_CERT_FILE and the CA certificate given"},
        {CURLE_SSL_CERTPROBLEM, HTTP_FAIL_TLS, NULL},
        {CURLE_SSL_CIPHER, HTTP_FAIL_TLS, NULL},
        {CURLE_URL_MALFORMAT, HTTP_FAIL_BUG, "it should look like https://host:port/"},
        {CURLE_UNSUPPORTED_PROTOCOL, HTTP_FAIL_BUG, "it should look like https://host:port/"},
        {CURLE_OPERATION_TIMEDOUT, HTTP_FAIL_TIMEOUT, NULL},
        {CURLE_WRITE_ERROR, HTTP_FAIL_TOO_BIG, NULL},
};

static const struct failure *failure_find(CURLcode code)
{
	static const struct failure other = {CURLE_OK, HTTP_FAIL_BROKEN, NULL};

	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
		if (failures[i].code == code)
			return &failures[i];
	return &other;
}

static void fail(struct http_xfer *x, CURLcode code)
{
	const struct failure *f = failure_find(code);
	struct http_req *req = x->req;
	struct str url = public_url(req->url);
	const char *why = *x->error ? x->error : curl_easy_strerror(code);

	req->fail = f->fail;
	/* The other side hung up in the handshake: busy or restarting, not a matter of trust. */
	if (code == CURLE_SSL_CONNECT_ERROR &&
	    (strstr(why, "SYSCALL") || strstr(why, "unexpected eof") || strstr(why, "reset")))
		req->fail = HTTP_FAIL_CONNECT;
	/* A time-out while connecting has sent nothing: safe to repeat. So has any other trouble before
	 * sending. */
	if (!x->sent && (f->fail == HTTP_FAIL_TIMEOUT || f->fail == HTTP_FAIL_BROKEN))
		req->fail = HTTP_FAIL_CONNECT;
	if (f->fail == HTTP_FAIL_TOO_BIG)
		why = "the answer is too big";
	err_set(&req->err, f->fail == HTTP_FAIL_BUG ? ERR_USER : ERR_UNREACHABLE, ORIGIN_NONE, "%s %.*s: %s",
	        req->method, STR_FMT(url), why);
	if (f->hint)
		err_hint(&req->err, "%s", f->hint);
}

/* ---- reading answers --------------------------------------------------------------------------------------
 */

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool name_is(struct str s, const char *name)
{
	size_t i = 0;

	for (; i < s.n && name[i]; i++)
		if (lower(s.p[i]) != lower(name[i]))
			return false;
	return i == s.n && !name[i];
}

struct str http_header(const struct http_req *req, const char *name)
{
	struct str rest = buf_str(&req->headers);

	while (rest.n) {
		struct str value = str_split(&rest, '\n'), key = str_split(&value, ':');

		if (value.p && name_is(str_trim(key), name))
			return str_trim(value);
	}
	return str_n(NULL, 0);
}

int http_retry_after_ms(const struct http_req *req)
{
	struct str v = http_header(req, "retry-after");
	char date[64];
	int64_t s;

	if (!v.p)
		return -1;
	if (!str_int(v, &s)) {
		time_t at;

		snprintf(date, sizeof(date), "%.*s", STR_FMT(v));
		at = curl_getdate(date, NULL);
		if (at < 0)
			return -1;
		s = (int64_t)at - (int64_t)time(NULL);
	}
	if (s < 0)
		s = 0;
	return s > 3600 ? 3600000 : (int)s * 1000;
}

int http_backoff_ms(unsigned attempt, int base_ms, int max_ms)
{
	int64_t ms = base_ms;
	uint32_t rnd = 0;

	while (attempt-- > 1 && ms < max_ms)
		ms *= 2;
	if (ms > max_ms)
		ms = max_ms;
	if (getrandom(&rnd, sizeof(rnd), GRND_NONBLOCK) != (ssize_t)sizeof(rnd))
		rnd = (uint32_t)loop_now();
	return (int)(ms - (int64_t)((uint64_t)ms / 2 * rnd / UINT32_MAX));
}
