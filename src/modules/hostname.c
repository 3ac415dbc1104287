#include <ctype.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "modules/edit.h"

static const char FILE_NAME[] = "/etc/hostname";

/* FULL: the name the system has, which in check mode is another. */
static void set_facts(struct mod_ctx *m, const char *name, const char *full)
{
	struct val *facts = val_map(m->a);
	const char *dot = strchr(full, '.');
	val_set(facts, "ansible_hostname", val_str(m->a, str_n(name, strcspn(name, "."))));
	val_set(facts, "ansible_nodename", val_strz(m->a, name));
	val_set(facts, "ansible_fqdn", val_strz(m->a, full));
	val_set(facts, "ansible_domain", val_strz(m->a, dot ? dot + 1 : ""));
	mod_facts(m, facts);
}

/* hostnamectl's pretty name goes with the static one. */
static bool set_pretty(struct mod_ctx *m, const char *name)
{
	static const char key[] = "PRETTY_HOSTNAME=";
	struct edit e;
	size_t at = 0;
	struct val *diff = val_get(m->result, "diff");
	if (!fs_is_dir("/run/systemd/system"))
		return true;
	if (!edit_load(&e, m, "/etc/machine-info"))
		return false;
	while (at < e.n && !str_starts(e.lines[at], key))
		at++;
	if (at == e.n) {
		edit_end_last(&e);
		edit_insert(&e, at, STR(""));
	}
	e.lines[at] = str_c(arena_printf(m->a, "%s%s\n", key, name));
	bool ok = edit_save(&e);
	/* The diff is that of the name alone. */
	val_del(m->result, STR("diff"));
	if (diff)
		mod_set(m, "diff", diff);
	return ok;
}

/* Letters, digits, _ and - in labels parted by dots, as hostnamectl has it. */
static bool is_valid(const char *name)
{
	if (*name == '.' || *name == '-' || strstr(name, ".."))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_-.", *name))
			return false;
	return true;
}

static bool run(struct mod_ctx *m)
{
	const char *name = mod_arg(m, "name");
	struct utsname u;
	struct str stored;
	if (!*name || strlen(name) > 253)
		return mod_fail(m, "name cannot be empty or longer than 253 characters");
	if (!is_valid(name))
		return mod_fail(m,
		                "Command failed rc=1, out=, err=Could not set static hostname: Invalid "
		                "hostname '%s'\n",
		                name);
	if (uname(&u) != 0 || !mod_read_maybe(m, FILE_NAME, &stored))
		return m->failed ? false : mod_fail_sys(m, "cannot read the host's name");
	mod_sets(m, "name", name);
	bool running = strcmp(u.nodename, name) == 0, kept = stored.p && str_eqc(str_trim(stored), name);
	if (!running || !kept) {
		const char *old =
		        running ? arena_strndup(m->a, stored.p ? str_trim(stored).p : "", str_trim(stored).n)
		                : u.nodename;
		mod_changed(m);
		if (m->diff) {
			struct val *d = val_map(m->a);
			val_set(d, "before", val_strf(m->a, "hostname = %s\n", old));
			val_set(d, "after", val_strf(m->a, "hostname = %s\n", name));
			mod_set(m, "diff", d);
		}
	}
	if (!m->check && !kept &&
	    (!mod_write(m, FILE_NAME, str_c(arena_printf(m->a, "%s\n", name))) || !set_pretty(m, name)))
		return false;
	if (!m->check && !running && sethostname(name, strlen(name)) != 0)
		return mod_fail_sys(m, "cannot set the host's name");
	set_facts(m, name, m->check ? u.nodename : name);
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The host's name."},
        {"use", MT_STR,
         .choices = "alpine|debian|freebsd|generic|macos|macosx|darwin|openbsd|openrc|redhat|sles|solaris|"
                    "systemd",
         .doc = "Ignored: the kernel's name and /etc/hostname are set."},
        {NULL},
};

const struct module module_row_hostname = {
        .name = "hostname",
        .from = "ansible.builtin",
        .doc = "The host's name.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
