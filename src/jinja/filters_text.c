/* filters_text - Jinja2's filters that lay text out or read markup: wordwrap, pprint, striptags, urlize. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

/* ---- wordwrap: Python's textwrap, which keeps the white space within a line and drops it around one */

/* White space, a word, a part of a word up to a hyphen within it, or dashes between words. */
#define SPACE "[\\t\\n\\x0b\\x0c\\r ]"
#define NO_SPACE "[^\\t\\n\\x0b\\x0c\\r ]"
#define WORD_PUNCT "[\\w!\"'&.,?]"
#define LETTER "[^\\d\\W]"
#define CHUNK                                                                                          \
	SPACE "+|(?<=" WORD_PUNCT ")-{2,}(?=\\w)|" NO_SPACE "+?(?:-(?:(?<=" LETTER "{2}-)|(?<=" LETTER \
	      "-" WORD_PUNCT "-))(?=" LETTER "-?" LETTER ")|(?=" SPACE "|\\Z)|(?<=" WORD_PUNCT         \
	      ")(?=-{2,}\\w))"
#define SIMPLE_CHUNK SPACE "+|" NO_SPACE "+"

struct wrap {
	struct val *chunks;
	struct str rest; /* of the chunk at I */
	size_t i;
	size_t width;
	bool brk, hyphens;
};

static bool wrap_more(struct wrap *w)
{
	return w->rest.n > 0;
}

static void wrap_next(struct wrap *w)
{
	struct val *next = val_at(w->chunks, ++w->i);

	w->rest = next ? val_get_str(next) : STR("");
}

static bool blank(struct str s)
{
	return !text_strip(s, NULL, true, true).n;
}

/* How much of a word too long for a line goes on one that has ROOM left. */
static struct str long_part(const struct wrap *w, size_t room)
{
	struct str part = utf8_sub(w->rest, 0, room);

	for (size_t i = part.n; w->hyphens && i > 0; i--) {
		if (part.p[i - 1] != '-')
			continue;
		for (size_t j = 0; j + 1 < i; j++)
			if (part.p[j] != '-')
				return str_n(part.p, i);
		break;
	}
	return part;
}

/* One line of S into LINES. */
static void wrap_line(struct jinja_call *c, struct wrap *w, struct val *lines)
{
	struct buf b = {0};
	size_t len = 0, last = 0;
	struct str line;

	if (val_len(lines) && blank(w->rest))
		wrap_next(w);
	while (wrap_more(w) && len + utf8_len(w->rest) <= w->width) {
		len += utf8_len(w->rest);
		last = b.n;
		buf_addstr(&b, w->rest);
		wrap_next(w);
	}
	if (wrap_more(w) && utf8_len(w->rest) > w->width && (w->brk || !b.n)) {
		struct str part = w->brk ? long_part(w, w->width - len) : w->rest;

		last = b.n;
		buf_addstr(&b, part);
		w->rest = str_n(w->rest.p + part.n, w->rest.n - part.n);
		if (!w->rest.n)
			wrap_next(w);
	}
	line = buf_str(&b);
	if (line.n && blank(str_n(line.p + last, line.n - last)))
		line.n = last;
	if (line.n)
		val_push(lines, val_str(c->a, line));
	buf_free(&b);
}

