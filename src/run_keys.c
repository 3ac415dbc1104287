/*
 * The secrets that have a form of their own: keys, the API's address and token. What people paste instead is
 * told from what is merely broken.
 */
#include "run.h"

#include "base/val.h"

static bool refuse(struct errs *errs, const char *what, const char *hint)
{
	struct err *e = errs_add(errs);

	err_set(e, ERR_USER, ORIGIN_NONE, "%s", what);
	return err_hint(e, "%s", hint);
}

#define WHOLE "the whole file with its line breaks, from -----BEGIN to -----END"

static bool has(struct str s, const char *z)
{
	return str_find(s, str_c(z), 0) >= 0;
}

static bool is_putty(struct str s)
{
	return str_starts(s, "PuTTY-User-Key-File");
}

static bool is_public(struct str s)
{
	return str_starts(s, "ssh-") || str_starts(s, "ecdsa-") || str_starts(s, "sk-") ||
	       has(s, "PUBLIC KEY-----");
}

static bool is_certificate(struct str s)
{
	return str_starts(s, "-----BEGIN CERTIFICATE");
}

static bool is_path(struct str s)
{
	return s.n && strchr("/~.", s.p[0]) && !memchr(s.p, '\n', s.n);
}

static bool is_escaped(struct str s)
{
	return has(s, "KEY-----\\n");
}

static bool is_one_line(struct str s)
{
	return str_starts(s, "-----BEGIN ") && !memchr(s.p, '\n', s.n);
}

static bool is_cut(struct str s)
{
	return str_starts(s, "-----BEGIN ") && !has(s, "-----END ");
}

static bool is_no_key(struct str s)
{
	return !str_starts(s, "-----BEGIN ") || !has(s, "PRIVATE KEY-----");
}

/* Of OpenSSH's own format: the magic word, then how it is sealed. */
static bool openssh_cipher(struct str key, struct buf *raw, struct str *cipher)
{
	static const char magic[] = "openssh-key-v1";
	struct str rest = key;
	uint32_t n = 0;

	str_split(&rest, '\n');
	ptrdiff_t end = str_find(rest, STR("-----END"), 0);

	if (end < 0 || !buf_unbase64(raw, str_n(rest.p, (size_t)end)) || raw->n < sizeof(magic) + 4 ||
	    memcmp(raw->p, magic, sizeof(magic)) != 0)
		return false;
	for (size_t i = 0; i < 4; i++)
		n = n << 8 | (unsigned char)raw->p[sizeof(magic) + i];
	*cipher = str_n(raw->p + sizeof(magic) + 4, n);
	return n <= raw->n - sizeof(magic) - 4;
}

static bool is_broken(struct str s)
{
	struct buf raw = {0};
	struct str cipher;
	bool bad = str_starts(s, "-----BEGIN OPENSSH PRIVATE KEY-----") && !openssh_cipher(s, &raw, &cipher);

	buf_burn(&raw);
	return bad;
}

static bool is_sealed(struct str s)
{
	struct buf raw = {0};
	struct str cipher = {0};
	bool sealed = has(s, "BEGIN ENCRYPTED PRIVATE KEY") || has(s, "Proc-Type: 4,ENCRYPTED") ||
	              (openssh_cipher(s, &raw, &cipher) && !str_eqc(cipher, "none"));

	buf_burn(&raw);
	return sealed;
}

/* What a private key may turn out to be: the first row that holds says it. */
static const struct {
	bool (*holds)(struct str key);
	const char *what, *hint;
} mistakes[] = {
        {is_putty, "secret SSH_PRIVATE_KEY is in PuTTY's format",
         "export it with PuTTYgen: Conversions, Export OpenSSH key; or: puttygen key.ppk -O private-openssh"},
        {is_public, "secret SSH_PRIVATE_KEY is a public key", "take the file without .pub, " WHOLE},
        {is_certificate, "secret SSH_PRIVATE_KEY is a certificate", "the private key is wanted: " WHOLE},
        {is_path, "secret SSH_PRIVATE_KEY is the name of a file", "the file's content is wanted: " WHOLE},
        {is_escaped, "secret SSH_PRIVATE_KEY has \\n where its line breaks should be",
         "paste it as it is: " WHOLE},
        {is_one_line, "secret SSH_PRIVATE_KEY has lost its line breaks",
         WHOLE "; in a shell quote it: gh secret set SSH_PRIVATE_KEY < id_ed25519"},
        {is_cut, "secret SSH_PRIVATE_KEY is cut off: its -----END line is missing", WHOLE},
        {is_no_key, "secret SSH_PRIVATE_KEY is no private key", WHOLE},
        {is_broken, "secret SSH_PRIVATE_KEY is damaged: between its first and last line is no OpenSSH key",
         WHOLE},
};

static void check_private(const struct run *r, struct errs *errs)
{
	struct str key = str_trim(str_c(run_secret(r, "SSH_PRIVATE_KEY")));

	if (!key.n)
		return;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		if (mistakes[i].holds(key)) {
			refuse(errs, mistakes[i].what, mistakes[i].hint);
			return;
		}
	}
	if (is_sealed(key) && !run_secret(r, "SSH_KEY_PASSPHRASE"))
		refuse(errs, "secret SSH_PRIVATE_KEY is encrypted, and there is no SSH_KEY_PASSPHRASE",
		       "give the passphrase as the secret SSH_KEY_PASSPHRASE, or a key without: ssh-keygen "
		       "-p -N ''");
}

