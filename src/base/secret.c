#include "base/secret.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/val.h"

struct visit {
	void (*each)(void *ctx, struct str part, enum secret_part kind);
	void *ctx;
	struct str whole;
};

static void visit(const struct visit *v, struct str part, enum secret_part kind)
{
	part = str_trim(part);
	if (part.n >= SECRET_MIN && (kind == SECRET_WHOLE || !str_eq(part, v->whole)))
		v->each(v->ctx, part, kind);
}

static void visit_members(const struct visit *v, const struct val *x)
{
	if (val_is_map(x)) {
		MAP_EACH (i, x)
			visit_members(v, val_value_at(x, i));
	} else if (val_is_list(x)) {
		VAL_EACH (i, x)
			visit_members(v, val_at(x, i));
	} else if (val_is_str(x) && val_len(x) >= SECRET_DERIVED_MIN) {
		struct str rest = val_get_str(x);

		visit(v, rest, SECRET_MEMBER);
		while (memchr(val_get_strz(x), '\n', val_len(x)) && rest.n)
			visit(v, str_split(&rest, '\n'), SECRET_LINE);
	}
}

static void visit_json(const struct visit *v)
{
	struct arena *a;
	struct err ignored = {0};
	struct val *x;

	if (!v->whole.n || !strchr("{[", v->whole.p[0]))
		return;
	a = arena_new(NULL);
	if (json_parse(a, v->whole, 0, &x, &ignored))
		visit_members(v, x);
	err_clear(&ignored);
	arena_free(a);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the two hex digits at S are, or -1. */
static int hex_byte(struct str s)
{
	if (s.n < 2 || hex_value(s.p[0]) < 0 || hex_value(s.p[1]) < 0)
		return -1;
	return hex_value(s.p[0]) * 16 + hex_value(s.p[1]);
}

static void unpercent(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		int byte = in.p[i] == '%' ? hex_byte(str_n(in.p + i + 1, in.n - i - 1)) : -1;

		buf_addc(out, byte >= 0 ? (char)byte : in.p[i]);
		i += byte >= 0 ? 2 : 0;
	}
}

/* SCHEME://USER:PASSWORD@HOST */
static void visit_url(const struct visit *v)
{
	ptrdiff_t at = str_find(v->whole, STR("://"), 0);
	struct str rest, colon;
	const char *end;
	struct buf plain = {0};

	if (at < 0)
		return;
	rest = str_n(v->whole.p + at + 3, v->whole.n - (size_t)at - 3);
	colon = str_split(&rest, '/');
	end = colon.n ? memrchr(colon.p, '@', colon.n) : NULL;
	if (!end)
		return;
	colon.n = (size_t)(end - colon.p);
	str_split(&colon, ':');
	if (!colon.p)
		return;
	visit(v, colon, SECRET_MEMBER);
	unpercent(colon, &plain);
	if (!str_eq(buf_str(&plain), colon))
		visit(v, buf_str(&plain), SECRET_MEMBER);
	buf_burn(&plain);
}

void secret_parts(struct str secret, void (*each)(void *ctx, struct str part, enum secret_part kind),
                  void *ctx)
{
	struct visit v = {each, ctx, str_trim(secret)};
	struct str rest = v.whole;

	visit(&v, v.whole, SECRET_WHOLE);
	while (v.whole.n && memchr(v.whole.p, '\n', v.whole.n) && rest.n)
		visit(&v, str_split(&rest, '\n'), SECRET_LINE);
	visit_url(&v);
	visit_json(&v);
}

void secret_base64(struct str secret, size_t shift, struct buf *out)
{
	static const char zeros[2];
	struct buf raw = {0}, text = {0};
	size_t skip = shift ? 4 : 0, whole = (shift + secret.n) / 3 * 4;

	buf_add(&raw, zeros, shift);
	buf_addstr(&raw, secret);
	buf_base64(&text, buf_str(&raw));
	if (whole > skip)
		buf_add(out, text.p + skip, whole - skip);
	buf_burn(&raw);
	buf_burn(&text);
}

/* ---- one written as another --------------------------------------------------------------------------- */

/* Each of these says how many bytes at K of T stand for the byte C; 0: none. */

