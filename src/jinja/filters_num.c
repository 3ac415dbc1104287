/* filters_num - Ansible's filters over numbers and sizes; random choice with Python's generator. */
#include "base/val_big.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include "jinja/hash.h"
#include "jinja/random.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static bool need_number(const struct val *v, const char *who, double *ret, struct err *err)
{
	if (!val_is_num(v) && val_kind(v) != VAL_BOOL)
		return jinja_fail(err, "%s() can only be used on numbers: must be real number, not %s", who,
		                  val_type_name(v));
	*ret = val_get_float(v);
	return true;
}

static bool f_log(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	double x, base = 0;

	if (!jinja_args(c, "log", "x base=", v, err) || !need_number(v[0], "log", &x, err) ||
	    (v[1] && !need_number(v[1], "log", &base, err)))
		return false;
	if (x <= 0 || (v[1] && base <= 0))
		return jinja_fail(err, "math domain error");
	if (v[1] && base == 1)
		return jinja_fail(err, "float division by zero");
	*ret = val_float(c->a, !v[1] ? log(x) : base == 10 ? log10(x) : log(x) / log(base));
	return true;
}

static bool f_pow(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	double x, y, r;

	if (!jinja_args(c, "pow", "x y", v, err) || !need_number(v[0], "pow", &x, err) ||
	    !need_number(v[1], "pow", &y, err))
		return false;
	r = pow(x, y);
	if ((isnan(r) && !isnan(x) && !isnan(y)) || (x == 0 && y < 0))
		return jinja_fail(err, "math domain error");
	if (isinf(r) && !isinf(x) && !isinf(y))
		return jinja_fail(err, "math range error");
	*ret = val_float(c->a, r);
	return true;
}

static bool f_root(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	double x, base = 2;

	if (!jinja_args(c, "root", "x base=", v, err) || !need_number(v[0], "root", &x, err) ||
	    (v[1] && !need_number(v[1], "root", &base, err)))
		return false;
	if (base == 0)
		return jinja_fail(err, "float division by zero");
	x = base < 0 && x == 0 ? NAN : base == 2 ? sqrt(x) : pow(x, 1.0 / base);
	if (isnan(x))
		return jinja_fail(err, "root() can only be used on numbers: math domain error");
	*ret = val_float(c->a, x);
	return true;
}

/* ---- sizes */

static const char size_units[] = "YZEPTGMKB";

static double unit_factor(char unit)
{
	const char *at = strchr(size_units, unit);

	return at && unit ? ldexp(1, 10 * (int)(size_units + sizeof(size_units) - 2 - at)) : 0;
}

static char upper(char ch)
{
	return ch >= 'a' && ch <= 'z' ? (char)(ch - 32) : ch;
}

static bool f_human_readable(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	double size;
	bool bits;
	const char *u = size_units;
	struct str unit;

	if (!jinja_args(c, "human_readable", "size isbits= unit=", v, err) ||
	    !arg_str(c, v[2] && val_is_null(v[2]) ? NULL : v[2], STR(""), &unit, err))
		return false;
	if (!val_is_num(v[0]) && val_kind(v[0]) != VAL_BOOL)
		return jinja_fail(err,
		                  "human_readable() failed on bad input: '>=' not supported between "
		                  "instances of '%s' and 'int'",
		                  val_type_name(v[0]));
	size = val_get_float(v[0]);
	bits = arg_bool(v[1], false);
	while (*u != 'B' && (unit.n ? unit.n > 1 || upper(unit.p[0]) != *u : size < unit_factor(*u)))
		u++;
	if (*u == 'B')
		*ret = val_strf(c->a, "%.2f %s", size, bits ? "bits" : "Bytes");
	else
		*ret = val_strf(c->a, "%.2f %c%c", size / unit_factor(*u), *u, bits ? 'b' : 'B');
	return true;
}

static bool has_word(struct str s, const char *word)
{
	for (size_t i = 0; i + strlen(word) <= s.n; i++)
		if (!strncasecmp(s.p + i, word, strlen(word)))
			return true;
	return false;
}

static bool whole_bytes(struct jinja_call *c, double num, struct val **ret, struct err *err)
{
	*ret = isfinite(num) ? val_big_trunc(c->a, nearbyint(num)) : NULL;
	return *ret || jinja_fail(err, "cannot convert float infinity to integer");
}

