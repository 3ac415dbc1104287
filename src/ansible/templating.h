/*
 * templating - what Ansible adds to Jinja2 that needs files, YAML or hosts: lookups, query, to_yaml, ...
 */
#ifndef ANSIBLE_TEMPLATING_H
#define ANSIBLE_TEMPLATING_H

struct arena;
struct jinja_env;
struct jinja_func;
struct tmpl_cache;

void templating_add(struct jinja_env *env);
extern const struct jinja_func ansible_globals[], ansible_yaml_filters[];
struct tmpl_cache *tmpl_cache_new(struct arena *a);
#endif
