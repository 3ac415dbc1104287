/* The running system: names, time, user, environment, local facts. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>
#include "base/json.h"
#include "base/proc.h"
#include "modules/facts.h"
#include "modules/ini.h"
#include "modules/users.h"

/* The names /etc/hosts, or else the host's resolver, gives for NAME's address: "canonical alias alias". */
static const char *host_names(struct facts *f, const char *name)
{
	const char *hosts = fact_file(f, "/etc/hosts");
	struct str rest = str_c(hosts), address = {0};
	for (int pass = 0; pass < 2; pass++) {
		rest = str_c(hosts);
		while (rest.p) {
			struct str line = str_split(&rest, '\n');
			line.n = line.p && memchr(line.p, '#', line.n)
			                 ? (size_t)((const char *)memchr(line.p, '#', line.n) - line.p)
			                 : line.n;
			line = str_trim(line);
			size_t n = 0;
			while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
				n++;
			struct str addr = str_n(line.p, n), names = str_trim(str_n(line.p + n, line.n - n));
			if (pass == 1 && address.n && str_eq(addr, address))
				return arena_strndup(f->a, names.p, names.n);
			for (size_t i = 0; pass == 0 && i < names.n;) {
				size_t end = i;
				while (end < names.n && names.p[end] != ' ' && names.p[end] != '\t')
					end++;
				if (end > i && str_eqc(str_n(names.p + i, end - i), name) && !address.n)
					address = addr;
				i = end + 1;
			}
		}
		if (!address.n)
			break;
	}
	const char *argv[] = {"getent", "hosts", name, NULL};
	struct proc_opts o = {.argv = argv, .timeout_ms = 2000};
	struct proc_result r = {0};
	struct err e = {0};
	const char *ret = NULL;
	if (proc_run(&o, &r, &e) && r.status == 0) {
		struct str line = buf_str(&r.out);
		line = str_split(&line, '\n');
		(void)str_split(&line, ' ');
		line = str_trim(line);
		ret = arena_strndup(f->a, line.p ? line.p : "", line.n);
	}
	err_clear(&e);
	proc_result_free(&r);
	return ret;
}

static const char *full_name(struct facts *f, const char *node)
{
	if (strchr(node, '.'))
		return node;
	const char *all = host_names(f, node), *first = NULL;
	struct str rest = str_c(all);
	while (rest.p) {
		struct str w = str_trim(str_split(&rest, ' '));
		if (!w.n)
			continue;
		const char *z = arena_strndup(f->a, w.p, w.n);
		if (strchr(z, '.'))
			return z;
		if (!first)
			first = z;
	}
	return first ? first : node;
}

void facts_platform(struct facts *f)
{
	struct utsname u;
	if (uname(&u) != 0)
		return;
	const char *node = arena_strdup(f->a, u.nodename), *fqdn = full_name(f, node),
	           *dot = strchr(fqdn, '.');
	bool wide = strstr(u.machine, "64") || strcmp(u.machine, "s390x") == 0;
	fact_str(f, "system", u.sysname);
	fact_str(f, "kernel", u.release);
	fact_str(f, "kernel_version", u.version);
	fact_str(f, "machine", u.machine);
	fact_str(f, "architecture", u.machine[0] == 'i' && strstr(u.machine, "86") ? "i386" : u.machine);
	fact_str(f, "userspace_bits", wide ? "64" : "32");
	fact_str(f, "userspace_architecture", u.machine);
	fact_str(f, "nodename", node);
	fact_str(f, "hostname", arena_strndup(f->a, node, strcspn(node, ".")));
	fact_str(f, "fqdn", fqdn);
	fact_str(f, "domain", dot ? dot + 1 : "");
	const char *id = fact_file(f, "/etc/machine-id");
	fact_str(f, "machine_id", id ? id : fact_file(f, "/var/lib/dbus/machine-id"));
}

