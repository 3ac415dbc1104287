/* Inventories that say "plugin:": hosts, groups and variables made of templates. */
#include "ansible/core.h"
#include "ansible/inventory.h"
#include "ansible/inventory_plugins.h"
#include "base/fs.h"
#include <ctype.h>

struct maker {
	struct inventory *inv;
	struct engine *e;
	struct arena *a;
	const struct val *doc;
	struct val *vars;  /* what templates see, and nothing else */
	struct host *host; /* "constructed": whose variables those are */
	bool strict;       /* else what cannot be computed is passed over */
	bool files;        /* group_vars/ and host_vars/ beside the inventories count, too */
};

static bool fill(struct maker *m, const struct val *text, const char *form, struct val **ret, struct err *err)
{
	struct scope s;
	scope_init(&s, m->e, NULL, NULL, NULL, m->a);
	s.locals = m->vars;
	s.closed = true;
	return scope_template(&s, val_strf(m->a, form, val_get_strz(val_str(m->a, val_text(text, m->a)))),
	                      ret, err);
}

static bool fill_text(struct maker *m, const struct val *text, struct str *ret, struct err *err)
{
	struct val *v;
	if (!fill(m, text, "%s", &v, err))
		return false;
	*ret = val_text(v, m->a);
	return true;
}

/* A map or list that may be missing; of another kind it is as good as missing. */
static const struct val *section(const struct val *of, const char *name, bool map)
{
	const struct val *v = val_get(of, name);
	return v && (map ? val_is_map(v) : val_is_list(v)) ? v : NULL;
}

/* ---- constructed --------------------------------------------------------------------------------------- */

/* What could not be computed: the end when STRICT, else forgotten. */
static bool passed_over(const struct maker *m, struct err *err, const struct val *at, const char *what)
{
	if (m->strict)
		return err_wrap(err, val_origin(at), "Could not %s for host %s", what, m->host->name);
	err_clear(err);
	return true;
}

static bool see_host(struct maker *m, struct host *h, struct err *err)
{
	static const char *const names[] = {"inventory_hostname", "inventory_hostname_short", "group_names"};
	struct scope s;
	m->host = h;
	h->merged = NULL;
	m->vars = val_shallow(m->a, m->files ? host_inventory_vars(m->inv, h) : host_own_vars(m->inv, h));
	scope_init(&s, m->e, h, NULL, NULL, m->a);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct val *v;
		if (!scope_var(&s, str_c(names[i]), &v, err))
			return false;
		val_set(m->vars, names[i], v);
	}
	return true;
}

static bool compose(struct maker *m, struct err *err)
{
	const struct val *all = section(m->doc, "compose", true);
	for (size_t i = 0; all && i < val_len(all); i++) {
		struct val *key = val_key_at(all, i), *v;
		if (fill(m, val_value_at(all, i), "{{ %s }}", &v, err))
			val_setk(m->host->vars, key, v);
		else if (!passed_over(m, err, val_value_at(all, i),
		                      arena_printf(m->a, "set %s", val_text(key, m->a).p)))
			return false;
	}
	return true;
}

/* NAME with _ for all that a variable's name cannot have. */
static struct group *safe_group(struct maker *m, struct str name)
{
	struct buf b = {0};
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		buf_addc(&b, c >= 0x80 || c == '_' || (isalnum(c) && (i || !isdigit(c))) ? (char)c : '_');
	}
	struct group *g = inventory_add_group(m->inv, buf_str(&b));
	buf_free(&b);
	return g;
}

static bool conditional_groups(struct maker *m, struct err *err)
{
	const struct val *all = section(m->doc, "groups", true);
	for (size_t i = 0; all && i < val_len(all); i++) {
		struct str name = val_text(val_key_at(all, i), m->a);
		struct val *v;
		if (!fill(m, val_value_at(all, i), "{%% if %s %%}1{%% endif %%}", &v, err)) {
			if (!passed_over(m, err, val_value_at(all, i),
			                 arena_printf(m->a, "decide on group %s", name.p)))
				return false;
		} else if (val_len(v))
			group_add_host(m->inv, safe_group(m, name), m->host);
	}
	return true;
}

