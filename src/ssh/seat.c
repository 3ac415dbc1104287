#include "ssh/seat.h"
#include "agent/proto.h"
#include "base/json.h"
#include "net/loop.h"
#include "ssh/deploy.h"
#include "ssh/wire.h"

#include <stdio.h>
#include <stdlib.h>

#define START_LIMIT_MS 60000 /* without any sign of life until the agent says hello */
#define ERRS_KEEP ((size_t)16 << 10)
#define UPLOAD_CHUNK ((size_t)256 << 10)

/* A request and how far it is. */
struct job {
	struct link_req *req;
	uint32_t id;
	bool sent;
	bool adopting; /* sent to an agent that was lost; the new one was, or is to be, asked */
	struct job *next;
};

/* Content on its way to a task. */
struct blob {
	uint32_t id;
	char sha256[32];
	struct str rest;
	struct blob *next;
};

static void on_ready(void *ctx);
static void send_tasks(struct seat *s);
static void on_limit(void *ctx);

void seat_init(struct seat *s, struct loop *l, const struct seat_owner *o)
{
	struct loop_timer *t = xmalloc(sizeof(*t));

	*t = (struct loop_timer){.fn = on_limit, .ctx = s};
	s->loop = l;
	s->owner = *o;
	s->limit = t;
}

void seat_add(struct seat *s, struct link_req *req)
{
	struct job *j = xmalloc(sizeof(*j)), **end = &s->jobs;

	*j = (struct job){.req = req, .id = ++s->last_id};
	while (*end)
		end = &(*end)->next;
	*end = j;
	if (s->state == SEAT_UP) {
		send_tasks(s);
		wire_flush(s->wire);
	}
}

bool seat_has_jobs(const struct seat *s)
{
	return s->jobs != NULL;
}

static void drop_blobs(struct seat *s, uint32_t id)
{
	struct blob **p = &s->blobs;

	while (*p) {
		struct blob *b = *p;

		if (id && b->id != id) {
			p = &b->next;
			continue;
		}
		*p = b->next;
		free(b);
	}
}

/* Its result or error is in place. */
static void job_done(struct seat *s, struct job *j)
{
	struct job **p = &s->jobs;

	while (*p != j)
		p = &(*p)->next;
	*p = j->next;
	drop_blobs(s, j->id);
	j->req->done = true;
	free(j);
}

static void job_fail(struct seat *s, struct job *j, enum err_class cls, const char *msg, const char *hint)
{
	err_set(&j->req->err, cls, ORIGIN_NONE, "%s", msg);
	if (hint)
		err_hint(&j->req->err, "%s", hint);
	job_done(s, j);
}

void seat_fail(struct seat *s, const struct err *err)
{
	struct buf text = {0};

	err_text(err, &text);
	while (s->jobs)
		job_fail(s, s->jobs, err->cls, text.p ? text.p : "", err->hint);
	buf_free(&text);
}

void seat_forget(struct seat *s)
{
	drop_blobs(s, 0);
	while (s->jobs) {
		struct job *j = s->jobs;

		s->jobs = j->next;
		free(j);
	}
}

void seat_free(struct seat *s)
{
	seat_stop(s);
	seat_forget(s);
	free(s->limit);
	s->limit = NULL;
}

void seat_start(struct seat *s, struct wire *w, const struct program *program)
{
	s->wire = w;
	s->program = program;
	s->sent = 0;
	s->sending = s->password_sent = false;
	s->state = program ? SEAT_BOOT : SEAT_HELLO;
	w->ready = on_ready;
	w->ctx = s;
	loop_timer_set(s->loop, s->limit, START_LIMIT_MS);
}

void seat_stop(struct seat *s)
{
	if (s->state == SEAT_UP) {
		/* A loss during the adoption leaves the older session's name: the tasks are its. */
		bool adopting = false;

		for (struct job *j = s->jobs; j; j = j->next)
			adopting |= j->adopting;
		if (!adopting)
			memcpy(s->lost_session, s->session, sizeof(s->lost_session));
		for (struct job *j = s->jobs; j; j = j->next)
			j->adopting = j->sent;
	}
	s->state = SEAT_OFF;
	loop_timer_stop(s->loop, s->limit);
	drop_blobs(s, 0);
	wire_close(s->wire);
	s->wire = NULL;
}

static void ended(struct seat *s, struct err *err)
{
	enum seat_state stage = s->state;

	seat_stop(s);
	if (stage == SEAT_UP)
		s->deaths++;
	s->owner.ended(s->owner.ctx, s, stage, err);
	err_clear(err);
}