/* Who may not look at PID 1's root goes by the inode a file system's root has, as Ansible does. */
static bool is_chroot(void)
{
	struct stat root, init;
	struct statfs fs;
	if (getenv("debian_chroot"))
		return true;
	if (stat("/", &root) != 0)
		return false;
	if (stat("/proc/1/root/.", &init) == 0)
		return root.st_ino != init.st_ino || root.st_dev != init.st_dev;
	if (statfs("/", &fs) != 0)
		return false;
	return root.st_ino != (fs.f_type == BTRFS_SUPER_MAGIC ? 256 : fs.f_type == XFS_SUPER_MAGIC ? 128 : 2);
}

void facts_chroot(struct facts *f)
{
	fact_bool(f, "is_chroot", is_chroot());
}

void facts_date_time(struct facts *f)
{
	static const struct {
		const char *key, *format;
		bool utc;
	} parts[] = {
	        {"year", "%Y", false},
	        {"month", "%m", false},
	        {"weekday", "%A", false},
	        {"weekday_number", "%w", false},
	        {"weeknumber", "%W", false},
	        {"day", "%d", false},
	        {"hour", "%H", false},
	        {"minute", "%M", false},
	        {"second", "%S", false},
	        {"epoch", "%s", false},
	        {"epoch_int", "%s", false},
	        {"date", "%Y-%m-%d", false},
	        {"time", "%H:%M:%S", false},
	        {"iso8601", "%Y-%m-%dT%H:%M:%SZ", true},
	        {"iso8601_basic_short", "%Y%m%dT%H%M%S", false},
	        {"tz", "%Z", false},
	        {"tz_offset", "%z", false},
	};
	struct timespec now;
	struct tm local, utc;
	char z[64];
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	gmtime_r(&now.tv_sec, &utc);
	struct val *v = val_map(f->a);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		strftime(z, sizeof(z), parts[i].format, parts[i].utc ? &utc : &local);
		if (parts[i].format[1] == 's')
			val_set(v, parts[i].key, val_strf(f->a, "%lld", (long long)now.tv_sec));
		else
			val_set(v, parts[i].key, val_strz(f->a, z));
	}
	strftime(z, sizeof(z), "%Y-%m-%dT%H:%M:%S", &utc);
	val_set(v, "iso8601_micro", val_strf(f->a, "%s.%06ldZ", z, now.tv_nsec / 1000));
	strftime(z, sizeof(z), "%Y%m%dT%H%M%S", &local);
	val_set(v, "iso8601_basic", val_strf(f->a, "%s%06ld", z, now.tv_nsec / 1000));
	val_set(v, "tz_dst", val_strz(f->a, tzname[1] && *tzname[1] ? tzname[1] : tzname[0]));
	fact_set(f, "date_time", v);
}

void facts_user(struct facts *f)
{
	const struct user *u = user_by_id(f->a, geteuid());
	if (u) {
		fact_str(f, "user_id", u->name);
		fact_str(f, "user_dir", u->home);
		fact_str(f, "user_shell", u->shell);
		fact_str(f, "user_gecos", u->gecos);
		fact_int(f, "user_uid", u->uid);
		fact_int(f, "user_gid", u->gid);
	}
	fact_int(f, "real_user_id", getuid());
	fact_int(f, "effective_user_id", geteuid());
	fact_int(f, "real_group_id", getgid());
	fact_int(f, "effective_group_id", getegid());
}

void facts_env(struct facts *f)
{
	struct val *v = val_map(f->a);
	for (const char *const *e = f->m->env; e && *e; e++) {
		size_t n = strcspn(*e, "=");
		if ((*e)[n])
			val_sets(v, str_n(*e, n), val_strz(f->a, *e + n + 1));
	}
	fact_set(f, "env", v);
}

