#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "modules/edit.h"
#include "modules/fetch_url.h"
#include "modules/users.h"

struct key {
	struct str options, type, data, comment;
};

/* A line of the file: a key, or anything else, which stays as it is. */
struct entry {
	struct key key; /* type.n 0: no key */
	struct str line;
	size_t rank; /* the order they are written in */
	bool gone;
};

struct file {
	struct mod_ctx *m;
	const struct user *user;
	const char *path;
	struct edit e;
	struct entry *all;
	size_t n, cap;
	bool changed;
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

/* The next of options that commas outside of quotes divide. */
static struct str next_option(struct str *rest)
{
	bool quoted = false;
	size_t i = 0;
	for (; i < rest->n && (quoted || rest->p[i] != ','); i++)
		if (rest->p[i] == '"' && !(i && rest->p[i - 1] == '\\'))
			quoted = !quoted;
	struct str one = str_n(rest->p, i);
	*rest = i < rest->n ? str_n(rest->p + i + 1, rest->n - i - 1) : (struct str){0};
	return one;
}

/* Whether each option of A is one of B's. */
static bool options_within(struct str a, struct str b)
{
	while (a.n) {
		struct str one = next_option(&a), rest = b;
		bool found = false;
		while (rest.n && !found)
			found = str_eq(next_option(&rest), one);
		if (!found)
			return false;
	}
	return true;
}

static bool same_key(const struct key *a, const struct key *b)
{
	return options_within(a->options, b->options) && options_within(b->options, a->options) &&
	       str_eq(a->type, b->type) && str_eq(a->data, b->data) && str_eq(a->comment, b->comment);
}

static struct entry *find_entry(struct file *f, const struct key *key, struct str line)
{
	for (size_t i = 0; i < f->n; i++) {
		struct entry *x = &f->all[i];
		if (!x->gone && (x->key.type.n != 0) == (key->type.n != 0) &&
		    (key->type.n ? str_eq(x->key.data, key->data) : str_eq(x->line, line)))
			return x;
	}
	return NULL;
}

static void add_entry(struct file *f, const struct key *key, struct str line, size_t rank)
{
	f->all = arena_grow(f->m->a, f->all, f->n, &f->cap, sizeof(*f->all));
	f->all[f->n++] = (struct entry){*key, line, rank, false};
}

/* Of a key or line that is there twice the last counts. */
static void read_entries(struct file *f)
{
	for (size_t i = 0; i < f->e.n; i++) {
		struct key key;
		if (!parse_key(f->e.lines[i], &key))
			key = (struct key){0};
		struct entry *x = find_entry(f, &key, f->e.lines[i]);
		if (x)
			*x = (struct entry){key, f->e.lines[i], i, false};
		else
			add_entry(f, &key, f->e.lines[i], i);
	}
}

static void add_line(struct buf *out, const struct entry *x)
{
	const struct key *k = &x->key;
	if (out->n && out->p[out->n - 1] != '\n')
		buf_addc(out, '\n');
	if (!k->type.n)
		buf_addstr(out, x->line);
	else
		buf_printf(out, "%.*s%s%.*s %.*s %.*s\n", STR_FMT(k->options), k->options.n ? " " : "",
		           STR_FMT(k->type), STR_FMT(k->data), STR_FMT(k->comment));
}

/* The file as it is to be: by rank, of one rank in the order they came. */
static struct str joined(struct file *f)
{
	struct buf b = {0};
	size_t top = 0;
	for (size_t i = 0; i < f->n; i++)
		top = f->all[i].rank > top ? f->all[i].rank : top;
	for (size_t rank = 0; rank <= top; rank++)
		for (size_t i = 0; i < f->n; i++)
			if (!f->all[i].gone && f->all[i].rank == rank)
				add_line(&b, &f->all[i]);
	struct str s = buf_take(&b, f->m->a);
	buf_free(&b);
	return s;
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

/* A key that is there otherwise goes behind all others. */
static void put_keys(struct file *f, const struct key *keys, size_t n)
{
	size_t had = f->n;
	for (size_t i = 0; i < n; i++) {
		struct entry *x = find_entry(f, &keys[i], STR(""));
		if (x && same_key(&keys[i], &x->key))
			continue;
		if (x)
			x->gone = true;
		add_entry(f, &keys[i], STR(""), had + i);
		f->changed = true;
	}
}

/* Takes out what is among KEYS; with EXCEPT all other lines, comments too. */
static void remove_keys(struct file *f, const struct key *keys, size_t n, bool except)
{
	for (size_t i = 0; i < f->n; i++) {
		struct entry *x = &f->all[i];
		bool listed = false;
		for (size_t k = 0; k < n; k++)
			listed = listed || (x->key.type.n && str_eq(keys[k].data, x->key.data));
		if (!x->gone && listed != except)
			x->gone = f->changed = true;
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
	if (!f->changed)
		return true;
	struct str after = joined(f);
	if (!m->check && mod_bool(m, "manage_dir") &&
	    !make_private(f, fs_dirname(m->a, f->path), 0700, S_IFDIR))
		return false;
	struct err e = {0};
	if (!m->check && !fs_mkdirs(fs_dirname(m->a, f->path), 0777, &e))
		return mod_fail_err(m, &e);
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
	read_entries(&f);
	if (present)
		put_keys(&f, keys, n);
	else
		remove_keys(&f, keys, n, false);
	if (present && mod_bool(m, "exclusive"))
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
