/* filters_data - Ansible's filters that reshape maps and lists. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

static const char *repr_of(struct jinja_call *c, const struct val *v)
{
	struct buf b = {.max = 400};
	const char *s;

	val_repr(v, &b);
	s = buf_take(&b, c->a).p;
	buf_free(&b);
	return s;
}

static bool f_bool(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	if (!jinja_args(c, "bool", "a", v, err))
		return false;
	*ret = val_is_null(v[0]) || val_kind(v[0]) == VAL_BOOL ? v[0] : val_bool(val_to_bool(v[0]));
	return true;
}

static bool f_ternary(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4];

	if (!jinja_args(c, "ternary", "value true_val false_val none_val=", v, err))
		return false;
	if (val_is_undef(v[0]))
		return jinja_fail(err, "%s", val_undef_msg(v[0]));
	if (val_is_null(v[0]) && v[3] && !val_is_null(v[3]))
		*ret = v[3];
	else
		*ret = val_truthy(v[0]) ? v[1] : v[2];
	return true;
}

static bool f_mandatory(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str name;

	if (!jinja_args(c, "mandatory", "a msg=", v, err))
		return false;
	*ret = v[0];
	if (!val_is_undef(v[0]))
		return true;
	if (v[1] && !val_is_null(v[1]))
		return jinja_fail(err, "%s", val_text(v[1], c->a).p);
	name = val_undef_name(v[0]);
	if (!name.n)
		return jinja_fail(err, "Mandatory variable not defined.");
	return jinja_fail(err, "Mandatory variable '%.*s' not defined.", STR_FMT(name));
}

static bool f_type_debug(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	if (!jinja_args(c, "type_debug", "obj", v, err))
		return false;
	*ret = val_strz(c->a, val_is_undef(v[0]) ? "AnsibleUndefined" : val_type_name(v[0]));
	return true;
}

/* ---- combine */

enum list_merge { LM_REPLACE, LM_KEEP, LM_APPEND, LM_PREPEND, LM_APPEND_RP, LM_PREPEND_RP, LM_N };

static struct val *lists_merged(struct arena *a, struct val *low, struct val *high, enum list_merge how)
{
	struct val *r = val_list(a);
	bool first_high = how == LM_PREPEND || how == LM_PREPEND_RP,
	     unique = how == LM_APPEND_RP || how == LM_PREPEND_RP;

	if (how == LM_REPLACE || how == LM_KEEP)
		return how == LM_KEEP ? low : high;
	for (int part = 0; part < 2; part++) {
		struct val *from = (part == 0) == first_high ? high : low;

		VAL_EACH (i, from) {
			bool had = false;

			VAL_EACH (j, high)
				had = had ||
				      (unique && from == low && val_equal(val_at(high, j), val_at(low, i)));
			if (!had)
				val_push(r, val_at(from, i));
		}
	}
	return r;
}

static struct val *maps_merged(struct arena *a, struct val *low, struct val *high, bool recursive,
                               enum list_merge how, unsigned depth)
{
	struct val *r;

	/* Equal maps stay as they are, also where their lists would be appended. */
	if (!val_len(low) || val_equal(low, high))
		return high;
	r = val_shallow(a, low);
	MAP_EACH (i, high) {
		struct val *k = val_key_at(high, i), *y = val_value_at(high, i), *x = val_getk(r, k);

		if (x && val_is_map(x) && val_is_map(y) && recursive && depth < 100)
			y = maps_merged(a, x, y, recursive, how, depth + 1);
		else if (x && val_kind(x) == VAL_LIST && val_kind(y) == VAL_LIST)
			y = lists_merged(a, x, y, how);
		val_setk(r, k, y);
	}
	return r;
}

