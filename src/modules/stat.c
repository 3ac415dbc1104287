#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "modules/attrs.h"
#include "modules/digest.h"
#include "modules/users.h"

/* musl's ioctl() takes its request as an int. */
#ifdef __GLIBC__
#define REQUEST(r) (r)
#else
#define REQUEST(r) ((int)(r))
#endif

static double seconds(const struct timespec *t)
{
	return (double)t->tv_sec + (double)t->tv_nsec / 1e9;
}

static void set(struct mod_ctx *m, struct val *s, const char *key, int64_t i)
{
	val_set(s, key, val_int(m->a, i));
}

void stat_kind(struct mod_ctx *m, struct val *s, mode_t mode)
{
	val_set(s, "mode", val_strf(m->a, "%04o", (unsigned)(mode & 07777)));
	val_set(s, "isdir", val_bool(S_ISDIR(mode)));
	val_set(s, "ischr", val_bool(S_ISCHR(mode)));
	val_set(s, "isblk", val_bool(S_ISBLK(mode)));
	val_set(s, "isreg", val_bool(S_ISREG(mode)));
	val_set(s, "isfifo", val_bool(S_ISFIFO(mode)));
	val_set(s, "islnk", val_bool(S_ISLNK(mode)));
	val_set(s, "issock", val_bool(S_ISSOCK(mode)));
}

void stat_numbers(struct mod_ctx *m, struct val *s, const struct stat *st)
{
	set(m, s, "uid", st->st_uid);
	set(m, s, "gid", st->st_gid);
	set(m, s, "size", st->st_size);
	set(m, s, "inode", (int64_t)st->st_ino);
	set(m, s, "dev", (int64_t)st->st_dev);
	set(m, s, "nlink", (int64_t)st->st_nlink);
	val_set(s, "atime", val_float(m->a, seconds(&st->st_atim)));
	val_set(s, "mtime", val_float(m->a, seconds(&st->st_mtim)));
	val_set(s, "ctime", val_float(m->a, seconds(&st->st_ctim)));
}

void stat_bits(struct val *s, mode_t mode)
{
	static const struct {
		const char *name;
		mode_t bit;
	} bits[] = {
	        {"wusr", S_IWUSR}, {"rusr", S_IRUSR},  {"xusr", S_IXUSR},  {"wgrp", S_IWGRP},
	        {"rgrp", S_IRGRP}, {"xgrp", S_IXGRP},  {"woth", S_IWOTH},  {"roth", S_IROTH},
	        {"xoth", S_IXOTH}, {"isuid", S_ISUID}, {"isgid", S_ISGID},
	};
	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++)
		val_set(s, bits[i].name, val_bool(mode & bits[i].bit));
}

void stat_user(struct mod_ctx *m, struct val *s, uid_t uid)
{
	const struct user *u = user_by_id(m->a, uid);
	if (u)
		val_set(s, "pw_name", val_strz(m->a, u->name));
}

void stat_group(struct mod_ctx *m, struct val *s, gid_t gid)
{
	const struct ugroup *g = group_by_id(m->a, gid);
	if (g)
		val_set(s, "gr_name", val_strz(m->a, g->name));
}

static void set_link(struct mod_ctx *m, struct val *s, const char *path)
{
	char to[4096];
	ssize_t n = readlink(path, to, sizeof(to) - 1);
	char *real = realpath(path, NULL);
	if (n >= 0) {
		const char *where = fs_join(m->a, fs_dirname(m->a, path), arena_strndup(m->a, to, (size_t)n));
		val_set(s, "lnk_source", val_strz(m->a, real ? real : where));
		val_set(s, "lnk_target", val_str(m->a, str_n(to, (size_t)n)));
	}
	free(real);
}

