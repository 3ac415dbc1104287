/* nante play and nante lint: the engine alone, with ansible-playbook's flags, recap and exit codes. */
#include "ansible/engine.h"
#include "ansible/inventory.h"
#include "ansible/output.h"
#include "ansible/playbook.h"
#include "base/arena.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/source.h"
#include "cmd.h"
#include "net/loop.h"
#include "report.h"
#include "agent/proto.h"
#include "ssh/link.h"
#include "yaml/yaml_load.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct cmd {
	struct arena *a;
	struct sources *sources;
	struct engine_opts opts;
	struct inventory *inv;
	struct val *inventories, *roles, *files;
	const char *list;
	const char *agent;
	bool json, syntax;
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
	F_BECOME_PASSWORD_FILE,
	F_ROLES_PATH,
	F_VERBOSE,
	F_JSON,
	F_FORCE_HANDLERS,
	F_PRIVATE_KEY,
	F_AGENT,
	F_SYNTAX,
	F_FORKS,
};

/* A flag is one row. */
static const struct flag_row {
	const char *name, *alias;
	enum flag flag;
	bool value;
} flags[] = {
        {"-i", "--inventory", F_INVENTORY, true},
        {"-e", "--extra-vars", F_EXTRA, true},
        {"-l", "--limit", F_LIMIT, true},
        {"-t", "--tags", F_TAGS, true},
        {"--skip-tags", NULL, F_SKIP_TAGS, true},
        {"-C", "--check", F_CHECK, false},
        {"-D", "--diff", F_DIFF, false},
        {"-c", "--connection", F_CONNECTION, true},
        {"-u", "--user", F_USER, true},
        {"-b", "--become", F_BECOME, false},
        {"--become-user", NULL, F_BECOME_USER, true},
        {"--become-password-file", "--become-pass-file", F_BECOME_PASSWORD_FILE, true},
        {"--roles-path", NULL, F_ROLES_PATH, true},
        {"-v", "--verbose", F_VERBOSE, false},
        {"--json", NULL, F_JSON, false},
        {"--force-handlers", NULL, F_FORCE_HANDLERS, false},
        {"--private-key", "--key-file", F_PRIVATE_KEY, true},
        {"--agent", NULL, F_AGENT, true},
        {"--syntax-check", NULL, F_SYNTAX, false},
        {"-f", "--forks", F_FORKS, true},
};

static bool read_whole(struct cmd *c, const char *path, struct str *ret, uint32_t *ret_src, struct err *err)
{
	struct buf b = {0};
	bool ok = fs_read(path, &b, err);
	if (ok) {
		*ret_src = sources_add(c->sources, path, buf_str(&b));
		*ret = sources_text(c->sources, *ret_src);
	}
	buf_free(&b);
	return ok;
}

