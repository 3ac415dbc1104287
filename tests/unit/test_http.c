/* http and loop against a scripted server on the loopback, and a TLS server of openssl's. */
#include "base/arena.h"
#include "base/err.h"
#include "net/http.h"
#include "net/loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct server {
	int port;
	pid_t pid;
};

static int listen_any(int *ret_port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	*ret_port = ntohs(sin.sin_port);
	return fd;
}

/* Reads one request; returns its length, 0 when the client hung up. */
static size_t read_request(int fd, char *buf, size_t max)
{
	size_t n = 0;

	while (n < max - 1) {
		ssize_t got = read(fd, buf + n, max - 1 - n);
		char *end, *len;

		if (got <= 0)
			return 0;
		n += (size_t)got;
		buf[n] = 0;
		end = strstr(buf, "\r\n\r\n");
		len = strstr(buf, "Content-Length: ");
		if (end && n >= (size_t)(end + 4 - buf) + (len ? strtoul(len + 16, NULL, 10) : 0))
			return n;
	}
	return n;
}

static void put(int fd, const char *s)
{
	size_t n = strlen(s);

	if (write(fd, s, n) != (ssize_t)n)
		_exit(3);
}

/* What the server tells the test besides its answers. */
static int told[2];

/* What the server does for each path. */
static void answer(int fd, const char *req)
{
	char head[512], big[1000];

	if (strncmp(req, "GET /reason ", 12) == 0) {
		put(fd, "HTTP/1.1 500 VM 100 already running\r\nContent-Length: 13\r\nX-Two: b \r\n\r\n"
		        "{\"data\":null}");
	} else if (strncmp(req, "POST /echo ", 11) == 0 || strncmp(req, "DELETE /echo?", 13) == 0) {
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(req));
		put(fd, head);
		put(fd, req);
	} else if (strncmp(req, "GET /slow ", 10) == 0) {
		usleep(300000);
		put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
	} else if (strncmp(req, "GET /hang", 9) == 0) {
		sleep(20);
	} else if (strncmp(req, "POST /once ", 11) == 0) {
		put(told[1], "x");
		_exit(0);
	} else if (strncmp(req, "GET /cut ", 9) == 0) {
		put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
		_exit(0);
	} else if (strncmp(req, "GET /retry ", 11) == 0) {
		put(fd, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
	} else if (strncmp(req, "GET /date ", 10) == 0) {
		put(fd, "HTTP/1.1 503 x\r\nRetry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: "
		        "0\r\n\r\n");
	} else if (strncmp(req, "GET /big ", 9) == 0) {
		memset(big, 'x', sizeof(big));
		put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
		if (write(fd, big, sizeof(big)) < 0)
			_exit(3);
	} else {
		put(fd, "HTTP/1.1 404 Nope\r\nContent-Length: 0\r\n\r\n");
	}
}

static struct server serve(void)
{
	struct server s;
	int fd = listen_any(&s.port);

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);

	s.pid = fork();
	assert_true(s.pid >= 0);
	if (s.pid == 0) {
		signal(SIGCHLD, SIG_IGN);
		alarm(60);
		for (;;) {
			int c = accept(fd, NULL, NULL);
			char req[8192];

			if (c < 0 || fork() != 0) {
				close(c);
				continue;
			}
			alarm(60);
			while (read_request(c, req, sizeof(req)))
				answer(c, req);
			_exit(0);
		}
	}
	close(fd);
	return s;
}

