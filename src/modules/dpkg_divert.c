#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "modules/argv.h"

struct diversion {
	const char *path, *divert, *holder; /* the last two are NULL when there is none */
};

static const struct diversion *find(struct mod_ctx *m, const char *path, struct diversion *d)
{
	struct str text;
	*d = (struct diversion){.path = path};
	/* Three lines each: the path, where it went, and who holds it, ":" for the administrator. */
	if (!mod_read_maybe(m, "/var/lib/dpkg/diversions", &text))
		return NULL;
	while (text.p && text.n) {
		struct str from = str_split(&text, '\n'), to = str_split(&text, '\n'),
		           who = str_split(&text, '\n');
		if (!str_eqc(from, path))
			continue;
		d->divert = arena_strndup(m->a, to.p ? to.p : "", to.n);
		d->holder = str_eqc(who, ":") ? "LOCAL" : arena_strndup(m->a, who.p ? who.p : "", who.n);
	}
	return d;
}

static bool same(const struct diversion *a, const struct diversion *b)
{
	if (!a->divert || !b->divert)
		return a->divert == b->divert;
	return strcmp(a->divert, b->divert) == 0 && strcmp(a->holder, b->holder) == 0;
}

static struct val *as_value(struct mod_ctx *m, const struct diversion *d)
{
	struct val *v = val_map(m->a);
	val_set(v, "path", val_strz(m->a, d->path));
	val_set(v, "state", val_strz(m->a, d->divert ? "present" : "absent"));
	val_set(v, "divert", d->divert ? val_strz(m->a, d->divert) : val_null());
	val_set(v, "holder", d->holder ? val_strz(m->a, d->holder) : val_null());
	return v;
}

struct divert {
	struct mod_ctx *m;
	const char *program;
	struct diversion before, wanted;
	struct val *commands, *messages;
};

/* The command that makes D so; D's divert NULL: removes it. */
static struct argv command(struct divert *t, const struct diversion *d, bool rename)
{
	struct argv c = {.m = t->m};
	argv_add(&c, t->program);
	argv_add(&c, rename ? "--rename" : "--no-rename");
	if (!d->divert) {
		argv_add2(&c, "--remove", d->path);
		return c;
	}
	if (strcmp(d->holder, "LOCAL") == 0)
		argv_add(&c, "--local");
	else
		argv_add2(&c, "--package", d->holder);
	if (mod_has(t->m, "divert"))
		argv_add2(&c, "--divert", d->divert);
	argv_add2(&c, "--add", d->path);
	return c;
}

/* Runs it, in check mode with --test. */
static bool act(struct divert *t, const struct argv *c, struct mod_out *out)
{
	struct argv test = {.m = t->m};
	argv_add2(&test, c->v[0], "--test");
	argv_add_all(&test, c->v + 1);
	static const char *const env[] = {"LC_ALL=C.UTF-8", NULL};
	const char *const *argv = t->m->check ? test.v : c->v;
	if (!mod_spawn(t->m, &(struct mod_cmd){.argv = argv, .extra_env = env, .never_kill = true}, out))
		return false;
	if (out->rc == 0) {
		struct str said = str_trim(out->out);
		val_push(t->messages, val_str(t->m->a, said));
	}
	return true;
}

static bool must(struct divert *t, const struct argv *c)
{
	struct mod_out out;
	struct argv shown = *c;
	return act(t, c, &out) && (out.rc == 0 || argv_failed(&shown, &out));
}

static bool failed(struct divert *t, struct argv *c, const struct mod_out *out, const char *why)
{
	argv_failed(c, out);
	mod_set(t->m, "diversion", as_value(t->m, &t->before));
	return mod_fail(t->m, "%s", why);
}

/* From none to one, or the other way. What stands where a file is to be renamed to is only lost by force. */
static bool change_state(struct divert *t)
{
	struct mod_ctx *m = t->m;
	const struct diversion *d = t->wanted.divert ? &t->wanted : &t->before;
	bool rename = mod_bool(m, "rename");
	struct argv c = command(t, &t->wanted, rename);
	struct mod_out out;
	val_push(t->commands, val_strz(m->a, argv_text(&c)));
	if (!act(t, &c, &out))
		return false;
	if (out.rc == 0)
		return true;
	if (!rename || !fs_exists(d->path) || !fs_exists(d->divert))
		return failed(t, &c, &out, "Unexpected error while changing state of the diversion.");
	if (!mod_bool(m, "force"))
		return failed(t, &c, &out, "Set 'force' param to True to force renaming of files.");
	const char *lost = t->wanted.divert ? d->divert : d->path;
	if (m->check)
		return true;
	if (unlink(lost) != 0)
		return mod_fail_sys(m, "Failed to remove %s", lost);
	return must(t, &c);
}

