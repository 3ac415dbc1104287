/* Templates in variables, parameters, conditions and files, evaluated with a scope's variables. */
#include "ansible/core.h"
#include "ansible/templating.h"
#include "base/suggest.h"
#include "jinja/jinja.h"
#include "yaml/yaml_load.h"
#include <ctype.h>

/* ---- compiled once per text and place ------------------------------------------------------------------ */

struct tmpl_slot {
	struct str text;
	struct origin at;
	char kind; /* t(emplate) e(xpression) f(ile) */
	bool mutates;
	struct jinja_tmpl *tmpl;
};

struct tmpl_cache {
	struct tmpl_slot *v;
	size_t n, cap;
};

static struct tmpl_slot *slot_find(struct tmpl_cache *c, struct str text, struct origin at, char kind)
{
	uint64_t h =
	        str_hash(text) ^ ((uint64_t)at.src << 32 | at.off) * 0x9e3779b97f4a7c15U ^ (uint64_t)kind;
	size_t i = (size_t)(h >> 7) & (c->cap - 1);
	for (;; i = (i + 1) & (c->cap - 1)) {
		struct tmpl_slot *s = &c->v[i];
		if (!s->kind ||
		    (s->kind == kind && s->at.src == at.src && s->at.off == at.off && str_eq(s->text, text)))
			return s;
	}
}

static void cache_grow(struct engine *e)
{
	struct tmpl_cache *c = e->tmpls;
	struct tmpl_slot *old = c->v;
	size_t n = c->cap;
	c->cap = n ? n * 2 : 1024;
	c->v = arena_array(e->a, c->cap, sizeof(*c->v));
	for (size_t i = 0; i < n; i++)
		if (old[i].kind)
			*slot_find(c, old[i].text, old[i].at, old[i].kind) = old[i];
}

/* Errors carry offsets as if the text stood in the file as it is; fold lines and quotes back in. */
static void err_relocate(struct engine *e, struct err *err, struct str text, struct origin at)
{
	if (!at.src)
		return;
	struct str source = sources_text(e->sources, at.src);
	for (size_t i = 0; i < err->n; i++) {
		struct origin *o = &err->frames[i].at;
		if (o->src == at.src && o->off >= at.off && o->off - at.off <= text.n)
			*o = yaml_locate(source, at, text, o->off - at.off);
	}
}

/* Methods that change a list or dictionary in place: what such a template reads has to be a copy. */
static bool mutates(struct str t)
{
	static const char *const words[] = {".append",  ".update",     ".extend", ".insert",
	                                    ".remove",  ".pop",        ".sort",   ".clear",
	                                    ".reverse", ".setdefault", ".popitem"};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (str_find(t, str_c(words[i]), 0) >= 0)
			return true;
	return false;
}

static bool compiled(struct engine *e, struct str text, struct origin at, char kind, struct tmpl_slot **ret,
                     struct err *err)
{
	struct tmpl_cache *c = e->tmpls;
	if (c->n * 2 >= c->cap)
		cache_grow(e);
	struct tmpl_slot *s = slot_find(c, text, at, kind);
	if (!s->kind) {
		const struct jinja_opts opts = {
		        .trim_blocks = true, .literal_backslashes = kind == 't', .ansible = true};
		struct jinja_tmpl *t;
		struct str own = str_dup(e->a, text);
		bool ok = kind == 'e' ? jinja_compile_expr(e->env, e->a, own, at, &t, err)
		                      : jinja_compile(e->env, e->a, own, at, &opts, &t, err);
		if (!ok) {
			if (kind != 'f')
				err_relocate(e, err, text, at);
			return false;
		}
		*s = (struct tmpl_slot){own, at, kind, mutates(text), t};
		c->n++;
	}
	*ret = s;
	return true;
}

struct jinja_env *templating_env(const struct engine *e)
{
	return e->env;
}

struct str templating_omit(const struct engine *e)
{
	return e->omit;
}

/* ---- the scope's side of jinja --------------------------------------------------------------------------
 */

