/*
 * nante render - evaluates a Jinja2 template or expression to standard output, byte for byte.
 *
 * --batch reads one JSON request per line ({"template", "vars", "expr", "ansible", "value", "options",
 * "files"}) and answers each with a line of JSON ({"out"} or {"error"}): what the recorded cases are checked
 * with. --repeat N renders N times and shows the last: for benchmarks.
 */
#include <unistd.h>
#include "ansible/engine.h"
#include "ansible/inventory.h"
#include "ansible/scope.h"
#include "ansible/templating.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/source.h"
#include "cmd.h"
#include "jinja/jinja.h"
#include "report.h"

struct render {
	struct arena *a;
	struct sources *ss;
	struct val *vars, *files; /* files: templates by name, for include; NULL: from DIR */
	const char *dir;
	const char *template;
	struct jinja_opts opts;
	bool expr, ansible, batch;
	int64_t repeat;        /* times to render, for benchmarks */
	struct engine *engine; /* of --ansible */
	struct jinja_env *env;
};

static bool read_all(int fd, struct buf *out, struct err *err)
{
	for (;;) {
		char *room = buf_room(out, 65536);
		ssize_t n;

		if (!room)
			return err_set(err, ERR_USER, ORIGIN_NONE, "the input is too large");
		n = read(fd, room, 65536);
		if (n < 0)
			return err_sys(err, ERR_USER, "read");
		if (n == 0)
			return true;
		out->n += (size_t)n;
		out->p[out->n] = 0;
	}
}

/* With --ansible: variables may hold templates, and there are lookups; one engine serves a whole batch. */
struct ansible_scope {
	struct scope s; /* first: filters and lookups take it for what the hooks' ctx is */
	struct render *r;
};

static bool ansible_resolve(void *ctx, struct str name, struct arena *a, struct val **ret, struct err *err)
{
	struct ansible_scope *as = ctx;

	/* What a run provides (groups, hostvars ...) is not there without one. */
	if (val_gets(as->r->vars, name))
		return scope_resolve(&as->s, name, a, ret, err);
	*ret = str_eqc(name, "omit") ? val_str(a, templating_omit(as->s.e)) : NULL;
	return true;
}

static bool render_resolve(void *ctx, struct str name, struct arena *a, struct val **ret, struct err *err)
{
	struct render *r = ctx;

	(void)a;
	(void)err;
	*ret = val_gets(r->vars, name);
	return true;
}

/* A template named by include or import: beside the template that is rendered. */
static bool render_load(void *ctx, struct str name, struct arena *a, struct str *ret_text,
                        struct origin *ret_origin, struct err *err)
{
	struct render *r = ctx;
	struct val *known = r->files ? val_gets(r->files, name) : NULL;
	char *path = fs_join(a, r->dir ? r->dir : ".", arena_strndup(a, name.p, name.n));
	struct buf b = {0};

	if (r->files) {
		*ret_text = known && val_is_str(known) ? val_get_str(known) : (struct str){0};
		return true;
	}
	if (!fs_exists(path) || fs_is_dir(path))
		return true;
	if (!fs_read(path, &b, err))
		return false;
	*ret_text = buf_take(&b, a);
	buf_free(&b);
	*ret_origin = (struct origin){sources_add(r->ss, path, *ret_text), 0};
	return true;
}

static bool ansible_load(void *ctx, struct str name, struct arena *a, struct str *ret_text,
                         struct origin *ret_origin, struct err *err)
{
	return render_load(((struct ansible_scope *)ctx)->r, name, a, ret_text, ret_origin, err);
}

static struct engine *ansible_engine(struct arena *a, struct sources *ss)
{
	struct engine_opts *o = ARENA_NEW(a, struct engine_opts);

	o->sources = ss;
	o->inventory = inventory_new(a, ss);
	return engine_new(a, o);
}

static struct jinja_ctx *context(struct render *r, struct arena *a)
{
	struct jinja_hooks *hooks = ARENA_NEW(a, struct jinja_hooks);
	struct ansible_scope *as;

	if (!r->ansible) {
		*hooks = (struct jinja_hooks){r, render_resolve, NULL, render_load};
		return jinja_ctx_new(r->env, a, hooks);
	}
	as = ARENA_NEW(a, struct ansible_scope);
	*hooks = (struct jinja_hooks){as, ansible_resolve, scope_is_plain, ansible_load};
	scope_init(&as->s, r->engine, NULL, NULL, NULL, a);
	as->s.locals = r->vars;
	as->s.jinja = jinja_ctx_new(r->env, a, hooks);
	as->r = r;
	return as->s.jinja;
}

