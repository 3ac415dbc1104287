#include "base/fs.h"
#include "ssh/link.h"
#include "ssh/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One way in. Tried in the order of the list; a way the server does not offer is passed over. */
struct way {
	enum { WAY_KEY, WAY_AGENT, WAY_PASSWORD, WAY_KEYBOARD } kind;
	const char *label; /* for the error text */
	struct str key;
};

struct auth {
	struct arena *arena;
	LIBSSH2_SESSION *ssh;
	const struct ssh_target *t;
	const char *user;
	bool listed;
	const char *methods; /* what the server offers */
	struct way *ways;
	size_t n, at;
	LIBSSH2_AGENT *agent;
	struct libssh2_agent_publickey *identity;
	bool identity_busy;
	struct buf tried;
};

const char *ssh_error(LIBSSH2_SESSION *ssh)
{
	char *msg = NULL;

	libssh2_session_last_error(ssh, &msg, NULL, 0);
	return msg && *msg ? msg : "unknown SSH error";
}

static void burn_buf(void *p)
{
	buf_burn(p);
}

/* Secret stores lose the last newline, or bring CR LF: OpenSSH's format wants neither. */
static struct str normal_key(struct arena *a, struct str key)
{
	struct buf *b = ARENA_NEW(a, struct buf);

	arena_defer(a, burn_buf, b);
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] != '\r')
			buf_addc(b, key.p[i]);
	if (b->n && b->p[b->n - 1] != '\n')
		buf_addc(b, '\n');
	return buf_str(b);
}

static void add_way(struct auth *a, struct way w)
{
	struct way *more = arena_array(a->arena, a->n + 1, sizeof(*more));

	if (a->n)
		memcpy(more, a->ways, a->n * sizeof(*more));
	more[a->n++] = w;
	a->ways = more;
}

/* False when the file cannot be read, which matters only for one that was asked for. */
static bool add_key_file(struct auth *a, const char *path, struct err *err)
{
	struct buf *b = ARENA_NEW(a->arena, struct buf);

	buf_init(b, 1 << 20);
	arena_defer(a->arena, burn_buf, b);
	if (!fs_read(path, b, err))
		return false;
	add_way(a, (struct way){WAY_KEY, arena_strdup(a->arena, path), normal_key(a->arena, buf_str(b))});
	return true;
}

static bool list_ways(struct auth *a, struct err *err)
{
	static const char *const names[] = {"id_ed25519", "id_ecdsa", "id_rsa"};
	const char *home = getenv("HOME"), *sock = getenv("SSH_AUTH_SOCK");

	if (a->t->key.n)
		add_way(a, (struct way){WAY_KEY, "the private key given", normal_key(a->arena, a->t->key)});
	if (a->t->key_file && !add_key_file(a, a->t->key_file, err))
		return false;
	if (!a->t->no_agent && sock && *sock)
		add_way(a, (struct way){.kind = WAY_AGENT, .label = "the SSH agent's keys"});
	for (size_t i = 0; a->t->default_keys && home && i < sizeof(names) / sizeof(*names); i++) {
		char *path = arena_printf(a->arena, "%s/.ssh/%s", home, names[i]);
		struct err ignored = {0};

		if (fs_exists(path) && !add_key_file(a, path, &ignored))
			err_clear(&ignored);
	}
	if (a->t->password) {
		add_way(a, (struct way){.kind = WAY_PASSWORD, .label = "the password"});
		add_way(a,
		        (struct way){.kind = WAY_KEYBOARD, .label = "the password (keyboard-interactive)"});
	}
	return true;
}

struct auth *auth_new(LIBSSH2_SESSION *ssh, const struct ssh_target *t, const char *user)
{
	struct arena *arena = arena_new(NULL);
	struct auth *a = ARENA_NEW(arena, struct auth);

	a->arena = arena;
	a->ssh = ssh;
	a->t = t;
	a->user = user;
	return a;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	if (a->agent) {
		libssh2_agent_disconnect(a->agent);
		libssh2_agent_free(a->agent);
	}
	buf_free(&a->tried);
	arena_free(a->arena);
}

static bool offers(const struct auth *a, const char *method)
{
	struct str rest = str_c(a->methods);

	while (rest.p)
		if (str_eqc(str_split(&rest, ','), method))
			return true;
	return false;
}

static int try_key(struct auth *a, const struct way *w)
{
	int rc = libssh2_userauth_publickey_frommemory(a->ssh, a->user, strlen(a->user), NULL, 0, w->key.p,
	                                               w->key.n, a->t->passphrase);

	/* A key it cannot read is our trouble, not the server's refusal: say so. */
	if (rc && rc != LIBSSH2_ERROR_EAGAIN && rc != LIBSSH2_ERROR_AUTHENTICATION_FAILED)
		buf_printf(&a->tried, "%s%s (%s)", a->tried.n ? ", " : "", w->label, ssh_error(a->ssh));
	return rc;
}

