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
struct vault;

/* What files beside the inventories and the playbook say of a group or host. */
struct file_vars {
	struct val **beside; /* by the number of the directory in vars_dirs; NULL: none */
	size_t n;            /* of vars_dirs, as many as were looked into */
	struct val *playbook;
	bool playbook_read;
};

struct group {
	char *name;
	struct val *vars;
	struct file_vars files;
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
	struct val *vars;
	struct file_vars files;
	struct group **groups; /* direct and indirect, sorted as their variables merge */
	size_t n_groups;
	struct group **direct; /* those that name it */
	size_t n_direct;
	bool implicit; /* localhost that nobody defined */
	bool gone;     /* a refreshed inventory has it no more */
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
	struct vault *vault; /* what opens sealed files; NULL: nothing does */
	struct host **hosts;
	size_t n_hosts;
	struct val *by_name; /* a host's name -> its index */
	struct group **groups;
	size_t n_groups;
	const char **specs; /* what was loaded, as it was named; files with their whole path */
	size_t n_specs;
	const char *source;     /* what is read just now: hosts remember it; NULL: nothing is */
	const char **vars_dirs; /* directories that hold group_vars/ and host_vars/, weakest first */
	size_t n_vars_dirs;
	const char *playbook_dir; /* read on top of those; NULL: none yet */
	bool merge_hashes;        /* dictionaries of one name go into each other */
};

struct inventory *inventory_new(struct arena *a, struct sources *ss);
struct host *inventory_host(const struct inventory *inv, struct str name);
struct group *inventory_group(const struct inventory *inv, struct str name);
/* The host that "localhost", "127.0.0.1" or "::1" means though it is not called so; NULL: none. */
struct host *inventory_local(const struct inventory *inv);
bool inventory_is_local(struct str name);
/* Back to no groups, no places, and hosts that are gone until they are added again. */
void inventory_clear(struct inventory *inv);
/* Found or made. */
struct host *inventory_add_host(struct inventory *inv, struct str name);
struct group *inventory_add_group(struct inventory *inv, struct str name);
/* Whether G itself names H, not a child of G's. */
bool group_has(const struct group *g, const struct host *h);
void group_add_host(struct inventory *inv, struct group *g, struct host *h);
/* False when CHILD would become its own ancestor. */
bool group_add_child(struct inventory *inv, struct group *g, struct group *child);
/* Recomputes group membership and forgets merged variables; call after changing groups. */
void inventory_settle(struct inventory *inv);

/* SPEC: "host1,host2," or the path of a file (ini, yaml, json, or a program that prints json) or of a
 * directory of them. When all are loaded, inventory_settle() is due. */
bool inventory_load(struct inventory *inv, const char *spec, struct err *err);
/* Reads all that was loaded once more: hosts and groups become what it says now, what the run knows of hosts
 * stays with them. */
bool inventory_refresh(struct inventory *inv, struct err *err);
bool inventory_parse_ini(struct inventory *inv, struct str text, uint32_t src, struct err *err);
bool inventory_parse_yaml(struct inventory *inv, const struct val *doc, struct err *err);
/* Runs the program PATH with --list (and --host NAME where its answer has no _meta). */
bool inventory_run_script(struct inventory *inv, const char *path, struct err *err);

/* The names of hosts TEXT stands for ("web[1:3].x:2222") and their port, 0 when there is none. */
bool inventory_hosts_named(struct arena *a, struct str text, struct origin at, struct val *names,
                           int64_t *ret_port, struct err *err);
/* Whether TEXT is one host's address, with ranges and a port perhaps; not several parted by colons. */
bool inventory_address(struct str text, struct str *ret_name, int64_t *ret_port);
/* All hosts TEXT stands for, found or made, in G, with the port and VARS. */
bool inventory_add_hosts(struct inventory *inv, struct group *g, struct str text, struct origin at,
                         const struct val *vars, struct err *err);
/* A group's variable; ansible_group_priority is none. */
void group_set_var(struct group *g, struct val *key, struct val *v);

/* The YAML of the file PATH, opened where it is sealed. */
bool inventory_read_yaml(struct inventory *inv, const char *path, struct val **ret, uint32_t *ret_src,
                         struct err *err);
/* DIR/group_vars and DIR/host_vars count, on top of earlier directories. */
bool inventory_vars_dir(struct inventory *inv, const char *dir, struct err *err);
/* The same for the directory of the playbook whose plays come now: what an earlier playbook's directory gave
 * is forgotten. */
bool inventory_playbook_dir(struct inventory *inv, const char *dir, struct err *err);
/* Looks for the files of hosts and groups that came since. */
bool inventory_read_files(struct inventory *inv, struct err *err);
/* Hosts in an order, each once. */
struct host_set {
	struct arena *a;
	struct host **v;
	size_t n;
	bool *in; /* by host index */
	size_t n_in;
};
void host_set_add(struct host_set *s, struct host *h);
bool host_set_has(const struct host_set *s, const struct host *h);
/* The hosts of G in Ansible's order: its own, then those of its children, of their children ... */
void group_hosts(struct group *g, struct host_set *s);

/* The host's inventory variables by Ansible's precedence. */
struct val *host_inventory_vars(struct inventory *inv, struct host *h);
/* Those of them that the inventories themselves say, a fresh map. */
struct val *host_own_vars(const struct inventory *inv, const struct host *h);

/*
 * The hosts PATTERN names (a string with , or : between parts, or a list of them): names, groups, wildcards,
 * ~regex, [ranges], ! and &. LIMIT restricts further (NULL: none). A part that matches nothing is reported
 * through MISSING (may be NULL). Returns a list of host names, in the order of the pattern's parts and of the
 * groups they name.
 */
bool inventory_match(struct inventory *inv, const struct val *pattern, const char *limit, struct arena *a,
                     struct val **ret, struct val *missing, struct err *err);
#endif