static bool is_empty_text(const struct val *v)
{
	return val_is_str(v) && !val_len(v);
}

/* The names KEY, computed, stands for. */
static bool key_names(struct maker *m, const struct val *keyed, struct val *key, const char *sep,
                      struct val **ret, struct err *err)
{
	struct val *dflt = val_get(keyed, "default_value"), *names = *ret = val_list(m->a);
	if (val_is_list(key)) {
		VAL_EACH (i, key)
			val_push(names, is_empty_text(val_at(key, i)) && dflt ? dflt : val_at(key, i));
		return true;
	}
	if (val_is_str(key)) {
		val_push(names, val_len(key) ? key : dflt);
		return true;
	}
	if (!val_is_map(key))
		return err_set(err, ERR_USER, val_origin(keyed),
		               "Invalid group name format, expected a string or a list of them or "
		               "dictionary, got: %s",
		               val_type_name(key));
	MAP_EACH (i, key) {
		struct val *name = val_key_at(key, i), *v = val_value_at(key, i);
		bool bare = is_empty_text(v) && !dflt && !val_map_bool(keyed, "trailing_separator", true);
		if (is_empty_text(v) && dflt)
			v = dflt;
		val_push(names,
		         bare ? name
		              : val_strf(m->a, "%s%s%s", val_text(name, m->a).p, sep, val_text(v, m->a).p));
	}
	return true;
}

static bool keyed_group(struct maker *m, const struct val *keyed, struct err *err)
{
	struct val *key, *names, *parent = val_get(keyed, "parent_group");
	const char *sep = val_map_strz(keyed, "separator", "_"), *prefix = val_map_strz(keyed, "prefix", "");
	struct group *above = NULL;
	struct str name;
	if (val_get(keyed, "default_value") && val_get(keyed, "trailing_separator"))
		return err_set(err, ERR_USER, val_origin(keyed),
		               "parameters are mutually exclusive for keyed groups: "
		               "default_value|trailing_separator");
	const struct val *what = val_get(keyed, "key") ? val_get(keyed, "key") : val_null();
	if (!fill(m, what, "{{ %s }}", &key, err))
		return passed_over(m, err, keyed, "generate group");
	if (!val_truthy(key) && !(is_empty_text(key) && val_get(keyed, "default_value"))) {
		if (!m->strict || val_is_list(key) || val_is_map(key))
			return true;
		return err_set(err, ERR_USER, val_origin(keyed),
		               "No key or key resulted empty for %s in host %s, invalid entry",
		               val_text(what, m->a).p, m->host->name);
	}
	if (parent && val_truthy(parent)) {
		if (!fill_text(m, parent, &name, err))
			return passed_over(m, err, keyed, "generate parent group");
		above = safe_group(m, name);
	}
	if (!key_names(m, keyed, key, sep, &names, err))
		return false;
	if (!*prefix && !val_map_bool(m->doc, "leading_separator", true))
		sep = "";
	VAL_EACH (i, names) {
		struct group *g = safe_group(m, str_c(arena_printf(m->a, "%s%s%s", prefix, sep,
		                                                   val_text(val_at(names, i), m->a).p)));
		group_add_host(m->inv, g, m->host);
		if (above)
			group_add_child(m->inv, above, g);
	}
	return true;
}

static bool constructed(struct maker *m, struct err *err)
{
	const struct val *keyed = section(m->doc, "keyed_groups", false);
	m->strict = val_map_bool(m->doc, "strict", false);
	m->files = val_map_bool(m->doc, "use_vars_plugins", false);
	if (m->files && (!inventory_vars_dir(m->inv, fs_dirname(m->a, m->inv->source), err) ||
	                 !inventory_read_files(m->inv, err)))
		return false;
	for (size_t i = 0; i < m->inv->n_hosts; i++) {
		struct host *h = m->inv->hosts[i];
		if (h->implicit)
			continue;
		if (!see_host(m, h, err) || !compose(m, err) || !see_host(m, h, err) ||
		    !conditional_groups(m, err))
			return false;
		for (size_t k = 0; keyed && k < val_len(keyed); k++) {
			if (!val_is_map(val_at(keyed, k)))
				return err_set(err, ERR_USER, val_origin(keyed),
				               "Invalid keyed group entry, it must be a dictionary");
			if (!keyed_group(m, val_at(keyed, k), err))
				return false;
		}
	}
	return true;
}

