/* Filters and globals that need YAML or the scope. */
#include "ansible/core.h"
#include "ansible/templating.h"
#include "jinja/jinja.h"
#include "modules/vault.h"
#include "yaml/yaml_load.h"
#include <glob.h>

static struct val *kwarg(struct jinja_call *c, const char *name, size_t pos)
{
	struct val *v = val_get(c->kwargs, name);
	if (!v && pos && pos < val_len(c->args))
		v = val_at(c->args, pos);
	return v;
}

/* default_flow_style, of to_yaml only: none is for leaves, a truth for all, any other for nothing. */
static void flow_style(struct yaml_style *st, const struct val *v)
{
	if (!v || val_is_null(v))
		return;
	st->flow = false;
	st->all_flow = val_truthy(v);
}

static bool to_yaml(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct yaml_style st = {.indent = 2, .width = 80, .sort_keys = true, .flow = true, .unicode = true};
	const struct {
		const char *name;
		bool *to;
	} flags[] = {{"sort_keys", &st.sort_keys},
	             {"allow_unicode", &st.unicode},
	             {"explicit_start", &st.start},
	             {"explicit_end", &st.end}};
	bool nice = c->user != NULL;
	struct buf b = {0};
	struct val *in = val_at(c->args, 0), *v;
	(void)err;
	if (nice) {
		st.indent = 4;
		st.flow = false;
	}
	if ((v = kwarg(c, "indent", nice ? 1 : 0)) && val_is_num(v))
		st.indent = (int)val_get_float(v);
	if ((v = kwarg(c, "width", 0)) && val_is_num(v))
		st.width = (int)val_get_float(v);
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if ((v = kwarg(c, flags[i].name, 0)))
			*flags[i].to = val_truthy(v);
	flow_style(&st, kwarg(c, "default_flow_style", 0));
	if ((v = kwarg(c, "default_style", 0)) && val_is_str(v) && val_len(v))
		st.quote = val_get_str(v).p[0];
	yaml_dump(in, st, &b);
	*ret = val_str(c->a, buf_str(&b));
	buf_free(&b);
	if (val_secret_deep(in))
		*ret = val_mark_secret(c->a, *ret);
	return true;
}

static bool from_yaml(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *in = val_at(c->args, 0), *v;
	if (!val_is_str(in)) {
		*ret = in;
		return true;
	}
	struct str text = str_dup(c->a, val_get_str(in));
	if (!(c->user ? yaml_load_all(c->a, text, 0, NULL, &v, err)
	              : yaml_load(c->a, text, 0, NULL, &v, err)))
		return false;
	if (val_secret(in))
		v = val_mark_secret(c->a, v);
	*ret = val_unsafe(in) ? val_mark_unsafe(c->a, v) : v;
	return true;
}

/* Text sealed with Ansible Vault, opened with SECRET; other text is given back. */
static bool unvault(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *in = val_at(c->args, 0), *secret = kwarg(c, "secret", 1);
	struct str out;
	struct err why = {0};
	if (!secret || !val_is_str(secret))
		return err_set(err, ERR_USER, ORIGIN_NONE,
		               "Secret passed is required to be as string, instead we got: %s",
		               secret ? val_type_name(secret) : "nothing");
	if (!val_is_str(in))
		return err_set(err, ERR_USER, ORIGIN_NONE,
		               "Vault should be in the form of a string, instead we got: %s",
		               val_type_name(in));
	*ret = in;
	if (!vault_is_sealed(val_get_str(in)))
		return true;
	struct vault *v = vault_new(c->a);
	vault_add(v, NULL, val_get_str(secret));
	if (!vault_open(v, c->a, val_get_str(in), &out, &why)) {
		err_set(err, ERR_USER, ORIGIN_NONE, "Unable to decrypt: %s", err_msg(&why));
		err_clear(&why);
		return false;
	}
	*ret = val_mark_secret(c->a, val_str(c->a, out));
	return true;
}

static bool seal(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *in = val_at(c->args, 0), *secret = kwarg(c, "secret", 1), *salt = kwarg(c, "salt", 2),
	           *label = kwarg(c, "vault_id", 3);
	struct str out;
	if (!label)
		label = kwarg(c, "vaultid", 3);
	if (!secret || !val_is_str(secret))
		return err_set(err, ERR_USER, ORIGIN_NONE,
		               "Secret passed is required to be a string, instead we got: %s",
		               secret ? val_type_name(secret) : "nothing");
	if (!val_is_str(in))
		return err_set(err, ERR_USER, ORIGIN_NONE, "Can only vault strings, instead we got: %s",
		               val_type_name(in));
	if (!vault_seal(c->a, val_get_str(in), val_get_str(secret),
	                label && val_is_str(label) ? val_get_strz(label) : "filter_default",
	                salt && val_is_str(salt) ? val_get_str(salt) : STR(""), &out, err))
		return false;
	*ret = val_str(c->a, out);
	return true;
}

