"""Planted secrets, used by a role in every way there is, appear nowhere: log, summary, outputs, annotations, arguments and
environments of processes, files others may read, what remains on the host."""

import base64
import hashlib
import html
import json
import os
import re
import shlex
import subprocess
import tempfile
import threading
import unittest
import urllib.parse
from pathlib import Path

from e2e import Case, run, ssh, writes

ROLES = str(Path(__file__).resolve().parent / "roles")
NAME = "veil-test"
INPUTS = {"app_name": "veil", "environment": "test", "vlan_tag": "10", "cpu_cores": "1", "ram_mb": "512", "disk_gb": "12",
          "vm_target_ip": "192.168.10.75", "ansible_roles": "secretive", "roles_path": ROLES}
BY_THE_ROLE = "by-the-role"
TICKS = os.sysconf("SC_CLK_TCK")


def private_key():
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "planted", "-f", path], check=True)
        return path.read_text()


DOPPLER = {
    "PLANTED_KEY": private_key(),
    "PLANTED_ODD_PASSWORD": "we%ird\"qu'o$te\\and`$PRICE`&<x>é-end\n",
    "PLANTED_JSON": json.dumps({"type": "robot", "password": "json-inner-pa55word", "lines": "first-inner-line\nsecond-inner-line"},
                               indent=2),
    "PLANTED_WORD": "wednesday",
}
ENVIRONMENT = {"PLANTED_URL": "http://robot:url-p%40ss-9q@127.0.0.1:1/path?x=1"}
SECRETS = {"PLANTED_OWN_TOKEN": "own77-token-31415926"}
PLANTED = {**DOPPLER, **ENVIRONMENT, **SECRETS}


def lines_of(value):
    """Its lines that say something: not what is in every private key, nor JSON's brackets."""
    lines = [line.strip() for line in value.splitlines()]
    return [line for line in lines if len(line) >= 8 and "PRIVATE KEY" not in line and line[:8] != "b3BlbnNz" and '"type"' not in line]


def needles():
    """What must not be seen, each with its name: the secrets, their lines and members, in all the forms of the brief.
    Made by Python's own means, which know nothing of how the product hides."""
    found = {}

    def add(name, text):
        text = text.strip()
        if len(text) >= 4:
            found.setdefault(text, name)

    def forms(name, value):
        add(name, value)
        add(name + " as JSON", json.dumps(value)[1:-1])
        add(name + " as UTF-8 JSON", json.dumps(value, ensure_ascii=False)[1:-1])
        add(name + " as JSON in JSON", json.dumps(json.dumps(value))[3:-3])
        add(name + " as Python", repr(value)[1:-1])
        add(name + " in a URL", urllib.parse.quote(value, safe=""))
        add(name + " in a URL's path", urllib.parse.quote(value))
        add(name + " in a form", urllib.parse.quote_plus(value))
        add(name + " in a shell", shlex.quote(value).strip("'"))
        add(name + " in HTML", html.escape(value))
        add(name + " in upper case", value.upper())
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + value.encode()).decode()
            text = text[4 if shift else 0:(shift + len(value.encode())) // 3 * 4]
            if len(text) >= 8:
                add(name + " as base64", text)

    for name, value in PLANTED.items():
        value = value.strip()
        forms(name, value)
        for line in lines_of(value):
            forms(name + ", a line", line)
    inner = json.loads(PLANTED["PLANTED_JSON"])
    forms("the password in PLANTED_JSON", inner["password"])
    for line in inner["lines"].splitlines():
        forms("a line in PLANTED_JSON", line)
    for text in ("url-p%40ss-9q", "url-p@ss-9q"):
        forms("the password in PLANTED_URL", text)
    add("a part of PLANTED_OWN_TOKEN", "own77")
    for algorithm in ("md5", "sha256"):
        add("a hash of PLANTED_OWN_TOKEN", hashlib.new(algorithm, PLANTED["PLANTED_OWN_TOKEN"].encode()).hexdigest())
    return found


NEEDLES = needles()


def leaks(text):
    return sorted({f"{name}: …{text[max(0, text.find(n) - 60):text.find(n) + 80]!r}" for n, name in NEEDLES.items() if n in text})


class Sampler(threading.Thread):
    """Reads the arguments and environments of all processes of this machine and its hosts, over and over. Excused are
    this test and tests/action, which plays the runner; the action itself in its first second, as the runner gives it
    its inputs that way; and on hosts what the role's own tasks were given, which carry the mark."""

    def __init__(self):
        super().__init__(daemon=True)
        self.found, self.passes, self.seen, self.excused, self.over = set(), 0, set(), set(), False
        self.raw = [text.encode() for text, name in NEEDLES.items() if " as " not in name and " in " not in name]

    def look(self, pid):
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes()
            env = Path(f"/proc/{pid}/environ").read_bytes()
            began = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) / TICKS
            age = float(Path("/proc/uptime").read_text().split()[0]) - began
        except OSError:
            return
        self.seen.add(argv.split(b"\0")[0])
        if b"tests/action" in argv or BY_THE_ROLE.encode() in argv + env:
            if BY_THE_ROLE.encode() in argv + env:
                self.excused.add(argv[:40])
            return
        for what, text in (("arguments", argv), ("environment", env)):
            if any(raw in text for raw in self.raw) and not (what == "environment" and age < 1):
                self.found.add(f"{what} of {argv[:80]!r}")

    def run(self):
        mine = {str(os.getpid())}
        while not self.over:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                if pid not in mine:
                    self.look(pid)
            self.passes += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.join()


def doppler(change):
    path = Path("/run/nante-lab", os.environ["NANTE_LAB"], "doppler.json")
    store = json.loads(path.read_text())
    change(store["secrets"])
    new = path.with_suffix(".new")
    new.write_text(json.dumps(store))
    new.rename(path)


