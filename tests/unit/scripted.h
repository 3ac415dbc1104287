/* scripted - an HTTP server for tests: answers by rules, keeps what it was asked. */
#ifndef TESTS_SCRIPTED_H
#define TESTS_SCRIPTED_H
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct rule {
	const char *start;  /* of the request, e.g. "GET /x"; the first rule that fits and has times left
	                       answers */
	int times;          /* 0: as often as asked */
	const char *answer; /* "200 OK", further header lines, an empty line, the body; NULL: hangs; "": hangs
	                       up */
};

struct scripted {
	pid_t pid;
	int port;
	char *asked; /* all requests so far, shared with the server's process */
};

#define SCRIPTED_MAX 65536

static inline void scripted_read(int fd, char *to, size_t max)
{
	size_t n = 0;

	while (n < max - 1) {
		ssize_t got = read(fd, to + n, max - 1 - n);
		char *end, *len;

		if (got <= 0)
			return;
		n += (size_t)got;
		to[n] = 0;
		end = strstr(to, "\r\n\r\n");
		len = strstr(to, "Content-Length: ");
		if (end && n >= (size_t)(end + 4 - to) + (len ? strtoul(len + 16, NULL, 10) : 0))
			return;
	}
}

static inline void scripted_answer(int fd, const char *answer)
{
	const char *body = strstr(answer, "\n\n");
	char head[4096];
	int n = snprintf(head, sizeof(head),
	                 "HTTP/1.1 %.*s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
	                 (int)(body - answer), answer, strlen(body + 2));

	if (write(fd, head, (size_t)n) != n || write(fd, body + 2, strlen(body + 2)) < 0)
		_exit(3);
}

static inline void scripted_run(int fd, const struct rule *rules, char *asked)
{
	int used[64] = {0};

	alarm(120);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int c = accept(fd, NULL, NULL), i = 0;
		char req[16384] = "";

		if (c < 0)
			continue;
		scripted_read(c, req, sizeof(req));
		strncat(asked, req, SCRIPTED_MAX - strlen(asked) - 2);
		while (rules[i].start && (strncmp(req, rules[i].start, strlen(rules[i].start)) != 0 ||
		                          (rules[i].times && used[i] >= rules[i].times)))
			i++;
		used[i]++;
		if (!rules[i].start)
			scripted_answer(c, "599 no rule\n\n");
		else if (!rules[i].answer)
			continue; /* left open */
		else if (*rules[i].answer)
			scripted_answer(c, rules[i].answer);
		close(c);
	}
}

static inline struct scripted scripted_start(const struct rule *rules)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sin);
	struct scripted s = {0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&sin, n) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sin, &n) < 0)
		abort();
	s.port = ntohs(sin.sin_port);
	s.asked = mmap(NULL, SCRIPTED_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	s.pid = fork();
	if (s.pid == 0)
		scripted_run(fd, rules, s.asked);
	close(fd);
	return s;
}

static inline void scripted_stop(struct scripted *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	munmap(s->asked, SCRIPTED_MAX);
}

/* How often TEXT is in what was asked. */
static inline int scripted_count(const struct scripted *s, const char *text)
{
	int n = 0;

	for (const char *p = s->asked; (p = strstr(p, text)); p++)
		n++;
	return n;
}
#endif
