/*
 * An app's end: its machines, with their disks. Only what carries our mark goes.
 */
#include "run.h"

#include "base/log.h"
#include "net/loop.h"

bool run_destroy_these(struct run *r, bool (*which)(const struct plan_item *it), struct errs *errs)
{
	const struct guest **guests = arena_array(r->a, r->plan.n, sizeof(const struct guest *));
	size_t n = 0, gone;

	for (size_t i = 0; i < r->plan.n; i++) {
		const struct guest *g = r->plan.items[i].have;

		if (!which(&r->plan.items[i]))
			continue;
		guests[n++] = g;
		log_line(LOG_INFO, "  %6.1fs  %s: destroy (guest %lld on %s)",
		         (double)(loop_now() - r->began) / 1000, g->name, (long long)g->vmid, g->node);
	}
	bool ok = pve_destroy(r->pve, r->a, guests, n, &gone, errs);

	r->destroyed |= gone > 0;
	log_line(LOG_INFO, "%zu of %zu machines destroyed", gone, n);
	return ok;
}

static bool ours(const struct plan_item *it)
{
	return it->have &&
	       (it->action == PLAN_LEAVE || it->action == PLAN_UNCHANGED || it->action == PLAN_UPDATE ||
	        it->action == PLAN_START || it->action == PLAN_COMPLETE);
}

bool run_destroy(struct run *r, struct errs *errs)
{
	size_t n = 0;

	if (!r->pve)
		return err_set(errs_add(errs), ERR_USER, ORIGIN_NONE,
		               "destroy and skip_terraform exclude each other");
	for (size_t i = 0; i < r->plan.n; i++)
		n += ours(&r->plan.items[i]);
	if (n && !inputs_bool(r->in, "confirm_destroy")) {
		struct err *e = errs_add(errs);

		err_set(e, ERR_USER, ORIGIN_NONE, "%zu machines of %s would be destroyed with their data", n,
		        r->model.owner);
		return err_hint(e, "if that is meant, set the input confirm_destroy to true");
	}
	gh_group(&r->gh, "Destroy");
	for (size_t i = 0; i < r->plan.n; i++) {
		if (r->plan.items[i].have && !ours(&r->plan.items[i]))
			log_line(LOG_WARN, "  %s carries no mark of ours: left alone",
			         r->plan.items[i].have->name);
	}
	return run_destroy_these(r, ours, errs);
}
