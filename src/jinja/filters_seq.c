/* filters_seq - Jinja2's filters over lists and maps. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

#define ARG(c, i) val_at((c)->args, (i))

/* "a.b.0" of V, as the attribute= arguments have it. DFLT (may be NULL) replaces what is undefined. */
static struct val *attr_path(struct jinja_call *c, struct val *v, const struct val *path, struct val *dflt,
                             struct err *err)
{
	struct str s;

	if (!val_is_str(path))
		return ctx_getattr(c->ctx, c->a, v, val_int(c->a, val_get_int(path)), err);
	s = val_get_str(path);
	do {
		struct str part = str_split(&s, '.');
		int64_t i;
		struct val *key = str_int(part, &i) && i >= 0 ? val_int(c->a, i) : val_str(c->a, part);

		v = ctx_getattr(c->ctx, c->a, v, key, err);
		if (!v)
			return NULL;
		if (dflt && val_is_undef(v))
			v = dflt;
	} while (s.p);
	return v;
}

static bool is_path(const struct val *v)
{
	return v && (val_is_str(v) || val_kind(v) == VAL_INT);
}

/* Lower-cased text, anything else as it is: how sort, unique and groupby compare unless case_sensitive. */
static struct val *fold_case(struct jinja_call *c, struct val *v, bool sensitive)
{
	struct buf b = {0};

	if (sensitive || !val_is_str(v))
		return v;
	text_case(val_get_str(v), CASE_LOWER, &b);
	return buf_val(&b, c->a);
}

/* The key of each member: attribute PATH (with "," several of them) or the member, case folded. */
static struct val *keys_of(struct jinja_call *c, struct val *list, const struct val *path, bool sensitive,
                           struct val *dflt, struct err *err)
{
	struct val *keys = val_list(c->a);
	bool several = path && val_is_str(path) && memchr(val_get_str(path).p, ',', val_get_str(path).n);

	VAL_EACH (i, list) {
		struct val *v = val_at(list, i), *k = v;

		if (several) {
			struct str s = val_get_str(path);

			k = val_list(c->a);
			do {
				struct val *one =
				        attr_path(c, v, val_str(c->a, str_split(&s, ',')), dflt, err);

				if (!one)
					return NULL;
				val_push(k, fold_case(c, one, sensitive));
			} while (s.p);
		} else if (is_path(path)) {
			k = attr_path(c, v, path, dflt, err);
		}
		if (!k)
			return NULL;
		val_push(keys, fold_case(c, k, sensitive));
	}
	return keys;
}

static bool f_length(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1], *list;

	if (!jinja_args(c, "len", "obj", v, err))
		return false;
	if (val_is_str(v[0])) {
		*ret = val_int(c->a, (int64_t)utf8_len(val_get_str(v[0])));
		return true;
	}
	if (val_is_undef(v[0]) && !ctx_strict(c->ctx)) {
		*ret = val_int(c->a, 0);
		return true;
	}
	list = v[0];
	if (val_kind(list) == VAL_OBJ && val_obj_class(list)->keys)
		list = val_obj_class(list)->keys(val_obj_self(list), c->a);
	if (!val_is_list(list) && !val_is_map(list))
		return jinja_fail(err, "object of type '%s' has no len()", val_type_name(list));
	*ret = val_int(c->a, (int64_t)val_len(list));
	return true;
}

static bool f_first(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool last = *(const char *)c->user == 'l';
	struct val *v[1], *list;

	if (!jinja_args(c, last ? "last" : "first", "seq", v, err))
		return false;
	if (last && (val_is_num(v[0]) || val_is_null(v[0]) || val_kind(v[0]) == VAL_BOOL))
		return jinja_fail(err, "'%s' object is not reversible", val_type_name(v[0]));
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	*ret = val_at(list, last && val_len(list) ? val_len(list) - 1 : 0);
	if (!*ret)
		*ret = val_undef(c->a, STR(""),
		                 last ? "No last item, sequence was empty."
		                      : "No first item, sequence was empty.");
	return true;
}

