#include "base/val_big.h"
#include "yaml/yaml_load.h"
#include "yaml/schema.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

/*
 * Ansible dumps through libyaml's emitter (PyYAML's CSafeDumper), and so do we; what is added here is
 * PyYAML's representer: which scalars may be plain, flow style of leaves, anchors for containers met twice.
 */
struct seen {
	const struct val *v;
	unsigned times;
	unsigned id; /* of its anchor, once written */
};

struct dumper {
	yaml_emitter_t e;
	struct yaml_style style;
	struct seen *seen;
	size_t n, cap;
	unsigned next_id;
	bool failed;
};

/* Cycles cannot be written; deeper than this is one. */
#define DEPTH_MAX 400

static bool is_container(const struct val *v)
{
	return val_is_list(v) || val_is_map(v);
}

static struct seen *seen_find(struct dumper *d, const struct val *v)
{
	size_t i = ((uintptr_t)v >> 4) * 2654435761u & (d->cap - 1);
	while (d->seen[i].v && d->seen[i].v != v)
		i = (i + 1) & (d->cap - 1);
	return &d->seen[i];
}

static void seen_grow(struct dumper *d)
{
	struct seen *old = d->seen;
	size_t old_cap = d->cap;
	d->cap = old_cap ? old_cap * 2 : 64;
	d->seen = xmalloc(d->cap * sizeof(*d->seen));
	memset(d->seen, 0, d->cap * sizeof(*d->seen));
	for (size_t i = 0; i < old_cap; i++)
		if (old[i].v)
			*seen_find(d, old[i].v) = old[i];
	free(old);
}

static void count(struct dumper *d, const struct val *v, unsigned depth)
{
	if (!is_container(v) || depth > DEPTH_MAX)
		return;
	if (d->n * 2 >= d->cap)
		seen_grow(d);
	struct seen *s = seen_find(d, v);
	if (s->v) {
		s->times++;
		return;
	}
	*s = (struct seen){v, 1, 0};
	d->n++;
	VAL_EACH (i, v) {
		if (val_is_map(v)) {
			count(d, val_key_at(v, i), depth + 1);
			count(d, val_value_at(v, i), depth + 1);
		} else {
			count(d, val_at(v, i), depth + 1);
		}
	}
}

static void emit(struct dumper *d, yaml_event_t *ev)
{
	if (!yaml_emitter_emit(&d->e, ev))
		d->failed = true;
}

static yaml_scalar_style_t scalar_style(const struct dumper *d)
{
	switch (d->style.quote) {
	case '\'': return YAML_SINGLE_QUOTED_SCALAR_STYLE;
	case '"': return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	case '|': return YAML_LITERAL_SCALAR_STYLE;
	case '>': return YAML_FOLDED_SCALAR_STYLE;
	default: return YAML_ANY_SCALAR_STYLE;
	}
}

static void scalar(struct dumper *d, struct str s, const char *tag, bool plain, bool quoted)
{
	yaml_event_t ev;
	char full[64];
	snprintf(full, sizeof(full), "tag:yaml.org,2002:%s", tag);
	if (!yaml_scalar_event_initialize(&ev, NULL, (yaml_char_t *)full, (yaml_char_t *)(s.p ? s.p : ""),
	                                  (int)s.n, plain, quoted, scalar_style(d))) {
		/* Only text that is no UTF-8 is refused: written as PyYAML writes bytes. */
		struct buf b = {0};
		buf_base64(&b, s);
		if (yaml_scalar_event_initialize(&ev, NULL, (yaml_char_t *)"tag:yaml.org,2002:binary",
		                                 (yaml_char_t *)b.p, (int)b.n, 0, 0,
		                                 YAML_LITERAL_SCALAR_STYLE))
			emit(d, &ev);
		buf_free(&b);
		return;
	}
	emit(d, &ev);
}

static void float_scalar(struct dumper *d, double f)
{
	struct buf b = {0};
	if (isnan(f)) {
		buf_adds(&b, ".nan");
	} else if (isinf(f)) {
		buf_adds(&b, f > 0 ? ".inf" : "-.inf");
	} else {
		val_float_repr(f, &b);
		/* YAML 1.1 wants a dot: 1e17 is a string to it. */
		char *e = memchr(b.p, 'e', b.n);
		if (e && !memchr(b.p, '.', b.n)) {
			struct buf c = {0};
			buf_add(&c, b.p, (size_t)(e - b.p));
			buf_adds(&c, ".0");
			buf_adds(&c, e);
			buf_free(&b);
			b = c;
		}
	}
	scalar(d, buf_str(&b), "float", true, false);
	buf_free(&b);
}

static void node(struct dumper *d, const struct val *v, unsigned depth);

/* PyYAML's default_flow_style=None: a collection of plain scalars goes on one line. */
static bool on_one_line(const struct dumper *d, const struct val *v)
{
	if (d->style.all_flow || !d->style.flow || (d->style.quote && val_len(v)))
		return d->style.all_flow;
	VAL_EACH (i, v) {
		if (val_is_map(v) && (is_container(val_key_at(v, i)) || is_container(val_value_at(v, i))))
			return false;
		if (!val_is_map(v) && is_container(val_at(v, i)))
			return false;
	}
	return true;
}

