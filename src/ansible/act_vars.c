/* Actions that set variables, hosts and groups, and the check of a role's arguments. */
#include "ansible/actions.h"
#include "ansible/core.h"
#include "ansible/task.h"
#include "base/fs.h"
#include "jinja/jinja.h"
#include "modules/spec.h"
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>

static bool is_identifier(struct str s)
{
	if (!s.n || isdigit((unsigned char)s.p[0]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '_')
			return false;
	return true;
}

static bool is_bool_word(struct val *v)
{
	static const char *const words[] = {"true", "false", "yes", "no"};
	if (!val_is_str(v) || val_len(v) > 5)
		return false;
	for (size_t i = 0; i < 4; i++)
		if (strcasecmp(val_get_strz(v), words[i]) == 0)
			return true;
	return false;
}

bool act_set_fact(struct item_run *r, struct err *err)
{
	struct val *facts = val_map(r->a), *cacheable = val_get(r->args, "cacheable");
	MAP_EACH (i, r->args) {
		struct val *k = val_key_at(r->args, i), *v = val_value_at(r->args, i);
		struct str name = val_text(k, r->a);
		if (str_eqc(name, "cacheable") || str_eqc(name, "_raw_params"))
			continue;
		if (val_needs_template(k) && !scope_text(&r->s, k, &name, err))
			return false;
		if (!is_identifier(name))
			return err_set(
			        err, ERR_USER, val_origin(k),
			        "The variable name '%.*s' is not valid. Variables must start with a letter "
			        "or underscore character, and contain only letters, numbers and underscores.",
			        STR_FMT(name));
		val_sets(facts, name, is_bool_word(v) ? val_bool(val_to_bool(v)) : v);
	}
	if (!val_len(facts))
		return err_set(
		        err, ERR_USER, r->t->task->n.at,
		        "No key/value pairs provided, at least one is required for this action to succeed");
	r->result = act_result(r, false);
	val_set(r->result, "ansible_facts", facts);
	if (cacheable && val_to_bool(cacheable))
		val_set(r->result, "_ansible_facts_cacheable", val_bool(true));
	return true;
}

bool act_set_stats(struct item_run *r, struct err *err)
{
	struct val *data = val_get(r->args, "data"), *stats = val_map(r->a);
	if (!data)
		data = val_map(r->a);
	if (!val_is_map(data))
		return err_set(err, ERR_USER, val_origin(data),
		               "The 'data' option needs to be a dictionary/hash");
	val_set(stats, "data", data);
	val_set(stats, "per_host", val_bool(val_map_bool(r->args, "per_host", false)));
	val_set(stats, "aggregate", val_bool(val_map_bool(r->args, "aggregate", true)));
	r->result = act_result(r, false);
	val_set(r->result, "ansible_stats", stats);
	return true;
}

/* ---- include_vars ---------------------------------------------------------------------------------------
 */

struct include_vars {
	struct item_run *r;
	struct val *vars, *files;
	int64_t depth;
	struct val *extensions, *ignore;
	struct str matching;
	bool ignore_unknown;
};

static bool read_one(struct include_vars *iv, const char *path, struct err *err)
{
	struct val *v;
	if (!loader_vars(&iv->r->t->e->loader, path, &v, err))
		return false;
	MAP_EACH (i, v)
		val_setk(iv->vars, val_key_at(v, i), val_value_at(v, i));
	val_push(iv->files, val_strz(iv->r->a, path));
	return true;
}

static bool has_extension(struct include_vars *iv, const char *name)
{
	const char *dot = strrchr(name, '.');
	VAL_EACH (i, iv->extensions)
		if (str_eqc(val_text(val_at(iv->extensions, i), iv->r->a), dot ? dot + 1 : ""))
			return true;
	return false;
}

static bool is_ignored(struct include_vars *iv, const char *name)
{
	for (size_t i = 0; iv->ignore && i < val_len(iv->ignore); i++)
		if (str_eqc(val_text(val_at(iv->ignore, i), iv->r->a), name))
			return true;
	return false;
}

static bool matches(struct include_vars *iv, const char *name)
{
	if (!iv->matching.n)
		return true;
	struct val *args = val_list(iv->r->a), *ret = NULL;
	struct err err = {0};
	val_push(args, val_strz(iv->r->a, name));
	val_push(args, val_str(iv->r->a, iv->matching));
	const struct jinja_func *f = jinja_env_find(iv->r->t->e->env, 't', STR("search"));
	struct jinja_call c = {.ctx = iv->r->s.jinja,
	                       .a = iv->r->a,
	                       .args = args,
	                       .kwargs = val_map(iv->r->a),
	                       .user = f->user};
	bool ok = f->fn(&c, &ret, &err) && val_truthy(ret);
	err_clear(&err);
	return ok;
}

static int name_cmp(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool read_dir(struct include_vars *iv, const char *dir, int64_t level, struct err *err)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, name_cmp);
	bool ok = true;
	if (n < 0)
		return err_sys(err, ERR_USER, "%s", dir);
	/* Files of a directory before those below it. */
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < n && ok; i++) {
			const char *name = names[i]->d_name, *p = fs_join(iv->r->a, dir, name);
			bool is_dir = fs_is_dir(p);
			if (name[0] == '.' || is_dir != (pass == 1))
				continue;
			if (is_dir) {
				if (!iv->depth || level < iv->depth)
					ok = read_dir(iv, p, level + 1, err);
			} else if (is_ignored(iv, name) || !matches(iv, name)) {
				continue;
			} else if (!has_extension(iv, name)) {
				if (!iv->ignore_unknown)
					ok = err_set(err, ERR_USER, ORIGIN_NONE,
					             "%s does not have a valid extension: yaml, yml, json",
					             p);
			} else {
				ok = read_one(iv, p, err);
			}
		}
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return ok;
}