/* libssh2 talks to the agent's socket with blocking calls; the agent is a process beside us. */
static int try_agent(struct auth *a)
{
	int rc;

	if (!a->agent) {
		a->agent = libssh2_agent_init(a->ssh);
		if (!a->agent || libssh2_agent_connect(a->agent) || libssh2_agent_list_identities(a->agent))
			return LIBSSH2_ERROR_AGENT_PROTOCOL;
	}
	for (;;) {
		if (!a->identity_busy && libssh2_agent_get_identity(a->agent, &a->identity, a->identity) != 0)
			return LIBSSH2_ERROR_AUTHENTICATION_FAILED;
		a->identity_busy = true;
		rc = libssh2_agent_userauth(a->agent, a->user, a->identity);
		if (rc == LIBSSH2_ERROR_EAGAIN || rc == 0)
			return rc;
		a->identity_busy = false;
	}
}

static void answer_prompts(const char *name, int name_len, const char *instruction, int instruction_len,
                           int n, const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts,
                           LIBSSH2_USERAUTH_KBDINT_RESPONSE *responses, void **abstract)
{
	const struct ssh_target *t = *abstract;

	(void)name, (void)name_len, (void)instruction, (void)instruction_len, (void)prompts;
	for (int i = 0; i < n; i++) {
		/* libssh2 frees it. */
		responses[i].text = xstrdup(t->password);
		responses[i].length = (unsigned)strlen(t->password);
	}
}

static int try_way(struct auth *a, const struct way *w)
{
	const char *pw = a->t->password;

	switch (w->kind) {
	case WAY_KEY: return offers(a, "publickey") ? try_key(a, w) : LIBSSH2_ERROR_METHOD_NONE;
	case WAY_AGENT: return offers(a, "publickey") ? try_agent(a) : LIBSSH2_ERROR_METHOD_NONE;
	case WAY_PASSWORD:
		return offers(a, "password")
		               ? libssh2_userauth_password_ex(a->ssh, a->user, (unsigned)strlen(a->user), pw,
		                                              (unsigned)strlen(pw), NULL)
		               : LIBSSH2_ERROR_METHOD_NONE;
	case WAY_KEYBOARD:
		if (!offers(a, "keyboard-interactive"))
			return LIBSSH2_ERROR_METHOD_NONE;
		*libssh2_session_abstract(a->ssh) = (void *)(uintptr_t)a->t;
		return libssh2_userauth_keyboard_interactive_ex(a->ssh, a->user, (unsigned)strlen(a->user),
		                                                answer_prompts);
	}
	return LIBSSH2_ERROR_METHOD_NONE;
}

static enum step refused(struct auth *a, struct err *err)
{
	if (!a->n)
		err_set(err, ERR_UNREACHABLE, ORIGIN_NONE, "no key, SSH agent or password to log in as %s",
		        a->user);
	else
		err_set(err, ERR_UNREACHABLE, ORIGIN_NONE,
		        "login as %s refused: the server takes %s; tried %s", a->user, a->methods,
		        a->tried.n ? a->tried.p : "nothing it takes");
	err_hint(err, "check the user name, and that the public key is in the user's authorized_keys");
	return STEP_FAILED;
}

enum step auth_step(struct auth *a, struct err *err)
{
	if (!a->listed) {
		const char *list = libssh2_userauth_list(a->ssh, a->user, (unsigned)strlen(a->user));

		if (!list && libssh2_userauth_authenticated(a->ssh))
			return STEP_DONE;
		if (!list && libssh2_session_last_errno(a->ssh) == LIBSSH2_ERROR_EAGAIN)
			return STEP_AGAIN;
		if (!list) {
			err_set(err, ERR_UNREACHABLE, ORIGIN_NONE, "login as %s: %s", a->user,
			        ssh_error(a->ssh));
			return STEP_FAILED;
		}
		a->methods = arena_strdup(a->arena, list);
		a->listed = true;
		if (!list_ways(a, err))
			return STEP_FAILED;
	}
	for (; a->at < a->n; a->at++) {
		const struct way *w = &a->ways[a->at];
		int rc = try_way(a, w);

		if (rc == 0)
			return STEP_DONE;
		if (rc == LIBSSH2_ERROR_EAGAIN)
			return STEP_AGAIN;
		if (rc == LIBSSH2_ERROR_SOCKET_DISCONNECT || rc == LIBSSH2_ERROR_SOCKET_RECV ||
		    rc == LIBSSH2_ERROR_SOCKET_SEND) {
			err_set(err, ERR_UNREACHABLE, ORIGIN_NONE, "login as %s: the server hung up: %s",
			        a->user, ssh_error(a->ssh));
			return STEP_FAILED;
		}
		if (rc != LIBSSH2_ERROR_METHOD_NONE &&
		    (w->kind != WAY_KEY || rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED))
			buf_printf(&a->tried, "%s%s", a->tried.n ? ", " : "", w->label);
	}
	return refused(a, err);
}
