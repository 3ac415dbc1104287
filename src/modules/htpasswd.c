#include <openssl/evp.h>
#include <openssl/rand.h>
#include "modules/argv.h"
#include "modules/edit.h"

static const char letters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const char *salt(struct mod_ctx *m, size_t n)
{
	unsigned char bytes[32];
	char *z = arena_alloc(m->a, n + 1);
	if (n > sizeof(bytes) || RAND_bytes(bytes, (int)n) != 1)
		return NULL;
	for (size_t i = 0; i < n; i++)
		z[i] = letters[bytes[i] & 63];
	return z;
}

/* ---- Apache's MD5: the crypt of old with another name */

static void md5_parts(unsigned char out[16], const struct str *parts, size_t n)
{
	EVP_MD_CTX *ctx = xneed(EVP_MD_CTX_new());
	EVP_DigestInit_ex(ctx, EVP_md5(), NULL);
	for (size_t i = 0; i < n; i++)
		EVP_DigestUpdate(ctx, parts[i].p, parts[i].n);
	EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
}

/* The digest of the first round: as many of its bytes as the password has, and a bit pattern of its length.
 */
static void first_round(unsigned char sum[16], struct str pw, struct str slt)
{
	unsigned char other[16];
	struct buf b = {0};
	md5_parts(other, (struct str[]){pw, slt, pw}, 3);
	buf_addstr(&b, pw);
	buf_adds(&b, "$apr1$");
	buf_addstr(&b, slt);
	for (size_t left = pw.n; left > 0; left -= left > 16 ? 16 : left)
		buf_add(&b, other, left > 16 ? 16 : left);
	for (size_t n = pw.n; n; n >>= 1)
		buf_addc(&b, n & 1 || !pw.n ? '\0' : pw.p[0]);
	md5_parts(sum, (struct str[]){buf_str(&b)}, 1);
	buf_burn(&b);
}

static const char *apr1(struct mod_ctx *m, struct str pw, struct str slt)
{
	static const unsigned char order[][3] = {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}};
	unsigned char sum[16];
	struct buf b = {0};
	first_round(sum, pw, slt);
	for (int i = 0; i < 1000; i++) {
		struct str parts[4], all = str_n((const char *)sum, 16);
		size_t n = 0;
		parts[n++] = i & 1 ? pw : all;
		if (i % 3)
			parts[n++] = slt;
		if (i % 7)
			parts[n++] = pw;
		parts[n++] = i & 1 ? all : pw;
		unsigned char next[16];
		md5_parts(next, parts, n);
		memcpy(sum, next, 16);
	}
	buf_printf(&b, "$apr1$%.*s$", STR_FMT(slt));
	for (size_t i = 0; i < 6; i++) {
		unsigned v = i < 5 ? (unsigned)sum[order[i][0]] << 16 | (unsigned)sum[order[i][1]] << 8 |
		                             sum[order[i][2]]
		                   : sum[11];
		for (int k = 0; k < (i < 5 ? 4 : 2); k++, v >>= 6)
			buf_addc(&b, letters[v & 63]);
	}
	const char *z = buf_take(&b, m->a).p;
	buf_free(&b);
	return z;
}

static const char *ldap_sha1(struct mod_ctx *m, struct str pw)
{
	unsigned char sum[20];
	struct buf b = {0};
	EVP_Digest(pw.p, pw.n, sum, NULL, EVP_sha1(), NULL);
	buf_adds(&b, "{SHA}");
	buf_base64(&b, str_n((const char *)sum, sizeof(sum)));
	const char *z = buf_take(&b, m->a).p;
	buf_free(&b);
	return z;
}

/* The host's own crypt(3), by way of perl, which is essential there; the password goes over a pipe. */
static const char *host_crypt(struct mod_ctx *m, struct str pw, const char *setting)
{
	static const char program[] =
	        "local $/; my $h = crypt(<STDIN>, $ARGV[0]); print defined $h ? $h : ''";
	struct argv c = {.m = m, .input = pw};
	struct mod_out o;
	const char *perl = argv_need(m, "perl");
	if (!perl)
		return NULL;
	argv_add2(&c, perl, "-e");
	argv_add2(&c, program, setting);
	if (!argv_run(&c, &o))
		return NULL;
	/* A failure token starts with *, or nothing came. */
	return o.rc == 0 && o.out.n && o.out.p[0] != '*' ? arena_strndup(m->a, o.out.p, o.out.n) : "";
}

/* ---- schemes */

static const struct {
	const char *name, *prefix;
	size_t salt;
} crypts[] = {
        {"bcrypt", "$2y$12$", 22},
        {"sha256_crypt", "$5$rounds=535000$", 16},
        {"sha512_crypt", "$6$rounds=656000$", 16},
        {"md5_crypt", "$1$", 8},
        {"des_crypt", "", 2},
};

