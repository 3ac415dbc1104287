/* filters_ansible - Ansible's filters over text: JSON, quoting, comments, hashes, URLs. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include "base/json.h"
#include "jinja/hash.h"
#include <stdio.h>

static bool ret_buf(struct jinja_call *c, struct buf *b, struct val **ret, struct err *err)
{
	if (b->full) {
		buf_free(b);
		return jinja_fail(err, "the text is larger than %zu bytes", JINJA_MAX_OUT);
	}
	*ret = buf_val(b, c->a);
	return true;
}

/* ---- JSON */

static bool no_undef(const struct val *v, struct err *err)
{
	const struct val *u = val_deep_undef(v);

	return !u || jinja_fail(err, "%s", val_undef_msg(u));
}

static bool f_to_json(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool nice = *(const char *)c->user == 'n';
	struct val *v[11];
	struct json_style st = {.indent = -1, .ascii = true};
	struct buf b = {.max = JINJA_MAX_OUT};
	int64_t indent;

	/* Of json.dumps' other arguments these make no difference to the values there are here. */
	if (!jinja_args(c, nice ? "to_nice_json" : "to_json",
	                "a indent= sort_keys= ensure_ascii= separators= vault_to_text= preprocess_unsafe= "
	                "default= skipkeys= allow_nan= check_circular=",
	                v, err) ||
	    !no_undef(v[0], err) || !arg_int(v[1], nice ? 4 : -1, &indent, err))
		return false;
	st.indent = (int)(indent > 200 ? 200 : indent);
	st.sort_keys = arg_bool(v[2], nice);
	st.ascii = arg_bool(v[3], true);
	if (v[4] && val_is_list(v[4]) && val_len(v[4]) == 2 && val_is_str(val_at(v[4], 0)))
		st.compact = str_eqc(val_get_str(val_at(v[4], 0)), ",");
	json_dump(v[0], st, &b);
	return ret_buf(c, &b, ret, err);
}

static bool f_from_json(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct err why = {0};
	struct str s;

	if (!jinja_args(c, "from_json", "s profile=", v, err))
		return false;
	if (!val_is_str(v[0]) && !val_is_undef(v[0]))
		return jinja_fail(err, "the JSON object must be str, bytes or bytearray, not %s",
		                  val_type_name(v[0]));
	if (!arg_text(c, v[0], &s, err))
		return false;
	if (json_parse_last(c->a, s, ret, &why))
		return true;
	jinja_fail(err, "from_json: %s", err_msg(&why));
	err_clear(&why);
	return false;
}

/* ---- quoting and comments */

static bool f_quote(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s = STR("");
	struct buf b = {.max = JINJA_MAX_OUT};
	bool plain;

	if (!jinja_args(c, "quote", "a", v, err) || (!val_is_null(v[0]) && !arg_text(c, v[0], &s, err)))
		return false;
	plain = s.n > 0;
	for (size_t i = 0; i < s.n; i++)
		plain = plain && s.p[i] &&
		        ((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z'
		                 ? true
		                 : strchr("0123456789@%+=:,./-_", s.p[i]) != NULL);
	if (plain) {
		*ret = val_str(c->a, s);
		return true;
	}
	buf_addc(&b, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'')
			buf_adds(&b, "'\"'\"'");
		else
			buf_addc(&b, s.p[i]);
	}
	buf_addc(&b, '\'');
	return ret_buf(c, &b, ret, err);
}

struct comment_style {
	const char *name, *beginning, *decoration, *end;
};

static const struct comment_style styles[] = {
        {"plain", "", "# ", ""},        {"erlang", "", "% ", ""},      {"c", "", "// ", ""},
        {"cblock", "/*", " * ", " */"}, {"xml", "<!--", " - ", "-->"},
};

static void add_times(struct buf *b, struct str s, int64_t n)
{
	while (n-- > 0 && !b->full)
		buf_addstr(b, s);
}

