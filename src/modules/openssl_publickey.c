#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include "modules/x509.h"

/* ---- as OpenSSH writes it (RFC 4253, 5656, 8709) */

static void add_field(struct buf *b, const void *p, size_t n)
{
	unsigned char len[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
	                        (unsigned char)n};
	buf_add(b, len, 4);
	buf_add(b, p, n);
}

/* A number in as few bytes as it takes, with a zero before a first bit that is set. */
static bool add_number(struct mod_ctx *m, struct buf *b, EVP_PKEY *key, const char *param)
{
	BIGNUM *n = NULL;
	if (EVP_PKEY_get_bn_param(key, param, &n) != 1)
		return false;
	int len = BN_num_bytes(n);
	unsigned char *p = arena_alloc(m->a, (size_t)len + 1);
	BN_bn2bin(n, p + 1);
	BN_free(n);
	bool pad = len && p[1] & 0x80;
	add_field(b, pad ? p : p + 1, (size_t)len + pad);
	return true;
}

static bool add_point(struct buf *b, EVP_PKEY *key, const char **kind)
{
	static const char *const curves[][2] = {
	        {"prime256v1", "nistp256"}, {"secp384r1", "nistp384"}, {"secp521r1", "nistp521"}};
	char curve[80] = "";
	unsigned char point[256];
	size_t n, len;
	EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n);
	for (size_t i = 0; i < 3; i++) {
		if (strcmp(curve, curves[i][0]) != 0)
			continue;
		static const char *const kinds[] = {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
		                                    "ecdsa-sha2-nistp521"};
		*kind = kinds[i];
		add_field(b, *kind, strlen(*kind));
		add_field(b, curves[i][1], strlen(curves[i][1]));
		if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
		                                    sizeof(point), &len) != 1)
			return false;
		add_field(b, point, len);
		return true;
	}
	return false;
}

static bool add_blob(struct mod_ctx *m, struct buf *b, EVP_PKEY *key, const char **kind)
{
	unsigned char raw[32];
	size_t n = sizeof(raw);
	switch (EVP_PKEY_base_id(key)) {
	case EVP_PKEY_RSA:
		*kind = "ssh-rsa";
		add_field(b, *kind, strlen(*kind));
		return add_number(m, b, key, OSSL_PKEY_PARAM_RSA_E) &&
		       add_number(m, b, key, OSSL_PKEY_PARAM_RSA_N);
	case EVP_PKEY_ED25519:
		*kind = "ssh-ed25519";
		add_field(b, *kind, strlen(*kind));
		if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1)
			return false;
		add_field(b, raw, n);
		return true;
	case EVP_PKEY_EC: return add_point(b, key, kind);
	default: return false;
	}
}

static struct str as_openssh(struct mod_ctx *m, EVP_PKEY *key)
{
	struct buf blob = {0}, line = {0};
	const char *kind = "";
	struct str s = {0};
	if (add_blob(m, &blob, key, &kind)) {
		buf_printf(&line, "%s ", kind);
		buf_base64(&line, buf_str(&blob));
		s = buf_take(&line, m->a);
	} else
		mod_fail(m, "OpenSSH has no such public keys");
	ERR_clear_error();
	buf_free(&blob);
	buf_free(&line);
	return s;
}

/* ---- */

/* Its first two words: what OpenSSH writes after them is a comment. */
static struct str without_comment(struct str s)
{
	struct str rest = str_trim(s), kind = str_split(&rest, ' ');
	(void)str_split(&rest, ' ');
	return rest.p ? str_trim(str_n(kind.p, (size_t)(rest.p - kind.p))) : str_trim(s);
}

static struct val *described(struct mod_ctx *m, struct str text)
{
	if (!text.p)
		return NULL;
	BIO *b = BIO_new_mem_buf(text.p, (int)text.n);
	EVP_PKEY *key = PEM_read_bio_PUBKEY(b, NULL, x509_give_passphrase, NULL);
	struct val *info = key ? val_map(m->a) : NULL;
	const char *type = "";
	if (key) {
		val_set(info, "fingerprints", x509_key_fingerprints(m, key, true));
		val_set(info, "public_data", x509_public_data(m, key, &type));
		val_set(info, "type", val_strz(m->a, type));
	}
	EVP_PKEY_free(key);
	BIO_free(b);
	ERR_clear_error();
	return x509_described(m, info, "can_parse_key");
}

static bool make_present(struct mod_ctx *m, const char *path, struct str now)
{
	const char *from = mod_arg(m, "privatekey_path");
	bool openssh = mod_is(m, "format", "OpenSSH");
	if (!from && !mod_has(m, "privatekey_content"))
		return mod_fail(m, "state is present but any of the following are missing: privatekey_path, "
		                   "privatekey_content");
	if (from && !fs_exists(from))
		return mod_fail(m, "The private key %s does not exist", from);
	EVP_PKEY *key =
	        x509_key(m, from, mod_arg(m, "privatekey_content"), mod_arg(m, "privatekey_passphrase"));
	if (!key)
		return false;
	struct str want = openssh ? as_openssh(m, key) : x509_public_pem(m, key), shown = now;
	if (!want.p)
		return false;
	if (mod_bool(m, "force") || !now.p || !str_eq(openssh ? without_comment(now) : now, want)) {
		mod_changed(m);
		shown = want;
		if (!m->check && !mod_write(m, path, want))
			return false;
	}
	mod_set(m, "fingerprint", x509_key_fingerprints(m, key, false));
	if (mod_bool(m, "return_content"))
		mod_setstr(m, "publickey", shown);
	x509_diff(m, described(m, now), described(m, shown));
	return (m->check && !now.p) || mod_file_args(m, path);
}

static bool run(struct mod_ctx *m)
{
	const char *path = mod_arg(m, "path");
	struct str now = {0};
	if (!x509_directory(m, path) || !mod_read_maybe(m, path, &now))
		return false;
	x509_echo(m, "privatekey", "privatekey_path");
	mod_sets(m, "filename", path);
	mod_sets(m, "format", mod_arg(m, "format"));
	if (mod_is(m, "state", "present"))
		return make_present(m, path, now);
	mod_set(m, "fingerprint", val_map(m->a));
	return x509_absent(m, path);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .doc = "The file."},
        {"state", MT_STR, .dflt = "present", .choices = "present|absent", .doc = "Whether it is there."},
        {"privatekey_path", MT_PATH, .doc = "The private key's file."},
        {"privatekey_content", MT_STR, MA_NO_LOG, .doc = "The private key itself."},
        {"privatekey_passphrase", MT_STR, MA_NO_LOG, .doc = "What it is encrypted with."},
        {"format", MT_STR, .dflt = "PEM", .choices = "OpenSSH|PEM", .doc = "How it is written."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Write it each time."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"return_content", MT_BOOL, .dflt = "false", .doc = "Return the key itself."},
        {"select_crypto_backend", MT_STR, .dflt = "auto", .choices = "auto|cryptography",
         .doc = "Accepted; it is OpenSSL."},
        {NULL},
};

const struct module module_row_openssl_publickey = {
        .name = "openssl_publickey",
        .from = "community.crypto",
        .doc = "Keeps the public half of a private key.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .mutually_exclusive = "privatekey_path|privatekey_content",
        .run = run,
};
