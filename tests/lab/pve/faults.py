"""Faults by rule. The rules are the JSON list in STATE/faults.json, read again whenever it changes:

    {"match": {"method": "POST", "path": "REGEX", "server": "pve"}, "nth": 2, "count": 3, "action": "…", …}

`method` may name several ("POST|PUT|DELETE"); `path` is searched in the path without /api2/json; `nth` (default 1) is
the first matching request that is hit, `count` (default 1; 0 = all) how many are. When the file changes, the counting
starts anew. Actions:

    reset                         the connection is reset before anything happens
    drop_after_work               the work is done, then the connection is reset without an answer
    delay        seconds          the answer comes later
    hold         [after_work]     nothing happens (or: no answer comes) until the rules change; then the connection is
                                  reset. Meanwhile there is the file STATE/held: the moment to kill somebody
    status       code, reason, [after_work], [headers], [body]     an error instead of (or after) the work
    proxy_timeout [seconds]       596 after that many seconds (default 0) while the work goes on
    lock         [seconds]        the guest's file lock is held by somebody else for a while (default 30)
    storage_lock name, [seconds]  likewise for a storage
    config_lock  lock             the guest's configuration gets this `lock:`; "" takes it away
    task_error   text, [when]     the task started by this request fails at its "start" (default) or "end"
    task_slow    seconds, [when]  the task started by this request takes longer before it does anything; a clone with
                                  "end": when everything is copied, and its guest still locked and on its source's node
    task_warning text             the task ends with WARNINGS: 1

Whatever the action, with `task_seconds` the task started by this request takes that much longer.

Doppler's simulator reads the same file and takes the rules whose match has "server": "doppler" (reset, delay,
status with `headers` and `body`).
"""

import json
import os
import re
import threading
import time

from .errors import ApiError, TaskError


class TaskFault:
    """What a rule does to the worker a request starts."""

    def __init__(self, rule):
        self.rule = rule

    def _fails(self, when):
        if self.rule["action"] == "task_error" and self.rule.get("when", "start") == when:
            raise TaskError(self.rule["text"])

    def _slow(self, when):
        slow = self.rule["action"] == "task_slow" and self.rule.get("when", "start") == when
        return self.rule["seconds"] if slow else 0

    def before(self, task):
        self._fails("start")
        task.sleep(self._slow("start") or self.rule.get("task_seconds", 0))

    def copied(self, task):
        task.sleep(self._slow("end"))

    def after(self, task):
        self._fails("end")
        if self.rule["action"] == "task_warning":
            task.warn(self.rule["text"])


class Fault:
    """One rule that hits one request."""

    def __init__(self, rule, stamp=None):
        self.rule = rule
        self.action = rule["action"]
        self.stamp = stamp

    def for_task(self):
        return TaskFault(self.rule) if self.action.startswith("task_") or "task_seconds" in self.rule else None

    def error(self):
        return ApiError(self.rule["code"], self.rule["reason"])

    def seconds(self, default=0.0):
        return float(self.rule.get("seconds", default))

    def disturb(self, world, params):
        """What has to be in place before the work is tried."""
        if self.action == "delay":
            time.sleep(self.seconds())
        elif self.action == "lock":
            world.locks.hold_for("guest:%s" % params.get("vmid"), self.seconds(30))
            time.sleep(0.05)
        elif self.action == "storage_lock":
            world.locks.hold_for("storage:%s" % self.rule["name"], self.seconds(30))
            time.sleep(0.05)
        elif self.action == "config_lock":
            guest = world.guests.get(int(params.get("vmid", 0)))
            if guest and self.rule["lock"]:
                guest.conf["lock"] = self.rule["lock"]
            elif guest:
                guest.conf.pop("lock", None)


class Faults:
    def __init__(self, state_dir, server):
        self._path = os.path.join(state_dir, "faults.json")
        self._held = os.path.join(state_dir, "held")
        self._server = server
        self._stamp = None
        self._rules = []
        self._seen = []
        self._mutex = threading.Lock()

    def _now(self):
        try:
            stat = os.stat(self._path)
            return stat.st_mtime_ns, stat.st_size, stat.st_ino
        except FileNotFoundError:
            return None

    def hold(self, fault):
        """Returns when the rules are no longer those that FAULT is of."""
        open(self._held, "w", encoding="ascii").close()
        while self._now() == fault.stamp:
            time.sleep(0.02)
        os.unlink(self._held)

    def _reload(self):
        stamp = self._now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._rules = []
        if stamp:
            with open(self._path, encoding="utf-8") as f:
                self._rules = json.load(f)
        self._seen = [0] * len(self._rules)

    def hit(self, method, path):
        """The fault this request meets, or None."""
        with self._mutex:
            self._reload()
            hit = None
            for index, rule in enumerate(self._rules):
                match = rule.get("match", {})
                if match.get("server", "pve") != self._server:
                    continue
                if method not in match.get("method", method).split("|") or not re.search(match.get("path", ""), path):
                    continue
                self._seen[index] += 1
                past = self._seen[index] - rule.get("nth", 1)
                if past >= 0 and (not rule.get("count", 1) or past < rule.get("count", 1)) and not hit:
                    hit = Fault(rule, self._stamp)
            return hit
