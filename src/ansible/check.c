/* Everything a role or playbook can reach, read and judged before any host is touched. */
#include "ansible/core.h"
#include "ansible/include.h"
#include "ansible/meta.h"
#include "base/fs.h"
#include "jinja/jinja.h"
#include "modules/spec.h"
#include "yaml/yaml_load.h"
#include <dirent.h>
#include <stdlib.h>

struct chain {
	const char *path;
	const struct chain *up;
};

struct check {
	struct engine *e;
	struct errs *errs;
	struct val *seen;          /* paths already looked at */
	const char *role;          /* directory of the role being looked at; NULL: none */
	const struct chain *needs; /* roles that the one being looked at was needed by, the nearest first */
	bool sure;                 /* what is being looked at runs: nothing on the way to it is conditional */
	bool makes;                /* something before it may make files where nante runs */
};

/* ---- templates ----------------------------------------------------------------------------------------- */

static void relocate(struct check *c, struct err *err, struct str text, struct origin at)
{
	if (!at.src)
		return;
	struct str source = sources_text(c->e->sources, at.src);
	for (size_t i = 0; i < err->n; i++) {
		struct origin *o = &err->frames[i].at;
		if (o->src == at.src && o->off >= at.off && o->off - at.off <= text.n)
			*o = yaml_locate(source, at, text, o->off - at.off);
	}
}

/* A filter or test that a collection has and this build has not. */
static bool is_foreign(const struct err *err)
{
	struct str msg = str_c(err_msg(err)), name;
	if (!str_starts(msg, "No filter named '") && !str_starts(msg, "No test named '"))
		return false;
	ptrdiff_t quote = str_find(msg, STR("'"), 0), end = str_find(msg, STR("'"), (size_t)quote + 1);
	name = end < 0 ? msg : str_n(msg.p + quote + 1, (size_t)(end - quote - 1));
	return str_find(name, STR("."), 0) >= 0;
}

static void warn_reached(struct check *c, const struct err *err)
{
	engine_warn(c->e, err_origin(err), "%s The task fails if it is reached", err_msg(err));
}

static void check_text(struct check *c, const struct val *v, bool expr)
{
	static const struct jinja_opts opts = {
	        .trim_blocks = true, .literal_backslashes = true, .ansible = true};
	struct jinja_tmpl *t;
	struct str text = val_get_str(v);
	struct err err = {0};
	if (val_unsafe(v) || (expr && !str_trim(text).n))
		return;
	bool tmpl = jinja_is_template(text);
	if (!tmpl && !expr)
		return;
	bool ok = tmpl ? jinja_compile(c->e->env, c->e->a, text, val_origin(v), &opts, &t, &err)
	               : jinja_compile_expr(c->e->env, c->e->a, text, val_origin(v), &t, &err);
	if (!ok) {
		relocate(c, &err, text, val_origin(v));
		if (!c->sure && is_foreign(&err))
			warn_reached(c, &err);
		else
			err_move(errs_add(c->errs), &err);
		err_clear(&err);
	}
}

static void check_val(struct check *c, const struct val *v, bool expr)
{
	if (!v)
		return;
	if (val_is_str(v)) {
		check_text(c, v, expr);
	} else if (val_is_list(v)) {
		VAL_EACH (i, v)
			check_val(c, val_at(v, i), expr);
	} else if (val_is_map(v)) {
		MAP_EACH (i, v)
			check_val(c, val_value_at(v, i), expr);
	}
}

static bool kw_is_condition(int kw)
{
	return kw == KW_WHEN || kw == KW_UNTIL || kw == KW_CHANGED_WHEN || kw == KW_FAILED_WHEN;
}

/* What is not known before the run is left to it. */
static bool is_literal(const struct val *v)
{
	return val_is_str(v) && val_len(v) && !val_needs_template((struct val *)v);
}

static void check_switch(struct check *c, enum kw kw, const struct val *v)
{
	static const char *const words[] = {"y", "yes", "on",  "1", "true",  "t", "1.0",
	                                    "n", "no",  "off", "0", "false", "f", "0.0"};
	if (!is_literal(v))
		return;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcasecmp(words[i], val_get_strz(v)) == 0)
			return;
	struct err *e = errs_add(c->errs);
	err_set(e, ERR_USER, val_origin(v),
	        "the field '%s' has an invalid value (%s), and could not be converted to a bool",
	        keywords[kw].name, val_get_strz(v));
	err_hint(e, "write true or false");
}