/* Another holder or place: dpkg-divert has to forget the old one first. The file diverted so far goes along.
 */
static bool change_place(struct divert *t)
{
	struct mod_ctx *m = t->m;
	const struct diversion none = {.path = t->wanted.path};
	struct argv rm = command(t, &none, false), add = command(t, &t->wanted, false);
	const char *from = t->before.divert, *to = t->wanted.divert;
	val_push(t->commands, val_strz(m->a, argv_text(&rm)));
	val_push(t->commands, val_strz(m->a, argv_text(&add)));
	if (!must(t, &rm))
		return false;
	if (m->check) {
		val_push(t->messages, val_strz(m->a, "Running in check mode"));
		return true;
	}
	if (!must(t, &add))
		return false;
	if (strcmp(from, to) != 0 && fs_exists(from) && !fs_exists(to) && rename(from, to) != 0)
		mod_warn(m, "%s could not be renamed to %s: %s", from, to, strerror(errno));
	return true;
}

static void say_unchanged(struct divert *t)
{
	struct arena *a = t->m->a;
	const struct diversion *d = &t->before;
	struct argv c = command(t, &t->wanted, mod_bool(t->m, "rename"));
	val_push(t->commands, val_strz(a, argv_text(&c)));
	if (!d->divert)
		val_push(t->messages,
		         val_strf(a, "No diversion 'any diversion of %s', none removed.", d->path));
	else if (strcmp(d->holder, "LOCAL") == 0)
		val_push(t->messages,
		         val_strf(a, "Leaving 'local diversion of %s to %s'", d->path, d->divert));
	else
		val_push(t->messages,
		         val_strf(a, "Leaving 'diversion of %s to %s by %s'", d->path, d->divert, d->holder));
}

static bool run(struct mod_ctx *m)
{
	struct divert t = {.m = m, .commands = val_list(m->a), .messages = val_list(m->a)};
	struct diversion after;
	const char *path = mod_arg(m, "path"), *holder = mod_arg(m, "holder");
	t.wanted.path = path;
	if (mod_is(m, "state", "present")) {
		t.wanted.holder = holder && *holder ? holder : "LOCAL";
		t.wanted.divert =
		        mod_has(m, "divert") ? mod_arg(m, "divert") : arena_printf(m->a, "%s.distrib", path);
	}
	t.program = argv_need(m, "dpkg-divert");
	if (!t.program || !find(m, path, &t.before))
		return false;
	if (same(&t.before, &t.wanted))
		say_unchanged(&t);
	else if (!t.before.divert || !t.wanted.divert ? !change_state(&t) : !change_place(&t))
		return false;
	if (m->check)
		after = t.wanted;
	else if (!find(m, path, &after))
		return false;
	mod_setb(m, "changed", !same(&after, &t.before));
	mod_set(m, "diversion", as_value(m, &after));
	mod_set(m, "commands", t.commands);
	mod_set(m, "messages", t.messages);
	if (m->diff) {
		struct val *diff = val_map(m->a);
		val_set(diff, "before", as_value(m, &t.before));
		val_set(diff, "after", as_value(m, &after));
		mod_set(m, "diff", diff);
	}
	return same(&after, &t.wanted) || mod_fail(m, "dpkg-divert did not do what it was asked for");
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .doc = "The file whose packaged version is to go elsewhere."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is diverted."},
        {"divert", MT_PATH, .doc = "Where to; path with .distrib by default."},
        {"holder", MT_STR, .doc = "The package whose version stays; LOCAL is the administrator."},
        {"rename", MT_BOOL, .dflt = "false", .doc = "Also move the file aside, or back."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Even when there is a file already where it is moved to."},
        {NULL},
};

const struct module module_row_dpkg_divert = {
        .name = "dpkg_divert",
        .from = "community.general",
        .doc = "Keeps a package's version of a file away from its place.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
