#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "modules/attrs.h"

enum { LINK_HOPS = 40 }; /* links to directories that are followed one after the other */

struct target {
	struct mod_ctx *m;
	const char *path, *src;
	const char *prev;  /* absent, file, directory, link, hard */
	const char *state; /* wanted */
	bool force, follow;
	struct timespec times[2]; /* of access, of modification */
};

/* What the result of a failure tells beside the message. */
enum { SAY_PATH = 1, SAY_DEST = 2, SAY_SRC = 4 };

static const char *state_at(const char *path)
{
	struct stat st;
	if (lstat(path, &st) != 0)
		return "absent";
	if (S_ISLNK(st.st_mode))
		return "link";
	if (S_ISDIR(st.st_mode))
		return "directory";
	return st.st_nlink > 1 ? "hard" : "file";
}

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool fail_state(struct target *t, unsigned say, const char *msg)
{
	t->m->result = val_map(t->m->a);
	if (say & SAY_PATH)
		mod_sets(t->m, "path", t->path);
	if (say & SAY_DEST)
		mod_sets(t->m, "dest", t->path);
	if (say & SAY_SRC)
		mod_sets(t->m, "src", t->src);
	return mod_fail(t->m, "%s", msg);
}

/* WHAT failed for the reason in errno, with the names FROM and, unless it is NULL, TO. */
static bool fail_errno(struct target *t, const char *what, const char *from, const char *to)
{
	struct arena *a = t->m->a;
	const char *msg = arena_printf(a, "%s: [Errno %d] %s: b'%s'", what, errno, strerror(errno), from);
	return fail_state(t, SAY_PATH, to ? arena_printf(a, "%s -> b'%s'", msg, to) : msg);
}

/* What is below DIR, each directory's own entries before those further down. */
static void list_below(struct arena *a, const char *dir, struct val *dirs, struct val *files)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct val *down = val_list(a);
	while (d && (e = readdir(d))) {
		if (is(e->d_name, ".") || is(e->d_name, ".."))
			continue;
		const char *path = fs_join(a, dir, e->d_name);
		struct stat st;
		val_push(fs_is_dir(path) ? dirs : files, val_strz(a, path));
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			val_push(down, val_strz(a, path));
	}
	if (d)
		closedir(d);
	VAL_EACH (i, down)
		list_below(a, val_get_strz(val_at(down, i)), dirs, files);
}

/* A directory that goes is shown with all that goes with it. */
static void diff_content(struct target *t)
{
	struct arena *a = t->m->a;
	struct val *d = val_get(t->m->result, "diff"), *content = val_map(a);
	if (!t->m->diff || !d)
		return;
	val_set(content, "directories", val_list(a));
	val_set(content, "files", val_list(a));
	list_below(a, t->path, val_get(content, "directories"), val_get(content, "files"));
	val_set(val_get(d, "before"), "path_content", content);
}

/* The part of the diff every state has. */
static void diff_start(struct target *t)
{
	struct arena *a = t->m->a;
	mod_diff_attr(t->m, "path", val_strz(a, t->path), val_strz(a, t->path));
	if (!is(t->prev, t->state))
		mod_diff_attr(t->m, "state", val_strz(a, t->prev), val_strz(a, t->state));
}

/* Goes on with what the link at path leads to, also when that does not exist. */
static void resolve(struct target *t)
{
	t->path = path_real(t->m->a, t->path);
	t->prev = state_at(t->path);
}

/* ---- times, of touch, file and directory */

static bool parse_time(struct target *t, const char *name, struct timespec *ret)
{
	struct mod_ctx *m = t->m;
	const char *z = mod_arg(m, name);
	if (!z)
		z = is(t->state, "touch") ? "now" : "preserve";
	*ret = (struct timespec){0, is(z, "now") ? UTIME_NOW : UTIME_OMIT};
	if (is(z, "now") || is(z, "preserve"))
		return true;
	struct tm tm = {.tm_mday = 1, .tm_isdst = -1};
	const char *format = mod_arg(m, arena_printf(m->a, "%s_format", name));
	const char *end = strptime(z, format, &tm);
	if (!end || *end)
		return fail_state(
		        t, 0,
		        arena_printf(m->a, "Error while obtaining timestamp for time %s using format %s: %s",
		                     z, format,
		                     end ? arena_printf(m->a, "unconverted data remains: %s", end)
		                         : arena_printf(m->a, "time data '%s' does not match format '%s'", z,
		                                        format)));
	*ret = (struct timespec){mktime(&tm), 0};
	return true;
}

