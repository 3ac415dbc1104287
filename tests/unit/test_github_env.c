#include "unit.h"
#include "github/env.h"

static struct arena *a;
static struct sources *ss;

static int setup(void **state)
{
	(void)state;
	a = arena_new(NULL);
	ss = sources_new(a);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(a);
	return 0;
}

static void test_environment_block(void **state)
{
	char *const block[] = {"HOME=/root", "DB_PASSWORD=a=b", "EMPTY_TOKEN=", "nonsense", "=x", NULL};
	struct val *env = env_load(a, block);

	(void)state;
	assert_int_equal(val_len(env), 3);
	assert_string_equal(env_get(env, "HOME"), "/root");
	assert_string_equal(env_get(env, "DB_PASSWORD"), "a=b");
	assert_null(env_get(env, "EMPTY_TOKEN"));
	assert_null(env_get(env, "ABSENT"));
	assert_false(val_secret(val_get(env, "HOME")));
	assert_true(val_secret(val_get(env, "DB_PASSWORD")));
}

static void test_names(void **state)
{
	static const char *const secret[] = {
	        "PASSWORD",        "DB_PASSWORD", "DOPPLER_TOKEN", "PROXMOX_API_TOKEN_SECRET",
	        "SSH_PRIVATE_KEY", "TS_AUTHKEY",  "GH_PAT"};
	static const char *const open[] = {"ANSIBLE_VAULT_PASSWORD_FILE",
	                                   "SSH_KEY_PATH",
	                                   "PATH",
	                                   "SSH_PUBLIC_KEY",
	                                   "PROXMOX_API_TOKEN_ID",
	                                   "KEYBOARD",
	                                   "MONKEY",
	                                   "PATIENCE",
	                                   "COMPASS"};

	(void)state;
	for (size_t i = 0; i < LENGTH(secret); i++)
		assert_true(env_names_secret(str_c(secret[i])));
	for (size_t i = 0; i < LENGTH(open); i++)
		assert_false(env_names_secret(str_c(open[i])));
}

static void test_values_that_are_secrets(void **state)
{
	static const char *const secret[] = {"postgres://admin:hunter2@db/app", "https://x:y@h",
	                                     "-----BEGIN RSA PRIVATE KEY-----\nMII"};
	static const char *const open[] = {"https://db.example.com:5432/a@b", "git@host:path",
	                                   "postgres://admin@db/app", "-----BEGIN PUBLIC KEY-----", ""};

	(void)state;
	for (size_t i = 0; i < LENGTH(secret); i++)
		assert_true(env_holds_secret(str_c(secret[i])));
	for (size_t i = 0; i < LENGTH(open); i++)
		assert_false(env_holds_secret(str_c(open[i])));
	assert_true(env_too_short(STR("A_PASSWORD"), STR(" abc ")));
	assert_false(env_too_short(STR("A_PASSWORD"), STR("abcd")));
	assert_false(env_too_short(STR("USE_TOKEN"), STR("yes")));
	assert_false(env_too_short(STR("POSTGRESQL_VERSION"), STR("15")));
}

/* Inputs and secrets go; a proxy and the rest stay. */
static void test_scrub(void **state)
{
	char texts[][40] = {"PATH=/bin", "DB_PASSWORD=hunter2", "INPUT_COMMAND=plan",
	                    "https_proxy=http://u:pw@p:1", "HOME=/x"};
	char *envp[] = {texts[0], texts[1], texts[2], texts[3], texts[4], NULL};
	struct val *map = env_load(a, envp);

	(void)state;
	assert_true(val_secret(val_get(map, "https_proxy")));
	env_scrub(envp, map);
	assert_string_equal(envp[0], "PATH=/bin");
	assert_string_equal(envp[1], "https_proxy=http://u:pw@p:1");
	assert_string_equal(envp[2], "HOME=/x");
	assert_null(envp[3]);
	assert_string_equal(texts[1], "DB_PASSWORD=");
	assert_string_equal(texts[2], "INPUT_COMMAND=");
	assert_string_equal(env_get(map, "DB_PASSWORD"), "hunter2");
}

