#include "modules/argv.h"

/* An argument that becomes words of a rule. */
struct part {
	void (*add)(struct argv *c, const struct part *p);
	const char *arg, *option;
	const char *other; /* as good as arg */
};

/* Given and empty is not given: templates of roles rely on it. */
static bool given(const struct mod_ctx *m, const char *name)
{
	const struct val *v = name ? val_get(m->args, name) : NULL;
	return v && !((val_is_str(v) || val_is_list(v)) && !val_len(v));
}

static bool is_matched(struct mod_ctx *m, const char *word)
{
	const struct val *match = mod_list(m, "match");
	VAL_EACH (i, match)
		if (str_eqc(val_text(val_at(match, i), m->a), word))
			return true;
	return false;
}

static const char *joined(struct mod_ctx *m, const struct val *list)
{
	struct buf b = {0};
	VAL_EACH (i, list)
		buf_printf(&b, "%s%.*s", i ? "," : "", STR_FMT(val_text(val_at(list, i), m->a)));
	struct str s = buf_take(&b, m->a);
	buf_free(&b);
	return s.p ? s.p : "";
}

static void add_word(struct argv *c, const char *option, const char *value)
{
	bool negated = *value == '!';
	if (negated)
		argv_add(c, "!");
	argv_add2(c, option, value + negated);
}

/* OPTION value; "!" before the value negates. */
static void value(struct argv *c, const struct part *p)
{
	if (given(c->m, p->arg))
		add_word(c, p->option, mod_arg(c->m, p->arg));
}

static void each(struct argv *c, const struct part *p)
{
	const struct val *list = mod_list(c->m, p->arg);
	VAL_EACH (i, list)
		add_word(c, p->option,
		         arena_printf(c->m->a, "%.*s", STR_FMT(val_text(val_at(list, i), c->m->a))));
}

static void csv(struct argv *c, const struct part *p)
{
	if (given(c->m, p->arg))
		argv_add2(c, p->option, joined(c->m, mod_list(c->m, p->arg)));
}

/* -m OPTION before the options of that match. */
static void load(struct argv *c, const struct part *p)
{
	if (given(c->m, p->arg) || given(c->m, p->other))
		argv_add2(c, "-m", p->option);
}

static void load_once(struct argv *c, const struct part *p)
{
	if (!is_matched(c->m, p->option))
		load(c, p);
}

static void bare(struct argv *c, const struct part *p)
{
	if (given(c->m, p->arg))
		argv_add(c, mod_arg(c->m, p->arg));
}

static void jump(struct argv *c, const struct part *p)
{
	if (given(c->m, p->arg))
		value(c, p);
	else if (given(c->m, "log_prefix") || given(c->m, "log_level"))
		argv_add2(c, p->option, "LOG");
}

static void gateway(struct argv *c, const struct part *p)
{
	if (mod_is(c->m, "jump", "TEE") || mod_is(c->m, "jump", "tee"))
		value(c, p);
}

static void reject_with(struct argv *c, const struct part *p)
{
	if (given(c->m, p->arg) && !given(c->m, "jump"))
		argv_add2(c, "-j", "REJECT");
	value(c, p);
}

static void tcp_flags(struct argv *c, const struct part *p)
{
	const struct val *t = val_get(c->m->args, p->arg);
	const struct val *flags = t ? val_get(t, "flags") : NULL, *set = t ? val_get(t, "flags_set") : NULL;
	if (!flags || !set)
		return;
	argv_add2(c, p->option, joined(c->m, flags));
	argv_add(c, joined(c->m, set));
}

static void syn(struct argv *c, const struct part *p)
{
	if (mod_is(c->m, p->arg, "negate"))
		argv_add(c, "!");
	if (!mod_is(c->m, p->arg, "ignore"))
		argv_add(c, p->option);
}

static void ctstate(struct argv *c, const struct part *p)
{
	bool state = !is_matched(c->m, "conntrack") && is_matched(c->m, "state");
	const struct part words = {csv, p->arg, state ? "--state" : "--ctstate", NULL};
	if (!state)
		load_once(c, p);
	csv(c, &words);
}

