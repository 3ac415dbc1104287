#include "modules/argv.h"

struct acl {
	struct mod_ctx *m;
	const char *path, *etype, *entity, *permissions;
	bool set_default;
};

/* The long name of an entry's kind, which may be cut short. */
static const char *kind_of(struct str s)
{
	static const char *const kinds[] = {"user", "group", "mask", "other"};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (s.n && (s.p[0] | 0x20) == kinds[i][0])
			return kinds[i];
	return NULL;
}

static size_t count(const char *z, char c)
{
	size_t n = 0;
	for (; *z; z++)
		n += *z == c;
	return n;
}

/* [default:]kind:entity[:permissions] */
static bool split_entry(struct acl *t, const char *entry)
{
	struct arena *a = t->m->a;
	struct str rest = str_c(entry);
	if (rest.n && (rest.p[0] | 0x20) == 'd') {
		t->set_default = true;
		(void)str_split(&rest, ':');
	}
	t->etype = kind_of(str_split(&rest, ':'));
	struct str entity = str_split(&rest, ':');
	t->entity = arena_strndup(a, entity.p ? entity.p : "", entity.n);
	t->permissions = rest.p ? arena_strndup(a, rest.p, rest.n) : NULL;
	return t->etype ||
	       mod_fail(t->m, "%s: begins with no kind of entry (user, group, mask, other)", entry);
}

static bool check_query(struct mod_ctx *m)
{
	if (mod_bool(m, "recursive"))
		return mod_fail(m, "'recursive' MUST NOT be set when 'state=query'.");
	if (!mod_is(m, "recalculate_mask", "default"))
		return mod_fail(m, "'recalculate_mask' MUST NOT be set to 'mask' or 'no_mask' when "
		                   "'state=query'.");
	return !mod_has(m, "entry") || mod_fail(m, "'entry' MUST NOT be set when 'state=query'.");
}

static bool check_entry(struct acl *t, const char *entry, bool present)
{
	struct mod_ctx *m = t->m;
	size_t colons = count(entry, ':');
	if (t->etype || *t->entity || t->permissions)
		return mod_fail(m,
		                "'entry' MUST NOT be set when 'entity', 'etype' or 'permissions' are set.");
	if (present && colons != 2 && colons != 3)
		return mod_fail(m, "'entry' MUST have 3 or 4 sections divided by ':' when 'state=present'.");
	if (!present && colons != 1 && colons != 2)
		return mod_fail(m, "'entry' MUST have 2 or 3 sections divided by ':' when 'state=absent'.");
	return split_entry(t, entry);
}

static bool check_parts(struct acl *t, bool present)
{
	struct mod_ctx *m = t->m;
	if (!present && t->permissions)
		return mod_fail(m, "'permissions' MUST NOT be set when 'state=absent'.");
	if (!present && !*t->entity)
		return mod_fail(m, "'entity' MUST be set when 'state=absent'.");
	return t->etype ||
	       mod_fail(m, "'etype' MUST be set when 'state=%s'.", present ? "present" : "absent");
}

static void add_common(struct acl *t, struct argv *c)
{
	if (t->set_default)
		argv_add(c, "-d");
	if (mod_bool(t->m, "recursive"))
		argv_add(c, "--recursive");
	if (!mod_bool(t->m, "follow"))
		argv_add(c, "--physical");
}

/* setfacl says with --test what would become of each file: "*,*" is nothing. */
static bool would_change(struct argv *c, const char *program, bool *ret)
{
	struct argv test = {.m = c->m};
	struct mod_out out;
	argv_add2(&test, program, "--test");
	argv_add_all(&test, c->v + 1);
	if (!argv_must(&test, &out))
		return false;
	*ret = false;
	while (out.out.p && out.out.n) {
		struct str line = str_split(&out.out, '\n');
		*ret = *ret || (line.n && line.p[0] != '#' && !str_ends(line, "*,*"));
	}
	return true;
}

