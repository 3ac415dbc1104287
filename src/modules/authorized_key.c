#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "modules/edit.h"
#include "modules/fetch_url.h"
#include "modules/users.h"

struct key {
	struct str options, type, data, comment;
};

struct file {
	struct mod_ctx *m;
	const struct user *user;
	const char *path;
	struct edit e;
};

static bool is_type(struct str s)
{
	return str_starts(s, "ssh-") || str_starts(s, "ecdsa-sha2-") || str_starts(s, "sk-ssh-") ||
	       str_starts(s, "sk-ecdsa-");
}

/* The next word; blanks within quotes are part of it. */
static struct str next_word(struct str *rest)
{
	size_t i = 0, start;
	bool quoted = false;
	while (i < rest->n && (rest->p[i] == ' ' || rest->p[i] == '\t'))
		i++;
	for (start = i; i < rest->n && (quoted || (rest->p[i] != ' ' && rest->p[i] != '\t')); i++) {
		if (rest->p[i] == '\\' && quoted && i + 1 < rest->n)
			i++;
		else if (rest->p[i] == '"')
			quoted = !quoted;
	}
	struct str w = str_n(rest->p + start, i - start);
	*rest = str_n(rest->p + i, rest->n - i);
	return w;
}

/* [options] type data [comment]. False when LINE is no key. */
static bool parse_key(struct str line, struct key *k)
{
	struct str rest = str_trim(line), w;
	*k = (struct key){0};
	if (!rest.n || rest.p[0] == '#')
		return false;
	w = next_word(&rest);
	if (!is_type(w)) {
		k->options = w;
		w = next_word(&rest);
	}
	k->type = w;
	k->data = next_word(&rest);
	k->comment = str_trim(rest);
	return is_type(k->type) && k->data.n > 0;
}

static struct str key_line(struct mod_ctx *m, const struct key *k)
{
	return str_c(arena_printf(m->a, "%.*s%s%.*s %.*s%s%.*s\n", STR_FMT(k->options),
	                          k->options.n ? " " : "", STR_FMT(k->type), STR_FMT(k->data),
	                          k->comment.n ? " " : "", STR_FMT(k->comment)));
}

static bool same_key(const struct key *a, const struct key *b)
{
	return str_eq(a->options, b->options) && str_eq(a->type, b->type) && str_eq(a->data, b->data) &&
	       str_eq(a->comment, b->comment);
}

/* The keys the task names, of a text or from an address. */
static bool wanted_keys(struct file *f, struct key **ret, size_t *n)
{
	struct mod_ctx *m = f->m;
	struct str text = mod_args(m, "key");
	if (str_starts(text, "http://") || str_starts(text, "https://")) {
		struct fetched got;
		fetch_url(m, &(struct fetch){.url = mod_arg(m, "key"), .out_fd = -1}, &got);
		if (got.status != 200)
			return mod_fail(m, "Error getting key from: %s", mod_arg(m, "key"));
		text = got.body;
	}
	size_t lines = 1;
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	*ret = arena_array(m->a, lines, sizeof(**ret));
	*n = 0;
	while (text.p) {
		struct str line = str_trim(str_split(&text, '\n'));
		struct key *k = &(*ret)[*n];
		if (!line.n || line.p[0] == '#')
			continue;
		if (!parse_key(line, k))
			return mod_fail(m, "invalid key specified: %.*s", STR_FMT(line));
		if (mod_has(m, "key_options"))
			k->options = mod_args(m, "key_options");
		if (mod_has(m, "comment"))
			k->comment = mod_args(m, "comment");
		(*n)++;
	}
	return true;
}

static void add_key(struct file *f, const struct key *want)
{
	struct edit *e = &f->e;
	struct key have;
	for (size_t i = 0; i < e->n; i++) {
		if (!parse_key(e->lines[i], &have) || !str_eq(have.data, want->data))
			continue;
		if (!same_key(&have, want))
			e->lines[i] = key_line(f->m, want);
		return;
	}
	edit_end_last(e);
	edit_insert(e, e->n, key_line(f->m, want));
}

/* Removes the keys that are (or with EXCEPT: are not) among KEYS. */
static void remove_keys(struct file *f, const struct key *keys, size_t n, bool except)
{
	struct key have;
	for (size_t i = 0; i < f->e.n;) {
		bool listed = false;
		if (parse_key(f->e.lines[i], &have)) {
			for (size_t k = 0; k < n; k++)
				listed = listed || str_eq(keys[k].data, have.data);
			if (listed != except) {
				edit_remove(&f->e, i, 1);
				continue;
			}
		}
		i++;
	}
}

