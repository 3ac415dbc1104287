#include <stdlib.h>
#include "modules/argv.h"
#include "modules/attrs.h"
#include "modules/words.h"

struct group {
	struct mod_ctx *m;
	const char *name;
	struct val *wanted, *now; /* devices, real paths */
	bool exists;
	int64_t volumes;
};

/* Runs it; a status other than 0 fails the task with WHAT. */
static bool must(struct argv *c, const char *what)
{
	struct mod_out o;
	if (!argv_run(c, &o))
		return false;
	if (o.rc == 0)
		return true;
	mod_seti(c->m, "rc", o.rc);
	mod_setstr(c->m, "err", o.err);
	return mod_fail(c->m, "%s", what);
}

static bool tool(struct group *g, struct argv *c, const char *name)
{
	const char *path = argv_need(g->m, name);
	*c = (struct argv){.m = g->m};
	if (path)
		argv_add(c, path);
	return path != NULL;
}

static bool holds(const struct val *list, const struct val *v)
{
	VAL_EACH (i, list)
		if (val_equal(val_at(list, i), v))
			return true;
	return false;
}

static bool take_devices(struct group *g)
{
	struct mod_ctx *m = g->m;
	const struct val *given = mod_list(m, "pvs");
	bool present = mod_is(m, "state", "present");
	g->wanted = val_list(m->a);
	if (present && !val_len(given))
		return mod_fail(m, "No physical volumes given.");
	VAL_EACH (i, given) {
		const char *real = path_real(m->a, val_get_strz(val_at(given, i)));
		if (present && !fs_exists(real))
			return mod_fail(m, "Device %s not found.", real);
		val_push(g->wanted, val_strz(m->a, real));
	}
	return true;
}

/* Which devices are the group's; one of ours that is another's is refused. */
static bool look_devices(struct group *g)
{
	struct mod_ctx *m = g->m;
	struct argv c;
	struct mod_out o;
	if (!tool(g, &c, "pvs"))
		return false;
	argv_add2(&c, "--noheadings", "-o");
	argv_add2(&c, "pv_name,vg_name", "--separator");
	argv_add(&c, ";");
	if (!argv_run(&c, &o))
		return false;
	if (o.rc != 0)
		return mod_fail(m, "Failed executing pvs command.");
	g->now = val_list(m->a);
	while (o.out.p && o.out.n) {
		struct str vg = str_trim(str_split(&o.out, '\n')), dev = str_split(&vg, ';');
		struct val *real =
		        val_strz(m->a, path_real(m->a, arena_strndup(m->a, dev.p ? dev.p : "", dev.n)));
		if (str_eqc(vg, g->name))
			val_push(g->now, real);
		else if (vg.n && holds(g->wanted, real))
			return mod_fail(m, "Device %s is already in %.*s volume group.", val_get_strz(real),
			                STR_FMT(vg));
	}
	return true;
}

static bool look_group(struct group *g)
{
	struct argv c;
	struct mod_out o;
	if (!tool(g, &c, "vgs"))
		return false;
	argv_add2(&c, "--noheadings", "-o");
	argv_add2(&c, "vg_name,pv_count,lv_count", "--separator");
	argv_add(&c, ";");
	if (!argv_run(&c, &o))
		return false;
	if (o.rc != 0)
		return mod_fail(g->m, "Failed executing vgs command.");
	while (o.out.p && o.out.n) {
		struct str rest = str_trim(str_split(&o.out, '\n')), name = str_split(&rest, ';');
		(void)str_split(&rest, ';');
		if (str_eqc(name, g->name)) {
			g->exists = true;
			str_int(rest, &g->volumes);
		}
	}
	return true;
}

static bool make_device(struct group *g, const char *device)
{
	struct argv c;
	if (!tool(g, &c, "pvcreate") || !argv_add_text(&c, mod_arg(g->m, "pv_options")))
		return false;
	argv_add2(&c, "-f", device);
	return must(&c, arena_printf(g->m->a, "Creating physical volume '%s' failed", device));
}

static bool create(struct group *g)
{
	struct mod_ctx *m = g->m;
	struct argv c;
	mod_changed(m);
	if (m->check)
		return true;
	VAL_EACH (i, g->wanted)
		if (!make_device(g, val_get_strz(val_at(g->wanted, i))))
			return false;
	if (!tool(g, &c, "vgcreate") || !argv_add_text(&c, mod_arg(m, "vg_options")))
		return false;
	argv_add2(&c, "-s", mod_arg(m, "pesize"));
	argv_add(&c, g->name);
	argv_add_list(&c, g->wanted);
	return must(&c, arena_printf(m->a, "Creating volume group '%s' failed", g->name));
}

