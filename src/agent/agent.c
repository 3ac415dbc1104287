#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "agent/agent.h"
#include "agent/spool.h"
#include "agent/task.h"
#include "base/json.h"

/* Results that may not have reached the controller: the last few. */
enum { KEPT = 16 };
/* How long the last task of a run that was cut off may go on: as long as apt waits for its lock, twice. */
enum { ORPHAN_SECONDS = 600 };

struct kept {
	uint32_t id;
	struct buf result;
};

struct agent {
	const struct agent_opts *o;
	struct arena *a; /* the tasks' arenas hang on it */
	struct wire w;
	struct spool spool;
	struct kept kept[KEPT];
	size_t next; /* slot for the next result */
	bool alone;  /* no run that was cut off is still at work here */
	bool bye;    /* CANCEL was seen: the end is a normal one */
	bool broken;
};

static void agent_error(struct agent *ag, uint32_t id, const char *msg)
{
	struct arena *a = arena_new(NULL);
	struct val *v = val_map(a);
	val_set(v, "msg", val_strz(a, msg));
	wire_send_val(&ag->w, PROTO_ERROR, id, v, false);
	arena_free(a);
	ag->broken = true;
}

static void agent_hello(struct agent *ag)
{
	struct utsname u = {0};
	struct arena *a = arena_new(NULL);
	struct val *v = val_map(a), *can = val_list(a);
	uname(&u);
	val_push(can, val_strz(a, "adopt"));
	val_push(can, val_strz(a, "blob"));
	val_set(v, "version", val_int(a, PROTO_VERSION));
	val_set(v, "build", val_strz(a, ag->o->build ? ag->o->build : ""));
	val_set(v, "arch", val_strz(a, u.machine));
	val_set(v, "pid", val_int(a, getpid()));
	val_set(v, "uid", val_int(a, geteuid()));
	val_set(v, "session", val_strz(a, ag->spool.session));
	val_set(v, "capabilities", can);
	wire_send_val(&ag->w, PROTO_HELLO, 0, v, false);
	arena_free(a);
}

/* What was queued behind a lost link or a CANCEL never begins. */
static bool may_begin(struct agent *ag)
{
	wire_fill(&ag->w, false);
	return !ag->w.cancelled && !ag->w.told_to_stop && !ag->w.dead;
}

static void say(struct agent *ag, uint32_t id, enum proto_type type, const char *key, const char *text)
{
	struct arena *a = arena_new(NULL);
	struct val *v = val_map(a);
	val_set(v, key, val_strz(a, text));
	if (type == PROTO_RESULT)
		val_set(v, "failed", val_bool(true));
	wire_send_val(&ag->w, type, id, v, false);
	arena_free(a);
}

/* The run before this one may have died while its last task was at work here: the two must not get in each
 * other's way. False: the task does not begin. */
static bool wait_for_orphans(struct agent *ag, uint32_t id)
{
	char text[200];
	pid_t pid, said = 0;
	for (int tenths = 0; (pid = spool_orphan(&ag->spool)) && may_begin(ag); tenths++) {
		if (pid != said) {
			snprintf(text, sizeof(text),
			         "waiting for the last task of a run that was cut off (process %ld)",
			         (long)pid);
			say(ag, id, PROTO_PROGRESS, "line", text);
			said = pid;
		}
		if (tenths >= ORPHAN_SECONDS * 10) {
			snprintf(text, sizeof(text),
			         "The last task of a run that was cut off is still at work after %d s (below "
			         "process %ld). Let it end, or end it, and run again.",
			         ORPHAN_SECONDS, (long)pid);
			say(ag, id, PROTO_RESULT, "msg", text);
			return false;
		}
		wire_flush(&ag->w);
		usleep(100000);
	}
	ag->alone = !pid;
	return ag->alone;
}

