#include "base/val_big.h"
#include "base/json.h"

#include <jansson.h>
#include <math.h>

/*
 * JSON is Unicode, what a program prints need not be. With "bytes", a byte that is not UTF-8 becomes the
 * character BYTE_MARK + byte of the last private plane; a character of that range itself goes as its bytes.
 */
#define BYTE_MARK 0x10f700u

static bool is_mark(uint32_t cp)
{
	return cp >= BYTE_MARK + 0x80 && cp <= BYTE_MARK + 0xff;
}

static void mark_bytes(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		buf_utf8(out, BYTE_MARK + (unsigned char)s.p[i]);
}

struct reader {
	struct arena *a;
	bool bytes, last; /* last: of duplicate keys the last one counts; else they are refused */
	bool big;         /* there are strings that stand for numbers: mark_big() */
};

/* What jansson has no room for goes through it as a string that begins with this character. */
#define BIG_MARK "\xf4\x8f\x9b\xbf"

/* The end of the whole number at I, or I when there is none, or it is the beginning of another. */
static size_t whole_end(struct str s, size_t i)
{
	size_t e = i + (s.p[i] == '-');

	while (e < s.n && s.p[e] >= '0' && s.p[e] <= '9')
		e++;
	return e < s.n && strchr(".eE", s.p[e]) && s.p[e] ? i : e;
}

/* What a mark and its quotes add, and how many of them there are before AT. */
#define MARKED (sizeof(BIG_MARK) + 1)

static size_t marks_before(struct str text, int at)
{
	size_t n = 0;
	ptrdiff_t i = 0;

	while ((i = str_find(text, STR(BIG_MARK), (size_t)i)) >= 0 && i++ < at)
		n++;
	return n;
}

/* As a string a number would be a good key, which it is not. */
static bool is_key(struct str text, size_t end)
{
	while (end < text.n && strchr(" \t\r\n", text.p[end]) && text.p[end])
		end++;
	return end < text.n && text.p[end] == ':';
}

/* TEXT with its numbers of 19 digits and more as strings. */
static void mark_big(struct str text, struct buf *out)
{
	bool quoted = false;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		size_t e = !quoted && (c == '-' || (c >= '0' && c <= '9')) ? whole_end(text, i) : i;

		if (e > i + 18 && !is_key(text, e)) {
			buf_adds(out, "\"" BIG_MARK);
			buf_add(out, text.p + i, e - i);
			buf_addc(out, '"');
			i = e - 1;
			continue;
		}
		if (e > i) {
			buf_add(out, text.p + i, e - i);
			i = e - 1;
			continue;
		}
		buf_addc(out, c);
		if (quoted && c == '\\' && i + 1 < text.n)
			buf_addc(out, text.p[++i]);
		else if (c == '"')
			quoted = !quoted;
	}
}

/* The number that a string of mark_big() is; NULL: it is none, or has too many digits. */
static struct val *marked_big(const struct reader *r, struct str s)
{
	const size_t mark = sizeof(BIG_MARK) - 1;

	if (!r->big || !str_starts(s, BIG_MARK))
		return NULL;
	s = str_from(s, mark);
	bool neg = s.n && s.p[0] == '-';

	s = str_from(s, neg);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return NULL;
	return val_big_parse(r->a, s, 10, neg);
}

static struct str plain_text(const struct reader *r, struct str s)
{
	struct buf b = {0};

	if (!r->bytes || !s.n || !memchr(s.p, 0xf4, s.n)) /* how every mark begins */
		return str_dup(r->a, s);
	while (s.n) {
		uint32_t cp;
		size_t n = str_utf8(s, &cp);

		if (is_mark(cp))
			buf_addc(&b, (char)(cp - BYTE_MARK));
		else
			buf_add(&b, s.p, n);
		s = str_n(s.p + n, s.n - n);
	}
	s = buf_take(&b, r->a);
	buf_burn(&b);
	return s;
}

static struct val *from_jansson(const struct reader *r, const json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT: {
		struct val *m = val_map(r->a);
		const char *key;
		size_t n;
		json_t *v;

		json_object_keylen_foreach((json_t *)j, key, n, v) val_sets(
		        m, r->bytes ? plain_text(r, str_n(key, n)) : str_n(key, n), from_jansson(r, v));
		return m;
	}
	case JSON_ARRAY: {
		struct val *l = val_list(r->a);
		size_t i;
		json_t *v;

		json_array_foreach(j, i, v) val_push(l, from_jansson(r, v));
		return l;
	}
	case JSON_STRING: {
		struct str s = str_n(json_string_value(j), json_string_length(j));
		struct val *number = marked_big(r, s);

		if (number)
			return number;
		return val_str_ref(r->a, plain_text(r, s));
	}
	case JSON_INTEGER: return val_int(r->a, json_integer_value(j));
	case JSON_REAL: return val_float(r->a, json_real_value(j));
	case JSON_TRUE: return val_bool(true);
	case JSON_FALSE: return val_bool(false);
	default: return val_null();
	}
}

/*
 * Gives every value its offset. TEXT is known to be valid JSON, and members come in the order they are
 * written in, so that walking both side by side needs no parser of its own.
 */
