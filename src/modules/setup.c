#include <fnmatch.h>
#include "modules/facts.h"

void fact_set(struct facts *f, const char *key, struct val *v)
{
	val_set(f->out, arena_printf(f->a, "ansible_%s", key), v);
}

void fact_str(struct facts *f, const char *key, const char *z)
{
	if (z)
		fact_set(f, key, val_strz(f->a, z));
}

void fact_int(struct facts *f, const char *key, int64_t i)
{
	fact_set(f, key, val_int(f->a, i));
}

void fact_bool(struct facts *f, const char *key, bool b)
{
	fact_set(f, key, val_bool(b));
}

const char *fact_text(struct facts *f, const char *key)
{
	return val_map_strz(f->out, arena_printf(f->a, "ansible_%s", key), "");
}

const char *fact_file(struct facts *f, const char *path)
{
	struct buf b;
	struct err e = {0};
	buf_init(&b, 1 << 20);
	const char *ret = NULL;
	if (fs_read(path, &b, &e)) {
		struct str s = str_trim(buf_str(&b));
		ret = arena_strndup(f->a, s.p ? s.p : "", s.n);
	}
	err_clear(&e);
	buf_free(&b);
	return ret;
}

const char *fact_filef(struct facts *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *path = arena_vprintf(f->a, fmt, ap);
	va_end(ap);
	return fact_file(f, path);
}

const char *fact_assigned(struct facts *f, const char *text, const char *key)
{
	struct str rest = str_c(text);
	size_t n = strlen(key);
	while (rest.p) {
		struct str line = str_trim(str_split(&rest, '\n'));
		if (!str_starts(line, key) || line.n <= n || line.p[n] != '=')
			continue;
		line = str_n(line.p + n + 1, line.n - n - 1);
		if (line.n >= 2 && (line.p[0] == '"' || line.p[0] == '\'') && line.p[line.n - 1] == line.p[0])
			line = str_n(line.p + 1, line.n - 2);
		return arena_strndup(f->a, line.p, line.n);
	}
	return NULL;
}

/* In the order they run: later ones may look at what earlier ones found. */
static const struct collector {
	const char *name;
	const char *group;   /* of gather_subset */
	const char *aliases; /* "|a|b|": single facts that ask for it */
	void (*fn)(struct facts *f);
} collectors[] = {
        {"platform", "min",
         "|system|kernel|kernel_version|machine|architecture|userspace_bits|userspace_architecture|hostname|"
         "fqdn|domain|"
         "nodename|machine_id|python_version|",
         facts_platform},
        {"distribution", "min",
         "|os_family|distribution_version|distribution_release|distribution_major_version|",
         facts_distribution},
        {"pkg_mgr", "min", "|", facts_pkg_mgr},
        {"service_mgr", "min", "|", facts_service_mgr},
        {"systemd", "min", "|", facts_systemd},
        {"lsb", "min", "|", facts_lsb},
        {"date_time", "min", "|", facts_date_time},
        {"user", "min", "|user_id|user_dir|user_shell|user_uid|user_gid|real_user_id|effective_user_id|",
         facts_user},
        {"env", "min", "|", facts_env},
        {"cmdline", "min", "|proc_cmdline|", facts_cmdline},
        {"dns", "min", "|", facts_dns},
        {"local", "min", "|", facts_local},
        {"selinux", "min", "|apparmor|caps|fips|system_capabilities|", facts_security},
        {"ssh_pub_keys", "min", "|", facts_ssh_keys},
        {"python", "min", "|", facts_python},
        {"loadavg", "min", "|", facts_loadavg},
        {"processor", "hardware", "|processor_count|processor_vcpus|processor_cores|", facts_processor},
        {"memory", "hardware", "|memtotal_mb|memfree_mb|swaptotal_mb|swapfree_mb|memory_mb|uptime_seconds|",
         facts_memory},
        {"dmi", "hardware", "|product_name|system_vendor|bios_version|form_factor|", facts_dmi},
        {"mounts", "hardware", "|", facts_mounts},
        {"devices", "hardware", "|", facts_devices},
        {"interfaces", "network", "|default_ipv4|default_ipv6|all_ipv4_addresses|all_ipv6_addresses|",
         facts_network},
        {"virtual", "virtual", "|virtualization_type|virtualization_role|virtualization_tech_guest|",
         facts_virtual},
};

enum { COLLECTORS = sizeof(collectors) / sizeof(*collectors) };

