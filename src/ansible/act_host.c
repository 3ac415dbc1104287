/* Actions about the host as a whole: facts, waiting for it, rebooting it. */
#include "ansible/actions.h"
#include "ansible/core.h"
#include "ansible/task.h"

bool act_gather(struct item_run *r, struct err *err)
{
	return act_submit(r, "setup", r->args, err);
}

/* ---- wait_for_connection --------------------------------------------------------------------------------
 */

struct waiting {
	double begun, timeout, sleep;
	struct str boot; /* reboot: the boot id before */
	const char *command;
};

static bool number_arg(struct item_run *r, const char *name, double dflt, double *ret, struct err *err)
{
	return scope_number(&r->s, val_get(r->args, name), dflt, ret, err);
}

static bool ping(struct item_run *r, struct err *err)
{
	return act_submit(r, "ping", val_map(r->a), err);
}

bool act_wait(struct item_run *r, struct err *err)
{
	struct waiting *w = ARENA_NEW(r->a, struct waiting);
	double delay;
	if (!number_arg(r, "timeout", 600, &w->timeout, err) || !number_arg(r, "sleep", 1, &w->sleep, err) ||
	    !number_arg(r, "delay", 0, &delay, err))
		return false;
	w->begun = engine_now();
	r->data = w;
	r->stage = 1;
	if (r->check) {
		r->result = act_result(r, false);
		val_set(r->result, "elapsed", val_int(r->a, 0));
		return true;
	}
	if (delay > 0) {
		act_sleep(r, delay);
		return true;
	}
	return ping(r, err);
}

bool act_wait_done(struct item_run *r, struct err *err)
{
	struct waiting *w = r->data;
	double took = engine_now() - w->begun;
	if (r->answer) {
		r->result = act_result(r, false);
		val_set(r->result, "elapsed", val_int(r->a, (int64_t)took));
		return true;
	}
	if (!err_is(&r->req.err))
		return ping(r, err);
	if (took > w->timeout) {
		struct val *m = act_result(r, false);
		val_set(m, "failed", val_bool(true));
		val_set(m, "elapsed", val_int(r->a, (int64_t)took));
		val_set(m, "msg",
		        val_strf(r->a, "timed out waiting for ping module test: %s", err_msg(&r->req.err)));
		r->result = m;
		err_clear(&r->req.err);
		return true;
	}
	err_clear(&r->req.err);
	connection_reset(&r->s);
	act_sleep(r, w->sleep);
	return true;
}

/* ---- reboot ---------------------------------------------------------------------------------------------
 */

static bool run_command(struct item_run *r, const char *cmd, struct err *err)
{
	struct val *args = val_map(r->a);
	val_set(args, "_raw_params", val_strz(r->a, cmd));
	return act_submit(r, "shell", args, err);
}

enum { RB_NONE, RB_BEFORE, RB_ASKED, RB_WAIT, RB_TEST };

bool act_reboot(struct item_run *r, struct err *err)
{
	struct waiting *w = ARENA_NEW(r->a, struct waiting);
	if (!number_arg(r, "reboot_timeout", 600, &w->timeout, err))
		return false;
	w->sleep = 2;
	w->begun = engine_now();
	r->data = w;
	if (r->check) {
		r->result = act_result(r, true);
		val_set(r->result, "elapsed", val_int(r->a, 0));
		val_set(r->result, "rebooted", val_bool(true));
		return true;
	}
	r->stage = RB_BEFORE;
	return run_command(r, "cat /proc/sys/kernel/random/boot_id; cat /proc/1/stat | cut -d' ' -f22", err);
}

static bool reboot_now(struct item_run *r, struct err *err)
{
	double delay;
	if (!number_arg(r, "pre_reboot_delay", 0, &delay, err))
		return false;
	const struct val *own = val_get(r->args, "reboot_command"), *msg = val_get(r->args, "msg");
	const char *cmd = own ? val_text(own, r->a).p
	                      : arena_printf(r->a, "shutdown -r +0 '%s' || reboot",
	                                     msg ? val_text(msg, r->a).p : "Reboot initiated by Ansible");
	r->stage = RB_ASKED;
	/* Detached, so that the answer comes back before the connection goes. */
	return run_command(r,
	                   arena_printf(r->a, "(sleep %d; %s) >/dev/null 2>&1 </dev/null & echo asked",
	                                (int)delay + 1, cmd),
	                   err);
}

bool act_reboot_done(struct item_run *r, struct err *err)
{
	struct waiting *w = r->data;
	double took = engine_now() - w->begun;
	bool lost = err_is(&r->req.err);
	struct str out = r->answer ? val_map_str(r->answer, "stdout", "") : STR("");
	if (r->stage == RB_BEFORE && !lost) {
		w->boot = str_dup(r->a, out);
		return reboot_now(r, err);
	}
	if (r->stage == RB_ASKED) {
		if (!lost && val_map_bool(r->answer, "failed", false)) {
			r->result = r->answer;
			return true;
		}
		err_clear(&r->req.err);
		r->stage = RB_WAIT;
		act_sleep(r, w->sleep);
		return true;
	}
	if (r->stage == RB_WAIT) {
		r->stage = RB_TEST;
		connection_reset(&r->s);
		return run_command(
		        r, "cat /proc/sys/kernel/random/boot_id; cat /proc/1/stat | cut -d' ' -f22", err);
	}
	bool back = !lost && r->answer && !val_map_bool(r->answer, "failed", false) && !str_eq(out, w->boot);
	if (back || took > w->timeout) {
		r->result = act_result(r, true);
		val_set(r->result, "elapsed", val_int(r->a, (int64_t)took));
		val_set(r->result, "rebooted", val_bool(back));
		if (!back) {
			val_set(r->result, "failed", val_bool(true));
			val_set(r->result, "msg",
			        val_strf(r->a, "Timed out waiting for last boot time check (timeout=%d)",
			                 (int)w->timeout));
		}
		err_clear(&r->req.err);
		return true;
	}
	err_clear(&r->req.err);
	r->stage = RB_WAIT;
	act_sleep(r, w->sleep);
	return true;
}

/* ---- synchronize ----------------------------------------------------------------------------------------
 */

/* rsync runs on the host, within it. From the controller it would take rsync and ssh beside nante. */
bool act_synchronize(struct item_run *r, struct err *err)
{
	struct val *kind = scope_raw(&r->s, STR("ansible_connection"));
	struct str text = {0};
	if (!kind && !connection_var(&r->s, "ansible_connection", &kind, err))
		return false;
	if (kind && !scope_text(&r->s, kind, &text, err))
		return false;
	bool within = r->s.delegate ? r->s.delegate == r->s.host : str_eqc(text, "local");
	if (within)
		return act_submit(r, "synchronize", r->args, err);
	err_set(err, ERR_USER, r->t->task->n.at,
	        "synchronize between the controller and a host, or two hosts, is not done: it takes rsync "
	        "and ssh on the "
	        "controller");
	return err_hint(
	        err, "copy and unarchive send files; delegate_to: \"{{ inventory_hostname }}\" copies within "
	             "the host");
}
