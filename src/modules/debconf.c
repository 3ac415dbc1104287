#include <strings.h>
#include "modules/deb822.h"
#include "modules/module.h"

/* A value as debconf's databases write it: \n and \\ escaped. */
static struct str unescape(struct mod_ctx *m, struct str s)
{
	struct buf b = {0};
	for (size_t i = 0; i < s.n; i++) {
		bool esc = s.p[i] == '\\' && i + 1 < s.n && (s.p[i + 1] == 'n' || s.p[i + 1] == '\\');
		if (esc)
			i++;
		buf_addc(&b, esc && s.p[i] == 'n' ? '\n' : s.p[i]);
	}
	struct str ret = buf_take(&b, m->a);
	buf_free(&b);
	return ret.p ? ret : STR("");
}

static bool has_word(struct str list, struct str word)
{
	while (list.p)
		if (str_eq(str_trim(str_split(&list, ',')), word))
			return true;
	return false;
}

/* The default of the template NAME: what a question without an answer of its own has. */
static struct str template_default(struct mod_ctx *m, struct str templates, struct str name)
{
	struct str para, none = STR("");
	while (deb822_next(&templates, &para))
		if (str_eq(deb822_get(para, "Name"), name)) {
			struct str v = deb822_get(para, "Default");
			return v.p ? unescape(m, v) : none;
		}
	return none;
}

/* The questions PACKAGE owns in one database, with their values. */
static bool add_answers(struct mod_ctx *m, const char *file, struct str templates, struct val *ret)
{
	struct str text, para, package = mod_args(m, "name");
	if (!mod_read_maybe(m, file, &text))
		return false;
	while (deb822_next(&text, &para)) {
		struct str owners = deb822_get(para, "Owners"), value = deb822_get(para, "Value");
		if (!has_word(owners, package))
			continue;
		value = value.p ? unescape(m, value)
		                : template_default(m, templates, deb822_get(para, "Template"));
		val_sets(ret, deb822_get(para, "Name"), val_str(m->a, value));
	}
	return true;
}

static size_t count_words(struct str s)
{
	size_t n = 0;
	while (s.p)
		n += str_trim(str_split(&s, ',')).n > 0;
	return n;
}

/* Equal as debconf sees values of that type. */
static bool same_value(const char *type, struct str a, struct str b)
{
	if (strcmp(type, "boolean") == 0)
		return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
	if (strcmp(type, "multiselect") != 0)
		return str_eq(a, b);
	bool same = count_words(a) == count_words(b);
	while (same && a.p) {
		struct str w = str_trim(str_split(&a, ','));
		same = !w.n || has_word(b, w);
	}
	return same;
}

static bool answer(struct mod_ctx *m, const char *question, const char *type, struct str value)
{
	struct mod_out out;
	/* YAML's yes and no arrive as Python spells them. */
	if (strcmp(type, "boolean") == 0)
		value = str_eqc(value, "True") ? STR("true") : str_eqc(value, "False") ? STR("false") : value;
	const char *set = mod_which(m, "debconf-set-selections");
	if (!set)
		return mod_fail(m, "Failed to find required executable \"debconf-set-selections\"");
	struct mod_cmd cmd = {
	        .argv = (const char *const[]){set, mod_bool(m, "unseen") ? "-u" : NULL, NULL},
	        .input = str_c(arena_printf(m->a, "%s %s %s %.*s\n", mod_arg(m, "name"), question, type,
	                                    STR_FMT(value))),
	};
	if (!mod_spawn(m, &cmd, &out))
		return false;
	return out.rc == 0 || mod_fail(m, "%.*s", STR_FMT(str_trim(out.err)));
}

static bool run(struct mod_ctx *m)
{
	const char *question = mod_arg(m, "question"), *type = mod_arg(m, "vtype");
	struct val *all = val_map(m->a), *current = val_map(m->a), *previous = val_map(m->a);
	struct str templates, value = mod_args(m, "value");
	if (!mod_read_maybe(m, "/var/cache/debconf/templates.dat", &templates) ||
	    !add_answers(m, "/var/cache/debconf/config.dat", templates, all) ||
	    !add_answers(m, "/var/cache/debconf/passwords.dat", templates, all))
		return false;
	mod_sets(m, "msg", "");
	if (!question) {
		mod_set(m, "current", all);
		return true;
	}
	if (!type || !mod_has(m, "value"))
		return mod_fail(m, "when supplying a question you must supply a valid vtype and value");
	struct val *old = val_get(all, question);
	val_set(current, question, val_str(m->a, value));
	if (!old) /* all there is, and nothing where the question would be */
		previous = val_shallow(m->a, all);
	val_set(previous, question, old ? old : val_strz(m->a, ""));
	if (old && same_value(type, val_get_str(old), value)) {
		mod_set(m, "current", all);
		return true;
	}
	mod_set(m, "current", current);
	mod_set(m, "previous", previous);
	if (!m->check && !answer(m, question, type, value))
		return false;
	mod_changed(m);
	if (m->diff && strcmp(type, "password") != 0)
		mod_diff_attr(m, question, val_get(previous, question), val_get(current, question));
	return true;
}

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "pkg", .doc = "The package."},
        {"question", MT_STR, .aliases = "selection|setting", .doc = "Which of its questions."},
        {"vtype", MT_STR, .choices = "boolean|error|multiselect|note|password|seen|select|string|text|title",
         .doc = "The answer's type."},
        {"value", MT_RAW, .aliases = "answer", .doc = "The answer."},
        {"unseen", MT_BOOL, .dflt = "false", .doc = "Leave the question unseen."},
        {NULL},
};

const struct module module_row_debconf = {
        .name = "debconf",
        .from = "ansible.builtin",
        .doc = "Answers a package's question before it is asked.",
        .args = args,
        .flags = MOD_CHECK | MOD_DIFF,
        .required_together = "question|vtype|value",
        .run = run,
};