static bool f_wordwrap(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[5], *paragraphs, *args = val_list(c->a);
	struct str sep;
	struct buf b = {.max = JINJA_MAX_OUT};
	int64_t width;

	if (!jinja_args(c, "wordwrap", "s width= break_long_words= wrapstring= break_on_hyphens=", v, err) ||
	    !arg_int(v[1], 79, &width, err) ||
	    !arg_str(c, v[3] && val_is_null(v[3]) ? NULL : v[3], STR("\n"), &sep, err))
		return false;
	if (!val_is_str(v[0]))
		return val_is_undef(v[0]) ? jinja_fail(err, "%s", val_undef_msg(v[0]))
		                          : jinja_fail(err, "'%s' object has no attribute 'splitlines'",
		                                       val_type_name(v[0]));
	if (width < 1)
		return jinja_fail(err, "invalid width %lld (must be > 0)", (long long)width);
	val_push(args, v[0]);
	if (!jinja_call_row(c->ctx, c->a, py_method(v[0], STR("splitlines")), args, NULL, &paragraphs, err))
		return false;
	VAL_EACH (i, paragraphs) {
		struct wrap w = {.chunks = val_list(c->a),
		                 .width = (size_t)width,
		                 .brk = arg_bool(v[2], true),
		                 .hyphens = arg_bool(v[4], true)};
		struct val *lines = val_list(c->a);

		if (!regex_all(c, w.hyphens ? CHUNK : SIMPLE_CHUNK, val_get_str(val_at(paragraphs, i)),
		               w.chunks, err)) {
			buf_free(&b);
			return false;
		}
		w.i = (size_t)-1;
		wrap_next(&w);
		while (wrap_more(&w))
			wrap_line(c, &w, lines);
		if (i)
			buf_addstr(&b, sep);
		VAL_EACH (j, lines) {
			if (j)
				buf_addstr(&b, sep);
			buf_addstr(&b, val_get_str(val_at(lines, j)));
		}
	}
	return ret_text(c, &b, ret, err);
}

/* ---- pprint: Python's, in lines of 80 characters, maps sorted by their keys */

#define PP_WIDTH 80

struct pp {
	struct jinja_call *c;
	struct buf out;
};

static struct str pp_repr(struct pp *p, const struct val *v)
{
	struct buf b = {0};
	struct str s;

	val_repr(v, &b);
	s = buf_take(&b, p->c->a);
	buf_free(&b);
	return s;
}

/* Whether the key X comes before Y; keys of kinds that have no order go by the names of the kinds. */
static bool key_before(const struct val *x, const struct val *y)
{
	struct err e = {0};
	bool less = false, ok = py_compare(CMP_LT, x, y, true, &less, &e);

	err_clear(&e);
	return ok ? less : strcmp(val_type_name(x), val_type_name(y)) < 0;
}

/* V with the maps in it sorted. */
static struct val *pp_sorted(struct pp *p, struct val *v, unsigned depth)
{
	struct val *r = v, **keys;
	size_t n;

	if (depth > 100 || (!val_is_list(v) && !val_is_map(v)))
		return v;
	n = val_len(v);
	if (!val_is_map(v)) {
		r = val_shallow(p->c->a, v);
		for (size_t i = 0; i < n; i++)
			val_set_at(r, i, pp_sorted(p, val_at(v, i), depth + 1));
		return r;
	}
	r = val_map(p->c->a);
	keys = arena_array(p->c->a, n + 1, sizeof(struct val *));
	for (size_t i = 0, j; i < n; i++) {
		struct val *k = val_key_at(v, i);

		for (j = i; j > 0 && key_before(k, keys[j - 1]); j--)
			keys[j] = keys[j - 1];
		keys[j] = k;
	}
	for (size_t i = 0; i < n; i++)
		val_setk(r, keys[i], pp_sorted(p, val_getk(v, keys[i]), depth + 1));
	return r;
}

static void pp_value(struct pp *p, const struct val *v, size_t indent, size_t allowance, unsigned level);

static void pp_newline(struct pp *p, size_t indent)
{
	buf_addc(&p->out, '\n');
	for (size_t i = 0; i < indent && !p->out.full; i++)
		buf_addc(&p->out, ' ');
}

static void pp_members(struct pp *p, const struct val *v, size_t indent, size_t allowance, unsigned level)
{
	static const char *const brackets[] = {[VAL_LIST] = "[]", [VAL_TUPLE] = "()", [VAL_MAP] = "{}"};
	bool comma = val_kind(v) == VAL_TUPLE && val_len(v) == 1;

	allowance += comma ? 2 : 1;
	indent++;
	buf_addc(&p->out, brackets[val_kind(v)][0]);
	VAL_EACH (i, v) {
		size_t room = i + 1 == val_len(v) ? allowance : 1, in = indent;

		if (i) {
			buf_addc(&p->out, ',');
			pp_newline(p, indent);
		}
		if (val_is_map(v)) {
			struct str key = pp_repr(p, val_key_at(v, i));

			buf_addstr(&p->out, key);
			buf_adds(&p->out, ": ");
			in += utf8_len(key) + 2;
		}
		pp_value(p, val_is_map(v) ? val_value_at(v, i) : val_at(v, i), in, room, level);
	}
	if (comma)
		buf_addc(&p->out, ',');
	buf_addc(&p->out, brackets[val_kind(v)][1]);
}

