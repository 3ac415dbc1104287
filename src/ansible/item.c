/* One item of a task: condition, parameters, attempts, result. */
#include "ansible/core.h"
#include "ansible/include.h"
#include "ansible/task.h"
#include "modules/digest.h"
#include "modules/spec.h"
#include <math.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

static struct val *kw_of(const struct item_run *r, enum kw kw)
{
	return kw_get(&r->t->task->n, r->t->frame, &r->t->e->pr->play->n, kw);
}

struct str sha256_hex(struct arena *a, struct str content)
{
	return str_c(digest_str(a, "sha256", content));
}

struct val *act_result(struct item_run *r, bool changed)
{
	struct val *m = val_map(r->a);
	val_set(m, "changed", val_bool(changed));
	return m;
}

void act_sleep(struct item_run *r, double seconds)
{
	r->wake = engine_now() + seconds;
	r->state = ITEM_SLEEP;
}

struct str act_blob(struct item_run *r, struct str content)
{
	struct str sha = sha256_hex(r->a, content);
	if (!r->blobs)
		r->blobs = val_map(r->a);
	val_sets(r->blobs, sha, val_str_ref(r->a, content));
	return sha;
}

static bool blob_get(void *ctx, struct str sha, struct str *ret)
{
	struct item_run *r = ctx;
	struct val *v = r->blobs ? val_gets(r->blobs, sha) : NULL;
	if (v)
		*ret = val_get_str(v);
	return v != NULL;
}

static void on_progress(void *ctx, struct str line, bool is_stderr)
{
	struct item_run *r = ctx;
	const struct engine_opts *o = r->t->e->opts;
	(void)is_stderr;
	if (o->out && o->out->progress && !r->no_log)
		o->out->progress(o->out_ctx, r->t->hr->host->name, line);
}

/* What is as the agent assumes it to be is left out. */
static void task_options(const struct item_run *r, struct val *task)
{
	const struct {
		const char *name;
		bool on;
	} flags[] = {{"check", r->check}, {"diff", r->diff}, {"no_log", r->no_log}};
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (flags[i].on)
			val_set(task, flags[i].name, val_bool(true));
	if (r->become && !str_eqc(r->become_user, "root"))
		val_set(task, "user", val_str(r->a, r->become_user));
	if (r->env && val_len(r->env))
		val_set(task, "env", r->env);
	if (r->t->e->opts->verbosity)
		val_set(task, "verbosity", val_int(r->a, r->t->e->opts->verbosity));
	if (r->timeout > 0)
		val_set(task, "timeout", val_int(r->a, (int64_t)ceil(r->timeout)));
	if (r->background)
		val_set(task, "background", val_bool(true));
}

bool act_bool(const struct item_run *r, const char *name, bool dflt)
{
	const struct val *v = val_get(r->args, name);
	return v && !val_is_null(v) ? val_to_bool(v) : dflt;
}

bool act_submit(struct item_run *r, const char *module, struct val *args, struct err *err)
{
	struct link *link;
	struct val *task = val_map(r->a);
	const struct module *m = module_find(str_c(module));
	if (!connection_open(&r->s, &link, err))
		return false;
	struct val *content = val_get(args, "_content");
	val_set(task, "module", val_strz(r->a, m ? m->name : module));
	if (content) {
		args = val_shallow(r->a, args);
		val_del(args, STR("_content"));
		val_set(task, "content", content);
	}
	val_set(task, "args", args);
	task_options(r, task);
	r->req = (struct link_req){.task = task,
	                           .become = r->become,
	                           .read_only = m && (m->flags & MOD_READ_ONLY),
	                           .content = blob_get,
	                           .progress = on_progress,
	                           .ctx = r,
	                           .a = r->a};
	r->answer = NULL;
	r->state = ITEM_WAIT;
	link->ops->submit(link, &r->req);
	return true;
}

/* ---- beginning ---------------------------------------------------------------------------------------- */

static void fail_with(struct item_run *r, const struct err *why)
{
	struct val *m = r->result && val_is_map(r->result) ? r->result : act_result(r, false);
	struct buf b = {0};
	err_text(why, &b);
	if (why->hint)
		buf_printf(&b, " (%s)", why->hint);
	val_set(m, why->cls == ERR_UNREACHABLE ? "unreachable" : "failed", val_bool(true));
	val_set(m, "msg", val_str(r->a, buf_str(&b)));
	struct source_pos pos;
	struct origin at = err_origin(why);
	if (at.src && sources_locate(r->t->e->sources, at, &pos))
		val_set(m, "_ansible_origin", val_strf(r->a, "%s:%u:%u", pos.file, pos.line, pos.col));
	buf_free(&b);
	r->result = m;
	r->state = ITEM_DONE;
}

