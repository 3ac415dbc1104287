#include "ansible/include.h"
#include "ansible/core.h"
#include "base/fs.h"
#include <stdlib.h>

static struct val *file_arg(const struct val *args)
{
	struct val *v = val_get(args, "_raw_params");
	return v ? v : val_get(args, "file");
}

/* Relative to the including file's directory, the roles around it, the playbook - each with and without
 * tasks/. */
const char *include_find(struct scope *s, const struct task *t, struct str name)
{
	const char *sub = t->handler ? "handlers" : "tasks";
	const char *z = arena_strndup(s->a, name.p, name.n), *p = NULL;
	if (*z == '/')
		return fs_exists(z) ? z : NULL;
	const struct frame *f = s->frame;
	if (f && f->role && t->file && str_starts(str_c(t->file->dir), f->role->path)) {
		/* A file of the role: its tasks/ first, then beside the including file. */
		p = fs_join(s->a, fs_join(s->a, f->role->path, sub), z);
		const char *beside = fs_join(s->a, t->file->dir, z);
		if (fs_exists(beside))
			return beside;
		if (fs_exists(p))
			return p;
	} else if (t->file && *t->file->dir) {
		p = fs_join(s->a, t->file->dir, z);
		if (fs_exists(p))
			return p;
	}
	for (const struct frame *up = f; up; up = up->up) {
		if (!up->inc || !up->inc->file)
			continue;
		p = fs_join(s->a, up->inc->file->dir, z);
		if (fs_exists(p))
			return p;
	}
	p = scope_find(s, sub, name);
	return p ? p : scope_find(s, "tasks", name);
}

/* Where NAME would have to be, for the message. */
static const char *include_wanted(const struct scope *s, const struct task *t, struct str name)
{
	const char *z = arena_strndup(s->a, name.p, name.n);
	const struct role *r = s->frame ? s->frame->role : NULL;
	if (*z == '/')
		return z;
	if (r)
		return fs_join(s->a, fs_join(s->a, r->path, t->handler ? "handlers" : "tasks"), z);
	return fs_join(s->a, t->file && *t->file->dir ? t->file->dir : s->e->playbook_dir, z);
}

static bool file_frame(struct engine *e, struct scope *s, struct task *t, struct frame *f, struct val *file,
                       bool is_static, struct frame **ret, struct err *err)
{
	struct str name;
	if (!file)
		return err_set(err, ERR_USER, t->n.at, "No file specified for %s", t->module_name);
	if (!scope_text(s, file, &name, err))
		return false;
	name = str_trim(name);
	const char *path = include_find(s, t, name);
	if (!path) {
		e->missing = e->missing || is_static;
		return err_set(err, ERR_USER, val_origin(file),
		               "Could not find or access '%s' on the Ansible Controller.",
		               include_wanted(s, t, name));
	}
	size_t depth = 0;
	for (const struct frame *up = f; up; up = up->up)
		if (++depth > 200)
			return err_set(err, ERR_USER, t->n.at, "files include each other without end");
	struct errs *keep = e->loader.errs, own = {0};
	e->loader.errs = &own;
	struct tfile *tf = loader_tasks(&e->loader, path, t->handler);
	e->loader.errs = keep;
	bool ok = tf && !own.n;
	if (own.n)
		err_move(err, &own.v[0]);
	errs_clear(&own);
	if (!ok)
		return false;
	*ret = frame_new(e, f, t, is_static, tf->root, f ? f->role : NULL);
	(*ret)->file = tf;
	return true;
}

static const char *const role_args[] = {"name",
                                        "role",
                                        "tasks_from",
                                        "vars_from",
                                        "defaults_from",
                                        "handlers_from",
                                        "apply",
                                        "public",
                                        "allow_duplicates",
                                        "rolespec_validate",
                                        NULL};
static const char *const task_args[] = {"_raw_params", "file", "apply", NULL};

bool include_check_args(struct arena *a, const struct task *t, struct errs *errs)
{
	enum action_kind k = t->action->kind;
	bool role = k == ACT_INCLUDE_ROLE || k == ACT_IMPORT_ROLE;
	const char *const *known = role ? role_args : task_args;
	size_t before = errs->n;
	MAP_EACH (i, t->args) {
		const struct val *key = val_key_at(t->args, i);
		struct str name = val_is_str(key) ? val_get_str(key) : STR("");
		bool ok = false;
		for (size_t n = 0; known[n]; n++)
			ok = ok || str_eqc(name, known[n]);
		if (str_eqc(name, "apply") && (k == ACT_IMPORT_TASKS || k == ACT_IMPORT_ROLE))
			ok = false;
		if (!ok)
			err_set(errs_add(errs), ERR_USER, val_origin(key), "Invalid options for %s: %.*s",
			        t->module_name, STR_FMT(val_text(key, a)));
	}
	if (role ? !val_get(t->args, "name") && !val_get(t->args, "role") : !file_arg(t->args))
		err_set(errs_add(errs), ERR_USER, t->n.at,
		        role ? "'name' is a required field for %s." : "No file specified for %s",
		        t->module_name);
	return errs->n == before;
}