struct pair {
	const struct val *k, *v;
};

static int pair_cmp(const void *x, const void *y)
{
	int r = 0;
	struct err err = {0};
	val_compare(((const struct pair *)x)->k, ((const struct pair *)y)->k, &r, &err);
	err_clear(&err);
	return r;
}

/* Python sorts or, when two keys cannot be compared, leaves the order alone. */
static bool sortable(const struct val *map)
{
	MAP_EACH (i, map) {
		int r;
		struct err err = {0};
		if (i && !val_compare(val_key_at(map, i - 1), val_key_at(map, i), &r, &err)) {
			err_clear(&err);
			return false;
		}
	}
	return true;
}

static void mapping(struct dumper *d, const struct val *v, char *anchor, unsigned depth)
{
	yaml_event_t ev;
	bool flow = on_one_line(d, v);
	yaml_mapping_start_event_initialize(&ev, (yaml_char_t *)anchor, NULL, 1,
	                                    flow ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE);
	emit(d, &ev);
	size_t n = val_len(v);
	struct pair *pairs = xmalloc((n + 1) * sizeof(*pairs));
	for (size_t i = 0; i < n; i++)
		pairs[i] = (struct pair){val_key_at(v, i), val_value_at(v, i)};
	if (d->style.sort_keys && n > 1 && sortable(v))
		qsort(pairs, n, sizeof(*pairs), pair_cmp);
	for (size_t i = 0; i < n && !d->failed; i++) {
		node(d, pairs[i].k, depth + 1);
		node(d, pairs[i].v, depth + 1);
	}
	free(pairs);
	yaml_mapping_end_event_initialize(&ev);
	emit(d, &ev);
}

static void sequence(struct dumper *d, const struct val *v, char *anchor, unsigned depth)
{
	yaml_event_t ev;
	bool flow = on_one_line(d, v);
	yaml_sequence_start_event_initialize(&ev, (yaml_char_t *)anchor, NULL, 1,
	                                     flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE);
	emit(d, &ev);
	VAL_EACH (i, v) {
		if (d->failed)
			return;
		node(d, val_at(v, i), depth + 1);
	}
	yaml_sequence_end_event_initialize(&ev);
	emit(d, &ev);
}

static void container(struct dumper *d, const struct val *v, unsigned depth)
{
	struct seen *s = seen_find(d, v);
	char anchor[24];
	if (s->times > 1) {
		bool again = s->id != 0;
		if (!again)
			s->id = ++d->next_id;
		snprintf(anchor, sizeof(anchor), "id%03u", s->id);
		if (again) {
			yaml_event_t ev;
			yaml_alias_event_initialize(&ev, (yaml_char_t *)anchor);
			emit(d, &ev);
			return;
		}
	}
	if (depth > DEPTH_MAX)
		d->failed = true;
	else if (val_is_map(v))
		mapping(d, v, s->times > 1 ? anchor : NULL, depth);
	else
		sequence(d, v, s->times > 1 ? anchor : NULL, depth);
}

static void node(struct dumper *d, const struct val *v, unsigned depth)
{
	if (d->failed)
		return;
	switch (val_kind(v)) {
	case VAL_NULL: scalar(d, STR("null"), "null", true, false); return;
	case VAL_BOOL: scalar(d, val_get_bool(v) ? STR("true") : STR("false"), "bool", true, false); return;
	case VAL_FLOAT: float_scalar(d, val_get_float(v)); return;
	case VAL_LIST:
	case VAL_TUPLE:
	case VAL_MAP: container(d, v, depth); return;
	case VAL_STR: {
		struct str s = val_get_str(v);
		scalar(d, s, "str", yaml_resolve(s) == YAML_T_STR, true);
		return;
	}
	case VAL_INT:
	case VAL_BIG:
	case VAL_UNDEF:
	case VAL_OBJ: break;
	}
	struct buf b = {0};
	val_print(v, &b);
	bool is_int = val_is_whole(v);
	scalar(d, buf_str(&b), is_int ? "int" : "str", is_int || yaml_resolve(buf_str(&b)) == YAML_T_STR,
	       !is_int);
	buf_free(&b);
}

static int write_out(void *out, unsigned char *p, size_t n)
{
	buf_add(out, p, n);
	return 1;
}

void yaml_dump(const struct val *v, struct yaml_style style, struct buf *out)
{
	struct dumper d = {.style = style};
	if (!yaml_emitter_initialize(&d.e))
		abort();
	yaml_emitter_set_output(&d.e, write_out, out);
	yaml_emitter_set_indent(&d.e, style.indent ? style.indent : 2);
	yaml_emitter_set_width(&d.e, style.width ? style.width : -1);
	yaml_emitter_set_unicode(&d.e, style.unicode);
	seen_grow(&d);
	count(&d, v, 0);
	yaml_event_t ev;
	yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING);
	emit(&d, &ev);
	yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, !style.start);
	emit(&d, &ev);
	node(&d, v, 0);
	if (!d.failed) {
		yaml_document_end_event_initialize(&ev, !style.end);
		emit(&d, &ev);
		yaml_stream_end_event_initialize(&ev);
		emit(&d, &ev);
	}
	yaml_emitter_delete(&d.e);
	free(d.seen);
}
