/*
 * A new guest: its id, the guest itself, and that no other run makes it too.
 */
#include "proxmox/steps.h"

/* ---- an id ---- */

/* nextid reserves nothing: the ids of this run are remembered, and a clash asks for another. */

#define ID_FIRST 100
#define ID_LAST 999999999

static bool id_used(const struct apply *r, int64_t id)
{
	for (size_t i = 0; i < r->n_ids; i++) {
		if (r->ids[i] == id)
			return true;
	}
	return false;
}

/* Takes the first id from ID on that this run does not have, less SKIP of them. */
static int64_t take_id(struct apply *r, int64_t id, size_t skip)
{
	while (id_used(r, id) || skip) {
		skip -= !id_used(r, id);
		id++;
	}
	if (r->n_ids < sizeof(r->ids) / sizeof(*r->ids))
		r->ids[r->n_ids++] = id;
	return id;
}

/* Machines in front that have no id yet: ids follow the order of the instances, whoever is answered first. */
static size_t in_front(const struct job *j)
{
	size_t n = 0;

	for (const struct job *k = j->run->jobs; k < j; k++)
		n += k->active && !k->ended && !k->m->vmid;
	return n;
}

enum step_start id_start(struct job *j)
{
	struct val *p = job_params(j);

	if (j->m->vmid)
		job_put(p, j, "vmid", arena_printf(j->run->a, "%lld", (long long)j->m->vmid));
	job_call_at(j, "GET", "/cluster/nextid", p, NULL, NULL, 0);
	return STEP_WAIT;
}

bool id_done(struct job *j)
{
	struct apply *r = j->run;
	int64_t id = 0;

	/* 400 for an id that somebody has: ask for the one behind it. */
	if (err_is(&j->op.err)) {
		if (j->op.status != 400 || !j->m->vmid)
			return !job_op_failed(j) && false;
		j->m->vmid = take_id(r, j->m->vmid + 1, 0);
		id_start(j);
		return false;
	}
	struct str s = val_text(j->op.data, r->a);

	if (!str_int(s, &id) || id < ID_FIRST || id > ID_LAST) {
		job_fail(j, ERR_REMOTE, "Proxmox VE names no free id: %.*s", STR_FMT(s));
		return false;
	}
	if (id == j->m->vmid)
		return true;
	j->m->vmid = take_id(r, id, in_front(j));
	if (id == j->m->vmid)
		return true;
	id_start(j);
	return false;
}

/* ---- the guest ---- */

/* A request that lost its answer may still wait for a lock before anything of it shows. */
#define MAKING_SHOWS_S 10
#define MAKING_TAKES_S 1800

/* Looks whether the guest that has our id is the one we asked for. A clone is made on the template's node and
 * then moves to its own; before there is a guest there is a task. */
static enum step_start look_for_it(struct job *j)
{
	struct arena *a = j->run->a;
	const char *node = j->look == LOOK_OWN_NODE ? j->m->node : j->from_node;

	if (j->look == LOOK_TASKS)
		job_call_at(j, "GET", arena_printf(a, "/nodes/%s/tasks?" TASKS_UNDER_WAY, node), NULL, NULL,
		            NULL, 0);
	else
		job_call_at(j, "GET",
		            arena_printf(a, "/nodes/%s/%s/%lld/config", node, j->kind->api,
		                         (long long)j->m->vmid),
		            NULL, NULL, NULL, 0);
	return STEP_WAIT;
}

static bool begin_look(struct job *j)
{
	err_clear(&j->op.err);
	j->look = LOOK_SOURCE_NODE;
	j->unsure = true;
	j->look_until = loop_now() + (int64_t)pve_ms(j->run->p, MAKING_SHOWS_S * 1000);
	j->ready_by = loop_now() + (int64_t)pve_ms(j->run->p, MAKING_TAKES_S * 1000);
	job_progress(j, "the answer was lost: looking for what became of it");
	look_for_it(j);
	return false;
}

enum step_start clone_start(struct job *j)
{
	if (j->look)
		return look_for_it(j);
	struct apply *r = j->run;
	const struct guest *t = j->template;
	struct val *p = job_params(j);

