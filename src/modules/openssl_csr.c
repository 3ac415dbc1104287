/* openssl_csr - and openssl_csr_pipe, which returns the request instead of keeping it in a file. */
#include <openssl/err.h>
#include <stdlib.h>
#include "modules/x509.h"

typedef STACK_OF(X509_EXTENSION) exts;

struct csr {
	struct mod_ctx *m;
	EVP_PKEY *key;
	struct val *subject;         /* [[name, value], ...] */
	const struct val *alt_names; /* or the common name in their place */
	exts *wanted;
	struct str now; /* in PEM; p NULL: there is none */
	X509_REQ *req;  /* what is there, or what was made */
};

/* ---- the subject */

static bool add_field(struct csr *c, struct val *key, const struct val *value)
{
	if (!val_is_str(value) || !val_len(value))
		return mod_fail(c->m, "Value for %s must not be an empty string", val_get_strz(key));
	struct val *pair = val_list(c->m->a);
	val_push(pair, key);
	val_push(pair, (struct val *)(uintptr_t)value);
	val_push(c->subject, pair);
	return true;
}

/* Members of a map: each a text or a list of texts. */
static bool add_fields(struct csr *c, const struct val *map)
{
	bool ok = true;
	for (size_t i = 0; ok && i < val_len(map); i++) {
		struct val *key = val_strz(c->m->a, val_text(val_key_at(map, i), c->m->a).p),
		           *v = val_value_at(map, i);
		if (!val_is_list(v))
			ok = add_field(c, key, v);
		for (size_t k = 0; ok && val_is_list(v) && k < val_len(v); k++)
			ok = add_field(c, key, val_at(v, k));
	}
	return ok;
}

static bool take_subject(struct csr *c)
{
	static const struct {
		const char *name, *arg;
	} fields[] = {
	        {"C", "country_name"},
	        {"ST", "state_or_province_name"},
	        {"L", "locality_name"},
	        {"O", "organization_name"},
	        {"OU", "organizational_unit_name"},
	        {"CN", "common_name"},
	        {"emailAddress", "email_address"},
	};
	struct mod_ctx *m = c->m;
	const struct val *subject = val_get(m->args, "subject"), *ordered = mod_list(m, "subject_ordered");
	c->subject = val_list(m->a);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (mod_args(m, fields[i].arg).n &&
		    !add_field(c, val_strz(m->a, fields[i].name), val_strz(m->a, mod_arg(m, fields[i].arg))))
			return false;
	if (subject && !add_fields(c, subject))
		return false;
	if (val_len(ordered) && val_len(c->subject))
		return mod_fail(m, "subject_ordered cannot be combined with any other subject field");
	VAL_EACH (i, ordered) {
		const struct val *entry = val_at(ordered, i);
		if (val_len(entry) != 1)
			return mod_fail(m,
			                "Entry #%zu in subject_ordered must be a dictionary with exactly one "
			                "key-value pair",
			                i + 1);
		if (!add_fields(c, entry))
			return false;
	}
	return true;
}

/* The common name serves as alternative name where there is none. */
static void take_alt_names(struct csr *c)
{
	struct mod_ctx *m = c->m;
	c->alt_names = mod_list(m, "subject_alt_name");
	for (size_t i = 0;
	     !val_len(c->alt_names) && mod_bool(m, "use_common_name_for_san") && i < val_len(c->subject);
	     i++) {
		const char *name = val_get_strz(val_at(val_at(c->subject, i), 0));
		if (strcmp(name, "CN") != 0 && strcmp(name, "commonName") != 0)
			continue;
		struct val *one = val_list(m->a);
		val_push(one, val_strf(m->a, "DNS:%s", val_get_strz(val_at(val_at(c->subject, i), 1))));
		c->alt_names = one;
	}
}

/* ---- the extensions */

static bool add(struct csr *c, int nid, const char *critical, void *value)
{
	X509_EXTENSION *e = X509V3_EXT_i2d(nid, critical && mod_bool(c->m, critical), value);
	bool ok = e && X509v3_add_ext(&c->wanted, e, -1);
	X509_EXTENSION_free(e);
	return ok || mod_fail(c->m, "%s cannot be written", OBJ_nid2ln(nid));
}

