#include "config.h"
#include "base/arena.h"
#include "base/fs.h"
#include "base/val.h"
#include <stdlib.h>
#include <sys/stat.h>

/* A setting is one row. PATHS: what stands between the names of files in it, 0: it names none. */
static const struct {
	const char *key, *env;
	char paths;
} settings[SET_N] = {
        [SET_INVENTORY] = {"defaults.inventory", "ANSIBLE_INVENTORY", ','},
        [SET_ROLES_PATH] = {"defaults.roles_path", "ANSIBLE_ROLES_PATH", ':'},
        [SET_USER] = {"defaults.remote_user", "ANSIBLE_REMOTE_USER", 0},
        [SET_PRIVATE_KEY] = {"defaults.private_key_file", "ANSIBLE_PRIVATE_KEY_FILE", ':'},
        [SET_HOST_KEYS] = {"defaults.host_key_checking", "ANSIBLE_HOST_KEY_CHECKING", 0},
        [SET_BECOME] = {"privilege_escalation.become", "ANSIBLE_BECOME", 0},
        [SET_BECOME_USER] = {"privilege_escalation.become_user", "ANSIBLE_BECOME_USER", 0},
        [SET_FORCE_HANDLERS] = {"defaults.force_handlers", "ANSIBLE_FORCE_HANDLERS", 0},
        [SET_MISSING_HANDLERS] = {"defaults.error_on_missing_handler", "ANSIBLE_ERROR_ON_MISSING_HANDLER", 0},
        [SET_CUSTOM_STATS] = {"defaults.show_custom_stats", "ANSIBLE_SHOW_CUSTOM_STATS", 0},
        [SET_MANAGED] = {"defaults.ansible_managed", NULL, 0},
        [SET_GATHERING] = {"defaults.gathering", "ANSIBLE_GATHERING", 0},
        [SET_ANY_FATAL] = {"defaults.any_errors_fatal", "ANSIBLE_ANY_ERRORS_FATAL", 0},
        [SET_FACT_VARS] = {"defaults.inject_facts_as_vars", "ANSIBLE_INJECT_FACT_VARS", 0},
        [SET_TIMEOUT] = {"defaults.timeout", "ANSIBLE_TIMEOUT", 0},
        [SET_SSH_COMMON] = {"ssh_connection.ssh_common_args", "ANSIBLE_SSH_COMMON_ARGS", 0},
        [SET_SSH_EXTRA] = {"ssh_connection.ssh_extra_args", "ANSIBLE_SSH_EXTRA_ARGS", 0},
        [SET_HASHES] = {"defaults.hash_behaviour", "ANSIBLE_HASH_BEHAVIOUR", 0},
        [SET_VAULT_IDS] = {"defaults.vault_identity_list", "ANSIBLE_VAULT_IDENTITY_LIST", 0},
        [SET_VAULT_FILE] = {"defaults.vault_password_file", "ANSIBLE_VAULT_PASSWORD_FILE", ':'},
};

/* What would make the same plays mean something else, and its value that does not. */
static const struct {
	const char *key, *env, *same;
} refused[] = {
        {"defaults.jinja2_native", "ANSIBLE_JINJA2_NATIVE", "false"},
        {"defaults.error_on_undefined_vars", "ANSIBLE_ERROR_ON_UNDEFINED_VARS", "true"},
        {"defaults.private_role_vars", "ANSIBLE_PRIVATE_ROLE_VARS", "false"},
};

static const char *find_file(struct config *c)
{
	const char *env = getenv("ANSIBLE_CONFIG"), *home = getenv("HOME");
	struct stat st;
	if (env && *env) {
		const char *in = fs_is_dir(env) ? fs_join(c->a, env, "ansible.cfg") : env;
		if (fs_exists(in))
			return in;
	}
	if (fs_exists("ansible.cfg")) {
		if (stat(".", &st) == 0 && !(st.st_mode & S_IWOTH))
			return "ansible.cfg";
		c->passed_over = "ansible.cfg";
	}
	const char *own = home ? fs_join(c->a, home, ".ansible.cfg") : NULL;
	if (own && fs_exists(own))
		return own;
	return fs_exists("/etc/ansible/ansible.cfg") ? "/etc/ansible/ansible.cfg" : NULL;
}

/* As Python's configparser: "key = value" or "key: value", what is indented goes on; ";" begins a comment
 * also behind a value. */
