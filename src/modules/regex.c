#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include "base/pyre.h"
#include "modules/regex.h"

struct regex {
	pcre2_code *code;
	pcre2_match_data *data;
};

static void regex_free(void *p)
{
	struct regex *re = p;
	pcre2_match_data_free(re->data);
	pcre2_code_free(re->code);
}

struct regex *regex_new(struct arena *a, struct str pattern, unsigned flags, struct err *err)
{
	int code;
	PCRE2_SIZE at;
	struct buf b = {0};
	bool ascii;
	if (!pyre_translate(pattern, &b, &ascii, err)) {
		buf_free(&b);
		return NULL;
	}
	uint32_t options =
	        (flags & REGEX_MULTILINE ? PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX : 0) |
	        (flags & REGEX_DOTALL ? PCRE2_DOTALL : 0) |
	        (flags & REGEX_UTF8 ? PCRE2_UTF | (ascii ? 0 : PCRE2_UCP) | PCRE2_MATCH_INVALID_UTF : 0);
	pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(b.p ? b.p : ""), b.n, options, &code, &at, NULL);
	buf_free(&b);
	if (!compiled) {
		unsigned char msg[256] = "";
		pcre2_get_error_message(code, msg, sizeof(msg));
		err_set(err, ERR_USER, ORIGIN_NONE,
		        "the regular expression '%.*s' is broken at position %lu: %s", STR_FMT(pattern),
		        (unsigned long)at, (const char *)msg);
		return NULL;
	}
	struct regex *re = ARENA_NEW(a, struct regex);
	re->code = compiled;
	re->data = xneed(pcre2_match_data_create(REGEX_GROUPS, NULL));
	arena_defer(a, regex_free, re);
	return re;
}

bool regex_search(const struct regex *re, struct str s, size_t from, struct regex_match *ret)
{
	int n = pcre2_match(re->code, (PCRE2_SPTR)(s.p ? s.p : ""), s.n, from, 0, re->data, NULL);
	if (n < 0)
		return false;
	if (!ret)
		return true;
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(re->data);
	uint32_t groups = 0;
	pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	ret->n = groups + 1 < REGEX_GROUPS ? groups + 1 : REGEX_GROUPS;
	for (size_t i = 0; i < ret->n; i++) {
		bool set = (n == 0 || i < (size_t)n) && v[2 * i] != PCRE2_UNSET;
		ret->start[i] = set ? v[2 * i] : SIZE_MAX;
		ret->end[i] = set ? v[2 * i + 1] : SIZE_MAX;
	}
	return true;
}

int regex_group(const struct regex *re, const char *name)
{
	int n = pcre2_substring_number_from_name(re->code, (PCRE2_SPTR)name);
	return n > 0 ? n : -1;
}

static bool add_group(struct str s, const struct regex_match *mt, int64_t group, struct buf *out,
                      struct err *err)
{
	if (group < 0 || (size_t)group >= mt->n)
		return err_set(err, ERR_USER, ORIGIN_NONE, "invalid group reference %lld", (long long)group);
	if (mt->start[group] != SIZE_MAX)
		buf_add(out, s.p + mt->start[group], mt->end[group] - mt->start[group]);
	return true;
}

/* \g<...> at T[I] (the g); *I is left on the closing bracket. */
static bool add_named(const struct regex *re, struct str s, const struct regex_match *mt, struct str t,
                      size_t *i, struct buf *out, struct err *err)
{
	char name[64];
	size_t start = *i + 2, end = start;
	int64_t group;
	while (end < t.n && t.p[end] != '>')
		end++;
	if (start > t.n || t.p[*i + 1] != '<' || end >= t.n || end - start >= sizeof(name))
		return err_set(err, ERR_USER, ORIGIN_NONE, "missing group name in the replacement");
	memcpy(name, t.p + start, end - start);
	name[end - start] = '\0';
	if (!str_int(str_c(name), &group))
		group = regex_group(re, name);
	*i = end;
	return add_group(s, mt, group, out, err);
}

static bool is_octal(struct str t, size_t i)
{
	return i < t.n && t.p[i] >= '0' && t.p[i] <= '7';
}

/* \0 to \099 and \100 to \377 are characters, other numbers groups. *I is on the first digit, then on the
 * last. */
static bool add_number(struct str s, const struct regex_match *mt, struct str t, size_t *i, struct buf *out,
                       struct err *err)
{
	size_t n = 1;
	if (t.p[*i] == '0' || (is_octal(t, *i) && is_octal(t, *i + 1) && is_octal(t, *i + 2))) {
		unsigned c = 0;
		for (n = 0; n < 3 && is_octal(t, *i + n); n++)
			c = c * 8 + (unsigned)(t.p[*i + n] - '0');
		buf_addc(out, (char)c);
		*i += n - 1;
		return c <= 0377 || err_set(err, ERR_USER, ORIGIN_NONE,
		                            "octal escape value \\%o outside of range 0-0o377", c);
	}
	int64_t group = t.p[*i] - '0';
	if (*i + 1 < t.n && isdigit((unsigned char)t.p[*i + 1]))
		group = group * 10 + (t.p[++*i] - '0');
	return add_group(s, mt, group, out, err);
}

bool regex_expand(const struct regex *re, struct str s, const struct regex_match *mt, struct str t,
                  struct buf *out, struct err *err)
{
	static const char letters[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] != '\\') {
			buf_addc(out, t.p[i]);
			continue;
		}
		if (++i >= t.n)
			return err_set(err, ERR_USER, ORIGIN_NONE,
			               "bad escape (end of pattern) at position %zu", i - 1);
		char c = t.p[i];
		const char *at = strchr(letters, c);
		if (c == 'g') {
			if (!add_named(re, s, mt, t, &i, out, err))
				return false;
		} else if (isdigit((unsigned char)c)) {
			if (!add_number(s, mt, t, &i, out, err))
				return false;
		} else if (c && at) {
			buf_addc(out, values[at - letters]);
		} else if (isalpha((unsigned char)c)) {
			return err_set(err, ERR_USER, ORIGIN_NONE, "bad escape \\%c at position %zu", c,
			               i - 1);
		} else {
			buf_addc(out, '\\');
			buf_addc(out, c);
		}
	}
	return true;
}

bool regex_check(const struct regex *re, struct str t, struct err *err)
{
	struct regex_match none = {0};
	struct buf b = {0};
	uint32_t groups = 0;
	pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	none.n = groups + 1 < REGEX_GROUPS ? groups + 1 : REGEX_GROUPS;
	for (size_t i = 0; i < none.n; i++)
		none.start[i] = none.end[i] = SIZE_MAX;
	bool ok = regex_expand(re, (struct str){0}, &none, t, &b, err);
	buf_free(&b);
	return ok;
}

const char *regex_group_name(const struct regex *re, int group)
{
	uint32_t count = 0, size = 0;
	PCRE2_SPTR table = NULL;
	pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &count);
	pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &table);
	for (uint32_t i = 0; i < count; i++) {
		PCRE2_SPTR row = table + (size_t)i * size;
		if ((row[0] << 8 | row[1]) == group)
			return (const char *)(row + 2);
	}
	return NULL;
}
