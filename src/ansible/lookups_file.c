/* Lookup plugins that read files of the controller or run commands there. */
#include "ansible/lookups.h"
#include "ansible/core.h"
#include "ansible/sealed.h"
#include "ansible/template_vars.h"
#include "base/fs.h"
#include "base/proc.h"
#include "jinja/crypt.h"
#include "jinja/jinja.h"
#include "jinja/random.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

static bool read_text(struct lookup_call *c, const char *path, struct str *ret, bool *ret_sealed,
                      struct err *err)
{
	return sealed_read(c->s->e->opts->vault, c->a, path, ret, ret_sealed, err);
}

static bool opt_bool(struct lookup_call *c, const char *name, bool dflt)
{
	const struct val *v = val_get(c->opts, name);
	return v ? val_to_bool(v) : dflt;
}

/* The number of an option, which may be text; *RET stays where there is none. */
static bool int_opt(const struct val *opts, const char *name, int64_t *ret, struct err *err)
{
	const struct val *v = val_get(opts, name);
	if (v && val_kind(v) == VAL_INT)
		*ret = val_get_int(v);
	else if (v && val_is_str(v) && !str_int(val_get_str(v), ret))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "invalid literal for int() with base 10: '%s'",
		               val_get_strz(v));
	return true;
}

static bool contents(struct lookup_call *c, bool rstrip, bool lstrip, struct err *err)
{
	VAL_EACH (i, c->terms) {
		struct str name = val_text(val_at(c->terms, i), c->a), text;
		const char *path = scope_find(c->s, "files", name);
		bool sealed;
		if (!path)
			return err_set(err, ERR_REMOTE, val_origin(val_at(c->terms, i)),
			               "could not locate file in lookup: %.*s", STR_FMT(name));
		if (!read_text(c, path, &text, &sealed, err))
			return false;
		while (rstrip && text.n && isspace((unsigned char)text.p[text.n - 1]))
			text.n--;
		while (lstrip && text.n && isspace((unsigned char)*text.p))
			text = str_n(text.p + 1, text.n - 1);
		val_push(c->ret, sealed ? val_mark_secret(c->a, val_str(c->a, text)) : val_str(c->a, text));
	}
	return true;
}

bool lk_file(struct lookup_call *c, struct err *err)
{
	return contents(c, opt_bool(c, "rstrip", true), opt_bool(c, "lstrip", false), err);
}

bool lk_unvault(struct lookup_call *c, struct err *err)
{
	return contents(c, false, false, err);
}

static struct str strip_newline(struct str s)
{
	return str_ends(s, "\n") ? str_n(s.p, s.n - 1) : s;
}

static struct val *text_of(struct arena *a, struct str s, bool secret, bool never_data)
{
	struct val *v = val_str(a, s);
	v = never_data ? val_mark_text(a, v) : v;
	return secret ? val_mark_secret(a, v) : v;
}

/* Of the template module's options those the lookup has. */
static struct val *template_opts(struct lookup_call *c)
{
	static const char *const names[] = {"variable_start_string", "variable_end_string",
	                                    "comment_start_string", "comment_end_string"};
	struct val *opts = val_map(c->a), *v;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if ((v = val_get(c->opts, names[i])))
			val_set(opts, names[i], v);
	return opts;
}

