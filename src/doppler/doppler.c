#include "doppler/doppler.h"
#include "base/json.h"
#include "base/log.h"
#include "net/http.h"
#include "net/loop.h"

#define TRIES 5
#define RETRY_AFTER_MAX_MS 90000
#define PAUSE_MAX_MS 15000

struct doppler {
	struct loop *loop;
	struct arena *a;
	struct http_client *http;
	const struct doppler_opts *o;
	const char *api;
	const char *bearer; /* "Authorization: Bearer ..." */
	bool leased;        /* the token is ours to give back */
	const char *token;
	unsigned tries;
};

static bool is_set(const char *z)
{
	return z && *z;
}

/* ---- answers ----------------------------------------------------------------------------------------------
 */

/* Broken JSON is the sender's fault here, not the user's. */
static bool parse(struct arena *a, struct str text, struct val **ret, struct err *err)
{
	struct err why = {0};

	if (json_parse(a, text, 0, ret, &why))
		return true;
	err_set(err, ERR_REMOTE, ORIGIN_NONE, "Doppler's answer is no JSON: %s", err_msg(&why));
	err_clear(&why);
	return false;
}

bool doppler_parse_secrets(struct arena *a, struct str text, struct val **ret, struct err *err)
{
	struct val *all, *out = val_map(a);

	if (!parse(a, text, &all, err))
		return false;
	if (val_kind(all) != VAL_MAP)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "Doppler's answer is no JSON object");
	MAP_EACH (i, all) {
		const struct val *v = val_value_at(all, i);
		struct str name = val_text(val_key_at(all, i), a);

		if (val_is_null(v))
			continue;
		if (val_kind(v) == VAL_MAP || val_is_list(v))
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "Doppler's secret %.*s is no text",
			               STR_FMT(name));
		val_sets(out, name, val_str(a, val_text(v, a)));
	}
	*ret = out;
	return true;
}

bool doppler_parse_visibility(struct arena *a, struct str text, struct val **ret, struct err *err)
{
	struct val *all, *secrets, *out = val_map(a);

	if (!parse(a, text, &all, err))
		return false;
	secrets = val_kind(all) == VAL_MAP ? val_get(all, "secrets") : NULL;
	if (!secrets || val_kind(secrets) != VAL_MAP)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "Doppler's answer holds no secrets");
	MAP_EACH (i, secrets) {
		const struct val *s = val_value_at(secrets, i);
		const struct val *v = val_kind(s) == VAL_MAP ? val_get(s, "computedVisibility") : NULL;

		if (v && val_kind(v) == VAL_MAP && str_eqc(val_map_str(v, "type", ""), "unmasked"))
			val_setk(out, val_key_at(secrets, i), val_bool(true));
	}
	*ret = out;
	return true;
}

/* What Doppler says about the trouble: {"messages": [...]}; its errors may also be an HTML page. */
static const char *complaint(struct doppler *d, const struct http_req *req)
{
	struct err ignored = {0};
	const struct val *messages = NULL, *first = NULL;
	struct val *m;

	if (json_parse(d->a, buf_str(&req->answer), 0, &m, &ignored) && val_kind(m) == VAL_MAP)
		messages = val_get(m, "messages");
	err_clear(&ignored);
	if (messages && val_is_list(messages) && val_len(messages))
		first = val_at(messages, 0);
	return first && val_is_str(first) ? val_text(first, d->a).p : req->reason;
}

/* ---- one request, tried several times ---------------------------------------------------------------------
 */

static bool worth_repeating(const struct http_req *req)
{
	if (req->fail != HTTP_FAIL_NONE)
		return req->fail == HTTP_FAIL_CONNECT || req->fail == HTTP_FAIL_TIMEOUT ||
		       req->fail == HTTP_FAIL_BROKEN;
	if (http_retry_after_ms(req) > RETRY_AFTER_MAX_MS)
		return false;
	return req->status == 200 || req->status == 429 || req->status >= 500;
}

