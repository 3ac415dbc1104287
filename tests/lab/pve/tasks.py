"""Workers: every slow call starts one and answers with its UPID."""

import re
import threading
import time
import traceback

from .errors import TaskError, param_error
from .locks import LockTimeout

KEEP = 1000
UPID = re.compile(r"UPID:([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?):([0-9A-Fa-f]{8}):([0-9A-Fa-f]{8,9}):"
                  r"([0-9A-Fa-f]{8}):([^:\s]+):([^:\s]*):([^:\s]+):")


class Task:
    def __init__(self, node, kind, ident, who, pid):
        self.node, self.type, self.id = node, kind, str(ident)
        self.user, _, self.tokenid = who.partition("!")
        self.pid = pid
        self.pstart = int(time.monotonic() * 100) & 0xFFFFFFFF
        self.starttime = int(time.time())
        self.endtime = None
        self.exitstatus = None
        self.lines = []
        self.warnings = 0
        self.fault = None
        self.aborted = threading.Event()
        self.done = threading.Event()
        self.upid = "UPID:%s:%08X:%08X:%08X:%s:%s:%s:" % (
            node, pid, self.pstart, self.starttime, kind, self.id, who)

    def log(self, text):
        self.lines.extend(text.rstrip("\n").split("\n"))

    def warn(self, text):
        self.warnings += 1
        self.log("WARN: " + text)

    def sleep(self, seconds):
        """The time some step takes; an aborted task ends here."""
        if self.aborted.wait(max(seconds, 0)):
            raise TaskError("interrupted by signal")

    def status(self):
        out = {"upid": self.upid, "node": self.node, "pid": self.pid, "pstart": self.pstart,
               "starttime": self.starttime, "type": self.type, "id": self.id, "user": self.user,
               "status": "stopped" if self.exitstatus is not None else "running"}
        if self.tokenid:
            out["tokenid"] = self.tokenid
        if self.exitstatus is not None:
            out["exitstatus"] = self.exitstatus
        return out

    def row(self):
        """As task lists show it: the outcome is under `status`."""
        out = self.status()
        out.pop("exitstatus", None)
        out.pop("status")
        if self.exitstatus is not None:
            out["status"] = self.exitstatus
            out["endtime"] = self.endtime
        return out

    def dump(self):
        return {k: getattr(self, k) for k in ("node", "type", "id", "user", "tokenid", "pid", "pstart",
                                              "starttime", "endtime", "exitstatus", "upid", "lines")}

    @classmethod
    def load(cls, data):
        task = cls(data["node"], data["type"], data["id"], data["user"], data["pid"])
        for key, value in data.items():
            setattr(task, key, value)
        if task.exitstatus is None:
            task.exitstatus, task.endtime = "unexpected status", task.starttime
        task.done.set()
        return task


class Tasks:
    def __init__(self, changed):
        self.by_upid = {}
        self._changed = changed
        self._mutex = threading.Lock()
        self._pid = 1000

    def start(self, node, kind, ident, who, work, fault=None):
        """Runs work(task) in a worker and returns the Task. `fault` may slow or fail it (faults.py)."""
        with self._mutex:
            self._pid += 1
            task = Task(node, kind, ident, who, self._pid)
            task.fault = fault
            self.by_upid[task.upid] = task
            for old in list(self.by_upid)[:-KEEP]:
                del self.by_upid[old]
        threading.Thread(target=self._run, args=(task, work, fault), daemon=True,
                         name="%s-%s" % (kind, ident)).start()
        return task

    def _run(self, task, work, fault):
        try:
            if fault:
                fault.before(task)
            work(task)
            if fault:
                fault.after(task)
            status = "WARNINGS: %d" % task.warnings if task.warnings else "OK"
            task.lines.append("TASK " + status)
        except (TaskError, LockTimeout) as err:
            status = self._failed(task, str(err))
        except Exception as err:  # a bug of the simulator: the task ends, and the bug is seen
            traceback.print_exc()
            status = self._failed(task, "%s: %s" % (type(err).__name__, err))
        task.endtime = int(time.time())
        task.exitstatus = status
        task.done.set()
        self._changed()

    @staticmethod
    def _failed(task, text):
        text = " ".join(text.split("\n")).strip()
        task.lines.append("TASK ERROR: " + text)
        return text

    def find(self, upid):
        """The task, or the 400 that the API answers."""
        if not UPID.fullmatch(upid):
            raise param_error(upid="unable to parse worker upid")
        task = self.by_upid.get(upid)
        if not task:
            raise param_error(upid="no such task")
        return task

    def active_for(self, ident):
        return [t for t in self.by_upid.values() if t.id == str(ident) and t.exitstatus is None]