static void check_number(struct check *c, enum kw kw, const struct val *v)
{
	struct val *n;
	if (!is_literal(v) || (jinja_literal_eval(c->e->a, str_trim(val_get_str(v)), &n) && val_is_num(n)))
		return;
	err_set(errs_add(c->errs), ERR_USER, val_origin(v),
	        "the field '%s' has an invalid value (%s), and could not be converted to a number",
	        keywords[kw].name, val_get_strz(v));
}

static void check_types(struct check *c, const struct node *n)
{
	static const enum kw switches[] = {
	        KW_BECOME,     KW_NO_LOG, KW_RUN_ONCE,         KW_IGNORE_ERRORS, KW_IGNORE_UNREACHABLE,
	        KW_CHECK_MODE, KW_DIFF,   KW_ANY_ERRORS_FATAL, KW_DELEGATE_FACTS};
	static const enum kw numbers[] = {KW_RETRIES, KW_DELAY, KW_ASYNC, KW_POLL, KW_TIMEOUT, KW_THROTTLE};
	for (size_t i = 0; i < sizeof(switches) / sizeof(*switches); i++)
		if (n->kw[switches[i]])
			check_switch(c, switches[i], n->kw[switches[i]]);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (n->kw[numbers[i]])
			check_number(c, numbers[i], n->kw[numbers[i]]);
}

static void check_keywords(struct check *c, const struct node *n)
{
	check_types(c, n);
	for (int i = 0; i < KW_N; i++) {
		if (!n->kw[i] || i == KW_BLOCK || i == KW_RESCUE || i == KW_ALWAYS || i == KW_ROLES ||
		    i == KW_TASKS || i == KW_PRE_TASKS || i == KW_POST_TASKS || i == KW_HANDLERS ||
		    i == KW_ARGS || i == KW_ACTION || i == KW_LOCAL_ACTION)
			continue;
		check_val(c, n->kw[i], kw_is_condition(i));
	}
}

/* "a, b" or a list of such. */
static bool tagged_never(const struct val *tags)
{
	if (val_is_str(tags)) {
		struct str rest = val_get_str(tags);
		while (rest.p)
			if (str_eqc(str_trim(str_split(&rest, ',')), "never"))
				return true;
		return false;
	}
	for (size_t i = 0; val_is_list(tags) && i < val_len(tags); i++)
		if (tagged_never(val_at(tags, i)))
			return true;
	return false;
}

/* Whether a run may pass N by. */
static bool may_be_skipped(const struct node *n)
{
	return n->kw[KW_WHEN] || (n->kw[KW_TAGS] && tagged_never(n->kw[KW_TAGS]));
}

/* ---- tasks --------------------------------------------------------------------------------------------- */

static void check_block(struct check *c, const struct block *b, struct tfile *file);

/* The file a literal name leads to; a templated one can only be known in the run. */
static void check_include(struct check *c, const struct task *t)
{
	const struct val *v = val_get(t->args, "_raw_params");
	if (!v)
		v = val_get(t->args, "file");
	if (!v || !val_is_str(v) || val_needs_template(v))
		return;
	struct frame f = {0};
	struct role r = {.path = c->role ? c->role : "", .name = ""};
	struct scope s = {.e = c->e, .a = c->e->a, .frame = &f, .node = &t->n};
	f.role = c->role ? &r : NULL;
	const char *path = include_find(&s, t, str_trim(val_get_str(v)));
	if (!path) {
		err_set(errs_add(c->errs), ERR_USER, val_origin(v), "Could not find or access '%s'",
		        val_get_strz(v));
		return;
	}
	if (val_get(c->seen, path))
		return;
	val_set(c->seen, path, val_bool(true));
	struct tfile *tf = loader_tasks(&c->e->loader, path, t->handler);
	if (tf)
		check_block(c, tf->root, tf);
}

static void check_role_dir(struct check *c, const char *path);

