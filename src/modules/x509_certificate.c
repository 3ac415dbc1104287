/* x509_certificate - and x509_certificate_pipe, which returns the certificate instead of keeping it in a
 * file. */
#include <openssl/err.h>
#include <openssl/rand.h>
#include "modules/x509.h"

typedef const STACK_OF(X509_EXTENSION) const_exts;

struct cert {
	struct mod_ctx *m;
	bool own_ca; /* else signed by itself */
	EVP_PKEY *key, *ca_key;
	X509 *ca;
	X509_REQ *csr;
	int64_t not_before, not_after;
	const char *ski; /* what becomes of the subject's key identifier */
	struct str now;  /* in PEM; p NULL: there is none */
	X509 *cert;      /* what is there, or what was made */
};

/* The provider's argument NAME. */
static const char *own_arg(struct cert *c, const char *name)
{
	return arena_printf(c->m->a, "%s_%s", c->own_ca ? "ownca" : "selfsigned", name);
}

/* ---- what it is made of */

static bool exists(struct cert *c, const char *arg, const char *what)
{
	const char *path = mod_arg(c->m, arg);
	return !path || fs_exists(path) || mod_fail(c->m, "The %s file %s does not exist", what, path);
}

static bool load_csr(struct cert *c)
{
	struct mod_ctx *m = c->m;
	struct str pem = mod_args(m, "csr_content");
	if (!exists(c, "csr_path", "certificate signing request") ||
	    (mod_has(m, "csr_path") && !mod_read(m, mod_arg(m, "csr_path"), &pem)))
		return false;
	if (!pem.p)
		return !c->own_ca || mod_fail(m, "csr_path or csr_content is required for ownca provider");
	c->csr = x509_request(m, pem);
	return c->csr || mod_fail(m, "The certificate signing request cannot be read");
}

static bool load_key(struct cert *c)
{
	struct mod_ctx *m = c->m;
	if (!mod_has(m, "privatekey_path") && !mod_has(m, "privatekey_content"))
		return c->own_ca ||
		       mod_fail(m, "One of privatekey_path and privatekey_content must be specified for "
		                   "the selfsigned provider.");
	if (!exists(c, "privatekey_path", "private key"))
		return false;
	c->key = x509_key(m, mod_arg(m, "privatekey_path"), mod_arg(m, "privatekey_content"),
	                  mod_arg(m, "privatekey_passphrase"));
	return c->key != NULL;
}

static bool load_ca(struct cert *c)
{
	struct mod_ctx *m = c->m;
	struct str pem = mod_args(m, "ownca_content");
	if (!mod_has(m, "ownca_path") && !pem.p)
		return mod_fail(
		        m, "One of ownca_path and ownca_content must be specified for the ownca provider.");
	if (!mod_has(m, "ownca_privatekey_path") && !mod_has(m, "ownca_privatekey_content"))
		return mod_fail(
		        m, "One of ownca_privatekey_path and ownca_privatekey_content must be specified for "
		           "the ownca provider.");
	if (!exists(c, "ownca_path", "CA certificate") ||
	    !exists(c, "ownca_privatekey_path", "CA private key") ||
	    (mod_has(m, "ownca_path") && !mod_read(m, mod_arg(m, "ownca_path"), &pem)))
		return false;
	c->ca = x509_cert(m, pem);
	if (!c->ca)
		return mod_fail(m, "The CA certificate cannot be read");
	c->ca_key = x509_key(m, mod_arg(m, "ownca_privatekey_path"), mod_arg(m, "ownca_privatekey_content"),
	                     mod_arg(m, "ownca_privatekey_passphrase"));
	if (!c->ca_key)
		return false;
	EVP_PKEY *of_cert = X509_get0_pubkey(c->ca);
	return (of_cert && EVP_PKEY_eq(of_cert, c->ca_key) == 1) ||
	       mod_fail(m, "The CA private key does not belong to the CA certificate");
}

static bool load(struct cert *c)
{
	struct mod_ctx *m = c->m;
	const char *from = own_arg(c, "not_before"), *to = own_arg(c, "not_after");
	if (mod_int(m, own_arg(c, "version"), 3) != 3)
		return mod_fail(m, "Only certificates of version 3 are made");
	c->ski = mod_arg(m, own_arg(c, "create_subject_key_identifier"));
	return x509_time(m, mod_arg(m, from), from, &c->not_before) &&
	       x509_time(m, mod_arg(m, to), to, &c->not_after) && (!c->own_ca || load_ca(c)) && load_key(c) &&
	       load_csr(c);
}