/* TEXT with DECO before each line; a line that would be DECO alone loses DECO's trailing blanks. */
static void add_decorated(struct buf *b, struct str text, struct str newline, struct str deco)
{
	struct str bare = text_strip(deco, NULL, false, true);

	for (;;) {
		ptrdiff_t at = newline.n ? str_find(text, newline, 0) : -1;
		struct str line = at < 0 ? text : str_n(text.p, (size_t)at);

		buf_addstr(b, line.n || at < 0 ? deco : bare);
		buf_addstr(b, line);
		if (at < 0)
			return;
		buf_addstr(b, newline);
		text = str_n(text.p + at + newline.n, text.n - (size_t)at - newline.n);
	}
}

static bool f_comment(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[10];
	struct str text, name, newline, beginning, prefix, deco, postfix, end, own;
	const struct comment_style *st = NULL;
	struct buf b = {.max = JINJA_MAX_OUT};
	int64_t npre, npost;

	if (!jinja_args(c, "comment",
	                "text style= newline= beginning= prefix= prefix_count= decoration= postfix= "
	                "postfix_count= end=",
	                v, err))
		return false;
	if (!val_is_str(v[0]) && !val_is_undef(v[0]))
		return jinja_fail(err, "'%s' object has no attribute 'replace'", val_type_name(v[0]));
	if (!arg_text(c, v[0], &text, err) || !arg_str(c, v[1], STR("plain"), &name, err))
		return false;
	for (size_t i = 0; i < sizeof(styles) / sizeof(*styles); i++)
		if (str_eqc(name, styles[i].name))
			st = &styles[i];
	if (!st)
		return jinja_fail(err, "comment: unknown style '%.*s'", STR_FMT(name));
	if (!arg_str(c, v[6], str_c(st->decoration), &deco, err))
		return false;
	own = text_strip(deco, NULL, false, true);
	if (!arg_str(c, v[2], STR("\n"), &newline, err) ||
	    !arg_str(c, v[3], str_c(st->beginning), &beginning, err) ||
	    !arg_str(c, v[4], own, &prefix, err) || !arg_int(v[5], 1, &npre, err) ||
	    !arg_str(c, v[7], own, &postfix, err) || !arg_int(v[8], 1, &npost, err) ||
	    !arg_str(c, v[9], str_c(st->end), &end, err))
		return false;
	if (beginning.n) {
		buf_addstr(&b, beginning);
		buf_addstr(&b, newline);
	}
	for (int64_t i = 0; prefix.n && i < npre && !b.full; i++) {
		if (!str_eq(prefix, newline))
			buf_addstr(&b, prefix);
		buf_addstr(&b, newline);
	}
	add_decorated(&b, text, newline, deco);
	for (int64_t i = 0; i < npost && !b.full; i++) {
		buf_addstr(&b, newline);
		add_times(&b, postfix, 1);
	}
	if (end.n) {
		buf_addstr(&b, newline);
		buf_addstr(&b, end);
	}
	return ret_buf(c, &b, ret, err);
}

/* ---- encodings and digests */

enum encoding { ENC_UTF8, ENC_ASCII, ENC_LATIN1, ENC_UTF16, ENC_UTF16LE, ENC_UTF16BE };

/* Of Python's names for them, those that are written. */
static bool encoding_arg(struct jinja_call *c, const struct val *v, enum encoding *ret, struct err *err)
{
	static const struct {
		const char *name;
		enum encoding is;
	} names[] = {
	        {"utf8", ENC_UTF8},       {"u8", ENC_UTF8},       {"ascii", ENC_ASCII},
	        {"usascii", ENC_ASCII},   {"latin1", ENC_LATIN1}, {"iso88591", ENC_LATIN1},
	        {"l1", ENC_LATIN1},       {"utf16", ENC_UTF16},   {"utf16le", ENC_UTF16LE},
	        {"utf16be", ENC_UTF16BE},
	};
	struct str s;
	char plain[16];
	size_t n = 0;

	if (!arg_str(c, v, STR("utf-8"), &s, err))
		return false;
	for (size_t i = 0; i < s.n && n < sizeof(plain) - 1; i++)
		if (s.p[i] != '-' && s.p[i] != '_' && s.p[i] != ' ')
			plain[n++] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 32 : s.p[i]);
	plain[n] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		*ret = names[i].is;
		if (!strcmp(plain, names[i].name))
			return true;
	}
	return jinja_fail(err, "unknown encoding: %.*s", STR_FMT(s));
}

