#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "modules/attrs.h"

struct target {
	struct mod_ctx *m;
	const char *path, *src;
	const char *prev;  /* absent, file, directory, link, hard */
	const char *state; /* wanted */
	bool force, follow;
};

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

static bool fail_state(struct target *t, const char *msg)
{
	mod_sets(t->m, "path", t->path);
	return mod_fail(t->m, "%s", msg);
}

/* The part of the diff every state has. */
static void diff_start(struct target *t)
{
	struct arena *a = t->m->a;
	mod_diff_attr(t->m, "path", val_strz(a, t->path), val_strz(a, t->path));
	if (!is(t->prev, t->state))
		mod_diff_attr(t->m, "state", val_strz(a, t->prev), val_strz(a, t->state));
}

static const char *resolve(struct target *t)
{
	char *real = realpath(t->path, NULL);
	if (real)
		t->path = arena_strdup(t->m->a, real);
	free(real);
	t->prev = state_at(t->path);
	return t->path;
}

/* ---- times, of touch, file and directory */

static bool parse_time(struct mod_ctx *m, const char *name, const char *dflt, struct timespec *ret)
{
	const char *z = mod_arg(m, name);
	if (!z)
		z = dflt;
	*ret = (struct timespec){0, is(z, "now") ? UTIME_NOW : UTIME_OMIT};
	if (is(z, "now") || is(z, "preserve"))
		return true;
	struct tm tm = {.tm_isdst = -1};
	const char *format = mod_arg(m, arena_printf(m->a, "%s_format", name));
	const char *end = strptime(z, format, &tm);
	if (!end || *end)
		return mod_fail(m, "Error while obtaining timestamp for time %s using format %s", z, format);
	*ret = (struct timespec){mktime(&tm), 0};
	return true;
}

static bool set_times(struct target *t, const char *dflt)
{
	struct timespec times[2];
	struct stat st;
	struct mod_ctx *m = t->m;
	if (!parse_time(m, "access_time", dflt, &times[0]) ||
	    !parse_time(m, "modification_time", dflt, &times[1]))
		return false;
	if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return true;
	if (stat(t->path, &st) != 0)
		return m->check || mod_fail_sys(m, "Error while updating times of %s", t->path);
	bool same_a = times[0].tv_nsec == UTIME_OMIT ||
	              (times[0].tv_nsec != UTIME_NOW && times[0].tv_sec == st.st_atim.tv_sec &&
	               !st.st_atim.tv_nsec);
	bool same_m = times[1].tv_nsec == UTIME_OMIT ||
	              (times[1].tv_nsec != UTIME_NOW && times[1].tv_sec == st.st_mtim.tv_sec &&
	               !st.st_mtim.tv_nsec);
	if (same_a && same_m)
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	return utimensat(AT_FDCWD, t->path, times, 0) == 0 ||
	       mod_fail_sys(m, "Error while updating times of %s", t->path);
}

/* ---- one function per state */

static bool state_file(struct target *t)
{
	if (is(t->prev, "link") && t->follow)
		resolve(t);
	mod_sets(t->m, "path", t->path);
	if (!is(t->prev, "file") && !is(t->prev, "hard"))
		return fail_state(
		        t, arena_printf(t->m->a, "file (%s) is %s, cannot continue", t->path, t->prev));
	diff_start(t);
	return mod_file_args(t->m, t->path) && set_times(t, "preserve");
}

static bool state_touch(struct target *t)
{
	struct mod_ctx *m = t->m;
	if (is(t->prev, "link") && t->follow)
		resolve(t);
	mod_sets(m, "dest", t->path);
	diff_start(t);
	if (is(t->prev, "absent")) {
		mod_changed(m);
		if (m->check)
			return true;
		int fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
		if (fd < 0)
			return mod_fail_sys(m, "Error, could not touch target: %s", t->path);
		close(fd);
	}
	return mod_file_args(m, t->path) && set_times(t, "now");
}

/* The file arguments for everything below PATH. */
static bool walk_args(struct target *t, const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool ok = d != NULL || mod_fail_sys(t->m, "cannot read %s", path);
	while (ok && (e = readdir(d))) {
		struct stat st;
		if (is(e->d_name, ".") || is(e->d_name, ".."))
			continue;
		const char *at = fs_join(t->m->a, path, e->d_name);
		if (lstat(at, &st) != 0)
			continue;
		/* A dangling link has nothing to follow to. */
		if (S_ISLNK(st.st_mode) && t->follow && access(at, F_OK) != 0)
			continue;
		ok = mod_file_args(t->m, at) && (!S_ISDIR(st.st_mode) || walk_args(t, at));
	}
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
		return S_ISDIR(st.st_mode) ||
		       mod_fail(t->m, "There was an issue creating %s as requested: %s is not a directory",
		                t->path, path);
	if (!is(up, path) && !is(up, ".") && !make_dirs(t, up))
		return false;
	if (mkdir(path, 0777) != 0 && errno != EEXIST)
		return mod_fail_sys(t->m, "There was an issue creating %s as requested", path);
	return mod_file_args(t->m, path);
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
	mod_sets(m, "path", t->path);
	if (is(t->prev, "absent")) {
		diff_start(t);
		mod_changed(m);
		return m->check || make_dirs(t, without_end_slash(m->a, t->path));
	}
	if (!is(t->prev, "directory"))
		return fail_state(t, arena_printf(m->a, "%s already exists as a %s", t->path, t->prev));
	diff_start(t);
	return mod_file_args(m, t->path) && set_times(t, "preserve") &&
	       (!mod_bool(m, "recurse") || walk_args(t, t->path));
}

