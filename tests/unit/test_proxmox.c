/* proxmox against the lab's simulator with hosts in memory: machines come to be once, whatever goes wrong. */
#include "base/fs.h"
#include "model/plan.h"
#include "net/loop.h"
#include "proxmox/proxmox.h"
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET "0f8fad5b-d9cb-469f-a165-70867728950e"

struct sim {
	char dir[64];
	pid_t pid;
	const char *url;
	struct str ca;
	struct arena *a;
};

/* A run of nante's: its own loop, arena and connection. */
struct run {
	struct arena *a;
	struct loop *loop;
	struct pve *p;
	struct sources *ss;
	struct model m;
	struct plan_opts plan_opts;
	struct pve_apply_opts o;
	struct pve_world w;
	struct plan plan;
	struct pve_machine *machines;
	struct errs errs;
	struct err err;
	const char *stop_at; /* cancel when a machine enters this step */
};

static int shell(const char *command)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

static struct str read_text(struct sim *s, const char *name)
{
	struct buf b = {0};
	struct err err = {0};
	struct str text;

	if (!fs_read(fs_join(s->a, s->dir, name), &b, &err))
		fail_msg("%s", err_msg(&err));
	text = buf_take(&b, s->a);
	buf_free(&b);
	return text;
}

static void write_text(struct sim *s, const char *name, const char *text)
{
	struct err err = {0};

	assert_true(fs_write(fs_join(s->a, s->dir, name), str_c(text), 0600, &err));
}

