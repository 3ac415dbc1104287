#include "ansible/keyword.h"
#include "base/suggest.h"

const struct keyword keywords[KW_N] = {
#define X(name, id, where, inherit) [KW_##id] = {name, where, inherit},
        KEYWORDS(X)
#undef X
};

enum kw keyword_find(struct str name)
{
	for (int i = 0; i < KW_N; i++)
		if (str_eqc(name, keywords[i].name))
			return (enum kw)i;
	return KW_N;
}

const char *keyword_suggest(struct str name, unsigned where)
{
	struct suggest s = {.name = name};
	for (int i = 0; i < KW_N; i++)
		if (keywords[i].where & where)
			suggest_offer(&s, keywords[i].name);
	return s.best;
}
