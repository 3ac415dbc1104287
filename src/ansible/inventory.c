#include "ansible/inventory.h"
#include "ansible/ptrs.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/source.h"
#include "yaml/yaml_load.h"
#include <dirent.h>
#include <stdlib.h>

struct inventory *inventory_new(struct arena *a, struct sources *ss)
{
	struct inventory *inv = ARENA_NEW(a, struct inventory);
	inv->a = a;
	inv->sources = ss;
	inventory_add_group(inv, STR("all"));
	group_add_child(inv, inv->groups[0], inventory_add_group(inv, STR("ungrouped")));
	return inv;
}

struct host *inventory_host(const struct inventory *inv, struct str name)
{
	for (size_t i = 0; i < inv->n_hosts; i++)
		if (str_eqc(name, inv->hosts[i]->name))
			return inv->hosts[i];
	return NULL;
}

struct group *inventory_group(const struct inventory *inv, struct str name)
{
	for (size_t i = 0; i < inv->n_groups; i++)
		if (str_eqc(name, inv->groups[i]->name))
			return inv->groups[i];
	return NULL;
}

struct host *inventory_add_host(struct inventory *inv, struct str name)
{
	struct host *h = inventory_host(inv, name);
	if (h)
		return h;
	h = ARENA_NEW(inv->a, struct host);
	h->name = arena_strndup(inv->a, name.p, name.n);
	h->index = inv->n_hosts;
	h->a = arena_new(inv->a);
	h->vars = val_map(inv->a);
	h->file_vars = val_map(inv->a);
	h->facts = val_map(h->a);
	h->facts_ns = val_map(h->a);
	h->set_vars = val_map(h->a);
	h->included = val_map(h->a);
	PTRS_PUSH(inv->a, inv->hosts, inv->n_hosts, h);
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
	g->file_vars = val_map(inv->a);
	g->priority = 1;
	PTRS_PUSH(inv->a, inv->groups, inv->n_groups, g);
	return g;
}

