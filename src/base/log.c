#include "base/log.h"

#include "base/redact.h"
#include "base/secret.h"

/* The one place with state of its own: there is one log, as there is one standard output. */
static struct {
	FILE *out, *complaints;
	enum log_level max;
	struct redact secrets;
} sink;

void log_open(FILE *out, enum log_level max)
{
	sink.out = sink.complaints = out;
	sink.max = max;
}

void log_complain_to(FILE *out)
{
	sink.complaints = out;
}

void log_secret(struct str s)
{
	redact_add(&sink.secrets, s);
}

void log_secret_derived(struct str s)
{
	struct buf b = {0};

	if (s.n >= SECRET_DERIVED_MIN && !redact_text(&sink.secrets, s, &b))
		redact_add(&sink.secrets, s);
	buf_burn(&b);
}

void log_close(void)
{
	redact_clear(&sink.secrets);
}

bool log_redact(struct str in, struct buf *out)
{
	return redact_text(&sink.secrets, in, out);
}

bool log_on(enum log_level lv)
{
	return sink.out && lv <= sink.max;
}

static void say(FILE *out, struct str text)
{
	struct buf b = {0};

	if (!out)
		return;
	log_redact(text, &b);
	if (b.n)
		fwrite(b.p, 1, b.n, out);
	fflush(out);
	buf_free(&b);
}

void log_text(struct str text)
{
	say(sink.out, text);
}

void log_complain(struct str text)
{
	say(sink.complaints, text);
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
	say(lv <= LOG_WARN ? sink.complaints : sink.out, buf_str(&b));
	buf_free(&b);
}
