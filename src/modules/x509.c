#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>
#include "modules/x509.h"

static void drop_key(void *p)
{
	EVP_PKEY_free(p);
}

static void drop_cert(void *p)
{
	X509_free(p);
}

static void drop_request(void *p)
{
	X509_REQ_free(p);
}

static void drop_certs(void *p)
{
	sk_X509_pop_free(p, X509_free);
}

X509 *x509_keep(struct mod_ctx *m, X509 *x)
{
	if (x)
		arena_defer(m->a, drop_cert, x);
	return x;
}

X509_REQ *x509_keep_request(struct mod_ctx *m, X509_REQ *x)
{
	if (x)
		arena_defer(m->a, drop_request, x);
	return x;
}

int x509_give_passphrase(char *buf, int size, int writing, void *ctx)
{
	const char *z = ctx;
	int n = z ? (int)strlen(z) : -1;
	(void)writing;
	if (n < 0 || n > size)
		return -1;
	memcpy(buf, z, (size_t)n);
	return n;
}

static bool holds(struct str text, const char *z)
{
	return str_find(text, str_c(z), 0) >= 0;
}

EVP_PKEY *x509_key(struct mod_ctx *m, const char *path, const char *content, const char *passphrase)
{
	struct str pem = str_c(content);
	if (path && !mod_read(m, path, &pem))
		return NULL;
	bool sealed = holds(pem, "BEGIN ENCRYPTED PRIVATE KEY") || holds(pem, "Proc-Type: 4,ENCRYPTED");
	if (sealed != (passphrase != NULL)) {
		mod_fail(m, "Wrong or empty passphrase provided for private key");
		return NULL;
	}
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, x509_give_passphrase, (void *)(uintptr_t)passphrase);
	BIO_free(b);
	ERR_clear_error();
	if (key)
		arena_defer(m->a, drop_key, key);
	else
		mod_fail(m, "%s",
		         sealed ? "Wrong passphrase provided for private key"
		                : "The private key cannot be read");
	return key;
}

X509 *x509_cert(struct mod_ctx *m, struct str pem)
{
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x = PEM_read_bio_X509(b, NULL, x509_give_passphrase, NULL);
	BIO_free(b);
	ERR_clear_error();
	return x509_keep(m, x);
}

X509_REQ *x509_request(struct mod_ctx *m, struct str pem)
{
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509_REQ *x = PEM_read_bio_X509_REQ(b, NULL, x509_give_passphrase, NULL);
	BIO_free(b);
	ERR_clear_error();
	return x509_keep_request(m, x);
}

STACK_OF(X509) * x509_certs(struct mod_ctx *m, struct str pem)
{
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
	STACK_OF(X509) *all = xneed(sk_X509_new_null());
	X509 *x;
	arena_defer(m->a, drop_certs, all);
	while ((x = PEM_read_bio_X509(b, NULL, x509_give_passphrase, NULL)))
		sk_X509_push(all, x);
	/* At the end there is no further start of one; anything else is a fault. */
	bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	BIO_free(b);
	ERR_clear_error();
	return ended ? all : NULL;
}

static struct str taken(struct mod_ctx *m, BIO *b, bool ok)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);
	struct str s = ok ? str_dup(m->a, str_n(p, (size_t)n)) : (struct str){0};
	BIO_free(b);
	ERR_clear_error();
	return s;
}

struct str x509_cert_pem(struct mod_ctx *m, X509 *cert)
{
	BIO *b = BIO_new(BIO_s_mem());
	return taken(m, b, PEM_write_bio_X509(b, cert) == 1);
}

struct str x509_request_pem(struct mod_ctx *m, X509_REQ *req)
{
	BIO *b = BIO_new(BIO_s_mem());
	return taken(m, b, PEM_write_bio_X509_REQ(b, req) == 1);
}

struct str x509_public_pem(struct mod_ctx *m, EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());
	return taken(m, b, PEM_write_bio_PUBKEY(b, key) == 1);
}

/* ---- values */

