#include "ansible/core.h"
#include "ansible/vars_files.h"
#include "base/fs.h"
#include <ctype.h>
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

/* ---- collections ---- */

static const char collections[] = "ansible_collections";

/* "namespace.collection.role", the role perhaps in folders: a.b.folder.role. */
static bool is_qualified(struct str name)
{
	size_t dots = 0;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (c == '.' && (i == 0 || i + 1 == name.n || name.p[i - 1] == '.'))
			return false;
		if (c != '.' && c != '_' && !isalnum((unsigned char)c))
			return false;
		dots += c == '.';
	}
	return dots >= 2;
}

/* Role of "namespace.collection" below ROOT, which holds a folder ansible_collections, or is one. */
static const char *in_collection(struct engine *e, const char *root, struct str collection, struct str role)
{
	char *name = arena_printf(e->a, "%.*s/roles/%.*s", STR_FMT(collection), STR_FMT(role));
	for (char *c = name; *c; c++)
		if (*c == '.')
			*c = '/';
	if (strcmp(fs_basename(root), collections) != 0)
		root = fs_join(e->a, root, collections);
	return try_dir(e, root, str_c(name));
}

/* The folder that holds ansible_collections, when ROLE lives there. */
static const char *root_of(struct engine *e, const struct role *role)
{
	ptrdiff_t at = role ? str_find(str_c(role->path), STR("/ansible_collections/"), 0) : -1;
	return at < 0 ? NULL : arena_strndup(e->a, role->path, (size_t)at);
}

static const char *find_collected(struct engine *e, struct str collection, struct str role,
                                  const struct role *parent)
{
	const char *p = NULL, *own = root_of(e, parent);
	if (e->playbook_dir)
		p = in_collection(e, fs_join(e->a, e->playbook_dir, "collections"), collection, role);
	if (!p && own)
		p = in_collection(e, own, collection, role);
	for (size_t i = 0; !p && e->opts->collections_path && e->opts->collections_path[i]; i++)
		p = in_collection(e, e->opts->collections_path[i], collection, role);
	return p;
}

static const char *find_listed(struct engine *e, struct str role, const struct val *list,
                               const struct role *parent)
{
	const char *p = NULL;
	if (list && val_is_str(list))
		return find_collected(e, val_get_str(list), role, parent);
	for (size_t i = 0; !p && list && val_is_list(list) && i < val_len(list); i++)
		if (val_is_str(val_at(list, i)))
			p = find_collected(e, val_get_str(val_at(list, i)), role, parent);
	return p;
}

/* What the path says of the collection a role lives in: .../ansible_collections/NAMESPACE/NAME/roles/ROLE. */
static void set_names(struct engine *e, struct role *r, struct str mention)
{
	const char *root = root_of(e, r);
	struct str rest = root ? str_c(r->path + strlen(root) + sizeof(collections) + 1) : STR("");
	struct str space = str_split(&rest, '/'), name = str_split(&rest, '/'), dir = str_split(&rest, '/');
	if (root && rest.n && str_eqc(dir, "roles")) {
		r->short_name = fs_basename(r->path);
		r->collection = arena_printf(e->a, "%.*s.%.*s", STR_FMT(space), STR_FMT(name));
		r->name = arena_printf(e->a, "%s.%s", r->collection, r->short_name);
		return;
	}
	r->name = r->short_name = arena_strndup(e->a, mention.p, mention.n);
}

/* ---- finding ---- */

