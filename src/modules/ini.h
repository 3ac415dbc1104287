/*
 * ini - the reading of ini text as Python's configparser does it: for local facts.
 */
#ifndef MODULES_INI_H
#define MODULES_INI_H
#include "base/val.h"

/* {section: {option: text}}, option names in lower case. NULL: configparser would refuse TEXT, for a
 * line that is in no section or has no = and no :, or for a name that is there twice.
 */
struct val *ini_to_val(struct arena *a, struct str text);
#endif
