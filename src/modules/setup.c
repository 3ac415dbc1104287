#include <fnmatch.h>
#include <stdlib.h>
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

#define HARDWARE_IDS "|devices|mounts|processor|processor_cores|processor_count|"

/* In the order they run: later ones may look at what earlier ones found. Several rows may share a name. */
static const struct collector {
	const char *name;
	bool min;        /* one of the subset "min" */
	const char *ids; /* "|a|b|": what else asks for it; each can be named and left out by itself */
	void (*fn)(struct facts *f);
	const char *needs; /* "|a|b|": collectors that run whenever this one does */
} collectors[] = {
        {"platform", true, "|architecture|kernel|kernel_version|machine|machine_id|system|", facts_platform},
        {"distribution", true,
         "|distribution_major_version|distribution_release|distribution_version|os_family|",
         facts_distribution},
        {"pkg_mgr", true, "|", facts_pkg_mgr, "|distribution|"},
        {"service_mgr", true, "|", facts_service_mgr, "|platform|distribution|"},
        {"systemd", true, "|", facts_systemd},
        {"lsb", true, "|", facts_lsb},
        {"date_time", true, "|", facts_date_time},
        {"user", true,
         "|effective_group_ids|effective_user_id|real_user_id|user_dir|user_gecos|user_gid|user_id|user_"
         "shell|"
         "user_uid|",
         facts_user},
        {"env", true, "|", facts_env},
        {"cmdline", true, "|", facts_cmdline},
        {"dns", true, "|", facts_dns},
        {"local", true, "|", facts_local},
        {"selinux", true, "|", facts_selinux},
        {"apparmor", true, "|", facts_apparmor},
        {"caps", true, "|system_capabilities|system_capabilities_enforced|", facts_caps},
        {"fips", true, "|", facts_fips},
        {"ssh_pub_keys", true,
         "|ssh_host_key_dsa_public|ssh_host_key_ecdsa_public|ssh_host_key_ed25519_public|"
         "ssh_host_key_rsa_public|ssh_host_pub_keys|",
         facts_ssh_keys},
        {"python", true, "|python_version|", facts_python},
        {"loadavg", false, "|", facts_loadavg},
        {"chroot", false, "|is_chroot|", facts_chroot},
        {"hardware", false, HARDWARE_IDS, facts_processor, "|platform|"},
        {"hardware", false, HARDWARE_IDS, facts_memory, "|platform|"},
        {"hardware", false, HARDWARE_IDS, facts_dmi, "|platform|"},
        {"hardware", false, HARDWARE_IDS, facts_mounts, "|platform|"},
        {"hardware", false, HARDWARE_IDS, facts_devices, "|platform|"},
        {"hardware", false, HARDWARE_IDS, facts_lvm, "|platform|"},
        {"iscsi", false, "|", facts_iscsi},
        {"nvme", false, "|", facts_nvme},
        {"fibre_channel_wwn", false, "|", facts_fibre_channel},
        {"network", false, "|all_ipv4_addresses|all_ipv6_addresses|default_ipv4|default_ipv6|interfaces|",
         facts_network, "|platform|distribution|"},
        {"virtual", false,
         "|virtualization_role|virtualization_tech_guest|virtualization_tech_host|virtualization_type|",
         facts_virtual},
        {"facter", false, "|", NULL},
        {"ohai", false, "|", NULL},
};

enum { COLLECTORS = sizeof(collectors) / sizeof(*collectors) };

/* The ids of C one by one, its name first; AT starts at 0. False after the last. */
static bool next_id(const struct collector *c, size_t *at, struct str *id)
{
	if (*at == 0) {
		*id = str_c(c->name);
		*at = 1;
		return true;
	}
	*id = str_n(c->ids + *at, strcspn(c->ids + *at, "|"));
	*at += id->n + 1;
	return id->n > 0;
}

static bool has_id(const struct collector *c, struct str word)
{
	struct str id;
	for (size_t at = 0; next_id(c, &at, &id);)
		if (str_eq(id, word))
			return true;
	return false;
}

