/* Values print, compare and serialise as Python's; secrets are redacted in every form; children are run and
 * bounded. */
#include "base/arena.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/suggest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static struct val *parse(struct arena *a, const char *json)
{
	struct err err = {0};
	struct val *v;

	if (!json_parse(a, str_c(json), 0, &v, &err))
		fail_msg("%s: %s", json, err_msg(&err));
	return v;
}

static void repr_as_python(void **state)
{
	static const struct {
		const char *json, *repr;
	} rows[] = {
	        {"[1, \"a\", null, true, 1.5]", "[1, 'a', None, True, 1.5]"},
	        {"{\"k\": {\"x\": []}}", "{'k': {'x': []}}"},
	        {"\"it's\"", "\"it's\""},
	        {"\"both ' and \\\"\"", "'both \\' and \"'"},
	        {"\"tab\\tnl\\n\\u0001\\u00e9\"", "'tab\\tnl\\n\\x01\xc3\xa9'"},
	        {"1e16", "1e+16"},
	        {"1e15", "1000000000000000.0"},
	        {"0.0001", "0.0001"},
	        {"0.00001", "1e-05"},
	        {"0.1", "0.1"},
	        {"100.0", "100.0"},
	        {"123456.789", "123456.789"},
	        {"-2.5e-7", "-2.5e-07"},
	        {"5e-324", "5e-324"},
	};
	struct arena *a = arena_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buf b = {0};

		val_repr(parse(a, rows[i].json), &b);
		assert_string_equal(b.p, rows[i].repr);
		buf_free(&b);
	}
	arena_free(a);
}

static void tuples_print_their_comma(void **state)
{
	struct arena *a = arena_new(NULL);
	struct val *t = val_tuple(a);
	struct buf b = {0};

	(void)state;
	val_push(t, val_int(a, 1));
	val_repr(t, &b);
	assert_string_equal(b.p, "(1,)");
	buf_free(&b);
	arena_free(a);
}

static void maps_keep_order_and_find_all(void **state)
{
	struct arena *a = arena_new(NULL);
	struct val *m = val_map(a);

	(void)state;
	for (int i = 0; i < 1000; i++)
		val_set(m, arena_printf(a, "k%d", i), val_int(a, i));
	for (int i = 0; i < 1000; i += 2)
		assert_true(val_del(m, str_c(arena_printf(a, "k%d", i))));
	assert_int_equal(val_len(m), 500);
	for (int i = 0; i < 1000; i++) {
		struct val *v = val_get(m, arena_printf(a, "k%d", i));

		assert_int_equal(v != NULL, i % 2);
		if (v)
			assert_int_equal(val_get_int(v), i);
	}
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(val_get_int(val_value_at(m, i)), 2 * i + 1);
	arena_free(a);
}

static void equal_numbers_are_one_key(void **state)
{
	struct arena *a = arena_new(NULL);
	struct val *m = val_map(a);

	(void)state;
	val_setk(m, val_int(a, 1), val_strz(a, "int"));
	val_setk(m, val_float(a, 1.0), val_strz(a, "float"));
	val_setk(m, val_bool(true), val_strz(a, "bool"));
	assert_int_equal(val_len(m), 1);
	assert_string_equal(val_get_strz(val_getk(m, val_int(a, 1))), "bool");
	arena_free(a);
}

/* Keys that are hard to hash, as many as make an index. */
static void odd_numbers_are_keys(void **state)
{
	struct arena *a = arena_new(NULL);
	struct val *m = val_map(a);

	(void)state;
	val_setk(m, val_float(a, INFINITY), val_int(a, 1));
	val_setk(m, val_float(a, -INFINITY), val_int(a, 2));
	val_setk(m, val_float(a, NAN), val_int(a, 3));
	val_setk(m, val_float(a, 1e300), val_int(a, 4));
	for (int i = 0; i < 100; i++)
		val_setk(m, val_float(a, i + 0.5), val_int(a, i));
	assert_int_equal(val_len(m), 104);
	assert_int_equal(val_get_int(val_getk(m, val_float(a, INFINITY))), 1);
	assert_int_equal(val_get_int(val_getk(m, val_float(a, 1e300))), 4);
	assert_int_equal(val_get_int(val_getk(m, val_float(a, 42.5))), 42);
	assert_null(val_getk(m, val_float(a, 42.25)));
	assert_null(val_getk(m, val_float(a, NAN)));
	assert_true(val_delk(m, val_float(a, 42.5)));
	assert_null(val_getk(m, val_float(a, 42.5)));
	arena_free(a);
}