static bool combine_opts(struct jinja_call *c, bool *recursive, enum list_merge *how, struct err *err)
{
	static const char *const names[] = {"replace", "keep",      "append",
	                                    "prepend", "append_rp", "prepend_rp"};
	struct str s;
	size_t known = 0;

	MAP_EACH (i, c->kwargs)
		known += str_eqc(val_get_str(val_key_at(c->kwargs, i)), "recursive") ||
		         str_eqc(val_get_str(val_key_at(c->kwargs, i)), "list_merge");
	if (known != val_len(c->kwargs))
		return jinja_fail(err, "'recursive' and 'list_merge' are the only valid keyword arguments");
	*recursive = arg_bool(val_get(c->kwargs, "recursive"), false);
	if (!val_get(c->kwargs, "list_merge"))
		s = STR("replace");
	else if (!arg_text(c, val_get(c->kwargs, "list_merge"), &s, err))
		return false;
	for (*how = 0; *how < LM_N && !str_eqc(s, names[*how]);)
		(*how)++;
	return true;
}

static bool is_null_word(const struct val *v)
{
	return val_is_null(v) ||
	       (val_is_str(v) && (str_eqc(val_get_str(v), "None") || str_eqc(val_get_str(v), "null")));
}

static void flatten_into(struct val *list, int64_t levels, bool skip, struct val *out)
{
	VAL_EACH (i, list) {
		struct val *x = val_at(list, i);

		if (skip && is_null_word(x))
			continue;
		if (val_is_list(x) && levels > 0)
			flatten_into(x, levels - 1, skip, out);
		else
			val_push(out, x);
	}
}

static bool f_combine(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *maps = val_list(c->a);
	bool recursive = false;
	enum list_merge how = LM_REPLACE;

	if (!combine_opts(c, &recursive, &how, err))
		return false;
	flatten_into(c->args, 1, true, maps);
	*ret = NULL;
	/* From the last to the first: that is how Ansible comes by the order of the keys. */
	for (size_t i = val_len(maps); i-- > 0;) {
		struct val *m = val_at(maps, i);
		const struct val *u = val_deep_undef(m);

		if (u)
			return jinja_fail(err, "%s", val_undef_msg(u));
		if (val_kind(m) == VAL_OBJ && val_obj_class(m)->plain)
			m = val_obj_class(m)->plain(val_obj_self(m), c->a);
		if (*ret && (!val_is_map(m) || !val_is_map(*ret)))
			return jinja_fail(
			        err, "failed to combine variables, expected dicts but got a '%s' and a '%s':",
			        val_type_name(m), val_type_name(*ret));
		if (*ret && how == LM_N)
			return jinja_fail(err,
			                  "merge_hash: 'list_merge' argument can only be equal to 'replace', "
			                  "'keep', 'append', 'prepend', 'append_rp' or 'prepend_rp'");
		*ret = *ret ? maps_merged(c->a, m, *ret, recursive, how, 0) : m;
	}
	*ret = *ret ? *ret : val_map(c->a);
	return true;
}

/* ---- maps and lists of pairs */

static bool f_dict2items(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];

	if (!jinja_args(c, "dict2items", "mydict key_name= value_name=", v, err))
		return false;
	v[1] = v[1] ? v[1] : val_strz(c->a, "key");
	v[2] = v[2] ? v[2] : val_strz(c->a, "value");
	if (val_kind(v[0]) == VAL_OBJ && val_obj_class(v[0])->plain)
		v[0] = val_obj_class(v[0])->plain(val_obj_self(v[0]), c->a);
	if (!val_is_map(v[0]))
		return jinja_fail(err, "dict2items requires a dictionary, got %s instead.",
		                  val_type_name(v[0]));
	if (!val_hashable(v[1]) || !val_hashable(v[2]))
		return jinja_fail(err, "unhashable type: '%s'", val_type_name(v[val_hashable(v[1]) ? 2 : 1]));
	*ret = val_list(c->a);
	MAP_EACH (i, v[0]) {
		struct val *m = val_map(c->a);

		val_setk(m, v[1], val_key_at(v[0], i));
		val_setk(m, v[2], val_value_at(v[0], i));
		val_push(*ret, m);
	}
	return true;
}

