/* ip_nets - ansible.utils' filters and tests that compare networks, and those over hardware addresses. */
#include "jinja/ip.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

static bool parse_val(struct jinja_call *c, const struct val *v, struct net *n)
{
	return (val_is_str(v) || val_kind(v) == VAL_INT) && ip_parse(c->a, val_text(v, c->a), 0, n);
}

static struct val *net_val(struct arena *a, const struct net *n)
{
	return val_strf(a, "%s/%d", ip_text(a, ip_first(n), n->bits), n->prefix);
}

/* user: "+" or "-" */
static bool f_nth_usable(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool back = *(const char *)c->user == '-';
	struct val *v[2];
	struct net n;
	addr_t at;
	int64_t by;

	if (!jinja_args(c, back ? "previous_nth_usable" : "next_nth_usable", "value offset", v, err))
		return false;
	*ret = val_bool(false);
	if (!parse_val(c, v[0], &n))
		return true;
	if (val_is_null(v[1]) || !arg_int(v[1], 0, &by, err))
		return err_is(err) ? false : jinja_fail(err, "Must pass in an integer");
	by = back ? -by : by;
	at = by < 0 ? n.ip - (uint64_t)-by : n.ip + (uint64_t)by;
	*ret = val_null();
	if (n.prefix < n.bits && at >= ip_usable(&n, false) && at <= ip_usable(&n, true))
		*ret = val_strz(c->a, ip_text(c->a, at, n.bits));
	return true;
}

/* Whether all of IN lies in OUT, or among what hosts of OUT may have. */
static bool lies_in(const struct net *in, const struct net *out, bool usable)
{
	bool hosts = usable && out->prefix < out->bits;
	addr_t first = hosts ? ip_usable(out, false) : ip_first(out),
	       last = hosts ? ip_usable(out, true) : ip_last(out);

	return in->bits == out->bits && ip_first(in) >= first && ip_last(in) <= last;
}

static bool f_in(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool usable = *(const char *)c->user == 'u';
	struct val *v[2];
	struct net out, in;

	if (!jinja_args(c, usable ? "network_in_usable" : "network_in_network", "value test", v, err))
		return false;
	*ret = val_bool(parse_val(c, v[0], &out) && parse_val(c, v[1], &in) && lies_in(&in, &out, usable));
	return true;
}

