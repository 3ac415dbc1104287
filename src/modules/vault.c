#include "modules/vault.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

/* Of the one cipher there is, AES256: what PBKDF2 gives is cut into two keys and the counter's start. */
enum { ROUNDS = 10000, KEY = 32, IV = 16, DERIVED = 2 * KEY + IV, MAC = 32, BLOCK = 16 };

struct secret {
	struct secret *next;
	const char *label;
	struct str password;
};

struct vault {
	struct arena *a;
	struct secret *first, **last;
};

static const char magic[] = "$ANSIBLE_VAULT;";

struct vault *vault_new(struct arena *a)
{
	struct vault *v = ARENA_NEW(a, struct vault);
	v->a = a;
	v->last = &v->first;
	return v;
}

void vault_add(struct vault *v, const char *label, struct str password)
{
	struct secret *s = ARENA_NEW(v->a, struct secret);
	s->label = arena_strdup(v->a, label && *label ? label : "default");
	s->password = str_dup(v->a, str_trim(password));
	*v->last = s;
	v->last = &s->next;
}

bool vault_is_sealed(struct str text)
{
	return str_starts(text, magic);
}

/* ---- the envelope: a line that says how, then hex digits in lines ---- */

struct envelope {
	struct str salt, mac, data; /* bytes */
	const char *label;          /* NULL: none named */
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes that pairs of hex digits in TEXT stand for; blanks between are passed over. */
static bool unhex(struct arena *a, struct str text, struct str *ret)
{
	char *out = arena_alloc(a, text.n / 2 + 1);
	size_t n = 0;
	int high = -1;
	for (size_t i = 0; i < text.n; i++) {
		int d = digit(text.p[i]);
		if (d < 0 && strchr(" \t\r\n", text.p[i]))
			continue;
		if (d < 0)
			return false;
		if (high < 0) {
			high = d;
			continue;
		}
		out[n++] = (char)(high << 4 | d);
		high = -1;
	}
	*ret = str_n(out, n);
	return high < 0;
}

static bool envelope_read(struct arena *a, struct str sealed, struct envelope *ret, struct err *err)
{
	struct str rest = sealed, head = str_trim(str_split(&rest, '\n')), inner;
	str_split(&head, ';');
	struct str version = str_split(&head, ';'), cipher = str_split(&head, ';'), label = head;
	*ret = (struct envelope){.label = label.n ? arena_strndup(a, label.p, label.n) : NULL};
	if (!str_eqc(version, "1.1") && !str_eqc(version, "1.2"))
		return err_set(err, ERR_USER, ORIGIN_NONE, "vault format %.*s is not known (1.1 and 1.2 are)",
		               STR_FMT(version));
	if (!str_eqc(cipher, "AES256"))
		return err_set(err, ERR_USER, ORIGIN_NONE, "vault cipher %.*s is not known (AES256 is)",
		               STR_FMT(cipher));
	struct str salt, mac;
	if (rest.p && unhex(a, rest, &inner)) {
		salt = str_split(&inner, '\n');
		mac = str_split(&inner, '\n');
		if (inner.p && unhex(a, salt, &ret->salt) && unhex(a, mac, &ret->mac) &&
		    unhex(a, inner, &ret->data) && ret->salt.n && ret->mac.n == MAC)
			return true;
	}
	return err_set(err, ERR_USER, ORIGIN_NONE,
	               "the vault text is not whole: it is no lines of hex digits");
}

/* Both ways: what the counter gives is xored with DATA. */
static bool crypt_data(const unsigned char *derived, struct str data, unsigned char *out, size_t *ret_n)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, tail = 0;
	bool ok = ctx && data.n <= INT32_MAX &&
	          EVP_DecryptInit_ex(ctx, EVP_aes_256_ctr(), NULL, derived, derived + (size_t)2 * KEY) == 1 &&
	          EVP_DecryptUpdate(ctx, out, &n, (const unsigned char *)data.p, (int)data.n) == 1 &&
	          EVP_DecryptFinal_ex(ctx, out + n, &tail) == 1;
	EVP_CIPHER_CTX_free(ctx);
	*ret_n = (size_t)n + (size_t)tail;
	return ok;
}

static bool derive(struct str password, struct str salt, unsigned char derived[DERIVED])
{
	return password.n <= INT32_MAX && salt.n <= INT32_MAX &&
	       PKCS5_PBKDF2_HMAC(password.p ? password.p : "", (int)password.n, (const unsigned char *)salt.p,
	                         (int)salt.n, ROUNDS, EVP_sha256(), DERIVED, derived) == 1;
}

