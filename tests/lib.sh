# shellcheck shell=sh
# shellcheck disable=SC2034
# What tests/run, tests/demo and the groups share. Source it from the repository's root.

BUILD_PACKAGES="gcc make pkg-config binutils git libcurl4-openssl-dev libjansson-dev libssh2-1-dev libyaml-dev
libpcre2-dev libarchive-dev libssl-dev"
TEST_PACKAGES="libcmocka-dev clang-format-14 clang-tidy shellcheck valgrind python3 python3-jinja2 python3-yaml
python3-proxmoxer python3-requests ansible-core iptables ufw acl libcap2-bin openssh-client"

say() { printf '\033[1m== %s\033[0m\n' "$*"; }

root() { # COMMAND…, with the privilege it needs
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# One at a time: two groups may want packages at once, and only dpkg's lock is waited for by apt itself.
apt_get() {
	root flock /var/lib/apt env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

# need PACKAGE…: installs what is missing (Debian 12, 13, Ubuntu 22.04, 24.04). What this
# distribution does not have is named; the tests that want it then say so themselves.
need() {
	missing=
	for package; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || { echo "needs:$missing (no apt-get here, install them yourself)"; return 1; }
	say "installing$missing"
	apt_get update
	have=
	for package in $missing; do
		if apt-cache show "$package" >/dev/null 2>&1; then have="$have $package"; else echo "not in this distribution: $package"; fi
	done
	# shellcheck disable=SC2086
	apt_get install --no-install-recommends $have >/dev/null
}

# need_sshd: the program, for servers of a test's own. What its package starts and enables is not wanted here.
need_sshd() {
	[ ! -x /usr/sbin/sshd ] || return 0
	policy=/usr/sbin/policy-rc.d rc=0
	made=
	if [ ! -e $policy ]; then
		made=1
		printf '#!/bin/sh\nexit 101\n' | root tee $policy >/dev/null && root chmod 755 $policy
	fi
	need openssh-server || rc=$?
	[ -z "$made" ] || root rm -f $policy
	root systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || true
	return $rc
}

# summary_of FILE: its last "N passed, N failed, N skipped" as three numbers
summary_of() {
	sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$1" | tail -1
}