static bool f_reduce(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *list;
	struct net out, in;

	if (!jinja_args(c, "reduce_on_network", "value network", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	*ret = val_list(c->a);
	if (parse_val(c, v[1], &out))
		VAL_EACH (i, list)
			if (parse_val(c, val_at(list, i), &in) && lies_in(&in, &out, false))
				val_push(*ret, val_at(list, i));
	return true;
}

/* ---- merging */

static bool before(const struct net *x, const struct net *y)
{
	if (x->bits != y->bits)
		return x->bits < y->bits;
	return ip_first(x) != ip_first(y) ? ip_first(x) < ip_first(y) : x->prefix < y->prefix;
}

/* Puts N at its place among the COUNT sorted ones of LIST. */
static void insert(struct net *list, size_t count, struct net n)
{
	n.ip = ip_first(&n);
	while (count > 0 && before(&n, &list[count - 1])) {
		list[count] = list[count - 1];
		count--;
	}
	list[count] = n;
}

/* Drops what lies in another and joins halves; the number that is left. */
static size_t merged(struct net *list, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		struct net up;

		if (n && lies_in(&list[i], &list[n - 1], false))
			continue;
		list[n++] = list[i];
		while (n > 1 && list[n - 1].prefix == list[n - 2].prefix && list[n - 1].prefix > 0) {
			up = list[n - 2];
			up.prefix--;
			if (ip_first(&up) != list[n - 2].ip || !lies_in(&list[n - 1], &up, false))
				break;
			list[--n - 1] = up;
		}
	}
	return n;
}

static bool f_cidr_merge(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *list;
	struct str how;
	struct net *nets, all;
	size_t n = 0;

	if (!jinja_args(c, "cidr_merge", "value action=", v, err) ||
	    !arg_str(c, v[1], STR("merge"), &how, err))
		return false;
	if (!str_eqc(how, "merge") && !str_eqc(how, "span"))
		return jinja_fail(err, "cidr_merge: invalid action '%.*s'", STR_FMT(how));
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	nets = arena_array(c->a, val_len(list) + 1, sizeof(*nets));
	VAL_EACH (i, list) {
		struct net one;

		if (!parse_val(c, val_at(list, i), &one))
			return jinja_fail(err, "cidr_merge: invalid IPNetwork %s",
			                  val_text(val_at(list, i), c->a).p);
		insert(nets, n++, one);
	}
	if (str_eqc(how, "merge")) {
		n = merged(nets, n);
		*ret = val_list(c->a);
		for (size_t i = 0; i < n; i++)
			val_push(*ret, net_val(c->a, &nets[i]));
		return true;
	}
	*ret = val_null();
	all = nets[0];
	for (size_t i = 1; i < n; i++)
		while (all.prefix > 0 && !lies_in(&nets[i], &all, false))
			all.prefix--;
	if (n)
		*ret = net_val(c->a, &all);
	return true;
}

static bool f_ip4_hex(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s, sep;
	struct net n;

	if (!jinja_args(c, "ip4_hex", "arg delimiter=", v, err) || !arg_text(c, v[0], &s, err) ||
	    !arg_str(c, v[1], STR(""), &sep, err))
		return false;
	if (!ip_parse(c->a, s, 4, &n) || n.bits != 32)
		return jinja_fail(err, "ip4_hex: not an IPv4 address: %.*s", STR_FMT(s));
	*ret = val_strf(c->a, "%02x%.*s%02x%.*s%02x%.*s%02x", (unsigned)(n.ip >> 24 & 255), STR_FMT(sep),
	                (unsigned)(n.ip >> 16 & 255), STR_FMT(sep), (unsigned)(n.ip >> 8 & 255), STR_FMT(sep),
	                (unsigned)(n.ip & 255));
	return true;
}

/* ---- hardware addresses */

/* Six bytes in any of the usual spellings: 1a:2b:…, 1a-2b-…, 1a2b.3c4d.5e6f, 1a2b3c:4d5e6f, 1a2b3c4d5e6f. */
static bool parse_mac(struct str s, uint64_t *ret)
{
	size_t group[6] = {0}, groups = 0, digits = 0, want;
	char sep = 0;

	*ret = 0;
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];
		int d = ch >= '0' && ch <= '9'                 ? ch - '0'
		        : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10
		                                               : -1;

		if (d >= 0 && ++group[groups] <= 12 && ++digits <= 12) {
			*ret = *ret << 4 | (unsigned)d;
			continue;
		}
		if (d >= 0 || !strchr(":-.", ch) || (sep && sep != ch) || groups == 5 || !group[groups])
			return false;
		/* A group may lack its leading zeros. */
		sep = ch;
		groups++;
	}
	want = groups == 5 ? 2 : groups == 2 ? 4 : groups == 1 ? 6 : 12;
	if (groups != 5)
		return digits == 12 && groups != 3 && groups != 4 && group[0] == want;
	*ret = 0;
	for (size_t i = 0, g = 0; i <= s.n && g < 6; g++, i++) {
		uint64_t byte = 0;

		if (group[g] < 1 || group[g] > 2)
			return false;
		for (size_t k = 0; k < group[g]; k++, i++)
			byte = byte << 4 |
			       (unsigned)(s.p[i] <= '9' ? s.p[i] - '0' : (s.p[i] | 32) - 'a' + 10);
		*ret = *ret << 8 | byte;
	}
	return true;
}

struct mac_style {
	const char *name, *sep;
	int bytes; /* of a group */
	bool upper, bare;
};

static const struct mac_style mac_styles[] = {
        {"bare", "", 6, true, false},    {"cisco", ".", 2, false, false}, {"eui48", "-", 1, true, false},
        {"linux", ":", 1, false, false}, {"unix", ":", 1, false, true},   {"win", "-", 1, true, false},
        {"*sql", ":", 3, false, false}, /* that of databases has several names */
};

static struct val *mac_text(struct arena *a, uint64_t mac, const struct mac_style *st)
{
	struct buf b = {0};

	for (int i = 0; i < 6; i++) {
		unsigned byte = (unsigned)(mac >> (40 - 8 * i) & 255);

		if (i && i % st->bytes == 0)
			buf_adds(&b, st->sep);
		buf_printf(&b, st->bare ? "%x" : st->upper ? "%02X" : "%02x", byte);
	}
	return buf_val(&b, a);
}

static bool f_hwaddr(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *alias = c->user;
	struct val *v[3];
	struct str s, query;
	uint64_t mac;
	bool ok;

	if (!jinja_args(c, alias, "value query= alias=", v, err) || !arg_text(c, v[0], &s, err) ||
	    !arg_str(c, v[1], STR(""), &query, err))
		return false;
	ok = parse_mac(s, &mac);
	*ret = val_null();
	if (!ok && query.n && !str_eqc(query, "bool"))
		return jinja_fail(err, "%s: not a hardware address: %.*s", alias, STR_FMT(s));
	if (!query.n || str_eqc(query, "bool")) {
		if (ok)
			*ret = query.n ? val_bool(true) : v[0];
		return true;
	}
	if (str_eqc(query, "int")) {
		*ret = val_int(c->a, (int64_t)mac);
		return true;
	}
	for (size_t i = 0; i < sizeof(mac_styles) / sizeof(*mac_styles); i++) {
		const char *name = mac_styles[i].name;

		if (*name == '*' ? !str_ends(query, name + 1) : !str_eqc(query, name))
			continue;
		*ret = mac_text(c->a, mac, &mac_styles[i]);
		return true;
	}
	return jinja_fail(err, "%s: unknown filter type: %.*s", alias, STR_FMT(query));
}