static void on_limit(void *ctx)
{
	struct seat *s = ctx;
	struct err err = {0};

	err_set(&err, ERR_UNREACHABLE, ORIGIN_NONE, "%s: the agent does not start", s->host);
	ended(s, &err);
}

/* ---- sending ----------------------------------------------------------------------------------------------
 */

static void send_frame(struct seat *s, enum proto_type type, uint32_t id, const struct val *payload)
{
	struct buf b = {0};

	json_dump(payload, JSON_STYLE_BYTES, &b);
	proto_encode(&s->wire->out, type, id, buf_str(&b));
	buf_burn(&b);
}

void seat_goodbye(struct seat *s)
{
	if (s->state != SEAT_UP)
		return;
	proto_encode(&s->wire->out, PROTO_CANCEL, ++s->last_id, STR("{}"));
	wire_flush(s->wire);
}

static void send_task(struct seat *s, struct job *j)
{
	struct buf b = {0};

	json_dump(j->req->task, JSON_STYLE_BYTES, &b);
	if (b.full || b.n > PROTO_PAYLOAD_MAX) {
		job_fail(s, j, ERR_USER, "the task's arguments are too big to send",
		         "put the content into a file");
	} else {
		j->sent = true;
		proto_encode(&s->wire->out, PROTO_TASK, j->id, buf_str(&b));
	}
	buf_burn(&b);
}

static void ask_adoption(struct seat *s)
{
	struct arena *a = arena_new(NULL);

	for (struct job *j = s->jobs; j; j = j->next) {
		struct val *m = val_map(a);

		if (!j->adopting)
			continue;
		val_set(m, "session", val_strz(a, s->lost_session));
		val_set(m, "id", val_int(a, j->id));
		send_frame(s, PROTO_ADOPT, j->id, m);
	}
	arena_free(a);
}

/* Tasks run in the order they are sent: none goes before all fates of the lost ones are known. */
static void send_tasks(struct seat *s)
{
	struct job *next;

	for (struct job *j = s->jobs; j; j = j->next)
		if (j->adopting)
			return;
	for (struct job *j = s->jobs; j && s->wire->out.n < WIRE_OUT_LOW; j = next) {
		next = j->next;
		if (!j->sent)
			send_task(s, j);
	}
}

static void send_blobs(struct seat *s)
{
	while (s->blobs && s->wire->out.n < WIRE_OUT_LOW) {
		struct blob *b = s->blobs;
		size_t n = b->rest.n < PROTO_BLOB_CHUNK ? b->rest.n : PROTO_BLOB_CHUNK;
		struct buf payload = {0};

		buf_add(&payload, b->sha256, sizeof(b->sha256));
		buf_add(&payload, b->rest.p, n);
		proto_encode(&s->wire->out, PROTO_BLOB, b->id, buf_str(&payload));
		buf_burn(&payload);
		b->rest = str_from(b->rest, n);
		if (n == 0) {
			s->blobs = b->next;
			free(b);
		}
	}
}

/* ---- what the agent says ----------------------------------------------------------------------------------
 */

static struct job *find_job(struct seat *s, uint32_t id)
{
	struct job *j = s->jobs;

	while (j && j->id != id)
		j = j->next;
	return j;
}

static bool on_hello(struct seat *s, const struct val *m, struct err *err)
{
	if (s->state != SEAT_HELLO)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: a second hello from the agent", s->host);
	if (val_map_int(m, "version", 0) != PROTO_VERSION)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "%s: the agent speaks version %lld of the protocol, not %d", s->host,
		               (long long)val_map_int(m, "version", 0), PROTO_VERSION);
	snprintf(s->session, sizeof(s->session), "%s", val_map_strz(m, "session", ""));
	s->uid = val_map_int(m, "uid", -1);
	s->state = SEAT_UP;
	loop_timer_stop(s->loop, s->limit);
	if (s->privileged && s->uid != 0)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: sudo did not make the agent root", s->host);
	ask_adoption(s);
	s->owner.up(s->owner.ctx, s);
	return true;
}

static bool on_result(struct seat *s, uint32_t id, struct str payload, struct err *err)
{
	struct job *j = find_job(s, id);

	if (!j && id <= s->last_id)
		return true; /* forgotten meanwhile */
	if (!j)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: the agent answers a task it was not given",
		               s->host);
	if (!json_parse_bytes(j->req->a, payload, &j->req->result, err) ||
	    val_kind(j->req->result) != VAL_MAP) {
		j->req->result = NULL;
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: the agent's result is no JSON object",
		               s->host);
	}
	s->deaths = 0;
	job_done(s, j);
	return true;
}

