#include "jinja/crypt.h"
#include "jinja/hash.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <crypt.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
	SALT_MAX = 16,
	MD5_SALT = 8,
	BCRYPT_SALT = 22,
	BCRYPT_COST = 12,
	ROUNDS_MIN = 1000,
	ROUNDS_MAX = 999999999
};

static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

struct scheme {
	const char *name, *id;
	size_t n;     /* of a digest */
	size_t third; /* the digest is written in triples, one byte of each third */
	bool rotate_left;
};

static const struct scheme schemes[] = {{"sha256", "5", 32, 10, false}, {"sha512", "6", 64, 21, true}};

static void add_cut(struct buf *b, const unsigned char *digest, size_t n, size_t len)
{
	for (; len > n; len -= n)
		buf_add(b, (const char *)digest, n);
	buf_add(b, (const char *)digest, len);
}

/* The digest of B into OUT; B is empty again. */
static void digest(const struct scheme *s, struct buf *b, unsigned char *out)
{
	hash_bytes(str_c(s->name), buf_str(b), out);
	buf_clear(b);
}

/* What password, salt and their lengths stir together before the rounds. */
static void stir(const struct scheme *s, struct str pw, struct str salt, unsigned char *out, struct buf *b)
{
	unsigned char other[HASH_MAX];
	buf_add(b, pw.p, pw.n);
	buf_add(b, salt.p, salt.n);
	buf_add(b, pw.p, pw.n);
	digest(s, b, other);
	buf_add(b, pw.p, pw.n);
	buf_add(b, salt.p, salt.n);
	add_cut(b, other, s->n, pw.n);
	for (size_t bits = pw.n; bits; bits >>= 1)
		if (bits & 1)
			buf_add(b, (const char *)other, s->n);
		else
			buf_add(b, pw.p, pw.n);
	digest(s, b, out);
}

static void rounds_of(const struct scheme *s, struct str pw, struct str salt, int64_t rounds,
                      unsigned char *a)
{
	struct buf b = {0}, p = {0}, q = {0};
	unsigned char d[HASH_MAX];
	stir(s, pw, salt, a, &b);
	for (size_t i = 0; i < pw.n; i++)
		buf_add(&b, pw.p, pw.n);
	digest(s, &b, d);
	add_cut(&p, d, s->n, pw.n);
	for (size_t i = 0; i < 16U + a[0]; i++)
		buf_add(&b, salt.p, salt.n);
	digest(s, &b, d);
	add_cut(&q, d, s->n, salt.n);
	for (int64_t i = 0; i < rounds; i++) {
		if (i & 1)
			buf_add(&b, p.p, p.n);
		else
			buf_add(&b, (const char *)a, s->n);
		if (i % 3)
			buf_add(&b, q.p, q.n);
		if (i % 7)
			buf_add(&b, p.p, p.n);
		if (i & 1)
			buf_add(&b, (const char *)a, s->n);
		else
			buf_add(&b, p.p, p.n);
		digest(s, &b, a);
	}
	buf_burn(&b);
	buf_burn(&p);
	buf_burn(&q);
}

/* Three bytes as four characters, the lowest six bits first; CHARS of them. */
static void write_triple(struct buf *out, unsigned high, unsigned mid, unsigned low, int chars)
{
	unsigned w = high << 16 | mid << 8 | low;
	for (; chars > 0; chars--, w >>= 6)
		buf_addc(out, alphabet[w & 63]);
}

static void write_digest(const struct scheme *s, const unsigned char *d, struct buf *out)
{
	size_t i[3] = {0, s->third, 2 * s->third};
	for (size_t k = 0; k < s->third; k++) {
		write_triple(out, d[i[0]], d[i[1]], d[i[2]], 4);
		size_t first = i[0] + 1;
		if (s->rotate_left) {
			i[0] = i[1] + 1;
			i[1] = i[2] + 1;
			i[2] = first;
		} else {
			i[0] = i[2] + 1;
			i[2] = i[1] + 1;
			i[1] = first;
		}
	}
	if (s->n == 64)
		write_triple(out, 0, 0, d[63], 2);
	else
		write_triple(out, 0, d[31], d[30], 3);
}

/* As crypt(3) of the C library makes it: what is not SHA-crypt. */
static bool by_libc(struct arena *a, struct str password, const char *setting, struct str *ret,
                    struct err *err)
{
	if (memchr(password.p, 0, password.n))
		return jinja_fail(err, "a password with a NUL byte cannot be hashed");
	struct crypt_data *d = calloc(1, sizeof(*d));
	char *pw = strndup(password.p, password.n);
	const char *hash = d && pw ? crypt_r(pw, setting, d) : NULL;
	bool ok = hash && hash[0] == '$';
	if (ok)
		*ret = str_dup(a, str_c(hash));
	if (pw)
		explicit_bzero(pw, password.n);
	if (d)
		explicit_bzero(d, sizeof(*d));
	free(pw);
	free(d);
	return ok || jinja_fail(err, "this system's crypt cannot make a password of '%s'", setting);
}

