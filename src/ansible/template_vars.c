#include "ansible/template_vars.h"
#include "ansible/core.h"
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* PATTERN as Python's format fills it in from VARS: {file}, {host}, {uid}; {{ and }} are the braces
 * themselves. */
static struct str filled(struct arena *a, const char *pattern, const struct val *vars)
{
	static const struct {
		const char *mark, *var;
	} marks[] = {{"{file}", "template_path"},
	             {"{host}", "template_host"},
	             {"{uid}", "template_uid"},
	             {"{{", NULL},
	             {"}}", NULL}};
	struct buf b = {0};
	for (const char *p = pattern; *p;) {
		size_t i = 0, n = sizeof(marks) / sizeof(*marks);
		while (i < n && !str_starts(str_c(p), marks[i].mark))
			i++;
		if (i == n || !marks[i].var)
			buf_addc(&b, *p);
		else
			buf_addstr(&b, val_text(val_get(vars, marks[i].var), a));
		p += i < n ? strlen(marks[i].mark) : 1;
	}
	struct str out = buf_take(&b, a);
	buf_free(&b);
	return out;
}

static struct val *date(struct arena *a, const char *format, time_t t)
{
	char text[1024];
	struct tm tm;
	localtime_r(&t, &tm);
	return val_str(a, str_n(text, strftime(text, sizeof(text), format, &tm)));
}

struct val *template_vars(struct engine *e, struct arena *a, const char *path, const char *dest)
{
	struct val *m = val_map(a);
	struct stat st = {0};
	char host[256] = "", *full = realpath(path, NULL);
	gethostname(host, sizeof(host) - 1);
	const struct passwd *owner = stat(path, &st) == 0 ? getpwuid(st.st_uid) : NULL;
	val_set(m, "template_host", val_strz(a, host));
	val_set(m, "template_path", val_strz(a, path));
	val_set(m, "template_fullpath", val_strz(a, full ? full : path));
	val_set(m, "template_run_date", date(a, "%Y-%m-%d %H:%M:%S", time(NULL)));
	val_set(m, "template_mtime", date(a, "%Y-%m-%d %H:%M:%S", st.st_mtime));
	val_set(m, "template_destpath", dest ? val_strz(a, dest) : val_null());
	val_set(m, "template_uid", owner ? val_strz(a, owner->pw_name) : val_int(a, st.st_uid));
	free(full);
	const char *managed = e->opts->managed ? e->opts->managed : "Ansible managed";
	val_set(m, "ansible_managed", date(a, filled(a, managed, m).p, st.st_mtime));
	return m;
}
