/* The ini form of an inventory: [group], [group:vars], [group:children], host lines with ranges and
 * variables. */
#include "ansible/inventory.h"
#include "base/source.h"
#include "jinja/jinja.h"
#include <ctype.h>

bool inventory_ranges(struct arena *a, struct str pattern, struct val *names, struct err *err);

struct range {
	int64_t from, to, step;
	int width; /* zero padding */
	bool alpha;
};

/* "a:f", "01:10", "1:9:2" */
static bool parse_range(struct str s, struct range *r)
{
	struct str from = str_split(&s, ':');
	if (!s.p)
		return false;
	struct str to = str_split(&s, ':');
	*r = (struct range){.step = 1};
	if (s.p && (!str_int(s, &r->step) || r->step <= 0))
		return false;
	if (from.n == 1 && to.n == 1 && isalpha((unsigned char)*from.p) && isalpha((unsigned char)*to.p)) {
		r->from = (unsigned char)*from.p;
		r->to = (unsigned char)*to.p;
		r->alpha = true;
		return r->from <= r->to;
	}
	if (!from.n)
		r->from = 0;
	else if (!str_int(from, &r->from))
		return false;
	if (from.n > 1 && from.p[0] == '0')
		r->width = (int)from.n;
	return str_int(to, &r->to) && r->from <= r->to && r->to - r->from < 1000000;
}

bool inventory_ranges(struct arena *a, struct str pattern, struct val *names, struct err *err)
{
	const char *open = memchr(pattern.p, '[', pattern.n);
	const char *close = open ? memchr(open, ']', (size_t)(pattern.p + pattern.n - open)) : NULL;
	if (!close || !memchr(open, ':', (size_t)(close - open))) {
		val_push(names, val_str(a, pattern));
		return true;
	}
	struct range r;
	if (!parse_range(str_n(open + 1, (size_t)(close - open - 1)), &r))
		return err_set(err, ERR_USER, ORIGIN_NONE, "'%.*s' is no range of hosts", STR_FMT(pattern));
	int head = (int)(open - pattern.p), tail = (int)(pattern.p + pattern.n - close - 1);
	for (int64_t i = r.from; i <= r.to; i += r.step) {
		const char *z =
		        r.alpha ? arena_printf(a, "%.*s%c%.*s", head, pattern.p, (int)i, tail, close + 1)
		                : arena_printf(a, "%.*s%0*lld%.*s", head, pattern.p, r.width, (long long)i,
		                               tail, close + 1);
		if (!inventory_ranges(a, str_c(z), names, err))
			return false;
	}
	return true;
}

struct ini {
	struct inventory *inv;
	struct arena *a;
	uint32_t src;
	struct group *group;
	char kind; /* h(osts) v(ars) c(hildren) */
	struct str text;
};

static struct origin at(const struct ini *in, struct str s)
{
	return (struct origin){in->src, (uint32_t)(s.p - in->text.p)};
}

/* A word with shell quoting, as shlex.split with comments: false at the end of the line or at a '#'. */
static bool next_word(struct str *s, struct buf *out)
{
	size_t i = 0;
	while (i < s->n && isspace((unsigned char)s->p[i]))
		i++;
	if (i == s->n || s->p[i] == '#')
		return false;
	char quote = 0;
	for (; i < s->n; i++) {
		char c = s->p[i];
		if (!quote && isspace((unsigned char)c))
			break;
		if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? 0 : c;
		else if (c == '\\' && quote != '\'' && i + 1 < s->n &&
		         (!quote || s->p[i + 1] == '"' || s->p[i + 1] == '\\'))
			buf_addc(out, s->p[++i]);
		else
			buf_addc(out, c);
	}
	*s = str_n(s->p + i, s->n - i);
	return true;
}

/* Python's literals become values, everything else is text. */
static struct val *ini_value(struct ini *in, struct str s, struct origin o)
{
	struct val *v;
	if (jinja_literal_eval(in->a, s, &v))
		return v;
	return val_at_origin(in->a, val_str(in->a, s), o);
}

