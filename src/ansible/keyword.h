/*
 * keyword - the words of plays, roles, blocks and tasks that are not modules. A keyword is one row.
 */
#ifndef ANSIBLE_KEYWORD_H
#define ANSIBLE_KEYWORD_H
#include "base/val.h"

/* Where a keyword may stand. */
enum { ON_PLAY = 1, ON_ROLE = 2, ON_BLOCK = 4, ON_TASK = 8, ON_HANDLER = 16 };

/* How a value reaches what is inside. */
enum kw_inherit {
	KW_OWN,     /* not at all */
	KW_NEAREST, /* the nearest one counts */
	KW_EXTEND,  /* all count, outer ones first */
};

/* name, C name, where, inheritance */
#define ANY (ON_PLAY | ON_ROLE | ON_BLOCK | ON_TASK | ON_HANDLER)
#define TSK (ON_TASK | ON_HANDLER)
#define KEYWORDS(X)                                                               \
	X("name", NAME, ON_PLAY | ON_BLOCK | TSK, KW_OWN)                         \
	X("hosts", HOSTS, ON_PLAY, KW_OWN)                                        \
	X("gather_facts", GATHER_FACTS, ON_PLAY, KW_OWN)                          \
	X("gather_subset", GATHER_SUBSET, ON_PLAY, KW_OWN)                        \
	X("gather_timeout", GATHER_TIMEOUT, ON_PLAY, KW_OWN)                      \
	X("fact_path", FACT_PATH, ON_PLAY, KW_OWN)                                \
	X("vars_files", VARS_FILES, ON_PLAY, KW_OWN)                              \
	X("vars_prompt", VARS_PROMPT, ON_PLAY, KW_OWN)                            \
	X("validate_argspec", VALIDATE_ARGSPEC, ON_PLAY, KW_OWN)                  \
	X("roles", ROLES, ON_PLAY, KW_OWN)                                        \
	X("tasks", TASKS, ON_PLAY, KW_OWN)                                        \
	X("pre_tasks", PRE_TASKS, ON_PLAY, KW_OWN)                                \
	X("post_tasks", POST_TASKS, ON_PLAY, KW_OWN)                              \
	X("handlers", HANDLERS, ON_PLAY, KW_OWN)                                  \
	X("force_handlers", FORCE_HANDLERS, ON_PLAY, KW_OWN)                      \
	X("max_fail_percentage", MAX_FAIL_PERCENTAGE, ON_PLAY, KW_OWN)            \
	X("serial", SERIAL, ON_PLAY, KW_OWN)                                      \
	X("strategy", STRATEGY, ON_PLAY, KW_OWN)                                  \
	X("order", ORDER, ON_PLAY, KW_OWN)                                        \
	X("role", ROLE, ON_ROLE, KW_OWN)                                          \
	X("connection", CONNECTION, ANY, KW_NEAREST)                              \
	X("port", PORT, ANY, KW_NEAREST)                                          \
	X("remote_user", REMOTE_USER, ANY, KW_NEAREST)                            \
	X("vars", VARS, ANY, KW_OWN)                                              \
	X("module_defaults", MODULE_DEFAULTS, ANY, KW_EXTEND)                     \
	X("environment", ENVIRONMENT, ANY, KW_EXTEND)                             \
	X("no_log", NO_LOG, ANY, KW_NEAREST)                                      \
	X("run_once", RUN_ONCE, ANY, KW_NEAREST)                                  \
	X("ignore_errors", IGNORE_ERRORS, ANY, KW_NEAREST)                        \
	X("ignore_unreachable", IGNORE_UNREACHABLE, ANY, KW_NEAREST)              \
	X("check_mode", CHECK_MODE, ANY, KW_NEAREST)                              \
	X("diff", DIFF, ANY, KW_NEAREST)                                          \
	X("any_errors_fatal", ANY_ERRORS_FATAL, ANY, KW_NEAREST)                  \
	X("throttle", THROTTLE, ANY, KW_NEAREST)                                  \
	X("timeout", TIMEOUT, ANY, KW_NEAREST)                                    \
	X("debugger", DEBUGGER, ANY, KW_NEAREST)                                  \
	X("become", BECOME, ANY, KW_NEAREST)                                      \
	X("become_method", BECOME_METHOD, ANY, KW_NEAREST)                        \
	X("become_user", BECOME_USER, ANY, KW_NEAREST)                            \
	X("become_flags", BECOME_FLAGS, ANY, KW_NEAREST)                          \
	X("become_exe", BECOME_EXE, ANY, KW_NEAREST)                              \
	X("tags", TAGS, ANY, KW_EXTEND)                                           \
	X("collections", COLLECTIONS, ANY, KW_NEAREST)                            \
	X("when", WHEN, ON_ROLE | ON_BLOCK | TSK, KW_EXTEND)                      \
	X("notify", NOTIFY, ON_BLOCK | TSK, KW_NEAREST)                           \
	X("delegate_to", DELEGATE_TO, ON_ROLE | ON_BLOCK | TSK, KW_NEAREST)       \
	X("delegate_facts", DELEGATE_FACTS, ON_ROLE | ON_BLOCK | TSK, KW_NEAREST) \
	X("block", BLOCK, ON_BLOCK, KW_OWN)                                       \
	X("rescue", RESCUE, ON_BLOCK, KW_OWN)                                     \
	X("always", ALWAYS, ON_BLOCK, KW_OWN)                                     \
	X("action", ACTION, TSK, KW_OWN)                                          \
	X("local_action", LOCAL_ACTION, TSK, KW_OWN)                              \
	X("args", ARGS, TSK, KW_OWN)                                              \
	X("async", ASYNC, TSK, KW_OWN)                                            \
	X("poll", POLL, TSK, KW_OWN)                                              \
	X("changed_when", CHANGED_WHEN, TSK, KW_OWN)                              \
	X("failed_when", FAILED_WHEN, TSK, KW_OWN)                                \
	X("loop", LOOP, TSK, KW_OWN)                                              \
	X("loop_control", LOOP_CONTROL, TSK, KW_OWN)                              \
	X("register", REGISTER, TSK, KW_OWN)                                      \
	X("until", UNTIL, TSK, KW_OWN)                                            \
	X("retries", RETRIES, TSK, KW_OWN)                                        \
	X("delay", DELAY, TSK, KW_OWN)                                            \
	X("listen", LISTEN, ON_HANDLER, KW_OWN)

enum kw {
#define X(name, id, where, inherit) KW_##id,
	KEYWORDS(X)
#undef X
	        KW_N
};

struct keyword {
	const char *name;
	unsigned where;
	enum kw_inherit inherit;
};

extern const struct keyword keywords[KW_N];
/* KW_N when NAME is no keyword. */
enum kw keyword_find(struct str name);
/* The keyword allowed in WHERE closest to NAME, or NULL. */
const char *keyword_suggest(struct str name, unsigned where);
#endif
