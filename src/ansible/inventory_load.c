/* Where an inventory comes from: lists of hosts, files of two forms, programs, and directories of these. */
#include "ansible/inventory.h"
#include "ansible/inventory_plugins.h"
#include "ansible/ptrs.h"
#include "ansible/sealed.h"
#include "ansible/vars_files.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/source.h"
#include "yaml/yaml_load.h"
#include <stdlib.h>
#include <unistd.h>

static bool read_source(struct inventory *inv, const char *path, struct str *ret, uint32_t *ret_src,
                        bool *ret_sealed, struct err *err)
{
	struct arena *tmp = arena_new(NULL);
	bool ok = sealed_read(inv->vault, tmp, path, ret, ret_sealed, err);
	if (ok) {
		*ret_src = sources_add(inv->sources, path, *ret);
		*ret = sources_text(inv->sources, *ret_src);
	}
	arena_free(tmp);
	return ok;
}

static bool parse_yaml(struct inventory *inv, struct str text, uint32_t src, bool sealed, struct val **ret,
                       struct err *err)
{
	const struct yaml_opts opts = {.vault = sealed_value, .vault_ctx = inv->vault};
	if (!yaml_load(inv->a, text, src, &opts, ret, err))
		return false;
	if (sealed)
		*ret = sealed_vars(inv->a, *ret);
	return true;
}

bool inventory_read_yaml(struct inventory *inv, const char *path, struct val **ret, uint32_t *ret_src,
                         struct err *err)
{
	struct str text;
	bool sealed;
	return read_source(inv, path, &text, ret_src, &sealed, err) &&
	       parse_yaml(inv, text, *ret_src, sealed, ret, err);
}

bool inventory_add_hosts(struct inventory *inv, struct group *g, struct str text, struct origin at,
                         const struct val *vars, struct err *err)
{
	struct val *names = val_list(inv->a);
	int64_t port;
	if (!inventory_hosts_named(inv->a, text, at, names, &port, err))
		return false;
	VAL_EACH (i, names) {
		struct str name = val_get_str(val_at(names, i));
		bool known = inventory_host(inv, name) != NULL;
		struct host *h = inventory_add_host(inv, name);
		if (!known && port)
			val_set(h->vars, "ansible_port", val_int(inv->a, port));
		if (g)
			group_add_host(inv, g, h);
		for (size_t k = 0; vars && k < val_len(vars); k++)
			val_setk(h->vars, val_key_at(vars, k), val_value_at(vars, k));
	}
	return true;
}

/* ---- yaml ---------------------------------------------------------------------------------------------- */

static bool yaml_group(struct inventory *inv, const struct val *key, struct val *data, struct group **ret,
                       struct err *err);

static bool yaml_vars(struct inventory *inv, struct group *g, const struct val *m, struct err *err)
{
	(void)inv;
	(void)err;
	MAP_EACH (i, m)
		group_set_var(g, val_key_at(m, i), val_value_at(m, i));
	return true;
}

static bool yaml_children(struct inventory *inv, struct group *g, const struct val *m, struct err *err)
{
	MAP_EACH (i, m) {
		struct group *child;
		if (!yaml_group(inv, val_key_at(m, i), val_value_at(m, i), &child, err))
			return false;
		if (!group_add_child(inv, g, child))
			return err_set(err, ERR_USER, val_origin(m),
			               "group '%s' cannot be its own descendant", child->name);
	}
	return true;
}

static bool yaml_hosts(struct inventory *inv, struct group *g, const struct val *m, struct err *err)
{
	MAP_EACH (i, m) {
		const struct val *key = val_key_at(m, i), *vars = val_value_at(m, i);
		if (!val_is_null(vars) && !val_is_map(vars))
			return err_set(err, ERR_USER, val_origin(vars),
			               "the variables of a host must be a dictionary");
		if (!inventory_add_hosts(inv, g, val_text(key, inv->a), val_origin(key),
		                         val_is_map(vars) ? vars : NULL, err))
			return false;
	}
	return true;
}

