/* time - strftime, to_datetime, now: instants and the spans between them. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"
#include "jinja/time.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A moment without a zone, as Python's naive datetime: seconds since 1970 as if it were UTC. */
struct moment {
	int64_t s;
	int us;
	struct val *self;
};

struct span {
	int64_t us;
	struct val *self;
};

static const struct val_class moment_class, span_class;

static struct val *moment_val(struct arena *a, int64_t s, int us)
{
	struct moment *m = ARENA_NEW(a, struct moment);

	*m = (struct moment){.s = s, .us = us};
	m->self = val_obj(a, &moment_class, m);
	return m->self;
}

static struct val *span_val(struct arena *a, int64_t us)
{
	struct span *d = ARENA_NEW(a, struct span);

	d->us = us;
	d->self = val_obj(a, &span_class, d);
	return d->self;
}

static struct tm moment_tm(const struct moment *m)
{
	struct tm tm = {0};
	time_t t = (time_t)m->s;

	gmtime_r(&t, &tm);
	return tm;
}

/* A datetime's %f (US >= 0), and the C library's own for the rest. */
static struct val *format_time(struct arena *a, struct str fmt, const struct tm *tm, int us)
{
	struct buf b = {0}, f = {0};
	char *out;
	size_t cap = 256, n;

	for (size_t i = 0; i < fmt.n; i++) {
		if (us >= 0 && fmt.p[i] == '%' && i + 1 < fmt.n && fmt.p[i + 1] == 'f') {
			buf_printf(&f, "%06d", us);
			i++;
		} else {
			buf_addc(&f, fmt.p[i]);
			if (fmt.p[i] == '%' && i + 1 < fmt.n)
				buf_addc(&f, fmt.p[++i]);
		}
	}
	/* A leading mark tells an empty result from too little room. */
	buf_addc(&f, '.');
	for (;; cap *= 2) {
		out = buf_room(&b, cap);
		if (!out)
			break;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		n = strftime(out, cap, f.p, tm);
#pragma GCC diagnostic pop
		if (n) {
			b.n += n - 1;
			break;
		}
	}
	buf_free(&f);
	struct val *v = val_str(a, str_n(b.p, b.n));

	buf_free(&b);
	return v;
}

