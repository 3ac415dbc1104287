#include "modules/edit.h"

bool edit_load(struct edit *e, struct mod_ctx *m, const char *path)
{
	*e = (struct edit){.m = m, .path = path, .msg = "", .existed = fs_exists(path)};
	if (!mod_read_maybe(m, path, &e->before))
		return false;
	struct str rest = e->before;
	while (rest.n) {
		const char *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) + 1 : rest.n;
		edit_insert(e, e->n, str_n(rest.p, n));
		rest = str_n(rest.p + n, rest.n - n);
	}
	return true;
}

bool edit_save(struct edit *e)
{
	struct str after = edit_joined(e);
	if (e->existed ? str_eq(e->before, after) : !after.n)
		return true;
	mod_diff_text(e->m, e->path, e->before, after);
	mod_changed(e->m);
	return mod_write(e->m, e->path, after);
}

bool edit_open(struct edit *e, struct mod_ctx *m, bool create, const char *missing)
{
	*e = (struct edit){.m = m, .path = mod_arg(m, "path"), .msg = ""};
	if (fs_is_dir(e->path)) {
		mod_seti(m, "rc", 256);
		return mod_fail(m, "Path %s is a directory !", e->path);
	}
	e->existed = fs_exists(e->path);
	if (!e->existed && !create) {
		mod_seti(m, "rc", 257);
		const char *at = strstr(missing, "%s");
		return mod_fail(m, "%.*s%s%s", (int)(at - missing), missing, e->path, at + 2);
	}
	return edit_load(e, m, e->path);
}

void edit_insert(struct edit *e, size_t at, struct str line)
{
	e->lines = arena_grow(e->m->a, e->lines, e->n, &e->cap, sizeof(*e->lines));
	memmove(e->lines + at + 1, e->lines + at, (e->n - at) * sizeof(*e->lines));
	e->lines[at] = line;
	e->n++;
}

void edit_remove(struct edit *e, size_t from, size_t n)
{
	memmove(e->lines + from, e->lines + from + n, (e->n - from - n) * sizeof(*e->lines));
	e->n -= n;
}

void edit_end_last(struct edit *e)
{
	if (e->n && !str_ends(e->lines[e->n - 1], "\n"))
		e->lines[e->n - 1] = edit_ended(e, e->lines[e->n - 1]);
}

struct str edit_bare(struct str line)
{
	while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	return line;
}

struct str edit_ended(struct edit *e, struct str line)
{
	return str_c(arena_printf(e->m->a, "%.*s\n", STR_FMT(line)));
}

struct str edit_joined(struct edit *e)
{
	struct buf b = {0};
	for (size_t i = 0; i < e->n; i++)
		buf_addstr(&b, e->lines[i]);
	struct str s = buf_take(&b, e->m->a);
	buf_free(&b);
	return s;
}

static void set_diff(struct edit *e, struct str after, struct val *attrs)
{
	struct mod_ctx *m = e->m;
	struct val *list = val_list(m->a), *text = val_map(m->a);
	const char *content = arena_printf(m->a, "%s (content)", e->path);
	struct val *attr_header = val_strf(m->a, "%s (file attributes)", e->path);
	val_set(text, "before", val_str(m->a, m->diff ? e->before : (struct str){0}));
	val_set(text, "after", val_str(m->a, m->diff ? after : (struct str){0}));
	val_set(text, "before_header", val_strz(m->a, content));
	val_set(text, "after_header", val_strz(m->a, content));
	if (!attrs || !val_is_map(attrs))
		attrs = val_map(m->a);
	val_set(attrs, "before_header", attr_header);
	val_set(attrs, "after_header", attr_header);
	val_push(list, text);
	val_push(list, attrs);
	mod_set(m, "diff", list);
}

bool edit_close(struct edit *e, struct str after)
{
	struct mod_ctx *m = e->m;
	struct err err = {0};
	bool differs = !e->existed || !str_eq(e->before, after);
	if (differs && !m->check) {
		if (!e->existed && !fs_mkdirs(fs_dirname(m->a, e->path), 0755, &err))
			return mod_fail_err(m, &err);
		if (!mod_write(m, e->path, after))
			return false;
	}
	if (differs)
		mod_changed(m);
	bool before = mod_is_changed(m);
	mod_setb(m, "changed", false);
	if ((e->existed || !m->check) && !mod_file_args(m, e->path))
		return false;
	if (mod_is_changed(m))
		e->msg = arena_printf(m->a, "%s%sownership, perms or SE linux context changed", e->msg,
		                      before ? " and " : "");
	mod_setb(m, "changed", before || mod_is_changed(m));
	mod_sets(m, "msg", e->msg);
	set_diff(e, after, val_get(m->result, "diff"));
	return true;
}
