/* Where a host is in its play: a stack of places in blocks. */
#include "ansible/core.h"
#include <fnmatch.h>
#include <stdlib.h>

void host_run_init(struct engine *e, struct host_run *hr, struct host *h)
{
	*hr = (struct host_run){
	        .host = h, .failed = e->host_failed[h->index], .unreachable = e->host_unreachable[h->index]};
}

static void push(struct host_run *hr, struct cursor c)
{
	hr->stack = arena_grow(hr->host->a, hr->stack, hr->n, &hr->cap, sizeof(c));
	hr->stack[hr->n++] = c;
}

/* ---- tags --------------------------------------------------------------------------------------------- */

static bool has_tag(const struct val *list, const char *tag)
{
	struct str s = str_c(tag);
	for (size_t i = 0; list && i < val_len(list); i++)
		if (val_is_str(val_at(list, i)) && str_eq(val_get_str(val_at(list, i)), s))
			return true;
	return false;
}

static bool any_common(const struct val *a, const struct val *b)
{
	for (size_t i = 0; a && i < val_len(a); i++)
		if (val_is_str(val_at(a, i)) && has_tag(b, val_get_strz(val_at(a, i))))
			return true;
	return false;
}

static bool tags_run(const struct task *t, const struct val *tags, const struct val *only,
                     const struct val *skip)
{
	bool untagged = !val_len(tags);
	bool run = true;
	if (t->action && strcmp(t->action->name, "include") == 0) {
		run = true; /* the old include is asked for its skipped tags alone; what it includes, for all
		             */
	} else if (only && val_len(only)) {
		run = has_tag(tags, "always") || (has_tag(only, "all") && !has_tag(tags, "never")) ||
		      any_common(only, tags) ||
		      (has_tag(only, "tagged") && !untagged && !has_tag(tags, "never")) ||
		      (has_tag(only, "untagged") && untagged);
	} else {
		run = !has_tag(tags, "never");
	}
	if (run && skip && val_len(skip)) {
		if (has_tag(skip, "all"))
			run = has_tag(tags, "always") && !has_tag(skip, "always");
		else if (any_common(tags, skip) || (has_tag(skip, "tagged") && !untagged) ||
		         (has_tag(skip, "untagged") && untagged))
			run = false;
	}
	return run;
}

/* Words separated by commas where they were written as one text; members of a list as they are. */
static bool tags_of(struct scope *s, const struct val *raw, struct val **ret, struct err *err)
{
	*ret = val_list(s->a);
	VAL_EACH (i, raw) {
		struct val *written = val_at(raw, i), *t;
		if (!(val_is_list(written) ? scope_template : scope_words)(s, written, &t, err))
			return false;
		VAL_EACH (k, t) {
			const struct val *one = val_at(t, k);
			for (size_t m = 0; val_is_list(one) && m < val_len(one); m++)
				val_push(*ret, val_at(one, m));
			if (!val_is_list(one))
				val_push(*ret, val_at(t, k));
		}
	}
	return true;
}

bool task_selected(struct engine *e, struct host *h, const struct task *t, struct frame *f, struct arena *a,
                   struct val **ret_tags)
{
	const struct engine_opts *o = e->opts;
	struct val *tags = NULL;
	struct scope s;
	struct err err = {0};
	bool run = true;
	scope_init(&s, e, h, &t->n, f, a);
	if (tags_of(&s, kw_all(&t->n, f, &e->pr->play->n, KW_TAGS, a), &tags, &err))
		run = tags_run(t, tags, o->tags, o->skip_tags);
	else
		engine_warn(e, err_origin(&err), "%s", err_msg(&err));
	err_clear(&err);
	if (ret_tags)
		*ret_tags = tags;
	return run;
}

static bool selected(struct engine *e, const struct host_run *hr, const struct task *t, struct frame *f)
{
	const struct engine_opts *o = e->opts;
	bool filtered = (o->tags && val_len(o->tags)) || (o->skip_tags && val_len(o->skip_tags));
	if (t->implicit && t->action && t->action->kind == ACT_META)
		return true;
	struct arena *a = arena_new(hr->host->a);
	bool run = true;
	if (filtered || val_len(kw_all(&t->n, f, &e->pr->play->n, KW_TAGS, a)))
		run = task_selected(e, hr->host, t, f, a, NULL);
	arena_free(a);
	return run;
}

/* ---- walking ------------------------------------------------------------------------------------------ */

static bool role_is_done(const struct host_run *hr, const struct frame *f)
{
	return f->role_top && f->role && !f->role->allow_dup && val_get(f->role->done, hr->host->name);
}

void host_run_push(struct host_run *hr, struct frame *f)
{
	if (!role_is_done(hr, f))
		push(hr, (struct cursor){.block = f->root, .frame = f});
}

static void pop(struct host_run *hr)
{
	struct cursor *c = &hr->stack[hr->n - 1];
	const struct frame *f = c->frame;
	if (!c->block)
		hr->flushing = false;
	if (c->block && f && f->root == c->block && f->role_top && f->role && !c->failed)
		val_set(f->role->done, hr->host->name, val_bool(true));
	hr->n--;
}

