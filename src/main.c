/*
 * nante - one step from the inputs of a workflow to machines that run, configured by Ansible roles.
 * This file is the table of commands; run.c holds the phases of the action.
 */
#include "base/log.h"
#include "base/suggest.h"
#include "cmd.h"
#include "net/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#ifndef NANTE_VERSION
#define NANTE_VERSION "unknown"
#endif

struct command {
	const char *name, *args, *doc;
	int (*fn)(int argc, char **argv);
};

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

/* A command is one row. */
static const struct command commands[] = {
        {"agent", "", NULL, cmd_agent},
        {"doc", "[module|filter|test|lookup|global|input [NAME]]", "what this build knows", cmd_doc},
        {"help", "[COMMAND]", "this list, or what a command takes", cmd_help},
        {"lint", "PATH...", "check roles and playbooks without touching a host", cmd_lint},
        {"play", "PLAYBOOK -i INVENTORY ...", "run a playbook: ansible-playbook's flags and recap", cmd_play},
        {"render", "TEMPLATE|- [-e K=V|@F.json ...]", "evaluate a Jinja2 template or expression to stdout",
         cmd_render},
        {"provision", "[--input NAME=VALUE ...]", "inputs to a verified cluster: the whole action",
         cmd_action},
        {"plan", "[--input NAME=VALUE ...]", "what provision would do, or refuse; writes nothing",
         cmd_action},
        {"configure", "[--input NAME=VALUE ...]", "the roles over machines that are there", cmd_action},
        {"verify", "[--input NAME=VALUE ...]", "prove that it works", cmd_action},
        {"bootstrap", "[--input NAME=VALUE ...]", "of the roles only base_setup", cmd_action},
        {"onboard", "[--input NAME=VALUE ...]", "the roles over machines that Proxmox VE does not hold",
         cmd_action},
        {"destroy", "[--input NAME=VALUE ...]", "the app's machines with their disks", cmd_action},
        {"run", "ROLE:VERB [--input NAME=VALUE ...]", "one verb of a role over the app's machines",
         cmd_action},
        {"version", "", "the version of this build", cmd_version},
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

/* What a signal cancels. Signal handlers have nowhere else to look. */
static struct loop *volatile cancel_loop;

static void on_signal(int sig)
{
	struct loop *l = cancel_loop;

	(void)sig;
	if (l)
		loop_cancel(l);
}

void cancel_with(struct loop *l)
{
	struct sigaction sa = {.sa_handler = l ? on_signal : SIG_DFL};

	cancel_loop = l;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	log_line(LOG_INFO, "nante %s", NANTE_VERSION);
	return EXIT_DONE;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* COMMAND's own page. */
static void help_on(const struct command *c)
{
	log_line(LOG_INFO, "usage: nante %s %s\n\n  %s", c->name, c->args, c->doc);
	if (c->fn == cmd_play || c->fn == cmd_lint) {
		log_line(LOG_INFO, "\nflags:");
		cmd_play_flags();
	} else if (c->fn == cmd_action) {
		log_line(LOG_INFO,
		         "\n  --input NAME=VALUE   one input; 'nante doc input' lists them all\n"
		         "  --env-file FILE      NAME=VALUE lines: secrets, and inputs as INPUT_NAME\n"
		         "  -v                   says more");
	}
}

static int cmd_help(int argc, char **argv)
{
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;

	if (c && c->doc) {
		help_on(c);
		return EXIT_DONE;
	}
	log_line(LOG_INFO, "usage: nante COMMAND [ARGUMENT...]\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (commands[i].doc)
			log_line(LOG_INFO, "  %-10s %-41s %s", commands[i].name, commands[i].args,
			         commands[i].doc);
	}
	log_line(LOG_INFO, "\n'nante help COMMAND' tells more of one.");
	return EXIT_DONE;
}

static bool is_one_of(const char *z, const char *a, const char *b)
{
	return strcmp(z, a) == 0 || strcmp(z, b) == 0;
}

/* What is no command: a wish for help, or a mistake. */
static int no_command(int argc, char **argv)
{
	struct suggest near = {.name = str_c(argc > 1 ? argv[1] : "")};

	if (argc > 1 && is_one_of(argv[1], "--help", "-h"))
		return cmd_help(1, argv);
	if (argc > 1 && is_one_of(argv[1], "--version", "-V"))
		return cmd_version(1, argv);
	for (size_t i = 0; i < COMMANDS; i++)
		suggest_offer(&near, commands[i].name);
	if (argc < 2)
		cmd_help(1, argv);
	else if (near.best)
		log_line(LOG_ERROR, "nante: no such command: %s (did you mean %s?)", argv[1], near.best);
	else
		log_line(LOG_ERROR, "nante: no such command: %s ('nante help' lists them)", argv[1]);
	return EXIT_REFUSED;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	/* Secrets are in here: no core dump, and other programs of the same user do not look in. Programs
	 * that are started from here are as they always are. */
	prctl(PR_SET_DUMPABLE, 0);
	log_open(stdout, LOG_INFO);
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;
	char *as_action[] = {"", NULL};
	int rc = EXIT_DONE;

	/* As a step everything is one log; what a run, a rendering or a table prints may be read by a
	 * program. */
	if (c && c->fn != cmd_action && c->fn != cmd_lint)
		log_complain_to(stderr);
	if (c && c->doc && argc > 2 && is_one_of(argv[2], "--help", "-h"))
		help_on(c);
	else if (c)
		rc = c->fn(argc - 1, argv + 1);
	else if (argc < 2 && (getenv("INPUT_COMMAND") || getenv("GITHUB_ACTIONS")))
		rc = cmd_action(1, as_action);
	else
		rc = no_command(argc, argv);
	log_close();
	return rc;
}
