/* ip - the ipaddr family of ansible.utils: addresses and networks asked about. */
#include "jinja/ip.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <arpa/inet.h>
#include <stdlib.h>

addr_t ip_mask(const struct net *n)
{
	addr_t all = n->bits == 128 ? ~(addr_t)0 : 0xffffffffu;

	return n->prefix == 0 ? 0 : all & (all << (n->bits - n->prefix));
}

static addr_t hostmask_of(const struct net *n)
{
	return (n->bits == 128 ? ~(addr_t)0 : 0xffffffffu) & ~ip_mask(n);
}

addr_t ip_first(const struct net *n)
{
	return n->ip & ip_mask(n);
}

addr_t ip_last(const struct net *n)
{
	return n->ip | hostmask_of(n);
}

static addr_t magnitude(int64_t i)
{
	return (uint64_t)(i < 0 ? 0 - (uint64_t)i : (uint64_t)i);
}

/* The I-th of the addresses 0 to SPAN, from the end when negative; more than SPAN when there is none. */
static addr_t nth(addr_t span, int64_t i)
{
	return i < 0 ? span + 1 - magnitude(i) : magnitude(i);
}

static bool single(const struct net *n)
{
	return n->prefix == n->bits;
}

const char *ip_text(struct arena *a, addr_t ip, int bits)
{
	unsigned char raw[16];
	char tmp[INET6_ADDRSTRLEN] = "";
	int bytes = bits / 8;

	for (int i = 0; i < bytes; i++)
		raw[i] = (unsigned char)(ip >> (8 * (bytes - 1 - i)));
	inet_ntop(bits == 32 ? AF_INET : AF_INET6, raw, tmp, sizeof(tmp));
	return arena_strdup(a, tmp);
}

static bool parse_addr(const char *z, addr_t *ret, int *ret_bits)
{
	unsigned char raw[16];

	*ret_bits = inet_pton(AF_INET, z, raw) == 1 ? 32 : inet_pton(AF_INET6, z, raw) == 1 ? 128 : 0;
	*ret = 0;
	for (int i = 0; i < *ret_bits / 8; i++)
		*ret = *ret << 8 | raw[i];
	return *ret_bits > 0;
}

/* "24", "255.255.255.0" or "0.0.0.255" */
static bool parse_prefix(struct str s, int bits, int *ret)
{
	int64_t i;
	int mbits;
	addr_t m, all = bits == 128 ? ~(addr_t)0 : 0xffffffffu;
	char tmp[64];

	if (str_int(s, &i) && s.p[0] != '-' && s.p[0] != '+') {
		*ret = (int)i;
		return i <= bits;
	}
	if (s.n >= sizeof(tmp))
		return false;
	memcpy(tmp, s.p, s.n);
	tmp[s.n] = 0;
	if (!parse_addr(tmp, &m, &mbits) || mbits != bits)
		return false;
	if (m && !(m >> (bits - 1) & 1))
		m = all & ~m;
	for (*ret = 0; *ret < bits && (m >> (bits - 1 - *ret) & 1);)
		(*ret)++;
	return m == (*ret ? all & (all << (bits - *ret)) : 0);
}

bool ip_parse(struct arena *a, struct str s, int version, struct net *n)
{
	ptrdiff_t slash = str_find(s, STR("/"), 0);
	struct str head = slash < 0 ? s : str_n(s.p, (size_t)slash);
	int64_t num;

	*n = (struct net){.is_net = slash >= 0};
	if (str_int(head, &num) && num >= 0 && head.p[0] != '+') {
		n->ip = (addr_t)num;
		n->bits = version == 6 || num > 0xffffffff ? 128 : 32;
	} else if (!parse_addr(arena_strndup(a, head.p, head.n), &n->ip, &n->bits)) {
		return false;
	}
	n->prefix = n->bits;
	return slash < 0 ||
	       parse_prefix(str_n(s.p + slash + 1, s.n - (size_t)slash - 1), n->bits, &n->prefix);
}

static bool within(const struct net *n, const char *cidr)
{
	struct arena *a = arena_new(NULL);
	struct net c;
	bool yes =
	        ip_parse(a, str_c(cidr), 0, &c) && c.bits == n->bits && (n->ip & ip_mask(&c)) == ip_first(&c);

	arena_free(a);
	return yes;
}

static bool within_any(const struct net *n, const char *const *list)
{
	for (; *list; list++)
		if (within(n, *list))
			return true;
	return false;
}