/* The directory and the file belong to the user, who alone may read them. */
static bool make_private(struct file *f, const char *path, mode_t mode, int kind)
{
	struct stat st;
	bool made = lstat(path, &st) != 0;
	if (made && kind == S_IFDIR && mkdir(path, mode) != 0)
		return mod_fail_sys(f->m, "Failed to create directory %s", path);
	if (made && kind == S_IFREG) {
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (fd < 0)
			return mod_fail_sys(f->m, "cannot create %s", path);
		close(fd);
	}
	if (geteuid() == 0 && (made || kind == S_IFDIR) && lchown(path, f->user->uid, f->user->gid) != 0)
		return mod_fail_sys(f->m, "cannot give %s to %s", path, f->user->name);
	if (lstat(path, &st) != 0 || S_ISLNK(st.st_mode) || (st.st_mode & 07777) == mode)
		return true;
	return chmod(path, mode) == 0 || mod_fail_sys(f->m, "cannot set the mode of %s", path);
}

static bool save(struct file *f)
{
	struct mod_ctx *m = f->m;
	struct str after = edit_joined(&f->e);
	if (str_eq(after, f->e.before))
		return true;
	if (!m->check && mod_bool(m, "manage_dir") &&
	    !make_private(f, fs_dirname(m->a, f->path), 0700, S_IFDIR))
		return false;
	if (!m->check && !make_private(f, f->path, 0600, S_IFREG))
		return false;
	mod_changed(m);
	mod_diff_text(m, f->path, f->e.before, after);
	/* A link is replaced unless the task wants it followed. */
	return mod_bool(m, "follow") ? mod_write(m, f->path, after) : mod_replace(m, f->path, after);
}

static bool run(struct mod_ctx *m)
{
	struct file f = {.m = m, .user = user_by_name(m->a, mod_arg(m, "user")), .path = mod_arg(m, "path")};
	struct key *keys = NULL;
	size_t n = 0;
	static const char *const shown[] = {"user",      "key",           "key_options", "state",
	                                    "exclusive", "comment",       "manage_dir",  "follow",
	                                    "path",      "validate_certs"};
	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
		struct val *v = val_get(m->args, shown[i]);
		mod_set(m, shown[i], v ? v : val_null());
	}
	if (!f.user && !(m->check && f.path))
		return mod_fail(m, "Failed to lookup user %s: no such user", mod_arg(m, "user"));
	if (!f.path)
		f.path = fs_join(m->a, f.user->home, ".ssh/authorized_keys");
	mod_sets(m, "keyfile", f.path);
	if (!wanted_keys(&f, &keys, &n) || !edit_load(&f.e, m, f.path))
		return false;
	bool present = mod_is(m, "state", "present");
	for (size_t i = 0; present && i < n; i++)
		add_key(&f, &keys[i]);
	if (!present)
		remove_keys(&f, keys, n, false);
	else if (mod_bool(m, "exclusive"))
		remove_keys(&f, keys, n, true);
	return save(&f);
}

static const struct mod_arg args[] = {
        {"user", MT_STR, MA_REQUIRED, .doc = "Whose keys."},
        {"key", MT_STR, MA_REQUIRED, .doc = "The keys, one a line, or the address they are at."},
        {"path", MT_PATH, .doc = "Another file than ~/.ssh/authorized_keys."},
        {"manage_dir", MT_BOOL, .dflt = "true", .doc = "Make the directory and keep it private."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether they may log in."},
        {"key_options", MT_STR, .doc = "Options for the keys."},
        {"exclusive", MT_BOOL, .dflt = "false", .doc = "Remove every other key."},
        {"comment", MT_STR, .doc = "A comment in place of the keys' own."},
        {"follow", MT_BOOL, .dflt = "false", .doc = "Write through a symbolic link."},
        {"validate_certs", MT_BOOL, .dflt = "true", .doc = "Check the server's certificate."},
        {NULL},
};

const struct module module_row_authorized_key = {
        .name = "authorized_key",
        .from = "ansible.posix",
        .doc = "Lets SSH keys log in as a user, or no longer.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
