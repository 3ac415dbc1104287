#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/attrs.h"
#include "modules/users.h"

struct pack {
	struct mod_ctx *m;
	const char *dest, *format, *root;
	struct val *paths, *expanded, *excluded, *missing, *archived;
	bool whole; /* an archive; else one file is only compressed */
	char *temp;
	struct archive *out;
};

/* ---- what goes in */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The paths of a list, its patterns replaced by what they match; *PATTERNS says that there were some. */
static struct val *expand(struct mod_ctx *m, const char *name, bool *patterns)
{
	struct val *all = val_list(m->a);
	const struct val *list = mod_list(m, name);
	VAL_EACH (i, list) {
		const char *path = val_get_strz(val_at(list, i));
		glob_t g;
		if (!strpbrk(path, "*?")) {
			val_push(all, val_strz(m->a, path));
			continue;
		}
		*patterns = true;
		if (glob(path, 0, NULL, &g) != 0)
			continue;
		for (size_t k = 0; k < g.gl_pathc; k++)
			val_push(all, val_strz(m->a, g.gl_pathv[k]));
		globfree(&g);
	}
	return all;
}

static bool is_among(const struct val *list, const char *z)
{
	VAL_EACH (i, list)
		if (strcmp(val_get_strz(val_at(list, i)), z) == 0)
			return true;
	return false;
}

/* Sorted, each once, without those that are excluded. */
static void choose(struct pack *p)
{
	struct arena *a = p->m->a;
	size_t n = 0;
	const char **v = arena_array(a, val_len(p->expanded) + 1, sizeof(*v));
	VAL_EACH (i, p->expanded)
		v[n++] = val_get_strz(val_at(p->expanded, i));
	qsort(v, n, sizeof(*v), by_text);
	p->paths = val_list(a);
	for (size_t i = 0; i < n; i++)
		if ((i == 0 || strcmp(v[i], v[i - 1]) != 0) && !is_among(p->excluded, v[i]))
			val_push(p->paths, val_strz(a, v[i]));
}

/* The directory that all paths are below, with its slash: names in the archive begin behind it. */
static const char *common_root(struct pack *p)
{
	const char *first = val_get_strz(val_at(p->paths, 0));
	size_t n = strlen(first);
	VAL_EACH (i, p->paths) {
		const char *z = val_get_strz(val_at(p->paths, i));
		size_t k = 0;
		while (k < n && z[k] == first[k])
			k++;
		n = k;
	}
	while (n && first[n - 1] != '/')
		n--;
	return arena_strndup(p->m->a, first, n);
}

static struct val *joined(struct mod_ctx *m, const struct val *list)
{
	struct buf b = {0};
	VAL_EACH (i, list)
		buf_printf(&b, "%s%s", i ? ", " : "", val_get_strz(val_at(list, i)));
	struct val *v = val_str(m->a, buf_str(&b));
	buf_free(&b);
	return v;
}

static bool prepare(struct pack *p)
{
	struct mod_ctx *m = p->m;
	bool patterns = false, ignored = false;
	p->expanded = expand(m, "path", &patterns);
	p->excluded = expand(m, "exclude_path", &ignored);
	choose(p);
	mod_set(m, "expanded_paths", p->expanded);
	mod_set(m, "expanded_exclude_paths", p->excluded);
	if (!val_len(p->paths)) {
		mod_set(m, "path", joined(m, mod_list(m, "path")));
		return mod_fail(m, "Error, no source paths were found");
	}
	const char *first = val_get_strz(val_at(p->paths, 0));
	p->root = common_root(p);
	p->whole = mod_bool(m, "force_archive") || patterns || fs_is_dir(first) || val_len(p->paths) > 1;
	p->dest = mod_arg(m, "dest");
	if (!p->dest && p->whole)
		return mod_fail(m, "Error, must specify \"dest\" when archiving multiple files or trees");
	if (!p->dest)
		p->dest = arena_printf(m->a, "%s.%s", first, p->format);
	VAL_EACH (i, p->paths) {
		const char *z = val_get_strz(val_at(p->paths, i));
		const char *inside = arena_printf(m->a, "%s%s", z, str_ends(str_c(z), "/") ? "" : "/");
		if (mod_bool(m, "remove") && fs_is_dir(z) && strncmp(p->dest, inside, strlen(inside)) == 0)
			return mod_fail(m, "Error, created archive can not be contained in source paths when "
			                   "remove=true");
	}
	return true;
}

