/* What modules are built from: argument checks, modes, words, expressions, versions. */
#include "unit.h"
#include "base/json.h"
#include "modules/attrs.h"
#include "modules/dpkg.h"
#include "modules/regex.h"
#include "modules/words.h"

static struct val *parse(struct arena *a, const char *json)
{
	struct val *v = NULL;
	struct err e = {0};
	bool ok = json_parse(a, str_c(json), 0, &v, &e);
	err_clear(&e);
	assert_true(ok);
	return v;
}

/* The checked arguments as JSON, or the first complaint. */
static const char *checked(struct arena *a, const char *module, const char *json, bool templated)
{
	struct errs errs = {0};
	struct val *out = NULL;
	struct buf b = {0};
	const struct module *m = module_find(str_c(module));
	assert_non_null(m);
	if (module_check_args(m, parse(a, json), templated, a, &out, &errs)) {
		assert_int_equal(errs.n, 0);
		json_dump(out, JSON_STYLE_COMPACT, &b);
	} else {
		assert_true(errs.n > 0);
		buf_adds(&b, err_msg(&errs.v[0]));
	}
	const char *z = arena_strndup(a, b.p, b.n);
	buf_free(&b);
	errs_clear(&errs);
	return z;
}

static void test_names(void **state)
{
	(void)state;
	const struct module *m = module_find(STR("copy"));
	assert_non_null(m);
	assert_ptr_equal(module_find(STR("ansible.builtin.copy")), m);
	assert_ptr_equal(module_find(STR("ansible.legacy.copy")), m);
	assert_null(module_find(STR("ansible.posix.copy")));
	assert_null(module_find(STR("xcopy")));
	m = module_find(STR("x509_certificate"));
	assert_non_null(m);
	assert_ptr_equal(module_find(STR("openssl_certificate")), m);
	assert_ptr_equal(module_find(STR("community.crypto.openssl_certificate")), m);
	assert_null(module_find(STR(".copy")));
	assert_null(module_find(STR("")));
	/* What this build has is not said to be elsewhere. */
	for (const struct module *const *p = module_table; *p; p++)
		assert_false(module_elsewhere(str_c((*p)->name)));
	assert_string_equal(module_suggest(STR("coppy")), "copy");
	assert_string_equal(module_suggest(STR("ansible.builtin.fiel")), "file");
	assert_null(module_suggest(STR("something_else_entirely")));
}