static void diff_time(struct mod_ctx *m, const char *name, struct timespec want, struct timespec have)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (want.tv_nsec == UTIME_OMIT)
		return;
	if (want.tv_nsec != UTIME_NOW)
		now = want;
	mod_diff_attr(m, name, val_float(m->a, (double)have.tv_sec + (double)have.tv_nsec / 1e9),
	              val_float(m->a, (double)now.tv_sec + (double)now.tv_nsec / 1e9));
}

static bool has_time(struct timespec want, struct timespec have)
{
	return want.tv_nsec == UTIME_OMIT ||
	       (want.tv_nsec != UTIME_NOW && want.tv_sec == have.tv_sec && !have.tv_nsec);
}

/* The times wanted to the file at PATH, or to what a link there points to. */
static bool set_times(struct target *t, const char *path, bool show)
{
	const struct timespec *times = t->times;
	struct stat st;
	struct mod_ctx *m = t->m;
	if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return true;
	if (stat(path, &st) != 0)
		return fail_errno(t, "Error while updating modification or access time", path, NULL);
	if (has_time(times[0], st.st_atim) && has_time(times[1], st.st_mtim))
		return true;
	if (show) {
		diff_time(m, "mtime", times[1], st.st_mtim);
		diff_time(m, "atime", times[0], st.st_atim);
	}
	mod_changed(m);
	return m->check || utimensat(AT_FDCWD, path, times, 0) == 0 ||
	       fail_errno(t, "Error while updating modification or access time", path, NULL);
}

/* ---- one function per state */

static bool state_file(struct target *t)
{
	if (is(t->prev, "link") && t->follow)
		resolve(t);
	if (!is(t->prev, "file") && !is(t->prev, "hard")) {
		fail_state(t, SAY_PATH,
		           arena_printf(t->m->a, "file (%s) is %s, cannot continue", t->path, t->prev));
		mod_sets(t->m, "state", t->prev);
		return false;
	}
	mod_sets(t->m, "path", t->path);
	diff_start(t);
	return mod_file_args(t->m, t->path) && set_times(t, t->path, true);
}

static bool state_touch(struct target *t)
{
	struct mod_ctx *m = t->m;
	bool made = false;
	if (is(t->prev, "absent")) {
		if (m->check) {
			mod_sets(m, "dest", t->path);
			mod_changed(m);
			return true;
		}
		int fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
		if (fd < 0)
			return fail_errno(t, "Error, could not touch target", t->path, NULL);
		close(fd);
		made = true;
	}
	mod_sets(m, "dest", t->path);
	diff_start(t);
	if (!(is(t->prev, "link") && access(t->path, F_OK) != 0) && !mod_file_args(m, t->path)) {
		if (made) {
			path_info(m, t->path);
			unlink(t->path);
		}
		return false;
	}
	if (made)
		mod_changed(m);
	return set_times(t, t->path, true);
}

static bool walk_args(struct target *t, const char *path, int hops);

/* The file arguments for the entry at PATH of a directory, and for all below it. */
static bool entry_args(struct target *t, const char *dir, const char *path, int hops)
{
	struct mod_ctx *m = t->m;
	struct stat st;
	char to[PATH_MAX];
	if (lstat(path, &st) != 0)
		return true;
	if (!S_ISLNK(st.st_mode))
		return path_args(m, path) && set_times(t, path, false) &&
		       (!S_ISDIR(st.st_mode) || walk_args(t, path, hops));
	if (!path_args(m, path) || !set_times(t, path, false))
		return false;
	ssize_t n = t->follow ? readlink(path, to, sizeof(to) - 1) : -1;
	if (n < 0)
		return true;
	to[n] = '\0';
	path = fs_join(m->a, dir, to);
	if (access(path, F_OK) != 0) /* a dangling link has nothing to follow to */
		return true;
	return (!fs_is_dir(path) || walk_args(t, path, hops + 1)) && path_args(m, path) &&
	       set_times(t, path, false);
}

