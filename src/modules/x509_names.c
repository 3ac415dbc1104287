/* x509_names - object identifiers, distinguished names and general names, as text and as OpenSSL holds them.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include "modules/x509.h"

static void drop_general(void *p)
{
	GENERAL_NAME_free(p);
}

static void drop_name(void *p)
{
	X509_NAME_free(p);
}

static void drop_oid(void *p)
{
	ASN1_OBJECT_free(p);
}

ASN1_OBJECT *x509_oid(struct mod_ctx *m, const char *name)
{
	ASN1_OBJECT *o = OBJ_txt2obj(strcmp(name, "userID") == 0 ? "userId" : name, 0);
	ERR_clear_error();
	if (o)
		arena_defer(m->a, drop_oid, o);
	else
		mod_fail(m, "Cannot find OID for \"%s\"", name);
	return o;
}

const char *x509_oid_name(struct mod_ctx *m, const ASN1_OBJECT *o, bool in_full)
{
	char number[128] = "";
	int nid = OBJ_obj2nid(o);
	if (nid != NID_undef)
		return in_full ? OBJ_nid2ln(nid) : OBJ_nid2sn(nid);
	OBJ_obj2txt(number, sizeof(number), o, 1);
	return arena_strdup(m->a, number);
}

/* ---- distinguished names */

static bool add_entry(struct mod_ctx *m, X509_NAME *n, const char *key, struct str value)
{
	ASN1_OBJECT *o = x509_oid(m, key);
	if (!o)
		return false;
	bool ok = X509_NAME_add_entry_by_OBJ(n, o, MBSTRING_UTF8, (const unsigned char *)value.p,
	                                     (int)value.n, -1, 0) == 1;
	ERR_clear_error();
	return ok || mod_fail(m, "%s cannot be \"%.*s\"", key, STR_FMT(value));
}

X509_NAME *x509_name(struct mod_ctx *m, const struct val *pairs)
{
	X509_NAME *n = xneed(X509_NAME_new());
	arena_defer(m->a, drop_name, n);
	VAL_EACH (i, pairs) {
		const struct val *pair = val_at(pairs, i);
		if (!add_entry(m, n, val_get_strz(val_at(pair, 0)), val_get_str(val_at(pair, 1))))
			return NULL;
	}
	return n;
}

static struct val *text_of(struct mod_ctx *m, const ASN1_STRING *s)
{
	unsigned char *utf8 = NULL;
	int n = ASN1_STRING_to_UTF8(&utf8, s);
	struct val *v = val_str(m->a, str_n((const char *)utf8, n > 0 ? (size_t)n : 0));
	OPENSSL_free(utf8);
	ERR_clear_error();
	return v;
}

struct val *x509_name_pairs(struct mod_ctx *m, const X509_NAME *name, bool in_full)
{
	struct val *list = val_list(m->a);
	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
		struct val *pair = val_list(m->a);
		val_push(pair, val_strz(m->a, x509_oid_name(m, X509_NAME_ENTRY_get_object(e), in_full)));
		val_push(pair, text_of(m, X509_NAME_ENTRY_get_data(e)));
		val_push(list, pair);
	}
	return list;
}

struct val *x509_pairs_map(struct mod_ctx *m, const struct val *pairs)
{
	struct val *map = val_map(m->a);
	VAL_EACH (i, pairs)
		val_setk(map, val_at(val_at(pairs, i), 0), val_at(val_at(pairs, i), 1));
	return map;
}

/* One "CN=some\, text" up to the separator: *S becomes what follows it. */
static struct val *dn_part(struct mod_ctx *m, struct str *s, char sep)
{
	struct str key = str_trim(str_split(s, '='));
	struct buf b = {0};
	size_t i = 0;
	while (i < s->n && s->p[i] == ' ')
		i++;
	for (; i < s->n && s->p[i] != sep; i++) {
		struct str byte;
		if (s->p[i] != '\\' || i + 1 == s->n)
			buf_addc(&b, s->p[i]);
		else if (i + 2 < s->n && x509_unhex(m, arena_strndup(m->a, s->p + i + 1, 2), &byte) &&
		         byte.n == 1) {
			buf_addstr(&b, byte);
			i += 2;
		} else
			buf_addc(&b, s->p[++i]);
	}
	struct val *pair = val_list(m->a);
	val_push(pair, val_str(m->a, key));
	val_push(pair, val_str(m->a, buf_str(&b)));
	buf_free(&b);
	*s = i < s->n ? str_from(*s, i + 1) : str_n(NULL, 0);
	return pair;
}