static bool is_multicast(const struct net *n)
{
	return within(n, "224.0.0.0/4") || within(n, "ff00::/8");
}

static bool is_loopback(const struct net *n)
{
	return within(n, "127.0.0.0/8") || within(n, "::1");
}

static bool is_link_local(const struct net *n)
{
	return within(n, "169.254.0.0/16") || within(n, "fe80::/10");
}

static bool is_private(const struct net *n)
{
	static const char *const list[] = {
	        "10.0.0.0/8",    "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16",
	        "198.18.0.0/15", "239.0.0.0/8",   "fc00::/7",      "fec0::/10",    NULL};

	return is_link_local(n) || within_any(n, list);
}

/* Ones up to some bit and zeros from there, or the other way round. */
static bool is_some_mask(const struct net *n)
{
	addr_t all = n->bits == 128 ? ~(addr_t)0 : 0xffffffffu, inv = all & ~n->ip;

	return ((inv + 1) & inv & all) == 0 || ((n->ip + 1) & n->ip & all) == 0;
}

/* ---- what can be asked: NULL stands for Python's None */

struct query {
	struct arena *a;
	struct net n;
	struct val *value; /* as it was given */
	struct err *err;
};

static struct val *text(struct query *q, addr_t ip)
{
	return val_strz(q->a, ip_text(q->a, ip, q->n.bits));
}

static struct val *with_prefix(struct query *q, addr_t ip)
{
	return val_strf(q->a, "%s/%d", ip_text(q->a, ip, q->n.bits), q->n.prefix);
}

static struct val *two(struct query *q, addr_t x, addr_t y)
{
	return val_strf(q->a, "%s %s", ip_text(q->a, x, q->n.bits), ip_text(q->a, y, q->n.bits));
}

/* Networks of two addresses have neither network address nor broadcast. */
static bool tiny(const struct net *n)
{
	return n->bits - n->prefix == 1;
}

static bool need_net(struct query *q)
{
	return q->n.is_net || jinja_fail(q->err, "Not a network address");
}

addr_t ip_usable(const struct net *n, bool last)
{
	if (last)
		return ip_last(n) - !tiny(n);
	return ip_first(n) + !tiny(n);
}

static struct val *q_address(struct query *q)
{
	if (single(&q->n) || q->n.ip != ip_first(&q->n) || tiny(&q->n) || q->n.bits == 128)
		return text(q, q->n.ip);
	return NULL;
}

static struct val *q_gateway(struct query *q)
{
	if (!single(&q->n) && !tiny(&q->n) && (q->n.ip == ip_first(&q->n) || q->n.ip == ip_last(&q->n)))
		return val_bool(false);
	return with_prefix(q, q->n.ip);
}

static struct val *q_bool(struct query *q)
{
	(void)q;
	return val_bool(true);
}

static struct val *q_broadcast(struct query *q)
{
	if (single(&q->n) || tiny(&q->n))
		return NULL;
	return q->n.bits == 128 ? val_strz(q->a, "None") : text(q, ip_last(&q->n));
}

static struct val *q_cidr(struct query *q)
{
	return with_prefix(q, q->n.ip);
}

static struct val *q_host(struct query *q)
{
	if (single(&q->n) || q->n.ip != ip_first(&q->n) || tiny(&q->n))
		return with_prefix(q, q->n.ip);
	return NULL;
}

static struct val *q_hostmask(struct query *q)
{
	return text(q, hostmask_of(&q->n));
}

static struct val *q_int(struct query *q)
{
	if (q->n.ip > INT64_MAX) {
		char tmp[48], *p = tmp + sizeof(tmp) - 1;

		*p = 0;
		for (addr_t x = q->n.ip; x; x /= 10)
			*--p = (char)('0' + (int)(x % 10));
		return q->n.is_net ? val_strf(q->a, "%s/%d", p, q->n.prefix) : val_strz(q->a, p);
	}
	if (q->n.is_net)
		return val_strf(q->a, "%lld/%d", (long long)q->n.ip, q->n.prefix);
	return val_int(q->a, (int64_t)q->n.ip);
}

static struct val *q_ip_prefix(struct query *q)
{
	if (tiny(&q->n) || (!single(&q->n) && q->n.ip != ip_first(&q->n)))
		return with_prefix(q, q->n.ip);
	return NULL;
}