/* -e: @FILE, a JSON or YAML dictionary, or k=v words. */
static bool extra_vars(struct cmd *c, const char *arg, struct err *err)
{
	struct val *v;
	struct str text = str_c(arg);
	uint32_t src = 0;
	if (*arg == '@') {
		if (!read_whole(c, arg + 1, &text, &src, err) || !yaml_load(c->a, text, src, NULL, &v, err))
			return false;
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
	c->opts.extra_vars = val_merge(c->a, c->opts.extra_vars, v, false);
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

static bool take_flag(struct cmd *c, enum flag f, const char *arg, struct err *err)
{
	struct engine_opts *o = &c->opts;
	switch (f) {
	case F_INVENTORY: val_push(c->inventories, val_strz(c->a, arg)); return true;
	case F_EXTRA: return extra_vars(c, arg, err);
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
	case F_BECOME_PASSWORD_FILE: {
		struct str text;
		uint32_t src;
		if (!read_whole(c, arg, &text, &src, err))
			return false;
		text = str_trim(text);
		log_secret(text);
		o->become_password = arena_strndup(c->a, text.p, text.n);
		return true;
	}
	case F_ROLES_PATH: split_words(c->a, c->roles, str_c(arg), ':'); return true;
	case F_VERBOSE: o->verbosity++; return true;
	case F_JSON: c->json = true; return true;
	case F_FORCE_HANDLERS: o->force_handlers = true; return true;
	case F_PRIVATE_KEY: o->private_key_file = arg; return true;
	case F_AGENT: c->agent = arg; return true;
	case F_SYNTAX: c->syntax = true; return true;
	case F_FORKS: return true; /* all hosts at once, always */
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

static bool parse(struct cmd *c, int argc, char **argv, struct err *err)
{
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
			return err_set(err, ERR_USER, ORIGIN_NONE, "%s: unknown flag '%s'", argv[0], arg);
		if (f->value && !value) {
			if (i + 1 >= argc)
				return err_set(err, ERR_USER, ORIGIN_NONE, "%s: '%s' needs a value", argv[0],
				               arg);
			value = argv[++i];
		}
		if (!take_flag(c, f->flag, value, err))
			return false;
	}
	return true;
}

static void roles_path(struct cmd *c)
{
	const char *env = getenv("ANSIBLE_ROLES_PATH"), *home = getenv("HOME");
	if (env)
		split_words(c->a, c->roles, str_c(env), ':');
	if (home)
		val_push(c->roles, val_strf(c->a, "%s/.ansible/roles", home));
	val_push(c->roles, val_strz(c->a, "/usr/share/ansible/roles"));
	val_push(c->roles, val_strz(c->a, "/etc/ansible/roles"));
	const char **v = arena_array(c->a, val_len(c->roles) + 1, sizeof(*v));
	VAL_EACH (i, c->roles)
		v[i] = val_get_strz(val_at(c->roles, i));
	c->opts.roles_path = v;
}

static void write_out(void *ctx, struct str text)
{
	(void)ctx;
	log_text(text);
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
	const char *check = getenv("ANSIBLE_HOST_KEY_CHECKING");
	if (check && !val_to_bool(val_strz(c->a, check)))
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
	c->opts.extra_vars = val_map(c->a);
	c->opts.sources = c->sources;
	c->inv = c->opts.inventory = inventory_new(c->a, c->sources);
}

static bool load_inventories(struct cmd *c, struct err *err)
{
	VAL_EACH (i, c->inventories)
		if (!inventory_load(c->inv, val_get_strz(val_at(c->inventories, i)), err))
			return false;
	return true;
}

static void cmd_done(struct cmd *c)
{
	cancel_with(NULL);
	if (c->links)
		ssh_links_free(c->links);
	if (c->loop)
		loop_free(c->loop);
	arena_free(c->a);
}

static int run_playbooks(struct cmd *c, struct engine *e)
{
	struct errs errs = {0};
	bool ok = true;
	int rc;
	VAL_EACH (i, c->files)
		ok = ok && engine_playbook(e, val_get_strz(val_at(c->files, i)), &errs);
	bool started = val_len(engine_hosts(e)) || ok;
	if (errs.n)
		report_errs(NULL, c->sources, &errs);
	if (started && !c->syntax)
		output_end(&c->out, e);
	if (engine_unreachable(e))
		rc = 4;
	else if (engine_failed(e))
		rc = 2;
	else
		rc = ok && !errs.n ? 0 : errs.n && errs.v[0].cls == ERR_CANCELLED ? 99 : started ? 1 : 4;
	errs_clear(&errs);
	return rc;
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
		        "[--diff] [-c ssh|local]");
		rc = 2;
	} else if (load_inventories(&c, &err) && links_open(&c, &err)) {
		roles_path(&c);
		c.out = (struct output){.write = write_out,
		                        .sources = c.sources,
		                        .verbosity = c.opts.verbosity,
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
		c.out = (struct output){.write = write_out, .sources = c.sources};
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
