/*
 * nante doc - what this build knows, said by the tables it works with.
 */
#include "ansible/scope.h"
#include "ansible/templating.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/suggest.h"
#include "cmd.h"
#include "github/inputs.h"
#include "jinja/jinja.h"
#include "modules/spec.h"

static const char *const type_names[] = {
        [MT_STR] = "str",   [MT_PATH] = "path",   [MT_BOOL] = "bool",
        [MT_INT] = "int",   [MT_FLOAT] = "float", [MT_LIST] = "list",
        [MT_DICT] = "dict", [MT_RAW] = "raw",     [MT_JSONARG] = "json",
};

static void show_args(const struct mod_arg *args, int depth)
{
	for (; args && args->name; args++) {
		struct buf b = {0};

		buf_printf(&b, "%*s%-*s %s", 2 + 2 * depth, "", 24 - 2 * depth, args->name,
		           type_names[args->type]);
		if (args->flags & MA_REQUIRED)
			buf_adds(&b, ", required");
		if (args->dflt)
			buf_printf(&b, ", default %s", *args->dflt ? args->dflt : "\"\"");
		if (args->choices)
			buf_printf(&b, ", one of %s", args->choices);
		if (args->aliases)
			buf_printf(&b, ", also %s", args->aliases);
		if (args->doc)
			buf_printf(&b, "\n%*s%s", 4 + 2 * depth, "", args->doc);
		log_line(LOG_INFO, "%s", b.p);
		buf_free(&b);
		show_args(args->sub, depth + 1);
	}
}

static bool doc_module(const char *name)
{
	const struct module *m = module_find(str_c(name));

	if (!m)
		return false;
	log_line(LOG_INFO, "%s.%s - %s\n", m->from, m->name, m->doc);
	log_line(LOG_INFO, "check mode: %s; diff: %s; runs on: %s\n",
	         m->flags & MOD_CHECK ? "yes" : "skipped", m->flags & MOD_DIFF ? "yes" : "no",
	         m->flags & MOD_CONTROLLER ? "the controller" : "the host");
	show_args(m->args, 0);
	show_args(m->shared, 0);
	if (m->flags & MOD_FILE_ARGS)
		log_line(LOG_INFO, "  and owner, group, mode, attributes and the SELinux context of a file");
	return true;
}

static void list_modules(struct suggest *near)
{
	for (const struct module *const *m = module_table; *m; m++) {
		if (near)
			suggest_offer(near, (*m)->name);
		else
			log_line(LOG_INFO, "  %-28s %s", (*m)->name, (*m)->doc);
	}
}

static bool doc_rows(const struct jinja_func *row, const char *what, const char *name)
{
	for (; row->name; row++) {
		if (strcmp(row->name, name) != 0)
			continue;
		log_line(LOG_INFO, "%s %s - %s", what, row->name, row->doc ? row->doc : "");
		return true;
	}
	return false;
}

static void list_rows(const struct jinja_func *row, struct suggest *near)
{
	for (; row->name; row++) {
		if (near)
			suggest_offer(near, row->name);
		else
			log_line(LOG_INFO, "  %-22s %s", row->name, row->doc ? row->doc : "");
	}
}

/* Jinja2's and Ansible's tables, then those that need an engine; the same name there wins. */
static bool doc_function(char kind, const char *what, const char *name)
{
	for (const struct jinja_table *t = templating_tables(); t->rows; t++)
		if (t->kind == kind && doc_rows(t->rows, what, name))
			return true;
	for (const struct jinja_table *t = jinja_tables; t->rows; t++)
		if (t->kind == kind && doc_rows(t->rows, what, name))
			return true;
	return false;
}

static void list_functions(char kind, struct suggest *near)
{
	for (const struct jinja_table *t = jinja_tables; t->rows; t++)
		if (t->kind == kind)
			list_rows(t->rows, near);
	for (const struct jinja_table *t = templating_tables(); t->rows; t++)
		if (t->kind == kind)
			list_rows(t->rows, near);
}

static bool doc_filter(const char *name)
{
	return doc_function('f', "filter", name);
}

static void list_filters(struct suggest *near)
{
	list_functions('f', near);
}

static bool doc_test(const char *name)
{
	return doc_function('t', "test", name);
}

static void list_tests(struct suggest *near)
{
	list_functions('t', near);
}

static bool doc_global(const char *name)
{
	return doc_function('g', "global", name);
}

static void list_globals(struct suggest *near)
{
	list_functions('g', near);
}

static bool doc_lookup(const char *name)
{
	const struct lookup *l = lookup_find(str_c(name));

	if (l)
		log_line(LOG_INFO, "lookup %s - %s", l->name, l->doc);
	return l != NULL;
}

static void list_lookups(struct suggest *near)
{
	for (const struct lookup *l = lookup_table; l->name; l++) {
		if (near)
			suggest_offer(near, l->name);
		else
			log_line(LOG_INFO, "  %-22s %s", l->name, l->doc);
	}
}

static void show_input(const struct input *in)
{
	log_line(LOG_INFO, "  %-20s %-8s %-14s %s", in->name, input_type_name(in->type),
	         *in->dflt ? in->dflt : "-", in->doc);
}

static bool doc_input(const char *name)
{
	const struct input *in = input_find(str_c(name));

	if (in)
		show_input(in);
	return in != NULL;
}

static void list_inputs(struct suggest *near)
{
	size_t n;
	const struct input *rows = input_rows(&n);

	for (size_t i = 0; i < n; i++) {
		if (near)
			suggest_offer(near, rows[i].name);
		else
			show_input(&rows[i]);
	}
}

/* A kind of thing that can be asked for is one row. list(NULL) prints all, list(near) offers their names. */
static const struct {
	const char *name;
	bool (*show)(const char *name);
	void (*list)(struct suggest *near);
} kinds[] = {
        {"module", doc_module, list_modules}, {"filter", doc_filter, list_filters},
        {"test", doc_test, list_tests},       {"lookup", doc_lookup, list_lookups},
        {"global", doc_global, list_globals}, {"input", doc_input, list_inputs},
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

int cmd_doc(int argc, char **argv)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct suggest near = {.name = str_c(argc > 2 ? argv[2] : "")};

		if (argc > 1 && strcmp(argv[1], kinds[i].name) != 0)
			continue;
		if (argc < 3) {
			log_line(LOG_INFO, "%ss:", kinds[i].name);
			kinds[i].list(NULL);
			if (argc > 1)
				return EXIT_DONE;
			continue;
		}
		if (kinds[i].show(argv[2]))
			return EXIT_DONE;
		kinds[i].list(&near);
		log_line(LOG_ERROR, "nante doc: there is no %s '%s'%s%s%s", kinds[i].name, argv[2],
		         near.best ? " (did you mean " : "", near.best ? near.best : "",
		         near.best ? "?)" : "");
		return EXIT_REFUSED;
	}
	if (argc < 2)
		return EXIT_DONE;
	log_line(LOG_ERROR, "usage: nante doc [module|filter|test|lookup|global|input [NAME]]");
	return EXIT_REFUSED;
}
