/* filters_path - file names, POSIX and Windows; the tests that look at the controller's files. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool path_text(struct jinja_call *c, const struct val *v, struct str *ret, struct err *err)
{
	if (!val_is_str(v) && !val_is_undef(v))
		return jinja_fail(err, "expected str, bytes or os.PathLike object, not %s", val_type_name(v));
	return arg_text(c, v, ret, err);
}

static bool path_arg(struct jinja_call *c, const char *name, struct str *ret, struct err *err)
{
	struct val *v[1];

	return jinja_args(c, name, "path", v, err) && path_text(c, v[0], ret, err);
}

static bool ret_str(struct jinja_call *c, struct str s, struct val **ret)
{
	*ret = val_str(c->a, s);
	return true;
}

/* The offset just past the last separator. */
static size_t base_at(struct str s, const char *seps)
{
	size_t i = s.n;

	while (i > 0 && !(s.p[i - 1] && strchr(seps, s.p[i - 1])))
		i--;
	return i;
}

static struct str dir_of(struct str s, const char *seps)
{
	size_t n = base_at(s, seps), all = 0;

	while (all < n && s.p[all] && strchr(seps, s.p[all]))
		all++;
	if (all < n)
		while (n > 1 && strchr(seps, s.p[n - 1]))
			n--;
	return str_n(s.p, n);
}

/* How much of a Windows path is its drive: "C:", "\\\\server\\share" or "\\\\?\\UNC\\server\\share". */
static size_t drive_len(struct str s)
{
	static const char unc[] = "\\\\?\\UNC\\";
	size_t same = 0, end, from = 2;

	if (s.n < 2)
		return 0;
	if (!strchr("\\/", s.p[0]) || !strchr("\\/", s.p[1]))
		return s.p[1] == ':' ? 2 : 0;
	while (same < s.n && same < sizeof(unc) - 1 &&
	       (s.p[same] == '/' ? '\\' : s.p[same] & ~(s.p[same] >= 'a' ? 32 : 0)) == unc[same])
		same++;
	if (same == sizeof(unc) - 1)
		from = same;
	for (int part = 0; part < 2; part++) {
		for (end = from; end < s.n && !strchr("\\/", s.p[end]); end++)
			;
		if (end == s.n)
			return s.n;
		from = end + 1;
	}
	return end;
}

static bool f_basename(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *seps = c->user;
	struct str s;

	if (!path_arg(c, "basename", &s, err))
		return false;
	size_t drive = seps[1] ? drive_len(s) : 0, at = base_at(s, seps);

	at = at > drive ? at : drive;
	return ret_str(c, str_n(s.p + at, s.n - at), ret);
}

static bool f_dirname(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *seps = c->user;
	struct str s;

	if (!path_arg(c, "dirname", &s, err))
		return false;
	size_t drive = seps[1] ? drive_len(s) : 0;
	struct str rest = dir_of(str_n(s.p + drive, s.n - drive), seps);

	return ret_str(c, str_n(s.p, drive + rest.n), ret);
}

static bool f_splitext(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct str s;
	size_t base, dot, lead;

	if (!path_arg(c, "splitext", &s, err))
		return false;
	base = base_at(s, "/");
	for (lead = base; lead < s.n && s.p[lead] == '.'; lead++)
		;
	for (dot = s.n; dot > lead && s.p[dot - 1] != '.'; dot--)
		;
	dot = dot > lead ? dot - 1 : s.n;
	*ret = val_tuple(c->a);
	val_push(*ret, val_str(c->a, str_n(s.p, dot)));
	val_push(*ret, val_str(c->a, str_n(s.p + dot, s.n - dot)));
	return true;
}

static bool f_win_splitdrive(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct str s;
	size_t n;

	if (!path_arg(c, "win_splitdrive", &s, err))
		return false;
	n = drive_len(s);
	*ret = val_tuple(c->a);
	val_push(*ret, val_str(c->a, str_n(s.p, n)));
	val_push(*ret, val_str(c->a, str_n(s.p + n, s.n - n)));
	return true;
}

