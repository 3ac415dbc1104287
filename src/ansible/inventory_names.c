/* What stands where an inventory names a host: "name", "name:port", "[name]:port", with ranges like [01:20:2]
 * or [a:f] in it. */
#include "ansible/inventory.h"
#include <ctype.h>

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* More than these of one line are a mistake, or malice: ranges multiply. */
#define HOSTS_MAX 100000

struct range {
	int64_t from, to, step;
	int width;   /* zero padding */
	bool letter; /* FROM and TO count letters */
};

static bool number(struct str s, int64_t *ret)
{
	return s.n && isdigit((unsigned char)s.p[0]) && str_int(s, ret) && *ret < INT32_MAX;
}

static const char *letter(struct str s)
{
	return s.n == 1 ? memchr(letters, s.p[0], sizeof(letters) - 1) : NULL;
}

/* "a:f", "01:10", "1:9:2"; false with the reason. */
static bool parse_range(struct str s, struct range *r, const char **why)
{
	struct str from = str_split(&s, ':');
	*why = "host range must be begin:end or begin:end:step";
	if (!s.p)
		return false;
	struct str to = str_split(&s, ':');
	*r = (struct range){.step = 1};
	if (s.p && (!number(s, &r->step) || r->step < 1))
		return false;
	*why = "host range must specify end value";
	if (!to.n)
		return false;
	if (letter(from) && letter(to)) {
		r->from = letter(from) - letters;
		r->to = letter(to) - letters;
		r->letter = true;
		*why = "host range must have begin <= end";
		return r->from <= r->to;
	}
	*why = "the ends of a host range are numbers or single letters";
	if ((from.n && !number(from, &r->from)) || !number(to, &r->to))
		return false;
	if (from.n > 1 && from.p[0] == '0') {
		r->width = (int)from.n;
		*why = "host range must specify equal-length begin and end formats";
		return to.n == from.n;
	}
	return true;
}

static bool expand(struct arena *a, struct str pattern, struct val *names, struct origin at, struct err *err)
{
	const char *open = memchr(pattern.p, '[', pattern.n), *close = memchr(pattern.p, ']', pattern.n);
	if (val_len(names) >= HOSTS_MAX)
		return err_set(err, ERR_USER, at, "the ranges stand for more than %d hosts", HOSTS_MAX);
	if (!open) {
		val_push(names, val_str(a, pattern));
		return true;
	}
	struct range r;
	const char *why = "a host range must end with ]";
	if (!close || close < open || !parse_range(str_n(open + 1, (size_t)(close - open - 1)), &r, &why))
		return err_set(err, ERR_USER, at, "'%.*s' is no range of hosts: %s", STR_FMT(pattern), why);
	int head = (int)(open - pattern.p), tail = (int)(pattern.p + pattern.n - close - 1);
	for (int64_t i = r.from; i <= r.to; i += r.step) {
		const char *z =
		        r.letter ? arena_printf(a, "%.*s%c%.*s", head, pattern.p, letters[i], tail, close + 1)
		                 : arena_printf(a, "%.*s%0*lld%.*s", head, pattern.p, r.width, (long long)i,
		                                tail, close + 1);
		if (!expand(a, str_c(z), names, at, err))
			return false;
	}
	return true;
}

/* ---- addresses ---------------------------------------------------------------------------------------- */

/* Takes ":22" off the end of "[anything]:22" or of what has no other colon outside brackets. */
static bool take_port(struct str *s, int64_t *port)
{
	const char *colon = memrchr(s->p, ':', s->n);
	int64_t n;
	if (!colon || !number(str_n(colon + 1, (size_t)(s->p + s->n - colon - 1)), &n))
		return false;
	struct str head = str_n(s->p, (size_t)(colon - s->p));
	if (head.n > 2 && head.p[0] == '[' && head.p[head.n - 1] == ']') {
		*s = str_n(head.p + 1, head.n - 2);
		*port = n;
		return true;
	}
	bool bracket = false;
	for (size_t i = 0; i < head.n; i++) {
		char c = head.p[i];
		if (!bracket && (c == ':' || c == ']'))
			return false;
		bracket = bracket ? c != ']' : c == '[';
	}
	if (bracket)
		return false;
	*s = head;
	*port = n;
	return true;
}

/* The length of a range at the head of S; 0: there is none. */
static size_t range_at(struct str s)
{
	struct range r;
	const char *close = s.n && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL, *why;
	if (!close)
		return 0;
	size_t n = (size_t)(close - s.p);
	return parse_range(str_n(s.p + 1, n - 1), &r, &why) ? n + 1 : 0;
}

/* Labels of letters, digits, '-', '_' and ranges between dots: a name, or an IPv4 address. */
static bool is_name(struct str s)
{
	bool start = true;
	char last = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		size_t range = range_at(str_n(s.p + i, s.n - i));
		if (c == '.' ? start || last == '-' || last == '_'
		             : !range && !isalnum(c) && c != '_' && c < 0x80 && (c != '-' || start))
			return false;
		start = c == '.';
		last = range ? ']' : (char)c;
		i += range ? range - 1 : 0;
	}
	return s.n && !start && last != '-' && (last != '_' || s.n == 1);
}

static bool is_ipv6(struct str s)
{
	size_t colons = 0;
	bool shortened = false;
	for (size_t i = 0; i < s.n; i++) {
		size_t range = range_at(str_n(s.p + i, s.n - i));
		if (s.p[i] == ':') {
			colons++;
			shortened |= i && s.p[i - 1] == ':';
		} else if (!range && !isxdigit((unsigned char)s.p[i]) && s.p[i] != '.')
			return false;
		i += range ? range - 1 : 0;
	}
	return shortened || colons == (memchr(s.p, '.', s.n) ? 6 : 7);
}

bool inventory_address(struct str text, struct str *ret_name, int64_t *ret_port)
{
	struct str s = text;
	int64_t port = 0;
	if (take_port(&s, &port))
		take_port(&s, &port);
	if (!is_name(s) && !is_ipv6(s))
		return false;
	*ret_name = s;
	*ret_port = port;
	return true;
}

bool inventory_hosts_named(struct arena *a, struct str text, struct origin at, struct val *names,
                           int64_t *ret_port, struct err *err)
{
	struct str name = text;
	*ret_port = 0;
	if (!inventory_address(text, &name, ret_port) && text.n && text.p[text.n - 1] == ':')
		return err_set(err, ERR_USER, at,
		               "Invalid host pattern '%.*s' supplied, ending in ':' is not allowed, this "
		               "character is reserved to provide a port.",
		               STR_FMT(text));
	if (str_eqc(str_trim(text), "---"))
		return err_set(err, ERR_USER, at,
		               "Invalid host pattern '---' supplied, '---' is normally a sign this is a YAML "
		               "file.");
	return expand(a, name, names, at, err);
}