static bool f_items2dict(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	struct str kn, vn;

	if (!jinja_args(c, "items2dict", "mylist key_name= value_name=", v, err) ||
	    !arg_str(c, v[1], STR("key"), &kn, err) || !arg_str(c, v[2], STR("value"), &vn, err))
		return false;
	if (!val_is_list(v[0]))
		return jinja_fail(err, "items2dict requires a list, got %s instead.", val_type_name(v[0]));
	*ret = val_map(c->a);
	VAL_EACH (i, v[0]) {
		struct val *m = val_at(v[0], i);

		if (!val_is_map(m))
			return jinja_fail(err, "items2dict requires a list of dictionaries, got %s instead.",
			                  repr_of(c, v[0]));
		if (!val_gets(m, kn) || !val_gets(m, vn))
			return jinja_fail(err,
			                  "items2dict requires each dictionary in the list to contain the "
			                  "keys '%.*s' and "
			                  "'%.*s', got %s instead.",
			                  STR_FMT(kn), STR_FMT(vn), repr_of(c, v[0]));
		if (!val_hashable(val_gets(m, kn)))
			return jinja_fail(err, "unhashable type: '%s'", val_type_name(val_gets(m, kn)));
		val_setk(*ret, val_gets(m, kn), val_gets(m, vn));
	}
	return true;
}

