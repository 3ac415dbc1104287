/* The ini form of an inventory: [group], [group:vars], [group:children], host lines with ranges and
 * variables. */
#include "ansible/inventory.h"
#include "ansible/ptrs.h"
#include "base/source.h"
#include "jinja/jinja.h"
#include <ctype.h>

/* A group that was named before it was declared. */
struct pending {
	struct str name, at;
	bool vars;              /* by [NAME:vars] */
	struct group **parents; /* that want it for a child */
	size_t n_parents;
	struct pending *next;
};

struct ini {
	struct inventory *inv;
	struct arena *a;
	uint32_t src;
	struct group *group;
	char kind; /* h(osts) v(ars) c(hildren) */
	struct str text;
	struct pending *pending;
};

static struct origin at(const struct ini *in, struct str s)
{
	return (struct origin){in->src, (uint32_t)(s.p - in->text.p)};
}

/* A word with shell quoting, as shlex.split with comments. *RET_ANY: there was one before the end of the line
 * or a '#'. */
static bool next_word(struct ini *in, struct str *s, struct buf *out, bool *ret_any, struct err *err)
{
	size_t i = 0;
	while (i < s->n && isspace((unsigned char)s->p[i]))
		i++;
	*ret_any = i < s->n && s->p[i] != '#';
	char quote = 0;
	for (; i < s->n && *ret_any; i++) {
		char c = s->p[i];
		if (!quote && (isspace((unsigned char)c) || c == '#'))
			break;
		if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? 0 : c;
		else if (c == '\\' && quote != '\'' && i + 1 < s->n &&
		         (!quote || s->p[i + 1] == '"' || s->p[i + 1] == '\\'))
			buf_addc(out, s->p[++i]);
		else
			buf_addc(out, c);
	}
	if (quote)
		return err_set(err, ERR_USER, at(in, *s),
		               "Error parsing host definition: No closing quotation");
	*s = i < s->n && s->p[i] == '#' ? STR("") : str_n(s->p + i, s->n - i);
	return true;
}

/* Python's literals become values, everything else is text. */
static struct val *ini_value(struct ini *in, struct str s, struct origin o)
{
	struct val *v;
	if (jinja_python_literal(in->a, s, &v)) {
		struct val *list = val_kind(v) == VAL_TUPLE ? val_list(in->a) : NULL;
		for (size_t i = 0; list && i < val_len(v); i++)
			val_push(list, val_at(v, i));
		return list ? list : v;
	}
	return val_at_origin(in->a, val_str(in->a, s), o);
}

/* ---- groups -------------------------------------------------------------------------------------------- */

static struct pending **pending_find(struct ini *in, struct str name)
{
	struct pending **p = &in->pending;
	while (*p && !str_eq((*p)->name, name))
		p = &(*p)->next;
	return p;
}

static bool join(struct ini *in, struct group *g, struct group *child, struct str where, struct err *err)
{
	return group_add_child(in->inv, g, child) ||
	       err_set(err, ERR_USER, at(in, where), "group '%s' cannot be its own descendant", child->name);
}

/* The group is declared: it goes to those that asked for it. */
static bool declared(struct ini *in, struct group *g, struct err *err)
{
	struct pending **p = pending_find(in, str_c(g->name)), *one = *p;
	if (!one)
		return true;
	*p = one->next;
	for (size_t i = 0; i < one->n_parents; i++)
		if (!join(in, one->parents[i], g, one->at, err))
			return false;
	return true;
}

static struct pending *pend(struct ini *in, struct str name, struct str where)
{
	struct pending **p = pending_find(in, name);
	if (!*p) {
		*p = ARENA_NEW(in->a, struct pending);
		(*p)->name = str_dup(in->a, name);
		(*p)->at = where;
	}
	return *p;
}

