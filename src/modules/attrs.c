#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/attrs.h"
#include "modules/users.h"

mode_t current_umask(void)
{
	mode_t u = umask(022);
	umask(u);
	return u;
}

const char *mode_text(struct arena *a, mode_t mode)
{
	return arena_printf(a, "0%03o", (unsigned)(mode & 07777));
}

/* What the letters PERMS give to the class SHIFT bits up (6 user, 3 group, 0 others) of a file that has NOW.
 */
static bool perm_bits(struct str perms, unsigned shift, mode_t now, bool is_dir, mode_t mask, mode_t *ret)
{
	static const mode_t special[] = {01000, 0, 0, 02000, 0, 0, 04000};
	mode_t bits = 0;
	for (size_t i = 0; i < perms.n; i++) {
		switch (perms.p[i]) {
		case 'r': bits |= 4U << shift & ~mask; break;
		case 'w': bits |= 2U << shift & ~mask; break;
		case 'x': bits |= 1U << shift & ~mask; break;
		case 'X': bits |= is_dir || (now & 0111) ? 1U << shift : 0; break;
		case 's': bits |= special[shift] & 06000; break;
		case 't': bits |= special[shift] & 01000; break;
		case 'u': bits |= (now >> 6 & 7) << shift; break;
		case 'g': bits |= (now >> 3 & 7) << shift; break;
		case 'o': bits |= (now & 7) << shift; break;
		default: return false;
		}
	}
	*ret = bits;
	return true;
}

/* One clause: who, then any number of [+-=]perms, to MODE. Copied bits are those of NOW, before all clauses.
 */
static bool mode_clause(struct str s, mode_t now, bool is_dir, mode_t mask, mode_t *mode)
{
	static const mode_t own[] = {01007, 0, 0, 02070, 0, 0, 04700};
	size_t i = 0;
	while (i < s.n && !strchr("+-=", s.p[i]))
		i++;
	struct str who = str_n(s.p, i);
	if (who.n)
		mask = 0;
	if (!who.n || str_eqc(who, "a"))
		who = STR("ugo");
	for (size_t k = 0; k < who.n; k++)
		if (!strchr("ugo", who.p[k]))
			return false;
	while (i < s.n) {
		char op = s.p[i++];
		size_t start = i;
		while (i < s.n && !strchr("+-=", s.p[i]))
			i++;
		for (size_t k = 0; k < who.n; k++) {
			unsigned shift = who.p[k] == 'u' ? 6 : who.p[k] == 'g' ? 3 : 0;
			mode_t bits;
			if (!perm_bits(str_n(s.p + start, i - start), shift, now, is_dir, mask, &bits))
				return false;
			if (op == '-')
				*mode &= ~bits;
			else
				*mode = (op == '=' ? *mode & ~own[shift] : *mode) | bits;
		}
	}
	return true;
}

/* Octal text as a program reads numbers: white space around it, a sign and 0o in front do no harm. */
static bool octal(struct arena *a, struct str s, int64_t *ret)
{
	s = str_trim(s);
	char *z = arena_strndup(a, s.p ? s.p : "", s.n), *end;
	if (*z == '+')
		z++;
	if (*z == '0' && (z[1] == 'o' || z[1] == 'O'))
		z += 2;
	if (*z < '0' || *z > '7')
		return false;
	*ret = strtol(z, &end, 8);
	return !*end;
}

bool mode_parse(struct arena *a, const struct val *mode, mode_t current, bool is_dir, mode_t mask,
                mode_t *ret, const char **why)
{
	int64_t n;
	struct str text = val_text(mode, a), rest = text;
	if (val_kind(mode) == VAL_INT)
		n = val_get_int(mode);
	else if (!octal(a, text, &n)) {
		*ret = current & 07777; /* an empty text leaves it at that */
		while (rest.p && rest.n) {
			struct str clause = str_split(&rest, ',');
			if (!mode_clause(clause, current & 07777, is_dir, mask, ret)) {
				*why = arena_printf(
				        a,
				        "mode must be in octal or symbolic form: bad symbolic permission "
				        "for mode: %.*s",
				        STR_FMT(clause));
				return false;
			}
		}
		return true;
	}
	if (n < 0 || n > UINT32_MAX) {
		*why = arena_printf(a, "Invalid mode supplied, only permission info is allowed: %lld",
		                    (long long)n);
		return false;
	}
	*ret = (mode_t)n;
	return true;
}

