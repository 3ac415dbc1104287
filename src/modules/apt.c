/*
 * apt: what is installed is read from dpkg's database; apt-get runs only when something is to change.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <time.h>
#include <unistd.h>
#include "modules/dpkg.h"
#include "modules/fetch_url.h"

enum { WORDS = 512, LOCK_POLL_US = 1000000 };

static const char POLICY[] = "/usr/sbin/policy-rc.d";

struct apt {
	struct mod_ctx *m;
	struct dpkg_db db;
	const char *argv[WORDS + 1];
	size_t n;
	bool cache_updated;
	int64_t cache_time;
	struct val *asked; /* packages that are there already, by name */
};

/* "name", "name=version", "name>=version", "name/release" */
struct spec {
	struct str name, op, version;
	const char *text;
};

static void add(struct apt *t, const char *word)
{
	if (t->n < WORDS)
		t->argv[t->n++] = word;
	t->argv[t->n] = NULL;
}

/* apt-get with the options every call has. */
static void start(struct apt *t)
{
	struct mod_ctx *m = t->m;
	t->n = 0;
	add(t, "apt-get");
	add(t, "-y");
	add(t, "-o");
	add(t, arena_printf(m->a, "DPkg::Lock::Timeout=%lld", (long long)mod_int(m, "lock_timeout", 60)));
	struct str options = mod_args(m, "dpkg_options");
	while (options.p) {
		struct str one = str_trim(str_split(&options, ','));
		if (!one.n)
			continue;
		add(t, "-o");
		add(t, arena_printf(m->a, "Dpkg::Options::=--%.*s", STR_FMT(one)));
	}
	if (mod_bool(m, "force")) {
		add(t, "--allow-downgrades");
		add(t, "--allow-remove-essential");
		add(t, "--allow-change-held-packages");
		add(t, "--allow-unauthenticated");
	}
	if (mod_bool(m, "allow_unauthenticated"))
		add(t, "--allow-unauthenticated");
	if (mod_bool(m, "allow_downgrade"))
		add(t, "--allow-downgrades");
	if (mod_bool(m, "allow_change_held_packages"))
		add(t, "--allow-change-held-packages");
	if (mod_bool(m, "fail_on_autoremove"))
		add(t, "--no-remove");
	if (m->check)
		add(t, "--simulate");
	if (mod_has(m, "default_release")) {
		add(t, "-t");
		add(t, mod_arg(m, "default_release"));
	}
	if (mod_has(m, "install_recommends")) {
		add(t, "-o");
		add(t, mod_bool(m, "install_recommends") ? "APT::Install-Recommends=yes"
		                                         : "APT::Install-Recommends=no");
	}
}

static bool has(struct str s, const char *z)
{
	return str_find(s, str_c(z), 0) >= 0;
}

static bool spawn(struct apt *t, const char *const *argv, struct mod_out *out)
{
	static const char *const env[] = {"DEBIAN_FRONTEND=noninteractive",
	                                  "DEBIAN_PRIORITY=critical",
	                                  "LC_ALL=C.UTF-8",
	                                  "LANG=C.UTF-8",
	                                  "LANGUAGE=C",
	                                  NULL};
	return mod_spawn(
	        t->m, &(struct mod_cmd){.argv = argv, .extra_env = env, .progress = true, .never_kill = true},
	        out);
}

/* Somebody else's lock is waited for; a dpkg that was once interrupted is finished first. */
static bool run_patiently(struct apt *t, struct mod_out *out)
{
	int64_t until = mod_now_ms() + mod_int(t->m, "lock_timeout", 60) * 1000;
	bool repaired = false;
	for (;;) {
		if (!spawn(t, t->argv, out))
			return false;
		if (out->rc == 0)
			return true;
		if (has(out->err, "dpkg was interrupted") && !repaired && !t->m->check) {
			static const char *const repair[] = {
			        "dpkg", "--force-confdef", "--force-confold", "--configure", "-a", NULL};
			struct mod_out ignored;
			repaired = true;
			if (!spawn(t, repair, &ignored))
				return false;
			continue;
		}
		bool locked = has(out->err, "Could not get lock") || has(out->err, "Unable to lock");
		if (!locked || mod_now_ms() >= until ||
		    (t->m->io && t->m->io->cancelled && t->m->io->cancelled(t->m->io->ctx)))
			return true;
		usleep(LOCK_POLL_US);
	}
}

