/* firewalld - through its own command: of a daemon that does not run, the files alone are changed. */
#include "modules/argv.h"

/* What a zone can have: --query-WORD=value, --add-WORD=value, --remove-WORD=value. */
static const struct kind {
	const char *arg, *word;
	bool timed;  /* can be had for a while */
	bool spoken; /* "Added x to zone z", not "Changed WORD x to STATE" */
} kinds[] = {
        {"service", "service", true, false},
        {"port", "port", true, false},
        {"protocol", "protocol", true, false},
        {"icmp_block", "icmp-block", true, false},
        {"rich_rule", "rich-rule", true, false},
        {"source", "source", false, true},
        {"interface", "interface", false, true},
        {"masquerade", "masquerade", true, true},
        {"icmp_block_inversion", "icmp-block-inversion", false, false},
        {"port_forward", "forward-port", true, false},
};

struct wall {
	struct mod_ctx *m;
	const char *program;
	bool offline;
	const char *zone;
	struct buf msg;
};

static void say(struct wall *w, const char *text)
{
	buf_printf(&w->msg, "%s%s", w->msg.n ? ", " : "", text);
}

static bool call(struct wall *w, bool permanent, const char *what, const char *more, struct mod_out *o)
{
	struct argv c = {.m = w->m};
	argv_add(&c, w->program);
	if (permanent && !w->offline)
		argv_add(&c, "--permanent");
	if (w->zone)
		argv_addf(&c, "--zone=%s", w->zone);
	argv_add(&c, what);
	if (more)
		argv_add(&c, more);
	return argv_run(&c, o);
}

/* As call(), of what has to go well. */
static bool must(struct wall *w, bool permanent, const char *what, const char *more)
{
	struct mod_out o;
	if (!call(w, permanent, what, more, &o))
		return false;
	struct str why = str_trim(o.err.n ? o.err : o.out);
	return o.rc == 0 || mod_fail(w->m, "ERROR: %.*s", STR_FMT(why));
}

static bool open_wall(struct wall *w)
{
	struct mod_ctx *m = w->m;
	struct mod_out o;
	w->program = mod_which(m, "firewall-cmd");
	if (!w->program)
		return mod_fail(m, "firewalld is not installed: there is no firewall-cmd");
	if (!call(w, false, "--state", NULL, &o))
		return false;
	w->offline = o.rc != 0;
	if (w->offline && !(w->program = mod_which(m, "firewall-offline-cmd")))
		return mod_fail(m, "firewalld does not run, and there is no firewall-offline-cmd");
	w->zone = mod_arg(m, "zone");
	if (w->zone)
		return true;
	if (!call(w, false, "--get-default-zone", NULL, &o))
		return false;
	struct str zone = str_trim(o.out);
	w->zone = arena_strndup(m->a, zone.p ? zone.p : "", zone.n);
	return o.rc == 0 || mod_fail(m, "the default zone cannot be told");
}

/* ---- one thing of a zone, now and after a restart */

static bool has(struct wall *w, bool permanent, const char *thing, bool *ret)
{
	struct mod_out o;
	if (!call(w, permanent, arena_printf(w->m->a, "--query-%s", thing), NULL, &o))
		return false;
	struct str why = str_trim(o.err.n ? o.err : o.out);
	*ret = o.rc == 0;
	return o.rc <= 1 || mod_fail(w->m, "ERROR: %.*s", STR_FMT(why));
}

static bool put(struct wall *w, const struct kind *k, bool permanent, bool on, const char *thing)
{
	struct mod_ctx *m = w->m;
	int64_t seconds = mod_int(m, "timeout", 0);
	const char *verb = !on                                ? "remove"
	                   : strcmp(k->arg, "interface") == 0 ? "change"
	                                                      : "add",
	           *more = on && !permanent && k->timed && seconds
	                           ? arena_printf(m->a, "--timeout=%lld", (long long)seconds)
	                           : NULL;
	return must(w, permanent, arena_printf(m->a, "--%s-%s", verb, thing), more);
}

