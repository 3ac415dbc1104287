/* Where a relative file name of a task leads. */
#include "ansible/core.h"
#include "base/fs.h"
#include <stdlib.h>

static void add(struct val *list, struct arena *a, const char *p)
{
	struct str s = str_c(p);
	VAL_EACH (i, list)
		if (str_eq(val_get_str(val_at(list, i)), s))
			return;
	val_push(list, val_str(a, s));
}

static void add_both(struct val *list, struct arena *a, const char *dir, const char *sub)
{
	if (*sub)
		add(list, a, fs_join(a, dir, sub));
	add(list, a, dir);
}

static const struct task *task_of(const struct node *n)
{
	return n && n->kind == NODE_TASK ? (const struct task *)n : NULL;
}

struct val *scope_search_path(struct scope *s, const char *sub)
{
	struct val *list = val_list(s->a);
	const struct task *t = task_of(s->node);
	for (const struct role *r = s->frame ? s->frame->role : NULL; r; r = r->parent)
		add_both(list, s->a, r->path, sub);
	if (t && t->file && *t->file->dir)
		add_both(list, s->a, t->file->dir, sub);
	if (s->e->playbook_dir)
		add_both(list, s->a, s->e->playbook_dir, sub);
	return list;
}

const char *scope_searched(struct scope *s, const char *sub)
{
	struct val *dirs = scope_search_path(s, sub);
	const char *text = "nowhere";
	VAL_EACH (i, dirs)
		text = i ? arena_printf(s->a, "%s, %s", text, val_get_strz(val_at(dirs, i)))
		         : val_get_strz(val_at(dirs, i));
	return text;
}

const char *scope_find(struct scope *s, const char *sub, struct str name)
{
	const char *z = arena_strndup(s->a, name.p, name.n);
	if (*z == '~') {
		const char *home = getenv("HOME");
		z = arena_printf(s->a, "%s%s", home ? home : "", z + 1);
	}
	if (*z == '/')
		return fs_exists(z) ? z : NULL;
	struct val *dirs = scope_search_path(s, sub);
	VAL_EACH (i, dirs) {
		const char *p = fs_join(s->a, val_get_strz(val_at(dirs, i)), z);
		if (fs_exists(p))
			return p;
	}
	return NULL;
}
