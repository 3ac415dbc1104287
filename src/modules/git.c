#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/attrs.h"
#include "modules/digest.h"
#include "modules/module.h"
#include "modules/words.h"

struct git {
	struct mod_ctx *m;
	const char *program, *dest, *repo, *version, *remote;
	const char *const *env;
	bool bare;
	int umask; /* as mod_cmd has it */
};

enum { MAX_ARGS = 24 };

/* The task's umask + 1, as mod_cmd has it; 0 for none. It has to be a text of octal digits. */
static bool task_umask(struct mod_ctx *m, int *ret)
{
	const struct val *v = val_get(m->args, "umask");
	char *end = NULL;
	*ret = 0;
	if (!v || val_is_null(v))
		return true;
	if (!val_is_str(v))
		return mod_fail(m, "umask must be defined as a quoted octal integer");
	*ret = 1 + (int)strtol(val_get_strz(v), &end, 8);
	return (!*end && end != val_get_strz(v)) || mod_fail(m, "umask must be an octal integer");
}

/* git with WORDS (NULL-ended) in dest, or beside it when it is not there yet. */
static bool git(struct git *g, struct mod_out *out, const char *const words[])
{
	const char *argv[MAX_ARGS + 2] = {g->program};
	for (size_t i = 0; i < MAX_ARGS && words[i]; i++)
		argv[i + 1] = words[i];
	struct mod_cmd cmd = {
	        .argv = argv,
	        .cwd = g->dest && fs_is_dir(g->dest) ? g->dest : NULL,
	        .extra_env = g->env,
	        .umask = g->umask,
	};
	return mod_spawn(g->m, &cmd, out);
}
#define GIT(g, out, ...) git(g, out, (const char *const[]){__VA_ARGS__, NULL})

/* As git(), and its failure is the task's. */
static bool must(struct git *g, const char *what, const char *const words[])
{
	struct mod_out out;
	if (!git(g, &out, words))
		return false;
	if (out.rc == 0)
		return true;
	mod_seti(g->m, "rc", out.rc);
	mod_setstr(g->m, "stdout", out.out);
	mod_setstr(g->m, "stderr", out.err);
	return mod_fail(g->m, "%s: %.*s", what, STR_FMT(str_trim(out.err.n ? out.err : out.out)));
}
#define MUST(g, what, ...) must(g, what, (const char *const[]){__VA_ARGS__, NULL})

/* The first line of what git says, NULL when it fails. */
static const char *ask(struct git *g, const char *const words[])
{
	struct mod_out out;
	if (!git(g, &out, words) || out.rc != 0)
		return NULL;
	struct str line = str_trim(str_split(&out.out, '\n'));
	return arena_strndup(g->m->a, line.p ? line.p : "", line.n);
}
#define ASK(g, ...) ask(g, (const char *const[]){__VA_ARGS__, NULL})

static bool is_sha(const char *z)
{
	size_t n = strlen(z);
	return (n == 40 || n == 64) && strspn(z, "0123456789abcdefABCDEF") == n;
}

static bool has_ref(struct git *g, const char *ref)
{
	return ASK(g, "show-ref", "--verify", "-q", ref) != NULL;
}

/* How ssh is to be called; nobody is there to answer its questions, nor git's. */
static void make_env(struct git *g)
{
	struct mod_ctx *m = g->m;
	const char *opts = mod_arg(m, "ssh_opts"), *key = mod_arg(m, "key_file"),
	           *own = mod_env(m, "GIT_SSH_COMMAND");
	bool accept = mod_bool(m, "accept_hostkey"), accept_new = mod_bool(m, "accept_newhostkey");
	const char **env = arena_array(m->a, 4, sizeof(*env));
	env[0] = "GIT_TERMINAL_PROMPT=0";
	env[1] = "LC_ALL=C.UTF-8";
	env[2] = arena_printf(m->a, "GIT_SSH_COMMAND=%s -o BatchMode=yes%s%s%s%s%s", own ? own : "ssh",
	                      accept       ? " -o StrictHostKeyChecking=no"
	                      : accept_new ? " -o StrictHostKeyChecking=accept-new"
	                                   : "",
	                      key ? " -o IdentitiesOnly=yes -i " : "", key ? words_quote(m->a, key) : "",
	                      opts ? " " : "", opts ? opts : "");
	g->env = env;
}