	if (!t) {
		job_fail(j, ERR_USER, "there is no VM template '%s'", r->o->template);
		return STEP_FAILED;
	}
	job_put(p, j, "newid", arena_printf(r->a, "%lld", (long long)j->m->vmid));
	job_put(p, j, "name", j->want->name);
	job_put(p, j, "description", plan_description(r->a, r->model, j->want, true));
	job_put(p, j, "full", "1");
	if (strcmp(t->node, j->m->node) != 0)
		job_put(p, j, "target", j->m->node);
	if (r->o->storage && *r->o->storage)
		job_put(p, j, "storage", r->o->storage);
	if (r->o->pool && *r->o->pool)
		job_put(p, j, "pool", r->o->pool);
	j->from_node = t->node;
	job_call_at(j, "POST", arena_printf(r->a, "/nodes/%s/qemu/%lld/clone", t->node, (long long)t->vmid),
	            p, j->kind->make, t->node, t->vmid);
	return STEP_WAIT;
}

/* Its keys, disk and kind can be set at no later time; the rest is what a half made one is given, too. */
enum step_start create_start(struct job *j)
{
	if (j->look)
		return look_for_it(j);
	const struct apply *r = j->run;
	struct val *p = plan_config(r->a, r->model, j->want, r->o->plan, NULL);

	job_put(p, j, "vmid", arena_printf(r->a, "%lld", (long long)j->m->vmid));
	job_put(p, j, "ostemplate", r->o->template);
	job_put(p, j, "hostname", j->want->name);
	job_put(p, j, "description", plan_description(r->a, r->model, j->want, true));
	job_put(p, j, "storage", r->o->storage);
	job_put(p, j, "rootfs", arena_printf(r->a, "%s:%lld", r->o->storage, (long long)j->want->disk_gb));
	job_put(p, j, "ssh-public-keys", r->o->plan->public_keys);
	job_put(p, j, "unprivileged", r->o->privileged ? "0" : "1");
	/* Even nothing, sent, takes a right that no token has. */
	if (r->o->nesting)
		job_put(p, j, "features", "nesting=1");
	if (r->o->pool && *r->o->pool)
		job_put(p, j, "pool", r->o->pool);
	j->from_node = j->m->node;
	job_call_at(j, "POST", arena_printf(r->a, "/nodes/%s/lxc", j->m->node), p, j->kind->make, j->m->node,
	            j->m->vmid);
	return STEP_WAIT;
}

/* Somebody was quicker. The id is theirs; ours is another. */
static bool choose_again(struct job *j)
{
	err_clear(&j->op.err);
	j->look = LOOK_NOT;
	j->unsure = false;
	j->m->vmid = 0;
	j->step--;
	id_start(j);
	return false;
}

static bool nowhere_to_be_seen(struct job *j)
{
	/* What this token makes, one of them ours perhaps, is waited for. */
	if (pve_own_making_runs(j->run->p, j->op.data) || loop_now() < j->look_until) {
		j->look = LOOK_SOURCE_NODE;
		job_again(j, "it has not shown up yet");
		return false;
	}
	/* It never began, or failed and was cleaned up: once more. */
	j->look = LOOK_NOT;
	job_again(j, "its making came to nothing");
	return false;
}

static bool done_look(struct job *j)
{
	if (j->look == LOOK_TASKS)
		return !job_op_failed(j) && nowhere_to_be_seen(j);
	if (err_is(&j->op.err)) {
		if (!strstr(err_msg(&j->op.err), "does not exist"))
			return !job_op_failed(j) && false;
		j->look = j->look == LOOK_SOURCE_NODE && strcmp(j->from_node, j->m->node) != 0 ? LOOK_OWN_NODE
		                                                                               : LOOK_TASKS;
		look_for_it(j);
		return false;
	}
	if (val_is_map(j->op.data) && val_get(j->op.data, "lock")) {
		j->look = LOOK_SOURCE_NODE;
		job_again(j, "it is still being made");
		return false;
	}
	if (!val_is_map(j->op.data) ||
	    strcmp(val_map_strz(j->op.data, j->kind->name_key, ""), j->want->name) != 0)
		return choose_again(j);
	j->look = LOOK_NOT;
	return true;
}

