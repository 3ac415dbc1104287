/*
 * run - one run of the action: what its phases share. run.c has them in order; each phase is a function in a
 * file of its own (run_PHASE.c).
 */
#ifndef RUN_H
#define RUN_H
#include "base/val.h"
#include "github/commands.h"
#include "github/inputs.h"
#include "github/outputs.h"
#include "model/plan.h"
#include "proxmox/proxmox.h"

struct engine;
struct engine_output;
struct inventory;
struct ssh_links;
struct ssh_target;
struct loop;

/* What a command does; run.c's table combines them. */
enum {
	DO_OBSERVE = 1,  /* look at Proxmox VE and plan */
	DO_MACHINES = 2, /* make and change machines */
	DO_ROLES = 4,    /* run the roles' main verb */
	DO_VERIFY = 8,   /* run the roles' verify verb */
	DO_BASE = 16,    /* of the roles only base_setup */
	DO_VERB = 32,    /* one verb of one role */
	DO_DESTROY = 64,
	DO_FORESEE = 128, /* say what would be done, and do nothing */
};

struct timing {
	const char *what;
	double seconds;
	struct timing *next;
};

struct run {
	struct arena *a;
	struct sources *ss;
	struct loop *loop;
	const char *command; /* "provision" */
	const char *verb;    /* of "run ROLE:VERB": ROLE:VERB, else NULL */
	unsigned does;

	struct val
	        *env; /* NAME -> text: the process's environment, env files, the input "secrets", Doppler */
	struct inputs *in;
	struct gh gh;
	struct gh_files files;

	struct model model;
	struct plan_opts plan_opts;
	struct plan plan;
	struct pve *pve;
	struct pve_world world;
	/* NULL when Proxmox VE was left alone. The first model.n are the wanted ones, then those that leave.
	 */
	struct pve_machine *machines;
	size_t n_machines;

	struct val *roles; /* names, in the order they run */
	struct inventory *inventory;
	struct engine *engine;
	struct ssh_links *links;
	struct progress *progress; /* how the roles' run is shown: run_show.c */

	int64_t began;
	struct timing *timings, **timings_end;
	bool roles_ran, verified, destroyed;
};

/* Phases: all that is wrong goes to ERRS; false ends the run. */
bool run_read_inputs(struct run *r, int argc, char **argv, struct errs *errs);
bool run_fetch_secrets(struct run *r, struct errs *errs);
bool run_check(struct run *r, struct errs *errs);
/* The machines the inputs ask for: part of run_check(), and of refusing inputs with all that is wrong. */
bool run_model(struct run *r, struct errs *errs);
bool run_observe(struct run *r, struct errs *errs);
bool run_machines(struct run *r, struct errs *errs);
/* From what and where machines are made: the members template, nodes and storage of *RET. */
bool run_places(struct run *r, struct pve_apply_opts *ret, struct err *err);
/* What becomes of machines that instances no longer names. */
const char *run_leave_note(const struct run *r);
/* Takes the one item IT through its steps; what it is then is in *RET. */
bool run_machine(struct run *r, const struct plan_item *it, struct pve_machine *ret, struct errs *errs);
/* The first contact with machines whose host key nobody tells: part of run_machines(). */
bool run_contact(struct run *r, struct errs *errs);
bool run_leave(struct run *r, struct errs *errs);
bool run_roles(struct run *r, struct errs *errs);
bool run_foresee(struct run *r, struct errs *errs);
bool run_verify(struct run *r, struct errs *errs);
bool run_restart(struct run *r, struct errs *errs);
bool run_verb(struct run *r, struct errs *errs);
bool run_destroy(struct run *r, struct errs *errs);
/* Destroys the guests of the plan's items WHICH says, all that can go. */
bool run_destroy_these(struct run *r, bool (*which)(const struct plan_item *it), struct errs *errs);
/* Whether this run wrote anything so far: to Proxmox VE or to a machine. */
bool run_changed(const struct run *r);
/* The machine that leads what the roles make, as they said when they verified it; "" when none does. */
const char *run_leader(const struct run *r);
/* Outputs and job summary, whatever happened before. */
void run_report(struct run *r, const struct errs *errs);

/* Tells log and runner to hide the secret NAME; one that cannot be hidden goes to ERRS. The runner's sink
 * must be report_raw(). */
void run_hide(struct run *r, struct str name, struct str value, struct errs *errs);
/* A secret or setting by any of its names ("A|B"), or NULL when none is set. */
const char *run_secret(const struct run *r, const char *names);

/* Who logs in to machines of TYPE: a container has nobody but root, unless somebody says whom its template
 * has. */
const char *run_ssh_user(const struct run *r, enum machine_type type);

/* Keys, and how Proxmox VE is reached: whether they have the form they must have. */
void run_check_keys(const struct run *r, struct errs *errs);

/* Certificates to trust in addition to the system's. */
bool run_ca_pem(struct run *r, struct str *ret, struct err *err);

/* Makes r->links, once. */
bool run_links(struct run *r, struct err *err);
/* What the inputs say of the way to machine NAME: port, key, host keys, waiting, jump host. */
void run_target(struct run *r, const char *name, struct ssh_target *t);

/*
 * Makes the engine over the app's machines, and with LEAVING over those that are to go as well, which are
 * then the group RUN_LEAVING.
 */
bool run_engine(struct run *r, bool leaving, struct err *err);
#define RUN_LEAVING "nante_leaving"
/* The engine's failures as errors; true when there are none. */
bool run_failures(struct run *r, struct errs *errs);
/* How the roles' run is shown. */
struct progress *progress_new(struct run *r);
extern const struct engine_output progress_output;
/* Groups are called "PHASE ROLE" from now on; PHASE must last. */
void progress_phase(struct progress *p, const char *phase);
/* Ends the group that is open. */
void progress_end(struct progress *p);
#endif