void facts_cmdline(struct facts *f)
{
	const char *line = fact_file(f, "/proc/cmdline");
	struct val *last = val_map(f->a), *all = val_map(f->a);
	struct str rest = str_c(line);
	while (rest.p) {
		struct str value = str_trim(str_split(&rest, ' ')), key;
		if (!value.n)
			continue;
		key = str_split(&value, '=');
		struct val *v = value.p ? val_str(f->a, value) : val_bool(true), *had = val_gets(all, key);
		val_sets(last, key, v);
		if (had && !val_is_list(had)) {
			struct val *list = val_list(f->a);
			val_push(list, had);
			val_push(list, v);
			v = list;
		} else if (had) {
			val_push(had, v);
			v = had;
		}
		val_sets(all, key, v);
	}
	fact_set(f, "cmdline", last);
	fact_set(f, "proc_cmdline", all);
}

void facts_dns(struct facts *f)
{
	struct val *dns = val_map(f->a);
	struct str rest = str_c(fact_file(f, "/etc/resolv.conf"));
	while (rest.p) {
		struct str line = str_trim(str_split(&rest, '\n'));
		if (!line.n || line.p[0] == '#' || line.p[0] == ';')
			continue;
		struct val *words = val_list(f->a);
		for (size_t i = 0; i < line.n;) {
			size_t end = i;
			while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t')
				end++;
			if (end > i)
				val_push(words, val_str(f->a, str_n(line.p + i, end - i)));
			i = end + 1;
		}
		if (val_len(words) < 2)
			continue;
		const char *key = val_get_strz(val_at(words, 0));
		val_remove_at(words, 0);
		if (strcmp(key, "nameserver") == 0) {
			struct val *list = val_get(dns, "nameservers");
			if (!list)
				val_set(dns, "nameservers", list = val_list(f->a));
			val_push(list, val_at(words, 0));
		} else if (strcmp(key, "domain") == 0) {
			val_set(dns, "domain", val_at(words, 0));
		} else if (strcmp(key, "search") == 0 || strcmp(key, "sortlist") == 0) {
			val_set(dns, key, words);
		} else if (strcmp(key, "options") == 0) {
			struct val *options = val_map(f->a);
			VAL_EACH (i, words) {
				struct str value = val_get_str(val_at(words, i)),
				           name = str_split(&value, ':');
				val_sets(options, name, value.p ? val_str(f->a, value) : val_bool(true));
			}
			val_set(dns, "options", options);
		}
	}
	fact_set(f, "dns", dns);
}

/* One *.fact: what it prints when it may be run, else what it holds; JSON or ini. */
static struct val *local_fact(struct facts *f, const char *path)
{
	struct err e = {0};
	struct val *v = NULL;
	struct mod_out out;
	const char *text;
	if (access(path, X_OK) == 0) {
		if (!mod_exec(f->m, &out, path, NULL))
			return val_strf(f->a, "Could not execute fact script (%s)", path);
		if (out.rc != 0)
			return val_strf(f->a, "Failure executing fact script (%s), rc: %d, err: %.*s", path,
			                out.rc, STR_FMT(out.err));
		text = out.out.p ? out.out.p : "";
	} else if (!(text = fact_file(f, path))) {
		return val_strz(f->a, "");
	}
	bool ok = json_parse(f->a, str_c(text), 0, &v, &e);
	err_clear(&e);
	if (!ok)
		v = ini_to_val(f->a, str_c(text));
	return v ? v : val_strf(f->a, "error loading facts as JSON or ini - please check content: %s", path);
}

void facts_local(struct facts *f)
{
	const char *dir = mod_arg(f->m, "fact_path");
	struct val *local = val_map(f->a);
	struct dirent **all = NULL;
	int n = scandir(dir ? dir : "/etc/ansible/facts.d", &all, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		struct str name = str_c(all[i]->d_name);
		if (str_ends(name, ".fact"))
			val_sets(local, str_n(name.p, name.n - 5),
			         local_fact(f, fs_join(f->a, dir, all[i]->d_name)));
		free(all[i]);
	}
	free(all);
	fact_set(f, "local", local);
}