/* What chattr has set, as lsattr's letters and Ansible's names for them. */
static void set_attrs(struct mod_ctx *m, struct val *s, const char *path)
{
	static const struct {
		unsigned flag;
		char letter;
		const char *name;
	} table[] = {
	        {FS_SECRM_FL, 's', "secure_deletion"},   {FS_UNRM_FL, 'u', "undelete"},
	        {FS_SYNC_FL, 'S', "synchronous_update"}, {FS_DIRSYNC_FL, 'D', "synchronous_directory_update"},
	        {FS_IMMUTABLE_FL, 'i', "immutable"},     {FS_APPEND_FL, 'a', "append-only"},
	        {FS_NODUMP_FL, 'd', "no_dump"},          {FS_NOATIME_FL, 'A', "noatime"},
	        {FS_COMPR_FL, 'c', "compressed"},        {FS_ENCRYPT_FL, 'E', "encrypted"},
	        {FS_JOURNAL_DATA_FL, 'j', "journaled"},  {FS_INDEX_FL, 'I', "indexed_dir"},
	        {FS_NOTAIL_FL, 't', "no_tail_merging"},  {FS_TOPDIR_FL, 'T', "topdir"},
	        {FS_EXTENT_FL, 'e', "extents"},          {FS_NOCOW_FL, 'C', "nocow"},
	};
	struct buf letters = {0};
	struct val *names = val_list(m->a);
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW), flags = 0;
	if (fd >= 0 && ioctl(fd, REQUEST(FS_IOC_GETFLAGS), &flags) == 0)
		for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
			if ((unsigned)flags & table[i].flag) {
				buf_addc(&letters, table[i].letter);
				val_push(names, val_strz(m->a, table[i].name));
			}
	if (fd >= 0) {
		int version;
		if (ioctl(fd, REQUEST(FS_IOC_GETVERSION), &version) == 0)
			val_set(s, "version", val_strf(m->a, "%u", (unsigned)version));
		else
			val_set(s, "version", val_null());
		close(fd);
	}
	val_set(s, "attributes", names);
	val_set(s, "attr_flags", val_str(m->a, buf_str(&letters)));
	buf_free(&letters);
}

/* As file(1) says it, for a task that asks. */
static bool ask_file(struct mod_ctx *m, const char *path, const char **type, const char **charset)
{
	struct mod_out out;
	const char *file = mod_which(m, "file");
	if (!file || !mod_exec(m, &out, file, "-b", "--mime-type", "--mime-encoding", path, NULL) ||
	    out.rc != 0)
		return false;
	struct str line = str_trim(out.out);
	ptrdiff_t cut = str_find(line, STR("; charset="), 0);
	if (cut < 0)
		return false;
	*type = arena_strndup(m->a, line.p, (size_t)cut);
	*charset = arena_strndup(m->a, line.p + cut + 10, line.n - (size_t)cut - 10);
	return true;
}

/* What can be said without a program: empty, text or not. */
static void sniff(const char *path, const char **type, const char **charset)
{
	char head[8192];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	if (fd >= 0)
		close(fd);
	struct str s = str_n(head, n > 0 ? (size_t)n : 0);
	bool ascii = true, text = n > 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		ascii = ascii && c < 0x80;
		text = text && (c >= 0x20 || strchr("\t\n\r\f\b\x1b", c)) && c != 0;
	}
	/* A sequence cut at the end of what was read is no fault. */
	while (!ascii && s.n > 0 && n == (ssize_t)sizeof(head) && s.n > sizeof(head) - 4 && !str_is_utf8(s))
		s.n--;
	*type = n < 0    ? "unknown"
	        : n == 0 ? "inode/x-empty"
	        : text   ? "text/plain"
	                 : "application/octet-stream";
	*charset = n < 0            ? "unknown"
	           : !text          ? "binary"
	           : ascii          ? "us-ascii"
	           : str_is_utf8(s) ? "utf-8"
	                            : "iso-8859-1";
}

