#include "model/machine.h"

#include "base/json.h"
#include "base/suggest.h"

#define MACHINES_MAX 250
#define LABEL_MAX 63 /* a DNS label; also what a host name may be */

struct reader {
	struct arena *a;
	struct sources *ss;
	const struct model_inputs *in;
	struct model *m;
	struct errs *errs;
	struct machine dflt; /* sizes every machine inherits */
};

/* Members of an instance. Numbers have a range; the address is text. */
struct field {
	const char *name;
	int64_t min, max;
};

static const struct field fields[] = {
        {"ip_address", 0, 0},
        {"cpu_cores", 1, 512},
        {"ram_mb", 128, 8 << 20},
        {"disk_gb", 1, 65536},
};

enum { F_ADDRESS, F_CORES, F_RAM, F_DISK, FIELDS };

static struct str input(const char *text)
{
	return str_trim(str_c(text));
}

bool ipv4_parse(struct str s, uint32_t *ret)
{
	uint32_t ip = 0;

	for (int part = 0; part < 4; part++) {
		int64_t v;
		struct str p = str_split(&s, '.');

		if (p.n == 0 || p.n > 3 || (p.n > 1 && p.p[0] == '0') || p.p[0] == '+' || p.p[0] == '-' ||
		    !str_int(p, &v) || v > 255)
			return false;
		ip = ip << 8 | (uint32_t)v;
		if ((part == 3) != (s.p == NULL))
			return false;
	}
	*ret = ip;
	return true;
}

