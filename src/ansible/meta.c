#include "ansible/meta.h"
#include "ansible/core.h"
#include "ansible/results.h"

struct meta_call {
	struct engine *e;
	struct host_run *hr;
	struct scope *s;
};

static bool flush_handlers(struct meta_call *c, struct err *err)
{
	return host_run_flush(c->e, c->hr) ||
	       err_set(err, ERR_USER, ORIGIN_NONE, "flush_handlers cannot be used as a handler");
}

static bool noop(struct meta_call *c, struct err *err)
{
	(void)c;
	(void)err;
	return true;
}

static bool end_host(struct meta_call *c, struct err *err)
{
	(void)err;
	host_run_end(c->e, c->hr);
	return true;
}

static bool end_batch(struct meta_call *c, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < c->e->pr->n_hosts; i++)
		if (!c->e->pr->hosts[i]->unreachable)
			host_run_end(c->e, c->e->pr->hosts[i]);
	return true;
}

static bool end_play(struct meta_call *c, struct err *err)
{
	c->e->pr->ended = true;
	return end_batch(c, err);
}

static bool end_role(struct meta_call *c, struct err *err)
{
	(void)err;
	host_run_end_role(c->hr);
	return true;
}

static bool clear_facts(struct meta_call *c, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < c->e->pr->n_hosts; i++) {
		struct host *h = c->e->pr->hosts[i]->host;
		h->facts = val_map(h->a);
		h->facts_ns = val_map(h->a);
	}
	return true;
}

static bool clear_host_errors(struct meta_call *c, struct err *err)
{
	(void)err;
	struct play_run *pr = c->e->pr;
	for (size_t i = 0; i < pr->n_hosts; i++) {
		host_run_clear_errors(pr->hosts[i]);
		if (pr->hosts[i]->host->index < pr->n_before)
			pr->failed_before[pr->hosts[i]->host->index] = false;
		c->e->host_failed[pr->hosts[i]->host->index] = false;
		c->e->host_unreachable[pr->hosts[i]->host->index] = false;
	}
	return true;
}

static bool reset_connection(struct meta_call *c, struct err *err)
{
	(void)err;
	connection_reset(c->s);
	return true;
}

static bool refresh_inventory(struct meta_call *c, struct err *err)
{
	return result_refresh(c->e, err);
}

static const struct meta_row {
	const char *name;
	bool (*fn)(struct meta_call *c, struct err *err);
	bool always; /* whatever its "when" says, which is not even looked at */
} rows[] = {
        {"flush_handlers", flush_handlers, false},
        {"noop", noop, true},
        {"end_host", end_host, false},
        {"end_play", end_play, false},
        {"end_batch", end_batch, false},
        {"end_role", end_role, false},
        {"clear_facts", clear_facts, false},
        {"clear_host_errors", clear_host_errors, false},
        {"reset_connection", reset_connection, true},
        {"refresh_inventory", refresh_inventory, true},
        {"role_complete", noop, false},
};

static const struct meta_row *row_find(struct str word)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (str_eqc(word, rows[i].name))
			return &rows[i];
	return NULL;
}

bool meta_known(struct str word)
{
	return row_find(word) != NULL;
}

static void skipped(struct engine *e, struct host_run *hr, struct task *t)
{
	const struct engine_opts *o = e->opts;
	struct val *m = val_map(e->pr->a);
	struct engine_result ev = {.kind = RES_SKIPPED,
	                           .host = hr->host->name,
	                           .action = t->module_name,
	                           .task = t->module_name,
	                           .result = m,
	                           .at = t->n.at};
	if (o->out && o->out->result)
		o->out->result(o->out_ctx, &ev);
}

/* A host's own failure goes its way to a rescue; false is for what ends the whole run. */
bool meta_run(struct engine *e, struct task *t, struct frame *f, struct host_run *hr, struct err *err)
{
	struct arena *a = arena_new(e->pr->a);
	struct scope s;
	struct val *raw = val_get(t->args, "_raw_params");
	struct str word = STR("");
	bool run = true, fatal = false;
	struct err why = {0};
	scope_init(&s, e, hr->host, &t->n, f, a);
	bool ok = !raw || scope_text(&s, raw, &word, &why);
	const struct meta_row *row = row_find(str_trim(word));
	if (ok && !row) {
		fatal = true;
		ok = err_set(&why, ERR_USER, t->n.at, "invalid meta action requested: %.*s", STR_FMT(word));
	}
	if (ok && row->always && t->n.kw[KW_WHEN])
		engine_warn(e, t->n.at, "%s task does not support when conditional", row->name);
	/* What the engine makes itself is under no condition of a playbook's import. */
	ok = ok && (t->implicit || row->always ||
	            scope_cond(&s, kw_all(&t->n, f, &e->pr->play->n, KW_WHEN, a), &run, NULL, &why));
	if (ok && !run)
		skipped(e, hr, t);
	if (ok && run) {
		ok = row->fn(&(struct meta_call){e, hr, &s}, &why);
		fatal = !ok;
	}
	if (!ok && fatal)
		err_move(err, &why);
	else if (!ok)
		result_meta_failed(e, hr, t, f, &why);
	err_clear(&why);
	arena_free(a);
	return !fatal;
}