static bool merge_environment(struct item_run *r, struct err *err)
{
	struct val *all = kw_all(&r->t->task->n, r->t->frame, &r->t->e->pr->play->n, KW_ENVIRONMENT, r->a),
	           *flat;
	r->env = val_map(r->a);
	VAL_EACH (i, all) {
		if (!scope_template(&r->s, val_at(all, i), &flat, err))
			return false;
		size_t n = val_is_list(flat) ? val_len(flat) : 1;
		for (size_t k = 0; k < n; k++) {
			const struct val *one = val_is_list(flat) ? val_at(flat, k) : flat;
			if (val_is_null(one) || val_is_omit(r->t->e, one) ||
			    (val_is_str(one) && !val_len(one)))
				continue;
			if (!val_is_map(one))
				return err_set(err, ERR_USER, val_origin(one),
				               "environment must be a dictionary, received %s",
				               val_type_name(one));
			MAP_EACH (j, one) {
				struct val *v = val_value_at(one, j);
				if (val_is_omit(r->t->e, v))
					continue;
				struct val *text = val_str(r->a, val_text(v, r->a));
				val_sets(r->env, val_text(val_key_at(one, j), r->a),
				         val_secret(v) ? val_mark_secret(r->a, text) : text);
			}
		}
	}
	return true;
}

static bool take_keywords(struct item_run *r, struct err *err)
{
	struct engine *e = r->t->e;
	double n, poll;
	if (!scope_bool(&r->s, kw_of(r, KW_CHECK_MODE), e->opts->check, &r->check, err) ||
	    !scope_bool(&r->s, kw_of(r, KW_DIFF), e->opts->diff, &r->diff, err) ||
	    !scope_number(&r->s, kw_of(r, KW_TIMEOUT), 0, &r->timeout, err) ||
	    !scope_number(&r->s, kw_of(r, KW_ASYNC), 0, &n, err) ||
	    !scope_number(&r->s, kw_of(r, KW_POLL), 15, &poll, err) || !merge_environment(r, err))
		return false;
	r->async = n > 0;
	r->background = n > 0 && poll == 0;
	if (n > 0 && (r->timeout <= 0 || n < r->timeout))
		r->timeout = n;
	return connection_become(&r->s, &r->become, &r->become_user, err);
}

static bool take_attempts(struct item_run *r, struct err *err)
{
	const struct val *retries = kw_of(r, KW_RETRIES), *until = kw_of(r, KW_UNTIL);
	double n, delay;
	if (!scope_number(&r->s, kw_of(r, KW_RETRIES), 3, &n, err) ||
	    !scope_number(&r->s, kw_of(r, KW_DELAY), 5, &delay, err))
		return false;
	r->delay = delay < 0 ? 1 : delay;
	r->attempts = retries || until ? 1 + (unsigned)(n > 0 ? n : 0) : 1;
	r->attempt = 1;
	return true;
}

static bool take_args(struct item_run *r, struct err *err)
{
	const struct task *t = r->t->task;
	struct val *args = val_map(r->a), *own, *tmpl;
	if (!module_defaults(r, args, err))
		return false;
	if (t->args_tmpl) {
		if (!scope_template(&r->s, t->args_tmpl, &tmpl, err))
			return false;
		if (val_is_str(tmpl) &&
		    !args_parse(r->a, val_get_str(tmpl), val_origin(t->args_tmpl), false, &tmpl, err))
			return false;
		if (!val_is_map(tmpl))
			return err_set(err, ERR_USER, val_origin(t->args_tmpl),
			               "args must be a dictionary, the template gives a %s",
			               val_type_name(tmpl));
		args = val_merge(r->a, args, tmpl, false);
	}
	struct val *given = t->args;
	if (t->action && (t->action->flags & ACT_KEEP_APPLY) && val_get(given, "apply")) {
		/* What is applied is templated by those it is applied to. */
		given = val_shallow(r->a, given);
		val_del(given, STR("apply"));
	}
	if (!scope_template(&r->s, given, &own, err))
		return false;
	r->args = val_without_omit(r->t->e, r->a, val_merge(r->a, args, own, false));
	return true;
}