/* The remote's own choice of branch. */
static const char *default_branch(struct git *g)
{
	struct mod_out out;
	static const char mark[] = "ref: refs/heads/";
	if (!GIT(g, &out, "ls-remote", "--symref", g->remote, "HEAD") || out.rc != 0 ||
	    !str_starts(out.out, mark))
		return NULL;
	struct str rest = str_n(out.out.p + sizeof(mark) - 1, out.out.n - sizeof(mark) + 1);
	struct str name = str_split(&rest, '\t');
	return arena_strndup(g->m->a, name.p, name.n);
}

/* What HEAD means to a clone that is there: the branch it is on, else the remote's own. */
static const char *head_branch(struct git *g)
{
	const char *z = ASK(g, "symbolic-ref", "-q", "--short", "HEAD");
	return z && *z ? z : default_branch(g);
}

/* The commit VERSION is at the remote; NULL when the remote does not know it. */
static const char *remote_head(struct git *g, const char *where)
{
	const char *z = is_sha(g->version) ? g->version : NULL;
	struct arena *a = g->m->a;
	const char *branch = g->version;
	if (!z && strcmp(g->version, "HEAD") == 0)
		branch = g->dest && fs_is_dir(g->dest) ? head_branch(g) : NULL;
	if (!z && !branch)
		z = ASK(g, "ls-remote", where, "HEAD");
	if (!z || !*z)
		z = ASK(g, "ls-remote", where, arena_printf(a, "refs/heads/%s", branch ? branch : "HEAD"));
	if (!z || !*z) /* the commit an annotated tag stands for */
		z = ASK(g, "ls-remote", where, arena_printf(a, "refs/tags/%s^{}", g->version));
	if (!z || !*z)
		z = ASK(g, "ls-remote", where, arena_printf(a, "refs/tags/%s", g->version));
	if (!z || !*z)
		return NULL;
	return arena_strndup(a, z, strcspn(z, "\t "));
}

/* The words of a clone's depth and branch after the N that ARGV has; their new number. */
static size_t clone_part(struct git *g, const char **argv, size_t n)
{
	struct mod_ctx *m = g->m;
	bool head = strcmp(g->version, "HEAD") == 0, single = mod_bool(m, "single_branch"),
	     shallow = mod_has(m, "depth");
	bool named = !head && !is_sha(g->version) && (shallow || single) && remote_head(g, g->repo);
	bool whole = shallow && (head || mod_has(m, "refspec"));
	if (whole || (shallow && named)) {
		argv[n++] = "--depth";
		argv[n++] = mod_arg(m, "depth");
	} else if (shallow) {
		mod_warn(m, "Ignoring depth argument. Shallow clones are only available for HEAD, branches, "
		            "tags or in combination with refspec.");
	}
	if (single)
		argv[n++] = "--single-branch";
	if (named && (single || !whole)) {
		argv[n++] = "--branch";
		argv[n++] = g->version;
	}
	return n;
}

/* What else the task wants of a new clone. */
static bool clone_more(struct git *g)
{
	struct mod_ctx *m = g->m;
	if (g->bare && strcmp(g->remote, "origin") != 0 &&
	    !MUST(g, "Failed to add the remote", "remote", "add", g->remote, g->repo))
		return false;
	if (!mod_has(m, "refspec"))
		return true;
	const char *spec = mod_arg(m, "refspec"), *what = "Failed to fetch the refspec";
	return mod_has(m, "depth") ? MUST(g, what, "fetch", "--depth", mod_arg(m, "depth"), g->remote, spec)
	                           : MUST(g, what, "fetch", g->remote, spec);
}

