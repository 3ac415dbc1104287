/* Lookup plugins about values and variables. A lookup is one row (at the end of the file). */
#include "ansible/core.h"
#include "ansible/lookups.h"
#include "base/json.h"
#include "jinja/jinja.h"
#include <stdio.h>
#include <stdlib.h>

static void push_flat(struct val *out, struct val *v, int depth)
{
	if (!val_is_list(v) || depth == 0) {
		val_push(out, v);
		return;
	}
	VAL_EACH (i, v)
		push_flat(out, val_at(v, i), depth - 1);
}

/* with_items: one level of lists is flattened. */
static bool lk_items(struct lookup_call *c, struct err *err)
{
	(void)err;
	VAL_EACH (i, c->terms)
		push_flat(c->ret, val_at(c->terms, i), 1);
	return true;
}

static bool lk_list(struct lookup_call *c, struct err *err)
{
	(void)err;
	VAL_EACH (i, c->terms)
		val_push(c->ret, val_at(c->terms, i));
	return true;
}

static bool lk_flattened(struct lookup_call *c, struct err *err)
{
	(void)err;
	VAL_EACH (i, c->terms)
		push_flat(c->ret, val_at(c->terms, i), -1);
	return true;
}

static bool lk_dict(struct lookup_call *c, struct err *err)
{
	VAL_EACH (i, c->terms) {
		const struct val *d = val_at(c->terms, i);
		if (val_is_list(d)) {
			struct lookup_call in = *c;
			in.terms = val_at(c->terms, i);
			if (!lk_dict(&in, err))
				return false;
			continue;
		}
		if (!val_is_map(d))
			return err_set(err, ERR_REMOTE, val_origin(d), "with_dict expects a dict");
		MAP_EACH (k, d) {
			struct val *pair = val_map(c->a);
			val_set(pair, "key", val_key_at(d, k));
			val_set(pair, "value", val_value_at(d, k));
			val_push(c->ret, pair);
		}
	}
	return true;
}

/* A dictionary counts as its keys, any other single value as a list of it. */
static struct val *as_list(struct arena *a, struct val *v)
{
	if (val_is_list(v))
		return v;
	struct val *l = val_list(a);
	if (!val_is_map(v)) {
		val_push(l, v);
		return l;
	}
	MAP_EACH (i, v)
		val_push(l, val_key_at(v, i));
	return l;
}

static bool lk_together(struct lookup_call *c, struct err *err)
{
	size_t n = 0;
	if (!val_len(c->terms))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "with_together requires at least one element in each list");
	VAL_EACH (i, c->terms) {
		size_t k = val_len(as_list(c->a, val_at(c->terms, i)));
		n = k > n ? k : n;
	}
	for (size_t k = 0; k < n; k++) {
		struct val *row = val_list(c->a);
		VAL_EACH (i, c->terms) {
			struct val *v = val_at(as_list(c->a, val_at(c->terms, i)), k);
			push_flat(row, v ? v : val_null(), 1);
		}
		val_push(c->ret, row);
	}
	return true;
}

/* Each member is taken apart DEPTH levels. */
static void cross(struct lookup_call *c, size_t i, struct val *row, int depth)
{
	if (i == val_len(c->terms)) {
		val_push(c->ret, val_shallow(c->a, row));
		return;
	}
	struct val *list = as_list(c->a, val_at(c->terms, i));
	VAL_EACH (k, list) {
		struct val *next = val_shallow(c->a, row);
		push_flat(next, val_at(list, k), depth);
		cross(c, i + 1, next, depth);
	}
}

static bool lk_nested(struct lookup_call *c, struct err *err)
{
	if (!val_len(c->terms))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "with_nested requires at least one element in the nested list");
	cross(c, 0, val_list(c->a), 2);
	return true;
}

static bool lk_cartesian(struct lookup_call *c, struct err *err)
{
	if (!val_len(c->terms))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "with_cartesian requires at least one element in each list");
	cross(c, 0, val_list(c->a), 1);
	return true;
}

