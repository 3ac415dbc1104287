#include <stdlib.h>
#include <unistd.h>
#include "modules/edit.h"

enum { SRC, NAME, FSTYPE, OPTS, DUMP, PASSNO, FIELDS };

struct mount {
	struct mod_ctx *m;
	const char *field[FIELDS]; /* as fstab writes them */
	const char *fstab, *path;
	struct edit e;
};

/* Blanks and backslashes as fstab spells them. */
static const char *escape(struct mod_ctx *m, const char *z)
{
	struct buf b = {0};
	for (; *z; z++)
		if (strchr(" \t\n\\", *z))
			buf_printf(&b, "\\%03o", (unsigned)*z);
		else
			buf_addc(&b, *z);
	struct str s = buf_take(&b, m->a);
	buf_free(&b);
	return s.p ? s.p : "";
}

static size_t cut(struct mod_ctx *m, struct str line, const char *field[FIELDS])
{
	size_t n = 0, i = 0;
	static const char *const dflt[FIELDS] = {"", "", "", "defaults", "0", "0"};
	line = edit_bare(line);
	while (n < FIELDS) {
		while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
			i++;
		size_t start = i;
		while (i < line.n && line.p[i] != ' ' && line.p[i] != '\t')
			i++;
		if (i == start || (!n && line.p[start] == '#'))
			break;
		field[n++] = arena_strndup(m->a, line.p + start, i - start);
	}
	for (size_t k = n; k < FIELDS; k++)
		field[k] = dflt[k];
	return n;
}

/* Swap has no mount point: it is known by its source. */
static bool is_ours(const struct mount *t, const char *const field[FIELDS])
{
	bool swap = strcmp(field[FSTYPE], "swap") == 0 && strcmp(field[NAME], "none") == 0;
	if (swap && strcmp(t->field[NAME], "none") == 0)
		return strcmp(field[SRC], t->field[SRC]) == 0;
	return strcmp(field[NAME], t->field[NAME]) == 0;
}

static bool set_line(struct mount *t)
{
	const char *field[FIELDS];
	struct edit *e = &t->e;
	bool found = false;
	struct str want =
	        str_c(arena_printf(t->m->a, "%s %s %s %s %s %s\n", t->field[SRC], t->field[NAME],
	                           t->field[FSTYPE], t->field[OPTS], t->field[DUMP], t->field[PASSNO]));
	for (size_t i = 0; i < e->n; i++) {
		bool same = true;
		if (cut(t->m, e->lines[i], field) < 3 || !is_ours(t, field))
			continue;
		found = true;
		for (size_t k = 0; k < FIELDS; k++)
			same = same && strcmp(field[k], t->field[k]) == 0;
		if (!same)
			e->lines[i] = want;
	}
	if (!found) {
		edit_end_last(e);
		edit_insert(e, e->n, want);
	}
	return edit_save(e);
}

static bool drop_line(struct mount *t)
{
	const char *field[FIELDS];
	for (size_t i = 0; i < t->e.n;)
		if (cut(t->m, t->e.lines[i], field) >= 3 && is_ours(t, field) &&
		    (!mod_has(t->m, "src") || strcmp(field[SRC], t->field[SRC]) == 0))
			edit_remove(&t->e, i, 1);
		else
			i++;
	return edit_save(&t->e);
}

/* Whether something is mounted there; *SRC is what, of the topmost. */
static bool is_mounted(struct mount *t, const char **src)
{
	struct str text;
	bool found = false;
	char *real = realpath(t->path, NULL);
	const char *at = escape(t->m, real ? real : t->path);
	if (mod_read_maybe(t->m, "/proc/self/mounts", &text))
		while (text.n) {
			const char *field[FIELDS];
			if (cut(t->m, str_split(&text, '\n'), field) < 3 || strcmp(field[NAME], at) != 0)
				continue;
			found = true;
			*src = field[SRC];
		}
	free(real);
	return found;
}

