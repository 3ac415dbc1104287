/* Lookup plugins that read files of the controller or run commands there. */
#include "ansible/lookups.h"
#include "ansible/core.h"
#include "base/fs.h"
#include "base/proc.h"
#include "jinja/jinja.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

static bool read_text(struct lookup_call *c, const char *path, struct str *ret, struct err *err)
{
	struct buf b;
	buf_init(&b, FS_READ_MAX);
	bool ok = fs_read(path, &b, err);
	if (ok)
		*ret = buf_take(&b, c->a);
	buf_free(&b);
	return ok;
}

static bool opt_bool(struct lookup_call *c, const char *name, bool dflt)
{
	const struct val *v = val_get(c->opts, name);
	return v ? val_to_bool(v) : dflt;
}

bool lk_file(struct lookup_call *c, struct err *err)
{
	VAL_EACH (i, c->terms) {
		struct str name = val_text(val_at(c->terms, i), c->a), text;
		const char *path = scope_find(c->s, "files", name);
		if (!path)
			return err_set(err, ERR_REMOTE, val_origin(val_at(c->terms, i)),
			               "could not locate file in lookup: %.*s", STR_FMT(name));
		if (!read_text(c, path, &text, err))
			return false;
		if (opt_bool(c, "rstrip", true))
			while (text.n && isspace((unsigned char)text.p[text.n - 1]))
				text.n--;
		while (opt_bool(c, "lstrip", false) && text.n && isspace((unsigned char)*text.p))
			text = str_n(text.p + 1, text.n - 1);
		val_push(c->ret, val_str(c->a, text));
	}
	return true;
}

static struct str strip_newline(struct str s)
{
	return str_ends(s, "\n") ? str_n(s.p, s.n - 1) : s;
}

