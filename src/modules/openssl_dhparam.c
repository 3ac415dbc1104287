#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include "modules/x509.h"

static EVP_PKEY *parse(struct str pem)
{
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *params = pem.p ? PEM_read_bio_Parameters(b, NULL) : NULL;
	BIO_free(b);
	ERR_clear_error();
	return params;
}

static bool will_do(const struct mod_ctx *m, struct str now)
{
	EVP_PKEY *params = parse(now);
	bool ok = params && EVP_PKEY_base_id(params) == EVP_PKEY_DH &&
	          EVP_PKEY_bits(params) == mod_int(m, "size", 4096);
	EVP_PKEY_free(params);
	return ok;
}

static EVP_PKEY *generate(int bits)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	EVP_PKEY *params = NULL;
	int generator = 2;
	/* A safe prime, as "openssl dhparam" makes it. */
	OSSL_PARAM how[] = {
	        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_FFC_TYPE, (char[]){"generator"}, 0),
	        OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_FFC_PBITS, &bits),
	        OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_DH_GENERATOR, &generator),
	        OSSL_PARAM_construct_end(),
	};
	if (ctx && EVP_PKEY_paramgen_init(ctx) == 1 && EVP_PKEY_CTX_set_params(ctx, how) == 1 &&
	    EVP_PKEY_generate(ctx, &params) != 1)
		params = NULL;
	EVP_PKEY_CTX_free(ctx);
	return params;
}

static bool make(struct mod_ctx *m, struct str *pem)
{
	EVP_PKEY *params = generate((int)mod_int(m, "size", 4096));
	BIO *b = BIO_new(BIO_s_mem());
	char *p = NULL;
	bool ok = params && PEM_write_bio_Parameters(b, params) == 1;
	long n = BIO_get_mem_data(b, &p);
	if (ok)
		*pem = str_dup(m->a, str_n(p, (size_t)n));
	EVP_PKEY_free(params);
	BIO_free(b);
	ERR_clear_error();
	return ok ||
	       mod_fail(m, "no parameters of %lld bits can be made", (long long)mod_int(m, "size", 4096));
}

static bool run(struct mod_ctx *m)
{
	const char *path = mod_arg(m, "path");
	struct str now = {0}, pem;
	if (!x509_directory(m, path) || !mod_read_maybe(m, path, &now))
		return false;
	mod_sets(m, "filename", path);
	mod_seti(m, "size", mod_int(m, "size", 4096));
	if (mod_is(m, "state", "absent"))
		return x509_absent(m, path);
	pem = now;
	if (mod_bool(m, "force") || !will_do(m, now)) {
		mod_changed(m);
		if (!m->check && (!make(m, &pem) || !mod_write(m, path, pem)))
			return false;
	}
	if (mod_bool(m, "return_content"))
		mod_set(m, "dhparams", pem.p ? val_str(m->a, pem) : val_null());
	return (m->check && !now.p) || mod_file_args(m, path);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .doc = "The file."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"size", MT_INT, .dflt = "4096", .doc = "Bits of the prime."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Make new ones each time."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"return_content", MT_BOOL, .dflt = "false", .doc = "Return the parameters themselves."},
        {"select_crypto_backend", MT_STR, .dflt = "auto", .choices = "auto|cryptography|openssl",
         .doc = "Accepted; it is OpenSSL."},
        {NULL},
};

const struct module module_row_openssl_dhparam = {
        .name = "openssl_dhparam",
        .from = "community.crypto",
        .doc = "Keeps Diffie-Hellman parameters; large ones take minutes to make.",
        .args = args,
        .flags = MOD_CHECK | MOD_FILE_ARGS,
        .run = run,
};
