#include "modules/digest.h"
#include "modules/fragments.h"
#include "modules/module.h"

static bool read_fragment(void *ctx, const char *path, struct str *ret, struct err *err)
{
	struct mod_ctx *m = ctx;
	struct buf b;
	buf_init(&b, FS_READ_MAX);
	bool ok = fs_read(path, &b, err);
	if (ok)
		*ret = buf_take(&b, m->a);
	buf_free(&b);
	return ok;
}

static bool get_data(struct mod_ctx *m, struct str *ret)
{
	const char *src = mod_arg(m, "src");
	struct fragments f = {.dir = src,
	                      .between = mod_args(m, "delimiter"),
	                      .skip_hidden = mod_bool(m, "ignore_hidden"),
	                      .read = read_fragment,
	                      .ctx = m};
	struct err e = {0};
	struct buf b;
	buf_init(&b, FS_READ_MAX);
	/* Fragments on the controller arrive in one piece. */
	if (m->content_sha256.n)
		return mod_content(m, ret);
	if (!fs_exists(src))
		return mod_fail(m, "Source (%s) does not exist", src);
	if (!fs_is_dir(src))
		return mod_fail(m, "Source (%s) is not a directory", src);
	if (mod_has(m, "regexp") && !(f.re = regex_new(m->a, mod_args(m, "regexp"), REGEX_UTF8, &e)))
		return mod_fail(m, "Invalid Regexp (%s) in \"%s\"", err_msg(&e), mod_arg(m, "regexp"));
	bool ok = fragments_join(&f, m->a, &b, &e) || mod_fail_err(m, &e);
	*ret = buf_take(&b, m->a);
	buf_free(&b);
	return ok;
}

static bool run(struct mod_ctx *m)
{
	const char *dest = mod_arg(m, "dest");
	struct str data, old;
	if (!get_data(m, &data))
		return false;
	if (fs_is_dir(dest))
		return mod_fail(m, "attempted to take checksum of directory: %s", dest);
	if (!mod_read_maybe(m, dest, &old))
		return false;
	if (!old.p || !str_eq(old, data)) {
		mod_diff_text(m, dest, old, data);
		if (!mod_replace(m, dest, data))
			return false;
		mod_changed(m);
	}
	mod_sets(m, "src", mod_arg(m, "src"));
	mod_sets(m, "dest", dest);
	mod_sets(m, "checksum", digest_str(m->a, "sha1", data));
	const char *md5 = digest_str(m->a, "md5", data);
	mod_set(m, "md5sum", md5 ? val_strz(m->a, md5) : val_null());
	mod_sets(m, "msg", "OK");
	return mod_file_args(m, dest);
}

static const struct mod_arg args[] = {
        {"src", MT_PATH, MA_REQUIRED, .doc = "The directory of fragments."},
        {"dest", MT_PATH, MA_REQUIRED, .doc = "The file to make of them."},
        {"delimiter", MT_STR, .doc = "What to put between them."},
        {"remote_src", MT_BOOL, .dflt = "true", .doc = "src is on the host."},
        {"regexp", MT_STR, .doc = "Only files whose name it matches."},
        {"ignore_hidden", MT_BOOL, .dflt = "false", .doc = "Leave out names that begin with a dot."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"validate", MT_STR, .doc = "A command that must accept the new file, given as %s."},
        {"decrypt", MT_BOOL, .dflt = "true", .doc = "Decrypt the sources on the controller."},
        {NULL},
};

const struct module module_row_assemble = {
        .name = "assemble",
        .from = "ansible.builtin",
        .doc = "Makes one file of the fragments in a directory.",
        .args = args,
        .flags = MOD_DIFF | MOD_FILE_ARGS,
        .run = run,
};
