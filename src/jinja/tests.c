/* tests - Jinja2's tests. */
#include "base/val_big.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

#define U JINJA_ALLOW_UNDEF

static bool ret_bool(bool yes, struct val **ret)
{
	*ret = val_bool(yes);
	return true;
}

/* What kind of value it is; user names the question. */
static bool t_kind(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *what = c->user;
	struct val *v[1];
	enum val_kind k;
	bool yes = false;

	if (!jinja_args(c, what, "value", v, err))
		return false;
	k = val_kind(v[0]);
	if (!strcmp(what, "defined"))
		yes = k != VAL_UNDEF;
	else if (!strcmp(what, "undefined"))
		yes = k == VAL_UNDEF;
	else if (!strcmp(what, "none"))
		yes = k == VAL_NULL;
	else if (!strcmp(what, "boolean"))
		yes = k == VAL_BOOL;
	else if (!strcmp(what, "true"))
		yes = k == VAL_BOOL && val_get_bool(v[0]);
	else if (!strcmp(what, "false"))
		yes = k == VAL_BOOL && !val_get_bool(v[0]);
	else if (!strcmp(what, "integer"))
		yes = val_is_whole(v[0]);
	else if (!strcmp(what, "float"))
		yes = k == VAL_FLOAT;
	else if (!strcmp(what, "number"))
		yes = val_is_num(v[0]) || k == VAL_BOOL;
	else if (!strcmp(what, "string"))
		yes = k == VAL_STR;
	else if (!strcmp(what, "mapping"))
		yes = k == VAL_MAP || (k == VAL_OBJ && val_obj_class(v[0])->keys &&
		                       val_obj_class(v[0])->plain && val_obj_class(v[0])->get);
	else if (!strcmp(what, "callable"))
		yes = k == VAL_UNDEF ||
		      (k == VAL_OBJ && val_obj_class(v[0])->call); /* its call says what is missing */
	else if (!strcmp(what, "sequence"))
		yes = k == VAL_STR || k == VAL_LIST || k == VAL_TUPLE || k == VAL_MAP ||
		      (k == VAL_UNDEF && !ctx_strict(c->ctx)) || (k == VAL_OBJ && val_obj_class(v[0])->keys);
	else if (!strcmp(what, "iterable"))
		yes = k == VAL_STR || k == VAL_LIST || k == VAL_TUPLE || k == VAL_MAP || k == VAL_UNDEF ||
		      (k == VAL_OBJ && val_obj_class(v[0])->keys);
	return ret_bool(yes, ret);
}

static bool t_compare(struct jinja_call *c, struct val **ret, struct err *err)
{
	static const char *const names[] = {[CMP_EQ] = "eq", [CMP_NE] = "ne", [CMP_LT] = "lt",
	                                    [CMP_LE] = "le", [CMP_GT] = "gt", [CMP_GE] = "ge"};
	enum cmp_op op = *(const enum cmp_op *)c->user;
	bool yes;

	if (val_len(c->kwargs))
		return jinja_fail(err, "_operator.%s() takes no keyword arguments", names[op]);
	if (val_len(c->args) != 2)
		return jinja_fail(err, "%s expected 2 arguments, got %zu", names[op], val_len(c->args));
	if (!py_compare(op, val_at(c->args, 0), val_at(c->args, 1), ctx_strict(c->ctx), &yes, err))
		return false;
	return ret_bool(yes, ret);
}

static bool t_in(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	bool yes;

	if (!jinja_args(c, "in", "value seq", v, err) ||
	    !py_compare(CMP_IN, v[0], v[1], ctx_strict(c->ctx), &yes, err))
		return false;
	return ret_bool(yes, ret);
}

static bool t_sameas(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	bool same;

	if (!jinja_args(c, "sameas", "value other", v, err))
		return false;
	same = v[0] == v[1];
	if (!same && val_kind(v[0]) == val_kind(v[1])) {
		switch (val_kind(v[0])) {
		case VAL_NULL: same = true; break;
		case VAL_BOOL:
		case VAL_STR: same = val_equal(v[0], v[1]); break;
		/* CPython keeps one object for each small number. */
		case VAL_INT:
			same = val_equal(v[0], v[1]) && val_get_int(v[0]) >= -5 && val_get_int(v[0]) <= 256;
			break;
		default: break;
		}
	}
	return ret_bool(same, ret);
}