static bool add_key_usage(struct csr *c)
{
	static const char *const names[][2] = {
	        {"digitalSignature", "Digital Signature"},
	        {"nonRepudiation", "Non Repudiation"},
	        {"keyEncipherment", "Key Encipherment"},
	        {"dataEncipherment", "Data Encipherment"},
	        {"keyAgreement", "Key Agreement"},
	        {"keyCertSign", "Certificate Sign"},
	        {"cRLSign", "CRL Sign"},
	        {"encipherOnly", "Encipher Only"},
	        {"decipherOnly", "Decipher Only"},
	};
	const struct val *list = mod_list(c->m, "key_usage");
	ASN1_BIT_STRING *bits = xneed(ASN1_BIT_STRING_new());
	bool ok = true;
	for (size_t i = 0; ok && i < val_len(list); i++) {
		const char *usage = val_get_strz(val_at(list, i));
		size_t k = 0;
		while (k < 9 && strcmp(usage, names[k][0]) != 0 && strcmp(usage, names[k][1]) != 0)
			k++;
		ok = k < 9 ? ASN1_BIT_STRING_set_bit(bits, (int)k, 1) == 1
		           : mod_fail(c->m, "Unknown key usage \"%s\"", usage);
	}
	ok = ok && add(c, NID_key_usage, "key_usage_critical", bits);
	ASN1_BIT_STRING_free(bits);
	return ok;
}

static bool add_extended_key_usage(struct csr *c)
{
	const struct val *list = mod_list(c->m, "extended_key_usage");
	EXTENDED_KEY_USAGE *all = xneed(EXTENDED_KEY_USAGE_new());
	bool ok = true;
	for (size_t i = 0; ok && i < val_len(list); i++) {
		ASN1_OBJECT *o = x509_oid(c->m, val_get_strz(val_at(list, i)));
		ok = o && sk_ASN1_OBJECT_push(all, OBJ_dup(o)) > 0;
	}
	ok = ok && add(c, NID_ext_key_usage, "extended_key_usage_critical", all);
	EXTENDED_KEY_USAGE_free(all);
	return ok;
}

static bool add_basic_constraints(struct csr *c)
{
	const struct val *list = mod_list(c->m, "basic_constraints");
	BASIC_CONSTRAINTS *bc = xneed(BASIC_CONSTRAINTS_new());
	bool ok = true;
	for (size_t i = 0; ok && i < val_len(list); i++) {
		struct str s = val_get_str(val_at(list, i));
		int64_t n;
		if (str_eqc(s, "CA:TRUE") || str_eqc(s, "CA:FALSE"))
			bc->ca = str_eqc(s, "CA:TRUE") ? 0xff : 0;
		else if (str_starts(s, "pathlen:") && str_int(str_from(s, 8), &n) && n >= 0) {
			ASN1_INTEGER_free(bc->pathlen);
			bc->pathlen = xneed(ASN1_INTEGER_new());
			ok = ASN1_INTEGER_set_int64(bc->pathlen, n) == 1;
		} else
			ok = mod_fail(c->m, "Unknown basic constraint \"%.*s\"", STR_FMT(s));
	}
	ok = ok && add(c, NID_basic_constraints, "basic_constraints_critical", bc);
	BASIC_CONSTRAINTS_free(bc);
	return ok;
}

static bool add_must_staple(struct csr *c)
{
	TLS_FEATURE *all = xneed(TLS_FEATURE_new());
	ASN1_INTEGER *status_request = xneed(ASN1_INTEGER_new());
	ASN1_INTEGER_set(status_request, 5);
	sk_ASN1_INTEGER_push(all, status_request);
	bool ok = add(c, NID_tlsfeature, "ocsp_must_staple_critical", all);
	TLS_FEATURE_free(all);
	return ok;
}

