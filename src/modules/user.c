#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "modules/module.h"
#include "modules/users.h"
#include "modules/words.h"

#define MOMENTS 6e16 /* seconds before and after 1970 that have a year */

enum { WORDS = 48 };

struct account {
	struct mod_ctx *m;
	const char *name;
	const struct user *now; /* NULL: not there */
	const char *shadow[9];  /* of /etc/shadow; empty strings when it cannot be read */
	const char *argv[WORDS + 1];
	size_t n;
};

static void add(struct account *u, const char *word)
{
	if (u->n < WORDS)
		u->argv[u->n++] = word;
	u->argv[u->n] = NULL;
}

static void add2(struct account *u, const char *option, const char *value)
{
	add(u, option);
	add(u, value);
}

/* Runs argv; what it complains about without failing is kept, as Ansible does. */
static bool tool(struct account *u)
{
	struct mod_ctx *m = u->m;
	struct mod_out out;
	static const char *const env[] = {"LC_ALL=C.UTF-8", NULL};
	mod_changed(m);
	if (m->check)
		return true;
	if (!mod_spawn(m, &(struct mod_cmd){.argv = u->argv, .extra_env = env, .never_kill = true}, &out))
		return false;
	if (out.err.n)
		mod_setstr(m, "stderr", out.err);
	if (out.out.n)
		mod_setstr(m, "stdout", out.out);
	if (out.rc == 0)
		return true;
	mod_seti(m, "rc", out.rc);
	mod_sets(m, "name", u->name);
	return mod_fail(m, "%.*s", STR_FMT(out.err));
}

static void load(struct account *u)
{
	struct arena *a = u->m->a;
	struct buf b = {0};
	struct err e = {0};
	u->now = user_by_name(a, u->name);
	if (u->now && mod_bool(u->m, "local") && !u->now->local)
		u->now = NULL;
	for (size_t i = 0; i < 9; i++)
		u->shadow[i] = "";
	if (fs_read("/etc/shadow", &b, &e)) {
		struct str rest = buf_str(&b);
		while (rest.p && rest.n) {
			struct str line = str_split(&rest, '\n'), cut = line;
			if (str_eqc(str_split(&cut, ':'), u->name))
				users_fields(a, line, ':', u->shadow, 9);
		}
	}
	err_clear(&e);
	buf_burn(&b);
}

/* "a,b" of the groups wanted, each of which must exist; NULL and failed otherwise. */
static const char *wanted_groups(struct account *u)
{
	struct mod_ctx *m = u->m;
	const struct val *groups = mod_list(m, "groups");
	struct buf b = {0};
	VAL_EACH (i, groups) {
		struct str s = str_trim(val_text(val_at(groups, i), m->a));
		const char *name = arena_strndup(m->a, s.p ? s.p : "", s.n);
		int64_t gid;
		if (!s.n)
			continue;
		const struct ugroup *g = group_by_name(m->a, name);
		if (!g && str_int(s, &gid))
			g = group_by_id(m->a, (gid_t)gid);
		if (!g) {
			buf_free(&b);
			mod_fail(m, "Group %s does not exist", name);
			return NULL;
		}
		buf_printf(&b, "%s%s", b.n ? "," : "", g->name);
	}
	struct str s = buf_take(&b, m->a);
	buf_free(&b);
	return s.p ? s.p : "";
}

static bool listed(const char *list, struct str word)
{
	struct str rest = str_c(list);
	while (rest.p)
		if (str_eq(str_split(&rest, ','), word))
			return true;
	return false;
}

/* The supplementary groups in /etc/group that hold the user, as "a,b". */
static const char *current_groups(struct account *u)
{
	struct arena *a = u->m->a;
	struct buf text = {0}, b = {0};
	struct err e = {0};
	if (!fs_read("/etc/group", &text, &e))
		err_clear(&e);
	struct str rest = buf_str(&text);
	while (rest.p && rest.n) {
		const char *f[4];
		users_fields(a, str_split(&rest, '\n'), ':', f, 4);
		if (listed(f[3], str_c(u->name)))
			buf_printf(&b, "%s%s", b.n ? "," : "", f[0]);
	}
	struct str s = buf_take(&b, a);
	buf_free(&text);
	buf_free(&b);
	return s.p ? s.p : "";
}

/* "expires" as the day usermod takes: "" for never. */
static const char *expiry(struct account *u)
{
	double t = mod_float(u->m, "expires", -1);
	char z[32];
	struct tm tm;
	time_t when = (time_t)t;
	if (t < 0)
		return "";
	strftime(z, sizeof(z), "%Y-%m-%d", gmtime_r(&when, &tm));
	return arena_strdup(u->m->a, z);
}

