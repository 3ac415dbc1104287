#include "proxmox/op.h"

#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>
#include <time.h>

/* Between polls of a task: quick at first, a start takes a second; a full clone takes minutes. */
#define POLL_FIRST_MS 100
#define POLL_LAST_MS 1500
#define BACKOFF_FIRST_MS 500
#define BACKOFF_LAST_MS 8000
/* A connection that cannot be made is tried for this long. */
#define CONNECT_LIMIT_S 30

static const struct guest_kind kinds[] = {
        [MACHINE_VM] = {"qemu", "name", "qmclone", "qmstart", "qmshutdown", "qmstop", "qmdestroy"},
        [MACHINE_LXC] = {"lxc", "hostname", "vzcreate", "vzstart", "vzshutdown", "vzstop", "vzdestroy"},
};

static void send_request(struct pve_op *op);
static void poll_task(struct pve_op *op);
static void look_for_task(struct pve_op *op);

struct pve *pve_new(struct arena *a, struct loop *l, const struct pve_opts *o, struct err *err)
{
	struct pve *p = ARENA_NEW(a, struct pve);
	struct str url = str_trim(str_c(o->url));
	struct http_opts h = {.ca_pem = o->ca_pem};

	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	if (!str_starts(url, "https://")) {
		err_set(err, ERR_USER, ORIGIN_NONE, "PROXMOX_API_URL: '%.*s' does not begin with https://",
		        STR_FMT(url));
		err_hint(err, "write https://HOST:8006");
		return NULL;
	}
	p->base = arena_printf(a, "%.*s%s", STR_FMT(url), str_ends(url, "/api2/json") ? "" : "/api2/json");
	p->auth = arena_printf(a, "Authorization: PVEAPIToken=%s=%s", o->token_id, o->token_secret);
	p->user = arena_strdup(a, o->token_id);
	p->a = a;
	p->loop = l;
	p->speed_percent = o->speed_percent ? o->speed_percent : 100;
	p->http = http_client_new(l, &h, err);
	if (!p->http)
		return NULL;
	arena_defer(a, (void (*)(void *))http_client_free, p->http);
	return p;
}

const struct guest_kind *guest_kind(enum machine_type type)
{
	return &kinds[type];
}

/* The type of a task that makes a guest. */
static bool makes_guest(const char *task_type)
{
	return strcmp(task_type, kinds[MACHINE_VM].make) == 0 ||
	       strcmp(task_type, kinds[MACHINE_LXC].make) == 0;
}

int pve_ms(const struct pve *p, int ms)
{
	int scaled = ms * p->speed_percent / 100;

	return scaled > 0 ? scaled : 1;
}

/* ---- encoding ---- */

/* Everything is percent-encoded: the server splits at & and ; and at every =. */
static void add_param(struct buf *b, struct str key, const struct val *v, struct arena *a)
{
	if (val_is_list(v)) {
		VAL_EACH (i, v)
			add_param(b, key, val_at(v, i), a);
		return;
	}
	if (b->n)
		buf_addc(b, '&');
	buf_percent(b, key);
	buf_addc(b, '=');
	buf_percent(b, val_text(v, a));
}

static const char *form(struct arena *a, const struct val *params)
{
	struct buf b = {0};

	MAP_EACH (i, params)
		add_param(&b, val_get_str(val_key_at(params, i)), val_value_at(params, i), a);
	const char *z = buf_take(&b, a).p;

	buf_free(&b);
	return z;
}

/* ---- ends ---- */

static void finish(struct pve_op *op)
{
	loop_timer_stop(op->p->loop, &op->timer);
	http_req_clear(&op->req);
	op->done(op->ctx, op);
}

static void fail(struct pve_op *op, enum err_class cls, const char *text, const char *hint)
{
	err_set(&op->err, cls, ORIGIN_NONE, "%s", text);
	err_wrap(&op->err, ORIGIN_NONE, "%s %s", op->method, op->path);
	if (hint)
		err_hint(&op->err, "%s", hint);
	finish(op);
}

static void timer_fired(void *ctx)
{
	struct pve_op *op = ctx;

	op->on_timer(op);
}