static bool is_flush(const struct unit *u)
{
	return u->task && u->task->action && u->task->action->kind == ACT_META;
}

/* Nothing within the play's programme holds the host any longer: it has failed. Where handlers are to run
 * nevertheless, it goes on to where the others run theirs, once. */
static void leave(struct engine *e, struct host_run *hr)
{
	const struct play_run *pr = e->pr;
	if (pr->force_handlers && !hr->forced && hr->unit < pr->n_units && pr->units[hr->unit].frame) {
		while (!is_flush(&pr->units[hr->unit]))
			hr->unit++;
		hr->forced = true;
		hr->started = false;
		return;
	}
	hr->failed = true;
}

/* Out to the rescue or "always" that is next. */
static void unwind(struct engine *e, struct host_run *hr)
{
	while (hr->n) {
		struct cursor *c = &hr->stack[hr->n - 1];
		bool rescue = c->block && c->sec == SEC_TASKS && c->block->sec[SEC_RESCUE].n;
		bool always = c->block && c->sec != SEC_ALWAYS && c->block->sec[SEC_ALWAYS].n;
		c->failed = true;
		if (rescue || always) {
			c->sec = rescue ? SEC_RESCUE : SEC_ALWAYS;
			c->i = 0;
			return;
		}
		pop(hr);
	}
	leave(e, hr);
}

/* A place's section is over: to the next one that matters, or out. */
static void section_end(struct engine *e, struct host_run *hr)
{
	struct cursor *c = &hr->stack[hr->n - 1];
	if (c->sec == SEC_RESCUE)
		c->failed = false;
	if (c->sec != SEC_ALWAYS && c->block->sec[SEC_ALWAYS].n) {
		c->sec = SEC_ALWAYS;
		c->i = 0;
		return;
	}
	bool failed = c->failed;
	pop(hr);
	if (failed)
		unwind(e, hr);
}

bool host_run_fail(struct engine *e, struct host_run *hr)
{
	bool rescued = false;
	for (size_t i = 0; i < hr->n; i++) {
		const struct cursor *c = &hr->stack[i];
		if (c->block && c->sec == SEC_TASKS && c->block->sec[SEC_RESCUE].n)
			rescued = true;
	}
	e->removed[hr->host->index]++;
	if (!hr->failed && !hr->ended)
		unwind(e, hr);
	return rescued;
}

/* The entry at the top cursor: a task (true), or something was entered or left (false: look again). */
static bool step(struct engine *e, struct host_run *hr)
{
	struct cursor *c = &hr->stack[hr->n - 1];
	if (!c->block) {
		while (c->i < e->pr->n_handlers) {
			struct handler *h = e->pr->handlers[c->i];
			/* Tags choose among tasks; a handler was asked for. */
			if (hr->host->index < h->n_notified && h->notified[hr->host->index]) {
				hr->task = h->task;
				hr->frame = h->frame;
				return true;
			}
			c->i++;
		}
		pop(hr);
		return false;
	}
	const struct nodes *ns = &c->block->sec[c->sec];
	/* The frame's own first task (argument validation) stands before entry 0. */
	if (c->frame && c->frame->first && c->frame->root == c->block && c->sec == SEC_TASKS &&
	    !c->started_first) {
		hr->task = c->frame->first;
		hr->frame = c->frame;
		return true;
	}
	if (c->i >= ns->n) {
		section_end(e, hr);
		return false;
	}
	struct node *n = ns->v[c->i];
	if (n->kind == NODE_BLOCK) {
		c->i++;
		push(hr, (struct cursor){.block = (const struct block *)n, .frame = c->frame});
		return false;
	}
	struct task *t = (struct task *)n;
	enum action_kind kind = t->action ? t->action->kind : ACT_PLAIN;
	if (kind == ACT_IMPORT_TASKS || kind == ACT_IMPORT_ROLE) {
		struct frame *f = import_expand(e, t, c->frame, hr->host, e->errs);
		hr->stack[hr->n - 1].i++;
		if (f)
			host_run_push(hr, f);
		return false;
	}
	if (!selected(e, hr, t, c->frame)) {
		c->i++;
		return false;
	}
	hr->task = t;
	hr->frame = c->frame;
	return true;
}

/* The facts are there: on to the task the run is to start at. */
static void go_on_later(struct host_run *hr)
{
	if (!hr->later_unit)
		return;
	hr->unit = hr->later_unit;
	hr->n = hr->later_n;
	hr->started = hr->n > 0;
	hr->later_unit = 0;
}

static bool is_named(struct engine *e, const struct host_run *hr)
{
	const struct task *t = hr->task;
	const char *role = hr->frame && hr->frame->role ? hr->frame->role->name : NULL;
	const char *name = arena_strndup(e->pr->a, task_label(t).p, task_label(t).n);
	if (t->implicit)
		return false;
	return fnmatch(e->opts->start_at, name, 0) == 0 ||
	       (role && fnmatch(e->opts->start_at, arena_printf(e->pr->a, "%s : %s", role, name), 0) == 0);
}

