/* Actions that carry files between the controller and the host. */
#include "ansible/actions.h"
#include "ansible/core.h"
#include "ansible/sealed.h"
#include "ansible/task.h"
#include "ansible/template_vars.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "modules/digest.h"
#include "modules/fragments.h"
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool not_found(struct item_run *r, const struct val *src, const char *sub, struct err *err)
{
	struct str name = val_text(src, r->a);
	err_set(err, ERR_USER, val_origin(src), "Could not find or access '%.*s'", STR_FMT(name));
	if (name.n && name.p[0] != '/')
		err_hint(err, "searched in: %s; if the file is on the host, see the remote_src option",
		         scope_searched(&r->s, sub));
	return false;
}

/* A sealed file travels opened, unless the task says decrypt: no. */
static bool read_file(struct item_run *r, const char *path, struct str *ret, struct err *err)
{
	const struct val *decrypt = val_get(r->args, "decrypt");
	if (!decrypt || val_to_bool(decrypt))
		return sealed_read(r->t->e->opts->vault, r->a, path, ret, NULL, err);
	struct buf b;
	buf_init(&b, FS_READ_MAX);
	bool ok = fs_read(path, &b, err);
	if (ok)
		*ret = buf_take(&b, r->a);
	buf_free(&b);
	return ok;
}

/* The request for a module that gets CONTENT: its checksum and name travel, the bytes only when the host
 * lacks them. */
static void attach(struct item_run *r, struct val *args, struct str content, const char *name)
{
	struct val *c = val_map(r->a);
	val_set(c, "sha256", val_str(r->a, act_blob(r, content)));
	val_set(c, "name", val_strz(r->a, name));
	val_set(args, "_content", c);
}

static void preserve_mode(struct item_run *r, struct val *args, const char *path)
{
	const struct val *mode = val_get(args, "mode");
	struct stat st;
	if (mode && val_is_str(mode) && str_eqc(val_get_str(mode), "preserve") && stat(path, &st) == 0)
		val_set(args, "mode", val_strf(r->a, "0%03o", (unsigned)(st.st_mode & 07777)));
}

/* ---- template -------------------------------------------------------------------------------------------
 */

/* The line end NAME means, its escapes spelled out or not; NULL for what is none. */
static const char *newline_named(struct str name)
{
	static const char *const known[] = {"\n", "\r", "\r\n", "\\n", "\\r", "\\r\\n"};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_eqc(name, known[i]))
			return known[i % 3];
	return NULL;
}

bool act_template(struct item_run *r, struct err *err)
{
	static const char *const own[] = {
	        "block_start_string",   "block_end_string",   "variable_start_string", "variable_end_string",
	        "comment_start_string", "comment_end_string", "newline_sequence",      "trim_blocks",
	        "lstrip_blocks",        "output_encoding"};
	struct val *src = val_get(r->args, "src"), *opts = val_map(r->a), *args = val_shallow(r->a, r->args);
	if (!src || !val_get(r->args, "dest"))
		return err_set(err, ERR_USER, r->t->task->n.at, "src and dest are required");
	const char *path = scope_find(&r->s, "templates", val_text(src, r->a));
	if (!path || fs_is_dir(path))
		return not_found(r, src, "templates", err);
	struct val *saved = r->s.locals;
	uint32_t id;
	struct str text, out;
	bool secret;
	if (!loader_text(&r->t->e->loader, path, &text, &id, err))
		return false;
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		struct val *v = val_get(args, own[i]);
		if (v)
			val_set(opts, own[i],
			        val_kind(v) == VAL_BOOL ? val_strz(r->a, val_get_bool(v) ? "True" : "False")
			                                : v);
		val_del(args, str_c(own[i]));
	}
	struct val *newline = val_get(opts, "newline_sequence");
	const char *ends = newline ? newline_named(val_text(newline, r->a)) : NULL;
	if (ends)
		val_set(opts, "newline_sequence", val_strz(r->a, ends));
	else if (newline)
		return err_set(err, ERR_USER, val_origin(newline),
		               "newline_sequence needs to be one of: \n, \r or \r\n");
	struct val *own_vars = template_vars(r->t->e, r->a, path, val_text(val_get(args, "dest"), r->a).p);
	r->s.locals = saved ? val_merge(r->a, saved, own_vars, false) : own_vars;
	scope_touch(&r->s);
	bool ok = scope_render_file(&r->s, text, id, opts, &out, &secret, err);
	r->s.locals = saved;
	scope_touch(&r->s);
	if (!ok)
		return false;
	if (loader_sealed(&r->t->e->loader, path))
		log_secret(out);
	preserve_mode(r, args, path);
	attach(r, args, out, fs_basename(path));
	return act_submit(r, "copy", args, err);
}

