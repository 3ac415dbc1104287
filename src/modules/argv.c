#include "modules/argv.h"
#include "modules/words.h"

void argv_add(struct argv *c, const char *word)
{
	c->v = arena_grow(c->m->a, c->v, c->n + 1, &c->cap, sizeof(*c->v));
	c->v[c->n++] = word;
	c->v[c->n] = NULL;
}

void argv_add2(struct argv *c, const char *option, const char *value)
{
	argv_add(c, option);
	argv_add(c, value);
}

void argv_addf(struct argv *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	argv_add(c, arena_vprintf(c->m->a, fmt, ap));
	va_end(ap);
}

void argv_add_all(struct argv *c, const char *const *words)
{
	for (; *words; words++)
		argv_add(c, *words);
}

void argv_add_list(struct argv *c, const struct val *list)
{
	VAL_EACH (i, list)
		argv_addf(c, "%.*s", STR_FMT(val_text(val_at(list, i), c->m->a)));
}

bool argv_add_text(struct argv *c, const char *text)
{
	struct err e = {0};
	const char **words = words_split(c->m->a, str_c(text), NULL, &e);
	if (!words)
		return mod_fail_err(c->m, &e);
	argv_add_all(c, words);
	return true;
}

void argv_add_arg(struct argv *c, const char *option, const char *name)
{
	if (mod_has(c->m, name))
		argv_add2(c, option, mod_arg(c->m, name));
}

const char *argv_text(const struct argv *c)
{
	struct buf b = {0};
	for (size_t i = 0; i < c->n; i++)
		buf_printf(&b, "%s%s", i ? " " : "", c->v[i]);
	struct str s = buf_take(&b, c->m->a);
	buf_free(&b);
	return s.p ? s.p : "";
}

bool argv_run(struct argv *c, struct mod_out *ret)
{
	static const char *const locale[] = {"LC_ALL=C.UTF-8", "LANG=C.UTF-8", "LANGUAGE=C"};
	enum { LOCALE = sizeof(locale) / sizeof(*locale) };
	size_t n = 0;
	while (c->env && c->env[n])
		n++;
	const char **env = arena_array(c->m->a, n + LOCALE + 1, sizeof(*env));
	memcpy(env, locale, sizeof(locale));
	if (n)
		memcpy(env + LOCALE, c->env, n * sizeof(*env));
	return mod_spawn(c->m,
	                 &(struct mod_cmd){.argv = c->v, .cwd = c->cwd, .input = c->input, .extra_env = env},
	                 ret);
}

bool argv_failed(struct argv *c, const struct mod_out *out)
{
	struct mod_ctx *m = c->m;
	struct str why = str_trim(out->err.n ? out->err : out->out);
	mod_sets(m, "cmd", argv_text(c));
	mod_seti(m, "rc", out->rc);
	mod_setstr(m, "stdout", out->out);
	mod_setstr(m, "stderr", out->err);
	if (!why.n)
		return mod_fail(m, "%s ended with status %d", c->v[0], out->rc);
	return mod_fail(m, "%.*s", STR_FMT(why));
}

bool argv_must(struct argv *c, struct mod_out *ret)
{
	return argv_run(c, ret) && (ret->rc == 0 || argv_failed(c, ret));
}

const char *argv_need(struct mod_ctx *m, const char *program)
{
	const char *path = mod_which(m, program);
	if (!path)
		mod_fail(m, "Failed to find required executable \"%s\"", program);
	return path;
}
