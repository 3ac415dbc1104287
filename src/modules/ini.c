#include <ctype.h>
#include "modules/ini.h"

static struct str lower(struct arena *a, struct str s)
{
	char *z = arena_strndup(a, s.p ? s.p : "", s.n);
	for (char *p = z; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return str_n(z, s.n);
}

struct val *ini_to_val(struct arena *a, struct str text)
{
	struct val *out = val_map(a), *section = NULL;
	while (text.p && text.n) {
		struct str line = str_trim(str_split(&text, '\n'));
		if (!line.n || line.p[0] == '#' || line.p[0] == ';')
			continue;
		if (line.p[0] == '[' && line.p[line.n - 1] == ']') {
			section = val_map(a);
			val_sets(out, str_n(line.p + 1, line.n - 2), section);
			continue;
		}
		size_t n = 0;
		while (n < line.n && line.p[n] != '=' && line.p[n] != ':')
			n++;
		if (section && n < line.n)
			val_sets(section, lower(a, str_trim(str_n(line.p, n))),
			         val_str(a, str_trim(str_n(line.p + n + 1, line.n - n - 1))));
	}
	return out;
}