static bool add_subtrees(struct csr *c, const char *arg, const char *what, STACK_OF(GENERAL_SUBTREE) * *ret)
{
	GENERAL_NAMES *names = x509_generals(c->m, mod_list(c->m, arg), what);
	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		GENERAL_SUBTREE *t = xneed(GENERAL_SUBTREE_new());
		GENERAL_NAME_free(t->base);
		t->base = xneed(GENERAL_NAME_dup(sk_GENERAL_NAME_value(names, i)));
		if (!*ret)
			*ret = xneed(sk_GENERAL_SUBTREE_new_null());
		sk_GENERAL_SUBTREE_push(*ret, t);
	}
	return names != NULL;
}

static bool add_name_constraints(struct csr *c)
{
	NAME_CONSTRAINTS *nc = xneed(NAME_CONSTRAINTS_new());
	bool ok = add_subtrees(c, "name_constraints_permitted", "name constraints permitted",
	                       &nc->permittedSubtrees) &&
	          add_subtrees(c, "name_constraints_excluded", "name constraints excluded",
	                       &nc->excludedSubtrees) &&
	          add(c, NID_name_constraints, "name_constraints_critical", nc);
	NAME_CONSTRAINTS_free(nc);
	return ok;
}

static ASN1_OCTET_STRING *octets(struct str s)
{
	ASN1_OCTET_STRING *o = xneed(ASN1_OCTET_STRING_new());
	ASN1_OCTET_STRING_set(o, (const unsigned char *)s.p, (int)s.n);
	return o;
}

static bool add_subject_key(struct csr *c)
{
	struct mod_ctx *m = c->m;
	struct str id;
	if (mod_bool(m, "create_subject_key_identifier"))
		id = x509_key_id(m, c->key);
	else if (!x509_unhex(m, mod_arg(m, "subject_key_identifier"), &id))
		return mod_fail(m, "Cannot parse subject_key_identifier: %s",
		                mod_arg(m, "subject_key_identifier"));
	ASN1_OCTET_STRING *o = octets(id);
	bool ok = add(c, NID_subject_key_identifier, NULL, o);
	ASN1_OCTET_STRING_free(o);
	return ok;
}

static bool add_authority_key(struct csr *c)
{
	struct mod_ctx *m = c->m;
	AUTHORITY_KEYID *aki = xneed(AUTHORITY_KEYID_new());
	const char *hex = mod_arg(m, "authority_key_identifier"),
	           *serial = mod_arg(m, "authority_cert_serial_number");
	struct str id;
	BIGNUM *n = NULL;
	bool ok = true;
	if (hex) {
		ok = x509_unhex(m, hex, &id) || mod_fail(m, "Cannot parse authority_key_identifier: %s", hex);
		aki->keyid = ok ? octets(id) : NULL;
	}
	if (ok && mod_has(m, "authority_cert_issuer")) {
		GENERAL_NAMES *names =
		        x509_generals(m, mod_list(m, "authority_cert_issuer"), "authority cert issuer");
		ok = names != NULL;
		if (ok)
			aki->issuer =
			        xneed(sk_GENERAL_NAME_deep_copy(names, GENERAL_NAME_dup, GENERAL_NAME_free));
	}
	if (ok && serial) {
		ok = (size_t)BN_dec2bn(&n, serial) == strlen(serial) ||
		     mod_fail(m, "authority_cert_serial_number is no number: %s", serial);
		aki->serial = ok ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
	}
	ok = ok && add(c, NID_authority_key_identifier, NULL, aki);
	BN_free(n);
	AUTHORITY_KEYID_free(aki);
	return ok;
}

/* ---- where revocations are published */

static GENERAL_NAMES *names_of(struct csr *c, const struct val *list, const char *what)
{
	GENERAL_NAMES *names = x509_generals(c->m, list, what);
	return names ? xneed(sk_GENERAL_NAME_deep_copy(names, GENERAL_NAME_dup, GENERAL_NAME_free)) : NULL;
}