static bool clone(struct git *g)
{
	struct mod_ctx *m = g->m;
	const char *argv[MAX_ARGS] = {"clone"};
	size_t n = 1;
	struct err e = {0};
	if (!fs_mkdirs(fs_dirname(m->a, g->dest), 0777, &e))
		return mod_fail_err(m, &e);
	if (g->bare) {
		argv[n++] = "--bare";
	} else {
		argv[n++] = "--origin";
		argv[n++] = g->remote;
	}
	n = clone_part(g, argv, n);
	if (mod_has(m, "reference")) {
		argv[n++] = "--reference";
		argv[n++] = mod_arg(m, "reference");
	}
	if (mod_has(m, "separate_git_dir"))
		argv[n++] = arena_printf(m->a, "--separate-git-dir=%s", mod_arg(m, "separate_git_dir"));
	argv[n++] = "--";
	argv[n++] = g->repo;
	argv[n] = g->dest;
	return must(g, "Failed to clone", argv) && clone_more(g);
}

static bool fetch(struct git *g)
{
	struct mod_ctx *m = g->m;
	const char *argv[MAX_ARGS] = {"fetch", "--tags"};
	size_t n = 2;
	if (mod_bool(m, "force")) /* tags that moved move here too */
		argv[n++] = "--force";
	if (mod_has(m, "depth")) {
		argv[n++] = "--depth";
		argv[n++] = mod_arg(m, "depth");
	}
	argv[n++] = g->remote;
	argv[n++] = g->bare ? "+refs/heads/*:refs/heads/*"
	                    : arena_printf(m->a, "+refs/heads/*:refs/remotes/%s/*", g->remote);
	if (is_sha(g->version) && mod_has(m, "depth"))
		argv[n++] = g->version;
	if (mod_has(m, "refspec"))
		argv[n++] = mod_arg(m, "refspec");
	return must(g, "Failed to download remote objects and refs", argv);
}

static bool checkout(struct git *g)
{
	struct arena *a = g->m->a;
	const char *v = strcmp(g->version, "HEAD") == 0 ? head_branch(g) : g->version;
	const char *what = arena_printf(a, "Failed to checkout %s", g->version);
	if (!v)
		return MUST(g, what, "checkout", "--force", "HEAD", "--");
	const char *at = arena_printf(a, "%s/%s", g->remote, v);
	if (!has_ref(g, arena_printf(a, "refs/remotes/%s", at)))
		return MUST(g, what, "checkout", "--force", v, "--");
	if (has_ref(g, arena_printf(a, "refs/heads/%s", v)))
		return MUST(g, what, "checkout", "--force", v, "--") &&
		       MUST(g, arena_printf(a, "Failed to reset to %s", at), "reset", "--hard", at, "--");
	/* What a shallow clone is configured to fetch leaves other branches out: those cannot be tracked. */
	bool partial = mod_has(g->m, "depth") || mod_bool(g->m, "single_branch");
	return MUST(g, what, "checkout", "--force", partial ? "--no-track" : "--track", "-b", v, at);
}

static bool has_submodules(const struct git *g)
{
	return !g->bare && mod_bool(g->m, "recursive") && fs_exists(fs_join(g->m->a, g->dest, ".gitmodules"));
}

/* Where the submodules are, a line each; it begins with a blank where that is the commit recorded for it. */
static struct str submodule_status(struct git *g)
{
	struct mod_out out;
	return GIT(g, &out, "submodule", "status", "--recursive") ? out.out : STR("");
}

/* Whether a submodule is not where it should be, as far as can be told without asking its own remote. */
static bool submodules_differ(struct git *g)
{
	struct str rest = has_submodules(g) ? submodule_status(g) : STR("");
	bool track = mod_bool(g->m, "track_submodules");
	while (rest.n) {
		struct str line = str_split(&rest, '\n');
		if (line.n && (track || line.p[0] != ' '))
			return true;
	}
	return false;
}

static bool submodules(struct git *g)
{
	struct mod_ctx *m = g->m;
	const char *argv[MAX_ARGS] = {"submodule", "update", "--init", "--recursive"};
	size_t n = 4;
	if (!has_submodules(g))
		return true;
	if (mod_bool(m, "track_submodules"))
		argv[n++] = "--remote";
	if (mod_bool(m, "force"))
		argv[n++] = "--force";
	struct str before = submodule_status(g);
	if (!MUST(g, "Failed to sync submodules", "submodule", "sync", "--recursive") ||
	    !must(g, "Failed to init/update submodules", argv))
		return false;
	if (!str_eq(before, submodule_status(g))) {
		mod_setb(m, "submodules_changed", true);
		mod_changed(m);
	}
	return true;
}

