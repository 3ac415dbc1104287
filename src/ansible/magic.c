/* Variables Ansible provides. A magic variable is one row. */
#include "ansible/core.h"
#include "modules/spec.h"

static struct val *names_of(struct scope *s, struct host **v, size_t n,
                            bool (*keep)(struct engine *, struct host *))
{
	struct val *list = val_list(s->a);
	for (size_t i = 0; i < n; i++)
		if (!keep || keep(s->e, v[i]))
			val_push(list, val_strz(s->a, v[i]->name));
	return list;
}

static bool is_active(struct engine *e, struct host *h)
{
	return !e->removed[h->index];
}

static bool get_inventory_hostname(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->host ? val_strz(s->a, s->host->name) : NULL;
	return true;
}

static bool get_inventory_hostname_short(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	if (s->host) {
		struct str n = str_c(s->host->name);
		*ret = val_str(s->a, str_split(&n, '.'));
	}
	return true;
}

static bool get_groups(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	const struct inventory *inv = s->e->inv;
	struct val *map = val_map(s->a);
	for (size_t i = 0; i < inv->n_groups; i++) {
		struct host_set set = {.a = s->a};
		struct val *list = val_list(s->a);
		group_hosts(inv->groups[i], &set);
		for (size_t k = 0; k < set.n; k++)
			if (!set.v[k]->implicit || i > 0)
				val_push(list, val_strz(s->a, set.v[k]->name));
		val_set(map, inv->groups[i]->name, list);
	}
	*ret = map;
	return true;
}

static int name_cmp(const struct val *a, const struct val *b)
{
	return str_cmp(val_get_str(a), val_get_str(b));
}

static bool get_group_names(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	if (!s->host)
		return true;
	struct val *list = val_list(s->a);
	for (size_t i = 0; i < s->host->n_groups; i++) {
		if (strcmp(s->host->groups[i]->name, "all") == 0)
			continue;
		struct val *v = val_strz(s->a, s->host->groups[i]->name);
		size_t at = 0;
		while (at < val_len(list) && name_cmp(val_at(list, at), v) < 0)
			at++;
		val_insert(list, at, v);
	}
	*ret = list;
	return true;
}

/* ---- hostvars and vars -------------------------------------------------------------------------------- */

static struct scope *host_scope(struct scope *from, struct host *h, struct arena *a)
{
	struct scope *s = ARENA_NEW(a, struct scope);
	scope_init(s, from->e, h, NULL, NULL, a);
	s->host_only = true;
	return s;
}

static bool hostvars_host_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                              struct err *err)
{
	(void)ctx;
	(void)a;
	*ret = NULL;
	return !val_is_str(key) || scope_var(self, val_get_str(key), ret, err);
}

static struct val *scope_keys(void *self, struct arena *a)
{
	(void)a;
	return scope_names(self);
}

static struct val *scope_plain(void *self, struct arena *a)
{
	struct scope *s = self;
	struct val *map = val_map(a), *names = scope_names(s);
	VAL_EACH (i, names) {
		struct val *v = scope_raw(s, val_get_str(val_at(names, i)));
		if (v)
			val_setk(map, val_at(names, i), v);
	}
	return map;
}

static const struct val_class host_vars_class = {
        .name = "HostVarsVars", .get = hostvars_host_get, .keys = scope_keys, .plain = scope_plain};

static bool hostvars_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                         struct err *err)
{
	struct scope *from = self;
	(void)ctx;
	(void)err;
	*ret = NULL;
	struct host *h = val_is_str(key) ? inventory_host(from->e->inv, val_get_str(key)) : NULL;
	if (h)
		*ret = val_obj(a, &host_vars_class, host_scope(from, h, from->a));
	return true;
}

static struct val *hostvars_keys(void *self, struct arena *a)
{
	struct scope *from = self;
	struct val *list = val_list(a);
	for (size_t i = 0; i < from->e->inv->n_hosts; i++)
		if (!from->e->inv->hosts[i]->implicit)
			val_push(list, val_strz(a, from->e->inv->hosts[i]->name));
	return list;
}