/* ---- writing */

static bool refused(struct pack *p, const char *what)
{
	const char *why = archive_error_string(p->out);
	return mod_fail(p->m, "Error when writing %s archive at %s: %s", p->format, p->dest,
	                why ? why : what);
}

static bool open_out(struct pack *p)
{
	static const struct {
		const char *format;
		int (*filter)(struct archive *);
	} filters[] = {
	        {"gz", archive_write_add_filter_gzip},
	        {"bz2", archive_write_add_filter_bzip2},
	        {"xz", archive_write_add_filter_xz},
	};
	bool zip = strcmp(p->format, "zip") == 0, tar = strcmp(p->format, "tar") == 0;
	p->out = archive_write_new();
	for (size_t i = 0; i < 3; i++)
		if (strcmp(p->format, filters[i].format) == 0 && filters[i].filter(p->out) < ARCHIVE_WARN)
			return refused(p, "it cannot be compressed so");
	if (zip)
		archive_write_set_format_zip(p->out);
	else if (p->whole || tar)
		archive_write_set_format_pax_restricted(p->out);
	else
		archive_write_set_format_raw(p->out);
	const char *dir = p->m->check ? p->m->tmp : fs_dirname(p->m->a, p->dest);
	p->temp = arena_printf(p->m->a, "%s/.ansible_tmp%sXXXXXX", dir, fs_basename(p->dest));
	int fd = mkostemp(p->temp, O_CLOEXEC);
	if (fd < 0) {
		mod_fail_sys(p->m, "Error when writing %s archive at %s", p->format, p->dest);
		p->temp = NULL;
		return false;
	}
	close(fd);
	return archive_write_open_filename(p->out, p->temp) == ARCHIVE_OK ||
	       refused(p, "it cannot be opened");
}

static bool copy_data(struct pack *p, const char *path)
{
	char chunk[65536];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return mod_fail_sys(p->m, "cannot read %s", path);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		if (archive_write_data(p->out, chunk, (size_t)n) < 0) {
			close(fd);
			return refused(p, "it cannot be written");
		}
	close(fd);
	return n == 0 || mod_fail_sys(p->m, "cannot read %s", path);
}

static void describe(struct pack *p, struct archive_entry *e, const char *path, const struct stat *st)
{
	const struct user *u = user_by_id(p->m->a, st->st_uid);
	const struct ugroup *g = group_by_id(p->m->a, st->st_gid);
	char to[4096];
	ssize_t n = S_ISLNK(st->st_mode) ? readlink(path, to, sizeof(to) - 1) : -1;
	archive_entry_copy_stat(e, st);
	if (u)
		archive_entry_set_uname(e, u->name);
	if (g)
		archive_entry_set_gname(e, g->name);
	if (n >= 0) {
		to[n] = '\0';
		archive_entry_set_symlink(e, to);
	}
	if (!S_ISREG(st->st_mode))
		archive_entry_set_size(e, 0);
}

static bool is_left_out(struct pack *p, const char *path, const char *name)
{
	const struct val *patterns = mod_list(p->m, "exclusion_patterns");
	const char *seen = strcmp(p->format, "zip") == 0 ? path : name;
	VAL_EACH (i, patterns)
		if (fnmatch(val_get_strz(val_at(patterns, i)), seen, 0) == 0)
			return true;
	return strcmp(path, p->dest) == 0 || strcmp(path, p->temp) == 0;
}

