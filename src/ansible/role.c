#include "ansible/core.h"
#include "base/fs.h"
#include <dirent.h>
#include <stdlib.h>

static const char *const suffixes[] = {".yml", ".yaml", ".json", ""};

const char *role_file(struct arena *a, const char *dir, const char *name, bool dirs)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		const char *p = arena_printf(a, "%s/%s%s", dir, name, suffixes[i]);
		if (fs_exists(p) && (dirs || !fs_is_dir(p)))
			return p;
	}
	return NULL;
}

static const char *try_dir(struct engine *e, const char *dir, struct str name)
{
	const char *p = fs_join(e->a, dir, arena_strndup(e->a, name.p, name.n));
	return fs_is_dir(p) ? p : NULL;
}

/* Links resolved, dots gone: role_path is compared and printed. */
static const char *clean(struct engine *e, const char *p)
{
	char *real = realpath(p, NULL);
	const char *ret = arena_strdup(e->a, real ? real : p);
	free(real);
	return ret;
}

const char *role_find(struct engine *e, struct str name, const struct role *parent)
{
	const char *p = NULL;
	if (!name.n)
		return NULL;
	if (e->playbook_dir)
		p = try_dir(e, fs_join(e->a, e->playbook_dir, "roles"), name);
	for (size_t i = 0; !p && e->opts->roles_path && e->opts->roles_path[i]; i++)
		p = try_dir(e, e->opts->roles_path[i], name);
	if (!p && parent)
		p = try_dir(e, fs_dirname(e->a, parent->path), name);
	if (!p && e->playbook_dir)
		p = try_dir(e, e->playbook_dir, name);
	if (!p && name.p[0] == '/')
		p = try_dir(e, "", name);
	return p ? clean(e, p) : NULL;
}

