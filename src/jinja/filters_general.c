/* filters_general - community.general's filters: spans of time, lists by a key, versions, CSV, addresses. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/random.h"
#include "jinja/run.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool call(struct jinja_call *c, char table, const char *name, struct val *x, struct val *y,
                 struct val *kwargs, struct val **ret, struct err *err)
{
	struct val *args = val_list(c->a);

	val_push(args, x);
	val_push(args, y);
	return ctx_call_named(c->ctx, c->a, table, str_c(name), args, kwargs ? kwargs : val_map(c->a), ret,
	                      err);
}

/* ---- spans of time */

static const struct unit {
	const char *name, *other, *third; /* in the singular, the short one first */
	double ms;
} units[] = {
        {"ms", "millisecond", "msecond", 1},
        {"s", "second", "sec", 1000},
        {"m", "minute", "min", 60000},
        {"h", "hour", "", 3600000},
        {"d", "day", "", 86400000},
        {"w", "week", "", 604800000},
        {"mo", "month", "", 30 * 86400000.0},
        {"y", "year", "", 365 * 86400000.0},
        {"ms", "msec", "", 1},
};

/* The milliseconds of a unit; YEAR and MONTH say how many days those have. 0: there is no such unit. */
static double unit_ms(struct str s, double year, double month)
{
	for (int plain = 0; plain < 2; plain++) {
		for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
			const struct unit *u = &units[i];

			if (!(plain ? str_eqc(s, u->name)
			            : str_eqc(s, u->other) || (u->third[0] && str_eqc(s, u->third))))
				continue;
			return !strcmp(u->name, "y")    ? year * 86400000
			       : !strcmp(u->name, "mo") ? month * 86400000
			                                : u->ms;
		}
		/* A plural is as good; the short ones have none. */
		if (!plain && s.n > 1 && s.p[s.n - 1] == 's') {
			double ms = unit_ms(str_n(s.p, s.n - 1), year, month);

			if (ms != 0 && !str_eqc(s, "ms"))
				return ms;
		}
	}
	return 0;
}

static bool f_time_unit(struct jinja_call *c, struct val **ret, struct err *err)
{
	const char *fixed = c->user;
	struct val *v[4] = {NULL};
	struct str s, unit, word;
	int64_t year, month;
	double sum = 0, of;

	if (!jinja_args(c, "to_time_unit",
	                fixed ? "human_time year= month=" : "human_time unit= year= month=", v, err))
		return false;
	if (fixed) {
		v[3] = v[2];
		v[2] = v[1];
		v[1] = val_strz(c->a, fixed);
	}
	if (!arg_text(c, v[0], &s, err) || !arg_str(c, v[1], STR("ms"), &unit, err) ||
	    !arg_int(v[2], 365, &year, err) || !arg_int(v[3], 30, &month, err))
		return false;
	*ret = val_int(c->a, 0);
	if (str_eqc(s, "0"))
		return true;
	of = unit_ms(unit, (double)year, (double)month);
	if (of == 0)
		return jinja_fail(err, "to_time_unit() can not convert to the following unit: %.*s",
		                  STR_FMT(unit));
	for (struct str rest = str_trim(s); rest.n; rest = str_trim(rest)) {
		char *end;
		double n, ms;

		word = str_n(rest.p, strcspn(arena_strndup(c->a, rest.p, rest.n), " \t\r\n"));
		n = (double)strtoll(arena_strndup(c->a, word.p, word.n), &end, 10);
		ms = unit_ms(str_c(end), (double)year, (double)month);
		if (ms == 0 || !((word.p[0] >= '0' && word.p[0] <= '9') || word.p[0] == '-'))
			return jinja_fail(err, "to_time_unit() can not interpret following string: %.*s",
			                  STR_FMT(s));
		sum += n * ms;
		rest = str_n(rest.p + word.n, rest.n - word.n);
	}
	*ret = val_float(c->a, nearbyint(sum / of * 1e12) / 1e12);
	return true;
}