static bool state_absent(struct target *t)
{
	struct mod_ctx *m = t->m;
	struct err e = {0};
	mod_sets(m, "path", t->path);
	if (is(t->prev, "absent")) {
		mod_sets(m, "state", "absent");
		return true;
	}
	diff_start(t);
	mod_changed(m);
	if (m->check)
		return true;
	if (is(t->prev, "directory") ? !fs_remove_tree(t->path, &e) : unlink(t->path) != 0 && errno != ENOENT)
		return err_is(&e) ? mod_fail_err(m, &e) : mod_fail_sys(m, "unlinking failed: %s", t->path);
	return true;
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

/* What is at PATH now makes place for MADE, a link of either kind beside it. */
static bool put_in_place(struct target *t, const char *made)
{
	if (is(t->prev, "directory") && rmdir(t->path) != 0) {
		unlink(made);
		return mod_fail_sys(t->m, "cannot replace %s", t->path);
	}
	if (rename(made, t->path) != 0) {
		unlink(made);
		return mod_fail_sys(t->m, "Error while replacing: %s", t->path);
	}
	/* rename() of two names of one inode does nothing. */
	unlink(made);
	return true;
}

static const char *name_beside(struct target *t)
{
	return arena_printf(t->m->a, "%s/.%d.%lld.tmp", fs_dirname(t->m->a, t->path), (int)getpid(),
	                    (long long)time(NULL));
}

/* Whether what is there may be replaced by a link at all. */
static bool may_replace(struct target *t, const char *kind)
{
	struct mod_ctx *m = t->m;
	if (is(t->prev, "directory")) {
		if (!t->force)
			return fail_state(t, arena_printf(m->a, "refusing to convert from %s to %s for %s",
			                                  t->prev, kind, t->path));
		if (!dir_is_empty(t->path))
			return fail_state(
			        t, arena_printf(m->a, "the directory %s is not empty, refusing to convert it",
			                        t->path));
	}
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
	return mod_file_args(t->m, t->path);
}

static bool state_link(struct target *t)
{
	struct mod_ctx *m = t->m;
	char old[4096] = "";
	struct stat st;
	bool was_link = is(t->prev, "link");
	ssize_t n = was_link ? readlink(t->path, old, sizeof(old) - 1) : 0;
	old[n > 0 ? n : 0] = '\0';
	if (!t->src && was_link && t->follow)
		t->src = arena_strdup(m->a, old);
	if (!t->src)
		return fail_state(t, "src is required for creating new symlinks");
	mod_sets(m, "dest", t->path);
	mod_sets(m, "src", t->src);
	const char *abs = *t->src == '/' ? t->src : fs_join(m->a, fs_dirname(m->a, t->path), t->src);
	if (!t->force && stat(abs, &st) != 0)
		return fail_state(
		        t, arena_printf(m->a,
		                        "src file does not exist, use \"force=yes\" if you really want to "
		                        "create the link: %s",
		                        abs));
	if (!may_replace(t, "symlink"))
		return false;
	if (!was_link && !is(t->prev, "absent") && !is(t->prev, "directory") && !t->force)
		return fail_state(t, arena_printf(m->a, "refusing to convert from %s to symlink for %s",
		                                  t->prev, t->path));
	diff_start(t);
	if (!was_link || !is(old, t->src)) {
		mod_changed(m);
		if (was_link)
			mod_diff_attr(m, "src", val_strz(m->a, old), val_strz(m->a, t->src));
		if (m->check)
			return true;
		const char *made = name_beside(t);
		if (symlink(t->src, made) != 0)
			return mod_fail_sys(m, "Error while linking: %s", t->path);
		if (!put_in_place(t, made))
			return false;
	}
	return link_args(t);
}

static bool state_hard(struct target *t)
{
	struct mod_ctx *m = t->m;
	struct stat to, at;
	if (!t->src && !is(t->prev, "hard"))
		return fail_state(t, "src is required for creating new hardlinks");
	mod_sets(m, "dest", t->path);
	if (t->src) {
		mod_sets(m, "src", t->src);
		if (stat(t->src, &to) != 0)
			return fail_state(t, "src does not exist");
	}
	bool same = !t->src || (lstat(t->path, &at) == 0 && at.st_ino == to.st_ino && at.st_dev == to.st_dev);
	if (!same && !may_replace(t, "hard link"))
		return false;
	if (!same && !is(t->prev, "absent") && !t->force)
		return fail_state(t, "Cannot link, different hard link exists at destination");
	diff_start(t);
	if (!same) {
		mod_changed(m);
		if (m->check)
			return true;
		const char *made = name_beside(t);
		if (link(t->src, made) != 0)
			return mod_fail_sys(m, "Error while linking: %s", t->path);
		if (!put_in_place(t, made))
			return false;
	}
	return mod_file_args(m, t->path);
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
	                   mod_bool(m, "follow")};
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
		return fail_state(&t, "recurse option requires state to be 'directory'");
	if (t.src && !is(t.state, "link") && !is(t.state, "hard"))
		return fail_state(&t, "src option requires state to be 'link' or 'hard'");
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