static void moment_text(const struct moment *m, char sep, struct buf *out)
{
	struct tm tm = moment_tm(m);

	buf_printf(out, "%04d-%02d-%02d%c%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, sep,
	           tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (m->us)
		buf_printf(out, ".%06d", m->us);
}

static void moment_repr(void *self, struct buf *out)
{
	moment_text(self, ' ', out);
}

/* ---- methods of a moment: args[0] is the moment */

static struct moment *self_moment(struct jinja_call *c)
{
	return val_obj_self(val_at(c->args, 0));
}

static bool m_strftime(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct moment *m = self_moment(c);
	struct tm tm = moment_tm(m);
	struct val *v[2];
	struct str fmt;

	if (!jinja_args(c, "strftime", "self format", v, err) || !arg_str(c, v[1], STR(""), &fmt, err))
		return false;
	*ret = format_time(c->a, fmt, &tm, m->us);
	return true;
}

static bool m_isoformat(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct buf b = {0};

	(void)err;
	moment_text(self_moment(c), 'T', &b);
	*ret = buf_val(&b, c->a);
	return true;
}

static bool m_timestamp(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct moment *m = self_moment(c);
	struct tm tm = moment_tm(m);

	(void)err;
	tm.tm_isdst = -1;
	*ret = val_float(c->a, (double)mktime(&tm) + m->us / 1e6);
	return true;
}

static bool m_weekday(struct jinja_call *c, struct val **ret, struct err *err)
{
	bool iso = c->user != NULL;
	struct tm tm = moment_tm(self_moment(c));

	(void)err;
	*ret = val_int(c->a, (tm.tm_wday + 6) % 7 + iso);
	return true;
}

static bool m_date(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct tm tm = moment_tm(self_moment(c));

	(void)err;
	*ret = val_strf(c->a, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	return true;
}

static const struct jinja_func moment_methods[] = {
        {"strftime", m_strftime, "", 0, NULL},   {"isoformat", m_isoformat, "", 0, NULL},
        {"timestamp", m_timestamp, "", 0, NULL}, {"weekday", m_weekday, "", 0, NULL},
        {"isoweekday", m_weekday, "", 0, "iso"}, {"date", m_date, "", 0, NULL},
};

static bool moment_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                       struct err *err)
{
	struct moment *m = self;
	struct tm tm = moment_tm(m);
	const struct {
		const char *name;
		int v;
	} parts[] = {{"year", tm.tm_year + 1900}, {"month", tm.tm_mon + 1}, {"day", tm.tm_mday},
	             {"hour", tm.tm_hour},        {"minute", tm.tm_min},    {"second", tm.tm_sec},
	             {"microsecond", m->us}};

	(void)ctx;
	(void)err;
	if (!val_is_str(key))
		return true;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (str_eqc(val_get_str(key), parts[i].name))
			*ret = val_int(a, parts[i].v);
	for (size_t i = 0; i < sizeof(moment_methods) / sizeof(*moment_methods); i++)
		if (str_eqc(val_get_str(key), moment_methods[i].name))
			*ret = jinja_function(a, &moment_methods[i], m->self);
	return true;
}

static const struct val_class moment_class = {.name = "datetime", .get = moment_get, .repr = moment_repr};

/* ---- spans */

#define DAY_US (86400LL * 1000000)

/* Whole days, rounded down, as Python keeps them. */
static int64_t span_days(const struct span *d)
{
	int64_t days = d->us / DAY_US;

	return d->us % DAY_US < 0 ? days - 1 : days;
}

static void span_repr(void *self, struct buf *out)
{
	struct span *d = self;
	int64_t days = span_days(d), us = d->us - days * DAY_US, s = us / 1000000;

	if (days)
		buf_printf(out, "%lld day%s, ", (long long)days, days == 1 || days == -1 ? "" : "s");
	buf_printf(out, "%lld:%02lld:%02lld", (long long)(s / 3600), (long long)(s / 60 % 60),
	           (long long)(s % 60));
	if (us % 1000000)
		buf_printf(out, ".%06lld", (long long)(us % 1000000));
}

static bool span_total(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct span *d = val_obj_self(val_at(c->args, 0));

	(void)err;
	*ret = val_float(c->a, (double)d->us / 1e6);
	return true;
}

static const struct jinja_func span_total_row = {"total_seconds", span_total, "", 0, NULL};

static bool span_get(void *self, void *ctx, const struct val *key, struct arena *a, struct val **ret,
                     struct err *err)
{
	struct span *d = self;
	int64_t rest = d->us - span_days(d) * DAY_US;
	struct str k;

	(void)ctx;
	(void)err;
	if (!val_is_str(key))
		return true;
	k = val_get_str(key);
	if (str_eqc(k, "days"))
		*ret = val_int(a, span_days(d));
	else if (str_eqc(k, "seconds"))
		*ret = val_int(a, rest / 1000000);
	else if (str_eqc(k, "microseconds"))
		*ret = val_int(a, rest % 1000000);
	else if (str_eqc(k, "total_seconds"))
		*ret = jinja_function(a, &span_total_row, d->self);
	return true;
}

static const struct val_class span_class = {.name = "timedelta", .get = span_get, .repr = span_repr};

static bool is_class(const struct val *v, const struct val_class *cls)
{
	return val_kind(v) == VAL_OBJ && val_obj_class(v) == cls;
}

bool py_time_binary(struct arena *a, bool minus, const struct val *x, const struct val *y, struct val **ret)
{
	if (is_class(x, &moment_class) && is_class(y, &moment_class) && minus) {
		struct moment *p = val_obj_self(x), *q = val_obj_self(y);

		*ret = span_val(a, (p->s - q->s) * 1000000 + p->us - q->us);
		return true;
	}
	if (is_class(x, &moment_class) && is_class(y, &span_class)) {
		struct moment *p = val_obj_self(x);
		struct span *d = val_obj_self(y);
		int64_t us = p->s * 1000000 + p->us + (minus ? -d->us : d->us);
		int64_t rest = (us % 1000000 + 1000000) % 1000000;

		*ret = moment_val(a, (us - rest) / 1000000, (int)rest);
		return true;
	}
	return false;
}

bool py_time_compare(const struct val *x, const struct val *y, int *ret)
{
	int64_t p, q;

	if (is_class(x, &moment_class) && is_class(y, &moment_class)) {
		struct moment *m = val_obj_self(x), *n = val_obj_self(y);

		p = m->s * 1000000 + m->us;
		q = n->s * 1000000 + n->us;
	} else if (is_class(x, &span_class) && is_class(y, &span_class)) {
		p = ((struct span *)val_obj_self(x))->us;
		q = ((struct span *)val_obj_self(y))->us;
	} else {
		return false;
	}
	*ret = (p > q) - (p < q);
	return true;
}

/* ---- reading */

/* At most MAX digits of S at *I, at least one. */
static bool digits(struct str s, size_t *i, size_t max, int *ret)
{
	size_t from = *i;

	*ret = 0;
	while (*i < s.n && *i - from < max && s.p[*i] >= '0' && s.p[*i] <= '9')
		*ret = *ret * 10 + (s.p[(*i)++] - '0');
	return *i > from;
}

static bool named(struct str s, size_t *i, const char *const *names, size_t n, size_t len, int *ret)
{
	for (size_t k = 0; k < n; k++) {
		size_t l = len ? len : strlen(names[k]);

		if (*i + l <= s.n && !strncasecmp(s.p + *i, names[k], l)) {
			*i += l;
			*ret = (int)k;
			return true;
		}
	}
	return false;
}

struct reading {
	struct tm tm;
	int us, hour12, pm, zone;
};

/* "+0200", "-05:30", "Z" as seconds east. */
static bool read_zone(struct str s, size_t *i, int *ret)
{
	int sign, h, m;

	if (*i < s.n && s.p[*i] == 'Z') {
		(*i)++;
		*ret = 0;
		return true;
	}
	if (*i >= s.n || (s.p[*i] != '+' && s.p[*i] != '-'))
		return false;
	sign = s.p[(*i)++] == '-' ? -1 : 1;
	if (!digits(s, i, 2, &h))
		return false;
	if (*i < s.n && s.p[*i] == ':')
		(*i)++;
	if (!digits(s, i, 2, &m))
		return false;
	*ret = sign * (h * 3600 + m * 60);
	return true;
}

static bool read_one(char conv, struct str s, size_t *i, struct reading *r)
{
	static const char *const months[] = {"January",   "February", "March",    "April",
	                                     "May",       "June",     "July",     "August",
	                                     "September", "October",  "November", "December"};
	static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
	                                   "Thursday", "Friday", "Saturday"};
	static const char *const ampm[] = {"AM", "PM"};
	int x = 0;
	size_t from;
	bool ok = true;

	switch (conv) {
	case 'Y':
		from = *i;
		ok = digits(s, i, 4, &x) && *i - from == 4;
		r->tm.tm_year = x - 1900;
		break;
	case 'y':
		ok = digits(s, i, 2, &x);
		r->tm.tm_year = x < 69 ? x + 100 : x;
		break;
	case 'm':
		ok = digits(s, i, 2, &x) && x >= 1 && x <= 12;
		r->tm.tm_mon = x - 1;
		break;
	case 'd': ok = digits(s, i, 2, &r->tm.tm_mday) && r->tm.tm_mday >= 1 && r->tm.tm_mday <= 31; break;
	case 'H': ok = digits(s, i, 2, &r->tm.tm_hour) && r->tm.tm_hour < 24; break;
	case 'I': ok = digits(s, i, 2, &r->hour12) && r->hour12 >= 1 && r->hour12 <= 12; break;
	case 'M': ok = digits(s, i, 2, &r->tm.tm_min) && r->tm.tm_min < 60; break;
	case 'S': ok = digits(s, i, 2, &r->tm.tm_sec) && r->tm.tm_sec < 62; break;
	case 'j':
		ok = digits(s, i, 3, &x) && x >= 1 && x <= 366;
		r->tm.tm_mon = 0;
		r->tm.tm_mday = x;
		break;
	case 'f':
		from = *i;
		ok = digits(s, i, 6, &r->us);
		for (size_t n = *i - from; n < 6; n++)
			r->us *= 10;
		break;
	case 'p': ok = named(s, i, ampm, 2, 0, &r->pm); break;
	case 'b': ok = named(s, i, months, 12, 3, &r->tm.tm_mon); break;
	case 'B': ok = named(s, i, months, 12, 0, &r->tm.tm_mon); break;
	case 'a': ok = named(s, i, days, 7, 3, &x); break;
	case 'A': ok = named(s, i, days, 7, 0, &x); break;
	case 'z': ok = read_zone(s, i, &r->zone); break;
	case '%': ok = *i < s.n && s.p[(*i)++] == '%'; break;
	default: return false;
	}
	return ok;
}

