#include "modules/argv.h"

struct setting {
	struct mod_ctx *m;
	const char *git, *scope, *dir;
	struct val *now; /* its values */
};

static void start(struct setting *s, struct argv *c, bool read)
{
	*c = (struct argv){.m = s->m, .cwd = s->dir};
	argv_add2(c, s->git, "config");
	if (read)
		argv_add(c, "--includes");
	if (s->scope && strcmp(s->scope, "file") == 0)
		argv_add2(c, "-f", mod_arg(s->m, "file"));
	else if (s->scope)
		argv_addf(c, "--%s", s->scope);
}

static struct val *lines(struct mod_ctx *m, struct str out)
{
	struct val *list = val_list(m->a);
	while (out.p && out.n)
		val_push(list, val_str(m->a, str_split(&out, '\n')));
	return list;
}

static bool refused(struct argv *c, const struct mod_out *o)
{
	mod_seti(c->m, "rc", o->rc);
	mod_sets(c->m, "cmd", argv_text(c));
	return mod_fail(c->m, "%.*s", STR_FMT(o->err));
}

static bool list_all(struct setting *s)
{
	struct mod_ctx *m = s->m;
	struct argv c;
	struct mod_out o;
	struct val *map = val_map(m->a), *all;
	start(s, &c, true);
	argv_add(&c, "-l");
	if (!argv_run(&c, &o))
		return false;
	bool none = s->scope && o.rc == 128 && str_find(o.err, STR("unable to read config file"), 0) >= 0;
	if (o.rc >= 2 && !none)
		return refused(&c, &o);
	all = lines(m, none ? (struct str){0} : o.out);
	VAL_EACH (i, all) {
		struct str value = val_get_str(val_at(all, i)), key = str_split(&value, '=');
		if (value.p)
			val_sets(map, key, val_str(m->a, value));
	}
	mod_set(m, "config_values", map);
	mod_sets(m, "msg", "");
	return true;
}

/* One as its text, several as a list. */
static struct val *shown(struct mod_ctx *m, struct val *values)
{
	return val_len(values) > 1
	               ? values
	               : val_strf(m->a, "%s\n", val_len(values) ? val_get_strz(val_at(values, 0)) : "");
}

static bool set(struct setting *s, const char *value)
{
	struct mod_ctx *m = s->m;
	bool add = mod_is(m, "add_mode", "add");
	struct argv c;
	struct mod_out o;
	struct val *after = value && add ? val_copy(m->a, s->now) : val_list(m->a), *diff = val_map(m->a);
	start(s, &c, false);
	if (value)
		argv_addf(&c, "--%s", mod_arg(m, "add_mode"));
	else
		argv_add(&c, "--unset-all");
	argv_add(&c, mod_arg(m, "name"));
	if (value) {
		argv_add(&c, value);
		val_push(after, val_strz(m->a, value));
	}
	mod_changed(m);
	mod_sets(m, "msg", "setting changed");
	val_set(diff, "before_header", val_strz(m->a, argv_text(&c)));
	val_set(diff, "after_header", val_strz(m->a, argv_text(&c)));
	val_set(diff, "before", shown(m, s->now));
	val_set(diff, "after", shown(m, after));
	mod_set(m, "diff", diff);
	if (m->check)
		return true;
	return argv_run(&c, &o) && (!o.err.n || refused(&c, &o));
}

static bool one(struct setting *s)
{
	struct mod_ctx *m = s->m;
	bool absent = mod_is(m, "state", "absent"), found = false;
	const char *value = absent ? NULL : mod_arg(m, "value");
	struct argv c;
	struct mod_out o;
	start(s, &c, true);
	argv_add2(&c, "--get-all", mod_arg(m, "name"));
	if (!argv_run(&c, &o))
		return false;
	if (o.rc >= 2)
		return refused(&c, &o);
	s->now = lines(m, o.out);
	if (!absent && (!value || !*value)) {
		mod_sets(m, "msg", "");
		mod_sets(m, "config_value", val_len(s->now) ? val_get_strz(val_at(s->now, 0)) : "");
		return true;
	}
	if (absent && !val_len(s->now))
		return mod_done(m, false, "no setting to unset");
	VAL_EACH (i, s->now)
		found = found || (value && strcmp(val_get_strz(val_at(s->now, i)), value) == 0);
	if (found && (val_len(s->now) == 1 || mod_is(m, "add_mode", "add")))
		return mod_done(m, false, "%s", "");
	return set(s, value);
}

static bool run(struct mod_ctx *m)
{
	struct setting s = {.m = m, .git = argv_need(m, "git"), .scope = mod_arg(m, "scope"), .dir = "/"};
	bool all = mod_bool(m, "list_all");
	if (!s.git)
		return false;
	if (!s.scope && !all)
		s.scope = "system";
	if ((s.scope && strcmp(s.scope, "local") == 0) || (all && mod_has(m, "repo")))
		s.dir = mod_arg(m, "repo");
	if (!fs_is_dir(s.dir))
		return mod_fail(m, "%s is no directory", s.dir);
	return all ? list_all(&s) : one(&s);
}

static const struct mod_arg args[] = {
        {"name", MT_STR, .doc = "The setting."},
        {"value", MT_STR, .doc = "Its value; without, it is told."},
        {"state", MT_STR, .dflt = "present", .choices = "present|absent", .doc = "Whether it is set."},
        {"add_mode", MT_STR, .dflt = "replace-all", .choices = "add|replace-all",
         .doc = "One value more, or the only one."},
        {"scope", MT_STR, .choices = "file|local|global|system",
         .doc = "Whose setting it is; system by default."},
        {"repo", MT_PATH, .doc = "The repository of a local one."},
        {"file", MT_PATH, .doc = "The file of one in a file."},
        {"list_all", MT_BOOL, .dflt = "false", .doc = "Tell all of them."},
        {NULL},
};

const struct module module_row_git_config = {
        .name = "git_config",
        .from = "community.general",
        .doc = "Keeps a setting of git.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .mutually_exclusive = "list_all|name;list_all|value",
        .required_if = "scope=local:repo;scope=file:file",
        .required_one_of = "list_all|name",
        .run = run,
};