static bool bring(struct wall *w, const struct kind *k, bool on, const char *value)
{
	struct mod_ctx *m = w->m;
	bool permanent = mod_bool(m, "permanent"), immediate = mod_bool(m, "immediate") || !permanent, is;
	const char *thing = value ? arena_printf(m->a, "%s=%s", k->word, value) : k->word;
	if (immediate && w->offline)
		return mod_fail(
		        m, "firewall is not currently running, unable to perform immediate actions without a "
		           "running firewall daemon");
	say(w, permanent && immediate ? "Permanent and Non-Permanent(immediate) operation"
	       : permanent            ? "Permanent operation"
	                              : "Non-permanent operation");
	for (int p = 1; p >= 0; p--) {
		if (p ? !permanent : !immediate)
			continue;
		if (!has(w, p, thing, &is))
			return false;
		if (is == on)
			continue;
		mod_changed(m);
		if (!m->check && !put(w, k, p, on, thing))
			return false;
	}
	if (!mod_is_changed(m))
		return true;
	bool interface = strcmp(k->arg, "interface") == 0;
	if (k->spoken)
		say(w, arena_printf(m->a, "%s %s %s zone %s",
		                    !on         ? "Removed"
		                    : interface ? "Changed"
		                                : "Added",
		                    value ? value : k->word, on ? "to" : "from", w->zone));
	else
		say(w, arena_printf(m->a, "Changed %s %s to %s", k->word, value ? value : mod_arg(m, k->arg),
		                    mod_arg(m, "state")));
	return true;
}

/* ---- the zone itself */

static bool bring_target(struct wall *w, bool on)
{
	struct mod_ctx *m = w->m;
	struct mod_out o;
	const char *want = on ? mod_arg(m, "target") : "default";
	if (!call(w, true, "--get-target", NULL, &o))
		return false;
	if (o.rc == 0 && str_eqc(str_trim(o.out), want))
		return true;
	mod_changed(m);
	say(w, on ? arena_printf(m->a, "Set zone %s target to %s", w->zone, want)
	          : arena_printf(m->a, "Reset zone %s target to default", w->zone));
	return m->check || must(w, true, arena_printf(m->a, "--set-target=%s", want), NULL);
}

static bool bring_zone(struct wall *w, bool on)
{
	struct mod_ctx *m = w->m;
	struct mod_out o;
	const char *zone = w->zone;
	bool is = false;
	w->zone = NULL; /* no option of these */
	if (!call(w, true, "--get-zones", NULL, &o))
		return false;
	struct str rest = str_trim(o.out);
	while (rest.p)
		is = str_eqc(str_split(&rest, ' '), zone) || is;
	if (is == on)
		return true;
	mod_changed(m);
	say(w, arena_printf(m->a, on ? "Added zone %s" : "Removed zone %s", zone));
	say(w, arena_printf(m->a, "Changed zone %s to %s", zone, mod_arg(m, "state")));
	return m->check ||
	       must(w, true, arena_printf(m->a, "--%s-zone=%s", on ? "new" : "delete", zone), NULL);
}

static const char *forward(struct mod_ctx *m, const struct val *list)
{
	static const char *const needed[] = {"port", "proto", "toport"};
	const struct val *f = val_at(list, 0);
	const char *z = "";
	if (val_len(list) > 1 || !f) {
		mod_fail(m, "Only one port forward supported at a time");
		return NULL;
	}
	for (size_t i = 0; i < 3; i++) {
		const struct val *v = val_get(f, needed[i]);
		if (!v) {
			mod_fail(m, "%s must be specified for port forward",
			         i == 1 ? "proto udp/tcp" : needed[i]);
			return NULL;
		}
		struct str s = val_text(v, m->a);
		z = arena_printf(m->a, "%s%s%s=%.*s", z, i ? ":" : "", needed[i], STR_FMT(s));
	}
	const char *to = val_map_strz(f, "toaddr", "");
	return *to ? arena_printf(m->a, "%s:toaddr=%s", z, to) : z;
}

