#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>
#include "modules/x509.h"

struct keyfile {
	struct mod_ctx *m;
	const char *path, *passphrase;
	struct str now; /* what the file holds; p NULL when it is not there */
	EVP_PKEY *key;  /* what it is, or what was made */
};

static bool holds(struct str text, const char *z)
{
	return str_find(text, str_c(z), 0) >= 0;
}

static bool is_encrypted(struct str pem)
{
	return holds(pem, "BEGIN ENCRYPTED PRIVATE KEY") || holds(pem, "Proc-Type: 4,ENCRYPTED");
}

/* Whether the file can be read with the passphrase, and needs one just when there is one. */
static bool load(struct keyfile *k)
{
	if ((k->passphrase != NULL) != is_encrypted(k->now))
		return false;
	BIO *b = BIO_new_mem_buf(k->now.p, (int)k->now.n);
	k->key = PEM_read_bio_PrivateKey(b, NULL, x509_give_passphrase, (void *)(uintptr_t)k->passphrase);
	BIO_free(b);
	ERR_clear_error();
	return k->key != NULL;
}

/* ---- what it shall be */

static int wanted_id(const struct mod_ctx *m)
{
	static const struct {
		const char *type;
		int id;
	} ids[] = {
	        {"RSA", EVP_PKEY_RSA},     {"ECC", EVP_PKEY_EC},        {"Ed25519", EVP_PKEY_ED25519},
	        {"Ed448", EVP_PKEY_ED448}, {"X25519", EVP_PKEY_X25519}, {"X448", EVP_PKEY_X448},
	};
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		if (mod_is(m, "type", ids[i].type))
			return ids[i].id;
	return EVP_PKEY_NONE;
}

/* OpenSSL knows two of the curves by other names. */
static int curve_id(const char *name)
{
	if (!name)
		return NID_undef;
	return OBJ_txt2nid(strcmp(name, "secp256r1") == 0   ? "prime256v1"
	                   : strcmp(name, "secp192r1") == 0 ? "prime192v1"
	                                                    : name);
}

static bool right_kind(const struct keyfile *k)
{
	const struct mod_ctx *m = k->m;
	char curve[80] = "";
	size_t n;
	if (EVP_PKEY_base_id(k->key) != wanted_id(m))
		return false;
	if (mod_is(m, "type", "RSA"))
		return EVP_PKEY_bits(k->key) == mod_int(m, "size", 0);
	if (!mod_is(m, "type", "ECC"))
		return true;
	return EVP_PKEY_get_group_name(k->key, curve, sizeof(curve), &n) == 1 &&
	       OBJ_txt2nid(curve) == curve_id(mod_arg(m, "curve"));
}

/* Whether it is to be written as PKCS #8. */
static bool wants_pkcs8(const struct mod_ctx *m)
{
	bool classic = mod_is(m, "type", "RSA") || mod_is(m, "type", "ECC");
	return mod_is(m, "format", "pkcs8") || (!mod_is(m, "format", "pkcs1") && !classic);
}

static bool right_format(const struct keyfile *k)
{
	bool pkcs8 = holds(k->now, "BEGIN PRIVATE KEY") || holds(k->now, "BEGIN ENCRYPTED PRIVATE KEY");
	return mod_is(k->m, "format", "auto_ignore") || pkcs8 == wants_pkcs8(k->m);
}

/* ---- making and writing it */

static bool generate(struct keyfile *k)
{
	struct mod_ctx *m = k->m;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(wanted_id(m), NULL);
	bool ok = ctx && EVP_PKEY_keygen_init(ctx) == 1;
	if (ok && mod_is(m, "type", "RSA"))
		ok = EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)mod_int(m, "size", 4096)) == 1;
	if (ok && mod_is(m, "type", "ECC"))
		ok = EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, curve_id(mod_arg(m, "curve"))) == 1;
	EVP_PKEY_free(k->key);
	k->key = NULL;
	ok = ok && EVP_PKEY_generate(ctx, &k->key) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ok ||
	       mod_fail(m, "a key of type %s%s%s cannot be made here", mod_arg(m, "type"),
	                mod_has(m, "curve") ? " on " : "", mod_has(m, "curve") ? mod_arg(m, "curve") : "");
}