static void add_unit(struct buf *b, enum encoding e, unsigned unit)
{
	bool big = e == ENC_UTF16BE;

	buf_addc(b, (char)(big ? unit >> 8 : unit & 255));
	buf_addc(b, (char)(big ? unit & 255 : unit >> 8));
}

static bool encode(struct str s, enum encoding e, struct buf *b, struct err *err)
{
	uint32_t most = e == ENC_ASCII ? 0x7f : e == ENC_LATIN1 ? 0xff : 0x10ffff, cp;

	if (e == ENC_UTF8) {
		buf_addstr(b, s);
		return true;
	}
	if (e == ENC_UTF16)
		add_unit(b, e, 0xfeff);
	for (size_t n; s.n; s = str_n(s.p + n, s.n - n)) {
		n = str_utf8(s, &cp);
		if (cp > most)
			return jinja_fail(err,
			                  "'%s' codec can't encode character '\\x%02x': ordinal not in "
			                  "range(%u)",
			                  e == ENC_ASCII ? "ascii" : "latin-1", cp, most + 1);
		if (e == ENC_ASCII || e == ENC_LATIN1) {
			buf_addc(b, (char)cp);
		} else if (cp > 0xffff) {
			add_unit(b, e, 0xd800 + ((cp - 0x10000) >> 10));
			add_unit(b, e, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		} else {
			add_unit(b, e, cp);
		}
	}
	return true;
}

static unsigned unit_at(struct str s, size_t i, enum encoding e)
{
	unsigned x = (unsigned char)s.p[i], y = (unsigned char)s.p[i + 1];

	return e == ENC_UTF16BE ? x << 8 | y : y << 8 | x;
}

static bool decode_utf16(struct str s, enum encoding e, struct buf *b, struct err *err)
{
	size_t i = 0;

	if (e == ENC_UTF16 && s.n > 1 && (unit_at(s, 0, e) == 0xfeff || unit_at(s, 0, e) == 0xfffe)) {
		e = unit_at(s, 0, e) == 0xfeff ? ENC_UTF16LE : ENC_UTF16BE;
		i = 2;
	}
	for (; i + 1 < s.n; i += 2) {
		uint32_t u = unit_at(s, i, e), low = i + 3 < s.n ? unit_at(s, i + 2, e) : 0;

		if (u >= 0xd800 && u < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		} else if (u >= 0xd800 && u < 0xe000) {
			return jinja_fail(err, "'utf-16' codec can't decode bytes: illegal UTF-16 surrogate");
		}
		buf_utf8(b, u);
	}
	return i == s.n || jinja_fail(err,
	                              "'utf-16' codec can't decode byte 0x%02x in position %zu: "
	                              "truncated data",
	                              (unsigned)(unsigned char)s.p[i], i);
}

static bool decode(struct str s, enum encoding e, struct buf *b, struct err *err)
{
	if (e >= ENC_UTF16)
		return decode_utf16(s, e, b, err);
	if (e != ENC_LATIN1) {
		buf_addstr(b, s);
		return true;
	}
	for (size_t i = 0; i < s.n; i++)
		buf_utf8(b, (unsigned char)s.p[i]);
	return true;
}

/* As Python reads base64: what does not belong is passed over, and what follows the padding is not read. */
static bool unbase64(struct str s, bool urlsafe, struct buf *out, struct err *err)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned quad = 0, pads = 0, left = 0;
	size_t data = 0;

	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i] == '-' && urlsafe ? '+' : s.p[i] == '_' && urlsafe ? '/' : s.p[i];
		const char *at = ch ? strchr(digits, ch) : NULL;
		unsigned d = at ? (unsigned)(at - digits) : 0;

		if (ch == '=' && quad >= 2 && quad + ++pads >= 4)
			return true;
		if (!at)
			continue;
		pads = 0;
		data++;
		if (quad)
			buf_addc(out, (char)(left << 2 * quad | d >> (6 - 2 * quad)));
		left = d & (0xffu >> 2 * (quad + 1));
		quad = (quad + 1) % 4;
	}
	if (quad == 1)
		return jinja_fail(err,
		                  "Invalid base64-encoded string: number of data characters (%zu) "
		                  "cannot be 1 more than a multiple of 4",
		                  data);
	return quad == 0 || jinja_fail(err, "Incorrect padding");
}

