#include "yaml/yaml_load.h"
#include "yaml/schema.h"
#include <yaml.h>

/* Deeper nesting is a mistake or an attack; it would exhaust the stack of whoever walks the value. */
#define DEPTH_MAX 200
/* Values that aliases may stand for, all told: a few lines of aliases of aliases would stand for billions. */
#define ALIASED_MAX 1000000

struct loader {
	yaml_parser_t p;
	struct arena *a;
	const struct yaml_opts *opts;
	struct str text;
	uint32_t src;
	struct val *anchors;         /* name -> value; NULL while that is being read */
	struct val *sizes;           /* name -> how many values that is, aliases in it counted as theirs */
	size_t values, aliased;      /* so far, counted likewise; and what aliases stood for */
	size_t mark_char, mark_byte; /* libyaml counts characters, we count bytes */
	unsigned depth;
};

static struct origin mark_origin(struct loader *l, const yaml_mark_t *m)
{
	if (m->index < l->mark_char)
		l->mark_char = l->mark_byte = 0;
	if (l->mark_byte == 0 && str_starts(l->text, "\xef\xbb\xbf"))
		l->mark_byte = 3;
	while (l->mark_char < m->index && l->mark_byte < l->text.n) {
		uint32_t cp;
		l->mark_byte += str_utf8(str_n(l->text.p + l->mark_byte, l->text.n - l->mark_byte), &cp);
		l->mark_char++;
	}
	return (struct origin){l->src, (uint32_t)l->mark_byte};
}

static bool next_event(struct loader *l, yaml_event_t *ev, struct err *err)
{
	if (yaml_parser_parse(&l->p, ev))
		return true;
	yaml_mark_t m = l->p.problem_mark;
	struct origin at = l->p.error == YAML_READER_ERROR
	                           ? (struct origin){l->src, (uint32_t)l->p.problem_offset}
	                           : mark_origin(l, &m);
	const char *what = l->p.problem ? l->p.problem : "it cannot be read";
	if (l->p.context)
		err_set(err, ERR_USER, at, "YAML: %s, %s", l->p.context, what);
	else
		err_set(err, ERR_USER, at, "YAML: %s", what);
	if (strstr(what, "tab character"))
		err_hint(err, "YAML is indented with spaces");
	else if (strstr(what, "UTF-8"))
		err_hint(err, "save the file as UTF-8");
	else if (strstr(what, "mapping values are not allowed"))
		err_hint(err, "a value that holds \": \" needs quotes around it");
	else if (strstr(what, "cannot start any token"))
		err_hint(err, "a value that begins with a special character (%% @ ` tab) needs quotes; "
		              "indent with spaces");
	else if (strstr(what, "did not find expected key"))
		err_hint(err, "look for unbalanced quotes or a wrong indentation just before this place");
	return false;
}

/* The offset of the first character of a scalar's content: origins point at what was meant, not at its
 * quotes. */
static struct origin scalar_origin(struct loader *l, const yaml_event_t *ev)
{
	struct origin o = mark_origin(l, &ev->start_mark);
	struct str t = l->text;
	size_t i = o.off;
	switch (ev->data.scalar.style) {
	case YAML_SINGLE_QUOTED_SCALAR_STYLE:
	case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
		while (i < t.n && t.p[i] != '\'' && t.p[i] != '"')
			i++;
		i++;
		break;
	case YAML_LITERAL_SCALAR_STYLE:
	case YAML_FOLDED_SCALAR_STYLE:
		while (i < t.n && t.p[i] != '\n')
			i++;
		while (i < t.n && (t.p[i] == '\n' || t.p[i] == ' ' || t.p[i] == '\r'))
			i++;
		break;
	default: break;
	}
	return (struct origin){o.src, (uint32_t)(i <= t.n ? i : t.n)};
}

static bool is_vault(const char *tag)
{
	return strcmp(tag, "!vault") == 0 || strcmp(tag, "!vault-encrypted") == 0;
}

static bool tag_refuse(const char *tag, struct origin at, struct err *err)
{
	if (is_vault(tag))
		return err_set(err, ERR_USER, at, "vault-encrypted values are not opened here");
	return err_set(err, ERR_USER, at, "could not determine a constructor for the tag '%s'", tag);
}

