#include "base/log.h"

#include "base/arena.h"
#include "base/json.h"

#include <stdlib.h>

#define SECRET_MIN 4

/* The one place with state of its own: there is one log, as there is one standard output. */
static struct {
	FILE *out;
	enum log_level max;
	struct str *secrets; /* every form, longest first */
	size_t n;
} sink;

void log_open(FILE *out, enum log_level max)
{
	sink.out = out;
	sink.max = max;
}

static void add_form(struct str s)
{
	size_t at = 0;

	if (s.n < SECRET_MIN)
		return;
	for (size_t i = 0; i < sink.n; i++) {
		if (str_eq(sink.secrets[i], s))
			return;
	}
	while (at < sink.n && sink.secrets[at].n >= s.n)
		at++;
	sink.secrets = xrealloc(sink.secrets, (sink.n + 1) * sizeof(*sink.secrets));
	memmove(sink.secrets + at + 1, sink.secrets + at, (sink.n - at) * sizeof(*sink.secrets));
	char *copy = xmalloc(s.n);

	memcpy(copy, s.p, s.n);
	sink.secrets[at] = str_n(copy, s.n);
	sink.n++;
}

/* A secret within JSON, base64 or a URL no longer looks like itself. */
static void add_forms(struct str s)
{
	struct buf b = {0};

	add_form(s);
	for (int ascii = 0; ascii < 2; ascii++) {
		json_quote(s, ascii, &b);
		add_form(str_n(b.p + 1, b.n - 2));
		buf_clear(&b);
	}
	buf_base64(&b, s);
	add_form(buf_str(&b));
	buf_clear(&b);
	buf_percent(&b, s);
	add_form(buf_str(&b));
	buf_burn(&b);
}

void log_secret(struct str s)
{
	struct str rest = s;

	add_forms(s);
	add_forms(str_trim(s));
	while (rest.n) {
		struct str line = str_trim(str_split(&rest, '\n'));

		if (line.n != s.n)
			add_forms(line);
	}
}

void log_close(void)
{
	for (size_t i = 0; i < sink.n; i++) {
		explicit_bzero((char *)sink.secrets[i].p, sink.secrets[i].n);
		free((char *)sink.secrets[i].p);
	}
	free(sink.secrets);
	sink.secrets = NULL;
	sink.n = 0;
}

void log_redact(struct str in, struct buf *out)
{
	while (in.n) {
		size_t best = in.n, len = 0; /* the first secret; the longest form wins where several begin */

		for (size_t i = 0; i < sink.n; i++) {
			ptrdiff_t at = str_find(in, sink.secrets[i], 0);

			if (at >= 0 && (size_t)at < best) {
				best = (size_t)at;
				len = sink.secrets[i].n;
			}
		}
		buf_add(out, in.p, best);
		if (best == in.n)
			return;
		buf_adds(out, "***");
		in = str_n(in.p + best + len, in.n - best - len);
	}
}

bool log_on(enum log_level lv)
{
	return sink.out && lv <= sink.max;
}

void log_text(struct str text)
{
	struct buf b = {0};

	if (!sink.out)
		return;
	log_redact(text, &b);
	if (b.n)
		fwrite(b.p, 1, b.n, sink.out);
	fflush(sink.out);
	buf_free(&b);
}

void log_line(enum log_level lv, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;

	if (!log_on(lv))
		return;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	buf_addc(&b, '\n');
	log_text(buf_str(&b));
	buf_free(&b);
}