static bool lk_indexed_items(struct lookup_call *c, struct err *err)
{
	struct val *flat = val_list(c->a);
	(void)err;
	VAL_EACH (i, c->terms)
		push_flat(flat, val_at(c->terms, i), 1);
	VAL_EACH (i, flat) {
		struct val *pair = val_tuple(c->a);
		val_push(pair, val_int(c->a, (int64_t)i));
		val_push(pair, val_at(flat, i));
		val_push(c->ret, pair);
	}
	return true;
}

static bool lk_random_choice(struct lookup_call *c, struct err *err)
{
	(void)err;
	if (val_len(c->terms))
		val_push(c->ret, val_at(c->terms, (size_t)random() % val_len(c->terms)));
	return true;
}

/* The list PATH leads to in ITEM; *RET stays NULL where there is none and that is to be passed over. */
static bool sub_list(struct arena *a, struct val *item, struct str path, bool skip, struct val **ret,
                     struct err *err)
{
	struct val *at = item;
	*ret = NULL;
	while (path.p) {
		struct str key = str_split(&path, '.');
		struct val *v = val_gets(at, key);
		if (!v)
			return skip || err_set(err, ERR_REMOTE, val_origin(item),
			                       "could not find '%.*s' key in iterated item '%s'",
			                       STR_FMT(key), val_text(at, a).p);
		if (path.p ? !val_is_map(v) : !val_is_list(v))
			return (skip && path.p) ||
			       err_set(err, ERR_REMOTE, val_origin(v),
			               "the key %.*s should point to a %s, got '%s'", STR_FMT(key),
			               path.p ? "dictionary" : "list", val_text(v, a).p);
		at = v;
	}
	*ret = at;
	return true;
}

/* The item beside its elements comes without the list they are from. */
static void sub_remove(struct val *item, struct str path)
{
	while (path.p) {
		struct str key = str_split(&path, '.');
		if (!path.p)
			val_del(item, key);
		else
			item = val_gets(item, key);
	}
}

static bool sub_terms(const struct lookup_call *c, const struct val *items, struct err *err)
{
	const struct val *key = val_at(c->terms, 1), *flags = val_at(c->terms, 2);
	const char *what = NULL;
	if (val_len(c->terms) < 2 || val_len(c->terms) > 3)
		what = "";
	else if (!val_is_str(key) || (!val_is_list(items) && !val_is_map(items)))
		what = "first a dict or a list, second a string pointing to the subkey";
	else if (flags && !val_is_map(flags))
		what = "the optional third item must be a dict with flags skip_missing";
	return !what || err_set(err, ERR_REMOTE, ORIGIN_NONE,
	                        "subelements lookup expects a list of two or three items, %s", what);
}

static bool lk_subelements(struct lookup_call *c, struct err *err)
{
	struct val *items = val_at(c->terms, 0), *one = val_list(c->a);
	if (items && !val_is_list(items) && !val_is_map(items)) {
		val_push(one, items);
		items = one;
	}
	if (!sub_terms(c, items, err))
		return false;
	struct str key = val_get_str(val_at(c->terms, 1));
	const struct val *flags = val_at(c->terms, 2),
	                 *missing = flags ? val_get(flags, "skip_missing") : NULL;
	if (val_is_map(items) && val_map_bool(items, "skipped", false))
		return true;
	VAL_EACH (i, items) {
		struct val *item = val_is_map(items) ? val_value_at(items, i) : val_at(items, i), *list;
		if (!val_is_map(item))
			return err_set(err, ERR_REMOTE, val_origin(item),
			               "subelements lookup expects a dictionary, got '%s'",
			               val_text(item, c->a).p);
		if (val_map_bool(item, "skipped", false))
			continue;
		if (!sub_list(c->a, item, key, missing && val_to_bool(missing), &list, err))
			return false;
		if (!list)
			continue;
		struct val *rest = val_copy(c->a, item);
		sub_remove(rest, key);
		VAL_EACH (k, list) {
			struct val *pair = val_tuple(c->a);
			val_push(pair, rest);
			val_push(pair, val_at(list, k));
			val_push(c->ret, pair);
		}
	}
	return true;
}