/* "a/./b//../c" without the detours, as os.path.normpath does it. */
static struct str normalized(struct jinja_call *c, struct str s)
{
	struct val *parts = val_list(c->a);
	size_t slashes = str_starts(s, "//") && !str_starts(s, "///") ? 2 : str_starts(s, "/") ? 1 : 0;
	struct buf b = {0};
	struct str rest = s, out;

	while (rest.p && s.n) {
		struct str part = str_split(&rest, '/');
		size_t n = val_len(parts);

		if (!part.n || str_eqc(part, "."))
			continue;
		if (!str_eqc(part, "..") || (!slashes && !n) ||
		    (n && str_eqc(val_get_str(val_at(parts, n - 1)), "..")))
			val_push(parts, val_str(c->a, part));
		else if (n)
			val_remove_at(parts, n - 1);
	}
	for (size_t i = 0; i < slashes; i++)
		buf_addc(&b, '/');
	VAL_EACH (i, parts) {
		if (i)
			buf_addc(&b, '/');
		buf_addstr(&b, val_get_str(val_at(parts, i)));
	}
	if (!b.n)
		buf_addc(&b, '.');
	out = buf_take(&b, c->a);
	buf_free(&b);
	return out;
}

static bool f_normpath(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct str s;

	return path_arg(c, "normpath", &s, err) && ret_str(c, normalized(c, s), ret);
}

static struct str joined(struct jinja_call *c, struct str dir, struct str name)
{
	if (!dir.n || (name.n && name.p[0] == '/'))
		return name;
	return str_c(arena_printf(c->a, "%.*s%s%.*s", STR_FMT(dir), dir.p[dir.n - 1] == '/' ? "" : "/",
	                          STR_FMT(name)));
}

static struct str absolute(struct jinja_call *c, struct str s)
{
	char cwd[4096];

	if (s.n && s.p[0] == '/')
		return s;
	return joined(c, str_c(arena_strdup(c->a, getcwd(cwd, sizeof(cwd)) ? cwd : "/")), s);
}

/* Symbolic links resolved as far as the path exists, the rest kept. */
static bool f_realpath(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct str s, tail = STR("");
	char *z, *found;

	if (!path_arg(c, "realpath", &s, err))
		return false;
	s = absolute(c, s);
	z = arena_strndup(c->a, s.p, s.n);
	while (!(found = realpath(z, NULL))) {
		struct str all = str_c(z);
		size_t at = base_at(all, "/");
		struct str name = str_c(arena_strdup(c->a, z + at));

		tail = tail.n ? joined(c, name, tail) : name;
		if (at <= 1) {
			z = arena_strdup(c->a, "/");
			break;
		}
		z[at - 1] = 0;
	}
	s = joined(c, str_c(arena_strdup(c->a, found ? found : z)), tail);
	free(found);
	return ret_str(c, normalized(c, s), ret);
}

static bool f_relpath(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s, start = STR(".");
	struct buf b = {0};
	size_t common = 0, i;

	if (!jinja_args(c, "relpath", "path start=", v, err) || !path_text(c, v[0], &s, err) ||
	    (v[1] && !path_text(c, v[1], &start, err)))
		return false;
	if (!s.n)
		return jinja_fail(err, "no path specified");
	s = normalized(c, absolute(c, s));
	start = normalized(c, absolute(c, start));
	for (i = 0; i <= s.n && i <= start.n; i++) {
		bool se = i == s.n || s.p[i] == '/', te = i == start.n || start.p[i] == '/';

		if (se && te)
			common = i;
		if (i == s.n || i == start.n || s.p[i] != start.p[i])
			break;
	}
	start = str_n(start.p + common, start.n - common);
	if (start.n > (start.p[0] == '/'))
		for (i = 0; i < start.n; i++)
			if (i == 0 || start.p[i] == '/')
				buf_adds(&b, b.n ? "/.." : "..");
	s = str_n(s.p + common, s.n - common);
	if (s.n && s.p[0] == '/')
		s = str_n(s.p + 1, s.n - 1);
	if (s.n && b.n)
		buf_addc(&b, '/');
	buf_addstr(&b, s);
	if (!b.n)
		buf_addc(&b, '.');
	*ret = buf_val(&b, c->a);
	return true;
}

