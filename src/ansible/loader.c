#include "ansible/playbook.h"
#include "ansible/ptrs.h"
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
	struct buf b;
	buf_init(&b, FS_READ_MAX);
	bool ok = fs_read(path, &b, err);
	if (ok) {
		*ret_src = sources_add(l->sources, path, buf_str(&b));
		*ret = sources_text(l->sources, *ret_src);
		val_set(l->cache, key, val_int(l->a, *ret_src));
	}
	buf_free(&b);
	return ok;
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
	struct yaml_opts opts = {l->warn, l->warn_ctx};
	if (!loader_text(l, path, &text, &src, err) || !yaml_load(l->a, text, src, &opts, ret, err))
		return false;
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

static void play_parse(struct loader *l, const struct val *ds, struct tfile *file,
                       const struct val *import_ds, struct plays *ret)
{
	struct play *p = ARENA_NEW(l->a, struct play);
	p->n.kind = NODE_PLAY;
	p->n.at = val_origin(ds);
	p->dir = file->dir;
	parse_keywords(l, &p->n, ds, ON_PLAY, NULL);
	if (!p->n.kw[KW_HOSTS])
		err_set(errs_add(l->errs), ERR_USER, p->n.at,
		        "the field 'hosts' is required but was not set");
	if (p->n.kw[KW_NAME])
		p->name = val_text(p->n.kw[KW_NAME], l->a);
	p->pre_tasks = play_section(l, p, KW_PRE_TASKS, file);
	p->tasks = play_section(l, p, KW_TASKS, file);
	p->post_tasks = play_section(l, p, KW_POST_TASKS, file);
	p->handlers = play_section(l, p, KW_HANDLERS, file);
	if (import_ds) {
		struct val *vars = val_get(import_ds, "vars"), *tags = val_get(import_ds, "tags"),
		           *when = val_get(import_ds, "when");
		p->import_vars = vars && val_is_map(vars) ? vars : NULL;
		if (tags) {
			struct val *all = val_list(l->a);
			val_push(all, tags);
			if (p->n.kw[KW_TAGS])
				val_push(all, p->n.kw[KW_TAGS]);
			p->n.kw[KW_TAGS] = all;
		}
		p->n.kw[KW_WHEN] = when;
	}
	PTRS_PUSH(l->a, ret->v, ret->n, p);
}

static bool playbook(struct loader *l, const char *path, const struct val *import_ds, struct plays *ret,
                     int depth)
{
	struct val *doc;
	if (depth > 30)
		return err_set(errs_add(l->errs), ERR_USER, val_origin(import_ds),
		               "playbooks import each other");
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
			play_parse(l, ds, file, import_ds, ret);
			continue;
		}
		if (!val_is_str(imp)) {
			err_set(errs_add(l->errs), ERR_USER, val_origin(imp),
			        "import_playbook wants a file name");
			continue;
		}
		struct str name = val_get_str(imp);
		name = str_split(&name, ' ');
		playbook(l, fs_join(l->a, file->dir, arena_strndup(l->a, name.p, name.n)), ds, ret,
		         depth + 1);
	}
	return l->errs->n == 0;
}

bool loader_playbook(struct loader *l, const char *path, struct plays *ret)
{
	return playbook(l, path, NULL, ret, 0);
}
