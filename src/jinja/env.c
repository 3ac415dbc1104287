/* env - the tables of an environment, compiling, contexts, and calls. */
#include "base/suggest.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include <sys/resource.h>
#include <stdio.h>

bool jinja_fail(struct err *err, const char *fmt, ...)
{
	char tmp[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(tmp, sizeof(tmp), fmt, ap);
	va_end(ap);
	return err_set(err, ERR_USER, ORIGIN_NONE, "%s", tmp);
}

static size_t table_of(char table)
{
	return table == 'f' ? 0 : table == 't' ? 1 : 2;
}

static void env_add(struct jinja_env *e, char table, const struct jinja_func *rows)
{
	for (; rows && rows->name; rows++) {
		e->rows = arena_grow(e->a, e->rows, e->nrows, &e->caprows, sizeof(struct jinja_func *));
		e->rows[e->nrows] = rows;
		val_set(e->index[table_of(table)], rows->name, val_int(e->a, (int64_t)e->nrows++));
	}
}

void jinja_env_filters(struct jinja_env *e, const struct jinja_func *rows)
{
	env_add(e, 'f', rows);
}

void jinja_env_tests(struct jinja_env *e, const struct jinja_func *rows)
{
	env_add(e, 't', rows);
}

void jinja_env_globals(struct jinja_env *e, const struct jinja_func *rows)
{
	env_add(e, 'g', rows);
}

/* Three quarters of what the system gives: the rest is for what does not ask. */
static uintptr_t stack_end(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), most = (uintptr_t)64 << 20;
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < most)
		most = (uintptr_t)limit.rlim_cur;
	most = most / 4 * 3;
	return here > most ? here - most : 0;
}

struct jinja_env *jinja_env_new(struct arena *a, bool ansible)
{
	struct jinja_env *e = ARENA_NEW(a, struct jinja_env);

	e->a = a;
	e->stack_end = stack_end();
	e->ansible = ansible;
	for (size_t i = 0; i < 3; i++)
		e->index[i] = val_map(a);
	for (const struct jinja_table *t = jinja_tables; t->rows; t++)
		if (ansible || !t->ansible)
			env_add(e, t->kind, t->rows);
	return e;
}

const struct jinja_func *jinja_env_find(const struct jinja_env *e, char table, struct str name)
{
	const struct val *map = e->index[table_of(table)], *row = val_gets(map, name);

	/* "ansible.builtin.x" and any other collection's x. */
	for (size_t i = name.n; !row && table != 'g' && e->ansible && i > 0; i--) {
		if (name.p[i - 1] == '.') {
			row = val_gets(map, str_n(name.p + i, name.n - i));
			break;
		}
	}
	return row ? e->rows[val_get_int(row)] : NULL;
}

const char *jinja_env_near(const struct jinja_env *e, char table, struct str name)
{
	const struct val *map = e->index[table_of(table)];
	struct suggest s = {.name = name};

	MAP_EACH (i, map)
		suggest_offer(&s, val_get_strz(val_key_at(map, i)));
	return s.best;
}

/* ---- compiling */

bool jinja_is_template(struct str text)
{
	for (size_t i = 0; i + 1 < text.n; i++)
		if (text.p[i] == '{' &&
		    (text.p[i + 1] == '{' || text.p[i + 1] == '%' || text.p[i + 1] == '#'))
			return true;
	return false;
}

static struct str or_dflt(const char *s, const char *dflt)
{
	return str_c(s ? s : dflt);
}

static struct syntax syntax_of(const struct jinja_opts *o)
{
	return (struct syntax){
	        .block_start = or_dflt(o->block_start, "{%"),
	        .block_end = or_dflt(o->block_end, "%}"),
	        .var_start = or_dflt(o->variable_start, "{{"),
	        .var_end = or_dflt(o->variable_end, "}}"),
	        .comment_start = or_dflt(o->comment_start, "{#"),
	        .comment_end = or_dflt(o->comment_end, "#}"),
	        .line_statement = or_dflt(o->line_statement_prefix, ""),
	        .line_comment = or_dflt(o->line_comment_prefix, ""),
	        .newline = or_dflt(o->newline_sequence, "\n"),
	        .trim_blocks = o->trim_blocks,
	        .lstrip_blocks = o->lstrip_blocks,
	        .keep_trailing_newline = o->keep_trailing_newline && !o->ansible,
	        .raw_backslash = o->literal_backslashes,
	};
}

