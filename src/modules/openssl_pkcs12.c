#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include "modules/x509.h"

struct p12 {
	struct mod_ctx *m;
	const char *path, *passphrase;
	EVP_PKEY *key;
	X509 *cert;
	STACK_OF(X509) * others;
	const char *name;
	struct str now;
};

static void drop_key(void *p)
{
	EVP_PKEY_free(p);
}

static void drop_certs(void *p)
{
	sk_X509_pop_free(p, X509_free);
}

/* ---- what shall be in it */

static bool load_others(struct p12 *p)
{
	struct mod_ctx *m = p->m;
	const struct val *files = mod_list(m, "other_certificates");
	p->others = xneed(sk_X509_new_null());
	arena_defer(m->a, drop_certs, p->others);
	VAL_EACH (i, files) {
		const char *file = val_get_strz(val_at(files, i));
		struct str pem;
		if (!mod_read(m, file, &pem))
			return false;
		STACK_OF(X509) *all = x509_certs(m, pem);
		int n = all ? sk_X509_num(all) : 0;
		if (!n)
			return mod_fail(m, "%s holds no certificate", file);
		for (int k = 0; k < (mod_bool(m, "other_certificates_parse_all") ? n : 1); k++) {
			X509_up_ref(sk_X509_value(all, k));
			sk_X509_push(p->others, sk_X509_value(all, k));
		}
	}
	return true;
}

static bool load(struct p12 *p)
{
	struct mod_ctx *m = p->m;
	const char *path = mod_arg(m, "privatekey_path"), *content = mod_arg(m, "privatekey_content"),
	           *cert = mod_arg(m, "certificate_path");
	struct str pem;
	p->name = mod_arg(m, "friendly_name");
	if (path || content) {
		p->key = x509_key(m, path, content, mod_arg(m, "privatekey_passphrase"));
		if (!p->key)
			return false;
	}
	if (cert) {
		if (!mod_read(m, cert, &pem))
			return false;
		p->cert = x509_cert(m, pem);
		if (!p->cert)
			return mod_fail(m, "%s holds no certificate", cert);
		if (p->key && X509_check_private_key(p->cert, p->key) != 1)
			return mod_fail(m, "The private key does not belong to the certificate");
	}
	return load_others(p);
}

/* ---- what is in a file */

static bool parse(struct p12 *p, struct str bytes)
{
	struct mod_ctx *m = p->m;
	const unsigned char *at = (const unsigned char *)bytes.p;
	PKCS12 *file = bytes.p ? d2i_PKCS12(NULL, &at, (long)bytes.n) : NULL;
	int len = 0;
	bool ok = file && PKCS12_parse(file, p->passphrase, &p->key, &p->cert, &p->others) == 1;
	PKCS12_free(file);
	ERR_clear_error();
	if (!ok)
		return false;
	if (p->key)
		arena_defer(m->a, drop_key, p->key);
	x509_keep(m, p->cert);
	if (p->others)
		arena_defer(m->a, drop_certs, p->others);
	const unsigned char *name = p->cert ? X509_alias_get0(p->cert, &len) : NULL;
	p->name = name ? arena_strndup(m->a, (const char *)name, (size_t)len) : NULL;
	return true;
}

static bool all_within(const STACK_OF(X509) * a, const STACK_OF(X509) * b)
{
	for (int i = 0; i < sk_X509_num(a); i++) {
		bool found = false;
		for (int k = 0; k < sk_X509_num(b); k++)
			found = found || X509_cmp(sk_X509_value(a, i), sk_X509_value(b, k)) == 0;
		if (!found)
			return false;
	}
	return true;
}

static bool same(const struct p12 *a, const struct p12 *b)
{
	if (!a->key != !b->key || (a->key && EVP_PKEY_eq(a->key, b->key) != 1))
		return false;
	if (!a->cert != !b->cert || (a->cert && X509_cmp(a->cert, b->cert) != 0))
		return false;
	bool named = a->name && *a->name, named_too = b->name && *b->name;
	if (a->key && (named != named_too || (named && strcmp(a->name, b->name) != 0)))
		return false;
	return all_within(a->others, b->others) && all_within(b->others, a->others);
}

/* ---- making it */

static bool build(struct p12 *p, struct str *ret)
{
	struct mod_ctx *m = p->m;
	bool old = mod_is(m, "encryption_level", "compatibility2022"),
	     open = !p->passphrase || !*p->passphrase;
	int cipher = open  ? -1
	             : old ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC
	                   : NID_aes_256_cbc,
	    rounds = (int)mod_int(m, "iter_size", old ? 50000 : 20000);
	unsigned char *der = NULL;
	/* The MAC is set apart: its digest has to be one that old readers know, too. */
	PKCS12 *file = PKCS12_create(p->passphrase, p->name, p->key, p->cert, p->others, cipher, cipher,
	                             rounds, -1, 0);
	bool ok = file && (open || PKCS12_set_mac(file, p->passphrase, -1, NULL, 0,
	                                          (int)mod_int(m, "maciter_size", rounds),
	                                          old ? EVP_sha1() : EVP_sha256()) == 1);
	int n = ok ? i2d_PKCS12(file, &der) : 0;
	if (n > 0)
		*ret = str_dup(m->a, str_n((const char *)der, (size_t)n));
	OPENSSL_free(der);
	PKCS12_free(file);
	ERR_clear_error();
	return n > 0 || mod_fail(m, "The key and its certificates cannot be put together");
}