static void on_task(struct agent *ag, const struct wire_frame *f)
{
	if (!may_begin(ag) || (!ag->alone && !wait_for_orphans(ag, f->id)))
		return;
	spool_begin(&ag->spool, f->id);
	struct arena *a = arena_new(ag->a);
	struct kept *k = &ag->kept[ag->next++ % KEPT];
	struct val *result = task_run(&ag->w, f->id, f->payload, ag->o->env, a);
	k->id = f->id;
	buf_burn(&k->result);
	wire_result_json(result, &k->result);
	wire_send(&ag->w, PROTO_RESULT, f->id, buf_str(&k->result), false);
	arena_free(a);
}

static void on_adopt(struct agent *ag, const struct wire_frame *f)
{
	struct arena *a = arena_new(NULL);
	struct val *ask = NULL, *v = val_map(a);
	struct err e = {0};
	struct buf result = {0};
	enum spool_found found = SPOOL_UNKNOWN;
	if (json_parse_bytes(a, f->payload, &ask, &e) && val_is_map(ask)) {
		struct str session = val_map_str(ask, "session", "");
		int64_t id = val_map_int(ask, "id", 0);
		/* Its agent may be in the middle of the task: that takes as long as it takes. */
		while ((found = spool_fetch(&ag->spool, session, (uint32_t)id, &result)) == SPOOL_BUSY &&
		       !ag->w.eof && !ag->w.cancelled && !ag->w.told_to_stop) {
			usleep(50000);
			wire_fill(&ag->w, false);
		}
	}
	err_clear(&e);
	if (found == SPOOL_RESULT) {
		wire_send(&ag->w, PROTO_RESULT, f->id, buf_str(&result), false);
	} else if (found != SPOOL_BUSY) {
		val_set(v, "started", found == SPOOL_UNKNOWN ? val_null() : val_bool(found == SPOOL_DIED));
		wire_send_val(&ag->w, PROTO_LOST, f->id, v, false);
	}
	buf_burn(&result);
	arena_free(a);
}

static void on_cancel(struct agent *ag, const struct wire_frame *f)
{
	(void)f;
	ag->bye = true;
}

/* BLOBs are taken by the task that asked for them; one that nobody waits for is late. */
static void on_late_blob(struct agent *ag, const struct wire_frame *f)
{
	(void)ag;
	(void)f;
}

static void (*const handlers[PROTO_LOST + 1])(struct agent *ag, const struct wire_frame *f) = {
        [PROTO_TASK] = on_task,
        [PROTO_ADOPT] = on_adopt,
        [PROTO_CANCEL] = on_cancel,
        [PROTO_BLOB] = on_late_blob,
};

static void agent_loop(struct agent *ag)
{
	struct wire_frame *f;
	while (!ag->bye && !ag->broken && !ag->w.cancelled && wire_flush(&ag->w) &&
	       (f = wire_wait(&ag->w, 0, 0))) {
		if (handlers[f->type])
			handlers[f->type](ag, f);
		else
			agent_error(ag, f->id, "the agent does not take this frame");
		wire_frame_free(f);
	}
	if (ag->w.cancelled)
		ag->bye = true;
	if (err_is(&ag->w.err))
		agent_error(ag, 0, err_msg(&ag->w.err));
	if (!wire_flush(&ag->w))
		ag->bye = false;
}

/* Signals come through a descriptor, so that none is handled in the middle of a module. */
static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int agent_main(const struct agent_opts *o)
{
	struct agent ag = {.o = o, .a = arena_new(NULL)};
	int signals = open_signals();
	wire_open(&ag.w, o->in, o->out, signals);
	spool_open(&ag.spool, o->spool);
	agent_hello(&ag);
	agent_loop(&ag);
	for (size_t i = 0; i < KEPT; i++) {
		if (!ag.bye && ag.kept[i].id)
			spool_keep(&ag.spool, ag.kept[i].id, buf_str(&ag.kept[i].result));
		buf_burn(&ag.kept[i].result);
	}
	/* Nothing begun: there is nothing to adopt, whoever asks gets the same answer from an unknown
	 * session. */
	spool_close(&ag.spool, ag.bye || ag.next == 0);
	wire_close(&ag.w);
	arena_free(ag.a);
	if (signals >= 0)
		close(signals);
	return ag.bye && !ag.broken ? 0 : 1;
}
