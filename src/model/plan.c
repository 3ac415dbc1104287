#include "model/plan.h"

#include <stdio.h>

/* Both tags of a machine of ours; tags are stored lower-cased. */
#define TAG "nante"
#define MARK "nante:"
#define KEY_MARK "nante-host-key:"

struct planner {
	struct arena *a;
	const struct model *m;
	const struct guest *guests;
	size_t n;
	const struct plan_opts *o;
	struct errs *errs;
};

static const char *const action_names[] = {
        [PLAN_UNCHANGED] = "unchanged", [PLAN_CREATE] = "create",   [PLAN_COMPLETE] = "complete",
        [PLAN_ADOPT] = "adopt",         [PLAN_UPDATE] = "update",   [PLAN_START] = "start",
        [PLAN_LEAVE] = "leave",         [PLAN_RESTART] = "restart",
};

const char *plan_action_name(enum plan_action a)
{
	return action_names[a];
}

/* ---- property strings ---- */

/* Cuts one "key=value" off; a bare value has an empty key. False at the end. */
static bool next_prop(struct str *rest, struct str *ret_key, struct str *ret_value)
{
	if (!rest->p)
		return false;
	struct str item = str_split(rest, ',');
	const char *eq = item.n ? memchr(item.p, '=', item.n) : NULL;

	*ret_key = eq ? str_n(item.p, (size_t)(eq - item.p)) : (struct str){NULL, 0};
	*ret_value = eq ? str_n(eq + 1, item.n - (size_t)(eq - item.p) - 1) : item;
	return true;
}

struct str prop_get(struct str props, const char *key)
{
	struct str k, v;

	while (next_prop(&props, &k, &v)) {
		if (str_eqc(k, key))
			return v;
	}
	return (struct str){NULL, 0};
}

const char *prop_set(struct arena *a, struct str props, const char *key, const char *value)
{
	struct buf b = {0};
	struct str k, v, rest = props.n ? props : (struct str){NULL, 0};
	bool done = value == NULL;

	while (next_prop(&rest, &k, &v)) {
		bool ours = str_eqc(k, key);

		if (ours && !value)
			continue;
		if (b.n)
			buf_addc(&b, ',');
		if (ours)
			buf_printf(&b, "%s=%s", key, value);
		else
			buf_printf(&b, "%.*s%s%.*s", STR_FMT(k), k.n ? "=" : "", STR_FMT(v));
		done |= ours;
	}
	if (!done)
		buf_printf(&b, "%s%s=%s", b.n ? "," : "", key, value);
	const char *z = buf_take(&b, a).p;

	buf_free(&b);
	return z;
}

/* ---- a guest's configuration ---- */

/* Numbers come as numbers or text, by version. */
static const char *setting(struct arena *a, const struct val *config, const char *key)
{
	const struct val *v = config ? val_get(config, key) : NULL;

	return v && !val_is_null(v) ? val_text(v, a).p : "";
}

static int64_t number_setting(struct arena *a, const struct val *config, const char *key, int64_t dflt)
{
	struct str s = str_c(setting(a, config, key)), k, v;
	int64_t n = dflt, read;

	/* "4096" or "current=4096": memory is a property string since 8.1 */
	while (s.n && next_prop(&s, &k, &v)) {
		if ((k.n == 0 || str_eqc(k, "current")) && str_int(v, &read) && read >= 0 &&
		    read <= INT32_MAX)
			n = read;
	}
	return n;
}

static int64_t size_gb(struct str s)
{
	int64_t n;

	if (s.n < 2 || !str_int(str_n(s.p, s.n - 1), &n) || n < 0 || n > INT64_MAX / 1024)
		return 0;
	switch (s.p[s.n - 1]) {
	case 'T': return n * 1024;
	case 'G': return n;
	case 'M': return n / 1024;
	default: return 0;
	}
}

