/*
 * Whether what the plan creates can be created at all: asked before the first write.
 */
#include "proxmox/apply.h"
#include "proxmox/strangers.h"

#include "base/suggest.h"

#include <stdarg.h>
#include <stdlib.h>

struct preflight {
	struct pve *p;
	struct arena *a;
	const struct pve_world *w;
	const struct model *m;
	const struct pve_apply_opts *o;
	struct errs *errs;
	const struct val *permissions;
};

enum { VMS = 1, CONTAINERS = 2, PRIVILEGED = 4 };

/* What creating takes, by the kind of path it is asked for. Several names: any of them will do. */
static const struct {
	const char *kind, *privileges;
	unsigned of;
} needed[] = {
        {"template", "VM.Clone", VMS},
        {"vms", "VM.Allocate", VMS | CONTAINERS},
        {"vms", "VM.Audit", VMS | CONTAINERS},
        {"vms", "VM.Config.CPU", VMS | CONTAINERS},
        {"vms", "VM.Config.Memory", VMS | CONTAINERS},
        {"vms", "VM.Config.Disk", VMS | CONTAINERS},
        {"vms", "VM.Config.Network", VMS | CONTAINERS},
        {"vms", "VM.Config.Options", VMS | CONTAINERS},
        {"vms", "VM.Config.Cloudinit", VMS},
        {"vms", "VM.PowerMgmt", VMS | CONTAINERS},
        /* To read host keys and ask cloud-init, not only to look. */
        {"vms", "VM.GuestAgent.Unrestricted|VM.Monitor", VMS},
        {"storage", "Datastore.AllocateSpace", VMS | CONTAINERS},
        {"bridge", "SDN.Use", VMS | CONTAINERS},
        {"all", "Sys.Modify", PRIVILEGED},
};

/* The releases of Proxmox VE since which a bridge, and a privileged container, take a privilege. */
#define BRIDGES_ARE_GUARDED 8
#define PRIVILEGED_IS_GUARDED 9