static bool t_modulo(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *what = c->user;
	struct val *v[2], *two = val_int(c->a, 2), *rest;

	if (!jinja_args(c, what, what[0] == 'd' ? "value num" : "value", v, err) ||
	    !py_binary(c->a, T_MOD, v[0], what[0] == 'd' ? v[1] : two, &rest, err))
		return false;
	return ret_bool(val_equal(rest, val_int(c->a, what[0] == 'o' ? 1 : 0)), ret);
}

static bool t_case(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool upper = *(const char *)c->user == 'u';
	struct val *v[1];
	struct str s;
	bool cased = false, yes = true;

	if (!jinja_args(c, upper ? "upper" : "lower", "value", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	while (s.n) {
		uint32_t cp;
		size_t n = str_utf8(s, &cp);

		cased |= cp_upper_p(cp) || cp_lower_p(cp);
		yes = yes && !(upper ? cp_lower_p(cp) : cp_upper_p(cp));
		s = str_n(s.p + n, s.n - n);
	}
	return ret_bool(yes && cased, ret);
}

static bool t_escaped(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	/* Ansible's undefined value has every attribute, the one that is asked for too. */
	return jinja_args(c, "escaped", "value", v, err) &&
	       ret_bool(val_is_markup(v[0]) || (val_is_undef(v[0]) && ctx_strict(c->ctx)), ret);
}

/* Whether a filter or test of that name exists. */
static bool t_known(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	if (!jinja_args(c, "filter", "name", v, err))
		return false;
	return ret_bool(val_is_str(v[0]) && jinja_env_find(jinja_ctx_env(c->ctx), *(const char *)c->user,
	                                                   val_get_str(v[0])),
	                ret);
}

static const enum cmp_op eq = CMP_EQ, ne = CMP_NE, lt = CMP_LT, le = CMP_LE, gt = CMP_GT, ge = CMP_GE;

const struct jinja_func jinja_tests_core[] = {
        {"!=", t_compare, "Not equal.", 0, &ne},
        {"<", t_compare, "Less than.", 0, &lt},
        {"<=", t_compare, "At most.", 0, &le},
        {"==", t_compare, "Equal.", 0, &eq},
        {">", t_compare, "Greater than.", 0, &gt},
        {">=", t_compare, "At least.", 0, &ge},
        {"boolean", t_kind, "True or false.", U, "boolean"},
        {"callable", t_kind, "Can be called.", U, "callable"},
        {"defined", t_kind, "Has a value.", U, "defined"},
        {"divisibleby", t_modulo, "Divisible by a number.", 0, "divisibleby"},
        {"eq", t_compare, "Equal.", 0, &eq},
        {"equalto", t_compare, "Equal.", 0, &eq},
        {"escaped", t_escaped, "HTML already: escape leaves it alone.", U, NULL},
        {"even", t_modulo, "An even number.", 0, "even"},
        {"false", t_kind, "The value false.", U, "false"},
        {"filter", t_known, "The name of a filter.", 0, "f"},
        {"float", t_kind, "A floating-point number.", U, "float"},
        {"ge", t_compare, "At least.", 0, &ge},
        {"greaterthan", t_compare, "Greater than.", 0, &gt},
        {"gt", t_compare, "Greater than.", 0, &gt},
        {"in", t_in, "A member of a list, map or text.", U, NULL},
        {"integer", t_kind, "A whole number.", U, "integer"},
        {"iterable", t_kind, "Can be looped over.", 0, "iterable"},
        {"le", t_compare, "At most.", 0, &le},
        {"lessthan", t_compare, "Less than.", 0, &lt},
        {"lower", t_case, "All letters are lower case.", 0, "l"},
        {"lt", t_compare, "Less than.", 0, &lt},
        {"mapping", t_kind, "A map.", U, "mapping"},
        {"ne", t_compare, "Not equal.", 0, &ne},
        {"none", t_kind, "The value none.", U, "none"},
        {"number", t_kind, "A number.", U, "number"},
        {"odd", t_modulo, "An odd number.", 0, "odd"},
        {"sameas", t_sameas, "The very same object.", U, NULL},
        {"sequence", t_kind, "A list, text or map.", U, "sequence"},
        {"string", t_kind, "Text.", U, "string"},
        {"test", t_known, "The name of a test.", 0, "t"},
        {"true", t_kind, "The value true.", U, "true"},
        {"undefined", t_kind, "Has no value.", U, "undefined"},
        {"upper", t_case, "All letters are upper case.", 0, "u"},
        {NULL, NULL, NULL, 0, NULL},
};