const char *plan_boot_disk(struct arena *a, const struct val *config, int64_t *ret_gb)
{
	static const char *const usual[] = {"scsi0", "virtio0", "sata0", "ide0", "rootfs"};
	struct str order = prop_get(str_c(setting(a, config, "boot")), "order");
	const char *disk = NULL;

	while (order.p && !disk) {
		const char *dev = str_dup(a, str_split(&order, ';')).p;

		if (strncmp(dev, "net", 3) != 0 && !strstr(setting(a, config, dev), "media=cdrom") &&
		    *setting(a, config, dev))
			disk = dev;
	}
	for (size_t i = 0; !disk && i < sizeof(usual) / sizeof(*usual); i++) {
		if (*setting(a, config, usual[i]))
			disk = usual[i];
	}
	*ret_gb = disk ? size_gb(prop_get(str_c(setting(a, config, disk)), "size")) : 0;
	return disk;
}

/* The line of a description that begins with WORD. */
static struct str line_of(const char *description, const char *word)
{
	struct str rest = str_c(description);

	while (rest.p) {
		struct str line = str_trim(str_split(&rest, '\n'));

		if (str_starts(line, word))
			return line;
	}
	return (struct str){NULL, 0};
}

/* The one that says whose it is. */
static struct str mark_of(const char *description)
{
	return line_of(description, MARK);
}

static struct str mark_field(struct str mark, const char *key)
{
	while (mark.p) {
		struct str word = str_split(&mark, ' ');
		size_t n = strlen(key);

		if (str_starts(word, key) && word.n > n && word.p[n] == '=')
			return str_n(word.p + n + 1, word.n - n - 1);
	}
	return (struct str){NULL, 0};
}

static const char *mark_text(struct arena *a, const struct model *m, const char *key, bool making)
{
	return arena_printf(a, MARK " app=%s environment=%s machine=%s%s", m->app, m->environment,
	                    *key ? key : "-", making ? " state=making" : "");
}

const char *plan_description(struct arena *a, const struct model *m, const struct machine *want, bool making)
{
	return arena_printf(
	        a, "Managed by nante: the workflow's inputs decide; changes by hand may be undone.\n\n%s\n",
	        mark_text(a, m, want->key, making));
}

/* DESCRIPTION with the line MARK in the place of the one that begins with WORD, everything else kept. */
static const char *marked(struct arena *a, const char *description, const char *word, const char *mark)
{
	struct str rest = str_c(description);
	struct buf b = {0};
	bool done = false;

	while (rest.p) {
		struct str line = str_split(&rest, '\n');

		if (str_starts(str_trim(line), word)) {
			buf_adds(&b, mark);
			done = true;
		} else {
			buf_addstr(&b, line);
		}
		if (rest.p)
			buf_addc(&b, '\n');
	}
	if (!done)
		buf_printf(&b, "%s%s\n", b.n ? "\n\n" : "", mark);
	const char *z = buf_take(&b, a).p;

	buf_free(&b);
	return z;
}

const char *plan_host_key(struct arena *a, const char *description)
{
	struct str line = line_of(description, KEY_MARK);
	size_t n = strlen(KEY_MARK);

	return line.n > n ? str_dup(a, str_trim(str_n(line.p + n, line.n - n))).p : "";
}

const char *plan_with_host_key(struct arena *a, const char *description, const char *key)
{
	return marked(a, description, KEY_MARK, arena_printf(a, KEY_MARK " %s", key));
}

static bool has_tag(const char *tags, const char *tag)
{
	struct str rest = str_c(tags);
	size_t n = strlen(tag);

	for (size_t i = 0; i < rest.n;) {
		size_t end = i;

		while (end < rest.n && !strchr(";, ", rest.p[end]))
			end++;
		if (end - i == n && strncasecmp(rest.p + i, tag, n) == 0)
			return true;
		i = end + 1;
	}
	return false;
}

static const char *with_tags(struct arena *a, const char *tags, const char *owner)
{
	const char *z = tags;

	if (!has_tag(z, TAG))
		z = arena_printf(a, "%s%s" TAG, z, *z ? ";" : "");
	if (!has_tag(z, owner))
		z = arena_printf(a, "%s;%s", z, owner);
	return z;
}