struct tag_row {
	const char *tag;
	enum yaml_tag kind;
};

static const struct tag_row scalar_tags[] = {
        {"tag:yaml.org,2002:str", YAML_T_STR},
        {"tag:yaml.org,2002:int", YAML_T_INT},
        {"tag:yaml.org,2002:float", YAML_T_FLOAT},
        {"tag:yaml.org,2002:bool", YAML_T_BOOL},
        {"tag:yaml.org,2002:null", YAML_T_NULL},
        {"tag:yaml.org,2002:timestamp", YAML_T_TIMESTAMP},
        {"tag:yaml.org,2002:python/str", YAML_T_STR},
        {"tag:yaml.org,2002:python/unicode", YAML_T_STR},
        {"!", YAML_T_STR},
};

static bool scalar(struct loader *l, const yaml_event_t *ev, struct val **ret, bool *ret_merge,
                   struct err *err)
{
	struct str s = str_n((const char *)ev->data.scalar.value, ev->data.scalar.length);
	struct origin at = scalar_origin(l, ev);
	const char *tag = (const char *)ev->data.scalar.tag;
	enum yaml_tag kind = YAML_T_STR;
	bool unsafe = false, binary = false;
	if (tag) {
		size_t i = 0, n = sizeof(scalar_tags) / sizeof(*scalar_tags);
		while (i < n && strcmp(scalar_tags[i].tag, tag) != 0)
			i++;
		unsafe = strcmp(tag, "!unsafe") == 0;
		binary = strcmp(tag, "tag:yaml.org,2002:binary") == 0;
		if (is_vault(tag) && l->opts && l->opts->vault) {
			*ret = l->opts->vault(l->opts->vault_ctx, l->a, s, at);
			*ret_merge = false;
			return true;
		}
		if (i == n && !unsafe && !binary)
			return tag_refuse(tag, at, err);
		if (i < n)
			kind = scalar_tags[i].kind;
	} else if (ev->data.scalar.plain_implicit) {
		kind = yaml_resolve(s);
	}
	*ret_merge = kind == YAML_T_MERGE;
	struct val *v;
	if (binary) {
		struct buf b = {0};
		bool ok = buf_unbase64(&b, s);
		v = val_str(l->a, buf_str(&b));
		buf_free(&b);
		if (!ok)
			return err_set(err, ERR_USER, at, "failed to decode base64 data");
	} else {
		v = yaml_construct(l->a, kind, s);
		if (!v)
			return err_set(err, ERR_USER, at, "'%.*s' is not of the type its tag says",
			               STR_FMT(s));
	}

	v = val_at_origin(l->a, v, at);
	*ret = unsafe ? val_mark_unsafe(l->a, v) : v;
	return true;
}

static bool compose(struct loader *l, yaml_event_t *ev, struct val **ret, bool *ret_merge, struct err *err);

/* NAME stands for V, which was begun when BEFORE values had been read. */
static void anchor(struct loader *l, const yaml_char_t *name, struct val *v, size_t before)
{
	if (name) {
		val_set(l->anchors, (const char *)name, v);
		val_set(l->sizes, (const char *)name, val_int(l->a, (int64_t)(l->values - before)));
	}
}

static bool alias(struct loader *l, const char *name, struct origin at, struct val **ret, struct err *err)
{
	int64_t size = val_map_int(l->sizes, name, 0);

	*ret = val_get(l->anchors, name);
	if (!*ret)
		return err_set(err, ERR_USER, at,
		               val_get(l->sizes, name) ? "the alias '%s' lies within the value it stands for"
		                                       : "found undefined alias '%s'",
		               name);
	l->values += (size_t)size;
	l->aliased += (size_t)size;
	if (l->aliased > ALIASED_MAX)
		return err_set(err, ERR_USER, at, "the aliases stand for more than %d values", ALIASED_MAX);
	return true;
}

