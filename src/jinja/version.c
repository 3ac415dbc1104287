/* version - the version test: loose, strict, semantic and PEP 440 versions compared. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <stdio.h>

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static int sign(int64_t d)
{
	return (d > 0) - (d < 0);
}

/* A run of digits of S from *I on, as a number. */
static bool number(struct str s, size_t *i, int64_t *ret)
{
	size_t from = *i;

	*ret = 0;
	for (; *i < s.n && digit(s.p[*i]); (*i)++) {
		if (*ret > (INT64_MAX - 9) / 10)
			return false;
		*ret = *ret * 10 + (s.p[*i] - '0');
	}
	return *i > from;
}

/* ---- loose: runs of digits, of lower-case letters, and of anything else; dots separate */

static struct val *loose_parts(struct arena *a, struct str s)
{
	struct val *r = val_list(a);

	for (size_t i = 0; i < s.n;) {
		size_t from = i;
		int64_t n;

		if (s.p[i] == '.') {
			i++;
		} else if (digit(s.p[i])) {
			if (number(s, &i, &n))
				val_push(r, val_int(a, n));
			else
				while (i < s.n && digit(s.p[i]))
					i++;
		} else if (lower(s.p[i])) {
			while (i < s.n && lower(s.p[i]))
				i++;
			val_push(r, val_str(a, str_n(s.p + from, i - from)));
		} else {
			while (i < s.n && s.p[i] != '.' && !digit(s.p[i]) && !lower(s.p[i]))
				i++;
			val_push(r, val_str(a, str_n(s.p + from, i - from)));
		}
	}
	return r;
}

static bool cmp_loose(struct arena *a, struct str x, struct str y, int *ret, struct err *err)
{
	struct err why = {0};

	if (val_compare(loose_parts(a, x), loose_parts(a, y), ret, &why))
		return true;
	jinja_fail(err, "Version comparison failed: %s", err_msg(&why));
	err_clear(&why);
	return false;
}

/* ---- strict: N.N[.N][{a|b}N] */

static bool parse_strict(struct str s, int64_t out[5], struct err *err)
{
	size_t i = 0;
	bool ok = number(s, &i, &out[0]) && i < s.n && s.p[i] == '.';

	i++;
	ok = ok && number(s, &i, &out[1]);
	out[2] = 0;
	out[3] = 'z'; /* a final release comes after its alphas and betas */
	out[4] = 0;
	if (ok && i < s.n && s.p[i] == '.') {
		i++;
		ok = number(s, &i, &out[2]);
	}
	if (ok && i < s.n && (s.p[i] == 'a' || s.p[i] == 'b')) {
		out[3] = (unsigned char)s.p[i++];
		ok = number(s, &i, &out[4]);
	}
	if (!ok || i != s.n)
		return jinja_fail(err, "Version comparison failed: invalid version number '%.*s'",
		                  STR_FMT(s));
	return true;
}

static bool cmp_strict(struct arena *a, struct str x, struct str y, int *ret, struct err *err)
{
	int64_t p[5], q[5];

	(void)a;
	if (!parse_strict(x, p, err) || !parse_strict(y, q, err))
		return false;
	*ret = 0;
	for (size_t i = 0; i < 5 && !*ret; i++)
		*ret = sign(p[i] - q[i]);
	return true;
}

/* ---- semantic versions */

struct semver {
	int64_t core[3];
	struct str pre;
	bool has_pre;
};

static bool parse_semver(struct str s, struct semver *v, struct err *err)
{
	struct str all = s;
	size_t i = 0;
	bool ok = true;
	const char *plus = memchr(s.p, '+', s.n);

	*v = (struct semver){.pre = STR("")};
	if (plus)
		s.n = (size_t)(plus - s.p);
	for (size_t k = 0; k < 3 && ok; k++) {
		size_t from = i;

		ok = number(s, &i, &v->core[k]) && !(i - from > 1 && s.p[from] == '0');
		if (k < 2) {
			ok = ok && i < s.n && s.p[i] == '.';
			i++;
		}
	}
	if (ok && i < s.n && s.p[i] == '-' && i + 1 < s.n) {
		v->pre = str_n(s.p + i + 1, s.n - i - 1);
		v->has_pre = true;
		i = s.n;
	}
	if (!ok || i != s.n)
		return jinja_fail(err, "Version comparison failed: invalid semantic version '%.*s'",
		                  STR_FMT(all));
	return true;
}