/* ---- policy-rc.d: keeps maintainer scripts from starting services while packages are installed */

static bool policy_begin(struct mod_ctx *m, struct str *old, bool *ours)
{
	*ours = mod_has(m, "policy_rc_d") && !m->check;
	if (!*ours)
		return true;
	struct err e = {0};
	if (!mod_read_maybe(m, POLICY, old))
		return false;
	const char *script =
	        arena_printf(m->a, "#!/bin/sh\nexit %lld\n", (long long)mod_int(m, "policy_rc_d", 0));
	return fs_write(POLICY, str_c(script), 0755, &e) || mod_fail_err(m, &e);
}

static bool policy_end(struct mod_ctx *m, struct str old, bool ours)
{
	struct err e = {0};
	if (!ours)
		return true;
	if (old.p)
		return fs_write(POLICY, old, 0755, &e) || mod_fail_err(m, &e);
	return unlink(POLICY) == 0 || errno == ENOENT || mod_fail_sys(m, "cannot remove %s", POLICY);
}

/* ---- results */

/* The part of apt-get's talk between its preparations and its work: the "prepared" of a diff. */
static void set_diff(struct mod_ctx *m, struct str out)
{
	if (!m->diff)
		return;
	struct buf b = {0};
	bool on = str_find(out, STR("Reading state information...\n"), 0) < 0;
	while (out.p && out.n) {
		struct str line = str_split(&out, '\n');
		if (!on) {
			on = str_eqc(line, "Reading state information...");
			continue;
		}
		buf_printf(&b, "%s%.*s", b.n ? "\n" : "", STR_FMT(line));
		if (line.n && line.p[0] >= '0' && line.p[0] <= '9' && has(line, " upgraded"))
			break;
	}
	struct val *d = val_map(m->a);
	val_set(d, "prepared", val_str(m->a, buf_str(&b)));
	mod_set(m, "diff", d);
	buf_free(&b);
}