static int name_cmp(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

/* Variables of DIR/NAME(.yml): a file, or a directory whose files are merged in order of name. */
static bool load_vars(struct engine *e, const char *path, struct val **ret, struct err *err)
{
	if (!fs_is_dir(path))
		return loader_vars(&e->loader, path, ret, err);
	char **names = NULL;
	size_t n = 0;
	DIR *d = opendir(path);
	for (struct dirent *de; d && (de = readdir(d));) {
		struct str s = str_c(de->d_name);
		if (de->d_name[0] != '.' && (str_ends(s, ".yml") || str_ends(s, ".yaml") ||
		                             str_ends(s, ".json") || !strchr(de->d_name, '.')))
			PTRS_PUSH(e->a, names, n, arena_strdup(e->a, de->d_name));
	}
	if (d)
		closedir(d);
	if (n > 1)
		qsort(names, n, sizeof(*names), name_cmp);
	*ret = val_map(e->a);
	for (size_t i = 0; i < n; i++) {
		struct val *one;
		if (!load_vars(e, fs_join(e->a, path, names[i]), &one, err))
			return false;
		*ret = val_merge(e->a, *ret, one, false);
	}
	return true;
}

static struct val *part_vars(struct engine *e, struct role *r, const char *part, const char *from,
                             struct origin at)
{
	const char *dir = fs_join(e->a, r->path, part);
	const char *path = role_file(e->a, dir, from ? from : "main", true);
	struct val *v = val_map(e->a);
	if (!path) {
		if (from)
			err_set(errs_add(e->errs), ERR_USER, at,
			        "could not find specified file in role: %s/%s", part, from);
		return v;
	}
	if (!load_vars(e, path, &v, errs_add(e->errs)))
		return val_map(e->a);
	errs_ok(e->errs);
	return v;
}

static struct tfile *part_tasks(struct engine *e, struct role *r, const char *part, const char *from,
                                struct origin at)
{
	const char *path = role_file(e->a, fs_join(e->a, r->path, part), from ? from : "main", false);
	if (path)
		return loader_tasks(&e->loader, path, strcmp(part, "handlers") == 0);
	if (from)
		err_set(errs_add(e->errs), ERR_USER, at, "could not find specified file in role: %s/%s", part,
		        from);
	return NULL;
}

static void load_meta(struct engine *e, struct role *r)
{
	const char *dir = fs_join(e->a, r->path, "meta"), *path = role_file(e->a, dir, "main", false);
	r->meta = val_map(e->a);
	if (path && !loader_vars(&e->loader, path, &r->meta, errs_add(e->errs)))
		r->meta = val_map(e->a);
	else if (path)
		errs_ok(e->errs);
	if (!r->allow_dup)
		r->allow_dup = val_map_bool(r->meta, "allow_duplicates", false);
	struct val *specs = val_get(r->meta, "argument_specs");
	path = role_file(e->a, dir, "argument_specs", false);
	if (path) {
		struct val *doc;
		if (loader_vars(&e->loader, path, &doc, errs_add(e->errs))) {
			errs_ok(e->errs);
			specs = val_get(doc, "argument_specs");
		}
	}
	struct val *own =
	        specs && val_is_map(specs) ? val_get(specs, r->tasks_from ? r->tasks_from : "main") : NULL;
	r->argspec = own && val_is_map(own) ? own : NULL;
}

static void load_deps(struct engine *e, struct role *r)
{
	const struct val *deps = val_get(r->meta, "dependencies");
	size_t depth = 0;
	for (const struct role *p = r->parent; p; p = p->parent) {
		if (strcmp(p->path, r->path) == 0 || ++depth > 50) {
			err_set(errs_add(e->errs), ERR_USER, deps ? val_origin(deps) : ORIGIN_NONE,
			        "role '%s' depends on itself", r->name);
			return;
		}
	}
	if (!deps || val_is_null(deps))
		return;
	if (!val_is_list(deps)) {
		err_set(errs_add(e->errs), ERR_USER, val_origin(deps),
		        "Expected role dependencies to be a list");
		return;
	}
	VAL_EACH (i, deps) {
		struct role *d = role_entry_load(e, val_at(deps, i), r);
		if (d)
			PTRS_PUSH(e->a, r->deps, r->n_deps, d);
	}
}

static const char *from_name(struct engine *e, const struct val *from, const char *key)
{
	const struct val *v = from ? val_get(from, key) : NULL;
	if (!v || !val_is_str(v))
		return NULL;
	/* "install.yml" and "install" are the same file. */
	return arena_strdup(e->a, fs_basename(val_get_strz(v))) && *val_get_strz(v) ? val_get_strz(v) : NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_kw(const struct node *a, const struct node *b)
{
	for (int i = 0; i < KW_N; i++) {
		const struct val *x = a ? a->kw[i] : NULL, *y = b ? b->kw[i] : NULL;
		if (i == KW_ROLE || i == KW_NAME || x == y)
			continue;
		if (!x || !y || !val_equal(x, y))
			return false;
	}
	return true;
}

static struct role *find_same(struct engine *e, const struct role *r, bool any_parent)
{
	for (size_t i = 0; e->pr && i < e->pr->n_known; i++) {
		struct role *k = e->pr->known[i];
		if (strcmp(k->path, r->path) == 0 && (any_parent || k->parent == r->parent) &&
		    same_kw(k->entry, r->entry) && val_equal(k->params, r->params) &&
		    same_text(k->tasks_from, r->tasks_from) && same_text(k->vars_from, r->vars_from) &&
		    same_text(k->defaults_from, r->defaults_from) &&
		    same_text(k->handlers_from, r->handlers_from) && k->from_include == r->from_include)
			return k;
	}
	return NULL;
}

struct role *role_load(struct engine *e, struct str name, struct origin at, struct node *entry,
                       struct val *params, const struct val *from, struct role *parent)
{
	const char *path = role_find(e, name, parent);
	if (!path) {
		struct err *err = errs_add(e->errs);
		struct buf b = {0};
		if (e->playbook_dir)
			buf_printf(&b, "%s/roles", e->playbook_dir);
		for (size_t i = 0; e->opts->roles_path && e->opts->roles_path[i]; i++)
			buf_printf(&b, "%s%s", b.n ? ":" : "", e->opts->roles_path[i]);
		err_set(err, ERR_USER, at, "the role '%.*s' was not found in %s", STR_FMT(name),
		        b.n ? b.p : "roles");
		buf_free(&b);
		return NULL;
	}
	struct role *r = ARENA_NEW(e->a, struct role);
	r->name = arena_strdup(e->a, fs_basename(arena_strndup(e->a, name.p, name.n)));
	r->path = path;
	r->entry = entry;
	r->params = params ? params : val_map(e->a);
	r->parent = parent;
	r->from_include = from != NULL;
	r->tasks_from = from_name(e, from, "tasks_from");
	r->vars_from = from_name(e, from, "vars_from");
	r->defaults_from = from_name(e, from, "defaults_from");
	r->handlers_from = from_name(e, from, "handlers_from");
	r->done = val_map(e->a);
	struct role *same = find_same(e, r, false);
	if (same)
		return same;
	/* Needed by several roles it still runs once. */
	same = find_same(e, r, true);
	if (same)
		r->done = same->done;
	if (e->pr)
		PTRS_PUSH(e->a, e->pr->known, e->pr->n_known, r);
	r->defaults = part_vars(e, r, "defaults", r->defaults_from, at);
	r->vars = part_vars(e, r, "vars", r->vars_from, at);
	load_meta(e, r);
	r->tasks = part_tasks(e, r, "tasks", r->tasks_from, at);
	r->handlers = part_tasks(e, r, "handlers", r->handlers_from, at);
	load_deps(e, r);
	return r;
}

struct role *role_entry_load(struct engine *e, const struct val *ds, struct role *parent)
{
	if (val_is_str(ds))
		return role_load(e, val_get_str(ds), val_origin(ds), NULL, NULL, NULL, parent);
	const struct val *name = val_is_map(ds) ? val_get(ds, "role") : NULL;
	if (val_is_map(ds) && !name)
		name = val_get(ds, "name");
	if (!name || !val_is_str(name)) {
		err_set(errs_add(e->errs), ERR_USER, val_origin(ds),
		        "role definitions must contain a role name");
		return NULL;
	}
	struct node *n = ARENA_NEW(e->a, struct node);
	struct val *params = val_map(e->a);
	n->kind = NODE_ROLE;
	n->at = val_origin(ds);
	parse_keywords(&e->loader, n, ds, ON_ROLE, params);
	val_del(params, STR("name"));
	/* What ansible-galaxy reads is no parameter. */
	static const char *const galaxy[] = {"src", "scm", "version"};
	for (size_t i = 0; i < 3 && val_get(ds, "src"); i++)
		val_del(params, str_c(galaxy[i]));
	struct str role = val_get_str(name);
	struct val *t = NULL;
	if (val_needs_template(name)) {
		struct scope s;
		struct err err = {0};
		scope_init(&s, e, NULL, NULL, NULL, e->a);
		if (!scope_template(&s, val_copy(e->a, name), &t, &err)) {
			err_move(errs_add(e->errs), &err);
			return NULL;
		}
		role = val_text(t, e->a);
	}
	return role_load(e, role, val_origin(name), n, params, NULL, parent);
}
