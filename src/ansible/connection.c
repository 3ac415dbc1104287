/* How a task reaches its host: variables and keywords to a link, and as whom it runs there. */
#include "ansible/core.h"

/* Variables that decide about a connection; an alias counts when the first is absent. */
static const char *const link_vars[] = {
        "ansible_host",
        "ansible_ssh_host",
        "ansible_port",
        "ansible_ssh_port",
        "ansible_user",
        "ansible_ssh_user",
        "ansible_password",
        "ansible_ssh_pass",
        "ansible_ssh_password",
        "ansible_ssh_private_key_file",
        "ansible_private_key_file",
        "ansible_ssh_common_args",
        "ansible_ssh_extra_args",
        "ansible_ssh_args",
        "ansible_host_key_checking",
        "ansible_ssh_host_key_checking",
        "ansible_ssh_timeout",
        "ansible_timeout",
        "ansible_become_password",
        "ansible_become_pass",
        "ansible_sudo_pass",
        "ansible_become_exe",
        "nante_host_keys",
};

static bool keyword_text(struct scope *s, enum kw kw, struct str *ret, struct err *err)
{
	struct val *v = s->node ? kw_get(s->node, s->frame, &s->e->pr->play->n, kw) : NULL;
	*ret = STR("");
	return !v || scope_text(s, v, ret, err);
}

static bool var_text(struct scope *s, const char *name, struct str *ret, struct err *err)
{
	struct val *v;
	*ret = STR("");
	if (!scope_var(s, str_c(name), &v, err))
		return false;
	if (v && !val_is_null(v) && !val_is_undef(v))
		*ret = val_text(v, s->a);
	return true;
}

struct host *delegate_host(struct engine *e, struct str name)
{
	struct host *h = inventory_host(e->inv, name);
	if (!h && inventory_is_local(name))
		h = inventory_local(e->inv);
	if (h)
		return h;
	h = inventory_add_host(e->inv, name);
	h->implicit = true;
	return h;
}

/* The scope whose variables say how to connect: the delegate's own, or the task's. */
static struct scope *link_scope(struct scope *s)
{
	if (!s->delegate || s->delegate == s->host)
		return s;
	struct scope *d = ARENA_NEW(s->a, struct scope);
	scope_init(d, s->e, s->delegate, NULL, NULL, s->a);
	return d;
}

static bool kind_of(struct scope *s, struct scope *vars, struct host *h, struct str *ret, struct err *err)
{
	struct val *raw = scope_raw(vars, STR("ansible_connection"));
	if (raw)
		return scope_text(vars, raw, ret, err);
	if (h->implicit && inventory_is_local(str_c(h->name))) {
		*ret = STR("local");
		return true;
	}
	if (!keyword_text(s, KW_CONNECTION, ret, err))
		return false;
	if (!ret->n)
		*ret = s->e->opts->connection ? str_c(s->e->opts->connection) : STR("ssh");
	return true;
}

/* What the command line says where no variable does; it goes by the first of its names. */
static void params_default(struct scope *s, struct val *p)
{
	const struct engine_opts *o = s->e->opts;
	const struct {
		const char *text, *names[3];
		bool secret;
	} options[] = {
	        {o->user, {"ansible_user", "ansible_ssh_user"}, false},
	        {o->password, {"ansible_password", "ansible_ssh_pass", "ansible_ssh_password"}, true},
	        {o->private_key_file, {"ansible_ssh_private_key_file", "ansible_private_key_file"}, false},
	        {o->become_password,
	         {"ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"},
	         true},
	        {o->timeout, {"ansible_ssh_timeout", "ansible_timeout"}, false},
	        {o->ssh_common_args, {"ansible_ssh_common_args"}, false},
	        {o->ssh_extra_args, {"ansible_ssh_extra_args"}, false},
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		bool said = !options[i].text;
		for (size_t k = 0; k < 3 && options[i].names[k]; k++)
			said |= val_get(p, options[i].names[k]) != NULL;
		if (said)
			continue;
		struct val *v = val_strz(s->a, options[i].text);
		val_set(p, options[i].names[0], options[i].secret ? val_mark_secret(s->a, v) : v);
	}
}

static bool params_fill(struct scope *s, struct scope *vars, struct val *p, struct err *err)
{
	for (size_t i = 0; i < sizeof(link_vars) / sizeof(*link_vars); i++) {
		struct val *raw = scope_raw(vars, str_c(link_vars[i])), *v;
		if (!raw)
			continue;
		if (!scope_template(vars, raw, &v, err))
			return false;
		if (!val_is_null(v))
			val_set(p, link_vars[i], v);
	}
	static const struct {
		enum kw kw;
		const char *var, *alias;
	} words[] = {{KW_PORT, "ansible_port", "ansible_ssh_port"},
	             {KW_REMOTE_USER, "ansible_user", "ansible_ssh_user"}};
	for (size_t i = 0; i < 2; i++) {
		struct str t;
		if (val_get(p, words[i].var) || val_get(p, words[i].alias) || vars != s)
			continue;
		if (!keyword_text(s, words[i].kw, &t, err))
			return false;
		if (t.n)
			val_set(p, words[i].var, val_str(s->a, t));
	}
	params_default(s, p);
	return true;
}

