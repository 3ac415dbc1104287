/* jinja's interface: places of errors, undeclared names, secrets, what a caller's values suffer, hostile
 * input. */
#include "base/arena.h"
#include "base/json.h"
#include "base/source.h"
#include "jinja/jinja.h"
#include "unit.h"

struct fixture {
	struct arena *a;
	struct sources *ss;
	struct jinja_env *env;
	struct val *vars, *files;
	struct err err;
	unsigned asked; /* calls of resolve */
};

static bool resolve(void *ctx, struct str name, struct arena *a, struct val **ret, struct err *err)
{
	struct fixture *f = ctx;
	(void)a;
	(void)err;
	f->asked++;
	*ret = val_gets(f->vars, name);
	return true;
}

static bool load(void *ctx, struct str name, struct arena *a, struct str *ret_text, struct origin *ret_origin,
                 struct err *err)
{
	struct fixture *f = ctx;
	struct val *v = val_gets(f->files, name);
	(void)a;
	(void)err;
	if (v) {
		*ret_text = val_get_str(v);
		*ret_origin = (struct origin){
		        sources_add(f->ss, val_get_strz(val_key_at(f->files, 0)), *ret_text), 0};
	}
	return true;
}

static struct fixture *setup(bool ansible)
{
	struct arena *a = arena_new(NULL);
	struct fixture *f = ARENA_NEW(a, struct fixture);
	f->a = a;
	f->ss = sources_new(a);
	f->env = jinja_env_new(a, ansible);
	f->vars = val_map(a);
	f->files = val_map(a);
	return f;
}

static void teardown(struct fixture *f)
{
	err_clear(&f->err);
	arena_free(f->a);
}

static struct jinja_ctx *context(struct fixture *f)
{
	const struct jinja_hooks hooks = {.ctx = f, .resolve = resolve, .load = load};
	return jinja_ctx_new(f->env, f->a, &hooks);
}

static struct jinja_tmpl *compile(struct fixture *f, const char *text)
{
	struct origin at = {sources_add(f->ss, "t.j2", str_c(text)), 0};
	struct jinja_opts opts = {.ansible = false};
	struct jinja_tmpl *t;
	return jinja_compile(f->env, f->a, str_c(text), at, &opts, &t, &f->err) ? t : NULL;
}

static struct val *render(struct fixture *f, const char *text)
{
	struct jinja_tmpl *t = compile(f, text);
	struct val *v = NULL;
	return t && jinja_render(t, context(f), f->a, &v, &f->err) ? v : NULL;
}

static struct val *value(struct fixture *f, const char *text)
{
	struct jinja_tmpl *t = compile(f, text);
	struct val *v = NULL;
	return t && jinja_render_ansible(t, context(f), f->a, &v, &f->err) ? v : NULL;
}

/* ---- errors */

static void test_places(void **state)
{
	static const struct {
		const char *text, *message;
		unsigned line, col;
	} rows[] = {
	        {"a\n  {{ foo | nope }}", "No filter named 'nope'.", 2, 12},
	        {"{{ 1 is nope }}", "No test named 'nope'.", 1, 9},
	        {"{{ a b }}", "expected token 'end of print statement', got 'b'", 1, 6},
	        {"é{{ ( }}", "unexpected '}'", 1, 7},
	        {"{% if x %}\n{% for y in z %}\n", "Unexpected end of template.", 2, 17},
	        {"{% frob %}", "Encountered unknown tag 'frob'.", 1, 4},
	        {"ok\n{{ 1 +\n 'a' }}", "unsupported operand type(s) for +: 'int' and 'str'", 2, 6},
	        {"{{ missing.attr }}", "'missing' is undefined", 1, 4},
	        {"{{ 'x' | regex_search('(') }}", "the regular expression '(' is not valid", 1, 10},
	        {"{% for x in 5 %}{% endfor %}", "'int' object is not iterable", 1, 13},
	        {"{{ [3, 'a'] | sort }}", "'<' not supported between instances of 'str' and 'int'", 1, 15},
	        {"{{ none() }}", "'NoneType' object is not callable", 1, 4},
	};
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct fixture *f = setup(true);
		struct source_pos pos;
		assert_null(render(f, rows[i].text));
		if (strncmp(err_msg(&f->err), rows[i].message, strlen(rows[i].message)) != 0)
			fail_msg("%s: %s", rows[i].text, err_msg(&f->err));
		assert_true(sources_locate(f->ss, err_origin(&f->err), &pos));
		if (pos.line != rows[i].line || pos.col != rows[i].col)
			fail_msg("%s: at %u:%u", rows[i].text, pos.line, pos.col);
		teardown(f);
	}
}

