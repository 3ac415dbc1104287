/*
 * All machines at once, each through its steps.
 */
#include "proxmox/steps.h"
#include "net/loop.h"

#include <stdarg.h>
#include <stdlib.h>

/* Clones of one template at a time: they share its locks, and those of its storage, which time out under
 * more. As many containers: their archives are unpacked to one storage. */
#define CLONES_MAX 4
#define READY_DEFAULT_S 600
#define AGAIN_FIRST_MS 150
#define AGAIN_LAST_MS 2000

static void enter(struct job *j);

static void leave(struct job *j)
{
	j->ended = true;
	j->run->running--;
	j->m->seconds = (double)(loop_now() - j->began) / 1000;
	loop_timer_stop(j->run->p->loop, &j->timer);
	greeting_stop(&j->ssh);
}

void job_fail(struct job *j, enum err_class cls, const char *fmt, ...)
{
	va_list ap;

	if (j->ended)
		return;
	va_start(ap, fmt);
	const char *msg = arena_vprintf(j->run->a, fmt, ap);

	va_end(ap);
	err_set(&j->m->err, cls, ORIGIN_NONE, "%s", msg);
	leave(j);
}

struct val *job_params(struct job *j)
{
	return val_map(j->run->a);
}

void job_put(struct val *map, struct job *j, const char *key, const char *value)
{
	val_set(map, key, val_strz(j->run->a, value));
}

bool job_op_failed(struct job *j)
{
	if (!err_is(&j->op.err))
		return false;
	const char *msg = arena_strdup(j->run->a, err_msg(&j->op.err));
	const char *hint = j->op.err.hint ? arena_strdup(j->run->a, j->op.err.hint) : NULL;

	job_fail(j, j->op.err.cls, "%s", msg);
	if (hint)
		err_hint(&j->m->err, "%s", hint);
	return true;
}

static void fail_with_op(struct job *j)
{
	err_move(&j->m->err, &j->op.err);
	leave(j);
}

/* A machine that was to leave has left: an earlier run's deletion ended meanwhile. */
static bool has_left(struct job *j)
{
	if (!j->op.gone || j->m->item->action != PLAN_LEAVE)
		return false;
	err_clear(&j->op.err);
	j->m->gone = true;
	leave(j);
	return true;
}

void job_progress(struct job *j, const char *detail)
{
	if (j->run->o->progress)
		j->run->o->progress(j->run->o->ctx, j->m->item, j->steps[j->step].name, detail);
}

/* The steps after the current one; a machine without any left is ready. */
static void next_step(struct job *j)
{
	unsigned bit = 1u << j->m->item->action;

	j->polls = 0;
	do {
		j->step++;
	} while (j->steps[j->step].name && !(j->steps[j->step].for_actions & bit));
	if (j->steps[j->step].name)
		enter(j);
	else
		leave(j);
}

static void enter(struct job *j)
{
	const struct step *s = &j->steps[j->step];

	if (j->polls == 0)
		job_progress(j, "");
	switch (s->start(j)) {
	case STEP_WAIT: break;
	case STEP_SKIP: next_step(j); break;
	case STEP_FAILED: break;
	}
}

static bool writes(const struct pve_op *op)
{
	return op->method && strcmp(op->method, "GET") != 0;
}

static void on_op(void *ctx, struct pve_op *op)
{
	struct job *j = ctx;
	const struct step *s = &j->steps[j->step];

	j->m->changed |= writes(op) && (op->unsure || !err_is(&op->err));
	if (has_left(j))
		return;
	if (s->done) {
		if (s->done(j))
			next_step(j);
	} else if (err_is(&j->op.err)) {
		fail_with_op(j);
	} else {
		next_step(j);
	}
}

void job_call_at(struct job *j, const char *method, const char *path, struct val *params,
                 const char *task_type, const char *node, int64_t task_vmid)
{
	err_clear(&j->op.err);
	j->op = (struct pve_op){.a = j->run->a,
	                        .method = method,
	                        .path = path,
	                        .params = params,
	                        .node = node,
	                        .task_type = task_type,
	                        .vmid = task_vmid,
	                        .done = on_op,
	                        .ctx = j};
	pve_op_start(j->run->p, &j->op);
}

void job_call(struct job *j, const char *method, const char *path, struct val *params, const char *task_type)
{
	const char *full = arena_printf(j->run->a, "/nodes/%s/%s/%lld%s", j->m->node, j->kind->api,
	                                (long long)j->m->vmid, path);

	job_call_at(j, method, full, params, task_type, j->m->node, j->m->vmid);
}

static void again(void *ctx)
{
	enter(ctx);
}

int job_timeout_s(const struct job *j)
{
	return j->run->o->ready_timeout_s ? j->run->o->ready_timeout_s : READY_DEFAULT_S;
}

void job_again(struct job *j, const char *problem)
{
	int ms = AGAIN_FIRST_MS << (j->polls < 4 ? j->polls : 4);

	if (problem)
		j->last_problem = problem;
	if (loop_now() > j->ready_by) {
		job_fail(j, ERR_REMOTE, "%s is not ready after %d s: %s", j->want->name, job_timeout_s(j),
		         j->last_problem);
		err_hint(&j->m->err, "look at the machine's console in Proxmox VE (guest %lld on node %s)",
		         (long long)j->m->vmid, j->m->node);
		return;
	}
	j->polls++;
	j->timer.fn = again;
	j->timer.ctx = j;
	loop_timer_set(j->run->p->loop, &j->timer,
	               pve_ms(j->run->p, ms < AGAIN_LAST_MS ? ms : AGAIN_LAST_MS));
}

