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

const char *run_leave_note(const struct run *r)
{
	if (r->does & DO_DESTROY)
		return "destroyed with its data";
	return inputs_bool(r->in, "allow_destroy") ? "taken out of what it belongs to, and destroyed"
	                                           : "provision is refused: it would need allow_destroy";
}

static void show_item(const struct run *r, const struct plan_item *it, struct buf *b)
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
		           !it->changes[i].at_restart ? ""
		           : it->restart              ? "  (with a restart, one machine at a time)"
		                                      : "  (from the machine's next restart on)");
	if (it->note)
		buf_printf(b, "            note: %s\n", it->note);
	if (it->action == PLAN_LEAVE)
		buf_printf(b, "            note: %s\n", run_leave_note(r));
}

static void show_plan(const struct run *r)
{
	struct buf b = {0};

	for (size_t i = 0; i < r->plan.n; i++)
		show_item(r, &r->plan.items[i], &b);
	buf_printf(&b, "%zu of %zu machines to make or change.\n", plan_writes(&r->plan), r->model.n);
	log_text(buf_str(&b));
	buf_free(&b);
}

/* A typing error in instances must not be able to take everything away. */
static void check_share(const struct run *r, size_t n, struct errs *errs)
{
	for (size_t i = 0; i < r->plan.n; i++) {
		if (r->plan.items[i].want && r->plan.items[i].have)
			return;
	}
	struct err *e = errs_add(errs);

	err_set(e, ERR_USER, inputs_origin(r->in, "instances"), "all %zu machines there are would leave", n);
	err_hint(e, "is instances right? a whole app is taken away by the command destroy");
}

/* Without the word a machine does not go, and the roles must not act as if it had. */
static bool check_leaving(const struct run *r, struct errs *errs)
{
	struct buf names = {0};
	size_t n = 0;

	if (!(r->does & DO_ROLES))
		return true;
	for (size_t i = 0; i < r->plan.n; i++) {
		if (r->plan.items[i].action == PLAN_LEAVE)
			buf_printf(&names, "%s%s", n++ ? ", " : "", r->plan.items[i].have->name);
	}
	if (n && inputs_bool(r->in, "allow_destroy")) {
		check_share(r, n, errs);
	} else if (n) {
		struct err *e = errs_add(errs);

		err_set(e, ERR_USER, inputs_origin(r->in, "instances"),
		        "instances no longer names %s, which exists", names.p);
		err_hint(e, "to take it out of its cluster and destroy it, set allow_destroy to true; "
		            "else name it again");
	}
	buf_free(&names);
	return errs->n == 0;
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
		err_hint(e, "run the command provision; a machine that Proxmox VE does not hold takes the "
		            "command "
		            "onboard, or skip_terraform");
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

/* What was observed of machines that leave, brought up to date: they stand behind those that are wanted. */
static void look_again_at_leaving(struct run *r)
{
	size_t n = r->model.n;

	for (size_t i = n; i < r->n_machines; i++) {
		if (r->machines[i].gone)
			continue;
		for (size_t k = 0; k < r->world.n_guests && r->machines[i].booted; k++)
			if (r->world.guests[k].vmid == r->machines[i].vmid)
				r->world.guests[k].status = "running";
		r->plan.items[n] = r->plan.items[i];
		r->machines[n] = r->machines[i];
		r->machines[n].item = &r->plan.items[n];
		n++;
	}
	if (n < r->n_machines)
		r->plan.n = r->n_machines = n;
}

static bool apply_opts(struct run *r, struct pve_apply_opts *ret, struct err *err)
{
	*ret = (struct pve_apply_opts){
	        .pool = inputs_get(r->in, "pool"),
	        .nesting = inputs_bool(r->in, "lxc_nesting"),
	        .privileged = !inputs_bool(r->in, "lxc_unprivileged"),
	        .plan = &r->plan_opts,
	        .with_leaving = inputs_bool(r->in, "allow_destroy"),
	        .ready_timeout_s = (int)inputs_int(r->in, "connect_timeout"),
	        .ssh_port = *inputs_get(r->in, "ssh_jump_host") ? 0 : (int)inputs_int(r->in, "ssh_port"),
	        .progress = on_progress,
	        .warn = on_warn,
	        .ctx = r,
	};
	return run_places(r, ret, err);
}

bool run_machine(struct run *r, const struct plan_item *it, struct pve_machine *ret, struct errs *errs)
{
	struct plan plan = {1, (struct plan_item *)it};
	struct pve_apply_opts o;
	struct pve_machine *m = NULL;
	struct err err = {0};

	if (!apply_opts(r, &o, &err) || !pve_apply(r->pve, r->a, &r->world, &r->model, &plan, &o, &m, &err))
		err_move(errs_add(errs), m && err_is(&m->err) ? &m->err : &err);
	err_clear(&err);
	if (m)
		*ret = *m;
	return errs->n == 0;
}

/* The roles can be asked what they would do where all machines are there, and run. */
static bool can_foresee(const struct run *r)
{
	for (size_t i = 0; i < r->model.n; i++) {
		const struct guest *g = r->plan.items[i].have;

		if (!g || r->plan.items[i].action == PLAN_COMPLETE || strcmp(g->status, "running") != 0)
			return false;
	}
	return run_secret(r, "SSH_PRIVATE_KEY") != NULL;
}

/* Only to read their host keys. */
static bool reach_as_they_are(struct run *r, struct pve_apply_opts *o, struct errs *errs)
{
	struct plan now = {r->model.n, arena_array(r->a, r->model.n, sizeof(*now.items))};
	struct err err = {0};

	if (!can_foresee(r)) {
		log_line(LOG_INFO, "What the roles would do shows once all machines are there.");
		return true;
	}
	memcpy(now.items, r->plan.items, now.n * sizeof(*now.items));
	for (size_t i = 0; i < now.n; i++)
		now.items[i].action = PLAN_UNCHANGED;
	o->with_leaving = false;
	if (!pve_apply(r->pve, r->a, &r->world, &r->model, &now, o, &r->machines, &err)) {
		for (size_t i = 0; i < now.n; i++) {
			if (err_is(&r->machines[i].err))
				err_move(errs_add(errs), &r->machines[i].err);
		}
		if (err_is(&err))
			err_move(errs_add(errs), &err);
		return false;
	}
	r->n_machines = now.n;
	for (size_t i = 0; i < now.n; i++)
		r->machines[i].item = &r->plan.items[i];
	return true;
}

bool run_machines(struct run *r, struct errs *errs)
{
	struct pve_apply_opts o;
	struct err err = {0};

	if (!r->pve || (r->does & DO_DESTROY))
		return true;
	if (!apply_opts(r, &o, errs_add(errs)))
		return false;
	errs_ok(errs);
	/* A plan says as well what would be refused. */
	if (r->does & DO_FORESEE)
		return pve_preflight(r->pve, r->a, &r->world, &r->model, &r->plan, &o, errs) &&
		       reach_as_they_are(r, &o, errs);
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
	look_again_at_leaving(r);
	return ok && run_contact(r, errs);
}
