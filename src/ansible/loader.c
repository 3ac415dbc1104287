#include "ansible/playbook.h"
#include "ansible/ptrs.h"
#include "ansible/scope.h"
#include "ansible/sealed.h"
#include "base/fs.h"
#include "base/source.h"
#include "yaml/yaml_load.h"

bool loader_text(struct loader *l, const char *path, struct str *ret, uint32_t *ret_src, struct err *err)
{
	const char *key = arena_printf(l->a, "text:%s", path);
	struct val *known = val_get(l->cache, key);
	if (known) {
		*ret_src = (uint32_t)val_get_int(known);
		*ret = sources_text(l->sources, *ret_src);
		return true;
	}
	bool sealed;
	struct arena *tmp = arena_new(NULL);
	bool ok = sealed_read(l->vault, tmp, path, ret, &sealed, err);
	if (ok) {
		*ret_src = sources_add(l->sources, path, *ret);
		*ret = sources_text(l->sources, *ret_src);
		struct val *src = val_int(l->a, *ret_src);
		val_set(l->cache, key, sealed ? val_mark_secret(l->a, src) : src);
	}
	arena_free(tmp);
	return ok;
}

bool loader_sealed(const struct loader *l, const char *path)
{
	const struct val *known = val_get(l->cache, arena_printf(l->a, "text:%s", path));
	return known && val_secret(known);
}

bool loader_yaml(struct loader *l, const char *path, struct val **ret, struct err *err)
{
	struct val *known = val_get(l->cache, path);
	if (known) {
		*ret = known;
		return true;
	}
	struct str text;
	uint32_t src;
	struct yaml_opts opts = {l->warn, l->ctx, sealed_value, l->vault};
	if (!loader_text(l, path, &text, &src, err) || !yaml_load(l->a, text, src, &opts, ret, err))
		return false;
	if (loader_sealed(l, path) && val_is_map(*ret))
		*ret = sealed_vars(l->a, *ret);
	val_set(l->cache, path, *ret);
	return true;
}

bool loader_vars(struct loader *l, const char *path, struct val **ret, struct err *err)
{
	if (!loader_yaml(l, path, ret, err))
		return false;
	if (val_is_null(*ret))
		*ret = val_map(l->a);
	if (!val_is_map(*ret))
		return err_set(err, ERR_USER, val_origin(*ret), "%s must contain a dictionary of variables",
		               path);
	return true;
}

struct tfile *loader_tasks(struct loader *l, const char *path, bool handlers)
{
	for (size_t i = 0; i < l->n_files; i++) {
		struct tfile *f = l->files[i];
		if (strcmp(f->path, path) == 0 && f->handlers == handlers)
			return f;
	}
	struct tfile *f = ARENA_NEW(l->a, struct tfile);
	f->path = arena_strdup(l->a, path);
	f->dir = fs_dirname(l->a, path);
	f->handlers = handlers;
	struct val *doc;
	if (!loader_yaml(l, path, &doc, errs_add(l->errs)))
		return NULL;
	errs_ok(l->errs);
	f->root = parse_tasks(l, val_is_null(doc) ? NULL : doc, f, handlers);
	PTRS_PUSH(l->a, l->files, l->n_files, f);
	return f;
}

/* ---- playbooks ---------------------------------------------------------------------------------------- */

static struct block *play_section(struct loader *l, struct play *p, enum kw kw, struct tfile *file)
{
	if (!p->n.kw[kw])
		return NULL;
	struct block *b = parse_tasks(l, p->n.kw[kw], file, kw == KW_HANDLERS);
	return b;
}

/* What the imports around a play give it; members may be NULL. */
struct importing {
	struct val *vars, *tags, *when;
};

/* LIST and V behind it; either may be NULL. */
static struct val *appended(struct arena *a, struct val *list, struct val *v)
{
	if (!v || val_is_null(v))
		return list;
	struct val *all = list ? val_shallow(a, list) : val_list(a);
	val_push(all, v);
	return all;
}

/* The import DS within OUTER, whose variables win. */
static struct importing import_within(struct loader *l, const struct importing *outer, const struct val *ds)
{
	struct val *vars = val_get(ds, "vars");
	struct importing in = *outer;
	if (vars && val_is_map(vars))
		in.vars = outer->vars ? val_merge(l->a, vars, outer->vars, false) : vars;
	in.tags = appended(l->a, outer->tags, val_get(ds, "tags"));
	in.when = appended(l->a, outer->when, val_get(ds, "when"));
	return in;
}

bool hosts_check(const struct val *v, struct err *err)
{
	size_t n = val_is_list(v) ? val_len(v) : 1;
	if (!val_is_list(v) && !val_is_str(v))
		return err_set(err, ERR_USER, val_origin(v),
		               "Hosts list must be a sequence or string. Please check your playbook.");
	for (size_t i = 0; i < n; i++) {
		const struct val *one = val_is_list(v) ? val_at(v, i) : v;
		if (val_is_null(one))
			return err_set(
			        err, ERR_USER, val_origin(v),
			        "Hosts list cannot contain values of 'None'. Please check your playbook");
		if (!val_is_str(one))
			return err_set(err, ERR_USER, val_origin(one),
			               "Hosts list contains an invalid host value: it is no text");
		n = str_trim(val_get_str(one)).n ? n : 0;
	}
	return n > 0 || err_set(err, ERR_USER, val_origin(v),
	                        "Hosts list cannot be empty. Please check your playbook");
}

