#include "ssh/deploy.h"
#include "base/fs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PROGRAMS_MAX 8

/* ELF's machine numbers by the kernel's names. */
static const struct {
	uint16_t machine;
	const char *arch;
} archs[] = {
        {EM_X86_64, "x86_64"}, {EM_AARCH64, "aarch64"}, {EM_386, "i686"},   {EM_ARM, "armv7l"},
        {EM_RISCV, "riscv64"}, {EM_PPC64, "ppc64le"},   {EM_S390, "s390x"},
};

struct programs {
	struct arena *arena;
	char *given; /* a path, or NULL: find it */
	struct program *list[PROGRAMS_MAX];
	size_t n;
};

struct programs *programs_new(const char *agent_path)
{
	struct arena *a = arena_new(NULL);
	struct programs *ps = ARENA_NEW(a, struct programs);
	const char *env = getenv("NANTE_AGENT");

	ps->arena = a;
	if (!agent_path && env && *env)
		agent_path = env;
	ps->given = agent_path ? arena_strdup(a, agent_path) : NULL;
	return ps;
}

void programs_free(struct programs *ps)
{
	if (!ps)
		return;
	for (size_t i = 0; i < ps->n; i++)
		munmap((void *)(uintptr_t)ps->list[i]->text.p, ps->list[i]->text.n);
	arena_free(ps->arena);
}

/* ---- reading a program ------------------------------------------------------------------------------------
 */

static const char *elf_arch(struct str text)
{
	uint16_t machine;

	if (text.n < sizeof(Elf64_Ehdr) || memcmp(text.p, ELFMAG, SELFMAG) != 0)
		return NULL;
	machine = (uint16_t)((unsigned char)text.p[18] | (unsigned char)text.p[19] << 8);
	for (size_t i = 0; i < sizeof(archs) / sizeof(*archs); i++)
		if (archs[i].machine == machine)
			return archs[i].arch;
	return NULL;
}

/* Whether it names no interpreter: a static program runs anywhere. */
static bool elf_is_static(struct str text)
{
	Elf64_Ehdr head;

	if (text.n < sizeof(head) || text.p[EI_CLASS] != ELFCLASS64)
		return false;
	memcpy(&head, text.p, sizeof(head));
	for (size_t i = 0; i < head.e_phnum; i++) {
		size_t at = head.e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr ph;

		if (at > text.n - sizeof(ph))
			return false;
		memcpy(&ph, text.p + at, sizeof(ph));
		if (ph.p_type == PT_INTERP)
			return false;
	}
	return true;
}

static bool map_file(const char *path, struct str *ret, struct err *err)
{
	struct stat st;
	void *p;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0) {
		err_sys(err, ERR_USER, "cannot read %s", path);
		if (fd >= 0)
			close(fd);
		return false;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return err_sys(err, ERR_USER, "cannot read %s", path);
	*ret = str_n(p, (size_t)st.st_size);
	return true;
}

static const struct program *load(struct programs *ps, const char *path, struct err *err)
{
	struct program *p = ARENA_NEW(ps->arena, struct program);
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	const char *arch;

	if (ps->n == PROGRAMS_MAX) {
		err_set(err, ERR_BUG, ORIGIN_NONE, "too many architectures");
		return NULL;
	}
	if (!map_file(path, &p->text, err))
		return NULL;
	arch = elf_arch(p->text);
	if (!arch) {
		munmap((void *)(uintptr_t)p->text.p, p->text.n);
		err_set(err, ERR_USER, ORIGIN_NONE, "%s is no program for any machine known", path);
		return NULL;
	}
	snprintf(p->arch, sizeof(p->arch), "%s", arch);
	EVP_Digest(p->text.p, p->text.n, md, &n, EVP_sha256(), NULL);
	for (unsigned i = 0; i < n && i < 32; i++)
		snprintf(p->sha256 + (size_t)2 * i, 3, "%02x", md[i]);
	ps->list[ps->n++] = p;
	return p;
}

/* ---- which one --------------------------------------------------------------------------------------------
 */

static char *own_path(struct arena *a)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	return arena_strndup(a, path, n > 0 ? (size_t)n : 0);
}

static bool is_static_file(const char *path)
{
	struct err ignored = {0};
	struct str text = {0};
	bool yes;

	if (!map_file(path, &text, &ignored)) {
		err_clear(&ignored);
		return false;
	}
	yes = elf_is_static(text);
	munmap((void *)(uintptr_t)text.p, text.n);
	return yes;
}