static void no_map_has_no_members(void **state)
{
	struct arena *a = arena_new(NULL);

	(void)state;
	assert_string_equal(val_map_strz(val_list(a), "k", "none"), "none");
	assert_int_equal(val_map_int(val_strz(a, "k"), "k", 7), 7);
	assert_true(val_map_bool(val_null(), "k", true));
	assert_true(str_eqc(val_map_str(val_int(a, 1), "k", "none"), "none"));
	arena_free(a);
}

static void comparisons(void **state)
{
	struct arena *a = arena_new(NULL);
	struct err err = {0};
	int c;

	(void)state;
	assert_true(val_equal(parse(a, "[1, {\"a\": 2.0}]"), parse(a, "[1.0, {\"a\": 2}]")));
	assert_false(val_equal(parse(a, "\"1\""), parse(a, "1")));
	assert_true(val_compare(parse(a, "[1, 2]"), parse(a, "[1, 3]"), &c, &err) && c < 0);
	assert_false(val_compare(parse(a, "1"), parse(a, "\"a\""), &c, &err));
	assert_string_equal(err_msg(&err), "'<' not supported between instances of 'int' and 'str'");
	err_clear(&err);
	arena_free(a);
}

/* A list that holds itself must not take the program down. */
static void cycles_end(void **state)
{
	struct arena *a = arena_new(NULL);
	struct val *l = val_list(a);
	struct buf b = {0};
	struct err err = {0};
	int c;

	(void)state;
	val_push(l, l);
	assert_non_null(val_copy(a, l));
	json_dump(l, JSON_STYLE_COMPACT, &b);
	buf_clear(&b);
	assert_false(val_compare(l, val_copy(a, l), &c, &err) && c == 0);
	err_clear(&err);
	val_push(l, l);
	val_repr(l, &b);
	assert_string_equal(b.p, "[[...], [...]]");
	assert_true(val_equal(l, l));
	/* Too many to look at: the answer that refuses. */
	assert_true(val_secret_deep(l));
	buf_free(&b);
	arena_free(a);
}

static void taint_and_copies(void **state)
{
	struct arena *a = arena_new(NULL), *b = arena_new(NULL);
	struct val *v = parse(a, "{\"pw\": [\"s\"]}");
	struct val *s = val_mark_secret(b, v);

	(void)state;
	assert_false(val_secret_deep(v));
	assert_true(val_secret(val_at(val_get(s, "pw"), 0)));
	struct val *c = val_copy(b, s);

	arena_free(a);
	assert_true(val_secret(val_at(val_get(c, "pw"), 0)));
	assert_string_equal(val_get_strz(val_at(val_get(c, "pw"), 0)), "s");
	arena_free(b);
}

static void json_as_python(void **state)
{
	struct arena *a = arena_new(NULL);
	struct val *v = parse(a, "{\"b\": [1, \"\\u00e9\\n\"], \"a\": {}, \"c\": 1.0}");
	struct json_style pretty = {4, true, true, false};
	struct buf b = {0};

	(void)state;
	json_dump(v, JSON_STYLE_PYTHON, &b);
	assert_string_equal(b.p, "{\"b\": [1, \"\\u00e9\\n\"], \"a\": {}, \"c\": 1.0}");
	buf_clear(&b);
	json_dump(v, JSON_STYLE_COMPACT, &b);
	assert_string_equal(b.p, "{\"b\":[1,\"\xc3\xa9\\n\"],\"a\":{},\"c\":1.0}");
	buf_clear(&b);
	json_dump(v, pretty, &b);
	assert_string_equal(b.p, "{\n    \"a\": {},\n    \"b\": [\n        1,\n        \"\\u00e9\\n\"\n    "
	                         "],\n    \"c\": 1.0\n}");
	buf_free(&b);
	arena_free(a);
}

