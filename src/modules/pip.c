#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/argv.h"
#include "modules/words.h"

struct pip {
	struct mod_ctx *m;
	const char *env; /* the virtual environment, or NULL */
	const char *cwd, *path;
	int umask;
	struct argv program; /* the words that are pip */
	struct val *names;
	struct str out, err; /* what virtualenv said */
	bool created;
};

/* ---- names: "django>1,<2" may have come as a list of two */

static bool begins_with_operator(struct str s)
{
	s = str_trim(s);
	return s.n && strchr("<>=!~", s.p[0]);
}

static struct val *whole_names(struct mod_ctx *m)
{
	const struct val *given = mod_list(m, "name");
	struct val *names = val_list(m->a);
	bool in_brackets = false;
	VAL_EACH (i, given) {
		struct str rest = val_text(val_at(given, i), m->a);
		while (rest.p) {
			struct str part = str_split(&rest, ',');
			size_t n = val_len(names);
			if (n && (in_brackets || begins_with_operator(part))) {
				struct str last = val_get_str(val_at(names, n - 1));
				val_set_at(names, n - 1,
				           val_strf(m->a, "%.*s,%.*s", STR_FMT(last), STR_FMT(part)));
			} else if (str_trim(part).n) {
				val_push(names, val_str(m->a, str_trim(part)));
			}
			if (memchr(part.p, '[', part.n))
				in_brackets = true;
			if (in_brackets && memchr(part.p, ']', part.n))
				in_brackets = false;
		}
	}
	return names;
}

static bool take_names(struct pip *p)
{
	struct mod_ctx *m = p->m;
	const char *version = mod_arg(m, "version");
	p->names = whole_names(m);
	if (!version || !mod_has(m, "name"))
		return true;
	if (val_len(p->names) != 1)
		return mod_fail(
		        m, "'version' argument is ambiguous when installing multiple package distributions. "
		           "Please specify version restrictions next to each package in 'name' argument.");
	const char *name = val_get_strz(val_at(p->names, 0));
	if (strpbrk(name, "<>=!~"))
		return mod_fail(
		        m,
		        "The 'version' argument conflicts with any version specifier provided along with a "
		        "package name. Please keep the version specifier, but remove the 'version' "
		        "argument.");
	while (*version == ' ')
		version++;
	val_set_at(p->names, 0,
	           val_strf(m->a, "%s%s%s", name, isdigit((unsigned char)*version) ? "==" : "", version));
	return true;
}

/* ---- running things */

static bool run_in(struct pip *p, struct argv *c, struct mod_out *out)
{
	const char *env[] = {"LC_ALL=C.UTF-8", "LANG=C.UTF-8", p->path, NULL, NULL};
	if (mod_bool(p->m, "break_system_packages"))
		env[p->path ? 3 : 2] = "PIP_BREAK_SYSTEM_PACKAGES=1";
	return mod_spawn(p->m,
	                 &(struct mod_cmd){.argv = c->v, .cwd = p->cwd, .extra_env = env, .umask = p->umask},
	                 out);
}

static void say_command(struct pip *p, const struct argv *c)
{
	struct val *words = val_list(p->m->a);
	for (size_t i = 0; i < c->n; i++)
		val_push(words, val_strz(p->m->a, c->v[i]));
	mod_set(p->m, "cmd", words);
}

static const char *both(struct mod_ctx *m, struct str a, struct str b)
{
	return arena_printf(m->a, "%.*s%.*s", STR_FMT(a), STR_FMT(b));
}

static bool failed(struct pip *p, const struct argv *c, const struct mod_out *out)
{
	struct mod_ctx *m = p->m;
	const char *o = both(m, p->out, out->out), *e = both(m, p->err, out->err);
	say_command(p, c);
	mod_seti(m, "rc", out->rc);
	return mod_fail(m, "%s%s%s%s", *o ? "stdout: " : "", o, *e ? "\n:stderr: " : "", e);
}