static const char *default_path(struct programs *ps)
{
	char *own, *beside;

	if (ps->given)
		return ps->given;
	own = own_path(ps->arena);
	if (is_static_file(own))
		return own;
	beside = fs_join(ps->arena, fs_dirname(ps->arena, own), "static/nante");
	return is_static_file(beside) ? beside : own;
}

const struct program *programs_get(struct programs *ps, const char *arch, struct err *err)
{
	const char *path, *dir;

	for (size_t i = 0; i < ps->n; i++)
		if (!arch || strcmp(ps->list[i]->arch, arch) == 0)
			return ps->list[i];
	path = default_path(ps);
	if (arch) {
		dir = fs_dirname(ps->arena, path);
		path = fs_join(ps->arena, dir, arena_printf(ps->arena, "nante-%s", arch));
		if (!fs_exists(path)) {
			err_set(err, ERR_UNREACHABLE, ORIGIN_NONE,
			        "the host is a %s machine, and there is no program for it", arch);
			err_hint(err, "put a build for it at %s", path);
			return NULL;
		}
	}
	return load(ps, path, err);
}

/* ---- what the host's shell is asked to do
 * ------------------------------------------------------------------ */

/*
 * Inside single quotes on one line, so that it means the same to every login shell; the rest is plain sh.
 *
 * A directory counts when it is ours alone and not a symbolic link, and when programs may run from it. The
 * copy's checksum is compared before each start. A new copy appears under its name only when whole. The agent
 * and its tasks run under the user's own umask.
 */
#define SPARE_KB ((size_t)64)
static const char boot_script[] =
        "o=$(umask); umask 077; u=$(id -u) || exit 1; m=\"" BOOT_MARK "\"; a=$(uname -m); "
        "[ \"$a\" = %s ] || { echo \"${m}arch $a\"; exit 0; }; "
        "ok() { [ -f \"$1\" ] && [ -x \"$1\" ] && case $(sha256sum <\"$1\") in %s*) :;; *) false;; esac; }; "
        "f=; full=; for d in \"${HOME:-/nonexistent}/.cache/nante/agent\" \"/var/tmp/nante-$u\" "
        "\"/tmp/nante-$u\" "
        "\"/run/user/$u/nante/agent\"; do "
        "mkdir -p \"$d\" 2>/dev/null && [ -O \"$d\" ] && [ ! -L \"$d\" ] && chmod 700 \"$d\" 2>/dev/null || "
        "continue; "
        "ok \"$d/agent-%s\" && { f=$d/agent-%s; n=; break; }; "
        "n=$d/.new-$$; { echo : >\"$n\" && chmod 700 \"$n\" && [ -x \"$n\" ]; } 2>/dev/null "
        "&& { k=$(df -Pk \"$d\" | { read -r _; read -r _ _ _ k _; echo \"$k\"; }); "
        "if [ \"${k:-999999999}\" -gt %zu ]; then f=$d/agent-%s; break; else full=1; fi; }; rm -f \"$n\"; "
        "done; "
        "[ \"$f\" ] || { if [ \"$full\" ]; then echo \"${m}full\"; "
        "else echo \"${m}fail no directory of its own to run programs from (tried ~/.cache, "
        "/var/tmp, /tmp)\"; fi; exit 1; }; "
        "if [ \"$n\" ]; then echo \"${m}need\"; "
        "if head -c %zu >\"$n\" && ok \"$n\" && mv -f \"$n\" \"$f\"; then "
        "find \"$d\" -type f -mtime +7 \\( -name \"agent-*\" -o -name \".new-*\" \\) ! -name \"agent-%s\" "
        "-exec rm -f {} + 2>/dev/null; "
        "else rm -f \"$n\"; echo \"${m}fail the copy of the program in $d did not arrive whole\"; exit 1; "
        "fi; fi; "
        "echo \"${m}run\"; umask $o; %s";

const char *boot_command(struct arena *a, const struct program *p, const struct become *b)
{
	const char *last = "exec \"$f\" agent", *h = p->sha256;
	struct buf out = {0};
	struct str s;

	if (b)
		last = arena_printf(a, "[ \"$u\" = 0 ] && exec \"$f\" agent; exec %s -H %s -- \"$f\" agent",
		                    b->exe ? b->exe : "sudo",
		                    b->password ? "-S -p \"" BECOME_PROMPT "\"" : "-n");
	buf_adds(&out, "exec /bin/sh -c '");
	buf_printf(&out, boot_script, p->arch, h, h, h, p->text.n / 1024 + SPARE_KB, h, p->text.n, h, last);
	buf_adds(&out, "'");
	s = buf_take(&out, a);
	buf_free(&out);
	return s.p;
}