static bool sequence(struct loader *l, yaml_event_t *ev, struct val **ret, struct err *err)
{
	struct origin at = mark_origin(l, &ev->start_mark);
	const char *tag = (const char *)ev->data.sequence_start.tag;
	bool unsafe = tag && strcmp(tag, "!unsafe") == 0;
	if (tag && !unsafe && strcmp(tag, "tag:yaml.org,2002:seq") != 0 && strcmp(tag, "!") != 0)
		return tag_refuse(tag, at, err);
	struct val *list = val_at_origin(l->a, val_list(l->a), at);
	for (;;) {
		yaml_event_t e;
		if (!next_event(l, &e, err))
			return false;
		if (e.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&e);
			break;
		}
		struct val *v;
		bool merge;
		bool ok = compose(l, &e, &v, &merge, err);
		yaml_event_delete(&e);
		if (!ok)
			return false;
		val_push(list, v);
	}
	*ret = unsafe ? val_mark_unsafe(l->a, list) : list;
	return true;
}

/* A merge key's value on top of what earlier merges gave; keys already there keep their place. */
static bool merge_into(struct val *map, const struct val *from, struct origin at, struct err *err)
{
	if (val_is_map(from)) {
		MAP_EACH (i, from)
			val_setk(map, val_key_at(from, i), val_value_at(from, i));
		return true;
	}
	if (!val_is_list(from))
		return err_set(err, ERR_USER, at,
		               "expected a mapping or list of mappings for merging, but found scalar");
	for (size_t i = val_len(from); i-- > 0;) { /* earlier ones win */
		const struct val *m = val_at(from, i);
		if (!val_is_map(m))
			return err_set(err, ERR_USER, at, "expected a mapping for merging, but found %s",
			               val_type_name(m));
		if (!merge_into(map, m, at, err))
			return false;
	}
	return true;
}

static bool is_template_braces(const struct val *k)
{
	if (val_is_map(k) && val_len(k) == 1)
		return val_is_null(val_value_at(k, 0)) || val_is_map(val_key_at(k, 0));
	return false;
}

static bool key_check(const struct val *k, struct origin at, struct err *err)
{
	if (val_hashable(k))
		return true;
	err_set(err, ERR_USER, at, "found unhashable key");
	if (is_template_braces(k))
		err_hint(err, "a value that begins with {{ needs quotes around it: \"{{ ... }}\"");
	return false;
}

static void warn_duplicate(struct loader *l, const struct val *k, struct origin at)
{
	if (!l->opts || !l->opts->warn)
		return;
	struct buf b = {0};
	buf_adds(&b, "found a duplicate dict key (");
	val_print(k, &b);
	buf_adds(&b, "). Using last defined value only.");
	l->opts->warn(l->opts->ctx, at, b.p);
	buf_free(&b);
}

static bool mapping(struct loader *l, yaml_event_t *ev, struct val **ret, struct err *err)
{
	struct origin at = mark_origin(l, &ev->start_mark);
	const char *tag = (const char *)ev->data.mapping_start.tag;
	bool unsafe = tag && strcmp(tag, "!unsafe") == 0;
	if (tag && !unsafe && strcmp(tag, "tag:yaml.org,2002:map") != 0 && strcmp(tag, "!") != 0)
		return tag_refuse(tag, at, err);
	struct val *map = val_at_origin(l->a, val_map(l->a), at), *merged = NULL, *own = val_map(l->a);
	for (;;) {
		yaml_event_t e;
		if (!next_event(l, &e, err))
			return false;
		if (e.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&e);
			break;
		}
		struct val *k, *v;
		bool is_merge, none;
		struct origin kat = mark_origin(l, &e.start_mark);
		bool ok = compose(l, &e, &k, &is_merge, err) && key_check(k, kat, err);
		yaml_event_delete(&e);
		if (!ok || !next_event(l, &e, err))
			return false;
		ok = compose(l, &e, &v, &none, err);
		yaml_event_delete(&e);
		if (!ok)
			return false;
		if (is_merge) {
			if (!merged)
				merged = val_map(l->a);
			if (!merge_into(merged, v, kat, err))
				return false;
			continue;
		}
		if (val_getk(own, k))
			warn_duplicate(l, k, kat);
		val_setk(own, k, v);
	}
	if (merged)
		merge_into(map, merged, at, err);
	merge_into(map, own, at, err);
	*ret = unsafe ? val_mark_unsafe(l->a, map) : map;
	return true;
}

