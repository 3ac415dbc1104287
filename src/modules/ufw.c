#include "modules/argv.h"

/* What ufw keeps of the rules: each has a line of this beginning. */
#define TUPLE "### tuple"

enum { V4, V6, FAMILIES };

struct ufw {
	struct mod_ctx *m;
	const char *program;
	struct val *commands;
	struct str rules[FAMILIES]; /* the lines of user.rules and user6.rules that are tuples */
	size_t counts[FAMILIES];
};

static struct argv command(const struct ufw *u)
{
	struct argv c = {.m = u->m};
	argv_add(&c, u->program);
	return c;
}

static bool call(struct ufw *u, struct argv *c, struct mod_out *out)
{
	val_push(u->commands, val_strz(u->m->a, argv_text(c)));
	return argv_must(c, out);
}

/* ---- what is */

/* The tuples among LINES. */
static struct str tuples(struct mod_ctx *m, struct str lines, size_t *n)
{
	struct buf b = {0};
	*n = 0;
	while (lines.p && lines.n) {
		struct str line = str_split(&lines, '\n');
		if (!str_starts(line, TUPLE))
			continue;
		buf_printf(&b, "%.*s\n", STR_FMT(line));
		++*n;
	}
	struct str s = buf_take(&b, m->a);
	buf_free(&b);
	return s;
}

static bool read_rules(struct ufw *u)
{
	/* Before 0.36 they were below /lib. */
	static const char *const places[] = {"/etc/ufw", "/lib/ufw", "/var/lib/ufw"};
	static const char *const files[] = {"user.rules", "user6.rules"};
	for (size_t f = 0; f < FAMILIES; f++) {
		struct str text = {0};
		for (size_t i = 0; i < sizeof(places) / sizeof(*places) && !text.p; i++)
			if (!mod_read_maybe(u->m, fs_join(u->m->a, places[i], files[f]), &text))
				return false;
		u->rules[f] = tuples(u->m, text, &u->counts[f]);
	}
	return true;
}

/* The value of NAME=value in one of ufw's files, without quotes, in lower case; "" when it is not there. */
static bool setting(struct mod_ctx *m, const char *file, const char *name, const char **ret)
{
	struct str text;
	size_t n = strlen(name);
	*ret = "";
	if (!mod_read_maybe(m, file, &text))
		return false;
	while (text.p && text.n) {
		struct str line = str_trim(str_split(&text, '\n'));
		if (!str_starts(line, name) || line.n <= n || line.p[n] != '=')
			continue;
		line = str_trim(str_n(line.p + n + 1, line.n - n - 1));
		if (line.n >= 2 && line.p[0] == '"' && line.p[line.n - 1] == '"')
			line = str_n(line.p + 1, line.n - 2);
		char *z = arena_strndup(m->a, line.p, line.n);
		for (char *p = z; *p; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
		*ret = z;
	}
	return true;
}

static bool is_active(struct ufw *u, bool *ret)
{
	struct argv c = command(u);
	struct mod_out out;
	argv_add(&c, "status");
	if (!call(u, &c, &out))
		return false;
	*ret = str_find(out.out, STR("Status: active"), 0) >= 0;
	return true;
}

/* ---- what shall be */

static bool act(struct ufw *u, struct argv *c)
{
	struct mod_out out;
	mod_changed(u->m);
	return u->m->check || call(u, c, &out);
}

static bool set_state(struct ufw *u, const char *state)
{
	static const char *const verbs[][2] = {
	        {"enabled", "enable"}, {"disabled", "disable"}, {"reloaded", "reload"}, {"reset", "reset"}};
	struct argv c = command(u);
	const char *at_boot;
	bool active, enabled = strcmp(state, "enabled") == 0;
	argv_add(&c, "-f");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(state, verbs[i][0]) == 0)
			argv_add(&c, verbs[i][1]);
	if (enabled || strcmp(state, "disabled") == 0) {
		if (!setting(u->m, "/etc/ufw/ufw.conf", "ENABLED", &at_boot) || !is_active(u, &active))
			return false;
		if (active == enabled && (strcmp(at_boot, "yes") == 0) == enabled)
			return true;
	}
	return act(u, &c);
}

static bool set_logging(struct ufw *u, const char *level)
{
	struct argv c = command(u);
	const char *now;
	if (!setting(u->m, "/etc/ufw/ufw.conf", "LOGLEVEL", &now))
		return false;
	bool off = !*now || strcmp(now, "off") == 0;
	if (strcmp(level, "on") == 0 ? !off : strcmp(level, "off") == 0 ? off : strcmp(level, now) == 0)
		return true;
	argv_add2(&c, "logging", level);
	return act(u, &c);
}

