#include "yaml/yaml_load.h"
#include "base/arena.h"
#include "base/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct row {
	const char *yaml, *want; /* as JSON, or the error's beginning */
	unsigned line, col;      /* > 0: an error is wanted, there */
};

static void check(const struct row *r)
{
	struct arena *a = arena_new(NULL);
	struct sources *ss = sources_new(a);
	struct err err = {0};
	struct val *v;
	uint32_t src = sources_add(ss, "t.yml", str_c(r->yaml));
	bool ok = yaml_load(a, sources_text(ss, src), src, NULL, &v, &err);
	if (r->line) {
		struct source_pos pos;
		assert_false(ok);
		assert_true(sources_locate(ss, err_origin(&err), &pos));
		assert_ptr_equal(strstr(err_msg(&err), r->want), err_msg(&err));
		assert_int_equal(pos.line, r->line);
		assert_int_equal(pos.col, r->col);
	} else {
		if (!ok)
			fail_msg("%s: %s", r->yaml, err_msg(&err));
		struct buf b = {0};
		json_dump(v, JSON_STYLE_COMPACT, &b);
		assert_string_equal(b.p, r->want);
		buf_free(&b);
	}
	err_clear(&err);
	arena_free(a);
}

static void test_values(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"", "null", 0, 0},
	        {"[yes, No, on, OFF, y, n, true, False]", "[true,false,true,false,\"y\",\"n\",true,false]", 0,
	         0},
	        {"[0644, 0o644, 0x1F, 0b101, 1_000, 1:30, +12, -0]", "[420,\"0o644\",31,5,1000,90,12,0]", 0,
	         0},
	        {"[1.5, 1e3, 1.0e+3, .5, 1_0.5, 190:20:30.15]", "[1.5,\"1e3\",1000.0,0.5,10.5,685230.15]", 0,
	         0},
	        {"[~, null, Null, '', \"\"]", "[null,null,null,\"\",\"\"]", 0, 0},
	        {"[2001-12-14, 1.2.3, 10.0.0.1, 08, 99999999999999999999]",
	         "[\"2001-12-14\",\"1.2.3\",\"10.0.0.1\",\"08\",99999999999999999999]", 0, 0},
	        {"a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n",
	         "{\"a\":{\"b\":1,\"c\":2},\"d\":{\"b\":1,\"c\":3}}", 0, 0},
	        {"<<: [{a: 1}, {a: 2, b: 3}]\nb: 4", "{\"a\":1,\"b\":4}", 0, 0},
	        {"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}", 0, 0},
	        {"!!str 5", "\"5\"", 0, 0},
	        {"a: !!int '5'\nb: !!binary aGk=\n", "{\"a\":5,\"b\":\"hi\"}", 0, 0},
	        {"a: 1\na: 2\n", "{\"a\":2}", 0, 0},
	        {"a: &x 1\nb: &x [2]\nc: [*x, *x]\n", "{\"a\":1,\"b\":[2],\"c\":[[2],[2]]}", 0, 0},
	        {"--- # only\nx\n", "\"x\"", 0, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(&rows[i]);
}

static void test_errors(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"a: b: c\n", "YAML: mapping values are not allowed in this context", 1, 5},
	        {"a: {{ foo }}\n", "found unhashable key", 1, 5},
	        {"a:\n  - é: [1\n", "YAML: while parsing a flow sequence", 3, 1},
	        {"a: *nope\n", "found undefined alias 'nope'", 1, 4},
	        {"x: !vault |\n  abc\n", "vault-encrypted", 2, 3},
	        {"x: !foo 1\n", "could not determine a constructor", 1, 4},
	        {"a: 1\n---\nb: 2\n", "YAML: expected a single document", 3, 1},
	        {"\tx: 1\n", "YAML: while scanning for the next token", 1, 1},
	        {"a: &a [1, *a]\n", "the alias 'a' lies within the value it stands for", 1, 11},
	        {"a: &a {b: &b [c, *a]}\n", "the alias 'a' lies within the value it stands for", 1, 18},
	        {"a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	         "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
	         "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
	         "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
	         "e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n"
	         "f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\n",
	         "the aliases stand for more than 1000000 values", 6, 36},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(&rows[i]);
}

static void test_unsafe_and_origin(void **state)
{
	(void)state;
	struct arena *a = arena_new(NULL);
	struct err err = {0};
	struct val *v;
	struct str t = STR("é: !unsafe '{{ x }}'\nb: \"q\"\n");
	assert_true(yaml_load(a, t, 7, NULL, &v, &err));
	assert_true(val_unsafe(val_get(v, "é")));
	assert_false(val_unsafe(val_get(v, "b")));
	struct origin o = val_origin(val_get(v, "b"));
	assert_int_equal(o.src, 7);
	assert_int_equal(t.p[o.off], 'q');
	arena_free(a);
}

static void test_locate(void **state)
{
	(void)state;
	struct str src = STR("a: |\n    one\n    two {{ x\n"), text = STR("one\ntwo {{ x\n");
	struct origin o = yaml_locate(src, (struct origin){1, 9}, text, 8);
	assert_int_equal(src.p[o.off], '{');
	assert_int_equal(src.p[o.off - 1], ' ');
}

static void dump_is(const char *yaml, struct yaml_style st, const char *want)
{
	struct arena *a = arena_new(NULL);
	struct err err = {0};
	struct val *v;
	assert_true(yaml_load(a, str_c(yaml), 0, NULL, &v, &err));
	struct buf b = {0};
	yaml_dump(v, st, &b);
	assert_string_equal(b.p, want);
	buf_free(&b);
	arena_free(a);
}

/* Expectations recorded from PyYAML 6.0's CSafeDumper, as AnsibleDumper uses it. */
static void test_dump(void **state)
{
	(void)state;
	struct yaml_style nice = {4, 80, true, false, true}, plain = {2, 80, true, true, true};
	dump_is("b: [1, 'x: y', {c: d}]\na: 'yes'\n", nice, "a: 'yes'\nb:\n- 1\n- 'x: y'\n-   c: d\n");
	dump_is("b: [1, 2]\na: {x: null, y: 1.0e+17}\n", plain, "a: {x: null, y: 1.0e+17}\nb: [1, 2]\n");
	dump_is("[\"a\\nb\", \"\\t\", 'é', '', '~']", nice, "- 'a\n\n    b'\n- \"\\t\"\n- é\n- ''\n- '~'\n");
	dump_is("a: &x [1]\nb: *x\n", nice, "a: &id001\n- 1\nb: *id001\n");
	dump_is("foo", plain, "foo\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_values),
	        cmocka_unit_test(test_errors),
	        cmocka_unit_test(test_unsafe_and_origin),
	        cmocka_unit_test(test_locate),
	        cmocka_unit_test(test_dump),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
