#include <ctype.h>
#include "modules/edit.h"
#include "modules/words.h"

/* What a line of the file is: of which stanza "iface", or one of its options. */
struct line {
	struct str iface, family, option, value; /* slices of the line; iface empty for all others */
};

struct file {
	struct edit e;
	struct line *lines;
	struct val *ifaces;
};

static bool is_list(struct str option)
{
	return str_eqc(option, "pre-up") || str_eqc(option, "up") || str_eqc(option, "down") ||
	       str_eqc(option, "post-up");
}

static struct val *stanza(struct arena *a, struct str family, struct str method)
{
	static const char *const lists[] = {"pre-up", "up", "down", "post-up"};
	struct val *v = val_map(a);
	for (size_t i = 0; i < 4; i++)
		val_set(v, lists[i], val_list(a));
	val_set(v, "address_family", family.n ? val_str(a, family) : val_null());
	val_set(v, "method", method.n ? val_str(a, method) : val_null());
	return v;
}

static bool ends_stanza(struct str w)
{
	return str_starts(w, "allow-") || str_eqc(w, "auto") || str_eqc(w, "mapping") ||
	       str_starts(w, "source") || str_starts(w, "no-");
}

/* Fills F->lines and F->ifaces anew. */
static bool parse(struct file *f)
{
	struct arena *a = f->e.m->a;
	struct str name = {0}, family = {0};
	struct val *now = NULL;
	bool in = false, any = false;
	f->lines = arena_alloc(a, (f->e.n + 1) * sizeof(*f->lines));
	f->ifaces = val_map(a);
	for (size_t i = 0; i < f->e.n; i++) {
		struct str rest = f->e.lines[i], w = words_next(&rest);
		f->lines[i] = (struct line){0};
		if (!w.n || w.p[0] == '#')
			continue;
		if (str_eqc(w, "iface")) {
			name = words_next(&rest);
			family = words_next(&rest);
			now = stanza(a, family, words_next(&rest));
			val_sets(f->ifaces, name, now);
			f->lines[i] = (struct line){.iface = name, .family = family};
			in = true;
		} else if (ends_stanza(w)) {
			in = false;
		} else if (in) {
			rest = str_trim(rest);
			f->lines[i] = (struct line){name, family, w, rest};
			struct val *value = val_str(a, rest);
			if (is_list(w))
				val_push(val_gets(now, w), value);
			else
				val_sets(now, w, value);
		} else if (!any) {
			return mod_fail(f->e.m, "misplaced option %.*s in line %zu", STR_FMT(f->e.lines[i]),
			                i + 1);
		}
		any = true;
	}
	return true;
}

static bool set_method(struct file *f, struct str iface, struct str value)
{
	for (size_t i = 0; i < f->e.n; i++) {
		struct str line = edit_bare(f->e.lines[i]), rest = line, method;
		if (f->lines[i].option.n || !str_eq(f->lines[i].iface, iface))
			continue;
		for (size_t k = 0; k < 3; k++)
			words_next(&rest);
		method = words_next(&rest);
		if (method.n && !str_trim(rest).n && !str_eq(method, value))
			f->e.lines[i] = str_c(arena_printf(f->e.m->a, "%.*s%.*s\n", (int)(method.p - line.p),
			                                   line.p, STR_FMT(value)));
	}
	return true;
}

/* A line like the one at AT, behind it. */
static void add(struct file *f, size_t at, struct str option, struct str value, bool deeper)
{
	struct str like = f->e.lines[at];
	int blanks = 0;
	while ((size_t)blanks < like.n && isspace((unsigned char)like.p[blanks]))
		blanks++;
	edit_end_last(&f->e);
	edit_insert(&f->e, at + 1,
	            str_c(arena_printf(f->e.m->a, "%.*s%s%.*s %.*s\n", blanks, like.p, deeper ? "    " : "",
	                               STR_FMT(option), STR_FMT(value))));
}

static void replace(struct file *f, size_t at, struct str value)
{
	struct str line = f->e.lines[at], old = f->lines[at].value;
	size_t start = (size_t)(old.p - line.p), end = start + old.n;
	f->e.lines[at] = str_c(arena_printf(f->e.m->a, "%.*s%.*s%.*s", (int)start, line.p, STR_FMT(value),
	                                    (int)(line.n - end), line.p + end));
}

static bool change(struct file *f)
{
	struct mod_ctx *m = f->e.m;
	struct str iface = mod_args(m, "iface"), option = mod_args(m, "option"), value = mod_args(m, "value"),
	           family = mod_args(m, "address_family");
	bool present = mod_is(m, "state", "present"), same = false, more = false;
	size_t last = SIZE_MAX, at = SIZE_MAX;
	for (size_t i = 0; i < f->e.n; i++) {
		const struct line *l = &f->lines[i];
		if (!l->iface.n || !str_eq(l->iface, iface) || (family.p && !str_eq(l->family, family)))
			continue;
		last = i;
		more = more || l->option.n;
		if (!str_eq(l->option, option))
			continue;
		at = i;
		same = same || str_eq(l->value, value);
	}
	if (last == SIZE_MAX)
		return mod_fail(m, "Error: interface %.*s not found", STR_FMT(iface));
	if (!present) {
		for (size_t i = f->e.n, n = at == SIZE_MAX ? 0 : at + 1; i-- > 0 && n;)
			if (str_eq(f->lines[i].option, option) && str_eq(f->lines[i].iface, iface) &&
			    (!family.p || str_eq(f->lines[i].family, family)) &&
			    (!is_list(option) || !value.p || str_eq(f->lines[i].value, value)))
				edit_remove(&f->e, i, 1);
	} else if (at == SIZE_MAX && str_eqc(option, "method")) {
		return set_method(f, iface, value);
	} else if (at == SIZE_MAX) {
		add(f, last, option, value, !more);
	} else if (is_list(option)) {
		if (!same)
			add(f, at, option, value, false);
	} else if (!str_eq(f->lines[at].value, value)) {
		replace(f, at, value);
	}
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct file f = {.lines = NULL};
	struct str text;
	const char *dest = mod_arg(m, "dest");
	if (mod_has(m, "option") && mod_is(m, "state", "present") && !mod_has(m, "value"))
		return mod_fail(m, "Value must be set if option is defined and state is 'present'");
	if (mod_has(m, "option") && !mod_has(m, "iface"))
		return mod_fail(m, "missing parameter(s) required by 'option': iface");
	if (!mod_read(m, dest, &text) || !edit_load(&f.e, m, dest) || !parse(&f) ||
	    (mod_has(m, "option") && (!change(&f) || !parse(&f))))
		return false;
	mod_sets(m, "dest", dest);
	mod_set(m, "ifaces", f.ifaces);
	return edit_save(&f.e);
}

static const struct mod_arg args[] = {
        {"dest", MT_PATH, .dflt = "/etc/network/interfaces", .doc = "The file."},
        {"iface", MT_STR, .doc = "The interface."},
        {"address_family", MT_STR, .doc = "Of its stanzas the one: inet, inet6."},
        {"option", MT_STR, .doc = "What is set."},
        {"value", MT_STR, .doc = "What it is set to."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {NULL},
};

const struct module module_row_interfaces_file = {
        .name = "interfaces_file",
        .from = "community.general",
        .doc = "Keeps an option of an interface in /etc/network/interfaces.",
        .args = args,
        .flags = MOD_CHECK | MOD_FILE_ARGS,
        .run = run,
};