/* ---- copy -----------------------------------------------------------------------------------------------
 */

/* A tree to be copied: files first, which make the directories they are in, then directories, then links; one
 * request after the other. */
struct tree {
	struct val *files, *dirs,
	        *links; /* maps: path below the destination to the source, or to a link's text */
	const char *base, *dest;
	struct val *only; /* the answer to the last request of a tree of one file */
	size_t next;
	bool follow, changed;
};

/* A directory on the way down from the top of a tree. */
struct way {
	const struct way *up;
	dev_t dev;
	ino_t ino;
};

static bool way_has(const struct way *w, const struct stat *st)
{
	for (; w; w = w->up)
		if (w->dev == st->st_dev && w->ino == st->st_ino)
			return true;
	return false;
}

static bool tree_walk(struct arena *a, struct tree *t, const char *dir, const char *rel, const struct way *up,
                      struct err *err);

/* The entry at PATH of a tree. A link stays one when it may not be followed, leads nowhere or in a circle. */
static bool tree_entry(struct arena *a, struct tree *t, const char *path, const char *rel,
                       const struct way *up, struct err *err)
{
	struct stat st, to;
	char text[PATH_MAX];
	if (lstat(path, &st) != 0)
		return err_sys(err, ERR_USER, "%s", path);
	bool is_link = S_ISLNK(st.st_mode), there = stat(path, &to) == 0;
	bool dir = there && S_ISDIR(to.st_mode), file = there && S_ISREG(to.st_mode);
	if (is_link && !(t->follow && (file || (dir && !way_has(up, &to))))) {
		ssize_t n = readlink(path, text, sizeof(text));
		if (n < 0)
			return err_sys(err, ERR_USER, "%s", path);
		val_set(t->links, rel, val_str(a, str_n(text, (size_t)n)));
		return true;
	}
	val_set(dir ? t->dirs : t->files, rel, val_strz(a, path));
	return !dir || tree_walk(a, t, path, rel, up, err);
}

static bool tree_walk(struct arena *a, struct tree *t, const char *dir, const char *rel, const struct way *up,
                      struct err *err)
{
	struct dirent **names;
	struct stat st;
	int n = stat(dir, &st) == 0 ? scandir(dir, &names, NULL, alphasort) : -1;
	bool ok = true;
	if (n < 0)
		return err_sys(err, ERR_USER, "%s", dir);
	struct way here = {up, st.st_dev, st.st_ino};
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		if (ok && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			const char *sub = *rel ? fs_join(a, rel, name) : arena_strdup(a, name);
			ok = tree_entry(a, t, fs_join(a, dir, name), sub, &here, err);
		}
		free(names[i]);
	}
	free(names);
	return ok;
}

static void keep_only(struct val *args, const char *const *names)
{
	for (size_t i = val_len(args); i-- > 0;) {
		struct val *k = val_key_at(args, i);
		bool keep = false;
		for (size_t n = 0; names[n]; n++)
			keep = keep || str_eqc(val_get_str(k), names[n]);
		if (!keep)
			val_delk(args, k);
	}
}

/* The request that makes a directory or, with the text TO, a link of a tree. */
static bool tree_make(struct item_run *r, struct tree *t, const char *rel, const struct val *to,
                      struct err *err)
{
	static const char *const kept[] = {"owner",  "group",   "mode",       "seuser",        "serole",
	                                   "setype", "selevel", "attributes", "unsafe_writes", NULL};
	struct val *args = val_shallow(r->a, r->args), *mode = val_get(args, to ? "mode" : "directory_mode");
	if (mode && !(val_is_str(mode) && str_eqc(val_get_str(mode), "preserve")))
		val_set(args, "mode", mode);
	else
		val_del(args, STR("mode"));
	keep_only(args, kept);
	val_set(args, "path", val_strz(r->a, fs_join(r->a, t->dest, rel)));
	val_set(args, "state", val_strz(r->a, to ? "link" : "directory"));
	if (to) {
		val_set(args, "src", val_str(r->a, val_get_str(to)));
		val_set(args, "force", val_bool(true));
		val_set(args, "follow", val_bool(false));
	}
	return act_submit(r, "file", args, err);
}

