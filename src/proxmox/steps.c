/*
 * What a machine goes through. A step that finds its work done is skipped, so that a machine which a killed
 * run left anywhere on the way is simply taken through all of it.
 */
#include "proxmox/apply.h"

#define CREATE (1u << PLAN_CREATE)
#define MAKE (CREATE | 1u << PLAN_COMPLETE)
#define CHANGE (1u << PLAN_ADOPT | 1u << PLAN_UPDATE)
#define KEPT (CHANGE | 1u << PLAN_START | 1u << PLAN_UNCHANGED)
#define ALL (MAKE | KEPT)
#define REACH (ALL | 1u << PLAN_LEAVE)

/* The machine's public host keys, best first: each is one file. */
static const char *const key_files[] = {
        "/etc/ssh/ssh_host_ed25519_key.pub",
        "/etc/ssh/ssh_host_ecdsa_key.pub",
        "/etc/ssh/ssh_host_rsa_key.pub",
};

#define KEY_FILES (sizeof(key_files) / sizeof(*key_files))

static struct val *params(struct job *j)
{
	return val_map(j->run->a);
}

static void put(struct val *map, struct job *j, const char *key, const char *value)
{
	val_set(map, key, val_strz(j->run->a, value));
}

/* The operation's error becomes the machine's. */
static bool op_failed(struct job *j)
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

/* ---- an id: nextid reserves nothing, so the ids of this run are remembered and a clash asks for another
 * ---- */

static bool id_used(const struct apply *r, int64_t id)
{
	for (size_t i = 0; i < r->n_ids; i++) {
		if (r->ids[i] == id)
			return true;
	}
	return false;
}

static void take_id(struct apply *r, int64_t id)
{
	if (r->n_ids < sizeof(r->ids) / sizeof(*r->ids))
		r->ids[r->n_ids++] = id;
}

static enum step_start start_id(struct job *j)
{
	struct val *p = params(j);

	if (j->m->vmid)
		put(p, j, "vmid", arena_printf(j->run->a, "%lld", (long long)j->m->vmid));
	job_call_at(j, "GET", "/cluster/nextid", p, NULL, NULL, 0);
	return STEP_WAIT;
}

static bool done_id(struct job *j)
{
	struct apply *r = j->run;
	int64_t id = 0;

	/* 400 for an id that somebody has: ask for the one behind it. */
	if (err_is(&j->op.err)) {
		if (j->op.status != 400 || !j->m->vmid)
			return !op_failed(j) && false;
		id = j->m->vmid;
	} else {
		struct str s = val_text(j->op.data, r->a);

		str_int(s, &id);
		if (!id_used(r, id)) {
			take_id(r, id);
			j->m->vmid = id;
			return true;
		}
	}
	while (id_used(r, id) || id == j->m->vmid)
		id++;
	j->m->vmid = id;
	start_id(j);
	return false;
}

/* ---- clone ---- */

/* Looks whether the guest that has our id is the clone we asked for. It is made on the template's node and
 * then moves to its own. */
static enum step_start start_verify(struct job *j)
{
	job_call_at(
	        j, "GET",
	        arena_printf(j->run->a, "/nodes/%s/qemu/%lld/config", j->verify_node, (long long)j->m->vmid),
	        NULL, NULL, NULL, 0);
	return STEP_WAIT;
}

static enum step_start start_clone(struct job *j)
{
	if (j->verify)
		return start_verify(j);
	struct apply *r = j->run;
	const struct guest *t = find_template(r->w, r->o->template, j->m->node);
	struct val *p = params(j);

	if (!t) {
		job_fail(j, ERR_USER, "there is no VM template '%s'", r->o->template);
		return STEP_FAILED;
	}
	put(p, j, "newid", arena_printf(r->a, "%lld", (long long)j->m->vmid));
	put(p, j, "name", j->want->name);
	put(p, j, "description", plan_description(r->a, r->model, j->want, true));
	put(p, j, "full", "1");
	if (strcmp(t->node, j->m->node) != 0)
		put(p, j, "target", j->m->node);
	if (r->o->storage && *r->o->storage)
		put(p, j, "storage", r->o->storage);
	if (r->o->pool && *r->o->pool)
		put(p, j, "pool", r->o->pool);
	j->from_node = t->node;
	job_call_at(j, "POST", arena_printf(r->a, "/nodes/%s/qemu/%lld/clone", t->node, (long long)t->vmid),
	            p, "qmclone", t->node, t->vmid);
	return STEP_WAIT;
}

/* Somebody was quicker. The id is theirs; ours is another. */
static bool choose_again(struct job *j)
{
	err_clear(&j->op.err);
	j->verify = false;
	j->m->vmid = 0;
	j->step--;
	start_id(j);
	return false;
}