static struct err *wrong(struct preflight *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static struct err *wrong(struct preflight *f, const char *fmt, ...)
{
	struct err *e = errs_add(f->errs);
	va_list ap;

	va_start(ap, fmt);
	err_set(e, ERR_USER, ORIGIN_NONE, "%s", arena_vprintf(f->a, fmt, ap));
	va_end(ap);
	return e;
}

static void check_template(struct preflight *f)
{
	struct suggest s = {.name = str_c(f->o->template)};

	if (!*f->o->template) {
		err_hint(wrong(f, "no template is named to make machines from"), "set the input vm_template");
		return;
	}
	if (find_template(f->w, f->o->template, ""))
		return;
	for (size_t i = 0; i < f->w->n_guests; i++) {
		const struct guest *g = &f->w->guests[i];

		if (!g->name)
			continue;
		if (!g->is_template && strcmp(g->name, f->o->template) == 0) {
			err_hint(wrong(f, "guest %lld (%s) is no template", (long long)g->vmid, g->name),
			         "convert it, or name another in vm_template");
			return;
		}
		if (g->is_template)
			suggest_offer(&s, g->name);
	}
	struct err *e =
	        wrong(f, "there is no VM template '%s' (or the token may not see it)", f->o->template);

	if (s.best)
		err_hint(e, "did you mean %s?", s.best);
	else
		err_hint(e, "set the input vm_template to a template's name or id; the token needs VM.Audit "
		            "on it");
}

static void check_features(struct preflight *f)
{
	if (f->o->privileged && f->o->nesting)
		err_hint(wrong(f, "Proxmox VE lets no API token make a privileged container with nesting"),
		         "leave lxc_unprivileged at true, or lxc_nesting at false");
}

static bool node_known(const struct preflight *f, struct str node)
{
	for (size_t i = 0; i < f->w->n_nodes; i++) {
		if (str_eqc(node, f->w->nodes[i]))
			return true;
	}
	return false;
}

static void check_nodes(struct preflight *f)
{
	struct str rest = str_c(f->o->nodes);

	while (rest.p && rest.n) {
		struct str node = str_trim(str_split(&rest, ','));
		struct suggest s = {.name = node};

		if (!node.n || node_known(f, node))
			continue;
		for (size_t i = 0; i < f->w->n_nodes; i++)
			suggest_offer(&s, f->w->nodes[i]);
		struct err *e = wrong(f, "there is no online node '%.*s'", STR_FMT(node));

		if (s.best)
			err_hint(e, "did you mean %s?", s.best);
		else
			err_hint(e, "check the input proxmox_node");
	}
}

/* One of the members of LIST has KEY equal to WANT. */
static const struct val *member(const struct val *list, const char *key, const char *want)
{
	if (!list || !val_is_list(list))
		return NULL;
	VAL_EACH (i, list) {
		const struct val *v = val_at(list, i);

		if (val_is_map(v) && str_eqc(val_map_str(v, key, ""), want))
			return v;
	}
	return NULL;
}

bool pve_storages(struct pve *p, struct arena *a, const char *node, const char *content, struct val **ret,
                  struct err *err)
{
	struct val *which = val_map(a), *list;

	val_set(which, "content", val_strz(a, content));
	val_set(which, "enabled", val_strz(a, "1"));
	if (!pve_get(p, a, arena_printf(a, "/nodes/%s/storage", node), which, &list, err))
		return false;
	*ret = val_list(a);
	for (size_t i = 0; val_is_list(list) && i < val_len(list); i++) {
		const struct val *s = val_at(list, i);
		const char *name = val_is_map(s) ? val_map_strz(s, "storage", "") : "";

		if (*name && val_map_int(s, "active", 1))
			val_push(*ret, val_strz(a, name));
	}
	return true;
}

bool pve_archives(struct pve *p, struct arena *a, const char *node, struct val **ret, struct err *err)
{
	struct val *which = val_map(a), *storages, *list;

	*ret = val_list(a);
	val_set(which, "content", val_strz(a, "vztmpl"));
	if (!pve_storages(p, a, node, "vztmpl", &storages, err))
		return false;
	VAL_EACH (i, storages) {
		const char *path = arena_printf(a, "/nodes/%s/storage/%s/content", node,
		                                val_get_strz(val_at(storages, i)));

		if (!pve_get(p, a, path, which, &list, err))
			return false;
		for (size_t k = 0; val_is_list(list) && k < val_len(list); k++) {
			const struct val *v = val_at(list, k);
			const char *id = val_is_map(v) ? val_map_strz(v, "volid", "") : "";

			if (*id)
				val_push(*ret, val_strz(a, id));
		}
	}
	return true;
}

/* Proxmox VE clones to another node only where both reach the disk. */
static void check_shared(struct preflight *f, const struct val *storage, const char *node)
{
	const struct guest *t = find_template(f->w, f->o->template, node);

	if (val_map_int(storage, "shared", 1) || !t || strcmp(t->node, node) == 0)
		return;
	err_hint(wrong(f,
	               "storage '%s' is not shared: a machine on node %s cannot be cloned to it from the "
	               "template, which is on %s",
	               f->o->storage, node, t->node),
	         "choose a shared storage (proxmox_storage), only the template's node (proxmox_node), or put "
	         "a copy "
	         "of the template on every node, under the same name");
}

static bool check_storage(struct preflight *f, const char *node, struct err *err)
{
	bool vm = f->m->type == MACHINE_VM;
	struct str wants = vm ? STR("images") : STR("rootdir");
	struct val *list;
	int64_t active = 1;

	if (!*f->o->storage)
		return true;
	if (!pve_get(f->p, f->a, arena_printf(f->a, "/nodes/%s/storage", node), NULL, &list, err))
		return false;
	const struct val *s = member(list, "storage", f->o->storage);

	if (!s) {
		err_hint(wrong(f, "node %s has no storage '%s' (or the token may not see it)", node,
		               f->o->storage),
		         "check the input proxmox_storage");
		return true;
	}
	active = val_map_int(s, "active", 1);
	if (!active)
		wrong(f, "storage '%s' on node %s is not active", f->o->storage, node);
	else if (str_find(val_map_str(s, "content", wants.p), wants, 0) < 0)
		err_hint(wrong(f, "storage '%s' holds no %s", f->o->storage,
		               vm ? "disk images" : "disks of containers (rootdir)"),
		         "choose another: input proxmox_storage");
	else if (vm)
		check_shared(f, s, node);
	return true;
}

static bool check_bridge(struct preflight *f, const char *node, struct err *err)
{
	struct val *list;
	struct val *type = val_map(f->a);

	val_set(type, "type", val_strz(f->a, "any_bridge"));
	if (!pve_get(f->p, f->a, arena_printf(f->a, "/nodes/%s/network", node), type, &list, err))
		return false;
	if (val_is_list(list) && val_len(list) && !member(list, "iface", f->m->net.bridge))
		err_hint(wrong(f, "node %s has no bridge '%s'", node, f->m->net.bridge),
		         "check the input bridge");
	return true;
}

/* PATH is TOP or something below it. */
static bool is_below(struct str path, struct str top)
{
	return path.n >= top.n && memcmp(path.p, top.p, top.n) == 0 &&
	       (path.n == top.n || path.p[top.n] == '/');
}

/* Permissions are inherited from the shorter paths; the answer names those that were set, and "/". */
static bool has_privilege(const struct preflight *f, const char *path, const char *names)
{
	size_t n = strlen(path);

	MAP_EACH (i, f->permissions) {
		struct str at = val_get_str(val_key_at(f->permissions, i));
		const struct val *privs = val_value_at(f->permissions, i);
		bool covers =
		        str_eqc(at, "/") || is_below(str_n(path, n), at) || is_below(at, str_n(path, n));
		struct str rest = str_c(names);

		while (covers && val_is_map(privs) && rest.p) {
			if (val_gets(privs, str_split(&rest, '|')))
				return true;
		}
	}
	return false;
}

/* The path that the privilege of row I is asked for; NULL: it is not needed here. */
static const char *needed_on(const struct preflight *f, size_t i)
{
	const struct guest *t = find_template(f->w, f->o->template, "");
	const char *kind = needed[i].kind;
	long release = strtol(f->w->version, NULL, 10);
	unsigned makes = f->m->type == MACHINE_VM ? VMS : CONTAINERS | (f->o->privileged ? PRIVILEGED : 0u);

	if (!(needed[i].of & makes))
		return NULL;
	if (strcmp(kind, "template") == 0)
		return t ? arena_printf(f->a, "/vms/%lld", (long long)t->vmid) : NULL;
	if (strcmp(kind, "storage") == 0)
		return *f->o->storage ? arena_printf(f->a, "/storage/%s", f->o->storage) : "/storage";
	if (strcmp(kind, "bridge") == 0)
		return release >= BRIDGES_ARE_GUARDED
		               ? arena_printf(f->a, "/sdn/zones/localnetwork/%s", f->m->net.bridge)
		               : NULL;
	if (strcmp(kind, "all") == 0)
		return release >= PRIVILEGED_IS_GUARDED ? "/" : NULL;
	return "/vms";
}

static bool check_permissions(struct preflight *f, struct err *err)
{
	struct val *all;

	if (!pve_get(f->p, f->a, "/access/permissions", NULL, &all, err))
		return false;
	if (!val_is_map(all))
		return true;
	f->permissions = all;
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		const char *path = needed_on(f, i);

		if (path && !has_privilege(f, path, needed[i].privileges) &&
		    !(*f->o->pool &&
		      has_privilege(f, arena_printf(f->a, "/pool/%s", f->o->pool), needed[i].privileges)))
			err_hint(wrong(f, "the API token lacks %s on %s", needed[i].privileges, path),
			         "add it in Datacenter > Permissions, for the token or its role");
	}
	return true;
}

