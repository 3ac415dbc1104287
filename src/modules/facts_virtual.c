/* Whether this host is a guest or a container, or has guests itself. */
#include <unistd.h>
#include "modules/facts.h"

struct virt {
	struct facts *f;
	const char *type, *role; /* the first that is found */
	struct val *guest, *host;
};

static void found(struct virt *v, const char *tech, bool guest, const char *type)
{
	struct val *set = guest ? v->guest : v->host, *name = val_strz(v->f->a, tech);
	bool had = false;
	VAL_EACH (i, set)
		had = had || val_equal(val_at(set, i), name);
	if (!had)
		val_push(set, name);
	if (!v->type && type) {
		v->type = type;
		v->role = guest ? "guest" : "host";
	}
}

static void look_for_container(struct virt *v)
{
	struct facts *f = v->f;
	const char *cgroup = fact_file(f, "/proc/1/cgroup"), *run = fact_file(f, "/run/systemd/container");
	static const struct {
		const char *mark, *tech;
	} marks[] = {{"/docker", "docker"},
	             {"/lxc", "lxc"},
	             {"/system.slice/containerd.service", "containerd"},
	             {"/machine.slice/libpod-", "podman"}};
	if (fs_exists("/.dockerenv") || fs_exists("/.dockerinit")) {
		found(v, "docker", true, "docker");
		found(v, "container", true, NULL);
	}
	for (size_t i = 0; cgroup && i < sizeof(marks) / sizeof(*marks); i++)
		if (strstr(cgroup, marks[i].mark)) {
			found(v, marks[i].tech, true, marks[i].tech);
			found(v, "container", true, NULL);
		}
	/* PID 1's environment is NUL-separated; only its owner may read it. */
	const char *environ_file = "/proc/1/environ";
	struct buf b = {0};
	struct err e = {0};
	const char *container = NULL;
	if (fs_read(environ_file, &b, &e)) {
		struct str rest = buf_str(&b);
		while (rest.p) {
			struct str one = str_split(&rest, '\0');
			if (str_starts(one, "container="))
				container = arena_strndup(f->a, one.p + 10, one.n - 10);
		}
	}
	err_clear(&e);
	buf_free(&b);
	if (container && *container) {
		bool known = strcmp(container, "lxc") == 0 || strcmp(container, "podman") == 0;
		found(v, known ? container : "container", true, known ? container : "container");
		found(v, "container", true, NULL);
	}
	if (run && *run) {
		found(v, run, true, run);
		found(v, "container", true, NULL);
	}
}

static void look_at_firmware(struct virt *v)
{
	static const struct {
		const char *file, *text; /* the file begins with the text */
		const char *tech, *type;
	} rows[] = {
	        {"product_name", "KVM", "kvm", "kvm"},
	        {"product_name", "Bochs", "kvm", "kvm"},
	        {"product_name", "AHV", "kvm", "kvm"},
	        {"product_name", "RHEV", "RHEV", "RHEV"},
	        {"product_name", "oVirt", "oVirt", "oVirt"},
	        {"product_name", "VMware", "VMware", "VMware"},
	        {"product_name", "OpenStack", "openstack", "openstack"},
	        {"bios_vendor", "Xen", "xen", "xen"},
	        {"bios_vendor", "innotek GmbH", "virtualbox", "virtualbox"},
	        {"bios_vendor", "Amazon EC2", "kvm", "kvm"},
	        {"bios_vendor", "DigitalOcean", "kvm", "kvm"},
	        {"bios_vendor", "Hetzner", "kvm", "kvm"},
	        {"sys_vendor", "QEMU", "kvm", "kvm"},
	        {"sys_vendor", "KubeVirt", "KubeVirt", "KubeVirt"},
	        {"sys_vendor", "Amazon EC2", "kvm", "kvm"},
	        {"sys_vendor", "Google", "kvm", "kvm"},
	        {"sys_vendor", "Parallels", "parallels", "parallels"},
	        {"sys_vendor", "OpenStack Foundation", "openstack", "openstack"},
	        {"sys_vendor", "Microsoft Corporation", "VirtualPC", "VirtualPC"},
	        {"sys_vendor", "Scaleway", "kvm", "kvm"},
	        {"sys_vendor", "UpCloud", "kvm", "kvm"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *z = fact_filef(v->f, "/sys/devices/virtual/dmi/id/%s", rows[i].file);
		if (!z || strncmp(z, rows[i].text, strlen(rows[i].text)) != 0)
			continue;
		/* Microsoft also sells real machines. */
		const char *product = fact_file(v->f, "/sys/devices/virtual/dmi/id/product_name");
		if (strcmp(rows[i].tech, "VirtualPC") == 0 &&
		    (!product || strcmp(product, "Virtual Machine") != 0))
			continue;
		found(v, rows[i].tech, true, rows[i].type);
	}
}

void facts_virtual(struct facts *f)
{
	struct virt v = {.f = f, .guest = val_list(f->a), .host = val_list(f->a)};
	look_for_container(&v);
	look_at_firmware(&v);
	const char *xen = fact_file(f, "/proc/xen/capabilities"), *cpu = fact_file(f, "/proc/cpuinfo");
	const char *modules = fact_file(f, "/proc/modules");
	if (fs_is_dir("/proc/xen")) {
		bool dom0 = xen && strstr(xen, "control_d");
		found(&v, "xen", !dom0, "xen");
	}
	if (cpu && strstr(cpu, "QEMU"))
		found(&v, "kvm", true, "kvm");
	if (fs_exists("/dev/kvm") ||
	    (modules && (strncmp(modules, "kvm ", 4) == 0 || strstr(modules, "\nkvm "))))
		found(&v, "kvm", false, val_len(v.guest) ? NULL : "kvm");
	if (modules && strstr(modules, "vboxdrv "))
		found(&v, "virtualbox", false, val_len(v.guest) ? NULL : "virtualbox");
	fact_str(f, "virtualization_type", v.type ? v.type : "NA");
	fact_str(f, "virtualization_role", v.role ? v.role : "NA");
	fact_set(f, "virtualization_tech_guest", v.guest);
	fact_set(f, "virtualization_tech_host", v.host);
}
