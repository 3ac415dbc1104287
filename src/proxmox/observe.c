/*
 * What there is: nodes, guests, and the configurations of those that may be ours.
 */
#include "proxmox/op.h"

#include <stdlib.h>

/* A guest that a killed run left being made is waited for this long. */
#define MAKING_WAIT_S 1800

struct observer {
	struct pve *p;
	struct arena *a;
	const char *owner;
	struct pve_world *w;
	size_t cap, pending;
	struct pve_op *ops;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool read_nodes(struct observer *o, struct err *err)
{
	struct val *nodes;

	if (!pve_get(o->p, o->a, "/nodes", NULL, &nodes, err))
		return false;
	if (!val_is_list(nodes) || val_len(nodes) == 0)
		return err_set(err, ERR_USER, ORIGIN_NONE, "Proxmox VE names no nodes");
	o->w->nodes = arena_array(o->a, val_len(nodes), sizeof(*o->w->nodes));
	VAL_EACH (i, nodes) {
		const struct val *n = val_at(nodes, i);
		const char *status = val_map_strz(n, "status", "unknown"),
		           *name = val_map_strz(n, "node", NULL);

		/* Without Sys.Audit the status may be missing; an offline node then answers for itself. */
		if (strcmp(status, "offline") != 0 && name)
			o->w->nodes[o->w->n_nodes++] = name;
	}
	qsort(o->w->nodes, o->w->n_nodes, sizeof(*o->w->nodes), by_text);
	return true;
}

/* Runs the operations OPS[0..N) at once and waits for all; the first error wins. */
static void one_less(void *ctx, struct pve_op *op)
{
	(void)op;
	--*(size_t *)ctx;
}

static bool run_all(struct observer *o, struct pve_op *ops, size_t n, struct err *err)
{
	bool ok = true;

	o->pending = n;
	for (size_t i = 0; i < n; i++) {
		ops[i].a = o->a;
		ops[i].method = "GET";
		ops[i].done = one_less;
		ops[i].ctx = &o->pending;
		pve_op_start(o->p, &ops[i]);
	}
	while (ok && o->pending)
		ok = loop_step(o->p->loop, -1, err);
	for (size_t i = 0; i < n; i++) {
		if (!ok)
			pve_op_cancel(&ops[i]);
		else if (err_is(&ops[i].err)) {
			err_move(err, &ops[i].err);
			ok = false;
		}
		err_clear(&ops[i].err);
	}
	return ok;
}

static void add_guest(struct observer *o, const char *node, enum machine_type type, const struct val *v)
{
	struct pve_world *w = o->w;

	w->guests = arena_grow(o->a, w->guests, w->n_guests, &o->cap, sizeof(*w->guests));
	const struct val *tmpl = val_get(v, "template");

	w->guests[w->n_guests++] = (struct guest){
	        .vmid = val_map_int(v, "vmid", 0),
	        .node = node,
	        .name = val_map_strz(v, "name", NULL),
	        .type = type,
	        .status = val_map_strz(v, "status", "unknown"),
	        .lock = val_map_strz(v, "lock", ""),
	        .is_template = tmpl && (val_to_bool(tmpl)),
	};
}

static bool list_guests(struct observer *o, struct err *err)
{
	size_t n = o->w->n_nodes * 2;
	struct pve_op *ops = arena_array(o->a, n, sizeof(*ops));

	o->w->n_guests = 0;
	for (size_t i = 0; i < n; i++)
		ops[i].path = arena_printf(o->a, "/nodes/%s/%s", o->w->nodes[i / 2],
		                           guest_kind((enum machine_type)(i % 2))->api);
	if (!run_all(o, ops, n, err))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!val_is_list(ops[i].data))
			continue;
		VAL_EACH (j, ops[i].data) {
			if (val_is_map(val_at(ops[i].data, j)))
				add_guest(o, o->w->nodes[i / 2], (enum machine_type)(i % 2),
				          val_at(ops[i].data, j));
		}
	}
	return true;
}