/* The primary key's fingerprint in what gpg says of a good signature. */
static struct str fingerprint(struct str said)
{
	struct str word = {0};
	while (said.n) {
		struct str line = str_split(&said, '\n');
		if (!str_starts(line, "[GNUPG:] VALIDSIG "))
			continue;
		for (size_t i = 0; line.n && i < 12; i++) {
			struct str next = str_split(&line, ' ');
			if (i == 2 || i == 11)
				word = next;
		}
		break;
	}
	return word;
}

static bool verify(struct git *g)
{
	struct mod_ctx *m = g->m;
	const struct val *allowed = mod_list(m, "gpg_allowlist");
	struct mod_out out;
	if (!mod_bool(m, "verify_commit"))
		return true;
	bool tag = has_ref(g, arena_printf(m->a, "refs/tags/%s", g->version));
	const char *kind = tag ? "verify-tag" : "verify-commit", *what = tag ? g->version : "HEAD";
	if (!MUST(g, arena_printf(m->a, "Failed to verify GPG signature of commit/tag \"%s\"", g->version),
	          kind, what))
		return false;
	if (!val_len(allowed))
		return true;
	if (!GIT(g, &out, kind, "--raw", what))
		return false;
	struct str key = fingerprint(out.err);
	VAL_EACH (i, allowed)
		if (str_eq(key, val_get_str(val_at(allowed, i))))
			return true;
	return mod_fail(m, "The gpg_allowlist does not include the public key \"%.*s\" for this commit",
	                STR_FMT(key));
}

/* The files of the version as an archive of the kind its name ends in; touched only where it would differ. */
static bool make_archive(struct git *g)
{
	static const char *const kinds[][2] = {
	        {".zip", "zip"}, {".gz", "tar.gz"}, {".tar", "tar"}, {".tgz", "tgz"}};
	struct mod_ctx *m = g->m;
	struct err e = {0};
	const char *to = mod_arg(m, "archive"), *end = to ? strrchr(fs_basename(to), '.') : NULL,
	           *kind = NULL, *prefix = mod_arg(m, "archive_prefix");
	if (!to)
		return true;
	if (m->check) {
		mod_changed(m);
		return true;
	}
	for (size_t i = 0; end && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(end, kinds[i][0]) == 0)
			kind = kinds[i][1];
	if (!kind)
		return mod_fail(m, "Unable to get file extension from archive file name : %s", to);
	const char *tmp = arena_printf(m->a, "%s.%d.tmp", to, (int)getpid());
	bool ok = MUST(g, "Failed to perform archive operation", "archive", "--format", kind, "--output", tmp,
	               arena_printf(m->a, "--prefix=%s", prefix ? prefix : ""), g->version);
	const char *had = ok && fs_exists(to) ? digest_file(m->a, "sha1", to, &e) : NULL;
	const char *got = ok ? digest_file(m->a, "sha1", tmp, &e) : NULL;
	if (ok && (!had || !got || strcmp(had, got) != 0)) {
		ok = rename(tmp, to) == 0 || mod_fail_sys(m, "Failed to move %s to %s", tmp, to);
		mod_changed(m);
	}
	err_clear(&e);
	unlink(tmp);
	return ok;
}

static bool finish(struct git *g, const char *before)
{
	struct mod_ctx *m = g->m;
	if (!(g->bare || checkout(g)) || !verify(g) || !submodules(g))
		return false;
	const char *after = ASK(g, "rev-parse", "HEAD");
	mod_set(m, "after", after ? val_strz(m->a, after) : val_null());
	if (!before || !after || strcmp(before, after) != 0)
		mod_changed(m);
	return make_archive(g);
}

static bool make_clone(struct git *g)
{
	struct mod_ctx *m = g->m;
	mod_set(m, "before", val_null());
	if (m->check || !mod_bool(m, "clone")) {
		const char *head = remote_head(g, g->repo);
		if (!head && !MUST(g, "Could not determine remote revision", "ls-remote", g->repo))
			return false;
		mod_sets(m, "after", head ? head : g->version); /* it may be the start of a sum */
		mod_changed(m);
		return true;
	}
	mod_changed(m);
	return clone(g) && finish(g, NULL);
}

