#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <unistd.h>
#include "modules/attrs.h"
#include "modules/fetch_url.h"

struct unpack {
	struct mod_ctx *m;
	const char *src, *dest;
	struct str content; /* of the source when the controller sent it */
	int64_t strip;      /* leading parts of names to drop */
	bool junk_paths, same_owner;
	struct val *exclude, *include, *names, *differing;
	const char *handler;
};

/* ---- what tar's and unzip's own options ask for */

static bool number_after(const struct val *opts, size_t *i, struct str opt, const char *name, int64_t *ret)
{
	size_t n = strlen(name);
	if (!str_starts(opt, name))
		return false;
	if (opt.n > n && opt.p[n] == '=')
		return str_int(str_n(opt.p + n + 1, opt.n - n - 1), ret);
	struct val *next = opt.n == n ? val_at(opts, *i + 1) : NULL;
	if (!next || !val_is_str(next) || !str_int(val_get_str(next), ret))
		return false;
	(*i)++;
	return true;
}

static bool read_option(struct unpack *u, const struct val *opts, size_t *i)
{
	static const char *const ignored[] = {"--overwrite",
	                                      "--wildcards",
	                                      "--numeric-owner",
	                                      "--no-overwrite-dir",
	                                      "--recursive-unlink",
	                                      "--delay-directory-restore",
	                                      "-o",
	                                      "-q",
	                                      "-qq",
	                                      "--warning=no-unknown-keyword",
	                                      "--no-anchored",
	                                      "--anchored"};
	struct mod_ctx *m = u->m;
	struct str opt = str_trim(val_text(val_at(opts, *i), m->a));
	if (number_after(opts, i, opt, "--strip-components", &u->strip) ||
	    number_after(opts, i, opt, "--strip", &u->strip))
		return true;
	if (str_eqc(opt, "--no-same-owner") || str_eqc(opt, "--same-owner")) {
		u->same_owner = str_eqc(opt, "--same-owner");
	} else if (str_eqc(opt, "-j") && strcmp(u->handler, "ZipArchive") == 0) {
		u->junk_paths = true;
	} else if (str_starts(opt, "--exclude=")) {
		val_push(u->exclude, val_str(m->a, str_n(opt.p + 10, opt.n - 10)));
	} else if (opt.n && opt.p[0] != '-') {
		val_push(u->include, val_str(m->a, opt));
	} else if (opt.n) {
		for (size_t k = 0; k < sizeof(ignored) / sizeof(*ignored); k++)
			if (str_eqc(opt, ignored[k]))
				return true;
		return mod_fail(m, "extra_opts: %.*s is not known here", STR_FMT(opt));
	}
	return true;
}

/* ---- reading */

static struct archive *open_archive(struct unpack *u)
{
	struct archive *ar = xneed(archive_read_new());
	archive_read_support_filter_all(ar);
	archive_read_support_format_tar(ar);
	archive_read_support_format_zip(ar);
	int rc = u->content.p ? archive_read_open_memory(ar, u->content.p, u->content.n)
	                      : archive_read_open_filename(ar, u->src, 65536);
	if (rc == ARCHIVE_OK)
		return ar;
	archive_read_free(ar);
	mod_fail(u->m,
	         "Failed to find handler for \"%s\". Make sure the required command to extract the file is "
	         "installed.",
	         u->src);
	return NULL;
}

