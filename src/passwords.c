#include "passwords.h"
#include "base/arena.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "modules/vault.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* A line of FD without its end; false: there is none. */
static bool read_answer(int fd, struct buf *out)
{
	char c;
	for (;;) {
		ssize_t n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return out->n > 0;
		if (c == '\n')
			return true;
		buf_addc(out, c);
	}
}

bool passwords_ask(struct arena *a, const char *prompt, struct str *ret, struct err *err)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), fd = tty >= 0 ? tty : STDIN_FILENO;
	struct termios old, quiet;
	bool shown = tcgetattr(fd, &old) == 0;
	if (shown) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(fd, TCSAFLUSH, &quiet);
	}
	struct buf b = {0};
	dprintf(tty >= 0 ? tty : STDERR_FILENO, "%s: ", prompt);
	bool ok = read_answer(fd, &b);
	if (shown) {
		tcsetattr(fd, TCSAFLUSH, &old);
		dprintf(tty >= 0 ? tty : STDERR_FILENO, "\n");
	}
	if (tty >= 0)
		close(tty);
	*ret = str_dup(a, buf_str(&b));
	buf_burn(&b);
	if (!ok)
		return err_set(err, ERR_USER, ORIGIN_NONE, "%s: nobody answers", prompt);
	log_secret(*ret);
	return true;
}

/* Without its extension, does the program's name end in "-client"? It wants to know the label then. */
static bool is_client(const char *path)
{
	struct str name = str_c(fs_basename(path));
	const char *dot = name.n ? strrchr(name.p, '.') : NULL;
	return str_ends(dot && dot > name.p ? str_n(name.p, (size_t)(dot - name.p)) : name, "-client");
}

static bool ask_program(const char *path, const char *label, struct buf *out, struct err *err)
{
	const char *const plain[] = {path, NULL}, *const named[] = {path, "--vault-id", label, NULL};
	const struct proc_opts o = {.argv = label && is_client(path) ? named : plain};
	struct proc_result r = {0};
	bool ok = proc_run(&o, &r, err);
	if (ok && r.status)
		ok = err_set(err, ERR_USER, ORIGIN_NONE, "vault password script %s ended with %d: %.*s", path,
		             r.status, STR_FMT(str_trim(buf_str(&r.err))));
	if (ok)
		buf_add(out, r.out.p, r.out.n);
	proc_result_free(&r);
	return ok;
}

static bool ask_vault(struct vault *v, struct arena *a, const char *label, struct err *err)
{
	struct str password;
	const char *prompt = label ? arena_printf(a, "Vault password (%s)", label) : "Vault password";
	if (!passwords_ask(a, prompt, &password, err))
		return false;
	if (!str_trim(password).n)
		return err_set(err, ERR_USER, ORIGIN_NONE, "%s: it is empty", prompt);
	vault_add(v, label, str_trim(password));
	return true;
}

bool passwords_add(struct vault *v, struct arena *a, const char *spec, struct err *err)
{
	const char *at = strchr(spec, '@'), *path = at ? at + 1 : spec;
	const char *label = at ? arena_strndup(a, spec, (size_t)(at - spec)) : NULL;
	if (strcmp(path, "prompt") == 0 || strcmp(path, "prompt_ask_vault_pass") == 0)
		return ask_vault(v, a, label, err);
	if (str_starts(str_c(path), "~/") && getenv("HOME"))
		path = fs_join(a, getenv("HOME"), path + 2);
	/* With a path in it, whatever PATH says. */
	if (!strchr(path, '/'))
		path = fs_join(a, ".", path);
	struct buf b = {0};
	bool run = fs_exists(path) && !fs_is_dir(path) && access(path, X_OK) == 0;
	bool ok = run ? ask_program(path, label, &b, err) : fs_read(path, &b, err);
	struct str password = str_trim(buf_str(&b));
	if (ok && !password.n)
		ok = err_set(err, ERR_USER, ORIGIN_NONE, "vault password: %s gives an empty one", path);
	if (ok) {
		log_secret(password);
		vault_add(v, label, password);
	}
	buf_burn(&b);
	return ok;
}

bool passwords_take(struct vault *v, struct arena *a, const char *list, const char *file, struct err *err)
{
	struct str rest = str_c(list ? list : "");
	while (rest.p) {
		struct str one = str_trim(str_split(&rest, ','));
		if (one.n && !passwords_add(v, a, arena_strndup(a, one.p, one.n), err))
			return false;
	}
	return !file || !*file || passwords_add(v, a, file, err);
}
