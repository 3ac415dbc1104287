/* args - what filters, tests and methods do with their arguments. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

/* The next name of a signature; *RET_OPT when "=" follows it. */
static struct str next_name(const char **sig, bool *ret_opt)
{
	const char *s = *sig;
	struct str name;

	while (*s == ' ')
		s++;
	name = str_n(s, strcspn(s, " ="));
	s += name.n;
	*ret_opt = *s == '=';
	*sig = s + strcspn(s, " ");
	return name;
}

bool jinja_args(struct jinja_call *c, const char *name, const char *sig, struct val **out, struct err *err)
{
	size_t n = 0, used = 0, nargs = val_len(c->args);
	bool opt, star = false;

	while (*sig) {
		struct str arg = next_name(&sig, &opt);
		struct val *kw = val_gets(c->kwargs, arg);

		if (str_eqc(arg, "*")) {
			star = true;
			out[n] = val_list(c->a);
			for (size_t i = n; i < nargs; i++)
				val_push(out[n], val_at(c->args, i));
			n++;
			continue;
		}
		out[n] = star ? NULL : val_at(c->args, n);
		if (kw && out[n])
			return jinja_fail(err, "%s() got multiple values for argument '%.*s'", name,
			                  STR_FMT(arg));
		if (kw) {
			out[n] = kw;
			used++;
		}
		if (!out[n] && !opt)
			return jinja_fail(err, "%s() missing 1 required positional argument: '%.*s'", name,
			                  STR_FMT(arg));
		n++;
	}
	if (!star && nargs > n)
		return jinja_fail(err, "%s() takes %zu positional argument%s but %zu were given", name, n,
		                  n == 1 ? "" : "s", nargs);
	if (used < val_len(c->kwargs)) {
		MAP_EACH (i, c->kwargs) {
			struct val *v = val_value_at(c->kwargs, i);
			bool known = false;

			for (size_t j = 0; j < n; j++)
				known |= out[j] == v;
			if (!known)
				return jinja_fail(err, "%s() got an unexpected keyword argument '%.*s'", name,
				                  STR_FMT(val_get_str(val_key_at(c->kwargs, i))));
		}
	}
	return true;
}

bool arg_text(struct jinja_call *c, const struct val *v, struct str *ret, struct err *err)
{
	if (val_is_str(v)) {
		*ret = val_get_str(v);
		return true;
	}
	if (val_undef_fails(v) && ctx_strict(c->ctx))
		return jinja_fail(err, "%s", val_undef_msg(v));
	*ret = val_text(v, c->a);
	return true;
}

bool arg_str(struct jinja_call *c, const struct val *v, struct str dflt, struct str *ret, struct err *err)
{
	if (!v) {
		*ret = dflt;
		return true;
	}
	if (!val_is_str(v) && !val_is_undef(v))
		return jinja_fail(err, "a string is expected, not %s", val_type_name(v));
	return arg_text(c, v, ret, err);
}

bool arg_int(const struct val *v, int64_t dflt, int64_t *ret, struct err *err)
{
	if (!v || val_is_null(v)) {
		*ret = dflt;
		return true;
	}
	switch (val_kind(v)) {
	case VAL_INT:
	case VAL_BIG: *ret = val_get_int(v); return true;
	case VAL_BOOL: *ret = val_get_bool(v); return true;
	case VAL_FLOAT:
		if (val_get_float(v) < -9e18 || val_get_float(v) > 9e18)
			break;
		*ret = (int64_t)val_get_float(v);
		return true;
	case VAL_STR:
		if (str_int(str_trim(val_get_str(v)), ret))
			return true;
		break;
	case VAL_UNDEF: return jinja_fail(err, "%s", val_undef_msg(v));
	default: break;
	}
	return jinja_fail(err, "an integer is expected, not %s", val_type_name(v));
}

bool arg_bool(const struct val *v, bool dflt)
{
	return v ? val_truthy(v) : dflt;
}

struct val *arg_iter(struct jinja_call *c, struct val *v, struct err *err)
{
	return py_iter(c->a, v, ctx_strict(c->ctx), err);
}

/* ---- sorting */

struct sorter {
	struct val **v, **k, **tv, **tk;
	bool reverse;
	struct err *err;
};

/* A merge sort, since the comparison can fail and qsort() could not stop. */
static bool sort_range(struct sorter *s, size_t from, size_t to)
{
	size_t mid = from + (to - from) / 2, i = from, j = mid, n = from;

	if (to - from < 2)
		return true;
	if (!sort_range(s, from, mid) || !sort_range(s, mid, to))
		return false;
	while (n < to) {
		bool right = i == mid;

		if (i < mid && j < to) {
			bool less;

			if (!py_compare(CMP_LT, s->k[s->reverse ? i : j], s->k[s->reverse ? j : i], true,
			                &less, s->err))
				return false;
			right = less;
		}
		s->tk[n] = s->k[right ? j : i];
		s->tv[n++] = s->v[right ? j++ : i++];
	}
	memcpy(s->k + from, s->tk + from, (to - from) * sizeof(*s->k));
	memcpy(s->v + from, s->tv + from, (to - from) * sizeof(*s->v));
	return true;
}

bool val_sort(struct arena *a, struct val *list, struct val *keys, bool reverse, struct err *err)
{
	size_t n = val_len(list);
	struct val **mem = arena_array(a, n * 4 + 1, sizeof(*mem));
	struct sorter s = {mem, mem + n, mem + 2 * n, mem + 3 * n, reverse, err};

	for (size_t i = 0; i < n; i++) {
		s.v[i] = val_at(list, i);
		s.k[i] = keys ? val_at(keys, i) : s.v[i];
	}
	if (!sort_range(&s, 0, n))
		return false;
	for (size_t i = 0; i < n; i++)
		val_set_at(list, i, s.v[i]);
	return true;
}
