/*
 * The roles over the machines: inventory, variables, links.
 */
#include "run.h"

#include "agent/proto.h"
#include "ansible/engine.h"
#include "ansible/inventory.h"
#include "ansible/playbook.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "modules/vault.h"
#include "net/loop.h"
#include "passwords.h"
#include "report.h"
#include "ssh/link.h"

#include <stdlib.h>
#include <unistd.h>

/* A machine that ran before is waited for no longer than this. */
#define WAIT_MS 30000

/* The image keeps the shipped roles at its root; a checkout beside the folder of its builds. */
static const char *const shipped_roles[] = {"/roles", "/usr/share/nante/roles"};
static const char *const checkout_roles[] = {"../roles", "../../roles"};

static const char *program_dir(struct arena *a)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

	return n > 0 && (size_t)n < sizeof(path) ? fs_dirname(a, arena_strndup(a, path, (size_t)n)) : "/";
}

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

static void add_host(struct run *r, struct group *g, const char *name, const char *key, const char *address,
                     enum machine_type type)
{
	struct host *h = inventory_add_host(r->inventory, str_c(name));

	group_add_host(r->inventory, g, h);
	set(r, h->vars, "ansible_host", address);
	set(r, h->vars, "ansible_user", run_ssh_user(r, type));
	set(r, h->vars, "machine_key", key);
}