static const struct val_class hostvars_class = {
        .name = "HostVars", .get = hostvars_get, .keys = hostvars_keys};

static bool get_hostvars(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->host_only ? NULL : val_obj(s->a, &hostvars_class, s);
	return true;
}

/* vars['x'] gives what was written, untemplated: Ansible's own surprise, kept. */
static bool vars_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                     struct err *err)
{
	struct scope *s = self;
	(void)ctx;
	(void)a;
	*ret = NULL;
	if (!val_is_str(key))
		return true;
	*ret = scope_raw(s, val_get_str(key));
	return *ret || scope_var(s, val_get_str(key), ret, err);
}

static const struct val_class vars_class = {
        .name = "dict", .get = vars_get, .keys = scope_keys, .plain = scope_plain};

static bool get_vars(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->host_only ? NULL : val_obj(s->a, &vars_class, s);
	return true;
}

/* ---- the play ----------------------------------------------------------------------------------------- */

/* NULL: none, or the variables are a host's own, which know no play. */
static struct play_run *play_of(const struct scope *s)
{
	return s->host_only ? NULL : s->e->pr;
}

static bool get_play_hosts(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	struct play_run *pr = play_of(s);
	*ret = pr ? names_of(s, pr->batch, pr->n_batch, is_active) : NULL;
	return true;
}

static bool get_active_hosts(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	struct play_run *pr = play_of(s);
	*ret = pr ? names_of(s, pr->named, pr->n_named, is_active) : NULL;
	return true;
}

static bool get_play_hosts_all(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	struct play_run *pr = play_of(s);
	*ret = pr ? names_of(s, pr->named, pr->n_named, NULL) : NULL;
	return true;
}

static bool get_play_name(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	struct play_run *pr = play_of(s);
	*ret = pr ? val_str(s->a, pr->play->name) : NULL;
	return true;
}

static bool get_playbook_dir(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->e->playbook_dir ? val_strz(s->a, s->e->playbook_dir) : NULL;
	return true;
}

static bool get_play_role_names(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	struct play_run *pr = play_of(s);
	*ret = pr ? val_list(s->a) : NULL;
	for (size_t i = 0; pr && i < pr->n_roles; i++)
		val_push(*ret, val_strz(s->a, pr->roles[i]->name));
	return true;
}

/* Names, each once, as a list. */
static struct val *unique(struct scope *s, struct val *names)
{
	struct val *list = val_list(s->a);
	MAP_EACH (i, names)
		val_push(list, val_key_at(names, i));
	return list;
}

static void add_dependencies(const struct role *r, struct val *names)
{
	for (size_t i = 0; i < r->n_deps; i++) {
		add_dependencies(r->deps[i], names);
		val_set(names, r->deps[i]->name, val_null());
	}
}

static bool get_dependent_role_names(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	struct play_run *pr = play_of(s);
	struct val *names = val_map(s->a);
	for (size_t i = 0; pr && i < pr->n_roles; i++)
		add_dependencies(pr->roles[i], names);
	*ret = pr ? unique(s, names) : NULL;
	return true;
}

static bool get_role_names(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	struct play_run *pr = play_of(s);
	struct val *names = val_map(s->a);
	for (size_t i = 0; pr && i < pr->n_roles; i++) {
		add_dependencies(pr->roles[i], names);
		val_set(names, pr->roles[i]->name, val_null());
	}
	*ret = pr ? unique(s, names) : NULL;
	return true;
}

static bool get_search_path(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->node ? scope_search_path(s, "") : NULL;
	return true;
}

static bool get_inventory_sources(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = val_list(s->a);
	for (size_t i = 0; i < s->e->inv->n_specs; i++)
		val_push(*ret, val_strz(s->a, s->e->inv->specs[i]));
	return true;
}

/* ---- the role ----------------------------------------------------------------------------------------- */

static const struct role *role_of(const struct scope *s)
{
	return s->frame && !s->host_only ? s->frame->role : NULL;
}

static bool get_full_role_name(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	const struct role *r = role_of(s);
	*ret = r ? val_strz(s->a, r->name) : NULL;
	return true;
}