static const struct {
	const char *name;
	bool (*read)(struct inventory *inv, struct group *g, const struct val *m, struct err *err);
} sections[] = {{"vars", yaml_vars}, {"children", yaml_children}, {"hosts", yaml_hosts}};

static bool yaml_section(struct inventory *inv, struct group *g, struct val *key, struct val *v,
                         struct err *err)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		if (!val_is_str(key) || !str_eqc(val_get_str(key), sections[i].name) || val_is_null(v))
			continue;
		struct val *m = v;
		if (val_is_str(v)) {
			m = val_map(inv->a);
			val_setk(m, v, val_null());
		}
		if (!val_is_map(m))
			return err_set(err, ERR_USER, val_origin(v),
			               "Invalid \"%s\" entry for \"%s\" group, requires a dictionary, found "
			               "\"%s\" instead.",
			               sections[i].name, g->name, val_type_name(v));
		return sections[i].read(inv, g, m, err);
	}
	return true; /* Ansible skips what it does not know */
}

static bool yaml_group(struct inventory *inv, const struct val *key, struct val *data, struct group **ret,
                       struct err *err)
{
	if (!val_is_str(key) || !val_len(key))
		return err_set(err, ERR_USER, val_origin(key), "a group's name must be a string");
	struct group *g = *ret = inventory_add_group(inv, val_get_str(key));
	if (val_is_null(data))
		return true;
	if (!val_is_map(data))
		return err_set(err, ERR_USER, val_origin(data), "group '%s' must be a dictionary", g->name);
	MAP_EACH (i, data)
		if (!yaml_section(inv, g, val_key_at(data, i), val_value_at(data, i), err))
			return false;
	return true;
}

bool inventory_parse_yaml(struct inventory *inv, const struct val *doc, struct err *err)
{
	if (!val_is_map(doc))
		return err_set(err, ERR_USER, val_origin(doc), "an inventory must be a dictionary of groups");
	const struct val *plugin = val_get(doc, "plugin");
	if (plugin && val_is_str(plugin))
		return inventory_plugin(inv, doc, err);
	MAP_EACH (i, doc) {
		struct group *g;
		if (!yaml_group(inv, val_key_at(doc, i), val_value_at(doc, i), &g, err))
			return false;
	}
	return true;
}

/* ---- programs ------------------------------------------------------------------------------------------ */

static bool run_program(struct inventory *inv, const char *const *argv, struct val **ret, struct err *err)
{
	const struct proc_opts o = {.argv = argv};
	struct proc_result r;
	bool ok = proc_run(&o, &r, err);
	if (ok && r.status)
		ok = err_set(err, ERR_USER, ORIGIN_NONE,
		             "Inventory script (%s) had an execution error: status %d %.*s", argv[0],
		             r.status, (int)(r.err.n > 2000 ? 2000 : r.err.n), r.err.n ? r.err.p : "");
	struct str text = ok ? str_trim(str_dup(inv->a, buf_str(&r.out))) : STR("");
	*ret = val_map(inv->a);
	if (ok && text.n && !json_parse(inv->a, text, 0, ret, err))
		ok = err_wrap(err, ORIGIN_NONE, "failed to parse executable inventory script results from %s",
		              argv[0]);
	if (ok && !val_is_map(*ret))
		ok = err_set(
		        err, ERR_USER, ORIGIN_NONE,
		        "failed to parse executable inventory script results from %s: needs to be a json "
		        "dict",
		        argv[0]);
	proc_result_free(&r);
	return ok;
}

