#!/bin/sh
# setup.sh ROOT: turn a fresh Debian tree into the lab's cloud image. Runs as mmdebstrap's last hook.
set -eu
root=$1
here=$(dirname "$0")

install -m 755 "$here/cloud-init" "$root/usr/bin/cloud-init"
install -m 644 "$here/lab-agent.service" "$root/etc/systemd/system/lab-agent.service"
install -d "$root/etc/ssh/sshd_config.d" "$root/var/lib/cloud"
cat >"$root/etc/ssh/sshd_config.d/10-cloud-image.conf" <<'S'
PasswordAuthentication no
PermitRootLogin no
S
# The recorded mirror may replay indices past their date.
cat >"$root/etc/apt/apt.conf.d/90lab" <<'S'
Acquire::Check-Valid-Until "false";
Acquire::PDiffs "false";
S
# Hosts speak plain http to the mirror, whatever this machine uses; Debian's signatures guard the content.
find "$root/etc/apt" -name '*.list' -o -name '*.sources' | while read -r f; do
	sed -i 's,https://,http://,' "$f"
done

chroot "$root" systemctl -q enable systemd-networkd ssh lab-agent
chroot "$root" systemctl -q mask systemd-networkd-wait-online.service getty-static.service \
	console-getty.service systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer \
	e2scrub_all.timer e2scrub_reap.service
chroot "$root" systemctl -q set-default multi-user.target
echo 'en_US.UTF-8 UTF-8' >"$root/etc/locale.gen"
chroot "$root" locale-gen >/dev/null
echo LANG=en_US.UTF-8 >"$root/etc/default/locale"

# A clone gets its own of these.
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id" "$root/etc/resolv.conf" \
	"$root/etc/hostname" "$root/usr/sbin/policy-rc.d"
: >"$root/etc/machine-id"
