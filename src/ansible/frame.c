#include "ansible/frame.h"
#include "ansible/core.h"

struct frame *frame_new(struct engine *e, struct frame *up, struct task *inc, bool is_static,
                        struct block *root, struct role *role)
{
	struct frame *f = ARENA_NEW(e->a, struct frame);
	f->up = up;
	f->inc = inc;
	f->is_static = is_static;
	f->root = root;
	f->role = role;
	f->role_top = role && (!up || up->role != role);
	f->seq = ++e->next_seq;
	return f;
}

enum { ST_NODES, ST_APPLY, ST_ROLE, ST_PLAY, ST_DONE };

/* From the top of a file on: the frame's own keywords, then the place of the inclusion. */
static void walk_settle(struct walk *w)
{
	for (;;) {
		if (w->stage == ST_NODES) {
			if (w->n)
				return;
			w->stage = w->f ? ST_APPLY : ST_PLAY;
			w->n = w->f ? w->f->apply : w->play;
			continue;
		}
		if (w->n)
			return;
		switch (w->stage) {
		case ST_APPLY:
			w->stage = ST_ROLE;
			w->role = w->f->role_top ? w->f->role : NULL;
			w->n = w->role ? w->role->entry : NULL;
			break;
		case ST_ROLE:
			/* A role that came in as a dependency also has the keywords of the entry that asked
			 * for it. */
			w->role = w->role && !w->f->inc ? w->role->parent : NULL;
			if (w->role) {
				w->n = w->role->entry;
				break;
			}
			w->stage = ST_NODES;
			if (w->f->inc)
				w->n = w->f->is_static ? &w->f->inc->n : w->f->inc->n.parent;
			w->f = w->f->up;
			break;
		case ST_PLAY: w->stage = ST_DONE; return;
		default: return;
		}
	}
}

void walk_start(struct walk *w, const struct node *n, const struct frame *f, const struct node *play)
{
	*w = (struct walk){.n = n, .f = f, .play = play, .stage = ST_NODES};
	walk_settle(w);
}

void walk_next(struct walk *w)
{
	if (w->stage == ST_NODES) {
		w->n = w->n->parent;
	} else {
		w->n = NULL;
	}
	walk_settle(w);
}

struct val *kw_get(const struct node *n, const struct frame *f, const struct node *play, enum kw kw)
{
	if (keywords[kw].inherit == KW_OWN)
		return n ? n->kw[kw] : NULL;
	struct walk w;
	for (walk_start(&w, n, f, play); w.n; walk_next(&w))
		if (w.n->kw[kw])
			return w.n->kw[kw];
	return NULL;
}

struct val *kw_all(const struct node *n, const struct frame *f, const struct node *play, enum kw kw,
                   struct arena *a)
{
	struct val *list = val_list(a);
	struct walk w;
	for (walk_start(&w, n, f, play); w.n; walk_next(&w))
		if (w.n->kw[kw])
			val_insert(list, 0, w.n->kw[kw]);
	return list;
}