static bool fileglob(struct jinja_call *c, struct val **ret, struct err *err)
{
	glob_t g;
	(void)err;
	*ret = val_list(c->a);
	if (glob(val_text(val_at(c->args, 0), c->a).p, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++) {
			size_t n = strlen(g.gl_pathv[i]);
			if (n && g.gl_pathv[i][n - 1] != '/')
				val_push(*ret, val_strz(c->a, g.gl_pathv[i]));
		}
	}
	globfree(&g);
	return true;
}

static const struct jinja_func yaml_filters[] = {
        {"to_yaml", to_yaml, "the value as YAML, leaves in flow style", JINJA_TEXT, NULL},
        {"to_nice_yaml", to_yaml, "the value as YAML for people", JINJA_TEXT, "nice"},
        {"from_yaml", from_yaml, "the value of a YAML text", 0, NULL},
        {"from_yaml_all", from_yaml, "the values of a YAML text's documents", 0, "all"},
        {"vault", seal, "text sealed with Ansible Vault under a secret", JINJA_IMPURE, NULL},
        {"unvault", unvault, "text sealed with Ansible Vault, opened with a secret", 0, NULL},
        {"fileglob", fileglob, "the files a shell pattern matches on the controller", JINJA_IMPURE, NULL},
        {0},
};

/* ---- globals ------------------------------------------------------------------------------------------ */

static bool lookup_errors(struct scope *s, const struct val *mode, struct err *why, struct val **ret,
                          bool wantlist, struct err *err)
{
	bool ignore = mode && val_is_str(mode) && str_eqc(val_get_str(mode), "ignore");
	bool warn = mode && val_is_str(mode) && str_eqc(val_get_str(mode), "warn");
	if (!ignore && !warn) {
		err_move(err, why);
		return false;
	}
	if (warn)
		engine_warn(s->e, err_origin(why),
		            "An unhandled exception occurred while running the lookup plugin: %s",
		            err_msg(why));
	err_clear(why);
	*ret = wantlist ? val_list(s->a) : val_null();
	return true;
}

static struct val *join_or_one(struct scope *s, struct val *list)
{
	if (!val_len(list) || (val_len(list) == 1 && val_is_str(val_at(list, 0))))
		return val_len(list) ? val_at(list, 0) : list;
	struct buf b = {0};
	bool secret = false;
	VAL_EACH (i, list) {
		const struct val *m = val_at(list, i);
		if (!val_is_str(m)) {
			buf_free(&b);
			return val_len(list) == 1 ? val_at(list, 0) : list;
		}
		if (i)
			buf_addc(&b, ',');
		buf_addstr(&b, val_get_str(m));
		secret = secret || val_secret(m);
	}
	struct val *v = val_str(s->a, buf_str(&b));
	buf_free(&b);
	return secret ? val_mark_secret(s->a, v) : v;
}

/* lookup(NAME, TERM..., OPTION=...); query() always gives the list. */
static bool fn_lookup(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct scope *s = jinja_ctx_user(c->ctx);
	bool wantlist = c->user != NULL;
	if (!val_len(c->args) || !val_is_str(val_at(c->args, 0)))
		return err_set(err, ERR_USER, ORIGIN_NONE, "lookup() needs the name of a lookup plugin");
	struct str name = val_get_str(val_at(c->args, 0));
	const struct lookup *l = lookup_find(name);
	if (!l)
		return err_set(err, ERR_USER, ORIGIN_NONE, "lookup plugin (%.*s) not found", STR_FMT(name));
	struct val *terms = val_list(c->a), *opts = val_shallow(c->a, c->kwargs), *list;
	for (size_t i = 1; i < val_len(c->args); i++)
		val_push(terms, val_at(c->args, i));
	const struct val *want = val_get(opts, "wantlist"), *mode = val_get(opts, "errors");
	wantlist = wantlist || (want && val_to_bool(want));
	val_del(opts, STR("wantlist"));
	struct err why = {0};
	bool ok = lookup_run(l, s, terms, opts, &list, &why);
	if (!ok)
		return lookup_errors(s, mode, &why, ret, wantlist, err);
	*ret = val_mark_unsafe(c->a, wantlist ? list : join_or_one(s, list));
	return true;
}

static const struct jinja_func lookup_globals[] = {
        {"lookup", fn_lookup, "asks a lookup plugin; several answers are joined by commas", JINJA_IMPURE,
         NULL},
        {"query", fn_lookup, "asks a lookup plugin; always a list", JINJA_IMPURE, "list"},
        {"q", fn_lookup, "query, shorter", JINJA_IMPURE, "list"},
        {0},
};

static const struct jinja_table tables[] = {
        {'f', true, yaml_filters},
        {'g', true, lookup_globals},
        {0, false, NULL},
};

const struct jinja_table *templating_tables(void)
{
	return tables;
}

void templating_add(struct jinja_env *env)
{
	for (const struct jinja_table *t = tables; t->rows; t++) {
		if (t->kind == 'f')
			jinja_env_filters(env, t->rows);
		else
			jinja_env_globals(env, t->rows);
	}
}
