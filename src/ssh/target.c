#include "base/fs.h"
#include "base/val.h"
#include "ssh/link.h"

#include <stdlib.h>

/* A host's variables, and what the ssh options in them say. */
struct reader {
	struct arena *a;
	ssh_var_fn *get;
	void *ctx;
	struct ssh_target *t;
	struct err *err;
	struct str known_files; /* UserKnownHostsFile, blank-separated; p NULL: the default */
	const char *jump;
};

static const char *var(struct reader *r, const char *name)
{
	const struct val *v = r->get(r->ctx, name);
	struct str s;

	if (!v || val_is_null(v) || val_is_undef(v))
		return NULL;
	s = val_text(v, r->a);
	return s.n ? arena_strndup(r->a, s.p, s.n) : NULL;
}

/* The first of several names that is set. */
static const char *var_of(struct reader *r, const char *const *names)
{
	const char *v = NULL;

	for (; *names && !v; names++)
		v = var(r, *names);
	return v;
}

static bool number(struct reader *r, const char *what, const char *text, int max, int *ret)
{
	int64_t n;

	if (!str_int(str_trim(str_c(text)), &n) || n < 0 || n > max)
		return err_set(r->err, ERR_USER, ORIGIN_NONE, "%s is no number from 0 to %d: %s", what, max,
		               text);
	*ret = (int)n;
	return true;
}

static const char *home_path(struct reader *r, const char *path)
{
	const char *home = getenv("HOME");

	if (path[0] == '~' && path[1] == '/' && home)
		return fs_join(r->a, home, path + 2);
	return path;
}

/* ---- ssh's own options ------------------------------------------------------------------------------------
 */

static bool is_no(struct str v)
{
	return str_eqc(v, "no") || str_eqc(v, "off") || str_eqc(v, "false");
}

static bool opt_strict(struct reader *r, const char *v)
{
	if (is_no(str_c(v)))
		r->t->no_host_key_check = true;
	else if (strcmp(v, "accept-new") == 0)
		r->t->accept_new = true;
	return true;
}

static bool opt_known(struct reader *r, const char *v)
{
	r->known_files = str_c(v);
	return true;
}

static bool opt_jump(struct reader *r, const char *v)
{
	r->jump = v;
	return true;
}

static bool opt_identity(struct reader *r, const char *v)
{
	if (!r->t->key_file)
		r->t->key_file = home_path(r, v);
	return true;
}

static bool opt_port(struct reader *r, const char *v)
{
	return r->t->port || number(r, "the SSH port", v, 65535, &r->t->port);
}

static bool opt_user(struct reader *r, const char *v)
{
	if (!r->t->user)
		r->t->user = v;
	return true;
}

static bool opt_timeout(struct reader *r, const char *v)
{
	int s = 0;

	if (!number(r, "ConnectTimeout", v, 86400, &s))
		return false;
	r->t->connect_ms = s * 1000;
	return true;
}

/* What people write for a jump host without ProxyJump: ssh [options] -W %h:%p [user@]host */
static bool opt_proxy_command(struct reader *r, const char *v)
{
	struct str rest = str_c(v);
	const char *host = NULL, *port = NULL;
	bool forwards = false, first = true;

	if (strcmp(v, "none") == 0)
		return true;
	while (rest.p) {
		struct str w = str_split(&rest, ' ');

		if (!w.n)
			continue;
		if (first && !str_eqc(w, "ssh") && !str_ends(w, "/ssh"))
			break;
		first = false;
		if (str_eqc(w, "-W")) {
			forwards = true;
			str_split(&rest, ' ');
		} else if (str_eqc(w, "-p")) {
			w = str_split(&rest, ' ');
			port = arena_strndup(r->a, w.p, w.n);
		} else if (str_eqc(w, "-o") || str_eqc(w, "-i") || str_eqc(w, "-l") || str_eqc(w, "-F")) {
			str_split(&rest, ' ');
		} else if (w.p[0] != '-' && !str_eqc(w, "ssh") && !str_ends(w, "/ssh")) {
			host = arena_strndup(r->a, w.p, w.n);
		}
	}
	if (!forwards || !host) {
		err_set(r->err, ERR_USER, ORIGIN_NONE, "ProxyCommand is not supported: %s", v);
		return err_hint(r->err, "name the host in between with -o ProxyJump=USER@HOST");
	}
	r->jump = port ? arena_printf(r->a, "%s:%s", host, port) : host;
	return true;
}

static bool opt_ignored(struct reader *r, const char *v)
{
	(void)r, (void)v;
	return true;
}

/* Short options have a letter, those of -o a name (any case). The ignored ones change how, never where or
 * who. */
