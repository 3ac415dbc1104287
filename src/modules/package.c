/* package: whatever this host's package manager is. */
#include "modules/module.h"

/* Managers without a module of their own here: how they ask, install, upgrade and remove. */
static const struct manager {
	const char *name;
	const char *query, *install, *latest, *remove; /* a package's name is appended */
	const char *unchanged;                         /* what "latest" prints when nothing was to be done */
} managers[] = {
        {"dnf", "rpm -q --whatprovides", "dnf -y install", "dnf -y upgrade", "dnf -y remove",
         "Nothing to do"},
        {"yum", "rpm -q --whatprovides", "yum -y install", "yum -y upgrade", "yum -y remove",
         "Nothing to do"},
        {"zypper", "rpm -q --whatprovides", "zypper -n install", "zypper -n update", "zypper -n remove",
         "Nothing to do"},
        {"apk", "apk info -e", "apk add", "apk add -u", "apk del", "OK:"},
        {"pacman", "pacman -Q", "pacman -S --noconfirm --needed", "pacman -S --noconfirm --needed",
         "pacman -R --noconfirm", "there is nothing to do"},
};

extern const struct module module_row_apt;

static bool call(struct mod_ctx *m, const char *command, const char *name, bool progress, struct mod_out *out)
{
	const char *argv[16];
	size_t n = 0;
	static const char *const env[] = {"LC_ALL=C.UTF-8", "LANG=C.UTF-8", NULL};
	struct str rest = str_c(command);
	while (rest.p && n < 14) {
		struct str w = str_split(&rest, ' ');
		argv[n++] = arena_strndup(m->a, w.p, w.n);
	}
	argv[n++] = name;
	argv[n] = NULL;
	return mod_spawn(
	        m,
	        &(struct mod_cmd){
	                .argv = argv, .extra_env = env, .progress = progress, .never_kill = progress},
	        out);
}

static bool manage(struct mod_ctx *m, const struct manager *by, const char *name)
{
	struct mod_out out;
	const char *state = mod_arg(m, "state");
	bool gone = strcmp(state, "absent") == 0 || strcmp(state, "removed") == 0,
	     latest = strcmp(state, "latest") == 0;
	if (!call(m, by->query, name, false, &out))
		return false;
	bool there = out.rc == 0;
	if (gone ? !there : there && !latest)
		return true;
	if (m->check) {
		mod_changed(m);
		return true;
	}
	if (!call(m, gone ? by->remove : there ? by->latest : by->install, name, true, &out))
		return false;
	mod_setstr(m, "stdout", out.out);
	mod_setstr(m, "stderr", out.err);
	mod_seti(m, "rc", out.rc);
	if (out.rc != 0)
		return mod_fail(m, "%s cannot bring %s to state %s: %.*s", by->name, name, state,
		                STR_FMT(str_trim(out.err.n ? out.err : out.out)));
	if (!(latest && there && str_find(out.out, str_c(by->unchanged), 0) >= 0))
		mod_changed(m);
	return true;
}

static bool by_apt(struct mod_ctx *m)
{
	struct val *task_args = val_map(m->a), *checked = NULL;
	struct errs errs = {0};
	MAP_EACH (i, m->args)
		if (!str_eqc(val_get_str(val_key_at(m->args, i)), "use"))
			val_setk(task_args, val_key_at(m->args, i), val_value_at(m->args, i));
	if (!module_check_args(&module_row_apt, task_args, true, m->a, &checked, &errs)) {
		struct err *first = &errs.v[0];
		mod_fail(m, "%s", err_msg(first));
		errs_clear(&errs);
		return false;
	}
	m->args = checked;
	m->mod = &module_row_apt;
	return module_row_apt.run(m);
}

/* Whether a manager of that name exists; which one the host has is what counts. */
static bool is_known(const char *use)
{
	const char *dot = strrchr(use, '.'), *name = dot ? dot + 1 : use;
	bool known = strcmp(name, "auto") == 0 || strcmp(name, "apt") == 0 || strncmp(name, "dnf", 3) == 0;
	for (size_t i = 0; !known && i < sizeof(managers) / sizeof(*managers); i++)
		known = strcmp(managers[i].name, name) == 0;
	return known;
}

static bool run(struct mod_ctx *m)
{
	const struct val *names = mod_list(m, "name");
	if (!is_known(mod_arg(m, "use")))
		return mod_fail(m, "Could not find a module for %s.", mod_arg(m, "use"));
	if (mod_which(m, "apt-get"))
		return by_apt(m);
	for (size_t i = 0; i < sizeof(managers) / sizeof(*managers); i++) {
		if (!mod_which(m, managers[i].name))
			continue;
		VAL_EACH (j, names) {
			struct str s = str_trim(val_text(val_at(names, j), m->a));
			if (s.n && !manage(m, &managers[i], arena_strndup(m->a, s.p, s.n)))
				return false;
		}
		return true;
	}
	return mod_fail(m, "Could not find a matching action for the \"%s\" package manager.",
	                mod_arg(m, "use"));
}

static const struct mod_arg args[] = {
        {"name", MT_LIST, MA_REQUIRED, .elem = MT_STR, .aliases = "pkg|package", .doc = "Packages."},
        {"state", MT_STR, .dflt = "present", .doc = "present, absent or latest."},
        {"use", MT_STR, .dflt = "auto", .doc = "Ignored: what the host has is used."},
        {NULL},
};

const struct module module_row_package = {
        .name = "package",
        .from = "ansible.builtin",
        .doc = "Packages, whatever manages them.",
        .args = args,
        /* What the manager's own module takes may be given as well. */
        .flags = MOD_CHECK | MOD_DIFF | MOD_ANY_ARGS,
        .run = run,
};
