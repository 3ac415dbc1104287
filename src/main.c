/*
 * nante - one step from the inputs of a workflow to machines that run, configured by Ansible roles.
 * This file is the table of commands; run.c holds the phases of the action.
 */
#include "base/log.h"
#include "cmd.h"
#include "net/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

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
        {"doc", "[module|filter|test|lookup|input [NAME]]", "what this build knows", cmd_doc},
        {"help", "", "this list", cmd_help},
        {"lint", "PATH...", "check roles and playbooks without touching a host", cmd_lint},
        {"play", "PLAYBOOK -i INVENTORY ...", "run a playbook: ansible-playbook's flags and recap", cmd_play},
        {"render", "TEMPLATE|- [-e K=V|@F.json ...]", "evaluate a Jinja2 template or expression to stdout",
         cmd_render},
        {"provision", "[--input NAME=VALUE ...]", "inputs to a verified cluster: the whole action",
         cmd_action},
        {"plan", "[--input NAME=VALUE ...]", "what provision would do on Proxmox VE; writes nothing",
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

static int cmd_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	log_line(LOG_INFO, "usage: nante COMMAND [ARGUMENT...]\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (commands[i].doc)
			log_line(LOG_INFO, "  %-10s %-34s %s", commands[i].name, commands[i].args,
			         commands[i].doc);
	}
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

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	log_open(stdout, LOG_INFO);
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;
	char *as_action[] = {"", NULL};
	int rc = EXIT_REFUSED;

	if (c) {
		rc = c->fn(argc - 1, argv + 1);
	} else if (argc < 2 && (getenv("INPUT_COMMAND") || getenv("GITHUB_ACTIONS"))) {
		rc = cmd_action(1, as_action);
	} else {
		log_line(LOG_ERROR, "nante: %s%s", argc > 1 ? "no such command: " : "which command?",
		         argc > 1 ? argv[1] : "");
		cmd_help(argc, argv);
	}
	log_close();
	return rc;
}
