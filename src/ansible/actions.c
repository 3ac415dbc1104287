#include "ansible/action.h"
#include "ansible/actions.h"

/* An action is one row. */
const struct action action_table[] = {
        {"debug", ACT_PLAIN, ACT_LOCAL | ACT_CHECK, act_debug, NULL},
        {"assert", ACT_PLAIN, ACT_LOCAL | ACT_CHECK, act_assert, NULL},
        {"fail", ACT_PLAIN, ACT_LOCAL | ACT_CHECK, act_fail, NULL},
        {"pause", ACT_PLAIN, ACT_LOCAL | ACT_CHECK | ACT_ONCE, act_pause, act_pause_over},
        {"set_fact", ACT_PLAIN, ACT_LOCAL | ACT_CHECK, act_set_fact, NULL},
        {"set_stats", ACT_PLAIN, ACT_LOCAL | ACT_CHECK, act_set_stats, NULL},
        {"include_vars", ACT_PLAIN, ACT_LOCAL | ACT_CHECK | ACT_RAW, act_include_vars, NULL},
        {"add_host", ACT_PLAIN, ACT_LOCAL | ACT_CHECK | ACT_ONCE, act_add_host, NULL},
        {"group_by", ACT_PLAIN, ACT_LOCAL | ACT_CHECK, act_group_by, NULL},
        {"validate_argument_spec", ACT_PLAIN, ACT_LOCAL | ACT_CHECK, act_validate, NULL},
        {"template", ACT_PLAIN, ACT_CHECK, act_template, NULL},
        {"copy", ACT_PLAIN, ACT_CHECK, act_copy, act_copy_done},
        {"script", ACT_PLAIN, ACT_RAW | ACT_FREE | ACT_CHECK, act_script, NULL},
        {"unarchive", ACT_PLAIN, ACT_CHECK, act_unarchive, NULL},
        {"uri", ACT_PLAIN, ACT_CHECK | ACT_ASYNC, act_uri, NULL},
        {"patch", ACT_PLAIN, ACT_CHECK, act_patch, NULL},
        {"ansible.posix.patch", ACT_PLAIN, ACT_CHECK, act_patch, NULL},
        {"synchronize", ACT_PLAIN, ACT_CHECK, act_synchronize, NULL},
        {"ansible.posix.synchronize", ACT_PLAIN, ACT_CHECK, act_synchronize, NULL},
        {"fetch", ACT_PLAIN, ACT_CHECK, act_fetch, act_fetch_done},
        {"assemble", ACT_PLAIN, 0, act_assemble, NULL},
        {"gather_facts", ACT_PLAIN, ACT_CHECK | ACT_ASYNC, act_gather, NULL},
        {"wait_for_connection", ACT_PLAIN, ACT_CHECK | ACT_ERRORS, act_wait, act_wait_done},
        {"reboot", ACT_PLAIN, ACT_CHECK | ACT_ERRORS, act_reboot, act_reboot_done},
        {"meta", ACT_META, ACT_LOCAL | ACT_CHECK | ACT_RAW, NULL, NULL},
        {"include_tasks", ACT_INCLUDE_TASKS, ACT_LOCAL | ACT_CHECK | ACT_RAW | ACT_KEEP_APPLY, NULL, NULL},
        {"import_tasks", ACT_IMPORT_TASKS, ACT_LOCAL | ACT_CHECK | ACT_RAW, NULL, NULL},
        {"include_role", ACT_INCLUDE_ROLE, ACT_LOCAL | ACT_CHECK | ACT_KEEP_APPLY, NULL, NULL},
        {"import_role", ACT_IMPORT_ROLE, ACT_LOCAL | ACT_CHECK, NULL, NULL},
        {"include", ACT_INCLUDE_TASKS, ACT_LOCAL | ACT_CHECK | ACT_RAW | ACT_KEEP_APPLY, NULL, NULL},
        {0},
};

const struct action *action_find(struct str name)
{
	static const char *const prefixes[] = {"ansible.builtin.", "ansible.legacy."};
	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(prefixes[i]);
		if (str_starts(name, prefixes[i]))
			name = str_n(name.p + n, name.n - n);
	}
	for (const struct action *a = action_table; a->name; a++)
		if (str_eqc(name, a->name))
			return a;
	return NULL;
}