static size_t backslashes(struct str t, size_t k)
{
	size_t n = 0;

	while (k + n < t.n && t.p[k + n] == '\\')
		n++;
	return n;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Itself; with any number of backslashes before it where that can be. */
static size_t as_itself(char c, struct str t, size_t k)
{
	size_t n = backslashes(t, k);

	if (is_alnum(c) || c == '\\' || (unsigned char)c >= 0x80)
		n = 0;
	return k + n < t.n && t.p[k + n] == c ? n + 1 : 0;
}

/* %0A, and %250A where a URL went into a URL. */
static size_t as_percent(char c, struct str t, size_t k)
{
	size_t i = k + 1;

	if (t.p[k] != '%')
		return c == ' ' && t.p[k] == '+' ? 1 : 0;
	while (i + 1 < t.n && t.p[i] == '2' && t.p[i + 1] == '5')
		i += 2;
	return i < t.n && hex_byte(str_n(t.p + i, t.n - i)) == (unsigned char)c ? i + 2 - k : 0;
}

static size_t as_named_escape(char c, struct str t, size_t k)
{
	static const char names[] = "\nn\rr\tt\bb\ff\vv";
	const char *name = memchr(names, c, sizeof(names) - 1);
	size_t n = backslashes(t, k);

	return c && name && n && k + n < t.n && t.p[k + n] == name[1] ? n + 1 : 0;
}

static size_t as_hex_escape(char c, struct str t, size_t k)
{
	size_t n = backslashes(t, k);
	struct str rest = k + n < t.n ? str_n(t.p + k + n, t.n - k - n) : STR("");

	if (!n)
		return 0;
	if (str_starts(rest, "x") && hex_byte(str_n(rest.p + 1, rest.n - 1)) == (unsigned char)c)
		return n + 3;
	if (str_starts(rest, "u00") && hex_byte(str_n(rest.p + 3, rest.n - 3)) == (unsigned char)c)
		return n + 5;
	return 0;
}

static size_t as_entity(char c, struct str t, size_t k)
{
	static const struct {
		char c;
		const char *text;
	} entities[] = {{'&', "&amp;"},  {'<', "&lt;"},   {'>', "&gt;"},    {'"', "&quot;"}, {'"', "&#34;"},
	                {'"', "&#x22;"}, {'\'', "&#39;"}, {'\'', "&#x27;"}, {'\'', "&apos;"}};

	for (size_t i = 0; t.p[k] == '&' && i < sizeof(entities) / sizeof(*entities); i++) {
		if (entities[i].c == c && str_starts(str_n(t.p + k, t.n - k), entities[i].text))
			return strlen(entities[i].text);
	}
	return 0;
}

/* A line's end or a blank, as the space around text that was folded and indented anew. */
static size_t as_folded(char c, struct str t, size_t k)
{
	size_t n = 0;
	bool line = false;

	if (c != '\n' && c != ' ')
		return 0;
	while (k + n < t.n && strchr(" \t\r\n", t.p[k + n]) && t.p[k + n]) {
		line |= t.p[k + n] == '\n';
		n++;
	}
	return line ? n : 0;
}

/* A character beyond ASCII as \u00e9, or as the two of a pair; *TOOK: its bytes in the secret. */
static size_t as_unicode_escape(struct str secret, struct str t, size_t k, size_t *took)
{
	size_t n = backslashes(t, k);
	uint32_t want, got = 0;
	size_t bytes = str_utf8(secret, &want), end = k + n;

	for (int half = 0; half < 2; half++) {
		struct str s = end < t.n ? str_n(t.p + end, t.n - end) : STR("");
		int high = s.n >= 5 && s.p[0] == 'u' ? hex_byte(str_n(s.p + 1, 2)) : -1;
		int low = high >= 0 ? hex_byte(str_n(s.p + 3, 2)) : -1;

		if (!n || low < 0)
			return 0;
		uint32_t unit = (uint32_t)(high << 8 | low);

		end += 5;
		got = half ? 0x10000 + ((got - 0xd800) << 10) + (unit - 0xdc00) : unit;
		if (half || got < 0xd800 || got > 0xdbff)
			break;
		n = backslashes(t, end);
		end += n;
	}
	if (got != want)
		return 0;
	*took = bytes;
	return end - k;
}

/* A quote within quotes: '' of YAML and SQL, '\'' and '"'"' of a shell, these again within JSON. */
static size_t as_shell_quote(struct str t, size_t k, unsigned quotes)
{
	size_t i = k;

	for (unsigned seen = 0; seen < quotes; i++) {
		while (i < t.n && (t.p[i] == '\\' || t.p[i] == '"') && seen)
			i++;
		if (i >= t.n || t.p[i] != '\'')
			return 0;
		seen++;
	}
	return i - k;
}

static ptrdiff_t match(struct str secret, struct str t, unsigned *tries);

/* The match when the secret's first byte is N bytes of T, or -1. */
static ptrdiff_t match_after(struct str secret, struct str t, size_t n, unsigned *tries)
{
	ptrdiff_t rest;

	if (!n || !*tries)
		return -1;
	(*tries)--;
	rest = match(str_n(secret.p + 1, secret.n - 1), str_n(t.p + n, t.n - n), tries);
	return rest < 0 ? -1 : rest + (ptrdiff_t)n;
}

static size_t begins(struct str t, const char *z)
{
	return str_starts(t, z) ? strlen(z) : 0;
}

/* Bytes that begin their own escapes: what follows tells which it was. The longest first. */
static ptrdiff_t match_ambiguous(struct str secret, struct str t, unsigned *tries)
{
	size_t ways[2] = {0};
	ptrdiff_t m = -1;

	if (secret.p[0] == '\'') {
		ways[0] = as_shell_quote(t, 0, 3);
		ways[1] = as_shell_quote(t, 0, 2);
	} else if (secret.p[0] == '%') {
		ways[0] = begins(t, "%2525");
		ways[1] = begins(t, "%25");
	} else if (secret.p[0] == '&') {
		ways[0] = as_entity('&', t, 0);
	}
	for (size_t i = 0; m < 0 && i < sizeof(ways) / sizeof(*ways); i++)
		m = match_after(secret, t, ways[i], tries);
	return m;
}

static size_t blanks(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] && strchr(" \t\r\n", s.p[n]))
		n++;
	return n;
}