/* Who holds one of apt's locks, as a sentence for the end of an error; empty when nobody does. */
static const char *lock_holder(struct mod_ctx *m)
{
	static const char *const locks[] = {"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock",
	                                    "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"};
	for (size_t i = 0; i < sizeof(locks) / sizeof(*locks); i++) {
		struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int fd = open(locks[i], O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		bool found = fd >= 0 && fcntl(fd, F_GETLK, &held) == 0 && held.l_type != F_UNLCK;
		if (fd >= 0)
			close(fd);
		if (!found)
			continue;
		struct buf name = {0};
		fs_read(arena_printf(m->a, "/proc/%ld/comm", (long)held.l_pid), &name, NULL);
		const char *text = arena_printf(
		        m->a, "%s is held by process %ld (%.*s): wait for it to end, or raise lock_timeout",
		        locks[i], (long)held.l_pid, STR_FMT(str_trim(buf_str(&name))));
		buf_free(&name);
		return text;
	}
	return "";
}

static bool fail_run(struct apt *t, const struct mod_out *out)
{
	struct mod_ctx *m = t->m;
	struct buf cmd = {0};
	for (size_t i = 0; i < t->n; i++)
		buf_printf(&cmd, "%s%s", i ? " " : "", t->argv[i]);
	mod_setstr(m, "stdout", out->out);
	mod_setstr(m, "stderr", out->err);
	mod_seti(m, "rc", out->rc);
	ptrdiff_t at = str_find(out->err, STR("E: Unable to locate package "), 0);
	ptrdiff_t named = str_find(out->err, STR("E: Package '"), 0); /* others speak of it, nothing is it */
	ptrdiff_t version = str_find(out->err, STR("E: Version '"), 0);
	if (at >= 0 || (named >= 0 && !has(out->out, "is a virtual package"))) {
		size_t skip = at >= 0 ? (size_t)at + 28 : (size_t)named + 12;
		struct str rest = str_n(out->err.p + skip, out->err.n - skip),
		           name = str_split(&rest, at >= 0 ? '\n' : '\'');
		mod_fail(m, "No package matching '%.*s' is available", STR_FMT(name));
	} else if (version >= 0 && has(out->err, "was not found")) {
		struct str rest = str_n(out->err.p + version + 12, out->err.n - (size_t)version - 12);
		struct str number = str_split(&rest, '\''), name;
		(void)str_split(&rest, '\'');
		name = str_split(&rest, '\'');
		mod_fail(m, "no available installation candidate for %.*s=%.*s", STR_FMT(name),
		         STR_FMT(number));
	} else {
		mod_fail(m, "'%s' failed: %.*s%s", cmd.p, STR_FMT(out->err), lock_holder(m));
	}
	buf_free(&cmd);
	return false;
}

/* Runs what is in argv; CHANGED says whether apt did something. */
static bool run_and_report(struct apt *t)
{
	struct mod_ctx *m = t->m;
	struct mod_out out;
	struct str old = {0};
	bool ours;
	if (!policy_begin(m, &old, &ours))
		return false;
	bool ok = run_patiently(t, &out);
	if (!policy_end(m, old, ours) || !ok)
		return false;
	if (out.rc != 0)
		return fail_run(t, &out);
	mod_setstr(m, "stdout", out.out);
	mod_setstr(m, "stderr", out.err);
	set_diff(m, out.out);
	/* Finishing what was left half-configured counts, although nothing is new. */
	if (!has(out.out, "\n0 upgraded, 0 newly installed, 0 to remove") ||
	    has(out.out, " not fully installed or removed"))
		mod_changed(m);
	return true;
}

/* ---- the lists of packages */

static int64_t cache_mtime(void)
{
	struct stat st;
	if (stat("/var/lib/apt/periodic/update-success-stamp", &st) == 0 ||
	    stat("/var/lib/apt/lists", &st) == 0)
		return (int64_t)st.st_mtime;
	return 0;
}

/* Looking for news is no change; that there were some is. */
static bool cache_is_new(struct apt *t)
{
	int64_t now = cache_mtime();
	t->cache_updated = now != t->cache_time;
	t->cache_time = now;
	return true;
}

static bool update_cache(struct apt *t)
{
	struct mod_ctx *m = t->m;
	int64_t valid = mod_int(m, "cache_valid_time", 0), tries = mod_int(m, "update_cache_retries", 5),
	        wait = 1;
	t->cache_time = cache_mtime();
	if ((!mod_bool(m, "update_cache") && !valid) || t->cache_time + valid >= (int64_t)time(NULL))
		return true;
	t->cache_updated = m->check;
	if (m->check)
		return true;
	struct mod_out out;
	t->n = 0;
	add(t, "apt-get");
	add(t, "-q");
	add(t, "update");
	for (int64_t i = 0; i < tries || i == 0; i++) {
		if (i) {
			sleep((unsigned)wait);
			int64_t most = mod_int(m, "update_cache_retry_max_delay", 12);
			wait = wait * 2 < most ? wait * 2 : most;
		}
		if (!run_patiently(t, &out))
			return false;
		/* apt-get update warns about a source it could not reach and still says 0. */
		bool partial = has(out.err, "Some index files failed to download") ||
		               has(out.err, "W: Failed to fetch");
		if (out.rc == 0 && !partial)
			return cache_is_new(t);
		if (out.rc == 0 && i + 1 >= tries) {
			mod_warn(m, "apt-get update: %.*s", STR_FMT(str_trim(out.err)));
			return cache_is_new(t);
		}
	}
	mod_setstr(m, "stdout", out.out);
	mod_setstr(m, "stderr", out.err);
	mod_seti(m, "rc", out.rc);
	const char *holder = lock_holder(m);
	return mod_fail(m, "Failed to update apt cache: %.*s%s%s", STR_FMT(str_trim(out.err)),
	                *holder ? "\n" : "", holder);
}

/* ---- packages */

static struct spec parse_spec(struct mod_ctx *m, struct str s)
{
	struct spec p = {.name = s};
	s = str_trim(s);
	p.text = arena_strndup(m->a, s.p ? s.p : "", s.n);
	p.name = s;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '=' && s.p[i] != '>' && s.p[i] != '/')
			continue;
		size_t len = i + 1 < s.n && s.p[i] == '>' && s.p[i + 1] == '=' ? 2 : 1;
		p.name = str_trim(str_n(s.p, i));
		p.op = str_n(s.p + i, len);
		p.version = str_trim(str_n(s.p + i + len, s.n - i - len));
		break;
	}
	return p;
}