bool make_done(struct job *j)
{
	if (j->look)
		return done_look(j);
	j->unsure |= j->op.unsure;
	if (err_is(&j->op.err) && (j->op.lost || (j->op.taken && j->unsure)))
		return begin_look(j);
	if (err_is(&j->op.err) && j->op.taken)
		return choose_again(j);
	return !job_op_failed(j);
}

/* ---- two runs at once ---- */

/* The other gives way within this, if it has seen us; else it was here first. */
#define WAY_S 30

enum step_start twin_start(struct job *j)
{
	const char *node = j->run->w->nodes[j->asked];

	if (!j->asked && !j->giving_way)
		j->rival = 0;
	job_call_at(j, "GET", arena_printf(j->run->a, "/nodes/%s/%s", node, j->kind->api), NULL, NULL, NULL,
	            0);
	return STEP_WAIT;
}

/* Guest I of those that the node asked last has; NULL after the last. */
static const struct val *guest_at(const struct job *j, size_t i)
{
	return val_is_list(j->op.data) && i < val_len(j->op.data) ? val_at(j->op.data, i) : NULL;
}

static int64_t id_of(const struct val *guest)
{
	return val_is_map(guest) ? val_map_int(guest, "vmid", 0) : 0;
}

static void find_rival(struct job *j)
{
	const struct val *g;

	for (size_t i = 0; (g = guest_at(j, i)); i++) {
		int64_t id = id_of(g);

		if (!id || id == j->m->vmid || (j->rival && j->rival < id) ||
		    strcasecmp(val_map_strz(g, "name", ""), j->want->name) != 0)
			continue;
		j->rival = id;
	}
}

/* Nothing runs on ours yet, and nobody else goes on with it. */
static bool give_way(struct job *j)
{
	struct val *p = job_params(j);

	job_progress(j, "another run makes it too: giving way");
	j->giving_way = true;
	job_put(p, j, "purge", "1");
	job_put(p, j, "destroy-unreferenced-disks", "1");
	job_call(j, "DELETE", "", p, j->kind->destroy);
	return false;
}

/* Nodes are asked from the first on again, after a moment. */
static bool ask_again(struct job *j, const char *problem)
{
	j->asked = 0;
	job_again(j, problem);
	return false;
}

/*
 * Ours is gone, the other is ours from now on: when it is whole, on the node where it then is. While it is
 * cloned to another node it is on its template's. One whose making failed goes away, and we make ours again.
 */
static bool rival_made(struct job *j)
{
	const struct val *g;

	if (j->m->vmid != j->rival) {
		j->m->vmid = j->rival;
		j->asked = 0;
		j->look_until = loop_now() + (int64_t)pve_ms(j->run->p, MAKING_SHOWS_S * 1000);
		j->ready_by = loop_now() + (int64_t)pve_ms(j->run->p, MAKING_TAKES_S * 1000);
		twin_start(j);
		return false;
	}
	for (size_t i = 0; (g = guest_at(j, i)); i++) {
		if (id_of(g) != j->rival)
			continue;
		j->look_until = loop_now() + (int64_t)pve_ms(j->run->p, MAKING_SHOWS_S * 1000);
		if (val_get(g, "lock"))
			return ask_again(j, "another run still makes it");
		j->m->node = j->run->w->nodes[j->asked];
		j->giving_way = false;
		return true;
	}
	if (++j->asked < j->run->w->n_nodes) {
		twin_start(j);
		return false;
	}
	if (loop_now() < j->look_until)
		return ask_again(j, "what another run makes is nowhere to be seen");
	j->asked = 0;
	j->giving_way = false;
	j->way_until = 0;
	j->step--;
	return choose_again(j);
}

bool twin_done(struct job *j)
{
	if (job_op_failed(j))
		return false;
	if (j->giving_way)
		return rival_made(j);
	if (j->op.data)
		find_rival(j);
	if (++j->asked < j->run->w->n_nodes) {
		twin_start(j);
		return false;
	}
	if (!j->rival)
		return true;
	if (!j->way_until) {
		j->way_until = loop_now() + (int64_t)pve_ms(j->run->p, WAY_S * 1000);
		j->ready_by = j->way_until + (int64_t)pve_ms(j->run->p, WAY_S * 1000);
	}
	if (j->rival < j->m->vmid || loop_now() > j->way_until)
		return give_way(j);
	return ask_again(j, "another guest has its name");
}