static bool encode(struct keyfile *k, struct str *ret)
{
	struct mod_ctx *m = k->m;
	const EVP_CIPHER *cipher = k->passphrase ? EVP_aes_256_cbc() : NULL;
	void *pass = (void *)(uintptr_t)k->passphrase;
	BIO *b = BIO_new(BIO_s_mem());
	char *p = NULL;
	bool ok = wants_pkcs8(m) ? PEM_write_bio_PKCS8PrivateKey(b, k->key, cipher, NULL, 0,
	                                                         x509_give_passphrase, pass) == 1
	                         : PEM_write_bio_PrivateKey_traditional(b, k->key, cipher, NULL, 0,
	                                                                x509_give_passphrase, pass) == 1;
	long n = BIO_get_mem_data(b, &p);
	if (ok)
		*ret = str_dup(m->a, str_n(p, (size_t)n));
	BIO_free(b);
	ERR_clear_error();
	return ok || mod_fail(m, "the key cannot be written as %s", mod_arg(m, "format"));
}

/* A new file is readable by nobody else from its first moment; one that is there gets its rights before. */
static bool put(struct keyfile *k, struct str pem)
{
	struct mod_ctx *m = k->m;
	struct err e = {0};
	if (k->now.p)
		return mod_file_args(m, k->path) && mod_write(m, k->path, pem);
	return fs_write(k->path, pem, 0600, &e) || mod_fail_err(m, &e);
}

/* ---- when */

enum need { KEEP, CONVERT, REGENERATE, REFUSE };

static enum need assess(struct keyfile *k)
{
	struct mod_ctx *m = k->m;
	bool full = mod_is(m, "regenerate", "full_idempotence"), never = mod_is(m, "regenerate", "never");
	bool partial = full || mod_is(m, "regenerate", "partial_idempotence");
	if (!k->now.p || mod_is(m, "regenerate", "always") || mod_bool(m, "force"))
		return REGENERATE;
	if (!load(k)) {
		if (!full)
			mod_fail(m, "Unable to read the key. The key is protected with a another passphrase "
			            "/ no passphrase or "
			            "broken. Will not proceed. To force regeneration, call the module with "
			            "`generate` set to "
			            "`full_idempotence` or `always`, or with `force=true`.");
		return full ? REGENERATE : REFUSE;
	}
	if (!never && !right_kind(k)) {
		if (!partial)
			mod_fail(m, "Key has wrong type and/or size. Will not proceed. To force "
			            "regeneration, call the module "
			            "with `generate` set to `partial_idempotence`, `full_idempotence` or "
			            "`always`, or with "
			            "`force=true`.");
		return partial ? REGENERATE : REFUSE;
	}
	if (right_format(k))
		return KEEP;
	if (mod_is(m, "format_mismatch", "convert"))
		return CONVERT;
	if (!never && !partial)
		mod_fail(m, "Key has wrong format. Will not proceed. To force regeneration, call the module "
		            "with `generate` "
		            "set to `partial_idempotence`, `full_idempotence` or `always`, or with "
		            "`force=true`. To convert "
		            "the key, set `format_mismatch` to `convert`.");
	return never ? KEEP : partial ? REGENERATE : REFUSE;
}

static bool make_present(struct keyfile *k)
{
	struct mod_ctx *m = k->m;
	enum need need = assess(k);
	struct str pem = k->now;
	if (need == REFUSE)
		return false;
	if (need != KEEP) {
		mod_changed(m);
		if (m->check)
			return true;
		if ((need == REGENERATE && !generate(k)) || !encode(k, &pem) || !put(k, pem))
			return false;
	}
	if (mod_bool(m, "return_content"))
		mod_set(m, "privatekey", val_mark_secret(m->a, val_str(m->a, pem)));
	mod_set(m, "fingerprint", k->key ? x509_key_fingerprints(m, k->key, false) : val_null());
	return mod_file_args(m, k->path);
}

