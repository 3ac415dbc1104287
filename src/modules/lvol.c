#include <ctype.h>
#include <stdlib.h>
#include "modules/argv.h"
#include "modules/words.h"

struct volume {
	struct mod_ctx *m;
	const char *vg, *lv, *pool, *snapshot, *name; /* NAME: what is looked for */
	/* the size asked for */
	char op;           /* + - or 0 */
	const char *size;  /* "10", NULL: none was given */
	const char *unit;  /* "m", "" of a part */
	const char *whole; /* VG, PVS, FREE; NULL: it is no part */
	/* what there is, in units of the size */
	double vg_size, vg_free, extent, now;
	bool exists, active, origin_thin;
};

static const char *units(const struct volume *v)
{
	return v->whole ? "m" : v->unit;
}

static bool parse_part(struct volume *v, const char *percent)
{
	struct mod_ctx *m = v->m;
	int64_t n;
	v->whole = percent + 1;
	if (!str_int(str_n(v->size, (size_t)(percent - v->size)), &n) || n < 0)
		return mod_fail(m, "Bad size specification of '%s'", v->size);
	if (n > 100)
		return mod_fail(m, "Size percentage cannot be larger than 100%%");
	if (strcmp(v->whole, "ORIGIN") == 0)
		return mod_fail(m, "Snapshot Volumes are not supported");
	if (strcmp(v->whole, "VG") != 0 && strcmp(v->whole, "PVS") != 0 && strcmp(v->whole, "FREE") != 0)
		return mod_fail(m, "Specify extents as a percentage of VG|PVS|FREE");
	v->unit = "";
	return true;
}

static bool parse_size(struct volume *v)
{
	struct mod_ctx *m = v->m;
	const char *z = mod_arg(m, "size"), *percent;
	v->unit = "m";
	if (!z || !*z)
		return true;
	if (*z == '+' || *z == '-')
		v->op = *z++;
	v->size = z;
	percent = strchr(z, '%');
	if (percent)
		return parse_part(v, percent);
	size_t n = strlen(z);
	if (n && strchr("bskmgtpe", tolower((unsigned char)z[n - 1]))) {
		v->unit = arena_strdup(m->a, z + n - 1);
		v->size = arena_strndup(m->a, z, n - 1);
	}
	char *end;
	(void)strtod(v->size, &end);
	return (isdigit((unsigned char)*v->size) && !*end) ||
	       mod_fail(m, "Bad size specification of '%s'", v->size);
}

/* ---- what there is */

static bool tool(struct volume *v, struct argv *c, const char *name)
{
	const char *path = argv_need(v->m, name);
	*c = (struct argv){.m = v->m};
	if (path)
		argv_add(c, path);
	return path != NULL;
}

static bool report(struct volume *v, const char *program, const char *columns, struct mod_out *o)
{
	struct argv c;
	const char *u = units(v);
	if (!tool(v, &c, program))
		return false;
	if (strcmp(program, "lvs") == 0)
		argv_add(&c, "-a");
	argv_add_all(&c, (const char *const[]){"--noheadings", "--nosuffix", "-o", columns, "--units", NULL});
	argv_addf(&c, "%c", tolower((unsigned char)*u));
	argv_add2(&c, "--separator", ";");
	argv_add(&c, v->vg);
	return argv_run(&c, o);
}

static double number(struct mod_ctx *m, struct str *rest)
{
	struct str s = str_split(rest, ';');
	return strtod(arena_strndup(m->a, s.p ? s.p : "", s.n), NULL);
}

static const char *base(const char *name)
{
	const char *slash = strrchr(name, '/');
	return slash ? slash + 1 : name;
}

/* The volumes, one a line: name;size;attributes. */
static bool look_volumes(struct volume *v, struct str out)
{
	struct mod_ctx *m = v->m;
	bool origin = false, pool = false;
	while (out.p && out.n) {
		struct str rest = str_trim(str_split(&out, '\n')), name = str_split(&rest, ';');
		if (name.n > 1 && *name.p == '[')
			name = str_n(name.p + 1, name.n - 2);
		double size = number(m, &rest);
		bool is_pool = rest.n && *rest.p == 't';
		if (v->lv && str_eqc(name, v->lv)) {
			origin = !is_pool;
			v->origin_thin = rest.n && *rest.p == 'V';
		}
		pool = pool || (v->pool && str_eqc(name, v->pool));
		if (str_eqc(name, v->name) || str_eqc(name, base(v->name))) {
			v->exists = true;
			v->now = size;
			v->active = rest.n > 4 && rest.p[4] == 'a';
		}
	}
	if (v->snapshot && v->pool)
		return mod_fail(m, "Snapshots of thin pool LVs are not supported.");
	if (v->snapshot && !origin && mod_is(m, "state", "present"))
		return mod_fail(m, "Snapshot origin LV %s does not exist in volume group %s.", v->lv, v->vg);
	if (v->pool && v->lv && !pool)
		return mod_fail(m, "Thin pool LV %s does not exist in volume group %s.", v->pool, v->vg);
	return true;
}

