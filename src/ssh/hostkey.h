/*
 * hostkey - is this the host we meant? Keys are "type base64" lines.
 */
#ifndef SSH_HOSTKEY_H
#define SSH_HOSTKEY_H
#include "base/err.h"
#include "base/arena.h"
#include "base/val.h"

/* The keys that KNOWN_HOSTS (OpenSSH's format: names, patterns, negation, [host]:port, hashed) holds for
 * HOST:PORT, as a VAL_LIST of lines; those @revoked go to *REVOKED. @cert-authority lines are passed over. */
struct val *known_hosts_find(struct arena *a, struct str known_hosts, const char *host, int port,
                             struct val **ret_revoked);
/* The type of the key BLOB as SSH sends it ("ssh-ed25519"), empty when it is broken. */
struct str hostkey_type(struct str blob);
/* "type base64" of BLOB, in A. */
const char *hostkey_line(struct arena *a, struct str blob);
/* "SHA256:..." of BLOB as ssh-keygen -l shows it, in A. */
const char *hostkey_fingerprint(struct arena *a, struct str blob);
/* Whether LINE's type and key are BLOB; comments behind and options before them do not count. */
bool hostkey_same(const char *line, struct str blob);
/* libssh2's preference list of key algorithms, those of the types in LINES first: a server that has such a
 * key shows it, and one that has not any more shows that it has another. In A. */
const char *hostkey_prefs(struct arena *a, const struct val *lines);
#endif