static bool set_default(struct ufw *u, const char *policy)
{
	static const struct {
		const char *policy, *direction, *word;
	} names[] =
	        {
	                {"DEFAULT_INPUT_POLICY", "incoming"},
	                {"DEFAULT_OUTPUT_POLICY", "outgoing"},
	                {"DEFAULT_FORWARD_POLICY", "routed"},
	        },
	  words[] = {{"accept", .word = "allow"}, {"drop", .word = "deny"}, {"reject", .word = "reject"}};
	const char *direction = mod_has(u->m, "direction") ? mod_arg(u->m, "direction") : "incoming",
	           *now = "";
	struct argv c = command(u);
	bool known = false;
	for (size_t i = 0; i < 3; i++)
		if (strcmp(names[i].direction, direction) == 0) {
			known = true;
			if (!setting(u->m, "/etc/default/ufw", names[i].policy, &now))
				return false;
		}
	if (!known)
		return mod_fail(
		        u->m,
		        "For default, direction must be one of \"outgoing\", \"incoming\" and \"routed\", "
		        "or direction must not be specified.");
	for (size_t i = 0; i < 3; i++)
		if (strcmp(words[i].policy, now) == 0 && strcmp(words[i].word, policy) == 0)
			return true;
	argv_add2(&c, "default", policy);
	argv_add(&c, direction);
	return act(u, &c);
}

/* The number to insert a rule at, 0 for none: rules of IPv4 come first and are numbered first. */
static int64_t place(const struct ufw *u)
{
	int64_t n4 = (int64_t)u->counts[V4], all = n4 + (int64_t)u->counts[V6], base = 0;
	int64_t number = mod_int(u->m, "insert", 0);
	const char *to = mod_arg(u->m, "insert_relative_to");
	if (strcmp(to, "zero") == 0)
		return number;
	if (strcmp(to, "first-ipv4") == 0)
		base = 1;
	else if (strcmp(to, "last-ipv4") == 0)
		base = n4 ? n4 : 1;
	else if (strcmp(to, "first-ipv6") == 0)
		base = n4 + 1;
	else
		base = all > n4 ? all : all + 1;
	return number + base > all ? 0 : number + base;
}

static void add_words(struct argv *c, const char *first, const char *second, const char *name)
{
	if (!mod_has(c->m, name) || !*mod_arg(c->m, name))
		return;
	argv_add(c, first);
	if (second)
		argv_add(c, second);
	argv_add(c, mod_arg(c->m, name));
}

static void add_rule(const struct ufw *u, struct argv *c, const char *rule)
{
	struct mod_ctx *m = u->m;
	bool delete = mod_bool(m, "delete");
	int64_t at = mod_has(m, "insert") && !delete ? place(u) : 0;
	if (mod_bool(m, "route"))
		argv_add(c, "route");
	if (delete)
		argv_add(c, "delete");
	if (at) {
		argv_add(c, "insert");
		argv_addf(c, "%lld", (long long)at);
	}
	argv_add(c, rule);
	if (mod_has(m, "direction"))
		argv_add(c, mod_arg(m, "direction"));
	add_words(c, "on", NULL, "interface");
	add_words(c, "in", "on", "interface_in");
	add_words(c, "out", "on", "interface_out");
	if (mod_bool(m, "log"))
		argv_add(c, "log");
	add_words(c, "from", NULL, "from_ip");
	add_words(c, "port", NULL, "from_port");
	add_words(c, "to", NULL, "to_ip");
	add_words(c, "port", NULL, "to_port");
	add_words(c, "proto", NULL, "proto");
	add_words(c, "app", NULL, "name");
	add_words(c, "comment", NULL, "comment");
}

/* Whether the files that a dry run would write have other rules than now. */
static bool would_differ(struct ufw *u, struct str said)
{
	struct str marks[FAMILIES] = {STR(":ufw-user-input"), STR(":ufw6-user-input")};
	for (size_t f = 0; f < FAMILIES; f++) {
		ptrdiff_t from = str_find(said, marks[f], 0);
		size_t n;
		if (from < 0)
			continue;
		ptrdiff_t to = str_find(said, marks[!f], (size_t)from);
		struct str part = str_n(said.p + from, (to < 0 ? said.n : (size_t)to) - (size_t)from);
		if (!str_eq(tuples(u->m, part, &n), u->rules[f]))
			return true;
	}
	return false;
}