const char *role_find(struct engine *e, struct str name, const struct role *parent, const struct val *listed)
{
	const char *p = NULL;
	if (!name.n)
		return NULL;
	if (is_qualified(name)) {
		ptrdiff_t dot = str_find(name, STR("."), (size_t)str_find(name, STR("."), 0) + 1);
		p = find_collected(e, str_n(name.p, (size_t)dot), str_from(name, (size_t)dot + 1), parent);
	} else {
		if (parent && parent->collection)
			p = find_collected(e, str_c(parent->collection), name, parent);
		if (!p)
			p = find_listed(e, name, listed, parent);
		if (!p && parent && parent->meta)
			p = find_listed(e, name, val_get(parent->meta, "collections"), parent);
	}
	if (!p && e->playbook_dir)
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

static struct val *part_vars(struct engine *e, struct role *r, const char *part, const char *from,
                             struct origin at)
{
	const char *dir = fs_join(e->a, r->path, part);
	struct val *v = val_map(e->a), *one;
	if (!fs_is_dir(dir) && !from)
		return v;
	struct val *files = vars_files_named(e->a, dir, from ? from : "main", from != NULL, true);
	if (from && !val_len(files))
		err_set(errs_add(e->errs), ERR_USER, at, "Could not find specified file in role: %s/%s", part,
		        from);
	VAL_EACH (i, files) {
		if (!loader_vars(&e->loader, val_get_strz(val_at(files, i)), &one, errs_add(e->errs)))
			return v;
		errs_ok(e->errs);
		v = i ? val_merge(e->a, v, one, e->opts->merge_hashes) : one;
	}
	return v;
}

static struct tfile *part_tasks(struct engine *e, struct role *r, const char *part, const char *from,
                                struct origin at)
{
	const char *path = role_file(e->a, fs_join(e->a, r->path, part), from ? from : "main", false);
	if (path)
		return loader_tasks(&e->loader, path, strcmp(part, "handlers") == 0);
	if (from)
		err_set(errs_add(e->errs), ERR_USER, at, "Could not find specified file in role: %s/%s", part,
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
	struct val *own = specs && val_is_map(specs) ? val_get(specs, r->spec_name) : NULL;
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
		struct role *d = role_entry_load(e, val_at(deps, i), NULL, r);
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
		    same_text(k->tasks_from, r->tasks_from) && same_text(k->spec_name, r->spec_name) &&
		    same_text(k->vars_from, r->vars_from) && same_text(k->defaults_from, r->defaults_from) &&
		    same_text(k->handlers_from, r->handlers_from) && k->from_include == r->from_include)
			return k;
	}
	return NULL;
}

static void *missing(struct engine *e, const struct role_ref *ref)
{
	struct err *err = errs_add(e->errs);
	struct buf b = {0};
	e->missing = true;
	if (e->playbook_dir)
		buf_printf(&b, "%s/roles", e->playbook_dir);
	for (size_t i = 0; e->opts->roles_path && e->opts->roles_path[i]; i++)
		buf_printf(&b, "%s%s", b.n ? ":" : "", e->opts->roles_path[i]);
	err_set(err, ERR_USER, ref->at, "the role '%.*s' was not found in %s", STR_FMT(ref->name),
	        b.n ? b.p : "roles");
	buf_free(&b);
	return NULL;
}

struct role *role_load(struct engine *e, const struct role_ref *ref)
{
	const struct val *from = ref->from;
	struct origin at = ref->at;
	const char *path = role_find(e, ref->name, ref->parent, ref->collections);
	if (!path)
		return missing(e, ref);
	struct role *r = ARENA_NEW(e->a, struct role);
	r->path = path;
	set_names(e, r, ref->name);
	r->entry = ref->entry;
	r->params = ref->params ? ref->params : val_map(e->a);
	r->parent = ref->parent;
	r->from_include = from != NULL;
	r->tasks_from = from_name(e, from, "tasks_from");
	const char *spec = from_name(e, from, "spec");
	r->spec_name = spec ? spec : "main";
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

struct role *role_entry_load(struct engine *e, const struct val *ds, const struct val *listed,
                             struct role *parent)
{
	struct role_ref ref = {.at = val_origin(ds), .collections = listed, .parent = parent};
	if (val_is_str(ds)) {
		ref.name = val_get_str(ds);
		return role_load(e, &ref);
	}
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
	ref.name = val_get_str(name);
	ref.at = val_origin(name);
	ref.entry = n;
	ref.params = params;
	struct val *t = NULL;
	if (val_needs_template(name)) {
		struct scope s;
		struct err err = {0};
		scope_init(&s, e, NULL, NULL, NULL, e->a);
		if (!scope_template(&s, val_copy(e->a, name), &t, &err)) {
			err_move(errs_add(e->errs), &err);
			return NULL;
		}
		ref.name = val_text(t, e->a);
	}
	return role_load(e, &ref);
}
