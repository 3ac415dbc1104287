/* nante agent: the far end of a link, on standard input and output. */
#include <string.h>
#include <unistd.h>
#include "agent/agent.h"
#include "cmd.h"

#ifndef NANTE_VERSION
#define NANTE_VERSION "unknown"
#endif

extern char **environ;

int cmd_agent(int argc, char **argv)
{
	struct agent_opts o = {
	        .in = STDIN_FILENO,
	        .out = STDOUT_FILENO,
	        .build = NANTE_VERSION,
	        .env = (const char *const *)environ,
	};
	/* Another place for what is left to a successor: tests, and hosts without /run. */
	if (argc == 3 && strcmp(argv[1], "--spool") == 0)
		o.spool = argv[2];
	else if (argc != 1)
		return EXIT_REFUSED;
	return agent_main(&o);
}
