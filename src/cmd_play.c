/* nante play and nante lint: the engine alone, with ansible-playbook's flags, recap and exit codes. */
#include "ansible/engine.h"
#include "ansible/inventory.h"
#include "ansible/output.h"
#include "ansible/playbook.h"
#include "ansible/sealed.h"
#include "base/arena.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/suggest.h"
#include "base/source.h"
#include "cmd.h"
#include "config.h"
#include "modules/vault.h"
#include "net/loop.h"
#include "passwords.h"
#include "report.h"
#include "agent/proto.h"
#include "ssh/link.h"
#include "yaml/yaml_load.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct cmd {
	struct arena *a;
	struct sources *sources;
	struct engine_opts opts;
	struct config config;
	struct inventory *inv;
	struct val *inventories, *roles, *files, *extras;
	const char *agent;
	bool json, syntax, ask_password, ask_become;
	struct engine_list list_what;
	FILE *results; /* --results */
	struct loop *loop;
	struct ssh_links *links;
	struct link_pump pump;
	struct output out;
};

enum flag {
	F_INVENTORY,
	F_EXTRA,
	F_LIMIT,
	F_TAGS,
	F_SKIP_TAGS,
	F_CHECK,
	F_DIFF,
	F_CONNECTION,
	F_USER,
	F_BECOME,
	F_BECOME_USER,
	F_BECOME_METHOD,
	F_BECOME_PASSWORD_FILE,
	F_ASK_BECOME,
	F_PASSWORD_FILE,
	F_ASK_PASSWORD,
	F_ASK_VAULT,
	F_TIMEOUT,
	F_SSH_COMMON,
	F_SSH_EXTRA,
	F_ROLES_PATH,
	F_VERBOSE,
	F_JSON,
	F_RESULTS,
	F_FORCE_HANDLERS,
	F_PRIVATE_KEY,
	F_AGENT,
	F_SYNTAX,
	F_FORKS,
	F_START_AT,
	F_LIST_HOSTS,
	F_LIST_TASKS,
	F_LIST_TAGS,
	F_FLUSH_CACHE,
	F_VAULT,
};