static void set_mime(struct mod_ctx *m, struct val *s, const char *path, mode_t mode)
{
	const char *type = "unknown", *charset = "binary";
	if (S_ISDIR(mode))
		type = "inode/directory";
	else if (S_ISLNK(mode))
		type = "inode/symlink";
	else if (!S_ISREG(mode))
		type = S_ISBLK(mode)    ? "inode/blockdevice"
		       : S_ISCHR(mode)  ? "inode/chardevice"
		       : S_ISFIFO(mode) ? "inode/fifo"
		                        : "inode/socket";
	else if (!mod_has(m, "get_mime") || !ask_file(m, path, &type, &charset))
		sniff(path, &type, &charset);
	val_set(s, "mimetype", val_strz(m->a, type));
	val_set(s, "charset", val_strz(m->a, charset));
}

static bool run(struct mod_ctx *m)
{
	struct stat st;
	struct err e = {0};
	const char *path = mod_arg(m, "path");
	struct val *s = val_map(m->a);
	int gone = (mod_bool(m, "follow") ? stat(path, &st) : lstat(path, &st)) == 0 ? 0 : errno;
	if (gone && gone != ENOENT)
		return mod_fail(m, "%s", strerror(gone));
	mod_set(m, "stat", s);
	val_set(s, "exists", val_bool(!gone));
	if (gone)
		return true;
	val_set(s, "path", val_strz(m->a, path));
	stat_kind(m, s, st.st_mode);
	stat_numbers(m, s, &st);
	stat_bits(s, st.st_mode);
	set(m, s, "blocks", st.st_blocks);
	set(m, s, "block_size", st.st_blksize);
	set(m, s, "device_type", (int64_t)st.st_rdev);
	val_set(s, "readable", val_bool(access(path, R_OK) == 0));
	val_set(s, "writeable", val_bool(access(path, W_OK) == 0));
	val_set(s, "executable", val_bool(access(path, X_OK) == 0));
	if (S_ISLNK(st.st_mode))
		set_link(m, s, path);
	stat_user(m, s, st.st_uid);
	stat_group(m, s, st.st_gid);
	if (S_ISREG(st.st_mode) && mod_bool(m, "get_checksum") && access(path, R_OK) == 0) {
		const char *sum = digest_file(m->a, mod_arg(m, "checksum_algorithm"), path, &e);
		if (!sum)
			return mod_fail_err(m, &e);
		val_set(s, "checksum", val_strz(m->a, sum));
		if (mod_bool(m, "get_md5") && (sum = digest_file(m->a, "md5", path, &e)))
			val_set(s, "md5", val_strz(m->a, sum));
		err_clear(&e);
	}
	if (!mod_has(m, "get_mime") || mod_bool(m, "get_mime"))
		set_mime(m, s, path, st.st_mode);
	if (mod_bool(m, "get_attributes") && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		set_attrs(m, s, path);
	return true;
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "dest|name", .doc = "What to look at."},
        {"follow", MT_BOOL, .dflt = "false", .doc = "Follow symbolic links."},
        {"get_checksum", MT_BOOL, .dflt = "true", .doc = "Compute the checksum of a regular file."},
        {"checksum_algorithm", MT_STR, .dflt = "sha1", .choices = "md5|sha1|sha224|sha256|sha384|sha512",
         .aliases = "checksum|checksum_algo", .doc = "How to compute it."},
        {"get_mime", MT_BOOL, .aliases = "mime|mime_type|mime-type",
         .doc = "Give the type of its content: true asks file(1), unset tells text from other."},
        {"get_attributes", MT_BOOL, .dflt = "true", .aliases = "attr|attributes",
         .doc = "Read what chattr has set."},
        {"get_md5", MT_BOOL, .dflt = "false", .doc = "Compute the MD5 as well."},
        {"get_selinux_context", MT_BOOL, .dflt = "false", .doc = "Ignored where there is no SELinux."},
        {NULL},
};

const struct module module_row_stat = {
        .name = "stat",
        .from = "ansible.builtin",
        .doc = "Says what is known of a file.",
        .args = args,
        .flags = MOD_READ_ONLY | MOD_CHECK,
        .run = run,
};
