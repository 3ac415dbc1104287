/* Unified differences. */
#include "ansible/output.h"
#include "base/arena.h"

#define CONTEXT 3
/* Beyond this many lines on a side the middle is taken as replaced whole. */
#define LINES_MAX 3000

struct lines {
	struct str *v;
	size_t n;
};

static struct lines split(struct arena *a, struct str s)
{
	struct lines l = {NULL, 0};
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	l.v = arena_array(a, n + 1, sizeof(*l.v));
	while (s.n) {
		const char *nl = memchr(s.p, '\n', s.n);
		size_t len = nl ? (size_t)(nl - s.p) + 1 : s.n;
		l.v[l.n++] = str_n(s.p, len);
		s = str_n(s.p + len, s.n - len);
	}
	return l;
}

/* For every line of A the line of B it stays as, or SIZE_MAX. */
static size_t *match(struct arena *a, struct lines x, struct lines y)
{
	size_t *pair = arena_array(a, x.n + 1, sizeof(*pair)), head = 0, tail = 0;
	for (size_t i = 0; i < x.n; i++)
		pair[i] = SIZE_MAX;
	while (head < x.n && head < y.n && str_eq(x.v[head], y.v[head])) {
		pair[head] = head;
		head++;
	}
	while (tail < x.n - head && tail < y.n - head && str_eq(x.v[x.n - 1 - tail], y.v[y.n - 1 - tail])) {
		pair[x.n - 1 - tail] = y.n - 1 - tail;
		tail++;
	}
	size_t n = x.n - head - tail, m = y.n - head - tail;
	if (!n || !m || n > LINES_MAX || m > LINES_MAX)
		return pair;
	/* Longest common subsequence from every pair of places on. */
	uint16_t *t = arena_array(a, (n + 1) * (m + 1), sizeof(*t));
	for (size_t i = n; i-- > 0;)
		for (size_t j = m; j-- > 0;) {
			uint16_t down = t[(i + 1) * (m + 1) + j], right = t[i * (m + 1) + j + 1];
			t[i * (m + 1) + j] = str_eq(x.v[head + i], y.v[head + j])
			                             ? (uint16_t)(t[(i + 1) * (m + 1) + j + 1] + 1)
			                             : (down > right ? down : right);
		}
	for (size_t i = 0, j = 0; i < n && j < m;) {
		if (str_eq(x.v[head + i], y.v[head + j]))
			pair[head + i++] = head + j++;
		else if (t[(i + 1) * (m + 1) + j] >= t[i * (m + 1) + j + 1])
			i++;
		else
			j++;
	}
	return pair;
}

static void put(struct buf *out, char sign, struct str line)
{
	buf_addc(out, sign);
	buf_addstr(out, line);
	if (!str_ends(line, "\n"))
		buf_adds(out, "\n\\ No newline at end of file\n");
}

static void range(struct buf *out, size_t from, size_t n)
{
	if (n == 1)
		buf_printf(out, "%zu", from + 1);
	else
		buf_printf(out, "%zu,%zu", n ? from + 1 : from, n);
}

struct place {
	size_t i, j;
};

/* One past the change that starts at P. */
static struct place change_end(struct place p, struct lines x, struct lines y, const size_t *pair)
{
	while (p.i < x.n && pair[p.i] == SIZE_MAX)
		p.i++;
	p.j = p.i < x.n ? pair[p.i] : y.n;
	return p;
}

static void hunk(struct buf *out, struct place from, struct place to, struct lines x, struct lines y,
                 const size_t *pair)
{
	buf_adds(out, "@@ -");
	range(out, from.i, to.i - from.i);
	buf_adds(out, " +");
	range(out, from.j, to.j - from.j);
	buf_adds(out, " @@\n");
	size_t i = from.i, j = from.j;
	while (i < to.i || j < to.j) {
		if (i < to.i && pair[i] == SIZE_MAX)
			put(out, '-', x.v[i++]);
		else if (j < to.j && (i >= to.i || pair[i] != j))
			put(out, '+', y.v[j++]);
		else
			put(out, ' ', x.v[i]), i++, j++;
	}
}

void output_diff(struct str before, struct str after, struct str before_name, struct str after_name,
                 struct buf *out)
{
	struct arena *a = arena_new(NULL);
	struct lines x = split(a, before), y = split(a, after);
	const size_t *pair = match(a, x, y);
	struct place p = {0, 0}, from = {0, 0}, to = {0, 0};
	bool open = false, any = false;
	for (;;) {
		bool same = p.i < x.n && pair[p.i] == p.j;
		bool end = p.i >= x.n && p.j >= y.n;
		if (open && (end || (same && p.i - to.i >= 2 * CONTEXT))) {
			size_t more = x.n - to.i < CONTEXT ? x.n - to.i : CONTEXT;
			hunk(out, from, (struct place){to.i + more, to.j + more}, x, y, pair);
			open = false;
		}
		if (end)
			break;
		if (same) {
			p.i++;
			p.j++;
			continue;
		}
		if (!any)
			buf_printf(out, "--- %.*s\n+++ %.*s\n", STR_FMT(before_name), STR_FMT(after_name));
		any = true;
		if (!open) {
			size_t lead = p.i < CONTEXT ? p.i : CONTEXT;
			lead = p.j < lead ? p.j : lead;
			from = (struct place){p.i - lead, p.j - lead};
			open = true;
		}
		p = to = change_end(p, x, y, pair);
	}
	arena_free(a);
}