static bool f_b64encode(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	struct str s;
	struct buf raw = {.max = JINJA_MAX_OUT}, b = {.max = JINJA_MAX_OUT};
	enum encoding e;
	bool ok;

	if (!jinja_args(c, "b64encode", "string encoding= urlsafe=", v, err) || !arg_text(c, v[0], &s, err) ||
	    !encoding_arg(c, v[1], &e, err))
		return false;
	ok = encode(s, e, &raw, err);
	if (ok)
		buf_base64(&b, buf_str(&raw));
	buf_free(&raw);
	if (!ok)
		return false;
	for (size_t i = 0; arg_bool(v[2], false) && i < b.n; i++)
		b.p[i] = b.p[i] == '+' ? '-' : b.p[i] == '/' ? '_' : b.p[i];
	return ret_buf(c, &b, ret, err);
}

static bool f_b64decode(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	struct str s;
	struct buf raw = {.max = JINJA_MAX_OUT}, b = {.max = JINJA_MAX_OUT};
	enum encoding e;
	bool ok;

	if (!jinja_args(c, "b64decode", "string encoding= urlsafe=", v, err) || !arg_text(c, v[0], &s, err) ||
	    !encoding_arg(c, v[1], &e, err))
		return false;
	ok = unbase64(s, arg_bool(v[2], false), &raw, err) && decode(buf_str(&raw), e, &b, err);
	buf_free(&raw);
	if (ok)
		return ret_buf(c, &b, ret, err);
	buf_free(&b);
	return false;
}

static bool digest(struct jinja_call *c, struct str algorithm, struct str data, struct val **ret,
                   struct err *err)
{
	unsigned char out[HASH_MAX];
	size_t n = hash_bytes(algorithm, data, out);
	struct buf b = {0};

	if (!n)
		return jinja_fail(err, "unsupported hash type %.*s", STR_FMT(algorithm));
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%02x", out[i]);
	return ret_buf(c, &b, ret, err);
}

static bool f_hash(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *fixed = c->user;
	struct val *v[2] = {NULL, NULL};
	struct str s, type;

	if (!jinja_args(c, fixed ? fixed : "hash", fixed ? "data" : "data hashtype=", v, err) ||
	    !arg_text(c, v[0], &s, err) || !arg_str(c, v[1], str_c(fixed ? fixed : "sha1"), &type, err))
		return false;
	return digest(c, type, s, ret, err);
}

static bool hex_digit(char ch, unsigned *ret)
{
	if (ch >= '0' && ch <= '9')
		*ret = (unsigned)(ch - '0');
	else if ((ch | 32) >= 'a' && (ch | 32) <= 'f')
		*ret = (unsigned)((ch | 32) - 'a' + 10);
	else
		return false;
	return true;
}

static bool parse_uuid(struct str s, unsigned char out[16])
{
	size_t n = 0;

	if (str_starts(s, "urn:"))
		s = str_n(s.p + 4, s.n - 4);
	if (str_starts(s, "uuid:"))
		s = str_n(s.p + 5, s.n - 5);
	for (size_t i = 0; i < s.n; i++) {
		unsigned d;

		if (s.p[i] == '-' || s.p[i] == '{' || s.p[i] == '}')
			continue;
		if (n >= 32 || !hex_digit(s.p[i], &d))
			return false;
		out[n / 2] = (unsigned char)(n % 2 ? out[n / 2] << 4 | (int)d : (int)d);
		n++;
	}
	return n == 32;
}

