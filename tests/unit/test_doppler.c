/* doppler against a scripted server: what it asks, what it repeats, what it refuses. */
#include "base/log.h"
#include "doppler/doppler.h"
#include "net/loop.h"
#include "scripted.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DOWNLOAD "GET /v3/configs/config/secrets/download?"
#define SECRETS "{\"A\":\"hunter22\",\"PEM\":\"one\\ntwo\\n\",\"SCOPE\":\"main\",\"DOPPLER_CONFIG\":\"prd\"}"

struct run {
	struct scripted server;
	struct arena *a;
	struct loop *loop;
	struct doppler_opts o;
	struct val *secrets;
	struct err err;
	char text[4096]; /* the error, whole */
};

static void begin(struct run *r, const struct rule *rules)
{
	*r = (struct run){.server = scripted_start(rules), .a = arena_new(NULL)};
	r->loop = loop_new(&r->err);
	r->o = (struct doppler_opts){.token = "dp.st.prd.abcdef", .pause_ms = 10, .timeout_ms = 500};
	r->o.api = arena_printf(r->a, "http://127.0.0.1:%d/", r->server.port);
}

static bool fetch(struct run *r)
{
	struct buf b = {0};
	bool ok = doppler_fetch(r->loop, r->a, &r->o, &r->secrets, &r->err);

	assert_int_equal(ok, !err_is(&r->err));
	err_text(&r->err, &b);
	snprintf(r->text, sizeof(r->text), "%s", b.p ? b.p : "");
	buf_free(&b);
	return ok;
}

static void end(struct run *r)
{
	err_clear(&r->err);
	loop_free(r->loop);
	arena_free(r->a);
	scripted_stop(&r->server);
	log_close();
}

static void test_download(void **state)
{
	static const struct rule rules[] = {{DOWNLOAD, 0, "200 OK\n\n" SECRETS}, {0}};
	struct run r;

	(void)state;
	begin(&r, rules);
	assert_true(fetch(&r));
	assert_int_equal(val_len(r.secrets), 4);
	assert_string_equal(val_map_strz(r.secrets, "PEM", ""), "one\ntwo\n");
	assert_true(val_secret(val_get(r.secrets, "A")));
	assert_true(val_secret(val_get(r.secrets, "SCOPE")));
	assert_false(val_secret(val_get(r.secrets, "DOPPLER_CONFIG")));
	assert_int_equal(scripted_count(&r.server, "GET "), 1);
	assert_int_equal(scripted_count(&r.server, "Authorization: Bearer dp.st.prd.abcdef\r\n"), 1);
	assert_int_equal(scripted_count(&r.server, "include_dynamic_secrets=false"), 1);
	assert_int_equal(scripted_count(&r.server, "project="), 0);
	/* Registered for redaction. */
	struct buf b = {0};
	log_redact(STR("x hunter22 dp.st.prd.abcdef"), &b);
	assert_string_equal(b.p, "x *** ***");
	buf_free(&b);
	end(&r);
}

static void test_visibility(void **state)
{
	static const struct rule rules[] = {
	        {DOWNLOAD, 0, "200 OK\n\n" SECRETS},
	        {"GET /v3/configs/config/secrets?", 1,
	         "200 "
	         "OK\n\n{\"secrets\":{\"A\":{\"computed\":null,\"computedVisibility\":{\"type\":"
	         "\"restricted\"}},"
	         "\"SCOPE\":{\"computedVisibility\":{\"type\":\"unmasked\"}},\"PEM\":{}}}"},
	        {"GET /v3/configs/config/secrets?", 0,
	         "403 Forbidden\n\n{\"messages\":[\"no\"],\"success\":false}"},
	        {0},
	};
	struct run r;

	(void)state;
	begin(&r, rules);
	r.o.visibility = true;
	r.o.project = "a b";
	r.o.config = "prd";
	assert_true(fetch(&r));
	assert_true(val_secret(val_get(r.secrets, "A")));
	assert_true(val_secret(val_get(r.secrets, "PEM")));
	assert_false(val_secret(val_get(r.secrets, "SCOPE")));
	assert_int_equal(scripted_count(&r.server, "&project=a%20b&config=prd"), 2);
	/* Not being told is no error: all are secret then. */
	assert_true(fetch(&r));
	assert_true(val_secret(val_get(r.secrets, "SCOPE")));
	end(&r);
}