/* Every answer is a JSON object. A proxy on the way may put a page of its own in its place. */
static bool is_answer(struct doppler *d, const struct http_req *req)
{
	struct err ignored = {0};
	struct val *m;
	bool ok = req->status == 200 && json_parse(d->a, buf_str(&req->answer), 0, &m, &ignored) &&
	          val_kind(m) == VAL_MAP;

	err_clear(&ignored);
	return ok;
}

/* By status; the last row is for every other. */
static const struct {
	int status;
	enum err_class cls;
	const char *hint;
} refusals[] = {
        {400, ERR_USER, "check the Doppler token, project and config"},
        {401, ERR_USER, "check the Doppler token: it may be mistyped, revoked or expired"},
        {403, ERR_USER, "give the token access to this project and config"},
        {404, ERR_USER, "check the names of the Doppler project and config"},
        {422, ERR_USER, "check the Doppler identity, project and config"},
        {429, ERR_REMOTE, "Doppler's rate limit is used up: run again in a minute"},
        {0, ERR_REMOTE, "Doppler is in trouble (https://www.dopplerstatus.com): run again later"},
};

static bool refused(struct doppler *d, const struct http_req *req, const char *what, struct err *err)
{
	int wait_s = http_retry_after_ms(req) / 1000;
	size_t i = 0;

	if (req->status == 200) {
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "Doppler: %s: the answer is no JSON object", what);
		return err_hint(err, "something else answered in Doppler's place: a proxy, a login page?");
	}
	while (refusals[i].status && refusals[i].status != req->status)
		i++;
	err_set(err, refusals[i].cls, ORIGIN_NONE, "Doppler: %s: %d %s", what, req->status,
	        complaint(d, req));
	if (wait_s > 0)
		return err_hint(err, "Doppler asks to wait %d s: run again then", wait_s);
	return err_hint(err, "%s", refusals[i].hint);
}

static void pause_over(void *ctx)
{
	(void)ctx;
}

static bool pause_for(struct doppler *d, int ms, struct err *err)
{
	struct loop_timer t = {.fn = pause_over};
	bool ok = true;

	loop_timer_set(d->loop, &t, ms);
	while (ok && loop_timer_on(&t))
		ok = loop_step(d->loop, -1, err);
	loop_timer_stop(d->loop, &t);
	return ok;
}

static int pause_before(const struct doppler *d, const struct http_req *req, unsigned tried)
{
	int asked = req->fail == HTTP_FAIL_NONE ? http_retry_after_ms(req) : -1;

	if (asked >= 0)
		return asked;
	return http_backoff_ms(tried, d->o->pause_ms ? d->o->pause_ms : 500, PAUSE_MAX_MS);
}

/* "https://host" of URL. */
static struct str server_of(const char *url)
{
	const char *host = strstr(url, "://");

