/*
 * Machines that instances no longer names: the roles take them out of what they belong to, then they are
 * destroyed.
 */
#include "run.h"

#include "ansible/engine.h"

static bool leaves(const struct plan_item *it)
{
	return it->action == PLAN_LEAVE;
}

static size_t leaving(const struct run *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->plan.n; i++)
		n += leaves(&r->plan.items[i]);
	return n;
}

/* What was set up last is taken out first. */
static bool run_of_all(struct run *r, const char *verb, struct errs *errs)
{
	for (size_t i = val_len(r->roles); i-- > 0;) {
		const char *role = val_get_strz(val_at(r->roles, i));

		if (!engine_has_verb(r->engine, role, verb))
			continue;
		r->roles_ran = true;
		bool ok = engine_role(r->engine, role, verb, RUN_LEAVING, true, true, NULL, errs);

		progress_end(r->progress);
		if (!ok || !run_failures(r, errs))
			return false;
	}
	return true;
}

/* One role's refusal must come before another role has begun to take the machines out. */
static bool run_leave_verbs(struct run *r, struct errs *errs)
{
	progress_phase(r->progress, "Leave");
	return run_of_all(r, "may_leave", errs) && run_of_all(r, "leave", errs);
}

bool run_leave(struct run *r, struct errs *errs)
{
	size_t n = r->pve ? leaving(r) : 0;

	if (n == 0 || !inputs_bool(r->in, "allow_destroy"))
		return true;
	if (!run_engine(r, true, errs_add(errs)))
		return false;
	errs_ok(errs);
	if (!run_leave_verbs(r, errs) || !run_destroy_these(r, leaves, errs) ||
	    !run_engine(r, false, errs_add(errs)))
		return false;
	return errs_ok(errs);
}
