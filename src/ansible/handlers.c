#include "ansible/core.h"

static void add_one(struct engine *e, struct task *t, struct frame *f)
{
	struct handler *h = ARENA_NEW(e->pr->a, struct handler);
	h->task = t;
	h->frame = f;
	t->index = e->pr->n_handlers;
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
	size_t n = r ? strlen(r->name) : 0;
	return r && wanted.n == n + 3 + name.n && memcmp(wanted.p, r->name, n) == 0 &&
	       memcmp(wanted.p + n, " : ", 3) == 0 && str_eq(str_n(wanted.p + n + 3, name.n), name);
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

bool handlers_notify(struct engine *e, struct host_run *hr, struct str wanted, bool now)
{
	struct play_run *pr = e->pr;
	bool found = false;
	/* Of several with the name, the last one defined. */
	for (size_t i = pr->n_handlers; i-- > 0 && !found;) {
		struct handler *h = pr->handlers[i];
		if (!name_matches(h, handler_name(e, h), wanted))
			continue;
		found = true;
		if (now)
			mark(e, h, hr->host);
	}
	for (size_t i = 0; i < pr->n_handlers; i++) {
		struct handler *h = pr->handlers[i];
		if (!listens(e, h, wanted))
			continue;
		/* Several listeners of one name: again the last. */
		bool later = false;
		for (size_t k = i + 1; k < pr->n_handlers && h->task->name.n; k++)
			later = later || (str_eq(handler_name(e, pr->handlers[k]), handler_name(e, h)) &&
			                  listens(e, pr->handlers[k], wanted));
		if (later)
			continue;
		found = true;
		if (now)
			mark(e, h, hr->host);
	}
	if (found && !now) {
		VAL_EACH (i, hr->notifications)
			if (str_eq(val_get_str(val_at(hr->notifications, i)), wanted))
				return true;
		val_push(hr->notifications, val_str(pr->a, wanted));
	}
	return found;
}
