#include "unit.h"
#include "base/fs.h"
#include "base/log.h"
#include "github/commands.h"
#include "github/outputs.h"
#include <unistd.h>

static struct buf got;
static struct gh gh;
static struct gh_files files;
static struct arena *a;
static char dir[64];

static void sink(void *ctx, struct str text)
{
	buf_addstr(ctx, text);
}

static const char *said(void)
{
	return got.n ? got.p : "";
}

static int setup_step(void **state)
{
	struct val *env;

	(void)state;
	a = arena_new(NULL);
	buf_clear(&got);
	gh = (struct gh){.actions = true, .sink = sink, .ctx = &got};
	snprintf(dir, sizeof(dir), "/tmp/nante-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	env = val_map(a);
	val_set(env, "GITHUB_ACTIONS", val_strz(a, "true"));
	val_set(env, "GITHUB_OUTPUT", val_strz(a, fs_join(a, dir, "output")));
	val_set(env, "GITHUB_STEP_SUMMARY", val_strz(a, fs_join(a, dir, "summary")));
	assert_true(gh_detect(env));
	gh_files_init(&files, &gh, env);
	log_open(NULL, LOG_ERROR);
	return 0;
}

static int setup_terminal(void **state)
{
	setup_step(state);
	gh.actions = false;
	files = (struct gh_files){.gh = &gh};
	return 0;
}

static int teardown(void **state)
{
	struct err err = {0};

	(void)state;
	assert_true(fs_remove_tree(dir, &err));
	log_close();
	buf_free(&got);
	arena_free(a);
	return 0;
}

static const char *file(const char *name)
{
	struct buf text = {0};
	struct err err = {0};

	assert_true(fs_read(fs_join(a, dir, name), &text, &err));
	name = arena_strndup(a, text.p ? text.p : "", text.n);
	buf_free(&text);
	return name;
}

static void test_masks_come_in_every_form(void **state)
{
	static const char *const forms[] = {
	        "::add-mask::pa%25ss\"w0rd%0Asecond line\n", /* whole, escaped */
	        "::add-mask::pa%25ss\"w0rd\n",               /* its lines */
	        "::add-mask::second line\n",
	        "::add-mask::pa%25ss\\\"w0rd\\nsecond line\n",          /* JSON */
	        "::add-mask::pa%2525ss%2522w0rd%250Asecond%2520line\n", /* URL */
	        "::add-mask::cGElc3MidzByZApzZWNvbmQgbGluZQ==\n",       /* base64 */
	};

	(void)state;
	gh_mask(&gh, STR("pa%ss\"w0rd\nsecond line"));
	for (size_t i = 0; i < LENGTH(forms); i++) {
		if (!strstr(said(), forms[i]))
			fail_msg("no %s in\n%s", forms[i], said());
	}
	assert_null(strstr(said(), "::add-mask::\n"));
}

/* Inside a longer text, base64 shifts: whatever stands before, a masked part must show up. */
static void test_mask_of_embedded_base64(void **state)
{
	(void)state;
	gh_mask(&gh, STR("correct horse battery"));
	for (size_t before = 0; before < 3; before++) {
		struct buf text = {0}, raw = {0};
		struct str lines = buf_str(&got);
		bool hidden = false;

		buf_add(&raw, "xyz", before);
		buf_adds(&raw, "correct horse battery:tail");
		buf_base64(&text, buf_str(&raw));
		while (lines.p && !hidden) {
			struct str line = str_split(&lines, '\n');

			if (str_starts(line, "::add-mask::"))
				hidden = str_find(buf_str(&text), str_n(line.p + 12, line.n - 12), 0) >= 0;
		}
		assert_true(hidden);
		buf_free(&raw);
		buf_free(&text);
	}
}

static void test_short_lines_are_not_masked(void **state)
{
	(void)state;
	gh_mask(&gh, STR("abc"));
	gh_mask(&gh, STR(" \n "));
	assert_string_equal(said(), "");
	gh_mask(&gh, STR("first line\n}\n"));
	assert_null(strstr(said(), "::add-mask::}\n"));
}

static void test_groups(void **state)
{
	(void)state;
	gh_group(&gh, "plan\n::error::x");
	gh_group(&gh, "machines");
	gh_end_group(&gh);
	gh_end_group(&gh);
	assert_string_equal(said(),
	                    "::group::plan%0A::error::x\n::endgroup::\n::group::machines\n::endgroup::\n");
}

static void test_annotation(void **state)
{
	(void)state;
	gh_annotate(&gh, GH_ERROR, "task: a, b", "roles/x/tasks/main.yml", 12, 3, STR("bad\n100%"));
	gh_annotate(&gh, GH_WARNING, NULL, NULL, 0, 0, STR("careful"));
	gh_annotate(&gh, GH_NOTICE, "t", "f", 0, 0, STR("n"));
	assert_string_equal(
	        said(),
	        "::error file=roles/x/tasks/main.yml,line=12,col=3,title=task%3A a%2C b::bad%0A100%25\n"
	        "::warning ::careful\n"
	        "::notice file=f,title=t::n\n");
}

static void test_eleventh_annotation_is_text(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		gh_annotate(&gh, GH_ERROR, NULL, NULL, 0, 0, STR("x"));
	buf_clear(&got);
	gh_annotate(&gh, GH_ERROR, NULL, "f.yml", 2, 1, STR("eleven"));
	assert_string_equal(said(), "f.yml:2:1: error: eleven\n");
}

static void test_long_message_is_cut_between_characters(void **state)
{
	struct buf text = {0};
	const char *data;

	(void)state;
	buf_addc(&text, 'x');
	for (int i = 0; i < 3000; i++)
		buf_adds(&text, "\xc3\xa4");
	gh_annotate(&gh, GH_ERROR, NULL, NULL, 0, 0, buf_str(&text));
	data = said() + strlen("::error ::");
	assert_int_equal(strlen(data), 3999 + 1);
	assert_true(str_is_utf8(str_c(data)));
	buf_free(&text);
}

static void test_foreign_text_is_no_command(void **state)
{
	char first[64], expected[256];

	(void)state;
	gh_foreign(&gh, STR("plain :: text\n"));
	assert_string_equal(said(), "plain :: text\n");
	buf_clear(&got);
	gh_foreign(&gh, STR("a\n  ::set-env name=x::y"));
	assert_int_equal(sscanf(said(), "::stop-commands::%63s", first), 1);
	assert_int_equal(strlen(first), 32);
	snprintf(expected, sizeof(expected), "::stop-commands::%s\na\n  ::set-env name=x::y\n::%s::\n", first,
	         first);
	assert_string_equal(said(), expected);
	buf_clear(&got);
	gh_foreign(&gh, STR("x ##[error]y\n"));
	assert_non_null(strstr(said(), "::stop-commands::"));
}

static void test_output_file(void **state)
{
	struct err err = {0};
	char mark[2][64];

	(void)state;
	assert_true(gh_output(&files, "ids", STR("101\nids<<x"), &err));
	assert_true(gh_output(&files, "empty", STR(""), &err));
	assert_int_equal(sscanf(file("output"), "ids<<%63s\n101\nids<<x\n%63s\nempty<<", mark[0], mark[1]),
	                 2);
	assert_string_equal(mark[0], mark[1]);
	assert_int_equal(strlen(mark[0]), strlen("nante-") + 32);
	assert_string_equal(said(), "");
}

static void test_outputs_are_redacted(void **state)
{
	struct err err = {0};

	(void)state;
	log_secret(STR("hunter2hunter2"));
	assert_true(gh_output(&files, "dsn", STR("x:hunter2hunter2@h"), &err));
	assert_true(gh_summary(&files, STR("| hunter2hunter2 |\n"), &err));
	assert_null(strstr(file("output"), "hunter2"));
	assert_null(strstr(file("summary"), "hunter2"));
	assert_true(gh_output_secret(&files, "dsn", STR("x:hunter2hunter2@h"), &err));
	assert_non_null(strstr(file("output"), "x:hunter2hunter2@h"));
}

static void test_summary_has_a_limit(void **state)
{
	struct buf text = {0};
	struct err err = {0};
	const char *whole;

	(void)state;
	while (text.n < 700000)
		buf_adds(&text, "one line of a summary\n");
	assert_true(gh_summary(&files, buf_str(&text), &err));
	assert_true(gh_summary(&files, buf_str(&text), &err));
	assert_true(gh_summary(&files, STR("more\n"), &err));
	whole = file("summary");
	assert_true(strlen(whole) < 1 << 20 && strlen(whole) > (1 << 20) - 200);
	assert_non_null(strstr(whole, "one line of a summary\n\n\n_The rest was left out"));
	assert_null(strstr(whole, "more\n"));
	buf_free(&text);
}

static void test_file_that_cannot_be_written(void **state)
{
	struct err err = {0};

	(void)state;
	files.output = dir;
	assert_false(gh_output(&files, "x", STR("y"), &err));
	assert_int_equal(err.cls, ERR_REMOTE);
	err_clear(&err);
}

static void test_terminal(void **state)
{
	struct err err = {0};

	(void)state;
	gh_mask(&gh, STR("secret secret"));
	gh_group(&gh, "plan");
	gh_annotate(&gh, GH_ERROR, "t", "f.yml", 3, 7, STR("bad"));
	gh_foreign(&gh, STR("::error::x\n"));
	gh_end_group(&gh);
	assert_true(gh_output(&files, "leader", STR("node1"), &err));
	assert_true(gh_output_secret(&files, "dsn", STR("s3cret"), &err));
	assert_true(gh_state(&files, "s", STR("1"), &err));
	assert_true(gh_summary(&files, STR("| a |\n"), &err));
	assert_string_equal(said(),
	                    "\n== plan\nf.yml:3:7: error: bad\n::error::x\noutput leader: node1\n| a |\n");
}

int main(void)
{
#define STEP(f) cmocka_unit_test_setup_teardown(f, setup_step, teardown)
	const struct CMUnitTest tests[] = {
	        STEP(test_masks_come_in_every_form),
	        STEP(test_mask_of_embedded_base64),
	        STEP(test_short_lines_are_not_masked),
	        STEP(test_groups),
	        STEP(test_annotation),
	        STEP(test_eleventh_annotation_is_text),
	        STEP(test_long_message_is_cut_between_characters),
	        STEP(test_foreign_text_is_no_command),
	        STEP(test_output_file),
	        STEP(test_outputs_are_redacted),
	        STEP(test_summary_has_a_limit),
	        STEP(test_file_that_cannot_be_written),
	        cmocka_unit_test_setup_teardown(test_terminal, setup_terminal, teardown),
	};

	return cmocka_run_group_tests_name("github log", tests, NULL, NULL);
}
