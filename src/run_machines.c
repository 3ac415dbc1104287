/*
 * Proxmox VE: what is there, the plan, and the machines brought to ready.
 */
#include "run.h"

#include "base/fs.h"
#include "base/log.h"
#include "net/loop.h"
#include "report.h"

/* ---- observe and plan ---- */

/* The input is PEM text or a file of the workspace; NANTE_CA_CERT stands in where a workflow has no room for
 * it. */
bool run_ca_pem(struct run *r, struct str *ret, struct err *err)
{
	const char *given = inputs_get(r->in, "ca_cert");
	const char *env = run_secret(r, "NANTE_CA_CERT");
	struct buf b;

	*ret = str_c(*given ? given : env ? env : "");
	if (ret->n == 0 || str_find(*ret, STR("-----BEGIN"), 0) >= 0)
		return true;
	buf_init(&b, 1 << 20);
	bool ok = fs_read(ret->p, &b, err) || err_wrap(err, inputs_origin(r->in, "ca_cert"), "input ca_cert");

	*ret = buf_take(&b, r->a);
	buf_free(&b);
	return ok;
}

static bool connect_pve(struct run *r, struct err *err)
{
	struct pve_opts o = {
	        .url = run_secret(r, "PROXMOX_API_URL"),
	        .token_id = run_secret(r, "PROXMOX_API_TOKEN_ID|PROXMOX_TOKEN_ID"),
	        .token_secret = run_secret(r, "PROXMOX_API_TOKEN_SECRET|PROXMOX_TOKEN_SECRET"),
	};

	if (!run_ca_pem(r, &o.ca_pem, err))
		return false;
	r->pve = pve_new(r->a, r->loop, &o, err);
	return r->pve != NULL;
}

static const char *name_of(const struct plan_item *it)
{
	return it->want ? it->want->name : it->have->name;
}

static void show_item(const struct plan_item *it, struct buf *b)
{
	const char *name = name_of(it);

	buf_printf(b, "  %-9s %s", plan_action_name(it->action), name);
	if (it->want)
		buf_printf(b, "  %s, %d cores, %lld MiB, %lld GB", it->want->address, it->want->cores,
		           (long long)it->want->memory_mb, (long long)it->want->disk_gb);
	if (it->have)
		buf_printf(b, "  (%lld on %s)", (long long)it->have->vmid, it->have->node);
	buf_addc(b, '\n');
	for (size_t i = 0; i < it->n; i++)
		buf_printf(b, "            %s: %s -> %s%s\n", it->changes[i].what, it->changes[i].from,
		           it->changes[i].to,
		           it->changes[i].at_restart ? "  (from the machine's next restart on)" : "");
	if (it->note)
		buf_printf(b, "            note: %s\n", it->note);
}

static void show_plan(const struct run *r)
{
	struct buf b = {0};

	for (size_t i = 0; i < r->plan.n; i++)
		show_item(&r->plan.items[i], &b);
	buf_printf(&b, "%zu of %zu machines to make or change.\n", plan_writes(&r->plan), r->model.n);
	log_text(buf_str(&b));
	buf_free(&b);
}

/* Without the word a machine does not go, and the roles must not act as if it had. */
static bool check_leaving(const struct run *r, struct errs *errs)
{
	struct buf names = {0};

	if (!(r->does & DO_ROLES) || inputs_bool(r->in, "allow_destroy"))
		return true;
	for (size_t i = 0; i < r->plan.n; i++) {
		if (r->plan.items[i].action == PLAN_LEAVE)
			buf_printf(&names, "%s%s", names.n ? ", " : "", r->plan.items[i].have->name);
	}
	if (names.n) {
		struct err *e = errs_add(errs);

		err_set(e, ERR_USER, inputs_origin(r->in, "instances"),
		        "instances no longer names %s, which exists", names.p);
		err_hint(e, "to take it out of its cluster and destroy it, set allow_destroy to true; "
		            "else name it again");
	}
	buf_free(&names);
	return errs->n == 0;
}

/* A value nobody gave, but that Proxmox VE has under the name it always had, is taken. */
static const char *or_preferred_node(struct run *r)
{
	const char *given = inputs_get(r->in, "proxmox_node"), *prefer = inputs_prefer(r->in, "proxmox_node");
	struct buf all = {0};

	if (*given)
		return given;
	for (size_t i = 0; i < r->world.n_nodes; i++) {
		if (strcmp(r->world.nodes[i], prefer) == 0) {
			buf_free(&all);
			return prefer;
		}
		buf_printf(&all, "%s%s", i ? "," : "", r->world.nodes[i]);
	}
	const char *z = buf_take(&all, r->a).p;

	buf_free(&all);
	return z;
}

static const char *or_preferred_template(struct run *r)
{
	const char *given = inputs_get(r->in, "vm_template"), *prefer = inputs_prefer(r->in, "vm_template"),
	           *only = "";
	size_t n = 0;

	if (*given)
		return given;
	for (size_t i = 0; i < r->world.n_guests; i++) {
		const struct guest *g = &r->world.guests[i];

		if (!g->is_template || g->type != MACHINE_VM || !g->name)
			continue;
		if (strcmp(g->name, prefer) == 0)
			return prefer;
		n += strcmp(only, g->name) != 0;
		only = g->name;
	}
	return n == 1 ? only : "";
}

