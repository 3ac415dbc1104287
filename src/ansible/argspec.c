/* A role's arguments against its argument_specs: Ansible's checks, in its order and its words. */
#include "ansible/actions.h"
#include "ansible/core.h"
#include "ansible/task.h"
#include "modules/spec.h"

/* One level of options being checked. */
struct level {
	struct arena *a;
	struct val *errors;    /* texts */
	struct val *strangers; /* options nobody knows, "a.b" */
	struct val *known;     /* what is known beside them, a set */
	const char *where;     /* "" or "opts -> sub" */
};

static void complain(struct level *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct level *l, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	val_push(l->errors, val_strz(l->a, arena_vprintf(l->a, fmt, ap)));
	va_end(ap);
}

/* " found in opts", or nothing at the top. */
static const char *found_in(const struct level *l)
{
	return *l->where ? arena_printf(l->a, " found in %s", l->where) : "";
}

static const char *joined(struct arena *a, const struct val *list, const char *between)
{
	struct buf b = {0};
	for (size_t i = 0; list && val_is_list(list) && i < val_len(list); i++) {
		if (i)
			buf_adds(&b, between);
		val_print(val_at(list, i), &b);
	}
	const char *z = buf_take(&b, a).p;
	buf_free(&b);
	return z ? z : "";
}

/* The elements of V, or V itself where it is no list: groups of names are written both ways. */
static const struct val *groups_of(struct arena *a, const struct val *v)
{
	if (!v || !val_is_list(v) || !val_len(v) || val_is_list(val_at(v, 0)))
		return v && val_is_list(v) ? v : NULL;
	struct val *one = val_list(a);
	val_push(one, (struct val *)v);
	return one;
}

static bool has(const struct val *args, const struct val *name)
{
	return val_getk(args, name) != NULL;
}

static size_t count(const struct val *group, const struct val *args)
{
	size_t n = 0;
	VAL_EACH (i, group)
		n += has(args, val_at(group, i));
	return n;
}

/* ---- types -------------------------------------------------------------------------------------------- */