/* Parts such as "CN=x" of one relative name. */
static STACK_OF(X509_NAME_ENTRY) * relative_name(struct csr *c, const struct val *list)
{
	struct val *pairs = val_list(c->m->a);
	VAL_EACH (i, list) {
		struct str value = val_get_str(val_at(list, i)), key = str_split(&value, '=');
		struct val *pair = val_list(c->m->a);
		val_push(pair, val_str(c->m->a, str_trim(key)));
		val_push(pair, val_str(c->m->a, str_trim(value)));
		val_push(pairs, pair);
	}
	X509_NAME *name = x509_name(c->m, pairs);
	STACK_OF(X509_NAME_ENTRY) *all = name ? xneed(sk_X509_NAME_ENTRY_new_null()) : NULL;
	for (int i = 0; all && i < X509_NAME_entry_count(name); i++) {
		X509_NAME_ENTRY *e = xneed(X509_NAME_ENTRY_dup(X509_NAME_get_entry(name, i)));
		sk_X509_NAME_ENTRY_push(all, e);
	}
	return all;
}

static ASN1_BIT_STRING *reasons(const struct val *list)
{
	static const char *const names[] = {"",
	                                    "key_compromise",
	                                    "ca_compromise",
	                                    "affiliation_changed",
	                                    "superseded",
	                                    "cessation_of_operation",
	                                    "certificate_hold",
	                                    "privilege_withdrawn",
	                                    "aa_compromise"};
	ASN1_BIT_STRING *bits = xneed(ASN1_BIT_STRING_new());
	VAL_EACH (i, list)
		for (int k = 1; k < 9; k++)
			if (strcmp(val_get_strz(val_at(list, i)), names[k]) == 0)
				ASN1_BIT_STRING_set_bit(bits, k, 1);
	return bits;
}

static bool fill_point(struct csr *c, const struct val *from, DIST_POINT *p)
{
	const struct val *full = val_get(from, "full_name"), *relative = val_get(from, "relative_name"),
	                 *issuer = val_get(from, "crl_issuer"), *why = val_get(from, "reasons");
	if (full || relative) {
		p->distpoint = xneed(DIST_POINT_NAME_new());
		p->distpoint->type = full ? 0 : 1;
		if (full)
			p->distpoint->name.fullname = names_of(c, full, "full name");
		else
			p->distpoint->name.relativename = relative_name(c, relative);
		if (full ? !p->distpoint->name.fullname : !p->distpoint->name.relativename)
			return false;
	}
	if (why)
		p->reasons = reasons(why);
	p->CRLissuer = issuer ? names_of(c, issuer, "CRL issuer") : NULL;
	return !issuer || p->CRLissuer;
}

static bool add_distribution_points(struct csr *c)
{
	struct mod_ctx *m = c->m;
	const struct val *list = mod_list(m, "crl_distribution_points");
	CRL_DIST_POINTS *all = xneed(CRL_DIST_POINTS_new());
	bool ok = true;
	for (size_t i = 0; ok && i < val_len(list); i++) {
		const struct val *from = val_at(list, i);
		DIST_POINT *p = xneed(DIST_POINT_new());
		sk_DIST_POINT_push(all, p);
		bool full = val_get(from, "full_name"), relative = val_get(from, "relative_name");
		if (full && relative)
			ok = mod_fail(m,
			              "parameters are mutually exclusive: full_name|relative_name found in "
			              "crl_distribution_points");
		else if (!full && !relative && !val_get(from, "crl_issuer"))
			ok = mod_fail(m, "one of the following is required: full_name, relative_name, "
			                 "crl_issuer found in crl_distribution_points");
		else
			ok = fill_point(c, from, p);
	}
	ok = ok && add(c, NID_crl_distribution_points, NULL, all);
	CRL_DIST_POINTS_free(all);
	return ok;
}

static void drop_exts(void *p)
{
	sk_X509_EXTENSION_pop_free(p, X509_EXTENSION_free);
}

