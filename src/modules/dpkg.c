#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "modules/dpkg.h"

static const char STATUS[] = "/var/lib/dpkg/status";

static void set_status(struct dpkg_pkg *p, struct str value)
{
	struct str want = str_split(&value, ' ');
	(void)str_split(&value, ' ');
	p->installed = str_eqc(value, "installed");
	p->has_config = str_eqc(value, "config-files");
	p->hold = str_eqc(want, "hold");
}

static bool starts(struct str line, const char *key, size_t n, struct str *value)
{
	if (line.n <= n || memcmp(line.p, key, n) != 0)
		return false;
	*value = str_trim(str_n(line.p + n, line.n - n));
	return true;
}

#define FIELD(line, key, value) starts(line, key, sizeof(key) - 1, value)

static void take_field(struct dpkg_pkg *p, struct str line)
{
	struct str v;
	switch (line.p[0]) {
	case 'P':
		if (FIELD(line, "Package:", &v))
			p->name = v;
		else if (FIELD(line, "Provides:", &v))
			p->provides = v;
		break;
	case 'S':
		if (FIELD(line, "Status:", &v))
			set_status(p, v);
		else if (FIELD(line, "Section:", &v))
			p->section = v;
		else if (FIELD(line, "Source:", &v))
			p->source = v;
		break;
	case 'V':
		if (FIELD(line, "Version:", &v))
			p->version = v;
		break;
	case 'A':
		if (FIELD(line, "Architecture:", &v))
			p->arch = v;
		break;
	default: break;
	}
}

static void unmap(void *p)
{
	struct str *text = p;
	munmap((void *)(uintptr_t)text->p, text->n);
}

/* The database mapped, not copied: dpkg replaces the file as a whole and never writes into it. */
static bool map_status(struct mod_ctx *m, struct str *ret)
{
	struct stat st;
	int fd = open(STATUS, O_RDONLY | O_CLOEXEC);
	*ret = (struct str){0};
	if (fd < 0)
		return errno == ENOENT || mod_fail_sys(m, "cannot read %s", STATUS);
	bool ok = fstat(fd, &st) == 0;
	void *p = ok && st.st_size
	                  ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0)
	                  : NULL;
	ok = ok && p != MAP_FAILED;
	if (!ok)
		mod_fail_sys(m, "cannot read %s", STATUS);
	close(fd);
	if (ok && p) {
		struct str *text = ARENA_NEW(m->a, struct str);
		*text = *ret = str_n(p, (size_t)st.st_size);
		arena_defer(m->a, unmap, text);
	}
	return ok;
}

bool dpkg_load(struct mod_ctx *m, struct dpkg_db *ret)
{
	size_t cap = 0;
	*ret = (struct dpkg_db){0};
	if (!map_status(m, &ret->text))
		return false;
	struct str rest = ret->text;
	struct dpkg_pkg now = {0};
	while (rest.n || now.name.n) {
		const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
		struct str line = str_n(rest.p, end ? (size_t)(end - rest.p) : rest.n);
		rest = end ? str_n(end + 1, rest.n - line.n - 1) : (struct str){0};
		if (line.n && line.p[0] != ' ') {
			take_field(&now, line);
			continue;
		}
		if (line.n || !now.name.n)
			continue;
		ret->pkgs = arena_grow(m->a, ret->pkgs, ret->n, &cap, sizeof(*ret->pkgs));
		ret->pkgs[ret->n++] = now;
		now = (struct dpkg_pkg){0};
	}
	return true;
}

const struct dpkg_pkg *dpkg_find(const struct dpkg_db *db, struct str name)
{
	struct str arch = name, base = str_split(&arch, ':');
	const struct dpkg_pkg *found = NULL;
	for (size_t i = 0; i < db->n; i++) {
		const struct dpkg_pkg *p = &db->pkgs[i];
		if (!str_eq(p->name, base) || (arch.p && !str_eq(p->arch, arch) && !str_eqc(arch, "any")))
			continue;
		if (!found || (p->installed && !found->installed))
			found = p;
	}
	return found;
}

const struct dpkg_pkg *dpkg_provider(const struct dpkg_db *db, struct str name)
{
	for (size_t i = 0; i < db->n; i++) {
		struct str list = db->pkgs[i].provides;
		while (db->pkgs[i].installed && list.p) {
			struct str one = str_trim(str_split(&list, ','));
			size_t n = 0;
			while (n < one.n && one.p[n] != ' ' && one.p[n] != '(' && one.p[n] != ':')
				n++;
			if (str_eq(str_n(one.p, n), name))
				return &db->pkgs[i];
		}
	}
	return NULL;
}

/* '~' sorts before the end, the end before letters, letters before everything else. */
static int char_order(struct str s, size_t i)
{
	if (i >= s.n || isdigit((unsigned char)s.p[i]))
		return 0;
	if (isalpha((unsigned char)s.p[i]))
		return (unsigned char)s.p[i];
	return s.p[i] == '~' ? -1 : (unsigned char)s.p[i] + 256;
}

static bool digit_at(struct str s, size_t i)
{
	return i < s.n && isdigit((unsigned char)s.p[i]);
}

static int part_cmp(struct str a, struct str b)
{
	size_t i = 0, j = 0;
	while (i < a.n || j < b.n) {
		while ((i < a.n && !digit_at(a, i)) || (j < b.n && !digit_at(b, j))) {
			int x = char_order(a, i), y = char_order(b, j);
			if (x != y)
				return x - y;
			i++;
			j++;
		}
		while (i < a.n && a.p[i] == '0')
			i++;
		while (j < b.n && b.p[j] == '0')
			j++;
		int diff = 0;
		while (digit_at(a, i) && digit_at(b, j)) {
			if (!diff)
				diff = a.p[i] - b.p[j];
			i++;
			j++;
		}
		if (digit_at(a, i))
			return 1;
		if (digit_at(b, j))
			return -1;
		if (diff)
			return diff;
	}
	return 0;
}

static void version_parts(struct str v, int64_t *epoch, struct str *upstream, struct str *revision)
{
	*epoch = 0;
	*upstream = v;
	*revision = (struct str){0};
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == ':') {
			str_int(str_n(v.p, i), epoch);
			*upstream = str_n(v.p + i + 1, v.n - i - 1);
			break;
		}
	for (size_t i = upstream->n; i-- > 0;)
		if (upstream->p[i] == '-') {
			*revision = str_n(upstream->p + i + 1, upstream->n - i - 1);
			upstream->n = i;
			break;
		}
}

int dpkg_version_cmp(struct str a, struct str b)
{
	int64_t ea, eb;
	struct str ua, ub, ra, rb;
	version_parts(a, &ea, &ua, &ra);
	version_parts(b, &eb, &ub, &rb);
	if (ea != eb)
		return ea < eb ? -1 : 1;
	int c = part_cmp(ua, ub);
	return c ? c : part_cmp(ra, rb);
}