static bool md5_password(struct arena *a, struct str password, struct str salt, struct str *ret,
                         struct err *err)
{
	if (salt.n > MD5_SALT)
		return jinja_fail(err, "salt too large (md5_crypt requires <= %d chars)", MD5_SALT);
	return by_libc(a, password, val_get_strz(val_strf(a, "$1$%.*s$", STR_FMT(salt))), ret, err);
}

static bool bcrypt_password(struct arena *a, struct str password, const struct crypt_how *h, struct str *ret,
                            struct err *err)
{
	int64_t cost = h->rounds ? h->rounds : BCRYPT_COST;
	struct str ident = h->ident.n ? h->ident : STR("2b");
	if (h->salt.n != BCRYPT_SALT)
		return jinja_fail(err, "salt too %s (bcrypt requires exactly %d chars)",
		                  h->salt.n < BCRYPT_SALT ? "small" : "large", BCRYPT_SALT);
	if (cost < 4 || cost > 31)
		return jinja_fail(err, "bcrypt takes 4 to 31 rounds, not %lld", (long long)cost);
	const struct val *setting =
	        val_strf(a, "$%.*s$%02d$%.*s", STR_FMT(ident), (int)cost, STR_FMT(h->salt));
	return by_libc(a, password, val_get_strz(setting), ret, err);
}

static bool sha_password(struct arena *a, struct str password, const struct scheme *s,
                         const struct crypt_how *h, struct str *ret)
{
	unsigned char d[HASH_MAX];
	struct buf b = {0};
	struct str salt = h->salt;
	if (salt.n > SALT_MAX)
		salt.n = SALT_MAX;
	int64_t rounds = h->rounds ? h->rounds : CRYPT_ROUNDS;
	rounds = rounds < ROUNDS_MIN ? ROUNDS_MIN : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
	rounds_of(s, password, salt, rounds, d);
	buf_printf(&b, "$%s$", s->id);
	if (rounds != CRYPT_ROUNDS)
		buf_printf(&b, "rounds=%lld$", (long long)rounds);
	buf_printf(&b, "%.*s$", STR_FMT(salt));
	write_digest(s, d, &b);
	*ret = buf_take(&b, a);
	buf_free(&b);
	return true;
}

static struct str scheme_name(struct str scheme)
{
	if (str_ends(scheme, "_crypt"))
		scheme.n -= 6;
	return str_eqc(scheme, "blowfish") ? STR("bcrypt") : scheme;
}

bool crypt_salt(struct arena *a, struct str scheme, struct str *ret, struct err *err)
{
	scheme = scheme_name(scheme);
	size_t n = str_eqc(scheme, "bcrypt") ? BCRYPT_SALT : str_eqc(scheme, "md5") ? MD5_SALT : SALT_MAX;
	unsigned char raw[BCRYPT_SALT];
	char *z = arena_alloc(a, BCRYPT_SALT + 1);
	if (getrandom(raw, n, 0) != (ssize_t)n)
		return err_sys(err, ERR_REMOTE, "getrandom");
	for (size_t i = 0; i < n; i++)
		z[i] = alphabet[raw[i] & 63];
	*ret = str_n(z, n);
	return true;
}

bool crypt_password(struct arena *a, struct str password, const struct crypt_how *how, struct str *ret,
                    struct err *err)
{
	struct crypt_how h = *how;
	struct str scheme = scheme_name(h.scheme);
	for (size_t i = 0; i < h.salt.n; i++)
		if (!strchr(alphabet, h.salt.p[i]) || !h.salt.p[i])
			return jinja_fail(err, "invalid characters in salt");
	if (!h.salt.n && !crypt_salt(a, scheme, &h.salt, err))
		return false;
	if (str_eqc(scheme, "md5"))
		return md5_password(a, password, h.salt, ret, err);
	if (str_eqc(scheme, "bcrypt"))
		return bcrypt_password(a, password, &h, ret, err);
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (str_eqc(scheme, schemes[i].name))
			return sha_password(a, password, &schemes[i], &h, ret);
	return jinja_fail(err, "password_hash knows sha512, sha256, bcrypt and md5, not '%.*s'",
	                  STR_FMT(scheme));
}

static bool f_password_hash(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[6];
	struct str password, out;
	struct crypt_how how = {0};
	if (!jinja_args(c, "password_hash", "password hashtype= salt= salt_size= rounds= ident=", v, err) ||
	    !arg_text(c, v[0], &password, err) || !arg_str(c, v[1], STR("sha512"), &how.scheme, err) ||
	    !arg_str(c, v[2], STR(""), &how.salt, err) || !arg_str(c, v[5], STR(""), &how.ident, err))
		return false;
	if (v[3] && !val_is_null(v[3]) && val_kind(v[3]) != VAL_INT)
		return jinja_fail(err, "salt_size must be an integer");
	how.rounds = v[4] && val_kind(v[4]) == VAL_INT ? val_get_int(v[4]) : 0;
	if (!crypt_password(c->a, password, &how, &out, err))
		return false;
	*ret = val_str(c->a, out);
	return true;
}

const struct jinja_func jinja_filters_crypt[] = {
        {"password_hash", f_password_hash,
         "The text as a password of /etc/shadow: sha512 (default), sha256, bcrypt or md5; salt, rounds, "
         "ident.",
         JINJA_IMPURE, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
