/* Actions that set variables, hosts and groups, and the check of a role's arguments. */
#include "ansible/actions.h"
#include "ansible/core.h"
#include "ansible/playbook.h"
#include "ansible/task.h"
#include "ansible/vars_files.h"
#include "base/fs.h"
#include "jinja/jinja.h"
#include "modules/spec.h"
#include <stdlib.h>

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

/* Whether KEY, which says NAME, may name a variable. */
static bool named_well(const struct val *key, struct str name, struct err *err)
{
	return variable_name_ok(name) ||
	       err_set(err, ERR_USER, val_origin(key),
	               "The variable name '%.*s' is not valid. Variables must start with a letter or "
	               "underscore "
	               "character, and contain only letters, numbers and underscores.",
	               STR_FMT(name));
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
		if (!named_well(k, name, err))
			return false;
		val_sets(facts, name, is_bool_word(v) ? val_bool(val_to_bool(v)) : val_no_tuples(r->a, v));
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
	MAP_EACH (i, r->args) {
		struct str key = val_text(val_key_at(r->args, i), r->a);
		if (!str_eqc(key, "data") && !str_eqc(key, "per_host") && !str_eqc(key, "aggregate"))
			return err_set(err, ERR_USER, val_origin(val_key_at(r->args, i)),
			               "Invalid options for set_stats: %.*s", STR_FMT(key));
	}
	MAP_EACH (i, data)
		if (!named_well(val_key_at(data, i), val_text(val_key_at(data, i), r->a), err))
			return false;
	val_set(stats, "data", data);
	val_set(stats, "per_host", val_bool(act_bool(r, "per_host", false)));
	val_set(stats, "aggregate", val_bool(act_bool(r, "aggregate", true)));
	r->result = act_result(r, false);
	val_set(r->result, "ansible_stats", stats);
	return true;
}

/* ---- include_vars ---------------------------------------------------------------------------------------
 */

struct include_vars {
	struct item_run *r;
	struct val *vars, *files;
	int64_t depth, dirs;
	struct val *extensions, *ignore;
	struct str matching;
	bool ignore_unknown;
};

