#include <ctype.h>
#include <unistd.h>
#include "modules/attrs.h"
#include "modules/fetch_url.h"
#include "modules/pgp.h"

struct source {
	struct mod_ctx *m;
	const char *slug, *path;
	const char *signed_by; /* as the file says it, or NULL */
	const char *key_file;  /* where the key is: fetched, or named; or NULL */
};

/* "Docker CE" is docker-ce. */
static const char *make_slug(struct mod_ctx *m, const char *name)
{
	struct buf b = {0};
	for (; *name; name++) {
		char c = (char)tolower((unsigned char)*name);
		if (c == '_' || isspace((unsigned char)c)) {
			if (name[1] != '_' && !isspace((unsigned char)name[1]))
				buf_addc(&b, '-');
		} else if (isalnum((unsigned char)c) || c == '-') {
			buf_addc(&b, c);
		}
	}
	const char *ret = arena_strndup(m->a, b.p ? b.p : "", b.n);
	buf_free(&b);
	return ret;
}

static bool set_file_mode(struct mod_ctx *m, const char *path, const struct val *mode)
{
	struct stat st;
	bool changed = false;
	if (m->check && !fs_exists(path))
		return true;
	if (stat(path, &st) != 0)
		return mod_fail_sys(m, "%s", path);
	if (!set_mode(m, path, &st, mode, &changed))
		return false;
	if (changed)
		mod_changed(m);
	return true;
}

static bool put_file(struct source *s, const char *path, struct str data, const struct val *mode)
{
	struct mod_ctx *m = s->m;
	struct str old;
	struct err e = {0};
	if (!mod_read_maybe(m, path, &old))
		return false;
	if (!old.p || !str_eq(old, data)) {
		mod_changed(m);
		if (str_is_utf8(data))
			mod_diff_text(m, path, old, data);
		if (!m->check && !fs_mkdirs(fs_dirname(m->a, path), 0755, &e))
			return mod_fail_err(m, &e);
		if (!mod_write(m, path, data))
			return false;
	}
	return set_file_mode(m, path, mode);
}

/* A key is given by its address, by its file, as a text, or by its fingerprint. */
static bool get_key(struct source *s)
{
	struct mod_ctx *m = s->m;
	const char *by = mod_arg(m, "signed_by");
	struct fetched got;
	struct stat st;
	s->signed_by = by;
	if (by && stat(by, &st) == 0 && S_ISREG(st.st_mode))
		s->key_file = by;
	if (!by || s->key_file || !strstr(by, "://"))
		return true;
	fetch_url(m, &(struct fetch){.url = by, .out_fd = -1}, &got);
	if (got.status != 200)
		return mod_fail(m, "Could not fetch signed_by key: %s", got.msg);
	s->key_file = arena_printf(m->a, "/etc/apt/keyrings/%s.%s", s->slug,
	                           pgp_is_armored(got.body) ? "asc" : "gpg");
	s->signed_by = s->key_file;
	struct str packets;
	if (!pgp_packets(m->a, got.body, &packets))
		return mod_fail(m, "there is no key at %s", by);
	return put_file(s, s->key_file, got.body, val_strz(m->a, "0644"));
}

static void add_field(struct buf *b, const char *name, struct str v)
{
	buf_printf(b, "%s:", name);
	if (!memchr(v.p ? v.p : "", '\n', v.n)) {
		buf_printf(b, " %.*s\n", STR_FMT(v));
		return;
	}
	buf_addc(b, '\n');
	v = str_trim(v);
	while (v.p) {
		struct str line = str_trim(str_split(&v, '\n'));
		buf_printf(b, "    %.*s\n", STR_FMT(line.n ? line : STR(".")));
	}
}

static struct str field_text(struct mod_ctx *m, const struct val *v)
{
	if (val_kind(v) == VAL_BOOL)
		return str_c(val_get_bool(v) ? "yes" : "no");
	if (!val_is_list(v))
		return val_text(v, m->a);
	struct buf b = {0};
	VAL_EACH (i, v) {
		if (i)
			buf_addc(&b, ' ');
		buf_addstr(&b, val_text(val_at(v, i), m->a));
	}
	struct str ret = buf_take(&b, m->a);
	buf_free(&b);
	return ret;
}

