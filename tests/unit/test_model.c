/* Inputs become machines or errors with their place; guests become a plan. */
#include "base/json.h"
#include "model/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct model_inputs good = {
        .app_name = "patroni",
        .environment = "prod",
        .resource_type = "vm",
        .vlan_tag = "10",
        .cpu_cores = "2",
        .ram_mb = "4096",
        .disk_gb = "40G",
        .bridge = "vmbr0",
        .instances = "{\n  \"node2\": {\"ip_address\": \"192.168.10.52\", \"cpu_cores\": \"4\", \"ram_mb\": "
                     "8192},\n"
                     "  \"node10\": {\"ip_address\": \"192.168.10.51\", \"disk_gb\": \"80\"}\n}\n\n",
};

struct fixture {
	struct arena *a;
	struct sources *ss;
	struct errs errs;
	struct model m;
};

static bool read_model(struct fixture *f, const struct model_inputs *in)
{
	*f = (struct fixture){.a = arena_new(NULL)};
	f->ss = sources_new(f->a);
	return model_read(f->a, f->ss, in, &f->m, &f->errs);
}

static void done(struct fixture *f)
{
	errs_clear(&f->errs);
	arena_free(f->a);
}

static void the_guides_inputs(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(read_model(&f, &good));
	assert_int_equal(f.m.n, 2);
	assert_string_equal(f.m.machines[0].name, "patroni-prod-node2");
	assert_int_equal(f.m.machines[0].cores, 4);
	assert_int_equal(f.m.machines[0].memory_mb, 8192);
	assert_int_equal(f.m.machines[0].disk_gb, 40);
	assert_string_equal(f.m.machines[1].key, "node10");
	assert_int_equal(f.m.machines[1].disk_gb, 80);
	assert_string_equal(f.m.net.gateway, "192.168.10.1");
	assert_string_equal(f.m.net.subnet, "192.168.10.0/24");
	done(&f);
}

static void a_single_machine(void **state)
{
	struct model_inputs in = good;
	struct fixture f;

	(void)state;
	in.instances = " {} \n";
	in.vm_target_ip = "192.168.10.60";
	assert_true(read_model(&f, &in));
	assert_string_equal(f.m.machines[0].name, "patroni-prod");
	done(&f);
}