/* A flag is one row. */
static const struct flag_row {
	const char *name, *alias;
	enum flag flag;
	bool value;
	const char *doc;
} flags[] = {
        {"-i", "--inventory", F_INVENTORY, true,
         "Inventory: a file, a directory, or hosts with a comma behind. May be repeated."},
        {"-e", "--extra-vars", F_EXTRA, true,
         "Variables that win over all others: NAME=VALUE, JSON, or @FILE."},
        {"-l", "--limit", F_LIMIT, true, "Only these hosts or groups."},
        {"-t", "--tags", F_TAGS, true, "Only tasks with one of these tags."},
        {"--skip-tags", NULL, F_SKIP_TAGS, true, "Not those with one of these tags."},
        {"-C", "--check", F_CHECK, false, "Changes nothing, tells what would change."},
        {"-D", "--diff", F_DIFF, false, "Shows what changes in files."},
        {"-c", "--connection", F_CONNECTION, true, "ssh or local."},
        {"-u", "--user", F_USER, true, "Logs in as this user."},
        {"-b", "--become", F_BECOME, false, "Becomes root for the tasks."},
        {"--become-user", NULL, F_BECOME_USER, true, "Becomes this user."},
        {"--become-method", NULL, F_BECOME_METHOD, true, "sudo: that is how it is done."},
        {"--become-password-file", "--become-pass-file", F_BECOME_PASSWORD_FILE, true,
         "File with the password that sudo asks for."},
        {"-K", "--ask-become-pass", F_ASK_BECOME, false, "Asks for that password."},
        {"--connection-password-file", "--conn-pass-file", F_PASSWORD_FILE, true,
         "File with the password to log in with."},
        {"-k", "--ask-pass", F_ASK_PASSWORD, false, "Asks for that password."},
        {"-T", "--timeout", F_TIMEOUT, true, "Waits so many seconds for a connection."},
        {"--ssh-common-args", NULL, F_SSH_COMMON, true, "Options of ssh: -J, -o ProxyJump=X and the like."},
        {"--ssh-extra-args", NULL, F_SSH_EXTRA, true, "More of them."},
        {"--roles-path", NULL, F_ROLES_PATH, true, "Where roles are, separated by colons."},
        {"-v", "--verbose", F_VERBOSE, false, "Says more; -vv and -vvv still more."},
        {"--json", NULL, F_JSON, false, "One JSON document instead of text."},
        {"--results", NULL, F_RESULTS, true, "Every result as a line of JSON into this file."},
        {"--force-handlers", NULL, F_FORCE_HANDLERS, false, "Runs notified handlers though a task failed."},
        {"--private-key", "--key-file", F_PRIVATE_KEY, true, "File with the SSH key."},
        {"--agent", NULL, F_AGENT, true, "Another build of nante for the hosts."},
        {"--syntax-check", NULL, F_SYNTAX, false, "Reads and checks all, runs nothing."},
        {"-f", "--forks", F_FORKS, true, "Taken and not used: all hosts run at once."},
        {"--start-at-task", NULL, F_START_AT, true,
         "Begins with the task of this name, which may be a pattern."},
        {"--list-hosts", NULL, F_LIST_HOSTS, false, "Tells the hosts of each play, runs nothing."},
        {"--list-tasks", NULL, F_LIST_TASKS, false, "Tells the tasks that would run, runs nothing."},
        {"--list-tags", NULL, F_LIST_TAGS, false, "Tells the tags there are, runs nothing."},
        {"--flush-cache", NULL, F_FLUSH_CACHE, false,
         "Taken and not used: facts are kept for the run alone."},
        {"--vault-password-file", "--vault-pass-file", F_VAULT, true,
         "File with the password of sealed files."},
        {"--vault-id", NULL, F_VAULT, true, "LABEL@FILE; the FILE prompt asks."},
        {"-J", "--ask-vault-password", F_ASK_VAULT, false, "Asks for the password of sealed files."},
};

static bool read_whole(struct cmd *c, const char *path, struct str *ret, uint32_t *ret_src, bool *ret_sealed,
                       struct err *err)
{
	if (!sealed_read(c->opts.vault, c->a, path, ret, ret_sealed, err))
		return false;
	*ret_src = sources_add(c->sources, path, *ret);
	return true;
}

/* -e: @FILE, a JSON or YAML dictionary, or k=v words. */
static bool extra_vars(struct cmd *c, const char *arg, struct err *err)
{
	struct val *v;
	struct str text = str_c(arg);
	uint32_t src = 0;
	const struct yaml_opts opts = {.vault = sealed_value, .vault_ctx = c->opts.vault};
	bool sealed;
	if (*arg == '@') {
		if (!read_whole(c, arg + 1, &text, &src, &sealed, err) ||
		    !yaml_load(c->a, text, src, &opts, &v, err))
			return false;
		if (sealed)
			v = sealed_vars(c->a, v);
	} else if (*arg == '{' || *arg == '[') {
		if (!yaml_load(c->a, text, 0, NULL, &v, err))
			return false;
	} else if (!args_parse(c->a, text, ORIGIN_NONE, false, &v, err)) {
		return false;
	}
	if (val_is_null(v))
		return true;
	if (!val_is_map(v))
		return err_set(err, ERR_USER, val_origin(v), "-e wants a dictionary, key=value or @file");
	c->opts.extra_vars = val_merge(c->a, c->opts.extra_vars, v, c->opts.merge_hashes);
	return true;
}

static struct val *split_words(struct arena *a, struct val *list, struct str s, char sep)
{
	if (!list)
		list = val_list(a);
	while (s.p) {
		struct str w = str_trim(str_split(&s, sep));
		if (w.n)
			val_push(list, val_str(a, w));
	}
	return list;
}

static bool open_results(struct cmd *c, const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (c->results)
		fclose(c->results);
	c->results = fd < 0 ? NULL : fdopen(fd, "w");
	return c->results || err_sys(err, ERR_USER, "--results %s", path);
}

