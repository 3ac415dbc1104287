"""The lab's hosts: disks that clone by overlay, and booted systemd machines on them.

Several processes use this at once (the simulator, the command line), so all state is in files:
STATE/hosts/NAME/ holds host.json (the disk's image), settings.json, console.log; the disk itself is
DISKS/NAME. What runs is read from the host's cgroup, never remembered."""

import contextlib
import hashlib
import os
import secrets
import signal
import subprocess
import sys
import time

import base
import cgroup
import cloudinit
from net import Net


HostError = base.LabError  # what a caller of Hosts gets, with a text fit to be shown


class Host:
    """Where one host keeps its things."""

    def __init__(self, state, disks, name):
        self.name = name
        self.dir = os.path.join(state, 'hosts', name)
        self.disk = os.path.join(disks, name)
        self.root = os.path.join(self.dir, 'root')
        self.console = os.path.join(self.dir, 'console.log')
        self.meta_file = os.path.join(self.dir, 'host.json')
        self.settings_file = os.path.join(self.dir, 'settings.json')
        self.cut_file = os.path.join(self.dir, 'cut')

    @property
    def image(self):
        return base.read_json(self.meta_file)['image']


def _mac(name):
    h = hashlib.sha256(name.encode()).hexdigest()
    return 'bc:24:11:' + ':'.join(h[i:i + 2] for i in (0, 2, 4))