static void test_suggestion(void **state)
{
	struct fixture *f = setup(true);
	(void)state;
	assert_null(render(f, "{{ x | combin({}) }}"));
	assert_non_null(f->err.hint);
	assert_non_null(strstr(f->err.hint, "combine"));
	teardown(f);
}

static void test_place_in_included(void **state)
{
	struct fixture *f = setup(false);
	struct source_pos pos;
	(void)state;
	val_set(f->files, "part.j2", val_strz(f->a, "one\n{{ 1 / 0 }}\n"));
	assert_null(render(f, "{% include 'part.j2' %}"));
	assert_string_equal(err_msg(&f->err), "division by zero");
	assert_true(sources_locate(f->ss, err_origin(&f->err), &pos));
	assert_string_equal(pos.file, "part.j2");
	assert_int_equal(pos.line, 2);
	teardown(f);
}

/* ---- names */

static void test_undeclared(void **state)
{
	static const struct {
		const char *text, *names;
	} rows[] = {
	        {"{{ a }}{{ b.c }}{{ d[e] }}", "[\"a\",\"b\",\"d\",\"e\"]"},
	        {"{% set a = b %}{{ a }}", "[\"b\"]"},
	        {"{% for x in xs %}{{ x }}{{ loop.index }}{{ y }}{% endfor %}{{ x }}",
	         "[\"xs\",\"y\",\"x\"]"},
	        {"{% macro m(p, q=r) %}{{ p }}{{ s }}{{ caller() }}{% endmacro %}{{ m(range(3)) }}",
	         "[\"r\",\"s\"]"},
	        {"{% if t %}{% set u = 1 %}{% endif %}{{ u }}", "[\"t\",\"u\"]"},
	        {"{% if t %}{% set u = 1 %}{% else %}{% set u = 2 %}{% endif %}{{ u }}", "[\"t\"]"},
	        {"{% with v = w %}{{ v }}{% endwith %}{% block b %}{{ z }}{% endblock %}", "[\"w\",\"z\"]"},
	        {"text", "[]"},
	};
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct fixture *f = setup(true);
		struct jinja_tmpl *t = compile(f, rows[i].text);
		struct buf b = {0};
		assert_non_null(t);
		json_dump(jinja_undeclared(t, f->a), JSON_STYLE_COMPACT, &b);
		assert_string_equal(b.p, rows[i].names);
		buf_free(&b);
		teardown(f);
	}
}

static void test_resolved_once(void **state)
{
	struct fixture *f = setup(true);
	(void)state;
	val_set(f->vars, "x", val_int(f->a, 2));
	val_set(f->files, "i", val_strz(f->a, "{{ x }}"));
	struct val *v = render(f, "{% for i in [1, 2] %}{{ x }}{% include 'i' %}{% endfor %}{{ x }}");
	assert_string_equal(val_get_strz(v), "22222");
	assert_int_equal(f->asked, 1);
	teardown(f);
}

/* ---- values of the caller */

static void test_values_are_not_changed(void **state)
{
	struct fixture *f = setup(true);
	struct val *list = val_list(f->a), *map = val_map(f->a);
	(void)state;
	val_push(list, val_int(f->a, 1));
	val_set(map, "l", list);
	val_set(f->vars, "m", map);
	struct val *v = render(f, "{% do m.l.append(2) %}{% do m.update({'x': 1}) %}{{ m }}");
	assert_string_equal(val_get_strz(v), "{'l': [1, 2], 'x': 1}");
	assert_int_equal(val_len(list), 1);
	assert_int_equal(val_len(map), 1);
	teardown(f);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
	        {"{{ n }}", "5"},
	        {"{{ n + 1 }}", "\"6\""},
	        {"{{ l }}", "[1,2]"},
	        {"{{ l }} ", "[1,2]"},
	        {"{{ t }}", "true"},
	        {"{{ none }}", "\"\""},
	        {"{{ s }}", "[3]"},
	        {"{{ s | string }}", "\"[3]\""},
	        {"{{ l | to_json }}", "\"[1, 2]\""},
	};
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct fixture *f = setup(true);
		struct val *l = val_list(f->a);
		struct buf b = {0};
		val_push(l, val_int(f->a, 1));
		val_push(l, val_int(f->a, 2));
		val_set(f->vars, "n", val_int(f->a, 5));
		val_set(f->vars, "l", l);
		val_set(f->vars, "t", val_bool(true));
		val_set(f->vars, "s", val_strz(f->a, "[3]"));
		struct val *v = value(f, rows[i].text);
		assert_non_null(v);
		json_dump(v, JSON_STYLE_COMPACT, &b);
		if (strcmp(b.p, rows[i].json) != 0)
			fail_msg("%s: %s", rows[i].text, b.p);
		buf_free(&b);
		teardown(f);
	}
}