/* ---- containers ---- */

/* "A, B", or what there is to do where there is none. */
static const char *joined(struct arena *a, const struct val *names, const char *none)
{
	struct buf b = {0};

	VAL_EACH (i, names)
		buf_printf(&b, "%s%s", i ? ", " : "", val_get_strz(val_at(names, i)));
	const char *z = b.n ? buf_take(&b, a).p : none;

	buf_free(&b);
	return z;
}

/* What nobody named and no node decides, shown by what NODE has. */
static bool check_named(struct preflight *f, const char *node, struct err *err)
{
	struct val *there;

	if (!*f->o->template) {
		if (!pve_archives(f->p, f->a, node, &there, err))
			return false;
		err_hint(wrong(f, "no container template is named to make machines from"),
		         "set the input lxc_template; node %s has: %s", node,
		         joined(f->a, there, "none (pveam download STORAGE ARCHIVE)"));
	}
	if (!*f->o->storage) {
		if (!pve_storages(f->p, f->a, node, "rootdir", &there, err))
			return false;
		err_hint(wrong(f, "no storage is named for the containers' disks"),
		         "set the input proxmox_storage; node %s has: %s", node,
		         joined(f->a, there, "none that may hold them (content rootdir)"));
	}
	return true;
}

/* On each node that gets one. */
static bool check_archive(struct preflight *f, const char *node, struct err *err)
{
	struct suggest s = {.name = str_c(f->o->template)};
	struct val *there;

	if (!pve_archives(f->p, f->a, node, &there, err))
		return false;
	VAL_EACH (i, there) {
		const char *one = val_get_strz(val_at(there, i));

		if (strcmp(one, f->o->template) == 0)
			return true;
		suggest_offer(&s, one);
	}
	struct err *e = wrong(f, "node %s has no container template '%s'", node, f->o->template);

	if (s.best)
		err_hint(e, "did you mean %s?", s.best);
	else
		err_hint(e, "check the input lxc_template; the node has: %s",
		         joined(f->a, there, "none (pveam download STORAGE ARCHIVE)"));
	return true;
}

