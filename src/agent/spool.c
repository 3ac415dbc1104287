#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "agent/spool.h"
#include "base/fs.h"

enum { STALE_SECONDS = 24 * 3600 };

/* A directory that is ours alone. */
static bool private_dir(const char *dir)
{
	struct stat st;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return false;
	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 077) == 0;
}

static bool pick_dir(struct spool *s, const char *dir)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	if (dir) {
		snprintf(s->dir, sizeof(s->dir), "%s", dir);
		return private_dir(s->dir);
	}
	if (geteuid() == 0) {
		snprintf(s->dir, sizeof(s->dir), "/run/nante");
		if (private_dir(s->dir))
			return true;
	} else if (run && *run == '/') {
		snprintf(s->dir, sizeof(s->dir), "%s/nante", run);
		if (private_dir(s->dir))
			return true;
	}
	snprintf(s->dir, sizeof(s->dir), "/tmp/.nante-%lu", (unsigned long)geteuid());
	return private_dir(s->dir);
}

static void remove_stale(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    time(NULL) - st.st_mtime < STALE_SECONDS)
			continue;
		int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
}

static void new_session(char *z, size_t n)
{
	unsigned char raw[16] = {0};
	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		abort();
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(z + 2 * i, n - 2 * i, "%02x", raw[i]);
}

void spool_open(struct spool *s, const char *dir)
{
	char path[512];
	*s = (struct spool){.fd = -1};
	new_session(s->session, sizeof(s->session));
	if (!pick_dir(s, dir)) {
		s->dir[0] = '\0';
		return;
	}
	remove_stale(s->dir);
	snprintf(path, sizeof(path), "%s/%s", s->dir, s->session);
	s->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (s->fd >= 0 && flock(s->fd, LOCK_EX | LOCK_NB) != 0) {
		close(s->fd);
		s->fd = -1;
	}
	spool_begin(s, 0);
}

void spool_begin(struct spool *s, uint32_t id)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%10ld %10lu\n", (long)getpid(), (unsigned long)id);
	if (s->fd >= 0 && pwrite(s->fd, line, (size_t)n, 0) != n) {
		/* A full disk: without its note the session could not be adopted truthfully. */
		close(s->fd);
		s->fd = -1;
	}
}

void spool_keep(struct spool *s, uint32_t id, struct str result)
{
	char path[512];
	struct err e = {0};
	if (s->fd < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s.%lu", s->dir, s->session, (unsigned long)id);
	fs_write(path, result, 0600, &e);
	err_clear(&e);
}

void spool_close(struct spool *s, bool remove)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", s->dir, s->session);
	if (remove && s->dir[0]) {
		unlink(path);
		rmdir(s->dir); /* succeeds for the last one only */
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static bool is_session(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!isxdigit((unsigned char)s.p[i]))
			return false;
	return s.n == 32;
}

/* Its input has ended for good: nobody is at the other end any more. Only a pipe can be asked. */
static bool input_ended(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%ld/fd/0", (long)pid);
	struct pollfd p = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), .events = POLLIN};
	bool ended = p.fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLHUP);
	if (p.fd >= 0)
		close(p.fd);
	return ended;
}

/* The process a session's file names; *LOCKED: it lives. */
static pid_t session_pid(int fd, bool *locked, int64_t *last)
{
	char line[64] = "";
	int64_t pid = 0;
	*locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
	ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
	struct str rest = str_n(line, n > 0 ? (size_t)n : 0);
	str_int(str_trim(str_n(rest.p, rest.n < 10 ? rest.n : 10)), &pid);
	*last = 0;
	if (rest.n > 10)
		str_int(str_trim(str_n(rest.p + 10, rest.n - 10)), last);
	return pid > 1 ? (pid_t)pid : 0;
}

pid_t spool_orphan(const struct spool *s)
{
	DIR *d = s->dir[0] ? opendir(s->dir) : NULL;
	struct dirent *e;
	pid_t found = 0;
	while (d && !found && (e = readdir(d))) {
		bool locked = false;
		int64_t last;
		if (!is_session(str_c(e->d_name)) || strcmp(e->d_name, s->session) == 0)
			continue;
		int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		pid_t pid = fd >= 0 ? session_pid(fd, &locked, &last) : 0;
		if (pid && locked && input_ended(pid))
			found = pid;
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	return found;
}

enum spool_found spool_fetch(struct spool *s, struct str session, uint32_t id, struct buf *ret)
{
	char path[512];
	if (!is_session(session) || !s->dir[0])
		return SPOOL_UNKNOWN;
	snprintf(path, sizeof(path), "%s/%.*s", s->dir, STR_FMT(session));
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return SPOOL_UNKNOWN;
	bool locked;
	int64_t last;
	pid_t pid = session_pid(fd, &locked, &last);
	if (locked && pid)
		kill(pid, SIGUSR1);
	close(fd);
	if (locked)
		return SPOOL_BUSY;
	char file[560];
	struct err e = {0};
	snprintf(file, sizeof(file), "%s.%lu", path, (unsigned long)id);
	if (fs_exists(file) && fs_read(file, ret, &e)) {
		unlink(file);
		return SPOOL_RESULT;
	}
	err_clear(&e);
	return (int64_t)id > last ? SPOOL_NEVER_BEGAN : SPOOL_DIED;
}