static bool take_delegate(struct item_run *r, struct err *err)
{
	struct val *v = kw_of(r, KW_DELEGATE_TO);
	struct str name;
	if (r->t->task->local) {
		r->s.delegate = delegate_host(r->t->e, STR("localhost"));
		r->delegated = "localhost";
		return true;
	}
	if (!v)
		return true;
	if (!scope_text(&r->s, v, &name, err)) {
		r->delegated = val_text(v, r->a).p;
		return false;
	}
	if (!name.n || str_eq(name, r->t->e->omit))
		return true;
	r->s.delegate = delegate_host(r->t->e, name);
	r->delegated = r->s.delegate->name;
	scope_touch(&r->s);
	return true;
}

static void skip(struct item_run *r, struct val *cond)
{
	r->result = act_result(r, false);
	val_set(r->result, "skipped", val_bool(true));
	val_set(r->result, "skip_reason", val_strz(r->a, "Conditional result was False"));
	if (cond)
		val_set(r->result, "false_condition", cond);
	r->state = ITEM_DONE;
}

static void record_inclusion(struct item_run *r)
{
	struct task_run *t = r->t;
	struct inclusion *in = ARENA_NEW(t->e->pr->a, struct inclusion);
	in->task = t->task;
	in->frame = t->frame;
	in->args = val_copy(t->e->pr->a, r->args);
	in->vars = r->s.locals ? val_copy(t->e->pr->a, r->s.locals) : NULL;
	in->label = r->label ? val_copy(t->e->pr->a, r->label) : NULL;
	*t->next_inclusion = in;
	t->next_inclusion = &in->next;
	r->result = act_result(r, false);
	val_set(r->result, "include_args", r->args);
	r->state = ITEM_DONE;
}

static bool run_action(struct item_run *r, struct err *err)
{
	const struct task *t = r->t->task;
	struct str name = str_c(t->module_name);
	const struct module *m = t->module;
	const struct action *act = t->action;
	if (jinja_is_template(name)) {
		struct val *v = val_at_origin(r->a, val_str(r->a, name), t->n.at);
		if (!scope_text(&r->s, v, &name, err))
			return false;
		m = module_find(name);
		act = action_find(name);
		r->action_name = name.p;
	}
	if (!m && !act && module_elsewhere(name))
		return err_set(err, ERR_USER, t->n.at, "this build of nante has no module '%.*s'",
		               STR_FMT(name));
	if (!m && !act)
		return err_set(err, ERR_USER, t->n.at, "couldn't resolve module/action '%.*s'",
		               STR_FMT(name));
	if (r->async && act && act->start && !(act->flags & ACT_ASYNC))
		return err_set(err, ERR_USER, t->n.at, "async is not supported for this task.");
	if (r->async && r->check)
		return err_set(err, ERR_USER, t->n.at, "check mode and async cannot be used on same task.");
	bool checked = act ? (act->flags & ACT_CHECK) != 0 : (m->flags & MOD_CHECK) != 0;
	if (r->check && !checked) {
		r->result = act_result(r, false);
		val_set(r->result, "skipped", val_bool(true));
		val_set(r->result, "msg",
		        act ? val_strz(r->a, "check mode is not supported for this task.")
		            : val_strf(r->a, "remote module (%.*s) does not support check mode",
		                       STR_FMT(name)));
		return true;
	}
	if (act && act->start)
		return act->start(r, err);
	return act_submit(r, m->name, r->args, err);
}

static bool begin(struct item_run *r, struct err *err)
{
	const struct task *t = r->t->task;
	bool run;
	struct val *cond = kw_all(&t->n, r->t->frame, &r->t->e->pr->play->n, KW_WHEN, r->a), *which = NULL;
	struct err why = {0};
	bool told = scope_bool(&r->s, kw_of(r, KW_NO_LOG), false, &r->no_log, &why);
	r->no_log |= !told;
	bool ok = scope_bool(&r->s, kw_of(r, KW_IGNORE_ERRORS), false, &r->ignore_errors, err) &&
	          scope_bool(&r->s, kw_of(r, KW_IGNORE_UNREACHABLE), false, &r->ignore_unreachable, err);
	if (!told) {
		err_clear(err);
		err_move(err, &why);
	}
	if (!told || !ok)
		return false;
	if (!scope_cond(&r->s, cond, &run, &which, err))
		return false;
	if (!run) {
		skip(r, which);
		return true;
	}
	if (err_is(&r->t->loop_err)) {
		err_set(err, r->t->loop_err.cls, err_origin(&r->t->loop_err), "%s", err_msg(&r->t->loop_err));
		return false;
	}
	if (!take_delegate(r, err) || !take_keywords(r, err) || !take_attempts(r, err) || !take_args(r, err))
		return false;
	r->begun = true;
	if (t->action && (t->action->kind == ACT_INCLUDE_TASKS || t->action->kind == ACT_INCLUDE_ROLE)) {
		struct errs es = {0};
		bool ok = include_check_args(r->a, t, &es);
		if (!ok)
			err_move(err, &es.v[0]);
		errs_clear(&es);
		if (ok)
			record_inclusion(r);
		return ok;
	}
	return run_action(r, err);
}

