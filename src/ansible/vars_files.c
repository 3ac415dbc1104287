#include "ansible/vars_files.h"
#include "ansible/ptrs.h"
#include "base/fs.h"
#include <dirent.h>
#include <stdlib.h>

static int name_cmp(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

char **dir_names(struct arena *a, const char *dir, size_t *ret_n)
{
	char **v = NULL;
	size_t n = 0;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			PTRS_PUSH(a, v, n, arena_strdup(a, e->d_name));
	if (d)
		closedir(d);
	if (n > 1)
		qsort(v, n, sizeof(*v), name_cmp);
	*ret_n = n;
	return v;
}

static bool is_extension(const char *dot)
{
	return strcmp(dot, ".yml") == 0 || strcmp(dot, ".yaml") == 0 || strcmp(dot, ".json") == 0;
}

/* Every file below DIR, but hidden ones, backups and those of other kinds. */
static void add_dir(struct arena *a, const char *dir, struct val *list)
{
	size_t n;
	char **names = dir_names(a, dir, &n);
	for (size_t i = 0; i < n; i++) {
		const char *name = names[i], *dot = strrchr(name, '.'), *path = fs_join(a, dir, name);
		if (name[0] == '.' || name[strlen(name) - 1] == '~')
			continue;
		if (fs_is_dir(path)) {
			if (!dot)
				add_dir(a, path, list);
		} else if (!dot || is_extension(dot)) {
			val_push(list, val_strz(a, path));
		}
	}
}

struct val *vars_files_named(struct arena *a, const char *dir, const char *name, bool bare_first, bool dirs)
{
	static const char *const suffixes[] = {"", ".yml", ".yaml", ".json", ""};
	struct val *list = val_list(a);
	for (size_t i = bare_first ? 0 : 1; i < (bare_first ? 4 : 5); i++) {
		const char *path = arena_printf(a, "%s/%s%s", dir, name, suffixes[i]);
		bool is_dir = fs_is_dir(path);
		if (!fs_exists(path) || (is_dir && !dirs))
			continue;
		if (is_dir)
			add_dir(a, path, list);
		else
			val_push(list, val_strz(a, path));
		break;
	}
	return list;
}