/* ---- sequence -------------------------------------------------------------------------------------------
 */

struct sequence {
	int64_t start, end, stride, count;
	bool has_end, has_count;
	const char *format;
};

static bool seq_number(struct str v, int64_t *ret)
{
	static const struct {
		const char *prefix;
		int base;
	} bases[] = {{"0x", 16}, {"0X", 16}, {"0o", 8}, {"0O", 8}, {"0b", 2}, {"0B", 2}};
	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++) {
		if (!str_starts(v, bases[i].prefix))
			continue;
		char *end;
		*ret = strtoll(v.p + 2, &end, bases[i].base);
		return end == v.p + v.n && v.n > 2;
	}
	/* A zero in front makes no number of another. */
	return str_int(v, ret) && !(v.n > 1 && v.p[0] == '0' && *ret != 0);
}

static bool seq_set(const char *name, struct str v, int64_t *ret, struct err *err)
{
	return seq_number(v, ret) ||
	       err_set(err, ERR_REMOTE, ORIGIN_NONE, "can't parse %s=%.*s as integer", name, STR_FMT(v));
}

static bool seq_option(struct lookup_call *c, struct sequence *q, struct str k, struct str v, struct err *err)
{
	if (str_eqc(k, "start"))
		return seq_set("start", v, &q->start, err);
	if (str_eqc(k, "end"))
		return q->has_end = true, seq_set("end", v, &q->end, err);
	if (str_eqc(k, "count"))
		return q->has_count = true, seq_set("count", v, &q->count, err);
	if (str_eqc(k, "stride"))
		return seq_set("stride", v, &q->stride, err);
	if (str_eqc(k, "format")) {
		q->format = str_dup(c->a, v).p;
		return true;
	}
	return err_set(err, ERR_REMOTE, ORIGIN_NONE, "unrecognized arguments to with_sequence: ['%.*s']",
	               STR_FMT(k));
}

/* "1-10/2:host%02d" */
static bool seq_short(struct lookup_call *c, struct sequence *q, struct str s, struct err *err)
{
	const char *colon = memchr(s.p, ':', s.n);
	if (colon) {
		q->format = arena_strndup(c->a, colon + 1, (size_t)(s.p + s.n - colon - 1));
		s.n = (size_t)(colon - s.p);
	}
	struct str rest = s, range = str_split(&rest, '/');
	struct str to = range, from = str_split(&to, '-');
	q->has_end = true;
	if (to.p && !seq_set("start", from, &q->start, err))
		return false;
	return seq_set("end", to.p ? to : from, &q->end, err) &&
	       (!rest.p || seq_set("stride", rest, &q->stride, err));
}

static bool seq_format(struct lookup_call *c, const char *fmt, int64_t n, struct err *err)
{
	struct err why = {0};
	struct val *args = val_list(c->a), *text;
	val_push(args, val_strz(c->a, fmt));
	val_push(args, val_int(c->a, n));
	bool ok = ctx_call_named(c->s->jinja, c->a, 'f', STR("format"), args, val_map(c->a), &text, &why);
	if (ok)
		val_push(c->ret, text);
	else
		err_set(err, ERR_REMOTE, ORIGIN_NONE, "problem formatting %lld with '%s'", (long long)n, fmt);
	err_clear(&why);
	return ok;
}

static bool seq_options(struct lookup_call *c, struct sequence *q, const struct val *opts, struct err *err)
{
	MAP_EACH (k, opts)
		if (!seq_option(c, q, val_get_str(val_key_at(opts, k)), val_text(val_value_at(opts, k), c->a),
		                err))
			return false;
	return true;
}