static struct val *word_list(struct arena *a, const char *const *words)
{
	struct val *l = val_list(a);
	for (; *words; words++)
		val_push(l, val_strz(a, *words));
	return l;
}

bool act_include_vars(struct item_run *r, struct err *err)
{
	static const char *const exts[] = {"yaml", "yml", "json", NULL};
	struct include_vars iv = {.r = r, .vars = val_map(r->a), .files = val_list(r->a)};
	struct val *file = val_get(r->args, "_raw_params"), *dir = val_get(r->args, "dir"),
	           *name = val_get(r->args, "name");
	if (!file)
		file = val_get(r->args, "file");
	iv.extensions = val_get(r->args, "extensions");
	if (!iv.extensions || !val_is_list(iv.extensions))
		iv.extensions = word_list(r->a, exts);
	iv.ignore = val_get(r->args, "ignore_files");
	if (iv.ignore && !val_is_list(iv.ignore)) {
		struct val *l = val_list(r->a);
		val_push(l, iv.ignore);
		iv.ignore = l;
	}
	iv.depth = val_map_int(r->args, "depth", 0);
	iv.matching = val_map_str(r->args, "files_matching", "");
	iv.ignore_unknown = val_map_bool(r->args, "ignore_unknown_extensions", false);
	if (dir) {
		struct str d = val_text(dir, r->a);
		const char *p = scope_find(&r->s, "vars", d);
		if (!p || !fs_is_dir(p))
			return err_set(err, ERR_USER, val_origin(dir), "%.*s directory does not exist",
			               STR_FMT(d));
		if (!read_dir(&iv, p, 1, err))
			return false;
	} else {
		if (!file)
			return err_set(err, ERR_USER, r->t->task->n.at, "include_vars needs a file or a dir");
		struct str f = str_trim(val_text(file, r->a));
		const char *p = scope_find(&r->s, "vars", f);
		if (!p)
			return err_set(err, ERR_USER, val_origin(file),
			               "Could not find or access '%.*s' on the Ansible Controller.",
			               STR_FMT(f));
		if (!read_one(&iv, p, err))
			return false;
	}
	struct val *facts = iv.vars;
	if (name && val_len(name)) {
		facts = val_map(r->a);
		val_sets(facts, val_text(name, r->a), iv.vars);
	}
	r->result = act_result(r, false);
	val_set(r->result, "ansible_facts", facts);
	val_set(r->result, "ansible_included_var_files", iv.files);
	return true;
}