static enum mod_type type_of(const char *name)
{
	static const struct {
		const char *name;
		enum mod_type type;
	} rows[] = {{"str", MT_STR},      {"path", MT_PATH},      {"bool", MT_BOOL}, {"int", MT_INT},
	            {"float", MT_FLOAT},  {"list", MT_LIST},      {"dict", MT_DICT}, {"raw", MT_RAW},
	            {"json", MT_JSONARG}, {"jsonarg", MT_JSONARG}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (strcmp(name, rows[i].name) == 0)
			return rows[i].type;
	return MT_STR;
}

static const char *reason(struct arena *a, const char *type, const struct val *v)
{
	const char *class = arena_printf(a, "<class '%s'>", val_type_name(v));
	struct buf b = {0};
	switch (type_of(type)) {
	case MT_INT:
		val_repr(v, &b);
		class = arena_printf(a, "\"%.*s\" cannot be converted to an int", STR_FMT(buf_str(&b)));
		buf_free(&b);
		return class;
	case MT_FLOAT: return arena_printf(a, "%s cannot be converted to a float", class);
	case MT_LIST: return arena_printf(a, "%s cannot be converted to a list", class);
	case MT_BOOL:
		return arena_printf(a,
		                    "The value '%.*s' is not a valid boolean.  Valid booleans include: 0, 1, "
		                    "'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'",
		                    STR_FMT(val_text(v, a)));
	case MT_DICT:
		return val_is_str(v) ? "dictionary requested, could not parse JSON or key=value"
		                     : arena_printf(a, "%s cannot be converted to a dict", class);
	default: return arena_printf(a, "%s cannot be converted to %s", class, type);
	}
}

/* *V as TYPE; false: it is none. */
static bool convert(struct arena *a, const char *type, struct val **v)
{
	const struct mod_arg spec[] = {{.name = "v", .type = (uint8_t)type_of(type), .elem = MT_RAW}, {0}};
	struct val *args = val_map(a), *out;
	struct errs errs = {0};
	if (type_of(type) == MT_LIST && val_is_map(*v))
		return false;
	val_set(args, "v", *v);
	bool ok = spec_check(spec, "", args, true, a, &out, &errs);
	errs_clear(&errs);
	if (ok && val_get(out, "v"))
		*v = val_get(out, "v");
	return ok;
}

static struct val *elements(struct level *l, const char *name, const char *type, struct val *list)
{
	struct val *out = val_list(l->a);
	VAL_EACH (i, list) {
		struct val *one = val_at(list, i);
		if (!convert(l->a, type, &one))
			complain(l,
			         "Elements value for option '%s'%s is of type <class '%s'> and we were "
			         "unable to "
			         "convert to %s: %s",
			         name, *l->where ? arena_printf(l->a, " found in '%s'", l->where) : "",
			         val_type_name(one), type, reason(l->a, type, one));
		val_push(out, one);
	}
	return out;
}

static void types(struct level *l, const struct val *options, struct val *args)
{
	MAP_EACH (i, options) {
		const struct val *o = val_value_at(options, i), *key = val_key_at(options, i);
		struct val *v = val_getk(args, key);
		const char *type = val_map_strz(o, "type", "str"), *name = val_text(key, l->a).p;
		if (!v || (val_is_null(v) && !val_map_bool(o, "required", false)))
			continue;
		if (!convert(l->a, type, &v)) {
			complain(l,
			         "argument '%s' is of type <class '%s'>%s and we were unable to convert to "
			         "%s: %s",
			         name, val_type_name(v),
			         *l->where ? arena_printf(l->a, " found in '%s'.", l->where) : "", type,
			         reason(l->a, type, v));
			continue;
		}
		if (val_is_list(v) && val_get(o, "elements"))
			v = elements(l, name, val_map_strz(o, "elements", "str"), v);
		val_setk(args, (struct val *)key, v);
	}
}

static bool among(const struct val *choices, const struct val *v)
{
	VAL_EACH (i, choices)
		if (val_equal(val_at(choices, i), v))
			return true;
	return false;
}

static void values(struct level *l, const struct val *options, const struct val *args)
{
	MAP_EACH (i, options) {
		const struct val *o = val_value_at(options, i), *key = val_key_at(options, i);
		const struct val *choices = val_is_map(o) ? val_get(o, "choices") : NULL;
		const struct val *v = val_getk(args, key);
		const char *name = val_text(key, l->a).p;
		if (!choices || !val_is_list(choices) || !v)
			continue;
		struct val *wrong = val_list(l->a);
		for (size_t k = 0; val_is_list(v) && k < val_len(v); k++)
			if (!among(choices, val_at(v, k)))
				val_push(wrong, val_at(v, k));
		if (val_len(wrong))
			complain(l, "value of %s must be one or more of: %s. Got no match for: %s%s", name,
			         joined(l->a, choices, ", "), joined(l->a, wrong, ", "), found_in(l));
		else if (!val_is_list(v) && !among(choices, v))
			complain(l, "value of %s must be one of: %s, got: %.*s%s", name,
			         joined(l->a, choices, ", "), STR_FMT(val_text(v, l->a)), found_in(l));
	}
}

/* ---- what goes together: of each kind the first that is broken is told ------------------------------- */

static void mutually_exclusive(struct level *l, const struct val *spec, const struct val *args)
{
	const struct val *groups = groups_of(l->a, val_get(spec, "mutually_exclusive"));
	struct buf b = {0};
	for (size_t i = 0; groups && i < val_len(groups); i++) {
		if (count(val_at(groups, i), args) < 2)
			continue;
		buf_printf(&b, "%s%s", b.n ? ", " : "", joined(l->a, val_at(groups, i), "|"));
	}
	if (b.n)
		complain(l, "parameters are mutually exclusive: %.*s%s", STR_FMT(buf_str(&b)), found_in(l));
	buf_free(&b);
}

static void required(struct level *l, const struct val *options, const struct val *args)
{
	struct val *missing = val_list(l->a);
	MAP_EACH (i, options)
		if (val_is_map(val_value_at(options, i)) &&
		    val_map_bool(val_value_at(options, i), "required", false) &&
		    !has(args, val_key_at(options, i))) {
			size_t at = 0;
			while (at < val_len(missing) && str_cmp(val_text(val_at(missing, at), l->a),
			                                        val_text(val_key_at(options, i), l->a)) < 0)
				at++;
			val_insert(missing, at, val_key_at(options, i));
		}
	if (val_len(missing))
		complain(l, "missing required arguments: %s%s", joined(l->a, missing, ", "), found_in(l));
}

static void required_groups(struct level *l, const struct val *spec, const struct val *args)
{
	const struct val *together = groups_of(l->a, val_get(spec, "required_together")),
	                 *one_of = groups_of(l->a, val_get(spec, "required_one_of"));
	for (size_t i = 0; together && i < val_len(together); i++) {
		const struct val *g = val_at(together, i);
		size_t n = count(g, args);
		if (!n || n == val_len(g))
			continue;
		complain(l, "parameters are required together: %s%s", joined(l->a, g, ", "), found_in(l));
		break;
	}
	for (size_t i = 0; one_of && i < val_len(one_of); i++) {
		if (count(val_at(one_of, i), args))
			continue;
		complain(l, "one of the following is required: %s%s", joined(l->a, val_at(one_of, i), ", "),
		         found_in(l));
		break;
	}
}

static void required_if(struct level *l, const struct val *spec, const struct val *args)
{
	const struct val *rules = groups_of(l->a, val_get(spec, "required_if"));
	for (size_t i = 0; rules && i < val_len(rules); i++) {
		const struct val *r = val_at(rules, i);
		const struct val *v = val_len(r) > 2 ? val_getk(args, val_at(r, 0)) : NULL;
		if (!v || !val_equal(v, val_at(r, 1)) || !val_is_list(val_at(r, 2)))
			continue;
		bool any = val_len(r) > 3 && val_truthy(val_at(r, 3));
		struct val *missing = val_list(l->a);
		VAL_EACH (k, val_at(r, 2))
			if (!has(args, val_at(val_at(r, 2), k)))
				val_push(missing, val_at(val_at(r, 2), k));
		if (any ? val_len(missing) < val_len(val_at(r, 2)) : !val_len(missing))
			continue;
		complain(l, "%.*s is %.*s but %s of the following are missing: %s%s",
		         STR_FMT(val_text(val_at(r, 0), l->a)), STR_FMT(val_text(val_at(r, 1), l->a)),
		         any ? "any" : "all", joined(l->a, missing, ", "), found_in(l));
		return;
	}
}

static void required_by(struct level *l, const struct val *spec, const struct val *args)
{
	const struct val *by = val_get(spec, "required_by");
	for (size_t i = 0; by && val_is_map(by) && i < val_len(by); i++) {
		const struct val *needs = val_value_at(by, i);
		struct val *missing = val_list(l->a);
		if (!has(args, val_key_at(by, i)))
			continue;
		for (size_t k = 0; val_is_list(needs) && k < val_len(needs); k++)
			if (!has(args, val_at(needs, k)))
				val_push(missing, val_at(needs, k));
		if (val_is_str(needs) && !has(args, needs))
			val_push(missing, (struct val *)needs);
		if (!val_len(missing))
			continue;
		complain(l, "missing parameter(s) required by '%.*s': %s%s",
		         STR_FMT(val_text(val_key_at(by, i), l->a)), joined(l->a, missing, ", "),
		         found_in(l));
		return;
	}
}

/* ---- levels ------------------------------------------------------------------------------------------- */

/* An alias stands for its option. */
static void aliases(const struct val *options, struct val *args)
{
	MAP_EACH (i, options) {
		const struct val *o = val_value_at(options, i);
		const struct val *al = val_is_map(o) ? val_get(o, "aliases") : NULL;
		for (size_t k = 0; al && val_is_list(al) && k < val_len(al); k++) {
			struct val *v = val_getk(args, val_at(al, k));
			if (!v)
				continue;
			val_setk(args, val_key_at(options, i), v);
			val_delk(args, val_at(al, k));
		}
	}
}

static void strangers(struct level *l, const struct val *options, const struct val *args)
{
	bool any = false;
	MAP_EACH (i, args) {
		if (val_getk(options, val_key_at(args, i)))
			continue;
		struct buf b = {0};
		for (const char *p = l->where; *p; p++)
			*p == ' ' || *p == '>' ? (void)0 : buf_addc(&b, *p == '-' ? '.' : *p);
		buf_printf(&b, "%s%.*s", b.n ? "." : "", STR_FMT(val_text(val_key_at(args, i), l->a)));
		val_push(l->strangers, val_str(l->a, buf_str(&b)));
		buf_free(&b);
		any = true;
	}
	for (size_t i = 0; any && i < val_len(options); i++) {
		const struct val *o = val_value_at(options, i),
		                 *al = val_is_map(o) ? val_get(o, "aliases") : NULL;
		struct str name = val_text(val_key_at(options, i), l->a);
		if (al && val_is_list(al) && val_len(al))
			name = str_c(arena_printf(l->a, "%.*s (%s)", STR_FMT(name), joined(l->a, al, ", ")));
		val_sets(l->known, name, val_null());
	}
}

static void check(struct level *l, const struct val *options, const struct val *constraints,
                  struct val *args);

static void below(struct level *l, const struct val *options, const struct val *args)
{
	MAP_EACH (i, options) {
		const struct val *o = val_value_at(options, i), *key = val_key_at(options, i);
		const char *type = val_map_strz(o, "type", "str"), *name = val_text(key, l->a).p;
		const struct val *sub = val_is_map(o) ? val_get(o, "options") : NULL;
		struct val *v = val_getk(args, key);
		bool list = strcmp(type, "list") == 0 && strcmp(val_map_strz(o, "elements", ""), "dict") == 0;
		if (!sub || !val_is_map(sub) || !v || val_is_null(v) || (!list && strcmp(type, "dict") != 0))
			continue;
		struct level in = *l;
		in.where = *l->where ? arena_printf(l->a, "%s -> %s", l->where, name) : name;
		size_t n = val_is_list(v) ? val_len(v) : 1;
		for (size_t k = 0; k < n; k++) {
			const struct val *one = val_is_list(v) ? val_at(v, k) : v;
			if (val_is_map(one))
				check(&in, sub, o, val_shallow(l->a, one));
			else
				complain(&in, "value of '%s' must be of type dict or list of dicts", name);
		}
	}
}

/* ARGS, which become converted, against OPTIONS and what CONSTRAINTS says of them together. */
static void check(struct level *l, const struct val *options, const struct val *constraints, struct val *args)
{
	aliases(options, args);
	mutually_exclusive(l, constraints, args);
	strangers(l, options, args);
	required(l, options, args);
	types(l, options, args);
	values(l, options, args);
	required_groups(l, constraints, args);
	required_if(l, constraints, args);
	required_by(l, constraints, args);
	below(l, options, args);
}

static void sort_texts(struct arena *a, struct val *list)
{
	for (size_t i = 1; i < val_len(list); i++)
		for (size_t k = i;
		     k && str_cmp(val_text(val_at(list, k), a), val_text(val_at(list, k - 1), a)) < 0; k--) {
			struct val *v = val_at(list, k);
			val_set_at(list, k, val_at(list, k - 1));
			val_set_at(list, k - 1, v);
		}
}

/* The texts of what is wrong. */
static struct val *validate(struct arena *a, const struct val *options, struct val *args)
{
	struct level l = {a, val_list(a), val_list(a), val_map(a), ""};
	check(&l, options, val_map(a), args);
	if (val_len(l.strangers)) {
		struct val *known = val_list(a);
		MAP_EACH (i, l.known)
			val_push(known, val_key_at(l.known, i));
		sort_texts(a, known);
		sort_texts(a, l.strangers);
		complain(&l, "%s. Supported parameters include: %s.", joined(a, l.strangers, ", "),
		         joined(a, known, ", "));
	}
	return l.errors;
}

bool act_validate(struct item_run *r, struct err *err)
{
	struct val *options = val_get(r->args, "argument_spec"),
	           *given = val_get(r->args, "provided_arguments");
	struct val *args = val_map(r->a), *ctx = val_get(r->args, "validate_args_context");
	if (!options || !val_is_map(options))
		return err_set(err, ERR_USER, r->t->task->n.at, "\"argument_spec\" arg is required in args");
	MAP_EACH (i, options) {
		struct val *v;
		struct str name = val_text(val_key_at(options, i), r->a);
		if (!scope_raw(&r->s, name))
			continue;
		if (!scope_var(&r->s, name, &v, err))
			return false;
		if (v && !val_is_omit(r->t->e, v))
			val_sets(args, name, v);
	}
	for (size_t i = 0; given && val_is_map(given) && i < val_len(given); i++)
		val_setk(args, val_key_at(given, i), val_value_at(given, i));
	struct val *errors = validate(r->a, options, args);
	r->result = act_result(r, false);
	val_set(r->result, "validate_args_context", ctx ? ctx : val_map(r->a));
	if (!val_len(errors)) {
		val_set(r->result, "msg", val_strz(r->a, "The arg spec validation passed"));
		return true;
	}
	val_set(r->result, "failed", val_bool(true));
	val_set(r->result, "msg",
	        val_strf(r->a, "Validation of arguments failed:\n%s", joined(r->a, errors, "\n")));
	val_set(r->result, "argument_spec_data", options);
	val_set(r->result, "argument_errors", errors);
	return true;
}