/* ---- ending ------------------------------------------------------------------------------------------- */

static bool eval_result_cond(struct item_run *r, enum kw kw, const char *key, const char *also)
{
	struct val *cond = kw_of(r, kw);
	struct err err = {0};
	bool v = false;
	if (!cond || val_is_null(cond) || (val_is_list(cond) && !val_len(cond)))
		return true;
	if (scope_cond(&r->s, cond, &v, NULL, &err)) {
		val_set(r->result, key, val_bool(v));
		if (also)
			val_set(r->result, also, val_bool(v));
		return true;
	}
	val_set(r->result, "failed", val_bool(true));
	val_set(r->result, kw == KW_CHANGED_WHEN ? "changed_when_result" : "failed_when_result",
	        val_strz(r->a, err_msg(&err)));
	val_set(r->result, "msg", val_strz(r->a, err_msg(&err)));
	err_clear(&err);
	return false;
}

static bool rc_failed(const struct val *result)
{
	const struct val *rc = val_get(result, "rc");
	if (!rc)
		return false;
	return val_is_num(rc) ? val_get_float(rc) != 0 : val_is_str(rc) && !str_eqc(val_get_str(rc), "0");
}

/* The result as the task's own conditions see it. */
static void publish(struct item_run *r)
{
	const struct val *facts = val_get(r->result, "ansible_facts");
	const struct val *reg = r->t->task->n.kw[KW_REGISTER];
	struct val *seen = val_map(r->a);
	if (facts && val_is_map(facts) && val_is_map(seen)) {
		MAP_EACH (i, facts)
			if (val_is_str(val_key_at(facts, i)) &&
			    !fact_name_protected(val_get_str(val_key_at(facts, i))))
				val_setk(seen, val_key_at(facts, i), val_value_at(facts, i));
	}
	if (reg && val_is_str(reg))
		val_sets(seen, val_get_str(reg), r->result);
	if (!val_len(seen))
		return;
	/* Later items see it as well, weaker than their own loop variable. */
	if (!r->t->s.locals)
		r->t->s.locals = val_map(r->t->a);
	MAP_EACH (i, seen)
		val_setk(r->t->s.locals, val_key_at(seen, i), val_value_at(seen, i));
	scope_touch(&r->s);
	scope_touch(&r->t->s);
}

static bool should_retry(struct item_run *r)
{
	struct val *until = kw_of(r, KW_UNTIL);
	struct err err = {0};
	bool enough = true;
	if (r->attempts <= 1)
		return false;
	val_set(r->result, "attempts", val_int(r->a, r->attempt));
	if (!until) {
		enough = !val_map_bool(r->result, "failed", false);
	} else if (!scope_cond(&r->s, until, &enough, NULL, &err)) {
		/* What the attempts gave is lost with the question. */
		r->result = NULL;
		fail_with(r, &err);
		err_clear(&err);
		enough = true;
	}
	if (enough)
		return false;
	if (r->attempt < r->attempts) {
		val_set(r->result, "retries", val_int(r->a, r->attempts));
		return true;
	}
	val_set(r->result, "attempts", val_int(r->a, r->attempts - 1));
	val_set(r->result, "failed", val_bool(true));
	return false;
}

static void mark_unsafe(struct item_run *r)
{
	const struct task *t = r->t->task;
	/* The host's answer, which nobody else has. */
	if (t->module && !t->action)
		val_make_unsafe(r->result);
}

