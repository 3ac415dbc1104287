#include "report.h"

#include "base/arena.h"
#include "base/log.h"
#include "cmd.h"
#include "github/commands.h"

#include <stdio.h>

/* Names for the classes where the message alone would not tell whose turn it is. */
static const char *const class_name[] = {
        [ERR_NONE] = "error",        [ERR_USER] = "error",          [ERR_REMOTE] = "error",
        [ERR_UNREACHABLE] = "error", [ERR_CANCELLED] = "cancelled", [ERR_BUG] = "internal error",
};

/* A byte of a character after its first. */
static bool is_inner(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Of a longer line only what is around the place is shown. */
#define EXCERPT_MAX 120

static void add_excerpt(const struct source_pos *pos, struct buf *b)
{
	struct str text = pos->text;
	size_t at = 0, from = 0;

	for (unsigned col = 1; at < text.n && (col < pos->col || is_inner(text.p[at])); at++)
		col += !is_inner(text.p[at]);
	if (text.n > EXCERPT_MAX) { /* all of an input may be on one line */
		from = at > EXCERPT_MAX / 2 ? at - EXCERPT_MAX / 2 : 0;
		while (from && is_inner(text.p[from]))
			from--;
		text = str_n(text.p + from, text.n - from < EXCERPT_MAX ? text.n - from : EXCERPT_MAX);
		while (text.n && ((unsigned char)text.p[text.n - 1] & 0x80))
			text.n--;
	}
	buf_printf(b, "%6u | %s%.*s%s\n       | %s", pos->line, from ? "..." : "", STR_FMT(text),
	           from + text.n < pos->text.n ? "..." : "", from ? "   " : "");
	for (size_t i = from; i < at; i++) {
		if (!is_inner(pos->text.p[i]))
			buf_addc(b, pos->text.p[i] == '\t' ? '\t' : ' ');
	}
	buf_adds(b, "^\n");
}

static void annotate(struct gh *gh, enum gh_level level, const struct source_pos *pos, struct str msg)
{
	struct buf b = {0};

	if (!gh || !gh->actions)
		return;
	log_redact(msg, &b); /* here, because the command's escapes would hide a secret from the log's sink */
	gh_annotate(gh, level, NULL, pos ? pos->file : NULL, pos ? pos->line : 0, pos ? pos->col : 0,
	            buf_str(&b));
	buf_free(&b);
}

/* What a machine or a file said may begin a line with ::, which is a command to the runner. */
static void show(struct gh *gh, struct str text)
{
	if (gh)
		gh_foreign(gh, text);
	else
		log_complain(text);
}

static void add_place(const struct source_pos *pos, struct buf *b)
{
	buf_printf(b, "%s:%u:%u: ", pos->file, pos->line, pos->col);
}

void report_err(struct gh *gh, const struct sources *ss, const struct err *err)
{
	struct source_pos pos;
	bool at = sources_locate(ss, err_origin(err), &pos);
	struct buf b = {0};

	buf_printf(&b, "%s: ", class_name[err->cls]);
	if (at)
		add_place(&pos, &b);
	buf_printf(&b, "%s\n", err_msg(err));
	if (at)
		add_excerpt(&pos, &b);
	for (size_t i = 1; i < err->n; i++) {
		struct source_pos p;

		buf_adds(&b, "  in ");
		if (sources_locate(ss, err->frames[i].at, &p))
			add_place(&p, &b);
		buf_printf(&b, "%s\n", err->frames[i].msg);
	}
	if (err->hint)
		buf_printf(&b, "  help: %s\n", err->hint);
	show(gh, buf_str(&b));
	buf_clear(&b);
	err_text(err, &b);
	if (err->hint)
		buf_printf(&b, "\nhelp: %s", err->hint);
	annotate(gh, GH_ERROR, at ? &pos : NULL, buf_str(&b));
	buf_free(&b);
}

void report_errs(struct gh *gh, const struct sources *ss, const struct errs *errs)
{
	for (size_t i = 0; i < errs->n; i++)
		report_err(gh, ss, &errs->v[i]);
}

void report_warn(struct gh *gh, const struct sources *ss, struct origin o, const char *msg)
{
	struct source_pos pos;
	bool at = sources_locate(ss, o, &pos);
	struct buf b = {0};

	buf_adds(&b, "warning: ");
	if (at)
		add_place(&pos, &b);
	buf_printf(&b, "%s\n", msg);
	show(gh, buf_str(&b));
	buf_free(&b);
	annotate(gh, GH_WARNING, at ? &pos : NULL, str_c(msg));
}

int report_exit_code(const struct err *err)
{
	switch (err->cls) {
	case ERR_NONE: return EXIT_DONE;
	case ERR_USER: return EXIT_REFUSED;
	case ERR_UNREACHABLE: return EXIT_UNREACHABLE;
	default: return EXIT_FAILED;
	}
}

void report_text(void *ctx, struct str text)
{
	(void)ctx;
	log_text(text);
}

void report_raw(void *ctx, struct str text)
{
	(void)ctx;
	fwrite(text.p, 1, text.n, stdout);
	fflush(stdout);
}