	return str_n(url, host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?") : strlen(url));
}

/* A 200 with a JSON object in *REQ, or false. WHAT names the request in errors. */
static bool perform(struct doppler *d, struct http_req *req, const char *what, struct err *err)
{
	req->total_ms = d->o->timeout_ms ? d->o->timeout_ms : 10000;
	for (unsigned tried = 1;; tried++) {
		struct err one = {0};
		int wait;

		if (http_perform(d->http, req, &one) && is_answer(d, req))
			return true;
		if (one.cls == ERR_CANCELLED || !worth_repeating(req) || tried >= d->tries) {
			if (err_is(&one)) {
				err_move(err, &one);
				if (err->cls == ERR_UNREACHABLE)
					err_hint(err, "may this runner reach %.*s?",
					         STR_FMT(server_of(req->url)));
				return err_wrap(err, ORIGIN_NONE, "Doppler: %s", what);
			}
			return refused(d, req, what, err);
		}
		err_clear(&one);
		wait = pause_before(d, req, tried);
		http_req_clear(req);
		if (!pause_for(d, wait, err))
			return false;
	}
}

/* ---- tokens -----------------------------------------------------------------------------------------------
 */

static const char *secret_member(struct doppler *d, const struct http_req *req, const char *name)
{
	struct err ignored = {0};
	struct val *m;
	const char *z = NULL;

	if (json_parse(d->a, buf_str(&req->answer), 0, &m, &ignored) && val_kind(m) == VAL_MAP)
		z = val_map_strz(m, name, NULL);
	err_clear(&ignored);
	if (!is_set(z))
		return NULL;
	log_secret(str_c(z));
	return z;
}

static bool github_token(struct doppler *d, const char **ret, struct err *err)
{
	const char *auth = arena_printf(d->a, "Authorization: Bearer %s", d->o->oidc_token);
	const char *const headers[] = {auth, "Accept: application/json", NULL};
	struct http_req req = {.method = "GET", .send_headers = headers};
	struct buf url = {0};
	bool ok;

	if (!is_set(d->o->oidc_url) || !is_set(d->o->oidc_token)) {
		err_set(err, ERR_USER, ORIGIN_NONE,
		        "a Doppler identity needs GitHub's OIDC, which this job has not");
		return err_hint(err,
		                "add \"permissions: id-token: write\" to the job, or give a Doppler token");
	}
	buf_adds(&url, d->o->oidc_url);
	if (is_set(d->o->oidc_audience)) {
		buf_adds(&url, strchr(d->o->oidc_url, '?') ? "&audience=" : "?audience=");
		buf_percent(&url, str_c(d->o->oidc_audience));
	}
	req.url = url.p;
	ok = perform(d, &req, "GitHub's OIDC token", err);
	if (ok) {
		*ret = secret_member(d, &req, "value");
		ok = *ret || err_set(err, ERR_REMOTE, ORIGIN_NONE, "GitHub's OIDC answer holds no token");
	}
	http_req_clear(&req);
	buf_free(&url);
	return ok;
}

static bool post(struct doppler *d, const char *path, const struct val *body, const char *what,
                 struct http_req *req, struct err *err)
{
	static const char *const headers[] = {"Content-Type: application/json", "Accept: application/json",
	                                      NULL};
	struct buf b = {0};
	bool ok;

	json_dump(body, JSON_STYLE_COMPACT, &b);
	*req = (struct http_req){.method = "POST",
	                         .url = arena_printf(d->a, "%s%s", d->api, path),
	                         .send_headers = headers,
	                         .body = buf_str(&b),
	                         .has_body = true};
	ok = perform(d, req, what, err);
	buf_burn(&b);
	return ok;
}

static bool exchange_identity(struct doppler *d, struct err *err)
{
	struct val *body = val_map(d->a);
	struct http_req req;
	const char *jwt = NULL;
	bool ok;

	if (!github_token(d, &jwt, err))
		return false;
	val_set(body, "identity", val_strz(d->a, d->o->identity));
	val_set(body, "token", val_strz(d->a, jwt));
	ok = post(d, "/v3/auth/oidc", body, "login with the identity", &req, err);
	if (ok) {
		d->token = secret_member(d, &req, "token");
		d->leased = d->token != NULL;
		ok = d->token ||
		     err_set(err, ERR_REMOTE, ORIGIN_NONE, "Doppler's login answer holds no token");
	}
	http_req_clear(&req);
	return ok;
}

/* The token of an identity is good for a while: it is given back. That failing harms nobody, as it expires.
 */
static void give_back(struct doppler *d)
{
	struct val *body = val_map(d->a);
	struct http_req req;
	struct err ignored = {0};

	if (!d->leased || loop_cancelled(d->loop))
		return;
	val_set(body, "token", val_strz(d->a, d->token));
	d->tries = 1;
	post(d, "/v3/auth/revoke", body, "giving the token back", &req, &ignored);
	http_req_clear(&req);
	err_clear(&ignored);
}

static bool get_token(struct doppler *d, struct err *err)
{
	bool names = is_set(d->o->project) && is_set(d->o->config);

	d->token = d->o->token;
	if (!is_set(d->token) && !is_set(d->o->identity)) {
		err_set(err, ERR_USER, ORIGIN_NONE, "no Doppler token and no identity");
		return err_hint(err, "give DOPPLER_TOKEN, a service token of the config");
	}
	if (!names && (!is_set(d->token) || strncmp(d->token, "dp.st.", 6) != 0)) {
		err_set(err, ERR_USER, ORIGIN_NONE,
		        "this kind of Doppler token needs the names of the project and the config");
		return err_hint(err, "a service token (dp.st.) carries them");
	}
	if (!is_set(d->token) && !exchange_identity(d, err))
		return false;
	log_secret(str_c(d->token));
	d->bearer = arena_printf(d->a, "Authorization: Bearer %s", d->token);
	return true;
}

/* ---- the download -----------------------------------------------------------------------------------------
 */

static const char *url_of(struct doppler *d, const char *path)
{
	struct buf b = {0};
	struct str s;

	buf_printf(&b, "%s%s", d->api, path);
	if (is_set(d->o->project)) {
		buf_adds(&b, "&project=");
		buf_percent(&b, str_c(d->o->project));
	}
	if (is_set(d->o->config)) {
		buf_adds(&b, "&config=");
		buf_percent(&b, str_c(d->o->config));
	}
	s = buf_take(&b, d->a);
	buf_free(&b);
	return s.p;
}

/* Names Doppler shows openly; empty when that cannot be found out: then all are secret. */
static struct val *open_names(struct doppler *d, struct http_req *req)
{
	struct val *names = val_map(d->a);
	struct err ignored = {0};