static bool walk_args(struct target *t, const char *path, int hops)
{
	if (hops > LINK_HOPS)
		return fail_state(
		        t, 0,
		        arena_printf(t->m->a,
		                     "Could not recursively set attributes on %s. Original error was: "
		                     "'links lead in a circle'",
		                     t->path));
	DIR *d = opendir(path);
	struct dirent *e;
	bool ok = d != NULL || mod_fail_sys(t->m, "cannot read %s", path);
	while (ok && (e = readdir(d)))
		if (!is(e->d_name, ".") && !is(e->d_name, ".."))
			ok = entry_args(t, path, fs_join(t->m->a, path, e->d_name), hops);
	if (d)
		closedir(d);
	return ok;
}

/* Makes PATH and its missing parents, each with the file arguments. */
static bool make_dirs(struct target *t, const char *path)
{
	struct stat st;
	const char *up = fs_dirname(t->m->a, path);
	if (stat(path, &st) == 0)
		return true;
	if (!is(up, path) && !is(up, ".") && !make_dirs(t, up))
		return false;
	if (mkdir(path, 0777) == 0 || (errno == EEXIST && fs_is_dir(path)))
		return mod_file_args(t->m, path);
	int e = errno;
	const char *what = arena_printf(t->m->a, "There was an issue creating %s as requested", path);
	errno = e;
	return fail_errno(t, what, path, NULL);
}

static const char *without_end_slash(struct arena *a, const char *path)
{
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	return arena_strndup(a, path, n);
}

static bool state_directory(struct target *t)
{
	struct mod_ctx *m = t->m;
	if (is(t->prev, "link") && t->follow)
		resolve(t);
	if (!is(t->prev, "absent") && !is(t->prev, "directory"))
		return fail_state(t, SAY_PATH,
		                  arena_printf(m->a, "%s already exists as a %s", t->path, t->prev));
	mod_sets(m, "path", t->path);
	diff_start(t);
	if (is(t->prev, "absent")) {
		mod_changed(m);
		return m->check ||
		       (make_dirs(t, without_end_slash(m->a, t->path)) && set_times(t, t->path, true));
	}
	return mod_file_args(m, t->path) && set_times(t, t->path, true) &&
	       (!mod_bool(m, "recurse") || walk_args(t, t->path, 0));
}

static bool state_absent(struct target *t)
{
	struct mod_ctx *m = t->m;
	struct err e = {0};
	mod_sets(m, "path", t->path);
	mod_sets(m, "state", "absent");
	if (is(t->prev, "absent"))
		return true;
	diff_start(t);
	bool dir = is(t->prev, "directory");
	if (dir)
		diff_content(t);
	mod_changed(m);
	if (m->check)
		return true;
	if (dir ? fs_remove_tree(t->path, &e) : unlink(t->path) == 0 || errno == ENOENT)
		return true;
	if (!dir)
		return fail_errno(t, "unlinking failed", t->path, NULL);
	fail_state(t, 0, arena_printf(m->a, "rmtree failed: %s", err_msg(&e)));
	err_clear(&e);
	return false;
}

static bool dir_is_empty(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n <= 2;
}

/* The link of either kind that MAKE makes takes the place of what is at path. */
static bool put_link(struct target *t, int (*make)(const char *, const char *))
{
	if (is(t->prev, "absent"))
		return make(t->src, t->path) == 0 || fail_errno(t, "Error while linking", t->src, t->path);
	struct arena *a = t->m->a;
	const char *tmp = arena_printf(a, "%s/.%d.%lld.tmp", fs_dirname(a, t->path), (int)getpid(),
	                               (long long)time(NULL));
	if (is(t->prev, "directory") && rmdir(t->path) != 0)
		return fail_errno(t, "Error while replacing", t->path, NULL);
	if (make(t->src, tmp) != 0)
		return fail_errno(t, "Error while replacing", t->src, tmp);
	if (rename(tmp, t->path) != 0) {
		fail_errno(t, "Error while replacing", tmp, t->path);
		unlink(tmp);
		return false;
	}
	unlink(tmp); /* rename() of two names of one inode does nothing */
	return true;
}