static int cmp_identifier(struct str x, struct str y)
{
	int64_t p = 0, q = 0;
	size_t i = 0, j = 0;
	bool nx = number(x, &i, &p) && i == x.n, ny = number(y, &j, &q) && j == y.n;

	if (nx && ny)
		return sign(p - q);
	if (nx != ny)
		return nx ? -1 : 1;
	return sign(str_cmp(x, y));
}

static bool cmp_semver(struct arena *a, struct str x, struct str y, int *ret, struct err *err)
{
	struct semver p, q;

	(void)a;
	if (!parse_semver(x, &p, err) || !parse_semver(y, &q, err))
		return false;
	*ret = 0;
	for (size_t i = 0; i < 3 && !*ret; i++)
		*ret = sign(p.core[i] - q.core[i]);
	if (*ret || (!p.has_pre && !q.has_pre))
		return true;
	if (p.has_pre != q.has_pre) {
		*ret = p.has_pre ? -1 : 1;
		return true;
	}
	while (!*ret && (p.pre.p || q.pre.p)) {
		if (!p.pre.p || !q.pre.p)
			*ret = p.pre.p ? 1 : -1;
		else
			*ret = cmp_identifier(str_split(&p.pre, '.'), str_split(&q.pre, '.'));
	}
	return true;
}

/* ---- PEP 440: [N!]N(.N)*[{a|b|rc}N][.postN][.devN][+local] */

struct pep440 {
	int64_t epoch, release[16], pre[2], post, dev;
	size_t n;
	struct str local;
};

/* One of WORDS at *I (separators before it skipped) and the number after it. */
static bool tagged(struct str s, size_t *i, const char *const *words, int64_t *ret_word, int64_t *ret)
{
	size_t at = *i;

	if (at < s.n && (s.p[at] == '.' || s.p[at] == '-' || s.p[at] == '_'))
		at++;
	for (size_t w = 0; words[w]; w++) {
		size_t len = strlen(words[w]);

		if (at + len > s.n || strncasecmp(s.p + at, words[w], len) != 0)
			continue;
		*i = at + len;
		if (*i + 1 < s.n && (s.p[*i] == '.' || s.p[*i] == '-' || s.p[*i] == '_') &&
		    digit(s.p[*i + 1]))
			(*i)++;
		*ret_word = (int64_t)w;
		if (!number(s, i, ret))
			*ret = 0;
		return true;
	}
	return false;
}

static bool parse_pep440(struct str s, struct pep440 *v, struct err *err)
{
	/* In order of precedence, longer spellings before their prefixes. */
	static const char *const pre[] = {"alpha", "a", "beta", "b", "preview", "pre", "rc", "c", NULL};
	static const int64_t rank[] = {0, 0, 1, 1, 2, 2, 2, 2};
	static const char *const post[] = {"post", "rev", "r", NULL}, *const dev[] = {"dev", NULL};
	struct str all = s;
	size_t i = 0;
	int64_t word = 0, n;
	bool ok;

	s = str_trim(s);
	*v = (struct pep440){.pre = {INT64_MAX, 0}, .post = -1, .dev = INT64_MAX, .local = STR("")};
	if (s.n && (s.p[0] | 32) == 'v')
		i++;
	ok = number(s, &i, &n);
	if (ok && i < s.n && s.p[i] == '!') {
		v->epoch = n;
		i++;
		ok = number(s, &i, &n);
	}
	v->release[v->n++] = n;
	while (ok && i + 1 < s.n && s.p[i] == '.' && digit(s.p[i + 1]) && v->n < 16) {
		i++;
		ok = number(s, &i, &v->release[v->n++]);
	}
	if (tagged(s, &i, pre, &word, &v->pre[1]))
		v->pre[0] = rank[word];
	if (i + 1 < s.n && s.p[i] == '-' && digit(s.p[i + 1])) {
		i++;
		number(s, &i, &v->post);
	} else {
		tagged(s, &i, post, &word, &v->post);
	}
	if (tagged(s, &i, dev, &word, &v->dev) && v->pre[0] == INT64_MAX && v->post < 0)
		v->pre[0] = -1;
	if (i < s.n && s.p[i] == '+') {
		v->local = str_n(s.p + i + 1, s.n - i - 1);
		i = s.n;
	}
	if (!ok || i != s.n)
		return jinja_fail(err, "Version comparison failed: Invalid version: '%.*s'", STR_FMT(all));
	return true;
}

