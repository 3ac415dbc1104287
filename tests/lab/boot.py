"""boot.py STATE NAME: powers a host on. Returns when its PID 1 runs; stays behind as its supervisor.

The supervisor holds the host's disk in a mount namespace of its own: when the last process of the
host dies, the mounts die with it and nothing is left to clean. It boots again when the guest asks
for a reboot, and ends when the guest powers off."""

import ctypes
import os
import subprocess
import sys
import time
import traceback

import cgroup
import cloudinit
from hosts import Hosts

CLONE_NEWNS = 0x20000
MS_REC, MS_SLAVE, MNT_DETACH = 0x4000, 0x80000, 2
REBOOT = 133  # how systemd-nspawn says that the guest asked for it
BOOT_LIMIT = 30

libc = ctypes.CDLL(None, use_errno=True)


def _check(rc, what):
    if rc != 0:
        raise OSError(ctypes.get_errno(), f'{what}: {os.strerror(ctypes.get_errno())}')


def _mount(kind, source, target, flags=0, data=''):
    _check(libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags),
                      data.encode()), f'mount {kind} on {target}')


def _private_mounts(host):
    """Own mount namespace: pure cgroup2 view, own nspawn run-time directory, the host's disk."""
    _check(libc.unshare(CLONE_NEWNS), 'unshare')
    _mount('none', 'none', '/', MS_REC | MS_SLAVE)
    if cgroup.root() != '/sys/fs/cgroup':  # hybrid: hide the v1 hierarchies
        _check(libc.umount2(b'/sys/fs/cgroup', MNT_DETACH), 'umount /sys/fs/cgroup')
        _mount('cgroup2', 'cgroup2', '/sys/fs/cgroup')
    os.makedirs('/run/systemd/nspawn', exist_ok=True)
    _mount('tmpfs', 'tmpfs', '/run/systemd/nspawn', data='mode=755')
    _mount('overlay', 'overlay', host.root, data=f'lowerdir={host.image},upperdir={host.disk}/upper,'
                                                 f'workdir={host.disk}/work')


def _nspawn(hosts, host, settings, cg):
    """Starts the container in a fresh cgroup, as a sub-cgroup once delegated takes no process."""
    argv = ['systemd-nspawn', '--quiet', '--register=no', '--keep-unit', '--boot',
            f'--directory={host.root}', f'--machine={host.name}',
            f"--hostname={settings['hostname']}", '--capability=CAP_NET_ADMIN',
            f'--network-namespace-path={hosts.net.netns_path(hosts.net.host_netns(host.name))}',
            '--resolv-conf=off', '--timezone=off', '--link-journal=no', '--console=read-only',
            '--kill-signal=SIGRTMIN+3']
    env = dict(os.environ, SYSTEMD_NSPAWN_API_VFS_WRITABLE='network')
    run = os.path.join(cg, 'run')
    cgroup.remove(run)
    cgroup.make(run)
    return subprocess.Popen(argv, env=env, preexec_fn=lambda: cgroup.attach(run))


def _wait_for_init(hosts, name, proc):
    until = time.monotonic() + BOOT_LIMIT
    while hosts.init_pid(name) is None:
        if proc.poll() is not None:
            raise RuntimeError(f'systemd-nspawn ended with {proc.returncode}')
        if time.monotonic() > until:
            proc.kill()
            raise RuntimeError(f'no PID 1 after {BOOT_LIMIT} s')
        time.sleep(0.01)


def _supervise(hosts, name, report):
    """Boots, reports once, and boots again for as long as the guest wants."""
    host = hosts.host(name)
    _private_mounts(host)
    cg = hosts.cgroup(name)
    while True:
        settings = hosts.settings(name)
        cloudinit.apply(host.root, settings)
        proc = _nspawn(hosts, host, settings, cg)
        _wait_for_init(hosts, name, proc)
        report(b'ok')
        if proc.wait() != REBOOT:
            return


def _child(hosts, name, pipe):
    told = []

    def report(words):
        if not told:
            told.append(words)
            os.write(pipe, words)
            os.close(pipe)

    try:
        _supervise(hosts, name, report)
    except BaseException as e:  # whatever it is, the one who waits must hear of it
        traceback.print_exc()
        report(str(e).encode() or repr(e).encode())
        raise


def main(state, name):
    hosts = Hosts(state)
    cg = hosts.cgroup(name)
    cgroup.attach(cgroup.make(os.path.join(cg, 'supervisor')))
    cgroup.delegate(cg)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        os.setsid()
        os.chdir('/')
        log = os.open(hosts.host(name).console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for fd, to in ((null, 0), (log, 1), (log, 2)):
            os.dup2(fd, to)
        _child(hosts, name, writer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as f:
        words = f.read()
    if words != b'ok':
        sys.exit(words.decode(errors='replace') or 'the supervisor died')


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2])
