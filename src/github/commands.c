#include "github/commands.h"
#include "base/json.h"
#include "base/secret.h"
#include <stdio.h>
#include <sys/random.h>
#include <stdlib.h>

#define ANNOTATIONS_MAX 10
#define MESSAGE_MAX 4000 /* the runner cuts at 4096 characters, in the middle of one if need be */

bool gh_detect(const struct val *env)
{
	const struct val *v = val_get(env, "GITHUB_ACTIONS");

	return v && val_is_str(v) && str_eqc(val_get_str(v), "true");
}

static void flush(struct gh *gh, struct buf *b)
{
	gh->sink(gh->ctx, buf_str(b));
	buf_burn(b);
}

/* Data of a command: all that would end it. */
static void add_data(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '%': buf_adds(b, "%25"); break;
		case '\r': buf_adds(b, "%0D"); break;
		case '\n': buf_adds(b, "%0A"); break;
		default: buf_addc(b, s.p[i]);
		}
	}
}

/* A property of a command: what would end that, too. */
static void add_property(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == ':')
			buf_adds(b, "%3A");
		else if (s.p[i] == ',')
			buf_adds(b, "%2C");
		else
			add_data(b, str_n(s.p + i, 1));
	}
}

/* ---- masks ---- */

static void mask_one(struct buf *b, struct str form)
{
	form = str_trim(form);
	if (form.n < SECRET_MIN)
		return;
	buf_adds(b, "::add-mask::");
	add_data(b, form);
	buf_addc(b, '\n');
}

static void mask_base64(struct buf *b, struct str secret)
{
	struct buf text = {0};

	buf_base64(&text, secret);
	mask_one(b, buf_str(&text));
	buf_burn(&text);
	for (size_t shift = 0; shift < 3; shift++) {
		secret_base64(secret, shift, &text);
		/* Shorter pieces would hide ordinary text. */
		if (text.n >= 8)
			mask_one(b, buf_str(&text));
		buf_burn(&text);
	}
}

/* A runner hides what it was told and nothing else: each form by itself. */
static void mask_part(void *ctx, struct str part, enum secret_part kind)
{
	struct buf *out = ctx, form = {0};

	mask_one(out, part);
	json_quote(part, true, &form);
	if (form.n - 2 != part.n)
		mask_one(out, str_n(form.p + 1, form.n - 2));
	buf_burn(&form);
	if (kind == SECRET_LINE)
		return;
	buf_percent(&form, part);
	if (form.n != part.n)
		mask_one(out, buf_str(&form));
	buf_burn(&form);
	mask_base64(out, part);
}

void gh_mask(struct gh *gh, struct str secret)
{
	struct buf out = {0};

	if (!gh->actions)
		return;
	secret_parts(secret, mask_part, &out);
	if (out.n)
		flush(gh, &out);
}

/* ---- groups ---- */

void gh_group(struct gh *gh, const char *title)
{
	struct buf b = {0};

	gh_end_group(gh);
	buf_adds(&b, gh->actions ? "::group::" : "\n== ");
	add_data(&b, str_c(title));
	buf_addc(&b, '\n');
	flush(gh, &b);
	gh->in_group = true;
}

void gh_end_group(struct gh *gh)
{
	if (gh->in_group && gh->actions)
		gh->sink(gh->ctx, STR("::endgroup::\n"));
	gh->in_group = false;
}

/* ---- annotations ---- */

static const char *const level_names[] = {
        [GH_NOTICE] = "notice", [GH_WARNING] = "warning", [GH_ERROR] = "error"};

/* S, or as much of it as a message may have, cut before a character. */
static struct str cut(struct str s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xC0) == 0x80)
		max--;
	return str_n(s.p, max);
}

static void property(struct buf *b, const char *name, struct str value)
{
	if (b->p[b->n - 1] != ' ')
		buf_addc(b, ',');
	buf_printf(b, "%s=", name);
	add_property(b, value);
}

static void number_property(struct buf *b, const char *name, unsigned n)
{
	char text[16];

	if (!n)
		return;
	snprintf(text, sizeof(text), "%u", n);
	property(b, name, str_c(text));
}

static void plain_message(struct gh *gh, enum gh_level level, const char *file, unsigned line, unsigned col,
                          struct str message)
{
	struct buf b = {0};

	if (file)
		buf_adds(&b, file);
	if (file && line)
		buf_printf(&b, ":%u", line);
	if (file && line && col)
		buf_printf(&b, ":%u", col);
	if (file)
		buf_adds(&b, ": ");
	buf_printf(&b, "%s: ", level_names[level]);
	buf_addstr(&b, message);
	buf_addc(&b, '\n');
	/* Beyond its limit a runner shows these as text, and text must not turn into a command. */
	gh_foreign(gh, buf_str(&b));
	buf_burn(&b);
}

void gh_annotate(struct gh *gh, enum gh_level level, const char *title, const char *file, unsigned line,
                 unsigned col, struct str message)
{
	struct buf b = {0};

	if (!gh->actions || gh->annotations[level] >= ANNOTATIONS_MAX) {
		plain_message(gh, level, file, line, col, message);
		return;
	}
	gh->annotations[level]++;
	buf_printf(&b, "::%s ", level_names[level]);
	if (file) {
		property(&b, "file", str_c(file));
		number_property(&b, "line", line);
		number_property(&b, "col", col);
	}
	if (title)
		property(&b, "title", str_c(title));
	buf_adds(&b, "::");
	add_data(&b, cut(message, MESSAGE_MAX));
	buf_addc(&b, '\n');
	flush(gh, &b);
}

/* ---- foreign text ---- */

/* "::" at a line's start, or the older "##[" anywhere. */
static bool has_command(struct str text)
{
	if (str_find(text, STR("##["), 0) >= 0)
		return true;
	while (text.p) {
		if (str_starts(str_trim(str_split(&text, '\n')), "::"))
			return true;
	}
	return false;
}

void gh_foreign(struct gh *gh, struct str text)
{
	struct buf b = {0};
	unsigned char token[16];

	if (!gh->actions || !has_command(text)) {
		gh->sink(gh->ctx, text);
		return;
	}
	if (getrandom(token, sizeof(token), 0) != (ssize_t)sizeof(token))
		abort();
	buf_adds(&b, "::stop-commands::");
	for (size_t i = 0; i < sizeof(token); i++)
		buf_printf(&b, "%02x", token[i]);
	buf_addc(&b, '\n');
	gh->sink(gh->ctx, buf_str(&b));
	gh->sink(gh->ctx, text);
	if (text.p[text.n - 1] != '\n')
		gh->sink(gh->ctx, STR("\n"));
	buf_clear(&b);
	buf_adds(&b, "::");
	for (size_t i = 0; i < sizeof(token); i++)
		buf_printf(&b, "%02x", token[i]);
	buf_adds(&b, "::\n");
	flush(gh, &b);
}
