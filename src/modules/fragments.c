#include <dirent.h>
#include <stdlib.h>
#include "base/fs.h"
#include "modules/fragments.h"

/* \n, \t and \\ in a delimiter. */
static struct str unescape(struct arena *a, struct str s)
{
	struct buf b = {0};
	for (size_t i = 0; i < s.n; i++) {
		bool esc = s.p[i] == '\\' && i + 1 < s.n && strchr("nrt\\'\"", s.p[i + 1]);
		char c = esc ? s.p[++i] : s.p[i];
		buf_addc(&b, !esc ? c : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c);
	}
	struct str ret = buf_take(&b, a);
	buf_free(&b);
	return ret;
}

static bool is_fragment(const struct fragments *f, const char *path, const char *name)
{
	struct stat st;
	return (!f->re || regex_search(f->re, str_c(name), 0, NULL)) && !(name[0] == '.' && f->skip_hidden) &&
	       stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool fragments_join(const struct fragments *f, struct arena *a, struct buf *out, struct err *err)
{
	struct dirent **list;
	struct str between = unescape(a, f->between), data;
	bool ok = true, first = true, ended = true;
	int n = scandir(f->dir, &list, NULL, alphasort);
	if (n < 0)
		return err_sys(err, ERR_USER, "cannot read %s", f->dir);
	for (int i = 0; i < n && ok; i++) {
		const char *path = fs_join(a, f->dir, list[i]->d_name);
		if (!is_fragment(f, path, list[i]->d_name))
			continue;
		if (!(ok = f->read(f->ctx, path, &data, err)))
			break;
		/* Fragments and delimiters never share a line, and an empty one has none of its own. */
		if (!ended)
			buf_addc(out, '\n');
		if (!first && between.n) {
			buf_addstr(out, between);
			if (between.p[between.n - 1] != '\n')
				buf_addc(out, '\n');
		}
		buf_addstr(out, data);
		ended = str_ends(data, "\n");
		first = false;
	}
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	return ok;
}
