"""Figures of plays on the lab's hosts: against ansible and mitogen, per task, and with more hosts."""
import json
import os
import re

from measure import ANSIBLE, MITOGEN, NANTE, Tree, bar, hosts_cpu, inside, lab, measure, middle, note, skip

SSH = {"ANSIBLE_PIPELINING": "1", "ANSIBLE_FORKS": "30", "ANSIBLE_HOST_KEY_CHECKING": "0", "ANSIBLE_NOCOLOR": "1",
       "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s", "ANSIBLE_LOCALHOST_WARNING": "0"}
TOOLS = {"ansible": SSH, "mitogen": {**SSH, "ANSIBLE_STRATEGY_PLUGINS": MITOGEN, "ANSIBLE_STRATEGY": "mitogen_linear"}}
WIPE = "rm -rf /etc/bench; rm -rf /var/tmp/nante-* ~/.cache/nante /home/*/.cache/nante /root/.cache/nante"
STATE = "cd /etc/bench && find . -type f -o -type d | sort | xargs stat -c '%n %a %U %G' && find . -type f | sort | xargs sha256sum"


def make_hosts(n):
    """Hosts 1 to N of the bench; those there are stay."""
    there = lab("inventory")
    for i in range(1, n + 1):
        if f"bench{i} " not in there:
            lab("host", "new", f"bench{i}", f"192.168.10.{90 + i}")


def inventory(directory, n):
    path = directory / f"hosts{n}.ini"
    lines = [line for line in lab("inventory").splitlines() if int(re.match(r"bench(\d+) ", line)[1]) <= n]
    path.write_text("\n".join(lines) + "\n")
    return path


def on_hosts(n, command):
    return [lab("ssh", f"bench{i}", "sudo", "sh", "-c", f"'{command}'") for i in range(1, n + 1)]


def small_tasks():
    """50 small tasks of the usual kinds; the first makes the directory of all."""
    tasks = [{"name": "base", "file": {"path": "/etc/bench", "state": "directory", "mode": "0755"}}]
    for i in range(10):
        tasks += [
            {"name": f"directory {i}", "file": {"path": f"/etc/bench/{i}", "state": "directory", "mode": "0755"}},
            {"name": f"file {i}", "copy": {"content": f"{i} {{{{ ansible_hostname }}}}\n", "dest": f"/etc/bench/{i}/a", "mode": "0644"}},
            {"name": f"template {i}", "template": {"src": "t.j2", "dest": f"/etc/bench/{i}/t", "mode": "0644"}},
            {"name": f"line {i}", "lineinfile": {"path": "/etc/bench/lines", "line": f"key{i}=1", "regexp": f"^key{i}=",
                                                 "create": True, "mode": "0644"}},
            {"name": f"stat {i}", "stat": {"path": f"/etc/bench/{i}/a"}, "register": "st"},
        ]
    return tasks[:50]


def write_play(directory, name, tasks, facts=True):
    path = directory / name
    path.write_text(json.dumps([{"hosts": "all", "become": True, "gather_facts": facts, "tasks": tasks}], indent=1))
    (directory / "t.j2").write_text("{% for i in range(5) %}\n{{ i }} {{ ansible_distribution }}\n{% endfor %}\n")
    return path


def recap(text):
    """What each host did, without what it is called."""
    return sorted(re.findall(r"^bench\d+ +: (ok=\d+ +changed=\d+ +unreachable=\d+ +failed=\d+)", text, re.M))


def told(tool, which, m):
    note(f"{tool:8} {which:6} run: {m['wall']:6.2f} s, controller {m['cpu']:6.2f} s CPU, {m['mib']:4.0f} MiB, hosts {m['hosts']:6.2f} s CPU")


def first_and_second(tool, argv, env, hosts, again):
    """A run on wiped hosts, then AGAIN more: the one with the median wall."""
    on_hosts(hosts, WIPE)
    with Tree(tool) as tree:
        first = tree.run(inside(argv), env, hosts=True)
        second = middle([tree.run(inside(argv), env, hosts=True) for _ in range(again)])
    if "changed=0" not in recap(second["text"])[0] or len(set(recap(second["text"]))) != 1:
        raise RuntimeError("the second run changed something\n" + second["text"][-800:])
    told(tool, "first", first)
    told(tool, "second", second)
    return first, second, on_hosts(hosts, STATE)


def against(tool, factor, ours, theirs):
    for which, mine, other in zip(("first", "second"), ours, theirs):
        rest = (f"controller CPU {other['cpu'] / mine['cpu']:.0f} times, hosts' CPU {other['hosts'] / mine['hosts']:.1f} times, "
                f"memory {other['mib'] / mine['mib']:.0f} times")
        ratio = other["wall"] / mine["wall"]
        text = f"{other['wall']:.1f} s / {mine['wall']:.2f} s = {ratio:.0f} times; {rest}"
        if which == "second":
            bar(f"against {tool}, second run", ratio, factor, f"{text} (bar: {factor})", most=False)
        else:
            note(f"against {tool}, first run: {text}")
    if ours[2] != theirs[2]:
        raise RuntimeError(f"{tool} left other files than nante:\n{theirs[2][0][:1500]}\n---\n{ours[2][0][:1500]}")
    if [recap(m["text"]) for m in ours[:2]] != [recap(m["text"]) for m in theirs[:2]]:
        raise RuntimeError(f"{tool} and nante differ: {recap(theirs[0]['text'])} {recap(ours[0]['text'])}")


