#include "proxmox/strangers.h"

#include "net/echo.h"
#include "net/greeting.h"
#include "proxmox/op.h"

/* From the question on: who is there answers within this, through a VPN too. */
#define ANSWER_MS 400

struct one {
	const struct machine *m;
	struct echo echo;
	struct greeting ssh;
};

struct strangers {
	struct loop *loop;
	int64_t until;
	struct one *v;
	size_t n;
};

static void stop(void *ctx)
{
	struct strangers *s = ctx;

	for (size_t i = 0; i < s->n; i++) {
		echo_stop(&s->v[i].echo);
		greeting_stop(&s->v[i].ssh);
	}
}

struct strangers *strangers_ask(struct pve *p, struct arena *a, const struct plan *plan, int ssh_port)
{
	struct strangers *s = ARENA_NEW(a, struct strangers);
	int ms = pve_ms(p, ANSWER_MS);

	*s = (struct strangers){.loop = p->loop, .until = loop_now() + ms};
	s->v = arena_array(a, plan->n, sizeof(*s->v));
	arena_defer(a, stop, s);
	for (size_t i = 0; i < plan->n; i++) {
		if (plan->items[i].action != PLAN_CREATE)
			continue;
		struct one *o = &s->v[s->n++];

		o->m = plan->items[i].want;
		echo_ask(p->loop, &o->echo, o->m->address);
		greeting_ask(p->loop, &o->ssh, o->m->address, ssh_port, "SSH-", ms);
	}
	return s;
}

static bool any_open(const struct strangers *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct one *o = &s->v[i];

		if (!o->echo.heard && !o->ssh.heard && (o->echo.asking || o->ssh.asking))
			return true;
	}
	return false;
}

bool strangers_heard(struct strangers *s, struct errs *errs, struct err *err)
{
	for (int64_t now = loop_now(); any_open(s) && now < s->until; now = loop_now()) {
		if (!loop_step(s->loop, (int)(s->until - now), err))
			return false;
	}
	stop(s);
	for (size_t i = 0; i < s->n; i++) {
		const struct one *o = &s->v[i];

		if (!o->echo.heard && !o->ssh.heard)
			continue;
		struct err *e = errs_add(errs);

		err_set(e, ERR_USER, o->m->at,
		        "the address %s of the new machine %s is in use: something answers there",
		        o->m->address, o->m->name);
		err_hint(e, "give the machine another ip_address, or take it from what has it now");
	}
	return true;
}