/* ---- what a machine should have ---- */

/* A container's address is part of its card; a VM's is cloud-init's. */
static const char *wanted_net(struct arena *a, const struct model *m, const struct machine *want,
                              const char *have)
{
	bool lxc = m->type == MACHINE_LXC;
	const char *z = *have ? have : lxc ? "name=eth0,type=veth" : "model=virtio";

	z = prop_set(a, str_c(z), "bridge", m->net.bridge);
	z = prop_set(a, str_c(z), "tag", m->net.vlan ? arena_printf(a, "%d", m->net.vlan) : NULL);
	if (!lxc)
		return z;
	z = prop_set(a, str_c(z), "ip", arena_printf(a, "%s/%u", want->address, m->net.prefix));
	return *m->net.gateway ? prop_set(a, str_c(z), "gw", m->net.gateway) : z;
}

static const char *wanted_ipconfig(struct arena *a, const struct model *m, const struct machine *want)
{
	return arena_printf(a, "ip=%s/%u%s%s", want->address, m->net.prefix, *m->net.gateway ? ",gw=" : "",
	                    m->net.gateway);
}

static void put(struct arena *a, struct val *map, const char *key, const char *value)
{
	val_set(map, key, val_strz(a, value));
}

/* Keys go percent-encoded into the setting; the request then encodes them once more. */
static const char *encoded_keys(struct arena *a, const char *keys)
{
	struct buf b = {0};

	buf_percent(&b, str_trim(str_c(keys)));
	const char *z = buf_take(&b, a).p;

	buf_free(&b);
	return z;
}

static void put_cloud_init(struct arena *a, struct val *c, const struct model *m, const struct machine *want,
                           const struct plan_opts *o)
{
	put(a, c, "ipconfig0", wanted_ipconfig(a, m, want));
	put(a, c, "ciuser", o->ssh_user);
	put(a, c, "sshkeys", encoded_keys(a, o->public_keys));
	/* Upgrading every package at first boot, the default, would hold apt's lock for minutes. */
	put(a, c, "ciupgrade", "0");
	put(a, c, "agent", "enabled=1");
}

struct val *plan_config(struct arena *a, const struct model *m, const struct machine *want,
                        const struct plan_opts *o, const struct val *have)
{
	struct val *c = val_map(a);

	put(a, c, "cores", arena_printf(a, "%d", want->cores));
	put(a, c, "memory", arena_printf(a, "%lld", (long long)want->memory_mb));
	put(a, c, "net0", wanted_net(a, m, want, setting(a, have, "net0")));
	if (*m->net.nameserver)
		put(a, c, "nameserver", m->net.nameserver);
	if (*m->net.search_domain)
		put(a, c, "searchdomain", m->net.search_domain);
	if (m->type == MACHINE_VM)
		put_cloud_init(a, c, m, want, o);
	put(a, c, "onboot", "1");
	put(a, c, "tags", with_tags(a, setting(a, have, "tags"), m->owner));
	put(a, c, "description", plan_description(a, m, want, false));
	return c;
}

/* ---- comparing ---- */

static void change(struct planner *p, struct plan_item *it, const char *what, const char *from,
                   const char *to, bool at_restart)
{
	struct plan_change *v = arena_array(p->a, it->n + 1, sizeof(*v));

	if (it->n)
		memcpy(v, it->changes, it->n * sizeof(*v));
	v[it->n++] = (struct plan_change){what, from, to, at_restart};
	it->changes = v;
}

/* A setting to send, and to show. A container takes all of them as it runs. */
static void differ(struct planner *p, struct plan_item *it, const char *what, const char *from,
                   const char *to, bool at_restart)
{
	bool running = it->have->type == MACHINE_VM && strcmp(it->have->status, "running") == 0;

	change(p, it, what, *from ? from : "(unset)", to, at_restart && running);
	put(p->a, it->config, what, to);
}

