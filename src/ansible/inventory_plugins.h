/*
 * inventory_plugins - files of an inventory that say which program makes hosts and groups of them.
 */
#ifndef ANSIBLE_INVENTORY_PLUGINS_H
#define ANSIBLE_INVENTORY_PLUGINS_H
#include "base/err.h"
#include "base/val.h"

struct inventory;

/* Does what DOC, a map with the text "plugin", asks for, on top of what INV holds so far. */
bool inventory_plugin(struct inventory *inv, const struct val *doc, struct err *err);
#endif