static struct val *q_ip_netmask(struct query *q)
{
	if (tiny(&q->n) || (!single(&q->n) && q->n.ip != ip_first(&q->n)))
		return two(q, q->n.ip, ip_mask(&q->n));
	return NULL;
}

static struct val *q_ipv4(struct query *q)
{
	addr_t high = q->n.ip >> 32;

	if (q->n.bits == 32)
		return q->value;
	if (high != 0 && high != 0xffff)
		return val_bool(false);
	return val_strf(q->a, "%s/%d", ip_text(q->a, q->n.ip & 0xffffffffu, 32),
	                q->n.prefix < 96 ? 0 : q->n.prefix - 96);
}

static struct val *q_ipv6(struct query *q)
{
	if (q->n.bits == 128)
		return q->value;
	return val_strf(q->a, "%s/%d", ip_text(q->a, (addr_t)0xffff << 32 | q->n.ip, 128), q->n.prefix + 96);
}

static struct val *q_first_usable(struct query *q)
{
	if (!need_net(q) || single(&q->n))
		return NULL;
	return text(q, ip_usable(&q->n, false));
}

static struct val *q_last_usable(struct query *q)
{
	if (!need_net(q) || single(&q->n))
		return NULL;
	return text(q, ip_usable(&q->n, true));
}

static struct val *neighbour(struct query *q, addr_t ip)
{
	if (!need_net(q) || single(&q->n) || ip < ip_usable(&q->n, false) || ip > ip_usable(&q->n, true))
		return NULL;
	return text(q, ip);
}

static struct val *q_next_usable(struct query *q)
{
	return neighbour(q, q->n.ip + 1);
}

static struct val *q_previous_usable(struct query *q)
{
	return neighbour(q, q->n.ip - 1);
}

static struct val *q_range_usable(struct query *q)
{
	if (!need_net(q) || single(&q->n))
		return NULL;
	return val_strf(q->a, "%s-%s", ip_text(q->a, ip_usable(&q->n, false), q->n.bits),
	                ip_text(q->a, ip_usable(&q->n, true), q->n.bits));
}

static struct val *q_peer(struct query *q)
{
	int host = q->n.bits - q->n.prefix, low = (int)(q->n.ip & 3);

	if (!need_net(q))
		return NULL;
	if (host == 1)
		return text(q, q->n.ip ^ 1);
	if (host == 2 && (low == 1 || low == 2))
		return text(q, q->n.ip ^ 3);
	jinja_fail(q->err, host != 2  ? "Not a point-to-point network"
	                   : low == 0 ? "Network address of /30 has no peer"
	                              : "Broadcast address of /30 has no peer");
	return NULL;
}

static struct val *value_if(struct query *q, bool yes)
{
	return yes ? q->value : NULL;
}

static struct val *q_link_local(struct query *q)
{
	return value_if(q, is_link_local(&q->n));
}

static struct val *q_loopback(struct query *q)
{
	return value_if(q, is_loopback(&q->n));
}

static struct val *q_multicast(struct query *q)
{
	return value_if(q, is_multicast(&q->n));
}

static struct val *q_unicast(struct query *q)
{
	return value_if(q, !is_multicast(&q->n));
}

static struct val *q_private(struct query *q)
{
	return value_if(q, is_private(&q->n));
}

static struct val *q_public(struct query *q)
{
	return value_if(q, !is_multicast(&q->n) && !is_private(&q->n) && !is_loopback(&q->n) &&
	                           !is_some_mask(&q->n));
}

static struct val *q_net(struct query *q)
{
	return single(&q->n) || q->n.ip != ip_first(&q->n) ? NULL : with_prefix(q, q->n.ip);
}

static struct val *q_netmask(struct query *q)
{
	return text(q, ip_mask(&q->n));
}

static struct val *q_network(struct query *q)
{
	return text(q, ip_first(&q->n));
}

static struct val *q_network_netmask(struct query *q)
{
	return two(q, ip_first(&q->n), ip_mask(&q->n));
}

static struct val *q_network_wildcard(struct query *q)
{
	return two(q, ip_first(&q->n), hostmask_of(&q->n));
}

static struct val *q_subnet(struct query *q)
{
	return with_prefix(q, ip_first(&q->n));
}

static struct val *q_prefix(struct query *q)
{
	return val_int(q->a, q->n.prefix);
}

static struct val *q_size(struct query *q)
{
	int host = q->n.bits - q->n.prefix;

	if (host < 63)
		return val_int(q->a, (int64_t)1 << host);
	jinja_fail(q->err, "the size of a /%d does not fit 64 bits", q->n.prefix);
	return NULL;
}

