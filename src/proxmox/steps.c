/*
 * What a machine goes through. A step that finds its work done is skipped, so that a machine which a killed
 * run left anywhere on the way is simply taken through all of it.
 */
#include "proxmox/steps.h"

#define CREATE (1u << PLAN_CREATE)
#define MAKE (CREATE | 1u << PLAN_COMPLETE)
#define CHANGE (1u << PLAN_ADOPT | 1u << PLAN_UPDATE)
#define KEPT (CHANGE | 1u << PLAN_START | 1u << PLAN_UNCHANGED)
#define ALL (MAKE | KEPT)
#define RESTART (1u << PLAN_RESTART)
#define REACH (ALL | RESTART | 1u << PLAN_LEAVE)

/* ---- configuration ---- */

static enum step_start start_read(struct job *j)
{
	job_call(j, "GET", "/config", NULL, NULL);
	return STEP_WAIT;
}

static bool done_read(struct job *j)
{
	if (job_op_failed(j))
		return false;
	if (!val_is_map(j->op.data)) {
		job_fail(j, ERR_REMOTE, "its configuration is no map");
		return false;
	}
	j->config = j->op.data;
	return true;
}

/* A setting that this version of Proxmox VE does not know is left out: ciupgrade came with 8. */
static enum step_start start_config(struct job *j)
{
	const struct plan_item *it = j->m->item;
	struct val *c = it->config;

	if (it->action == PLAN_CREATE || it->action == PLAN_COMPLETE) {
		c = plan_config(j->run->a, j->run->model, j->want, j->run->o->plan, j->config);
		val_del(c, STR("description")); /* the mark says "making" until the machine is ready */
	}
	if (val_len(c) == 0)
		return STEP_SKIP;
	job_call(j, "PUT", "/config", c, NULL);
	return STEP_WAIT;
}

static enum step_start start_resize(struct job *j)
{
	const struct val *config = j->config ? j->config : j->m->item->have->config;
	struct val *p = job_params(j);
	int64_t gb;
	const char *disk = plan_boot_disk(j->run->a, config, &gb);

	if (!disk || gb >= j->want->disk_gb)
		return STEP_SKIP;
	job_put(p, j, "disk", disk);
	job_put(p, j, "size", arena_printf(j->run->a, "%lldG", (long long)j->want->disk_gb));
	job_call(j, "PUT", "/resize", p, "resize");
	return STEP_WAIT;
}

/* ---- stop and start ---- */

/* A database may have much to write before it lets go. */
#define SHUTDOWN_S 300

static enum step_start start_shutdown(struct job *j)
{
	struct val *p = job_params(j);

	j->ready_by = loop_now() + (int64_t)pve_ms(j->run->p, 2 * SHUTDOWN_S * 1000);
	job_put(p, j, "timeout", arena_printf(j->run->a, "%d", SHUTDOWN_S));
	job_call(j, "POST", "/status/shutdown", p, j->kind->shutdown);
	return STEP_WAIT;
}

static enum step_start start_status(struct job *j)
{
	if (j->m->item->action == PLAN_UNCHANGED)
		return STEP_SKIP;
	job_call(j, "GET", "/status/current", NULL, NULL);
	return STEP_WAIT;
}

static bool done_status(struct job *j)
{
	if (job_op_failed(j))
		return false;
	/* Remembered for the next step: a machine that runs already is not started. */
	j->pid = val_is_map(j->op.data) && strcmp(val_map_strz(j->op.data, "status", ""), "running") == 0;
	/* Where high availability keeps it, a shutdown was only asked for. */
	if (j->pid && j->m->item->action == PLAN_RESTART) {
		job_again(j, "it has not shut down yet");
		return false;
	}
	j->ready_by = loop_now() + (int64_t)pve_ms(j->run->p, job_timeout_s(j) * 1000);
	return true;
}

static enum step_start start_start(struct job *j)
{
	if (j->pid)
		return STEP_SKIP;
	j->m->booted = true;
	job_call(j, "POST", "/status/start", job_params(j), j->kind->start);
	return STEP_WAIT;
}

