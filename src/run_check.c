/*
 * Everything that can be wrong is found before the first write: the model, the roles, what the roles need.
 */
#include "run.h"

#include "ansible/engine.h"
#include "base/log.h"
#include "base/suggest.h"
#include "github/env.h"

/* Shorter ones are guessed, or found everywhere in a log and cannot be masked. */
#define PASSWORD_MIN 8

static const char *const placeholders[] = {"changeme", "change_me", "change-me", "your_secure_"};

const char *run_secret(const struct run *r, const char *names)
{
	struct str rest = str_c(names);

	while (rest.p) {
		struct str name = str_split(&rest, '|');
		const struct val *v = val_gets(r->env, name);

		if (v && val_is_str(v) && str_trim(val_get_str(v)).n)
			return val_get_strz(v);
	}
	return NULL;
}

/* What the phases of this command cannot do without; for a person to read: the first name is the one to use.
 */
static const struct {
	unsigned when;
	const char *names;
} required[] = {
        {DO_OBSERVE, "PROXMOX_API_URL"},
        {DO_OBSERVE, "PROXMOX_API_TOKEN_ID|PROXMOX_TOKEN_ID"},
        {DO_OBSERVE, "PROXMOX_API_TOKEN_SECRET|PROXMOX_TOKEN_SECRET"},
        {DO_MACHINES, "SSH_PUBLIC_KEY|ANS_SSH_PUBLIC_KEY"},
        {DO_ROLES | DO_VERIFY | DO_VERB, "SSH_PRIVATE_KEY"},
};

static void add_name(struct buf *b, struct str names)
{
	struct str first = str_split(&names, '|');

	buf_printf(b, "%s%.*s", b->n ? ", " : "", STR_FMT(first));
}

static void check_required(const struct run *r, struct buf *missing)
{
	for (size_t i = 0; i < sizeof(required) / sizeof(*required); i++) {
		bool proxmox = required[i].when == DO_OBSERVE;

		if (!(r->does & required[i].when) || (proxmox && inputs_bool(r->in, "skip_terraform")))
			continue;
		if (!run_secret(r, required[i].names))
			add_name(missing, str_c(required[i].names));
	}
}

static void weak(struct errs *errs, const char *name, const char *why)
{
	struct err *e = errs_add(errs);

	err_set(e, ERR_USER, ORIGIN_NONE, "secret %s %s", name, why);
	err_hint(e, "at least %d characters, none that a guide shows as an example", PASSWORD_MIN);
}

static void check_strength(struct errs *errs, const char *name, struct str value)
{
	if (value.n < PASSWORD_MIN) {
		weak(errs, name, "is too short");
		return;
	}
	for (size_t i = 0; i < sizeof(placeholders) / sizeof(*placeholders); i++) {
		if (strncasecmp(value.p, placeholders[i], strlen(placeholders[i])) == 0)
			weak(errs, name, "is a default that everybody knows");
	}
}

static bool is_set(const struct val *spec, const char *key)
{
	const struct val *v = val_get(spec, key);

	return v && val_to_bool(v);
}

/* An option that comes from the environment. */
static void check_secret(const struct run *r, const struct val *spec, const char *name, struct buf *missing,
                         struct errs *errs)
{
	const char *value = run_secret(r, name);

	if (!value && is_set(spec, "required"))
		add_name(missing, str_c(name));
	if (value && is_set(spec, "no_log"))
		check_strength(errs, name, str_trim(str_c(value)));
}

/* An option that somebody has to give a value. */
static void check_required_option(const struct run *r, const char *role, struct str name, struct errs *errs)
{
	if (engine_role_defines(r->engine, role, name))
		return;
	struct err *e = errs_add(errs);

	err_set(e, ERR_USER, ORIGIN_NONE, "role %s needs the variable %.*s", role, STR_FMT(name));
	err_hint(e, "set it in the input ansible_extra_vars, or in the role's defaults");
}

static void check_option(const struct run *r, const char *role, struct str option, const struct val *spec,
                         struct buf *missing, struct errs *errs)
{
	const char *name = val_is_map(spec) ? val_map_strz(spec, "env", NULL) : NULL;

	if (name)
		check_secret(r, spec, name, missing, errs);
	else if (val_is_map(spec) && is_set(spec, "required") && !val_get(spec, "default"))
		check_required_option(r, role, option, errs);
}

/* Each role says in its meta/argument_specs.yml what it takes from where ("env"), and what of it is secret.
 */
static void check_role_secrets(struct run *r, struct buf *missing, struct errs *errs)
{
	VAL_EACH (i, r->roles) {
		const char *role = val_get_strz(val_at(r->roles, i));
		const struct val *spec = engine_argument_spec(r->engine, role, "main", errs_add(errs));
		const struct val *options = spec && val_is_map(spec) ? val_get(spec, "options") : NULL;

		errs_ok(errs);
		if (!options || !val_is_map(options))
			continue;
		MAP_EACH (k, options)
			check_option(r, role, val_text(val_key_at(options, k), r->a),
			             val_value_at(options, k), missing, errs);
	}
}