/* The first of Ansible's handlers that takes it: tar finds out about other compressions by itself. */
static const char *handler_name(struct archive *ar)
{
	int filter = archive_filter_code(ar, 0);
	if ((archive_format(ar) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP)
		return "ZipArchive";
	return filter == ARCHIVE_FILTER_GZIP || filter == ARCHIVE_FILTER_COMPRESS ? "TgzArchive"
	                                                                          : "TarArchive";
}

static bool matches(const struct val *patterns, const char *name)
{
	VAL_EACH (i, patterns) {
		const char *p = val_get_strz(val_at(patterns, i));
		size_t n = strlen(p);
		while (n && p[n - 1] == '/')
			n--;
		if (fnmatch(p, name, 0) == 0 || (strncmp(p, name, n) == 0 && (!name[n] || name[n] == '/')))
			return true;
	}
	return false;
}

/* Where the entry goes, below dest; NULL when it is not wanted. */
static const char *entry_name(struct unpack *u, const char *path)
{
	while (*path == '/' || strncmp(path, "./", 2) == 0)
		path++;
	if (matches(u->exclude, path) || (val_len(u->include) && !matches(u->include, path)))
		return NULL;
	if (u->junk_paths) {
		size_t n = strlen(path);
		path = n && path[n - 1] == '/' ? "" : fs_basename(path);
	}
	for (int64_t i = 0; i < u->strip && path; i++) {
		path = strchr(path, '/');
		while (path && *path == '/')
			path++;
	}
	return path && *path && strcmp(path, ".") != 0 ? path : NULL;
}

/* ---- comparing */

static bool is_newer(const struct unpack *u, const struct stat *st, struct archive_entry *e)
{
	return mod_bool(u->m, "keep_newer") && st->st_mtime > archive_entry_mtime(e);
}

static bool is_same(struct unpack *u, const char *name, struct archive_entry *e)
{
	struct stat st;
	mode_t type = archive_entry_filetype(e);
	if (lstat(name, &st) != 0)
		return false;
	if (archive_entry_hardlink(e)) {
		struct stat other;
		const char *to = entry_name(u, archive_entry_hardlink(e));
		return to && stat(to, &other) == 0 && other.st_ino == st.st_ino;
	}
	/* A directory may be reached by a link somebody put there. */
	if (type == S_IFDIR && S_ISLNK(st.st_mode) && stat(name, &st) != 0)
		return false;
	if ((st.st_mode & S_IFMT) != type)
		return false;
	if (type == S_IFLNK) {
		char to[4096];
		ssize_t n = readlink(name, to, sizeof(to));
		return n >= 0 && str_eqc(str_n(to, (size_t)n), archive_entry_symlink(e));
	}
	if (type == S_IFREG && is_newer(u, &st, e))
		return true;
	if (!mod_has(u->m, "mode") && archive_entry_perm(e) && (st.st_mode & 07777) != archive_entry_perm(e))
		return false;
	if (u->same_owner && ((!mod_has(u->m, "owner") && st.st_uid != (uid_t)archive_entry_uid(e)) ||
	                      (!mod_has(u->m, "group") && st.st_gid != (gid_t)archive_entry_gid(e))))
		return false;
	return type != S_IFREG ||
	       (st.st_size == archive_entry_size(e) && st.st_mtime == archive_entry_mtime(e));
}

/* ---- writing */

static bool copy_data(struct unpack *u, struct archive *in, struct archive *out)
{
	const void *p;
	size_t n;
	la_int64_t at;
	for (;;) {
		int rc = archive_read_data_block(in, &p, &n, &at);
		if (rc == ARCHIVE_EOF)
			return true;
		if (rc < ARCHIVE_WARN)
			return mod_fail(u->m, "failed to unpack %s: %s", u->src, archive_error_string(in));
		if (archive_write_data_block(out, p, n, at) < ARCHIVE_WARN)
			return mod_fail(u->m, "failed to unpack %s: %s", u->src, archive_error_string(out));
	}
}

static bool extract(struct unpack *u, struct archive *in, struct archive *out, struct archive_entry *e,
                    const char *name)
{
	archive_entry_set_pathname(e, name);
	const char *hard = archive_entry_hardlink(e);
	if (hard) {
		hard = entry_name(u, hard);
		archive_entry_set_hardlink(e, hard ? hard : name);
	}
	if (archive_write_header(out, e) < ARCHIVE_WARN)
		return mod_fail(u->m, "failed to unpack %s: %s", name, archive_error_string(out));
	if (archive_entry_size(e) > 0 && !copy_data(u, in, out))
		return false;
	return archive_write_finish_entry(out) >= ARCHIVE_WARN ||
	       mod_fail(u->m, "failed to unpack %s: %s", name, archive_error_string(out));
}

/* Every entry once, in dest as the working directory: what differs is noted, and without check mode
 * unpacked. */
static bool each_entry(struct unpack *u, struct archive *in, struct archive *out)
{
	struct archive_entry *e;
	int rc;
	while ((rc = archive_read_next_header(in, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		const char *path = archive_entry_pathname(e), *name = path ? entry_name(u, path) : NULL;
		u->handler = handler_name(in);
		if (!name)
			continue;
		name = arena_strdup(u->m->a, name);
		val_push(u->names, val_strz(u->m->a, name));
		if (is_same(u, name, e))
			continue;
		val_push(u->differing, val_strz(u->m->a, name));
		if (!u->m->check && !extract(u, in, out, e, name))
			return false;
	}
	return rc == ARCHIVE_EOF ||
	       mod_fail(u->m, "failed to unpack %s: %s", u->src, archive_error_string(in));
}

static bool unpack(struct unpack *u)
{
	int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
	            ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_UNLINK;
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct archive *in = open_archive(u), *out = NULL;
	bool ok = in != NULL;
	if (ok && here < 0)
		ok = mod_fail_sys(u->m, "cannot open the working directory");
	if (ok && chdir(u->dest) != 0)
		ok = mod_fail_sys(u->m, "%s", u->dest);
	if (ok) {
		out = archive_write_disk_new();
		archive_write_disk_set_options(out, flags | (u->same_owner ? ARCHIVE_EXTRACT_OWNER : 0));
		ok = each_entry(u, in, out);
		/* Times and modes of directories come last. */
		if (archive_write_close(out) < ARCHIVE_WARN && ok)
			ok = mod_fail(u->m, "failed to unpack %s: %s", u->src, archive_error_string(out));
		archive_write_free(out);
	}
	if (in)
		archive_read_free(in);
	if (here >= 0) {
		if (fchdir(here) != 0 && ok)
			ok = mod_fail_sys(u->m, "cannot go back to the working directory");
		close(here);
	}
	return ok;
}

static bool set_attributes(struct unpack *u)
{
	struct mod_ctx *m = u->m;
	if (!mod_has(m, "owner") && !mod_has(m, "group") && !mod_has(m, "mode"))
		return true;
	const char *top = "";
	VAL_EACH (i, u->names) {
		const char *name = val_get_strz(val_at(u->names, i)), *slash = strchr(name, '/');
		/* The folder all is in may have no entry of its own. */
		if (slash &&
		    (strlen(top) != (size_t)(slash - name) || strncmp(name, top, strlen(top)) != 0)) {
			top = arena_strndup(m->a, name, (size_t)(slash - name));
			if (fs_exists(fs_join(m->a, u->dest, top)) &&
			    !mod_file_args(m, fs_join(m->a, u->dest, top)))
				return false;
		}
		const char *path = fs_join(m->a, u->dest, name);
		if (fs_exists(path) && !mod_file_args(m, path))
			return false;
	}
	/* Thousands of files' attributes make no readable diff. */
	val_del(m->result, STR("diff"));
	return true;
}

static bool find_source(struct unpack *u, const char **temp)
{
	struct mod_ctx *m = u->m;
	if (m->content_sha256.n)
		return mod_content(m, &u->content);
	if (strstr(u->src, "://")) {
		const char *suffix = fs_basename(u->src);
		*temp = fetch_to_temp(m, u->src, suffix);
		u->src = *temp;
		return *temp != NULL;
	}
	if (!fs_exists(u->src))
		return mod_fail(m, "Source '%s' does not exist", u->src);
	return access(u->src, R_OK) == 0 || mod_fail(m, "Source '%s' not readable", u->src);
}

static struct val *list_arg(struct mod_ctx *m, const char *name)
{
	struct val *ret = val_list(m->a);
	const struct val *list = mod_list(m, name);
	VAL_EACH (i, list)
		val_push(ret, val_str(m->a, val_text(val_at(list, i), m->a)));
	return ret;
}

static bool work(struct unpack *u)
{
	struct mod_ctx *m = u->m;
	const struct val *opts = mod_list(m, "extra_opts");
	struct archive *ar = open_archive(u);
	struct archive_entry *e;
	if (!ar)
		return false;
	if (archive_read_next_header(ar, &e) < ARCHIVE_WARN) {
		archive_read_free(ar);
		return mod_fail(
		        m,
		        "Failed to find handler for \"%s\". Make sure the required command to extract "
		        "the file is installed.",
		        mod_arg(m, "src"));
	}
	u->handler = handler_name(ar);
	archive_read_free(ar);
	if (m->check && strcmp(u->handler, "ZipArchive") != 0) {
		m->result = val_map(m->a);
		mod_setb(m, "skipped", true);
		mod_sets(m, "msg", "remote module (unarchive) does not support check mode when using gtar");
		return true;
	}
	VAL_EACH (i, opts)
		if (!read_option(u, opts, &i))
			return false;
	if (!unpack(u))
		return false;
	if (val_len(u->differing))
		mod_changed(m);
	mod_sets(m, "handler", u->handler);
	if (mod_bool(m, "list_files"))
		mod_set(m, "files", u->names);
	if (m->diff && val_len(u->differing)) {
		struct val *d = val_map(m->a), *list = val_list(m->a);
		struct buf b = {0};
		VAL_EACH (i, u->differing)
			buf_printf(&b, "> %s\n", val_get_strz(val_at(u->differing, i)));
		val_set(d, "prepared", val_str(m->a, buf_str(&b)));
		buf_free(&b);
		if (!set_attributes(u))
			return false;
		val_push(list, d);
		mod_set(m, "diff", list);
		return true;
	}
	return set_attributes(u);
}

static bool run(struct mod_ctx *m)
{
	struct unpack u = {
	        .m = m,
	        .src = mod_arg(m, "src"),
	        .dest = mod_arg(m, "dest"),
	        .same_owner = geteuid() == 0,
	        .exclude = list_arg(m, "exclude"),
	        .include = list_arg(m, "include"),
	        .names = val_list(m->a),
	        .differing = val_list(m->a),
	};
	const char *creates = mod_arg(m, "creates"), *temp = NULL;
	mod_sets(m, "src", u.src);
	mod_sets(m, "dest", u.dest);
	if (creates && fs_exists(creates)) {
		m->result = val_map(m->a);
		mod_setb(m, "skipped", true);
		return mod_done(m, false, "skipped, since %s exists", creates);
	}
	if (!fs_is_dir(u.dest))
		return mod_fail(m, "dest '%s' must be an existing dir", u.dest);
	bool ok = find_source(&u, &temp) && work(&u);
	if (temp)
		unlink(temp);
	return ok;
}

static const struct mod_arg args[] = {
        {"src", MT_PATH, MA_REQUIRED, .doc = "The archive: a file, or with remote_src an address."},
        {"dest", MT_PATH, MA_REQUIRED, .doc = "The directory to unpack it in."},
        {"remote_src", MT_BOOL, .dflt = "false", .doc = "src is on the host, or is fetched by it."},
        {"copy", MT_BOOL, .dflt = "true", .doc = "The opposite of remote_src, as it once was called."},
        {"creates", MT_PATH, .doc = "When this exists, nothing is done."},
        {"exclude", MT_LIST, .elem = MT_STR, .doc = "Names to leave out."},
        {"include", MT_LIST, .elem = MT_STR, .doc = "Names to unpack, and no others."},
        {"keep_newer", MT_BOOL, .dflt = "false", .doc = "Leave files that are newer than the archive's."},
        {"list_files", MT_BOOL, .dflt = "false", .doc = "Give the names in the archive."},
        {"extra_opts", MT_LIST, .elem = MT_STR,
         .doc = "Options of tar or unzip: --strip-components=N, --no-same-owner, --exclude=PATTERN, -j."},
        {"decrypt", MT_BOOL, .dflt = "true", .doc = "Decrypt the source on the controller."},
        {"validate_certs", MT_BOOL, .dflt = "true", .doc = "Check the server's certificate."},
        {"io_buffer_size", MT_INT, .dflt = "65536", .doc = "Ignored."},
        {NULL},
};

const struct module module_row_unarchive = {
        .name = "unarchive",
        .from = "ansible.builtin",
        .doc = "Unpacks a tar or zip archive.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .mutually_exclusive = "include|exclude",
        .run = run,
};