static bool has_wildcard(struct str s)
{
	return s.n && (memchr(s.p, '*', s.n) || memchr(s.p, '?', s.n) || memchr(s.p, '[', s.n));
}

/* Whether what is installed satisfies the version P asks for. */
static bool version_fits(struct mod_ctx *m, const struct spec *p, struct str installed)
{
	if (!p->version.n || str_eqc(p->op, "/"))
		return true;
	if (str_eqc(p->op, ">="))
		return dpkg_version_cmp(installed, p->version) >= 0;
	const char *want = arena_strndup(m->a, p->version.p, p->version.n);
	return fnmatch(want, arena_strndup(m->a, installed.p, installed.n), 0) == 0 ||
	       dpkg_version_cmp(installed, p->version) == 0;
}

/* Names of all packages apt knows that match the pattern; those of the database are not enough to install. */
static bool expand_wildcard(struct apt *t, const struct spec *p, bool installed_only, struct val *out)
{
	struct mod_ctx *m = t->m;
	const char *pattern = arena_strndup(m->a, p->name.p, p->name.n);
	if (installed_only) {
		for (size_t i = 0; i < t->db.n; i++)
			if ((t->db.pkgs[i].installed || (t->db.pkgs[i].has_config && mod_bool(m, "purge"))) &&
			    fnmatch(pattern, arena_strndup(m->a, t->db.pkgs[i].name.p, t->db.pkgs[i].name.n),
			            0) == 0)
				val_push(out, val_str(m->a, t->db.pkgs[i].name));
		return true;
	}
	struct mod_out r;
	if (!mod_exec(m, &r, "apt-cache", "pkgnames", NULL))
		return false;
	size_t had = val_len(out);
	while (r.out.p && r.out.n) {
		struct str name = str_split(&r.out, '\n');
		if (name.n && fnmatch(pattern, arena_strndup(m->a, name.p, name.n), 0) == 0)
			val_push(out, p->version.n ? val_strf(m->a, "%.*s=%.*s", STR_FMT(name),
			                                      STR_FMT(p->version))
			                           : val_str(m->a, name));
	}
	return val_len(out) > had || mod_fail(m, "No package(s) matching '%s' available", pattern);
}

/* The package's version apt would install, by apt-cache policy; empty when unknown. */
static bool candidates(struct apt *t, const struct val *names, struct val **ret)
{
	struct mod_ctx *m = t->m;
	struct mod_out out;
	const char **argv = arena_array(m->a, val_len(names) + 3, sizeof(*argv));
	static const char *const env[] = {"LC_ALL=C.UTF-8", "LANG=C.UTF-8", NULL};
	argv[0] = "apt-cache";
	argv[1] = "policy";
	VAL_EACH (i, names)
		argv[i + 2] = val_get_strz(val_at(names, i));
	if (!mod_spawn(m, &(struct mod_cmd){.argv = argv, .extra_env = env}, &out))
		return false;
	*ret = val_map(m->a);
	struct str name = {0};
	while (out.out.p && out.out.n) {
		struct str line = str_split(&out.out, '\n');
		if (line.n && line.p[0] != ' ')
			name = str_n(line.p, line.n - 1);
		else if (str_starts(line, "  Candidate: "))
			val_sets(*ret, name, val_str(m->a, str_n(line.p + 13, line.n - 13)));
	}
	return true;
}

