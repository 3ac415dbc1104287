/*
 * schema - what a plain scalar means in YAML 1.1 as PyYAML reads it, for the loader and the dumper alike.
 */
#ifndef YAML_SCHEMA_H
#define YAML_SCHEMA_H
#include "base/val.h"

enum yaml_tag {
	YAML_T_STR,
	YAML_T_NULL,
	YAML_T_BOOL,
	YAML_T_INT,
	YAML_T_FLOAT,
	YAML_T_MERGE,
	YAML_T_TIMESTAMP,
	YAML_T_VALUE, /* "=" */
};

/* The tag PyYAML's implicit resolver gives the plain scalar S. */
enum yaml_tag yaml_resolve(struct str s);
/* The value of S read as TAG; NULL when S is no such thing (an explicit tag on the wrong text). */
struct val *yaml_construct(struct arena *a, enum yaml_tag tag, struct str s);
#endif
