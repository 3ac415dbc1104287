#include <dirent.h>
#include "modules/module.h"

enum { MAX_WORDS = 6 };

/* The first words of LINE; how many there are. */
static size_t cut_words(struct str line, struct str words[MAX_WORDS])
{
	size_t n = 0, i = 0;
	while (n < MAX_WORDS) {
		while (i < line.n && line.p[i] == ' ')
			i++;
		size_t start = i;
		while (i < line.n && line.p[i] != ' ')
			i++;
		if (i == start)
			break;
		words[n++] = str_n(line.p + start, i - start);
	}
	return n;
}

static struct val *add(struct mod_ctx *m, struct val *services, struct str name, const char *state,
                       const char *source)
{
	struct val *s = val_map(m->a);
	val_set(s, "name", val_str(m->a, name));
	val_set(s, "state", val_strz(m->a, state));
	if (strcmp(source, "systemd") == 0)
		val_set(s, "status", val_null()); /* its place; its value follows */
	val_set(s, "source", val_strz(m->a, source));
	val_sets(services, name, s);
	return s;
}

/* A state in which "systemctl list-unit-files" has nothing better to say. */
static bool is_bad(struct str s)
{
	return str_eqc(s, "not-found") || str_eqc(s, "masked") || str_eqc(s, "failed");
}

static bool loaded_units(struct mod_ctx *m, const char *systemctl, struct val *services)
{
	struct mod_out out;
	struct str w[MAX_WORDS];
	if (!mod_exec(m, &out, systemctl, "list-units", "--no-pager", "--no-legend", "--type", "service",
	              "--all", "--plain", NULL))
		return false;
	if (out.rc != 0)
		return mod_fail(m, "systemctl list-units failed: %.*s", STR_FMT(str_trim(out.err)));
	while (out.out.n) {
		struct str line = str_split(&out.out, '\n');
		if (cut_words(line, w) < 4)
			continue;
		struct val *s =
		        add(m, services, w[0], str_eqc(w[3], "running") ? "running" : "stopped", "systemd");
		struct str status = w[2];
		for (size_t i = 1; i < 4; i++)
			if (is_bad(w[i])) {
				status = w[i];
				break;
			}
		val_set(s, "status", val_str(m->a, status));
	}
	return true;
}

/* ActiveState of units that are not loaded, all in one question. */
static bool ask_states(struct mod_ctx *m, const char *systemctl, const struct val *services,
                       const struct val *names)
{
	size_t n = val_len(names), i = 0;
	const char **argv = arena_array(m->a, n + 5, sizeof(*argv));
	struct mod_out out;
	if (!n)
		return true;
	argv[0] = systemctl;
	argv[1] = "show";
	argv[2] = "--property=ActiveState";
	argv[3] = "--";
	VAL_EACH (k, names)
		argv[4 + k] = val_get_strz(val_at(names, k));
	if (!mod_spawn(m, &(struct mod_cmd){.argv = argv}, &out))
		return false;
	while (out.out.n && i < n) {
		struct str line = str_split(&out.out, '\n');
		if (str_starts(line, "ActiveState="))
			val_set(val_getk(services, val_at(names, i++)), "state",
			        val_str(m->a, str_n(line.p + 12, line.n - 12)));
	}
	return true;
}

static bool unit_files(struct mod_ctx *m, const char *systemctl, struct val *services)
{
	struct mod_out out;
	struct str w[MAX_WORDS];
	struct val *unknown = val_list(m->a);
	if (!mod_exec(m, &out, systemctl, "list-unit-files", "--no-pager", "--no-legend", "--type", "service",
	              "--all", NULL))
		return false;
	if (out.rc != 0)
		return mod_fail(m, "systemctl list-unit-files failed: %.*s", STR_FMT(str_trim(out.err)));
	while (out.out.n) {
		struct str line = str_split(&out.out, '\n');
		if (cut_words(line, w) < 2)
			continue;
		struct val *s = val_gets(services, w[0]);
		if (!s) {
			s = add(m, services, w[0], "unknown", "systemd");
			/* A template has no state to ask for. */
			if (!str_ends(w[0], "@.service"))
				val_push(unknown, val_get(s, "name"));
		} else if (is_bad(val_map_str(s, "status", ""))) {
			continue;
		}
		val_set(s, "status", val_str(m->a, w[1]));
	}
	return ask_states(m, systemctl, services, unknown);
}

/* Scripts of /etc/init.d: systemd knows their state without running each of them. */
static void add_scripts(struct mod_ctx *m, struct val *services)
{
	DIR *d = opendir("/etc/init.d");
	struct dirent *e;
	while (d && (e = readdir(d))) {
		struct str name = str_c(e->d_name);
		bool sh = str_ends(name, ".sh"); /* which its unit's name lacks */
		const char *unit = arena_printf(m->a, "%.*s.service", (int)(name.n - (sh ? 3 : 0)), name.p);
		struct val *s = val_get(services, unit);
		if (e->d_name[0] == '.' || (!s && !sh))
			continue;
		struct str state = s ? val_map_str(s, "state", "") : (struct str){0};
		add(m, services, str_c(e->d_name), str_eqc(state, "running") ? "running" : "stopped", "sysv");
	}
	if (d)
		closedir(d);
}

/* Without systemd, "service --status-all" runs each script: " [ + ]  name". */
static bool ask_scripts(struct mod_ctx *m, const char *service, struct val *services)
{
	struct mod_out out;
	struct str w[MAX_WORDS];
	if (!mod_exec(m, &out, service, "--status-all", NULL))
		return false;
	while (out.out.n) {
		struct str line = str_split(&out.out, '\n');
		if (cut_words(line, w) < 4 || !str_eqc(w[0], "[") || !str_eqc(w[2], "]"))
			continue;
		if (str_eqc(w[1], "+") || str_eqc(w[1], "-"))
			add(m, services, w[3], str_eqc(w[1], "+") ? "running" : "stopped", "sysv");
	}
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct val *facts = val_map(m->a), *services = val_map(m->a);
	const char *systemctl = mod_which(m, "systemctl"), *service = mod_which(m, "service");
	bool ok = true;
	if (systemctl && fs_is_dir("/run/systemd/system")) {
		ok = loaded_units(m, systemctl, services) && unit_files(m, systemctl, services);
		add_scripts(m, services);
	} else if (service) {
		ok = ask_scripts(m, service, services);
	}
	if (!ok)
		return false;
	if (!val_len(services)) {
		mod_setb(m, "skipped", true);
		return mod_done(m, false,
		                "Failed to find any services. This can be due to privileges or some other "
		                "configuration issue.");
	}
	val_set(facts, "services", services);
	mod_facts(m, facts);
	return true;
}

static const struct mod_arg args[] = {{NULL}};

const struct module module_row_service_facts = {
        .name = "service_facts",
        .from = "ansible.builtin",
        .doc = "Gives the host's services and their states as facts.",
        .args = args,
        .flags = MOD_CHECK | MOD_READ_ONLY,
        .run = run,
};
