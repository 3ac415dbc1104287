#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
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

/* Python's \Z is the very end, which PCRE2 spells \z. */
static void translate(struct str pattern, struct buf *out)
{
	for (size_t i = 0; i < pattern.n; i++) {
		char c = pattern.p[i];
		if (c == '\\' && i + 1 < pattern.n) {
			char d = pattern.p[++i];
			buf_addc(out, c);
			buf_addc(out, d == 'Z' ? 'z' : d);
		} else {
			buf_addc(out, c);
		}
	}
}

struct regex *regex_new(struct arena *a, struct str pattern, unsigned flags, struct err *err)
{
	int code;
	PCRE2_SIZE at;
	struct buf b = {0};
	translate(pattern, &b);
	uint32_t options = (flags & REGEX_MULTILINE ? PCRE2_MULTILINE : 0) |
	                   (flags & REGEX_DOTALL ? PCRE2_DOTALL : 0) |
	                   (flags & REGEX_UTF8 ? PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF : 0) |
	                   PCRE2_ALLOW_EMPTY_CLASS;
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
	re->data = pcre2_match_data_create(REGEX_GROUPS, NULL);
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

bool regex_expand(const struct regex *re, struct str s, const struct regex_match *mt, struct str t,
                  struct buf *out, struct err *err)
{
	static const char letters[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] != '\\' || i + 1 >= t.n) {
			buf_addc(out, t.p[i]);
			continue;
		}
		char c = t.p[++i];
		const char *at = strchr(letters, c);
		if (c == 'g') {
			if (!add_named(re, s, mt, t, &i, out, err))
				return false;
		} else if (c >= '1' && c <= '9') {
			int64_t group = c - '0';
			if (i + 1 < t.n && isdigit((unsigned char)t.p[i + 1]))
				group = group * 10 + (t.p[++i] - '0');
			if (!add_group(s, mt, group, out, err))
				return false;
		} else if (c && at) {
			buf_addc(out, values[at - letters]);
		} else {
			buf_addc(out, '\\');
			buf_addc(out, c);
		}
	}
	return true;
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