/* ---- lists */

static bool f_groupby_as_dict(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];

	if (!jinja_args(c, "groupby_as_dict", "sequence attribute", v, err))
		return false;
	if (!val_is_list(v[0]))
		return jinja_fail(err, "Input is not a sequence");
	*ret = val_map(c->a);
	VAL_EACH (i, v[0]) {
		struct val *m = val_at(v[0], i), *k = val_is_map(m) ? val_getk(m, v[1]) : NULL;

		if (!val_is_map(m))
			return jinja_fail(err, "Sequence element #%zu is not a mapping", i);
		if (!k)
			return jinja_fail(err, "Attribute not contained in element #%zu of sequence", i);
		if (!val_hashable(k))
			return jinja_fail(err, "unhashable type: '%s'", val_type_name(k));
		if (val_getk(*ret, k))
			return jinja_fail(err, "Multiple sequence entries have attribute value '%s'",
			                  val_text(k, c->a).p);
		val_setk(*ret, k, m);
	}
	return true;
}

/* Members of X, then of Y, by the value of INDEX; those of one value as combine merges them. */
static bool merge_two(struct jinja_call *c, struct val *x, struct val *y, struct val *index, struct val **ret,
                      struct err *err)
{
	struct val *by = val_map(c->a), *keys = val_list(c->a), *list = val_list(c->a);

	for (int part = 0; part < 2; part++) {
		struct val *from = part ? y : x;

		VAL_EACH (i, from) {
			struct val *m = val_at(from, i), *k = val_is_map(m) ? val_getk(m, index) : NULL, *had;

			if (!val_is_map(m))
				return jinja_fail(err,
				                  "Elements of list arguments for lists_mergeby must be "
				                  "dictionaries. %s is <class '%s'>",
				                  val_text(m, c->a).p, val_type_name(m));
			if (!k || !val_hashable(k))
				continue;
			had = val_getk(by, k);
			if (had && !call(c, 'f', "combine", had, m, c->kwargs, &m, err))
				return false;
			val_setk(by, k, m);
		}
	}
	MAP_EACH (i, by) {
		val_push(keys, val_key_at(by, i));
		val_push(list, val_value_at(by, i));
	}
	*ret = list;
	return val_sort(c->a, list, keys, false, err);
}

static bool f_lists_mergeby(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *lists = val_list(c->a);
	size_t n = val_len(c->args);

	if (n < 2)
		return jinja_fail(err, "At least one list and index are needed.");
	for (size_t i = 0; i + 1 < n; i++) {
		struct val *l = val_at(c->args, i);
		bool nested = val_is_list(l) && val_len(l) > 0;

		if (!val_is_list(l))
			return jinja_fail(err,
			                  "All arguments before the argument index for "
			                  "community.general.lists_mergeby must be lists. %s is <class '%s'>",
			                  val_text(l, c->a).p, val_type_name(l));
		VAL_EACH (j, l)
			nested = nested && val_is_list(val_at(l, j));
		if (!nested && val_len(l))
			val_push(lists, l);
		for (size_t j = 0; nested && j < val_len(l); j++)
			val_push(lists, val_at(l, j));
	}
	if (val_len(lists) > 1 && !val_is_str(val_at(c->args, n - 1)))
		return jinja_fail(
		        err,
		        "First argument after the lists for community.general.lists_mergeby must be "
		        "string. %s is <class '%s'>",
		        val_text(val_at(c->args, n - 1), c->a).p, val_type_name(val_at(c->args, n - 1)));
	*ret = NULL;
	for (size_t i = val_len(lists); i-- > 0;) {
		struct val *l = val_at(lists, i);

		if (!*ret)
			*ret = l;
		else if (!merge_two(c, l, *ret, val_at(c->args, n - 1), ret, err))
			return false;
	}
	*ret = *ret ? *ret : lists;
	return true;
}

