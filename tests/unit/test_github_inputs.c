#include "unit.h"
#include "base/val.h"
#include "github/inputs.h"

static struct arena *a;
static struct sources *ss;
static struct inputs *in;

static int setup(void **state)
{
	(void)state;
	a = arena_new(NULL);
	ss = sources_new(a);
	in = inputs_new(a, ss);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(a);
	return 0;
}

static bool set(const char *name, const char *value)
{
	struct err err = {0};
	bool good = inputs_set(in, str_c(name), str_c(value), &err);

	assert_int_equal(good, !err_is(&err));
	err_clear(&err);
	return good;
}

/* All messages of a check, a line each. */
static void complaints(char *text, size_t n)
{
	struct errs es = {0};

	inputs_check(in, &es);
	text[0] = '\0';
	for (size_t i = 0; i < es.n; i++) {
		assert_int_equal(es.v[i].cls, ERR_USER);
		snprintf(text + strlen(text), n - strlen(text), "%s\n", err_msg(&es.v[i]));
	}
	errs_clear(&es);
}

static void test_table_is_sound(void **state)
{
	size_t n;
	const struct input *row = input_rows(&n);
	char text[4096];

	(void)state;
	assert_true(n > 30);
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(input_find(str_c(row[i].name)), &row[i]); /* no name twice */
		assert_true(strlen(row[i].doc) > 10);
		if (row[i].type == INPUT_INT && !(row[i].flags & INPUT_MODEL))
			assert_true(row[i].lo < row[i].hi);
	}
	complaints(text, sizeof(text));
	assert_string_equal(text, ""); /* every default passes its own check */
}

static void test_defaults_and_values(void **state)
{
	(void)state;
	assert_string_equal(inputs_get(in, "environment"), "dev");
	assert_false(inputs_given(in, "environment"));
	assert_int_equal(inputs_int(in, "ssh_port"), 22);
	assert_true(inputs_bool(in, "lxc_unprivileged"));
	assert_string_equal(inputs_prefer(in, "vm_template"), "ubuntu-2404-template");
	assert_true(set("vm_template", "debian"));
	assert_string_equal(inputs_prefer(in, "vm_template"), "");
	assert_true(set("Disk-GB", " 40G\n"));
	assert_string_equal(inputs_get(in, "disk_gb"), "40G");
	assert_true(set("environment", "  \n"));
	assert_false(inputs_given(in, "environment"));
	assert_true(set("lxc_unprivileged", "False"));
	assert_false(inputs_bool(in, "lxc_unprivileged"));
}

static void test_value_has_an_origin(void **state)
{
	struct source_pos pos;
	struct origin at;

	(void)state;
	assert_true(set("instances", "{\n  \"node1\": {}\n}\n"));
	at = inputs_origin(in, "instances");
	at.off += 4;
	assert_true(sources_locate(ss, at, &pos));
	assert_string_equal(pos.file, "input instances");
	assert_int_equal(pos.line, 2);
	assert_int_equal(pos.col, 3);
}

static void test_list(void **state)
{
	size_t n;
	const char *const *list;

	(void)state;
	assert_true(set("ansible_roles", "etcd,, patroni\n web"));
	list = inputs_list(in, "ansible_roles", a, &n);
	assert_int_equal(n, 3);
	assert_string_equal(list[0], "etcd");
	assert_string_equal(list[1], "patroni");
	assert_string_equal(list[2], "web");
	assert_null(list[3]);
	list = inputs_list(in, "octopus_roles", a, &n);
	assert_int_equal(n, 0);
	assert_null(list[0]);
}

static void test_unknown_name_is_refused(void **state)
{
	static const struct {
		const char *pair, *hint;
	} cases[] = {
	        {"cpu_core=4", "did you mean 'cpu_cores'?"},   {"vlantag=4", "did you mean 'vlan_tag'?"},
	        {"instnaces={}", "did you mean 'instances'?"}, {"po=x", "'nante doc input' lists them all"},
	        {"zzz=1", "'nante doc input' lists them all"}, {"no-equals", "write --input app_name=shop"},
	        {"=x", "write --input app_name=shop"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct err err = {0};

		assert_false(inputs_set_pair(in, cases[i].pair, &err));
		assert_int_equal(err.cls, ERR_USER);
		assert_string_equal(err.hint, cases[i].hint);
		err_clear(&err);
	}
}

static void test_environment(void **state)
{
	struct val *env = val_map(a);
	struct errs es = {0};

	(void)state;
	val_set(env, "INPUT_APP_NAME", val_strz(a, "shop"));
	val_set(env, "INPUT_VM-TARGET-IP", val_strz(a, "192.168.10.9"));
	val_set(env, "INPUT_GATEWAY", val_strz(a, ""));
	val_set(env, "INPUT_ARGS", val_strz(a, "x"));
	val_set(env, "INPUT_NODES", val_strz(a, "3"));
	val_set(env, "INPUT_SSH_USR", val_strz(a, "root"));
	val_set(env, "HOME", val_strz(a, "/root"));
	inputs_set_env(in, env, &es);
	assert_string_equal(inputs_get(in, "app_name"), "shop");
	assert_string_equal(inputs_get(in, "vm_target_ip"), "192.168.10.9");
	assert_int_equal(es.n, 2);
	assert_string_equal(err_msg(&es.v[0]), "there is no input 'nodes'");
	assert_string_equal(es.v[1].hint, "did you mean 'ssh_user'?");
	errs_clear(&es);
}

static void test_all_errors_at_once(void **state)
{
	char text[4096];

	(void)state;
	set("app_name", "9lives"); /* the model's to refuse */
	set("lxc_nesting", "maybe");
	set("allow_destroy", "yes");
	set("ssh_port", "0");
	set("connect_timeout", "soon");
	set("doppler_token", "\xff\xfe");
	set("pool", "a\xff");
	complaints(text, sizeof(text));
	assert_string_equal(text,
	                    "input lxc_nesting is 'maybe': it must be true or false\n"
	                    "input pool: it is not UTF-8\n"
	                    "input allow_destroy is 'yes': it must be true or false\n"
	                    "input ssh_port is '0': it must be a whole number from 1 to 65535\n"
	                    "input connect_timeout is 'soon': it must be a whole number from 1 to 86400\n"
	                    "input doppler_token: it is not UTF-8\n");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        CASE(test_table_is_sound),          CASE(test_defaults_and_values),
	        CASE(test_value_has_an_origin),     CASE(test_list),
	        CASE(test_unknown_name_is_refused), CASE(test_environment),
	        CASE(test_all_errors_at_once),
	};

	return cmocka_run_group_tests_name("github inputs", tests, NULL, NULL);
}