static bool done_verify(struct job *j)
{
	if (err_is(&j->op.err)) {
		if (!strstr(err_msg(&j->op.err), "does not exist"))
			return !op_failed(j) && false;
		if (strcmp(j->verify_node, j->m->node) != 0) {
			j->verify_node = j->m->node;
			start_verify(j);
			return false;
		}
		/* It failed and was cleaned up: once more. */
		j->verify = false;
		job_again(j, "its clone came to nothing");
		return false;
	}
	if (val_is_map(j->op.data) && val_get(j->op.data, "lock")) {
		j->verify_node = j->from_node;
		job_again(j, "its clone is still under way");
		return false;
	}
	if (!val_is_map(j->op.data) || strcmp(val_map_strz(j->op.data, "name", ""), j->want->name) != 0)
		return choose_again(j);
	j->verify = false;
	return true;
}

static bool done_clone(struct job *j)
{
	if (j->verify)
		return done_verify(j);
	if (err_is(&j->op.err) && j->op.taken && j->op.unsure) {
		err_clear(&j->op.err);
		j->verify = true;
		j->verify_node = j->from_node;
		start_verify(j);
		return false;
	}
	if (err_is(&j->op.err) && j->op.taken)
		return choose_again(j);
	return !op_failed(j);
}

/* ---- configuration ---- */

static enum step_start start_read(struct job *j)
{
	job_call(j, "GET", "/config", NULL, NULL);
	return STEP_WAIT;
}

static bool done_read(struct job *j)
{
	if (op_failed(j))
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
	struct val *p = params(j);
	int64_t gb;
	const char *disk = plan_boot_disk(j->run->a, config, &gb);

	if (!disk || gb >= j->want->disk_gb)
		return STEP_SKIP;
	put(p, j, "disk", disk);
	put(p, j, "size", arena_printf(j->run->a, "%lldG", (long long)j->want->disk_gb));
	job_call(j, "PUT", "/resize", p, "resize");
	return STEP_WAIT;
}

/* ---- start ---- */

static enum step_start start_status(struct job *j)
{
	if (j->m->item->action == PLAN_UNCHANGED)
		return STEP_SKIP;
	job_call(j, "GET", "/status/current", NULL, NULL);
	return STEP_WAIT;
}

static bool done_status(struct job *j)
{
	if (op_failed(j))
		return false;
	j->ready_by = loop_now() + (int64_t)pve_ms(j->run->p, job_timeout_s(j) * 1000);
	/* Remembered for the next step: a machine that runs already is not started. */
	j->pid = val_is_map(j->op.data) && strcmp(val_map_strz(j->op.data, "status", ""), "running") == 0;
	return true;
}

static enum step_start start_start(struct job *j)
{
	if (j->pid)
		return STEP_SKIP;
	job_call(j, "POST", "/status/start", params(j), "qmstart");
	return STEP_WAIT;
}

/* ---- ready ---- */

/* Errors that only mean "not yet". */
static bool not_yet(struct job *j)
{
	static const char *const texts[] = {"guest agent is not running",
	                                    "guest-ping' failed",
	                                    "got timeout",
	                                    "is not running",
	                                    "No such file",
	                                    "failed to open file"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (strstr(err_msg(&j->op.err), texts[i]))
			return true;
	}
	return false;
}

static enum step_start start_address(struct job *j)
{
	job_call(j, "GET", "/agent/network-get-interfaces", NULL, NULL);
	return STEP_WAIT;
}

/* The agent's answers come wrapped: {"result": ...}. */
static const struct val *result(const struct job *j)
{
	const struct val *d = j->op.data;

	if (d && val_is_map(d) && val_get(d, "result"))
		return val_get(d, "result");
	return d;
}

static bool has_address(const struct val *iface, const char *address)
{
	const struct val *ips = val_is_map(iface) ? val_get(iface, "ip-addresses") : NULL;

	if (!ips || !val_is_list(ips))
		return false;
	VAL_EACH (i, ips) {
		if (val_is_map(val_at(ips, i)) &&
		    str_eqc(val_map_str(val_at(ips, i), "ip-address", ""), address))
			return true;
	}
	return false;
}

static bool done_address(struct job *j)
{
	const struct val *ifaces = result(j);

	if (err_is(&j->op.err)) {
		if (!not_yet(j))
			return !op_failed(j) && false;
		job_again(j, "the guest agent does not answer (is qemu-guest-agent in the template?)");
		return false;
	}
	if (ifaces && val_is_list(ifaces)) {
		VAL_EACH (i, ifaces) {
			if (has_address(val_at(ifaces, i), j->want->address))
				return true;
		}
	}
	job_again(j, arena_printf(j->run->a, "no interface has the address %s yet", j->want->address));
	return false;
}