/* ---- making it */

static bool is_kind(X509_EXTENSION *e, int nid)
{
	return OBJ_obj2nid(X509_EXTENSION_get_object(e)) == nid;
}

static bool wants_aki(const struct cert *c)
{
	return c->own_ca && mod_bool(c->m, "ownca_create_authority_key_identifier");
}

/* Octets in A of an extension that identifies a key. */
static bool add_octets(X509 *x, int nid, struct str id)
{
	ASN1_OCTET_STRING *o = xneed(ASN1_OCTET_STRING_new());
	AUTHORITY_KEYID *aki = xneed(AUTHORITY_KEYID_new());
	ASN1_OCTET_STRING_set(o, (const unsigned char *)id.p, (int)id.n);
	bool authority = nid == NID_authority_key_identifier;
	if (authority)
		aki->keyid = o;
	bool ok = X509_add1_ext_i2d(x, nid, authority ? (void *)aki : o, 0, X509V3_ADD_APPEND) == 1;
	if (!authority)
		ASN1_OCTET_STRING_free(o);
	AUTHORITY_KEYID_free(aki);
	return ok;
}

static struct str octets(struct mod_ctx *m, const ASN1_OCTET_STRING *o)
{
	return o ? str_dup(m->a, str_n((const char *)ASN1_STRING_get0_data(o), (size_t)ASN1_STRING_length(o)))
	         : (struct str){0};
}

/* How the CA's key is identified: as its certificate says, or by the key. */
static struct str ca_id(struct cert *c)
{
	struct str id = octets(c->m, X509_get0_subject_key_id(c->ca));
	return id.p ? id : x509_key_id(c->m, c->ca_key);
}

/* The request's extensions, but those that are made here. */
static bool add_extensions(struct cert *c, EVP_PKEY *subject)
{
	STACK_OF(X509_EXTENSION) *from = c->csr ? X509_REQ_get_extensions(c->csr) : NULL;
	bool has_ski = false, ok = true;
	for (int i = 0; ok && i < X509v3_get_ext_count(from); i++) {
		X509_EXTENSION *e = X509v3_get_ext(from, i);
		bool ski = is_kind(e, NID_subject_key_identifier);
		if ((ski && strcmp(c->ski, "always_create") == 0) ||
		    (wants_aki(c) && is_kind(e, NID_authority_key_identifier)))
			continue;
		has_ski = has_ski || ski;
		ok = X509_add_ext(c->cert, e, -1) == 1;
	}
	sk_X509_EXTENSION_pop_free(from, X509_EXTENSION_free);
	if (ok && !has_ski && strcmp(c->ski, "never_create") != 0)
		ok = add_octets(c->cert, NID_subject_key_identifier, x509_key_id(c->m, subject));
	if (ok && wants_aki(c))
		ok = add_octets(c->cert, NID_authority_key_identifier, ca_id(c));
	return ok;
}

static bool add_serial(X509 *x)
{
	unsigned char bytes[20];
	BIGNUM *n = RAND_bytes(bytes, sizeof(bytes)) == 1 ? BN_bin2bn(bytes, sizeof(bytes), NULL) : NULL;
	bool ok = n && BN_clear_bit(n, 159) >= 0 && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return ok;
}

static bool set_times(struct cert *c, X509 *x)
{
	return ASN1_TIME_adj(X509_getm_notBefore(x), (time_t)c->not_before, 0, 0) &&
	       ASN1_TIME_adj(X509_getm_notAfter(x), (time_t)c->not_after, 0, 0);
}