/* Changes of files git knows; the task must say that they may go. */
static bool clean_up(struct git *g)
{
	struct mod_ctx *m = g->m;
	struct mod_out out;
	if (g->bare)
		return true;
	if (!GIT(g, &out, "status", "--porcelain", "--untracked-files=no"))
		return false;
	if (!str_trim(out.out).n)
		return true;
	if (!mod_bool(m, "force"))
		return mod_fail(m, "Local modifications exist in the destination: %s (force=no).", g->dest);
	mod_changed(m);
	if (m->check)
		return true;
	mod_setf(m, "msg", "Local modifications exist in the destination: %s", g->dest);
	return MUST(g, "Failed to reset the local modifications", "reset", "--hard", "HEAD", "--");
}

static bool update(struct git *g)
{
	struct mod_ctx *m = g->m;
	const char *before = ASK(g, "rev-parse", "HEAD"),
	           *url = ASK(g, "config", "--get", arena_printf(m->a, "remote.%s.url", g->remote));
	mod_set(m, "before", before ? val_strz(m->a, before) : val_null());
	if (!mod_bool(m, "update")) {
		mod_set(m, "after", before ? val_strz(m->a, before) : val_null());
		return make_archive(g);
	}
	if (!clean_up(g))
		return false;
	bool moved = !url || strcmp(url, g->repo) != 0;
	mod_setb(m, "remote_url_changed", moved);
	if (moved) {
		mod_changed(m);
		if (!m->check && !MUST(g, "Failed to set the remote's url", "remote", url ? "set-url" : "add",
		                       g->remote, g->repo))
			return false;
	}
	const char *head = remote_head(g, g->repo);
	if (before && head && strcmp(before, head) == 0 && !submodules_differ(g) && !mod_is_changed(m)) {
		mod_sets(m, "after", before);
		return verify(g) && make_archive(g);
	}
	if (m->check) {
		mod_set(m, "after", head ? val_strz(m->a, head) : val_null());
		/* A commit named by the start of its sum may be here already. */
		const char *here =
		        head ? head : ASK(g, "rev-parse", arena_printf(m->a, "%s^{commit}", g->version));
		if (!before || !here || strcmp(before, here) != 0)
			mod_changed(m);
		return true;
	}
	return fetch(g) && finish(g, before);
}

/* Where the repository of dest is, or would be; NULL and failed where its .git is a file that leads nowhere.
 */
static const char *repository(struct git *g)
{
	struct mod_ctx *m = g->m;
	const char *at = g->bare ? g->dest : fs_join(m->a, g->dest, ".git");
	struct stat st;
	struct str text;
	if (stat(at, &st) != 0 || !S_ISREG(st.st_mode))
		return at;
	if (!mod_read(m, at, &text))
		return NULL;
	text = str_trim(text);
	if (str_starts(text, "gitdir: ")) {
		at = fs_join(m->a, g->dest, arena_strndup(m->a, text.p + 8, text.n - 8));
		if (fs_is_dir(at))
			return at;
	}
	mod_fail(m, "Current repo does not have a valid reference to a separate Git dir or it refers to the "
	            "invalid path");
	return NULL;
}

/* The repository of a clone moves to where the task wants it. */
static bool move_repository(struct git *g, const char *from)
{
	struct mod_ctx *m = g->m;
	const char *to = mod_arg(m, "separate_git_dir");
	if (!to || strcmp(path_real(m->a, to), path_real(m->a, from)) == 0)
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	if (fs_exists(to))
		return mod_fail(m, "Separate-git-dir path %s already exists.", to);
	mod_sets(m, "git_dir_before", from);
	mod_sets(m, "git_dir_now", to);
	return MUST(g, "Unable to move git dir", "init", "--quiet", "--separate-git-dir", to);
}

