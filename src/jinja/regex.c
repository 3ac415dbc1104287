/* regex - Python's regular expressions on PCRE2: the regex_* filters and the match, search, regex tests. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "base/pyre.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

enum { RE_IGNORECASE = 1, RE_MULTILINE = 2, RE_ANCHORED = 4, RE_FULL = 8 };

struct regex {
	pcre2_code *code;
	pcre2_match_data *match;
	unsigned groups;
	struct str text;
	size_t pos; /* where the next search begins */
	bool done;
};

/* Compiled patterns of a context, the last used first. */
struct regex_cached {
	struct regex_cached *next;
	struct str pattern;
	uint32_t options;
	pcre2_code *code;
};

static void free_code(void *code)
{
	pcre2_code_free(code);
}

static void free_match(void *match)
{
	pcre2_match_data_free(match);
}

static pcre2_code *compiled(struct jinja_ctx *ctx, struct str pattern, uint32_t options, struct err *err)
{
	struct regex_cached *r;
	struct buf b = {0};
	bool ascii;
	char msg[200];
	int code = 0;
	PCRE2_SIZE off;

	for (r = ctx->regexes; r; r = r->next)
		if (r->options == options && str_eq(r->pattern, pattern))
			return r->code;
	r = ARENA_NEW(ctx->a, struct regex_cached);
	if (pyre_translate(pattern, &b, &ascii, err))
		r->code = pcre2_compile((PCRE2_SPTR)(b.p ? b.p : ""), b.n,
		                        ascii ? options & ~(uint32_t)PCRE2_UCP : options, &code, &off, NULL);
	buf_free(&b);
	if (!r->code && !code)
		return NULL;
	if (!r->code) {
		pcre2_get_error_message(code, (PCRE2_UCHAR *)msg, sizeof(msg));
		jinja_fail(err, "the regular expression '%.*s' is not valid: %s at position %zu",
		           STR_FMT(pattern), msg, (size_t)off);
		return NULL;
	}
	arena_defer(ctx->a, free_code, r->code);
	r->pattern = str_dup(ctx->a, pattern);
	r->options = options;
	r->next = ctx->regexes;
	ctx->regexes = r;
	return r->code;
}

static bool regex_open(struct jinja_call *c, struct regex *re, struct str pattern, struct str text,
                       unsigned flags, struct err *err)
{
	uint32_t options = str_is_utf8(text) && str_is_utf8(pattern) ? PCRE2_UTF | PCRE2_UCP : 0;

	if (flags & RE_IGNORECASE)
		options |= PCRE2_CASELESS;
	/* Python's "^" also stands after a last line's end. */
	options |= PCRE2_ALT_CIRCUMFLEX;
	if (flags & RE_MULTILINE)
		options |= PCRE2_MULTILINE;
	if (flags & (RE_ANCHORED | RE_FULL))
		options |= PCRE2_ANCHORED;
	if (flags & RE_FULL)
		options |= PCRE2_ENDANCHORED;
	*re = (struct regex){.text = text.p ? text : STR("")};
	re->code = compiled(c->ctx, pattern, options, err);
	if (!re->code)
		return false;
	re->match = xneed(pcre2_match_data_create_from_pattern(re->code, NULL));
	arena_defer(c->a, free_match, re->match);
	re->groups = pcre2_get_ovector_count(re->match) - 1;
	return true;
}

/* The next match, if any, in *RET_FOUND; its groups are then in the ovector. */
static bool regex_next(struct regex *re, bool *ret_found, struct err *err)
{
	int rc;
	char msg[200];
	PCRE2_SIZE *ov;

	*ret_found = false;
	if (re->done)
		return true;
	rc = pcre2_match(re->code, (PCRE2_SPTR)re->text.p, re->text.n, re->pos, 0, re->match, NULL);
	if (rc == PCRE2_ERROR_NOMATCH) {
		re->done = true;
		return true;
	}
	if (rc < 0) {
		pcre2_get_error_message(rc, (PCRE2_UCHAR *)msg, sizeof(msg));
		return jinja_fail(err, "the regular expression cannot be matched: %s", msg);
	}
	ov = pcre2_get_ovector_pointer(re->match);
	*ret_found = true;
	re->pos = ov[1];
	return true;
}