/* ---- hosts and groups -----------------------------------------------------------------------------------
 */

static struct val *arg_of(struct item_run *r, const char *const *names)
{
	for (; *names; names++)
		if (val_get(r->args, *names))
			return val_get(r->args, *names);
	return NULL;
}

static bool vars_same(const struct val *have, const struct val *want)
{
	MAP_EACH (i, want) {
		const struct val *v = val_getk(have, val_key_at(want, i));
		if (!v || !val_equal(v, val_value_at(want, i)))
			return false;
	}
	return true;
}

bool act_add_host(struct item_run *r, struct err *err)
{
	static const char *const name_words[] = {"name", "hostname", "host", NULL};
	static const char *const group_words[] = {"groups", "groupname", "group", NULL};
	struct val *name = arg_of(r, name_words), *groups = arg_of(r, group_words), *list,
	           *vars = val_map(r->a);
	if (!name)
		return err_set(err, ERR_USER, r->t->task->n.at,
		               "name, host or hostname needs to be provided");
	if (!scope_words(&r->s, groups ? groups : val_list(r->a), &list, err))
		return false;
	MAP_EACH (i, r->args) {
		struct str k = val_text(val_key_at(r->args, i), r->a);
		bool own = false;
		for (size_t n = 0; n < 3; n++)
			own = own || str_eqc(k, name_words[n]) || str_eqc(k, group_words[n]);
		if (!own)
			val_sets(vars, k, val_value_at(r->args, i));
	}
	struct str host = val_text(name, r->a);
	const char *colon = memchr(host.p, ':', host.n);
	int64_t port;
	if (colon && memrchr(host.p, ':', host.n) == colon &&
	    str_int(str_n(colon + 1, (size_t)(host.p + host.n - colon - 1)), &port)) {
		val_set(vars, "ansible_ssh_port", val_int(r->a, port));
		host.n = (size_t)(colon - host.p);
	}
	const struct host *h = inventory_host(r->t->e->inv, host);
	bool changed = !h || h->implicit || !vars_same(h->vars, vars);
	for (size_t i = 0; h && i < val_len(list); i++) {
		const struct group *g = inventory_group(r->t->e->inv, val_get_str(val_at(list, i)));
		bool in = false;
		for (size_t k = 0; g && k < g->n_hosts; k++)
			in = in || g->hosts[k] == h;
		changed = changed || !in;
	}
	struct val *info = val_map(r->a);
	val_set(info, "host_name", val_str(r->a, host));
	val_set(info, "groups", list);
	val_set(info, "host_vars", vars);
	r->result = act_result(r, changed);
	val_set(r->result, "add_host", info);
	return true;
}

bool act_group_by(struct item_run *r, struct err *err)
{
	struct val *key = val_get(r->args, "key"), *parents = val_get(r->args, "parents"),
	           *list = val_list(r->a);
	if (!key)
		return err_set(err, ERR_USER, r->t->task->n.at,
		               "the 'key' param is required when using group_by");
	struct buf b = {0};
	struct str k = val_text(key, r->a);
	for (size_t i = 0; i < k.n; i++)
		buf_addc(&b, k.p[i] == ' ' ? '-' : k.p[i]);
	for (size_t i = 0; parents && val_is_list(parents) && i < val_len(parents); i++)
		val_push(list, val_str(r->a, val_text(val_at(parents, i), r->a)));
	if (parents && val_is_str(parents))
		val_push(list, parents);
	if (!parents)
		val_push(list, val_strz(r->a, "all"));
	const struct group *g = inventory_group(r->t->e->inv, buf_str(&b));
	bool in = false;
	for (size_t i = 0; g && i < g->n_hosts; i++)
		in = in || g->hosts[i] == r->t->hr->host;
	r->result = act_result(r, !in);
	val_set(r->result, "add_group", val_str(r->a, buf_str(&b)));
	val_set(r->result, "parent_groups", list);
	buf_free(&b);
	return true;
}

/* ---- a role's arguments ---------------------------------------------------------------------------------
 */