static void write_result(void *ctx, struct str line)
{
	struct buf b = {0};
	log_redact(line, &b);
	fwrite(b.p, 1, b.n, ctx);
	buf_free(&b);
}

static bool password_of(struct cmd *c, const char *path, const char **ret, struct err *err)
{
	struct str text;
	if (!sealed_read(c->opts.vault, c->a, path, &text, NULL, err))
		return false;
	text = str_trim(text);
	log_secret(text);
	*ret = arena_strndup(c->a, text.p, text.n);
	return true;
}

/* Both passwords; sudo's is the first when nothing is answered. */
static bool ask_passwords(struct cmd *c, struct err *err)
{
	struct engine_opts *o = &c->opts;
	struct str text;
	if (c->ask_password) {
		if (!passwords_ask(c->a, "SSH password", &text, err))
			return false;
		o->password = text.p;
	}
	if (!c->ask_become)
		return true;
	if (!passwords_ask(c->a,
	                   o->password ? "BECOME password[defaults to SSH password]" : "BECOME password",
	                   &text, err))
		return false;
	o->become_password = !text.n && o->password ? o->password : text.p;
	return true;
}

static bool take_flag(struct cmd *c, enum flag f, const char *arg, struct err *err)
{
	struct engine_opts *o = &c->opts;
	switch (f) {
	case F_INVENTORY: val_push(c->inventories, val_strz(c->a, arg)); return true;
	case F_EXTRA: val_push(c->extras, val_strz(c->a, arg)); return true;
	case F_LIMIT: o->limit = arg; return true;
	case F_TAGS: o->tags = split_words(c->a, (struct val *)o->tags, str_c(arg), ','); return true;
	case F_SKIP_TAGS:
		o->skip_tags = split_words(c->a, (struct val *)o->skip_tags, str_c(arg), ',');
		return true;
	case F_CHECK: o->check = true; return true;
	case F_DIFF: o->diff = true; return true;
	case F_CONNECTION: o->connection = arg; return true;
	case F_USER: o->user = arg; return true;
	case F_BECOME: o->become = true; return true;
	case F_BECOME_USER: o->become_user = arg; return true;
	case F_BECOME_METHOD:
		return strcmp(arg, "sudo") == 0 || strcmp(arg, "ansible.builtin.sudo") == 0 ||
		       err_set(err, ERR_USER, ORIGIN_NONE, "--become-method %s is not supported, only sudo",
		               arg);
	case F_BECOME_PASSWORD_FILE: return password_of(c, arg, &o->become_password, err);
	case F_ASK_BECOME: return c->ask_become = true;
	case F_PASSWORD_FILE: return password_of(c, arg, &o->password, err);
	case F_ASK_PASSWORD: return c->ask_password = true;
	case F_ASK_VAULT: return passwords_add(o->vault, c->a, "prompt", err);
	case F_TIMEOUT: o->timeout = arg; return true;
	case F_SSH_COMMON: o->ssh_common_args = arg; return true;
	case F_SSH_EXTRA: o->ssh_extra_args = arg; return true;
	case F_ROLES_PATH: split_words(c->a, c->roles, str_c(arg), ':'); return true;
	case F_VERBOSE: o->verbosity++; return true;
	case F_JSON: c->json = true; return true;
	case F_RESULTS: return open_results(c, arg, err);
	case F_FORCE_HANDLERS: o->force_handlers = true; return true;
	case F_PRIVATE_KEY: o->private_key_file = arg; return true;
	case F_AGENT: c->agent = arg; return true;
	case F_SYNTAX: c->syntax = true; return true;
	case F_FORKS: return true; /* all hosts at once, always */
	case F_START_AT: o->start_at = arg; return true;
	case F_LIST_HOSTS: return c->list_what.hosts = true;
	case F_LIST_TASKS: return c->list_what.tasks = true;
	case F_LIST_TAGS: return c->list_what.tags = true;
	case F_FLUSH_CACHE: return true;
	case F_VAULT: return passwords_add(o->vault, c->a, arg, err);
	}
	return true;
}

