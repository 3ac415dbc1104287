/* Secrets in all the ways they may be written, and text that only looks like them. */
#include "unit.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/redact.h"
#include "base/val.h"

#define KEY                                                                        \
	"-----BEGIN OPENSSH PRIVATE KEY-----\n"                                    \
	"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n" \
	"QyNTUxOQAAACBXk2jT7KZ0qbLxF3mUuHqjKZrEyxfJ0MFvR1z1Kj7wvAAAAJi6WQ9Yulk\n"  \
	"-----END OPENSSH PRIVATE KEY-----\n"

static const char *const secrets[] = {
        "correct-horse-9",
        "pa\"ss'w%rd$HOME\\n`x`\n",
        "quo''te'\"'d\\\\twice\\",
        "back\\\nslash\tand\x01more",
        "p\xc3\xa4ssw\xc3\xb6rt \xf0\x9f\x94\x91 key",
        "two words & <tag>",
        "{\n  \"user\": \"service-1\",\n  \"private_key\": \"line-one\\nline-two\"\n}\n",
        "https://robot:s3cr%40t-w0rd@git.example.com/x.git",
        KEY,
};

typedef void encoder(struct str s, struct buf *out);

static void plain(struct str s, struct buf *out)
{
	buf_addstr(out, s);
}

static void json_utf8(struct str s, struct buf *out)
{
	json_quote(s, false, out);
}

static void json_ascii(struct str s, struct buf *out)
{
	json_quote(s, true, out);
}

static void json_twice(struct str s, struct buf *out)
{
	struct buf once = {0};

	json_quote(s, true, &once);
	json_quote(buf_str(&once), true, out);
	buf_free(&once);
}

static void repr(struct str s, struct buf *out)
{
	struct arena *a = arena_new(NULL);

	val_repr(val_str(a, s), out);
	arena_free(a);
}

static void repr_in_json(struct str s, struct buf *out)
{
	struct buf once = {0};

	repr(s, &once);
	json_quote(buf_str(&once), true, out);
	buf_free(&once);
}

static void url(struct str s, struct buf *out)
{
	buf_percent(out, s);
}

static void url_twice(struct str s, struct buf *out)
{
	struct buf once = {0};

	buf_percent(&once, s);
	buf_percent(out, buf_str(&once));
	buf_free(&once);
}

/* As shlex.quote() and Ansible's quote filter. */
static void shell(struct str s, struct buf *out)
{
	buf_addc(out, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'')
			buf_adds(out, "'\"'\"'");
		else
			buf_addc(out, s.p[i]);
	}
	buf_addc(out, '\'');
}

static void shell_in_json(struct str s, struct buf *out)
{
	struct buf once = {0};

	shell(s, &once);
	json_quote(buf_str(&once), false, out);
	buf_free(&once);
}

static void shell_by_backslash(struct str s, struct buf *out)
{
	buf_addc(out, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'')
			buf_adds(out, "'\\''");
		else
			buf_addc(out, s.p[i]);
	}
	buf_addc(out, '\'');
}

static void yaml_single(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		buf_addc(out, s.p[i]);
		if (s.p[i] == '\'')
			buf_addc(out, '\'');
	}
}

static void indented(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		buf_addc(out, s.p[i]);
		if (s.p[i] == '\n')
			buf_adds(out, "        ");
	}
}

static void html(struct str s, struct buf *out)
{
	static const char special[] = "&<>\"'";
	static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};

	for (size_t i = 0; i < s.n; i++) {
		const char *at = s.p[i] ? strchr(special, s.p[i]) : NULL;

		if (at)
			buf_adds(out, names[at - special]);
		else
			buf_addc(out, s.p[i]);
	}
}

static void base64(struct str s, struct buf *out)
{
	buf_base64(out, s);
}

static void base64_of_url(struct str s, struct buf *out)
{
	buf_base64(out, s);
	for (size_t i = 0; i < out->n; i++) {
		if (out->p[i] == '+' || out->p[i] == '/')
			out->p[i] = out->p[i] == '+' ? '-' : '_';
	}
}

static const struct {
	const char *name;
	encoder *fn;
} ways[] = {
        {"plain", plain},
        {"JSON", json_utf8},
        {"ASCII JSON", json_ascii},
        {"JSON in JSON", json_twice},
        {"Python", repr},
        {"Python in JSON", repr_in_json},
        {"URL", url},
        {"URL in a URL", url_twice},
        {"shell", shell},
        {"shell in JSON", shell_in_json},
        {"shell, backslashes", shell_by_backslash},
        {"YAML", yaml_single},
        {"indented", indented},
        {"HTML", html},
        {"base64", base64},
        {"base64 of URLs", base64_of_url},
};

static void hide(const char *secret, struct str text, struct buf *out)
{
	struct redact r = {0};

	redact_add(&r, str_c(secret));
	redact_text(&r, text, out);
	redact_clear(&r);
}