/* A line of a long text, cut after white space into CHUNKS of at most WIDTH characters, LAST less at its end.
 */
static void pp_words(struct pp *p, struct str line, size_t width, size_t last, struct val *chunks)
{
	struct str current = str_n(line.p, 0);
	size_t i = 0;

	while (i < line.n) {
		size_t e = i, from = (size_t)(current.p - line.p);
		bool space = false;
		struct str candidate;

		for (size_t n; e < line.n; e += n) {
			uint32_t cp;
			bool here;

			n = str_utf8(str_n(line.p + e, line.n - e), &cp);
			here = cp_space(cp);
			if (space && !here)
				break;
			space |= here;
		}
		candidate = str_n(current.p, e - from);
		if (e == line.n)
			width = width > last ? width - last : 0;
		if (utf8_len(pp_repr(p, val_str(p->c->a, candidate))) > width) {
			if (current.n)
				val_push(chunks, val_str(p->c->a, current));
			candidate = str_n(line.p + i, e - i);
		}
		current = candidate;
		i = e;
	}
	if (current.n)
		val_push(chunks, val_str(p->c->a, current));
}

static void pp_text(struct pp *p, const struct val *v, size_t indent, size_t allowance, unsigned level)
{
	struct val *chunks = val_list(p->c->a);
	struct str s = val_get_str(v);
	bool parens = level == 1;
	size_t width;

	indent += parens;
	allowance += parens;
	width = indent < PP_WIDTH ? PP_WIDTH - indent : 0;
	while (s.n) {
		size_t end, n = text_line(s, &end);
		struct str line = str_n(s.p, n + end);
		size_t last = line.n == s.n ? allowance : 0;

		if (utf8_len(pp_repr(p, val_str(p->c->a, line))) + last <= width)
			val_push(chunks, val_str(p->c->a, line));
		else
			pp_words(p, line, width, last, chunks);
		s = str_n(s.p + line.n, s.n - line.n);
	}
	parens = parens && val_len(chunks) > 1;
	if (parens)
		buf_addc(&p->out, '(');
	VAL_EACH (i, chunks) {
		if (i)
			pp_newline(p, indent);
		val_repr(val_at(chunks, i), &p->out);
	}
	if (parens)
		buf_addc(&p->out, ')');
}

static void pp_value(struct pp *p, const struct val *v, size_t indent, size_t allowance, unsigned level)
{
	struct str rep = pp_repr(p, v);

	if (utf8_len(rep) + indent + allowance <= PP_WIDTH || level > 100)
		buf_addstr(&p->out, rep);
	else if (val_is_list(v) || val_is_map(v))
		pp_members(p, v, indent, allowance, level + 1);
	else if (val_is_str(v) && val_len(v))
		pp_text(p, v, indent, allowance, level + 1);
	else
		buf_addstr(&p->out, rep);
}

static bool f_pprint(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct pp p = {.c = c, .out = {.max = JINJA_MAX_OUT}};

	if (!jinja_args(c, "pprint", "value", v, err))
		return false;
	pp_value(&p, pp_sorted(&p, v[0], 0), 0, 0, 0);
	return ret_text(c, &p.out, ret, err);
}

/* ---- striptags */

