"""The guide's database cluster, made by the action; questions to it, and a client that never stops writing."""

import json
import time
from shlex import quote

from e2e import guests, run, secret, ssh

LIST = "sudo -u postgres patronictl -c /etc/patroni/patroni.yml list"
# Patroni 3 says "running" of a replica, Patroni 4 "streaming".
WORKING = ("running", "streaming")
PSQL = "PGPASSWORD={password} psql 'host={host} user=admin dbname=postgres connect_timeout=3 {more}' -XAtc \"{sql}\""
# What must not have been restarted: unit pids, the postmaster's, and when each began.
PROCESSES = ("for p in $(systemctl show -P MainPID patroni etcd) $(head -1 /var/lib/postgresql/15/main/postmaster.pid);"
             " do echo $p $(cut -d' ' -f22 /proc/$p/stat); done")
# Anything but "installed" and "removed, its settings left"; units; agents that nobody talks to any more.
REMAINS = ("dpkg --audit; dpkg-query -W -f '${db:Status-Abbrev}${Package}\\n' | grep -vE '^(ii|rc) ';"
           " for u in etcd patroni; do systemctl is-active --quiet $u && systemctl is-enabled --quiet $u || echo unit $u; done;"
           " pgrep -a -f 'agent-[0-9a-f]* agent$'; true")


class Cluster:
    """Machines APP-prod-nodeN at consecutive addresses, from FIRST on; `numbers` says which there are to be."""

    def __init__(self, app="patroni", first=51, numbers=(1, 2, 3)):
        self.app, self.first, self.numbers = app, first, list(numbers)
        self.settings = {}  # inputs of every run, over the guide's

    def name(self, number):
        return f"{self.app}-prod-node{number}"

    def address(self, name):
        return f"192.168.10.{self.first - 1 + int(name.rpartition('node')[2])}"

    @property
    def names(self):
        return [self.name(n) for n in self.numbers]

    @property
    def addresses(self):
        return [self.address(n) for n in self.names]

    def inputs(self, **more):
        instances = {f"node{n}": {"ip_address": self.address(self.name(n))} for n in self.numbers}
        return {"app_name": self.app, "environment": "prod", "resource_type": "vm", "vlan_tag": "10", "cpu_cores": "2",
                "ram_mb": "4096", "disk_gb": "40G", "ansible_roles": "etcd,patroni",
                "instances": json.dumps(instances, indent=2) + "\n", **self.settings, **more}

    def run(self, **more):
        return run(self.inputs(**more))

    def members(self, asked=None):
        """What patronictl lists, on ASKED or the first machine."""
        return json.loads(ssh(asked or self.names[0], LIST + " -f json"))

    def leader(self, asked=None):
        return next((m["Member"] for m in self.members(asked) if m["Role"] == "Leader"), None)

    def psql(self, sql, host=None, asked=None, check=True):
        """As the administrator, over the network: on HOST, else on whoever leads."""
        host, more = (host, "") if host else (",".join(self.addresses), "target_session_attrs=read-write")
        return ssh(asked or self.names[0], PSQL.format(password=quote(secret("PATRONI_ADMIN_PASSWORD")), host=host,
                                                       more=more, sql=sql), check)

    def processes(self, name):
        return ssh(name, PROCESSES)

    def problems(self):
        """Everything that a healthy cluster of exactly these machines would not show."""
        names, found = self.names, []
        machines = sorted(n for n in guests() if n.startswith(self.app + "-prod-"))
        if machines != sorted(names):
            found.append(f"machines: {machines}")
        for name in names:
            found += [f"{name}: {line}" for line in ssh(name, REMAINS).splitlines()]
        members = self.members()
        roles = sorted(m["Role"] for m in members)
        if (sorted(m["Member"] for m in members) != sorted(names) or roles.count("Leader") != 1
                or any(m["State"] not in WORKING for m in members)):
            found.append(f"patroni: {members}")
        client = "ETCDCTL_API=3 etcdctl --endpoints=" + ",".join(a + ":2379" for a in self.addresses)
        health = ssh(names[0], client + " endpoint health 2>&1", check=False)
        if health.count("is healthy") != len(names):
            found.append(f"etcd: {health}")
        listed = [line.split(", ") for line in ssh(names[0], client + " member list").splitlines()]
        if sorted(m[2] for m in listed) != sorted(names) or any(m[1] != "started" or m[5] != "false" for m in listed):
            found.append(f"etcd: {listed}")
        slots = self.psql("SELECT slot_name FROM pg_replication_slots").split()
        if len(slots) != len(names) - 1:
            found.append(f"slots: {slots}")
        return found

    def settled(self, seconds=60):
        """problems(), given time to pass: a member that has just joined takes a loop to say so."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = self.problems()
            except AssertionError as err:  # a machine or its database does not answer
                found = [str(err)]
            if not found or time.monotonic() > end:
                return found
            time.sleep(1)


WRITER = """
until psql -qc 'CREATE TABLE IF NOT EXISTS acked (n int PRIMARY KEY)'; do sleep 1; done
n=$(psql -XAtc 'SELECT coalesce(max(n), 0) FROM acked')
while :; do
    n=$((n + 1))
    now=$(date +%s%N)
    psql -qc "INSERT INTO acked VALUES ($n)" 2>/dev/null && echo $n $now $(date +%s%N) >>/var/tmp/acked
    sleep 0.1
done
"""


class Writer:
    """A client on machine ON that writes row after row and notes what was acknowledged, and when."""

    def __init__(self, cluster, on):
        self.cluster, self.on = cluster, on
        environment = {"PGPASSWORD": secret("PATRONI_ADMIN_PASSWORD"), "PGUSER": "admin", "PGDATABASE": "postgres",
                       "PGHOST": ",".join(cluster.addresses), "PGTARGETSESSIONATTRS": "read-write",
                       "PGCONNECT_TIMEOUT": "2"}
        script = "".join(f"export {k}={quote(v)}\n" for k, v in environment.items()) + WRITER
        ssh(on, f"systemctl stop writer 2>/dev/null; rm -f /var/tmp/acked; cat >/var/tmp/writer <<'X'\n{script}X\nsystemd-run --quiet --unit writer sh /var/tmp/writer")

    def acked(self):
        """(number, asked, answered) of every row so far, times in seconds."""
        lines = ssh(self.on, "cat /var/tmp/acked 2>/dev/null || true").splitlines()
        return [(int(n), int(a) / 1e9, int(b) / 1e9) for n, a, b in (line.split() for line in lines)]

    def stop(self):
        """(rows acknowledged, of those the lost ones, longest time without an acknowledged write in seconds)"""
        ssh(self.on, "systemctl stop writer")
        acked = self.acked()
        there = {int(n) for n in self.cluster.psql("SELECT n FROM acked", asked=self.on).split()}
        gap = max((b[2] - a[2] for a, b in zip(acked, acked[1:])), default=0)
        return len(acked), [n for n, _, _ in acked if n not in there], gap