static enum mod_type type_of(const char *name)
{
	static const struct {
		const char *name;
		enum mod_type type;
	} rows[] = {{"str", MT_STR},      {"path", MT_PATH},      {"bool", MT_BOOL}, {"int", MT_INT},
	            {"float", MT_FLOAT},  {"list", MT_LIST},      {"dict", MT_DICT}, {"raw", MT_RAW},
	            {"json", MT_JSONARG}, {"jsonarg", MT_JSONARG}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (strcmp(name, rows[i].name) == 0)
			return rows[i].type;
	return MT_STR;
}

static const char *joined(struct arena *a, const struct val *list)
{
	struct buf b = {0};
	for (size_t i = 0; i < val_len(list); i++) {
		if (i)
			buf_addc(&b, '|');
		val_print(val_at(list, i), &b);
	}
	const char *z = buf_take(&b, a).p;
	buf_free(&b);
	return z;
}

/* argument_specs' options as a module's table. */
static const struct mod_arg *spec_of(struct arena *a, const struct val *options)
{
	struct mod_arg *v = arena_array(a, val_len(options) + 1, sizeof(*v));
	size_t n = 0;
	MAP_EACH (i, options) {
		const struct val *o = val_value_at(options, i);
		struct mod_arg *m = &v[n++];
		m->name = val_text(val_key_at(options, i), a).p;
		if (!val_is_map(o))
			continue;
		m->type = type_of(val_map_strz(o, "type", "str"));
		m->elem = val_get(o, "elements") ? type_of(val_map_strz(o, "elements", "str")) : MT_RAW;
		m->flags = (val_map_bool(o, "required", false) ? MA_REQUIRED : 0U) |
		           (val_map_bool(o, "no_log", false) ? MA_NO_LOG : 0U);
		const struct val *choices = val_get(o, "choices"), *sub = val_get(o, "options"),
		                 *al = val_get(o, "aliases");
		if (choices && val_is_list(choices))
			m->choices = joined(a, choices);
		if (al && val_is_list(al) && val_len(al))
			m->aliases = joined(a, al);
		if (sub && val_is_map(sub))
			m->sub = spec_of(a, sub);
	}
	return v;
}

bool act_validate(struct item_run *r, struct err *err)
{
	struct val *options = val_get(r->args, "argument_spec"),
	           *given = val_get(r->args, "provided_arguments");
	struct val *args = val_map(r->a), *out, *ctx = val_get(r->args, "validate_args_context");
	if (!options || !val_is_map(options))
		return err_set(err, ERR_USER, r->t->task->n.at, "\"argument_spec\" arg is required in args");
	MAP_EACH (i, options) {
		struct val *v;
		struct str name = val_text(val_key_at(options, i), r->a);
		if (!scope_raw(&r->s, name))
			continue;
		if (!scope_var(&r->s, name, &v, err))
			return false;
		if (v && !val_is_omit(r->t->e, v))
			val_sets(args, name, v);
	}
	for (size_t i = 0; given && val_is_map(given) && i < val_len(given); i++)
		val_setk(args, val_key_at(given, i), val_value_at(given, i));
	struct errs errs = {0};
	struct val *list = val_list(r->a);
	bool ok = spec_check(spec_of(r->a, options), "", args, true, r->a, &out, &errs);
	struct buf b = {0};
	buf_adds(&b, "Validation of arguments failed:");
	for (size_t i = 0; i < errs.n; i++) {
		buf_printf(&b, "\n%s", err_msg(&errs.v[i]));
		val_push(list, val_strz(r->a, err_msg(&errs.v[i])));
	}
	errs_clear(&errs);
	r->result = act_result(r, false);
	if (ctx)
		val_set(r->result, "validate_args_context", ctx);
	if (!ok) {
		val_set(r->result, "failed", val_bool(true));
		val_set(r->result, "msg", val_str(r->a, buf_str(&b)));
		val_set(r->result, "argument_spec_data", options);
		val_set(r->result, "argument_errors", list);
	} else {
		val_set(r->result, "msg", val_strz(r->a, "The arg spec validation passed"));
	}
	buf_free(&b);
	return true;
}