bool scope_resolve(void *ctx, struct str name, struct arena *a, struct val **ret, struct err *err)
{
	struct err why = {0};
	if (scope_var(ctx, name, ret, &why))
		return true;
	/* A variable that needs an undefined one is undefined itself: default() and "is defined" may still
	 * help. */
	const char *msg = err_msg(&why);
	const struct val *raw = scope_raw(ctx, name);
	bool on_purpose = raw && val_is_str(raw) && str_find(val_get_str(raw), STR("undef("), 0) >= 0;
	if (on_purpose || strstr(msg, " is undefined") || strstr(msg, " has no attribute ") ||
	    strstr(msg, " has no element ")) {
		*ret = val_undef(a, name, arena_printf(a, "%s", msg));
		err_clear(&why);
		return true;
	}
	err_move(err, &why);
	return false;
}

bool scope_is_plain(void *ctx, struct str name)
{
	const struct val *raw = scope_raw(ctx, name);
	return !raw || !val_is_str(raw);
}

static bool hook_load(void *ctx, struct str name, struct arena *a, struct str *ret_text,
                      struct origin *ret_origin, struct err *err)
{
	struct scope *s = ctx;
	(void)a;
	const char *path = scope_find(s, "templates", name);
	uint32_t src;
	*ret_text = (struct str){0};
	if (!path)
		return true; /* there is none: whether that is a fault is the template's to say */
	if (!loader_text(&s->e->loader, path, ret_text, &src, err))
		return false;
	*ret_origin = (struct origin){src, 0};
	return true;
}

void scope_init(struct scope *s, struct engine *e, struct host *h, const struct node *n, struct frame *f,
                struct arena *a)
{
	*s = (struct scope){.e = e, .host = h, .node = n, .frame = f, .a = a};
	s->memo = val_map(a);
	struct jinja_hooks *hooks = ARENA_NEW(a, struct jinja_hooks);
	*hooks = (struct jinja_hooks){s, scope_resolve, scope_is_plain, hook_load};
	s->jinja = jinja_ctx_new(e->env, a, hooks);
}

void scope_touch(struct scope *s)
{
	s->memo = val_map(s->a);
}

void scope_set(struct scope *s, const char *name, struct val *v)
{
	if (!s->locals)
		s->locals = val_map(s->a);
	val_set(s->locals, name, v);
	scope_touch(s);
}

/* ---- values ------------------------------------------------------------------------------------------- */

bool val_needs_template(const struct val *v)
{
	/* Templating makes a list of a tuple. */
	if (val_kind(v) == VAL_TUPLE)
		return true;
	if (val_unsafe(v))
		return false;
	switch (val_kind(v)) {
	case VAL_STR: return jinja_is_template(val_get_str(v));
	case VAL_LIST:
		VAL_EACH (i, v)
			if (val_needs_template(val_at(v, i)))
				return true;
		return false;
	case VAL_MAP:
		MAP_EACH (i, v)
			if (val_needs_template(val_value_at(v, i)))
				return true;
		return false;
	default: return false;
	}
}

static bool template_str(struct scope *s, struct val *v, struct val **ret, struct err *err)
{
	struct tmpl_slot *t;
	struct str text = val_get_str(v);
	if (!compiled(s->e, text, val_origin(v), 't', &t, err))
		return false;
	bool copying = s->copying;
	s->copying = t->mutates;
	bool ok = jinja_render_ansible(t->tmpl, s->jinja, s->a, ret, err);
	s->copying = copying;
	if (!ok)
		err_relocate(s->e, err, text, val_origin(v));
	else if (val_secret(v))
		*ret = val_mark_secret(s->a, *ret);
	return ok;
}

bool scope_template(struct scope *s, struct val *v, struct val **ret, struct err *err)
{
	if (!val_needs_template(v)) {
		*ret = v;
		return true;
	}
	if (val_is_str(v))
		return template_str(s, v, ret, err);
	struct val *out = val_is_map(v) ? val_map(s->a) : val_list(s->a);
	out = val_at_origin(s->a, out, val_origin(v));
	VAL_EACH (i, v) {
		struct val *m;
		if (!scope_template(s, val_is_map(v) ? val_value_at(v, i) : val_at(v, i), &m, err))
			return false;
		if (val_is_map(v))
			val_setk(out, val_key_at(v, i), m);
		else
			val_push(out, m);
	}
	*ret = out;
	return true;
}

bool scope_text(struct scope *s, struct val *v, struct str *ret, struct err *err)
{
	struct val *t;
	if (!scope_template(s, v, &t, err))
		return false;
	*ret = val_text(t, s->a);
	return true;
}