static bool add(struct pack *p, const char *path)
{
	struct mod_ctx *m = p->m;
	struct stat st;
	size_t n = strlen(p->root);
	const char *name = strncmp(path, p->root, n) == 0 ? path + n : path;
	if (is_left_out(p, path, name))
		return true;
	if (lstat(path, &st) != 0)
		return mod_fail_sys(m, "cannot read %s", path);
	if (S_ISSOCK(st.st_mode)) /* as tar: there is nothing to keep of one */
		return true;
	struct archive_entry *e = archive_entry_new();
	archive_entry_set_pathname(e, name);
	describe(p, e, path, &st);
	bool ok = archive_write_header(p->out, e) >= ARCHIVE_WARN || refused(p, "it cannot be written");
	ok = ok && (!S_ISREG(st.st_mode) || copy_data(p, path));
	archive_entry_free(e);
	if (ok)
		val_push(p->archived, val_strz(m->a, path));
	return ok;
}

/* The directory's members in order, directories with theirs behind them. */
static bool add_tree(struct pack *p, const char *dir)
{
	struct arena *a = p->m->a;
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort);
	bool ok = n >= 0 || mod_fail_sys(p->m, "cannot read %s", dir);
	for (int i = 0; i < n; i++) {
		struct stat st;
		const char *name = list[i]->d_name;
		bool real = strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
		const char *path = arena_printf(a, "%s%s%s", dir, str_ends(str_c(dir), "/") ? "" : "/", name);
		ok = ok && (!real || (add(p, path) &&
		                      (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || add_tree(p, path))));
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return ok;
}

static bool write_all(struct pack *p)
{
	if (!open_out(p))
		return false;
	VAL_EACH (i, p->paths) {
		const char *path = val_get_strz(val_at(p->paths, i));
		if (is_among(p->missing, path))
			continue;
		if (fs_is_dir(path) ? !add_tree(p, path) : !add(p, path))
			return false;
	}
	return archive_write_close(p->out) == ARCHIVE_OK || refused(p, "it cannot be ended");
}

/* ---- whether it differs from what was there */

static void hash_text(EVP_MD_CTX *h, const char *z)
{
	EVP_DigestUpdate(h, z ? z : "", strlen(z ? z : "") + 1);
}

/* A digest of all entries and their content, with how they are packed; empty when PATH is no archive. */
static struct str digest(struct pack *p, const char *path)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	struct archive *in = archive_read_new();
	struct archive_entry *e;
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	char chunk[65536];
	archive_read_support_filter_all(in);
	archive_read_support_format_tar(in);
	archive_read_support_format_zip(in);
	archive_read_support_format_raw(in);
	EVP_DigestInit_ex(h, EVP_sha256(), NULL);
	bool ok = archive_read_open_filename(in, path, sizeof(chunk)) == ARCHIVE_OK;
	while (ok) {
		int rc = archive_read_next_header(in, &e);
		if (rc == ARCHIVE_EOF)
			break;
		ok = rc >= ARCHIVE_WARN;
		bool raw = ok && archive_format(in) == ARCHIVE_FORMAT_RAW;
		if (ok && !raw) {
			hash_text(h, archive_entry_pathname(e));
			hash_text(h, archive_entry_symlink(e));
			hash_text(h,
			          arena_printf(p->m->a, "%o %lld %lld %lld", (unsigned)archive_entry_mode(e),
			                       (long long)archive_entry_mtime(e),
			                       (long long)archive_entry_uid(e),
			                       (long long)archive_entry_gid(e)));
		}
		for (la_ssize_t k; ok && (k = archive_read_data(in, chunk, sizeof(chunk))) != 0;) {
			ok = k > 0;
			if (ok)
				EVP_DigestUpdate(h, chunk, (size_t)k);
		}
	}
	hash_text(h, arena_printf(p->m->a, "%d %d", archive_filter_code(in, 0), archive_format(in)));
	EVP_DigestFinal_ex(h, md, &n);
	EVP_MD_CTX_free(h);
	archive_read_free(in);
	return ok ? str_dup(p->m->a, str_n((const char *)md, n)) : (struct str){0};
}

