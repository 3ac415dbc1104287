#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include "modules/edit.h"

static const char zones[] = "/usr/share/zoneinfo/";

/* The zone /etc/localtime leads to; where it is a copy, what /etc/timezone says; "n/a" when unknown. */
static const char *current_zone(struct mod_ctx *m)
{
	char to[PATH_MAX];
	struct str text;
	ssize_t n = readlink("/etc/localtime", to, sizeof(to) - 1);
	if (n > 0) {
		to[n] = '\0';
		const char *at = strstr(to, "/zoneinfo/");
		if (at)
			return arena_strdup(m->a, at + strlen("/zoneinfo/"));
	}
	if (!mod_read_maybe(m, "/etc/timezone", &text))
		return NULL;
	text = str_trim(text);
	return text.n ? arena_strndup(m->a, text.p, text.n) : "n/a";
}

static bool set_zone(struct mod_ctx *m, const char *name)
{
	char tmp[64];
	const char *file = arena_printf(m->a, "..%s%s", zones, name); /* as timedatectl links it */
	snprintf(tmp, sizeof(tmp), "/etc/.localtime.%d", (int)getpid());
	if (symlink(file, tmp) != 0 || rename(tmp, "/etc/localtime") != 0) {
		int e = errno;
		unlink(tmp);
		errno = e;
		return mod_fail_sys(m, "cannot set /etc/localtime");
	}
	/* Debian's second opinion, where it is kept: systemd, where it runs, leaves it alone. */
	return fs_exists("/run/systemd/system") || !fs_exists("/etc/timezone") ||
	       mod_write(m, "/etc/timezone", str_c(arena_printf(m->a, "%s\n", name)));
}

/* The third line of /etc/adjtime: what the hardware clock runs in. */
static bool set_clock(struct mod_ctx *m, const char *want)
{
	struct edit e;
	const char *line = strcmp(want, "local") == 0 ? "LOCAL" : "UTC";
	if (!edit_load(&e, m, "/etc/adjtime"))
		return false;
	struct str now = e.n > 2 ? edit_bare(e.lines[2]) : STR("UTC");
	if (str_eqc(now, line))
		return true;
	mod_diff_attr(m, "hwclock", val_strz(m->a, str_eqc(now, "LOCAL") ? "local" : "UTC"),
	              val_strz(m->a, want));
	mod_changed(m);
	while (e.n < 3)
		edit_insert(&e, e.n, e.n == 0 ? STR("0.0 0 0.0\n") : STR("0\n"));
	e.lines[2] = str_c(arena_printf(m->a, "%s\n", line));
	return mod_write(m, "/etc/adjtime", edit_joined(&e));
}

static bool run(struct mod_ctx *m)
{
	const char *name = mod_arg(m, "name"), *clock = mod_arg(m, "hwclock");
	if (name) {
		struct stat st;
		const char *now = current_zone(m);
		const char *file = arena_printf(m->a, "%s%s", zones, name);
		if (!now)
			return false;
		if (strstr(name, "..") || stat(file, &st) != 0 || !S_ISREG(st.st_mode))
			return mod_fail(m, "Error message:\ngiven timezone \"%s\" is not available", name);
		if (strcmp(now, name) != 0) {
			mod_diff_attr(m, "name", val_strz(m->a, now), val_strz(m->a, name));
			mod_changed(m);
			if (!m->check && !set_zone(m, name))
				return false;
			if (!m->check && !clock)
				mod_setf(m, "msg", "executed `/usr/bin/timedatectl set-timezone %s`", name);
		}
	}
	return !clock || set_clock(m, clock);
}

static const struct mod_arg args[] = {
        {"name", MT_STR, .doc = "The zone, such as Europe/Berlin."},
        {"hwclock", MT_STR, .choices = "local|UTC", .aliases = "rtc",
         .doc = "What the hardware clock runs in."},
        {NULL},
};

const struct module module_row_timezone = {
        .name = "timezone",
        .from = "community.general",
        .doc = "Sets the time zone.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .required_one_of = "hwclock|name",
        .run = run,
};