class Hosts:
    def __init__(self, state_dir):
        self.state_dir = state_dir
        self.config = base.read_json(os.path.join(state_dir, 'config.json'))
        if self.config is None:
            raise HostError(f'no lab in {state_dir}')
        self.net = Net(self.config['instance'], state_dir)

    # Where things are

    def host(self, name):
        """The host's places; HostError when there is no such host."""
        host = self._places(name)
        if not os.path.exists(host.meta_file):
            raise HostError(f"no host '{name}'")
        return host

    def _places(self, name):
        try:
            base.check_name(name, 'host name')
        except base.LabError as e:
            raise HostError(str(e)) from None
        return Host(self.state_dir, self.config['disks'], name)

    def cgroup(self, name):
        return os.path.join(cgroup.lab(self.config['instance']), 'hosts', name)

    def settings(self, name):
        """The host's settings with every default filled in."""
        s = {'hostname': name, 'mac': _mac(f"{self.config['instance']}/{name}"), 'vlan': 1}
        stored = base.read_json(self.host(name).settings_file, {})
        s.update({k: v for k, v in stored.items() if v not in (None, '')})
        s['mac'] = s['mac'].lower()
        s['vlan'] = int(s['vlan']) or 1
        if not s.get('nameservers'):
            s['nameservers'] = [self.net.gateway(s['vlan'])]
        return s

    # Disks

    def exists(self, name):
        return os.path.exists(self._places(name).meta_file)

    def list(self):
        folder = os.path.join(self.state_dir, 'hosts')
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return sorted(n for n in names if os.path.exists(os.path.join(folder, n, 'host.json')))

    def create(self, name, image='bookworm'):
        """A fresh disk from an image; the host is powered off."""
        tree = self.config['images'].get(image)
        if tree is None:
            raise HostError(f"no image '{image}' (there are: {', '.join(self.config['images'])})")
        self._make(name, tree, None)

    def clone(self, source, name):
        """A disk from another host's disk, or from an image."""
        if source in self.config['images']:
            return self.create(name, source)
        src = self.host(source)
        if self.state(source) != 'stopped':
            raise HostError(f"host '{source}' is running: its disk cannot be copied")
        return self._make(name, src.image, src.disk)

    def _make(self, name, image, disk):
        host = self._places(name)
        with base.locked(self.state_dir, name):
            if os.path.exists(host.meta_file):
                raise HostError(f"host '{name}' exists already")
            self._wipe(host)
            os.makedirs(host.root)
            os.makedirs(os.path.join(host.disk, 'work'))
            upper = os.path.join(host.disk, 'upper')
            if disk:
                base.run(['cp', '-a', '--reflink=auto', os.path.join(disk, 'upper'), upper])
            else:
                os.mkdir(upper)
            os.chmod(upper, 0o755)
            base.write_json(host.meta_file, {'image': image})

    @staticmethod
    def _wipe(host):
        for path in (host.disk, host.dir):
            base.run(['rm', '-rf', '--one-file-system', path], timeout=300)

    def destroy(self, name):
        host = self.host(name)
        with base.locked(self.state_dir, name):
            self._stop(name)
            self.net.unplug(name)
            self._wipe(host)
        self._names_changed()

    def configure(self, name, settings):
        """Replaces the settings; a running host takes them at its next boot."""
        known = set(cloudinit.GUEST_KEYS) | {'vlan', 'instance_id', 'disk_gb'}
        unknown = set(settings) - known
        if unknown:
            raise HostError(f"unknown settings: {', '.join(sorted(unknown))}")
        base.write_json(self.host(name).settings_file, settings)
        self._names_changed()

    def _names_changed(self):
        """Tells the lab's name server who has which address."""
        with base.locked(self.state_dir, '.names'):
            lines = []
            for name in self.list():
                with contextlib.suppress(HostError):  # destroyed meanwhile
                    s = self.settings(name)
                    if s.get('ip') and s['ip'] != 'dhcp':
                        lines.append(f"{s['ip'].split('/')[0]} {s['hostname']}")
            base.write_atomic(os.path.join(self.state_dir, 'dns-hosts'), '\n'.join(lines) + '\n', 0o644)
        for pid in cgroup.pids(os.path.join(cgroup.lab(self.config['instance']),
                                            'services', 'dnsmasq')):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)

    # Power

    def start(self, name):
        host = self.host(name)
        with base.locked(self.state_dir, name):
            if self.state(name) != 'stopped':
                raise HostError(f"host '{name}' is already running")
            settings = self.settings(name)
            self.net.plug(name, settings['mac'], settings['vlan'],
                          not os.path.exists(host.cut_file))
            cgroup.kill(self.cgroup(name))
            cgroup.make(self.cgroup(name))
            boot = [sys.executable, os.path.join(base.HERE, 'boot.py'), self.state_dir, name]
            p = subprocess.run(boot, stdin=subprocess.DEVNULL, capture_output=True)
            if p.returncode != 0:
                cgroup.kill(self.cgroup(name))
                raise HostError(f"host '{name}' does not boot: {p.stderr.decode().strip()}; "
                                f'console: {host.console}')

    def stop(self, name):
        """Pulls the plug. A stopped host stays stopped."""
        self.host(name)
        with base.locked(self.state_dir, name):
            self._stop(name)

    kill = stop

    def _stop(self, name):
        cgroup.kill(self.cgroup(name))

    def shutdown(self, name, timeout=60):
        """Asks the guest to power off and waits for it."""
        self._signal_init(name, signal.SIGRTMIN + 4)
        self._await(lambda: self.state(name) == 'stopped', timeout,
                    f"host '{name}' did not shut down")

    poweroff = shutdown

    def reboot(self, name, timeout=60):
        """Asks the guest to reboot and waits for its next PID 1, which has taken the settings."""
        before = self._signal_init(name, signal.SIGRTMIN + 5)
        self._await(lambda: self.init_pid(name) not in (None, before), timeout,
                    f"host '{name}' did not reboot")

    def _signal_init(self, name, sig):
        self.host(name)
        pid = self.init_pid(name)
        if pid is None or self.state(name) != 'running':
            raise HostError(f"host '{name}' is {self.state(name)}")
        os.kill(pid, sig)
        return pid

    @staticmethod
    def _await(done, timeout, words):
        until = time.monotonic() + timeout
        while not done():
            if time.monotonic() > until:
                raise HostError(f'{words} within {timeout} s')
            time.sleep(0.02)

    def state(self, name):
        """'running', 'stopped' or 'frozen'."""
        path = self.cgroup(name)
        if not cgroup.populated(path):
            self.host(name)
            return 'stopped'
        return 'frozen' if cgroup.frozen(path) else 'running'

    def freeze(self, name):
        """Stops every process of the host, as a hypervisor's pause does."""
        self._need_power(name)
        cgroup.freeze(self.cgroup(name), True)

    def thaw(self, name):
        self._need_power(name)
        cgroup.freeze(self.cgroup(name), False)

    def _need_power(self, name):
        if self.state(name) == 'stopped':
            raise HostError(f"host '{name}' is stopped")

    def cut(self, name):
        """Takes the host's link down, until join; also over a power cycle."""
        base.write_atomic(self.host(name).cut_file, '')
        if self.state(name) != 'stopped':
            self.net.link(name, False)

    def join(self, name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.host(name).cut_file)
        if self.state(name) != 'stopped':
            self.net.link(name, True)

    # Inside

    def init_pid(self, name):
        """The guest's PID 1 as seen from here, once it is the guest's systemd."""
        for pid in cgroup.pids(os.path.join(self.cgroup(name), 'run/payload/init.scope')):
            with contextlib.suppress(OSError), open(f'/proc/{pid}/status', encoding='ascii') as f:
                ids = next((x for x in f if x.startswith('NSpid:')), '').split()
                if ids and ids[-1] == '1':
                    return pid
        return None

    def agent_ready(self, name):
        """True once the unit that stands for the guest agent has started, and while it answers."""
        pid = self.init_pid(name)
        return (pid is not None and self.state(name) == 'running'
                and os.path.exists(f'/proc/{pid}/root/run/lab-agent'))

    def wait_ready(self, name, timeout=60):
        """Returns when the host takes commands and its sshd listens."""
        self._await(lambda: self.agent_ready(name) and self._sshd(name), timeout,
                    f"host '{name}' is not ready")

    def _sshd(self, name):
        return self.exec(name, ['systemctl', 'is-active', '-q', 'ssh'], timeout=20)[0] == 0

    def exec(self, name, argv, stdin=b'', timeout=None):
        """Runs argv inside as root: (exit code | None, signal | None, stdout, stderr)."""
        self.host(name)
        pid = self.init_pid(name)
        if pid is None or self.state(name) != 'running':
            raise HostError(f"host '{name}' is {self.state(name)}")
        # In the host's cgroup, so that pulling the plug or freezing reaches these processes too.
        into = cgroup.make(os.path.join(self.cgroup(name), 'agent', secrets.token_hex(4)))
        enter = ['sh', '-c', 'echo $$ >"$0"/cgroup.procs && exec nsenter "$@"', into,
                 '-t', str(pid), '-m', '-u', '-i', '-n', '-p', '-C', '-r', '-w', '--'] + list(argv)
        env = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
               'LANG': 'C.UTF-8', 'HOME': '/root'}
        p = subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=env, start_new_session=True)
        try:
            out, err = p.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            self._end(p, into)
            out, err = p.communicate()
        with contextlib.suppress(OSError):
            os.rmdir(into)  # stays with what the command left running
        if p.returncode in (126, 127) and err.startswith(b'nsenter: failed to execute'):
            raise HostError(err.decode(errors='replace').strip()[len('nsenter: '):])
        if p.returncode < 0:
            return None, -p.returncode, out, err
        return p.returncode, None, out, err

    @staticmethod
    def _end(proc, cg):
        """Kills a command of exec: what runs inside first, so that its nsenter reaps it. A process
        of the guest that lost its parent out here would hold up the guest's shutdown."""
        while proc.poll() is None:
            inner = [pid for pid in cgroup.pids(cg) if pid != proc.pid] or [proc.pid]
            for pid in inner:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _exec_ok(self, name, argv, stdin=b''):
        code, _, out, err = self.exec(name, argv, stdin, timeout=60)
        if code != 0:
            raise HostError(err.decode(errors='replace').strip() or f"{' '.join(argv)} failed")
        return out

    def read_file(self, name, path):
        return self._exec_ok(name, ['cat', '--', path])

    def write_file(self, name, path, data):
        self._exec_ok(name, ['sh', '-c', 'cat >"$0"', path], data)

    def interfaces(self, name):
        if self.init_pid(name) is None:
            raise HostError(f"host '{name}' is not running")
        return self.net.interfaces(name)

    def host_keys(self, name):
        """The host's public SSH keys as read from its disk: ['ssh-ed25519 AAAA…', …]."""
        keys = []
        for kind in ('ed25519', 'ecdsa', 'rsa'):
            path = os.path.join(self.host(name).disk, f'upper/etc/ssh/ssh_host_{kind}_key.pub')
            if os.path.isfile(path):
                with open(path, encoding='ascii') as f:
                    keys.append(' '.join(f.read().split()[:2]))
        return keys
