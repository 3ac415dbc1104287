"""What the end-to-end tests share: one lab, the product run as a runner runs it, and questions to the machines."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import unittests

ROOT = Path(__file__).resolve().parents[2]
LAB = str(ROOT / "tests/lab/lab")
LIMIT = 900  # seconds a run may take on a busy machine
# On a host: LATER=SECONDS COMMAND. A timer of systemd's may come up to a minute late unless told.
LATER = "systemd-run --quiet --timer-property=AccuracySec=100ms --on-active"


def lab(*argv, check=True, timeout=120):
    done = subprocess.run([LAB, *argv], capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        raise AssertionError(f"lab {' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def ssh(name, command, check=True):
    """COMMAND as root on machine NAME."""
    return lab("ssh", name, "sudo", "sh", "-c", "'" + command.replace("'", "'\\''") + "'", check=check).strip()


def requests():
    """Everything asked of the Proxmox VE API so far."""
    lines = (json.loads(line) for line in lab("log").splitlines() if line.startswith("{"))
    return [r for r in lines if r.get("host") != "doppler"]


def writes():
    return [r for r in requests() if r.get("method") in ("POST", "PUT", "DELETE")]


def lab_state(name):
    """A file of the lab's state."""
    return Path("/run/nante-lab", os.environ["NANTE_LAB"], name)


def secret(name, value=None):
    """What the lab's Doppler holds; with VALUE, what it holds from now on."""
    path = lab_state("doppler.json")
    store = json.loads(path.read_text())
    if value is not None:
        store["secrets"][name]["value"] = value
        replace(path, json.dumps(store))
    return store["secrets"][name]["value"]


def replace(path, text):
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


def faults(*rules):
    """These rules, and no others, are in force from now on (tests/lab/pve/faults.py)."""
    replace(lab_state("faults.json"), json.dumps(rules))


def api(path):
    """The data of Proxmox VE's answer to GET PATH."""
    text = lab("exec", "--", "sh", "-c", "eval \"$($0 env)\"; curl -sS --cacert $NANTE_LAB_CA_FILE"
               " -H \"Authorization: PVEAPIToken=$PROXMOX_API_TOKEN_ID=$PROXMOX_API_TOKEN_SECRET\""
               f" $PROXMOX_API_URL/{path}", LAB)
    return json.loads(text)["data"]


def guests(kind="qemu"):
    """name -> what the API says of every VM (kind "lxc": container) that is there. The nodes know a name at once, the
    cluster's resources only some seconds later."""
    return {g.get("name", str(g["vmid"])): {**g, "node": node["node"]}
            for node in api("nodes") for g in api(f"nodes/{node['node']}/{kind}") if not g.get("template")}


def fresh():
    """A lab in which nothing was made yet."""
    subprocess.run([LAB, "down"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    subprocess.run([LAB, "up"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main(folder, words):
    """The tests of FOLDER in a lab that is there for them."""
    subprocess.run(["sh", "-ec", ". tests/lib.sh; . tests/lab/need.sh; need_lab"], cwd=ROOT, check=True)
    fresh()
    try:
        return unittests.run(folder, words)
    finally:
        subprocess.run([LAB, "down"], check=False)


class Run:
    """One run of the action, finished."""

    def __init__(self, directory, code, seconds):
        self.directory, self.code, self.seconds = Path(directory), code, seconds
        self.log = self.read("log")
        # Without what only the runner reads.
        self.said = re.sub(r"^::add-mask::.*\n", "", self.log, flags=re.M)
        self.summary = self.read("summary")
        entries = re.findall(r"^(\w+)<<(\S+)\n(.*?)\n\2$", self.read("output"), re.M | re.S)
        self.outputs = {name: value for name, _, value in entries}
        self.cluster = json.loads(self.outputs.get("cluster") or "{}")

    def read(self, name):
        path = self.directory / name
        return path.read_text(errors="replace") if path.exists() else ""


def note(text):
    """A figure for the reader of the test's log."""
    print("# " + text, file=sys.__stdout__, flush=True)


def start(inputs, workspace=None, extra=()):
    directory = tempfile.mkdtemp(prefix="nante-e2e-")
    argv = [str(ROOT / "tests/action"), "--lab", "--quiet", "--dir", directory, *extra]
    if workspace:
        argv += ["--workspace", str(workspace)]
    argv += [f"{name}={value}" for name, value in inputs.items()]
    return directory, subprocess.Popen(argv, stdout=subprocess.DEVNULL)


def run(inputs, workspace=None, extra=()):
    began = time.monotonic()
    directory, child = start(inputs, workspace, extra)
    try:
        code = child.wait(LIMIT)
    except subprocess.TimeoutExpired:
        child.terminate()
        child.wait(30)
        raise
    return Run(directory, code, time.monotonic() - began)


def unplug():
    """Every machine stops at once: idle clusters of tests that are over would take their part of the processors."""
    for name, guest in {**guests(), **guests("lxc")}.items():
        if guest["status"] == "running":
            lab("kill", name, check=False)  # a fault may have left it without a host


class Case(unittest.TestCase):
    maxDiff = None

    def __init_subclass__(cls, **more):
        super().__init_subclass__(**more)
        cls.addClassCleanup(unplug)

    def good(self, done, changed=None):
        if done.code != 0:
            shown = "\n".join(line for line in done.log.splitlines() if not line.startswith("::add-mask::"))
            self.fail(f"exit code {done.code}\n{shown[-6000:]}")
        if changed is not None:
            self.assertEqual(done.outputs["changed"], changed, done.summary)
        return done

    def wait_until(self, what, question, seconds=60):
        end = time.monotonic() + seconds
        while not question():
            if time.monotonic() > end:
                self.fail(f"after {seconds} s still not: {what}")
            time.sleep(0.5)
