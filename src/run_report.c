/*
 * What the step leaves behind: outputs for later steps, a summary for the reader, a few lines at the log's
 * end.
 */
#include "run.h"

#include "ansible/engine.h"
#include "base/json.h"
#include "base/log.h"
#include "net/loop.h"
#include "report.h"

#define SLOWEST 8

static const struct engine_stats *stats_of(const struct run *r, const struct machine *m)
{
	return r->engine ? engine_host_stats(r->engine, m->name) : NULL;
}

static struct val *changes_of(const struct run *r, const char *host)
{
	struct val *all = r->engine ? engine_changes(r->engine) : NULL, *mine = val_list(r->a);

	for (size_t i = 0; all && i < val_len(all); i++) {
		if (str_eqc(val_map_str(val_at(all, i), "host", ""), host))
			val_push(mine, val_at(all, i));
	}
	return mine;
}

static bool machine_changed(const struct run *r, size_t i)
{
	const struct engine_stats *s = stats_of(r, &r->model.machines[i]);

	return (r->machines && r->machines[i].changed) || (s && s->changed);
}

/* An id is chosen before anything has it. */
static bool is_there(const struct pve_machine *m)
{
	return m->item->have || m->changed;
}

/* ---- outputs ---- */

static struct val *vm_ids(const struct run *r)
{
	struct val *m = val_map(r->a);

	for (size_t i = 0; r->machines && i < r->model.n; i++) {
		if (is_there(&r->machines[i]))
			val_set(m, r->model.machines[i].name, val_int(r->a, r->machines[i].vmid));
	}
	return m;
}

static struct val *names(const struct run *r)
{
	struct val *l = val_list(r->a);

	for (size_t i = 0; i < r->model.n; i++)
		val_push(l, val_strz(r->a, r->model.machines[i].name));
	return l;
}

static struct val *addresses(const struct run *r)
{
	struct val *l = val_list(r->a);

	for (size_t i = 0; i < r->model.n; i++)
		val_push(l, val_strz(r->a, r->model.machines[i].address));
	return l;
}

bool run_changed(const struct run *r)
{
	bool any = r->destroyed;

	if (r->does & DO_FORESEE)
		return false;
	for (size_t i = 0; i < r->model.n; i++)
		any |= machine_changed(r, i);
	return any;
}

static struct val *changed(const struct run *r)
{
	return val_strz(r->a, run_changed(r) ? "true" : "false");
}

static struct val *from_stats(const struct run *r, const char *key)
{
	struct val *s = r->engine ? engine_custom_stats(r->engine) : NULL;

	return s && val_is_map(s) ? val_get(s, key) : NULL;
}

static struct val *leader(const struct run *r)
{
	return from_stats(r, "leader");
}

const char *run_leader(const struct run *r)
{
	const struct val *v = leader(r);

	return v && val_is_str(v) ? val_get_strz(v) : "";
}

static struct val *dsn(const struct run *r)
{
	return from_stats(r, "dsn");
}

static struct val *whole(const struct run *r)
{
	struct val *all = val_map(r->a), *machines = val_list(r->a);

	for (size_t i = 0; i < r->model.n; i++) {
		const struct machine *m = &r->model.machines[i];
		struct val *v = val_map(r->a), *tasks = val_list(r->a), *did = changes_of(r, m->name);

		val_set(v, "key", val_strz(r->a, m->key));
		val_set(v, "name", val_strz(r->a, m->name));
		val_set(v, "address", val_strz(r->a, m->address));
		if (r->machines) {
			if (is_there(&r->machines[i]))
				val_set(v, "id", val_int(r->a, r->machines[i].vmid));
			val_set(v, "node", val_strz(r->a, r->machines[i].node));
			val_set(v, "plan", val_strz(r->a, plan_action_name(r->machines[i].item->action)));
		}
		VAL_EACH (k, did)
			val_push(tasks, val_get(val_at(did, k), "task"));
		val_set(v, "changed", tasks);
		val_push(machines, v);
	}
	val_set(all, "machines", machines);
	if (r->engine)
		val_set(all, "results", val_copy(r->a, engine_custom_stats(r->engine)));
	return all;
}

/* An output is one row: text goes out as it is, everything else as JSON; NULL leaves it out. */
static const struct {
	const char *name;
	struct val *(*value)(const struct run *r);
} outputs[] = {
        {"vm_ids", vm_ids},   {"vm_hostnames", names}, {"vm_target_ips", addresses},
        {"changed", changed}, {"leader", leader},      {"dsn", dsn},
        {"cluster", whole},
};

