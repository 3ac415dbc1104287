/* Which hosts a pattern means. */
#include "ansible/inventory.h"
#include "base/source.h"
#include "jinja/jinja.h"
#include <fnmatch.h>
#include <stdlib.h>

struct match {
	struct inventory *inv;
	struct arena *a;
	bool *in; /* by host index */
	struct val *missing;
	struct err *err;
};

/* "web[0:2]", "web[1]": which of the matched hosts. False: no subscript. */
static bool subscript(struct str *p, int64_t *from, int64_t *to)
{
	if (p->n < 3 || p->p[p->n - 1] != ']' || p->p[0] == '~')
		return false;
	const char *open = memrchr(p->p, '[', p->n);
	if (!open || open == p->p)
		return false;
	struct str in = str_n(open + 1, (size_t)(p->p + p->n - open - 2)), first = str_split(&in, ':');
	if (!in.p) {
		const char *dash = first.n > 1 ? memchr(first.p + 1, '-', first.n - 1) : NULL;
		if (dash) {
			in = str_n(dash + 1, (size_t)(first.p + first.n - dash - 1));
			first.n = (size_t)(dash - first.p);
		}
	}
	*from = 0;
	if ((first.n && !str_int(first, from)) || (!first.n && !in.p))
		return false;
	*to = in.p ? -1 : *from;
	if (in.n && !str_int(in, to))
		return false;
	p->n = (size_t)(open - p->p);
	return true;
}

static bool regex_match(struct match *m, struct str regex, const char *name)
{
	static const struct jinja_hooks none;
	struct jinja_env *env = jinja_env_new(m->a, true);
	const struct jinja_func *f = jinja_env_find(env, 't', STR("match"));
	struct val *args = val_list(m->a), *r = NULL;
	val_push(args, val_strz(m->a, name));
	val_push(args, val_str(m->a, regex));
	struct jinja_call c = {.ctx = jinja_ctx_new(env, m->a, &none),
	                       .a = m->a,
	                       .args = args,
	                       .kwargs = val_map(m->a),
	                       .user = f->user};
	return f->fn(&c, &r, m->err) && val_truthy(r);
}

static bool name_match(struct match *m, struct str pat, const char *name)
{
	if (pat.n && pat.p[0] == '~')
		return regex_match(m, str_n(pat.p + 1, pat.n - 1), name);
	return fnmatch(arena_strndup(m->a, pat.p, pat.n), name, 0) == 0;
}

static void group_hosts(const struct group *g, bool *set)
{
	for (size_t i = 0; i < g->n_hosts; i++)
		set[g->hosts[i]->index] = true;
	for (size_t i = 0; i < g->n_children; i++)
		group_hosts(g->children[i], set);
}

static bool *part_hosts(struct match *m, struct str pat)
{
	struct inventory *inv = m->inv;
	bool *set = arena_array(m->a, inv->n_hosts + 1, sizeof(bool)), any = false;
	int64_t from, to;
	bool sub = subscript(&pat, &from, &to);
	if (str_eqc(pat, "all") || str_eqc(pat, "*")) {
		for (size_t i = 0; i < inv->n_hosts; i++)
			any |= set[i] = !inv->hosts[i]->implicit;
		any = true;
	}
	for (size_t i = 0; i < inv->n_groups && !any; i++)
		if (name_match(m, pat, inv->groups[i]->name)) {
			group_hosts(inv->groups[i], set);
			any = any || pat.p[0] != '~';
		}
	bool wild = pat.n && (pat.p[0] == '~' || memchr(pat.p, '*', pat.n) || memchr(pat.p, '?', pat.n) ||
	                      memchr(pat.p, '[', pat.n));
	for (size_t i = 0; i < inv->n_hosts && (!any || wild); i++)
		if (!inv->hosts[i]->implicit && name_match(m, pat, inv->hosts[i]->name))
			set[i] = any = true;
	for (size_t i = 0; i < inv->n_hosts; i++)
		any = any || set[i];
	static const char *const local[] = {"localhost", "127.0.0.1", "::1"};
	for (size_t i = 0; i < 3 && !any; i++) {
		if (!str_eqc(pat, local[i]))
			continue;
		struct host *h = inventory_add_host(inv, pat);
		h->implicit = true;
		bool *larger = arena_array(m->a, inv->n_hosts + 1, sizeof(bool));
		larger[h->index] = any = true;
		set = larger;
	}
	if (!any && m->missing)
		val_push(m->missing, val_str(m->a, pat));
	if (sub) {
		int64_t n = 0, k = 0;
		for (size_t i = 0; i < inv->n_hosts; i++)
			n += set[i];
		from = from < 0 ? from + n : from;
		to = to < 0 ? to + n : to;
		for (size_t i = 0; i < inv->n_hosts; i++) {
			if (set[i]) {
				set[i] = k >= from && k <= to;
				k++;
			}
		}
	}
	return set;
}

