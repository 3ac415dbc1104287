"""Engine cases: one playbook with its files in, what it printed and left behind out.

A case is cases/NAME.case, sections headed "=== PATH":
    === play.yml            the playbook, and any other file below the scratch directory
    === args                further command line arguments, in shell words
    === env                 NAME=value lines
    === inventory           default: the one host "h1"
    === expect              only where 2.18 and the recorded ansible-core differ; the comment in the case says how
The expectation is cases/NAME.expect: exit code, normalised output, and the files below out/.
"""
import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")
ROOT = os.path.dirname(os.path.dirname(HERE))


def sections(path):
    out, name = {}, None
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.startswith("=== "):
                name = line[4:].strip()
                out[name] = ""
            elif name is not None:
                out[name] += line
    return out


def names(patterns):
    every = sorted(n[:-5] for n in os.listdir(CASES) if n.endswith(".case"))
    return [n for n in every if not patterns or any(p in n for p in patterns)]


def normalise(text, scratch):
    """What two programs must agree on: banners, statuses, debug output, recap; hosts of one task in any order."""
    text = text.replace(os.path.realpath(scratch), "@DIR@").replace(scratch, "@DIR@")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    blocks, lines = [], []
    skip = False
    for line in text.split("\n"):
        if line.startswith("[WARNING]") or line.startswith("[DEPRECATION WARNING]"):
            skip = True
            continue
        if skip and line and not re.match(r"(ok|changed|fatal|failed|skipping|included|PLAY|TASK|RUNNING|FAILED)\b", line):
            continue
        skip = False
        line = re.sub(r"(FAILED!|UNREACHABLE!) => .*", r"\1", line)
        line = re.sub(r"^(failed: \[.*\] \(item=.*?\)) => .*", r"\1", line)
        line = re.sub(r"^  at \S+:\d+:\d+$", "", line)
        line = re.sub(r" \*{3,}$", " ***", line)
        line = line.replace("(item=(censored due to no_log))", "(item=None)")
        if re.match(r"included: [^/@].* for |\s+\"false_condition\": ", line):  # newer than the recording ansible-core
            continue
        line = re.sub(r"^(--- before|\+\+\+ after).*", r"\1", line)
        if line.startswith(("An exception occurred during task execution", "ASYNC ")) or line == "NO MORE HOSTS LEFT ***" == (lines or [""])[0]:
            continue
        line = line.replace("AnsibleUnicode", "str").replace("AnsibleUnsafeText", "str").rstrip()
        if not line:
            continue
        if re.match(r"(PLAY|TASK|RUNNING HANDLER|NO MORE)", line):
            blocks.append(lines)
            lines = [line]
        else:
            lines.append(line)
    blocks.append(lines)
    out = []
    for b in blocks:
        if not b:
            continue
        entries = []
        for line in b[1:] if re.match(r"(PLAY|TASK|RUNNING HANDLER|NO MORE)", b[0]) else b:
            if re.match(r"(ok|changed|fatal|failed|skipping|included|FAILED|\S+ +: ok=|\.\.\.|---|error)", line) or not entries:
                entries.append([line])
            else:
                entries[-1].append(line)
        for e in list(entries):
            if e[0] == "...ignoring":
                i = entries.index(e)
                entries[i - 1].append(e[0])
                entries.pop(i)
        head = [b[0]] if re.match(r"(PLAY|TASK|RUNNING HANDLER|NO MORE)", b[0]) else []
        hosts = {m.group(1) for e in entries for m in [re.match(r"\w+: \[(\S+?)[\] ]", e[0])] if m}
        if len(hosts) > 1:
            entries.sort(key=lambda e: (re.search(r"\[(\S+?)[\] ]", e[0]) or re.search(r"(\S+)", e[0])).group(1))
        out += head + [line for e in entries for line in e]
    return "\n".join(out) + "\n"


def files(scratch):
    out = []
    base = os.path.join(scratch, "out")
    for d, dirs, fs in os.walk(base):
        dirs.sort()
        for f in sorted(fs):
            p = os.path.join(d, f)
            rel = os.path.relpath(p, base)
            if os.path.islink(p):
                out.append("--- %s -> %s\n" % (rel, os.readlink(p)))
                continue
            with open(p, "rb") as fh:
                body = fh.read().decode("utf-8", "replace").replace(os.path.realpath(scratch), "@DIR@")
            out.append("--- %s %04o\n%s%s" % (rel, os.stat(p).st_mode & 0o7777, body, "" if body.endswith("\n") or not body else "\n"))
    return "".join(sorted(out))


def play(case, command, timeout=60):
    """The case run by COMMAND (a list): exit code, output, files, and what it said on stderr."""
    with tempfile.TemporaryDirectory(prefix="engine-") as scratch:
        for name, body in case.items():
            if name in ("args", "env", "expect"):
                continue
            p = os.path.join(scratch, name)
            os.makedirs(os.path.dirname(p), exist_ok=True)
            with open(p, "w", encoding="utf-8") as f:
                f.write(body)
        os.makedirs(os.path.join(scratch, "out"))
        if "inventory" not in case:
            with open(os.path.join(scratch, "inventory"), "w", encoding="utf-8") as f:
                f.write("h1\n")
        env = {"PATH": os.environ["PATH"], "HOME": scratch, "LANG": "C.UTF-8", "ANSIBLE_NOCOWS": "1", "OUT": os.path.join(scratch, "out"),
               "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3", "ANSIBLE_DEPRECATION_WARNINGS": "False",
               "ANSIBLE_LOCALHOST_WARNING": "False", "ANSIBLE_HOME": os.path.join(scratch, ".ansible"),
               "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=0")}
        env.update(line.split("=", 1) for line in case.get("env", "").split("\n") if "=" in line)
        argv = command + ["play.yml", "-i", "inventory", "-c", "local", "-e", "out=" + os.path.join(scratch, "out")]
        argv += shlex.split(case.get("args", ""))
        try:
            r = subprocess.run(argv, cwd=scratch, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, timeout=timeout)
            rc, out, err = r.returncode, r.stdout.decode("utf-8", "replace"), r.stderr.decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            rc, out, err = -1, "", "no end after %d s" % timeout
        text = "exit %d\n" % rc + normalise(out, scratch)
        left = files(scratch)
        return text + ("== files\n" + left if left else ""), out + err


def record(patterns):
    """Expectations from the real ansible-playbook."""
    for name in names(patterns):
        case = sections(os.path.join(CASES, name + ".case"))
        if "expect" in case:
            text = case["expect"]
        else:
            text, raw = play(case, ["/usr/bin/ansible-playbook"], 120)
            if os.environ.get("VERBOSE"):
                print(raw)
        with open(os.path.join(CASES, name + ".expect"), "w", encoding="utf-8") as f:
            f.write(text)
        print("recorded", name)
    return 0


def run(patterns):
    nante = os.path.abspath(os.environ["NANTE"]) if "NANTE" in os.environ else next(
        (p for p in (os.path.join(ROOT, "build/asan/nante"), os.path.join(ROOT, "build/nante")) if os.path.exists(p)), "nante")
    passed = failed = 0
    for name in names(patterns):
        case = sections(os.path.join(CASES, name + ".case"))
        with open(os.path.join(CASES, name + ".expect"), encoding="utf-8") as f:
            want = f.read()
        have, raw = play(case, [nante, "play"])
        if have == want:
            passed += 1
            continue
        failed += 1
        print("not ok %s" % name)
        sys.stdout.writelines(list(difflib.unified_diff(want.splitlines(True), have.splitlines(True), "expected", "nante"))[:60])
        if os.environ.get("VERBOSE"):
            print(raw)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0