/* *RET_REST is what FMT says nothing about. */
static bool read_time(struct str s, struct str fmt, struct reading *r, struct str *ret_rest)
{
	size_t i = 0;

	*r = (struct reading){.tm = {.tm_year = 0, .tm_mday = 1}, .pm = -1};
	for (size_t k = 0; k < fmt.n; k++) {
		if (fmt.p[k] == ' ') {
			if (i >= s.n || s.p[i] != ' ')
				return false;
			while (i < s.n && s.p[i] == ' ')
				i++;
		} else if (fmt.p[k] == '%' && k + 1 < fmt.n) {
			const char *whole = fmt.p[k + 1] == 'T'   ? "H:M:S"
			                    : fmt.p[k + 1] == 'F' ? "Y-m-d"
			                                          : NULL;

			k++;
			for (; whole && *whole; whole++) {
				bool ok = *whole == ':' || *whole == '-' ? i < s.n && s.p[i++] == *whole
				                                         : read_one(*whole, s, &i, r);

				if (!ok)
					return false;
			}
			if (!whole && !read_one(fmt.p[k], s, &i, r))
				return false;
		} else if (i >= s.n || s.p[i++] != fmt.p[k]) {
			return false;
		}
	}
	if (r->hour12)
		r->tm.tm_hour = r->hour12 % 12 + (r->pm == 1 ? 12 : 0);
	*ret_rest = str_n(s.p + i, s.n - i);
	return true;
}

