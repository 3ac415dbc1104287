#include "modules/argv.h"

/* A kind of file system: what blkid calls it, what makes it, and what lets that go over what is there. */
static const struct kind {
	const char *name, *blkid, *mkfs, *force;
	bool ext; /* can grow here */
} kinds[] = {
        {"ext2", "ext2", "mkfs.ext2", "-F", true}, {"ext3", "ext3", "mkfs.ext3", "-F", true},
        {"ext4", "ext4", "mkfs.ext4", "-F", true}, {"xfs", "xfs", "mkfs.xfs", "-f"},
        {"btrfs", "btrfs", "mkfs.btrfs", "-f"},    {"vfat", "vfat", "mkfs.vfat"},
        {"swap", "swap", "mkswap", "-f"},          {"lvm", "LVM2_member", "pvcreate", "-f"},
        {"f2fs", "f2fs", "mkfs.f2fs", "-f"},
};

struct device {
	struct mod_ctx *m;
	const char *path;
	const struct kind *kind; /* what it shall be */
	const char *now;         /* what it is, as blkid calls it; "" for nothing known */
};

static bool call(struct device *d, struct mod_out *out, const char *program, const char *const *words)
{
	struct argv c = {.m = d->m};
	const char *path = argv_need(d->m, program);
	if (!path)
		return false;
	argv_add(&c, path);
	argv_add_all(&c, words);
	return argv_must(&c, out);
}
#define CALL(d, out, program, ...) call(d, out, program, (const char *const[]){__VA_ARGS__, NULL})

/* blkid ends with 2 when it knows nothing of a device. */
static bool look(struct device *d)
{
	struct argv c = {.m = d->m};
	struct mod_out out;
	const char *program = argv_need(d->m, "blkid");
	if (!program)
		return false;
	argv_add2(&c, program, "-c");
	argv_add2(&c, "/dev/null", "-o");
	argv_add2(&c, "value", "-s");
	argv_add2(&c, "TYPE", d->path);
	if (!argv_run(&c, &out))
		return false;
	struct str type = str_trim(out.out);
	d->now = arena_strndup(d->m->a, type.p ? type.p : "", type.n);
	return out.rc == 0 || out.rc == 2 || argv_failed(&c, &out);
}

static bool device_size(struct device *d, int64_t *ret)
{
	struct mod_out out;
	struct stat st;
	if (stat(d->path, &st) != 0)
		return mod_fail_sys(d->m, "%s", d->path);
	*ret = (int64_t)st.st_size;
	if (S_ISREG(st.st_mode))
		return true;
	if (!S_ISBLK(st.st_mode))
		return mod_fail(d->m, "Target device not supported: %s", d->path);
	return CALL(d, &out, "blockdev", "--getsize64", d->path) &&
	       (str_int(str_trim(out.out), ret) ||
	        mod_fail(d->m, "blockdev does not tell the size of %s", d->path));
}

/* The number behind NAME in what tune2fs lists. */
static int64_t listed(struct str text, const char *name)
{
	int64_t n = 0;
	while (text.p && text.n) {
		struct str line = str_split(&text, '\n');
		if (str_starts(line, name)) {
			(void)str_split(&line, ':');
			str_int(str_trim(line), &n);
		}
	}
	return n;
}

static bool grow(struct device *d)
{
	struct mod_ctx *m = d->m;
	struct mod_out out;
	int64_t whole;
	if (!d->kind->ext)
		return mod_fail(m, "module does not support resizing %s filesystem yet.", d->kind->name);
	if (!device_size(d, &whole) || !CALL(d, &out, "tune2fs", "-l", d->path))
		return false;
	int64_t block = listed(out.out, "Block size:"), used = listed(out.out, "Block count:") * block;
	if (block <= 0)
		return mod_fail(m, "unable to process tune2fs output for %s", d->path);
	if (used + block > whole)
		return mod_done(m, false, "%s filesystem is using the whole device %s", d->kind->name,
		                d->path);
	if (m->check)
		return mod_done(m, true, "resizing filesystem %s on device %s", d->kind->name, d->path);
	if (!CALL(d, &out, "resize2fs", d->path))
		return false;
	return mod_done(m, true, "%.*s", STR_FMT(str_trim(out.out)));
}

static bool create(struct device *d)
{
	struct mod_ctx *m = d->m;
	struct argv c = {.m = m};
	struct mod_out out;
	const char *program = argv_need(m, d->kind->mkfs);
	if (!program)
		return false;
	argv_add(&c, program);
	if (d->kind->force)
		argv_add(&c, d->kind->force);
	if (mod_has(m, "opts") && !argv_add_text(&c, mod_arg(m, "opts")))
		return false;
	argv_add(&c, d->path);
	mod_changed(m);
	return m->check || argv_must(&c, &out);
}

static bool make_present(struct device *d)
{
	struct mod_ctx *m = d->m;
	bool same = strcmp(d->now, d->kind->blkid) == 0, force = mod_bool(m, "force");
	if (same && mod_bool(m, "resizefs"))
		return grow(d);
	if (*d->now && !same && !force)
		return mod_fail(m, "'%s' is already used as %s, use force=true to overwrite", d->path,
		                d->now);
	return (same && !force) || create(d);
}

static bool run(struct mod_ctx *m)
{
	struct device d = {.m = m, .path = mod_arg(m, "dev")};
	struct mod_out out;
	bool present = mod_is(m, "state", "present");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (mod_is(m, "fstype", kinds[i].name))
			d.kind = &kinds[i];
	if (!fs_exists(d.path))
		return present ? mod_fail(m, "Device %s not found.", d.path)
		               : mod_done(m, false, "Device %s not found.", d.path);
	if (!look(&d))
		return false;
	if (present)
		return make_present(&d);
	if (!*d.now)
		return true;
	mod_changed(m);
	return m->check || CALL(&d, &out, "wipefs", "--all", d.path);
}

static const struct mod_arg args[] = {
        {"dev", MT_PATH, MA_REQUIRED, .aliases = "device",
         .doc = "The device, or a file that stands for one."},
        {"fstype", MT_STR, .aliases = "type", .choices = "btrfs|ext2|ext3|ext4|f2fs|lvm|swap|vfat|xfs",
         .doc = "The kind of file system."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Make it anew over whatever is there."},
        {"resizefs", MT_BOOL, .dflt = "false",
         .doc = "Grow one that is smaller than its device (ext2, ext3, ext4)."},
        {"opts", MT_STR, .doc = "More words for the program that makes it."},
        {NULL},
};

const struct module module_row_filesystem = {
        .name = "filesystem",
        .from = "community.general",
        .doc = "Makes a file system on a device that has none.",
        .args = args,
        .flags = MOD_CHECK,
        .required_if = "state=present:fstype",
        .run = run,
};
