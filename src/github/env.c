#include "github/env.h"
#include "base/json.h"
#include "base/secret.h"

/* Parts of names, between underscores or at an end. */
static const char *const secret_words[] = {"PASSWORD",    "PASSWD", "PASS", "SECRET",  "TOKEN",  "PASSPHRASE",
                                           "CREDENTIALS", "PAT",    "KEY",  "AUTHKEY", "APIKEY", "DSN"};
/* Names that hold such a word and are no secrets. */
static const char *const public_names[] = {"SSH_PUBLIC_KEY", "ANS_SSH_PUBLIC_KEY", "PROXMOX_API_TOKEN_ID",
                                           "PROXMOX_TOKEN_ID"};

bool env_names_secret(struct str name)
{
	for (size_t i = 0; i < sizeof(public_names) / sizeof(public_names[0]); i++) {
		if (str_eqc(name, public_names[i]))
			return false;
	}
	/* ANSIBLE_VAULT_PASSWORD_FILE and its like say where a secret is. */
	if (str_ends(name, "_FILE") || str_ends(name, "_PATH"))
		return false;
	while (name.p) {
		struct str word = str_split(&name, '_');

		for (size_t i = 0; i < sizeof(secret_words) / sizeof(secret_words[0]); i++) {
			if (str_eqc(word, secret_words[i]))
				return true;
		}
	}
	return false;
}

bool env_holds_secret(struct str value)
{
	ptrdiff_t at = str_find(value, STR("://"), 0);
	struct str authority;

	if (str_starts(str_trim(value), "-----BEGIN ") && str_find(value, STR("PRIVATE KEY-----"), 0) > 0)
		return true;
	if (at < 0)
		return false;
	value = str_n(value.p + at + 3, value.n - (size_t)at - 3);
	authority = str_split(&value, '/');
	at = str_find(authority, STR(":"), 0);
	return at >= 0 && str_find(authority, STR("@"), (size_t)at) > at + 1;
}

static void add(struct arena *a, struct val *map, struct str name, struct str value)
{
	struct val *v = val_str(a, value);
	bool secret = value.n && (env_names_secret(name) || env_holds_secret(value));

	val_sets(map, name, secret ? val_mark_secret(a, v) : v);
}

struct val *env_load(struct arena *a, char *const *envp)
{
	struct val *map = val_map(a);

	for (; *envp; envp++) {
		const char *eq = strchr(*envp, '=');

		if (eq && eq != *envp)
			add(a, map, str_n(*envp, (size_t)(eq - *envp)), str_c(eq + 1));
	}
	return map;
}

void env_scrub(char **envp, const struct val *map)
{
	char **to = envp;

	for (char **from = envp; *from; from++) {
		char *eq = strchr(*from, '=');
		struct str name = str_n(*from, eq ? (size_t)(eq - *from) : 0);
		const struct val *v = eq ? val_gets(map, name) : NULL;
		bool proxy = str_ends(name, "_proxy") || str_ends(name, "_PROXY");

		if (!str_starts(name, "INPUT_") && (proxy || !v || !val_secret(v)))
			*to++ = *from;
		else
			explicit_bzero(eq + 1, strlen(eq + 1));
	}
	*to = NULL;
}

static const char *const settings[] = {"0", "1", "no", "yes", "on", "off"};

bool env_too_short(struct str name, struct str value)
{
	value = str_trim(value);
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		if (str_eqc(value, settings[i]))
			return false;
	}
	return value.n && value.n < SECRET_MIN && env_names_secret(name);
}

const char *env_get(const struct val *map, const char *name)
{
	const struct val *v = val_get(map, name);

	return v && val_is_str(v) && val_len(v) ? val_get_strz(v) : NULL;
}

/* ---- env files ---- */

struct reader {
	struct str text;
	size_t at;
	uint32_t src;
};

static bool fail(const struct reader *r, size_t at, const char *what, struct err *err)
{
	return err_set(err, ERR_USER, (struct origin){r->src, (uint32_t)at}, "env file: %s", what);
}

static char peek(const struct reader *r)
{
	return r->at < r->text.n ? r->text.p[r->at] : '\0';
}