/* A task with async that is waited for has an id as well, as if it had been a job of the host. */
static void job_state(struct item_run *r, bool finished, struct val *into)
{
	uint64_t chance = 0;
	if (!r->jid && getrandom(&chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
		abort();
	if (!r->jid)
		r->jid = arena_printf(r->a, "j%llu.%ld", (unsigned long long)(chance % 1000000000000U),
		                      (long)getpid());
	val_set(into, "ansible_job_id", val_strz(r->a, r->jid));
	val_set(into, "started", val_int(r->a, 1));
	val_set(into, "finished", val_int(r->a, finished));
}

/* The action or module is done with: what does it amount to, and is there another attempt? */
static void conclude(struct item_run *r)
{
	struct engine *e = r->t->e;
	if (val_map_bool(r->result, "unreachable", false)) {
		r->unreachable = true;
		r->state = ITEM_DONE;
		return;
	}
	mark_unsafe(r);
	if (!val_get(r->result, "failed"))
		val_set(r->result, "failed", val_bool(rc_failed(r->result)));
	if (!val_get(r->result, "changed"))
		val_set(r->result, "changed", val_bool(false));
	if (r->attempts > 1)
		val_set(r->result, "attempts", val_int(r->a, r->attempt));
	if (r->async && !r->background && r->answer && !val_get(r->result, "async_result"))
		job_state(r, true, r->result);
	publish(r);
	if (!val_map_bool(r->result, "skipped", false) &&
	    eval_result_cond(r, KW_CHANGED_WHEN, "changed", NULL))
		eval_result_cond(r, KW_FAILED_WHEN, "failed", "failed_when_result");
	if (should_retry(r)) {
		const struct engine_output *o = e->opts->out;
		if (o && o->retry)
			o->retry(e->opts->out_ctx, r->t->hr->host->name, r->t->label,
			         (int)(r->attempts - r->attempt), r->no_log ? NULL : r->result);
		r->attempt++;
		r->stage = 0;
		act_sleep(r, r->delay);
		r->answer = NULL;
		r->result = NULL;
		return;
	}
	r->state = ITEM_DONE;
}

static void after(struct item_run *r, bool ok, struct err *err)
{
	if (!ok) {
		fail_with(r, err);
		err_clear(err);
		if (r->attempt)
			conclude(r);
		return;
	}
	if (r->state == ITEM_WAIT || (r->state == ITEM_SLEEP && !r->result))
		return;
	if (r->state == ITEM_DONE && !r->attempt)
		return;
	if (r->state != ITEM_DONE && r->result) {
		r->state = ITEM_DONE;
		conclude(r);
	}
}

/* The host broke the task off: its time was over. */
static void out_of_time(struct item_run *r)
{
	struct val *m = act_result(r, false), *more = val_map(r->a);
	int64_t limit = (int64_t)ceil(r->timeout);
	val_set(m, "failed", val_bool(true));
	if (r->async) {
		job_state(r, false, more);
		val_set(m, "async_result", more);
		val_set(m, "msg",
		        val_strf(r->a, "async task did not complete within the requested time - %llds",
		                 (long long)limit));
	} else {
		val_set(more, "frame", val_strz(r->a, ""));
		val_set(more, "period", val_int(r->a, limit));
		val_set(m, "timedout", more);
		val_set(m, "msg",
		        val_strf(r->a,
		                 "The %s action failed to execute in the expected time frame (%lld) and was "
		                 "terminated",
		                 r->t->task->module_name, (long long)limit));
	}
	r->result = m;
}

static void answered(struct item_run *r)
{
	struct err err = {0};
	const struct action *act = r->t->task->action;
	bool ok;
	if (err_is(&r->req.err)) {
		err_move(&err, &r->req.err);
		after(r, false, &err);
		return;
	}
	r->answer = r->req.result;
	r->state = ITEM_NEW;
	if (val_map_bool(r->answer, "_timed_out", false)) {
		out_of_time(r);
		ok = true;
	} else if (act && act->done) {
		ok = act->done(r, &err);
	} else {
		r->result = r->answer;
		ok = true;
	}
	after(r, ok, &err);
}

void item_run_step(struct item_run *r, bool *progress, double *wake)
{
	struct err err = {0};
	if (r->state == ITEM_NEW) {
		*progress = true;
		r->started = engine_now();
		after(r, begin(r, &err), &err);
	} else if (r->state == ITEM_WAIT && r->req.done) {
		*progress = true;
		answered(r);
	} else if (r->state == ITEM_SLEEP) {
		double now = engine_now();
		if (now < r->wake) {
			*wake = fmin(*wake, r->wake);
			return;
		}
		*progress = true;
		r->state = ITEM_NEW;
		if (r->stage && r->t->task->action && r->t->task->action->done) {
			after(r, r->t->task->action->done(r, &err), &err);
			return;
		}
		/* Another attempt has the parameters of the first. */
		scope_touch(&r->s);
		bool ok = run_action(r, &err);
		after(r, ok, &err);
	}
}