static void parse(struct config *c, struct str text)
{
	struct str section = STR("");
	const char *last = NULL;
	while (text.p) {
		struct str raw = str_split(&text, '\n'), line = str_trim(raw);
		for (size_t i = 1; i < line.n; i++)
			if (line.p[i] == ';' && (line.p[i - 1] == ' ' || line.p[i - 1] == '\t'))
				line = str_trim(str_n(line.p, i));
		if (!line.n || line.p[0] == '#' || line.p[0] == ';')
			continue;
		if (last && (raw.p[0] == ' ' || raw.p[0] == '\t')) {
			val_set(c->ini, last,
			        val_strf(c->a, "%s\n%.*s", val_map_strz(c->ini, last, ""), STR_FMT(line)));
			continue;
		}
		if (line.p[0] == '[' && line.p[line.n - 1] == ']') {
			section = str_n(line.p + 1, line.n - 2);
			last = NULL;
			continue;
		}
		size_t n = 0;
		while (n < line.n && line.p[n] != '=' && line.p[n] != ':')
			n++;
		struct str key = str_trim(str_n(line.p, n));
		struct str value = n < line.n ? str_trim(str_n(line.p + n + 1, line.n - n - 1)) : STR("");
		last = arena_printf(c->a, "%.*s.%.*s", STR_FMT(section), STR_FMT(key));
		val_set(c->ini, last, val_str(c->a, value));
	}
}

static bool same(const char *value, const char *want)
{
	bool is_bool = strcmp(want, "true") == 0 || strcmp(want, "false") == 0;
	if (!is_bool)
		return strcmp(value, want) == 0;
	struct arena *a = arena_new(NULL);
	bool ok = val_to_bool(val_strz(a, value)) == (strcmp(want, "true") == 0);
	arena_free(a);
	return ok;
}

bool config_read(struct config *c, struct arena *a, struct err *err)
{
	struct buf b = {0};
	*c = (struct config){.a = a, .ini = val_map(a)};
	c->file = find_file(c);
	bool ok = !c->file || fs_read(c->file, &b, err);
	if (ok && c->file)
		parse(c, str_dup(a, buf_str(&b)));
	buf_free(&b);
	for (size_t i = 0; ok && i < sizeof(refused) / sizeof(*refused); i++) {
		const char *env = getenv(refused[i].env);
		const char *value = env ? env : val_map_strz(c->ini, refused[i].key, refused[i].same);
		if (!same(value, refused[i].same))
			ok = err_set(err, ERR_USER, ORIGIN_NONE, "%s: %s = %s is not supported, only %s",
			             env ? refused[i].env : c->file, strchr(refused[i].key, '.') + 1, value,
			             refused[i].same);
	}
	return ok;
}

/* Names of files, from the directory of the file that says them. */
static const char *paths_of(const struct config *c, const char *text, char between)
{
	struct buf b = {0};
	struct str rest = str_c(text);
	const char *home = getenv("HOME"), *dir = fs_dirname(c->a, c->file);
	bool list = between == ',' && strchr(text, ',');
	while (rest.p) {
		struct str one = str_trim(str_split(&rest, between));
		const char *z = arena_strndup(c->a, one.p, one.n);
		if (b.n)
			buf_addc(&b, between);
		if (z[0] == '~' && z[1] == '/' && home)
			buf_printf(&b, "%s%s", home, z + 1);
		else if (!*z || *z == '/' || strcmp(dir, ".") == 0)
			buf_adds(&b, z);
		else
			buf_adds(&b, list && !fs_exists(fs_join(c->a, dir, z)) ? z : fs_join(c->a, dir, z));
	}
	const char *ret = buf_take(&b, c->a).p;
	buf_free(&b);
	return ret;
}

const char *config_get(const struct config *c, enum setting s)
{
	const char *env = settings[s].env ? getenv(settings[s].env) : NULL;
	if (env && *env)
		return env;
	const char *text = c->ini ? val_map_strz(c->ini, settings[s].key, "") : "";
	if (!*text)
		return NULL;
	return settings[s].paths ? paths_of(c, text, settings[s].paths) : text;
}

bool config_bool(const struct config *c, enum setting s, bool dflt)
{
	const char *text = config_get(c, s);
	return text ? val_to_bool(val_strz(c->a, text)) : dflt;
}
