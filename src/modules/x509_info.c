/* x509_info - what certificates, requests and keys say, as the *_info modules return it and diffs show it. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include "modules/digest.h"
#include "modules/x509.h"

struct val *x509_fingerprints(struct mod_ctx *m, struct str der, bool one)
{
	static const char *const algorithms[] = {"sha256", "md5", "sha1", "sha224", "sha384", "sha512"};
	struct val *all = val_map(m->a);
	for (size_t i = 0; i < (one ? 1 : sizeof(algorithms) / sizeof(*algorithms)); i++) {
		const char *hex = digest_str(m->a, algorithms[i], der);
		struct buf b = {0};
		for (size_t k = 0; hex && hex[k]; k += 2)
			buf_printf(&b, "%s%.2s", k ? ":" : "", hex + k);
		val_set(all, algorithms[i], val_str(m->a, buf_str(&b)));
		buf_free(&b);
	}
	return all;
}

struct val *x509_key_fingerprints(struct mod_ctx *m, EVP_PKEY *key, bool one)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	struct val *v = n > 0 ? x509_fingerprints(m, str_n((const char *)der, (size_t)n), one) : val_null();
	OPENSSL_free(der);
	return v;
}

static void set_number(struct mod_ctx *m, struct val *map, const char *name, EVP_PKEY *key, const char *param)
{
	BIGNUM *n = NULL;
	if (EVP_PKEY_get_bn_param(key, param, &n) == 1)
		val_set(map, name, x509_number(m, n));
	BN_free(n);
}

struct val *x509_public_data(struct mod_ctx *m, EVP_PKEY *key, const char **type)
{
	struct val *d = val_map(m->a);
	char curve[80] = "";
	size_t n;
	switch (EVP_PKEY_base_id(key)) {
	case EVP_PKEY_RSA:
		*type = "RSA";
		val_set(d, "size", val_int(m->a, EVP_PKEY_bits(key)));
		set_number(m, d, "modulus", key, OSSL_PKEY_PARAM_RSA_N);
		set_number(m, d, "exponent", key, OSSL_PKEY_PARAM_RSA_E);
		break;
	case EVP_PKEY_DSA:
		*type = "DSA";
		val_set(d, "size", val_int(m->a, EVP_PKEY_bits(key)));
		set_number(m, d, "p", key, OSSL_PKEY_PARAM_FFC_P);
		set_number(m, d, "q", key, OSSL_PKEY_PARAM_FFC_Q);
		set_number(m, d, "g", key, OSSL_PKEY_PARAM_FFC_G);
		set_number(m, d, "y", key, OSSL_PKEY_PARAM_PUB_KEY);
		break;
	case EVP_PKEY_EC:
		*type = "ECC";
		EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n);
		val_set(d, "curve",
		        val_strz(m->a, strcmp(curve, "prime256v1") == 0   ? "secp256r1"
		                       : strcmp(curve, "prime192v1") == 0 ? "secp192r1"
		                                                          : curve));
		val_set(d, "exponent_size", val_int(m->a, EVP_PKEY_bits(key)));
		set_number(m, d, "x", key, OSSL_PKEY_PARAM_EC_PUB_X);
		set_number(m, d, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y);
		break;
	case EVP_PKEY_ED25519: *type = "Ed25519"; break;
	case EVP_PKEY_ED448: *type = "Ed448"; break;
	case EVP_PKEY_X25519: *type = "X25519"; break;
	case EVP_PKEY_X448: *type = "X448"; break;
	default: *type = arena_printf(m->a, "unknown (%s)", OBJ_nid2sn(EVP_PKEY_base_id(key)));
	}
	ERR_clear_error();
	return d;
}

/* ---- extensions */

typedef STACK_OF(X509_EXTENSION) exts;

struct said {
	struct mod_ctx *m;
	const exts *from;
	struct val *info;
};

