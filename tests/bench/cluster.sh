#!/bin/bash
# The cluster of the examples by hand: what one writes who knows all hosts are new and nothing ever fails. Same packages,
# files and order as the roles base_setup, etcd and patroni, but no TLS for etcd: that is the roles' own handicap. One SSH
# connection per host and step, all hosts side by side.
#   cluster.sh KEY KNOWN_HOSTS USER NAME=ADDRESS…      passwords: $SUPERUSER, $REPLICATION, $ADMIN
set -euo pipefail
key=$1 known=$2 user=$3
shift 3
names=() addresses=() hosts_file='' members='' endpoints='' hba='' etcd_list=''
for pair; do
	n=${pair%%=*} a=${pair#*=}
	names+=("$n") addresses+=("$a")
	hosts_file+="$a $n"$'\n'
	members+=${members:+,}$n=http://$a:2380
	endpoints+=${endpoints:+,}$a:2379
	etcd_list+="    - $a:2379"$'\n'
	hba+="    - host replication replicator $a/32 scram-sha-256"$'\n'"    - host all all $a/32 scram-sha-256"$'\n'
done

on() { # ADDRESS: the script on standard input, as root there
	ssh -q -i "$key" -o UserKnownHostsFile="$known" -o ControlMaster=auto -o ControlPath="$control/%h" \
		-o ControlPersist=60 "$user@$1" sudo -n bash -euo pipefail -s
}
everywhere() { # FUNCTION: its output is the script of host I
	local pids=() i pid
	for i in "${!names[@]}"; do
		"$1" "$i" | on "${addresses[$i]}" >>"$control/log" 2>&1 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || { cat "$control/log" >&2; exit 1; }; done
}
control=$(mktemp -d)
trap 'for a in "${addresses[@]}"; do ssh -q -o ControlPath="$control/%h" -O exit "$a" 2>/dev/null || true; done; rm -rf "$control"' EXIT

install='DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install'

etcd() {
	local n=${names[$1]} a=${addresses[$1]}
	cat <<-X
	hostnamectl hostname $n
	cat >>/etc/hosts <<'EOF'
	$hosts_file
	EOF
	apt-get -qq update
	$install ca-certificates curl
	systemctl mask --quiet etcd
	$install etcd-server etcd-client
	mkdir -p /etc/systemd/system/etcd.service.d
	cat >/etc/default/etcd <<'EOF'
	ETCD_NAME="$n"
	ETCD_DATA_DIR="/var/lib/etcd/cluster"
	ETCD_LISTEN_PEER_URLS="http://$a:2380"
	ETCD_LISTEN_CLIENT_URLS="http://$a:2379,http://127.0.0.1:2379"
	ETCD_INITIAL_ADVERTISE_PEER_URLS="http://$a:2380"
	ETCD_ADVERTISE_CLIENT_URLS="http://$a:2379"
	ETCD_HEARTBEAT_INTERVAL="100"
	ETCD_ELECTION_TIMEOUT="1000"
	ETCD_STRICT_RECONFIG_CHECK="true"
	ETCD_AUTO_COMPACTION_MODE="periodic"
	ETCD_AUTO_COMPACTION_RETENTION="1h"
	EOF
	cat >/etc/default/etcd-initial <<'EOF'
	ETCD_INITIAL_CLUSTER="$members"
	ETCD_INITIAL_CLUSTER_STATE="new"
	ETCD_INITIAL_CLUSTER_TOKEN="patroni-cluster"
	EOF
	printf '[Service]\nEnvironmentFile=-/etc/default/etcd-initial\n' >/etc/systemd/system/etcd.service.d/override.conf
	systemctl unmask --quiet etcd
	systemctl daemon-reload
	systemctl enable --quiet etcd
	systemctl restart --no-block etcd
	export ETCDCTL_API=3
	timeout 90 sh -c 'until etcdctl --endpoints=http://$a:2379 --command-timeout=3s endpoint health 2>/dev/null; do sleep 0.2; done'
	echo 'ETCD_INITIAL_CLUSTER_STATE="existing"' >/etc/default/etcd-initial
	X
}

packages() {
	local n=${names[$1]} a=${addresses[$1]}
	cat <<-X
	mkdir -p /etc/postgresql-common/createcluster.d /etc/needrestart/conf.d
	echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/patroni.conf
	echo '\$nrconf{override_rc}{qr(^patroni)} = 0;' >/etc/needrestart/conf.d/patroni.conf
	$install postgresql-15 patroni python3-etcd etcd-client curl
	mkdir -p /etc/systemd/system/patroni.service.d /etc/patroni
	ram=\$(awk '/^MemTotal/ { print int(\$2 / 1024) }' /proc/meminfo)
	install -o postgres -g postgres -m 0640 /dev/stdin /etc/patroni/patroni.yml <<EOF
	scope: postgres-cluster
	namespace: /service/
	name: $n
	restapi:
	  listen: 0.0.0.0:8008
	  connect_address: $a:8008
	etcd3:
	  hosts:
	$etcd_list
	bootstrap:
	  dcs:
	    failsafe_mode: true
	    loop_wait: 5
	    maximum_lag_on_failover: 1048576
	    retry_timeout: 5
	    synchronous_mode: true
	    ttl: 20
	    postgresql:
	      use_pg_rewind: true
	      use_slots: true
	      parameters: {max_connections: 200, max_locks_per_transaction: 64, max_prepared_transactions: 0, max_replication_slots: 10,
	        max_slot_wal_keep_size: 8GB, max_wal_senders: 10, max_worker_processes: 8, password_encryption: scram-sha-256,
	        wal_keep_size: 128MB, wal_level: replica, wal_log_hints: "on"}
	  initdb: [encoding: UTF8, locale: C.UTF-8, data-checksums, auth-local: peer, auth-host: scram-sha-256]
	postgresql:
	  listen: 0.0.0.0:5432
	  connect_address: $a:5432
	  data_dir: /var/lib/postgresql/15/main
	  bin_dir: /usr/lib/postgresql/15/bin
	  pgpass: /var/lib/postgresql/patroni.pgpass
	  use_unix_socket: true
	  authentication:
	    superuser: {username: postgres, password: "$SUPERUSER"}
	    replication: {username: replicator, password: "$REPLICATION"}
	  pg_hba:
	    - local all postgres peer
	    - local all all scram-sha-256
	    - host all all 127.0.0.1/32 scram-sha-256
	    - host all all ::1/128 scram-sha-256
	    - host replication replicator 127.0.0.1/32 scram-sha-256
	    - host replication replicator ::1/128 scram-sha-256
	$hba
	  basebackup: [checkpoint: fast]
	  parameters: {effective_cache_size: \$((ram / 2))MB, maintenance_work_mem: 128MB, shared_buffers: 512MB, log_directory: /var/log/postgresql,
	    log_file_mode: "0640", log_filename: postgresql-15-main.log, log_line_prefix: "%m [%p] %q%u@%d ", log_rotation_age: "0",
	    log_rotation_size: "0", logging_collector: "on", unix_socket_directories: /var/run/postgresql}
	watchdog: {mode: automatic, device: /dev/watchdog, safety_margin: 5}
	EOF
	cat >/etc/systemd/system/patroni.service.d/override.conf <<'EOF'
	[Unit]
	ConditionPathExists=
	After=network-online.target etcd.service
	Wants=network-online.target
	[Service]
	ExecStart=
	ExecStart=/usr/bin/patroni /etc/patroni/patroni.yml
	Restart=on-failure
	TimeoutSec=300
	EOF
	echo 'export PATRONICTL_CONFIG_FILE=/etc/patroni/patroni.yml' >/etc/profile.d/patroni.sh
	X
}

lead() {
	cat <<-X
	systemctl daemon-reload
	systemctl enable --now --quiet patroni
	export ETCDCTL_API=3
	until [ -n "\$(etcdctl --endpoints=$endpoints --command-timeout=3s get --print-value-only /service/postgres-cluster/leader)" ]; do sleep 0.3; done
	X
}

follow() {
	cat <<-X
	systemctl daemon-reload
	systemctl enable --now --quiet patroni
	until [ "\$(curl -s -m 3 -o /dev/null -w '%{http_code}' http://${addresses[$1]}:8008/health)" = 200 ]; do sleep 0.3; done
	X
}

administrator() {
	cat <<-X
	NEW_PASSWORD='$ADMIN' runuser -u postgres -- psql -XAtqw -v ON_ERROR_STOP=1 -d postgres <<'SQL'
	\set password \`printenv NEW_PASSWORD\`
	CREATE ROLE admin;
	ALTER ROLE admin LOGIN CREATEDB CREATEROLE PASSWORD :'password';
	GRANT CREATE ON SCHEMA public TO admin;
	SQL
	X
}

everywhere etcd
everywhere packages
lead 0 | on "${addresses[0]}" >/dev/null
everywhere follow
administrator | on "${addresses[0]}"
