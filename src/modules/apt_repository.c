#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/attrs.h"
#include "modules/edit.h"

struct repo {
	struct mod_ctx *m;
	const char *source; /* the line, its blanks made single */
	struct val *added, *removed;
	bool found;
};

/* What a line of a sources.list says, commented out or not; NULL when it is no source. */
static const char *parse_line(struct mod_ctx *m, struct str line, bool *enabled)
{
	struct buf b = {0};
	const char *ret = NULL;
	line = str_trim(line);
	*enabled = !str_starts(line, "#");
	while (line.n && (line.p[0] == '#' || line.p[0] == ' '))
		line = str_n(line.p + 1, line.n - 1);
	const char *comment = line.n ? memchr(line.p, '#', line.n) : NULL;
	if (comment)
		line.n = (size_t)(comment - line.p);
	for (size_t i = 0; i < line.n; i++) {
		bool blank = isspace((unsigned char)line.p[i]);
		if (!blank)
			buf_addc(&b, line.p[i]);
		else if (b.n && b.p[b.n - 1] != ' ')
			buf_addc(&b, ' ');
	}
	while (b.n && b.p[b.n - 1] == ' ')
		b.p[--b.n] = '\0';
	if (str_starts(buf_str(&b), "deb ") || str_starts(buf_str(&b), "deb-src "))
		ret = arena_strndup(m->a, b.p, b.n);
	buf_free(&b);
	return ret;
}

/* "download.docker.com/linux/debian" is kept in download_docker_com_linux_debian.list. */
static const char *file_name(struct repo *r)
{
	struct mod_ctx *m = r->m;
	const char *given = mod_arg(m, "filename"), *p = r->source;
	struct buf b = {0};
	if (given)
		return arena_printf(m->a, given[0] == '/' ? "%s%s" : "/etc/apt/sources.list.d/%s%s", given,
		                    str_ends(str_c(given), ".list") ? "" : ".list");
	p = strchr(p, ' ') + 1;
	if (*p == '[' && strchr(p, ']'))
		p = strchr(p, ']') + 1;
	while (*p == ' ')
		p++;
	const char *scheme = strstr(p, "://"), *end = p + strcspn(p, " ");
	p = scheme && scheme < end ? scheme + 3 : p;
	const char *at = memchr(p, '@', (size_t)(end - p));
	for (p = at ? at + 1 : p; p < end; p++)
		if (isalnum((unsigned char)*p))
			buf_addc(&b, *p);
		else if (b.n && b.p[b.n - 1] != '_')
			buf_addc(&b, '_');
	while (b.n && b.p[b.n - 1] == '_')
		b.n--;
	const char *ret = arena_printf(m->a, "/etc/apt/sources.list.d/%.*s.list", (int)b.n, b.p ? b.p : "");
	buf_free(&b);
	return ret;
}

static bool save(struct repo *r, struct edit *e)
{
	struct mod_ctx *m = r->m;
	bool made = !e->existed;
	struct err err = {0};
	struct str after = edit_joined(e);
	if (str_eq(after, e->before))
		return true;
	if (!after.n && e->existed && strcmp(e->path, "/etc/apt/sources.list") != 0) {
		mod_diff_text(m, e->path, e->before, after);
		mod_changed(m);
		val_push(r->removed, val_strz(m->a, e->path));
		return m->check || unlink(e->path) == 0 || mod_fail_sys(m, "cannot remove %s", e->path);
	}
	if (made) {
		val_push(r->added, val_strz(m->a, e->path));
		if (!m->check && !fs_mkdirs(fs_dirname(m->a, e->path), 0755, &err))
			return mod_fail_err(m, &err);
	}
	if (!edit_save(e))
		return false;
	if (m->check)
		return true;
	struct stat st;
	const struct val *mode = val_get(m->args, "mode");
	bool changed = false;
	if (stat(e->path, &st) != 0)
		return mod_fail_sys(m, "%s", e->path);
	if (!mode)
		return !made || chmod(e->path, 0644) == 0 ||
		       mod_fail_sys(m, "cannot set the mode of %s", e->path);
	return set_mode(m, e->path, &st, mode, &changed);
}

/* One file: our source is enabled in it, or taken out. */
static bool visit(struct repo *r, const char *path)
{
	struct edit e;
	bool enabled, present = mod_is(r->m, "state", "present");
	if (!edit_load(&e, r->m, path))
		return false;
	for (size_t i = 0; i < e.n;) {
		const char *source = parse_line(r->m, e.lines[i], &enabled);
		if (!source || strcmp(source, r->source) != 0) {
			i++;
			continue;
		}
		r->found = true;
		if (!present) {
			edit_remove(&e, i, 1);
			continue;
		}
		if (!enabled)
			e.lines[i] = str_c(arena_printf(r->m->a, "%s\n", source));
		i++;
	}
	return save(r, &e);
}

