"""resource_type lxc: containers are made, changed and taken away as VMs are."""

import json
import shutil
import unittest

from e2e import Case, api, faults, guests, lab, run, ssh, start, writes
from light import rule, status, workspace

ARCHIVE = "local:vztmpl/debian-12-standard_12.12-1_amd64.tar.zst"
BOX = {"app_name": "box", "environment": "test", "resource_type": "lxc", "vlan_tag": "10", "cpu_cores": "1", "ram_mb": "512",
       "disk_gb": "6", "lxc_template": ARCHIVE, "proxmox_storage": "local-lvm", "connect_timeout": "60"}
TWO = {"a": {"ip_address": "192.168.10.201"}, "b": {"ip_address": "192.168.10.202", "ram_mb": 640}}
NAMES = ["box-test-a", "box-test-b"]
LOCKED = "can't lock file '/run/lock/lxc/pve-config-100.lock' - got timeout"


def created(since):
    return [r for r in writes()[since:] if r["path"].endswith("/lxc")]


class Containers(Case):
    @classmethod
    def setUpClass(cls):
        cls.workspace = workspace()

    @classmethod
    def tearDownClass(cls):
        faults()
        shutil.rmtree(cls.workspace)

    def config(self, name):
        there = guests("lxc")[name]
        return api(f"nodes/{there['node']}/lxc/{there['vmid']}/config")

    def test_1_first_run(self):
        inputs = {**BOX, "instances": json.dumps(TWO), "lxc_nesting": "true", "search_domain": "lab.example"}
        done = self.good(run(inputs, self.workspace), changed="true")
        self.assertEqual(json.loads(done.outputs["vm_hostnames"]), NAMES)
        for name in NAMES:
            self.assertEqual(ssh(name, "cat /tmp/mark; hostname"), f"1\n{name}")
        one, two = (self.config(name) for name in NAMES)
        self.assertEqual((one["cores"], int(one["memory"]), int(two["memory"]), one["onboot"]), (1, 512, 640, 1))
        self.assertEqual((one["unprivileged"], one["features"], one["searchdomain"]), (1, "nesting=1", "lab.example"))
        self.assertIn("size=6G", one["rootfs"])
        for part in ("bridge=vmbr0", "tag=10", "ip=192.168.10.201/24", "gw=192.168.10.1"):
            self.assertIn(part, one["net0"])
        self.assertEqual(one["tags"], "box-test;nante")
        self.assertIn("machine=a\n", one["description"])
        self.assertNotIn("state=making", one["description"])
        asked = len(writes())
        self.good(run(inputs, self.workspace), changed="false")
        self.assertEqual(writes()[asked:], [])

    def test_2_changes_take_no_restart(self):
        since = {name: ssh(name, "stat -c %Y /proc/1") for name in NAMES}
        inputs = {**BOX, "instances": json.dumps(TWO), "ram_mb": "768", "cpu_cores": "2", "disk_gb": "8G"}
        said = self.good(run({**inputs, "command": "plan"}, self.workspace)).said
        for words in ("memory: 512 -> 768", "cores: 1 -> 2", "rootfs: 6G -> 8G"):
            self.assertIn(words, said)
        self.assertNotIn("restart", said)
        self.good(run(inputs, self.workspace), changed="true")
        one, two = (self.config(name) for name in NAMES)
        self.assertEqual((one["cores"], int(one["memory"]), int(two["memory"])), (2, 768, 640))
        self.assertIn("size=8G", one["rootfs"])
        self.assertEqual({name: ssh(name, "stat -c %Y /proc/1") for name in NAMES}, since)
        asked = len(writes())
        self.good(run(inputs, self.workspace), changed="false")
        self.assertEqual(writes()[asked:], [])

    def test_3_refused_before_anything_is_made(self):
        asked = len(writes())
        for more, words in (
                ({"lxc_template": ""}, ("no container template is named", ARCHIVE)),
                ({"lxc_template": ARCHIVE.replace("12.12", "12.13")}, ("has no container template", f"did you mean {ARCHIVE}?")),
                ({"proxmox_storage": ""}, ("no storage is named for the containers' disks", "local-lvm, shared")),
                ({"proxmox_storage": "local"}, ("storage 'local' holds no disks of containers",)),
                ({"lxc_unprivileged": "false", "lxc_nesting": "true"}, ("lets no API token", "lacks Sys.Modify on /")),
                ({"app_name": "box", "vm_target_ip": "", "instances": json.dumps(TWO), "resource_type": "vm"},
                 ("is of the other type (VM or container)",))):
            with self.subTest(more):
                done = run({**BOX, "app_name": "never", "vm_target_ip": "192.168.10.204", **more}, self.workspace)
                self.assertEqual(done.code, 2, done.said)
                for word in words:
                    self.assertIn(word, done.said)
        self.assertEqual(writes()[asked:], [])

    def test_4_faults(self):
        """Each ends in one container: rules, and how often it was asked for."""
        for number, (rules, count) in enumerate((
                ([rule("drop_after_work", "/lxc$", "POST")], 1),
                ([rule("reset", "/lxc$", "POST")], 2),
                ([rule("proxy_timeout", "/lxc$", "POST", task_seconds=4)], 1),
                ([status(500, LOCKED, "/lxc$", "POST", count=2)], 3),
                ([status(500, "CT 100 already exists on node 'pmx2'", "/lxc$", "POST")], 2),
                ([rule("reset", "/interfaces$", count=2), status(500, "CT 100 not running", "/interfaces$", nth=3)], 1))):
            with self.subTest(rules):
                app, address, asked = f"fault{number}", f"192.168.10.{210 + number}", len(writes())
                faults(*rules)
                done = run({**BOX, "app_name": app, "vm_target_ip": address}, self.workspace)
                faults()
                self.assertEqual(done.code, 0, done.said[-3000:])
                self.assertEqual(len(created(asked)), count, done.said[-3000:])
                self.assertEqual(lab("inventory").count(f"{app}-test "), 1)

    def test_5_killed_while_it_is_made(self):
        """The next run waits for what goes on, and completes it."""
        inputs, asked = {**BOX, "app_name": "cut", "vm_target_ip": "192.168.10.217"}, len(writes())
        faults(rule("task_slow", "/lxc$", "POST", seconds=6))
        child = start(inputs, self.workspace)[1]
        self.wait_until("it is being made", lambda: created(asked), 60)
        child.kill()
        child.wait()
        faults()
        self.good(run(inputs, self.workspace), changed="true")
        self.assertEqual(len(created(asked)), 1)
        self.assertNotIn("state=making", self.config("cut-test")["description"])
        self.good(run(inputs, self.workspace), changed="false")

    def test_6_two_runs_at_once_make_it_once(self):
        inputs = {**BOX, "app_name": "twin", "vm_target_ip": "192.168.10.218"}
        faults(rule("delay", "/cluster/nextid", count=2, seconds=2))
        children = [start(inputs, self.workspace)[1] for _ in range(2)]
        codes = [child.wait(300) for child in children]
        faults()
        self.assertEqual(codes, [0, 0])
        self.good(run(inputs, self.workspace), changed="false")
        self.assertEqual(lab("inventory").count("twin-test "), 1)

    def test_7_they_leave(self):
        inputs = {**BOX, "ram_mb": "768", "cpu_cores": "2", "disk_gb": "8G", "instances": json.dumps({"a": TWO["a"]})}
        self.assertEqual(run(inputs, self.workspace).code, 2)
        self.good(run({**inputs, "allow_destroy": "true"}, self.workspace), changed="true")
        self.assertNotIn(NAMES[1], guests("lxc"))
        self.good(run({**inputs, "command": "destroy", "confirm_destroy": "true"}, self.workspace))
        self.assertNotIn(NAMES[0], guests("lxc"))


if __name__ == "__main__":
    unittest.main()
