/* text - strings as code points: length, slices, letter case. */
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/run.h"

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

size_t utf8_len(struct str s)
{
	size_t n = 0;

	if (is_ascii(s))
		return s.n;
	while (s.n) {
		uint32_t cp;
		size_t k = str_utf8(s, &cp);

		s = str_n(s.p + k, s.n - k);
		n++;
	}
	return n;
}

struct str utf8_sub(struct str s, size_t from, size_t to)
{
	size_t i = 0, a = s.n, pos = 0;

	if (is_ascii(s)) {
		to = to > s.n ? s.n : to;
		return from < to ? str_n(s.p + from, to - from) : str_n(s.p, 0);
	}
	while (pos < s.n && i < to) {
		uint32_t cp;

		if (i == from)
			a = pos;
		pos += str_utf8(str_n(s.p + pos, s.n - pos), &cp);
		i++;
	}
	return a < pos ? str_n(s.p + a, pos - a) : str_n(s.p, 0);
}

/*
 * Letter case without the C library's locale, which the static build does not have: Latin, Greek, Cyrillic,
 * Armenian, full-width. STEP 1: upper = lower - DELTA; STEP 2: upper and lower alternate, upper even (DELTA
 * 0) or odd (1).
 */
static const struct {
	uint32_t lo, hi; /* of the lower-case letters */
	int32_t delta;
	uint8_t step;
} cases[] = {
        {'a', 'z', 32, 1},       {0xe0, 0xf6, 32, 1},     {0xf8, 0xfe, 32, 1},       {0x100, 0x12f, 0, 2},
        {0x132, 0x137, 0, 2},    {0x139, 0x148, 1, 2},    {0x14a, 0x177, 0, 2},      {0x179, 0x17e, 1, 2},
        {0x1cd, 0x1dc, 1, 2},    {0x1de, 0x1ef, 0, 2},    {0x1f8, 0x21f, 0, 2},      {0x222, 0x233, 0, 2},
        {0x3ac, 0x3ac, 38, 1},   {0x3ad, 0x3af, 37, 1},   {0x3b1, 0x3c1, 32, 1},     {0x3c3, 0x3cb, 32, 1},
        {0x3cc, 0x3cc, 64, 1},   {0x3cd, 0x3ce, 63, 1},   {0x3d8, 0x3ef, 0, 2},      {0x430, 0x44f, 32, 1},
        {0x450, 0x45f, 80, 1},   {0x460, 0x481, 0, 2},    {0x48a, 0x4bf, 0, 2},      {0x4c1, 0x4ce, 1, 2},
        {0x4d0, 0x52f, 0, 2},    {0x561, 0x586, 48, 1},   {0x1e00, 0x1e95, 0, 2},    {0x1ea0, 0x1eff, 0, 2},
        {0x24d0, 0x24e9, 26, 1}, {0xff41, 0xff5a, 32, 1}, {0x10428, 0x1044f, 40, 1}, {0xff, 0xff, -121, 1},
};

uint32_t cp_upper(uint32_t cp)
{
	if (cp < 'a')
		return cp;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (cp < cases[i].lo || cp > cases[i].hi)
			continue;
		if (cases[i].step == 1)
			return (uint32_t)((int32_t)cp - cases[i].delta);
		return (cp & 1) != (uint32_t)cases[i].delta ? cp - 1 : cp;
	}
	return cp == 0x3c2 ? 0x3a3 : cp == 0xb5 ? 0x39c : cp;
}

uint32_t cp_lower(uint32_t cp)
{
	if (cp < 'A')
		return cp;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t lo = cases[i].lo, hi = cases[i].hi;

		if (cases[i].step == 1) {
			int32_t l = (int32_t)cp + cases[i].delta;

			if (l >= (int32_t)lo && l <= (int32_t)hi)
				return (uint32_t)l;
		} else if (cp >= lo && cp <= hi) {
			return (cp & 1) == (uint32_t)cases[i].delta ? cp + 1 : cp;
		}
	}
	return cp;
}

bool cp_upper_p(uint32_t cp)
{
	return cp_lower(cp) != cp;
}

bool cp_lower_p(uint32_t cp)
{
	return cp_upper(cp) != cp || cp == 0xdf;
}

