/*
 * Machines that instances no longer names: the roles take them out of what they belong to, then they are
 * destroyed.
 */
#include "run.h"

#include "ansible/engine.h"
#include "base/log.h"
#include "net/loop.h"

static size_t leaving(const struct run *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->plan.n; i++)
		n += r->plan.items[i].action == PLAN_LEAVE;
	return n;
}

/* A typing error in instances must not be able to take everything away. */
static bool check_share(struct run *r, size_t n, struct errs *errs)
{
	size_t stay = 0;

	for (size_t i = 0; i < r->plan.n; i++)
		stay += r->plan.items[i].want && r->plan.items[i].have;
	if (stay)
		return true;
	err_set(errs_add(errs), ERR_USER, ORIGIN_NONE, "all %zu machines there are would leave", n);
	return err_hint(&errs->v[errs->n - 1],
	                "is instances right? a whole app is taken away by the command destroy");
}

/* What was set up last is taken out first. */
static bool run_leave_verbs(struct run *r, struct errs *errs)
{
	progress_phase(r->progress, "Leave");
	for (size_t i = val_len(r->roles); i-- > 0;) {
		const char *role = val_get_strz(val_at(r->roles, i));

		if (!engine_has_verb(r->engine, role, "leave"))
			continue;
		r->roles_ran = true;
		bool ok = engine_role(r->engine, role, "leave", RUN_LEAVING, true, true, NULL, errs);

		progress_end(r->progress);
		if (!ok || !run_failures(r, errs))
			return false;
	}
	return true;
}

static bool destroy_leaving(struct run *r, struct errs *errs)
{
	for (size_t i = 0; i < r->plan.n; i++) {
		const struct plan_item *it = &r->plan.items[i];

		if (it->action != PLAN_LEAVE)
			continue;
		log_line(LOG_INFO, "  %6.1fs  %s: destroy", (double)(loop_now() - r->began) / 1000,
		         it->have->name);
		if (!pve_destroy(r->pve, r->a, it->have, errs_add(errs)))
			return false;
		errs_ok(errs);
		r->destroyed = true;
	}
	return true;
}

bool run_leave(struct run *r, struct errs *errs)
{
	size_t n = r->pve ? leaving(r) : 0;

	if (n == 0 || !inputs_bool(r->in, "allow_destroy"))
		return true;
	if (!check_share(r, n, errs) || !run_engine(r, true, errs_add(errs)))
		return false;
	errs_ok(errs);
	if (!run_leave_verbs(r, errs) || !destroy_leaving(r, errs) || !run_engine(r, false, errs_add(errs)))
		return false;
	return errs_ok(errs);
}
