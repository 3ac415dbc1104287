#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <time.h>
#include "modules/attrs.h"
#include "modules/digest.h"
#include "modules/regex.h"

struct pattern {
	const char *glob;
	const struct regex *re; /* instead of it */
};

struct find {
	struct mod_ctx *m;
	struct pattern *patterns, *excludes;
	size_t n_patterns, n_excludes;
	const struct regex *contains;
	bool has_age, has_size, has_mode;
	int64_t age, size, depth, limit, examined;
	mode_t mode;
	time_t now;
	struct val *files, *skipped;
};

/* "-10k" by UNITS, the factor of each letter. False when Z is no such number. */
static bool parse_amount(const char *z, const char *letters, const int64_t *units, int64_t *ret)
{
	char *end;
	errno = 0;
	long long n = strtoll(z, &end, 10);
	if (errno || end == z)
		return false;
	int64_t unit = 1;
	if (*end) {
		const char *at = strchr(letters, *end | 0x20);
		if (!at || end[1])
			return false;
		unit = units[at - letters];
	}
	return !__builtin_mul_overflow((int64_t)n, unit, ret);
}

static bool make_patterns(struct find *f, const char *arg, struct pattern **ret, size_t *n)
{
	struct mod_ctx *m = f->m;
	const struct val *list = mod_list(m, arg);
	struct err e = {0};
	*n = val_len(list);
	*ret = arena_array(m->a, *n, sizeof(**ret));
	VAL_EACH (i, list) {
		struct str s = val_text(val_at(list, i), m->a);
		(*ret)[i].glob = arena_strndup(m->a, s.p, s.n);
		if (mod_bool(m, "use_regex") && !((*ret)[i].re = regex_new(m->a, s, REGEX_UTF8, &e)))
			return mod_fail_err(m, &e);
	}
	return true;
}

static bool matches_any(const struct pattern *p, size_t n, const char *name)
{
	for (; n; n--, p++) {
		struct regex_match mt;
		if (!p->re ? fnmatch(p->glob, name, FNM_NOESCAPE) == 0
		           : regex_search(p->re, str_c(name), 0, &mt) && mt.start[0] == 0)
			return true;
	}
	return false;
}

static bool name_fits(const struct find *f, const char *name)
{
	return (!f->n_patterns || matches_any(f->patterns, f->n_patterns, name)) &&
	       !matches_any(f->excludes, f->n_excludes, name);
}

static bool age_fits(const struct find *f, const struct stat *st)
{
	if (!f->has_age)
		return true;
	const struct timespec *t = mod_is(f->m, "age_stamp", "atime")   ? &st->st_atim
	                           : mod_is(f->m, "age_stamp", "ctime") ? &st->st_ctim
	                                                                : &st->st_mtim;
	int64_t age = f->now - t->tv_sec;
	return f->age >= 0 ? age >= f->age : age <= -f->age;
}

static bool size_fits(const struct find *f, const struct stat *st)
{
	return !f->has_size || (f->size >= 0 ? st->st_size >= f->size : st->st_size <= -f->size);
}

static bool mode_fits(const struct find *f, const struct stat *st)
{
	if (!f->has_mode)
		return true;
	mode_t have = st->st_mode & 07777;
	return mod_bool(f->m, "exact_mode") ? have == f->mode : (have & f->mode) != 0;
}

/* "contains": a match at the beginning of a line, or anywhere in the whole file. A file that cannot be read
 * contains nothing. */
static bool content_fits(const struct find *f, const char *path)
{
	struct buf b = {0};
	struct err e = {0};
	struct regex_match mt;
	bool hit = false;
	if (!f->contains)
		return true;
	if (!fs_read(path, &b, &e)) {
		mod_warn(f->m, "%s: %s", path, err_msg(&e));
		err_clear(&e);
		return false;
	}
	struct str rest = buf_str(&b);
	if (mod_bool(f->m, "read_whole_file"))
		hit = regex_search(f->contains, rest, 0, NULL);
	while (!hit && rest.n && !mod_bool(f->m, "read_whole_file")) {
		const char *nl = memchr(rest.p, '\n', rest.n);
		size_t n = nl ? (size_t)(nl - rest.p) + 1 : rest.n;
		hit = regex_search(f->contains, str_n(rest.p, n), 0, &mt) && mt.start[0] == 0;
		rest = str_n(rest.p + n, rest.n - n);
	}
	buf_free(&b);
	return hit;
}

