#include "net/greeting.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void greeting_stop(struct greeting *g)
{
	if (!g->asking)
		return;
	loop_io_set(g->loop, &g->io, g->fd, 0);
	loop_timer_stop(g->loop, &g->limit);
	close(g->fd);
	g->asking = false;
}

static void give_up(void *ctx)
{
	greeting_stop(ctx);
}

static void on_io(void *ctx, short revents)
{
	struct greeting *g = ctx;
	size_t want = strlen(g->begins);
	char got[16];
	ssize_t n = recv(g->fd, got, want < sizeof(got) ? want : sizeof(got), 0);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	g->heard = n > 0 && memcmp(got, g->begins, (size_t)n) == 0;
	greeting_stop(g);
}

void greeting_ask(struct loop *l, struct greeting *g, const char *address, int port, const char *begins,
                  int ms)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	if (g->asking || g->heard || inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return;
	g->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->fd < 0)
		return;
	g->loop = l;
	g->begins = begins;
	g->io = (struct loop_io){.fn = on_io, .ctx = g};
	g->limit = (struct loop_timer){.fn = give_up, .ctx = g};
	g->asking = true;
	loop_io_set(l, &g->io, g->fd, POLLIN);
	loop_timer_set(l, &g->limit, ms);
	if (connect(g->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		greeting_stop(g);
}
