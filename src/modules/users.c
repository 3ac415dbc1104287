#include <ctype.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/proc.h"
#include "modules/users.h"

void users_fields(struct arena *a, struct str line, char sep, const char **fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str f = line.p ? str_split(&line, sep) : (struct str){0};
		fields[i] = arena_strndup(a, f.p ? f.p : "", f.n);
	}
}

/* The line of FILE whose FIELD-th member is KEY. */
static bool find_line(const char *file, size_t field, struct str key, struct buf *text, struct str *ret)
{
	struct err e = {0};
	if (!fs_read(file, text, &e)) {
		err_clear(&e);
		return false;
	}
	struct str rest = buf_str(text);
	while (rest.p && rest.n) {
		struct str line = str_split(&rest, '\n'), cut = line, f = {0};
		for (size_t i = 0; i <= field && cut.p; i++)
			f = str_split(&cut, ':');
		if (f.p && str_eq(f, key) && line.n && line.p[0] != '#') {
			*ret = line;
			return true;
		}
	}
	return false;
}

/* Whether nsswitch.conf names a service beyond files for DB: without one, getent knows no more than we do.
 * systemd's own users (DynamicUser=) have no supplementary groups: they count only when SYSTEMD is set. */
static bool has_nss(const char *db, bool systemd)
{
	struct buf b = {0};
	struct err e = {0};
	bool found = false;
	if (!fs_read("/etc/nsswitch.conf", &b, &e))
		err_clear(&e);
	struct str rest = buf_str(&b);
	while (!found && rest.p && rest.n) {
		struct str line = str_trim(str_split(&rest, '\n'));
		if (!str_starts(line, db) || line.n <= strlen(db) || line.p[strlen(db)] != ':')
			continue;
		line = str_n(line.p + strlen(db) + 1, line.n - strlen(db) - 1);
		while (line.p && !found) {
			struct str w = str_trim(str_split(&line, ' '));
			found = w.n && w.p[0] != '[' && !str_eqc(w, "files") && !str_eqc(w, "compat") &&
			        (systemd || !str_eqc(w, "systemd"));
		}
	}
	buf_free(&b);
	return found;
}

const char *const *users_getent(struct arena *a, const char *db, const char *key, const char *service,
                                int *rc)
{
	const char *argv[6] = {"getent", db};
	size_t n = 2;
	if (service) {
		argv[n++] = "-s";
		argv[n++] = service;
	}
	argv[n] = key;
	struct proc_opts o = {.argv = argv, .timeout_ms = 30000};
	struct proc_result r = {0};
	struct err e = {0};
	const char **lines = NULL;
	size_t count = 0, cap = 0;
	*rc = 127;
	if (proc_run(&o, &r, &e)) {
		*rc = r.status;
		struct str rest = buf_str(&r.out);
		while (rest.p && rest.n) {
			struct str line = str_split(&rest, '\n');
			lines = arena_grow(a, lines, count + 1, &cap, sizeof(*lines));
			lines[count++] = arena_strndup(a, line.p, line.n);
		}
	}
	err_clear(&e);
	proc_result_free(&r);
	return lines ? lines : arena_array(a, 1, sizeof(*lines));
}

/* The entry's line, from the file or from getent; NULL when there is none. */
static const char *find_entry(struct arena *a, const char *db, size_t field, const char *key, bool *ret_local)
{
	struct buf text = {0};
	struct str line;
	const char *ret = NULL;
	const char *file = arena_printf(a, "/etc/%s", db);
	*ret_local = find_line(file, field, str_c(key), &text, &line);
	if (*ret_local) {
		ret = arena_strndup(a, line.p, line.n);
	} else if (*key && has_nss(db, true)) {
		int rc;
		const char *const *lines = users_getent(a, db, key, NULL, &rc);
		if (rc == 0 && lines[0]) {
			/* getent also takes numbers for names: what it found must be what was asked for. */
			const char *f[4];
			users_fields(a, str_c(lines[0]), ':', f, 4);
			ret = strcmp(f[field], key) == 0 ? lines[0] : NULL;
		}
	}
	buf_free(&text);
	return ret;
}

static const struct user *user_of_line(struct arena *a, const char *line, bool local)
{
	const char *f[7];
	int64_t uid, gid;
	if (!line)
		return NULL;
	users_fields(a, str_c(line), ':', f, 7);
	if (!str_int(str_c(f[2]), &uid) || !str_int(str_c(f[3]), &gid))
		return NULL;
	struct user *u = ARENA_NEW(a, struct user);
	*u = (struct user){f[0], f[1], f[4], f[5], f[6], (uid_t)uid, (gid_t)gid, local};
	return u;
}

const struct user *user_by_name(struct arena *a, const char *name)
{
	bool local;
	const char *line = find_entry(a, "passwd", 0, name, &local);
	return user_of_line(a, line, local);
}

const struct user *user_by_id(struct arena *a, uid_t uid)
{
	bool local;
	const char *line = find_entry(a, "passwd", 2, arena_printf(a, "%lu", (unsigned long)uid), &local);
	return user_of_line(a, line, local);
}

static const struct ugroup *group_of_line(struct arena *a, const char *line, bool local)
{
	const char *f[4];
	int64_t gid;
	if (!line)
		return NULL;
	users_fields(a, str_c(line), ':', f, 4);
	if (!str_int(str_c(f[2]), &gid))
		return NULL;
	struct ugroup *g = ARENA_NEW(a, struct ugroup);
	*g = (struct ugroup){f[0], f[3], (gid_t)gid, local};
	return g;
}

const struct ugroup *group_by_name(struct arena *a, const char *name)
{
	bool local;
	const char *line = find_entry(a, "group", 0, name, &local);
	return group_of_line(a, line, local);
}

const struct ugroup *group_by_id(struct arena *a, gid_t gid)
{
	bool local;
	const char *line = find_entry(a, "group", 2, arena_printf(a, "%lu", (unsigned long)gid), &local);
	return group_of_line(a, line, local);
}

static size_t add_gid(gid_t *list, size_t n, size_t max, gid_t gid)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == gid)
			return n;
	if (n < max)
		list[n++] = gid;
	return n;
}

size_t user_groups(struct arena *a, const struct user *u, gid_t **ret)
{
	enum { MAX = 1024 };
	gid_t *list = arena_array(a, MAX, sizeof(*list));
	size_t n = add_gid(list, 0, MAX, u->gid);
	struct buf b = {0};
	struct err e = {0};
	if (!fs_read("/etc/group", &b, &e))
		err_clear(&e);
	struct str rest = buf_str(&b);
	while (rest.p && rest.n) {
		const char *f[4];
		int64_t gid;
		users_fields(a, str_split(&rest, '\n'), ':', f, 4);
		struct str members = str_c(f[3]);
		while (members.p)
			if (str_eqc(str_trim(str_split(&members, ',')), u->name) &&
			    str_int(str_c(f[2]), &gid))
				n = add_gid(list, n, MAX, (gid_t)gid);
	}
	buf_free(&b);
	if (has_nss("initgroups", false) || has_nss("group", false)) {
		int rc;
		const char *const *lines = users_getent(a, "initgroups", u->name, NULL, &rc);
		struct str words = rc == 0 && lines[0] ? str_c(lines[0]) : (struct str){0};
		(void)str_split(&words, ' ');
		while (words.p) {
			int64_t gid;
			if (str_int(str_trim(str_split(&words, ' ')), &gid))
				n = add_gid(list, n, MAX, (gid_t)gid);
		}
	}
	*ret = list;
	return n;
}