static void compare_numbers(struct planner *p, struct plan_item *it)
{
	struct arena *a = p->a;
	const struct val *c = it->have->config;
	/* A container without the setting has all of its node. */
	int64_t all = it->have->type == MACHINE_VM ? 1 : 0;
	int64_t cores = number_setting(a, c, "cores", all) * number_setting(a, c, "sockets", 1);
	int64_t memory = number_setting(a, c, "memory", 512);

	if (cores != it->want->cores) {
		differ(p, it, "cores", arena_printf(a, "%lld", (long long)cores),
		       arena_printf(a, "%d", it->want->cores), true);
		if (number_setting(a, c, "sockets", 1) != 1)
			put(a, it->config, "sockets", "1");
	}
	if (memory != it->want->memory_mb)
		differ(p, it, "memory", arena_printf(a, "%lld", (long long)memory),
		       arena_printf(a, "%lld", (long long)it->want->memory_mb), true);
}

static void compare_net(struct planner *p, struct plan_item *it)
{
	const char *have = setting(p->a, it->have->config, "net0");
	const char *want = wanted_net(p->a, p->m, it->want, have);

	if (strcmp(have, want) != 0)
		differ(p, it, "net0", have, want, true);
}

static bool agent_enabled(struct str s)
{
	struct str k, v;

	while (s.n && next_prop(&s, &k, &v)) {
		if (k.n == 0 || str_eqc(k, "enabled"))
			return str_eqc(v, "1");
	}
	return false;
}

static void compare_marks(struct planner *p, struct plan_item *it)
{
	struct arena *a = p->a;
	const struct val *c = it->have->config;
	const char *tags = setting(a, c, "tags"), *want = with_tags(a, tags, p->m->owner);
	const char *agent = setting(a, c, "agent");
	const char *about = setting(a, c, "description");
	const char *mark = mark_text(a, p->m, it->want->key, false);

	if (strcmp(tags, want) != 0)
		differ(p, it, "tags", tags, want, false);
	if (it->have->type == MACHINE_VM && !agent_enabled(str_c(agent)))
		differ(p, it, "agent", agent,
		       *agent ? prop_set(a, str_c(agent), "enabled", "1") : "enabled=1", true);
	if (!str_eqc(mark_of(about), mark)) {
		change(p, it, "description", "(no mark)", mark, false);
		put(a, it->config, "description", marked(a, about, MARK, mark));
	}
}

static bool has_change(const struct plan_item *it, const char *what)
{
	for (size_t i = 0; i < it->n; i++) {
		if (strcmp(it->changes[i].what, what) == 0)
			return true;
	}
	return false;
}

bool plan_waits(struct arena *a, const struct val *pending, size_t *at, struct plan_change *ret)
{
	/* Settings of ours; others are somebody else's, and so is the moment for them. */
	static const char *const ours[] = {"cores", "sockets", "memory", "net0", "agent"};

	while (pending && val_is_list(pending) && *at < val_len(pending)) {
		const struct val *row = val_at(pending, (*at)++);
		const struct val *to = val_is_map(row) ? val_get(row, "pending") : NULL;
		const char *from = to ? setting(a, row, "value") : "";

		for (size_t i = 0; to && i < sizeof(ours) / sizeof(*ours); i++) {
			const char *text = val_text(to, a).p;

			if (!str_eqc(val_map_str(row, "key", ""), ours[i]) || strcmp(from, text) == 0)
				continue;
			*ret = (struct plan_change){ours[i], *from ? from : "(unset)", text, true};
			return true;
		}
	}
	return false;
}

/* What an earlier run changed and no restart has brought into effect yet. */
static void compare_pending(struct planner *p, struct plan_item *it)
{
	struct plan_change c;
	size_t at = 0;

	while (plan_waits(p->a, it->have->pending, &at, &c)) {
		if (has_change(it, c.what))
			continue;
		if (p->o->may_restart)
			change(p, it, c.what, c.from, c.to, true);
		else
			it->note = arena_printf(p->a, "%s: %s -> %s waits for the machine's next restart",
			                        c.what, c.from, c.to);
	}
}