/* ---- filters and globals */

static bool f_to_datetime(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str s, fmt, rest;
	struct reading r;
	struct tm given;
	int64_t at;

	if (!jinja_args(c, "to_datetime", "string format=", v, err) || !arg_text(c, v[0], &s, err) ||
	    !arg_str(c, v[1], STR("%Y-%m-%d %H:%M:%S"), &fmt, err))
		return false;
	if (!read_time(s, fmt, &r, &rest))
		return jinja_fail(err, "time data '%.*s' does not match format '%.*s'", STR_FMT(s),
		                  STR_FMT(fmt));
	if (rest.n)
		return jinja_fail(err, "unconverted data remains: %.*s", STR_FMT(rest));
	given = r.tm;
	at = (int64_t)timegm(&r.tm);
	if (r.tm.tm_mday != given.tm_mday && given.tm_mday <= 31) /* more are days of the year */
		return jinja_fail(err, "day is out of range for month");
	*ret = moment_val(c->a, at, r.us);
	return true;
}

static bool f_strftime(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[3];
	struct str fmt;
	struct tm tm = {0};
	time_t t = time(NULL);

	if (!jinja_args(c, "strftime", "string_format second= utc=", v, err) || !arg_text(c, v[0], &fmt, err))
		return false;
	if (v[1] && !val_is_null(v[1])) {
		char *end = NULL;
		double d = val_is_num(v[1])   ? val_get_float(v[1])
		           : val_is_str(v[1]) ? strtod(val_get_strz(v[1]), &end)
		                              : NAN;

		if (isnan(d) || fabs(d) > 1e15 || (end && (*end || end == val_get_strz(v[1]))))
			return jinja_fail(err, "Invalid value for epoch value (%s)", val_text(v[1], c->a).p);
		t = (time_t)floor(d);
	}
	if (arg_bool(v[2], false))
		gmtime_r(&t, &tm);
	else
		localtime_r(&t, &tm);
	*ret = format_time(c->a, fmt, &tm, -1);
	return true;
}

static bool g_now(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[2];
	struct str fmt;
	struct timespec ts;
	struct tm tm = {0};
	struct val *m;

	if (!jinja_args(c, "now", "utc= fmt=", v, err) ||
	    !arg_str(c, v[1] && val_is_null(v[1]) ? NULL : v[1], STR(""), &fmt, err))
		return false;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (arg_bool(v[0], false))
		gmtime_r(&ts.tv_sec, &tm);
	else
		localtime_r(&ts.tv_sec, &tm);
	m = moment_val(c->a, (int64_t)timegm(&tm), (int)(ts.tv_nsec / 1000));
	*ret = fmt.n ? format_time(c->a, fmt, &tm, (int)(ts.tv_nsec / 1000)) : m;
	return true;
}

/* An undefined value on purpose: a default that a role's user must replace. */
static bool g_undef(struct jinja_call *c, struct val **ret, struct err *err)
{
	struct val *v[1];
	struct str hint;

	if (!jinja_args(c, "undef", "hint=", v, err) ||
	    !arg_str(c, v[0] && val_is_null(v[0]) ? NULL : v[0],
	             STR("Mandatory variable has not been overridden"), &hint, err))
		return false;
	*ret = val_undef(c->a, STR("undef()"), arena_strndup(c->a, hint.p, hint.n));
	return true;
}

const struct jinja_func jinja_filters_time[] = {
        {"strftime", f_strftime, "A time (now, or seconds since 1970) in a format.", JINJA_IMPURE, NULL},
        {"to_datetime", f_to_datetime, "Text as a point in time, to be compared and subtracted.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};

const struct jinja_func jinja_globals_time[] = {
        {"now", g_now, "The current time; utc, fmt.", JINJA_IMPURE, NULL},
        {"undef", g_undef, "An undefined value, with a hint.", 0, NULL},
        {NULL, NULL, NULL, 0, NULL},
};
