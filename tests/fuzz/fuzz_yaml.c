/* Any bytes as YAML, and what came out dumped again. */
#include "base/arena.h"
#include "yaml/yaml_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct err err = {0};
	struct val *docs;
	if (yaml_load_all(a, str_n((const char *)data, n), 1, NULL, &docs, &err)) {
		struct buf out = {0};
		yaml_dump(docs, (struct yaml_style){4, 80, true, true, true}, &out);
		buf_free(&out);
	}
	err_clear(&err);
	arena_free(a);
	return 0;
}
