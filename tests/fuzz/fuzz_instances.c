/* Any bytes as the machines of an app. */
#include "json_mutate.h"
#include "model/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
	return json_mutate(data, n, max, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct model_inputs in = {.app_name = "app",
	                          .environment = "dev",
	                          .resource_type = "vm",
	                          .vlan_tag = "10",
	                          .cpu_cores = "2",
	                          .ram_mb = "2048",
	                          .disk_gb = "20G"};
	struct model m;
	struct errs errs = {0};

	in.instances = arena_strndup(a, (const char *)data, n);
	(void)model_read(a, sources_new(a), &in, &m, &errs);
	errs_clear(&errs);
	arena_free(a);
	return 0;
}
