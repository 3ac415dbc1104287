/* Processors, memory, firmware, file systems: read from /proc and /sys. */
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include "modules/facts.h"

static int64_t count_distinct(const struct val *list)
{
	int64_t n = 0;
	VAL_EACH (i, list) {
		bool seen = false;
		for (size_t j = 0; j < i; j++)
			seen = seen || val_equal(val_at(list, j), val_at(list, i));
		n += !seen;
	}
	return n;
}

void facts_processor(struct facts *f)
{
	struct str rest = str_c(fact_file(f, "/proc/cpuinfo"));
	struct val *list = val_list(f->a), *sockets = val_list(f->a);
	int64_t vcpus = 0, cores = 0, siblings = 0, n;
	while (rest.p) {
		struct str value = str_split(&rest, '\n'), key = str_trim(str_split(&value, ':'));
		value = str_trim(value);
		bool number = str_eqc(key, "processor");
		if (number || str_eqc(key, "vendor_id") || str_eqc(key, "model name") ||
		    str_eqc(key, "Processor") || str_eqc(key, "cpu"))
			val_push(list, val_str(f->a, value));
		if (number)
			vcpus++;
		else if (str_eqc(key, "physical id"))
			val_push(sockets, val_str(f->a, value));
		else if (str_eqc(key, "cpu cores") && str_int(value, &n))
			cores = n;
		else if (str_eqc(key, "siblings") && str_int(value, &n))
			siblings = n;
	}
	int64_t count = count_distinct(sockets);
	cpu_set_t set;
	CPU_ZERO(&set);
	fact_set(f, "processor", list);
	fact_int(f, "processor_count", count ? count : vcpus);
	fact_int(f, "processor_cores", cores ? cores : 1);
	int64_t threads = cores && siblings ? siblings / cores : 1;
	fact_int(f, "processor_threads_per_core", threads ? threads : 1);
	fact_int(f, "processor_vcpus", count && cores ? count * cores * (threads ? threads : 1) : vcpus);
	fact_int(f, "processor_nproc",
	         sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : vcpus);
}

/* A "Name:  123 kB" line of /proc/meminfo in MiB. */
static int64_t meminfo(const char *text, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (strncmp(p, name, n) == 0 && p[n] == ':')
			return (int64_t)(strtoull(p + n + 1, NULL, 10) / 1024);
	return 0;
}

void facts_memory(struct facts *f)
{
	const char *text = fact_file(f, "/proc/meminfo");
	int64_t total = meminfo(text, "MemTotal"), free_mb = meminfo(text, "MemFree");
	int64_t cache = meminfo(text, "Cached") + meminfo(text, "Buffers");
	int64_t swap = meminfo(text, "SwapTotal"), swap_free = meminfo(text, "SwapFree");
	struct val *all = val_map(f->a), *real = val_map(f->a), *nocache = val_map(f->a), *sw = val_map(f->a);
	fact_int(f, "memtotal_mb", total);
	fact_int(f, "memfree_mb", free_mb);
	fact_int(f, "swaptotal_mb", swap);
	fact_int(f, "swapfree_mb", swap_free);
	val_set(real, "total", val_int(f->a, total));
	val_set(real, "used", val_int(f->a, total - free_mb));
	val_set(real, "free", val_int(f->a, free_mb));
	val_set(nocache, "free", val_int(f->a, free_mb + cache));
	val_set(nocache, "used", val_int(f->a, total - free_mb - cache));
	val_set(sw, "total", val_int(f->a, swap));
	val_set(sw, "free", val_int(f->a, swap_free));
	val_set(sw, "used", val_int(f->a, swap - swap_free));
	val_set(sw, "cached", val_int(f->a, meminfo(text, "SwapCached")));
	val_set(all, "real", real);
	val_set(all, "nocache", nocache);
	val_set(all, "swap", sw);
	fact_set(f, "memory_mb", all);
	struct timespec up;
	if (clock_gettime(CLOCK_BOOTTIME, &up) == 0)
		fact_int(f, "uptime_seconds", up.tv_sec);
}

/* SMBIOS chassis types, by number. */
static const char *const form_factors[] = {
        "Unknown",
        "Other",
        "Unknown",
        "Desktop",
        "Low Profile Desktop",
        "Pizza Box",
        "Mini Tower",
        "Tower",
        "Portable",
        "Laptop",
        "Notebook",
        "Hand Held",
        "Docking Station",
        "All In One",
        "Sub Notebook",
        "Space-saving",
        "Lunch Box",
        "Main Server Chassis",
        "Expansion Chassis",
        "Sub Chassis",
        "Bus Expansion Chassis",
        "Peripheral Chassis",
        "RAID Chassis",
        "Rack Mount Chassis",
        "Sealed-case PC",
        "Multi-system",
        "CompactPCI",
        "AdvancedTCA",
        "Blade",
        "Blade Enclosure",
        "Tablet",
        "Convertible",
        "Detachable",
        "IoT Gateway",
        "Embedded PC",
        "Mini PC",
        "Stick PC",
};