def extra(*more):
    return [*(f"--env={name}={value}" for name, value in ENVIRONMENT.items()),
            *(f"--secret={name}={value}" for name, value in SECRETS.items()), *more]


def masks(log):
    """What the log tells the runner to hide, as the runner understands it."""
    unescape = {"%0D": "\r", "%0A": "\n", "%25": "%"}
    lines = (line[len("::add-mask::"):] for line in log.splitlines() if line.startswith("::add-mask::"))
    return [re.sub("%0D|%0A|%25", lambda m: unescape[m.group()], line) for line in lines]


class Secrets(Case):
    @classmethod
    def setUpClass(cls):
        doppler(lambda secrets: secrets.update({n: {"value": v, "visibility": "masked"} for n, v in DOPPLER.items()}))
        with Sampler() as cls.sampler:
            cls.done = run(INPUTS, extra=extra("--env=RUNNER_DEBUG=1"))

    @classmethod
    def tearDownClass(cls):
        doppler(lambda secrets: [secrets.pop(name, None) for name in [*DOPPLER, "PLANTED_SHORT_PASSWORD"]])

    def nothing_leaks(self, done):
        shown = "\n".join(line for line in done.log.splitlines() if not line.startswith("::add-mask::"))
        for where, text in (("log", shown), ("summary", done.summary), ("outputs", done.read("output")),
                            ("env", done.read("env")), ("state", done.read("state"))):
            self.assertEqual(leaks(text), [], where)
        self.assertIn("***", shown)

    def test_1_log_summary_outputs(self):
        self.good(self.done)
        self.nothing_leaks(self.done)
        # What debug shows is there, without them.
        self.assertIn('"word": "***"', self.done.log)
        self.assertIn("ignored  Fail an assertion", self.done.log)
        self.assertIn("password=***", self.done.outputs["dsn"])
        self.assertIn("**dsn**: `host=db user=admin password=***`", self.done.summary)

    def test_2_masks_come_first_and_are_escaped(self):
        told = masks(self.done.log)
        for name, value in PLANTED.items():
            self.assertIn(value.strip(), told, name)
            for line in value.strip().splitlines():
                if len(line.strip()) >= 4:
                    self.assertIn(line.strip(), told, name)
        self.assertIn(json.dumps(DOPPLER["PLANTED_ODD_PASSWORD"].strip())[1:-1], told)
        self.assertIn("url-p@ss-9q", told)
        for text in told:
            self.assertGreaterEqual(len(text), 4)

    def test_3_processes(self):
        self.good(self.done)
        self.assertEqual(self.sampler.found, set())
        self.assertGreater(self.sampler.passes, 20)
        # The sampler did see what it looks for: the agents on the host, and the tasks that were given secrets.
        self.assertTrue(any(b"/agent-" in argv or argv.endswith(b"nante") for argv in self.sampler.seen), self.sampler.seen)
        self.assertTrue(self.sampler.excused)

    def test_4_nothing_remains_on_the_host(self):
        self.good(self.done)
        self.assertEqual(ssh(NAME, "cat /root/secretive/odd"), PLANTED["PLANTED_ODD_PASSWORD"].strip())
        # Made there, from there: what this test itself asks leaves its traces, too.
        ssh(NAME, "cd /root/secretive && umask 077 && { grep -hE '.{8,}' key odd word url own | grep -vE 'PRIVATE KEY|^b3BlbnNz';"
                  " grep -hoE '[a-z]+-inner-[a-z0-9]+' json; } >needles && test $(wc -l <needles) -ge 10")
        grep = "grep -rlaF -f /root/secretive/needles"
        self.assertNotEqual(ssh(NAME, grep + " /root/secretive --exclude=needles"), "")
        self.assertEqual(ssh(NAME, grep + " /etc /home /opt /run /srv /tmp /usr/local /var 2>/dev/null; true"), "")
        self.assertEqual(ssh(NAME, grep + " /root --exclude-dir=secretive; true"), "")
        self.assertEqual(ssh(NAME, "journalctl --no-pager -o cat | grep -aF -f /root/secretive/needles; true"), "")
        self.assertEqual(ssh(NAME, "find /root/secretive -type f -perm /077"), "")
        self.assertEqual(ssh(NAME, "rm /root/secretive/needles; ls -A /run/nante /root/.ansible 2>/dev/null; true"), "")

    def test_5_nothing_remains_on_the_runner(self):
        for directory in (self.done.directory / "home", self.done.directory / "temp", self.done.directory / "workspace"):
            self.assertEqual([p for p in directory.rglob("*") if p.is_file()], [])

    def test_6_a_failure_shows_none(self):
        done = run({**INPUTS, "command": "configure", "ansible_extra_vars": "give_up=true"}, extra=extra())
        self.assertEqual(done.code, 1, done.log[-3000:])
        self.nothing_leaks(done)
        self.assertIn("::error", done.log)
        # What the role said is no command of the action: its "::error::" stands between the marks.
        stopped = re.search(r"^::stop-commands::(\w+)$.*?^::error::\*\*\*$.*?^::\1::$", done.log, re.M | re.S)
        self.assertTrue(stopped, done.log[-3000:])

    def test_7_too_short_is_refused(self):
        doppler(lambda secrets: secrets.update(PLANTED_SHORT_PASSWORD={"value": "q7x", "visibility": "masked"}))
        asked = len(writes())
        done = run(INPUTS, extra=extra())
        self.assertEqual(done.code, 2, done.log[-2000:])
        self.assertIn("PLANTED_SHORT_PASSWORD is too short to be hidden", done.log)
        self.assertNotIn("q7x", done.log)
        self.assertEqual(writes()[asked:], [])


if __name__ == "__main__":
    unittest.main()