/* ---- roles ---- */

static void add_role(struct run *r, const char *name)
{
	VAL_EACH (i, r->roles) {
		if (str_eqc(val_get_str(val_at(r->roles, i)), name))
			return;
	}
	val_push(r->roles, val_strz(r->a, name));
}

/* The order is the one it always was: the base, the directory where it can be joined, then what the caller
 * names. */
static void choose_roles(struct run *r)
{
	size_t n;
	const char *const *names = inputs_list(r->in, "ansible_roles", r->a, &n);

	r->roles = val_list(r->a);
	if (r->does & DO_VERB) {
		struct str rest = str_c(r->verb), role = str_split(&rest, ':');

		val_push(r->roles, val_str(r->a, role));
		return;
	}
	if (!(r->does & (DO_ROLES | DO_VERIFY)) && !(r->does & DO_OBSERVE))
		return;
	add_role(r, "base_setup");
	if (r->does & DO_BASE)
		return;
	if (run_secret(r, "FREEIPA_ADMIN_PASSWORD"))
		add_role(r, "ldap-config");
	for (size_t i = 0; i < n; i++)
		add_role(r, names[i]);
}

/* Before a machine is touched, that is. */
static void check_verb(const struct run *r, struct errs *errs)
{
	struct str verb = str_c(r->verb), role = str_split(&verb, ':');
	const char *name = str_dup(r->a, role).p;

	if (!(r->does & DO_VERB) || !engine_has_role(r->engine, name) ||
	    engine_has_verb(r->engine, name, str_dup(r->a, verb).p))
		return;
	struct err *e = errs_add(errs);

	err_set(e, ERR_USER, ORIGIN_NONE, "role %s has no verb '%.*s'", name, STR_FMT(verb));
	err_hint(e, "a verb is a file of the role: tasks/%.*s.yml", STR_FMT(verb));
}

static void check_roles(struct run *r, struct errs *errs)
{
	VAL_EACH (i, r->roles) {
		const char *name = val_get_strz(val_at(r->roles, i));

		if (engine_has_role(r->engine, name)) {
			engine_check_role(r->engine, name, errs);
			continue;
		}
		struct err *e = errs_add(errs);

		err_set(e, ERR_USER, inputs_origin(r->in, "ansible_roles"), "there is no role '%s'", name);
		err_hint(e, "looked in %s and in the shipped roles", inputs_get(r->in, "roles_path"));
	}
}

/* ---- the model ---- */

const char *run_ssh_user(const struct run *r, enum machine_type type)
{
	const char *user = inputs_get(r->in, "ssh_user");

	/* The workflow passes its default on: nobody is asked for by that. */
	if (type == MACHINE_LXC && strcmp(user, input_find(STR("ssh_user"))->dflt) == 0)
		return "root";
	return user;
}

bool run_model(struct run *r, struct errs *errs)
{
	struct model_inputs m = {
	        .app_name = inputs_get(r->in, "app_name"),
	        .environment = inputs_get(r->in, "environment"),
	        .resource_type = inputs_get(r->in, "resource_type"),
	        .vlan_tag = inputs_get(r->in, "vlan_tag"),
	        .cpu_cores = inputs_get(r->in, "cpu_cores"),
	        .ram_mb = inputs_get(r->in, "ram_mb"),
	        .disk_gb = inputs_get(r->in, "disk_gb"),
	        .instances = inputs_get(r->in, "instances"),
	        .vm_target_ip = inputs_get(r->in, "vm_target_ip"),
	        .subnet = inputs_get(r->in, "subnet"),
	        .gateway = inputs_get(r->in, "gateway"),
	        .bridge = inputs_get(r->in, "bridge"),
	        .nameserver = inputs_get(r->in, "nameserver"),
	        .search_domain = inputs_get(r->in, "search_domain"),
	};
	const char *keys = run_secret(r, "SSH_PUBLIC_KEY|ANS_SSH_PUBLIC_KEY");

	r->plan_opts = (struct plan_opts){inputs_get(r->in, "ssh_user"), keys ? keys : "",
	                                  inputs_bool(r->in, "allow_restart")};
	if (!model_read(r->a, r->ss, &m, &r->model, errs))
		return false;
	return true;
}

bool run_check(struct run *r, struct errs *errs)
{
	struct buf missing = {0};

	run_model(r, errs);
	if (!run_engine(r, false, errs_add(errs)))
		return false;
	errs_ok(errs);
	choose_roles(r);
	check_roles(r, errs);
	check_verb(r, errs);
	check_required(r, &missing);
	run_check_keys(r, errs);
	check_role_secrets(r, &missing, errs);
	if (missing.n) {
		struct err *e = errs_add(errs);

		err_set(e, ERR_USER, ORIGIN_NONE, "missing secrets: %s", missing.p);
		err_hint(e,
		         "set them in Doppler, or as secrets that the workflow passes on (secrets: inherit)");
	}
	buf_free(&missing);
	return errs->n == 0;
}