static void test_repeats(void **state)
{
	static const struct rule rules[] = {
	        {DOWNLOAD, 1, "429 Too Many Requests\nretry-after: 0\n\n{\"messages\":[\"slow down\"]}"},
	        {DOWNLOAD, 1, "502 Bad Gateway\nContent-Type: text/html\n\n<html>oops</html>"},
	        {DOWNLOAD, 1, ""},
	        {DOWNLOAD, 1, NULL},
	        {DOWNLOAD, 1, "200 OK\n\n" SECRETS},
	        {0},
	};
	struct run r;

	(void)state;
	begin(&r, rules);
	assert_true(fetch(&r));
	assert_int_equal(scripted_count(&r.server, DOWNLOAD), 5);
	end(&r);
}

static void test_retry_after(void **state)
{
	static const struct rule rules[] = {{DOWNLOAD, 1, "429 Too Many Requests\nRetry-After: 1\n\n{}"},
	                                    {DOWNLOAD, 0, "200 OK\n\n{}"},
	                                    {0}};
	struct run r;
	int64_t began = loop_now();

	(void)state;
	begin(&r, rules);
	assert_true(fetch(&r));
	assert_true(loop_now() - began >= 1000);
	assert_int_equal(val_len(r.secrets), 0);
	end(&r);
}

