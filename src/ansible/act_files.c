/* Actions that carry files between the controller and the host. */
#include "ansible/actions.h"
#include "ansible/core.h"
#include "ansible/task.h"
#include "base/fs.h"
#include "base/json.h"
#include "modules/digest.h"
#include <dirent.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool not_found(struct item_run *r, const struct val *src, const char *sub, struct err *err)
{
	struct str name = val_text(src, r->a);
	err_set(err, ERR_USER, val_origin(src), "Could not find or access '%.*s'", STR_FMT(name));
	if (name.n && name.p[0] != '/') {
		struct val *dirs = scope_search_path(&r->s, sub);
		struct buf b = {0};
		VAL_EACH (i, dirs)
			buf_printf(&b, "%s%s", i ? ", " : "", val_get_strz(val_at(dirs, i)));
		err_hint(err, "searched in: %s; if the file is on the host, see the remote_src option",
		         b.n ? b.p : "nowhere");
		buf_free(&b);
	}
	return false;
}

static bool read_file(struct item_run *r, const char *path, struct str *ret, struct err *err)
{
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

static void template_vars(struct item_run *r, const char *path, const char *dest)
{
	struct val *m = r->s.locals ? val_shallow(r->a, r->s.locals) : val_map(r->a);
	char host[256] = "", date[64];
	struct tm tm;
	time_t now = time(NULL);
	gethostname(host, sizeof(host) - 1);
	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	char *full = realpath(path, NULL);
	val_set(m, "template_host", val_strz(r->a, host));
	val_set(m, "template_path", val_strz(r->a, path));
	val_set(m, "template_fullpath", val_strz(r->a, full ? full : path));
	val_set(m, "template_run_date", val_strz(r->a, date));
	val_set(m, "template_destpath", val_strz(r->a, dest));
	val_set(m, "template_uid", val_strz(r->a, "root"));
	free(full);
	r->s.locals = m;
	scope_touch(&r->s);
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
	template_vars(r, path, val_text(val_get(args, "dest"), r->a).p);
	bool ok = scope_render_file(&r->s, text, id, opts, &out, &secret, err);
	r->s.locals = saved;
	scope_touch(&r->s);
	if (!ok)
		return false;
	preserve_mode(r, args, path);
	attach(r, args, out, fs_basename(path));
	return act_submit(r, "copy", args, err);
}

/* ---- copy -----------------------------------------------------------------------------------------------
 */

/* A tree to be copied: directories first, then files, one request after the other. */
struct tree {
	struct val *dirs, *files; /* paths below BASE */
	const char *base, *dest;
	size_t next;
	bool changed;
};

static bool tree_walk(struct arena *a, struct tree *t, const char *rel, struct err *err)
{
	const char *dir = *rel ? fs_join(a, t->base, rel) : t->base;
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	bool ok = true;
	if (n < 0)
		return err_sys(err, ERR_USER, "%s", dir);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		if (ok && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			const char *sub = *rel ? fs_join(a, rel, name) : arena_strdup(a, name);
			bool is_dir = fs_is_dir(fs_join(a, t->base, sub));
			val_push(is_dir ? t->dirs : t->files, val_strz(a, sub));
			if (is_dir)
				ok = tree_walk(a, t, sub, err);
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

/* The next request of a tree; false with no error: nothing is left. */
static bool tree_next(struct item_run *r, struct tree *t, bool *ret_more, struct err *err)
{
	static const char *const dir_args[] = {"owner",  "group",   "mode",       "seuser",        "serole",
	                                       "setype", "selevel", "attributes", "unsafe_writes", NULL};
	size_t nd = val_len(t->dirs), n = nd + val_len(t->files);
	*ret_more = t->next < n;
	if (!*ret_more)
		return true;
	size_t i = t->next++;
	struct val *args = val_shallow(r->a, r->args);
	const char *rel = val_get_strz(i < nd ? val_at(t->dirs, i) : val_at(t->files, i - nd));
	const char *dest = fs_join(r->a, t->dest, rel), *src = fs_join(r->a, t->base, rel);
	if (i < nd) {
		struct val *mode = val_get(args, "directory_mode");
		if (mode)
			val_set(args, "mode", mode);
		else
			val_del(args, STR("mode"));
		keep_only(args, dir_args);
		val_set(args, "path", val_strz(r->a, dest));
		val_set(args, "state", val_strz(r->a, "directory"));
		return act_submit(r, "file", args, err);
	}
	struct str content;
	val_set(args, "src", val_strz(r->a, src));
	val_set(args, "dest", val_strz(r->a, dest));
	preserve_mode(r, args, src);
	if (!read_file(r, src, &content, err))
		return false;
	attach(r, args, content, fs_basename(src));
	return act_submit(r, "copy", args, err);
}

static bool copy_tree(struct item_run *r, const char *path, bool inside, struct err *err)
{
	struct tree *t = ARENA_NEW(r->a, struct tree);
	struct str p = str_c(path);
	while (p.n > 1 && p.p[p.n - 1] == '/')
		p.n--;
	t->base = arena_strndup(r->a, p.p, p.n);
	t->dest = val_text(val_get(r->args, "dest"), r->a).p;
	if (!inside)
		t->dest = fs_join(r->a, t->dest, fs_basename(t->base));
	t->dirs = val_list(r->a);
	t->files = val_list(r->a);
	val_push(t->dirs, val_strz(r->a, ""));
	if (!tree_walk(r->a, t, "", err))
		return false;
	r->data = t;
	r->stage = 1;
	bool more;
	return tree_next(r, t, &more, err);
}

bool act_copy(struct item_run *r, struct err *err)
{
	struct val *src = val_get(r->args, "src"), *content = val_get(r->args, "content"), *args;
	struct val *remote = val_get(r->args, "remote_src");
	struct str text;
	r->stage = 0;
	if (!val_get(r->args, "dest"))
		return err_set(err, ERR_USER, r->t->task->n.at, "dest is required");
	if (src && content)
		return err_set(err, ERR_USER, val_origin(content), "src and content are mutually exclusive");
	if (!src && !content)
		return err_set(err, ERR_USER, r->t->task->n.at, "src (or content) is required");
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
		attach(r, args, text, fs_basename(dest.p));
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
	if (!tree_next(r, t, &more, err))
		return false;
	if (more)
		return true;
	r->result = act_result(r, t->changed);
	val_set(r->result, "dest", val_get(r->args, "dest"));
	val_set(r->result, "src", val_get(r->args, "src"));
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

bool act_unarchive(struct item_run *r, struct err *err)
{
	struct val *src = val_get(r->args, "src"), *args = val_shallow(r->a, r->args),
	           *remote = val_get(args, "remote_src");
	const struct val *copy = val_get(args, "copy");
	struct str text;
	if (!src)
		return err_set(err, ERR_USER, r->t->task->n.at, "src (or content) and dest are required");
	bool on_host = (remote && val_to_bool(remote)) || (copy && !val_to_bool(copy));
	if (on_host || str_find(val_text(src, r->a), STR("://"), 0) >= 0)
		return act_submit(r, "unarchive", args, err);
	const char *path = scope_find(&r->s, "files", val_text(src, r->a));
	if (!path)
		return not_found(r, src, "files", err);
	if (!read_file(r, path, &text, err))
		return false;
	attach(r, args, text, fs_basename(path));
	return act_submit(r, "unarchive", args, err);
}

bool act_assemble(struct item_run *r, struct err *err)
{
	struct val *src = val_get(r->args, "src"), *remote = val_get(r->args, "remote_src");
	const struct val *delim = val_get(r->args, "delimiter");
	if (!src || !remote || val_to_bool(remote))
		return act_submit(r, "assemble", r->args, err);
	const char *dir = scope_find(&r->s, "files", val_text(src, r->a));
	if (!dir || !fs_is_dir(dir))
		return not_found(r, src, "files", err);
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	struct buf all = {0};
	bool ok = n >= 0 || err_sys(err, ERR_USER, "%s", dir), first = true;
	for (int i = 0; i < n; i++) {
		const char *p = fs_join(r->a, dir, names[i]->d_name);
		struct str text;
		if (ok && names[i]->d_name[0] != '.' && !fs_is_dir(p) && (ok = read_file(r, p, &text, err))) {
			if (delim && !first)
				buf_addstr(&all, val_text(delim, r->a));
			buf_addstr(&all, text);
			first = false;
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	struct val *args = val_shallow(r->a, r->args);
	static const char *const own[] = {"src",    "remote_src",    "delimiter",
	                                  "regexp", "ignore_hidden", "backup"};
	for (size_t i = 0; i + 1 < sizeof(own) / sizeof(*own); i++)
		val_del(args, str_c(own[i]));
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

static const char *fetch_dest(struct item_run *r)
{
	struct str dest = val_text(val_get(r->args, "dest"), r->a),
	           src = val_text(val_get(r->args, "src"), r->a);
	const char *d = dest.p;
	if (*d != '/' && r->t->e->playbook_dir)
		d = fs_join(r->a, r->t->e->playbook_dir, d);
	if (val_map_bool(r->args, "flat", false))
		return str_ends(dest, "/") || fs_is_dir(d) ? fs_join(r->a, d, fs_basename(src.p)) : d;
	return arena_printf(r->a, "%s/%s/%s", d, r->t->hr->host->name, src.p[0] == '/' ? src.p + 1 : src.p);
}

bool act_fetch_done(struct item_run *r, struct err *err)
{
	if (val_map_bool(r->answer, "failed", false)) {
		bool must = val_map_bool(r->args, "fail_on_missing", true);
		r->result = act_result(r, false);
		struct str msg = val_map_str(r->answer, "msg", "");
		bool missing =
		        str_find(msg, STR("not found"), 0) >= 0 || str_find(msg, STR("o such file"), 0) >= 0;
		if (must || !missing)
			val_set(r->result, "failed", val_bool(true));
		val_set(r->result, "msg",
		        !missing ? val_str(r->a, msg)
		        : must   ? val_strz(r->a, "the remote file does not exist")
		               : val_strz(r->a, "the remote file does not exist, not transferring, ignored"));
		val_set(r->result, "file", val_get(r->args, "src"));
		return true;
	}
	struct buf data = {0}, old;
	if (!buf_unbase64(&data, val_map_str(r->answer, "content", "")))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "the host sent no valid content");
	const char *dest = fetch_dest(r), *sum = digest_str(r->a, "sha1", buf_str(&data));
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
