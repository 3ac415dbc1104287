/* Where a host is in its play: a stack of places in blocks. */
#include "ansible/core.h"
#include <stdlib.h>

void host_run_init(struct host_run *hr, struct play_run *pr, struct host *h)
{
	(void)pr;
	*hr = (struct host_run){.host = h, .notifications = val_list(pr->a)};
}

static void push(struct host_run *hr, struct cursor c)
{
	if (hr->n == hr->cap) {
		struct cursor *old = hr->stack;
		hr->cap = hr->cap ? hr->cap * 2 : 8;
		hr->stack = arena_array(hr->host->a, hr->cap, sizeof(c));
		if (hr->n)
			memcpy(hr->stack, old, hr->n * sizeof(c));
	}
	hr->stack[hr->n++] = c;
}

void host_run_push(struct host_run *hr, struct frame *f)
{
	push(hr, (struct cursor){.block = f->root, .frame = f});
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

static bool tags_run(const struct val *tags, const struct val *only, const struct val *skip)
{
	bool untagged = !val_len(tags);
	bool run = true;
	if (only && val_len(only)) {
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

static bool selected(struct engine *e, const struct host_run *hr, const struct task *t, struct frame *f)
{
	const struct engine_opts *o = e->opts;
	bool filtered = (o->tags && val_len(o->tags)) || (o->skip_tags && val_len(o->skip_tags));
	if (t->implicit && t->action && t->action->kind == ACT_META)
		return true;
	struct arena *a = arena_new(hr->host->a);
	struct val *raw = kw_all(&t->n, f, &e->pr->play->n, KW_TAGS, a), *tags;
	bool run = true;
	if (val_len(raw) || filtered) {
		struct scope s;
		struct err err = {0};
		scope_init(&s, e, hr->host, &t->n, f, a);
		if (scope_words(&s, raw, &tags, &err))
			run = tags_run(tags, o->tags, o->skip_tags);
		else
			engine_warn(e, err_origin(&err), "%s", err_msg(&err));
		err_clear(&err);
	}
	arena_free(a);
	return run;
}

/* ---- walking ------------------------------------------------------------------------------------------ */

static bool role_is_done(const struct host_run *hr, const struct frame *f)
{
	return f->role_top && f->role && !f->role->allow_dup && val_get(f->role->done, hr->host->name);
}

static void pop(struct host_run *hr)
{
	struct cursor *c = &hr->stack[hr->n - 1];
	const struct frame *f = c->frame;
	if (c->block && f && f->root == c->block && f->role_top && f->role && !c->failed)
		val_set(f->role->done, hr->host->name, val_bool(true));
	hr->n--;
}

/* A place's section is over: to the next one that matters, or out. */
static void section_end(struct host_run *hr)
{
	struct cursor *c = &hr->stack[hr->n - 1];
	if (c->sec != SEC_ALWAYS && c->block->sec[SEC_ALWAYS].n) {
		if (c->sec == SEC_RESCUE)
			c->failed = false;
		c->sec = SEC_ALWAYS;
		c->i = 0;
		return;
	}
	if (c->sec == SEC_RESCUE)
		c->failed = false;
	bool failed = c->failed;
	pop(hr);
	if (failed)
		host_run_fail(hr);
}

bool host_run_fail(struct host_run *hr)
{
	bool rescued = false;
	for (size_t i = 0; i < hr->n; i++) {
		const struct cursor *c = &hr->stack[i];
		if (c->block && c->sec == SEC_TASKS && c->block->sec[SEC_RESCUE].n)
			rescued = true;
	}
	while (hr->n) {
		struct cursor *c = &hr->stack[hr->n - 1];
		if (!c->block) {
			pop(hr);
			continue;
		}
		if (c->sec == SEC_TASKS && c->block->sec[SEC_RESCUE].n) {
			c->failed = true;
			c->sec = SEC_RESCUE;
			c->i = 0;
			return rescued;
		}
		if (c->sec != SEC_ALWAYS && c->block->sec[SEC_ALWAYS].n) {
			c->failed = true;
			c->sec = SEC_ALWAYS;
			c->i = 0;
			return rescued;
		}
		c->failed = true;
		pop(hr);
	}
	hr->failed = true;
	return false;
}

/* The entry at the top cursor: a task (true), or something was entered or left (false: look again). */
static bool step(struct engine *e, struct host_run *hr)
{
	struct cursor *c = &hr->stack[hr->n - 1];
	if (!c->block) {
		while (c->i < e->pr->n_handlers) {
			struct handler *h = e->pr->handlers[c->i];
			if (hr->host->index < h->n_notified && h->notified[hr->host->index] &&
			    selected(e, hr, h->task, h->frame)) {
				hr->task = h->task;
				hr->frame = h->frame;
				return true;
			}
			c->i++;
		}
		hr->flushing = false;
		hr->n--;
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
		section_end(hr);
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
		if (f && !role_is_done(hr, f))
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
			hr->unit++;
		}
		if (hr->unit >= pr->n_units)
			return false;
		const struct unit *u = &pr->units[hr->unit];
		if (u->frame) {
			hr->started = true;
			if (!role_is_done(hr, u->frame))
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

int host_run_cmp(const struct host_run *a, const struct host_run *b)
{
	int r = cmp_size(a->unit, b->unit);
	size_t n = a->n < b->n ? a->n : b->n;
	for (size_t i = 0; i < n && !r; i++) {
		const struct cursor *x = &a->stack[i], *y = &b->stack[i];
		/* Running handlers comes before what follows the place where they were asked for. */
		if (!x->block != !y->block)
			return !x->block ? -1 : 1;
		r = cmp_size(x->frame ? x->frame->seq : 0, y->frame ? y->frame->seq : 0);
		if (!r)
			r = cmp_size(x->sec, y->sec);
		/* An entry that is being run has its place already counted up. */
		size_t xi = x->i - (i + 1 < a->n && x->block), yi = y->i - (i + 1 < b->n && y->block);
		if (!r)
			r = cmp_size(xi, yi);
		if (!r && x->block && i + 1 == a->n && i + 1 == b->n)
			r = cmp_size(x->started_first, y->started_first);
	}
	if (r)
		return r;
	/* The deeper one is still inside the entry the other has left or waits for. */
	return a->n == b->n ? 0 : a->n > b->n ? -1 : 1;
}

void host_run_flush(struct engine *e, struct host_run *hr)
{
	if (hr->flushing)
		return;
	VAL_EACH (i, hr->notifications)
		handlers_notify(e, hr, val_get_str(val_at(hr->notifications, i)), true);
	hr->notifications = val_list(e->pr->a);
	hr->flushing = true;
	push(hr, (struct cursor){.block = NULL});
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

void host_run_clear_errors(struct host_run *hr)
{
	hr->failed = hr->unreachable = false;
}
