#include "base/suggest.h"

#define LEN_MAX 64

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t str_distance(struct str a, struct str b)
{
	size_t rows[3][LEN_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	if (a.n > LEN_MAX || b.n > LEN_MAX)
		return a.n + b.n;
	for (size_t j = 0; j <= b.n; j++)
		above[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t replace = above[j - 1] + (a.p[i - 1] != b.p[j - 1]);

			row[j] = min(replace, 1 + min(above[j], row[j - 1]));
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				row[j] = min(row[j], before[j - 2] + 1);
		}
		size_t *oldest = before;

		before = above;
		above = row;
		row = oldest;
	}
	return above[b.n];
}

void suggest_offer(struct suggest *s, const char *known)
{
	size_t d = str_distance(s->name, str_c(known));

	/* A third of the name may be wrong; more is another word. */
	if (d > 1 + s->name.n / 3 || d >= s->name.n)
		return;
	if (!s->best || d < s->distance) {
		s->best = known;
		s->distance = d;
	}
}
