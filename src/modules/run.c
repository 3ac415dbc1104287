/*
 * run - one task from its payload to its result: checks the arguments, prepares the context, calls the
 * module, and does to every result what is the same for all of them.
 */
#include <ctype.h>
#include "modules/attrs.h"
#include "modules/users.h"

const char *mod_expand(struct mod_ctx *m, const char *z)
{
	struct str s = str_c(z);
	if (*z != '~' && !strchr(z, '$'))
		return z;
	struct buf b = {0};
	size_t i = 0;
	if (str_starts(s, "~")) {
		size_t end = 1;
		while (end < s.n && s.p[end] != '/')
			end++;
		const char *home = mod_env(m, "HOME");
		if (end > 1) {
			const struct user *u = user_by_name(m->a, arena_strndup(m->a, s.p + 1, end - 1));
			home = u ? u->home : NULL;
		}
		if (home) {
			struct str dir = str_c(home);
			while (str_ends(dir, "/"))
				dir.n--;
			buf_adds(&b, dir.n || end < s.n ? arena_strndup(m->a, dir.p, dir.n) : "/");
			i = end;
		}
	}
	for (; i < s.n; i++) {
		bool brace = s.p[i] == '$' && i + 1 < s.n && s.p[i + 1] == '{';
		size_t start = i + 1 + brace, end = start;
		while (end < s.n && (isalnum((unsigned char)s.p[end]) || s.p[end] == '_'))
			end++;
		bool closed = !brace || (end < s.n && s.p[end] == '}');
		const char *value = NULL;
		if (s.p[i] == '$' && end > start && closed)
			value = mod_env(m, arena_strndup(m->a, s.p + start, end - start));
		if (value) {
			buf_adds(&b, value);
			i = end - !brace;
		} else {
			buf_addc(&b, s.p[i]);
		}
	}
	struct str ret = buf_take(&b, m->a);
	buf_free(&b);
	return ret.p ? ret.p : "";
}

static struct val *expand_path(struct mod_ctx *m, struct val *v)
{
	const char *z = val_get_strz(v), *to = mod_expand(m, z);
	if (to == z)
		return v;
	struct val *ret = val_strz(m->a, to);
	return val_secret(v) ? val_mark_secret(m->a, ret) : ret;
}

static void expand_paths(struct mod_ctx *m, const struct mod_arg *spec, struct val *args)
{
	for (const struct mod_arg *p = spec; p && p->name; p++) {
		struct val *v = val_get(args, p->name);
		if (!v)
			continue;
		if (p->type == MT_PATH && val_is_str(v))
			val_set(args, p->name, expand_path(m, v));
		else if (p->type == MT_LIST && p->elem == MT_PATH && val_is_list(v))
			VAL_EACH (i, v)
				val_set_at(v, i, expand_path(m, val_at(v, i)));
	}
}

/* The secret strings among ARGS, for masking. */
static void collect_secrets(const struct val *v, bool secret, struct val *out)
{
	secret = secret || val_secret(v);
	if (val_is_map(v)) {
		MAP_EACH (i, v)
			collect_secrets(val_value_at(v, i), secret, out);
	} else if (val_is_list(v)) {
		VAL_EACH (i, v)
			collect_secrets(val_at(v, i), secret, out);
	} else if (secret && val_is_str(v) && val_len(v) > 0) {
		val_push(out, (struct val *)(uintptr_t)v);
	}
}

static struct val *mask_text(struct arena *a, struct val *v, const struct val *secrets)
{
	struct str s = val_get_str(v);
	VAL_EACH (i, secrets) {
		struct str x = val_get_str(val_at(secrets, i));
		if (str_eq(s, x))
			return val_strz(a, "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER");
		if (str_find(s, x, 0) < 0)
			continue;
		struct buf b = {0};
		size_t at = 0;
		for (ptrdiff_t hit; (hit = str_find(s, x, at)) >= 0; at = (size_t)hit + x.n) {
			buf_add(&b, s.p + at, (size_t)hit - at);
			buf_adds(&b, "********");
		}
		buf_add(&b, s.p + at, s.n - at);
		s = buf_take(&b, a);
		buf_free(&b);
	}
	return s.p == val_get_str(v).p ? v : val_str(a, s);
}

