/*
 * The action on one page: its commands, its phases.
 */
#include "run.h"

#include "base/log.h"
#include "base/suggest.h"
#include "cmd.h"
#include "net/loop.h"
#include "report.h"
#include "ssh/link.h"

#define MACHINES (DO_OBSERVE | DO_MACHINES)

/* A command is one row. */
static const struct {
	const char *name;
	unsigned does;
} commands[] = {
        {"provision", MACHINES | DO_ROLES | DO_VERIFY},
        {"plan", DO_OBSERVE | DO_FORESEE},
        {"configure", DO_OBSERVE | DO_ROLES | DO_VERIFY},
        {"verify", DO_OBSERVE | DO_VERIFY},
        {"bootstrap", DO_OBSERVE | DO_ROLES | DO_BASE},
        {"onboard", DO_ROLES | DO_VERIFY},
        {"destroy", DO_OBSERVE | DO_DESTROY},
        {"run", DO_OBSERVE | DO_VERB},
};

/* A phase is one row: when it is part of the command, and what the log calls it. */
static const struct {
	const char *title;
	unsigned when; /* any of these; 0: always */
	bool (*fn)(struct run *r, struct errs *errs);
} phases[] = {
        {"Secrets", 0, run_fetch_secrets},     {"Check", 0, run_check},
        {"Plan", DO_OBSERVE, run_observe},     {"Machines", DO_OBSERVE, run_machines},
        {"Leave", DO_MACHINES, run_leave},     {"Roles", DO_ROLES, run_roles},
        {"Foresee", DO_FORESEE, run_foresee},  {"Verify", DO_VERIFY, run_verify},
        {"Restart", DO_MACHINES, run_restart}, {"Operation", DO_VERB, run_verb},
        {"Destroy", DO_DESTROY, run_destroy},
};

static void note_time(struct run *r, const char *what, int64_t began)
{
	struct timing *t = ARENA_NEW(r->a, struct timing);

	*t = (struct timing){what, (double)(loop_now() - began) / 1000, NULL};
	*r->timings_end = t;
	r->timings_end = &t->next;
}

static bool no_verb(struct errs *errs)
{
	struct err *e = errs_add(errs);

	err_set(e, ERR_USER, ORIGIN_NONE, "the command run needs to know what: a role and one of its verbs");
	return err_hint(e, "write run ROLE:VERB, for example run web:restart");
}

static bool choose_command(struct run *r, struct errs *errs)
{
	struct str rest = str_trim(str_c(r->command)), name = str_split(&rest, ' ');
	struct suggest near = {.name = name};
	struct err *e;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (!str_eqc(name, commands[i].name))
			continue;
		r->command = commands[i].name;
		r->does = commands[i].does;
		if (rest.n && !r->verb)
			r->verb = str_dup(r->a, str_trim(rest)).p;
		if ((r->does & DO_VERB) && !(r->verb && strchr(r->verb, ':')))
			return no_verb(errs);
		return true;
	}
	e = errs_add(errs);
	err_set(e, ERR_USER, inputs_origin(r->in, "command"), "there is no command '%.*s'", STR_FMT(name));
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		suggest_offer(&near, commands[i].name);
	if (near.best)
		return err_hint(e, "did you mean '%s'?", near.best);
	return err_hint(e, "known are provision, plan, configure, verify, destroy, onboard, bootstrap and "
	                   "run ROLE:VERB");
}

static bool go_through(struct run *r, struct errs *errs)
{
	for (size_t i = 0; i < sizeof(phases) / sizeof(*phases); i++) {
		int64_t began = loop_now();

		if (phases[i].when && !(phases[i].when & r->does))
			continue;
		bool ok = phases[i].fn(r, errs) && errs->n == 0;

		gh_end_group(&r->gh);
		note_time(r, phases[i].title, began);
		if (!ok)
			return false;
	}
	return true;
}

/* The worst of what happened: unreachable is told apart because trying again may help. */
static int exit_code(const struct run *r, const struct errs *errs)
{
	int code = EXIT_DONE;

	for (size_t i = 0; i < errs->n; i++) {
		int c = report_exit_code(&errs->v[i]);

		if (code == EXIT_DONE || code == EXIT_UNREACHABLE)
			code = c;
		else if (c == EXIT_FAILED)
			code = c;
	}
	/* "Refused" promises that nothing was changed. */
	return code == EXIT_REFUSED && run_changed(r) ? EXIT_FAILED : code;
}

/* A cancelled run still has a few seconds: enough to say how far it came. */
static void after_cancel(struct run *r, struct errs *errs)
{
	if (!loop_cancelled(r->loop))
		return;
	loop_cancel_clear(r->loop);
	if (r->links)
		ssh_links_cancel(r->links);
	for (size_t i = 0; i < errs->n; i++) {
		if (errs->v[i].cls == ERR_CANCELLED)
			return;
	}
	err_set(errs_add(errs), ERR_CANCELLED, ORIGIN_NONE, "cancelled");
}

int cmd_action(int argc, char **argv)
{
	struct arena *a = arena_new(NULL);
	struct errs errs = {0};
	struct err err = {0};
	struct run *r = ARENA_NEW(a, struct run);

	*r = (struct run){.a = a, .ss = sources_new(a), .began = loop_now()};
	r->timings_end = &r->timings;
	r->loop = loop_new(&err);
	if (!r->loop) {
		report_err(NULL, NULL, &err);
		err_clear(&err);
		arena_free(a);
		return EXIT_FAILED;
	}
	cancel_with(r->loop);
	if (run_read_inputs(r, argc, argv, &errs) && choose_command(r, &errs))
		go_through(r, &errs);
	if (r->progress)
		progress_end(r->progress);
	gh_end_group(&r->gh);
	after_cancel(r, &errs);
	run_report(r, &errs);
	report_errs(&r->gh, r->ss, &errs);
	int code = exit_code(r, &errs);

	errs_clear(&errs);
	if (r->links)
		ssh_links_free(r->links);
	cancel_with(NULL);
	struct loop *l = r->loop;

	arena_free(a); /* before the loop: what it deferred still speaks to it */
	loop_free(l);
	return code;
}