/* "[name]" or "[name:kind]", a comment behind it perhaps. *RET_IS: it is one. */
static bool section(struct ini *in, struct str line, bool *ret_is, struct err *err)
{
	const char *end = line.p[0] == '[' ? memchr(line.p, ']', line.n) : NULL;
	struct str rest = end ? str_trim(str_n(end + 1, (size_t)(line.p + line.n - end - 1))) : STR("");
	struct str kind = end ? str_n(line.p + 1, (size_t)(end - line.p - 1)) : STR("");
	bool blank = false;
	for (size_t i = 0; i < kind.n; i++)
		blank = blank || isspace((unsigned char)kind.p[i]);
	struct str name = str_split(&kind, ':');
	*ret_is = end && name.n && !blank && (!rest.n || rest.p[0] == '#') &&
	          (!kind.p || (kind.n && !memchr(kind.p, ':', kind.n)));
	if (!*ret_is)
		return line.p[0] != '[' || line.p[line.n - 1] != ']' ||
		       err_set(err, ERR_USER, at(in, line),
		               "Invalid section entry: '%.*s'. Please make sure that there are no spaces in "
		               "the section entry, and that there are no other invalid characters",
		               STR_FMT(line));
	if (kind.p && !str_eqc(kind, "vars") && !str_eqc(kind, "children") && !str_eqc(kind, "hosts"))
		return err_set(err, ERR_USER, at(in, line), "Section [%.*s:%.*s] has unknown type: %.*s",
		               STR_FMT(name), STR_FMT(kind), STR_FMT(kind));
	in->kind = kind.p ? kind.p[0] : 'h';
	if (in->kind == 'v' && !inventory_group(in->inv, name) && !*pending_find(in, name))
		pend(in, name, line)->vars = true;
	in->group = inventory_add_group(in->inv, name);
	return in->kind == 'v' || declared(in, in->group, err);
}

static bool child_line(struct ini *in, struct str line, struct err *err)
{
	size_t n = 0;
	while (n < line.n && !isspace((unsigned char)line.p[n]) && line.p[n] != ':' && line.p[n] != ']')
		n++;
	struct str name = str_n(line.p, n), rest = str_trim(str_n(line.p + n, line.n - n));
	if (!n || (rest.n && rest.p[0] != '#'))
		return err_set(err, ERR_USER, at(in, line), "Expected group name, got: %.*s", STR_FMT(line));
	struct group *child = inventory_group(in->inv, name);
	if (child)
		return join(in, in->group, child, line, err);
	struct pending *p = pend(in, name, line);
	PTRS_PUSH(in->a, p->parents, p->n_parents, in->group);
	return true;
}

static bool vars_line(struct ini *in, struct str line, struct err *err)
{
	const char *eq = memchr(line.p, '=', line.n);
	if (!eq)
		return err_set(err, ERR_USER, at(in, line), "Expected key=value, got: %.*s", STR_FMT(line));
	struct str key = str_trim(str_n(line.p, (size_t)(eq - line.p)));
	struct str value = str_trim(str_n(eq + 1, (size_t)(line.p + line.n - eq - 1)));
	group_set_var(in->group, val_str(in->a, key), ini_value(in, value, at(in, value)));
	return true;
}

static bool host_line(struct ini *in, struct str line, struct err *err)
{
	struct buf w = {0};
	struct str rest = line;
	struct val *vars = val_map(in->a);
	bool any, ok = next_word(in, &rest, &w, &any, err);
	struct str host = str_dup(in->a, buf_str(&w));
	while (ok) {
		struct origin o = at(in, rest);
		buf_clear(&w);
		if (!rest.n || !(ok = next_word(in, &rest, &w, &any, err)) || !any)
			break;
		char *eq = memchr(w.p, '=', w.n);
		if (!eq) {
			ok = err_set(err, ERR_USER, o, "Expected key=value host variable assignment, got: %s",
			             w.p);
			break;
		}
		struct str value = str_dup(in->a, str_n(eq + 1, (size_t)(w.p + w.n - eq - 1)));
		val_sets(vars, str_dup(in->a, str_n(w.p, (size_t)(eq - w.p))), ini_value(in, value, o));
	}
	buf_free(&w);
	return ok && inventory_add_hosts(in->inv, in->group, host, at(in, line), vars, err);
}

static bool ini_line(struct ini *in, struct str line, struct err *err)
{
	bool is_section;
	if (!line.n || line.p[0] == '#' || line.p[0] == ';')
		return true;
	if (!section(in, line, &is_section, err))
		return false;
	if (is_section)
		return true;
	return in->kind == 'c'   ? child_line(in, line, err)
	       : in->kind == 'v' ? vars_line(in, line, err)
	                         : host_line(in, line, err);
}

bool inventory_parse_ini(struct inventory *inv, struct str text, uint32_t src, struct err *err)
{
	struct ini in = {.inv = inv, .a = inv->a, .src = src, .kind = 'h', .text = text};
	in.group = inventory_add_group(inv, STR("ungrouped"));
	while (text.p)
		if (!ini_line(&in, str_trim(str_split(&text, '\n')), err))
			return false;
	const struct pending *p = in.pending;
	if (p && p->vars)
		return err_set(err, ERR_USER, at(&in, p->at),
		               "Section [%.*s:vars] not valid for undefined group: %.*s", STR_FMT(p->name),
		               STR_FMT(p->name));
	if (p)
		return err_set(err, ERR_USER, at(&in, p->at),
		               "Section [%s:children] includes undefined group: %.*s",
		               p->parents[p->n_parents - 1]->name, STR_FMT(p->name));
	return true;
}