static void test_checks(void **state)
{
	static const struct {
		const char *module, *args, *want;
	} rows[] = {
	        {"ping", "{}", "{\"data\":\"pong\"}"},
	        {"ping", "{\"data\":7}", "{\"data\":\"7\"}"},
	        {"ping", "{\"data\":true}", "{\"data\":\"True\"}"},
	        {"ping", "{\"data\":null}", "{\"data\":\"pong\"}"},
	        {"ping", "{\"_ansible_check_mode\":true,\"data\":\"x\"}",
	         "{\"_ansible_check_mode\":true,\"data\":\"x\"}"},
	        {"ping", "{\"a\":1,\"b\":2}",
	         "Unsupported parameters for (ping) module: a, b. Supported parameters include: data."},
	        {"slurp", "{}", "missing required arguments: src"},
	        {"slurp", "{\"src\":\"/x\",\"x\":1}",
	         "Unsupported parameters for (slurp) module: x. Supported parameters include: src (path)."},
	        {"slurp", "{\"path\":\"/x\"}", "{\"src\":\"/x\"}"},
	        {"group", "{\"name\":\"x\",\"gid\":\"12\"}",
	         "{\"name\":\"x\",\"gid\":12,\"state\":\"present\",\"system\":false,\"local\":false,\"non_"
	         "unique\":false,"
	         "\"force\":false}"},
	        {"group", "{\"name\":\"x\",\"gid\":\"y\"}",
	         "argument 'gid' is of type <class 'str'> and we were unable to convert to int: 'y' cannot "
	         "be converted to an "
	         "int"},
	        {"group", "{\"name\":\"x\",\"state\":\"gone\"}",
	         "value of state must be one of: absent, present, got: gone"},
	        {"lineinfile", "{\"path\":\"/x\",\"insertafter\":\"a\",\"insertbefore\":\"b\"}",
	         "parameters are mutually exclusive: insertbefore|insertafter"},
	        {"sysvinit", "{\"name\":\"x\"}", "one of the following is required: state, enabled"},
	        {"systemd", "{\"state\":\"started\"}",
	         "state is started but all of the following are missing: name"},
	        {"setup", "{\"gather_subset\":\"!all, network\"}",
	         "{\"gather_subset\":[\"!all\",\"network\"],\"gather_timeout\":10,\"filter\":[],\"fact_"
	         "path\":"
	         "\"/etc/ansible/facts.d\"}"},
	        {"set_fact", "{\"anything\":[1],\"cacheable\":\"yes\"}",
	         "{\"anything\":[1],\"cacheable\":true}"},
	};
	(void)state;
	struct arena *a = arena_new(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(checked(a, rows[i].module, rows[i].args, true), rows[i].want);
	arena_free(a);
}

static void test_choices_that_yaml_made_boolean(void **state)
{
	(void)state;
	struct arena *a = arena_new(NULL);
	assert_non_null(strstr(checked(a, "apt", "{\"upgrade\":false}", true), "\"upgrade\":\"no\""));
	assert_non_null(strstr(checked(a, "apt", "{\"upgrade\":true}", true), "\"upgrade\":\"yes\""));
	assert_string_equal(checked(a, "group", "{\"name\":\"x\",\"state\":true}", true),
	                    "value of state must be one of: absent, present, got: True");
	arena_free(a);
}

static void test_templates_are_left_for_later(void **state)
{
	(void)state;
	struct arena *a = arena_new(NULL);
	assert_non_null(strstr(
	        checked(a, "group", "{\"name\":\"x\",\"gid\":\"{{ gid }}\",\"state\":\"{{ s }}\"}", false),
	        "\"gid\":\"{{ gid }}\""));
	assert_non_null(strstr(checked(a, "group", "{\"name\":\"x\",\"gid\":\"{{ gid }}\"}", true),
	                       "unable to convert"));
	assert_non_null(strstr(checked(a, "group", "{\"gid\":\"{{ gid }}\"}", false),
	                       "missing required arguments: name"));
	arena_free(a);
}

static void test_modes(void **state)
{
	static const struct {
		const char *mode;
		mode_t now;
		bool dir;
		mode_t want;
	} rows[] = {
	        {"0644", 0, false, 0644},           {"644", 0, false, 0644},
	        {"01777", 0, true, 01777},          {"0o750", 0, false, 0750},
	        {"u=rw,g=r,o=", 0777, false, 0640}, {"u+x", 0644, false, 0744},
	        {"a-w", 0666, false, 0444},         {"g=u", 0640, false, 0660},
	        {"ug+rwX", 0600, false, 0660},      {"ug+rwX", 0700, false, 0770},
	        {"a+X", 0600, true, 0711},          {"u+s", 0755, false, 04755},
	        {"g+s", 0755, true, 02755},         {"+t", 0777, true, 01777},
	        {"o-rwx", 0777, false, 0770},       {"u=rwx,g=rx,o=", 02755, true, 0750},
	        {"+x", 0644, false, 0755},          {"+w", 0444, false, 0644},
	        {"u-x+w", 0500, false, 0600},       {"", 0640, false, 0640}, /* given and empty: as it is */
	        {"u=rw,g=u", 0750, false, 0670},    {"ug=s", 0755, false, 06005},
	        {"u", 0640, false, 0640},           {"u=rw,", 0755, false, 0655},
	        {" 0o755 ", 0, false, 0755},        {"77777", 0, false, 077777}, /* masked where it is set */
	};
	(void)state;
	struct arena *a = arena_new(NULL);
	const char *why;
	mode_t got;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_true(
		        mode_parse(a, val_strz(a, rows[i].mode), rows[i].now, rows[i].dir, 022, &got, &why));
		assert_int_equal(got, rows[i].want);
	}
	assert_true(mode_parse(a, val_int(a, 0600), 0, false, 022, &got, &why));
	assert_int_equal(got, 0600);
	static const char *const bad[] = {"rw", "u=q", "8", "0888", "u=rw, g=r", "ua+r", "u+r g+r"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(mode_parse(a, val_strz(a, bad[i]), 0, false, 022, &got, &why));
	assert_false(mode_parse(a, val_int(a, -1), 0, false, 022, &got, &why));
	arena_free(a);
}

static const char *joined(struct arena *a, const char *text)
{
	struct err e = {0};
	struct buf b = {0};
	const char **words = words_split(a, str_c(text), NULL, &e);
	if (!words)
		buf_adds(&b, "!");
	for (size_t i = 0; words && words[i]; i++)
		buf_printf(&b, "[%s]", words[i]);
	err_clear(&e);
	const char *z = arena_strndup(a, b.p ? b.p : "", b.n);
	buf_free(&b);
	return z;
}

static void test_words(void **state)
{
	static const char *const rows[][2] = {
	        {"a b  c", "[a][b][c]"},
	        {"  ", ""},
	        {"'a b' \"c d\"", "[a b][c d]"},
	        {"a\\ b", "[a b]"},
	        {"''", "[]"},
	        {"a'b'\"c\"", "[abc]"},
	        {"\"a\\\"b\\n\"", "[a\"b\\n]"},
	        {"'a", "!"},
	        {"a\\", "!"},
	        {"a\nb\tc", "[a][b][c]"},
	};
	(void)state;
	struct arena *a = arena_new(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(joined(a, rows[i][0]), rows[i][1]);
	static const char *const quoted[] = {"plain", "two words", "it's", "", "$HOME `x` \"y\"", "a\nb"};
	for (size_t i = 0; i < sizeof(quoted) / sizeof(*quoted); i++)
		assert_string_equal(joined(a, words_quote(a, quoted[i])), arena_printf(a, "[%s]", quoted[i]));
	arena_free(a);
}

static void test_expressions(void **state)
{
	static const char *const rows[][4] = {
	        /* expression, text, template, result ("!" no match, "?" bad template) */
	        {"a(b)c", "xabcx", "\\1", "b"},
	        {"(?P<n>\\d+)", "v42", "<\\g<n>>", "<42>"},
	        {"(a)|(b)", "b", "[\\1\\2]", "[b]"},
	        {"^a$", "a\n", "x", "x"},
	        {"^a\\Z", "a\n", "x", "!"},
	        {"x", "y", "", "!"},
	        {"x", "x", "\\n\\t\\\\", "\n\t\\"},
	        {"x", "x", "\\2", "?"},
	        {"x", "x", "\\g<no>", "?"},
	        {"x", "x", "\\g<no", "?"},
	        {"(.)", "x", "\\10", "?"},
	        {"x", "x", "\\", "?"},
	        {"x", "x", "\\q", "?"},
	        {"x", "x", "\\.\\101\\g<0>", "\\.Ax"},
	        {"[]x]+", "a]x", "<\\g<0>>", "<]x>"},
	        {"[[:alpha:]]", "h]", "\\g<0>", "h]"},
	        {"(?u)a{,2}b", "aab", "\\g<0>", "aab"},
	        {"a\\vb", "a\nb", "", "!"},
	};
	(void)state;
	struct arena *a = arena_new(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err e = {0};
		struct buf b = {0};
		struct regex_match mt;
		const struct regex *re = regex_new(a, str_c(rows[i][0]), 0, &e);
		assert_non_null(re);
		if (!regex_search(re, str_c(rows[i][1]), 0, &mt))
			buf_adds(&b, "!");
		else if (!regex_expand(re, str_c(rows[i][1]), &mt, str_c(rows[i][2]), &b, &e)) {
			buf_clear(&b);
			buf_adds(&b, "?");
		}
		assert_string_equal(b.p, rows[i][3]);
		buf_free(&b);
		err_clear(&e);
	}
	struct err e = {0};
	assert_null(regex_new(a, STR("(a"), 0, &e));
	assert_non_null(strstr(err_msg(&e), "(a"));
	err_clear(&e);
	arena_free(a);
}

static void test_versions(void **state)
{
	/* Each is smaller than the next. */
	static const char *const rising[] = {
	        "1.0~~",    "1.0~~a",  "1.0~",  "1.0~rc1",    "1.0", "1.0-0+deb1", "1.0-1",
	        "1.0-1+b1", "1.0-1.1", "1.0a",  "1.0+dfsg-1", "1.1", "1.2",        "1.10",
	        "1.10.1",   "2.0",     "1:0.1", "1:1",        "2:0",
	};
	static const char *const equal[][2] = {
	        {"1.0", "1.00"}, {"0:1", "1"}, {"1.0", "1.0-0"}, {"1.0-", "1.0"}, {"", "0"}};
	(void)state;
	for (size_t i = 0; i < sizeof(rising) / sizeof(*rising); i++)
		for (size_t j = 0; j < sizeof(rising) / sizeof(*rising); j++) {
			int c = dpkg_version_cmp(str_c(rising[i]), str_c(rising[j]));
			if ((i < j && c >= 0) || (i == j && c != 0) || (i > j && c <= 0))
				fail_msg("%s and %s compare as %d", rising[i], rising[j], c);
		}
	for (size_t i = 0; i < sizeof(equal) / sizeof(*equal); i++)
		assert_int_equal(dpkg_version_cmp(str_c(equal[i][0]), str_c(equal[i][1])), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_checks),
	        cmocka_unit_test(test_choices_that_yaml_made_boolean),
	        cmocka_unit_test(test_templates_are_left_for_later),
	        cmocka_unit_test(test_modes),
	        cmocka_unit_test(test_words),
	        cmocka_unit_test(test_expressions),
	        cmocka_unit_test(test_versions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
