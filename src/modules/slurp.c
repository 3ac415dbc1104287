#include <errno.h>
#include <unistd.h>
#include "modules/module.h"

static bool run(struct mod_ctx *m)
{
	const char *src = mod_arg(m, "src");
	struct str data;
	struct buf b = {0};
	if (fs_is_dir(src))
		return mod_fail(m, "source is a directory and must be a file: %s", src);
	if (access(src, R_OK) != 0)
		return errno == ENOENT   ? mod_fail(m, "file not found: %s", src)
		       : errno == EACCES ? mod_fail(m, "file is not readable: %s", src)
		                         : mod_fail(m, "unable to slurp file: [Errno %d] %s: '%s'", errno,
		                                    strerror(errno), src);
	if (!mod_read(m, src, &data))
		return false;
	buf_base64(&b, data);
	mod_setstr(m, "content", buf_str(&b));
	mod_sets(m, "source", src);
	mod_sets(m, "encoding", "base64");
	buf_free(&b);
	return true;
}

static const struct mod_arg args[] = {
        {"src", MT_PATH, MA_REQUIRED, .aliases = "path", .doc = "The file to read."},
        {NULL},
};

const struct module module_row_slurp = {
        .name = "slurp",
        .from = "ansible.builtin",
        .doc = "Reads a file from the host, as base64.",
        .args = args,
        .flags = MOD_READ_ONLY | MOD_CHECK,
        .run = run,
};
