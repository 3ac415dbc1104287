#include <stdlib.h>
#include <time.h>
#include "modules/edit.h"

/* A line of a service; only rules have a type. */
struct rule {
	struct str text; /* of what is no rule */
	const char *type, *control, *path;
	struct val *args; /* texts */
};

struct service {
	struct mod_ctx *m;
	struct rule *lines;
	size_t n, cap;
	int64_t changes;
};

static const char *const types[] = {"account",  "-account",  "auth",    "-auth",
                                    "password", "-password", "session", "-session"};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word of *S, or all up to the closing bracket of one that starts with [. */
static struct str take(struct str *s)
{
	*s = str_trim(*s);
	size_t n = 0;
	if (s->n && s->p[0] == '[')
		while (n < s->n && s->p[n] != ']')
			n++;
	while (n < s->n && !is_blank(s->p[n]))
		n++;
	struct str word = str_n(s->p, n);
	*s = str_from(*s, n);
	return word;
}

/* Each of LIST's texts may hold several arguments. */
static struct val *arguments(struct arena *a, const struct val *list)
{
	struct val *ret = val_list(a);
	for (size_t i = 0; list && i < val_len(list); i++) {
		struct str rest = val_text(val_at(list, i), a), word;
		while ((word = take(&rest)).n)
			val_push(ret, val_str(a, word));
	}
	return ret;
}

static bool matches(const struct rule *r, const char *type, const char *control, const char *path)
{
	return r->type && strcmp(r->type, type) == 0 && strcmp(r->control, control) == 0 &&
	       strcmp(r->path, path) == 0;
}

static bool matches_task(const struct service *s, const struct rule *r)
{
	return matches(r, mod_arg(s->m, "type"), mod_arg(s->m, "control"), mod_arg(s->m, "module_path"));
}

/* A control in brackets is written with no blanks around its equal signs. */
static const char *control_text(struct arena *a, struct str s)
{
	struct buf b = {0};
	for (size_t i = 0; i < s.n; i++) {
		if (s.n > i + 2 && memcmp(s.p + i, " = ", 3) == 0 && s.p[0] == '[') {
			buf_addc(&b, '=');
			i += 2;
			continue;
		}
		buf_addc(&b, s.p[i]);
	}
	const char *z = buf_take(&b, a).p;
	buf_free(&b);
	return z ? z : "";
}

static void put(struct service *s, size_t at, struct rule r)
{
	s->lines = arena_grow(s->m->a, s->lines, s->n + 1, &s->cap, sizeof(*s->lines));
	memmove(s->lines + at + 1, s->lines + at, (s->n - at) * sizeof(*s->lines));
	s->lines[at] = r;
	s->n++;
}

static struct rule parse(struct arena *a, struct str line)
{
	struct rule r = {.text = line};
	struct str rest = str_trim(line);
	if (!rest.n || rest.p[0] == '#' || str_starts(rest, "@include"))
		return r;
	struct str type = take(&rest), control = take(&rest), path = take(&rest);
	struct val *list = val_list(a);
	val_push(list, val_str(a, str_trim(rest)));
	r.type = arena_strndup(a, type.p, type.n);
	r.control = control_text(a, control);
	r.path = arena_strndup(a, path.p ? path.p : "", path.n);
	r.args = arguments(a, list);
	return r;
}

static const char *rule_text(struct arena *a, const struct rule *r)
{
	struct buf b = {0};
	if (r->type) {
		buf_printf(&b, "%-11s%s %s", r->type, r->control, r->path);
		VAL_EACH (i, r->args)
			buf_printf(&b, " %s", val_get_strz(val_at(r->args, i)));
	} else {
		buf_addstr(&b, r->text);
	}
	const char *z = buf_take(&b, a).p;
	buf_free(&b);
	return z ? z : "";
}

/* ---- whether it is one that PAM would read */

static bool is_one_of(struct str s, const char *words)
{
	struct str all = str_c(words);
	while (all.p)
		if (str_eq(s, str_split(&all, '|')))
			return true;
	return false;
}

static bool valid_control(struct mod_ctx *m, const struct rule *r, const char *line)
{
	struct str rest = str_c(r->control);
	int64_t n;
	if (*r->control != '[')
		return is_one_of(rest,
		                 "required|requisite|sufficient|optional|include|substack|definitive") ||
		       mod_fail(m, "Rule control, %s, is not valid in rule %s", r->control, line);
	rest = str_from(rest, 1);
	if (str_ends(rest, "]"))
		rest.n--;
	while (rest.n) {
		struct str action = str_split(&rest, ' '), value = str_split(&action, '=');
		if (!value.n && !action.n)
			continue;
		if (!is_one_of(
		            value,
		            "success|open_err|symbol_err|service_err|system_err|buf_err|perm_denied|auth_err|"
		            "cred_insufficient|authinfo_unavail|user_unknown|maxtries|new_authtok_reqd|"
		            "acct_expired|session_err|cred_unavail|cred_expired|cred_err|no_module_data|"
		            "conv_err|authtok_err|authtok_recover_err|authtok_lock_busy|"
		            "authtok_disable_aging|try_again|ignore|abort|authtok_expired|module_unknown|"
		            "bad_item|conv_again|incomplete|default"))
			return mod_fail(m, "Rule control value, %.*s, is not valid in rule %s",
			                STR_FMT(value), line);
		if (!is_one_of(action, "ignore|bad|die|ok|done|reset") && !(str_int(action, &n) && n >= 0))
			return mod_fail(m, "Rule control action, %.*s, is not valid in rule %s",
			                STR_FMT(action), line);
	}
	return true;
}

static bool validate(struct service *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct rule *r = &s->lines[i];
		const char *line = rule_text(s->m->a, r);
		bool known = !r->type;
		for (size_t k = 0; !known && k < sizeof(types) / sizeof(*types); k++)
			known = strcmp(types[k], r->type) == 0;
		if (!known)
			return mod_fail(s->m, "Rule type, %s, is not valid in rule %s", r->type, line);
		if (r->type && !valid_control(s->m, r, line))
			return false;
	}
	return true;
}