/* ---- cloud-init, where the machine has it ---- */

static enum step_start start_cloud_init(struct job *j)
{
	static const char script[] =
	        "command -v cloud-init >/dev/null 2>&1 || exit 0; cloud-init status --wait --long";
	struct val *p = params(j), *argv = val_list(j->run->a);

	val_push(argv, val_strz(j->run->a, "sh"));
	val_push(argv, val_strz(j->run->a, "-c"));
	val_push(argv, val_strz(j->run->a, script));
	val_set(p, "command", argv);
	job_call(j, "POST", "/agent/exec", p, NULL);
	return STEP_WAIT;
}

static bool done_cloud_init(struct job *j)
{
	if (op_failed(j))
		return false;
	j->pid = val_is_map(j->op.data) ? val_map_int(j->op.data, "pid", 0) : 0;
	return true;
}

static enum step_start start_cloud_status(struct job *j)
{
	struct val *p = params(j);

	put(p, j, "pid", arena_printf(j->run->a, "%lld", (long long)j->pid));
	job_call(j, "GET", "/agent/exec-status", p, NULL);
	return STEP_WAIT;
}

/* 0: done. 2: done with recoverable errors. Anything else: the machine is not what it should be. */
static bool done_cloud_status(struct job *j)
{
	const struct val *r = result(j);

	if (op_failed(j))
		return false;
	if (!r || !val_is_map(r) || !val_get(r, "exited") || !val_to_bool(val_get(r, "exited"))) {
		job_again(j, "cloud-init is still at work");
		return false;
	}
	int64_t code = val_map_int(r, "exitcode", -1);
	struct str out = str_trim(val_map_str(r, "out-data", ""));

	if (code == 0)
		return true;
	if (code == 2) {
		if (j->run->o->warn)
			j->run->o->warn(j->run->o->ctx, j->m->item,
			                arena_printf(j->run->a,
			                             "cloud-init had errors it recovered from:\n%.*s",
			                             STR_FMT(out)));
		return true;
	}
	job_fail(j, ERR_REMOTE, "cloud-init failed:\n%.*s", STR_FMT(out));
	err_hint(&j->m->err, "see /var/log/cloud-init-output.log on the machine");
	return false;
}

/* ---- host keys ---- */

static enum step_start start_keys(struct job *j)
{
	struct val *p = params(j);

	put(p, j, "file", key_files[j->key]);
	job_call(j, "GET", "/agent/file-read", p, NULL);
	return STEP_WAIT;
}

static void add_key(struct job *j, struct str line)
{
	struct str rest = str_trim(line), type = str_split(&rest, ' '), key = str_split(&rest, ' ');

	if (type.n && key.n)
		val_push(j->m->host_keys, val_strf(j->run->a, "%.*s %.*s", STR_FMT(type), STR_FMT(key)));
}

/* One key is enough to pin the host; the others are only looked for where it has none of the better kind. */
static bool done_keys(struct job *j)
{
	if (err_is(&j->op.err) && !not_yet(j))
		return !op_failed(j) && false;
	if (!err_is(&j->op.err) && val_is_map(j->op.data))
		add_key(j, val_map_str(j->op.data, "content", ""));
	if (val_len(j->m->host_keys))
		return true;
	j->key = (j->key + 1) % KEY_FILES;
	if (j->key) {
		start_keys(j);
		return false;
	}
	job_again(j, "it has no SSH host key (is openssh-server in the template?)");
	return false;
}

/* ---- the mark ---- */

static enum step_start start_mark(struct job *j)
{
	struct val *p = params(j);

	put(p, j, "description", plan_description(j->run->a, j->run->model, j->want, false));
	job_call(j, "PUT", "/config", p, NULL);
	return STEP_WAIT;
}

const struct step machine_steps[] = {
        {"choose an id", CREATE, start_id, done_id},
        {"clone", CREATE, start_clone, done_clone},
        {"read configuration", MAKE, start_read, done_read},
        {"configure", MAKE | CHANGE, start_config, NULL},
        {"grow disk", MAKE | CHANGE, start_resize, NULL},
        {"look at status", ALL, start_status, done_status},
        {"start", MAKE | CHANGE | 1u << PLAN_START, start_start, NULL},
        {"wait for guest agent", REACH, start_address, done_address},
        {"wait for cloud-init", MAKE | 1u << PLAN_START, start_cloud_init, done_cloud_init},
        {"cloud-init at work", MAKE | 1u << PLAN_START, start_cloud_status, done_cloud_status},
        {"read host key", REACH, start_keys, done_keys},
        {"mark as ready", MAKE, start_mark, NULL},
        {NULL, 0, NULL, NULL},
};
