/*
 * pgp - OpenPGP public keys as far as apt's keyrings need it: whose key is this, and where does it end.
 */
#ifndef MODULES_PGP_H
#define MODULES_PGP_H
#include "base/arena.h"
#include "base/str.h"

enum { PGP_IDS = 32 };

struct pgp_key {
	struct str packets;       /* the key with its user ids, signatures and subkeys */
	const char *fingerprint;  /* in capital hex */
	const char *ids[PGP_IDS]; /* fingerprints of the key and its subkeys */
	size_t n;
};

bool pgp_is_armored(struct str s);
/* The packets in S, which is armored or binary; false when it is neither. */
bool pgp_packets(struct arena *a, struct str s, struct str *ret);
/* PACKETS as the text of an .asc file. */
struct str pgp_armor(struct arena *a, struct str packets);
/* Cuts the next key off *REST; false at the end, or where the packets make no sense. */
bool pgp_next(struct arena *a, struct str *rest, struct pgp_key *ret);
/* Whether ID (the last 8 or 16 digits, or the fingerprint, 0x before it or not, any case) names the key. */
bool pgp_is(const struct pgp_key *k, const char *id);
#endif