static const struct flag_row *flag_find(const char *arg, const char **ret_value)
{
	*ret_value = NULL;
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		const char *names[] = {flags[i].name, flags[i].alias};
		for (size_t k = 0; k < 2; k++) {
			size_t n = names[k] ? strlen(names[k]) : 0;
			if (!n || strncmp(arg, names[k], n) != 0)
				continue;
			if (!arg[n])
				return &flags[i];
			if (flags[i].value && n > 2 && arg[n] == '=')
				return *ret_value = arg + n + 1, &flags[i];
			if (flags[i].value && n == 2 && arg[1] != '-')
				return *ret_value = arg + n, &flags[i];
		}
	}
	return NULL;
}

static bool unknown_flag(const char *command, const char *arg, struct err *err)
{
	struct suggest near = {.name = str_c(arg)};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		suggest_offer(&near, flags[i].name);
		if (flags[i].alias)
			suggest_offer(&near, flags[i].alias);
	}
	err_set(err, ERR_USER, ORIGIN_NONE, "%s: unknown flag '%s'", command, arg);
	return near.best ? err_hint(err, "did you mean %s?", near.best)
	                 : err_hint(err, "'nante help %s' lists them", command);
}

void cmd_play_flags(void)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		struct buf b = {0};

		buf_printf(&b, "%s%s%s%s", flags[i].name, flags[i].alias ? ", " : "",
		           flags[i].alias ? flags[i].alias : "", flags[i].value ? " X" : "");
		log_line(LOG_INFO, "  %-46s %s", b.p, flags[i].doc);
		buf_free(&b);
	}
}

/* What ansible.cfg and ANSIBLE_* say; flags come on top. */
static bool settings(struct cmd *c, struct err *err)
{
	struct engine_opts *o = &c->opts;
	if (!config_read(&c->config, c->a, err))
		return false;
	const char *gathering = config_get(&c->config, SET_GATHERING);
	o->user = config_get(&c->config, SET_USER);
	o->private_key_file = config_get(&c->config, SET_PRIVATE_KEY);
	o->become = config_bool(&c->config, SET_BECOME, false);
	o->become_user = config_get(&c->config, SET_BECOME_USER);
	o->force_handlers = config_bool(&c->config, SET_FORCE_HANDLERS, false);
	o->managed = config_get(&c->config, SET_MANAGED);
	const char *hashes = config_get(&c->config, SET_HASHES);
	o->merge_hashes = hashes && strcasecmp(hashes, "merge") == 0;
	o->missing_handlers = !config_bool(&c->config, SET_MISSING_HANDLERS, true);
	o->no_facts = gathering && strcmp(gathering, "explicit") == 0;
	o->no_fact_vars = !config_bool(&c->config, SET_FACT_VARS, true);
	o->any_errors_fatal = config_bool(&c->config, SET_ANY_FATAL, false);
	o->timeout = config_get(&c->config, SET_TIMEOUT);
	o->ssh_common_args = config_get(&c->config, SET_SSH_COMMON);
	o->ssh_extra_args = config_get(&c->config, SET_SSH_EXTRA);
	if (c->config.passed_over)
		report_warn(NULL, c->sources, ORIGIN_NONE,
		            "ansible.cfg is passed over: anybody may write in this directory");
	return passwords_take(o->vault, c->a, config_get(&c->config, SET_VAULT_IDS),
	                      config_get(&c->config, SET_VAULT_FILE), err);
}