static bool get_short_role_name(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	const struct role *r = role_of(s);
	*ret = r ? val_strz(s->a, r->short_name) : NULL;
	return true;
}

static bool get_role_path(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	const struct role *r = role_of(s);
	*ret = r ? val_strz(s->a, r->path) : NULL;
	return true;
}

static bool parents(struct scope *s, struct val **ret, bool paths)
{
	/* Those that included it; what depends on a role is no parent of it. */
	for (const struct role *r = role_of(s); r && r->parent; r = r->parent) {
		if (!r->from_include)
			continue;
		if (!*ret)
			*ret = val_list(s->a);
		val_push(*ret, val_strz(s->a, paths ? r->parent->path : r->parent->name));
	}
	return true;
}

static bool get_parent_role_names(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	return parents(s, ret, false);
}

static bool get_parent_role_paths(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	return parents(s, ret, true);
}

static bool get_collection_name(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	const struct role *r = role_of(s);
	*ret = !r ? NULL : r->collection ? val_strz(s->a, r->collection) : val_null();
	return true;
}

/* ---- the run ------------------------------------------------------------------------------------------ */

static bool get_omit(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = val_str(s->a, s->e->omit);
	return true;
}

static bool get_check_mode(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = val_bool(s->e->opts->check);
	return true;
}

static bool get_diff_mode(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = val_bool(s->e->opts->diff);
	return true;
}

static bool get_verbosity(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = val_int(s->a, s->e->opts->verbosity);
	return true;
}

static bool get_version(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->e->version;
	return true;
}

static bool get_run_tags(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	struct val *all = val_list(s->a);
	val_push(all, val_strz(s->a, "all"));
	*ret = s->e->opts->tags ? val_copy(s->a, s->e->opts->tags) : all;
	return true;
}

static bool get_skip_tags(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->e->opts->skip_tags ? val_copy(s->a, s->e->opts->skip_tags) : val_list(s->a);
	return true;
}

static bool get_limit(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->e->opts->limit ? val_strz(s->a, s->e->opts->limit) : NULL;
	return true;
}

static bool get_forks(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = val_int(s->a, 1000);
	return true;
}

static bool get_facts(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->host ? s->host->facts_ns : NULL;
	return true;
}

static bool get_local(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = s->host ? val_get(s->host->facts, "ansible_local") : NULL;
	return true;
}

static bool get_environment(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	if (s->node && s->node->kind == NODE_TASK && s->e->pr)
		*ret = kw_all(s->node, s->frame, &s->e->pr->play->n, KW_ENVIRONMENT, s->a);
	return true;
}

static bool get_failed_task(struct scope *s, struct val **ret, bool result)
{
	struct play_run *pr = play_of(s);
	for (size_t i = 0; pr && s->host && i < pr->n_hosts; i++)
		if (pr->hosts[i]->host == s->host)
			*ret = result ? pr->hosts[i]->failed_result : pr->hosts[i]->failed_task;
	return true;
}

static bool get_ansible_failed_task(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	return get_failed_task(s, ret, false);
}

static bool get_ansible_failed_result(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	return get_failed_task(s, ret, true);
}