/* The words that stand for true and false where a keyword wants one of them. */
static bool bool_strict(const struct val *v, bool *ret)
{
	static const char *const words[] = {"y", "yes", "on",  "1", "true",  "t", "1.0",
	                                    "n", "no",  "off", "0", "false", "f", "0.0"};
	const size_t n = sizeof(words) / sizeof(*words);
	if (!val_is_str(v)) {
		*ret = val_to_bool(v);
		return val_kind(v) == VAL_BOOL || (val_is_num(v) && (*ret || val_get_float(v) == 0));
	}
	struct str text = str_trim(val_get_str(v));
	for (size_t i = 0; i < n; i++) {
		*ret = i < n / 2;
		if (strlen(words[i]) == text.n && strncasecmp(words[i], text.p, text.n) == 0)
			return true;
	}
	return false;
}

bool scope_bool(struct scope *s, struct val *v, bool dflt, bool *ret, struct err *err)
{
	struct val *t;
	*ret = dflt;
	if (!v)
		return true;
	if (!scope_template(s, v, &t, err))
		return false;
	if (val_is_null(t) || val_is_omit(s->e, t))
		return true;
	return bool_strict(t, ret) ||
	       err_set(err, ERR_REMOTE, val_origin(v), "The value '%.*s' is not a valid boolean.",
	               STR_FMT(val_text(t, s->a)));
}

bool scope_number(struct scope *s, struct val *v, double dflt, double *ret, struct err *err)
{
	struct val *t;
	*ret = dflt;
	if (!v)
		return true;
	if (!scope_template(s, v, &t, err))
		return false;
	if (val_is_num(t)) {
		*ret = val_get_float(t);
		return true;
	}
	if (val_is_null(t) || val_is_omit(s->e, t))
		return true;
	struct val *lit;
	struct str text = str_trim(val_text(t, s->a));
	if (!jinja_literal_eval(s->a, text, &lit) || !val_is_num(lit))
		return err_set(err, ERR_REMOTE, val_origin(v),
		               "invalid literal for int() with base 10: '%.*s'", STR_FMT(text));
	*ret = val_get_float(lit);
	return true;
}

static void flatten_words(struct scope *s, const struct val *v, struct val *out)
{
	if (val_is_list(v)) {
		VAL_EACH (i, v)
			flatten_words(s, val_at(v, i), out);
	} else if (!val_is_null(v)) {
		struct str text = val_text(v, s->a);
		while (text.p) {
			struct str w = str_trim(str_split(&text, ','));
			if (w.n)
				val_push(out, val_str(s->a, w));
		}
	}
}

bool scope_words(struct scope *s, struct val *v, struct val **ret, struct err *err)
{
	struct val *t;
	if (!scope_template(s, v, &t, err))
		return false;
	*ret = val_list(s->a);
	flatten_words(s, t, *ret);
	return true;
}

/* ---- conditions --------------------------------------------------------------------------------------- */

bool scope_expr(struct scope *s, struct str text, struct origin at, struct val **ret, struct err *err)
{
	struct tmpl_slot *t;
	if (!compiled(s->e, text, at, 'e', &t, err))
		return false;
	s->copying = t->mutates;
	bool ok = jinja_eval(t->tmpl, s->jinja, s->a, ret, err);
	s->copying = false;
	if (!ok)
		err_relocate(s->e, err, text, at);
	return ok;
}

static bool cond_text(struct scope *s, struct val *cond, bool *ret, struct err *err)
{
	struct str text = val_get_str(cond);
	struct origin at = val_origin(cond);
	if (!str_trim(text).n) {
		*ret = true;
		return true;
	}
	struct val *v = cond;
	if (jinja_is_template(text) && !val_unsafe(cond)) {
		engine_warn(s->e, at,
		            "conditional statements should not include jinja2 templating delimiters such as "
		            "{{ }} or {%% %%}. Found: %.*s",
		            STR_FMT(text));
		if (!scope_template(s, cond, &v, err))
			return false;
		if (val_kind(v) == VAL_BOOL) {
			*ret = val_get_bool(v);
			return true;
		}
		text = val_text(v, s->a);
		if (!str_trim(text).n) {
			*ret = true;
			return true;
		}
	}
	if (!scope_expr(s, text, at, &v, err))
		return false;
	if (val_is_undef(v))
		return err_set(err, ERR_REMOTE, at, "%s", val_undef_msg(v));
	*ret = val_truthy(v);
	return true;
}

