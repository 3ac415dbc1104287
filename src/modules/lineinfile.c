#include "modules/edit.h"
#include "modules/regex.h"

enum { NONE = -1 };

struct rules {
	const struct regex *match, *insert; /* NULL: none */
	struct str search, line;
	bool have_search, first, after; /* after: the insert expression means behind its line */
};

/* The backup's name under the key this module has always used for it. */
static bool finish(struct edit *e, struct str after)
{
	if (!edit_close(e, after))
		return false;
	struct val *kept = val_get(e->m->result, "backup_file");
	mod_set(e->m, "backup", kept ? kept : val_strz(e->m->a, ""));
	val_del(e->m->result, STR("backup_file"));
	return true;
}

static bool make_rules(struct mod_ctx *m, struct rules *r)
{
	struct err e = {0};
	struct str after = mod_args(m, "insertafter"), before = mod_args(m, "insertbefore");
	*r = (struct rules){.search = mod_args(m, "search_string"),
	                    .line = mod_args(m, "line"),
	                    .have_search = mod_has(m, "search_string"),
	                    .first = mod_bool(m, "firstmatch")};
	if (mod_has(m, "regexp") && !(r->match = regex_new(m->a, mod_args(m, "regexp"), 0, &e)))
		return mod_fail_err(m, &e);
	r->after = mod_has(m, "insertafter") || !mod_has(m, "insertbefore");
	struct str ins = r->after ? after : before;
	bool word = !ins.n || str_eqc(ins, "BOF") || (r->after && str_eqc(ins, "EOF"));
	if (!word && !(r->insert = regex_new(m->a, ins, 0, &e)))
		return mod_fail_err(m, &e);
	return true;
}

/* The line to replace: the one that matches, else the one that is the wanted line already. */
static ptrdiff_t find_line(const struct edit *e, const struct rules *r, struct regex_match *mt, bool *matched)
{
	ptrdiff_t at = NONE;
	*matched = false;
	for (size_t i = 0; (r->match || r->have_search) && i < e->n; i++) {
		struct regex_match here = {0};
		if (r->match ? !regex_search(r->match, e->lines[i], 0, &here)
		             : str_find(e->lines[i], r->search, 0) < 0)
			continue;
		at = (ptrdiff_t)i;
		*mt = here;
		*matched = true;
		if (r->first)
			break;
	}
	return at;
}

/* Where the insert expression wants the line; also finds the line itself, which then stays where it is. */
static ptrdiff_t find_place(const struct edit *e, const struct rules *r, ptrdiff_t *ret_line)
{
	ptrdiff_t place = NONE;
	for (size_t i = 0; i < e->n; i++) {
		if (str_eq(edit_bare(e->lines[i]), r->line)) {
			*ret_line = (ptrdiff_t)i;
		} else if (r->insert && regex_search(r->insert, e->lines[i], 0, NULL)) {
			place = (ptrdiff_t)i + r->after;
			if (r->first)
				break;
		}
	}
	return place;
}

static bool replace_line(struct edit *e, const struct rules *r, size_t at, const struct regex_match *mt,
                         bool expand)
{
	struct str line = r->line;
	struct buf b = {0};
	struct err err = {0};
	if (expand) {
		if (!regex_expand(r->match, e->lines[at], mt, r->line, &b, &err)) {
			buf_free(&b);
			return mod_fail_err(e->m, &err);
		}
		line = buf_take(&b, e->m->a);
		buf_free(&b);
	}
	if (!str_ends(line, "\n"))
		line = edit_ended(e, line);
	if (!str_eq(e->lines[at], line)) {
		e->lines[at] = line;
		e->msg = "line replaced";
	}
	return true;
}

static void add_line(struct edit *e, const struct rules *r, ptrdiff_t place)
{
	struct mod_ctx *m = e->m;
	struct str line = edit_ended(e, r->line);
	size_t at = place == NONE ? e->n : (size_t)place;
	if (mod_is(m, "insertbefore", "BOF") || mod_is(m, "insertafter", "BOF"))
		at = 0;
	else if (r->after && place != NONE && (size_t)place < e->n &&
	         str_eq(edit_bare(e->lines[place]), r->line))
		return;
	if (at == e->n && e->n && !str_ends(e->lines[e->n - 1], "\n") && !str_ends(e->lines[e->n - 1], "\r"))
		e->lines[e->n - 1] = edit_ended(e, e->lines[e->n - 1]);
	edit_insert(e, at, line);
	e->msg = "line added";
}

