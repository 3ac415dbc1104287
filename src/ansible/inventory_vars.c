/* group_vars/ and host_vars/: files of variables beside the inventories and the playbook. */
#include "ansible/inventory.h"
#include "ansible/ptrs.h"
#include "ansible/sealed.h"
#include "ansible/vars_files.h"
#include "base/fs.h"
#include "base/source.h"
#include "yaml/yaml_load.h"

static bool vars_file(struct inventory *inv, const char *path, struct val *into, struct err *err)
{
	uint32_t src;
	struct val *doc;
	if (!inventory_read_yaml(inv, path, &doc, &src, err))
		return false;
	if (val_is_null(doc))
		return true;
	if (!val_is_map(doc))
		return err_set(err, ERR_USER, (struct origin){src, 0},
		               "a file of variables must hold a dictionary");
	MAP_EACH (i, doc)
		val_setk(into, val_key_at(doc, i), val_value_at(doc, i));
	return true;
}

/* DIR/SUB/NAME, NAME.yml ...; *ret stays NULL where there is no such file. */
static bool vars_of(struct inventory *inv, const char *dir, const char *sub, const char *name,
                    struct val **ret, struct err *err)
{
	const char *place = fs_join(inv->a, dir, sub);
	if (*name == '/' || !fs_is_dir(place))
		return true;
	struct val *files = vars_files_named(inv->a, place, name, true, true);
	VAL_EACH (i, files) {
		if (!*ret)
			*ret = val_map(inv->a);
		if (!vars_file(inv, val_get_strz(val_at(files, i)), *ret, err))
			return false;
	}
	return true;
}

static bool read_files(struct inventory *inv, struct file_vars *f, const char *sub, const char *name,
                       struct err *err)
{
	for (; f->n < inv->n_vars_dirs; f->n++) {
		f->beside = ptrs_grow(inv->a, f->beside, f->n);
		f->beside[f->n] = NULL;
		if (!vars_of(inv, inv->vars_dirs[f->n], sub, name, &f->beside[f->n], err))
			return false;
	}
	if (!inv->playbook_dir || f->playbook_read)
		return true;
	f->playbook_read = true;
	return vars_of(inv, inv->playbook_dir, sub, name, &f->playbook, err);
}

bool inventory_read_files(struct inventory *inv, struct err *err)
{
	for (size_t i = 0; i < inv->n_groups; i++)
		if (!read_files(inv, &inv->groups[i]->files, "group_vars", inv->groups[i]->name, err))
			return false;
	for (size_t i = 0; i < inv->n_hosts; i++) {
		if (!read_files(inv, &inv->hosts[i]->files, "host_vars", inv->hosts[i]->name, err))
			return false;
		inv->hosts[i]->merged = NULL;
	}
	return true;
}

bool inventory_vars_dir(struct inventory *inv, const char *dir, struct err *err)
{
	for (size_t i = 0; i < inv->n_vars_dirs; i++)
		if (strcmp(inv->vars_dirs[i], dir) == 0)
			return true;
	PTRS_PUSH(inv->a, inv->vars_dirs, inv->n_vars_dirs, arena_strdup(inv->a, dir));
	return inventory_read_files(inv, err);
}

static void forget_playbook(struct file_vars *f)
{
	f->playbook = NULL;
	f->playbook_read = false;
}

bool inventory_playbook_dir(struct inventory *inv, const char *dir, struct err *err)
{
	if (inv->playbook_dir && strcmp(inv->playbook_dir, dir) == 0)
		return true;
	for (size_t i = 0; i < inv->n_groups; i++)
		forget_playbook(&inv->groups[i]->files);
	for (size_t i = 0; i < inv->n_hosts; i++)
		forget_playbook(&inv->hosts[i]->files);
	inv->playbook_dir = arena_strdup(inv->a, dir);
	return inventory_read_files(inv, err);
}
