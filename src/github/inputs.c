#include "github/inputs.h"
#include "base/suggest.h"
#include "base/val.h"
#include <stdlib.h>
#include <strings.h>

struct value {
	const char *text; /* trimmed; NULL when nobody gave one */
	struct origin at;
};

struct inputs {
	struct arena *a;
	struct sources *ss;
	struct value *v; /* one per row */
};

struct inputs *inputs_new(struct arena *a, struct sources *ss)
{
	size_t n;
	struct inputs *in = ARENA_NEW(a, struct inputs);

	(void)input_rows(&n);
	in->a = a;
	in->ss = ss;
	in->v = arena_array(a, n, sizeof(*in->v));
	return in;
}

/* ---- finding rows ---- */

/* A name as it is compared: GitHub upper-cases, people write hyphens. */
static char fold(char c)
{
	if (c == '-' || c == ' ')
		return '_';
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

const struct input *input_find(struct str name)
{
	size_t n;
	const struct input *row = input_rows(&n);

	for (; n; n--, row++) {
		size_t i = 0;

		while (i < name.n && row->name[i] && fold(name.p[i]) == row->name[i])
			i++;
		if (i == name.n && !row->name[i])
			return row;
	}
	return NULL;
}

/* NAME as the table would write it. */
static void fold_name(struct str name, struct buf *out)
{
	for (size_t i = 0; i < name.n; i++)
		buf_addc(out, fold(name.p[i]));
}

const struct input *input_nearest(struct str name)
{
	size_t n;
	const struct input *row = input_rows(&n);
	struct buf folded = {0};
	struct suggest near = {0};

	fold_name(name, &folded);
	near.name = buf_str(&folded);
	for (; n; n--, row++)
		suggest_offer(&near, row->name);
	buf_free(&folded);
	return near.best ? input_find(str_c(near.best)) : NULL;
}

/* Always false. */
static bool unknown(struct str name, struct err *err)
{
	const struct input *near = input_nearest(name);
	struct buf folded = {0};

	fold_name(name, &folded);
	err_set(err, ERR_USER, ORIGIN_NONE, "there is no input '%.*s'", STR_FMT(buf_str(&folded)));
	buf_free(&folded);
	return near ? err_hint(err, "did you mean '%s'?", near->name)
	            : err_hint(err, "'nante doc input' lists them all");
}

static size_t row_index(const struct input *row)
{
	size_t n;

	return (size_t)(row - input_rows(&n));
}

/* The row of a name that the program itself wrote. */
static const struct input *row_of(const char *name)
{
	const struct input *row = input_find(str_c(name));

	if (!row)
		abort();
	return row;
}

static const struct value *value_of(const struct inputs *in, const char *name)
{
	return &in->v[row_index(row_of(name))];
}

/* ---- taking values ---- */

bool inputs_set(struct inputs *in, struct str name, struct str value, struct err *err)
{
	const struct input *row = input_find(name);
	struct value *v;
	uint32_t src;

	if (!row)
		return unknown(name, err);
	value = str_trim(value);
	if (!value.n)
		return true;
	v = &in->v[row_index(row)];
	src = sources_add(in->ss, arena_printf(in->a, "input %s", row->name), value);
	v->text = arena_strndup(in->a, value.p, value.n);
	v->at = (struct origin){src, 0};
	return true;
}

bool inputs_set_pair(struct inputs *in, const char *pair, struct err *err)
{
	const char *eq = strchr(pair, '=');

	if (!eq || eq == pair) {
		err_set(err, ERR_USER, ORIGIN_NONE, "'%s' is not name=value", pair);
		return err_hint(err, "write --input app_name=shop");
	}
	return inputs_set(in, str_n(pair, (size_t)(eq - pair)), str_c(eq + 1), err);
}

void inputs_set_env(struct inputs *in, const struct val *env, struct errs *es)
{
	MAP_EACH (i, env) {
		struct str name = val_get_str(val_key_at(env, i));

		if (!str_starts(name, "INPUT_"))
			continue;
		name = str_n(name.p + 6, name.n - 6);
		/* The runner sets these two for every container action. */
		if (str_eqc(name, "ARGS") || str_eqc(name, "ENTRYPOINT"))
			continue;
		inputs_set(in, name, val_get_str(val_value_at(env, i)), errs_add(es));
		errs_ok(es);
	}
}

/* ---- reading values ---- */

const char *inputs_get(const struct inputs *in, const char *name)
{
	const struct input *row = row_of(name);
	const char *text = in->v[row_index(row)].text;

	return text ? text : row->dflt;
}

bool inputs_bool(const struct inputs *in, const char *name)
{
	return strcasecmp(inputs_get(in, name), "true") == 0;
}

int64_t inputs_int(const struct inputs *in, const char *name)
{
	int64_t n = 0;

	(void)str_int(str_c(inputs_get(in, name)), &n);
	return n;
}

static bool is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

const char *const *inputs_list(const struct inputs *in, const char *name, struct arena *a, size_t *ret_n)
{
	const char *p = inputs_get(in, name);
	const char **list = arena_array(a, strlen(p) / 2 + 2, sizeof(*list));
	size_t n = 0;

	while (*p) {
		size_t len = 0;

		while (p[len] && !is_separator(p[len]))
			len++;
		if (len)
			list[n++] = arena_strndup(a, p, len);
		p += len + (p[len] != '\0');
	}
	if (ret_n)
		*ret_n = n;
	return list;
}

bool inputs_given(const struct inputs *in, const char *name)
{
	return value_of(in, name)->text != NULL;
}

const char *inputs_prefer(const struct inputs *in, const char *name)
{
	const char *prefer = row_of(name)->prefer;

	return prefer && !inputs_given(in, name) ? prefer : "";
}

struct origin inputs_origin(const struct inputs *in, const char *name)
{
	return value_of(in, name)->at;
}