static bool call(struct mount *t, const char *what, const char *const argv[])
{
	struct mod_out out;
	if (!mod_spawn(t->m, &(struct mod_cmd){.argv = argv}, &out))
		return false;
	struct str said = out.err.n ? out.err : out.out;
	return out.rc == 0 || mod_fail(t->m, "Error %s %s: %.*s", what, t->path, STR_FMT(said));
}

static bool mount_listed(struct mount *t, const char *what, bool again)
{
	bool own = strcmp(t->fstab, "/etc/fstab") != 0;
	const char *argv[8] = {"mount"};
	size_t n = 1;
	if (own) {
		argv[n++] = "-T";
		argv[n++] = t->fstab;
	}
	if (again) {
		argv[n++] = "-o";
		argv[n++] = "remount";
	}
	argv[n] = t->path;
	if (!again)
		return call(t, what, argv);
	/* What cannot be changed while it is mounted is mounted anew. */
	struct mod_out out;
	if (!mod_spawn(t->m, &(struct mod_cmd){.argv = argv}, &out))
		return false;
	return out.rc == 0 || (call(t, what, (const char *const[]){"umount", t->path, NULL}) &&
	                       mount_listed(t, what, false));
}

static bool unmount(struct mount *t)
{
	return call(t, "unmounting", (const char *const[]){"umount", t->path, NULL});
}

/* fstab and the mount point first; when mounting fails, both are as they were. */
static bool make_mounted(struct mount *t)
{
	struct mod_ctx *m = t->m;
	const char *src;
	struct err err = {0};
	bool dir = fs_exists(t->path), mounted = is_mounted(t, &src);
	if (!dir && !m->check && !fs_mkdirs(t->path, 0755, &err)) {
		mod_fail_err(m, &err);
		return mod_fail(m, "Error making dir %s: %s", t->path, val_map_strz(m->result, "msg", ""));
	}
	struct str before = t->e.before;
	if (!set_line(t))
		return false;
	bool changed = mod_is_changed(m);
	if (mounted && !changed)
		return true;
	mod_changed(m);
	if (m->check || mount_listed(t, mounted ? "remounting" : "mounting", mounted))
		return true;
	/* The message is that of the mount; what is put back here must not hide it. */
	struct val *msg = val_get(m->result, "msg");
	if (changed && !mod_write(m, t->fstab, before))
		return false;
	if (!dir && rmdir(t->path) != 0)
		mod_warn(m, "%s was made and could not be removed", t->path);
	mod_set(m, "msg", msg);
	return false;
}

static bool make_unmounted(struct mount *t)
{
	const char *src;
	if (!is_mounted(t, &src))
		return true;
	mod_changed(t->m);
	return t->m->check || unmount(t);
}

static bool make_absent(struct mount *t)
{
	if (!drop_line(t) || !make_unmounted(t))
		return false;
	if (!fs_exists(t->path) || !mod_is_changed(t->m) || t->m->check)
		return true;
	return rmdir(t->path) == 0 || mod_fail_sys(t->m, "Error rmdir %s", t->path);
}

static bool make_ephemeral(struct mount *t)
{
	struct mod_ctx *m = t->m;
	const char *src;
	struct err err = {0};
	if (is_mounted(t, &src)) {
		if (strcmp(src, t->field[SRC]) == 0) {
			mod_changed(m);
			return m->check || mount_listed(t, "remounting", true);
		}
		return mod_fail(m,
		                "Ephemeral mount point is already mounted with a different source than the "
		                "specified one. Failing in order to prevent an unwanted unmount or override "
		                "operation. Try replacing this command with a \"state: unmounted\" followed "
		                "by a \"state: ephemeral\", or use a different destination path.");
	}
	mod_changed(m);
	if (m->check)
		return true;
	if (!fs_mkdirs(t->path, 0755, &err))
		return mod_fail_err(m, &err);
	const char *opts = mod_has(m, "opts") ? mod_arg(m, "opts") : "defaults";
	return call(t, "mounting",
	            (const char *const[]){"mount", "-t", mod_arg(m, "fstype"), "-o", opts, mod_arg(m, "src"),
	                                  t->path, NULL});
}

