#include <sys/utsname.h>
#include "modules/argv.h"
#include "modules/edit.h"

/* Dashes and underscores are one in names of kernel modules. */
static bool same_name(struct str a, const char *z)
{
	if (a.n != strlen(z))
		return false;
	for (size_t i = 0; i < a.n; i++)
		if ((a.p[i] == '-' ? '_' : a.p[i]) != (z[i] == '-' ? '_' : z[i]))
			return false;
	return true;
}

static bool is_loaded(struct mod_ctx *m, const char *name, bool *ret)
{
	struct utsname u;
	struct str text;
	*ret = false;
	if (!mod_read_maybe(m, "/proc/modules", &text))
		return false;
	while (text.n && !*ret) {
		struct str line = str_split(&text, '\n');
		*ret = same_name(str_split(&line, ' '), name);
	}
	uname(&u);
	if (*ret ||
	    !mod_read_maybe(m, arena_printf(m->a, "/lib/modules/%s/modules.builtin", u.release), &text))
		return !m->failed;
	while (text.n && !*ret) {
		struct str file = str_c(fs_basename(arena_strndup(m->a, text.p, strcspn(text.p, "\n"))));
		(void)str_split(&text, '\n');
		ptrdiff_t ko = str_find(file, STR(".ko"), 0);
		*ret = ko > 0 && same_name(str_n(file.p, (size_t)ko), name);
	}
	return true;
}

/* Whether LINE says KEYWORD (may be empty) and then the module's name, and nothing but words after it. */
static bool names_it(struct str line, const char *keyword, const char *name)
{
	struct str word = {0};
	line = str_trim(line);
	while (*keyword && line.p && !word.n)
		word = str_split(&line, ' ');
	if (*keyword && !str_eqc(word, keyword))
		return false;
	line = str_trim(line);
	return line.n && same_name(str_split(&line, ' '), name);
}

/* Whether the .conf of that name in DIR has the line WANT; all lines about the module go when DROP. */
static bool look(struct mod_ctx *m, const char *dir, const char *keyword, const char *want, bool drop,
                 bool *found)
{
	const char *name = mod_arg(m, "name");
	const char *path = arena_printf(m->a, "%s/%s.conf", dir, name);
	struct edit e;
	*found = false;
	if (!edit_load(&e, m, path))
		return false;
	for (size_t i = 0; i < e.n;) {
		if (!names_it(e.lines[i], keyword, name)) {
			i++;
		} else if (drop) {
			edit_remove(&e, i, 1);
		} else {
			*found = *found || str_eqc(edit_bare(e.lines[i++]), want);
		}
	}
	return !drop || edit_save(&e);
}

static bool persist_one(struct mod_ctx *m, const char *dir, const char *keyword, const char *line)
{
	struct err err = {0};
	bool found;
	const char *path = arena_printf(m->a, "%s/%s.conf", dir, mod_arg(m, "name"));
	if (!look(m, dir, keyword, line, false, &found))
		return false;
	if (found)
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	return (fs_mkdirs(dir, 0755, &err) || mod_fail_err(m, &err)) &&
	       mod_write(m, path, str_c(arena_printf(m->a, "%s\n", line)));
}

static bool persist(struct mod_ctx *m)
{
	const char *name = mod_arg(m, "name"), *params = mod_arg(m, "params");
	const char *how = mod_arg(m, "persistent");
	bool found;
	if (strcmp(how, "absent") == 0)
		return look(m, "/etc/modules-load.d", "", name, true, &found) &&
		       look(m, "/etc/modprobe.d", "options", "", true, &found);
	if (strcmp(how, "present") != 0)
		return true;
	return persist_one(m, "/etc/modules-load.d", "", name) &&
	       (!*params || persist_one(m, "/etc/modprobe.d", "options",
	                                arena_printf(m->a, "options %s %s", name, params)));
}

static bool call(struct mod_ctx *m, bool load)
{
	struct mod_out out;
	const char *program = argv_need(m, "modprobe"), *name = mod_arg(m, "name");
	const char *words = mod_arg(m, "params");
	const char *argv[64] = {program, load ? name : "-r", load ? NULL : name};
	if (!program)
		return false;
	struct str rest = str_c(words);
	for (size_t n = 2; load && rest.n && n < 63;) {
		struct str w = str_split(&rest, ' ');
		if (w.n)
			argv[n++] = arena_strndup(m->a, w.p, w.n);
	}
	if (!mod_spawn(m, &(struct mod_cmd){.argv = argv}, &out))
		return false;
	if (out.rc == 0)
		return true;
	mod_seti(m, "rc", out.rc);
	mod_setstr(m, "stdout", out.out);
	mod_setstr(m, "stderr", out.err);
	return mod_fail(m, "%.*s", STR_FMT(str_trim(out.err)));
}

static bool run(struct mod_ctx *m)
{
	const char *name = mod_arg(m, "name");
	bool want = mod_is(m, "state", "present"), have;
	mod_sets(m, "name", name);
	mod_sets(m, "params", mod_arg(m, "params"));
	mod_sets(m, "state", mod_arg(m, "state"));
	if (strchr(name, '/') || name[0] == '-')
		return mod_fail(m, "%s is no name of a kernel module", name);
	if (!is_loaded(m, name, &have))
		return false;
	if (have != want) {
		if (!m->check && !call(m, want))
			return false;
		mod_changed(m);
	}
	return persist(m);
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The kernel module."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is loaded."},
        {"params", MT_STR, .dflt = "", .doc = "Its parameters."},
        {"persistent", MT_STR, .dflt = "disabled", .choices = "disabled|present|absent",
         .doc = "Whether it is loaded at boot."},
        {NULL},
};

const struct module module_row_modprobe = {
        .name = "modprobe",
        .from = "community.general",
        .doc = "Loads or unloads a kernel module.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
