/*
 * From what machines are made, and where: the inputs, and what Proxmox VE has under the names they always
 * had. Where nothing is to be made, nobody is asked.
 */
#include "run.h"

static bool makes(const struct run *r)
{
	for (size_t i = 0; i < r->plan.n; i++) {
		if (r->plan.items[i].action == PLAN_CREATE)
			return true;
	}
	return false;
}

static bool holds(const struct val *list, const char *text)
{
	VAL_EACH (i, list) {
		if (strcmp(val_get_strz(val_at(list, i)), text) == 0)
			return true;
	}
	return false;
}

/* A value nobody gave, but that Proxmox VE has under the name it always had, is taken. */
static const char *choose_nodes(struct run *r)
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

static const char *choose_template(struct run *r)
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

/* ---- containers: an archive lies on the nodes it was downloaded to ---- */

/* ARCHIVES[i] is what node i has. */
static const char *choose_archive(struct run *r, struct val *const *archives)
{
	const char *given = inputs_get(r->in, "lxc_template"), *prefer = inputs_prefer(r->in, "lxc_template"),
	           *only = "";
	size_t n = 0;

	if (*given)
		return given;
	for (size_t i = 0; i < r->world.n_nodes; i++) {
		if (holds(archives[i], prefer))
			return prefer;
		VAL_EACH (k, archives[i]) {
			const char *one = val_get_strz(val_at(archives[i], k));

			n += strcmp(only, one) != 0;
			only = one;
		}
	}
	return n == 1 ? only : "";
}

/* Of the nodes nobody named those that have the archive, or all when none has: that is then said of each. */
static const char *nodes_with(struct run *r, struct val *const *archives, const char *archive)
{
	struct buf b = {0};

	for (size_t i = 0; i < r->world.n_nodes; i++) {
		if (holds(archives[i], archive))
			buf_printf(&b, "%s%s", b.n ? "," : "", r->world.nodes[i]);
	}
	const char *z = b.n ? buf_take(&b, r->a).p : choose_nodes(r);

	buf_free(&b);
	return z;
}

static bool choose_for_containers(struct run *r, struct pve_apply_opts *o, struct err *err)
{
	struct val **archives = arena_array(r->a, r->world.n_nodes, sizeof(*archives));

	o->template = "";
	o->nodes = choose_nodes(r);
	if (!makes(r))
		return true;
	for (size_t i = 0; i < r->world.n_nodes; i++) {
		if (!pve_archives(r->pve, r->a, r->world.nodes[i], &archives[i], err))
			return false;
	}
	o->template = choose_archive(r, archives);
	if (!*inputs_get(r->in, "proxmox_node"))
		o->nodes = nodes_with(r, archives, o->template);
	return true;
}

/* ---- storage ---- */

/* On the first node that may get a machine. A container has no template whose storage it could take: it gets
 * the only one for its kind. */
static bool choose_storage(struct run *r, const char *nodes, const char **ret, struct err *err)
{
	const char *prefer = inputs_prefer(r->in, "proxmox_storage");
	bool containers = r->model.type == MACHINE_LXC, known = false;
	struct str rest = str_c(nodes);
	const char *node = str_dup(r->a, str_trim(str_split(&rest, ','))).p;
	struct val *there;

	*ret = inputs_get(r->in, "proxmox_storage");
	/* A node that is not there is the preflight's to refuse. */
	for (size_t i = 0; i < r->world.n_nodes; i++)
		known |= strcmp(r->world.nodes[i], node) == 0;
	if (**ret || !makes(r) || !known)
		return true;
	if (!pve_storages(r->pve, r->a, node, containers ? "rootdir" : "images", &there, err))
		return false;
	if (holds(there, prefer))
		*ret = prefer;
	else if (containers && val_len(there) == 1)
		*ret = val_get_strz(val_at(there, 0));
	return true;
}

bool run_places(struct run *r, struct pve_apply_opts *ret, struct err *err)
{
	if (r->model.type == MACHINE_VM) {
		ret->nodes = choose_nodes(r);
		ret->template = choose_template(r);
	} else if (!choose_for_containers(r, ret, err)) {
		return false;
	}
	return choose_storage(r, ret->nodes, &ret->storage, err);
}