/* user: the filter for two lists */
static bool f_lists(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *flat = val_get(c->kwargs, "flatten"), *lists = c->args;

	if (flat && val_truthy(flat) && val_len(lists) == 1 && val_is_list(val_at(lists, 0)))
		lists = val_at(lists, 0);
	*ret = val_list(c->a);
	VAL_EACH (i, lists) {
		struct val *l = val_at(lists, i);

		if (!val_is_list(l))
			return jinja_fail(err, "All arguments must be lists. %s is <class '%s'>",
			                  val_text(l, c->a).p, val_type_name(l));
		/* The first one with itself: it loses its repetitions. */
		if (!call(c, 'f', i ? c->user : "union", i ? *ret : l, l, NULL, ret, err))
			return false;
	}
	return true;
}

static bool f_version_sort(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2], *list, *less;
	bool down;

	if (!jinja_args(c, "version_sort", "value reverse=", v, err))
		return false;
	list = arg_iter(c, v[0], err);
	if (!list)
		return false;
	down = arg_bool(v[1], false);
	*ret = val_list(c->a);
	VAL_EACH (i, list) {
		size_t at = i;

		for (; at > 0; at--) {
			struct val *args = val_list(c->a);

			val_push(args, val_at(list, i));
			val_push(args, val_at(*ret, at - 1));
			val_push(args, val_strz(c->a, down ? ">" : "<"));
			if (!ctx_call_named(c->ctx, c->a, 't', STR("version"), args, val_map(c->a), &less,
			                    err))
				return false;
			if (!val_truthy(less))
				break;
		}
		val_insert(*ret, at, val_at(list, i));
	}
	return true;
}

/* ---- text */

static bool f_crc32(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str s;
	uint32_t crc = ~0u;

	if (!jinja_args(c, "crc32", "value", v, err) || !arg_str(c, v[0], STR(""), &s, err))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		crc ^= (unsigned char)s.p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	*ret = val_strf(c->a, "%x", ~crc);
	return true;
}

static bool f_random_mac(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s, part;
	struct buf b = {0};
	size_t items = 0;
	uint64_t n;
	char hex[24];

	if (!jinja_args(c, "random_mac", "value seed=", v, err))
		return false;
	if (!val_is_str(v[0]))
		return jinja_fail(err, "Invalid value type (%s) for random_mac", val_type_name(v[0]));
	text_case(val_get_str(v[0]), CASE_LOWER, &b);
	s = buf_take(&b, c->a);
	buf_free(&b);
	for (struct str rest = s; rest.p; items++) {
		part = str_split(&rest, ':');
		if (part.n < 2 || strspn(part.p, "0123456789abcdef") < 2)
			return jinja_fail(err, "Invalid value (%.*s) for random_mac: %.*s%s", STR_FMT(s),
			                  STR_FMT(part), part.n ? " not hexa byte" : "empty item");
	}
	if (items > 5)
		return jinja_fail(err, "Invalid value (%.*s) for random_mac: 5 colon(:) separated items max",
		                  STR_FMT(s));
	if (!random_below(c->a, v[1], 1099511627776 - 68719476736, &n, err))
		return false;
	snprintf(hex, sizeof(hex), "%" PRIx64, n + 68719476736);
	buf_addstr(&b, s);
	for (size_t i = 0; i < 2 * (6 - items); i += 2)
		buf_printf(&b, ":%.2s", hex + i);
	*ret = buf_val(&b, c->a);
	return true;
}

struct val *csv_row(struct arena *a, struct str *text, char delim, bool skip_blank)
{
	struct val *row = val_list(a);
	struct buf b = {0};
	bool quoted = false, fresh = true, end = false;
	size_t i = 0;

