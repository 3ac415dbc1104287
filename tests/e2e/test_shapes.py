"""Other inputs than the guide's: names, overrides, five machines, two apps side by side, one machine, roles of the
caller's own, machines that leave."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

from e2e import Case, faults, guests, lab, run, ssh, start, writes
from light import rule

SHOP = {"app_name": "shop", "environment": "stage2", "vlan_tag": "10", "cpu_cores": "1", "ram_mb": "512",
        "disk_gb": "12", "ansible_roles": "hello"}
FIVE = {f"web{i}": {"ip_address": f"192.168.10.{60 + i}"} for i in range(1, 6)}
FIVE["web2"].update({"cpu_cores": "4", "ram_mb": 1024, "disk_gb": "15G"})


class Shapes(Case):
    @classmethod
    def setUpClass(cls):
        cls.workspace = Path(tempfile.mkdtemp(prefix="nante-e2e-workspace-"))
        tasks = cls.workspace / "roles/hello/tasks"
        tasks.mkdir(parents=True)
        (tasks / "main.yml").write_text(
            "- name: say hello\n"
            "  ansible.builtin.copy:\n"
            "    content: \"{{ greeting | default('hello') }} from {{ inventory_hostname }}\\n\"\n"
            "    dest: /etc/hello\n"
            "    mode: '0644'\n"
            "  become: true\n")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.workspace)

    def test_1_five_machines_with_overrides(self):
        """Ids in the order of the instances, though the first to ask for one is answered last."""
        inputs = {**SHOP, "instances": json.dumps(FIVE)}
        faults(rule("delay", "/cluster/nextid", seconds=1))
        done = self.good(run(inputs, self.workspace), changed="true")
        faults()
        names = [f"shop-stage2-web{i}" for i in range(1, 6)]
        self.assertEqual(json.loads(done.outputs["vm_hostnames"]), names)
        ids = json.loads(done.outputs["vm_ids"])
        self.assertEqual(sorted(names, key=lambda name: ids[name]), names)
        for name in names:
            self.assertEqual(ssh(name, "cat /etc/hello; hostname"), f"hello from {name}\n{name}")
        there = guests()
        for name in names:
            big = name.endswith("web2")
            self.assertEqual((there[name]["cpus"], there[name]["maxmem"] >> 20), (4, 1024) if big else (1, 512), name)
        asked = len(writes())
        self.good(run(inputs, self.workspace), changed="false")
        self.assertEqual(writes()[asked:], [])

    def test_2_another_app_beside_it(self):
        inputs = {**SHOP, "app_name": "blog", "vm_target_ip": "192.168.10.71",
                  "ansible_extra_vars": '{"greeting": "good morning"}'}
        password = "--secret=FREEIPA_ADMIN_PASSWORD=directory-pass-1"
        done = self.good(run(inputs, self.workspace, extra=[password]), changed="true")
        self.assertIn("FREEIPA_DOMAIN is not set: no host is enrolled", done.said)
        name = json.loads(done.outputs["vm_hostnames"])[0]
        self.assertEqual(ssh(name, "cat /etc/hello"), f"good morning from {name}")
        self.assertEqual(ssh("shop-stage2-web1", "cat /etc/hello"), "hello from shop-stage2-web1")
        self.good(run(inputs, self.workspace), changed="false")

    def test_3_an_address_in_use(self):
        inputs = {**SHOP, "app_name": "late", "vm_target_ip": "192.168.10.71"}
        asked = len(writes())
        done = run(inputs, self.workspace)
        self.assertEqual(done.code, 2, done.said)
        self.assertIn("the address 192.168.10.71 of the new machine late-stage2 is in use", done.said)
        self.assertEqual(writes()[asked:], [])

    def test_3_refused_before_anything_is_made(self):
        asked = len(writes())
        for more, words in ((
                {"proxmox_node": "pmx9"}, ("there is no online node 'pmx9'", "did you mean pmx1?")), (
                {"proxmox_node": "pmx2", "proxmox_storage": "local-lvm"}, ("storage 'local-lvm' is not shared",)), (
                {"pool": "nopool"}, ("pool 'nopool' does not exist", "check the input pool")), (
                {"app_name": "blog", "vm_target_ip": "192.168.10.71", "bridge": "vmbr7"}, ("has no bridge 'vmbr7'",)), (
                {"command": "plan", "vm_template": "debian-12-tmplate"}, ("did you mean debian-12-template?",)), (
                {"command": "onboard"}, ("as a line of the known hosts it is: 192.168.10.61 ssh-ed25519 AAAA",))):
            with self.subTest(more):
                address = "192.168.10.61" if more.get("command") == "onboard" else "192.168.10.74"
                done = run({**SHOP, "app_name": "never", "vm_target_ip": address, **more}, self.workspace)
                self.assertIn(done.code, (2, 4), done.said)
                for word in words:
                    self.assertIn(word, done.said)
                self.assertEqual(json.loads(done.outputs.get("vm_ids", "{}")).get("never-stage2"), None)
        self.assertEqual([r for r in writes()[asked:] if "nopool" not in json.dumps(r)], [])

    def test_4_two_runs_at_once_make_each_machine_once(self):
        """Both have looked before either makes anything."""
        addresses = {key: {"ip_address": f"192.168.10.{n}"} for key, n in (("a", 72), ("b", 73))}
        inputs = {**SHOP, "app_name": "twins", "instances": json.dumps(addresses)}
        faults(rule("delay", "/cluster/nextid", count=4, seconds=2))
        children = [start(inputs, self.workspace)[1] for _ in range(2)]
        codes = [child.wait(300) for child in children]
        faults()
        self.assertEqual(codes, [0, 0])
        done = self.good(run(inputs, self.workspace), changed="false")
        self.assertEqual(sorted(json.loads(done.outputs["vm_ids"])), ["twins-stage2-a", "twins-stage2-b"])
        self.assertEqual(sorted(lab("inventory").count(f"twins-stage2-{key} ") for key in "ab"), [1, 1])

    def test_5_more_memory_takes_a_restart(self):
        """Of machines that run, one after the other; what only grows a disk takes none."""
        names = [f"shop-stage2-web{i}" for i in (1, 2)]
        since = "stat -c %Y /proc/1"
        before = {name: ssh(name, since) for name in names}
        more = {**FIVE, "web1": {**FIVE["web1"], "ram_mb": 768, "cpu_cores": 2}, "web2": {**FIVE["web2"], "disk_gb": "16G"}}
        inputs = {**SHOP, "instances": json.dumps(more)}
        waiting = self.good(run({**inputs, "allow_restart": "false"}, self.workspace), changed="true")
        self.assertIn("memory: 512 -> 768  (from the machine's next restart on)", waiting.said)
        self.assertEqual({name: ssh(name, since) for name in names}, before)
        again = self.good(run({**inputs, "allow_restart": "false"}, self.workspace), changed="false")
        self.assertIn("waits for the machine's next restart", again.said)
        done = self.good(run(inputs, self.workspace), changed="true")
        self.assertIn("Restart shop-stage2-web1", done.said)
        self.assertNotEqual(ssh(names[0], since), before[names[0]])
        self.assertEqual(ssh(names[1], since), before[names[1]])
        asked = len(writes())
        self.good(run(inputs, self.workspace), changed="false")
        self.assertEqual(writes()[asked:], [])

    def test_6_machines_leave_only_when_the_run_says_so(self):
        four = {key: value for key, value in FIVE.items() if key != "web5"}
        inputs = {**SHOP, "instances": json.dumps(four)}
        asked = len(writes())
        done = run(inputs, self.workspace)
        self.assertEqual(done.code, 2, done.log[-2000:])
        self.assertIn("no longer names shop-stage2-web5", done.log)
        self.assertEqual(writes()[asked:], [])
        self.assertEqual(ssh("shop-stage2-web5", "hostname"), "shop-stage2-web5")
        self.good(run({**inputs, "allow_destroy": "true"}, self.workspace), changed="true")
        self.wait_until("web5 gone", lambda: "shop-stage2-web5" not in guests(), 30)
        self.assertEqual(ssh("shop-stage2-web1", "hostname"), "shop-stage2-web1")

    def test_7_destroy_wants_to_be_confirmed(self):
        inputs = {**SHOP, "instances": json.dumps(FIVE), "command": "destroy"}
        asked = len(writes())
        done = run(inputs, self.workspace)
        self.assertEqual(done.code, 2, done.log[-2000:])
        self.assertIn("confirm_destroy", done.log)
        self.assertEqual(writes()[asked:], [])
        self.good(run({**inputs, "confirm_destroy": "true"}, self.workspace))
        self.wait_until("the shop gone", lambda: not any(n.startswith("shop-") for n in guests()), 30)
        self.assertTrue(any(n.startswith("blog-") for n in guests()), "another app's machine is gone")


if __name__ == "__main__":
    unittest.main()
