#include "ansible/inventory.h"
#include "ansible/ptrs.h"
#include "base/fs.h"
#include <stdlib.h>

struct inventory *inventory_new(struct arena *a, struct sources *ss)
{
	struct inventory *inv = ARENA_NEW(a, struct inventory);
	inv->a = a;
	inv->by_name = val_map(a);
	inv->sources = ss;
	inventory_clear(inv);
	return inv;
}

void inventory_clear(struct inventory *inv)
{
	inv->n_groups = inv->n_specs = inv->n_vars_dirs = 0;
	inventory_add_group(inv, STR("all"));
	group_add_child(inv, inv->groups[0], inventory_add_group(inv, STR("ungrouped")));
	for (size_t i = 0; i < inv->n_hosts; i++) {
		struct host *h = inv->hosts[i];
		h->files = (struct file_vars){0};
		h->n_direct = 0;
		h->gone = h->gone || !h->implicit;
		h->implicit = true;
	}
}

static struct host *host_find(const struct inventory *inv, struct str name)
{
	const struct val *at = val_gets(inv->by_name, name);
	return at ? inv->hosts[val_get_int(at)] : NULL;
}

struct host *inventory_host(const struct inventory *inv, struct str name)
{
	struct host *h = host_find(inv, name);
	return h && !h->gone ? h : NULL;
}

struct group *inventory_group(const struct inventory *inv, struct str name)
{
	for (size_t i = 0; i < inv->n_groups; i++)
		if (str_eqc(name, inv->groups[i]->name))
			return inv->groups[i];
	return NULL;
}

bool inventory_is_local(struct str name)
{
	return str_eqc(name, "localhost") || str_eqc(name, "127.0.0.1") || str_eqc(name, "::1");
}

struct host *inventory_local(const struct inventory *inv)
{
	for (size_t i = 0; i < inv->n_hosts; i++)
		if (!inv->hosts[i]->implicit && inventory_is_local(str_c(inv->hosts[i]->name)))
			return inv->hosts[i];
	return NULL;
}

static struct host *host_new(struct inventory *inv, struct str name)
{
	struct host *h = ARENA_NEW(inv->a, struct host);
	h->name = arena_strndup(inv->a, name.p, name.n);
	h->index = inv->n_hosts;
	val_set(inv->by_name, h->name, val_int(inv->a, (int64_t)h->index));
	h->a = arena_new(inv->a);
	h->facts = val_map(h->a);
	h->facts_ns = val_map(h->a);
	h->set_vars = val_map(h->a);
	h->included = val_map(h->a);
	PTRS_PUSH(inv->a, inv->hosts, inv->n_hosts, h);
	return h;
}

struct host *inventory_add_host(struct inventory *inv, struct str name)
{
	struct host *h = host_find(inv, name);
	if (h && !h->gone)
		return h;
	if (!h)
		h = host_new(inv, name);
	h->gone = h->implicit = false;
	h->vars = val_map(inv->a);
	if (inv->source) {
		const char *dir = fs_exists(inv->source) ? fs_dirname(inv->a, inv->source) : NULL;
		val_set(h->vars, "inventory_file", val_strz(inv->a, inv->source));
		val_set(h->vars, "inventory_dir", dir ? val_strz(inv->a, dir) : val_null());
	}
	return h;
}

struct group *inventory_add_group(struct inventory *inv, struct str name)
{
	struct group *g = inventory_group(inv, name);
	if (g)
		return g;
	g = ARENA_NEW(inv->a, struct group);
	g->name = arena_strndup(inv->a, name.p, name.n);
	g->vars = val_map(inv->a);
	g->priority = 1;
	PTRS_PUSH(inv->a, inv->groups, inv->n_groups, g);
	return g;
}

bool group_has(const struct group *g, const struct host *h)
{
	for (size_t i = 0; i < h->n_direct; i++)
		if (h->direct[i] == g)
			return true;
	return false;
}