static bool cmp_pep440(struct arena *a, struct str x, struct str y, int *ret, struct err *err)
{
	struct pep440 p, q;

	if (!parse_pep440(x, &p, err) || !parse_pep440(y, &q, err))
		return false;
	*ret = sign(p.epoch - q.epoch);
	for (size_t i = 0; !*ret && i < 16; i++)
		*ret = sign(p.release[i] - q.release[i]);
	const int64_t px[] = {p.pre[0], p.pre[1], p.post, p.dev}, qx[] = {q.pre[0], q.pre[1], q.post, q.dev};

	for (size_t i = 0; !*ret && i < 4; i++)
		*ret = px[i] < qx[i] ? -1 : px[i] > qx[i];
	if (!*ret)
		return cmp_loose(a, p.local, q.local, ret, err);
	return true;
}

/* ---- the test */

static bool operator_of(struct str s, enum cmp_op *ret)
{
	static const struct {
		const char *name;
		enum cmp_op op;
	} ops[] = {{"==", CMP_EQ}, {"=", CMP_EQ},  {"eq", CMP_EQ}, {"<", CMP_LT},  {"lt", CMP_LT},
	           {"<=", CMP_LE}, {"le", CMP_LE}, {">", CMP_GT},  {"gt", CMP_GT}, {">=", CMP_GE},
	           {"ge", CMP_GE}, {"!=", CMP_NE}, {"<>", CMP_NE}, {"ne", CMP_NE}};

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		if (str_eqc(s, ops[i].name)) {
			*ret = ops[i].op;
			return true;
		}
	}
	return false;
}

typedef bool cmp_fn(struct arena *a, struct str x, struct str y, int *ret, struct err *err);

static cmp_fn *comparer(struct str type)
{
	static const struct {
		const char *name;
		cmp_fn *fn;
	} types[] = {{"loose", cmp_loose},
	             {"strict", cmp_strict},
	             {"semver", cmp_semver},
	             {"semantic", cmp_semver},
	             {"pep440", cmp_pep440}};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_eqc(type, types[i].name))
			return types[i].fn;
	return NULL;
}

static bool t_version(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[5];
	struct str x, y, op, type;
	enum cmp_op cmp;
	cmp_fn *fn;
	int order;

	if (!jinja_args(c, "version", "value version operator= strict= version_type=", v, err) ||
	    !arg_text(c, v[0], &x, err) || !arg_text(c, v[1], &y, err) ||
	    !arg_str(c, v[2], STR("eq"), &op, err) ||
	    !arg_str(c, v[4] && val_is_null(v[4]) ? NULL : v[4], STR(""), &type, err))
		return false;
	if (v[3] && !val_is_null(v[3]) && type.n)
		return jinja_fail(err, "Cannot specify both 'strict' and 'version_type'");
	if (!val_truthy(v[0]))
		return jinja_fail(err, "Input version value cannot be empty");
	if (!val_truthy(v[1]))
		return jinja_fail(err, "Version parameter to compare against cannot be empty");
	fn = type.n ? comparer(type) : v[3] && val_truthy(v[3]) ? cmp_strict : cmp_loose;
	if (!fn)
		return jinja_fail(err,
		                  "Invalid version type (%.*s). Must be one of 'loose', 'strict', 'semver', "
		                  "'semantic', "
		                  "'pep440'",
		                  STR_FMT(type));
	if (!operator_of(op, &cmp))
		return jinja_fail(err,
		                  "Invalid operator type (%.*s). Must be one of '==', '=', 'eq', '<', 'lt', "
		                  "'<=', 'le', "
		                  "'>', 'gt', '>=', 'ge', '!=', '<>', 'ne'",
		                  STR_FMT(op));
	if (!fn(c->a, x, y, &order, err))
		return false;
	*ret = val_bool(cmp == CMP_EQ   ? order == 0
	                : cmp == CMP_NE ? order != 0
	                : cmp == CMP_LT ? order < 0
	                : cmp == CMP_LE ? order <= 0
	                : cmp == CMP_GT ? order > 0
	                                : order >= 0);
	return true;
}

const struct jinja_func jinja_tests_version[] = {
        {"version", t_version, "Compares versions: value is version('2.4', '>='); strict, version_type.", 0,
         NULL},
        {"version_compare", t_version,
         "Compares versions: value is version('2.4', '>='); strict, version_type.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
