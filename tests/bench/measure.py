"""What the figures share: a command measured with everything it starts, the hosts' processor time, and verdicts."""
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = str(ROOT / "tests/lab/lab")
NANTE = str(ROOT / "build/static/nante")
ANSIBLE = "/usr/bin/ansible-playbook"
MITOGEN = "/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy"
sys.path.insert(0, str(ROOT / "tests/lab"))

import cgroup  # noqa: E402
from instance import Lab  # noqa: E402

results = {"passed": 0, "failed": 0, "skipped": 0}
judged = True  # without --full figures are made, not held against their bars


def verdict(name, good, text):
    results["passed" if good else "failed"] += 1
    print(f"{'ok' if good else 'not ok'} bench {name}: {text}", flush=True)


def bar(name, value, limit, text, most=True):
    """VALUE against LIMIT: at most, or at least."""
    good = value <= limit if most else value >= limit
    verdict(name, good or not judged, text if judged else text + "; small, not judged")


def note(text):
    print("# " + text, flush=True)


def skip(name, why):
    results["skipped"] += 1
    print(f"skip bench {name}: {why}", flush=True)


def lab(*argv):
    return subprocess.run([LAB, *argv], capture_output=True, text=True, check=True).stdout


def inside(argv):
    """ARGV where the lab's addresses are; without a program of the lab's around it, which would be measured, too."""
    return Lab(os.environ["NANTE_LAB"]).net.inside(argv)


def cpu_of(path):
    for line in Path(path, "cpu.stat").read_text().splitlines():
        key, value = line.split()
        if key == "usage_usec":
            return int(value) / 1e6
    raise RuntimeError(f"{path} counts no processor time")


def hosts_cpu():
    """Processor seconds of all hosts of the lab so far: everything in their control groups."""
    base = os.path.join(cgroup.lab(os.environ["NANTE_LAB"]), "hosts")
    return sum(cpu_of(os.path.join(base, name)) for name in os.listdir(base) if os.path.isdir(os.path.join(base, name)))


def mib_of(pid):
    """Proportional memory: what forked processes share counts once."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except (OSError, ProcessLookupError):
        pass  # it has ended
    return 0


class Tree:
    """A control group for a tool: whatever it starts, and leaves running, is counted and ends with it."""

    def __init__(self, name):
        self.path = cgroup.make(os.path.join(cgroup.root(), f"nante-bench-{os.getpid()}-{name}"))
        self.peak = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        Path(self.path, "cgroup.kill").write_text("1")
        for _ in range(100):
            if not cgroup.pids(self.path):
                break
            time.sleep(0.02)
        os.rmdir(self.path)

    def _watch(self, over):
        while not over.wait(0.1):
            self.peak = max(self.peak, sum(mib_of(pid) for pid in cgroup.pids(self.path)))

    def run(self, argv, env=None, hosts=False, watch=True, **more):
        """Wall seconds, processor seconds of the tree and of the hosts, peak memory of the tree, and what it printed."""
        self.peak, over = 0, threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,))
        before, elsewhere = cpu_of(self.path), hosts_cpu() if hosts else 0
        with tempfile.TemporaryFile("w+") as out:
            began = time.monotonic()
            child = subprocess.Popen(argv, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=subprocess.STDOUT, preexec_fn=lambda: cgroup.attach(self.path), **more)
            if watch:
                watcher.start()
            _, status, used = os.wait4(child.pid, 0)
            wall = time.monotonic() - began
            child.returncode = os.waitstatus_to_exitcode(status)
            over.set()
            if watch:
                watcher.join()
            out.seek(0)
            text = out.read()
        if child.returncode:
            raise RuntimeError(f"{shlex.join(map(str, argv))[:300]} ended with {child.returncode}\n{text[-3000:]}")
        return {"wall": wall, "cpu": cpu_of(self.path) - before, "hosts": hosts_cpu() - elsewhere if hosts else 0,
                "mib": max(self.peak, used.ru_maxrss / 1024), "text": text}


def measure(argv, env=None, **more):
    with Tree("one") as tree:
        return tree.run(argv, env, **more)


def middle(runs):
    """Of several runs the one with the median wall time."""
    return sorted(runs, key=lambda m: m["wall"])[(len(runs) - 1) // 2]


def median(values):
    return statistics.median(values)