/* Every row: instances that are wrong, and what is said where. */
static void wrong_instances(void **state)
{
	static const struct {
		const char *json, *msg;
		unsigned line, col;
	} rows[] = {
	        {"{\"a\": }", "invalid JSON", 1, 7},
	        {"{\"a\": {\"ip_address\": \"192.168.10.5\"},\n \"a\": {}}", "duplicate", 2, 2},
	        {"[1]", "must be an object", 1, 1},
	        {"{\"a\": 1}", "must be an object", 1, 7},
	        {"{\"a\": {}}", "has no ip_address", 1, 2},
	        {"{\"a_b\": {\"ip_address\": \"192.168.10.5\"}}", "no host name part", 1, 2},
	        {"{\"-a\": {\"ip_address\": \"192.168.10.5\"}}", "no host name part", 1, 2},
	        {"{\"a\": {\"ip_address\": \"192.168.20.5\"}}", "not in the network 192.168.10.0/24", 1, 22},
	        {"{\"a\": {\"ip_address\": \"192.168.10.1\"}}", "is the gateway", 1, 22},
	        {"{\"a\": {\"ip_address\": \"192.168.10.0\"}}", "network's own", 1, 22},
	        {"{\"a\": {\"ip_address\": \"192.168.10.255\"}}", "network's own", 1, 22},
	        {"{\"a\": {\"ip_address\": \"192.168.10.256\"}}", "no IPv4 address", 1, 22},
	        {"{\"a\": {\"ip_address\": \"192.168.10.05\"}}", "no IPv4 address", 1, 22},
	        {"{\"a\": {\"ip_address\": 7}}", "must be text", 1, 22},
	        {"{\"a\": {\"ip_address\": \"192.168.10.5\", \"ram\": 1}}", "unknown setting 'ram'", 1, 38},
	        {"{\"a\": {\"ip_address\": \"192.168.10.5\", \"disk_gb\": \"40X\"}}", "no whole number", 1,
	         49},
	        {"{\"a\": {\"ip_address\": \"192.168.10.5\", \"cpu_cores\": 0}}", "no whole number", 1, 51},
	        {"{\"a\": {\"ip_address\": \"192.168.10.5\"},\n\"b\": {\"ip_address\": \"192.168.10.5\"}}",
	         "same ip_address", 2, 1},
	        {"{\"a\": {\"ip_address\": \"192.168.10.5\"},\n\"A\": {\"ip_address\": \"192.168.10.6\"}}",
	         "letter case", 2, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct model_inputs in = good;
		struct source_pos pos;
		struct fixture f;

		in.instances = rows[i].json;
		assert_false(read_model(&f, &in));
		assert_int_equal(f.errs.n, 1);
		if (!strstr(err_msg(&f.errs.v[0]), rows[i].msg))
			fail_msg("%s: %s", rows[i].json, err_msg(&f.errs.v[0]));
		assert_true(sources_locate(f.ss, err_origin(&f.errs.v[0]), &pos));
		if (pos.line != rows[i].line || pos.col != rows[i].col)
			fail_msg("%s: at %u:%u", rows[i].json, pos.line, pos.col);
		done(&f);
	}
}

static void all_errors_at_once(void **state)
{
	struct model_inputs in = good;
	struct fixture f;

	(void)state;
	in.app_name = "my_app";
	in.vlan_tag = "5000";
	in.ram_mb = "lots";
	in.instances = "{\"a\": {\"ip_address\": \"x\", \"foo\": 1}}";
	assert_false(read_model(&f, &in));
	assert_true(f.errs.n >= 5);
	done(&f);
}

static struct guest guest(struct fixture *f, const struct machine *m, const char *status, const char *more)
{
	struct plan_opts o = {"deploy", "ssh-ed25519 AAAA k"};
	struct val *c = plan_config(f->a, &f->m, m, &o, NULL), *extra;
	struct err err = {0};

	val_set(c, "scsi0", val_strz(f->a, "local:vm-100-disk-0,size=40G"));
	val_set(c, "boot", val_strz(f->a, "order=scsi0;net0"));
	val_set(c, "net0", val_strz(f->a, "virtio=AA:BB:CC:DD:EE:FF,bridge=vmbr0,tag=10"));
	assert_true(json_parse(f->a, str_c(more), 0, &extra, &err));
	return (struct guest){.vmid = 100,
	                      .node = "pmx1",
	                      .name = m->name,
	                      .status = status,
	                      .lock = "",
	                      .config = val_merge(f->a, c, extra, false)};
}

/* Every row: what a guest has instead of what it should, and what is planned. */
static void plans(void **state)
{
	static const struct {
		const char *config, *status;
		enum plan_action action;
		size_t changes;
	} rows[] = {
	        {"{}", "running", PLAN_UNCHANGED, 0},
	        {"{\"memory\": 8192, \"cores\": 4}", "running", PLAN_UNCHANGED, 0},
	        {"{\"memory\": \"current=8192\"}", "running", PLAN_UNCHANGED, 0},
	        {"{}", "stopped", PLAN_START, 0},
	        {"{\"memory\": 2048}", "running", PLAN_UPDATE, 1},
	        {"{\"cores\": 2, \"sockets\": 2}", "running", PLAN_UNCHANGED, 0},
	        {"{\"net0\": \"virtio=AA:BB:CC:DD:EE:FF,bridge=vmbr0,tag=20\"}", "running", PLAN_UPDATE, 1},
	        {"{\"scsi0\": \"local:d,size=20G\"}", "running", PLAN_UPDATE, 1},
	        {"{\"scsi0\": \"local:d,size=50G\"}", "running", PLAN_UNCHANGED, 0},
	        {"{\"agent\": \"0\"}", "running", PLAN_UPDATE, 1},
	        {"{\"tags\": \"\", \"description\": \"by terraform\"}", "running", PLAN_ADOPT, 2},
	        {"{\"description\": \"nante: app=patroni environment=prod machine=node2 state=making\"}",
	         "stopped", PLAN_COMPLETE, 0},
	};
	struct plan_opts o = {"deploy", "ssh-ed25519 AAAA k"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture f;
		struct plan p;

		assert_true(read_model(&f, &good));
		f.m.n = 1;
		struct guest g = guest(&f, &f.m.machines[0], rows[i].status, rows[i].config);

		if (!plan_make(f.a, &f.m, &g, 1, &o, &p, &f.errs))
			fail_msg("%s: %s", rows[i].config, err_msg(&f.errs.v[0]));
		if (p.items[0].action != rows[i].action || p.items[0].n != rows[i].changes)
			fail_msg("%s: %s with %zu changes", rows[i].config,
			         plan_action_name(p.items[0].action), p.items[0].n);
		done(&f);
	}
}

/* Every row: a running guest, what of it waits for a restart, whether it may get one, and what is planned. */
static void restarts(void **state)
{
	static const char waiting[] = "[{\"key\": \"name\", \"value\": \"x\"},"
	                              " {\"key\": \"memory\", \"value\": \"4096\", \"pending\": 8192}]";
	static const struct {
		const char *config, *pending;
		bool may, restart;
		enum plan_action action;
		size_t changes;
	} rows[] = {
	        {"{\"memory\": 4096}", "[]", true, true, PLAN_UPDATE, 1},
	        {"{\"memory\": 4096}", "[]", false, false, PLAN_UPDATE, 1},
	        {"{}", waiting, true, true, PLAN_UPDATE, 1},
	        {"{}", waiting, false, false, PLAN_UNCHANGED, 0},
	        {"{\"memory\": 4096}", waiting, true, true, PLAN_UPDATE, 1},
	        {"{\"scsi0\": \"local:d,size=20G\"}", "[]", true, false, PLAN_UPDATE, 1},
	        {"{}", "[{\"key\": \"agent\", \"value\": \"enabled=1\", \"pending\": \"enabled=1\"}]", true,
	         false, PLAN_UNCHANGED, 0},
	        {"{}", "[{\"key\": \"usb0\", \"pending\": \"spice\"}]", true, false, PLAN_UNCHANGED, 0},
	        {"{}", "[{\"key\": \"cores\", \"value\": 2, \"delete\": 1}, 5, null]", true, false,
	         PLAN_UNCHANGED, 0},
	        {"{}", "null", true, false, PLAN_UNCHANGED, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct plan_opts o = {"deploy", "ssh-ed25519 AAAA k", rows[i].may};
		struct fixture f;
		struct val *pending;
		struct plan p;
		struct err err = {0};

		assert_true(read_model(&f, &good));
		f.m.n = 1;
		struct guest g = guest(&f, &f.m.machines[0], "running", rows[i].config);

		assert_true(json_parse(f.a, str_c(rows[i].pending), 0, &pending, &err));
		g.pending = pending;
		assert_true(plan_make(f.a, &f.m, &g, 1, &o, &p, &f.errs));
		if (p.items[0].action != rows[i].action || p.items[0].n != rows[i].changes ||
		    p.items[0].restart != rows[i].restart)
			fail_msg("%zu: %s with %zu changes", i, plan_action_name(p.items[0].action),
			         p.items[0].n);
		done(&f);
	}
}

/* Cores are counted over the sockets, and wanted on one. */
static void sockets(void **state)
{
	struct plan_opts o = {"deploy", "ssh-ed25519 AAAA k", true};
	struct fixture f;
	struct plan p;

	(void)state;
	assert_true(read_model(&f, &good));
	f.m.n = 1;
	struct guest g = guest(&f, &f.m.machines[0], "running", "{\"cores\": 3, \"sockets\": 2}");

	assert_true(plan_make(f.a, &f.m, &g, 1, &o, &p, &f.errs));
	assert_string_equal(val_map_strz(p.items[0].config, "cores", ""), "4");
	assert_string_equal(val_map_strz(p.items[0].config, "sockets", ""), "1");
	done(&f);
}

static void refusals(void **state)
{
	static const struct {
		const char *config, *msg;
	} rows[] = {
	        {"{\"ipconfig0\": \"ip=192.168.10.99/24,gw=192.168.10.1\"}", "has the address 192.168.10.99"},
	        {"{\"description\": \"nante: app=other environment=prod machine=node2\"}",
	         "belongs to another app"},
	        {"{\"ipconfig0\": \"\", \"description\": \"my own\"}", "neither our mark nor a set address"},
	};
	struct plan_opts o = {"deploy", "ssh-ed25519 AAAA k"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture f;
		struct plan p;

		assert_true(read_model(&f, &good));
		struct guest g = guest(&f, &f.m.machines[0], "running", rows[i].config);

		assert_false(plan_make(f.a, &f.m, &g, 1, &o, &p, &f.errs));
		assert_non_null(strstr(err_msg(&f.errs.v[0]), rows[i].msg));
		done(&f);
	}
}

static void leaving_machines_are_seen(void **state)
{
	struct plan_opts o = {"deploy", "k"};
	struct fixture f;
	struct plan p;

	(void)state;
	assert_true(read_model(&f, &good));
	struct machine gone = f.m.machines[0];

	gone.key = "node3";
	gone.name = "patroni-prod-node3";
	gone.address = "192.168.10.53";
	struct guest g = guest(&f, &gone, "running", "{}");

	assert_true(plan_make(f.a, &f.m, &g, 1, &o, &p, &f.errs));
	assert_int_equal(p.n, 3);
	assert_int_equal(p.items[2].action, PLAN_LEAVE);
	done(&f);
}

static void a_taken_address_is_refused(void **state)
{
	struct plan_opts o = {"deploy", "k"};
	struct fixture f;
	struct plan p;

	(void)state;
	assert_true(read_model(&f, &good));
	struct guest g = guest(&f, &f.m.machines[0], "running", "{\"description\": \"\"}");

	g.name = "somebody-else";
	assert_false(plan_make(f.a, &f.m, &g, 1, &o, &p, &f.errs));
	assert_non_null(strstr(err_msg(&f.errs.v[0]), "holds the address"));
	done(&f);
}

/* The key of a first contact is kept beside whatever else the description says. */
static void a_host_key_is_kept(void **state)
{
	struct arena *a = arena_new(NULL);
	const char *mine = "Ask Anna.\n\nnante: app=shop environment=dev machine=-\nThe end.";
	const char *with = plan_with_host_key(a, mine, "ssh-ed25519 AAAA"), *other;

	(void)state;
	assert_string_equal(plan_host_key(a, mine), "");
	assert_string_equal(plan_host_key(a, with), "ssh-ed25519 AAAA");
	assert_true(str_starts(str_c(with), mine));
	other = plan_with_host_key(a, with, "ssh-rsa BBBB");
	assert_string_equal(plan_host_key(a, other), "ssh-rsa BBBB");
	assert_null(strstr(other, "AAAA"));
	assert_string_equal(plan_host_key(a, plan_with_host_key(a, "", "ssh-rsa C")), "ssh-rsa C");
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_guides_inputs),
	        cmocka_unit_test(a_single_machine),
	        cmocka_unit_test(wrong_instances),
	        cmocka_unit_test(all_errors_at_once),
	        cmocka_unit_test(plans),
	        cmocka_unit_test(restarts),
	        cmocka_unit_test(sockets),
	        cmocka_unit_test(refusals),
	        cmocka_unit_test(leaving_machines_are_seen),
	        cmocka_unit_test(a_taken_address_is_refused),
	        cmocka_unit_test(a_host_key_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
