/*
 * facts - what setup gathers: one function per topic, each adding members named as Ansible names them.
 */
#ifndef MODULES_FACTS_H
#define MODULES_FACTS_H
#include "modules/module.h"

struct facts {
	struct mod_ctx *m;
	struct arena *a;
	struct val *out; /* keys with the ansible_ prefix */
};

/* Adding. KEY without the prefix; a NULL text is not added. */
void fact_set(struct facts *f, const char *key, struct val *v);
void fact_str(struct facts *f, const char *key, const char *z);
void fact_int(struct facts *f, const char *key, int64_t i);
void fact_bool(struct facts *f, const char *key, bool b);
/* What was added under KEY, as text ("" when nothing). */
const char *fact_text(struct facts *f, const char *key);

/* The content of a small file without white space at its ends; NULL when it cannot be read. */
const char *fact_file(struct facts *f, const char *path);
const char *fact_filef(struct facts *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Member KEY of a KEY=VALUE file's text, unquoted; NULL when absent. */
const char *fact_assigned(struct facts *f, const char *text, const char *key);

void facts_platform(struct facts *f);
void facts_distribution(struct facts *f);
void facts_pkg_mgr(struct facts *f);
void facts_service_mgr(struct facts *f);
void facts_lsb(struct facts *f);
void facts_date_time(struct facts *f);
void facts_user(struct facts *f);
void facts_env(struct facts *f);
void facts_cmdline(struct facts *f);
void facts_dns(struct facts *f);
void facts_local(struct facts *f);
void facts_selinux(struct facts *f);
void facts_apparmor(struct facts *f);
void facts_fips(struct facts *f);
void facts_caps(struct facts *f);
void facts_ssh_keys(struct facts *f);
void facts_python(struct facts *f);
void facts_systemd(struct facts *f);
void facts_loadavg(struct facts *f);
void facts_chroot(struct facts *f);
void facts_processor(struct facts *f);
void facts_memory(struct facts *f);
void facts_dmi(struct facts *f);
void facts_mounts(struct facts *f);
void facts_devices(struct facts *f);
void facts_lvm(struct facts *f);
void facts_iscsi(struct facts *f);
void facts_nvme(struct facts *f);
void facts_fibre_channel(struct facts *f);
/* The name under /dev/disk/by-KIND whose link ends at DEVICE; NULL when there is none. */
const char *fact_disk_by(struct facts *f, const char *kind, const char *device);
void facts_network(struct facts *f);
void facts_virtual(struct facts *f);
#endif
