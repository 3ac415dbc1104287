"""Locks as the real daemons take them: file locks per guest (shared or exclusive) and one lock per storage.

They differ from a guest's `lock:` option, which is part of its configuration (guests.py).
"""

import contextlib
import threading
import time


class LockTimeout(Exception):
    """The lock was not free in time; the text is the one users see."""


class _Lock:
    def __init__(self):
        self.shared = 0
        self.exclusive = False


class Locks:
    def __init__(self):
        self._locks = {}
        self._change = threading.Condition()

    @contextlib.contextmanager
    def hold(self, key, text, timeout, shared=False):
        """Holds lock `key`; LockTimeout(text) when it is not free within `timeout` seconds."""
        self._take(key, text, timeout, shared)
        try:
            yield
        finally:
            self._give(key, shared)

    def _take(self, key, text, timeout, shared):
        end = time.monotonic() + timeout
        with self._change:
            lock = self._locks.setdefault(key, _Lock())
            while lock.exclusive or (lock.shared and not shared):
                left = end - time.monotonic()
                if left <= 0:
                    raise LockTimeout(text)
                self._change.wait(left)
            if shared:
                lock.shared += 1
            else:
                lock.exclusive = True

    def _give(self, key, shared):
        with self._change:
            lock = self._locks[key]
            if shared:
                lock.shared -= 1
            else:
                lock.exclusive = False
            self._change.notify_all()

    def hold_for(self, key, seconds):
        """Holds lock `key` for a while in the background, as soon as it is free."""
        def run():
            with contextlib.suppress(LockTimeout), self.hold(key, "", 60):
                time.sleep(seconds)
        if seconds > 0:
            threading.Thread(target=run, daemon=True).start()

    def guest(self, kind, vmid, timeout, shared=False):
        path = ("/var/lock/qemu-server/lock-%s.conf" if kind == "qemu"
                else "/run/lock/lxc/pve-config-%s.lock") % vmid
        return self.hold("guest:%s" % vmid, "can't lock file '%s' - got timeout" % path, timeout, shared)

    def storage(self, name, is_shared, timeout):
        text = ("cfs-lock 'storage-%s' error: got lock request timeout" if is_shared
                else "can't lock file '/var/lock/pve-manager/pve-storage-%s' - got timeout") % name
        return self.hold("storage:%s" % name, text, timeout)