/* What the agent may do beyond an ordinary user; nothing is listed when that is everything. */
void facts_caps(struct facts *f)
{
	static const char *const names[] = {
	        "chown",
	        "dac_override",
	        "dac_read_search",
	        "fowner",
	        "fsetid",
	        "kill",
	        "setgid",
	        "setuid",
	        "setpcap",
	        "linux_immutable",
	        "net_bind_service",
	        "net_broadcast",
	        "net_admin",
	        "net_raw",
	        "ipc_lock",
	        "ipc_owner",
	        "sys_module",
	        "sys_rawio",
	        "sys_chroot",
	        "sys_ptrace",
	        "sys_pacct",
	        "sys_admin",
	        "sys_boot",
	        "sys_nice",
	        "sys_resource",
	        "sys_time",
	        "sys_tty_config",
	        "mknod",
	        "lease",
	        "audit_write",
	        "audit_control",
	        "setfcap",
	        "mac_override",
	        "mac_admin",
	        "syslog",
	        "wake_alarm",
	        "block_suspend",
	        "audit_read",
	        "perfmon",
	        "bpf",
	        "checkpoint_restore",
	};
	const char *status = fact_file(f, "/proc/self/status"),
	           *last = fact_file(f, "/proc/sys/kernel/cap_last_cap");
	const char *line = status ? strstr(status, "CapEff:") : NULL;
	int64_t top = 40;
	struct val *caps = val_list(f->a);
	if (last)
		str_int(str_c(last), &top);
	uint64_t have = line ? strtoull(line + 7, NULL, 16) : 0,
	         all = top >= 63 ? UINT64_MAX : (1ULL << (top + 1)) - 1;
	for (size_t i = 0; have != all && i < sizeof(names) / sizeof(*names); i++)
		if (have & (1ULL << i))
			val_push(caps, val_strf(f->a, "cap_%s", names[i]));
	fact_str(f, "system_capabilities_enforced", have == all ? "False" : "True");
	fact_set(f, "system_capabilities", caps);
}

void facts_selinux(struct facts *f)
{
	struct val *selinux = val_map(f->a);
	const char *enforce = fact_file(f, "/sys/fs/selinux/enforce"),
	           *config = fact_file(f, "/etc/selinux/config");
	val_set(selinux, "status", val_strz(f->a, enforce ? "enabled" : "disabled"));
	if (enforce) {
		const char *mode = config ? fact_assigned(f, config, "SELINUX") : NULL;
		const char *type = config ? fact_assigned(f, config, "SELINUXTYPE") : NULL;
		const char *version = fact_file(f, "/sys/fs/selinux/policyvers");
		int64_t n;
		val_set(selinux, "mode",
		        val_strz(f->a, strcmp(enforce, "1") == 0 ? "enforcing" : "permissive"));
		val_set(selinux, "config_mode", val_strz(f->a, mode ? mode : "unknown"));
		val_set(selinux, "type", val_strz(f->a, type ? type : "unknown"));
		if (version && str_int(str_c(version), &n))
			val_set(selinux, "policyvers", val_int(f->a, n));
	}
	fact_set(f, "selinux", selinux);
	fact_bool(f, "selinux_python_present", true);
}

void facts_apparmor(struct facts *f)
{
	struct val *apparmor = val_map(f->a);
	val_set(apparmor, "status",
	        val_strz(f->a, fs_exists("/sys/kernel/security/apparmor") ? "enabled" : "disabled"));
	fact_set(f, "apparmor", apparmor);
}

void facts_fips(struct facts *f)
{
	const char *fips = fact_file(f, "/proc/sys/crypto/fips_enabled");
	fact_bool(f, "fips", fips && strcmp(fips, "1") == 0);
}

