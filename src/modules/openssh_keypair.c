#include <ctype.h>
#include <stdio.h>
#include <unistd.h>
#include "modules/argv.h"

struct keypair {
	struct mod_ctx *m;
	const char *program, *path, *public_path, *comment;
	int64_t size;
	/* What is there, as ssh-keygen tells it; fingerprint NULL when there is no key it can read. */
	const char *fingerprint, *type, *words; /* words: "type data" of the public half */
	int64_t bits;
};

static bool take_size(struct keypair *k)
{
	struct mod_ctx *m = k->m;
	bool rsa = mod_is(m, "type", "rsa"), ecdsa = mod_is(m, "type", "ecdsa");
	k->size = ecdsa || !rsa ? 256 : 4096;
	if (rsa || ecdsa)
		k->size = mod_int(m, "size", k->size);
	if (rsa && k->size < 1024)
		return mod_fail(m, "For RSA keys, the minimum size is 1024 bits and the default is 4096 "
		                   "bits. Attempting to "
		                   "use bit lengths under 1024 will cause the module to fail.");
	if (ecdsa && k->size != 256 && k->size != 384 && k->size != 521)
		return mod_fail(m, "For ECDSA keys, size determines the key length by selecting from one of "
		                   "three elliptic "
		                   "curve sizes: 256, 384 or 521 bits. Attempting to use bit lengths other "
		                   "than these three "
		                   "values for ECDSA keys will cause this module to fail.");
	return true;
}

static struct argv keygen(struct keypair *k)
{
	struct argv c = {.m = k->m};
	argv_add(&c, k->program);
	return c;
}

