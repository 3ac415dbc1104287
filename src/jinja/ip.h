/*
 * ip - addresses and networks of both versions, as the filters over them see them.
 */
#ifndef JINJA_IP_H
#define JINJA_IP_H
#include "base/arena.h"
#include "base/str.h"

__extension__ typedef unsigned __int128 addr_t;

/* An address with the length of its network's prefix. */
struct net {
	addr_t ip;
	int bits; /* 32 or 128 */
	int prefix;
	bool is_net; /* written with a "/" */
};

/* VERSION 6: a bare number is an IPv6 address; 0, 4: by its size. */
bool ip_parse(struct arena *a, struct str s, int version, struct net *ret);
const char *ip_text(struct arena *a, addr_t ip, int bits);
addr_t ip_mask(const struct net *n);
addr_t ip_first(const struct net *n);
addr_t ip_last(const struct net *n);
/* The first or last address a host may have. */
addr_t ip_usable(const struct net *n, bool last);
#endif
