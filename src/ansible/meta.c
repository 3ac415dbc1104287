#include "ansible/meta.h"
#include "ansible/core.h"
#include "ansible/results.h"

struct meta_call {
	struct engine *e;
	struct host_run *hr;
	struct scope *s;
};

static void flush_handlers(struct meta_call *c)
{
	host_run_flush(c->e, c->hr);
}

static void noop(struct meta_call *c)
{
	(void)c;
}

static void end_host(struct meta_call *c)
{
	c->hr->ended = true;
}

static void end_all(struct meta_call *c)
{
	for (size_t i = 0; i < c->e->pr->n_hosts; i++)
		c->e->pr->hosts[i]->ended = true;
}

static void end_play(struct meta_call *c)
{
	end_all(c);
	c->e->pr->ended = true;
}

static void end_role(struct meta_call *c)
{
	host_run_end_role(c->hr);
}

static void clear_facts(struct meta_call *c)
{
	c->hr->host->facts = val_map(c->hr->host->a);
	c->hr->host->facts_ns = val_map(c->hr->host->a);
}

static void clear_host_errors(struct meta_call *c)
{
	struct play_run *pr = c->e->pr;
	for (size_t i = 0; i < pr->n_hosts; i++) {
		host_run_clear_errors(pr->hosts[i]);
		c->e->host_failed[pr->hosts[i]->host->index] = false;
		c->e->host_unreachable[pr->hosts[i]->host->index] = false;
	}
}

static void reset_connection(struct meta_call *c)
{
	connection_reset(c->s);
}

static const struct meta_row {
	const char *name;
	void (*fn)(struct meta_call *c);
} rows[] = {
        {"flush_handlers", flush_handlers},
        {"noop", noop},
        {"end_host", end_host},
        {"end_play", end_play},
        {"end_batch", end_all},
        {"end_role", end_role},
        {"clear_facts", clear_facts},
        {"clear_host_errors", clear_host_errors},
        {"reset_connection", reset_connection},
        {"refresh_inventory", noop}, /* the inventory is in memory and cannot have changed */
        {"role_complete", noop},
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

bool meta_run(struct engine *e, struct task *t, struct frame *f, struct host_run **hosts, size_t n,
              struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct arena *a = arena_new(e->pr->a);
		struct scope s;
		struct val *raw = val_get(t->args, "_raw_params");
		struct str word = STR("");
		bool run = true, ok;
		struct err why = {0};
		scope_init(&s, e, hosts[i]->host, &t->n, f, a);
		ok = !raw || scope_text(&s, raw, &word, &why);
		const struct meta_row *row = row_find(str_trim(word));
		if (ok && !row)
			ok = err_set(&why, ERR_USER, t->n.at, "invalid meta action requested: %.*s",
			             STR_FMT(word));
		ok = ok && scope_cond(&s, kw_all(&t->n, f, &e->pr->play->n, KW_WHEN, a), &run, NULL, &why);
		if (ok && !run)
			skipped(e, hosts[i], t);
		if (ok && run)
			row->fn(&(struct meta_call){e, hosts[i], &s});
		if (!ok)
			result_meta_failed(e, hosts[i], t, f, &why);
		err_clear(&why);
		arena_free(a);
		if (!ok && !row)
			return err_set(err, ERR_USER, t->n.at, "invalid meta action");
	}
	return true;
}