/* The extension NID decoded, or NULL; its two members in the result are NAME and NAME_critical. */
static void *decoded(struct said *s, int nid, const char *name)
{
	int critical = 0;
	void *v = X509V3_get_d2i(s->from, nid, &critical, NULL);
	ERR_clear_error();
	val_set(s->info, name, val_null());
	val_set(s->info, arena_printf(s->m->a, "%s_critical", name), val_bool(v && critical == 1));
	return v;
}

static void say_key_usage(struct said *s)
{
	static const struct {
		const char *name;
		int bit;
	} usages[] = {{"CRL Sign", 6},      {"Certificate Sign", 5},  {"Data Encipherment", 3},
	              {"Decipher Only", 8}, {"Digital Signature", 0}, {"Encipher Only", 7},
	              {"Key Agreement", 4}, {"Key Encipherment", 2},  {"Non Repudiation", 1}};
	ASN1_BIT_STRING *bits = decoded(s, NID_key_usage, "key_usage");
	if (!bits)
		return;
	struct val *list = val_list(s->m->a);
	for (size_t i = 0; i < sizeof(usages) / sizeof(*usages); i++)
		if (ASN1_BIT_STRING_get_bit(bits, usages[i].bit) &&
		    (usages[i].bit < 7 || ASN1_BIT_STRING_get_bit(bits, 4)))
			val_push(list, val_strz(s->m->a, usages[i].name));
	val_set(s->info, "key_usage", list);
	ASN1_BIT_STRING_free(bits);
}

static void say_extended_key_usage(struct said *s)
{
	EXTENDED_KEY_USAGE *all = decoded(s, NID_ext_key_usage, "extended_key_usage");
	if (!all)
		return;
	struct val *list = val_list(s->m->a);
	for (int i = 0; i < sk_ASN1_OBJECT_num(all); i++) {
		const char *name = x509_oid_name(s->m, sk_ASN1_OBJECT_value(all, i), true);
		size_t at = 0;
		while (at < val_len(list) && strcmp(val_get_strz(val_at(list, at)), name) < 0)
			at++;
		val_insert(list, at, val_strz(s->m->a, name));
	}
	val_set(s->info, "extended_key_usage", list);
	EXTENDED_KEY_USAGE_free(all);
}

static void say_basic_constraints(struct said *s)
{
	BASIC_CONSTRAINTS *bc = decoded(s, NID_basic_constraints, "basic_constraints");
	if (!bc)
		return;
	struct val *list = val_list(s->m->a);
	val_push(list, val_strz(s->m->a, bc->ca ? "CA:TRUE" : "CA:FALSE"));
	if (bc->pathlen)
		val_push(list, val_strf(s->m->a, "pathlen:%ld", ASN1_INTEGER_get(bc->pathlen)));
	val_set(s->info, "basic_constraints", list);
	BASIC_CONSTRAINTS_free(bc);
}

static void say_must_staple(struct said *s)
{
	TLS_FEATURE *all = decoded(s, NID_tlsfeature, "ocsp_must_staple");
	if (!all)
		return;
	bool staple = false;
	for (int i = 0; i < sk_ASN1_INTEGER_num(all); i++)
		staple = staple || ASN1_INTEGER_get(sk_ASN1_INTEGER_value(all, i)) == 5;
	val_set(s->info, "ocsp_must_staple", val_bool(staple));
	TLS_FEATURE_free(all);
}

static struct val *general_list(struct mod_ctx *m, const GENERAL_NAMES *all)
{
	struct val *list = val_list(m->a);
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++)
		val_push(list, val_strz(m->a, x509_general_text(m, sk_GENERAL_NAME_value(all, i))));
	return list;
}

static void say_alt_name(struct said *s)
{
	GENERAL_NAMES *all = decoded(s, NID_subject_alt_name, "subject_alt_name");
	if (!all)
		return;
	val_set(s->info, "subject_alt_name", general_list(s->m, all));
	GENERAL_NAMES_free(all);
}

