#include "ansible/core.h"

static void add_one(struct engine *e, struct task *t, struct frame *f)
{
	struct handler *h = ARENA_NEW(e->pr->a, struct handler);
	h->task = t;
	h->frame = f;
	h->list = e->pr->n_lists;
	PTRS_PUSH(e->pr->a, e->pr->handlers, e->pr->n_handlers, h);
}

static void add_nodes(struct engine *e, const struct nodes *ns, struct frame *f)
{
	for (size_t i = 0; i < ns->n; i++) {
		if (ns->v[i]->kind == NODE_BLOCK) {
			const struct block *b = (const struct block *)ns->v[i];
			for (int s = 0; s < SEC_END; s++)
				add_nodes(e, &b->sec[s], f);
			continue;
		}
		struct task *t = (struct task *)ns->v[i];
		if (t->action && t->action->kind == ACT_IMPORT_TASKS) {
			struct frame *in = import_expand(e, t, f, NULL, e->errs);
			if (in)
				add_nodes(e, &in->root->sec[SEC_TASKS], in);
			continue;
		}
		add_one(e, t, f);
	}
}

void handlers_add(struct engine *e, struct block *b, struct frame *f)
{
	for (size_t i = 0; i < e->pr->n_handlers; i++)
		if (e->pr->handlers[i]->frame == f && f)
			return;
	e->pr->n_lists++;
	add_nodes(e, &b->sec[SEC_TASKS], f);
}

/* Names are templated once, with what the play knows; one that cannot be is left out. */
static struct str handler_name(struct engine *e, struct handler *h)
{
	if (h->name_ready)
		return h->name;
	h->name_ready = true;
	h->name = h->task->name;
	struct val *v = h->task->n.kw[KW_NAME];
	if (!v || !val_needs_template(v))
		return h->name;
	struct scope s;
	struct err err = {0};
	scope_init(&s, e, NULL, &h->task->n, h->frame, e->pr->a);
	if (!scope_text(&s, v, &h->name, &err)) {
		h->name = STR("");
		h->name_ready = false; /* set_fact may bring the variable later */
		err_clear(&err);
	}
	return h->name;
}

static bool name_matches(const struct handler *h, struct str name, struct str wanted)
{
	if (!name.n)
		return false;
	if (str_eq(name, wanted))
		return true;
	/* "role : name" */
	const struct role *r = h->frame ? h->frame->role : NULL;
	if (!r || wanted.n < name.n || !str_eq(str_from(wanted, wanted.n - name.n), name))
		return false;
	wanted.n -= name.n;
	if (!str_ends(wanted, " : "))
		return false;
	wanted.n -= 3;
	return str_eqc(wanted, r->name) || str_eqc(wanted, r->short_name);
}

static bool listens(struct engine *e, struct handler *h, struct str topic)
{
	struct val *v = h->task->n.kw[KW_LISTEN];
	if (!v)
		return false;
	bool found = false;
	struct arena *a = arena_new(e->pr->a);
	struct scope s;
	struct err err = {0};
	struct val *t;
	scope_init(&s, e, NULL, &h->task->n, h->frame, a);
	if (scope_template(&s, v, &t, &err)) {
		if (!val_is_list(t)) {
			found = str_eq(val_text(t, a), topic);
		} else {
			VAL_EACH (i, t)
				found = found || str_eq(val_text(val_at(t, i), a), topic);
		}
	}
	err_clear(&err);
	arena_free(a);
	return found;
}

static void mark(struct engine *e, struct handler *h, struct host *host)
{
	if (host->index >= h->n_notified) {
		size_t n = e->inv->n_hosts + 8;
		bool *v = arena_array(e->pr->a, n, sizeof(bool));
		if (h->n_notified)
			memcpy(v, h->notified, h->n_notified * sizeof(bool));
		h->notified = v;
		h->n_notified = n;
	}
	h->notified[host->index] = true;
}

/* One task may be several handlers: of a role that is there twice, in two frames. */
void handlers_ran(struct engine *e, const struct task *t, const struct frame *f, const struct host *host)
{
	for (size_t i = 0; i < e->pr->n_handlers; i++) {
		struct handler *h = e->pr->handlers[i];
		if (h->task != t || h->frame != f)
			continue;
		if (!host)
			h->n_notified = 0;
		else if (host->index < h->n_notified)
			h->notified[host->index] = false;
	}
}

/* Handler I-th in the order names are looked up: those that were loaded last come first, but within what was
 * loaded together in the order they are written. */
static struct handler *by_rank(const struct play_run *pr, size_t i)
{
	size_t end = pr->n_handlers, at = end;
	while (at > 0) {
		const struct handler *last = pr->handlers[at - 1];
		while (at > 0 && pr->handlers[at - 1]->list == last->list)
			at--;
		if (i < end - at)
			return pr->handlers[at + i];
		i -= end - at;
		end = at;
	}
	return NULL;
}

/* Whether one before RANK listens, too, under the same name. */
static bool heard(struct engine *e, size_t rank, struct str topic)
{
	struct str name = handler_name(e, by_rank(e->pr, rank));
	for (size_t i = 0; i < rank && name.n; i++) {
		struct handler *h = by_rank(e->pr, i);
		if (str_eq(handler_name(e, h), name) && listens(e, h, topic))
			return true;
	}
	return false;
}

bool handlers_named(struct engine *e, struct str wanted, struct host *host)
{
	bool found = false;
	struct handler *h;
	for (size_t i = 0; !found && (h = by_rank(e->pr, i)); i++) {
		if (!name_matches(h, handler_name(e, h), wanted))
			continue;
		found = true;
		if (host)
			mark(e, h, host);
	}
	for (size_t i = 0; (h = by_rank(e->pr, i)); i++) {
		if (!listens(e, h, wanted) || heard(e, i, wanted))
			continue;
		found = true;
		if (!host)
			break;
		mark(e, h, host);
	}
	return found;
}

bool handlers_notify(struct engine *e, struct host_run *hr, struct str wanted)
{
	if (!handlers_named(e, wanted, hr->flushing ? hr->host : NULL))
		return false;
	if (hr->flushing)
		return true;
	if (!hr->notes)
		hr->notes = val_list(e->pr->a);
	VAL_EACH (i, hr->notes)
		if (str_eq(val_get_str(val_at(hr->notes, i)), wanted))
			return true;
	val_push(hr->notes, val_str(e->pr->a, wanted));
	return true;
}