static void prompts_check(struct loader *l, const struct val *v)
{
	static const char *const keys[] = {"name",    "prompt",    "default", "private", "confirm",
	                                   "encrypt", "salt_size", "salt",    "unsafe"};
	size_t n = !v ? 0 : val_is_list(v) ? val_len(v) : 1;
	for (size_t i = 0; i < n; i++) {
		const struct val *one = val_is_list(v) ? val_at(v, i) : v;
		if (val_is_null(one))
			continue;
		if (!val_is_map(one) || !val_get(one, "name"))
			err_set(errs_add(l->errs), ERR_USER, val_origin(one),
			        "Invalid vars_prompt data structure, missing 'name' key");
		MAP_EACH (k, one) {
			struct str key = val_text(val_key_at(one, k), l->a);
			size_t at = 0;
			while (at < sizeof(keys) / sizeof(*keys) && !str_eqc(key, keys[at]))
				at++;
			if (at == sizeof(keys) / sizeof(*keys))
				err_set(errs_add(l->errs), ERR_USER, val_origin(val_key_at(one, k)),
				        "Invalid vars_prompt data structure, found unsupported key '%.*s'",
				        STR_FMT(key));
		}
	}
}

/* DS where "user", the old word for remote_user, is called that. */
static const struct val *without_user(struct loader *l, const struct val *ds)
{
	struct val *user = val_get(ds, "user"), *own;
	if (!user || val_get(ds, "remote_user"))
		return ds;
	own = val_shallow(l->a, ds);
	val_del(own, STR("user"));
	val_set(own, "remote_user", user);
	return own;
}

static void play_parse(struct loader *l, const struct val *ds, struct tfile *file, const struct importing *by,
                       struct plays *ret)
{
	struct err err = {0};
	struct play *p = ARENA_NEW(l->a, struct play);
	p->n.kind = NODE_PLAY;
	p->n.at = val_origin(ds);
	p->dir = file->dir;
	parse_keywords(l, &p->n, without_user(l, ds), ON_PLAY, NULL);
	if (!p->n.kw[KW_HOSTS])
		err_set(errs_add(l->errs), ERR_USER, p->n.at,
		        "the field 'hosts' is required but was not set");
	else if (!hosts_check(p->n.kw[KW_HOSTS], &err))
		err_move(errs_add(l->errs), &err);
	prompts_check(l, p->n.kw[KW_VARS_PROMPT]);
	if (p->n.kw[KW_NAME])
		p->name = val_text(p->n.kw[KW_NAME], l->a);
	p->pre_tasks = play_section(l, p, KW_PRE_TASKS, file);
	p->tasks = play_section(l, p, KW_TASKS, file);
	p->post_tasks = play_section(l, p, KW_POST_TASKS, file);
	p->handlers = play_section(l, p, KW_HANDLERS, file);
	p->import_vars = by->vars;
	if (by->tags)
		p->n.kw[KW_TAGS] = appended(l->a, by->tags, p->n.kw[KW_TAGS]);
	p->n.kw[KW_WHEN] = by->when;
	PTRS_PUSH(l->a, ret->v, ret->n, p);
}

/* The path an import_playbook in FILE means; NULL with an error. */
static const char *imported(struct loader *l, const struct tfile *file, const struct val *imp)
{
	struct str name;
	struct err err = {0};
	if (!val_is_str(imp)) {
		err_set(errs_add(l->errs), ERR_USER, val_origin(imp), "import_playbook wants a file name");
		return NULL;
	}
	name = val_get_str(imp);
	if (val_needs_template(imp)) {
		if (!l->text(l->ctx, (struct val *)imp, &name, &err)) {
			err_move(errs_add(l->errs), &err);
			return NULL;
		}
	} else {
		name = str_split(&name, ' ');
	}
	return fs_join(l->a, file->dir, arena_strndup(l->a, name.p, name.n));
}

static bool playbook(struct loader *l, const char *path, const struct importing *by, struct origin at,
                     struct plays *ret, int depth)
{
	struct val *doc;
	if (depth > 30)
		return err_set(errs_add(l->errs), ERR_USER, at, "playbooks import each other");
	if (!loader_yaml(l, path, &doc, errs_add(l->errs)))
		return false;
	errs_ok(l->errs);
	if (!val_is_list(doc) || !val_len(doc))
		return err_set(errs_add(l->errs), ERR_USER, val_origin(doc),
		               val_is_null(doc) ? "Empty playbook, nothing to do: %s"
		                                : "A playbook must be a list of plays, got a %s instead: %s",
		               val_is_null(doc) ? path : val_type_name(doc), path);
	struct tfile *file = ARENA_NEW(l->a, struct tfile);
	file->path = arena_strdup(l->a, path);
	file->dir = fs_dirname(l->a, path);
	VAL_EACH (i, doc) {
		const struct val *ds = val_at(doc, i);
		if (!val_is_map(ds)) {
			err_set(errs_add(l->errs), ERR_USER, val_origin(ds),
			        "playbook entries must be either valid plays or 'import_playbook' "
			        "statements");
			continue;
		}
		const struct val *imp = val_get(ds, "import_playbook");
		if (!imp)
			imp = val_get(ds, "ansible.builtin.import_playbook");
		if (!imp) {
			play_parse(l, ds, file, by, ret);
			continue;
		}
		const char *to = imported(l, file, imp);
		struct importing in = import_within(l, by, ds);
		if (to)
			playbook(l, to, &in, val_origin(ds), ret, depth + 1);
	}
	return l->errs->n == 0;
}

bool loader_playbook(struct loader *l, const char *path, struct plays *ret)
{
	const struct importing none = {0};
	return playbook(l, path, &none, ORIGIN_NONE, ret, 0);
}