static bool needs_restart(const struct plan_item *it)
{
	for (size_t i = 0; i < it->n; i++) {
		if (it->changes[i].at_restart)
			return true;
	}
	return false;
}

static void compare_disk(struct planner *p, struct plan_item *it)
{
	int64_t gb;
	const char *disk = plan_boot_disk(p->a, it->have->config, &gb);

	if (!disk || gb == 0 || gb == it->want->disk_gb)
		return;
	if (gb > it->want->disk_gb) {
		it->note =
		        arena_printf(p->a, "disk %s stays %lld GB: disks are never shrunk (wanted %lld GB)",
		                     disk, (long long)gb, (long long)it->want->disk_gb);
		return;
	}
	it->resize_disk = disk;
	change(p, it, disk, arena_printf(p->a, "%lldG", (long long)gb),
	       arena_printf(p->a, "%lldG", (long long)it->want->disk_gb), false);
}

const char *plan_address(struct arena *a, const struct guest *g)
{
	const char *where = g->type == MACHINE_VM ? "ipconfig0" : "net0";
	struct str cidr = prop_get(str_c(setting(a, g->config, where)), "ip");

	return str_dup(a, str_split(&cidr, '/')).p;
}

static bool refuse(struct planner *p, const struct machine *want, const struct guest *g, const char *why,
                   const char *hint)
{
	struct err *e = errs_add(p->errs);

	err_set(e, ERR_USER, want ? want->at : ORIGIN_NONE, "guest %lld (%s) on node %s %s",
	        (long long)g->vmid, g->name, g->node, why);
	return err_hint(e, "%s", hint);
}

/* Moving a machine that runs a database to another address is not a setting to change in passing. */
static bool check_address(struct planner *p, struct plan_item *it)
{
	const char *ip = plan_address(p->a, it->have);
	struct err *e;

	/* Only the name would say that it is this one; a stranger's machine must not be changed for that. */
	if (!*ip && !mark_of(setting(p->a, it->have->config, "description")).p)
		return refuse(
		        p, it->want, it->have,
		        "has the name of this machine, but neither our mark nor a set address",
		        arena_printf(p->a,
		                     "rename it, or choose another machine name; if it is to be taken over, "
		                     "set its %s to %s/%u",
		                     it->have->type == MACHINE_VM ? "IP Config (Cloud-Init)"
		                                                  : "network's IPv4",
		                     it->want->address, p->m->net.prefix));
	if (!*ip || strcmp(ip, it->want->address) == 0)
		return true;
	e = errs_add(p->errs);
	err_set(e, ERR_USER, it->want->at, "machine %s has the address %s, not %s", it->want->name, ip,
	        it->want->address);
	return err_hint(
	        e,
	        "the address of a machine is not changed; give it its old one, or add a machine of another "
	        "name");
}

static bool check_guest(struct planner *p, const struct machine *want, const struct guest *g, struct str mark)
{
	if (g->is_template)
		return refuse(p, want, g, "is a template", "rename it, or choose another machine name");
	if (g->type != p->m->type)
		return refuse(p, want, g, "is of the other type (VM or container)",
		              "check the input resource_type");
	if (*g->lock)
		return refuse(p, want, g, arena_printf(p->a, "is locked (%s)", g->lock),
		              g->type == MACHINE_VM ? "wait for what holds it; if nothing does, unlock it on "
		                                      "its node: qm unlock VMID"
		                                    : "wait for what holds it; if nothing does, unlock it on "
		                                      "its node: pct unlock "
		                                      "VMID");
	if (mark.p && (!str_eqc(mark_field(mark, "app"), p->m->app) ||
	               !str_eqc(mark_field(mark, "environment"), p->m->environment)))
		return refuse(p, want, g, arena_printf(p->a, "belongs to another app (%.*s)", STR_FMT(mark)),
		              "app_name, environment and machine names together must be unique");
	return true;
}