static void check_role_ref(struct check *c, const struct task *t)
{
	const struct val *v = val_get(t->args, "name");
	if (!v)
		v = val_get(t->args, "role");
	if (!v || !val_is_str(v) || val_needs_template(v))
		return;
	struct role parent = {.path = c->role ? c->role : ""};
	const char *path = role_find(c->e, val_get_str(v), c->role ? &parent : NULL, t->n.kw[KW_COLLECTIONS]);
	if (!path) {
		err_set(errs_add(c->errs), ERR_USER, val_origin(v), "the role '%s' was not found",
		        val_get_strz(v));
		return;
	}
	static const char *const from[][2] = {{"tasks_from", "tasks"},
	                                      {"vars_from", "vars"},
	                                      {"defaults_from", "defaults"},
	                                      {"handlers_from", "handlers"}};
	for (size_t i = 0; i < 4; i++) {
		const struct val *f = val_get(t->args, from[i][0]);
		if (!f || !val_is_str(f) || val_needs_template(f))
			continue;
		struct str name = val_get_str(f);
		if (str_ends(name, ".yml"))
			name.n -= 4;
		const char *z = arena_strndup(c->e->a, name.p, name.n);
		if (!role_file(c->e->a, fs_join(c->e->a, path, from[i][1]), z, true))
			err_set(errs_add(c->errs), ERR_USER, val_origin(f),
			        "Could not find specified file in role: %s/%s", from[i][1], z);
	}
	check_role_dir(c, path);
}

static void check_template_file(struct check *c, const char *path)
{
	static const struct jinja_opts opts = {.trim_blocks = true, .ansible = true};
	struct str text;
	uint32_t src;
	struct jinja_tmpl *t;
	struct err err = {0};
	if (val_get(c->seen, path))
		return;
	val_set(c->seen, path, val_bool(true));
	if (!loader_text(&c->e->loader, path, &text, &src, errs_add(c->errs)))
		return;
	errs_ok(c->errs);
	/* Its header may change the delimiters: what they are is known when it is rendered. */
	if (str_starts(text, "#jinja2:") && str_find(text, STR("_string"), 0) >= 0)
		return;
	if (!str_is_utf8(text) || !jinja_is_template(text))
		return;
	if (jinja_compile(c->e->env, c->e->a, text, (struct origin){src, 0}, &opts, &t, &err))
		return;
	if (!c->sure && is_foreign(&err))
		warn_reached(c, &err);
	else
		err_move(errs_add(c->errs), &err);
	err_clear(&err);
}

static void check_template_src(struct check *c, const struct task *t)
{
	static const char *const own[] = {"block_start_string", "variable_start_string",
	                                  "comment_start_string"};
	const struct val *src = val_get(t->args, "src");
	if (!src || !val_is_str(src) || val_needs_template(src))
		return;
	for (size_t i = 0; i < 3; i++)
		if (val_get(t->args, own[i]))
			return;
	struct frame f = {0};
	struct role r = {.path = c->role ? c->role : ""};
	struct scope s = {.e = c->e, .a = c->e->a, .frame = &f, .node = &t->n};
	f.role = c->role ? &r : NULL;
	const char *path = scope_find(&s, "templates", val_get_str(src));
	if (!path && (!c->sure || c->makes))
		engine_warn(c->e, val_origin(src), "there is no '%s': the task fails if it is reached",
		            val_get_strz(src));
	else if (!path)
		err_set(errs_add(c->errs), ERR_USER, val_origin(src), "Could not find or access '%s'",
		        val_get_strz(src));
	else if (!fs_is_dir(path))
		check_template_file(c, path);
}

/* A file that copy takes from the role, where it surely does. */
static void check_copy_src(struct check *c, const struct task *t)
{
	const struct val *src = val_get(t->args, "src"), *remote = val_get(t->args, "remote_src");
	if (!c->sure || c->makes || remote || !src || !is_literal(src) || val_get_str(src).p[0] == '~')
		return;
	struct frame f = {0};
	struct role r = {.path = c->role ? c->role : ""};
	struct scope s = {.e = c->e, .a = c->e->a, .frame = &f, .node = &t->n};
	f.role = c->role ? &r : NULL;
	if (scope_find(&s, "files", val_get_str(src)))
		return;
	struct err *e = errs_add(c->errs);
	err_set(e, ERR_USER, val_origin(src), "Could not find or access '%s'", val_get_strz(src));
	err_hint(e,
	         "copy takes it from the role's folder files; with remote_src: true from the machine itself");
}

