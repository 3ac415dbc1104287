/* nante agent: the far end of a link, on standard input and output. */
#include <unistd.h>
#include "agent/agent.h"
#include "cmd.h"

#ifndef NANTE_VERSION
#define NANTE_VERSION "unknown"
#endif

extern char **environ;

int cmd_agent(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct agent_opts o = {
	        .in = STDIN_FILENO,
	        .out = STDOUT_FILENO,
	        .build = NANTE_VERSION,
	        .env = (const char *const *)environ,
	};
	return agent_main(&o);
}
