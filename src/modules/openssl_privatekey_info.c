#include <openssl/core_names.h>
#include <openssl/err.h>
#include "modules/x509.h"

static void set_secret(struct mod_ctx *m, struct val *map, const char *name, EVP_PKEY *key, const char *param)
{
	BIGNUM *n = NULL;
	if (EVP_PKEY_get_bn_param(key, param, &n) == 1)
		val_set(map, name, val_mark_secret(m->a, x509_number(m, n)));
	BN_clear_free(n);
}

static struct val *private_data(struct mod_ctx *m, EVP_PKEY *key)
{
	struct val *d = val_map(m->a);
	switch (EVP_PKEY_base_id(key)) {
	case EVP_PKEY_RSA:
		set_secret(m, d, "p", key, OSSL_PKEY_PARAM_RSA_FACTOR1);
		set_secret(m, d, "q", key, OSSL_PKEY_PARAM_RSA_FACTOR2);
		set_secret(m, d, "exponent", key, OSSL_PKEY_PARAM_RSA_D);
		break;
	case EVP_PKEY_DSA: set_secret(m, d, "x", key, OSSL_PKEY_PARAM_PRIV_KEY); break;
	case EVP_PKEY_EC: set_secret(m, d, "multiplier", key, OSSL_PKEY_PARAM_PRIV_KEY); break;
	default: break;
	}
	ERR_clear_error();
	return d;
}

/* Null where nobody can tell. */
static struct val *consistent(EVP_PKEY *key)
{
	int kind = EVP_PKEY_base_id(key);
	if (kind == EVP_PKEY_X25519 || kind == EVP_PKEY_X448)
		return val_null();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool ok = ctx && EVP_PKEY_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return val_bool(ok);
}

static bool run(struct mod_ctx *m)
{
	const char *path = mod_arg(m, "path"), *type = "";
	mod_setb(m, "can_load_key", false);
	mod_setb(m, "can_parse_key", false);
	mod_set(m, "key_is_consistent", val_null());
	if (path && !fs_exists(path))
		return mod_fail(m,
		                "Error while reading private key file from disk: [Errno 2] No such file or "
		                "directory: "
		                "'%s'",
		                path);
	mod_setb(m, "can_load_key", true);
	EVP_PKEY *key = x509_key(m, path, mod_arg(m, "content"), mod_arg(m, "passphrase"));
	if (!key)
		return false;
	mod_setb(m, "can_parse_key", true);
	mod_setstr(m, "public_key", x509_public_pem(m, key));
	mod_set(m, "public_key_fingerprints", x509_key_fingerprints(m, key, false));
	mod_set(m, "public_data", x509_public_data(m, key, &type));
	mod_sets(m, "type", type);
	if (mod_bool(m, "return_private_key_data"))
		mod_set(m, "private_data", private_data(m, key));
	if (!mod_bool(m, "check_consistency"))
		return true;
	struct val *good = consistent(key);
	mod_set(m, "key_is_consistent", good);
	return val_is_null(good) || val_get_bool(good) || mod_fail(m, "Private key is not consistent!");
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, .doc = "The file."},
        {"content", MT_STR, MA_NO_LOG, .doc = "Its content, in its place."},
        {"passphrase", MT_STR, MA_NO_LOG, .doc = "What it is encrypted with."},
        {"return_private_key_data", MT_BOOL, .dflt = "false", .doc = "Tell its secret numbers, too."},
        {"check_consistency", MT_BOOL, .dflt = "false", .doc = "See whether its parts belong together."},
        {"select_crypto_backend", MT_STR, .dflt = "auto", .choices = "auto|cryptography",
         .doc = "Accepted; it is OpenSSL."},
        {NULL},
};

const struct module module_row_openssl_privatekey_info = {
        .name = "openssl_privatekey_info",
        .from = "community.crypto",
        .doc = "Tells what a private key is.",
        .args = args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        .required_one_of = "path|content",
        .mutually_exclusive = "path|content",
        .run = run,
};
