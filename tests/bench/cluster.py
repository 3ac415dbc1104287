"""Figures of whole clusters: made by roles against made by hand, looked at again, and machines provisioned side by side."""
import json
import os
import re
import subprocess
import time
from pathlib import Path

import simtest
from measure import LAB, NANTE, ROOT, Tree, bar, inside, lab, note
from plays import inventory, make_hosts

PASSWORDS = {"SUPERUSER": "bench-superuser-1", "REPLICATION": "bench-replication-1", "ADMIN": "bench-admin-1"}


def fresh_hosts(n):
    for i in range(1, n + 1):
        subprocess.run([LAB, "host", "rm", f"bench{i}"], capture_output=True, check=False)
    make_hosts(n)


def settled(address):
    """Every member is there, one leads, the others stream from it."""
    for _ in range(300):
        done = subprocess.run(inside(["curl", "-fsS", f"http://{address}:8008/cluster"]), capture_output=True, check=False)
        members = json.loads(done.stdout or "{}").get("members", [])
        if len(members) == 3 and all(m["state"] in ("running", "streaming") for m in members):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the cluster does not settle: {done.stdout}{done.stderr}")


def by_roles(directory):
    play = directory / "site.yml"
    play.write_text(json.dumps([{"hosts": "all", "become": True, "gather_facts": False, "roles": ["base_setup", "etcd", "patroni"]}]))
    env = {f"PATRONI_{name}_PASSWORD": value for name, value in PASSWORDS.items()}
    return inside([NANTE, "play", play, "-i", inventory(directory, 3), "--roles-path", ROOT / "roles"]), env


def by_hand(directory):
    lines = inventory(directory, 3).read_text().splitlines()
    one = dict(re.findall(r"(\w+)=(\S+)", lines[0].replace("'", "")))
    pairs = ["=".join(re.match(r"(\S+) ansible_host=(\S+)", line).groups()) for line in lines]
    known = re.search(r"UserKnownHostsFile=([^' ]+)", lines[0])[1]
    return inside([ROOT / "tests/bench/cluster.sh", one["ansible_ssh_private_key_file"], known, one["ansible_user"], *pairs]), PASSWORDS


def first_run(directory, smoke):
    """The two ways in turn, each time on new hosts, until every member follows its leader."""
    times = {by_hand: [], by_roles: []}
    for turn in range(2):
        for way in (by_hand, by_roles) if turn % 2 else (by_roles, by_hand):
            fresh_hosts(3)
            argv, env = way(directory)
            began = time.monotonic()
            with Tree("cluster") as tree:
                done = tree.run(argv, env, hosts=True, watch=False)
                settled("192.168.10.91")
            times[way].append(time.monotonic() - began)
            note(f"first run of the cluster {way.__name__.replace('_', ' ')}: {times[way][-1]:.1f} s, hosts {done['hosts']:.0f} s CPU")
    ours, theirs = min(times[by_roles]), min(times[by_hand])
    bar("first run of the cluster against a script", ours / theirs, 1.15, f"{ours:.1f} s / {theirs:.1f} s = {ours / theirs:.2f} (bar: 1.15)")


def provision(app, n, roles="", first=51):
    """A run of the action for N machines: the seconds of its phases, which are all of it."""
    machines = {f"node{i}": {"ip_address": f"192.168.10.{first + i}"} for i in range(n)}
    inputs = {"app_name": app, "environment": "prod", "resource_type": "vm", "vlan_tag": "10", "cpu_cores": "2", "ram_mb": "4096",
              "disk_gb": "40G", "ansible_roles": roles, "instances": json.dumps(machines)}
    directory = Path(os.environ["NANTE_BENCH_DIR"], f"{app}-{time.monotonic_ns()}")
    directory.mkdir()
    argv = [ROOT / "tests/action", "--lab", "--quiet", "--dir", directory, *(f"{k}={v}" for k, v in inputs.items())]
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RuntimeError(f"the action ended with {done.returncode}\n{(directory / 'log').read_text()[-3000:]}")
    summary = (directory / "summary").read_text()
    phases = {name: float(seconds) for name, seconds in re.findall(r"^\| *(\w+) *\| *([0-9.]+) *\|", summary, re.M)}
    return {"phases": phases, "changed": re.search(r"^changed<<(\S+)\n(.*)\n", (directory / "output").read_text(), re.M)[2]}


