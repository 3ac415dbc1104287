/* json_mutate - changes JSON texts as JSON: a member becomes another kind of value, goes, or comes twice. */
#ifndef TESTS_JSON_MUTATE_H
#define TESTS_JSON_MUTATE_H
#include "base/json.h"

#include <stdlib.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);

struct json_mutate {
	struct arena *a;
	unsigned seed;
	size_t at, target; /* members passed, and the one to change */
};

static inline struct val *json_mutate_other(struct json_mutate *m, struct val *v)
{
	static const char *const texts[] = {"null",
	                                    "true",
	                                    "-1",
	                                    "9223372036854775807",
	                                    "0.5",
	                                    "\"\"",
	                                    "\"x\"",
	                                    "\"9223372036854775807\"",
	                                    "[]",
	                                    "{}",
	                                    "[[]]",
	                                    "[{}]",
	                                    "[null]",
	                                    "{\"a\":{}}",
	                                    "\"a b,c=d;e\\n\\u0000\"",
	                                    "1e300"};
	struct val *r = v;

	if (val_is_str(v) && m->seed % 3 == 0) {
		uint8_t text[512];
		size_t n = val_len(v) < sizeof(text) ? val_len(v) : sizeof(text);

		memcpy(text, val_get_strz(v), n);
		n = LLVMFuzzerMutate(text, n, sizeof(text));
		return val_str(m->a, str_n((const char *)text, n));
	}
	json_parse(m->a, str_c(texts[m->seed / 3 % (sizeof(texts) / sizeof(*texts))]), 0, &r, NULL);
	return r;
}

static inline struct val *json_mutate_walk(struct json_mutate *m, struct val *v)
{
	if (m->at++ == m->target)
		return json_mutate_other(m, v);
	if (val_is_list(v)) {
		VAL_EACH (i, v) {
			bool here = m->at == m->target;

			val_set_at(v, i, json_mutate_walk(m, val_at(v, i)));
			if (here && m->seed % 5 == 0)
				val_push(v, val_at(v, i));
		}
	} else if (val_is_map(v)) {
		MAP_EACH (i, v) {
			bool here = m->at == m->target;
			struct val *k = val_key_at(v, i), *new = json_mutate_walk(m, val_value_at(v, i));

			val_setk(v, k, new);
			if (here && m->seed % 7 == 0) {
				val_delk(v, k);
				return v;
			}
		}
	}
	return v;
}

/* DATA[0..N) changed in place; as libFuzzer would when it is no JSON. */
static inline size_t json_mutate(uint8_t *data, size_t n, size_t max, unsigned seed)
{
	struct json_mutate m = {.a = arena_new(NULL), .seed = seed};
	struct buf out = {0};
	struct val *v;
	bool ok = seed % 16 && json_parse(m.a, str_n((const char *)data, n), 0, &v, NULL);

	if (ok) {
		m.target = SIZE_MAX; /* the first walk only counts */
		json_mutate_walk(&m, v);
		m.target = seed / 16 % (m.at ? m.at : 1);
		m.at = 0;
		json_dump(json_mutate_walk(&m, v), JSON_STYLE_COMPACT, &out);
		ok = out.n <= max;
	}
	if (ok)
		memcpy(data, out.p, n = out.n);
	buf_free(&out);
	arena_free(m.a);
	return ok ? n : LLVMFuzzerMutate(data, n, max);
}
#endif