static const char *ipv4_text(struct arena *a, uint32_t ip)
{
	return arena_printf(a, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

/* Letters, digits and inner hyphens: what Proxmox VE takes as a guest's name (dns-name; no underscore). */
static bool is_label(struct str s)
{
	if (s.n == 0 || s.n > LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return true;
}

static const char *read_label(struct reader *r, const char *name, const char *text)
{
	struct str s = input(text);

	if (s.n == 0) {
		err_set(errs_add(r->errs), ERR_USER, ORIGIN_NONE, "input %s is empty", name);
	} else if (!is_label(s)) {
		struct err *e = errs_add(r->errs);

		err_set(e, ERR_USER, ORIGIN_NONE, "input %s: '%.*s' is no host name part", name, STR_FMT(s));
		err_hint(e, "use letters, digits and hyphens (no underscore), at most %d", LABEL_MAX);
	}
	return str_dup(r->a, s).p;
}

/* "40", "40G", "40GB" or 40, within the field's range. */
static bool read_size(struct reader *r, const struct field *f, const struct val *v, struct str text,
                      struct origin at, int64_t *ret)
{
	int64_t n = 0;
	bool ok = false;

	if (v && val_kind(v) == VAL_INT) {
		n = val_get_int(v);
		ok = true;
	} else if (text.p) {
		struct str t = str_trim(text);

		if (f == &fields[F_DISK] && (str_ends(t, "GB") || str_ends(t, "gb")))
			t.n -= 2;
		else if (f == &fields[F_DISK] && (str_ends(t, "G") || str_ends(t, "g")))
			t.n -= 1;
		ok = str_int(t, &n);
	}
	if (!ok || n < f->min || n > f->max) {
		struct err *e = errs_add(r->errs);

		err_set(e, ERR_USER, at, "%s: %s%.*s%s is no whole number from %lld to %lld", f->name,
		        text.p ? "'" : "", STR_FMT(text), text.p ? "'" : "this", (long long)f->min,
		        (long long)f->max);
		if (f == &fields[F_DISK])
			err_hint(e, "write gigabytes: \"40\", \"40G\" or 40");
		return false;
	}
	*ret = n;
	return true;
}

static void read_input_size(struct reader *r, const struct field *f, const char *text, int64_t *ret)
{
	struct str s = input(text);

	read_size(r, f, NULL, s.p ? s : STR(""), ORIGIN_NONE, ret);
}

static uint32_t mask(unsigned prefix)
{
	return prefix ? ~(uint32_t)0 << (32 - prefix) : 0;
}

static bool read_subnet(struct reader *r, struct network *net)
{
	struct str s = input(r->in->subnet), rest = s, ip = str_split(&rest, '/');
	int64_t bits = 24;

	if (s.n == 0)
		net->net = 192u << 24 | 168u << 16 | (uint32_t)net->vlan << 8;
	else if (!ipv4_parse(ip, &net->net) || !rest.p || !str_int(rest, &bits) || bits < 8 || bits > 30)
		return err_set(errs_add(r->errs), ERR_USER, ORIGIN_NONE,
		               "input subnet: '%.*s' is no IPv4 network (192.168.10.0/24)", STR_FMT(s));
	net->prefix = (unsigned)bits;
	net->net &= mask(net->prefix);
	net->subnet = arena_printf(r->a, "%s/%u", ipv4_text(r->a, net->net), net->prefix);
	return true;
}

/* Addresses, IPv4 or IPv6, separated by commas or blanks. */
static const char *read_nameserver(struct reader *r)
{
	const char *all = str_dup(r->a, input(r->in->nameserver)).p;
	uint32_t ip;

	for (const char *p = all ? all : ""; *p;) {
		size_t n = strcspn(p, ", \t\n");
		struct str one = str_n(p, n);

		p += n + (p[n] != '\0');
		if (!n || ipv4_parse(one, &ip) || memchr(one.p, ':', n))
			continue;
		err_set(errs_add(r->errs), ERR_USER, ORIGIN_NONE, "input nameserver: '%.*s' is no address",
		        STR_FMT(one));
	}
	return all;
}

static bool read_gateway(struct reader *r, struct network *net)
{
	struct str s = input(r->in->gateway);
	uint32_t ip = net->net | 1;

	if (s.n && !ipv4_parse(s, &ip))
		return err_set(errs_add(r->errs), ERR_USER, ORIGIN_NONE,
		               "input gateway: '%.*s' is no IPv4 address", STR_FMT(s));
	if ((ip & mask(net->prefix)) != net->net)
		return err_set(errs_add(r->errs), ERR_USER, ORIGIN_NONE,
		               "input gateway: %.*s is not in the network %s", STR_FMT(s), net->subnet);
	net->gateway = ipv4_text(r->a, ip);
	return true;
}

static bool read_network(struct reader *r)
{
	struct network *net = &r->m->net;
	struct str vlan = input(r->in->vlan_tag);
	int64_t tag = 0;

	net->bridge = str_dup(r->a, input(r->in->bridge)).p;
	net->nameserver = read_nameserver(r);
	net->search_domain = str_dup(r->a, input(r->in->search_domain)).p;
	if (vlan.n && (!str_int(vlan, &tag) || tag < 1 || tag > 4094))
		return err_set(errs_add(r->errs), ERR_USER, ORIGIN_NONE,
		               "input vlan_tag: '%.*s' is no VLAN (1 to 4094)", STR_FMT(vlan));
	net->vlan = (int)tag;
	if (input(r->in->subnet).n == 0 && (tag < 1 || tag > 255)) {
		struct err *e = errs_add(r->errs);

		err_set(e, ERR_USER, ORIGIN_NONE, "the machines' network is not known");
		return err_hint(e, "give vlan_tag 1 to 255 (network 192.168.TAG.0/24), or the input subnet");
	}
	return read_subnet(r, net) && read_gateway(r, net);
}

static bool read_address(struct reader *r, struct str s, struct origin at, const char **ret)
{
	const struct network *net = &r->m->net;
	struct str shown = str_n(s.p, s.n < 64 ? s.n : 64);
	uint32_t ip, gw, host;

	if (!ipv4_parse(s, &ip)) {
		struct err *e = errs_add(r->errs);

		err_set(e, ERR_USER, at, "ip_address: '%.*s%s' is no IPv4 address", STR_FMT(shown),
		        shown.n < s.n ? "..." : "");
		return err_hint(e, "%s",
		                memchr(s.p, '/', s.n)
		                        ? "without the network's bits: they follow from vlan_tag or subnet"
		                : memchr(s.p, ':', s.n) ? "machines have IPv4 addresses"
		                                        : "write four numbers from 0 to 255: 192.168.10.51");
	}
	*ret = ipv4_text(r->a, ip);
	if (!net->gateway || !ipv4_parse(str_c(net->gateway), &gw))
		return true; /* the network's own error was named already */
	host = ip & ~mask(net->prefix);
	if ((ip & mask(net->prefix)) != net->net) {
		struct err *e = errs_add(r->errs);

		err_set(e, ERR_USER, at, "ip_address: %s is not in the network %s", *ret, net->subnet);
		return err_hint(e,
		                "the network follows from vlan_tag (192.168.TAG.0/24) or the input subnet");
	}
	if (ip == gw)
		return err_set(errs_add(r->errs), ERR_USER, at, "ip_address: %s is the gateway", *ret);
	if (host == 0 || host == ~mask(net->prefix))
		return err_set(errs_add(r->errs), ERR_USER, at, "ip_address: %s is the network's own address",
		               *ret);
	return true;
}

static const char *machine_name(struct reader *r, const char *key)
{
	return arena_printf(r->a, "%s-%s%s%s", r->m->app, r->m->environment, *key ? "-" : "", key);
}

static void check_name(struct reader *r, struct str key, struct origin at, const char *name)
{
	if (!is_label(key)) {
		struct err *e = errs_add(r->errs);

		err_set(e, ERR_USER, at, "machine name '%.*s' is no host name part", STR_FMT(key));
		err_hint(e, "use letters, digits and hyphens; underscores are not allowed in host names");
	} else if (strlen(name) > LABEL_MAX) {
		err_set(errs_add(r->errs), ERR_USER, at, "the host name %s is longer than %d characters",
		        name, LABEL_MAX);
	}
}

static void unknown_field(struct reader *r, const struct val *key)
{
	struct str name = val_get_str(key);
	struct suggest s = {.name = name};
	struct err *e = errs_add(r->errs);

	for (size_t i = 0; i < FIELDS; i++)
		suggest_offer(&s, fields[i].name);
	err_set(e, ERR_USER, val_origin(key), "unknown setting '%.*s' of a machine", STR_FMT(name));
	if (s.best)
		err_hint(e, "did you mean %s?", s.best);
	else
		err_hint(e, "known are ip_address, cpu_cores, ram_mb and disk_gb");
}

static const struct field *find_field(struct str name)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (str_eqc(name, fields[i].name))
			return &fields[i];
	}
	return NULL;
}

static void read_field(struct reader *r, struct machine *m, const struct field *f, const struct val *v)
{
	struct str text = val_is_str(v) ? val_get_str(v) : (struct str){NULL, 0};
	int64_t n = 0;

	if (f == &fields[F_ADDRESS]) {
		if (!text.p)
			err_set(errs_add(r->errs), ERR_USER, val_origin(v),
			        "ip_address must be text: \"192.168.10.51\"");
		else
			read_address(r, str_trim(text), val_origin(v), &m->address);
		return;
	}
	if (!read_size(r, f, v, text, val_origin(v), &n))
		return;
	if (f == &fields[F_CORES])
		m->cores = (int)n;
	else if (f == &fields[F_RAM])
		m->memory_mb = n;
	else
		m->disk_gb = n;
}

static void read_machine(struct reader *r, const struct val *key, const struct val *v, struct machine *m)
{
	bool addressed = false;

	*m = r->dflt;
	m->at = val_origin(key);
	m->key = val_get_strz(key);
	m->name = machine_name(r, m->key);
	check_name(r, val_get_str(key), m->at, m->name);
	if (!val_is_map(v)) {
		err_set(errs_add(r->errs), ERR_USER, val_origin(v),
		        "machine '%s' must be an object: {\"ip_address\": ...}", m->key);
		return;
	}
	MAP_EACH (i, v) {
		const struct field *f = find_field(val_get_str(val_key_at(v, i)));

		addressed |= f == &fields[F_ADDRESS];
		if (f)
			read_field(r, m, f, val_value_at(v, i));
		else
			unknown_field(r, val_key_at(v, i));
	}
	if (!addressed)
		err_set(errs_add(r->errs), ERR_USER, m->at, "machine '%s' has no ip_address", m->key);
}

/* The same address or name twice: named where it stands the second time. */
static void check_doubles(struct reader *r)
{
	const struct model *m = r->m;

	for (size_t i = 0; i < m->n; i++) {
		const struct machine *x = &m->machines[i];

		for (size_t j = 0; j < i; j++) {
			const struct machine *y = &m->machines[j];

			if (x->address && y->address && strcmp(x->address, y->address) == 0)
				err_set(errs_add(r->errs), ERR_USER, x->at,
				        "machines '%s' and '%s' have the same ip_address %s", y->key, x->key,
				        x->address);
			if (strcasecmp(x->name, y->name) == 0)
				err_set(errs_add(r->errs), ERR_USER, x->at,
				        "machines '%s' and '%s' differ only in letter case: host names do "
				        "not",
				        y->key, x->key);
		}
	}
}

static bool read_instances(struct reader *r, struct str text)
{
	uint32_t src = sources_add(r->ss, "instances", text);
	struct val *v;

	if (!json_parse(r->a, text, src, &v, errs_add(r->errs))) {
		struct err *e = &r->errs->v[r->errs->n - 1];

		return err_hint(
		        e, "the input instances is JSON: {\"node1\": {\"ip_address\": \"192.168.10.51\"}}");
	}
	errs_ok(r->errs);
	if (!val_is_map(v))
		return err_set(errs_add(r->errs), ERR_USER, val_origin(v),
		               "instances must be an object of machines by name");
	if (val_len(v) > MACHINES_MAX)
		return err_set(errs_add(r->errs), ERR_USER, val_origin(v), "more than %d machines",
		               MACHINES_MAX);
	r->m->n = val_len(v);
	r->m->machines = arena_array(r->a, r->m->n, sizeof(struct machine));
	MAP_EACH (i, v)
		read_machine(r, val_key_at(v, i), val_value_at(v, i), &r->m->machines[i]);
	check_doubles(r);
	return true;
}

static void read_single(struct reader *r, struct str ip)
{
	struct machine *m = ARENA_NEW(r->a, struct machine);

	*m = r->dflt;
	m->key = "";
	m->name = machine_name(r, "");
	read_address(r, ip, ORIGIN_NONE, &m->address);
	r->m->machines = m;
	r->m->n = 1;
}

/* "{}" is what a caller's unused input often holds. */
static bool no_instances(struct str s)
{
	return s.n == 0 || (s.n >= 2 && s.p[0] == '{' && str_trim(str_n(s.p + 1, s.n - 1)).n == 1);
}

static void read_machines(struct reader *r)
{
	struct str instances = str_c(r->in->instances), ip = input(r->in->vm_target_ip);
	bool none = no_instances(str_trim(instances));

	if (!none && ip.n) {
		err_set(errs_add(r->errs), ERR_USER, ORIGIN_NONE,
		        "both instances and vm_target_ip are given");
		err_hint(&r->errs->v[r->errs->n - 1],
		         "vm_target_ip makes a single machine; leave one of them out");
	} else if (!none) {
		read_instances(r, instances);
	} else if (ip.n) {
		read_single(r, ip);
	} else {
		err_set(errs_add(r->errs), ERR_USER, ORIGIN_NONE,
		        "no machines: instances and vm_target_ip are empty");
	}
}

static void read_type(struct reader *r)
{
	struct str s = input(r->in->resource_type);

	if (s.n == 0 || str_eqc(s, "vm"))
		r->m->type = MACHINE_VM;
	else if (str_eqc(s, "lxc"))
		r->m->type = MACHINE_LXC;
	else
		err_set(errs_add(r->errs), ERR_USER, ORIGIN_NONE,
		        "input resource_type: '%.*s' is neither vm nor lxc", STR_FMT(s));
}

bool model_read(struct arena *a, struct sources *ss, const struct model_inputs *in, struct model *ret,
                struct errs *errs)
{
	struct reader r = {.a = a, .ss = ss, .in = in, .m = ret, .errs = errs};
	size_t before = errs->n;
	int64_t cores = 0;

	*ret = (struct model){0};
	ret->app = read_label(&r, "app_name", in->app_name);
	ret->environment = read_label(&r, "environment", in->environment);
	ret->owner = arena_printf(a, "%s-%s", ret->app, ret->environment);
	read_type(&r);
	read_network(&r);
	read_input_size(&r, &fields[F_CORES], in->cpu_cores, &cores);
	r.dflt.cores = (int)cores;
	read_input_size(&r, &fields[F_RAM], in->ram_mb, &r.dflt.memory_mb);
	read_input_size(&r, &fields[F_DISK], in->disk_gb, &r.dflt.disk_gb);
	read_machines(&r);
	return errs->n == before;
}