/* ---- generator ----------------------------------------------------------------------------------------- */

static bool named(struct maker *m, const struct val *of, const char *what, struct str *ret, struct err *err)
{
	const struct val *name = val_is_map(of) ? val_get(of, "name") : NULL;
	if (!name)
		return err_set(err, ERR_USER, val_origin(of), "%s has no name", what);
	return fill_text(m, name, ret, err);
}

static bool add_parents(struct maker *m, const struct val *of, struct host *h, struct group *g,
                        struct err *err)
{
	const struct val *parents = section(of, "parents", false);
	for (size_t i = 0; parents && i < val_len(parents); i++) {
		const struct val *p = val_at(parents, i);
		struct str name, text;
		if (!named(m, p, "a parent", &name, err))
			return false;
		struct group *above = inventory_add_group(m->inv, name);
		const struct val *vars = section(p, "vars", true);
		for (size_t k = 0; vars && k < val_len(vars); k++) {
			if (!fill_text(m, val_value_at(vars, k), &text, err))
				return false;
			group_set_var(above, val_key_at(vars, k), val_str(m->a, text));
		}
		if (h)
			group_add_host(m->inv, above, h);
		else if (!group_add_child(m->inv, above, g))
			return err_set(err, ERR_USER, val_origin(p),
			               "group '%s' cannot be its own descendant", g->name);
		if (!add_parents(m, p, NULL, above, err))
			return false;
	}
	return true;
}

/* A host for each choice of one value per layer, the last layer turning fastest. */
static bool generate(struct maker *m, const struct val *layers, size_t at, struct err *err)
{
	struct str name;
	const struct val *hosts = val_get(m->doc, "hosts");
	if (at == val_len(layers)) {
		if (!named(m, hosts, "hosts", &name, err))
			return false;
		return add_parents(m, hosts, inventory_add_host(m->inv, name), NULL, err);
	}
	const struct val *values = val_value_at(layers, at);
	if (!val_is_list(values))
		return err_set(err, ERR_USER, val_origin(values), "a layer is a list of values");
	VAL_EACH (i, values) {
		val_setk(m->vars, val_key_at(layers, at), val_at(values, i));
		if (!generate(m, layers, at + 1, err))
			return false;
	}
	return true;
}

static bool generator(struct maker *m, struct err *err)
{
	const struct val *layers = section(m->doc, "layers", true);
	m->vars = val_map(m->a);
	if (!layers || !section(m->doc, "hosts", true))
		return err_set(err, ERR_USER, val_origin(m->doc),
		               "the generator needs the dictionaries layers and hosts");
	return generate(m, layers, 0, err);
}

/* ---- which ----------------------------------------------------------------------------------------------
 */

static const struct {
	const char *name;
	bool (*run)(struct maker *m, struct err *err);
} plugins[] = {{"constructed", constructed}, {"generator", generator}};

bool inventory_plugin(struct inventory *inv, const struct val *doc, struct err *err)
{
	const struct val *plugin = val_get(doc, "plugin");
	struct str name = val_get_str(plugin);
	if (str_starts(name, "ansible.builtin."))
		name = str_from(name, strlen("ansible.builtin."));
	for (size_t i = 0; i < sizeof(plugins) / sizeof(*plugins); i++) {
		if (!str_eqc(name, plugins[i].name))
			continue;
		struct engine_opts *o = ARENA_NEW(inv->a, struct engine_opts);
		*o = (struct engine_opts){.sources = inv->sources,
		                          .inventory = inv,
		                          .vault = inv->vault,
		                          .merge_hashes = inv->merge_hashes};
		struct maker m = {.inv = inv, .e = engine_new(inv->a, o), .a = inv->a, .doc = doc};
		return plugins[i].run(&m, err);
	}
	return err_set(err, ERR_USER, val_origin(plugin),
	               "this file asks for the inventory plugin %s; known are constructed and generator",
	               val_get_strz(plugin));
}
