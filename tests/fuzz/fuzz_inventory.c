/* Any bytes as an inventory, in both forms, and its first line as a pattern of hosts. */
#include "ansible/inventory.h"
#include "base/source.h"
#include "yaml/yaml_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void ask(struct arena *a, struct inventory *inv, struct str pattern)
{
	struct val *hosts, *missing = val_list(a);
	struct err err = {0};

	inventory_settle(inv);
	for (size_t i = 0; i < inv->n_hosts; i++)
		host_inventory_vars(inv, inv->hosts[i]);
	inventory_match(inv, val_str(a, pattern), NULL, a, &hosts, missing, &err);
	err_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct sources *ss = sources_new(a);
	struct str text = str_n((const char *)data, n), rest = text, line = str_split(&rest, '\n');
	uint32_t src = sources_add(ss, "fuzz", text);
	struct inventory *ini = inventory_new(a, ss), *yaml = inventory_new(a, ss);
	struct err err = {0};
	struct val *doc;

	if (inventory_parse_ini(ini, text, src, &err))
		ask(a, ini, line);
	err_clear(&err);
	if (yaml_load(a, text, src, NULL, &doc, &err) && inventory_parse_yaml(yaml, doc, &err))
		ask(a, yaml, line);
	err_clear(&err);
	arena_free(a);
	return 0;
}