/* The primary group asked for: NULL when none is, or when it does not exist (failed). */
static const struct ugroup *primary(struct account *u)
{
	const char *name = mod_arg(u->m, "group");
	int64_t gid;
	if (!name)
		return NULL;
	const struct ugroup *g = group_by_name(u->m->a, name);
	if (!g && str_int(str_c(name), &gid))
		g = group_by_id(u->m->a, (gid_t)gid);
	if (!g)
		mod_fail(u->m, "Group %s does not exist", name);
	return g;
}

/* What stands in place of the values of /etc/login.defs. */
static const char *const defaults[][2] = {{"umask", "UMASK"}, {"uid_min", "UID_MIN"}, {"uid_max", "UID_MAX"}};

enum { DEFAULTS = sizeof(defaults) / sizeof(*defaults) };

static bool create(struct account *u)
{
	struct mod_ctx *m = u->m;
	const struct ugroup *g = primary(u);
	const char *groups = wanted_groups(u);
	if (m->failed || !groups)
		return false;
	add(u, "useradd");
	if (mod_has(m, "uid")) {
		add2(u, "-u", mod_arg(m, "uid"));
		if (mod_bool(m, "non_unique"))
			add(u, "-o");
	}
	if (g)
		add2(u, "-g", g->name);
	else if (group_by_name(m->a, u->name))
		add(u, "-N");
	if (*groups)
		add2(u, "-G", groups);
	if (mod_has(m, "comment"))
		add2(u, "-c", mod_arg(m, "comment"));
	if (mod_has(m, "home"))
		add2(u, "-d", mod_arg(m, "home"));
	if (mod_has(m, "shell"))
		add2(u, "-s", mod_arg(m, "shell"));
	if (mod_has(m, "expires"))
		add2(u, "-e", expiry(u));
	if (mod_bool(m, "system"))
		add(u, "-r");
	if (mod_bool(m, "create_home")) {
		add(u, "-m");
		if (mod_has(m, "skeleton"))
			add2(u, "-k", mod_arg(m, "skeleton"));
	} else {
		add(u, "-M");
	}
	for (size_t i = 0; i < DEFAULTS; i++)
		if (mod_has(m, defaults[i][0]) && (i || mod_bool(m, "create_home")))
			add2(u, "-K",
			     arena_printf(m->a, "%s=%s", defaults[i][1], mod_arg(m, defaults[i][0])));
	add(u, u->name);
	if (mod_has(m, "home") && !m->check) {
		struct err e = {0};
		if (mod_bool(m, "create_home") && !fs_mkdirs(fs_dirname(m->a, mod_arg(m, "home")), 0755, &e))
			return mod_fail_err(m, &e);
	}
	return tool(u);
}

/* The password goes in by chpasswd's standard input: an argument could be read by anyone. */
static bool set_password(struct account *u, const char *hash)
{
	struct mod_ctx *m = u->m;
	struct mod_out out;
	static const char *const argv[] = {"chpasswd", "-e", NULL};
	mod_changed(m);
	if (m->check)
		return true;
	struct str line = str_c(arena_printf(m->a, "%s:%s\n", u->name, hash));
	if (!mod_spawn(m, &(struct mod_cmd){.argv = argv, .input = line, .never_kill = true}, &out))
		return false;
	return out.rc == 0 || mod_fail(m, "%.*s", STR_FMT(out.err));
}

static bool same_password(const char *a, const char *b)
{
	return strcmp(a + strspn(a, "!"), b + strspn(b, "!")) == 0;
}

static bool manage_password(struct account *u, bool created)
{
	struct mod_ctx *m = u->m;
	const char *want = mod_arg(m, "password");
	bool locked = *u->shadow[1] == '!';
	if (want &&
	    (created || (mod_is(m, "update_password", "always") && !same_password(u->shadow[1], want)))) {
		bool lock = mod_has(m, "password_lock") && mod_bool(m, "password_lock") && *want != '!';
		if (!set_password(u, lock ? arena_printf(m->a, "!%s", want) : want))
			return false;
	} else if (mod_has(m, "password_lock") && mod_bool(m, "password_lock") != locked) {
		u->n = 0;
		add(u, "usermod");
		add(u, mod_bool(m, "password_lock") ? "-L" : "-U");
		add(u, u->name);
		if (!tool(u))
			return false;
	}
	return true;
}

static const struct {
	const char *arg, *option;
	size_t field; /* of /etc/shadow */
} ages[] = {
        {"password_expire_min", "-m", 3},
        {"password_expire_max", "-M", 4},
        {"password_expire_warn", "-W", 5},
        {"password_expire_account_disable", "-I", 6},
};