static bool is_bare(struct str s, const struct syntax *sx)
{
	if (str_ends(s, "\n"))
		s.n--;
	if (s.n < sx->var_start.n + sx->var_end.n || !str_starts(s, sx->var_start.p) ||
	    !str_ends(s, sx->var_end.p))
		return false;
	s = str_trim(str_n(s.p + sx->var_start.n, s.n - sx->var_start.n - sx->var_end.n));
	for (size_t i = 0; i < s.n; i++)
		if (strchr("-+.,:;()[]{}|~*/%'\"<>=! ", s.p[i]))
			return false;
	return true;
}

static bool compile(struct jinja_env *e, struct arena *a, struct str text, struct origin at,
                    const struct jinja_opts *opts, bool expr, struct jinja_tmpl **ret, struct err *err)
{
	static const struct jinja_opts none;
	struct jinja_tmpl *t = ARENA_NEW(a, struct jinja_tmpl);
	struct parser p = {.a = a, .env = e, .t = t, .err = err};
	struct syntax sx;

	t->env = e;
	t->at = at;
	t->opts = opts ? *opts : none;
	t->ansible = t->opts.ansible;
	t->text = str_dup(a, text);
	sx = syntax_of(&t->opts);
	if (!sx.block_start.n || !sx.block_end.n || !sx.var_start.n || !sx.var_end.n || !sx.comment_start.n ||
	    !sx.comment_end.n)
		return err_set(err, ERR_USER, at, "a template delimiter is empty");
	if (text.n >= UINT32_MAX / 2)
		return err_set(err, ERR_USER, at, "the template is too large");
	t->bare = expr || is_bare(t->text, &sx);
	for (size_t i = text.n; i > 0 && text.p[i - 1] == '\n'; i--)
		t->trailing_newlines++;
	jinja_lex(a, t->text, &sx, expr, &p.toks);
	if (expr) {
		t->expr = parse_expression(&p, true);
		if (!t->expr)
			return false;
		if (!parse_is(&p, T_EOF)) {
			parse_unexpected(&p, "end of expression");
			return false;
		}
	} else if (!parse_template(&p)) {
		return false;
	}
	if (!jinja_bind(a, t, err))
		return false;
	*ret = t;
	return true;
}

bool jinja_compile(struct jinja_env *e, struct arena *a, struct str text, struct origin at,
                   const struct jinja_opts *opts, struct jinja_tmpl **ret, struct err *err)
{
	return compile(e, a, text, at, opts, false, ret, err);
}

bool jinja_compile_expr(struct jinja_env *e, struct arena *a, struct str text, struct origin at,
                        struct jinja_tmpl **ret, struct err *err)
{
	return compile(e, a, text, at, NULL, true, ret, err);
}

struct val *jinja_undeclared(const struct jinja_tmpl *t, struct arena *a)
{
	struct val *r = val_list(a);

	for (size_t i = 0; i < t->nnames; i++)
		if (!jinja_env_find(t->env, 'g', t->names[i]) && !str_eqc(t->names[i], "self") &&
		    !str_eqc(t->names[i], "super"))
			val_push(r, val_str(a, t->names[i]));
	return r;
}

/* ---- contexts */

struct jinja_ctx *jinja_ctx_new(struct jinja_env *e, struct arena *a, const struct jinja_hooks *hooks)
{
	struct jinja_ctx *c = ARENA_NEW(a, struct jinja_ctx);

	c->env = e;
	c->a = a;
	if (hooks)
		c->hooks = *hooks;
	c->locals = val_map(a);
	c->no_kwargs = val_map(a);
	return c;
}

void jinja_ctx_set(struct jinja_ctx *c, struct str name, struct val *v)
{
	val_sets(c->locals, name, v);
}

void *jinja_ctx_user(const struct jinja_ctx *c)
{
	return c->hooks.ctx;
}

struct jinja_env *jinja_ctx_env(const struct jinja_ctx *c)
{
	return c->env;
}