void group_add_host(struct inventory *inv, struct group *g, struct host *h)
{
	if (group_has(g, h))
		return;
	PTRS_PUSH(inv->a, h->direct, h->n_direct, g);
	PTRS_PUSH(inv->a, g->hosts, g->n_hosts, h);
}

static void host_leave(struct host *h, const struct group *g)
{
	size_t n = 0;
	for (size_t i = 0; i < h->n_direct; i++)
		if (h->direct[i] != g)
			h->direct[n++] = h->direct[i];
	h->n_direct = n;
}

static bool is_ancestor(const struct group *g, const struct group *of)
{
	if (g == of)
		return true;
	for (size_t i = 0; i < of->n_parents; i++)
		if (is_ancestor(g, of->parents[i]))
			return true;
	return false;
}

void group_set_var(struct group *g, struct val *key, struct val *v)
{
	int64_t n;
	if (!val_is_str(key) || !str_eqc(val_get_str(key), "ansible_group_priority"))
		val_setk(g->vars, key, v);
	else if (val_kind(v) == VAL_INT)
		g->priority = val_get_int(v);
	else if (val_is_str(v) && str_int(val_get_str(v), &n))
		g->priority = n;
}

bool group_add_child(struct inventory *inv, struct group *g, struct group *child)
{
	if (is_ancestor(child, g))
		return false;
	for (size_t i = 0; i < g->n_children; i++)
		if (g->children[i] == child)
			return true;
	PTRS_PUSH(inv->a, g->children, g->n_children, child);
	PTRS_PUSH(inv->a, child->parents, child->n_parents, g);
	return true;
}

static void set_depth(struct group *g, int depth)
{
	if (g->depth < depth)
		g->depth = depth;
	for (size_t i = 0; i < g->n_children; i++)
		set_depth(g->children[i], depth + 1);
}

static void host_join(struct inventory *inv, struct host *h, struct group *g)
{
	for (size_t i = 0; i < h->n_groups; i++)
		if (h->groups[i] == g)
			return;
	PTRS_PUSH(inv->a, h->groups, h->n_groups, g);
	for (size_t i = 0; i < g->n_parents; i++)
		host_join(inv, h, g->parents[i]);
}

static int group_cmp(const void *x, const void *y)
{
	const struct group *a = *(struct group *const *)x, *b = *(struct group *const *)y;
	if (a->depth != b->depth)
		return a->depth - b->depth;
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return strcmp(a->name, b->name);
}

static bool is_only(const struct host *h, const struct group *g)
{
	return h->n_groups == 1 && h->groups[0] == g;
}

void inventory_settle(struct inventory *inv)
{
	struct group *all = inv->groups[0], *ungrouped = inv->groups[1];
	for (size_t i = 0; i < inv->n_groups; i++) {
		struct group *g = inv->groups[i];
		if (g != all && !g->n_parents)
			group_add_child(inv, all, g);
		g->depth = 0;
	}
	set_depth(all, 0);
	for (size_t i = 0; i < inv->n_hosts; i++) {
		inv->hosts[i]->n_groups = 0;
		inv->hosts[i]->groups = NULL;
		inv->hosts[i]->merged = NULL;
	}
	for (size_t i = 0; i < inv->n_groups; i++) {
		struct group *g = inv->groups[i];
		for (size_t k = 0; k < g->n_hosts && g != ungrouped; k++)
			host_join(inv, g->hosts[k], g);
	}
	/* Who is in a group is not ungrouped, whatever a source says; who is in none is. */
	size_t n = 0;
	for (size_t i = 0; i < ungrouped->n_hosts; i++) {
		struct host *h = ungrouped->hosts[i];
		if (!h->n_groups || is_only(h, all))
			ungrouped->hosts[n++] = h;
		else
			host_leave(h, ungrouped);
	}
	ungrouped->n_hosts = n;
	for (size_t i = 0; i < inv->n_hosts; i++) {
		struct host *h = inv->hosts[i];
		if (h->implicit)
			continue;
		host_join(inv, h, all);
		if (h->n_groups == 1) {
			host_join(inv, h, ungrouped);
			group_add_host(inv, ungrouped, h);
		}
		if (h->n_groups > 1)
			qsort(h->groups, h->n_groups, sizeof(*h->groups), group_cmp);
	}
}

