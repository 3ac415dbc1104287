/* copy: content from the controller, or a file or tree that is already on the host. template arrives here
 * too. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/attrs.h"
#include "modules/digest.h"

enum { DIFF_MAX = 104448 }; /* beyond this a diff helps nobody */

struct copy {
	struct mod_ctx *m;
	const char *dest; /* the file itself, never a directory */
	struct str data;
	bool have_data;
	struct str old; /* p NULL: there is none */
	bool is_link;   /* dest is a link that is not to be followed */
	bool seen;      /* the controller saw the very file before it sent the content */
};

static bool looks_binary(struct str s)
{
	return memchr(s.p ? s.p : "", '\0', s.n < 1024 ? s.n : 1024) != NULL;
}

static void diff_contents(struct copy *c)
{
	struct mod_ctx *m = c->m;
	if (!m->diff)
		return;
	struct val *list = val_list(m->a), *d = val_map(m->a);
	const char *src = mod_arg(m, "src");
	val_set(d, "before_header", val_strz(m->a, c->dest));
	val_set(d, "after_header", val_strz(m->a, src && *src ? src : c->dest));
	if (c->old.n > DIFF_MAX)
		val_set(d, "dst_larger", val_int(m->a, DIFF_MAX));
	else if (looks_binary(c->old))
		val_set(d, "dst_binary", val_int(m->a, 1));
	else
		val_set(d, "before", val_str(m->a, c->old));
	if (c->data.n > DIFF_MAX)
		val_set(d, "src_larger", val_int(m->a, DIFF_MAX));
	else if (looks_binary(c->data))
		val_set(d, "src_binary", val_int(m->a, 1));
	else
		val_set(d, "after", val_str(m->a, c->data));
	val_push(list, d);
	mod_set(m, "diff", list);
}

/* The bytes to have, from wherever the task says. */
static bool get_data(struct copy *c)
{
	struct mod_ctx *m = c->m;
	if (c->have_data)
		return true;
	c->have_data = true;
	if (m->content_sha256.n)
		return mod_content(m, &c->data);
	if (mod_has(m, "content")) {
		c->data = mod_args(m, "content");
		return true;
	}
	return mod_read(m, mod_arg(m, "src"), &c->data);
}

static bool is_same(struct copy *c)
{
	struct mod_ctx *m = c->m;
	if (!c->old.p || c->is_link)
		return false;
	if (m->content_sha256.n)
		return str_eqc(m->content_sha256, digest_str(m->a, "sha256", c->old));
	return str_eq(c->old, c->data);
}

/* The task's file arguments, with MODE (or none) as the mode, to PATH. */
static bool args_with_mode(struct mod_ctx *m, const char *path, struct val *mode)
{
	struct mod_ctx sub = *m;
	struct val *args = val_shallow(m->a, m->args);
	val_del(args, STR("mode"));
	if (mode)
		val_set(args, "mode", mode);
	sub.args = args;
	bool ok = path_args(&sub, path);
	m->failed = sub.failed;
	return ok;
}

/* A directory to put DEST into: made when the task spelled it with a slash at the end. */
static bool make_parent(struct copy *c, const char *dir)
{
	struct mod_ctx *m = c->m;
	struct stat st;
	if (stat(dir, &st) == 0)
		return S_ISDIR(st.st_mode) || mod_fail(m, "Destination %s is not a directory", dir);
	mod_changed(m);
	if (m->check)
		return true;
	const char *up = fs_dirname(m->a, dir);
	if (strcmp(up, dir) != 0 && !make_parent(c, up))
		return false;
	if (mkdir(dir, 0777) != 0 && errno != EEXIST)
		return mod_fail_sys(m, "cannot create %s", dir);
	return args_with_mode(m, dir, val_get(m->args, "directory_mode"));
}