static bool section(struct ini *in, struct str line, struct err *err)
{
	const char *end = memchr(line.p, ']', line.n);
	if (!end)
		return err_set(err, ERR_USER, at(in, line), "invalid section entry: '%.*s'", STR_FMT(line));
	struct str name = str_n(line.p + 1, (size_t)(end - line.p - 1)), kind = name;
	name = str_split(&kind, ':');
	if (kind.p && !str_eqc(kind, "vars") && !str_eqc(kind, "children") && !str_eqc(kind, "hosts"))
		return err_set(err, ERR_USER, at(in, line), "section [%.*s] has unknown type: %.*s",
		               STR_FMT(name), STR_FMT(kind));
	in->kind = kind.p ? kind.p[0] : 'h';
	in->group = inventory_add_group(in->inv, name);
	return true;
}

static bool child_line(struct ini *in, struct str line, struct err *err)
{
	const char *hash = memchr(line.p, '#', line.n);
	if (hash)
		line = str_trim(str_n(line.p, (size_t)(hash - line.p)));
	if (!group_add_child(in->inv, in->group, inventory_add_group(in->inv, line)))
		return err_set(err, ERR_USER, at(in, line), "group '%.*s' cannot be its own descendant",
		               STR_FMT(line));
	return true;
}

static bool vars_line(struct ini *in, struct str line, struct err *err)
{
	const char *eq = memchr(line.p, '=', line.n);
	if (!eq)
		return err_set(err, ERR_USER, at(in, line), "expected key=value, got: %.*s", STR_FMT(line));
	struct str key = str_trim(str_n(line.p, (size_t)(eq - line.p)));
	struct str value = str_trim(str_n(eq + 1, (size_t)(line.p + line.n - eq - 1)));
	val_sets(in->group->vars, key, ini_value(in, value, at(in, value)));
	return true;
}

static bool host_line(struct ini *in, struct str line, struct err *err)
{
	struct buf w = {0};
	struct str rest = line;
	struct val *names = val_list(in->a), *vars = val_map(in->a);
	next_word(&rest, &w);
	struct str host = buf_take(&w, in->a);
	/* "host:2222", but not "fe80::1" and not a range's colon */
	const char *colon = memrchr(host.p, ':', host.n);
	int64_t port;
	if (colon && !memchr(colon, ']', (size_t)(host.p + host.n - colon)) &&
	    (memchr(host.p, ':', host.n) == colon || memchr(host.p, ']', host.n)) &&
	    str_int(str_n(colon + 1, (size_t)(host.p + host.n - colon - 1)), &port)) {
		val_set(vars, "ansible_port", val_int(in->a, port));
		host.n = (size_t)(colon - host.p);
	}
	bool ok = inventory_ranges(in->a, host, names, err);
	for (;;) {
		buf_clear(&w);
		struct origin o = at(in, rest);
		if (!ok || !next_word(&rest, &w))
			break;
		char *eq = memchr(w.p, '=', w.n);
		if (!eq) {
			ok = err_set(err, ERR_USER, o, "expected key=value host variable assignment, got: %s",
			             w.p);
			break;
		}
		struct str value = str_dup(in->a, str_n(eq + 1, (size_t)(w.p + w.n - eq - 1)));
		val_sets(vars, str_dup(in->a, str_n(w.p, (size_t)(eq - w.p))), ini_value(in, value, o));
	}
	buf_free(&w);
	for (size_t i = 0; ok && i < val_len(names); i++) {
		struct host *h = inventory_add_host(in->inv, val_get_str(val_at(names, i)));
		if (in->group)
			group_add_host(in->inv, in->group, h);
		MAP_EACH (k, vars)
			val_setk(h->vars, val_key_at(vars, k), val_value_at(vars, k));
	}
	return ok;
}

bool inventory_parse_ini(struct inventory *inv, struct str text, uint32_t src, struct err *err)
{
	struct ini in = {.inv = inv, .a = inv->a, .src = src, .kind = 'h', .text = text};
	in.group = inventory_add_group(inv, STR("ungrouped"));
	while (text.p) {
		struct str line = str_trim(str_split(&text, '\n'));
		if (!line.n || line.p[0] == '#' || line.p[0] == ';')
			continue;
		bool ok = line.p[0] == '[' && memchr(line.p, ']', line.n) == line.p + line.n - 1 &&
		                          !memchr(line.p, ' ', line.n)
		                  ? section(&in, line, err)
		          : in.kind == 'c' ? child_line(&in, line, err)
		          : in.kind == 'v' ? vars_line(&in, line, err)
		                           : host_line(&in, line, err);
		if (!ok)
			return false;
	}
	inventory_settle(inv);
	return true;
}