static bool f_expanduser(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct str s, name;
	size_t n = 1;
	const char *home;
	struct passwd *pw;

	if (!path_arg(c, "expanduser", &s, err))
		return false;
	if (!s.n || s.p[0] != '~')
		return ret_str(c, s, ret);
	while (n < s.n && s.p[n] != '/')
		n++;
	name = str_n(s.p + 1, n - 1);
	home = getenv("HOME");
	if (name.n || !home) {
		pw = name.n ? getpwnam(arena_strndup(c->a, name.p, name.n)) : getpwuid(getuid());
		if (!pw)
			return ret_str(c, s, ret);
		home = pw->pw_dir;
	}
	return ret_str(c, str_c(arena_printf(c->a, "%s%.*s", home, (int)(s.n - n), s.p + n)), ret);
}

static bool f_expandvars(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct str s;
	struct buf b = {.max = JINJA_MAX_OUT};

	if (!path_arg(c, "expandvars", &s, err))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool brace = i + 1 < s.n && s.p[i + 1] == '{';
		size_t from = i + 1 + brace, to = from;
		const char *x = NULL;

		while (to < s.n && (brace ? s.p[to] != '}'
		                          : s.p[to] == '_' || cp_alpha((unsigned char)s.p[to]) ||
		                                    cp_digit((unsigned char)s.p[to])))
			to++;
		if (s.p[i] == '$' && to > from && (!brace || to < s.n))
			x = getenv(arena_strndup(c->a, s.p + from, to - from));
		if (x) {
			buf_adds(&b, x);
			i = to - !brace;
		} else {
			buf_addc(&b, s.p[i]);
		}
	}
	*ret = buf_val(&b, c->a);
	return true;
}

static bool f_path_join(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s = STR(""), part;

	if (!jinja_args(c, "path_join", "paths", v, err))
		return false;
	if (val_is_str(v[0])) {
		*ret = v[0];
		return true;
	}
	if (!val_is_list(v[0]))
		return jinja_fail(err, "|path_join expects string or sequence, got %s instead.",
		                  val_type_name(v[0]));
	VAL_EACH (i, v[0]) {
		if (!arg_str(c, val_at(v[0], i), STR(""), &part, err))
			return false;
		s = i ? joined(c, s, part) : part;
	}
	return ret_str(c, s, ret);
}

static bool f_commonpath(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str best = STR("");

	if (!jinja_args(c, "commonpath", "paths", v, err))
		return false;
	if (!val_is_list(v[0]) || !val_len(v[0]))
		return jinja_fail(err, "|commonpath expects a sequence of paths");
	VAL_EACH (i, v[0]) {
		struct str s;
		size_t n = 0, k;

		if (!arg_str(c, val_at(v[0], i), STR(""), &s, err))
			return false;
		if (!i) {
			best = normalized(c, s);
			continue;
		}
		s = normalized(c, s);
		if ((s.p[0] == '/') != (best.p[0] == '/'))
			return jinja_fail(err, "Can't mix absolute and relative paths");
		for (k = 0; k <= s.n && k <= best.n; k++) {
			if ((k == s.n || s.p[k] == '/') && (k == best.n || best.p[k] == '/'))
				n = k;
			if (k == s.n || k == best.n || s.p[k] != best.p[k])
				break;
		}
		best.n = n || best.p[0] != '/' ? n : 1;
	}
	return ret_str(c, best, ret);
}

/* ---- tests */

