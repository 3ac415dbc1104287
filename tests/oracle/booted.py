"""Cases on booted hosts: fresh machines of the lab for each program, over SSH as a user who may sudo."""
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

from play import HERE, Play

LAB = os.path.join(os.path.dirname(HERE), "lab")
sys.path.insert(0, LAB)
import base  # noqa: E402
from instance import Lab  # noqa: E402

USER = "deploy"
# On every host before the case: what Ansible's modules would else install themselves, and a fresh package index.
PREPARE = "apt-get -qq update && apt-get -qq -y install python3-apt python3-debian acl cron >/dev/null"
# sshd answers before the last unit is up; what still comes up is no deed of a playbook. "degraded" is up, too.
BOOTED = "systemctl is-system-running --wait >/dev/null || true"
ROOTS = ["/etc", "/home", "/opt", "/root", "/srv", "/usr/local", "/var/spool/cron", "/var/www"]
# What a picture may differ in: its name or its beginning, and why.
NOISE = [(re.compile(pattern), why) for pattern, why in [
    (r"file (/root|/home/[^/]+)/\.(ansible|cache|ssh/known_hosts)\b", "Ansible's and nante's own room"),
    (r"file /etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$", "compared as users and groups"),
    (r"file /etc/(\.pwd\.lock|ld\.so\.cache|resolv\.conf|mtab)$", "a tool's own"),
    (r"file /home/[^/]+/\.sudo_as_admin_successful$", "sudo's own"),
    (r"unit (file )?(user@|user-runtime-dir@|session-|ssh@|getty|console-getty|nante-|ansible)", "the login itself"),
    (r"unit (systemd-(hostnamed|timedated|localed|tmpfiles-clean|logind)|apt-|dpkg-|e2scrub|man-db|fstrim|dbus-org)",
     "comes and goes by itself"),
    (r"unit run-", "what services mount and start for themselves while they run"),
]]


def _delta(before, after):
    out = []
    for key in sorted(set(before) | set(after)):
        if before.get(key) == after.get(key) or any(p.match(key) for p, _ in NOISE):
            continue
        sign = "-" if key not in after else "+" if key not in before else "~"
        first, *rest = after.get(key, "").split("\n")
        out.append(f"{sign} {key} {first}".rstrip() + "\n")
        out += [f"    {line}\n" for line in rest if line]
    return "".join(out)


class Booted:
    """A lab of our own (NANTE_LAB, else "oracle") as long as cases are played."""

    def __init__(self):
        self.name = os.environ.setdefault("NANTE_LAB", "oracle")
        subprocess.run(["sh", "-ec", ". ../lib.sh; . ../lab/need.sh; need_lab"], cwd=HERE, check=True)
        lab = os.path.join(LAB, "lab")
        subprocess.run([lab, "down"], check=False)
        subprocess.run([lab, "up"], check=True, stderr=subprocess.DEVNULL)
        self.lab = Lab(self.name)
        self.hosts = self.lab.hosts()
        self.lock = threading.Lock()
        self.count = 0
        with open(os.path.join(HERE, "snapshot.py"), "rb") as f:
            self.snapshot = f.read()
        with open(self.lab.config()["ssh_public_key"], encoding="ascii") as f:
            self.key = f.read().strip()
        self._base()

    def close(self):
        subprocess.run([os.path.join(LAB, "lab"), "down"], check=False)

    def _base(self):
        """The disk that every host is a copy of."""
        self._new("base", "base", self.lab.config()["suite"], 9)
        self.hosts.wait_ready("base")
        self.shell("base", PREPARE)
        self.hosts.shutdown("base")

    def _new(self, name, hostname, source, number):
        address, gateway = f"192.168.10.{number}", self.lab.net.gateway(10)
        with self.lock:  # a name in use is asked for by nobody twice; the name server's table is one
            self.hosts.clone(source, name)
            self.hosts.configure(name, {"hostname": hostname, "user": USER, "sshkeys": [self.key], "vlan": 10,
                                        "ip": address + "/24", "gateway": gateway, "nameservers": [gateway]})
        self.hosts.start(name)
        return address

    def shell(self, name, text):
        code, _, out, err = self.hosts.exec(name, ["sh", "-euc", text], timeout=300)
        if code:
            raise base.LabError(f"setup ended with {code}: {(out + err).decode(errors='replace')[-800:]}")

    def picture(self, name, roots):
        code, _, out, err = self.hosts.exec(name, ["python3", "-", *roots], self.snapshot, timeout=120)
        if code:
            raise base.LabError("no picture: " + err.decode(errors="replace"))
        return json.loads(out)

    def _state(self, names, roots, before):
        return "".join(f"-- {h}\n" + _delta(before[h], self.picture(name, roots)) for h, name in names.items())

    @contextlib.contextmanager
    def place(self, case):
        names, lines, keys = {}, "[lab]\n", ""
        roots = ROOTS + case.get("roots").split()
        with tempfile.TemporaryDirectory(prefix="oracle-") as scratch:
            scratch = os.path.realpath(scratch)
            play = Play(case, scratch)
            try:
                for h in case.hosts:
                    with self.lock:
                        self.count += 1
                        number = 10 + self.count % 180
                        names[h] = f"c{self.count}-{h}"
                    address = self._new(names[h], h, "base", number)
                    lines += (f"{h} ansible_host={address} ansible_user={USER} "
                              f"ansible_ssh_private_key_file={self.lab.config()['ssh_private_key']} "
                              f"ansible_ssh_common_args='-o UserKnownHostsFile={scratch}/known_hosts'\n")
                before = {}
                for h, name in names.items():
                    self.hosts.wait_ready(name)
                    self.shell(name, BOOTED)
                    if case.get("setup"):
                        self.shell(name, case.get("setup"))
                    before[h] = self.picture(name, roots)
                    address = self.hosts.settings(name)["ip"].split("/")[0]
                    keys += "".join(f"{address} {key}\n" for key in self.hosts.host_keys(name))
                play.write("known_hosts", keys)
                play.write("lab.ini", lines)
                play.args = ["-i", "lab.ini"] + (["-i", "inventory"] if "inventory" in case.sections else [])
                play.wrap = self.lab.net.inside
                play.state = lambda: self._state(names, roots, before)
                yield play
            finally:
                for name in names.values():
                    with contextlib.suppress(base.LabError):
                        self.hosts.destroy(name)