void facts_dmi(struct facts *f)
{
	static const char *const names[] = {
	        "bios_date",         "bios_vendor",    "bios_version",   "board_asset_tag",
	        "board_name",        "board_serial",   "board_vendor",   "board_version",
	        "chassis_asset_tag", "chassis_serial", "chassis_vendor", "chassis_version",
	        "product_name",      "product_serial", "product_uuid",   "product_version",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *z = fact_filef(f, "/sys/devices/virtual/dmi/id/%s", names[i]);
		fact_str(f, names[i], z ? z : "NA");
	}
	const char *vendor = fact_file(f, "/sys/devices/virtual/dmi/id/sys_vendor");
	const char *type = fact_file(f, "/sys/devices/virtual/dmi/id/chassis_type");
	int64_t n;
	bool known = type && str_int(str_c(type), &n) && n > 0 &&
	             n < (int64_t)(sizeof(form_factors) / sizeof(*form_factors));
	fact_str(f, "system_vendor", vendor ? vendor : "NA");
	fact_str(f, "form_factor", known ? form_factors[n] : type ? "Unknown" : "NA");
}

/* The directories that show a part of a file system only, as a map. */
static struct val *bind_mounts(struct facts *f)
{
	struct val *dirs = val_map(f->a);
	struct str rest = str_c(fact_file(f, "/proc/self/mountinfo"));
	while (rest.n) {
		struct str line = str_split(&rest, '\n'), root = {0}, dir = {0};
		for (size_t i = 0; i < 5; i++) {
			dir = str_split(&line, ' ');
			root = i == 3 ? dir : root;
		}
		val_sets(dirs, dir, val_bool(!str_eqc(root, "/")));
	}
	return dirs;
}

/* As the kernel writes DIR: blanks and the like in octal. */
static const char *mount_key(struct facts *f, const char *dir)
{
	struct buf b = {0};
	for (; *dir; dir++)
		buf_printf(&b, strchr(" \t\n\\", *dir) ? "\\%03o" : "%c", *dir);
	const char *z = buf_take(&b, f->a).p;
	buf_free(&b);
	return z ? z : "";
}

static struct val *mount_entry(struct facts *f, const struct mntent *e, const struct val *binds)
{
	struct val *v = val_map(f->a);
	struct statvfs vfs;
	char *real = realpath(e->mnt_fsname, NULL);
	const char *uuid = fact_disk_by(f, "uuid", real ? real : e->mnt_fsname);
	bool bind = val_map_bool(binds, mount_key(f, e->mnt_dir), false);
	free(real);
	val_set(v, "mount", val_strz(f->a, e->mnt_dir));
	val_set(v, "device", val_strz(f->a, e->mnt_fsname));
	val_set(v, "fstype", val_strz(f->a, e->mnt_type));
	val_set(v, "options", val_strf(f->a, "%s%s", e->mnt_opts, bind ? ",bind" : ""));
	val_set(v, "dump", val_int(f->a, e->mnt_freq));
	val_set(v, "passno", val_int(f->a, e->mnt_passno));
	if (statvfs(e->mnt_dir, &vfs) == 0) {
		int64_t size = (int64_t)vfs.f_frsize;
		val_set(v, "size_total", val_int(f->a, size * (int64_t)vfs.f_blocks));
		val_set(v, "size_available", val_int(f->a, size * (int64_t)vfs.f_bavail));
		val_set(v, "block_size", val_int(f->a, (int64_t)vfs.f_bsize));
		val_set(v, "block_total", val_int(f->a, (int64_t)vfs.f_blocks));
		val_set(v, "block_available", val_int(f->a, (int64_t)vfs.f_bavail));
		val_set(v, "block_used", val_int(f->a, (int64_t)(vfs.f_blocks - vfs.f_bavail)));
		val_set(v, "inode_total", val_int(f->a, (int64_t)vfs.f_files));
		val_set(v, "inode_available", val_int(f->a, (int64_t)vfs.f_favail));
		val_set(v, "inode_used", val_int(f->a, (int64_t)(vfs.f_files - vfs.f_favail)));
	}
	val_set(v, "uuid", val_strz(f->a, uuid ? uuid : "N/A"));
	return v;
}

/* Of several file systems on one directory the last counts: that is the one in sight. */
void facts_mounts(struct facts *f)
{
	struct val *list = val_list(f->a), *by_dir = val_map(f->a), *binds = bind_mounts(f);
	FILE *tab = setmntent("/proc/self/mounts", "re");
	char line[8192];
	struct mntent e;
	while (tab && getmntent_r(tab, &e, line, sizeof(line)))
		if ((e.mnt_fsname[0] == '/' || strstr(e.mnt_fsname, ":/") || strchr(e.mnt_fsname, '\\')) &&
		    strcmp(e.mnt_type, "none") != 0)
			val_set(by_dir, e.mnt_dir, mount_entry(f, &e, binds));
	if (tab)
		endmntent(tab);
	MAP_EACH (i, by_dir)
		val_push(list, val_value_at(by_dir, i));
	fact_set(f, "mounts", list);
}