/* After an empty match the search goes on a character further. *RET_SKIPPED is that character. */
static struct str regex_advance(struct regex *re)
{
	PCRE2_SIZE *ov = pcre2_get_ovector_pointer(re->match);
	uint32_t cp;
	size_t n;

	if (ov[0] != ov[1])
		return STR("");
	if (re->pos >= re->text.n) {
		re->done = true;
		return STR("");
	}
	n = str_utf8(str_n(re->text.p + re->pos, re->text.n - re->pos), &cp);
	re->pos += n;
	return str_n(re->text.p + re->pos - n, n);
}

bool regex_all(struct jinja_call *c, const char *pattern, struct str text, struct val *list, struct err *err)
{
	struct regex re;
	bool found;

	if (!regex_open(c, &re, str_c(pattern), text, 0, err))
		return false;
	for (;;) {
		PCRE2_SIZE *ov = pcre2_get_ovector_pointer(re.match);

		if (!regex_next(&re, &found, err))
			return false;
		if (!found)
			return true;
		val_push(list, val_str(c->a, str_n(text.p + ov[0], ov[1] - ov[0])));
		regex_advance(&re);
	}
}

/* Group I of the last match; *RET_SET false when it took no part. */
static struct str regex_group(const struct regex *re, unsigned i, bool *ret_set)
{
	PCRE2_SIZE *ov = pcre2_get_ovector_pointer(re->match);

	*ret_set = ov[2 * i] != PCRE2_UNSET;
	return *ret_set ? str_n(re->text.p + ov[2 * i], ov[2 * i + 1] - ov[2 * i]) : STR("");
}

/* A group by number or name: -1 when there is none. */
static int group_number(struct regex *re, struct str name)
{
	char tmp[128];
	int64_t i;

	if (str_int(name, &i))
		return i >= 0 && i <= (int64_t)re->groups ? (int)i : -1;
	if (name.n >= sizeof(tmp))
		return -1;
	memcpy(tmp, name.p, name.n);
	tmp[name.n] = 0;
	i = pcre2_substring_number_from_name(re->code, (PCRE2_SPTR)tmp);
	return i >= 0 ? (int)i : -1;
}

/* "\g<name>" or "\1" at the start of T: the group and how much it takes. False with *RET_LEN 0 when it is
 * neither. */
static bool group_ref(struct regex *re, struct str t, int *ret, size_t *ret_len, struct err *err)
{
	size_t n = 1;
	struct str name;

	*ret_len = 0;
	if (t.n > 2 && t.p[1] == 'g' && t.p[2] == '<') {
		const char *end = memchr(t.p, '>', t.n);

		if (!end)
			return jinja_fail(err, "missing >, unterminated name");
		name = str_n(t.p + 3, (size_t)(end - t.p) - 3);
		n = (size_t)(end - t.p) + 1;
		*ret = group_number(re, name);
		if (*ret < 0 && name.n && name.p[0] >= '0' && name.p[0] <= '9')
			return jinja_fail(err, "invalid group reference %.*s", STR_FMT(name));
		if (*ret < 0)
			return jinja_fail(err, "unknown group name '%.*s'", STR_FMT(name));
	} else {
		if (t.n < 2 || t.p[1] < '1' || t.p[1] > '9')
			return true;
		n = t.n > 2 && t.p[2] >= '0' && t.p[2] <= '9' ? 3 : 2;
		*ret = group_number(re, str_n(t.p + 1, n - 1));
		if (*ret < 0)
			return jinja_fail(err, "invalid group reference %.*s", (int)(n - 1), t.p + 1);
	}
	*ret_len = n;
	return true;
}

/* One replacement, its escapes resolved against the last match. */
static bool expand(struct regex *re, struct str t, struct buf *out, struct err *err)
{
	static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";

	for (size_t i = 0; i < t.n; i++) {
		char d = i + 1 < t.n ? t.p[i + 1] : 0;
		size_t len = 0;
		bool set;
		int g = 0;

		if (t.p[i] != '\\') {
			buf_addc(out, t.p[i]);
			continue;
		}
		if (!d)
			return jinja_fail(err, "bad escape (end of pattern) at position %zu", i);
		if (!group_ref(re, str_n(t.p + i, t.n - i), &g, &len, err))
			return false;
		if (len) {
			buf_addstr(out, regex_group(re, (unsigned)g, &set));
			i += len - 1;
		} else if (strchr(from, d)) {
			buf_addc(out, to[strchr(from, d) - from]);
			i++;
		} else if (d == '0') {
			buf_addc(out, 0);
			i++;
		} else if ((d | 32) >= 'a' && (d | 32) <= 'z') {
			return jinja_fail(err, "bad escape \\%c at position %zu", d, i);
		} else {
			buf_addc(out, '\\');
		}
	}
	return true;
}