static bool replace(struct pack *p)
{
	struct mod_ctx *m = p->m;
	struct stat st;
	bool there = stat(p->dest, &st) == 0;
	struct str before = there ? digest(p, p->dest) : (struct str){0}, after = digest(p, p->temp);
	if (before.n && str_eq(before, after))
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	if (there && chown(p->temp, st.st_uid, st.st_gid) != 0 && errno != EPERM)
		return mod_fail_sys(m, "cannot set the owner of %s", p->temp);
	if (chmod(p->temp, there ? st.st_mode & 07777 : 0666 & ~current_umask()) != 0 ||
	    rename(p->temp, p->dest) != 0)
		return mod_fail_sys(m, "cannot replace %s", p->dest);
	p->temp = NULL;
	return true;
}

static bool remove_sources(struct pack *p)
{
	struct err e = {0};
	VAL_EACH (i, p->paths) {
		const char *path = val_get_strz(val_at(p->paths, i));
		if (!is_among(p->missing, path) && !fs_remove_tree(path, &e))
			return mod_fail_err(p->m, &e);
	}
	return true;
}

static const char *state_of(const struct pack *p, bool found)
{
	static const char *const archives[] = {".tar", ".tar.gz", ".tar.bz2", ".tar.xz",
	                                       ".tgz", ".tbz2",   ".zip"};
	bool named = false;
	for (size_t i = 0; i < sizeof(archives) / sizeof(*archives); i++)
		named = named || str_ends(str_c(p->dest), archives[i]);
	if (!fs_exists(p->dest))
		return "absent";
	if (!found)
		return named ? "archive" : "compress";
	if (p->whole)
		return val_len(p->missing) ? "incomplete" : "archive";
	return strcmp(p->format, "zip") == 0 || strcmp(p->format, "tar") == 0 ? "archive" : "compress";
}

static bool work(struct pack *p)
{
	struct mod_ctx *m = p->m;
	struct stat st;
	VAL_EACH (i, p->paths)
		if (lstat(val_get_strz(val_at(p->paths, i)), &st) != 0)
			val_push(p->missing, val_at(p->paths, i));
	bool found = val_len(p->missing) < val_len(p->paths);
	bool ok = !found ||
	          (write_all(p) && replace(p) && (m->check || !mod_bool(m, "remove") || remove_sources(p)));
	if (p->temp)
		unlink(p->temp);
	archive_write_free(p->out);
	if (!ok)
		return false;
	mod_set(m, "archived", m->check ? val_list(m->a) : p->archived);
	mod_set(m, "missing", p->missing);
	mod_sets(m, "dest_state", state_of(p, found));
	return !fs_exists(p->dest) || mod_file_args(m, p->dest);
}

static bool run(struct mod_ctx *m)
{
	struct pack p = {.m = m,
	                 .format = mod_arg(m, "format"),
	                 .missing = val_list(m->a),
	                 .archived = val_list(m->a)};
	if (!prepare(&p))
		return false;
	mod_sets(m, "dest", p.dest);
	mod_sets(m, "arcroot", p.root);
	return work(&p);
}

static const struct mod_arg args[] = {
        {"path", MT_LIST, MA_REQUIRED, .elem = MT_PATH, .doc = "Files, directories and patterns."},
        {"dest", MT_PATH, .doc = "The archive; the file's name with the format for a single file."},
        {"format", MT_STR, .dflt = "gz", .choices = "bz2|gz|tar|xz|zip", .doc = "How it is packed."},
        {"exclude_path", MT_LIST, .elem = MT_PATH, .doc = "Of the paths, those that are left out."},
        {"exclusion_patterns", MT_LIST, .elem = MT_STR, .doc = "What is left out wherever it is."},
        {"force_archive", MT_BOOL, .dflt = "false", .doc = "A single file goes into an archive as well."},
        {"remove", MT_BOOL, .dflt = "false", .doc = "Remove what was packed."},
        {NULL},
};

const struct module module_row_archive = {
        .name = "archive",
        .from = "community.general",
        .doc = "Packs files into an archive, or compresses one.",
        .args = args,
        .flags = MOD_CHECK | MOD_FILE_ARGS,
        .run = run,
};
