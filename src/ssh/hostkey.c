#include "ssh/hostkey.h"

#include <fnmatch.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

/* ---- known_hosts ------------------------------------------------------------------------------------------
 */

/* "|1|salt|hash": the name is HMAC-SHA1(salt, name). */
static bool hashed_match(struct str pattern, const char *name)
{
	struct buf salt = {0}, want = {0};
	unsigned char got[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct str rest = str_n(pattern.p + 3, pattern.n - 3), s = str_split(&rest, '|');
	bool same = false;

	if (buf_unbase64(&salt, s) && buf_unbase64(&want, rest) &&
	    HMAC(EVP_sha1(), salt.p ? salt.p : "", (int)salt.n, (const unsigned char *)name, strlen(name),
	         got, &n))
		same = str_eq(buf_str(&want), str_n((const char *)got, n));
	buf_free(&salt);
	buf_free(&want);
	return same;
}

/* Comma-separated names and patterns; one that begins with ! and fits excludes the line. */
static bool names_match(struct str names, const char *name)
{
	bool match = false;

	while (names.p) {
		struct str one = str_split(&names, ',');
		bool negated = str_starts(one, "!");
		char pattern[512];

		if (str_starts(one, "|1|")) {
			match |= hashed_match(one, name);
			continue;
		}
		if (negated)
			one = str_n(one.p + 1, one.n - 1);
		if (one.n >= sizeof(pattern))
			continue;
		/* In known_hosts the brackets of [host]:port are plain characters. */
		size_t n = 0;
		for (size_t i = 0; i < one.n && n + 2 < sizeof(pattern); i++) {
			if (one.p[i] == '[' || one.p[i] == ']' || one.p[i] == '\\')
				pattern[n++] = '\\';
			pattern[n++] = one.p[i];
		}
		pattern[n] = 0;
		if (fnmatch(pattern, name, FNM_CASEFOLD) != 0)
			continue;
		if (negated)
			return false;
		match = true;
	}
	return match;
}

static struct str word(struct str *s)
{
	size_t n = 0;
	struct str w;

	*s = str_trim(*s);
	while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
		n++;
	w = str_n(s->p, n);
	*s = str_n(s->p + n, s->n - n);
	return w;
}

struct val *known_hosts_find(struct arena *a, struct str known_hosts, const char *host, int port,
                             struct val **ret_revoked)
{
	struct val *keys = val_list(a);
	const char *name = port == 22 ? host : arena_printf(a, "[%s]:%d", host, port);

	*ret_revoked = val_list(a);
	while (known_hosts.p) {
		struct str line = str_split(&known_hosts, '\n'), names = word(&line), type, key;
		struct val *to = keys;

		if (!names.n || names.p[0] == '#')
			continue;
		if (names.p[0] == '@') {
			if (!str_eqc(names, "@revoked"))
				continue;
			to = *ret_revoked;
			names = word(&line);
		}
		type = word(&line);
		key = word(&line);
		if (key.n && names_match(names, name))
			val_push(to, val_strf(a, "%.*s %.*s", STR_FMT(type), STR_FMT(key)));
	}
	return keys;
}

/* ---- keys -------------------------------------------------------------------------------------------------
 */

struct str hostkey_type(struct str blob)
{
	const unsigned char *p = (const unsigned char *)blob.p;
	size_t n;

	if (blob.n < 4)
		return str_n(NULL, 0);
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	return n > blob.n - 4 ? str_n(NULL, 0) : str_n(blob.p + 4, n);
}

const char *hostkey_line(struct arena *a, struct str blob)
{
	struct buf b = {0};
	const char *line;

	buf_base64(&b, blob);
	line = arena_printf(a, "%.*s %.*s", STR_FMT(hostkey_type(blob)), STR_FMT(buf_str(&b)));
	buf_free(&b);
	return line;
}

const char *hostkey_fingerprint(struct arena *a, struct str blob)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct buf b = {0};
	struct str text;

	EVP_Digest(blob.p, blob.n, md, &n, EVP_sha256(), NULL);
	buf_base64(&b, str_n((const char *)md, n));
	text = buf_str(&b);
	while (text.n && text.p[text.n - 1] == '=')
		text.n--;
	text = str_c(arena_printf(a, "SHA256:%.*s", STR_FMT(text)));
	buf_free(&b);
	return text.p;
}

bool hostkey_same(const char *line, struct str blob)
{
	struct str rest = str_c(line), type = hostkey_type(blob);
	struct buf b = {0};
	bool same = false;

	if (!type.n)
		return false;
	while (rest.n && !same) {
		struct str key;

		if (!str_eq(word(&rest), type))
			continue;
		key = word(&rest);
		buf_clear(&b);
		same = buf_unbase64(&b, key) && str_eq(buf_str(&b), blob);
	}
	buf_free(&b);
	return same;
}

/* A key's type and the algorithms that show it. In order of preference. */
static const struct {
	const char *type, *algorithms;
} key_types[] = {
        {"ssh-ed25519", "ssh-ed25519"},
        {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
        {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"},
        {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"},
        {"ssh-rsa", "rsa-sha2-512,rsa-sha2-256"},
};

static bool line_has_type(struct str line, const char *type)
{
	while (line.n)
		if (str_eqc(word(&line), type))
			return true;
	return false;
}

static bool any_has_type(struct arena *a, const struct val *lines, const char *type)
{
	VAL_EACH (i, lines) {
		if (line_has_type(val_text(val_at(lines, i), a), type))
			return true;
	}
	return false;
}

const char *hostkey_prefs(struct arena *a, const struct val *lines)
{
	struct buf b = {0};

	for (int known = 1; known >= 0; known--) {
		for (size_t t = 0; t < sizeof(key_types) / sizeof(*key_types); t++) {
			if (any_has_type(a, lines, key_types[t].type) == known)
				buf_printf(&b, "%s%s", b.n ? "," : "", key_types[t].algorithms);
		}
	}
	const char *all = buf_take(&b, a).p;

	buf_free(&b);
	return all;
}