/* Whether P needs apt at all. */
static bool is_satisfied(struct apt *t, const struct spec *p)
{
	const struct dpkg_pkg *have = dpkg_find(&t->db, p->name);
	if (have && have->installed)
		return version_fits(t->m, p, have->version);
	return !p->version.n && dpkg_provider(&t->db, p->name);
}

/* The words to give to "apt-get install" for those that are missing or, with LATEST, old. */
static bool collect_installs(struct apt *t, const struct val *names, bool latest, struct val *out)
{
	struct mod_ctx *m = t->m;
	struct val *check = val_list(m->a), *best = NULL;
	bool only_upgrade = mod_bool(m, "only_upgrade");
	VAL_EACH (i, names) {
		struct spec p = parse_spec(m, val_text(val_at(names, i), m->a));
		if (has_wildcard(p.name)) {
			struct val *more = val_list(m->a);
			if (!expand_wildcard(t, &p, false, more) || !collect_installs(t, more, latest, out))
				return false;
			continue;
		}
		const struct dpkg_pkg *have = dpkg_find(&t->db, p.name);
		if (only_upgrade && !(have && have->installed))
			continue;
		if (have && have->installed)
			val_push(t->asked, val_str(m->a, p.name));
		if (!is_satisfied(t, &p) || (only_upgrade && !p.version.n))
			val_push(out,
			         val_strz(m->a, str_eqc(p.op, ">=") ? arena_strndup(m->a, p.name.p, p.name.n)
			                                            : p.text));
		else if (latest && !p.version.n && have && have->installed)
			val_push(check, val_str(m->a, p.name));
	}
	if (!val_len(check))
		return true;
	if (!candidates(t, check, &best))
		return false;
	VAL_EACH (i, check) {
		struct str name = val_get_str(val_at(check, i));
		const struct dpkg_pkg *have = dpkg_find(&t->db, name);
		struct val *want = val_gets(best, name);
		if (want && !str_eqc(val_get_str(want), "(none)") &&
		    dpkg_version_cmp(val_get_str(want), have->version) > 0)
			val_push(out, val_at(check, i));
	}
	return true;
}

/* Whether STATES, apt's list of what it knows of packages, says that NAME came as somebody's dependency. */
static bool is_automatic(struct mod_ctx *m, struct str states, const struct val *name)
{
	struct str stanza = str_c(arena_printf(m->a, "Package: %s\n", val_get_strz(name)));
	ptrdiff_t at = 0;

	while ((at = str_find(states, stanza, (size_t)at)) >= 0) {
		struct str rest = str_from(states, (size_t)at);
		ptrdiff_t end = str_find(rest, STR("\n\n"), 0);

		if ((at == 0 || states.p[at - 1] == '\n') &&
		    has(end < 0 ? rest : str_n(rest.p, (size_t)end), "Auto-Installed: 1"))
			return true;
		at += (ptrdiff_t)stanza.n;
	}
	return false;
}

/* What was asked for by name does not go with those that once needed it. No change, as Ansible sees it. */
static bool keep_asked(struct apt *t)
{
	struct mod_ctx *m = t->m;
	const char **argv = arena_array(m->a, val_len(t->asked) + 3, sizeof(*argv));
	struct str states;
	struct mod_out out;
	size_t n = 2;

	if (m->check)
		return true;
	if (!mod_read_maybe(m, "/var/lib/apt/extended_states", &states))
		return false;
	argv[0] = "apt-mark";
	argv[1] = "manual";
	VAL_EACH (i, t->asked) {
		if (is_automatic(m, states, val_at(t->asked, i)))
			argv[n++] = val_get_strz(val_at(t->asked, i));
	}
	if (n == 2)
		return true;
	if (!mod_spawn(m, &(struct mod_cmd){.argv = argv}, &out))
		return false;
	return out.rc == 0 || mod_fail(m, "'apt-mark manual' failed: %.*s", STR_FMT(str_trim(out.err)));
}