static bool parse(struct cmd *c, int argc, char **argv, struct err *err)
{
	if (!settings(c, err))
		return false;
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *value;
		if (arg[0] != '-' || !arg[1]) {
			val_push(c->files, val_strz(c->a, arg));
			continue;
		}
		if (arg[1] == 'v' && strspn(arg + 1, "v") == strlen(arg + 1)) {
			c->opts.verbosity += (int)strlen(arg + 1);
			continue;
		}
		const struct flag_row *f = flag_find(arg, &value);
		if (!f)
			return unknown_flag(argv[0], arg, err);
		if (f->value && !value) {
			if (i + 1 >= argc)
				return err_set(err, ERR_USER, ORIGIN_NONE, "%s: '%s' needs a value", argv[0],
				               arg);
			value = argv[++i];
		}
		if (!take_flag(c, f->flag, value, err))
			return false;
	}
	if (!ask_passwords(c, err))
		return false;
	/* Now that every password is known: a file of variables may be sealed. */
	VAL_EACH (i, c->extras)
		if (!extra_vars(c, val_get_strz(val_at(c->extras, i)), err))
			return false;
	return true;
}

static const char *const *paths_of(struct cmd *c, const struct val *list)
{
	const char **v = arena_array(c->a, val_len(list) + 1, sizeof(*v));
	VAL_EACH (i, list)
		v[i] = val_get_strz(val_at(list, i));
	return v;
}

static void collections_path(struct cmd *c)
{
	const char *env = getenv("ANSIBLE_COLLECTIONS_PATH"), *home = getenv("HOME");
	struct val *list = val_list(c->a);
	if (!env)
		env = getenv("ANSIBLE_COLLECTIONS_PATHS");
	if (env)
		split_words(c->a, list, str_c(env), ':');
	if (!env && home)
		val_push(list, val_strf(c->a, "%s/.ansible/collections", home));
	if (!env)
		val_push(list, val_strz(c->a, "/usr/share/ansible/collections"));
	c->opts.collections_path = paths_of(c, list);
}

static void roles_path(struct cmd *c)
{
	const char *set = config_get(&c->config, SET_ROLES_PATH), *home = getenv("HOME");
	if (set)
		split_words(c->a, c->roles, str_c(set), ':');
	if (home)
		val_push(c->roles, val_strf(c->a, "%s/.ansible/roles", home));
	val_push(c->roles, val_strz(c->a, "/usr/share/ansible/roles"));
	val_push(c->roles, val_strz(c->a, "/etc/ansible/roles"));
	c->opts.roles_path = paths_of(c, c->roles);
	collections_path(c);
}

static void write_out(void *ctx, struct str text)
{
	(void)ctx;
	log_text(text);
}

static void write_complaint(void *ctx, struct str text)
{
	(void)ctx;
	log_complain(text);
}

/* ---- links ----------------------------------------------------------------------------------------------
 */

static struct val *param(void *ctx, const char *name)
{
	return val_get(ctx, name);
}

static struct link *open_link(void *ctx, const struct val *params, struct err *err)
{
	struct cmd *c = ctx;
	struct ssh_target *t = ARENA_NEW(c->a, struct ssh_target);
	const char *name = val_map_strz(params, "name", ""),
	           *kind = val_map_strz(params, "connection", "ssh");
	if (strcmp(kind, "local") == 0) {
		t->name = name;
		return local_link_new(c->links, t);
	}
	if (strcmp(kind, "ssh") != 0 && strcmp(kind, "smart") != 0 && strcmp(kind, "paramiko") != 0 &&
	    strcmp(kind, "ansible.builtin.ssh") != 0) {
		err_set(err, ERR_USER, ORIGIN_NONE,
		        "the connection type %s is not supported (ssh and local are)", kind);
		return NULL;
	}
	if (!ssh_target_from_vars(c->a, name, param, (void *)params, t, err))
		return NULL;
	if (!t->key.n && !t->key_file)
		t->default_keys = true;
	if (!config_bool(&c->config, SET_HOST_KEYS, true))
		t->no_host_key_check = true;
	return ssh_link_new(c->links, t);
}

static bool links_open(struct cmd *c, struct err *err)
{
	c->loop = loop_new(err);
	if (!c->loop)
		return false;
	struct ssh_links_opts o = {.loop = c->loop, .agent_path = c->agent};
	c->links = ssh_links_new(&o, err);
	if (!c->links)
		return false;
	c->pump = links_pump(c->links);
	cancel_with(c->loop);
	return true;
}