/* What became of a task whose agent was lost. */
static bool on_lost(struct seat *s, uint32_t id, const struct val *m)
{
	struct job *j = find_job(s, id);
	const struct val *started = val_get(m, "started");
	bool known = started && val_kind(started) == VAL_BOOL;

	if (!j || !j->adopting)
		return true;
	j->adopting = false;
	if ((known && !val_truthy(started)) || j->req->read_only)
		j->sent = false;
	else
		job_fail(s, j, ERR_REMOTE,
		         known ? "the agent on the host died while it ran this task"
		               : "the connection was lost, and the host does not know what became of this "
		                 "task",
		         "run again: what is done already is not done twice");
	return true;
}

static bool hex_bytes(struct str hex, char out[32])
{
	if (hex.n != 64)
		return false;
	for (size_t i = 0; i < 64; i++) {
		char c = hex.p[i];
		int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (v < 0)
			return false;
		out[i / 2] = (char)(i % 2 ? (unsigned char)out[i / 2] | (unsigned)v : (unsigned)v << 4);
	}
	return true;
}

static bool on_need(struct seat *s, uint32_t id, const struct val *m, struct err *err)
{
	struct job *j = find_job(s, id);
	struct str sha = val_map_str(m, "sha256", "");
	struct blob *b, **end = &s->blobs;

	if (!j)
		return true;
	b = xmalloc(sizeof(*b));
	*b = (struct blob){.id = id};
	if (!hex_bytes(sha, b->sha256)) {
		free(b);
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "%s: the agent asks for content without its checksum", s->host);
	}
	/* Unknown content goes out empty: its checksum is wrong, and the task fails with that. */
	if (!j->req->content || !j->req->content(j->req->ctx, sha, &b->rest))
		b->rest = str_n(NULL, 0);
	while (*end)
		end = &(*end)->next;
	*end = b;
	return true;
}

static bool on_frame(struct seat *s, const struct proto_frame *f, struct err *err)
{
	struct arena *a;
	struct val *m;
	struct job *j;
	bool ok;

	if (f->type == PROTO_RESULT && s->state == SEAT_UP)
		return on_result(s, f->id, f->payload, err);
	a = arena_new(NULL);
	ok = json_parse_bytes(a, f->payload, &m, err) && val_kind(m) == VAL_MAP;
	if (!ok)
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: a frame from the agent is no JSON object",
		        s->host);
	else if (f->type == PROTO_HELLO)
		ok = on_hello(s, m, err);
	else if (f->type == PROTO_NEED)
		ok = on_need(s, f->id, m, err);
	else if (f->type == PROTO_LOST)
		ok = on_lost(s, f->id, m);
	else if (f->type == PROTO_ERROR)
		ok = err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: the agent says: %s", s->host,
		             val_map_strz(m, "msg", ""));
	else if (f->type != PROTO_PROGRESS)
		ok = err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: unexpected frame %d from the agent", s->host,
		             (int)f->type);
	else if ((j = find_job(s, f->id)) && j->req->progress)
		j->req->progress(j->req->ctx, val_map_str(m, "line", ""), val_map_bool(m, "stderr", false));
	arena_free(a);
	return ok;
}

/* False: broken, or the seat was closed meanwhile (no err). */
static bool read_frames(struct seat *s, struct err *err)
{
	struct wire *w = s->wire;
	struct proto_frame f;
	int got;

	while ((got = proto_decode(&w->in, &f, err)) > 0) {
		size_t n = proto_frame_size(&f);

		if (!on_frame(s, &f, err) || s->wire != w)
			return false;
		buf_consume(&w->in, n);
	}
	return got == 0;
}

/* ---- starting ---------------------------------------------------------------------------------------------
 */

static void send_program(struct seat *s)
{
	while (s->sending && s->wire->out.n < WIRE_OUT_LOW) {
		struct str text = s->program->text;
		size_t n = text.n - s->sent < UPLOAD_CHUNK ? text.n - s->sent : UPLOAD_CHUNK;

		buf_add(&s->wire->out, text.p + s->sent, n);
		s->sent += n;
		s->sending = s->sent < text.n;
	}
}

