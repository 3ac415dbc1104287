/* Interfaces, addresses and the default routes: from /sys and the kernel's routing socket. */
#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "modules/facts.h"

/* What the kernel would do with a packet to a far address. */
struct route {
	bool found;
	char device[IF_NAMESIZE], gateway[INET6_ADDRSTRLEN], source[INET6_ADDRSTRLEN];
};

static void route_read(const struct nlmsghdr *h, int family, struct route *r)
{
	const struct rtmsg *rt = NLMSG_DATA(h);
	size_t left = RTM_PAYLOAD(h);
	for (const struct rtattr *at = RTM_RTA(rt); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		const void *data = (const char *)at + RTA_LENGTH(0);
		unsigned index;
		if (at->rta_type == RTA_OIF) {
			memcpy(&index, data, sizeof(index));
			r->found = if_indextoname(index, r->device) != NULL;
		} else if (at->rta_type == RTA_GATEWAY) {
			inet_ntop(family, data, r->gateway, sizeof(r->gateway));
		} else if (at->rta_type == RTA_PREFSRC) {
			inet_ntop(family, data, r->source, sizeof(r->source));
		}
	}
	if (rt->rtm_type != RTN_UNICAST)
		r->found = false;
}

static struct route route_to(int family, const char *address)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg rt;
		struct rtattr at;
		unsigned char dst[16];
	} ask = {.h = {.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
	         .rt = {.rtm_family = (unsigned char)family}};
	unsigned short size = family == AF_INET ? 4 : 16;
	char reply[8192] __attribute__((aligned(8)));
	struct route r = {.found = false};
	inet_pton(family, address, ask.dst);
	ask.rt.rtm_dst_len = (unsigned char)(size * 8);
	ask.at.rta_type = RTA_DST;
	ask.at.rta_len = (unsigned short)RTA_LENGTH(size);
	ask.h.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(ask.rt)) + RTA_LENGTH(size));
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return r;
	ssize_t n = send(fd, &ask, ask.h.nlmsg_len, 0) < 0 ? -1 : recv(fd, reply, sizeof(reply), 0);
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)reply;
	if (n > 0 && NLMSG_OK(h, (size_t)n) && h->nlmsg_type == RTM_NEWROUTE)
		route_read(h, family, &r);
	close(fd);
	return r;
}

static const char *type_name(const char *number)
{
	static const struct {
		const char *number, *name;
	} types[] = {{"1", "ether"},      {"32", "infiniband"}, {"512", "ppp"},    {"772", "loopback"},
	             {"65534", "tunnel"}, {"768", "tunnel"},    {"776", "tunnel"}, {"778", "tunnel"}};
	for (size_t i = 0; number && i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i].number, number) == 0)
			return types[i].name;
	return number ? "unknown" : NULL;
}

static void set_text(struct facts *f, struct val *v, const char *key, const char *z)
{
	if (z)
		val_set(v, key, val_strz(f->a, z));
}

/* The last part of the link at PATH; NULL when it is none. */
static const char *link_name(struct facts *f, const char *path)
{
	char to[512];
	ssize_t n = readlink(path, to, sizeof(to) - 1);
	if (n <= 0)
		return NULL;
	to[n] = '\0';
	return arena_strdup(f->a, fs_basename(to));
}

static struct val *entries(struct facts *f, const char *path)
{
	struct val *list = val_list(f->a);
	DIR *d = opendir(path);
	struct dirent *e;
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			val_push(list, val_strz(f->a, e->d_name));
	if (d)
		closedir(d);
	return list;
}

static void set_number(struct facts *f, struct val *v, const char *key, const char *text)
{
	int64_t n;
	if (text && str_int(str_c(text), &n))
		val_set(v, key, val_int(f->a, n));
}

static void set_bridge(struct facts *f, struct val *v, const char *dir)
{
	const char *stp = fact_filef(f, "%s/bridge/stp_state", dir);
	val_set(v, "type", val_strz(f->a, "bridge"));
	val_set(v, "interfaces", entries(f, arena_printf(f->a, "%s/brif", dir)));
	set_text(f, v, "id", fact_filef(f, "%s/bridge/bridge_id", dir));
	if (stp)
		val_set(v, "stp", val_bool(strcmp(stp, "1") == 0));
}