static bool make_virtualenv(struct pip *p)
{
	struct mod_ctx *m = p->m;
	const char *how = mod_arg(m, "virtualenv_command");
	bool venv = strstr(how, "pyvenv") || strstr(how, "-m venv");
	struct argv c = {.m = m};
	struct mod_out out;
	if (venv && mod_has(m, "virtualenv_python"))
		return mod_fail(
		        m, "virtualenv_python should not be used when using the venv module or pyvenv as "
		           "virtualenv_command");
	if (!argv_add_text(&c, how))
		return false;
	if (!c.n)
		return mod_fail(m, "virtualenv_command is empty");
	if (!strchr(c.v[0], '/') && !(c.v[0] = argv_need(m, c.v[0])))
		return false;
	if (mod_bool(m, "virtualenv_site_packages"))
		argv_add(&c, "--system-site-packages");
	if (mod_has(m, "virtualenv_python"))
		argv_addf(&c, "-p%s", mod_arg(m, "virtualenv_python"));
	argv_add(&c, p->env);
	if (!run_in(p, &c, &out))
		return false;
	if (out.rc != 0)
		return failed(p, &c, &out);
	p->out = out.out;
	p->err = out.err;
	p->created = true;
	return true;
}

/* pip itself: the one that was named, the environment's, or the host's. */
static bool find_pip(struct pip *p)
{
	struct mod_ctx *m = p->m;
	const char *name = mod_has(m, "executable") ? mod_arg(m, "executable") : "pip3", *found = NULL;
	p->program.m = m;
	if (p->env) {
		static const char *const names[] = {"pip3", "pip"};
		for (size_t i = 0; i < 2 && !found; i++) {
			const char *z = arena_printf(m->a, "%s/bin/%s", p->env, names[i]);
			found = access(z, X_OK) == 0 ? z : NULL;
		}
		if (!found)
			return mod_fail(
			        m,
			        "Unable to find pip in the virtualenv, %s, under any of these names: pip3, "
			        "pip. Make sure pip is present in the virtualenv.",
			        p->env);
		p->path = arena_printf(m->a, "PATH=%s/bin:%s", p->env,
		                       mod_env(m, "PATH") ? mod_env(m, "PATH")
		                                          : "/usr/sbin:/usr/bin:/sbin:/bin");
	} else {
		found = *name == '/' ? name : mod_which(m, name);
		if (!found)
			return mod_fail(m, "Unable to find any of %s to use.  pip needs to be installed.",
			                name);
	}
	argv_add(&p->program, found);
	return true;
}

static bool list_installed(struct pip *p, struct str *ret)
{
	struct argv c = {.m = p->m};
	struct mod_out out;
	argv_add_all(&c, p->program.v);
	argv_add2(&c, "list", "--format=freeze");
	if (!run_in(p, &c, &out))
		return false;
	*ret = out.out;
	return out.rc == 0 || failed(p, &c, &out);
}

/* ---- check mode: what would pip do? */

/* A distribution's name as PEP 503 has it. */
static const char *canonical(struct arena *a, struct str name)
{
	char *z = arena_strndup(a, name.p, name.n), *to = z;
	for (const char *from = z; *from; from++) {
		bool dash = strchr("-_.", *from) != NULL;
		if (!dash || to == z || to[-1] != '-')
			*to++ = dash ? '-' : (char)tolower((unsigned char)*from);
	}
	*to = '\0';
	return z;
}

/* Compares the releases of two versions, number by number. */
static int compare_versions(const char *a, const char *b)
{
	while (*a || *b) {
		char *ea, *eb;
		unsigned long x = strtoul(a, &ea, 10), y = strtoul(b, &eb, 10);
		if (x != y)
			return x < y ? -1 : 1;
		a = *ea == '.' ? ea + 1 : "";
		b = *eb == '.' ? eb + 1 : "";
	}
	return 0;
}