static struct val *q_size_usable(struct query *q)
{
	struct val *n = q_size(q);
	int64_t size = n ? val_get_int(n) : 0;

	return n ? val_int(q->a, size == 1 ? 0 : size == 2 ? 2 : size - 2) : NULL;
}

static struct val *q_revdns(struct query *q)
{
	struct buf b = {0};

	for (int i = 0; i < (q->n.bits == 32 ? 4 : 32); i++)
		buf_printf(&b, q->n.bits == 32 ? "%u." : "%x.",
		           (unsigned)(q->n.ip >> (i * (q->n.bits == 32 ? 8 : 4)) &
		                      (q->n.bits == 32 ? 255 : 15)));
	buf_adds(&b, q->n.bits == 32 ? "in-addr.arpa." : "ip6.arpa.");
	return buf_val(&b, q->a);
}

static struct val *q_type(struct query *q)
{
	return val_strz(q->a, single(&q->n) || q->n.ip != ip_first(&q->n) ? "address" : "network");
}

static struct val *q_version(struct query *q)
{
	return val_int(q->a, q->n.bits == 32 ? 4 : 6);
}

static struct val *q_wrap(struct query *q)
{
	if (q->n.bits == 32)
		return q->value;
	if (q->n.is_net)
		return val_strf(q->a, "[%s]/%d", ip_text(q->a, q->n.ip, 128), q->n.prefix);
	return val_strf(q->a, "[%s]", ip_text(q->a, q->n.ip, 128));
}

static struct val *q_plain(struct query *q)
{
	return q->n.is_net ? with_prefix(q, q->n.ip) : text(q, q->n.ip);
}

static const struct {
	const char *name;
	struct val *(*fn)(struct query *q);
} queries[] = {
        {"", q_plain},
        {"address", q_address},
        {"address/prefix", q_gateway},
        {"bool", q_bool},
        {"broadcast", q_broadcast},
        {"cidr", q_cidr},
        {"first_usable", q_first_usable},
        {"gateway", q_gateway},
        {"gw", q_gateway},
        {"host", q_host},
        {"host/prefix", q_gateway},
        {"hostmask", q_hostmask},
        {"hostnet", q_gateway},
        {"int", q_int},
        {"ip", q_address},
        {"ip/prefix", q_ip_prefix},
        {"ip_netmask", q_ip_netmask},
        {"ipv4", q_ipv4},
        {"ipv6", q_ipv6},
        {"last_usable", q_last_usable},
        {"link-local", q_link_local},
        {"lo", q_loopback},
        {"loopback", q_loopback},
        {"multicast", q_multicast},
        {"net", q_net},
        {"netmask", q_netmask},
        {"network", q_network},
        {"network/prefix", q_subnet},
        {"network_id", q_network},
        {"network_netmask", q_network_netmask},
        {"network_wildcard", q_network_wildcard},
        {"next_usable", q_next_usable},
        {"peer", q_peer},
        {"prefix", q_prefix},
        {"previous_usable", q_previous_usable},
        {"private", q_private},
        {"public", q_public},
        {"range_usable", q_range_usable},
        {"revdns", q_revdns},
        {"router", q_gateway},
        {"size", q_size},
        {"size_usable", q_size_usable},
        {"subnet", q_subnet},
        {"type", q_type},
        {"unicast", q_unicast},
        {"v4", q_ipv4},
        {"v6", q_ipv6},
        {"version", q_version},
        {"wildcard", q_hostmask},
        {"wrap", q_wrap},
};

/* ---- filters */

/* A query that is no word: a network to lie in, or the number of an address. *RET NULL is None. */
static bool ask_other(struct query *q, struct str name, const char *alias, struct val **ret)
{
	struct net in;
	int64_t i;

	if (str_int(name, &i)) {
		addr_t span = ip_last(&q->n) - ip_first(&q->n), at = nth(span, i);

		if (single(&q->n))
			*ret = q_plain(q);
		else
			*ret = at > span ? val_bool(false) : with_prefix(q, ip_first(&q->n) + at);
		return true;
	}
	if (!ip_parse(q->a, name, 0, &in))
		return jinja_fail(q->err, "%s: unknown filter type: %.*s", alias, STR_FMT(name));
	*ret = in.bits == q->n.bits && ip_first(&q->n) >= ip_first(&in) && ip_last(&q->n) <= ip_last(&in)
	               ? q->value
	               : NULL;
	return true;
}