static bool cond_one(struct scope *s, struct val *cond, bool *ret, struct err *err)
{
	switch (val_kind(cond)) {
	case VAL_BOOL: *ret = val_get_bool(cond); return true;
	case VAL_NULL: *ret = true; return true;
	case VAL_STR: break;
	default: {
		struct val *t = val_at_origin(s->a, val_str(s->a, val_text(cond, s->a)), val_origin(cond));
		return cond_one(s, t, ret, err);
	}
	}
	struct err why = {0};
	if (cond_text(s, cond, ret, &why))
		return true;
	struct buf b = {0};
	struct str text = val_get_str(cond);
	buf_printf(&b,
	           "The conditional check '%.*s' failed. The error was: error while evaluating conditional "
	           "(%.*s): %s",
	           STR_FMT(text), STR_FMT(text), err_msg(&why));
	struct origin at = err_origin(&why);
	err_set(err, ERR_REMOTE, at.src ? at : val_origin(cond), "%s", b.p);
	if (why.hint)
		err_hint(err, "%s", why.hint);
	err_clear(&why);
	buf_free(&b);
	return false;
}

bool scope_cond(struct scope *s, struct val *cond, bool *ret, struct val **ret_false, struct err *err)
{
	*ret = true;
	if (!cond)
		return true;
	if (!val_is_list(cond)) {
		bool ok = cond_one(s, cond, ret, err);
		if (ok && !*ret && ret_false)
			*ret_false = cond;
		return ok;
	}
	VAL_EACH (i, cond) {
		if (!scope_cond(s, val_at(cond, i), ret, ret_false, err))
			return false;
		if (!*ret)
			return true;
	}
	return true;
}

/* ---- omit --------------------------------------------------------------------------------------------- */

bool val_is_omit(const struct engine *e, const struct val *v)
{
	return val_is_str(v) && str_eq(val_get_str(v), e->omit);
}

static bool has_omit(const struct engine *e, const struct val *v)
{
	if (val_is_map(v) || val_is_list(v)) {
		VAL_EACH (i, v)
			if (has_omit(e, val_is_map(v) ? val_value_at(v, i) : val_at(v, i)))
				return true;
		return false;
	}
	return val_is_omit(e, v);
}

struct val *val_without_omit(const struct engine *e, struct arena *a, struct val *v)
{
	if (!has_omit(e, v) || val_is_omit(e, v))
		return v;
	struct val *out = val_at_origin(a, val_is_map(v) ? val_map(a) : val_list(a), val_origin(v));
	VAL_EACH (i, v) {
		struct val *m = val_is_map(v) ? val_value_at(v, i) : val_at(v, i);
		/* As in Ansible: of a list only its dictionaries are looked through. */
		if (!val_is_map(v)) {
			val_push(out, val_is_map(m) ? val_without_omit(e, a, m) : m);
			continue;
		}
		if (!val_is_omit(e, m))
			val_setk(out, val_key_at(v, i), val_without_omit(e, a, m));
	}
	return out;
}

static bool has_tuple(const struct val *v)
{
	if (val_kind(v) == VAL_TUPLE)
		return true;
	if (!val_is_list(v) && !val_is_map(v))
		return false;
	VAL_EACH (i, v)
		if (has_tuple(val_is_map(v) ? val_value_at(v, i) : val_at(v, i)))
			return true;
	return false;
}

struct val *val_no_tuples(struct arena *a, struct val *v)
{
	if (!has_tuple(v))
		return v;
	struct val *out = val_at_origin(a, val_is_map(v) ? val_map(a) : val_list(a), val_origin(v));
	VAL_EACH (i, v) {
		struct val *m = val_no_tuples(a, val_is_map(v) ? val_value_at(v, i) : val_at(v, i));
		if (val_is_map(v))
			val_setk(out, val_key_at(v, i), m);
		else
			val_push(out, m);
	}
	return out;
}

/* ---- template files ----------------------------------------------------------------------------------- */