static struct val *subtrees(struct mod_ctx *m, const STACK_OF(GENERAL_SUBTREE) * all)
{
	struct val *list = val_list(m->a);
	for (int i = 0; i < sk_GENERAL_SUBTREE_num(all); i++)
		val_push(list, val_strz(m->a, x509_general_text(m, sk_GENERAL_SUBTREE_value(all, i)->base)));
	return list;
}

static void say_name_constraints(struct said *s)
{
	NAME_CONSTRAINTS *nc = decoded(s, NID_name_constraints, "name_constraints");
	val_del(s->info, STR("name_constraints"));
	val_set(s->info, "name_constraints_permitted",
	        nc ? subtrees(s->m, nc->permittedSubtrees) : val_null());
	val_set(s->info, "name_constraints_excluded", nc ? subtrees(s->m, nc->excludedSubtrees) : val_null());
	NAME_CONSTRAINTS_free(nc);
}

static struct val *hex_of(struct mod_ctx *m, const ASN1_OCTET_STRING *o)
{
	return o ? val_strz(m->a, x509_hex(m, str_n((const char *)ASN1_STRING_get0_data(o),
	                                            (size_t)ASN1_STRING_length(o))))
	         : val_null();
}

static void say_identifiers(struct said *s)
{
	struct mod_ctx *m = s->m;
	ASN1_OCTET_STRING *ski = X509V3_get_d2i(s->from, NID_subject_key_identifier, NULL, NULL);
	AUTHORITY_KEYID *aki = X509V3_get_d2i(s->from, NID_authority_key_identifier, NULL, NULL);
	val_set(s->info, "subject_key_identifier", hex_of(m, ski));
	val_set(s->info, "authority_key_identifier", hex_of(m, aki ? aki->keyid : NULL));
	val_set(s->info, "authority_cert_issuer",
	        aki && aki->issuer ? general_list(m, aki->issuer) : val_null());
	val_set(s->info, "authority_cert_serial_number", x509_serial(m, aki ? aki->serial : NULL));
	ASN1_OCTET_STRING_free(ski);
	AUTHORITY_KEYID_free(aki);
	ERR_clear_error();
}

static void say_all_extensions(struct said *s)
{
	struct val *all = val_map(s->m->a);
	for (int i = 0; i < X509v3_get_ext_count(s->from); i++) {
		X509_EXTENSION *e = X509v3_get_ext(s->from, i);
		const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(e);
		struct val *one = val_map(s->m->a);
		struct buf b = {0};
		char number[128] = "";
		OBJ_obj2txt(number, sizeof(number), X509_EXTENSION_get_object(e), 1);
		buf_base64(&b, str_n((const char *)ASN1_STRING_get0_data(data),
		                     (size_t)ASN1_STRING_length(data)));
		val_set(one, "critical", val_bool(X509_EXTENSION_get_critical(e) == 1));
		val_set(one, "value", val_str(s->m->a, buf_str(&b)));
		val_set(all, number, one);
		buf_free(&b);
	}
	val_set(s->info, "extensions_by_oid", all);
}

static void say_extensions(struct said *s)
{
	say_key_usage(s);
	say_extended_key_usage(s);
	say_basic_constraints(s);
	say_must_staple(s);
	say_alt_name(s);
	say_identifiers(s);
	say_all_extensions(s);
}

static void say_public_key(struct said *s, EVP_PKEY *key, bool one)
{
	struct mod_ctx *m = s->m;
	const char *type = "unknown";
	struct val *data = key ? x509_public_data(m, key, &type) : val_map(m->a);
	val_set(s->info, "public_key", key ? val_str(m->a, x509_public_pem(m, key)) : val_null());
	val_set(s->info, "public_key_type", val_strz(m->a, type));
	val_set(s->info, "public_key_data", data);
	val_set(s->info, "public_key_fingerprints", key ? x509_key_fingerprints(m, key, one) : val_null());
}

