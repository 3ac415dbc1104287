/*
 * Whether what the plan creates can be created at all: asked before the first write.
 */
#include "proxmox/apply.h"

#include "base/suggest.h"

#include <stdarg.h>

struct preflight {
	struct pve *p;
	struct arena *a;
	const struct pve_world *w;
	const struct model *m;
	const struct pve_apply_opts *o;
	struct errs *errs;
	const struct val *permissions;
};

/* What creating takes, by the kind of path it is asked for. Several names: any of them will do. */
static const struct {
	const char *kind, *privileges;
} needed[] = {
        {"template", "VM.Clone"},
        {"vms", "VM.Allocate"},
        {"vms", "VM.Audit"},
        {"vms", "VM.Config.CPU"},
        {"vms", "VM.Config.Memory"},
        {"vms", "VM.Config.Disk"},
        {"vms", "VM.Config.Network"},
        {"vms", "VM.Config.Options"},
        {"vms", "VM.Config.Cloudinit"},
        {"vms", "VM.PowerMgmt"},
        {"vms", "VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted|VM.Monitor"},
        {"storage", "Datastore.AllocateSpace"},
};

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

bool pve_has_storage(struct pve *p, struct arena *a, const char *node, const char *name, bool *ret,
                     struct err *err)
{
	struct val *list;

	if (!pve_get(p, a, arena_printf(a, "/nodes/%s/storage", node), NULL, &list, err))
		return false;
	*ret = member(list, "storage", name) != NULL;
	return true;
}

static bool check_storage(struct preflight *f, const char *node, struct err *err)
{
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
	else if (str_find(val_map_str(s, "content", "images"), STR("images"), 0) < 0)
		err_hint(wrong(f, "storage '%s' holds no disk images", f->o->storage),
		         "choose another: input proxmox_storage");
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

/* Permissions are inherited from the shorter paths; the answer names those that were set, and "/". */
static bool has_privilege(const struct preflight *f, const char *path, const char *names)
{
	size_t n = strlen(path);

	MAP_EACH (i, f->permissions) {
		struct str at = val_get_str(val_key_at(f->permissions, i));
		const struct val *privs = val_value_at(f->permissions, i);
		bool covers = str_eqc(at, "/") || (at.n <= n && memcmp(at.p, path, at.n) == 0) ||
		              str_starts(at, path);
		struct str rest = str_c(names);

		while (covers && val_is_map(privs) && rest.p) {
			if (val_gets(privs, str_split(&rest, '|')))
				return true;
		}
	}
	return false;
}

static bool check_permissions(struct preflight *f, struct err *err)
{
	const struct guest *t = find_template(f->w, f->o->template, "");
	struct val *all;

	if (!pve_get(f->p, f->a, "/access/permissions", NULL, &all, err))
		return false;
	if (!val_is_map(all))
		return true;
	f->permissions = all;
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		const char *path = "/vms";

		if (strcmp(needed[i].kind, "template") == 0) {
			if (!t)
				continue;
			path = arena_printf(f->a, "/vms/%lld", (long long)t->vmid);
		} else if (strcmp(needed[i].kind, "storage") == 0) {
			path = *f->o->storage ? arena_printf(f->a, "/storage/%s", f->o->storage) : "/storage";
		}
		if (!has_privilege(f, path, needed[i].privileges) &&
		    !(*f->o->pool &&
		      has_privilege(f, arena_printf(f->a, "/pool/%s", f->o->pool), needed[i].privileges)))
			err_hint(wrong(f, "the API token lacks %s on %s", needed[i].privileges, path),
			         "add it in Datacenter > Permissions, for the token or its role");
	}
	return true;
}

static size_t creates(const struct plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		n += plan->items[i].action == PLAN_CREATE;
	return n;
}

/* Each node that gets a machine, once. */
static bool check_places(struct preflight *f, const struct plan *plan, struct err *err)
{
	for (size_t n = 0; n < f->w->n_nodes; n++) {
		bool used = false;

		for (size_t i = 0; i < plan->n && !used; i++)
			used = plan->items[i].action == PLAN_CREATE &&
			       strcmp(place_on(f->a, f->w, f->o, plan, i), f->w->nodes[n]) == 0;
		if (used && (!check_storage(f, f->w->nodes[n], err) || !check_bridge(f, f->w->nodes[n], err)))
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

	if (creates(plan) == 0)
		return true;
	check_template(&f);
	check_nodes(&f);
	if (!check_permissions(&f, &err) || (errs->n == before && !check_places(&f, plan, &err)))
		err_move(errs_add(errs), &err);
	return errs->n == before;
}
