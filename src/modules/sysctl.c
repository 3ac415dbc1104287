#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <unistd.h>
#include "modules/edit.h"

struct sysctl {
	struct mod_ctx *m;
	const char *name, *value; /* value NULL: none was given */
	bool ignore;
};

/* The file of a setting; as for sysctl(8), the first of "." and "/" in NAME is what separates its parts. */
static const char *proc_path(struct mod_ctx *m, struct str name)
{
	char *z = arena_strndup(m->a, name.p, name.n), *sep = strpbrk(z, "./");
	bool dots = sep && *sep == '.';
	for (char *p = z; dots && *p; p++)
		*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	return arena_printf(m->a, "/proc/sys/%s", z);
}

/* Equal but for the amount of white space. */
static bool same_words(struct str a, struct str b)
{
	a = str_trim(a);
	b = str_trim(b);
	size_t i = 0, j = 0;
	while (i < a.n && j < b.n) {
		bool x = isspace((unsigned char)a.p[i]), y = isspace((unsigned char)b.p[j]);
		if (x != y || (!x && a.p[i] != b.p[j]))
			return false;
		if (!x) {
			i++;
			j++;
			continue;
		}
		while (i < a.n && isspace((unsigned char)a.p[i]))
			i++;
		while (j < b.n && isspace((unsigned char)b.p[j]))
			j++;
	}
	return i == a.n && j == b.n;
}

/* Words for truth are 1 and 0. */
static const char *parse_value(struct mod_ctx *m, const struct val *v)
{
	static const char *const yes[] = {"yes", "y", "on", "true", "t", "1", NULL};
	static const char *const no[] = {"no", "n", "off", "false", "f", "0", NULL};
	if (!v)
		return NULL;
	struct str s = str_trim(val_text(v, m->a));
	const char *z = arena_strndup(m->a, s.p ? s.p : "", s.n);
	for (const char *const *w = yes; *w; w++)
		if (strcasecmp(z, *w) == 0)
			return "1";
	for (const char *const *w = no; *w; w++)
		if (strcasecmp(z, *w) == 0)
			return "0";
	return z;
}

/* Name and value of a line; false for comments, blank lines and what is no setting. */
static bool parse_line(struct str line, struct str *name, struct str *value)
{
	line = str_trim(line);
	if (!line.n || line.p[0] == '#' || line.p[0] == ';')
		return false;
	const char *eq = memchr(line.p, '=', line.n);
	if (!eq)
		return false;
	*name = str_trim(str_n(line.p, (size_t)(eq - line.p)));
	*value = str_trim(str_n(eq + 1, (size_t)(line.p + line.n - eq) - 1));
	return true;
}

static bool write_value(struct sysctl *s, struct str name, struct str value, bool optional)
{
	const char *path = proc_path(s->m, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC), e = errno;
	bool ok = fd >= 0;
	if (ok) {
		ok = write(fd, value.p, value.n) == (ssize_t)value.n;
		e = errno;
		close(fd);
	}
	if (ok || optional || (s->ignore && (e == ENOENT || e == EACCES)))
		return true;
	if (fd < 0 && e == ENOENT)
		return mod_fail(s->m, "setting %.*s failed: sysctl: cannot stat %s: %s\n", STR_FMT(name),
		                path, strerror(e));
	return mod_fail(s->m, "setting %.*s failed: sysctl: setting key \"%.*s\": %s\n", STR_FMT(name),
	                STR_FMT(name), strerror(e));
}

/* All settings of the file, as "sysctl -p" applies them. */
static bool reload(struct sysctl *s, const struct edit *e)
{
	const char *said = "";
	for (size_t i = 0; i < e->n; i++) {
		struct str name, value;
		if (!parse_line(e->lines[i], &name, &value))
			continue;
		bool optional = name.n && name.p[0] == '-';
		if (optional)
			name = str_n(name.p + 1, name.n - 1);
		if (!write_value(s, name, value, optional))
			said = arena_printf(s->m->a, "%s%s", said, val_map_strz(s->m->result, "msg", ""));
	}
	return !*said || mod_fail(s->m, "Failed to reload sysctl: %s", said);
}

/* Brings the file's line for the setting; says whether anything differs in the file. */
static bool edit_lines(struct sysctl *s, struct edit *e)
{
	bool present = mod_is(s->m, "state", "present"), found = false, differs = false;
	struct str want =
	        present ? str_c(arena_printf(s->m->a, "%s=%s\n", s->name, s->value)) : (struct str){0};
	for (size_t i = 0; i < e->n;) {
		struct str name, value;
		if (!parse_line(e->lines[i], &name, &value) || !str_eqc(name, s->name)) {
			i++;
			continue;
		}
		if (!present || found) {
			edit_remove(e, i, 1);
			differs = true;
			continue;
		}
		found = true;
		if (!str_eqc(value, s->value)) {
			e->lines[i] = want;
			differs = true;
		}
		i++;
	}
	if (present && !found) {
		edit_end_last(e);
		edit_insert(e, e->n, want);
		differs = true;
	}
	return differs;
}

static bool run(struct mod_ctx *m)
{
	struct sysctl s = {
	        .m = m,
	        .name = mod_arg(m, "name"),
	        .value = parse_value(m, val_get(m->args, "value")),
	        .ignore = mod_bool(m, "ignoreerrors"),
	};
	bool present = mod_is(m, "state", "present");
	struct edit e;
	struct str now;
	if (!*s.name)
		return mod_fail(m, "name cannot be blank");
	if (present && !*s.value)
		return mod_fail(m, "value cannot be blank");
	if (!edit_load(&e, m, mod_arg(m, "sysctl_file")) ||
	    !mod_read_maybe(m, proc_path(m, str_c(s.name)), &now))
		return false;
	bool file = edit_lines(&s, &e);
	bool live = present && (!now.p || !same_words(now, str_c(s.value)));
	bool set = mod_bool(m, "sysctl_set") && live, again = mod_bool(m, "reload") && (file || live);
	if (file || set || again)
		mod_changed(m);
	/* What the kernel refuses is not kept either. */
	if (set && !m->check && !write_value(&s, str_c(s.name), str_c(s.value), false))
		return false;
	if (file && !edit_save(&e))
		return false;
	return m->check || !again || reload(&s, &e);
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "key", .doc = "The setting, as sysctl names it."},
        {"value", MT_STR, .aliases = "val", .doc = "What it must be."},
        {"state", MT_STR, .dflt = "present", .choices = "present|absent", .doc = "Whether the file has it."},
        {"ignoreerrors", MT_BOOL, .dflt = "false", .doc = "Pass over settings this kernel does not have."},
        {"reload", MT_BOOL, .dflt = "true", .doc = "Apply the file when it changed."},
        {"sysctl_set", MT_BOOL, .dflt = "false", .doc = "Set the running kernel's value as well."},
        {"sysctl_file", MT_PATH, .dflt = "/etc/sysctl.conf", .doc = "The file that keeps it."},
        {NULL},
};

const struct module module_row_sysctl = {
        .name = "sysctl",
        .from = "ansible.posix",
        .doc = "Keeps a setting of the kernel.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .required_if = "state=present:value",
        .run = run,
};