static bool f_human_to_bytes(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	struct str s, unit, rest;
	size_t i = 0, from;
	bool bits;
	double num;
	char key;

	if (!jinja_args(c, "human_to_bytes", "size default_unit= isbits=", v, err) ||
	    !arg_text(c, v[0], &s, err) ||
	    !arg_str(c, v[1] && val_is_null(v[1]) ? NULL : v[1], STR(""), &unit, err))
		return false;
	bits = arg_bool(v[2], false);
	rest = text_strip(s, NULL, true, false);
	while (i < rest.n && ((rest.p[i] >= '0' && rest.p[i] <= '9') || rest.p[i] == '.'))
		i++;
	if (!i || (i == 1 && rest.p[0] == '.'))
		return jinja_fail(err,
		                  "human_to_bytes() can't interpret following number: %.*s (original input "
		                  "string: %.*s)",
		                  (int)i, rest.p, STR_FMT(s));
	num = strtod(arena_strndup(c->a, rest.p, i), NULL);
	while (i < rest.n && cp_space((unsigned char)rest.p[i]))
		i++;
	for (from = i; i < rest.n && upper(rest.p[i]) >= 'A' && upper(rest.p[i]) <= 'Z';)
		i++;
	if (i > from)
		unit = str_n(rest.p + from, i - from);
	if (!unit.n)
		return whole_bytes(c, num, ret, err);
	key = upper(unit.p[0]);
	if (unit_factor(key) == 0)
		return jinja_fail(err,
		                  "human_to_bytes() failed to convert %.*s (unit = %.*s). The suffix must be "
		                  "one of Y, Z, E, "
		                  "P, T, G, M, K, B",
		                  STR_FMT(s), STR_FMT(unit));
	if (unit.n > 1 && !has_word(unit, bits ? "bit" : "byte") && unit.p[1] != (bits ? 'b' : 'B'))
		return jinja_fail(err,
		                  "human_to_bytes() failed to convert %.*s. Value is not a valid string "
		                  "(expect %c%c or %c)",
		                  STR_FMT(s), key, bits ? 'b' : 'B', key);
	num *= unit_factor(key);
	return whole_bytes(c, num, ret, err);
}

/* ---- random: MT19937 seeded as Python's random.Random is, so that a seed gives the same choice */

struct mt {
	uint32_t s[624];
	size_t i;
	bool system; /* unseeded: the kernel's generator */
};

static void mt_seed(struct mt *m, const uint32_t *key, size_t n)
{
	size_t i = 1, j = 0;

	m->s[0] = 19650218u;
	for (size_t k = 1; k < 624; k++)
		m->s[k] = 1812433253u * (m->s[k - 1] ^ m->s[k - 1] >> 30) + (uint32_t)k;
	for (size_t k = n > 624 ? n : 624; k > 0; k--) {
		m->s[i] = (m->s[i] ^ (m->s[i - 1] ^ m->s[i - 1] >> 30) * 1664525u) + key[j] + (uint32_t)j;
		if (++i >= 624) {
			m->s[0] = m->s[623];
			i = 1;
		}
		if (++j >= n)
			j = 0;
	}
	for (size_t k = 623; k > 0; k--) {
		m->s[i] = (m->s[i] ^ (m->s[i - 1] ^ m->s[i - 1] >> 30) * 1566083941u) - (uint32_t)i;
		if (++i >= 624) {
			m->s[0] = m->s[623];
			i = 1;
		}
	}
	m->s[0] = 0x80000000u;
	m->i = 624;
}

static bool mt_next(struct mt *m, uint32_t *ret, struct err *err)
{
	uint32_t y;

	if (m->system) {
		if (getrandom(ret, sizeof(*ret), 0) != sizeof(*ret))
			return err_sys(err, ERR_REMOTE, "getrandom");
		return true;
	}
	if (m->i == 624) {
		for (size_t k = 0; k < 624; k++) {
			y = (m->s[k] & 0x80000000u) | (m->s[(k + 1) % 624] & 0x7fffffffu);
			m->s[k] = m->s[(k + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
		}
		m->i = 0;
	}
	y = m->s[m->i++];
	y ^= y >> 11;
	y ^= y << 7 & 0x9d2c5680u;
	y ^= y << 15 & 0xefc60000u;
	*ret = y ^ y >> 18;
	return true;
}

/* A number below N, drawn as Python does: as many bits as N has, again until it is small enough. */
static bool mt_below(struct mt *m, uint64_t n, uint64_t *ret, struct err *err)
{
	unsigned bits = 0;

	for (uint64_t x = n; x; x >>= 1)
		bits++;
	do {
		uint32_t lo, hi = 0;

		if (!mt_next(m, &lo, err) || (bits > 32 && !mt_next(m, &hi, err)))
			return false;
		*ret = bits <= 32 ? lo >> (32 - bits) : (uint64_t)(hi >> (64 - bits)) << 32 | lo;
	} while (*ret >= n);
	return true;
}

/* The seed as Random() takes it: a number's magnitude, or a text's bytes followed by their SHA-512. */
static bool mt_init(struct arena *a, struct mt *m, const struct val *seed, struct err *err)
{
	unsigned char sum[HASH_MAX];
	struct str s;
	struct buf b = {0};
	uint32_t *key;
	size_t n;

	m->system = !seed || val_is_null(seed);
	if (m->system)
		return true;
	if (val_kind(seed) == VAL_INT || val_kind(seed) == VAL_BOOL) {
		int64_t i = val_kind(seed) == VAL_INT ? val_get_int(seed) : val_get_bool(seed);
		uint64_t u = i < 0 ? (uint64_t)0 - (uint64_t)i : (uint64_t)i;
		uint32_t two[2] = {(uint32_t)u, (uint32_t)(u >> 32)};

		mt_seed(m, two, two[1] ? 2 : 1);
		return true;
	}
	if (!val_is_str(seed))
		return jinja_fail(
		        err,
		        "The only supported seed types are: None, int, float, str, bytes, and bytearray.");
	s = val_get_str(seed);
	hash_bytes(STR("sha512"), s, sum);
	buf_addstr(&b, s);
	buf_add(&b, sum, sizeof(sum));
	n = (b.n + 3) / 4;
	key = arena_array(a, n, sizeof(*key));
	/* One big-endian number, cut into words from its low end; leading zero words do not count. */
	for (size_t i = 0; i < b.n; i++)
		key[i / 4] |= (uint32_t)(unsigned char)b.p[b.n - 1 - i] << (8 * (i % 4));
	buf_free(&b);
	while (n > 1 && !key[n - 1])
		n--;
	mt_seed(m, key, n);
	return true;
}

bool random_below(struct arena *a, const struct val *seed, uint64_t n, uint64_t *ret, struct err *err)
{
	struct mt m;

	return mt_init(a, &m, seed, err) && mt_below(&m, n, ret, err);
}

bool random_chars(struct arena *a, const struct val *seed, struct str chars, size_t n, struct buf *out,
                  struct err *err)
{
	struct mt m;
	uint64_t at;

	if (!chars.n)
		return jinja_fail(err, "there is no character to choose");
	if (!mt_init(a, &m, seed, err))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!mt_below(&m, chars.n, &at, err))
			return false;
		buf_addc(out, chars.p[at]);
	}
	return true;
}