bool host_run_start_at(struct engine *e, struct host_run *hr)
{
	const struct unit *first = e->pr->units;
	while (host_run_peek(e, hr) && !is_named(e, hr))
		host_run_advance(hr);
	if (!hr->task)
		return false;
	if (hr->unit > 0 && !first->frame && !is_flush(first)) {
		hr->later_unit = hr->unit;
		hr->later_n = hr->n;
		hr->unit = hr->n = 0;
		hr->started = false;
	}
	return true;
}

bool host_run_peek(struct engine *e, struct host_run *hr)
{
	struct play_run *pr = e->pr;
	hr->task = NULL;
	while (!hr->failed && !hr->unreachable && !hr->ended) {
		if (hr->n) {
			if (step(e, hr))
				return true;
			continue;
		}
		if (hr->started) {
			hr->started = false;
			hr->failed = hr->forced;
			hr->unit++;
			go_on_later(hr);
			continue;
		}
		if (hr->unit >= pr->n_units)
			return false;
		const struct unit *u = &pr->units[hr->unit];
		if (u->frame) {
			hr->started = true;
			host_run_push(hr, u->frame);
			continue;
		}
		if (!selected(e, hr, u->task, NULL)) {
			hr->unit++;
			continue;
		}
		hr->task = u->task;
		hr->frame = NULL;
		return true;
	}
	return false;
}

void host_run_advance(struct host_run *hr)
{
	if (!hr->n) {
		hr->started = true;
		return;
	}
	struct cursor *c = &hr->stack[hr->n - 1];
	if (c->block && c->frame && c->frame->first == hr->task)
		c->started_first = true;
	else
		c->i++;
}

static int cmp_size(size_t a, size_t b)
{
	return a < b ? -1 : a > b;
}

/* The next on the stack from I on that is no inclusion waiting for another of the same task to end. */
static size_t at_work(const struct host_run *hr, size_t i)
{
	for (; i + 1 < hr->n; i++) {
		const struct cursor *c = &hr->stack[i], *up = c + 1;
		if (!c->frame || !up->frame || c->frame == up->frame || c->frame->up != up->frame->up ||
		    c->frame->root != c->block || up->frame->root != up->block)
			break;
	}
	return i;
}

int host_run_cmp(const struct host_run *a, const struct host_run *b)
{
	int r = cmp_size(a->unit, b->unit);
	size_t i = at_work(a, 0), j = at_work(b, 0);
	for (; i < a->n && j < b->n && !r; i = at_work(a, i + 1), j = at_work(b, j + 1)) {
		const struct cursor *x = &a->stack[i], *y = &b->stack[j];
		/* Running handlers comes before what follows the place where they were asked for. */
		if (!x->block != !y->block)
			return !x->block ? -1 : 1;
		r = cmp_size(x->frame ? x->frame->seq : 0, y->frame ? y->frame->seq : 0);
		if (!r)
			r = cmp_size(x->sec, y->sec);
		/* An entry that is being run has its place already counted up. */
		size_t xi = x->i - (i + 1 < a->n && x->block), yi = y->i - (j + 1 < b->n && y->block);
		if (!r)
			r = cmp_size(xi, yi);
		if (!r && x->block && i + 1 == a->n && j + 1 == b->n)
			r = cmp_size(x->started_first, y->started_first);
	}
	if (r)
		return r;
	/* The deeper one is still inside the entry the other has left or waits for. */
	return i < a->n ? -1 : j < b->n;
}

bool host_run_flush(struct engine *e, struct host_run *hr)
{
	if (hr->flushing)
		return false;
	for (size_t i = 0; hr->notes && i < val_len(hr->notes); i++)
		handlers_named(e, val_get_str(val_at(hr->notes, i)), hr->host);
	hr->notes = NULL;
	hr->flushing = true;
	push(hr, (struct cursor){.block = NULL});
	return true;
}

void host_run_end_role(struct host_run *hr)
{
	while (hr->n) {
		const struct frame *f = hr->stack[hr->n - 1].frame;
		bool top = f && f->role_top && hr->stack[hr->n - 1].block == f->root;
		pop(hr);
		if (top)
			return;
	}
}

void host_run_end(struct engine *e, struct host_run *hr)
{
	const struct cursor *top = hr->n ? &hr->stack[hr->n - 1] : NULL;
	for (size_t i = 0; i < hr->n && top->sec != SEC_RESCUE; i++)
		if (hr->stack[i].failed && hr->stack[i].sec == SEC_ALWAYS)
			hr->failed = true;
	e->removed[hr->host->index]++;
	hr->ended = true;
}

/* Who was out stays out of this play; who has only "always" left goes on behind it. */
void host_run_clear_errors(struct host_run *hr)
{
	for (size_t i = 0; i < hr->n; i++)
		hr->stack[i].failed = false;
	hr->ended = hr->ended || hr->failed;
	hr->failed = hr->unreachable = hr->forced = false;
}
