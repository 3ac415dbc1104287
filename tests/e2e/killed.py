"""Runs that end before they are through: killed between two requests to the API, at a task, or as a runner cancels."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

from e2e import Run, faults, lab_state, start

WRITES = "POST|PUT|DELETE"
TASK = re.compile(r"^ +\d+\.\ds +(?:ok|changed|running|FAILED) +\S.*$", re.M)


def product(child):
    """The product's own process below tests/action."""
    below = [child.pid]
    while below:
        with contextlib.suppress(OSError):
            if os.path.basename(os.readlink(f"/proc/{below[0]}/exe")) == "nante":
                return below[0]
        with contextlib.suppress(OSError):
            below += map(int, Path(f"/proc/{below[0]}/task/{below[0]}/children").read_text().split())
        del below[0]
    return None


def kill(child):
    pid = product(child)
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.wait(30)


def cancel(child):
    """What a runner sends: SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL. Returns the seconds it took to end."""
    began = time.monotonic()
    for number, patience in ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5)):
        child.send_signal(number)
        end = time.monotonic() + patience
        while child.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
    if child.poll() is None:
        kill(child)
    return time.monotonic() - began


def _ended(directory, child, began):
    return Run(directory, child.returncode, time.monotonic() - began)


def at_request(inputs, number, after_work, workspace=None, path="", end=kill):
    """Ends the run when its NUMBERth request that changes something (and whose path holds PATH) has come to the API and
    is not carried out, or carried out and not answered. None, and the run is over, when it makes fewer."""
    faults({"match": {"method": WRITES, "path": path}, "nth": number, "action": "hold", "after_work": after_work})
    held, began = lab_state("held"), time.monotonic()
    directory, child = start(inputs, workspace)
    while child.poll() is None and not held.exists():
        time.sleep(0.02)
    hit = held.exists()
    if child.poll() is None:
        end(child)
    faults()
    while held.exists():
        time.sleep(0.02)
    return _ended(directory, child, began) if hit else None


def at_task(inputs, number, workspace=None, later=0.0, end=kill):
    """Ends the run LATER seconds after its log's NUMBERth line about a task. None when the run was over before."""
    began = time.monotonic()
    directory, child = start(inputs, workspace)
    log = Path(directory, "log")
    while child.poll() is None and not (log.exists() and len(tasks(log.read_text(errors="replace"))) >= number):
        time.sleep(0.02)
    limit = time.monotonic() + later
    while child.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    if child.poll() is not None:
        return None
    end(child)
    return _ended(directory, child, began)


def tasks(log):
    """The lines about tasks: how one ended, or that it takes long."""
    return TASK.findall(log)
