/* Which distribution this is, and what manages its packages and services. */
#include <unistd.h>
#include "modules/facts.h"

static const struct {
	const char *family, *names; /* "|a|b|" */
} families[] = {
        {"Debian",
         "|Debian|Ubuntu|Raspbian|Neon|KDE neon|Linux Mint|SteamOS|Devuan|Kali|Cumulus Linux|Pop!_OS|Parrot|"
         "Pardus GNU/Linux|Uos|Deepin|OSMC|Linuxmint|"},
        {"RedHat",
         "|RedHat|RHEL|Fedora|CentOS|Scientific|SLC|Ascendos|CloudLinux|PSBM|OracleLinux|OVS|OEL|Amazon|Amzn|"
         "Virtuozzo|XenServer|Alibaba|EulerOS|openEuler|AlmaLinux|Rocky|TencentOS|EuroLinux|Kylin Linux "
         "Advanced Server|"},
        {"Suse",
         "|SuSE|SLES|SLED|openSUSE|openSUSE Tumbleweed|SLES_SAP|SUSE_LINUX|openSUSE Leap|ALP-Dolomite|"},
        {"Archlinux", "|Archlinux|Antergos|Manjaro|"},
        {"Gentoo", "|Gentoo|Funtoo|"},
        {"Alpine", "|Alpine|"},
        {"Mandrake", "|Mandrake|Mandriva|"},
        {"NixOS", "|NixOS|"},
        {"Void", "|Void|"},
        {"Slackware", "|Slackware|"},
        {"ClearLinux", "|Clear Linux OS|Clear Linux Mix|"},
};

/* os-release's ID to Ansible's name of the distribution and the file it says it looked at. */
static const struct {
	const char *id, *name, *variety, *path;
} ids[] = {
        {"debian", "Debian", "Debian", "/etc/os-release"},
        {"ubuntu", "Ubuntu", "Debian", "/etc/os-release"},
        {"raspbian", "Debian", "Debian", "/etc/os-release"},
        {"linuxmint", "Linux Mint", "Debian", "/etc/os-release"},
        {"devuan", "Devuan", "Debian", "/etc/os-release"},
        {"kali", "Kali", "Debian", "/etc/os-release"},
        {"pop", "Pop!_OS", "Debian", "/etc/os-release"},
        {"rhel", "RedHat", "RedHat", "/etc/redhat-release"},
        {"centos", "CentOS", "CentOS", "/etc/centos-release"},
        {"fedora", "Fedora", "RedHat", "/etc/redhat-release"},
        {"rocky", "Rocky", "RedHat", "/etc/redhat-release"},
        {"almalinux", "AlmaLinux", "RedHat", "/etc/redhat-release"},
        {"ol", "OracleLinux", "OracleLinux", "/etc/oracle-release"},
        {"amzn", "Amazon", "Amazon", "/etc/os-release"},
        {"sles", "SLES", "SUSE", "/etc/os-release"},
        {"opensuse-leap", "openSUSE Leap", "SUSE", "/etc/os-release"},
        {"opensuse-tumbleweed", "openSUSE Tumbleweed", "SUSE", "/etc/os-release"},
        {"arch", "Archlinux", "Archlinux", "/etc/arch-release"},
        {"manjaro", "Manjaro", "Manjaro", "/etc/os-release"},
        {"alpine", "Alpine", "Alpine", "/etc/alpine-release"},
        {"gentoo", "Gentoo", "Gentoo", "/etc/gentoo-release"},
        {"nixos", "NixOS", "NixOS", "/etc/os-release"},
        {"void", "Void", "Void", "/etc/os-release"},
};

static const char *os_family(struct facts *f, const char *name)
{
	const char *needle = arena_printf(f->a, "|%s|", name);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (strstr(families[i].names, needle))
			return families[i].family;
	return name;
}

/* The release's name in words: VERSION_CODENAME, or what VERSION has in parentheses. */
static const char *codename(struct facts *f, const char *os)
{
	const char *z = fact_assigned(f, os, "VERSION_CODENAME");
	if (z && *z)
		return z;
	z = fact_assigned(f, os, "VERSION");
	const char *open = z ? strchr(z, '(') : NULL, *close = open ? strchr(open, ')') : NULL;
	return close ? arena_strndup(f->a, open + 1, (size_t)(close - open - 1)) : "NA";
}

void facts_distribution(struct facts *f)
{
	const char *os = fact_file(f, "/etc/os-release");
	const char *id = os ? fact_assigned(f, os, "ID") : NULL,
	           *version = os ? fact_assigned(f, os, "VERSION_ID") : NULL;
	const char *name = "Linux", *variety = NULL, *path = NULL;
	for (size_t i = 0; id && i < sizeof(ids) / sizeof(*ids); i++)
		if (strcmp(ids[i].id, id) == 0) {
			name = ids[i].name;
			variety = ids[i].variety;
			path = ids[i].path;
		}
	if (id && !path && (name = fact_assigned(f, os, "NAME")))
		path = "/etc/os-release";
	/* Debian's os-release has no minor version. */
	const char *full = name && strcmp(name, "Debian") == 0 ? fact_file(f, "/etc/debian_version") : NULL;
	if (full && *full >= '0' && *full <= '9')
		version = full;
	fact_str(f, "distribution", name ? name : "Linux");
	fact_str(f, "distribution_release", os ? codename(f, os) : "NA");
	fact_str(f, "distribution_version", version ? version : "NA");
	if (version) {
		const char *dot = strchr(version, '.');
		fact_str(f, "distribution_major_version",
		         dot ? arena_strndup(f->a, version, (size_t)(dot - version)) : version);
		if (full && dot)
			fact_str(f, "distribution_minor_version", dot + 1);
	} else {
		fact_str(f, "distribution_major_version", "NA");
	}
	if (path) {
		fact_str(f, "distribution_file_path", path);
		fact_bool(f, "distribution_file_parsed", true);
	}
	fact_str(f, "distribution_file_variety", variety);
	fact_str(f, "os_family", os_family(f, name ? name : "Linux"));
}

