#include "modules/deb822.h"
#include "modules/module.h"

struct alternatives {
	struct mod_ctx *m;
	const char *program, *name, *path;
	struct str link, status, value; /* of the group; p NULL when there is none */
	bool installed;                 /* PATH is among its members */
	int64_t priority;               /* there */
	struct val *links, *slaves;     /* of the group, {name: link}; of the member, {name: path} */
	const char *said;               /* what was done */
};

/* The members of a field with "NAME PATH" on each of its lines. */
static struct val *pairs(struct arena *a, struct str text)
{
	struct val *map = val_map(a);
	while (text.p) {
		struct str path = str_trim(str_split(&text, '\n')), name = str_split(&path, ' ');
		if (name.n && path.p)
			val_sets(map, name, val_str(a, str_trim(path)));
	}
	return map;
}

static bool query(struct alternatives *t)
{
	struct mod_out out;
	struct str para;
	struct arena *a = t->m->a;
	t->links = val_map(a);
	t->slaves = val_map(a);
	if (!mod_exec(t->m, &out, t->program, "--query", t->name, NULL))
		return false;
	while (out.rc == 0 && deb822_next(&out.out, &para)) {
		if (deb822_get(para, "Name").p) {
			t->link = deb822_get(para, "Link");
			t->status = deb822_get(para, "Status");
			t->value = deb822_get(para, "Value");
			t->links = pairs(a, deb822_get(para, "Slaves"));
		} else if (str_eqc(deb822_get(para, "Alternative"), t->path)) {
			t->installed = true;
			str_int(deb822_get(para, "Priority"), &t->priority);
			t->slaves = pairs(a, deb822_get(para, "Slaves"));
		}
	}
	return true;
}

/* Whether the member's subcommands are those of the task, in any order; without any in the task they are. */
static bool same_subcommands(const struct alternatives *t)
{
	const struct val *subs = val_get(t->m->args, "subcommands");
	size_t n = subs ? val_len(subs) : 0;
	if (!subs)
		return true;
	for (size_t i = 0; i < n; i++) {
		const struct val *s = val_at(subs, i);
		const char *name = val_map_strz(s, "name", "");
		if (strcmp(val_map_strz(t->slaves, name, ""), val_map_strz(s, "path", "")) != 0 ||
		    strcmp(val_map_strz(t->links, name, ""), val_map_strz(s, "link", "")) != 0)
			return false;
	}
	return val_len(t->slaves) == n;
}

static void say(struct alternatives *t, const char *what)
{
	t->said = *t->said ? arena_printf(t->m->a, "%s %s", t->said, what) : what;
}

static bool call(struct alternatives *t, const char *const argv[])
{
	struct mod_out out;
	mod_changed(t->m);
	if (t->m->check)
		return true;
	if (!mod_spawn(t->m, &(struct mod_cmd){.argv = argv}, &out))
		return false;
	return out.rc == 0 || mod_fail(t->m, "%.*s", STR_FMT(str_trim(out.err)));
}

static bool install(struct alternatives *t)
{
	struct mod_ctx *m = t->m;
	const struct val *subs = mod_list(m, "subcommands");
	const char **argv = arena_array(m->a, 7 + 4 * val_len(subs), sizeof(*argv)),
	           *link = mod_arg(m, "link");
	size_t n = 6;
	if (!fs_exists(t->path))
		return mod_fail(m, "Specified path %s does not exist", t->path);
	if (!link && t->link.p)
		link = arena_strndup(m->a, t->link.p, t->link.n);
	if (!link)
		return mod_fail(
		        m, "Needed to install the alternative, but unable to do so as we are missing the "
		           "link");
	argv[0] = t->program;
	argv[1] = "--install";
	argv[2] = link;
	argv[3] = t->name;
	argv[4] = t->path;
	argv[5] = arena_printf(m->a, "%lld",
	                       (long long)mod_int(m, "priority", t->installed ? t->priority : 50));
	VAL_EACH (i, subs) {
		const struct val *s = val_at(subs, i);
		argv[n++] = "--slave";
		argv[n++] = val_map_strz(s, "link", "");
		argv[n++] = val_map_strz(s, "name", "");
		argv[n++] = val_map_strz(s, "path", "");
	}
	say(t, arena_printf(m->a, "Install alternative '%s' for '%s'.", t->path, t->name));
	return call(t, argv);
}

static bool adjust(struct alternatives *t)
{
	struct mod_ctx *m = t->m;
	const char *name = t->name;
	if (mod_is(m, "state", "absent")) {
		if (!t->installed)
			return true;
		say(t, arena_printf(m->a, "Remove alternative '%s' from '%s'.", t->path, name));
		return call(t, (const char *const[]){t->program, "--remove", name, t->path, NULL});
	}
	if ((!t->installed || (mod_has(m, "priority") && mod_int(m, "priority", 0) != t->priority) ||
	     !same_subcommands(t)) &&
	    !install(t))
		return false;
	if (mod_is(m, "state", "selected") && !str_eqc(t->value, t->path)) {
		say(t, arena_printf(m->a, "Set alternative '%s' for '%s'.", t->path, name));
		return call(t, (const char *const[]){t->program, "--set", name, t->path, NULL});
	}
	if (mod_is(m, "state", "auto") && str_eqc(t->status, "manual")) {
		say(t, arena_printf(m->a, "Set alternative to auto for '%s'.", name));
		return call(t, (const char *const[]){t->program, "--auto", name, NULL});
	}
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct alternatives t = {
	        .m = m,
	        .program = mod_which(m, "update-alternatives"),
	        .name = mod_arg(m, "name"),
	        .path = mod_arg(m, "path"),
	        .said = "",
	};
	if (!t.program)
		return mod_fail(m, "Failed to find required executable \"update-alternatives\"");
	if (!query(&t))
		return false;
	if (!adjust(&t))
		return false;
	mod_sets(m, "msg", t.said);
	return true;
}

static const struct mod_arg sub_args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "Its name."},
        {"path", MT_PATH, MA_REQUIRED, .doc = "Its file."},
        {"link", MT_PATH, MA_REQUIRED, .doc = "Its link."},
        {NULL},
};

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The command's name."},
        {"path", MT_PATH, MA_REQUIRED, .doc = "The program that is to be it."},
        {"link", MT_PATH, .doc = "Where the command is."},
        {"priority", MT_INT, .doc = "How it ranks when nobody chooses."},
        {"state", MT_STR, .dflt = "selected", .choices = "present|absent|selected|auto",
         .doc = "Known, chosen, or left to the priorities."},
        {"subcommands", MT_LIST, .elem = MT_DICT, .aliases = "slaves", .sub = sub_args,
         .doc = "What changes along with it."},
        {NULL},
};

const struct module module_row_alternatives = {
        .name = "alternatives",
        .from = "community.general",
        .doc = "Chooses the program behind a command.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
