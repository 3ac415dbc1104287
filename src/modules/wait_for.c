#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "modules/module.h"
#include "modules/regex.h"

struct wait {
	struct mod_ctx *m;
	const char *host, *path;
	int64_t port; /* 0: none */
	const struct regex *re;
	int64_t began, until, pause_ms;
};

static int64_t left(const struct wait *w)
{
	int64_t ms = w->until - mod_now_ms();
	return ms > 0 ? ms : 0;
}

static bool cancelled(const struct wait *w)
{
	return w->m->io && w->m->io->cancelled && w->m->io->cancelled(w->m->io->ctx);
}

/* A connection to host:port, within MS; -1 when there is none. */
static int try_connect(const struct wait *w, int64_t ms)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char port[16];
	int fd = -1;
	struct str z = str_c(arena_printf(w->m->a, "%lld", (long long)w->port));
	memcpy(port, z.p, z.n + 1 < sizeof(port) ? z.n + 1 : sizeof(port));
	if (getaddrinfo(w->host, port, &hints, &list) != 0)
		return -1;
	for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
		int err = 0;
		socklen_t len = sizeof(err);
		fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			continue;
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		bool ok = connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 ||
		          (errno == EINPROGRESS && poll(&p, 1, (int)ms) > 0 &&
		           getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0);
		if (!ok) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

static void set_match(struct wait *w, struct str text, const struct regex_match *mt)
{
	struct mod_ctx *m = w->m;
	struct val *groups = val_list(m->a), *dict = val_map(m->a);
	for (size_t i = 1; mt && i < mt->n; i++)
		val_push(groups, mt->start[i] == SIZE_MAX ? val_null()
		                                          : val_str(m->a, str_n(text.p + mt->start[i],
		                                                                mt->end[i] - mt->start[i])));
	for (size_t i = 1; mt && i < mt->n; i++) {
		const char *name = regex_group_name(w->re, (int)i);
		if (name)
			val_set(dict, name, val_at(groups, i - 1));
	}
	mod_set(m, "match_groups", groups);
	mod_set(m, "match_groupdict", dict);
}

static bool matches(struct wait *w, struct str text)
{
	struct regex_match mt;
	if (!regex_search(w->re, text, 0, &mt))
		return false;
	set_match(w, text, &mt);
	return true;
}

/* Reads from FD until the expression matches, the end, or the time is up. */
static bool banner_matches(struct wait *w, int fd)
{
	struct buf b;
	char chunk[1024];
	bool hit = false;
	buf_init(&b, 1 << 20);
	while (!hit && !b.full) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, (int)left(w)) <= 0)
			break;
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		buf_add(&b, chunk, (size_t)n);
		hit = matches(w, buf_str(&b));
	}
	buf_free(&b);
	return hit;
}

static bool file_matches(struct wait *w)
{
	struct buf b = {0};
	struct err e = {0};
	bool ok = fs_read(w->path, &b, &e) && matches(w, str_dup(w->m->a, buf_str(&b)));
	err_clear(&e);
	buf_free(&b);
	return ok;
}

/* Whether REMOTE, ADDRESS:PORT as /proc/net/tcp* has it, is one of the hosts that do not count. */
static bool is_excluded(struct wait *w, const char *remote)
{
	const struct val *hosts = mod_list(w->m, "exclude_hosts");
	size_t n = strcspn(remote, ":");
	bool found = false;
	VAL_EACH (i, hosts) {
		struct addrinfo *list = NULL;
		if (getaddrinfo(val_get_strz(val_at(hosts, i)), NULL, NULL, &list) != 0)
			continue;
		for (const struct addrinfo *p = list; p; p = p->ai_next) {
			uint32_t a[4] = {0, 0, 0xffff0000, 0}; /* an IPv4 address within IPv6 */
			char hex[33];
			if (p->ai_family == AF_INET)
				memcpy(&a[3],
				       (const char *)p->ai_addr + offsetof(struct sockaddr_in, sin_addr), 4);
			else
				memcpy(a, (const char *)p->ai_addr + offsetof(struct sockaddr_in6, sin6_addr),
				       16);
			snprintf(hex, sizeof(hex), "%08X%08X%08X%08X", a[0], a[1], a[2], a[3]);
			found = found || (n == 32 && memcmp(remote, hex, n) == 0) ||
			        (n == 8 && p->ai_family == AF_INET && memcmp(remote, hex + 24, n) == 0);
		}
		freeaddrinfo(list);
	}
	return found;
}