static bool manage_ages(struct account *u)
{
	struct mod_ctx *m = u->m;
	u->n = 0;
	add(u, "chage");
	for (size_t i = 0; i < sizeof(ages) / sizeof(*ages); i++) {
		const char *want = mod_arg(m, ages[i].arg);
		if (want && strcmp(want, u->shadow[ages[i].field]) != 0)
			add2(u, ages[i].option, want);
	}
	add(u, u->name);
	return u->n == 2 || tool(u);
}

static void add_groups(struct account *u)
{
	struct mod_ctx *m = u->m;
	const char *want = wanted_groups(u), *have = current_groups(u);
	struct str rest = str_c(want);
	bool append = mod_bool(m, "append"), missing = false, extra = false;
	if (!mod_has(m, "groups") || !want)
		return;
	while (rest.p && *want)
		missing = !listed(have, str_split(&rest, ',')) || missing;
	rest = str_c(have);
	while (rest.p && *have)
		extra = !listed(want, str_split(&rest, ',')) || extra;
	if (append && missing) {
		add(u, "-a");
		add2(u, "-G", want);
	} else if (!append && (missing || extra)) {
		add2(u, "-G", want);
	}
}

static bool expiry_differs(struct account *u)
{
	double t = mod_float(u->m, "expires", -1);
	int64_t days = -1;
	str_int(str_c(u->shadow[7]), &days);
	return t < 0 ? days >= 0 : days != (int64_t)t / 86400;
}

static bool modify(struct account *u)
{
	struct mod_ctx *m = u->m;
	const struct ugroup *g = primary(u);
	if (m->failed)
		return false;
	add(u, "usermod");
	if (mod_has(m, "uid") && mod_int(m, "uid", -1) != (int64_t)u->now->uid) {
		add2(u, "-u", mod_arg(m, "uid"));
		if (mod_bool(m, "non_unique"))
			add(u, "-o");
	}
	if (g && g->gid != u->now->gid)
		add2(u, "-g", g->name);
	add_groups(u);
	if (m->failed)
		return false;
	if (mod_has(m, "comment") && strcmp(mod_arg(m, "comment"), u->now->gecos) != 0)
		add2(u, "-c", mod_arg(m, "comment"));
	if (mod_has(m, "home") && strcmp(mod_arg(m, "home"), u->now->home) != 0) {
		add2(u, "-d", mod_arg(m, "home"));
		if (mod_bool(m, "move_home"))
			add(u, "-m");
	}
	if (mod_has(m, "shell") && strcmp(mod_arg(m, "shell"), u->now->shell) != 0)
		add2(u, "-s", mod_arg(m, "shell"));
	if (mod_has(m, "expires") && expiry_differs(u))
		add2(u, "-e", expiry(u));
	if (u->n == 1)
		return true;
	add(u, u->name);
	return tool(u);
}

/* What /etc/login.defs wants of a new home directory: HOME_MODE, else what UMASK leaves. */
static mode_t home_mode(struct mod_ctx *m)
{
	struct str text = {0}, mask = STR("022"), mode = {0};
	if (!fs_exists("/etc/login.defs") || !mod_read_maybe(m, "/etc/login.defs", &text))
		return 0755;
	while (text.n && !mode.n) {
		struct str line = str_split(&text, '\n'), key = words_next(&line), value = words_next(&line);
		if (str_eqc(key, "HOME_MODE"))
			mode = value;
		else if (str_eqc(key, "UMASK"))
			mask = value;
	}
	unsigned long bits =
	        strtoul(arena_strndup(m->a, (mode.n ? mode : mask).p, (mode.n ? mode : mask).n), NULL, 8);
	return (mode_t)(mode.n ? bits : 0777 & ~bits);
}

/* A user that exists without the home directory it should have. */
static bool make_home(struct account *u)
{
	struct mod_ctx *m = u->m;
	struct mod_out out;
	const char *home = mod_has(m, "home") ? mod_arg(m, "home") : u->now->home;
	const char *skel = mod_has(m, "skeleton") ? mod_arg(m, "skeleton") : "/etc/skel";
	struct err e = {0};
	if (!mod_bool(m, "create_home") || !*home || fs_exists(home))
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	if (!fs_mkdirs(home, 0755, &e))
		return mod_fail_err(m, &e);
	if (fs_is_dir(skel) &&
	    (!mod_exec(m, &out, "cp", "-a", fs_join(m->a, skel, "."), home, NULL) || out.rc != 0))
		return m->failed ? false : mod_fail(m, "%.*s", STR_FMT(out.err));
	if (chmod(home, home_mode(m)) != 0)
		return mod_fail_sys(m, "cannot set the mode of %s", home);
	const char *owner =
	        arena_printf(m->a, "%lu:%lu", (unsigned long)u->now->uid, (unsigned long)u->now->gid);
	if (!mod_exec(m, &out, "chown", "-R", owner, home, NULL))
		return false;
	return out.rc == 0 || mod_fail(m, "%.*s", STR_FMT(out.err));
}

