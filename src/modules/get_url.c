#include <ctype.h>
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
	const char *path = strstr(r ? r->url : g->url, "://");
	path = path ? strchr(path + 3, '/') : NULL;
	const char *z = path ? fs_basename(arena_strndup(m->a, path, strcspn(path, "?#"))) : "";
	return *z ? z : "index.html";
}

/* The sum in LINE of a list like sha256sum's, or "SHA256 (NAME) = SUM" as its --tag has it, and its file. */
static struct str sum_of_line(struct str line, struct str *file)
{
	struct str sum = str_split(&line, ' ');
	if (line.n && line.p[0] == '(') {
		for (size_t i = 1; i + 3 < line.n; i++)
			if (memcmp(line.p + i, ") = ", 4) == 0) {
				*file = str_n(line.p + 1, i - 1);
				return str_n(line.p + i + 4, line.n - i - 4);
			}
	}
	*file = str_trim(line);
	while (file->n && (file->p[0] == '*' || file->p[0] == '.' || file->p[0] == '/'))
		*file = str_n(file->p + 1, file->n - 1);
	return sum;
}

/* The sum for our file out of such a list, fetched from URL. */
static bool sum_from_list(struct get *g, const char *url)
{
	struct mod_ctx *m = g->m;
	struct fetched r;
	fetch_url(m,
	          &(struct fetch){.url = url,
	                          .headers = val_get(m->args, "headers"),
	                          .follow = "urllib2",
	                          .out_fd = -1},
	          &r);
	if (r.status != 200) {
		mod_sets(m, "url", url);
		mod_seti(m, "status_code", r.status);
		mod_sets(m, "response", r.msg);
		return mod_fail(m, "%s", r.status < 0 ? r.msg : "Request failed");
	}
	const char *name = name_of(g, NULL);
	struct str rest = str_trim(r.body);
	bool only = !memchr(rest.p ? rest.p : "", '\n', rest.n);
	while (rest.n) {
		struct str line = str_trim(str_split(&rest, '\n')), file;
		struct str sum = sum_of_line(line, &file);
		if (str_eqc(file, name) || (only && !file.n)) {
			g->sum = arena_strndup(m->a, sum.p, sum.n);
			return true;
		}
	}
	return mod_fail(m, "Unable to find a checksum for file '%s' in '%s'", name, url);
}

/* Without what is neither letter nor digit, of which copied text has more than is seen. */
static bool clean_sum(struct get *g)
{
	char *z = arena_strdup(g->m->a, g->sum);
	size_t n = 0;
	for (const char *p = z; *p; p++)
		if (isalnum((unsigned char)*p))
			z[n++] = (char)tolower((unsigned char)*p);
	z[n] = '\0';
	g->sum = z;
	return (n && !z[strspn(z, "0123456789abcdef")]) || mod_fail(g->m, "The checksum format is invalid");
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
	g->sum = z;
	return (!strstr(z, "://") || sum_from_list(g, z)) && clean_sum(g);
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
	if (!fs_is_dir(dir))
		return mod_fail(m, "%s %s", dir,
		                fs_exists(dir) ? "is a file but should be a directory."
		                               : "directory does not exist.");
	char *tmp = arena_printf(m->a, "%s/nante-XXXXXX", dir);
	int fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return mod_fail_sys(m, "cannot create a temporary file in %s", dir);
	struct fetch f = {.url = g->url,
	                  .headers = val_get(m->args, "headers"),
	                  .if_modified = if_modified,
	                  .follow = "urllib2",
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