static void serve_end(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

struct fixture {
	struct server server;
	struct loop *loop;
	struct http_client *client;
	char url[256];
};

static int setup(void **state)
{
	struct fixture *f = xmalloc(sizeof(*f));
	struct err err = {0};

	f->server = serve();
	f->loop = loop_new(&err);
	assert_non_null(f->loop);
	f->client = http_client_new(f->loop, NULL, &err);
	assert_non_null(f->client);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	http_client_free(f->client);
	loop_free(f->loop);
	serve_end(&f->server);
	close(told[0]);
	close(told[1]);
	free(f);
	return 0;
}

static const char *url(struct fixture *f, const char *path)
{
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d%s", f->server.port, path);
	return f->url;
}

static void test_reason(void **state)
{
	struct fixture *f = *state;
	struct http_req r = {.method = "GET", .url = url(f, "/reason")};
	struct err err = {0};

	assert_true(http_perform(f->client, &r, &err));
	assert_int_equal(r.status, 500);
	assert_string_equal(r.reason, "VM 100 already running");
	assert_string_equal(r.answer.p, "{\"data\":null}");
	assert_true(str_eqc(http_header(&r, "x-two"), "b"));
	assert_null(http_header(&r, "x-three").p);
	http_req_clear(&r);
}

static void test_body(void **state)
{
	struct fixture *f = *state;
	const char *const headers[] = {"Authorization: PVEAPIToken=a@b!c=d", NULL};
	struct http_req r = {.method = "POST",
	                     .url = url(f, "/echo"),
	                     .send_headers = headers,
	                     .body = STR("a=1&b=%3B"),
	                     .has_body = true};
	struct err err = {0};

	assert_true(http_perform(f->client, &r, &err));
	assert_non_null(strstr(r.answer.p, "Authorization: PVEAPIToken=a@b!c=d\r\n"));
	assert_non_null(strstr(r.answer.p, "Content-Length: 9\r\n"));
	assert_non_null(strstr(r.answer.p, "\r\n\r\na=1&b=%3B"));
	assert_null(strstr(r.answer.p, "Expect:"));
	assert_null(strstr(r.answer.p, "chunked"));
	http_req_clear(&r);
	/* An empty body has its length, too; and no body none. */
	r.body = STR("");
	assert_true(http_perform(f->client, &r, &err));
	assert_non_null(strstr(r.answer.p, "Content-Length: 0\r\n"));
	http_req_clear(&r);
	r = (struct http_req){.method = "DELETE", .url = url(f, "/echo?purge=1")};
	assert_true(http_perform(f->client, &r, &err));
	assert_null(strstr(r.answer.p, "Content-Length"));
	http_req_clear(&r);
}

static void count(void *ctx, struct http_req *req)
{
	int *n = ctx;

	assert_int_equal(req->fail, HTTP_FAIL_NONE);
	assert_int_equal(req->status, 200);
	++*n;
}

static void test_parallel(void **state)
{
	struct fixture *f = *state;
	struct http_req r[10];
	int done = 0;
	int64_t t = loop_now();

	url(f, "/slow");
	for (size_t i = 0; i < 10; i++) {
		r[i] = (struct http_req){.method = "GET", .url = f->url, .done = count, .ctx = &done};
		http_send(f->client, &r[i]);
	}
	while (done < 10)
		assert_true(loop_step(f->loop, 5000, NULL));
	assert_true(loop_now() - t < 1500);
	for (size_t i = 0; i < 10; i++)
		http_req_clear(&r[i]);
}

static void check_fail(struct fixture *f, const char *path, int total_ms, size_t max, enum http_fail fail)
{
	struct http_req r = {.method = "GET", .url = url(f, path), .total_ms = total_ms, .max_body = max};
	struct err err = {0};

	assert_false(http_perform(f->client, &r, &err));
	assert_int_equal(r.fail, fail);
	assert_int_equal(err.cls, ERR_UNREACHABLE);
	/* The query is not shown. */
	assert_null(strstr(err_msg(&err), "secret"));
	err_clear(&err);
	http_req_clear(&r);
}

static void test_failures(void **state)
{
	struct fixture *f = *state;
	int port, keep = f->server.port, fd = listen_any(&port);

	check_fail(f, "/hang?secret", 200, 0, HTTP_FAIL_TIMEOUT);
	check_fail(f, "/cut", 5000, 0, HTTP_FAIL_BROKEN);
	check_fail(f, "/big", 5000, 999, HTTP_FAIL_TOO_BIG);
	close(fd);
	f->server.port = port;
	check_fail(f, "/refused", 5000, 0, HTTP_FAIL_CONNECT);
	f->server.port = keep;
}

/* A request that changes something is sent once, also where an earlier one has left a connection open. */
static void test_once(void **state)
{
	struct fixture *f = *state;
	struct http_req r = {.method = "GET", .url = url(f, "/reason")};
	struct err err = {0};
	char sent[8] = "";
	int fd = told[0];

	assert_true(http_perform(f->client, &r, &err));
	http_req_clear(&r);
	r = (struct http_req){.method = "POST", .url = url(f, "/once"), .has_body = true};
	assert_false(http_perform(f->client, &r, &err));
	assert_int_equal(r.fail, HTTP_FAIL_BROKEN);
	assert_int_equal(read(fd, sent, sizeof(sent)), 1);
	err_clear(&err);
	http_req_clear(&r);
}

static void test_not_a_url(void **state)
{
	struct fixture *f = *state;
	struct http_req r = {.method = "GET", .url = "ftp://127.0.0.1/x"};
	struct err err = {0};

	assert_false(http_perform(f->client, &r, &err));
	assert_int_equal(r.fail, HTTP_FAIL_BUG);
	assert_int_equal(err.cls, ERR_USER);
	assert_non_null(err.hint);
	err_clear(&err);
	http_req_clear(&r);
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	int done = 0;
	struct http_req r = {.method = "GET", .url = url(f, "/slow"), .done = count, .ctx = &done};
	struct err err = {0};
	int64_t t = loop_now();

	http_send(f->client, &r);
	assert_true(loop_step(f->loop, 50, &err));
	http_cancel(&r);
	while (loop_now() - t < 400)
		assert_true(loop_step(f->loop, 50, &err));
	assert_int_equal(done, 0);
	http_req_clear(&r);
	/* The loop's cancel ends a request that waits. */
	loop_cancel(f->loop);
	assert_false(http_perform(f->client, &r, &err));
	assert_int_equal(err.cls, ERR_CANCELLED);
	loop_cancel_clear(f->loop);
	err_clear(&err);
	http_req_clear(&r);
}

static void test_retry_after(void **state)
{
	struct fixture *f = *state;
	struct http_req r = {.method = "GET", .url = url(f, "/retry")};
	struct err err = {0};

	assert_true(http_perform(f->client, &r, &err));
	assert_int_equal(http_retry_after_ms(&r), 7000);
	http_req_clear(&r);
	r.url = url(f, "/date");
	assert_true(http_perform(f->client, &r, &err));
	assert_int_equal(http_retry_after_ms(&r), 0);
	http_req_clear(&r);
	r.url = url(f, "/nothing");
	assert_true(http_perform(f->client, &r, &err));
	assert_int_equal(http_retry_after_ms(&r), -1);
	assert_int_equal(r.status, 404);
	http_req_clear(&r);
}

static void test_backoff(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		int ms = http_backoff_ms(1 + i % 12, 100, 3000), whole = 100 << (i % 12);

		if (whole > 3000)
			whole = 3000;
		assert_true(ms >= whole / 2 && ms <= whole);
	}
}

