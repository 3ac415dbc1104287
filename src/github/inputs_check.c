/* One check per type of input. */
#include "github/inputs.h"
#include <string.h>
#include <strings.h>

/* ---- one function per type: what is wrong, as the rest of "input x is '…': ", or NULL ---- */

static bool check_text(const struct input *row, struct str s, struct buf *why)
{
	(void)row;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0') {
			buf_adds(why, "it holds a NUL byte");
			return false;
		}
	}
	if (!str_is_utf8(s)) {
		buf_adds(why, "it is not UTF-8");
		return false;
	}
	return true;
}

/* As Proxmox VE and Linux call things. */
static bool check_name(const struct input *row, struct str s, struct buf *why)
{
	if (!check_text(row, s, why))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    (c && strchr("-_./", c)))
			continue;
		buf_adds(why, "it must be one name of letters, digits, - _ and .");
		return false;
	}
	return true;
}

static bool check_bool(const struct input *row, struct str s, struct buf *why)
{
	(void)row;
	if ((s.n == 4 && !strncasecmp(s.p, "true", 4)) || (s.n == 5 && !strncasecmp(s.p, "false", 5)))
		return true;
	buf_adds(why, "it must be true or false");
	return false;
}

static bool check_int(const struct input *row, struct str s, struct buf *why)
{
	int64_t n;

	if (str_int(s, &n) && n >= row->lo && n <= row->hi)
		return true;
	buf_printf(why, "it must be a whole number from %lld to %lld", (long long)row->lo,
	           (long long)row->hi);
	return false;
}

static bool (*const checks[])(const struct input *row, struct str s, struct buf *why) = {
        [INPUT_TEXT] = check_text, [INPUT_BOOL] = check_bool, [INPUT_INT] = check_int,
        [INPUT_LIST] = check_text, [INPUT_JSON] = check_text, [INPUT_NAME] = check_name,
};

void inputs_check(const struct inputs *in, struct errs *es)
{
	size_t n;
	const struct input *row = input_rows(&n);

	for (; n; n--, row++) {
		struct str text = str_c(inputs_get(in, row->name));
		struct buf why = {0};

		if (text.n && !(row->flags & INPUT_MODEL) && !checks[row->type](row, text, &why)) {
			bool show = !(row->flags & INPUT_SECRET) && text.n <= 80 && str_is_utf8(text);

			err_set(errs_add(es), ERR_USER, inputs_origin(in, row->name), "input %s%s%.*s%s: %s",
			        row->name, show ? " is '" : "", show ? (int)text.n : 0, text.p,
			        show ? "'" : "", buf_str(&why).p);
		}
		buf_free(&why);
	}
}