static bool make_absent(struct keyfile *k)
{
	struct mod_ctx *m = k->m;
	if (!k->now.p)
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	if (mod_bool(m, "backup")) {
		const char *kept = mod_backup(m, k->path);
		if (!kept)
			return false;
		mod_sets(m, "backup_file", kept);
	}
	return unlink(k->path) == 0 || mod_fail_sys(m, "cannot remove %s", k->path);
}

static bool run(struct mod_ctx *m)
{
	struct keyfile k = {.m = m, .path = mod_arg(m, "path"), .passphrase = mod_arg(m, "passphrase")};
	const char *dir = fs_dirname(m->a, k.path);
	if (!fs_is_dir(dir)) {
		mod_sets(m, "name", dir);
		return mod_fail(m, "The directory %s does not exist or the file is not a directory", dir);
	}
	if (mod_has(m, "cipher") && !mod_is(m, "cipher", "auto"))
		return mod_fail(m, "Cryptography backend can only use \"auto\" for cipher option.");
	if (!mod_has(m, "mode")) {
		struct val *args = val_shallow(m->a, m->args);
		val_set(args, "mode", val_strz(m->a, "0600"));
		m->args = args;
	}
	mod_sets(m, "filename", k.path);
	mod_sets(m, "type", mod_arg(m, "type"));
	mod_seti(m, "size", mod_int(m, "size", 4096));
	if (mod_is(m, "type", "ECC"))
		mod_sets(m, "curve", mod_arg(m, "curve"));
	bool ok = mod_read_maybe(m, k.path, &k.now) &&
	          (mod_is(m, "state", "present") ? make_present(&k) : make_absent(&k));
	EVP_PKEY_free(k.key);
	return ok;
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .doc = "The file."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"type", MT_STR, .dflt = "RSA", .choices = "ECC|Ed25519|Ed448|RSA|X25519|X448",
         .doc = "The kind of key."},
        {"size", MT_INT, .dflt = "4096", .doc = "Its bits, when it is RSA."},
        {"curve", MT_STR,
         .choices = "secp224r1|secp256k1|secp256r1|secp384r1|secp521r1|secp192r1|brainpoolP256r1|"
                    "brainpoolP384r1|"
                    "brainpoolP512r1",
         .doc = "Its curve, when it is ECC."},
        {"passphrase", MT_STR, MA_NO_LOG, .doc = "What it is encrypted with."},
        {"cipher", MT_STR, .doc = "How: auto."},
        {"format", MT_STR, .dflt = "auto_ignore", .choices = "pkcs1|pkcs8|auto|auto_ignore",
         .doc = "How it is written; auto_ignore leaves one that is there as it is."},
        {"format_mismatch", MT_STR, .dflt = "regenerate", .choices = "regenerate|convert",
         .doc = "What becomes of a key that is written otherwise."},
        {"regenerate", MT_STR, .dflt = "full_idempotence",
         .choices = "never|fail|partial_idempotence|full_idempotence|always",
         .doc = "When a key that is there is replaced."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Make a new one each time."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"return_content", MT_BOOL, .dflt = "false", .doc = "Return the key itself."},
        {"select_crypto_backend", MT_STR, .dflt = "auto", .choices = "auto|cryptography",
         .doc = "Accepted; it is OpenSSL."},
        {NULL},
};

const struct module module_row_openssl_privatekey = {
        .name = "openssl_privatekey",
        .from = "community.crypto",
        .doc = "Keeps a private key for TLS.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .required_together = "cipher|passphrase",
        .required_if = "type=ECC:curve",
        .run = run,
};