static int by_text(const void *a, const void *b)
{
	const struct str *x = a, *y = b;
	int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
	return order ? order : (x->n > y->n) - (x->n < y->n);
}

static bool bad_subset(struct mod_ctx *m, struct str word)
{
	enum { IDS_MAX = 128 };
	struct str ids[IDS_MAX], id, all;
	struct buf b = {0};
	size_t n = 0;
	for (size_t c = 0; c < COLLECTORS; c++)
		for (size_t at = 0; n < IDS_MAX && next_id(&collectors[c], &at, &id);)
			ids[n++] = id;
	qsort(ids, n, sizeof(*ids), by_text);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !str_eq(ids[i], ids[i - 1]))
			buf_printf(&b, ", %.*s", STR_FMT(ids[i]));
	all = buf_take(&b, m->a);
	buf_free(&b);
	return mod_fail(m, "Bad subset '%.*s' given to Ansible. gather_subset options allowed: all%.*s",
	                STR_FMT(word), STR_FMT(all));
}

static bool check_subset(struct mod_ctx *m, const struct val *subset)
{
	VAL_EACH (i, subset) {
		struct str w = str_trim(val_text(val_at(subset, i), m->a));
		bool known = str_starts(w, "!") || str_eqc(w, "all") || str_eqc(w, "min");
		for (size_t c = 0; !known && c < COLLECTORS; c++)
			known = has_id(&collectors[c], w);
		if (!known)
			return bad_subset(m, w);
	}
	return true;
}

/* Whether gather_subset leaves ID of C in: "min" always comes first, what is named by itself stays whatever
 * is left out, and what is left out without being there is no mistake. */
static bool asked(struct mod_ctx *m, const struct val *subset, const struct collector *c, struct str id)
{
	bool of_min = c->min && str_eqc(id, c->name), in = of_min, out = false;
	VAL_EACH (i, subset) {
		struct str w = str_trim(val_text(val_at(subset, i), m->a));
		if (!str_starts(w, "!")) {
			if (str_eq(w, id))
				return true;
			in = in || str_eqc(w, "all");
			continue;
		}
		w = str_n(w.p + 1, w.n - 1);
		out = out || (str_eqc(w, "min")   ? of_min
		              : str_eqc(w, "all") ? !of_min
		                                  : str_eq(w, id) || str_eqc(w, c->name));
	}
	return in && !out;
}

static bool pick(struct mod_ctx *m, bool want[COLLECTORS])
{
	const struct val *subset = mod_list(m, "gather_subset");
	struct str id;
	if (!check_subset(m, subset))
		return false;
	for (size_t c = 0; c < COLLECTORS; c++)
		for (size_t at = 0; !want[c] && next_id(&collectors[c], &at, &id);)
			want[c] = asked(m, subset, &collectors[c], id);
	return true;
}

/* A collector that is wanted brings those it builds on, excluded or not. */
static void add_needed(bool want[COLLECTORS])
{
	for (size_t c = COLLECTORS; c-- > 0;)
		for (size_t k = 0; want[c] && collectors[c].needs && k < COLLECTORS; k++) {
			const char *at = strstr(collectors[c].needs, collectors[k].name);
			if (at && at[-1] == '|' && at[strlen(collectors[k].name)] == '|')
				want[k] = true;
		}
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
	add_needed(want);
	for (size_t c = 0; c < COLLECTORS; c++)
		if (want[c] && collectors[c].fn)
			collectors[c].fn(&f);
	val_set(f.out, "gather_subset", val_copy(m->a, mod_list(m, "gather_subset")));
	val_set(f.out, "module_setup", val_bool(true));
	const struct val *filter = mod_list(m, "filter");
	struct val *kept = val_map(m->a);
	MAP_EACH (i, f.out) {
		struct val *k = val_key_at(f.out, i);
		if (passes(m, filter, val_get_strz(k)))
			val_setk(kept, k, val_value_at(f.out, i));
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