bool lk_template(struct lookup_call *c, struct err *err)
{
	struct scope in = *c->s;
	const struct val *vars = val_get(c->opts, "template_vars");
	in.outer = c->s;
	in.locals = vars && val_is_map(vars) ? (struct val *)vars : NULL;
	VAL_EACH (i, c->terms) {
		struct str name = val_text(val_at(c->terms, i), c->a), text, out;
		const char *path = scope_find(c->s, "templates", name);
		uint32_t src;
		bool secret;
		if (!path)
			return err_set(err, ERR_REMOTE, val_origin(val_at(c->terms, i)),
			               "the template file %.*s could not be found for the lookup",
			               STR_FMT(name));
		struct scope s;
		scope_init(&s, in.e, in.host, in.node, in.frame, c->a);
		s.outer = &in;
		s.delegate = in.delegate;
		s.host_only = in.host_only;
		if (!loader_text(&in.e->loader, path, &text, &src, err) ||
		    !scope_render_file(&s, text, src, c->opts, &out, &secret, err))
			return false;
		struct val *v = NULL;
		if (opt_bool(c, "convert_data", true) && out.n &&
		    strchr("{[TF", str_trim(out).n ? *str_trim(out).p : ' ') &&
		    jinja_literal_eval(c->a, str_trim(out), &v) && (val_is_list(v) || val_is_map(v)))
			val_push(c->ret, v);
		else
			val_push(c->ret,
			         secret ? val_mark_secret(c->a, val_str(c->a, out)) : val_str(c->a, out));
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

bool lk_first_found(struct lookup_call *c, struct err *err)
{
	bool skip = opt_bool(c, "skip", false);
	const char *found = NULL;
	struct val *files = val_get(c->opts, "files"), *paths = val_get(c->opts, "paths");
	struct val *none = val_list(c->a);
	if (files && !first_of(c, words(c->a, files, ",;"), words(c->a, paths, ",;:"), &found, err))
		return false;
	for (size_t i = 0; i < val_len(c->terms) && !found; i++) {
		struct val *t = val_at(c->terms, i);
		if (val_is_map(t)) {
			const struct val *sk = val_get(t, "skip");
			skip = sk ? val_to_bool(sk) : skip;
			if (!first_of(c, words(c->a, val_get(t, "files"), ",;"),
			              words(c->a, val_get(t, "paths"), ",;:"), &found, err))
				return false;
		} else if (!first_of(c, val_is_list(t) ? t : words(c->a, t, ",;"),
		                     paths ? words(c->a, paths, ",;:") : none, &found, err)) {
			return false;
		}
	}
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

static bool run_shell(struct lookup_call *c, struct str cmd, struct str *ret, struct err *err)
{
	const char *argv[] = {"/bin/sh", "-c", cmd.p, NULL};
	struct proc_opts o = {.argv = argv, .cwd = c->s->e->playbook_dir};
	struct proc_result r = {0};
	bool ok = proc_run(&o, &r, err);
	if (ok && r.status != 0)
		ok = err_set(err, ERR_REMOTE, ORIGIN_NONE, "lookup_plugin.pipe(%.*s) returned %d",
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
		if (!run_shell(c, val_text(val_at(c->terms, i), c->a), &out, err))
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
		if (!run_shell(c, val_text(val_at(c->terms, i), c->a), &out, err))
			return false;
		out = strip_newline(out);
		while (out.p && out.n) {
			struct str line = str_split(&out, '\n');
			while (line.n && isspace((unsigned char)line.p[line.n - 1]))
				line.n--;
			val_push(c->ret, val_str(c->a, line));
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

static bool make_password(struct lookup_call *c, const struct val *opts, struct str *ret, struct err *err)
{
	int64_t length = val_map_int(opts, "length", 20);
	const struct val *chars = val_get(opts, "chars");
	struct buf set = {0}, out = {0};
	if (chars) {
		struct val *list = words(c->a, chars, ",");
		VAL_EACH (i, list)
			add_class(&set, val_text(val_at(list, i), c->a));
	} else {
		add_class(&set, STR("ascii_letters"));
		add_class(&set, STR("digits"));
		buf_adds(&set, ".,:-_");
	}
	/* Bytes beyond the largest multiple of the set's size would favour its beginning. */
	bool ok = set.n > 0 && set.n < 256 && length > 0 && length < 4096;
	unsigned limit = ok ? 256 - 256 % (unsigned)set.n : 0;
	while (ok && out.n < (size_t)length) {
		unsigned char b;
		if (getrandom(&b, 1, 0) != 1)
			ok = false;
		else if (b < limit)
			buf_addc(&out, set.p[b % set.n]);
	}
	if (ok)
		*ret = buf_take(&out, c->a);
	else
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "lookup password: bad length or chars");
	buf_free(&set);
	buf_burn(&out);
	return ok;
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
		}
		const char *path = arena_strndup(c->a, term.p, n);
		bool keep = strcmp(path, "/dev/null") != 0, known = false;
		if (keep && *path != '/' && c->s->e->playbook_dir)
			path = fs_join(c->a, c->s->e->playbook_dir, path);
		if (keep && fs_exists(path)) {
			if (!read_text(c, path, &pw, err))
				return false;
			pw = str_split(&pw, '\n');
			ptrdiff_t salt = str_find(pw, STR(" salt="), 0);
			if (salt >= 0)
				pw.n = (size_t)salt;
			known = pw.n > 0;
		}
		if (!known && !make_password(c, opts, &pw, err))
			return false;
		if (!known && keep &&
		    (!fs_mkdirs(fs_dirname(c->a, path), 0700, err) ||
		     !fs_write(path, str_c(arena_printf(c->a, "%.*s\n", STR_FMT(pw))), 0600, err)))
			return false;
		val_push(c->ret, val_mark_secret(c->a, val_str(c->a, pw)));
	}
	return true;
}

/* ---- ini and csv ----------------------------------------------------------------------------------------
 */

static struct val *ini_find(struct lookup_call *c, struct str text, struct str section, struct str key,
                            bool props)
{
	bool in = props;
	bool fold = !opt_bool(c, "case_sensitive", false);
	while (text.p) {
		struct str line = str_trim(str_split(&text, '\n'));
		if (!line.n || *line.p == '#' || *line.p == ';')
			continue;
		if (*line.p == '[' && !props) {
			const char *end = memchr(line.p, ']', line.n);
			in = end && str_eq(str_n(line.p + 1, (size_t)(end - line.p - 1)), section);
			continue;
		}
		size_t n = 0;
		while (n < line.n && line.p[n] != '=' && line.p[n] != ':')
			n++;
		if (!in || n == line.n)
			continue;
		struct str k = str_trim(str_n(line.p, n));
		bool same =
		        k.n == key.n && (fold ? strncasecmp(k.p, key.p, k.n) : memcmp(k.p, key.p, k.n)) == 0;
		if (same)
			return val_str(c->a, str_trim(str_n(line.p + n + 1, line.n - n - 1)));
	}
	return NULL;
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
		if (!read_text(c, path, &text, err))
			return false;
		bool props = str_eqc(val_map_str(o, "type", "ini"), "properties");
		struct val *v = ini_find(c, text, val_map_str(o, "section", "global"), key, props);
		struct val *dflt = val_get(o, "default");
		if (!v)
			v = dflt ? dflt : val_strz(c->a, "");
		val_push(c->ret, v);
	}
	return true;
}

/* A line of delimited fields with "quotes". */
static struct val *csv_line(struct arena *a, struct str line, char delim)
{
	struct val *fields = val_list(a);
	struct buf b = {0};
	bool quoted = false;
	for (size_t i = 0; i <= line.n; i++) {
		if (i == line.n || (line.p[i] == delim && !quoted)) {
			val_push(fields, val_str(a, buf_str(&b)));
			buf_clear(&b);
		} else if (line.p[i] == '"') {
			if (quoted && i + 1 < line.n && line.p[i + 1] == '"')
				buf_addc(&b, line.p[++i]);
			else
				quoted = !quoted;
		} else {
			buf_addc(&b, line.p[i]);
		}
	}
	buf_free(&b);
	return fields;
}

bool lk_csvfile(struct lookup_call *c, struct err *err)
{
	VAL_EACH (i, c->terms) {
		struct val *more;
		if (!args_parse(c->a, val_text(val_at(c->terms, i), c->a), ORIGIN_NONE, false, &more, err))
			return false;
		struct str key = val_map_str(more, "_raw_params", "");
		val_del(more, STR("_raw_params"));
		struct val *o = val_merge(c->a, c->opts, more, false);
		struct str delim = val_map_str(o, "delimiter", "TAB"),
		           file = val_map_str(o, "file", "ansible.csv"), text;
		char d = str_eqc(delim, "TAB") || str_eqc(delim, "\\t") || !delim.n ? '\t' : *delim.p;
		int64_t col = val_map_int(o, "col", 1), keycol = val_map_int(o, "keycol", 0);
		const char *path = scope_find(c->s, "files", file);
		if (!path)
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "could not locate file in lookup: %.*s",
			               STR_FMT(file));
		if (!read_text(c, path, &text, err))
			return false;
		struct val *hit = val_get(o, "default");
		while (text.p) {
			struct str line = str_split(&text, '\n');
			if (str_ends(line, "\r"))
				line.n--;
			struct val *f = csv_line(c->a, line, d);
			const struct val *k = val_at(f, (size_t)keycol);
			if (line.n && k && str_eq(val_get_str(k), key)) {
				hit = val_at(f, (size_t)col);
				break;
			}
		}
		if (hit)
			val_push(c->ret, hit);
	}
	return true;
}
