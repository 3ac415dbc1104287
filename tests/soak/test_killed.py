"""Killed anywhere: at every request of provisioning, at 20 points of a first configuration, as a runner cancels, and the
same on a cluster that has data. Then one plain re-run: it converges, with the same machines, every acknowledged row and
no half-installed package; the run after it changes nothing."""

import itertools
import json
import os
import random
import shutil
import tempfile
import unittest
from pathlib import Path

import killed
from cluster import Cluster, Writer
from e2e import Case, fresh, guests, note, run, ssh, writes

POINTS = int(os.environ.get("POINTS", "20"))
TASKS = """
- name: greet
  ansible.builtin.copy: {content: "hello\\n", dest: /etc/hello, mode: '0644'}
  become: true
"""
SHOP = {"app_name": "shop", "environment": "test", "vlan_tag": "10", "cpu_cores": "1", "ram_mb": "512", "disk_gb": "12",
        "ansible_roles": "hello"}


def ids():
    return {name: guest["vmid"] for name, guest in guests().items()}


class Requests(Case):
    """Two machines with a light role, so that each of their requests can be the last."""

    @classmethod
    def setUpClass(cls):
        cls.workspace = Path(tempfile.mkdtemp(prefix="nante-soak-workspace-"))
        (cls.workspace / "roles/hello/tasks").mkdir(parents=True)
        (cls.workspace / "roles/hello/tasks/main.yml").write_text(TASKS)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.workspace)

    @staticmethod
    def inputs(keys=(1, 2), **more):
        return {**SHOP, "instances": json.dumps({f"n{i}": {"ip_address": f"192.168.10.{80 + i}"} for i in keys}), **more}

    def converges(self, inputs, names, before):
        """One plain re-run; machines that were there keep their ids. The next run has nothing to do."""
        done = self.good(run(inputs, self.workspace))
        there = ids()
        self.assertEqual(sorted(there), names)
        for name, vmid in before.items():
            self.assertEqual(there.get(name, vmid), vmid, f"{name} is another machine")
        for name in names:
            self.assertEqual(ssh(name, "cat /etc/hello"), "hello")
        asked = len(writes())
        self.good(run(inputs, self.workspace), changed="false")
        self.assertEqual(writes()[asked:], [])
        return done

    def each(self, prepare, inputs, names):
        """Kills the run with INPUTS at each of its requests, before and after the API's work, each in a lab as PREPARE
        leaves it. Returns how many requests there were."""
        for number in itertools.count(1):
            for after in (False, True):
                with self.subTest(number=number, after_work=after):
                    fresh()
                    prepare()
                    done = killed.at_request(inputs, number, after, self.workspace)
                    if not done:
                        return number - 1
                    self.assertNotEqual(done.code, 0)
                    last = writes()[-1]
                    note(f"request {number}, {'after' if after else 'before'}: {last['method']} {last['path']}")
                    self.converges(inputs, names, ids())

    def made(self, **inputs):
        self.good(run(self.inputs(**inputs), self.workspace))

    def test_1_making(self):
        self.assertGreaterEqual(self.each(lambda: None, self.inputs(), ["shop-test-n1", "shop-test-n2"]), 10)

    def test_2_changing(self):
        self.assertGreaterEqual(self.each(self.made, self.inputs(cpu_cores="2", disk_gb="14"),
                                          ["shop-test-n1", "shop-test-n2"]), 2)

    def test_3_taking_away(self):
        inputs = self.inputs((1,), allow_destroy="true")
        self.assertGreaterEqual(self.each(self.made, inputs, ["shop-test-n1"]), 2)

    def test_4_destroying(self):
        inputs = self.inputs(command="destroy", confirm_destroy="true")
        for number in itertools.count(1):
            for after in (False, True):
                with self.subTest(number=number, after_work=after):
                    fresh()
                    self.made()
                    if not killed.at_request(inputs, number, after, self.workspace):
                        self.assertGreater(number, 2)
                        return
                    self.good(run(inputs, self.workspace))
                    self.assertEqual(ids(), {})


