"""Machines in memory with the interface of tests/lab/hosts.py, so that the simulator runs without root.

A machine is a dict of files and a power state; commands are the few that tests need.
"""

import os
import threading
import time

BOOT_SECONDS = float(os.environ.get("PVE_SIM_BOOT", 0.2))


class HostError(Exception):
    pass


class _Host:
    def __init__(self):
        self.files = {"/etc/hostname": b"localhost\n"}
        self.settings = {}
        self.power = "stopped"
        self.booted_at = 0.0
        self.boots = 0
        self.ssh_keys_of = None


class FakeHosts:
    def __init__(self, state_dir):
        self.dir = state_dir
        self._hosts = {}
        self._lock = threading.RLock()

    def _get(self, name):
        with self._lock:
            if name not in self._hosts:
                raise HostError("no host '%s'" % name)
            return self._hosts[name]

    def create(self, name, image="bookworm"):
        with self._lock:
            if name in self._hosts:
                raise HostError("host '%s' exists" % name)
            self._hosts[name] = _Host()

    def clone(self, src, name):
        self.create(name)
        with self._lock:
            if src in self._hosts:
                self._hosts[name].files = dict(self._hosts[src].files)

    def destroy(self, name):
        with self._lock:
            self._hosts.pop(name, None)

    def exists(self, name):
        return name in self._hosts

    def list(self):
        return sorted(self._hosts)

    def configure(self, name, settings):
        self._get(name).settings = dict(settings)

    def start(self, name):
        host = self._get(name)
        host.power, host.booted_at = "running", time.monotonic()
        host.boots += 1
        if host.settings.get("hostname"):
            host.files["/etc/hostname"] = host.settings["hostname"].encode() + b"\n"
        if host.ssh_keys_of != host.settings.get("instance_id"):
            host.ssh_keys_of = host.settings.get("instance_id")
            key = "ssh-ed25519 KEY-OF-%s root@host\n" % host.ssh_keys_of
            host.files["/etc/ssh/ssh_host_ed25519_key.pub"] = key.encode()

    def stop(self, name):
        self._get(name).power = "stopped"

    poweroff = kill = stop

    def shutdown(self, name, timeout=60):
        host = self._get(name)
        if host.power == "frozen":
            raise HostError("host '%s' does not shut down" % name)
        host.power = "stopped"

    def reboot(self, name):
        self.start(name)

    def freeze(self, name):
        self._get(name).power = "frozen"

    def thaw(self, name):
        self._get(name).power = "running"

    def cut(self, name):
        self._get(name)

    join = cut

    def state(self, name):
        return self._get(name).power

    def agent_ready(self, name):
        host = self._get(name)
        return host.power == "running" and time.monotonic() - host.booted_at >= BOOT_SECONDS

    def exec(self, name, argv, stdin=b"", timeout=None):
        host = self._get(name)
        if argv[0] == "cat" and len(argv) > 1:
            return 0, None, self.read_file(name, argv[1]), b""
        if argv[0] == "cat":
            return 0, None, stdin, b""
        if argv[:2] == ["sh", "-c"] and "cloud-init status" in argv[2]:
            return 0, None, b"status: done\n", b""
        if argv[0] == "hostname":
            return 0, None, host.files["/etc/hostname"], b""
        if argv[0] == "sleep":
            time.sleep(float(argv[1]))
            return 0, None, b"", b""
        if argv[0] == "false":
            return 1, None, b"", b"no\n"
        raise HostError("cannot run '%s'" % argv[0])

    def read_file(self, name, path):
        files = self._get(name).files
        if path not in files:
            raise HostError("%s: No such file or directory" % path)
        return files[path]

    def write_file(self, name, path, data):
        self._get(name).files[path] = data

    def interfaces(self, name):
        settings = self._get(name).settings
        loopback = {"name": "lo", "mac": "00:00:00:00:00:00",
                    "addresses": [{"ip": "127.0.0.1", "prefix": 8, "family": "ipv4"}]}
        ip, _, prefix = settings.get("ip", "").partition("/")
        card = {"name": "eth0", "mac": settings.get("mac", "").lower(), "addresses": []}
        if prefix:
            card["addresses"].append({"ip": ip, "prefix": int(prefix), "family": "ipv4"})
        return [loopback, card]