bool lk_template(struct lookup_call *c, struct err *err)
{
	bool convert = opt_bool(c, "convert_data", true);
	struct scope in = *c->s;
	const struct val *vars = val_get(c->opts, "template_vars");
	in.outer = c->s;
	VAL_EACH (i, c->terms) {
		struct str name = val_text(val_at(c->terms, i), c->a), text, out;
		const char *path = scope_find(c->s, "templates", name);
		uint32_t src;
		bool secret;
		if (!path)
			return err_set(err, ERR_REMOTE, val_origin(val_at(c->terms, i)),
			               "the template file %.*s could not be found for the lookup",
			               STR_FMT(name));
		in.locals = template_vars(in.e, c->a, path, NULL);
		if (vars && val_is_map(vars))
			in.locals = val_merge(c->a, in.locals, vars, false);
		struct scope s;
		scope_init(&s, in.e, in.host, in.node, in.frame, c->a);
		s.outer = &in;
		s.delegate = in.delegate;
		s.host_only = in.host_only;
		if (!loader_text(&in.e->loader, path, &text, &src, err) ||
		    !scope_render_file(&s, text, src, template_opts(c), &out, &secret, err))
			return false;
		struct val *v = NULL;
		/* What held nothing to compute is text, whatever it looks like. */
		if (convert && jinja_is_template(text) && out.n &&
		    strchr("{[TF", str_trim(out).n ? *str_trim(out).p : ' ') &&
		    jinja_literal_eval(c->a, str_trim(out), &v) && (val_is_list(v) || val_is_map(v)))
			val_push(c->ret, v);
		else
			val_push(c->ret, text_of(c->a, out, secret, !convert));
	}
	return true;
}

/* ---- first_found ----------------------------------------------------------------------------------------
 */

static struct val *words(struct arena *a, const struct val *v, const char *seps)
{
	struct val *list = val_list(a);
	if (!v)
		return list;
	if (val_is_list(v)) {
		VAL_EACH (i, v)
			val_push(list, val_at(v, i));
		return list;
	}
	struct str s = val_text(v, a);
	size_t from = 0;
	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && !strchr(seps, s.p[i]))
			continue;
		if (i > from)
			val_push(list, val_str(a, str_trim(str_n(s.p + from, i - from))));
		from = i + 1;
	}
	return list;
}

static const char *find_any(struct scope *s, struct str name)
{
	static const char *const subs[] = {"templates", "vars", "files", "tasks", ""};
	const struct task *t = s->node && s->node->kind == NODE_TASK ? (const struct task *)s->node : NULL;
	const char *act = t && t->action ? t->action->name : "", *p;
	/* The action says what is looked for; Ansible looks for files when it does not. */
	const char *first = strcmp(act, "template") == 0        ? "templates"
	                    : strcmp(act, "include_vars") == 0  ? "vars"
	                    : strcmp(act, "include_tasks") == 0 ? "tasks"
	                                                        : "files";
	if ((p = scope_find(s, first, name)))
		return p;
	for (size_t i = 0; i < sizeof(subs) / sizeof(*subs); i++)
		if ((p = scope_find(s, subs[i], name)))
			return p;
	return NULL;
}

/* A template in the name that needs a variable nobody set: not found, rather than an error. */
static bool candidate(struct lookup_call *c, struct val *name, const char **ret, struct err *err)
{
	struct val *v;
	struct err why = {0};
	(void)err;
	*ret = NULL;
	if (!scope_template(c->s, name, &v, &why)) {
		err_clear(&why);
		return true;
	}
	if (!val_is_null(v))
		*ret = find_any(c->s, val_text(v, c->a));
	return true;
}

static bool first_of(struct lookup_call *c, const struct val *files, const struct val *paths,
                     const char **ret, struct err *err)
{
	*ret = NULL;
	if (!val_len(paths)) {
		for (size_t i = 0; i < val_len(files) && !*ret; i++)
			if (!candidate(c, val_at(files, i), ret, err))
				return false;
		return true;
	}
	VAL_EACH (p, paths) {
		for (size_t i = 0; i < val_len(files) && !*ret; i++) {
			struct str dir = val_text(val_at(paths, p), c->a),
			           f = val_text(val_at(files, i), c->a);
			struct val *name = val_strz(c->a, fs_join(c->a, dir.p, f.p));
			if (!candidate(c, name, ret, err))
				return false;
		}
	}
	return true;
}

/* A term: a name, {files, paths, skip}, or a list of such. */
static bool first_of_term(struct lookup_call *c, struct val *t, bool *skip, const char **found,
                          struct err *err)
{
	const struct val *paths = val_get(val_is_map(t) ? t : c->opts, "paths");
	struct val *dirs = words(c->a, paths, ",;:");
	if (val_is_list(t)) {
		VAL_EACH (i, t)
			if (!*found && !first_of_term(c, val_at(t, i), skip, found, err))
				return false;
		return true;
	}
	if (!val_is_map(t)) {
		struct val *one = val_list(c->a);
		val_push(one, t);
		return first_of(c, one, dirs, found, err);
	}
	const struct val *sk = val_get(t, "skip"), *files = val_get(t, "files");
	*skip = sk ? val_to_bool(sk) : *skip;
	return first_of(c, words(c->a, files, ",;"), dirs, found, err);
}