static bool to_text(struct jinja_call *c, struct val *v, struct str *ret, struct err *err)
{
	if (val_is_undef(v) && !ctx_strict(c->ctx)) {
		*ret = STR("");
		return true;
	}
	return arg_text(c, v, ret, err);
}

static bool f_regex_replace(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[7];
	struct str text, pattern, with;
	struct regex re;
	struct buf b = {.max = JINJA_MAX_OUT};
	size_t copied = 0;
	int64_t count, must, n = 0;
	bool found;

	if (!jinja_args(c, "regex_replace",
	                "value pattern= replacement= ignorecase= multiline= count= mandatory_count=", v,
	                err) ||
	    !to_text(c, v[0], &text, err) || !arg_str(c, v[1], STR(""), &pattern, err) ||
	    !arg_str(c, v[2], STR(""), &with, err) || !arg_int(v[5], 0, &count, err) ||
	    !arg_int(v[6], 0, &must, err) ||
	    !regex_open(c, &re, pattern, text,
	                (arg_bool(v[3], false) ? RE_IGNORECASE : 0u) |
	                        (arg_bool(v[4], false) ? RE_MULTILINE : 0u),
	                err))
		return false;
	while ((!count || n < count) && !b.full) {
		PCRE2_SIZE *ov = pcre2_get_ovector_pointer(re.match);

		if (!regex_next(&re, &found, err))
			goto fail;
		if (!found)
			break;
		buf_add(&b, re.text.p + copied, ov[0] - copied);
		if (!expand(&re, with, &b, err))
			goto fail;
		copied = ov[1];
		n++;
		regex_advance(&re);
	}
	buf_add(&b, re.text.p + copied, re.text.n - copied);
	if (must && n != must) {
		jinja_fail(err, "'%.*s' should match %lld times, but matches %lld times in '%.*s'",
		           STR_FMT(pattern), (long long)must, (long long)n, STR_FMT(text));
		goto fail;
	}
	if (b.full) {
		jinja_fail(err, "the text is larger than %zu bytes", JINJA_MAX_OUT);
		goto fail;
	}
	*ret = buf_val(&b, c->a);
	return true;
fail:
	buf_free(&b);
	return false;
}

static struct val *group_val(struct jinja_call *c, const struct regex *re, unsigned i, bool none)
{
	bool set;
	struct str s = regex_group(re, i, &set);

	return set || !none ? val_str(c->a, s) : val_null();
}

/* The positional arguments after the pattern name groups: the result is their list. */
static bool f_regex_search(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *value = val_at(c->args, 0), *pat = val_at(c->args, 1), *list = val_list(c->a);
	unsigned flags = (arg_bool(val_get(c->kwargs, "ignorecase"), false) ? RE_IGNORECASE : 0u) |
	                 (arg_bool(val_get(c->kwargs, "multiline"), false) ? RE_MULTILINE : 0u);
	struct str text, pattern;
	struct err why = {0};
	struct regex re;
	bool found;

	if (!pat)
		pat = val_get(c->kwargs, "regex");
	if (!value || !pat)
		return jinja_fail(err, "regex_search() missing 1 required positional argument: 'regex'");
	if (!to_text(c, value, &text, err) || !arg_str(c, pat, STR(""), &pattern, err) ||
	    !regex_open(c, &re, pattern, text, flags, err) || !regex_next(&re, &found, err))
		return false;
	for (size_t i = 2; i < val_len(c->args); i++) {
		struct str name;
		size_t len;
		int g = -1;

		if (!arg_str(c, val_at(c->args, i), STR(""), &name, err))
			return false;
		if (!name.n || name.p[0] != '\\')
			return jinja_fail(err, "Unknown argument");
		if (!found)
			continue;
		if (name.n > 1 && name.p[1] == '0') /* the whole match: no reference in a replacement */
			g = 0;
		else if (!group_ref(&re, name, &g, &len, &why) && g < 0)
			return err_clear(&why), jinja_fail(err, "no such group");
		else if (!len)
			return jinja_fail(err, "Unknown argument");
		val_push(list, group_val(c, &re, (unsigned)g, true));
	}
	if (!found)
		*ret = val_null();
	else
		*ret = val_len(list) ? list : group_val(c, &re, 0, false);
	return true;
}