static const char *state_name(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return "link";
	if (S_ISDIR(st->st_mode))
		return "directory";
	return st->st_nlink > 1 ? "hard" : "file";
}

void path_info(struct mod_ctx *m, const char *path)
{
	struct stat st;
	/* Of a dangling link nothing is said, as of what is not there. */
	if (stat(path, &st) != 0 || lstat(path, &st) != 0)
		return;
	const struct user *u = user_by_id(m->a, st.st_uid);
	const struct ugroup *g = group_by_id(m->a, st.st_gid);
	mod_seti(m, "uid", st.st_uid);
	mod_seti(m, "gid", st.st_gid);
	mod_sets(m, "owner", u ? u->name : arena_printf(m->a, "%lu", (unsigned long)st.st_uid));
	mod_sets(m, "group", g ? g->name : arena_printf(m->a, "%lu", (unsigned long)st.st_gid));
	mod_sets(m, "mode", mode_text(m->a, st.st_mode));
	mod_sets(m, "state", state_name(&st));
	mod_seti(m, "size", st.st_size);
}

/* Of a file whose attributes cannot be set the result tells where it is, and no more. */
static bool fail_at(struct mod_ctx *m, const char *path, const char *msg)
{
	struct val *warnings = val_get(m->result, "warnings");
	m->result = val_map(m->a);
	if (warnings)
		mod_set(m, "warnings", warnings);
	mod_sets(m, "path", path);
	return mod_fail(m, "%s", msg);
}

bool set_owner(struct mod_ctx *m, const char *path, const struct stat *st, const char *owner, bool *changed)
{
	int64_t uid;
	if (!str_int(str_c(owner), &uid)) {
		const struct user *u = user_by_name(m->a, owner);
		if (!u)
			return fail_at(m, path,
			               arena_printf(m->a, "chown failed: failed to look up user %s", owner));
		uid = u->uid;
	}
	if (st && st->st_uid == (uid_t)uid)
		return true;
	*changed = true;
	if (st)
		mod_diff_attr(m, "owner", val_int(m->a, st->st_uid), val_int(m->a, uid));
	if (!m->check && lchown(path, (uid_t)uid, (gid_t)-1) != 0)
		return mod_fail_sys(m, "chown failed: %s", path);
	return true;
}

bool set_group(struct mod_ctx *m, const char *path, const struct stat *st, const char *group, bool *changed)
{
	int64_t gid;
	if (!str_int(str_c(group), &gid)) {
		const struct ugroup *g = group_by_name(m->a, group);
		if (!g)
			return fail_at(m, path,
			               arena_printf(m->a, "chgrp failed: failed to look up group %s", group));
		gid = g->gid;
	}
	if (st && st->st_gid == (gid_t)gid)
		return true;
	*changed = true;
	if (st)
		mod_diff_attr(m, "group", val_int(m->a, st->st_gid), val_int(m->a, gid));
	if (!m->check && lchown(path, (uid_t)-1, (gid_t)gid) != 0)
		return mod_fail_sys(m, "chgrp failed: %s", path);
	return true;
}

/* WHY is "the message: its details". */
static bool fail_mode(struct mod_ctx *m, const char *path, const char *why)
{
	const char *colon = strstr(why, ": ");
	if (!colon)
		return fail_at(m, path, why);
	fail_at(m, path, arena_strndup(m->a, why, (size_t)(colon - why)));
	mod_sets(m, "details", colon + 2);
	return false;
}

bool set_mode(struct mod_ctx *m, const char *path, const struct stat *st, const struct val *mode,
              bool *changed)
{
	mode_t want, mask = current_umask(), now = st ? st->st_mode : 0666 & ~mask;
	const char *why = NULL;
	if (!mode_parse(m->a, mode, now, st && S_ISDIR(st->st_mode), mask, &want, &why))
		return fail_mode(m, path, why);
	if (st && (st->st_mode & 07777) == want)
		return true;
	if (st)
		mod_diff_attr(m, "mode", val_strz(m->a, mode_text(m->a, st->st_mode)),
		              val_strz(m->a, arena_printf(m->a, "0%03o", (unsigned)want)));
	/* The mode of a symbolic link cannot be set, nor is that of what it points to meant. */
	if (!m->check && st && S_ISLNK(st->st_mode))
		return true;
	/* What is no permission does no harm, and no good. */
	*changed = *changed || m->check || !st || (st->st_mode & 07777) != (want & 07777);
	if (!m->check && chmod(path, want & 07777) != 0)
		return mod_fail_sys(m, "chmod failed: %s", path);
	return true;
}

