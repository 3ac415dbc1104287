/* files - reading and replacing files on behalf of a module. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "modules/attrs.h"
#include "modules/words.h"

bool mod_read_maybe(struct mod_ctx *m, const char *path, struct str *ret)
{
	struct buf b = {0};
	struct err e = {0};
	*ret = (struct str){0};
	if (!fs_exists(path))
		return true;
	bool ok = fs_read(path, &b, &e);
	if (ok)
		*ret = buf_take(&b, m->a);
	else
		mod_fail_err(m, &e);
	buf_free(&b);
	return ok;
}

bool mod_read(struct mod_ctx *m, const char *path, struct str *ret)
{
	return mod_read_maybe(m, path, ret) && (ret->p || mod_fail(m, "%s: No such file or directory", path));
}

static bool write_all(int fd, struct str data)
{
	for (size_t done = 0; done < data.n;) {
		ssize_t w = write(fd, data.p + done, data.n - done);
		if (w < 0 && errno != EINTR)
			return false;
		if (w > 0)
			done += (size_t)w;
	}
	return true;
}

const char *mod_backup(struct mod_ctx *m, const char *path)
{
	struct str data;
	struct stat st;
	char when[32];
	time_t now = time(NULL);
	struct tm tm;
	strftime(when, sizeof(when), "%Y-%m-%d@%H:%M:%S", localtime_r(&now, &tm));
	const char *name;
	int number = (int)getpid();
	do /* an agent changes a file more than once within a second */
		name = arena_printf(m->a, "%s.%d.%s~", path, number++, when);
	while (fs_exists(name));
	struct err e = {0};
	if (stat(path, &st) != 0 || !mod_read(m, path, &data)) {
		mod_fail(m, "Could not make backup of %s to %s", path, name);
		return NULL;
	}
	if (!fs_write(name, data, st.st_mode & 07777, &e)) {
		mod_fail_err(m, &e);
		return NULL;
	}
	if (chown(name, st.st_uid, st.st_gid) != 0 && errno != EPERM) {
		mod_fail_sys(m, "cannot set the owner of %s", name);
		return NULL;
	}
	if (st.st_mode & 06000 && chmod(name, st.st_mode & 07777) != 0) { /* which chown took */
		mod_fail_sys(m, "cannot set the mode of %s", name);
		return NULL;
	}
	return name;
}

/* Runs the "validate" command on FILE. */
static bool run_validate(struct mod_ctx *m, const char *file)
{
	const char *validate = mod_arg(m, "validate");
	if (!validate || !*validate)
		return true;
	const char *at = strstr(validate, "%s");
	if (!at)
		return mod_fail(m, "validate must contain %%s: %s", validate);
	const char *line = arena_printf(m->a, "%.*s%s%s", (int)(at - validate), validate,
	                                words_quote(m->a, file), at + 2);
	struct err e = {0};
	const char **argv = words_split(m->a, str_c(line), NULL, &e);
	struct mod_out out;
	if (!argv || !argv[0])
		return err_is(&e) ? mod_fail_err(m, &e) : mod_fail(m, "validate is empty");
	if (!mod_spawn(m, &(struct mod_cmd){.argv = argv}, &out))
		return false;
	if (out.rc == 0)
		return true;
	struct mod_out *refused = ARENA_NEW(m->a, struct mod_out);
	*refused = out;
	m->refused = refused;
	return mod_fail(m, "failed to validate: rc:%d error:%.*s", out.rc, STR_FMT(out.err));
}

/* Replaces what is at PATH by the bytes, keeping the file itself: for bind mounts, which cannot be renamed
 * over. */
static bool write_in_place(struct mod_ctx *m, const char *path, struct str data)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return mod_fail_sys(m, "cannot write %s", path);
	bool ok = write_all(fd, data) && fsync(fd) == 0;
	if (!ok)
		mod_fail_sys(m, "cannot write %s", path);
	close(fd);
	return ok;
}

static bool fill_temp(struct mod_ctx *m, int fd, const char *tmp, const struct stat *old, struct str data)
{
	mode_t mode = old ? old->st_mode & 07777 : 0666 & ~current_umask();
	/* A new file is the writer's own in both respects, also where a directory hands its group on. */
	uid_t uid = old ? old->st_uid : geteuid();
	gid_t gid = old ? old->st_gid : getegid();
	if (fchmod(fd, mode) != 0)
		return mod_fail_sys(m, "cannot set the mode of %s", tmp);
	/* After the mode: new content is not run with another's rights because the old was. */
	if (fchown(fd, uid, gid) != 0 && errno != EPERM)
		return mod_fail_sys(m, "cannot set the owner of %s", tmp);
	if (!write_all(fd, data) || fsync(fd) != 0)
		return mod_fail_sys(m, "cannot write %s", tmp);
	return run_validate(m, tmp);
}

/* The file to write to: where a link at PATH leads, even when that does not exist yet. */
static const char *link_target(struct mod_ctx *m, const char *path)
{
	for (int hops = 0; hops < 40; hops++) {
		char to[PATH_MAX];
		ssize_t n = readlink(path, to, sizeof(to) - 1);
		if (n < 0)
			break;
		to[n] = '\0';
		path = fs_join(m->a, to[0] == '/' ? "" : fs_dirname(m->a, path), to);
	}
	return path;
}

static bool replace_file(struct mod_ctx *m, const char *path, const char *real, struct str data)
{
	struct stat st, link;
	if (lstat(real, &link) == 0 && S_ISDIR(link.st_mode))
		return mod_fail(m, "%s is a directory", path);
	/* In place of a link comes a file with the rights of the one it led to. */
	const struct stat *old = stat(real, &st) == 0 && !S_ISDIR(st.st_mode) ? &st : NULL;
	char *tmp = arena_printf(m->a, "%s/.ansible_tmp%sXXXXXX", fs_dirname(m->a, real), fs_basename(real));
	int fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0) {
		if (!old || !mod_bool(m, "unsafe_writes"))
			return mod_fail_sys(m, "cannot create a temporary file beside %s", real);
		return write_in_place(m, real, data);
	}
	bool ok = fill_temp(m, fd, tmp, old, data);
	close(fd);
	if (ok && old && mod_bool(m, "backup")) {
		const char *kept = mod_backup(m, path);
		ok = kept != NULL;
		if (kept)
			mod_sets(m, "backup_file", kept);
	}
	if (ok && rename(tmp, real) != 0) {
		if (errno == EBUSY && old)
			ok = write_in_place(m, real, data);
		else
			ok = mod_fail_sys(m, "cannot replace %s", real);
		unlink(tmp);
	} else if (!ok) {
		unlink(tmp);
	}
	return ok;
}

bool mod_write(struct mod_ctx *m, const char *path, struct str data)
{
	return m->check || replace_file(m, path, link_target(m, path), data);
}

bool mod_replace(struct mod_ctx *m, const char *path, struct str data)
{
	return m->check || replace_file(m, path, path, data);
}

bool mod_content(struct mod_ctx *m, struct str *ret)
{
	struct buf b = {0};
	struct err e = {0};
	if (!m->content_sha256.n || !m->io || !m->io->content)
		return mod_fail(m, "the controller sent no content for this task");
	bool ok = m->io->content(m->io->ctx, m->content_sha256, &b, &e);
	if (ok)
		*ret = buf_take(&b, m->a);
	else
		mod_fail_err(m, &e);
	buf_free(&b);
	return ok;
}
