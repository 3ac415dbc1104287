/* Any bytes as what Proxmox VE answers: reading, planning, making machines ready, deleting. */
#include "answers.h"
#include "model/plan.h"
#include "proxmox/proxmox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
	return answers_mutate(data, n, max, seed);
}

static void quiet(void *ctx, const struct plan_item *it, const char *msg)
{
	(void)ctx, (void)it, (void)msg;
}

static void run(struct loop *l, struct arena *a, struct errs *errs, struct err *err)
{
	const struct model_inputs in = {
	        .app_name = "app",
	        .environment = "dev",
	        .resource_type = "vm",
	        .vlan_tag = "10",
	        .cpu_cores = "2",
	        .ram_mb = "2048",
	        .disk_gb = "20",
	        .bridge = "vmbr0",
	        .instances = "{\"a\": {\"ip_address\": \"192.168.10.5\"},"
	                     " \"b\": {\"ip_address\": \"192.168.10.6\", \"disk_gb\": 30}}",
	};
	const struct pve_opts opts = {"https://p:8006", "ci@pve!n", "secret", {NULL, 0}, 100};
	const struct plan_opts plan_opts = {"deploy", "ssh-ed25519 AAAA me", true};
	const struct pve_apply_opts o = {.template = "tmpl",
	                                 .nodes = "",
	                                 .storage = "fast",
	                                 .pool = "",
	                                 .plan = &plan_opts,
	                                 .with_leaving = true,
	                                 .warn = quiet};
	struct pve_machine *machines = NULL;
	struct pve_world w;
	struct plan plan;
	struct model m;
	struct pve *p = pve_new(a, l, &opts, err);

	if (!p || !model_read(a, sources_new(a), &in, &m, errs) || !pve_observe(p, a, m.owner, &w, err) ||
	    !plan_make(a, &m, w.guests, w.n_guests, &plan_opts, &plan, errs) ||
	    !pve_preflight(p, a, &w, &m, &plan, &o, errs))
		return;
	pve_apply(p, a, &w, &m, &plan, &o, &machines, err);
	for (size_t i = 0; machines && i < plan.n; i++)
		err_clear(&machines[i].err);
	err_clear(err);
	const struct guest **leaving = arena_array(a, plan.n, sizeof(*leaving));
	size_t n = 0, gone;

	for (size_t i = 0; i < plan.n; i++) {
		if (plan.items[i].action == PLAN_LEAVE)
			leaving[n++] = plan.items[i].have;
	}
	pve_destroy(p, a, leaving, n, &gone, errs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct loop l = {.answers = str_n((const char *)data, n)};
	struct errs errs = {0};
	struct err err = {0};

	now = 1000;
	run(&l, a, &errs, &err);
	errs_clear(&errs);
	err_clear(&err);
	arena_free(a);
	return 0;
}
