/*
 * x509 - keys, certificates, requests and the names in them: what the modules about TLS share. What is
 * returned lives as long as the task.
 */
#ifndef MODULES_X509_H
#define MODULES_X509_H
#include <openssl/x509v3.h>
#include "modules/module.h"

/* ---- PEM */
/* The private key in the file PATH or, without that, in CONTENT; NULL and failed when it cannot be had. */
EVP_PKEY *x509_key(struct mod_ctx *m, const char *path, const char *content, const char *passphrase);
/* The first certificate or request in PEM; NULL when there is none, which is no failure. */
X509 *x509_cert(struct mod_ctx *m, struct str pem);
X509_REQ *x509_request(struct mod_ctx *m, struct str pem);
/* Every certificate in PEM, in order; NULL when one cannot be read. */
STACK_OF(X509) * x509_certs(struct mod_ctx *m, struct str pem);
struct str x509_cert_pem(struct mod_ctx *m, X509 *cert);
struct str x509_request_pem(struct mod_ctx *m, X509_REQ *req);
struct str x509_public_pem(struct mod_ctx *m, EVP_PKEY *key);
/* For PEM functions: CTX is the passphrase or NULL. OpenSSL never asks anybody. */
int x509_give_passphrase(char *buf, int size, int writing, void *ctx);
/* X is freed with the task. */
X509 *x509_keep(struct mod_ctx *m, X509 *x);
X509_REQ *x509_keep_request(struct mod_ctx *m, X509_REQ *x);

/* ---- names */
/* commonName, serverAuth, 1.2.3: NULL and failed when it is none. */
ASN1_OBJECT *x509_oid(struct mod_ctx *m, const char *name);
/* As OpenSSL names it, in full or short, or the number. */
const char *x509_oid_name(struct mod_ctx *m, const ASN1_OBJECT *o, bool in_full);
/* "DNS:x", "IP:10.0.0.0/8", "dirName:CN=x,O=y" ...: NULL and failed, WHAT being what it was to be. */
GENERAL_NAME *x509_general(struct mod_ctx *m, const char *text, const char *what);
GENERAL_NAMES *x509_generals(struct mod_ctx *m, const struct val *list, const char *what);
const char *x509_general_text(struct mod_ctx *m, const GENERAL_NAME *g);
/* [[name, value], ...] as a name, and back. */
X509_NAME *x509_name(struct mod_ctx *m, const struct val *pairs);
struct val *x509_name_pairs(struct mod_ctx *m, const X509_NAME *name, bool in_full);
/* {name: value} of pairs: the last one of a name wins. */
struct val *x509_pairs_map(struct mod_ctx *m, const struct val *pairs);

/* ---- values */
/* "+1w2d", "-3h", "20301231235959Z" as seconds since 1970; false and failed, NAME being whose value it was.
 */
bool x509_time(struct mod_ctx *m, const char *text, const char *name, int64_t *ret);
/* YYYYMMDDHHMMSSZ, and seconds. */
const char *x509_time_text(struct mod_ctx *m, const ASN1_TIME *t, int64_t *ret);
/* "0a:b1:..." */
const char *x509_hex(struct mod_ctx *m, struct str bytes);
bool x509_unhex(struct mod_ctx *m, const char *hex, struct str *ret);
/* An integer, or the decimal digits of one that has more than 64 bits. */
struct val *x509_number(struct mod_ctx *m, const BIGNUM *n);
struct val *x509_serial(struct mod_ctx *m, const ASN1_INTEGER *n);
/* The SHA-1 of a public key's bits: its usual identifier. */
struct str x509_key_id(struct mod_ctx *m, EVP_PKEY *key);

/* ---- what is to be said */
/* {md5: "..", ...} of bytes; with ONE only sha256. */
struct val *x509_fingerprints(struct mod_ctx *m, struct str der, bool one);
/* Of a key's public half. */
struct val *x509_key_fingerprints(struct mod_ctx *m, EVP_PKEY *key, bool one);
/* {size, modulus, exponent}, {curve, x, y, exponent_size} ...; the kind in *TYPE. */
struct val *x509_public_data(struct mod_ctx *m, EVP_PKEY *key, const char **type);
struct val *x509_cert_info(struct mod_ctx *m, X509 *cert, bool one);
struct val *x509_request_info(struct mod_ctx *m, X509_REQ *req, bool one);
/* The two sides of a diff. WHAT: can_parse_csr and the like, added. */
struct val *x509_described(struct mod_ctx *m, struct val *info, const char *what);
void x509_diff(struct mod_ctx *m, struct val *before, struct val *after);

/* ---- files */
/* That there is a directory to put PATH in. */
bool x509_directory(struct mod_ctx *m, const char *path);
/* PATH goes, with its copy when one is wanted. */
bool x509_absent(struct mod_ctx *m, const char *path);
/* Argument NAME's text, or null, as a result. */
void x509_echo(struct mod_ctx *m, const char *key, const char *name);
#endif