static struct task *validation_task(struct engine *e, struct role *r)
{
	struct val *args = val_map(e->a), *ctx = val_map(e->a);
	const char *entry = r->spec_name;
	const char *desc = val_map_strz(r->argspec, "short_description", "");
	const struct val *opts = val_get(r->argspec, "options");
	val_set(args, "argument_spec", opts ? val_copy_unsafe(e->a, opts) : val_map(e->a));
	val_set(args, "provided_arguments", r->params);
	val_set(ctx, "type", val_strz(e->a, "role"));
	val_set(ctx, "name", val_strz(e->a, r->short_name));
	val_set(ctx, "argument_spec_name", val_strz(e->a, entry));
	val_set(ctx, "path", val_strz(e->a, r->path));
	val_set(args, "validate_args_context", ctx);
	struct task *t = task_new(e->a, "ansible.builtin.validate_argument_spec", args);
	struct val *tags = val_list(e->a);
	val_push(tags, val_strz(e->a, "always"));
	t->n.kw[KW_TAGS] = tags;
	t->name = str_c(arena_printf(e->a, "Validating arguments against arg spec '%s'%s%s", entry,
	                             *desc ? " - " : "", desc));
	return t;
}

struct frame *role_frame(struct engine *e, struct role *r, struct frame *up, struct task *inc, bool is_static,
                         bool validate)
{
	struct block *root = r->tasks ? r->tasks->root : ARENA_NEW(e->a, struct block);
	root->n.kind = NODE_BLOCK;
	struct frame *f = frame_new(e, up, inc, is_static, root, r);
	f->role_top = true;
	if (r->argspec && validate)
		f->first = validation_task(e, r);
	if (r->handlers) {
		struct frame *h = frame_new(e, up, inc, is_static, r->handlers->root, r);
		h->role_top = true;
		bool known = false;
		for (size_t i = 0; i < e->pr->n_handlers; i++)
			known = known || (e->pr->handlers[i]->frame && e->pr->handlers[i]->frame->role == r);
		if (!known)
			handlers_add(e, r->handlers->root, h);
	}
	return f;
}

/* The roles R depends on, into V: each before what needs it. */
static size_t all_deps(struct engine *e, const struct role *r, struct role ***v, size_t n)
{
	for (size_t i = 0; i < r->n_deps; i++) {
		n = all_deps(e, r->deps[i], v, n);
		PTRS_PUSH(e->a, *v, n, r->deps[i]);
	}
	return n;
}

static bool role_inclusion(struct engine *e, struct scope *s, struct task *t, struct frame *f,
                           struct val *args, bool is_static, struct frame **ret, struct err *err)
{
	struct val *name = val_get(args, "name");
	struct str text;
	if (!name)
		name = val_get(args, "role");
	if (!name)
		return err_set(err, ERR_USER, t->n.at, "'name' is a required field for %s.", t->module_name);
	if (!scope_text(s, name, &text, err))
		return false;
	struct val *from = val_map(e->a);
	static const char *const keys[] = {"tasks_from", "vars_from", "defaults_from", "handlers_from"};
	for (size_t i = 0; i < 4; i++) {
		struct val *v = val_get(args, keys[i]);
		struct str file;
		if (!v || val_is_null(v))
			continue;
		if (!scope_text(s, v, &file, err))
			return false;
		if (i == 0)
			val_set(from, "spec", val_str(e->a, file));
		if (str_ends(file, ".yml") || str_ends(file, ".yaml"))
			file.n -= str_ends(file, ".yml") ? 4 : 5;
		val_set(from, keys[i], val_str(e->a, file));
	}
	bool validate, dup, public;
	if (!scope_bool(s, val_get(args, "rolespec_validate"), true, &validate, err) ||
	    !scope_bool(s, val_get(args, "allow_duplicates"), true, &dup, err) ||
	    !scope_bool(s, val_get(args, "public"), is_static, &public, err))
		return false;
	struct errs *keep = e->errs, own = {0};
	struct errs *lkeep = e->loader.errs;
	e->errs = e->loader.errs = &own;
	const struct role_ref ref = {.name = str_dup(e->a, text),
	                             .at = val_origin(name),
	                             .from = from,
	                             .collections = kw_get(&t->n, f, &e->pr->play->n, KW_COLLECTIONS),
	                             .parent = f ? f->role : NULL};
	struct role *r = role_load(e, &ref);
	e->errs = keep;
	e->loader.errs = lkeep;
	bool ok = r && !own.n;
	if (own.n)
		err_move(err, &own.v[0]);
	errs_clear(&own);
	if (!ok)
		return false;
	r->allow_dup = dup;
	if (public && !r->exported) {
		r->exported = true;
		PTRS_PUSH(e->pr->a, e->pr->roles, e->pr->n_roles, r);
	}
	struct frame *top = role_frame(e, r, f, t, is_static, validate);
	/* Roles it depends on run before it, within the same inclusion. */
	if (r->n_deps) {
		struct block *seq = ARENA_NEW(e->a, struct block);
		seq->n.kind = NODE_BLOCK;
		struct frame *all = frame_new(e, f, t, is_static, seq, f ? f->role : NULL);
		struct role **deps = NULL;
		size_t n = all_deps(e, r, &deps, 0);
		for (size_t i = 0; i <= n; i++) {
			struct task *glue = task_new(e->a, "ansible.builtin.import_role", NULL);
			struct frame *one = i < n ? role_frame(e, deps[i], all, glue, true, true) : top;
			if (i == n) {
				one->up = all;
				one->inc = glue;
				one->is_static = true;
			}
			struct import *im = ARENA_NEW(e->a, struct import);
			*im = (struct import){glue, one, all->imports};
			all->imports = im;
			PTRS_PUSH(e->a, seq->sec[SEC_TASKS].v, seq->sec[SEC_TASKS].n, &glue->n);
		}
		top = all;
	}
	*ret = top;
	return true;
}