/* RFC 4514 writes a name from its end on. */
static X509_NAME *parse_dn(struct mod_ctx *m, const char *text)
{
	struct str rest = str_c(text);
	struct val *pairs = val_list(m->a);
	char sep = ',';
	if (*text == '/') {
		sep = '/';
		rest = str_from(rest, 1);
	}
	while (rest.p && rest.n)
		val_insert(pairs, 0, dn_part(m, &rest, sep));
	return x509_name(m, pairs);
}

static const char *dn_text(struct mod_ctx *m, const X509_NAME *name)
{
	struct val *pairs = x509_name_pairs(m, name, false);
	struct buf b = {0};
	for (size_t i = val_len(pairs); i-- > 0;) {
		struct str v = val_get_str(val_at(val_at(pairs, i), 1));
		buf_printf(&b, "%s%s=", b.n ? "," : "", val_get_strz(val_at(val_at(pairs, i), 0)));
		for (size_t k = 0; k < v.n; k++) {
			bool edge = (k == 0 && (v.p[k] == ' ' || v.p[k] == '#')) ||
			            (k + 1 == v.n && v.p[k] == ' ');
			if (edge || (v.p[k] && strchr("\\,+<>;\"", v.p[k])))
				buf_addc(&b, '\\');
			if (v.p[k])
				buf_addc(&b, v.p[k]);
			else
				buf_adds(&b, "\\00");
		}
	}
	struct str s = buf_take(&b, m->a);
	buf_free(&b);
	return s.p ? s.p : "";
}

/* ---- general names, text to OpenSSL */

/* An address, or a network and its mask: a prefix's length or an address again. */
static bool parse_ip(struct mod_ctx *m, const char *text, ASN1_OCTET_STRING *out)
{
	unsigned char bytes[32] = {0};
	const char *slash = strchr(text, '/'),
	           *addr = slash ? arena_strndup(m->a, text, (size_t)(slash - text)) : text;
	size_t n = inet_pton(AF_INET, addr, bytes) == 1 ? 4 : inet_pton(AF_INET6, addr, bytes) == 1 ? 16 : 0;
	int64_t bits;
	if (!n)
		return false;
	if (slash && str_int(str_c(slash + 1), &bits)) {
		if (bits < 0 || bits > (int64_t)n * 8)
			return false;
		for (size_t i = 0; i < (size_t)bits; i++)
			bytes[n + i / 8] |= (unsigned char)(0x80 >> i % 8);
	} else if (slash && inet_pton(n == 4 ? AF_INET : AF_INET6, slash + 1, bytes + n) != 1)
		return false;
	for (size_t i = 0; slash && i < n; i++)
		if (bytes[i] & ~bytes[n + i])
			return false; /* an address within the network is not the network */
	return ASN1_OCTET_STRING_set(out, bytes, (int)(slash ? 2 * n : n)) == 1;
}

/* "1.2.3;UTF8:text", or ";0c:04:.." for any other type. */
static bool parse_other(struct mod_ctx *m, const char *text, GENERAL_NAME *g)
{
	const char *semi = strchr(text, ';');
	struct str der;
	if (!semi)
		return false;
	ASN1_OBJECT *oid = OBJ_txt2obj(arena_strndup(m->a, text, (size_t)(semi - text)), 1);
	ASN1_TYPE *value = NULL;
	if (x509_unhex(m, semi + 1, &der)) {
		const unsigned char *p = (const unsigned char *)der.p;
		value = d2i_ASN1_TYPE(NULL, &p, (long)der.n);
	} else if (strstr(semi, "UTF8:"))
		value = ASN1_generate_v3(semi + 1, NULL);
	if (oid && value && GENERAL_NAME_set0_othername(g, oid, value) == 1)
		return true;
	ASN1_OBJECT_free(oid);
	ASN1_TYPE_free(value);
	return false;
}

static bool is_ascii(const char *z)
{
	while (*z && !(*z & 0x80))
		z++;
	return !*z;
}

static bool set_ia5(GENERAL_NAME *g, int type, const char *text)
{
	ASN1_IA5STRING *s = xneed(ASN1_IA5STRING_new());
	GENERAL_NAME_set0_value(g, type, s);
	return is_ascii(text) && ASN1_STRING_set(s, text, (int)strlen(text)) == 1;
}

