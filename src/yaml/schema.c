#include "base/val_big.h"
#include "yaml/schema.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

static bool is_one_of(struct str s, const char *const *words)
{
	for (; *words; words++)
		if (str_eqc(s, *words))
			return true;
	return false;
}

static const char *const true_words[] = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
static const char *const false_words[] = {"no",    "No",  "NO",  "false", "False",
                                          "FALSE", "off", "Off", "OFF",   NULL};
static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};

/* Characters of SET (digits and underscore of a base) from I on. */
static size_t span(struct str s, size_t i, const char *set)
{
	size_t from = i;
	while (i < s.n && s.p[i] && strchr(set, s.p[i]))
		i++;
	return i - from;
}

#define DIGITS "0123456789_"

/* The ":59" groups of a sexagesimal number from I on; 0 when there is none. */
static size_t span_sexagesimal(struct str s, size_t i)
{
	size_t from = i;
	while (i + 1 < s.n && s.p[i] == ':' && isdigit((unsigned char)s.p[i + 1])) {
		bool two = i + 2 < s.n && isdigit((unsigned char)s.p[i + 2]);
		if (two && s.p[i + 1] > '5')
			break;
		i += two ? 3 : 2;
	}
	return i - from;
}

static bool is_int(struct str s)
{
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
	if (i >= s.n)
		return false;
	if (s.p[i] == '0') {
		if (i + 1 == s.n)
			return true;
		char c = s.p[i + 1];
		if (c == 'b')
			return i + 2 < s.n && span(s, i + 2, "01_") == s.n - i - 2;
		if (c == 'x')
			return i + 2 < s.n && span(s, i + 2, "0123456789abcdefABCDEF_") == s.n - i - 2;
		return span(s, i + 1, "01234567_") == s.n - i - 1;
	}
	if (s.p[i] < '1' || s.p[i] > '9')
		return false;
	i += span(s, i, DIGITS);
	if (i == s.n)
		return true;
	return i + span_sexagesimal(s, i) == s.n;
}

static size_t span_exponent(struct str s, size_t i)
{
	if (i + 2 < s.n && (s.p[i] == 'e' || s.p[i] == 'E') && (s.p[i + 1] == '-' || s.p[i + 1] == '+')) {
		size_t n = 0;
		while (i + 2 + n < s.n && isdigit((unsigned char)s.p[i + 2 + n]))
			n++;
		return n ? n + 2 : 0;
	}
	return 0;
}

static bool is_float(struct str s)
{
	static const char *const special[] = {".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
	                                      "-.Inf", "-.INF", ".nan", ".NaN",  ".NAN",  NULL};
	if (is_one_of(s, special))
		return true;
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
	if (i >= s.n)
		return false;
	if (s.p[i] == '.') {
		if (i + 1 >= s.n || !isdigit((unsigned char)s.p[i + 1]))
			return false;
		i += 1 + span(s, i + 1, DIGITS);
		return i + span_exponent(s, i) == s.n;
	}
	if (!isdigit((unsigned char)s.p[i]))
		return false;
	i += span(s, i, DIGITS);
	size_t sexa = span_sexagesimal(s, i);
	i += sexa;
	if (i >= s.n || s.p[i] != '.')
		return false;
	i += 1 + span(s, i + 1, DIGITS);
	return i + (sexa ? 0 : span_exponent(s, i)) == s.n;
}

/* N to M digits at *I. */
static bool take_digits(struct str s, size_t *i, size_t n, size_t m)
{
	size_t k = 0;
	while (k < m && *i + k < s.n && isdigit((unsigned char)s.p[*i + k]))
		k++;
	*i += k;
	return k >= n;
}

static bool take_char(struct str s, size_t *i, char c)
{
	if (*i >= s.n || s.p[*i] != c)
		return false;
	++*i;
	return true;
}

static bool is_zone(struct str s, size_t i)
{
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	if (i == s.n)
		return true;
	if (s.p[i] == 'Z')
		return i + 1 == s.n;
	if (s.p[i] != '-' && s.p[i] != '+')
		return false;
	i++;
	if (!take_digits(s, &i, 1, 2))
		return false;
	return i == s.n || (take_char(s, &i, ':') && take_digits(s, &i, 2, 2) && i == s.n);
}

static bool is_timestamp(struct str s)
{
	size_t i = 0;
	if (s.n == 10 && take_digits(s, &i, 4, 4) && take_char(s, &i, '-') && take_digits(s, &i, 2, 2) &&
	    take_char(s, &i, '-') && take_digits(s, &i, 2, 2))
		return true;
	i = 0;
	if (!take_digits(s, &i, 4, 4) || !take_char(s, &i, '-') || !take_digits(s, &i, 1, 2) ||
	    !take_char(s, &i, '-') || !take_digits(s, &i, 1, 2) || i >= s.n)
		return false;
	if (s.p[i] == 'T' || s.p[i] == 't')
		i++;
	else if (s.p[i] == ' ' || s.p[i] == '\t')
		i += span(s, i, " \t");
	else
		return false;
	if (!take_digits(s, &i, 1, 2) || !take_char(s, &i, ':') || !take_digits(s, &i, 2, 2) ||
	    !take_char(s, &i, ':') || !take_digits(s, &i, 2, 2))
		return false;
	if (take_char(s, &i, '.'))
		take_digits(s, &i, 0, s.n);
	return is_zone(s, i);
}

