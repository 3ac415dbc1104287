#include "modules/edit.h"

struct entry {
	const char *name, *device, *password, *opts; /* NULL: not there */
};

static struct entry parse(struct mod_ctx *m, struct str line)
{
	const char *v[4] = {NULL};
	size_t n = 0;
	line = str_trim(line);
	if (line.n && *line.p == '#')
		return (struct entry){0};
	for (size_t i = 0; i < line.n; n++) {
		size_t end = i;
		while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t')
			end++;
		if (n < 4)
			v[n] = arena_strndup(m->a, line.p + i, end - i);
		for (i = end; i < line.n && (line.p[i] == ' ' || line.p[i] == '\t');)
			i++;
	}
	return n >= 2 && n <= 4 ? (struct entry){v[0], v[1], v[2], v[3]} : (struct entry){0};
}

static struct str key_of(struct str option)
{
	return str_split(&option, '=');
}

/* OPTS with those of MORE instead or in addition, or without them. */
static const char *merged(struct mod_ctx *m, const char *opts, const char *more, bool with)
{
	struct str rest = str_c(opts);
	const char *all = "";
	while (rest.p && rest.n) {
		struct str one = str_split(&rest, ','), other = str_c(more), by = one;
		bool named = false;
		while (other.p && other.n) {
			struct str o = str_split(&other, ',');
			if (str_eq(key_of(o), key_of(one))) {
				named = true;
				by = o;
			}
		}
		if (with || !named)
			all = arena_printf(m->a, "%s%s%.*s", all, *all ? "," : "", STR_FMT(by));
	}
	struct str other = str_c(with ? more : NULL);
	while (other.p && other.n) {
		struct str o = str_split(&other, ','), have = str_c(all);
		bool there = false;
		while (have.p && have.n)
			there = str_eq(key_of(str_split(&have, ',')), key_of(o)) || there;
		if (!there)
			all = arena_printf(m->a, "%s%s%.*s", all, *all ? "," : "", STR_FMT(o));
	}
	return all;
}

static const char *line_of(struct mod_ctx *m, const struct entry *e)
{
	bool opts = e->opts && *e->opts;
	return arena_printf(m->a, "%s %s%s%s%s%s", e->name, e->device, e->password || opts ? " " : "",
	                    e->password ? e->password
	                    : opts      ? "none"
	                                : "",
	                    opts ? " " : "", opts ? e->opts : "");
}

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* The options are a set. */
static bool same_opts(struct mod_ctx *m, const char *a, const char *b)
{
	const char *x = merged(m, a ? a : "", b ? b : "", false),
	           *y = merged(m, b ? b : "", a ? a : "", false);
	return !*x && !*y && same(merged(m, a, b, true), a ? a : "");
}

static bool check(struct mod_ctx *m, const char *name)
{
	static const char *const words[] = {"backing_device", "password", "opts"};
	const char *state = mod_arg(m, "state");
	if (strcmp(state, "absent") != 0 && !mod_has(m, words[0]) && !mod_has(m, words[1]) &&
	    !mod_has(m, words[2]))
		return mod_fail(m, "expected one or more of 'backing_device', 'password' or 'opts'");
	if (strstr(state, "opts") && (mod_has(m, words[0]) || mod_has(m, words[1])))
		return mod_fail(m, "cannot update 'backing_device' or 'password' when state=%s", state);
	if (!*name || strpbrk(name, " \t"))
		return mod_fail(m, "invalid 'name': contains white space or is empty");
	for (size_t i = 0; i < 3; i++)
		if (mod_has(m, words[i]) && (!*mod_arg(m, words[i]) || strpbrk(mod_arg(m, words[i]), " \t")))
			return mod_fail(m, "invalid '%s': contains white space or is empty", words[i]);
	return true;
}

static const char *change(struct edit *e, size_t at, struct entry is, const char *name)
{
	struct mod_ctx *m = e->m;
	struct entry to = is;
	const char *state = mod_arg(m, "state"), *opts = mod_arg(m, "opts");
	bool present = strcmp(state, "present") == 0, without = strcmp(state, "opts_absent") == 0;
	if (strcmp(state, "absent") == 0) {
		if (!is.name)
			return "?";
		edit_remove(e, at, 1);
		return "removed line";
	}
	if (present && mod_has(m, "backing_device"))
		to.device = mod_arg(m, "backing_device");
	if (present && mod_has(m, "password"))
		to.password = mod_arg(m, "password");
	to.name = name;
	if (opts && (present || !is.name))
		to.opts = present && is.name && same_opts(m, is.opts, opts) ? is.opts : opts;
	else if (opts)
		to.opts = merged(m, is.opts ? is.opts : "", opts, !without);
	if (!is.name && without)
		return "?";
	if (is.name && same(is.device, to.device) && same(is.password, to.password) && same(is.opts, to.opts))
		return present ? "updated line" : without ? "removed options" : "updated options";
	if (is.name)
		edit_remove(e, at, 1);
	else
		edit_end_last(e);
	edit_insert(e, is.name ? at : e->n, edit_ended(e, str_c(line_of(m, &to))));
	return !is.name  ? "added line"
	       : present ? "updated line"
	       : without ? "removed options"
	                 : "updated options";
}

static bool run(struct mod_ctx *m)
{
	struct edit e = {0};
	struct entry is = {0};
	size_t at = 0;
	const char *name = mod_arg(m, "name"), *path = mod_arg(m, "path");
	if (strncmp(name, "/dev/mapper/", 12) == 0)
		name += 12;
	if (!check(m, name) || !edit_load(&e, m, path))
		return false;
	for (size_t i = 0; i < e.n && !is.name; i++) {
		struct entry one = parse(m, edit_bare(e.lines[i]));
		if (one.name && strcmp(one.name, name) == 0) {
			is = one;
			at = i;
		}
	}
	if (strstr(mod_arg(m, "state"), "present") && !is.name && !mod_has(m, "backing_device"))
		return mod_fail(m, "'backing_device' required to add a new entry");
	MAP_EACH (i, m->args)
		val_setk(m->result, val_key_at(m->args, i), val_value_at(m->args, i));
	mod_sets(m, "msg", change(&e, at, is, name));
	return edit_save(&e);
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The device below /dev/mapper."},
        {"state", MT_STR, MA_REQUIRED, .choices = "absent|opts_absent|opts_present|present",
         .doc = "Whether it, or its options, are in the file."},
        {"backing_device", MT_STR, .doc = "The device it is on."},
        {"password", MT_PATH, .doc = "The file of its key, none or -."},
        {"opts", MT_STR, .doc = "Its options, parted by commas."},
        {"path", MT_PATH, .dflt = "/etc/crypttab", .doc = "The file."},
        {NULL},
};

const struct module module_row_crypttab = {
        .name = "crypttab",
        .from = "community.general",
        .doc = "Keeps encrypted devices in /etc/crypttab.",
        .args = args,
        .flags = MOD_CHECK,
        .run = run,
};