static bool install(struct apt *t, const struct val *names, bool latest, const char *verb)
{
	struct mod_ctx *m = t->m;
	struct val *todo = val_list(m->a);
	t->asked = val_list(m->a);
	if (strcmp(verb, "install") != 0)
		todo = val_copy(m->a, names);
	else if (!collect_installs(t, names, latest, todo))
		return false;
	bool fixed = mod_is(m, "state", "fixed");
	if (!val_len(todo) && !fixed)
		return keep_asked(t);
	start(t);
	if (mod_bool(m, "only_upgrade"))
		add(t, "--only-upgrade");
	if (fixed)
		add(t, "--fix-broken");
	if (mod_bool(m, "autoremove"))
		add(t, "--auto-remove");
	add(t, verb);
	VAL_EACH (i, todo)
		add(t, val_get_strz(val_at(todo, i)));
	return run_and_report(t) && keep_asked(t);
}

static bool remove_packages(struct apt *t, const struct val *names)
{
	struct mod_ctx *m = t->m;
	struct val *todo = val_list(m->a);
	bool purge = mod_bool(m, "purge");
	VAL_EACH (i, names) {
		struct spec p = parse_spec(m, val_text(val_at(names, i), m->a));
		if (has_wildcard(p.name)) {
			if (!expand_wildcard(t, &p, true, todo))
				return false;
			continue;
		}
		const struct dpkg_pkg *have = dpkg_find(&t->db, p.name);
		if (have && (have->installed || !have->has_config || purge))
			val_push(todo, val_str(m->a, p.name));
	}
	if (!val_len(todo))
		return true;
	start(t);
	add(t, purge ? "--purge" : "-q");
	if (mod_bool(m, "autoremove"))
		add(t, "--auto-remove");
	add(t, "remove");
	VAL_EACH (i, todo)
		add(t, val_get_strz(val_at(todo, i)));
	return run_and_report(t);
}

/* A package file, local or fetched: apt-get also brings what it depends on. */
static bool install_deb(struct apt *t, const char *deb)
{
	struct mod_ctx *m = t->m;
	struct mod_out out;
	bool fetched = strstr(deb, "://") != NULL;
	const char *file = deb;
	if (fetched && !(file = fetch_to_temp(m, deb, ".deb")))
		return false;
	if (access(file, R_OK) != 0)
		return mod_fail(m, "Unable to install package: E:Could not open file %s - open (%d: %s)",
		                file, errno, strerror(errno));
	bool ok = mod_exec(m, &out, "dpkg-deb", "-f", file, "Package", "Version", NULL);
	if (ok && out.rc != 0)
		ok = mod_fail(m, "Unable to install package: %.*s", STR_FMT(str_trim(out.err)));
	if (ok) {
		struct str rest = out.out, name = {0}, version = {0};
		while (rest.p && rest.n) {
			struct str value = str_split(&rest, '\n'), key = str_split(&value, ':');
			if (str_eqc(key, "Package"))
				name = str_trim(value);
			else if (str_eqc(key, "Version"))
				version = str_trim(value);
		}
		const struct dpkg_pkg *have = dpkg_find(&t->db, name);
		int cmp = have && have->installed ? dpkg_version_cmp(have->version, version) : -1;
		if (cmp < 0 || (cmp > 0 && (mod_bool(m, "allow_downgrade") || mod_bool(m, "force")))) {
			start(t);
			add(t, "install");
			add(t, *file == '/' ? file : arena_printf(m->a, "./%s", file));
			ok = run_and_report(t);
		} else if (cmp > 0) {
			ok = mod_fail(m, "A later version is already installed");
		}
	}
	if (fetched)
		unlink(file);
	return ok;
}

