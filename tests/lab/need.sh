# Sourced by tests/run and tests/demo: installs Debian packages that are not there yet.
# Debian 12/13, Ubuntu 22.04/24.04; POSIX sh; root.

# need PACKAGE... : install those of the packages that are missing.
need()
{
	need_missing=
	for need_p in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$need_p" 2>/dev/null) in
		installed) ;;
		*) need_missing="$need_missing $need_p" ;;
		esac
	done
	[ -n "$need_missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "need: run as root, or install:$need_missing" >&2
		return 1
	fi
	need_lock='-o DPkg::Lock::Timeout=300'
	# The lists may be recent enough; a refresh is only worth its seconds when they are not.
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need_lock \
		$need_missing >/dev/null 2>&1 && return 0
	# shellcheck disable=SC2086
	apt-get update -qq $need_lock >/dev/null &&
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			$need_lock $need_missing >/dev/null
}

# need_lab : what tests/lab runs on.
need_lab()
{
	need mmdebstrap debian-archive-keyring systemd-container dnsmasq-base iproute2 openssl \
		openssh-client util-linux procps python3
}
