#include "modules/edit.h"
#include "modules/regex.h"

static struct str marker_line(struct edit *e, const char *word_arg)
{
	struct str marker = mod_args(e->m, "marker"), word = mod_args(e->m, word_arg);
	struct buf b = {0};
	size_t at = 0;
	for (ptrdiff_t hit; (hit = str_find(marker, STR("{mark}"), at)) >= 0; at = (size_t)hit + 6) {
		buf_add(&b, marker.p + at, (size_t)hit - at);
		buf_addstr(&b, word);
	}
	buf_add(&b, marker.p + at, marker.n - at);
	buf_addc(&b, '\n');
	struct str s = buf_take(&b, e->m->a);
	buf_free(&b);
	return s;
}

/* Where a block that is not there yet goes. */
static bool find_place(struct edit *e, size_t *ret)
{
	struct mod_ctx *m = e->m;
	struct err err = {0};
	bool after = mod_has(m, "insertafter") || !mod_has(m, "insertbefore");
	struct str where = mod_args(m, after ? "insertafter" : "insertbefore");
	*ret = after ? e->n : 0;
	if (!where.n || str_eqc(where, after ? "EOF" : "BOF"))
		return true;
	const struct regex *re = regex_new(m->a, where, 0, &err);
	if (!re)
		return mod_fail_err(m, &err);
	*ret = e->n;
	if (str_starts(where, "(?m)")) {
		struct regex_match mt;
		if (!regex_search(re, e->before, 0, &mt))
			return true;
		size_t line = 0, upto = after ? mt.end[0] : mt.start[0];
		for (size_t i = 0; i < upto; i++)
			line += e->before.p[i] == '\n';
		*ret = line + after > e->n ? e->n : line + after;
		return true;
	}
	for (size_t i = 0; i < e->n; i++)
		if (regex_search(re, e->lines[i], 0, NULL))
			*ret = i + after;
	return true;
}

/* Takes the block that is there out; *AT is where it was, or SIZE_MAX. */
static void take_out(struct edit *e, struct str first, struct str last, size_t *at)
{
	size_t n0 = SIZE_MAX, n1 = SIZE_MAX;
	for (size_t i = 0; i < e->n; i++) {
		if (str_eq(e->lines[i], first))
			n0 = i;
		if (str_eq(e->lines[i], last))
			n1 = i;
	}
	*at = SIZE_MAX;
	if (n0 == SIZE_MAX || n1 == SIZE_MAX)
		return;
	size_t from = n0 < n1 ? n0 : n1, to = n0 < n1 ? n1 : n0;
	edit_remove(e, from, to - from + 1);
	*at = from;
}

static void put_in(struct edit *e, size_t at, struct str first, struct str block, struct str last)
{
	struct mod_ctx *m = e->m;
	if (mod_bool(m, "prepend_newline") && at > 0 && !str_eqc(e->lines[at - 1], "\n"))
		edit_insert(e, at++, STR("\n"));
	edit_insert(e, at++, first);
	while (block.n) {
		const char *end = memchr(block.p, '\n', block.n);
		size_t n = end ? (size_t)(end - block.p) + 1 : block.n;
		struct str line = str_n(block.p, n);
		edit_insert(e, at++, end ? line : edit_ended(e, line));
		block = str_n(block.p + n, block.n - n);
	}
	edit_insert(e, at++, last);
	if (mod_bool(m, "append_newline") && at < e->n && !str_eqc(e->lines[at], "\n"))
		edit_insert(e, at, STR("\n"));
}

static bool run(struct mod_ctx *m)
{
	struct edit e;
	struct str block = mod_args(m, "block");
	bool put = mod_is(m, "state", "present") && block.n;
	size_t at;
	if (!edit_open(&e, m, mod_bool(m, "create"), "Path %s does not exist !"))
		return false;
	if (!e.existed && mod_is(m, "state", "absent"))
		return mod_done(m, false, "File %s not present", e.path);
	struct str first = marker_line(&e, "marker_begin"), last = marker_line(&e, "marker_end");
	take_out(&e, first, last, &at);
	if (at == SIZE_MAX && !find_place(&e, &at))
		return false;
	if (at > 0 && !str_ends(e.lines[at - 1], "\n"))
		e.lines[at - 1] = edit_ended(&e, e.lines[at - 1]);
	if (put)
		put_in(&e, at, first, block, last);
	struct str after = edit_joined(&e);
	if (!e.existed)
		e.msg = "File created";
	else if (!str_eq(e.before, after))
		e.msg = put ? "Block inserted" : "Block removed";
	return edit_close(&e, after);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "dest|destfile|name", .doc = "The file."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present",
         .doc = "Whether the block should be there."},
        {"marker", MT_STR, .dflt = "# {mark} ANSIBLE MANAGED BLOCK", .doc = "The lines around the block."},
        {"block", MT_STR, .dflt = "", .aliases = "content", .doc = "The text."},
        {"insertafter", MT_STR, .doc = "Where a new block goes: EOF or an expression."},
        {"insertbefore", MT_STR, .doc = "Where a new block goes: BOF or an expression."},
        {"create", MT_BOOL, .dflt = "false", .doc = "Make the file when it is missing."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"validate", MT_STR, .doc = "A command that must accept the new file, given as %s."},
        {"marker_begin", MT_STR, .dflt = "BEGIN", .doc = "What stands for {mark} before the block."},
        {"marker_end", MT_STR, .dflt = "END", .doc = "What stands for {mark} after it."},
        {"append_newline", MT_BOOL, .dflt = "false", .doc = "An empty line after the block."},
        {"prepend_newline", MT_BOOL, .dflt = "false", .doc = "An empty line before the block."},
        {"encoding", MT_STR, .dflt = "utf-8", .doc = "Ignored: lines are compared as bytes."},
        {NULL},
};

const struct module module_row_blockinfile = {
        .name = "blockinfile",
        .from = "ansible.builtin",
        .doc = "A block of lines between two markers.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF | MOD_FILE_ARGS,
        .mutually_exclusive = "insertbefore|insertafter",
        .run = run,
};
