#include "net/echo.h"

#include <arpa/inet.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void echo_stop(struct echo *e)
{
	if (!e->asking)
		return;
	loop_io_set(e->loop, &e->io, e->fd, 0);
	close(e->fd);
	e->asking = false;
}

/* A raw socket also hears what is meant for others, and our own question when it is to ourselves. */
static bool is_answer(const struct echo *e, const unsigned char *p, size_t n, const struct sockaddr_in *from)
{
	size_t head = n && p[0] >> 4 == 4 ? (size_t)(p[0] & 15) * 4 : 0;

	return from->sin_addr.s_addr == e->address && n > head && p[head] == ICMP_ECHOREPLY;
}

static void on_io(void *ctx, short revents)
{
	struct echo *e = ctx;
	unsigned char got[128];
	struct sockaddr_in from = {0};
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(e->fd, got, sizeof(got), 0, (struct sockaddr *)&from, &size);

	(void)revents;
	e->heard |= n > 0 && is_answer(e, got, (size_t)n, &from);
	if (e->heard)
		echo_stop(e);
}

static int open_socket(void)
{
	int how = SOCK_CLOEXEC | SOCK_NONBLOCK, fd = socket(AF_INET, SOCK_DGRAM | how, IPPROTO_ICMP);

	return fd >= 0 ? fd : socket(AF_INET, SOCK_RAW | how, IPPROTO_ICMP);
}

static uint16_t checksum(const struct icmphdr *h)
{
	uint16_t words[sizeof(*h) / 2];
	uint32_t sum = 0;

	memcpy(words, h, sizeof(*h));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

void echo_ask(struct loop *l, struct echo *e, const char *address)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct icmphdr h = {
	        .type = ICMP_ECHO, .un.echo.id = htons((uint16_t)getpid()), .un.echo.sequence = htons(1)};

	if (e->asking || e->heard || inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return;
	e->fd = open_socket();
	if (e->fd < 0)
		return;
	h.checksum = checksum(&h);
	e->loop = l;
	e->address = to.sin_addr.s_addr;
	e->io = (struct loop_io){.fn = on_io, .ctx = e};
	e->asking = true;
	loop_io_set(l, &e->io, e->fd, POLLIN);
	if (sendto(e->fd, &h, sizeof(h), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		echo_stop(e);
}