static bool present(struct mod_ctx *m)
{
	struct edit e;
	struct rules r;
	struct regex_match mt;
	bool matched, backrefs = mod_bool(m, "backrefs");
	ptrdiff_t place = NONE;
	if (backrefs && !mod_has(m, "regexp"))
		return mod_fail(m, "regexp is required with backrefs=true");
	if (!mod_has(m, "line"))
		return mod_fail(m, "line is required with state=present");
	if (!edit_open(&e, m, mod_bool(m, "create"), "Destination %s does not exist !") || !make_rules(m, &r))
		return false;
	ptrdiff_t at = find_line(&e, &r, &mt, &matched);
	if (!matched)
		place = find_place(&e, &r, &at);
	if (at != NONE) {
		if (!replace_line(&e, &r, (size_t)at, &mt, backrefs && matched))
			return false;
	} else if (!backrefs) {
		add_line(&e, &r, place);
	}
	/* A file that would be made only to stay empty is not made. */
	if (!e.existed && !e.n) {
		mod_sets(m, "msg", "");
		mod_sets(m, "backup", "");
		return true;
	}
	return finish(&e, edit_joined(&e));
}

static bool absent(struct mod_ctx *m)
{
	struct edit e;
	struct rules r;
	int64_t found = 0;
	if (!mod_has(m, "regexp") && !mod_has(m, "line") && !mod_has(m, "search_string"))
		return mod_fail(m, "one of line, search_string, or regexp is required with state=absent");
	if (!fs_exists(mod_arg(m, "path")))
		return mod_done(m, false, "file not present");
	if (!make_rules(m, &r) || !edit_open(&e, m, true, "Destination %s does not exist !"))
		return false;
	for (size_t i = e.n; i-- > 0;) {
		bool hit = r.match         ? regex_search(r.match, e.lines[i], 0, NULL)
		           : r.have_search ? str_find(e.lines[i], r.search, 0) >= 0
		                           : str_eq(edit_bare(e.lines[i]), r.line);
		if (!hit)
			continue;
		edit_remove(&e, i, 1);
		found++;
	}
	if (found)
		e.msg = arena_printf(m->a, "%lld line(s) removed", (long long)found);
	if (!finish(&e, edit_joined(&e)))
		return false;
	mod_seti(m, "found", found);
	return true;
}

static bool run(struct mod_ctx *m)
{
	return mod_is(m, "state", "present") ? present(m) : absent(m);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "dest|destfile|name", .doc = "The file."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present",
         .doc = "Whether the line should be there."},
        {"regexp", MT_STR, .aliases = "regex", .doc = "Finds the line to replace or remove."},
        {"search_string", MT_STR, .doc = "As regexp, but plain text."},
        {"line", MT_STR, .aliases = "value", .doc = "The line."},
        {"backrefs", MT_BOOL, .dflt = "false", .doc = "Groups of regexp may be used in line."},
        {"insertafter", MT_STR, .doc = "Where a new line goes: EOF, BOF or an expression."},
        {"insertbefore", MT_STR, .doc = "Where a new line goes: BOF or an expression."},
        {"create", MT_BOOL, .dflt = "false", .doc = "Make the file when it is missing."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"firstmatch", MT_BOOL, .dflt = "false", .doc = "Use the first line that matches, not the last."},
        {"validate", MT_STR, .doc = "A command that must accept the new file, given as %s."},
        {"encoding", MT_STR, .dflt = "utf-8", .doc = "Ignored: lines are compared as bytes."},
        {NULL},
};

const struct module module_row_lineinfile = {
        .name = "lineinfile",
        .from = "ansible.builtin",
        .doc = "One line of a file: that it is there, or not.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .mutually_exclusive = "insertbefore|insertafter;regexp|search_string;backrefs|search_string",
        .run = run,
};
