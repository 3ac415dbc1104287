#include <ctype.h>
#include "modules/argv.h"

/* A capability with its flags, of e, i and p. */
struct cap {
	struct str name;
	bool flags[3];
};

enum { MAX_CAPS = 64 };

struct caps {
	struct cap v[MAX_CAPS];
	size_t n;
};

static const char flag_names[] = "eip";

static void apply(struct cap *c, char op, struct str flags)
{
	for (size_t k = 0; k < 3; k++) {
		bool named = memchr(flags.p, flag_names[k], flags.n) != NULL;
		c->flags[k] = op == '=' ? named : op == '+' ? c->flags[k] || named : c->flags[k] && !named;
	}
}

static struct cap *find(struct caps *all, struct str name)
{
	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->v[i].name, name))
			return &all->v[i];
	return NULL;
}

/* Cuts "name=ep", "name+ep" or "name=+ep" at its operator; false when there is none. */
static bool cut(struct str text, struct str *name, char *op, struct str *flags)
{
	size_t i = 0;
	while (i < text.n && !strchr("=+-", text.p[i]))
		i++;
	*name = str_n(text.p, i);
	if (i == text.n)
		return false;
	*op = text.p[i++];
	while (i < text.n && strchr("=+-", text.p[i]))
		i++;
	*flags = str_n(text.p + i, text.n - i);
	return true;
}

/* What getcap says of PATH: "PATH a,b=ep c=i", older ones "PATH = a,b+ep c+i". */
static bool read_caps(struct mod_ctx *m, const char *path, struct caps *all)
{
	struct argv c = {.m = m};
	struct mod_out out;
	const char *program = argv_need(m, "getcap");
	if (!program)
		return false;
	argv_add2(&c, program, "-v");
	argv_add(&c, path);
	if (!argv_run(&c, &out))
		return false;
	if (out.rc != 0 || out.err.n || !str_starts(out.out, path)) {
		argv_failed(&c, &out);
		return mod_fail(m, "Unable to get capabilities of %s", path);
	}
	struct str rest = str_trim(str_n(out.out.p + strlen(path), out.out.n - strlen(path)));
	while (rest.p) {
		struct str group = str_split(&rest, ' '), names, flags = {0};
		char op = '=';
		if (!group.n || !cut(group, &names, &op, &flags))
			continue;
		while (names.n) {
			struct str name = str_split(&names, ',');
			if (all->n < MAX_CAPS) {
				all->v[all->n] = (struct cap){.name = name};
				apply(&all->v[all->n++], '+', flags);
			}
		}
	}
	return true;
}

static bool write_caps(struct mod_ctx *m, const char *path, const struct caps *all)
{
	struct argv c = {.m = m};
	struct mod_out out;
	struct buf b = {0};
	const char *program = argv_need(m, "setcap");
	if (!program)
		return false;
	for (size_t i = 0; i < all->n; i++) {
		const bool *f = all->v[i].flags;
		if (f[0] || f[1] || f[2])
			buf_printf(&b, "%s%.*s=%s%s%s", b.n ? " " : "", STR_FMT(all->v[i].name),
			           f[0] ? "e" : "", f[1] ? "i" : "", f[2] ? "p" : "");
	}
	struct str text = buf_take(&b, m->a);
	buf_free(&b);
	argv_add2(&c, program, text.n ? text.p : "-r");
	argv_add(&c, path);
	if (!argv_run(&c, &out))
		return false;
	mod_setstr(m, "stdout", out.out);
	if (out.rc == 0)
		return true;
	argv_failed(&c, &out);
	return mod_fail(m, "Unable to set capabilities of %s", path);
}

static bool run(struct mod_ctx *m)
{
	struct caps all = {.n = 0};
	struct str text = str_trim(mod_args(m, "capability")), path = str_trim(mod_args(m, "path"));
	const char *file = arena_strndup(m->a, path.p, path.n);
	char *lower = arena_strndup(m->a, text.p ? text.p : "", text.n), op = '=';
	struct str name, flags = {0};
	bool present = mod_is(m, "state", "present");
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!cut(str_c(lower), &name, &op, &flags) && present)
		return mod_fail(m, "Couldn't find operator (one of: ['=', '-', '+'])");
	if (!read_caps(m, file, &all))
		return false;
	struct cap *now = find(&all, name), before = now ? *now : (struct cap){.name = name};
	mod_sets(m, "state", mod_arg(m, "state"));
	if (!now && all.n < MAX_CAPS) {
		now = &all.v[all.n++];
		*now = before;
	}
	if (now)
		apply(now, present ? op : '=', present ? flags : (struct str){"", 0});
	if (!now || memcmp(now->flags, before.flags, sizeof(now->flags)) == 0)
		return true;
	mod_sets(m, "msg", "capabilities changed");
	mod_changed(m);
	return m->check || write_caps(m, file, &all);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "key", .doc = "The program."},
        {"capability", MT_STR, MA_REQUIRED, .aliases = "cap",
         .doc = "The capability and its flags: cap_chown+ep."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it has it."},
        {NULL},
};

const struct module module_row_capabilities = {
        .name = "capabilities",
        .from = "community.general",
        .doc = "Keeps a Linux capability of a program.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
