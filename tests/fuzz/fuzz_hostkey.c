/* Any bytes as known_hosts, and as the key a server shows. */
#include "base/arena.h"
#include "ssh/hostkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct str text = str_n((const char *)data, n);
	struct val *revoked, *keys = known_hosts_find(a, text, "web1.lab", 2222, &revoked);
	const char *line = hostkey_line(a, text);

	hostkey_prefs(a, keys);
	hostkey_fingerprint(a, text);
	hostkey_same(line, text);
	hostkey_same(arena_strndup(a, text.p, n), text);
	arena_free(a);
	return 0;
}