/* Asked only when something is to be made: on the first node that may get it. */
static bool or_preferred_storage(struct run *r, const char *nodes, const char **ret, struct err *err)
{
	const char *prefer = inputs_prefer(r->in, "proxmox_storage");
	struct str rest = str_c(nodes);
	const char *node = str_dup(r->a, str_trim(str_split(&rest, ','))).p;
	bool there = false, makes = false;

	*ret = inputs_get(r->in, "proxmox_storage");
	for (size_t i = 0; i < r->plan.n; i++)
		makes |= r->plan.items[i].action == PLAN_CREATE;
	if (**ret || !*prefer || !makes || !*node)
		return true;
	if (!pve_has_storage(r->pve, r->a, node, prefer, &there, err))
		return false;
	if (there)
		*ret = prefer;
	return true;
}

bool run_observe(struct run *r, struct errs *errs)
{
	struct err *err = errs_add(errs);

	if (inputs_bool(r->in, "skip_terraform")) {
		log_line(LOG_INFO, "skip_terraform: Proxmox VE is left alone");
		return errs_ok(errs);
	}
	gh_group(&r->gh, "Plan");
	if (!connect_pve(r, err) || !pve_observe(r->pve, r->a, r->model.owner, &r->world, err))
		return false;
	errs_ok(errs);
	if (!plan_make(r->a, &r->model, r->world.guests, r->world.n_guests, &r->plan_opts, &r->plan, errs))
		return false;
	log_line(LOG_INFO, "Proxmox VE %s, %zu nodes", r->world.version, r->world.n_nodes);
	show_plan(r);
	return check_leaving(r, errs);
}

/* ---- apply ---- */

static void on_progress(void *ctx, const struct plan_item *it, const char *step, const char *detail)
{
	const struct run *r = ctx;

	log_line(it->action == PLAN_UNCHANGED ? LOG_VERBOSE : LOG_INFO, "  %6.1fs  %s: %s%s%s",
	         (double)(loop_now() - r->began) / 1000, name_of(it), step, *detail ? ": " : "", detail);
}

static void on_warn(void *ctx, const struct plan_item *it, const char *msg)
{
	struct run *r = ctx;

	report_warn(&r->gh, r->ss, ORIGIN_NONE, arena_printf(r->a, "machine %s: %s", name_of(it), msg));
}

/* Without the right to make them, machines have to be there as they should be. */
static bool all_there(const struct run *r, struct errs *errs)
{
	for (size_t i = 0; i < r->plan.n; i++) {
		const struct plan_item *it = &r->plan.items[i];

		if (it->action != PLAN_CREATE && it->action != PLAN_COMPLETE)
			continue;
		struct err *e = errs_add(errs);

		err_set(e, ERR_USER, it->want->at, "machine %s is not there yet", it->want->name);
		err_hint(e, "run the command provision");
	}
	return errs->n == 0;
}

static void leave_as_they_are(struct run *r)
{
	for (size_t i = 0; i < r->plan.n; i++) {
		struct plan_item *it = &r->plan.items[i];

		if (it->action != PLAN_LEAVE)
			it->action = PLAN_UNCHANGED;
	}
}

bool run_machines(struct run *r, struct errs *errs)
{
	struct pve_apply_opts o = {
	        .pool = inputs_get(r->in, "pool"),
	        .plan = &r->plan_opts,
	        .with_leaving = inputs_bool(r->in, "allow_destroy"),
	        .ready_timeout_s = (int)inputs_int(r->in, "connect_timeout"),
	        .progress = on_progress,
	        .warn = on_warn,
	        .ctx = r,
	};
	struct err err = {0};

	if (!r->pve || !(r->does & (DO_MACHINES | DO_ROLES | DO_VERIFY | DO_VERB)))
		return true;
	o.nodes = or_preferred_node(r);
	o.template = or_preferred_template(r);
	if (!or_preferred_storage(r, o.nodes, &o.storage, errs_add(errs)))
		return false;
	errs_ok(errs);
	if (!(r->does & DO_MACHINES)) {
		if (!all_there(r, errs))
			return false;
		leave_as_they_are(r);
	}
	gh_group(&r->gh, "Machines");
	if (!pve_preflight(r->pve, r->a, &r->world, &r->model, &r->plan, &o, errs))
		return false;
	bool ok = pve_apply(r->pve, r->a, &r->world, &r->model, &r->plan, &o, &r->machines, &err);

	if (err_is(&err))
		err_move(errs_add(errs), &err);
	r->n_machines = o.with_leaving ? r->plan.n : r->model.n;
	for (size_t i = 0; i < r->n_machines; i++) {
		if (err_is(&r->machines[i].err))
			err_move(errs_add(errs), &r->machines[i].err);
	}
	return ok;
}
