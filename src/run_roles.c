/*
 * The roles over the machines: inventory, variables, links.
 */
#include "run.h"

#include "agent/proto.h"
#include "ansible/engine.h"
#include "ansible/inventory.h"
#include "base/json.h"
#include "base/log.h"
#include "net/loop.h"
#include "ssh/link.h"

#include <stdlib.h>

/* The image keeps the shipped roles at its root; a checkout beside the program's folder. */
static const char *const shipped_roles[] = {"/roles", "/usr/share/nante/roles"};

/* ---- inventory ---- */

static void set(struct run *r, struct val *vars, const char *name, const char *value)
{
	val_set(vars, name, val_strz(r->a, value));
}

/* Group names are Python identifiers to Ansible. */
static const char *group_name(struct run *r, const char *app)
{
	char *z = arena_strdup(r->a, app);

	for (char *q = z; *q; q++) {
		if (*q == '-')
			*q = '_';
	}
	return z;
}

static struct val *machine_list(struct run *r)
{
	struct val *l = val_list(r->a);

	for (size_t i = 0; i < r->model.n; i++) {
		const struct machine *m = &r->model.machines[i];
		struct val *v = val_map(r->a);

		set(r, v, "key", m->key);
		set(r, v, "name", m->name);
		set(r, v, "ip_address", m->address ? m->address : "");
		val_push(l, v);
	}
	return l;
}

/* As the site playbook of today's chain sets them for every role. */
static void app_vars(struct run *r, struct val *vars)
{
	set(r, vars, "app_name", r->model.app);
	set(r, vars, "environment_name", r->model.environment);
	set(r, vars, "vlan_tag", inputs_get(r->in, "vlan_tag"));
	if (r->model.net.subnet)
		set(r, vars, "nante_subnet", r->model.net.subnet);
	val_set(vars, "nante_machines", machine_list(r));
}

static void add_host(struct run *r, struct group *g, const char *name, const char *key, const char *address)
{
	struct host *h = inventory_add_host(r->inventory, str_c(name));

	group_add_host(r->inventory, g, h);
	set(r, h->vars, "ansible_host", address);
	set(r, h->vars, "ansible_user", inputs_get(r->in, "ssh_user"));
	set(r, h->vars, "machine_key", key);
}

/* Machines that leave are hosts only while they are taken out: to every other play they are gone. */
static void add_leaving(struct run *r)
{
	struct group *g = inventory_add_group(r->inventory, STR(RUN_LEAVING));

	for (size_t i = 0; i < r->plan.n; i++) {
		const struct plan_item *it = &r->plan.items[i];

		if (it->action == PLAN_LEAVE)
			add_host(r, g, it->have->name, "", plan_address(r->a, it->have));
	}
}

static void make_inventory(struct run *r, bool leaving)
{
	r->inventory = inventory_new(r->a, r->ss);
	struct group *all = inventory_add_group(r->inventory, STR("all"));
	struct group *app = inventory_add_group(r->inventory, str_c(group_name(r, r->model.app)));

	group_add_child(r->inventory, all, app);
	app_vars(r, all->vars);
	for (size_t i = 0; i < r->model.n; i++) {
		const struct machine *m = &r->model.machines[i];
		add_host(r, app, m->name, m->key, m->address ? m->address : "");
	}
	if (leaving)
		add_leaving(r);
	inventory_settle(r->inventory);
}

/* ---- links ---- */

static const struct pve_machine *machine_of(const struct run *r, const char *name)
{
	for (size_t i = 0; i < r->n_machines; i++) {
		const struct plan_item *it = r->machines[i].item;

		if (strcmp(it->want ? it->want->name : it->have->name, name) == 0)
			return &r->machines[i];
	}
	return NULL;
}

static const char *const *host_keys(struct run *r, const struct pve_machine *m)
{
	size_t n = m ? val_len(m->host_keys) : 0;

	if (n == 0)
		return NULL;
	const char **keys = arena_array(r->a, n + 1, sizeof(*keys));

	for (size_t i = 0; i < n; i++)
		keys[i] = val_get_strz(val_at(m->host_keys, i));
	return keys;
}