static bool set(struct acl *t, bool present)
{
	struct mod_ctx *m = t->m;
	const char *program = argv_need(m, "setfacl"), *mask = mod_arg(m, "recalculate_mask");
	const char *entry = arena_printf(m->a, "%s:%s%s%s", t->etype, t->entity,
	                                 present && t->permissions && *t->permissions ? ":" : "",
	                                 present && t->permissions ? t->permissions : "");
	struct argv c = {.m = m};
	struct mod_out out;
	bool differs;
	if (!program)
		return false;
	argv_add(&c, program);
	add_common(t, &c);
	if (strcmp(mask, "default") != 0)
		argv_add(&c, strcmp(mask, "mask") == 0 ? "--mask" : "--no-mask");
	argv_add2(&c, present ? "-m" : "-x", entry);
	argv_add(&c, t->path);
	mod_setf(m, "msg", "%s is %s", entry, present ? "present" : "absent");
	if (!would_change(&c, program, &differs))
		return false;
	if (!differs)
		return true;
	mod_changed(m);
	return m->check || argv_must(&c, &out);
}

static bool get(struct acl *t)
{
	struct mod_ctx *m = t->m;
	const char *program = argv_need(m, "getfacl");
	struct argv c = {.m = m};
	struct mod_out out;
	struct val *list = val_list(m->a);
	if (!program)
		return false;
	argv_add2(&c, program, "--omit-header");
	argv_add(&c, "--absolute-names");
	add_common(t, &c);
	argv_add(&c, t->path);
	if (!argv_must(&c, &out))
		return false;
	if (str_ends(out.out, "\n\n"))
		out.out.n--;
	while (out.out.p && out.out.n) {
		struct str line = str_split(&out.out, '\n');
		if (!str_starts(line, "#"))
			val_push(list, val_str(m->a, str_trim(line)));
	}
	mod_set(m, "acl", list);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct acl t = {
	        .m = m,
	        .path = mod_arg(m, "path"),
	        .etype = mod_arg(m, "etype"),
	        .entity = mod_arg(m, "entity"),
	        .permissions = mod_arg(m, "permissions"),
	        .set_default = mod_bool(m, "default"),
	};
	const char *entry = mod_arg(m, "entry");
	bool query = mod_is(m, "state", "query"), present = mod_is(m, "state", "present");
	if (!fs_exists(t.path))
		return mod_fail(m, "Path not found or not accessible.");
	if (query) {
		mod_sets(m, "msg", "current acl");
		return check_query(m) && get(&t);
	}
	if (entry && *entry ? !check_entry(&t, entry, present) : !check_parts(&t, present))
		return false;
	return set(&t, present) && get(&t);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "name", .doc = "The file or directory."},
        {"state", MT_STR, .dflt = "query", .choices = "absent|present|query",
         .doc = "Whether the entry is there, or only to ask."},
        {"etype", MT_STR, .choices = "group|mask|other|user", .doc = "Whom the entry is for."},
        {"entity", MT_STR, .dflt = "", .doc = "The user's or group's name."},
        {"permissions", MT_STR, .doc = "What is allowed: rwxX."},
        {"entry", MT_STR, .doc = "The entry as setfacl writes it, in place of the three."},
        {"default", MT_BOOL, .dflt = "false", .doc = "What new files in the directory get."},
        {"follow", MT_BOOL, .dflt = "true", .doc = "Follow a symbolic link."},
        {"recursive", MT_BOOL, .dflt = "false", .aliases = "recurse", .doc = "Everything below as well."},
        {"recalculate_mask", MT_STR, .dflt = "default", .choices = "default|mask|no_mask",
         .doc = "Whether the mask is made anew."},
        {"use_nfsv4_acls", MT_BOOL, .dflt = "false", .doc = "Accepted; a Linux host has none of these."},
        {NULL},
};

const struct module module_row_acl = {
        .name = "acl",
        .from = "ansible.posix",
        .doc = "Keeps an entry of a file's access control list.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