static void write_outputs(struct run *r, struct err *err)
{
	for (size_t i = 0; i < sizeof(outputs) / sizeof(*outputs); i++) {
		struct val *v = outputs[i].value(r);
		struct buf b = {0};

		if (!v)
			continue;
		if (val_is_str(v))
			buf_addstr(&b, val_get_str(v));
		else
			json_dump(v, JSON_STYLE_COMPACT, &b);
		gh_output(&r->files, outputs[i].name, buf_str(&b), err);
		buf_free(&b);
	}
}

/* ---- tables: markdown that is readable as plain text too, its columns being even ---- */

static struct val *line(const struct run *r, const char *const *cells, size_t n)
{
	struct val *l = val_list(r->a);

	for (size_t i = 0; i < n; i++)
		val_push(l, val_strz(r->a, cells[i]));
	return l;
}

#define LINE(r, ...)                                \
	line(r, (const char *const[]){__VA_ARGS__}, \
	     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static size_t width_of(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void add_cell(struct buf *b, struct str text, size_t width, char fill)
{
	buf_adds(b, "| ");
	for (size_t i = 0; i < text.n; i++)
		buf_addc(b, text.p[i] == '|' || text.p[i] == '\n' ? ' ' : text.p[i]);
	for (size_t n = width_of(text); n < width; n++)
		buf_addc(b, fill);
	buf_addc(b, ' ');
}

/* Before the columns are measured: *** is shorter than what it stands for. */
static void hide_secrets(const struct run *r, const struct val *rows)
{
	VAL_EACH (i, rows) {
		struct val *row = val_at(rows, i);

		VAL_EACH (c, row) {
			struct buf b = {0};

			log_redact(str_trim(val_get_str(val_at(row, c))), &b);
			val_set_at(row, c, val_str(r->a, buf_str(&b)));
			buf_burn(&b);
		}
	}
}

/* ROWS: lists of texts, the first one the heading. */
static void add_table(const struct run *r, struct buf *b, const struct val *rows)
{
	size_t columns = val_len(val_at(rows, 0)), *width = arena_array(r->a, columns, sizeof(*width));

	hide_secrets(r, rows);
	VAL_EACH (i, rows) {
		for (size_t c = 0; c < columns; c++) {
			size_t n = width_of(val_get_str(val_at(val_at(rows, i), c)));

			width[c] = n > width[c] ? n : width[c];
		}
	}
	VAL_EACH (i, rows) {
		for (size_t c = 0; c < columns; c++)
			add_cell(b, val_get_str(val_at(val_at(rows, i), c)), width[c], ' ');
		buf_adds(b, "|\n");
		for (size_t c = 0; i == 0 && c < columns; c++)
			add_cell(b, STR("-"), width[c], '-');
		if (i == 0)
			buf_adds(b, "|\n");
	}
	buf_addc(b, '\n');
}

/* A list of flat maps as a table: its columns are the keys in the order they come. */
static struct val *as_rows(const struct run *r, const struct val *maps)
{
	struct val *rows = val_list(r->a), *columns = val_list(r->a), *seen = val_map(r->a);

	VAL_EACH (i, maps) {
		if (!val_is_map(val_at(maps, i)))
			return NULL;
		MAP_EACH (k, val_at(maps, i))
			val_sets(seen, val_text(val_key_at(val_at(maps, i), k), r->a), val_null());
	}
	MAP_EACH (k, seen)
		val_push(columns, val_key_at(seen, k));
	val_push(rows, columns);
	VAL_EACH (i, maps) {
		struct val *cells = val_list(r->a);

		VAL_EACH (k, columns) {
			const struct val *v = val_gets(val_at(maps, i), val_get_str(val_at(columns, k)));

			val_push(cells, v && !val_is_null(v) ? val_str(r->a, val_text(v, r->a))
			                                     : val_strz(r->a, ""));
		}
		val_push(rows, cells);
	}
	return val_len(columns) ? rows : NULL;
}

/* ---- parts ---- */

static void add_results(const struct run *r, struct buf *b)
{
	const struct val *s = r->engine ? engine_custom_stats(r->engine) : NULL;

	for (size_t i = 0; s && val_is_map(s) && i < val_len(s); i++) {
		const struct val *v = val_value_at(s, i);
		struct val *rows = val_is_list(v) && val_len(v) ? as_rows(r, v) : NULL;

		if (!rows)
			continue;
		buf_printf(b, "### %s\n\n", val_get_strz(val_key_at(s, i)));
		add_table(r, b, rows);
	}
	for (size_t i = 0; s && val_is_map(s) && i < val_len(s); i++) {
		struct str text = val_text(val_value_at(s, i), r->a), rest = str_trim(text);

		if (!val_is_str(val_value_at(s, i)))
			continue;
		buf_printf(b, "- **%s**:", val_get_strz(val_key_at(s, i)));
		while (rest.p) {
			struct str line = str_split(&rest, '\n');

			buf_printf(b, " `%.*s`\n", STR_FMT(line));
		}
	}
	buf_addc(b, '\n');
}

static const char *tasks_text(const struct run *r, const struct engine_stats *s)
{
	if (!s)
		return "";
	return arena_printf(r->a, "ok=%u changed=%u failed=%u%s", s->ok, s->changed, s->failed,
	                    s->unreachable ? " unreachable" : "");
}

static void add_machines(const struct run *r, struct buf *b)
{
	struct val *rows = val_list(r->a);

	val_push(rows, LINE(r, "machine", "address", "id", "node", "Proxmox VE", "tasks"));
	for (size_t i = 0; i < r->model.n; i++) {
		const struct machine *m = &r->model.machines[i];
		const struct pve_machine *p = r->machines ? &r->machines[i] : NULL;

		val_push(rows, LINE(r, m->name, m->address ? m->address : "",
		                    p && is_there(p) ? arena_printf(r->a, "%lld", (long long)p->vmid) : "",
		                    p ? p->node : "", p ? plan_action_name(p->item->action) : "",
		                    tasks_text(r, stats_of(r, m))));
	}
	buf_adds(b, "### machines\n\n");
	add_table(r, b, rows);
}

static void add_changes(const struct run *r, struct buf *b)
{
	struct val *rows = val_list(r->a);

	bool would = r->does & DO_FORESEE;

	val_push(rows, LINE(r, "machine", would ? "what the roles would change" : "what changed"));
	for (size_t i = 0; r->engine && i < r->model.n; i++) {
		struct val *did = changes_of(r, r->model.machines[i].name);

		VAL_EACH (k, did)
			val_push(rows,
			         LINE(r, r->model.machines[i].name,
			              arena_printf(r->a, "%s: %s", val_map_strz(val_at(did, k), "role", ""),
			                           val_map_strz(val_at(did, k), "task", ""))));
	}
	if (val_len(rows) == 1)
		return;
	buf_printf(b, "<details><summary>%zu changes%s</summary>\n\n", val_len(rows) - 1,
	           would ? " of the roles" : "");
	add_table(r, b, rows);
	buf_adds(b, "</details>\n\n");
}

/* Names of the slowest, longest first. */
static struct val *slowest(const struct run *r, const struct val *tasks)
{
	struct val *top = val_list(r->a);

	MAP_EACH (i, tasks) {
		double seconds = val_get_float(val_value_at(tasks, i));
		size_t at = 0;

		while (at < val_len(top) && val_get_float(val_getk(tasks, val_at(top, at))) >= seconds)
			at++;
		val_insert(top, at, val_key_at(tasks, i));
		if (val_len(top) > SLOWEST)
			val_remove_at(top, SLOWEST);
	}
	return top;
}

static void add_times(const struct run *r, struct buf *b)
{
	struct val *rows = val_list(r->a);
	const struct val *tasks = r->engine ? engine_timings(r->engine) : val_map(r->a);
	struct val *top = slowest(r, tasks);

	val_push(rows, LINE(r, "where the time went", "seconds"));
	for (const struct timing *t = r->timings; t; t = t->next)
		val_push(rows, LINE(r, t->what, arena_printf(r->a, "%.1f", t->seconds)));
	VAL_EACH (i, top) {
		const struct val *name = val_at(top, i);

		val_push(rows, LINE(r, arena_printf(r->a, "- %s", val_get_strz(name)),
		                    arena_printf(r->a, "%.1f", val_get_float(val_getk(tasks, name)))));
	}
	buf_adds(b, "<details><summary>times</summary>\n\n");
	add_table(r, b, rows);
	buf_adds(b, "</details>\n\n");
}

/* TEXT as markdown that shows just that, its lines one below the other. */
static void add_markdown(struct buf *b, struct str text)
{
	struct buf clean = {0};

	log_redact(str_trim(text), &clean);
	for (size_t i = 0; i < clean.n; i++) {
		if (clean.p[i] == '<')
			buf_adds(b, "&lt;");
		else if (clean.p[i] == '\n')
			buf_adds(b, "<br>");
		else if (strchr("\\`*_|", clean.p[i]) && clean.p[i])
			buf_printf(b, "\\%c", clean.p[i]);
		else
			buf_addc(b, clean.p[i]);
	}
	buf_burn(&clean);
}

static void add_errors(const struct run *r, struct buf *b, const struct errs *errs)
{
	for (size_t i = 0; i < errs->n; i++) {
		struct source_pos pos;
		struct buf text = {0};

		buf_adds(b, "- ");
		if (sources_locate(r->ss, err_origin(&errs->v[i]), &pos))
			buf_printf(b, "`%s:%u:%u` ", pos.file, pos.line, pos.col);
		err_text(&errs->v[i], &text);
		if (errs->v[i].hint)
			buf_printf(&text, "\n%s", errs->v[i].hint);
		add_markdown(b, buf_str(&text));
		buf_addc(b, '\n');
		buf_free(&text);
	}
	if (errs->n)
		buf_addc(b, '\n');
}

/* What provision would do. */
static void add_plan(const struct run *r, struct buf *b)
{
	struct val *rows = val_list(r->a);

	val_push(rows, LINE(r, "machine", "address", "id", "node", "plan", "what differs"));
	for (size_t i = 0; i < r->plan.n; i++) {
		const struct plan_item *it = &r->plan.items[i];
		struct buf what = {0};

		for (size_t k = 0; k < it->n; k++)
			buf_printf(&what, "%s%s: %s to %s", k ? ", " : "", it->changes[k].what,
			           it->changes[k].from, it->changes[k].to);
		if (it->restart)
			buf_adds(&what, ", with a restart");
		if (it->note)
			buf_printf(&what, "%s%s", what.n ? ", " : "", it->note);
		if (it->action == PLAN_LEAVE)
			buf_adds(&what, run_leave_note(r));
		val_push(rows, LINE(r, it->want ? it->want->name : it->have->name,
		                    it->want ? it->want->address : plan_address(r->a, it->have),
		                    it->have ? arena_printf(r->a, "%lld", (long long)it->have->vmid) : "",
		                    it->have ? it->have->node : "", plan_action_name(it->action),
		                    what.p ? what.p : ""));
		buf_free(&what);
	}
	buf_adds(b, "### plan\n\n");
	add_table(r, b, rows);
}

static const char *headline(const struct run *r, const struct errs *errs)
{
	if (errs->n && errs->v[0].cls == ERR_USER && !run_changed(r))
		return "refused, nothing was changed";
	if (errs->n)
		return errs->v[errs->n - 1].cls == ERR_CANCELLED ? "cancelled" : "failed";
	if (r->verified)
		return "done and verified";
	if (r->does & DO_FORESEE)
		return arena_printf(r->a, "%zu of %zu machines to make or change", plan_writes(&r->plan),
		                    r->model.n);
	return "done";
}

/* "shop prod", as far as the inputs told it. */
static const char *subject(const struct run *r)
{
	if (!r->model.app || !r->model.environment)
		return "nante";
	return arena_printf(r->a, "%s %s", r->model.app, r->model.environment);
}

static void write_summary(struct run *r, const struct errs *errs, struct err *err)
{
	struct buf b = {0};
	double seconds = (double)(loop_now() - r->began) / 1000;

	/* Without a runner it goes to the terminal, where the errors follow anyway. */
	if (!r->files.summary && !r->machines && !r->roles_ran)
		return;

	buf_printf(&b, "## %s: %s (%s, %.1f s)\n\n", subject(r), headline(r, errs), r->command, seconds);
	add_errors(r, &b, errs);
	if (!err_is(err) && (r->does & DO_FORESEE) && r->plan.n) {
		add_plan(r, &b);
		add_changes(r, &b);
	} else if (!err_is(err) && (r->machines || r->roles_ran)) {
		add_results(r, &b);
		add_machines(r, &b);
		add_changes(r, &b);
		add_times(r, &b);
	}
	gh_summary(&r->files, buf_str(&b), err);
	buf_free(&b);
}

/* At the log's end the tables once more, where a person looks first. */
static void show_end(struct run *r, const struct errs *errs)
{
	struct buf b = {0};

	if (r->files.summary && (r->machines || r->roles_ran) && !(r->does & DO_FORESEE)) {
		buf_addc(&b, '\n');
		add_results(r, &b);
		add_machines(r, &b);
		gh_foreign(&r->gh, buf_str(&b));
	}
	log_line(LOG_INFO, "%s: %s (%.1f s)", subject(r), headline(r, errs),
	         (double)(loop_now() - r->began) / 1000);
	buf_free(&b);
}

void run_report(struct run *r, const struct errs *errs)
{
	struct err err = {0};

	if ((r->machines || r->roles_ran) && !(r->does & DO_FORESEE))
		write_outputs(r, &err);
	write_summary(r, errs, &err);
	show_end(r, errs);
	if (err_is(&err))
		report_err(&r->gh, r->ss, &err);
	err_clear(&err);
}