static bool collection(struct loader *l, yaml_event_t *ev, struct val **ret, struct err *err)
{
	bool list = ev->type == YAML_SEQUENCE_START_EVENT;
	const yaml_char_t *name = list ? ev->data.sequence_start.anchor : ev->data.mapping_start.anchor;
	size_t before = l->values - 1;

	if (++l->depth > DEPTH_MAX)
		return err_set(err, ERR_USER, mark_origin(l, &ev->start_mark), "nested deeper than %d levels",
		               DEPTH_MAX);
	if (name) { /* a value that holds itself has no end */
		val_set(l->anchors, (const char *)name, NULL);
		val_set(l->sizes, (const char *)name, val_null());
	}
	if (list ? !sequence(l, ev, ret, err) : !mapping(l, ev, ret, err))
		return false;
	l->depth--;
	anchor(l, name, *ret, before);
	return true;
}

static bool compose(struct loader *l, yaml_event_t *ev, struct val **ret, bool *ret_merge, struct err *err)
{
	*ret_merge = false;
	if (ev->type == YAML_ALIAS_EVENT)
		return alias(l, (const char *)ev->data.alias.anchor, mark_origin(l, &ev->start_mark), ret,
		             err);
	l->values++;
	if (ev->type != YAML_SCALAR_EVENT)
		return collection(l, ev, ret, err);
	if (!scalar(l, ev, ret, ret_merge, err))
		return false;
	anchor(l, ev->data.scalar.anchor, *ret, l->values - 1);
	return true;
}

static bool documents(struct loader *l, struct val *docs, struct err *err)
{
	for (;;) {
		yaml_event_t ev;
		if (!next_event(l, &ev, err))
			return false;
		yaml_event_type_t type = ev.type;
		bool ok = true, merge;
		if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
		    type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT) {
			struct val *v;
			ok = compose(l, &ev, &v, &merge, err);
			if (ok)
				val_push(docs, v);
		} else if (type == YAML_DOCUMENT_START_EVENT) {
			l->anchors = val_map(l->a);
			l->sizes = val_map(l->a);
		}
		yaml_event_delete(&ev);
		if (!ok)
			return false;
		if (type == YAML_STREAM_END_EVENT)
			return true;
	}
}

bool yaml_load_all(struct arena *a, struct str text, uint32_t src, const struct yaml_opts *opts,
                   struct val **ret, struct err *err)
{
	struct loader l = {
	        .a = a, .opts = opts, .text = text, .src = src, .anchors = val_map(a), .sizes = val_map(a)};
	xneed(yaml_parser_initialize(&l.p) ? &l : NULL);
	yaml_parser_set_input_string(&l.p, (const unsigned char *)text.p, text.n);
	struct val *docs = val_list(a);
	bool ok = documents(&l, docs, err);
	yaml_parser_delete(&l.p);
	if (ok)
		*ret = docs;
	return ok;
}

bool yaml_load(struct arena *a, struct str text, uint32_t src, const struct yaml_opts *opts, struct val **ret,
               struct err *err)
{
	struct val *docs;
	if (!yaml_load_all(a, text, src, opts, &docs, err))
		return false;
	if (val_len(docs) > 1)
		return err_set(err, ERR_USER, val_origin(val_at(docs, 1)),
		               "YAML: expected a single document in the stream, but found another document");
	*ret = val_len(docs) ? val_at(docs, 0) : val_null();
	return true;
}

struct origin yaml_locate(struct str source, struct origin at, struct str text, size_t pos)
{
	size_t i = at.off;
	for (size_t k = 0; k < pos && k < text.n && i < source.n; k++) {
		bool space = text.p[k] == ' ' || text.p[k] == '\n';
		if (space && (source.p[i] == '\n' || source.p[i] == '\r')) {
			while (i < source.n && strchr("\r\n \t", source.p[i]) && source.p[i])
				i++;
			/* Blank lines of the text are part of what was just skipped. */
			while (k + 1 < pos && text.p[k + 1] == '\n')
				k++;
			continue;
		}
		if (source.p[i] == '\\' && text.p[k] != '\\' && i + 1 < source.n)
			i++;
		i++;
	}
	return (struct origin){at.src, (uint32_t)i};
}
