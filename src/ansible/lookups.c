/* Lookup plugins about values and variables. A lookup is one row (at the end of the file). */
#include "ansible/core.h"
#include "ansible/lookups.h"
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

static struct val *as_list(struct arena *a, struct val *v)
{
	if (val_is_list(v))
		return v;
	struct val *l = val_list(a);
	val_push(l, v);
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
			push_flat(row, v ? v : val_null(), -1);
		}
		val_push(c->ret, row);
	}
	return true;
}

static void cross(struct lookup_call *c, size_t i, struct val *row)
{
	if (i == val_len(c->terms)) {
		val_push(c->ret, val_shallow(c->a, row));
		return;
	}
	struct val *list = as_list(c->a, val_at(c->terms, i));
	VAL_EACH (k, list) {
		struct val *next = val_shallow(c->a, row);
		push_flat(next, val_at(list, k), -1);
		cross(c, i + 1, next);
	}
}

static bool lk_nested(struct lookup_call *c, struct err *err)
{
	if (!val_len(c->terms))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "with_nested requires at least one element in the nested list");
	cross(c, 0, val_list(c->a));
	return true;
}

static bool lk_indexed_items(struct lookup_call *c, struct err *err)
{
	struct val *flat = val_list(c->a);
	(void)err;
	VAL_EACH (i, c->terms)
		push_flat(flat, val_at(c->terms, i), 1);
	VAL_EACH (i, flat) {
		struct val *pair = val_list(c->a);
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

/* The sublist PATH of ITEM; NULL when a key on the way is missing. */
static struct val *sub_list(struct arena *a, const struct val *item, struct str path)
{
	struct val *v = NULL;
	const struct val *at = item;
	(void)a;
	while (path.p) {
		struct str key = str_split(&path, '.');
		v = val_is_map(at) ? val_gets(at, key) : NULL;
		if (!v)
			return NULL;
		at = v;
	}
	return v;
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

static bool lk_subelements(struct lookup_call *c, struct err *err)
{
	struct val *items = val_at(c->terms, 0);
	const struct val *key = val_at(c->terms, 1), *flags = val_at(c->terms, 2);
	if (!items || !key || !val_is_str(key) || (!val_is_list(items) && !val_is_map(items)))
		return err_set(err, ERR_REMOTE, ORIGIN_NONE,
		               "subelements lookup expects a list of two or three items, first a dict or a "
		               "list, second a string");
	bool skip = flags && val_is_map(flags) && val_map_bool(flags, "skip_missing", false);
	VAL_EACH (i, items) {
		struct val *item = val_is_map(items) ? val_value_at(items, i) : val_at(items, i);
		if (val_is_map(item) && val_map_bool(item, "skipped", false))
			continue;
		struct val *list = sub_list(c->a, item, val_get_str(key));
		if (!list && skip)
			continue;
		if (!list)
			return err_set(err, ERR_REMOTE, val_origin(item),
			               "could not find '%s' key in iterated item", val_get_strz(key));
		if (!val_is_list(list))
			return err_set(err, ERR_REMOTE, val_origin(list), "the key %s should point to a list",
			               val_get_strz(key));
		struct val *rest = val_copy(c->a, item);
		sub_remove(rest, val_get_str(key));
		VAL_EACH (k, list) {
			struct val *pair = val_list(c->a);
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
	if (str_starts(v, "0x"))
		*ret = strtoll(v.p, NULL, 16);
	else
		return str_int(v, ret);
	return true;
}

static bool seq_option(struct lookup_call *c, struct sequence *q, struct str k, struct str v)
{
	if (str_eqc(k, "start"))
		return seq_number(v, &q->start);
	if (str_eqc(k, "end"))
		return q->has_end = true, seq_number(v, &q->end);
	if (str_eqc(k, "count"))
		return q->has_count = true, seq_number(v, &q->count);
	if (str_eqc(k, "stride"))
		return seq_number(v, &q->stride);
	if (str_eqc(k, "format")) {
		q->format = str_dup(c->a, v).p;
		return true;
	}
	return false;
}

/* "1-10/2:host%02d" */
static bool seq_short(struct lookup_call *c, struct sequence *q, struct str s)
{
	const char *colon = memchr(s.p, ':', s.n);
	if (colon) {
		q->format = arena_strndup(c->a, colon + 1, (size_t)(s.p + s.n - colon - 1));
		s.n = (size_t)(colon - s.p);
	}
	struct str rest = s, range = str_split(&rest, '/');
	if (rest.p && !seq_number(rest, &q->stride))
		return false;
	struct str to = range, from = str_split(&to, '-');
	q->has_end = true;
	if (!to.p)
		return seq_number(from, &q->end);
	return seq_number(from, &q->start) && seq_number(to, &q->end);
}

static const char *seq_format(struct arena *a, const char *fmt, int64_t n)
{
	struct buf b = {0};
	for (const char *p = fmt; *p; p++) {
		if (*p != '%') {
			buf_addc(&b, *p);
			continue;
		}
		if (p[1] == '%') {
			buf_addc(&b, *++p);
			continue;
		}
		bool zero = p[1] == '0';
		int width = 0;
		for (p++; *p >= '0' && *p <= '9'; p++)
			width = width * 10 + (*p - '0');
		if (width > 64)
			width = 64;
		if (*p == 'x')
			buf_printf(&b, zero ? "%0*llx" : "%*llx", width, (unsigned long long)n);
		else if (*p == 'o')
			buf_printf(&b, zero ? "%0*llo" : "%*llo", width, (unsigned long long)n);
		else if (*p)
			buf_printf(&b, zero ? "%0*lld" : "%*lld", width, (long long)n);
		else
			break;
	}
	const char *z = buf_take(&b, a).p;
	buf_free(&b);
	return z;
}

static bool lk_sequence(struct lookup_call *c, struct err *err)
{
	VAL_EACH (i, c->terms) {
		struct sequence q = {.start = 1, .stride = 1, .format = "%d"};
		struct val *words;
		struct str text = val_text(val_at(c->terms, i), c->a);
		bool ok = true;
		if (!memchr(text.p, '=', text.n)) {
			ok = seq_short(c, &q, str_trim(text));
		} else if (args_parse(c->a, text, val_origin(val_at(c->terms, i)), false, &words, err)) {
			MAP_EACH (k, words)
				ok = ok && seq_option(c, &q, val_get_str(val_key_at(words, k)),
				                      val_get_str(val_value_at(words, k)));
		} else {
			return false;
		}
		if (!ok || q.has_end == q.has_count)
			return err_set(err, ERR_REMOTE, val_origin(val_at(c->terms, i)),
			               "must specify count or end in with_sequence: %.*s", STR_FMT(text));
		if (q.has_count)
			q.end = q.count ? q.start + q.count * q.stride - q.stride : q.start - 1;
		if (q.has_count && !q.count)
			continue;
		if (!q.stride || (q.stride > 0 && q.end < q.start) || (q.stride < 0 && q.end > q.start))
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "to count %s make stride %s",
			               q.stride > 0 ? "backwards" : "forward",
			               q.stride > 0 ? "negative" : "positive");
		for (int64_t n = q.start; q.stride > 0 ? n <= q.end : n >= q.end; n += q.stride)
			val_push(c->ret, val_strz(c->a, seq_format(c->a, q.format, n)));
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
	const struct jinja_func *f = jinja_env_find(c->s->e->env, 't', STR("search"));
	VAL_EACH (i, c->terms) {
		VAL_EACH (k, names) {
			struct val *args = val_list(c->a), *hit = NULL;
			val_push(args, val_at(names, k));
			val_push(args, val_at(c->terms, i));
			struct jinja_call call = {.ctx = c->s->jinja,
			                          .a = c->a,
			                          .args = args,
			                          .kwargs = val_map(c->a),
			                          .user = f->user};
			if (!f->fn(&call, &hit, err))
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
		struct val *v = over   ? (struct val *)over
		                : z    ? val_strz(c->a, z)
		                : dflt ? dflt
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

static bool lk_config(struct lookup_call *c, struct err *err)
{
	static const char *const known[][2] = {{"DEFAULT_ROLES_PATH", ""},
	                                       {"DEFAULT_LOCAL_TMP", "/tmp"},
	                                       {"DEFAULT_REMOTE_USER", ""},
	                                       {"DEFAULT_BECOME_METHOD", "sudo"},
	                                       {"DEFAULT_BECOME_USER", "root"},
	                                       {"COLOR_OK", "green"},
	                                       {"DEFAULT_MANAGED_STR", "Ansible managed"}};
	VAL_EACH (i, c->terms) {
		struct str name = val_text(val_at(c->terms, i), c->a);
		size_t k = 0, n = sizeof(known) / sizeof(*known);
		while (k < n && !str_eqc(name, known[k][0]))
			k++;
		if (k == n)
			return err_set(err, ERR_REMOTE, ORIGIN_NONE, "Unable to find setting %.*s",
			               STR_FMT(name));
		val_push(c->ret, val_strz(c->a, known[k][1]));
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
        {"cartesian", lk_nested, "every combination of the lists' members", false},
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
        {"unvault", lk_file, "the contents of (plain) files", false},
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
	if (!l->run(&c, err))
		return err_wrap(err, ORIGIN_NONE, "lookup '%s'", l->name);
	*ret = c.ret;
	return true;
}