static bool take_extensions(struct csr *c)
{
	struct mod_ctx *m = c->m;
	c->wanted = xneed(sk_X509_EXTENSION_new_null());
	arena_defer(m->a, drop_exts, c->wanted);
	if (val_len(c->alt_names)) {
		GENERAL_NAMES *names = x509_generals(m, c->alt_names, "Subject Alternative Name");
		if (!names || !add(c, NID_subject_alt_name, "subject_alt_name_critical", names))
			return false;
	}
	return (!val_len(mod_list(m, "key_usage")) || add_key_usage(c)) &&
	       (!val_len(mod_list(m, "extended_key_usage")) || add_extended_key_usage(c)) &&
	       (!val_len(mod_list(m, "basic_constraints")) || add_basic_constraints(c)) &&
	       (!mod_bool(m, "ocsp_must_staple") || add_must_staple(c)) &&
	       ((!val_len(mod_list(m, "name_constraints_permitted")) &&
	         !val_len(mod_list(m, "name_constraints_excluded"))) ||
	        add_name_constraints(c)) &&
	       ((!mod_bool(m, "create_subject_key_identifier") && !mod_has(m, "subject_key_identifier")) ||
	        add_subject_key(c)) &&
	       ((!mod_has(m, "authority_key_identifier") && !mod_has(m, "authority_cert_issuer") &&
	         !mod_has(m, "authority_cert_serial_number")) ||
	        add_authority_key(c)) &&
	       (!val_len(mod_list(m, "crl_distribution_points")) || add_distribution_points(c));
}

/* ---- whether what is there will do */

/* The members of a SEQUENCE, down to DEPTH, sorted and each once: what is a set to its readers. */
static struct str as_set(struct mod_ctx *m, struct str der, int depth)
{
	struct val *members = val_list(m->a);
	struct buf b = {0};
	const unsigned char *p = (const unsigned char *)der.p, *end = p + der.n;
	while (p < end) {
		const unsigned char *start = p;
		long len;
		int tag, cls, kind = ASN1_get_object(&p, &len, &tag, &cls, end - p);
		if (kind & 0x80)
			break;
		struct str inner = str_n((const char *)p, (size_t)len),
		           whole = str_n((const char *)start, (size_t)(p - start) + (size_t)len);
		if (depth > 0 && kind & V_ASN1_CONSTRUCTED)
			whole = as_set(m, inner, depth - 1);
		size_t at = 0;
		while (at < val_len(members) && str_cmp(val_get_str(val_at(members, at)), whole) < 0)
			at++;
		if (at == val_len(members) || !str_eq(val_get_str(val_at(members, at)), whole))
			val_insert(members, at, val_str(m->a, whole));
		p += len;
	}
	buf_printf(&b, "%d.", depth); /* what is nested is not taken for what is beside it */
	VAL_EACH (i, members) {
		buf_printf(&b, "%zu:", val_len(val_at(members, i)));
		buf_addstr(&b, val_get_str(val_at(members, i)));
	}
	struct str s = buf_take(&b, m->a);
	buf_free(&b);
	return s;
}

static struct str value_of(struct mod_ctx *m, X509_EXTENSION *e, int nid)
{
	const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(e);
	struct str der = str_n((const char *)ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data));
	int depth = nid == NID_name_constraints ? 2 : nid == NID_subject_alt_name || nid == NID_ext_key_usage;
	return depth ? as_set(m, der, depth) : der;
}

static bool same_extension(struct csr *c, const exts *now, int nid)
{
	int a = X509v3_get_ext_by_NID(now, nid, -1), b = X509v3_get_ext_by_NID(c->wanted, nid, -1);
	if (a < 0 || b < 0)
		return a == b;
	X509_EXTENSION *x = X509v3_get_ext(now, a), *y = X509v3_get_ext(c->wanted, b);
	return X509_EXTENSION_get_critical(x) == X509_EXTENSION_get_critical(y) &&
	       str_eq(value_of(c->m, x, nid), value_of(c->m, y, nid));
}

static bool within(const struct val *pair, const struct val *list)
{
	VAL_EACH (i, list)
		if (val_equal(val_at(list, i), pair))
			return true;
	return false;
}

/* The order of the fields counts only when it was asked for. */
static bool same_subject(struct csr *c)
{
	X509_NAME *name = x509_name(c->m, c->subject);
	if (!name)
		return false;
	struct val *want = x509_name_pairs(c->m, name, true),
	           *have = x509_name_pairs(c->m, X509_REQ_get_subject_name(c->req), true);
	if (val_len(mod_list(c->m, "subject_ordered")))
		return val_equal(want, have);
	bool same = true;
	VAL_EACH (i, want)
		same = same && within(val_at(want, i), have);
	VAL_EACH (i, have)
		same = same && within(val_at(have, i), want);
	return same;
}