/* The file meant by dest, where links lead, and whether it is there to be followed. */
static bool find_dest(struct copy *c, const char *name)
{
	struct mod_ctx *m = c->m;
	const char *dest = mod_arg(m, "dest");
	struct stat st;
	bool slash = str_ends(str_c(dest), "/"), sent = m->content_sha256.n > 0;
	c->seen = sent && !(lstat(dest, &st) == 0 && S_ISLNK(st.st_mode) && fs_is_dir(dest));
	c->dest = slash || fs_is_dir(dest) ? fs_join(m->a, dest, name) : dest;
	const char *dir = fs_dirname(m->a, c->dest);
	if (sent && stat(c->dest, &st) != 0 && errno == ENOTDIR) {
		m->bare = true;
		return mod_fail(m, "Failed to get information on remote file (%s): %s", c->dest,
		                strerror(ENOTDIR));
	}
	if (slash && m->check && !sent && !fs_exists(dir)) {
		c->dest = NULL;
		mod_changed(m);
		mod_setf(m, "msg", "dest directory %s would be created", dir);
		return true;
	}
	if (slash && !make_parent(c, dir))
		return false;
	if (!slash && !m->check && !fs_is_dir(dir))
		return mod_fail(m, "Destination directory %s does not exist", dir);
	if (lstat(c->dest, &st) != 0 || !S_ISLNK(st.st_mode))
		return true;
	/* A link that leads nowhere is replaced, not followed. */
	c->is_link = !mod_bool(m, "follow") || stat(c->dest, &st) != 0;
	if (!c->is_link)
		c->dest = path_real(m->a, c->dest);
	return true;
}

static void set_sums(struct copy *c, struct str data, bool md5)
{
	mod_sets(c->m, "checksum", digest_str(c->m->a, "sha1", data));
	const char *sum = md5 ? digest_str(c->m->a, "md5", data) : NULL;
	if (sum)
		mod_sets(c->m, "md5sum", sum);
}

/* With mode "preserve" that of the source is meant; content had one that nobody else could read. */
static bool preserve_mode(struct copy *c)
{
	struct mod_ctx *m = c->m;
	struct stat st;
	if (!mod_is(m, "mode", "preserve"))
		return mod_file_args(m, c->dest);
	if (!mod_bool(m, "remote_src"))
		st.st_mode = 0600;
	else if (stat(mod_arg(m, "src"), &st) != 0)
		return mod_fail(m, "mode=preserve has no source file to take the mode from");
	struct val *args = val_shallow(m->a, m->args);
	val_set(args, "mode", val_int(m->a, st.st_mode & 07777));
	m->args = args;
	return mod_file_args(m, c->dest);
}

static bool copy_file(struct copy *c)
{
	struct mod_ctx *m = c->m;
	if (mod_has(m, "src"))
		mod_sets(m, "src", mod_arg(m, "src"));
	if (!c->dest)
		return true;
	mod_sets(m, "dest", c->dest);
	/* A link that leads nowhere counts for the controller, which does not follow it. */
	if (!mod_bool(m, "force") &&
	    (fs_exists(c->dest) || (c->is_link && c->seen && !mod_bool(m, "follow")))) {
		/* What the controller sent was left alone unseen. */
		m->bare = m->content_sha256.n > 0;
		mod_sets(m, m->bare ? "dest" : "msg", m->bare ? mod_arg(m, "dest") : "file already exists");
		return true;
	}
	if (!mod_read_maybe(m, c->dest, &c->old))
		return false;
	if (!m->content_sha256.n && !get_data(c))
		return false;
	if (is_same(c)) {
		struct val *path = val_strz(m->a, c->dest);
		set_sums(c, c->old, !c->seen);
		if (c->seen || !m->content_sha256.n) {
			mod_sets(m, "path", c->dest);
			mod_diff_attr(m, "path", path, path);
		}
		return preserve_mode(c);
	}
	if ((m->diff || !m->check) && !get_data(c))
		return false;
	diff_contents(c);
	if (c->have_data) {
		const char *want = mod_arg(m, "checksum");
		set_sums(c, c->data, true);
		if (want && *want && strcmp(want, digest_str(m->a, "sha1", c->data)) != 0) {
			mod_sets(m, "expected_checksum", want);
			return mod_fail(m,
			                "Copied file does not match the expected checksum. Transfer failed.");
		}
	}
	const char *dir = fs_dirname(m->a, c->dest);
	if (!m->check && fs_is_dir(dir) && access(dir, W_OK) != 0 && !mod_bool(m, "unsafe_writes"))
		return mod_fail(m, "Destination %s not writable", dir);
	if (!(c->is_link ? mod_replace(m, c->dest, c->data) : mod_write(m, c->dest, c->data)))
		return false;
	mod_changed(m);
	/* The diff of a copied file is that of its text alone. */
	struct val *diff = val_get(m->result, "diff");
	val_del(m->result, STR("diff"));
	bool ok = preserve_mode(c);
	/* In check mode content that would have to be sent has no more of a result. */
	if (ok && m->check && m->content_sha256.n)
		mod_only_changed(m);
	mod_set(m, "diff", diff ? diff : val_list(m->a));
	return ok;
}

/* ---- remote_src with a directory */