/* Whether VERSION is within "==1.2,>1" and the like. */
static bool satisfies(struct arena *a, struct str spec, const char *version)
{
	while (spec.p) {
		struct str one = str_trim(str_split(&spec, ','));
		size_t n = 0;
		while (n < one.n && strchr("<>=!~", one.p[n]))
			n++;
		struct str op = str_n(one.p, n), text = str_trim(str_n(one.p + n, one.n - n));
		const char *limit = arena_strndup(a, text.p, text.n);
		bool any = str_ends(text, ".*");
		int c = any && strncmp(version, limit, text.n - 1) == 0 ? 0
		                                                        : compare_versions(version, limit);
		if (!n)
			continue;
		if (op.p[0] == '!'   ? c == 0
		    : op.p[0] == '=' ? c != 0
		    : op.p[0] == '<' ? c > 0 || (n == 1 && c == 0)
		                     : c < 0 || (op.p[0] == '>' && n == 1 && c == 0))
			return false;
	}
	return true;
}

static bool is_installed(struct pip *p, struct str name, struct str list)
{
	struct arena *a = p->m->a;
	size_t n = 0;
	while (n < name.n && !strchr("<>=!~[; ", name.p[n]))
		n++;
	const char *want = canonical(a, str_n(name.p, n));
	struct str spec = str_n(name.p + n, name.n - n);
	const char *close = spec.n && spec.p[0] == '[' ? memchr(spec.p, ']', spec.n) : NULL;
	if (close)
		spec = str_n(close + 1, spec.n - (size_t)(close + 1 - spec.p));
	while (list.p && list.n) {
		struct str line = str_split(&list, '\n');
		ptrdiff_t eq = str_find(line, STR("=="), 0);
		if (eq > 0 && strcmp(canonical(a, str_n(line.p, (size_t)eq)), want) == 0)
			return satisfies(a, spec, arena_strndup(a, line.p + eq + 2, line.n - (size_t)eq - 2));
	}
	return false;
}

static bool predict(struct pip *p)
{
	struct mod_ctx *m = p->m;
	struct str list;
	bool present = mod_is(m, "state", "present");
	if (mod_has(m, "extra_args") || mod_has(m, "requirements") ||
	    (!present && !mod_is(m, "state", "absent"))) {
		mod_changed(m);
		return true;
	}
	if (!list_installed(p, &list))
		return false;
	VAL_EACH (i, p->names)
		if (is_installed(p, val_get_str(val_at(p->names, i)), list) != present)
			mod_changed(m);
	return true;
}

/* ---- doing it */

static bool command(struct pip *p, struct argv *c)
{
	static const char *const verbs[][4] = {
	        {"present", "install"},
	        {"absent", "uninstall", "-y"},
	        {"latest", "install", "-U"},
	        {"forcereinstall", "install", "-U", "--force-reinstall"},
	};
	struct mod_ctx *m = p->m;
	argv_add_all(c, p->program.v);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		for (size_t k = 1; mod_is(m, "state", verbs[i][0]) && k < 4 && verbs[i][k]; k++)
			argv_add(c, verbs[i][k]);
	if (mod_has(m, "extra_args") && !argv_add_text(c, mod_arg(m, "extra_args")))
		return false;
	/* What it is about is the next word. */
	if (mod_bool(m, "editable") && !mod_is(m, "state", "absent"))
		argv_add(c, "-e");
	argv_add_list(c, p->names);
	argv_add_arg(c, "-r", "requirements");
	return true;
}

/* What comes from elsewhere than an index says nothing of whether it was there already. */
static bool from_elsewhere(const struct pip *p)
{
	VAL_EACH (i, p->names)
		if (str_find(val_get_str(val_at(p->names, i)), STR("://"), 0) >= 0)
			return true;
	return mod_has(p->m, "requirements");
}

static bool says(const struct mod_out *out, const char *text)
{
	return str_find(out->out, str_c(text), 0) >= 0 || str_find(out->err, str_c(text), 0) >= 0;
}

