"""Killed anywhere, the short form of tests/soak: a first run of the cluster, ended at three points drawn by lot, one
after the other; then one plain re-run."""

import json
import random
import shutil
import tempfile
import unittest
from pathlib import Path

import killed
from cluster import Cluster
from e2e import LATER, Case, guests, note, run, ssh, start, writes

# It cannot be at work twice at a time, and is at work until it may go on.
BUSY = """
- name: be alone for a while
  ansible.builtin.shell: |
    mkdir /var/tmp/busy && echo begin >>/var/tmp/done &&
    timeout 280 sh -c 'until [ -e /var/tmp/go ]; do sleep 0.2; done' &&
    echo end >>/var/tmp/done && rmdir /var/tmp/busy
  become: true
"""


class Killed(Case):
    def test_1_a_first_run(self):
        cluster = Cluster("lot", 91)
        points = [("request", random.randint(1, 18), random.random() < 0.5),
                  ("task", random.randint(1, 14), random.random()), ("task", random.randint(1, 14), random.random())]
        note(f"points: {points}")
        for how, number, after in points:
            at = killed.at_request if how == "request" else killed.at_task
            done = at(cluster.inputs(), number, after)
            self.assertTrue(done, "the run was over before")
            self.assertNotEqual(done.code, 0)
            note(f"{done.seconds:.0f} s, {(killed.tasks(done.log) or ['no task yet'])[-1].strip()}")
        before = {name: guest["vmid"] for name, guest in guests().items()}
        done = self.good(cluster.run())
        self.assertEqual(cluster.settled(), [])
        self.assertLessEqual(before.items(), {name: guest["vmid"] for name, guest in guests().items()}.items())
        asked = len(writes())
        self.good(cluster.run(), changed="false")
        self.assertEqual(writes()[asked:], [])

    def test_2_its_last_task_goes_on_and_is_waited_for(self):
        workspace = Path(tempfile.mkdtemp(prefix="nante-e2e-workspace-"))
        (workspace / "roles/busy/tasks").mkdir(parents=True)
        (workspace / "roles/busy/tasks/main.yml").write_text(BUSY)
        inputs = {"app_name": "busy", "environment": "test", "vlan_tag": "10", "cpu_cores": "1", "ram_mb": "512",
                  "ansible_roles": "busy", "vm_target_ip": "192.168.10.99"}
        for end in (killed.kill, killed.cancel):
            directory, child = start(inputs, workspace)
            self.wait_until("at work", lambda: child.poll() is not None or self.at_work(), 300)
            end(child)
            self.assertNotEqual(child.returncode, 0, Path(directory, "log").read_text(errors="replace")[-3000:])
            ssh("busy-test", f"{LATER}=6 touch /var/tmp/go")
            self.good(run(inputs, workspace))
            ssh("busy-test", "rm /var/tmp/go")
        self.assertEqual(ssh("busy-test", "cat /var/tmp/done").split(), ["begin", "end"] * 4)
        shutil.rmtree(workspace)

    @staticmethod
    def at_work():
        return "busy-test" in guests() and ssh("busy-test", "ls -d /var/tmp/busy 2>/dev/null", check=False) != ""


if __name__ == "__main__":
    unittest.main()