static void json_knows_where(void **state)
{
	struct arena *a = arena_new(NULL);
	struct sources *ss = sources_new(a);
	struct str text = STR("{\n  \"a\": [1, true],\n  \"b\": {\"c\": \"x\"}\n}\n");
	uint32_t src = sources_add(ss, "in", text);
	struct source_pos pos;
	struct err err = {0};
	struct val *v;

	(void)state;
	assert_true(json_parse(a, text, src, &v, &err));
	assert_true(sources_locate(ss, val_origin(val_at(val_get(v, "a"), 1)), &pos));
	assert_int_equal(pos.line * 100 + pos.col, 212);
	assert_true(sources_locate(ss, val_origin(val_get(val_get(v, "b"), "c")), &pos));
	assert_int_equal(pos.line * 100 + pos.col, 314);
	assert_false(json_parse(a, STR("{\n \"a\": }"), src, &v, &err));
	assert_true(sources_locate(ss, err_origin(&err), &pos));
	assert_int_equal(pos.line, 2);
	err_clear(&err);
	assert_false(json_parse(a, STR("{\"a\": 1, \"a\": 2}"), src, &v, &err));
	assert_non_null(strstr(err_msg(&err), "duplicate"));
	err_clear(&err);
	arena_free(a);
}

static void json_carries_bytes(void **state)
{
	/* Not UTF-8; UTF-8; the characters that stand for bytes, and their neighbours. */
	const struct str rows[] = {STR("a\xff"
	                               "b\x80\n\0c"),
	                           STR("\xc3\xa9 \xf0\x9f\x98\x80"),
	                           STR("\xf4\x8f\x9e\x80 \xf4\x8f\x9f\xbf"),
	                           STR("\xf4\x8f\x9d\xbf \xf4\x8f\xa0\x80"),
	                           STR("\xf4\x8f\x9e"),
	                           STR("")};
	struct arena *a = arena_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct val *m = val_map(a), *back;
		struct err err = {0};
		struct buf b = {0};

		/* jansson takes no NUL in a key. */
		val_sets(m, memchr(rows[i].p, 0, rows[i].n) ? STR("key") : rows[i], val_str(a, rows[i]));
		json_dump(m, JSON_STYLE_BYTES, &b);
		assert_true(str_is_utf8(buf_str(&b)));
		assert_true(json_parse_bytes(a, buf_str(&b), &back, &err));
		assert_true(val_equal(m, back));
		buf_free(&b);
	}
	arena_free(a);
}

static void redaction(void **state)
{
	static const char *const leaks[] = {
	        "plain pa\"ss%word$1 end",      "json \"pa\\\"ss%word$1\"", "url pa%22ss%25word%241",
	        "base64 cGEic3Mld29yZCQx here", "line two-of-key",          "xxpa\"ss%word$1pa\"ss%word$1",
	};
	struct buf b = {0};

	(void)state;
	log_secret(STR("pa\"ss%word$1"));
	log_secret(STR("one-of-key\ntwo-of-key\n"));
	log_secret(STR("abc")); /* too short to be registered */
	for (size_t i = 0; i < sizeof(leaks) / sizeof(*leaks); i++) {
		buf_clear(&b);
		log_redact(str_c(leaks[i]), &b);
		assert_non_null(strstr(b.p, "***"));
		assert_null(strstr(b.p, "word"));
		assert_null(strstr(b.p, "two"));
		assert_null(strstr(b.p, "cGEi"));
	}
	buf_clear(&b);
	log_redact(STR("abc stays"), &b);
	assert_string_equal(b.p, "abc stays");
	log_close();
	buf_free(&b);
}

static void errors_chain(void **state)
{
	struct err err = {0};
	struct buf b = {0};

	(void)state;
	assert_false(err_set(&err, ERR_USER, ORIGIN_NONE, "cause %d", 1));
	err_set(&err, ERR_BUG, ORIGIN_NONE, "later");
	err_wrap(&err, (struct origin){3, 7}, "context");
	err_text(&err, &b);
	assert_string_equal(b.p, "context: cause 1");
	assert_int_equal(err.cls, ERR_USER);
	assert_int_equal(err_origin(&err).off, 7);
	buf_free(&b);
	err_clear(&err);
}

static void integers(void **state)
{
	int64_t i = 0;

	(void)state;
	assert_true(str_int(STR("-9223372036854775808"), &i) && i == INT64_MIN);
	assert_true(str_int(STR("9223372036854775807"), &i) && i == INT64_MAX);
	assert_false(str_int(STR("9223372036854775808"), &i));
	assert_false(str_int(STR(""), &i) || str_int(STR("-"), &i) || str_int(STR("1 "), &i));
}