void group_add_host(struct inventory *inv, struct group *g, struct host *h)
{
	for (size_t i = 0; i < g->n_hosts; i++)
		if (g->hosts[i] == h)
			return;
	PTRS_PUSH(inv->a, g->hosts, g->n_hosts, h);
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

void inventory_settle(struct inventory *inv)
{
	struct group *all = inv->groups[0], *ungrouped = inv->groups[1];
	for (size_t i = 0; i < inv->n_groups; i++) {
		struct group *g = inv->groups[i];
		if (g != all && !g->n_parents)
			group_add_child(inv, all, g);
		g->depth = 0;
		g->priority = val_map_int(g->vars, "ansible_group_priority", 1);
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
	ungrouped->n_hosts = 0;
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

static void merge_over(struct val *into, const struct val *from)
{
	MAP_EACH (i, from)
		val_setk(into, val_key_at(from, i), val_value_at(from, i));
}

struct val *host_inventory_vars(struct inventory *inv, struct host *h)
{
	if (h->merged)
		return h->merged;
	struct val *m = val_map(inv->a);
	merge_over(m, inv->groups[0]->vars);
	merge_over(m, inv->groups[0]->file_vars);
	for (size_t i = 0; i < h->n_groups; i++)
		if (h->groups[i] != inv->groups[0])
			merge_over(m, h->groups[i]->vars);
	for (size_t i = 0; i < h->n_groups; i++)
		if (h->groups[i] != inv->groups[0])
			merge_over(m, h->groups[i]->file_vars);
	merge_over(m, h->vars);
	merge_over(m, h->file_vars);
	return h->merged = m;
}

/* ---- files of variables ------------------------------------------------------------------------------- */

static bool read_source(struct inventory *inv, const char *path, struct str *ret, uint32_t *ret_src,
                        struct err *err)
{
	struct buf b;
	buf_init(&b, FS_READ_MAX);
	bool ok = fs_read(path, &b, err);
	if (ok) {
		*ret_src = sources_add(inv->sources, path, buf_str(&b));
		*ret = sources_text(inv->sources, *ret_src);
	}
	buf_free(&b);
	return ok;
}

static bool vars_file(struct inventory *inv, const char *path, struct val *into, struct err *err)
{
	struct str text;
	uint32_t src;
	struct val *doc;
	if (!read_source(inv, path, &text, &src, err) || !yaml_load(inv->a, text, src, NULL, &doc, err))
		return false;
	if (val_is_null(doc))
		return true;
	if (!val_is_map(doc))
		return err_set(err, ERR_USER, (struct origin){src, 0},
		               "a file of variables must hold a dictionary");
	merge_over(into, doc);
	return true;
}

static int name_cmp(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static char **dir_names(struct arena *a, const char *dir, size_t *ret_n)
{
	char **v = NULL;
	size_t n = 0;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			PTRS_PUSH(a, v, n, arena_strdup(a, e->d_name));
	if (d)
		closedir(d);
	if (n > 1)
		qsort(v, n, sizeof(*v), name_cmp);
	*ret_n = n;
	return v;
}

static bool has_vars_suffix(const char *name)
{
	struct str s = str_c(name);
	return str_ends(s, ".yml") || str_ends(s, ".yaml") || str_ends(s, ".json") || !strchr(name, '.');
}

/* DIR/NAME, DIR/NAME.yml ... or, when DIR/NAME is a directory, every file below it. */
static bool vars_entry(struct inventory *inv, const char *path, struct val *into, bool exact, struct err *err)
{
	static const char *const suffixes[] = {"", ".yml", ".yaml", ".json"};
	for (size_t i = 0; i < (exact ? 1 : sizeof(suffixes) / sizeof(*suffixes)); i++) {
		const char *p = arena_printf(inv->a, "%s%s", path, suffixes[i]);
		if (fs_is_dir(p)) {
			size_t n;
			char **names = dir_names(inv->a, p, &n);
			for (size_t k = 0; k < n; k++) {
				const char *sub = fs_join(inv->a, p, names[k]);
				if ((fs_is_dir(sub) || has_vars_suffix(names[k])) &&
				    !vars_entry(inv, sub, into, true, err))
					return false;
			}
			return true;
		}
		if (fs_exists(p))
			return vars_file(inv, p, into, err);
	}
	return true;
}

bool inventory_vars_dir(struct inventory *inv, const char *dir, struct err *err)
{
	for (size_t i = 0; i < inv->n_vars_dirs; i++)
		if (strcmp(inv->vars_dirs[i], dir) == 0)
			return true;
	PTRS_PUSH(inv->a, inv->vars_dirs, inv->n_vars_dirs, arena_strdup(inv->a, dir));
	const char *gv = fs_join(inv->a, dir, "group_vars"), *hv = fs_join(inv->a, dir, "host_vars");
	for (size_t i = 0; i < inv->n_groups && fs_is_dir(gv); i++)
		if (!vars_entry(inv, fs_join(inv->a, gv, inv->groups[i]->name), inv->groups[i]->file_vars,
		                false, err))
			return false;
	for (size_t i = 0; i < inv->n_hosts && fs_is_dir(hv); i++)
		if (!vars_entry(inv, fs_join(inv->a, hv, inv->hosts[i]->name), inv->hosts[i]->file_vars,
		                false, err))
			return false;
	for (size_t i = 0; i < inv->n_hosts; i++)
		inv->hosts[i]->merged = NULL;
	return true;
}

/* ---- yaml inventories --------------------------------------------------------------------------------- */

bool inventory_ranges(struct arena *a, struct str pattern, struct val *names, struct err *err);

static bool yaml_group(struct inventory *inv, struct str name, const struct val *data, struct group **ret,
                       struct err *err)
{
	struct group *g = *ret = inventory_add_group(inv, name);
	if (val_is_null(data))
		return true;
	if (!val_is_map(data))
		return err_set(err, ERR_USER, val_origin(data), "group '%s' must be a dictionary", g->name);
	const struct val *vars = val_get(data, "vars"), *children = val_get(data, "children"),
	                 *hosts = val_get(data, "hosts");
	if (vars && val_is_map(vars))
		merge_over(g->vars, vars);
	for (size_t i = 0; children && val_is_map(children) && i < val_len(children); i++) {
		struct group *child;
		if (!yaml_group(inv, val_get_str(val_key_at(children, i)), val_value_at(children, i), &child,
		                err))
			return false;
		if (!group_add_child(inv, g, child))
			return err_set(err, ERR_USER, val_origin(children),
			               "group '%s' cannot be its own descendant", child->name);
	}
	for (size_t i = 0; hosts && val_is_map(hosts) && i < val_len(hosts); i++) {
		struct val *names = val_list(inv->a);
		if (!inventory_ranges(inv->a, val_text(val_key_at(hosts, i), inv->a), names, err))
			return false;
		VAL_EACH (k, names) {
			struct host *h = inventory_add_host(inv, val_get_str(val_at(names, k)));
			group_add_host(inv, g, h);
			if (val_is_map(val_value_at(hosts, i)))
				merge_over(h->vars, val_value_at(hosts, i));
		}
	}
	return true;
}

bool inventory_parse_yaml(struct inventory *inv, const struct val *doc, struct err *err)
{
	if (!val_is_map(doc))
		return err_set(err, ERR_USER, val_origin(doc), "an inventory must be a dictionary of groups");
	MAP_EACH (i, doc) {
		struct group *g;
		const struct val *k = val_key_at(doc, i);
		if (!val_is_str(k))
			return err_set(err, ERR_USER, val_origin(k), "a group's name must be a string");
		if (!yaml_group(inv, val_get_str(k), val_value_at(doc, i), &g, err))
			return false;
	}
	inventory_settle(inv);
	return true;
}

/* ---- sources ------------------------------------------------------------------------------------------ */

static bool load_file(struct inventory *inv, const char *path, struct err *err)
{
	struct str text;
	uint32_t src;
	if (!read_source(inv, path, &text, &src, err))
		return false;
	inv->file = arena_strdup(inv->a, path);
	struct str p = str_c(path);
	if (!str_ends(p, ".yml") && !str_ends(p, ".yaml") && !str_ends(p, ".json"))
		return inventory_parse_ini(inv, text, src, err);
	struct val *doc;
	if (!yaml_load(inv->a, text, src, NULL, &doc, err))
		return false;
	return val_is_null(doc) || inventory_parse_yaml(inv, doc, err);
}

bool inventory_load(struct inventory *inv, const char *spec, struct err *err)
{
	if (strchr(spec, ',')) {
		struct str rest = str_c(spec);
		while (rest.p) {
			struct str part = str_trim(str_split(&rest, ','));
			struct val *names = val_list(inv->a);
			if (part.n && !inventory_ranges(inv->a, part, names, err))
				return false;
			VAL_EACH (i, names)
				inventory_add_host(inv, val_get_str(val_at(names, i)));
		}
		inventory_settle(inv);
		return true;
	}
	if (!fs_is_dir(spec)) {
		if (!load_file(inv, spec, err))
			return false;
		inv->dir = fs_dirname(inv->a, spec);
	} else {
		size_t n;
		char **names = dir_names(inv->a, spec, &n);
		for (size_t i = 0; i < n; i++) {
			const char *p = fs_join(inv->a, spec, names[i]);
			if (!fs_is_dir(p) && !load_file(inv, p, err))
				return false;
		}
		inv->dir = arena_strdup(inv->a, spec);
	}
	return inventory_vars_dir(inv, inv->dir, err);
}