/* PASSWORD hashed; NULL and failed when this cannot be done here. */
static const char *hashed(struct mod_ctx *m, struct str pw)
{
	const char *scheme = mod_arg(m, "hash_scheme");
	if (strcmp(scheme, "plaintext") == 0)
		return arena_strndup(m->a, pw.p, pw.n);
	if (strcmp(scheme, "ldap_sha1") == 0)
		return ldap_sha1(m, pw);
	const char *s;
	if (strcmp(scheme, "apr_md5_crypt") == 0) {
		s = salt(m, 8);
		return apr1(m, pw, str_c(s));
	}
	for (size_t i = 0; i < sizeof(crypts) / sizeof(*crypts); i++) {
		if (strcmp(scheme, crypts[i].name) != 0)
			continue;
		s = salt(m, crypts[i].salt);
		/* Of the last of 22 letters bcrypt uses two bits only. */
		if (i == 0)
			s = arena_printf(m->a, "%.21s%c", s, ".Oeu"[s[21] & 3]);
		const char *h = host_crypt(m, pw, arena_printf(m->a, "%s%s", crypts[i].prefix, s));
		if (!h || *h)
			return h;
	}
	mod_fail(m,
	         "hash_scheme %s cannot be made here: apr_md5_crypt, ldap_sha1, plaintext, bcrypt, "
	         "sha256_crypt, "
	         "sha512_crypt, md5_crypt, des_crypt can, the last five as far as the host's crypt(3) can",
	         scheme);
	return NULL;
}

static bool matches(struct mod_ctx *m, struct str pw, struct str stored)
{
	const char *z = arena_strndup(m->a, stored.p ? stored.p : "", stored.n), *got;
	if (strncmp(z, "$apr1$", 6) == 0)
		got = apr1(m, pw, str_n(z + 6, strcspn(z + 6, "$")));
	else if (strncmp(z, "{SHA}", 5) == 0)
		got = ldap_sha1(m, pw);
	else if (*z == '$' || strlen(z) == 13)
		got = host_crypt(m, pw, z);
	else
		got = arena_strndup(m->a, pw.p, pw.n);
	/* Thirteen letters may be a password as it is. */
	return got && (strcmp(got, z) == 0 || (*z != '$' && str_eqc(pw, z)));
}

/* ---- the file */

static bool find(struct edit *e, const char *name, size_t *at)
{
	for (*at = 0; *at < e->n; (*at)++) {
		struct str rest = edit_bare(e->lines[*at]), who = str_split(&rest, ':');
		if (rest.p && str_eqc(who, name))
			return true;
	}
	return false;
}

static void drop_blank_lines(struct edit *e)
{
	for (size_t i = e->n; i-- > 0;)
		if (!str_trim(e->lines[i]).n)
			edit_remove(e, i, 1);
}

static bool put(struct edit *e, const char *path, bool existed, const char *name, struct str pw)
{
	struct mod_ctx *m = e->m;
	size_t at;
	bool there = find(e, name, &at);
	if (there) {
		struct str stored = edit_bare(e->lines[at]);
		(void)str_split(&stored, ':');
		if (matches(m, pw, stored)) {
			mod_setf(m, "msg", "%s already present", name);
			return !m->failed;
		}
	}
	if (m->failed)
		return false;
	const char *hash = hashed(m, pw);
	if (!hash)
		return false;
	edit_end_last(e);
	if (there)
		edit_remove(e, at, 1);
	edit_insert(e, there ? at : e->n, edit_ended(e, str_c(arena_printf(m->a, "%s:%s", name, hash))));
	mod_changed(m);
	if (existed)
		mod_setf(m, "msg", "Add/update %s", name);
	else
		mod_setf(m, "msg", m->check ? "Create %s" : "Created %s and added %s", path, name);
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct edit e = {0};
	struct err err = {0};
	const char *path = mod_arg(m, "path"), *name = mod_arg(m, "name");
	bool absent = mod_is(m, "state", "absent"), existed = fs_exists(path);
	size_t at;
	if (absent && !existed) {
		mod_warn(m, "%s does not exist", path);
		return mod_done(m, false, "%s not present", name);
	}
	if (!absent && !existed && !mod_bool(m, "create"))
		return mod_fail(m, "Destination %s does not exist", path);
	if (!absent && !mod_has(m, "password"))
		return mod_fail(m, "A password is required for state=present");
	if (!edit_load(&e, m, path))
		return false;
	drop_blank_lines(&e);
	if (!absent && !put(&e, path, existed, name, mod_args(m, "password")))
		return false;
	if (absent && find(&e, name, &at)) {
		edit_remove(&e, at, 1);
		mod_changed(m);
		mod_setf(m, "msg", "Remove %s", name);
	} else if (absent)
		mod_setf(m, "msg", "%s not present", name);
	if (!mod_is_changed(m) || m->check)
		return (m->check && !existed) || mod_file_args(m, path);
	return (existed || fs_mkdirs(fs_dirname(m->a, path), 0755, &err) || mod_fail_err(m, &err)) &&
	       mod_write(m, path, edit_joined(&e)) && mod_file_args(m, path);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .aliases = "dest|destfile", .doc = "The file."},
        {"name", MT_STR, MA_REQUIRED, .aliases = "username", .doc = "The user."},
        {"password", MT_STR, MA_NO_LOG, .doc = "Their password."},
        {"hash_scheme", MT_STR, .aliases = "crypt_scheme", .dflt = "apr_md5_crypt",
         .doc = "How it is hashed: apr_md5_crypt, bcrypt, sha256_crypt, sha512_crypt, md5_crypt, des_crypt, "
                "ldap_sha1 or plaintext."},
        {"state", MT_STR, .dflt = "present", .choices = "present|absent", .doc = "Whether they are in it."},
        {"create", MT_BOOL, .dflt = "true", .doc = "Make a file that is not there."},
        {NULL},
};

const struct module module_row_htpasswd = {
        .name = "htpasswd",
        .from = "community.general",
        .doc = "Keeps users and their passwords in a file for web servers.",
        .args = args,
        .flags = MOD_CHECK | MOD_FILE_ARGS,
        .run = run,
};