	while (req->xfer && loop_step(d->loop, -1, &ignored))
		;
	http_cancel(req);
	if (req->fail == HTTP_FAIL_NONE && req->status == 200)
		doppler_parse_visibility(d->a, buf_str(&req->answer), &names, &ignored);
	err_clear(&ignored);
	return names;
}

/* A value that says nothing by itself would blank ordinary text in every log. */
static void mark(struct doppler *d, struct val *all, const struct val *open)
{
	MAP_EACH (i, all) {
		struct str name = val_text(val_key_at(all, i), d->a);
		struct val *v = val_value_at(all, i);

		if (val_gets(open, name) || str_starts(name, "DOPPLER_"))
			continue;
		log_secret(val_text(v, d->a));
		val_sets(all, name, val_mark_secret(d->a, v));
	}
}

static bool download(struct doppler *d, struct val **ret, struct err *err)
{
	const char *const headers[] = {d->bearer, "Accept: application/json", NULL};
	struct http_req get = {.method = "GET", .send_headers = headers}, look = get;
	bool ok;

	get.url = url_of(d, "/v3/configs/config/secrets/download?format=json&include_dynamic_secrets=false");
	if (d->o->visibility) {
		look.url = url_of(d, "/v3/configs/config/secrets?include_dynamic_secrets=false");
		look.total_ms = d->o->timeout_ms ? d->o->timeout_ms : 10000;
		http_send(d->http, &look);
	}
	ok = perform(d, &get, "reading the secrets", err) &&
	     doppler_parse_secrets(d->a, buf_str(&get.answer), ret, err);
	if (ok)
		mark(d, *ret, open_names(d, &look));
	http_cancel(&look);
	http_req_clear(&look);
	http_req_clear(&get);
	return ok;
}

static bool check_api(struct doppler *d, struct err *err)
{
	const char *api = is_set(d->o->api) ? d->o->api : "https://api.doppler.com";
	struct str s = str_c(strstr(api, "://") ? api : arena_printf(d->a, "https://%s", api));

	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	d->api = arena_strndup(d->a, s.p, s.n);
	if (str_starts(s, "https://") || str_starts(s, "http://127.0.0.1:") ||
	    str_starts(s, "http://localhost:"))
		return true;
	err_set(err, ERR_USER, ORIGIN_NONE, "the Doppler API must be reached by https: %s", d->api);
	return err_hint(err, "the token would travel in clear text otherwise");
}

bool doppler_fetch(struct loop *l, struct arena *a, const struct doppler_opts *o, struct val **ret,
                   struct err *err)
{
	struct doppler d = {.loop = l, .a = a, .o = o, .tries = TRIES};
	struct http_opts http = {.ca_pem = o->ca_pem};
	bool ok;

	if (!check_api(&d, err))
		return false;
	d.http = http_client_new(l, &http, err);
	if (!d.http)
		return false;
	ok = get_token(&d, err) && download(&d, ret, err);
	give_back(&d);
	http_client_free(d.http);
	return ok;
}