/* Whether this token is making a guest anywhere. */
static bool own_making_runs(struct observer *o, bool *ret, struct err *err)
{
	struct pve_op *ops = arena_array(o->a, o->w->n_nodes, sizeof(*ops));

	for (size_t i = 0; i < o->w->n_nodes; i++)
		ops[i].path = arena_printf(o->a, "/nodes/%s/tasks?" TASKS_UNDER_WAY, o->w->nodes[i]);
	*ret = false;
	if (!run_all(o, ops, o->w->n_nodes, err))
		return false;
	for (size_t i = 0; i < o->w->n_nodes; i++)
		*ret |= pve_own_making_runs(o->p, ops[i].data);
	return true;
}

static void wake(void *ctx)
{
	*(bool *)ctx = true;
}

static bool pause_ms(struct observer *o, int ms, struct err *err)
{
	bool up = false;
	struct loop_timer t = {.fn = wake, .ctx = &up};

	loop_timer_set(o->p->loop, &t, pve_ms(o->p, ms));
	while (!up) {
		if (!loop_step(o->p->loop, -1, err)) {
			loop_timer_stop(o->p->loop, &t);
			return false;
		}
	}
	return true;
}

/* A guest that is still being made has no name yet, and for a moment there is only the task: it could be
 * ours. */
static bool settle_makings(struct observer *o, struct err *err)
{
	int64_t until = loop_now() + (int64_t)MAKING_WAIT_S * 1000;
	bool runs;

	do {
		if (!own_making_runs(o, &runs, err) || (runs && !pause_ms(o, 1000, err)))
			return false;
	} while (runs && loop_now() < until);
	return true;
}

static bool may_be_ours(const struct observer *o, const struct guest *g)
{
	size_t n = strlen(o->owner);

	return g->name && !g->is_template && strncasecmp(g->name, o->owner, n) == 0 &&
	       (g->name[n] == '-' || g->name[n] == '\0');
}

/* Each with what of it waits for a restart. */
static bool read_configs(struct observer *o, struct err *err)
{
	static const char *const parts[] = {"config", "pending"};
	struct pve_world *w = o->w;
	struct pve_op *ops = arena_array(o->a, 2 * w->n_guests, sizeof(*ops));
	size_t *whose = arena_array(o->a, w->n_guests, sizeof(*whose)), n = 0;

	for (size_t i = 0; i < w->n_guests; i++) {
		const struct guest *g = &w->guests[i];

		if (!may_be_ours(o, g))
			continue;
		for (size_t k = 0; k < 2; k++)
			ops[2 * n + k].path =
			        arena_printf(o->a, "/nodes/%s/%s/%lld/%s", g->node, guest_kind(g->type)->api,
			                     (long long)g->vmid, parts[k]);
		whose[n++] = i;
	}
	if (!run_all(o, ops, 2 * n, err))
		return false;
	for (size_t i = 0; i < n; i++) {
		struct guest *g = &w->guests[whose[i]];
		struct val *config = ops[2 * i].data;

		if (!val_is_map(config))
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "guest %lld has no configuration",
			               (long long)g->vmid);
		g->config = config;
		g->pending = ops[2 * i + 1].data;
		if (val_get(config, "lock"))
			g->lock = val_map_strz(config, "lock", "");
	}
	return true;
}

bool pve_observe(struct pve *p, struct arena *a, const char *owner, struct pve_world *ret, struct err *err)
{
	struct observer o = {.p = p, .a = a, .owner = owner, .w = ret};
	struct val *version;

	*ret = (struct pve_world){0};
	if (!pve_get(p, a, "/version", NULL, &version, err) || !read_nodes(&o, err) ||
	    !settle_makings(&o, err) || !list_guests(&o, err) || !read_configs(&o, err))
		return err_wrap(err, ORIGIN_NONE, "reading Proxmox VE at %s", p->base);
	ret->version = val_is_map(version) ? val_map_strz(version, "version", "unknown") : "unknown";
	return true;
}
