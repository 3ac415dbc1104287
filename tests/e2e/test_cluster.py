"""The guide's workflow: three machines become a cluster, the guide's own commands work, a second run changes nothing."""

import json
import time
import unittest

from cluster import LIST, WORKING, Cluster
from e2e import Case, lab, note, run, secret, ssh, writes

CLUSTER = Cluster()
NODES, ADDRESSES, INPUTS = CLUSTER.names, CLUSTER.addresses, CLUSTER.inputs()
ENDPOINTS = ",".join(a + ":2379" for a in ADDRESSES)
members, leader, processes = CLUSTER.members, CLUSTER.leader, CLUSTER.processes


def psql(host, sql):
    return CLUSTER.psql(sql, host)


class Guide(Case):
    @classmethod
    def setUpClass(cls):
        cls.first = run(INPUTS)

    def test_1_first_run(self):
        done = self.good(self.first, changed="true")
        note(f"first run: {done.seconds:.0f} s")
        self.assertEqual(sorted(json.loads(done.outputs["vm_ids"])), NODES)
        self.assertEqual(json.loads(done.outputs["vm_hostnames"]), NODES)
        self.assertEqual(json.loads(done.outputs["vm_target_ips"]), ADDRESSES)
        self.assertIn(done.outputs["leader"], NODES)
        for address in ADDRESSES:
            self.assertIn(address, done.outputs["dsn"])
            self.assertIn(address, done.summary)

    def test_2_one_leader_two_replicas(self):
        self.good(self.first)
        roles = sorted(m["Role"] for m in members())
        self.assertEqual(roles[0], "Leader")
        self.assertLessEqual(set(roles[1:]), {"Replica", "Sync Standby"})
        self.assertEqual([m["State"] for m in members() if m["State"] not in WORKING], [])
        self.assertEqual(leader(), self.first.outputs["leader"])

    def test_3_commands_of_the_guide(self):
        self.good(self.first)
        self.assertIn("Leader", ssh(NODES[1], LIST))
        health = ssh(NODES[0], f"ETCDCTL_API=3 etcdctl --endpoints={ENDPOINTS} endpoint health 2>&1")
        self.assertEqual(health.count("is healthy"), 3, health)
        self.assertIn("is healthy", ssh(NODES[2], "etcdctl endpoint health 2>&1"))
        rows = ssh(leader(), "sudo -u postgres psql -At -c 'SELECT state FROM pg_stat_replication;'")
        self.assertEqual(rows.split(), ["streaming", "streaming"])
        for name, address in zip(NODES, ADDRESSES):
            with self.subTest(name):
                ssh(name, "systemctl is-active patroni etcd && systemctl is-enabled patroni etcd")
                ssh(name, f"curl -fsS http://{address}:8008/health && curl -fsS http://localhost:2379/health")
                ssh(name, "test -s /var/log/postgresql/postgresql-15-main.log && test -s /var/lib/postgresql/15/main/PG_VERSION")
                self.assertEqual(psql(address, "SELECT 1"), "1")

    def test_3_strangers_change_nothing(self):
        self.good(self.first)
        for method, path in (("PATCH", "config"), ("PUT", "config"), ("POST", "restart"), ("POST", "failover")):
            asked = f"curl -s -o /dev/null -w '%{{http_code}}' -X {method} -d '{{}}' http://{ADDRESSES[0]}:8008/{path}"
            self.assertEqual(ssh(NODES[1], asked), "401", path)
        found = ssh(NODES[0], "runuser -u nobody -- psql -h /run/postgresql -U postgres -Atc 'SELECT 1' 2>&1", check=False)
        self.assertIn("Peer authentication failed", found)
        methods = ssh(NODES[0], "sudo -u postgres psql -Atc 'SELECT DISTINCT auth_method FROM pg_hba_file_rules'")
        self.assertEqual(sorted(methods.split()), ["peer", "scram-sha-256"])

    def test_4_writes_reach_the_replicas(self):
        self.good(self.first)
        by_name = dict(zip(NODES, ADDRESSES))
        psql(by_name[leader()], "CREATE TABLE IF NOT EXISTS kept AS SELECT generate_series(1, 1000) AS n")
        for address in ADDRESSES:
            self.wait_until(f"rows on {address}", lambda a=address: psql(a, "SELECT count(*) FROM kept") == "1000", 20)

    def test_5_second_run_changes_nothing(self):
        self.good(self.first)
        before, asked = {n: processes(n) for n in NODES}, len(writes())
        done = self.good(run(INPUTS), changed="false")
        note(f"second run: {done.seconds:.1f} s")
        self.assertEqual({n: processes(n) for n in NODES}, before)
        self.assertEqual(writes()[asked:], [])
        self.assertEqual(psql(ADDRESSES[0], "SELECT count(*) FROM kept"), "1000")
        self.assertTrue(all(not m["changed"] for m in done.cluster["machines"]), done.cluster)
        self.assertLess(done.seconds, 30)

    def test_6_plan_writes_nothing(self):
        self.good(self.first)
        asked = len(writes())
        four = json.dumps({**json.loads(INPUTS["instances"]), "node4": {"ip_address": "192.168.10.54"}})
        done = self.good(run({**INPUTS, "instances": four, "command": "plan"}))
        self.assertIn("patroni-prod-node4", done.log)
        self.assertIn("1 of 4 machines to make or change", done.summary)
        self.assertIn("| patroni-prod-node4 | 192.168.10.54 |", done.summary)
        self.assertEqual(writes()[asked:], [])

    def test_6_plan_says_what_the_roles_would_change(self):
        self.good(self.first)
        looked = "stat -c %Y /etc/patroni/patroni.yml /etc/default/etcd /etc/hosts"
        before, files, asked = {n: processes(n) for n in NODES}, {n: ssh(n, looked) for n in NODES}, len(writes())
        done = self.good(run({**INPUTS, "command": "plan",
                              "ansible_extra_vars": '{"patroni_parameters": {"max_connections": 230}}'}))
        self.assertIn("0 of 3 machines to make or change", done.summary)
        for name in NODES:
            self.assertRegex(done.summary, rf"\| {name} \| patroni: Write the configuration +\|")
        self.assertNotIn("not foreseen", done.said)
        self.assertEqual({n: processes(n) for n in NODES}, before)
        self.assertEqual({n: ssh(n, looked) for n in NODES}, files)
        self.assertEqual(writes()[asked:], [])
        self.assertNotIn("what the roles would change", self.good(run({**INPUTS, "command": "plan"})).summary)

    def test_7_no_secret_is_shown(self):
        names = ("PATRONI_SUPERUSER_PASSWORD", "PATRONI_ADMIN_PASSWORD", "PATRONI_REPLICATION_PASSWORD",
                 "PROXMOX_API_TOKEN_SECRET")
        values = [secret(name) for name in names] + secret("SSH_PRIVATE_KEY").splitlines()[1:-1]
        shown = "\n".join(line for line in self.first.log.splitlines() if not line.startswith("::add-mask::"))
        for text in (shown, self.first.summary, self.first.read("output"), self.first.read("env")):
            for value in values:
                self.assertNotIn(value, text)

    def test_8_killed_leader(self):
        """Failover, and the machine that was hard-killed comes back by itself. A run then renews its hosts file, which
        a boot writes anew; the next one has nothing to do."""
        self.good(self.first)
        old = leader()
        lab("kill", old)
        other = next(n for n in NODES if n != old)
        self.wait_until("a new leader", lambda: any(
            m["Role"] == "Leader" and m["Member"] != old for m in json.loads(ssh(other, LIST + " -f json"))), 90)
        lab("start", old)
        time.sleep(5)
        self.wait_until("all three at work", lambda: sum(
            m["State"] in WORKING for m in json.loads(ssh(other, LIST + " -f json"))) == 3, 120)
        self.good(run(INPUTS))
        self.good(run(INPUTS), changed="false")


if __name__ == "__main__":
    unittest.main()
