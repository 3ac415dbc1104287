"""Figures of the program by itself: start, sizes, rendering, memory and loops."""
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measure import ANSIBLE, NANTE, ROOT, Tree, bar, measure, median, note

# Everything the image holds (Dockerfile, FROM scratch).
IMAGE = [NANTE, "/etc/ssl/certs/ca-certificates.crt", ROOT / "roles"]


def first_request(listener, env):
    """Seconds from starting the action to its first connection, which is for the secrets."""
    began = time.monotonic()
    child = subprocess.Popen([NANTE, "plan"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        connection, _ = listener.accept()
        took = time.monotonic() - began
        connection.close()
        return took
    except TimeoutError:
        child.kill()
        raise RuntimeError("no request came\n" + child.communicate()[0].decode()[-2000:]) from None
    finally:
        child.kill()
        child.communicate()


def start(directory, smoke):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        env = {"PATH": os.environ["PATH"], "HOME": str(directory), "GITHUB_ACTIONS": "true", "NANTE_ROLES": str(ROOT / "roles"),
               "GITHUB_WORKSPACE": str(directory), "INPUT_INSTANCES": '{"a": {"ip_address": "192.168.10.51"}}',
               "INPUT_SECRETS": json.dumps({"DOPPLER_TOKEN": "dp.st.prd.0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"}),
               "DOPPLER_API_HOST": f"https://127.0.0.1:{listener.getsockname()[1]}"}
        took = median(first_request(listener, env) for _ in range(1 if smoke else 20))
    bar("start to first request", took, 0.020, f"{took * 1000:.1f} ms (bar: 20 ms)")


def size(_directory, _smoke):
    binary = os.path.getsize(NANTE)
    files = [f for path in map(Path, IMAGE) for f in ([path] if path.is_file() else path.rglob("*")) if f.is_file()]
    image = sum(f.stat().st_size for f in files)
    bar("size of the product", binary, 6_000_000, f"{binary / 1e6:.2f} MB (bar: 6 MB)")
    bar("size of the image", image, 6_000_000, f"{image / 1e6:.2f} MB: the product, the shipped roles, the CA bundle (bar: 6 MB)")


def render(_directory, smoke):
    done = subprocess.run([sys.executable, ROOT / "tests/bench/jinja", *(["50"] if smoke else [])],
                          env={**os.environ, "NANTE": NANTE}, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines()[:-1]:
        note(line)
    if "times as fast" not in done.stdout:
        raise RuntimeError(done.stdout[-1000:] + done.stderr[-1000:])
    ratios = [float(x) for x in re.findall(r"([0-9.]+) times as fast$", done.stdout, re.M)]
    mean = statistics.geometric_mean(ratios)
    bar("rendering against Jinja2", mean, 2, f"{mean:.1f} times as fast (geometric mean; bar: 2), the least {min(ratios):.1f}",
        most=False)
    bar("rendering, the least", min(ratios), 1, f"{min(ratios):.1f} times as fast as Jinja2 (bar: 1)", most=False)


def memory(directory, smoke):
    """Hosts by -c local: the peak of the controller, the largest process there is; its agents are not the runner's."""
    hosts, tasks = (5, 8) if smoke else (100, 200)
    kinds = [{"stat": {"path": "/etc/hostname"}}, {"file": {"path": str(directory), "state": "directory"}},
             {"debug": {"msg": "{{ ansible_hostname }}"}}, {"copy": {"dest": str(directory / "copy"), "content": "hello\n"}}]
    play = [{"hosts": "all", "tasks": [{"name": f"task {i}", **kinds[i % 4], **({} if i % 4 else {"register": f"result_{i}"})}
                                       for i in range(tasks)]}]
    (directory / "memory.yml").write_text(json.dumps(play))
    (directory / "memory.ini").write_text("".join(f"h{i} ansible_connection=local\n" for i in range(hosts)))
    with Tree("memory") as tree:
        done = tree.run([NANTE, "play", directory / "memory.yml", "-i", directory / "memory.ini"], watch=False)
    if done["text"].count(f"ok={tasks + 1} ") != hosts:
        raise RuntimeError("not every task ran\n" + done["text"][-1000:])
    bar("controller's memory", done["mib"], 64, f"{done['mib']:.0f} MiB for {hosts} hosts and {tasks} tasks, every fourth "
        "result registered, facts of all (bar: 64 MiB)")


def loops(directory, smoke):
    """One task over N items on one host, -c local: what does not change, and what only the controller does."""
    counts = (10, 100) if smoke else (10, 100, 1000, 10000)
    (directory / "loop.ini").write_text("h1 ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
    argv = ["-i", directory / "loop.ini", directory / "loop.yml"]
    cpu, each = {}, {}
    for n in counts:
        tasks = [{"file": {"path": str(directory), "state": "directory"}, "loop": f"{{{{ range({n}) | list }}}}", "register": "r"},
                 {"set_fact": {"x": "{{ item }}"}, "loop": f"{{{{ range({n}) | list }}}}"},
                 {"assert": {"that": f"r.results | length == {n} and x | int == {n - 1}"}}]
        (directory / "loop.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        ours = measure([NANTE, "play", *argv])
        cpu[n], each[n] = ours["cpu"], ours["cpu"] / n * 1000
        text = f"{n} items: {ours['wall']:.2f} s, {ours['cpu']:.2f} s CPU, {each[n]:.2f} ms each, {ours['mib']:.0f} MiB"
        if n <= (10 if smoke else 100) and os.path.exists(ANSIBLE):
            theirs = measure([ANSIBLE, *argv], {"ANSIBLE_PIPELINING": "1"})
            text += f"; ansible {theirs['wall']:.1f} s, {theirs['cpu']:.1f} s CPU: {theirs['cpu'] / ours['cpu']:.0f} times"
            bar(f"a loop of {n} against ansible", theirs["wall"] / ours["wall"], 20,
                f"{theirs['wall'] / ours['wall']:.0f} times as fast (bar: 20)", most=False)
        elif n > 100:
            text += "; not tried with ansible, which would take minutes"
        note(text)
    few, many = counts[-2:]
    bar(f"a loop of {many} costs as much per item as one of {few}", each[many] / each[few], 1.5,
        f"{each[many]:.2f} ms / {each[few]:.2f} ms = {each[many] / each[few]:.2f} (bar: 1.5)")