static void test_refusals(void **state)
{
	static const struct {
		struct rule rule;
		enum err_class cls;
		int asked;
		const char *says;
	} cases[] = {
	        {{DOWNLOAD, 0,
	          "401 Unauthorized\n\n{\"messages\":[\"Invalid Auth token\"],\"success\":false}"},
	         ERR_USER,
	         1,
	         "401 Invalid Auth token"},
	        {{DOWNLOAD, 0, "403 Forbidden\n\n{\"messages\":[\"no access\"]}"}, ERR_USER, 1, "no access"},
	        {{DOWNLOAD, 0, "404 Not Found\n\n{\"messages\":[\"Could not find config\"]}"},
	         ERR_USER,
	         1,
	         "find config"},
	        {{DOWNLOAD, 0, "429 Too Many Requests\nRetry-After: 0\n\n{}"}, ERR_REMOTE, 5, "429"},
	        {{DOWNLOAD, 0, "429 Too Many Requests\nRetry-After: 600\n\n{}"}, ERR_REMOTE, 1, "429"},
	        {{DOWNLOAD, 0, "500 Internal Server Error\n\n<html>"},
	         ERR_REMOTE,
	         5,
	         "500 Internal Server Error"},
	        {{DOWNLOAD, 0, "200 OK\n\n<html>welcome to the hotel</html>"},
	         ERR_REMOTE,
	         5,
	         "reading the secrets: the answer is no JSON object"},
	        {{DOWNLOAD, 0, "200 OK\n\n[1]"}, ERR_REMOTE, 5, "no JSON object"},
	        {{DOWNLOAD, 0, "200 OK\n\n{\"A\":{\"b\":1}}"}, ERR_REMOTE, 1, "A is no text"},
	        {{DOWNLOAD, 0, "304 Not Modified\n\n"}, ERR_REMOTE, 1, "304"},
	        {{DOWNLOAD, 0, ""}, ERR_UNREACHABLE, 5, "reading the secrets"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rule rules[2] = {cases[i].rule, {0}};
		struct run r;

		begin(&r, rules);
		assert_false(fetch(&r));
		if (!strstr(r.text, cases[i].says))
			fail_msg("\"%s\" is not in: %s", cases[i].says, r.text);
		assert_int_equal(r.err.cls, cases[i].cls);
		assert_int_equal(scripted_count(&r.server, DOWNLOAD), cases[i].asked);
		assert_null(strstr(r.text, "dp.st"));
		end(&r);
	}
}

/* Refused before anything is sent. */
static void test_not_sent(void **state)
{
	static const struct rule rules[] = {{0}};
	struct run r;

	(void)state;
	begin(&r, rules);
	r.o.token = "dp.sa.xyz";
	assert_false(fetch(&r));
	assert_int_equal(r.err.cls, ERR_USER);
	assert_non_null(strstr(r.text, "project"));
	err_clear(&r.err);
	r.o.token = "";
	assert_false(fetch(&r));
	assert_int_equal(r.err.cls, ERR_USER);
	err_clear(&r.err);
	r.o.token = "dp.st.x";
	r.o.api = "http://api.doppler.example";
	assert_false(fetch(&r));
	assert_non_null(strstr(r.text, "https"));
	assert_int_equal(strlen(r.server.asked), 0);
	end(&r);
}

static void test_identity(void **state)
{
	static const struct rule rules[] = {
	        {"GET /oidc?x=1&audience=https%3A%2F%2Fme ", 0, "200 OK\n\n{\"value\":\"jwt-jwt-jwt\"}"},
	        {"POST /v3/auth/oidc ", 1, "503 Service Unavailable\n\n{}"},
	        {"POST /v3/auth/oidc ", 0,
	         "200 OK\n\n{\"token\":\"dp.said.lease\",\"expires_at\":\"2030-01-01T00:00:00Z\"}"},
	        {"POST /v3/auth/revoke ", 0, "500 x\n\n"},
	        {DOWNLOAD, 0, "200 OK\n\n" SECRETS},
	        {0},
	};
	struct run r;
	struct buf b = {0};

	(void)state;
	begin(&r, rules);
	r.o.token = NULL;
	r.o.identity = "0f8fad5b-d9cb-469f-a165-70867728950e";
	r.o.project = "p";
	r.o.config = "prd";
	/* Without the permission GitHub gives no way to ask. */
	assert_false(fetch(&r));
	assert_int_equal(r.err.cls, ERR_USER);
	assert_non_null(strstr(r.err.hint, "id-token: write"));
	err_clear(&r.err);
	r.o.oidc_url = arena_printf(r.a, "http://127.0.0.1:%d/oidc?x=1", r.server.port);
	r.o.oidc_token = "request-token";
	r.o.oidc_audience = "https://me";
	assert_true(fetch(&r));
	assert_int_equal(scripted_count(&r.server, "Authorization: Bearer request-token\r\n"), 1);
	assert_int_equal(scripted_count(&r.server, "{\"identity\":\"0f8fad5b-d9cb-469f-a165-70867728950e\","
	                                           "\"token\":\"jwt-jwt-jwt\"}"),
	                 2);
	assert_int_equal(scripted_count(&r.server, "Authorization: Bearer dp.said.lease\r\n"), 1);
	assert_int_equal(scripted_count(&r.server, "{\"token\":\"dp.said.lease\"}"), 1);
	log_redact(STR("jwt-jwt-jwt dp.said.lease"), &b);
	assert_string_equal(b.p, "*** ***");
	buf_free(&b);
	end(&r);
}

static void test_cancelled(void **state)
{
	static const struct rule rules[] = {{DOWNLOAD, 0, "429 x\nRetry-After: 30\n\n"}, {0}};
	struct run r;
	int64_t began = loop_now();

	(void)state;
	begin(&r, rules);
	loop_cancel(r.loop);
	assert_false(fetch(&r));
	assert_int_equal(r.err.cls, ERR_CANCELLED);
	assert_true(loop_now() - began < 1000);
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_download), cmocka_unit_test(test_visibility),
	        cmocka_unit_test(test_repeats),  cmocka_unit_test(test_retry_after),
	        cmocka_unit_test(test_refusals), cmocka_unit_test(test_not_sent),
	        cmocka_unit_test(test_identity), cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