/* TERM NULL: the options say all. */
static bool seq_read(struct lookup_call *c, struct sequence *q, const struct val *term, struct err *err)
{
	struct str text = term ? val_text(term, c->a) : STR("");
	struct val *words;
	if (!seq_options(c, q, c->opts, err))
		return false;
	if (!term)
		return true;
	if (!memchr(text.p, '=', text.n))
		return seq_short(c, q, str_trim(text), err);
	return args_parse(c->a, text, val_origin(term), false, &words, err) && seq_options(c, q, words, err);
}

static bool seq_run(struct lookup_call *c, struct sequence q, struct err *err)
{
	size_t marks = 0;
	if (!q.has_end && !q.has_count)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "must specify count or end in with_sequence");
	if (q.has_end && q.has_count)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "can't specify both count and end in with_sequence");
	if (q.has_count && !q.count)
		return true;
	if (q.has_count && (__builtin_mul_overflow(q.count - 1, q.stride, &q.end) ||
	                    __builtin_add_overflow(q.start, q.end, &q.end)))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "with_sequence counts beyond 64 bits");
	if (q.stride > 0 && q.end < q.start)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "to count backwards make stride negative");
	if (q.stride < 0 && q.end > q.start)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "to count forward don't make stride negative");
	for (const char *p = q.format; *p; p++)
		marks += *p == '%';
	if (marks != 1)
		return err_set(err, ERR_REMOTE, ORIGIN_NONE, "bad formatting string: %s", q.format);
	bool more = q.stride != 0;
	for (int64_t n = q.start; more && (q.stride > 0 ? n <= q.end : n >= q.end);) {
		if (!seq_format(c, q.format, n, err))
			return false;
		more = !__builtin_add_overflow(n, q.stride, &n);
	}
	return true;
}

static bool lk_sequence(struct lookup_call *c, struct err *err)
{
	size_t n = val_len(c->terms);
	for (size_t i = 0; i < (n ? n : 1); i++) {
		struct sequence q = {.start = 1, .stride = 1, .format = "%d"};
		if (!seq_read(c, &q, val_at(c->terms, i), err) || !seq_run(c, q, err))
			return false;
	}
	return true;
}

/* ---- variables ------------------------------------------------------------------------------------------
 */

static bool lk_vars(struct lookup_call *c, struct err *err)
{
	struct val *dflt = val_get(c->opts, "default");
	VAL_EACH (i, c->terms) {
		struct val *v;
		struct str name = val_text(val_at(c->terms, i), c->a);
		if (!scope_var(c->s, name, &v, err))
			return false;
		if (!v || val_is_undef(v))
			v = dflt;
		if (!v)
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "No variable found with this name: %.*s",
			               STR_FMT(name));
		val_push(c->ret, v);
	}
	return true;
}

static bool lk_varnames(struct lookup_call *c, struct err *err)
{
	struct val *names = scope_names(c->s);
	VAL_EACH (i, c->terms) {
		VAL_EACH (k, names) {
			struct val *args = val_list(c->a), *hit = NULL;
			val_push(args, val_at(names, k));
			val_push(args, val_at(c->terms, i));
			if (!ctx_call_named(c->s->jinja, c->a, 't', STR("search"), args, val_map(c->a), &hit,
			                    err))
				return false;
			if (val_truthy(hit))
				val_push(c->ret, val_at(names, k));
		}
	}
	return true;
}

