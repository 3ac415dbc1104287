#include <errno.h>
#include "modules/module.h"

bool mod_has(const struct mod_ctx *m, const char *name)
{
	return val_get(m->args, name) != NULL;
}

const char *mod_arg(const struct mod_ctx *m, const char *name)
{
	struct val *v = val_get(m->args, name);
	if (!v)
		return NULL;
	if (val_is_str(v))
		return val_get_strz(v);
	struct str s = val_text(v, m->a);
	return arena_strndup(m->a, s.p ? s.p : "", s.n);
}

struct str mod_args(const struct mod_ctx *m, const char *name)
{
	struct val *v = val_get(m->args, name);
	return v ? val_text(v, m->a) : (struct str){0};
}

bool mod_bool(const struct mod_ctx *m, const char *name)
{
	return val_map_bool(m->args, name, false);
}

int64_t mod_int(const struct mod_ctx *m, const char *name, int64_t dflt)
{
	return val_map_int(m->args, name, dflt);
}

double mod_float(const struct mod_ctx *m, const char *name, double dflt)
{
	struct val *v = val_get(m->args, name);
	return v && val_is_num(v) ? val_get_float(v) : dflt;
}

const struct val *mod_list(const struct mod_ctx *m, const char *name)
{
	struct val *v = val_get(m->args, name);
	return v && val_is_list(v) ? v : val_list(m->a);
}

bool mod_is(const struct mod_ctx *m, const char *name, const char *value)
{
	const char *z = mod_arg(m, name);
	return z && strcmp(z, value) == 0;
}

const char *mod_env(const struct mod_ctx *m, const char *name)
{
	size_t n = strlen(name);
	for (const char *const *e = m->env; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

static void set_failed(struct mod_ctx *m, const char *msg)
{
	m->failed = true;
	mod_sets(m, "msg", msg);
	mod_setb(m, "failed", true);
	val_del(m->result, STR("changed"));
}

bool mod_fail(struct mod_ctx *m, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set_failed(m, arena_vprintf(m->a, fmt, ap));
	va_end(ap);
	return false;
}

bool mod_fail_sys(struct mod_ctx *m, const char *fmt, ...)
{
	int e = errno;
	va_list ap;
	va_start(ap, fmt);
	set_failed(m, arena_printf(m->a, "%s: %s", arena_vprintf(m->a, fmt, ap), strerror(e)));
	va_end(ap);
	return false;
}

bool mod_fail_err(struct mod_ctx *m, struct err *err)
{
	struct buf b = {0};
	err_text(err, &b);
	set_failed(m, b.p ? b.p : "unknown error");
	buf_free(&b);
	err_clear(err);
	return false;
}

bool mod_only_changed(struct mod_ctx *m)
{
	m->result = val_map(m->a);
	mod_changed(m);
	return true;
}

void mod_changed(struct mod_ctx *m)
{
	mod_setb(m, "changed", true);
}

bool mod_is_changed(const struct mod_ctx *m)
{
	return val_map_bool(m->result, "changed", false);
}

void mod_warn(struct mod_ctx *m, const char *fmt, ...)
{
	struct val *list = val_get(m->result, "warnings");
	if (!list) {
		list = val_list(m->a);
		mod_set(m, "warnings", list);
	}
	va_list ap;
	va_start(ap, fmt);
	val_push(list, val_strz(m->a, arena_vprintf(m->a, fmt, ap)));
	va_end(ap);
}

void mod_set(struct mod_ctx *m, const char *key, struct val *v)
{
	val_set(m->result, key, v);
}

void mod_sets(struct mod_ctx *m, const char *key, const char *z)
{
	mod_set(m, key, val_strz(m->a, z));
}

void mod_setf(struct mod_ctx *m, const char *key, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	mod_sets(m, key, arena_vprintf(m->a, fmt, ap));
	va_end(ap);
}

void mod_seti(struct mod_ctx *m, const char *key, int64_t i)
{
	mod_set(m, key, val_int(m->a, i));
}

void mod_setb(struct mod_ctx *m, const char *key, bool b)
{
	mod_set(m, key, val_bool(b));
}

void mod_setstr(struct mod_ctx *m, const char *key, struct str s)
{
	mod_set(m, key, val_str(m->a, s));
}

bool mod_done(struct mod_ctx *m, bool changed, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	mod_sets(m, "msg", arena_vprintf(m->a, fmt, ap));
	va_end(ap);
	if (changed)
		mod_changed(m);
	return true;
}

void mod_facts(struct mod_ctx *m, struct val *facts)
{
	struct val *all = val_get(m->result, "ansible_facts");
	if (!all) {
		mod_set(m, "ansible_facts", facts);
		return;
	}
	MAP_EACH (i, facts)
		val_setk(all, val_key_at(facts, i), val_value_at(facts, i));
}

void mod_diff_text(struct mod_ctx *m, const char *header, struct str before, struct str after)
{
	if (!m->diff)
		return;
	struct val *list = val_get(m->result, "diff"), *d = val_map(m->a);
	if (!list || !val_is_list(list)) {
		list = val_list(m->a);
		mod_set(m, "diff", list);
	}
	val_set(d, "before_header", val_strz(m->a, header));
	val_set(d, "after_header", val_strz(m->a, header));
	val_set(d, "before", val_str(m->a, before));
	val_set(d, "after", val_str(m->a, after));
	val_push(list, d);
}

void mod_diff_attr(struct mod_ctx *m, const char *key, struct val *before, struct val *after)
{
	struct val *d = val_get(m->result, "diff");
	if (d && val_is_list(d)) {
		/* Beside a text diff, attributes are a member of their own. */
		struct val *last = val_len(d) ? val_at(d, val_len(d) - 1) : NULL;
		if (!last || !val_get(last, "before") || !val_is_map(val_get(last, "before"))) {
			last = val_map(m->a);
			val_set(last, "before", val_map(m->a));
			val_set(last, "after", val_map(m->a));
			val_push(d, last);
		}
		d = last;
	} else if (!d) {
		d = val_map(m->a);
		val_set(d, "before", val_map(m->a));
		val_set(d, "after", val_map(m->a));
		mod_set(m, "diff", d);
	}
	val_set(val_get(d, "before"), key, before);
	val_set(val_get(d, "after"), key, after);
}