/* "[user@]host[:port]" */
static const struct ssh_target *jump_host(struct run *r, const struct ssh_target *like)
{
	struct str s = str_trim(str_c(inputs_get(r->in, "ssh_jump_host"))), rest = s;
	const char *at = s.n ? memchr(s.p, '@', s.n) : NULL;
	int64_t port = 0;

	if (!s.n)
		return NULL;
	struct ssh_target *t = ARENA_NEW(r->a, struct ssh_target);

	*t = *like;
	if (at) {
		struct str user = str_split(&rest, '@');

		t->user = str_dup(r->a, user).p;
	}
	t->host = str_dup(r->a, str_split(&rest, ':')).p;
	t->name = t->host;
	t->host_keys = NULL;
	t->port = rest.p && str_int(rest, &port) ? (int)port : 22;
	return t;
}

static struct val *link_var(void *ctx, const char *name)
{
	return val_get(ctx, name);
}

/* The roles' own connection variables count; what the inputs say fills the rest. */
static struct link *open_link(void *ctx, const struct val *params, struct err *err)
{
	struct run *r = ctx;
	struct ssh_target *t = ARENA_NEW(r->a, struct ssh_target);
	const char *name = val_map_strz(params, "name", ""), *key = run_secret(r, "SSH_PRIVATE_KEY");

	if (strcmp(val_map_strz(params, "connection", "ssh"), "local") == 0)
		return local_link_new(r->links, NULL);
	if (!ssh_target_from_vars(r->a, name, link_var, (void *)params, t, err))
		return NULL;
	t->port = t->port ? t->port : (int)inputs_int(r->in, "ssh_port");
	t->key = str_c(key ? key : "");
	t->passphrase = run_secret(r, "SSH_KEY_PASSPHRASE");
	t->no_agent = true;
	t->known_hosts = str_c(inputs_get(r->in, "known_hosts"));
	t->no_host_key_check = false;
	t->jump = jump_host(r, t);
	t->host_keys = host_keys(r, machine_of(r, name));
	/* A machine that has just been made may take a moment to listen. */
	t->wait_ms = machine_of(r, name) && machine_of(r, name)->changed ? 30000 : 0;
	return ssh_link_new(r->links, t);
}

static void on_link_event(void *ctx, const char *host, const char *text)
{
	(void)ctx;
	log_line(LOG_VERBOSE, "        %s: %s", host, text);
}

/* ---- the engine ---- */

static const char *const *role_paths(struct run *r)
{
	struct str rest = str_c(inputs_get(r->in, "roles_path"));
	const char *workspace = run_secret(r, "GITHUB_WORKSPACE"), *own = getenv("NANTE_ROLES");
	const char **v = arena_array(r->a, rest.n + 8, sizeof(*v));
	size_t n = 0;

	while (rest.p) {
		struct str dir = str_trim(str_split(&rest, ':'));

		if (!dir.n)
			continue;
		v[n++] = dir.p[0] == '/' || !workspace
		                 ? str_dup(r->a, dir).p
		                 : arena_printf(r->a, "%s/%.*s", workspace, STR_FMT(dir));
	}
	if (own)
		v[n++] = own;
	for (size_t i = 0; i < sizeof(shipped_roles) / sizeof(*shipped_roles); i++)
		v[n++] = shipped_roles[i];
	v[n] = NULL;
	return v;
}

/* A JSON object, or NAME=VALUE words. */
static bool extra_vars(struct run *r, struct val **ret, struct err *err)
{
	struct str text = str_trim(str_c(inputs_get(r->in, "ansible_extra_vars"))), rest = text;
	struct val *v = val_map(r->a);

	*ret = v;
	if (text.n == 0)
		return true;
	if (text.p[0] == '{') {
		if (!json_parse(r->a, text, inputs_origin(r->in, "ansible_extra_vars").src, ret, err))
			return err_wrap(err, ORIGIN_NONE, "input ansible_extra_vars");
		return true;
	}
	while (rest.p) {
		struct str word = str_trim(str_split(&rest, ' ')), name = str_split(&word, '=');

		if (name.n == 0)
			continue;
		if (!word.p)
			return err_set(err, ERR_USER, inputs_origin(r->in, "ansible_extra_vars"),
			               "input ansible_extra_vars: '%.*s' is no NAME=VALUE", STR_FMT(name));
		val_sets(v, name, val_str(r->a, word));
	}
	return true;
}

