#include <ctype.h>
#include "modules/edit.h"

static const char config[] = "/etc/locale.gen";

/* "en_US.UTF-8" as "locale -a" spells it: en_US.utf8. */
static const char *spelled(struct mod_ctx *m, const char *name)
{
	const char *dot = strchr(name, '.');
	struct buf b = {0};
	if (!dot)
		return name;
	buf_add(&b, name, (size_t)(dot - name) + 1);
	for (dot++; *dot && *dot != '@'; dot++)
		if (isalnum((unsigned char)*dot))
			buf_addc(&b, (char)tolower((unsigned char)*dot));
	buf_adds(&b, dot);
	const char *ret = arena_strndup(m->a, b.p, b.n);
	buf_free(&b);
	return ret;
}

static bool has_line(struct str text, const char *z)
{
	while (text.n)
		if (str_eqc(str_trim(str_split(&text, '\n')), z))
			return true;
	return false;
}

/* The first word of a line, without the comment sign; the line says which character set besides. */
static bool is_for(struct str line, const char *name, struct str *ret)
{
	line = str_trim(line);
	while (line.n && (line.p[0] == '#' || line.p[0] == ' '))
		line = str_n(line.p + 1, line.n - 1);
	*ret = line;
	return str_eqc(str_split(&line, ' '), name) && line.n && !memchr(line.p, ' ', str_trim(line).n);
}

/* Whether the system could make it: what SUPPORTED lists, or the configuration itself. */
static bool find_line(struct mod_ctx *m, const struct edit *e, const char *name, struct str *ret)
{
	struct str text;
	for (size_t i = 0; i < e->n; i++)
		if (is_for(e->lines[i], name, ret))
			return true;
	if (!mod_read_maybe(m, "/usr/share/i18n/SUPPORTED", &text))
		return false;
	while (text.n)
		if (is_for(str_split(&text, '\n'), name, ret))
			return true;
	return mod_fail(m, "The locale you have entered is not available on your system: %s", name);
}

static bool set_line(struct mod_ctx *m, struct edit *e, const char *name, bool present)
{
	struct str line, found;
	if (!find_line(m, e, name, &line))
		return false;
	struct str want = str_c(arena_printf(m->a, "%s%.*s\n", present ? "" : "# ", STR_FMT(line)));
	for (size_t i = 0; i < e->n; i++)
		if (is_for(e->lines[i], name, &found)) {
			bool off = str_starts(str_trim(e->lines[i]), "#");
			if (off == present)
				e->lines[i] = want;
			return true;
		}
	if (present) {
		edit_end_last(e);
		edit_insert(e, e->n, want);
	}
	return true;
}

static bool run(struct mod_ctx *m)
{
	const struct val *names = mod_list(m, "name");
	bool present = mod_is(m, "state", "present"), differ = false;
	struct mod_out have, out;
	struct edit e;
	if (!mod_exec(m, &have, "locale", "-a", NULL) || !edit_load(&e, m, config))
		return false;
	VAL_EACH (i, names) {
		struct str s = val_text(val_at(names, i), m->a);
		const char *name = arena_strndup(m->a, s.p, s.n);
		if (has_line(have.out, spelled(m, name)) == present)
			continue;
		differ = true;
		if (!set_line(m, &e, name, present))
			return false;
	}
	mod_set(m, "name", val_get(m->args, "name"));
	if (!differ)
		return true;
	if (!edit_save(&e))
		return false;
	mod_changed(m);
	if (m->check)
		return true;
	if (!mod_exec(m, &out, "locale-gen", NULL))
		return false;
	return out.rc == 0 || mod_fail(m, "locale-gen failed: %.*s", STR_FMT(str_trim(out.err)));
}

static const struct mod_arg args[] = {
        {"name", MT_LIST, MA_REQUIRED, .elem = MT_STR, .doc = "Locales, such as en_US.UTF-8."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether they are there."},
        {NULL},
};

const struct module module_row_locale_gen = {
        .name = "locale_gen",
        .from = "community.general",
        .doc = "Makes locales.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