/* ---- templates and nodes ---- */

const struct guest *find_template(const struct pve_world *w, const char *template, const char *node)
{
	const struct guest *found = NULL;
	int64_t id = 0;
	bool by_id = str_int(str_c(template), &id);

	for (size_t i = 0; i < w->n_guests; i++) {
		const struct guest *g = &w->guests[i];
		bool same = by_id ? g->vmid == id : g->name && strcmp(g->name, template) == 0;

		if (!same || !g->is_template || g->type != MACHINE_VM)
			continue;
		if (!found || strcmp(g->node, node) == 0)
			found = g;
	}
	return found;
}

/* Machines of the app that node N has or will have, among the first I of the plan. */
static size_t load_of(const struct plan *plan, const char *const *placed, size_t i, const char *node)
{
	size_t n = 0;

	for (size_t k = 0; k < plan->n; k++) {
		const struct plan_item *it = &plan->items[k];

		if (it->have && it->action != PLAN_LEAVE)
			n += strcmp(it->have->node, node) == 0;
		else if (k < i && placed[k])
			n += strcmp(placed[k], node) == 0;
	}
	return n;
}

/* On the node with the fewest machines of this app: one broken hypervisor must not take the majority. */
const char *place_on(struct arena *a, const struct pve_world *w, const struct pve_apply_opts *o,
                     const struct plan *plan, size_t i)
{
	const char **placed = arena_array(a, plan->n, sizeof(*placed)), *best = "";
	const struct guest *t = find_template(w, o->template, "");

	if (!str_trim(str_c(o->nodes)).n)
		return t ? t->node : "";
	for (size_t k = 0; k <= i; k++) {
		struct str rest = str_c(o->nodes);
		size_t least = 0;

		best = "";
		if (plan->items[k].have)
			continue;
		while (rest.p) {
			const char *node = str_dup(a, str_trim(str_split(&rest, ','))).p;
			size_t n = load_of(plan, placed, k, node);

			if (*node && (!*best || n < least)) {
				best = node;
				least = n;
			}
		}
		placed[k] = best;
	}
	return best;
}

/* ---- the run ---- */

static size_t clones_of(const struct apply *r, const struct guest *template)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->jobs[i].template == template && r->jobs[i].cloning && !r->jobs[i].ended &&
		     !r->jobs[i].config;
	return n;
}

/* Those that wait for room to clone, in their order. */
static void admit(struct apply *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct job *j = &r->jobs[i];

		if (j->active || j->ended)
			continue;
		if (j->m->item->action == PLAN_CREATE) {
			if (clones_of(r, j->template) >= CLONES_MAX)
				continue;
			j->cloning = true;
		}
		j->active = true;
		j->step = (size_t)-1;
		next_step(j);
	}
}

/* A machine that leaves has to be reached once more: what is wanted of it is what it has. */
static const struct machine *as_it_is(struct arena *a, const struct guest *g)
{
	struct machine *m = ARENA_NEW(a, struct machine);

	*m = (struct machine){.key = "", .name = g->name, .address = plan_address(a, g)};
	return m;
}

static void prepare(struct apply *r, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct plan_item *it = &plan->items[i];
		struct job *j = &r->jobs[r->n];

		if (it->action == PLAN_LEAVE && !r->o->with_leaving)
			continue;
		j->run = r;
		j->m = (struct pve_machine *)j->m + r->n;
		enum machine_type type = it->have ? it->have->type : r->model->type;

		*j->m = (struct pve_machine){
		        .item = it, .container = type == MACHINE_LXC, .host_keys = val_list(r->a)};
		j->kind = guest_kind(type);
		j->steps = machine_steps(type);
		j->want = it->want ? it->want : as_it_is(r->a, it->have);
		j->last_problem = "it did not start";
		j->began = loop_now();
		j->ready_by = j->began + (int64_t)pve_ms(r->p, job_timeout_s(j) * 1000);
		j->m->node = it->have ? it->have->node : place_on(r->a, r->w, r->o, plan, i);
		j->m->vmid = it->have ? it->have->vmid : 0;
		if (!it->have && type == MACHINE_VM)
			j->template = find_template(r->w, r->o->template, j->m->node);
		r->n++;
	}
}

bool pve_apply(struct pve *p, struct arena *a, const struct pve_world *w, const struct model *m,
               const struct plan *plan, const struct pve_apply_opts *o, struct pve_machine **ret,
               struct err *err)
{
	struct apply *r = ARENA_NEW(a, struct apply);
	bool ok = true;

	*r = (struct apply){.p = p, .a = a, .w = w, .model = m, .o = o};
	r->jobs = arena_array(a, plan->n, sizeof(*r->jobs));
	*ret = arena_array(a, plan->n, sizeof(**ret));
	for (size_t i = 0; i < plan->n; i++)
		r->jobs[i].m = *ret;
	prepare(r, plan);
	r->running = r->n;
	admit(r);
	while (ok && r->running) {
		ok = loop_step(p->loop, -1, err);
		admit(r);
	}
	for (size_t i = 0; i < r->n; i++) {
		struct job *j = &r->jobs[i];

		if (!j->ended) {
			j->m->changed |= writes(&j->op);
			pve_op_cancel(&j->op);
			loop_timer_stop(p->loop, &j->timer);
			greeting_stop(&j->ssh);
		}
		err_clear(&j->op.err);
		if (ok && err_is(&j->m->err))
			err_wrap(&j->m->err, j->want->at, "machine %s", j->want->name);
	}
	for (size_t i = 0; ok && i < r->n; i++)
		ok = !err_is(&(*ret)[i].err);
	return ok;
}