enum yaml_tag yaml_resolve(struct str s)
{
	if (is_one_of(s, null_words))
		return YAML_T_NULL;
	if (is_one_of(s, true_words) || is_one_of(s, false_words))
		return YAML_T_BOOL;
	if (str_eqc(s, "<<"))
		return YAML_T_MERGE;
	if (str_eqc(s, "="))
		return YAML_T_VALUE;
	if (!strchr("-+0123456789.", s.p[0]))
		return YAML_T_STR;
	if (is_float(s))
		return YAML_T_FLOAT;
	if (is_int(s))
		return YAML_T_INT;
	return is_timestamp(s) ? YAML_T_TIMESTAMP : YAML_T_STR;
}

/* Digits of BASE without underscores; false when the number leaves int64. */
static bool digits_value(const char *p, const char *end, unsigned base, int64_t *ret)
{
	int64_t v = *ret;
	for (; p < end; p++) {
		if (*p == '_')
			continue;
		int d = isdigit((unsigned char)*p) ? *p - '0' : tolower((unsigned char)*p) - 'a' + 10;
		if (__builtin_mul_overflow(v, (int64_t)base, &v) || __builtin_add_overflow(v, (int64_t)d, &v))
			return false;
	}
	*ret = v;
	return true;
}

static struct val *construct_big(struct arena *a, struct str s, bool neg)
{
	unsigned base = 10;
	if (s.p[0] == '-' || s.p[0] == '+')
		s = str_from(s, 1);
	if (memchr(s.p, ':', s.n))
		return NULL;
	if (s.n > 1 && s.p[0] == '0') {
		base = s.p[1] == 'b' ? 2 : s.p[1] == 'x' ? 16 : 8;
		s = str_from(s, base == 8 ? 1 : 2);
	}
	return val_big_parse(a, s, base, neg);
}

static struct val *construct_int(struct arena *a, struct str s)
{
	const char *p = s.p, *end = s.p + s.n;
	bool neg = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	int64_t v = 0;
	bool ok = true;
	if (end - p > 1 && *p == '0' && p[1] == 'b') {
		ok = digits_value(p + 2, end, 2, &v);
	} else if (end - p > 1 && *p == '0' && p[1] == 'x') {
		ok = digits_value(p + 2, end, 16, &v);
	} else if (end - p > 1 && *p == '0' && !memchr(p, ':', (size_t)(end - p))) {
		ok = digits_value(p + 1, end, 8, &v);
	} else {
		while (ok && p < end) {
			const char *colon = memchr(p, ':', (size_t)(end - p));
			const char *stop = colon ? colon : end;
			int64_t part = 0;
			ok = digits_value(p, stop, 10, &part) &&
			     !__builtin_mul_overflow(v, (int64_t)60, &v) &&
			     !__builtin_add_overflow(v, part, &v);
			p = colon ? colon + 1 : end;
		}
	}
	if (ok)
		return val_int(a, neg ? -v : v);
	/* Python's integers have no end; where ours do, text keeps every digit. */
	struct val *big = construct_big(a, s, neg);
	return big ? big : val_str(a, s);
}

static struct val *construct_float(struct arena *a, struct str s)
{
	char buf[128];
	size_t n = 0;
	for (size_t i = 0; i < s.n && n + 1 < sizeof(buf); i++)
		if (s.p[i] != '_')
			buf[n++] = (char)tolower((unsigned char)s.p[i]);
	buf[n] = 0;
	double sign = buf[0] == '-' ? -1 : 1;
	const char *p = buf + (buf[0] == '-' || buf[0] == '+');
	if (strcmp(p, ".inf") == 0)
		return val_float(a, sign * (double)INFINITY);
	if (strcmp(p, ".nan") == 0)
		return val_float(a, (double)NAN);
	double v = 0;
	for (;;) {
		char *end;
		double part = strtod(p, &end);
		if (end == p)
			return NULL;
		v = v * 60 + part;
		if (*end != ':')
			return *end ? NULL : val_float(a, sign * v);
		p = end + 1;
	}
}

struct val *yaml_construct(struct arena *a, enum yaml_tag tag, struct str s)
{
	switch (tag) {
	case YAML_T_NULL: return val_null();
	case YAML_T_BOOL:
		if (is_one_of(s, true_words))
			return val_bool(true);
		return is_one_of(s, false_words) ? val_bool(false) : NULL;
	case YAML_T_INT: return is_int(s) ? construct_int(a, s) : NULL;
	case YAML_T_FLOAT: return construct_float(a, s);
	case YAML_T_TIMESTAMP:
	case YAML_T_VALUE:
	case YAML_T_MERGE:
	case YAML_T_STR: break;
	}
	return val_str(a, s);
}