static struct str make_text(struct source *s)
{
	static const struct {
		const char *arg, *field;
	} fields[] = {
	        {"allow_downgrade_to_insecure", "Allow-Downgrade-To-Insecure"},
	        {"allow_insecure", "Allow-Insecure"},
	        {"allow_weak", "Allow-Weak"},
	        {"architectures", "Architectures"},
	        {"by_hash", "By-Hash"},
	        {"check_date", "Check-Date"},
	        {"check_valid_until", "Check-Valid-Until"},
	        {"components", "Components"},
	        {"date_max_future", "Date-Max-Future"},
	        {"enabled", "Enabled"},
	        {"exclude", "Exclude"},
	        {"include", "Include"},
	        {"inrelease_path", "Inrelease-Path"},
	        {"languages", "Languages"},
	        {"name", "X-Repolib-Name"},
	        {"pdiffs", "Pdiffs"},
	        {"signed_by", "Signed-By"},
	        {"suites", "Suites"},
	        {"targets", "Targets"},
	        {"trusted", "Trusted"},
	        {"types", "Types"},
	        {"uris", "URIs"},
	};
	struct mod_ctx *m = s->m;
	struct buf b = {0};
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		const struct val *v = val_get(m->args, fields[i].arg);
		if (v && strcmp(fields[i].arg, "signed_by") == 0)
			add_field(&b, fields[i].field, str_c(s->signed_by));
		else if (v)
			add_field(&b, fields[i].field, field_text(m, v));
	}
	struct str ret = buf_take(&b, m->a);
	buf_free(&b);
	return ret;
}

static bool remove_file(struct mod_ctx *m, const char *path)
{
	if (!fs_exists(path))
		return true;
	mod_changed(m);
	return m->check || unlink(path) == 0 || mod_fail_sys(m, "cannot remove %s", path);
}

static bool make_absent(struct source *s)
{
	struct mod_ctx *m = s->m;
	mod_set(m, "repo", val_null());
	mod_setf(m, "key_filename", "/etc/apt/keyrings/%s.gpg", s->slug);
	return remove_file(m, s->path) &&
	       remove_file(m, arena_printf(m->a, "/etc/apt/keyrings/%s.asc", s->slug)) &&
	       remove_file(m, arena_printf(m->a, "/etc/apt/keyrings/%s.gpg", s->slug));
}

static bool run(struct mod_ctx *m)
{
	struct source s = {.m = m, .slug = make_slug(m, mod_arg(m, "name"))};
	const struct val *mode = val_get(m->args, "mode");
	if (!*s.slug)
		return mod_fail(m, "name must have a letter or digit in it");
	s.path = arena_printf(m->a, "/etc/apt/sources.list.d/%s.sources", s.slug);
	mod_sets(m, "dest", s.path);
	if (mod_is(m, "state", "absent"))
		return make_absent(&s);
	if (!get_key(&s))
		return false;
	struct str text = make_text(&s);
	mod_setstr(m, "repo", text);
	mod_set(m, "key_filename", s.key_file ? val_strz(m->a, s.key_file) : val_null());
	return put_file(&s, s.path, text, mode ? mode : val_strz(m->a, "0644"));
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The source's name, and its file's."},
        {"uris", MT_LIST, .elem = MT_STR, .doc = "Where the archive is."},
        {"suites", MT_LIST, .elem = MT_STR, .doc = "Its suites, or a path that ends in a slash."},
        {"components", MT_LIST, .elem = MT_STR, .doc = "Its components."},
        {"types", MT_LIST, .elem = MT_STR, .dflt = "deb", .choices = "deb|deb-src", .doc = "deb, deb-src."},
        {"signed_by", MT_STR, .doc = "The key: an address, a file, its text or its fingerprint."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"enabled", MT_BOOL, .doc = "Whether apt uses it."},
        {"mode", MT_RAW, .dflt = "0644", .doc = "The file's mode."},
        {"architectures", MT_LIST, .elem = MT_STR, .doc = "Architectures to fetch."},
        {"languages", MT_LIST, .elem = MT_STR, .doc = "Languages to fetch."},
        {"targets", MT_LIST, .elem = MT_STR, .doc = "Download targets."},
        {"include", MT_LIST, .elem = MT_STR, .doc = "Packages to see, and no others."},
        {"exclude", MT_LIST, .elem = MT_STR, .doc = "Packages not to see."},
        {"trusted", MT_BOOL, .doc = "Trust it whoever signed it."},
        {"allow_insecure", MT_BOOL, .doc = "Allow an unsigned archive."},
        {"allow_weak", MT_BOOL, .doc = "Allow weak signatures."},
        {"allow_downgrade_to_insecure", MT_BOOL, .doc = "Allow it to become unsigned."},
        {"by_hash", MT_BOOL, .doc = "Fetch indexes by their hashes."},
        {"check_date", MT_BOOL, .doc = "Check the Release file's date."},
        {"check_valid_until", MT_BOOL, .doc = "Check how long it is valid."},
        {"date_max_future", MT_INT, .doc = "How far ahead its date may be."},
        {"inrelease_path", MT_STR, .doc = "Where its InRelease file is."},
        {"pdiffs", MT_BOOL, .doc = "Fetch differences of indexes."},
        {"install_python_debian", MT_BOOL, .dflt = "false", .doc = "Ignored: no Python is needed."},
        {NULL},
};

const struct module module_row_deb822_repository = {
        .name = "deb822_repository",
        .from = "ansible.builtin",
        .doc = "Keeps a source of packages for apt in a file of its own.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