static bool ask(struct jinja_call *c, struct val *v, struct str name, int version, const char *alias,
                struct val **ret, struct err *err)
{
	struct query q = {.a = c->a, .value = v, .err = err};
	struct str s;

	*ret = val_bool(false);
	if (val_is_list(v)) {
		struct val *list = val_list(c->a), *one;

		VAL_EACH (i, v) {
			if (!ask(c, val_at(v, i), name, version, alias, &one, err))
				return false;
			if (val_truthy(one))
				val_push(list, one);
		}
		*ret = list;
		return true;
	}
	if (!val_truthy(v) || val_kind(v) == VAL_BOOL)
		return true;
	s = val_text(v, c->a);
	if (!ip_parse(c->a, s, version, &q.n))
		return true;
	if (version && (q.n.bits == 32 ? 4 : 6) != version)
		return true;
	if (val_kind(v) == VAL_INT ||
	    (s.p[0] >= '0' && s.p[0] <= '9' && str_find(s, STR("."), 0) < 0 && q.n.bits == 32))
		q.value = q_cidr(&q);
	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
		if (!str_eqc(name, queries[i].name))
			continue;
		*ret = queries[i].fn(&q);
		if (!*ret)
			*ret = val_null();
		return !err_is(err);
	}
	if (!ask_other(&q, name, alias, ret))
		return false;
	if (!*ret)
		*ret = val_null();
	return true;
}

static bool f_ipaddr(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *alias = c->user;
	int version = !strcmp(alias, "ipv4") ? 4 : !strcmp(alias, "ipv6") ? 6 : 0;
	struct val *v[4];
	struct str query = STR("");
	int64_t n = 0;

	if (!jinja_args(c, alias, version ? "value query=" : "value query= version= alias=", v, err) ||
	    (v[1] && !arg_text(c, v[1], &query, err)) || (!version && !arg_int(v[2], 0, &n, err)))
		return false;
	return ask(c, v[0], query, version ? version : (int)n, alias, ret, err);
}

static bool wrap_one(struct jinja_call *c, struct val *v, struct str query, struct val **ret)
{
	struct err none = {0};
	struct val *x, *w = NULL;

	/* What is no address passes through. */
	*ret = v;
	if (ask(c, v, query, 0, "ipwrap", &x, &none) && val_truthy(x) &&
	    ask(c, x, STR("wrap"), 0, "ipwrap", &w, &none) && val_truthy(w))
		*ret = w;
	err_clear(&none);
	return true;
}

static bool f_ipwrap(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *x;
	struct str query = STR("");

	if (!jinja_args(c, "ipwrap", "value query=", v, err) || (v[1] && !arg_text(c, v[1], &query, err)))
		return false;
	if (!val_is_list(v[0]))
		return wrap_one(c, v[0], query, ret);
	*ret = val_list(c->a);
	VAL_EACH (i, v[0]) {
		wrap_one(c, val_at(v[0], i), query, &x);
		val_push(*ret, x);
	}
	return true;
}

static bool f_ipmath(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s;
	struct net n;
	int64_t by;

	if (!jinja_args(c, "ipmath", "value amount", v, err) || !arg_text(c, v[0], &s, err) ||
	    !arg_int(v[1], 0, &by, err))
		return false;
	if (!ip_parse(c->a, s, 0, &n))
		return jinja_fail(err, "You must pass a valid IP address; %.*s is invalid", STR_FMT(s));
	n.ip = by < 0 ? n.ip - magnitude(by) : n.ip + magnitude(by);
	*ret = val_strz(c->a, ip_text(c->a, n.ip, n.bits));
	return true;
}

static struct val *net_val(struct arena *a, const struct net *n)
{
	return val_strf(a, "%s/%d", ip_text(a, n->ip & ip_mask(n), n->bits), n->prefix);
}

/* The network around an address, SIZE bits long; with an index the one so much smaller (from the end when
 * negative). */
static struct val *around(struct arena *a, struct net n, int64_t size, const int64_t *index)
{
	if (index && (*index > n.bits + 1 - *index || *index < size - n.bits))
		return val_bool(false);
	size = !index ? size : *index < 0 ? n.bits + *index : size + *index;
	if (size >= n.bits)
		return NULL;
	n.prefix = (int)size;
	return net_val(a, &n);
}