static bool f_regex_findall(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[4], *list = val_list(c->a);
	struct str text, pattern;
	struct regex re;
	bool found;

	if (!jinja_args(c, "regex_findall", "value regex multiline= ignorecase=", v, err) ||
	    !to_text(c, v[0], &text, err) || !arg_str(c, v[1], STR(""), &pattern, err) ||
	    !regex_open(c, &re, pattern, text,
	                (arg_bool(v[3], false) ? RE_IGNORECASE : 0u) |
	                        (arg_bool(v[2], false) ? RE_MULTILINE : 0u),
	                err))
		return false;
	while (regex_next(&re, &found, err) && found) {
		struct val *one = group_val(c, &re, re.groups ? 1 : 0, false);

		if (re.groups > 1) {
			one = val_tuple(c->a);
			for (unsigned i = 1; i <= re.groups; i++)
				val_push(one, group_val(c, &re, i, false));
		}
		val_push(list, one);
		regex_advance(&re);
	}
	*ret = list;
	return !err_is(err);
}

static bool f_regex_escape(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s, type;
	struct buf b = {0};
	bool python;

	if (!jinja_args(c, "regex_escape", "string re_type=", v, err) || !to_text(c, v[0], &s, err) ||
	    !arg_str(c, v[1], STR("python"), &type, err))
		return false;
	python = str_eqc(type, "python");
	if (!python && !str_eqc(type, "posix_basic"))
		return jinja_fail(err, "Invalid regex type (%.*s)", STR_FMT(type));
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] && strchr(python ? "()[]{}?*+-|^$\\.&~# \t\n\r\v\f" : "].[^$*\\", s.p[i]))
			buf_addc(&b, '\\');
		buf_addc(&b, s.p[i]);
	}
	*ret = buf_val(&b, c->a);
	return true;
}

/* match, search, regex: user says which when match_type does not. */
static bool t_regex(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *which = c->user;
	struct val *v[5];
	struct str text, pattern, how;
	struct regex re;
	unsigned flags;
	bool found;

	if (!jinja_args(c, which,
	                which[0] == 'r' ? "value pattern= ignorecase= multiline= match_type="
	                                : "value pattern= ignorecase= multiline=",
	                v, err) ||
	    !to_text(c, v[0], &text, err) || !arg_str(c, v[1], STR(""), &pattern, err) ||
	    !arg_str(c, which[0] == 'r' ? v[4] : NULL, which[0] == 'r' ? STR("search") : str_c(which), &how,
	             err))
		return false;
	flags = (arg_bool(v[2], false) ? RE_IGNORECASE : 0u) | (arg_bool(v[3], false) ? RE_MULTILINE : 0u);
	if (str_eqc(how, "match"))
		flags |= RE_ANCHORED;
	else if (str_eqc(how, "fullmatch"))
		flags |= RE_FULL;
	else if (!str_eqc(how, "search"))
		return jinja_fail(err, "Invalid match_type specified: '%.*s'", STR_FMT(how));
	if (!regex_open(c, &re, pattern, text, flags, err) || !regex_next(&re, &found, err))
		return false;
	*ret = val_bool(found);
	return true;
}

const struct jinja_func jinja_filters_regex[] = {
        {"regex_escape", f_regex_escape, "Text with the characters special to regular expressions escaped.",
         0, NULL},
        {"regex_findall", f_regex_findall, "All matches of a regular expression.", 0, NULL},
        {"regex_replace", f_regex_replace,
         "Matches of a regular expression replaced; \\1 and \\g<name> refer to groups.", 0, NULL},
        {"regex_search", f_regex_search,
         "The first match of a regular expression, or the groups named after it.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};

const struct jinja_func jinja_tests_regex[] = {
        {"match", t_regex, "A regular expression matches at the start.", 0, "match"},
        {"regex", t_regex, "A regular expression matches (match_type: search, match, fullmatch).", 0,
         "regex"},
        {"search", t_regex, "A regular expression matches anywhere.", 0, "search"},
        {NULL, NULL, NULL, 0, NULL},
};