static void base64(void **state)
{
	static const char *const bad[] = {"a", "ab=c", "ab===", "a*bc"};
	struct buf b = {0};

	(void)state;
	buf_base64(&b, STR("any carnal pleas"));
	assert_string_equal(b.p, "YW55IGNhcm5hbCBwbGVhcw==");
	struct buf back = {0};

	assert_true(buf_unbase64(&back, buf_str(&b)));
	assert_string_equal(back.p, "any carnal pleas");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(buf_unbase64(&back, str_c(bad[i])));
	buf_free(&b);
	buf_free(&back);
}

static void buffers_have_a_ceiling(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_adds(&b, "12345678");
	buf_adds(&b, "90a");
	assert_true(b.full);
	assert_int_equal(b.n, 8);
	buf_free(&b);
}

static int lines;

static void count_line(void *ctx, struct str line, bool is_stderr)
{
	(void)ctx;
	(void)is_stderr;
	lines += line.n > 0;
}

static void children(void **state)
{
	const char *const cat[] = {"sh", "-c", "cat; echo oops >&2; exit 3", NULL};
	const char *const sleepy[] = {"sh", "-c", "echo begin; sleep 20", NULL};
	const char *const none[] = {"no-such-program-here", NULL};
	struct proc_result r;
	struct err err = {0};

	(void)state;
	assert_true(proc_run(&(struct proc_opts){.argv = cat, .input = STR("a\nb\n"), .on_line = count_line},
	                     &r, &err));
	assert_int_equal(r.status, 3);
	assert_string_equal(r.out.p, "a\nb\n");
	assert_string_equal(r.err.p, "oops\n");
	assert_int_equal(lines, 3);
	proc_result_free(&r);
	assert_true(proc_run(&(struct proc_opts){.argv = sleepy, .timeout_ms = 200}, &r, &err));
	assert_true(r.timed_out && r.seconds < 10);
	proc_result_free(&r);
	assert_false(proc_run(&(struct proc_opts){.argv = none}, &r, &err));
	assert_non_null(strstr(err_msg(&err), "No such file"));
	proc_result_free(&r);
	err_clear(&err);
}

static void files(void **state)
{
	struct arena *a = arena_new(NULL);
	char dir[] = "/tmp/nante-test-XXXXXX";
	struct err err = {0};
	struct buf b = {0};

	(void)state;
	assert_non_null(mkdtemp(dir));
	char *sub = arena_printf(a, "%s/x/y", dir), *file = fs_join(a, sub, "f");

	assert_true(fs_mkdirs(sub, 0755, &err) && fs_mkdirs(sub, 0755, &err));
	assert_true(fs_write(file, STR("hello"), 0600, &err) && fs_read(file, &b, &err));
	assert_string_equal(b.p, "hello");
	buf_free(&b);
	buf_init(&b, 3);
	assert_false(fs_read(file, &b, &err));
	err_clear(&err);
	assert_true(fs_remove_tree(dir, &err) && !fs_exists(dir));
	buf_free(&b);
	arena_free(a);
}

static void suggestions(void **state)
{
	struct suggest s = {.name = STR("ip_adress")};

	(void)state;
	suggest_offer(&s, "cpu_cores");
	suggest_offer(&s, "ip_address");
	assert_string_equal(s.best, "ip_address");
	assert_int_equal(str_distance(STR("copy"), STR("cpoy")), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(repr_as_python),
	        cmocka_unit_test(tuples_print_their_comma),
	        cmocka_unit_test(maps_keep_order_and_find_all),
	        cmocka_unit_test(equal_numbers_are_one_key),
	        cmocka_unit_test(odd_numbers_are_keys),
	        cmocka_unit_test(no_map_has_no_members),
	        cmocka_unit_test(comparisons),
	        cmocka_unit_test(cycles_end),
	        cmocka_unit_test(taint_and_copies),
	        cmocka_unit_test(json_as_python),
	        cmocka_unit_test(json_knows_where),
	        cmocka_unit_test(json_carries_bytes),
	        cmocka_unit_test(redaction),
	        cmocka_unit_test(errors_chain),
	        cmocka_unit_test(integers),
	        cmocka_unit_test(base64),
	        cmocka_unit_test(buffers_have_a_ceiling),
	        cmocka_unit_test(children),
	        cmocka_unit_test(files),
	        cmocka_unit_test(suggestions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
