"""An app that takes seconds: one small machine, roles of the caller's own in the place of base_setup; what can be done
to it, and to the APIs."""

import shutil
import tempfile
from pathlib import Path

from e2e import Case, faults, lab, run, ssh, start, writes

MARK = "- name: mark\n  ansible.builtin.copy: {content: \"1\\n\", dest: /tmp/mark, mode: '0644'}\n"
NAME, ADDRESS = "host-test", "192.168.20.10"


def rule(action, path, method=None, server="pve", nth=1, count=1, **more):
    match = {"path": path, "server": server}
    if method:
        match["method"] = method
    return {"match": match, "nth": nth, "count": count, "action": action, **more}


def status(code, reason, path, method=None, **more):
    return rule("status", path, method, code=code, reason=reason, **more)


def workspace(**roles):
    """A caller's workspace with roles of one file each."""
    path = Path(tempfile.mkdtemp(prefix="nante-e2e-workspace-"))
    for name, tasks in {"base_setup": MARK, **roles}.items():
        (path / "roles" / name / "tasks").mkdir(parents=True)
        (path / "roles" / name / "tasks/main.yml").write_text(tasks)
    return path


def inputs(app, address, **more):
    return {"app_name": app, "environment": "test", "vlan_tag": "20", "cpu_cores": "1", "ram_mb": "512",
            "disk_gb": "10G", "vm_target_ip": address, "connect_timeout": "60", **more}


def clone(action, **more):
    return rule(action, "/clone$", "POST", **more)


def doppler(action, **more):
    return rule(action, "/secrets", server="doppler", **more)


def clones(since):
    return [r for r in writes()[since:] if r["path"].endswith("/clone")]


class ApiCase(Case):
    """One row of FAULTS is one test: name, rules, exit code, words in the log, clones asked for."""

    @classmethod
    def setUpClass(cls):
        cls.workspace = workspace()

    @classmethod
    def tearDownClass(cls):
        faults()
        shutil.rmtree(cls.workspace)

    @classmethod
    def add_tests(cls, rows):
        for number, (name, *row) in enumerate(rows):
            def test(self, number=number, row=row):
                self.meet(number, *row)
            setattr(cls, f"test_{number:02}_{name.replace(' ', '_')}", test)

    def meet(self, number, rules, code, words, count):
        app, address = f"{type(self).__name__.lower()}{number}", f"192.168.20.{20 + number}"
        asked = len(writes())
        faults(*rules)
        done = run(inputs(app, address), self.workspace)
        faults()
        self.assertEqual(done.code, code, done.said[-3000:])
        for word in words:
            self.assertIn(word.format(name=f"{app}-test"), done.said)
        if count is not None:
            self.assertEqual(len(clones(asked)), count, done.said[-3000:])
        if code == 2:
            self.assertEqual(writes()[asked:], [], done.said)
        asked = len(writes())
        again = self.good(run(inputs(app, address), self.workspace), changed="false" if code == 0 else "true")
        if code == 0:
            self.assertEqual(writes()[asked:], [], again.said)
        self.assertEqual(lab("inventory").count(f"{app}-test ansible_host"), 1)


class HostCase(Case):
    """A machine that things happen to while a role runs on it."""

    roles = {}  # name -> tasks

    @classmethod
    def setUpClass(cls):
        cls.workspace = workspace(**cls.roles)
        cls.made = run(inputs("host", ADDRESS), cls.workspace)

    @classmethod
    def tearDownClass(cls):
        faults()
        shutil.rmtree(cls.workspace)

    def setUp(self):
        self.good(self.made)
        lab("join", NAME)
        self.wait_until("SSH and sudo work", lambda: ssh(NAME, "echo 1", check=False) == "1")

    def play(self, role, **more):
        return run(inputs("host", ADDRESS, ansible_roles=role, **more), self.workspace)

    def bad(self, done, code, *words):
        self.assertEqual(done.code, code, done.said[-3000:])
        for word in words:
            self.assertIn(word, done.said)

    def in_the_middle(self, role, act):
        """Runs ROLE; ACT is called when its task is under way. The finished process's log and exit code."""
        ssh(NAME, "rm -f /tmp/count")
        directory, child = start(inputs("host", ADDRESS, ansible_roles=role, connect_timeout="20"), self.workspace)
        self.wait_until("the task under way", lambda: child.poll() is not None
                        or lab("ssh", NAME, "pgrep", "-f", "'sleep [69]'", check=False), 60)
        act()
        code = child.wait(300)
        return code, Path(directory, "log").read_text(errors="replace")