void facts_pkg_mgr(struct facts *f)
{
	static const struct {
		const char *path, *name;
	} all[] = {
	        {"/usr/bin/dnf5", "dnf5"},      {"/usr/bin/dnf", "dnf"},
	        {"/usr/bin/yum", "yum"},        {"/usr/bin/zypper", "zypper"},
	        {"/usr/bin/pacman", "pacman"},  {"/sbin/apk", "apk"},
	        {"/usr/bin/apt-get", "apt"},    {"/usr/bin/xbps-install", "xbps"},
	        {"/usr/bin/emerge", "portage"}, {"/usr/sbin/urpmi", "urpmi"},
	        {"/usr/bin/swupd", "swupd"},
	};
	const char *found = "unknown";
	bool debian =
	        strcmp(fact_text(f, "os_family"), "Debian") == 0 && access("/usr/bin/apt-get", X_OK) == 0;
	for (size_t i = sizeof(all) / sizeof(*all); i-- > 0;)
		if (access(all[i].path, X_OK) == 0)
			found = all[i].name;
	fact_str(f, "pkg_mgr", debian ? "apt" : found);
}

void facts_service_mgr(struct facts *f)
{
	const char *comm = fact_file(f, "/proc/1/comm"), *mgr = NULL;
	static const char *const marks[] = {"/run/systemd/system/", "/dev/.run/systemd/", "/dev/.systemd/"};
	static const char *const runners[] = {"runit-init", "svscan", "openrc-init"};
	if (comm && strcmp(comm, "init") != 0 && !strstr(comm, "COMMAND"))
		mgr = comm;
	if (mgr && (strcmp(mgr, "sh") == 0 || strcmp(mgr, "bash") == 0))
		mgr = NULL;
	for (size_t i = 0; mgr && i < sizeof(runners) / sizeof(*runners); i++)
		if (strcmp(mgr, runners[i]) == 0) {
			static const char *const names[] = {"runit", "svc", "openrc"};
			fact_str(f, "service_mgr", names[i]);
			return;
		}
	for (size_t i = 0; !mgr && i < sizeof(marks) / sizeof(*marks); i++)
		if (mod_which(f->m, "systemctl") && fs_exists(marks[i]))
			mgr = "systemd";
	if (!mgr && mod_which(f->m, "initctl") && fs_is_dir("/etc/init"))
		mgr = "upstart";
	if (!mgr && fs_exists("/sbin/openrc"))
		mgr = "openrc";
	if (!mgr && fs_is_dir("/etc/init.d"))
		mgr = "sysvinit";
	fact_str(f, "service_mgr", mgr ? mgr : "service");
}

void facts_systemd(struct facts *f)
{
	struct mod_out out;
	if (strcmp(fact_text(f, "service_mgr"), "systemd") != 0 ||
	    !mod_exec(f->m, &out, "systemctl", "--version", NULL) || out.rc != 0)
		return;
	struct str rest = out.out, line = str_split(&rest, '\n');
	(void)str_split(&line, ' ');
	struct val *v = val_map(f->a);
	int64_t n;
	struct str number = str_split(&line, ' ');
	if (str_int(number, &n))
		val_set(v, "version", val_int(f->a, n));
	val_set(v, "features", val_str(f->a, str_trim(rest)));
	fact_set(f, "systemd", v);
}

void facts_lsb(struct facts *f)
{
	struct val *lsb = val_map(f->a);
	const char *file = fact_file(f, "/etc/lsb-release"), *os = fact_file(f, "/etc/os-release");
	const char *id = NULL, *release = NULL, *text = NULL, *code = NULL;
	if (file) {
		id = fact_assigned(f, file, "DISTRIB_ID");
		release = fact_assigned(f, file, "DISTRIB_RELEASE");
		text = fact_assigned(f, file, "DISTRIB_DESCRIPTION");
		code = fact_assigned(f, file, "DISTRIB_CODENAME");
	} else if (os && mod_which(f->m, "lsb_release")) {
		/* What lsb_release itself reads. */
		id = fact_text(f, "distribution");
		release = fact_assigned(f, os, "VERSION_ID");
		text = fact_assigned(f, os, "PRETTY_NAME");
		code = fact_assigned(f, os, "VERSION_CODENAME");
	}
	if (id)
		val_set(lsb, "id", val_strz(f->a, id));
	if (release) {
		val_set(lsb, "release", val_strz(f->a, release));
		val_set(lsb, "major_release", val_str(f->a, str_n(release, strcspn(release, "."))));
	}
	if (text)
		val_set(lsb, "description", val_strz(f->a, text));
	if (code)
		val_set(lsb, "codename", val_strz(f->a, code));
	fact_set(f, "lsb", lsb);
}
