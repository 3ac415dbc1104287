/*
 * cmd - the doors of the commands: one function each, found by main.c's table. They return the exit code.
 */
#ifndef CMD_H
#define CMD_H

struct loop;

/* ARGV[0] is the command's own name. */
int cmd_agent(int argc, char **argv);
int cmd_doc(int argc, char **argv);
int cmd_lint(int argc, char **argv);
int cmd_play(int argc, char **argv);
/* Prints the flags of play and lint, one a line. */
void cmd_play_flags(void);
int cmd_render(int argc, char **argv);
/* The action: argv[0] names what to do (provision, plan, configure, verify, destroy, ... run). */
int cmd_action(int argc, char **argv);

/* Exit codes of the action (DESIGN, the command line). */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_REFUSED = 2, EXIT_UNREACHABLE = 4 };

/* From now on SIGINT and SIGTERM cancel L (loop_cancel); NULL: they end the program again. */
void cancel_with(struct loop *l);
#endif
