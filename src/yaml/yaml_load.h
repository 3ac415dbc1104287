/*
 * yaml - a YAML 1.1 text as values, every one with its origin. libyaml parses; the schema is PyYAML's
 * (yes/no/on/off, octal 0NNN, 1_000, merge keys), as Ansible reads files.
 */
#ifndef YAML_YAML_LOAD_H
#define YAML_YAML_LOAD_H
#include "base/val.h"

/*
 * All documents of TEXT as a list in *RET (an empty text gives an empty list). SRC is its id in the sources.
 * Errors (ERR_USER) carry the origin: syntax, unknown tags, duplicate keys are warned about through WARN
 * (ctx, origin, text; may be NULL) because Ansible lets the last one win.
 * !unsafe marks the value unsafe; a !vault text is what VAULT makes of it, and refused where there is none.
 */
struct yaml_opts {
	void (*warn)(void *ctx, struct origin at, const char *msg);
	void *ctx;
	struct val *(*vault)(void *ctx, struct arena *a, struct str sealed, struct origin at);
	void *vault_ctx;
};

bool yaml_load_all(struct arena *a, struct str text, uint32_t src, const struct yaml_opts *opts,
                   struct val **ret, struct err *err);
/* The single document of TEXT; VAL_NULL for an empty one. */
bool yaml_load(struct arena *a, struct str text, uint32_t src, const struct yaml_opts *opts, struct val **ret,
               struct err *err);

/*
 * Where byte POS of the scalar TEXT, which begins at AT, stands in the file SOURCE: folded and indented lines
 * and escapes make the two differ.
 */
struct origin yaml_locate(struct str source, struct origin at, struct str text, size_t pos);

struct yaml_style {
	int indent;      /* spaces per level; PyYAML's default is 2 */
	int width;       /* fold plain and quoted scalars beyond it; PyYAML's default is 80; 0: never */
	bool sort_keys;  /* Ansible's to_yaml and to_nice_yaml sort by default */
	bool flow;       /* PyYAML's default_flow_style=None (to_yaml): leaf collections in flow style */
	bool unicode;    /* allow_unicode */
	bool all_flow;   /* default_flow_style=True: all of them */
	bool start, end; /* explicit_start, explicit_end */
	char quote;      /* default_style: the first character of every scalar, ' " | or >; 0: as fits */
};

/* Byte for byte what PyYAML's dump (through Ansible's AnsibleDumper) writes, with the newline at the end. */
void yaml_dump(const struct val *v, struct yaml_style style, struct buf *out);
#endif