/* The character that S, which begins with "&", stands for; 0 for none. *RET_LEN: its bytes in S. */
static uint32_t entity(struct str s, size_t *ret_len)
{
	static const struct {
		const char *name;
		uint32_t cp;
	} names[] = {
	        {"amp", '&'},      {"lt", '<'},        {"gt", '>'},       {"quot", '"'},     {"apos", '\''},
	        {"nbsp", 0xa0},    {"copy", 0xa9},     {"reg", 0xae},     {"laquo", 0xab},   {"raquo", 0xbb},
	        {"middot", 0xb7},  {"hellip", 0x2026}, {"ndash", 0x2013}, {"mdash", 0x2014}, {"euro", 0x20ac},
	        {"lsquo", 0x2018}, {"rsquo", 0x2019},  {"ldquo", 0x201c}, {"rdquo", 0x201d}, {"bull", 0x2022},
	        {"trade", 0x2122}, {"auml", 0xe4},     {"ouml", 0xf6},    {"uuml", 0xfc},    {"Auml", 0xc4},
	        {"Ouml", 0xd6},    {"Uuml", 0xdc},     {"szlig", 0xdf},   {"eacute", 0xe9},  {"times", 0xd7}};
	const char *end = memchr(s.p, ';', s.n);
	struct str name = str_n(s.p + 1, end ? (size_t)(end - s.p) - 1 : 0);
	bool hex = name.n > 2 && name.p[0] == '#' && (name.p[1] | 32) == 'x';
	uint32_t cp = 0;

	*ret_len = name.n + 2;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_eqc(name, names[i].name))
			return names[i].cp;
	if (name.n < 2 || name.p[0] != '#' || name.n > 9)
		return 0;
	for (size_t i = hex ? 2 : 1; i < name.n; i++) {
		char ch = name.p[i], low = (char)(ch | 32);

		if (ch >= '0' && ch <= '9')
			cp = cp * (hex ? 16 : 10) + (uint32_t)(ch - '0');
		else if (hex && low >= 'a' && low <= 'f')
			cp = cp * 16 + (uint32_t)(low - 'a' + 10);
		else
			return 0;
	}
	return cp > 0x10ffff ? 0xfffd : cp;
}

/* Past the comment or tag that begins at I, or I when it does not end. */
static size_t past_tag(struct str s, size_t i, bool comments)
{
	struct str open = comments ? STR("<!--") : STR("<"), close = comments ? STR("-->") : STR(">");
	ptrdiff_t end;

	if (!str_starts(str_n(s.p + i, s.n - i), open.p))
		return i;
	end = str_find(s, close, i + open.n);
	return end < 0 ? i : (size_t)end + close.n;
}

static struct str without_tags(struct jinja_call *c, struct str s, bool comments)
{
	struct buf b = {0};
	struct str r;

	for (size_t i = 0; i < s.n;) {
		size_t next = past_tag(s, i, comments);

		if (next == i)
			buf_addc(&b, s.p[i++]);
		else
			i = next;
	}
	r = buf_take(&b, c->a);
	buf_free(&b);
	return r;
}

static bool f_striptags(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;
	struct buf b = {0};
	bool gap = false;

	if (!jinja_args(c, "striptags", "value", v, err) || !arg_text(c, v[0], &s, err))
		return false;
	s = without_tags(c, without_tags(c, s, true), false);
	for (size_t i = 0, n; i < s.n; i += n) {
		uint32_t cp;

		n = str_utf8(str_n(s.p + i, s.n - i), &cp);
		if (cp_space(cp)) {
			gap = b.n > 0;
			continue;
		}
		if (gap)
			buf_addc(&b, ' ');
		gap = false;
		cp = cp == '&' ? entity(str_n(s.p + i, s.n - i), &n) : 0;
		if (cp) {
			buf_utf8(&b, cp);
			continue;
		}
		n = s.p[i] == '&' ? 1 : n;
		buf_add(&b, s.p + i, n);
	}
	return ret_text(c, &b, ret, err);
}

/* ---- urlize */

#define HTTP                                                                                          \
	"(?i)^((https?://|www\\.)(([\\w%-]+\\.)+)?([a-z]{2,63}|xn--[\\w%]{2,59})"                     \
	"|([\\w%-]{2,63}\\.)+(com|net|int|edu|gov|org|info|mil)"                                      \
	"|(https?://)((\\d{1,3}(\\.\\d{1,3}){3})|(\\[([\\da-f]{0,4}:){2}([\\da-f]{0,4}:?){1,6}\\])))" \
	"(?::\\d{1,5})?(?:[/?#]\\S*)?$"