/* The public half of the private key, and what "256 SHA256:... comment (ED25519)" says of it. */
static bool look(struct keypair *k)
{
	struct arena *a = k->m->a;
	struct argv pub = keygen(k), list = keygen(k);
	struct mod_out out;
	k->fingerprint = NULL;
	if (!fs_exists(k->path))
		return true;
	argv_add2(&pub, "-y", "-P");
	argv_add2(&pub, "", "-f");
	argv_add(&pub, k->path);
	if (!argv_run(&pub, &out))
		return false;
	if (out.rc != 0)
		return true;
	struct str line = str_trim(out.out), type = str_split(&line, ' '), data = str_split(&line, ' ');
	k->words = arena_printf(a, "%.*s %.*s", STR_FMT(type), STR_FMT(data));
	argv_add2(&list, "-l", "-f");
	argv_add(&list, "-");
	list.input = str_c(k->words);
	if (!argv_must(&list, &out))
		return false;
	line = str_trim(out.out);
	str_int(str_split(&line, ' '), &k->bits);
	struct str print = str_split(&line, ' ');
	k->fingerprint = arena_strndup(a, print.p ? print.p : "", print.n);
	while (line.n && memchr(line.p, '(', line.n))
		(void)str_split(&line, '(');
	char *z = arena_strndup(a, line.p ? line.p : "", line.n ? line.n - 1 : 0);
	for (char *p = z; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	k->type = z;
	return true;
}

/* Whether the public file is that of the key, with the comment that is wanted; *COMMENT is the one it has. */
static bool public_matches(struct keypair *k, struct str *comment, bool *ret)
{
	struct str text;
	if (!mod_read_maybe(k->m, k->public_path, &text))
		return false;
	*comment = str_trim(text);
	struct str type = str_split(comment, ' '),
	           data = comment->p ? str_split(comment, ' ') : (struct str){0};
	const char *words = arena_printf(k->m->a, "%.*s %.*s", STR_FMT(type), STR_FMT(data));
	*ret = text.p && strcmp(words, k->words) == 0 && (!k->comment || str_eqc(*comment, k->comment));
	return true;
}

/* A pair made beside its place, and moved there: the public half first, as the other is what is looked at. */
static bool generate(struct keypair *k)
{
	struct mod_ctx *m = k->m;
	struct argv c = keygen(k);
	struct mod_out out;
	const char *temp = arena_printf(m->a, "%s/.ansible_tmp%s.%d", fs_dirname(m->a, k->path),
	                                fs_basename(k->path), (int)getpid());
	const char *temp_pub = arena_printf(m->a, "%s.pub", temp);
	unlink(temp);
	argv_add2(&c, "-q", "-N");
	argv_add2(&c, "", "-b");
	argv_addf(&c, "%lld", (long long)k->size);
	argv_add2(&c, "-t", mod_arg(m, "type"));
	argv_add2(&c, "-C", k->comment ? k->comment : "");
	argv_add2(&c, "-f", temp);
	bool ok = argv_must(&c, &out);
	ok = ok && ((rename(temp_pub, k->public_path) == 0 && rename(temp, k->path) == 0) ||
	            mod_fail_sys(m, "cannot replace %s", k->path));
	if (!ok) {
		unlink(temp);
		unlink(temp_pub);
	}
	return ok;
}

static bool restore_public(struct keypair *k)
{
	struct mod_ctx *m = k->m;
	struct err e = {0};
	struct str line = str_c(arena_printf(m->a, "%s%s%s\n", k->words, k->comment && *k->comment ? " " : "",
	                                     k->comment ? k->comment : ""));
	if (fs_exists(k->public_path))
		return mod_write(m, k->public_path, line);
	return fs_write(k->public_path, line, 0644, &e) || mod_fail_err(m, &e);
}

/* Whether a key is to be made; false and failed when one is there that must not be touched. */
static bool decide(struct keypair *k, bool *make)
{
	struct mod_ctx *m = k->m;
	bool always = mod_bool(m, "force") || mod_is(m, "regenerate", "always"),
	     full = mod_is(m, "regenerate", "full_idempotence");
	bool fits = k->fingerprint && strcmp(k->type, mod_arg(m, "type")) == 0 && k->bits == k->size;
	*make = always || !fs_exists(k->path);
	if (*make)
		return true;
	if (!k->fingerprint && !full)
		return mod_fail(
		        m,
		        "Unable to read the key. The key is protected with a passphrase or broken. Will not "
		        "proceed. "
		        "To force regeneration, call the module with `generate` set to `full_idempotence` or "
		        "`always`, or with `force=true`.");
	if (!fits && mod_is(m, "regenerate", "fail"))
		return mod_fail(m, "Key has wrong type and/or size. Will not proceed. To force regeneration, "
		                   "call the module "
		                   "with `generate` set to `partial_idempotence`, `full_idempotence` or "
		                   "`always`, or with "
		                   "`force=true`.");
	*make = !fits && !mod_is(m, "regenerate", "never");
	return true;
}

static bool make_present(struct keypair *k)
{
	struct mod_ctx *m = k->m;
	bool make, good = true;
	struct str comment = {0};
	if (!decide(k, &make) || (!make && !public_matches(k, &comment, &good)))
		return false;
	if (make || !good)
		mod_changed(m);
	if (m->check && (make || !good))
		return true;
	if (make ? !generate(k) || !look(k) : !good && !restore_public(k))
		return false;
	if ((make || !good) && !public_matches(k, &comment, &good))
		return false;
	mod_sets(m, "fingerprint", k->fingerprint ? k->fingerprint : "");
	mod_sets(m, "public_key", k->words ? k->words : "");
	mod_setstr(m, "comment", comment);
	return mod_file_args(m, k->path) && mod_file_args(m, k->public_path);
}

static bool make_absent(struct keypair *k)
{
	const char *const paths[] = {k->path, k->public_path};
	for (size_t i = 0; i < 2; i++) {
		if (!fs_exists(paths[i]))
			continue;
		mod_changed(k->m);
		if (!k->m->check && unlink(paths[i]) != 0)
			return mod_fail_sys(k->m, "cannot remove %s", paths[i]);
	}
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct keypair k = {.m = m, .path = mod_arg(m, "path"), .comment = mod_arg(m, "comment")};
	const char *dir = fs_dirname(m->a, k.path);
	k.public_path = arena_printf(m->a, "%s.pub", k.path);
	if (!take_size(&k))
		return false;
	if (!fs_is_dir(dir)) {
		mod_sets(m, "name", dir);
		return mod_fail(m, "The directory %s does not exist or the file is not a directory", dir);
	}
	if (fs_is_dir(k.path))
		return mod_fail(m, "%s is a directory. Please specify a path to a file.", k.path);
	mod_sets(m, "filename", k.path);
	mod_sets(m, "type", mod_arg(m, "type"));
	mod_seti(m, "size", k.size);
	if (mod_is(m, "state", "absent"))
		return make_absent(&k);
	k.program = argv_need(m, "ssh-keygen");
	return k.program && look(&k) && make_present(&k);
}

static const struct mod_arg args[] = {
        {"path", MT_PATH, MA_REQUIRED, .doc = "The private key; the public one has .pub behind its name."},
        {"state", MT_STR, .dflt = "present", .choices = "absent|present", .doc = "Whether they are there."},
        {"type", MT_STR, .dflt = "rsa", .choices = "ecdsa|ed25519|rsa", .doc = "The kind of key."},
        {"size", MT_INT, .doc = "Its bits: 4096 for RSA, 256 for ECDSA by default."},
        {"comment", MT_STR, .doc = "The comment of the public key."},
        {"regenerate", MT_STR, .dflt = "partial_idempotence",
         .choices = "never|fail|partial_idempotence|full_idempotence|always",
         .doc = "When a key that is there is replaced."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Make a new one each time."},
        {"backend", MT_STR, .dflt = "auto", .choices = "auto|opensshbin",
         .doc = "Accepted; it is ssh-keygen."},
        {NULL},
};

const struct module module_row_openssh_keypair = {
        .name = "openssh_keypair",
        .from = "community.crypto",
        .doc = "Keeps a pair of keys for SSH.",
        .args = args,
        .flags = MOD_CHECK | MOD_FILE_ARGS,
        .run = run,
};
