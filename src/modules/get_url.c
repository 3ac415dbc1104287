#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include "modules/digest.h"
#include "modules/fetch_url.h"

struct get {
	struct mod_ctx *m;
	const char *url, *dest;
	const char *algorithm, *sum; /* sum NULL: none asked for */
	bool force;
};

static const char *name_of(struct get *g, const struct fetched *r)
{
	struct mod_ctx *m = g->m;
	struct val *how = r ? val_get(r->headers, "content_disposition") : NULL;
	const char *at = how ? strstr(val_get_strz(how), "filename=") : NULL;
	if (at) {
		struct str s = str_trim(str_n(at + 9, strcspn(at + 9, ";")));
		if (s.n >= 2 && s.p[0] == '"')
			s = str_n(s.p + 1, s.n - 2);
		const char *z = fs_basename(arena_strndup(m->a, s.p, s.n));
		if (*z)
			return z;
	}
	const char *path = strstr(g->url, "://");
	path = path ? strchr(path + 3, '/') : NULL;
	const char *z = path ? fs_basename(arena_strndup(m->a, path, strcspn(path, "?#"))) : "";
	return *z ? z : "index.html";
}

/* The sum for our file out of a list like sha256sum's, fetched from URL. */
static bool sum_from_list(struct get *g, const char *url)
{
	struct mod_ctx *m = g->m;
	struct fetched r;
	fetch_url(m, &(struct fetch){.url = url, .follow = "all", .out_fd = -1}, &r);
	if (r.status != 200)
		return mod_fail(m, "Unable to fetch the checksum file %s: %s", url, r.msg);
	const char *name = name_of(g, NULL);
	struct str rest = r.body, only = {0};
	size_t lines = 0;
	while (rest.p && rest.n) {
		struct str line = str_trim(str_split(&rest, '\n')), sum = line;
		size_t n = 0;
		while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
			n++;
		sum.n = n;
		struct str file = str_trim(str_n(line.p + n, line.n - n));
		while (file.n && (file.p[0] == '*' || str_starts(file, "./")))
			file = str_n(file.p + (file.p[0] == '*' ? 1 : 2),
			             file.n - (file.p[0] == '*' ? 1 : 2));
		if (!line.n)
			continue;
		lines++;
		only = sum;
		if (str_eqc(file, name)) {
			g->sum = arena_strndup(m->a, sum.p, sum.n);
			return true;
		}
	}
	if (lines == 1) {
		g->sum = arena_strndup(m->a, only.p, only.n);
		return true;
	}
	return mod_fail(m, "Unable to find a checksum for file '%s' in '%s'", name, url);
}

static bool parse_checksum(struct get *g)
{
	struct mod_ctx *m = g->m;
	struct str value = mod_args(m, "checksum"), algorithm;
	if (!str_trim(value).n)
		return true;
	algorithm = str_trim(str_split(&value, ':'));
	if (!value.p)
		return mod_fail(m, "The checksum parameter has to be in format <algorithm>:<checksum>");
	value = str_trim(value);
	g->algorithm = arena_strndup(m->a, algorithm.p, algorithm.n);
	if (!digest_str(m->a, g->algorithm, STR("")))
		return mod_fail(m, "Unsupported checksum algorithm: %s", g->algorithm);
	const char *z = arena_strndup(m->a, value.p, value.n);
	if (strstr(z, "://"))
		return sum_from_list(g, z);
	g->sum = z;
	return true;
}

static bool sum_matches(struct get *g, const char *path, const char **ret)
{
	struct err e = {0};
	*ret = digest_file(g->m->a, g->algorithm, path, &e);
	err_clear(&e);
	return *ret && strcasecmp(*ret, g->sum) == 0;
}