static bool tree_file(struct item_run *r, struct tree *t, const char *rel, const char *src, struct err *err)
{
	struct str content;
	struct val *args = val_shallow(r->a, r->args);
	val_set(args, "src", val_strz(r->a, src));
	val_set(args, "dest", val_strf(r->a, "%s/", t->dest));
	if (val_len(t->dirs))
		val_set(args, "follow", val_bool(false));
	preserve_mode(r, args, src);
	if (!read_file(r, src, &content, err))
		return false;
	attach(r, args, content, rel);
	return act_submit(r, "copy", args, err);
}

/* The next request of a tree; none is left when *RET_MORE is false. */
static bool tree_next(struct item_run *r, struct tree *t, bool *ret_more, struct err *err)
{
	size_t i = t->next++, files = val_len(t->files), dirs = val_len(t->dirs);
	*ret_more = i < files + dirs + val_len(t->links);
	if (!*ret_more)
		return true;
	if (i < files)
		return tree_file(r, t, val_get_strz(val_key_at(t->files, i)),
		                 val_get_strz(val_value_at(t->files, i)), err);
	if (i < files + dirs)
		return tree_make(r, t, val_get_strz(val_key_at(t->dirs, i - files)), NULL, err);
	i -= files + dirs;
	return tree_make(r, t, val_get_strz(val_key_at(t->links, i)), val_value_at(t->links, i), err);
}

/* What a tree's result says when it is not that of its only file. */
static struct val *tree_result(struct item_run *r, struct tree *t)
{
	struct str dest = val_text(val_get(r->args, "dest"), r->a);
	struct val *result = act_result(r, t->changed);
	val_set(result, "dest", val_strf(r->a, "%.*s%s", STR_FMT(dest), str_ends(dest, "/") ? "" : "/"));
	val_set(result, "src", val_strz(r->a, t->base));
	return result;
}

static bool copy_tree(struct item_run *r, const char *path, bool inside, struct err *err)
{
	struct tree *t = ARENA_NEW(r->a, struct tree);
	struct str p = str_c(path);
	while (p.n > 1 && p.p[p.n - 1] == '/')
		p.n--;
	t->base = arena_printf(r->a, "%.*s%s", STR_FMT(p), inside ? "/" : "");
	struct str dest = val_text(val_get(r->args, "dest"), r->a);
	while (dest.n > 1 && dest.p[dest.n - 1] == '/')
		dest.n--;
	t->dest = arena_strndup(r->a, dest.p, dest.n);
	t->follow = act_bool(r, "local_follow", true);
	t->files = val_map(r->a);
	t->dirs = val_map(r->a);
	t->links = val_map(r->a);
	const char *top = arena_strndup(r->a, p.p, p.n), *rel = inside ? "" : fs_basename(top);
	if (!inside)
		val_set(t->dirs, rel, val_strz(r->a, top));
	if (!tree_walk(r->a, t, top, rel, NULL, err))
		return false;
	/* The directory itself comes into being with what is in it. */
	if (!inside)
		val_del(t->dirs, str_c(rel));
	r->data = t;
	r->stage = 1;
	bool more;
	if (!tree_next(r, t, &more, err))
		return false;
	if (!more)
		r->result = tree_result(r, t);
	return true;
}

