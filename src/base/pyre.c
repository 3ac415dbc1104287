#include "base/pyre.h"

/* A pattern on its way from Python's language to PCRE2's. */
struct translation {
	struct str from;
	size_t i;
	bool set; /* within [...] */
	struct buf *to;
	bool ascii; /* flag "a" */
};

/* The escape at T->i: \Z, \v, \uXXXX and \UXXXXXXXX are spelled otherwise; PCRE2's own letters are refused.
 */
static bool translate_escape(struct translation *t, struct err *err)
{
	struct str p = t->from;
	size_t i = t->i;
	char d = p.p[i + 1];
	size_t hex = d == 'u' ? 4 : d == 'U' ? 8 : 0;
	bool letter = (d | 32) >= 'a' && (d | 32) <= 'z';

	t->i += 2;
	if (d == 'Z' && !t->set) {
		buf_adds(t->to, "\\z");
	} else if (d == 'v') {
		buf_adds(t->to, "\\x0b");
	} else if (hex && i + 1 + hex < p.n) {
		buf_printf(t->to, "\\x{%.*s}", (int)hex, p.p + i + 2);
		t->i += hex;
	} else if (letter && !strchr(t->set ? "abdDfnrsStwWx" : "AabBdDfnrsStwWx", d)) {
		return err_set(err, ERR_USER, ORIGIN_NONE, "bad escape \\%c at position %zu", d, i);
	} else {
		buf_add(t->to, p.p + i, 2);
	}
	return true;
}

/* "(?" at T->i: Python has fewer kinds than PCRE2, and flags "a" and "u" of its own. */
static bool translate_group(struct translation *t, struct err *err)
{
	struct str p = t->from;
	size_t i = t->i + 2, end = i;
	char c = i < p.n ? p.p[i] : 0, d = i + 1 < p.n ? p.p[i + 1] : 0;

	while (end < p.n && strchr("aiLmsux-", p.p[end] ? p.p[end] : '.'))
		end++;
	if (end > i && end < p.n && (p.p[end] == ')' || p.p[end] == ':')) {
		buf_adds(t->to, "(?");
		for (; i < end; i++) {
			if (p.p[i] == 'L')
				return err_set(err, ERR_USER, ORIGIN_NONE,
				               "bad inline flags: cannot use 'L' flag with a str pattern at "
				               "position %zu",
				               i + 1);
			if (p.p[i] == 'a')
				t->ascii = true;
			else if (p.p[i] != 'u')
				buf_addc(t->to, p.p[i]);
		}
		t->i = end;
		return true;
	}
	if (!c || !strchr("P:#=!<>(", c) || (c == 'P' && d != '<' && d != '=') ||
	    (c == '<' && d != '=' && d != '!'))
		return err_set(err, ERR_USER, ORIGIN_NONE, "unknown extension ?%c%.*s at position %zu",
		               c ? c : ' ', c == 'P' || c == '<' ? 1 : 0, p.p + i + 1, t->i + 1);
	buf_adds(t->to, "(?");
	t->i += 2;
	return true;
}

/* The start of a set: "]" right after "[" or "[^" is a member, not the end. */
static void translate_set(struct translation *t)
{
	struct str p = t->from;

	t->set = true;
	buf_addc(t->to, '[');
	t->i++;
	if (t->i < p.n && p.p[t->i] == '^')
		buf_addc(t->to, p.p[t->i++]);
	if (t->i < p.n && p.p[t->i] == ']') {
		buf_adds(t->to, "\\]");
		t->i++;
	}
}

static bool translate(struct translation *t, struct err *err)
{
	struct str p = t->from;

	while (t->i < p.n) {
		char c = p.p[t->i], d = t->i + 1 < p.n ? p.p[t->i + 1] : 0;

		if (c == '\\' && d) {
			if (!translate_escape(t, err))
				return false;
		} else if (c == '[' && !t->set) {
			translate_set(t);
		} else if (c == '(' && d == '?' && !t->set) {
			if (!translate_group(t, err))
				return false;
		} else if (c == '{' && d == ',' && !t->set && t->i + 2 < p.n && p.p[t->i + 2] >= '0' &&
		           p.p[t->i + 2] <= '9') {
			buf_adds(t->to, "{0,");
			t->i += 2;
		} else {
			t->set = t->set && c != ']';
			buf_adds(t->to, c == '[' ? "\\" : "");
			buf_addc(t->to, c);
			t->i++;
		}
	}
	return true;
}

bool pyre_translate(struct str pattern, struct buf *out, bool *ret_ascii, struct err *err)
{
	struct translation t = {.from = pattern, .to = out};

	if (!translate(&t, err))
		return false;
	*ret_ascii = t.ascii;
	return true;
}