static bool add_vars(struct render *r, const char *arg, struct err *err)
{
	const char *eq = strchr(arg, '=');
	struct buf b = {0};
	struct val *v;
	bool ok;

	if (arg[0] != '@' && arg[0] != '{') {
		if (!eq)
			return err_set(err, ERR_USER, ORIGIN_NONE,
			               "-e %s: NAME=VALUE or @FILE.json is expected", arg);
		val_sets(r->vars, str_n(arg, (size_t)(eq - arg)), val_strz(r->a, eq + 1));
		return true;
	}
	if (arg[0] == '@')
		ok = fs_read(arg + 1, &b, err);
	else {
		buf_adds(&b, arg);
		ok = true;
	}
	if (ok)
		ok = json_parse(r->a, buf_str(&b),
		                sources_add(r->ss, arg[0] == '@' ? arg + 1 : "-e", buf_str(&b)), &v, err);
	buf_free(&b);
	if (ok && !val_is_map(v))
		return err_set(err, ERR_USER, ORIGIN_NONE, "-e %s: a JSON object is expected", arg);
	if (ok)
		r->vars = val_merge(r->a, r->vars, v, false);
	return ok;
}

static bool parse_args(struct render *r, int argc, char **argv, struct err *err)
{
	const struct {
		const char *name;
		bool *to;
	} flags[] = {
	        {"--expr", &r->expr},
	        {"--trim-blocks", &r->opts.trim_blocks},
	        {"--lstrip-blocks", &r->opts.lstrip_blocks},
	        {"--keep-trailing-newline", &r->opts.keep_trailing_newline},
	        {"--ansible", &r->ansible},
	        {"--batch", &r->batch},
	};

	for (int i = 1; i < argc; i++) {
		bool known = false;

		for (size_t j = 0; j < sizeof(flags) / sizeof(*flags); j++) {
			if (!strcmp(argv[i], flags[j].name))
				known = *flags[j].to = true;
		}
		if (known)
			continue;
		if (!strcmp(argv[i], "--repeat") && i + 1 < argc && str_int(str_c(argv[i + 1]), &r->repeat)) {
			i++;
		} else if (!strcmp(argv[i], "-e") && i + 1 < argc) {
			if (!add_vars(r, argv[++i], err))
				return false;
		} else if ((argv[i][0] == '-' && argv[i][1]) || r->template) {
			return err_set(err, ERR_USER, ORIGIN_NONE, "render: unexpected argument '%s'",
			               argv[i]);
		} else {
			r->template = argv[i];
		}
	}
	if (!r->template && !r->batch)
		return err_set(err, ERR_USER, ORIGIN_NONE, "render: which template? (- for standard input)");
	return true;
}

/* The value of TEXT; as the template module does it (VALUE false) or as a variable or an expression gives it.
 */
static bool evaluate(struct render *r, struct str text, struct origin at, bool value, struct val **ret,
                     struct err *err)
{
	struct jinja_ctx *c = context(r, r->a);
	struct jinja_tmpl *t;

	if (r->expr) {
		if (!jinja_compile_expr(r->env, r->a, text, at, &t, err))
			return false;
		return value ? jinja_eval(t, c, r->a, ret, err) : jinja_render(t, c, r->a, ret, err);
	}
	if (!jinja_compile(r->env, r->a, text, at, &r->opts, &t, err))
		return false;
	for (int64_t i = 1; i < r->repeat; i++) {
		struct arena *once = arena_new(r->a);
		bool ok = jinja_render(t, context(r, once), once, ret, err);

		arena_free(once);
		if (!ok)
			return false;
	}
	return value ? jinja_render_ansible(t, c, r->a, ret, err) : jinja_render(t, c, r->a, ret, err);
}

/* The template module: trim_blocks on, the last newline kept, undefined refused. */
static void ansible_opts(struct render *r)
{
	r->opts.ansible = true;
	r->opts.trim_blocks = true;
	r->opts.keep_trailing_newline = true;
}

static bool render_one(struct render *r, struct err *err)
{
	struct buf b = {0};
	struct val *v;
	bool ok, from_stdin = !strcmp(r->template, "-");

	if (r->expr && !from_stdin) {
		buf_adds(&b, r->template);
		ok = true;
	} else {
		ok = from_stdin ? read_all(STDIN_FILENO, &b, err) : fs_read(r->template, &b, err);
	}
	if (ok) {
		struct str text = buf_take(&b, r->a);
		const char *name = r->expr && !from_stdin ? "expression"
		                   : from_stdin           ? "standard input"
		                                          : r->template;
		struct origin at = {sources_add(r->ss, name, text), 0};

		r->dir = from_stdin || r->expr ? "." : fs_dirname(r->a, r->template);
		r->engine = r->ansible ? ansible_engine(r->a, r->ss) : NULL;
		r->env = r->ansible ? templating_env(r->engine) : jinja_env_new(r->a, false);
		ok = evaluate(r, text, at, false, &v, err);
	}
	buf_free(&b);
	if (!ok)
		return false;
	log_text(val_get_str(v));
	return true;
}