static bool random_range(struct jinja_call *c, struct mt *m, struct val **v, struct val **ret,
                         struct err *err)
{
	int64_t end, start, step;
	uint64_t n, at;

	if (!arg_int(v[0], 0, &end, err) || !arg_int(v[1], 0, &start, err) || !arg_int(v[2], 1, &step, err))
		return false;
	step = step ? step : 1;
	if (step > 0 ? start >= end : start <= end)
		return jinja_fail(err, "empty range for randrange() (%lld, %lld, %lld)", (long long)start,
		                  (long long)end, (long long)step);
	n = step > 0 ? ((uint64_t)end - (uint64_t)start - 1) / (uint64_t)step + 1
	             : ((uint64_t)start - (uint64_t)end - 1) / ((uint64_t)0 - (uint64_t)step) + 1;
	if (!mt_below(m, n, &at, err))
		return false;
	*ret = val_int(c->a, start + (int64_t)at * step);
	return true;
}

static bool f_random(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4], *list;
	struct mt m;
	uint64_t at;

	if (!jinja_args(c, "random", "end start= step= seed=", v, err) || !mt_init(c->a, &m, v[3], err))
		return false;
	if (val_kind(v[0]) == VAL_INT)
		return random_range(c, &m, v, ret, err);
	if ((v[1] && val_truthy(v[1])) || (v[2] && val_truthy(v[2])))
		return jinja_fail(err, "start and step can only be used with integer values");
	if (!val_is_list(v[0]) && !val_is_str(v[0]) && val_kind(v[0]) != VAL_OBJ)
		return jinja_fail(err, "random can only be used on sequences and integers");
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	if (!val_len(list)) {
		*ret = val_undef(c->a, STR(""), "No random item, sequence was empty.");
		return true;
	}
	if (!mt_below(&m, val_len(list), &at, err))
		return false;
	*ret = val_at(list, at);
	return true;
}

static bool f_shuffle(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *list;
	struct mt m;

	if (!jinja_args(c, "shuffle", "mylist seed=", v, err))
		return false;
	if (!val_is_list(v[0]) && !val_is_str(v[0]) && !val_is_map(v[0])) {
		*ret = v[0];
		return true;
	}
	if (!mt_init(c->a, &m, v[1] && val_truthy(v[1]) ? v[1] : NULL, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	list = val_shallow(c->a, list);
	for (size_t i = val_len(list); i-- > 1;) {
		struct val *x = val_at(list, i);
		uint64_t j;

		if (!mt_below(&m, i + 1, &j, err))
			return false;
		val_set_at(list, i, val_at(list, j));
		val_set_at(list, j, x);
	}
	*ret = list;
	return true;
}

const struct jinja_func jinja_filters_random[] = {
        {"random", f_random, "A random item, or number below the value; start, step, seed.", JINJA_IMPURE,
         NULL},
        {NULL, NULL, NULL, 0, NULL},
};

const struct jinja_func jinja_filters_num[] = {
        {"human_readable", f_human_readable, "A number of bytes (or bits) as 1.50 GB.", 0, NULL},
        {"human_to_bytes", f_human_to_bytes, "The number of bytes in 10M, 1.5 GB …", 0, NULL},
        {"log", f_log, "The logarithm, natural or to a base.", 0, NULL},
        {"pow", f_pow, "The power of a number.", 0, NULL},
        {"root", f_root, "The square root, or that of another degree.", 0, NULL},
        {"shuffle", f_shuffle, "The items in random order; seed.", JINJA_IMPURE, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