/* Between two words, whatever the secret is written as, only the words remain, and what quotes it. */
static void hidden_however_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(secrets); i++) {
		for (size_t k = 0; k < LENGTH(ways); k++) {
			struct str secret = str_trim(str_c(secrets[i]));
			struct buf written = {0}, text = {0}, shown = {0};

			ways[k].fn(secret, &written);
			buf_printf(&text, "before %s after", written.p);
			hide(secrets[i], buf_str(&text), &shown);
			if (shown.n > strlen("before  after") + 12 || !strstr(shown.p, "***") ||
			    !str_starts(buf_str(&shown), "before ") || !str_ends(buf_str(&shown), " after"))
				fail_msg("secret %zu as %s:\n%s\nshows\n%s", i, ways[k].name, text.p,
				         shown.p);
			buf_free(&written);
			buf_free(&text);
			buf_free(&shown);
		}
	}
}

/* base64 of a file that holds the secret somewhere, broken into lines of 76 and 64. */
static void hidden_in_the_base64_of_a_file(void **state)
{
	(void)state;
	for (size_t before = 0; before < 90; before++) {
		struct buf file = {0}, text = {0}, broken = {0}, shown = {0};
		size_t columns = before % 2 ? 76 : 64;

		for (size_t i = 0; i < before; i++)
			buf_addc(&file, (char)('a' + i % 7));
		buf_adds(&file, KEY "the rest of the file");
		buf_base64(&text, buf_str(&file));
		for (size_t i = 0; i < text.n; i++) {
			if (i && i % columns == 0)
				buf_addc(&broken, '\n');
			buf_addc(&broken, text.p[i]);
		}
		hide(KEY, buf_str(&broken), &shown);
		if (shown.n > text.n - sizeof(KEY) * 4 / 3 + 160)
			fail_msg("%zu bytes before it:\n%s", before, shown.p);
		buf_free(&file);
		buf_free(&text);
		buf_free(&broken);
		buf_free(&shown);
	}
}

static void parts_are_hidden_alone(void **state)
{
	static const struct {
		const char *secret, *text, *shown;
	} cases[] = {
	        {KEY, "line QyNTUxOQAAACBXk2jT7KZ0qbLxF3mUuHqjKZrEyxfJ0MFvR1z1Kj7wvAAAAJi6WQ9Yulk.",
	         "line ***."},
	        {"https://robot:s3cr%40t-w0rd@git.example.com/x", "login robot s3cr@t-w0rd",
	         "login robot ***"},
	        {"https://robot:s3cr%40t-w0rd@git.example.com/x", "s3cr%40t-w0rd", "***"},
	        {"postgres://u:p@ss-w/rd@h/db", "postgres://u:p@ss-w/rd@h/db?x", "***?x"},
	        {"{\"password\": \"hunter2hunter2\", \"port\": \"5432\"}", "5432 hunter2hunter2", "5432 ***"},
	        {"[{\"k\": \"one-line\\ntwo-line\"}]", "x two-line y", "x *** y"},
	        /* Two that overlap: nothing of either remains. */
	        {"abcdefgh\ndefghijk", "1abcdefghijk2", "1***2"},
	        {"abcdefgh", "abcdefghabcdefgh", "***"},
	        {"word word", "word\n      word", "***"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct buf shown = {0};

		hide(cases[i].secret, str_c(cases[i].text), &shown);
		assert_string_equal(shown.p, cases[i].shown);
		buf_free(&shown);
	}
}

static void other_text_stays(void **state)
{
	static const struct {
		const char *secret, *text;
	} cases[] = {
	        {"abc", "abc abcabc"},
	        {"  abc \n", "abc"},
	        {"monday", "mondai Monday m\\onday"},
	        {"", "nothing\\ is %here"},
	        {"{\n  \"a\": 1\n}", "{ } \"a\": 2"},
	        {"pass%word", "pass%25wort pass%%word"},
	        {"it's-me", "its-me it\\s-me it'"},
	        {"0123456789abcdef0123456789", "/usr/lib/python3/dist-packages/and/so/on/for/a/while"},
	        {"https://host/path:x@y", "host path x"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct buf shown = {0};

		hide(cases[i].secret, str_c(cases[i].text), &shown);
		assert_string_equal(shown.p, cases[i].text);
		buf_free(&shown);
	}
}

/* Quotes may be written in several ways each: trying them all must end. */
static void quotes_alone_take_no_time(void **state)
{
	struct redact r = {0};
	struct buf many = {0}, text = {0}, shown = {0};

	(void)state;
	for (int i = 0; i < 400; i++) {
		buf_adds(&many, "'");
		buf_adds(&text, "'\\''\"'\"'");
	}
	buf_adds(&many, "x");
	buf_adds(&text, "y");
	redact_add(&r, buf_str(&many));
	assert_false(redact_text(&r, buf_str(&text), &shown));
	assert_string_equal(shown.p, text.p);
	redact_clear(&r);
	buf_free(&many);
	buf_free(&text);
	buf_free(&shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(hidden_however_written),    cmocka_unit_test(hidden_in_the_base64_of_a_file),
	        cmocka_unit_test(parts_are_hidden_alone),    cmocka_unit_test(other_text_stays),
	        cmocka_unit_test(quotes_alone_take_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