static void merge_over(const struct inventory *inv, struct val *into, const struct val *from)
{
	for (size_t i = 0; from && i < val_len(from); i++) {
		struct val *key = val_key_at(from, i), *v = val_value_at(from, i);
		const struct val *old = inv->merge_hashes ? val_getk(into, key) : NULL;
		if (old && val_is_map(old) && val_is_map(v))
			v = val_merge(inv->a, old, v, true);
		val_setk(into, key, v);
	}
}

/* What the files say: those of one directory for all groups before those of the next. */
static void merge_files(const struct inventory *inv, struct val *into, struct group *const *groups, size_t n,
                        const struct group *but)
{
	for (size_t d = 0; d < inv->n_vars_dirs; d++)
		for (size_t i = 0; i < n; i++)
			if (groups[i] != but && d < groups[i]->files.n)
				merge_over(inv, into, groups[i]->files.beside[d]);
}

static void merge_playbook(const struct inventory *inv, struct val *into, struct group *const *groups,
                           size_t n, const struct group *but)
{
	for (size_t i = 0; i < n; i++)
		if (groups[i] != but)
			merge_over(inv, into, groups[i]->files.playbook);
}

static struct val *groups_own_vars(const struct inventory *inv, const struct host *h)
{
	struct group *all = inv->groups[0];
	struct val *m = val_map(inv->a);
	merge_over(inv, m, all->vars);
	for (size_t i = 0; i < h->n_groups; i++)
		if (h->groups[i] != all)
			merge_over(inv, m, h->groups[i]->vars);
	return m;
}

struct val *host_own_vars(const struct inventory *inv, const struct host *h)
{
	struct val *m = groups_own_vars(inv, h);
	merge_over(inv, m, h->vars);
	return m;
}

struct val *host_inventory_vars(struct inventory *inv, struct host *h)
{
	if (h->merged)
		return h->merged;
	struct group *all = inv->groups[0];
	struct val *m = groups_own_vars(inv, h);
	merge_files(inv, m, &all, 1, NULL);
	merge_playbook(inv, m, &all, 1, NULL);
	merge_files(inv, m, h->groups, h->n_groups, all);
	merge_playbook(inv, m, h->groups, h->n_groups, all);
	merge_over(inv, m, h->vars);
	for (size_t d = 0; d < h->files.n; d++)
		merge_over(inv, m, h->files.beside[d]);
	merge_over(inv, m, h->files.playbook);
	return h->merged = m;
}

/* ---- hosts in order ------------------------------------------------------------------------------------ */

bool host_set_has(const struct host_set *s, const struct host *h)
{
	return h->index < s->n_in && s->in[h->index];
}

void host_set_add(struct host_set *s, struct host *h)
{
	if (host_set_has(s, h))
		return;
	if (h->index >= s->n_in) {
		size_t n = (h->index + 1) * 2;
		bool *in = arena_array(s->a, n, sizeof(*in));
		if (s->n_in)
			memcpy(in, s->in, s->n_in * sizeof(*in));
		s->in = in;
		s->n_in = n;
	}
	s->in[h->index] = true;
	PTRS_PUSH(s->a, s->v, s->n, h);
}

static bool is_queued(struct group *const *v, size_t n, const struct group *g)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == g)
			return true;
	return false;
}

void group_hosts(struct group *g, struct host_set *s)
{
	struct group **queue = NULL;
	size_t n = 0;
	PTRS_PUSH(s->a, queue, n, g);
	for (size_t at = 0; at < n; at++) {
		for (size_t i = 0; i < queue[at]->n_hosts; i++)
			host_set_add(s, queue[at]->hosts[i]);
		for (size_t i = 0; i < queue[at]->n_children; i++)
			if (!is_queued(queue, n, queue[at]->children[i]))
				PTRS_PUSH(s->a, queue, n, queue[at]->children[i]);
	}
}
