/* Any bytes as a playbook, read and checked as `nante lint` does. */
#include "ansible/engine.h"
#include "ansible/inventory.h"
#include "base/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct sources *ss = sources_new(a);
	struct engine_opts opts = {.sources = ss, .inventory = inventory_new(a, ss)};
	struct errs errs = {0};
	char path[64];
	int fd = memfd_create("play.yml", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	engine_check_playbook(engine_new(a, &opts), path, &errs);
	errs_clear(&errs);
	close(fd);
	arena_free(a);
	return 0;
}
