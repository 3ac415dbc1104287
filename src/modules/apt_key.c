/* apt_key: without gpg and apt-key, which newer distributions no longer have: keyrings are files of packets.
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/fetch_url.h"
#include "modules/pgp.h"

static const char trusted_dir[] = "/etc/apt/trusted.gpg.d";

struct rings {
	struct mod_ctx *m;
	const char **paths;
	size_t n;
};

/* Every keyring apt trusts, or the one the task names. */
static bool find_rings(struct rings *r)
{
	struct mod_ctx *m = r->m;
	struct dirent **list;
	const char *one = mod_arg(m, "keyring");
	int n = one ? 0 : scandir(trusted_dir, &list, NULL, alphasort);
	r->paths = arena_array(m->a, (size_t)(n > 0 ? n : 0) + 2, sizeof(*r->paths));
	r->paths[r->n++] = one ? one : "/etc/apt/trusted.gpg";
	for (int i = 0; i < n; i++) {
		struct str name = str_c(list[i]->d_name);
		if (str_ends(name, ".gpg") || str_ends(name, ".asc"))
			r->paths[r->n++] = fs_join(m->a, trusted_dir, list[i]->d_name);
		free(list[i]);
	}
	if (!one && n >= 0)
		free(list);
	return true;
}

/* The packets of a keyring; p is NULL when it is missing or empty. */
static bool read_ring(struct mod_ctx *m, const char *path, struct str *ret)
{
	struct str text;
	*ret = (struct str){0};
	if (!mod_read_maybe(m, path, &text))
		return false;
	if (text.n > 12 && memcmp(text.p + 8, "KBXf", 4) == 0)
		return mod_fail(m, "%s is a keybox, which apt cannot read either", path);
	return !text.n || pgp_packets(m->a, text, ret) || mod_fail(m, "%s is no keyring", path);
}

static bool list_ids(struct rings *r, struct val **ret)
{
	*ret = val_list(r->m->a);
	for (size_t i = 0; i < r->n; i++) {
		struct str rest;
		struct pgp_key k;
		if (!read_ring(r->m, r->paths[i], &rest))
			return false;
		while (rest.n && pgp_next(r->m->a, &rest, &k)) {
			size_t len = strlen(k.fingerprint);
			val_push(*ret, val_strz(r->m->a, k.fingerprint + (len > 16 ? len - 16 : 0)));
		}
	}
	return true;
}

static bool is_trusted(struct rings *r, const char *id, bool *ret)
{
	*ret = false;
	for (size_t i = 0; i < r->n && !*ret; i++) {
		struct str rest;
		struct pgp_key k;
		if (!read_ring(r->m, r->paths[i], &rest))
			return false;
		while (rest.n && !*ret && pgp_next(r->m->a, &rest, &k))
			*ret = pgp_is(&k, id);
	}
	return true;
}

/* Where a key server answers requests for keys. */
static const char *server_url(struct mod_ctx *m, const char *server, const char *id)
{
	static const struct {
		const char *scheme, *base;
	} schemes[] = {{"hkps://", "https://"},
	               {"hkp://", "http://"},
	               {"https://", "https://"},
	               {"http://", "http://"}};
	const char *base = "http://", *host = server, *port = ":11371";
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t n = strlen(schemes[i].scheme);
		if (strncmp(server, schemes[i].scheme, n) != 0)
			continue;
		base = schemes[i].base;
		host = server + n;
		port = i == 1 ? port : "";
		break;
	}
	if (strchr(host, ':'))
		port = "";
	return arena_printf(m->a, "%s%s%s/pks/lookup?op=get&options=mr&search=0x%s", base, host, port, id);
}

static bool get_data(struct mod_ctx *m, const char *id, struct str *ret)
{
	const char *url = mod_arg(m, "url");
	struct fetched got;
	if (mod_has(m, "data")) {
		*ret = mod_args(m, "data");
		return true;
	}
	if (mod_has(m, "file"))
		return mod_read(m, mod_arg(m, "file"), ret);
	if (mod_has(m, "keyserver"))
		url = id ? server_url(m, mod_arg(m, "keyserver"), id) : NULL;
	if (!url)
		return mod_fail(m, "no key to add was given: url, data, file or keyserver with id");
	fetch_url(m, &(struct fetch){.url = url, .out_fd = -1}, &got);
	if (got.status != 200)
		return mod_fail(m, "Failed to download key at %s: %s", url, got.msg);
	*ret = got.body;
	return true;
}

/* apt tells the two kinds of keyring by their names. */
static bool save_ring(struct mod_ctx *m, const char *path, struct str packets)
{
	struct str data = str_ends(str_c(path), ".asc") ? pgp_armor(m->a, packets) : packets;
	struct err e = {0};
	bool made = !fs_exists(path);
	if (!fs_mkdirs(fs_dirname(m->a, path), 0755, &e))
		return mod_fail_err(m, &e);
	if (!mod_write(m, path, data))
		return false;
	/* apt reads it as a user of its own. */
	return !made || chmod(path, 0644) == 0 || mod_fail_sys(m, "cannot set the mode of %s", path);
}

