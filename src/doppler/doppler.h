/*
 * doppler - the run's secrets, in one download from Doppler. All or nothing: what cannot be fetched whole is
 * an error, never an empty or an old set.
 */
#ifndef DOPPLER_DOPPLER_H
#define DOPPLER_DOPPLER_H
#include "base/val.h"

struct loop;

struct doppler_opts {
	const char *api;     /* NULL or "": https://api.doppler.com. http:// only on the loopback */
	struct str ca_pem;   /* trusted in addition */
	const char *token;   /* dp.st. carries its project and config; the other kinds need the two below */
	const char *project; /* may be NULL or "" */
	const char *config;
	/* Without a token: a service account identity that trusts GitHub's OIDC. */
	const char *identity;
	const char *oidc_url, *oidc_token; /* ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN */
	const char *oidc_audience;         /* NULL or "": GitHub's default, the owner's URL */
	/* Ask Doppler which of them are no secrets (visibility "unmasked"). Else all are but DOPPLER_*. */
	bool visibility;
	int timeout_ms; /* of one try; 0: 10 s */
	int pause_ms;   /* before the second try, doubled each time; 0: 500 */
};

/*
 * The secrets as a map name -> string, marked secret, and registered with the log's redaction. Up to five
 * tries on 429 (as Retry-After says), 5xx and lost connections. ERR_USER when Doppler refuses the token or
 * knows no such config, ERR_UNREACHABLE when it cannot be reached, ERR_REMOTE when its answer makes no sense.
 */
bool doppler_fetch(struct loop *l, struct arena *a, const struct doppler_opts *o, struct val **ret,
                   struct err *err);

/* The answers' parsers, for doppler_fetch and for fuzzing. */
bool doppler_parse_secrets(struct arena *a, struct str text, struct val **ret, struct err *err);
/* The names with visibility "unmasked", as a map name -> true. */
bool doppler_parse_visibility(struct arena *a, struct str text, struct val **ret, struct err *err);
#endif
