/* Which hosts a pattern means, and in which order. */
#include "ansible/inventory.h"
#include "ansible/ptrs.h"
#include "base/fs.h"
#include "base/source.h"
#include "jinja/jinja.h"
#include <ctype.h>
#include <fnmatch.h>

struct match {
	struct inventory *inv;
	struct arena *a;
	struct val *missing;
	struct err *err;
	struct jinja_env *env; /* for regular expressions; NULL: none yet */
};

static bool digits(struct str s, int64_t *ret)
{
	for (size_t i = 0; i < s.n; i++)
		if (!isdigit((unsigned char)s.p[i]))
			return false;
	return s.n && str_int(s, ret);
}

struct slice {
	bool is;
	bool range;
	int64_t from, to; /* TO of a range: -1 is the last */
};

/* "web[0:2]", "web[1]", "web[-1]": which of the matched hosts; other brackets are a wildcard's. */
static struct slice take_slice(struct str *p)
{
	struct slice s = {0};
	const char *open = p->n > 3 && p->p[p->n - 1] == ']' ? memrchr(p->p, '[', p->n) : NULL;
	if (!open || open == p->p || p->p[0] == '~')
		return s;
	struct str in = str_n(open + 1, (size_t)(p->p + p->n - open - 2));
	bool minus = in.n && in.p[0] == '-';
	struct str rest = minus ? str_n(in.p + 1, in.n - 1) : in;
	size_t n = 0;
	while (n < rest.n && isdigit((unsigned char)rest.p[n]))
		n++;
	if (!digits(str_n(rest.p, n), &s.from))
		return s;
	struct str end = str_n(rest.p + n, rest.n - n);
	s.to = -1;
	if (end.n) {
		s.range = true;
		if (minus || (end.p[0] != ':' && end.p[0] != '-') ||
		    (end.n > 1 && !digits(str_n(end.p + 1, end.n - 1), &s.to)))
			return s;
	}
	s.from = minus ? -s.from : s.from;
	s.is = true;
	p->n = (size_t)(open - p->p);
	return s;
}

static bool apply_slice(struct match *m, struct slice s, struct str pattern, struct host_set *set)
{
	int64_t n = (int64_t)set->n, from = s.from, to = s.to < 0 ? n - 1 : s.to;
	struct host_set kept = {.a = m->a};
	if (!s.is || !n)
		return true;
	if (!s.range || s.to == 0) {
		from = from < 0 ? from + n : from;
		if (from < 0 || from >= n)
			return err_set(m->err, ERR_USER, ORIGIN_NONE,
			               "No hosts matched the subscripted pattern '%.*s'", STR_FMT(pattern));
		to = from;
	}
	for (int64_t i = from; i <= to && i < n; i++)
		host_set_add(&kept, set->v[i]);
	*set = kept;
	return true;
}

static bool regex_match(struct match *m, struct str regex, const char *name)
{
	static const struct jinja_hooks none;
	if (!m->env)
		m->env = jinja_env_new(m->a, true);
	const struct jinja_func *f = jinja_env_find(m->env, 't', STR("match"));
	struct val *args = val_list(m->a), *r = NULL;
	val_push(args, val_strz(m->a, name));
	val_push(args, val_str(m->a, regex));
	struct jinja_call c = {.ctx = jinja_ctx_new(m->env, m->a, &none),
	                       .a = m->a,
	                       .args = args,
	                       .kwargs = val_map(m->a),
	                       .user = f->user};
	return f->fn(&c, &r, m->err) && val_truthy(r);
}

static bool name_match(struct match *m, struct str pat, const char *name)
{
	if (pat.p[0] == '~')
		return regex_match(m, str_n(pat.p + 1, pat.n - 1), name);
	return fnmatch(arena_strndup(m->a, pat.p, pat.n), name, FNM_NOESCAPE) == 0;
}

static bool is_special(struct str pat)
{
	return pat.p[0] == '~' || memchr(pat.p, '.', pat.n) || memchr(pat.p, '?', pat.n) ||
	       memchr(pat.p, '*', pat.n) || memchr(pat.p, '[', pat.n);
}

/* The hosts one part means: of groups, by name, or the local one that nobody defined. */
static bool part_hosts(struct match *m, struct str pat, struct host_set *set)
{
	struct inventory *inv = m->inv;
	struct str whole = pat;
	struct slice slice = take_slice(&pat);
	bool group = false;
	for (size_t i = 0; i < inv->n_groups; i++) {
		if (!name_match(m, pat, inv->groups[i]->name))
			continue;
		group = true;
		group_hosts(inv->groups[i], set);
	}
	for (size_t i = 0; i < inv->n_hosts && (!group || is_special(pat)); i++)
		if (!inv->hosts[i]->implicit && name_match(m, pat, inv->hosts[i]->name))
			host_set_add(set, inv->hosts[i]);
	if (!set->n && inventory_is_local(pat)) {
		struct host *h = inventory_local(inv);
		if (!h)
			h = inventory_host(inv, pat);
		if (!h) {
			h = inventory_add_host(inv, pat);
			h->implicit = true;
		}
		host_set_add(set, h);
	}
	if (!set->n && !group && m->missing && !str_eqc(pat, "all"))
		val_push(m->missing, val_str(m->a, pat));
	return !err_is(m->err) && apply_slice(m, slice, whole, set);
}