bool lk_first_found(struct lookup_call *c, struct err *err)
{
	bool skip = opt_bool(c, "skip", false);
	const char *found = NULL;
	if (val_get(c->opts, "files") && !first_of_term(c, c->opts, &skip, &found, err))
		return false;
	for (size_t i = 0; i < val_len(c->terms) && !found; i++)
		if (!first_of_term(c, val_at(c->terms, i), &skip, &found, err))
			return false;
	if (found)
		val_push(c->ret, val_strz(c->a, found));
	else if (!skip)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "No file was found when using first_found.");
	return true;
}

/* ---- globs and trees ------------------------------------------------------------------------------------
 */

bool lk_fileglob(struct lookup_call *c, struct err *err)
{
	(void)err;
	VAL_EACH (i, c->terms) {
		struct str pat = val_text(val_at(c->terms, i), c->a);
		struct val *dirs = pat.n && pat.p[0] == '/' ? NULL : scope_search_path(c->s, "files");
		size_t n = dirs ? val_len(dirs) : 1, before = val_len(c->ret);
		for (size_t k = 0; k < n && val_len(c->ret) == before; k++) {
			const char *p = dirs ? fs_join(c->a, val_get_strz(val_at(dirs, k)), pat.p) : pat.p;
			glob_t g;
			if (glob(p, 0, NULL, &g) == 0)
				for (size_t j = 0; j < g.gl_pathc; j++)
					if (!fs_is_dir(g.gl_pathv[j]))
						val_push(c->ret, val_strz(c->a, g.gl_pathv[j]));
			globfree(&g);
		}
	}
	return true;
}