/* ---- the description ---- */

static enum step_start start_mark(struct job *j)
{
	struct val *p = job_params(j);

	job_put(p, j, "description", plan_description(j->run->a, j->run->model, j->want, false));
	job_call(j, "PUT", "/config", p, NULL);
	return STEP_WAIT;
}

static const struct step vm_steps[] = {
        {"choose an id", CREATE, id_start, id_done},
        {"clone", CREATE, clone_start, make_done},
        {"look for another of its name", CREATE, twin_start, twin_done},
        {"read configuration", MAKE, start_read, done_read},
        {"configure", MAKE | CHANGE, start_config, NULL},
        {"grow disk", MAKE | CHANGE, start_resize, NULL},
        {"shut down", RESTART, start_shutdown, NULL},
        {"look at status", REACH, start_status, done_status},
        /* One that leaves is started too: only while it runs can the roles take it out. */
        {"start", MAKE | CHANGE | RESTART | 1u << PLAN_START | 1u << PLAN_LEAVE, start_start, NULL},
        {"wait for guest agent", REACH, address_start, address_done},
        {"wait for cloud-init", MAKE | RESTART | 1u << PLAN_START, cloud_init_start, cloud_init_done},
        {"cloud-init at work", MAKE | RESTART | 1u << PLAN_START, cloud_status_start, cloud_status_done},
        {"read host key", REACH, keys_start, keys_done},
        {"mark as ready", MAKE, start_mark, NULL},
        {NULL, 0, NULL, NULL},
};

/* A container is made with all its settings, and takes changes as it runs. */
static const struct step container_steps[] = {
        {"choose an id", CREATE, id_start, id_done},
        {"create", CREATE, create_start, make_done},
        {"look for another of its name", CREATE, twin_start, twin_done},
        {"read configuration", MAKE, start_read, done_read},
        {"configure", 1u << PLAN_COMPLETE | CHANGE, start_config, NULL},
        {"grow disk", MAKE | CHANGE, start_resize, NULL},
        {"look at status", REACH, start_status, done_status},
        {"start", MAKE | CHANGE | 1u << PLAN_START | 1u << PLAN_LEAVE, start_start, NULL},
        {"wait for its address", REACH, interfaces_start, interfaces_done},
        {"wait for SSH", REACH, ssh_start, NULL},
        {"mark as ready", MAKE, start_mark, NULL},
        {NULL, 0, NULL, NULL},
};

const struct step *machine_steps(enum machine_type type)
{
	return type == MACHINE_LXC ? container_steps : vm_steps;
}

/* Of M's guest, PART of the API. */
static const char *guest_path(struct arena *a, const struct pve_machine *m, const char *part)
{
	const struct guest_kind *kind = guest_kind(m->container ? MACHINE_LXC : MACHINE_VM);

	return arena_printf(a, "/nodes/%s/%s/%lld/%s", m->node, kind->api, (long long)m->vmid, part);
}

bool pve_keep_host_key(struct pve *p, struct arena *a, const struct pve_machine *m, const char *key,
                       struct err *err)
{
	const char *path = guest_path(a, m, "config");
	struct pve_op put_it = {.a = a, .method = "PUT", .path = path, .params = val_map(a)};
	struct val *config;

	if (!pve_get(p, a, path, NULL, &config, err))
		return false;
	const struct val *about = val_is_map(config) ? val_get(config, "description") : NULL;

	val_set(put_it.params, "description",
	        val_strz(a, plan_with_host_key(a, about ? val_text(about, a).p : "", key)));
	return pve_op_run(p, &put_it, NULL, err);
}

bool pve_waits_for_restart(struct pve *p, struct arena *a, const struct pve_machine *m, bool *ret,
                           struct err *err)
{
	struct plan_change c;
	struct val *pending;
	size_t at = 0;

	if (!pve_get(p, a, guest_path(a, m, "pending"), NULL, &pending, err))
		return false;
	*ret = plan_waits(a, pending, &at, &c);
	return true;
}
