/* x509_certificate_info - openssl_csr_info, openssl_publickey_info: what stands in a file or in the task. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include "modules/x509.h"

static bool read_pem(struct mod_ctx *m, const char *what, struct str *ret)
{
	*ret = mod_args(m, "content");
	if (mod_has(m, "content"))
		return true;
	const char *path = mod_arg(m, "path");
	return fs_exists(path) ? mod_read(m, path, ret)
	                       : mod_fail(m,
	                                  "Error while reading %s file from disk: [Errno 2] No such file or "
	                                  "directory: '%s'",
	                                  what, path);
}

/* Names are told as they are written: the two other ways differ where a label is xn--... */
static bool names_can_be_told(struct mod_ctx *m, const struct val *info)
{
	const struct val *names = val_get(info, "subject_alt_name");
	if (!mod_is(m, "name_encoding", "unicode") || !names)
		return true;
	VAL_EACH (i, names)
		if (str_find(val_get_str(val_at(names, i)), STR("xn--"), 0) >= 0)
			return mod_fail(m,
			                "Names are not decoded here: %s; name_encoding can be ignore or idna",
			                val_get_strz(val_at(names, i)));
	return true;
}

static void tell(struct mod_ctx *m, const struct val *info)
{
	MAP_EACH (i, info)
		val_setk(m->result, val_key_at(info, i), val_value_at(info, i));
}

static bool add_valid_at(struct mod_ctx *m, X509 *cert)
{
	const struct val *asked = val_get(m->args, "valid_at");
	struct val *answers = val_map(m->a);
	int64_t from, to, at;
	x509_time_text(m, X509_get0_notBefore(cert), &from);
	x509_time_text(m, X509_get0_notAfter(cert), &to);
	for (size_t i = 0; asked && i < val_len(asked); i++) {
		const char *name = val_get_strz(val_key_at(asked, i));
		struct str when = val_text(val_value_at(asked, i), m->a);
		if (!x509_time(m, arena_strndup(m->a, when.p, when.n),
		               arena_printf(m->a, "valid_at.%s", name), &at))
			return false;
		val_set(answers, name, val_bool(from <= at && at <= to));
	}
	mod_set(m, "valid_at", answers);
	return true;
}

static bool run_cert(struct mod_ctx *m)
{
	struct str pem;
	if (!read_pem(m, "certificate", &pem))
		return false;
	X509 *cert = x509_cert(m, pem);
	if (!cert) { /* or in DER */
		const unsigned char *p = (const unsigned char *)pem.p;
		cert = x509_keep(m, d2i_X509(NULL, &p, (long)pem.n));
		ERR_clear_error();
	}
	if (!cert)
		return mod_fail(m, "The certificate cannot be parsed");
	struct val *info = x509_cert_info(m, cert, false);
	if (!names_can_be_told(m, info) || !add_valid_at(m, cert))
		return false;
	tell(m, info);
	return true;
}

static bool run_request(struct mod_ctx *m)
{
	struct str pem;
	if (!read_pem(m, "CSR", &pem))
		return false;
	X509_REQ *req = x509_request(m, pem);
	if (!req)
		return mod_fail(m, "The certificate signing request cannot be parsed");
	struct val *info = x509_request_info(m, req, false);
	if (!names_can_be_told(m, info))
		return false;
	tell(m, info);
	return val_map_bool(info, "signature_valid", false) || mod_fail(m, "CSR signature is invalid!");
}

static bool run_key(struct mod_ctx *m)
{
	struct str pem;
	const char *type = "";
	if (!read_pem(m, "public key", &pem))
		return false;
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PUBKEY(b, NULL, x509_give_passphrase, NULL);
	BIO_free(b);
	ERR_clear_error();
	if (!key)
		return mod_fail(m, "Error while deserializing key");
	mod_set(m, "fingerprints", x509_key_fingerprints(m, key, false));
	mod_set(m, "public_data", x509_public_data(m, key, &type));
	mod_sets(m, "type", type);
	EVP_PKEY_free(key);
	return true;
}

#define INFO_ARGS                                                                                        \
	{"path", MT_PATH, .doc = "The file."}, {"content", MT_STR, .doc = "Its content, in its place."}, \
	{                                                                                                \
		"select_crypto_backend", MT_STR, .dflt = "auto", .choices = "auto|cryptography",         \
		                                 .doc = "Accepted; it is OpenSSL."                       \
	}

#define ENCODING_ARG                                                                                     \
	{                                                                                                \
		"name_encoding", MT_STR, .dflt = "ignore", .choices = "ignore|idna|unicode",             \
		                         .doc = "How international names are told: as they are written." \
	}

static const struct mod_arg cert_args[] = {
        INFO_ARGS,
        ENCODING_ARG,
        {"valid_at", MT_DICT, .doc = "Times to tell of whether it is valid then."},
        {NULL},
};

static const struct mod_arg request_args[] = {INFO_ARGS, ENCODING_ARG, {NULL}};
static const struct mod_arg key_args[] = {INFO_ARGS, {NULL}};

#define INFO_RULES .required_one_of = "path|content", .mutually_exclusive = "path|content"

const struct module module_row_x509_certificate_info = {
        .name = "x509_certificate_info",
        .from = "community.crypto",
        .doc = "Tells what stands in a certificate.",
        .args = cert_args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        INFO_RULES,
        .run = run_cert,
};

const struct module module_row_openssl_csr_info = {
        .name = "openssl_csr_info",
        .from = "community.crypto",
        .doc = "Tells what stands in a request for a certificate.",
        .args = request_args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        INFO_RULES,
        .run = run_request,
};

const struct module module_row_openssl_publickey_info = {
        .name = "openssl_publickey_info",
        .from = "community.crypto",
        .doc = "Tells what a public key is.",
        .args = key_args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        INFO_RULES,
        .run = run_key,
};
