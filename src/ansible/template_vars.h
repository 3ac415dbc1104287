/*
 * template_vars - what a template file may say of itself: template_path, ansible_managed and their like.
 */
#ifndef ANSIBLE_TEMPLATE_VARS_H
#define ANSIBLE_TEMPLATE_VARS_H
#include "base/val.h"

struct engine;

/* The variables of the template PATH that is written to DEST (NULL: nowhere), in a new map. They win over all
 * others of their names, as in Ansible. */
struct val *template_vars(struct engine *e, struct arena *a, const char *path, const char *dest);
#endif