static bool f_flatten(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *list;
	int64_t levels;

	if (!jinja_args(c, "flatten", "mylist levels= skip_nulls=", v, err) ||
	    !arg_int(v[1], 200, &levels, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	*ret = val_list(c->a);
	flatten_into(list, levels > 200 ? 200 : levels, arg_bool(v[2], true), *ret);
	return true;
}

static bool f_extract(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *x;

	if (!jinja_args(c, "extract", "item container morekeys=", v, err))
		return false;
	x = ctx_getattr(c->ctx, c->a, v[1], v[0], err);
	if (x && v[2] && val_kind(v[2]) == VAL_LIST)
		for (size_t i = 0; x && i < val_len(v[2]); i++)
			x = ctx_getattr(c->ctx, c->a, x, val_at(v[2], i), err);
	else if (x && v[2] && !val_is_null(v[2]))
		x = ctx_getattr(c->ctx, c->a, x, v[2], err);
	*ret = x;
	return x;
}

/* The value at the path KEYS in ELEMENT: a list, or an empty one where SKIP allows it to be missing. */
static struct val *sub_list(struct jinja_call *c, struct val *element, struct val *keys, bool skip,
                            struct err *err)
{
	struct val *x = element;

	VAL_EACH (i, keys) {
		struct val *k = val_at(keys, i), *next;

		if (!val_is_map(x)) {
			jinja_fail(err, "the key %s should point to a dictionary, got '%s'",
			           val_text(k, c->a).p, repr_of(c, x));
			return NULL;
		}
		next = val_getk(x, k);
		if (!next && skip)
			return val_list(c->a);
		if (!next) {
			jinja_fail(err, "could not find %s key in iterated item %s", repr_of(c, k),
			           repr_of(c, x));
			return NULL;
		}
		x = next;
	}
	if (val_kind(x) != VAL_LIST) {
		jinja_fail(err, "the key %s should point to a list, got %s",
		           repr_of(c, val_at(keys, val_len(keys) - 1)), repr_of(c, x));
		return NULL;
	}
	return x;
}

static bool f_subelements(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *elements, *keys;

	if (!jinja_args(c, "subelements", "obj subelements skip_missing=", v, err))
		return false;
	if (!val_is_map(v[0]) && !val_is_list(v[0]))
		return jinja_fail(err, "obj must be a list of dicts or a nested dict");
	elements = v[0];
	if (val_is_map(v[0])) {
		elements = val_list(c->a);
		MAP_EACH (i, v[0])
			val_push(elements, val_value_at(v[0], i));
	}
	keys = v[1];
	if (val_is_str(v[1])) {
		struct str s = val_get_str(v[1]);

		keys = val_list(c->a);
		do
			val_push(keys, val_str(c->a, str_split(&s, '.')));
		while (s.p);
	} else if (!val_is_list(v[1]) || !val_len(v[1])) {
		return jinja_fail(err, "subelements must be a list or a string");
	}
	*ret = val_list(c->a);
	VAL_EACH (i, elements) {
		struct val *subs = sub_list(c, val_at(elements, i), keys, arg_bool(v[2], false), err);

		if (!subs)
			return false;
		VAL_EACH (j, subs) {
			struct val *t = val_tuple(c->a);

			val_push(t, val_at(elements, i));
			val_push(t, val_at(subs, j));
			val_push(*ret, t);
		}
	}
	return true;
}

static bool f_rekey(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3], *list;
	struct str dup;

	if (!jinja_args(c, "rekey_on_member", "data key duplicates=", v, err) ||
	    !arg_str(c, v[2], STR("error"), &dup, err))
		return false;
	if (!str_eqc(dup, "error") && !str_eqc(dup, "overwrite"))
		return jinja_fail(err, "duplicates parameter to rekey_on_member has unknown value: %.*s",
		                  STR_FMT(dup));
	if (!val_is_map(v[0]) && !val_is_list(v[0]))
		return jinja_fail(err, "Type is not a valid list, set, or dict");
	list = v[0];
	if (val_is_map(v[0])) {
		list = val_list(c->a);
		MAP_EACH (i, v[0])
			val_push(list, val_value_at(v[0], i));
	}
	*ret = val_map(c->a);
	VAL_EACH (i, list) {
		struct val *m = val_at(list, i), *k;

		if (!val_is_map(m))
			return jinja_fail(err, "List item is not a valid dict");
		k = val_getk(m, v[1]);
		if (!k)
			return jinja_fail(err, "Key %s was not found", val_text(v[1], c->a).p);
		if (!val_hashable(k))
			return jinja_fail(err, "unhashable type: '%s'", val_type_name(k));
		if (val_getk(*ret, k) && dup.p[0] == 'e')
			return jinja_fail(err, "Key %s is not unique, cannot correctly turn into dict",
			                  val_text(k, c->a).p);
		val_setk(*ret, k, m);
	}
	return true;
}

/* ---- several lists at once */

static bool f_zip(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool longest = *(const char *)c->user == 'l';
	struct val *fill = val_get(c->kwargs, "fillvalue"), *lists = val_list(c->a);
	size_t n = 0;

	VAL_EACH (i, c->args) {
		struct val *l = arg_iter(c, val_at(c->args, i), err);

		if (!l)
			return false;
		val_push(lists, l);
		n = i && (val_len(l) > n) != longest ? n : val_len(l);
	}
	*ret = val_list(c->a);
	for (size_t i = 0; i < n; i++) {
		struct val *t = val_tuple(c->a);

		VAL_EACH (j, lists) {
			struct val *x = val_at(val_at(lists, j), i);

			val_push(t, x ? x : fill ? fill : val_null());
		}
		val_push(*ret, t);
	}
	return true;
}

static bool f_product(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *lists = val_list(c->a);
	int64_t repeat, total = 1;

	if (!arg_int(val_get(c->kwargs, "repeat"), 1, &repeat, err))
		return false;
	if (repeat < 0 || repeat > 20)
		return jinja_fail(err, "product: repeat=%lld is out of range", (long long)repeat);
	for (int64_t r = 0; r < repeat; r++)
		VAL_EACH (i, c->args) {
			struct val *l = arg_iter(c, val_at(c->args, i), err);

			if (!l)
				return false;
			val_push(lists, l);
			if (__builtin_mul_overflow(total, (int64_t)val_len(l), &total) ||
			    total > JINJA_MAX_ITEMS)
				return jinja_fail(err, "product: the result is too large");
		}
	*ret = val_list(c->a);
	for (int64_t k = 0; k < total; k++) {
		struct val *t = val_tuple(c->a);
		int64_t rest = total, at = k;

		VAL_EACH (i, lists) {
			struct val *l = val_at(lists, i);

			rest /= (int64_t)val_len(l);
			val_push(t, val_at(l, (size_t)(at / rest)));
			at %= rest;
		}
		val_push(*ret, t);
	}
	return true;
}

/* Every way to go on from the members PICK[0..n) of LIST. */
static bool choose(struct jinja_call *c, struct val *list, size_t *pick, size_t n, size_t r, bool ordered,
                   struct val *out, struct err *err)
{
	if (n == r) {
		struct val *t = val_tuple(c->a);

		if (val_len(out) >= JINJA_MAX_ITEMS / 4)
			return jinja_fail(err, "the result is too large");
		for (size_t i = 0; i < r; i++)
			val_push(t, val_at(list, pick[i]));
		val_push(out, t);
		return true;
	}
	for (size_t i = ordered || !n ? 0 : pick[n - 1] + 1; i < val_len(list); i++) {
		bool used = false;

		for (size_t j = 0; j < n; j++)
			used |= pick[j] == i;
		if (used)
			continue;
		pick[n] = i;
		if (!choose(c, list, pick, n + 1, r, ordered, out, err))
			return false;
	}
	return true;
}

static bool f_choose(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool ordered = *(const char *)c->user == 'p';
	struct val *v[2], *list;
	int64_t r;

	if (!jinja_args(c, ordered ? "permutations" : "combinations", ordered ? "iterable r=" : "iterable r",
	                v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list || !arg_int(v[1], (int64_t)val_len(list), &r, err))
		return false;
	*ret = val_list(c->a);
	if (r < 0)
		return jinja_fail(err, "r must be non-negative");
	if ((size_t)r > val_len(list))
		return true;
	if (r > 100)
		return jinja_fail(err, "the result is too large");
	return choose(c, list, arena_array(c->a, (size_t)r + 1, sizeof(size_t)), 0, (size_t)r, ordered, *ret,
	              err);
}

/* ---- sets: order of first appearance, no repetitions */

struct set {
	struct val *hashed, *rest;
};

static struct set set_new(struct arena *a)
{
	return (struct set){val_map(a), val_list(a)};
}

static bool set_has(const struct set *s, const struct val *v)
{
	if (val_hashable(v))
		return val_getk(s->hashed, v);
	VAL_EACH (i, s->rest)
		if (val_equal(val_at(s->rest, i), v))
			return true;
	return false;
}

static void set_add(struct set *s, struct val *v)
{
	if (val_hashable(v))
		val_setk(s->hashed, v, val_null());
	else
		val_push(s->rest, v);
}

static void add_new(struct set *seen, struct val *v, struct val *out)
{
	if (set_has(seen, v))
		return;
	set_add(seen, v);
	val_push(out, v);
}

/* user: u(nion) i(ntersect) d(ifference) s(ymmetric difference) */
static bool f_set(struct jinja_call *c, struct val **ret, struct err *err)
{
	char op = *(const char *)c->user;
	struct val *v[2], *x, *y;
	struct set in_x = set_new(c->a), in_y = set_new(c->a), out = set_new(c->a);

	if (!jinja_args(c, "set", "a b", v, err))
		return false;
	x = arg_iter(c, v[0], err);
	y = x ? arg_iter(c, v[1], err) : NULL;
	if (!y)
		return false;
	VAL_EACH (i, x)
		set_add(&in_x, val_at(x, i));
	VAL_EACH (i, y)
		set_add(&in_y, val_at(y, i));
	*ret = val_list(c->a);
	VAL_EACH (i, x) {
		bool both = set_has(&in_y, val_at(x, i));

		if (op == 'u' || both == (op == 'i'))
			add_new(&out, val_at(x, i), *ret);
	}
	if (op == 'u' || op == 's')
		VAL_EACH (i, y)
			if (op == 'u' || !set_has(&in_x, val_at(y, i)))
				add_new(&out, val_at(y, i), *ret);
	return true;
}

/* ---- community.general */

static bool f_dict(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1], *list;

	if (!jinja_args(c, "dict", "sequence", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	*ret = val_map(c->a);
	VAL_EACH (i, list) {
		struct val *p = val_at(list, i);

		if (!val_is_list(p) || val_len(p) != 2 || !val_hashable(val_at(p, 0)))
			return jinja_fail(err, "dict: item %zu is no pair of a key and a value", i);
		val_setk(*ret, val_at(p, 0), val_at(p, 1));
	}
	return true;
}

static bool f_dict_kv(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];

	if (!jinja_args(c, "dict_kv", "value key", v, err))
		return false;
	if (!val_hashable(v[1]))
		return jinja_fail(err, "unhashable type: '%s'", val_type_name(v[1]));
	*ret = val_map(c->a);
	val_setk(*ret, v[1], v[0]);
	return true;
}

static bool f_counter(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1], *list;

	if (!jinja_args(c, "counter", "sequence", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	*ret = val_map(c->a);
	VAL_EACH (i, list) {
		struct val *x = val_at(list, i), *n = val_hashable(x) ? val_getk(*ret, x) : NULL;

		if (!val_hashable(x))
			return jinja_fail(err, "counter needs hashable items, not %s", val_type_name(x));
		val_setk(*ret, x, val_int(c->a, n ? val_get_int(n) + 1 : 1));
	}
	return true;
}

#define U JINJA_ALLOW_UNDEF

const struct jinja_func jinja_filters_data[] = {
        {"bool", f_bool, "True for yes, on, true and 1, else false.", 0, NULL},
        {"combinations", f_choose, "All choices of r items.", 0, "c"},
        {"combine", f_combine, "Maps merged, later ones winning; recursive, list_merge.", 0, NULL},
        {"counter", f_counter, "How often each item occurs.", 0, NULL},
        {"dict", f_dict, "A map of a list of pairs.", 0, NULL},
        {"dict2items", f_dict2items, "A map as a list of {key, value}.", 0, NULL},
        {"dict_kv", f_dict_kv, "A map of one key and the value.", 0, NULL},
        {"difference", f_set, "Items of the first list that are not in the second.", 0, "d"},
        {"extract", f_extract, "A member of a container, by the key piped in.", U, NULL},
        {"flatten", f_flatten, "Nested lists as one; levels, skip_nulls.", 0, NULL},
        {"intersect", f_set, "Items that are in both lists.", 0, "i"},
        {"items2dict", f_items2dict, "A list of {key, value} as a map.", 0, NULL},
        {"mandatory", f_mandatory, "Fails when the value is undefined.", U, NULL},
        {"permutations", f_choose, "All orders of the items, or of r of them.", 0, "p"},
        {"product", f_product, "All combinations of one item of each list.", 0, NULL},
        {"rekey_on_member", f_rekey, "Maps by the value of one of their members.", 0, NULL},
        {"subelements", f_subelements, "Pairs of each map and each item of a list within it.", 0, NULL},
        {"symmetric_difference", f_set, "Items that are in one of the lists only.", 0, "s"},
        {"ternary", f_ternary, "The second value if the first is true, else the third.", U, NULL},
        {"type_debug", f_type_debug, "The name of the value's type.", U, NULL},
        {"union", f_set, "Items that are in either list.", 0, "u"},
        {"zip", f_zip, "Lists interleaved, as long as the shortest.", 0, "s"},
        {"zip_longest", f_zip, "Lists interleaved, as long as the longest; fillvalue.", 0, "l"},
        {NULL, NULL, NULL, 0, NULL},
};