/* A version 5 UUID, in Ansible's own name space. */
static bool f_to_uuid(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s, ns;
	unsigned char id[16], out[HASH_MAX];
	struct buf in = {0}, b = {0};

	if (!jinja_args(c, "to_uuid", "string namespace=", v, err) || !arg_text(c, v[0], &s, err) ||
	    !arg_str(c, v[1], STR("361E6D51-FAEC-444A-9079-341386DA8E2E"), &ns, err))
		return false;
	if (!parse_uuid(ns, id))
		return jinja_fail(
		        err, "Invalid value '%.*s' for 'namespace': badly formed hexadecimal UUID string",
		        STR_FMT(ns));
	buf_add(&in, id, sizeof(id));
	buf_addstr(&in, s);
	hash_bytes(STR("sha1"), buf_str(&in), out);
	buf_free(&in);
	out[6] = (unsigned char)((out[6] & 0x0f) | 0x50);
	out[8] = (unsigned char)((out[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < 16; i++)
		buf_printf(&b, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", out[i]);
	return ret_buf(c, &b, ret, err);
}

/* ---- URLs */

struct url {
	struct str scheme, netloc, path, query, fragment, user, pass, host, port;
	bool has_user, has_pass, has_host, has_port;
};

static struct url parse_url(struct str s)
{
	struct url u = {.scheme = STR(""), .netloc = STR(""), .query = STR(""), .fragment = STR("")};
	size_t i = 0;
	struct str auth;
	ptrdiff_t at;

	while (i < s.n && (((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z') ||
	                   (i && s.p[i] && strchr("0123456789+-.", s.p[i]))))
		i++;
	if (i && i < s.n && s.p[i] == ':') {
		u.scheme = str_n(s.p, i);
		s = str_n(s.p + i + 1, s.n - i - 1);
	}
	if (str_starts(s, "//")) {
		for (i = 2; i < s.n && !strchr("/?#", s.p[i] ? s.p[i] : 'x'); i++)
			;
		u.netloc = str_n(s.p + 2, i - 2);
		s = str_n(s.p + i, s.n - i);
	}
	if ((at = str_find(s, STR("#"), 0)) >= 0) {
		u.fragment = str_n(s.p + at + 1, s.n - (size_t)at - 1);
		s.n = (size_t)at;
	}
	if ((at = str_find(s, STR("?"), 0)) >= 0) {
		u.query = str_n(s.p + at + 1, s.n - (size_t)at - 1);
		s.n = (size_t)at;
	}
	u.path = s;
	auth = u.netloc;
	for (i = auth.n; i > 0 && auth.p[i - 1] != '@'; i--)
		;
	if (i) {
		u.user = str_n(auth.p, i - 1);
		u.has_user = true;
		if ((at = str_find(u.user, STR(":"), 0)) >= 0) {
			u.pass = str_n(u.user.p + at + 1, u.user.n - (size_t)at - 1);
			u.has_pass = true;
			u.user.n = (size_t)at;
		}
		auth = str_n(auth.p + i, auth.n - i);
	}
	at = auth.n && auth.p[0] == '[' ? str_find(auth, STR("]"), 0) : -1;
	u.host = at > 0 ? str_n(auth.p + 1, (size_t)at - 1) : auth;
	auth = at > 0 ? str_n(auth.p + at + 1, auth.n - (size_t)at - 1) : auth;
	if ((at = str_find(auth, STR(":"), 0)) >= 0) {
		u.port = str_n(auth.p + at + 1, auth.n - (size_t)at - 1);
		u.has_port = u.port.n > 0;
		if (u.host.p == auth.p)
			u.host.n = (size_t)at;
	}
	u.has_host = u.host.n > 0;
	return u;
}

static struct val *lower_val(struct jinja_call *c, struct str s)
{
	struct buf b = {0};

	text_case(s, CASE_LOWER, &b);
	return b.p ? buf_val(&b, c->a) : val_str(c->a, STR(""));
}

static bool f_urlsplit(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *m = val_map(c->a);
	struct str s, query;
	struct buf clean = {0};
	struct url u;
	int64_t port = 0;

	if (!jinja_args(c, "urlsplit", "value query=", v, err) || !arg_text(c, v[0], &s, err) ||
	    !arg_str(c, v[1], STR(""), &query, err))
		return false;
	/* Blanks and controls before it, and line ends and tabs within, are no part of a URL. */
	while (s.n && (unsigned char)*s.p <= ' ')
		s = str_n(s.p + 1, s.n - 1);
	for (size_t i = 0; i < s.n; i++)
		if (!memchr("\t\r\n", s.p[i], 3))
			buf_addc(&clean, s.p[i]);
	u = parse_url(buf_take(&clean, c->a));
	buf_free(&clean);
	if (u.has_port && !str_int(u.port, &port))
		return jinja_fail(err, "urlsplit: the port '%.*s' is no number", STR_FMT(u.port));
	if (u.has_port && (port < 0 || port > 65535))
		return jinja_fail(err, "Port out of range 0-65535");
	val_set(m, "fragment", val_str(c->a, u.fragment));
	val_set(m, "hostname", u.has_host ? lower_val(c, u.host) : val_null());
	val_set(m, "netloc", val_str(c->a, u.netloc));
	val_set(m, "password", u.has_pass ? val_str(c->a, u.pass) : val_null());
	val_set(m, "path", val_str(c->a, u.path));
	val_set(m, "port", u.has_port ? val_int(c->a, port) : val_null());
	val_set(m, "query", val_str(c->a, u.query));
	val_set(m, "scheme", lower_val(c, u.scheme));
	val_set(m, "username", u.has_user ? val_str(c->a, u.user) : val_null());
	*ret = query.n ? val_gets(m, query) : m;
	if (!*ret)
		return jinja_fail(err, "urlsplit: unknown URL component: %.*s", STR_FMT(query));
	return true;
}

static bool f_urldecode(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;
	struct buf b = {.max = JINJA_MAX_OUT};

	if (!jinja_args(c, "urldecode", "string", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned hi, lo;

		if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1], &hi) &&
		    hex_digit(s.p[i + 2], &lo)) {
			buf_addc(&b, (char)(hi << 4 | lo));
			i += 2;
		} else {
			buf_addc(&b, s.p[i] == '+' ? ' ' : s.p[i]);
		}
	}
	return ret_buf(c, &b, ret, err);
}

static bool f_split(struct jinja_call *c, struct val **ret, struct err *err)
{
	const struct jinja_func *m = py_method(val_str(c->a, STR("")), STR("split"));
	struct val *self = val_at(c->args, 0);

	if (!self || !val_is_str(self))
		return jinja_fail(err, "'%s' object has no attribute 'split'",
		                  self ? val_type_name(self) : "NoneType");
	return jinja_call_row(c->ctx, c->a, m, c->args, c->kwargs, ret, err);
}

const struct jinja_func jinja_filters_ansible[] = {
        {"b64decode", f_b64decode, "Text from base64.", 0, NULL},
        {"b64encode", f_b64encode, "Base64 of the text.", 0, NULL},
        {"checksum", f_hash, "The SHA-1 digest of the text.", 0, "sha1"},
        {"comment", f_comment,
         "Text as a comment: plain, c, cblock, erlang, xml, or with decorations of one's own.", 0, NULL},
        {"from_json", f_from_json, "The value JSON text stands for.", 0, NULL},
        {"hash", f_hash, "A digest of the text: md5, sha1 (default), sha224, sha256, sha384, sha512.", 0,
         NULL},
        {"md5", f_hash, "The MD5 digest of the text.", 0, "md5"},
        {"quote", f_quote, "Quoted for a POSIX shell.", 0, NULL},
        {"sha1", f_hash, "The SHA-1 digest of the text.", 0, "sha1"},
        {"split", f_split, "A list of the parts between separators (white space by default).", 0, NULL},
        {"to_json", f_to_json, "JSON on one line.", JINJA_ALLOW_UNDEF | JINJA_TEXT, "j"},
        {"to_nice_json", f_to_json, "JSON with indentation and sorted keys.", JINJA_ALLOW_UNDEF | JINJA_TEXT,
         "n"},
        {"to_uuid", f_to_uuid, "A name-based UUID.", 0, NULL},
        {"urldecode", f_urldecode, "Text from percent-encoding.", 0, NULL},
        {"urlsplit", f_urlsplit, "The parts of a URL, or one of them.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