static void skip_blanks(struct reader *r)
{
	while (peek(r) == ' ' || peek(r) == '\t')
		r->at++;
}

static void skip_line(struct reader *r)
{
	while (r->at < r->text.n && r->text.p[r->at] != '\n')
		r->at++;
	r->at += r->at < r->text.n;
}

static bool is_name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	       (!first && ((c >= '0' && c <= '9') || c == '-' || c == '.'));
}

static struct str read_name(struct reader *r)
{
	size_t start = r->at;

	while (r->at < r->text.n && is_name_char(r->text.p[r->at], r->at == start))
		r->at++;
	return str_n(r->text.p + start, r->at - start);
}

static char unescape(char c)
{
	switch (c) {
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	default: return c;
	}
}

/* A value in quotes; nothing but a comment may follow it. */
static bool read_quoted(struct reader *r, struct buf *out, struct err *err)
{
	size_t start = r->at;
	char quote = r->text.p[r->at++];

	for (; r->at < r->text.n && r->text.p[r->at] != quote; r->at++) {
		char c = r->text.p[r->at];

		if (c == '\\' && quote == '"' && r->at + 1 < r->text.n)
			c = unescape(r->text.p[++r->at]);
		buf_addc(out, c);
	}
	if (r->at == r->text.n)
		return fail(r, start, "this quote is not closed", err);
	r->at++;
	skip_blanks(r);
	if (r->at < r->text.n && !strchr("\r\n#", peek(r)))
		return fail(r, r->at, "something follows the closing quote", err);
	skip_line(r);
	return true;
}

static void read_plain(struct reader *r, struct buf *out)
{
	size_t start = r->at;
	struct str value;
	ptrdiff_t comment;

	skip_line(r);
	value = str_n(r->text.p + start, r->at - start);
	comment = str_find(value, STR(" #"), 0);
	if (comment >= 0)
		value.n = (size_t)comment;
	buf_addstr(out, str_trim(value));
}

static bool read_line(struct reader *r, struct arena *a, struct val *map, struct err *err)
{
	struct buf value = {0};
	struct str name;
	size_t start = r->at;
	bool good = true;

	name = read_name(r);
	if (str_eqc(name, "export") && (peek(r) == ' ' || peek(r) == '\t')) {
		skip_blanks(r);
		start = r->at;
		name = read_name(r);
	}
	skip_blanks(r);
	if (!name.n || peek(r) != '=')
		return fail(r, start, "a line is NAME=value", err);
	r->at++;
	skip_blanks(r);
	if (peek(r) == '"' || peek(r) == '\'')
		good = read_quoted(r, &value, err);
	else
		read_plain(r, &value);
	if (good)
		add(a, map, name, buf_str(&value));
	buf_burn(&value);
	return good;
}

bool env_read_file(struct arena *a, const struct sources *ss, uint32_t src, struct val *map, struct err *err)
{
	struct reader r = {.text = sources_text(ss, src), .src = src};

	while (r.at < r.text.n) {
		skip_blanks(&r);
		if (r.at == r.text.n || strchr("\r\n#", peek(&r)))
			skip_line(&r);
		else if (!read_line(&r, a, map, err))
			return false;
	}
	return true;
}

bool env_add_json(struct arena *a, struct str json, uint32_t src, struct val *map, struct err *err)
{
	struct val *all;

	if (!json_parse(a, json, src, &all, err))
		return err_wrap(err, ORIGIN_NONE, "input secrets");
	if (!val_is_map(all))
		return err_set(err, ERR_USER, (struct origin){src, 0},
		               "input secrets: a JSON object of names and values is wanted");
	MAP_EACH (i, all) {
		struct str name = val_get_str(val_key_at(all, i));
		struct val *v = val_value_at(all, i);

		if (!val_is_str(v))
			return err_set(err, ERR_USER, val_origin(v), "input secrets: '%.*s' is no string",
			               STR_FMT(name));
		struct val *known = val_gets(map, name);

		/* An empty variable is what a workflow makes of a secret it does not have. */
		if (!known || !val_len(known))
			known = v;
		if (val_len(known))
			val_sets(map, name, val_mark_secret(a, known));
	}
	return true;
}
