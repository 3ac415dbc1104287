#include "ansible/core.h"

/* What a host may not say about itself: how we talk to it. */
bool fact_name_protected(struct str name)
{
	static const char *const exact[] = {"ansible_connection",
	                                    "ansible_host",
	                                    "ansible_port",
	                                    "ansible_user",
	                                    "ansible_password",
	                                    "ansible_become",
	                                    "ansible_become_user",
	                                    "ansible_become_method",
	                                    "ansible_become_pass",
	                                    "ansible_become_password",
	                                    "ansible_private_key_file",
	                                    "ansible_shell_type",
	                                    "ansible_shell_executable",
	                                    "ansible_rsync_path",
	                                    "ansible_delegated_vars",
	                                    "inventory_hostname",
	                                    "hostvars",
	                                    "groups",
	                                    "vars",
	                                    "omit",
	                                    "role_path",
	                                    "playbook_dir"};
	for (size_t i = 0; i < sizeof(exact) / sizeof(*exact); i++)
		if (str_eqc(name, exact[i]))
			return true;
	return (str_starts(name, "ansible_ssh_") && !str_starts(name, "ansible_ssh_host_key")) ||
	       str_starts(name, "ansible_become_");
}

void facts_store(struct engine *e, struct host *h, const struct val *facts)
{
	struct val *own = val_copy_unsafe(h->a, facts);
	MAP_EACH (i, own) {
		struct val *k = val_key_at(own, i);
		if (!val_is_str(k) || fact_name_protected(val_get_str(k)))
			continue;
		struct str name = val_get_str(k);
		struct val *v = val_value_at(own, i);
		if (!e->opts->no_fact_vars || str_eqc(name, "ansible_local"))
			val_sets(h->facts, name, v);
		if (str_starts(name, "ansible_") && !str_eqc(name, "ansible_local"))
			name = str_n(name.p + 8, name.n - 8);
		val_sets(h->facts_ns, name, v);
	}
}
