/*
 * check - arguments against a spec. The wording is Ansible's, since roles and people match on it.
 */
#include <errno.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/suggest.h"
#include "modules/spec.h"

static const struct mod_arg file_args[] = {
        {"mode", MT_RAW, .doc = "Permissions: octal as text, or symbolic."},
        {"owner", MT_STR, .doc = "User that owns the file."},
        {"group", MT_STR, .doc = "Group of the file."},
        {"seuser", MT_STR, .doc = "SELinux user."},
        {"serole", MT_STR, .doc = "SELinux role."},
        {"setype", MT_STR, .doc = "SELinux type."},
        {"selevel", MT_STR, .doc = "SELinux level."},
        {"attributes", MT_STR, .aliases = "attr", .doc = "Attributes as chattr takes them."},
        {"unsafe_writes", MT_BOOL, .dflt = "false", .doc = "Write in place where renaming is impossible."},
        {NULL},
};

struct check {
	const char *what; /* module or option path, for messages */
	bool templated;
	struct arena *a;
	struct errs *errs;
	bool ok;
};

static void check_bad(struct check *c, struct origin at, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
static void check_bad(struct check *c, struct origin at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err_set(errs_add(c->errs), ERR_USER, at, "%s", arena_vprintf(c->a, fmt, ap));
	va_end(ap);
	c->ok = false;
}

static bool is_template(const struct val *v)
{
	if (!val_is_str(v))
		return false;
	struct str s = val_get_str(v);
	return str_find(s, STR("{{"), 0) >= 0 || str_find(s, STR("{%"), 0) >= 0;
}

bool spec_choice(const char *list, struct str w)
{
	struct str rest = str_c(list);
	while (rest.p)
		if (str_eq(str_split(&rest, '|'), w))
			return true;
	return false;
}

static const char *words_joined(struct arena *a, const char *list)
{
	struct buf b = {0};
	for (const char *p = list; *p; p++)
		if (*p == '|')
			buf_adds(&b, ", ");
		else
			buf_addc(&b, *p);
	const char *z = arena_strndup(a, b.p ? b.p : "", b.n);
	buf_free(&b);
	return z;
}

static const struct mod_arg *find_in(const struct mod_arg *args, struct str name)
{
	for (; args && args->name; args++)
		if (str_eqc(name, args->name) || (args->aliases && spec_choice(args->aliases, name)))
			return args;
	return NULL;
}

static struct val *convert(struct check *c, const struct mod_arg *arg, enum mod_type t, const struct val *v,
                           const char *name);

static struct val *bad_type(struct check *c, const struct val *v, const char *name, const char *type,
                            const char *why)
{
	check_bad(c, val_origin(v),
	          "argument '%s' is of type <class '%s'> and we were unable to convert to %s: %s", name,
	          val_type_name(v), type, why);
	return NULL;
}

static struct val *to_bool(struct check *c, const struct val *v, const char *name)
{
	static const char yes[] = "y|yes|on|1|true|t", no[] = "n|no|off|0|false|f";
	if (val_kind(v) == VAL_BOOL)
		return val_bool(val_get_bool(v));
	if (val_is_num(v) && (val_get_float(v) == 0 || val_get_float(v) == 1))
		return val_bool(val_get_float(v) == 1);
	if (val_is_str(v)) {
		struct str s = str_trim(val_get_str(v));
		char low[8] = {0};
		for (size_t i = 0; i < s.n && s.n < sizeof(low); i++)
			low[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
		if (spec_choice(yes, str_c(low)))
			return val_bool(true);
		if (*low && spec_choice(no, str_c(low)))
			return val_bool(false);
	}
	struct str text = val_text(v, c->a);
	return bad_type(
	        c, v, name, "bool",
	        arena_printf(c->a,
	                     "The value '%.*s' is not a valid boolean.  Valid booleans include: 0, 1, "
	                     "'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'",
	                     STR_FMT(text)));
}

static struct val *to_number(struct check *c, const struct val *v, const char *name, bool whole)
{
	int64_t i;
	if (val_kind(v) == VAL_INT)
		return whole ? val_int(c->a, val_get_int(v)) : val_float(c->a, val_get_float(v));
	if (val_kind(v) == VAL_BOOL)
		return whole ? val_int(c->a, val_get_bool(v)) : val_float(c->a, val_get_bool(v) ? 1 : 0);
	if (val_kind(v) == VAL_FLOAT && !whole)
		return val_float(c->a, val_get_float(v));
	if (val_kind(v) == VAL_FLOAT && val_get_float(v) == (double)(int64_t)val_get_float(v))
		return val_int(c->a, (int64_t)val_get_float(v));
	if (val_is_str(v)) {
		struct str s = str_trim(val_get_str(v));
		if (whole && str_int(s, &i))
			return val_int(c->a, i);
		char *z = arena_strndup(c->a, s.p ? s.p : "", s.n), *end;
		errno = 0;
		double d = strtod(z, &end);
		if (!whole && s.n && !*end && !errno)
			return val_float(c->a, d);
	}
	struct str text = val_text(v, c->a);
	return bad_type(c, v, name, whole ? "int" : "float",
	                arena_printf(c->a, "'%.*s' cannot be converted to %s", STR_FMT(text),
	                             whole ? "an int" : "a float"));
}

/* "k=v k2=v2" or "k=v,k2=v2", as Ansible takes for a dict written as text. */
static struct val *dict_from_words(struct check *c, struct str s)
{
	struct val *map = val_map(c->a);
	while (s.n) {
		size_t n = 0;
		while (n < s.n && s.p[n] != ' ' && s.p[n] != ',')
			n++;
		struct str word = str_trim(str_n(s.p, n));
		s = n < s.n ? str_n(s.p + n + 1, s.n - n - 1) : (struct str){0};
		if (!word.n)
			continue;
		struct str value = word, key = str_split(&value, '=');
		if (!value.p)
			return NULL;
		val_sets(map, str_dup(c->a, key), val_str(c->a, value));
	}
	return map;
}

static struct val *to_dict(struct check *c, const struct val *v, const char *name)
{
	if (val_is_map(v))
		return val_shallow(c->a, v);
	if (val_is_str(v)) {
		struct str s = str_trim(val_get_str(v));
		struct val *ret = NULL;
		struct err e = {0};
		if (str_starts(s, "{")) {
			if (json_parse(c->a, s, 0, &ret, &e) && val_is_map(ret))
				return ret;
			err_clear(&e);
		} else if (s.n && (ret = dict_from_words(c, s))) {
			return ret;
		}
	}
	return bad_type(c, v, name, "dict", "dictionary requested, could not parse JSON or key=value");
}

static struct val *sub_check(struct check *c, const struct mod_arg *sub, const struct val *v,
                             const char *name)
{
	struct val *ret = NULL;
	if (!spec_check(sub, name, v, c->templated, c->a, &ret, c->errs))
		c->ok = false;
	return ret;
}

static struct val *to_list(struct check *c, const struct mod_arg *arg, const struct val *v, const char *name)
{
	struct val *raw = val_list(c->a), *out = val_list(c->a);
	if (val_is_list(v)) {
		VAL_EACH (i, v)
			val_push(raw, val_at(v, i));
	} else if (val_is_str(v) && (arg->elem != MT_DICT)) {
		struct str rest = val_get_str(v);
		while (rest.p) {
			struct str word = str_split(&rest, ',');
			val_push(raw, val_at_origin(c->a, val_str(c->a, str_trim(word)), val_origin(v)));
		}
	} else if (val_is_num(v) || val_is_map(v) || val_kind(v) == VAL_BOOL) {
		val_push(raw, val_copy(c->a, v));
	} else {
		return bad_type(c, v, name, "list",
		                arena_printf(c->a, "%s cannot be converted to a list", val_type_name(v)));
	}
	VAL_EACH (i, raw) {
		const struct val *e = val_at(raw, i);
		if (!c->templated && is_template(e)) {
			val_push(out, val_copy(c->a, e));
			continue;
		}
		struct val *x = convert(c, arg, arg->elem, e, name);
		if (!x)
			return NULL;
		val_push(out, x);
	}
	return out;
}

static struct val *to_text(struct check *c, const struct val *v)
{
	if (val_is_str(v))
		return val_copy(c->a, v);
	struct val *s = val_str(c->a, val_text(v, c->a));
	return val_at_origin(c->a, val_secret_deep(v) ? val_mark_secret(c->a, s) : s, val_origin(v));
}

static struct val *to_json(struct check *c, const struct val *v)
{
	if (!val_is_map(v) && !val_is_list(v))
		return to_text(c, v);
	struct buf b = {0};
	json_dump(v, JSON_STYLE_PYTHON, &b);
	struct val *s = val_str(c->a, buf_str(&b));
	buf_free(&b);
	return val_secret_deep(v) ? val_mark_secret(c->a, s) : s;
}

static struct val *convert(struct check *c, const struct mod_arg *arg, enum mod_type t, const struct val *v,
                           const char *name)
{
	switch (t) {
	case MT_STR:
	case MT_PATH: return to_text(c, v);
	case MT_BOOL: return to_bool(c, v, name);
	case MT_INT: return to_number(c, v, name, true);
	case MT_FLOAT: return to_number(c, v, name, false);
	case MT_LIST: return to_list(c, arg, v, name);
	case MT_DICT: {
		struct val *d = to_dict(c, v, name);
		return d && arg->sub ? sub_check(c, arg->sub, d, name) : d;
	}
	case MT_JSONARG: return to_json(c, v);
	case MT_RAW: break;
	}
	return val_copy(c->a, v);
}

/* A YAML "no" for a choice 'no' has become false: it means the one false word among the choices. */
static const char *choice_for_bool(const char *choices, bool b)
{
	static const char *const words[2][6] = {{"no", "off", "false", "n", "f", "0"},
	                                        {"yes", "on", "true", "y", "t", "1"}};
	const char *found = NULL;
	for (size_t i = 0; i < 6; i++)
		if (spec_choice(choices, str_c(words[b][i]))) {
			if (found)
				return NULL;
			found = words[b][i];
		}
	return found;
}

static struct val *check_choice(struct check *c, const struct mod_arg *arg, struct val *v)
{
	if (val_is_list(v)) {
		VAL_EACH (i, v)
			val_set_at(v, i, check_choice(c, arg, val_at(v, i)));
		return v;
	}
	struct str s = val_text(v, c->a);
	if (spec_choice(arg->choices, s) || (!c->templated && is_template(v)))
		return v;
	if (str_eqc(s, "True") || str_eqc(s, "False")) {
		const char *w = choice_for_bool(arg->choices, s.p[0] == 'T');
		if (w)
			return val_strz(c->a, w);
	}
	check_bad(c, val_origin(v), "value of %s must be one of: %s, got: %.*s", arg->name,
	          words_joined(c->a, arg->choices), STR_FMT(s));
	return v;
}

static struct val *default_of(struct check *c, const struct mod_arg *arg)
{
	if (arg->type == MT_LIST && !*arg->dflt)
		return val_list(c->a);
	if (arg->type == MT_DICT)
		return val_map(c->a);
	return convert(c, arg, arg->type, val_strz(c->a, arg->dflt), arg->name);
}

static bool is_internal(struct str name, bool raw_params)
{
	return str_starts(name, "_ansible_") || (raw_params && str_eqc(name, "_raw_params"));
}

/* The rows of a module's own table, and those it shares. */
struct rows {
	const struct mod_arg *lists[2];
};

static const struct mod_arg *find_arg(const struct rows *spec, struct str name)
{
	const struct mod_arg *arg = find_in(spec->lists[0], name);
	return arg ? arg : find_in(spec->lists[1], name);
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The N names of LIST in order, as one text. */
static void put_names(struct buf *out, struct str *list, size_t n)
{
	if (n)
		qsort(list, n, sizeof(*list), by_name);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%.*s", i ? ", " : "", STR_FMT(list[i]));
}

/* What SPEC knows: the names, then in brackets their other names. */
static void put_known(struct check *c, const struct rows *spec, struct buf *out)
{
	struct str *names = NULL, *others = NULL;
	size_t n = 0, cap = 0, more = 0, room = 0;
	for (size_t i = 0; i < 2; i++)
		for (const struct mod_arg *p = spec->lists[i]; p && p->name; p++) {
			names = arena_grow(c->a, names, n, &cap, sizeof(*names));
			names[n++] = str_c(p->name);
			struct str rest = p->aliases ? str_c(p->aliases) : (struct str){0};
			while (rest.p) {
				others = arena_grow(c->a, others, more, &room, sizeof(*others));
				others[more++] = str_split(&rest, '|');
			}
		}
	put_names(out, names, n);
	if (!more)
		return;
	buf_adds(out, " (");
	put_names(out, others, more);
	buf_adds(out, ")");
}

static void check_unknown(struct check *c, const struct rows *spec, bool raw_params, const struct val *args)
{
	struct buf unknown = {0}, known = {0};
	struct str *names = NULL;
	size_t n = 0, cap = 0;
	struct suggest near = {0};
	struct origin at = val_origin(args);
	MAP_EACH (i, args) {
		const struct val *k = val_key_at(args, i), *v = val_value_at(args, i);
		struct str name = val_text(k, c->a);
		if (is_internal(name, raw_params) || find_arg(spec, name))
			continue;
		if (!n) {
			at = val_origin(k).src ? val_origin(k) : val_origin(v);
			near.name = name;
		}
		names = arena_grow(c->a, names, n, &cap, sizeof(*names));
		names[n++] = name;
	}
	put_names(&unknown, names, n);
	if (unknown.n)
		put_known(c, spec, &known);
	for (size_t i = 0; i < 2; i++)
		for (const struct mod_arg *p = spec->lists[i]; unknown.n && p && p->name; p++)
			if (p->name[0] != '_')
				suggest_offer(&near, p->name);
	if (unknown.n)
		check_bad(c, at,
		          "Unsupported parameters for (%s) module: %s. Supported parameters include: %s.",
		          c->what, unknown.p, known.n ? known.p : "none");
	if (unknown.n && near.best && c->errs)
		err_hint(&c->errs->v[c->errs->n - 1], "did you mean '%s'?", near.best);
	buf_free(&unknown);
	buf_free(&known);
}

/* Takes every member of ARGS that SPEC knows into OUT; names the unknown. */
static void take_args(struct check *c, const struct rows *spec, bool raw_params, bool any,
                      const struct val *args, struct val *out)
{
	if (!any)
		check_unknown(c, spec, raw_params, args);
	MAP_EACH (i, args) {
		const struct val *k = val_key_at(args, i), *v = val_value_at(args, i);
		struct str name = val_text(k, c->a);
		const struct mod_arg *arg = find_arg(spec, name);
		if (is_internal(name, raw_params) || (!arg && any)) {
			val_sets(out, name, val_copy(c->a, v));
			continue;
		}
		if (!arg || val_is_null(v) || val_is_undef(v))
			continue;
		struct val *x = val_copy(c->a, v);
		if (c->templated || !is_template(v)) {
			x = convert(c, arg, arg->type, v, arg->name);
			if (x && arg->choices)
				x = check_choice(c, arg, x);
		}
		if (x && (arg->flags & MA_NO_LOG))
			x = val_mark_secret(c->a, x);
		if (x)
			val_set(out, arg->name, val_at_origin(c->a, x, val_origin(v)));
	}
}

static void check_rows(struct check *c, const struct mod_arg *spec, const struct val *args, struct val *out,
                       struct buf *missing)
{
	for (const struct mod_arg *p = spec; p && p->name; p++) {
		if (val_get(out, p->name))
			continue;
		bool given = false; /* but broken or null: said elsewhere, or allowed */
		MAP_EACH (i, args)
			if (find_in(p, val_text(val_key_at(args, i), c->a)) == p)
				given = true;
		if ((p->flags & MA_REQUIRED) && !given)
			buf_printf(missing, "%s%s", missing->n ? ", " : "", p->name);
		else if (p->dflt)
			val_set(out, p->name, default_of(c, p));
	}
}

static void check_required(struct check *c, const struct rows *spec, const struct val *args, struct val *out)
{
	struct buf missing = {0};
	for (size_t i = 0; i < 2; i++)
		check_rows(c, spec->lists[i], args, out, &missing);
	if (missing.n)
		check_bad(c, val_origin(args), "missing required arguments: %s", missing.p);
	buf_free(&missing);
}

bool spec_check(const struct mod_arg *spec, const char *what, const struct val *args, bool templated,
                struct arena *a, struct val **ret, struct errs *errs)
{
	struct check c = {what, templated, a, errs, true};
	struct rows rows = {{spec}};
	struct val *out = val_map(a);
	take_args(&c, &rows, false, false, args, out);
	check_required(&c, &rows, args, out);
	*ret = out;
	return c.ok;
}

static size_t count_given(const struct val *out, const char *group)
{
	size_t n = 0;
	struct str rest = str_c(group);
	while (rest.p)
		n += val_gets(out, str_split(&rest, '|')) != NULL;
	return n;
}

/* Calls FN for each of the ';'-separated groups in LIST. */
static void each_group(struct check *c, const char *list, const struct val *out,
                       void (*fn)(struct check *, const char *, const struct val *))
{
	struct str rest = str_c(list);
	while (rest.p) {
		struct str g = str_split(&rest, ';');
		if (g.n)
			fn(c, arena_strndup(c->a, g.p, g.n), out);
	}
}

static void group_exclusive(struct check *c, const char *g, const struct val *out)
{
	if (count_given(out, g) > 1)
		check_bad(c, val_origin(out), "parameters are mutually exclusive: %s", g);
}

static void group_one_of(struct check *c, const char *g, const struct val *out)
{
	if (!count_given(out, g))
		check_bad(c, val_origin(out), "one of the following is required: %s", words_joined(c->a, g));
}

static void group_together(struct check *c, const char *g, const struct val *out)
{
	size_t n = count_given(out, g), all = 1;
	for (const char *p = g; *p; p++)
		all += *p == '|';
	if (n && n != all)
		check_bad(c, val_origin(out), "parameters are required together: %s", words_joined(c->a, g));
}

/* G is "state=present:src|dest"; with a leading '?' after the colon one of them is enough. */
static void group_if(struct check *c, const char *g, const struct val *out)
{
	struct str rest = str_c(g), key = str_split(&rest, '='), value = str_split(&rest, ':');
	struct val *v = val_gets(out, key);
	if (!v || !rest.p || !str_eq(val_text(v, c->a), value))
		return;
	bool any = rest.n && rest.p[0] == '?';
	struct str names = any ? str_n(rest.p + 1, rest.n - 1) : rest;
	const char *list = arena_strndup(c->a, names.p, names.n);
	struct buf missing = {0};
	while (names.p) {
		struct str w = str_split(&names, '|');
		if (!val_gets(out, w))
			buf_printf(&missing, "%s%.*s", missing.n ? ", " : "", STR_FMT(w));
	}
	if (missing.n && (!any || !count_given(out, list)))
		check_bad(c, val_origin(out), "%.*s is %.*s but %s of the following are missing: %s",
		          STR_FMT(key), STR_FMT(value), any ? "any" : "all", missing.p);
	buf_free(&missing);
}

bool module_check_args(const struct module *m, const struct val *args, bool templated, struct arena *a,
                       struct val **ret, struct errs *errs)
{
	struct check c = {m->name, templated, a, errs, true};
	struct val *out = val_at_origin(a, val_map(a), val_origin(args)), *given;
	struct rows rows = {{m->args, m->flags & MOD_FILE_ARGS ? file_args : m->shared}};
	take_args(&c, &rows, m->flags & MOD_RAW_PARAMS, m->flags & MOD_ANY_ARGS, args, out);
	given = val_at_origin(a, val_shallow(a, out), val_origin(args));
	if (m->mutually_exclusive)
		each_group(&c, m->mutually_exclusive, given, group_exclusive);
	check_required(&c, &rows, args, out);
	if (m->required_one_of)
		each_group(&c, m->required_one_of, given, group_one_of);
	if (m->required_together)
		each_group(&c, m->required_together, given, group_together);
	if (m->required_if)
		each_group(&c, m->required_if, out, group_if);
	*ret = out;
	return c.ok;
}