/* lsattr's letters of PATH, "" when the file system has none. */
static const char *attr_flags(struct mod_ctx *m, const char *path)
{
	struct mod_out out;
	const char *lsattr = mod_which(m, "lsattr");
	if (!lsattr || !mod_exec(m, &out, lsattr, "-d", path, NULL) || out.rc != 0)
		return "";
	struct str word = out.out;
	word = str_split(&word, ' ');
	struct buf b = {0};
	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] != '-')
			buf_addc(&b, word.p[i]);
	const char *z = arena_strndup(m->a, b.p ? b.p : "", b.n);
	buf_free(&b);
	return z;
}

static bool set_attributes(struct mod_ctx *m, const char *path, const char *attrs, bool *changed)
{
	const char *have = attr_flags(m, path);
	char op = strchr("+-=", *attrs) ? *attrs : '=';
	const char *want = strchr("+-=", *attrs) ? attrs + 1 : attrs;
	bool same = true;
	for (const char *p = want; *p; p++)
		same = same && (strchr(have, *p) != NULL) == (op != '-');
	if (op == '=')
		same = same && strlen(have) == strlen(want);
	if (same)
		return true;
	*changed = true;
	if (m->check)
		return true;
	struct mod_out out;
	if (!mod_exec(m, &out, "chattr", arena_printf(m->a, "%c%s", op, want), path, NULL))
		return false;
	return out.rc == 0 || mod_fail(m, "chattr failed: %.*s", STR_FMT(str_trim(out.err)));
}

bool path_args(struct mod_ctx *m, const char *path)
{
	struct stat st;
	bool changed = false;
	const struct stat *now = lstat(path, &st) == 0 ? &st : NULL;
	const struct val *mode = val_get(m->args, "mode");
	if (!now && !m->check)
		return mod_fail(m, "file (%s) is absent, cannot continue", path);
	if (!now) {
		/* In check mode what would be made is not there yet: it would get its attributes as well. */
		if (mod_has(m, "owner") || mod_has(m, "group") || mode)
			mod_changed(m);
		return true;
	}
	if (mod_has(m, "owner") && !set_owner(m, path, now, mod_arg(m, "owner"), &changed))
		return false;
	if (mod_has(m, "group") && !set_group(m, path, now, mod_arg(m, "group"), &changed))
		return false;
	/* chown clears setuid bits: the mode comes after it, seen afresh. */
	if (mode && (!(changed && !m->check) || lstat(path, &st) == 0) &&
	    !set_mode(m, path, &st, mode, &changed))
		return false;
	if (mod_has(m, "attributes") && *mod_arg(m, "attributes") &&
	    !set_attributes(m, path, mod_arg(m, "attributes"), &changed))
		return false;
	if (changed)
		mod_changed(m);
	return true;
}

const char *path_real(struct arena *a, const char *path)
{
	const char *rest = "";
	char *real;
	for (int hops = 0; !(real = realpath(path, NULL)); hops++) {
		char to[PATH_MAX];
		ssize_t n = hops < 40 ? readlink(path, to, sizeof(to) - 1) : -1;
		const char *up = fs_dirname(a, path);
		if (strcmp(up, path) == 0 || strcmp(up, ".") == 0)
			return *rest ? fs_join(a, path, rest) : path;
		if (n >= 0) {
			to[n] = '\0';
			path = fs_join(a, up, to);
		} else {
			rest = *rest ? fs_join(a, fs_basename(path), rest) : fs_basename(path);
			path = up;
		}
	}
	const char *found = arena_strdup(a, real);
	free(real);
	return *rest ? fs_join(a, found, rest) : found;
}

bool mod_file_args(struct mod_ctx *m, const char *path)
{
	struct stat st;
	if (mod_bool(m, "follow") && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		path = path_real(m->a, path);
	return path_args(m, path);
}
