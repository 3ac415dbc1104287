/* tests_ansible - Ansible's tests over task results, truth, sets and URLs. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <math.h>

static bool ret_bool(bool yes, struct val **ret)
{
	*ret = val_bool(yes);
	return true;
}

/* A task's result; user: which question. */
static bool t_result(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *what = c->user;
	struct val *v[1], *m, *x, *list;
	bool yes = false;

	if (!jinja_args(c, what, "result", v, err))
		return false;
	m = v[0];
	if (val_kind(m) == VAL_OBJ && val_obj_class(m)->plain)
		m = val_obj_class(m)->plain(val_obj_self(m), c->a);
	if (!val_is_map(m))
		return jinja_fail(err, "The '%s' test expects a dictionary", what);
	x = val_get(m, !strcmp(what, "success") ? "failed" : what);
	if (!strcmp(what, "changed")) {
		yes = x && val_truthy(x);
		list = x ? NULL : val_get(m, "results");
		for (size_t i = 0; list && val_is_list(list) && i < val_len(list); i++) {
			struct val *one = val_at(list, i);

			yes = yes || (val_is_map(one) && val_get(one, "changed") &&
			              val_truthy(val_get(one, "changed")));
		}
	} else if (!strcmp(what, "success")) {
		yes = !x || !val_truthy(x);
	} else if (!strcmp(what, "reachable")) {
		x = val_get(m, "unreachable");
		yes = !x || !val_truthy(x);
	} else if (!strcmp(what, "timedout")) {
		x = x && val_is_map(x) ? val_get(x, "period") : NULL;
		yes = x && val_truthy(x);
	} else {
		yes = x && val_truthy(x);
	}
	return ret_bool(yes, ret);
}

/* An asynchronous job: finished and started are 0 or 1. */
static bool t_job(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *what = c->user;
	struct val *v[1], *x;

	if (!jinja_args(c, what, "result", v, err))
		return false;
	if (!val_is_map(v[0]))
		return jinja_fail(err, "The '%s' test expects a dictionary", what);
	x = val_get(v[0], what);
	/* A result without the key comes from a task that did not run in the background: it is both. */
	return ret_bool(!x || val_truthy(x), ret);
}

static bool t_truthy(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool want = *(const char *)c->user == 't', yes;
	struct val *v[2];

	if (!jinja_args(c, want ? "truthy" : "falsy", "value convert_bool=", v, err))
		return false;
	if (val_is_undef(v[0]) && ctx_strict(c->ctx))
		return jinja_fail(err, "%s", val_undef_msg(v[0]));
	yes = val_truthy(v[0]);
	if (arg_bool(v[1], false) && val_is_str(v[0])) {
		static const char *const no[] = {"n", "no", "off", "0", "false", "f"};

		for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
			if (val_len(v[0]) == strlen(no[i]) &&
			    !strncasecmp(val_get_strz(v[0]), no[i], strlen(no[i])))
				yes = false;
	}
	return ret_bool(yes == want, ret);
}