static void icmp_type(struct argv *c, const struct part *p)
{
	const char *option = mod_is(c->m, "ip_version", "ipv6") ? "--icmpv6-type" : p->option;
	const struct part words = {value, p->arg, option, NULL};
	value(c, &words);
}

/* In the order in which a rule's words take it. */
static const struct part parts[] = {
        {value, "wait", "-w"},
        {value, "protocol", "-p"},
        {value, "source", "-s"},
        {value, "destination", "-d"},
        {each, "match", "-m"},
        {tcp_flags, "tcp_flags", "--tcp-flags"},
        {jump, "jump", "-j"},
        {gateway, "gateway", "--gateway"},
        {value, "log_prefix", "--log-prefix"},
        {value, "log_level", "--log-level"},
        {value, "to_destination", "--to-destination"},
        {load, "destination_ports", "multiport"},
        {csv, "destination_ports", "--dports"},
        {value, "to_source", "--to-source"},
        {value, "goto", "-g"},
        {value, "in_interface", "-i"},
        {value, "out_interface", "-o"},
        {value, "fragment", "-f"},
        {value, "set_counters", "-c"},
        {value, "source_port", "--source-port"},
        {value, "destination_port", "--destination-port"},
        {value, "to_ports", "--to-ports"},
        {value, "set_dscp_mark", "--set-dscp"},
        {value, "set_dscp_mark_class", "--set-dscp-class"},
        {syn, "syn", "--syn"},
        {ctstate, "ctstate", "conntrack"},
        {load_once, "src_range", "iprange", "dst_range"},
        {value, "src_range", "--src-range"},
        {value, "dst_range", "--dst-range"},
        {load_once, "match_set", "set"},
        {value, "match_set", "--match-set"},
        {bare, "match_set_flags"},
        {load, "limit", "limit", "limit_burst"},
        {value, "limit", "--limit"},
        {value, "limit_burst", "--limit-burst"},
        {load, "uid_owner", "owner"},
        {value, "uid_owner", "--uid-owner"},
        {load, "gid_owner", "owner"},
        {value, "gid_owner", "--gid-owner"},
        {reject_with, "reject_with", "--reject-with"},
        {icmp_type, "icmp_type", "--icmp-type"},
        {load, "comment", "comment"},
        {value, "comment", "--comment"},
};

struct table {
	struct mod_ctx *m;
	const char *program, *name, *chain;
};

static void add_rule(struct argv *c)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		parts[i].add(c, &parts[i]);
}

/* iptables -t TABLE ACTION CHAIN, so far. */
static struct argv command(const struct table *t, const char *action)
{
	struct argv c = {.m = t->m};
	argv_add(&c, t->program);
	argv_add2(&c, "-t", t->name);
	argv_add(&c, action);
	if (t->chain)
		argv_add(&c, t->chain);
	return c;
}

static bool change(const struct table *t, struct argv *c)
{
	struct mod_out out;
	mod_changed(t->m);
	return t->m->check || argv_must(c, &out);
}

/* Whether the command finds what it asks for. A lock that cannot be had is no answer. */
static bool ask(struct argv *c, bool *yes, struct str *text)
{
	enum { NOT_FOUND = 1, BAD_PARAMETER = 2 }; /* the second: a chain it names does not exist */
	struct mod_out out;
	if (!argv_run(c, &out))
		return false;
	*yes = out.rc == 0;
	if (text)
		*text = out.out;
	return out.rc <= BAD_PARAMETER || argv_failed(c, &out);
}

static bool has_chain(const struct table *t, bool *yes)
{
	struct argv c = command(t, "-L");
	argv_add(&c, "-n");
	return ask(&c, yes, NULL);
}

