"""The lab's corner of the cgroup2 tree. Everything the lab starts lives below one cgroup, so taking
it down needs no process ids: cgroup.kill reaches whatever is left, also after a crash.

Works on a unified hierarchy and on a hybrid one (cgroup2 mounted beside the v1 controllers)."""

import os
import time

from base import LabError


def root():
    with open('/proc/self/mountinfo', encoding='utf-8') as f:
        for line in f:
            before, _, after = line.partition(' - ')
            if after.split()[0] == 'cgroup2':
                return before.split()[4]
    raise LabError('no cgroup2 hierarchy is mounted')


def lab(instance):
    return os.path.join(root(), f'nante-lab-{instance}')


def _write(path, value):
    with open(path, 'w', encoding='ascii') as f:
        f.write(value)


def make(path):
    os.makedirs(path, exist_ok=True)
    return path


def delegate(path):
    """Hands all controllers to the children, as far as this machine's hierarchy has them."""
    with open(os.path.join(path, 'cgroup.controllers'), encoding='ascii') as f:
        for controller in f.read().split():
            try:
                _write(os.path.join(path, 'cgroup.subtree_control'), '+' + controller)
            except OSError:
                pass  # a controller bound to v1 or kept by the parent: hosts run without it


def attach(path, pid=0):
    _write(os.path.join(path, 'cgroup.procs'), str(pid or os.getpid()))


def pids(path):
    try:
        with open(os.path.join(path, 'cgroup.procs'), encoding='ascii') as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []  # gone meanwhile


def _flag(path, file, key):
    try:
        with open(os.path.join(path, file), encoding='ascii') as f:
            return dict(line.split() for line in f).get(key) == '1'
    except OSError:
        return False


def populated(path):
    return _flag(path, 'cgroup.events', 'populated')


def frozen(path):
    return _flag(path, 'cgroup.events', 'frozen')


def freeze(path, on):
    _write(os.path.join(path, 'cgroup.freeze'), '1' if on else '0')
    until = time.monotonic() + 5
    while frozen(path) != on:
        if time.monotonic() > until:
            raise LabError(f'{path} does not {"freeze" if on else "thaw"}')
        time.sleep(0.005)


def kill(path, timeout=20):
    """Kills everything below path at once and removes the subtree."""
    if not os.path.isdir(path):
        return
    _write(os.path.join(path, 'cgroup.kill'), '1')
    until = time.monotonic() + timeout
    while populated(path):
        if time.monotonic() > until:
            raise LabError(f'processes in {path} do not die')
        time.sleep(0.005)
    remove(path)


def remove(path):
    for sub, _, _ in os.walk(path, topdown=False):
        for _ in range(50):
            try:
                os.rmdir(sub)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)  # the last process is gone but not yet reaped