static bool fits(const struct find *f, const char *path, const char *name, const struct stat *st)
{
	struct mod_ctx *m = f->m;
	if (!name_fits(f, name) || !age_fits(f, st) || !mode_fits(f, st))
		return false;
	if (mod_is(m, "file_type", "any"))
		return !S_ISREG(st->st_mode) || size_fits(f, st);
	if (mod_is(m, "file_type", "directory"))
		return S_ISDIR(st->st_mode);
	if (mod_is(m, "file_type", "link"))
		return S_ISLNK(st->st_mode);
	return S_ISREG(st->st_mode) && size_fits(f, st) && content_fits(f, path);
}

static bool add(struct find *f, const char *path, const struct stat *st)
{
	struct val *r = val_map(f->m->a);
	struct err e = {0};
	val_set(r, "path", val_strz(f->m->a, path));
	stat_kind(f->m, r, st->st_mode);
	stat_numbers(f->m, r, st);
	stat_group(f->m, r, st->st_gid);
	stat_user(f->m, r, st->st_uid);
	stat_bits(r, st->st_mode);
	if (mod_bool(f->m, "get_checksum") && S_ISREG(st->st_mode)) {
		const char *sum = digest_file(f->m->a, mod_arg(f->m, "checksum_algorithm"), path, &e);
		if (!sum)
			return mod_fail_err(f->m, &e);
		val_set(r, "checksum", val_strz(f->m->a, sum));
	}
	val_push(f->files, r);
	return true;
}

static void skip(struct find *f, const char *path, const char *why)
{
	val_set(f->skipped, path, val_strz(f->m->a, why));
	mod_warn(f->m, "Skipped '%s' path due to this access issue: %s", path, why);
}

static bool is_full(const struct find *f)
{
	return f->limit && (int64_t)val_len(f->files) >= f->limit;
}

static bool visit(struct find *f, const char *path, const char *name)
{
	struct stat st;
	if ((name[0] == '.' && !mod_bool(f->m, "hidden")) || is_full(f))
		return true;
	if (lstat(path, &st) != 0)
		return errno == ENOENT || mod_fail_sys(f->m, "%s", path);
	return !fits(f, path, name, &st) || add(f, path, &st);
}

static bool is_dir_entry(const struct find *f, const char *path, bool *descend)
{
	struct stat st, at;
	bool dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	*descend = dir && (mod_bool(f->m, "follow") || (lstat(path, &at) == 0 && !S_ISLNK(at.st_mode)));
	return dir;
}

/* LEVEL counts from 1. Files come before directories, and both before what the directories hold. */
static bool walk(struct find *f, const char *dir, int64_t level)
{
	struct dirent **list;
	bool ok = true, below = mod_bool(f->m, "recurse") && (!f->depth || level < f->depth) && level < 200;
	int n = scandir(dir, &list, NULL, alphasort);
	if (n < 0) {
		skip(f, dir, strerror(errno));
		return true;
	}
	for (int pass = 0; pass < 3; pass++)
		for (int i = 0; i < n && ok; i++) {
			const char *name = list[i]->d_name;
			bool descend;
			if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
				continue;
			const char *path = fs_join(f->m->a, dir, name);
			bool is_dir = is_dir_entry(f, path, &descend);
			if (pass == 2)
				ok = !below || !descend || is_full(f) || walk(f, path, level + 1);
			else if (is_dir == (pass == 1))
				ok = visit(f, path, name);
			f->examined += pass == 0;
		}
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	return ok;
}

static bool prepare(struct find *f)
{
	static const int64_t seconds[] = {1, 60, 3600, 86400, 604800};
	static const int64_t bytes[] = {1, 1024, 1 << 20, 1 << 30, (int64_t)1 << 40};
	struct mod_ctx *m = f->m;
	struct err e = {0};
	const struct val *mode = val_get(m->args, "mode");
	const char *why = NULL;
	f->has_age = mod_has(m, "age");
	f->has_size = mod_has(m, "size");
	f->has_mode = mode != NULL;
	if (f->has_age && !parse_amount(mod_arg(m, "age"), "smhdw", seconds, &f->age))
		return mod_fail(m, "failed to process age");
	if (f->has_size && !parse_amount(mod_arg(m, "size"), "bkmgt", bytes, &f->size))
		return mod_fail(m, "failed to process size");
	if (mode && !mode_parse(m->a, mode, 0, false, 0, &f->mode, &why))
		return mod_fail(m, "%s", why);
	if (mod_has(m, "limit") && f->limit < 1)
		return mod_fail(m, "limit cannot be %lld (use None for unlimited)", (long long)f->limit);
	if (mod_has(m, "contains") && mod_is(m, "file_type", "file") &&
	    !(f->contains = regex_new(m->a, mod_args(m, "contains"), REGEX_MULTILINE | REGEX_UTF8, &e)))
		return mod_fail_err(m, &e);
	return make_patterns(f, "patterns", &f->patterns, &f->n_patterns) &&
	       make_patterns(f, "excludes", &f->excludes, &f->n_excludes);
}