/*
 * A run of backslashes is written as a longer one. What follows it may be written with a backslash of its
 * own, which is not the run's.
 */
static size_t as_backslashes(struct str secret, struct str t, size_t k, size_t *took)
{
	size_t n = backslashes(t, k);
	unsigned char next;

	*took = backslashes(secret, 0);
	next = secret.n > *took ? (unsigned char)secret.p[*took] : 'x';
	if (n < *took)
		return 0;
	return n > *took && (next < 0x20 || next >= 0x80) ? n - 1 : n;
}

static size_t one(struct str secret, struct str t, size_t k, size_t *took)
{
	static size_t (*const ways[])(char c, struct str t, size_t k) = {
	        as_itself, as_percent, as_named_escape, as_hex_escape, as_entity};
	size_t n = as_folded(secret.p[0], t, k);

	if (n) {
		*took = blanks(secret);
		return n;
	}
	if (secret.p[0] == '\\' && (n = as_backslashes(secret, t, k, took)))
		return n;
	*took = 1;
	for (size_t i = 0; !n && i < sizeof(ways) / sizeof(*ways); i++)
		n = ways[i](secret.p[0], t, k);
	return n || !(secret.p[0] & 0x80) ? n : as_unicode_escape(secret, t, k, took);
}

static ptrdiff_t match(struct str secret, struct str t, unsigned *tries)
{
	size_t k = 0, took;

	while (secret.n) {
		if (k >= t.n)
			return -1;
		ptrdiff_t m = match_ambiguous(secret, str_n(t.p + k, t.n - k), tries);

		if (m >= 0)
			return (ptrdiff_t)k + m;
		size_t n = one(secret, t, k, &took);

		if (!n)
			return -1;
		k += n;
		secret = str_n(secret.p + took, secret.n - took);
	}
	return (ptrdiff_t)k;
}

ptrdiff_t secret_match(struct str secret, struct str text)
{
	unsigned tries = 64; /* a secret of quotes alone has that many ways to go wrong */

	return match(secret, text, &tries);
}

bool secret_may_begin(struct str secret, char c)
{
	if (!secret.n)
		return false;
	return secret.p[0] == c || (!is_alnum(secret.p[0]) && strchr("\\%&+", c) && c);
}
