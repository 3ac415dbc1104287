/*
 * greeting - does a service that speaks first answer at an address? One connection, one look, nothing sent.
 */
#ifndef NET_GREETING_H
#define NET_GREETING_H
#include "net/loop.h"

/* Zero-initialise, keep it in place while asked. */
struct greeting {
	bool heard; /* it began with what was asked for; stays true */
	/* own */
	struct loop *loop;
	struct loop_io io;
	struct loop_timer limit;
	const char *begins;
	int fd;
	bool asking;
};

/* Connects to ADDRESS (dotted) and listens whether what comes begins with BEGINS ("SSH-"). Does nothing while
 * it is at it, or has heard it. */
void greeting_ask(struct loop *l, struct greeting *g, const char *address, int port, const char *begins,
                  int ms);
void greeting_stop(struct greeting *g);
#endif