static bool script_group(struct inventory *inv, struct str name, struct val *data, struct val *named,
                         struct err *err)
{
	struct group *g = inventory_add_group(inv, name);
	struct val *hosts = data, *vars = NULL, *children = NULL;
	if (val_is_map(data)) {
		hosts = val_get(data, "hosts");
		vars = val_get(data, "vars");
		children = val_get(data, "children");
		if (!hosts && !vars && !children) {
			/* the simplest form: a host of the group's name, these are its variables */
			hosts = val_list(inv->a);
			val_push(hosts, val_str(inv->a, name));
			vars = data;
		}
	}
	if ((hosts && !val_is_list(hosts)) || (vars && !val_is_map(vars)) ||
	    (children && !val_is_list(children)))
		return err_set(err, ERR_USER, ORIGIN_NONE, "You defined a group '%s' with bad data", g->name);
	for (size_t i = 0; hosts && i < val_len(hosts); i++) {
		struct host *h = inventory_add_host(inv, val_text(val_at(hosts, i), inv->a));
		group_add_host(inv, g, h);
		val_set(named, h->name, val_null());
	}
	for (size_t i = 0; vars && i < val_len(vars); i++)
		group_set_var(g, val_key_at(vars, i), val_value_at(vars, i));
	for (size_t i = 0; children && i < val_len(children); i++) {
		struct str child = val_text(val_at(children, i), inv->a);
		if (!group_add_child(inv, g, inventory_add_group(inv, child)))
			return err_set(err, ERR_USER, ORIGIN_NONE,
			               "group '%.*s' cannot be its own descendant", STR_FMT(child));
	}
	return true;
}

bool inventory_run_script(struct inventory *inv, const char *path, struct err *err)
{
	const char *list[] = {path, "--list", NULL};
	struct val *doc, *named = val_map(inv->a);
	if (!run_program(inv, list, &doc, err))
		return false;
	MAP_EACH (i, doc) {
		struct str name = val_text(val_key_at(doc, i), inv->a);
		if (!str_eqc(name, "_meta") && !script_group(inv, name, val_value_at(doc, i), named, err))
			return false;
	}
	const struct val *meta = val_get(doc, "_meta");
	const struct val *hostvars = meta && val_is_map(meta) ? val_get(meta, "hostvars") : NULL;
	MAP_EACH (i, named) {
		const char *host = val_get_strz(val_key_at(named, i));
		const char *one[] = {path, "--host", host, NULL};
		struct val *own = hostvars && val_is_map(hostvars) ? val_get(hostvars, host) : NULL;
		if (!hostvars && !run_program(inv, one, &own, err))
			return false;
		for (size_t k = 0; own && val_is_map(own) && k < val_len(own); k++)
			val_setk(inventory_host(inv, str_c(host))->vars, val_key_at(own, k),
			         val_value_at(own, k));
	}
	return true;
}

/* ---- sources ------------------------------------------------------------------------------------------- */

/* A dictionary of dictionaries; a line of the ini form can be YAML, too, by accident. */
static bool looks_like_groups(const struct val *doc)
{
	if (!val_is_map(doc) || !val_len(doc))
		return false;
	MAP_EACH (i, doc)
		if (!val_is_map(val_value_at(doc, i)) && !val_is_null(val_value_at(doc, i)))
			return false;
	return true;
}

static bool is_program(const char *path, struct str text)
{
	return str_starts(text, "#!") || access(path, X_OK) == 0;
}

static bool load_file(struct inventory *inv, const char *path, struct err *err)
{
	const char *name = fs_basename(path), *dot = strrchr(name, '.');
	struct str text;
	uint32_t src;
	bool sealed;
	struct val *doc;
	inv->source = arena_strdup(inv->a, path);
	if (!read_source(inv, path, &text, &src, &sealed, err))
		return false;
	if (is_program(path, text)) {
		if (inventory_run_script(inv, path, err))
			return true;
		/* Executable by the whim of a file system: what it holds decides. */
		if (str_starts(text, "#!"))
			return false;
		err_clear(err);
	}
	bool yaml =
	        dot && (strcmp(dot, ".yml") == 0 || strcmp(dot, ".yaml") == 0 || strcmp(dot, ".json") == 0);
	if (yaml)
		return parse_yaml(inv, text, src, sealed, &doc, err) &&
		       (val_is_null(doc) || inventory_parse_yaml(inv, doc, err));
	if (!dot || dot == name) {
		struct err why = {0};
		bool read = parse_yaml(inv, text, src, sealed, &doc, &why);
		err_clear(&why);
		if (read && looks_like_groups(doc))
			return inventory_parse_yaml(inv, doc, err);
	}
	return inventory_parse_ini(inv, text, src, err);
}

