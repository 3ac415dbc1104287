/* Any bytes as a template and as an expression, rendered with a few variables. */
#include "base/arena.h"
#include "jinja/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool resolve(void *ctx, struct str name, struct arena *a, struct val **ret, struct err *err)
{
	(void)a;
	(void)err;
	*ret = val_gets(ctx, name);
	return true;
}

static struct val *variables(struct arena *a)
{
	struct val *m = val_map(a), *list = val_list(a), *map = val_map(a);

	val_push(list, val_int(a, 1));
	val_push(list, val_strz(a, "two"));
	val_set(map, "k", val_mark_secret(a, val_strz(a, "v\xc3\xa9")));
	val_push(list, map);
	val_set(m, "l", list);
	val_set(m, "m", map);
	val_set(m, "s", val_strz(a, "text"));
	val_set(m, "n", val_int(a, 42));
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(NULL);
	struct jinja_env *env = jinja_env_new(a, n && data[0] & 1);
	const struct jinja_hooks hooks = {.ctx = variables(a), .resolve = resolve};
	const struct jinja_opts opts = {
	        .trim_blocks = n > 1 && data[1] & 1,
	        .lstrip_blocks = n > 1 && data[1] & 2,
	        .line_statement_prefix = n > 1 && data[1] & 4 ? "#" : NULL,
	};
	struct jinja_tmpl *t;
	struct err err = {0};
	struct val *v;
	struct str text = str_n((const char *)data + (n > 1 ? 2 : n), n > 1 ? n - 2 : 0);

	if (jinja_compile(env, a, text, ORIGIN_NONE, &opts, &t, &err)) {
		jinja_render_ansible(t, jinja_ctx_new(env, a, &hooks), a, &v, &err);
		jinja_undeclared(t, a);
	}
	err_clear(&err);
	if (jinja_compile_expr(env, a, text, ORIGIN_NONE, &t, &err))
		jinja_eval(t, jinja_ctx_new(env, a, &hooks), a, &v, &err);
	err_clear(&err);
	jinja_literal_eval(a, text, &v);
	arena_free(a);
	return 0;
}
