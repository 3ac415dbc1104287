/* What a playbook would do, told without doing it: --list-hosts, --list-tasks, --list-tags. */
#include "ansible/core.h"

struct listing {
	struct engine *e;
	const struct engine_list *what;
	struct arena *a;
	const struct val *play_tags;
	struct val *seen; /* every task's tags */
	struct buf *out;
};

static void add_tag(struct val *tags, struct val *tag)
{
	size_t at = 0;
	for (; at < val_len(tags); at++) {
		int r = str_cmp(val_get_str(val_at(tags, at)), val_get_str(tag));
		if (r == 0)
			return;
		if (r > 0)
			break;
	}
	val_insert(tags, at, tag);
}

static void add_tags(struct listing *l, struct val *into, const struct val *tags)
{
	struct str words = tags && val_is_str(tags) ? val_get_str(tags) : STR("");
	while (words.n)
		add_tag(into, val_str(l->a, str_trim(str_split(&words, ','))));
	for (size_t i = 0; tags && val_is_list(tags) && i < val_len(tags); i++)
		add_tag(into, val_str(l->a, val_text(val_at(tags, i), l->a)));
}

static void print_tags(struct listing *l, const struct val *tags, const char *between)
{
	VAL_EACH (i, tags)
		buf_printf(l->out, "%s%s", i ? between : "", val_get_strz(val_at(tags, i)));
}

static void list_task(struct listing *l, struct task *t, struct frame *f)
{
	struct val *own, *tags = val_list(l->a);
	if (!task_selected(l->e, NULL, t, f, l->a, &own))
		return;
	add_tags(l, l->seen, own);
	if (!l->what->tasks)
		return;
	add_tags(l, tags, l->play_tags);
	add_tags(l, tags, own);
	bool bare = t->action && t->action->kind == ACT_INCLUDE_ROLE; /* called by its own name alone */
	const char *role = t->name.n && !bare && f && f->role ? f->role->name : NULL;
	buf_printf(l->out, "      %s%s", role ? role : "", role ? " : " : "");
	struct str name = t->name.n ? t->name : str_c(t->module_name);
	buf_printf(l->out, "%.*s\tTAGS: [", STR_FMT(name));
	print_tags(l, tags, ", ");
	buf_adds(l->out, "]\n");
}

static void list_frame(struct listing *l, struct frame *f);

/* What is there to be rescued is not listed, nor is what always follows. */
static void list_block(struct listing *l, const struct block *b, struct frame *f)
{
	const struct nodes *ns = &b->sec[SEC_TASKS];
	for (size_t i = 0; i < ns->n; i++) {
		if (ns->v[i]->kind == NODE_BLOCK) {
			list_block(l, (const struct block *)ns->v[i], f);
			continue;
		}
		struct task *t = (struct task *)ns->v[i];
		enum action_kind kind = t->action ? t->action->kind : ACT_PLAIN;
		if (kind == ACT_IMPORT_TASKS || kind == ACT_IMPORT_ROLE)
			list_frame(l, import_expand(l->e, t, f, NULL, l->e->errs));
		else
			list_task(l, t, f);
	}
}

static void list_frame(struct listing *l, struct frame *f)
{
	if (!f)
		return;
	if (f->first)
		list_task(l, f->first, f);
	list_block(l, f->root, f);
}

static void list_hosts(struct listing *l)
{
	const struct play_run *pr = l->e->pr;
	struct val *hosts = pr->play->n.kw[KW_HOSTS], *pattern = val_list(l->a);
	for (size_t i = 0; val_is_list(hosts) && i < val_len(hosts); i++)
		val_push(pattern, val_at(hosts, i));
	if (!val_is_list(hosts))
		val_push(pattern, hosts);
	buf_adds(l->out, "\n    pattern: ");
	val_repr(pattern, l->out);
	buf_printf(l->out, "\n    hosts (%zu):", pr->n_all);
	for (size_t i = 0; i < pr->n_all; i++)
		buf_printf(l->out, "\n      %s", pr->all[i]->name);
}

static void list_play(struct listing *l, size_t number)
{
	const struct play_run *pr = l->e->pr;
	const struct val *hosts = pr->play->n.kw[KW_HOSTS];
	l->play_tags = val_list(l->a);
	l->seen = val_list(l->a);
	add_tags(l, (struct val *)l->play_tags, pr->play->n.kw[KW_TAGS]);
	buf_printf(l->out, "\n  play #%zu (", number);
	for (size_t i = 0; val_is_list(hosts) && i < val_len(hosts); i++)
		buf_printf(l->out, "%s%s", i ? "," : "", val_get_strz(val_at(hosts, i)));
	if (!val_is_list(hosts))
		val_print(hosts, l->out);
	buf_printf(l->out, "): %.*s\tTAGS: [", STR_FMT(pr->play->name));
	print_tags(l, l->play_tags, ",");
	buf_addc(l->out, ']');
	if (l->what->hosts)
		list_hosts(l);
	buf_addc(l->out, '\n');
	if (!l->what->tasks && !l->what->tags)
		return;
	if (l->what->tasks)
		buf_adds(l->out, "    tasks:\n");
	for (size_t i = 0; i < pr->n_units; i++)
		list_frame(l, pr->units[i].frame);
	if (l->what->tags) {
		add_tags(l, l->seen, l->play_tags);
		buf_adds(l->out, "      TASK TAGS: [");
		print_tags(l, l->seen, ", ");
		buf_adds(l->out, "]\n");
	}
}

bool engine_list_playbook(struct engine *e, const char *path, const struct engine_list *what, struct buf *out,
                          struct errs *errs)
{
	struct plays ps = {0};
	if (!playbook_read(e, path, &ps, errs))
		return false;
	buf_printf(out, "\nplaybook: %s\n", path);
	for (size_t i = 0; i < ps.n; i++) {
		struct err err = {0};
		struct listing l = {.e = e, .what = what, .a = arena_new(e->a), .out = out};
		if (play_open(e, ps.v[i], &err))
			list_play(&l, i + 1);
		else
			err_move(errs_add(errs), &err);
		play_close(e);
		arena_free(l.a);
	}
	return !errs->n;
}