static bool will_do(struct csr *c)
{
	static const int nids[] = {
	        NID_subject_alt_name,         NID_key_usage,        NID_ext_key_usage,
	        NID_basic_constraints,        NID_tlsfeature,       NID_subject_key_identifier,
	        NID_authority_key_identifier, NID_name_constraints, NID_crl_distribution_points};
	c->req = c->now.p ? x509_request(c->m, c->now) : NULL;
	if (!c->req || !same_subject(c))
		return false;
	exts *now = X509_REQ_get_extensions(c->req);
	bool same = true;
	for (size_t i = 0; same && i < sizeof(nids) / sizeof(*nids); i++)
		same = same_extension(c, now, nids[i]);
	drop_exts(now);
	EVP_PKEY *key = X509_REQ_get0_pubkey(c->req);
	same = same && key && EVP_PKEY_eq(key, c->key) == 1 && X509_REQ_verify(c->req, key) == 1;
	ERR_clear_error();
	return same;
}

/* ---- making one */

static bool make(struct csr *c)
{
	struct mod_ctx *m = c->m;
	static const char *const digests[] = {"sha256", "sha384", "sha512", "sha1", "md5"};
	int kind = EVP_PKEY_base_id(c->key);
	const EVP_MD *md = NULL;
	for (size_t i = 0; i < sizeof(digests) / sizeof(*digests); i++)
		if (mod_is(m, "digest", digests[i]))
			md = EVP_get_digestbyname(digests[i]);
	if (!md)
		return mod_fail(m, "Unsupported digest \"%s\"", mod_arg(m, "digest"));
	if (kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448)
		md = NULL;
	X509_NAME *name = x509_name(m, c->subject);
	if (!name)
		return false;
	c->req = x509_keep_request(m, xneed(X509_REQ_new()));
	bool ok = X509_REQ_set_version(c->req, X509_REQ_VERSION_1) == 1 &&
	          X509_REQ_set_subject_name(c->req, name) == 1 && X509_REQ_set_pubkey(c->req, c->key) == 1 &&
	          X509_REQ_add_extensions(c->req, c->wanted) == 1 && X509_REQ_sign(c->req, c->key, md) > 0;
	ERR_clear_error();
	return ok || mod_fail(m, "The request cannot be signed with this key");
}

static struct val *described(struct csr *c, struct str pem)
{
	if (!pem.p)
		return NULL;
	X509_REQ *req = x509_request(c->m, pem);
	return x509_described(c->m, req ? x509_request_info(c->m, req, true) : NULL, "can_parse_csr");
}

static void echo(struct csr *c)
{
	struct mod_ctx *m = c->m;
	static const char *const lists[] = {"name_constraints_permitted", "name_constraints_excluded"};
	x509_echo(m, "privatekey", "privatekey_path");
	mod_set(m, "subject", c->subject);
	mod_set(m, "subjectAltName", val_len(c->alt_names) ? val_copy(m->a, c->alt_names) : val_null());
	x509_echo(m, "keyUsage", "key_usage");
	x509_echo(m, "extendedKeyUsage", "extended_key_usage");
	x509_echo(m, "basicConstraints", "basic_constraints");
	mod_setb(m, "ocspMustStaple", mod_bool(m, "ocsp_must_staple"));
	for (size_t i = 0; i < 2; i++)
		mod_set(m, lists[i], val_copy(m->a, mod_list(m, lists[i])));
}

static bool prepare(struct csr *c)
{
	struct mod_ctx *m = c->m;
	if (mod_bool(m, "create_subject_key_identifier") && mod_has(m, "subject_key_identifier"))
		return mod_fail(
		        m, "subject_key_identifier cannot be specified if create_subject_key_identifier is "
		           "true");
	if (!take_subject(c))
		return false;
	take_alt_names(c);
	return true;
}