static bool upgrade(struct apt *t, const char *kind)
{
	struct mod_ctx *m = t->m;
	start(t);
	bool dist = strcmp(kind, "dist") == 0 || strcmp(kind, "full") == 0;
	if (!dist)
		add(t, "--with-new-pkgs");
	if (mod_bool(m, "autoremove"))
		add(t, "--auto-remove");
	add(t, dist ? "dist-upgrade" : "upgrade");
	if (!run_and_report(t))
		return false;
	mod_setstr(m, "msg", val_map_str(m->result, "stdout", ""));
	return true;
}

static bool housekeeping(struct apt *t, const char *verb)
{
	struct mod_ctx *m = t->m;
	struct mod_out out;
	start(t);
	if (mod_bool(m, "purge") && strcmp(verb, "autoremove") == 0)
		add(t, "--purge");
	add(t, verb);
	if (strcmp(verb, "autoremove") == 0)
		return run_and_report(t);
	if (!run_patiently(t, &out))
		return false;
	if (out.rc != 0)
		return fail_run(t, &out);
	mod_setstr(m, "stdout", out.out);
	mod_setstr(m, "stderr", out.err);
	if (has(out.out, "\nDel "))
		mod_changed(m);
	return true;
}

static bool act(struct apt *t, const struct val *names)
{
	struct mod_ctx *m = t->m;
	const char *kind = mod_arg(m, "upgrade"), *state = mod_arg(m, "state");
	bool all = false;
	VAL_EACH (i, names)
		all = all || str_eqc(val_text(val_at(names, i), m->a), "*");
	if (kind && strcmp(kind, "no") == 0)
		kind = NULL;
	if (all && val_len(names) > 1)
		return mod_fail(
		        m, "unable to install additional packages when upgrading all installed packages");
	if (all && !kind && strcmp(state, "latest") == 0)
		kind = "dist";
	else if (all && !kind)
		return mod_fail(m, "unable to install all packages: state=latest is needed for name=*");
	if (kind && !upgrade(t, kind))
		return false;
	if (kind && all)
		return true;
	if (mod_has(m, "deb") && !install_deb(t, mod_arg(m, "deb")))
		return false;
	if (val_len(names) || strcmp(state, "fixed") == 0) {
		if (strcmp(state, "absent") == 0)
			return remove_packages(t, names);
		return install(t, names, strcmp(state, "latest") == 0,
		               strcmp(state, "build-dep") == 0 ? "build-dep" : "install");
	}
	if (!mod_has(m, "deb") && !kind) {
		if (mod_bool(m, "autoremove") && !housekeeping(t, "autoremove"))
			return false;
		if (mod_bool(m, "autoclean") && !housekeeping(t, "autoclean"))
			return false;
	}
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct apt t = {.m = m};
	struct val *names = val_list(m->a);
	const struct val *given = mod_list(m, "name");
	bool nameless = false;
	VAL_EACH (i, given) {
		struct str s = str_trim(val_text(val_at(given, i), m->a));
		nameless = nameless || !s.n;
		if (s.n)
			val_push(names, val_str(m->a, s));
	}
	if (!mod_which(m, "apt-get"))
		return mod_fail(m, "apt-get is not on this host");
	bool nothing_else = !val_len(names) && !mod_has(m, "deb") && mod_is(m, "upgrade", "no") &&
	                    !mod_bool(m, "autoremove") && !mod_bool(m, "autoclean") &&
	                    !mod_is(m, "state", "fixed");
	if (mod_bool(m, "clean")) {
		if (!housekeeping(&t, "clean"))
			return false;
		if (!val_len(names) && !mod_has(m, "deb") && mod_is(m, "upgrade", "no"))
			return mod_done(m, true, "%s", val_map_strz(m->result, "stdout", ""));
		val_del(m->result, STR("stdout"));
		val_del(m->result, STR("stderr"));
	}
	if (!update_cache(&t))
		return false;
	if (mod_has(m, "deb") && !mod_is(m, "state", "present"))
		return mod_fail(m, "deb only supports state=present");
	if (nameless && !mod_is(m, "state", "absent"))
		return mod_fail(m, "No package matching '' is available");
	bool ok = nothing_else || (dpkg_load(m, &t.db) && act(&t, names));
	if (nothing_else && t.cache_updated)
		mod_changed(m);
	/* Who removes or tidies up says nothing of the package index. */
	if (nothing_else || !mod_is(m, "upgrade", "no") || mod_has(m, "deb") ||
	    (val_len(names) && !mod_is(m, "state", "absent"))) {
		mod_setb(m, "cache_updated", t.cache_updated);
		mod_seti(m, "cache_update_time", t.cache_time);
	}
	return ok;
}

