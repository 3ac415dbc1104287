/* tests - Jinja2's tests. */
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
		yes = k == VAL_INT;
	else if (!strcmp(what, "float"))
		yes = k == VAL_FLOAT;
	else if (!strcmp(what, "number"))
		yes = k == VAL_INT || k == VAL_FLOAT || k == VAL_BOOL;
	else if (!strcmp(what, "string"))
		yes = k == VAL_STR;
	else if (!strcmp(what, "mapping"))
		yes = k == VAL_MAP || (k == VAL_OBJ && val_obj_class(v[0])->keys &&
		                       val_obj_class(v[0])->plain && val_obj_class(v[0])->get);
	else if (!strcmp(what, "callable"))
		yes = k == VAL_OBJ && val_obj_class(v[0])->call;
	else if (!strcmp(what, "sequence"))
		yes = k == VAL_STR || k == VAL_LIST || k == VAL_TUPLE || k == VAL_MAP ||
		      (k == VAL_UNDEF && !ctx_strict(c->ctx)) || (k == VAL_OBJ && val_obj_class(v[0])->keys);
	else if (!strcmp(what, "iterable"))
		yes = k == VAL_STR || k == VAL_LIST || k == VAL_TUPLE || k == VAL_MAP ||
		      (k == VAL_UNDEF && !ctx_strict(c->ctx)) || (k == VAL_OBJ && val_obj_class(v[0])->keys);
	return ret_bool(yes, ret);
}

static bool t_compare(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	bool yes;

	if (!jinja_args(c, "compare", "a b", v, err) ||
	    !py_compare(*(const enum cmp_op *)c->user, v[0], v[1], ctx_strict(c->ctx), &yes, err))
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

	return jinja_args(c, "escaped", "value", v, err) && ret_bool(false, ret);
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
        {"boolean", t_kind, "True or false.", 0, "boolean"},
        {"callable", t_kind, "Can be called.", 0, "callable"},
        {"defined", t_kind, "Has a value.", U, "defined"},
        {"divisibleby", t_modulo, "Divisible by a number.", 0, "divisibleby"},
        {"eq", t_compare, "Equal.", 0, &eq},
        {"equalto", t_compare, "Equal.", 0, &eq},
        {"escaped", t_escaped, "Marked as escaped (nothing is).", 0, NULL},
        {"even", t_modulo, "An even number.", 0, "even"},
        {"false", t_kind, "The value false.", 0, "false"},
        {"filter", t_known, "The name of a filter.", 0, "f"},
        {"float", t_kind, "A floating-point number.", 0, "float"},
        {"ge", t_compare, "At least.", 0, &ge},
        {"greaterthan", t_compare, "Greater than.", 0, &gt},
        {"gt", t_compare, "Greater than.", 0, &gt},
        {"in", t_in, "A member of a list, map or text.", 0, NULL},
        {"integer", t_kind, "A whole number.", 0, "integer"},
        {"iterable", t_kind, "Can be looped over.", U, "iterable"},
        {"le", t_compare, "At most.", 0, &le},
        {"lessthan", t_compare, "Less than.", 0, &lt},
        {"lower", t_case, "All letters are lower case.", 0, "l"},
        {"lt", t_compare, "Less than.", 0, &lt},
        {"mapping", t_kind, "A map.", 0, "mapping"},
        {"ne", t_compare, "Not equal.", 0, &ne},
        {"none", t_kind, "The value none.", 0, "none"},
        {"number", t_kind, "A number.", 0, "number"},
        {"odd", t_modulo, "An odd number.", 0, "odd"},
        {"sameas", t_sameas, "The very same object.", 0, NULL},
        {"sequence", t_kind, "A list, text or map.", U, "sequence"},
        {"string", t_kind, "Text.", 0, "string"},
        {"test", t_known, "The name of a test.", 0, "t"},
        {"true", t_kind, "The value true.", 0, "true"},
        {"undefined", t_kind, "Has no value.", U, "undefined"},
        {"upper", t_case, "All letters are upper case.", 0, "u"},
        {NULL, NULL, NULL, 0, NULL},
};