bool act_copy(struct item_run *r, struct err *err)
{
	struct val *src = val_get(r->args, "src"), *content = val_get(r->args, "content"), *args;
	struct val *remote = val_get(r->args, "remote_src");
	struct str text;
	r->stage = 0;
	if (src && (val_is_null(src) || !val_text(src, r->a).n))
		src = NULL;
	if (content && val_is_null(content))
		content = NULL;
	if (!src && !content)
		return err_set(err, ERR_USER, r->t->task->n.at, "src (or content) is required");
	const struct val *to = val_get(r->args, "dest");
	if (!to || !val_text(to, r->a).n)
		return err_set(err, ERR_USER, r->t->task->n.at, "dest is required");
	if (src && content)
		return err_set(err, ERR_USER, val_origin(content), "src and content are mutually exclusive");
	args = val_shallow(r->a, r->args);
	if (content) {
		struct buf b = {0};
		if (val_is_map(content) || val_is_list(content))
			json_dump(content, JSON_STYLE_PYTHON, &b);
		else
			val_print(content, &b);
		text = buf_take(&b, r->a);
		buf_free(&b);
		struct str dest = val_text(val_get(args, "dest"), r->a);
		if (str_ends(dest, "/"))
			return err_set(err, ERR_USER, val_origin(content),
			               "can not use content with a dir as dest");
		val_del(args, STR("content"));
		attach(r, args, text, ""); /* without a name it goes into no directory */
		return act_submit(r, "copy", args, err);
	}
	if (remote && val_to_bool(remote))
		return act_submit(r, "copy", args, err);
	struct str name = val_text(src, r->a);
	const char *path = scope_find(&r->s, "files", name);
	if (!path)
		return not_found(r, src, "files", err);
	if (fs_is_dir(path))
		return copy_tree(r, path, str_ends(name, "/"), err);
	if (!read_file(r, path, &text, err))
		return false;
	preserve_mode(r, args, path);
	attach(r, args, text, fs_basename(path));
	return act_submit(r, "copy", args, err);
}

bool act_copy_done(struct item_run *r, struct err *err)
{
	struct tree *t = r->data;
	bool more;
	if (!r->stage || !t) {
		r->result = r->answer;
		return true;
	}
	if (val_map_bool(r->answer, "failed", false)) {
		r->result = r->answer;
		return true;
	}
	t->changed = t->changed || val_map_bool(r->answer, "changed", false);
	if (val_len(t->files) == 1)
		t->only = r->answer;
	if (!tree_next(r, t, &more, err))
		return false;
	if (more)
		return true;
	r->result = tree_result(r, t);
	/* A tree of one file has that file's result. */
	if (t->only) {
		r->result = val_shallow(r->a, t->only);
		val_set(r->result, "changed", val_bool(t->changed));
		struct val *made = val_get(r->result, "path");
		if (made && !val_get(r->result, "dest"))
			val_set(r->result, "dest", made);
	}
	return true;
}

/* ---- script, unarchive, assemble ------------------------------------------------------------------------
 */

bool act_script(struct item_run *r, struct err *err)
{
	struct val *raw = val_get(r->args, "_raw_params"), *args = val_shallow(r->a, r->args), *words;
	if (!raw)
		raw = val_get(r->args, "cmd");
	if (!raw)
		return err_set(err, ERR_USER, r->t->task->n.at,
		               "one of the following is required: _raw_params, cmd");
	if (!args_split(r->a, val_text(raw, r->a), val_origin(raw), &words, err))
		return false;
	struct str first = val_len(words) ? val_get_str(val_at(words, 0)) : STR(""), text;
	if (first.n > 1 && (first.p[0] == '"' || first.p[0] == '\''))
		first = str_n(first.p + 1, first.n - 2);
	const char *path = scope_find(&r->s, "files", first);
	if (!path)
		return not_found(r, val_at_origin(r->a, val_str(r->a, first), val_origin(raw)), "files", err);
	if (!read_file(r, path, &text, err))
		return false;
	attach(r, args, text, fs_basename(path));
	return act_submit(r, "script", args, err);
}

/* MODULE with the file SRC of the controller, wherever the role or play has it. */
static bool submit_with_file(struct item_run *r, const char *module, struct val *args, const struct val *src,
                             struct err *err)
{
	const char *path = scope_find(&r->s, "files", val_text(src, r->a));
	struct str text;
	if (!path)
		return not_found(r, src, "files", err);
	if (!read_file(r, path, &text, err))
		return false;
	attach(r, args, text, fs_basename(path));
	return act_submit(r, module, args, err);
}

bool act_unarchive(struct item_run *r, struct err *err)
{
	struct val *src = val_get(r->args, "src"), *args = val_shallow(r->a, r->args),
	           *remote = val_get(args, "remote_src");
	const struct val *copy = val_get(args, "copy");
	if (!src)
		return err_set(err, ERR_USER, r->t->task->n.at, "src (or content) and dest are required");
	bool on_host = (remote && val_to_bool(remote)) || (copy && !val_to_bool(copy));
	if (on_host || str_find(val_text(src, r->a), STR("://"), 0) >= 0)
		return act_submit(r, "unarchive", args, err);
	return submit_with_file(r, "unarchive", args, src, err);
}