/* ---- commands -------------------------------------------------------------------------------------------
 */

static void cmd_init(struct cmd *c)
{
	c->a = arena_new(NULL);
	c->sources = sources_new(c->a);
	c->inventories = val_list(c->a);
	c->roles = val_list(c->a);
	c->files = val_list(c->a);
	c->extras = val_list(c->a);
	c->opts.extra_vars = val_map(c->a);
	c->opts.sources = c->sources;
	c->inv = c->opts.inventory = inventory_new(c->a, c->sources);
	c->inv->vault = c->opts.vault = vault_new(c->a);
}

/* ansible.cfg's: places with commas between them; or one list of hosts. */
static void default_inventories(struct cmd *c)
{
	const char *set = config_get(&c->config, SET_INVENTORY);
	struct str rest = str_c(set ? set : "");
	if (set && set[strlen(set) - 1] == ',')
		val_push(c->inventories, val_strz(c->a, set));
	else
		split_words(c->a, c->inventories, rest, ',');
}

static bool load_inventories(struct cmd *c, struct err *err)
{
	if (!val_len(c->inventories))
		default_inventories(c);
	VAL_EACH (i, c->inventories)
		if (!inventory_load(c->inv, val_get_strz(val_at(c->inventories, i)), err))
			return false;
	inventory_settle(c->inv);
	return true;
}

static void cmd_done(struct cmd *c)
{
	cancel_with(NULL);
	if (c->links)
		ssh_links_free(c->links);
	if (c->loop)
		loop_free(c->loop);
	if (c->results)
		fclose(c->results);
	arena_free(c->a);
}

static bool is_listing(const struct cmd *c)
{
	return c->list_what.hosts || c->list_what.tasks || c->list_what.tags;
}

static bool play_one(struct cmd *c, struct engine *e, const char *path, struct errs *errs)
{
	if (is_listing(c)) {
		struct buf out = {0};
		bool ok = engine_list_playbook(e, path, &c->list_what, &out, errs);
		if (ok)
			log_text(buf_str(&out));
		buf_free(&out);
		return ok;
	}
	if (!c->syntax)
		return engine_playbook(e, path, errs);
	if (!engine_read_playbook(e, path, errs))
		return false;
	log_line(LOG_INFO, "\nplaybook: %s", path);
	return true;
}

/* ansible-playbook's: 1 for what is not there, 2 failed hosts, 4 unreachable ones or what cannot be parsed,
 * 99 stopped by the user. */
static int exit_code(const struct engine *e, bool ok, bool started, const struct errs *errs)
{
	if (engine_unreachable(e))
		return 4;
	if (engine_failed(e))
		return 2;
	if (ok && !errs->n)
		return 0;
	if (errs->n && errs->v[0].cls == ERR_CANCELLED)
		return 99;
	return started || engine_missing(e) ? 1 : 4;
}

static int run_playbooks(struct cmd *c, struct engine *e)
{
	struct errs errs = {0};
	bool ok = true;
	VAL_EACH (i, c->files)
		ok = ok && play_one(c, e, val_get_strz(val_at(c->files, i)), &errs);
	bool started = engine_started(e) || ok;
	if (errs.n)
		report_errs(NULL, c->sources, &errs);
	/* A run that broke off has no recap; one that was stopped has. */
	if (started && !c->syntax && !is_listing(c) && (!errs.n || errs.v[0].cls == ERR_CANCELLED))
		output_end(&c->out, e);
	if (c->opts.start_at && !c->syntax && !is_listing(c) && !errs.n && !engine_start_found(e))
		log_line(LOG_WARN,
		         "No matching task \"%s\" found. Note: --start-at-task can only follow static "
		         "includes.",
		         c->opts.start_at);
	int rc = exit_code(e, ok, started, &errs);
	errs_clear(&errs);
	return rc;
}