static const struct mod_arg args[] = {
        {"name", MT_LIST, .elem = MT_STR, .aliases = "package|pkg",
         .doc = "Packages, each perhaps with =version."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|build-dep|fixed|latest|present",
         .doc = "Whether they should be installed, and how new."},
        {"update_cache", MT_BOOL, .aliases = "update-cache", .doc = "Run apt-get update first."},
        {"cache_valid_time", MT_INT, .dflt = "0",
         .doc = "Only when the lists are older than this many seconds."},
        {"update_cache_retries", MT_INT, .dflt = "5", .doc = "How often to try that."},
        {"update_cache_retry_max_delay", MT_INT, .dflt = "12",
         .doc = "The longest pause between tries, in seconds."},
        {"purge", MT_BOOL, .dflt = "false", .doc = "Remove configuration files as well."},
        {"default_release", MT_STR, .aliases = "default-release", .doc = "The release to prefer."},
        {"install_recommends", MT_BOOL, .aliases = "install-recommends",
         .doc = "Install what packages recommend."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Allow downgrades, unsigned and held packages."},
        {"upgrade", MT_STR, .dflt = "no", .choices = "dist|full|no|safe|yes", .doc = "Upgrade everything."},
        {"deb", MT_PATH, .doc = "A package file or its URL."},
        {"autoremove", MT_BOOL, .dflt = "false", .doc = "Remove what nothing needs any more."},
        {"autoclean", MT_BOOL, .dflt = "false", .doc = "Remove old files from the package cache."},
        {"clean", MT_BOOL, .dflt = "false", .doc = "Empty the package cache."},
        {"only_upgrade", MT_BOOL, .dflt = "false", .doc = "Only upgrade what is installed."},
        {"dpkg_options", MT_STR, .dflt = "force-confdef,force-confold", .doc = "Options for dpkg."},
        {"allow_unauthenticated", MT_BOOL, .dflt = "false", .aliases = "allow-unauthenticated",
         .doc = "Install packages nobody signed."},
        {"allow_downgrade", MT_BOOL, .dflt = "false",
         .aliases = "allow-downgrade|allow_downgrades|allow-downgrades",
         .doc = "Install an older version over a newer."},
        {"allow_change_held_packages", MT_BOOL, .dflt = "false", .doc = "Change packages that are on hold."},
        {"fail_on_autoremove", MT_BOOL, .dflt = "false", .doc = "Fail when something would be removed."},
        {"force_apt_get", MT_BOOL, .dflt = "false", .doc = "Ignored: apt-get is always used."},
        {"auto_install_module_deps", MT_BOOL, .dflt = "true", .doc = "Ignored: nothing is needed."},
        {"lock_timeout", MT_INT, .dflt = "60",
         .doc = "How long to wait for another package manager, in seconds."},
        {"policy_rc_d", MT_INT, .doc = "What policy-rc.d says while packages are installed."},
        {NULL},
};

const struct module module_row_apt = {
        .name = "apt",
        .from = "ansible.builtin",
        .doc = "Packages of Debian and its kin.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .mutually_exclusive = "deb|name|upgrade",
        .run = run,
};
