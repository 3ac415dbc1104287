/*
 * spec - what a module accepts, as a table: checked by the controller before any host is touched, by the
 * agent before the module runs, and printed by nante doc.
 */
#ifndef MODULES_SPEC_H
#define MODULES_SPEC_H
#include "base/val.h"

enum mod_type { MT_STR, MT_PATH, MT_BOOL, MT_INT, MT_FLOAT, MT_LIST, MT_DICT, MT_RAW, MT_JSONARG };

enum {
	MA_REQUIRED = 1,
	MA_NO_LOG = 2, /* its value is secret: masked in results, diffs, logs */
};

struct mod_arg {
	const char *name;
	/* Bytes, for there are some two thousand rows: an enum mod_type, MA_*, an enum mod_type. */
	uint8_t type;
	uint8_t flags;
	uint8_t elem;              /* of a list's members; MT_STR when unset */
	const char *dflt;          /* as text, converted by type; NULL: absent */
	const char *choices;       /* "present|absent" or NULL */
	const char *aliases;       /* "dest|name" or NULL */
	const char *doc;           /* one sentence */
	const struct mod_arg *sub; /* options of a dict, or of a list's dicts */
};

enum {
	MOD_CHECK = 1, /* honours check mode (others are skipped in it) */
	MOD_DIFF = 2,
	MOD_RAW_PARAMS = 4, /* takes free-form text as _raw_params (command, shell) */
	MOD_FILE_ARGS =
	        8, /* also takes owner group mode seuser serole setype selevel attributes unsafe_writes */
	MOD_CONTROLLER =
	        16,         /* runs on the controller only (set_fact, debug, ...): no run function, no host */
	MOD_READ_ONLY = 32, /* never changes anything: safe to repeat after a lost link */
	MOD_ANY_ARGS = 64,  /* names of its own beside those of its spec (set_fact, add_host) */
};

struct mod_ctx;

struct module {
	const char
	        *name; /* short: "copy"; ansible.builtin.copy, ansible.legacy.copy and FQCN of FROM find it */
	const char *from;           /* "ansible.builtin", "ansible.posix", ... */
	const char *doc;            /* one sentence */
	const struct mod_arg *args; /* ended by name NULL */
	/* More of them, of a table that several modules share; NULL, and so with MOD_FILE_ARGS. */
	const struct mod_arg *shared;
	unsigned flags;
	/* Constraints, each "a|b|c" groups separated by ';' as in Ansible's argument specs, or NULL. */
	const char *mutually_exclusive, *required_one_of, *required_together;
	/* "state=present:src|dest" separated by ';' : when state is present, src and dest are required. */
	const char *required_if;
	bool (*run)(struct mod_ctx *m); /* NULL for MOD_CONTROLLER */
};

/* By short or fully qualified name; NULL when this build has none. The table is generated from
 * src/modules/LIST-like X-macro rows in list.h. */
const struct module *module_find(struct str name);
/* Whether NAME, none of ours, is a module the field knows: of a collection by its full name, or one of those
 * that roles call by their short name. */
bool module_elsewhere(struct str name);
/* All, ended by NULL. */
extern const struct module *const module_table[];
/* The closest known module name for a did-you-mean, or NULL. */
const char *module_suggest(struct str name);

/* Whether one of the words in LIST ("a|b|c") is W. */
bool spec_choice(const char *list, struct str w);
/*
 * Checks ARGS (a map, already templated, or not: TEMPLATED false skips values that are templates) against M's
 * spec: unknown names, missing ones, types, choices, constraints. Everything wrong is added to ERRS
 * (ERR_USER, with the argument's origin). With *RET: a new map in A with aliases resolved, values converted,
 * defaults filled in and absent ones left out.
 */
bool module_check_args(const struct module *m, const struct val *args, bool templated, struct arena *a,
                       struct val **ret, struct errs *errs);
/* Generic part of it, for a role's meta/argument_specs.yml too. */
bool spec_check(const struct mod_arg *spec, const char *what, const struct val *args, bool templated,
                struct arena *a, struct val **ret, struct errs *errs);
#endif