/* Connections of /proc/net/tcp* with our local port in one of the states asked for. */
static int64_t connections(struct wait *w)
{
	static const struct {
		const char *name;
		unsigned code;
	} states[] = {{"ESTABLISHED", 1}, {"SYN_SENT", 2},  {"SYN_RECV", 3},
	              {"FIN_WAIT1", 4},   {"FIN_WAIT2", 5}, {"TIME_WAIT", 6}};
	const struct val *wanted = mod_list(w->m, "active_connection_states");
	static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
	int64_t count = 0;
	for (size_t t = 0; t < 2; t++) {
		struct buf b = {0};
		struct err e = {0};
		if (!fs_read(tables[t], &b, &e))
			err_clear(&e);
		struct str rest = buf_str(&b);
		while (rest.p && rest.n) {
			struct str line = str_split(&rest, '\n');
			unsigned slot, port, state;
			char local[64], remote[64];
			const char *z = arena_strndup(w->m->a, line.p, line.n);
			if (sscanf(z, " %u: %32[0-9A-Fa-f]:%x %63s %x", &slot, local, &port, remote,
			           &state) != 5 ||
			    port != (unsigned)w->port || is_excluded(w, remote))
				continue;
			for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
				VAL_EACH (j, wanted)
					count +=
					        states[i].code == state &&
					        str_eqc(val_text(val_at(wanted, j), w->m->a), states[i].name);
		}
		buf_free(&b);
	}
	return count;
}

/* Whether what is waited for is so now. */
static bool is_so(struct wait *w, const char *state)
{
	int64_t step = mod_int(w->m, "connect_timeout", 5) * 1000;
	bool gone = strcmp(state, "absent") == 0 || strcmp(state, "stopped") == 0;
	if (strcmp(state, "drained") == 0)
		return connections(w) == 0;
	if (w->path) {
		if (gone)
			return !fs_exists(w->path);
		return fs_exists(w->path) && (!w->re || file_matches(w));
	}
	int fd = try_connect(w, step < left(w) ? step : left(w));
	bool up = fd >= 0;
	if (up && !gone && w->re)
		up = banner_matches(w, fd);
	if (fd >= 0)
		close(fd);
	return gone ? !up : up;
}

static bool time_is_up(struct wait *w, const char *state)
{
	struct mod_ctx *m = w->m;
	mod_seti(m, "elapsed", (mod_now_ms() - w->began) / 1000);
	const char *what = w->path ? w->path : arena_printf(m->a, "%s:%lld", w->host, (long long)w->port);
	if (mod_has(m, "msg"))
		return mod_fail(m, "%s", mod_arg(m, "msg"));
	if (strcmp(state, "absent") == 0 || strcmp(state, "stopped") == 0)
		return mod_fail(m,
		                w->path ? "Timeout when waiting for %s to be absent."
		                        : "Timeout when waiting for %s to stop.",
		                what);
	if (strcmp(state, "drained") == 0)
		return mod_fail(m, "Timeout when waiting for %s to drain", what);
	if (w->re)
		return mod_fail(m, "Timeout when waiting for search string %s in %s",
		                mod_arg(m, "search_regex"), what);
	return mod_fail(m, w->path ? "Timeout when waiting for file %s" : "Timeout when waiting for %s",
	                what);
}

static void rest_for(const struct wait *w, int64_t ms)
{
	if (ms > 0)
		usleep((useconds_t)((ms < left(w) ? ms : left(w)) * 1000));
}