/* A path is a file:// address: depth works only with those. As Ansible writes it, so does .git/config. */
static const char *address(struct mod_ctx *m, const char *repo)
{
	const char *path = *repo == '~' ? mod_expand(m, repo) : repo;
	return *path == '/' ? arena_printf(m->a, "file://%s", path) : repo;
}

static bool run(struct mod_ctx *m)
{
	const char *program = mod_arg(m, "executable");
	struct git g = {
	        .m = m,
	        .program = program ? program : mod_which(m, "git"),
	        .dest = mod_arg(m, "dest"),
	        .repo = address(m, mod_arg(m, "repo")),
	        .version = mod_arg(m, "version"),
	        .remote = mod_arg(m, "remote"),
	        .bare = mod_bool(m, "bare"),
	};
	if (!g.program)
		return mod_fail(m, "Failed to find required executable \"git\"");
	if (!task_umask(m, &g.umask))
		return false;
	if (mod_has(m, "archive_prefix") && !mod_has(m, "archive"))
		return mod_fail(m, "missing parameter(s) required by 'archive_prefix': archive");
	if (!g.dest && mod_bool(m, "clone"))
		return mod_fail(m, "the destination directory must be specified unless clone=no");
	if (g.version[0] == '-' || g.repo[0] == '-' || g.remote[0] == '-')
		return mod_fail(m, "repo, version and remote cannot begin with a dash");
	make_env(&g);
	const char *at = g.dest ? repository(&g) : NULL;
	if (g.dest && !at)
		return false;
	if (at && fs_exists(fs_join(m->a, at, "config")))
		return move_repository(&g, at) && update(&g);
	return make_clone(&g);
}

static const struct mod_arg args[] = {
        {"repo", MT_STR, MA_REQUIRED, .aliases = "name", .doc = "The address to clone."},
        {"dest", MT_PATH, .doc = "Where to."},
        {"version", MT_STR, .dflt = "HEAD", .doc = "The branch, tag or commit to check out."},
        {"remote", MT_STR, .dflt = "origin", .doc = "What to call where it comes from."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Throw away what was changed here."},
        {"update", MT_BOOL, .dflt = "true", .doc = "Fetch what is new."},
        {"clone", MT_BOOL, .dflt = "true", .doc = "Clone what is not there."},
        {"depth", MT_INT, .doc = "How many commits to fetch."},
        {"bare", MT_BOOL, .dflt = "false", .doc = "A repository without files checked out."},
        {"recursive", MT_BOOL, .dflt = "true", .doc = "Submodules as well."},
        {"track_submodules", MT_BOOL, .dflt = "false", .doc = "Submodules at the end of their branch."},
        {"single_branch", MT_BOOL, .dflt = "false", .doc = "Clone no other branch."},
        {"refspec", MT_STR, .doc = "Something more to fetch."},
        {"reference", MT_STR, .doc = "A repository to take objects from."},
        {"separate_git_dir", MT_PATH, .doc = "Where to keep the repository itself."},
        {"verify_commit", MT_BOOL, .dflt = "false", .doc = "Check the commit's or tag's signature."},
        {"gpg_allowlist", MT_LIST, .elem = MT_STR, .aliases = "gpg_whitelist",
         .doc = "Fingerprints of the keys that may have signed it."},
        {"archive", MT_PATH, .doc = "An archive to make of the files: .zip, .tar, .tar.gz or .tgz."},
        {"archive_prefix", MT_STR, .doc = "What stands before the names in it."},
        {"accept_hostkey", MT_BOOL, .dflt = "false", .doc = "Take any host key."},
        {"accept_newhostkey", MT_BOOL, .dflt = "false", .doc = "Take a host key that is new."},
        {"key_file", MT_PATH, .doc = "The private key to log in with."},
        {"ssh_opts", MT_STR, .doc = "More options for ssh."},
        {"executable", MT_PATH, .doc = "Which git."},
        {"umask", MT_RAW, .doc = "The mask to make files with."},
        {NULL},
};

const struct module module_row_git = {
        .name = "git",
        .from = "ansible.builtin",
        .doc = "Keeps a clone of a git repository at a version.",
        .args = args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "separate_git_dir|bare;accept_hostkey|accept_newhostkey",
        .run = run,
};