bool run_engine(struct run *r, bool leaving, struct err *err)
{
	struct engine_opts *o = ARENA_NEW(r->a, struct engine_opts);
	struct ssh_links_opts links = {.loop = r->loop, .event = on_link_event, .ctx = r};
	struct link_pump *pump = ARENA_NEW(r->a, struct link_pump);
	struct val *extra;

	if (!extra_vars(r, &extra, err))
		return false;
	if (!r->links && !(r->links = ssh_links_new(&links, err)))
		return false;
	*pump = links_pump(r->links);
	make_inventory(r, leaving);
	if (!r->progress)
		r->progress = progress_new(r);
	*o = (struct engine_opts){
	        .sources = r->ss,
	        .inventory = r->inventory,
	        .verbosity = log_on(LOG_VERBOSE) ? 1 : 0,
	        .extra_vars = extra,
	        .roles_path = role_paths(r),
	        .env = r->env,
	        .out = &progress_output,
	        .out_ctx = r->progress,
	        .open = open_link,
	        .open_ctx = r,
	        .pump = pump,
	};
	r->engine = engine_new(r->a, o);
	return true;
}

/* ---- running ---- */

/* The first failures, each with its place; the rest is in the log above. */
#define FAILURES_SHOWN 10

bool run_failures(struct run *r, struct errs *errs)
{
	struct val *all = engine_failures(r->engine);

	VAL_EACH (i, all) {
		const struct val *f = val_at(all, i);
		bool unreachable = val_map_bool(f, "unreachable", false);

		if (i == FAILURES_SHOWN)
			break;
		struct err *e = errs_add(errs);

		err_set(e, unreachable ? ERR_UNREACHABLE : ERR_REMOTE, val_origin(f), "%s",
		        val_map_strz(f, "msg", "the task failed"));
		err_wrap(e, ORIGIN_NONE, "host %s, %s: %s", val_map_strz(f, "host", "?"),
		         val_map_strz(f, "role", "play"), val_map_strz(f, "task", "?"));
	}
	if (engine_failed(r->engine) && errs_ok(errs))
		err_set(errs_add(errs), ERR_REMOTE, ORIGIN_NONE, "the roles failed: see the log above");
	return errs->n == 0;
}

bool run_roles(struct run *r, struct errs *errs)
{
	progress_phase(r->progress, "Role");
	r->roles_ran = true;
	bool ok = engine_roles(r->engine, "configure", r->roles, "all", true, true, NULL, errs);

	progress_end(r->progress);
	return ok && run_failures(r, errs);
}

bool run_verify(struct run *r, struct errs *errs)
{
	progress_phase(r->progress, "Verify");
	VAL_EACH (i, r->roles) {
		const char *role = val_get_strz(val_at(r->roles, i));

		if (!engine_has_verb(r->engine, role, "verify"))
			continue;
		r->roles_ran = true;
		bool ok = engine_role(r->engine, role, "verify", "all", true, true, NULL, errs);

		progress_end(r->progress);
		if (!ok || !run_failures(r, errs))
			return false;
	}
	r->verified = true;
	return true;
}

bool run_verb(struct run *r, struct errs *errs)
{
	struct str rest = str_c(r->verb), role = str_split(&rest, ':');
	const char *name = str_dup(r->a, role).p, *verb = str_dup(r->a, rest).p;

	if (!engine_has_verb(r->engine, name, verb)) {
		err_set(errs_add(errs), ERR_USER, ORIGIN_NONE, "role %s has no verb '%s'", name, verb);
		return err_hint(&errs->v[errs->n - 1], "a verb is a file of the role: tasks/%s.yml", verb);
	}
	r->roles_ran = true;
	bool ok = engine_role(r->engine, name, verb, "all", true, true, NULL, errs);

	progress_end(r->progress);
	return ok && run_failures(r, errs);
}