static bool set_policy(const struct table *t, const char *policy)
{
	struct mod_ctx *m = t->m;
	struct mod_out out;
	struct argv list = command(t, "-L"), set = command(t, "-P");
	argv_add(&list, "-n");
	if (!argv_must(&list, &out))
		return false;
	struct str head = str_split(&out.out, '\n');
	ptrdiff_t at = str_find(head, STR("(policy "), 0);
	if (at < 0)
		return mod_fail(m, "Can't detect current policy");
	head = str_n(head.p + at + 8, head.n - (size_t)at - 8);
	if (str_starts(head, policy) && strcspn(head.p, " )") == strlen(policy))
		return true;
	argv_add(&set, policy);
	return change(t, &set);
}

/* A chain as a whole, when the task describes no rule. */
static bool manage_chain(const struct table *t, bool wanted)
{
	bool there;
	struct argv c = command(t, wanted ? "-N" : "-X");
	if (!has_chain(t, &there))
		return false;
	return there == wanted || !mod_bool(t->m, "chain_management") || change(t, &c);
}

static bool manage_rule(const struct table *t, bool wanted)
{
	struct mod_ctx *m = t->m;
	bool there, chain_there = true, insert = mod_is(m, "action", "insert");
	struct argv look = command(t, "-C"), make = command(t, "-N"),
	            act = command(t, !wanted  ? "-D"
	                             : insert ? "-I"
	                                      : "-A");
	add_rule(&look);
	if (!ask(&look, &there, NULL))
		return false;
	if (there == wanted)
		return true;
	if (wanted && mod_bool(m, "chain_management") && !has_chain(t, &chain_there))
		return false;
	if (!chain_there && !change(t, &make))
		return false;
	if (wanted && insert && mod_has(m, "rule_num"))
		argv_add(&act, mod_arg(m, "rule_num"));
	add_rule(&act);
	return change(t, &act);
}

static bool run(struct mod_ctx *m)
{
	static const char *const echoed[] = {"ip_version", "table", "chain",
	                                     "flush",      "state", "chain_management"};
	struct table t = {.m = m, .name = mod_arg(m, "table"), .chain = mod_arg(m, "chain")};
	struct argv rule = {.m = m};
	bool wanted = mod_is(m, "state", "present"), flush = mod_bool(m, "flush");
	add_rule(&rule);
	for (size_t i = 0; i < sizeof(echoed) / sizeof(*echoed); i++)
		mod_set(m, echoed[i], mod_has(m, echoed[i]) ? val_get(m->args, echoed[i]) : val_null());
	mod_sets(m, "rule", argv_text(&rule));
	t.program = argv_need(m, mod_is(m, "ip_version", "ipv6") ? "ip6tables" : "iptables");
	if (!t.program)
		return false;
	if (!flush && !t.chain)
		return mod_fail(m, "Either chain or flush parameter must be specified.");
	if ((given(m, "log_prefix") || given(m, "log_level")) && given(m, "jump") &&
	    !mod_is(m, "jump", "LOG"))
		return mod_fail(m, "Logging options can only be used with the LOG jump target.");
	if (flush) {
		struct argv c = command(&t, "-F");
		return change(&t, &c);
	}
	if (mod_has(m, "policy"))
		return set_policy(&t, mod_arg(m, "policy"));
	return rule.n ? manage_rule(&t, wanted) : manage_chain(&t, wanted);
}

static const struct mod_arg flag_args[] = {
        {"flags", MT_LIST, .doc = "Those to look at."},
        {"flags_set", MT_LIST, .doc = "Those that must be set."},
        {NULL},
};