void facts_ssh_keys(struct facts *f)
{
	static const char *const kinds[] = {"dsa", "rsa", "ecdsa", "ed25519"};
	static const char *const dirs[] = {"/etc/ssh", "/etc/openssh", "/etc"};
	for (size_t d = 0; d < 3; d++) {
		bool found = false;
		for (size_t k = 0; k < 4; k++) {
			const char *line = fact_filef(f, "%s/ssh_host_%s_key.pub", dirs[d], kinds[k]);
			struct str rest = str_c(line), type = str_split(&rest, ' ');
			if (!line || !rest.p)
				continue;
			struct str key = str_split(&rest, ' ');
			const char *name = arena_printf(f->a, "ssh_host_key_%s_public", kinds[k]);
			fact_set(f, name, val_str(f->a, key));
			fact_set(f, arena_printf(f->a, "%s_keytype", name), val_str(f->a, type));
			found = true;
		}
		if (found)
			return;
	}
}

/* What "python3" would be on a host that has none: the one its distribution brings. */
static const char *usual_python(struct facts *f)
{
	static const char *const versions[][2] = {
	        {"bullseye", "3.9.2"}, {"bookworm", "3.11.2"}, {"trixie", "3.13.5"}, {"focal", "3.8.10"},
	        {"jammy", "3.10.12"},  {"noble", "3.12.3"},    {NULL, "3.11.2"},
	};
	const char *text = fact_file(f, "/etc/os-release");
	const char *release = text ? fact_assigned(f, text, "VERSION_CODENAME") : NULL;
	size_t i = 0;
	while (versions[i][0] && strcmp(versions[i][0], release ? release : "") != 0)
		i++;
	return versions[i][1];
}

/* Python is not needed here, but roles choose packages by its version: there is always an answer. */
void facts_python(struct facts *f)
{
	static const char *const places[] = {"/usr/bin/python3", "/usr/local/bin/python3",
	                                     "/usr/libexec/platform-python"};
	const char *exe = NULL;
	struct mod_out out;
	for (size_t i = 0; !exe && i < sizeof(places) / sizeof(*places); i++)
		exe = access(places[i], X_OK) == 0 ? places[i] : NULL;
	struct str version = str_c(usual_python(f)), rest;
	if (exe && mod_exec(f->m, &out, exe, "-V", NULL) && out.rc == 0) {
		version = str_trim(out.out);
		(void)str_split(&version, ' ');
	}
	exe = exe ? exe : places[0];
	struct val *py = val_map(f->a), *v = val_map(f->a), *info = val_list(f->a);
	static const char *const parts[] = {"major", "minor", "micro"};
	rest = version;
	for (size_t i = 0; i < 3; i++) {
		int64_t n = 0;
		struct str digits = rest.p ? str_split(&rest, '.') : (struct str){0};
		size_t len = 0;
		while (len < digits.n && digits.p[len] >= '0' && digits.p[len] <= '9')
			len++;
		str_int(str_n(digits.p, len), &n);
		val_set(v, parts[i], val_int(f->a, n));
		val_push(info, val_int(f->a, n));
	}
	val_set(v, "releaselevel", val_strz(f->a, "final"));
	val_set(v, "serial", val_int(f->a, 0));
	val_push(info, val_strz(f->a, "final"));
	val_push(info, val_int(f->a, 0));
	val_set(py, "version", v);
	val_set(py, "version_info", info);
	val_set(py, "executable", val_strz(f->a, exe));
	val_set(py, "has_sslcontext", val_bool(true));
	val_set(py, "type", val_strz(f->a, "cpython"));
	fact_set(f, "python", py);
	fact_set(f, "python_version", val_str(f->a, version));
}

void facts_loadavg(struct facts *f)
{
	static const char *const names[] = {"1m", "5m", "15m"};
	double avg[3];
	struct val *v = val_map(f->a);
	if (getloadavg(avg, 3) != 3)
		return;
	for (size_t i = 0; i < 3; i++)
		val_set(v, names[i], val_float(f->a, avg[i]));
	fact_set(f, "loadavg", v);
}
