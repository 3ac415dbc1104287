#include "modules/edit.h"

enum { FIELDS = 4 };

/* Domain, type, item and value of LINE, and what is behind its "#"; false when it is no limit. */
static bool parse(struct str line, struct str fields[FIELDS], struct str *comment)
{
	struct str bare = edit_bare(line);
	struct str text = str_split(&bare, '#');
	size_t n = 0, i = 0;
	*comment = str_trim(bare);
	while (i < text.n) {
		size_t start = i;
		while (i < text.n && text.p[i] != ' ' && text.p[i] != '\t')
			i++;
		if (i > start && n < FIELDS)
			fields[n] = str_n(text.p + start, i - start);
		n += i > start;
		while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'))
			i++;
	}
	return n == FIELDS;
}

static bool is_unlimited(struct str s)
{
	return str_eqc(s, "unlimited") || str_eqc(s, "infinity") || str_eqc(s, "-1");
}

static bool is_nice(const struct mod_ctx *m)
{
	return mod_is(m, "limit_item", "nice") || mod_is(m, "limit_item", "priority");
}

static bool check_value(struct mod_ctx *m, struct str value)
{
	int64_t n;
	bool number = str_int(value, &n);
	if (is_nice(m) ? number && n >= -20 && n <= 19 : is_unlimited(value) || (number && n >= 0))
		return true;
	return mod_fail(
	        m,
	        " Value of '%.*s' for item '%s' is invalid. Value must %s. Refer to the limits.conf(5) "
	        "manual "
	        "pages for more details.",
	        STR_FMT(value), mod_arg(m, "limit_item"),
	        is_nice(m) ? "be a number in the range -20 to 19 inclusive"
	                   : "either be 'unlimited', 'infinity' or -1, all of which indicate no limit, or a "
	                     "limit of 0 or larger");
}

/* What use_max and use_min make of the value, given the one that is there. */
static struct str chosen(const struct mod_ctx *m, struct str value, struct str there)
{
	bool max = mod_bool(m, "use_max"), min = mod_bool(m, "use_min");
	bool value_free = !is_nice(m) && is_unlimited(value), there_free = !is_nice(m) && is_unlimited(there);
	int64_t v, t;
	if (!max && !min)
		return value;
	if (value_free || there_free)
		return max == there_free ? there : value;
	if (!str_int(value, &v) || !str_int(there, &t))
		return value;
	return (max ? t > v : t < v) ? there : value;
}

static struct str make_line(const struct mod_ctx *m, struct str value, struct str comment)
{
	return str_c(arena_printf(m->a, "%s\t%s\t%s\t%.*s%s%.*s\n", mod_arg(m, "domain"),
	                          mod_arg(m, "limit_type"), mod_arg(m, "limit_item"), STR_FMT(value),
	                          comment.n ? "\t#" : "", STR_FMT(comment)));
}

static void put(struct edit *e, struct str value)
{
	struct mod_ctx *m = e->m;
	struct str f[FIELDS], comment, given = mod_args(m, "comment");
	bool found = false;
	for (size_t i = 0; i < e->n; i++) {
		if (!parse(e->lines[i], f, &comment) || !str_eqc(f[0], mod_arg(m, "domain")) ||
		    !str_eqc(f[1], mod_arg(m, "limit_type")) || !str_eqc(f[2], mod_arg(m, "limit_item")))
			continue;
		struct str next = chosen(m, value, f[3]);
		found = true;
		if (!str_eq(next, f[3]))
			e->lines[i] = make_line(m, next, given.n ? given : comment);
		mod_setstr(m, "msg", e->lines[i]);
	}
	if (found)
		return;
	edit_end_last(e);
	edit_insert(e, e->n, make_line(m, value, given));
	mod_setstr(m, "msg", e->lines[e->n - 1]);
}

static bool run(struct mod_ctx *m)
{
	struct edit e;
	const char *dest = mod_arg(m, "dest"), *dir = fs_dirname(m->a, dest);
	struct str value = mod_args(m, "value");
	if (mod_bool(m, "use_max") && mod_bool(m, "use_min"))
		return mod_fail(m, "Cannot use use_min and use_max at the same time.");
	if (!fs_is_dir(dir))
		return mod_fail(m, "directory %s is not writable (check presence, access rights, use sudo)",
		                dir);
	if (!check_value(m, value) || !edit_load(&e, m, dest))
		return false;
	put(&e, value);
	return edit_save(&e);
}

static const struct mod_arg args[] = {
        {"domain", MT_STR, MA_REQUIRED, .doc = "A user, @group, wildcard or range of ids."},
        {"limit_type", MT_STR, MA_REQUIRED, .choices = "hard|soft|-", .doc = "Who may change it."},
        {"limit_item", MT_STR, MA_REQUIRED,
         .choices = "core|data|fsize|memlock|nofile|rss|stack|cpu|nproc|as|maxlogins|maxsyslogins|priority|"
                    "locks|sigpending|msgqueue|nice|rtprio|chroot",
         .doc = "What is limited."},
        {"value", MT_STR, MA_REQUIRED, .doc = "The limit."},
        {"use_max", MT_BOOL, .dflt = "false", .doc = "Keep what is there when it is larger."},
        {"use_min", MT_BOOL, .dflt = "false", .doc = "Keep what is there when it is smaller."},
        {"comment", MT_STR, .dflt = "", .doc = "A comment behind it."},
        {"dest", MT_PATH, .dflt = "/etc/security/limits.conf", .doc = "The file."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {NULL},
};

const struct module module_row_pam_limits = {
        .name = "pam_limits",
        .from = "community.general",
        .doc = "Keeps a limit of users' sessions.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