static const struct mod_arg args[] = {
        {"table", MT_STR, .dflt = "filter", .choices = "filter|nat|mangle|raw|security", .doc = "The table."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {"action", MT_STR, .dflt = "append", .choices = "append|insert",
         .doc = "Where a new rule goes: behind all others or before them."},
        {"ip_version", MT_STR, .dflt = "ipv4", .choices = "ipv4|ipv6", .doc = "iptables or ip6tables."},
        {"chain", MT_STR, .doc = "The chain."},
        {"rule_num", MT_STR, .doc = "The place of a rule that is inserted."},
        {"protocol", MT_STR, .doc = "Matches the protocol."},
        {"wait", MT_STR, .doc = "Seconds to wait for the lock."},
        {"source", MT_STR, .doc = "Matches the sender's address or network."},
        {"to_source", MT_STR, .doc = "The sender's address to set (SNAT)."},
        {"destination", MT_STR, .doc = "Matches the receiver's address or network."},
        {"to_destination", MT_STR, .doc = "The receiver's address to set (DNAT)."},
        {"match", MT_LIST, .doc = "Extensions that match."},
        {"tcp_flags", MT_DICT, .sub = flag_args, .doc = "Matches TCP flags."},
        {"jump", MT_STR, .doc = "What becomes of a packet: ACCEPT, DROP, a chain ..."},
        {"gateway", MT_STR, .doc = "Where TEE sends its copy."},
        {"log_prefix", MT_STR, .doc = "What LOG writes first."},
        {"log_level", MT_STR, .choices = "0|1|2|3|4|5|6|7|emerg|alert|crit|error|warning|notice|info|debug",
         .doc = "How LOG logs."},
        {"goto", MT_STR, .doc = "The chain to go on in, without coming back here."},
        {"in_interface", MT_STR, .doc = "Matches the interface a packet came by."},
        {"out_interface", MT_STR, .doc = "Matches the interface a packet leaves by."},
        {"fragment", MT_STR, .doc = "Matches fragments behind the first."},
        {"set_counters", MT_STR, .doc = "What the rule's counters begin with."},
        {"source_port", MT_STR, .doc = "Matches the sender's port or ports first:last."},
        {"destination_port", MT_STR, .doc = "Matches the receiver's port or ports first:last."},
        {"destination_ports", MT_LIST, .doc = "Matches several of the receiver's ports."},
        {"to_ports", MT_STR, .doc = "The port to set (REDIRECT, MASQUERADE)."},
        {"set_dscp_mark", MT_STR, .doc = "The DSCP value to set."},
        {"set_dscp_mark_class", MT_STR, .doc = "The DSCP class to set."},
        {"comment", MT_STR, .doc = "A comment in the rule."},
        {"ctstate", MT_LIST, .doc = "Matches states of the connection."},
        {"src_range", MT_STR, .doc = "Matches a range of senders."},
        {"dst_range", MT_STR, .doc = "Matches a range of receivers."},
        {"match_set", MT_STR, .doc = "Matches a set of ipset."},
        {"match_set_flags", MT_STR, .choices = "src|dst|src,dst|dst,src|dst,dst|src,src",
         .doc = "Which address is looked up in it."},
        {"limit", MT_STR, .doc = "Matches so many packets per time."},
        {"limit_burst", MT_STR, .doc = "Matches so many before the limit holds."},
        {"uid_owner", MT_STR, .doc = "Matches packets of a user."},
        {"gid_owner", MT_STR, .doc = "Matches packets of a group."},
        {"reject_with", MT_STR, .doc = "The answer to a packet that is rejected."},
        {"icmp_type", MT_STR, .doc = "Matches the kind of an ICMP message."},
        {"syn", MT_STR, .dflt = "ignore", .choices = "ignore|match|negate",
         .doc = "Matches the packets that open a connection, or all others."},
        {"flush", MT_BOOL, .dflt = "false", .doc = "Remove all rules of the chain, or of the table."},
        {"policy", MT_STR, .choices = "ACCEPT|DROP|QUEUE|RETURN", .doc = "The policy of a built-in chain."},
        {"chain_management", MT_BOOL, .dflt = "false",
         .doc = "Make the chain when it is missing; remove it when only the chain is named."},
        {"numeric", MT_BOOL, .dflt = "false",
         .doc = "Accepted; addresses are never looked up when rules are listed."},
        {NULL},
};

const struct module module_row_iptables = {
        .name = "iptables",
        .from = "ansible.builtin",
        .doc = "Keeps a rule, a policy or a chain of the packet filter.",
        .args = args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "set_dscp_mark|set_dscp_mark_class;flush|policy",
        .required_if = "jump=TEE:gateway;jump=tee:gateway",
        .run = run,
};