static bool set_rule(struct ufw *u, const char *rule)
{
	struct mod_ctx *m = u->m;
	struct argv c = command(u);
	struct mod_out out;
	const char *direction = mod_arg(m, "direction");
	if (direction && strcmp(direction, "in") != 0 && strcmp(direction, "out") != 0)
		return mod_fail(
		        m, "For rules, direction must be one of \"in\" and \"out\", or direction must not be "
		           "specified.");
	if (!mod_bool(m, "route") && mod_has(m, "interface_in") && mod_has(m, "interface_out"))
		return mod_fail(m, "Only route rules can combine interface_in and interface_out");
	if (!read_rules(u))
		return false;
	struct str before[FAMILIES] = {u->rules[V4], u->rules[V6]};
	if (m->check)
		argv_add(&c, "--dry-run");
	add_rule(u, &c, rule);
	if (!call(u, &c, &out))
		return false;
	if (m->check ? would_differ(u, out.out)
	             : !read_rules(u) || !str_eq(before[V4], u->rules[V4]) ||
	                       !str_eq(before[V6], u->rules[V6]))
		mod_changed(m);
	return !m->failed;
}

static bool say_status(struct ufw *u)
{
	struct argv c = command(u);
	struct mod_out out;
	argv_add2(&c, "status", "verbose");
	if (!call(u, &c, &out))
		return false;
	mod_setf(u->m, "msg", "%.*s", STR_FMT(str_trim(out.out)));
	return true;
}

static bool run(struct mod_ctx *m)
{
	static const struct {
		const char *arg;
		bool (*set)(struct ufw *u, const char *value);
	} commands[] = {
	        {"state", set_state}, {"default", set_default}, {"rule", set_rule}, {"logging", set_logging}};
	struct ufw u = {.m = m, .commands = val_list(m->a)};
	mod_set(m, "commands", u.commands);
	if (mod_has(m, "interface") && !mod_has(m, "direction"))
		return mod_fail(m, "missing parameter(s) required by 'interface': direction");
	u.program = argv_need(m, "ufw");
	if (!u.program)
		return false;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (mod_has(m, commands[i].arg) && !commands[i].set(&u, mod_arg(m, commands[i].arg)))
			return false;
	return m->check || say_status(&u);
}

static const struct mod_arg args[] = {
        {"state", MT_STR, .choices = "disabled|enabled|reloaded|reset", .doc = "Whether the firewall is on."},
        {"default", MT_STR, .aliases = "policy", .choices = "allow|deny|reject",
         .doc = "What becomes of what no rule is about."},
        {"logging", MT_STR, .choices = "on|off|low|medium|high|full", .doc = "How much is logged."},
        {"direction", MT_STR, .choices = "in|incoming|out|outgoing|routed", .doc = "Of a rule or a default."},
        {"delete", MT_BOOL, .dflt = "false", .doc = "The rule is to go."},
        {"route", MT_BOOL, .dflt = "false", .doc = "The rule is about packets for others."},
        {"insert", MT_INT, .doc = "The rule's number."},
        {"insert_relative_to", MT_STR, .dflt = "zero",
         .choices = "zero|first-ipv4|last-ipv4|first-ipv6|last-ipv6", .doc = "What that number counts from."},
        {"rule", MT_STR, .choices = "allow|deny|limit|reject", .doc = "The rule."},
        {"interface", MT_STR, .aliases = "if", .doc = "The interface, for direction."},
        {"interface_in", MT_STR, .aliases = "if_in", .doc = "The interface a packet comes by."},
        {"interface_out", MT_STR, .aliases = "if_out", .doc = "The interface a packet leaves by."},
        {"log", MT_BOOL, .dflt = "false", .doc = "Log new connections of the rule."},
        {"from_ip", MT_STR, .dflt = "any", .aliases = "from|src", .doc = "The sender."},
        {"from_port", MT_STR, .doc = "The sender's port."},
        {"to_ip", MT_STR, .dflt = "any", .aliases = "dest|to", .doc = "The receiver."},
        {"to_port", MT_STR, .aliases = "port", .doc = "The receiver's port."},
        {"proto", MT_STR, .aliases = "protocol", .choices = "any|tcp|udp|ipv6|esp|ah|gre|igmp|vrrp",
         .doc = "The protocol."},
        {"name", MT_STR, .aliases = "app", .doc = "A profile of /etc/ufw/applications.d."},
        {"comment", MT_STR, .doc = "A comment on the rule."},
        {NULL},
};

const struct module module_row_ufw = {
        .name = "ufw",
        .from = "community.general",
        .doc = "Keeps rules and policies of the uncomplicated firewall.",
        .args = args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "name|proto|logging;direction|interface_in;direction|interface_out",
        .required_one_of = "state|default|rule|logging",
        .run = run,
};
