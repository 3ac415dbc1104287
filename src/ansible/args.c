/* "k=v" parameters: Ansible's oldest form, still in use. */
#include "ansible/playbook.h"
#include "base/source.h"
#include <ctype.h>

struct split {
	char quote;
	int print, block, comment; /* depth of {{ {% {# */
};

static void split_step(struct split *s, const char *p, size_t left)
{
	char c = p[0], d = left > 1 ? p[1] : 0, before = p[-1];
	bool in_tmpl = s->print || s->block || s->comment;
	if (!in_tmpl && (c == '"' || c == '\'') && before != '\\') {
		if (!s->quote)
			s->quote = c;
		else if (s->quote == c)
			s->quote = 0;
	}
	if (c == '{' && d == '{')
		s->print++;
	else if (c == '{' && d == '%')
		s->block++;
	else if (c == '{' && d == '#')
		s->comment++;
	else if (c == '}' && before == '}' && s->print)
		s->print--;
	else if (c == '}' && before == '%' && s->block)
		s->block--;
	else if (c == '}' && before == '#' && s->comment)
		s->comment--;
}

bool args_split(struct arena *a, struct str text, struct origin at, struct val **ret, struct err *err)
{
	struct val *words = val_list(a);
	/* A byte before the text so that looking back is always allowed. */
	char *copy = arena_alloc(a, text.n + 2);
	copy[0] = ' ';
	if (text.n)
		memcpy(copy + 1, text.p, text.n);
	const char *p = copy + 1;
	struct split s = {0};
	size_t from = 0;
	for (size_t i = 0; i <= text.n; i++) {
		bool blank = i == text.n || ((p[i] == ' ' || p[i] == '\n' || p[i] == '\t') && !s.quote &&
		                             !s.print && !s.block && !s.comment);
		if (blank) {
			if (i > from && !(i == from + 1 && p[from] == '\\')) /* alone: the line goes on */
				val_push(words,
				         val_at_origin(a, val_str(a, str_n(p + from, i - from)),
				                       (struct origin){at.src, at.off + (uint32_t)from}));
			/* A line break inside free-form text is kept as a word of its own. */
			from = i + 1;
			continue;
		}
		split_step(&s, p + i, text.n - i);
	}
	if (s.quote || s.print || s.block || s.comment)
		return err_set(
		        err, ERR_USER, at,
		        "failed at splitting arguments, either an unbalanced jinja2 block or quotes: %.*s",
		        STR_FMT(text));
	*ret = words;
	return true;
}

static struct str unquote(struct str s)
{
	if (s.n > 1 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0] && s.p[s.n - 2] != '\\')
		return str_n(s.p + 1, s.n - 2);
	return s;
}

/* The '=' that ends a key: an identifier before it, not in a template. */
static const char *key_end(struct str w)
{
	for (size_t i = 0; i < w.n; i++) {
		if (w.p[i] == '=')
			return i ? w.p + i : NULL;
		if (!isalnum((unsigned char)w.p[i]) && w.p[i] != '_' && w.p[i] != '-' && w.p[i] != '.')
			return NULL;
	}
	return NULL;
}

static bool is_raw_option(struct str k)
{
	static const char *const names[] = {
	        "creates", "removes",           "chdir",           "executable", "warn",
	        "stdin",   "stdin_add_newline", "strip_empty_ends"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_eqc(k, names[i]))
			return true;
	return false;
}

/* "x41" after a backslash: N hex digits as a character; 0 when they are not there. */
static size_t hex_escape(struct str s, size_t n, struct buf *out)
{
	uint32_t cp = 0;
	if (s.n < n + 1)
		return 0;
	for (size_t i = 1; i <= n; i++) {
		const char *digits = "0123456789abcdef", *d = strchr(digits, tolower((unsigned char)s.p[i]));
		if (!d || !*d)
			return 0;
		cp = cp << 4 | (uint32_t)(d - digits);
	}
	buf_utf8(out, cp);
	return n + 1;
}

/* Ansible reads the values of key=value words with Python's escapes; an escape it does not know stays. */
static struct str decode_escapes(struct arena *a, struct str s)
{
	static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
	struct buf b = {0};
	if (!s.n || !memchr(s.p, '\\', s.n))
		return s;
	for (size_t i = 0; i < s.n; i++) {
		struct str next = str_n(s.p + i + 1, s.n - i - 1);
		const char *simple = s.p[i] == '\\' && next.n && next.p[0] ? strchr(from, next.p[0]) : NULL;
		size_t used = 0;
		if (simple) {
			buf_addc(&b, to[simple - from]);
			used = 1;
		} else if (s.p[i] == '\\' && next.n) {
			used = hex_escape(next,
			                  next.p[0] == 'x'   ? 2
			                  : next.p[0] == 'u' ? 4
			                  : next.p[0] == 'U' ? 8
			                                     : next.n,
			                  &b);
		}
		if (!used)
			buf_addc(&b, s.p[i]);
		i += used;
	}
	struct str r = buf_take(&b, a);
	buf_free(&b);
	return r;
}

/* What stands between two words stays as it was, but for a backslash alone and for the only blank at the
 * beginning of a line, as Ansible has it. */
static void add_between(struct buf *b, const char *p, size_t n)
{
	if (n > 1 && p[n - 1] == ' ' && p[n - 2] == '\n')
		n--;
	for (size_t i = 0; i < n; i++) {
		if (p[i] != '\\') {
			buf_addc(b, p[i]);
			continue;
		}
		i += i + 1 < n && p[i + 1] == '\n';
		i += i + 1 < n && p[i + 1] == ' ';
	}
}

bool args_parse(struct arena *a, struct str text, struct origin at, bool raw, struct val **ret,
                struct err *err)
{
	struct val *words, *map = val_at_origin(a, val_map(a), at);
	struct buf rest = {0};
	if (!args_split(a, text, at, &words, err))
		return false;
	size_t end = 0; /* in TEXT: what stands between two raw words and after the last stays as it was */
	bool raw_last = false;
	VAL_EACH (i, words) {
		const struct val *wv = val_at(words, i);
		struct str w = val_get_str(wv);
		uint32_t off = val_origin(wv).off - at.off;
		const char *eq = key_end(w);
		struct str key = eq ? str_n(w.p, (size_t)(eq - w.p)) : STR("");
		raw_last = !eq || (raw && !is_raw_option(key));
		if (!raw_last) {
			struct str v = unquote(str_n(eq + 1, (size_t)(w.p + w.n - eq - 1)));
			struct origin o = {at.src, at.off + off + (uint32_t)(v.p - w.p)};
			val_sets(map, key, val_at_origin(a, val_str(a, decode_escapes(a, v)), o));
		} else {
			if (rest.n)
				add_between(&rest, text.p + end, off - end);
			buf_addstr(&rest, w);
		}
		end = off + w.n;
	}
	if (raw_last && !memchr(text.p + end, '\\', text.n - end))
		buf_add(&rest, text.p + end, text.n - end);
	if (rest.n)
		val_set(map, "_raw_params", val_at_origin(a, val_str(a, buf_str(&rest)), at));
	buf_free(&rest);
	*ret = map;
	return true;
}