def second_run(_directory, _smoke):
    """The whole action once more: secrets, plan, roles and their proof that the cluster works."""
    provision("patroni", 3, "etcd,patroni")
    run = min((provision("patroni", 3, "etcd,patroni") for _ in range(3)), key=lambda run: sum(run["phases"].values()))
    if run["changed"] != "false":
        raise RuntimeError("the second run changed something")
    seconds = sum(run["phases"].values())
    bar("second run of the cluster", seconds, 5.0,
        f"{seconds:.1f} s (bar: 5 s): {', '.join(f'{k} {v:.1f}' for k, v in run['phases'].items())}")


CLONES = 4  # at a time: CLONES_MAX of src/proxmox/apply.c
BOOT, CLONE = 10.0, 3.25  # what the simulator takes for a boot here, and to copy the template's 20 GB


def in_memory(n):
    """The seconds from the plan until N machines are ready, which exist in the simulator's memory only: no boot takes
    processor time. The run ends there: nobody answers at their addresses."""
    sim = simtest.Simulator(env={"PVE_SIM_SPEED": "1", "PVE_SIM_BOOT": str(BOOT)}, within=inside)
    machines = {f"node{i}": {"ip_address": f"192.168.20.{51 + i}"} for i in range(n)}
    inputs = {"app_name": "many", "environment": "prod", "vlan_tag": "20", "instances": json.dumps(machines)}
    key = Path(os.environ["NANTE_BENCH_DIR"], "key")
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    env = {"PATH": os.environ["PATH"], "PROXMOX_API_URL": f"https://127.0.0.1:{sim.port}", "PROXMOX_API_TOKEN_ID": simtest.TOKEN,
           "PROXMOX_API_TOKEN_SECRET": simtest.SECRET, "SSH_PRIVATE_KEY": key.read_text(),
           "SSH_PUBLIC_KEY": key.with_suffix(".pub").read_text(), "NANTE_CA_CERT": Path(sim.state, "ca.pem").read_text(),
           "NANTE_ROLES": str(ROOT / "roles"), "GITHUB_ACTIONS": "true"}
    argv = [NANTE, "provision", *(word for name, value in inputs.items() for word in ("--input", f"{name}={value}"))]
    said, seconds, began = [], None, None
    with subprocess.Popen(inside(argv), env=env, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            said.append(line)
            if line == "::group::Machines\n":
                began = time.monotonic()
            elif line == "::endgroup::\n" and began:
                seconds = time.monotonic() - began
                child.kill()
    sim.close()
    if sum(text.endswith(": mark as ready\n") for text in said) != n:
        raise RuntimeError("".join(said[-20:]))
    return seconds


def provisioning(_directory, smoke):
    """Many machines against one made alone: what is on top of the slowest machine's own tasks, and of the clones that
    wait for their turn."""
    one = in_memory(1)
    for n in (3,) if smoke else (3, 10, 100):
        turns = (n - 1) // CLONES
        many = in_memory(n)
        slowest = one + turns * CLONE
        bar(f"{n} machines over the slowest one's own tasks", many / slowest, 1.10,
            f"{many:.1f} s / {slowest:.1f} s = {many / slowest:.2f} (bar: 1.10"
            + (f"; with {turns} turns of {CLONE} s for clones, {CLONES} at a time)" if turns else ")"))


def machines(_directory, smoke):
    """Machines that boot, made side by side, against one made alone: a figure without a bar, as they boot on this
    machine's processors."""
    one = min(provision(f"one{i}", 1, first=150 + i)["phases"]["Machines"] for i in range(1 if smoke else 3))
    for k, n in enumerate((2,) if smoke else (3, 10, 100)):
        many = min(provision(f"many{n}x{i}", n, first=160 + 20 * k + 10 * i)["phases"]["Machines"]
                   for i in range(1 if smoke else 2))
        note(f"{n} machines over one: {many:.1f} s / {one:.1f} s = {many / one:.2f}, booted on {os.cpu_count()} processors")
