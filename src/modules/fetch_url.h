/*
 * fetch_url - one HTTP(S), FTP or file request from the host, for uri, get_url and packages given by address.
 */
#ifndef MODULES_FETCH_URL_H
#define MODULES_FETCH_URL_H
#include "modules/module.h"

struct fetch {
	const char *url, *method; /* method NULL: GET */
	struct str body;
	const struct val *headers; /* map or NULL */
	const char *if_modified;   /* a date for If-Modified-Since, or NULL */
	const char *follow;        /* "all", "safe", "none", "urllib2" (also NULL) */
	int out_fd;                /* >= 0: the body goes there, not into "body" of the answer */
};

struct fetched {
	long status;     /* -1: no answer */
	const char *msg; /* "OK (5 bytes)", "HTTP Error 404: Not Found", "Request failed: ..." */
	const char *url; /* after redirects */
	bool redirected;
	struct val *headers; /* names in lower case with _ for -, the last answer's */
	struct val *cookies; /* name to value */
	struct str body;
	int64_t bytes;
	double seconds;
};

/* The arguments that modules using this share. */
#define FETCH_ARGS                                                                                          \
	{"url_username", MT_STR, .aliases = "user|username", .doc = "User name."},                          \
	        {"url_password", MT_STR, MA_NO_LOG, .aliases = "password", .doc = "Password."},             \
	        {"force_basic_auth", MT_BOOL, .dflt = "false", .doc = "Send them with the first request."}, \
	        {"validate_certs", MT_BOOL, .dflt = "true", .doc = "Check the server's certificate."},      \
	        {"ca_path", MT_PATH, .doc = "Certificates to trust, in PEM."},                              \
	        {"client_cert", MT_PATH, .doc = "Client certificate."},                                     \
	        {"client_key", MT_PATH, .doc = "Its key."},                                                 \
	        {"use_proxy", MT_BOOL, .dflt = "true", .doc = "Heed the proxies of the environment."},      \
	        {"unix_socket", MT_PATH, .doc = "Connect to this socket."},                                 \
	        {"http_agent", MT_STR, .dflt = "ansible-httpget", .doc = "The User-Agent."},                \
	        {"timeout", MT_INT, .dflt = "30",                                                           \
	         .doc = "Seconds until the connection is there or stands still."},                          \
	        {"unredirected_headers", MT_LIST, .elem = MT_STR,                                           \
	         .doc = "Headers that a redirected request does not get."},                                 \
	        {"ciphers", MT_LIST, .elem = MT_STR, .doc = "TLS ciphers."},                                \
	        {"decompress", MT_BOOL, .dflt = "true", .doc = "Unpack a compressed answer."},              \
	        {"use_netrc", MT_BOOL, .dflt = "true", .doc = "Ignored."},                                  \
	{                                                                                                   \
		"use_gssapi", MT_BOOL, .dflt = "false", .doc = "Ignored."                                   \
	}

/* Always answers: what went wrong is in status and msg. Takes the shared arguments from m->args where they
 * are. */
void fetch_url(struct mod_ctx *m, const struct fetch *f, struct fetched *ret);
/* The address TO as seen from BASE, which it may be relative to. */
const char *fetch_absolute(struct mod_ctx *m, const char *base, const char *to);
/* URL's content in a temporary file ending in SUFFIX, to be removed by the caller; NULL and failed. */
const char *fetch_to_temp(struct mod_ctx *m, const char *url, const char *suffix);
#endif
