/*
 * Any bytes as what a controller sends: frames, tasks, blobs, adoptions. No task runs: in the place of
 * agent/task.c a task asks for content, reports progress and answers with what its module makes of the args.
 */
#include "agent/agent.h"
#include "agent/task.h"
#include "base/fs.h"
#include "base/json.h"
#include "modules/spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct val *task_run(struct wire *w, uint32_t id, struct str payload, const char *const *env, struct arena *a)
{
	struct val *task = NULL, *out = NULL, *r = val_map(a);
	struct errs errs = {0};
	struct err err = {0};
	struct buf content = {0};

	(void)env;
	if (json_parse(a, payload, 0, &task, &err) && val_is_map(task)) {
		const struct module *m = module_find(val_map_str(task, "module", ""));
		const struct val *args = val_get(task, "args"), *sum = val_get(task, "content");

		if (m && args && val_is_map(args))
			val_set(r, "failed", val_bool(!module_check_args(m, args, true, a, &out, &errs)));
		if (sum && !wire_need(w, id, val_map_str(sum, "sha256", ""), &content, &err))
			val_set(r, "msg", val_strz(a, err_msg(&err)));
		wire_send_val(w, PROTO_PROGRESS, id, task, true);
	}
	buf_free(&content);
	errs_clear(&errs);
	err_clear(&err);
	return r;
}

/* The spool of all inputs of this process; what is in it is taken away after each. */
static const char *spool_dir(void)
{
	static char dir[64];

	if (!*dir)
		snprintf(dir, sizeof(dir), "/tmp/fuzz-agent-%d", (int)getpid());
	return dir;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct agent_opts o = {.build = "fuzz", .spool = spool_dir()};
	struct err err = {0};

	o.in = memfd_create("in", MFD_CLOEXEC);
	o.out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (o.in < 0 || o.out < 0 || write(o.in, data, n) != (ssize_t)n || lseek(o.in, 0, SEEK_SET) != 0)
		abort();
	agent_main(&o);
	close(o.in);
	close(o.out);
	if (!fs_remove_tree(o.spool, &err))
		err_clear(&err);
	return 0;
}