static bool make(struct cert *c)
{
	struct mod_ctx *m = c->m;
	EVP_PKEY *signer = c->own_ca ? c->ca_key : c->key,
	         *subject = c->own_ca ? X509_REQ_get0_pubkey(c->csr) : c->key;
	int kind = EVP_PKEY_base_id(signer);
	const char *digest = mod_arg(m, own_arg(c, "digest"));
	const EVP_MD *md = EVP_get_digestbyname(digest);
	X509_NAME *nobody = x509_name(m, val_list(m->a)),
	          *name = c->csr ? X509_REQ_get_subject_name(c->csr) : nobody;
	if (!md)
		return mod_fail(m, "The digest %s is not supported", digest);
	if (kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448)
		md = NULL;
	if (c->not_after <= c->not_before)
		return mod_fail(m, "The certificate would end before it begins");
	c->cert = x509_keep(m, xneed(X509_new()));
	bool ok = subject && X509_set_version(c->cert, X509_VERSION_3) == 1 && add_serial(c->cert) &&
	          X509_set_subject_name(c->cert, name) == 1 &&
	          X509_set_issuer_name(c->cert, c->own_ca ? X509_get_subject_name(c->ca) : name) == 1 &&
	          set_times(c, c->cert) && X509_set_pubkey(c->cert, subject) == 1 &&
	          add_extensions(c, subject) && X509_sign(c->cert, signer, md) > 0;
	ERR_clear_error();
	return ok || mod_fail(m, "The certificate cannot be signed with this key");
}

/* ---- whether what is there will do */

static bool same_extension(X509_EXTENSION *x, X509_EXTENSION *y)
{
	return X509_EXTENSION_get_critical(x) == X509_EXTENSION_get_critical(y) &&
	       ASN1_STRING_cmp(X509_EXTENSION_get_data(x), X509_EXTENSION_get_data(y)) == 0;
}

static bool counts(const struct cert *c, X509_EXTENSION *e)
{
	return (strcmp(c->ski, "never_create") == 0 || !is_kind(e, NID_subject_key_identifier)) &&
	       (!wants_aki(c) || !is_kind(e, NID_authority_key_identifier));
}

/* Each of the certificate's extensions is the request's, and there are as many. */
static bool same_extensions(struct cert *c)
{
	STACK_OF(X509_EXTENSION) *of_csr = X509_REQ_get_extensions(c->csr);
	const_exts *of_cert = X509_get0_extensions(c->cert);
	int left = 0;
	bool same = true;
	for (int i = 0; i < X509v3_get_ext_count(of_csr); i++)
		left += counts(c, X509v3_get_ext(of_csr, i));
	for (int i = 0; same && i < X509v3_get_ext_count(of_cert); i++) {
		X509_EXTENSION *e = X509v3_get_ext(of_cert, i);
		if (!counts(c, e))
			continue;
		int at = X509v3_get_ext_by_OBJ(of_csr, X509_EXTENSION_get_object(e), -1);
		same = at >= 0 && same_extension(e, X509v3_get_ext(of_csr, at));
		left--;
	}
	sk_X509_EXTENSION_pop_free(of_csr, X509_EXTENSION_free);
	return same && left == 0;
}

static bool fits_csr(struct cert *c)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(c->csr), *now = X509_get0_pubkey(c->cert);
	return key && now && X509_REQ_verify(c->csr, key) == 1 && EVP_PKEY_eq(key, now) == 1 &&
	       X509_NAME_cmp(X509_REQ_get_subject_name(c->csr), X509_get_subject_name(c->cert)) == 0 &&
	       same_extensions(c);
}

static bool right_ski(struct cert *c)
{
	struct str now = octets(c->m, X509_get0_subject_key_id(c->cert)), want = {0};
	if (strcmp(c->ski, "never_create") == 0)
		return true;
	if (c->csr && strcmp(c->ski, "create_if_not_provided") == 0) {
		STACK_OF(X509_EXTENSION) *of_csr = X509_REQ_get_extensions(c->csr);
		ASN1_OCTET_STRING *o = X509V3_get_d2i(of_csr, NID_subject_key_identifier, NULL, NULL);
		want = octets(c->m, o);
		ASN1_OCTET_STRING_free(o);
		sk_X509_EXTENSION_pop_free(of_csr, X509_EXTENSION_free);
	}
	if (!want.p)
		want = x509_key_id(c->m, X509_get0_pubkey(c->cert));
	return now.p && str_eq(now, want);
}

static bool right_aki(struct cert *c)
{
	if (!wants_aki(c))
		return true;
	const ASN1_OCTET_STRING *id = X509_get0_authority_key_id(c->cert);
	return id && !X509_get0_authority_issuer(c->cert) && str_eq(octets(c->m, id), ca_id(c));
}

static bool right_times(struct cert *c)
{
	int64_t from, to;
	x509_time_text(c->m, X509_get0_notBefore(c->cert), &from);
	x509_time_text(c->m, X509_get0_notAfter(c->cert), &to);
	return mod_bool(c->m, "ignore_timestamps") || (from == c->not_before && to == c->not_after);
}