struct place {
	struct arena *a;
	struct str text;
	size_t at;
	uint32_t src;
};

static void skip(struct place *p, const char *set, bool in_set)
{
	while (p->at < p->text.n && (memchr(set, p->text.p[p->at], strlen(set)) != NULL) == in_set)
		p->at++;
}

static void skip_string(struct place *p)
{
	for (p->at++; p->at < p->text.n && p->text.p[p->at] != '"'; p->at++)
		p->at += p->text.p[p->at] == '\\';
	p->at++;
}

static struct val *place(struct place *p, struct val *v)
{
	static const char space[] = " \t\r\n,:";

	skip(p, space, true);
	v = val_at_origin(p->a, v, (struct origin){p->src, (uint32_t)p->at});
	if (val_is_map(v)) {
		p->at++;
		MAP_EACH (i, v) {
			place(p, val_key_at(v, i));
			val_setk(v, val_key_at(v, i), place(p, val_value_at(v, i)));
		}
		skip(p, "}", false);
		p->at++;
	} else if (val_is_list(v)) {
		p->at++;
		VAL_EACH (i, v)
			val_set_at(v, i, place(p, val_at(v, i)));
		skip(p, "]", false);
		p->at++;
	} else if (val_is_str(v)) {
		skip_string(p);
	} else {
		skip(p, ",]} \t\r\n", false);
	}
	return v;
}

/* jansson counts to the end of the offending token, which its message ends with: "... near 'TOKEN'". */
static uint32_t where_it_begins(struct str text, const json_error_t *e)
{
	struct str msg = str_c(e->text), token;
	ptrdiff_t near = str_find(msg, STR(" near '"), 0);
	size_t off = e->position > 0 ? (size_t)e->position : 0;

	if (near < 0 || !str_ends(msg, "'") || off > text.n)
		return (uint32_t)(off ? off - 1 : 0);
	token = str_n(msg.p + near + 7, msg.n - (size_t)near - 8);
	if (token.n > off || !str_eq(str_n(text.p + off - token.n, token.n), token))
		return (uint32_t)(off ? off - 1 : 0);
	return (uint32_t)(off - token.n);
}

static bool read_json(const struct reader *r, struct str text, uint32_t src, struct val **ret,
                      struct err *err)
{
	json_error_t e;
	bool big = false;
	json_t *j =
	        json_loadb(text.p ? text.p : "", text.n,
	                   (r->last ? 0u : JSON_REJECT_DUPLICATES) | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);

	if (!j && json_error_code(&e) == json_error_numeric_overflow) {
		struct buf b = {0};

		mark_big(text, &b);
		j = json_loadb(b.p, b.n,
		               (r->last ? 0u : JSON_REJECT_DUPLICATES) | JSON_DECODE_ANY | JSON_ALLOW_NUL,
		               &e);
		big = j != NULL;
		e.position -= (int)(MARKED * marks_before(buf_str(&b), e.position));
		buf_burn(&b);
	}
	if (!j) {
		return err_set(err, ERR_USER, (struct origin){src, where_it_begins(text, &e)},
		               "invalid JSON: %s", e.text);
	}
	*ret = from_jansson(&(struct reader){r->a, r->bytes, r->last, big}, j);
	json_decref(j);
	if (src)
		*ret = place(&(struct place){r->a, text, 0, src}, *ret);
	return true;
}

bool json_parse(struct arena *a, struct str text, uint32_t src, struct val **ret, struct err *err)
{
	return read_json(&(struct reader){.a = a}, text, src, ret, err);
}

bool json_parse_last(struct arena *a, struct str text, struct val **ret, struct err *err)
{
	return read_json(&(struct reader){.a = a, .last = true}, text, 0, ret, err);
}

bool json_parse_bytes(struct arena *a, struct str text, struct val **ret, struct err *err)
{
	return read_json(&(struct reader){.a = a, .bytes = true}, text, 0, ret, err);
}

static void escape(uint32_t cp, struct buf *out)
{
	switch (cp) {
	case '"': buf_adds(out, "\\\""); break;
	case '\\': buf_adds(out, "\\\\"); break;
	case '\n': buf_adds(out, "\\n"); break;
	case '\r': buf_adds(out, "\\r"); break;
	case '\t': buf_adds(out, "\\t"); break;
	case '\b': buf_adds(out, "\\b"); break;
	case '\f': buf_adds(out, "\\f"); break;
	default:
		if (cp >= 0x10000)
			buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10),
			           0xdc00 + ((cp - 0x10000) & 0x3ff));
		else
			buf_printf(out, "\\u%04x", cp);
	}
}