/* The module's own judgement: no more than a warning of a task that may never be reached, as a role for
 * several systems has some. A handler is meant to be reached. */
static void check_params(struct check *c, const struct task *t)
{
	bool sure = c->sure || (t->handler && !may_be_skipped(&t->n));
	struct val *checked;
	struct errs own = {0};
	module_check_args(t->module, t->args, false, c->e->a, &checked, &own);
	for (size_t i = 0; i < own.n; i++)
		if (sure)
			err_move(errs_add(c->errs), &own.v[i]);
		else
			warn_reached(c, &own.v[i]);
	errs_clear(&own);
}

static void check_args(struct check *c, const struct task *t)
{
	const char *name = t->action ? t->action->name : "";
	bool conditions = strcmp(name, "assert") == 0;
	MAP_EACH (i, t->args) {
		struct str k = val_text(val_key_at(t->args, i), c->e->a);
		check_val(c, val_value_at(t->args, i),
		          (conditions && str_eqc(k, "that")) ||
		                  (strcmp(name, "debug") == 0 && str_eqc(k, "var")));
	}
	if (t->args_tmpl)
		check_val(c, t->args_tmpl, false);
	bool open = strcmp(name, "set_fact") == 0 || strcmp(name, "add_host") == 0;
	if (t->module && !t->args_tmpl && !open)
		check_params(c, t);
	const struct val *raw = val_get(t->args, "_raw_params");
	if (raw && strcmp(name, "set_fact") == 0)
		engine_warn(c->e, val_origin(raw), "set_fact sets nothing to '%s': are quotes missing?",
		            val_get_strz(raw));
	if (strcmp(name, "meta") == 0 && raw && val_is_str(raw) && !val_needs_template(raw) &&
	    !meta_known(str_trim(val_get_str(raw))))
		err_set(errs_add(c->errs), ERR_USER, val_origin(raw), "invalid meta action requested: %s",
		        val_get_strz(raw));
	if (strcmp(name, "template") == 0)
		check_template_src(c, t);
	if (strcmp(name, "copy") == 0 && !t->n.kw[KW_DELEGATE_TO])
		check_copy_src(c, t);
}

/* A role for several distributions has such tasks where they are never reached. */
static void check_elsewhere(struct check *c, const struct task *t)
{
	const char *name = t->module_name;
	if (!c->sure) {
		engine_warn(c->e, t->n.at, "this build has no module '%s': the task fails if it is reached",
		            name);
		return;
	}
	struct err *e = errs_add(c->errs);
	err_set(e, ERR_USER, t->n.at, "this build of nante has no module '%s'", name);
	err_hint(e, "'nante doc module' lists those it has; where the task is for other systems, give it a "
	            "condition (when)");
}

static void check_one(struct check *c, const struct task *t)
{
	check_keywords(c, &t->n);
	if (t->elsewhere)
		check_elsewhere(c, t);
	if (t->lookup && !lookup_find(str_c(t->lookup)))
		err_set(errs_add(c->errs), ERR_USER, t->n.at, "unknown loop 'with_%s'", t->lookup);
	if (t->lookup)
		check_val(c, t->loop, false);
	enum action_kind k = t->action ? t->action->kind : ACT_PLAIN;
	bool inclusion = k == ACT_INCLUDE_TASKS || k == ACT_IMPORT_TASKS || k == ACT_INCLUDE_ROLE ||
	                 k == ACT_IMPORT_ROLE;
	if (!inclusion) {
		check_args(c, t);
		return;
	}
	check_val(c, t->args, false);
	if (!include_check_args(c->e->a, t, c->errs))
		return;
	if (k == ACT_INCLUDE_TASKS || k == ACT_IMPORT_TASKS)
		check_include(c, t);
	else
		check_role_ref(c, t);
}

static void check_task(struct check *c, const struct task *t)
{
	c->makes |= t->local || t->n.kw[KW_DELEGATE_TO] || t->n.kw[KW_CONNECTION] ||
	            (t->action && strcmp(t->action->name, "fetch") == 0);
	bool outer = c->sure;
	c->sure = outer && !t->loop && !may_be_skipped(&t->n);
	check_one(c, t);
	c->sure = outer;
}