static bool lk_env(struct lookup_call *c, struct err *err)
{
	struct val *dflt = val_get(c->opts, "default");
	VAL_EACH (i, c->terms) {
		struct str name = val_text(val_at(c->terms, i), c->a);
		const struct val *over = c->s->e->opts->env ? val_gets(c->s->e->opts->env, name) : NULL;
		const char *z = over ? NULL : getenv(name.p);
		struct val *v = over                         ? (struct val *)over
		                : z                          ? val_strz(c->a, z)
		                : dflt && !val_is_null(dflt) ? dflt
		                                             : val_strz(c->a, "");
		if (val_is_undef(v))
			return err_set(err, ERR_REMOTE, ORIGIN_NONE,
			               "The environment variable %.*s is not set", STR_FMT(name));
		val_push(c->ret, v);
	}
	return true;
}

static bool lk_inventory_hostnames(struct lookup_call *c, struct err *err)
{
	struct val *list;
	if (!inventory_match(c->s->e->inv, c->terms, NULL, c->a, &list, NULL, err))
		return false;
	VAL_EACH (i, list)
		val_push(c->ret, val_at(list, i));
	return true;
}

/* Settings as Ansible has them when nobody configures it, as JSON. */
static const char *const settings[][2] = {
        {"COLLECTIONS_PATHS", "[\"~/.ansible/collections\", \"/usr/share/ansible/collections\"]"},
        {"COLOR_CHANGED", "\"yellow\""},
        {"COLOR_ERROR", "\"red\""},
        {"COLOR_OK", "\"green\""},
        {"COLOR_SKIP", "\"cyan\""},
        {"COLOR_WARN", "\"bright purple\""},
        {"DEFAULT_BECOME", "false"},
        {"DEFAULT_BECOME_METHOD", "\"sudo\""},
        {"DEFAULT_BECOME_USER", "\"root\""},
        {"DEFAULT_EXECUTABLE", "\"/bin/sh\""},
        {"DEFAULT_FORKS", "5"},
        {"DEFAULT_GATHERING", "\"implicit\""},
        {"DEFAULT_HASH_BEHAVIOUR", "\"replace\""},
        {"DEFAULT_JINJA2_NATIVE", "false"},
        {"DEFAULT_LOCAL_TMP", "\"/tmp\""},
        {"DEFAULT_LOG_PATH", "null"},
        {"DEFAULT_MANAGED_STR", "\"Ansible managed\""},
        {"DEFAULT_MODULE_NAME", "\"command\""},
        {"DEFAULT_POLL_INTERVAL", "15"},
        {"DEFAULT_REMOTE_USER", "null"},
        {"DEFAULT_ROLES_PATH",
         "[\"~/.ansible/roles\", \"/usr/share/ansible/roles\", \"/etc/ansible/roles\"]"},
        {"DEFAULT_STDOUT_CALLBACK", "\"default\""},
        {"DEFAULT_TIMEOUT", "10"},
        {"DEFAULT_TRANSPORT", "\"ssh\""},
        {"DEFAULT_VAULT_PASSWORD_FILE", "null"},
        {"HOST_KEY_CHECKING", "true"},
        {"INTERPRETER_PYTHON", "\"auto\""},
        {"INVENTORY_ENABLED", "[\"host_list\", \"script\", \"auto\", \"yaml\", \"ini\", \"toml\"]"},
        {"RETRY_FILES_ENABLED", "false"},
};

#define SETTINGS (sizeof(settings) / sizeof(*settings))

/* "~/x" in a list of directories as the path it is. */
static struct val *at_home(struct arena *a, struct val *v)
{
	const char *home = getenv("HOME");
	for (size_t i = 0; val_is_list(v) && i < val_len(v); i++)
		if (val_is_str(val_at(v, i)) && str_starts(val_get_str(val_at(v, i)), "~/"))
			val_set_at(v, i,
			           val_strf(a, "%s%s", home ? home : "", val_get_strz(val_at(v, i)) + 1));
	return v;
}

