#include "base/source.h"

#include "base/arena.h"

struct source {
	const char *name;
	struct str text;
};

struct sources {
	struct arena *a;
	struct source *v;
	size_t n, cap;
};

struct sources *sources_new(struct arena *a)
{
	struct sources *ss = ARENA_NEW(a, struct sources);

	ss->a = a;
	return ss;
}

uint32_t sources_add(struct sources *ss, const char *name, struct str text)
{
	ss->v = arena_grow(ss->a, ss->v, ss->n, &ss->cap, sizeof(*ss->v));
	ss->v[ss->n++] = (struct source){arena_strdup(ss->a, name), str_dup(ss->a, text)};
	return (uint32_t)ss->n;
}

struct str sources_text(const struct sources *ss, uint32_t id)
{
	return id && id <= ss->n ? ss->v[id - 1].text : (struct str){NULL, 0};
}

const char *sources_name(const struct sources *ss, uint32_t id)
{
	return id && id <= ss->n ? ss->v[id - 1].name : "";
}

bool sources_locate(const struct sources *ss, struct origin o, struct source_pos *ret)
{
	if (!ss || o.src == 0 || o.src > ss->n)
		return false;
	struct str text = ss->v[o.src - 1].text;
	size_t off = o.off < text.n ? o.off : text.n, start = 0;

	*ret = (struct source_pos){.file = ss->v[o.src - 1].name, .line = 1, .col = 1};
	for (size_t i = 0; i < off; i++) {
		if (text.p[i] == '\n') {
			ret->line++;
			start = i + 1;
		}
	}
	for (size_t i = start; i < off; i++)
		ret->col += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	struct str rest = str_n(text.p + start, text.n - start);

	ret->text = str_split(&rest, '\n');
	if (ret->text.n && ret->text.p[ret->text.n - 1] == '\r')
		ret->text.n--;
	return true;
}