static bool t_file(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *what = c->user;
	struct stat st, up;
	struct str s;
	bool yes = false;

	if (!path_arg(c, what, &s, err))
		return false;
	const char *z = arena_strndup(c->a, s.p, s.n);

	if (!strcmp(what, "abs"))
		yes = s.n && s.p[0] == '/';
	else if (!strcmp(what, "link"))
		yes = !lstat(z, &st) && S_ISLNK(st.st_mode);
	else if (!strcmp(what, "link_exists"))
		yes = !lstat(z, &st);
	else if (!stat(z, &st))
		yes = !strcmp(what, "file")        ? S_ISREG(st.st_mode)
		      : !strcmp(what, "directory") ? S_ISDIR(st.st_mode)
		      : !strcmp(what, "mount")
		              ? S_ISDIR(st.st_mode) && !stat(arena_printf(c->a, "%s/..", z), &up) &&
		                        (up.st_dev != st.st_dev || up.st_ino == st.st_ino)
		              : true;
	*ret = val_bool(yes);
	return true;
}

static bool t_same_file(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str a, b;
	struct stat x, y;

	if (!jinja_args(c, "same_file", "a b", v, err) || !arg_text(c, v[0], &a, err) ||
	    !arg_text(c, v[1], &b, err))
		return false;
	*ret = val_bool(!stat(arena_strndup(c->a, a.p, a.n), &x) &&
	                !stat(arena_strndup(c->a, b.p, b.n), &y) && x.st_dev == y.st_dev &&
	                x.st_ino == y.st_ino);
	return true;
}

#define IMPURE JINJA_IMPURE

const struct jinja_func jinja_filters_path[] = {
        {"basename", f_basename, "The last part of a path.", 0, "/"},
        {"commonpath", f_commonpath, "The longest path all of them lie under.", 0, NULL},
        {"dirname", f_dirname, "A path without its last part.", 0, "/"},
        {"expanduser", f_expanduser, "~ as the home directory.", IMPURE, NULL},
        {"expandvars", f_expandvars, "$NAME from the environment.", IMPURE, NULL},
        {"normpath", f_normpath, "A path without detours.", 0, NULL},
        {"path_join", f_path_join, "Parts as one path.", 0, NULL},
        {"realpath", f_realpath, "A path without symbolic links.", IMPURE, NULL},
        {"relpath", f_relpath, "A path as seen from another.", IMPURE, NULL},
        {"splitext", f_splitext, "A path and its extension.", 0, NULL},
        {"win_basename", f_basename, "The last part of a Windows path.", 0, "\\/"},
        {"win_dirname", f_dirname, "A Windows path without its last part.", 0, "\\/"},
        {"win_splitdrive", f_win_splitdrive, "The drive and the rest of a Windows path.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};

const struct jinja_func jinja_tests_path[] = {
        {"abs", t_file, "An absolute path.", 0, "abs"},
        {"directory", t_file, "A directory on the controller.", IMPURE, "directory"},
        {"exists", t_file, "A path that exists on the controller.", IMPURE, "exists"},
        {"file", t_file, "A regular file on the controller.", IMPURE, "file"},
        {"is_abs", t_file, "An absolute path.", 0, "abs"},
        {"is_dir", t_file, "A directory on the controller.", IMPURE, "directory"},
        {"is_file", t_file, "A regular file on the controller.", IMPURE, "file"},
        {"is_link", t_file, "A symbolic link on the controller.", IMPURE, "link"},
        {"is_mount", t_file, "A mount point on the controller.", IMPURE, "mount"},
        {"is_same_file", t_same_file, "Two paths of one file.", IMPURE, NULL},
        {"link", t_file, "A symbolic link on the controller.", IMPURE, "link"},
        {"link_exists", t_file, "A path, or dangling link, on the controller.", IMPURE, "link_exists"},
        {"mount", t_file, "A mount point on the controller.", IMPURE, "mount"},
        {"same_file", t_same_file, "Two paths of one file.", IMPURE, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
