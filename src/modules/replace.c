#include "modules/edit.h"
#include "modules/regex.h"

/* The part of TEXT between the expressions "after" and "before"; false in *FOUND when they do not match. */
static bool find_section(struct mod_ctx *m, struct str text, size_t *from, size_t *to, bool *found)
{
	struct str after = mod_args(m, "after"), before = mod_args(m, "before");
	*from = 0;
	*to = text.n;
	*found = true;
	if (!mod_has(m, "after") && !mod_has(m, "before"))
		return true;
	const char *pattern =
	        arena_printf(m->a, "%.*s(?P<subsection>.*%s)%.*s", STR_FMT(after),
	                     mod_has(m, "after") && mod_has(m, "before") ? "?" : "", STR_FMT(before));
	struct err e = {0};
	struct regex_match mt;
	const struct regex *re = regex_new(m->a, str_c(pattern), REGEX_DOTALL | REGEX_UTF8, &e);
	if (!re)
		return mod_fail_err(m, &e);
	int group = regex_group(re, "subsection");
	*found = group > 0 && regex_search(re, text, 0, &mt) && (size_t)group < mt.n;
	if (*found) {
		*from = mt.start[group];
		*to = mt.end[group];
	} else {
		mod_seti(m, "rc", 0);
		mod_setf(m, "msg", "Pattern for before/after params did not match the given file: %s",
		         pattern);
	}
	return true;
}

/* Python's re.subn over TEXT. */
static bool substitute(struct mod_ctx *m, struct str text, struct buf *out, int64_t *count)
{
	struct err e = {0};
	struct regex_match mt;
	const struct regex *re = regex_new(m->a, mod_args(m, "regexp"), REGEX_MULTILINE | REGEX_UTF8, &e);
	size_t at = 0, from = 0;
	if (!re || !regex_check(re, mod_args(m, "replace"), &e))
		return mod_fail_err(m, &e);
	while (from <= text.n && regex_search(re, text, from, &mt)) {
		buf_add(out, text.p + at, mt.start[0] - at);
		if (!regex_expand(re, text, &mt, mod_args(m, "replace"), out, &e))
			return mod_fail_err(m, &e);
		(*count)++;
		at = from = mt.end[0];
		if (mt.end[0] == mt.start[0]) {
			/* An empty match: go on one character later. */
			uint32_t c;
			size_t n = at < text.n ? str_utf8(str_n(text.p + at, text.n - at), &c) : 1;
			n = n ? n : 1;
			if (at < text.n)
				buf_add(out, text.p + at, n);
			at = from = from + n;
		}
	}
	if (at < text.n)
		buf_add(out, text.p + at, text.n - at);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct edit e;
	struct buf b = {0};
	size_t from, to;
	int64_t count = 0;
	bool found;
	if (!edit_open(&e, m, false, "Path %s does not exist !") ||
	    !find_section(m, e.before, &from, &to, &found))
		return false;
	if (!found)
		return true;
	buf_add(&b, e.before.p, from);
	bool ok = substitute(m, str_n(e.before.p + from, to - from), &b, &count);
	buf_add(&b, e.before.p + to, e.before.n - to);
	struct str after = buf_take(&b, m->a);
	buf_free(&b);
	if (!ok)
		return false;
	if (!str_eq(after, e.before))
		e.msg = arena_printf(m->a, "%lld replacements made", (long long)count);
	mod_seti(m, "rc", 0);
	ok = edit_close(&e, after);
	/* This module's diff is the text's alone, and only when there is one. */
	struct val *diff = val_get(m->result, "diff");
	if (m->diff && diff && !str_eq(after, e.before))
		mod_set(m, "diff", val_at(diff, 0));
	else
		val_del(m->result, STR("diff"));
	return ok;
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "dest|destfile|name", .doc = "The file."},
        {"regexp", MT_STR, MA_REQUIRED, .doc = "What to replace."},
        {"replace", MT_STR, .dflt = "", .doc = "What to put there; \\1 and \\g<name> stand for groups."},
        {"after", MT_STR, .doc = "Only behind what this expression matches."},
        {"before", MT_STR, .doc = "Only before what this expression matches."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"validate", MT_STR, .doc = "A command that must accept the new file, given as %s."},
        {"encoding", MT_STR, .dflt = "utf-8", .doc = "Ignored: text is compared as bytes."},
        {NULL},
};

const struct module module_row_replace = {
        .name = "replace",
        .from = "ansible.builtin",
        .doc = "Replaces whatever an expression matches in a file.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .run = run,
};