def tools(directory, smoke):
    hosts = 1 if smoke else 3
    make_hosts(hosts)
    tasks = small_tasks()[:7] if smoke else small_tasks()
    argv = [write_play(directory, "small.yml", tasks), "-i", inventory(directory, hosts)]
    ours = first_and_second("nante", [NANTE, "play", *argv], {}, hosts, 1 if smoke else 5)
    bar(f"{len(tasks)} tasks on {hosts} hosts, second run", ours[1]["wall"], 1.0, f"{ours[1]['wall']:.2f} s (bar: 1 s)")
    for tool, factor in (("ansible", 20), ("mitogen", 8)):
        if not os.path.exists(ANSIBLE) or (tool == "mitogen" and not os.path.exists(MITOGEN)):
            skip(f"against {tool}", "it is not here")
        else:
            against(tool, factor, ours, first_and_second(tool, [ANSIBLE, *argv], TOOLS[tool], hosts, 1 if smoke else 2))


def controller(directory, smoke):
    """What a task costs the controller, apart from connecting, starting agents and facts."""
    hosts, few, many = (1, 1, 2) if smoke else (3, 1, 9)
    make_hosts(hosts)
    names = inventory(directory, hosts)
    used = {}
    for times in (0, few, many):
        play = write_play(directory, f"times{times}.yml", small_tasks() * times)
        measure(inside([NANTE, "play", play, "-i", names]))
        used[times] = middle([measure(inside([NANTE, "play", play, "-i", names]), watch=False) for _ in range(3)])["cpu"]
    each = (used[many] - used[few]) / (50 * (many - few) * hosts) * 1000
    all_in = used[1] / (51 * hosts) * 1000
    note(f"fixed (connections, keys, agents, facts): {used[0] / hosts * 1000:.1f} ms per host; with it 50 tasks are "
         f"{all_in:.2f} ms per task and host")
    bar("controller's CPU", each, 0.3, f"{each:.3f} ms per task and host (bar: 0.3 ms)")


UNCHANGED = {
    "file": {"file": {"path": "/etc/bench", "state": "directory", "mode": "0755"}},
    "copy": {"copy": {"content": "x {{ item % 5 }}\n", "dest": "/etc/bench/copy{{ item % 5 }}", "mode": "0644"}},
    "template": {"template": {"src": "t.j2", "dest": "/etc/bench/template", "mode": "0644"}},
    "lineinfile": {"lineinfile": {"path": "/etc/bench/lines", "line": "key=1", "regexp": "^key=", "create": True, "mode": "0644"}},
    "apt": {"apt": {"name": ["curl", "sudo"], "state": "present"}},
    "systemd": {"systemd": {"name": "ssh", "state": "started", "enabled": True}},
}


def agent(directory, smoke):
    """What an unchanged task costs a host, its ssh daemon's share included: the slope between two counts of it."""
    make_hosts(1)
    names, few, many = inventory(directory, 1), 20, 40 if smoke else 420
    lab("ssh", "bench1", "sudo", "apt-get", "-qq", "update")
    for name, task in UNCHANGED.items():
        used = {}
        for n in (few, few, many):
            loop = {"loop": f"{{{{ range({n}) | list }}}}", "register": "r"}
            tasks = [{"file": {"path": "/etc/bench", "state": "directory"}}, {**task, **loop}]
            play = write_play(directory, "agent.yml", tasks, facts=name == "template")
            done = measure(inside([NANTE, "play", play, "-i", names]), hosts=True, watch=False)
            used[n] = done["hosts"]
        if "changed=0" not in recap(done["text"])[0]:
            raise RuntimeError(f"{name} is not unchanged\n{done['text'][-800:]}")
        each = (used[many] - used[few]) / (many - few) * 1000
        if name != "systemd":
            bar(f"a host's CPU for an unchanged {name} task", each, 1.0, f"{each:.2f} ms (bar: 1 ms)")
            continue
        least = systemctl_cost(10 if smoke else 200)
        bar(f"a host's CPU for an unchanged {name} task", each / least, 1.25,
            f"{each:.2f} ms, of which one systemctl show is {least:.2f} ms: {each / least:.2f} times (bar: 1.25)")


def systemctl_cost(n):
    """Milliseconds of a host for the one question that the state of a unit takes."""
    before = hosts_cpu()
    lab("ssh", "bench1", "sudo", "sh", "-c", f"'for i in $(seq {n}); do systemctl show ssh; done >/dev/null'")
    return (hosts_cpu() - before) / n * 1000


def scale(directory, smoke):
    """3 and 30 hosts side by side: all of them share this machine's processors, so processor time is what scales."""
    sizes = (1, 2) if smoke else (3, 30)
    make_hosts(sizes[1])
    play, runs = write_play(directory, "small.yml", small_tasks()), {}
    for n in sizes:
        argv = inside([NANTE, "play", play, "-i", inventory(directory, n)])
        measure(argv)
        runs[n] = middle([measure(argv, hosts=True) for _ in range(3)])
        told("nante", f"{n}", runs[n])
    ratio = runs[sizes[1]]["cpu"] / runs[sizes[0]]["cpu"] / (sizes[1] / sizes[0])
    text = f"{ratio:.2f} times the controller's CPU per host that {sizes[0]} cost; {runs[sizes[1]]['wall']:.2f} s"
    bar(f"{sizes[1]} hosts side by side", ratio, 1.2, f"{text} (bar: 1.2)")
