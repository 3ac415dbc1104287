/*
 * inventory - hosts, groups and the variables they come with; what happened to a host during a run hangs on
 * it.
 */
#ifndef ANSIBLE_INVENTORY_H
#define ANSIBLE_INVENTORY_H
#include "base/arena.h"
#include "base/err.h"
#include "base/val.h"

struct link;

struct group {
	char *name;
	struct val *vars;
	struct val *file_vars; /* from group_vars beside the inventory and the playbook; NULL: none */
	struct group **children, **parents;
	size_t n_children, n_parents;
	struct host **hosts;
	size_t n_hosts;
	int depth;
	int64_t priority; /* ansible_group_priority */
};

/* One connection of a host: its parameters as text decide whether it can be shared. */
struct host_link {
	struct str key;
	struct link *link;
	struct host_link *next;
};

struct host {
	char *name;
	size_t index; /* in the inventory, for bit sets and arrays */
	struct val *vars, *file_vars;
	struct group **groups; /* direct and indirect, sorted as their variables merge */
	size_t n_groups;
	bool implicit; /* localhost that nobody defined */
	struct host_link *links;

	/* What the run adds; maps in A. */
	struct arena *a;
	struct val *merged;   /* inventory variables by precedence; NULL: not computed yet */
	struct val *facts;    /* as injected: ansible_distribution, packages ... */
	struct val *facts_ns; /* as ansible_facts shows them: distribution ... */
	struct val *set_vars; /* set_fact and register */
	struct val *included; /* include_vars */
	bool facts_gathered;
};

struct inventory {
	struct arena *a;
	struct sources *sources;
	struct host **hosts;
	size_t n_hosts;
	struct group **groups;
	size_t n_groups;
	const char *file, *dir; /* of the (last) inventory source; NULL when in memory only */
	const char **vars_dirs; /* directories that hold group_vars/ and host_vars/, weakest first */
	size_t n_vars_dirs;
};

struct inventory *inventory_new(struct arena *a, struct sources *ss);
struct host *inventory_host(const struct inventory *inv, struct str name);
struct group *inventory_group(const struct inventory *inv, struct str name);
/* Found or made. */
struct host *inventory_add_host(struct inventory *inv, struct str name);
struct group *inventory_add_group(struct inventory *inv, struct str name);
void group_add_host(struct inventory *inv, struct group *g, struct host *h);
/* False when CHILD would become its own ancestor. */
bool group_add_child(struct inventory *inv, struct group *g, struct group *child);
/* Recomputes group membership and forgets merged variables; call after changing groups. */
void inventory_settle(struct inventory *inv);

/* SPEC: "host1,host2," or the path of an ini or yaml file or of a directory of them. */
bool inventory_load(struct inventory *inv, const char *spec, struct err *err);
bool inventory_parse_ini(struct inventory *inv, struct str text, uint32_t src, struct err *err);
bool inventory_parse_yaml(struct inventory *inv, const struct val *doc, struct err *err);
/* Reads DIR/group_vars and DIR/host_vars on top of what earlier directories gave. */
bool inventory_vars_dir(struct inventory *inv, const char *dir, struct err *err);
/* The host's inventory variables by Ansible's precedence. */
struct val *host_inventory_vars(struct inventory *inv, struct host *h);

/*
 * The hosts PATTERN names (a string with , or : between parts, or a list of them): names, groups, wildcards,
 * ~regex, [ranges], ! and &. LIMIT restricts further (NULL: none). A part that matches nothing is reported
 * through MISSING (may be NULL). Returns a list of host names in inventory order.
 */
bool inventory_match(struct inventory *inv, const struct val *pattern, const char *limit, struct arena *a,
                     struct val **ret, struct val *missing, struct err *err);
#endif