/* ---- TLS --------------------------------------------------------------------------------------------------
 */

static int run_quietly(const char *command)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

static bool port_answers(int port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	                          .sin_port = htons((uint16_t)port),
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0;

	close(fd);
	return ok;
}

static void read_text(const char *path, struct buf *out)
{
	char chunk[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	fclose(f);
}

static enum http_fail get_tls(struct fixture *f, struct str ca, const char *host, int port, int *ret_status)
{
	struct http_opts o = {.ca_pem = ca};
	struct err err = {0};
	struct http_client *c = http_client_new(f->loop, &o, &err);
	struct http_req r = {.method = "GET", .url = f->url};
	enum http_fail fail;

	assert_non_null(c);
	snprintf(f->url, sizeof(f->url), "https://%s:%d/", host, port);
	http_perform(c, &r, &err);
	fail = r.fail;
	*ret_status = r.status;
	err_clear(&err);
	http_req_clear(&r);
	http_client_free(c);
	return fail;
}

static void test_tls(void **state)
{
	struct fixture *f = *state;
	char dir[] = "/tmp/test-http-XXXXXX", command[1024], path[64];
	int port, fd = listen_any(&port), status;
	struct buf ca = {0};
	struct err err = {0};
	struct http_opts bad = {.ca_pem = STR("not PEM")};
	pid_t pid;

	close(fd);
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command),
	         "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	         "-subj /CN=x "
	         "-addext subjectAltName=IP:127.0.0.1 -keyout key -out ca 2>/dev/null",
	         dir);
	assert_int_equal(run_quietly(command), 0);
	pid = fork();
	if (pid == 0) {
		snprintf(command, sizeof(command),
		         "cd %s && exec openssl s_server -quiet -accept 127.0.0.1:%d -cert ca -key key -www "
		         ">/dev/null 2>&1",
		         dir, port);
		alarm(30);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 100 && !port_answers(port); i++)
		usleep(20000);
	snprintf(path, sizeof(path), "%s/ca", dir);
	read_text(path, &ca);
	assert_int_equal(get_tls(f, buf_str(&ca), "127.0.0.1", port, &status), HTTP_FAIL_NONE);
	assert_int_equal(status, 200);
	/* Neither an unknown CA nor another name is let through. */
	assert_int_equal(get_tls(f, str_n(NULL, 0), "127.0.0.1", port, &status), HTTP_FAIL_TLS);
	assert_int_equal(get_tls(f, buf_str(&ca), "localhost", port, &status), HTTP_FAIL_TLS);
	assert_null(http_client_new(f->loop, &bad, &err));
	assert_int_equal(err.cls, ERR_USER);
	err_clear(&err);
	buf_free(&ca);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(run_quietly(command), 0);
}

/* ---- loop -------------------------------------------------------------------------------------------------
 */

struct tick {
	struct loop_timer t;
	int *order, id;
};

static void on_tick(void *ctx)
{
	struct tick *t = ctx;

	*t->order = *t->order * 10 + t->id;
}

static void test_timers(void **state)
{
	struct fixture *f = *state;
	int order = 0;
	struct tick t[5];
	static const int ms[5] = {40, 10, 30, 20, 25};

	for (int i = 0; i < 5; i++) {
		t[i] = (struct tick){.order = &order, .id = i + 1};
		t[i].t = (struct loop_timer){.fn = on_tick, .ctx = &t[i]};
		loop_timer_set(f->loop, &t[i].t, ms[i]);
	}
	loop_timer_stop(f->loop, &t[4].t);
	assert_false(loop_timer_on(&t[4].t));
	loop_timer_set(f->loop, &t[1].t, 50);
	while (loop_timer_on(&t[0].t) || loop_timer_on(&t[1].t))
		assert_true(loop_step(f->loop, -1, NULL));
	assert_int_equal(order, 4312);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_reason, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_body, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_parallel, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_once, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_not_a_url, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_retry_after, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_timers, setup, teardown),
	        cmocka_unit_test(test_backoff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