static void say_name(struct said *s, const char *what, const X509_NAME *name)
{
	struct val *pairs = x509_name_pairs(s->m, name, true);
	val_set(s->info, what, x509_pairs_map(s->m, pairs));
	val_set(s->info, arena_printf(s->m->a, "%s_ordered", what), pairs);
}

struct val *x509_request_info(struct mod_ctx *m, X509_REQ *req, bool one)
{
	exts *from = X509_REQ_get_extensions(req);
	struct said s = {m, from, val_map(m->a)};
	EVP_PKEY *key = X509_REQ_get0_pubkey(req);
	say_name(&s, "subject", X509_REQ_get_subject_name(req));
	say_extensions(&s);
	say_name_constraints(&s);
	say_public_key(&s, key, one);
	val_set(s.info, "signature_valid", val_bool(key && X509_REQ_verify(req, key) == 1));
	sk_X509_EXTENSION_pop_free(from, X509_EXTENSION_free);
	ERR_clear_error();
	return s.info;
}

/* ---- certificates */

static struct val *access_uri(struct mod_ctx *m, X509 *cert, int method)
{
	AUTHORITY_INFO_ACCESS *all = X509_get_ext_d2i(cert, NID_info_access, NULL, NULL);
	struct val *v = val_null();
	for (int i = sk_ACCESS_DESCRIPTION_num(all) - 1; i >= 0; i--) {
		const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(all, i);
		if (OBJ_obj2nid(d->method) == method && d->location->type == GEN_URI)
			v = val_strz(m->a, x509_general_text(m, d->location) + strlen("URI:"));
	}
	AUTHORITY_INFO_ACCESS_free(all);
	ERR_clear_error();
	return v;
}

struct val *x509_cert_info(struct mod_ctx *m, X509 *cert, bool one)
{
	struct said s = {m, X509_get0_extensions(cert), val_map(m->a)};
	unsigned char *der = NULL;
	int64_t after;
	int n = i2d_X509(cert, &der);
	say_name(&s, "subject", X509_get_subject_name(cert));
	say_name(&s, "issuer", X509_get_issuer_name(cert));
	say_extensions(&s);
	say_public_key(&s, X509_get0_pubkey(cert), one);
	val_set(s.info, "signature_algorithm", val_strz(m->a, OBJ_nid2ln(X509_get_signature_nid(cert))));
	val_set(s.info, "version", val_int(m->a, X509_get_version(cert) + 1));
	val_set(s.info, "not_before", val_strz(m->a, x509_time_text(m, X509_get0_notBefore(cert), NULL)));
	val_set(s.info, "not_after", val_strz(m->a, x509_time_text(m, X509_get0_notAfter(cert), &after)));
	val_set(s.info, "expired", val_bool(after < time(NULL)));
	val_set(s.info, "fingerprints",
	        x509_fingerprints(m, str_n((const char *)der, n > 0 ? (size_t)n : 0), one));
	val_set(s.info, "serial_number", x509_serial(m, X509_get0_serialNumber(cert)));
	val_set(s.info, "ocsp_uri", access_uri(m, cert, NID_ad_OCSP));
	val_set(s.info, "issuer_uri", access_uri(m, cert, NID_ad_ca_issuers));
	OPENSSL_free(der);
	return s.info;
}

struct val *x509_described(struct mod_ctx *m, struct val *info, const char *what)
{
	struct val *v = info ? info : val_map(m->a);
	val_set(v, what, val_bool(info != NULL));
	return v;
}

void x509_diff(struct mod_ctx *m, struct val *before, struct val *after)
{
	struct val *d = val_map(m->a);
	val_set(d, "before", before ? before : val_map(m->a));
	val_set(d, "after", after ? after : val_map(m->a));
	mod_set(m, "diff", d);
}