static bool link_args(struct target *t)
{
	if (t->follow && is(state_at(t->path), "link") && access(t->path, F_OK) != 0) {
		mod_warn(t->m,
		         "Cannot set fs attributes on a non-existent symlink target. follow should be set to "
		         "False to avoid this.");
		return true;
	}
	return mod_file_args(t->m, t->path) &&
	       set_times(t, t->follow ? path_real(t->m->a, t->path) : t->path, true);
}

/* Whether what is there may be replaced by a symbolic link at all. */
static bool may_be_link(struct target *t)
{
	struct arena *a = t->m->a;
	struct stat st;
	bool dir = is(t->prev, "directory");
	if (!t->force && t->src) {
		const char *at = *t->src == '/' ? t->src
		                 : dir          ? fs_join(a, t->path, t->src)
		                                : fs_join(a, fs_dirname(a, t->path), t->src);
		if (stat(at, &st) != 0)
			return fail_state(
			        t, SAY_PATH | SAY_SRC,
			        arena_printf(
			                a,
			                "src file does not exist, use \"force=yes\" if you really want to "
			                "create the link: %s",
			                at));
	}
	if (!t->force && !is(t->prev, "absent") && !is(t->prev, "link"))
		return fail_state(
		        t, SAY_PATH,
		        arena_printf(a, "refusing to convert from %s to symlink for %s", t->prev, t->path));
	if (dir && !dir_is_empty(t->path))
		return fail_state(
		        t, SAY_PATH,
		        arena_printf(a, "the directory %s is not empty, refusing to convert it", t->path));
	return true;
}

static void set_link(struct target *t)
{
	mod_sets(t->m, "dest", t->path);
	mod_set(t->m, "src", t->src ? val_strz(t->m->a, t->src) : val_null());
	diff_start(t);
}

static bool state_link(struct target *t)
{
	struct mod_ctx *m = t->m;
	char old[PATH_MAX] = "";
	bool was_link = is(t->prev, "link");
	ssize_t n = was_link ? readlink(t->path, old, sizeof(old) - 1) : 0;
	old[n > 0 ? n : 0] = '\0';
	if (!t->src && was_link && t->follow && access(t->path, F_OK) == 0)
		t->src = arena_strdup(m->a, old);
	if (!may_be_link(t))
		return false;
	if (!was_link && !t->src)
		return fail_state(t, 0, "src is required for creating new symlinks");
	set_link(t);
	if (!was_link || (t->src && !is(old, t->src))) {
		if (was_link)
			mod_diff_attr(m, "src", val_strz(m->a, old), val_strz(m->a, t->src));
		if (!m->check && !put_link(t, symlink))
			return false;
		mod_changed(m);
	}
	return (m->check && access(t->path, F_OK) != 0) || link_args(t);
}

/* Whether a hard link has to be made; false and failed where what is there forbids it. */
static bool needs_hard(struct target *t)
{
	struct mod_ctx *m = t->m;
	struct stat to, at;
	char old[PATH_MAX];
	if (is(t->prev, "absent"))
		return true;
	if (is(t->prev, "link")) {
		ssize_t n = readlink(t->path, old, sizeof(old) - 1);
		old[n > 0 ? n : 0] = '\0';
		if (is(old, t->src))
			return false;
		mod_diff_attr(m, "src", val_strz(m->a, old), val_strz(m->a, t->src));
		return true;
	}
	if (is(t->prev, "hard") &&
	    (!t->src || (stat(t->path, &at) == 0 && stat(t->src, &to) == 0 && at.st_ino == to.st_ino)))
		return false;
	if (t->force)
		return true;
	return fail_state(t, SAY_DEST | SAY_SRC,
	                  is(t->prev, "file")   ? "Cannot link, file exists at destination"
	                  : is(t->prev, "hard") ? "Cannot link, different hard link exists at destination"
	                                        : "Cannot link: different hard link exists at destination");
}