class First(Case):
    """The first run of the guide's cluster, ended at points spread over its tasks."""

    def converges(self, cluster, before):
        done = self.good(cluster.run())
        self.assertEqual(cluster.settled(), [], done.log[-4000:])
        there = ids()
        self.assertLessEqual(before.items(), there.items())
        asked = len(writes())
        self.good(cluster.run(), changed="false")
        self.assertEqual(writes()[asked:], [])
        self.assertEqual(cluster.problems(), [])

    def ended(self, number, end, later=0.0):
        """A fresh cluster's first run, ended at task NUMBER, and what follows."""
        fresh()
        cluster = Cluster()
        done = killed.at_task(cluster.inputs(), number, later=later, end=end)
        if not done:
            return False
        self.assertNotEqual(done.code, 0)
        note(f"ended at task {number} + {later:.1f} s: {killed.tasks(done.log)[-1].strip()}")
        self.converges(cluster, ids())
        return True

    def test_1_killed(self):
        fresh()
        whole = self.good(Cluster().run())
        lines = killed.tasks(whole.log)
        note(f"a first run: {whole.seconds:.0f} s, {len(lines)} lines about tasks")
        for point in random.sample(range(POINTS), POINTS):
            number = 1 + point * (len(lines) - 1) // max(POINTS - 1, 1)
            # Every other one somewhere within the task that follows.
            took = float(lines[min(number, len(lines) - 1)].split("s")[0])
            with self.subTest(point=point + 1, number=number):
                self.assertTrue(self.ended(number, killed.kill, random.uniform(0, took) if point % 2 else 0))

    def test_2_killed_again_and_again(self):
        """The same points with a fifth of the work: a cluster's first run is killed at every fifth of them, one after
        the other, before one is let through."""
        for first in range(5):
            with self.subTest(first=first):
                fresh()
                cluster, before = Cluster(), {}
                for point in range(first, POINTS, 5):
                    # What is done already says so again, in some 30 lines, and the rest comes behind it.
                    done = killed.at_task(cluster.inputs(), 1 + point * 29 // max(POINTS - 1, 1), later=random.uniform(0, 1))
                    note(f"point {point + 1}: {killed.tasks(done.log)[-1].strip() if done else 'over before'}")
                    self.assertLessEqual(before.items(), ids().items())
                    before = ids()
                self.converges(cluster, before)

    def test_3_cancelled(self):
        for number in (2, 12, 22, 30):
            with self.subTest(number=number):
                self.assertTrue(self.ended(number, killed.cancel))


class Again(Case):
    """A cluster with a client that writes: it grows and shrinks, and the runs that do it are ended at point after
    point, until one is let through."""

    @classmethod
    def setUpClass(cls):
        fresh()
        cls.cluster = Cluster()
        cls.first = cls.cluster.run()

    def ladder(self, points, **more):
        self.good(self.first)
        cluster = self.cluster
        kept, leader = cluster.names[:3], cluster.leader(cluster.names[0])
        before = {n: cluster.processes(n) for n in kept}
        writer = Writer(cluster, cluster.names[0])
        for how, number, after, end in points:
            inputs = cluster.inputs(**more)
            done = (killed.at_request(inputs, number, after, end=end) if how == "request"
                    else killed.at_task(inputs, number, later=after, end=end))
            note(f"{how} {number}, {after}: {'over before' if not done else killed.tasks(done.log)[-1:]}")
        self.good(cluster.run(**more))
        self.assertEqual(cluster.settled(), [])
        rows, lost, gap = writer.stop()
        note(f"{rows} rows acknowledged, {len(lost)} lost, longest pause {gap:.1f} s")
        self.assertGreater(rows, 20)
        self.assertEqual(lost, [])
        self.assertEqual({n: cluster.processes(n) for n in kept}, before)
        self.assertEqual(cluster.leader(), leader)
        self.good(cluster.run(), changed="false")

    def test_1_second_run(self):
        self.ladder([("task", n, 0.1, end) for n, end in ((1, killed.kill), (4, killed.kill), (7, killed.cancel))])

    def test_2_a_fourth(self):
        self.cluster.numbers = [1, 2, 3, 4]
        self.ladder([("request", 1, True, killed.kill), ("request", 1, False, killed.kill),
                     ("task", 3, 0.5, killed.kill), ("task", 9, 0.0, killed.cancel), ("task", 14, 0.3, killed.kill),
                     ("task", 16, 0.0, killed.kill), ("task", 18, 1.0, killed.kill), ("task", 20, 0.2, killed.cancel)])

    def test_3_and_three_again(self):
        self.cluster.numbers = [1, 2, 3]
        self.ladder([("task", 1, 0.3, killed.kill), ("task", 3, 0.0, killed.kill), ("task", 4, 0.5, killed.cancel),
                     ("request", 1, True, killed.kill)], allow_destroy="true")


if __name__ == "__main__":
    unittest.main()
