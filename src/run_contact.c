/*
 * Containers, and machines without a guest agent: nobody but the machine itself tells its host key. The key
 * of the first contact is kept in the machine's description and compared ever after.
 */
#include "run.h"

#include "agent/proto.h"
#include "base/log.h"
#include "net/loop.h"
#include "report.h"
#include "ssh/link.h"

struct contact {
	struct run *r;
	struct pve_machine *m;
	const char *key; /* what it showed; NULL: its key was known */
	struct link *link;
	struct link_req req;
};

static const char *name_of(const struct pve_machine *m)
{
	return m->item->want ? m->item->want->name : m->item->have->name;
}

static bool first_contact(void *ctx, const struct ssh_target *t, const char *key_line)
{
	struct contact *c = ctx;

	(void)t;
	c->key = arena_strdup(c->r->a, key_line);
	return true;
}

/* What the agent would have been asked: whether the machine has become itself. */
static struct val *cloud_init(struct arena *a)
{
	static const char script[] =
	        "command -v cloud-init >/dev/null || exit 0; cloud-init status --wait --long";
	struct val *task = val_map(a), *args = val_map(a);

	val_set(args, "cmd", val_strz(a, script));
	val_set(args, "_uses_shell", val_bool(true));
	val_set(task, "module", val_strz(a, "command"));
	val_set(task, "args", args);
	return task;
}

static void begin(struct contact *c)
{
	struct ssh_target *t = ARENA_NEW(c->r->a, struct ssh_target);
	const char *address =
	        c->m->item->want ? c->m->item->want->address : plan_address(c->r->a, c->m->item->have);

	run_target(c->r, name_of(c->m), t);
	t->name = name_of(c->m);
	t->host = address;
	t->user = run_ssh_user(c->r, c->m->container ? MACHINE_LXC : MACHINE_VM);
	t->first_contact = first_contact;
	t->ctx = c;
	c->req = (struct link_req){.task = cloud_init(c->r->a), .read_only = true, .a = c->r->a};
	c->link = ssh_link_new(c->r->links, t);
	c->link->ops->submit(c->link, &c->req);
}

static bool check_cloud_init(struct contact *c, struct err *err)
{
	int64_t rc = val_map_int(c->req.result, "rc", 0);
	struct str said = str_trim(val_map_str(c->req.result, "stdout", ""));

	if (!c->m->booted || rc == 0)
		return true;
	if (rc == 2) {
		report_warn(&c->r->gh, c->r->ss, ORIGIN_NONE,
		            arena_printf(c->r->a,
		                         "machine %s: cloud-init had errors it recovered from:\n%.*s",
		                         name_of(c->m), STR_FMT(said)));
		return true;
	}
	err_set(err, ERR_REMOTE, ORIGIN_NONE, "cloud-init failed:\n%.*s", STR_FMT(said));
	return err_hint(err, "see /var/log/cloud-init-output.log on the machine");
}

static bool keep(struct contact *c, struct err *err)
{
	struct run *r = c->r;

	if (!c->key)
		return true;
	val_push(c->m->host_keys, val_strz(r->a, c->key));
	/* One that leaves needs no memory. */
	if (!c->m->item->want)
		return true;
	report_warn(
	        &r->gh, r->ss, ORIGIN_NONE,
	        arena_printf(r->a,
	                     "machine %s has no guest agent that could tell its host key: the one it showed "
	                     "at this first contact (%s) is kept in its description and asked for from now "
	                     "on",
	                     name_of(c->m), c->key));
	c->m->changed = true;
	return pve_keep_host_key(r->pve, r->a, c->m, c->key, err);
}

static bool end(struct contact *c, struct err *err)
{
	bool ok = !err_is(&c->req.err);

	c->link->ops->reset(c->link); /* the roles make their own, which knows the key */
	if (ok)
		ok = check_cloud_init(c, err) && keep(c, err);
	else
		err_move(err, &c->req.err);
	return ok || err_wrap(err, c->m->item->want ? c->m->item->want->at : ORIGIN_NONE, "machine %s",
	                      name_of(c->m));
}

static bool all_done(const struct contact *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!all[i].req.done)
			return false;
	}
	return true;
}

bool run_contact(struct run *r, struct errs *errs)
{
	struct contact *all = arena_array(r->a, r->n_machines, sizeof(*all));
	size_t n = 0, before = errs->n;
	struct err err = {0};

	for (size_t i = 0; i < r->n_machines; i++) {
		struct pve_machine *m = &r->machines[i];

		if (m->no_agent && (m->booted || val_len(m->host_keys) == 0))
			all[n++] = (struct contact){.r = r, .m = m};
	}
	if (n == 0)
		return true;
	if (!run_links(r, errs_add(errs)))
		return false;
	errs_ok(errs);
	for (size_t i = 0; i < n; i++)
		begin(&all[i]);
	while (!all_done(all, n)) {
		if (!loop_step(r->loop, -1, &err)) {
			err_move(errs_add(errs), &err);
			return false;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (!end(&all[i], &err))
			err_move(errs_add(errs), &err);
	}
	return errs->n == before;
}