static bool each_file(struct repo *r)
{
	struct dirent **list;
	bool ok = visit(r, "/etc/apt/sources.list");
	int n = scandir("/etc/apt/sources.list.d", &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		if (ok && name[0] != '.' && str_ends(str_c(name), ".list"))
			ok = visit(r, fs_join(r->m->a, "/etc/apt/sources.list.d", name));
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	if (!ok || r->found || mod_is(r->m, "state", "absent"))
		return ok;
	struct edit e;
	if (!edit_load(&e, r->m, file_name(r)))
		return false;
	edit_end_last(&e);
	edit_insert(&e, e.n, str_c(arena_printf(r->m->a, "%s\n", r->source)));
	return save(r, &e);
}

/* What was there before is kept, to be put back when apt does not like the new sources. */
static struct val *keep_files(struct mod_ctx *m, const struct val *diff)
{
	struct val *kept = val_map(m->a);
	VAL_EACH (i, diff) {
		const struct val *d = val_at(diff, i);
		val_set(kept, val_map_strz(d, "before_header", ""), val_get(d, "before"));
	}
	return kept;
}

static bool put_back(struct mod_ctx *m, const struct val *kept, const struct val *added)
{
	MAP_EACH (i, kept)
		if (!mod_write(m, val_get_strz(val_key_at(kept, i)), val_get_str(val_value_at(kept, i))))
			return false;
	VAL_EACH (k, added)
		if (unlink(val_get_strz(val_at(added, k))) != 0)
			return mod_fail_sys(m, "cannot remove %s", val_get_strz(val_at(added, k)));
	return true;
}

static bool update(struct mod_ctx *m, const struct val *kept, const struct val *added)
{
	int64_t tries = mod_int(m, "update_cache_retries", 5),
	        most = mod_int(m, "update_cache_retry_max_delay", 12);
	struct mod_out out = {0};
	for (int64_t i = 0, wait = 1; i < (tries > 0 ? tries : 1); i++) {
		if (i) {
			sleep((unsigned)(wait < most ? wait : most));
			wait *= 2;
		}
		if (!mod_exec(m, &out, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=60", "-o",
		              "APT::Update::Error-Mode=any", "update", NULL))
			return false;
		if (out.rc == 0)
			return true;
	}
	return put_back(m, kept, added) &&
	       mod_fail(m, "Failed to update apt cache: %.*s", STR_FMT(str_trim(out.err)));
}

static bool run(struct mod_ctx *m)
{
	struct repo r = {.m = m, .added = val_list(m->a), .removed = val_list(m->a)};
	bool enabled, diff = m->diff;
	mod_sets(m, "repo", mod_arg(m, "repo"));
	mod_sets(m, "state", mod_arg(m, "state"));
	if (!mod_args(m, "repo").n)
		return mod_fail(m, "Please set argument 'repo' to a non-empty value");
	if (str_starts(mod_args(m, "repo"), "ppa:"))
		return mod_fail(m, "%s: a PPA must be given as the \"deb\" line it stands for",
		                mod_arg(m, "repo"));
	r.source = parse_line(m, mod_args(m, "repo"), &enabled);
	if (!r.source)
		return mod_fail(m, "Invalid repository string: %s", mod_arg(m, "repo"));
	m->diff = true; /* what it replaced is needed either way */
	bool ok = each_file(&r);
	m->diff = diff;
	struct val *all = val_get(m->result, "diff");
	if (!diff)
		val_del(m->result, STR("diff"));
	mod_set(m, "sources_added", r.added);
	mod_set(m, "sources_removed", r.removed);
	if (!ok || !mod_is_changed(m) || m->check || !mod_bool(m, "update_cache"))
		return ok;
	return update(m, keep_files(m, all ? all : val_list(m->a)), r.added);
}

static const struct mod_arg args[] = {
        {"repo", MT_STR, MA_REQUIRED, .doc = "The source, as a line of sources.list."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"filename", MT_STR, .doc = "The file in sources.list.d to keep it in."},
        {"mode", MT_RAW, .doc = "The mode of that file."},
        {"codename", MT_STR, .doc = "Ignored: it is for PPAs."},
        {"update_cache", MT_BOOL, .dflt = "true", .aliases = "update-cache",
         .doc = "Run apt-get update after a change; a source that fails is taken back."},
        {"update_cache_retries", MT_INT, .dflt = "5", .doc = "How often to try that."},
        {"update_cache_retry_max_delay", MT_INT, .dflt = "12", .doc = "Seconds between, at most."},
        {"validate_certs", MT_BOOL, .dflt = "true", .doc = "Ignored: it is for PPAs."},
        {"install_python_apt", MT_BOOL, .dflt = "true", .doc = "Ignored: no Python is needed."},
        {NULL},
};

const struct module module_row_apt_repository = {
        .name = "apt_repository",
        .from = "ansible.builtin",
        .doc = "Keeps a source of packages for apt.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
