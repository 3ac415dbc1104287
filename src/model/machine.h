/*
 * machine - what should exist: the machines an app's inputs ask for.
 */
#ifndef MODEL_MACHINE_H
#define MODEL_MACHINE_H
#include "base/val.h"

enum machine_type { MACHINE_VM, MACHINE_LXC };

struct machine {
	const char *key;     /* its name within the app: "node1"; "" in single-machine mode */
	const char *name;    /* app-environment-key: the guest's name and host name */
	const char *address; /* IPv4, dotted */
	int cores;
	int64_t memory_mb, disk_gb;
	struct origin at; /* where it is written */
};

struct network {
	int vlan; /* the tag on the bridge; 0: none */
	const char *bridge;
	const char *gateway;                    /* dotted; "" = none */
	unsigned prefix;                        /* bits of the network mask */
	uint32_t net;                           /* the network's address, host byte order */
	const char *subnet;                     /* "192.168.10.0/24" */
	const char *nameserver, *search_domain; /* space separated; "" = the template's own */
};

/* The texts of the inputs, as given. NULL counts as empty. */
struct model_inputs {
	const char *app_name, *environment, *resource_type, *vlan_tag;
	const char *cpu_cores, *ram_mb, *disk_gb; /* defaults of every machine */
	const char *instances;                    /* JSON: {"node1": {"ip_address": "...", overrides}} */
	const char *vm_target_ip;                 /* single-machine mode */
	const char *subnet;  /* "ADDRESS/BITS"; "" = 192.168.VLAN.0/24, as it has always been */
	const char *gateway; /* "" = the first address of the subnet */
	const char *bridge, *nameserver, *search_domain;
};

struct model {
	const char *app, *environment;
	const char *owner; /* the mark of this app's machines: "app-environment" */
	enum machine_type type;
	struct network net;
	size_t n;
	struct machine *machines; /* in the order of instances */
};

/*
 * Everything checked, everything that is wrong added to ERRS (ERR_USER; what is wrong in instances with its
 * line and column in the source "instances", which is added to SS). True when nothing was. Sizes may be
 * numbers or text; disk_gb also "40G".
 */
bool model_read(struct arena *a, struct sources *ss, const struct model_inputs *in, struct model *ret,
                struct errs *errs);

/* A dotted IPv4 address as a number in host byte order; strict: four decimal parts, no leading zeros. */
bool ipv4_parse(struct str s, uint32_t *ret);
#endif
