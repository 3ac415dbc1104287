/*
 * Preloaded: the allocation number FAIL_AT of the process, and all after it, gets no memory. Without FAIL_AT
 * their number goes to the file FAIL_COUNT at the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned long done, fail_at;
static pid_t owner;

static int refused(void)
{
	if (!owner) {
		const char *at = getenv("FAIL_AT");

		owner = getpid();
		fail_at = at ? strtoul(at, NULL, 10) : 0;
	}
	done++;
	if (!fail_at || done < fail_at || getpid() != owner)
		return 0;
	errno = ENOMEM;
	return 1;
}

/* glibc's own names: looking the next malloc up would allocate. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	return refused() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return refused() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return refused() ? NULL : __libc_realloc(p, n);
}

__attribute__((destructor)) static void count(void)
{
	const char *path = getenv("FAIL_COUNT");
	FILE *f = path && getpid() == owner ? fopen(path, "w") : NULL;

	if (f) {
		fprintf(f, "%lu\n", done);
		fclose(f);
	}
}