static bool make_export(struct p12 *p)
{
	struct mod_ctx *m = p->m;
	struct p12 now = {.m = m, .passphrase = p->passphrase};
	struct str bytes = p->now;
	struct err e = {0};
	if (!load(p))
		return false;
	if (!mod_bool(m, "force") && parse(&now, p->now) && same(p, &now))
		return true;
	if (!p->name || !*p->name)
		return mod_fail(m, "Friendly_name is required");
	mod_changed(m);
	if (m->check)
		return true;
	if (!build(p, &bytes))
		return false;
	p->now = bytes;
	/* A new file is readable by nobody else from its first moment. */
	return fs_exists(p->path) ? mod_write(m, p->path, bytes)
	                          : fs_write(p->path, bytes, 0600, &e) || mod_fail_err(m, &e);
}

static bool make_parse(struct p12 *p)
{
	struct mod_ctx *m = p->m;
	struct p12 from = {.m = m, .passphrase = p->passphrase};
	struct str bytes;
	struct err e = {0};
	if (!mod_read(m, mod_arg(m, "src"), &bytes))
		return false;
	if (!parse(&from, bytes))
		return mod_fail(m, "%s cannot be read with this passphrase", mod_arg(m, "src"));
	BIO *b = BIO_new(BIO_s_mem());
	bool ok = (!from.key ||
	           PEM_write_bio_PrivateKey_traditional(b, from.key, NULL, NULL, 0, NULL, NULL) == 1) &&
	          (!from.cert || PEM_write_bio_X509(b, from.cert) == 1);
	for (int i = 0; ok && i < sk_X509_num(from.others); i++)
		ok = PEM_write_bio_X509(b, sk_X509_value(from.others, i)) == 1;
	char *text = NULL;
	long n = BIO_get_mem_data(b, &text);
	struct str pem = str_dup(m->a, str_n(text, (size_t)n));
	BIO_free(b);
	ERR_clear_error();
	if (!ok)
		return mod_fail(m, "What %s holds cannot be written in PEM", mod_arg(m, "src"));
	if (!mod_bool(m, "force") && p->now.p && str_eq(p->now, pem))
		return true;
	mod_changed(m);
	p->now = pem;
	if (m->check)
		return true;
	return fs_exists(p->path) ? mod_write(m, p->path, pem)
	                          : fs_write(p->path, pem, 0600, &e) || mod_fail_err(m, &e);
}

static void say_content(struct p12 *p)
{
	struct buf b = {0};
	buf_base64(&b, p->now);
	mod_set(p->m, "pkcs12",
	        p->now.p ? val_mark_secret(p->m->a, val_str(p->m->a, buf_str(&b))) : val_null());
	buf_burn(&b);
}

static bool run(struct mod_ctx *m)
{
	struct p12 p = {.m = m, .path = mod_arg(m, "path"), .passphrase = mod_arg(m, "passphrase")};
	struct stat st;
	if (!x509_directory(m, p.path) || !mod_read_maybe(m, p.path, &p.now))
		return false;
	if (!mod_has(m, "mode")) {
		struct val *args = val_shallow(m->a, m->args);
		val_set(args, "mode", val_strz(m->a, "0400"));
		m->args = args;
	}
	mod_sets(m, "filename", p.path);
	if (mod_has(m, "privatekey_path"))
		x509_echo(m, "privatekey_path", "privatekey_path");
	if (mod_is(m, "state", "absent"))
		return x509_absent(m, p.path);
	bool existed = p.now.p;
	if (!(mod_is(m, "action", "parse") ? make_parse(&p) : make_export(&p)))
		return false;
	if (mod_bool(m, "return_content"))
		say_content(&p);
	if (m->check && !existed)
		return true;
	bool ok = mod_file_args(m, p.path);
	if (ok && stat(p.path, &st) == 0)
		mod_setf(m, "mode", "%04o", (unsigned)st.st_mode & 07777);
	return ok;
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .doc = "The file."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"action", MT_STR, .dflt = "export", .choices = "export|parse",
         .doc = "Put a key and certificates together, or take them out into PEM."},
        {"src", MT_PATH, .doc = "What to take them out of."},
        {"privatekey_path", MT_PATH, .doc = "The key's file."},
        {"privatekey_content", MT_STR, MA_NO_LOG, .doc = "The key itself."},
        {"privatekey_passphrase", MT_STR, MA_NO_LOG, .doc = "What it is encrypted with."},
        {"certificate_path", MT_PATH, .doc = "Its certificate."},
        {"other_certificates", MT_LIST, .elem = MT_PATH, .aliases = "ca_certificates",
         .doc = "Those of CAs that go with it."},
        {"other_certificates_parse_all", MT_BOOL, .dflt = "false",
         .doc = "All that are in such a file, not only the first."},
        {"friendly_name", MT_STR, .aliases = "name", .doc = "What it is called in the file."},
        {"passphrase", MT_STR, MA_NO_LOG, .doc = "What the file is encrypted with."},
        {"encryption_level", MT_STR, .dflt = "auto", .choices = "auto|compatibility2022",
         .doc = "How: so that old programs read it, too."},
        {"iter_size", MT_INT, .doc = "Rounds that make a key of the passphrase."},
        {"maciter_size", MT_INT, .doc = "Rounds for the file's checksum."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Write it each time."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"return_content", MT_BOOL, .dflt = "false", .doc = "Return the file, in base64."},
        {"select_crypto_backend", MT_STR, .dflt = "auto", .choices = "auto|cryptography|pyopenssl",
         .doc = "Accepted; it is OpenSSL."},
        {NULL},
};

const struct module module_row_openssl_pkcs12 = {
        .name = "openssl_pkcs12",
        .from = "community.crypto",
        .doc = "Keeps a key and its certificates together in one PKCS #12 file.",
        .args = args,
        .flags = MOD_CHECK | MOD_FILE_ARGS,
        .mutually_exclusive = "privatekey_path|privatekey_content",
        .required_if = "action=parse:src",
        .run = run,
};