/* Machines that leave are hosts only while they are taken out: to every other play they are gone. */
static void add_leaving(struct run *r)
{
	struct group *g = inventory_add_group(r->inventory, STR(RUN_LEAVING));

	for (size_t i = 0; i < r->plan.n; i++) {
		const struct plan_item *it = &r->plan.items[i];

		if (it->action == PLAN_LEAVE)
			add_host(r, g, it->have->name, "", plan_address(r->a, it->have), it->have->type);
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
		add_host(r, app, m->name, m->key, m->address ? m->address : "", r->model.type);
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

/* Where the keys it is known by come from, and what to do when it shows another. */
static const char *keys_hint(const struct pve_machine *m)
{
	if (!m || val_len(m->host_keys) == 0)
		return NULL;
	if (m->no_agent)
		return "it is not the key of the first contact, which the machine's description in Proxmox "
		       "VE keeps; "
		       "if the machine was made anew, remove the line nante-host-key there";
	return "it is not the key that Proxmox VE read inside the machine: does another machine have this "
	       "address?";
}

/* A key that came through a Windows clipboard ends its lines as Windows does. */
static struct str without_returns(struct arena *a, struct str s)
{
	struct buf b = {0};

	if (!s.n || !memchr(s.p, '\r', s.n))
		return s;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\r')
			buf_addc(&b, s.p[i]);
	}
	s = str_dup(a, buf_str(&b));
	buf_burn(&b);
	return s;
}

void run_target(struct run *r, const char *name, struct ssh_target *t)
{
	const struct pve_machine *m = machine_of(r, name);
	const char *key = run_secret(r, "SSH_PRIVATE_KEY");

	t->port = t->port ? t->port : (int)inputs_int(r->in, "ssh_port");
	t->key = without_returns(r->a, str_c(key ? key : ""));
	t->passphrase = run_secret(r, "SSH_KEY_PASSPHRASE");
	t->no_agent = true;
	t->known_hosts = str_c(inputs_get(r->in, "known_hosts"));
	t->no_host_key_check = false;
	t->jump = jump_host(r, t);
	t->host_keys = host_keys(r, m);
	t->host_key_hint = keys_hint(m);
	/* One that has just been made may take a moment to listen, and so may one that boots or whose SSH
	 * service restarts. */
	t->wait_ms = (int)inputs_int(r->in, "connect_timeout") * 1000;
	t->reconnect_ms = t->wait_ms;
	if (!(m && m->changed) && t->wait_ms > WAIT_MS)
		t->wait_ms = WAIT_MS;
}

/* The roles' own connection variables count; what the inputs say fills the rest. */
static struct link *open_link(void *ctx, const struct val *params, struct err *err)
{
	struct run *r = ctx;
	struct ssh_target *t = ARENA_NEW(r->a, struct ssh_target);
	const char *name = val_map_strz(params, "name", "");

	if (strcmp(val_map_strz(params, "connection", "ssh"), "local") == 0)
		return local_link_new(r->links, NULL);
	if (!ssh_target_from_vars(r->a, name, link_var, (void *)params, t, err))
		return NULL;
	run_target(r, name, t);
	return ssh_link_new(r->links, t);
}

static void on_link_event(void *ctx, const char *host, bool trouble, const char *text)
{
	(void)ctx;
	log_line(trouble ? LOG_INFO : LOG_VERBOSE, "        %s: %s", host, text);
}

/* ---- the engine ---- */

static const char *const *role_paths(struct run *r)
{
	struct str rest = str_c(inputs_get(r->in, "roles_path"));
	const char *workspace = run_secret(r, "GITHUB_WORKSPACE"), *own = getenv("NANTE_ROLES");
	const char **v = arena_array(r->a, rest.n + 10, sizeof(*v));
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
	for (size_t i = 0; i < sizeof(checkout_roles) / sizeof(*checkout_roles); i++) {
		if (fs_is_dir(fs_join(r->a, program_dir(r->a), checkout_roles[i])))
			v[n++] = fs_join(r->a, program_dir(r->a), checkout_roles[i]);
	}
	for (size_t i = 0; i < sizeof(shipped_roles) / sizeof(*shipped_roles); i++)
		v[n++] = shipped_roles[i];
	v[n] = NULL;
	return v;
}

/* A workspace keeps collections beside its roles. */
static const char *const *collection_paths(struct run *r, const char *const *roles)
{
	const char *home = getenv("HOME");
	size_t n = 0;

	while (roles[n])
		n++;
	const char **v = arena_array(r->a, n + 3, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = fs_join(r->a, fs_dirname(r->a, roles[i]), "collections");
	if (home)
		v[n++] = fs_join(r->a, home, ".ansible/collections");
	v[n] = "/usr/share/ansible/collections";
	return v;
}

/* A JSON object, or NAME=VALUE words. */
static bool extra_vars(struct run *r, struct val **ret, struct err *err)
{
	struct str text = str_trim(str_c(inputs_get(r->in, "ansible_extra_vars")));
	struct origin at = inputs_origin(r->in, "ansible_extra_vars");
	bool json = text.n && strchr("{[", text.p[0]);
	struct val *raw;

	*ret = val_map(r->a);
	if (text.n == 0)
		return true;
	if (json && !json_parse(r->a, text, at.src, ret, err))
		return err_wrap(err, ORIGIN_NONE, "input ansible_extra_vars");
	if (!json && !args_parse(r->a, text, at, false, ret, err))
		return err_wrap(err, ORIGIN_NONE, "input ansible_extra_vars");
	raw = val_is_map(*ret) ? val_get(*ret, "_raw_params") : NULL;
	if (val_is_map(*ret) && (json || !raw))
		return true;
	if (raw)
		err_set(err, ERR_USER, at, "input ansible_extra_vars: '%s' is no NAME=VALUE",
		        val_get_strz(raw));
	else
		err_set(err, ERR_USER, at, "input ansible_extra_vars: the variables must be an object");
	return err_hint(err, "write NAME=VALUE words, in quotes where there are blanks, or a JSON object: "
	                     "{\"name\": \"value\"}");
}

/* What opens the caller's sealed files: a secret, or what the environment names as ansible-playbook knows it.
 */
static bool vault_passwords(struct run *r, struct err *err)
{
	struct vault *v = r->inventory->vault = vault_new(r->a);
	const char *own = run_secret(r, "ANSIBLE_VAULT_PASSWORD|VAULT_PASSWORD");

	if (own)
		vault_add(v, NULL, str_c(own));
	return passwords_take(v, r->a, getenv("ANSIBLE_VAULT_IDENTITY_LIST"),
	                      getenv("ANSIBLE_VAULT_PASSWORD_FILE"), err);
}

bool run_links(struct run *r, struct err *err)
{
	struct ssh_links_opts links = {.loop = r->loop, .event = on_link_event, .ctx = r};

	if (!r->links)
		r->links = ssh_links_new(&links, err);
	return r->links != NULL;
}

bool run_engine(struct run *r, bool leaving, struct err *err)
{
	struct engine_opts *o = ARENA_NEW(r->a, struct engine_opts);
	struct link_pump *pump = ARENA_NEW(r->a, struct link_pump);
	struct val *extra;

	if (!extra_vars(r, &extra, err))
		return false;
	if (!run_links(r, err))
		return false;
	*pump = links_pump(r->links);
	make_inventory(r, leaving);
	if (!vault_passwords(r, err))
		return false;
	if (!r->progress)
		r->progress = progress_new(r);
	const char *const *roles = role_paths(r);
	*o = (struct engine_opts){
	        .sources = r->ss,
	        .inventory = r->inventory,
	        .check = (r->does & DO_FORESEE) != 0,
	        .verbosity = log_on(LOG_VERBOSE) ? 1 : 0,
	        .extra_vars = extra,
	        .roles_path = roles,
	        .collections_path = collection_paths(r, roles),
	        .env = r->env,
	        .vault = r->inventory->vault,
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

/* A command's own last words say more than that it failed. */
#define LAST_WORDS 400

static const char *cause(struct run *r, const struct val *failure)
{
	const char *msg = val_map_strz(failure, "msg", "the task failed");
	struct str said = str_trim(val_map_str(failure, "stderr", ""));

	if (strcmp(msg, "non-zero return code") != 0 || said.n == 0)
		return msg;
	if (said.n > LAST_WORDS) {
		said = str_n(said.p + said.n - LAST_WORDS, LAST_WORDS);
		str_split(&said, '\n'); /* the line that was cut */
	}
	return arena_printf(r->a, "it ended with %lld:\n%.*s", (long long)val_map_int(failure, "rc", 0),
	                    STR_FMT(said));
}

bool run_failures(struct run *r, struct errs *errs)
{
	struct val *all = engine_failures(r->engine);

	VAL_EACH (i, all) {
		const struct val *f = val_at(all, i);
		bool unreachable = val_map_bool(f, "unreachable", false);

		if (i == FAILURES_SHOWN)
			break;
		struct err *e = errs_add(errs);

		err_set(e, unreachable ? ERR_UNREACHABLE : ERR_REMOTE, val_origin(f), "%s", cause(r, f));
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

/* Check mode cannot know everything: what a task would have left behind is missing to those after it. */
bool run_foresee(struct run *r, struct errs *errs)
{
	struct errs doubts = {0};

	if (!r->machines)
		return true;
	progress_phase(r->progress, "Would do:");
	bool ok = engine_roles(r->engine, "foresee", r->roles, "all", true, true, NULL, errs);

	progress_end(r->progress);
	if (!run_failures(r, &doubts))
		for (size_t i = 0; i < doubts.n; i++)
			report_warn(&r->gh, r->ss, ORIGIN_NONE,
			            arena_printf(r->a, "not foreseen: %s", err_msg(&doubts.v[i])));
	errs_clear(&doubts);
	return ok;
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
