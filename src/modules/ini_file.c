#include "modules/edit.h"

struct ini {
	struct edit e;
	struct mod_ctx *m;
	const char *section, *option; /* NULL when not given */
	size_t start, end;            /* the section's lines, its heading not among them */
	bool found, exclusive, ended; /* ended: the last line lacked its end and got it */
	struct str *values;
	size_t n;
	const char *msg;
};

static bool is_heading(struct str line, const char *section)
{
	line = str_trim(line);
	if (line.n < 2 || line.p[0] != '[')
		return false;
	const char *close = memchr(line.p, ']', line.n);
	return close &&
	       str_eq(str_trim(str_n(line.p + 1, (size_t)(close - line.p) - 1)), str_trim(str_c(section)));
}

static size_t skip_blanks(struct str s, size_t i)
{
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	return i;
}

/* Whether LINE sets the option; *ACTIVE is false when it is commented out. */
static bool match_option(const struct ini *f, struct str line, bool *active, struct str *value)
{
	line = edit_bare(line);
	struct str name = str_c(f->option);
	size_t i = skip_blanks(line, 0);
	*active = !(i < line.n && (line.p[i] == '#' || line.p[i] == ';'));
	i = skip_blanks(line, i + !*active);
	if (!*active && !mod_bool(f->m, "modify_inactive_option"))
		return false;
	if (line.n - (i < line.n ? i : line.n) < name.n || memcmp(line.p + i, name.p, name.n) != 0)
		return false;
	i = skip_blanks(line, i + name.n);
	if (i < line.n && line.p[i] != '=')
		return false;
	i = skip_blanks(line, i < line.n ? i + 1 : i);
	*value = str_n(line.p + i, line.n - i);
	return true;
}

/* The values of an item of section_has_values; none: any will do. */
static const struct val *values_of(struct mod_ctx *m, const struct val *item)
{
	struct val *one = val_get(item, "value"), *all = val_get(item, "values"), *list = val_list(m->a);
	if (all && val_kind(all) == VAL_LIST)
		return all;
	if (one && val_kind(one) != VAL_NULL)
		val_push(list, one);
	return list;
}

/* Whether the section has the options asked for, each with one of its values. */
static bool is_it(const struct ini *f)
{
	const struct val *items = mod_list(f->m, "section_has_values");
	struct ini other = *f;
	VAL_EACH (i, items) {
		const struct val *item = val_at(items, i), *values = values_of(f->m, item);
		bool hit = false, active;
		struct str now;
		other.option = val_map_strz(item, "option", "");
		for (size_t k = f->start; !hit && k < f->end; k++) {
			if (!match_option(&other, f->e.lines[k], &active, &now))
				continue;
			hit = !val_len(values);
			VAL_EACH (v, values)
				hit = hit || str_eq(val_text(val_at(values, v), f->m->a), now);
		}
		if (!hit)
			return false;
	}
	return true;
}

static void find_section(struct ini *f)
{
	struct edit *e = &f->e;
	size_t i = 0;
	do {
		f->found = !f->section;
		while (!f->found && i < e->n)
			f->found = is_heading(e->lines[i++], f->section);
		f->start = i;
		while (i < e->n && e->lines[i].p[0] != '[')
			i++;
		f->end = i;
	} while (f->section && f->found && !is_it(f));
}

static struct str make_line(const struct ini *f, struct str value)
{
	const char *eq = mod_bool(f->m, "no_extra_spaces") ? "=" : " = ";
	return str_c(value.p ? arena_printf(f->m->a, "%s%s%.*s\n", f->option, eq, STR_FMT(value))
	                     : arena_printf(f->m->a, "%s\n", f->option));
}

static bool take_value(struct ini *f, struct str value)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->values[i], value)) {
			f->n--;
			memmove(f->values + i, f->values + i + 1, (f->n - i) * sizeof(*f->values));
			return true;
		}
	return false;
}

/* LINE without the blanks around its first equals sign and its end. */
static struct str without_blanks(struct arena *a, struct str line)
{
	ptrdiff_t eq = str_find(line, STR("="), 0);
	if (eq < 0)
		return str_trim(line);
	struct str name = str_trim(str_n(line.p, (size_t)eq)),
	           value = str_trim(str_n(line.p + eq + 1, line.n - (size_t)eq - 1));
	return str_c(arena_printf(a, "%.*s=%.*s", STR_FMT(name), STR_FMT(value)));
}