static bool names(const struct collector *c, struct str word)
{
	char needle[80];
	if (str_eqc(word, c->name) || str_eqc(word, c->group) || str_eqc(word, "all"))
		return true;
	if (word.n + 3 > sizeof(needle))
		return false;
	needle[0] = '|';
	memcpy(needle + 1, word.p, word.n);
	needle[word.n + 1] = '|';
	needle[word.n + 2] = '\0';
	return strstr(c->aliases, needle) != NULL;
}

static bool is_known(struct str word)
{
	if (str_eqc(word, "facter") || str_eqc(word, "ohai"))
		return true;
	for (size_t i = 0; i < COLLECTORS; i++)
		if (names(&collectors[i], word))
			return true;
	return false;
}

/* Which collectors the words of gather_subset leave: the positive ones (all when there is none) with "min",
 * less the negative ones; "!all" leaves "min" unless "!min" is there as well. */
static bool pick(struct mod_ctx *m, bool want[COLLECTORS])
{
	const struct val *subset = mod_list(m, "gather_subset");
	bool positive = false, no_min = false, explicit_want[COLLECTORS] = {false};
	VAL_EACH (i, subset) {
		struct str w = str_trim(val_text(val_at(subset, i), m->a));
		if (str_starts(w, "!")) {
			no_min = no_min || str_eqc(w, "!min");
			continue;
		}
		positive = true;
		if (!is_known(w))
			return mod_fail(m,
			                "Bad subset '%.*s' given to Ansible. gather_subset options allowed: "
			                "all, hardware, "
			                "min, network, virtual and the names of single facts",
			                STR_FMT(w));
		for (size_t c = 0; c < COLLECTORS; c++)
			if (names(&collectors[c], w)) {
				want[c] = true;
				explicit_want[c] = !str_eqc(w, "all");
			}
	}
	for (size_t c = 0; c < COLLECTORS; c++)
		if (!positive || (strcmp(collectors[c].group, "min") == 0 && !no_min))
			want[c] = true;
	VAL_EACH (i, subset) {
		struct str w = str_trim(val_text(val_at(subset, i), m->a));
		if (!str_starts(w, "!"))
			continue;
		w = str_n(w.p + 1, w.n - 1);
		for (size_t c = 0; c < COLLECTORS; c++) {
			bool keep = explicit_want[c] ||
			            (str_eqc(w, "all") && !no_min && strcmp(collectors[c].group, "min") == 0);
			if (names(&collectors[c], w) && !keep)
				want[c] = false;
		}
	}
	return true;
}

static bool passes(struct mod_ctx *m, const struct val *filter, const char *key)
{
	VAL_EACH (i, filter) {
		struct str s = val_text(val_at(filter, i), m->a);
		const char *pattern = arena_strndup(m->a, s.p ? s.p : "", s.n);
		if (!*pattern || fnmatch(pattern, key, 0) == 0 ||
		    fnmatch(arena_printf(m->a, "ansible_%s", pattern), key, 0) == 0)
			return true;
	}
	return val_len(filter) == 0;
}

static bool run(struct mod_ctx *m)
{
	struct facts f = {m, m->a, val_map(m->a)};
	bool want[COLLECTORS] = {false};
	if (!pick(m, want))
		return false;
	for (size_t c = 0; c < COLLECTORS; c++)
		if (want[c])
			collectors[c].fn(&f);
	const struct val *filter = mod_list(m, "filter");
	struct val *kept = val_map(m->a);
	MAP_EACH (i, f.out) {
		struct val *k = val_key_at(f.out, i);
		if (passes(m, filter, val_get_strz(k)))
			val_setk(kept, k, val_value_at(f.out, i));
	}
	if (!val_len(filter)) {
		val_set(kept, "gather_subset", val_copy(m->a, mod_list(m, "gather_subset")));
		val_set(kept, "module_setup", val_bool(true));
	}
	mod_set(m, "ansible_facts", kept);
	return true;
}

static const struct mod_arg args[] = {
        {"gather_subset", MT_LIST, .elem = MT_STR, .dflt = "all",
         .doc = "What to gather; !NAME leaves it out."},
        {"gather_timeout", MT_INT, .dflt = "10", .doc = "Ignored: nothing here waits."},
        {"filter", MT_LIST, .elem = MT_STR, .dflt = "", .doc = "Patterns of the facts to return."},
        {"fact_path", MT_PATH, .dflt = "/etc/ansible/facts.d", .doc = "Where local facts are."},
        {NULL},
};

const struct module module_row_setup = {
        .name = "setup",
        .from = "ansible.builtin",
        .doc = "Gathers facts about the host.",
        .args = args,
        .flags = MOD_READ_ONLY | MOD_CHECK,
        .run = run,
};