/* What can be known to be in vain before anything is read: no such playbook, no host left by --limit. */
static bool worth_playing(struct cmd *c, struct err *err)
{
	VAL_EACH (i, c->files) {
		const char *path = val_get_strz(val_at(c->files, i));
		if (!fs_exists(path))
			return err_set(err, ERR_USER, ORIGIN_NONE, "the playbook: %s could not be found",
			               path);
	}
	struct val *names;
	if (!c->opts.limit)
		return true;
	if (!inventory_match(c->inv, val_strz(c->a, "all"), c->opts.limit, c->a, &names, NULL, err))
		return false;
	return val_len(names) || err_set(err, ERR_USER, ORIGIN_NONE,
	                                 "the limit '%s' leaves no host of the inventory", c->opts.limit);
}

int cmd_play(int argc, char **argv)
{
	struct cmd c = {0};
	struct err err = {0};
	int rc = 1;
	cmd_init(&c);
	if (!parse(&c, argc, argv, &err)) {
		rc = 2;
	} else if (!val_len(c.files)) {
		err_set(&err, ERR_USER, ORIGIN_NONE,
		        "usage: nante play PLAYBOOK -i INVENTORY [-e K=V|@F] [-l LIMIT] [-t TAGS] [--check] "
		        "[--diff] [-c ssh|local] [--json] [--results FILE]");
		rc = 2;
	} else if (load_inventories(&c, &err) && worth_playing(&c, &err) && links_open(&c, &err)) {
		roles_path(&c);
		c.out = (struct output){.write = write_out,
		                        .complain = write_complaint,
		                        .sources = c.sources,
		                        .write_result = c.results ? write_result : NULL,
		                        .result_ctx = c.results,
		                        .verbosity = c.opts.verbosity,
		                        .custom_stats = config_bool(&c.config, SET_CUSTOM_STATS, false),
		                        .diff = c.opts.diff};
		(c.json ? output_json : output_text)(&c.out, c.a);
		c.opts.out = &c.out.ops;
		c.opts.out_ctx = &c.out;
		c.opts.open = open_link;
		c.opts.open_ctx = &c;
		c.opts.pump = &c.pump;
		struct engine *e = engine_new(c.a, &c.opts);
		rc = run_playbooks(&c, e);
	}
	if (err_is(&err))
		report_err(NULL, c.sources, &err);
	err_clear(&err);
	cmd_done(&c);
	return rc;
}

static void lint_one(struct cmd *c, struct engine *e, const char *path, struct errs *errs)
{
	if (!fs_exists(path))
		err_set(errs_add(errs), ERR_USER, ORIGIN_NONE, "%s does not exist", path);
	else if (!fs_is_dir(path))
		engine_check_playbook(e, path, errs);
	else if (fs_exists(fs_join(c->a, path, "tasks")) || fs_exists(fs_join(c->a, path, "meta")))
		engine_check_role(e, path, errs);
	else
		engine_check_roles(e, path, errs);
}

int cmd_lint(int argc, char **argv)
{
	struct cmd c = {0};
	struct err err = {0};
	struct errs errs = {0};
	int rc = 2;
	cmd_init(&c);
	if (parse(&c, argc, argv, &err)) {
		if (!val_len(c.files))
			err_set(&err, ERR_USER, ORIGIN_NONE, "usage: nante lint PATH...");
		roles_path(&c);
		c.out = (struct output){
		        .write = write_out, .complain = write_complaint, .sources = c.sources};
		output_text(&c.out, c.a);
		c.opts.out = &c.out.ops;
		c.opts.out_ctx = &c.out;
		VAL_EACH (i, c.files)
			lint_one(&c, engine_new(c.a, &c.opts), val_get_strz(val_at(c.files, i)), &errs);
		rc = err_is(&err) ? 2 : errs.n ? 1 : 0;
	}
	if (err_is(&err))
		report_err(NULL, c.sources, &err);
	if (errs.n)
		report_errs(NULL, c.sources, &errs);
	err_clear(&err);
	errs_clear(&errs);
	cmd_done(&c);
	return rc;
}