static bool read_one(struct include_vars *iv, const char *path, struct err *err)
{
	struct val *v;
	if (!loader_yaml(&iv->r->t->e->loader, path, &v, err))
		return false;
	if (!val_is_map(v) && val_truthy(v))
		return err_set(err, ERR_USER, val_origin(v), "%s must be stored as a dictionary/hash", path);
	for (size_t i = 0; val_is_map(v) && i < val_len(v); i++)
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

/* Whether the regular expression is found in NAME. */
static bool found_in(struct include_vars *iv, struct str regex, const char *name, bool *ret, struct err *err)
{
	struct val *args = val_list(iv->r->a), *v = NULL;
	val_push(args, val_strz(iv->r->a, name));
	val_push(args, val_str(iv->r->a, regex));
	const struct jinja_func *f = jinja_env_find(iv->r->t->e->env, 't', STR("search"));
	struct jinja_call c = {.ctx = iv->r->s.jinja,
	                       .a = iv->r->a,
	                       .args = args,
	                       .kwargs = val_map(iv->r->a),
	                       .user = f->user};
	bool ok = f->fn(&c, &v, err);
	*ret = ok && val_truthy(v);
	return ok;
}

static bool is_wanted(struct include_vars *iv, const char *name, bool *ret, struct err *err)
{
	bool hit;
	*ret = true;
	if (iv->matching.n && !found_in(iv, iv->matching, name, ret, err))
		return false;
	for (size_t i = 0; *ret && i < val_len(iv->ignore); i++) {
		struct str end = val_text(val_at(iv->ignore, i), iv->r->a);
		if (!found_in(iv, val_get_str(val_strf(iv->r->a, "%.*s$", STR_FMT(end))), name, &hit, err))
			return false;
		*ret = !hit;
	}
	if (*ret && iv->ignore_unknown)
		*ret = has_extension(iv, name);
	return true;
}

static bool read_named(struct include_vars *iv, const char *dir, const char *name, struct err *err)
{
	const char *path = fs_join(iv->r->a, dir, name);
	bool wanted;
	if (!is_wanted(iv, name, &wanted, err))
		return false;
	if (!wanted)
		return true;
	if (has_extension(iv, name))
		return read_one(iv, path, err);
	struct buf b = {0};
	VAL_EACH (i, iv->extensions) {
		buf_adds(&b, i ? ", " : "");
		val_print(val_at(iv->extensions, i), &b);
	}
	err_set(err, ERR_USER, ORIGIN_NONE, "%s does not have a valid extension: %s", path, b.p ? b.p : "");
	buf_free(&b);
	return false;
}

/* Files of a directory before those below it; DEPTH is how many directories are looked into. */
static bool read_dir(struct include_vars *iv, const char *dir, struct err *err)
{
	size_t n;
	char **names = dir_names(iv->r->a, dir, &n);
	if (iv->depth && iv->dirs++ >= iv->depth)
		return true;
	for (size_t i = 0; i < n; i++)
		if (!fs_is_dir(fs_join(iv->r->a, dir, names[i])) && !read_named(iv, dir, names[i], err))
			return false;
	for (size_t i = 0; i < n; i++) {
		const char *below = fs_join(iv->r->a, dir, names[i]);
		if (fs_is_dir(below) && !read_dir(iv, below, err))
			return false;
	}
	return true;
}

/* A role's directories are in its vars/, others beside the file of the task. */
static const char *vars_root(struct item_run *r, struct str dir)
{
	const struct role *role = r->t->frame ? r->t->frame->role : NULL;
	const char *z = arena_strndup(r->a, dir.p, dir.n), *base = role ? role->path : "";
	struct str head = dir;
	if (*z == '/')
		return z;
	if (!role)
		base = r->t->task->file && *r->t->task->file->dir ? r->t->task->file->dir
		                                                  : r->t->e->playbook_dir;
	else if (!str_eqc(str_split(&head, '/'), "vars"))
		base = fs_join(r->a, base, "vars");
	return fs_join(r->a, base, z);
}

static bool include_dir(struct include_vars *iv, struct str dir, struct err *err)
{
	const char *path = vars_root(iv->r, dir);
	if (!fs_exists(path))
		return err_set(err, ERR_USER, ORIGIN_NONE, "%s directory does not exist", path);
	if (!fs_is_dir(path))
		return err_set(err, ERR_USER, ORIGIN_NONE, "%s is not a directory", path);
	return read_dir(iv, path, err);
}

static bool include_file(struct include_vars *iv, struct val *file, struct err *err)
{
	struct str f = str_trim(val_text(file, iv->r->a));
	const char *p = scope_find(&iv->r->s, "vars", f);
	if (p)
		return read_one(iv, p, err);
	err_set(err, ERR_USER, val_origin(file), "Could not find or access '%.*s' on the Ansible Controller.",
	        STR_FMT(f));
	if (f.n && f.p[0] != '/')
		err_hint(err, "Searched in: %s", scope_searched(&iv->r->s, "vars"));
	return false;
}

static struct val *word_list(struct arena *a, struct str words)
{
	struct val *l = val_list(a);
	while (words.p) {
		struct str w = str_trim(str_split(&words, ' '));
		if (w.n)
			val_push(l, val_str(a, w));
	}
	return l;
}

/* File-only and dir-only parameters do not mix, others there are none. */
static bool check_include_vars(const struct item_run *r, struct err *err)
{
	static const struct {
		const char *name;
		char kind;
	} known[] = {{"file", 'f'},
	             {"_raw_params", 'f'},
	             {"dir", 'd'},
	             {"depth", 'd'},
	             {"files_matching", 'd'},
	             {"ignore_files", 'd'},
	             {"extensions", 'd'},
	             {"ignore_unknown_extensions", 'd'},
	             {"name", 0},
	             {"hash_behaviour", 0}};
	bool file = false, dir = false;
	MAP_EACH (i, r->args) {
		const struct val *key = val_key_at(r->args, i);
		struct str name = val_text(key, r->a);
		size_t k = 0;
		while (k < sizeof(known) / sizeof(*known) && !str_eqc(name, known[k].name))
			k++;
		if (k == sizeof(known) / sizeof(*known))
			return err_set(err, ERR_USER, val_origin(key),
			               "%.*s is not a valid option in include_vars", STR_FMT(name));
		file = file || known[k].kind == 'f';
		dir = dir || known[k].kind == 'd';
	}
	return !file || !dir ||
	       err_set(err, ERR_USER, r->t->task->n.at,
	               "You are mixing file only and dir only arguments, these are incompatible");
}

/* hash_behaviour merge: dictionaries go into those there are. */
static bool merge_known(struct item_run *r, struct val *facts, struct err *err)
{
	MAP_EACH (i, facts) {
		struct val *key = val_key_at(facts, i), *v = val_value_at(facts, i), *old = NULL;
		if (val_is_str(key) && scope_raw(&r->s, val_get_str(key)) &&
		    !scope_var(&r->s, val_get_str(key), &old, err))
			return false;
		if (!old || val_is_null(old))
			continue;
		if (!val_is_map(old) || !val_is_map(v))
			return err_set(err, ERR_USER, val_origin(key),
			               "failed to combine variables, expected dicts but got a '%s' and a "
			               "'%s' for %.*s",
			               val_type_name(old), val_type_name(v), STR_FMT(val_get_str(key)));
		val_setk(facts, key, val_merge(r->a, old, v, true));
	}
	return true;
}

bool act_include_vars(struct item_run *r, struct err *err)
{
	struct include_vars iv = {.r = r, .vars = val_map(r->a), .files = val_list(r->a)};
	struct val *file = val_get(r->args, "file"), *dir = val_get(r->args, "dir"),
	           *name = val_get(r->args, "name"), *ignore = val_get(r->args, "ignore_files");
	if (!check_include_vars(r, err))
		return false;
	if (!file)
		file = val_get(r->args, "_raw_params");
	if (!file && !dir)
		return err_set(err, ERR_USER, r->t->task->n.at, "include_vars needs a file or a dir");
	iv.extensions = val_get(r->args, "extensions");
	if (iv.extensions && !val_is_list(iv.extensions) && !val_is_str(iv.extensions))
		return err_set(err, ERR_USER, val_origin(iv.extensions),
		               "Invalid type for \"extensions\" option, it must be a list");
	if (!iv.extensions || val_is_str(iv.extensions))
		iv.extensions =
		        word_list(r->a, iv.extensions ? val_get_str(iv.extensions) : STR("yaml yml json"));
	iv.ignore = ignore && val_is_list(ignore)
	                    ? ignore
	                    : word_list(r->a, ignore ? val_text(ignore, r->a) : STR(""));
	iv.depth = val_map_int(r->args, "depth", 0);
	iv.matching = val_map_str(r->args, "files_matching", "");
	iv.ignore_unknown = act_bool(r, "ignore_unknown_extensions", false);
	struct err why = {0};
	bool ok = dir ? include_dir(&iv, val_text(dir, r->a), &why) : include_file(&iv, file, &why);
	struct val *facts = ok ? iv.vars : val_map(r->a);
	if (name && val_len(name)) {
		struct val *own = facts;
		facts = val_map(r->a);
		val_sets(facts, val_text(name, r->a), own);
	}
	if (ok && strcmp(val_map_strz(r->args, "hash_behaviour", ""), "merge") == 0)
		ok = merge_known(r, facts, &why);
	r->result = act_result(r, false);
	val_set(r->result, "ansible_facts", facts);
	val_set(r->result, "ansible_included_var_files", iv.files);
	if (!ok) {
		val_set(r->result, "message",
		        val_strz(r->a, why.hint ? arena_printf(r->a, "%s\n%s", err_msg(&why), why.hint)
		                                : err_msg(&why)));
		err_move(err, &why);
	}
	return ok;
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
		/* As in Ansible the other spellings become variables of the host, too. */
		if (!str_eqc(k, "name") && !str_eqc(k, "hostname") && !str_eqc(k, "groups") &&
		    !str_eqc(k, "groupname"))
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
		changed = changed || !g || !group_has(g, h);
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
	r->result = act_result(r, !g || !group_has(g, r->t->hr->host));
	val_set(r->result, "add_group", val_str(r->a, buf_str(&b)));
	val_set(r->result, "parent_groups", list);
	buf_free(&b);
	return true;
}