/* What lies beside inventories and is none. */
static bool is_ignored(const char *name)
{
	static const char *const ends[] = {".pyc", ".pyo", ".swp", ".bak",  "~",    ".rpm",
	                                   ".md",  ".txt", ".rst", ".orig", ".cfg", ".retry"};
	static const char *const names[] = {"host_vars", "group_vars", "vars_plugins"};
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (str_ends(str_c(name), ends[i]))
			return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return name[0] == '.';
}

static bool load_place(struct inventory *inv, const char *path, struct err *err)
{
	if (!fs_is_dir(path))
		return load_file(inv, path, err);
	size_t n;
	char **names = dir_names(inv->a, path, &n);
	for (size_t i = 0; i < n; i++)
		if (!is_ignored(names[i]) && !load_place(inv, fs_join(inv->a, path, names[i]), err))
			return false;
	return true;
}

static void load_list(struct inventory *inv, const char *spec)
{
	struct str rest = str_c(spec);
	struct group *ungrouped = inventory_add_group(inv, STR("ungrouped"));
	inv->source = arena_strdup(inv->a, spec);
	while (rest.p) {
		struct str part = str_trim(str_split(&rest, ','));
		struct str name = part;
		int64_t port = 0;
		if (!part.n)
			continue;
		/* A range is none here: h[1:3] is a name. */
		inventory_address(part, &name, &port);
		bool known = inventory_host(inv, name) != NULL;
		struct host *h = inventory_add_host(inv, name);
		if (!known && port)
			val_set(h->vars, "ansible_port", val_int(inv->a, port));
		group_add_host(inv, ungrouped, h);
	}
}

/* Links stay: what is beside the name counts, not what is beside the file it leads to. */
static const char *absolute(struct arena *a, const char *path)
{
	char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	struct buf b = {0};
	struct str rest = str_c(cwd ? arena_printf(a, "%s/%s", cwd, path) : path);
	free(cwd);
	while (rest.p) {
		struct str part = str_split(&rest, '/');
		if (str_eqc(part, "..")) {
			const char *slash = b.n ? memrchr(b.p, '/', b.n) : NULL;
			b.n = slash ? (size_t)(slash - b.p) : 0;
		} else if (part.n && !str_eqc(part, ".")) {
			buf_addc(&b, '/');
			buf_addstr(&b, part);
		}
	}
	const char *ret = b.n ? buf_take(&b, a).p : "/";
	buf_free(&b);
	return ret;
}

bool inventory_load(struct inventory *inv, const char *spec, struct err *err)
{
	bool list = strchr(spec, ',') && !fs_exists(spec), ok;
	if (!list)
		spec = absolute(inv->a, spec);
	PTRS_PUSH(inv->a, inv->specs, inv->n_specs, arena_strdup(inv->a, spec));
	if (list) {
		load_list(inv, spec);
		inv->source = NULL;
		return true;
	}
	ok = load_place(inv, spec, err);
	inv->source = NULL;
	if (!ok)
		return false;
	return inventory_vars_dir(inv, fs_is_dir(spec) ? spec : fs_dirname(inv->a, spec), err);
}

bool inventory_refresh(struct inventory *inv, struct err *err)
{
	const char **specs = inv->specs;
	size_t n = inv->n_specs;
	inv->specs = NULL;
	inventory_clear(inv);
	for (size_t i = 0; i < n; i++)
		if (!inventory_load(inv, specs[i], err))
			return false;
	inventory_settle(inv);
	return inventory_read_files(inv, err);
}