static bool copy_tree(struct mod_ctx *m, const char *src, const char *dest);

/* Whether the link at PATH leads to a directory it is itself in. */
static bool leads_up(struct mod_ctx *m, const char *path)
{
	const char *to = path_real(m->a, path), *in = path_real(m->a, fs_dirname(m->a, path));
	return str_starts(str_c(arena_printf(m->a, "%s/", in)), arena_printf(m->a, "%s/", to));
}

static bool copy_one(struct mod_ctx *m, const char *from, const char *to, const struct stat *st)
{
	struct str data, old = {0};
	struct mod_ctx quiet = *m;
	if (S_ISLNK(st->st_mode) && (!mod_bool(m, "local_follow") || !fs_exists(from) || leads_up(m, from))) {
		char target[4096], now[4096];
		ssize_t n = readlink(from, target, sizeof(target) - 1),
		        k = readlink(to, now, sizeof(now) - 1);
		if (n < 0 || (n == k && memcmp(target, now, (size_t)n) == 0))
			return n >= 0 || mod_fail_sys(m, "cannot read %s", from);
		target[n] = '\0';
		mod_changed(m);
		if (!m->check && ((unlink(to) != 0 && errno != ENOENT) || symlink(target, to) != 0))
			return mod_fail_sys(m, "cannot link %s", to);
		return true;
	}
	if (fs_is_dir(from))
		return copy_tree(m, from, to);
	if (!mod_read(m, from, &data) || !mod_read_maybe(m, to, &old))
		return false;
	if (old.p && (str_eq(old, data) || !mod_bool(m, "force")))
		return true;
	mod_changed(m);
	/* backup and validate are for the one file of a plain copy. */
	quiet.args = val_map(m->a);
	if (!mod_replace(&quiet, to, data))
		return quiet.failed ? mod_fail(m, "%s", val_map_strz(quiet.result, "msg", "cannot copy"))
		                    : false;
	struct stat now; /* of the file itself, where a link was followed */
	if (!m->check && (stat(from, &now) != 0 || chmod(to, now.st_mode & 07777) != 0))
		return mod_fail_sys(m, "cannot set the mode of %s", to);
	return true;
}

static bool copy_tree(struct mod_ctx *m, const char *src, const char *dest)
{
	struct stat st;
	if (!fs_is_dir(dest)) {
		mod_changed(m);
		if (stat(src, &st) != 0)
			return mod_fail_sys(m, "%s", src);
		if (!m->check && (mkdir(dest, 0700) != 0 || chmod(dest, st.st_mode & 07777) != 0))
			return mod_fail_sys(m, "cannot create %s", dest);
	}
	DIR *d = opendir(src);
	struct dirent *e;
	bool ok = d != NULL || mod_fail_sys(m, "cannot read %s", src);
	while (ok && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		const char *from = fs_join(m->a, src, e->d_name), *to = fs_join(m->a, dest, e->d_name);
		ok = lstat(from, &st) == 0 || mod_fail_sys(m, "%s", from);
		ok = ok && copy_one(m, from, to, &st) && (fs_is_dir(from) || args_with_mode(m, to, NULL));
	}
	if (d)
		closedir(d);
	/* Below the top of a tree the task's owner and group count, not its mode. */
	return ok && args_with_mode(m, dest, NULL);
}

/* As with rsync: with a slash at its end the directory's content is meant, else the directory itself. */
static bool run_tree(struct copy *c, const char *src)
{
	struct mod_ctx *m = c->m;
	struct str dest = mod_args(m, "dest");
	bool content = str_ends(str_c(src), "/"), there = fs_is_dir(dest.p),
	     make = str_ends(dest, "/") && !there;
	const char *top = arena_strndup(m->a, dest.p, dest.n), *up = fs_dirname(m->a, top);
	mod_sets(m, "src", src);
	if (make && m->check) {
		mod_changed(m);
		mod_setf(m, "msg", "dest directory %s would be created",
		         arena_strndup(m->a, top, dest.n - 1));
		return true;
	}
	if (make && !make_parent(c, arena_strndup(m->a, top, dest.n - 1)))
		return false;
	if (!make && !there && !fs_is_dir(up))
		return mod_fail(m, "Destination directory %s does not exist", up);
	const char *in = content ? top : fs_join(m->a, top, fs_basename(src));
	if (!make && !there && fs_exists(dest.p))
		return mod_fail(m, "Could not replace file: b'%s' to %s: [Errno %d] %s: b'%s' -> b'%s'", src,
		                dest.p, ENOTDIR, strerror(ENOTDIR), src, dest.p);
	const char *shown = !make && !there ? top
	                    : !content      ? in
	                                    : arena_printf(m->a, "%s%s", top, str_ends(dest, "/") ? "" : "/");
	mod_sets(m, "dest", shown);
	if (!mod_bool(m, "force") && fs_exists(shown)) {
		mod_sets(m, "msg", "file already exists");
		return true;
	}
	mod_set(m, "checksum", val_null());
	mod_set(m, "md5sum", val_null());
	if (!m->check && !content && !there &&
	    ((!fs_is_dir(top) && mkdir(top, 0777) != 0) || mkdir(in, 0777) != 0))
		return mod_fail_sys(m, "cannot create %s", in);
	c->dest = shown;
	return copy_tree(m, src, in) && (m->check || preserve_mode(c));
}

