#include <glob.h>
#include <unistd.h>
#include "modules/systemctl.h"

bool systemd_runs(void)
{
	return fs_is_dir("/run/systemd/system");
}

bool sysv_exists(struct mod_ctx *m, const char *name)
{
	return fs_exists(arena_printf(m->a, "/etc/init.d/%s", name));
}

bool sysv_enabled(struct mod_ctx *m, const char *name)
{
	glob_t g;
	bool found = glob(arena_printf(m->a, "/etc/rc?.d/S??%s", name), 0, NULL, &g) == 0;
	globfree(&g);
	return found;
}

static bool call(struct mod_ctx *m, struct mod_out *out, const char *const *words)
{
	const char *argv[16] = {"systemctl"};
	size_t n = 1;
	static const char *const env[] = {"LC_ALL=C.UTF-8", "LANG=C.UTF-8", "SYSTEMD_COLORS=0",
	                                  "SYSTEMD_PAGER=cat", NULL};
	static const char *const user_env[] = {"LC_ALL=C.UTF-8",    "LANG=C.UTF-8", "SYSTEMD_COLORS=0",
	                                       "SYSTEMD_PAGER=cat", NULL,           NULL};
	const char *own[6];
	const char *scope = mod_arg(m, "scope"), *const *extra = env;
	if (scope && strcmp(scope, "system") != 0)
		argv[n++] = arena_printf(m->a, "--%s", scope);
	if (scope && strcmp(scope, "user") == 0 && !mod_env(m, "XDG_RUNTIME_DIR")) {
		memcpy(own, user_env, sizeof(own));
		own[4] = arena_printf(m->a, "XDG_RUNTIME_DIR=/run/user/%lu", (unsigned long)geteuid());
		extra = own;
	}
	if (mod_bool(m, "no_block"))
		argv[n++] = "--no-block";
	if (mod_bool(m, "force"))
		argv[n++] = "--force";
	for (; *words && n < 15; words++)
		argv[n++] = *words;
	argv[n] = NULL;
	return mod_spawn(m, &(struct mod_cmd){.argv = argv, .extra_env = extra}, out);
}

bool systemd_verb(struct mod_ctx *m, const char *verb, const char *name)
{
	struct mod_out out;
	const char *words[] = {verb, name, NULL};
	if (!call(m, &out, words))
		return false;
	if (out.rc == 0)
		return true;
	struct str why = out.err.n ? out.err : out.out;
	if (!name)
		return mod_fail(m, "failure %d during %s: %.*s", out.rc, verb, STR_FMT(why));
	return mod_fail(m, "Unable to %s service %s: %.*s", verb, name, STR_FMT(why));
}

/* The properties "systemctl show" prints; a value that opens a brace goes on until the line that closes it.
 */
static struct val *parse_show(struct arena *a, struct str text)
{
	struct val *map = val_map(a);
	while (text.p && text.n) {
		struct str value = str_split(&text, '\n'), key = str_split(&value, '=');
		if (!value.p || !key.n)
			continue;
		bool open =
		        str_starts(key, "Exec") && str_starts(value, "{") && !str_ends(str_trim(value), "}");
		while (open && text.p && text.n) {
			struct str more = str_split(&text, '\n');
			value.n = (size_t)(more.p + more.n - value.p);
			open = !str_ends(str_trim(more), "}");
		}
		val_sets(map, key, val_str(a, str_trim(value)));
	}
	return map;
}

static bool is(const struct val *status, const char *key, const char *value)
{
	return str_eqc(val_map_str(status, key, ""), value);
}

static bool is_any(const struct val *status, const char *key, const char *words)
{
	struct str rest = str_c(words), v = val_map_str(status, key, "");
	while (rest.p)
		if (str_eq(str_split(&rest, '|'), v))
			return true;
	return false;
}

/* As "systemctl is-enabled" answers: with its exit status, and no links told with "indirect" or "alias" mean
 * no; neither are those that last until the next boot what is asked for. */
static bool ask_enabled(struct mod_ctx *m, const char *name)
{
	const char *words[] = {"is-enabled", name, "-l", NULL};
	struct mod_out out;
	if (!call(m, &out, words) || out.rc != 0)
		return false;
	struct str told = str_trim(out.out);
	return !str_eqc(told, "indirect") && !str_eqc(told, "alias") && !str_eqc(told, "enabled-runtime");
}

static bool is_enabled(struct mod_ctx *m, const char *name, const struct val *status)
{
	/* Only systemctl knows the links of a script of /etc/init.d, and what its properties do not say. */
	if (is_any(status, "UnitFileState", "generated|bad||indirect|alias"))
		return ask_enabled(m, name);
	/* The links of a script count where a mask hides it from systemd. */
	const char *scope = mod_arg(m, "scope");
	if ((!scope || strcmp(scope, "system") == 0) && sysv_exists(m, name) &&
	    !str_ends(val_map_str(status, "UnitFileState", ""), "disabled") && sysv_enabled(m, name))
		return true;
	return is_any(status, "UnitFileState", "enabled|static|transient");
}

