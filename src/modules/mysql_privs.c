#include <stdlib.h>
#include <strings.h>
#include "modules/mysql_privs.h"

bool privs_has(const struct val *list, const char *priv)
{
	VAL_EACH (i, list)
		if (strcasecmp(val_get_strz(val_at(list, i)), priv) == 0)
			return true;
	return false;
}

const char *privs_text(struct arena *a, const struct val *privs)
{
	struct buf b = {0};
	VAL_EACH (i, privs) {
		const char *z = val_get_strz(val_at(privs, i));
		if (strcmp(z, "GRANT") != 0)
			buf_printf(&b, "%s%s", b.n ? "," : "", z);
	}
	const char *ret = buf_take(&b, a).p;
	buf_free(&b);
	return ret ? ret : "";
}

const char *privs_grant(struct arena *a, const char *where, const struct val *privs, const char *account)
{
	return arena_printf(a, "GRANT %s ON %s TO %s%s", privs_text(a, privs), where, account,
	                    privs_has(privs, "GRANT") ? " WITH GRANT OPTION" : "");
}

static struct str stripped(struct str s, const char *chars)
{
	s = str_trim(s);
	while (s.n && strchr(chars, s.p[0]))
		s = str_from(s, 1);
	while (s.n && strchr(chars, s.p[s.n - 1]))
		s.n--;
	return s;
}

static int by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* "SELECT (`b`, a)" as "SELECT (a, b)": the server has an order of its own. */
static struct val *with_columns(struct arena *a, struct str priv, size_t open)
{
	enum { COLUMNS = 256 };
	struct str names[COLUMNS], rest = stripped(str_from(priv, open + 1), ")");
	size_t n = 0;
	struct buf b = {0};
	while (rest.p && n < COLUMNS)
		names[n++] = stripped(str_split(&rest, ','), "`");
	qsort(names, n, sizeof(*names), by_text);
	buf_printf(&b, "%.*s (", STR_FMT(str_trim(str_n(priv.p, open))));
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%.*s", i ? ", " : "", STR_FMT(names[i]));
	buf_addc(&b, ')');
	struct val *v = val_str(a, buf_str(&b));
	buf_free(&b);
	return v;
}

/* One privilege: in capitals but for its columns. */
static struct val *normal(struct arena *a, struct str priv)
{
	char *z = arena_strndup(a, priv.p, priv.n), *open = strchr(z, '(');
	for (char *p = z; *p && p != open; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
	if (open)
		return with_columns(a, str_c(z), (size_t)(open - z));
	return val_strz(a, strcmp(z, "ALL PRIVILEGES") == 0 ? "ALL" : z);
}

/* The privileges between commas that stand in no parentheses, added to LIST. */
static void add_list(struct arena *a, struct str s, struct val *list)
{
	size_t start = 0;
	int depth = 0;
	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && s.p[i] != ',') {
			depth += (s.p[i] == '(') - (s.p[i] == ')');
			continue;
		}
		if (i < s.n && depth)
			continue;
		struct str one = str_trim(str_n(s.p + start, i - start));
		if (one.n)
			val_push(list, normal(a, one));
		start = i + 1;
	}
}

static struct val *list_at(struct arena *a, struct val *map, struct str where)
{
	struct val *list = val_gets(map, where);
	if (!list)
		val_sets(map, where, list = val_list(a));
	return list;
}

bool privs_parse_grant(struct arena *a, const char *line, struct val *map)
{
	static const char head[] = "GRANT ", on[] = " ON ", to[] = " TO ", option[] = "WITH GRANT OPTION";
	struct str s = str_c(line);
	if (!str_starts(s, head))
		return false;
	ptrdiff_t at_on = str_find(s, str_c(on), 0);
	ptrdiff_t at_to = str_find(s, str_c(to), at_on < 0 ? 0 : (size_t)at_on);
	if (at_to < 0)
		return false;
	if (at_on < 0) /* a role, which other modules keep */
		return true;
	size_t from = (size_t)at_on + strlen(on);
	struct val *list = list_at(a, map, str_n(s.p + from, (size_t)at_to - from));
	add_list(a, str_n(s.p + strlen(head), (size_t)at_on - strlen(head)), list);
	if (str_find(s, str_c(option), (size_t)at_to) >= 0)
		val_push(list, val_strz(a, "GRANT"));
	return true;
}

static ptrdiff_t last_of(struct str s, char c)
{
	for (size_t i = s.n; i-- > 0;)
		if (s.p[i] == c)
			return (ptrdiff_t)i;
	return -1;
}

static void add_side(struct buf *b, struct str side, char quote)
{
	struct str bare = stripped(side, "`");
	if (str_eqc(bare, "*"))
		buf_addstr(b, side);
	else
		buf_printf(b, "%c%.*s%c", quote, STR_FMT(bare), quote);
}

/* "db.table" quoted, FUNCTION or PROCEDURE before it as they are. */
static struct str place(struct arena *a, struct str where, char quote)
{
	static const char *const kinds[] = {"FUNCTION ", "PROCEDURE "};
	struct buf b = {0};
	for (size_t i = 0; i < 2; i++)
		if (str_starts(where, kinds[i])) {
			buf_adds(&b, kinds[i]);
			where = str_from(where, strlen(kinds[i]));
		}
	ptrdiff_t dot = last_of(where, '.');
	add_side(&b, dot < 0 ? where : str_n(where.p, (size_t)dot), quote);
	if (dot >= 0) {
		buf_addc(&b, '.');
		add_side(&b, str_from(where, (size_t)dot + 1), quote);
	}
	struct str s = buf_take(&b, a);
	buf_free(&b);
	return s;
}

struct val *privs_unpack(struct mod_ctx *m, const struct val *priv, char quote, bool usage)
{
	struct val *map = val_map(m->a);
	struct str text;
	if (val_is_map(priv)) {
		struct buf b = {0};
		MAP_EACH (i, priv)
			buf_printf(&b, "%s%s:%.*s", i ? "/" : "", val_get_strz(val_key_at(priv, i)),
			           STR_FMT(val_text(val_value_at(priv, i), m->a)));
		text = buf_take(&b, m->a);
		buf_free(&b);
	} else {
		text = str_trim(val_get_str(priv));
	}
	while (text.p) {
		struct str item = str_trim(str_split(&text, '/'));
		ptrdiff_t colon = last_of(item, ':');
		if (colon < 0)
			return mod_fail(m, "invalid priv string: %.*s has no privileges behind a colon",
			                STR_FMT(item)),
			       NULL;
		struct val *list = val_list(m->a);
		add_list(m->a, str_from(item, (size_t)colon + 1), list);
		val_sets(map, place(m->a, str_n(item.p, (size_t)colon), quote), list);
	}
	if (usage && !val_get(map, "*.*")) {
		struct val *list = val_list(m->a);
		val_push(list, val_strz(m->a, "USAGE"));
		val_set(map, "*.*", list);
	}
	return map;
}
