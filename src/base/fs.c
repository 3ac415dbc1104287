#include "base/fs.h"

#include "base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool fs_read(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, ERR_USER, "cannot read %s", path);
	for (;;) {
		char chunk[16384];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, ERR_USER, "cannot read %s", path);
			close(fd);
			return false;
		}
		if (n == 0)
			break;
		buf_add(out, chunk, (size_t)n);
		if (out->full) {
			close(fd);
			return err_set(err, ERR_USER, ORIGIN_NONE, "%s is larger than %zu bytes", path,
			               out->max ? out->max : BUF_DEFAULT_MAX);
		}
	}
	close(fd);
	return true;
}

static bool write_all(int fd, struct str data)
{
	while (data.n) {
		ssize_t n = write(fd, data.p, data.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data = str_n(data.p + n, data.n - (size_t)n);
	}
	return true;
}

bool fs_write(const char *path, struct str data, mode_t mode, struct err *err)
{
	char *tmp = NULL;

	if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
		abort();
	int fd = mkostemp(tmp, O_CLOEXEC);
	bool ok = fd >= 0 && write_all(fd, data) && fchmod(fd, mode) == 0 && fsync(fd) == 0;

	if (!ok)
		err_sys(err, ERR_REMOTE, "cannot write %s", path);
	if (fd >= 0)
		close(fd);
	if (ok && rename(tmp, path) != 0)
		ok = err_sys(err, ERR_REMOTE, "cannot write %s", path);
	if (!ok && fd >= 0)
		unlink(tmp);
	free(tmp);
	return ok;
}

bool fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
	char *p = xstrdup(path);
	bool ok = true;

	for (char *q = p + 1; ok && *q; q++) {
		if (*q != '/')
			continue;
		*q = '\0';
		ok = mkdir(p, mode) == 0 || errno == EEXIST;
		*q = '/';
	}
	ok = ok && (mkdir(p, mode) == 0 || (errno == EEXIST && fs_is_dir(p)));
	if (!ok)
		err_sys(err, ERR_REMOTE, "cannot make directory %s", path);
	free(p);
	return ok;
}

bool fs_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

bool fs_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

bool fs_remove_tree(const char *path, struct err *err)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		return err_sys(err, ERR_REMOTE, "cannot remove %s", path);
	return true;
}

char *fs_join(struct arena *a, const char *dir, const char *name)
{
	size_t n = strlen(dir);

	if (name[0] == '/' || n == 0)
		return arena_strdup(a, name);
	return arena_printf(a, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

char *fs_dirname(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return arena_strdup(a, ".");
	return slash == path ? arena_strdup(a, "/") : arena_strndup(a, path, (size_t)(slash - path));
}

const char *fs_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