/* Letters: those with case, and the scripts without it taken as whole blocks. */
bool cp_alpha(uint32_t cp)
{
	static const struct {
		uint32_t lo, hi;
	} blocks[] = {
	        {0xaa, 0xaa},     {0xb5, 0xb5},     {0xba, 0xba},     {0xc0, 0xd6},      {0xd8, 0xf6},
	        {0xf8, 0x2c1},    {0x370, 0x373},   {0x376, 0x377},   {0x37b, 0x37d},    {0x386, 0x386},
	        {0x388, 0x481},   {0x48a, 0x556},   {0x561, 0x587},   {0x5d0, 0x5ea},    {0x620, 0x64a},
	        {0x671, 0x6d3},   {0x904, 0x939},   {0xe01, 0xe30},   {0x10a0, 0x10ff},  {0x1100, 0x11ff},
	        {0x1e00, 0x1fff}, {0x3041, 0x3096}, {0x30a1, 0x30fa}, {0x3400, 0x4dbf},  {0x4e00, 0x9fff},
	        {0xac00, 0xd7a3}, {0xff21, 0xff3a}, {0xff41, 0xff5a}, {0x20000, 0x2ffff}};

	if (cp < 0x80)
		return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z');
	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++)
		if (cp >= blocks[i].lo && cp <= blocks[i].hi)
			return true;
	return false;
}

bool cp_digit(uint32_t cp)
{
	return (cp >= '0' && cp <= '9') || cp == 0xb2 || cp == 0xb3 || cp == 0xb9 ||
	       (cp >= 0x660 && cp <= 0x669) || (cp >= 0x966 && cp <= 0x96f) || (cp >= 0xff10 && cp <= 0xff19);
}

bool cp_space(uint32_t cp)
{
	return (cp >= 9 && cp <= 13) || (cp >= 28 && cp <= 32) || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
	       (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
	       cp == 0x205f || cp == 0x3000;
}

static void add_upper(struct buf *out, uint32_t cp)
{
	if (cp == 0xdf)
		buf_adds(out, "SS");
	else
		buf_utf8(out, cp_upper(cp));
}

void text_case(struct str s, enum text_case how, struct buf *out)
{
	bool start = true;

	while (s.n) {
		uint32_t cp;
		size_t n = str_utf8(s, &cp);
		bool cased = cp_upper_p(cp) || cp_lower_p(cp);
		bool up = how == CASE_UPPER || (how == CASE_SWAP && cp_lower_p(cp)) ||
		          ((how == CASE_CAPITAL || how == CASE_TITLE) && start);

		if (n == 1 && cp >= 0x80)
			buf_addc(out, s.p[0]); /* not UTF-8: left alone */
		else if (up)
			add_upper(out, cp);
		else
			buf_utf8(out, cp_lower(cp));
		start = how == CASE_TITLE && !cased;
		s = str_n(s.p + n, s.n - n);
	}
}

static bool in_set(uint32_t cp, const struct str *chars)
{
	struct str c;

	if (!chars)
		return cp_space(cp);
	for (c = *chars; c.n;) {
		uint32_t x;
		size_t n = str_utf8(c, &x);

		if (x == cp)
			return true;
		c = str_n(c.p + n, c.n - n);
	}
	return false;
}

struct str text_strip(struct str s, const struct str *chars, bool left, bool right)
{
	uint32_t cp;

	while (left && s.n) {
		size_t n = str_utf8(s, &cp);

		if (!in_set(cp, chars))
			break;
		s = str_n(s.p + n, s.n - n);
	}
	while (right && s.n) {
		size_t i = s.n - 1;

		while (i > 0 && ((unsigned char)s.p[i] & 0xc0) == 0x80 && s.n - i < 4)
			i--;
		if (str_utf8(str_n(s.p + i, s.n - i), &cp) != s.n - i) {
			i = s.n - 1;
			cp = (unsigned char)s.p[i];
		}
		if (!in_set(cp, chars))
			break;
		s.n = i;
	}
	return s;
}

size_t text_line(struct str s, size_t *ret_end)
{
	uint32_t cp;

	for (size_t i = 0, n; i < s.n; i += n) {
		n = str_utf8(str_n(s.p + i, s.n - i), &cp);
		if ((cp < 10 || cp > 13) && (cp < 0x1c || cp > 0x1e) && cp != 0x85 && cp != 0x2028 &&
		    cp != 0x2029)
			continue;
		*ret_end = cp == '\r' && i + 1 < s.n && s.p[i + 1] == '\n' ? 2 : n;
		return i;
	}
	*ret_end = 0;
	return s.n;
}

struct val *buf_val(struct buf *b, struct arena *a)
{
	struct val *v = val_str_ref(a, buf_take(b, a));

	buf_free(b);
	return v;
}