/* A copy that failed says why, and of the content only its checksum. */
static void keep_words(struct mod_ctx *m)
{
	static const char *const kept[] = {
	        "msg", "failed", "warnings", "path",  "details", "checksum", "expected_checksum",
	        "cmd", "rc",     "stdout",   "stderr"};
	struct str data;
	if (!m->content_sha256.n && !val_get(m->result, "expected_checksum"))
		val_del(m->result, STR("checksum"));
	else if (!m->bare && !val_get(m->result, "checksum") && mod_content(m, &data))
		mod_sets(m, "checksum", digest_str(m->a, "sha1", data));
	struct val *result = val_map(m->a);
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		struct val *v = val_get(m->result, kept[i]);
		if (v)
			val_set(result, kept[i], v);
	}
	m->result = result;
	if (!m->refused)
		return;
	mod_sets(m, "msg", "failed to validate");
	mod_seti(m, "exit_status", m->refused->rc);
	mod_setstr(m, "stdout", m->refused->out);
	mod_setstr(m, "stderr", m->refused->err);
}

static bool run(struct mod_ctx *m)
{
	struct copy c = {.m = m};
	const char *src = mod_arg(m, "src");
	struct stat st;
	bool remote = mod_bool(m, "remote_src") && !m->content_sha256.n;
	if (!m->content_sha256.n && !mod_has(m, "content") && !remote)
		return mod_fail(m, "src (or content) is required");
	if (remote && !mod_has(m, "content")) {
		if (!src || stat(src, &st) != 0)
			return mod_fail(m, "Source %s not found", src ? src : "");
		if (S_ISDIR(st.st_mode))
			return run_tree(&c, src);
	}
	const char *name = m->content_name.n ? arena_strndup(m->a, m->content_name.p, m->content_name.n)
	                   : src && *src     ? fs_basename(src)
	                                     : NULL;
	if (!name && fs_is_dir(mod_arg(m, "dest")))
		return mod_fail(m, "can not use content with a dir as dest");
	bool ok = find_dest(&c, name ? name : "") && copy_file(&c);
	if (!ok)
		keep_words(m);
	if (remote && !m->diff) {
		val_del(m->result, STR("diff"));
		val_del(m->result, STR("path"));
	}
	return ok;
}

static const struct mod_arg args[] = {
        {"src", MT_PATH, .doc = "The file or directory to copy; on the host itself with remote_src."},
        {"content", MT_STR, .doc = "The text to write instead of a file's."},
        {"dest", MT_PATH, MA_REQUIRED, .doc = "Where to: a file, or a directory to put it into."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"force", MT_BOOL, .dflt = "true", .aliases = "thirsty", .doc = "Replace a file that differs."},
        {"validate", MT_STR, .doc = "A command that must accept the new file, given as %s."},
        {"directory_mode", MT_RAW, .doc = "The mode of directories that are made."},
        {"remote_src", MT_BOOL, .dflt = "false", .doc = "src is on the host."},
        {"follow", MT_BOOL, .dflt = "false", .doc = "Write through a symbolic link at dest."},
        {"local_follow", MT_BOOL, .doc = "Follow symbolic links in the source tree."},
        {"checksum", MT_STR, .doc = "The SHA-1 the file must have."},
        {"decrypt", MT_BOOL, .dflt = "true", .doc = "Decrypt the source on the controller."},
        {"_original_basename", MT_STR, .doc = "Internal: the source's base name."},
        {NULL},
};

const struct module module_row_copy = {
        .name = "copy",
        .from = "ansible.builtin",
        .doc = "Puts a file or a tree onto the host.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .mutually_exclusive = "src|content",
        .run = run,
};
