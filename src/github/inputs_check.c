/*
 * One check per type of input. Each looks at a single value; what values mean together is the model's.
 */
#include "github/inputs.h"
#include <stdlib.h>
#include <strings.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool input_size(struct str s, int64_t *ret_gib)
{
	size_t digits = 0;
	int64_t n, shift = 0;

	while (digits < s.n && is_digit(s.p[digits]))
		digits++;
	if (digits == 0 || !str_int(str_n(s.p, digits), &n) || n < 0 || n > INT64_MAX / 2048)
		return false;
	s = str_trim(str_n(s.p + digits, s.n - digits));
	if (s.n > 1 && (s.p[s.n - 1] == 'B' || s.p[s.n - 1] == 'b'))
		s.n--;
	if (s.n > 1 && s.p[s.n - 1] == 'i')
		s.n--;
	if (s.n > 1)
		return false;
	switch (s.n ? s.p[0] : 'G') {
	case 'M':
	case 'm': n = (n + 1023) / 1024; break;
	case 'G':
	case 'g': break;
	case 'T':
	case 't': shift = 10; break;
	default: return false;
	}
	*ret_gib = n << shift;
	return true;
}

bool input_ipv4(struct str s, uint32_t *ret)
{
	uint32_t address = 0;

	for (int part = 0; part < 4; part++) {
		size_t digits = 0;
		uint32_t n = 0;

		while (digits < s.n && digits < 3 && is_digit(s.p[digits]))
			n = n * 10 + (uint32_t)(s.p[digits++] - '0');
		if (digits == 0 || n > 255 || (digits > 1 && s.p[0] == '0'))
			return false;
		address = address << 8 | n;
		s = str_n(s.p + digits, s.n - digits);
		if (part < 3) {
			if (!s.n || s.p[0] != '.')
				return false;
			s = str_n(s.p + 1, s.n - 1);
		}
	}
	if (s.n)
		return false;
	*ret = address;
	return true;
}

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

static bool check_name(const struct input *row, struct str s, struct buf *why)
{
	(void)row;
	bool good = s.n && s.n <= 63 && is_letter(s.p[0]) && s.p[s.n - 1] != '-';

	for (size_t i = 0; good && i < s.n; i++)
		good = is_letter(s.p[i]) || is_digit(s.p[i]) || s.p[i] == '-';
	if (!good)
		buf_adds(
		        why,
		        "a name starts with a letter, holds letters, digits and hyphens, does not end with a "
		        "hyphen, and has at most 63 characters");
	return good;
}

static bool check_bool(const struct input *row, struct str s, struct buf *why)
{
	(void)row;
	if ((s.n == 4 && !strncasecmp(s.p, "true", 4)) || (s.n == 5 && !strncasecmp(s.p, "false", 5)))
		return true;
	buf_adds(why, "it must be true or false");
	return false;
}

static bool in_range(const struct input *row, int64_t n, const char *unit, struct buf *why)
{
	if (n >= row->lo && n <= row->hi)
		return true;
	buf_printf(why, "it must be from %lld to %lld%s", (long long)row->lo, (long long)row->hi, unit);
	return false;
}

static bool check_int(const struct input *row, struct str s, struct buf *why)
{
	int64_t n;

	if (str_int(s, &n))
		return in_range(row, n, "", why);
	buf_adds(why, "it must be a whole number");
	return false;
}

static bool check_size(const struct input *row, struct str s, struct buf *why)
{
	int64_t n;

	if (input_size(s, &n))
		return in_range(row, n, " GiB", why);
	buf_adds(why, "a size is written 40, 40G or 1T");
	return false;
}

static bool check_choice(const struct input *row, struct str s, struct buf *why)
{
	struct str rest = str_c(row->choices);

	while (rest.p) {
		if (str_eq(str_split(&rest, ' '), s))
			return true;
	}
	buf_printf(why, "it must be one of: %s", row->choices);
	return false;
}

static bool check_ip(const struct input *row, struct str s, struct buf *why)
{
	uint32_t address;

	(void)row;
	if (input_ipv4(s, &address))
		return true;
	buf_adds(why, "it is no IPv4 address");
	return false;
}

static bool check_subnet(const struct input *row, struct str s, struct buf *why)
{
	uint32_t address;
	int64_t bits = -1;
	struct str rest = s, host = str_split(&rest, '/');

	(void)row;
	if (!rest.p || !input_ipv4(host, &address) || !str_int(rest, &bits) || bits < 8 || bits > 30) {
		buf_adds(why, "a network is written 192.168.10.0/24, from /8 to /30");
		return false;
	}
	if (address & (UINT32_MAX >> bits)) {
		buf_printf(why, "bits are set beyond its prefix of %d", (int)bits);
		return false;
	}
	return true;
}

static const struct {
	bool (*check)(const struct input *row, struct str s, struct buf *why);
} checks[] = {
        [INPUT_TEXT] = {check_text}, [INPUT_NAME] = {check_name},     [INPUT_BOOL] = {check_bool},
        [INPUT_INT] = {check_int},   [INPUT_CHOICE] = {check_choice}, [INPUT_SIZE] = {check_size},
        [INPUT_IP] = {check_ip},     [INPUT_SUBNET] = {check_subnet}, [INPUT_LIST] = {check_text},
        [INPUT_JSON] = {check_text},
};

void inputs_check(const struct inputs *in, struct errs *es)
{
	size_t n;
	const struct input *row = input_rows(&n);

	for (; n; n--, row++) {
		struct str text = str_c(inputs_get(in, row->name));
		struct buf why = {0};

		if (text.n && !checks[row->type].check(row, text, &why)) {
			bool show = !(row->flags & INPUT_SECRET) && text.n <= 80 && str_is_utf8(text);

			err_set(errs_add(es), ERR_USER, inputs_origin(in, row->name), "input %s%s%.*s%s: %s",
			        row->name, show ? " is '" : "", show ? (int)text.n : 0, text.p,
			        show ? "'" : "", buf_str(&why).p);
		}
		buf_free(&why);
	}
}
