/* Lookup plugins of community.general that are more than a filter. */
#include "ansible/core.h"
#include "ansible/lookups.h"
#include "jinja/jinja.h"
#include "jinja/random.h"

/* ---- merge_variables ------------------------------------------------------------------------------------
 */

static bool name_fits(struct lookup_call *c, struct val *name, struct val *pattern, bool *ret,
                      struct err *err)
{
	struct str how = val_map_str(c->opts, "pattern_type", "regex"), p = val_text(pattern, c->a);
	if (str_eqc(how, "prefix"))
		*ret = str_starts(val_get_str(name), p.p);
	else if (str_eqc(how, "suffix"))
		*ret = str_ends(val_get_str(name), p.p);
	if (!str_eqc(how, "regex"))
		return true;
	struct val *args = val_list(c->a), *hit;
	val_push(args, name);
	val_push(args, pattern);
	if (!ctx_call_named(c->s->jinja, c->a, 't', STR("search"), args, val_map(c->a), &hit, err))
		return false;
	*ret = val_truthy(hit);
	return true;
}

/* The names that fit, in order. */
static bool fitting(struct lookup_call *c, struct val *pattern, struct val **ret, struct err *err)
{
	struct val *all = scope_names(c->s);
	*ret = val_list(c->a);
	VAL_EACH (i, all) {
		struct val *name = val_at(all, i);
		bool fits = false;
		if (!name_fits(c, name, pattern, &fits, err))
			return false;
		size_t at = val_len(*ret);
		while (fits && at > 0 && str_cmp(val_get_str(name), val_get_str(val_at(*ret, at - 1))) < 0)
			at--;
		if (fits)
			val_insert(*ret, at, name);
	}
	return true;
}

/* V on top of SO_FAR; members that both have are an error, a warning or nothing to speak of. */
static bool merge_maps(struct lookup_call *c, struct val **so_far, const struct val *v, const char *name,
                       struct err *err)
{
	struct str override = val_map_str(c->opts, "override", "error");
	*so_far = val_shallow(c->a, *so_far);
	MAP_EACH (i, v) {
		struct val *k = val_key_at(v, i), *x = val_getk(*so_far, k), *y = val_value_at(v, i);
		const char *path = x ? arena_printf(c->a, "%s.%s", name, val_text(k, c->a).p) : name;
		if (x && val_is_map(x) && val_is_map(y)) {
			if (!merge_maps(c, &x, y, path, err))
				return false;
			y = x;
		} else if (x && val_kind(x) == VAL_LIST && val_kind(y) == VAL_LIST) {
			x = val_shallow(c->a, x);
			VAL_EACH (j, y)
				val_push(x, val_at(y, j));
			y = x;
		} else if (x && !val_equal(x, y)) {
			const char *msg = arena_printf(c->a,
			                               "The key '%s' with value '%s' will be overwritten "
			                               "with value '%s' from '%s'",
			                               val_text(k, c->a).p, val_text(x, c->a).p,
			                               val_text(y, c->a).p, path);
			if (str_eqc(override, "error"))
				return err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s", msg);
			if (str_eqc(override, "warn"))
				engine_warn(c->s->e, ORIGIN_NONE, "%s", msg);
		}
		val_setk(*so_far, k, y);
	}
	return true;
}

static bool merge_one(struct lookup_call *c, struct val **so_far, struct val *v, const char *name,
                      struct err *err)
{
	if (!val_is_map(v) && !val_is_list(v))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "Not supported type detected, variable must be a list or a dict");
	if (!*so_far) {
		*so_far = v;
		return true;
	}
	if (val_is_map(*so_far) != val_is_map(v))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "Unable to merge, not all variables are of the same type");
	if (val_is_map(v))
		return merge_maps(c, so_far, v, name, err);
	*so_far = val_shallow(c->a, *so_far);
	VAL_EACH (i, v)
		val_push(*so_far, val_at(v, i));
	return true;
}

bool lk_merge_variables(struct lookup_call *c, struct err *err)
{
	VAL_EACH (t, c->terms) {
		struct val *names, *v, *out = NULL, *first = val_get(c->opts, "initial_value");
		if (!val_is_str(val_at(c->terms, t)))
			return err_set(err, ERR_REMOTE, ORIGIN_NONE,
			               "Non-string type '%s' passed, only 'str' types are allowed!",
			               val_type_name(val_at(c->terms, t)));
		if ((first && !val_is_null(first) && !merge_one(c, &out, first, "initial_value", err)) ||
		    !fitting(c, val_at(c->terms, t), &names, err))
			return false;
		VAL_EACH (i, names) {
			const char *name = val_get_strz(val_at(names, i));
			if (!scope_var(c->s, str_c(name), &v, err) ||
			    (v && !merge_one(c, &out, v, name, err)))
				return false;
		}
		val_push(c->ret, out ? out : val_null());
	}
	return true;
}

/* ---- random_string --------------------------------------------------------------------------------------
 */

static const struct char_class {
	const char *name, *min, *chars;
	bool special;
} char_classes[] = {
        {"upper", "min_upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", false},
        {"lower", "min_lower", "abcdefghijklmnopqrstuvwxyz", false},
        {"numbers", "min_numeric", "0123456789", false},
        {"special", "min_special", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", true},
};

#define CHAR_CLASSES (sizeof(char_classes) / sizeof(*char_classes))

static bool shuffled(struct lookup_call *c, struct buf *b, struct err *err)
{
	for (size_t i = b->n; i-- > 1;) {
		uint64_t at;
		char ch = b->p[i];
		if (!random_below(c->a, NULL, i + 1, &at, err))
			return false;
		b->p[i] = b->p[at];
		b->p[at] = ch;
	}
	return true;
}

bool lk_random_string(struct lookup_call *c, struct err *err)
{
	int64_t length = val_map_int(c->opts, "length", 8);
	struct str all = val_map_str(c->opts, "override_all", ""),
	           special = val_map_str(c->opts, "override_special", "");
	struct buf set = {0}, out = {0}, coded = {0};
	const struct val *coding = val_get(c->opts, "base64");
	bool ok = length >= 0 && length < 4096;
	buf_addstr(&set, all);
	for (size_t i = 0; ok && !all.n && i < CHAR_CLASSES; i++) {
		const struct char_class *k = &char_classes[i];
		const struct val *use = val_get(c->opts, k->name);
		struct str chars = k->special && special.n ? special : str_c(k->chars);
		int64_t min = val_map_int(c->opts, k->min, 0);
		if (!use || val_to_bool(use))
			buf_addstr(&set, chars);
		ok = min >= 0 && min < 4096 && random_chars(c->a, NULL, chars, (size_t)min, &out, err);
	}
	size_t more = ok && (size_t)length > out.n ? (size_t)length - out.n : 0;
	ok = ok && (!more || random_chars(c->a, NULL, buf_str(&set), more, &out, err)) &&
	     shuffled(c, &out, err);
	if (ok && coding && val_to_bool(coding))
		buf_base64(&coded, buf_str(&out));
	if (ok)
		val_push(c->ret, val_str(c->a, buf_str(coded.n ? &coded : &out)));
	else if (!err_is(err))
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "random_string: the length is out of range");
	buf_free(&set);
	buf_burn(&out);
	buf_burn(&coded);
	return ok;
}
