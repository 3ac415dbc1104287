/* The modules of this build, one row each: M(n) for the descriptor module_row_n. The order is that of nante doc. */
#define MODULE_LIST(M)            \
	M(add_host)               \
	M(assert)                 \
	M(command)                \
	M(copy)                   \
	M(debug)                  \
	M(fail)                   \
	M(fetch)                  \
	M(file)                   \
	M(gather_facts)           \
	M(group_by)               \
	M(import_playbook)        \
	M(import_role)            \
	M(import_tasks)           \
	M(include)                \
	M(include_role)           \
	M(include_tasks)          \
	M(include_vars)           \
	M(meta)                   \
	M(pause)                  \
	M(ping)                   \
	M(reboot)                 \
	M(set_fact)               \
	M(set_stats)              \
	M(setup)                  \
	M(shell)                  \
	M(stat)                   \
	M(template)               \
	M(validate_argument_spec) \
	M(wait_for_connection)
