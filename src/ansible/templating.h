/*
 * templating - what Ansible adds to Jinja2 that needs files, YAML or hosts: lookups, query, to_yaml, ...
 */
#ifndef ANSIBLE_TEMPLATING_H
#define ANSIBLE_TEMPLATING_H
#include "base/str.h"

struct arena;
struct engine;
struct jinja_env;
struct jinja_table;
struct tmpl_cache;

/* What templates of E's scopes are compiled in, and what "omit" is to them. */
struct jinja_env *templating_env(const struct engine *e);
struct str templating_omit(const struct engine *e);
void templating_add(struct jinja_env *env);
/* What that adds; the last table has no rows. */
const struct jinja_table *templating_tables(void);
struct tmpl_cache *tmpl_cache_new(struct arena *a);
#endif
