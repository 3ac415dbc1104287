#include <errno.h>
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

/* The bits of PERM ("rwXst" or one of "ugo") for all three classes, before the classes are picked. */
static bool perm_bits(struct str perms, mode_t current, bool is_dir, mode_t *ret)
{
	mode_t bits = 0;
	for (size_t i = 0; i < perms.n; i++) {
		switch (perms.p[i]) {
		case 'r': bits |= 0444; break;
		case 'w': bits |= 0222; break;
		case 'x': bits |= 0111; break;
		case 'X': bits |= is_dir || (current & 0111) ? 0111 : 0; break;
		case 's': bits |= 06000; break;
		case 't': bits |= 01000; break;
		case 'u': bits |= ((current >> 6) & 7) * 0111U; break;
		case 'g': bits |= ((current >> 3) & 7) * 0111U; break;
		case 'o': bits |= (current & 7) * 0111U; break;
		default: return false;
		}
	}
	*ret = bits;
	return true;
}

/* One clause: who, then any number of [+-=]perms. */
static bool mode_clause(struct str s, bool is_dir, mode_t mask, mode_t *mode)
{
	size_t i = 0;
	mode_t who = 0;
	for (; i < s.n && strchr("ugoa", s.p[i]); i++)
		who |= s.p[i] == 'u' ? 04700U : s.p[i] == 'g' ? 02070U : s.p[i] == 'o' ? 01007U : 07777U;
	mode_t keep = who ? 0 : mask;
	if (!who)
		who = 07777;
	if (i == s.n)
		return false;
	while (i < s.n) {
		char op = s.p[i++];
		size_t start = i;
		if (op != '+' && op != '-' && op != '=')
			return false;
		while (i < s.n && !strchr("+-=", s.p[i]))
			i++;
		mode_t bits;
		if (!perm_bits(str_n(s.p + start, i - start), *mode, is_dir, &bits))
			return false;
		/* The sticky bit belongs to nobody in particular. */
		mode_t scope = (who & 06777) | (bits & 01000);
		bits &= scope & ~keep;
		if (op == '+')
			*mode |= bits;
		else if (op == '-')
			*mode &= ~bits;
		else
			*mode = (*mode & ~((scope & 0777 & ~keep) | (is_dir ? 0 : scope & 06000))) | bits;
	}
	return true;
}

bool mode_parse(struct arena *a, const struct val *mode, mode_t current, bool is_dir, mode_t mask,
                mode_t *ret, const char **why)
{
	int64_t n = -1;
	current &= 07777;
	if (val_kind(mode) == VAL_INT) {
		n = val_get_int(mode);
	} else {
		struct str s = str_trim(val_text(mode, a));
		char *z = arena_strndup(a, s.p ? s.p : "", s.n), *end = z;
		if (str_starts(s, "0o"))
			z += 2;
		if (*z >= '0' && *z <= '9')
			n = (int64_t)strtoul(z, &end, 8);
		if (n < 0 || *end) {
			mode_t m = current;
			struct str rest = s;
			while (rest.p && s.n)
				if (!mode_clause(str_trim(str_split(&rest, ',')), is_dir, mask, &m)) {
					*why = arena_printf(
					        a,
					        "mode must be in octal or symbolic form: bad symbolic "
					        "permission for mode: %.*s",
					        STR_FMT(s));
					return false;
				}
			if (!s.n) {
				*why = "mode must be in octal or symbolic form: it is empty";
				return false;
			}
			*ret = m;
			return true;
		}
	}
	if (n < 0 || n > 07777) {
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
	if (lstat(path, &st) != 0) {
		mod_sets(m, "state", "absent");
		return;
	}
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

bool set_owner(struct mod_ctx *m, const char *path, const struct stat *st, const char *owner, bool *changed)
{
	int64_t uid;
	if (!str_int(str_c(owner), &uid)) {
		const struct user *u = user_by_name(m->a, owner);
		if (!u)
			return mod_fail(m, "chown failed: failed to look up user %s", owner);
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
			return mod_fail(m, "chgrp failed: failed to look up group %s", group);
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

bool set_mode(struct mod_ctx *m, const char *path, const struct stat *st, const struct val *mode,
              bool *changed)
{
	mode_t want, mask = current_umask(), now = st ? st->st_mode : 0666 & ~mask;
	const char *why = NULL;
	if (!mode_parse(m->a, mode, now, st && S_ISDIR(st->st_mode), mask, &want, &why))
		return mod_fail(m, "%s", why);
	/* The mode of a symbolic link cannot be set, nor is that of what it points to meant. */
	if (st && (S_ISLNK(st->st_mode) || (st->st_mode & 07777) == want))
		return true;
	*changed = true;
	if (st)
		mod_diff_attr(m, "mode", val_strz(m->a, mode_text(m->a, st->st_mode)),
		              val_strz(m->a, mode_text(m->a, want)));
	if (!m->check && chmod(path, want) != 0)
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

bool mod_file_args(struct mod_ctx *m, const char *path)
{
	struct stat st;
	bool changed = false;
	if (mod_bool(m, "follow")) {
		char *real = realpath(path, NULL);
		if (real)
			path = arena_strdup(m->a, real);
		free(real);
	}
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
