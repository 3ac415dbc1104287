#!/bin/sh
# Runs the shipped roles with the real ansible-playbook on three booted hosts of the lab: a first run that ends in a
# proven cluster, and a second that must change nothing.
#   tests/roles/run.sh [SUITE] [POSTGRESQL_VERSION]        bookworm 15, trixie 17
# KEEP=1 leaves the lab up.
set -eu
cd "$(dirname "$0")/../.."
suite=${1:-bookworm} version=${2:-15}
export NANTE_LAB="${NANTE_LAB:-roles}"
lab=tests/lab/lab
work=$(mktemp -d)
tidy() {
	rm -rf "$work"
	[ -n "${KEEP:-}" ] || "$lab" down
}
trap tidy EXIT
"$lab" up --suite "$suite"
for n in 1 2 3; do "$lab" host new "patroni-prod-node$n" "192.168.10.5$n" & done
wait
"$lab" inventory >"$work/hosts"
printf '\n[all:vars]\nnante_subnet=192.168.10.0/24\n' >>"$work/hosts"

export POSTGRESQL_VERSION="$version"
export PATRONI_SUPERUSER_PASSWORD='Sup3r $pw "1}' PATRONI_ADMIN_PASSWORD="Adm1n'pw\\x #y" PATRONI_REPLICATION_PASSWORD='Repl-pass: w0rd%'
export ANSIBLE_ROLES_PATH="$PWD/roles" ANSIBLE_PIPELINING=1 ANSIBLE_HOST_KEY_CHECKING=0 ANSIBLE_FORKS=10 ANSIBLE_NOCOLOR=1
export ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3 ANSIBLE_LOCAL_TEMP="$work/tmp" ANSIBLE_SHOW_CUSTOM_STATS=1
export ANSIBLE_SSH_ARGS="-o ControlMaster=auto -o ControlPersist=60 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
export ANSIBLE_SSH_CONTROL_PATH_DIR="$work/cp"
play() { "$lab" exec -- /usr/bin/ansible-playbook -i "$work/hosts" tests/roles/site.yml >"$work/$1" 2>&1 || { cat "$work/$1"; exit 1; }; }
recap() { sed -n '/^PLAY RECAP/,$p' "$work/$1"; }
state() { for n in 1 2 3; do "$lab" ssh "patroni-prod-node$n" "systemctl show -p MainPID -p ExecMainStartTimestamp etcd patroni; sudo head -3 /var/lib/postgresql/$version/main/postmaster.pid"; done; }

play first
recap first
state >"$work/before"
play second
recap second
state >"$work/after"
if grep -E 'changed=[1-9]' "$work/second"; then
	echo 'not ok: the second run changed something'
	grep -B20 '^changed:' "$work/second"
	exit 1
fi
cmp "$work/before" "$work/after" || { echo 'not ok: a process was restarted by the second run'; exit 1; }
echo 'ok: a cluster, and nothing changed by a second run'