static void quote(struct str s, bool ascii, bool bytes, struct buf *out)
{
	buf_addc(out, '"');
	while (s.n) {
		size_t plain = 0;

		while (plain < s.n && (unsigned char)s.p[plain] >= 0x20 && (unsigned char)s.p[plain] < 0x7f &&
		       s.p[plain] != '"' && s.p[plain] != '\\')
			plain++;
		buf_add(out, s.p, plain);
		s = str_n(s.p + plain, s.n - plain);
		if (s.n == 0)
			break;
		uint32_t cp;
		size_t len = str_utf8(s, &cp);

		if (bytes && ((len == 1 && cp >= 0x80) || is_mark(cp)))
			mark_bytes(str_n(s.p, len), out);
		else if (len == 1 && cp >= 0x80) /* not UTF-8: as Python's surrogateescape */
			buf_printf(out, "\\udc%02x", cp);
		else if (cp < 0x20 || cp == '"' || cp == '\\' || (ascii && cp >= 0x80))
			escape(cp, out);
		else
			buf_add(out, s.p, len);
		s = str_n(s.p + len, s.n - len);
	}
	buf_addc(out, '"');
}

void json_quote(struct str s, bool ascii, struct buf *out)
{
	quote(s, ascii, false, out);
}

#define DEPTH_MAX 200

struct dump {
	struct json_style style;
	struct buf *out;
	struct arena *a; /* for plain forms */
	int depth;
};

static void dump(struct dump *d, const struct val *v);

static void newline(struct dump *d)
{
	if (d->style.indent < 0)
		return;
	buf_addc(d->out, '\n');
	for (int i = 0; i < d->style.indent * d->depth; i++)
		buf_addc(d->out, ' ');
}

static void comma(struct dump *d)
{
	buf_adds(d->out, d->style.compact || d->style.indent >= 0 ? "," : ", ");
}

static void dump_list(struct dump *d, const struct val *v)
{
	buf_addc(d->out, '[');
	d->depth++;
	VAL_EACH (i, v) {
		if (i)
			comma(d);
		newline(d);
		dump(d, val_at(v, i));
	}
	d->depth--;
	if (val_len(v))
		newline(d);
	buf_addc(d->out, ']');
}

/* Python turns the keys it can into strings: 1 to "1", true to "true", null to "null". */
static void dump_key(struct dump *d, const struct val *k)
{
	struct buf text = {0};

	if (val_is_str(k)) {
		quote(val_get_str(k), d->style.ascii, d->style.bytes, d->out);
		return;
	}
	if (val_kind(k) == VAL_BOOL || val_is_null(k))
		json_dump(k, JSON_STYLE_COMPACT, &text);
	else
		val_print(k, &text);
	json_quote(buf_str(&text), d->style.ascii, d->out);
	buf_free(&text);
}

/* Numbers by size, all else as text. */
static bool key_before(struct arena *a, const struct val *x, const struct val *y)
{
	if (val_is_num(x) && val_is_num(y))
		return val_get_float(x) < val_get_float(y);
	return str_cmp(val_text(x, a), val_text(y, a)) < 0;
}

static size_t *sorted_order(struct arena *a, const struct val *m)
{
	size_t n = val_len(m), *order = arena_array(a, n, sizeof(*order));

	for (size_t i = 0; i < n; i++) {
		const struct val *key = val_key_at(m, i);
		size_t j = i;

		while (j > 0 && key_before(a, key, val_key_at(m, order[j - 1]))) {
			order[j] = order[j - 1];
			j--;
		}
		order[j] = i;
	}
	return order;
}

static void dump_map(struct dump *d, const struct val *v)
{
	size_t *order = d->style.sort_keys ? sorted_order(d->a, v) : NULL;

	buf_addc(d->out, '{');
	d->depth++;
	MAP_EACH (i, v) {
		size_t at = order ? order[i] : i;

		if (i)
			comma(d);
		newline(d);
		dump_key(d, val_key_at(v, at));
		buf_adds(d->out, d->style.compact ? ":" : ": ");
		dump(d, val_value_at(v, at));
	}
	d->depth--;
	if (val_len(v))
		newline(d);
	buf_addc(d->out, '}');
}

static void dump_float(double f, struct buf *out)
{
	if (isnan(f) || isinf(f))
		buf_adds(out, isnan(f) ? "NaN" : f < 0 ? "-Infinity" : "Infinity");
	else
		val_float_repr(f, out);
}

static void dump(struct dump *d, const struct val *v)
{
	if (d->out->full)
		return;
	if (d->depth > DEPTH_MAX) {
		buf_adds(d->out, "null");
		return;
	}
	switch (val_kind(v)) {
	case VAL_UNDEF:
	case VAL_NULL: buf_adds(d->out, "null"); break;
	case VAL_BOOL: buf_adds(d->out, val_get_bool(v) ? "true" : "false"); break;
	case VAL_INT: buf_printf(d->out, "%lld", (long long)val_get_int(v)); break;
	case VAL_BIG: val_big_print(v, 10, d->out); break;
	case VAL_FLOAT: dump_float(val_get_float(v), d->out); break;
	case VAL_STR: quote(val_get_str(v), d->style.ascii, d->style.bytes, d->out); break;
	case VAL_LIST:
	case VAL_TUPLE: dump_list(d, v); break;
	case VAL_MAP: dump_map(d, v); break;
	case VAL_OBJ: dump(d, val_copy(d->a, v)); break;
	}
}

void json_dump(const struct val *v, struct json_style style, struct buf *out)
{
	struct dump d = {style, out, arena_new(NULL), 0};

	dump(&d, v);
	arena_free(d.a);
}
