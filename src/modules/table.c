#include "modules/list.h"
#include "modules/spec.h"

#define ROW_EXTERN(n) extern const struct module module_row_##n;
#define ROW_TABLE(n) &module_row_##n,
#define ROW_ENUM(n) ROW_##n,

MODULE_LIST(ROW_EXTERN)

/* A row given twice does not compile. */
enum module_row { MODULE_LIST(ROW_ENUM) ROW_COUNT };

const struct module *const module_table[] = {MODULE_LIST(ROW_TABLE) NULL};

/* Ansible's own routing: what once was part of Ansible itself is found under its name there, too; what was in
 * community.general there, with its folder ("community.general.system.ufw") or without. */
static bool leads_to(struct str ns, const char *from)
{
	if (str_eqc(ns, from) || str_eqc(ns, "ansible.builtin") || str_eqc(ns, "ansible.legacy"))
		return true;
	return strncmp(from, "community.", 10) == 0 &&
	       (str_eqc(ns, "community.general") || str_starts(ns, "community.general."));
}

/* Whether S is M's name: short, or with where it comes from. */
static bool name_matches(const struct module *m, struct str s)
{
	size_t n = strlen(m->name);
	if (s.n == n)
		return memcmp(s.p, m->name, n) == 0;
	if (s.n < n + 2 || s.p[s.n - n - 1] != '.' || memcmp(s.p + s.n - n, m->name, n) != 0)
		return false;
	return leads_to(str_n(s.p, s.n - n - 1), m->from);
}

/* Modules that were called otherwise when roles were written: Ansible leads the old names to the new. */
static struct str renamed(struct str name)
{
	static const char *const prefixes[] = {"", "ansible.builtin.", "ansible.legacy.",
	                                       "community.crypto."};
	static const char *const names[][2] = {{"openssl_certificate", "x509_certificate"},
	                                       {"openssl_certificate_info", "x509_certificate_info"}};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
			size_t n = strlen(prefixes[i]);
			if (str_starts(name, prefixes[i]) && str_eqc(str_from(name, n), names[k][0]))
				return str_c(names[k][1]);
		}
	return name;
}

const struct module *module_find(struct str name)
{
	name = renamed(name);
	for (const struct module *const *m = module_table; *m; m++)
		if (name_matches(*m, name))
			return *m;
	return NULL;
}

enum { WORD_MAX = 64 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many slips (a letter too many, missing, wrong, two exchanged) lie between two words. */
static unsigned word_distance(struct str a, struct str b)
{
	unsigned rows[3][WORD_MAX];
	if (a.n >= WORD_MAX || b.n >= WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= b.n; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned *row = rows[i % 3], *up = rows[(i - 1) % 3], *up2 = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			row[j] = least(up[j] + 1, row[j - 1] + 1);
			row[j] = least(row[j], up[j - 1] + (a.p[i - 1] != b.p[j - 1]));
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				row[j] = least(row[j], up2[j - 2] + 1);
		}
	}
	return rows[a.n % 3][b.n];
}

const char *module_suggest(struct str name)
{
	struct str shorter = name;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '.')
			shorter = str_n(name.p + i + 1, name.n - i - 1);
	const char *best = NULL;
	unsigned best_d = 3;
	for (const struct module *const *m = module_table; *m; m++) {
		unsigned d = word_distance(shorter, str_c((*m)->name));
		if (d < best_d && d < shorter.n) {
			best_d = d;
			best = (*m)->name;
		}
	}
	return best;
}