static struct val *mask(struct arena *a, struct val *v, const struct val *secrets)
{
	if (val_is_str(v))
		return mask_text(a, v, secrets);
	if (val_is_map(v)) {
		MAP_EACH (i, v)
			val_setk(v, val_key_at(v, i), mask(a, val_value_at(v, i), secrets));
	} else if (val_is_list(v)) {
		VAL_EACH (i, v)
			val_set_at(v, i, mask(a, val_at(v, i), secrets));
	}
	return v;
}

static void add_lines(struct mod_ctx *m, const char *key, const char *lines_key)
{
	struct val *v = val_get(m->result, key);
	if (!v || !val_is_str(v) || val_get(m->result, lines_key))
		return;
	struct val *list = val_list(m->a);
	struct str rest = val_get_str(v);
	while (rest.p && rest.n) {
		struct str line = str_split(&rest, '\n');
		if (str_ends(line, "\r"))
			line.n--;
		val_push(list, val_str(m->a, line));
	}
	mod_set(m, lines_key, list);
}

/* What every result has. */
static void finish(struct mod_ctx *m)
{
	if (!val_get(m->result, "changed"))
		mod_setb(m, "changed", false);
	struct val *path = val_get(m->result, "path");
	if (!path)
		path = val_get(m->result, "dest");
	if (path && val_is_str(path) && !m->bare)
		path_info(m, val_get_strz(path));
	add_lines(m, "stdout", "stdout_lines");
	add_lines(m, "stderr", "stderr_lines");
	struct val *secrets = val_list(m->a);
	collect_secrets(m->args, false, secrets);
	if (val_len(secrets))
		mask(m->a, m->result, secrets);
}

static void fail_checks(struct mod_ctx *m, struct errs *errs)
{
	struct buf b = {0};
	for (size_t i = 0; i < errs->n; i++) {
		if (i)
			buf_adds(&b, "; ");
		buf_adds(&b, err_msg(&errs->v[i]));
	}
	mod_fail(m, "%s", b.p ? b.p : "bad arguments");
	buf_free(&b);
}

struct val *module_run(const struct module *mod, const struct val *task, const struct mod_io *io,
                       const char *const *env, struct arena *a)
{
	const struct val *args = val_get(task, "args"), *content = val_get(task, "content");
	struct mod_ctx m = {
	        .a = a,
	        .mod = mod,
	        .result = val_map(a),
	        .check = val_map_bool(task, "check", false),
	        .diff = val_map_bool(task, "diff", false),
	        .verbosity = (int)val_map_int(task, "verbosity", 0),
	        .env = env,
	        .tmp = val_map_strz(task, "tmp", "/tmp"),
	        .io = io,
	};
	struct val *checked = val_map(a);
	int64_t limit = val_map_int(task, "timeout", 0);
	m.deadline_ms = limit > 0 ? mod_now_ms() + limit * 1000 : 0;
	struct errs errs = {0};
	if (content && val_is_map(content)) {
		m.content_sha256 = val_map_str(content, "sha256", "");
		m.content_name = val_map_str(content, "name", "");
	}
	bool ok = module_check_args(mod, args && val_is_map(args) ? args : val_map(a), true, a, &checked,
	                            &errs);
	m.args = checked;
	if (!ok) {
		fail_checks(&m, &errs);
	} else if (!mod->run) {
		mod_fail(&m, "%s runs on the controller only", mod->name);
	} else if (m.check && !(mod->flags & MOD_CHECK)) {
		mod_setb(&m, "skipped", true);
		mod_setf(&m, "msg", "remote module (%s) does not support check mode", mod->name);
	} else {
		expand_paths(&m, mod->args, checked);
		expand_paths(&m, mod->shared, checked);
		if (!mod->run(&m) && !m.failed)
			mod_fail(&m, "%s failed without saying why", mod->name);
	}
	errs_clear(&errs);
	finish(&m);
	return m.result;
}