static void check_block(struct check *c, const struct block *b, struct tfile *file)
{
	bool outer = c->sure;
	check_keywords(c, &b->n);
	for (int s = 0; s < SEC_END; s++) {
		c->sure = outer && s != SEC_RESCUE && !may_be_skipped(&b->n);
		for (size_t i = 0; i < b->sec[s].n; i++) {
			struct node *n = b->sec[s].v[i];
			if (n->kind == NODE_BLOCK)
				check_block(c, (const struct block *)n, file);
			else
				check_task(c, (const struct task *)n);
		}
	}
	c->sure = outer;
}

/* ---- roles --------------------------------------------------------------------------------------------- */

static bool is_yaml(const char *name)
{
	struct str s = str_c(name);
	return str_ends(s, ".yml") || str_ends(s, ".yaml");
}

static void each_file(struct check *c, const char *dir, bool deep,
                      void (*fn)(struct check *c, const char *path))
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const char *p = fs_join(c->e->a, dir, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && fs_is_dir(p)) {
			if (deep)
				each_file(c, p, deep, fn);
		} else if (names[i]->d_name[0] != '.') {
			fn(c, p);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static void tasks_file(struct check *c, const char *path)
{
	if (!is_yaml(path) || val_get(c->seen, path))
		return;
	val_set(c->seen, path, val_bool(true));
	struct tfile *f = loader_tasks(&c->e->loader, path, false);
	if (f)
		check_block(c, f->root, f);
}

static void main_file(struct check *c, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	if (strcmp(name, "main.yml") == 0 || strcmp(name, "main.yaml") == 0)
		tasks_file(c, path);
}

static void handlers_file(struct check *c, const char *path)
{
	if (!is_yaml(path) || val_get(c->seen, path))
		return;
	val_set(c->seen, path, val_bool(true));
	struct tfile *f = loader_tasks(&c->e->loader, path, true);
	if (f)
		check_block(c, f->root, f);
}

static void vars_file(struct check *c, const char *path)
{
	struct val *v;
	if (!is_yaml(path))
		return;
	if (!loader_vars(&c->e->loader, path, &v, errs_add(c->errs)))
		return;
	errs_ok(c->errs);
	check_val(c, v, false);
}

static void template_file(struct check *c, const char *path)
{
	if (str_ends(str_c(path), ".j2"))
		check_template_file(c, path);
}

static const char *role_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* PATH is needed by a role that, in the end, needs PATH. */
static bool runs_in_circles(struct check *c, const char *path, const struct val *at)
{
	for (const struct chain *n = c->needs; n; n = n->up) {
		if (strcmp(n->path, path) != 0)
			continue;
		struct err *e = errs_add(c->errs);
		err_set(e, ERR_USER, val_origin(at),
		        "A recursion loop was detected with the roles specified: %s depends on %s, which "
		        "depends on it",
		        role_name(c->needs->path), role_name(path));
		err_hint(e, "Make sure child roles do not have dependencies on parent roles");
		return true;
	}
	return false;
}

static void check_deps(struct check *c, const char *path)
{
	const struct chain here = {path, c->needs};
	const char *f = role_file(c->e->a, fs_join(c->e->a, path, "meta"), "main", false);
	struct val *meta;
	if (!f)
		return;
	if (!loader_vars(&c->e->loader, f, &meta, errs_add(c->errs)))
		return;
	errs_ok(c->errs);
	const struct val *deps = val_get(meta, "dependencies");
	for (size_t i = 0; deps && val_is_list(deps) && i < val_len(deps); i++) {
		const struct val *d = val_at(deps, i), *n = val_is_map(d) ? val_get(d, "role") : d;
		if (val_is_map(d) && !n)
			n = val_get(d, "name");
		if (!n || !val_is_str(n) || val_needs_template(n))
			continue;
		struct role parent = {.path = path};
		const char *dep = role_find(c->e, val_get_str(n), &parent, NULL);
		c->needs = &here;
		if (dep && !runs_in_circles(c, dep, n))
			check_role_dir(c, dep);
		c->needs = here.up;
		if (!dep)
			err_set(errs_add(c->errs), ERR_USER, val_origin(n), "the role '%s' was not found",
			        val_get_strz(n));
	}
}

static void check_role_dir(struct check *c, const char *path)
{
	const char *key = arena_printf(c->e->a, "role:%s", path), *outer = c->role;
	if (val_get(c->seen, key))
		return;
	val_set(c->seen, key, val_bool(true));
	c->role = path;
	bool sure = c->sure;
	const struct chain *needs = c->needs;
	c->needs = NULL; /* what tasks include is included again where they say so */
	static const struct {
		const char *dir;
		bool deep;
		void (*fn)(struct check *c, const char *path);
	} parts[] = {{"defaults", true, vars_file},     {"vars", true, vars_file},
	             {"handlers", true, handlers_file}, {"tasks", false, main_file},
	             {"tasks", true, tasks_file},       {"templates", true, template_file}};
	/* Handlers first: their files may be included by tasks, and are then handlers still. Then the main
	 * tasks and what they surely lead to: in any other file a task may be meant for another system. */
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		c->sure = sure && parts[i].fn == main_file;
		each_file(c, fs_join(c->e->a, path, parts[i].dir), parts[i].deep, parts[i].fn);
	}
	c->sure = sure;
	c->needs = needs;
	check_deps(c, path);
	c->role = outer;
}