/* ---- what the states do with each rule that matches */

static bool set_text(const char **at, const char *want)
{
	if (!want || !*want || strcmp(*at, want) == 0)
		return false;
	*at = want;
	return true;
}

static void update(struct service *s, size_t i)
{
	struct mod_ctx *m = s->m;
	struct rule *r = &s->lines[i];
	const struct val *given = val_get(m->args, "module_arguments");
	bool changed = set_text(&r->type, mod_arg(m, "new_type"));
	changed |=
	        set_text(&r->control,
	                 mod_has(m, "new_control") ? control_text(m->a, mod_args(m, "new_control")) : NULL);
	changed |= set_text(&r->path, mod_arg(m, "new_module_path"));
	struct val *args = given ? arguments(m->a, given) : NULL;
	if (args && !val_equal(args, r->args)) {
		r->args = args;
		changed = true;
	}
	s->changes += changed;
}

static struct rule new_rule(struct service *s)
{
	struct mod_ctx *m = s->m;
	return (struct rule){.type = mod_arg(m, "new_type"),
	                     .control = control_text(m->a, mod_args(m, "new_control")),
	                     .path = mod_arg(m, "new_module_path"),
	                     .args = arguments(m->a, val_get(m->args, "module_arguments"))};
}

static bool is_note(const struct rule *r)
{
	struct str text = str_trim(r->text);
	return !r->type && (!text.n || text.p[0] == '#');
}

static bool is_new(const struct rule *r, const struct rule *want)
{
	return matches(r, want->type, want->control, want->path);
}

/* Before or behind line I, unless the next line that is no comment is such a rule already. Returns how many
 * lines to step on. */
static size_t insert(struct service *s, size_t i, bool after)
{
	struct rule want = new_rule(s);
	size_t k = i;
	bool edge = true;
	while (after ? k + 1 < s->n : k > 0) {
		k = after ? k + 1 : k - 1;
		if (!is_note(&s->lines[k])) {
			edge = false;
			break;
		}
	}
	if (!edge && is_new(&s->lines[k], &want))
		return 1;
	put(s, edge && after ? s->n : after ? i + 1 : i, want);
	s->changes++;
	return 2;
}

static struct str key_of(struct str arg)
{
	ptrdiff_t at = str_find(arg, STR("="), 0);
	return at < 0 ? (struct str){0} : str_n(arg.p, (size_t)at);
}

static void add_args(struct service *s, size_t i)
{
	struct arena *a = s->m->a;
	struct rule *r = &s->lines[i];
	struct val *more = arguments(a, val_get(s->m->args, "module_arguments"));
	bool changed = false;
	VAL_EACH (k, more) {
		struct str arg = val_get_str(val_at(more, k)), key = key_of(arg);
		bool found = false;
		for (size_t j = 0; !found && j < val_len(r->args); j++) {
			struct str have = val_get_str(val_at(r->args, j));
			found = key.n ? str_eq(key_of(have), key) : str_eq(have, arg);
			if (found && !str_eq(have, arg)) {
				val_set_at(r->args, j, val_str(a, arg));
				changed = true;
			}
		}
		if (!found) {
			val_push(r->args, val_str(a, arg));
			changed = true;
		}
	}
	s->changes += changed;
}

static void remove_args(struct service *s, size_t i)
{
	struct rule *r = &s->lines[i];
	struct val *less = arguments(s->m->a, val_get(s->m->args, "module_arguments"));
	size_t before = val_len(r->args);
	for (size_t j = val_len(r->args); j-- > 0;)
		VAL_EACH (k, less)
			if (val_equal(val_at(r->args, j), val_at(less, k))) {
				val_remove_at(r->args, j);
				break;
			}
	s->changes += val_len(r->args) != before;
}