/* What a role may ask of its connection although no variable says it. */
#define LINK_VAR(name)                                                             \
	static bool get_##name(struct scope *s, struct val **ret, struct err *err) \
	{                                                                          \
		return connection_var(s, #name, ret, err);                         \
	}
LINK_VAR(ansible_connection)
LINK_VAR(ansible_host)
LINK_VAR(ansible_ssh_host)
LINK_VAR(ansible_user)
LINK_VAR(ansible_ssh_user)
LINK_VAR(ansible_port)
LINK_VAR(ansible_ssh_port)
LINK_VAR(ansible_ssh_private_key_file)

static bool get_delegated_vars(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = NULL;
	if (!s->delegate)
		return true;
	*ret = val_map(s->a);
	val_set(*ret, s->delegate->name, val_obj(s->a, &host_vars_class, host_scope(s, s->delegate, s->a)));
	return true;
}

static bool get_managed(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = scope_raw(s, STR("ansible_managed")) ? NULL : val_strz(s->a, "Ansible managed");
	return true;
}

static bool get_python(struct scope *s, struct val **ret, struct err *err)
{
	(void)err;
	*ret = val_strz(s->a, "/usr/bin/python3");
	return true;
}

const struct magic_var magic_table[] = {
        {"inventory_hostname", get_inventory_hostname, "the host's name in the inventory"},
        {"inventory_hostname_short", get_inventory_hostname_short, "its part before the first dot"},
        {"groups", get_groups, "group names to their hosts"},
        {"group_names", get_group_names, "the groups the host is in"},
        {"hostvars", get_hostvars, "the variables of every host"},
        {"vars", get_vars, "all variables by name"},
        {"play_hosts", get_play_hosts, "active hosts of the batch"},
        {"ansible_play_batch", get_play_hosts, "active hosts of the batch"},
        {"ansible_play_hosts", get_active_hosts, "active hosts of the play"},
        {"ansible_play_hosts_all", get_play_hosts_all, "all hosts of the play"},
        {"ansible_play_name", get_play_name, "the play's name"},
        {"ansible_play_role_names", get_play_role_names, "the roles of the play"},
        {"role_names", get_play_role_names, "the roles of the play"},
        {"ansible_role_names", get_role_names, "the roles of the play and those they depend on"},
        {"ansible_dependent_role_names", get_dependent_role_names,
         "the roles that those of the play depend on"},
        {"ansible_inventory_sources", get_inventory_sources, "what the inventory was read from"},
        {"ansible_search_path", get_search_path, "where the task's files are looked for"},
        {"playbook_dir", get_playbook_dir, "the directory of the playbook"},
        {"role_name", get_short_role_name, "the role the task belongs to"},
        {"ansible_role_name", get_full_role_name, "the role the task belongs to"},
        {"role_path", get_role_path, "that role's directory"},
        {"ansible_parent_role_names", get_parent_role_names, "the roles that brought this one in"},
        {"ansible_parent_role_paths", get_parent_role_paths, "their directories"},
        {"ansible_collection_name", get_collection_name, "the collection of the role"},
        {"omit", get_omit, "as a parameter's value: leave the parameter out"},
        {"ansible_check_mode", get_check_mode, "whether this run changes nothing"},
        {"ansible_diff_mode", get_diff_mode, "whether differences are shown"},
        {"ansible_verbosity", get_verbosity, "how many -v"},
        {"ansible_version", get_version, "the version of ansible-core whose language this is"},
        {"ansible_run_tags", get_run_tags, "the tags asked for"},
        {"ansible_skip_tags", get_skip_tags, "the tags to be left out"},
        {"ansible_limit", get_limit, "the limit asked for"},
        {"ansible_forks", get_forks, "hosts worked on at once"},
        {"ansible_facts", get_facts, "the host's facts"},
        {"ansible_local", get_local, "facts the host itself defines"},
        {"environment", get_environment, "the task's environment as written"},
        {"ansible_failed_task", get_ansible_failed_task, "in a rescue: the task that failed"},
        {"ansible_failed_result", get_ansible_failed_result, "in a rescue: its result"},
        {"ansible_delegated_vars", get_delegated_vars, "whom the task delegates to, and its variables"},
        {"ansible_connection", get_ansible_connection, "how the host is reached"},
        {"ansible_host", get_ansible_host, "the host's address"},
        {"ansible_ssh_host", get_ansible_ssh_host, "the host's address"},
        {"ansible_user", get_ansible_user, "who logs in there"},
        {"ansible_ssh_user", get_ansible_ssh_user, "who logs in there"},
        {"ansible_port", get_ansible_port, "the port of its SSH service"},
        {"ansible_ssh_port", get_ansible_ssh_port, "the port of its SSH service"},
        {"ansible_ssh_private_key_file", get_ansible_ssh_private_key_file, "the key to log in with"},
        {"ansible_managed", get_managed, "a remark for generated files"},
        {"ansible_playbook_python", get_python, "there is no Python here; roles expect a path"},
        {NULL, NULL, NULL},
};