/* *PEM is the request as it shall be. */
static bool bring(struct csr *c, bool force, struct str *pem)
{
	struct mod_ctx *m = c->m;
	struct val *before = described(c, c->now);
	c->key = x509_key(m, mod_arg(m, "privatekey_path"), mod_arg(m, "privatekey_content"),
	                  mod_arg(m, "privatekey_passphrase"));
	if (!c->key || !take_extensions(c))
		return false;
	*pem = c->now;
	if (!will_do(c) || force) {
		if (m->failed)
			return false;
		mod_changed(m);
		if (!m->check && !make(c))
			return false;
		if (!m->check)
			*pem = x509_request_pem(m, c->req);
	}
	x509_diff(m, before, described(c, *pem));
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct csr c = {.m = m};
	struct str pem = {0};
	const char *path = mod_arg(m, "path");
	if (!x509_directory(m, path) || !prepare(&c) || !mod_read_maybe(m, path, &c.now))
		return false;
	echo(&c);
	mod_sets(m, "filename", path);
	if (mod_is(m, "state", "absent"))
		return x509_absent(m, path);
	if (!mod_has(m, "privatekey_path") && !mod_has(m, "privatekey_content"))
		return mod_fail(m, "state is present but any of the following are missing: privatekey_path, "
		                   "privatekey_content");
	if (!bring(&c, mod_bool(m, "force"), &pem))
		return false;
	if (mod_is_changed(m) && !m->check && !mod_write(m, path, pem))
		return false;
	if (mod_bool(m, "return_content"))
		mod_set(m, "csr", pem.p ? val_str(m->a, pem) : val_null());
	return (m->check && !c.now.p) || mod_file_args(m, path);
}

static bool run_pipe(struct mod_ctx *m)
{
	struct csr c = {.m = m, .now = mod_args(m, "content")};
	struct str pem = {0};
	if (!prepare(&c))
		return false;
	echo(&c);
	if (!bring(&c, false, &pem))
		return false;
	mod_set(m, "csr", pem.p ? val_str(m->a, pem) : val_null());
	return true;
}