const char *x509_hex(struct mod_ctx *m, struct str bytes)
{
	struct buf b = {0};
	for (size_t i = 0; i < bytes.n; i++)
		buf_printf(&b, "%s%02x", i ? ":" : "", (unsigned char)bytes.p[i]);
	struct str s = buf_take(&b, m->a);
	buf_free(&b);
	return s.p;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

bool x509_unhex(struct mod_ctx *m, const char *hex, struct str *ret)
{
	struct buf b = {0};
	bool ok = true;
	while (ok && *hex) {
		/* One digit between colons is a byte, too. */
		int high = hex_digit(hex[0]), low = hex[0] ? hex_digit(hex[1]) : -1;
		ok = high >= 0 && (low >= 0 || hex[1] == ':' || !hex[1]);
		buf_addc(&b, (char)(low >= 0 ? high * 16 + low : high));
		hex += ok && low >= 0 ? 2 : 1;
		if (ok && *hex == ':')
			ok = *++hex != '\0';
	}
	*ret = buf_take(&b, m->a);
	buf_free(&b);
	return ok;
}

struct val *x509_number(struct mod_ctx *m, const BIGNUM *n)
{
	char *digits = n ? BN_bn2dec(n) : NULL;
	int64_t small;
	if (!digits)
		return val_null();
	struct val *v = str_int(str_c(digits), &small) ? val_int(m->a, small) : val_strz(m->a, digits);
	OPENSSL_free(digits);
	return v;
}

struct val *x509_serial(struct mod_ctx *m, const ASN1_INTEGER *n)
{
	BIGNUM *bn = n ? ASN1_INTEGER_to_BN(n, NULL) : NULL;
	struct val *v = x509_number(m, bn);
	BN_free(bn);
	return v;
}

struct str x509_key_id(struct mod_ctx *m, EVP_PKEY *key)
{
	X509_PUBKEY *wrapped = NULL;
	const unsigned char *bits;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int n;
	if (X509_PUBKEY_set(&wrapped, key) == 1 &&
	    X509_PUBKEY_get0_param(NULL, &bits, &n, NULL, wrapped) == 1)
		EVP_Digest(bits, (size_t)n, digest, &len, EVP_sha1(), NULL);
	X509_PUBKEY_free(wrapped);
	return str_dup(m->a, str_n((const char *)digest, len));
}

/* One "3d" of a time; *AT is moved past it. */
static bool time_part(struct str *at, size_t *unit, int64_t *seconds)
{
	static const char units[] = "wdhms";
	static const int64_t worth[] = {604800, 86400, 3600, 60, 1};
	size_t digits = 0;
	int64_t n;
	while (digits < at->n && at->p[digits] >= '0' && at->p[digits] <= '9')
		digits++;
	if (!digits || digits > 10 || !str_int(str_n(at->p, digits), &n))
		return false;
	char c = digits < at->n ? (char)(at->p[digits] | 0x20) : 's'; /* the last may be bare seconds */
	const char *where = strchr(units, c);
	if (!where || (size_t)(where - units) < *unit)
		return false;
	*seconds += n * worth[where - units];
	*unit = (size_t)(where - units) + 1;
	*at = digits < at->n ? str_from(*at, digits + 1) : str_n("", 0);
	return true;
}

static bool absolute_time(const char *text, int64_t *ret)
{
	static const char *const formats[] = {"%Y%m%d%H%M%SZ", "%Y%m%d%H%MZ", "%Y%m%d%H%M%S%z",
	                                      "%Y%m%d%H%M%z"};
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct tm tm = {0};
		/* Two digits each: musl's strptime would read a year as long as it gets. */
		size_t digits = strspn(text, "0123456789"), wanted = i % 2 ? 12 : 14;
		const char *end = digits == wanted ? strptime(text, formats[i], &tm) : NULL;
		if (end && !*end) {
			long offset = tm.tm_gmtoff;
			*ret = timegm(&tm) - (i > 1 ? offset : 0);
			return true;
		}
	}
	return false;
}

bool x509_time(struct mod_ctx *m, const char *text, const char *name, int64_t *ret)
{
	struct str rest = str_c(text + 1);
	int64_t seconds = 0;
	size_t unit = 0;
	if (*text != '+' && *text != '-')
		return absolute_time(text, ret) ||
		       mod_fail(m, "The time spec \"%s\" for %s is invalid", text, name);
	bool ok = rest.n > 0;
	while (ok && rest.n)
		ok = time_part(&rest, &unit, &seconds);
	*ret = time(NULL) + (*text == '+' ? seconds : -seconds);
	return ok || mod_fail(m, "The timespec \"%s\" for %s is not valid", text, name);
}

const char *x509_time_text(struct mod_ctx *m, const ASN1_TIME *t, int64_t *ret)
{
	struct tm tm = {0};
	char text[40] = "";
	if (ASN1_TIME_to_tm(t, &tm) == 1)
		strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
	if (ret)
		*ret = timegm(&tm);
	return arena_strdup(m->a, text);
}

/* ---- files */

bool x509_directory(struct mod_ctx *m, const char *path)
{
	const char *dir = fs_dirname(m->a, path);
	if (fs_is_dir(dir))
		return true;
	mod_sets(m, "name", dir);
	return mod_fail(m, "The directory '%s' does not exist or the file is not a directory", dir);
}

bool x509_absent(struct mod_ctx *m, const char *path)
{
	if (!fs_exists(path))
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	if (mod_bool(m, "backup")) {
		const char *kept = mod_backup(m, path);
		if (!kept)
			return false;
		mod_sets(m, "backup_file", kept);
	}
	return unlink(path) == 0 || mod_fail_sys(m, "cannot remove %s", path);
}

void x509_echo(struct mod_ctx *m, const char *key, const char *name)
{
	struct val *v = val_get(m->args, name);
	mod_set(m, key, v ? v : val_null());
}
