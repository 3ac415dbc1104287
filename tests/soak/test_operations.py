"""Operations on a living cluster, through the action alone, while a client writes: it grows and shrinks, machines and
data directories are lost, settings and passwords change, somebody tinkers with a host."""

import itertools
import json
import subprocess
import unittest
from shlex import quote

import killed
from cluster import LIST, PSQL, Cluster, Writer
from e2e import LAB, Case, fresh, guests, lab, note, run, secret, ssh, writes

PASSWORDS = ("PATRONI_SUPERUSER_PASSWORD", "PATRONI_ADMIN_PASSWORD", "PATRONI_REPLICATION_PASSWORD")
PATRONICTL = "sudo -u postgres patronictl -c /etc/patroni/patroni.yml "
# Who answers, ten times a second: a line of three HTTP codes each.
SAMPLER = ("while :; do for a in \"$@\"; do curl -s -m 1 -o /dev/null -w '%{http_code} ' http://$a:8008/health & done;"
           " wait; echo; sleep 0.1; done")


class Operations(Case):
    """One cluster for all: every test leaves it as it found it, with three members."""

    @classmethod
    def setUpClass(cls):
        fresh()
        cls.cluster = Cluster()
        cls.first = cls.cluster.run()
        cls.numbers = itertools.count(1)

    def setUp(self):
        self.good(self.first)
        self.assertEqual(self.cluster.settled(), [])
        self.writer = None

    def tearDown(self):
        if self.writer:
            ssh(self.writer.on, "systemctl stop writer", check=False)

    def write_on(self, name):
        self.writer = Writer(self.cluster, name)

    def kept(self, gap=None):
        """Every acknowledged row is there, and writes were never refused for longer than GAP seconds."""
        rows, lost, longest = self.writer.stop()
        self.writer = None
        note(f"{rows} rows acknowledged, longest pause {longest:.1f} s")
        self.assertGreater(rows, 5)
        self.assertEqual(lost, [])
        if gap:
            self.assertLess(longest, gap)

    def whole(self, **more):
        """The cluster is healthy, and a run has nothing to do."""
        self.assertEqual(self.cluster.settled(), [])
        self.good(self.cluster.run(**more), changed="false")

    def followers(self):
        leader = self.cluster.leader()
        return [n for n in self.cluster.names if n != leader]

    def processes(self):
        return {n: self.cluster.processes(n) for n in self.cluster.names}

    def started(self):
        """name -> when its PostgreSQL was started."""
        return {n: float(ssh(n, "stat -c %.Y /var/lib/postgresql/15/main/postmaster.opts")) for n in self.cluster.names}

    # Growing and shrinking

    def test_11_a_fourth_joins(self):
        before, leader = self.processes(), self.cluster.leader()
        self.write_on(leader)
        self.cluster.numbers = [1, 2, 3, 4]
        done = self.good(self.cluster.run(), changed="true")
        note(f"a fourth member: {done.seconds:.0f} s")
        self.kept(gap=5)
        self.assertEqual({n: p for n, p in self.processes().items() if n in before}, before)
        self.assertEqual(self.cluster.leader(), leader)
        self.whole()

    def test_12_a_replica_leaves(self):
        before, leader = self.processes(), self.cluster.leader()
        self.assertNotEqual(leader, self.cluster.name(4))
        self.write_on(leader)
        self.cluster.numbers = [1, 2, 3]
        self.good(self.cluster.run(allow_destroy="true"), changed="true")
        self.kept(gap=5)
        self.assertEqual(self.processes(), {n: p for n, p in before.items() if n in self.cluster.names})
        self.assertEqual(self.cluster.leader(), leader)
        self.whole()

    def test_13_the_leader_leaves_and_comes_back(self):
        leader = self.cluster.leader()
        self.cluster.numbers = [1, 2, 3, 4]
        self.good(self.cluster.run())
        self.assertEqual(self.cluster.settled(), [])
        gone = int(leader[-1])
        self.write_on(self.cluster.name(4))
        self.cluster.numbers = [n for n in (1, 2, 3, 4) if n != gone]
        self.good(self.cluster.run(allow_destroy="true"))
        self.kept(gap=15)
        self.whole()
        self.cluster.numbers = [1, 2, 3, 4]
        self.good(self.cluster.run())
        self.cluster.numbers = [1, 2, 3]
        self.good(self.cluster.run(allow_destroy="true"))
        self.whole()

    def test_14_too_many_at_once_are_refused(self):
        before, asked, all_of_them = self.processes(), len(writes()), self.cluster.numbers
        for numbers, code in (([1], (1, 2)), ([5, 6, 7], (2,))):
            with self.subTest(numbers):
                self.cluster.numbers = numbers
                done = self.cluster.run(allow_destroy="true")
                self.cluster.numbers = all_of_them
                self.assertIn(done.code, code, done.log[-3000:])
                self.assertEqual(writes()[asked:], [])
                self.assertEqual(self.processes(), before)
        self.whole()

    # What is lost is made again

    def destroy_behind_our_back(self, name):
        guest = guests()[name]
        path = f"$PROXMOX_API_URL/nodes/{guest['node']}/qemu/{guest['vmid']}"
        lab("exec", "--", "sh", "-c", 'eval "$($0 env)"; ask() { curl -fsS --cacert $NANTE_LAB_CA_FILE -H "Authorization: '
            'PVEAPIToken=$PROXMOX_API_TOKEN_ID=$PROXMOX_API_TOKEN_SECRET" -X "$@"; }; '
            f"ask POST {path}/status/stop; sleep 3; ask DELETE {path}", LAB)
        self.wait_until(f"{name} gone", lambda: name not in guests(), 30)

    def test_21_a_replicas_machine(self):
        leader, lost = self.cluster.leader(), self.followers()[0]
        self.write_on(leader)
        before = self.processes()
        self.destroy_behind_our_back(lost)
        self.good(self.cluster.run(), changed="true")
        self.kept()
        after = self.processes()
        self.assertEqual({n: p for n, p in after.items() if n != lost}, {n: p for n, p in before.items() if n != lost})
        self.assertEqual(self.cluster.leader(), leader)
        self.whole()

    def test_22_the_leaders_machine(self):
        lost = self.cluster.leader()
        on = self.followers()[0]
        self.write_on(on)
        self.destroy_behind_our_back(lost)
        self.wait_until("a new leader", lambda: self.cluster.leader(on) not in (None, lost), 90)
        self.good(self.cluster.run(), changed="true")
        self.kept()
        self.whole()

    def test_23_a_data_directory(self):
        leader, lost = self.cluster.leader(), self.followers()[0]
        self.write_on(leader)
        ssh(lost, "systemctl stop patroni && rm -rf /var/lib/postgresql/15/main")
        self.good(self.cluster.run(), changed="true")
        self.kept(gap=15)
        self.assertEqual(self.cluster.leader(), leader)
        self.whole()

    def test_24_the_leaders_data_directory(self):
        lost, on = self.cluster.leader(), self.followers()[0]
        self.write_on(on)
        ssh(lost, "systemctl kill -s KILL patroni; systemctl stop patroni; pkill -KILL -u postgres;"
                  " sleep 1; rm -rf /var/lib/postgresql/15/main")
        self.wait_until("a new leader", lambda: self.cluster.leader(on) not in (None, lost), 90)
        self.good(self.cluster.run(), changed="true")
        self.kept()
        self.whole()

    def test_25_etcds_data(self):
        lost = self.followers()[0]
        self.write_on(self.cluster.leader())
        ssh(lost, "systemctl stop etcd; rm -rf /var/lib/etcd/cluster")
        self.good(self.cluster.run(), changed="true")
        self.kept(gap=15)
        self.whole()

    # Machines that do not answer

    def test_31_a_machine_is_off(self):
        name = self.followers()[0]
        self.write_on(self.cluster.leader())
        lab("poweroff", name)
        self.good(self.cluster.run())
        self.kept(gap=15)
        self.whole()

    def test_32_a_machine_is_cut_off(self):
        name = self.followers()[0]
        others = [n for n in self.cluster.names if n != name]
        before = {n: self.cluster.processes(n) for n in others}
        self.write_on(self.cluster.leader())
        lab("cut", name)
        try:
            done = self.cluster.run(connect_timeout="30")
        finally:
            lab("join", name)
        self.assertIn(done.code, (1, 4), done.log[-3000:])
        self.assertIn(name, done.log.split("::error")[-1])
        self.assertEqual({n: self.cluster.processes(n) for n in others}, before)
        self.kept(gap=25)
        self.assertEqual(self.cluster.settled(), [])
        self.good(self.cluster.run())
        self.whole()

    def test_33_everything_loses_power(self):
        self.write_on(self.cluster.leader())
        self.wait_until("some rows", lambda: len(self.writer.acked()) > 5)
        acked = [n for n, _, _ in self.writer.acked()]
        self.writer = None
        for name in self.cluster.names:
            lab("kill", name)
        self.good(self.cluster.run())
        there = self.cluster.psql("SELECT n FROM acked").split()
        self.assertEqual([n for n in acked if str(n) not in there], [])
        self.whole()

    def test_34_the_leaders_postgresql_is_killed(self):
        leader, on = self.cluster.leader(), self.followers()[0]
        self.write_on(on)
        ssh(leader, "kill -9 $(head -1 /var/lib/postgresql/15/main/postmaster.pid)")
        self.assertEqual(self.cluster.settled(), [])
        self.good(self.cluster.run())
        self.kept(gap=25)
        self.whole()

    def test_35_a_machine_dies_during_a_run(self):
        """Of a change that restarts every member: it ends with the machine's name, and the next run goes on."""
        name, more = self.followers()[0], self.parameters(max_connections=215)
        self.write_on(self.cluster.leader())
        done = killed.at_task(self.cluster.inputs(**more), 9, end=lambda child: (lab("kill", name), child.wait(600)))
        self.assertTrue(done, "it was over before")
        self.assertIn(done.code, (1, 4), done.log[-3000:])
        self.assertIn(name, done.log.split("::error")[-1])
        self.good(self.cluster.run(**more))
        self.kept(gap=25)
        self.whole(**more)
        self.good(self.cluster.run())
        self.whole()

    # Settings

    def sampled(self, work):
        """The most members that were away at once while WORK was done."""
        with subprocess.Popen([LAB, "exec", "--", "sh", "-c", SAMPLER, "sh", *self.cluster.addresses],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as sampler:
            try:
                work()
            finally:
                sampler.terminate()
            lines = [line.split() for line in sampler.stdout.read().splitlines()]
        lines = [line for line in lines if len(line) == 3]
        self.assertGreater(len(lines), 10)
        return max(sum(code != "200" for code in line) for line in lines)

    @staticmethod
    def parameters(**values):
        return {"ansible_extra_vars": json.dumps({"patroni_parameters": values})}

    def test_41_a_parameter_that_needs_a_restart(self):
        """Raised: the replicas first, the leader last. Lowered: the other way round."""
        for value, leader_last in ((230, True), (190, False)):
            with self.subTest(value):
                leader = self.cluster.leader()
                self.write_on(leader)
                more = self.parameters(max_connections=value)
                away = self.sampled(lambda m=more: self.good(self.cluster.run(**m), changed="true"))
                self.kept(gap=15)
                self.assertLessEqual(away, 1)
                self.assertEqual(self.cluster.leader(), leader)
                when = self.started()
                others = [when[n] for n in self.cluster.names if n != leader]
                self.assertEqual(when[leader] > max(others), leader_last, when)
                if not leader_last:
                    self.assertLess(when[leader], min(others))
                for address in self.cluster.addresses:
                    self.assertEqual(self.cluster.psql("SHOW max_connections", address), str(value))
                self.whole(**more)

    def test_42_a_parameter_that_needs_none(self):
        before, more = self.processes(), self.parameters(log_min_duration_statement="1234ms", max_connections=190)
        self.good(self.cluster.run(**more), changed="true")
        for address in self.cluster.addresses:
            self.wait_until("the new value", lambda a=address: self.cluster.psql(
                "SHOW log_min_duration_statement", a) == "1234ms", 20)
        self.assertEqual(self.processes(), before)
        self.whole(**more)
        self.good(self.cluster.run())  # max_connections as ever
        self.whole()

    def test_43_passwords(self):
        """New ones by a run, also by one that is killed on the way: no restart, no pause, and the old ones are refused."""
        before, old = self.processes(), {name: secret(name) for name in PASSWORDS}
        self.write_on(self.cluster.leader())
        for point in (None, 15, 16, 17, 18):
            for name in PASSWORDS:
                secret(name, f"{name.lower()}' \"$\\%{next(self.numbers)}")
            if point:
                done = killed.at_task(self.cluster.inputs(), point)
                note(f"killed after {killed.tasks(done.log)[-1:] if done else 'its end'}")
            self.good(self.cluster.run())
            self.assertEqual(self.cluster.settled(), [])
            for asked, address in itertools.product(self.cluster.names, self.cluster.addresses):
                self.assertEqual(self.login(asked, address, secret(PASSWORDS[1])), "1")
            self.assertEqual(self.login(asked, address, old[PASSWORDS[1]]), "")
            self.good(self.cluster.run(), changed="false")
        self.assertEqual(self.processes(), before)
        ssh(self.writer.on, "systemctl stop writer")
        self.writer = None

    @staticmethod
    def login(asked, address, password):
        return ssh(asked, PSQL.format(password=quote(password), host=address, more="", sql="SELECT 1") + " 2>/dev/null", check=False)

    def test_44_larger_machines(self):
        """Restarted one after the other, the leader last, which hands over before: no row lost, one change of leader.
        By a run that is killed on the way, too."""
        lab("host", "new", "client", "192.168.10.99")
        ssh("client", "apt-get update -qq && apt-get install -y -qq postgresql-client-15 >/dev/null 2>&1")
        for ram, point in (("5120", None), ("4608", 40)):
            leader = self.cluster.leader()
            self.write_on("client")
            if point:
                done = killed.at_task(self.cluster.inputs(ram_mb=ram), point)
                note(f"killed after {killed.tasks(done.log)[-1:] if done else 'its end'}")
            away = self.sampled(lambda r=ram: self.good(self.cluster.run(ram_mb=r)))
            self.kept(gap=25 if point else 5)
            self.assertLessEqual(away, 1)
            if not point:
                self.assertNotEqual(self.cluster.leader(), leader)
            self.assertEqual({guests()[n]["maxmem"] >> 20 for n in self.cluster.names}, {int(ram)})
            self.whole(ram_mb=ram)
        self.good(self.cluster.run())
        self.whole()

    # People

    def test_51_switchover(self):
        for candidate in ("", self.followers()[-1]):
            with self.subTest(candidate):
                old = self.cluster.leader()
                self.write_on(self.cluster.names[0])
                done = self.good(self.cluster.run(command="run patroni:switchover", ansible_extra_vars=json.dumps(
                    {"patroni_candidate": candidate})))
                new = self.cluster.leader()
                self.assertNotEqual(new, old)
                self.assertEqual(new, candidate or new)
                self.assertEqual(done.outputs["leader"], new)
                self.assertEqual(self.cluster.settled(), [])
                self.kept(gap=15)
        leader = self.cluster.leader()
        done = self.cluster.run(command="run patroni:switchover", ansible_extra_vars='{"patroni_candidate": "nobody"}')
        self.assertEqual(done.code, 1, done.log[-3000:])
        self.assertIn("nobody", done.log)
        self.assertEqual(self.cluster.leader(), leader)
        self.whole()

    def test_52_drift_on_one_host(self):
        name, leader = self.followers()[0], self.cluster.leader()
        others = {n: p for n, p in self.processes().items() if n != name}
        self.write_on(leader)
        for tinkering in ("sed -i 's/^  listen: .*:5432/  listen: 127.0.0.1:5432/' /etc/patroni/patroni.yml",
                          "chmod 0644 /etc/patroni/patroni.yml; chown root: /etc/patroni/patroni.yml",
                          "sed -i 's/ELECTION_TIMEOUT=.*/ELECTION_TIMEOUT=\"1500\"/' /etc/default/etcd; systemctl restart etcd",
                          "systemctl disable --now patroni", "systemctl disable --now etcd",
                          # Masked while it runs, a unit is stopped without its own settings.
                          "systemctl stop etcd; systemctl mask etcd", "systemctl stop patroni; systemctl mask patroni",
                          "rm /etc/systemd/system/patroni.service.d/override.conf",
                          "rm -r /etc/systemd/system/etcd.service.d /etc/systemd/system/patroni.service.d",
                          "sed -i '/application/,/application/d' /etc/hosts; hostname else.where"):
            with self.subTest(tinkering):
                ssh(name, tinkering)
                self.good(self.cluster.run(), changed="true")
                self.whole()
        self.kept(gap=15)
        self.assertEqual({n: p for n, p in self.processes().items() if n != name}, others)
        self.assertEqual(self.cluster.leader(), leader)

    def test_53_maintenance(self):
        """A paused cluster stays paused; a run that finds all well says so, one that finds a member down says which."""
        ssh(self.cluster.names[0], PATRONICTL + "pause --wait")
        try:
            before = self.processes()
            self.good(self.cluster.run(), changed="false")
            self.assertIn("Maintenance mode: on", ssh(self.cluster.names[0], LIST))
            down = self.followers()[0]
            ssh(down, "sudo -u postgres /usr/lib/postgresql/15/bin/pg_ctl -D /var/lib/postgresql/15/main stop -m fast")
            done = self.cluster.run(ansible_extra_vars='{"patroni_clone_timeout": 20, "patroni_timeout": 20}')
            self.assertEqual(done.code, 1, done.log[-3000:])
            self.assertIn(down, done.log.split("::error")[-1])
            self.assertIn("paused", done.log)
            self.assertIn("Maintenance mode: on", ssh(self.cluster.names[0], LIST))
            self.assertEqual({n: p for n, p in self.processes().items() if n != down},
                             {n: p for n, p in before.items() if n != down})
        finally:
            ssh(self.cluster.names[0], PATRONICTL + "resume --wait")
        self.assertEqual(self.cluster.settled(), [])
        self.good(self.cluster.run())
        self.whole()

    def test_54_again_and_again(self):
        """Runs leave nothing behind: no files, no processes, no objects."""
        listing = ("find /tmp /var/tmp /run/nante /root /home /etc /var/lib/dpkg/info -xdev 2>/dev/null | "
                   "grep -v systemd-private | sort | sha256sum; pgrep -c nante; true")
        self.whole()
        before, asked = {n: ssh(n, listing) for n in self.cluster.names}, len(writes())
        for _ in range(8):
            self.good(self.cluster.run(), changed="false")
        self.assertEqual({n: ssh(n, listing) for n in self.cluster.names}, before)
        self.assertEqual(writes()[asked:], [])

    def test_55_two_runs_that_differ_in_their_cluster(self):
        """Another scope, another major: refused, and nothing changes."""
        before = self.processes()
        for name, value in (("PATRONI_SCOPE", "other"), ("PATRONI_NAMESPACE", "/else/"), ("POSTGRESQL_VERSION", "16")):
            was = secret(name)
            secret(name, value)
            try:
                done = self.cluster.run()
            finally:
                secret(name, was)
            self.assertEqual(done.code, 1, done.log[-3000:])
            self.assertIn(name, done.log)
            self.assertEqual(self.processes(), before)
        self.whole()


if __name__ == "__main__":
    unittest.main()