static void set_bond(struct facts *f, struct val *v, const char *dir)
{
	struct val *slaves = val_list(f->a);
	struct str rest = str_c(fact_filef(f, "%s/bonding/slaves", dir));
	const char *mode = fact_filef(f, "%s/bonding/mode", dir);
	while (rest.p) {
		struct str w = str_split(&rest, ' ');
		if (w.n)
			val_push(slaves, val_str(f->a, w));
	}
	val_set(v, "type", val_strz(f->a, "bonding"));
	val_set(v, "slaves", slaves);
	if (mode)
		val_set(v, "mode", val_str(f->a, str_n(mode, strcspn(mode, " "))));
	set_text(f, v, "miimon", fact_filef(f, "%s/bonding/miimon", dir));
	set_text(f, v, "lacp_rate", fact_filef(f, "%s/bonding/lacp_rate", dir));
}

static struct val *interface_of(struct facts *f, const char *name)
{
	struct val *v = val_map(f->a);
	const char *dir = arena_printf(f->a, "/sys/class/net/%s", name);
	const char *mac = fact_filef(f, "%s/address", dir), *state = fact_filef(f, "%s/operstate", dir);
	const char *flags = fact_filef(f, "%s/flags", dir), *bus;
	val_set(v, "device", val_strz(f->a, name));
	if (mac && *mac && strcmp(mac, "00:00:00:00:00:00") != 0)
		set_text(f, v, "macaddress", mac);
	set_number(f, v, "mtu", fact_filef(f, "%s/mtu", dir));
	if (state)
		val_set(v, "active", val_bool(strcmp(state, "down") != 0));
	set_text(f, v, "module", link_name(f, arena_printf(f->a, "%s/device/driver/module", dir)));
	set_text(f, v, "type", type_name(fact_filef(f, "%s/type", dir)));
	if (fs_is_dir(arena_printf(f->a, "%s/bridge", dir)))
		set_bridge(f, v, dir);
	if (fs_is_dir(arena_printf(f->a, "%s/bonding", dir)))
		set_bond(f, v, dir);
	if ((bus = link_name(f, arena_printf(f->a, "%s/device", dir))))
		set_text(f, v, "pciid", bus);
	set_number(f, v, "speed", fact_filef(f, "%s/speed", dir));
	if (flags)
		val_set(v, "promisc", val_bool(strtoul(flags, NULL, 16) & IFF_PROMISC));
	return v;
}

static unsigned prefix_of(const unsigned char *mask, size_t n)
{
	unsigned bits = 0;
	for (size_t i = 0; i < n; i++)
		for (unsigned b = mask[i]; b; b &= b - 1)
			bits++;
	return bits;
}

static struct val *ipv4_of(struct facts *f, const struct ifaddrs *ifa)
{
	struct sockaddr_in addr, mask, brd;
	struct val *v = val_map(f->a);
	char z[INET_ADDRSTRLEN];
	memcpy(&addr, ifa->ifa_addr, sizeof(addr));
	memset(&mask, 0xff, sizeof(mask));
	if (ifa->ifa_netmask)
		memcpy(&mask, ifa->ifa_netmask, sizeof(mask));
	val_set(v, "address", val_strz(f->a, inet_ntop(AF_INET, &addr.sin_addr, z, sizeof(z))));
	*z = '\0';
	if ((ifa->ifa_flags & IFF_BROADCAST) && ifa->ifa_broadaddr) {
		memcpy(&brd, ifa->ifa_broadaddr, sizeof(brd));
		if (brd.sin_addr.s_addr && brd.sin_addr.s_addr != addr.sin_addr.s_addr)
			inet_ntop(AF_INET, &brd.sin_addr, z, sizeof(z));
	}
	val_set(v, "broadcast", val_strz(f->a, z));
	val_set(v, "netmask", val_strz(f->a, inet_ntop(AF_INET, &mask.sin_addr, z, sizeof(z))));
	addr.sin_addr.s_addr &= mask.sin_addr.s_addr;
	val_set(v, "network", val_strz(f->a, inet_ntop(AF_INET, &addr.sin_addr, z, sizeof(z))));
	val_set(v, "prefix", val_strf(f->a, "%u", prefix_of((const unsigned char *)&mask.sin_addr, 4)));
	return v;
}

static struct val *ipv6_of(struct facts *f, const struct ifaddrs *ifa)
{
	struct sockaddr_in6 addr, mask;
	struct val *v = val_map(f->a);
	char z[INET6_ADDRSTRLEN];
	memcpy(&addr, ifa->ifa_addr, sizeof(addr));
	memset(&mask, 0xff, sizeof(mask));
	if (ifa->ifa_netmask)
		memcpy(&mask, ifa->ifa_netmask, sizeof(mask));
	const char *scope = IN6_IS_ADDR_LOOPBACK(&addr.sin6_addr)    ? "host"
	                    : IN6_IS_ADDR_LINKLOCAL(&addr.sin6_addr) ? "link"
	                    : IN6_IS_ADDR_SITELOCAL(&addr.sin6_addr) ? "site"
	                                                             : "global";
	val_set(v, "address", val_strz(f->a, inet_ntop(AF_INET6, &addr.sin6_addr, z, sizeof(z))));
	val_set(v, "prefix", val_strf(f->a, "%u", prefix_of((const unsigned char *)&mask.sin6_addr, 16)));
	val_set(v, "scope", val_strz(f->a, scope));
	return v;
}