static bool ssh_key(struct account *u)
{
	struct mod_ctx *m = u->m;
	struct mod_out out;
	struct str key;
	const char *type = mod_arg(m, "ssh_key_type"), *file = mod_arg(m, "ssh_key_file"),
	           *home = u->now->home;
	file = fs_join(m->a, home, file ? file : arena_printf(m->a, ".ssh/id_%s", type));
	if (!fs_exists(file) || mod_bool(m, "force")) {
		mod_changed(m);
		if (m->check)
			return true;
		const char *dir = fs_dirname(m->a, file), *comment = mod_arg(m, "ssh_key_comment");
		/* A directory that is there may be anybody's. */
		if (!fs_exists(dir) && (mkdir(dir, 0700) != 0 || lchown(dir, u->now->uid, u->now->gid) != 0))
			return mod_fail(m, "Failed to create %s: [Errno %d] %s", dir, errno, strerror(errno));
		if (fs_exists(file))
			unlink(file);
		u->n = 0;
		add(u, "ssh-keygen");
		add2(u, "-q", "-t");
		add(u, type);
		if (mod_int(m, "ssh_key_bits", 0) > 0)
			add2(u, "-b", mod_arg(m, "ssh_key_bits"));
		char host[256] = "";
		gethostname(host, sizeof(host) - 1);
		add2(u, "-C", comment ? comment : arena_printf(m->a, "ansible-generated on %s", host));
		add2(u, "-f", file);
		add2(u, "-N", mod_has(m, "ssh_key_passphrase") ? mod_arg(m, "ssh_key_passphrase") : "");
		if (!tool(u))
			return false;
		const char *owned[] = {file, arena_printf(m->a, "%s.pub", file)};
		for (size_t i = 0; i < 2; i++)
			if (lchown(owned[i], u->now->uid, u->now->gid) != 0)
				return mod_fail_sys(m, "cannot set the owner of %s", owned[i]);
	}
	mod_sets(m, "ssh_key_file", file);
	if (mod_exec(m, &out, "ssh-keygen", "-l", "-f", file, NULL) && out.rc == 0)
		mod_setstr(m, "ssh_fingerprint", str_trim(out.out));
	if (mod_read_maybe(m, arena_printf(m->a, "%s.pub", file), &key) && key.p)
		mod_setstr(m, "ssh_public_key", str_trim(key));
	return !m->failed;
}

static bool remove_user(struct account *u)
{
	struct mod_ctx *m = u->m;
	if (!u->now)
		return true;
	mod_setb(m, "force", mod_bool(m, "force"));
	mod_setb(m, "remove", mod_bool(m, "remove"));
	add(u, "userdel");
	if (mod_bool(m, "force"))
		add(u, "-f");
	if (mod_bool(m, "remove"))
		add(u, "-r");
	add(u, u->name);
	return tool(u);
}

static void set_result(struct account *u, bool created)
{
	struct mod_ctx *m = u->m;
	const char *groups = mod_has(m, "groups") ? wanted_groups(u) : NULL;
	if (u->now) {
		mod_seti(m, "uid", u->now->uid);
		mod_seti(m, "group", u->now->gid);
		mod_sets(m, "home", u->now->home);
		mod_sets(m, "shell", u->now->shell);
		mod_sets(m, "comment", u->now->gecos);
	}
	if (groups)
		mod_sets(m, "groups", groups);
	if (created) {
		mod_setb(m, "create_home", mod_bool(m, "create_home"));
		mod_setb(m, "system", mod_bool(m, "system"));
	} else {
		mod_setb(m, "append", mod_bool(m, "append"));
		mod_setb(m, "move_home", mod_bool(m, "move_home"));
	}
	if (mod_has(m, "password"))
		mod_sets(m, "password", "NOT_LOGGING_PASSWORD");
}