static const struct {
	const char *name;
	char letter;
	bool (*set)(struct reader *r, const char *value);
} options[] = {
        {"StrictHostKeyChecking", 0, opt_strict},
        {"UserKnownHostsFile", 0, opt_known},
        {"ProxyJump", 'J', opt_jump},
        {"ProxyCommand", 0, opt_proxy_command},
        {"IdentityFile", 'i', opt_identity},
        {"Port", 'p', opt_port},
        {"User", 'l', opt_user},
        {"ConnectTimeout", 0, opt_timeout},
        {"ControlMaster", 0, opt_ignored},
        {"ControlPersist", 0, opt_ignored},
        {"ControlPath", 'S', opt_ignored},
        {"ServerAliveInterval", 0, opt_ignored},
        {"ServerAliveCountMax", 0, opt_ignored},
        {"TCPKeepAlive", 0, opt_ignored},
        {"ConnectionAttempts", 0, opt_ignored},
        {"PreferredAuthentications", 0, opt_ignored},
        {"PasswordAuthentication", 0, opt_ignored},
        {"PubkeyAuthentication", 0, opt_ignored},
        {"KbdInteractiveAuthentication", 0, opt_ignored},
        {"GSSAPIAuthentication", 0, opt_ignored},
        {"IdentitiesOnly", 0, opt_ignored},
        {"BatchMode", 0, opt_ignored},
        {"Compression", 0, opt_ignored},
        {"LogLevel", 0, opt_ignored},
        {"ForwardAgent", 0, opt_ignored},
        {"GlobalKnownHostsFile", 0, opt_ignored},
        {"CheckHostIP", 0, opt_ignored},
        {"HashKnownHosts", 0, opt_ignored},
        {"PubkeyAcceptedKeyTypes", 0, opt_ignored},
        {"PubkeyAcceptedAlgorithms", 0, opt_ignored},
        {"HostKeyAlgorithms", 0, opt_ignored},
};

static bool same_word(struct str a, const char *b)
{
	for (size_t i = 0; i < a.n; i++)
		if (!b[i] || (a.p[i] | 0x20) != (b[i] | 0x20))
			return false;
	return !b[a.n];
}

static bool set_named(struct reader *r, struct str text)
{
	size_t n = 0;
	struct str name, value;

	while (n < text.n && text.p[n] != '=' && text.p[n] != ' ')
		n++;
	name = str_n(text.p, n);
	value = n < text.n ? str_trim(str_n(text.p + n + 1, text.n - n - 1)) : str_n("", 0);
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (same_word(name, options[i].name))
			return options[i].set(r, arena_strndup(r->a, value.p, value.n));
	err_set(r->err, ERR_USER, ORIGIN_NONE, "the ssh option %.*s is not supported", STR_FMT(name));
	return err_hint(r->err,
	                "it comes from ansible_ssh_common_args, ansible_ssh_extra_args or ansible_ssh_args");
}

/* The next word of S as a shell would cut it; false at the end. */
static bool next_word(struct str *s, struct buf *out)
{
	char quote = 0;
	size_t i = 0;

	*s = str_trim(*s);
	buf_clear(out);
	if (!s->n)
		return false;
	for (; i < s->n; i++) {
		char c = s->p[i];

		if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? 0 : c;
		else if (!quote && (c == ' ' || c == '\t' || c == '\n'))
			break;
		else if (c == '\\' && quote != '\'' && i + 1 < s->n)
			buf_addc(out, s->p[++i]);
		else
			buf_addc(out, c);
	}
	*s = str_n(s->p + i, s->n - i);
	return true;
}

/* -C and -q and their like stand alone. */
static bool set_letter(struct reader *r, struct str word, struct str *rest, struct buf *more)
{
	struct str value = str_n(word.p + 2, word.n - 2);

	if (strchr("CqvTtNnxXAa46", word.p[1]))
		return true;
	if (!value.n) {
		if (!next_word(rest, more))
			return err_set(r->err, ERR_USER, ORIGIN_NONE, "the ssh option -%c has no value",
			               word.p[1]);
		value = buf_str(more);
	}
	if (word.p[1] == 'o')
		return set_named(r, value);
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (options[i].letter == word.p[1])
			return options[i].set(r, arena_strndup(r->a, value.p, value.n));
	return err_set(r->err, ERR_USER, ORIGIN_NONE, "the ssh option -%c is not supported", word.p[1]);
}

static bool read_args(struct reader *r, const char *text)
{
	struct str rest = str_c(text);
	struct buf word = {0}, more = {0};
	bool ok = true;

	while (ok && next_word(&rest, &word)) {
		struct str w = buf_str(&word);

		if (w.n >= 2 && w.p[0] == '-')
			ok = set_letter(r, w, &rest, &more);
		else
			ok = err_set(r->err, ERR_USER, ORIGIN_NONE, "not an ssh option: %.*s", STR_FMT(w));
	}
	buf_free(&word);
	buf_free(&more);
	return ok;
}

/* ---- the rest ---------------------------------------------------------------------------------------------
 */