static bool set_general(struct mod_ctx *m, GENERAL_NAME *g, const char *kind, const char *text)
{
	if (strcmp(kind, "DNS") == 0 || strcmp(kind, "email") == 0 || strcmp(kind, "URI") == 0)
		return set_ia5(g, *kind == 'D' ? GEN_DNS : *kind == 'U' ? GEN_URI : GEN_EMAIL, text);
	if (strcmp(kind, "IP") == 0) {
		ASN1_OCTET_STRING *s = xneed(ASN1_OCTET_STRING_new());
		GENERAL_NAME_set0_value(g, GEN_IPADD, s);
		return parse_ip(m, text, s);
	}
	if (strcmp(kind, "otherName") == 0)
		return parse_other(m, text, g);
	if (strcmp(kind, "RID") == 0) {
		ASN1_OBJECT *o = OBJ_txt2obj(text, 1);
		if (o)
			GENERAL_NAME_set0_value(g, GEN_RID, o);
		return o != NULL;
	}
	X509_NAME *n = strcmp(kind, "dirName") == 0 ? parse_dn(m, text) : NULL;
	if (n)
		GENERAL_NAME_set0_value(g, GEN_DIRNAME, xneed(X509_NAME_dup(n)));
	return n != NULL;
}

GENERAL_NAME *x509_general(struct mod_ctx *m, const char *text, const char *what)
{
	const char *colon = strchr(text, ':');
	GENERAL_NAME *g = xneed(GENERAL_NAME_new());
	arena_defer(m->a, drop_general, g);
	if (!colon) {
		mod_fail(m, "Cannot parse %s \"%s\" (forgot \"DNS:\" prefix?)", what, text);
		return NULL;
	}
	bool ok = set_general(m, g, arena_strndup(m->a, text, (size_t)(colon - text)), colon + 1);
	ERR_clear_error();
	if (ok)
		return g;
	mod_fail(m, "Cannot parse %s \"%s\"%s", what, text,
	         is_ascii(text) ? "" : ": names outside of ASCII are to be given as xn--...");
	return NULL;
}

static void drop_generals(void *p)
{
	GENERAL_NAMES_free(p);
}

GENERAL_NAMES *x509_generals(struct mod_ctx *m, const struct val *list, const char *what)
{
	GENERAL_NAMES *all = xneed(GENERAL_NAMES_new());
	arena_defer(m->a, drop_generals, all);
	VAL_EACH (i, list) {
		GENERAL_NAME *g = x509_general(m, val_get_strz(val_at(list, i)), what);
		if (!g)
			return NULL;
		sk_GENERAL_NAME_push(all, xneed(GENERAL_NAME_dup(g)));
	}
	return all;
}

/* ---- OpenSSL to text */

static const char *ip_text(struct mod_ctx *m, const ASN1_OCTET_STRING *s)
{
	const unsigned char *p = ASN1_STRING_get0_data(s);
	size_t n = (size_t)ASN1_STRING_length(s), half = n == 8 || n == 32 ? n / 2 : n;
	char text[INET6_ADDRSTRLEN] = "";
	int bits = 0;
	if (half != 4 && half != 16)
		return "";
	inet_ntop(half == 4 ? AF_INET : AF_INET6, p, text, sizeof(text));
	if (half == n)
		return arena_strdup(m->a, text);
	for (size_t i = half; i < n; i++)
		bits += __builtin_popcount(p[i]);
	return arena_printf(m->a, "%s/%d", text, bits);
}

static const char *other_text(struct mod_ctx *m, const GENERAL_NAME *g)
{
	ASN1_OBJECT *oid;
	ASN1_TYPE *value;
	char number[128] = "";
	unsigned char *der = NULL;
	if (GENERAL_NAME_get0_otherName(g, &oid, &value) != 1)
		return "";
	OBJ_obj2txt(number, sizeof(number), oid, 1);
	int n = i2d_ASN1_TYPE(value, &der);
	const char *z = arena_printf(m->a, "%s;%s", number,
	                             x509_hex(m, str_n((const char *)der, n > 0 ? (size_t)n : 0)));
	OPENSSL_free(der);
	return z;
}

const char *x509_general_text(struct mod_ctx *m, const GENERAL_NAME *g)
{
	int type;
	char number[128] = "";
	const void *v = GENERAL_NAME_get0_value(g, &type);
	switch (type) {
	case GEN_DNS:
	case GEN_EMAIL:
	case GEN_URI:
		return arena_printf(m->a, "%s:%.*s",
		                    type == GEN_DNS   ? "DNS"
		                    : type == GEN_URI ? "URI"
		                                      : "email",
		                    ASN1_STRING_length(v), (const char *)ASN1_STRING_get0_data(v));
	case GEN_IPADD: return arena_printf(m->a, "IP:%s", ip_text(m, v));
	case GEN_DIRNAME: return arena_printf(m->a, "dirName:%s", dn_text(m, v));
	case GEN_RID: OBJ_obj2txt(number, sizeof(number), v, 1); return arena_printf(m->a, "RID:%s", number);
	case GEN_OTHERNAME: return arena_printf(m->a, "otherName:%s", other_text(m, g));
	default: return "";
	}
}