static bool set_mask(struct mod_ctx *m, const char *name, const struct val *status, bool found)
{
	bool now =
	        is(status, "LoadState", "masked") || is_any(status, "UnitFileState", "masked|masked-runtime");
	bool want = mod_bool(m, "masked");
	if (now == want)
		return true;
	mod_changed(m);
	if (m->check)
		return true;
	if (!found && !want)
		return mod_fail(m, "Could not find the requested service %s: host", name);
	return systemd_verb(m, want ? "mask" : "unmask", name);
}

static bool set_enabled(struct mod_ctx *m, const char *name, const struct val *status)
{
	bool now = is_enabled(m, name, status), want = mod_bool(m, "enabled");
	/* Enabling a static unit does nothing, today and every time. */
	mod_setb(m, "enabled", now);
	if (now == want)
		return true;
	mod_changed(m);
	mod_setb(m, "enabled", want);
	return m->check || systemd_verb(m, want ? "enable" : "disable", name);
}

/* The verb that leads from what is to what is wanted; NULL when nothing is to be done. */
static const char *state_verb(const char *state, bool running, bool stopping)
{
	if (strcmp(state, "started") == 0)
		return running ? NULL : "start";
	if (strcmp(state, "stopped") == 0)
		return running || stopping ? "stop" : NULL;
	if (!running)
		return "start";
	return strcmp(state, "restarted") == 0 ? "restart" : "reload";
}

static bool set_state(struct mod_ctx *m, const char *name, const struct val *status)
{
	const char *state = mod_arg(m, "state");
	bool running = is_any(status, "ActiveState", "active|activating");
	const char *verb = state_verb(state, running, is(status, "ActiveState", "deactivating"));
	bool down = strcmp(state, "stopped") == 0;
	if (!val_get(status, "ActiveState")) {
		const char *offline = mod_env(m, "SYSTEMD_OFFLINE");
		if (systemd_runs() && !(offline && strcmp(offline, "1") == 0))
			return mod_fail(m, "Service is in unknown state");
		mod_warn(m, "Target is a chroot or systemd is offline: nothing is started or stopped");
		return true;
	}
	mod_sets(m, "state", down ? "stopped" : "started");
	if (!verb)
		return true;
	mod_changed(m);
	return m->check || systemd_verb(m, verb, name);
}

bool systemd_manage(struct mod_ctx *m, const char *name)
{
	struct mod_out out;
	const char *words[] = {"show", name, NULL};
	const char *pattern = strpbrk(name, "*?[");
	if (pattern)
		return mod_fail(m,
		                "This module does not currently support using glob patterns, found '%c' in "
		                "service name: %s",
		                *pattern, name);
	mod_sets(m, "name", name);
	if (!call(m, &out, words))
		return false;
	/* A template has no properties, and no manager tells them of units it does not run. */
	const char *asked[] = {"is-enabled", name, NULL};
	struct mod_out file = {0};
	if (out.rc != 0 && (!call(m, &file, asked) || !file.out.n)) {
		mod_seti(m, "rc", out.rc);
		return mod_fail(m, "%.*s", STR_FMT(str_trim(out.err)));
	}
	struct val *status = parse_show(m->a, out.out);
	mod_set(m, "status", status);
	bool loaded = !is(status, "LoadState", "not-found"), found = loaded || sysv_exists(m, name);
	if (loaded && !is(status, "LoadState", "masked") && val_get(status, "LoadError") &&
	    val_len(val_get(status, "LoadError")))
		return mod_fail(m, "Error loading unit file '%s': %s", name,
		                val_map_strz(status, "LoadError", ""));
	if (mod_has(m, "masked") && !set_mask(m, name, status, found))
		return false;
	bool wants = mod_has(m, "enabled") || mod_has(m, "state");
	if (wants && !found) {
		/* A unit that an earlier task would have made. */
		if (m->check)
			return mod_done(m, true, "Service %s is not there yet", name);
		return mod_fail(m, "Could not find the requested service %s: host", name);
	}
	/* What was masked until now has no properties of its own: look again. */
	if (wants && mod_has(m, "masked") && mod_is_changed(m) && !m->check) {
		if (!call(m, &out, words))
			return false;
		mod_set(m, "status", status = parse_show(m->a, out.out));
	}
	if (mod_has(m, "enabled") && !set_enabled(m, name, status))
		return false;
	return !mod_has(m, "state") || set_state(m, name, status);
}
