#include "base/json.h"

#include <jansson.h>
#include <math.h>

static struct val *from_jansson(struct arena *a, const json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT: {
		struct val *m = val_map(a);
		const char *key;
		size_t n;
		json_t *v;

		json_object_keylen_foreach((json_t *)j, key, n, v)
		        val_sets(m, str_n(key, n), from_jansson(a, v));
		return m;
	}
	case JSON_ARRAY: {
		struct val *l = val_list(a);
		size_t i;
		json_t *v;

		json_array_foreach(j, i, v) val_push(l, from_jansson(a, v));
		return l;
	}
	case JSON_STRING: return val_str(a, str_n(json_string_value(j), json_string_length(j)));
	case JSON_INTEGER: return val_int(a, json_integer_value(j));
	case JSON_REAL: return val_float(a, json_real_value(j));
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
	for (p->at++; p->text.p[p->at] != '"'; p->at++)
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

bool json_parse(struct arena *a, struct str text, uint32_t src, struct val **ret, struct err *err)
{
	json_error_t e;
	json_t *j = json_loadb(text.p ? text.p : "", text.n,
	                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);

	if (!j) {
		uint32_t off = e.position > 0 ? (uint32_t)e.position : 0;

		/* jansson counts to the end of the offending token. */
		return err_set(err, ERR_USER, (struct origin){src, off ? off - 1 : 0}, "invalid JSON: %s",
		               e.text);
	}
	*ret = from_jansson(a, j);
	json_decref(j);
	if (src)
		*ret = place(&(struct place){a, text, 0, src}, *ret);
	return true;
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

void json_quote(struct str s, bool ascii, struct buf *out)
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

		if (len == 1 && cp >= 0x80) /* not UTF-8: as Python's surrogateescape */
			buf_printf(out, "\\udc%02x", cp);
		else if (cp < 0x20 || cp == '"' || cp == '\\' || (ascii && cp >= 0x80))
			escape(cp, out);
		else
			buf_add(out, s.p, len);
		s = str_n(s.p + len, s.n - len);
	}
	buf_addc(out, '"');
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
		json_quote(val_get_str(k), d->style.ascii, d->out);
		return;
	}
	if (val_kind(k) == VAL_BOOL || val_is_null(k))
		json_dump(k, JSON_STYLE_COMPACT, &text);
	else
		val_print(k, &text);
	json_quote(buf_str(&text), d->style.ascii, d->out);
	buf_free(&text);
}

static size_t *sorted_order(struct arena *a, const struct val *m)
{
	size_t n = val_len(m), *order = arena_array(a, n, sizeof(*order));

	for (size_t i = 0; i < n; i++) {
		struct str key = val_text(val_key_at(m, i), a);
		size_t j = i;

		while (j > 0 && str_cmp(key, val_text(val_key_at(m, order[j - 1]), a)) < 0) {
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
	if (d->depth > DEPTH_MAX) {
		buf_adds(d->out, "null");
		return;
	}
	switch (val_kind(v)) {
	case VAL_UNDEF:
	case VAL_NULL: buf_adds(d->out, "null"); break;
	case VAL_BOOL: buf_adds(d->out, val_get_bool(v) ? "true" : "false"); break;
	case VAL_INT: buf_printf(d->out, "%lld", (long long)val_get_int(v)); break;
	case VAL_FLOAT: dump_float(val_get_float(v), d->out); break;
	case VAL_STR: json_quote(val_get_str(v), d->style.ascii, d->out); break;
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