static bool destroy(struct group *g)
{
	struct mod_ctx *m = g->m;
	struct argv c;
	mod_changed(m);
	if (m->check)
		return true;
	if (g->volumes && !mod_bool(m, "force"))
		return mod_fail(m, "Refuse to remove non-empty volume group %s without force=true", g->name);
	if (!tool(g, &c, "vgremove"))
		return false;
	argv_add2(&c, "--force", g->name);
	return must(&c, arena_printf(m->a, "Failed to remove volume group %s", g->name));
}

/* A number of bytes that pvdisplay tells of a device. */
static bool size_of(struct group *g, const char *device, const char *what, int64_t *ret)
{
	struct argv c;
	struct mod_out o;
	if (!tool(g, &c, "pvdisplay"))
		return false;
	argv_add(&c, device);
	argv_add_all(&c, (const char *const[]){"--units", "b", "--columns", "--noheadings", "--nosuffix",
	                                       "-o", what, NULL});
	return argv_run(&c, &o) &&
	       (str_int(str_trim(o.out), ret) || mod_fail(g->m, "the %s of %s is not known", what, device));
}

/* A device that grew by more than an extent. */
static bool grow(struct group *g, const char *device)
{
	int64_t dev, pv, start, extent;
	struct argv c;
	if (!size_of(g, device, "dev_size", &dev) || !size_of(g, device, "pv_size", &pv) ||
	    !size_of(g, device, "pe_start", &start) || !size_of(g, device, "vg_extent_size", &extent))
		return false;
	if (dev - (start + pv) <= extent)
		return true;
	mod_changed(g->m);
	if (g->m->check)
		return true;
	if (!tool(g, &c, "pvresize"))
		return false;
	argv_add(&c, device);
	return must(&c, "Failed executing pvresize command.");
}

/* The members of A that B has not. */
static struct val *without(struct mod_ctx *m, const struct val *a, const struct val *b)
{
	struct val *list = val_list(m->a);
	VAL_EACH (i, a)
		if (!holds(b, val_at(a, i)))
			val_push(list, val_at(a, i));
	return list;
}

static bool change(struct group *g)
{
	struct mod_ctx *m = g->m;
	struct val *more = without(m, g->wanted, g->now), *less = without(m, g->now, g->wanted);
	struct argv c;
	for (size_t i = 0; mod_bool(m, "pvresize") && i < val_len(g->now); i++)
		if (!grow(g, val_get_strz(val_at(g->now, i))))
			return false;
	if (val_len(more) || val_len(less))
		mod_changed(m);
	if (m->check)
		return true;
	VAL_EACH (i, more)
		if (!make_device(g, val_get_strz(val_at(more, i))))
			return false;
	if (val_len(more)) {
		if (!tool(g, &c, "vgextend"))
			return false;
		argv_add(&c, g->name);
		argv_add_list(&c, more);
		if (!must(&c, arena_printf(m->a, "Unable to extend %s.", g->name)))
			return false;
	}
	if (!val_len(less))
		return true;
	if (!tool(g, &c, "vgreduce"))
		return false;
	argv_add2(&c, "--force", g->name);
	argv_add_list(&c, less);
	return must(&c, arena_printf(m->a, "Unable to reduce %s.", g->name));
}

static bool run(struct mod_ctx *m)
{
	struct group g = {.m = m, .name = mod_arg(m, "vg")};
	bool present = mod_is(m, "state", "present");
	if (!take_devices(&g) || (present && !look_devices(&g)) || !look_group(&g))
		return false;
	if (!present)
		return !g.exists || destroy(&g);
	return g.exists ? change(&g) : create(&g);
}

static const struct mod_arg args[] = {
        {"vg", MT_STR, MA_REQUIRED, .doc = "The volume group."},
        {"pvs", MT_LIST, .doc = "Its devices: those and no others."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"pesize", MT_STR, .dflt = "4", .doc = "The size of its extents, when it is made."},
        {"pv_options", MT_STR, .dflt = "", .doc = "More options of pvcreate."},
        {"vg_options", MT_STR, .dflt = "", .doc = "More options of vgcreate."},
        {"pvresize", MT_BOOL, .dflt = "false", .doc = "Use what a device has grown by."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Remove it with the volumes in it."},
        {NULL},
};

const struct module module_row_lvg = {
        .name = "lvg",
        .from = "community.general",
        .doc = "Keeps an LVM volume group.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