/* ---- --batch */

static void batch_options(struct render *r, const struct val *o)
{
	const struct {
		const char *name;
		const char **to;
	} texts[] = {
	        {"block_start_string", &r->opts.block_start},
	        {"block_end_string", &r->opts.block_end},
	        {"variable_start_string", &r->opts.variable_start},
	        {"variable_end_string", &r->opts.variable_end},
	        {"comment_start_string", &r->opts.comment_start},
	        {"comment_end_string", &r->opts.comment_end},
	        {"line_statement_prefix", &r->opts.line_statement_prefix},
	        {"line_comment_prefix", &r->opts.line_comment_prefix},
	        {"newline_sequence", &r->opts.newline_sequence},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		*texts[i].to = val_map_strz(o, texts[i].name, NULL);
	r->opts.trim_blocks = val_map_bool(o, "trim_blocks", r->opts.trim_blocks);
	r->opts.lstrip_blocks = val_map_bool(o, "lstrip_blocks", false);
	r->opts.keep_trailing_newline =
	        val_map_bool(o, "keep_trailing_newline", r->opts.keep_trailing_newline);
	r->opts.literal_backslashes = val_map_bool(o, "literal_backslashes", false);
}

static bool batch_one(struct render *r, struct str line, struct val **ret, struct err *err)
{
	struct val *q, *o;
	bool value;

	if (!json_parse(r->a, line, 0, &q, err))
		return false;
	if (!val_is_map(q))
		return err_set(err, ERR_USER, ORIGIN_NONE, "a JSON object per line is expected");
	o = val_get(q, "options");
	r->vars = val_get(q, "vars") && val_is_map(val_get(q, "vars")) ? val_get(q, "vars") : val_map(r->a);
	r->files =
	        val_get(q, "files") && val_is_map(val_get(q, "files")) ? val_get(q, "files") : val_map(r->a);
	r->expr = val_map_bool(q, "expr", false);
	r->ansible = val_map_bool(q, "ansible", false);
	value = val_map_bool(q, "value", false);
	r->env = r->ansible ? templating_env(r->engine) : jinja_env_new(r->a, false);
	if (r->ansible && !value)
		ansible_opts(r);
	if (r->ansible)
		r->opts.ansible = true;
	batch_options(r, o && val_is_map(o) ? o : val_map(r->a));
	return evaluate(r, val_map_str(q, "template", ""), ORIGIN_NONE, value, ret, err);
}

static bool render_batch(struct err *err)
{
	struct buf in = {0};
	struct str rest;
	struct arena *whole;
	struct engine *engine;

	if (!read_all(STDIN_FILENO, &in, err)) {
		buf_free(&in);
		return false;
	}
	whole = arena_new(NULL);
	engine = ansible_engine(whole, sources_new(whole));
	rest = buf_str(&in);
	while (rest.n) {
		struct render r = {.a = arena_new(NULL), .engine = engine};
		struct str line = str_split(&rest, '\n');
		struct err e = {0};
		struct val *answer = val_map(r.a), *v;
		struct buf out = {0};

		if (batch_one(&r, line, &v, &e))
			val_set(answer, "out", val_is_undef(v) ? val_null() : v);
		else
			val_set(answer, "error", val_strz(r.a, err_msg(&e)));
		json_dump(answer, JSON_STYLE_COMPACT, &out);
		buf_addc(&out, '\n');
		log_text(buf_str(&out));
		buf_free(&out);
		err_clear(&e);
		arena_free(r.a);
	}
	arena_free(whole);
	buf_free(&in);
	return true;
}

int cmd_render(int argc, char **argv)
{
	struct arena *a = arena_new(NULL);
	struct render r = {.a = a, .ss = sources_new(a), .vars = val_map(a)};
	struct err err = {0};
	int code = EXIT_DONE;
	bool ok = parse_args(&r, argc, argv, &err);

	if (ok && r.ansible)
		ansible_opts(&r);
	if (ok)
		ok = r.batch ? render_batch(&err) : render_one(&r, &err);
	if (!ok) {
		report_err(NULL, r.ss, &err);
		code = report_exit_code(&err);
	}
	err_clear(&err);
	arena_free(a);
	return code;
}