static bool run(struct mod_ctx *m)
{
	struct account u = {.m = m, .name = mod_arg(m, "name")};
	double expires = mod_float(m, "expires", 0);
	if (!(expires > -MOMENTS && expires < MOMENTS))
		return mod_fail(m,
		                "Invalid value for 'expires' %s: timestamp out of range for platform time_t",
		                mod_arg(m, "expires"));
	for (size_t i = 0; i < DEFAULTS; i++)
		if (mod_has(m, defaults[i][0]) && mod_bool(m, "local"))
			return mod_fail(m, "'%s' can not be used with 'local'", defaults[i][0]);
	mod_sets(m, "name", u.name);
	mod_sets(m, "state", mod_arg(m, "state"));
	load(&u);
	bool absent = mod_is(m, "state", "absent");
	if (m->check && absent == (u.now != NULL))
		return mod_only_changed(m);
	if (absent)
		return remove_user(&u);
	bool created = !u.now;
	if (!(created ? create(&u) : modify(&u)))
		return false;
	if (!created || !m->check) {
		bool changed = mod_is_changed(m);
		if (changed && !m->check)
			load(&u);
		if (!u.now)
			return mod_fail(m, "user %s is not there after %s", u.name,
			                created ? "useradd" : "usermod");
		if (!manage_password(&u, created) || !manage_ages(&u) || (!created && !make_home(&u)))
			return false;
		if (mod_bool(m, "generate_ssh_key") && !ssh_key(&u))
			return false;
	}
	set_result(&u, created);
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "user", .doc = "The user."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it should exist."},
        {"uid", MT_INT, .doc = "Its number."},
        {"non_unique", MT_BOOL, .dflt = "false", .doc = "The number may be another user's too."},
        {"group", MT_STR, .doc = "Its primary group."},
        {"groups", MT_LIST, .elem = MT_STR, .doc = "Its other groups; an empty list removes it from all."},
        {"append", MT_BOOL, .dflt = "false", .doc = "Add to the groups it has."},
        {"comment", MT_STR, .doc = "Its full name."},
        {"home", MT_PATH, .doc = "Its home directory."},
        {"shell", MT_PATH, .doc = "Its shell."},
        {"skeleton", MT_STR, .doc = "What a new home directory is filled from."},
        {"create_home", MT_BOOL, .dflt = "true", .aliases = "createhome", .doc = "Make the home directory."},
        {"move_home", MT_BOOL, .dflt = "false", .doc = "Move the home directory when it changes."},
        {"system", MT_BOOL, .dflt = "false", .doc = "A number of the system's range."},
        {"password", MT_STR, MA_NO_LOG, .doc = "Its password, hashed."},
        {"update_password", MT_STR, .dflt = "always", .choices = "always|on_create",
         .doc = "When to set it."},
        {"password_lock", MT_BOOL, .doc = "Whether the password is locked."},
        {"password_expire_min", MT_INT, .doc = "Days between changes."},
        {"password_expire_max", MT_INT, .doc = "Days until a change is due."},
        {"password_expire_warn", MT_INT, .doc = "Days of warning before that."},
        {"password_expire_account_disable", MT_INT, .doc = "Days after which the account is disabled."},
        {"expires", MT_FLOAT, .doc = "When the account ends, in seconds since 1970; negative: never."},
        {"remove", MT_BOOL, .dflt = "false", .doc = "Remove its home directory as well."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Remove it even while it is logged in."},
        {"local", MT_BOOL, .dflt = "false", .doc = "Look at /etc/passwd only."},
        {"umask", MT_STR, .doc = "The umask a new home directory is made with."},
        {"uid_min", MT_INT, .doc = "The lowest number to choose for a new one."},
        {"uid_max", MT_INT, .doc = "The highest."},
        {"login_class", MT_STR, .doc = "Ignored on Linux."},
        {"seuser", MT_STR, .doc = "Ignored where there is no SELinux."},
        {"hidden", MT_BOOL, .doc = "Ignored on Linux."},
        {"authorization", MT_STR, .doc = "Ignored on Linux."},
        {"profile", MT_STR, .doc = "Ignored on Linux."},
        {"role", MT_STR, .doc = "Ignored on Linux."},
        {"generate_ssh_key", MT_BOOL, .dflt = "false", .doc = "Make it an SSH key."},
        {"ssh_key_bits", MT_INT, .dflt = "0", .doc = "The key's size."},
        {"ssh_key_type", MT_STR, .dflt = "rsa", .doc = "The key's kind."},
        {"ssh_key_file", MT_PATH, .doc = "Where the key is."},
        {"ssh_key_comment", MT_STR, .doc = "What the key says of itself."},
        {"ssh_key_passphrase", MT_STR, MA_NO_LOG, .doc = "The key's passphrase."},
        {NULL},
};

const struct module module_row_user = {
        .name = "user",
        .from = "ansible.builtin",
        .doc = "Users.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
