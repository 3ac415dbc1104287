#include <dirent.h>
#include <stdlib.h>
#include "modules/digest.h"
#include "modules/module.h"
#include "modules/regex.h"

/* \n, \t and \\ in a delimiter. */
static struct str unescape(struct mod_ctx *m, struct str s)
{
	struct buf b = {0};
	for (size_t i = 0; i < s.n; i++) {
		bool esc = s.p[i] == '\\' && i + 1 < s.n && strchr("nrt\\'\"", s.p[i + 1]);
		char c = esc ? s.p[++i] : s.p[i];
		buf_addc(&b, !esc ? c : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c);
	}
	struct str ret = buf_take(&b, m->a);
	buf_free(&b);
	return ret;
}

static bool is_fragment(const struct mod_ctx *m, const struct regex *re, const char *path, const char *name)
{
	struct stat st;
	return (!re || regex_search(re, str_c(name), 0, NULL)) &&
	       !(name[0] == '.' && mod_bool(m, "ignore_hidden")) && stat(path, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

static bool join(struct mod_ctx *m, const char *src, const struct regex *re, struct buf *out)
{
	struct dirent **list;
	struct str between = unescape(m, mod_args(m, "delimiter")), data;
	bool ok = true, first = true;
	int n = scandir(src, &list, NULL, alphasort);
	if (n < 0)
		return mod_fail_sys(m, "cannot read %s", src);
	for (int i = 0; i < n && ok; i++) {
		const char *path = fs_join(m->a, src, list[i]->d_name);
		if (!is_fragment(m, re, path, list[i]->d_name))
			continue;
		if (!(ok = mod_read(m, path, &data)))
			break;
		/* Fragments and delimiters never share a line. */
		if (out->n && out->p[out->n - 1] != '\n')
			buf_addc(out, '\n');
		if (!first && between.n) {
			buf_addstr(out, between);
			if (between.p[between.n - 1] != '\n')
				buf_addc(out, '\n');
		}
		buf_addstr(out, data);
		first = false;
	}
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	return ok;
}

static bool get_data(struct mod_ctx *m, struct str *ret)
{
	const char *src = mod_arg(m, "src");
	const struct regex *re = NULL;
	struct err e = {0};
	struct buf b = {0};
	/* Fragments on the controller arrive in one piece. */
	if (m->content_sha256.n)
		return mod_content(m, ret);
	if (!fs_exists(src))
		return mod_fail(m, "Source (%s) does not exist", src);
	if (!fs_is_dir(src))
		return mod_fail(m, "Source (%s) is not a directory", src);
	if (mod_has(m, "regexp") && !(re = regex_new(m->a, mod_args(m, "regexp"), 0, &e)))
		return mod_fail(m, "Invalid Regexp (%s) in \"%s\"", err_msg(&e), mod_arg(m, "regexp"));
	bool ok = join(m, src, re, &b);
	*ret = buf_take(&b, m->a);
	buf_free(&b);
	return ok;
}

static bool run(struct mod_ctx *m)
{
	const char *dest = mod_arg(m, "dest");
	struct str data, old;
	mod_sets(m, "src", mod_arg(m, "src"));
	mod_sets(m, "dest", dest);
	if (!get_data(m, &data) || !mod_read_maybe(m, dest, &old))
		return false;
	mod_sets(m, "checksum", digest_str(m->a, "sha1", data));
	const char *md5 = digest_str(m->a, "md5", data);
	mod_set(m, "md5sum", md5 ? val_strz(m->a, md5) : val_null());
	if (!old.p || !str_eq(old, data)) {
		mod_diff_text(m, dest, old, data);
		if (!mod_write(m, dest, data))
			return false;
		mod_changed(m);
	}
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
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .run = run,
};
