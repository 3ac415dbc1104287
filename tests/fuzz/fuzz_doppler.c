/* Any bytes as Doppler's answers. */
#include "base/arena.h"
#include "doppler/doppler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct str text = str_n((const char *)data, n);
	struct err err = {0};
	struct val *v;

	doppler_parse_secrets(a, text, &v, &err);
	err_clear(&err);
	doppler_parse_visibility(a, text, &v, &err);
	err_clear(&err);
	arena_free(a);
	return 0;
}