bool ctx_strict(const struct jinja_ctx *ctx)
{
	return ctx->env->ansible;
}

/* ---- calls */

struct function {
	const struct jinja_func *row;
	struct val *bound;
};

static bool function_call(void *self, void *ctx, struct val *args, struct val *kwargs, struct arena *a,
                          struct val **ret, struct err *err)
{
	struct function *f = self;

	if (f->bound) {
		struct val *all = val_list(a);

		val_push(all, f->bound);
		VAL_EACH (i, args)
			val_push(all, val_at(args, i));
		args = all;
	}
	return jinja_call_row(ctx, a, f->row, args, kwargs, ret, err);
}

static void function_repr(void *self, struct buf *out)
{
	struct function *f = self;

	buf_printf(out, f->bound ? "<built-in method %s>" : "<function %s>", f->row->name);
}

static const struct val_class function_class = {
        .name = "builtin_function_or_method",
        .call = function_call,
        .repr = function_repr,
};

struct val *jinja_function(struct arena *a, const struct jinja_func *row, struct val *bound)
{
	struct function *f = ARENA_NEW(a, struct function);

	f->row = row;
	f->bound = bound;
	return val_obj(a, &function_class, f);
}

bool jinja_call_row(struct jinja_ctx *ctx, struct arena *a, const struct jinja_func *row, struct val *args,
                    struct val *kwargs, struct val **ret, struct err *err)
{
	struct val *none = kwargs ? kwargs : ctx->no_kwargs, *r = NULL;
	struct jinja_call c = {.ctx = ctx, .a = a, .args = args, .kwargs = none, .user = row->user};
	bool html = val_len(args) && val_is_markup(val_at(args, 0));

	if (!(row->flags & JINJA_ALLOW_UNDEF) && ctx->env->ansible) {
		VAL_EACH (i, args)
			if (val_undef_fails(val_at(args, i)))
				return jinja_fail(err, "%s", val_undef_msg(val_at(args, i)));
		MAP_EACH (i, none)
			if (val_is_undef(val_value_at(none, i)))
				return jinja_fail(err, "%s", val_undef_msg(val_value_at(none, i)));
	}
	if (html && (row->flags & JINJA_ESCAPES)) {
		c.args = markup_parts(a, args, 1);
		c.kwargs = markup_parts(a, none, 0);
	}
	if (!row->fn(&c, &r, err))
		return false;
	if (html && (row->flags & JINJA_MARKUP))
		r = markup_of(a, r);
	if ((row->flags & JINJA_TEXT) && val_is_str(r) && !val_is_text(r))
		r = val_mark_text(a, r);
	*ret = val_taint(a, r, args, none);
	return true;
}

bool jinja_call_val(struct jinja_ctx *c, struct arena *a, struct val *fn, struct val *args,
                    struct val *kwargs, struct val **ret, struct err *err)
{
	if (val_is_undef(fn))
		return jinja_fail(err, "%s", val_undef_msg(fn));
	if (val_kind(fn) != VAL_OBJ || !val_obj_class(fn)->call)
		return jinja_fail(err, "'%s' object is not callable", val_type_name(fn));
	return val_obj_class(fn)->call(val_obj_self(fn), c, args, kwargs ? kwargs : c->no_kwargs, a, ret,
	                               err);
}

bool ctx_call_named(struct jinja_ctx *ctx, struct arena *a, char table, struct str name, struct val *args,
                    struct val *kwargs, struct val **ret, struct err *err)
{
	const struct jinja_func *row = jinja_env_find(ctx->env, table, name);

	if (!row)
		return jinja_fail(err, "No %s named '%.*s'.", table == 'f' ? "filter" : "test",
		                  STR_FMT(name));
	return jinja_call_row(ctx, a, row, args, kwargs, ret, err);
}

struct val *ctx_getattr(struct jinja_ctx *ctx, struct arena *a, struct val *obj, struct val *key,
                        struct err *err)
{
	static const struct jinja_tmpl none;
	struct rt rt = {.ctx = ctx, .t = &none, .a = a, .err = err};

	return rt_getattr(&rt, obj, key, true);
}
