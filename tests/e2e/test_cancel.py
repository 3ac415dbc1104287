"""The cancel sequence of a runner: SIGINT, 7.5 s later SIGTERM. It ends in under 7 s; the next run completes."""

import json
import shutil
import signal
import tempfile
import time
import unittest
from pathlib import Path

from e2e import Case, run, ssh, start, writes

INPUTS = {"app_name": "slow", "environment": "test", "vlan_tag": "10", "cpu_cores": "1", "ram_mb": "512",
          "ansible_roles": "slow", "instances": json.dumps({f"n{i}": {"ip_address": f"192.168.10.{80 + i}"} for i in (1, 2)})}
TASKS = """
- name: before
  ansible.builtin.copy: {content: "1\\n", dest: /etc/before, mode: '0644'}
  become: true
- name: take long
  ansible.builtin.command: sleep 12
  args: {creates: /etc/after}
- name: after
  ansible.builtin.copy: {content: "1\\n", dest: /etc/after, mode: '0644'}
  become: true
"""


class Cancel(Case):
    @classmethod
    def setUpClass(cls):
        cls.workspace = Path(tempfile.mkdtemp(prefix="nante-e2e-workspace-"))
        (cls.workspace / "roles/slow/tasks").mkdir(parents=True)
        (cls.workspace / "roles/slow/tasks/main.yml").write_text(TASKS)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.workspace)

    def cancelled(self, ready):
        """Starts a run, cancels it as soon as READY says so; how long it then took to end, and its log."""
        directory, child = start(INPUTS, self.workspace)
        log = Path(directory, "log")
        self.wait_until("there to be cancelled", lambda: child.poll() is not None or ready(log), 300)
        self.assertIsNone(child.poll(), log.read_text(errors="replace")[-3000:])
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        while child.poll() is None and time.monotonic() < began + 7.5:
            time.sleep(0.05)
        took = time.monotonic() - began
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            child.wait(30)
        return took, child.returncode, log.read_text(errors="replace")

    def test_1_while_machines_are_made(self):
        took, code, log = self.cancelled(lambda _log: any("/clone" in r["path"] for r in writes()))
        self.assertLess(took, 7)
        self.assertNotEqual(code, 0)
        self.assertIn("cancelled", log)

    def test_2_in_the_middle_of_a_task(self):
        took, code, log = self.cancelled(lambda log: log.exists() and "take long" in log.read_text(errors="replace"))
        self.assertLess(took, 7)
        self.assertNotEqual(code, 0)
        self.assertIn("cancelled", log)

    def test_3_the_next_run_completes(self):
        done = self.good(run(INPUTS, self.workspace))
        self.assertEqual(len(json.loads(done.outputs["vm_ids"])), 2)
        for name in ("slow-test-n1", "slow-test-n2"):
            self.assertEqual(ssh(name, "cat /etc/before /etc/after"), "1\n1")
        self.good(run(INPUTS, self.workspace), changed="false")


if __name__ == "__main__":
    unittest.main()