static void later(struct pve_op *op, int ms, void (*fn)(struct pve_op *))
{
	op->on_timer = fn;
	op->timer.fn = timer_fired;
	op->timer.ctx = op;
	loop_timer_set(op->p->loop, &op->timer, pve_ms(op->p, ms));
}

/* False when the time for retries is over. */
static bool retry(struct pve_op *op, int limit_s, void (*fn)(struct pve_op *))
{
	struct pve_patience *pt = op->upid ? &op->poll : &op->call;
	int64_t now = loop_now();

	if (!pt->from)
		pt->from = now;
	if (now - pt->from > (int64_t)pve_ms(op->p, limit_s * 1000))
		return false;
	pt->tries++;
	later(op, http_backoff_ms(pt->tries, BACKOFF_FIRST_MS, BACKOFF_LAST_MS), fn);
	return true;
}

static bool is_read(const struct pve_op *op)
{
	return strcmp(op->method, "GET") == 0;
}

/* The outcome is unknown: reading and setting again are harmless, starting a task twice is not. */
static bool retry_lost(struct pve_op *op, int limit_s)
{
	bool may_have_started = !is_read(op) && op->task_type && !op->upid;

	op->unsure |= may_have_started;
	/* All clones of a template carry its id, and a container's own may be another run's: whose task is
	 * whose only the new guests tell. */
	op->lost = may_have_started && makes_guest(op->task_type);
	if (op->lost)
		return false;
	return retry(op, limit_s, op->upid ? poll_task : may_have_started ? look_for_task : send_request);
}

/* HINT: where the rule has none. */
static void apply_rule(struct pve_op *op, const struct rule *r, const char *text, const char *hint)
{
	enum err_class cls = op->status == 401 || op->status == 403 ? ERR_USER : ERR_REMOTE;

	if (r->what == RULE_FINE) {
		op->data = val_null();
		finish(op);
		return;
	}
	if (r->what == RULE_RETRY && retry(op, r->limit_s, op->upid ? poll_task : send_request))
		return;
	if (r->what == RULE_LOST && retry_lost(op, r->limit_s))
		return;
	op->taken = r->what == RULE_NEW_ID;
	op->gone = r->what == RULE_GONE;
	fail(op, cls, text, r->hint ? r->hint : hint);
}

/* ---- answers ---- */

/* "parameter: message" for each one the server did not like, else the reason phrase. */
static const char *error_text(struct pve_op *op, const struct val *body)
{
	const struct val *errors = body && val_is_map(body) ? val_get(body, "errors") : NULL;
	const char *message = body && val_is_map(body) ? val_map_strz(body, "message", "") : "";
	const char *reason = op->req.reason[0] ? op->req.reason : "no reason given";
	struct buf b = {0};

	buf_adds(&b, *message ? arena_strndup(op->a, message, strcspn(message, "\n")) : reason);
	if (errors && val_is_map(errors)) {
		MAP_EACH (i, errors) {
			struct str why = str_trim(val_text(val_value_at(errors, i), op->a));

			buf_printf(&b, "%s%s: %.*s", i ? "; " : " ", val_get_strz(val_key_at(errors, i)),
			           STR_FMT(why));
		}
	}
	const char *z = buf_take(&b, op->a).p;

	buf_free(&b);
	return z;
}

static struct val *read_body(struct pve_op *op)
{
	struct val *v = NULL;

	json_parse(op->a, buf_str(&op->req.answer), 0, &v, NULL);
	return v;
}

static bool transport_failed(struct pve_op *op)
{
	struct buf b = {0};
	bool again = false;

	if (op->req.fail == HTTP_FAIL_NONE)
		return false;
	op->status = 0;
	if (op->req.fail == HTTP_FAIL_CONNECT)
		again = retry(op, CONNECT_LIMIT_S, op->upid ? poll_task : send_request);
	else if (op->req.fail == HTTP_FAIL_TIMEOUT || op->req.fail == HTTP_FAIL_BROKEN)
		again = retry_lost(op, 120);
	if (!again) {
		err_text(&op->req.err, &b);
		const char *text = buf_take(&b, op->a).p;

		/* Proxmox VE signs its certificate itself where nobody gave it another. */
		fail(op, ERR_UNREACHABLE, text,
		     op->req.fail == HTTP_FAIL_TLS
		             ? "give the input ca_cert the CA of Proxmox VE, on a node "
		               "/etc/pve/pve-root-ca.pem; the "
		               "URL's host must be a name or address that the certificate holds"
		     : op->req.err.hint
		             ? op->req.err.hint
		             : "is Proxmox VE up, and may this runner reach it? (PROXMOX_API_URL)");
	}
	buf_free(&b);
	return true;
}