static bool apply(struct wall *w)
{
	struct mod_ctx *m = w->m;
	bool on = mod_is(m, "state", "enabled") || mod_is(m, "state", "present");
	bool of_zone = mod_is(m, "state", "absent") || mod_is(m, "state", "present");
	bool lasting = mod_bool(m, "permanent") && !mod_bool(m, "immediate");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const char *arg = kinds[i].arg, *value = mod_arg(m, arg);
		if (!mod_has(m, arg))
			continue;
		if (of_zone)
			return mod_fail(m,
			                "absent and present state can only be used in zone level operations");
		if (strcmp(arg, "port") == 0 && !strchr(value, '/'))
			return mod_fail(m, "improper port format (missing protocol?)");
		if (strcmp(arg, "port_forward") == 0 && !(value = forward(m, mod_list(m, arg))))
			return false;
		if (strcmp(arg, "masquerade") == 0 || strcmp(arg, "icmp_block_inversion") == 0) {
			on = on == val_to_bool(val_get(m->args, arg));
			value = NULL;
		}
		return bring(w, &kinds[i], on, value);
	}
	if (!mod_has(m, "target") && !of_zone)
		return true;
	if (!lasting)
		return mod_fail(
		        m,
		        "Zone operations must be permanent. Make sure you didn't set the 'permanent' flag to "
		        "'false' or the 'immediate' flag to 'true'.");
	say(w, "Permanent operation");
	return mod_has(m, "target") ? bring_target(w, on) : bring_zone(w, on);
}

static bool run(struct mod_ctx *m)
{
	struct wall w = {.m = m};
	if ((mod_has(m, "interface") || mod_has(m, "target")) && !mod_has(m, "zone"))
		return mod_fail(m, "missing parameter(s) required by '%s': zone",
		                mod_has(m, "interface") ? "interface" : "target");
	if (mod_has(m, "source") && !mod_has(m, "permanent"))
		return mod_fail(m, "missing parameter(s) required by 'source': permanent");
	bool ok = open_wall(&w) && apply(&w);
	if (ok && w.offline)
		say(&w, "(offline operation: only on-disk configs were altered)");
	if (ok)
		mod_sets(m, "msg", w.msg.p ? w.msg.p : "");
	buf_free(&w.msg);
	return ok;
}

static const struct mod_arg args[] = {
        {"state", MT_STR, MA_REQUIRED, .choices = "absent|disabled|enabled|present",
         .doc = "Whether the zone has it; absent and present are of zones themselves."},
        {"zone", MT_STR, .doc = "The zone; without, the default one."},
        {"service", MT_STR, .doc = "A service."},
        {"port", MT_STR, .doc = "A port or range and its protocol: 80/tcp."},
        {"protocol", MT_STR, .doc = "A protocol."},
        {"port_forward", MT_LIST, .elem = MT_DICT, .doc = "One port, proto, toport, toaddr."},
        {"rich_rule", MT_STR, .doc = "A rich rule."},
        {"source", MT_STR, .doc = "A source network."},
        {"interface", MT_STR, .doc = "An interface."},
        {"icmp_block", MT_STR, .doc = "A type of ICMP that is blocked."},
        {"icmp_block_inversion", MT_STR, .doc = "Or all that are not named."},
        {"masquerade", MT_STR, .doc = "Masquerading."},
        {"target", MT_STR, .choices = "default|ACCEPT|DROP|%%REJECT%%", .doc = "What becomes of all else."},
        {"permanent", MT_BOOL, .doc = "After the next start."},
        {"immediate", MT_BOOL, .dflt = "false", .doc = "Now, too, when it is permanent."},
        {"timeout", MT_INT, .dflt = "0", .doc = "Only for so many seconds, when it is not."},
        {"offline", MT_BOOL, .doc = "Accepted; it is seen whether the daemon runs."},
        {NULL},
};

const struct module module_row_firewalld = {
        .name = "firewalld",
        .from = "ansible.posix",
        .doc = "Keeps services, ports and rules of firewalld's zones.",
        .args = args,
        .flags = MOD_CHECK,
        .mutually_exclusive =
                "icmp_block|icmp_block_inversion|service|protocol|port|port_forward|rich_rule|interface|"
                "masquerade|source|target",
        .run = run,
};
