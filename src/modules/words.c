#include <ctype.h>
#include "modules/words.h"

struct splitter {
	struct arena *a;
	const char **list;
	size_t n, cap;
	struct buf word;
	bool in_word;
};

static void word_end(struct splitter *sp)
{
	if (!sp->in_word)
		return;
	sp->list = arena_grow(sp->a, sp->list, sp->n + 1, &sp->cap, sizeof(*sp->list));
	sp->list[sp->n++] = arena_strndup(sp->a, sp->word.p ? sp->word.p : "", sp->word.n);
	sp->list[sp->n] = NULL;
	buf_clear(&sp->word);
	sp->in_word = false;
}

/* The quoted part that starts at S[I]; returns the index of the closing quote, or S.n. */
static size_t quoted(struct splitter *sp, struct str s, size_t i)
{
	char q = s.p[i];
	for (i++; i < s.n && s.p[i] != q; i++) {
		if (q == '"' && s.p[i] == '\\' && i + 1 < s.n && (s.p[i + 1] == '"' || s.p[i + 1] == '\\'))
			i++;
		buf_addc(&sp->word, s.p[i]);
	}
	return i;
}

const char **words_split(struct arena *a, struct str s, size_t *n, struct err *err)
{
	struct splitter sp = {.a = a};
	sp.list = arena_array(a, 1, sizeof(*sp.list));
	bool ok = true;
	for (size_t i = 0; i < s.n && ok; i++) {
		char c = s.p[i];
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			word_end(&sp);
			continue;
		}
		sp.in_word = true;
		if (c == '\'' || c == '"') {
			i = quoted(&sp, s, i);
			if (i >= s.n)
				ok = err_set(err, ERR_USER, ORIGIN_NONE, "No closing quotation");
		} else if (c == '\\') {
			if (++i < s.n)
				buf_addc(&sp.word, s.p[i]);
			else
				ok = err_set(err, ERR_USER, ORIGIN_NONE, "No escaped character");
		} else {
			buf_addc(&sp.word, c);
		}
	}
	word_end(&sp);
	buf_free(&sp.word);
	if (n)
		*n = sp.n;
	return ok ? sp.list : NULL;
}

const char *words_quote(struct arena *a, const char *s)
{
	static const char plain[] =
	        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_";
	if (*s && strspn(s, plain) == strlen(s))
		return s;
	struct buf b = {0};
	buf_addc(&b, '\'');
	for (; *s; s++)
		if (*s == '\'')
			buf_adds(&b, "'\"'\"'");
		else
			buf_addc(&b, *s);
	buf_addc(&b, '\'');
	struct str ret = buf_take(&b, a);
	buf_free(&b);
	return ret.p;
}

struct str words_next(struct str *rest)
{
	size_t i = 0, start;
	while (i < rest->n && isspace((unsigned char)rest->p[i]))
		i++;
	start = i;
	while (i < rest->n && !isspace((unsigned char)rest->p[i]))
		i++;
	struct str w = str_n(rest->p + start, i - start);
	*rest = str_n(rest->p + i, rest->n - i);
	return w;
}