static bool t_any_all(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool any = c->user != NULL, yes = !any;
	struct val *v[1], *list;

	if (!jinja_args(c, any ? "any" : "all", "iterable", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	VAL_EACH (i, list)
		if (val_truthy(val_at(list, i)) == any)
			yes = any;
	return ret_bool(yes, ret);
}

/* Every member of X is in Y. */
static bool within(struct val *x, struct val *y)
{
	VAL_EACH (i, x) {
		bool had = false;

		for (size_t j = 0; j < val_len(y) && !had; j++)
			had = val_equal(val_at(x, i), val_at(y, j));
		if (!had)
			return false;
	}
	return true;
}

static bool t_subset(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *x, *y;

	if (!jinja_args(c, "subset", "a b", v, err))
		return false;
	x = arg_iter(c, v[0], err);
	y = x ? arg_iter(c, v[1], err) : NULL;
	if (!y)
		return false;
	return ret_bool(*(const char *)c->user == 'b' ? within(x, y) : within(y, x), ret);
}

static bool t_contains(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	bool yes;

	if (!jinja_args(c, "contains", "seq value", v, err) ||
	    !py_compare(CMP_IN, v[1], v[0], true, &yes, err))
		return false;
	return ret_bool(yes, ret);
}

static bool t_nan(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	if (!jinja_args(c, "nan", "x", v, err))
		return false;
	return ret_bool(val_is_num(v[0]) && isnan(val_get_float(v[0])), ret);
}

/* No value here is encrypted with Ansible Vault: such files are refused when they are read. */
static bool t_vault(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];

	return jinja_args(c, "vault_encrypted", "value", v, err) && ret_bool(false, ret);
}

/* Whether S starts with a scheme and ":"; *RET_REST is what follows. */
static bool scheme(struct str s, struct str *ret_scheme, struct str *ret_rest)
{
	size_t i = 0;

	while (i < s.n && (((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z') ||
	                   (i && s.p[i] && strchr("0123456789+-.", s.p[i]))))
		i++;
	if (!i || i == s.n || s.p[i] != ':')
		return false;
	*ret_scheme = str_n(s.p, i);
	*ret_rest = str_n(s.p + i + 1, s.n - i - 1);
	return true;
}

static bool t_uri(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *what = c->user;
	struct val *v[2] = {NULL, NULL};
	struct str s, sch = STR(""), rest = STR("");
	bool yes, host;

	if (!jinja_args(c, what, what[2] == 'n' ? "value" : "value schemes=", v, err) ||
	    !arg_text(c, v[0], &s, err))
		return false;
	yes = scheme(s, &sch, &rest);
	host = rest.n > 2 && rest.p[0] == '/' && rest.p[1] == '/' && rest.p[2] != '/';
	if (!strcmp(what, "url"))
		yes = yes && (host || str_eqc(sch, "file"));
	else if (!strcmp(what, "urn"))
		yes = yes && str_eqc(sch, "urn");
	if (yes && v[1] && val_is_list(v[1])) {
		bool known = false;

		VAL_EACH (i, v[1])
			known |= val_is_str(val_at(v[1], i)) && str_eq(val_get_str(val_at(v[1], i)), sch);
		yes = known;
	}
	return ret_bool(yes, ret);
}

const struct jinja_func jinja_tests_ansible[] = {
        {"all", t_any_all, "Every item is true.", 0, NULL},
        {"any", t_any_all, "Some item is true.", 0, "any"},
        {"change", t_result, "The task changed something.", 0, "changed"},
        {"changed", t_result, "The task changed something.", 0, "changed"},
        {"contains", t_contains, "A list, map or text contains a value.", 0, NULL},
        {"failed", t_result, "The task failed.", 0, "failed"},
        {"failure", t_result, "The task failed.", 0, "failed"},
        {"falsy", t_truthy, "Python takes it for false.", 0, "f"},
        {"finished", t_job, "The background job has ended.", 0, "finished"},
        {"isnan", t_nan, "Not a number.", 0, NULL},
        {"issubset", t_subset, "Every item is in the other list.", 0, "b"},
        {"issuperset", t_subset, "Every item of the other list is in this one.", 0, "p"},
        {"nan", t_nan, "Not a number.", 0, NULL},
        {"reachable", t_result, "The host could be reached.", 0, "reachable"},
        {"skip", t_result, "The task was skipped.", 0, "skipped"},
        {"skipped", t_result, "The task was skipped.", 0, "skipped"},
        {"started", t_job, "The background job has begun.", 0, "started"},
        {"subset", t_subset, "Every item is in the other list.", 0, "b"},
        {"succeeded", t_result, "The task did not fail.", 0, "success"},
        {"success", t_result, "The task did not fail.", 0, "success"},
        {"successful", t_result, "The task did not fail.", 0, "success"},
        {"superset", t_subset, "Every item of the other list is in this one.", 0, "p"},
        {"timedout", t_result, "The task was ended because it took too long.", 0, "timedout"},
        {"truthy", t_truthy, "Python takes it for true.", 0, "t"},
        {"unreachable", t_result, "The host could not be reached.", 0, "unreachable"},
        {"uri", t_uri, "A URI.", 0, "uri"},
        {"url", t_uri, "A URL.", 0, "url"},
        {"urn", t_uri, "A URN.", 0, "urn"},
        {"vault_encrypted", t_vault, "Text encrypted with Ansible Vault.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
