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
	struct val *out = val_map(a), *section = NULL, *value = NULL;
	struct str option = {0};
	size_t deep = 0;
	while (text.p && text.n) {
		struct str raw = str_split(&text, '\n'), line = str_trim(raw);
		if (!line.n || line.p[0] == '#' || line.p[0] == ';')
			continue;
		size_t indent = (size_t)(line.p - raw.p), n = 0;
		if (value && indent > deep) { /* the value goes on */
			value = val_strf(a, "%.*s\n%.*s", STR_FMT(val_get_str(value)), STR_FMT(line));
			val_sets(section, option, value);
			continue;
		}
		deep = indent;
		value = NULL;
		if (line.p[0] == '[' && line.p[line.n - 1] == ']') {
			struct str name = str_n(line.p + 1, line.n - 2);
			section = val_map(a);
			if (val_gets(out, name))
				return NULL;
			val_sets(out, name, section);
			continue;
		}
		while (n < line.n && line.p[n] != '=' && line.p[n] != ':')
			n++;
		option = lower(a, str_trim(str_n(line.p, n)));
		if (!section || n == line.n || !n || val_gets(section, option))
			return NULL;
		value = val_str(a, str_trim(str_n(line.p + n + 1, line.n - n - 1)));
		val_sets(section, option, value);
	}
	return out;
}
