/* filters_ini - INI text to maps and back, as Python's configparser reads and writes it. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

struct ini {
	struct arena *a;
	struct val *all, *section; /* NULL: before the first */
	struct val *key;           /* whose value may go on; NULL: none */
	struct str name;           /* the section's */
	size_t indent, line;
};

static size_t indent_of(struct str line)
{
	size_t i = 0;
	while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i < line.n ? i : 0;
}

/* One line more of the value; a blank one is kept for what follows it. */
static void go_on(struct ini *i, struct str more)
{
	struct str had = val_get_str(val_getk(i->section, i->key));
	val_setk(i->section, i->key, val_strf(i->a, "%.*s\n%.*s", STR_FMT(had), STR_FMT(more)));
}

/* Blank lines at the end are none of the value's. */
static void end_value(struct ini *i)
{
	if (!i->key)
		return;
	struct str s = val_get_str(val_getk(i->section, i->key));
	while (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	val_setk(i->section, i->key, val_str(i->a, s));
	i->key = NULL;
}

static bool begin_section(struct ini *i, struct str name, struct err *err)
{
	bool dflt = str_eqc(name, "DEFAULT");
	if (!dflt && val_gets(i->all, name))
		return jinja_fail(err,
		                  "from_ini failed to parse given string: While reading from '<??"
		                  "?>' [line %2zu]: "
		                  "section '%.*s' already exists",
		                  i->line, STR_FMT(name));
	i->name = name;
	i->section = val_gets(i->all, name);
	if (!i->section) {
		i->section = val_map(i->a);
		val_sets(i->all, name, i->section);
	}
	return true;
}

static bool take_option(struct ini *i, struct str text, struct err *err)
{
	size_t at = 0;
	while (at < text.n && text.p[at] != '=' && text.p[at] != ':')
		at++;
	struct str key = str_trim(str_n(text.p, at));
	if (!i->section)
		return jinja_fail(
		        err,
		        "from_ini failed to parse given string: File contains no section headers.\nfile: "
		        "'<??"
		        "?>', line: %zu\n'%.*s\\n'",
		        i->line, STR_FMT(text));
	if (at == text.n || !key.n)
		return jinja_fail(err,
		                  "from_ini failed to parse given string: Source contains parsing errors: "
		                  "'<??"
		                  "?>'\n\t[line "
		                  "%2zu]: '%.*s\\n'",
		                  i->line, STR_FMT(text));
	if (val_gets(i->section, key))
		return jinja_fail(err,
		                  "from_ini failed to parse given string: While reading from '<??"
		                  "?>' [line "
		                  "%2zu]: option '%.*s' in section '%.*s' already exists",
		                  i->line, STR_FMT(key), STR_FMT(i->name));
	i->key = val_str(i->a, key);
	val_setk(i->section, i->key, val_str(i->a, str_trim(str_from(text, at + 1))));
	return true;
}

static bool take_line(struct ini *i, struct str line, struct err *err)
{
	struct str text = str_trim(line);
	size_t indent = indent_of(line);
	if (!text.n) {
		if (i->key)
			go_on(i, text);
		return true;
	}
	if (*text.p == '#' || *text.p == ';')
		return true;
	if (i->key && indent > i->indent) {
		go_on(i, text);
		return true;
	}
	end_value(i);
	i->indent = indent;
	size_t close = text.n;
	while (*text.p == '[' && close > 0 && text.p[close - 1] != ']')
		close--;
	if (*text.p == '[' && close > 2)
		return begin_section(i, str_n(text.p + 1, close - 2), err);
	return take_option(i, text, err);
}

/* What stands in [DEFAULT] holds in every section. */
static struct val *with_defaults(struct ini *i)
{
	struct val *dflt = val_get(i->all, "DEFAULT"), *out = val_map(i->a);
	MAP_EACH (k, i->all) {
		struct str name = val_get_str(val_key_at(i->all, k));
		if (!str_eqc(name, "DEFAULT"))
			val_sets(out, name,
			         dflt ? val_merge(i->a, dflt, val_value_at(i->all, k), false)
			              : val_value_at(i->all, k));
	}
	if (dflt && val_len(dflt))
		val_set(out, "DEFAULT", dflt);
	return out;
}

static bool f_from_ini(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct ini i = {.a = c->a, .all = val_map(c->a)};
	if (!jinja_args(c, "from_ini", "data", v, err))
		return false;
	if (!val_is_str(v[0]))
		return jinja_fail(err, "from_ini requires a str, got <class '%s'>", val_type_name(v[0]));
	for (struct str rest = val_get_str(v[0]); rest.p && rest.n;) {
		i.line++;
		if (!take_line(&i, str_split(&rest, '\n'), err))
			return false;
	}
	end_value(&i);
	*ret = with_defaults(&i);
	return true;
}

static void write_section(struct jinja_call *c, struct buf *b, struct str name, const struct val *map)
{
	buf_printf(b, "[%.*s]\n", STR_FMT(name));
	MAP_EACH (k, map) {
		struct str key = val_text(val_key_at(map, k), c->a),
		           rest = val_text(val_value_at(map, k), c->a);
		buf_printf(b, "%.*s = ", STR_FMT(key));
		for (bool first = true; rest.p; first = false) {
			struct str line = str_split(&rest, '\n');
			buf_printf(b, "%s%.*s", first ? "" : "\n\t", STR_FMT(line));
		}
		buf_addc(b, '\n');
	}
	buf_addc(b, '\n');
}

static bool f_to_ini(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct buf b = {0};
	if (!jinja_args(c, "to_ini", "data", v, err))
		return false;
	if (!val_is_map(v[0]))
		return jinja_fail(err, "to_ini requires a dict, got <class '%s'>", val_type_name(v[0]));
	if (!val_len(v[0]))
		return jinja_fail(err, "to_ini received an empty dict. An empty dict cannot be converted.");
	MAP_EACH (k, v[0]) {
		const struct val *map = val_value_at(v[0], k);
		if (!val_is_map(map))
			return jinja_fail(
			        err, "to_ini failed to parse given dict:'%s' object has no attribute 'items'",
			        val_type_name(map));
		VAL_EACH (i, map)
			if (val_is_null(val_value_at(map, i)))
				return jinja_fail(
				        err,
				        "to_ini failed to parse given dict:option values must be strings");
	}
	const struct val *dflt = val_get(v[0], "DEFAULT");
	if (dflt && val_len(dflt))
		write_section(c, &b, STR("DEFAULT"), dflt);
	MAP_EACH (k, v[0]) {
		struct str name = val_text(val_key_at(v[0], k), c->a);
		if (!str_eqc(name, "DEFAULT"))
			write_section(c, &b, name, val_value_at(v[0], k));
	}
	*ret = val_str(c->a, buf_str(&b));
	buf_free(&b);
	return true;
}

const struct jinja_func jinja_filters_ini[] = {
        {"from_ini", f_from_ini, "Sections and options of INI text as maps.", 0, NULL},
        {"to_ini", f_to_ini, "Maps of maps as INI text.", 0, NULL},
        {0},
};
