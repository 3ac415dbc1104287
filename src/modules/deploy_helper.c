#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "modules/attrs.h"

struct deploy {
	struct mod_ctx *m;
	const char *path, *current, *releases, *shared; /* SHARED may be NULL */
	const char *release, *unfinished;               /* RELEASE: NULL when there is none to come */
};

static struct val *text(struct mod_ctx *m, const char *z)
{
	return z ? val_strz(m->a, z) : val_null();
}

static void take(struct deploy *d)
{
	struct mod_ctx *m = d->m;
	char now[32];
	time_t t = time(NULL);
	struct tm tm;
	const char *shared = mod_arg(m, "shared_path");
	bool coming = mod_is(m, "state", "query") || mod_is(m, "state", "present");
	d->path = mod_arg(m, "path");
	d->current = fs_join(m->a, d->path, mod_arg(m, "current_path"));
	d->releases = fs_join(m->a, d->path, mod_arg(m, "releases_path"));
	d->shared = shared && *shared ? fs_join(m->a, d->path, shared) : NULL;
	d->release = mod_has(m, "release") && *mod_arg(m, "release") ? mod_arg(m, "release") : NULL;
	d->unfinished = mod_arg(m, "unfinished_filename");
	strftime(now, sizeof(now), "%Y%m%d%H%M%S", localtime_r(&t, &tm));
	if (!d->release && coming)
		d->release = arena_strdup(m->a, now);
}