/* ---- secrets */

static void test_secrets(void **state)
{
	static const struct {
		const char *text;
		bool secret;
	} rows[] = {
	        {"{{ pw }}", true},
	        {"a {{ pw }} b", true},
	        {"{{ pw | upper }}", true},
	        {"{{ pw | b64encode | b64decode }}", true},
	        {"{{ 'x' ~ pw }}", true},
	        {"{{ pw + 'x' }}", true},
	        {"{{ '%s' % pw }}", true},
	        {"{{ '{}'.format(pw) }}", true},
	        {"{{ pw[0] }}", true},
	        {"{{ pw[1:] }}", true},
	        {"{{ pw.split('e')[0] }}", true},
	        {"{{ {'k': pw} | to_json }}", true},
	        {"{{ [pw, 'x'] | join(',') }}", true},
	        {"{{ [pw] | map('upper') | join }}", true},
	        {"{{ {'k': pw} }}", true},
	        {"{{ m.pw }}", true},
	        {"{{ m }}", true},
	        {"{% set x = pw %}{{ x }}", true},
	        {"{% set x %}{{ pw }}{% endset %}{{ x | length }}{{ x }}", true},
	        {"{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(pw) }}", true},
	        {"{% filter upper %}{{ pw }}{% endfilter %}", true},
	        {"{% for c in pw %}{{ c }}{% endfor %}", true},
	        {"{{ pw | regex_replace('.', 'x') }}", true},
	        {"{{ 'yes' if pw else 'no' }}", false},
	        {"{{ pw is defined }}", false},
	        {"{{ m.open }}", false},
	        {"{{ other }}", false},
	        {"{{ [pw] | length }}", false},
	};
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		for (int unsafe = 0; unsafe < 2; unsafe++) {
			struct fixture *f = setup(true);
			struct val *pw = val_strz(f->a, "secret"), *m = val_map(f->a);
			pw = unsafe ? val_mark_unsafe(f->a, pw) : val_mark_secret(f->a, pw);
			val_set(m, "pw", pw);
			val_set(m, "open", val_strz(f->a, "door"));
			val_set(f->vars, "pw", pw);
			val_set(f->vars, "m", m);
			val_set(f->vars, "other", val_strz(f->a, "public"));
			struct val *v = render(f, rows[i].text);
			if (!v)
				fail_msg("%s: %s", rows[i].text, err_msg(&f->err));
			if ((unsafe ? val_unsafe(v) : val_secret(v)) != rows[i].secret)
				fail_msg("%s: %s %d", rows[i].text, unsafe ? "unsafe" : "secret",
				         !rows[i].secret);
			teardown(f);
		}
	}
}

static void test_secret_value_keeps_its_members(void **state)
{
	struct fixture *f = setup(true);
	(void)state;
	val_set(f->vars, "pw", val_mark_secret(f->a, val_strz(f->a, "secret")));
	struct val *v = value(f, "{{ {'user': 'bob', 'pass': pw} }}");
	assert_true(val_is_map(v));
	assert_true(val_secret(val_get(v, "pass")));
	assert_false(val_secret(val_get(v, "user")));
	teardown(f);
}

/* ---- hostile input */