static bool tree(struct lookup_call *c, const char *root, const char *rel, struct err *err)
{
	const char *dir = *rel ? fs_join(c->a, root, rel) : root;
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	bool ok = n >= 0 || err_sys(err, ERR_REMOTE, "%s", dir);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name,
		           *sub = *rel ? fs_join(c->a, rel, name) : arena_strdup(c->a, name);
		const char *p = fs_join(c->a, root, sub);
		struct stat st;
		if (ok && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && lstat(p, &st) == 0) {
			struct val *m = val_map(c->a);
			const char *state = S_ISDIR(st.st_mode)   ? "directory"
			                    : S_ISLNK(st.st_mode) ? "link"
			                                          : "file";
			val_set(m, "root", val_strz(c->a, root));
			val_set(m, "path", val_strz(c->a, sub));
			val_set(m, "src", val_strz(c->a, p));
			val_set(m, "state", val_strz(c->a, state));
			val_set(m, "mode", val_strf(c->a, "0%03o", (unsigned)(st.st_mode & 07777)));
			val_set(m, "size", val_int(c->a, st.st_size));
			val_push(c->ret, m);
			if (S_ISDIR(st.st_mode))
				ok = tree(c, root, sub, err);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return ok;
}

bool lk_filetree(struct lookup_call *c, struct err *err)
{
	VAL_EACH (i, c->terms) {
		struct str name = val_text(val_at(c->terms, i), c->a);
		const char *root = scope_find(c->s, "files", name);
		if (root && !tree(c, root, "", err))
			return false;
	}
	return true;
}

/* ---- commands -------------------------------------------------------------------------------------------
 */

static bool run_shell(struct lookup_call *c, const char *plugin, struct str cmd, struct str *ret,
                      struct err *err)
{
	const char *argv[] = {"/bin/sh", "-c", cmd.p, NULL};
	struct proc_opts o = {.argv = argv, .cwd = c->s->e->playbook_dir};
	struct proc_result r = {0};
	bool ok = proc_run(&o, &r, err);
	if (ok && r.status != 0)
		ok = err_set(err, ERR_REMOTE, ORIGIN_NONE, "lookup_plugin.%s(%.*s) returned %d", plugin,
		             STR_FMT(cmd), r.status);
	if (ok)
		*ret = buf_take(&r.out, c->a);
	proc_result_free(&r);
	return ok;
}

bool lk_pipe(struct lookup_call *c, struct err *err)
{
	VAL_EACH (i, c->terms) {
		struct str out;
		if (!run_shell(c, "pipe", val_text(val_at(c->terms, i), c->a), &out, err))
			return false;
		while (out.n && isspace((unsigned char)out.p[out.n - 1]))
			out.n--;
		val_push(c->ret, val_str(c->a, out));
	}
	return true;
}

bool lk_lines(struct lookup_call *c, struct err *err)
{
	VAL_EACH (i, c->terms) {
		struct str out;
		if (!run_shell(c, "lines", val_text(val_at(c->terms, i), c->a), &out, err))
			return false;
		out = strip_newline(out);
		while (out.p && out.n) {
			val_push(c->ret, val_str(c->a, str_split(&out, '\n')));
		}
	}
	return true;
}

/* ---- password -------------------------------------------------------------------------------------------
 */

static void add_class(struct buf *b, struct str name)
{
	static const struct {
		const char *name, *chars;
	} rows[] = {{"ascii_letters", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	            {"ascii_lowercase", "abcdefghijklmnopqrstuvwxyz"},
	            {"ascii_uppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	            {"digits", "0123456789"},
	            {"hexdigits", "0123456789abcdefABCDEF"},
	            {"octdigits", "01234567"},
	            {"punctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (str_eqc(name, rows[i].name)) {
			buf_adds(b, rows[i].chars);
			return;
		}
	buf_addstr(b, name);
}

/* "ascii_letters,digits,,": the sets; an empty word in between is a comma. */
static void add_classes(struct lookup_call *c, struct buf *set, const struct val *chars)
{
	if (val_is_list(chars)) {
		VAL_EACH (i, chars)
			add_class(set, val_text(val_at(chars, i), c->a));
		return;
	}
	struct str s = val_text(chars, c->a);
	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == ',' && s.p[i + 1] == ',') {
			buf_addc(set, ',');
			break;
		}
	while (s.p) {
		struct str word = str_split(&s, ',');
		if (word.n)
			add_class(set, word);
	}
}

static bool make_password(struct lookup_call *c, const struct val *opts, struct str *ret, struct err *err)
{
	int64_t length = 20;
	const struct val *chars = val_get(opts, "chars"), *seed = val_get(opts, "seed");
	struct buf set = {0}, out = {0};
	if (!int_opt(opts, "length", &length, err))
		return false;
	if (chars) {
		add_classes(c, &set, chars);
	} else {
		add_class(&set, STR("ascii_letters"));
		add_class(&set, STR("digits"));
		buf_adds(&set, ".,:-_");
	}
	/* Quotes are never chosen: the password has to stand in them. */
	size_t n = 0;
	for (size_t i = 0; i < set.n; i++)
		if (set.p[i] != '"' && set.p[i] != '\'')
			set.p[n++] = set.p[i];
	set.n = n;
	if (seed && !val_is_null(seed))
		seed = val_str(c->a, val_text(seed, c->a));
	bool ok = length >= 0 && length < 4096
	                  ? random_chars(c->a, seed, buf_str(&set), (size_t)length, &out, err)
	                  : err_set(err, ERR_REMOTE, ORIGIN_NONE, "lookup password: bad length");
	if (ok)
		*ret = buf_take(&out, c->a);
	buf_free(&set);
	buf_burn(&out);
	return ok;
}

/* A password and, where it is handed out encrypted, the salt that goes with it. */
struct kept_password {
	const char *path; /* NULL: kept nowhere */
	struct str text, salt;
};

/* The file's first line: "PASSWORD" or "PASSWORD salt=SALT". */
static bool password_read(struct lookup_call *c, struct kept_password *p, struct err *err)
{
	struct str text;
	if (!p->path || !fs_exists(p->path))
		return true;
	if (!read_text(c, p->path, &text, NULL, err))
		return false;
	p->text = str_split(&text, '\n');
	ptrdiff_t salt = str_find(p->text, STR(" salt="), 0);
	if (salt >= 0) {
		p->salt = str_n(p->text.p + salt + 6, p->text.n - (size_t)salt - 6);
		p->text.n = (size_t)salt;
	}
	return true;
}

static bool password_write(struct lookup_call *c, const struct kept_password *p, struct err *err)
{
	const char *line = arena_printf(c->a, "%.*s%s%.*s\n", STR_FMT(p->text), p->salt.n ? " salt=" : "",
	                                STR_FMT(p->salt));
	return !p->path ||
	       (fs_mkdirs(fs_dirname(c->a, p->path), 0700, err) && fs_write(p->path, str_c(line), 0600, err));
}

static bool password_one(struct lookup_call *c, const char *path, const struct val *opts, struct str *ret,
                         struct err *err)
{
	struct kept_password p = {.path = strcmp(path, "/dev/null") != 0 ? path : NULL};
	struct str encrypt = val_map_str(opts, "encrypt", "");
	if (p.path && *path != '/' && c->s->e->playbook_dir)
		p.path = fs_join(c->a, c->s->e->playbook_dir, path);
	if (!password_read(c, &p, err))
		return false;
	bool known = p.text.n > 0 && (p.salt.n > 0 || !encrypt.n);
	if (!p.text.n && !make_password(c, opts, &p.text, err))
		return false;
	if (encrypt.n && !p.salt.n && !crypt_salt(c->a, encrypt, &p.salt, err))
		return false;
	if (!known && !password_write(c, &p, err))
		return false;
	*ret = p.text;
	return !encrypt.n ||
	       crypt_password(c->a, p.text, &(struct crypt_how){.scheme = encrypt, .salt = p.salt}, ret, err);
}

static bool password_known(const struct val *opts, struct err *err)
{
	static const char *const names[] = {"length", "encrypt", "chars", "ident", "seed", "errors"};
	MAP_EACH (i, opts) {
		struct str key = val_get_str(val_key_at(opts, i));
		bool known = false;
		for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
			known = known || str_eqc(key, names[k]);
		if (!known)
			return err_set(err, ERR_REMOTE, ORIGIN_NONE,
			               "Unrecognized parameter(s) given to password lookup: %.*s",
			               STR_FMT(key));
	}
	return true;
}

bool lk_password(struct lookup_call *c, struct err *err)
{
	VAL_EACH (i, c->terms) {
		struct str term = val_text(val_at(c->terms, i), c->a), pw;
		/* "path length=12 chars=digits" */
		size_t n = 0;
		while (n < term.n && term.p[n] != ' ')
			n++;
		struct val *opts = val_shallow(c->a, c->opts), *more;
		if (n < term.n) {
			if (!args_parse(c->a, str_trim(str_n(term.p + n, term.n - n)), ORIGIN_NONE, false,
			                &more, err))
				return false;
			opts = val_merge(c->a, opts, more, false);
			if (!password_known(opts, err))
				return false;
		}
		if (!password_one(c, arena_strndup(c->a, term.p, n), opts, &pw, err))
			return false;
		val_push(c->ret, val_mark_secret(c->a, val_str(c->a, pw)));
	}
	return true;
}

/* ---- ini and csv ----------------------------------------------------------------------------------------
 */

static struct str lowered(struct arena *a, struct str s)
{
	char *z = arena_strndup(a, s.p, s.n);
	for (size_t i = 0; i < s.n; i++)
		z[i] = (char)tolower((unsigned char)z[i]);
	return str_n(z, s.n);
}

/* A line's part before "=" or ":"; false when there is neither. */
static bool ini_split(struct str line, struct str *ret_key, struct str *ret_value)
{
	size_t n = 0;
	while (n < line.n && line.p[n] != '=' && line.p[n] != ':')
		n++;
	*ret_key = str_trim(str_n(line.p, n));
	*ret_value = n < line.n ? str_trim(str_n(line.p + n + 1, line.n - n - 1)) : STR("");
	return n < line.n;
}

/* V with %(name)s and %% filled in from KEYS; what is neither stays as it is. */
static void ini_expand(struct lookup_call *c, const struct val *keys, struct str v, unsigned depth,
                       struct buf *out)
{
	for (size_t i = 0; i < v.n; i++) {
		const char *end = memchr(v.p + i, ')', v.n - i);
		bool named = end && v.p[i] == '%' && v.p[i + 1] == '(' && end[1] == 's';
		struct str name = named ? str_n(v.p + i + 2, (size_t)(end - v.p) - i - 2) : STR("");
		const struct val *of = named ? val_gets(keys, name) : NULL;
		if (named && !of)
			of = val_gets(keys, lowered(c->a, name));
		if (of && depth) {
			ini_expand(c, keys, val_get_str(of), depth - 1, out);
			i = (size_t)(end - v.p) + 1;
			continue;
		}
		buf_addc(out, v.p[i]);
		i += v.p[i] == '%' && v.p[i + 1] == '%';
	}
}

static void ini_push(struct lookup_call *c, const struct val *keys, const struct val *v)
{
	struct buf b = {0};
	ini_expand(c, keys, val_get_str(v), opt_bool(c, "interpolation", true) ? 10 : 0, &b);
	val_push(c->ret, opt_bool(c, "interpolation", true) ? val_str(c->a, buf_str(&b)) : (struct val *)v);
	buf_free(&b);
}

/* The keys of SECTION and of [DEFAULT], as Python's configparser reads them: a value goes on in indented
 * lines. NULL: there is no such section. */
static struct val *ini_read(struct lookup_call *c, struct str text, struct str section, bool fold)
{
	struct val *own = val_map(c->a), *dflt = val_map(c->a), *in = NULL;
	struct str key = STR("");
	bool there = str_eqc(section, "DEFAULT");
	while (text.p) {
		struct str raw = str_split(&text, '\n'), line = str_trim(raw), value;
		bool more = raw.n && isspace((unsigned char)*raw.p) && in && key.n;
		if (!line.n || *line.p == '#' || *line.p == ';')
			continue;
		if (more) {
			struct str so = val_get_str(val_gets(in, key));
			val_sets(in, key, val_strf(c->a, "%.*s\n%.*s", STR_FMT(so), STR_FMT(line)));
			continue;
		}
		key = STR("");
		if (*line.p == '[') {
			const char *end = memchr(line.p, ']', line.n);
			struct str name = end ? str_n(line.p + 1, (size_t)(end - line.p - 1)) : STR("");
			in = str_eqc(name, "DEFAULT") ? dflt : str_eq(name, section) ? own : NULL;
			there = there || in == own;
		} else if (in && ini_split(line, &key, &value)) {
			key = fold ? lowered(c->a, key) : key;
			val_sets(in, key, val_str(c->a, value));
		}
	}
	return there ? val_merge(c->a, dflt, own, false) : NULL;
}

/* With re=True all values whose key PATTERN matches, else the one of the key. False: there is none. */
static bool ini_pick(struct lookup_call *c, const struct val *keys, struct str key, bool re, bool *ret_found,
                     struct err *err)
{
	struct val *v = re ? NULL : val_gets(keys, key), *hit;
	*ret_found = v || re;
	if (v)
		ini_push(c, keys, v);
	for (size_t i = 0; re && i < val_len(keys); i++) {
		struct val *args = val_list(c->a);
		val_push(args, val_key_at(keys, i));
		val_push(args, val_str(c->a, key));
		if (!ctx_call_named(c->s->jinja, c->a, 't', STR("match"), args, val_map(c->a), &hit, err))
			return false;
		if (val_truthy(hit))
			ini_push(c, keys, val_value_at(keys, i));
	}
	return true;
}

bool lk_ini(struct lookup_call *c, struct err *err)
{
	struct val *opts = val_shallow(c->a, c->opts);
	VAL_EACH (i, c->terms) {
		struct str term = val_text(val_at(c->terms, i), c->a);
		struct val *more;
		if (!args_parse(c->a, term, ORIGIN_NONE, false, &more, err))
			return false;
		struct str key = val_map_str(more, "_raw_params", "");
		val_del(more, STR("_raw_params"));
		struct val *o = val_merge(c->a, opts, more, false);
		struct str file = val_map_str(o, "file", "ansible.ini"), text;
		const char *path = scope_find(c->s, "files", file);
		if (!path)
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "could not locate file in lookup: %.*s",
			               STR_FMT(file));
		if (!read_text(c, path, &text, NULL, err))
			return false;
		bool props = str_eqc(val_map_str(o, "type", "ini"), "properties"), found;
		const struct val *exact = val_get(o, "case_sensitive"), *re = val_get(o, "re");
		bool fold = !exact || !val_to_bool(exact);
		struct str section = props ? STR("java_properties") : val_map_str(o, "section", "global");
		if (props)
			text = str_c(arena_printf(c->a, "[java_properties]\n%.*s", STR_FMT(text)));
		struct val *keys = ini_read(c, text, section, fold), *dflt = val_get(o, "default");
		if (!keys)
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "No section '%.*s' in %.*s",
			               STR_FMT(section), STR_FMT(file));
		if (fold && !(re && val_to_bool(re)))
			key = lowered(c->a, key);
		if (!ini_pick(c, keys, key, re && val_to_bool(re), &found, err))
			return false;
		if (!found)
			val_push(c->ret, dflt ? dflt : val_strz(c->a, ""));
	}
	return true;
}

static bool csv_term(const struct val *more, struct err *err)
{
	static const char *const names[] = {"_raw_params", "file",    "delimiter", "col",
	                                    "keycol",      "default", "encoding"};
	if (!val_map_str(more, "_raw_params", "").n)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "Search key is required but was not found");
	MAP_EACH (i, more) {
		bool known = false;
		for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
			known = known || str_eqc(val_get_str(val_key_at(more, i)), names[k]);
		if (!known)
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s is not a valid option",
			               val_get_strz(val_key_at(more, i)));
	}
	return true;
}