static bool is_there(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static void say_facts(struct deploy *d)
{
	struct mod_ctx *m = d->m;
	struct val *f = val_map(m->a), *facts = val_map(m->a);
	const char *was = is_there(d->current) ? path_real(m->a, d->current) : NULL;
	val_set(f, "project_path", text(m, d->path));
	val_set(f, "current_path", text(m, d->current));
	val_set(f, "releases_path", text(m, d->releases));
	val_set(f, "shared_path", text(m, d->shared));
	val_set(f, "previous_release", text(m, was ? fs_basename(was) : NULL));
	val_set(f, "previous_release_path", text(m, was));
	val_set(f, "new_release", text(m, d->release));
	val_set(f, "new_release_path", text(m, d->release ? fs_join(m->a, d->releases, d->release) : NULL));
	val_set(f, "unfinished_filename", text(m, d->unfinished));
	val_set(facts, "deploy_helper", f);
	mod_facts(m, facts);
}

static bool make_directory(struct deploy *d, const char *path)
{
	struct mod_ctx *m = d->m;
	struct err e = {0};
	if (is_there(path) && !fs_is_dir(path))
		return mod_fail(m, "%s exists but is not a directory", path);
	if (!is_there(path)) {
		mod_changed(m);
		if (m->check)
			return true;
		if (!fs_mkdirs(path, 0777 & ~current_umask(), &e))
			return mod_fail_err(m, &e);
	}
	return path_args(m, path);
}

static bool remove_tree(struct deploy *d, const char *path)
{
	struct mod_ctx *m = d->m;
	struct err e = {0};
	if (!is_there(path))
		return true;
	if (!fs_is_dir(path))
		return mod_fail(m, "%s exists but is not a directory", path);
	mod_changed(m);
	return m->check || fs_remove_tree(path, &e) || mod_fail_err(m, &e);
}

static bool remove_file(struct deploy *d, const char *path)
{
	if (!is_there(path))
		return true;
	mod_changed(d->m);
	return d->m->check || unlink(path) == 0 || mod_fail_sys(d->m, "cannot remove %s", path);
}

/* The link to the new release is put in the old one's place in one step. */
static bool link_release(struct deploy *d)
{
	struct mod_ctx *m = d->m;
	const char *to = fs_join(m->a, d->releases, d->release),
	           *tmp = arena_printf(m->a, "%s.%s", d->current, d->unfinished);
	struct stat st;
	bool there = lstat(d->current, &st) == 0;
	if (there && !S_ISLNK(st.st_mode))
		return mod_fail(m, "%s exists but is not a symbolic link", d->current);
	if (there && strcmp(path_real(m->a, d->current), path_real(m->a, to)) == 0)
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	if (there && !is_there(to))
		return mod_fail(m, "the symlink target %s doesn't exists", to);
	if (unlink(tmp) != 0 && errno != ENOENT)
		return mod_fail_sys(m, "cannot remove %s", tmp);
	return (symlink(to, tmp) == 0 && rename(tmp, d->current) == 0) ||
	       mod_fail_sys(m, "cannot link %s", d->current);
}

struct old {
	const char *path;
	struct timespec at;
};

static int newest_first(const void *x, const void *y)
{
	const struct old *a = x, *b = y;
	if (a->at.tv_sec != b->at.tv_sec)
		return a->at.tv_sec < b->at.tv_sec ? 1 : -1;
	return (a->at.tv_nsec < b->at.tv_nsec) - (a->at.tv_nsec > b->at.tv_nsec);
}

/* The finished releases but the new one; those that were never finished go at once. */
static bool old_releases(struct deploy *d, struct old **ret, size_t *n)
{
	struct mod_ctx *m = d->m;
	DIR *dir = opendir(d->releases);
	size_t cap = 0;
	bool ok = true;
	*ret = NULL;
	*n = 0;
	for (struct dirent *e; ok && dir && (e = readdir(dir));) {
		const char *path = fs_join(m->a, d->releases, e->d_name);
		struct stat st;
		if (e->d_name[0] == '.' && (!e->d_name[1] || strcmp(e->d_name, "..") == 0))
			continue;
		if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
			continue;
		if (fs_exists(fs_join(m->a, path, d->unfinished))) {
			ok = remove_tree(d, path);
			continue;
		}
		if (d->release && strcmp(e->d_name, d->release) == 0)
			continue;
		*ret = arena_grow(m->a, *ret, *n, &cap, sizeof(**ret));
		(*ret)[(*n)++] = (struct old){path, st.st_ctim};
	}
	if (dir)
		closedir(dir);
	return ok;
}

static bool clean(struct deploy *d)
{
	struct mod_ctx *m = d->m;
	struct old *list;
	size_t n, keep = (size_t)mod_int(m, "keep_releases", 5);
	if (d->release &&
	    !remove_file(d, fs_join(m->a, d->path, arena_printf(m->a, "%s.%s", d->release, d->unfinished))))
		return false;
	if (!old_releases(d, &list, &n))
		return false;
	if (n)
		qsort(list, n, sizeof(*list), newest_first);
	for (size_t i = keep; i < n; i++)
		if (!remove_tree(d, list[i].path))
			return false;
	return true;
}

static bool finalize(struct deploy *d)
{
	struct mod_ctx *m = d->m;
	if (mod_int(m, "keep_releases", 5) <= 0)
		return mod_fail(m, "'keep_releases' should be at least 1");
	return remove_file(d, fs_join(m->a, fs_join(m->a, d->releases, d->release), d->unfinished)) &&
	       link_release(d) && (!mod_bool(m, "clean") || clean(d));
}

static bool prepare(struct deploy *d)
{
	struct mod_ctx *m = d->m;
	struct stat st;
	if (lstat(d->current, &st) == 0 && !S_ISLNK(st.st_mode))
		return mod_fail(m, "%s exists but is not a symbolic link", d->current);
	return make_directory(d, d->path) && make_directory(d, d->releases) &&
	       (!d->shared || make_directory(d, d->shared));
}

static bool run(struct mod_ctx *m)
{
	struct deploy d = {.m = m};
	struct val *none = val_map(m->a);
	take(&d);
	mod_sets(m, "state", mod_arg(m, "state"));
	if (mod_is(m, "state", "finalize"))
		return finalize(&d);
	if (mod_is(m, "state", "clean"))
		return clean(&d);
	if (mod_is(m, "state", "absent")) {
		val_set(none, "deploy_helper", val_list(m->a));
		mod_facts(m, none);
		return remove_tree(&d, d.path);
	}
	say_facts(&d);
	return mod_is(m, "state", "query") || prepare(&d);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "dest", .doc = "The project's directory."},
        {"state", MT_STR, .dflt = "present", .choices = "present|absent|clean|finalize|query",
         .doc = "Directories made, all removed, old releases removed, the new one linked, or facts alone."},
        {"release", MT_STR, .doc = "The new release; the time by default."},
        {"releases_path", MT_STR, .dflt = "releases", .doc = "Where releases are."},
        {"shared_path", MT_PATH, .dflt = "shared", .doc = "What they share; empty: nothing."},
        {"current_path", MT_PATH, .dflt = "current", .doc = "The link to the one in use."},
        {"keep_releases", MT_INT, .dflt = "5", .doc = "How many old ones stay."},
        {"clean", MT_BOOL, .dflt = "true", .doc = "Remove old ones when the new one is linked."},
        {"unfinished_filename", MT_STR, .dflt = "DEPLOY_UNFINISHED",
         .doc = "The file that says that a release is not finished."},
        {NULL},
};

const struct module module_row_deploy_helper = {
        .name = "deploy_helper",
        .from = "community.general",
        .doc = "Keeps the directories of a project's releases, and the link to the one in use.",
        .args = args,
        .flags = MOD_CHECK | MOD_FILE_ARGS,
        .required_if = "state=finalize:release",
        .run = run,
};