static bool run(struct mod_ctx *m)
{
	struct err e = {0};
	const char *state = mod_arg(m, "state");
	struct wait w = {.m = m,
	                 .host = mod_arg(m, "host"),
	                 .path = mod_arg(m, "path"),
	                 .port = mod_int(m, "port", 0)};
	if (w.port && w.path)
		return mod_fail(m, "port and path parameter can not both be passed to wait_for");
	if (w.path && strcmp(state, "stopped") == 0)
		return mod_fail(
		        m, "state=stopped should only be used for checking a port in the wait_for module");
	if (w.path && strcmp(state, "drained") == 0)
		return mod_fail(
		        m, "state=drained should only be used for checking a port in the wait_for module");
	if (val_len(mod_list(m, "exclude_hosts")) && strcmp(state, "drained") != 0)
		return mod_fail(m, "exclude_hosts should only be with state=drained");
	if (mod_has(m, "search_regex") &&
	    !(w.re = regex_new(m->a, mod_args(m, "search_regex"), REGEX_MULTILINE, &e)))
		return mod_fail_err(m, &e);
	w.began = mod_now_ms();
	w.until = w.began + mod_int(m, "timeout", 300) * 1000;
	set_match(&w, (struct str){0}, NULL);
	if (mod_int(m, "delay", 0) > 0)
		usleep((useconds_t)(mod_int(m, "delay", 0) * 1000000));
	/* Looked at often at first: most of what is waited for comes soon. */
	int64_t most = mod_int(m, "sleep", 1) * 1000, now = most < 50 ? most : 50;
	bool nothing = !w.port && !w.path,
	     done = nothing && strcmp(state, "started") != 0 && strcmp(state, "present") != 0;
	while (!done && !(done = !nothing && is_so(&w, state)) && left(&w) && !cancelled(&w)) {
		rest_for(&w, now);
		now = now * 2 < most ? now * 2 : most;
	}
	if (!done && !nothing)
		return time_is_up(&w, state);
	mod_seti(m, "elapsed", (mod_now_ms() - w.began) / 1000);
	mod_sets(m, "state", state);
	mod_set(m, "port", w.port ? val_int(m->a, w.port) : val_null());
	mod_set(m, "path", w.path ? val_strz(m->a, w.path) : val_null());
	mod_set(m, "search_regex", w.re ? val_str(m->a, mod_args(m, "search_regex")) : val_null());
	return true;
}

static const struct mod_arg args[] = {
        {"host", MT_STR, .dflt = "127.0.0.1", .doc = "Where the port is."},
        {"port", MT_INT, .doc = "The port."},
        {"path", MT_PATH, .doc = "A file instead of a port."},
        {"state", MT_STR, .dflt = "started", .choices = "absent|drained|present|started|stopped",
         .doc = "What to wait for."},
        {"search_regex", MT_STR, .doc = "What the file or the connection must contain."},
        {"timeout", MT_INT, .dflt = "300", .doc = "Seconds in all."},
        {"connect_timeout", MT_INT, .dflt = "5", .doc = "Seconds one connection may take."},
        {"delay", MT_INT, .dflt = "0", .doc = "Seconds before the first look."},
        {"sleep", MT_INT, .dflt = "1", .doc = "Seconds between looks, at most."},
        {"active_connection_states", MT_LIST, .elem = MT_STR,
         .dflt = "ESTABLISHED,FIN_WAIT1,FIN_WAIT2,SYN_RECV,SYN_SENT,TIME_WAIT",
         .doc = "Which connections count."},
        {"exclude_hosts", MT_LIST, .elem = MT_STR, .doc = "Hosts whose connections do not count."},
        {"msg", MT_STR, .doc = "What to say when the time is up."},
        {NULL},
};

const struct module module_row_wait_for = {
        .name = "wait_for",
        .from = "ansible.builtin",
        .doc = "Waits for a port or a file.",
        .args = args,
        .flags = MOD_READ_ONLY,
        .run = run,
};
