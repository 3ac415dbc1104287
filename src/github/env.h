/*
 * env - the names and values a run sees: the process environment, --env-file, and the input "secrets", as one
 * map of strings. What came in as a secret is marked so.
 */
#ifndef GITHUB_ENV_H
#define GITHUB_ENV_H
#include "base/val.h"

/* The environment block ENVP as a map in A. A value whose name speaks of a secret, or that is a private key
 * or a URL with a password, is marked secret. */
struct val *env_load(struct arena *a, char *const *envp);
/*
 * Adds the NAME=value lines of an env file, source SRC of SS, to MAP; what is there already is replaced.
 * Knows comments, "export", 'literal' and "escaped" values over several lines. Errors carry their line.
 */
bool env_read_file(struct arena *a, const struct sources *ss, uint32_t src, struct val *map, struct err *err);
/* Adds the members of a JSON object of strings (the input "secrets"), all marked secret; what is there stays.
 */
bool env_add_json(struct arena *a, struct str json, uint32_t src, struct val *map, struct err *err);
/* The value of NAME, or NULL when it is not there or empty. */
const char *env_get(const struct val *map, const char *name);
/*
 * Takes what MAP marks secret, and every input, out of the environment block ENVP: who looks at this process
 * does not find it, and children do not get it. A proxy's address stays: it is what children need it for.
 */
void env_scrub(char **envp, const struct val *map);
/* Whether the secret VALUE is too short to be hidden in a log. What only switches something is no secret. */
bool env_too_short(struct str name, struct str value);
/* Whether a value holds a secret, whatever its name: a private key, a URL with a password. */
bool env_holds_secret(struct str value);
/* Whether a variable of this name holds a secret, as far as a name can tell. */
bool env_names_secret(struct str name);
#endif