static bool make_remounted(struct mount *t)
{
	mod_changed(t->m);
	return t->m->check || mount_listed(t, "remounting", true);
}

static const struct {
	const char *name;
	bool (*make)(struct mount *t);
} states[] = {
        {"present", set_line},         {"mounted", make_mounted},        {"unmounted", make_unmounted},
        {"absent", make_absent},       {"absent_from_fstab", drop_line}, {"remounted", make_remounted},
        {"ephemeral", make_ephemeral},
};

static bool has_opt(const char *opts, const char *name)
{
	for (struct str rest = str_c(opts); rest.p;)
		if (str_eqc(str_split(&rest, ','), name))
			return true;
	return false;
}

/* Not at boot is one more option; it counts for nothing beside those that say something of it themselves. */
static void set_boot(struct mount *t)
{
	struct mod_ctx *m = t->m;
	const char *opts = t->field[OPTS];
	if (has_opt(opts, "noauto"))
		mod_warn(m, "Ignore the 'boot' due to 'opts' contains 'noauto'.");
	else if (!mod_bool(m, "boot") && has_opt(opts, "defaults"))
		mod_warn(m, "Ignore the 'boot' due to 'opts' contains 'defaults'.");
	else if (!mod_bool(m, "boot"))
		t->field[OPTS] = arena_printf(m->a, "%s,noauto", opts);
}

static bool run(struct mod_ctx *m)
{
	static const char *const names[FIELDS] = {"src", "path", "fstype", "opts", "dump", "passno"};
	struct mount t = {.m = m, .path = mod_arg(m, "path"), .fstab = mod_arg(m, "fstab")};
	if (!t.fstab)
		t.fstab = "/etc/fstab";
	for (size_t i = 0; i < FIELDS; i++) {
		const char *z = mod_arg(m, names[i]);
		t.field[i] = escape(m, z ? z : i == OPTS ? "defaults" : "");
		if (z && i != NAME)
			mod_sets(m, names[i], z);
	}
	set_boot(&t);
	mod_sets(m, "opts", t.field[OPTS]);
	mod_sets(m, "name", t.path);
	mod_sets(m, "backup_file", "");
	mod_sets(m, "fstab", t.fstab);
	mod_set(m, "boot", val_strz(m->a, mod_bool(m, "boot") ? "yes" : "no"));
	if (!edit_load(&t.e, m, t.fstab))
		return false;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (mod_is(m, "state", states[i].name))
			return states[i].make(&t);
	return mod_fail(m, "Unexpected position reached");
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "name", .doc = "The mount point."},
        {"src", MT_PATH, .doc = "The device or what else is mounted."},
        {"fstype", MT_STR, .doc = "The type of its file system."},
        {"opts", MT_STR, .doc = "Mount options."},
        {"state", MT_STR, MA_REQUIRED,
         .choices = "absent|absent_from_fstab|mounted|present|unmounted|remounted|ephemeral",
         .doc = "In fstab (present), mounted as well, neither, only mounted (ephemeral)."},
        {"fstab", MT_PATH, .doc = "Another file than /etc/fstab."},
        {"boot", MT_BOOL, .dflt = "true", .doc = "Mount it at boot."},
        {"dump", MT_STR, .dflt = "0", .doc = "fstab's field of that name."},
        {"passno", MT_STR, .dflt = "0", .doc = "fstab's field of that name."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {NULL},
};

const struct module module_row_mount = {
        .name = "mount",
        .from = "ansible.posix",
        .doc = "Keeps a file system mounted and in fstab.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .required_if = "state=mounted:src|fstype;state=present:src|fstype;state=ephemeral:src|fstype",
        .run = run,
};