static const char *http_date(struct arena *a, time_t t)
{
	char z[64];
	struct tm tm;
	strftime(z, sizeof(z), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
	return arena_strdup(a, z);
}

/* The downloaded file TMP to its place. */
static bool put(struct get *g, const char *tmp)
{
	struct mod_ctx *m = g->m;
	struct err e = {0};
	struct str data;
	const char *src = digest_file(m->a, "sha1", tmp, &e), *got;
	const char *old = fs_exists(g->dest) ? digest_file(m->a, "sha1", g->dest, &e) : NULL;
	if (!src)
		return mod_fail_err(m, &e);
	err_clear(&e);
	mod_sets(m, "checksum_src", src);
	mod_set(m, "checksum_dest", old ? val_strz(m->a, old) : val_null());
	if (g->sum && !sum_matches(g, tmp, &got))
		return mod_fail(m, "The checksum for %s did not match %s; it was %s.", g->dest, g->sum,
		                got ? got : "unreadable");
	if (!old || strcmp(old, src) != 0) {
		if (!mod_read(m, tmp, &data) || !mod_write(m, g->dest, data))
			return false;
		mod_changed(m);
	}
	if ((!m->check || old) && !mod_file_args(m, g->dest))
		return false;
	const char *md5 = digest_file(m->a, "md5", m->check && !old ? tmp : g->dest, &e);
	err_clear(&e);
	mod_set(m, "md5sum", md5 ? val_strz(m->a, md5) : val_null());
	return true;
}

static bool download(struct get *g, const char *if_modified, bool into_dir)
{
	struct mod_ctx *m = g->m;
	struct fetched r;
	const char *dir = mod_has(m, "tmp_dest") ? mod_arg(m, "tmp_dest") : m->tmp;
	char *tmp = arena_printf(m->a, "%s/nante-XXXXXX", dir);
	int fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return mod_fail_sys(m, "cannot create a temporary file in %s", dir);
	struct fetch f = {.url = g->url,
	                  .headers = val_get(m->args, "headers"),
	                  .if_modified = if_modified,
	                  .follow = "all",
	                  .out_fd = fd};
	fetch_url(m, &f, &r);
	close(fd);
	mod_seti(m, "elapsed", (int64_t)r.seconds);
	mod_sets(m, "msg", r.msg);
	bool ok;
	if (r.status == 304) {
		mod_seti(m, "status_code", 304);
		ok = mod_file_args(m, g->dest);
	} else if (r.status == -1) {
		mod_setb(m, "failed", true);
		ok = mod_fail(m, "%s", r.msg);
	} else if (r.status != 200) {
		mod_seti(m, "status_code", r.status);
		mod_sets(m, "response", r.msg);
		ok = mod_fail(m, "Request failed");
	} else {
		if (into_dir)
			g->dest = fs_join(m->a, g->dest, name_of(g, &r));
		mod_sets(m, "dest", g->dest);
		mod_sets(m, "src", tmp);
		mod_seti(m, "status_code", r.status);
		ok = put(g, tmp);
	}
	unlink(tmp);
	return ok;
}

static bool run(struct mod_ctx *m)
{
	struct get g = {
	        .m = m, .url = mod_arg(m, "url"), .dest = mod_arg(m, "dest"), .force = mod_bool(m, "force")};
	struct stat st;
	const char *since = NULL, *got;
	mod_sets(m, "url", g.url);
	mod_sets(m, "dest", g.dest);
	if (!parse_checksum(&g))
		return false;
	bool dir = fs_is_dir(g.dest);
	if (!dir && stat(g.dest, &st) == 0 && !g.force) {
		if (g.sum && sum_matches(&g, g.dest, &got)) {
			if (!mod_file_args(m, g.dest))
				return false;
			mod_set(m, "checksum_src", val_null());
			mod_set(m, "checksum_dest", val_null());
			mod_sets(m, "msg",
			         mod_is_changed(m) ? "file already exists but file attributes changed"
			                           : "file already exists");
			return true;
		}
		if (!g.sum)
			since = http_date(m->a, st.st_mtime);
	}
	if (!dir && !fs_is_dir(fs_dirname(m->a, g.dest)))
		return mod_fail(m, "Destination %s does not exist", fs_dirname(m->a, g.dest));
	return download(&g, since, dir);
}

static const struct mod_arg args[] = {
        {"url", MT_STR, MA_REQUIRED, .doc = "What to fetch."},
        {"dest", MT_PATH, MA_REQUIRED, .doc = "Where to: a file or a directory."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Fetch it even when it has not changed."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"checksum", MT_STR, .dflt = "", .doc = "ALGORITHM:SUM, or ALGORITHM:URL of a list of sums."},
        {"headers", MT_DICT, .doc = "Headers to send."},
        {"tmp_dest", MT_PATH, .doc = "Where to put the download first."},
        FETCH_ARGS,
        {NULL},
};

const struct module module_row_get_url = {
        .name = "get_url",
        .from = "ansible.builtin",
        .doc = "Fetches a file from a web server.",
        .args = args,
        .flags = MOD_CHECK | MOD_FILE_ARGS,
        .run = run,
};