/* How many networks of SIZE bits are in N, or one of them. */
static struct val *within_net(struct jinja_call *c, struct net n, int64_t size, const int64_t *index,
                              struct err *err)
{
	addr_t count = size >= n.prefix && size - n.prefix < 63 ? (addr_t)1 << (size - n.prefix) : 0;
	int64_t at = index ? *index : 0;

	if (!index && size < n.prefix) {
		jinja_fail(err, "Requested subnet size of %lld is invalid", (long long)size);
		return NULL;
	}
	if (!count && size >= n.prefix) {
		jinja_fail(err, "ipsubnet: the number of subnets does not fit 64 bits");
		return NULL;
	}
	if (!index)
		return val_strf(c->a, "%lld", (long long)count);
	if (at < 0)
		at += (int64_t)count;
	if (at < 0 || (count ? (addr_t)at >= count : at > 0))
		return val_bool(false);
	n.ip = ip_first(&n) + ((addr_t)(uint64_t)at << (n.bits - size));
	return val_strf(c->a, "%s/%d", ip_text(c->a, n.ip, n.bits), (int)size);
}

/* Which of the networks of its size in Q the network N is, from 1. */
static struct val *rank_in(struct jinja_call *c, const struct net *n, struct str q, struct err *err)
{
	struct net in;
	addr_t rank;

	if (!ip_parse(c->a, q, 0, &in)) {
		jinja_fail(err, "You must pass a valid subnet or IP address; %.*s is invalid", STR_FMT(q));
		return NULL;
	}
	if (in.bits != n->bits || in.prefix > n->prefix || (n->ip & ip_mask(&in)) != ip_first(&in)) {
		jinja_fail(err, "%s/%d is not in the subnet %s/%d", ip_text(c->a, ip_first(n), n->bits),
		           n->prefix, ip_text(c->a, ip_first(&in), in.bits), in.prefix);
		return NULL;
	}
	rank = (ip_first(n) & ~ip_mask(&in)) >> (n->prefix ? n->bits - n->prefix : 0);
	return val_strf(c->a, "%lld", (long long)rank + 1);
}

static bool f_ipsubnet(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	struct str s, q = STR("");
	struct net n;
	int64_t size, index;

	if (!jinja_args(c, "ipsubnet", "value query= index=", v, err) || !arg_text(c, v[0], &s, err) ||
	    (v[1] && !arg_text(c, v[1], &q, err)) || !arg_int(v[2], 0, &index, err))
		return false;
	*ret = val_bool(false);
	if (!ip_parse(c->a, s, 0, &n))
		return true;
	n.ip = ip_first(&n);
	if (!q.n)
		*ret = net_val(c->a, &n);
	else if (!str_int(q, &size) || size < 0)
		*ret = rank_in(c, &n, q, err);
	else if (size > n.bits)
		return true;
	else if (single(&n))
		*ret = around(c->a, n, size, v[2] && !val_is_null(v[2]) ? &index : NULL);
	else
		*ret = within_net(c, n, size, v[2] && !val_is_null(v[2]) ? &index : NULL, err);
	if (!*ret && !err_is(err))
		return jinja_fail(err, "ipsubnet: there is no such network");
	return *ret;
}

static bool f_nthhost(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s;
	struct net n;
	int64_t i;
	addr_t span, at;

	if (!jinja_args(c, "nthhost", "value query=", v, err) || !arg_text(c, v[0], &s, err) ||
	    !arg_int(v[1], 0, &i, err))
		return false;
	*ret = val_bool(false);
	if (!ip_parse(c->a, s, 0, &n) || single(&n))
		return true;
	span = ip_last(&n) - ip_first(&n);
	at = nth(span, i);
	if (at <= span)
		*ret = val_strz(c->a, ip_text(c->a, ip_first(&n) + at, n.bits));
	return true;
}

const struct jinja_func jinja_filters_ip[] = {
        {"ipaddr", f_ipaddr, "Checks an address or network, or tells something about it.", 0, "ipaddr"},
        {"ipmath", f_ipmath, "An address a number further on.", 0, NULL},
        {"ipsubnet", f_ipsubnet, "A network cut into subnets.", 0, NULL},
        {"ipv4", f_ipaddr, "As ipaddr, IPv4 only.", 0, "ipv4"},
        {"ipv6", f_ipaddr, "As ipaddr, IPv6 only.", 0, "ipv6"},
        {"ipwrap", f_ipwrap, "IPv6 addresses in brackets.", 0, NULL},
        {"nthhost", f_nthhost, "An address of a network, by its number.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
