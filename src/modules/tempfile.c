#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>
#include "modules/module.h"

/* Eight letters nobody can guess. */
static bool random_name(struct mod_ctx *m, char name[9])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	unsigned char bytes[8];
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return mod_fail_sys(m, "cannot read random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		name[i] = letters[bytes[i] % (sizeof(letters) - 1)];
	name[sizeof(bytes)] = '\0';
	return true;
}

static bool make(const char *path, bool dir)
{
	if (dir)
		return mkdir(path, 0700) == 0;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd >= 0 && close(fd) == 0;
}

static bool run(struct mod_ctx *m)
{
	const char *dir = mod_arg(m, "path"), *tmp = mod_env(m, "TMPDIR");
	if (!dir)
		dir = tmp && *tmp ? tmp : "/tmp";
	for (int tries = 0; tries < 100; tries++) {
		char name[9];
		if (!random_name(m, name))
			return false;
		const char *path = fs_join(
		        m->a, dir,
		        arena_printf(m->a, "%s%s%s", mod_arg(m, "prefix"), name, mod_arg(m, "suffix")));
		if (make(path, mod_is(m, "state", "directory"))) {
			mod_sets(m, "path", path);
			mod_changed(m);
			return true;
		}
		if (errno != EEXIST)
			return mod_fail(m, "[Errno %d] %s: '%s'", errno, strerror(errno), path);
	}
	return mod_fail(m, "no free name could be found in %s", dir);
}

static const struct mod_arg args[] = {
        {"state", MT_STR, .dflt = "file", .choices = "file|directory", .doc = "What to create."},
        {"path", MT_PATH, .doc = "The directory to create it in; the system's own by default."},
        {"prefix", MT_STR, .dflt = "ansible.", .doc = "What its name begins with."},
        {"suffix", MT_STR, .dflt = "", .doc = "What its name ends with."},
        {NULL},
};

const struct module module_row_tempfile = {
        .name = "tempfile",
        .from = "ansible.builtin",
        .doc = "Creates a temporary file or directory.",
        .args = args,
        .run = run,
};