static bool sign(const unsigned char *derived, struct str data, unsigned char mac[MAC])
{
	unsigned got = 0;
	return HMAC(EVP_sha256(), derived + KEY, KEY, (const unsigned char *)data.p, data.n, mac, &got) &&
	       got == MAC;
}

/* False: this is not the password. */
static bool try_password(const struct envelope *e, struct str password, struct arena *a, struct str *ret)
{
	unsigned char derived[DERIVED], mac[MAC];
	size_t n = 0;
	bool ok = derive(password, e->salt, derived) && sign(derived, e->data, mac) &&
	          CRYPTO_memcmp(mac, e->mac.p, MAC) == 0;
	unsigned char *out = ok ? arena_alloc(a, e->data.n + BLOCK + 1) : NULL;
	ok = ok && crypt_data(derived, e->data, out, &n);
	OPENSSL_cleanse(derived, sizeof(derived));
	if (!ok)
		return false;
	/* Padded to whole blocks; the last byte says by how many. */
	size_t pad = n ? out[n - 1] : 0;
	if (!pad || pad > BLOCK || pad > n)
		return false;
	out[n - pad] = '\0';
	*ret = str_n((char *)out, n - pad);
	return true;
}

bool vault_open(const struct vault *v, struct arena *a, struct str sealed, struct str *ret, struct err *err)
{
	struct envelope e;
	if (!v || !v->first) {
		err_set(err, ERR_USER, ORIGIN_NONE, "Attempting to decrypt but no vault secrets found");
		return err_hint(err, "give the password: --vault-password-file FILE, or "
		                     "ANSIBLE_VAULT_PASSWORD_FILE, or the secret ANSIBLE_VAULT_PASSWORD");
	}
	if (!envelope_read(a, sealed, &e, err))
		return false;
	for (int named = 1; named >= 0; named--)
		for (const struct secret *s = v->first; s; s = s->next)
			if ((e.label && strcmp(e.label, s->label) == 0) == (named == 1) &&
			    try_password(&e, s->password, a, ret))
				return true;
	return err_set(err, ERR_USER, ORIGIN_NONE,
	               "Decryption failed (no vault secrets were found that could decrypt)");
}

/* The hex digits of BYTES, with a line's end after each WIDTH of them (0: none). */
static void hex(struct buf *out, struct str bytes, size_t width)
{
	for (size_t i = 0; i < bytes.n; i++) {
		buf_printf(out, "%02x", (unsigned char)bytes.p[i]);
		if (width && ((i + 1) * 2 % width == 0 || i + 1 == bytes.n))
			buf_addc(out, '\n');
	}
}

static void envelope_write(const struct envelope *e, struct buf *out)
{
	struct buf inner = {0};
	hex(&inner, e->salt, 0);
	buf_addc(&inner, '\n');
	hex(&inner, e->mac, 0);
	buf_addc(&inner, '\n');
	hex(&inner, e->data, 0);
	if (e->label && strcmp(e->label, "default") != 0)
		buf_printf(out, "%s1.2;AES256;%s\n", magic, e->label);
	else
		buf_printf(out, "%s1.1;AES256\n", magic);
	hex(out, buf_str(&inner), 80);
	buf_free(&inner);
}

bool vault_seal(struct arena *a, struct str text, struct str password, const char *label, struct str salt,
                struct str *ret, struct err *err)
{
	unsigned char derived[DERIVED], mac[MAC], chance[KEY];
	size_t pad = BLOCK - text.n % BLOCK, n = 0;
	unsigned char *out = arena_alloc(a, text.n + (size_t)2 * BLOCK);
	struct buf b = {0};
	bool ok = salt.n || RAND_bytes(chance, sizeof(chance)) == 1;
	if (!salt.n)
		salt = str_n((const char *)chance, sizeof(chance));
	buf_addstr(&b, text);
	for (size_t i = 0; i < pad; i++)
		buf_addc(&b, (char)pad);
	ok = ok && derive(password, salt, derived) && crypt_data(derived, buf_str(&b), out, &n);
	struct envelope e = {
	        .salt = salt, .mac = str_n((char *)mac, MAC), .data = str_n((char *)out, n), .label = label};
	ok = ok && sign(derived, e.data, mac);
	OPENSSL_cleanse(derived, sizeof(derived));
	OPENSSL_cleanse(b.p, b.n);
	b.n = 0;
	if (ok) {
		envelope_write(&e, &b);
		*ret = buf_take(&b, a);
	}
	buf_free(&b);
	return ok || err_set(err, ERR_USER, ORIGIN_NONE, "the text cannot be encrypted");
}
