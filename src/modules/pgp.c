#include <ctype.h>
#include <strings.h>
#include "modules/digest.h"
#include "modules/pgp.h"

enum { TAG_KEY = 6, TAG_SUBKEY = 14 };

static const char begin[] = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
static const char end[] = "-----END PGP PUBLIC KEY BLOCK-----";

bool pgp_is_armored(struct str s)
{
	return str_find(s, str_c(begin), 0) >= 0;
}

/* The base64 between the first empty line and the checksum. */
static bool dearmor(struct buf *out, struct str block)
{
	struct buf text = {0};
	bool body = false;
	while (block.p) {
		struct str line = str_trim(str_split(&block, '\n'));
		if (!body && (!line.n || !memchr(line.p, ':', line.n)))
			body = true;
		if (body && line.n && line.p[0] != '=')
			buf_addstr(&text, line);
	}
	bool ok = buf_unbase64(out, buf_str(&text));
	buf_free(&text);
	return ok;
}

bool pgp_packets(struct arena *a, struct str s, struct str *ret)
{
	struct buf out = {0};
	bool ok = true;
	ptrdiff_t from = 0, to;
	if (!pgp_is_armored(s)) {
		*ret = s;
		/* The first byte of a packet has its highest bit set. */
		return s.n > 2 && ((unsigned char)s.p[0] & 0x80);
	}
	while (ok && (from = str_find(s, str_c(begin), (size_t)from)) >= 0) {
		from += (ptrdiff_t)sizeof(begin) - 1;
		to = str_find(s, str_c(end), (size_t)from);
		ok = to > from && s.p[from] && dearmor(&out, str_n(s.p + from + 1, (size_t)(to - from) - 1));
	}
	*ret = buf_take(&out, a);
	buf_free(&out);
	return ok && ret->n > 0;
}

/* RFC 4880 6.1: older gpg want it. */
static uint32_t crc24(struct str s)
{
	uint32_t crc = 0xb704ce;
	for (size_t i = 0; i < s.n; i++) {
		crc ^= (uint32_t)(unsigned char)s.p[i] << 16;
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x800000 ? 0x1864cfb : 0);
	}
	return crc & 0xffffff;
}

struct str pgp_armor(struct arena *a, struct str packets)
{
	struct buf text = {0}, out = {0};
	buf_base64(&text, packets);
	buf_printf(&out, "%s\n\n", begin);
	for (size_t at = 0; at < text.n; at += 64)
		buf_printf(&out, "%.*s\n", (int)(text.n - at < 64 ? text.n - at : 64), text.p + at);
	uint32_t crc = crc24(packets);
	char sum[3] = {(char)(crc >> 16 & 0xff), (char)(crc >> 8 & 0xff), (char)(crc & 0xff)};
	buf_addc(&out, '=');
	buf_base64(&out, str_n(sum, sizeof(sum)));
	buf_printf(&out, "\n%s\n", end);
	struct str ret = buf_take(&out, a);
	buf_free(&text);
	buf_free(&out);
	return ret;
}

/* The tag, the body and the whole length of the packet at S's start. */
static bool packet(struct str s, unsigned *tag, struct str *body, size_t *whole)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t head, len = 0;
	if (s.n < 2 || !(p[0] & 0x80))
		return false;
	if (p[0] & 0x40) {
		*tag = p[0] & 0x3f;
		head = p[1] < 192 ? 2 : p[1] < 224 ? 3 : p[1] == 255 ? 6 : 0;
		if (!head || s.n < head)
			return false; /* partial lengths have no place in keys */
		len = head == 2   ? p[1]
		      : head == 3 ? ((size_t)(p[1] - 192) << 8) + p[2] + 192
		                  : (size_t)p[2] << 24 | (size_t)p[3] << 16 | (size_t)p[4] << 8 | p[5];
	} else {
		static const unsigned char sizes[] = {1, 2, 4};
		*tag = (p[0] >> 2) & 15;
		if ((p[0] & 3) == 3)
			return false;
		head = 1 + (size_t)sizes[p[0] & 3];
		if (s.n < head)
			return false;
		for (size_t i = 1; i < head; i++)
			len = len << 8 | p[i];
	}
	if (s.n - head < len)
		return false;
	*body = str_n(s.p + head, len);
	*whole = head + len;
	return true;
}

/* RFC 4880 12.2; version 6 keys (RFC 9580) hash differently. */
static const char *fingerprint(struct arena *a, struct str body)
{
	struct buf b = {0};
	unsigned version = body.n ? (unsigned char)body.p[0] : 0;
	buf_addc(&b, (char)(version == 6 ? 0x9b : 0x99));
	if (version == 6) {
		buf_addc(&b, (char)(body.n >> 24 & 0xff));
		buf_addc(&b, (char)(body.n >> 16 & 0xff));
	}
	buf_addc(&b, (char)(body.n >> 8 & 0xff));
	buf_addc(&b, (char)(body.n & 0xff));
	buf_addstr(&b, body);
	const char *hex = digest_str(a, version == 6 ? "sha256" : "sha1", buf_str(&b));
	buf_free(&b);
	char *ret = arena_strdup(a, hex ? hex : "");
	for (char *p = ret; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return ret;
}

bool pgp_next(struct arena *a, struct str *rest, struct pgp_key *ret)
{
	struct str s = *rest, body;
	size_t at = 0, whole;
	unsigned tag;
	*ret = (struct pgp_key){0};
	while (at < s.n && packet(str_n(s.p + at, s.n - at), &tag, &body, &whole)) {
		if (tag == TAG_KEY && ret->n)
			break;
		if ((tag == TAG_KEY || (tag == TAG_SUBKEY && ret->n)) && ret->n < PGP_IDS)
			ret->ids[ret->n++] = fingerprint(a, body);
		at += whole;
	}
	ret->packets = str_n(s.p, at);
	ret->fingerprint = ret->ids[0];
	*rest = str_n(s.p + at, s.n - at);
	return ret->n > 0;
}

bool pgp_is(const struct pgp_key *k, const char *id)
{
	if (strncasecmp(id, "0x", 2) == 0)
		id += 2;
	size_t n = strlen(id);
	for (size_t i = 0; n >= 8 && i < k->n; i++) {
		size_t len = strlen(k->ids[i]);
		if (len >= n && strcasecmp(k->ids[i] + len - n, id) == 0)
			return true;
	}
	return false;
}