static bool apply(struct pip *p)
{
	struct mod_ctx *m = p->m;
	struct argv c = {.m = m};
	struct mod_out out;
	struct str before = {0}, after = {0};
	bool absent = mod_is(m, "state", "absent"), compare = !absent && from_elsewhere(p);
	if (!command(p, &c) || (compare && !list_installed(p, &before)) || !run_in(p, &c, &out))
		return false;
	if (out.rc != 0 && !(absent && out.rc == 1 && says(&out, "not installed")))
		return failed(p, &c, &out);
	if (compare && !list_installed(p, &after))
		return false;
	mod_setb(m, "changed",
	         p->created || (compare ? !str_eq(before, after)
	                                : says(&out, absent ? "Successfully uninstalled"
	                                                    : "Successfully installed")));
	say_command(p, &c);
	mod_sets(m, "stdout", both(m, p->out, out.out));
	mod_sets(m, "stderr", both(m, p->err, out.err));
	return true;
}

static bool take_umask(struct pip *p)
{
	char *end = NULL;
	if (!mod_has(p->m, "umask"))
		return true;
	p->umask = 1 + (int)strtol(mod_arg(p->m, "umask"), &end, 8);
	return !*end || mod_fail(p->m, "umask must be an octal integer");
}

static bool run(struct mod_ctx *m)
{
	static const char *const echoed[] = {"name", "version", "state", "requirements"};
	const char *chdir = mod_arg(m, "chdir"), *env = mod_arg(m, "virtualenv");
	struct pip p = {.m = m, .cwd = chdir ? chdir : m->tmp};
	if (mod_is(m, "state", "latest") && mod_has(m, "version"))
		return mod_fail(m, "version is incompatible with state=latest");
	if (!take_umask(&p) || !take_names(&p))
		return false;
	p.env = env && chdir && *env != '/' ? fs_join(m->a, chdir, env) : env;
	for (size_t i = 0; i < sizeof(echoed) / sizeof(*echoed); i++)
		mod_set(m, echoed[i], mod_has(m, echoed[i]) ? val_get(m->args, echoed[i]) : val_null());
	mod_set(m, "virtualenv", p.env ? val_strz(m->a, p.env) : val_null());
	if (p.env && !fs_exists(arena_printf(m->a, "%s/bin/activate", p.env))) {
		if (m->check) {
			mod_changed(m);
			return true;
		}
		if (!make_virtualenv(&p))
			return false;
	}
	return find_pip(&p) && (m->check ? predict(&p) : apply(&p));
}

static const struct mod_arg args[] = {
        {"name", MT_LIST, .doc = "What to install, each with its version when it matters."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|forcereinstall|latest|present",
         .doc = "Whether it is there, and how new."},
        {"version", MT_STR, .doc = "The version of the one in name."},
        {"requirements", MT_STR, .doc = "A file that lists what to install."},
        {"virtualenv", MT_PATH, .doc = "The environment to install into; made when it is missing."},
        {"virtualenv_command", MT_PATH, .dflt = "virtualenv", .doc = "How it is made."},
        {"virtualenv_python", MT_STR, .doc = "The Python it is made with."},
        {"virtualenv_site_packages", MT_BOOL, .dflt = "false", .doc = "It sees the host's packages."},
        {"extra_args", MT_STR, .doc = "More words for pip."},
        {"editable", MT_BOOL, .dflt = "false", .doc = "Install from a working copy."},
        {"chdir", MT_PATH, .doc = "The directory to run in."},
        {"executable", MT_PATH, .doc = "The pip to use."},
        {"umask", MT_STR, .doc = "What files of it do not allow, in octal."},
        {"break_system_packages", MT_BOOL, .dflt = "false",
         .doc = "Install even where the distribution keeps pip away."},
        {NULL},
};

const struct module module_row_pip = {
        .name = "pip",
        .from = "ansible.builtin",
        .doc = "Installs Python packages.",
        .args = args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "name|requirements;executable|virtualenv",
        .required_one_of = "name|requirements",
        .run = run,
};