#define EMAIL "^\\S+@\\w[\\w.-]*\\.\\w+$"

struct urlize {
	struct jinja_call *c;
	struct str attrs; /* rel and target, as they are written */
	int64_t limit;
	struct val *schemes;
	struct err *err;
};

static size_t count_of(struct str s, struct str what)
{
	size_t n = 0, from = 0;
	ptrdiff_t at;

	for (; (at = str_find(s, what, from)) >= 0; n++)
		from = (size_t)at + what.n;
	return n;
}

/* W without what surrounds an address: *HEAD before it, *TAIL after it. Brackets that W opens stay its own.
 */
static struct str bare_word(struct str w, struct str *head, struct str *tail)
{
	const struct str opening[] = {STR("("), STR("<"), STR("&lt;")},
	                 closing[] = {STR(")"), STR(">"), STR("&gt;"), STR("."), STR(","), STR("\n")};
	const char *start = w.p;
	size_t end, i;

	do {
		for (i = 0; i < 3 && !str_starts(w, opening[i].p); i++)
			;
		if (i < 3)
			w = str_n(w.p + opening[i].n, w.n - opening[i].n);
	} while (i < 3);
	*head = str_n(start, (size_t)(w.p - start));
	end = w.n;
	do {
		for (i = 0; i < 6; i++)
			if (end >= closing[i].n &&
			    !memcmp(w.p + end - closing[i].n, closing[i].p, closing[i].n))
				break;
		if (i < 6)
			end -= closing[i].n;
	} while (i < 6);
	*tail = str_n(w.p + end, w.n - end);
	w.n = end;
	for (i = 0; i < 3; i++) {
		size_t open = count_of(w, opening[i]), more = count_of(*tail, closing[i]);

		if (open <= count_of(w, closing[i]))
			continue;
		for (more = more < open ? more : open; more > 0; more--) {
			size_t n = (size_t)str_find(*tail, closing[i], 0) + closing[i].n;

			w.n += n;
			*tail = str_n(tail->p + n, tail->n - n);
		}
	}
	return w;
}

static bool matches(struct urlize *u, const char *pattern, struct str s, bool *ret)
{
	struct val *all = val_list(u->c->a);

	if (!regex_all(u->c, pattern, s, all, u->err))
		return false;
	*ret = val_len(all) > 0;
	return true;
}

static void add_link(struct urlize *u, const char *before, struct str url, struct str shown, struct str attrs,
                     struct buf *b)
{
	buf_printf(b, "<a href=\"%s%.*s\"%.*s>", before, STR_FMT(url), STR_FMT(attrs));
	if (u->limit >= 0 && (int64_t)utf8_len(shown) > u->limit) {
		buf_addstr(b, utf8_sub(shown, 0, (size_t)u->limit));
		buf_adds(b, "...");
	} else {
		buf_addstr(b, shown);
	}
	buf_adds(b, "</a>");
}

/* A scheme of the caller's that W begins with. */
static bool own_scheme(const struct urlize *u, struct str w)
{
	VAL_EACH (i, u->schemes)
		if (val_is_str(val_at(u->schemes, i)) && str_starts(w, val_get_strz(val_at(u->schemes, i))) &&
		    w.n > val_len(val_at(u->schemes, i)))
			return true;
	return false;
}

static bool urlize_word(struct urlize *u, struct str w, struct buf *b)
{
	struct str head, tail, mail;
	struct urlize whole = *u;
	bool http, address;

	w = bare_word(w, &head, &tail);
	mail = str_starts(w, "mailto:") ? str_n(w.p + 7, w.n - 7) : w;
	if (!matches(u, HTTP, w, &http) || !matches(u, EMAIL, mail, &address))
		return false;
	address = address && (mail.p != w.p || (!str_starts(w, "www.") && !memchr(w.p, ':', w.n)));
	whole.limit = -1;
	buf_addstr(b, head);
	if (http)
		add_link(u, str_starts(w, "http://") || str_starts(w, "https://") ? "" : "https://", w, w,
		         u->attrs, b);
	else if (address)
		add_link(&whole, "mailto:", mail, mail, STR(""), b);
	else if (own_scheme(u, w))
		add_link(&whole, "", w, w, u->attrs, b);
	else
		buf_addstr(b, w);
	buf_addstr(b, tail);
	return true;
}

