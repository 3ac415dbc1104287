/* ssh: host keys, and links to the real agent - this very program - through an sshd of the test's own. */
#include "agent/agent.h"
#include "agent/proto.h"
#include "base/fs.h"
#include "net/loop.h"
#include "ssh/hostkey.h"
#include "ssh/link.h"
#include "ssh/session.h"
#include "ssh/wire.h"

#include <arpa/inet.h>
#include <libssh2.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the server -------------------------------------------------------------------------------------------
 */

struct server {
	char dir[64];
	int port;
	pid_t pid; /* 0: there is no sshd on this machine */
	struct arena *a;
	char *key, *host_key, *known;
};

extern char **environ;
static struct server server;

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *fmt, ...)
{
	char command[4096];
	va_list ap;
	int status = -1;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	pid = fork();
	if (pid == 0) {
		if (chdir(server.dir) == 0)
			execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static char *slurp(const char *name)
{
	struct buf b = {0};
	struct err err = {0};
	struct str s;

	assert_true(fs_read(fs_join(server.a, server.dir, name), &b, &err));
	s = buf_take(&b, server.a);
	buf_free(&b);
	return (char *)(uintptr_t)s.p;
}

static int free_port(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

static bool answers(int port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	                          .sin_port = htons((uint16_t)port),
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0;

	close(fd);
	return ok;
}

static int start_server(void **state)
{
	struct server *s = &server;

	(void)state;
	snprintf(s->dir, sizeof(s->dir), "/tmp/test-ssh-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->a = arena_new(NULL);
	if (access("/usr/sbin/sshd", X_OK) != 0)
		return 0;
	s->port = free_port();
	assert_int_equal(
	        shell("ssh-keygen -q -t ed25519 -N '' -f host && ssh-keygen -q -t ed25519 -N '' -f key && "
	              "ssh-keygen -q -t ecdsa -N '' -f key2 && ssh-keygen -q -t rsa -m PEM -N '' -f key3 && "
	              "ssh-keygen -q -t ed25519 -N 'pass word' -f key4 && "
	              "cat key.pub key2.pub key3.pub key4.pub >keys && ssh-keygen -q -t ed25519 -N '' -f "
	              "other && mkdir home"),
	        0);
	assert_int_equal(
	        shell("mkdir -p /run/sshd 2>/dev/null; printf '%%s\\n' 'Port %d' 'ListenAddress 127.0.0.1' "
	              "'HostKey %s/host' 'AuthorizedKeysFile %s/keys' 'StrictModes no' 'UsePAM no' "
	              "'PidFile none' 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' "
	              "'PermitRootLogin yes' 'SetEnv HOME=%s/home' >config",
	              s->port, s->dir, s->dir, s->dir),
	        0);
	s->pid = fork();
	if (s->pid == 0) {
		alarm(120);
		if (chdir(s->dir) == 0)
			execl("/bin/sh", "sh", "-c", "exec /usr/sbin/sshd -D -e -f config 2>log",
			      (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 200 && !answers(s->port); i++)
		usleep(20000);
	s->key = slurp("key");
	s->host_key = slurp("host.pub");
	s->known = arena_printf(s->a, "[127.0.0.1]:%d %s", s->port, s->host_key);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	if (server.pid) {
		kill(server.pid, SIGTERM);
		waitpid(server.pid, NULL, 0);
	}
	assert_int_equal(shell("rm -rf %s", server.dir), 0);
	arena_free(server.a);
	return 0;
}

/* ---- a link, and tasks over it ----------------------------------------------------------------------------
 */

struct world {
	struct arena *a;
	struct loop *loop;
	struct ssh_links *links;
	struct ssh_target t;
	const char *host_keys[2];
	int uploads, connects, losses;
	char first_contact[1024];
};

static void on_event(void *ctx, const char *host, bool trouble, const char *text)
{
	struct world *w = ctx;

	(void)host, (void)trouble;
	w->uploads += strcmp(text, "sending the agent") == 0;
	w->connects += strncmp(text, "connected in", 12) == 0;
	w->losses += strstr(text, "lost") != NULL;
}

static int setup(void **state)
{
	struct arena *a = arena_new(NULL);
	struct world *w = ARENA_NEW(a, struct world);
	struct err err = {0};
	struct ssh_links_opts o = {.event = on_event, .ctx = w, .agent_path = "/proc/self/exe"};

	w->a = a;
	w->loop = loop_new(&err);
	o.loop = w->loop;
	w->links = ssh_links_new(&o, &err);
	assert_non_null(w->links);
	w->host_keys[0] = server.host_key;
	w->t = (struct ssh_target){.host = "127.0.0.1",
	                           .port = server.port,
	                           .key = str_c(server.key),
	                           .no_agent = true,
	                           .host_keys = w->host_keys};
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	ssh_links_free(w->links);
	loop_free(w->loop);
	arena_free(w->a);
	return 0;
}

static struct link_req *request(struct world *w, struct link *l, const char *module, const char *arg,
                                const char *value)
{
	struct link_req *r = ARENA_NEW(w->a, struct link_req);
	struct val *args = val_map(w->a);

	r->a = w->a;
	r->task = val_map(w->a);
	val_set(args, arg, val_strz(w->a, value));
	val_set(r->task, "module", val_strz(w->a, module));
	val_set(r->task, "args", args);
	l->ops->submit(l, r);
	return r;
}

static void wait_for(struct world *w, struct link_req *r)
{
	struct link_pump p = links_pump(w->links);
	int64_t until = loop_now() + 30000;

	while (!r->done && loop_now() < until)
		assert_true(p.step(p.ctx, 1000, NULL));
	assert_true(r->done);
}

static void expect_ok(struct world *w, struct link_req *r)
{
	wait_for(w, r);
	if (err_is(&r->err))
		fail_msg("%s", err_msg(&r->err));
	if (val_map_bool(r->result, "failed", false))
		fail_msg("%s", val_map_strz(r->result, "msg", "?"));
}

static void expect_unreachable(struct world *w, const struct ssh_target *t, const char *text)
{
	struct link_req *r = request(w, ssh_link_new(w->links, t), "ping", "data", "x");

	wait_for(w, r);
	assert_int_equal(r->err.cls, ERR_UNREACHABLE);
	if (!strstr(err_msg(&r->err), text))
		fail_msg("\"%s\" is not in: %s", text, err_msg(&r->err));
	err_clear(&r->err);
}

static void need_server(void)
{
	if (!server.pid)
		skip();
}

static void test_tasks(void **state)
{
	struct world *w = *state;
	struct link *l;
	struct link_req *one, *two;

	need_server();
	l = ssh_link_new(w->links, &w->t);
	one = request(w, l, "ping", "data", "first");
	two = request(w, l, "shell", "_raw_params", "echo $((40 + 2))");
	expect_ok(w, two);
	assert_true(one->done);
	assert_string_equal(val_map_strz(one->result, "ping", ""), "first");
	assert_string_equal(val_map_strz(two->result, "stdout", ""), "42");
	assert_int_equal(w->uploads, 1);
	/* A second link finds the program there. It is ours alone, under its checksum's name. */
	expect_ok(w, request(w, ssh_link_new(w->links, &w->t), "ping", "data", "x"));
	assert_int_equal(w->uploads, 1);
	assert_int_equal(w->connects, 2);
	assert_int_equal(shell("cd home/.cache/nante/agent && [ $(stat -c %%a .) = 700 ] && [ $(ls -A | wc "
	                       "-l) = 1 ] && "
	                       "[ agent-$(cat agent-* | sha256sum | cut -d' ' -f1) = $(ls) ]"),
	                 0);
}

static void test_damaged_copy(void **state)
{
	struct world *w = *state;

	need_server();
	assert_int_equal(shell("mkdir -p home/.cache/nante/agent && cd home/.cache/nante/agent && for f in "
	                       "agent-*; do [ "
	                       "! -f $f ] || "
	                       "{ rm -f $f; echo broken >$f; chmod 700 $f; }; done"),
	                 0);
	expect_ok(w, request(w, ssh_link_new(w->links, &w->t), "ping", "data", "x"));
	assert_int_equal(w->uploads, 1);
}

static void test_keys(void **state)
{
	struct world *w = *state;
	static const char *const names[] = {"key2", "key3"};
	struct buf crlf = {0};

	need_server();
	/* libssh2 before 1.11 signs with an RSA key in a way that servers of today refuse. */
	for (size_t i = 0; i < (libssh2_version(0x010b00) ? 2 : 1); i++) {
		struct ssh_target t = w->t;

		t.key = str_n(NULL, 0);
		t.key_file = fs_join(w->a, server.dir, names[i]);
		expect_ok(w, request(w, ssh_link_new(w->links, &t), "ping", "data", "x"));
	}
	/* As a secret store returns it: CR LF, and no newline at the end. */
	for (const char *p = server.key; *p; p++) {
		if (*p == '\n' && !p[1])
			break;
		buf_adds(&crlf, *p == '\n' ? "\r\n" : (char[]){*p, 0});
	}
	w->t.key = buf_take(&crlf, w->a);
	buf_free(&crlf);
	expect_ok(w, request(w, ssh_link_new(w->links, &w->t), "ping", "data", "x"));
	w->t.key = str_c(slurp("key4"));
	w->t.passphrase = "pass word";
	expect_ok(w, request(w, ssh_link_new(w->links, &w->t), "ping", "data", "x"));
}

static bool on_first_contact(void *ctx, const struct ssh_target *t, const char *line)
{
	struct world *w = ctx;

	(void)t;
	snprintf(w->first_contact, sizeof(w->first_contact), "%s", line);
	return true;
}

static void test_host_keys(void **state)
{
	struct world *w = *state;
	const char *other[] = {NULL, NULL};
	struct ssh_target t = w->t;

	need_server();
	other[0] = slurp("other.pub");
	t.host_keys = other;
	expect_unreachable(w, &t, "is not the one known");
	t.host_keys = NULL;
	expect_unreachable(w, &t, "is not known");
	t.known_hosts = str_c(server.known);
	expect_ok(w, request(w, ssh_link_new(w->links, &t), "ping", "data", "x"));
	t.known_hosts = str_c(arena_printf(w->a, "@revoked * %s", server.host_key));
	t.no_host_key_check = true;
	expect_unreachable(w, &t, "revoked");
	t.known_hosts = str_n(NULL, 0);
	expect_ok(w, request(w, ssh_link_new(w->links, &t), "ping", "data", "x"));
	t.no_host_key_check = false;
	t.first_contact = on_first_contact;
	t.ctx = w;
	expect_ok(w, request(w, ssh_link_new(w->links, &t), "ping", "data", "x"));
	assert_int_equal(strncmp(w->first_contact, server.host_key, strlen(w->first_contact)), 0);
	assert_true(strlen(w->first_contact) > 60);
}

static void test_unreachable(void **state)
{
	struct world *w = *state;
	struct ssh_target t = w->t;
	int64_t began = loop_now();

	need_server();
	t.key = str_c(slurp("other"));
	expect_unreachable(w, &t, "refused");
	t.key = STR("-----BEGIN OPENSSH PRIVATE KEY-----\nbroken\n-----END OPENSSH PRIVATE KEY-----\n");
	expect_unreachable(w, &t, "the private key given");
	t = w->t;
	t.port = free_port();
	expect_unreachable(w, &t, "refused");
	assert_true(loop_now() - began < 8000);
	/* A name that never resolves (RFC 6761). */
	t.host = "nothing.invalid";
	expect_unreachable(w, &t, "cannot resolve");
}

/* A server that accepts and says nothing. */
static void test_silent(void **state)
{
	struct world *w = *state;
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ssh_target t = {.host = "127.0.0.1", .connect_ms = 300, .no_agent = true};

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	t.port = ntohs(sin.sin_port);
	expect_unreachable(w, &t, "in time");
	close(fd);
}

/* A host that is still starting is waited for; one that refuses us is not. */
static void test_waited_for(void **state)
{
	struct world *w = *state;
	struct ssh_target t = w->t;
	struct link_req *r;
	int64_t began = loop_now();

	need_server();
	t.wait_ms = 10000;
	t.key = str_c(slurp("other"));
	expect_unreachable(w, &t, "refused");
	assert_true(loop_now() - began < 9000);
	t = w->t;
	t.wait_ms = 700;
	t.port = free_port();
	began = loop_now();
	expect_unreachable(w, &t, "refused");
	assert_true(loop_now() - began >= 700);
	t.wait_ms = 20000;
	r = request(w, ssh_link_new(w->links, &t), "ping", "data", "x");
	assert_int_equal(shell("sed 's/^Port .*/Port %d/' config >late && (sleep 1; exec timeout 20 "
	                       "/usr/sbin/sshd -D -f late 2>/dev/null) &",
	                       t.port),
	                 0);
	expect_ok(w, r);
}

static void test_jump(void **state)
{
	struct world *w = *state;
	struct ssh_target jump = w->t, bad = w->t;
	struct link_req *r;

	need_server();
	w->t.jump = &jump;
	r = request(w, ssh_link_new(w->links, &w->t), "shell", "_raw_params", "echo there");
	expect_ok(w, r);
	assert_string_equal(val_map_strz(r->result, "stdout", ""), "there");
	/* A second host behind it shares the jump host's connection. */
	expect_ok(w, request(w, ssh_link_new(w->links, &w->t), "ping", "data", "x"));
	bad.port = free_port();
	w->t.jump = &bad;
	expect_unreachable(w, &w->t, "jump host");
}

static void ignore_news(void *ctx)
{
	(void)ctx;
}

/* Both streams come whole, in however many pieces, and the status with them. */
static void test_exec(void **state)
{
	struct world *w = *state;
	struct ssh_session *s;

	need_server();
	s = ssh_session_new(w->loop, &w->t, NULL);
	while (ssh_session_state(s) == SSH_CONNECTING)
		assert_true(loop_step(w->loop, -1, NULL));
	for (int i = 0; i < 5; i++) {
		struct wire *x = ssh_session_exec(
		        s, "printf a >&2; printf b >&2; echo out; cat; printf cd >&2; exit 3");

		x->ready = ignore_news;
		buf_adds(&x->out, "in");
		wire_flush(x);
		while (!strstr(x->in.p ? x->in.p : "", "in") || x->errs.n < 2)
			assert_true(loop_step(w->loop, -1, NULL));
		assert_string_equal(x->errs.p, "ab");
		wire_close(x);
		x = ssh_session_exec(s, "printf a >&2; printf b >&2; echo out; printf cd >&2; exit 3");
		x->ready = ignore_news;
		while (!x->eof)
			assert_true(loop_step(w->loop, -1, NULL));
		assert_int_equal(x->exit_status, 3);
		assert_string_equal(x->errs.p, "abcd");
		assert_string_equal(x->in.p, "out\n");
		wire_close(x);
	}
	ssh_session_free(s);
}

static void kill_connections(void)
{
	assert_int_equal(shell("kill -9 $(cat /proc/%d/task/%d/children)", (int)server.pid, (int)server.pid),
	                 0);
}

/* The connection dies under a running task: it is adopted, and has run once. */
static void test_adopted(void **state)
{
	struct world *w = *state;
	struct link *l;
	struct link_req *slow, *queued;
	struct link_pump p = links_pump(w->links);
	int64_t until = loop_now() + 700;

	need_server();
	l = ssh_link_new(w->links, &w->t);
	expect_ok(w, request(w, l, "ping", "data", "x"));
	slow = request(w, l, "shell", "_raw_params",
	               arena_printf(w->a, "sleep 1.5; echo once >>%s/ran; echo done", server.dir));
	queued = request(w, l, "shell", "_raw_params", arena_printf(w->a, "echo twice >>%s/ran", server.dir));
	while (loop_now() < until)
		assert_true(p.step(p.ctx, 100, NULL));
	assert_false(slow->done);
	kill_connections();
	expect_ok(w, queued);
	assert_true(slow->done);
	assert_false(err_is(&slow->err));
	assert_string_equal(val_map_strz(slow->result, "stdout", ""), "done");
	assert_string_equal(slurp("ran"), "once\ntwice\n");
	assert_int_equal(w->losses, 1);
}

/* The server does not come back: unreachable after the limit, not before. */
static void test_not_coming_back(void **state)
{
	struct world *w = *state;
	struct link *l;
	struct link_req *r;
	struct link_pump p = links_pump(w->links);
	int64_t began;

	need_server();
	w->t.reconnect_ms = 1000;
	w->t.connect_ms = 300;
	l = ssh_link_new(w->links, &w->t);
	expect_ok(w, request(w, l, "ping", "data", "x"));
	r = request(w, l, "shell", "_raw_params", "sleep 20");
	began = loop_now();
	while (loop_now() - began < 300)
		assert_true(p.step(p.ctx, 100, NULL));
	/* New connections are refused, the one there is dies. */
	kill(server.pid, SIGSTOP);
	kill_connections();
	wait_for(w, r);
	kill(server.pid, SIGCONT);
	assert_int_equal(r->err.cls, ERR_UNREACHABLE);
	assert_true(loop_now() - began > 900);
	err_clear(&r->err);
}

/* ---- content ----------------------------------------------------------------------------------------------
 */

struct content {
	struct str text;
	char sha256[65];
	int asked;
};

static bool give_content(void *ctx, struct str sha256, struct str *ret)
{
	struct content *c = ctx;

	c->asked++;
	if (!str_eqc(sha256, c->sha256))
		return false;
	*ret = c->text;
	return true;
}

static void test_content(void **state)
{
	struct world *w = *state;
	struct link *l;
	struct content c = {0};
	char *big = arena_alloc(w->a, 5000001);

	need_server();
	for (size_t i = 0; i < 5000000; i++)
		big[i] = (char)('a' + i * i % 23);
	c.text = str_n(big, 5000000);
	unsigned char md[32];
	EVP_Digest(big, 5000000, md, NULL, EVP_sha256(), NULL);
	for (size_t i = 0; i < 32; i++)
		snprintf(c.sha256 + 2 * i, 3, "%02x", md[i]);
	l = ssh_link_new(w->links, &w->t);
	for (int i = 0; i < 2; i++) {
		struct link_req *r = ARENA_NEW(w->a, struct link_req);
		struct val *args = val_map(w->a), *content = val_map(w->a);

		*r = (struct link_req){.a = w->a, .task = val_map(w->a), .content = give_content, .ctx = &c};
		val_set(args, "dest", val_strf(w->a, "%s/big", server.dir));
		val_set(content, "sha256", val_strz(w->a, c.sha256));
		val_set(content, "name", val_strz(w->a, "big"));
		val_set(r->task, "module", val_strz(w->a, "copy"));
		val_set(r->task, "args", args);
		val_set(r->task, "content", content);
		l->ops->submit(l, r);
		expect_ok(w, r);
		assert_int_equal(val_map_bool(r->result, "changed", false), i == 0);
	}
	assert_int_equal(c.asked, 1);
	assert_string_equal(slurp("big"), big);
}

static void test_local(void **state)
{
	struct world *w = *state;
	struct link *l = local_link_new(w->links, NULL);
	struct link_req *r = request(w, l, "shell", "_raw_params", "echo here; exit 3");

	wait_for(w, r);
	assert_false(err_is(&r->err));
	assert_int_equal(val_map_int(r->result, "rc", -1), 3);
	assert_string_equal(val_map_strz(r->result, "stdout", ""), "here");
	l->ops->reset(l);
	r = request(w, l, "ping", "data", "again");
	expect_ok(w, r);
}

/* The agent on this machine is killed under its task: told, not repeated. */
static void test_agent_killed(void **state)
{
	struct world *w = *state;
	struct link *l = local_link_new(w->links, NULL);
	struct link_req *r = request(w, l, "shell", "_raw_params", "kill -9 $PPID; sleep 1");

	wait_for(w, r);
	assert_int_equal(r->err.cls, ERR_REMOTE);
	assert_non_null(strstr(err_msg(&r->err), "died while it ran"));
	err_clear(&r->err);
	expect_ok(w, request(w, l, "ping", "data", "x"));
}

/* ---- host keys without a host -----------------------------------------------------------------------------
 */

static void test_known_hosts(void **state)
{
	struct arena *a = arena_new(NULL);
	/* The hashed name is "hashed.example", made by ssh-keygen -H. */
	struct str text =
	        STR("# comment\n\nplain,10.0.0.5 ssh-ed25519 AAAA1 note\n*.lab,!bad.lab ssh-rsa AAAA2\n"
	            "[box]:2222 ssh-ed25519 AAAA3\n@cert-authority * ssh-rsa AAAA4\n@revoked plain ssh-rsa "
	            "AAAA5\n");
	static const struct {
		const char *host;
		int port;
		const char *keys;
		size_t revoked;
	} cases[] = {
	        {"plain", 22, "['ssh-ed25519 AAAA1']", 1},
	        {"10.0.0.5", 22, "['ssh-ed25519 AAAA1']", 0},
	        {"PLAIN", 22, "['ssh-ed25519 AAAA1']", 1},
	        {"x.lab", 22, "['ssh-rsa AAAA2']", 0},
	        {"bad.lab", 22, "[]", 0},
	        {"box", 22, "[]", 0},
	        {"box", 2222, "['ssh-ed25519 AAAA3']", 0},
	        {"plain", 2222, "[]", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct val *revoked,
		        *keys = known_hosts_find(a, text, cases[i].host, cases[i].port, &revoked);

		assert_string_equal(val_text(keys, a).p, cases[i].keys);
		assert_int_equal(val_len(revoked), cases[i].revoked);
	}
	arena_free(a);
}

static void test_hashed_hosts(void **state)
{
	struct val *revoked, *keys;

	(void)state;
	need_server();
	assert_int_equal(shell("{ echo one.example $(cat host.pub); echo [two.example]:2022 $(cat "
	                       "other.pub); } >kh && "
	                       "ssh-keygen -q -H -f kh 2>/dev/null && ! grep -q example kh"),
	                 0);
	keys = known_hosts_find(server.a, str_c(slurp("kh")), "one.example", 22, &revoked);
	assert_int_equal(val_len(keys), 1);
	keys = known_hosts_find(server.a, str_c(slurp("kh")), "two.example", 2022, &revoked);
	assert_int_equal(val_len(keys), 1);
	keys = known_hosts_find(server.a, str_c(slurp("kh")), "two.example", 22, &revoked);
	assert_int_equal(val_len(keys), 0);
}

#define ECDSA "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"

static void test_key_lines(void **state)
{
	struct arena *a = arena_new(NULL);
	/* type "ssh-ed25519" and four bytes */
	struct str blob = STR("\0\0\0\013ssh-ed25519abcd");
	const char *line = hostkey_line(a, blob);
	struct val *lines = val_list(a);

	(void)state;
	assert_string_equal(line, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5YWJjZA==");
	assert_true(hostkey_same(line, blob));
	assert_true(hostkey_same(arena_printf(a, "host %s comment", line), blob));
	assert_false(hostkey_same("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5YWJjZQ==", blob));
	assert_false(hostkey_same("ssh-rsa AAAAC3NzaC1lZDI1NTE5YWJjZA==", blob));
	assert_false(hostkey_same("ssh-ed25519", blob));
	assert_false(hostkey_same(line, STR("\0\0\1\0x")));
	assert_false(hostkey_same(line, STR("")));
	assert_int_equal(strncmp(hostkey_fingerprint(a, blob), "SHA256:", 7), 0);
	assert_string_equal(hostkey_prefs(a, lines), "ssh-ed25519," ECDSA ",rsa-sha2-512,rsa-sha2-256");
	val_push(lines, val_strz(a, "ssh-rsa AAAA"));
	val_push(lines, val_strz(a, "host ssh-ed25519 AAAA"));
	assert_string_equal(hostkey_prefs(a, lines), "ssh-ed25519,rsa-sha2-512,rsa-sha2-256," ECDSA);
	arena_free(a);
}

/* libssh2 1.10 loses two numbers of an ECDSA key. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:CRYPTO_zalloc";
}

static struct val *test_var(void *ctx, const char *name)
{
	return val_get(ctx, name);
}

static void test_target(void **state)
{
	struct arena *a = arena_new(NULL);
	struct val *vars = val_map(a);
	struct ssh_target t;
	struct err err = {0};

	(void)state;
	assert_true(ssh_target_from_vars(a, "web1", test_var, vars, &t, &err));
	assert_string_equal(t.host, "web1");
	assert_true(t.default_keys && !t.jump && !t.no_host_key_check && !t.user && !t.port);
	val_set(vars, "ansible_host", val_strz(a, "10.0.0.5"));
	val_set(vars, "ansible_port", val_strz(a, "2222"));
	val_set(vars, "ansible_user", val_strz(a, "deploy"));
	val_set(vars, "ansible_become_pass", val_strz(a, "x y"));
	val_set(vars, "ansible_ssh_common_args",
	        val_strz(a, "-C -o ControlMaster=auto -o 'StrictHostKeyChecking no' "
	                    "-oUserKnownHostsFile=/dev/null "
	                    "-o ConnectTimeout=3 -J me@[fe80::1]:23,in.lab"));
	assert_true(ssh_target_from_vars(a, "web1", test_var, vars, &t, &err));
	assert_string_equal(t.host, "10.0.0.5");
	assert_int_equal(t.port, 2222);
	assert_string_equal(t.user, "deploy");
	assert_string_equal(t.become_password, "x y");
	assert_true(t.no_host_key_check);
	assert_int_equal(t.connect_ms, 3000);
	assert_string_equal(t.jump->host, "in.lab");
	assert_int_equal(t.jump->port, 0);
	assert_null(t.jump->user);
	assert_string_equal(t.jump->jump->host, "fe80::1");
	assert_int_equal(t.jump->jump->port, 23);
	assert_string_equal(t.jump->jump->user, "me");
	assert_null(t.jump->jump->jump);
	val_set(vars, "ansible_ssh_common_args",
	        val_strz(a, "-o ProxyCommand=\"ssh -q -W %h:%p -p 24 deploy@bastion\""));
	assert_true(ssh_target_from_vars(a, "web1", test_var, vars, &t, &err));
	assert_string_equal(t.jump->host, "bastion");
	assert_string_equal(t.jump->user, "deploy");
	assert_int_equal(t.jump->port, 24);
	/* What it cannot do it must not pass over. */
	val_set(vars, "ansible_ssh_common_args", val_strz(a, "-o ProxyCommand='nc %h %p'"));
	assert_false(ssh_target_from_vars(a, "web1", test_var, vars, &t, &err));
	assert_int_equal(err.cls, ERR_USER);
	err_clear(&err);
	val_set(vars, "ansible_ssh_common_args", val_strz(a, "-o BindAddress=10.0.0.1"));
	assert_false(ssh_target_from_vars(a, "web1", test_var, vars, &t, &err));
	assert_non_null(strstr(err_msg(&err), "BindAddress"));
	err_clear(&err);
	val_set(vars, "ansible_ssh_common_args", val_null());
	val_set(vars, "ansible_port", val_strz(a, "ssh"));
	assert_false(ssh_target_from_vars(a, "web1", test_var, vars, &t, &err));
	err_clear(&err);
	arena_free(a);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_known_hosts),
	        cmocka_unit_test(test_hashed_hosts),
	        cmocka_unit_test(test_key_lines),
	        cmocka_unit_test(test_target),

	        cmocka_unit_test_setup_teardown(test_tasks, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_damaged_copy, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_host_keys, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_unreachable, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_waited_for, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_jump, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_content, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_adopted, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_local, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_agent_killed, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_not_coming_back, setup, teardown),
	};
	struct agent_opts o = {.in = 0, .out = 1, .build = "test", .env = (const char *const *)environ};

	if (argc == 2 && strcmp(argv[1], "agent") == 0)
		return agent_main(&o);
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
