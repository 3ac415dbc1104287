/* The first line as a regular expression and as a format, in each dialect there is; the rest as its text. */
#include "base/arena.h"
#include "jinja/jinja.h"
#include "modules/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool resolve(void *ctx, struct str name, struct arena *a, struct val **ret, struct err *err)
{
	(void)a, (void)err;
	*ret = val_gets(ctx, name);
	return true;
}

static void in_templates(struct arena *a, struct val *vars)
{
	static const char *const uses[] = {
	        "s | regex_search(p, ignorecase=true)",
	        "s | regex_findall(p, multiline=true)",
	        "s | regex_replace(p, s)",
	        "'a b' | regex_replace('(\\\\w)(?P<x>.)', p)",
	        "s is match(p)",
	        "p % s",
	        "p % (s, 1, 2.5)",
	        "p % {'k': s}",
	        "p.format(s, 1, -2.5, k=s)",
	        "p | format(s, 7)",
	        "p | strftime(86400.5)",
	        "s | to_datetime(p)",
	};
	struct jinja_env *env = jinja_env_new(a, true);
	const struct jinja_hooks hooks = {.ctx = vars, .resolve = resolve};

	for (size_t i = 0; i < sizeof(uses) / sizeof(*uses); i++) {
		struct err err = {0};
		struct jinja_tmpl *t;
		struct val *v;

		if (jinja_compile_expr(env, a, str_c(uses[i]), ORIGIN_NONE, &t, &err))
			jinja_eval(t, jinja_ctx_new(env, a, &hooks), a, &v, &err);
		err_clear(&err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct str text = str_n((const char *)data, n), pattern = str_split(&text, '\n');
	struct val *vars = val_map(a);
	struct err err = {0};
	struct regex_match m;
	const struct regex *re = regex_new(a, pattern, 0, &err);

	if (re && regex_search(re, text, 0, &m)) {
		struct buf b = {0};

		regex_expand(re, text, &m, pattern, &b, &err);
		buf_free(&b);
	}
	err_clear(&err);
	val_set(vars, "p", val_str(a, pattern));
	val_set(vars, "s", val_str(a, text));
	in_templates(a, vars);
	arena_free(a);
	return 0;
}