/* ' rel="…" target="…"': the words of rel in order, each once, "noopener" among them. */
static struct str urlize_attrs(struct jinja_call *c, struct str rel, bool nofollow, struct str target)
{
	struct val *words = val_list(c->a);
	struct buf b = {0};
	struct err none = {0};
	struct str r;

	while (rel.n) {
		struct str one = str_split(&rel, ' ');

		if (one.n)
			val_push(words, val_str(c->a, one));
	}
	val_push(words, val_strz(c->a, "noopener"));
	if (nofollow)
		val_push(words, val_strz(c->a, "nofollow"));
	val_sort(c->a, words, NULL, false, &none);
	buf_adds(&b, " rel=\"");
	VAL_EACH (i, words) {
		if (i && val_equal(val_at(words, i), val_at(words, i - 1)))
			continue;
		if (i)
			buf_addc(&b, ' ');
		html_escape(val_get_str(val_at(words, i)), &b);
	}
	buf_addc(&b, '"');
	if (target.n) {
		buf_adds(&b, " target=\"");
		html_escape(target, &b);
		buf_addc(&b, '"');
	}
	r = buf_take(&b, c->a);
	buf_free(&b);
	return r;
}

static bool f_urlize(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[6];
	struct urlize u = {.c = c, .limit = -1, .err = err};
	struct str s, rel, target;
	struct buf b = {.max = JINJA_MAX_OUT}, escaped = {.max = JINJA_MAX_OUT};
	bool ok = true;

	if (!jinja_args(c, "urlize", "value trim_url_limit= nofollow= target= rel= extra_schemes=", v, err) ||
	    !arg_text(c, v[0], &s, err) ||
	    !arg_int(v[1] && val_is_null(v[1]) ? NULL : v[1], -1, &u.limit, err) ||
	    !arg_str(c, v[3] && val_is_null(v[3]) ? NULL : v[3], STR(""), &target, err) ||
	    !arg_str(c, v[4] && val_is_null(v[4]) ? NULL : v[4], STR(""), &rel, err))
		return false;
	u.attrs = urlize_attrs(c, rel, arg_bool(v[2], false), target);
	u.schemes = v[5] && val_is_list(v[5]) ? v[5] : val_list(c->a);
	if (val_is_markup(v[0]))
		buf_addstr(&escaped, s);
	else
		html_escape(s, &escaped);
	s = buf_str(&escaped);
	for (size_t from = 0, i = 0, n = 0; ok && from < s.n; from = i += n) {
		uint32_t cp = 0;

		for (n = 0; i < s.n && !cp_space(cp); i += n)
			n = str_utf8(str_n(s.p + i, s.n - i), &cp);
		n = cp_space(cp) ? n : 0; /* of the white space after the word */
		i -= n;
		if (i > from)
			ok = urlize_word(&u, str_n(s.p + from, i - from), &b);
		buf_add(&b, s.p + i, n);
	}
	buf_free(&escaped);
	if (!ok) {
		buf_free(&b);
		return false;
	}
	if (!ret_text(c, &b, ret, err))
		return false;
	*ret = c->ctx->autoescape ? val_mark_markup(c->a, *ret) : *ret;
	return true;
}

const struct jinja_func jinja_filters_text[] = {
        {"pprint", f_pprint, "What Python's pprint shows: repr() in lines of 80 characters.",
         JINJA_ALLOW_UNDEF, NULL},
        {"striptags", f_striptags, "Text without SGML tags.", 0, NULL},
        {"urlize", f_urlize, "Web addresses as links.", 0, NULL},
        {"wordwrap", f_wordwrap, "Lines of at most a given width.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