static bool link_params(struct scope *s, struct host **ret_host, struct val **ret, struct err *err)
{
	struct scope *vars = link_scope(s);
	struct host *h = s->delegate ? s->delegate : s->host;
	struct val *p = val_map(s->a);
	struct str kind;
	if (!kind_of(s, vars, h, &kind, err))
		return false;
	val_set(p, "name", val_strz(s->a, h->name));
	val_set(p, "connection", val_str(s->a, kind));
	if (!str_eqc(kind, "local") && !params_fill(s, vars, p, err))
		return false;
	*ret_host = h;
	*ret = p;
	return true;
}

/* Variables of one meaning, the keyword and the option that stand in for them. */
static const struct {
	const char *name[2];
	enum kw kw; /* KW_N: none */
} words_of_link[] = {
        {{"ansible_host", "ansible_ssh_host"}, KW_N},
        {{"ansible_user", "ansible_ssh_user"}, KW_REMOTE_USER},
        {{"ansible_port", "ansible_ssh_port"}, KW_N},
        {{"ansible_private_key_file", "ansible_ssh_private_key_file"}, KW_N},
};

static const char *option_of_link(const struct scope *s, size_t word)
{
	const struct engine_opts *o = s->e->opts;
	switch (word) {
	case 0: return s->delegate ? s->delegate->name : s->host->name;
	case 1: return o->user;
	case 3: return o->private_key_file;
	default: return NULL;
	}
}

static bool word_of_link(struct scope *s, size_t word, struct val **ret, struct err *err)
{
	struct scope *vars = link_scope(s);
	struct str t = STR("");
	for (size_t i = 0; i < 2; i++) {
		struct val *raw = scope_raw(vars, str_c(words_of_link[word].name[i]));
		if (raw)
			return scope_template(vars, raw, ret, err);
	}
	if (words_of_link[word].kw != KW_N && !keyword_text(s, words_of_link[word].kw, &t, err))
		return false;
	const char *option = option_of_link(s, word);
	if (t.n || option)
		*ret = t.n ? val_str(s->a, t) : val_strz(s->a, option);
	return true;
}

bool connection_var(struct scope *s, const char *name, struct val **ret, struct err *err)
{
	struct str kind;
	if (!s->node || !s->host || scope_raw(s, str_c(name)))
		return true;
	for (size_t i = 0; i < sizeof(words_of_link) / sizeof(*words_of_link); i++)
		for (size_t k = 0; k < 2; k++)
			if (strcmp(words_of_link[i].name[k], name) == 0)
				return word_of_link(s, i, ret, err);
	if (!kind_of(s, link_scope(s), s->delegate ? s->delegate : s->host, &kind, err))
		return false;
	*ret = val_str(s->a, kind);
	return true;
}

bool connection_open(struct scope *s, struct link **ret, struct err *err)
{
	struct host *h;
	struct val *p;
	if (!link_params(s, &h, &p, err))
		return false;
	struct buf key = {0};
	val_repr(p, &key);
	for (struct host_link *l = h->links; l; l = l->next) {
		if (str_eq(l->key, buf_str(&key))) {
			buf_free(&key);
			*ret = l->link;
			return true;
		}
	}
	p = val_copy(s->e->a, p);
	struct link *link = s->e->opts->open ? s->e->opts->open(s->e->opts->open_ctx, p, err) : NULL;
	bool ok = link != NULL;
	if (!ok)
		err_set(err, ERR_UNREACHABLE, ORIGIN_NONE, "no way to reach %s", h->name);
	if (ok) {
		struct host_link *l = ARENA_NEW(s->e->a, struct host_link);
		*l = (struct host_link){buf_take(&key, s->e->a), link, h->links};
		h->links = l;
	}
	buf_free(&key);
	*ret = link;
	return ok;
}

static void reset_links(struct host *h)
{
	for (struct host_link *l = h->links; l; l = l->next)
		if (l->link->ops->reset)
			l->link->ops->reset(l->link);
}

void connection_reset(struct scope *s)
{
	reset_links(s->delegate ? s->delegate : s->host);
}

void engine_disconnect(struct engine *e, const char *host)
{
	struct host *h = inventory_host(e->inv, str_c(host));
	if (h)
		reset_links(h);
}

bool connection_become(struct scope *s, bool *ret, struct str *ret_user, struct err *err)
{
	struct scope *vars = link_scope(s);
	struct str t;
	const struct node *play = &s->e->pr->play->n;
	struct val *kw = s->node ? kw_get(s->node, s->frame, play, KW_BECOME) : NULL;
	*ret_user = STR("root");
	if (!scope_bool(s, kw, s->e->opts->become, ret, err) || !var_text(vars, "ansible_become", &t, err))
		return false;
	if (t.n)
		*ret = val_to_bool(val_str(s->a, t));
	if (!*ret)
		return true;
	if (!var_text(vars, "ansible_become_user", &t, err))
		return false;
	if (!t.n && !keyword_text(s, KW_BECOME_USER, &t, err))
		return false;
	if (!t.n && s->e->opts->become_user)
		t = str_c(s->e->opts->become_user);
	if (t.n)
		*ret_user = t;
	return true;
}