/* [user@]host[:port]; an IPv6 address with a port stands in brackets. */
static bool read_place(struct reader *r, struct str s, struct ssh_target *t)
{
	struct str port = {NULL, 0};
	ptrdiff_t at, close;

	while ((at = str_find(s, STR("@"), 0)) >= 0) {
		t->user = arena_strndup(r->a, s.p, (size_t)at);
		s = str_n(s.p + at + 1, s.n - (size_t)at - 1);
	}
	close = str_find(s, STR("]"), 0);
	if (str_starts(s, "[") && close > 0) {
		port = str_n(s.p + close + 1, s.n - (size_t)close - 1);
		s = str_n(s.p + 1, (size_t)close - 1);
		if (port.n && port.p[0] != ':')
			return err_set(r->err, ERR_USER, ORIGIN_NONE, "not a jump host: %s", r->jump);
	} else if ((at = str_find(s, STR(":"), 0)) >= 0 && str_find(s, STR(":"), (size_t)at + 1) < 0) {
		port = str_n(s.p + at, s.n - (size_t)at);
		s.n = (size_t)at;
	}
	if (port.n &&
	    !number(r, "the jump host's port", arena_strndup(r->a, port.p + 1, port.n - 1), 65535, &t->port))
		return false;
	if (!s.n)
		return err_set(r->err, ERR_USER, ORIGIN_NONE, "no host in the jump host's name");
	t->host = arena_strndup(r->a, s.p, s.n);
	return true;
}

/* "a,b": first a, from there b, from there the target. They log in with the target's keys. */
static bool read_jumps(struct reader *r)
{
	struct str rest = str_c(r->jump);
	struct ssh_target *before = NULL;

	if (!r->jump || strcmp(r->jump, "none") == 0)
		return true;
	while (rest.p) {
		struct ssh_target *t = ARENA_NEW(r->a, struct ssh_target);

		*t = *r->t;
		t->name = NULL;
		t->user = NULL; /* our own name, as with ssh -J */
		t->port = 0;
		t->become_password = NULL;
		t->jump = before;
		if (!read_place(r, str_trim(str_split(&rest, ',')), t))
			return false;
		before = t;
	}
	r->t->jump = before;
	return true;
}

static void add_known_file(struct reader *r, struct buf *b, const char *path)
{
	struct err ignored = {0};

	/* One that is not there holds no keys, which the check of the host's key then says. */
	if (fs_exists(path) && !fs_read(path, b, &ignored))
		err_clear(&ignored);
	buf_addc(b, '\n');
	(void)r;
}

static void read_known_hosts(struct reader *r)
{
	struct buf b = {0};
	struct str rest = r->known_files.p ? r->known_files : STR("~/.ssh/known_hosts ~/.ssh/known_hosts2");

	while (rest.p) {
		struct str one = str_split(&rest, ' ');

		if (one.n)
			add_known_file(r, &b, home_path(r, arena_strndup(r->a, one.p, one.n)));
	}
	if (!r->known_files.p)
		add_known_file(r, &b, "/etc/ssh/ssh_known_hosts");
	r->t->known_hosts = buf_take(&b, r->a);
	buf_free(&b);
}

bool ssh_target_from_vars(struct arena *a, const char *name, ssh_var_fn *get, void *ctx,
                          struct ssh_target *ret, struct err *err)
{
	static const char *const host[] = {"ansible_ssh_host", "ansible_host", NULL};
	static const char *const user[] = {"ansible_ssh_user", "ansible_user", NULL};
	static const char *const port[] = {"ansible_ssh_port", "ansible_port", NULL};
	static const char *const password[] = {"ansible_ssh_password", "ansible_ssh_pass", "ansible_password",
	                                       NULL};
	static const char *const sudo_pass[] = {"ansible_become_password", "ansible_become_pass",
	                                        "ansible_sudo_pass", NULL};
	static const char *const check[] = {"ansible_ssh_host_key_checking", "ansible_host_key_checking",
	                                    NULL};
	static const char *const args[] = {"ansible_ssh_args", "ansible_ssh_common_args",
	                                   "ansible_ssh_extra_args"};
	struct reader r = {.a = a, .get = get, .ctx = ctx, .t = ret, .err = err};
	const char *v, *env = getenv("ANSIBLE_HOST_KEY_CHECKING");

	*ret = (struct ssh_target){.name = arena_strdup(a, name), .default_keys = true};
	v = var_of(&r, host);
	ret->host = v ? v : ret->name;
	ret->user = var_of(&r, user);
	if ((v = var_of(&r, port)) && !number(&r, "ansible_port", v, 65535, &ret->port))
		return false;
	if ((v = var(&r, "ansible_ssh_private_key_file")) || (v = var(&r, "ansible_private_key_file")))
		ret->key_file = home_path(&r, v);
	ret->passphrase = var(&r, "ansible_ssh_private_key_passphrase");
	ret->password = var_of(&r, password);
	ret->become_password = var_of(&r, sudo_pass);
	ret->become_exe = var(&r, "ansible_become_exe");
	v = var_of(&r, check);
	if (!v)
		v = env;
	if (v && *v && !val_to_bool(val_strz(a, v)))
		ret->no_host_key_check = true;
	if ((v = var(&r, "ansible_ssh_timeout")) && !opt_timeout(&r, v))
		return false;
	for (size_t i = 0; i < 3; i++)
		if ((v = var(&r, args[i])) && !read_args(&r, v))
			return err_wrap(err, ORIGIN_NONE, "%s of host %s", args[i], name);
	read_known_hosts(&r);
	return read_jumps(&r);
}