static bool state_hard(struct target *t)
{
	struct mod_ctx *m = t->m;
	struct stat st;
	if (!t->src && !is(t->prev, "hard"))
		return fail_state(t, 0, "src is required for creating new hardlinks");
	if (t->src && stat(t->src, &st) != 0)
		return fail_state(t, SAY_DEST | SAY_SRC, "src does not exist");
	set_link(t);
	if (needs_hard(t)) {
		if (!m->check && !put_link(t, link))
			return false;
		mod_changed(m);
	}
	if (m->failed)
		return false;
	return (m->check && access(t->path, F_OK) != 0) ||
	       (mod_file_args(m, t->path) && set_times(t, t->path, true));
}

static const struct {
	const char *name;
	bool (*fn)(struct target *t);
} states[] = {
        {"file", state_file},     {"touch", state_touch}, {"directory", state_directory},
        {"absent", state_absent}, {"link", state_link},   {"hard", state_hard},
};

static bool run(struct mod_ctx *m)
{
	struct target t = {m,
	                   mod_arg(m, "path"),
	                   mod_arg(m, "src"),
	                   NULL,
	                   mod_arg(m, "state"),
	                   mod_bool(m, "force"),
	                   mod_bool(m, "follow"),
	                   {{0}}};
	if (!*t.path)
		return mod_fail(m, "path must not be empty");
	/* A directory given where a file is meant: the file within it. */
	const char *base = mod_arg(m, "_original_basename");
	if (!base && t.src)
		base = fs_basename(t.src);
	if (base && *base && !(t.state && (is(t.state, "link") || is(t.state, "absent"))) &&
	    fs_is_dir(t.path))
		t.path = fs_join(m->a, t.path, base);
	t.prev = state_at(t.path);
	if (!t.state)
		t.state = !is(t.prev, "absent") ? t.prev : mod_bool(m, "recurse") ? "directory" : "file";
	if (mod_bool(m, "recurse") && !is(t.state, "directory"))
		return fail_state(&t, SAY_PATH, "recurse option requires state to be 'directory'");
	if (t.src && !is(t.state, "link") && !is(t.state, "hard"))
		return fail_state(&t, SAY_PATH, "src option requires state to be 'link' or 'hard'");
	if (!is(t.state, "absent") && (!parse_time(&t, "modification_time", &t.times[1]) ||
	                               !parse_time(&t, "access_time", &t.times[0])))
		return false;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (is(states[i].name, t.state))
			return states[i].fn(&t);
	return mod_fail(m, "unknown state %s", t.state);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "dest|name", .doc = "The file to manage."},
        {"state", MT_STR, .choices = "absent|directory|file|hard|link|touch", .doc = "What should be there."},
        {"src", MT_PATH, .doc = "What a link points to."},
        {"recurse", MT_BOOL, .dflt = "false", .doc = "Apply the attributes to everything below a directory."},
        {"force", MT_BOOL, .dflt = "false",
         .doc = "Make a link even when src is missing or something is in its place."},
        {"follow", MT_BOOL, .dflt = "true", .doc = "Follow a symbolic link at path."},
        {"access_time", MT_STR, .doc = "preserve, now, or a time."},
        {"access_time_format", MT_STR, .dflt = "%Y%m%d%H%M.%S", .doc = "How access_time is written."},
        {"modification_time", MT_STR, .doc = "preserve, now, or a time."},
        {"modification_time_format", MT_STR, .dflt = "%Y%m%d%H%M.%S",
         .doc = "How modification_time is written."},
        {"_original_basename", MT_STR, .doc = "Internal: the source's base name."},
        {"_diff_peek", MT_BOOL, .doc = "Internal, ignored."},
        {NULL},
};

const struct module module_row_file = {
        .name = "file",
        .from = "ansible.builtin",
        .doc = "Files, directories and links: that they exist or not, and their attributes.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .run = run,
};
