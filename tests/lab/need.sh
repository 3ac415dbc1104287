# shellcheck shell=sh
# need_lab: what tests/lab runs on. Source it after tests/lib.sh, whose `need` it uses.

need_lab() {
	need mmdebstrap debian-archive-keyring systemd-container dnsmasq-base iproute2 openssl \
		openssh-client util-linux procps tar python3
}