static void drop(struct service *s, size_t i)
{
	memmove(s->lines + i, s->lines + i + 1, (s->n - i - 1) * sizeof(*s->lines));
	s->n--;
	s->changes++;
}

/* What the state does at line I; how many lines to step on. */
static size_t act(struct service *s, size_t i)
{
	struct mod_ctx *m = s->m;
	if (mod_is(m, "state", "before") || mod_is(m, "state", "after"))
		return insert(s, i, mod_is(m, "state", "after"));
	if (mod_is(m, "state", "absent")) {
		drop(s, i);
		return 0;
	}
	if (mod_is(m, "state", "args_present"))
		add_args(s, i);
	else if (mod_is(m, "state", "args_absent"))
		remove_args(s, i);
	else
		update(s, i);
	return 1;
}

/* The file's text, with a mark of when on its second line. */
static struct str joined(struct service *s)
{
	struct buf b = {0};
	char when[32];
	time_t now = time(NULL);
	struct tm tm;
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", localtime_r(&now, &tm));
	struct rule mark = {.text = str_c(arena_printf(s->m->a, "# Updated by Ansible - %s.000000", when))};
	if (s->n > 1 && str_starts(s->lines[1].text, "# Updated by Ansible"))
		s->lines[1] = mark;
	else if (s->n > 1)
		put(s, 1, mark);
	else {
		put(s, 0, (struct rule){0});
		put(s, 1, mark);
	}
	for (size_t i = 0; i < s->n; i++)
		buf_printf(&b, "%s\n", rule_text(s->m->a, &s->lines[i]));
	struct str ret = buf_take(&b, s->m->a);
	buf_free(&b);
	return ret;
}

static bool save(struct service *s, const char *path)
{
	struct mod_ctx *m = s->m;
	if (s->changes && !m->check && !mod_write(m, path, joined(s)))
		return false;
	if (s->changes)
		mod_changed(m);
	mod_seti(m, "change_count", s->changes);
	mod_sets(m, "backupdest", val_map_strz(m->result, "backup_file", ""));
	val_del(m->result, STR("backup_file"));
	return true;
}

static bool run(struct mod_ctx *m)
{
	struct service s = {.m = m};
	const char *path = fs_join(m->a, mod_arg(m, "path"), mod_arg(m, "name"));
	struct str text;
	if (!mod_read_maybe(m, path, &text))
		return false;
	if (!text.p)
		return mod_fail(m,
		                "Unable to open/read PAM module file %s with error [Errno 2] No such file or "
		                "directory: '%s'.",
		                path, path);
	while (text.n)
		put(&s, s.n, parse(m->a, str_split(&text, '\n')));
	if (mod_is(m, "state", "args_present")) {
		const struct val *list = arguments(m->a, val_get(m->args, "module_arguments"));
		VAL_EACH (i, list)
			if (str_starts(val_get_str(val_at(list, i)), "["))
				return mod_fail(m, "Unable to process bracketed '[' complex arguments with "
				                   "'args_present'. Please "
				                   "use 'updated'.");
	}
	for (size_t i = 0; i < s.n;)
		i += matches_task(&s, &s.lines[i]) ? act(&s, i) : 1;
	return validate(&s) && save(&s, path);
}

#define TYPES "account|-account|auth|-auth|password|-password|session|-session"

static const struct mod_arg args[] = {
        {"name", MT_STR, MA_REQUIRED, .doc = "The service."},
        {"type", MT_STR, MA_REQUIRED, .choices = TYPES, .doc = "The type of the rules meant."},
        {"control", MT_STR, MA_REQUIRED, .doc = "Their control."},
        {"module_path", MT_STR, MA_REQUIRED, .doc = "Their module."},
        {"state", MT_STR, .dflt = "updated",
         .choices = "absent|after|args_absent|args_present|before|updated", .doc = "What becomes of them."},
        {"new_type", MT_STR, .choices = TYPES, .doc = "The new rule's type."},
        {"new_control", MT_STR, .doc = "Its control."},
        {"new_module_path", MT_STR, .doc = "Its module."},
        {"module_arguments", MT_LIST, .elem = MT_STR, .doc = "Arguments of the module."},
        {"path", MT_PATH, .dflt = "/etc/pam.d", .doc = "The directory of the services."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {NULL},
};

const struct module module_row_pamd = {
        .name = "pamd",
        .from = "community.general",
        .doc = "Changes rules of a service of PAM.",
        .args = args,
        .flags = MOD_CHECK,
        .required_if = "state=args_present:module_arguments;state=args_absent:module_arguments;"
                       "state=before:new_control|new_type|new_module_path;"
                       "state=after:new_control|new_type|new_module_path",
        .run = run,
};
