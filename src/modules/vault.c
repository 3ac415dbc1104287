#include "modules/vault.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

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

static bool decrypt(const unsigned char *derived, struct str data, unsigned char *out, size_t *ret_n)
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

/* False: this is not the password. */
static bool try_password(const struct envelope *e, struct str password, struct arena *a, struct str *ret)
{
	unsigned char derived[DERIVED], mac[MAC];
	unsigned got = 0;
	size_t n = 0;
	bool ok = password.n <= INT32_MAX && e->salt.n <= INT32_MAX &&
	          PKCS5_PBKDF2_HMAC(password.p ? password.p : "", (int)password.n,
	                            (const unsigned char *)e->salt.p, (int)e->salt.n, ROUNDS, EVP_sha256(),
	                            DERIVED, derived) == 1 &&
	          HMAC(EVP_sha256(), derived + KEY, KEY, (const unsigned char *)e->data.p, e->data.n, mac,
	               &got) &&
	          got == MAC && CRYPTO_memcmp(mac, e->mac.p, MAC) == 0;
	unsigned char *out = ok ? arena_alloc(a, e->data.n + BLOCK + 1) : NULL;
	ok = ok && decrypt(derived, e->data, out, &n);
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