static struct check begin(struct engine *e, struct errs *errs)
{
	e->errs = e->loader.errs = errs;
	return (struct check){.e = e, .errs = errs, .seen = val_map(e->a), .sure = true};
}

bool engine_check_role(struct engine *e, const char *role, struct errs *errs)
{
	struct check c = begin(e, errs);
	const char *path =
	        fs_is_dir(role) && strchr(role, '/') ? role : role_find(e, str_c(role), NULL, NULL);
	if (!path && fs_is_dir(role))
		path = role;
	if (!path)
		return err_set(errs_add(errs), ERR_USER, ORIGIN_NONE, "the role '%s' was not found", role);
	char *real = realpath(path, NULL);
	path = arena_strdup(e->a, real ? real : path);
	free(real);
	check_role_dir(&c, path);
	return errs->n == 0;
}

bool engine_check_roles(struct engine *e, const char *dir, struct errs *errs)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	if (n < 0)
		return err_sys(errs_add(errs), ERR_USER, "%s", dir);
	for (int i = 0; i < n; i++) {
		const char *p = fs_join(e->a, dir, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && fs_is_dir(p))
			engine_check_role(e, p, errs);
		free(names[i]);
	}
	free(names);
	return errs->n == 0;
}

bool engine_check_playbook(struct engine *e, const char *path, struct errs *errs)
{
	struct check c = begin(e, errs);
	struct plays ps = {0};
	e->playbook_dir = fs_dirname(e->a, path);
	loader_playbook(&e->loader, path, &ps);
	for (size_t i = 0; i < ps.n; i++) {
		const struct play *p = ps.v[i];
		const struct block *blocks[] = {p->handlers, p->pre_tasks, p->tasks, p->post_tasks};
		check_keywords(&c, &p->n);
		const struct val *hosts = p->n.kw[KW_HOSTS];
		c.makes |= p->n.kw[KW_CONNECTION] ||
		           (hosts && val_is_str(hosts) && str_eq(val_get_str(hosts), STR("localhost")));
		for (size_t k = 0; k < 4; k++)
			if (blocks[k])
				check_block(&c, blocks[k], NULL);
		const struct val *roles = p->n.kw[KW_ROLES];
		for (size_t k = 0; roles && val_is_list(roles) && k < val_len(roles); k++) {
			const struct val *r = val_at(roles, k), *n = val_is_map(r) ? val_get(r, "role") : r;
			if (val_is_map(r) && !n)
				n = val_get(r, "name");
			if (!n || !val_is_str(n) || val_needs_template(n))
				continue;
			const char *dir = role_find(e, val_get_str(n), NULL, p->n.kw[KW_COLLECTIONS]);
			if (dir)
				check_role_dir(&c, dir);
			else
				err_set(errs_add(errs), ERR_USER, val_origin(n),
				        "the role '%s' was not found", val_get_strz(n));
		}
	}
	return errs->n == 0;
}