static bool read_file(const char *text, struct val *map, struct err *err)
{
	return env_read_file(a, ss, sources_add(ss, "x.env", str_c(text)), map, err);
}

static void test_env_file(void **state)
{
	struct val *map = val_map(a);
	struct err err = {0};

	(void)state;
	val_set(map, "ONE", val_strz(a, "before"));
	assert_true(read_file("# comment\n\n  ONE = first # said so\r\nexport "
	                      "TWO='it''\nTHREE=\"a\\nb\\\"c\nd\" # end\n"
	                      "FOUR='${literal}\\n\nover two lines'\nFIVE=\nSIX=x#y=z\nexport=7\nLAST=end",
	                      map, &err) == false);
	assert_string_equal(err_msg(&err), "env file: something follows the closing quote");
	err_clear(&err);
	assert_true(read_file(
	        "# comment\n\n  ONE = first # said so\r\nexport TWO='it'\nTHREE=\"a\\nb\\\"c\nd\" # end\n"
	        "FOUR='${literal}\\n\nover two lines'\nFIVE=\nSIX=x#y=z\nexport=7\nLAST=end",
	        map, &err));
	assert_string_equal(env_get(map, "ONE"), "first");
	assert_string_equal(env_get(map, "TWO"), "it");
	assert_string_equal(env_get(map, "THREE"), "a\nb\"c\nd");
	assert_string_equal(env_get(map, "FOUR"), "${literal}\\n\nover two lines");
	assert_null(env_get(map, "FIVE"));
	assert_string_equal(env_get(map, "SIX"), "x#y=z");
	assert_string_equal(env_get(map, "export"), "7");
	assert_string_equal(env_get(map, "LAST"), "end");
}

static void test_env_file_errors(void **state)
{
	static const struct {
		const char *text, *msg;
		unsigned line, col;
	} cases[] = {
	        {"A=1\nnonsense\n", "env file: a line is NAME=value", 2, 1},
	        {"A=1\n  9=x", "env file: a line is NAME=value", 2, 3},
	        {"A=1\nB='open\n\n", "env file: this quote is not closed", 2, 3},
	        {"A='x' y", "env file: something follows the closing quote", 1, 7},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct err err = {0};
		struct source_pos pos;

		assert_false(read_file(cases[i].text, val_map(a), &err));
		assert_string_equal(err_msg(&err), cases[i].msg);
		assert_true(sources_locate(ss, err_origin(&err), &pos));
		assert_int_equal(pos.line, cases[i].line);
		assert_int_equal(pos.col, cases[i].col);
		err_clear(&err);
	}
}

static void test_json(void **state)
{
	struct val *map = val_map(a);
	struct err err = {0};

	(void)state;
	val_set(map, "KNOWN", val_strz(a, "mine"));
	assert_true(
	        env_add_json(a, STR("{\"KNOWN\":\"theirs\",\"DB\":\"x\\ny\",\"NONE\":\"\"}"), 0, map, &err));
	assert_string_equal(env_get(map, "KNOWN"), "mine");
	assert_true(val_secret(val_get(map, "KNOWN"))); /* whatever its name says */
	assert_string_equal(env_get(map, "DB"), "x\ny");
	assert_true(val_secret(val_get(map, "DB")));
	assert_null(env_get(map, "NONE"));
	assert_false(env_add_json(a, STR("{\"A\": 1}"), 0, map, &err));
	assert_string_equal(err_msg(&err), "input secrets: 'A' is no string");
	err_clear(&err);
	assert_false(env_add_json(a, STR("[]"), 0, map, &err));
	err_clear(&err);
	assert_false(env_add_json(a, STR("{\"A\": "), 0, map, &err));
	err_clear(&err);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        CASE(test_environment_block),
	        CASE(test_names),
	        CASE(test_values_that_are_secrets),
	        CASE(test_scrub),
	        CASE(test_env_file),
	        CASE(test_env_file_errors),
	        CASE(test_json),
	};

	return cmocka_run_group_tests_name("github env", tests, NULL, NULL);
}
