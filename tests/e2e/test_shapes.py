"""Other inputs than the guide's: names, overrides, five machines, two apps side by side, one machine, roles of the
caller's own, machines that leave."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

from e2e import LAB, Case, lab, run, ssh, writes

SHOP = {"app_name": "shop", "environment": "stage2", "vlan_tag": "10", "cpu_cores": "1", "ram_mb": "512",
        "disk_gb": "12", "ansible_roles": "hello"}
FIVE = {f"web{i}": {"ip_address": f"192.168.10.{60 + i}"} for i in range(1, 6)}
FIVE["web2"].update({"cpu_cores": "4", "ram_mb": 1024, "disk_gb": "15G"})


def guests():
    text = lab("exec", "--", "sh", "-c", "eval \"$($0 env)\"; curl -sS --cacert $NANTE_LAB_CA_FILE"
               " -H \"Authorization: PVEAPIToken=$PROXMOX_API_TOKEN_ID=$PROXMOX_API_TOKEN_SECRET\""
               " $PROXMOX_API_URL/cluster/resources?type=vm", LAB)
    return {g["name"]: g for g in json.loads(text)["data"] if g.get("name") and not g.get("template")}


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
        inputs = {**SHOP, "instances": json.dumps(FIVE)}
        done = self.good(run(inputs, self.workspace), changed="true")
        names = [f"shop-stage2-web{i}" for i in range(1, 6)]
        self.assertEqual(json.loads(done.outputs["vm_hostnames"]), names)
        for name in names:
            self.assertEqual(ssh(name, "cat /etc/hello; hostname"), f"hello from {name}\n{name}")
        self.wait_until("the names in the cluster's resources", lambda: set(names) <= set(guests()), 30)
        for name, guest in guests().items():
            if name in names:
                big = name.endswith("web2")
                self.assertEqual((guest["maxcpu"], guest["maxmem"] >> 20), (4, 1024) if big else (1, 512), name)
        asked = len(writes())
        self.good(run(inputs, self.workspace), changed="false")
        self.assertEqual(writes()[asked:], [])

    def test_2_another_app_beside_it(self):
        inputs = {**SHOP, "app_name": "blog", "vm_target_ip": "192.168.10.71",
                  "ansible_extra_vars": '{"greeting": "good morning"}'}
        done = self.good(run(inputs, self.workspace), changed="true")
        name = json.loads(done.outputs["vm_hostnames"])[0]
        self.assertEqual(ssh(name, "cat /etc/hello"), f"good morning from {name}")
        self.assertEqual(ssh("shop-stage2-web1", "cat /etc/hello"), "hello from shop-stage2-web1")
        self.good(run(inputs, self.workspace), changed="false")

    def test_3_machines_leave_only_when_the_run_says_so(self):
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

    def test_4_destroy_wants_to_be_confirmed(self):
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