static bool f_list(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1], *list;

	if (!jinja_args(c, "list", "value", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	*ret = val_list(c->a);
	VAL_EACH (i, list)
		val_push(*ret, val_at(list, i));
	return true;
}

/* Within {% autoescape %} one HTML among what is joined makes all of it HTML. */
static bool joins_markup(const struct val *list, const struct val *sep)
{
	if (sep && val_is_markup(sep))
		return true;
	VAL_EACH (i, list)
		if (val_is_markup(val_at(list, i)))
			return true;
	return false;
}

static bool f_join(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *list;
	struct str sep, s;
	struct buf b = {.max = JINJA_MAX_OUT};

	if (!jinja_args(c, "join", "value d= attribute=", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list || !arg_text(c, v[1] ? v[1] : val_str(c->a, STR("")), &sep, err))
		return false;
	bool html = c->ctx->autoescape && joins_markup(list, v[1]);
	if (html)
		sep = v[1] ? val_get_str(markup_escape(c->a, v[1])) : sep;
	VAL_EACH (i, list) {
		struct val *x = val_at(list, i);

		if (is_path(v[2]))
			x = attr_path(c, x, v[2], NULL, err);
		if (x && html)
			x = markup_escape(c->a, x);
		if (!x || !arg_text(c, x, &s, err)) {
			buf_free(&b);
			return false;
		}
		if (i)
			buf_addstr(&b, sep);
		buf_addstr(&b, s);
	}
	if (b.full) {
		buf_free(&b);
		return jinja_fail(err, "the text is larger than %zu bytes", JINJA_MAX_OUT);
	}
	*ret = html ? val_mark_markup(c->a, buf_val(&b, c->a)) : buf_val(&b, c->a);
	return true;
}

static bool has_no_order(const struct val *v)
{
	return val_is_map(v) || val_is_null(v);
}

/* Jinja2 sorts by lists of keys, where what is undefined equals what is undefined, and {} what is {}. */
static struct val *key_lists(struct jinja_call *c, struct val *keys)
{
	struct val *r = val_list(c->a);

	VAL_EACH (i, keys) {
		struct val *one = val_list(c->a);

		val_push(one, val_at(keys, i));
		val_push(r, one);
	}
	return r;
}

static bool f_sort(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4], *list, *keys;

	if (!jinja_args(c, "sort", "value reverse= case_sensitive= attribute=", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	keys = keys_of(c, list, v[3], arg_bool(v[2], false), NULL, err);
	if (!keys)
		return false;
	if ((!ctx_strict(c->ctx) && val_find(keys, val_is_undef, NULL)) || val_find(keys, has_no_order, NULL))
		keys = key_lists(c, keys);
	*ret = val_list(c->a);
	VAL_EACH (i, list)
		val_push(*ret, val_at(list, i));
	return val_sort(c->a, *ret, keys, arg_bool(v[1], false), err);
}

static bool f_dictsort(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4], *keys = val_list(c->a);
	struct str by;
	bool sensitive;

	if (!jinja_args(c, "dictsort", "value case_sensitive= by= reverse=", v, err) ||
	    !arg_str(c, v[2], STR("key"), &by, err))
		return false;
	sensitive = arg_bool(v[1], false);
	if (val_is_undef(v[0]))
		return jinja_fail(err, "%s", val_undef_msg(v[0]));
	if (!val_is_map(v[0]))
		return jinja_fail(err, "'%s' object has no attribute 'items'", val_type_name(v[0]));
	if (!str_eqc(by, "key") && !str_eqc(by, "value"))
		return jinja_fail(err, "You can only sort by either \"key\" or \"value\"");
	*ret = val_list(c->a);
	MAP_EACH (i, v[0]) {
		struct val *t = val_tuple(c->a);

		val_push(t, val_key_at(v[0], i));
		val_push(t, val_value_at(v[0], i));
		val_push(*ret, t);
		val_push(keys, fold_case(c, val_at(t, by.p[0] == 'k' ? 0 : 1), sensitive));
	}
	return val_sort(c->a, *ret, keys, arg_bool(v[3], false), err);
}

static bool f_unique(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *list, *keys, *seen = val_map(c->a), *odd = val_list(c->a);

	if (!jinja_args(c, "unique", "value case_sensitive= attribute=", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	keys = keys_of(c, list, v[2], arg_bool(v[1], false), NULL, err);
	if (!keys)
		return false;
	*ret = val_list(c->a);
	VAL_EACH (i, list) {
		struct val *k = val_at(keys, i);
		bool had = false;

		if (val_is_undef(k) && v[2] && ctx_strict(c->ctx))
			return jinja_fail(err, "%s", val_undef_msg(k));
		if (val_hashable(k)) {
			had = val_getk(seen, k);
			if (!had)
				val_setk(seen, k, val_null());
		} else if (!val_is_undef(k) && !ctx_strict(c->ctx)) {
			return jinja_fail(err, "unhashable type: '%s'", val_type_name(k));
		} else {
			VAL_EACH (j, odd)
				had = had || val_equal(val_at(odd, j), k);
			if (!had)
				val_push(odd, k);
		}
		if (!had)
			val_push(*ret, val_at(list, i));
	}
	return true;
}

static bool f_minmax(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool max = *(const char *)c->user == 'x';
	struct val *v[3], *list, *keys;
	size_t best = 0;

	if (!jinja_args(c, max ? "max" : "min", "value case_sensitive= attribute=", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	if (!val_len(list)) {
		*ret = val_undef(c->a, STR(""), "No aggregated item, sequence was empty.");
		return true;
	}
	keys = keys_of(c, list, v[2], arg_bool(v[1], false), NULL, err);
	if (!keys)
		return false;
	for (size_t i = 1; i < val_len(list); i++) {
		bool better;

		if (!py_compare(max ? CMP_GT : CMP_LT, val_at(keys, i), val_at(keys, best), true, &better,
		                err))
			return false;
		if (better)
			best = i;
	}
	*ret = val_at(list, best);
	return true;
}

static bool f_sum(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *list;

	if (!jinja_args(c, "sum", "iterable attribute= start=", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	*ret = v[2] ? v[2] : val_int(c->a, 0);
	if (val_is_str(*ret))
		return jinja_fail(err, "sum() can't sum strings [use ''.join(seq) instead]");
	VAL_EACH (i, list) {
		struct val *x = val_at(list, i);

		if (is_path(v[1]))
			x = attr_path(c, x, v[1], NULL, err);
		if (!x || !py_binary(c->a, T_ADD, *ret, x, ret, err))
			return false;
	}
	return true;
}

static bool f_reverse(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1], *list;
	struct buf b = {0};

	if (!jinja_args(c, "reverse", "value", v, err))
		return false;
	if (val_is_num(v[0]) || val_is_null(v[0]) || val_kind(v[0]) == VAL_BOOL)
		return jinja_fail(err, "argument must be iterable");
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	if (val_is_str(v[0])) {
		for (size_t i = val_len(list); i-- > 0;)
			buf_addstr(&b, val_get_str(val_at(list, i)));
		*ret = buf_val(&b, c->a);
		return true;
	}
	*ret = val_list(c->a);
	for (size_t i = val_len(list); i-- > 0;)
		val_push(*ret, val_at(list, i));
	return true;
}

static bool f_batch(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *list, *row = NULL;
	int64_t n;

	if (!jinja_args(c, "batch", "value linecount fill_with=", v, err) || !arg_int(v[1], 0, &n, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	*ret = val_list(c->a);
	VAL_EACH (i, list) {
		if (!row || (int64_t)val_len(row) == n) {
			row = val_list(c->a);
			val_push(*ret, row);
		}
		val_push(row, val_at(list, i));
	}
	if (n > JINJA_MAX_ITEMS)
		return jinja_fail(err, "batch() of %lld is too large", (long long)n);
	while (row && v[2] && !val_is_null(v[2]) && (int64_t)val_len(row) < n)
		val_push(row, v[2]);
	return true;
}

static bool f_slice(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *list;
	int64_t n;
	size_t per, extra, at = 0;

	if (!jinja_args(c, "slice", "value slices fill_with=", v, err) || !arg_int(v[1], 0, &n, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	if (n < 1 || n > JINJA_MAX_ITEMS)
		return jinja_fail(err, "integer division or modulo by zero");
	per = val_len(list) / (size_t)n;
	extra = val_len(list) % (size_t)n;
	*ret = val_list(c->a);
	for (size_t i = 0; i < (size_t)n; i++) {
		struct val *row = val_list(c->a);
		size_t count = per + (i < extra);

		for (size_t j = 0; j < count; j++)
			val_push(row, val_at(list, at++));
		if (v[2] && !val_is_null(v[2]) && i >= extra)
			val_push(row, v[2]);
		val_push(*ret, row);
	}
	return true;
}

/* groupby gives pairs that also answer to .grouper and .list. */
static bool group_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                      struct err *err)
{
	struct val *pair = self;

	(void)ctx;
	(void)err;
	if (val_kind(key) == VAL_INT)
		*ret = py_index(a, pair, val_get_int(key));
	else if (val_is_str(key) && str_eqc(val_get_str(key), "grouper"))
		*ret = val_at(pair, 0);
	else if (val_is_str(key) && str_eqc(val_get_str(key), "list"))
		*ret = val_at(pair, 1);
	return true;
}

static struct val *group_keys(void *self, struct arena *a)
{
	(void)a;
	return self;
}

static void group_repr(void *self, struct buf *out)
{
	val_repr(self, out);
}

static const struct val_class group_class = {
        .name = "_GroupTuple",
        .get = group_get,
        .keys = group_keys,
        .repr = group_repr,
        .plain = group_keys,
};

static bool f_groupby(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4], *list, *keys, *plain, *order, *names, *pair = NULL;

	if (!jinja_args(c, "groupby", "value attribute default= case_sensitive=", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	keys = keys_of(c, list, v[1], arg_bool(v[3], false), v[2], err);
	names = keys ? keys_of(c, list, v[1], true, v[2], err) : NULL;
	if (!names)
		return false;
	order = val_list(c->a);
	VAL_EACH (i, list)
		val_push(order, val_int(c->a, (int64_t)i));
	if (!val_sort(c->a, order, keys, false, err))
		return false;
	*ret = val_list(c->a);
	plain = NULL;
	VAL_EACH (i, order) {
		size_t at = (size_t)val_get_int(val_at(order, i));

		if (!plain || !val_equal(plain, val_at(keys, at))) {
			plain = val_at(keys, at);
			pair = val_tuple(c->a);
			val_push(pair, val_at(names, at));
			val_push(pair, val_list(c->a));
			val_push(*ret, val_obj(c->a, &group_class, pair));
		}
		val_push(val_at(pair, 1), val_at(list, at));
	}
	return true;
}

/* The positional arguments from FROM on, after FIRST. */
static struct val *args_from(struct jinja_call *c, struct val *first, size_t from)
{
	struct val *args = val_list(c->a);

	val_push(args, first);
	for (size_t i = from; i < val_len(c->args); i++)
		val_push(args, ARG(c, i));
	return args;
}

/* What map, select and their like walk over: nothing where Python sees nothing, be it a list or not. */
static struct val *truthy_items(struct jinja_call *c, struct err *err)
{
	struct val *v = ARG(c, 0);

	if (v && !val_is_undef(v) && !val_truthy(v))
		return val_list(c->a);
	return v ? arg_iter(c, v, err) : NULL;
}

static bool f_map(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *list = truthy_items(c, err), *attr = val_get(c->kwargs, "attribute");
	struct val *dflt = val_get(c->kwargs, "default");

	if (!list)
		return false;
	*ret = val_list(c->a);
	if (val_len(c->args) == 1 && !attr)
		return jinja_fail(err, "map requires a filter argument");
	if (val_len(c->args) == 1 && val_len(c->kwargs) > (dflt ? 2u : 1u))
		return jinja_fail(err, "Unexpected keyword argument '%s'",
		                  val_get_strz(val_key_at(c->kwargs, val_len(c->kwargs) - 1)));
	VAL_EACH (i, list) {
		struct val *x = val_at(list, i);

		if (val_len(c->args) == 1) {
			x = attr_path(c, x, attr, dflt, err);
			if (!x)
				return false;
		} else if (!val_is_str(ARG(c, 1))) {
			return jinja_fail(err, "map: the name of a filter is expected, not %s",
			                  val_type_name(ARG(c, 1)));
		} else if (!ctx_call_named(c->ctx, c->a, 'f', val_get_str(ARG(c, 1)), args_from(c, x, 2),
		                           c->kwargs, &x, err)) {
			return false;
		}
		val_push(*ret, x);
	}
	return true;
}

/* select, reject ("sr": which), selectattr, rejectattr (user[1] 'a') */
static bool f_select(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *how = c->user;
	bool by_attr = how[1] == 'a', want = how[0] == 's';
	size_t first = by_attr ? 2 : 1;
	struct val *list = truthy_items(c, err), *name = ARG(c, first);

	if (!list)
		return false;
	if (by_attr && !is_path(ARG(c, 1)))
		return jinja_fail(err, "Missing parameter for attribute name");
	if (name && !val_is_str(name))
		return jinja_fail(err, "the name of a test is expected, not %s", val_type_name(name));
	*ret = val_list(c->a);
	VAL_EACH (i, list) {
		struct val *x = val_at(list, i), *yes;

		if (by_attr) {
			x = attr_path(c, x, ARG(c, 1), NULL, err);
			if (!x)
				return false;
		}
		yes = x;
		if (name && !ctx_call_named(c->ctx, c->a, 't', val_get_str(name), args_from(c, x, first + 1),
		                            c->kwargs, &yes, err))
			return false;
		if (!name && val_is_undef(x) && ctx_strict(c->ctx))
			return jinja_fail(err, "%s", val_undef_msg(x));
		if (val_truthy(yes) == want)
			val_push(*ret, val_at(list, i));
	}
	return true;
}

static bool f_items(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	if (!jinja_args(c, "items", "value", v, err))
		return false;
	*ret = val_list(c->a);
	if (val_is_undef(v[0]))
		return true;
	if (!val_is_map(v[0]))
		return jinja_fail(err, "Can only get item pairs from a mapping.");
	MAP_EACH (i, v[0]) {
		struct val *t = val_tuple(c->a);

		val_push(t, val_key_at(v[0], i));
		val_push(t, val_value_at(v[0], i));
		val_push(*ret, t);
	}
	return true;
}

static bool f_attr(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	const struct jinja_func *m;
	struct str name;

	if (!jinja_args(c, "attr", "obj name", v, err) || !arg_text(c, v[1], &name, err))
		return false;
	/* Attributes only: the members of a map are not among them. */
	m = py_method(v[0], name);
	if (m)
		*ret = jinja_function(c->a, m, v[0]);
	else if (val_is_map(v[0]))
		*ret = val_undef(c->a, name,
		                 arena_printf(c->a, "'dict object' has no attribute '%.*s'", STR_FMT(name)));
	else
		*ret = ctx_getattr(c->ctx, c->a, v[0], val_str(c->a, name), err);
	return *ret;
}

#define U JINJA_ALLOW_UNDEF

const struct jinja_func jinja_filters_seq[] = {
        {"attr", f_attr, "An attribute of an object, by name.", 0, NULL},
        {"batch", f_batch, "Rows of a given number of items.", 0, NULL},
        {"count", f_length, "Number of items, or of characters.", 0, NULL},
        {"dictsort", f_dictsort, "A map as a list of pairs, sorted by key or value.", 0, NULL},
        {"first", f_first, "The first item.", 0, "f"},
        {"groupby", f_groupby, "Items grouped by an attribute: (grouper, list) pairs, sorted.", 0, NULL},
        {"items", f_items, "A map as a list of (key, value).", U, NULL},
        {"join", f_join, "The items' texts with a separator between them.", 0, NULL},
        {"last", f_first, "The last item.", 0, "l"},
        {"length", f_length, "Number of items, or of characters.", 0, NULL},
        {"list", f_list, "A list of the items (of a map: the keys; of a string: the characters).", 0, NULL},
        {"map", f_map, "A filter applied to each item, or one attribute of each.", 0, NULL},
        {"max", f_minmax, "The largest item.", 0, "x"},
        {"min", f_minmax, "The smallest item.", 0, "n"},
        {"reject", f_select, "The items a test does not hold for.", 0, "r"},
        {"rejectattr", f_select, "The items whose attribute a test does not hold for.", 0, "ra"},
        {"reverse", f_reverse, "The items, or characters, last first.", JINJA_MARKUP, NULL},
        {"select", f_select, "The items a test holds for.", 0, "s"},
        {"selectattr", f_select, "The items whose attribute a test holds for.", 0, "sa"},
        {"slice", f_slice, "A given number of columns of items.", 0, NULL},
        {"sort", f_sort, "The items in order; reverse, case_sensitive, attribute.", 0, NULL},
        {"sum", f_sum, "The sum of the items, or of an attribute of each.", 0, NULL},
        {"unique", f_unique, "The items without repetitions.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
