#include "modules/argv.h"
#include "modules/words.h"

static const char *quoted(const struct argv *c)
{
	struct buf b = {0};
	for (size_t i = 0; i < c->n; i++)
		buf_printf(&b, "%s%s", i ? " " : "", words_quote(c->m->a, c->v[i]));
	struct str s = buf_take(&b, c->m->a);
	buf_free(&b);
	return s.p;
}

/* make, what to make, and NAME=value for each parameter (NAME alone for one without a value). */
static bool command(struct argv *c)
{
	struct mod_ctx *m = c->m;
	const struct val *params = val_get(m->args, "params");
	const char *program = mod_arg(m, "make");
	if (!program)
		program = mod_which(m, "gmake");
	if (!program && !(program = argv_need(m, "make")))
		return false;
	argv_add(c, program);
	argv_add_arg(c, "-j", "jobs");
	argv_add_arg(c, "-f", "file");
	if (mod_has(m, "target"))
		argv_add(c, mod_arg(m, "target"));
	argv_add_list(c, mod_list(m, "targets"));
	for (size_t i = 0; params && i < val_len(params); i++) {
		struct str name = val_text(val_key_at(params, i), m->a),
		           v = val_text(val_value_at(params, i), m->a);
		bool bare = val_is_null(val_value_at(params, i));
		argv_addf(c, "%.*s%s%.*s", STR_FMT(name), bare ? "" : "=", bare ? 0 : (int)v.n, v.p);
	}
	return true;
}

static struct str without_end(struct str s)
{
	while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

static bool run(struct mod_ctx *m)
{
	static const char *const echoed[] = {"target", "targets", "params", "chdir", "file", "jobs"};
	struct argv c = {.m = m, .cwd = mod_arg(m, "chdir")}, question = {.m = m, .cwd = c.cwd};
	struct mod_out out;
	if (!command(&c))
		return false;
	argv_add_all(&question, c.v);
	argv_add(&question, "-q");
	if (!argv_run(&question, &out))
		return false;
	if (out.rc != 0) {
		mod_changed(m);
		if (!m->check && !argv_must(&c, &out))
			return false;
	}
	for (size_t i = 0; i < sizeof(echoed) / sizeof(*echoed); i++)
		mod_set(m, echoed[i], mod_has(m, echoed[i]) ? val_get(m->args, echoed[i]) : val_null());
	mod_setstr(m, "stdout", without_end(out.out));
	mod_setstr(m, "stderr", without_end(out.err));
	mod_sets(m, "command", quoted(&c));
	return true;
}

static const struct mod_arg args[] = {
        {"chdir", MT_PATH, MA_REQUIRED, .doc = "The directory to make it in."},
        {"target", MT_STR, .doc = "What to make; without it, the makefile's first target."},
        {"targets", MT_LIST, .doc = "Several of them."},
        {"params", MT_DICT, .doc = "Variables for the makefile."},
        {"file", MT_PATH, .doc = "A makefile of another name."},
        {"jobs", MT_INT, .doc = "How many to make at a time."},
        {"make", MT_PATH, .doc = "The make to use."},
        {NULL},
};

const struct module module_row_make = {
        .name = "make",
        .from = "community.general",
        .doc = "Makes targets of a makefile that are not up to date.",
        .args = args,
        .flags = MOD_CHECK,
        .mutually_exclusive = "target|targets",
        .run = run,
};
