/*
 * echo - does anything answer a ping at an address? One packet, one look. Where the system does not let us
 * ask, nothing answers.
 */
#ifndef NET_ECHO_H
#define NET_ECHO_H
#include "net/loop.h"

/* Zero-initialise, keep it in place while asked. */
struct echo {
	bool heard;
	/* own */
	struct loop *loop;
	struct loop_io io;
	uint32_t address;
	int fd;
	bool asking;
};

/* Sends one packet to ADDRESS (dotted) and listens until echo_stop(). */
void echo_ask(struct loop *l, struct echo *e, const char *address);
void echo_stop(struct echo *e);
#endif