	for (; !end; i++) {
		char ch = i < text->n ? text->p[i] : 0;

		if (quoted && i < text->n) {
			if (ch == '"' && i + 1 < text->n && text->p[i + 1] == '"')
				buf_addc(&b, text->p[i++]);
			else if (ch == '"')
				quoted = false;
			else
				buf_addc(&b, ch);
			continue;
		}
		end = i >= text->n || ch == '\n';
		if (end || ch == delim) {
			val_push(row, val_str(a, buf_str(&b)));
			buf_clear(&b);
			fresh = true;
		} else if (ch == '"' && fresh) {
			quoted = true;
			fresh = false;
		} else if (ch != '\r' && !(fresh && ch == ' ' && skip_blank)) {
			buf_addc(&b, ch);
			fresh = false;
		}
	}
	buf_free(&b);
	*text = i >= text->n ? (struct str){0} : str_n(text->p + i, text->n - i);
	return row;
}

static bool f_from_csv(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[6], *names;
	struct str s, dialect, delim;

	if (!jinja_args(c, "from_csv", "data dialect= fieldnames= delimiter= skipinitialspace= strict=", v,
	                err) ||
	    !arg_text(c, v[0], &s, err) || !arg_str(c, v[1], STR("excel"), &dialect, err) ||
	    !arg_str(c, v[3] && val_is_null(v[3]) ? NULL : v[3],
	             str_eqc(dialect, "excel-tab") ? STR("\t") : STR(","), &delim, err))
		return false;
	if (!str_eqc(dialect, "excel") && !str_eqc(dialect, "excel-tab") && !str_eqc(dialect, "unix"))
		return jinja_fail(err, "Dialect '%.*s' is not supported by your version of python.",
		                  STR_FMT(dialect));
	if (delim.n != 1)
		return jinja_fail(err, "\"delimiter\" must be a 1-character string");
	names = v[2] && val_is_list(v[2]) ? v[2] : NULL;
	*ret = val_list(c->a);
	while (s.n) {
		struct val *row = csv_row(c->a, &s, delim.p[0], arg_bool(v[4], false)), *m = val_map(c->a);

		if (val_len(row) == 1 && !val_len(val_at(row, 0)))
			continue;
		if (!names) {
			names = row;
			continue;
		}
		VAL_EACH (i, names)
			val_setk(m, val_at(names, i), i < val_len(row) ? val_at(row, i) : val_null());
		val_push(*ret, m);
	}
	return true;
}

const struct jinja_func jinja_filters_general[] = {
        {"crc32", f_crc32, "The CRC-32 of the text.", 0, NULL},
        {"from_csv", f_from_csv, "The rows of CSV text as maps.", 0, NULL},
        {"groupby_as_dict", f_groupby_as_dict, "Maps by the value of one of their members.", 0, NULL},
        {"lists_difference", f_lists, "Items of the first list that are in none of the others.", 0,
         "difference"},
        {"lists_intersect", f_lists, "Items that are in all lists.", 0, "intersect"},
        {"lists_mergeby", f_lists_mergeby, "Lists of maps merged by the value of a member.", 0, NULL},
        {"lists_symmetric_difference", f_lists, "Items that are in one of two lists only.", 0,
         "symmetric_difference"},
        {"lists_union", f_lists, "Items that are in any of the lists.", 0, "union"},
        {"random_mac", f_random_mac, "A hardware address that begins with the text; seed.", JINJA_IMPURE,
         NULL},
        {"to_days", f_time_unit, "1h 30min and its like in days.", 0, "d"},
        {"to_hours", f_time_unit, "1h 30min and its like in hours.", 0, "h"},
        {"to_milliseconds", f_time_unit, "1h 30min and its like in milliseconds.", 0, "ms"},
        {"to_minutes", f_time_unit, "1h 30min and its like in minutes.", 0, "m"},
        {"to_months", f_time_unit, "1h 30min and its like in months.", 0, "mo"},
        {"to_seconds", f_time_unit, "1h 30min and its like in seconds.", 0, "s"},
        {"to_time_unit", f_time_unit, "1h 30min and its like in a unit.", 0, NULL},
        {"to_weeks", f_time_unit, "1h 30min and its like in weeks.", 0, "w"},
        {"to_years", f_time_unit, "1h 30min and its like in years.", 0, "y"},
        {"version_sort", f_version_sort, "The items in the order of versions; reverse.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
