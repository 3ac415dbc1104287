/* Any bytes as Doppler's answers: the download, and the login of an identity. */
#include "answers.h"
#include "base/log.h"
#include "doppler/doppler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
	return answers_mutate(data, n, max, seed);
}

static void fetch(struct str lines, const struct doppler_opts *o)
{
	struct arena *a = arena_new(NULL);
	struct loop l = {.answers = lines};
	struct err err = {0};
	struct val *secrets;

	now = 1000;
	if (doppler_fetch(&l, a, o, &secrets, &err) && !val_is_map(secrets))
		abort();
	err_clear(&err);
	log_close();
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct doppler_opts by_token = {.token = "dp.st.x", .visibility = true},
	                          by_identity = {.identity = "id",
	                                         .project = "p",
	                                         .config = "c",
	                                         .oidc_url = "https://github/?x",
	                                         .oidc_token = "t"};

	fetch(str_n((const char *)data, n), &by_token);
	fetch(str_n((const char *)data, n), &by_identity);
	return 0;
}
