/* Actions that say or judge something: debug, assert, fail, pause. */
#include "ansible/actions.h"
#include "ansible/core.h"
#include "ansible/task.h"
#include "jinja/jinja.h"
#include <time.h>

bool act_debug(struct item_run *r, struct err *err)
{
	struct val *var = val_get(r->args, "var"), *msg = val_get(r->args, "msg"), *v = NULL;
	double level;
	if (!scope_number(&r->s, val_get(r->args, "verbosity"), 0, &level, err))
		return false;
	r->result = act_result(r, false);
	if ((double)r->t->e->opts->verbosity < level) {
		val_set(r->result, "skipped_reason", val_strz(r->a, "Verbosity threshold not met."));
		val_set(r->result, "skipped", val_bool(true));
		return true;
	}
	r->result = val_map(r->a);
	if (var && msg)
		return err_set(err, ERR_USER, val_origin(var), "'msg' and 'var' are incompatible options");
	if (!var) {
		val_set(r->result, "msg", msg ? msg : val_strz(r->a, "Hello world!"));
	} else if (!val_is_str(var)) {
		/* As Ansible, which takes what is no text for the name of nothing. */
		val_sets(r->result,
		         val_is_list(var) || val_is_map(var)
		                 ? str_c(arena_printf(r->a, "<class '%s'>", val_type_name(var)))
		                 : val_text(var, r->a),
		         val_strz(r->a, "VARIABLE IS NOT DEFINED!"));
	} else {
		/* Shown as a template would print it: numbers become text, as in Ansible. */
		struct err why = {0};
		struct str expr = str_trim(val_get_str(var));
		struct val *tmpl = val_strf(r->a, "{{ %.*s }}", STR_FMT(expr));
		struct jinja_tmpl *t;
		if (expr.n && !jinja_compile_expr(r->t->e->env, r->a, expr, val_origin(var), &t, err))
			return false;
		if (!scope_template(&r->s, tmpl, &v, &why) || val_is_undef(v))
			v = val_strz(r->a, "VARIABLE IS NOT DEFINED!");
		err_clear(&why);
		val_sets(r->result, expr, v);
	}
	val_set(r->result, "changed", val_bool(false));
	val_set(r->result, "_ansible_verbose_always", val_bool(true));
	return true;
}

bool act_assert(struct item_run *r, struct err *err)
{
	struct val *that = val_get(r->args, "that"), *quiet = val_get(r->args, "quiet");
	struct val *fail = val_get(r->args, "fail_msg"), *good = val_get(r->args, "success_msg");
	if (!fail)
		fail = val_get(r->args, "msg");
	if (!that)
		return err_set(err, ERR_USER, r->t->task->n.at, "conditional required in \"that\" string");
	r->result = act_result(r, false);
	if (!quiet || !val_to_bool(quiet))
		val_set(r->result, "_ansible_verbose_always", val_bool(true));
	size_t n = val_is_list(that) ? val_len(that) : 1;
	for (size_t i = 0; i < n; i++) {
		struct val *one = val_is_list(that) ? val_at(that, i) : that;
		bool holds;
		if (!scope_cond(&r->s, one, &holds, NULL, err))
			return false;
		if (holds)
			continue;
		val_set(r->result, "failed", val_bool(true));
		val_set(r->result, "evaluated_to", val_bool(false));
		val_set(r->result, "assertion", one);
		val_set(r->result, "msg", fail ? fail : val_strz(r->a, "Assertion failed"));
		val_set(r->result, "changed", val_bool(false));
		return true;
	}
	val_set(r->result, "msg", good ? good : val_strz(r->a, "All assertions passed"));
	return true;
}

bool act_fail(struct item_run *r, struct err *err)
{
	struct val *msg = val_get(r->args, "msg");
	(void)err;
	r->result = act_result(r, false);
	val_set(r->result, "failed", val_bool(true));
	val_set(r->result, "msg", msg ? msg : val_strz(r->a, "Failed as requested from task"));
	return true;
}

static struct val *clock_text(struct arena *a)
{
	struct timespec ts;
	struct tm tm;
	char day[32];
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
	return val_strf(a, "%s.%06ld", day, ts.tv_nsec / 1000);
}

struct pause {
	double seconds, begun;
	bool minutes;
	struct val *start;
};

bool act_pause(struct item_run *r, struct err *err)
{
	struct pause *p = ARENA_NEW(r->a, struct pause);
	struct val *m = val_get(r->args, "minutes"), *s = val_get(r->args, "seconds"),
	           *prompt = val_get(r->args, "prompt");
	double n = 0;
	const struct engine_opts *o = r->t->e->opts;
	if (!scope_number(&r->s, m ? m : s, 0, &n, err))
		return false;
	p->minutes = m != NULL;
	p->seconds = m ? n * 60 : n;
	p->begun = engine_now();
	p->start = clock_text(r->a);
	r->data = p;
	r->stage = 1;
	if (p->seconds < 1 && (m || s))
		p->seconds = 1;
	if (p->seconds > 0 && o->out && o->out->note)
		o->out->note(o->out_ctx, arena_printf(r->a, "Pausing for %d seconds", (int)p->seconds));
	if (p->seconds > 0 && prompt && o->out && o->out->note)
		o->out->note(o->out_ctx, "(ctrl+C then 'C' = continue early, ctrl+C then 'A' = abort)");
	/* Nobody is there to read a prompt or to press a key: without a time it goes on at once. */
	if (!m && !s)
		engine_warn(r->t->e, r->t->task->n.at,
		            "Not waiting for response to prompt as stdin is not interactive");
	act_sleep(r, p->seconds > 0 ? p->seconds : 0);
	return true;
}

bool act_pause_over(struct item_run *r, struct err *err)
{
	const struct pause *p = r->data;
	double took = engine_now() - p->begun;
	(void)err;
	r->result = act_result(r, false);
	val_set(r->result, "rc", val_int(r->a, 0));
	val_set(r->result, "stderr", val_strz(r->a, ""));
	struct buf b = {0};
	val_float_repr((double)(int64_t)((p->minutes ? took / 60 : took) * 100 + 0.5) / 100, &b);
	val_set(r->result, "stdout",
	        val_strf(r->a, "Paused for %s %s", b.p, p->minutes ? "minutes" : "seconds"));
	buf_free(&b);
	val_set(r->result, "start", p->start);
	val_set(r->result, "stop", clock_text(r->a));
	val_set(r->result, "delta", val_int(r->a, (int64_t)took));
	val_set(r->result, "echo", val_bool(true));
	val_set(r->result, "user_input", val_strz(r->a, ""));
	return true;
}