/* *NONE: there is no such group. */
static bool look(struct volume *v, bool *none)
{
	struct mod_ctx *m = v->m;
	struct mod_out o, volumes;
	v->name = v->snapshot ? v->snapshot : v->lv ? v->lv : v->pool;
	if (!report(v, "vgs", "vg_name,size,free,vg_extent_size", &o) ||
	    !report(v, "lvs", "lv_name,size,lv_attr", &volumes))
		return false;
	*none = o.rc != 0 || volumes.rc != 0;
	if (*none)
		return true;
	struct str rest = str_trim(o.out);
	(void)str_split(&rest, ';');
	v->vg_size = number(m, &rest);
	v->vg_free = number(m, &rest);
	v->extent = number(m, &rest);
	return look_volumes(v, volumes.out);
}

/* ---- making it */

static void add_size(struct volume *v, struct argv *c, char option)
{
	argv_addf(c, "-%c", option);
	argv_addf(c, "%.*s%s%s", v->op != 0, &v->op, v->size, v->unit);
}

static bool run_it(struct volume *v, struct argv *c, const char *what)
{
	struct mod_out o;
	mod_changed(v->m);
	if (v->m->check) /* LVM's own rehearsal, as far as it goes */
		return true;
	if (!argv_run(c, &o))
		return false;
	if (o.rc == 0)
		return true;
	mod_seti(v->m, "rc", o.rc);
	mod_setstr(v->m, "err", o.err);
	return mod_fail(v->m, "%s", what);
}

static bool add_pvs(struct volume *v, struct argv *c)
{
	char *pvs = mod_has(v->m, "pvs") ? arena_strdup(v->m->a, mod_arg(v->m, "pvs")) : NULL;
	for (char *p = pvs; p && *p; p++)
		if (*p == ',')
			*p = ' ';
	return argv_add_text(c, pvs);
}

static bool create(struct volume *v)
{
	struct mod_ctx *m = v->m;
	struct argv c;
	char option = v->whole ? 'l' : 'L';
	if (v->op == '-' || (v->op && !v->whole))
		return mod_fail(m, "Bad size specification of '%c%s' for creating LV", v->op, v->size);
	if (!v->size && !(v->snapshot && v->origin_thin))
		return mod_fail(m, "No size given.");
	if (v->pool && v->lv && v->whole)
		return mod_fail(m, "Thin volume sizing with percentage not supported.");
	v->op = 0;
	if (!tool(v, &c, "lvcreate"))
		return false;
	argv_add(&c, "--yes");
	if (!v->snapshot && v->lv)
		argv_add2(&c, "-n", v->lv);
	if (v->size)
		add_size(v, &c, v->pool && v->lv ? 'V' : option);
	if (v->snapshot) {
		argv_add2(&c, "-s", "-n");
		argv_add(&c, v->snapshot);
	}
	if (!argv_add_text(&c, mod_arg(m, "opts")))
		return false;
	if (v->pool) {
		argv_add(&c, "-T");
		argv_addf(&c, "%s/%s", v->vg, v->pool);
	} else if (v->snapshot)
		argv_addf(&c, "%s/%s", v->vg, v->lv);
	else
		argv_add(&c, v->vg);
	if (!v->pool && !v->snapshot && !add_pvs(v, &c))
		return false;
	return run_it(v, &c,
	              arena_printf(m->a, "Creating logical volume '%s' failed", v->lv ? v->lv : v->pool));
}

/* How large it shall be, when it is a part of something: whole extents. */
static double part(const struct volume *v)
{
	double of = strcmp(v->whole, "FREE") == 0 ? v->vg_free : v->vg_size,
	       want = strtod(v->size, NULL) * of / 100;
	if (v->op == '+')
		want += v->now;
	else if (v->op == '-')
		want = v->now - want;
	int64_t extents = v->extent > 0 ? (int64_t)(want / v->extent) : 0;
	return v->extent > 0 ? (double)extents * v->extent : want;
}

/* What LVM says of a size that is the same after rounding is no failure. */
static bool resize_it(struct volume *v, struct argv *c)
{
	struct mod_ctx *m = v->m;
	struct mod_out o;
	if (m->check) {
		mod_changed(m);
		return true;
	}
	if (!argv_run(c, &o))
		return false;
	bool same = str_find(o.err, STR("matches existing size"), 0) >= 0,
	     larger = str_find(o.err, STR("not larger than existing size"), 0) >= 0;
	if (o.rc == 0 && str_find(o.out, STR("Reached maximum COW size"), 0) < 0) {
		mod_changed(m);
		return true;
	}
	if (o.rc != 0 && (same || larger)) {
		if (larger)
			mod_sets(m, "msg", "Original size is larger than requested size");
		return true;
	}
	mod_seti(m, "rc", o.rc);
	mod_setstr(m, "err", o.err);
	return mod_fail(m, "Unable to resize %s to %s%s", v->name, v->size, v->unit);
}

