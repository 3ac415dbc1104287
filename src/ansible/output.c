#include "ansible/output.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/source.h"

static void say(struct output *o, struct buf *b)
{
	buf_addc(b, '\n');
	o->write(o->ctx, buf_str(b));
	buf_free(b);
}

static void complain(struct output *o, struct buf *b)
{
	buf_addc(b, '\n');
	o->complain(o->ctx, buf_str(b));
	buf_free(b);
}

static size_t text_width(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* A line of stars fills 79 columns. */
/* Whether anything was done on HOST: the recap leaves others out. */
static bool took_part(const struct engine *e, const char *host)
{
	const struct engine_stats *s = engine_host_stats(e, host);
	return s && (s->ok || s->unreachable || s->failed || s->skipped || s->rescued || s->ignored);
}

static void banner(struct output *o, const char *fmt, const char *x, const char *y)
{
	struct buf b = {0}, msg = {0};
	buf_printf(&msg, fmt, x, y);
	struct str m = str_trim(buf_str(&msg));
	size_t w = text_width(m);
	buf_printf(&b, "\n%.*s ", STR_FMT(m));
	for (size_t i = w < 76 ? 79 - w : 3; i > 0; i--)
		buf_addc(&b, '*');
	buf_free(&msg);
	say(o, &b);
}

static void on_play(void *ctx, const char *name)
{
	struct str n = str_trim(str_c(name));
	banner(ctx, n.n ? "PLAY [%s]%s" : "PLAY%s%s", n.n ? name : "", "");
}

static void on_no_hosts(void *ctx)
{
	struct buf b = {0};
	buf_adds(&b, "skipping: no hosts matched");
	say(ctx, &b);
}

static void set_title(struct output *o, const char *role, const char *name)
{
	buf_clear(&o->title);
	buf_printf(&o->title, "%s%s%s", role ? role : "", role ? " : " : "", name);
}

static void on_task(void *ctx, const char *kind, const char *role, const char *name, struct origin at)
{
	struct output *o = ctx;
	struct buf b = {0};
	struct source_pos pos;
	set_title(o, role, name);
	buf_printf(&b, "%s [%s]", kind, o->title.p);
	banner(o, "%s%s", b.p, "");
	buf_free(&b);
	if (o->verbosity >= 2 && sources_locate(o->sources, at, &pos)) {
		struct buf p = {0};
		buf_printf(&p, "task path: %s:%u", pos.file, pos.line);
		say(o, &p);
	}
}

/* ---- results ------------------------------------------------------------------------------------------ */

/* The members of a result that are anybody's business. */
static struct val *public_part(struct arena *a, const struct val *result)
{
	struct val *m = val_copy(a, result);
	for (size_t i = val_len(m); i-- > 0;)
		if (str_starts(val_text(val_key_at(m, i), a), "_ansible_"))
			val_delk(m, val_key_at(m, i));
	return m;
}

/* The result as one line of JSON: {"task", "host", "status", "result"}, "ignored" where it is. */
static void write_result(struct output *o, const struct engine_result *r)
{
	static const char *const status[] = {"ok", "changed", "failed", "skipped", "unreachable"};
	if (!o->write_result || r->is_item)
		return;
	struct arena *a = arena_new(o->a);
	struct buf b = {0};
	struct val *m = val_map(a);
	val_set(m, "task", val_str(a, buf_str(&o->title)));
	val_set(m, "host", val_strz(a, r->host));
	val_set(m, "action", val_strz(a, r->action));
	val_set(m, "status", val_strz(a, status[r->kind]));
	if (r->ignored)
		val_set(m, "ignored", val_bool(true));
	val_set(m, "result", public_part(a, r->result));
	json_dump(m, JSON_STYLE_PYTHON, &b);
	buf_addc(&b, '\n');
	o->write_result(o->result_ctx, buf_str(&b));
	buf_free(&b);
	arena_free(a);
}

static bool is_debug(const char *action)
{
	const char *dot = strrchr(action, '.');
	return strcmp(dot ? dot + 1 : action, "debug") == 0;
}

static bool hidden(const struct output *o, const struct val *result, const char *action, struct str key)
{
	if (str_starts(key, "_ansible_"))
		return true;
	if (o->verbosity < 3 && (str_eqc(key, "invocation") || str_eqc(key, "diff")))
		return true;
	if (str_eqc(key, "exception") || str_eqc(key, "warnings") || str_eqc(key, "deprecations"))
		return true;
	if (!is_debug(action))
		return false;
	if (val_get(result, "msg"))
		return !str_eqc(key, "msg");
	return str_eqc(key, "changed") || str_eqc(key, "failed") || str_eqc(key, "skipped") ||
	       str_eqc(key, "skip_reason") || str_eqc(key, "invocation");
}

static void dump(struct output *o, const struct val *result, const char *action, bool item_list,
                 struct buf *out)
{
	struct arena *a = arena_new(o->a);
	struct val *m = val_map(a);
	MAP_EACH (i, result) {
		const struct val *k = val_key_at(result, i);
		if (val_is_str(k) && hidden(o, result, action, val_get_str(k)))
			continue;
		if (item_list && val_is_str(k) && str_eqc(val_get_str(k), "results"))
			continue;
		val_setk(m, val_key_at(result, i), val_value_at(result, i));
	}
	bool wide = val_get(result, "_ansible_verbose_always") || o->verbosity > 2;
	json_dump(m, (struct json_style){wide ? 4 : -1, true, false, false}, out);
	arena_free(a);
}

static void show_diff(struct output *o, const struct val *d)
{
	struct buf b = {0};
	const struct val *before = val_get(d, "before"), *after = val_get(d, "after"),
	                 *prepared = val_get(d, "prepared");
	if (before && after) {
		struct buf x = {0}, y = {0}, xn = {0}, yn = {0};
		struct json_style st = {4, true, false, false};
		const struct val *bh = val_get(d, "before_header"), *ah = val_get(d, "after_header");
		if (val_is_map(before))
			json_dump(before, st, &x), buf_addc(&x, '\n');
		else if (!val_is_null(before))
			val_print(before, &x);
		if (val_is_map(after))
			json_dump(after, st, &y), buf_addc(&y, '\n');
		else if (!val_is_null(after))
			val_print(after, &y);
		buf_adds(&xn, bh ? "before: " : "before");
		buf_adds(&yn, ah ? "after: " : "after");
		if (bh)
			val_print(bh, &xn);
		if (ah)
			val_print(ah, &yn);
		output_diff(buf_str(&x), buf_str(&y), buf_str(&xn), buf_str(&yn), &b);
		if (b.n)
			buf_addc(&b, '\n');
		buf_free(&x);
		buf_free(&y);
		buf_free(&xn);
		buf_free(&yn);
	}
	if (prepared)
		val_print(prepared, &b);
	if (b.n)
		say(o, &b);
	else
		buf_free(&b);
}

static void show_diffs(struct output *o, const struct engine_result *r)
{
	const struct val *d = val_get(r->result, "diff");
	if (!d || r->kind != RES_CHANGED || r->no_log || r->is_loop)
		return;
	if (val_is_map(d))
		show_diff(o, d);
	for (size_t i = 0; val_is_list(d) && i < val_len(d); i++)
		if (val_is_map(val_at(d, i)))
			show_diff(o, val_at(d, i));
}

static void show_warnings(struct output *o, const struct val *result)
{
	const struct val *w = val_get(result, "warnings");
	for (size_t i = 0; w && val_is_list(w) && i < val_len(w); i++) {
		struct buf b = {0};
		buf_adds(&b, "[WARNING]: ");
		val_print(val_at(w, i), &b);
		complain(o, &b);
	}
}

static void host_label(const struct engine_result *r, struct buf *b)
{
	buf_adds(b, r->host);
	if (r->delegated_to && strcmp(r->delegated_to, r->host) != 0)
		buf_printf(b, " -> %s", r->delegated_to);
}

static void on_result(void *ctx, const struct engine_result *r)
{
	static const char *const words[] = {"ok", "changed", "failed", "skipping", "fatal"};
	struct output *o = ctx;
	struct buf b = {0};
	bool bad = r->kind == RES_FAILED || r->kind == RES_UNREACHABLE;
	bool verbose = o->verbosity > 0 || val_get(r->result, "_ansible_verbose_always");
	write_result(o, r);
	show_warnings(o, r->result);
	if (o->diff || r->diff || o->verbosity > 2)
		show_diffs(o, r);
	/* Items have been shown one by one: their sum says no more, except that nothing was done. */
	if (r->is_loop && !r->no_log &&
	    (r->kind == RES_OK || r->kind == RES_CHANGED || r->kind == RES_FAILED)) {
		if (r->kind == RES_FAILED && r->ignored) {
			buf_adds(&b, "...ignoring");
			say(o, &b);
		}
		return;
	}
	buf_printf(&b, "%s: [", bad ? r->is_item ? "failed" : "fatal" : words[r->kind]);
	host_label(r, &b);
	buf_addc(&b, ']');
	if (bad && !r->is_item)
		buf_adds(&b, r->kind == RES_FAILED ? ": FAILED!" : ": UNREACHABLE!");
	if (r->is_item) {
		buf_adds(&b, bad ? " (item=" : " => (item=");
		if (r->label)
			val_print(r->label, &b);
		else
			buf_adds(&b, "None");
		buf_adds(&b, r->kind == RES_SKIPPED ? ") " : ")");
	}
	if (bad || verbose) {
		buf_adds(&b, " => ");
		dump(o, r->result, r->action, r->is_loop, &b);
	}
	say(o, &b);
	const struct val *at = val_get(r->result, "_ansible_origin");
	if (bad && at) {
		buf_adds(&b, "  at ");
		val_print(at, &b);
		say(o, &b);
	}
	if (bad && r->ignored && !r->is_item) {
		buf_adds(&b, "...ignoring");
		say(o, &b);
	}
}

static void on_retry(void *ctx, const char *host, const char *task, int left, const struct val *result)
{
	struct output *o = ctx;
	struct buf b = {0};
	buf_printf(&b, "FAILED - RETRYING: [%s]: %s (%d retries left).", host, task, left);
	if (result && (o->verbosity > 2 || val_get(result, "_ansible_verbose_always"))) {
		struct arena *a = arena_new(o->a);
		struct val *shown = val_shallow(a, result);
		val_del(shown, STR("failed"));
		val_del(shown, STR("skipped"));
		buf_adds(&b, "Result was: ");
		dump(o, shown, "", false, &b);
		arena_free(a);
	}
	say(o, &b);
}

static void on_included(void *ctx, const char *path, const char *hosts, const struct val *label)
{
	struct buf b = {0};
	buf_printf(&b, "included: %s for %s", path, hosts);
	if (label && val_truthy(label)) { /* as Ansible: not for one that is empty or 0 */
		buf_adds(&b, " => (item=");
		val_print(label, &b);
		buf_addc(&b, ')');
	}
	say(ctx, &b);
}

static void on_warning(void *ctx, const char *msg, struct origin at)
{
	struct output *o = ctx;
	struct buf b = {0};
	struct source_pos pos;
	buf_printf(&b, "[WARNING]: %s", msg);
	if (sources_locate(o->sources, at, &pos))
		buf_printf(&b, " (%s:%u:%u)", pos.file, pos.line, pos.col);
	complain(o, &b);
}

static void on_progress(void *ctx, const char *host, struct str line)
{
	struct output *o = ctx;
	struct buf b = {0};
	if (o->verbosity < 3)
		return;
	buf_printf(&b, "  [%s] %.*s", host, STR_FMT(line));
	say(o, &b);
}

static void on_note(void *ctx, const char *text)
{
	struct buf b = {0};
	buf_adds(&b, text);
	say(ctx, &b);
}

static void on_none_left(void *ctx)
{
	banner(ctx, "NO MORE HOSTS LEFT%s%s", "", "");
}

static void forget_title(void *o)
{
	buf_free(&((struct output *)o)->title);
}

static void begin(struct output *o, struct arena *a)
{
	o->a = a;
	arena_defer(a, forget_title, o);
}

void output_text(struct output *o, struct arena *a)
{
	begin(o, a);
	o->ops = (struct engine_output){on_play,     on_no_hosts, on_task,     on_result, on_retry,
	                                on_included, on_warning,  on_progress, on_note,   on_none_left};
}

/* ---- JSON, as Ansible's json callback -------------------------------------------------------------------
 */

static struct val *list_of(struct arena *a, struct val *map, const char *key)
{
	struct val *l = val_get(map, key);
	if (!l)
		val_set(map, key, l = val_list(a));
	return l;
}

static void json_play(void *ctx, const char *name)
{
	struct output *o = ctx;
	struct val *p = val_map(o->a), *info = val_map(o->a);
	val_set(info, "name", val_strz(o->a, name));
	val_set(p, "play", info);
	val_set(p, "tasks", val_list(o->a));
	val_push(list_of(o->a, o->json, "plays"), p);
	o->play = p;
}

static void json_task(void *ctx, const char *kind, const char *role, const char *name, struct origin at)
{
	struct output *o = ctx;
	struct val *t = val_map(o->a), *info = val_map(o->a);
	struct source_pos pos;
	(void)kind;
	set_title(o, role, name);
	val_set(info, "name", val_str(o->a, buf_str(&o->title)));
	if (sources_locate(o->sources, at, &pos))
		val_set(info, "path", val_strf(o->a, "%s:%u", pos.file, pos.line));
	val_set(t, "task", info);
	val_set(t, "hosts", val_map(o->a));
	if (o->play)
		val_push(val_get(o->play, "tasks"), t);
	o->task = t;
}

static void json_result(void *ctx, const struct engine_result *r)
{
	struct output *o = ctx;
	write_result(o, r);
	if (r->is_item || !o->task)
		return;
	struct val *m = public_part(o->a, r->result);
	val_set(m, "action", val_strz(o->a, r->action));
	val_set(val_get(o->task, "hosts"), r->host, m);
}

void output_json(struct output *o, struct arena *a)
{
	begin(o, a);
	o->json = val_map(a);
	list_of(a, o->json, "plays");
	o->ops = (struct engine_output){.play_start = json_play,
	                                .task_start = json_task,
	                                .result = json_result,
	                                .warning = on_warning};
}

/* ---- the end --------------------------------------------------------------------------------------------
 */

static int by_text(const struct val *a, const struct val *b)
{
	return str_cmp(val_get_str(a), val_get_str(b));
}

static struct val *sorted(struct arena *a, const struct val *names)
{
	struct val *out = val_list(a);
	VAL_EACH (i, names) {
		size_t at = 0;
		while (at < val_len(out) && by_text(val_at(out, at), val_at(names, i)) < 0)
			at++;
		val_insert(out, at, val_at(names, i));
	}
	return out;
}

static void end_json(struct output *o, struct engine *e, const struct val *hosts)
{
	struct val *stats = val_map(o->a);
	VAL_EACH (i, hosts) {
		const struct engine_stats *s = engine_host_stats(e, val_get_strz(val_at(hosts, i)));
		struct val *m = val_map(o->a);
		val_set(m, "changed", val_int(o->a, s->changed));
		val_set(m, "failures", val_int(o->a, s->failed));
		val_set(m, "ignored", val_int(o->a, s->ignored));
		val_set(m, "ok", val_int(o->a, s->ok));
		val_set(m, "rescued", val_int(o->a, s->rescued));
		val_set(m, "skipped", val_int(o->a, s->skipped));
		val_set(m, "unreachable", val_int(o->a, s->unreachable));
		val_setk(stats, val_at(hosts, i), m);
	}
	val_set(o->json, "stats", stats);
	val_set(o->json, "custom_stats", engine_custom_stats(e));
	struct buf b = {0};
	json_dump(o->json, (struct json_style){4, true, false, false}, &b);
	say(o, &b);
}

static void custom_line(struct output *o, const char *name, const struct val *stats)
{
	struct buf b = {0}, json = {0};
	json_dump(stats, (struct json_style){1, true, false, false}, &json);
	buf_printf(&b, "\t%s: ", name);
	for (size_t i = 0; i < json.n; i++)
		if (json.p[i] != '\n')
			buf_addc(&b, json.p[i]);
	buf_free(&json);
	say(o, &b);
}

/* What set_stats gathered: of each host, then of the run. */
static void end_custom(struct output *o, struct engine *e)
{
	const struct val *stats = engine_custom_stats(e), *per = val_get(stats, "_per_host");
	struct val *run = val_map(o->a), *hosts = val_list(o->a);
	struct buf b = {0};
	if (!val_len(stats))
		return;
	MAP_EACH (i, stats)
		if (val_value_at(stats, i) != per)
			val_setk(run, val_key_at(stats, i), val_value_at(stats, i));
	for (size_t i = 0; per && i < val_len(per); i++)
		val_push(hosts, val_key_at(per, i));
	banner(o, "CUSTOM STATS: %s%s", "", "");
	hosts = sorted(o->a, hosts);
	VAL_EACH (i, hosts)
		custom_line(o, val_get_strz(val_at(hosts, i)), val_gets(per, val_get_str(val_at(hosts, i))));
	if (val_len(run)) {
		say(o, &b);
		custom_line(o, "RUN", run);
	}
	say(o, &b);
}

void output_end(struct output *o, struct engine *e)
{
	struct val *hosts = sorted(o->a, engine_hosts(e));
	if (o->json) {
		end_json(o, e, hosts);
		return;
	}
	banner(o, "PLAY RECAP%s%s", "", "");
	VAL_EACH (i, hosts) {
		struct buf b = {0};
		if (!took_part(e, val_get_strz(val_at(hosts, i))))
			continue;
		engine_recap_line(e, val_get_strz(val_at(hosts, i)), &b);
		say(o, &b);
	}
	struct buf b = {0};
	say(o, &b);
	if (o->custom_stats)
		end_custom(o, e);
}
