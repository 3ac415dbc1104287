/*
 * Guests' end: each is stopped, then deleted; several at once.
 */
#include "proxmox/op.h"

/* More would only wait for each other's storage lock. */
#define DESTROYS_MAX 8

struct leaver {
	struct pve *p;
	const struct guest *g;
	const char *what; /* what the operation under way does, for its error */
	bool gone;
	size_t *running;
	struct pve_op op;
};

static void begin(struct leaver *l, const char *what, const char *method, const char *path,
                  struct val *params, const char *task_type, void (*done)(void *, struct pve_op *))
{
	struct arena *a = l->op.a;

	l->what = what;
	l->op = (struct pve_op){.a = a,
	                        .method = method,
	                        .path = arena_printf(a, "/nodes/%s/%s/%lld%s", l->g->node,
	                                             guest_kind(l->g->type)->api, (long long)l->g->vmid,
	                                             path),
	                        .params = params,
	                        .node = l->g->node,
	                        .task_type = task_type,
	                        .vmid = l->g->vmid,
	                        .done = done,
	                        .ctx = l};
	pve_op_start(l->p, &l->op);
}

/* One that is not there any more is what was wanted: an earlier run's deletion may have ended meanwhile. */
static void end(struct leaver *l)
{
	l->gone = l->op.gone || !err_is(&l->op.err);
	if (l->gone)
		err_clear(&l->op.err);
	--*l->running;
}

static void deleted(void *ctx, struct pve_op *op)
{
	(void)op;
	end(ctx);
}

static void delete_it(struct leaver *l)
{
	struct val *how = val_map(l->op.a);

	val_set(how, "purge", val_strz(l->op.a, "1"));
	val_set(how, "destroy-unreferenced-disks", val_strz(l->op.a, "1"));
	begin(l, "deleting", "DELETE", "", how, guest_kind(l->g->type)->destroy, deleted);
}

static void stopped(void *ctx, struct pve_op *op)
{
	struct leaver *l = ctx;

	if (err_is(&op->err))
		end(l);
	else
		delete_it(l);
}

static void start(struct leaver *l)
{
	++*l->running;
	if (strcmp(l->g->status, "running") == 0)
		begin(l, "stopping", "POST", "/status/stop", val_map(l->op.a), guest_kind(l->g->type)->stop,
		      stopped);
	else
		delete_it(l);
}

bool pve_destroy(struct pve *p, struct arena *a, const struct guest *const *guests, size_t n,
                 size_t *ret_gone, struct errs *errs)
{
	struct leaver *all = arena_array(a, n, sizeof(*all));
	size_t running = 0, started = 0, before = errs->n;
	struct err err = {0};
	bool ok = true;

	*ret_gone = 0;
	while (ok && (running || started < n)) {
		while (started < n && running < DESTROYS_MAX) {
			struct leaver *l = &all[started];

			*l = (struct leaver){
			        .p = p, .g = guests[started++], .running = &running, .op = {.a = a}};
			start(l);
		}
		ok = loop_step(p->loop, -1, &err);
	}
	for (size_t i = 0; i < started; i++) {
		struct leaver *l = &all[i];

		if (!ok)
			pve_op_cancel(&l->op);
		*ret_gone += l->gone;
		if (err_is(&l->op.err)) {
			err_wrap(&l->op.err, ORIGIN_NONE, "%s machine %s (guest %lld on node %s)", l->what,
			         l->g->name, (long long)l->g->vmid, l->g->node);
			err_move(errs_add(errs), &l->op.err);
		}
	}
	if (err_is(&err))
		err_move(errs_add(errs), &err);
	return errs->n == before;
}