static bool set_apply(struct engine *e, struct scope *s, struct frame *f, struct val *apply, struct err *err)
{
	struct val *v;
	if (!apply)
		return true;
	if (val_is_str(apply)) {
		if (!scope_template(s, apply, &v, err))
			return false;
		apply = val_copy(e->a, v);
	}
	if (!val_is_map(apply))
		return err_set(err, ERR_USER, val_origin(apply),
		               "'apply' must be a dictionary of attributes");
	f->apply = ARENA_NEW(e->a, struct node);
	f->apply->kind = NODE_BLOCK;
	struct errs *keep = e->loader.errs, own = {0};
	e->loader.errs = &own;
	parse_keywords(&e->loader, f->apply, apply, ON_BLOCK | ON_TASK, NULL);
	e->loader.errs = keep;
	bool ok = !own.n;
	if (!ok)
		err_move(err, &own.v[0]);
	errs_clear(&own);
	return ok;
}

bool include_make(struct engine *e, struct inclusion *in, struct err *err)
{
	struct scope s;
	scope_init(&s, e, in->n_hosts ? in->hosts[0] : NULL, &in->task->n, in->frame, e->pr->a);
	s.locals = in->vars;
	bool role = in->task->action->kind == ACT_INCLUDE_ROLE;
	if (role ? !role_inclusion(e, &s, in->task, in->frame, in->args, false, &in->made, err)
	         : !file_frame(e, &s, in->task, in->frame, file_arg(in->args), false, &in->made, err))
		return false;
	if (in->vars)
		in->made->vars = val_copy(e->pr->a, in->vars);
	/* As written: what is applied is templated where it is used. */
	struct val *apply = val_get(in->task->args, "apply");
	return set_apply(e, &s, in->made, apply ? apply : val_get(in->args, "apply"), err);
}

const char *include_label(const struct inclusion *in)
{
	if (in->task->action->kind == ACT_INCLUDE_ROLE)
		return val_map_strz(in->args, "name", val_map_strz(in->args, "role", ""));
	return in->made && in->made->file ? in->made->file->path : "";
}

struct frame *import_expand(struct engine *e, struct task *t, struct frame *f, struct host *h,
                            struct errs *errs)
{
	struct import **list = f ? &f->imports : &e->pr->imports;
	for (struct import *im = *list; im; im = im->next)
		if (im->task == t)
			return im->frame;
	struct scope s;
	struct err err = {0};
	struct frame *made = NULL;
	scope_init(&s, e, h, &t->n, f, e->pr->a);
	struct errs own = {0};
	bool role = t->action->kind == ACT_IMPORT_ROLE;
	bool ok = include_check_args(e->pr->a, t, &own);
	if (!ok)
		err_move(&err, &own.v[0]);
	errs_clear(&own);
	if (ok)
		ok = role ? role_inclusion(e, &s, t, f, t->args, true, &made, &err)
		          : file_frame(e, &s, t, f, file_arg(t->args), true, &made, &err);
	if (!ok) {
		err_move(errs_add(errs), &err);
		made = NULL;
	}
	struct import *im = ARENA_NEW(e->pr->a, struct import);
	*im = (struct import){t, made, *list};
	*list = im;
	return made;
}
