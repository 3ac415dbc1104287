#include "base/json.h"
#include "modules/module.h"
#include <unistd.h>

static bool is_job_id(const char *z)
{
	return *z && *z != '.' && !strchr(z, '/');
}

static bool run(struct mod_ctx *m)
{
	const char *jid = mod_arg(m, "jid");
	const char *path = fs_join(m->a, mod_expand(m, "~/.ansible_async"), jid);
	struct str text;
	struct val *job;
	struct err e = {0};
	mod_sets(m, "ansible_job_id", jid);
	/* Conditions look at these while the job has none yet. */
	mod_sets(m, "stdout", "");
	mod_sets(m, "stderr", "");
	mod_set(m, "stdout_lines", val_list(m->a));
	mod_set(m, "stderr_lines", val_list(m->a));
	if (!is_job_id(jid) || !fs_exists(path)) {
		mod_seti(m, "started", 1);
		mod_seti(m, "finished", 1);
		return mod_fail(m, "could not find job");
	}
	if (mod_is(m, "mode", "cleanup")) {
		mod_sets(m, "erased", path);
		mod_seti(m, "started", 0);
		mod_seti(m, "finished", 0);
		return m->check || unlink(path) == 0 || mod_fail_sys(m, "cannot remove %s", path);
	}
	if (!mod_read(m, path, &text))
		return false;
	if (!json_parse_bytes(m->a, text, &job, &e) || !val_is_map(job)) {
		err_clear(&e);
		return mod_fail(m, "the result of job %s in %s cannot be read", jid, path);
	}
	MAP_EACH (i, job)
		val_setk(m->result, val_key_at(job, i), val_value_at(job, i));
	mod_sets(m, "results_file", path);
	m->failed = val_map_bool(job, "failed", false);
	return !m->failed;
}

static const struct mod_arg args[] = {
        {"jid", MT_STR, MA_REQUIRED, .doc = "The ansible_job_id that a task with async and poll: 0 gave."},
        {"mode", MT_STR, .dflt = "status", .choices = "cleanup|status",
         .doc = "cleanup removes what the job left behind."},
        {NULL},
};

const struct module module_row_async_status = {
        .name = "async_status",
        .from = "ansible.builtin",
        .doc = "How a task in the background is getting on, and its result once there is one.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