static bool lk_config(struct lookup_call *c, struct err *err)
{
	struct str missing = val_map_str(c->opts, "on_missing", "error");
	VAL_EACH (i, c->terms) {
		struct val *v;
		struct str name = val_text(val_at(c->terms, i), c->a);
		size_t k = 0;
		while (k < SETTINGS && !str_eqc(name, settings[k][0]))
			k++;
		if (k < SETTINGS && json_parse(c->a, str_c(settings[k][1]), 0, &v, err))
			val_push(c->ret, at_home(c->a, v));
		else if (str_eqc(missing, "warn"))
			engine_warn(c->s->e, val_origin(val_at(c->terms, i)),
			            "Skipping, did not find setting %.*s", STR_FMT(name));
		else if (!str_eqc(missing, "skip"))
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "Unable to find setting %.*s",
			               STR_FMT(name));
	}
	return true;
}

const struct lookup lookup_table[] = {
        {"items", lk_items, "the members, one level of lists flattened", true},
        {"list", lk_list, "the members as they are", false},
        {"flattened", lk_flattened, "the members, all levels flattened", false},
        {"dict", lk_dict, "a dictionary's pairs as {key, value}", false},
        {"together", lk_together, "the lists side by side", false},
        {"nested", lk_nested, "every combination of the lists' members", false},
        {"cartesian", lk_cartesian, "every combination of the lists' members", false},
        {"indexed_items", lk_indexed_items, "(index, member) pairs", false},
        {"random_choice", lk_random_choice, "one of the members", false},
        {"subelements", lk_subelements, "(member, element of its list) pairs", false},
        {"sequence", lk_sequence, "numbers from start to end as text", false},
        {"vars", lk_vars, "variables by name", false},
        {"varnames", lk_varnames, "the names of variables a regular expression finds", false},
        {"env", lk_env, "environment variables and secrets", false},
        {"inventory_hostnames", lk_inventory_hostnames, "the hosts a pattern means", false},
        {"config", lk_config, "settings of Ansible", false},
        {"file", lk_file, "the contents of files on the controller", false},
        {"template", lk_template, "rendered template files", false},
        {"first_found", lk_first_found, "the first file of several that exists", false},
        {"fileglob", lk_fileglob, "the files shell patterns match", false},
        {"filetree", lk_filetree, "what is below directories", false},
        {"lines", lk_lines, "the lines a command on the controller prints", false},
        {"pipe", lk_pipe, "what commands on the controller print", false},
        {"password", lk_password, "a password kept in a file, made when there is none", false},
        {"ini", lk_ini, "values of an ini or properties file", false},
        {"csvfile", lk_csvfile, "values of a table in a file", false},
        {"unvault", lk_unvault, "the contents of files, those of Ansible Vault opened; nothing trimmed",
         false},
        {"merge_variables", lk_merge_variables, "variables whose names fit, merged", false},
        {"random_string", lk_random_string, "random characters of the kinds that are wanted", false},
        {"url", lk_url, "the lines a web server answers with; split_lines=False: one text", false},
        {0},
};

const struct lookup *lookup_find(struct str name)
{
	static const char *const prefixes[] = {"ansible.builtin.", "ansible.legacy.", "community.general."};
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(prefixes[i]);
		if (str_starts(name, prefixes[i]))
			name = str_n(name.p + n, name.n - n);
	}
	for (const struct lookup *l = lookup_table; l->name; l++)
		if (str_eqc(name, l->name))
			return l;
	return NULL;
}

bool lookup_run(const struct lookup *l, struct scope *s, struct val *terms, struct val *opts,
                struct val **ret, struct err *err)
{
	struct lookup_call c = {s, terms, opts, s->a, val_list(s->a)};
	/* A range or the like is what it stands for. */
	VAL_EACH (i, terms) {
		struct val *v = val_at(terms, i);
		if (val_kind(v) == VAL_OBJ && val_obj_class(v)->plain)
			val_set_at(terms, i, val_obj_class(v)->plain(val_obj_self(v), s->a));
	}
	if (!l->run(&c, err))
		return err_wrap(err, ORIGIN_NONE, "lookup '%s'", l->name);
	*ret = c.ret;
	return true;
}