static bool right_signer(struct cert *c)
{
	EVP_PKEY *signer = c->own_ca ? c->ca_key : c->key;
	return X509_verify(c->cert, signer) == 1 &&
	       (!c->own_ca ||
	        X509_NAME_cmp(X509_get_subject_name(c->ca), X509_get_issuer_name(c->cert)) == 0);
}

static bool will_do(struct cert *c)
{
	struct mod_ctx *m = c->m;
	c->cert = c->now.p && !mod_bool(m, "force") ? x509_cert(m, c->now) : NULL;
	EVP_PKEY *now = c->cert ? X509_get0_pubkey(c->cert) : NULL;
	bool ok = now && (!c->key || EVP_PKEY_eq(now, c->key) == 1) && (!c->csr || fits_csr(c)) &&
	          right_ski(c) && right_times(c) && right_signer(c) && right_aki(c);
	/* Without a request, one of nobody for nothing is thought of. */
	if (ok && !c->csr)
		ok = X509_NAME_entry_count(X509_get_subject_name(c->cert)) == 0 &&
		     X509_get_ext_count(c->cert) == (strcmp(c->ski, "never_create") != 0);
	ERR_clear_error();
	return ok;
}

/* ---- the result */

static void say(struct cert *c)
{
	struct mod_ctx *m = c->m;
	X509 *x = c->cert;
	if (m->check && mod_is_changed(m)) { /* what it would be, but for its number */
		x = x509_keep(m, xneed(X509_new()));
		set_times(c, x);
	}
	mod_sets(m, "notBefore", x509_time_text(m, X509_get0_notBefore(x), NULL));
	mod_sets(m, "notAfter", x509_time_text(m, X509_get0_notAfter(x), NULL));
	mod_set(m, "serial_number", x509_serial(m, X509_get0_serialNumber(x)));
	if (c->own_ca) {
		x509_echo(m, "ca_cert", "ownca_path");
		x509_echo(m, "ca_privatekey", "ownca_privatekey_path");
	}
}

static struct val *described(struct cert *c, struct str pem)
{
	if (!pem.p)
		return NULL;
	X509 *x = x509_cert(c->m, pem);
	return x509_described(c->m, x ? x509_cert_info(c->m, x, true) : NULL, "can_parse_certificate");
}

/* *PEM is the certificate as it shall be. */
static bool bring(struct cert *c, struct str *pem)
{
	struct mod_ctx *m = c->m;
	struct val *before = described(c, c->now);
	c->own_ca = mod_is(m, "provider", "ownca");
	if (!load(c))
		return false;
	*pem = c->now;
	if (!will_do(c)) {
		mod_changed(m);
		if (!m->check && !make(c))
			return false;
		if (!m->check)
			*pem = x509_cert_pem(m, c->cert);
	}
	say(c);
	x509_diff(m, before, described(c, *pem));
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct cert c = {.m = m};
	struct str pem = {0};
	const char *path = mod_arg(m, "path");
	x509_echo(m, "privatekey", "privatekey_path");
	x509_echo(m, "csr", "csr_path");
	mod_sets(m, "filename", path);
	if (mod_is(m, "state", "absent")) {
		if (mod_bool(m, "return_content"))
			mod_set(m, "certificate", val_null());
		return x509_absent(m, path);
	}
	if (!x509_directory(m, path) || !mod_read_maybe(m, path, &c.now) || !bring(&c, &pem))
		return false;
	if (mod_is_changed(m) && !m->check && !mod_write(m, path, pem))
		return false;
	if (mod_bool(m, "return_content"))
		mod_set(m, "certificate", pem.p ? val_str(m->a, pem) : val_null());
	return (m->check && !c.now.p) || mod_file_args(m, path);
}

static bool run_pipe(struct mod_ctx *m)
{
	struct cert c = {.m = m, .now = mod_args(m, "content")};
	struct str pem = {0};
	x509_echo(m, "privatekey", "privatekey_path");
	x509_echo(m, "csr", "csr_path");
	if (!bring(&c, &pem))
		return false;
	mod_set(m, "certificate", pem.p ? val_str(m->a, pem) : val_null());
	return true;
}