/* The addresses into their interfaces' dicts and the lists of all. */
static void add_addresses(struct facts *f, struct val *interfaces, struct val *all4, struct val *all6)
{
	struct ifaddrs *list = NULL;
	if (getifaddrs(&list) != 0)
		return;
	for (const struct ifaddrs *ifa = list; ifa; ifa = ifa->ifa_next) {
		struct val *in = val_gets(interfaces, str_n(ifa->ifa_name, strcspn(ifa->ifa_name, ":")));
		if (!ifa->ifa_addr || !in)
			continue;
		bool v4 = ifa->ifa_addr->sa_family == AF_INET;
		if (!v4 && ifa->ifa_addr->sa_family != AF_INET6)
			continue;
		struct val *v = v4 ? ipv4_of(f, ifa) : ipv6_of(f, ifa);
		struct val *address = val_get(v, "address");
		const char *list_key = v4 ? "ipv4_secondaries" : "ipv6";
		if (v4 && !val_get(in, "ipv4")) {
			val_set(in, "ipv4", v);
		} else {
			if (!val_get(in, list_key))
				val_set(in, list_key, val_list(f->a));
			val_push(val_get(in, list_key), v);
		}
		if (v4 ? !str_starts(val_get_str(address), "127.") : !str_eqc(val_get_str(address), "::1"))
			val_push(v4 ? all4 : all6, address);
	}
	freeifaddrs(list);
}

/* default_ipv4 or default_ipv6: the interface the far address is reached through, flattened. */
static void set_default(struct facts *f, struct val *interfaces, bool v4)
{
	struct route r = v4 ? route_to(AF_INET, "8.8.8.8") : route_to(AF_INET6, "2404:6800:400a:800::1012");
	struct val *v = val_map(f->a), *in = r.found ? val_get(interfaces, r.device) : NULL;
	static const char *const copied[] = {"macaddress", "mtu", "type"};
	fact_set(f, v4 ? "default_ipv4" : "default_ipv6", v);
	if (!in)
		return;
	set_text(f, v, "interface", r.device);
	set_text(f, v, "address", *r.source ? r.source : NULL);
	set_text(f, v, "gateway", *r.gateway ? r.gateway : NULL);
	for (size_t i = 0; i < sizeof(copied) / sizeof(*copied); i++)
		if (val_get(in, copied[i]))
			val_set(v, copied[i], val_get(in, copied[i]));
	struct val *had = val_list(f->a), *more = val_get(in, v4 ? "ipv4_secondaries" : "ipv6");
	if (v4 && val_get(in, "ipv4"))
		val_push(had, val_get(in, "ipv4"));
	if (more)
		VAL_EACH (i, more)
			val_push(had, val_at(more, i));
	VAL_EACH (i, had) {
		struct val *one = val_at(had, i);
		if (!str_eqc(val_map_str(one, "address", ""), r.source))
			continue;
		MAP_EACH (j, one)
			val_setk(v, val_key_at(one, j), val_value_at(one, j));
	}
	if (v4)
		set_text(f, v, "alias", r.device);
}

void facts_network(struct facts *f)
{
	struct val *names = entries(f, "/sys/class/net"), *interfaces = val_map(f->a);
	struct val *all4 = val_list(f->a), *all6 = val_list(f->a), *real = val_list(f->a);
	VAL_EACH (i, names) {
		const char *name = val_get_strz(val_at(names, i));
		/* bonding_masters is a file among the links. */
		if (!fs_is_dir(arena_printf(f->a, "/sys/class/net/%s", name)))
			continue;
		val_set(interfaces, name, interface_of(f, name));
		val_push(real, val_at(names, i));
	}
	add_addresses(f, interfaces, all4, all6);
	set_default(f, interfaces, true);
	set_default(f, interfaces, false);
	fact_set(f, "interfaces", real);
	fact_set(f, "all_ipv4_addresses", all4);
	fact_set(f, "all_ipv6_addresses", all6);
	MAP_EACH (i, interfaces) {
		char *key = arena_strdup(f->a, val_get_strz(val_key_at(interfaces, i)));
		for (char *p = key; *p; p++)
			if (*p == '-' || *p == ':' || *p == '.')
				*p = *p == '.' ? '.' : '_';
		fact_set(f, key, val_value_at(interfaces, i));
	}
}