/* Whether the last answer was not a 200; what that calls for has then been done. */
static bool refused(struct pve_op *op, const struct val *body)
{
	if (op->req.status == 200 && body && val_is_map(body))
		return false;
	op->status = op->req.status;
	if (op->req.status == 200) {
		fail(op, ERR_REMOTE, "the answer is no JSON", "is PROXMOX_API_URL a Proxmox VE API?");
		return true;
	}
	const char *text = error_text(op, body);

	log_line(LOG_DEBUG, "proxmox: %s %s: %d %s", op->method, op->path, op->status, text);
	apply_rule(op, rule_for(op->status, text), text, NULL);
	return true;
}

static struct val *answer_data(const struct val *body)
{
	struct val *d = val_get(body, "data");

	return d ? d : val_null();
}

static void call(struct pve_op *op, const char *method, const char *url, const char *body,
                 void (*done)(void *, struct http_req *))
{
	const char **headers = arena_array(op->a, 3, sizeof(*headers));

	http_req_clear(&op->req);
	headers[0] = op->p->auth;
	headers[1] = body ? "Content-Type: application/x-www-form-urlencoded" : NULL;
	op->req = (struct http_req){
	        .method = method, .url = url, .send_headers = headers, .done = done, .ctx = op};
	if (body) {
		op->req.body = str_c(body);
		op->req.has_body = true;
	}
	http_send(op->p->http, &op->req);
}

static void on_task_status(void *ctx, struct http_req *req)
{
	struct pve_op *op = ctx;
	struct val *body = read_body(op);

	(void)req;
	if (transport_failed(op) || refused(op, body))
		return;
	const struct val *t = answer_data(body);

	op->poll = (struct pve_patience){0};
	if (!val_is_map(t) || strcmp(val_map_strz(t, "status", ""), "stopped") != 0) {
		int ms = POLL_FIRST_MS << (op->polls < 4 ? op->polls : 4);

		op->polls++;
		later(op, ms < POLL_LAST_MS ? ms : POLL_LAST_MS, poll_task);
		return;
	}
	const char *exit = val_map_strz(t, "exitstatus", "unexpected status");

	op->data = val_strz(op->a, op->upid);
	if (strcmp(exit, "OK") == 0 || strncmp(exit, "WARNINGS: ", 10) == 0) {
		finish(op);
		return;
	}
	const char *hint = arena_printf(op->a, "its log tells more: Proxmox VE, node %s, Task History: %s",
	                                op->node ? op->node : "?", op->upid);

	op->upid = NULL; /* the task is over: a retry is a new call */
	op->data = NULL;
	op->status = 500;
	apply_rule(op, rule_for(0, exit), exit, hint);
}

static void poll_task(struct pve_op *op)
{
	struct str rest = str_c(op->upid), node;
	struct buf b = {0};

	str_split(&rest, ':');
	node = str_split(&rest, ':');
	buf_printf(&b, "%s/nodes/%.*s/tasks/", op->p->base, STR_FMT(node));
	buf_percent(&b, str_c(op->upid));
	buf_adds(&b, "/status");
	const char *url = buf_take(&b, op->a).p;

	buf_free(&b);
	call(op, "GET", url, NULL, on_task_status);
}

static void wait_for_task(struct pve_op *op, const char *upid)
{
	op->upid = upid;
	op->polls = 0;
	op->poll = (struct pve_patience){0};
	later(op, POLL_FIRST_MS, poll_task);
}

static void on_answer(void *ctx, struct http_req *req)
{
	struct pve_op *op = ctx;
	struct val *body = read_body(op);

	(void)req;
	if (transport_failed(op) || refused(op, body))
		return;
	op->status = 200;
	op->data = answer_data(body);
	if (val_is_str(op->data) && str_starts(val_get_str(op->data), "UPID:"))
		wait_for_task(op, val_get_strz(op->data));
	else
		finish(op);
}

