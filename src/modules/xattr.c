#include "modules/argv.h"

/* PROGRAM, -h unless links are followed, OPTION, KEY, -v VALUE (each unless NULL), the path; what it printed
 * goes to RET: {attribute: text}. */
static bool call(struct mod_ctx *m, const char *name, const char *option, const char *key, const char *value,
                 struct val *ret, struct mod_out *out)
{
	struct argv c = {.m = m};
	const char *program = argv_need(m, name);
	if (!program)
		return false;
	argv_add(&c, program);
	if (strcmp(name, "getfattr") == 0)
		argv_add(&c, "--absolute-names");
	if (!mod_bool(m, "follow"))
		argv_add(&c, "-h");
	if (option)
		argv_add(&c, option);
	if (key)
		argv_add(&c, key);
	if (value)
		argv_add2(&c, "-v", value);
	argv_add(&c, mod_arg(m, "path"));
	if (!(value ? argv_must(&c, out) : argv_run(&c, out)))
		return false;
	struct str rest = out->out;
	while (rest.n) {
		struct str text = str_split(&rest, '\n'), attr;
		if (!text.n || text.p[0] == '#')
			continue;
		attr = str_split(&text, '=');
		for (; text.n && text.p[0] == '"'; text = str_from(text, 1))
			;
		for (; text.n && text.p[text.n - 1] == '"'; text.n--)
			;
		val_sets(ret, attr, val_str(m->a, text.p ? text : STR("")));
	}
	return true;
}

static bool run(struct mod_ctx *m)
{
	const char *state = mod_arg(m, "state"), *key = mod_arg(m, "key"), *space = mod_arg(m, "namespace"),
	           *value = mod_arg(m, "value");
	struct val *now = val_map(m->a);
	struct mod_out out;
	bool absent = strcmp(state, "absent") == 0, set = value || strcmp(state, "present") == 0;
	if (!fs_exists(mod_arg(m, "path")))
		return mod_fail(m, "path not found or not accessible!");
	if (!key && (absent || strcmp(state, "present") == 0))
		return mod_fail(m, "%s needs a key parameter", state);
	if (key && *space && !(strcmp(space, "user") == 0 && strncmp(key, "user.", 5) == 0))
		key = arena_printf(m->a, "%s.%s", space, key);
	mod_set(m, "xattr", now);
	if (!set && !absent && strcmp(state, "read") != 0) {
		bool all = strcmp(state, "all") == 0;
		mod_sets(m, "msg", all ? "dumping all" : "returning all keys");
		return call(m, "getfattr", all ? "-d" : NULL, NULL, NULL, now, &out);
	}
	if (!call(m, "getfattr", key ? "-n" : "-d", key, NULL, now, &out))
		return false;
	const struct val *have = key ? val_gets(now, str_c(key)) : NULL;
	if (!set && !absent)
		mod_setf(m, "msg", "returning %s", key ? key : "None");
	else if (absent)
		mod_setf(m, "msg", "%s removed", key);
	else
		mod_setf(m, "msg", "%s set to %s", key, value ? value : "None");
	if ((!set && !absent) || (set ? have && value && str_eqc(val_text(have, m->a), value) : !have))
		return true;
	mod_changed(m);
	return m->check || call(m, "setfattr", set ? "-n" : "-x", key, set ? value ? value : "" : NULL,
	                        val_map(m->a), &out);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "name", .doc = "The file."},
        {"namespace", MT_STR, .dflt = "user", .doc = "What stands before the key."},
        {"key", MT_STR, .doc = "The attribute."},
        {"value", MT_STR, .doc = "What it is set to."},
        {"state", MT_STR, .dflt = "read", .choices = "absent|all|keys|present|read",
         .doc = "Whether it is there; or what to tell."},
        {"follow", MT_BOOL, .dflt = "true", .doc = "Of a link's target."},
        {NULL},
};

const struct module module_row_xattr = {
        .name = "xattr",
        .from = "community.general",
        .doc = "Keeps a file's extended attribute.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
