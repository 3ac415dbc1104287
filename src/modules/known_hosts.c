#include <ctype.h>
#include <fnmatch.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include "modules/edit.h"
#include "modules/words.h"

/* A line of known_hosts: [@marker] hosts type key. */
struct entry {
	struct str marker, hosts, type, key;
};

static bool parse(struct str line, struct entry *e)
{
	*e = (struct entry){0};
	struct str first = words_next(&line);
	if (!first.n || first.p[0] == '#')
		return false;
	if (first.p[0] == '@')
		e->marker = first;
	e->hosts = e->marker.n ? words_next(&line) : first;
	e->type = words_next(&line);
	e->key = words_next(&line);
	return e->key.n > 0;
}

/* "|1|salt|hash" of HOST, as OpenSSH hides names; with SALT's bytes. */
static struct str hashed(struct arena *a, const char *host, struct str salt)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	struct buf b = {0};
	HMAC(EVP_sha1(), salt.p, (int)salt.n, (const unsigned char *)host, strlen(host), mac, &n);
	buf_adds(&b, "|1|");
	buf_base64(&b, salt);
	buf_addc(&b, '|');
	buf_base64(&b, str_n((const char *)mac, n));
	struct str s = buf_take(&b, a);
	buf_free(&b);
	return s;
}

static bool is_hashed(struct str hosts)
{
	return str_starts(hosts, "|1|");
}

/* Whether HOSTS ("a,b*,!c" or a hash) means HOST. */
static bool means(struct arena *a, struct str hosts, const char *host)
{
	bool yes = false;
	if (is_hashed(hosts)) {
		struct str rest = str_n(hosts.p + 3, hosts.n - 3), part = str_split(&rest, '|');
		struct buf salt = {0};
		yes = buf_unbase64(&salt, part) && str_eq(hashed(a, host, buf_str(&salt)), hosts);
		buf_free(&salt);
		return yes;
	}
	while (hosts.p) {
		struct str one = str_split(&hosts, ',');
		bool not = str_starts(one, "!");
		char *pattern = arena_strndup(a, one.p + not, one.n - not );
		for (char *p = pattern; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		/* Brackets are part of a name with a port, no pattern. */
		bool hit = strpbrk(pattern, "*?") ? fnmatch(pattern, host, FNM_NOESCAPE) == 0
		                                  : strcmp(pattern, host) == 0;
		if (hit && not )
			return false;
		yes = yes || hit;
	}
	return yes;
}

struct known {
	struct edit e;
	struct mod_ctx *m;
	const char *host;
	struct str line; /* the key as a whole line; p NULL without one */
	struct entry key;
	size_t at;              /* the line with a key of that type, or SIZE_MAX */
	bool exact, host_known; /* that line is just the key; the host has any line */
};

static bool take_key(struct known *k)
{
	struct mod_ctx *m = k->m;
	struct str text = str_trim(mod_args(m, "key"));
	if (!text.n)
		return mod_is(m, "state", "absent") || mod_fail(m, "No key specified when adding a host");
	const char *comma = strchr(k->host, ',');
	if (comma && comma != k->host)
		return mod_fail(
		        m, "Comma separated list of names is not supported. Please pass a single name to "
		           "lookup in the known_hosts file.");
	/* Its comments stay before it. */
	struct str rest = text;
	while (!parse(rest, &k->key) && rest.n)
		(void)str_split(&rest, '\n');
	if (!rest.n || !means(m->a, k->key.hosts, k->host))
		return mod_fail(m, "Host parameter does not match hashed host field in supplied key");
	if (mod_bool(m, "hash_host")) {
		unsigned char salt[20];
		if (RAND_bytes(salt, sizeof(salt)) != 1)
			return mod_fail(m, "no random bytes can be had");
		rest = str_n(k->key.hosts.p + k->key.hosts.n,
		             (size_t)(text.p + text.n - k->key.hosts.p) - k->key.hosts.n);
		k->key.hosts = hashed(m->a, k->host, str_n((const char *)salt, sizeof(salt)));
		text = str_c(arena_printf(m->a, "%.*s%s%.*s%.*s", STR_FMT(k->key.marker),
		                          k->key.marker.n ? " " : "", STR_FMT(k->key.hosts), STR_FMT(rest)));
	}
	k->line = edit_ended(&k->e, text);
	return true;
}

static void look(struct known *k)
{
	struct entry f;
	k->at = SIZE_MAX;
	for (size_t i = 0; i < k->e.n && !k->exact; i++) {
		if (!parse(k->e.lines[i], &f) || !means(k->m->a, f.hosts, k->host))
			continue;
		k->host_known = true;
		if (!k->line.p || !str_eq(f.type, k->key.type))
			continue;
		bool hosts = str_eq(f.hosts, k->key.hosts) || (is_hashed(f.hosts) && is_hashed(k->key.hosts));
		k->exact = hosts && str_eq(f.marker, k->key.marker) && str_eq(f.key, k->key.key);
		if (k->exact || k->at == SIZE_MAX)
			k->at = i;
	}
}

/* Every line of the host; those of certificate authorities speak for others too. */
static void forget_host(struct known *k)
{
	struct entry f;
	for (size_t i = k->e.n; i-- > 0;)
		if (parse(k->e.lines[i], &f) && means(k->m->a, f.hosts, k->host) &&
		    !str_eqc(f.marker, "@cert-authority"))
			edit_remove(&k->e, i, 1);
}

static bool run(struct mod_ctx *m)
{
	struct known k = {.m = m};
	const char *path = mod_arg(m, "path");
	char *host = arena_strdup(m->a, mod_arg(m, "name"));
	for (char *p = host; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	k.host = host;
	if (!edit_load(&k.e, m, path) || !take_key(&k))
		return false;
	look(&k);
	if (mod_is(m, "state", "present")) {
		if (!k.exact) {
			if (k.at != SIZE_MAX)
				edit_remove(&k.e, k.at, 1);
			edit_end_last(&k.e);
			edit_insert(&k.e, k.e.n, k.line);
		}
	} else if (!k.line.p) {
		forget_host(&k);
	} else if (k.at != SIZE_MAX) {
		edit_remove(&k.e, k.at, 1);
	}
	if (m->check)
		return edit_save(&k.e);
	mod_sets(m, "name", mod_arg(m, "name"));
	mod_set(m, "key", mod_has(m, "key") ? val_get(m->args, "key") : val_null());
	mod_sets(m, "path", path);
	mod_sets(m, "state", mod_arg(m, "state"));
	mod_setb(m, "hash_host", mod_bool(m, "hash_host"));
	return edit_save(&k.e);
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "host",
         .doc = "The host, [host]:port when the port is its own."},
        {"key", MT_STR, .doc = "Its line: names, type and key."},
        {"path", MT_PATH, .dflt = "~/.ssh/known_hosts", .doc = "The file."},
        {"hash_host", MT_BOOL, .dflt = "false", .doc = "Hide the name."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether it is there."},
        {NULL},
};

const struct module module_row_known_hosts = {
        .name = "known_hosts",
        .from = "ansible.builtin",
        .doc = "Keeps the key of a host that ssh connects to.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .run = run,
};