static bool set_option(struct arena *a, struct jinja_opts *o, struct str key, struct str value)
{
	struct {
		const char *name, *alias;
		const char **text;
		bool *flag;
	} rows[] = {
	        {"trim_blocks", NULL, NULL, &o->trim_blocks},
	        {"lstrip_blocks", NULL, NULL, &o->lstrip_blocks},
	        {"keep_trailing_newline", NULL, NULL, &o->keep_trailing_newline},
	        {"block_start_string", NULL, &o->block_start, NULL},
	        {"block_end_string", NULL, &o->block_end, NULL},
	        {"variable_start_string", NULL, &o->variable_start, NULL},
	        {"variable_end_string", NULL, &o->variable_end, NULL},
	        {"comment_start_string", NULL, &o->comment_start, NULL},
	        {"comment_end_string", NULL, &o->comment_end, NULL},
	        {"line_statement_prefix", NULL, &o->line_statement_prefix, NULL},
	        {"line_comment_prefix", NULL, &o->line_comment_prefix, NULL},
	        {"newline_sequence", NULL, &o->newline_sequence, NULL},
	};
	struct val *v; /* Python's literals are meant: a text is true unless it is empty, whatever it says */
	if (!jinja_python_literal(a, value, &v))
		v = str_eqc(value, "true") || str_eqc(value, "yes") ? val_bool(true) : val_str(a, value);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!str_eqc(key, rows[i].name))
			continue;
		if (rows[i].flag)
			*rows[i].flag = val_truthy(v);
		else
			*rows[i].text = str_dup(a, val_text(v, a)).p;
		return true;
	}
	return false;
}

/* "#jinja2: trim_blocks: True, lstrip_blocks: True" on the first line; it is cut off. */
static bool take_header(struct arena *a, struct jinja_opts *o, struct str *text, struct origin *at,
                        struct err *err)
{
	if (!str_starts(*text, "#jinja2:"))
		return true;
	struct str rest = *text, line = str_split(&rest, '\n'), opts = str_n(line.p + 8, line.n - 8);
	while (opts.p) {
		struct str pair = str_trim(str_split(&opts, ',')), key;
		if (!pair.n)
			continue;
		key = str_trim(str_split(&pair, ':'));
		if (!pair.p || !set_option(a, o, key, str_trim(pair)))
			return err_set(err, ERR_USER, *at, "bad option '%.*s' in the #jinja2: header",
			               STR_FMT(key));
	}
	at->off += (uint32_t)(line.n + 1);
	*text = rest.p ? rest : STR("");
	return true;
}

static bool has_options(const struct jinja_opts *o)
{
	return !o->trim_blocks || o->lstrip_blocks || o->keep_trailing_newline || o->block_start ||
	       o->block_end || o->variable_start || o->variable_end || o->comment_start || o->comment_end ||
	       o->line_statement_prefix || o->line_comment_prefix || o->newline_sequence;
}

/* Once for all hosts, unless it has options of its own. */
static bool compile_file(struct scope *s, struct str text, struct origin at, const struct jinja_opts *o,
                         struct jinja_tmpl **ret, bool *ret_mutates, struct err *err)
{
	struct tmpl_slot *slot;
	if (has_options(o)) {
		*ret_mutates = mutates(text);
		return jinja_compile(s->e->env, s->a, text, at, o, ret, err);
	}
	if (!compiled(s->e, text, at, 'f', &slot, err))
		return false;
	*ret = slot->tmpl;
	*ret_mutates = slot->mutates;
	return true;
}

bool scope_render_file(struct scope *s, struct str text, uint32_t src, const struct val *opts,
                       struct str *ret, bool *ret_secret, struct err *err)
{
	struct jinja_opts o = {.trim_blocks = true, .ansible = true};
	struct origin at = {src, 0};
	for (size_t i = 0; opts && i < val_len(opts); i++)
		if (!val_is_null(val_value_at(opts, i)))
			set_option(s->a, &o, val_get_str(val_key_at(opts, i)),
			           val_text(val_value_at(opts, i), s->a));
	if (!take_header(s->a, &o, &text, &at, err))
		return false;
	struct jinja_tmpl *t;
	struct val *v;
	bool own = o.block_start || o.variable_start || o.line_statement_prefix || o.line_comment_prefix,
	     changes;
	/* Line ends change also in what is no template otherwise. */
	bool ends = o.newline_sequence || (text.n && memchr(text.p, '\r', text.n));
	if (!own && !ends && !jinja_is_template(text)) {
		*ret = text;
		*ret_secret = false;
		return true;
	}
	if (!compile_file(s, text, at, &o, &t, &changes, err))
		return false;
	s->copying = changes;
	bool ok = jinja_render(t, s->jinja, s->a, &v, err);
	s->copying = false;
	if (!ok)
		return false;
	*ret = val_get_str(v);
	*ret_secret = val_secret(v);
	return true;
}

struct tmpl_cache *tmpl_cache_new(struct arena *a)
{
	return ARENA_NEW(a, struct tmpl_cache);
}