static bool resize(struct volume *v)
{
	struct mod_ctx *m = v->m;
	struct argv c;
	double want = v->whole ? part(v) : strtod(v->size, NULL);
	/* A part is rounded: what is too large by less than an extent is right. */
	bool extend = v->whole ? v->now < want : want > v->now || v->op == '+';
	bool reduce = !extend && (v->whole ? mod_bool(m, "shrink") && v->now > want + v->extent
	                                   : (mod_bool(m, "shrink") && want < v->now) || v->op == '-');
	if (!extend && !reduce)
		return true;
	if (extend && v->whole && v->vg_free < want - v->now)
		return mod_fail(m,
		                "Logical Volume %s could not be extended. Not enough free space left (%g%s "
		                "required / %g%s "
		                "available)",
		                v->name, want - v->now, units(v), v->vg_free, units(v));
	if (reduce && want < (v->whole ? 1 : 1e-9))
		return mod_fail(m, "Sorry, no shrinking of %s to 0 permitted.", v->name);
	if (reduce && !mod_bool(m, "force"))
		return mod_fail(m, "Sorry, no shrinking of %s without force=true.", v->name);
	if (!tool(v, &c, extend ? "lvextend" : "lvreduce"))
		return false;
	if (reduce)
		argv_add(&c, "--force");
	if (mod_bool(m, "resizefs"))
		argv_add(&c, "--resizefs");
	add_size(v, &c, v->whole ? 'l' : 'L');
	argv_addf(&c, "%s/%s", v->vg, base(v->name));
	if (!add_pvs(v, &c) || !resize_it(v, &c))
		return false;
	if (mod_is_changed(m) && v->whole)
		mod_setf(m, "msg", "Volume %s resized to %g%s", v->name, want, units(v));
	return true;
}

static bool activate(struct volume *v)
{
	struct mod_ctx *m = v->m;
	struct argv c;
	bool want = mod_bool(m, "active");
	mod_sets(m, "vg", v->vg);
	mod_sets(m, "lv", base(v->name));
	mod_set(m, "size", val_float(m->a, v->now));
	if (want == v->active)
		return true;
	if (!tool(v, &c, "lvchange"))
		return false;
	argv_add(&c, want ? "-ay" : "-an");
	argv_addf(&c, "%s/%s", v->vg, base(v->name));
	return run_it(v, &c,
	              arena_printf(m->a, "Failed to %s logical volume %s", want ? "activate" : "deactivate",
	                           v->name));
}

static bool destroy(struct volume *v)
{
	struct mod_ctx *m = v->m;
	struct argv c;
	if (!v->exists)
		return true;
	if (!mod_bool(m, "force"))
		return mod_fail(m, "Sorry, no removal of logical volume %s without force=true.", v->name);
	if (!tool(v, &c, "lvremove"))
		return false;
	argv_add(&c, "--force");
	argv_addf(&c, "%s/%s", v->vg, base(v->name));
	return run_it(v, &c, arena_printf(m->a, "Failed to remove logical volume %s", v->name));
}

static bool run(struct mod_ctx *m)
{
	struct volume v = {.m = m,
	                   .vg = mod_arg(m, "vg"),
	                   .lv = mod_arg(m, "lv"),
	                   .pool = mod_arg(m, "thinpool"),
	                   .snapshot = mod_arg(m, "snapshot")};
	bool absent = mod_is(m, "state", "absent"), none;
	if (!parse_size(&v) || !look(&v, &none))
		return false;
	if (none && absent) {
		mod_setf(m, "stdout", "Volume group %s does not exist.", v.vg);
		return true;
	}
	if (none)
		return mod_fail(m, "Volume group %s does not exist.", v.vg);
	mod_sets(m, "msg", "");
	if (absent)
		return destroy(&v);
	return v.exists ? (!v.size || resize(&v)) && activate(&v) : create(&v);
}

static const struct mod_arg args[] = {
        {"vg", MT_STR, MA_REQUIRED, .doc = "The volume group."},
        {"lv", MT_STR, .doc = "The logical volume."},
        {"size", MT_STR, .doc = "Its size: 512, 10g, 80%VG, +100%FREE, -1g."},
        {"opts", MT_STR, .doc = "More options of lvcreate."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"force", MT_BOOL, .dflt = "false", .doc = "It may be removed or become smaller."},
        {"shrink", MT_BOOL, .dflt = "true", .doc = "One that is larger becomes smaller."},
        {"active", MT_BOOL, .dflt = "true", .doc = "It can be used."},
        {"snapshot", MT_STR, .doc = "The name of a snapshot of it."},
        {"pvs", MT_STR, .doc = "The devices it is on, parted by commas."},
        {"resizefs", MT_BOOL, .dflt = "false", .doc = "Its file system goes with it."},
        {"thinpool", MT_STR, .doc = "The thin pool it is in, or to make."},
        {NULL},
};

const struct module module_row_lvol = {
        .name = "lvol",
        .from = "community.general",
        .doc = "Keeps an LVM logical volume.",
        .args = args,
        .flags = MOD_CHECK,
        .required_one_of = "lv|thinpool",
        .run = run,
};