bool act_patch(struct item_run *r, struct err *err)
{
	struct val *src = val_get(r->args, "src"), *args = val_shallow(r->a, r->args);
	if (!src)
		src = val_get(r->args, "patchfile");
	if (!src)
		return err_set(err, ERR_USER, r->t->task->n.at, "missing required arguments: src");
	if (act_bool(r, "remote_src", false))
		return act_submit(r, "patch", args, err);
	return submit_with_file(r, "patch", args, src, err);
}

/* BODY, a form, with the content of the files its parts name: only the controller has those. */
static struct val *form_with_files(struct item_run *r, const struct val *body, struct err *err)
{
	struct val *form = val_shallow(r->a, body);
	MAP_EACH (i, body) {
		const struct val *part = val_value_at(body, i);
		struct val *name = val_is_map(part) ? val_get(part, "filename") : NULL;
		struct str text;
		if (!name || val_get(part, "content"))
			continue;
		const char *path = scope_find(&r->s, "files", val_text(name, r->a));
		if (!path) {
			not_found(r, name, "files", err);
			return NULL;
		}
		if (!read_file(r, path, &text, err))
			return NULL;
		struct val *filled = val_shallow(r->a, part);
		val_set(filled, "content", val_str(r->a, text));
		val_setk(form, val_key_at(body, i), filled);
	}
	return form;
}

bool act_uri(struct item_run *r, struct err *err)
{
	struct val *src = val_get(r->args, "src"), *args = val_shallow(r->a, r->args),
	           *body = val_get(args, "body");
	const struct val *format = val_get(args, "body_format");
	if (act_bool(r, "remote_src", false))
		return act_submit(r, "uri", args, err);
	if (src)
		return submit_with_file(r, "uri", args, src, err);
	if (body && val_is_map(body) && format && str_eqc(val_text(format, r->a), "form-multipart")) {
		body = form_with_files(r, body, err);
		if (!body)
			return false;
		val_set(args, "body", body);
	}
	return act_submit(r, "uri", args, err);
}

static bool read_fragment(void *ctx, const char *path, struct str *ret, struct err *err)
{
	return read_file(ctx, path, ret, err);
}

bool act_assemble(struct item_run *r, struct err *err)
{
	static const char *const own[] = {"src",    "remote_src",    "delimiter",
	                                  "regexp", "ignore_hidden", "decrypt"};
	struct val *src = val_get(r->args, "src"), *remote = val_get(r->args, "remote_src");
	const struct val *between = val_get(r->args, "delimiter"), *regexp = val_get(r->args, "regexp");
	if (!src || !remote || val_to_bool(remote))
		return act_submit(r, "assemble", r->args, err);
	const char *dir = scope_find(&r->s, "files", val_text(src, r->a));
	if (!dir)
		return not_found(r, src, "files", err);
	if (!fs_is_dir(dir))
		return err_set(err, ERR_USER, val_origin(src), "Source (%s) is not a directory", dir);
	struct fragments f = {.dir = dir,
	                      .skip_hidden = act_bool(r, "ignore_hidden", false),
	                      .read = read_fragment,
	                      .ctx = r};
	if (between)
		f.between = val_text(between, r->a);
	if (regexp && !(f.re = regex_new(r->a, val_text(regexp, r->a), REGEX_UTF8, err)))
		return false;
	struct val *args = val_shallow(r->a, r->args);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		val_del(args, str_c(own[i]));
	struct buf all;
	buf_init(&all, FS_READ_MAX);
	bool ok = fragments_join(&f, r->a, &all, err);
	if (ok)
		attach(r, args, buf_take(&all, r->a), fs_basename(dir));
	buf_free(&all);
	return ok && act_submit(r, "copy", args, err);
}

/* ---- fetch ----------------------------------------------------------------------------------------------
 */

bool act_fetch(struct item_run *r, struct err *err)
{
	struct val *src = val_get(r->args, "src"), *args = val_map(r->a);
	if (!src || !val_get(r->args, "dest"))
		return err_set(err, ERR_USER, r->t->task->n.at, "src and dest are required");
	if (r->check) {
		r->result = act_result(r, false);
		val_set(r->result, "skipped", val_bool(true));
		val_set(r->result, "msg", val_strz(r->a, "check mode not (yet) supported for this module"));
		return true;
	}
	val_set(args, "src", src);
	return act_submit(r, "slurp", args, err);
}