/* ---- parts --------------------------------------------------------------------------------------------- */

/* Splits at commas, or at colons where they part patterns: not in an address, a range or a port. */
static void split_pattern(struct match *m, struct str s, struct val *parts)
{
	struct str name;
	int64_t port;
	bool comma = memchr(s.p, ',', s.n) != NULL;
	bool whole = !comma && inventory_address(s, &name, &port);
	size_t from = 0;
	int depth = 0;
	for (size_t i = 0; i <= s.n; i++) {
		char c = i < s.n ? s.p[i] : 0;
		depth += c == '[' ? 1 : c == ']' ? -1 : 0;
		bool ends = !c || (comma ? c == ','
		                         : !whole && depth < 1 && (c == ':' || isspace((unsigned char)c)));
		if (!ends)
			continue;
		struct str part = str_trim(str_n(s.p + from, i - from));
		if (part.n)
			val_push(parts, val_str(m->a, part));
		from = i + 1;
	}
}

static void split_all(struct match *m, const struct val *pattern, struct val *parts)
{
	if (!val_is_list(pattern))
		split_pattern(m, val_text(pattern, m->a), parts);
	for (size_t i = 0; val_is_list(pattern) && i < val_len(pattern); i++)
		split_all(m, val_at(pattern, i), parts);
}

/* 0 adds, 1 keeps what both have, 2 takes away: the order they are looked at in. */
static int kind_of(struct str part)
{
	return part.p[0] == '&' ? 1 : part.p[0] == '!' ? 2 : 0;
}

static void keep(struct match *m, struct host_set *set, const struct host_set *with, bool common)
{
	struct host_set kept = {.a = m->a};
	for (size_t i = 0; i < set->n; i++)
		if (host_set_has(with, set->v[i]) == common)
			host_set_add(&kept, set->v[i]);
	*set = kept;
}

static bool take_part(struct match *m, struct str part, struct host_set *set)
{
	struct host_set one = {.a = m->a};
	int kind = kind_of(part);
	struct host *h = kind ? NULL : inventory_host(m->inv, part);
	if (h && !h->implicit) {
		host_set_add(set, h); /* a host's own name is no pattern */
		return true;
	}
	if (kind)
		part = str_n(part.p + 1, part.n - 1);
	if (part.n && !part_hosts(m, part, &one))
		return false;
	for (size_t i = 0; !kind && i < one.n; i++)
		host_set_add(set, one.v[i]);
	if (kind)
		keep(m, set, &one, kind == 1);
	return true;
}

static bool select_parts(struct match *m, const struct val *parts, struct host_set *set)
{
	bool adds = false;
	VAL_EACH (i, parts)
		adds = adds || !kind_of(val_get_str(val_at(parts, i)));
	if (!adds && !part_hosts(m, STR("all"), set))
		return false;
	for (int kind = 0; kind < 3; kind++)
		VAL_EACH (i, parts) {
			struct str part = val_get_str(val_at(parts, i));
			if (kind_of(part) == kind && !take_part(m, part, set))
				return false;
		}
	return true;
}

/* The parts of a limit; "@FILE" stands for the file's lines. */
static bool limit_parts(struct match *m, const char *limit, struct val *ret)
{
	struct val *parts = val_list(m->a);
	split_pattern(m, str_c(limit), parts);
	VAL_EACH (i, parts) {
		struct str part = val_get_str(val_at(parts, i));
		struct buf b = {0};
		if (part.p[0] != '@') {
			val_push(ret, val_at(parts, i));
			continue;
		}
		const char *path = arena_strndup(m->a, part.p + 1, part.n - 1);
		if (!fs_exists(path))
			return err_set(m->err, ERR_USER, ORIGIN_NONE, "Unable to find limit file %s", path);
		bool ok = fs_read(path, &b, m->err);
		struct str rest = ok ? buf_take(&b, m->a) : (struct str){0};
		buf_free(&b);
		while (rest.p) {
			struct str line = str_trim(str_split(&rest, '\n'));
			if (line.n)
				val_push(ret, val_str(m->a, line));
		}
		if (!ok)
			return false;
	}
	return true;
}

bool inventory_match(struct inventory *inv, const struct val *pattern, const char *limit, struct arena *a,
                     struct val **ret, struct val *missing, struct err *err)
{
	struct match m = {.inv = inv, .a = a, .missing = missing, .err = err};
	struct host_set set = {.a = a}, within = {.a = a};
	struct val *parts = val_list(a), *limits = val_list(a);
	split_all(&m, pattern, parts);
	if (!select_parts(&m, parts, &set))
		return false;
	bool limited = limit && *limit;
	if (limited && (!limit_parts(&m, limit, limits) || !select_parts(&m, limits, &within)))
		return false;
	*ret = val_list(a);
	for (size_t i = 0; i < set.n; i++)
		if (!limited || host_set_has(&within, set.v[i]))
			val_push(*ret, val_strz(a, set.v[i]->name));
	return !err_is(err);
}