#define SKI_ARG(prefix)                                                                 \
	{                                                                               \
		prefix "_create_subject_key_identifier", MT_STR,                        \
		        .dflt = "create_if_not_provided",                               \
		        .choices = "create_if_not_provided|always_create|never_create", \
		        .doc = "When it gets an identifier made of its key."            \
	}

#define CERT_ARGS                                                                                          \
	{"force", MT_BOOL, .dflt = "false", .doc = "Make a new one each time."},                           \
	        {"csr_path", MT_PATH, .doc = "The request's file."},                                       \
	        {"csr_content", MT_STR, .doc = "The request itself."},                                     \
	        {"ignore_timestamps", MT_BOOL, .dflt = "true",                                             \
	         .doc = "Other times of validity are no reason for a new one."},                           \
	        {"select_crypto_backend", MT_STR, .dflt = "auto", .choices = "auto|cryptography",          \
	         .doc = "Accepted; it is OpenSSL."},                                                       \
	        {"privatekey_path", MT_PATH, .doc = "The key's file."},                                    \
	        {"privatekey_content", MT_STR, MA_NO_LOG, .doc = "The key itself."},                       \
	        {"privatekey_passphrase", MT_STR, MA_NO_LOG, .doc = "What it is encrypted with."},         \
	        {"selfsigned_version", MT_INT, .dflt = "3", .doc = "3."},                                  \
	        {"selfsigned_digest", MT_STR, .dflt = "sha256", .doc = "What it is signed with."},         \
	        {"selfsigned_not_before", MT_STR, .dflt = "+0s", .aliases = "selfsigned_notBefore",        \
	         .doc = "From when: +1d, -1h, or YYYYMMDDHHMMSSZ."},                                       \
	        {"selfsigned_not_after", MT_STR, .dflt = "+3650d", .aliases = "selfsigned_notAfter",       \
	         .doc = "Until when."},                                                                    \
	        SKI_ARG("selfsigned"), {"ownca_path", MT_PATH, .doc = "The CA's certificate: its file."},  \
	        {"ownca_content", MT_STR, .doc = "The CA's certificate itself."},                          \
	        {"ownca_privatekey_path", MT_PATH, .doc = "The CA's key: its file."},                      \
	        {"ownca_privatekey_content", MT_STR, MA_NO_LOG, .doc = "The CA's key itself."},            \
	        {"ownca_privatekey_passphrase", MT_STR, MA_NO_LOG, .doc = "What that is encrypted with."}, \
	        {"ownca_digest", MT_STR, .dflt = "sha256", .doc = "What the CA signs with."},              \
	        {"ownca_version", MT_INT, .dflt = "3", .doc = "3."},                                       \
	        {"ownca_not_before", MT_STR, .dflt = "+0s", .doc = "From when."},                          \
	        {"ownca_not_after", MT_STR, .dflt = "+3650d", .doc = "Until when."}, SKI_ARG("ownca"),     \
	{                                                                                                  \
		"ownca_create_authority_key_identifier", MT_BOOL, .dflt = "true",                          \
		                                                  .doc = "It names the CA's key."          \
	}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .doc = "The file."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"provider", MT_STR, .choices = "ownca|selfsigned", .doc = "Who signs it."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"return_content", MT_BOOL, .dflt = "false", .doc = "Return the certificate itself."},
        CERT_ARGS,
        {NULL},
};

static const struct mod_arg pipe_args[] = {
        {"content", MT_STR, .doc = "The certificate that is there."},
        {"provider", MT_STR, MA_REQUIRED, .choices = "ownca|selfsigned", .doc = "Who signs it."},
        CERT_ARGS,
        {NULL},
};

#define CERT_RULES                                                                                  \
	.mutually_exclusive = "csr_path|csr_content;privatekey_path|privatekey_content;ownca_path|" \
	                      "ownca_content;ownca_privatekey_path|ownca_privatekey_content"

const struct module module_row_x509_certificate = {
        .name = "x509_certificate",
        .from = "community.crypto",
        .doc = "Keeps a certificate, signed by itself or by a CA whose key is here.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        CERT_RULES,
        .required_if = "state=present:provider",
        .run = run,
};

const struct module module_row_x509_certificate_pipe = {
        .name = "x509_certificate_pipe",
        .from = "community.crypto",
        .doc = "Makes a certificate and returns it.",
        .args = pipe_args,
        .flags = MOD_CHECK | MOD_DIFF,
        CERT_RULES,
        .run = run_pipe,
};