static void send_request(struct pve_op *op)
{
	op->sent_epoch = (int64_t)time(NULL);
	call(op, op->method, op->url, op->body, on_answer);
}

/* ---- a lost answer ---- */

/* A task names the user, older versions with the token behind it. */
static bool own_task(const struct pve *p, const struct val *t)
{
	struct str us = str_c(p->user), by = val_is_map(t) ? val_map_str(t, "user", "") : STR("");

	return str_eq(str_split(&by, '!'), str_split(&us, '!'));
}

bool pve_own_making_runs(const struct pve *p, const struct val *tasks)
{
	for (size_t i = 0; tasks && val_is_list(tasks) && i < val_len(tasks); i++) {
		const struct val *t = val_at(tasks, i);

		if (val_is_map(t) && makes_guest(val_map_strz(t, "type", "")) && own_task(p, t) &&
		    !val_get(t, "status") && !val_get(t, "endtime"))
			return true;
	}
	return false;
}

/* Ours, of the right type and guest, begun since we asked. The server's clock may differ a little. */
static const char *find_task(struct pve_op *op, const struct val *tasks)
{
	if (!val_is_list(tasks))
		return NULL;
	VAL_EACH (i, tasks) {
		const struct val *t = val_at(tasks, i);
		const char *upid = val_map_strz(t, "upid", NULL);

		if (upid && strcmp(val_map_strz(t, "type", ""), op->task_type) == 0 && own_task(op->p, t) &&
		    val_map_int(t, "id", 0) == op->vmid &&
		    val_map_int(t, "starttime", 0) >= op->sent_epoch - 5)
			return upid;
	}
	return NULL;
}

static void on_tasks(void *ctx, struct http_req *req)
{
	struct pve_op *op = ctx;
	struct val *body = read_body(op);

	(void)req;
	if (transport_failed(op) || refused(op, body))
		return;
	const char *upid = find_task(op, answer_data(body));

	if (upid)
		wait_for_task(op, upid);
	else
		send_request(op);
}

static void look_for_task(struct pve_op *op)
{
	const char *url = arena_printf(op->a, "%s/nodes/%s/tasks?vmid=%lld&source=all&typefilter=%s",
	                               op->p->base, op->node, (long long)op->vmid, op->task_type);

	call(op, "GET", url, NULL, on_tasks);
}

/* ---- the doors ---- */

void pve_op_start(struct pve *p, struct pve_op *op)
{
	const char *query = op->params ? form(op->a, op->params) : "";
	bool in_body = strcmp(op->method, "POST") == 0 || strcmp(op->method, "PUT") == 0;

	op->p = p;
	op->body = in_body ? query : NULL;
	/* DELETE refuses a body: its parameters go where GET's go. */
	op->url = arena_printf(op->a, "%s%s%s%s", p->base, op->path, !in_body && *query ? "?" : "",
	                       in_body ? "" : query);
	send_request(op);
}

void pve_op_cancel(struct pve_op *op)
{
	if (!op->p)
		return;
	loop_timer_stop(op->p->loop, &op->timer);
	http_cancel(&op->req);
	http_req_clear(&op->req);
}

static void set_flag(void *ctx, struct pve_op *op)
{
	(void)op;
	*(bool *)ctx = true;
}

bool pve_op_run(struct pve *p, struct pve_op *op, struct val **ret, struct err *err)
{
	bool done = false;

	op->done = set_flag;
	op->ctx = &done;
	pve_op_start(p, op);
	while (!done) {
		if (!loop_step(p->loop, -1, err)) {
			pve_op_cancel(op);
			return false;
		}
	}
	if (err_is(&op->err)) {
		err_move(err, &op->err);
		return false;
	}
	if (ret)
		*ret = op->data;
	return true;
}

bool pve_get(struct pve *p, struct arena *a, const char *path, struct val *params, struct val **ret,
             struct err *err)
{
	struct pve_op op = {.a = a, .method = "GET", .path = path, .params = params};

	return pve_op_run(p, &op, ret, err);
}