/* TYPE BASE64 [COMMENT] */
static bool is_public_key(struct str line)
{
	struct str type = str_split(&line, ' '), data = str_split(&line, ' ');
	struct buf raw = {0};
	bool good = (str_starts(type, "ssh-") || str_starts(type, "ecdsa-") || str_starts(type, "sk-")) &&
	            data.n && buf_unbase64(&raw, data) && raw.n > 16;

	buf_free(&raw);
	return good;
}

static void check_public(const struct run *r, struct errs *errs)
{
	struct str rest = str_trim(str_c(run_secret(r, "SSH_PUBLIC_KEY|ANS_SSH_PUBLIC_KEY")));

	if (has(rest, "PRIVATE KEY-----")) {
		refuse(errs, "SSH_PUBLIC_KEY is a private key",
		       "the public one is the file that ends in .pub: ssh-ed25519 AAAA... comment");
		return;
	}
	for (unsigned n = 1; rest.n; n++) {
		struct str line = str_trim(str_split(&rest, '\n'));

		if (!line.n || line.p[0] == '#' || is_public_key(line))
			continue;
		struct err *e = errs_add(errs);

		err_set(e, ERR_USER, ORIGIN_NONE, "SSH_PUBLIC_KEY: line %u is no public key", n);
		err_hint(e, "a line as in id_ed25519.pub: ssh-ed25519 AAAA... comment");
		return;
	}
}

/* https://HOST[:PORT], with or without /api2/json. */
static void check_url(const struct run *r, struct errs *errs)
{
	struct str url = str_trim(str_c(run_secret(r, "PROXMOX_API_URL"))), path;

	if (!url.n || !str_starts(url, "https://"))
		return; /* who connects says so */
	path = str_n(url.p + 8, url.n - 8);
	struct str host = str_split(&path, '/');

	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	if (host.n && !memchr(host.p, '@', host.n) && (!path.n || str_eqc(path, "api2/json")))
		return;
	refuse(errs, "PROXMOX_API_URL is more than the address of Proxmox VE",
	       "write https://HOST:8006, without what a browser shows behind it");
}

/* USER@REALM!NAME, and the secret by itself. */
static void check_token(const struct run *r, struct errs *errs)
{
	struct str id = str_trim(str_c(run_secret(r, "PROXMOX_API_TOKEN_ID|PROXMOX_TOKEN_ID")));
	struct str secret = str_trim(str_c(run_secret(r, "PROXMOX_API_TOKEN_SECRET|PROXMOX_TOKEN_SECRET")));
	ptrdiff_t at = str_find(id, STR("@"), 0), name = str_find(id, STR("!"), 0);

	if (id.n && has(id, "="))
		refuse(errs, "PROXMOX_API_TOKEN_ID holds more than the token's id",
		       "write USER@REALM!NAME there, and what follows the = as PROXMOX_API_TOKEN_SECRET");
	else if (id.n && (at <= 0 || name <= at + 1 || (size_t)name + 1 == id.n))
		refuse(errs, "PROXMOX_API_TOKEN_ID is no token's id",
		       "write USER@REALM!NAME as Proxmox VE shows it, for example nante@pve!github");
	if (secret.n && (has(secret, "=") || has(secret, "!")))
		refuse(errs, "PROXMOX_API_TOKEN_SECRET holds more than the token's secret",
		       "write the value alone, which Proxmox VE showed once: "
		       "12345678-1234-1234-1234-123456789abc");
}

/* [user@]host[:port] */
static void check_jump(const struct run *r, struct errs *errs)
{
	struct str rest = str_trim(str_c(inputs_get(r->in, "ssh_jump_host"))), user = {0}, host;
	int64_t port = 22;

	if (!rest.n)
		return;
	if (memchr(rest.p, '@', rest.n))
		user = str_split(&rest, '@');
	host = str_split(&rest, ':');
	if (host.n && (!user.p || user.n) && (!rest.p || str_int(rest, &port)) && port > 0 && port < 65536)
		return;
	struct err *e = errs_add(errs);

	err_set(e, ERR_USER, inputs_origin(r->in, "ssh_jump_host"),
	        "input ssh_jump_host: this is no [user@]host[:port]");
	err_hint(e, "write admin@gate.example.com:22");
}

/* HOSTS TYPE KEY, perhaps behind a @marker; # begins a remark. */
static void check_known_hosts(const struct run *r, struct errs *errs)
{
	struct str rest = str_c(inputs_get(r->in, "known_hosts"));

	for (unsigned n = 1; rest.n; n++) {
		struct str line = str_trim(str_split(&rest, '\n'));

		if (line.n && line.p[0] == '@')
			str_split(&line, ' ');
		if (!line.n || line.p[0] == '#')
			continue;
		str_split(&line, ' ');
		if (is_public_key(line))
			continue;
		struct err *e = errs_add(errs);

		err_set(e, ERR_USER, inputs_origin(r->in, "known_hosts"),
		        "input known_hosts: line %u is no host's key", n);
		err_hint(e, "write what ssh-keyscan prints: 192.168.10.51 ssh-ed25519 AAAA...");
		return;
	}
}

void run_check_keys(const struct run *r, struct errs *errs)
{
	check_private(r, errs);
	check_public(r, errs);
	check_jump(r, errs);
	check_known_hosts(r, errs);
	if (r->does & DO_OBSERVE) {
		check_url(r, errs);
		check_token(r, errs);
	}
}