/* A line of the boot command. False: it is over (err), or the seat was closed (no err). */
static bool on_boot_line(struct seat *s, struct str line, struct err *err)
{
	char word[64];

	if (!str_starts(line, BOOT_MARK))
		return true; /* the profile's noise */
	line = str_trim(str_n(line.p + strlen(BOOT_MARK), line.n - strlen(BOOT_MARK)));
	if (str_eqc(line, "run")) {
		s->state = SEAT_HELLO;
	} else if (str_eqc(line, "need")) {
		s->sending = true;
		s->owner.event(s->owner.ctx, "sending the agent");
	} else if (str_starts(line, "arch ")) {
		snprintf(word, sizeof(word), "%.*s", (int)(line.n - 5), line.p + 5);
		seat_stop(s);
		s->owner.wrong_arch(s->owner.ctx, s, word);
		return false;
	} else if (str_eqc(line, "full")) {
		err_set(err, ERR_UNREACHABLE, ORIGIN_NONE,
		        "%s: cannot put the agent there: no space left on its file systems (%zu MB are "
		        "needed)",
		        s->host, (s->program->text.n >> 20) + 1);
		return err_hint(err, "make room there: df -h on the machine shows what is full");
	} else {
		return err_set(err, ERR_UNREACHABLE, ORIGIN_NONE, "%s: cannot put the agent there: %.*s",
		               s->host, STR_FMT(line));
	}
	return true;
}

static bool read_boot(struct seat *s, struct err *err)
{
	struct wire *w = s->wire;

	while (s->state == SEAT_BOOT) {
		ptrdiff_t nl = str_find(buf_str(&w->in), STR("\n"), 0);

		if (nl < 0)
			return w->in.n < ((size_t)1 << 20) ||
			       err_set(err, ERR_UNREACHABLE, ORIGIN_NONE,
			               "%s: the login shell only makes noise", s->host);
		if (!on_boot_line(s, str_n(w->in.p, (size_t)nl), err) || s->wire != w)
			return false;
		buf_consume(&w->in, (size_t)nl + 1);
	}
	return true;
}

static bool answer_prompt(struct seat *s, struct err *err)
{
	struct wire *w = s->wire;
	ptrdiff_t at = str_find(buf_str(&w->errs), STR(BECOME_PROMPT), 0);

	if (at < 0 || !s->password)
		return true;
	buf_consume(&w->errs, (size_t)at + strlen(BECOME_PROMPT));
	if (s->password_sent)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: sudo does not take the password", s->host);
	s->password_sent = true;
	buf_adds(&w->out, s->password);
	buf_addc(&w->out, '\n');
	return true;
}

/* ---- the end ----------------------------------------------------------------------------------------------
 */

/* The wire ended by itself. */
static void explain(struct seat *s, struct err *err)
{
	struct wire *w = s->wire;
	struct str said = str_trim(buf_str(&w->errs));

	if (err_is(&w->err)) {
		err_move(err, &w->err);
		return;
	}
	if (said.n > 2000)
		said = str_n(said.p + said.n - 2000, 2000);
	if (s->state == SEAT_UP)
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: the agent ended (status %d)%s%.*s", s->host,
		        w->exit_status, said.n ? ": " : "", STR_FMT(said));
	else if (s->privileged) {
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "%s: cannot become root: %.*s", s->host, STR_FMT(said));
		err_hint(err, "let the user run sudo without a password, or give ansible_become_password");
	} else
		err_set(err, ERR_UNREACHABLE, ORIGIN_NONE, "%s: the agent does not start (status %d)%s%.*s",
		        s->host, w->exit_status, said.n ? ": " : "", STR_FMT(said));
}

static void on_ready(void *ctx)
{
	struct seat *s = ctx;
	struct wire *w = s->wire;
	struct err err = {0};
	bool ok = true;

	if (s->state < SEAT_UP) {
		loop_timer_set(s->loop, s->limit, START_LIMIT_MS);
		ok = answer_prompt(s, &err) && read_boot(s, &err);
	}
	if (ok && s->state >= SEAT_HELLO)
		ok = read_frames(s, &err);
	if (s->wire != w)
		return;
	if (ok && w->eof) {
		explain(s, &err);
		ok = false;
	}
	if (!ok) {
		ended(s, &err);
		return;
	}
	if (s->state == SEAT_UP) {
		send_tasks(s);
		send_blobs(s);
		if (w->errs.n > ERRS_KEEP)
			buf_consume(&w->errs, w->errs.n - ERRS_KEEP);
	}
	send_program(s);
	if (w->out.n)
		wire_flush(w);
}
