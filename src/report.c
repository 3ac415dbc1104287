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

static void add_excerpt(const struct source_pos *pos, struct buf *b)
{
	unsigned tabs = 0;

	for (unsigned i = 0; i + 1 < pos->col && i < pos->text.n; i++)
		tabs += pos->text.p[i] == '\t';
	buf_printf(b, "%6u | %.*s\n       | ", pos->line, STR_FMT(pos->text));
	for (unsigned i = 0; i < tabs; i++)
		buf_addc(b, '\t');
	for (unsigned i = tabs + 1; i < pos->col; i++)
		buf_addc(b, ' ');
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
	log_text(buf_str(&b));
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
	log_text(buf_str(&b));
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