static void put(struct ini *f, size_t at, struct str line)
{
	struct arena *a = f->m->a;
	struct str have = f->e.lines[at];
	if (str_eq(have, line) ||
	    (mod_bool(f->m, "ignore_spaces") && str_eq(without_blanks(a, have), without_blanks(a, line))))
		return;
	f->e.lines[at] = line;
	f->msg = "option changed";
}

/* Where a new setting goes: behind the section's last one. */
static size_t behind_settings(const struct ini *f)
{
	size_t at = f->end;
	while (at > f->start) {
		struct str line = str_trim(f->e.lines[at - 1]);
		if (line.n && line.p[0] != '#' && line.p[0] != ';')
			break;
		at--;
	}
	return at;
}

/* Lines that already have one of the values first, then others to be overwritten, then what is missing. */
static void set_values(struct ini *f)
{
	struct edit *e = &f->e;
	bool *done = arena_array(f->m->a, f->end - f->start + 1, sizeof(*done)), active;
	struct str value;
	for (size_t i = f->start; i < f->end; i++)
		if (match_option(f, e->lines[i], &active, &value) && take_value(f, value)) {
			put(f, i, make_line(f, value));
			done[i - f->start] = true;
		}
	for (size_t i = f->start, k = 0; f->exclusive && i < f->end; k++) {
		if (done[k] || !match_option(f, e->lines[i], &active, &value) || (!f->n && !active)) {
			i++;
		} else if (f->n) {
			struct str next = f->values[0];
			take_value(f, next);
			put(f, i++, make_line(f, next));
		} else {
			edit_remove(e, i, 1);
			f->end--;
			f->msg = "option changed";
		}
	}
	size_t at = behind_settings(f);
	for (size_t k = 0; k < f->n; k++) {
		edit_insert(e, at++, make_line(f, f->values[k]));
		f->msg = "option added";
	}
}

/* An option without a value. */
static void set_bare(struct ini *f)
{
	bool active;
	struct str value, line = make_line(f, (struct str){0});
	for (size_t i = f->start; i < f->end; i++)
		if (match_option(f, f->e.lines[i], &active, &value)) {
			put(f, i, line);
			return;
		}
	edit_insert(&f->e, behind_settings(f), line);
	f->msg = "option added";
}

/* A new section gets what section_has_values asks for. */
static void add_asked(struct ini *f)
{
	const struct val *items = mod_list(f->m, "section_has_values");
	struct ini other = *f;
	VAL_EACH (i, items) {
		const struct val *item = val_at(items, i), *values = values_of(f->m, item);
		other.option = val_map_strz(item, "option", "");
		if (f->option && strcmp(other.option, f->option) == 0)
			continue;
		VAL_EACH (v, values)
			edit_insert(&f->e, f->e.n, make_line(&other, val_text(val_at(values, v), f->m->a)));
		if (!val_len(values) && mod_bool(f->m, "allow_no_value"))
			edit_insert(&f->e, f->e.n, make_line(&other, (struct str){0}));
	}
}

static void make_present(struct ini *f)
{
	if (!f->found) {
		struct edit *e = &f->e;
		edit_insert(e, e->n, str_c(arena_printf(f->m->a, "[%s]\n", f->section)));
		add_asked(f);
		for (size_t i = 0; f->option && i < f->n; i++)
			edit_insert(e, e->n, make_line(f, f->values[i]));
		if (f->option && !f->n)
			edit_insert(e, e->n, make_line(f, (struct str){0}));
		f->msg = f->option ? "section and option added" : "only section added";
	} else if (f->option && f->n) {
		set_values(f);
	} else if (f->option) {
		set_bare(f);
	}
}

static void make_absent(struct ini *f)
{
	bool active;
	struct str value;
	if (!f->found)
		return;
	if (!f->option) {
		size_t from = f->start - (f->section != NULL);
		if (f->end > from)
			f->msg = "section removed";
		edit_remove(&f->e, from, f->end - from);
		return;
	}
	for (size_t i = f->start; i < f->end;) {
		bool hit = match_option(f, f->e.lines[i], &active, &value) && active;
		for (size_t k = 0; hit && !f->exclusive; k++) {
			hit = k < f->n;
			if (hit && str_eq(f->values[k], value))
				break;
		}
		if (!hit) {
			i++;
			continue;
		}
		edit_remove(&f->e, i, 1);
		f->end--;
		f->msg = "option changed";
	}
}

