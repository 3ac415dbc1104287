/*
 * Machines whose changes wait for a restart: one at a time, and each is proved by the roles before the next
 * one goes. A role's verb before_restart takes from it what must not stop (a leader hands over); the one that
 * leads comes last, so that it hands over once.
 */
#include "run.h"

#include "ansible/engine.h"
#include "base/log.h"
#include "net/loop.h"

/* Those that still wait, the leader behind all others; the model's size: none. */
static size_t next_one(const struct run *r, const bool *waits)
{
	size_t last = r->model.n;

	for (size_t i = 0; i < r->model.n; i++) {
		if (!waits[i])
			continue;
		if (strcmp(r->model.machines[i].name, run_leader(r)) != 0)
			return i;
		last = i;
	}
	return last;
}

/* A hot-plugged change needs none, and nor does a machine that was started in this run. */
static bool find_waiting(struct run *r, bool *waits, struct err *err)
{
	for (size_t i = 0; i < r->model.n; i++) {
		const struct pve_machine *m = &r->machines[i];

		if (r->plan.items[i].restart && !m->booted &&
		    !pve_waits_for_restart(r->pve, r->a, m, &waits[i], err))
			return false;
	}
	return true;
}

static bool prepare(struct run *r, const char *name, struct errs *errs)
{
	struct val *vars = val_map(r->a);

	val_set(vars, "nante_restarting", val_strz(r->a, name));
	progress_phase(r->progress, arena_printf(r->a, "Before the restart of %s:", name));
	for (size_t i = val_len(r->roles); i-- > 0;) {
		const char *role = val_get_strz(val_at(r->roles, i));

		if (!engine_has_verb(r->engine, role, "before_restart"))
			continue;
		bool ok = engine_role(r->engine, role, "before_restart", "all", true, true, vars, errs);

		progress_end(r->progress);
		if (!ok || !run_failures(r, errs))
			return false;
	}
	return true;
}

static bool restart(struct run *r, size_t i, struct errs *errs)
{
	struct plan_item *it = ARENA_NEW(r->a, struct plan_item);
	struct pve_machine *m = &r->machines[i], now = *m;

	*it = r->plan.items[i];
	it->action = PLAN_RESTART;
	gh_group(&r->gh, arena_printf(r->a, "Restart %s", r->model.machines[i].name));
	engine_disconnect(r->engine, r->model.machines[i].name);
	bool ok = run_machine(r, it, &now, errs);

	m->booted = m->changed = true;
	if (ok)
		m->host_keys = now.host_keys;
	gh_end_group(&r->gh);
	return ok;
}

bool run_restart(struct run *r, struct errs *errs)
{
	bool *waits = arena_array(r->a, r->model.n, sizeof(*waits));
	size_t i, n = 0;

	if (!r->pve || !inputs_bool(r->in, "allow_restart"))
		return true;
	if (!find_waiting(r, waits, errs_add(errs)))
		return false;
	errs_ok(errs);
	while ((i = next_one(r, waits)) < r->model.n) {
		if (!prepare(r, r->model.machines[i].name, errs) || !restart(r, i, errs))
			return false;
		waits[i] = false;
		n++;
		engine_clear_stats(r->engine);
		if (next_one(r, waits) < r->model.n && !run_verify(r, errs))
			return false;
	}
	/* What roles make of cores and memory. */
	return n == 0 || (run_roles(r, errs) && run_verify(r, errs));
}
