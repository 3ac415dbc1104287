/*
 * json - JSON text to values and back. Reading is jansson's; writing matches Python's json.dumps to the byte.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/val.h"

/* Duplicate keys are refused. A syntax error carries the origin {src, offset}, and
 * so does every value, unless SRC is 0. */
bool json_parse(struct arena *a, struct str text, uint32_t src, struct val **ret, struct err *err);
/* As json_parse, without places; of duplicate keys the last one counts, as in Python. */
bool json_parse_last(struct arena *a, struct str text, struct val **ret, struct err *err);
/* As json_parse, without places, for what json_dump() wrote with "bytes": strings come back to the byte. */
bool json_parse_bytes(struct arena *a, struct str text, struct val **ret, struct err *err);

struct json_style {
	int indent; /* < 0: on one line with ", " and ": " */
	bool sort_keys;
	bool ascii;   /* \uXXXX for everything beyond ASCII, as json.dumps does by default */
	bool compact; /* "," and ":" without spaces */
	bool bytes; /* a byte that is not UTF-8 as a private character, for json_parse_bytes(); else as Python
	             */
};

#define JSON_STYLE_COMPACT ((struct json_style){-1, false, false, true})
#define JSON_STYLE_PYTHON ((struct json_style){-1, false, true, false})
#define JSON_STYLE_BYTES ((struct json_style){-1, .compact = true, .bytes = true})

/* Undefined and objects are written as their plain form. Secrets are NOT redacted here. */
void json_dump(const struct val *v, struct json_style style, struct buf *out);
/* A JSON string literal, with quotes. */
void json_quote(struct str s, bool ascii, struct buf *out);
#endif
