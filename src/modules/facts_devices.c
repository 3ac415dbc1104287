/* Disks, their parts and what is made of them: read from /sys, volume groups from LVM's own programs. */
#include <dirent.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>
#include "modules/facts.h"

const char *fact_disk_by(struct facts *f, const char *kind, const char *device)
{
	const char *dir = arena_printf(f->a, "/dev/disk/by-%s", kind), *ret = NULL;
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && !ret && (e = readdir(d))) {
		char *real = realpath(fs_join(f->a, dir, e->d_name), NULL);
		if (real && strcmp(real, device) == 0)
			ret = arena_strdup(f->a, e->d_name);
		free(real);
	}
	if (d)
		closedir(d);
	return ret;
}

static const char *human_size(struct facts *f, int64_t bytes)
{
	static const char *const units[] = {"Bytes", "KB", "MB", "GB", "TB", "PB"};
	double size = (double)bytes;
	size_t u = 0;
	for (; size >= 1024 && u + 1 < sizeof(units) / sizeof(*units); u++)
		size /= 1024;
	return arena_printf(f->a, "%.2f %s", size, units[u]);
}

static struct val *text_or_null(struct facts *f, const char *z)
{
	return z ? val_strz(f->a, z) : val_null();
}

static int no_dots(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void add_link(struct facts *f, struct val *map, const char *key, const char *name)
{
	struct val *list = val_get(map, key);
	if (!list)
		val_set(map, key, list = val_list(f->a));
	val_push(list, val_strz(f->a, name));
}

/* {device: [names]} of the links below DIR. */
static struct val *links_in(struct facts *f, const char *dir)
{
	struct val *map = val_map(f->a);
	struct dirent **names;
	int n = scandir(dir, &names, no_dots, alphasort);
	for (int i = 0; i < n; i++) {
		char target[512];
		ssize_t len = readlink(fs_join(f->a, dir, names[i]->d_name), target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = '\0';
		if (len > 0)
			add_link(f, map, fs_basename(target), names[i]->d_name);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return map;
}

/* {device: [devices made of it]}. */
static struct val *masters(struct facts *f)
{
	struct val *map = val_map(f->a);
	struct dirent **blocks, **slaves;
	int n = scandir("/sys/block", &blocks, no_dots, alphasort);
	for (int i = 0; i < n; i++) {
		int k = scandir(arena_printf(f->a, "/sys/block/%s/slaves", blocks[i]->d_name), &slaves,
		                no_dots, alphasort);
		for (int j = 0; j < k; j++) {
			add_link(f, map, slaves[j]->d_name, blocks[i]->d_name);
			free(slaves[j]);
		}
		if (k >= 0)
			free(slaves);
		free(blocks[i]);
	}
	if (n >= 0)
		free(blocks);
	return map;
}

static struct val *device_links(struct facts *f)
{
	struct val *links = val_map(f->a);
	val_set(links, "ids", links_in(f, "/dev/disk/by-id"));
	val_set(links, "uuids", links_in(f, "/dev/disk/by-uuid"));
	val_set(links, "labels", links_in(f, "/dev/disk/by-label"));
	val_set(links, "masters", masters(f));
	return links;
}

/* The part of LINKS that is about DEVICE. */
static struct val *links_of(struct facts *f, const struct val *links, const char *device)
{
	struct val *ret = val_map(f->a);
	MAP_EACH (i, links) {
		struct val *list = val_get(val_value_at(links, i), device);
		val_setk(ret, val_key_at(links, i), list ? list : val_list(f->a));
	}
	return ret;
}

static void set_size(struct facts *f, struct val *v, const char *dir)
{
	const char *size = fact_filef(f, "%s/size", dir),
	           *sector = fact_filef(f, "%s/queue/logical_block_size", dir);
	int64_t n = 0;
	str_int(str_c(size), &n);
	val_set(v, "sectors", size ? val_strz(f->a, size) : val_int(f->a, 0));
	val_set(v, "sectorsize", sector ? val_strz(f->a, sector) : val_int(f->a, 512));
	val_set(v, "size", val_strz(f->a, human_size(f, n * 512)));
}

/* What the device mapper made of the device at DIR, by name. */
static struct val *holders_of(struct facts *f, const char *dir)
{
	struct val *list = val_list(f->a);
	struct dirent **names;
	int n = scandir(fs_join(f->a, dir, "holders"), &names, no_dots, alphasort);
	for (int i = 0; i < n; i++) {
		const char *id = arena_strdup(f->a, names[i]->d_name);
		const char *name = fact_filef(f, "%s/holders/%s/dm/name", dir, id);
		if (strncmp(id, "dm-", 3) == 0)
			val_push(list, val_strz(f->a, name && *name ? name : id));
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return list;
}

static struct val *partitions_of(struct facts *f, const struct val *links, const char *dir, const char *disk)
{
	struct val *all = val_map(f->a);
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		const char *part = fs_join(f->a, dir, e->d_name), *start;
		if (strncmp(e->d_name, disk, strlen(disk)) != 0 || !(start = fact_filef(f, "%s/start", part)))
			continue;
		struct val *v = val_map(f->a);
		const char *device = arena_printf(f->a, "/dev/%s", e->d_name);
		val_set(v, "links", links_of(f, links, e->d_name));
		val_set(v, "start", val_strz(f->a, start));
		set_size(f, v, part);
		val_set(v, "uuid", text_or_null(f, fact_disk_by(f, "uuid", device)));
		val_set(v, "holders", holders_of(f, part));
		val_set(all, e->d_name, v);
	}
	if (d)
		closedir(d);
	return all;
}

/* The word in brackets of "none [mq-deadline] kyber". */
static const char *scheduler_of(struct facts *f, const char *dir)
{
	const char *z = fact_filef(f, "%s/queue/scheduler", dir);
	const char *open = z ? strchr(z, '[') : NULL, *close = open ? strrchr(open, ']') : NULL;
	return close ? arena_strndup(f->a, open + 1, (size_t)(close - open - 1)) : "";
}

/* The number that names DISK for good, without its "wwn-", or NULL. */
static const char *wwn_of(const struct val *links, const char *disk)
{
	const struct val *ids = val_get(val_get(links, "ids"), disk);
	for (size_t i = 0; ids && i < val_len(ids); i++)
		if (str_starts(val_get_str(val_at(ids, i)), "wwn-"))
			return val_get_strz(val_at(ids, i)) + 4;
	return NULL;
}

static struct val *pci_devices(struct facts *f)
{
	struct val *map = val_map(f->a);
	struct mod_out out;
	const char *lspci = mod_which(f->m, "lspci");
	if (!lspci || !mod_exec(f->m, &out, lspci, "-D", NULL))
		return map;
	while (out.out.n) {
		struct str line = str_split(&out.out, '\n'), id = str_split(&line, ' ');
		val_sets(map, id, val_str(f->a, line));
	}
	return map;
}

/* What lspci says of the controller the device at PATH hangs on: the last but for what is below it. */
static const char *host_of(const struct val *pci, const char *path)
{
	const char *ret = "";
	for (struct str rest = str_c(path); rest.p;) {
		const struct val *v = val_gets(pci, str_split(&rest, '/'));
		ret = v ? val_get_strz(v) : ret;
	}
	return ret;
}

static struct val *device(struct facts *f, const struct val *links, const struct val *pci, const char *disk)
{
	static const char *const texts[][2] = {
	        {"vendor", "device/vendor"},
	        {"model", "device/model"},
	        {"sas_address", "device/sas_address"},
	        {"sas_device_handle", "device/sas_device_handle"},
	        {"removable", "removable"},
	        {"support_discard", "queue/discard_granularity"},
	        {"rotational", "queue/rotational"},
	};
	const char *dir = fs_join(f->a, "/sys/block", disk), *wwn = wwn_of(links, disk);
	const char *serial = fact_filef(f, "%s/device/serial", dir);
	struct val *v = val_map(f->a);
	char link[512];
	ssize_t n = readlink(dir, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	val_set(v, "virtual", val_int(f->a, 1)); /* Ansible says so of all that /sys links to */
	val_set(v, "links", links_of(f, links, disk));
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		val_set(v, texts[i][0], text_or_null(f, fact_filef(f, "%s/%s", dir, texts[i][1])));
	if (serial && *serial)
		val_set(v, "serial", val_strz(f->a, serial));
	if (wwn)
		val_set(v, "wwn", val_strz(f->a, wwn));
	val_set(v, "partitions", partitions_of(f, links, dir, disk));
	val_set(v, "scheduler_mode", val_strz(f->a, scheduler_of(f, dir)));
	set_size(f, v, dir);
	val_set(v, "host", val_strz(f->a, host_of(pci, link)));
	val_set(v, "holders", holders_of(f, dir));
	return v;
}

void facts_devices(struct facts *f)
{
	struct val *all = val_map(f->a), *links = device_links(f), *pci = pci_devices(f);
	fact_set(f, "device_links", links);
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			val_set(all, e->d_name, device(f, links, pci, arena_strdup(f->a, e->d_name)));
	if (d)
		closedir(d);
	fact_set(f, "devices", all);
}

enum { LVM_FIELDS = 32 };

/* What the column AT is called; from the end when it is negative. */
struct field {
	const char *name;
	int at;
};

/* The lines of vgs, lvs or pvs, each as its fields: FIELDS of them (ended by one without a name); {} when it
 * cannot be asked. */
static struct val *lvm_rows(struct facts *f, const char *program, const struct field *fields)
{
	struct val *map = val_map(f->a);
	struct mod_out out;
	const char *path = mod_which(f->m, program);
	if (!path || !mod_exec(f->m, &out, path, "--noheadings", "--nosuffix", "--units", "g", "--separator",
	                       ",", NULL))
		return map;
	while (out.out.n) {
		struct str line = str_trim(str_split(&out.out, '\n')), word[LVM_FIELDS], name;
		int n = 0;
		while (line.p && n < LVM_FIELDS)
			word[n++] = str_split(&line, ',');
		struct val *v = val_map(f->a);
		for (size_t i = 0; fields[i].name; i++) {
			int at = fields[i].at < 0 ? n + fields[i].at : fields[i].at;
			if (at >= 0 && at < n)
				val_set(v, fields[i].name, val_str(f->a, word[at]));
		}
		name = n ? word[0] : (struct str){0};
		if (name.n)
			val_sets(map, name, v);
	}
	return map;
}

/* Volume groups: for root, where their programs are. */
void facts_lvm(struct facts *f)
{
	static const struct field vgs[] = {
	        {"size_g", -2}, {"free_g", -1}, {"num_lvs", 2}, {"num_pvs", 1}, {0}};
	static const struct field lvs[] = {{"size_g", 3}, {"vg", 1}, {0}};
	static const struct field pvs[] = {{"size_g", 4}, {"free_g", 5}, {"vg", 1}, {0}};
	if (geteuid() != 0 || !mod_which(f->m, "vgs")) {
		fact_str(f, "lvm", "N/A");
		return;
	}
	struct val *lvm = val_map(f->a);
	val_set(lvm, "lvs", lvm_rows(f, "lvs", lvs));
	val_set(lvm, "vgs", lvm_rows(f, "vgs", vgs));
	val_set(lvm, "pvs", lvm_rows(f, "pvs", pvs));
	fact_set(f, "lvm", lvm);
}

/* What follows PREFIX on the first line of FILE that starts with it. */
static const char *after(struct facts *f, const char *file, const char *prefix)
{
	for (struct str rest = str_c(fact_file(f, file)); rest.n;) {
		struct str line = str_split(&rest, '\n');
		if (str_starts(line, prefix))
			return arena_strndup(f->a, line.p + strlen(prefix), line.n - strlen(prefix));
	}
	return NULL;
}

void facts_iscsi(struct facts *f)
{
	const char *name = after(f, "/etc/iscsi/initiatorname.iscsi", "InitiatorName=");
	fact_str(f, "iscsi_iqn", name ? name : "");
}

void facts_nvme(struct facts *f)
{
	const char *name = after(f, "/etc/nvme/hostnqn", "nqn.");
	fact_str(f, "hostnqn", name ? arena_printf(f->a, "nqn.%s", name) : "");
}

void facts_fibre_channel(struct facts *f)
{
	struct val *list = val_list(f->a);
	glob_t g = {0};
	if (glob("/sys/class/fc_host/*/port_name", 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++) {
			const char *name = fact_file(f, g.gl_pathv[i]);
			if (name && strlen(name) > 2)
				val_push(list, val_strz(f->a, name + 2));
		}
	globfree(&g);
	fact_set(f, "fibre_channel_wwn", list);
}
