/* Any bytes as frames; what reads as a task is checked against every module's specification. */
#include "agent/proto.h"
#include "base/json.h"
#include "modules/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_task(struct arena *a, const struct val *task)
{
	const struct val *args = val_get(task, "args");
	struct str name = val_map_str(task, "module", "");
	const struct module *named = module_find(name);
	for (const struct module *const *m = module_table; args && val_is_map(args) && *m; m++) {
		struct errs errs = {0};
		struct val *out = NULL;
		if (!named || named == *m)
			module_check_args(*m, args, named != NULL, a, &out, &errs);
		errs_clear(&errs);
	}
	module_suggest(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf in = {0};
	struct err err = {0};
	struct proto_frame f;
	buf_add(&in, data, n);
	while (proto_decode(&in, &f, &err) > 0) {
		struct arena *a = arena_new(NULL);
		struct val *task = NULL;
		struct err bad = {0};
		if (json_parse(a, f.payload, 0, &task, &bad) && val_is_map(task))
			check_task(a, task);
		err_clear(&bad);
		arena_free(a);
		buf_consume(&in, proto_frame_size(&f));
	}
	err_clear(&err);
	buf_free(&in);
	return 0;
}
