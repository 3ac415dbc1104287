/*
 * A guest's end.
 */
#include "proxmox/op.h"

static bool run(struct pve *p, struct arena *a, const struct guest *g, const char *method, const char *path,
                struct val *params, const char *task_type, struct err *err)
{
	struct pve_op op = {.a = a,
	                    .method = method,
	                    .path = arena_printf(a, "/nodes/%s/%s/%lld%s", g->node,
	                                         g->type == MACHINE_VM ? "qemu" : "lxc", (long long)g->vmid,
	                                         path),
	                    .params = params,
	                    .node = g->node,
	                    .task_type = task_type,
	                    .vmid = g->vmid};

	return pve_op_run(p, &op, NULL, err);
}

bool pve_destroy(struct pve *p, struct arena *a, const struct guest *g, struct err *err)
{
	bool vm = g->type == MACHINE_VM;
	struct val *how = val_map(a);

	val_set(how, "purge", val_strz(a, "1"));
	val_set(how, "destroy-unreferenced-disks", val_strz(a, "1"));
	if (strcmp(g->status, "running") == 0 &&
	    !run(p, a, g, "POST", "/status/stop", val_map(a), vm ? "qmstop" : "vzstop", err))
		return err_wrap(err, ORIGIN_NONE, "stopping %s", g->name);
	if (!run(p, a, g, "DELETE", "", how, vm ? "qmdestroy" : "vzdestroy", err))
		return err_wrap(err, ORIGIN_NONE, "deleting %s", g->name);
	return true;
}