static void sim_start(struct sim *s)
{
	char command[1024];
	struct str ready;

	snprintf(s->dir, sizeof(s->dir), "/tmp/test-pve-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->a = arena_new(NULL);
	snprintf(command, sizeof(command),
	         "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	         "-subj /CN=x "
	         "-addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.pem 2>/dev/null",
	         s->dir);
	assert_int_equal(shell(command), 0);
	write_text(s, "config.json",
	           "{\"token_id\": \"ci@pve!nante\", \"token_secret\": \"" SECRET "\", \"auth_delay\": 0.1, "
	           "\"cleanup_lock\": 0.3, \"name_lag\": 0, \"pve\": {}}");
	s->pid = fork();
	if (s->pid == 0) {
		alarm(300);
		setenv("PVE_SIM_SPEED", "20", 1);
		if (chdir("tests/lab") == 0)
			execlp("python3", "python3", "-m", "pve.server", "--fake-hosts", "--state", s->dir,
			       "--listen", "127.0.0.1:0", (char *)NULL);
		_exit(127);
	}
	snprintf(command, sizeof(command),
	         "for i in $(seq 200); do [ -s %s/pve.ready ] && exit 0; sleep 0.05; done; exit 1", s->dir);
	assert_int_equal(shell(command), 0);
	ready = str_trim(read_text(s, "pve.ready"));
	s->url = arena_printf(s->a, "https://127.0.0.1:%s", strrchr(ready.p, ':') + 1);
	s->url = arena_strndup(s->a, s->url, strcspn(s->url, "\n"));
	s->ca = read_text(s, "server.pem");
	/* The system's bundle is read for each client: here it is as small as can be. */
	setenv("SSL_CERT_FILE", fs_join(s->a, s->dir, "server.pem"), 1);
}

static struct sim shared;

static int setup(void **state)
{
	(void)state;
	sim_start(&shared);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	kill(shared.pid, SIGTERM);
	waitpid(shared.pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", shared.dir);
	assert_int_equal(shell(command), 0);
	arena_free(shared.a);
	return 0;
}

/* ---- a run ------------------------------------------------------------------------------------------------
 */

static void on_progress(void *ctx, const struct plan_item *it, const char *step, const char *detail)
{
	struct run *r = ctx;

	(void)it, (void)detail;
	if (r->stop_at && strcmp(step, r->stop_at) == 0)
		loop_cancel(r->loop);
}

/* A case's own app and network, so that many cases share one simulator. */
struct app {
	char name[16], vlan[16], instances[512];
};

static struct app some(int machines, int n)
{
	struct app a;
	struct buf b = {0};

	snprintf(a.name, sizeof(a.name), "app%d", n);
	snprintf(a.vlan, sizeof(a.vlan), "%d", 20 + n);
	for (int i = 1; i <= machines; i++)
		buf_printf(&b, "%s\"node%d\": {\"ip_address\": \"192.168.%d.5%d\"}", i == 1 ? "{" : ", ", i,
		           20 + n, i);
	snprintf(a.instances, sizeof(a.instances), "%s}", b.p);
	buf_free(&b);
	return a;
}

static void begin(struct run *r, struct sim *s, const struct app *app)
{
	struct model_inputs in = {.app_name = app->name,
	                          .environment = "dev",
	                          .resource_type = "vm",
	                          .vlan_tag = app->vlan,
	                          .cpu_cores = "2",
	                          .ram_mb = "1024",
	                          .disk_gb = "20",
	                          .bridge = "vmbr0",
	                          .instances = app->instances};
	struct pve_opts o = {.url = s->url,
	                     .token_id = "ci@pve!nante",
	                     .token_secret = SECRET,
	                     .ca_pem = s->ca,
	                     .speed_percent = 10};

	*r = (struct run){.a = arena_new(NULL)};
	r->loop = loop_new(&r->err);
	r->ss = sources_new(r->a);
	assert_true(model_read(r->a, r->ss, &in, &r->m, &r->errs));
	r->p = pve_new(r->a, r->loop, &o, &r->err);
	assert_non_null(r->p);
	r->plan_opts = (struct plan_opts){
	        "deploy", "ssh-ed25519 "
	                  "AAAAC3NzaC1lZDI1NTE5AAAAIE6Fz0c3m1mE3Yb2Xk1Qp2u3q7m8n9r0s1t2u3v4w5x6 me"};
	r->o = (struct pve_apply_opts){.template = "9000",
	                               .nodes = "",
	                               .storage = "",
	                               .pool = "",
	                               .plan = &r->plan_opts,
	                               .ready_timeout_s = 600,
	                               .progress = on_progress,
	                               .ctx = r};
}

static void end(struct run *r)
{
	for (size_t i = 0; r->machines && i < r->plan.n; i++)
		err_clear(&r->machines[i].err);
	errs_clear(&r->errs);
	err_clear(&r->err);
	arena_free(r->a);
	loop_free(r->loop);
}

static void observe(struct run *r)
{
	if (!pve_observe(r->p, r->a, r->m.owner, &r->w, &r->err))
		fail_msg("%s", err_msg(&r->err));
	if (!plan_make(r->a, &r->m, r->w.guests, r->w.n_guests, &r->plan_opts, &r->plan, &r->errs))
		fail_msg("%s", err_msg(&r->errs.v[0]));
}

static bool apply(struct run *r)
{
	observe(r);
	if (!pve_preflight(r->p, r->a, &r->w, &r->m, &r->plan, &r->o, &r->errs))
		fail_msg("%s", err_msg(&r->errs.v[0]));
	return pve_apply(r->p, r->a, &r->w, &r->m, &r->plan, &r->o, &r->machines, &r->err);
}

static void must_apply(struct run *r)
{
	if (!apply(r)) {
		struct buf b = {0};

		for (size_t i = 0; i < r->m.n; i++)
			err_text(&r->machines[i].err, &b);
		fail_msg("%s; %s", err_msg(&r->err), b.p ? b.p : "");
	}
}

/* Exactly the app's machines exist, each once and whole, and nothing is left half made. */
static void check_world(struct sim *s, const struct app *app)
{
	struct run r;
	size_t ours = 0;

	begin(&r, s, app);
	observe(&r);
	for (size_t i = 0; i < r.w.n_guests; i++) {
		const struct guest *g = &r.w.guests[i];

		assert_string_equal(g->lock, "");
		assert_non_null(g->name);
		ours += strncmp(g->name, r.m.owner, strlen(r.m.owner)) == 0;
	}
	assert_int_equal(ours, r.m.n);
	for (size_t i = 0; i < r.plan.n; i++)
		assert_int_equal(r.plan.items[i].action, PLAN_UNCHANGED);
	end(&r);
}

/* Requests in the API's log that write. */
static int writes(struct sim *s)
{
	struct str log = read_text(s, "api.log");
	int n = 0;

	while (log.n) {
		struct str line = str_split(&log, '\n');

		n += line.n && str_find(line, STR("\"method\": \"GET\""), 0) < 0;
	}
	return n;
}

/* ---- cases ------------------------------------------------------------------------------------------------
 */

static void test_three_machines(void **state)
{
	struct sim *s = &shared;

	(void)state;
	struct app app = some(3, 0);
	struct run r;
	int before;

	begin(&r, s, &app);
	must_apply(&r);
	for (size_t i = 0; i < 3; i++) {
		assert_true(r.machines[i].changed);
		assert_true(val_len(r.machines[i].host_keys) > 0);
		assert_true(r.machines[i].vmid >= 100);
		assert_string_equal(r.machines[i].item->want->name, r.m.machines[i].name);
	}
	assert_true(r.machines[0].vmid != r.machines[1].vmid && r.machines[1].vmid != r.machines[2].vmid);
	end(&r);
	check_world(s, &app);
	/* The second run writes nothing. */
	before = writes(s);
	begin(&r, s, &app);
	must_apply(&r);
	for (size_t i = 0; i < 3; i++)
		assert_false(r.machines[i].changed);
	end(&r);
	assert_int_equal(writes(s), before);
}

static void test_change(void **state)
{
	struct sim *s = &shared;

	(void)state;
	struct app app = {"change", "11", "{\"a\": {\"ip_address\": \"192.168.11.51\"}}"};
	struct run r;

	begin(&r, s, &app);
	must_apply(&r);
	end(&r);
	app = (struct app){"change", "11",
	                   "{\"a\": {\"ip_address\": \"192.168.11.51\", \"ram_mb\": 4096, \"disk_gb\": 30}}"};
	begin(&r, s, &app);
	must_apply(&r);
	assert_int_equal(r.plan.items[0].action, PLAN_UPDATE);
	assert_true(r.machines[0].changed);
	end(&r);
	check_world(s, &app);
}

static void test_destroy(void **state)
{
	struct sim *s = &shared;

	(void)state;
	struct app two = {"less", "12",
	                  "{\"node1\": {\"ip_address\": \"192.168.12.51\"}, \"node2\": {\"ip_address\": "
	                  "\"192.168.12.52\"}}"};
	struct app one = {"less", "12", "{\"node1\": {\"ip_address\": \"192.168.12.51\"}}"};
	struct run r;
	size_t gone;

	begin(&r, s, &two);
	must_apply(&r);
	end(&r);
	begin(&r, s, &one);
	observe(&r);
	assert_int_equal(r.plan.n, 2);
	assert_int_equal(r.plan.items[1].action, PLAN_LEAVE);
	if (!pve_destroy(r.p, r.a, &r.plan.items[1].have, 1, &gone, &r.errs))
		fail_msg("%s", err_msg(&r.errs.v[0]));
	assert_int_equal(gone, 1);
	/* Once more, with what was known before: it has left, which is what was wanted. */
	assert_true(pve_destroy(r.p, r.a, &r.plan.items[1].have, 1, &gone, &r.errs));
	assert_int_equal(gone, 1);
	end(&r);
	check_world(s, &one);
}

/* All at once; one that cannot go does not keep the others. */
static void test_destroy_all(void **state)
{
	struct app app = some(3, 40);
	const struct guest *guests[3];
	struct run r;
	size_t gone;

	(void)state;
	begin(&r, &shared, &app);
	must_apply(&r);
	end(&r);
	begin(&r, &shared, &app);
	observe(&r);
	for (size_t i = 0; i < 3; i++)
		guests[i] = r.plan.items[i].have;
	write_text(
	        &shared, "faults.json",
	        "[{\"match\": {\"method\": \"DELETE\"}, \"nth\": 2, \"action\": \"status\", \"code\": 500, "
	        "\"reason\": \"can't remove VM 100 - protection mode enabled\"}]");
	assert_false(pve_destroy(r.p, r.a, guests, 3, &gone, &r.errs));
	write_text(&shared, "faults.json", "[]");
	assert_int_equal(gone, 2);
	assert_int_equal(r.errs.n, 1);
	assert_non_null(strstr(r.errs.v[0].hint, "protection"));
	end(&r);
	begin(&r, &shared, &app);
	observe(&r);
	for (size_t i = gone = 0; i < 3; i++)
		gone += r.plan.items[i].action == PLAN_CREATE;
	assert_int_equal(gone, 2);
	end(&r);
}

/* A task that fails again and again is given up, although each try is a task of its own. */
static void test_busy_for_ever(void **state)
{
	struct pve_opts o = {.url = shared.url,
	                     .token_id = "ci@pve!nante",
	                     .token_secret = SECRET,
	                     .ca_pem = shared.ca,
	                     .speed_percent = 1};
	struct app app = some(1, 41);
	struct run r;

	(void)state;
	write_text(&shared, "faults.json",
	           "[{\"match\": {\"path\": \"/clone\"}, \"count\": 0, \"action\": \"task_error\", \"text\": "
	           "\"clone failed: cfs-lock 'storage-x' error: got lock request timeout\"}]");
	begin(&r, &shared, &app);
	r.p = pve_new(r.a, r.loop, &o, &r.err);
	assert_false(apply(&r));
	assert_non_null(strstr(err_msg(&r.machines[0].err), "got lock request timeout"));
	assert_string_equal(r.machines[0].err.hint, "the storage is busy");
	assert_false(r.machines[0].changed);
	end(&r);
	write_text(&shared, "faults.json", "[]");
	begin(&r, &shared, &app);
	must_apply(&r);
	end(&r);
	check_world(&shared, &app);
}

/* What the API does to some request, by faults.json's rules. */
struct fault {
	const char *name, *method, *path, *rest;
};

static const struct fault faults[] = {
        {"clone: answer lost", "POST", "/clone", "\"action\": \"drop_after_work\""},
        {"clone: 596 while it goes on", "POST", "/clone", "\"action\": \"proxy_timeout\""},
        {"clone: reset before anything", "POST", "/clone", "\"action\": \"reset\""},
        {"clone: storage busy", "POST", "/clone",
         "\"count\": 2, \"action\": \"task_error\", \"text\": \"clone failed: can't lock file "
         "'/var/lock/pve-manager/pve-storage-shared' - got timeout\""},
        {"clone: id locked", "POST", "/clone",
         "\"action\": \"task_error\", \"text\": \"can't lock file '/var/lock/qemu-server/lock-100.conf' - "
         "got timeout\""},
        {"clone: id taken", "POST", "/clone",
         "\"action\": \"status\", \"code\": 500, \"reason\": \"unable to create VM 100: config file already "
         "exists\""},
        {"config: locked", "PUT", "/config",
         "\"count\": 2, \"action\": \"status\", \"code\": 500, \"reason\": \"can't lock file "
         "'/var/lock/qemu-server/lock-100.conf' - got timeout\""},
        {"config: answer lost", "PUT", "/config", "\"action\": \"drop_after_work\""},
        {"resize: answer lost", "PUT", "/resize", "\"action\": \"drop_after_work\""},
        {"start: answer lost", "POST", "/status/start", "\"action\": \"drop_after_work\""},
        {"start: 596 while it goes on", "POST", "/status/start", "\"action\": \"proxy_timeout\""},
        {"start: warnings", "POST", "/status/start", "\"action\": \"task_warning\", \"text\": \"odd\""},
        {"task: 596", "GET", "/tasks/",
         "\"count\": 3, \"action\": \"status\", \"code\": 596, \"reason\": \"Connection timed out\""},
        {"task: reset", "GET", "/tasks/", "\"count\": 2, \"action\": \"reset\""},
        {"agent: reset", "POST", "/agent/exec", "\"action\": \"reset\""},
};

/* Whatever the API does, the machines come to be: each once. *STATE is the fault, the simulator is shared. */
static void test_fault(void **state)
{
	const struct fault *f = *state;
	struct app app = some(2, (int)(f - faults) + 1);
	struct run r;
	char rules[512];

	snprintf(rules, sizeof(rules), "[{\"match\": {\"method\": \"%s\", \"path\": \"%s\"}, %s}]", f->method,
	         f->path, f->rest);
	write_text(&shared, "faults.json", rules);
	begin(&r, &shared, &app);
	must_apply(&r);
	end(&r);
	write_text(&shared, "faults.json", "[]");
	check_world(&shared, &app);
}

static const char *const steps[] = {"clone",         "read configuration", "configure",
                                    "grow disk",     "look at status",     "wait for guest agent",
                                    "read host key", "mark as ready"};

/* A run dies when the first machine comes to the step *STATE; the next run completes what it left. */
static void test_killed(void **state)
{
	struct app app = some(2, 50 + (int)((const char *const *)*state - steps));
	struct run r;

	begin(&r, &shared, &app);
	r.stop_at = *(const char *const *)*state;
	assert_false(apply(&r));
	assert_int_equal(r.err.cls, ERR_CANCELLED);
	end(&r);
	begin(&r, &shared, &app);
	must_apply(&r);
	end(&r);
	check_world(&shared, &app);
}

static void cancel_now(void *ctx)
{
	loop_cancel(ctx);
}

/* A run dies when its clone is a task, but no guest yet. The next one waits for it and does not make another.
 */
static void test_killed_before_the_guest_shows(void **state)
{
	struct app app = some(1, 42);
	struct run r;

	(void)state;
	write_text(&shared, "faults.json",
	           "[{\"match\": {\"path\": \"/clone\"}, \"action\": \"task_slow\", \"seconds\": 3}]");
	begin(&r, &shared, &app);
	struct loop_timer t = {.fn = cancel_now, .ctx = r.loop};

	observe(&r);
	loop_timer_set(r.loop, &t, 1500);
	assert_false(pve_apply(r.p, r.a, &r.w, &r.m, &r.plan, &r.o, &r.machines, &r.err));
	assert_int_equal(r.err.cls, ERR_CANCELLED);
	end(&r);
	write_text(&shared, "faults.json", "[]");
	begin(&r, &shared, &app);
	must_apply(&r);
	assert_int_equal(r.plan.items[0].action, PLAN_COMPLETE);
	end(&r);
	check_world(&shared, &app);
}

/*
 * Two runs at once, and the one with the lower id is not through: its guest has a name, is locked, and lies
 * on the template's node, from which it moves at the end. The other run gives way to it, waits, and finds it
 * where it is then.
 */
static void test_gives_way_to_one_being_made(void **state)
{
	struct app app = some(1, 43);
	struct run r;
	int status = -1;

	(void)state;
	write_text(&shared, "faults.json",
	           "[{\"match\": {\"path\": \"/clone\"}, \"action\": \"task_slow\", \"when\": \"end\", "
	           "\"seconds\": 3}]");
	begin(&r, &shared, &app);
	r.o.nodes = "pmx1";
	observe(&r);
	pid_t other = fork();

	if (other == 0) {
		struct run o;

		begin(&o, &shared, &app);
		o.o.nodes = "pmx2";
		_exit(apply(&o) ? 0 : 1);
	}
	shell("sleep 1.5");
	if (!pve_apply(r.p, r.a, &r.w, &r.m, &r.plan, &r.o, &r.machines, &r.err))
		fail_msg("%s; %s", err_msg(&r.err), err_msg(&r.machines[0].err));
	assert_string_equal(r.machines[0].node, "pmx2");
	end(&r);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	write_text(&shared, "faults.json", "[]");
	check_world(&shared, &app);
}

static void test_refused(void **state)
{
	struct sim *s = &shared;

	(void)state;
	struct app app = some(3, 0);
	struct run r;
	struct pve_opts o = {
	        .url = s->url, .token_id = "ci@pve!nante", .token_secret = "wrong", .ca_pem = s->ca};

	begin(&r, s, &app);
	r.p = pve_new(r.a, r.loop, &o, &r.err);
	assert_false(pve_observe(r.p, r.a, r.m.owner, &r.w, &r.err));
	assert_int_equal(r.err.cls, ERR_USER);
	assert_non_null(strstr(r.err.hint, "PROXMOX_API_TOKEN"));
	end(&r);
	begin(&r, s, &app);
	observe(&r);
	r.o.template = "no-such-template";
	assert_false(pve_preflight(r.p, r.a, &r.w, &r.m, &r.plan, &r.o, &r.errs));
	assert_int_equal(r.errs.v[0].cls, ERR_USER);
	assert_non_null(strstr(err_msg(&r.errs.v[0]), "no-such-template"));
	end(&r);
	begin(&r, s, &app);
	observe(&r);
	r.o.storage = "nowhere";
	assert_false(pve_preflight(r.p, r.a, &r.w, &r.m, &r.plan, &r.o, &r.errs));
	assert_non_null(strstr(err_msg(&r.errs.v[0]), "nowhere"));
	end(&r);
	assert_int_equal(writes(s), 0);
}

int main(int argc, char **argv)
{
	/* The refused ones first: they show that nothing was written. */
	struct CMUnitTest tests[8 + LENGTH(faults) + LENGTH(steps)] = {
	        cmocka_unit_test(test_refused),
	        cmocka_unit_test(test_three_machines),
	        cmocka_unit_test(test_change),
	        cmocka_unit_test(test_destroy),
	        cmocka_unit_test(test_destroy_all),
	        cmocka_unit_test(test_busy_for_ever),
	        cmocka_unit_test(test_killed_before_the_guest_shows),
	        cmocka_unit_test(test_gives_way_to_one_being_made),
	};
	size_t n = 8;

	for (size_t i = 0; i < LENGTH(faults); i++)
		tests[n++] = (struct CMUnitTest){faults[i].name, test_fault, NULL, NULL,
		                                 (void *)(uintptr_t)&faults[i]};
	for (size_t i = 0; i < LENGTH(steps); i++)
		tests[n++] =
		        (struct CMUnitTest){steps[i], test_killed, NULL, NULL, (void *)(uintptr_t)&steps[i]};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