static void add_value(struct ini *f, struct str value)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->values[i], value))
			return;
	f->values[f->n++] = value;
}

static void read_values(struct ini *f)
{
	struct mod_ctx *m = f->m;
	const struct val *list = mod_list(m, "values");
	f->values = arena_array(m->a, val_len(list) + 1, sizeof(*f->values));
	if (mod_has(m, "value"))
		add_value(f, mod_args(m, "value"));
	VAL_EACH (i, list)
		add_value(f, val_text(val_at(list, i), m->a));
}

/* The lines as a text file's are read: no byte order mark, all ended alike. */
static void plain_lines(struct ini *f)
{
	struct edit *e = &f->e;
	if (e->n && str_starts(e->lines[0], "\xef\xbb\xbf"))
		e->lines[0] = str_n(e->lines[0].p + 3, e->lines[0].n - 3);
	for (size_t i = 0; i < e->n; i++)
		if (str_ends(e->lines[i], "\r\n"))
			e->lines[i] = edit_ended(e, edit_bare(e->lines[i]));
	f->ended = e->n && !str_ends(e->lines[e->n - 1], "\n");
	edit_end_last(e);
	/* Ansible's begins an empty file with a blank line. */
	if (!e->n)
		edit_insert(e, 0, STR("\n"));
}

static bool save(struct ini *f, const char *path)
{
	struct mod_ctx *m = f->m;
	struct str after = edit_joined(&f->e);
	mod_diff_text(m, path, f->e.before, after);
	mod_changed(m);
	return mod_bool(m, "follow") ? mod_write(m, path, after) : mod_replace(m, path, after);
}

static bool run(struct mod_ctx *m)
{
	struct ini f = {
	        .m = m, .section = mod_arg(m, "section"), .option = mod_arg(m, "option"), .msg = "OK"};
	bool present = mod_is(m, "state", "present");
	struct err err = {0};
	f.exclusive = mod_bool(m, "exclusive");
	read_values(&f);
	if (f.section && !*f.section)
		f.section = NULL;
	if (present && !f.n && !mod_bool(m, "allow_no_value"))
		return mod_fail(
		        m, "Parameter 'value(s)' must be defined if state=present and allow_no_value=False.");
	const char *path = mod_arg(m, "path");
	mod_sets(m, "path", path);
	if (!fs_exists(path) && !mod_bool(m, "create")) {
		mod_seti(m, "rc", 257);
		return mod_fail(m, "Destination %s does not exist!", path);
	}
	if (!m->check && !fs_mkdirs(fs_dirname(m->a, path), 0777, &err))
		return mod_fail_err(m, &err);
	if (!edit_load(&f.e, m, path))
		return false;
	plain_lines(&f);
	find_section(&f);
	if (present)
		make_present(&f);
	else
		make_absent(&f);
	if ((f.ended || strcmp(f.msg, "OK") != 0) && !save(&f, path))
		return false;
	mod_sets(m, "msg", f.msg);
	return m->check || !fs_exists(path) || mod_file_args(m, path);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "dest", .doc = "The file."},
        {"section", MT_STR, .doc = "The section; without it, what comes before the first one."},
        {"section_has_values", MT_LIST, .elem = MT_DICT,
         .doc = "Of sections of that name the one with these: maps with option, and value or values."},
        {"option", MT_STR, .doc = "The setting; without it, the whole section."},
        {"value", MT_STR, .doc = "Its value."},
        {"values", MT_LIST, .elem = MT_STR, .doc = "Its values, on a line each."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"exclusive", MT_BOOL, .dflt = "true", .doc = "No other lines set the option."},
        {"no_extra_spaces", MT_BOOL, .dflt = "false", .doc = "No blanks around the equals sign."},
        {"allow_no_value", MT_BOOL, .dflt = "false", .doc = "The option may stand without a value."},
        {"ignore_spaces", MT_BOOL, .dflt = "false", .doc = "Blanks alone are no difference."},
        {"modify_inactive_option", MT_BOOL, .dflt = "true",
         .doc = "A line that is commented out is where the setting goes."},
        {"follow", MT_BOOL, .dflt = "false", .doc = "Write through a symbolic link."},
        {"create", MT_BOOL, .dflt = "true", .doc = "Make a file that is missing."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {NULL},
};

const struct module module_row_ini_file = {
        .name = "ini_file",
        .from = "community.general",
        .doc = "Keeps a setting in an ini file.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .mutually_exclusive = "value|values",
        .run = run,
};