static const struct guest *find_guest(struct planner *p, const struct machine *want)
{
	const struct guest *found = NULL;

	for (size_t i = 0; i < p->n; i++) {
		const struct guest *g = &p->guests[i];

		if (!g->name || strcasecmp(g->name, want->name) != 0)
			continue;
		if (found) {
			refuse(p, want, g,
			       arena_printf(p->a, "has the same name as guest %lld", (long long)found->vmid),
			       "two guests of one name: remove or rename the one that is not used");
			return found;
		}
		found = g;
	}
	return found;
}

static void check_clash(struct planner *p, const struct machine *want)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct guest *g = &p->guests[i];
		struct str tag = prop_get(str_c(setting(p->a, g->config, "net0")), "tag");
		int64_t vlan = 0;

		str_int(tag, &vlan);
		if (strcmp(plan_address(p->a, g), want->address) == 0 && vlan == p->m->net.vlan &&
		    strcasecmp(g->name ? g->name : "", want->name) != 0)
			refuse(p, want, g,
			       arena_printf(p->a, "holds the address %s wanted for %s", want->address,
			                    want->name),
			       "give the machine another ip_address");
	}
}

static void plan_one(struct planner *p, const struct machine *want, struct plan_item *it)
{
	const struct guest *g = find_guest(p, want);

	*it = (struct plan_item){.want = want, .have = g, .action = PLAN_CREATE, .config = val_map(p->a)};
	if (!g) {
		check_clash(p, want);
		return;
	}
	struct str mark = mark_of(setting(p->a, g->config, "description"));

	if (!check_guest(p, want, g, mark))
		return;
	if (str_eqc(mark_field(mark, "state"), "making")) {
		it->action = PLAN_COMPLETE;
		it->config = plan_config(p->a, p->m, want, p->o, g->config);
		return;
	}
	if (!check_address(p, it))
		return;
	compare_numbers(p, it);
	compare_net(p, it);
	compare_disk(p, it);
	compare_marks(p, it);
	compare_pending(p, it);
	it->restart = p->o->may_restart && needs_restart(it);
	if (!mark.p)
		it->action = PLAN_ADOPT;
	else if (it->n)
		it->action = PLAN_UPDATE;
	else
		it->action = strcmp(g->status, "stopped") == 0 ? PLAN_START : PLAN_UNCHANGED;
}

static bool is_wanted(const struct model *m, const struct guest *g)
{
	for (size_t i = 0; i < m->n; i++) {
		if (strcasecmp(m->machines[i].name, g->name) == 0)
			return true;
	}
	return false;
}

static bool leaves(struct planner *p, const struct guest *g)
{
	struct str mark = mark_of(setting(p->a, g->config, "description"));

	return g->name && mark.p && str_eqc(mark_field(mark, "app"), p->m->app) &&
	       str_eqc(mark_field(mark, "environment"), p->m->environment) && !is_wanted(p->m, g);
}

bool plan_make(struct arena *a, const struct model *m, const struct guest *guests, size_t n,
               const struct plan_opts *o, struct plan *ret, struct errs *errs)
{
	struct planner p = {a, m, guests, n, o, errs};
	size_t before = errs->n;

	ret->n = m->n;
	ret->items = arena_array(a, m->n + n, sizeof(*ret->items));
	for (size_t i = 0; i < m->n; i++)
		plan_one(&p, &m->machines[i], &ret->items[i]);
	for (size_t i = 0; i < n; i++) {
		if (leaves(&p, &guests[i]))
			ret->items[ret->n++] = (struct plan_item){
			        .action = PLAN_LEAVE, .have = &guests[i], .config = val_map(a)};
	}
	return errs->n == before;
}

size_t plan_writes(const struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->items[i].action != PLAN_UNCHANGED && p->items[i].action != PLAN_LEAVE;
	return n;
}