#define CSR_ARGS                                                                                             \
	{"digest", MT_STR, .dflt = "sha256", .doc = "What it is signed with."},                              \
	        {"privatekey_path", MT_PATH, .doc = "The key's file."},                                      \
	        {"privatekey_content", MT_STR, MA_NO_LOG, .doc = "The key itself."},                         \
	        {"privatekey_passphrase", MT_STR, MA_NO_LOG, .doc = "What the key is encrypted with."},      \
	        {"version", MT_INT, .dflt = "1", .choices = "1", .doc = "The only one there is."},           \
	        {"subject", MT_DICT, .doc = "Its subject: fields, each a text or a list."},                  \
	        {"subject_ordered", MT_LIST, .elem = MT_DICT, .doc = "The same in an order that counts."},   \
	        {"country_name", MT_STR, .aliases = "C|countryName", .doc = "C of the subject."},            \
	        {"state_or_province_name", MT_STR, .aliases = "ST|stateOrProvinceName", .doc = "ST."},       \
	        {"locality_name", MT_STR, .aliases = "L|localityName", .doc = "L."},                         \
	        {"organization_name", MT_STR, .aliases = "O|organizationName", .doc = "O."},                 \
	        {"organizational_unit_name", MT_STR, .aliases = "OU|organizationalUnitName", .doc = "OU."},  \
	        {"common_name", MT_STR, .aliases = "CN|commonName", .doc = "CN."},                           \
	        {"email_address", MT_STR, .aliases = "E|emailAddress", .doc = "emailAddress."},              \
	        {"subject_alt_name", MT_LIST, .aliases = "subjectAltName",                                   \
	         .doc = "DNS:x, IP:x, email:x ..."},                                                         \
	        {"subject_alt_name_critical", MT_BOOL, .dflt = "false",                                      \
	         .aliases = "subjectAltName_critical", .doc = "Whoever does not know these refuses it."},    \
	        {"use_common_name_for_san", MT_BOOL, .dflt = "true", .aliases = "useCommonNameForSAN",       \
	         .doc = "Without any, the common name is one."},                                             \
	        {"key_usage", MT_LIST, .aliases = "keyUsage",                                                \
	         .doc = "digitalSignature, keyEncipherment ..."},                                            \
	        {"key_usage_critical", MT_BOOL, .dflt = "false", .aliases = "keyUsage_critical",             \
	         .doc = "Critical."},                                                                        \
	        {"extended_key_usage", MT_LIST, .aliases = "extKeyUsage|extendedKeyUsage",                   \
	         .doc = "serverAuth, clientAuth ..."},                                                       \
	        {"extended_key_usage_critical", MT_BOOL, .dflt = "false",                                    \
	         .aliases = "extKeyUsage_critical|extendedKeyUsage_critical", .doc = "Critical."},           \
	        {"basic_constraints", MT_LIST, .aliases = "basicConstraints", .doc = "CA:TRUE, pathlen:0."}, \
	        {"basic_constraints_critical", MT_BOOL, .dflt = "false",                                     \
	         .aliases = "basicConstraints_critical", .doc = "Critical."},                                \
	        {"ocsp_must_staple", MT_BOOL, .dflt = "false", .aliases = "ocspMustStaple",                  \
	         .doc = "Good only together with an OCSP answer."},                                          \
	        {"ocsp_must_staple_critical", MT_BOOL, .dflt = "false",                                      \
	         .aliases = "ocspMustStaple_critical", .doc = "Critical."},                                  \
	        {"name_constraints_permitted", MT_LIST, .doc = "Names a CA may sign for."},                  \
	        {"name_constraints_excluded", MT_LIST, .doc = "Names it may not sign for."},                 \
	        {"name_constraints_critical", MT_BOOL, .dflt = "false", .doc = "Critical."},                 \
	        {"create_subject_key_identifier", MT_BOOL, .dflt = "false",                                  \
	         .doc = "With an identifier made of the key."},                                              \
	        {"subject_key_identifier", MT_STR, .doc = "With this one, as 00:11:..."},                    \
	        {"authority_key_identifier", MT_STR, .doc = "The CA's."},                                    \
	        {"authority_cert_issuer", MT_LIST, .doc = "Who issued the CA's certificate."},               \
	        {"authority_cert_serial_number", MT_STR, .doc = "Its number."},                              \
	        {"crl_distribution_points", MT_LIST, .elem = MT_DICT, .sub = points,                         \
	         .doc = "Where revocations are published."},                                                 \
	{                                                                                                    \
		"select_crypto_backend", MT_STR, .dflt = "auto", .choices = "auto|cryptography",             \
		                                 .doc = "Accepted; it is OpenSSL."                           \
	}

static const struct mod_arg points[] = {
        {"full_name", MT_LIST, .doc = "Where, as URI:x or the like."},
        {"relative_name", MT_LIST, .doc = "Where, below the issuer's name."},
        {"crl_issuer", MT_LIST, .doc = "Who signs the list."},
        {"reasons", MT_LIST,
         .choices = "key_compromise|ca_compromise|affiliation_changed|superseded|cessation_of_operation|"
                    "certificate_hold|privilege_withdrawn|aa_compromise",
         .doc = "What it covers."},
        {NULL},
};

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .doc = "The file."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Make a new one each time."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"return_content", MT_BOOL, .dflt = "false", .doc = "Return the request itself."},
        CSR_ARGS,
        {NULL},
};

static const struct mod_arg pipe_args[] = {
        {"content", MT_STR, .doc = "The request that is there."},
        CSR_ARGS,
        {NULL},
};

#define CSR_RULES                                                                  \
	.required_together = "authority_cert_issuer|authority_cert_serial_number", \
	.mutually_exclusive = "privatekey_path|privatekey_content;subject|subject_ordered"

const struct module module_row_openssl_csr = {
        .name = "openssl_csr",
        .from = "community.crypto",
        .doc = "Keeps a request for a certificate.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        CSR_RULES,
        .run = run,
};

const struct module module_row_openssl_csr_pipe = {
        .name = "openssl_csr_pipe",
        .from = "community.crypto",
        .doc = "Makes a request for a certificate and returns it.",
        .args = pipe_args,
        .flags = MOD_CHECK | MOD_DIFF,
        CSR_RULES,
        .required_one_of = "privatekey_path|privatekey_content",
        .run = run_pipe,
};