static void test_hostile(void **state)
{
	static const char *const rows[] = {
	        "{% for i in range(100000000) %}x{% endfor %}",
	        "{% for i in range(4000) %}{% for j in range(4000) %}{% for k in range(4000) %}{% endfor "
	        "%}{% endfor %}"
	        "{% endfor %}",
	        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
	        "{% include 'self' %}",
	        "{% extends 'loop' %}",
	        "{{ 'x' * 10000000000 }}",
	        "{{ [0] * 10000000000 }}",
	        "{{ 'x'.ljust(9000000000) }}",
	        "{{ '%9000000000d' % 1 if false else 1 / 0 }}",
	        "{% set x = namespace(v='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set x.v = x.v ~ x.v "
	        "%}{% endfor %}",
	        "{{ 2 ** 10000 }}",
	        "{{ (10 ** 10) ** (10 ** 10) }}",
	        "{{ 10 ** 2000 * 10 ** 2000 }}",
	        "{{ [1] * 2 ** 70 }}",
	        "{{ 'x' * 2 ** 70 }}",
	        "{{ range(2 ** 70) }}",
	        "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' is match('(a+)+$') and 1 / 0 }}",
	};
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct fixture *f = setup(true);
		val_set(f->files, "self", val_strz(f->a, "{% include 'self' %}"));
		val_set(f->files, "loop", val_strz(f->a, "{% extends 'loop' %}"));
		if (render(f, rows[i]) && i + 1 < LENGTH(rows))
			fail_msg("%s: rendered", rows[i]);
		teardown(f);
	}
}

static void test_deep_text(void **state)
{
	static const char *const pieces[] = {"(",          "[",    "{1:",          "-",   "not ",
	                                     "{% if 1 %}", "1 + ", "1 if 1 else ", "x|e|"};
	(void)state;
	for (size_t i = 0; i < LENGTH(pieces); i++) {
		struct fixture *f = setup(true);
		struct buf b = {0};
		bool block = pieces[i][0] == '{' && pieces[i][1] == '%';
		buf_adds(&b, block ? "" : "{{ ");
		for (int k = 0; k < 20000; k++)
			buf_adds(&b, pieces[i]);
		buf_adds(&b, block ? "" : "1 }}");
		assert_null(render(f, b.p));
		buf_free(&b);
		teardown(f);
	}
}

static void test_list_within_itself(void **state)
{
	struct fixture *f = setup(true);
	(void)state;
	struct val *v = render(f, "{% set l = [1] %}{% do l.append(l) %}{{ l | length }}{{ l == l }}");
	assert_non_null(v);
	teardown(f);
}

static void test_literals(void **state)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
	        {"[1, 2.5, 'a', None, True]", "[1,2.5,\"a\",null,true]"},
	        {"{'a': {'b': (1,)}}", "{\"a\":{\"b\":[1]}}"},
	        {" -5 ", "-5"},
	        {"'a' \"b\"", "\"ab\""},
	        {"foo", NULL},
	        {"1 + 1", NULL},
	        {"[1", NULL},
	        {"[1 2]", NULL},
	        {"{1}", NULL},
	        {"{[]: 1}", NULL},
	        {"", NULL},
	        {"-", NULL},
	        {"()", "[]"},
	        {"(1)", "1"},
	};
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct arena *a = arena_new(NULL);
		struct val *v;
		bool ok = jinja_literal_eval(a, str_c(rows[i].text), &v);
		if (ok != (rows[i].json != NULL))
			fail_msg("%s: %d", rows[i].text, ok);
		if (ok) {
			struct buf b = {0};
			json_dump(v, JSON_STYLE_COMPACT, &b);
			assert_string_equal(b.p, rows[i].json);
			buf_free(&b);
		}
		arena_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_places),
	        cmocka_unit_test(test_suggestion),
	        cmocka_unit_test(test_place_in_included),
	        cmocka_unit_test(test_undeclared),
	        cmocka_unit_test(test_resolved_once),
	        cmocka_unit_test(test_values_are_not_changed),
	        cmocka_unit_test(test_kinds),
	        cmocka_unit_test(test_secrets),
	        cmocka_unit_test(test_secret_value_keeps_its_members),
	        cmocka_unit_test(test_hostile),
	        cmocka_unit_test(test_deep_text),
	        cmocka_unit_test(test_list_within_itself),
	        cmocka_unit_test(test_literals),
	};
	return cmocka_run_group_tests_name("jinja", tests, NULL, NULL);
}