/* PATH without "//", "." and "..", by its letters alone. */
static const char *plain_path(struct arena *a, const char *path)
{
	struct str rest = str_c(path);
	struct buf b = {0};
	while (rest.p) {
		struct str part = str_split(&rest, '/');
		if (!part.n || str_eqc(part, "."))
			continue;
		if (!str_eqc(part, "..")) {
			buf_printf(&b, "/%.*s", STR_FMT(part));
			continue;
		}
		while (b.n && b.p[--b.n] != '/')
			;
	}
	struct str s = buf_take(&b, a);
	buf_free(&b);
	return s.n ? s.p : "/";
}

/* Where the file goes on the controller; NULL and err set where that cannot be. */
static const char *fetch_dest(struct item_run *r, struct err *err)
{
	const struct val *arg = val_get(r->args, "dest");
	struct str dest = val_text(arg, r->a), src = val_text(val_get(r->args, "src"), r->a);
	const char *d = dest.p;
	if (*d != '/' && r->t->e->playbook_dir)
		d = fs_join(r->a, r->t->e->playbook_dir, d);
	if (!act_bool(r, "flat", false))
		return plain_path(r->a, arena_printf(r->a, "%s/%s/%s", d, r->t->hr->host->name, src.p));
	if (str_ends(dest, "/"))
		return plain_path(r->a, fs_join(r->a, d, fs_basename(src.p)));
	if (!fs_is_dir(d))
		return plain_path(r->a, d);
	err_set(err, ERR_USER, val_origin(arg),
	        "dest is an existing directory, use a trailing slash if you want to fetch src into that "
	        "directory");
	return NULL;
}

/* What a fetch says that got no content. */
static void fetch_failed(struct item_run *r)
{
	static const char none[] = "the remote file does not exist, not transferring, ignored",
	                  dir[] = "remote file is a directory, fetch cannot work on directories";
	struct val *src = val_get(r->args, "src");
	struct str msg = val_map_str(r->answer, "msg", ""), path = val_text(src, r->a);
	bool must = act_bool(r, "fail_on_missing", true);
	bool is_dir = str_starts(msg, "source is a directory"),
	     missing = str_find(msg, STR("not found"), 0) >= 0;
	bool no_dir = str_find(msg, STR("Not a directory"), 0) >= 0;
	const char *say =
	        missing  ? none
	        : is_dir ? arena_printf(r->a, "%s%s", dir, must ? "" : ", not transferring, ignored")
	        : no_dir ? arena_printf(r->a,
	                                "Failed to get information on remote file (%.*s): Not a directory%s",
	                                STR_FMT(path), must ? "" : ", ignored")
	                 : arena_strndup(r->a, msg.p ? msg.p : "", msg.n);
	r->result = act_result(r, false);
	val_set(r->result, "msg", val_strz(r->a, say));
	if (must)
		val_set(r->result, "failed", val_bool(true));
	if (no_dir || (!must && !is_dir))
		val_set(r->result, "file", src);
}

bool act_fetch_done(struct item_run *r, struct err *err)
{
	if (val_map_bool(r->answer, "failed", false)) {
		fetch_failed(r);
		return true;
	}
	const char *dest = fetch_dest(r, err);
	if (!dest)
		return false;
	struct buf data = {0}, old;
	if (!buf_unbase64(&data, val_map_str(r->answer, "content", "")))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "the host sent no valid content");
	const char *sum = digest_str(r->a, "sha1", buf_str(&data));
	const char *md5 = digest_str(r->a, "md5", buf_str(&data));
	buf_init(&old, FS_READ_MAX);
	struct err why = {0};
	bool same = fs_exists(dest) && fs_read(dest, &old, &why) && str_eq(buf_str(&old), buf_str(&data));
	err_clear(&why);
	bool ok = same ||
	          (fs_mkdirs(fs_dirname(r->a, dest), 0755, err) && fs_write(dest, buf_str(&data), 0644, err));
	buf_free(&old);
	buf_free(&data);
	if (!ok)
		return false;
	r->result = act_result(r, !same);
	val_set(r->result, "checksum", val_strz(r->a, sum));
	val_set(r->result, "md5sum", val_strz(r->a, md5));
	val_set(r->result, "dest", val_strz(r->a, dest));
	if (same) {
		val_set(r->result, "file", val_get(r->args, "src"));
	} else {
		val_set(r->result, "remote_checksum", val_strz(r->a, sum));
		val_set(r->result, "remote_md5sum", val_null());
	}
	return true;
}