static bool add_key(struct rings *r, const char *id, struct str packets, const struct pgp_key *first)
{
	struct mod_ctx *m = r->m;
	struct buf b = {0};
	struct str old = {0};
	const char *path = mod_arg(m, "keyring");
	if (!path)
		path = arena_printf(m->a, "%s/%s.gpg", trusted_dir, id ? id : first->fingerprint);
	if (!read_ring(m, path, &old))
		return false;
	buf_addstr(&b, old);
	buf_addstr(&b, packets);
	bool ok = save_ring(m, path, buf_str(&b));
	buf_free(&b);
	return ok;
}

/* The key out of every keyring that has it; a keyring of its own goes as a whole. */
static bool remove_key(struct rings *r, const char *id)
{
	struct mod_ctx *m = r->m;
	for (size_t i = 0; i < r->n; i++) {
		struct str rest;
		struct pgp_key k;
		struct buf b = {0};
		bool hit = false, ok = read_ring(m, r->paths[i], &rest);
		while (ok && rest.n && pgp_next(m->a, &rest, &k)) {
			bool is = pgp_is(&k, id);
			hit = hit || is;
			if (!is)
				buf_addstr(&b, k.packets);
		}
		if (ok && hit)
			ok = b.n ? save_ring(m, r->paths[i], buf_str(&b))
			         : unlink(r->paths[i]) == 0 ||
			                     mod_fail_sys(m, "cannot remove %s", r->paths[i]);
		buf_free(&b);
		if (!ok)
			return false;
	}
	return true;
}

static bool make_present(struct rings *r, const char *id)
{
	struct mod_ctx *m = r->m;
	struct str data, packets, rest;
	struct pgp_key first, k;
	bool have = false, found = id == NULL;
	if (id && (!is_trusted(r, id, &have) || have))
		return !m->failed;
	if (!get_data(m, id, &data))
		return false;
	if (!pgp_packets(m->a, data, &packets) || (rest = packets, !pgp_next(m->a, &rest, &first)))
		return mod_fail(m, "No key to add could be found in what was given");
	k = first;
	while (id && !(found = pgp_is(&k, id)) && rest.n && pgp_next(m->a, &rest, &k))
		;
	if (!found)
		return mod_fail(m, "key does not seem to have been added: it is not %s but %s", id,
		                first.fingerprint);
	size_t len = strlen(first.fingerprint);
	mod_sets(m, "fp", first.fingerprint);
	mod_sets(m, "key_id", first.fingerprint + (len > 16 ? len - 16 : 0));
	mod_sets(m, "short_id", first.fingerprint + (len > 8 ? len - 8 : 0));
	mod_sets(m, "id", id ? id : first.fingerprint + (len > 16 ? len - 16 : 0));
	if (!is_trusted(r, first.fingerprint, &have) || have)
		return !m->failed;
	mod_changed(m);
	return m->check || add_key(r, id, packets, &first);
}

static bool run(struct mod_ctx *m)
{
	struct rings r = {.m = m};
	struct val *before, *after;
	const char *id = mod_arg(m, "id");
	bool have;
	if (id && strncmp(id, "0x", 2) == 0)
		id += 2;
	if (id && (strspn(id, "0123456789abcdefABCDEF") != strlen(id) || strlen(id) < 8))
		return mod_fail(m, "Invalid key_id: %s", id);
	if (!find_rings(&r) || !list_ids(&r, &before))
		return false;
	mod_set(m, "before", before);
	if (mod_is(m, "state", "present")) {
		if (!make_present(&r, id))
			return false;
	} else {
		if (!id)
			return mod_fail(m, "key is required to remove a key: id is missing");
		if (!is_trusted(&r, id, &have))
			return false;
		if (have) {
			mod_changed(m);
			if (!m->check && !remove_key(&r, id))
				return false;
		}
	}
	struct rings now = {.m = m};
	if (!find_rings(&now) || !list_ids(&now, &after))
		return false;
	mod_set(m, "after", after);
	return true;
}

static const struct mod_arg args[] = {
        {"id", MT_STR, .doc = "The key's id or fingerprint."},
        {"url", MT_STR, .doc = "Where to fetch it."},
        {"data", MT_STR, .doc = "The key itself."},
        {"file", MT_PATH, .doc = "A file on the host that holds it."},
        {"keyserver", MT_STR, .doc = "The key server to ask for id."},
        {"keyring", MT_PATH, .doc = "The keyring; by default one in /etc/apt/trusted.gpg.d."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether apt trusts it."},
        {"validate_certs", MT_BOOL, .dflt = "true", .doc = "Check the server's certificate."},
        {NULL},
};

const struct module module_row_apt_key = {
        .name = "apt_key",
        .from = "ansible.builtin",
        .doc = "Keeps a key apt trusts.",
        .args = args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "data|file|keyserver|url",
        .run = run,
};