static size_t creates(const struct plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		n += plan->items[i].action == PLAN_CREATE;
	return n;
}

static bool check_place(struct preflight *f, const char *node, struct err *err)
{
	return check_storage(f, node, err) && check_bridge(f, node, err) &&
	       (f->m->type == MACHINE_VM || check_archive(f, node, err));
}

/* Each node that gets a machine, once. */
static bool check_places(struct preflight *f, const struct plan *plan, struct err *err)
{
	bool named = f->m->type == MACHINE_VM || (*f->o->template && *f->o->storage);

	for (size_t n = 0; n < f->w->n_nodes; n++) {
		const char *node = f->w->nodes[n];
		bool used = false;

		for (size_t i = 0; i < plan->n && !used; i++)
			used = plan->items[i].action == PLAN_CREATE &&
			       strcmp(place_on(f->a, f->w, f->o, plan, i), node) == 0;
		if (used && !named)
			return check_named(f, node, err);
		if (used && !check_place(f, node, err))
			return false;
	}
	return true;
}

/* A machine that runs is cut off at once when its new bridge is not there. */
static bool check_moved(struct preflight *f, const struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct plan_item *it = &plan->items[i];

		if (it->have && it->want && val_get(it->config, "net0") &&
		    !check_bridge(f, it->have->node, err))
			return false;
	}
	return true;
}

bool pve_preflight(struct pve *p, struct arena *a, const struct pve_world *w, const struct model *m,
                   const struct plan *plan, const struct pve_apply_opts *o, struct errs *errs)
{
	struct preflight f = {.p = p, .a = a, .w = w, .m = m, .o = o, .errs = errs};
	size_t before = errs->n;
	struct err err = {0};

	if (creates(plan) == 0) {
		if (!check_moved(&f, plan, &err))
			err_move(errs_add(errs), &err);
		return errs->n == before;
	}
	/* Behind a jump host nobody can be asked from here. */
	struct strangers *there = o->ssh_port ? strangers_ask(p, a, plan, o->ssh_port) : NULL;

	if (m->type == MACHINE_VM)
		check_template(&f);
	else
		check_features(&f);
	check_nodes(&f);
	if (!check_permissions(&f, &err) || !check_moved(&f, plan, &err) ||
	    (errs->n == before && !check_places(&f, plan, &err)) ||
	    (there && !strangers_heard(there, errs, &err)))
		err_move(errs_add(errs), &err);
	return errs->n == before;
}