/* The address a host with a hardware address gives itself in an IPv6 network. */
static bool f_slaac(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str mac_str;
	struct net n;
	uint64_t mac;

	if (!jinja_args(c, "slaac", "value query=", v, err) || !arg_str(c, v[1], STR(""), &mac_str, err))
		return false;
	*ret = val_bool(false);
	if (!parse_val(c, v[0], &n) || n.bits != 128 || !mac_str.n || !parse_mac(mac_str, &mac))
		return true;
	mac ^= (uint64_t)1 << 41;
	mac = (mac >> 24) << 40 | (uint64_t)0xfffe << 24 | (mac & 0xffffff);
	*ret = val_strz(c->a, ip_text(c->a, ip_first(&n) + mac, 128));
	return true;
}

/* ---- tests */

/* Python's ipaddress refuses a network with bits of a host. */
static bool strict_net(struct jinja_call *c, const struct val *v, struct net *n)
{
	return parse_val(c, v, n) && n->ip == ip_first(n);
}

/* user: version (4, 6 or any), then "a" for addresses only */
static bool t_ip(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *what = c->user;
	struct val *v[1];
	struct net n;

	if (!jinja_args(c, "ip", "ip", v, err))
		return false;
	*ret = val_bool(strict_net(c, v[0], &n) &&
	                (what[0] == '*' || n.bits == (what[0] == '4' ? 32 : 128)) &&
	                (what[1] != 'a' || !n.is_net));
	return true;
}

/* user: "i" one network, "a" any of a list, "1" exactly one of them; "s" and "u": subnet_of, supernet_of */
static bool t_in_network(struct jinja_call *c, struct val **ret, struct err *err)
{
	char what = *(const char *)c->user;
	struct val *v[2], *list = val_list(c->a);
	struct net in, out;
	size_t hits = 0;

	if (!jinja_args(c, "in_network", "ip network", v, err))
		return false;
	if (what == 'a' || what == '1')
		list = arg_iter(c, v[1], err);
	else
		val_push(list, v[1]);
	if (!list)
		return false;
	VAL_EACH (i, list)
		if (strict_net(c, v[0], &in) && strict_net(c, val_at(list, i), &out))
			hits += what == 'u' ? lies_in(&out, &in, false) : lies_in(&in, &out, false);
	*ret = val_bool(what == '1' ? hits == 1 : hits > 0);
	return true;
}

static bool t_mac(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	uint64_t mac;

	if (!jinja_args(c, "mac", "mac", v, err))
		return false;
	*ret = val_bool(val_is_str(v[0]) && val_len(v[0]) >= 12 && parse_mac(val_get_str(v[0]), &mac));
	return true;
}

const struct jinja_func jinja_filters_nets[] = {
        {"cidr_merge", f_cidr_merge,
         "The fewest networks that hold the same addresses, or the one around them.", 0, NULL},
        {"hwaddr", f_hwaddr, "Checks a hardware address, or spells it otherwise.", 0, "hwaddr"},
        {"ip4_hex", f_ip4_hex, "An IPv4 address as hexadecimal digits.", 0, NULL},
        {"macaddr", f_hwaddr, "Checks a hardware address, or spells it otherwise.", 0, "macaddr"},
        {"network_in_network", f_in, "Whether a network or address lies in another.", 0, "n"},
        {"network_in_usable", f_in, "Whether it lies among the addresses for hosts of another.", 0, "u"},
        {"next_nth_usable", f_nth_usable, "The address for a host so many further on.", 0, "+"},
        {"previous_nth_usable", f_nth_usable, "The address for a host so many before.", 0, "-"},
        {"reduce_on_network", f_reduce, "Of a list the addresses that lie in a network.", 0, NULL},
        {"slaac", f_slaac, "The address of a hardware address in an IPv6 network.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};

const struct jinja_func jinja_tests_nets[] = {
        {"in_any_network", t_in_network, "An address or network lies in one of several.", 0, "a"},
        {"in_network", t_in_network, "An address or network lies in another.", 0, "i"},
        {"in_one_network", t_in_network, "An address or network lies in exactly one of several.", 0, "1"},
        {"ip", t_ip, "An IP address or network.", 0, "*"},
        {"ip_address", t_ip, "An IP address.", 0, "*a"},
        {"ipv4", t_ip, "An IPv4 address or network.", 0, "4"},
        {"ipv4_address", t_ip, "An IPv4 address.", 0, "4a"},
        {"ipv6", t_ip, "An IPv6 address or network.", 0, "6"},
        {"ipv6_address", t_ip, "An IPv6 address.", 0, "6a"},
        {"mac", t_mac, "A hardware address.", 0, NULL},
        {"subnet_of", t_in_network, "A network lies in another.", 0, "s"},
        {"supernet_of", t_in_network, "A network holds another.", 0, "u"},
        {NULL, NULL, NULL, 0, NULL},
};