static bool run(struct mod_ctx *m)
{
	struct find f = {
	        .m = m,
	        .files = val_list(m->a),
	        .skipped = val_map(m->a),
	        .now = time(NULL),
	        .depth = mod_int(m, "depth", 0),
	        .limit = mod_int(m, "limit", 0),
	};
	const struct val *paths = mod_list(m, "paths");
	if (!prepare(&f))
		return false;
	VAL_EACH (i, paths) {
		struct str s = val_text(val_at(paths, i), m->a);
		const char *path = mod_expand(m, arena_strndup(m->a, s.p, s.n));
		if (!fs_is_dir(path))
			skip(&f, path, arena_printf(m->a, "'%s' is not a directory", path));
		else if (!is_full(&f) && !walk(&f, path, 1))
			return false;
	}
	mod_set(m, "files", f.files);
	mod_seti(m, "matched", (int64_t)val_len(f.files));
	mod_seti(m, "examined", f.examined);
	mod_set(m, "skipped_paths", f.skipped);
	return mod_done(m, false, "%s",
	                val_len(f.skipped) ? "Not all paths examined, check warnings for details"
	                : is_full(&f)      ? "Limit of matches reached"
	                                   : "All paths examined");
}

static const struct mod_arg args[] = {
        {"paths", MT_LIST, MA_REQUIRED, .aliases = "name|path", .doc = "The directories to search."},
        {"patterns", MT_LIST, .aliases = "pattern",
         .doc = "Base names to find: globs, or regular expressions."},
        {"excludes", MT_LIST, .aliases = "exclude", .doc = "Base names to leave out."},
        {"use_regex", MT_BOOL, .dflt = "false", .doc = "Patterns are regular expressions."},
        {"contains", MT_STR, .doc = "A regular expression a line of the file must begin with."},
        {"read_whole_file", MT_BOOL, .dflt = "false", .doc = "contains looks anywhere in the whole file."},
        {"file_type", MT_STR, .dflt = "file", .choices = "any|directory|file|link", .doc = "What to find."},
        {"age", MT_STR, .doc = "At least this old (s m h d w), at most when negative."},
        {"age_stamp", MT_STR, .dflt = "mtime", .choices = "atime|ctime|mtime",
         .doc = "Which time is its age."},
        {"size", MT_STR, .doc = "At least this large (b k m g t), at most when negative."},
        {"mode", MT_RAW, .doc = "Bits of which one must be set, or with exact_mode all its bits."},
        {"exact_mode", MT_BOOL, .dflt = "true", .doc = "The mode must be equal."},
        {"recurse", MT_BOOL, .dflt = "false", .doc = "Search the directories below as well."},
        {"depth", MT_INT, .doc = "How many levels to descend."},
        {"limit", MT_INT, .doc = "How many to find at most."},
        {"hidden", MT_BOOL, .dflt = "false", .doc = "Find what begins with a dot, too."},
        {"follow", MT_BOOL, .dflt = "false", .doc = "Descend into symbolic links."},
        {"get_checksum", MT_BOOL, .dflt = "false", .doc = "Give the checksum of each file."},
        {"checksum_algorithm", MT_STR, .dflt = "sha1", .choices = "md5|sha1|sha224|sha256|sha384|sha512",
         .aliases = "checksum|checksum_algo", .doc = "How to compute it."},
        {"encoding", MT_STR, .doc = "Ignored: content is searched as bytes."},
        {NULL},
};

const struct module module_row_find = {
        .name = "find",
        .from = "ansible.builtin",
        .doc = "Finds files by name, age, size or content.",
        .args = args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        .run = run,
};
