#include <unistd.h>
#include "modules/argv.h"

/* The patch's text goes over patch's standard input. */
static bool run_patch(struct mod_ctx *m, struct str text, bool reverse, bool rehearse, bool last,
                      struct mod_out *o)
{
	const char *program = argv_need(m, "patch"), *dest = mod_arg(m, "dest"), *dir = mod_arg(m, "basedir");
	struct argv c = {.m = m, .input = text};
	if (!program)
		return false;
	argv_add2(&c, program, "--quiet");
	argv_add(&c, "--forward");
	if (last)
		argv_add2(&c, "--batch", "--reject-file=-");
	argv_addf(&c, "--strip=%lld", (long long)mod_int(m, "strip", 0));
	argv_addf(&c, "--directory=%s", dir ? dir : fs_dirname(m->a, dest));
	if (rehearse)
		argv_add(&c, "--dry-run");
	if (mod_bool(m, "binary"))
		argv_add(&c, "--binary");
	if (mod_bool(m, "ignore_whitespace"))
		argv_add(&c, "--ignore-whitespace");
	if (last && mod_bool(m, "backup"))
		argv_add2(&c, "--backup", "--version-control=numbered");
	if (reverse)
		argv_add(&c, "--reverse");
	if (dest)
		argv_add(&c, dest);
	return argv_run(&c, o);
}

static bool run(struct mod_ctx *m)
{
	const char *src = mod_arg(m, "src"), *dest = mod_arg(m, "dest"), *dir = mod_arg(m, "basedir");
	bool absent = mod_is(m, "state", "absent");
	struct str text = {0};
	struct mod_out o;
	if (m->content_sha256.n ? !mod_content(m, &text) : access(src, R_OK) == 0 && !mod_read(m, src, &text))
		return false;
	if (!m->content_sha256.n && !text.p)
		return mod_fail(m, "src %s doesn't exist or not readable", src);
	if (dest && access(dest, W_OK) != 0)
		return mod_fail(m, "dest %s doesn't exist or not writable", dest);
	if (dir && !fs_exists(dir))
		return mod_fail(m, "basedir %s doesn't exist", dir);
	/* What can be taken back was applied. */
	if (!run_patch(m, text, !absent, true, false, &o))
		return false;
	if (o.rc == 0)
		return true;
	if (!run_patch(m, text, absent, m->check, true, &o))
		return false;
	struct str why = o.err.n ? o.err : o.out;
	if (o.rc != 0)
		return mod_fail(m, "%.*s", STR_FMT(why));
	mod_changed(m);
	return true;
}

static const struct mod_arg args[] = {
        {"src", MT_PATH, MA_REQUIRED, .aliases = "patchfile", .doc = "The patch, on the controller."},
        {"remote_src", MT_BOOL, .dflt = "false", .doc = "It is on the host."},
        {"dest", MT_PATH, .aliases = "originalfile", .doc = "The file it is for, whatever it says itself."},
        {"basedir", MT_PATH, .doc = "The directory its names start from."},
        {"strip", MT_INT, .dflt = "0", .doc = "How many leading directories of its names do not count."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Applied, or taken back."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep numbered copies of what was there."},
        {"binary", MT_BOOL, .dflt = "false", .doc = "Ends of lines stay as they are."},
        {"ignore_whitespace", MT_BOOL, .dflt = "false", .doc = "White space may differ."},
        {NULL},
};

const struct module module_row_patch = {
        .name = "patch",
        .from = "ansible.posix",
        .doc = "Applies a patch with the host's patch.",
        .args = args,
        .flags = MOD_CHECK,
        .required_one_of = "dest|basedir",
        .run = run,
};
