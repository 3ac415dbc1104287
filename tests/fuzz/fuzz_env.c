/* Any bytes as an env file, and as the input "secrets". */
#include "github/env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct sources *ss = sources_new(a);
	struct str text = str_n((const char *)data, n);
	struct val *map = val_map(a);
	struct err err = {0};

	(void)env_read_file(a, ss, sources_add(ss, "fuzz", text), map, &err);
	err_clear(&err);
	(void)env_add_json(a, text, 0, map, &err);
	err_clear(&err);
	arena_free(a);
	return 0;
}
