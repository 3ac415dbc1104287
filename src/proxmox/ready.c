/*
 * Whether a machine that runs can be worked on: its address, cloud-init, its host keys.
 */
#include "proxmox/steps.h"

/* The machine's public host keys, best first: each is one file. */
static const char *const key_files[] = {
        "/etc/ssh/ssh_host_ed25519_key.pub",
        "/etc/ssh/ssh_host_ecdsa_key.pub",
        "/etc/ssh/ssh_host_rsa_key.pub",
};

#define KEY_FILES (sizeof(key_files) / sizeof(*key_files))

/* ---- ready ---- */

/* Errors that only mean "not yet". */
static bool not_yet(struct job *j)
{
	static const char *const texts[] = {"guest-ping' failed", "got timeout",
	                                    "not running",        "No QEMU guest agent configured",
	                                    "No such file",       "failed to open file"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (strstr(err_msg(&j->op.err), texts[i]))
			return true;
	}
	return false;
}

enum step_start address_start(struct job *j)
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

static const char *kept_key(struct job *j)
{
	const struct guest *g = j->m->item->have;
	const struct val *about = g && g->config ? val_get(g->config, "description") : NULL;

	return about ? plan_host_key(j->run->a, val_text(about, j->run->a).p) : "";
}

/*
 * The agent does not answer. Whether to go on without it: at once when that was decided in an earlier run, or
 * when the machine has none; else when SSH has answered for a while. It is the machine's only witness for its
 * host key, so it is waited for as long as it may still be starting.
 */
#define SILENT_S 30

static bool goes_without_agent(struct job *j)
{
	struct apply *r = j->run;
	const char *key = kept_key(j);
	int64_t now = loop_now();

	if (r->o->ssh_port)
		greeting_ask(r->p->loop, &j->ssh, j->want->address, r->o->ssh_port, "SSH-", 3000);
	if (j->ssh.heard && !j->silent_since)
		j->silent_since = now;
	bool silent = j->silent_since && (now >= j->silent_since + pve_ms(r->p, SILENT_S * 1000) ||
	                                  now >= j->ready_by || strstr(err_msg(&j->op.err), "configured"));

	if (*key)
		val_push(j->m->host_keys, val_strz(r->a, key));
	return *key || silent;
}

static const char *silence(const struct job *j)
{
	const struct apply *r = j->run;

	if (j->ssh.heard)
		return "SSH answers, the guest agent does not yet (is qemu-guest-agent in the template?)";
	if (!r->o->ssh_port)
		return "the guest agent does not answer (is qemu-guest-agent in the template?)";
	return arena_printf(r->a, "neither the guest agent nor SSH at %s port %d answers", j->want->address,
	                    r->o->ssh_port);
}

bool address_done(struct job *j)
{
	const struct val *ifaces = result(j);

	if (err_is(&j->op.err)) {
		if (!not_yet(j))
			return !job_op_failed(j) && false;
		j->m->no_agent = goes_without_agent(j);
		if (!j->m->no_agent)
			job_again(j, silence(j));
		err_clear(&j->op.err);
		return j->m->no_agent;
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

/* ---- containers: no agent and no cloud-init, but Proxmox VE sees their cards ---- */

enum step_start interfaces_start(struct job *j)
{
	job_call(j, "GET", "/interfaces", NULL, NULL);
	return STEP_WAIT;
}

/* "inet" is the first address, with its bits; all are told since Proxmox VE 9. */
static bool card_has(const struct val *card, const char *address)
{
	struct str first = val_is_map(card) ? val_map_str(card, "inet", "") : STR("");

	return str_eqc(str_split(&first, '/'), address) || has_address(card, address);
}

bool interfaces_done(struct job *j)
{
	const struct val *cards = j->op.data;

	if (err_is(&j->op.err)) {
		if (!not_yet(j))
			return !job_op_failed(j) && false;
		err_clear(&j->op.err);
	}
	for (size_t i = 0; cards && val_is_list(cards) && i < val_len(cards); i++) {
		if (card_has(val_at(cards, i), j->want->address))
			return true;
	}
	job_again(j, arena_printf(j->run->a, "no interface has the address %s yet", j->want->address));
	return false;
}

/* Nobody but the container tells its host key: that of the first contact is kept. */
enum step_start ssh_start(struct job *j)
{
	const struct apply *r = j->run;

	if (r->o->ssh_port)
		greeting_ask(r->p->loop, &j->ssh, j->want->address, r->o->ssh_port, "SSH-", 3000);
	if (r->o->ssh_port && !j->ssh.heard) {
		job_again(j, arena_printf(r->a, "SSH at %s port %d does not answer", j->want->address,
		                          r->o->ssh_port));
		return STEP_WAIT;
	}
	const char *key = kept_key(j);

	if (*key)
		val_push(j->m->host_keys, val_strz(r->a, key));
	j->m->no_agent = true;
	return STEP_SKIP;
}

/* ---- cloud-init, where the machine has it ---- */

enum step_start cloud_init_start(struct job *j)
{
	static const char script[] =
	        "command -v cloud-init >/dev/null 2>&1 || exit 0; cloud-init status --wait --long";
	struct val *p = job_params(j), *argv = val_list(j->run->a);

	if (j->m->no_agent)
		return STEP_SKIP;
	val_push(argv, val_strz(j->run->a, "sh"));
	val_push(argv, val_strz(j->run->a, "-c"));
	val_push(argv, val_strz(j->run->a, script));
	val_set(p, "command", argv);
	job_call(j, "POST", "/agent/exec", p, NULL);
	return STEP_WAIT;
}

bool cloud_init_done(struct job *j)
{
	if (job_op_failed(j))
		return false;
	j->pid = val_is_map(j->op.data) ? val_map_int(j->op.data, "pid", 0) : 0;
	return true;
}

enum step_start cloud_status_start(struct job *j)
{
	struct val *p = job_params(j);

	if (j->m->no_agent)
		return STEP_SKIP;
	job_put(p, j, "pid", arena_printf(j->run->a, "%lld", (long long)j->pid));
	job_call(j, "GET", "/agent/exec-status", p, NULL);
	return STEP_WAIT;
}

/* 0: done. 2: done with recoverable errors. Anything else: the machine is not what it should be. */
bool cloud_status_done(struct job *j)
{
	const struct val *r = result(j);

	if (job_op_failed(j))
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

enum step_start keys_start(struct job *j)
{
	struct val *p = job_params(j);

	if (j->m->no_agent)
		return STEP_SKIP;
	job_put(p, j, "file", key_files[j->key]);
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
bool keys_done(struct job *j)
{
	if (err_is(&j->op.err) && !not_yet(j))
		return !job_op_failed(j) && false;
	if (!err_is(&j->op.err) && val_is_map(j->op.data))
		add_key(j, val_map_str(j->op.data, "content", ""));
	if (val_len(j->m->host_keys))
		return true;
	j->key = (j->key + 1) % KEY_FILES;
	if (j->key) {
		keys_start(j);
		return false;
	}
	job_again(j, "it has no SSH host key (is openssh-server in the template?)");
	return false;
}