bool lk_csvfile(struct lookup_call *c, struct err *err)
{
	VAL_EACH (i, c->terms) {
		struct val *more;
		if (!args_parse(c->a, val_text(val_at(c->terms, i), c->a), ORIGIN_NONE, false, &more, err) ||
		    !csv_term(more, err))
			return false;
		struct str key = val_map_str(more, "_raw_params", "");
		val_del(more, STR("_raw_params"));
		struct val *o = val_merge(c->a, c->opts, more, false);
		struct str delim = val_map_str(o, "delimiter", "TAB"),
		           file = val_map_str(o, "file", "ansible.csv"), text;
		char d = str_eqc(delim, "TAB") || str_eqc(delim, "\\t") || !delim.n ? '\t' : *delim.p;
		int64_t col = 1, keycol = 0;
		if (d != '\t' && !(delim.n == 1 || (*delim.p & 0x80)))
			return err_set(err, ERR_REMOTE, ORIGIN_NONE,
			               "csvfile: \"delimiter\" must be a 1-character string");
		if (!int_opt(o, "col", &col, err) || !int_opt(o, "keycol", &keycol, err))
			return false;
		const char *path = scope_find(c->s, "files", file);
		if (!path)
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "could not locate file in lookup: %.*s",
			               STR_FMT(file));
		if (!read_text(c, path, &text, NULL, err))
			return false;
		struct val *hit = val_get(o, "default");
		while (text.p) {
			struct val *f = csv_row(c->a, &text, d, false);
			const struct val *k = val_at(f, (size_t)keycol);
			if (k && str_eq(val_get_str(k), key)) {
				hit = val_at(f, (size_t)col);
				if (!hit)
					return err_set(err, ERR_REMOTE, ORIGIN_NONE,
					               "csvfile: list index out of range");
				break;
			}
		}
		if (hit)
			val_push(c->ret, hit);
	}
	return true;
}
