#include <strings.h>
#include "modules/deb822.h"

bool deb822_next(struct str *rest, struct str *ret)
{
	while (rest->n && rest->p[0] == '\n')
		*rest = str_n(rest->p + 1, rest->n - 1);
	if (!rest->n)
		return false;
	ptrdiff_t end = str_find(*rest, STR("\n\n"), 0);
	size_t n = end < 0 ? rest->n : (size_t)end + 1;
	*ret = str_n(rest->p, n);
	*rest = str_n(rest->p + n, rest->n - n);
	return true;
}

struct str deb822_get(struct str paragraph, const char *field)
{
	size_t n = strlen(field);
	struct str rest = paragraph;
	while (rest.n) {
		const char *nl = memchr(rest.p, '\n', rest.n);
		size_t len = nl ? (size_t)(nl - rest.p) : rest.n;
		if (len > n && rest.p[n] == ':' && strncasecmp(rest.p, field, n) == 0) {
			const char *end = rest.p + len, *limit = rest.p + rest.n;
			/* A line that begins with a blank goes on with the value. */
			while (end + 1 < limit && (end[1] == ' ' || end[1] == '\t')) {
				const char *next = memchr(end + 1, '\n', (size_t)(limit - end - 1));
				end = next ? next : limit;
			}
			struct str v = str_trim(str_n(rest.p + n + 1, (size_t)(end - rest.p) - n - 1));
			return v.p ? v : STR("");
		}
		size_t skip = nl ? len + 1 : len;
		rest = str_n(rest.p + skip, rest.n - skip);
	}
	return (struct str){0};
}