/* Splits at commas, or at colons where that cannot be a part of an address or range. */
static void split_pattern(struct match *m, struct str s, struct val *parts)
{
	bool comma = memchr(s.p, ',', s.n) != NULL;
	size_t from = 0;
	int depth = 0;
	for (size_t i = 0; i <= s.n; i++) {
		char c = i < s.n ? s.p[i] : 0;
		if (c == '[')
			depth++;
		if (c == ']')
			depth--;
		if (c && (comma ? c != ',' : c != ':' || depth > 0))
			continue;
		struct str part = str_trim(str_n(s.p + from, i - from));
		if (part.n)
			val_push(parts, val_str(m->a, part));
		from = i + 1;
	}
}

static bool is_ipv6(struct str s)
{
	size_t colons = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == ':')
			colons++;
		else if (!strchr("0123456789abcdefABCDEF.", s.p[i]))
			return false;
	}
	return colons > 1;
}

/* Ansible's order: what adds, then & , then !. */
static bool *select_parts(struct match *m, const struct val *pattern, size_t n_hosts_before)
{
	struct val *parts = val_list(m->a);
	size_t n = val_is_list(pattern) ? val_len(pattern) : 1;
	for (size_t i = 0; i < n; i++) {
		struct str s = val_text(val_is_list(pattern) ? val_at(pattern, i) : pattern, m->a);
		if (is_ipv6(s))
			val_push(parts, val_str(m->a, s));
		else
			split_pattern(m, s, parts);
	}
	(void)n_hosts_before;
	bool *set = NULL;
	size_t have = 0;
	bool adds = false;
	VAL_EACH (i, parts)
		adds = adds || !strchr("!&", val_get_str(val_at(parts, i)).p[0]);
	if (!adds) {
		set = part_hosts(m, STR("all"));
		have = m->inv->n_hosts;
	}
	for (int pass = 0; pass < 3; pass++) {
		VAL_EACH (i, parts) {
			struct str p = val_get_str(val_at(parts, i));
			int kind = p.p[0] == '&' ? 1 : p.p[0] == '!' ? 2 : 0;
			if (kind != pass)
				continue;
			bool *one = part_hosts(m, kind ? str_n(p.p + 1, p.n - 1) : p);
			size_t now = m->inv->n_hosts;
			bool *next = arena_array(m->a, now + 1, sizeof(bool));
			for (size_t k = 0; k < now; k++) {
				bool was = set && k < have && set[k];
				next[k] = kind == 0   ? was || one[k]
				          : kind == 1 ? was && one[k]
				                      : was && !one[k];
			}
			set = next;
			have = now;
		}
	}
	return set;
}

bool inventory_match(struct inventory *inv, const struct val *pattern, const char *limit, struct arena *a,
                     struct val **ret, struct val *missing, struct err *err)
{
	struct match m = {inv, a, NULL, missing, err};
	size_t before = inv->n_hosts;
	bool *set = select_parts(&m, pattern, before), *lim = NULL;
	size_t n = inv->n_hosts, lim_n = 0;
	if (limit && *limit) {
		lim = select_parts(&m, val_strz(a, limit), n);
		lim_n = inv->n_hosts;
	}
	*ret = val_list(a);
	for (size_t i = 0; i < n; i++)
		if (set && set[i] && (!limit || !*limit || (i < lim_n && lim && lim[i])))
			val_push(*ret, val_strz(a, inv->hosts[i]->name));
	return !err_is(err);
}
