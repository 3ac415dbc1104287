#include "modules/module.h"

static bool run(struct mod_ctx *m)
{
	if (mod_is(m, "data", "crash"))
		return mod_fail(m, "boom");
	mod_sets(m, "ping", mod_arg(m, "data"));
	return true;
}

static const struct mod_arg args[] = {
        {"data", MT_STR, .dflt = "pong", .doc = "What to answer; \"crash\" fails."},
        {NULL},
};

const struct module module_row_ping = {
        .name = "ping",
        .from = "ansible.builtin",
        .doc = "Answers pong: the host can be reached and runs tasks.",
        .args = args,
        .flags = MOD_READ_ONLY | MOD_CHECK,
        .run = run,
};
